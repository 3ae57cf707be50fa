//! One option by Black (1976), exactly, and its greeks in coin and in quote currency.
//!
//! `forward` and `strike` are prices, `sigma` is per √year as a fraction, `years` is time to expiry; with s = σ√T,
//! d1 = ln(F/K)/s + s/2 and d2 = d1 − s. Nothing is discounted. Values are computed on the out-of-the-money side as
//! Fφ(d1)·(M(x) − M(x + s)), x = |ln(F/K)|/s − s/2, M the Mills ratio, so a price of 1e-100 keeps 12 digits; the other
//! side follows by parity.
//!
//! Degenerate inputs have limits, and those are returned: without time or volatility (zero or negative) an option is its
//! intrinsic value with a delta of 0, ½ at the strike, or 1 and no other greeks; the same for forwards or strikes that
//! are not positive. Without bound on volatility a call is the forward, a put the strike. NaN in gives NaN out; finite input never does.

use crate::instrument::OptionKind;
use crate::pricing::elementary::{ln_ratio, mills, mills_gap, mills_pair, normal_pdf};

/// Total volatility from which an option has reached its limit: N(±500) is 0 or 1.
pub(super) const TOTAL_VOL_MAX: f64 = 1e3;
/// Total volatility below which an option counts as its payoff: less than a nanosecond at 100%.
pub(super) const TOTAL_VOL_MIN: f64 = 1e-9;
/// Below this total volatility the difference of two Mills ratios is taken by its Taylor series.
pub(super) const TOTAL_VOL_NARROW: f64 = 0.03;

/// Undiscounted greeks in quote currency per coin of the option's amount.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Greeks {
    /// Value B.
    pub price: f64,
    /// ∂B/∂F.
    pub delta: f64,
    /// ∂²B/∂F².
    pub gamma: f64,
    /// ∂B/∂σ, per 1.00 of volatility.
    pub vega: f64,
    /// ∂B/∂t, per year.
    pub theta: f64,
    /// ∂²B/∂F∂σ.
    pub vanna: f64,
    /// ∂²B/∂σ².
    pub volga: f64,
}

/// Greeks in coins, as an inverse option settles: the value is v = B/F, and sensitivities to the forward are taken in
/// ln F. Reiswich and Wystup (2012) call this delta premium-adjusted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CoinGreeks {
    /// v = B/F.
    pub value: f64,
    /// ∂v/∂ln F = Δ − v.
    pub delta: f64,
    /// ∂delta/∂ln F = FΓ − delta.
    pub log_gamma: f64,
    /// ∂v/∂σ.
    pub vega: f64,
    /// ∂v/∂t, per year.
    pub theta: f64,
    /// ∂delta/∂σ.
    pub vanna: f64,
    /// ∂²v/∂σ².
    pub volga: f64,
}

impl Greeks {
    /// Of an option with these terms.
    pub fn new(kind: OptionKind, forward: f64, strike: f64, sigma: f64, years: f64) -> Self {
        let Some(state) = State::new(forward, strike, sigma, years) else {
            return Self::limit(kind, forward, strike, sigma, years);
        };
        let State { d1, d2, inv_s, density, .. } = state;
        let (root_years, inv_root_years) = (years.sqrt(), sigma * inv_s);
        let tail = density * state.mills1;
        let (n_d1, n_minus_d1) = if d1 > 0.0 { (1.0 - tail, tail) } else { (tail, 1.0 - tail) };
        let inv_sigma = root_years * inv_s;
        let bell = forward * density;
        let vega = bell * root_years;
        Self {
            price: state.price(kind, forward, strike),
            delta: match kind {
                OptionKind::Call => n_d1,
                OptionKind::Put => -n_minus_d1,
            },
            gamma: density * inv_s / forward,
            vega,
            theta: -0.5 * bell * sigma * inv_root_years,
            vanna: -density * d2 * inv_sigma,
            volga: vega * (d1 * d2) * inv_sigma,
        }
    }

    /// The same option in coins.
    pub fn in_coin(&self, forward: f64) -> CoinGreeks {
        let value = self.price / forward;
        let delta = self.delta - value;
        CoinGreeks {
            value,
            delta,
            log_gamma: forward * self.gamma - delta,
            vega: self.vega / forward,
            theta: self.theta / forward,
            vanna: self.vanna - self.vega / forward,
            volga: self.volga / forward,
        }
    }

