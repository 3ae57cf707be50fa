//! The simulated markets: Black–Scholes, Heston (stochastic volatility), Bates (and jumps).
//!
//! Options are marked with Black's formula at the root of the mean variance that the model expects until expiry, jumps
//! included: what a desk that calibrates a term structure sees. Smiles across strikes are left out.

use clap::ValueEnum;

use crate::cli::evaluate::lab::Random;
use crate::pricing::elementary::exp;

/// Which market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Model {
    /// Constant volatility of 60%
    Gbm,
    /// Stochastic volatility: κ 4, θ 0.36, ξ 1.5, ρ −0.3
    Heston,
    /// Stochastic volatility and jumps: θ 0.30, 8 a year of −3% ± 8%
    Bates,
}

/// Parameters of a market, per year.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Market {
    /// Mean reversion of variance.
    pub(super) kappa: f64,
    /// Mean variance.
    pub(super) theta: f64,
    /// Volatility of variance.
    pub(super) xi: f64,
    /// Correlation of variance with the spot.
    pub(super) rho: f64,
    /// Jumps a year.
    pub(super) jumps: f64,
    /// Mean and standard deviation of a jump's logarithm.
    pub(super) jump: (f64, f64),
}

/// Spot and variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    /// Spot.
    pub(super) spot: f64,
    /// Variance a year, without jumps.
    pub(super) variance: f64,
}

impl Model {
    /// Its parameters.
    pub(super) fn market(self) -> Market {
        let heston = Market { kappa: 4.0, theta: 0.36, xi: 1.5, rho: -0.3, jumps: 0.0, jump: (0.0, 0.0) };
        match self {
            Self::Gbm => Market { xi: 0.0, rho: 0.0, ..heston },
            Self::Heston => heston,
            Self::Bates => Market { theta: 0.30, jumps: 8.0, jump: (-0.03, 0.08), ..heston },
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gbm => "gbm",
            Self::Heston => "heston",
            Self::Bates => "bates",
        }
    }
}

impl Market {
    /// Where a path begins.
    pub(super) fn start(&self, spot: f64) -> State {
        State { spot, variance: self.theta }
    }

    /// One step of Euler's scheme with the variance cut at zero (full truncation), without drift.
    pub(super) fn step(&self, state: &mut State, years: f64, random: &mut Random) {
        let (first, second) = (random.normal(), random.normal());
        let variance = state.variance.max(0.0);
        let width = (variance * years).sqrt();
        let mut log = -0.5 * variance * years + width * first;
        if self.jumps > 0.0 {
            log -= self.jumps * self.mean_jump() * years;
            // At most one jump a step: two within five minutes happen once in a thousand years.
            if random.uniform() < self.jumps * years {
                log += self.jump.0 + self.jump.1 * random.normal();
            }
        }
        state.spot *= exp(log);
        let own = self.rho * first + (1.0 - self.rho * self.rho).sqrt() * second;
        state.variance += self.kappa * (self.theta - variance) * years + self.xi * width * own;
    }

    /// Mean of a relative jump J.
    fn mean_jump(&self) -> f64 {
        exp(self.jump.0 + 0.5 * self.jump.1 * self.jump.1) - 1.0
    }

    /// Variance a year of log-jumps J, λ·E(J²).
    pub(super) fn jump_variance(&self) -> f64 {
        self.jumps * (self.jump.0 * self.jump.0 + self.jump.1 * self.jump.1)
    }

    /// Share of today's deviation of variance from its mean that is left on average over `years`.
    fn persistence(&self, years: f64) -> f64 {
        let decay = self.kappa * years;
        if decay > 1e-9 { (1.0 - exp(-decay)) / decay } else { 1.0 }
    }

    /// Volatility at which an option with `years` to go is marked.
    pub(super) fn sigma(&self, state: &State, years: f64) -> f64 {
        let deviation = state.variance.max(0.0) - self.theta;
        (self.theta + deviation * self.persistence(years) + self.jump_variance()).sqrt()
    }

    /// ∂sigma/∂variance.
    pub(super) fn sigma_slope(&self, state: &State, years: f64) -> f64 {
        self.persistence(years) / (2.0 * self.sigma(state, years))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::evaluate::lab::Sample;

    #[test]
    fn every_market_is_a_martingale_with_the_variance_it_expects() {
        for model in [Model::Gbm, Model::Heston, Model::Bates] {
            let market = model.market();
            let mut random = Random::new(7, 0);
            let (steps, years) = (100, 0.02);
            let logs: Vec<(f64, f64)> = (0..20_000)
                .map(|_| {
                    let mut state = market.start(1.0);
                    for _ in 0..steps {
                        market.step(&mut state, years / f64::from(steps), &mut random);
                    }
                    (state.spot, state.spot.ln())
                })
                .collect();
            let spots = Sample::of(&logs.iter().map(|(spot, _)| *spot).collect::<Vec<_>>());
            assert!((spots.mean - 1.0).abs() < 4.0 * spots.mean_error(), "{model:?} {spots:?}");
            let sd = Sample::of(&logs.iter().map(|(_, log)| *log).collect::<Vec<_>>()).sd;
            let expected = market.sigma(&market.start(1.0), years) * years.sqrt();
            assert!((sd / expected - 1.0).abs() < 0.06, "{model:?} {sd} {expected}");
        }
    }
}
