//! One expiry's smile as raw SVI (Gatheral 2004): w(k) = a + b(ρ(k − m) + √((k − m)² + σ²)).
//!
//! w is total variance, k = ln(K/F). **In**: points of a slice. **Out**: parameters that are free of butterfly arbitrage
//! on the slice's range widened by half on either side, or nothing. **Cost**: a cold fit some 300 passes over the
//! points, a refit at most [`REFIT_STEPS`]; no allocation, no randomness, and of functions only the square root.
//!
//! - **Cold**, quasi-explicit after Zeliade (2009): for given m and σ the rest is linear. With y = (k − m)/σ and
//!   z = √(y² + 1), w = a + u(z + y)/2 + v(z − y)/2 where u = bσ(1 + ρ) and v = bσ(1 − ρ) lie in a box, 0 to 2σ by Lee's
//!   (2004) bound on slopes: a least-squares problem of three variables, solved face by face. Nelder–Mead over m and σ
//!   is the rest. Where the best smile has arbitrage, it is fitted again with a penalty on it.
//! - **Warm**: damped Gauss–Newton on all five parameters from those of the last fit.
//! - **Butterfly**: g(k) = (1 − kw'/2w)² − (w'²/4)(1/w + ¼) + w''/2 ≥ 0 on a grid (Gatheral and Jacquier 2014, 2.1).

use arrayvec::ArrayVec;

/// Points of a slice; one a strike.
pub const POINTS_MAX: usize = 256;
/// Gauss–Newton steps of a refit.
pub const REFIT_STEPS: usize = 4;

const GRID: usize = 33;
const SIGMA_RANGE: (f64, f64) = (1e-3, 5.0);
const SLOPE_MAX: f64 = 2.0;
const SIMPLEX_STEPS: usize = 80;
/// What a penalised fit aims for instead of zero, so that it ends inside.
const G_MARGIN: f64 = 0.01;
/// Likewise, how far above the sooner expiry; more each time that less did not do.
const CALENDAR_MARGINS: [f64; 4] = [1.001, 1.01, 1.03, 1.1];

/// Total variance seen at a log-moneyness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// ln(K/F).
    pub k: f64,
    /// σ²T.
    pub w: f64,
    /// Weight of its squared error.
    pub weight: f64,
}

/// A slice's points.
pub type Points = ArrayVec<Point, POINTS_MAX>;

/// A sooner expiry's smile and the range of k on which it is known.
pub type Sooner = (Svi, (f64, f64));

/// Parameters of a smile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Svi {
    /// Level.
    pub a: f64,
    /// Slope of the wings.
    pub b: f64,
    /// Tilt, −1 to 1.
    pub rho: f64,
    /// Centre.
    pub m: f64,
    /// Width of the bend.
    pub sigma: f64,
}

impl Svi {
    /// Total variance.
    pub fn w(&self, k: f64) -> f64 {
        let x = k - self.m;
        self.a + self.b * (self.rho * x + (x * x + self.sigma * self.sigma).sqrt())
    }

    /// Slope of the volatility, ∂σ/∂k, where `years` of variance are left.
    pub fn sigma_slope(&self, k: f64, years: f64) -> f64 {
        let x = k - self.m;
        let w1 = self.b * (self.rho + x / (x * x + self.sigma * self.sigma).sqrt());
        0.5 * w1 / (self.w(k) * years).sqrt()
    }

    /// Density factor; negative where a butterfly would be free.
    pub fn g(&self, k: f64) -> f64 {
        let x = k - self.m;
        let root = (x * x + self.sigma * self.sigma).sqrt();
        let w = self.a + self.b * (self.rho * x + root);
        let w1 = self.b * (self.rho + x / root);
        let w2 = self.b * self.sigma * self.sigma / (root * root * root);
        let slope = 1.0 - 0.5 * k * w1 / w;
        slope * slope - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2
    }

    /// Whether no butterfly is free on a range of k.
    pub fn is_butterfly_free(&self, range: (f64, f64)) -> bool {
        grid(range).all(|k| self.w(k) > 0.0 && self.g(k) >= 0.0)
    }

    /// Whether no calendar spread against a sooner slice is free: total variance never falls with time.
    pub fn is_calendar_free(&self, sooner: &Svi, range: (f64, f64)) -> bool {
        grid(range).all(|k| self.w(k) >= sooner.w(k))
    }

    /// Weighted mean squared error.
    pub fn error(&self, points: &[Point]) -> f64 {
        let (sum, weight) = points.iter().fold((0.0, 0.0), |(sum, weight), p| {
            let miss = self.w(p.k) - p.w;
            (sum + p.weight * miss * miss, weight + p.weight)
        });
        sum / weight
    }

