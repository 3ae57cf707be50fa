//! A whole expiry's greeks on every tick in constant time, each with a certified bound.
//!
//! An [`Anchor`] expands every strike of a [`Strip`] into power series in ln F around one forward, and sums the series
//! over positions. A tick then evaluates one polynomial of eight greeks, however many options are held. A fill adds its
//! strike's coefficients times its lots, in fixed point: the opposite fill restores every bit, and fills commute.
//!
//! **Window.** The series hold within half-width h = ρ·min σ√T of the anchor, ρ = ¼ at order 8 and ½ at order 16, at
//! most a tenth. Beyond it [`Anchor::evaluate`] gives `None` and the caller revalues the strip exactly, which at expiry is
//! where it ends up anyway: the window shrinks as gamma turns digital.
//!
//! **Error.** Inside the window every greek lies within [`Anchor::bounds`] of exact revaluation at the volatilities
//! and the time the anchor was built with; deltas within 1e-9 (order 8) or 2e-13 (order 16) of gross lots. What time has
//! moved since then adds at most [`Anchor::time_bound`]; what volatility has moved is patched in by
//! [`Anchor::shift_vol`], to first order and with what that leaves out in the bounds, until the anchor is rebuilt.
//!
//! **Calls and puts** share their strike's series; a put differs from a call by −1 of delta and −K/F of premium-adjusted
//! delta, both exact. Options at one strike with volatilities of their own take two slots of the strip.
//!
//! **Cost** at order 8: an evaluation is 9 multiply-adds of eight lanes and two divisions; a fill 9 rows; a rebuild
//! some 50 ns a strike. Memory some 700 bytes a slot. Nothing allocates after construction.
//!
//! A rebuild may run on another thread, on an anchor of its own: give it the same fills, then swap the two.

mod fixed_point;
mod panel;
mod patch;
mod series;

use fixed::types::{I16F48, I80F48};
use multiversion::multiversion;

use self::fixed_point::{Coefficient, LANES, LOTS_MAX, Sum, Sums, ULP};
pub use self::panel::{Mix, PANEL_GROUPS, PANEL_LANES, Panel};
use self::patch::{Patch, Shift};
use self::series::{INVERSE, Remainder, Series, Strikes};
use super::elementary::LnParts;
use super::strip::{Block, Exposure, Strip};
use crate::instrument::OptionKind;

/// Series up to x⁸.
pub type Anchor8 = Anchor<9>;
/// Series up to x¹⁶.
pub type Anchor16 = Anchor<17>;

/// Widest half-window in ln F: beyond it premium-adjusted delta's own decay e^−u would need more terms.
const HALF_WINDOW_MAX: f64 = 0.1;

/// Which greek stands in which lane.
mod lane {
    pub(super) const COIN_DELTA: usize = 0;
    pub(super) const DELTA: usize = 1;
    pub(super) const GAMMA: usize = 2;
    pub(super) const VEGA: usize = 3;
    pub(super) const THETA: usize = 4;
    pub(super) const VANNA: usize = 5;
    pub(super) const VOLGA: usize = 6;
    pub(super) const SKEW: usize = 7;
}

/// Why an anchor did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A fill would take gross lots beyond 2^31 − 1.
    TooManyLots,
    /// The slot is not in the strip that the anchor was built from.
    NoSuchSlot,
}

/// The forward is not positive and finite, or a coefficient exceeds 32,767 per lot: seconds from expiry, or strikes
/// beyond 32,767 times the forward. The anchor evaluates to `None` until it is rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit;

/// One expiry's greeks around a forward.
#[derive(Clone, Debug)]
pub struct Anchor<const ROWS: usize> {
    /// What a tick reads: the sums as doubles, by power.
    rows: [[f64; LANES]; ROWS],
    forward: f64,
    ln_forward: LnParts,
    /// 1/h; zero while the anchor does not hold.
    inv_half_window: f64,
    /// (−h)ᵐ/m!, the series of F0/F.
    parity: [f64; ROWS],
    /// Lots of puts, and lots of puts × K/F0, in coins.
    puts: f64,
    put_strikes: f64,

