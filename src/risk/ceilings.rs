//! The limits on sizes and greeks, in the units in which sums are held against them.
//!
//! Sums are exact, quote currency in 1e-18, and may take 128 bits. Coins and dollars by themselves nearly always fit a word,
//! and an order in a future is first held against its limits in words that are multiplied into 128 bits once. What does not
//! fit, does not pass by that, or is an option goes the long way, which also finds the reason.
//!
//! Constant time, no division.

use super::book::{Amount, Group, Held, Pushes};
use super::gate::Asked;
use super::{Limits, Refusal, refuse_if};
use crate::canary::canary;
use crate::units::{ONE_E9, Price, Side};

const E9: i128 = ONE_E9 as i128;

/// Of a word that takes part in the short way.
const BITS: u32 = 62;

/// The limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ceilings {
    /// Quote currency, 1e-18.
    order: i128,
    position: i128,
    gross: i128,
    delta: i128,
    /// Notional of futures whose margin is still within the credit: each whole unit of 1e-9 asks for its rate.
    futures: i128,
    /// Coins times quote currency, 1e-18, for a move of 1.00.
    gamma: i128,
    vega: i128,
}

/// What an order comes on top of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present<'a> {
    pub(super) held: &'a Held,
    pub(super) group: &'a Group,
    pub(super) spot: Price,
    /// Lots of its instrument that work on its side.
    pub(super) working: u64,
    /// Whether only what takes the delta toward zero may pass.
    pub(super) must_reduce: bool,
}

impl Ceilings {
    /// Holds an order with everything held and working against every limit on sizes and greeks.
    #[inline(always)]
    pub(super) fn admit(&self, asked: Asked, on: Present<'_>) -> Result<(), Refusal> {
        if self.surely_admits(asked, on) { Ok(()) } else { self.verdict(asked, on) }
    }

    /// Whether an order in a future is within every limit, worked out from words. No may still be yes.
    #[inline(always)]
    fn surely_admits(&self, asked: Asked, on: Present<'_>) -> bool {
        !on.held.is_option && !on.must_reduce && self.fits(asked, on).unwrap_or(false)
    }

    /// The same; `None` where something is beyond 62 bits. Looks at an amendment as at an order that adds all of its lots, and
    /// leaves out what takes from a sum.
    #[inline(always)]
    fn fits(&self, asked: Asked, on: Present<'_>) -> Option<bool> {
        let Present { held, group, spot, working, .. } = on;
        let (lots, sign) = (i64::from(asked.lots), asked.side.sign());
        // A lot of a future is worth its delta, and is of coins or of dollars.
        let (lot, worth) = (held.lot.coins | held.lot.dollars, if held.lot.dollars == 0 { spot.0 } else { ONE_E9 });
        let size = lot.checked_mul(lots)?;
        let working = working as i64;
        let worst = held.position.checked_mul(sign)?.checked_add(working.wrapping_add(lots))?;
        let worst = lot.checked_mul(worst.max(0))?;

        let pushed = if asked.side == Side::Buy { &group.working.delta.up } else { &group.working.delta.down };
        let toward = i64::try_from(group.net_delta).ok()?.checked_mul(sign)?.max(0);
        let sums = group.gross.coins | group.gross.dollars | pushed.coins | pushed.dollars;
        if (lot | size | working | toward) >> BITS != 0 || sums >> BITS != 0 {
            return None;
        }
        // Nothing is negative from here on, and no sum of products reaches 2^127.
        let order = product(size, worth);
        let and_order = |coins: i64, dollars: i64| product(coins, spot.0) + product(dollars, ONE_E9) + order;
        let gross = and_order(group.gross.coins as i64, group.gross.dollars as i64);
        let delta = and_order(pushed.coins as i64 + toward, pushed.dollars as i64);
        let fits =
            order <= self.order && product(worst, worth) <= self.position && gross <= self.gross && delta <= self.delta;
        // Futures are no more than everything is.
        let Amount { coins, dollars } = group.futures;
        let is_in_words = || (coins | dollars) >> BITS == 0;
        Some(
            fits && (gross <= self.futures || is_in_words() && and_order(coins as i64, dollars as i64) <= self.futures),
        )
    }

    /// The verdict, and why not.
    #[inline(never)]
    fn verdict(&self, asked: Asked, on: Present<'_>) -> Result<(), Refusal> {
        self.admit_sizes(&asked, &on)?;
        self.admit_delta(&asked, &on)?;
        if on.held.is_option { self.admit_curvature(&asked, &on) } else { Ok(()) }
    }

