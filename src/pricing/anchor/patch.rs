//! What volatility has moved since an anchor was built, taken into its deltas until it is built anew.
//!
//! To first order a delta moves by vanna·dσ, its premium-adjusted kin by (vanna − vega)·dσ, and the skew Σ vega·∂σ/∂ln K
//! by volga·slope·dσ + vega·dslope. Each is a slot's series times a number, so the patch has a series of its own,
//! summed in 128-bit integers: taking a shift or a fill back restores every bit.
//!
//! **Error.** What is left is of second order, and bounded with the least σ and the greatest s = σ√T between then and
//! now, for one lot (the constants are suprema of a polynomial in d1 times φ(d1), term by term in s):
//!
//! | of | bound |
//! |---|---|
//! | delta | ½dσ²(0.332 + 0.458 s + 0.242 s²)/σ² |
//! | premium-adjusted delta | that, and ½dσ²·s(0.294 + 0.242 s)/σ² |
//! | skew | ½dσ²·slope·s(0.485 + 0.542 s + 0.4 s²)/σ³ + dslope·dσ·s(0.294 + 0.242 s)/σ² |
//!
//! A volatility that moved by 1.00 or more is not patched: its error is [`Shift::HOPELESS`].

use super::fixed_point::{Coefficients, TWO_POW_32};
use super::lane;

/// Shifts are whole multiples of 2^-30.
const SHIFT_SCALE: f64 = TWO_POW_32 * 0.25;
/// Errors are whole multiples of 2^-44.
const ERROR_SCALE: f64 = TWO_POW_32 * 4_096.0;

/// How far one slot's volatility and slope lie from what its series was made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    /// dσ, slope·dσ and dslope.
    sigma: i64,
    leaning: i64,
    slope: i64,
    /// Bounds for one lot of what the first order leaves out.
    coin_delta_error: i64,
    delta_error: i64,
    skew_error: i64,
}

impl Shift {
    pub(super) const NONE: Self =
        Self { sigma: 0, leaning: 0, slope: 0, coin_delta_error: 0, delta_error: 0, skew_error: 0 };
    /// Error of what is not patched at all, for one lot.
    const HOPELESS: f64 = 4_096.0;

    /// From the volatility and slope that a series was made with to those that hold, `years` from expiry.
    pub(super) fn between(was: (f64, f64), is: (f64, f64), years: f64) -> Self {
        if was == is {
            return Self::NONE;
        }
        let ((sigma0, slope0), (sigma1, slope1)) = (was, is);
        let (by, slope_by) = (sigma1 - sigma0, slope1 - slope0);
        let root_years = years.sqrt();
        let (low, high) = if by > 0.0 { (sigma0, sigma1) } else { (sigma1, sigma0) };
        let s = high * root_years;
        let half_square = 0.5 * by * by / (low * low);
        let volga = s * (0.294 + 0.242 * s);
        // Half a unit of each shift, times what it multiplies.
        let rounding = 0.5 / SHIFT_SCALE * ((0.25 + 0.4 * s + volga / low) / low + 0.8 * root_years);
        let delta = half_square * (0.332 + 0.458 * s + 0.242 * s * s) + rounding;
        let skew = half_square * slope0.abs() * s * (0.485 + 0.542 * s + 0.4 * s * s) / low
            + (slope_by * by).abs() * volga / (low * low)
            + rounding;
        let fits = |shift: f64| shift.abs() < 1.0;
        if !(low > 0.0 && fits(by)) {
            let hopeless = to_error(Self::HOPELESS);
            return Self { coin_delta_error: hopeless, delta_error: hopeless, skew_error: hopeless, ..Self::NONE };
        }
        let (leaning, slope) = (slope0 * by, slope_by);
        let leans = fits(leaning) && fits(slope);
        Self {
            sigma: to_shift(by),
            leaning: if leans { to_shift(leaning) } else { 0 },
            slope: if leans { to_shift(slope) } else { 0 },
            coin_delta_error: to_error(delta + half_square * volga),
            delta_error: to_error(delta),
            skew_error: to_error(if leans { skew } else { Self::HOPELESS }),
        }
    }
}

fn to_shift(value: f64) -> i64 {
    let scaled = value * SHIFT_SCALE;
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64
}

fn to_error(value: f64) -> i64 {
    let capped = if value < Shift::HOPELESS { value } else { Shift::HOPELESS };
    (capped * ERROR_SCALE) as i64 + 1
}

/// Sums over slots of lots × shift × series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patch<const ROWS: usize> {
    vanna: [i128; ROWS],
    vega: [i128; ROWS],
    skew: [i128; ROWS],
    coin_delta_error: i128,
    delta_error: i128,
    skew_error: i128,
}