    totals: Totals<ROWS>,
    put_lots: i64,
    gross: i64,
    put_gross: i64,

    series: Box<[Series<ROWS>]>,
    /// K/F0 by slot, for puts.
    strike_ratios: Box<[Coefficient]>,
    /// Per slot: calls and puts together, puts, and how far volatility has moved since the rebuild.
    lots: Box<[i64]>,
    slot_puts: Box<[i64]>,
    shifts: Box<[Shift]>,
    patch: Patch<ROWS>,
    /// A volatility has moved since the rebuild; and that is not in the rows yet.
    is_shifted: bool,
    is_unpatched: bool,
    len: usize,
    /// Coins in a lot.
    lot: f64,
    years: f64,
    total_vol_max: f64,
    /// Bounds on the error of what a tick reads, but for what parity and the patch add.
    bounds: [f64; LANES],
}

/// Exact sums over positions, in lots.
#[derive(Clone, Copy, Debug)]
struct Totals<const ROWS: usize> {
    /// Of calls and puts together, as if all were calls.
    greeks: Sums<ROWS>,
    /// Of the bounds, over lots without regard to sign.
    bounds: Sums<1>,
    /// Of K/F0 over puts.
    put_strikes: Sum,
}

impl<const ROWS: usize> Totals<ROWS> {
    const ZERO: Self = Self { greeks: Sums::ZERO, bounds: Sums::ZERO, put_strikes: Sum::ZERO };

    /// Adds the lots of some slots, without regard to parity.
    #[inline(always)]
    fn add(&mut self, series: &[Series<ROWS>], lots: &[i64]) {
        for (series, lots) in series.chunks_exact(4).zip(lots.chunks_exact(4)) {
            let ([a, b, c, d], &[i, j, k, l]) = (series, lots) else { continue };
            let lots = [i as i32, j as i32, k as i32, l as i32];
            self.greeks.add_several([&a.rows, &b.rows, &c.rows, &d.rows], lots);
            self.bounds.add_several([&a.bound, &b.bound, &c.bound, &d.bound], lots.map(i32::abs));
        }
        let whole = series.len() - series.len() % 4;
        for (series, &lots) in series[whole..].iter().zip(&lots[whole..]) {
            self.greeks.add(&series.rows, lots as i32);
            self.bounds.add(&series.bound, (lots as i32).abs());
        }
    }
}

impl<const ROWS: usize> Anchor<ROWS> {
    /// Half-window over the least total volatility.
    const RHO: f64 = if ROWS > 12 { 0.5 } else { 0.25 };

    /// An anchor that holds nothing yet, for strips of up to `capacity` strikes whose lots are `lot` coins.
    pub fn with_capacity(capacity: usize, lot: f64) -> Self {
        const { assert!(ROWS % 4 == 1 && ROWS > 1 && ROWS < 20) };
        Self {
            rows: [[0.0; LANES]; ROWS],
            forward: 1.0,
            ln_forward: LnParts { coarse: 0.0, fine: 0.0 },
            inv_half_window: 0.0,
            parity: [0.0; ROWS],
            puts: 0.0,
            put_strikes: 0.0,
            totals: Totals::ZERO,
            put_lots: 0,
            gross: 0,
            put_gross: 0,
            series: vec![Series::ZERO; capacity].into_boxed_slice(),
            strike_ratios: vec![Coefficient::ZERO; capacity].into_boxed_slice(),
            lots: vec![0; capacity].into_boxed_slice(),
            slot_puts: vec![0; capacity].into_boxed_slice(),
            shifts: vec![Shift::NONE; capacity].into_boxed_slice(),
            patch: Patch::ZERO,
            is_shifted: false,
            is_unpatched: false,
            len: 0,
            lot,
            years: 0.0,
            total_vol_max: 0.0,
            bounds: [0.0; LANES],
        }
    }