    #[cold]
    fn limit(kind: OptionKind, forward: f64, strike: f64, sigma: f64, years: f64) -> Self {
        let total_vol = if sigma > 0.0 && years > 0.0 { sigma * years.sqrt() } else { sigma + years };
        let boundless = sigma > 0.0 && years > 0.0 && total_vol >= TOTAL_VOL_MAX && forward > 0.0 && strike > 0.0;
        let (price, delta) = match kind {
            OptionKind::Call if boundless => (forward, 1.0),
            OptionKind::Put if boundless => (strike, 0.0),
            _ => intrinsic(kind, forward, strike),
        };
        if (forward + strike + total_vol).is_nan() {
            return Self { price: f64::NAN, delta: f64::NAN, ..Self::default() };
        }
        Self { price, delta, ..Self::default() }
    }
}

/// Undiscounted value in quote currency.
pub fn price(kind: OptionKind, forward: f64, strike: f64, sigma: f64, years: f64) -> f64 {
    match State::new(forward, strike, sigma, years) {
        Some(state) => state.price(kind, forward, strike),
        None => Greeks::limit(kind, forward, strike, sigma, years).price,
    }
}

/// An inverse future or perpetual of `dollars`: delta in coins, and its derivative by ln F.
pub fn inverse_future(dollars: f64, price: f64) -> (f64, f64) {
    (dollars / price, -dollars / price)
}

/// Payoff and its slope.
fn intrinsic(kind: OptionKind, forward: f64, strike: f64) -> (f64, f64) {
    let gap = match kind {
        OptionKind::Call => forward - strike,
        OptionKind::Put => strike - forward,
    };
    let held = if gap > 0.0 {
        1.0
    } else if gap == 0.0 {
        0.5
    } else {
        0.0
    };
    let value = if gap < 0.0 { 0.0 } else { gap };
    match kind {
        OptionKind::Call => (value, held),
        OptionKind::Put => (value, -held),
    }
}

/// What every greek of a live option is made of.
pub(super) struct State {
    d1: f64,
    d2: f64,
    s: f64,
    inv_s: f64,
    /// φ(d1).
    pub(super) density: f64,
    /// M(|d1|) and M(|d2|).
    mills1: f64,
    mills2: f64,
}

impl State {
    /// `None` where the option has no life left in it.
    #[inline]
    fn new(forward: f64, strike: f64, sigma: f64, years: f64) -> Option<Self> {
        let alive = |x: f64| x > 0.0;
        let finite = forward < f64::INFINITY && strike < f64::INFINITY;
        if !(alive(forward) && alive(strike) && alive(sigma) && alive(years) && finite) {
            return None;
        }
        let s = sigma * years.sqrt();
        if !(TOTAL_VOL_MIN..TOTAL_VOL_MAX).contains(&s) {
            return None;
        }
        Some(Self::at(ln_ratio(forward, strike), s))
    }

    /// Of ln(F/K) and a total volatility.
    #[inline(always)]
    pub(super) fn at(log_moneyness: f64, s: f64) -> Self {
        let inv_s = 1.0 / s;
        let moneyness = log_moneyness * inv_s;
        let (d1, d2) = (moneyness + 0.5 * s, moneyness - 0.5 * s);
        let (mills1, mills2) = mills_pair(d1.abs(), d2.abs());
        Self { d1, d2, s, inv_s, density: normal_pdf(d1), mills1, mills2 }
    }

    /// Value of the out-of-the-money option at a strike, over the forward.
    #[inline(always)]
    fn out_of_the_money(&self, strike: f64, forward: f64) -> f64 {
        if self.is_straddling() {
            self.certain(strike, forward) - self.density * (self.mills1 + self.mills2)
        } else {
            self.density * self.mills_gap(strike, forward)
        }
    }

    /// The same over φ(d1) as well.
    #[inline(always)]
    pub(super) fn value_over_density(&self, strike: f64, forward: f64) -> f64 {
        if self.is_straddling() {
            self.certain(strike, forward) / self.density - (self.mills1 + self.mills2)
        } else {
            self.mills_gap(strike, forward)
        }
    }

