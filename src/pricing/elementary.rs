//! Exponential, logarithm and the normal distribution, the same bits on every machine.
//!
//! The platform's `exp` and `ln` differ between C libraries, so a session replayed elsewhere would differ in its last
//! digits and, sooner or later, in its orders. Everything here is plain `+ − × ÷` on doubles and integer shifts, never a
//! fused multiply-add: IEEE 754 leaves no freedom in those, whether one lane at a time or eight.
//!
//! | function | method | relative error |
//! |---|---|---|
//! | [`exp`] | n ln 2 in two parts, degree-11 polynomial on ±½ ln 2 | below 1.5e-16 |
//! | [`LnParts`], [`ln`] | table of 129 logarithms, atanh series of (m − c)/(m + c) | below 1e-18 absolute; 1.5 roundings |
//! | [`mills`] | rational, degrees 9 and 10 | fit 1.1e-16, in doubles 8e-16 |
//!
//! The Mills ratio M(x) = N(−x)/φ(x) carries the normal distribution: tails keep their relative precision down to the
//! smallest doubles, and one exponential serves both N(d1) and N(d2). Its coefficients come from `tests/data/mills.py`.
//!
//! Functions marked inline are branch-free and compile to vector code inside a loop over lanes.

use std::f64::consts::{LOG2_E, SQRT_2};

/// 1/√(2π).
pub const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;

const LN2_HI: f64 = 0.693_147_180_369_123_8;
const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;

/// 1.5 × 2^52: adding it rounds a double below 2^51 to an integer that stands in the low bits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// 1.5 × 2^12: adding it rounds a double below 2^11 to a multiple of 2^-40.
const ROUND_E40: f64 = 6_144.0;
/// Cells of the table of logarithms.
const LN_CELL_BITS: u32 = 7;
const LN_CELLS: usize = 1 << LN_CELL_BITS;
/// The argument at which [`exp_neg`] stops falling; e to it is 3.3e-308, still a normal double.
const EXP_NEG_MIN: f64 = -708.0;
/// The argument at which [`mills`] stops falling, far from where its polynomials overflow.
const MILLS_MAX: f64 = 1e15;

/// e^x for any double: overflows to infinity, underflows through the subnormals to zero, passes NaN on.
pub fn exp(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else if x > 709.8 {
        f64::INFINITY
    } else if x < -745.2 {
        0.0
    } else {
        // Two powers of two, so that neither leaves the range of normal doubles.
        let (mantissa, n) = exp_reduced(x);
        let half = n / 2;
        mantissa * power_of_two(half) * power_of_two(n - half)
    }
}

/// e^x for x ≤ 0, branch-free; arguments below −708 give 3.3e-308.
#[inline(always)]
pub fn exp_neg(x: f64) -> f64 {
    let x = if x > EXP_NEG_MIN { x } else { EXP_NEG_MIN };
    let rounded = x * LOG2_E + ROUND;
    let n = rounded - ROUND;
    let scale = f64::from_bits((rounded.to_bits() << 52).wrapping_add(1_023 << 52));
    exp_polynomial(x - n * LN2_HI - n * LN2_LO) * scale
}

/// Natural logarithm: −∞ at zero, NaN below it.
pub fn ln(x: f64) -> f64 {
    if x > 0.0 && x < f64::INFINITY {
        LnParts::of(x).value()
    } else if x == 0.0 {
        f64::NEG_INFINITY
    } else if x > 0.0 {
        x
    } else {
        f64::NAN
    }
}

/// ln(a/b) for positive finite arguments, to 1.5 roundings or 2e-18, whichever is larger.
pub fn ln_ratio(a: f64, b: f64) -> f64 {
    LnParts::of(a).minus(LnParts::of(b))
}

/// A natural logarithm in two parts: a multiple of 2^-40 and the rest, below 2^-6 and good to 1e-18.
///
/// An option minutes from expiry divides ln(F/K) by a total volatility of 1e-3, which would turn the 1e-15 that a plain
/// ln F carries into 1e-12 of d1. The coarse parts of two logarithms subtract exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LnParts {
    /// Multiple of 2^-40.
    pub coarse: f64,
    /// The rest.
    pub fine: f64,
}

