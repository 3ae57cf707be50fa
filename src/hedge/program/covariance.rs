//! How factors move together: configured, or estimated as they move.
//!
//! The estimate is an exponentially weighted mean of outer products of moves, so it is positive semidefinite whatever
//! arrives. A move of the spot beyond [`JUMP_SDS`] standard deviations is a jump: it is cut back to that size, the whole
//! vector with it, and counted, because one jump would otherwise rule the estimate for days. Where something is believed
//! beforehand, no factor moves by more than that at once: a fit that settles is no move of the market.
//! [`Covariance::shrunk`] draws correlations toward zero by as much as the sample is short.

use super::{Curvature, FACTORS_MAX, NotConvex};

/// Moves of the spot beyond this many standard deviations are jumps.
pub const JUMP_SDS: f64 = 5.0;

/// Correlations assumed of the spot with everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stress {
    /// As estimated.
    Base,
    /// Toward one: all factors move together.
    Together,
    /// Toward minus one: the other factors move against the spot.
    Against,
}

impl Stress {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Base, Self::Together, Self::Against];

    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Together => "together",
            Self::Against => "against",
        }
    }
}

/// Covariance per year of the factors: the spot first, then what else moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance(Curvature);

impl Covariance {
    /// From the lower triangle of a matrix.
    pub fn new(rows: &[&[f64]]) -> Result<Self, NotConvex> {
        Curvature::from_matrix(rows).map(Self)
    }

    /// From standard deviations per year and a common source: factor k moves by `sds[k]`, of which `loadings[k]` (−1 to 1)
    /// comes from a source shared with all others.
    pub fn one_source(sds: &[f64], loadings: &[f64]) -> Result<Self, NotConvex> {
        let mut shared = [0.0; FACTORS_MAX];
        let mut matrix = Curvature::new(sds.len().min(FACTORS_MAX));
        for (k, (sd, loading)) in sds.iter().zip(loadings).enumerate().take(FACTORS_MAX) {
            shared[k] = sd * loading;
            matrix.add_diagonal(k, sd * sd * (1.0 - loading * loading))?;
        }
        matrix.add_outer(1.0, &shared[..matrix.factors()])?;
        Ok(Self(matrix))
    }

    /// Factors.
    pub fn factors(&self) -> usize {
        self.0.factors()
    }

    /// One entry, per year.
    pub fn at(&self, a: usize, b: usize) -> f64 {
        self.0.at(a, b)
    }

    /// Correlations times `1 − toward_zero`, variances as they are.
    pub fn shrunk(&self, toward_zero: f64) -> Result<Self, NotConvex> {
        let weight = toward_zero.clamp(0.0, 1.0);
        let mut matrix = Curvature::new(self.factors());
        matrix.add(1.0 - weight, &self.0)?;
        for k in 0..self.factors() {
            matrix.add_diagonal(k, weight * self.at(k, k))?;
        }
        Ok(Self(matrix))
    }

    /// This one by `1 − weight` and another by `weight`.
    pub fn mixed(&self, other: &Self, weight: f64) -> Result<Self, NotConvex> {
        let weight = weight.clamp(0.0, 1.0);
        let mut matrix = Curvature::new(self.factors());
        matrix.add(1.0 - weight, &self.0)?;
        matrix.add(weight, &other.0)?;
        Ok(Self(matrix))
    }

    /// Of the factors in other units: factor k is multiplied by `scales[k]`.
    pub fn scaled(&self, scales: &[f64]) -> Result<Self, NotConvex> {
        let mut scaled = self.clone();
        if scales.len() != self.factors() || scales.iter().any(|scale| !scale.is_finite()) {
            return Err(NotConvex);
        }
        for a in 0..scales.len() {
            for b in 0..scales.len() {
                scaled.0.rows[a][b] *= scales[a] * scales[b];
            }
        }
        Ok(scaled)
    }

    /// With correlations moved by `amount` (0 to 1) toward the case of `stress`.
    pub fn stressed(&self, stress: Stress, amount: f64) -> Result<Self, NotConvex> {
        let sign = match stress {
            Stress::Base => return Ok(self.clone()),
            Stress::Together => 1.0,
            Stress::Against => -1.0,
        };
        let mut together = [0.0; FACTORS_MAX];
        for k in 0..self.factors() {
            together[k] = self.at(k, k).max(0.0).sqrt() * if k == 0 { 1.0 } else { sign };
        }
        let mut matrix = Curvature::new(self.factors());
        matrix.add(1.0 - amount.clamp(0.0, 1.0), &self.0)?;
        matrix.add_outer(amount.clamp(0.0, 1.0), &together[..self.factors()])?;
        Ok(Self(matrix))
    }
}

