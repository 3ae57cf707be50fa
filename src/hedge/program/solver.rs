//! The solver: certificate first, then coordinate descent to find who trades and Cholesky to find how much.
//!
//! 1. a = HᵀQx. If no hedge's marginal gain exceeds its cost, standing still is optimal, and that is the whole answer.
//! 2. On the support (trades away from zero and from their limits) the program is a plain quadratic: a Cholesky step
//!    solves it. A ratio test stops the step where a trade would change its sign or pass a limit; that one leaves the
//!    support, and the rest is solved again. A pivot that vanishes is a direction of no curvature (hedges that are copies
//!    of each other): there the costs alone decide, and the step goes on until a trade leaves.
//! 3. Two sweeps of coordinate descent let trades enter and leave the support. Alone they would crawl, because hedges
//!    are nearly collinear.
//! 4. The duality gap, from freshly computed gradients, ends it.
//!
//! Warm-started from the last solution: where its support is still right, one Cholesky step is all. Columns of HᵀQH are
//! computed when a hedge first moves, so the work grows with the hedges that trade, not with those that could.
//! Every step lowers P; no more than [`ITERATIONS_MAX`] are taken.
//!
//! Exposures may offset each other down to rounding, and then no solution is better than their rounding: a gap is held
//! against no less than what a unit in the last place of each term of a slope can make of it, and what gains nothing beside
//! that is not traded.

use super::kernel::{any_outside, combine};
use super::{FACTORS_MAX, HEDGES_MAX, Problem};

/// Duality gap at which a solution is accepted, relative to [`Certificate::scale`].
pub const GAP_TOLERANCE: f64 = 1e-9;

/// Cholesky steps at most. Each costs no more than 6,000 multiplications at 32 hedges, and the usual decision takes 1 to 6.
pub const ITERATIONS_MAX: u32 = 128;

/// A slope below this fraction of what it is a sum of is rounding: a unit in the last place for each of its terms.
const SLOPE_MIN: f64 = (FACTORS_MAX + HEDGES_MAX) as f64 * f64::EPSILON;

/// A pivot below this fraction of its diagonal is a direction without curvature.
const PIVOT_MIN: f64 = 1e-11;

/// How good the trades are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Certificate {
    /// P of standing still.
    pub untraded: f64,
    /// P of the trades.
    pub objective: f64,
    /// P of the trades is no further than this above the optimum.
    pub gap: f64,
    /// What the gap is held against: P of standing still or, where exposures all but cancel, what rounding leaves of it.
    pub scale: f64,
    /// Cholesky steps taken.
    pub iterations: u32,
}

/// Why there is no solution. Standing still is what is left, or a band on delta alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsolved {
    /// An exposure is NaN or infinite, or the figures overflow.
    NotFinite,
    /// The bound of iterations was reached with a gap above tolerance.
    Iterations,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing: certified optimal.
    StandStill,
    /// [`Solver::trades`], certified.
    Trade(Certificate),
    /// Nothing is certified, and [`Solver::trades`] are zero.
    Unsolved(Unsolved),
}

/// Outcomes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Certified to stand still.
    pub stood_still: u64,
    /// Solved.
    pub solved: u64,
    /// Refused for figures that are not finite.
    pub not_finite: u64,
    /// Given up at the bound of iterations.
    pub iterations: u64,
}

/// The solver and its memory (25 KB): its last trades, where the next solution starts.
#[derive(Clone, Debug)]
pub struct Solver {
    pub(super) trades: [f64; HEDGES_MAX],
    /// Whether `trades` may be other than zero.
    trades_any: bool,
    /// The last trades that were not nothing: where the next solution starts.
    warm: [f64; HEDGES_MAX],
    hedges: usize,
    /// HᵀQ(x + Hz), the marginal risk of each hedge.
    pub(super) slope: [f64; HEDGES_MAX],
    /// Columns of HᵀQH, where `known`.
    columns: [[f64; HEDGES_MAX]; HEDGES_MAX],
    known: u32,
    cholesky: [[f64; HEDGES_MAX]; HEDGES_MAX],
    pub(super) untraded: f64,
    counts: Counts,
}

/// How a Cholesky step ended.
enum Step {
    /// At the optimum of the support.
    Reached,
    /// Not there yet: a trade left the support, or the step went along a flat direction alone.
    Onward,
}

impl Default for Solver {
    fn default() -> Self {
        Self::new()
    }
}

impl Solver {
    /// A solver with no past.
    pub fn new() -> Self {
        Self {
            trades: [0.0; HEDGES_MAX],
            trades_any: false,
            warm: [0.0; HEDGES_MAX],
            hedges: 0,
            slope: [0.0; HEDGES_MAX],
            columns: [[0.0; HEDGES_MAX]; HEDGES_MAX],
            known: 0,
            cholesky: [[0.0; HEDGES_MAX]; HEDGES_MAX],
            untraded: 0.0,
            counts: Counts::default(),
        }
    }

