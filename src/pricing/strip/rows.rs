//! The greeks of every strike, one by one.

use multiversion::multiversion;

use super::Strip;
use super::block::{Block, Kernel, LANES, Lane, kernel};
use crate::instrument::OptionKind;
use crate::pricing::black76::{Greeks, TOTAL_VOL_NARROW, mills_fall};
use crate::pricing::elementary::{FRAC_1_SQRT_2PI, LnParts, exp_neg};

/// Greeks of every strike of a strip, written by [`Strip::greeks_into`].
#[derive(Clone, Debug)]
pub struct StripGreeks {
    blocks: Box<[Row]>,
    len: usize,
    forward: f64,
}

/// Eight strikes' greeks, of calls and over the forward.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Row {
    strike: Lane,
    out_of_the_money: Lane,
    delta: Lane,
    minus_put_delta: Lane,
    gamma: Lane,
    vega: Lane,
    theta: Lane,
    vanna: Lane,
    volga: Lane,
}

impl Strip {
    /// Every strike's greeks at a forward, into `out`, which must have this strip's capacity.
    pub fn greeks_into(&self, forward: f64, out: &mut StripGreeks) {
        let blocks = self.blocks();
        out.len = self.len();
        out.forward = forward;
        fill_rows(blocks, forward, LnParts::of(forward), &mut out.blocks[..blocks.len()]);
    }
}

impl StripGreeks {
    /// Room for the greeks of a strip of this capacity.
    pub fn with_capacity(capacity: usize) -> Self {
        const EMPTY: Row = Row {
            strike: [0.0; LANES],
            out_of_the_money: [0.0; LANES],
            delta: [0.0; LANES],
            minus_put_delta: [0.0; LANES],
            gamma: [0.0; LANES],
            vega: [0.0; LANES],
            theta: [0.0; LANES],
            vanna: [0.0; LANES],
            volga: [0.0; LANES],
        };
        Self { blocks: vec![EMPTY; capacity.div_ceil(LANES)].into_boxed_slice(), len: 0, forward: 0.0 }
    }

    /// Undiscounted greeks in quote currency of the call or put at an index.
    pub fn at(&self, index: usize, kind: OptionKind) -> Greeks {
        assert!(index < self.len);
        let (row, lane, forward) = (&self.blocks[index / LANES], index % LANES, self.forward);
        let intrinsic = match kind {
            OptionKind::Call => forward - row.strike[lane],
            OptionKind::Put => row.strike[lane] - forward,
        };
        Greeks {
            price: forward * row.out_of_the_money[lane] + if intrinsic > 0.0 { intrinsic } else { 0.0 },
            delta: match kind {
                OptionKind::Call => row.delta[lane],
                OptionKind::Put => -row.minus_put_delta[lane],
            },
            gamma: row.gamma[lane] / forward,
            vega: row.vega[lane] * forward,
            theta: row.theta[lane] * forward,
            vanna: row.vanna[lane],
            volga: row.volga[lane] * forward,
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn fill_rows(blocks: &[Block], forward: f64, ln_forward: LnParts, rows: &mut [Row]) {
    fill_rows_portable(blocks, forward, ln_forward, rows);
}

#[inline(always)]
fn fill_rows_portable(blocks: &[Block], forward: f64, ln_forward: LnParts, rows: &mut [Row]) {
    let inv_forward = 1.0 / forward;
    for (block, row) in blocks.iter().zip(rows) {
        for lane in 0..LANES {
            let Kernel { d1, d2, density, tail1, tail2 } = kernel(block, lane, ln_forward);
            let certain = if forward < block.strike[lane] { 1.0 } else { block.strike[lane] * inv_forward };
            let gap = tail1 - tail2;
            // d1 and d2 on either side of zero: neither tail is the one the option pays in.
            let straddling = d1 > 0.0 && d2 < 0.0;
            let apart = if straddling { certain - (tail1 + tail2) } else { gap.abs() };
            let vega = density * block.vega_factor[lane];
            row.strike[lane] = block.strike[lane];
            row.out_of_the_money[lane] = apart;
            row.delta[lane] = if d1 > 0.0 { 1.0 - tail1 } else { tail1 };
            row.minus_put_delta[lane] = if d1 > 0.0 { tail1 } else { 1.0 - tail1 };
            row.gamma[lane] = density * block.gamma_factor[lane];
            row.vega[lane] = vega;
            row.theta[lane] = density * block.theta_factor[lane];
            row.vanna[lane] = -density * d2 * block.inv_sigma[lane];
            row.volga[lane] = vega * d1 * d2 * block.inv_sigma[lane];
        }
        if block.narrow {
            for lane in 0..LANES {
                let k = (ln_forward.coarse - block.ln_coarse[lane]) + (ln_forward.fine - block.ln_fine[lane]);
                let s = block.total_vol[lane];
                let moneyness = k * block.inv_total_vol[lane];
                let d1 = moneyness + 0.5 * s;
                let density = FRAC_1_SQRT_2PI * exp_neg(-0.5 * d1 * d1);
                let careful = density * mills_fall(moneyness.abs() - 0.5 * s, s);
                row.out_of_the_money[lane] = if s < TOTAL_VOL_NARROW { careful } else { row.out_of_the_money[lane] };
            }
        }
    }
}
