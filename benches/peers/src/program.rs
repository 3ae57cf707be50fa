//! The hedge program: one decision to stand still, and decisions to trade on exposures that walk.

#[path = "../../rig/program.rs"]
mod rig;

use std::hint::black_box;

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver, NonnegativeConeT};
use hedgecore::hedge::program::{Candidate, FACTORS_MAX, Outcome, Problem, Solver};

use crate::contest::{Contender, contest};
use rig::desk;

/// Costs of trading at which nothing pays, and at which much does.
const DEAR: f64 = 1e6;
const CHEAP: f64 = 0.05;

/// A problem with its exposures, and the same in the form that any solver takes: over trades z and t ≥ |z|,
/// ½zᵀAz + (Gx)ᵀz + cᵀt.
struct Case {
    problem: Problem,
    candidates: Vec<Candidate>,
    walk: Vec<[f64; FACTORS_MAX]>,
    /// Least objective known of each exposure: that of the best contender so far, from standing still on.
    least: Vec<f64>,
}

/// Ours beside Clarabel.
pub fn compare() {
    for (hedges, factors) in [(8, 6), (16, 12), (32, 24)] {
        for (what, cost) in [("nothing to trade", DEAR), ("trading", CHEAP)] {
            let case = Case::new(hedges, factors, cost);
            let mut contenders = vec![ours(&case, true)];
            if cost == CHEAP {
                contenders.push(ours(&case, false));
            }
            contenders.push(clarabel(&case));
            let title = format!("hedge program of {hedges} hedges and {factors} factors, {what}");
            contest(&title, "a decision; excess over the best objective, relative", contenders);
        }
    }
}

impl Case {
    fn new(hedges: usize, factors: usize, cost: f64) -> Self {
        let (mut problem, candidates, walk) = desk(hedges, factors, cost);
        let mut solver = Solver::new();
        let least = walk
            .iter()
            .map(|exposure| {
                solver.forget();
                enter(&mut problem, exposure);
                solver.solve(&problem);
                problem.objective(solver.trades())
            })
            .collect();
        Self { problem, candidates, walk, least }
    }

    fn hedges(&self) -> usize {
        self.candidates.len()
    }

    /// HᵀQ·loading.
    fn along(&self, loading: &[f64]) -> Vec<f64> {
        let (q, m) = (self.problem.curvature(), self.problem.factors());
        let risk: Vec<f64> = (0..m).map(|a| (0..m).map(|b| q.at(a, b) * loading[b]).sum()).collect();
        self.candidates.iter().map(|c| c.loading.iter().zip(&risk).map(|(l, r)| l * r).sum()).collect()
    }

    /// The upper triangle of the quadratic term over (z, t), by columns: row, value.
    fn quadratic(&self) -> Vec<Vec<(usize, f64)>> {
        let n = self.hedges();
        let column = |j: usize| {
            let along = self.along(&self.candidates[j].loading);
            let entry = |i: usize| (i, along[i] + if i == j { self.candidates[j].impact } else { 0.0 });
            (0..=j).map(entry).collect()
        };
        (0..n).map(column).chain((0..n).map(|_| Vec::new())).collect()
    }

    /// The linear term of each exposure.
    fn linear(&self) -> Vec<Vec<f64>> {
        let costs = || self.candidates.iter().map(|c| c.buy);
        self.walk.iter().map(|x| self.along(x).into_iter().chain(costs()).collect()).collect()
    }

    /// How far the objectives of `solve` lie above the least known, at most, over that of standing still.
    fn excess(&self, mut solve: impl FnMut(usize) -> Vec<f64>) -> f64 {
        let mut problem = self.problem.clone();
        let excess = (0..self.walk.len()).map(|k| {
            enter(&mut problem, &self.walk[k]);
            let standing = problem.objective(&vec![0.0; self.hedges()]);
            (problem.objective(&solve(k)) - self.least[k]) / standing
        });
        excess.fold(0.0, f64::max)
    }
}

