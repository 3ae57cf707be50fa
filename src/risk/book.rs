//! What is held and what may be: positions, everything working, and the greeks of both, an underlying at a time.
//!
//! Fed with the events that reach the hedge and with every execution, so that it knows what the decision code knows
//! without asking it. Sizes are exact integers: a contract's amount is dollars (inverse futures) or coins (everything
//! else), and both are kept apart until a price is needed, so that no sum drifts. Working orders count in the direction
//! in which they push, all of one direction as filled and none of the other: the worst case of each.
//!
//! A table row of 96 bytes an instrument, allocated at construction; an event touches one row and one underlying, and
//! [`Body::Smile`] at most `EXPIRIES_MAX` entries of it.

use crate::event::Body;
use crate::instrument::{INSTRUMENTS_MAX, InstrumentKind, OptionKind, Payoff, UNDERLYINGS_MAX};
use crate::order::{AppliedFill, OrderStore};
use crate::table::table;
use crate::units::{Coins, InstrumentId, Lots, ONE_E9, Price, Side, UnderlyingId};

/// Expiries of an underlying whose vega is kept.
const EXPIRIES_MAX: usize = 64;

/// Coins and dollars, 1e-9 of each, not yet added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) coins: i128,
    pub(super) dollars: i128,
}

impl Amount {
    /// In quote currency at `spot`, 1e-18.
    #[inline]
    pub(super) fn notional_e18(self, spot: Price) -> i128 {
        match (i64::try_from(self.coins), i64::try_from(self.dollars)) {
            (Ok(coins), Ok(dollars)) => {
                i128::from(coins) * i128::from(spot.0) + i128::from(dollars) * i128::from(ONE_E9)
            }
            _ => self.large_notional_e18(spot),
        }
    }

    /// The same of sums beyond nine billion coins or dollars; above every limit where 128 bits do not hold it.
    #[cold]
    fn large_notional_e18(self, spot: Price) -> i128 {
        let coins = self.coins.checked_mul(i128::from(spot.0));
        let dollars = self.dollars.checked_mul(i128::from(ONE_E9));
        coins.zip(dollars).and_then(|(coins, dollars)| coins.checked_add(dollars)).unwrap_or(i128::MAX)
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        Self { coins: self.coins + other.coins, dollars: self.dollars + other.dollars }
    }

    /// Both together, or as much as 128 bits hold: to be compared, not to be taken back.
    #[inline]
    pub(super) fn saturating_plus(self, other: Self) -> Self {
        Self { coins: self.coins.saturating_add(other.coins), dollars: self.dollars.saturating_add(other.dollars) }
    }
}

/// The same in words, of one lot: one of the two is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) coins: i64,
    pub(super) dollars: i64,
}

impl Unit {
    #[inline]
    pub(super) fn times(self, lots: i64) -> Amount {
        let lots = i128::from(lots);
        Amount { coins: i128::from(self.coins) * lots, dollars: i128::from(self.dollars) * lots }
    }

    /// Which way a lot bought pushes.
    #[inline]
    pub(super) fn sign(self) -> i64 {
        (self.coins | self.dollars).signum()
    }
}

/// What one lot adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PerLot {
    pub(super) delta: Unit,
    /// Coins per unit of ln(spot), 1e-9.
    pub(super) log_gamma: i64,
    /// Coins per 1.00 of volatility, 1e-9.
    pub(super) vega: i64,
}

/// What pushes a greek up and what pushes it down, each as a magnitude.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pushes<T> {
    pub(super) up: T,
    pub(super) down: T,
}

/// What working orders would add if they filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Working {
    pub(super) delta: Pushes<Amount>,
    pub(super) log_gamma: Pushes<i128>,
    pub(super) vega: Pushes<i128>,
}

/// One instrument.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) underlying: UnderlyingId,
    pub(super) is_option: bool,
    /// Whether `per_lot` is known: of options, once the greeks have told.
    pub(super) is_valued: bool,
    pub(super) expiry_s: u32,
    pub(super) position: i64,
    /// Middle of its last sound book.
    pub(super) mid: Price,
    /// Amount of one lot.
    pub(super) lot: Unit,
    pub(super) per_lot: PerLot,
    /// Lots of it among what its underlying counts as working: buying, selling.
    counted: [u64; 2],
}

/// One underlying.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) spot: Price,
    /// Of the whole book, 1e-9 coins.
    pub(super) net_delta: i128,
    pub(super) log_gamma: i128,
    pub(super) vega: i128,
    /// Sizes of all positions and of everything working, whichever way they push.
    pub(super) gross: Amount,
    /// Of them, of futures.
    pub(super) futures: Amount,
    pub(super) working: Working,
    by_expiry: arrayvec::ArrayVec<(u32, i64), EXPIRIES_MAX>,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            spot: Price::ZERO,
            net_delta: 0,
            log_gamma: 0,
            vega: 0,
            gross: Amount::default(),
            futures: Amount::default(),
            working: Working::default(),
            by_expiry: arrayvec::ArrayVec::new_const(),
        }
    }
}

