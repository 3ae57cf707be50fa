//! The two numbers that a hedge asks for on every tick, delta and its slope, of many anchors at once.
//!
//! A [`Panel`] holds a copy of what a tick reads of each anchor, mixed to the one delta that is hedged, eight anchors a
//! group: a lane each, a row a power. A tick then costs a group two polynomials for eight expiries together. **In**: anchors,
//! as they change; forwards over spot; spots. **Out**: sums of delta and log-gamma, and which lanes were outside their
//! windows. **Invariant**: a lane says what its anchor says; sums run over lanes in one fixed order, so that a position
//! added and taken away leaves no trace. **Cost**: 1.5 KiB a group.

use multiversion::multiversion;

use super::{Anchor, lane, place};

/// Anchors in a group.
pub const PANEL_LANES: usize = 8;

type Lane = [f64; PANEL_LANES];

/// Which delta a lane shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Premium-adjusted, or Black's.
    pub in_coins: bool,
    /// How far the smile moves with the forward, 0 to 1.
    pub stickiness: f64,
    /// Coins in a unit of the anchor's positions.
    pub amount: f64,
}

/// Eight anchors of `ROWS` powers.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Group<const ROWS: usize> {
    /// Forward over spot, the anchor's forward, 1/h (zero where a lane shows nothing).
    ratio: Lane,
    forward: Lane,
    inv_half_window: Lane,
    /// What parity takes from delta: a constant, and at the anchor's forward what falls as 1/F.
    puts: Lane,
    put_strikes: Lane,
    delta: [Lane; ROWS],
    log_gamma: [Lane; ROWS],
}

/// What a group said last.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Said {
    delta: Lane,
    log_gamma: Lane,
}

/// Groups of anchors.
#[derive(Debug)]
pub struct Panel<const ROWS: usize> {
    groups: Box<[Group<ROWS>]>,
    said: Box<[Said]>,
}

impl<const ROWS: usize> Panel<ROWS> {
    /// Room for `groups` times [`PANEL_LANES`] anchors, none of which shows anything.
    pub fn new(groups: usize) -> Self {
        const ZERO: Lane = [0.0; PANEL_LANES];
        const ONE: Lane = [1.0; PANEL_LANES];
        let group = Group {
            ratio: ONE,
            forward: ONE,
            inv_half_window: ZERO,
            puts: ZERO,
            put_strikes: ZERO,
            delta: [ZERO; ROWS],
            log_gamma: [ZERO; ROWS],
        };
        let said = Said { delta: ZERO, log_gamma: ZERO };
        Self { groups: vec![group; groups].into(), said: vec![said; groups].into() }
    }

    /// Shows an anchor as it is, its volatilities patched in, in a lane.
    pub fn load(&mut self, at: usize, anchor: &Anchor<ROWS>, mix: Mix) {
        let (group, i) = (&mut self.groups[at / PANEL_LANES], at % PANEL_LANES);
        let Mix { in_coins, stickiness, amount } = mix;
        let (delta, less) = if in_coins { (lane::COIN_DELTA, amount) } else { (lane::DELTA, 0.0) };
        group.forward[i] = anchor.forward;
        group.inv_half_window[i] = anchor.inv_half_window;
        group.puts[i] = if in_coins { 0.0 } else { amount * anchor.puts };
        group.put_strikes[i] = if in_coins { amount * anchor.put_strikes } else { 0.0 };
        let skew = amount * stickiness;
        for (power, row) in anchor.rows.iter().enumerate() {
            group.delta[power][i] = amount * row[delta] - skew * row[lane::SKEW];
            group.log_gamma[power][i] = amount * row[lane::GAMMA] - less * row[lane::COIN_DELTA];
        }
    }

    /// Lets a lane show nothing.
    pub fn clear(&mut self, at: usize) {
        self.groups[at / PANEL_LANES].inv_half_window[at % PANEL_LANES] = 0.0;
    }

    /// Sets forward over spot of a lane's expiry.
    pub fn set_ratio(&mut self, at: usize, ratio: f64) {
        self.groups[at / PANEL_LANES].ratio[at % PANEL_LANES] = ratio;
    }

    /// Forward over spot of a lane's expiry.
    pub fn ratio(&self, at: usize) -> f64 {
        self.groups[at / PANEL_LANES].ratio[at % PANEL_LANES]
    }

    /// Evaluates a group at a spot. Bit i of the answer is set where lane i is inside its window.
    pub fn evaluate(&mut self, group: usize, spot: f64) -> u8 {
        evaluate(&self.groups[group], spot, &mut self.said[group])
    }

    /// Delta and log-gamma of a group's lanes that were inside, added up.
    pub fn sum(&self, group: usize) -> (f64, f64) {
        let total = |l: &Lane| ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
        let said = &self.said[group];
        (total(&said.delta), total(&said.log_gamma))
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn evaluate<const ROWS: usize>(group: &Group<ROWS>, spot: f64, said: &mut Said) -> u8 {
    evaluate_portable(group, spot, said)
}

#[inline(always)]
fn evaluate_portable<const ROWS: usize>(group: &Group<ROWS>, spot: f64, said: &mut Said) -> u8 {
    let (mut x, mut parity) = ([0.0; PANEL_LANES], [0.0; PANEL_LANES]);
    for i in 0..PANEL_LANES {
        let forward = group.ratio[i] * spot;
        let ratio;
        (x[i], ratio) = place(group.forward[i], forward, group.inv_half_window[i]);
        parity[i] = group.put_strikes[i] * ratio;
    }
    let mut inside = [0.0; PANEL_LANES];
    for i in 0..PANEL_LANES {
        inside[i] = if x[i].abs() <= 1.0 && group.inv_half_window[i] > 0.0 { 1.0 } else { 0.0 };
    }
    for i in 0..PANEL_LANES {
        let delta = horner(&group.delta, x[i], i) - group.puts[i] - parity[i];
        let log_gamma = horner(&group.log_gamma, x[i], i) + parity[i];
        said.delta[i] = if inside[i] > 0.0 { delta } else { 0.0 };
        said.log_gamma[i] = if inside[i] > 0.0 { log_gamma } else { 0.0 };
    }
    let mut bits = 0;
    for (i, &inside) in inside.iter().enumerate() {
        bits |= u8::from(inside > 0.0) << i;
    }
    bits
}

/// A polynomial of degree `ROWS` − 1 in four chains in x⁴, from the highest power down.
#[inline(always)]
fn horner<const ROWS: usize>(rows: &[Lane; ROWS], x: f64, i: usize) -> f64 {
    let x2 = x * x;
    let x4 = x2 * x2;
    let mut base = ROWS - 5;
    let mut c0 = rows[base + 4][i] * x4 + rows[base][i];
    let (mut c1, mut c2, mut c3) = (rows[base + 1][i], rows[base + 2][i], rows[base + 3][i]);
    while base > 0 {
        base -= 4;
        c0 = c0 * x4 + rows[base][i];
        c1 = c1 * x4 + rows[base + 1][i];
        c2 = c2 * x4 + rows[base + 2][i];
        c3 = c3 * x4 + rows[base + 3][i];
    }
    (c0 + c1 * x) + (c2 + c3 * x) * x2
}
