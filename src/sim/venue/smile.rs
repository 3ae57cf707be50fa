//! Volatility smiles without static arbitrage, and Black-76 written the plain way.
//!
//! Total variance is SSVI (Gatheral and Jacquier, 2014): w(k) = θ/2·(1 + ρφk + √((φk + ρ)² + 1 − ρ²)) with φ = η/√θ.
//! With η(1 + |ρ|) ≤ 2 no slice has butterfly arbitrage, and as θ grows with expiry there is no calendar arbitrage.
//! The pricing here shares nothing with the product's kernels, so it can serve as their oracle.

use crate::instrument::OptionKind;

/// Curvature of every slice; with |ρ| ≤ [`SKEW_MAX`] it keeps η(1 + |ρ|) ≤ 2.
const CURVATURE: f64 = 1.25;
/// Largest correlation parameter of a slice.
pub const SKEW_MAX: f64 = 0.55;

const _: () = assert!(CURVATURE * (1.0 + SKEW_MAX) <= 2.0);

/// One underlying's smiles at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Smile {
    /// At-the-money volatility for short expiries.
    pub short: f64,
    /// At-the-money volatility for long expiries.
    pub long: f64,
    /// Skew, from −[`SKEW_MAX`] to [`SKEW_MAX`]; negative when puts are dear.
    pub skew: f64,
}

impl Smile {
    /// Implied volatility at ln(K/F) for an expiry `years` away.
    pub fn volatility(&self, log_moneyness: f64, years: f64) -> f64 {
        let years = years.max(1e-9);
        let theta = self.total_variance(years);
        let phi = CURVATURE / theta.sqrt();
        let rho = self.skew.clamp(-SKEW_MAX, SKEW_MAX);
        let tilted = phi * log_moneyness;
        let variance = 0.5 * theta * (1.0 + rho * tilted + ((tilted + rho) * (tilted + rho) + 1.0 - rho * rho).sqrt());
        (variance / years).sqrt()
    }

    /// At-the-money total variance: the integral of a squared volatility that decays from `short` to `long` with a
    /// time constant of a month, so it grows with expiry whatever the levels.
    fn total_variance(&self, years: f64) -> f64 {
        const DECAY_YEARS: f64 = 30.0 / 365.0;
        let (short, long) = (self.short * self.short, self.long * self.long);
        long * years + (short - long) * DECAY_YEARS * -(-years / DECAY_YEARS).exp_m1()
    }
}

/// Undiscounted Black-76: value and vega (per 1.00 of volatility), in dollars per coin.
pub fn black76(option: OptionKind, forward: f64, strike: f64, volatility: f64, years: f64) -> (f64, f64) {
    let deviation = volatility * years.sqrt();
    let intrinsic = match option {
        OptionKind::Call => forward - strike,
        OptionKind::Put => strike - forward,
    };
    if deviation <= 0.0 {
        return (intrinsic.max(0.0), 0.0);
    }
    let d1 = (forward / strike).ln() / deviation + 0.5 * deviation;
    let d2 = d1 - deviation;
    let value = match option {
        OptionKind::Call => forward * normal_cdf(d1) - strike * normal_cdf(d2),
        OptionKind::Put => strike * normal_cdf(-d2) - forward * normal_cdf(-d1),
    };
    (value.max(0.0), forward * normal_pdf(d1) * years.sqrt())
}

/// Standard normal density.
fn normal_pdf(x: f64) -> f64 {
    const INV_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
    INV_SQRT_TAU * (-0.5 * x * x).exp()
}