impl<const ROWS: usize> Patch<ROWS> {
    pub(super) const ZERO: Self =
        Self { vanna: [0; ROWS], vega: [0; ROWS], skew: [0; ROWS], coin_delta_error: 0, delta_error: 0, skew_error: 0 };

    /// Adds `lots` of a slot's series at its shift, and `heavier` lots without regard to sign to the bounds.
    pub(super) fn add(&mut self, series: &Coefficients<ROWS>, shift: &Shift, lots: i64, heavier: i64) {
        let (sigma, leaning, slope) = (lots * shift.sigma, lots * shift.leaning, lots * shift.slope);
        let times = |weight: i64, power: usize, lane: usize| i128::from(weight) * i128::from(series.bits(power, lane));
        for power in 0..ROWS {
            self.vanna[power] += times(sigma, power, lane::VANNA);
            self.vega[power] += times(sigma, power, lane::VEGA);
        }
        if leaning != 0 || slope != 0 {
            for power in 0..ROWS {
                self.skew[power] += times(leaning, power, lane::VOLGA) + times(slope, power, lane::VEGA);
            }
        }
        self.coin_delta_error += i128::from(heavier) * i128::from(shift.coin_delta_error);
        self.delta_error += i128::from(heavier) * i128::from(shift.delta_error);
        self.skew_error += i128::from(heavier) * i128::from(shift.skew_error);
    }

    /// What a power's premium-adjusted delta, delta and skew gain, in lots.
    pub(super) fn gains(&self, power: usize) -> (f64, f64, f64) {
        const SCALE: f64 = super::fixed_point::ULP / SHIFT_SCALE;
        let (vanna, vega) = (self.vanna[power], self.vega[power]);
        ((vanna - vega) as f64 * SCALE, vanna as f64 * SCALE, self.skew[power] as f64 * SCALE)
    }

    /// Bounds on what is left of premium-adjusted delta, delta and skew, in lots.
    pub(super) fn errors(&self) -> (f64, f64, f64) {
        let scaled = |error: i128| error as f64 / ERROR_SCALE;
        (scaled(self.coin_delta_error), scaled(self.delta_error), scaled(self.skew_error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::OptionKind;
    use crate::pricing::black76::Greeks;
    use proptest::prelude::*;

    #[test]
    fn what_moved_too_far_is_not_patched() {
        let far = Shift::between((0.6, 0.1), (1.7, 0.1), 0.1);
        assert_eq!((far.sigma, far.leaning, far.slope), (0, 0, 0));
        assert!(far.delta_error as f64 / ERROR_SCALE >= Shift::HOPELESS);
        let steep = Shift::between((0.6, 0.1), (0.61, 9.0), 0.1);
        assert!(steep.sigma > 0 && steep.slope == 0 && steep.skew_error as f64 / ERROR_SCALE >= Shift::HOPELESS);
        assert_eq!(Shift::between((0.6, 0.1), (0.6, 0.1), 0.1), Shift::NONE);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// The bounds against Black-76 itself, over any moneyness.
        #[test]
        fn what_the_first_order_leaves_out_lies_within_its_bound(
            d in -6.0..6.0f64, sigma in 0.05..3.0f64, moved in 0.5..2.0f64, years in 1e-5..2.0f64,
            slope in -2.0..2.0f64, slope_by in -0.9..0.9f64,
        ) {
            let then = (sigma, slope);
            let is = ((sigma * moved).min(sigma + 0.9), slope + slope_by);
            let strike = 100.0 * crate::pricing::elementary::exp(-d * sigma * years.sqrt());
            let at = |sigma: f64| Greeks::new(OptionKind::Call, 100.0, strike, sigma, years);
            let (old, new, by) = (at(sigma), at(is.0), is.0 - sigma);
            let shift = Shift::between(then, is, years);
            let within = |missed: f64, error: i64| missed.abs() <= error as f64 / ERROR_SCALE + 1e-12;
            let delta = new.delta - old.delta - old.vanna * by;
            prop_assert!(within(delta, shift.delta_error), "delta off by {}", delta);
            let coin = new.in_coin(100.0).delta - old.in_coin(100.0).delta - (old.vanna - old.vega / 100.0) * by;
            prop_assert!(within(coin, shift.coin_delta_error), "coin delta off by {}", coin);
            let skew = (new.vega * is.1 - old.vega * slope - old.volga * slope * by - old.vega * slope_by) / 100.0;
            prop_assert!(within(skew, shift.skew_error), "skew off by {}", skew);
        }
    }
}
