//! Per-lot coefficients and their sums over positions, in fixed point with 48 fractional bits.
//!
//! A coefficient is an `I16F48`, a sum an `I80F48`; adding lots × coefficient and taking the same away again restores
//! every bit, and no order of fills differs from another, which an `f64` sum cannot promise. A 64 × 64-bit product has no
//! vector instruction, so a coefficient c = high × 2^32 + low is multiplied by halves, each signed and of 32 bits, and
//! each half is summed for itself, without carries between them. With at most [`LOTS_MAX`] gross lots neither sum can
//! leave ±2^62.

use fixed::types::{I16F48, I80F48};

/// Coefficients of one power, or sums of them: one lane a greek.
pub(super) const LANES: usize = 8;
/// Gross lots that sums have room for.
pub(super) const LOTS_MAX: i64 = i32::MAX as i64;
/// Magnitude below which every coefficient must lie.
const COEFFICIENT_MAX: f64 = 32_767.0;
/// Magnitude below which one addition rounds a value to fixed point.
const SMALL_MAX: f64 = 8.0;
/// 1.5 × 2^4: a double between 2^4 and 2^5 has 48 fractional bits. 1.5 × 2^36: between 2^36 and 2^37 it has 16.
const ROUND_48: f64 = 24.0;
const ROUND_16: f64 = 103_079_215_104.0;
const TWO_POW_16: f64 = 65_536.0;
pub(super) const TWO_POW_32: f64 = 4_294_967_296.0;
/// One unit of a coefficient's last place.
pub(super) const ULP: f64 = 1.0 / (TWO_POW_16 * TWO_POW_32);

/// One coefficient, as the bits of `I16F48`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coefficient(i64);

impl Coefficient {
    pub(super) const ZERO: Self = Self(0);

    /// The nearest to a value that is [`in_range`].
    #[inline(always)]
    pub(super) fn of(value: f64) -> Self {
        Self(bits_of_wide(value))
    }
}

/// Coefficients of every power, eight a power, as the bits of `I16F48`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Coefficients<const ROWS: usize>([[i64; LANES]; ROWS]);

impl<const ROWS: usize> Coefficients<ROWS> {
    pub(super) const ZERO: Self = Self([[0; LANES]; ROWS]);

    /// Sets all to the nearest fixed-point values, ties to even. A value that is not [`in_range`] comes out as anything,
    /// and so does one that is not [`is_small`] where `SMALL` says that all are; the bits are the same either way.
    #[inline(always)]
    pub(super) fn set<const SMALL: bool>(&mut self, values: &[[f64; LANES]; ROWS]) {
        for (bits, &value) in self.0.as_flattened_mut().iter_mut().zip(values.as_flattened()) {
            *bits = if SMALL { bits_of(value) } else { bits_of_wide(value) };
        }
    }

    /// The bits of one coefficient.
    #[inline(always)]
    pub(super) fn bits(&self, power: usize, lane: usize) -> i64 {
        self.0[power][lane]
    }

    /// One coefficient as the `fixed` crate's type.
    pub(super) fn at(&self, power: usize, lane: usize) -> I16F48 {
        I16F48::from_bits(self.0[power][lane])
    }
}

/// Whether a value fits a coefficient; false for NaN.
#[inline(always)]
pub(super) fn in_range(value: f64) -> bool {
    value.abs() < COEFFICIENT_MAX
}

/// Whether a value may be set as a small one; false for NaN.
#[inline(always)]
pub(super) fn is_small(value: f64) -> bool {
    value.abs() < SMALL_MAX
}

/// A small value's coefficient: rounded, it stands in the low bits of its sum with [`ROUND_48`].
#[inline(always)]
fn bits_of(value: f64) -> i64 {
    ((value + ROUND_48).to_bits() as i64).wrapping_sub(ROUND_48.to_bits() as i64)
}

/// Any value's: what is whole in units of 2^-16, and the rest, which is small and exact.
#[inline(always)]
fn bits_of_wide(value: f64) -> i64 {
    let whole = value + ROUND_16;
    let rest = value - (whole - ROUND_16);
    let units = (whole.to_bits() as i64).wrapping_sub(ROUND_16.to_bits() as i64);
    (units << 32).wrapping_add(bits_of(rest))
}

/// Sums of lots × coefficients, eight a power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Sums<const ROWS: usize> {
    high: [[i64; LANES]; ROWS],
    low: [[i64; LANES]; ROWS],
}

impl<const ROWS: usize> Sums<ROWS> {
    pub(super) const ZERO: Self = Self { high: [[0; LANES]; ROWS], low: [[0; LANES]; ROWS] };

    /// Adds `lots` of every coefficient.
    #[inline(always)]
    pub(super) fn add(&mut self, coefficients: &Coefficients<ROWS>, lots: i32) {
        let sums = self.high.as_flattened_mut().iter_mut().zip(self.low.as_flattened_mut());
        for ((high, low), &bits) in sums.zip(coefficients.0.as_flattened()) {
            add_product(high, low, bits, lots);
        }
    }

