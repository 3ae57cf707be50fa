//! What it is worth to wait: a hedge that will have to be changed again soon is not worth its whole cost.
//!
//! The program weighs a cost paid once against a risk run for the whole horizon τ. That is right for an exposure that stays,
//! and trades too much where what is wanted of a hedge keeps moving. With s² the variance a year of the wanted amount,
//! c the cost of one unit and q = hᵀQ'h the curvature along the hedge over τ, keeping within a half-width w of what is
//! wanted is cheapest at `w = (3cs² / (2q/τ))^{1/3}`, the band of Whalley and Wilmott with the hedge in the place of
//! delta; the program stands still while `q·w ≤ c`. So it is given the cost that makes it stand still there,
//!
//! ```text
//!   c' = max(c, (3/2 · c·s²·τ·q²)^{1/3})
//! ```
//!
//! which is c while the horizon is short, the hedge dear or the exposure still. Q' is the curvature that is left when
//! delta, the first factor, is hedged perfectly: its own curvature is that of a band already.
//!
//! s² is an exponentially weighted mean over moments that are some time apart (minutes, not ticks): how far the exposures
//! moved other than by our trades, along the hedge. Costs a few hundred nanoseconds a moment; the figures it leaves are
//! used until the next.

use super::{FACTORS_MAX, HEDGES_MAX, Problem};
use crate::hedge::policy::cbrt;

/// How fast what is wanted of each hedge moves.
#[derive(Clone, Debug)]
pub struct Waiting {
    memory_years: f64,
    /// The exposures of the last moment, and what our trades have added since.
    exposure: Option<[f64; FACTORS_MAX]>,
    /// Weighted sums: of squared moves of the wanted amounts, and of time.
    moved: [f64; HEDGES_MAX],
    years: f64,
    /// 3/2·s²·τ·q² of each hedge.
    scale: [f64; HEDGES_MAX],
}

impl Waiting {
    /// Knows nothing yet, so that nothing waits; forgets with a time constant of `memory_years`.
    pub fn new(memory_years: f64) -> Self {
        Self { memory_years, exposure: None, moved: [0.0; HEDGES_MAX], years: 0.0, scale: [0.0; HEDGES_MAX] }
    }

    /// `units` of a hedge were traded that add `loading` a unit.
    pub fn traded(&mut self, loading: &[f64], units: f64) {
        if let Some(exposure) = &mut self.exposure {
            for (x, l) in exposure.iter_mut().zip(loading) {
                *x += units * l;
            }
        }
    }

    /// A moment `years` after the last one: what the book is exposed to, and the curvature and hedges of `problem` with
    /// `horizon_years` ahead. Hedges keep their places from one moment to the next. What is not finite is left out.
    pub fn observe(&mut self, problem: &Problem, exposed: &[f64], horizon_years: f64, years: f64) {
        let mut exposure = [0.0; FACTORS_MAX];
        for (x, given) in exposure.iter_mut().zip(exposed) {
            *x = *given;
        }
        let Some(last) = self.exposure.replace(exposure) else { return };
        let mut move_since = exposure;
        for (x, l) in move_since.iter_mut().zip(&last) {
            *x -= l;
        }
        if !(years > 0.0 && years.is_finite() && move_since.iter().all(|x| x.is_finite())) {
            return;
        }
        let keep = self.memory_years / (self.memory_years + years);
        self.years = keep * self.years + years;
        for i in 0..problem.hedges() {
            let loading = problem.loading(i);
            let along = without_delta(problem, &loading);
            let mut own = 0.0;
            let mut moved = 0.0;
            for k in 0..problem.factors() {
                own += along[k] * loading[k];
                moved += along[k] * move_since[k];
            }
            let wanted = moved / own;
            let usable = own > 0.0 && wanted.is_finite();
            self.moved[i] = keep * self.moved[i] + if usable { wanted * wanted } else { 0.0 };
            let scale = 1.5 * self.moved[i] / self.years * horizon_years * own * own;
            self.scale[i] = if usable && scale.is_finite() { scale } else { 0.0 };
        }
    }

    /// What trading a unit of hedge `i` has to be worth if it costs `cost`: no less than that.
    pub fn cost(&self, i: usize, cost: f64) -> f64 {
        let waiting = self.scale[i] * cost;
        if waiting > cost * cost * cost { cbrt(waiting) } else { cost }
    }
}