    /// The best butterfly-free smile found without knowing any; `None` for fewer than five points or nonsense. It stays
    /// above the smile of a sooner expiry, on the range given with it, where the points allow.
    pub fn fit(points: &[Point], sooner: Option<Sooner>) -> Option<Self> {
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

    /// The smile near this one that fits best; `None` when it would have arbitrage or fit worse than before.
    pub fn refit(&self, points: &[Point]) -> Option<Self> {
        let range = check_range(points)?;
        let mut best = *self;
        let mut error = best.error(points);
        let mut damping = 1e-6;
        for _ in 0..REFIT_STEPS {
            let Some(next) = best.step(points, damping) else { break };
            let next_error = next.error(points);
            if next_error.is_finite() && next.is_sane() && next_error <= error {
                let gained = error - next_error;
                (best, error, damping) = (next, next_error, damping * 0.1);
                if gained <= 1e-6 * error {
                    break;
                }
            } else {
                damping = if damping < 1e-3 { 1e-2 } else { damping * 30.0 };
            }
        }
        (error.is_finite() && best.is_butterfly_free(range)).then_some(best)
    }

    fn is_sane(&self) -> bool {
        self.b >= 0.0
            && self.rho.abs() < 1.0
            && self.b * (1.0 + self.rho.abs()) <= SLOPE_MAX
            && (SIGMA_RANGE.0..=SIGMA_RANGE.1).contains(&self.sigma)
            && self.a + self.b * self.sigma * (1.0 - self.rho * self.rho).sqrt() > 0.0
    }

    /// One damped Gauss–Newton step.
    fn step(&self, points: &[Point], damping: f64) -> Option<Self> {
        let mut normal = [[0.0; 5]; 5];
        let mut right = [0.0; 5];
        for p in points {
            let x = p.k - self.m;
            let root = (x * x + self.sigma * self.sigma).sqrt();
            let slope = self.b * (self.rho + x / root);
            let row = [1.0, self.rho * x + root, self.b * x, -slope, self.b * self.sigma / root];
            let miss = p.w - (self.a + self.b * row[1]);
            for i in 0..5 {
                right[i] += p.weight * row[i] * miss;
                for j in 0..=i {
                    normal[i][j] += p.weight * row[i] * row[j];
                }
            }
        }
        for (i, row) in normal.iter_mut().enumerate() {
            row[i] += damping * row[i] + f64::MIN_POSITIVE;
        }
        let [a, b, rho, m, sigma] = solve(normal, right)?;
        Some(Self { a: self.a + a, b: self.b + b, rho: self.rho + rho, m: self.m + m, sigma: self.sigma + sigma })
    }
}

/// The points' own range of k. `None` for fewer than five points, or for points that are not numbers.
pub fn range(points: &[Point]) -> Option<(f64, f64)> {
    let sane = |p: &Point| p.k.is_finite() && p.w > 0.0 && p.w.is_finite() && p.weight > 0.0 && p.weight.is_finite();
    if points.len() < 5 || !points.iter().all(sane) {
        return None;
    }
    let (low, high) = points.iter().fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p.k), high.max(p.k)));
    (high > low).then_some((low, high))
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

/// The range on which butterflies are ruled out: the points' own, widened by half on either side.
fn check_range(points: &[Point]) -> Option<(f64, f64)> {
    range(points).map(|(low, high)| (low - 0.5 * (high - low), high + 0.5 * (high - low)))
}

