//! One decision by the program: from exposures, costs and limits to whole lots, with a certificate.
//!
//! Two speeds. [`begin`](Planner::begin) writes what exposures cost under the worst of the correlation stresses, and
//! [`offer`](Planner::offer) what each hedge costs and may do; that takes microseconds and is done when books or
//! exposures have moved materially. [`look`](Planner::look) asks whether standing still is certified at an exposure:
//! tens of nanoseconds, on every tick. A decision to trade is made on a problem that was begun for it.
//!
//! # The worst of the stresses
//!
//! What a decision lowers is `f(z) = max over s of P_s(z)`, s a correlation stress. The stress that counts where the exposure is
//! bounds f from below, so what it certifies is optimal for f unless the trade leads to where another one counts more. Then
//! both are mixed: for every share λ, `min P_λ ≤ min f`, and the λ at which both weigh the same after the trade is found by
//! [`BISECTIONS`] halvings. A trade is made only if f itself falls by more than it costs: were it judged by one stress alone,
//! that stress would trade to where the other trades back.

use super::program::objective::{self, MarketView, ObjectiveConfig};
use super::program::{
    Candidate, Certificate, Covariance, Curvature, FACTORS_MAX, HEDGES_MAX, NotConvex, Outcome, Problem, Rounded,
    Solver, Stress, Unsolved,
};

/// Solutions, warm ones, that look for the share of a second stress.
const BISECTIONS: usize = 8;

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

/// Lots to trade and what they promise under the worst of the stresses, quote currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Lots of each hedge; positive is bought.
    pub rounded: Rounded,
    /// Of the solution before rounding. Where two stresses count, its gap is what halving has left.
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

/// A problem and its solver: 60 KB, taken once.
#[derive(Debug)]
pub struct Planner {
    problem: Problem,
    solver: Solver,
    stresses: Stresses,
    /// The stress that the problem was begun under.
    stress: Stress,
    /// Whether costs and curvature are there to decide by.
    is_begun: bool,
    refused: Option<Refused>,
}

/// What exposures cost under each stress, in the order of [`Stress::ALL`].
#[derive(Debug)]
struct Stresses {
    curvatures: [Curvature; Stress::ALL.len()],
    /// Without an amount every stress is the base.
    used: usize,
}

impl Stresses {
    /// The stress under which an exposure costs most, and how much.
    fn worst(&self, exposure: &[f64]) -> (Stress, f64) {
        let mut worst = (Stress::Base, self.curvatures[0].half_form(exposure));
        for (stress, curvature) in Stress::ALL.into_iter().zip(&self.curvatures).take(self.used).skip(1) {
            let risk = curvature.half_form(exposure);
            if risk > worst.1 {
                worst = (stress, risk);
            }
        }
        worst
    }

    fn of(&self, stress: Stress) -> &Curvature {
        &self.curvatures[stress as usize]
    }

    /// One by `1 − share`, another by `share`.
    fn mixed(&self, (one, other): (Stress, Stress), share: f64) -> Result<Curvature, NotConvex> {
        let mut mixed = Curvature::new(self.of(one).factors());
        mixed.add(1.0 - share, self.of(one))?;
        mixed.add(share, self.of(other))?;
        Ok(mixed)
    }
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
    /// Most that any trade can gain at an exposure that costs `risk`.
    fn gain_max(&self, risk: f64, exposure: &[f64]) -> f64 {
        let mut floor = self.constant;
        for (w, x) in self.marginal.iter().zip(exposure) {
            floor += w * x;
        }
        risk - floor
    }
}

impl Planner {
    /// Of problems in `factors` factors.
    pub fn new(factors: usize) -> Self {
        let curvatures = std::array::from_fn(|_| Curvature::new(factors));
        Self {
            problem: Problem::new(factors),
            solver: Solver::new(),
            stresses: Stresses { curvatures, used: 1 },
            stress: Stress::Base,
            is_begun: false,
            refused: None,
        }
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
        self.stresses.used = if stress_amount == 0.0 { 1 } else { Stress::ALL.len() };
        for (stress, curvature) in Stress::ALL.into_iter().zip(&mut self.stresses.curvatures).take(self.stresses.used) {
            objective::write(curvature, config, view, &covariance.stressed(stress, stress_amount)?)?;
        }
        self.begin_under_worst(exposure);
        Ok(())
    }

