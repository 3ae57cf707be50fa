//! Volatility from a price.
//!
//! The out-of-the-money value over the forward rises with total volatility s from zero to its bound, so the inverse is
//! unique wherever it exists. One evaluation of the value gives all derivatives of s by the value's logarithm, so from
//! within a percent of the answer its Taylor series lands on it, and a cold start, which inverts a normal forward's value
//! and corrects it, is that near for all but extreme terms. Farther away a step is Householder's of third order; one that
//! leaves the bracket is replaced by the bracket's middle, which bounds the search at 128 evaluations. `None` outside the
//! no-arbitrage bounds, at them, or for input that is not positive and finite.

use crate::instrument::OptionKind;
use crate::pricing::black76::{State, TOTAL_VOL_MAX, TOTAL_VOL_MIN};
use crate::pricing::elementary::{ln, ln_ratio};

/// Steps after which the last bracket is returned.
const STEPS_MAX: usize = 128;
/// Relative changes of the total volatility that four, and six, terms of the series cover to 5e-13, up to
/// a total volatility of [`S_WIDE`]; a quarter of them beyond.
const CLOSE: [f64; 2] = [2e-3, 1e-2];
const S_WIDE: f64 = 2.0;
/// Difference of logarithms of values beyond which the series loses digits: 1% of volatility 20 deviations out.
const Q_MAX: f64 = 4.0;

/// Volatility of an option from its undiscounted price in quote currency.
pub fn implied_vol(kind: OptionKind, price: f64, forward: f64, strike: f64, years: f64) -> Option<f64> {
    VolSolver::new(forward, strike, years)?.solve(kind, price, 0.0)
}

/// The same from a guess, such as the volatility before the last tick; a guess that is not positive is ignored.
pub fn implied_vol_near(
    kind: OptionKind,
    price: f64,
    forward: f64,
    strike: f64,
    years: f64,
    guess: f64,
) -> Option<f64> {
    VolSolver::new(forward, strike, years)?.solve(kind, price, guess)
}

/// The same from a price in coins, as inverse options quote.
pub fn implied_vol_coin(
    kind: OptionKind,
    price_coin: f64,
    forward: f64,
    strike: f64,
    years: f64,
    guess: f64,
) -> Option<f64> {
    implied_vol_near(kind, price_coin * forward, forward, strike, years, guess)
}

/// ln(F/K) over total volatility beyond which a value is below 1e-300 of the forward.
const FAR: f64 = 37.0;

/// Value over |F − K| of a normal forward, h(y) = φ(y)/y − N(−y), y being |F − K| over its total volatility, at y = 1.
const NORMAL_NEAR: f64 = 0.083_315_470_587_686_3;
/// y/t as a rational in t = 1/(h + ½) for y up to 1, within 2e-5.
const NORMAL_NEAR_P: [f64; 4] = [0.398_942_317, -0.167_593_444, -0.025_782_101_2, 0.009_249_709_65];
const NORMAL_NEAR_Q: [f64; 4] = [1.0, -0.420_089_485, -0.144_237_909, 0.056_656_377_5];
/// y as a rational in √(−ln h) from there to y = 37, within 2e-4.
const NORMAL_FAR_P: [f64; 5] = [-0.246_328_936, 1.390_715_434, -1.201_768_913, 0.482_728_787, 0.107_847_340_9];
const NORMAL_FAR_Q: [f64; 5] = [1.0, -0.405_729_817_6, 0.345_014_929, 0.076_233_870_94, 0.0];

/// What the bids and offers of a strike's call and put share.
#[derive(Clone, Copy, Debug)]
pub struct VolSolver {
    /// ln(F/K).
    k: f64,
    forward: f64,
    strike: f64,
    inv_forward: f64,
    root_years: f64,
    inv_root_years: f64,
}

impl VolSolver {
    /// `None` unless all three are positive and finite.
    pub fn new(forward: f64, strike: f64, years: f64) -> Option<Self> {
        let root_years = years.sqrt();
        (is_positive(forward) && is_positive(strike) && is_positive(root_years)).then(|| Self {
            k: ln_ratio(forward, strike),
            forward,
            strike,
            inv_forward: 1.0 / forward,
            root_years,
            inv_root_years: 1.0 / root_years,
        })
    }

    /// Volatility of the call or put from its undiscounted price in quote currency, starting from `guess` if that is
    /// positive and finite.
    pub fn solve(&self, kind: OptionKind, price: f64, guess: f64) -> Option<f64> {
        let intrinsic = match kind {
            OptionKind::Call => self.forward - self.strike,
            OptionKind::Put => self.strike - self.forward,
        };
        let out_of_the_money = price - if intrinsic > 0.0 { intrinsic } else { 0.0 };
        let bound = if self.strike < self.forward { self.strike } else { self.forward };
        if !(price > 0.0 && out_of_the_money > 0.0 && out_of_the_money < bound) {
            return None;
        }
        let target = out_of_the_money * self.inv_forward;
        let start = if is_positive(guess) { guess * self.root_years } else { self.cold_start(target) };
        self.total_vol(target, start).map(|s| s * self.inv_root_years)
    }

