//! Cost of a decision: the no-trade certificate, a warm solve on a market that walks, a cold solve, whole lots.
//!
//! Problems are those of a desk: delta, gamma and vega by expiry and strike region as factors, a perpetual and options as
//! hedges, nearly collinear within an expiry. Each iteration has exposures of its own, so that nothing is remembered but
//! the warm start. Inputs are the same on every run; times are per decision.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hedgecore::hedge::program::{Candidate, FACTORS_MAX, Outcome, Problem, Solver};

/// Problems that follow one another in a benchmark.
const WALK: usize = 256;

/// Numbers in −1 to 1 that look random and are the same on every run.
fn noise(mut state: u64) -> impl FnMut() -> f64 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0
    }
}

/// A problem of `hedges` × `factors`, and exposures that walk over it.
fn desk(hedges: usize, factors: usize, cost: f64) -> (Problem, Vec<[f64; FACTORS_MAX]>) {
    let mut next = noise(0x5eed + (hedges * 100 + factors) as u64);
    let mut problem = Problem::new(factors);
    for scale in [1.0, 0.5, 0.25, 0.1] {
        let beta: Vec<f64> = (0..factors).map(|_| scale * next()).collect();
        problem.curvature_mut().add_outer(1.0, &beta).expect("convex");
    }
    for factor in 0..factors {
        problem.curvature_mut().add_diagonal(factor, 0.05 * (1.2 + next())).expect("convex");
    }
    let common: Vec<f64> = (0..factors).map(|_| next()).collect();
    for i in 0..hedges {
        let mut loading = [0.0; FACTORS_MAX];
        for (l, c) in loading.iter_mut().zip(&common) {
            *l = c + 0.3 * next();
        }
        let cost = cost * (1.0 + 0.3 * (i % 7) as f64);
        let candidate = Candidate { loading, buy: cost, sell: cost, impact: 0.01, lower: -50.0, upper: 50.0 };
        problem.push(&candidate).expect("sensible");
    }
    let mut exposure = [0.0; FACTORS_MAX];
    for x in &mut exposure[..factors] {
        *x = 4.0 * next();
    }
    let walk = (0..WALK)
        .map(|_| {
            for x in &mut exposure[..factors] {
                *x += 0.02 * next();
            }
            exposure
        })
        .collect();
    (problem, walk)
}

fn decisions(c: &mut Criterion) {
    for (hedges, factors) in [(8, 6), (16, 12), (32, 24)] {
        let mut group = c.benchmark_group(format!("program_{hedges}x{factors}"));
        let mut run = |name: &str, cost: f64, warm: bool| {
            let (mut problem, walk) = desk(hedges, factors, cost);
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
