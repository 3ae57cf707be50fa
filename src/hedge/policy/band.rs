//! The no-trade band of Whalley and Wilmott.
//!
//! With a proportional cost λ of trading and absolute risk aversion γ, the cheapest way to follow a delta is to do nothing
//! while the exposure stays within a half-width of zero and to trade back to the nearest edge once it leaves:
//! `h = (3 λ S Γ² / 2 γ)^{1/3}` (Whalley and Wilmott 1997, equation 3.10 at zero rate), Γ = ∂Δ/∂S. With the log-gamma
//! G = S·Γ that the exposures carry, `h = (3 λ G² / 2 γ S)^{1/3}`.

use crate::pricing::elementary::{exp, ln};

/// How much the desk dislikes variance, and the least it will bother to correct.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BandConfig {
    /// Absolute risk aversion γ, per unit of quote currency.
    pub risk_aversion: f64,
    /// Smallest half-width, coins: keeps noise from trading when gamma is small.
    pub half_width_min: f64,
    /// Largest half-width, coins: the exposure that is never left alone, whatever it costs.
    pub half_width_max: f64,
}

impl Default for BandConfig {
    fn default() -> Self {
        Self { risk_aversion: 1e-3, half_width_min: 0.005, half_width_max: 5.0 }
    }
}

impl BandConfig {
    /// Half-width in coins, from the proportional `cost` of a trade, `log_gamma` in coins and `spot` in quote currency.
    /// What cannot be computed (no cost known, NaN, a spot that is not positive) gives the smallest width: trade, the
    /// exposure is not to be left alone for want of a figure.
    pub fn half_width(&self, cost: f64, log_gamma: f64, spot: f64) -> f64 {
        self.width(cost, log_gamma, spot).coins()
    }

    /// The same, its root not taken.
    #[inline]
    pub fn width(&self, cost: f64, log_gamma: f64, spot: f64) -> Width {
        let (dividend, divisor) = (1.5 * cost * log_gamma * log_gamma, self.risk_aversion * spot);
        Width { dividend, divisor, least: self.half_width_min, most: self.half_width_max }
    }
}

/// A half-width by its cube, and that as a fraction. Most exposures lie so far inside their band that cubes alone say so; the
/// root, which takes five divisions one after the other, is for those near the edge and for reports.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Width {
    dividend: f64,
    divisor: f64,
    least: f64,
    most: f64,
}

impl Width {
    /// Relative room for the rounding of cubes, of a fraction and of a root.
    const ROUNDING: f64 = 1e-12;
    /// Parts of a fraction that neither it nor a product with one can leave the range of doubles.
    const USABLE: std::ops::Range<f64> = 1e-100..1e100;

    /// So many coins.
    pub const fn of(coins: f64) -> Self {
        Self { dividend: f64::NAN, divisor: f64::NAN, least: coins, most: coins }
    }

    /// In coins.
    pub fn coins(&self) -> f64 {
        let cube = self.dividend / self.divisor;
        if cube.is_finite() && cube > 0.0 { cbrt(cube).max(self.least).min(self.most) } else { self.least }
    }

    /// Whether ±[`coins`](Self::coins) holds this exposure for certain. False says nothing.
    #[inline]
    pub fn surely_holds(&self, net_delta: f64) -> bool {
        let size = net_delta.abs();
        let is_usable = |part: f64| Self::USABLE.contains(&part);
        let is_usable = is_usable(self.dividend) && is_usable(self.divisor);
        let is_within = is_usable && size * size * size * (1.0 + Self::ROUNDING) * self.divisor < self.dividend;
        size < self.least.min(self.most) || (size < self.most && is_within)
    }
}

/// The band of Zakamouline (2006): half-width and volatility fitted to the optimal policy of Hodges and Neuberger, where
/// Whalley and Wilmott's is the limit of small costs. Per option of one coin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zakamouline {
    /// Absolute risk aversion γ, per unit of quote currency.
    pub risk_aversion: f64,
    /// Proportional cost λ of a trade.
    pub cost: f64,
    /// Continuously compounded rate.
    pub rate: f64,
}

impl Zakamouline {
    /// Volatility at which to compute delta, wider when the option is `short`. `gamma` is ∂Δ/∂S at `sigma`.
    pub fn sigma(&self, spot: f64, gamma: f64, sigma: f64, years: f64, short: bool) -> f64 {
        let widening = 4.76
            * power(self.cost, 0.78)
            * power(years, -0.02)
            * power(self.discount(years) / sigma, 0.25)
            * power(self.risk_aversion * spot * spot * gamma.abs(), 0.15);
        let scale = if short { 1.0 + widening } else { (1.0 - widening).max(0.0) };
        sigma * scale.sqrt()
    }

    /// Half-width around that delta, coins.
    pub fn half_width(&self, spot: f64, gamma: f64, sigma: f64, years: f64) -> f64 {
        let flat = self.cost / (self.risk_aversion * spot * sigma * sigma * years);
        let curved = 1.12
            * power(self.cost, 0.31)
            * power(years, 0.05)
            * power(self.discount(years) / sigma, 0.25)
            * (gamma.abs() / self.risk_aversion).sqrt();
        flat + curved
    }

    fn discount(&self, years: f64) -> f64 {
        exp(-self.rate * years)
    }
}