    /// Trades of the last decision, a hedge each in the order in which they were admitted. Zero unless it was to trade.
    pub fn trades(&self) -> &[f64] {
        &self.trades[..self.hedges]
    }

    /// Outcomes so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Q(x + Hz) of `problem`, the one that was solved: what one more unit of each factor costs after the trades.
    pub fn marginal_risk(&self, problem: &Problem) -> [f64; FACTORS_MAX] {
        let (m, after) = (problem.factors, self.after(problem));
        let mut risk = [0.0; FACTORS_MAX];
        combine(&problem.curvature.rows[..m], &after[..m], m, &mut risk);
        risk
    }

    /// x + Hz of `problem`, the one that was solved: the exposure after the trades.
    pub fn after(&self, problem: &Problem) -> [f64; FACTORS_MAX] {
        let mut after = problem.exposure;
        for i in (0..self.hedges).filter(|i| self.trades[*i] != 0.0) {
            for (y, row) in after.iter_mut().zip(&problem.loadings[..problem.factors]) {
                *y += row[i] * self.trades[i];
            }
        }
        after
    }

    /// Forgets the last trades, so that the next solution depends on its problem alone.
    pub fn forget(&mut self) {
        self.trades = [0.0; HEDGES_MAX];
        self.warm = [0.0; HEDGES_MAX];
    }

    /// Decides. With another number of hedges than last time it starts cold.
    pub fn solve(&mut self, problem: &Problem) -> Outcome {
        if self.hedges != problem.hedges {
            self.forget();
            self.hedges = problem.hedges;
        }
        let mut risk = [0.0; FACTORS_MAX];
        let m = problem.factors;
        combine(&problem.curvature.rows[..m], &problem.exposure[..m], m, &mut risk);
        combine(&problem.loadings[..m], &risk[..m], self.hedges, &mut self.slope);
        let mut untraded = 0.0;
        for (x, w) in problem.exposure[..m].iter().zip(&risk) {
            untraded += x * w;
        }
        self.untraded = 0.5 * untraded;
        // NaN fails every comparison, here and below: what is not finite is never certified.
        if !self.untraded.is_finite() {
            self.counts.not_finite += 1;
            self.forget();
            return Outcome::Unsolved(Unsolved::NotFinite);
        }
        let pays = any_outside(&self.slope, &problem.buys_beyond, &problem.sells_beyond, self.hedges);
        if !pays {
            return self.stand_still();
        }
        self.known = 0;
        self.trades = [0.0; HEDGES_MAX];
        self.trades_any = true;
        self.descend(problem)
    }

    #[inline]
    fn stand_still(&mut self) -> Outcome {
        if self.trades_any {
            self.trades = [0.0; HEDGES_MAX];
            self.trades_any = false;
        }
        self.counts.stood_still += 1;
        Outcome::StandStill
    }

    fn descend(&mut self, problem: &Problem) -> Outcome {
        if !self.start_warm(problem) {
            self.sweep(problem);
            self.sweep(problem);
        }
        let mut iterations = self.solve_support(problem, ITERATIONS_MAX);
        loop {
            let (objective, gap) = self.certify(problem);
            let untraded = self.untraded;
            let is_close = gap <= GAP_TOLERANCE * untraded;
            let scale = if is_close { untraded } else { untraded.max(self.rounding(problem) / GAP_TOLERANCE) };
            if gap <= GAP_TOLERANCE * scale {
                if objective >= untraded {
                    return self.stand_still();
                }
                self.counts.solved += 1;
                self.warm = self.trades;
                return Outcome::Trade(Certificate { untraded, objective, gap, scale, iterations });
            }
            if iterations >= ITERATIONS_MAX || !gap.is_finite() {
                let finite = gap.is_finite();
                *(if finite { &mut self.counts.iterations } else { &mut self.counts.not_finite }) += 1;
                self.forget();
                return Outcome::Unsolved(if finite { Unsolved::Iterations } else { Unsolved::NotFinite });
            }
            self.sweep(problem);
            self.sweep(problem);
            iterations += self.solve_support(problem, ITERATIONS_MAX - iterations);
        }
    }

    /// Takes over the last trades as far as the limits allow; whether there are any.
    fn start_warm(&mut self, problem: &Problem) -> bool {
        let mut any = false;
        for i in 0..self.hedges {
            let z = self.warm[i].max(problem.lower[i]).min(problem.upper[i]);
            if z != 0.0 {
                self.shift(problem, i, z);
                any = true;
            }
        }
        any
    }