    /// d1 and d2 on either side of zero: neither tail is the one the option pays in.
    #[inline(always)]
    fn is_straddling(&self) -> bool {
        self.s >= TOTAL_VOL_NARROW && self.d1 > 0.0 && self.d2 < 0.0
    }

    /// The lesser of strike and forward, over the forward.
    #[inline(always)]
    fn certain(&self, strike: f64, forward: f64) -> f64 {
        if strike > forward { 1.0 } else { strike / forward }
    }

    #[inline(always)]
    fn mills_gap(&self, strike: f64, forward: f64) -> f64 {
        if self.s < TOTAL_VOL_NARROW {
            mills_fall(if strike > forward { -self.d1 } else { self.d2 }, self.s)
        } else {
            mills_gap(self.d1.abs(), self.d2.abs())
        }
    }

    #[inline]
    fn price(&self, kind: OptionKind, forward: f64, strike: f64) -> f64 {
        let (intrinsic, _) = intrinsic(kind, forward, strike);
        forward * self.out_of_the_money(strike, forward) + intrinsic
    }
}

/// M(x) − M(x + s) for 0 ≤ s < 0.03 and x ≥ −s/2, without the cancellation of the plain difference: the Taylor series
/// at x, its derivatives by M' = xM − 1 and M⁽ⁿ⁺¹⁾ = x M⁽ⁿ⁾ + n M⁽ⁿ⁻¹⁾.
#[inline(always)]
pub(super) fn mills_fall(x: f64, s: f64) -> f64 {
    // Beyond 40 the density is zero, and high derivatives would be rounding noise.
    let x = if x < 40.0 { x } else { 40.0 };
    let m0 = mills(x);
    let m1 = x * m0 - 1.0;
    let m2 = x * m1 + m0;
    let m3 = x * m2 + 2.0 * m1;
    let m4 = x * m3 + 3.0 * m2;
    let m5 = x * m4 + 4.0 * m3;
    let m6 = x * m5 + 5.0 * m4;
    let m7 = x * m6 + 6.0 * m5;
    let m8 = x * m7 + 7.0 * m6;
    let series = m1
        + s * (m2 * (1.0 / 2.0)
            + s * (m3 * (1.0 / 6.0)
                + s * (m4 * (1.0 / 24.0)
                    + s * (m5 * (1.0 / 120.0)
                        + s * (m6 * (1.0 / 720.0) + s * (m7 * (1.0 / 5_040.0) + s * (m8 * (1.0 / 40_320.0))))))));
    -s * series
}

#[cfg(test)]
mod tests {
    use super::*;
    use OptionKind::{Call, Put};
    use proptest::prelude::*;

    #[test]
    fn the_textbook_value_is_reproduced() {
        let greeks = Greeks::new(Call, 100.0, 100.0, 0.2, 1.0);
        assert!((greeks.price - 7.965_567_455_405_804).abs() < 1e-13);
        assert!((greeks.delta - 0.539_827_837_277_029).abs() < 1e-15);
    }

    #[test]
    fn without_time_or_volatility_only_the_payoff_is_left() {
        for (sigma, years) in [(0.0, 1.0), (0.5, 0.0), (-0.5, 1.0), (0.5, -1.0), (1e-150, 1e-150)] {
            let call = Greeks::new(Call, 110.0, 100.0, sigma, years);
            assert_eq!(call, Greeks { price: 10.0, delta: 1.0, ..Greeks::default() });
            assert_eq!(Greeks::new(Call, 90.0, 100.0, sigma, years), Greeks::default());
            assert_eq!(Greeks::new(Call, 100.0, 100.0, sigma, years).delta, 0.5);
            assert_eq!(Greeks::new(Put, 90.0, 100.0, sigma, years).delta, -1.0);
        }
    }

    #[test]
    fn prices_that_are_not_positive_leave_the_payoff() {
        assert_eq!(Greeks::new(Call, 100.0, 0.0, 0.5, 1.0).price, 100.0);
        assert_eq!(Greeks::new(Call, 100.0, -20.0, 0.5, 1.0).price, 120.0);
        assert_eq!(Greeks::new(Put, 0.0, 100.0, 0.5, 1.0).price, 100.0);
        assert_eq!(Greeks::new(Call, -5.0, 100.0, 0.5, 1.0).price, 0.0);
    }