/// The online estimate.
#[derive(Clone, Debug)]
pub struct Estimator {
    /// Σ weight·move·moveᵀ / Σ weight·years.
    sums: Curvature,
    years: f64,
    memory_years: f64,
    moves: u64,
    jumps: u64,
    unusable: u64,
}

impl Estimator {
    /// An estimate of `factors` factors that forgets with a time constant of `memory_years`.
    ///
    /// # Panics
    ///
    /// If there are more than [`FACTORS_MAX`] factors.
    pub fn new(factors: usize, memory_years: f64) -> Self {
        Self { sums: Curvature::new(factors), years: 0.0, memory_years, moves: 0, jumps: 0, unusable: 0 }
    }

    /// The same for moves of which `believed` is believed: each factor's is cut back to a jump of it.
    pub fn observe_beside(&mut self, believed: &Covariance, moves: &[f64], years: f64) {
        let mut kept = [0.0; FACTORS_MAX];
        let kept = &mut kept[..moves.len().min(FACTORS_MAX)];
        kept.copy_from_slice(&moves[..kept.len()]);
        let mut is_cut = false;
        for (k, moved) in kept.iter_mut().enumerate().take(believed.factors()) {
            let most = JUMP_SDS * (believed.at(k, k) * years).sqrt();
            if moved.is_finite() && moved.abs() > most {
                (*moved, is_cut) = (most.copysign(*moved), true);
            }
        }
        self.enter(kept, years, is_cut);
    }

    /// Takes in how far the factors moved over `years`. What is not finite is counted and left out.
    pub fn observe(&mut self, moves: &[f64], years: f64) {
        self.enter(moves, years, false);
    }

    /// The same of moves that were cut back already, which count as one jump however often they are, or were not.
    fn enter(&mut self, moves: &[f64], years: f64, is_cut: bool) {
        self.jumps += u64::from(is_cut);
        let n = self.sums.factors();
        let usable = moves.len() == n && moves.iter().all(|m| m.is_finite()) && years > 0.0 && years.is_finite();
        if !usable {
            self.unusable += 1;
            return;
        }
        let mut kept = [0.0; FACTORS_MAX];
        kept[..n].copy_from_slice(moves);
        let expected = (self.sums.at(0, 0) / self.years * years).sqrt();
        // Until the estimate stands there is nothing to judge a move by.
        if self.moves >= 30 && expected > 0.0 && kept[0].abs() > JUMP_SDS * expected {
            let cut = JUMP_SDS * expected / kept[0].abs();
            kept.iter_mut().for_each(|m| *m *= cut);
            self.jumps += u64::from(!is_cut);
        }
        let keep = self.memory_years / (self.memory_years + years);
        let mut sums = Curvature::new(n);
        let added = sums.add(keep, &self.sums).and_then(|()| sums.add_outer(1.0, &kept[..n]));
        if added.is_err() {
            self.unusable += 1;
            return;
        }
        self.sums = sums;
        self.years = keep * self.years + years;
        self.moves += 1;
    }

    /// The estimate with correlations shrunk by `factors / (factors + moves remembered)`; `None` before the first move.
    pub fn covariance(&self) -> Option<Covariance> {
        let n = self.sums.factors() as f64;
        let mut matrix = Curvature::new(self.sums.factors());
        matrix.add(1.0 / self.years, &self.sums).ok()?;
        Covariance(matrix).shrunk(n / (n + self.moves as f64)).ok()
    }

    /// `believed`, which counts as `prior_moves` moves, corrected by what was seen: a wrong belief fades as moves come in.
    pub fn corrected(&self, believed: Covariance, prior_moves: u32) -> Result<Covariance, NotConvex> {
        match self.covariance() {
            Some(seen) => believed.mixed(&seen, self.weight(prior_moves)),
            None => Ok(believed),
        }
    }

    /// How much what was seen counts beside a belief that counts as `prior_moves` moves, 0 to 1.
    pub fn weight(&self, prior_moves: u32) -> f64 {
        let (seen, believed) = (self.moves as f64, f64::from(prior_moves));
        if seen > 0.0 { seen / (seen + believed) } else { 0.0 }
    }

