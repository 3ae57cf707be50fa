//! The one product everything is made of: a sum of rows, each times its own number, along lanes.
//!
//! Lanes never mix and rows are added in order, so every instruction set gives the same bits.

use multiversion::multiversion;

/// Numbers taken at a time.
const LANES: usize = 8;

/// `out = Σ_k weights[k]·rows[k]` over the first `len` columns, rounded up to whole lanes. What lies beyond in `rows` must be zero.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(super) fn combine<const WIDTH: usize>(rows: &[[f64; WIDTH]], weights: &[f64], len: usize, out: &mut [f64; WIDTH]) {
    combine_portable(rows, weights, len, out);
}

/// Whether any of the first `len` values, rounded up to whole lanes, is not within −`below` to `above`. NaN is not.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(super) fn any_outside<const WIDTH: usize>(
    values: &[f64; WIDTH],
    below: &[f64; WIDTH],
    above: &[f64; WIDTH],
    len: usize,
) -> bool {
    let mut outside = false;
    for i in 0..len.next_multiple_of(LANES).min(WIDTH) {
        outside |= !((values[i] >= -below[i]) & (values[i] <= above[i]));
    }
    outside
}

#[inline(always)]
fn combine_portable<const WIDTH: usize>(rows: &[[f64; WIDTH]], weights: &[f64], len: usize, out: &mut [f64; WIDTH]) {
    const { assert!(WIDTH.is_multiple_of(LANES)) };
    for block in 0..len.div_ceil(LANES).min(WIDTH / LANES) {
        let mut sum = [0.0; LANES];
        for (row, weight) in rows.iter().zip(weights) {
            let lane: &[f64; LANES] = row[block * LANES..][..LANES].try_into().expect("a whole lane");
            for (s, value) in sum.iter_mut().zip(lane) {
                *s += weight * value;
            }
        }
        out[block * LANES..][..LANES].copy_from_slice(&sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_returns_the_same_bits() {
        #[multiversion(targets("x86_64+avx2"))]
        fn combine_avx2(rows: &[[f64; 16]], weights: &[f64], len: usize, out: &mut [f64; 16]) {
            combine_portable(rows, weights, len, out);
        }
        let rows: Vec<[f64; 16]> =
            (0..12).map(|k| std::array::from_fn(|i| 1.0 / (1.0 + f64::from(k) + 0.37 * i as f64))).collect();
        let weights: Vec<f64> = (0..12).map(|k| 0.3 - 0.07 * f64::from(k)).collect();
        for len in [1, 7, 8, 9, 16] {
            let (mut dispatched, mut avx2, mut plain) = ([0.0; 16], [0.0; 16], [0.0; 16]);
            combine(&rows, &weights, len, &mut dispatched);
            combine_avx2(&rows, &weights, len, &mut avx2);
            combine_portable(&rows, &weights, len, &mut plain);
            for i in 0..16 {
                assert_eq!(dispatched[i].to_bits(), plain[i].to_bits());
                assert_eq!(avx2[i].to_bits(), plain[i].to_bits());
            }
            let naive: f64 = (0..12).map(|k| weights[k] * rows[k][0]).sum();
            assert!((plain[0] - naive).abs() < 1e-15);
        }
    }
}
