//! One strike's greeks as power series around the anchor, and what the series leave out.
//!
//! With x = (u − u0)/h, u = ln F, and ρ = h/s, the density is φ(d1 + ρx) = Σ aₘxᵐ, where a₀ = φ(d1) and
//! aₘ₊₁ = −(ρ·d1·aₘ + ρ²·aₘ₋₁)/(m + 1), the recurrence of the Hermite functions. Everything follows linearly:
//!
//! | greek | coefficient of xᵐ |
//! |---|---|
//! | delta | ρaₘ₋₁/m |
//! | premium-adjusted delta w, as w′ = φ/s − w | (ρaₘ₋₁ − h·wₘ₋₁)/m |
//! | gamma, vega, theta, skew | aₘ times 1/s, √T, −σ/(2√T), √T·∂σ/∂ln K |
//! | vanna −φ·d2/σ | −(d2·aₘ + ρaₘ₋₁)/σ |
//! | volga √T·φ·d1·d2/σ | √T((d1·d2 − m)aₘ + ρ·d2·aₘ₋₁)/σ |
//!
//! Volga's is √T(d1·d2·aₘ + ρ(d1 + d2)aₘ₋₁ + ρ²aₘ₋₂)/σ with aₘ₋₂ taken out by the recurrence. A lane is a strike up to the
//! recurrences and a greek from there on.
//!
//! The remainders are Lagrange's with Cramér's bound on Hermite functions, |φ⁽ᵏ⁾| ≤ C√k!, C = 1.0864/√(2π) (Abramowitz
//! and Stegun 22.14.17): after xⁿ, Cρⁿ⁺¹√n!/(n+1)! for delta, r = Cρⁿ⁺¹/√(n+1)! times the factors above for the
//! others, with √(n+2) and √((n+2)(n+3)) where a greek carries one or two powers of d. To each is added what rounding to
//! fixed point and doubles can take.

use super::fixed_point::{Coefficient, Coefficients, LANES, ULP, in_range, is_small};
use super::{Around, lane};
use crate::pricing::strip::{self, Block};

/// Cramér's constant over √(2π).
const CRAMER: f64 = 1.0864 * 0.398_942_280_401_432_7;
/// What doubles may lose in a coefficient and in evaluating the sums, relative to a greek's own scale.
const ROUNDING: f64 = 1e-14;
/// 1/m.
pub(super) const INVERSE: [f64; 24] = {
    let mut inverse = [0.0; 24];
    let mut m = 1;
    while m < inverse.len() {
        inverse[m] = 1.0 / m as f64;
        m += 1;
    }
    inverse
};

/// 1/m for the two deltas, which are integrals, and 1 for the others.
const SHARE: [[f64; LANES]; 24] = {
    let mut share = [[1.0; LANES]; 24];
    let mut m = 0;
    while m < share.len() {
        share[m][lane::COIN_DELTA] = INVERSE[m];
        share[m][lane::DELTA] = INVERSE[m];
        m += 1;
    }
    share
};

/// A strike's coefficients for one lot of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Series<const ROWS: usize> {
    /// Of x⁰, x¹ and so on.
    pub(super) rows: Coefficients<ROWS>,
    /// Bounds on the error of each lane.
    pub(super) bound: Coefficients<1>,
}

impl<const ROWS: usize> Series<ROWS> {
    pub(super) const ZERO: Self = Self { rows: Coefficients::ZERO, bound: Coefficients::ZERO };
}

/// The constants of an order's remainders, for a half-window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remainder<const ROWS: usize> {
    /// C√k!/(n+1)! for k up to n.
    root_factorial: [f64; ROWS],
    /// C/√(n+1)!.
    density: f64,
    /// √(n+2) and √((n+2)(n+3)).
    one_power: f64,
    two_powers: f64,
    /// hⁿ⁺¹/(n+1)!.
    decay: f64,
}

