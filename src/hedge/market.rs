//! How an underlying's spot and smiles move together: as configured, and more and more as seen.
//!
//! In: spot and smoothed smile levels, at clocks. Out: the covariance of the program's risks in relative moves of the spot, per
//! year. What is configured counts as so many samples; the estimate takes over as its own samples come in. Samples lie
//! seconds apart: closer ones would measure the ticks of option prices. One underlying's view; how spots of different
//! underlyings move together is [`Together`].

use super::factors::{BUCKETS, RISKS, SKEW};
use super::program::{Covariance, Estimator, NotConvex};
use crate::instrument::UNDERLYINGS_MAX;
use crate::units::Nanos;

/// What is believed of moves before they are seen, and how they are estimated.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CovarianceConfig {
    /// Volatility of the spot a year, where no smile says it.
    pub sigma: f64,
    /// Standard deviation a year of the volatility of each maturity bucket, absolute.
    pub level_sds: [f64; BUCKETS],
    /// Share of each level's moves, as a correlation, that all levels have in common.
    pub levels_together: f64,
    /// Correlation of that common source with the spot.
    pub spot_level: f64,
    /// Standard deviation a year of the smile's slope.
    pub slope_sd: f64,
    /// Correlation of the spots of two underlyings.
    pub spots_together: f64,
    /// How far correlations are moved toward one and toward minus one before the worst is taken, 0 to 1.
    pub stress: f64,
    /// Time between two samples.
    pub sample_ns: u64,
    /// How long samples are remembered.
    pub memory_ns: u64,
    /// Samples that what is configured counts as.
    pub prior_samples: u32,
}

impl Default for CovarianceConfig {
    fn default() -> Self {
        Self {
            sigma: 0.6,
            level_sds: [1.0, 0.8, 0.65, 0.5, 0.4, 0.3],
            levels_together: 0.95,
            spot_level: -0.3,
            slope_sd: 0.15,
            spots_together: 0.8,
            stress: 0.25,
            sample_ns: 10 * Nanos::PER_SECOND,
            memory_ns: 86_400 * Nanos::PER_SECOND,
            prior_samples: 360,
        }
    }
}

impl CovarianceConfig {
    /// The covariance believed in at a volatility of the spot.
    pub fn prior(&self, sigma: f64) -> Result<Covariance, NotConvex> {
        let (mut sds, mut loadings) = ([0.0; RISKS], [0.0; RISKS]);
        (sds[0], loadings[0]) = (sigma, self.spot_level);
        for bucket in 0..BUCKETS {
            (sds[1 + bucket], loadings[1 + bucket]) = (self.level_sds[bucket], self.levels_together);
        }
        sds[SKEW] = self.slope_sd;
        Covariance::one_source(&sds, &loadings)
    }

    fn memory_years(&self) -> f64 {
        self.memory_ns as f64 / Nanos::PER_YEAR as f64
    }
}

/// Where a market stood at the last sample.
#[derive(Clone, Copy, Debug)]
struct Sample {
    time: Nanos,
    spot: f64,
    levels: [Option<f64>; BUCKETS],
    slope: f64,
}

/// How one underlying moves.
#[derive(Clone, Debug)]
pub(super) struct Market {
    config: CovarianceConfig,
    estimator: Estimator,
    last: Option<Sample>,
}

impl Market {
    pub(super) fn new(config: CovarianceConfig) -> Self {
        Self { config, estimator: Estimator::new(RISKS, config.memory_years()), last: None }
    }

    /// Takes a sample when one is due; whether it did.
    pub(super) fn sample(&mut self, now: Nanos, spot: f64, (levels, slope): ([Option<f64>; BUCKETS], f64)) -> bool {
        let fresh = Sample { time: now, spot, levels, slope };
        let Some(last) = self.last else {
            self.last = (spot > 0.0).then_some(fresh);
            return false;
        };
        let passed = now.since(last.time);
        if passed < self.config.sample_ns {
            return false;
        }
        let mut moves = [0.0; RISKS];
        moves[0] = spot / last.spot - 1.0;
        for bucket in 0..BUCKETS {
            let both = levels[bucket].zip(last.levels[bucket]);
            moves[1 + bucket] = both.map_or(0.0, |(level, before)| level - before);
        }
        moves[SKEW] = slope - last.slope;
        let years = passed as f64 / Nanos::PER_YEAR as f64;
        match self.relative(self.sigma(&levels)) {
            Ok(believed) => self.estimator.observe_beside(&believed, &moves, years),
            Err(NotConvex) => self.estimator.observe(&moves, years),
        }
        if spot > 0.0 {
            self.last = Some(fresh);
        }
        true
    }

    /// Volatility of the spot: that of the soonest expiry known, or the configured one.
    pub(super) fn sigma(&self, levels: &[Option<f64>; BUCKETS]) -> f64 {
        levels.iter().flatten().copied().find(|level| *level > 0.0 && level.is_finite()).unwrap_or(self.config.sigma)
    }

    /// Covariance a year with the spot in quote currency.
    pub(super) fn covariance(&self, sigma: f64, spot: f64) -> Result<Covariance, NotConvex> {
        let mut scales = [1.0; RISKS];
        scales[0] = spot;
        self.relative(sigma)?.scaled(&scales)
    }