    fn begin_under_worst(&mut self, exposure: &[f64]) {
        self.stress = self.stresses.worst(exposure).0;
        self.problem.curvature_mut().clone_from(self.stresses.of(self.stress));
        self.is_begun = true;
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

    /// The stress that the decision was begun under.
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

    /// Whether standing still is certified at an exposure: it costs most under the stress that was begun, and there nothing
    /// pays. `None` when nothing was begun.
    pub fn look(&mut self, exposure: &[f64]) -> Option<bool> {
        self.is_begun
            .then(|| self.stresses.worst(exposure).0 == self.stress && self.solve(exposure) == Outcome::StandStill)
    }

    /// Decides at an exposure. Lots are the units in which hedges were offered; `batch_cost` is what sending anything costs.
    /// After a solution that gained less than that, or nothing in whole lots, nothing is solved again while its bound says that
    /// no more is to be gained where the exposure went.
    pub fn decide(&mut self, exposure: &[f64], batch_cost: f64) -> Plan {
        if !self.is_begun {
            return Plan::Unsolved;
        }
        if let Some(refused) = &self.refused {
            if refused.gain_max(self.stresses.worst(exposure).1, exposure) <= refused.least {
                return Plan::NotWorthwhile;
            }
            self.refused = None;
        }
        match self.solve(exposure) {
            Outcome::StandStill => Plan::StandStill,
            Outcome::Unsolved(_) => Plan::Unsolved,
            Outcome::Trade(certificate) => {
                let (other, _) = self.stresses.worst(&self.after());
                if other == self.stress {
                    return self.trade(&certificate, exposure, batch_cost);
                }
                let outcome = self.balance(other, exposure);
                let plan = match outcome {
                    // Both stresses leave nothing to gain in between.
                    Outcome::StandStill => Plan::NotWorthwhile,
                    Outcome::Unsolved(_) => Plan::Unsolved,
                    Outcome::Trade(certificate) => self.trade(&certificate, exposure, batch_cost),
                };
                self.problem.curvature_mut().clone_from(self.stresses.of(self.stress));
                plan
            }
        }
    }

    /// The solution, certified, in whole lots if they lower what the exposure costs under the worst stress.
    fn trade(&mut self, certificate: &Certificate, exposure: &[f64], batch_cost: f64) -> Plan {
        let (untraded, bound) = (self.stresses.worst(exposure).1, certificate.objective - certificate.gap);
        let objective = self.stresses.worst(&self.after()).1 + self.cost();
        // Under one stress alone this is the certificate as it is.
        let gap = certificate.gap + (objective - certificate.objective).max(0.0);
        let gain_max = untraded - bound;
        // Taken before rounding moves the trades.
        let marginal = self.solver.marginal_risk(&self.problem);
        if gain_max > batch_cost {
            // What the mixture says of standing still is less than what it costs.
            let hurdle = batch_cost - (untraded - certificate.untraded);
            if let Some(rounded) = self.solver.to_lots(&self.problem, &[1.0; HEDGES_MAX], hurdle) {
                let cost = self.cost();
                let objective = self.stresses.worst(&self.after()).1 + cost;
                if objective + batch_cost < untraded {
                    let rounded = Rounded { untraded, objective, ..rounded };
                    let certificate = Certificate { untraded, objective: bound + gap, gap, ..*certificate };
                    return Plan::Trade(Trade { rounded, certificate, cost });
                }
            }
        }
        let at_exposure: f64 = marginal.iter().zip(exposure).map(|(w, x)| w * x).sum();
        self.refused = Some(Refused { marginal, constant: bound - at_exposure, least: gain_max.max(batch_cost) });
        Plan::NotWorthwhile
    }

    /// Mixes `other` into the stress that was begun until both cost the same after the trade; leaves the mixture in the problem,
    /// solved, whose trades cost least under the worst.
    fn balance(&mut self, other: Stress, exposure: &[f64]) -> Outcome {
        let both = (self.stress, other);
        let (mut low, mut high) = (0.0, 1.0);
        let mut best = (f64::INFINITY, 0.0);
        for _ in 0..BISECTIONS {
            let share = 0.5 * (low + high);
            if let Outcome::Unsolved(reason) = self.solve_mixed(both, share, exposure) {
                return Outcome::Unsolved(reason);
            }
            let after = self.after();
            let (one, other) = (self.stresses.of(both.0).half_form(&after), self.stresses.of(both.1).half_form(&after));
            *(if other > one { &mut low } else { &mut high }) = share;
            let objective = self.stresses.worst(&after).1 + self.cost();
            if objective < best.0 {
                best = (objective, share);
            }
        }
        self.solve_mixed(both, best.1, exposure)
    }

    fn solve_mixed(&mut self, both: (Stress, Stress), share: f64, exposure: &[f64]) -> Outcome {
        let Ok(mixed) = self.stresses.mixed(both, share) else { return Outcome::Unsolved(Unsolved::NotFinite) };
        self.problem.curvature_mut().clone_from(&mixed);
        self.solve(exposure)
    }

    /// Exposure after the trades of the solver.
    fn after(&self) -> [f64; FACTORS_MAX] {
        self.solver.after(&self.problem)
    }

    /// What the trades of the solver cost.
    fn cost(&self) -> f64 {
        self.problem.cost_of(self.solver.trades())
    }

    fn solve(&mut self, exposure: &[f64]) -> Outcome {
        let entered = self.problem.exposure_mut();
        if entered.len() != exposure.len() {
            return Outcome::Unsolved(Unsolved::NotFinite);
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
        planner.stresses.curvatures[0].add_outer(1.0, &[1.0, 0.0]).unwrap();
        planner.stresses.curvatures[0].add_outer(0.5, &[0.2, 1.0]).unwrap();
        planner.begin_under_worst(&[0.0, 0.0]);
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

    /// Delta and one other factor, which two stresses tie to delta with opposite signs; a hedge of each,
    /// the second at a cost.
    fn torn(cost: f64) -> Planner {
        let mut planner = Planner::new(2);
        planner.stresses.used = 3;
        for (curvature, tie) in planner.stresses.curvatures.iter_mut().zip([0.0, 0.8, -0.8]) {
            curvature.add_outer(4.0, &[1.0, tie]).unwrap();
            curvature.add_outer(1.0, &[0.0, 1.0]).unwrap();
        }
        for (loading, cost) in [([1.0, 0.0], 0.05), ([0.3, 1.0], cost)] {
            let mut offer = Candidate {
                loading: [0.0; FACTORS_MAX],
                buy: cost,
                sell: cost,
                impact: 0.0,
                lower: -500.0,
                upper: 500.0,
            };
            offer.loading[..2].copy_from_slice(&[0.01 * loading[0], 0.01 * loading[1]]);
            (offer.buy, offer.sell) = (0.01 * cost, 0.01 * cost);
            planner.offer(&offer).unwrap();
        }
        planner
    }

    /// The exposure after a trade.
    fn after(planner: &Planner, exposure: &[f64], trade: &Trade) -> Vec<f64> {
        let mut after = exposure.to_vec();
        for (i, lots) in trade.rounded.lots.iter().enumerate().take(planner.problem.hedges()) {
            for (y, l) in after.iter_mut().zip(planner.problem.loading(i)) {
                *y += l * f64::from(*lots);
            }
        }
        after
    }

    #[test]
    fn a_stress_is_not_traded_away_to_where_another_costs_as_much() {
        let mut planner = torn(5.0);
        // The base ties nothing: with delta at zero the two stresses cost the same, and each alone would leave it.
        let exposure = [0.4, 1.0];
        planner.begin_under_worst(&exposure);
        assert_eq!(planner.stress(), Stress::Together);
        let Plan::Trade(trade) = planner.decide(&exposure, 0.0) else { panic!("delta costs more than hedging it") };
        let left = after(&planner, &exposure, &trade);
        let costs = Stress::ALL.map(|stress| planner.stresses.of(stress).half_form(&left));
        assert!((costs[1] - costs[2]).abs() < 0.05 * costs[1], "both count: {costs:?}");
        planner.begin_under_worst(&left);
        assert!(!matches!(planner.decide(&left, 0.0), Plan::Trade(_)), "{left:?}");
    }

    #[test]
    fn a_look_certifies_nothing_where_another_stress_counts() {
        let mut planner = torn(0.2);
        planner.begin_under_worst(&[0.0005, 0.01]);
        assert_eq!((planner.stress(), planner.look(&[0.0005, 0.01])), (Stress::Together, Some(true)));
        assert_eq!(planner.look(&[-0.0005, 0.01]), Some(false));
    }

    proptest! {
        /// On a frozen book decisions come to an end: each lowers what the worst stress costs by more than it costs.
        #[test]
        fn decisions_on_a_book_that_stands_still_come_to_an_end(
            delta in -2.0f64..2.0, other in -2.0f64..2.0, batch in 0.0f64..0.05,
        ) {
            let mut planner = torn(0.2);
            let mut exposure = vec![delta, other];
            let mut risk = planner.stresses.worst(&exposure).1;
            let mut decided = 0;
            planner.begin_under_worst(&exposure);
            while let Plan::Trade(trade) = planner.decide(&exposure, batch) {
                decided += 1;
                exposure = after(&planner, &exposure, &trade);
                let left = planner.stresses.worst(&exposure).1;
                prop_assert!(left + trade.cost + batch < risk, "{left} {risk} {trade:?}");
                prop_assert!((left + trade.cost - trade.rounded.objective).abs() < 1e-9);
                risk = left;
                prop_assert!(decided <= 3, "{exposure:?}");
                planner.begin_under_worst(&exposure);
            }
        }

        /// No trade on a grid is better under the worst stress than what the certificate leaves open.
        #[test]
        fn the_certificate_bounds_every_trade_under_the_worst_stress(
            delta in -2.0f64..2.0, other in -2.0f64..2.0, tried in prop::collection::vec((-300i32..300, -300i32..300), 1..100),
        ) {
            let mut planner = torn(0.2);
            let exposure = [delta, other];
            planner.begin_under_worst(&exposure);
            if let Plan::Trade(trade) = planner.decide(&exposure, 0.0) {
                let certificate = trade.certificate;
                let mut rounded = trade.rounded;
                for (first, second) in tried {
                    (rounded.lots[0], rounded.lots[1]) = (first, second);
                    let cost = planner.problem.cost(0, f64::from(first)) + planner.problem.cost(1, f64::from(second));
                    let left = after(&planner, &exposure, &Trade { rounded, ..trade });
                    let objective = planner.stresses.worst(&left).1 + cost;
                    prop_assert!(objective >= certificate.objective - certificate.gap - 1e-9, "{objective} {certificate:?}");
                }
                prop_assert!(certificate.gap < 0.01 * certificate.untraded, "{certificate:?}");
            }
        }

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
