//! The two numbers that a hedge asks for on every tick, delta and its slope, of many anchors at once.
//!
//! A [`Panel`] holds a copy of what a tick reads of each anchor, mixed to the one delta that is hedged: a lane an anchor, a
//! row a power, eight lanes a group. **In**: anchors, as they change; forwards over spot; spots. **Out**: sums of delta and
//! log-gamma, and which lanes are inside their windows. A lane's place in its window is ln S − (ln F0 − ln F/S) over h: the
//! logarithm of spot is taken once for all, the rest changes with calibration alone. What parity takes from a put, K/F,
//! is a series in the same place, (−h)ᵐ/m!, and part of the polynomial: its remainder is below 3.1e-15 of K/F0.
//!
//! **Invariant**: a lane says what its anchor says; sums run over lanes in one fixed order, so that a position added and
//! taken away leaves no trace. **Cost**: two polynomials for eight expiries at a time, which do not wait for each other; an
//! anchor that changed is evaluated by itself, with the same bits. 12.3 KiB.

use multiversion::multiversion;

use super::{Anchor, lane};
use crate::pricing::elementary::LnParts;

/// Anchors in a group.
pub const PANEL_LANES: usize = 8;
/// Groups in a panel: 64 lanes, a bit each.
pub const PANEL_GROUPS: usize = 8;

const LANES: usize = PANEL_LANES * PANEL_GROUPS;
/// In place of 1/h where a lane shows nothing: no place in a window compares with it.
const SHOWS_NOTHING: f64 = f64::NAN;

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

/// One number a lane.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Lanes<T>([T; LANES]);

/// What a tick reads.
#[derive(Clone, Debug)]
struct Shown<const ROWS: usize> {
    /// ln F0 − ln F/S in two parts, and 1/h.
    centre_coarse: Lanes<f64>,
    centre_fine: Lanes<f64>,
    inv_half_window: Lanes<f64>,
    delta: [Lanes<f64>; ROWS],
    log_gamma: [Lanes<f64>; ROWS],
}

/// What a tick writes: delta and log-gamma, zeros outside windows; ones and zeros for what is inside.
#[derive(Clone, Debug)]
struct Said {
    delta: Lanes<f64>,
    log_gamma: Lanes<f64>,
    is_inside: Lanes<u64>,
}

/// What a lane's centre is made of.
#[derive(Clone, Copy, Debug)]
struct Centre {
    ratio: f64,
    ln_ratio: LnParts,
    ln_forward: LnParts,
}

/// Up to 64 anchors of `ROWS` powers.
#[derive(Debug)]
pub struct Panel<const ROWS: usize> {
    shown: Box<Shown<ROWS>>,
    said: Box<Said>,
    centres: Box<[Centre]>,
    inside: u64,
}

impl<const ROWS: usize> Default for Panel<ROWS> {
    fn default() -> Self {
        const ZERO: Lanes<f64> = Lanes([0.0; LANES]);
        let nothing = LnParts { coarse: 0.0, fine: 0.0 };
        let centre = Centre { ratio: 1.0, ln_ratio: nothing, ln_forward: nothing };
        Self {
            shown: Box::new(Shown {
                centre_coarse: ZERO,
                centre_fine: ZERO,
                inv_half_window: Lanes([SHOWS_NOTHING; LANES]),
                delta: [ZERO; ROWS],
                log_gamma: [ZERO; ROWS],
            }),
            said: Box::new(Said { delta: ZERO, log_gamma: ZERO, is_inside: Lanes([0; LANES]) }),
            centres: vec![centre; LANES].into(),
            inside: 0,
        }
    }
}