/// Standard normal distribution to about 1e-15, after Hart (1968) as given by West (2005).
pub fn normal_cdf(x: f64) -> f64 {
    const NUMERATOR: [f64; 7] = [
        3.526_249_659_989_11e-2,
        0.700_383_064_443_688,
        6.373_962_203_531_65,
        33.912_866_078_383,
        112.079_291_497_871,
        221.213_596_169_931,
        220.206_867_912_376,
    ];
    const DENOMINATOR: [f64; 8] = [
        8.838_834_764_831_84e-2,
        1.755_667_163_182_64,
        16.064_177_579_207,
        86.780_732_202_946_1,
        296.564_248_779_674,
        637.333_633_378_831,
        793.826_512_519_948,
        440.413_735_824_752,
    ];
    let size = x.abs();
    let tail = if size > 37.0 {
        0.0
    } else if size < 7.071_067_811_865_47 {
        let horner = |coefficients: &[f64]| coefficients.iter().fold(0.0, |sum, c| sum * size + c);
        (-0.5 * size * size).exp() * horner(&NUMERATOR) / horner(&DENOMINATOR)
    } else {
        let fraction = [4.0, 3.0, 2.0, 1.0].iter().fold(size + 0.65, |sum, k| size + k / sum);
        normal_pdf(size) / fraction
    };
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMILE: Smile = Smile { short: 0.62, long: 0.55, skew: -0.3 };

    #[test]
    fn black_agrees_with_published_values() {
        // Hull's example of a futures option discounted at 9% for four months: 1.12 for F = K = 20 at 25%.
        let (put, _) = black76(OptionKind::Put, 20.0, 20.0, 0.25, 4.0 / 12.0);
        assert!((put * (-0.09_f64 * 4.0 / 12.0).exp() - 1.12).abs() < 0.005, "{put}");
        assert!((normal_cdf(1.0) - 0.841_344_746_068_543).abs() < 1e-14);
        assert!((normal_cdf(-8.0) / 6.220_960_574_271_78e-16 - 1.0).abs() < 1e-4);
        assert_eq!(black76(OptionKind::Call, 105.0, 100.0, 0.5, 0.0), (5.0, 0.0));
    }

    #[test]
    fn calls_and_puts_keep_parity() {
        for strike in [40_000.0, 77_000.0, 160_000.0] {
            let (call, call_vega) = black76(OptionKind::Call, 77_000.0, strike, 0.7, 0.3);
            let (put, put_vega) = black76(OptionKind::Put, 77_000.0, strike, 0.7, 0.3);
            assert!((call - put - (77_000.0 - strike)).abs() < 1e-9 * 77_000.0, "{strike}");
            assert_eq!(call_vega, put_vega);
        }
    }

    #[test]
    fn vega_is_the_slope_of_the_value() {
        let value = |volatility| black76(OptionKind::Call, 3_000.0, 3_200.0, volatility, 0.1).0;
        let (_, vega) = black76(OptionKind::Call, 3_000.0, 3_200.0, 0.6, 0.1);
        assert!(((value(0.6001) - value(0.5999)) / 0.0002 - vega).abs() < 1e-3 * vega);
    }

    #[test]
    fn slices_have_neither_butterfly_nor_calendar_arbitrage() {
        let forward = 100.0;
        for skew in [-SKEW_MAX, -0.2, 0.0, SKEW_MAX] {
            for (short, long) in [(0.3, 0.9), (1.4, 0.5), (0.6, 0.6)] {
                let smile = Smile { short, long, skew };
                let mut below = vec![0.0; 201];
                for years in [2.0 / 8_760.0, 1.0 / 365.0, 7.0 / 365.0, 0.1, 0.5, 1.0] {
                    // A grid of 12 standard deviations either way, in equal steps of strike around the forward.
                    let step = 12.0 * 0.6 * f64::sqrt(years) * forward / 100.0;
                    let strikes = (-100..=100).map(|i| forward + f64::from(i) * step).filter(|k| *k > 1.0);
                    let calls: Vec<f64> = strikes
                        .map(|k| {
                            black76(OptionKind::Call, forward, k, smile.volatility((k / forward).ln(), years), years).0
                        })
                        .collect();
                    for w in calls.windows(3) {
                        assert!(w[0] - 2.0 * w[1] + w[2] > -1e-11, "butterfly at {years} {skew}: {w:?}");
                        assert!(w[0] >= w[1] - 1e-11, "call spread at {years}: {w:?}");
                    }
                    for (i, before) in below.iter_mut().enumerate() {
                        let k = (i as f64 - 100.0) / 50.0;
                        let variance = smile.volatility(k, years).powi(2) * years;
                        assert!(variance >= *before, "calendar at {years}, k {k}");
                        *before = variance;
                    }
                }
            }
        }
    }

    #[test]
    fn puts_are_dear_when_the_skew_is_negative() {
        assert!(SMILE.volatility(-0.1, 0.05) > SMILE.volatility(0.1, 0.05));
        assert!((SMILE.volatility(0.0, 1e-6) - SMILE.short).abs() < 1e-3);
    }
}