    /// Expands a strip's strikes around a forward. Positions held stay; the strip's own are not looked at. Slots beyond
    /// the anchor's capacity are a caller's error.
    pub fn rebuild(&mut self, strip: &Strip, forward: f64) -> Result<(), Unfit> {
        assert!(strip.len() <= self.lots.len());
        self.inv_half_window = 0.0;
        self.len = strip.len();
        if self.is_shifted {
            self.shifts.fill(Shift::NONE);
            self.patch = Patch::ZERO;
            (self.is_shifted, self.is_unpatched) = (false, false);
        }
        if !(forward > 0.0 && forward < f64::INFINITY) {
            return Err(Unfit);
        }
        let (least, most) = strip.total_vol_range();
        let wide = Self::RHO * least;
        let half_window = if wide < HALF_WINDOW_MAX { wide } else { HALF_WINDOW_MAX };
        (self.forward, self.ln_forward) = (forward, LnParts::of(forward));
        self.years = strip.years();
        self.total_vol_max = most;
        let around = Around { forward, ln_forward: self.ln_forward, half_window };
        let out = (&mut self.series[..self.len], &mut self.strike_ratios[..self.len]);
        if !expand_all(strip.blocks(), around, &self.lots, &self.slot_puts, out, &mut self.totals) {
            return Err(Unfit);
        }
        self.publish();
        self.inv_half_window = 1.0 / half_window;
        let mut term = 1.0;
        for (parity, inverse) in self.parity.iter_mut().zip(&INVERSE[1..]) {
            *parity = term;
            term *= -half_window * inverse;
        }
        Ok(())
    }

    /// Replaces every position, by slot. The sums follow at the next rebuild; until then the anchor does not hold.
    pub fn replace(&mut self, positions: impl IntoIterator<Item = (OptionKind, i64)>) -> Result<(), Refused> {
        self.inv_half_window = 0.0;
        self.lots.fill(0);
        self.slot_puts.fill(0);
        (self.gross, self.put_gross, self.put_lots) = (0, 0, 0);
        for (slot, (kind, lots)) in positions.into_iter().enumerate() {
            let weight = lots.saturating_abs();
            if slot >= self.lots.len() {
                return Err(Refused::NoSuchSlot);
            }
            if weight > LOTS_MAX || self.gross + weight > LOTS_MAX {
                return Err(Refused::TooManyLots);
            }
            self.lots[slot] = lots;
            self.gross += weight;
            if kind == OptionKind::Put {
                self.slot_puts[slot] = lots;
                self.put_gross += weight;
                self.put_lots += lots;
            }
        }
        Ok(())
    }

    /// Adds a fill of `lots` calls or puts (negative when sold) at a slot. All or nothing.
    pub fn add_fill(&mut self, slot: usize, kind: OptionKind, lots: i64) -> Result<(), Refused> {
        if slot >= self.len {
            return Err(Refused::NoSuchSlot);
        }
        let is_put = kind == OptionKind::Put;
        let put_change = if is_put { lots } else { 0 };
        let (held, puts) = (self.lots[slot], self.slot_puts[slot]);
        // Each addend is checked before it can leave the range of an i32, so nothing below overflows.
        if lots.unsigned_abs() > LOTS_MAX.unsigned_abs() {
            return Err(Refused::TooManyLots);
        }
        let heavier = (held + lots).abs() - held.abs();
        let put_heavier = (puts + put_change).abs() - puts.abs();
        if self.gross + heavier > LOTS_MAX || self.put_gross + put_heavier > LOTS_MAX {
            return Err(Refused::TooManyLots);
        }
        self.lots[slot] = held + lots;
        self.slot_puts[slot] = puts + put_change;
        self.gross += heavier;
        self.put_gross += put_heavier;
        self.put_lots += put_change;

        let series = &self.series[slot];
        add_series(series, lots as i32, heavier as i32, self.lot, &mut self.totals, &mut self.rows, &mut self.bounds);
        if is_put {
            self.totals.put_strikes.add(self.strike_ratios[slot], lots as i32);
        }
        if self.is_shifted {
            self.patch.add(&series.rows, &self.shifts[slot], lots, heavier);
            self.is_unpatched = true;
            self.patch_in();
        }
        if is_put {
            self.publish_puts();
        }
        Ok(())
    }

