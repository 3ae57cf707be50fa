//! Fixed-point sums of greeks.
//!
//! A greek per lot is a [`Coefficient`] (16 integer bits, 48 fractional), a book's greek a [`Sum`] of lots times
//! coefficients (80 integer bits, 48 fractional). Adding a position and taking it away again leaves the sum bit for bit
//! as it was, and no order of fills changes it; an `f64` sum offers neither.
//!
//! **Overflow** is impossible within three limits, each checked where a number enters: at most [`LOTS_MAX`] lots a
//! position, coefficients within ±2^15, at most 2^16 positions. 40 + 15 + 16 = 71 bits, of 79 there are.

use fixed::types::extra::U48;
use fixed::{FixedI64, FixedI128};

use crate::units::{Coins, ONE_E9};

/// A greek per lot, in coins (or another unit the caller keeps to).
pub type Coefficient = FixedI64<U48>;

/// Largest position, in lots of either sign.
pub const LOTS_MAX: i64 = 1 << 40;

/// Half the spacing of coefficients: the rounding error of one.
pub const COEFFICIENT_ERROR: f64 = 1.0 / (1u64 << 49) as f64;

const COEFFICIENT_MAX: i128 = 1 << 15;
const POSITIONS_MAX: i128 = 1 << 16;
const _: () = assert!((LOTS_MAX as i128) * COEFFICIENT_MAX * POSITIONS_MAX < 1 << 79);

/// The nearest coefficient; `None` for what is not finite or not below 2^15 in magnitude.
pub(super) fn coefficient(value: f64) -> Option<Coefficient> {
    if value.is_finite() { Coefficient::checked_from_num(value) } else { None }
}

/// A sum of lots times coefficients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(FixedI128<U48>);

impl Sum {
    /// Adds `lots` times `coefficient`; negative lots take away. `lots` lies within ±[`LOTS_MAX`].
    pub fn add(&mut self, lots: i64, coefficient: Coefficient) {
        debug_assert!(lots.abs() <= LOTS_MAX);
        self.0 += FixedI128::from_bits(i128::from(coefficient.to_bits()) * i128::from(lots));
    }

    /// A double cut to 48 fractional bits; `None` for what is not finite or not below 2^67 in magnitude.
    pub(super) fn of(value: f64) -> Option<Self> {
        // Scaling by a power of two is exact.
        let is_sane = value.abs() < (1u128 << 67) as f64;
        is_sane.then(|| Self(FixedI128::from_bits((value * (1u64 << 48) as f64) as i128)))
    }

    /// Coins, cut to 48 fractional bits.
    pub(super) fn of_coins(coins: Coins) -> Self {
        Self(FixedI128::from_bits((i128::from(coins.0) << 48) / i128::from(ONE_E9)))
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: Sum) {
        self.0 += other.0;
    }

    /// The nearest 1e-9, or `None` beyond what [`Coins`] holds.
    pub fn to_coins(self) -> Option<Coins> {
        // Magnitudes below 2^34 whole coins leave room for the multiplication by 1e9.
        let bits = self.0.to_bits();
        if bits.unsigned_abs() >= 1 << (34 + 48) {
            return None;
        }
        let scaled = (bits * i128::from(ONE_E9) + (1 << 47)) >> 48;
        i64::try_from(scaled).ok().map(Coins)
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        self.0.to_num()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nonsense_is_no_coefficient() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 32_768.0, -32_768.1, 1e300] {
            assert_eq!(coefficient(bad), None, "{bad}");
        }
        assert_eq!(coefficient(-32_768.0), Some(Coefficient::MIN));
        assert_eq!(coefficient(0.5).unwrap().to_num::<f64>(), 0.5);
    }

    #[test]
    fn the_largest_book_there_can_be_does_not_overflow() {
        let mut sum = Sum::default();
        for _ in 0..POSITIONS_MAX {
            sum.add(-LOTS_MAX, Coefficient::MIN);
        }
        assert_eq!(sum.to_f64(), 2f64.powi(71));
        assert_eq!(sum.to_coins(), None);
    }

    #[test]
    fn coins_round_to_the_nearest() {
        let mut sum = Sum::default();
        sum.add(1, coefficient(1.6e-9).unwrap());
        assert_eq!(sum.to_coins(), Some(Coins(2)));
        sum.add(-2, coefficient(1.6e-9).unwrap());
        assert_eq!(sum.to_coins(), Some(Coins(-2)));
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_removal_is_exact(
            terms in prop::collection::vec((-LOTS_MAX..=LOTS_MAX, -3e4f64..3e4), 1..50), cut in 0usize..50,
        ) {
            let terms: Vec<_> = terms.into_iter().map(|(lots, value)| (lots, coefficient(value).unwrap())).collect();
            let (mut forth, mut back) = (Sum::default(), Sum::default());
            terms.iter().for_each(|&(lots, c)| forth.add(lots, c));
            terms.iter().rev().for_each(|&(lots, c)| back.add(lots, c));
            prop_assert_eq!(forth, back);
            let kept = cut % terms.len();
            terms[kept..].iter().for_each(|&(lots, c)| forth.add(-lots, c));
            let mut short = Sum::default();
            terms[..kept].iter().for_each(|&(lots, c)| short.add(lots, c));
            prop_assert_eq!(forth, short);
        }
    }
}