    /// Value over forward, and how far s is from no value at the slope there: value over ∂value/∂s.
    #[inline]
    fn value(&self, s: f64) -> (f64, f64) {
        let state = State::at(self.k, s);
        let reach = state.value_over_density(self.strike, self.forward);
        (state.density * reach, reach)
    }

    /// A first guess, within 2e-4 where s is below 1 and 5e-3 where it is below 2: the volatility of a normal forward, which
    /// is a function of value over |F − K| alone, turned into Black's by their expansion in s (Grunspan 2011).
    fn cold_start(&self, target: f64) -> f64 {
        let (k, gap) = (self.k.abs(), (self.forward - self.strike).abs() * self.inv_forward);
        let normal = if target > NORMAL_NEAR * gap {
            let t = gap / (target + 0.5 * gap);
            let scale = if gap > 0.0 { k / gap } else { 1.0 };
            let [p, q] = [&NORMAL_NEAR_P, &NORMAL_NEAR_Q].map(|c| c[0] + t * (c[1] + t * (c[2] + t * c[3])));
            scale * (target + 0.5 * gap) * q / p
        } else {
            let r = (-ln(target / gap)).sqrt();
            let [p, q] = [&NORMAL_FAR_P, &NORMAL_FAR_Q].map(|c| c[0] + r * (c[1] + r * (c[2] + r * (c[3] + r * c[4]))));
            k * q / p
        };
        let u2 = normal * normal;
        let bend = 1.0 / 24.0 - k * k * (1.0 / 2_880.0) + u2 * (7.0 / 1_920.0 + u2 * (127.0 / 322_560.0));
        normal * (1.0 + u2 * bend)
    }

    fn total_vol(&self, target: f64, start: f64) -> Option<f64> {
        let (mut low, mut high) = (TOTAL_VOL_MIN, TOTAL_VOL_MAX);
        let mut s = if start > low && start < high { start } else { 0.5 };
        let inv_target = 1.0 / target;
        for _ in 0..STEPS_MAX {
            if self.k.abs() > FAR * s {
                // Too far out for a double to hold the value: whatever the target is, s lies below it.
                low = s;
                s *= 2.0;
                continue;
            }
            let (value, reach) = self.value(s);
            if value < target {
                low = s;
            } else {
                high = s;
            }
            let step = Step::new(self.k, s, reach, -ln_of_ratio(value, target, inv_target));
            if let Some(step) = step.last() {
                return Some(s + step);
            }
            let next = s + step.far();
            s = if next > low && next < high {
                next
            } else if high - low <= 4.0 * f64::EPSILON * high {
                return Some(high);
            } else if high >= TOTAL_VOL_MAX || low <= TOTAL_VOL_MIN {
                // One end still unknown: by factors.
                if value < target { 2.0 * s } else { 0.5 * s }.clamp(low, high)
            } else {
                0.5 * (low + high)
            };
        }
        None
    }
}

/// From a total volatility s to the one where ln(value) is greater by q.
///
/// With R = value over slope and w = k²/s³ − s/4, the logarithm of the slope's own derivative, s as a function of ln(value)
/// solves ds/dq = R, dR/dq = R(1 − Rw): its Taylor series has coefficients in a = Rw, b = R²w′, c = R³w″ and so on.
struct Step {
    s: f64,
    q: f64,
    /// R/s and k²/s².
    rho: f64,
    m: f64,
}

impl Step {
    #[inline]
    fn new(k: f64, s: f64, reach: f64, q: f64) -> Self {
        let inverse = 1.0 / s;
        let moneyness = k * inverse;
        Self { s, q, rho: reach * inverse, m: moneyness * moneyness }
    }

    /// The step if the volatility lies near enough for its series to land within 5e-13.
    #[inline]
    fn last(&self) -> Option<f64> {
        let &Self { s, q, rho, m } = self;
        if q.abs() > Q_MAX {
            return None;
        }
        let (t, limit) = if s < S_WIDE { (0.25 * s * s, s) } else { (0.25 * s * s, 0.25 * s) };
        let (rho2, newton) = (rho * rho, rho * s * q);
        let a = rho * (m - t);
        let b = -rho2 * (3.0 * m + t);
        let c = 12.0 * rho2 * rho * m;
        // By Estrin: what waits for a, and above all what waits for q, which comes last, is short.
        let (a2, q2) = (a * a, q * q);
        let c2 = (1.0 - a) * (1.0 / 2.0);
        let c3 = (1.0 - 3.0 * a + 2.0 * a2 - b) * (1.0 / 6.0);
        let c4 = ((1.0 - 7.0 * a) + a2 * (12.0 - 6.0 * a) + (b * (7.0 * a - 6.0) - c)) * (1.0 / 24.0);
        let low = (1.0 + q * c2) + q2 * (c3 + q * c4);
        let fourth = newton * low;
        if fourth.abs() <= CLOSE[0] * limit {
            return Some(fourth);
        }
        let d = -60.0 * rho2 * rho2 * m;
        let e = -6.0 * rho * d;
        let c5 = ((1.0 - 15.0 * a) + a2 * ((50.0 - 60.0 * a) + 24.0 * a2))
            + b * ((70.0 * a - 25.0) + (7.0 * b - 46.0 * a2))
            + (c * (11.0 * a - 10.0) - d);
        let c6 = ((1.0 - 31.0 * a) + a2 * ((180.0 - 390.0 * a) + a2 * (360.0 - 120.0 * a)))
            + b * ((455.0 * a - 90.0) + a2 * (326.0 * a - 690.0) + (b * (105.0 - 127.0 * a) + 25.0 * c))
            + (c * ((165.0 * a - 65.0) - 101.0 * a2) + (d * (16.0 * a - 15.0) - e));
        let sixth = newton * (low + q2 * q2 * (c5 * (1.0 / 120.0) + q * (c6 * (1.0 / 720.0))));
        (sixth.abs() <= CLOSE[1] * limit).then_some(sixth)
    }