    /// Says that volatility and slope at a slot are no longer those that the anchor was built with, but these. Deltas and
    /// skew take that in to first order, at the next [`patch_in`](Self::patch_in); the other greeks wait for the rebuild.
    pub fn shift_vol(&mut self, slot: usize, was: (f64, f64), is: (f64, f64)) {
        assert!(slot < self.len);
        let shift = Shift::between(was, is, self.years);
        let before = std::mem::replace(&mut self.shifts[slot], shift);
        if shift == before {
            return;
        }
        let (series, lots) = (&self.series[slot].rows, self.lots[slot]);
        self.patch.add(series, &before, -lots, -lots.abs());
        self.patch.add(series, &shift, lots, lots.abs());
        (self.is_shifted, self.is_unpatched) = (true, true);
    }

    /// Puts what volatilities have moved into what a tick reads, once for any number of them.
    pub fn patch_in(&mut self) {
        if !self.is_unpatched {
            return;
        }
        self.is_unpatched = false;
        for (power, row) in self.rows.iter_mut().enumerate() {
            let (coin_delta, delta, skew) = self.patch.gains(power);
            let patched = |lane: usize, gain: f64| self.lot * (self.totals.greeks.value(power, lane) + gain);
            row[lane::COIN_DELTA] = patched(lane::COIN_DELTA, coin_delta);
            row[lane::DELTA] = patched(lane::DELTA, delta);
            row[lane::SKEW] = patched(lane::SKEW, skew);
        }
    }

    /// The positions' greeks at a forward; `None` outside the window, or when the anchor does not hold.
    pub fn evaluate(&self, forward: f64) -> Option<Exposure> {
        let mut lanes = Lanes::default();
        let parity = evaluate(self, forward, &mut lanes)?;
        Some(lanes.exposure(parity))
    }

    /// Bounds on the error of each greek inside the window.
    #[inline]
    pub fn bounds(&self) -> Exposure {
        let bound = &self.bounds;
        let (coin_patch, patch, skew_patch) = if self.is_shifted { self.patch.errors() } else { (0.0, 0.0, 0.0) };
        let parity = self.lot * self.put_gross as f64 * (4.0 * ULP);
        let coin_delta = bound[lane::COIN_DELTA] + parity + self.lot * coin_patch;
        let delta = bound[lane::DELTA] + self.lot * patch;
        Exposure {
            value: coin_delta + delta,
            delta,
            coin_delta,
            gamma: bound[lane::GAMMA],
            vega: bound[lane::VEGA],
            theta: bound[lane::THETA],
            vanna: bound[lane::VANNA],
            volga: bound[lane::VOLGA],
            skew: bound[lane::SKEW] + self.lot * skew_patch,
        }
    }

    /// Bound on the further error of either delta when there are `years` left instead of those it was built with:
    /// |∂Δ/∂T| = |φ(d1)d2|/2T ≤ (0.242 + 0.399 s)/2T a coin, 0.14/T at short times.
    pub fn time_bound(&self, years: f64) -> f64 {
        let least = if years < self.years { years } else { self.years };
        let per_coin = (0.242 + 0.399 * self.total_vol_max) / 2.0;
        self.lot * self.gross as f64 * per_coin * (self.years - years).abs() / least
    }

    /// Half-width of the window in ln F; zero while the anchor does not hold.
    pub fn half_window(&self) -> f64 {
        if self.inv_half_window > 0.0 { 1.0 / self.inv_half_window } else { 0.0 }
    }

    /// The forward it is built around.
    pub fn forward(&self) -> f64 {
        self.forward
    }

    /// Lots at all slots without regard to sign, calls and puts of a slot netted.
    pub fn gross_lots(&self) -> i64 {
        self.gross
    }

    /// The exact sum behind premium-adjusted delta's coefficient of a power, calls' part, in lots.
    pub fn coin_delta_sum(&self, power: usize) -> I80F48 {
        self.totals.greeks.at(power, lane::COIN_DELTA)
    }

