//! The fit of a smile from nothing.

use super::{POINTS_MAX, Point, Points, SIGMA_RANGE, SLOPE_MAX, Sooner, Svi, check_range, grid, solve};

const SIMPLEX_STEPS: usize = 80;
/// What a penalised fit aims for instead of zero, so that it ends inside.
const G_MARGIN: f64 = 0.01;
/// Likewise, how far above the sooner expiry; more each time that less did not do.
const CALENDAR_MARGINS: [f64; 4] = [1.001, 1.01, 1.03, 1.1];

/// The best found: without a penalty, and again with one and above the sooner smile where that has arbitrage.
pub(super) fn fit(points: &[Point], sooner: Option<Sooner>) -> Option<Svi> {
    let cold = Cold::new(points, sooner)?;
    let is_calendar_free = |svi: &Svi| sooner.is_none_or(|(smile, range)| svi.is_calendar_free(&smile, range));
    let first = cold.search(cold.coarse(), 0.0);
    let mut best = first.is_butterfly_free(cold.range).then_some(first);
    for margin in CALENDAR_MARGINS {
        if best.as_ref().is_some_and(is_calendar_free) {
            break;
        }
        let lifted = lifted(points, sooner, margin);
        let again = Cold { points: &lifted, ..cold }.search((first.m, first.sigma.max(0.05)), 1.0);
        best = if again.is_butterfly_free(cold.range) { Some(again) } else { best };
    }
    best
}

/// The points, none below `margin` times the sooner smile.
fn lifted(points: &[Point], sooner: Option<Sooner>, margin: f64) -> Points {
    let mut lifted: Points = points.iter().take(POINTS_MAX).copied().collect();
    if let Some((smile, (low, high))) = sooner {
        for point in lifted.iter_mut().filter(|p| (low..=high).contains(&p.k)) {
            point.w = point.w.max(margin * smile.w(point.k));
        }
    }
    lifted
}

/// A fit from nothing.
struct Cold<'a> {
    points: &'a [Point],
    sooner: Option<Sooner>,
    range: (f64, f64),
    w_max: f64,
}

impl<'a> Cold<'a> {
    fn new(points: &'a [Point], sooner: Option<Sooner>) -> Option<Self> {
        let range = check_range(points)?;
        Some(Self { points, sooner, range, w_max: points.iter().fold(0.0, |max, p| p.w.max(max)) })
    }

    /// The best of a grid over the points' range and three decades of width.
    fn coarse(&self) -> (f64, f64) {
        let (low, high) = (0.75 * self.range.0 + 0.25 * self.range.1, 0.25 * self.range.0 + 0.75 * self.range.1);
        let mut best = (f64::MAX, (0.0, 0.1));
        for i in 0..7 {
            let m = low + (high - low) * f64::from(i) / 6.0;
            for sigma in [0.01, 0.03, 0.08, 0.2, 0.5, 1.2] {
                let error = self.solve(m, sigma).error(self.points);
                if error < best.0 {
                    best = (error, (m, sigma));
                }
            }
        }
        best.1
    }

    /// Nelder–Mead (1965) over m and σ.
    fn search(&self, (m, sigma): (f64, f64), penalty: f64) -> Svi {
        let value = |(m, sigma): (f64, f64)| self.objective(m, sigma, penalty);
        let step = 0.1 * (self.range.1 - self.range.0);
        let mut simplex = [(m, sigma), (m + step, sigma), (m, sigma * 1.5)].map(|x| (value(x), x));
        for _ in 0..SIMPLEX_STEPS {
            simplex.sort_unstable_by(|p, q| p.0.total_cmp(&q.0));
            let [best, middle, worst] = simplex.map(|(_, x)| x);
            let centre = (0.5 * (best.0 + middle.0), 0.5 * (best.1 + middle.1));
            let along = |t: f64| {
                let x = (centre.0 + t * (worst.0 - centre.0), centre.1 + t * (worst.1 - centre.1));
                (value(x), x)
            };
            let reflected = along(-1.0);
            let replacement = if reflected.0 < simplex[0].0 {
                let expanded = along(-2.0);
                if expanded.0 < reflected.0 { expanded } else { reflected }
            } else if reflected.0 < simplex[1].0 {
                reflected
            } else {
                along(if reflected.0 < simplex[2].0 { -0.5 } else { 0.5 })
            };
            if replacement.0 < simplex[2].0 {
                simplex[2] = replacement;
            } else {
                for vertex in &mut simplex[1..] {
                    let x = (0.5 * (vertex.1.0 + best.0), 0.5 * (vertex.1.1 + best.1));
                    *vertex = (value(x), x);
                }
            }
        }
        simplex.sort_unstable_by(|p, q| p.0.total_cmp(&q.0));
        let (m, sigma) = simplex[0].1;
        self.solve(m, sigma)
    }