    /// Column `i` of HᵀQH.
    pub(super) fn column(&mut self, problem: &Problem, i: usize) -> &[f64; HEDGES_MAX] {
        if self.known & (1 << i) == 0 {
            let m = problem.factors;
            let loading = problem.loading(i);
            let mut risk = [0.0; FACTORS_MAX];
            combine(&problem.curvature.rows[..m], &loading[..m], m, &mut risk);
            combine(&problem.loadings[..m], &risk[..m], self.hedges, &mut self.columns[i]);
            self.known |= 1 << i;
        }
        &self.columns[i]
    }

    /// Trades `by` more of hedge `i`.
    pub(super) fn shift(&mut self, problem: &Problem, i: usize, by: f64) {
        self.column(problem, i);
        for (slope, a) in self.slope.iter_mut().zip(&self.columns[i]) {
            *slope += by * a;
        }
        self.trades[i] += by;
    }

    /// One pass of exact minimisation along each hedge in turn.
    fn sweep(&mut self, problem: &Problem) {
        for i in 0..self.hedges {
            let z = self.trades[i];
            let stays =
                z == 0.0 && self.slope[i] >= -problem.buys_beyond[i] && self.slope[i] <= problem.sells_beyond[i];
            if stays {
                continue;
            }
            let diagonal = self.column(problem, i)[i];
            let best = problem.scalar_minimum(i, self.slope[i] - diagonal * z, diagonal);
            if best != z {
                self.shift(problem, i, best - z);
                self.trades[i] = best;
            }
        }
    }

    /// Solves the support to optimality, shrinking it as trades leave; returns the steps taken, at most `steps_max`.
    fn solve_support(&mut self, problem: &Problem, steps_max: u32) -> u32 {
        for step in 1..steps_max {
            if let Step::Reached = self.step(problem) {
                return step;
            }
        }
        steps_max
    }

    fn step(&mut self, problem: &Problem) -> Step {
        let mut support = [0usize; HEDGES_MAX];
        let mut residual = [0.0; HEDGES_MAX];
        let mut direction = [0.0; HEDGES_MAX];
        let mut size = 0;
        for i in 0..self.hedges {
            let z = self.trades[i];
            if z == 0.0 || z <= problem.lower[i] || z >= problem.upper[i] {
                continue;
            }
            self.column(problem, i);
            let marginal = if z > 0.0 { problem.buy[i] } else { -problem.sell[i] };
            let slope = self.slope[i] + problem.impact[i] * z + marginal;
            let diagonal = self.columns[i][i] + problem.impact[i];
            let row = size;
            for k in 0..row {
                let mut entry = self.columns[i][support[k]];
                for t in 0..k {
                    entry -= self.cholesky[row][t] * self.cholesky[k][t];
                }
                self.cholesky[row][k] = entry / self.cholesky[k][k];
            }
            let mut pivot = diagonal;
            for t in 0..row {
                pivot -= self.cholesky[row][t] * self.cholesky[row][t];
            }
            if pivot > PIVOT_MIN * diagonal {
                self.cholesky[row][row] = pivot.sqrt();
                support[row] = i;
                residual[row] = -slope;
                size += 1;
                continue;
            }
            // Along e_i − Σ t_k e_k the quadratic is flat: its slope is a matter of costs.
            for k in (0..row).rev() {
                let mut t = self.cholesky[row][k];
                for l in k + 1..row {
                    t -= self.cholesky[l][k] * direction[l];
                }
                direction[k] = t / self.cholesky[k][k];
            }
            let (mut fall, mut scale) = (slope, slope.abs());
            for k in 0..row {
                fall += direction[k] * residual[k];
                scale += (direction[k] * residual[k]).abs();
                direction[k] = -direction[k];
            }
            // Below its rounding a slope leaves the hedge where it is.
            let noise = SLOPE_MIN * (scale + self.gross(problem) * own(problem, i));
            if fall.abs() <= noise || noise.is_nan() {
                continue;
            }
            support[row] = i;
            direction[row] = 1.0;
            let length = if pivot > 0.0 { fall.abs() / pivot } else { f64::INFINITY };
            let scaled = if fall > 0.0 { direction.map(|d| -d) } else { direction };
            self.walk(problem, &support[..=row], &scaled, length);
            return Step::Onward;
        }
        for k in 0..size {
            let mut d = residual[k];
            for t in 0..k {
                d -= self.cholesky[k][t] * direction[t];
            }
            direction[k] = d / self.cholesky[k][k];
        }
        for k in (0..size).rev() {
            let mut d = direction[k];
            for l in k + 1..size {
                d -= self.cholesky[l][k] * direction[l];
            }
            direction[k] = d / self.cholesky[k][k];
        }
        self.walk(problem, &support[..size], &direction, 1.0)
    }

