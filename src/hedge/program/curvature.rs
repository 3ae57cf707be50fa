//! What an exposure costs: a matrix that is positive semidefinite by construction.

use super::FACTORS_MAX;
use super::kernel::combine;

/// What was offered is not positive semidefinite, or not finite; nothing was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotConvex;

/// Q of the program: a sum of terms, each checked to be positive semidefinite as it is added.
#[derive(Clone, Debug, PartialEq)]
pub struct Curvature {
    factors: usize,
    pub(super) rows: [[f64; FACTORS_MAX]; FACTORS_MAX],
}

impl Curvature {
    /// No exposure costs anything yet.
    ///
    /// # Panics
    ///
    /// If there are more than [`FACTORS_MAX`] factors.
    pub fn new(factors: usize) -> Self {
        assert!(factors <= FACTORS_MAX, "at most {FACTORS_MAX} factors");
        Self { factors, rows: [[0.0; FACTORS_MAX]; FACTORS_MAX] }
    }

    /// Back to nothing.
    pub fn clear(&mut self) {
        self.rows = [[0.0; FACTORS_MAX]; FACTORS_MAX];
    }

    /// Adds `weight·v²` for the exposure v to one factor.
    pub fn add_diagonal(&mut self, factor: usize, weight: f64) -> Result<(), NotConvex> {
        if !(weight.is_finite() && weight >= 0.0) || factor >= self.factors {
            return Err(NotConvex);
        }
        self.rows[factor][factor] += weight;
        Ok(())
    }

    /// Adds `weight·(βᵀv)²`.
    pub fn add_outer(&mut self, weight: f64, beta: &[f64]) -> Result<(), NotConvex> {
        let usable = |x: f64| x.is_finite();
        if !(usable(weight) && weight >= 0.0 && beta.len() == self.factors && beta.iter().all(|b| usable(*b))) {
            return Err(NotConvex);
        }
        for (row, a) in self.rows.iter_mut().zip(beta) {
            for (q, b) in row.iter_mut().zip(beta) {
                *q += weight * (a * b);
            }
        }
        Ok(())
    }

    /// Adds another one, `weight` times.
    pub fn add(&mut self, weight: f64, other: &Self) -> Result<(), NotConvex> {
        if !(weight.is_finite() && weight >= 0.0 && other.factors == self.factors) {
            return Err(NotConvex);
        }
        for (row, more) in self.rows.iter_mut().zip(&other.rows[..self.factors]) {
            for (q, m) in row.iter_mut().zip(more) {
                *q += weight * m;
            }
        }
        Ok(())
    }

    /// From a symmetric matrix, of which the lower triangle is read. A Cholesky factorisation decides whether it is
    /// positive semidefinite: pivots down to −1e-12 of their diagonal count as rounding.
    pub fn from_matrix(rows: &[&[f64]]) -> Result<Self, NotConvex> {
        let n = rows.len();
        let mut matrix = Self::new(n.min(FACTORS_MAX));
        if n > FACTORS_MAX {
            return Err(NotConvex);
        }
        for (i, row) in rows.iter().enumerate() {
            for j in 0..=i {
                let q = *row.get(j).ok_or(NotConvex)?;
                if !q.is_finite() {
                    return Err(NotConvex);
                }
                matrix.rows[i][j] = q;
                matrix.rows[j][i] = q;
            }
        }
        if matrix.is_convex() { Ok(matrix) } else { Err(NotConvex) }
    }

    /// Factors.
    pub fn factors(&self) -> usize {
        self.factors
    }

    /// One entry.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.rows[row][column]
    }

    /// ½vᵀQv.
    pub fn half_form(&self, v: &[f64]) -> f64 {
        let mut product = [0.0; FACTORS_MAX];
        combine(&self.rows[..self.factors], v, self.factors, &mut product);
        0.5 * v.iter().zip(&product).map(|(a, b)| a * b).sum::<f64>()
    }

    fn is_convex(&self) -> bool {
        const ROUNDING: f64 = 1e-12;
        let mut left = self.rows;
        for k in 0..self.factors {
            let (scale, pivot) = (self.rows[k][k], left[k][k]);
            if pivot < -ROUNDING * scale.abs() || scale < 0.0 {
                return false;
            }
            if pivot <= ROUNDING * scale {
                // A direction of no risk may not interact with any other: |Q_ik|² ≤ Q_ii·Q_kk.
                let bounded = |i: usize| left[i][k] * left[i][k] <= 4.0 * ROUNDING * scale * self.rows[i][i];
                if !(k + 1..self.factors).all(bounded) {
                    return false;
                }
                continue;
            }
            for i in k + 1..self.factors {
                let ratio = left[i][k] / pivot;
                for j in k + 1..=i {
                    left[i][j] -= ratio * left[j][k];
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_indefinite_matrix_is_refused() {
        assert_eq!(Curvature::from_matrix(&[&[1.0], &[2.0, 1.0]]), Err(NotConvex));
        assert_eq!(Curvature::from_matrix(&[&[-1.0]]), Err(NotConvex));
        assert_eq!(Curvature::from_matrix(&[&[0.0], &[1.0, 1.0]]), Err(NotConvex));
        assert_eq!(Curvature::from_matrix(&[&[f64::NAN]]), Err(NotConvex));
        assert_eq!(Curvature::from_matrix(&[&[1.0, 0.0], &[]]), Err(NotConvex));
    }

    #[test]
    fn a_singular_matrix_is_accepted() {
        assert!(Curvature::from_matrix(&[&[1.0], &[2.0, 4.0]]).is_ok());
        assert!(Curvature::from_matrix(&[&[0.0], &[0.0, 4.0]]).is_ok());
        assert!(Curvature::from_matrix(&[&[0.01], &[0.3, 9.0], &[0.2, 6.0, 4.0]]).is_ok());
    }

    #[test]
    fn terms_that_would_break_convexity_add_nothing() {
        let mut q = Curvature::new(2);
        q.add_outer(2.0, &[1.0, -3.0]).unwrap();
        let before = q.clone();
        assert_eq!(q.add_outer(-1.0, &[1.0, 1.0]), Err(NotConvex));
        assert_eq!(q.add_outer(f64::NAN, &[1.0, 1.0]), Err(NotConvex));
        assert_eq!(q.add_outer(1.0, &[1.0, f64::INFINITY]), Err(NotConvex));
        assert_eq!(q.add_diagonal(2, 1.0), Err(NotConvex));
        assert_eq!(q.add_diagonal(0, -1.0), Err(NotConvex));
        assert_eq!(q.add(1.0, &Curvature::new(3)), Err(NotConvex));
        assert_eq!(q, before);
        assert_eq!(q.half_form(&[1.0, 1.0]), 4.0);
    }
}