    /// The order by itself, with what its instrument holds and works on its side, and with all that its underlying does.
    /// What reduces is never refused for being too much of that.
    fn admit_sizes(&self, asked: &Asked, on: &Present<'_>) -> Result<(), Refusal> {
        let Present { held, group, spot, working, .. } = *on;
        let (more, sign) = (i64::from(asked.more), asked.side.sign());
        let notional = |lots: i64| held.lot.times(lots).notional_e18(spot);
        refuse_if(notional(i64::from(asked.lots)) > self.order, Refusal::Notional)?;
        // Reducing a position is never a larger worst case than what remains of it: what counts is where it may end, on the
        // side the order pushes to.
        let worst = held.position.saturating_mul(sign).saturating_add_unsigned(working + u64::from(asked.more));
        let is_over = notional(worst.max(0)) > self.position && !canary!(IgnoredLimit);
        refuse_if(is_over, Refusal::Position)?;
        let reduces = held.position.signum() * sign < 0 && (1..=held.position.saturating_abs()).contains(&more);
        if reduces {
            return Ok(());
        }
        let size = held.lot.times(more);
        refuse_if(group.gross.saturating_plus(size).notional_e18(spot) > self.gross, Refusal::Gross)?;
        let futures = if held.is_option { group.futures } else { group.futures.saturating_plus(size) };
        refuse_if(futures.notional_e18(spot) > self.futures, Refusal::Credit)
    }

    /// The net delta in the direction in which the order pushes it.
    fn admit_delta(&self, asked: &Asked, on: &Present<'_>) -> Result<(), Refusal> {
        let Present { group, must_reduce, .. } = *on;
        let (delta, more) = (on.held.per_lot.delta, i64::from(asked.more));
        let direction = if more == 0 { 0 } else { delta.sign() * asked.side.sign() };
        let toward = Amount { coins: group.net_delta * i128::from(direction), dollars: 0 };
        let pushed = if direction > 0 { group.working.delta.up } else { group.working.delta.down };
        let worst =
            toward.saturating_plus(pushed).saturating_plus(delta.times(delta.sign() * more)).notional_e18(on.spot);
        // Toward zero, and with everything working in the order's direction not through it.
        refuse_if(must_reduce && (toward.coins >= 0 || worst > 0), Refusal::ReduceOnly)?;
        refuse_if(direction != 0 && worst > self.delta, Refusal::Delta)
    }

    /// Gamma and vega in the direction in which an order in an option pushes them.
    fn admit_curvature(&self, asked: &Asked, on: &Present<'_>) -> Result<(), Refusal> {
        let Present { held, group, spot, .. } = *on;
        let (per_lot, spot_e9) = (&held.per_lot, i128::from(spot.0));
        let signed = i128::from(asked.side.sign()) * i128::from(asked.more);
        let gamma = worst(group.log_gamma, i128::from(per_lot.log_gamma) * signed, &group.working.log_gamma);
        refuse_if(gamma.saturating_mul(spot_e9) > self.gamma, Refusal::Gamma)?;
        let vega = worst(group.vega, i128::from(per_lot.vega) * signed, &group.working.vega);
        refuse_if(vega.saturating_mul(spot_e9) > self.vega, Refusal::Vega)
    }
}

impl From<&Limits> for Ceilings {
    fn from(limits: &Limits) -> Self {
        let e18 = |e9: i64| i128::from(e9) * E9;
        let units = e18(limits.credit_max_e9).checked_div(i128::from(limits.margin_rate_e9.max(0)));
        let [order, position] = [e18(limits.order_notional_max_e9), e18(limits.position_notional_max_e9)];
        let [gross, delta] = [e18(limits.gross_notional_max_e9), e18(limits.delta_notional_max_e9)];
        let futures = units.map_or(i128::MAX, |units| (units + 1) * E9 - 1);
        Self {
            order,
            position,
            gross,
            delta,
            futures,
            gamma: e18(limits.gamma_notional_max_e9) * 100,
            vega: e18(limits.vega_max_e9) * 100,
        }
    }
}

/// Of two that are not negative. As unsigned words they take one multiplication.
#[inline(always)]
fn product(one: i64, other: i64) -> i128 {
    (u128::from(one as u64) * u128::from(other as u64)) as i128
}

/// How far a sum may go in the direction of `change`, if everything working that pushes there fills too.
#[inline]
fn worst(sum: i128, change: i128, working: &Pushes<i128>) -> i128 {
    match change {
        0 => 0,
        1.. => sum.saturating_add(working.up).saturating_add(change),
        _ => sum.saturating_neg().saturating_add(working.down).saturating_sub(change),
    }
}

#[cfg(test)]
mod tests {
    use super::super::book::Unit;
    use super::*;
    use proptest::prelude::*;