impl LnParts {
    /// Of what has no logarithm: everything computed from it is NaN.
    pub const NONE: Self = Self { coarse: f64::NAN, fine: f64::NAN };

    /// Of a positive finite double; meaningless otherwise.
    #[inline]
    pub fn of(x: f64) -> Self {
        let (x, bias) = if x < f64::MIN_POSITIVE { (x * 18_014_398_509_481_984.0, 54) } else { (x, 0) };
        let bits = x.to_bits();
        let e = f64::from((bits >> 52) as i32 - 1_023 - bias);
        let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
        // The nearest of the table's arguments; around 1 it is 1 itself, or 2 with the exponent below.
        let cell = ((bits >> (51 - LN_CELL_BITS)) & (2 * LN_CELLS as u64 - 1)).div_ceil(2) as usize;
        let (centre, Self { coarse, fine }) = LN_TABLE[cell];
        // ln(m/centre) = 2 atanh(q) with |q| < 2^-8; the numerator is exact.
        let q = 2.0 * ((m - centre) / (m + centre));
        let z = q * q;
        let series = z * (1.0 / 12.0) + (z * z) * (1.0 / 80.0 + z * (1.0 / 448.0));
        Self { coarse: e * LN2_HI + coarse, fine: (q + (e * LN2_LO + fine)) + q * series }
    }

    /// This logarithm less another.
    #[inline(always)]
    pub fn minus(self, other: Self) -> f64 {
        (self.coarse - other.coarse) + (self.fine - other.fine)
    }

    /// The nearest double.
    pub fn value(self) -> f64 {
        self.coarse + self.fine
    }
}

/// Arguments 1, 1 + 1/128 … 2 with their logarithms.
static LN_TABLE: [(f64, LnParts); LN_CELLS + 1] = {
    let mut table = [(0.0, LnParts { coarse: 0.0, fine: 0.0 }); LN_CELLS + 1];
    let mut cell = 0;
    while cell <= LN_CELLS {
        let m = 1.0 + cell as f64 / LN_CELLS as f64;
        table[cell] = (m, ln_of_cell(m));
        cell += 1;
    }
    table
};

/// The logarithm of an argument of the table, of which no more than eight bits are in use.
const fn ln_of_cell(m: f64) -> LnParts {
    // The power of two that is nearer, so that the quotient stays below 0.18; its terms are exact.
    let (m, e) = if m > SQRT_2 { (0.5 * m, 1.0) } else { (m, 0.0) };
    let (f, d) = (m - 1.0, m + 1.0);
    let q = f / d;
    let (product, product_lost) = exact_product(q, d);
    let q_lost = (f - product - product_lost) / d;
    let z = q * q;
    let mut series = 0.0;
    let mut odd = 25;
    while odd > 1 {
        series = z * (series + 1.0 / odd as f64);
        odd -= 2;
    }
    let tail = 2.0 * (q_lost + q * series) + e * LN2_LO;
    let coarse = (e * LN2_HI + 2.0 * q + tail) + ROUND_E40 - ROUND_E40;
    LnParts { coarse, fine: (e * LN2_HI - coarse + 2.0 * q) + tail }
}

/// Standard normal density.
#[inline(always)]
pub fn normal_pdf(x: f64) -> f64 {
    FRAC_1_SQRT_2PI * exp_neg(-0.5 * x * x)
}

