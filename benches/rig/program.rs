//! Problems of a desk, the same on every run: for the benchmark of the program and for its contest with other solvers.

use hedgecore::hedge::program::{Candidate, FACTORS_MAX, Problem};

/// Problems that follow one another in a benchmark.
const WALK: usize = 256;

/// Numbers in −1 to 1 that look random and are the same on every run.
fn noise(mut state: u64) -> impl FnMut() -> f64 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0
    }
}

/// A problem of `hedges` × `factors`, the hedges in it, and exposures that walk over it.
pub(crate) fn desk(hedges: usize, factors: usize, cost: f64) -> (Problem, Vec<Candidate>, Vec<[f64; FACTORS_MAX]>) {
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
    let mut candidates = Vec::new();
    for i in 0..hedges {
        let mut loading = [0.0; FACTORS_MAX];
        for (l, c) in loading.iter_mut().zip(&common) {
            *l = c + 0.3 * next();
        }
        let cost = cost * (1.0 + 0.3 * (i % 7) as f64);
        let candidate = Candidate { loading, buy: cost, sell: cost, impact: 0.01, lower: -50.0, upper: 50.0 };
        problem.push(&candidate).expect("sensible");
        candidates.push(candidate);
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
    (problem, candidates, walk)
}