impl<const ROWS: usize> Panel<ROWS> {
    /// Shows an anchor as it is, its volatilities patched in, in a lane, and evaluates it at a spot of which the logarithm is
    /// given; nothing if the anchor does not hold.
    pub fn load(&mut self, at: usize, anchor: &Anchor<ROWS>, mix: Mix, ln_spot: LnParts) {
        if anchor.inv_half_window == 0.0 {
            return self.clear(at);
        }
        let Mix { in_coins, stickiness, amount } = mix;
        let (from, less) = if in_coins { (lane::COIN_DELTA, amount) } else { (lane::DELTA, 0.0) };
        let (put_strikes, puts) =
            if in_coins { (amount * anchor.put_strikes, 0.0) } else { (0.0, amount * anchor.puts) };
        let (mut delta, mut log_gamma) = ([0.0; ROWS], [0.0; ROWS]);
        for (power, row) in anchor.rows.iter().enumerate() {
            let parity = put_strikes * anchor.parity[power];
            delta[power] = amount * row[from] - parity;
            log_gamma[power] = amount * row[lane::GAMMA] - less * row[lane::COIN_DELTA] + parity;
        }
        delta[0] -= puts;
        if stickiness > 0.0 {
            let skew = amount * stickiness;
            // The smile's part of log-gamma, as `Exposure::floating_smile_slope` has it.
            let (bend, lift) = (2.0 * skew * anchor.inv_half_window, if in_coins { 0.0 } else { skew });
            for (power, row) in anchor.rows.iter().enumerate() {
                let rise = anchor.rows.get(power + 1).map_or(0.0, |next| (power + 1) as f64 * next[lane::SKEW]);
                delta[power] -= skew * row[lane::SKEW];
                log_gamma[power] -= bend * rise + lift * row[lane::SKEW];
            }
        }
        for power in 0..ROWS {
            self.shown.delta[power].0[at] = delta[power];
            self.shown.log_gamma[power].0[at] = log_gamma[power];
        }
        self.shown.inv_half_window.0[at] = anchor.inv_half_window;
        self.centres[at].ln_forward = anchor.ln_forward;
        let x = ln_spot.minus(self.centre(at)) * anchor.inv_half_window;
        let one = Spoken::at::<ROWS>(x, |power| delta[power], |power| log_gamma[power]);
        (self.said.delta.0[at], self.said.log_gamma.0[at]) = (one.delta, one.log_gamma);
        self.note(at, one.is_inside);
    }

    /// Lets a lane show nothing.
    pub fn clear(&mut self, at: usize) {
        self.shown.inv_half_window.0[at] = SHOWS_NOTHING;
        (self.said.delta.0[at], self.said.log_gamma.0[at]) = (0.0, 0.0);
        self.note(at, false);
    }

    /// Sets forward over spot of a lane's expiry, positive and finite. It counts from the next time that the lane is loaded.
    pub fn set_ratio(&mut self, at: usize, ratio: f64) {
        (self.centres[at].ratio, self.centres[at].ln_ratio) = (ratio, LnParts::of(ratio));
    }

    /// Forward over spot of a lane's expiry.
    pub fn ratio(&self, at: usize) -> f64 {
        self.centres[at].ratio
    }

    /// Evaluates some groups, a bit each, at a spot of which the logarithm is given.
    #[inline]
    pub fn evaluate(&mut self, groups: u8, ln_spot: LnParts) {
        if say(&self.shown, &mut self.said, groups, ln_spot) {
            self.note_all();
        }
    }

    /// Delta and log-gamma of the lanes of some groups, a bit each, that were inside their windows.
    #[inline]
    pub fn sum(&self, groups: u8) -> (f64, f64) {
        self.said.sum(groups)
    }

    /// Lanes that were inside their windows when they were last evaluated, one bit each.
    #[inline]
    pub fn inside(&self) -> u64 {
        self.inside
    }

    fn note(&mut self, at: usize, is_inside: bool) {
        self.said.is_inside.0[at] = u64::from(is_inside);
        self.inside = self.inside & !(1 << at) | u64::from(is_inside) << at;
    }

    #[cold]
    fn note_all(&mut self) {
        self.inside = self.said.is_inside.0.iter().enumerate().fold(0, |bits, (at, &is_inside)| bits | is_inside << at);
    }

    /// Puts a lane's centre where ticks find it.
    fn centre(&mut self, at: usize) -> LnParts {
        let Centre { ln_ratio, ln_forward, .. } = self.centres[at];
        let centre = LnParts { coarse: ln_forward.coarse - ln_ratio.coarse, fine: ln_forward.fine - ln_ratio.fine };
        (self.shown.centre_coarse.0[at], self.shown.centre_fine.0[at]) = (centre.coarse, centre.fine);
        centre
    }
}

