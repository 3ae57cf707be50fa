//! Prices, quantities, times and identifiers: one integer newtype each.
//!
//! Everything that is counted, compared or added up in the pipeline is an integer, so a replay is exact and a sum does
//! not depend on its order. `f64` appears in `surface`, `pricing` and `hedge` mathematics alone; the conversions here
//! are the only doors between the two worlds, and each says how it rounds and when it refuses.

use std::fmt;

/// Units in one whole for every decimal integer of this crate: prices, quantities and coins all count 1e-9.
pub const ONE_E9: i64 = 1_000_000_000;

/// Nearest integer count of 1e-9 units, or `None` when `value` is not finite or beyond ±9.2e9.
#[inline]
fn to_e9(value: f64) -> Option<i64> {
    let scaled = value * ONE_E9 as f64;
    // 2^63 is exact in f64, so the comparison admits precisely the values that `as i64` represents, and no NaN.
    (scaled.abs() < 9_223_372_036_854_775_808.0).then(|| round(scaled) as i64)
}

/// The nearest integer, ties to the even one: a double of 2^52 or more is one, and adding 2^52 leaves a smaller one no bit
/// for its fraction. Without SSE4.1, which the baseline lacks, `round_ties_even` is a call into the C library.
#[inline]
fn round(value: f64) -> f64 {
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    let whole = WHOLE.copysign(value);
    if value.abs() < WHOLE { (value + whole) - whole } else { value }
}

/// Writes an e9 integer as a decimal without going through floating point, trailing zeros cut.
fn write_e9(f: &mut fmt::Formatter<'_>, value: i64) -> fmt::Result {
    let (whole, fraction) = (value.unsigned_abs() / ONE_E9 as u64, value.unsigned_abs() % ONE_E9 as u64);
    let sign = if value < 0 { "-" } else { "" };
    if fraction == 0 {
        return write!(f, "{sign}{whole}");
    }
    let (mut digits, mut width) = (fraction, 9);
    while digits % 10 == 0 {
        digits /= 10;
        width -= 1;
    }
    write!(f, "{sign}{whole}.{digits:0width$}")
}

/// A price in 1e-9 of the instrument's quote unit: dollars for futures and linear options, coins for inverse options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub i64);

impl Price {
    /// No price; also what a one-sided book shows on its empty side.
    pub const ZERO: Self = Self(0);

    /// Rounds to the nearest 1e-9; `None` for NaN, infinities and magnitudes of 9.2e9 or more.
    #[inline]
    pub fn from_f64(value: f64) -> Option<Self> {
        to_e9(value).map(Self)
    }

    /// The nearest double, for surface, pricing and hedge mathematics.
    #[inline]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / ONE_E9 as f64
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_e9(f, self.0)
    }
}

/// An amount as venues print it, in 1e-9 of the instrument's amount unit (dollars for inverse futures, else coins).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(pub i64);

impl Quantity {
    /// Rounds to the nearest 1e-9; `None` for NaN, infinities and magnitudes of 9.2e9 or more.
    #[inline]
    pub fn from_f64(value: f64) -> Option<Self> {
        to_e9(value).map(Self)
    }

    /// The nearest double, for pricing and hedge mathematics.
    #[inline]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / ONE_E9 as f64
    }

    /// Whole lots of `lot` contained in this amount, toward zero, and whether anything was left over. A lot that is
    /// not positive holds nothing.
    pub fn to_lots(self, lot: Quantity) -> (Lots, bool) {
        if lot.0 <= 0 {
            return (Lots(0), self.0 != 0);
        }
        (Lots(self.0 / lot.0), self.0 % lot.0 != 0)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_e9(f, self.0)
    }
}

/// A signed whole number of an instrument's lots, its smallest tradable amount. Positive is long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Lots(pub i64);

impl Lots {
    /// The size as events carry it: magnitude, saturated at `u32::MAX` lots.
    pub fn magnitude_u32(self) -> u32 {
        u32::try_from(self.0.unsigned_abs()).unwrap_or(u32::MAX)
    }

    /// The amount these lots stand for, saturated at the ends of `i64`.
    pub fn to_quantity(self, lot: Quantity) -> Quantity {
        Quantity(self.0.saturating_mul(lot.0))
    }
}

impl fmt::Display for Lots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An exposure in 1e-9 of the underlying's base coin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Coins(pub i64);

impl Coins {
    /// Rounds to the nearest 1e-9 coin; `None` for NaN, infinities and magnitudes of 9.2e9 or more.
    #[inline]
    pub fn from_f64(value: f64) -> Option<Self> {
        to_e9(value).map(Self)
    }