/// The book.
#[derive(Clone, Debug)]
pub(super) struct Book {
    held: Box<[Held; INSTRUMENTS_MAX]>,
    groups: [Group; UNDERLYINGS_MAX],
}

impl Book {
    /// Nothing held. Allocates all it will ever use.
    pub(super) fn new() -> Self {
        Self { held: table(Held::default()), groups: Default::default() }
    }

    #[inline]
    pub(super) fn held(&self, instrument: InstrumentId) -> Option<&Held> {
        self.held.get(instrument.index())
    }

    #[inline]
    pub(super) fn group(&self, underlying: UnderlyingId) -> Option<&Group> {
        self.groups.get(underlying.index())
    }

    /// Takes in what an event says of instruments, positions and greeks.
    #[inline]
    pub(super) fn see(&mut self, body: &Body) {
        match *body {
            Body::Exposure { underlying, net_delta, log_gamma, spot, .. } => {
                if let Some(group) = self.groups.get_mut(underlying.index()) {
                    (group.net_delta, group.log_gamma) = (i128::from(net_delta.0), i128::from(log_gamma.0));
                    group.spot = spot;
                }
            }
            Body::Smile { underlying, expiry_s, vega, .. } => {
                if let Some(group) = self.groups.get_mut(underlying.index()) {
                    group.see_vega(expiry_s, to_e9(f64::from(vega)));
                }
            }
            Body::Unit { instrument, delta, log_gamma, vega, .. } => {
                // A future's lot is worth what it is, whatever is told.
                if let Some(held) = self.held.get_mut(instrument.index()).filter(|held| held.is_option) {
                    let delta = Unit { coins: to_e9(delta), dollars: 0 };
                    let (log_gamma, vega) = (to_e9(f64::from(log_gamma)), to_e9(f64::from(vega)));
                    held.is_valued = true;
                    let group = &mut self.groups[held.underlying.index()];
                    group.revalue(held, PerLot { delta, log_gamma, vega });
                }
            }
            Body::Listed { .. } => self.list(body),
            Body::Position { instrument, lots } => self.add(instrument, lots),
            _ => {}
        }
    }

    /// Enters an instrument, or enters it anew: what is held and works then counts by its new terms. Of an option whose lot
    /// became another, nothing is known until the greeks have told.
    fn list(&mut self, body: &Body) {
        let Body::Listed { instrument, underlying, kind, payoff, option, expiry_s, lot, .. } = *body else { return };
        let Some(held) = self.held.get_mut(instrument.index()) else { return };
        if underlying.index() >= self.groups.len() {
            return;
        }
        let is_option = kind == InstrumentKind::Option;
        let in_dollars = payoff == Payoff::Inverse && !is_option;
        let lot = if in_dollars { Unit { coins: 0, dollars: lot.0 } } else { Unit { coins: lot.0, dollars: 0 } };
        self.groups[held.underlying.index()].count_all(held, -1);
        held.is_valued &= (held.underlying, held.is_option, held.lot) == (underlying, is_option, lot);
        (held.underlying, held.is_option, held.lot, held.expiry_s) = (underlying, is_option, lot, expiry_s);
        if !is_option {
            held.per_lot = PerLot { delta: lot, log_gamma: 0, vega: 0 };
            held.is_valued = true;
        } else if !held.is_valued {
            // Until the greeks tell, the most an option's delta can be.
            let coins = if option == Some(OptionKind::Put) { lot.coins.saturating_neg() } else { lot.coins };
            held.per_lot.delta = Unit { coins, dollars: 0 };
        }
        self.groups[underlying.index()].count_all(held, 1);
    }

    /// Adds to a position, and to what is held gross.
    fn add(&mut self, instrument: InstrumentId, lots: i64) {
        let Some(held) = self.held.get_mut(instrument.index()) else { return };
        let before = held.position.saturating_abs();
        held.position = held.position.saturating_add(lots);
        self.groups[held.underlying.index()].grow(held, held.position.saturating_abs() - before);
    }

    /// Takes in the middle of a sound book.
    #[inline]
    pub(super) fn see_mid(&mut self, instrument: InstrumentId, bid: Price, ask: Price) {
        if let Some(held) = self.held.get_mut(instrument.index()) {
            held.mid = Price(bid.0 / 2 + ask.0 / 2);
        }
    }

    /// Takes in an execution. Its greeks count at once; the next exposure says the same more precisely.
    pub(super) fn execute(&mut self, fill: &AppliedFill) {
        self.add(fill.instrument, fill.signed_lots());
        let Some(held) = self.held.get(fill.instrument.index()).copied() else { return };
        let group = &mut self.groups[held.underlying.index()];
        let delta = held.per_lot.delta.times(fill.signed_lots());
        let lots = i128::from(fill.signed_lots());
        // Dollars become coins at the spot of the last exposure; before one there is nothing to add to.
        if group.spot.0 > 0 {
            group.net_delta += delta.coins + delta.dollars * i128::from(ONE_E9) / i128::from(group.spot.0);
        }
        group.log_gamma += i128::from(held.per_lot.log_gamma) * lots;
        if let Some((_, vega)) = group.by_expiry.iter_mut().find(|(expiry_s, _)| *expiry_s == held.expiry_s) {
            let change = i128::from(held.per_lot.vega) * lots;
            *vega = vega.saturating_add(change.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64);
            group.vega += change;
        }
    }

