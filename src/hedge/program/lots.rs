//! From trades to whole lots, and whether the batch is worth sending.

use super::{HEDGES_MAX, Problem, Solver};

/// A certified solution in whole lots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounded {
    /// Lots of each hedge, in the order of admission; positive is bought.
    pub lots: [i32; HEDGES_MAX],
    /// P of standing still.
    pub untraded: f64,
    /// P of these lots, by more than the cost of the batch below that of standing still.
    pub objective: f64,
}

/// Passes over the hedges that look for a better whole number.
const SWEEPS: usize = 2;

impl Solver {
    /// Rounds the last trades to lots of `lot[i]` units: toward zero first, then each hedge in turn to the whole number
    /// that is best given the others. `None` unless P falls by more than `batch_cost`, what sending anything costs
    /// (gas); a lot that is not positive is not traded.
    ///
    /// `problem` is the one that was solved.
    pub fn to_lots(&mut self, problem: &Problem, lot: &[f64], batch_cost: f64) -> Option<Rounded> {
        let n = problem.hedges();
        let mut lots = [0i32; HEDGES_MAX];
        for i in 0..n {
            let size = lot.get(i).copied().unwrap_or(0.0);
            let whole = if size > 0.0 { (self.trades[i] / size).trunc() } else { 0.0 };
            lots[i] = whole as i32;
            let rounded = f64::from(lots[i]) * if size > 0.0 { size } else { 0.0 };
            if rounded != self.trades[i] {
                self.shift(problem, i, rounded - self.trades[i]);
                self.trades[i] = rounded;
            }
        }
        for _ in 0..SWEEPS {
            for i in 0..n {
                let Some(size) = lot.get(i).copied().filter(|size| *size > 0.0) else { continue };
                let best = self.best_lots(problem, i, size, lots[i]);
                if best != lots[i] {
                    let target = f64::from(best) * size;
                    self.shift(problem, i, target - self.trades[i]);
                    self.trades[i] = target;
                    lots[i] = best;
                }
            }
        }
        let (untraded, objective) = (self.untraded, problem.objective(&self.trades[..n]));
        (objective + batch_cost < untraded).then_some(Rounded { lots, untraded, objective })
    }

    /// The whole number of lots that is best for hedge `i` given the other trades; `present` where it is as good.
    fn best_lots(&mut self, problem: &Problem, i: usize, size: f64, present: i32) -> i32 {
        let z = self.trades[i];
        if z == 0.0 && self.slope[i] >= -problem.buys_beyond[i] && self.slope[i] <= problem.sells_beyond[i] {
            return present;
        }
        let diagonal = self.column(problem, i)[i];
        let slope = self.slope[i] - diagonal * z;
        let value = |s: f64| slope * s + 0.5 * diagonal * s * s + problem.cost(i, s);
        let below = (problem.scalar_minimum(i, slope, diagonal) / size).floor() as i32;
        let mut best = (value(z), present);
        for lots in [below, below.saturating_add(1)] {
            let s = f64::from(lots) * size;
            if s >= problem.lower[i] && s <= problem.upper[i] && value(s) < best.0 {
                best = (value(s), lots);
            }
        }
        best.1
    }
}
