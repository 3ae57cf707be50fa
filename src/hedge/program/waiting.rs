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
//! s² follows from M, the exponentially weighted covariance a year of the exposures' own moves over moments that are some
//! time apart (minutes, not ticks), our trades taken out: with a = Q'h, the wanted amount moves by aᵀ(move)/q, so
//! s² = aᵀMa/q². A moment costs some hundred nanoseconds, a cost about as much.

use super::{Curvature, FACTORS_MAX};
use crate::hedge::policy::cbrt;

/// How fast what is wanted of hedges moves.
#[derive(Clone, Debug)]
pub struct Waiting {
    memory_years: f64,
    /// The exposures of the last moment, and what our trades have added since.
    exposure: Option<[f64; FACTORS_MAX]>,
    /// Weighted sums: of move·moveᵀ, and of time.
    moves: Curvature,
    years: f64,
}

impl Waiting {
    /// Knows nothing yet, so that nothing waits; of `factors` factors, and forgets with a time constant of `memory_years`.
    pub fn new(factors: usize, memory_years: f64) -> Self {
        Self { memory_years, exposure: None, moves: Curvature::new(factors), years: 0.0 }
    }

    /// `units` of a hedge were traded that add `loading` a unit.
    pub fn traded(&mut self, loading: &[f64], units: f64) {
        if let Some(exposure) = &mut self.exposure {
            for (x, l) in exposure.iter_mut().zip(loading) {
                *x += units * l;
            }
        }
    }

    /// Something moved the exposures that is not to count: the next moment is a first one.
    pub fn interrupt(&mut self) {
        self.exposure = None;
    }

    /// A moment `years` after the last one, and what the book is exposed to. What is not finite is left out.
    pub fn observe(&mut self, exposed: &[f64], years: f64) {
        let mut exposure = [0.0; FACTORS_MAX];
        for (x, given) in exposure.iter_mut().zip(exposed) {
            *x = *given;
        }
        let Some(last) = self.exposure.replace(exposure) else { return };
        let mut moved = exposure;
        for (x, l) in moved.iter_mut().zip(&last) {
            *x -= l;
        }
        if !(years > 0.0 && years.is_finite() && moved.iter().all(|x| x.is_finite())) {
            return;
        }
        let keep = self.memory_years / (self.memory_years + years);
        let mut moves = Curvature::new(self.moves.factors());
        let added = moves.add(keep, &self.moves).and_then(|()| moves.add_outer(1.0, &moved[..self.moves.factors()]));
        if added.is_ok() {
            self.moves = moves;
            self.years = keep * self.years + years;
        }
    }

    /// How much a hedge with this loading waits, if exposures cost `curvature` over `horizon_years`.
    pub fn patience(&self, curvature: &Curvature, loading: &[f64; FACTORS_MAX], horizon_years: f64) -> Patience {
        if self.years <= 0.0 {
            return Patience(0.0);
        }
        let along = without_delta(curvature, loading);
        Patience(1.5 * (2.0 * self.moves.half_form(&along) / self.years) * horizon_years)
    }
}

/// How much a hedge waits: 3/2·s²·τ·q².
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience(f64);

impl Patience {
    /// What trading a unit that costs `cost` has to be worth: no less than that.
    pub fn worth(self, cost: f64) -> f64 {
        let waiting = self.0 * cost;
        // What pays for itself waits for nothing.
        if cost > 0.0 && waiting.is_finite() && waiting > cost * cost * cost { cbrt(waiting) } else { cost }
    }
}

/// Q'·loading, where Q' = Q − Q₀Q₀ᵀ/Q₀₀ is what is left of the curvature once delta is hedged.
fn without_delta(q: &Curvature, loading: &[f64; FACTORS_MAX]) -> [f64; FACTORS_MAX] {
    let m = q.factors();
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

    const YEARS: f64 = 1e-5;
    const HORIZON: f64 = 0.02;

    /// Delta and one other factor that costs ½·curvature·v².
    fn exposures_cost(curvature: f64) -> Curvature {
        let mut q = Curvature::new(2);
        q.add_outer(50.0, &[1.0, 0.3]).unwrap();
        q.add_diagonal(1, curvature).unwrap();
        q
    }

    /// What a hedge has to be worth that costs 0.1 and adds one of delta and so much of the other factor.
    fn cost(waiting: &Waiting, other: f64, cost: f64) -> f64 {
        let mut loading = [0.0; FACTORS_MAX];
        (loading[0], loading[1]) = (1.0, other);
        waiting.patience(&exposures_cost(3.0), &loading, HORIZON).worth(cost)
    }

    /// A moment at an exposure.
    fn observe(waiting: &mut Waiting, exposure: f64, years: f64) {
        waiting.observe(&[7.0 * exposure, exposure], years);
    }

    /// Moments between which the exposure moves to and fro by `by`.
    fn observed(by: f64) -> Waiting {
        let mut waiting = Waiting::new(2, 1.0);
        for k in 0..200 {
            observe(&mut waiting, if k % 2 == 0 { 0.0 } else { by }, YEARS);
        }
        waiting
    }

    #[test]
    fn a_hedge_waits_within_whalley_and_wilmotts_band() {
        let (curvature, by, paid) = (3.0, 0.4, 0.1);
        // A unit of the hedge adds 2 of the factor: half of what the factor moves is wanted.
        let variance = (0.5 * by) * (0.5 * by) / YEARS;
        let own = curvature * 4.0;
        let half_width = (1.5 * paid * variance / (own / HORIZON)).cbrt();
        let waits_at = cost(&observed(by), 2.0, paid) / own;
        assert!((waits_at / half_width - 1.0).abs() < 1e-9, "{waits_at} {half_width}");
    }

    #[test]
    fn what_hedges_delta_alone_and_what_stays_where_it_is_do_not_wait() {
        assert_eq!(cost(&observed(0.4), 0.0, 0.1), 0.1);
        assert_eq!(cost(&observed(0.0), 2.0, 0.1), 0.1);
        assert_eq!(cost(&Waiting::new(2, 1.0), 2.0, 0.1), 0.1);
        assert_eq!(cost(&observed(1e-7), 2.0, 0.1), 0.1, "a cost that is high beside what moves");
    }

    #[test]
    fn our_own_trades_and_interruptions_are_no_moves() {
        let mut waiting = Waiting::new(2, 1.0);
        let mut exposure = 1.0;
        for k in 0..50 {
            observe(&mut waiting, exposure, YEARS);
            let units = if k % 2 == 0 { 1.0 } else { -1.0 };
            waiting.traded(&[7.0 * 2.0, 2.0], units);
            exposure += 2.0 * units;
        }
        waiting.interrupt();
        observe(&mut waiting, 100.0, YEARS);
        assert_eq!(cost(&waiting, 2.0, 0.1), 0.1);
    }

    #[test]
    fn what_is_not_finite_changes_nothing() {
        let mut waiting = observed(0.4);
        let before = cost(&waiting, 2.0, 0.1);
        observe(&mut waiting, f64::NAN, YEARS);
        observe(&mut waiting, 0.0, YEARS);
        observe(&mut waiting, 0.0, 0.0);
        assert_eq!(cost(&waiting, 2.0, 0.1), before);
        assert_eq!(cost(&waiting, 2.0, f64::NAN).to_bits(), f64::NAN.to_bits());
    }
}