    /// Goes `length` along `direction`, or as far as signs and limits allow.
    fn walk(&mut self, problem: &Problem, support: &[usize], direction: &[f64; HEDGES_MAX], length: f64) -> Step {
        let (mut reach, mut blocking) = (length, None);
        for (i, d) in support.iter().zip(direction).filter(|(_, d)| **d != 0.0) {
            let z = self.trades[*i];
            let end = match (*d > 0.0, z > 0.0) {
                (true, true) => problem.upper[*i],
                (false, false) => problem.lower[*i],
                _ => 0.0,
            };
            let room = (end - z) / d;
            if room < reach {
                reach = room.max(0.0);
                blocking = Some((*i, end));
            }
        }
        if reach.is_finite() {
            for (i, d) in support.iter().zip(direction) {
                let (lower, upper) =
                    if self.trades[*i] > 0.0 { (0.0, problem.upper[*i]) } else { (problem.lower[*i], 0.0) };
                self.shift(problem, *i, reach * d);
                // Rounding must not carry it across.
                self.trades[*i] = self.trades[*i].max(lower).min(upper);
            }
        }
        match blocking {
            Some((i, end)) => {
                self.trades[i] = end;
                Step::Onward
            }
            None => Step::Reached,
        }
    }

    /// P and the duality gap at the trades, from gradients computed afresh.
    fn certify(&mut self, problem: &Problem) -> (f64, f64) {
        let m = problem.factors;
        let after = self.after(problem);
        let mut risk = [0.0; FACTORS_MAX];
        combine(&problem.curvature.rows[..m], &after[..m], m, &mut risk);
        combine(&problem.loadings[..m], &risk[..m], self.hedges, &mut self.slope);
        let mut objective = 0.0;
        for (y, w) in after[..m].iter().zip(&risk) {
            objective += y * w;
        }
        objective *= 0.5;
        let paid = (0..self.hedges).any(|i| problem.buy[i] < 0.0 || problem.sell[i] < 0.0);
        let trade_cost_max = if paid { f64::INFINITY } else { self.untraded };
        let mut gap = 0.0;
        for i in 0..self.hedges {
            let (z, slope) = (self.trades[i], self.slope[i]);
            let cost = problem.cost(i, z);
            objective += cost;
            let excess = slope * z + cost - least(problem, i, slope, trade_cost_max);
            // Below zero is rounding; NaN stays NaN.
            gap += if excess < 0.0 { 0.0 } else { excess };
        }
        (objective, gap)
    }

    /// The same of exposures and trades together, none of which offsets another. A slope is a sum of terms whose
    /// magnitudes add up to no more than this times the hedge's [`own`].
    fn gross(&self, problem: &Problem) -> f64 {
        let mut gross = 0.0;
        for k in 0..problem.factors {
            let mut size = problem.exposure[k].abs();
            for (l, z) in problem.loadings[k].iter().zip(&self.trades[..self.hedges]) {
                size += (l * z).abs();
            }
            gross += size * problem.curvature.rows[k][k].sqrt();
        }
        gross
    }

    /// What the rounding of slopes alone can make of the gap at the trades.
    pub(super) fn rounding(&self, problem: &Problem) -> f64 {
        let gross = self.gross(problem);
        let widest = |i: usize| (problem.upper[i] - self.trades[i]).max(self.trades[i] - problem.lower[i]);
        let gap: f64 = (0..self.hedges).map(|i| widest(i) * own(problem, i)).sum();
        SLOPE_MIN * gross * (gap + gross)
    }
}

/// Upper bound on the root of what a unit of hedge `i` costs as an exposure, whatever of it cancels: Σ |h_k|·√Q_kk.
fn own(problem: &Problem, i: usize) -> f64 {
    (0..problem.factors).map(|k| problem.loadings[k][i].abs() * problem.curvature.rows[k][k].sqrt()).sum()
}

/// Least of `slope·s + φᵢ(s)` within the limits, and within what a linear cost of no more than `trade_cost_max` buys.
fn least(problem: &Problem, i: usize, slope: f64, trade_cost_max: f64) -> f64 {
    let (buy, sell) = (problem.buy[i], problem.sell[i]);
    if slope >= -problem.buys_beyond[i] && slope <= problem.sells_beyond[i] {
        return 0.0;
    }
    if problem.impact[i] > 0.0 {
        let s = problem.scalar_minimum(i, slope, 0.0);
        return slope * s + problem.cost(i, s);
    }
    let affordable = |cost: f64| if cost > 0.0 { trade_cost_max / cost } else { f64::INFINITY };
    if slope < 0.0 {
        (slope + buy) * problem.upper[i].min(affordable(buy))
    } else {
        -(slope - sell) * (-problem.lower[i]).min(affordable(sell))
    }
}
