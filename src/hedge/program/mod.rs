//! The cheapest sufficient hedge: one quadratic program with the costs of trading in it.
//!
//! What enters: the exposure x of a book to m factors, the [`Curvature`] Q that says what an exposure costs, and up to
//! [`HEDGES_MAX`] hedges, each with its loadings (a column of H), its costs and its limits. What leaves: the trades z that
//! minimise
//!
//! ```text
//!   P(z) = ½ (x + Hz)ᵀ Q (x + Hz) + Σ φᵢ(zᵢ),      φ(z) = buy·z⁺ + sell·z⁻ + ½ impact·z²   on   lower ≤ z ≤ upper
//! ```
//!
//! and a certificate of how far from the optimum they can be. Trading costs make standing still the usual answer, so that
//! is asked first: z = 0 is optimal iff −buy ≤ HᵀQx ≤ sell for every hedge that may trade. [`Solver`] tells the rest.
//!
//! # The certificate
//!
//! For every v, `½yᵀQy ≥ vᵀQy − ½vᵀQv`; minimising the right side over z within the limits gives a lower bound on P that
//! separates by hedge. At v = x + Hz with a = HᵀQv it leaves
//!
//! ```text
//!   gap = Σ [ aᵢzᵢ + φᵢ(zᵢ) − min over lower ≤ s ≤ upper of (aᵢs + φᵢ(s)) ]
//! ```
//!
//! a sum of terms that are never negative, each a scalar minimum in closed form. Nothing cancels in it, so it is meaningful
//! down to rounding. Limits enter exactly; where a hedge has no impact they are tightened by what is implied: an optimal
//! trade cannot cost more than standing still.
//!
//! The gap presumes that Q is positive semidefinite and costs are convex; [`Curvature`] and [`Problem::push`] admit
//! nothing else. Everything is fixed-size; nothing allocates, loops without bound or calls the platform's mathematics.

#![expect(clippy::needless_range_loop, reason = "linear algebra over several arrays at once reads best by index")]

pub mod covariance;
mod curvature;
mod kernel;
mod lots;
pub mod objective;
mod solver;
#[cfg(test)]
mod tests;
mod waiting;

pub use covariance::{Covariance, Estimator, Stress};
pub use curvature::{Curvature, NotConvex};
pub use lots::Rounded;
pub use objective::{MarketView, ObjectiveConfig};
pub use solver::{Certificate, Counts, GAP_TOLERANCE, ITERATIONS_MAX, Outcome, Solver, Unsolved};
pub use waiting::{Patience, Waiting};

/// Hedges in a problem at most.
pub const HEDGES_MAX: usize = 32;
/// Factors in a problem at most.
pub const FACTORS_MAX: usize = 24;

/// One instrument that may be traded, per unit traded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Factor exposure that one unit adds; entries beyond the problem's factors are ignored.
    pub loading: [f64; FACTORS_MAX],
    /// Cost of buying one unit: half-spread, fee, waiting, carry. May be negative while `buy + sell` is not.
    pub buy: f64,
    /// Cost of selling one unit.
    pub sell: f64,
    /// Depth impact: the cost of z units grows by ½·impact·z².
    pub impact: f64,
    /// Most that may be sold, zero or negative.
    pub lower: f64,
    /// Most that may be bought, zero or positive.
    pub upper: f64,
}

/// Why a candidate was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// [`HEDGES_MAX`] are in already.
    Full,
    /// A loading is NaN or infinite.
    Loading,
    /// Costs are not finite, `buy + sell` or the impact is negative.
    Cost,
    /// Limits are not finite or do not contain zero.
    Limits,
}

/// One decision to be made. Large (15 KB): build it once, [`reset`](Self::reset) it for each decision.
#[derive(Clone, Debug)]
pub struct Problem {
    factors: usize,
    hedges: usize,
    exposure: [f64; FACTORS_MAX],
    curvature: Curvature,
    /// By factor, then hedge: products over factors run along hedges, in lanes.
    loadings: [[f64; HEDGES_MAX]; FACTORS_MAX],
    buy: [f64; HEDGES_MAX],
    sell: [f64; HEDGES_MAX],
    impact: [f64; HEDGES_MAX],
    lower: [f64; HEDGES_MAX],
    upper: [f64; HEDGES_MAX],
    /// Marginal risk below minus which buying pays; infinite for what may not be bought.
    buys_beyond: [f64; HEDGES_MAX],
    /// Marginal risk above which selling pays; infinite for what may not be sold.
    sells_beyond: [f64; HEDGES_MAX],
}