fn enter(problem: &mut Problem, exposure: &[f64; FACTORS_MAX]) {
    let m = problem.factors();
    problem.exposure_mut().copy_from_slice(&exposure[..m]);
}

/// Our solver; warm, it starts from its last trades.
fn ours(case: &Case, warm: bool) -> Contender<'_> {
    let (mut problem, mut solver) = (case.problem.clone(), Solver::new());
    let mut gap: f64 = 0.0;
    let mut trades = 0;
    for exposure in &case.walk {
        enter(&mut problem, exposure);
        match solver.solve(&problem) {
            Outcome::Trade(certificate) => {
                trades += 1;
                gap = gap.max(certificate.gap / certificate.untraded);
            }
            Outcome::StandStill => {}
            Outcome::Unsolved(why) => panic!("not certified: {why:?}"),
        }
    }
    let name = match (trades, warm) {
        (0, _) => "hedgecore, certificate",
        (_, true) => "hedgecore, warm",
        (_, false) => "hedgecore, cold",
    };
    let mut next = 0;
    let passes = if trades == 0 { 2_000 } else { 200 };
    let contender = Contender::new(name, passes, 1, move || {
        if !warm {
            solver.forget();
        }
        next = (next + 1) % (2 * case.walk.len());
        // There and back again, so that every exposure is next to the one before it.
        let at = if next < case.walk.len() { next } else { 2 * case.walk.len() - 1 - next };
        enter(&mut problem, &case.walk[at]);
        black_box(solver.solve(black_box(&problem)));
    });
    contender.remark(format!("gap {gap:.0e}, {trades} of {} trade", case.walk.len()))
}

/// Clarabel with its default settings, set up once.
fn clarabel(case: &Case) -> Contender<'_> {
    let n = case.hedges();
    let quadratic = case.quadratic();
    let columns: Vec<usize> =
        std::iter::once(0).chain(quadratic.iter().scan(0, |sum, c| (*sum += c.len(), Some(*sum)).1)).collect();
    let (rows, values) = quadratic.into_iter().flatten().unzip();
    let quadratic = CscMatrix::new(2 * n, 2 * n, columns, rows, values);
    // Slack of z − t ≤ 0, −z − t ≤ 0, z ≤ upper, −z ≤ −lower.
    let of_trade = (0..n).map(|i| vec![(i, 1.0), (n + i, -1.0), (2 * n + i, 1.0), (3 * n + i, -1.0)]);
    let of_size = (0..n).map(|i| vec![(i, -1.0), (n + i, -1.0)]);
    let constraints: Vec<Vec<(usize, f64)>> = of_trade.chain(of_size).collect();
    let columns: Vec<usize> =
        std::iter::once(0).chain(constraints.iter().scan(0, |sum, c| (*sum += c.len(), Some(*sum)).1)).collect();
    let (rows, values) = constraints.into_iter().flatten().unzip();
    let constraints = CscMatrix::new(4 * n, 2 * n, columns, rows, values);
    let limits = case.candidates.iter().map(|c| c.upper).chain(case.candidates.iter().map(|c| -c.lower));
    let bounds: Vec<f64> = std::iter::repeat_n(0.0, 2 * n).chain(limits).collect();
    let linear = case.linear();
    // Presolve would forbid telling it a new linear term.
    let settings = DefaultSettingsBuilder::default().verbose(false).presolve_enable(false).build().expect("settings");
    let cones = [NonnegativeConeT(4 * n)];
    let mut solver =
        DefaultSolver::new(&quadratic, &linear[0], &constraints, &bounds, &cones, settings).expect("set up");
    let mut solve = move |k: usize| {
        solver.update_q(&linear[k]).expect("the same shape");
        solver.solve();
        solver.solution.x[..n].to_vec()
    };
    let excess = case.excess(&mut solve);
    let mut next = 0;
    let contender = Contender::new("clarabel", 2, 1, move || {
        next = (next + 1) % case.walk.len();
        black_box(solve(black_box(next)));
    });
    contender.remark(format!("excess {excess:.0e}"))
}
