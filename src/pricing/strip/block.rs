//! Eight strikes, and what all their greeks are made of.

use crate::pricing::black76::{TOTAL_VOL_MAX, TOTAL_VOL_MIN, TOTAL_VOL_NARROW};
use crate::pricing::elementary::{FRAC_1_SQRT_2PI, LnParts, exp_neg, mills_pair};

/// Strikes in a block.
pub(in crate::pricing) const LANES: usize = 8;

/// N(−d) is below half the last digit of 1 from here on.
const D_MAX: f64 = 8.3;

/// A column's part in one block.
pub(super) type Lane = [f64; LANES];

/// Eight strikes.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(in crate::pricing) struct Block {
    pub(super) ln_coarse: Lane,
    pub(super) ln_fine: Lane,
    pub(in crate::pricing) strike: Lane,
    /// σ√T and its inverse.
    pub(in crate::pricing) total_vol: Lane,
    pub(in crate::pricing) inv_total_vol: Lane,
    /// Factors of φ(d1), zero where the option has expired: 1/s, √T, −σ/(2√T), 1/σ.
    pub(in crate::pricing) gamma_factor: Lane,
    pub(in crate::pricing) vega_factor: Lane,
    pub(in crate::pricing) theta_factor: Lane,
    pub(in crate::pricing) inv_sigma: Lane,
    /// ∂σ/∂ln K.
    pub(in crate::pricing) slope: Lane,
    /// Calls and puts together.
    pub(super) position: Lane,
    /// ln F below which every call here is worthless to the last digit of a delta, and above which every one is exercised.
    pub(super) reach: (f64, f64),
    /// Whether a lane's total volatility calls for the careful difference of Mills ratios.
    pub(super) narrow: bool,
}

impl Block {
    pub(super) const EMPTY: Self = Self {
        ln_coarse: [0.0; LANES],
        ln_fine: [0.0; LANES],
        strike: [1.0; LANES],
        total_vol: [1.0; LANES],
        inv_total_vol: [1.0; LANES],
        gamma_factor: [0.0; LANES],
        vega_factor: [0.0; LANES],
        theta_factor: [0.0; LANES],
        inv_sigma: [0.0; LANES],
        slope: [0.0; LANES],
        position: [0.0; LANES],
        reach: (0.0, 0.0),
        narrow: false,
    };

    /// Sets a lane's volatility and the square root of its time.
    pub(super) fn set(&mut self, lane: usize, sigma: f64, root_years: f64) {
        let total_vol = if sigma > 0.0 { sigma * root_years } else { 0.0 };
        let alive = (TOTAL_VOL_MIN..TOTAL_VOL_MAX).contains(&total_vol);
        let s = if alive {
            total_vol
        } else if total_vol >= TOTAL_VOL_MAX {
            TOTAL_VOL_MAX
        } else {
            TOTAL_VOL_MIN
        };
        self.total_vol[lane] = s;
        self.inv_total_vol[lane] = 1.0 / s;
        self.gamma_factor[lane] = if alive { 1.0 / s } else { 0.0 };
        self.vega_factor[lane] = if alive { root_years } else { 0.0 };
        self.theta_factor[lane] = if alive { -0.5 * sigma / root_years } else { 0.0 };
        self.inv_sigma[lane] = if alive { 1.0 / sigma } else { 0.0 };
    }

    /// Recomputes what the first `lanes` of them say about the block.
    pub(super) fn set_limits(&mut self, lanes: usize) {
        self.reach = (f64::INFINITY, f64::NEG_INFINITY);
        self.narrow = false;
        for lane in 0..lanes {
            let (strike, s) = (self.ln_coarse[lane] + self.ln_fine[lane], self.total_vol[lane]);
            let far = s * (D_MAX + 0.5 * s);
            self.reach = (self.reach.0.min(strike - far), self.reach.1.max(strike + far));
            self.narrow |= s < TOTAL_VOL_NARROW;
        }
    }
}

/// What one lane's d1 and d2 give, for a call.
pub(super) struct Kernel {
    pub(super) d1: f64,
    pub(super) d2: f64,
    /// φ(d1).
    pub(super) density: f64,
    /// N(−|d1|) and (K/F) N(−|d2|).
    pub(super) tail1: f64,
    pub(super) tail2: f64,
}

/// A lane's d1 and d2.
#[inline(always)]
pub(super) fn place(block: &Block, lane: usize, forward: LnParts) -> (f64, f64) {
    let k = (forward.coarse - block.ln_coarse[lane]) + (forward.fine - block.ln_fine[lane]);
    let moneyness = k * block.inv_total_vol[lane];
    let half = 0.5 * block.total_vol[lane];
    (moneyness + half, moneyness - half)
}

#[inline(always)]
pub(super) fn kernel(block: &Block, lane: usize, forward: LnParts) -> Kernel {
    let (d1, d2) = place(block, lane, forward);
    let density = FRAC_1_SQRT_2PI * exp_neg(-0.5 * d1 * d1);
    let (m1, m2) = mills_pair(d1.abs(), d2.abs());
    Kernel { d1, d2, density, tail1: density * m1, tail2: density * m2 }
}

/// A call's delta and premium-adjusted delta, and what its other greeks are made of.
#[derive(Clone, Copy, Default)]
pub(in crate::pricing) struct Call {
    pub(in crate::pricing) d1: f64,
    pub(in crate::pricing) d2: f64,
    /// φ(d1).
    pub(in crate::pricing) density: f64,
    pub(in crate::pricing) delta: f64,
    pub(in crate::pricing) coin_delta: f64,
}

#[inline(always)]
pub(in crate::pricing) fn call(block: &Block, lane: usize, inv_forward: f64, forward: LnParts) -> Call {
    let Kernel { d1, d2, density, tail1, tail2 } = kernel(block, lane, forward);
    Call {
        d1,
        d2,
        density,
        delta: if d1 > 0.0 { 1.0 - tail1 } else { tail1 },
        coin_delta: if d2 > 0.0 { block.strike[lane] * inv_forward - tail2 } else { tail2 },
    }
}