impl Problem {
    /// An empty problem in `factors` factors, [`FACTORS_MAX`] at most.
    ///
    /// # Panics
    ///
    /// If there are more factors than that.
    pub fn new(factors: usize) -> Self {
        Self {
            factors,
            hedges: 0,
            exposure: [0.0; FACTORS_MAX],
            curvature: Curvature::new(factors),
            loadings: [[0.0; HEDGES_MAX]; FACTORS_MAX],
            buy: [0.0; HEDGES_MAX],
            sell: [0.0; HEDGES_MAX],
            impact: [0.0; HEDGES_MAX],
            lower: [0.0; HEDGES_MAX],
            upper: [0.0; HEDGES_MAX],
            buys_beyond: [f64::INFINITY; HEDGES_MAX],
            sells_beyond: [f64::INFINITY; HEDGES_MAX],
        }
    }

    /// Back to empty.
    pub fn reset(&mut self) {
        self.hedges = 0;
        self.exposure = [0.0; FACTORS_MAX];
        self.curvature.clear();
        for row in &mut self.loadings[..self.factors] {
            *row = [0.0; HEDGES_MAX];
        }
        self.buys_beyond = [f64::INFINITY; HEDGES_MAX];
        self.sells_beyond = [f64::INFINITY; HEDGES_MAX];
    }

    /// Factors of the problem.
    pub fn factors(&self) -> usize {
        self.factors
    }

    /// Hedges admitted.
    pub fn hedges(&self) -> usize {
        self.hedges
    }

    /// Exposures to the factors.
    pub fn exposure(&self) -> &[f64] {
        &self.exposure[..self.factors]
    }

    /// Exposures to the factors, to be set. A NaN here makes the solver refuse.
    pub fn exposure_mut(&mut self) -> &mut [f64] {
        &mut self.exposure[..self.factors]
    }

    /// What exposures cost.
    pub fn curvature(&self) -> &Curvature {
        &self.curvature
    }

    /// What exposures cost, to be set.
    pub fn curvature_mut(&mut self) -> &mut Curvature {
        &mut self.curvature
    }

    /// Admits a hedge and returns its index. One that makes no sense is left out, and the problem stays as it was.
    pub fn push(&mut self, candidate: &Candidate) -> Result<usize, NotAdmitted> {
        let Candidate { loading, buy, sell, impact, lower, upper } = *candidate;
        let index = self.hedges;
        if index == HEDGES_MAX {
            return Err(NotAdmitted::Full);
        }
        if loading[..self.factors].iter().any(|l| !l.is_finite()) {
            return Err(NotAdmitted::Loading);
        }
        if !(buy.is_finite() && sell.is_finite() && impact.is_finite() && buy + sell >= 0.0 && impact >= 0.0) {
            return Err(NotAdmitted::Cost);
        }
        if !(lower.is_finite() && upper.is_finite() && lower <= 0.0 && 0.0 <= upper) {
            return Err(NotAdmitted::Limits);
        }
        for (row, l) in self.loadings.iter_mut().zip(&loading[..self.factors]) {
            row[index] = *l;
        }
        self.buy[index] = buy;
        self.sell[index] = sell;
        self.impact[index] = impact;
        self.lower[index] = lower;
        self.upper[index] = upper;
        self.buys_beyond[index] = if upper > 0.0 { buy } else { f64::INFINITY };
        self.sells_beyond[index] = if lower < 0.0 { sell } else { f64::INFINITY };
        self.hedges += 1;
        Ok(index)
    }

    /// What a unit of hedge `i` adds to each factor.
    pub fn loading(&self, i: usize) -> [f64; FACTORS_MAX] {
        let mut loading = [0.0; FACTORS_MAX];
        for (l, row) in loading.iter_mut().zip(&self.loadings[..self.factors]) {
            *l = row[i];
        }
        loading
    }

    /// φ of hedge `i`: what trading `z` of it costs. Limits are not looked at.
    pub fn cost(&self, i: usize, z: f64) -> f64 {
        let linear = if z > 0.0 { self.buy[i] * z } else { -self.sell[i] * z };
        linear + 0.5 * self.impact[i] * z * z
    }

    /// P at `trades`, term by term as defined: what everything faster is held against.
    pub fn objective(&self, trades: &[f64]) -> f64 {
        let mut after = self.exposure;
        for (y, row) in after.iter_mut().zip(&self.loadings[..self.factors]) {
            for (l, z) in row.iter().zip(trades) {
                *y += l * z;
            }
        }
        self.curvature.half_form(&after) + self.cost_of(trades)
    }

    /// Σφ: what `trades` cost together.
    pub fn cost_of(&self, trades: &[f64]) -> f64 {
        trades.iter().enumerate().map(|(i, z)| self.cost(i, *z)).sum()
    }

    /// Least of `slope·s + φᵢ(s)` within the limits, where it is reached, with `diagonal` added to the impact.
    fn scalar_minimum(&self, i: usize, slope: f64, diagonal: f64) -> f64 {
        let curvature = self.impact[i] + diagonal;
        if slope < -self.buy[i] {
            (-(slope + self.buy[i]) / curvature).min(self.upper[i])
        } else if slope > self.sell[i] {
            (-(slope - self.sell[i]) / curvature).max(self.lower[i])
        } else {
            0.0
        }
    }
}