/// Standard normal distribution function; relative precision is kept in the lower tail.
pub fn normal_cdf(x: f64) -> f64 {
    let tail = normal_pdf(x) * mills(x.abs());
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// Mills ratio M(x) = N(−x)/φ(x) for x ≥ −0.02, infinity included.
#[inline(always)]
pub fn mills(x: f64) -> f64 {
    let x = if x < MILLS_MAX { x } else { MILLS_MAX };
    let (p, q) = mills_parts(x);
    p / q
}

/// M(x) and M(y) for the price of one division; arguments from −0.02 to 1e13.
#[inline(always)]
pub fn mills_pair(x: f64, y: f64) -> (f64, f64) {
    let ((px, qx), (py, qy)) = (mills_parts(x), mills_parts(y));
    let r = 1.0 / (qx * qy);
    (px * (qy * r), py * (qx * r))
}

/// |M(x) − M(y)|, of which nothing but one division waits for the denominators; arguments from −0.02 to 1e13.
#[inline(always)]
pub fn mills_gap(x: f64, y: f64) -> f64 {
    let ((px, qx), (py, qy)) = (mills_parts(x), mills_parts(y));
    ((px * qy - py * qx) / (qx * qy)).abs()
}

/// Numerator and denominator of M(x). Even and odd powers apart: four chains that an out-of-order core runs side by side.
#[inline(always)]
fn mills_parts(x: f64) -> (f64, f64) {
    let z = x * x;
    let (p, q) = (&MILLS_P, &MILLS_Q);
    let p_even = (((p[8] * z + p[6]) * z + p[4]) * z + p[2]) * z + p[0];
    let p_odd = (((p[9] * z + p[7]) * z + p[5]) * z + p[3]) * z + p[1];
    let q_even = ((((q[10] * z + q[8]) * z + q[6]) * z + q[4]) * z + q[2]) * z + q[0];
    let q_odd = (((q[9] * z + q[7]) * z + q[5]) * z + q[3]) * z + q[1];
    (p_even + p_odd * x, q_even + q_odd * x)
}

/// e^x = m × 2^n with m in [0.7, 1.42], for |x| below 1e3.
fn exp_reduced(x: f64) -> (f64, i64) {
    let n = (x * LOG2_E + ROUND) - ROUND;
    (exp_polynomial(x - n * LN2_HI - n * LN2_LO), n as i64)
}

/// e^r for |r| ≤ ½ ln 2.
#[inline(always)]
fn exp_polynomial(r: f64) -> f64 {
    let r2 = r * r;
    let r4 = r2 * r2;
    let low = (EXP[0] + EXP[1] * r) + (EXP[2] + EXP[3] * r) * r2;
    let high = (EXP[4] + EXP[5] * r) + (EXP[6] + EXP[7] * r) * r2 + (EXP[8] + EXP[9] * r) * r4;
    1.0 + (r + r2 * (low + high * r4))
}

/// 2^n for n among the normal exponents.
fn power_of_two(n: i64) -> f64 {
    f64::from_bits(((n + 1_023) as u64) << 52)
}

/// a × b and what rounding took from it (Dekker 1971), for factors far from overflow.
const fn exact_product(a: f64, b: f64) -> (f64, f64) {
    const SPLIT: f64 = 134_217_729.0;
    let (a_big, b_big) = (a * SPLIT, b * SPLIT);
    let (ah, bh) = (a_big - (a_big - a), b_big - (b_big - b));
    let (al, bl) = (a - ah, b - bh);
    let product = a * b;
    (product, ((ah * bh - product) + ah * bl + al * bh) + al * bl)
}

/// (e^r − 1 − r)/r² on ±½ ln 2: interpolated at Chebyshev nodes with 50 digits, 1.6e-17 relative on e^r.
const EXP: [f64; 10] = [
    0.500_000_000_000_000_1,
    0.166_666_666_666_666_69,
    0.041_666_666_666_624_066,
    0.008_333_333_333_330_056,
    0.001_388_888_891_724_578_7,
    0.000_198_412_698_630_782_8,
    2.480_152_124_613_149_5e-5,
    2.755_726_842_168_261_3e-6,
    2.762_011_213_957_236_7e-7,
    2.510_040_371_657_669e-8,
];

/// M(x) = P(x)/Q(x), ascending powers.
const MILLS_P: [f64; 10] = [
    1.253_314_137_315_500_3,
    1.942_369_699_506_445_7,
    1.488_991_011_767_510_3,
    0.725_116_674_897_929_6,
    0.244_795_057_985_559,
    0.059_167_958_591_349_615,
    0.010_237_548_336_244_465,
    0.001_226_864_944_664_689_2,
    9.309_739_744_585_634e-5,
    3.456_839_765_451_454e-6,
];
const MILLS_Q: [f64; 11] = [
    1.0,
    2.347_671_355_410_359,
    2.561_213_667_784_687_5,
    1.714_238_084_685_162_8,
    0.781_865_707_533_569_4,
    0.254_846_400_349_650_2,
    0.060_387_910_256_884_496,
    0.010_330_645_723_320_674,
    0.001_230_321_784_611_813_6,
    9.309_739_744_394_419e-5,
    3.456_839_765_460_524_4e-6,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mills_ratio_matches_references_of_twenty_digits() {
        let references = [
            (0.0, 1.253_314_137_315_500_3),
            (0.5, 0.876_364_456_453_692_3),
            (1.0, 0.655_679_542_418_798_5),
            (2.75, 0.327_678_314_690_552_05),
            (8.0, 0.123_131_963_257_932_3),
            (20.0, 0.049_875_925_981_836_78),
            (37.5, 0.026_647_744_014_898_55),
        ];
        for (x, exact) in references {
            assert!((mills(x) / exact - 1.0).abs() < 1e-15, "M({x}) = {}", mills(x));
        }
        assert!(mills(f64::INFINITY) < 1e-14);
        assert!((mills(1e6) * 1e6 - 1.0).abs() < 1e-11);
    }

    #[test]
    fn the_ends_of_the_exponential_are_total() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f64::INFINITY), f64::INFINITY);
        assert_eq!(exp(710.0), f64::INFINITY);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(-746.0), 0.0);
        assert!(exp(-740.0) > 0.0 && exp(709.7).is_finite());
        assert!(exp(f64::NAN).is_nan());
        assert!(exp_neg(f64::NEG_INFINITY) < 1e-307);
    }

    #[test]
    fn the_ends_of_the_logarithm_are_total() {
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert_eq!(ln(f64::INFINITY), f64::INFINITY);
        assert!(ln(-1.0).is_nan() && ln(f64::NAN).is_nan());
        assert!((ln(f64::from_bits(1)) + 744.440_071_921_381_2).abs() < 1e-12);
        assert!((ln(f64::MAX) - 709.782_712_893_384).abs() < 1e-12);
    }

    #[test]
    fn a_ratio_one_rounding_from_one_keeps_its_digits() {
        let up = f64::from_bits(1.0f64.to_bits() + 1);
        assert!((ln_ratio(up, 1.0) / f64::EPSILON - 1.0).abs() < 2e-16);
        let forward = 97_123.45;
        let strike = forward * (1.0 + 3e-9);
        let gap = (forward - strike) / forward;
        assert!((ln_ratio(forward, strike) - (gap + gap * gap / 2.0)).abs() < 3e-18);
    }

    proptest! {
        #[test]
        fn exp_stays_within_an_ulp_and_a_half_of_the_platform(x in -700.0..700.0f64) {
            let platform = x.exp();
            prop_assert!((exp(x) - platform).abs() <= 3.4e-16 * platform);
            if x <= 0.0 {
                prop_assert_eq!(exp_neg(x), exp(x));
            }
        }

        #[test]
        fn ln_stays_within_two_roundings_of_the_platform(x in prop::num::f64::POSITIVE | prop::num::f64::SUBNORMAL) {
            let x = x.abs();
            prop_assume!(x > 0.0 && x.is_finite());
            prop_assert!((ln(x) - x.ln()).abs() <= 3.4e-16 * x.ln().abs());
            let parts = LnParts::of(x);
            prop_assert!(parts.fine.abs() <= 1.0 / 64.0 && (parts.coarse * (1u64 << 40) as f64).fract() == 0.0);
        }

        #[test]
        fn the_two_tails_add_up_to_one(x in -9.0..9.0f64) {
            prop_assert!((normal_cdf(x) + normal_cdf(-x) - 1.0).abs() < 3e-16);
        }
    }
}
