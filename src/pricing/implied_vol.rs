//! Volatility from a price.
//!
//! The out-of-the-money value over the forward rises with total volatility s from zero to its bound, so the inverse is
//! unique wherever it exists. A step is Householder's of third order (quartic convergence) on the logarithm of value over
//! target; one that leaves the bracket is replaced by the bracket's middle, which bounds the search at 128 evaluations, of
//! which a cold start needs 2 to 4 and a warm one 1 or 2. `None` outside the no-arbitrage bounds, at them, or for input that is not
//! positive and finite.

use crate::instrument::OptionKind;
use crate::pricing::black76::{State, TOTAL_VOL_MAX, TOTAL_VOL_MIN};
use crate::pricing::elementary::{ln, ln_ratio};

/// Steps after which the last bracket is returned.
const STEPS_MAX: usize = 128;
/// Relative change of the total volatility at which the search ends. From there the last step, being quartic, lands
/// within 4e-13 wherever the strike lies.
const CLOSE: f64 = 8e-4;

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

    /// Value over forward and its slope by s.
    fn value(&self, s: f64) -> (f64, f64) {
        let state = State::at(self.k, s);
        (state.out_of_the_money(self.strike, self.forward), state.density)
    }

    /// Householder's third-order step for ln(value) = ln(target). With slope p, w = d1·d2/s gives p′ = pw, and with
    /// r = p/value the derivatives of the logarithm are r, r(w − r) and r((w − r)² + w′ − r(w − r)).
    fn step(&self, s: f64, value: f64, slope: f64, target: f64) -> f64 {
        let inverse = 1.0 / s;
        let (k2, inverse2) = (self.k * self.k, inverse * inverse);
        let w = k2 * inverse2 * inverse - 0.25 * s;
        let w_slope = -3.0 * k2 * inverse2 * inverse2 - 0.25;
        let r = slope / value;
        let newton = -ln_of_ratio(value, target) * (value / slope);
        let second = w - r;
        let third = second * second + w_slope - r * second;
        let numerator = 1.0 + 0.5 * second * newton;
        let denominator = 1.0 + newton * (second + third * newton * (1.0 / 6.0));
        let bend = numerator / denominator;
        // Far from the root the series means nothing; Newton's step alone is safe there.
        if bend > 0.2 && bend < 5.0 { newton * bend } else { newton }
    }

    /// A first guess: at the money from the slope there; in the wings by the leading order of the tail,
    /// ln(value) ≈ −k²/(2s²).
    fn cold_start(&self, target: f64) -> f64 {
        let (k, at_the_money) = (self.k.abs(), target * 2.506_628_274_631_000_7);
        let inflection = (2.0 * k).sqrt();
        if k < 0.5 * at_the_money {
            return at_the_money;
        }
        if inflection > 0.0 && self.value(inflection).0 < target {
            return inflection;
        }
        let wing = k / (-2.0 * ln(target)).sqrt();
        if wing < inflection { wing } else { inflection }
    }

    fn total_vol(&self, target: f64, start: f64) -> Option<f64> {
        let (mut low, mut high) = (TOTAL_VOL_MIN, TOTAL_VOL_MAX);
        let mut s = if start > low && start < high { start } else { 0.5 };
        for _ in 0..STEPS_MAX {
            if self.k.abs() > FAR * s {
                // Too far out for a double to hold the value: whatever the target is, s lies below it.
                low = s;
                s *= 2.0;
                continue;
            }
            let (value, slope) = self.value(s);
            if value < target {
                low = s;
            } else {
                high = s;
            }
            let step = self.step(s, value, slope, target);
            let next = s + step;
            if step.abs() <= CLOSE * s {
                return Some(next);
            }
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

fn is_positive(x: f64) -> bool {
    x > 0.0 && x < f64::INFINITY
}

/// ln(value/target), by its series where they nearly agree; −745 for a value that has vanished.
fn ln_of_ratio(value: f64, target: f64) -> f64 {
    let gap = (value - target) / (value + target);
    if gap.abs() < 0.05 {
        let z = gap * gap;
        let low = (1.0 + z * (1.0 / 3.0)) + z * z * (1.0 / 5.0 + z * (1.0 / 7.0));
        2.0 * gap * (low + z * z * z * z * (1.0 / 9.0 + z * (1.0 / 11.0)))
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
