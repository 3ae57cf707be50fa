//! One decision by the program: from exposures, costs and limits to whole lots, with a certificate.
//!
//! Two speeds. [`begin`](Planner::begin) writes what exposures cost under the worst of the correlation stresses, and
//! [`offer`](Planner::offer) what each hedge costs and may do; that takes microseconds and is done when books or
//! exposures have moved materially. [`look`](Planner::look) asks whether standing still is certified at an exposure:
//! tens of nanoseconds, on every tick. A decision to trade is made on a problem that was begun for it.

use super::program::objective::{self, MarketView, ObjectiveConfig};
use super::program::{
    Candidate, Certificate, Covariance, Curvature, FACTORS_MAX, HEDGES_MAX, NotConvex, Outcome, Problem, Rounded,
    Solver, Stress,
};

/// What a decision came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plan {
    /// Certified to stand still.
    StandStill,
    /// Trading pays, but not in whole lots, or by less than the batch costs.
    NotWorthwhile,
    /// Lots of each hedge, in the order in which they were offered.
    Trade(Trade),
    /// Nothing could be certified: a rule that needs less must decide.
    Unsolved,
}

/// Lots to trade and what they promise, quote currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Lots of each hedge; positive is bought.
    pub rounded: Rounded,
    /// Of the solution before rounding.
    pub certificate: Certificate,
    /// What trading these lots costs, as the hedges were offered.
    pub cost: f64,
}

impl Trade {
    /// By how much the cost of risk falls.
    pub fn risk_reduction(&self) -> f64 {
        self.rounded.untraded - (self.rounded.objective - self.cost)
    }
}

/// A problem and its solver: 45 KB, taken once.
#[derive(Debug)]
pub struct Planner {
    problem: Problem,
    solver: Solver,
    stress: Stress,
    scratch: Curvature,
    /// Whether costs and curvature are there to decide by.
    is_begun: bool,
    refused: Option<Refused>,
}

/// A solution that gained too little, or could not be had in whole lots: its dual point bounds the gain at other exposures
/// too, since for the marginal risk w of one point, `P(z; x) ≥ w·x + constant` whatever x and z.
#[derive(Debug)]
struct Refused {
    marginal: [f64; FACTORS_MAX],
    constant: f64,
    /// What has to be gained before it is worth solving again: the batch, or what was not enough for a lot.
    least: f64,
}

impl Refused {
    /// Most that any trade can gain at an exposure.
    fn gain_max(&self, curvature: &Curvature, exposure: &[f64]) -> f64 {
        let mut floor = self.constant;
        for (w, x) in self.marginal.iter().zip(exposure) {
            floor += w * x;
        }
        curvature.half_form(exposure) - floor
    }
}

impl Planner {
    /// Of problems in `factors` factors.
    pub fn new(factors: usize) -> Self {
        let (problem, scratch) = (Problem::new(factors), Curvature::new(factors));
        Self { problem, solver: Solver::new(), stress: Stress::Base, scratch, is_begun: false, refused: None }
    }

    /// Begins a decision: writes what exposures cost, under the stress in which `exposure` costs most.
    pub fn begin(
        &mut self,
        config: &ObjectiveConfig,
        view: &MarketView,
        covariance: &Covariance,
        stress_amount: f64,
        exposure: &[f64],
    ) -> Result<(), NotConvex> {
        self.problem.reset();
        self.end();
        let mut worst = None;
        // Without an amount every stress is the base.
        let stresses = if stress_amount == 0.0 { &[Stress::Base][..] } else { &Stress::ALL };
        for &stress in stresses {
            objective::write(&mut self.scratch, config, view, &covariance.stressed(stress, stress_amount)?)?;
            let risk = self.scratch.half_form(exposure);
            if worst.is_none_or(|most| risk > most) {
                worst = Some(risk);
                self.stress = stress;
                self.problem.curvature_mut().clone_from(&self.scratch);
            }
        }
        self.is_begun = true;
        Ok(())
    }

    /// Offers a hedge; its place in the decision, or `None` when it makes no sense and is left out.
    pub fn offer(&mut self, candidate: &Candidate) -> Option<usize> {
        self.refused = None;
        self.problem.push(candidate).ok()
    }

    /// The problem as it was begun and offered.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The stress that the decision is made under.
    pub fn stress(&self) -> Stress {
        self.stress
    }

    /// Forgets what was begun: nothing is decided until it is begun anew.
    pub fn end(&mut self) {
        self.is_begun = false;
        self.refused = None;
    }

    /// Whether a decision was begun.
    pub fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Whether standing still is certified at an exposure. `None` when nothing was begun.
    pub fn look(&mut self, exposure: &[f64]) -> Option<bool> {
        self.is_begun.then(|| self.solve(exposure) == Outcome::StandStill)
    }