    /// The nearest double, for hedge mathematics.
    #[inline]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / ONE_E9 as f64
    }
}

impl fmt::Display for Coins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_e9(f, self.0)
    }
}

/// Nanoseconds since the Unix epoch: the pipeline's logical time, which arrives inside events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Nanoseconds in a millisecond.
    pub const PER_MILLI: u64 = 1_000_000;
    /// Nanoseconds in a second.
    pub const PER_SECOND: u64 = 1_000_000_000;
    /// Nanoseconds in a year of 365 days, the day count of crypto options.
    pub const PER_YEAR: u64 = 365 * 86_400 * Self::PER_SECOND;

    /// From whole seconds since the epoch.
    pub const fn from_secs(secs: u32) -> Self {
        Self(secs as u64 * Self::PER_SECOND)
    }

    /// From milliseconds since the epoch, saturated.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(Self::PER_MILLI))
    }

    /// Time from `earlier` to here, zero when it lies ahead.
    pub const fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Years from here to `later` (365 days), zero when it has passed.
    pub fn years_until(self, later: Nanos) -> f64 {
        later.since(self) as f64 / Self::PER_YEAR as f64
    }
}

/// A raw reading of the stamp counter. Only differences mean anything, and only `runtime` knows its rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(pub u64);

impl Ticks {
    /// Counter steps since `earlier`, saturated to what an event carries.
    pub fn since_u32(self, earlier: Ticks) -> u32 {
        u32::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(u32::MAX)
    }
}

/// Dense index of an instrument, given by `feed` in order of first listing; every stage indexes its tables with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstrumentId(pub u16);

impl InstrumentId {
    /// As a table index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Dense index of an underlying (one price index and settlement convention, such as `BTC_USD` or `ETH_USDC`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnderlyingId(pub u8);

impl UnderlyingId {
    /// As a table index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The venue's own number for an instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct VenueInstrumentId(pub u32);

/// Our number for an order, unique for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientOrderId(pub u64);

/// The venue's number for an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VenueOrderId(pub u64);

/// The venue's number for one fill; a fill is applied once per number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId(pub u64);

/// Which way an order, a fill or a book level faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    /// Bids; a buy adds to the position.
    Buy = 0,
    /// Asks; a sell takes from it.
    Sell = 1,
}

impl Side {
    /// The other one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// +1 for a buy, −1 for a sell.
    pub const fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn non_finite_and_oversized_doubles_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e10, -9.3e9] {
            assert_eq!(Price::from_f64(bad), None, "{bad}");
        }
        assert_eq!(Price::from_f64(9.2e9), Some(Price(9_200_000_000_000_000_000)));
        assert_eq!(Price::from_f64(-0.0005), Some(Price(-500_000)));
    }

    proptest! {
        #[test]
        fn rounding_is_that_of_the_standard_library(value in any::<f64>(), halves in -9_007_199_254_740_993_i64..9_007_199_254_740_993) {
            for value in [value, halves as f64 / 2.0, halves as f64 / 2e9] {
                let (own, theirs) = (round(value), value.round_ties_even());
                prop_assert!(own == theirs || value.is_nan(), "{} became {}, not {}", value, own, theirs);
            }
        }
    }

    #[test]
    fn decimals_print_as_a_desk_reads_them() {
        assert_eq!(Price(0).to_string(), "0");
        assert_eq!(Price(-500_000).to_string(), "-0.0005");
        assert_eq!(Quantity(26_012_500_000_000).to_string(), "26012.5");
        assert_eq!(Coins(i64::MIN).to_string(), "-9223372036.854775808");
    }

    #[test]
    fn lots_round_toward_zero_and_say_so() {
        let lot = Quantity(10 * ONE_E9);
        assert_eq!(Quantity(25 * ONE_E9).to_lots(lot), (Lots(2), true));
        assert_eq!(Quantity(-20 * ONE_E9).to_lots(lot), (Lots(-2), false));
        assert_eq!(Quantity(ONE_E9).to_lots(Quantity(0)), (Lots(0), true));
        assert_eq!(Lots(-3).magnitude_u32(), 3);
        assert_eq!(Lots(i64::MIN).magnitude_u32(), u32::MAX);
    }

    #[test]
    fn time_never_runs_below_zero() {
        assert_eq!(Nanos(5).since(Nanos(9)), 0);
        assert_eq!(Nanos(9).years_until(Nanos(5)), 0.0);
        assert_eq!(Nanos(0).years_until(Nanos(Nanos::PER_YEAR)), 1.0);
        assert_eq!(Ticks(1).since_u32(Ticks(2)), 0);
        assert_eq!(Ticks(u64::MAX).since_u32(Ticks(0)), u32::MAX);
    }
}