/// Q'·loading, where Q' = Q − Q₀Q₀ᵀ/Q₀₀ is what is left of the curvature once delta is hedged.
fn without_delta(problem: &Problem, loading: &[f64; FACTORS_MAX]) -> [f64; FACTORS_MAX] {
    let (q, m) = (problem.curvature(), problem.factors());
    let mut product = [0.0; FACTORS_MAX];
    for a in 0..m {
        for b in 0..m {
            product[a] += q.at(a, b) * loading[b];
        }
    }
    let mut left = [0.0; FACTORS_MAX];
    for a in 1..m {
        let hedged = if q.at(0, 0) > 0.0 { q.at(a, 0) / q.at(0, 0) * product[0] } else { 0.0 };
        left[a] = product[a] - hedged;
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hedge::program::Candidate;

    const YEARS: f64 = 1e-5;
    const HORIZON: f64 = 0.02;

    /// Delta and one other factor that costs ½·curvature·v²; a hedge of delta and one of both.
    fn problem(curvature: f64) -> Problem {
        let mut problem = Problem::new(2);
        problem.curvature_mut().add_outer(50.0, &[1.0, 0.3]).unwrap();
        problem.curvature_mut().add_diagonal(1, curvature).unwrap();
        for other in [0.0, 2.0] {
            let mut loading = [0.0; FACTORS_MAX];
            (loading[0], loading[1]) = (1.0, other);
            let candidate = Candidate { loading, buy: 0.1, sell: 0.1, impact: 0.0, lower: -9.0, upper: 9.0 };
            problem.push(&candidate).unwrap();
        }
        problem
    }

    /// A moment at an exposure.
    fn observe(waiting: &mut Waiting, curvature: f64, exposure: f64, years: f64) {
        waiting.observe(&problem(curvature), &[7.0 * exposure, exposure], HORIZON, years);
    }

    /// Moments between which the exposure moves to and fro by `by`.
    fn observed(curvature: f64, by: f64) -> Waiting {
        let mut waiting = Waiting::new(1.0);
        for k in 0..200 {
            observe(&mut waiting, curvature, if k % 2 == 0 { 0.0 } else { by }, YEARS);
        }
        waiting
    }

    #[test]
    fn a_hedge_waits_within_whalley_and_wilmotts_band() {
        let (curvature, by, cost) = (3.0, 0.4, 0.1);
        // A unit of the hedge adds 2 of the factor: half of what the factor moves is wanted.
        let variance = (0.5 * by) * (0.5 * by) / YEARS;
        let own = curvature * 4.0;
        let half_width = (1.5 * cost * variance / (own / HORIZON)).cbrt();
        let waits_at = observed(curvature, by).cost(1, cost) / own;
        assert!((waits_at / half_width - 1.0).abs() < 1e-9, "{waits_at} {half_width}");
    }

    #[test]
    fn what_hedges_delta_alone_and_what_stays_where_it_is_do_not_wait() {
        assert_eq!(observed(3.0, 0.4).cost(0, 0.1), 0.1);
        assert_eq!(observed(3.0, 0.0).cost(1, 0.1), 0.1);
        assert_eq!(Waiting::new(1.0).cost(1, 0.1), 0.1);
        assert_eq!(observed(3.0, 1e-7).cost(1, 0.1), 0.1, "a cost that is high beside what moves");
    }

    #[test]
    fn our_own_trades_are_no_moves() {
        let mut waiting = Waiting::new(1.0);
        let mut exposure = 1.0;
        for k in 0..50 {
            observe(&mut waiting, 3.0, exposure, YEARS);
            let units = if k % 2 == 0 { 1.0 } else { -1.0 };
            waiting.traded(&[7.0 * 2.0, 2.0], units);
            exposure += 2.0 * units;
        }
        assert_eq!(waiting.cost(1, 0.1), 0.1);
    }

    #[test]
    fn what_is_not_finite_changes_nothing() {
        let mut waiting = observed(3.0, 0.4);
        let before = waiting.cost(1, 0.1);
        observe(&mut waiting, 3.0, f64::NAN, YEARS);
        observe(&mut waiting, 3.0, 0.0, YEARS);
        observe(&mut waiting, 3.0, 0.0, 0.0);
        assert_eq!(waiting.cost(1, 0.1), before);
        assert_eq!(waiting.cost(1, f64::NAN).to_bits(), f64::NAN.to_bits());
    }
}
