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

mod cold;
mod warm;

use arrayvec::ArrayVec;
use multiversion::multiversion;

/// Points of a slice; one a strike.
pub const POINTS_MAX: usize = 256;
/// Gauss–Newton steps of a refit.
pub const REFIT_STEPS: usize = 4;

const LANES: usize = 8;
/// Points on which arbitrage is looked for, over a range.
const GRID: usize = 5 * LANES;
const SIGMA_RANGE: (f64, f64) = (1e-3, 5.0);
const SLOPE_MAX: f64 = 2.0;

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
    #[inline(always)]
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
    #[inline(always)]
    pub fn g(&self, k: f64) -> f64 {
        let x = k - self.m;
        let variance = x * x + self.sigma * self.sigma;
        let root = variance.sqrt();
        let w = self.a + self.b * (self.rho * x + root);
        let (inv_w, inv_root) = (1.0 / w, 1.0 / root);
        let w1 = self.b * (self.rho + x * inv_root);
        let w2 = self.b * (self.sigma * self.sigma) * (inv_root * inv_root * inv_root);
        let slope = 1.0 - 0.5 * k * w1 * inv_w;
        slope * slope - 0.25 * (w1 * w1) * (inv_w + 0.25) + 0.5 * w2
    }

    /// Whether no butterfly is free on a range of k.
    pub fn is_butterfly_free(&self, range: (f64, f64)) -> bool {
        is_convex(self, range)
    }

    /// Whether no calendar spread against a sooner slice is free: total variance never falls with time.
    pub fn is_calendar_free(&self, sooner: &Svi, range: (f64, f64)) -> bool {
        is_above(self, sooner, range)
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
        cold::fit(points, sooner)
    }

    /// The smile near this one that fits best; `None` when it would have arbitrage or fit worse than before.
    pub fn refit(&self, points: &[Point]) -> Option<Self> {
        warm::refit(self, points)
    }

    fn is_sane(&self) -> bool {
        self.b >= 0.0
            && self.rho.abs() < 1.0
            && self.b * (1.0 + self.rho.abs()) <= SLOPE_MAX
            && (SIGMA_RANGE.0..=SIGMA_RANGE.1).contains(&self.sigma)
            && self.a + self.b * self.sigma * (1.0 - self.rho * self.rho).sqrt() > 0.0
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

/// The range on which butterflies are ruled out: the points' own, widened by half on either side.
fn check_range(points: &[Point]) -> Option<(f64, f64)> {
    range(points).map(|(low, high)| (low - 0.5 * (high - low), high + 0.5 * (high - low)))
}

/// Whether w > 0 and g ≥ 0 on the whole grid; vector code, the same answer on every machine.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn is_convex(svi: &Svi, range: (f64, f64)) -> bool {
    let (mut w_least, mut g_least) = ([f64::INFINITY; LANES], [f64::INFINITY; LANES]);
    for first in (0..GRID).step_by(LANES) {
        for lane in 0..LANES {
            let k = grid_at(range, first + lane);
            w_least[lane] = least(svi.w(k), w_least[lane]);
            g_least[lane] = least(svi.g(k), g_least[lane]);
        }
    }
    w_least.iter().all(|&w| w > 0.0) && g_least.iter().all(|&g| g >= 0.0)
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn is_above(upper: &Svi, lower: &Svi, range: (f64, f64)) -> bool {
    let mut gap_least = [f64::INFINITY; LANES];
    for first in (0..GRID).step_by(LANES) {
        for (lane, gap) in gap_least.iter_mut().enumerate() {
            let k = grid_at(range, first + lane);
            *gap = least(upper.w(k) - lower.w(k), *gap);
        }
    }
    gap_least.iter().all(|&gap| gap >= 0.0)
}

/// The lesser; NaN for a NaN in either.
#[inline(always)]
fn least(x: f64, so_far: f64) -> f64 {
    if so_far <= x || so_far.is_nan() { so_far } else { x }
}

#[inline(always)]
fn grid_at((low, high): (f64, f64), at: usize) -> f64 {
    low + (high - low) * (at as f64 * (1.0 / (GRID - 1) as f64))
}

fn grid(range: (f64, f64)) -> impl Iterator<Item = f64> {
    (0..GRID).map(move |at| grid_at(range, at))
}

/// Solves a symmetric positive system by Cholesky, reading its lower half; `None` when it is not positive.
#[inline]
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

        /// The oracle looks at one point of the grid after the other.
        #[test]
        fn eight_points_at_once_see_what_one_does(
            a in -0.05..0.05f64, b in 0.0..0.5f64, rho in -1.0..1.0f64, m in -0.5..0.5f64, sigma in 0.001..0.5f64,
            shift in -0.02..0.02f64, low in -1.0..0.0f64, high in 0.01..1.0f64, hole in prop::bool::weighted(0.1),
        ) {
            let svi = Svi { a, b, rho, m: if hole { f64::NAN } else { m }, sigma };
            let other = Svi { a: a + shift, b: 0.9 * b, ..svi };
            let range = (low, high);
            prop_assert_eq!(svi.is_butterfly_free(range), grid(range).all(|k| svi.w(k) > 0.0 && svi.g(k) >= 0.0));
            prop_assert_eq!(svi.is_calendar_free(&other, range), grid(range).all(|k| svi.w(k) >= other.w(k)));
        }

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