    /// Error, with arbitrage weighed against the scale of the points.
    fn objective(&self, m: f64, sigma: f64, penalty: f64) -> f64 {
        if !(SIGMA_RANGE.0..=SIGMA_RANGE.1).contains(&sigma) || !(self.range.0..=self.range.1).contains(&m) {
            return f64::MAX;
        }
        let svi = self.solve(m, sigma);
        let mut error = svi.error(self.points);
        if penalty > 0.0 {
            for k in grid(self.range) {
                let short = if svi.w(k) > 0.0 { (G_MARGIN - svi.g(k)).max(0.0) } else { 10.0 };
                error += penalty * self.w_max * self.w_max * short;
            }
            if let Some((sooner, range)) = self.sooner {
                let short = grid(range).map(|k| (sooner.w(k) - svi.w(k)).max(0.0)).sum::<f64>();
                error += penalty * self.w_max * short;
            }
        }
        error
    }

    /// The best a, u, v in their box, for given m and σ.
    fn solve(&self, m: f64, sigma: f64) -> Svi {
        let mut normal = [[0.0; 3]; 3];
        let mut right = [0.0; 3];
        for p in self.points {
            let y = (p.k - m) / sigma;
            let z = (y * y + 1.0).sqrt();
            let row = [1.0, 0.5 * (z + y), 0.5 * (z - y)];
            for i in 0..3 {
                right[i] += p.weight * row[i] * p.w;
                for j in 0..3 {
                    normal[i][j] += p.weight * row[i] * row[j];
                }
            }
        }
        let slope = SLOPE_MAX * sigma;
        let [a, u, v] = boxed(&normal, &right, [(-self.w_max, self.w_max), (0.0, slope), (0.0, slope)]);
        let b = 0.5 * (u + v) / sigma;
        Svi { a, b, rho: if u + v > 0.0 { ((u - v) / (u + v)).clamp(-0.999_999, 0.999_999) } else { 0.0 }, m, sigma }
    }
}

/// Minimises ½xᵀNx − rᵀx in a box of three dimensions: the best of the stationary points of all faces inside it.
fn boxed(normal: &[[f64; 3]; 3], right: &[f64; 3], bounds: [(f64, f64); 3]) -> [f64; 3] {
    let value = |x: &[f64; 3]| {
        (0..3).map(|i| x[i] * (0.5 * (0..3).map(|j| normal[i][j] * x[j]).sum::<f64>() - right[i])).sum::<f64>()
    };
    let mut best = (f64::MAX, bounds.map(|(low, high)| 0.5 * (low + high)));
    // A face fixes each coordinate at its low end, its high end, or not at all (digits 1, 2, 0).
    for face in 0..27 {
        let fixed = [face % 3, face / 3 % 3, face / 9].map(|digit: usize| digit);
        let (mut n, mut r) = ([[0.0; 3]; 3], [0.0; 3]);
        for i in 0..3 {
            if fixed[i] != 0 {
                n[i][i] = 1.0;
                r[i] = if fixed[i] == 1 { bounds[i].0 } else { bounds[i].1 };
                continue;
            }
            r[i] = right[i];
            for j in 0..3 {
                match fixed[j] {
                    0 => n[i][j] = normal[i][j],
                    1 => r[i] -= normal[i][j] * bounds[j].0,
                    _ => r[i] -= normal[i][j] * bounds[j].1,
                }
            }
        }
        let Some(x) = solve(n, r) else { continue };
        let inside = (0..3).all(|i| x[i] >= bounds[i].0 && x[i] <= bounds[i].1);
        if inside && value(&x) < best.0 {
            best = (value(&x), x);
            if face == 0 {
                break; // Nothing beats the minimum without bounds.
            }
        }
    }
    best.1
}
