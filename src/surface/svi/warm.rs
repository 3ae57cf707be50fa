//! The fit of a smile from the one before it.
//!
//! One pass over the points gives the error of a smile and the normal equations of the next step from it, eight points at a
//! time, in one fixed order of addition: a step costs a pass and a system of five.

use arrayvec::ArrayVec;
use multiversion::multiversion;

use super::{LANES, POINTS_MAX, Point, REFIT_STEPS, Svi, check_range, solve};

/// Share of the error that a step must promise, or have gained, for another to follow.
const GAIN_MIN: f64 = 1e-6;
const PARAMETERS: usize = 5;
/// The lower half of the normal equations, their right side, and the error.
const SUMS: usize = PARAMETERS * (PARAMETERS + 1) / 2 + PARAMETERS + 1;

/// Eight points; those beyond the last have no weight.
struct Columns {
    k: [f64; LANES],
    w: [f64; LANES],
    weight: [f64; LANES],
}

/// Damped Gauss–Newton.
pub(super) fn refit(last: &Svi, points: &[Point]) -> Option<Svi> {
    let range = check_range(points)?;
    let columns: ArrayVec<Columns, { POINTS_MAX / LANES }> =
        points.chunks(LANES).take(POINTS_MAX / LANES).map(columns).collect();
    let mut best = *last;
    let mut sums = sum(&best, &columns);
    let mut damping = 1e-6;
    for _ in 0..REFIT_STEPS {
        let error = sums[SUMS - 1];
        let Some((next, promised)) = step(&best, &sums, damping) else { break };
        if promised <= GAIN_MIN * error {
            break;
        }
        let there = sum(&next, &columns);
        if next.is_sane() && there[SUMS - 1] <= error {
            let gained = error - there[SUMS - 1];
            (best, sums, damping) = (next, there, damping * 0.1);
            if gained <= GAIN_MIN * error {
                break;
            }
        } else {
            damping = if damping < 1e-3 { 1e-2 } else { damping * 30.0 };
        }
    }
    (sums[SUMS - 1].is_finite() && best.is_butterfly_free(range)).then_some(best)
}

fn columns(points: &[Point]) -> Columns {
    let mut columns = Columns { k: [points[0].k; LANES], w: [1.0; LANES], weight: [0.0; LANES] };
    for (lane, point) in points.iter().enumerate() {
        (columns.k[lane], columns.w[lane], columns.weight[lane]) = (point.k, point.w, point.weight);
    }
    columns
}

/// The smile one damped step away, and how much the linear model says the error falls.
fn step(svi: &Svi, sums: &[f64; SUMS], damping: f64) -> Option<(Svi, f64)> {
    let mut normal = [[0.0; PARAMETERS]; PARAMETERS];
    let mut next = 0;
    for (i, row) in normal.iter_mut().enumerate() {
        for cell in &mut row[..=i] {
            *cell = sums[next];
            next += 1;
        }
        row[i] += damping * row[i] + f64::MIN_POSITIVE;
    }
    let right: [f64; PARAMETERS] = std::array::from_fn(|i| sums[next + i]);
    let move_by = solve(normal, right)?;
    let promised = move_by.iter().zip(&right).map(|(x, r)| x * r).sum();
    let [a, b, rho, m, sigma] = move_by;
    Some((Svi { a: svi.a + a, b: svi.b + b, rho: svi.rho + rho, m: svi.m + m, sigma: svi.sigma + sigma }, promised))
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn sum(svi: &Svi, columns: &[Columns]) -> [f64; SUMS] {
    let Svi { a, b, rho, m, sigma } = *svi;
    let mut sums = [[0.0; LANES]; SUMS];
    for Columns { k, w, weight } in columns {
        // Derivatives of w by a, b, ρ, m, σ.
        let mut row = [[1.0; LANES]; PARAMETERS];
        let mut miss = [0.0; LANES];
        for lane in 0..LANES {
            let x = k[lane] - m;
            let root = (x * x + sigma * sigma).sqrt();
            let inv_root = 1.0 / root;
            row[1][lane] = rho * x + root;
            row[2][lane] = b * x;
            row[3][lane] = -b * (rho + x * inv_root);
            row[4][lane] = b * sigma * inv_root;
            miss[lane] = w[lane] - (a + b * row[1][lane]);
        }
        let mut at = 0;
        for i in 0..PARAMETERS {
            for j in 0..=i {
                for lane in 0..LANES {
                    sums[at][lane] += weight[lane] * row[i][lane] * row[j][lane];
                }
                at += 1;
            }
        }
        for column in row.iter().chain([&miss]) {
            for lane in 0..LANES {
                sums[at][lane] += weight[lane] * column[lane] * miss[lane];
            }
            at += 1;
        }
    }
    sums.map(|l| ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7])))
}