/// Leland's (1985) volatility for hedging every `interval_years` at the proportional `cost` of one trade: costs are spread
/// over the option's life as variance, added when it is `short`.
pub fn leland_sigma(sigma: f64, cost: f64, interval_years: f64, short: bool) -> f64 {
    const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
    let number = SQRT_2_OVER_PI * 2.0 * cost / (sigma * interval_years.sqrt());
    sigma * if short { 1.0 + number } else { (1.0 - number).max(0.0) }.sqrt()
}

/// `x` to the power `y`, for positive x.
fn power(x: f64, y: f64) -> f64 {
    exp(y * ln(x))
}

/// Cube root of a positive finite number: a third of the exponent as first guess, then Newton. Bit-identical everywhere,
/// which the platform's is not. Within 2 ulp from 1e-300 to 1e300.
pub(in crate::hedge) fn cbrt(x: f64) -> f64 {
    const ONE_THIRD_OF_BIAS: u64 = 0x2A9F_7893_0000_0000;
    let mut root = f64::from_bits(x.to_bits() / 3 + ONE_THIRD_OF_BIAS);
    for _ in 0..4 {
        root += (x / (root * root) - root) * (1.0 / 3.0);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_half_width_is_whalley_and_wilmotts() {
        // λ = 0.01, S = 100, Γ = 0.05, γ = 1: (3 · 0.01 · 100 · 0.0025 / 2)^{1/3} = 0.155362...
        let config = BandConfig { risk_aversion: 1.0, half_width_min: 0.0, half_width_max: 10.0 };
        let h = config.half_width(0.01, 100.0 * 0.05, 100.0);
        assert!((h - 0.155_361_625_4).abs() < 1e-9, "{h}");
    }

    #[test]
    fn what_cannot_be_computed_is_hedged_closely() {
        let config = BandConfig::default();
        for (cost, gamma, spot) in
            [(f64::NAN, 1.0, 1.0), (0.0, 1.0, 1.0), (0.1, 0.0, 1.0), (0.1, 1.0, 0.0), (0.1, 1.0, -1.0)]
        {
            assert_eq!(config.half_width(cost, gamma, spot), config.half_width_min);
        }
    }

    #[test]
    fn the_band_never_exceeds_its_bounds() {
        let config = BandConfig::default();
        assert_eq!(config.half_width(0.01, 1e9, 1.0), config.half_width_max);
        assert_eq!(config.half_width(1e-12, 1e-6, 1e5), config.half_width_min);
    }

    #[test]
    fn zakamoulines_band_is_his_formula() {
        let band = Zakamouline { risk_aversion: 1.0, cost: 0.01, rate: 0.0 };
        let (spot, gamma, sigma, years) = (100.0f64, 0.04f64, 0.2f64, 0.25f64);
        let flat = 0.01 / (100.0 * 0.04 * 0.25);
        let curved = 1.12 * 0.01f64.powf(0.31) * 0.25f64.powf(0.05) * 5.0f64.powf(0.25) * 0.2;
        assert!((band.half_width(spot, gamma, sigma, years) / (flat + curved) - 1.0).abs() < 1e-13);
        let widening = 4.76 * 0.01f64.powf(0.78) * 0.25f64.powf(-0.02) * 5.0f64.powf(0.25) * 400.0f64.powf(0.15);
        assert!((band.sigma(spot, gamma, sigma, years, true) / (0.2 * (1.0 + widening).sqrt()) - 1.0).abs() < 1e-13);
        assert!((band.sigma(spot, gamma, sigma, years, false) / (0.2 * (1.0 - widening).sqrt()) - 1.0).abs() < 1e-13);
    }

    #[test]
    fn lelands_volatility_is_wider_for_a_short_option_and_never_negative() {
        // Cost 0.5% a trade, 1% a round trip, weekly at 20%: A = √(2/π)·0.01/(0.2·√(1/52)) = 0.28768.
        assert!((leland_sigma(0.2, 0.005, 1.0 / 52.0, true) - 0.2 * 1.287_682_f64.sqrt()).abs() < 1e-7);
        assert!((leland_sigma(0.2, 0.005, 1.0 / 52.0, false) - 0.2 * 0.712_318_f64.sqrt()).abs() < 1e-7);
        assert_eq!(leland_sigma(0.2, 0.5, 1.0 / 52.0, false), 0.0);
    }

    proptest! {
        #[test]
        fn what_the_cubes_hold_the_root_holds(
            cube in prop_oneof![1e-12f64..1e3, Just(f64::NAN), Just(f64::INFINITY), Just(0.0)],
            divisor in prop_oneof![1e-9f64..1e6, Just(0.0), Just(-1.0)], (least, most) in (0.0f64..1.0, 0.0f64..10.0), share in prop_oneof![0.0f64..2.0, 0.999_999_999..1.000_000_001],
        ) {
            let width = Width { dividend: cube * divisor, divisor, least, most };
            let size = share * width.coins();
            prop_assert!(!width.surely_holds(size) || size <= width.coins(), "{:?} {}", width, size);
            let is_plain = divisor > 0.0 && least <= most && size > 0.0;
            prop_assert!(share > 0.999 || !is_plain || width.surely_holds(size), "{:?} {}", width, size);
            prop_assert!(!width.surely_holds(f64::NAN));
        }

        #[test]
        fn the_cube_root_cubed_is_the_number(x in 1e-300f64..1e300) {
            let root = cbrt(x);
            prop_assert!((root * root * root / x - 1.0).abs() < 2e-15, "{x} {root}");
        }
    }
}