impl<const ROWS: usize> Remainder<ROWS> {
    pub(super) fn new(h: f64) -> Self {
        let (mut factorial, mut decay) = (1.0, h);
        let mut root_factorial = [1.0; ROWS];
        for (k, root) in root_factorial.iter_mut().enumerate().skip(1) {
            factorial *= k as f64;
            decay *= h;
            *root = factorial.sqrt();
        }
        let n1 = ROWS as f64;
        let last = factorial * n1;
        Self {
            root_factorial: root_factorial.map(|root| CRAMER * root / last),
            density: CRAMER / last.sqrt(),
            one_power: (n1 + 1.0).sqrt(),
            two_powers: ((n1 + 1.0) * (n1 + 2.0)).sqrt(),
            decay: decay / last,
        }
    }
}

/// Vectors in the making, each on its own cache line: one that straddles two is slow to read back.
#[repr(align(64))]
struct Rows<const ROWS: usize>([[f64; LANES]; ROWS]);

/// Eight strikes, one a lane: d1 and d2, delta, the Hermite and premium-adjusted delta's coefficients, and the
/// remainders of the deltas and of φ.
#[repr(align(64))]
pub(super) struct Strikes<const ROWS: usize> {
    d1: [f64; LANES],
    d2: [f64; LANES],
    delta: [f64; LANES],
    ratio: [f64; LANES],
    rho: [f64; LANES],
    a: [[f64; LANES]; ROWS],
    coin_delta: [[f64; LANES]; ROWS],
    delta_remainder: [f64; LANES],
    coin_delta_remainder: [f64; LANES],
    density_remainder: [f64; LANES],
}

impl<const ROWS: usize> Strikes<ROWS> {
    pub(super) const ZERO: Self = Self {
        d1: [0.0; LANES],
        d2: [0.0; LANES],
        delta: [0.0; LANES],
        ratio: [0.0; LANES],
        rho: [0.0; LANES],
        a: [[0.0; LANES]; ROWS],
        coin_delta: [[0.0; LANES]; ROWS],
        delta_remainder: [0.0; LANES],
        coin_delta_remainder: [0.0; LANES],
        density_remainder: [0.0; LANES],
    };

    /// Expands a block's strikes, as many as `out` has room for, and writes K/F0 of each. False when a coefficient does not
    /// fit.
    #[inline(always)]
    pub(super) fn expand(
        &mut self,
        block: &Block,
        around: Around,
        remainder: &Remainder<ROWS>,
        out: &mut [Series<ROWS>],
        ratios: &mut [Coefficient],
    ) -> bool {
        self.take(block, around, remainder);
        let mut fit = true;
        for (out, &ratio) in ratios.iter_mut().zip(&self.ratio) {
            *out = Coefficient::of(ratio);
        }
        for (i, series) in out.iter_mut().enumerate().take(LANES) {
            fit &= self.write(block, i, around.half_window, remainder, series);
        }
        fit
    }

    #[inline(always)]
    fn take(&mut self, block: &Block, around: Around, remainder: &Remainder<ROWS>) {
        let Around { forward, ln_forward, half_window: h } = around;
        let (s, inv_forward) = (self, 1.0 / forward);
        for i in 0..LANES {
            let call = strip::call(block, i, inv_forward, ln_forward);
            s.d1[i] = call.d1;
            s.d2[i] = call.d2;
            s.delta[i] = call.delta;
            s.coin_delta[0][i] = call.coin_delta;
            s.ratio[i] = block.strike[i] * inv_forward;
            s.rho[i] = h * block.inv_total_vol[i];
            s.a[0][i] = call.density;
            s.a[1][i] = -(s.rho[i] * call.d1) * call.density;
        }
        for (m, inverse) in INVERSE.iter().enumerate().take(ROWS).skip(2) {
            for i in 0..LANES {
                let rho = s.rho[i];
                s.a[m][i] = -(rho * s.d1[i] * s.a[m - 1][i] + rho * rho * s.a[m - 2][i]) * inverse;
            }
        }
        for (m, inverse) in INVERSE.iter().enumerate().take(ROWS).skip(1) {
            for i in 0..LANES {
                s.coin_delta[m][i] = (s.rho[i] * s.a[m - 1][i] - h * s.coin_delta[m - 1][i]) * inverse;
            }
        }
        // w⁽ⁿ⁺¹⁾ = Σⱼ(−1)ʲφ⁽ⁿ⁻ʲ⁾/s ± w, term by term: ρ·Σ hⁿ⁻ᵏρᵏ√k!, by Horner from the low powers of ρ.
        let mut power = [1.0; LANES];
        let mut terms = [remainder.root_factorial[0]; LANES];
        for k in 1..ROWS {
            for i in 0..LANES {
                power[i] *= s.rho[i];
                terms[i] = terms[i] * h + power[i] * remainder.root_factorial[k];
            }
        }
        for i in 0..LANES {
            power[i] *= s.rho[i];
            s.coin_delta_remainder[i] = s.rho[i] * terms[i] + remainder.decay;
            s.delta_remainder[i] = power[i] * remainder.root_factorial[ROWS - 1];
            s.density_remainder[i] = power[i] * remainder.density;
        }
    }