/// Lets the lanes of some groups speak. Whether one of them went in or out.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn say<const ROWS: usize>(shown: &Shown<ROWS>, said: &mut Said, groups: u8, ln_spot: LnParts) -> bool {
    let (mut left, mut changed) = (u32::from(groups), 0);
    // A run of neighbouring groups at a time, in a loop whose length is not known beforehand: that is what the compiler
    // makes whole vectors of.
    while left != 0 {
        let first = left.trailing_zeros() as usize;
        let end = first + (left >> first).trailing_ones() as usize;
        left &= left.wrapping_add(1 << first);
        changed |= shown.say(said, first * PANEL_LANES, end.min(PANEL_GROUPS) * PANEL_LANES, ln_spot);
    }
    changed != 0
}

impl<const ROWS: usize> Shown<ROWS> {
    #[inline(always)]
    fn say(&self, said: &mut Said, first: usize, end: usize, ln_spot: LnParts) -> u64 {
        let mut changed = 0;
        for i in first..end {
            let centre = LnParts { coarse: self.centre_coarse.0[i], fine: self.centre_fine.0[i] };
            let x = ln_spot.minus(centre) * self.inv_half_window.0[i];
            let one = Spoken::at::<ROWS>(x, |power| self.delta[power].0[i], |power| self.log_gamma[power].0[i]);
            (said.delta.0[i], said.log_gamma.0[i]) = (one.delta, one.log_gamma);
            changed |= said.is_inside.0[i] ^ u64::from(one.is_inside);
            said.is_inside.0[i] = u64::from(one.is_inside);
        }
        changed
    }
}

impl Said {
    /// The sums of some groups, lane by lane first.
    #[inline]
    fn sum(&self, groups: u8) -> (f64, f64) {
        let mut sums = [[0.0; 2]; PANEL_LANES];
        let mut left = groups;
        while left != 0 {
            let first = left.trailing_zeros() as usize * PANEL_LANES;
            left &= left - 1;
            for (i, sum) in sums.iter_mut().enumerate() {
                sum[0] += self.delta.0[first + i];
                sum[1] += self.log_gamma.0[first + i];
            }
        }
        let total = |n: usize| {
            let l = sums.map(|sum| sum[n]);
            ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
        };
        (total(0), total(1))
    }
}

/// What one lane says.
struct Spoken {
    delta: f64,
    log_gamma: f64,
    is_inside: bool,
}

impl Spoken {
    /// At a place in its window, with delta's and log-gamma's coefficients by power.
    #[inline(always)]
    fn at<const ROWS: usize>(x: f64, delta: impl Fn(usize) -> f64, log_gamma: impl Fn(usize) -> f64) -> Self {
        let (delta, log_gamma) = (horner::<ROWS>(x, delta), horner::<ROWS>(x, log_gamma));
        let is_inside = x.abs() <= 1.0;
        let seen = |greek: f64| if is_inside { greek } else { 0.0 };
        Self { delta: seen(delta), log_gamma: seen(log_gamma), is_inside }
    }
}

/// A polynomial of degree `ROWS` − 1 in four chains in x⁴, from the highest power down.
#[inline(always)]
fn horner<const ROWS: usize>(x: f64, row: impl Fn(usize) -> f64) -> f64 {
    let x2 = x * x;
    let x4 = x2 * x2;
    let mut base = ROWS - 5;
    let mut c0 = row(base + 4) * x4 + row(base);
    let (mut c1, mut c2, mut c3) = (row(base + 1), row(base + 2), row(base + 3));
    while base > 0 {
        base -= 4;
        c0 = c0 * x4 + row(base);
        c1 = c1 * x4 + row(base + 1);
        c2 = c2 * x4 + row(base + 2);
        c3 = c3 * x4 + row(base + 3);
    }
    (c0 + c1 * x) + (c2 + c3 * x) * x2
}