    /// Moves taken in.
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// Moves cut back as jumps.
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    /// Moves left out because they were not finite.
    pub fn unusable(&self) -> u64 {
        self.unusable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A spot that moves by ±1 a step and a volatility that follows it at −½ and by itself.
    fn observed(steps: usize) -> Estimator {
        let mut estimator = Estimator::new(2, 0.5);
        for step in 0..steps {
            let spot = if step % 2 == 0 { 1.0 } else { -1.0 };
            let own = if step / 2 % 2 == 0 { 0.5 } else { -0.5 };
            estimator.observe(&[spot, -0.5 * spot + own], 0.001);
        }
        estimator
    }

    #[test]
    fn the_estimate_finds_variances_and_correlation() {
        let covariance = observed(4_000).covariance().unwrap();
        assert!((covariance.at(0, 0) - 1_000.0).abs() < 10.0, "{covariance:?}");
        assert!((covariance.at(0, 1) + 500.0).abs() < 10.0, "{covariance:?}");
        assert!((covariance.at(1, 1) - 500.0).abs() < 10.0, "{covariance:?}");
    }

    #[test]
    fn no_factor_moves_by_more_than_a_jump_of_what_is_believed() {
        let believed = Covariance::new(&[&[1_000.0], &[0.0, 10.0]]).unwrap();
        let mut estimator = Estimator::new(2, 0.5);
        estimator.observe_beside(&believed, &[1.0, -70.0], 0.001);
        let covariance = estimator.covariance().unwrap();
        assert!((covariance.at(0, 0) - 1_000.0).abs() < 1e-9, "{covariance:?}");
        assert!((covariance.at(1, 1) - JUMP_SDS * JUMP_SDS * 10.0).abs() < 1e-9, "{covariance:?}");
        assert_eq!((estimator.jumps(), estimator.unusable()), (1, 0));
        estimator.observe_beside(&believed, &[1.0, f64::INFINITY], 0.001);
        assert_eq!((estimator.jumps(), estimator.unusable()), (1, 1));
    }

    #[test]
    fn a_wrong_belief_fades_as_moves_come_in() {
        let believed = || Covariance::new(&[&[250.0], &[0.0, 8_000.0]]).unwrap();
        assert_eq!(Estimator::new(2, 0.5).corrected(believed(), 0), Ok(believed()));
        let (early, late) = (observed(100), observed(10_000));
        let half = early.corrected(believed(), 100).unwrap();
        let seen = early.covariance().unwrap();
        assert!((half.at(0, 0) - 0.5 * (250.0 + seen.at(0, 0))).abs() < 1e-9, "{half:?}");
        let corrected = late.corrected(believed(), 100).unwrap();
        assert!((corrected.at(1, 1) / 500.0 - 1.0).abs() < 0.2 && corrected.at(0, 1) < -490.0, "{corrected:?}");
    }

    #[test]
    fn a_jump_is_cut_back_and_counted() {
        let mut estimator = observed(1_000);
        estimator.observe(&[1_000.0, -700.0], 0.001);
        assert_eq!(estimator.jumps(), 1);
        let covariance = estimator.covariance().unwrap();
        assert!(covariance.at(0, 0) < 1_200.0, "{covariance:?}");
    }

    #[test]
    fn what_is_not_finite_is_counted_and_changes_nothing() {
        let mut estimator = observed(100);
        let before = estimator.covariance();
        estimator.observe(&[f64::NAN, 1.0], 0.001);
        estimator.observe(&[1.0], 0.001);
        estimator.observe(&[1.0, 1.0], 0.0);
        assert_eq!(estimator.unusable(), 3);
        assert_eq!(estimator.covariance(), before);
        assert_eq!(Estimator::new(2, 1.0).covariance(), None);
    }

    #[test]
    fn mixtures_and_other_units_stay_covariances() {
        let base = Covariance::new(&[&[4.0], &[0.6, 1.0]]).unwrap();
        let other = Covariance::new(&[&[8.0], &[0.0, 3.0]]).unwrap();
        let mixed = base.mixed(&other, 0.25).unwrap();
        assert_eq!((mixed.at(0, 0), mixed.at(0, 1), mixed.at(1, 1)), (5.0, 0.75 * 0.6, 1.5));
        let scaled = base.scaled(&[10.0, 1.0]).unwrap();
        assert_eq!((scaled.at(0, 0), scaled.at(1, 0), scaled.at(1, 1)), (400.0, 6.0, 1.0));
        assert_eq!(base.scaled(&[f64::NAN, 1.0]), Err(NotConvex));
        assert_eq!(base.mixed(&Covariance::new(&[&[1.0]]).unwrap(), 0.5), Err(NotConvex));
    }

    #[test]
    fn stress_moves_correlations_and_leaves_variances() {
        let base = Covariance::new(&[&[4.0], &[0.6, 1.0]]).unwrap();
        let together = base.stressed(Stress::Together, 0.5).unwrap();
        let against = base.stressed(Stress::Against, 0.5).unwrap();
        assert!((together.at(0, 1) - 1.3).abs() < 1e-12 && (against.at(0, 1) + 0.7).abs() < 1e-12);
        for stressed in [together, against] {
            assert!((stressed.at(0, 0) - 4.0).abs() < 1e-12 && (stressed.at(1, 1) - 1.0).abs() < 1e-12);
        }
        assert!((base.shrunk(0.5).unwrap().at(0, 1) - 0.3).abs() < 1e-12);
    }
}