    /// Writes one strike's series and bounds, a greek a lane.
    #[inline(always)]
    fn write(&self, block: &Block, i: usize, h: f64, remainder: &Remainder<ROWS>, out: &mut Series<ROWS>) -> bool {
        let (d1, d2, rho) = (self.d1[i], self.d2[i], self.rho[i]);
        let (gamma, vega, theta) = (block.gamma_factor[i], block.vega_factor[i], block.theta_factor[i]);
        let (inv_sigma, skew) = (block.inv_sigma[i], vega * block.slope[i]);
        let curvature = vega * inv_sigma;
        let first = [self.coin_delta[0][i], self.delta[i], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let own = [0.0, 0.0, gamma, vega, theta, -d2 * inv_sigma, curvature * d1 * d2, skew];
        let fall = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, curvature, 0.0];
        let once = [rho, rho, 0.0, 0.0, 0.0, -rho * inv_sigma, curvature * rho * d2, 0.0];
        let decay = [-h, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let s = block.total_vol[i];
        let scale = [
            1.0,
            1.0,
            gamma,
            vega,
            theta.abs(),
            inv_sigma * (remainder.one_power + s),
            curvature * (remainder.two_powers + 1.0 + s * remainder.one_power),
            skew.abs(),
        ];
        let r = self.density_remainder[i];
        let left_out = [self.coin_delta_remainder[i], self.delta_remainder[i], r, r, r, r, r, r];
        let mut values = Rows([[0.0; LANES]; ROWS]);
        let mut bound = Rows([[0.0; LANES]]);
        let (mut beyond, mut wide) = (0, 0);
        let a: [f64; ROWS] = std::array::from_fn(|m| self.a[m][i]);
        let w: [f64; ROWS] = std::array::from_fn(|m| self.coin_delta[m][i]);
        for g in 0..LANES {
            values.0[0][g] = first[g] + a[0] * own[g];
            let mut own_now = own[g];
            for m in 1..ROWS {
                own_now -= fall[g];
                let integrand = a[m - 1] * once[g] + w[m - 1] * decay[g];
                values.0[m][g] = a[m] * own_now + SHARE[m][g] * integrand;
            }
            bound.0[0][g] = (left_out[g] + ROUNDING) * scale[g] + (ROWS + 2) as f64 * ULP;
            // |a| < ½ and a scale exceeds m times the curvature, so coefficients are smaller than the factors they are made of
            // together; and so are bounds, of which no remainder reaches 1.
            let factors = own[g].abs() + once[g].abs() + scale[g];
            beyond |= u32::from(!in_range(factors));
            wide |= u32::from(!is_small(factors));
        }
        if wide == 0 && is_small(self.ratio[i]) {
            out.rows.set::<true>(&values.0);
            out.bound.set::<true>(&bound.0);
        } else {
            out.rows.set::<false>(&values.0);
            out.bound.set::<false>(&bound.0);
        }
        beyond == 0 && in_range(self.ratio[i])
    }
}