    /// The same in relative moves of the spot.
    fn relative(&self, sigma: f64) -> Result<Covariance, NotConvex> {
        self.estimator.corrected(self.config.prior(sigma)?, self.config.prior_samples)
    }
}

/// How the spots of underlyings move together.
#[derive(Clone, Debug)]
pub(super) struct Together {
    config: CovarianceConfig,
    estimator: Estimator,
    last: Option<(Nanos, [f64; UNDERLYINGS_MAX])>,
    seen: Option<Covariance>,
}

impl Together {
    pub(super) fn new(config: CovarianceConfig) -> Self {
        Self { config, estimator: Estimator::new(UNDERLYINGS_MAX, config.memory_years()), last: None, seen: None }
    }

    /// Takes a sample of every spot when one is due; a spot of zero is not known.
    pub(super) fn sample(&mut self, now: Nanos, spots: &[f64; UNDERLYINGS_MAX]) {
        let Some((time, last)) = self.last else {
            self.last = Some((now, *spots));
            return;
        };
        if now.since(time) < self.config.sample_ns {
            return;
        }
        let mut moves = [0.0; UNDERLYINGS_MAX];
        for (moved, (spot, before)) in moves.iter_mut().zip(spots.iter().zip(&last)) {
            *moved = if *spot > 0.0 && *before > 0.0 { spot / before - 1.0 } else { 0.0 };
        }
        self.estimator.observe(&moves, now.since(time) as f64 / Nanos::PER_YEAR as f64);
        self.last = Some((now, *spots));
        self.seen = self.estimator.covariance();
    }

    /// Correlation of two spots.
    pub(super) fn correlation(&self, a: usize, b: usize) -> f64 {
        let believed = self.config.spots_together;
        let Some(seen) = &self.seen else { return believed };
        let scale = (seen.at(a, a) * seen.at(b, b)).sqrt();
        if scale > 0.0 {
            let weight = self.estimator.weight(self.config.prior_samples);
            believed + weight * (seen.at(a, b) / scale - believed)
        } else {
            believed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> CovarianceConfig {
        CovarianceConfig { sample_ns: Nanos::PER_SECOND, prior_samples: 50, ..CovarianceConfig::default() }
    }

    #[test]
    fn the_configured_covariance_gives_way_to_what_is_seen() {
        let mut market = Market::new(config());
        let levels = |level| ([Some(level), None, None, None, None, None], -0.1);
        let before = market.covariance(0.6, 100.0).unwrap();
        assert!((before.at(0, 0) - 3_600.0).abs() < 1e-6 && before.at(0, 1) < 0.0, "{before:?}");
        // A percent a second up and down, the volatility with it.
        for second in 0..2_000u64 {
            let up = second % 2 == 0;
            let (spot, level) = if up { (101.0, 0.61) } else { (100.0, 0.60) };
            let taken = market.sample(Nanos(second * Nanos::PER_SECOND), spot, levels(level));
            assert_eq!(taken, second > 0);
        }
        let after = market.covariance(0.6, 100.0).unwrap();
        let seconds = 365.0 * 86_400.0;
        let seen = 1e-4 * seconds * 1e4;
        assert!((after.at(0, 0) / (0.975 * seen) - 1.0).abs() < 0.03, "{} {seen}", after.at(0, 0));
        assert!(after.at(0, 1) > 0.0, "they are seen to move together");
    }

    #[test]
    fn a_fit_that_settles_does_not_rule_the_estimate() {
        let mut market = Market::new(config());
        let levels = |level, slope| ([Some(level), None, None, None, None, None], slope);
        market.sample(Nanos(0), 100.0, levels(0.9, 0.0));
        let before = market.covariance(0.6, 100.0).unwrap();
        // Thirty points of volatility in a second are some twenty thousand times what is believed of its variance.
        market.sample(Nanos(Nanos::PER_SECOND), 100.0, levels(0.6, -0.2));
        let after = market.covariance(0.6, 100.0).unwrap();
        for factor in [1, SKEW] {
            let grown = after.at(factor, factor) / before.at(factor, factor);
            assert!(grown > 1.0 && grown < 1.5, "{factor}: {grown}");
        }
    }

    #[test]
    fn a_spot_that_is_not_a_number_changes_nothing() {
        let mut market = Market::new(config());
        market.sample(Nanos(0), 100.0, ([None; BUCKETS], 0.0));
        let before = market.covariance(0.6, 100.0).unwrap();
        market.sample(Nanos(Nanos::PER_SECOND), f64::NAN, ([None; BUCKETS], 0.0));
        market.sample(Nanos(2 * Nanos::PER_SECOND), f64::NAN, ([None; BUCKETS], f64::NAN));
        assert_eq!(market.covariance(0.6, 100.0).unwrap(), before);
    }

    #[test]
    fn the_correlation_of_spots_is_learned() {
        let mut together = Together::new(config());
        assert_eq!(together.correlation(0, 1), 0.8);
        for second in 0..5_000u64 {
            let (mut spots, up) = ([0.0; UNDERLYINGS_MAX], second % 2 == 0);
            (spots[0], spots[1]) = if up { (101.0, 50.0) } else { (100.0, 50.5) };
            together.sample(Nanos(second * Nanos::PER_SECOND), &spots);
        }
        assert!(together.correlation(0, 1) < -0.9, "{}", together.correlation(0, 1));
    }
}