    /// Adds lots of every coefficient of several: the sums are read and written once for all.
    #[inline(always)]
    pub(super) fn add_several<const N: usize>(&mut self, several: [&Coefficients<ROWS>; N], lots: [i32; N]) {
        for power in 0..ROWS {
            for lane in 0..LANES {
                let (mut high, mut low) = (self.high[power][lane], self.low[power][lane]);
                for n in 0..N {
                    add_product(&mut high, &mut low, several[n].0[power][lane], lots[n]);
                }
                (self.high[power][lane], self.low[power][lane]) = (high, low);
            }
        }
    }

    /// Adds `lots` of every coefficient, and writes the sums as doubles, times a factor.
    #[inline(always)]
    pub(super) fn add_and_write(
        &mut self,
        coefficients: &Coefficients<ROWS>,
        lots: i32,
        factor: f64,
        out: &mut [[f64; LANES]; ROWS],
    ) {
        let sums = self.high.as_flattened_mut().iter_mut().zip(self.low.as_flattened_mut());
        let out = out.as_flattened_mut().iter_mut().zip(coefficients.0.as_flattened());
        for ((high, low), (out, &bits)) in sums.zip(out) {
            add_product(high, low, bits, lots);
            *out = to_f64(*high, *low) * factor;
        }
    }

    /// The sums as doubles, times a factor.
    #[inline(always)]
    pub(super) fn write_scaled(&self, factor: f64, out: &mut [[f64; LANES]; ROWS]) {
        let sums = self.high.as_flattened().iter().zip(self.low.as_flattened());
        for (out, (&high, &low)) in out.as_flattened_mut().iter_mut().zip(sums) {
            *out = to_f64(high, low) * factor;
        }
    }

    /// One sum as a double.
    pub(super) fn value(&self, power: usize, lane: usize) -> f64 {
        to_f64(self.high[power][lane], self.low[power][lane])
    }

    /// One sum as the `fixed` crate's type.
    pub(super) fn at(&self, power: usize, lane: usize) -> I80F48 {
        I80F48::from_bits((i128::from(self.high[power][lane]) << 32) + i128::from(self.low[power][lane]))
    }
}

/// A sum of lots × coefficients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    high: i64,
    low: i64,
}

impl Sum {
    pub(super) const ZERO: Self = Self { high: 0, low: 0 };

    /// Adds `lots` of a coefficient.
    #[inline(always)]
    pub(super) fn add(&mut self, coefficient: Coefficient, lots: i32) {
        add_product(&mut self.high, &mut self.low, coefficient.0, lots);
    }

    /// The sum as a double.
    pub(super) fn value(&self) -> f64 {
        to_f64(self.high, self.low)
    }
}

/// Adds lots × coefficient, by halves: the upper one is rounded, so that the lower is signed.
#[inline(always)]
fn add_product(high: &mut i64, low: &mut i64, bits: i64, lots: i32) {
    let lots = i64::from(lots);
    *low += lots * i64::from(bits as i32);
    *high += lots * i64::from((bits.wrapping_add(1 << 31) >> 32) as i32);
}

#[inline(always)]
fn to_f64(high: i64, low: i64) -> f64 {
    high as f64 * (1.0 / TWO_POW_16) + low as f64 * ULP
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_fit_is_seen() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -32_767.0, 4e4] {
            assert!(!in_range(bad), "{bad}");
        }
        assert!(in_range(32_766.9) && in_range(-32_766.9));
    }

    #[test]
    fn halves_of_a_half_do_not_wrap() {
        for value in [0.5, 0.5 / TWO_POW_16, -0.5 / TWO_POW_16, 1.5 / TWO_POW_16, 32_766.5 + 0.5 / TWO_POW_16] {
            let exact = I16F48::from_num(value);
            let mut got = Coefficients::ZERO;
            got.set::<false>(&[[value; LANES]]);
            assert!(got.at(0, 3).abs_diff(exact) <= I16F48::DELTA.unsigned_abs(), "{value}: {}", got.at(0, 3));
        }
    }

    proptest! {
        #[test]
        fn a_small_value_has_the_same_bits_either_way(
            value in -8.0..8.0f64, halves in -2_000_000_000_000_000..2_000_000_000_000_000i64,
        ) {
            for value in [value, halves as f64 * (0.5 * ULP)] {
                prop_assert!(is_small(value));
                prop_assert_eq!(bits_of(value), bits_of_wide(value));
                prop_assert_eq!(bits_of(value) as f64 * ULP, (value / ULP).round_ties_even() * ULP);
            }
        }

        #[test]
        fn sums_are_those_of_128_bit_arithmetic(
            fills in prop::collection::vec((-32_766.0..32_766.0f64, -20_000_000..20_000_000i32), 1..100),
        ) {
            let mut sums = Sums::<1>::ZERO;
            let mut naive = I80F48::ZERO;
            for &(value, lots) in &fills {
                let mut coefficients = Coefficients::ZERO;
                coefficients.set::<false>(&[[value; LANES]]);
                sums.add(&coefficients, lots);
                naive += I80F48::from(coefficients.at(0, 7)) * I80F48::from(lots);
                prop_assert!((coefficients.at(0, 7).to_num::<f64>() - value).abs() <= ULP);
            }
            prop_assert_eq!(sums.at(0, 7), naive);
            let double = sums.value(0, 7);
            prop_assert!((double - naive.to_num::<f64>()).abs() <= 1e-15 * double.abs() + 1e-10);
        }
    }
}