    /// A slot's premium-adjusted delta coefficient of a power, for one lot of calls.
    pub fn coin_delta_coefficient(&self, slot: usize, power: usize) -> I16F48 {
        self.series[slot].rows.at(power, lane::COIN_DELTA)
    }

    /// Writes what a tick reads afresh.
    fn publish(&mut self) {
        self.totals.greeks.write_scaled(self.lot, &mut self.rows);
        self.totals.bounds.write_scaled(self.lot, std::array::from_mut(&mut self.bounds));
        self.publish_puts();
    }

    fn publish_puts(&mut self) {
        self.puts = self.lot * self.put_lots as f64;
        self.put_strikes = self.lot * self.totals.put_strikes.value();
    }
}

/// Evaluates a book's anchors at their forwards and adds them up. Bit i of the second part is set where anchor i is
/// outside its window and is not in the sum: revalue its strip exactly and add that. At most 64 anchors.
pub fn evaluate_book<const ROWS: usize>(anchors: &[Anchor<ROWS>], forwards: &[f64]) -> (Exposure, u64) {
    assert!(anchors.len() == forwards.len() && anchors.len() <= 64);
    let mut lanes = Lanes::default();
    let (parity, missed) = sum_book(anchors, forwards, &mut lanes);
    (lanes.exposure(parity), missed)
}

/// Adds the greeks of every anchor inside its window to `lanes`; returns the others, one bit each.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn sum_book<const ROWS: usize>(anchors: &[Anchor<ROWS>], forwards: &[f64], lanes: &mut Lanes) -> (Parity, u64) {
    let (mut parity, mut missed) = (Parity::default(), 0);
    for (group, (anchors, forwards)) in anchors.chunks(LANES).zip(forwards.chunks(LANES)).enumerate() {
        // Eight anchors' places in their windows at once, a lane each; lanes beyond the last stay outside.
        let (mut at, mut forward, mut inv_half_window) = ([1.0; LANES], [1.0; LANES], [0.0; LANES]);
        for (i, (anchor, &now)) in anchors.iter().zip(forwards).enumerate() {
            (at[i], forward[i], inv_half_window[i]) = (anchor.forward, now, anchor.inv_half_window);
        }
        let (mut x, mut ratio) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..LANES {
            (x[i], ratio[i]) = place(at[i], forward[i], inv_half_window[i]);
        }
        for (i, anchor) in anchors.iter().enumerate() {
            if !anchor.is_inside(x[i]) {
                missed |= 1 << (group * LANES + i);
                continue;
            }
            anchor.add_at(x[i], lanes);
            parity.puts += anchor.puts;
            parity.put_strikes += anchor.put_strikes * ratio[i];
        }
    }
    (parity, missed)
}

/// Adds one anchor's greeks to `lanes`; `None` outside its window.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn evaluate<const ROWS: usize>(anchor: &Anchor<ROWS>, forward: f64, lanes: &mut Lanes) -> Option<Parity> {
    let (x, ratio) = place(anchor.forward, forward, anchor.inv_half_window);
    if !anchor.is_inside(x) {
        return None;
    }
    anchor.add_at(x, lanes);
    Some(Parity { puts: anchor.puts, put_strikes: anchor.put_strikes * ratio })
}

/// x = ln(F/F0)/h and F0/F. Two divisions: the second one waits for nothing, and nothing but parity waits for it.
#[inline(always)]
fn place(at: f64, forward: f64, inv_half_window: f64) -> (f64, f64) {
    // ln(F/F0) = 2 atanh z; within the widest window z² < 0.0026, and six terms leave 2e-17.
    let z = (forward - at) / (forward + at);
    let z2 = z * z;
    let z4 = z2 * z2;
    let low = (1.0 + z2 * (1.0 / 3.0)) + z4 * (1.0 / 5.0 + z2 * (1.0 / 7.0));
    let high = 1.0 / 9.0 + z2 * (1.0 / 11.0);
    ((2.0 * inv_half_window) * z * (low + z4 * z4 * high), at / forward)
}