    /// Counts what changed in an instrument's working orders.
    #[inline]
    pub(super) fn count(&mut self, instrument: InstrumentId, orders: &OrderStore) {
        self.count_side(instrument, Side::Buy, orders);
        self.count_side(instrument, Side::Sell, orders);
    }

    /// The same of one side of them.
    #[inline(always)]
    pub(super) fn count_side(&mut self, instrument: InstrumentId, side: Side, orders: &OrderStore) {
        let Some(held) = self.held.get_mut(instrument.index()) else { return };
        let working = orders.working_on(instrument, side);
        let counted = std::mem::replace(&mut held.counted[side as usize], working);
        if counted != working {
            self.groups[held.underlying.index()].work(held, side, working as i64 - counted as i64);
        }
    }

    /// Position in a contract.
    pub(super) fn position(&self, instrument: InstrumentId) -> Lots {
        Lots(self.held(instrument).map_or(0, |held| held.position))
    }
}

impl Group {
    /// So many lots of an instrument more may be held, or fewer.
    #[inline(always)]
    fn grow(&mut self, held: &Held, lots: i64) {
        let size = held.lot.times(lots);
        self.gross = self.gross.plus(size);
        if !held.is_option {
            self.futures = self.futures.plus(size);
        }
    }

    /// Counts all of an instrument that is held and works (`sign` of 1), or takes it out again (-1).
    fn count_all(&mut self, held: &Held, sign: i64) {
        self.grow(held, sign * held.position.saturating_abs());
        self.work_all(held, sign);
    }

    /// The same of what works alone.
    fn work_all(&mut self, held: &Held, sign: i64) {
        let [buying, selling] = held.counted;
        self.work(held, Side::Buy, sign * buying as i64);
        self.work(held, Side::Sell, sign * selling as i64);
    }

    /// So many lots of an instrument more work on one side, or fewer.
    #[inline(always)]
    fn work(&mut self, held: &Held, side: Side, lots: i64) {
        self.grow(held, lots);
        if held.is_option {
            self.work_option(&held.per_lot, side, lots);
        } else {
            let pushed = direction(&mut self.working.delta, side, false);
            *pushed = pushed.plus(held.lot.times(lots));
        }
    }

    fn work_option(&mut self, per_lot: &PerLot, side: Side, lots: i64) {
        let working = &mut self.working;
        let sign = per_lot.delta.sign();
        let pushed = direction(&mut working.delta, side, sign < 0);
        *pushed = pushed.plus(per_lot.delta.times(sign * lots));
        let of = |greek: i64| i128::from(greek).abs() * i128::from(lots);
        *direction(&mut working.log_gamma, side, per_lot.log_gamma < 0) += of(per_lot.log_gamma);
        *direction(&mut working.vega, side, per_lot.vega < 0) += of(per_lot.vega);
    }

    /// A lot of an instrument is worth something else, those working included.
    fn revalue(&mut self, held: &mut Held, per_lot: PerLot) {
        self.work_all(held, -1);
        held.per_lot = per_lot;
        self.work_all(held, 1);
    }

    fn see_vega(&mut self, expiry_s: u32, vega: i64) {
        match self.by_expiry.iter_mut().find(|(known, _)| *known == expiry_s) {
            Some((_, known)) => *known = vega,
            None => {
                if self.by_expiry.is_full() {
                    // The soonest has expired, or will before anything else does.
                    let soonest = (0..EXPIRIES_MAX).min_by_key(|at| self.by_expiry[*at].0).unwrap_or_default();
                    self.by_expiry.swap_remove(soonest);
                }
                self.by_expiry.push((expiry_s, vega));
            }
        }
        self.vega = self.by_expiry.iter().map(|(_, vega)| i128::from(*vega)).sum();
    }
}

/// Where buying or selling something of this sign pushes.
#[inline(always)]
fn direction<T>(pushes: &mut Pushes<T>, side: Side, is_negative: bool) -> &mut T {
    if (side == Side::Buy) != is_negative { &mut pushes.up } else { &mut pushes.down }
}

/// Nearest 1e-9, zero for what is no number and the bounds for what is too large: a greek, never a price.
fn to_e9(value: f64) -> i64 {
    Coins::from_f64(value).map_or(
        if value > 0.0 {
            i64::MAX
        } else if value < 0.0 {
            i64::MIN
        } else {
            0
        },
        |c| c.0,
    )
}

const _: () = assert!(size_of::<Held>() <= 96);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greeks_beyond_a_word_are_its_ends_and_what_is_no_number_is_nothing() {
        let e9 = [1e30, f64::INFINITY, -1e30, f64::NEG_INFINITY, f64::NAN, 0.25, 0.0].map(to_e9);
        assert_eq!(e9, [i64::MAX, i64::MAX, i64::MIN, i64::MIN, 0, 250_000_000, 0]);
    }
}