fn grid((low, high): (f64, f64)) -> impl Iterator<Item = f64> {
    (0..GRID).map(move |i| low + (high - low) * i as f64 / (GRID - 1) as f64)
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

/// Solves a symmetric positive system by Cholesky, reading its lower half; `None` when it is not positive.
fn solve<const N: usize>(mut matrix: [[f64; N]; N], mut x: [f64; N]) -> Option<[f64; N]> {
    for i in 0..N {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|l| matrix[i][l] * matrix[j][l]).sum();
            let rest = matrix[i][j] - sum;
            if i != j {
                matrix[i][j] = rest / matrix[j][j];
            } else if rest > 0.0 && rest.is_finite() {
                matrix[i][i] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    for i in 0..N {
        let sum: f64 = (0..i).map(|l| matrix[i][l] * x[l]).sum();
        x[i] = (x[i] - sum) / matrix[i][i];
    }
    for i in (0..N).rev() {
        let sum: f64 = (i + 1..N).map(|l| matrix[l][i] * x[l]).sum();
        x[i] = (x[i] - sum) / matrix[i][i];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sampled(svi: &Svi, low: f64, high: f64, len: usize) -> Points {
        let k = |i: usize| low + (high - low) * i as f64 / (len - 1) as f64;
        (0..len).map(|i| Point { k: k(i), w: svi.w(k(i)), weight: 1.0 }).collect()
    }

    const SMILE: Svi = Svi { a: 0.01, b: 0.08, rho: -0.3, m: 0.02, sigma: 0.15 };

    #[test]
    fn a_cold_fit_finds_the_smile_it_was_shown() {
        let points = sampled(&SMILE, -0.6, 0.5, 25);
        let found = Svi::fit(&points, None).unwrap();
        for p in &points {
            assert!((found.w(p.k) - p.w).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn a_refit_follows_a_moving_smile() {
        let mut svi = SMILE;
        for step in 1..50 {
            let drift = 1.0 + 0.01 * f64::from(step);
            let truth = Svi { a: 0.01 * drift, b: 0.08 * drift, rho: -0.3 + 0.004 * f64::from(step), ..SMILE };
            let points = sampled(&truth, -0.6, 0.5, 25);
            svi = svi.refit(&points).unwrap();
            assert!(svi.error(&points).sqrt() < 1e-6, "step {step}: {}", svi.error(&points).sqrt());
        }
    }

    #[test]
    fn the_density_factor_is_the_textbooks() {
        // By finite differences of the call price's second derivative: density = g φ(d2)/√w · 1/K.
        let (k, h) = (0.13, 1e-4);
        let (w, w1) = (SMILE.w(k), (SMILE.w(k + h) - SMILE.w(k - h)) / (2.0 * h));
        let w2 = (SMILE.w(k + h) - 2.0 * w + SMILE.w(k - h)) / (h * h);
        let g = (1.0 - k * w1 / (2.0 * w)).powi(2) - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2;
        assert!((SMILE.g(k) - g).abs() < 1e-6);
    }

    #[test]
    fn gatherals_example_has_a_butterfly_and_its_fit_has_none() {
        // Gatheral and Jacquier (2014), example 3.1, after Vogt.
        let vogt = Svi { a: -0.0410, b: 0.1331, rho: 0.3060, m: 0.3586, sigma: 0.4153 };
        assert!(!vogt.is_butterfly_free((-1.5, 1.5)));
        let points = sampled(&vogt, -1.0, 1.0, 41);
        assert_eq!(vogt.refit(&points), None, "refuses to stay where arbitrage is");
        let fitted = Svi::fit(&points, None).unwrap();
        assert!(fitted.is_butterfly_free((-2.0, 2.0)));
        assert!(fitted.error(&points).sqrt() < 0.02, "{}", fitted.error(&points).sqrt());
    }

    #[test]
    fn a_calendar_spread_is_seen() {
        let later = Svi { a: 0.02, ..SMILE };
        assert!(later.is_calendar_free(&SMILE, (-1.0, 1.0)));
        assert!(!SMILE.is_calendar_free(&later, (-1.0, 1.0)));
        let flatter = Svi { a: 0.02, b: 0.05, ..SMILE };
        assert!(!flatter.is_calendar_free(&SMILE, (-1.0, 1.0)));
    }

    #[test]
    fn a_fit_stays_above_the_sooner_smile_where_its_points_cross_it() {
        let later = Svi { a: 0.012, b: 0.07, ..SMILE };
        let points = sampled(&later, -0.6, 0.5, 25);
        let range = (-0.6, 0.5);
        assert!(!Svi::fit(&points, None).unwrap().is_calendar_free(&SMILE, range));
        let fitted = Svi::fit(&points, Some((SMILE, range))).unwrap();
        assert!(fitted.is_calendar_free(&SMILE, range));
        assert!(fitted.error(&points).sqrt() < 5e-3, "{}", fitted.error(&points).sqrt());
    }

    #[test]
    fn too_few_points_and_nonsense_give_nothing() {
        let points = sampled(&SMILE, -0.6, 0.5, 25);
        assert_eq!(Svi::fit(&points[..4], None), None);
        for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            let mut points = points.clone();
            points[3].w = bad;
            assert_eq!((Svi::fit(&points, None), SMILE.refit(&points)), (None, None), "{bad}");
        }
        let same: Points = std::iter::repeat_n(points[0], 9).collect();
        assert_eq!(Svi::fit(&same, None), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_is_fitted_is_free_of_butterflies(
            raw in prop::collection::vec((-1.0f64..1.0, 0.001f64..0.5), 5..40),
        ) {
            let points: Points = raw.into_iter().map(|(k, w)| Point { k, w, weight: 1.0 / w }).collect();
            if let Some(svi) = Svi::fit(&points, None) {
                prop_assert!(svi.is_butterfly_free(check_range(&points).unwrap()));
                if let Some(again) = svi.refit(&points) {
                    prop_assert!(again.is_butterfly_free(check_range(&points).unwrap()));
                    prop_assert!(again.error(&points) <= svi.error(&points) * (1.0 + 1e-12));
                }
            }
        }
    }
}