impl<const ROWS: usize> Anchor<ROWS> {
    /// At the anchor itself x is 0 whether it holds or not.
    #[inline(always)]
    fn is_inside(&self, x: f64) -> bool {
        x.abs() <= 1.0 && self.inv_half_window > 0.0
    }

    /// Adds the greeks at x: four chains in x⁴, from the highest power down. Every lane does the same, which is what
    /// lets the compiler make vectors of them.
    #[inline(always)]
    fn add_at(&self, x: f64, lanes: &mut Lanes) {
        let x2 = x * x;
        let x4 = x2 * x2;
        let rows = &self.rows;
        for (g, lane) in lanes.0.iter_mut().enumerate() {
            let mut base = ROWS - 5;
            let mut c0 = rows[base + 4][g] * x4 + rows[base][g];
            let (mut c1, mut c2, mut c3) = (rows[base + 1][g], rows[base + 2][g], rows[base + 3][g]);
            while base > 0 {
                base -= 4;
                c0 = c0 * x4 + rows[base][g];
                c1 = c1 * x4 + rows[base + 1][g];
                c2 = c2 * x4 + rows[base + 2][g];
                c3 = c3 * x4 + rows[base + 3][g];
            }
            *lane += (c0 + c1 * x) + (c2 + c3 * x) * x2;
        }
    }
}

/// Greeks of calls.
#[derive(Default)]
#[repr(align(64))]
struct Lanes([f64; LANES]);

/// Puts, and puts × K/F.
#[derive(Clone, Copy, Default)]
struct Parity {
    puts: f64,
    put_strikes: f64,
}

impl Lanes {
    fn exposure(&self, parity: Parity) -> Exposure {
        let delta = self.0[lane::DELTA] - parity.puts;
        let coin_delta = self.0[lane::COIN_DELTA] - parity.put_strikes;
        Exposure {
            value: delta - coin_delta,
            delta,
            coin_delta,
            gamma: self.0[lane::GAMMA],
            vega: self.0[lane::VEGA],
            theta: self.0[lane::THETA],
            vanna: self.0[lane::VANNA],
            volga: self.0[lane::VOLGA],
            skew: self.0[lane::SKEW],
        }
    }
}

/// Where and how far strikes are expanded.
#[derive(Clone, Copy)]
struct Around {
    forward: f64,
    ln_forward: LnParts,
    half_window: f64,
}

/// Expands every strike and sums the series over lots and puts, a block at a time while it is in the nearest cache. False
/// when a coefficient does not fit.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn expand_all<const ROWS: usize>(
    blocks: &[Block],
    around: Around,
    lots: &[i64],
    puts: &[i64],
    (series, ratios): (&mut [Series<ROWS>], &mut [Coefficient]),
    totals: &mut Totals<ROWS>,
) -> bool {
    let (remainder, mut strikes) = (Remainder::new(around.half_window), Strikes::ZERO);
    *totals = Totals::ZERO;
    let held = lots.chunks(LANES).zip(puts.chunks(LANES));
    let expanded = series.chunks_mut(LANES).zip(ratios.chunks_mut(LANES));
    for ((block, (series, ratios)), (lots, puts)) in blocks.iter().zip(expanded).zip(held) {
        if !strikes.expand(block, around, &remainder, series, ratios) {
            return false;
        }
        totals.add(series, lots);
        for (&ratio, &puts) in ratios.iter().zip(puts) {
            totals.put_strikes.add(ratio, puts as i32);
        }
    }
    true
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn add_series<const ROWS: usize>(
    series: &Series<ROWS>,
    lots: i32,
    heavier: i32,
    lot: f64,
    totals: &mut Totals<ROWS>,
    rows: &mut [[f64; LANES]; ROWS],
    bounds: &mut [f64; LANES],
) {
    totals.greeks.add_and_write(&series.rows, lots, lot, rows);
    totals.bounds.add_and_write(&series.bound, heavier, lot, std::array::from_mut(bounds));
}

#[cfg(test)]
mod tests;