    /// Any magnitude as likely as any other.
    fn some() -> impl Strategy<Value = i64> {
        (0..63u32, any::<u64>()).prop_map(|(bits, x)| (x >> (63 - bits) >> 1) as i64)
    }

    fn signed() -> impl Strategy<Value = i64> {
        (some(), any::<bool>()).prop_map(|(x, is_negative)| if is_negative { -x } else { x })
    }

    /// Beyond a word now and then.
    fn wide() -> impl Strategy<Value = i128> {
        (signed(), prop_oneof![9 => Just(0), 1 => 0..40u32]).prop_map(|(x, bits)| i128::from(x) << bits)
    }

    fn amount() -> impl Strategy<Value = Amount> {
        (wide(), wide()).prop_map(|(coins, dollars)| Amount { coins, dollars })
    }

    fn asked() -> impl Strategy<Value = Asked> {
        let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
        (side, 1..62u32, any::<u32>()).prop_map(|(side, bits, x)| Asked::of(side, x >> (bits / 2)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]
        #[test]
        fn what_passes_in_words_passes_the_long_way(
            limits in prop::array::uniform5(some()), lot in some(), in_dollars: bool, asked in asked(), spot in some(),
            (position, net_delta, working) in (signed(), wide(), any::<u32>()),
            options in amount(), futures in amount(), (up, down) in (amount(), amount()),
        ) {
            let [order, position_max, gross_max, delta, credit] = limits;
            let ceilings = Ceilings::from(&Limits {
                order_notional_max_e9: order,
                position_notional_max_e9: position_max,
                gross_notional_max_e9: gross_max,
                delta_notional_max_e9: delta,
                credit_max_e9: credit,
                ..Limits::default()
            });
            let (mut held, mut group) = (Held::default(), Group::default());
            held.lot = if in_dollars { Unit { coins: 0, dollars: lot } } else { Unit { coins: lot, dollars: 0 } };
            (held.per_lot.delta, held.position) = (held.lot, position);
            let gross = futures.saturating_plus(Amount { coins: options.coins.abs(), dollars: options.dollars.abs() });
            (group.net_delta, group.gross, group.futures) = (net_delta, gross, futures);
            group.working.delta = Pushes { up, down };
            let (spot, working) = (Price(spot.max(1)), u64::from(working));
            let present = Present { held: &held, group: &group, spot, working, must_reduce: false };
            if ceilings.surely_admits(asked, present) {
                prop_assert_eq!(ceilings.verdict(asked, present), Ok(()));
            }
        }
    }

    fn at<'a>(held: &'a Held, group: &'a Group) -> Present<'a> {
        Present { held, group, spot: Price(100_000 * ONE_E9), working: 0, must_reduce: false }
    }

    #[test]
    fn what_no_word_can_hold_is_above_every_limit() {
        let ceilings = Ceilings::from(&Limits { gross_notional_max_e9: i64::MAX, ..Limits::default() });
        let (mut held, mut group) = (Held::default(), Group::default());
        held.lot = Unit { coins: ONE_E9, dollars: 0 };
        held.per_lot.delta = held.lot;
        for coins in [1 << 80, 1 << 100, i128::MAX] {
            group.gross = Amount { coins, dollars: 0 };
            assert_eq!(ceilings.admit(Asked::of(Side::Buy, 1), at(&held, &group)), Err(Refusal::Gross), "{coins}");
        }
        (group.gross, group.net_delta) = (Amount::default(), 1 << 100);
        assert_eq!(ceilings.admit(Asked::of(Side::Buy, 1), at(&held, &group)), Err(Refusal::Delta));
    }

    #[test]
    fn an_order_well_within_its_limits_takes_the_short_way_and_one_beyond_has_its_reason() {
        let ceilings = Ceilings::from(&Limits::default());
        let (mut held, mut group) = (Held::default(), Group::default());
        held.lot = Unit { coins: 0, dollars: 10 * ONE_E9 };
        held.per_lot.delta = held.lot;
        assert!(ceilings.surely_admits(Asked::of(Side::Buy, 100_000), at(&held, &group)));
        assert!(ceilings.surely_admits(Asked::of(Side::Sell, 500_000), at(&held, &group)));
        assert_eq!(ceilings.admit(Asked::of(Side::Sell, 500_001), at(&held, &group)), Err(Refusal::Notional));
        group.gross.dollars = i128::from(1_000_000_000 - 10) * E9;
        assert!(ceilings.surely_admits(Asked::of(Side::Buy, 1), at(&held, &group)));
        assert_eq!(ceilings.admit(Asked::of(Side::Buy, 2), at(&held, &group)), Err(Refusal::Gross));
    }
}