    /// A step from far: Householder's of third order on ln(value), whose derivatives by s are r = 1/R, r(w − r) and
    /// r((w − r)² + w′ − r(w − r)).
    fn far(&self) -> f64 {
        let &Self { s, q, rho, m } = self;
        let (inverse, newton) = (1.0 / s, rho * s * q);
        let r = inverse / rho;
        let second = m * inverse - 0.25 * s - r;
        let third = second * second - 3.0 * m * inverse * inverse - 0.25 - r * second;
        let bend = (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton * (1.0 / 6.0)));
        // Very far from the root the series means nothing; Newton's step alone is safe there.
        if bend > 0.2 && bend < 5.0 { newton * bend } else { newton }
    }
}

fn is_positive(x: f64) -> bool {
    x > 0.0 && x < f64::INFINITY
}

/// Relative difference of values up to which their ratio's logarithm is taken by its series, good to 4e-15.
const ALIKE: f64 = 1.0 / 32.0;

/// ln(value/target), by its series where they nearly agree, which waits for no division that waits for the value; −745 for
/// a value that has vanished.
#[inline(always)]
fn ln_of_ratio(value: f64, target: f64, inv_target: f64) -> f64 {
    let y = (value - target) * inv_target;
    if y.abs() < ALIKE {
        let y2 = y * y;
        let low = (1.0 - y * (1.0 / 2.0)) + y2 * (1.0 / 3.0 - y * (1.0 / 4.0));
        let high = (1.0 / 5.0 - y * (1.0 / 6.0)) + y2 * (1.0 / 7.0 - y * (1.0 / 8.0));
        y * (low + (y2 * y2) * high)
    } else if value > 0.0 {
        ln_ratio(value, target)
    } else {
        -745.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::black76::Greeks;
    use OptionKind::{Call, Put};
    use proptest::prelude::*;

    #[test]
    fn prices_outside_the_no_arbitrage_bounds_have_no_volatility() {
        for price in [10.0, 9.9, 0.0, -1.0, 110.0, 200.0, f64::NAN, f64::INFINITY] {
            assert_eq!(implied_vol(Call, price, 110.0, 100.0, 0.1), None, "{price}");
        }
        assert_eq!(implied_vol(Put, 100.0, 110.0, 100.0, 0.1), None);
        assert_eq!(implied_vol(Put, 1.0, 110.0, 100.0, 0.0), None);
        assert_eq!(implied_vol(Put, 1.0, 0.0, 100.0, 0.1), None);
    }

    #[test]
    fn a_wild_guess_does_no_harm() {
        let price = Greeks::new(Call, 100.0, 130.0, 0.7, 0.02).price;
        for guess in [1e-12, 1e-3, 5.0, 1e6, f64::INFINITY, f64::NAN, -1.0] {
            let sigma = implied_vol_near(Call, price, 100.0, 130.0, 0.02, guess).unwrap();
            assert!((sigma / 0.7 - 1.0).abs() < 1e-12, "{guess}: {sigma}");
        }
    }

    #[test]
    fn a_coin_price_is_the_quote_price_over_the_forward() {
        let greeks = Greeks::new(Put, 60_000.0, 55_000.0, 0.55, 0.1);
        let coin = greeks.in_coin(60_000.0).value;
        let sigma = implied_vol_coin(Put, coin, 60_000.0, 55_000.0, 0.1, 0.5).unwrap();
        assert!((sigma / 0.55 - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn the_volatility_that_made_a_price_is_found_again(
            k in 0.2..5.0f64, sigma in 0.2..3.0f64, years in 2e-5..2.0f64, near in 0.8..1.25f64,
        ) {
            let kind = if k > 1.0 { Call } else { Put };
            let greeks = Greeks::new(kind, 1.0, k, sigma, years);
            prop_assume!(greeks.price > 1e-200);
            let cold = implied_vol(kind, greeks.price, 1.0, k, years).unwrap();
            let warm = implied_vol_near(kind, greeks.price, 1.0, k, years, sigma * near).unwrap();
            prop_assert!((cold / sigma - 1.0).abs() < 1e-12, "{cold} {sigma}");
            prop_assert!((warm / sigma - 1.0).abs() < 1e-12, "{warm} {sigma}");
        }
    }
}
