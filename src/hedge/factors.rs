//! The factors a book is exposed to, and which place each has.
//!
//! ```text
//!  0       1 .. BUCKETS                    BUCKETS + 1   BUCKETS + 2   BUCKETS + 3 ..
//!  delta   vega by maturity, soonest first  skew          gamma         gain in each jump
//! ```
//!
//! Delta in coins; vega in quote currency per 1.00 of volatility; skew per 1.00 of the smile's slope by moneyness
//! ln(K/F)/√T; gamma is ∂Δ/∂S, coins per unit of quote currency; what a jump of the spot gains, delta hedged, in quote currency. What moves
//! comes first, then gamma, then jumps: the program wants them in that order.

use super::policy::delta_per_lot;
use super::program::FACTORS_MAX;
use crate::event::JUMPS;
use crate::instrument::{Instrument, Payoff};
use crate::units::Nanos;

/// Maturity buckets of vega.
pub const BUCKETS: usize = 6;
/// Factors of one underlying.
pub const FACTORS: usize = BUCKETS + 3 + JUMPS;
/// Factors that move continuously.
pub const RISKS: usize = BUCKETS + 2;
/// Where skew stands.
pub const SKEW: usize = BUCKETS + 1;
/// Where gamma stands.
pub const GAMMA: usize = BUCKETS + 2;

const _: () = assert!(FACTORS <= FACTORS_MAX);

/// Days to expiry from which the next bucket begins.
const BUCKET_DAYS: [f64; BUCKETS - 1] = [2.0, 7.0, 21.0, 60.0, 150.0];

/// The bucket of an expiry.
pub fn bucket_of(expiry_s: u32, now: Nanos) -> usize {
    let days = now.years_until(Nanos::from_secs(expiry_s)) * 365.0;
    BUCKET_DAYS.iter().filter(|&&from| days >= from).count()
}

/// Greeks of one lot, coins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unit {
    /// In the convention of the exposure.
    pub delta: f64,
    /// Change of delta per unit of ln(spot).
    pub log_gamma: f64,
    /// Change of value per 1.00 of volatility.
    pub vega: f64,
    /// Change of value per 1.00 of slope.
    pub skew: f64,
    /// Gain in each jump of [`JUMP_SIZES`](crate::event::JUMP_SIZES), beyond what a future of the same delta gains.
    pub jumps: [f64; JUMPS],
}

impl Unit {
    /// Of a perpetual or a dated future at a price.
    pub fn of_future(instrument: &Instrument, price: f64) -> Self {
        let delta = delta_per_lot(instrument, price);
        let log_gamma = if instrument.payoff == Payoff::Inverse { -delta } else { 0.0 };
        Self { delta, log_gamma, ..Self::default() }
    }

    /// The same after the spot went from `from` to `to`.
    pub fn moved(&self, from: f64, to: f64) -> Self {
        Self { delta: self.delta + self.log_gamma * (to / from - 1.0), ..*self }
    }

    /// What one lot adds to each factor; its vega belongs to `bucket`.
    pub fn loading(&self, bucket: usize, spot: f64) -> [f64; FACTORS_MAX] {
        let mut loading = [0.0; FACTORS_MAX];
        loading[0] = self.delta;
        loading[1 + bucket.min(BUCKETS - 1)] = self.vega * spot;
        loading[SKEW] = self.skew * spot;
        loading[GAMMA] = self.log_gamma / spot;
        for (l, gain) in loading[GAMMA + 1..].iter_mut().zip(&self.jumps) {
            *l = gain * spot;
        }
        loading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_moves_down_the_buckets_as_it_nears() {
        const DAY_S: u32 = 86_400;
        let now = Nanos::from_secs(1_000_000);
        for (days, bucket) in [(0, 0), (1, 0), (2, 1), (7, 2), (20, 2), (21, 3), (60, 4), (150, 5), (900, 5)] {
            assert_eq!(bucket_of(1_000_000 + days * DAY_S, now), bucket, "{days} days");
        }
        assert_eq!(bucket_of(1, now), 0, "what has expired");
    }

    #[test]
    fn a_unit_follows_the_spot_by_its_gamma() {
        let jumps = [0.5, 0.0, 0.0, 0.0, 0.0, 0.25];
        let unit = Unit { delta: 0.5, log_gamma: 2.0, vega: 0.1, skew: 0.0, jumps };
        assert!((unit.moved(100.0, 101.0).delta - 0.52).abs() < 1e-12);
        let loading = unit.loading(2, 100.0);
        assert_eq!((loading[0], loading[3], loading[GAMMA]), (0.5, 10.0, 0.02));
        assert_eq!((loading[GAMMA + 1], loading[FACTORS - 1]), (50.0, 25.0));
    }
}
