//! Cost of a decision: the no-trade certificate, a warm solve on a market that walks, a cold solve, whole lots.
//!
//! Problems are those of a desk: delta, gamma and vega by expiry and strike region as factors, a perpetual and options as
//! hedges, nearly collinear within an expiry. Each iteration has exposures of its own, so that nothing is remembered but
//! the warm start. Inputs are the same on every run; times are per decision.

mod rig {
    pub(crate) mod program;
}

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hedgecore::hedge::program::{FACTORS_MAX, Outcome, Problem, Solver};
use rig::program::desk;

fn decisions(c: &mut Criterion) {
    for (hedges, factors) in [(8, 6), (16, 12), (32, 24)] {
        let mut group = c.benchmark_group(format!("program_{hedges}x{factors}"));
        let mut run = |name: &str, cost: f64, warm: bool| {
            let (mut problem, _, walk) = desk(hedges, factors, cost);
            let mut solver = Solver::new();
            let mut exposures = walk.iter().chain(walk.iter().rev()).cycle();
            let trades = matches!(solver.solve(with(&mut problem, &walk[0])), Outcome::Trade(_));
            assert_eq!(trades, cost < 1e3, "the benchmark measures what it says");
            group.bench_function(name, |b| {
                b.iter(|| {
                    if !warm {
                        solver.forget();
                    }
                    let exposure = exposures.next().expect("endless");
                    solver.solve(black_box(with(&mut problem, exposure)))
                });
            });
            let counts = *solver.counts();
            assert_eq!(counts.iterations + counts.not_finite, 0, "every decision is certified: {counts:?}");
        };
        run("no_trade", 1e6, true);
        run("warm", 0.05, true);
        run("cold", 0.05, false);
        group.finish();
    }
}

fn with<'a>(problem: &'a mut Problem, exposure: &[f64; FACTORS_MAX]) -> &'a mut Problem {
    let factors = problem.factors();
    problem.exposure_mut().copy_from_slice(&exposure[..factors]);
    problem
}

criterion_group!(benches, decisions);
criterion_main!(benches);