    #[test]
    fn boundless_volatility_prices_the_forward_itself() {
        for sigma in [1e5, 1e300, f64::INFINITY] {
            assert_eq!(price(Call, 100.0, 250.0, sigma, 1.0), 100.0);
            assert_eq!(price(Put, 100.0, 250.0, sigma, 1.0), 250.0);
        }
    }

    #[test]
    fn nan_is_never_swallowed() {
        for at in 0..4 {
            let mut terms = [100.0, 100.0, 0.5, 1.0];
            terms[at] = f64::NAN;
            let greeks = Greeks::new(Call, terms[0], terms[1], terms[2], terms[3]);
            assert!(greeks.price.is_nan() && greeks.delta.is_nan(), "{at}: {greeks:?}");
        }
    }

    #[test]
    fn coin_greeks_follow_from_quote_greeks() {
        let (forward, strike, sigma, years) = (30_000.0, 28_000.0, 0.8, 0.04);
        let coin = Greeks::new(Call, forward, strike, sigma, years).in_coin(forward);
        let up = Greeks::new(Call, forward * 1.000_01, strike, sigma, years).in_coin(forward * 1.000_01);
        let down = Greeks::new(Call, forward / 1.000_01, strike, sigma, years).in_coin(forward / 1.000_01);
        let step = 2.0 * ln_ratio(1.000_01, 1.0);
        assert!(((up.value - down.value) / step - coin.delta).abs() < 1e-8);
        assert!(((up.delta - down.delta) / step - coin.log_gamma).abs() < 1e-8);
        assert_eq!(inverse_future(30_000.0, 15_000.0), (2.0, -2.0));
    }

    proptest! {
        #[test]
        fn calls_and_puts_keep_parity(k in 0.2..5.0f64, sigma in 0.05..4.0f64, years in 1e-5..3.0f64) {
            let call = Greeks::new(Call, 1.0, k, sigma, years);
            let put = Greeks::new(Put, 1.0, k, sigma, years);
            prop_assert!((call.price - put.price - (1.0 - k)).abs() < 1e-15 * (1.0 + k) * 2.0);
            prop_assert!((call.delta - put.delta - 1.0).abs() < 3e-16);
            prop_assert_eq!((call.gamma, call.vega, call.vanna), (put.gamma, put.vega, put.vanna));
        }

        #[test]
        fn greeks_are_the_slopes_of_the_price(k in 0.5..2.0f64, sigma in 0.2..2.0f64, years in 0.05..2.0f64) {
            let g = Greeks::new(Put, 1.0, k, sigma, years);
            let h = 1e-5;
            let at = |f: f64, v: f64, t: f64| Greeks::new(Put, f, k, v, t);
            let slope = |up: f64, down: f64| (up - down) / (2.0 * h);
            prop_assert!((slope(at(1.0 + h, sigma, years).price, at(1.0 - h, sigma, years).price) - g.delta).abs() < 1e-8);
            prop_assert!((slope(at(1.0 + h, sigma, years).delta, at(1.0 - h, sigma, years).delta) - g.gamma).abs() < 1e-6);
            prop_assert!((slope(at(1.0, sigma + h, years).price, at(1.0, sigma - h, years).price) - g.vega).abs() < 1e-7);
            prop_assert!((slope(at(1.0, sigma + h, years).delta, at(1.0, sigma - h, years).delta) - g.vanna).abs() < 1e-7);
            prop_assert!((slope(at(1.0, sigma + h, years).vega, at(1.0, sigma - h, years).vega) - g.volga).abs() < 1e-6);
            prop_assert!((slope(at(1.0, sigma, years - h).price, at(1.0, sigma, years + h).price) - g.theta).abs() < 1e-5);
        }

        #[test]
        fn finite_input_never_gives_nan(f in prop::num::f64::NORMAL, k in prop::num::f64::NORMAL,
                                        sigma in prop::num::f64::NORMAL, years in prop::num::f64::NORMAL) {
            let value = price(Call, f, k, sigma, years);
            prop_assert!(!value.is_nan() && value >= 0.0);
        }
    }
}