    /// Decides at an exposure. Lots are the units in which hedges were offered; `batch_cost` is what sending anything costs.
    /// After a solution that gained less than that, or nothing in whole lots, nothing is solved again while its bound says that
    /// no more is to be gained where the exposure went.
    pub fn decide(&mut self, exposure: &[f64], batch_cost: f64) -> Plan {
        if !self.is_begun {
            return Plan::Unsolved;
        }
        let curvature = self.problem.curvature();
        if self.refused.as_ref().is_some_and(|refused| refused.gain_max(curvature, exposure) <= refused.least) {
            return Plan::NotWorthwhile;
        }
        self.refused = None;
        match self.solve(exposure) {
            Outcome::StandStill => Plan::StandStill,
            Outcome::Unsolved(_) => Plan::Unsolved,
            Outcome::Trade(certificate) => {
                let gain_max = certificate.untraded - certificate.objective + certificate.gap;
                // Taken before rounding moves the trades.
                let marginal = self.solver.marginal_risk(&self.problem);
                let pays = gain_max > batch_cost;
                let rounded = pays.then(|| self.solver.to_lots(&self.problem, &[1.0; HEDGES_MAX], batch_cost));
                let Some(rounded) = rounded.flatten() else {
                    let at_exposure: f64 = marginal.iter().zip(exposure).map(|(w, x)| w * x).sum();
                    let constant = certificate.objective - certificate.gap - at_exposure;
                    self.refused = Some(Refused { marginal, constant, least: gain_max.max(batch_cost) });
                    return Plan::NotWorthwhile;
                };
                let lots = rounded.lots.iter().take(self.problem.hedges()).enumerate();
                let cost = lots.map(|(i, lots)| self.problem.cost(i, f64::from(*lots))).sum();
                Plan::Trade(Trade { rounded, certificate, cost })
            }
        }
    }

    fn solve(&mut self, exposure: &[f64]) -> Outcome {
        let entered = self.problem.exposure_mut();
        if entered.len() != exposure.len() {
            return Outcome::Unsolved(super::program::Unsolved::NotFinite);
        }
        entered.copy_from_slice(exposure);
        self.solver.solve(&self.problem)
    }
}

/// A hedge as the program sees it, from its loading and costs; what may not be traded has both limits at zero.
pub fn candidate(loading: [f64; FACTORS_MAX], costs: &super::costs::Costs, limits: (f64, f64)) -> Candidate {
    let (buy, sell, impact) = (costs.buy, costs.sell, costs.impact);
    Candidate { loading, buy, sell, impact, lower: limits.0, upper: limits.1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::JUMPS;
    use crate::hedge::policy::BandConfig;
    use proptest::prelude::*;

    /// One factor of unit risk with a hedge of unit loading, and another that nothing hedges.
    fn planner() -> Planner {
        let mut planner = Planner::new(2);
        planner.problem.curvature_mut().add_outer(1.0, &[1.0, 0.0]).unwrap();
        planner.problem.curvature_mut().add_outer(0.5, &[0.2, 1.0]).unwrap();
        planner.is_begun = true;
        let mut loading = [0.0; FACTORS_MAX];
        loading[0] = 1.0;
        let offer = Candidate { loading, buy: 0.5, sell: 0.5, impact: 0.0, lower: -50.0, upper: 50.0 };
        assert_eq!(planner.offer(&offer), Some(0));
        planner
    }

    #[test]
    fn the_correlation_under_which_an_exposure_costs_most_is_the_one_that_counts() {
        let covariance = Covariance::new(&[&[3_600.0], &[-6.0, 1.0]]).unwrap();
        let band = BandConfig { risk_aversion: 0.1, half_width_min: 1e-6, half_width_max: 1e6 };
        let config = ObjectiveConfig { band, horizon_years: 0.02, gamma_min: 1e-6, jumps: [0.0; JUMPS] };
        let view = MarketView { spot: 100.0, delta_cost: 0.001, sigma: 0.6, gamma: 0.3 };
        let mut planner = Planner::new(3 + JUMPS);
        for (vega, worst) in [(100.0, Stress::Together), (-100.0, Stress::Against)] {
            let mut exposure = [0.0; 3 + JUMPS];
            (exposure[0], exposure[1]) = (100.0, vega);
            for (amount, stress) in [(0.5, worst), (0.0, Stress::Base)] {
                planner.begin(&config, &view, &covariance, amount, &exposure).unwrap();
                assert_eq!(planner.stress(), stress, "{vega} {amount}");
            }
        }
    }

    #[test]
    fn near_a_solution_that_gained_too_little_nothing_is_solved_again() {
        let mut planner = planner();
        assert_eq!(planner.decide(&[1.0, 0.0], 0.2), Plan::NotWorthwhile);
        let solved = planner.solver.counts().solved;
        assert_eq!(planner.decide(&[1.05, 0.01], 0.2), Plan::NotWorthwhile);
        assert_eq!(planner.solver.counts().solved, solved);
        assert!(matches!(planner.decide(&[3.0, 0.0], 0.2), Plan::Trade(_)));
        assert_eq!(planner.decide(&[1.0, 0.0], 0.2), Plan::NotWorthwhile);
        planner.end();
        assert_eq!(planner.decide(&[1.0, 0.0], 0.2), Plan::Unsolved);
    }

    #[test]
    fn what_was_too_little_for_a_lot_is_not_solved_again_before_more_is_to_be_gained() {
        let mut planner = planner();
        assert_eq!(planner.decide(&[0.9, 0.0], 0.0), Plan::NotWorthwhile, "0.4 of a lot");
        let solved = planner.solver.counts().solved;
        assert_eq!(planner.decide(&[0.85, 0.0], 0.0), Plan::NotWorthwhile);
        assert_eq!(planner.solver.counts().solved, solved);
        assert!(matches!(planner.decide(&[1.2, 0.0], 0.0), Plan::Trade(_)), "0.7 of a lot");
    }

    proptest! {
        #[test]
        fn what_is_left_by_the_bound_a_fresh_solution_leaves_too(
            walk in prop::collection::vec((-3.0f64..3.0, -1.0f64..1.0), 1..20), batch in 0.0f64..1.0,
        ) {
            let mut known = planner();
            for (delta, other) in walk {
                let plan = known.decide(&[delta, other], batch);
                let fresh = planner().decide(&[delta, other], batch);
                prop_assert_eq!(matches!(plan, Plan::Trade(_)), matches!(fresh, Plan::Trade(_)), "{:?} {:?}", plan, fresh);
            }
        }
    }
}
