//! Every strike of one expiry at once.
//!
//! A strip holds the strikes of an expiry with what does not change on a tick (ln K, total volatility and its inverse)
//! and, for a new forward, computes the greeks of all of them, or their sum weighted by position. Per strike that is one
//! exponential and two Mills ratios that share a division and φ(d1), because Kφ(d2) = Fφ(d1); calls and puts are folded by
//! parity.
//!
//! Columns lie in blocks of eight lanes; the loop over lanes has no branches and is compiled once for the baseline, once
//! for AVX2 and once for AVX-512 and chosen at run time. Lanes are added up in one fixed order and nothing is fused, so
//! every instruction set returns the same bits. Sums pass over a block whose strikes all lie more than 8.3 deviations
//! away: its deltas are 0 or 1 to the last digit, so an expiry gets cheaper as its gamma turns digital.
//!
//! Total volatility is kept within 1e-9 to 1e3: an expired strip is its payoffs, with half a delta at the strike itself.
//! A strip never grows: its capacity is what it was built with.

mod block;
mod rows;

use multiversion::multiversion;

pub(super) use self::block::{Block, call};
use self::block::{LANES, Lane, place};
pub use self::rows::StripGreeks;
use super::black76::{TOTAL_VOL_MAX, TOTAL_VOL_MIN};
use super::elementary::{LnParts, normal_pdf};
pub use super::exposure::Exposure;

/// The strikes of one expiry and the position in each.
#[derive(Clone, Debug)]
pub struct Strip {
    blocks: Box<[Block]>,
    sigmas: Box<[f64]>,
    puts: Box<[f64]>,
    len: usize,
    years: f64,
    /// Σ puts and Σ puts × K, for parity.
    put_sum: f64,
    put_strike_sum: f64,
}

impl Strip {
    /// An empty strip with room for `capacity` strikes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            blocks: vec![Block::EMPTY; capacity.div_ceil(LANES)].into_boxed_slice(),
            sigmas: vec![0.0; capacity].into_boxed_slice(),
            puts: vec![0.0; capacity].into_boxed_slice(),
            len: 0,
            years: 0.0,
            put_sum: 0.0,
            put_strike_sum: 0.0,
        }
    }

    /// Adds a strike and returns its index; `None` when the strip is full or the strike is not positive and finite. It
    /// counts as expired until it has a volatility and the strip a time.
    pub fn push(&mut self, strike: f64) -> Option<usize> {
        if self.len == self.sigmas.len() || !(strike > 0.0 && strike < f64::INFINITY) {
            return None;
        }
        let index = self.len;
        self.len += 1;
        self.place(index, strike);
        self.refresh(index);
        Some(index)
    }

    /// Number of strikes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no strike.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Strikes it has room for.
    pub fn capacity(&self) -> usize {
        self.sigmas.len()
    }

    /// Removes every strike and position.
    pub fn clear(&mut self) {
        self.blocks.fill(Block::EMPTY);
        self.sigmas.fill(0.0);
        self.puts.fill(0.0);
        self.len = 0;
        self.put_sum = 0.0;
        self.put_strike_sum = 0.0;
    }

    /// The strike at an index.
    pub fn strike(&self, index: usize) -> f64 {
        assert!(index < self.len);
        self.blocks[index / LANES].strike[index % LANES]
    }

    /// The volatility at an index.
    pub fn sigma(&self, index: usize) -> f64 {
        assert!(index < self.len);
        self.sigmas[index]
    }

    /// Time to expiry in years.
    pub fn years(&self) -> f64 {
        self.years
    }

    /// Sets a strike's volatility, per √year as a fraction. Zero, negative or NaN: the option is its payoff.
    pub fn set_vol(&mut self, index: usize, sigma: f64) {
        assert!(index < self.len);
        self.sigmas[index] = sigma;
        self.refresh(index);
    }

    /// Sets the slope ∂σ/∂ln K of the smile at a strike, for [`Exposure::skew`]; zero until set.
    pub fn set_smile_slope(&mut self, index: usize, slope: f64) {
        assert!(index < self.len);
        self.blocks[index / LANES].slope[index % LANES] = slope;
    }

    /// Sets the time to expiry of all strikes. Zero, negative or NaN: options are their payoffs.
    pub fn set_time(&mut self, years: f64) {
        self.years = years;
        let root_years = root(years);
        for (block, sigmas) in self.blocks.iter_mut().zip(self.sigmas[..self.len].chunks(LANES)) {
            for (lane, &sigma) in sigmas.iter().enumerate() {
                block.set(lane, sigma, root_years);
            }
            block.set_limits(sigmas.len());
        }
    }

    /// Sets the position at a strike: calls and puts, in coins of amount (lots times lot size), signed.
    pub fn set_position(&mut self, index: usize, calls: f64, puts: f64) {
        assert!(index < self.len);
        self.blocks[index / LANES].position[index % LANES] = calls + puts;
        if self.puts[index] == puts {
            return;
        }
        self.puts[index] = puts;
        // Afresh rather than by difference: the sums then do not depend on history.
        (self.put_sum, self.put_strike_sum) = (0.0, 0.0);
        for i in 0..self.len {
            self.put_sum += self.puts[i];
            self.put_strike_sum += self.puts[i] * self.blocks[i / LANES].strike[i % LANES];
        }
    }

    /// The positions' greeks at a forward, summed. A forward that is not positive and finite gives zeros.
    pub fn exposure(&self, forward: f64) -> Exposure {
        if !(forward > 0.0 && forward < f64::INFINITY) {
            return Exposure::default();
        }
        let [delta, coin_delta, gamma, vega, theta, vanna, volga, skew] =
            sum_blocks(self.blocks(), forward, LnParts::of(forward));
        let (delta, coin_delta) = (delta - self.put_sum, coin_delta - self.put_strike_sum / forward);
        Exposure { value: delta - coin_delta, delta, coin_delta, gamma, vega, theta, vanna, volga, skew }
    }

    /// Change of [`Exposure::skew`] per unit of ln F at a forward, volatilities as they are.
    pub fn skew_slope(&self, forward: f64) -> f64 {
        if !(forward > 0.0 && forward < f64::INFINITY) {
            return 0.0;
        }
        sum_skew_slopes(self.blocks(), LnParts::of(forward))
    }

    /// The blocks in use; lanes beyond the last strike hold an option of no weight.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks[..self.len.div_ceil(LANES)]
    }

    /// Least and largest σ√T, within the limits that they are kept in.
    pub fn total_vol_range(&self) -> (f64, f64) {
        let (mut least, mut most) = (TOTAL_VOL_MAX, TOTAL_VOL_MIN);
        for i in 0..self.len {
            let s = self.blocks[i / LANES].total_vol[i % LANES];
            least = if s < least { s } else { least };
            most = if s > most { s } else { most };
        }
        (least, most)
    }

    fn place(&mut self, index: usize, strike: f64) {
        let (block, lane) = (&mut self.blocks[index / LANES], index % LANES);
        let ln = LnParts::of(strike);
        block.strike[lane] = strike;
        block.ln_coarse[lane] = ln.coarse;
        block.ln_fine[lane] = ln.fine;
    }

    /// Recomputes what depends on a strike's volatility and time.
    fn refresh(&mut self, index: usize) {
        let first = index - index % LANES;
        let lanes = LANES.min(self.len - first);
        let block = &mut self.blocks[index / LANES];
        block.set(index % LANES, self.sigmas[index], root(self.years));
        block.set_limits(lanes);
    }
}

/// √years, zero for a time that has passed.
fn root(years: f64) -> f64 {
    if years > 0.0 { years.sqrt() } else { 0.0 }
}

/// Greeks of which positions are summed: delta, coin delta, gamma, vega, theta, vanna, volga, skew.
type Sums = [f64; 8];

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn sum_blocks(blocks: &[Block], forward: f64, ln_forward: LnParts) -> Sums {
    sum_blocks_portable(blocks, forward, ln_forward)
}

#[inline(always)]
fn sum_blocks_portable(blocks: &[Block], forward: f64, ln_forward: LnParts) -> Sums {
    let (inv_forward, near) = (1.0 / forward, ln_forward.value());
    let mut sums = [[0.0; LANES]; 8];
    for block in blocks {
        let [delta, coin_delta, gamma, vega, theta, vanna, volga, skew] = &mut sums;
        if near < block.reach.0 {
            continue;
        }
        if near > block.reach.1 {
            for lane in 0..LANES {
                delta[lane] += block.position[lane];
                coin_delta[lane] += block.position[lane] * (block.strike[lane] * inv_forward);
            }
            continue;
        }
        for lane in 0..LANES {
            let call = call(block, lane, inv_forward, ln_forward);
            let q = block.position[lane];
            let bell = q * call.density;
            let bell_vega = bell * block.vega_factor[lane];
            let slide = call.d2 * block.inv_sigma[lane];
            delta[lane] += q * call.delta;
            coin_delta[lane] += q * call.coin_delta;
            gamma[lane] += bell * block.gamma_factor[lane];
            vega[lane] += bell_vega;
            theta[lane] += bell * block.theta_factor[lane];
            vanna[lane] -= bell * slide;
            volga[lane] += bell_vega * call.d1 * slide;
            skew[lane] += bell_vega * block.slope[lane];
        }
    }
    sums.map(|lanes| total(&lanes))
}

/// φ(d1) falls by d1/s of itself as ln F rises.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn sum_skew_slopes(blocks: &[Block], ln_forward: LnParts) -> f64 {
    let mut sums = [0.0; LANES];
    for block in blocks {
        for (lane, sum) in sums.iter_mut().enumerate() {
            let (d1, _) = place(block, lane, ln_forward);
            let skew = block.position[lane] * block.vega_factor[lane] * block.slope[lane] * normal_pdf(d1);
            *sum -= skew * d1 * block.inv_total_vol[lane];
        }
    }
    total(&sums)
}

/// The sum of the lanes in one fixed order.
#[inline(always)]
fn total(lanes: &Lane) -> f64 {
    ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::OptionKind::{Call, Put};
    use crate::pricing::black76::Greeks;
    use crate::pricing::elementary::exp;
    use proptest::prelude::*;

    fn strip(years: f64, options: &[(f64, f64, f64, f64)]) -> Strip {
        let mut strip = Strip::with_capacity(options.len());
        for &(strike, sigma, calls, puts) in options {
            let index = strip.push(strike).unwrap();
            strip.set_vol(index, sigma);
            strip.set_position(index, calls, puts);
        }
        strip.set_time(years);
        strip
    }

    #[test]
    fn the_change_of_skew_is_its_finite_difference() {
        let mut strip = strip(0.1, &[(90.0, 0.7, 3.0, 0.0), (100.0, 0.6, -2.0, 1.0), (115.0, 0.65, 0.0, 4.0)]);
        for (index, slope) in [-0.4, -0.2, 0.3].into_iter().enumerate() {
            strip.set_smile_slope(index, slope);
        }
        for forward in [80.0, 100.0, 112.0] {
            let skew = |by: f64| strip.exposure(forward * exp(by)).skew;
            let difference = (skew(1e-4) - skew(-1e-4)) / 2e-4;
            assert!((strip.skew_slope(forward) - difference).abs() < 1e-6, "{forward}: {difference}");
        }
        assert_eq!((strip.skew_slope(0.0), strip.skew_slope(f64::NAN)), (0.0, 0.0));
    }

    #[test]
    fn a_full_strip_and_absurd_strikes_are_refused() {
        let mut strip = Strip::with_capacity(2);
        assert_eq!(strip.push(f64::NAN), None);
        assert_eq!(strip.push(0.0), None);
        assert_eq!((strip.push(1.0), strip.push(2.0), strip.push(3.0)), (Some(0), Some(1), None));
        strip.clear();
        assert!(strip.is_empty());
        assert_eq!(strip.push(4.0), Some(0));
    }

    #[test]
    fn an_expired_strip_is_its_payoffs() {
        let strip = strip(0.0, &[(90.0, 0.5, 2.0, 3.0), (110.0, 0.5, 2.0, 3.0)]);
        let exposure = strip.exposure(100.0);
        assert!((exposure.delta - (2.0 - 3.0)).abs() < 1e-15);
        assert!((exposure.value - (2.0 * 10.0 + 3.0 * 10.0) / 100.0).abs() < 1e-12);
        assert_eq!((exposure.gamma, exposure.vega, exposure.theta, exposure.vanna), (0.0, 0.0, 0.0, 0.0));
        assert_eq!(strip.exposure(f64::NAN), Exposure::default());
        assert_eq!(strip.exposure(0.0), Exposure::default());
    }

    #[test]
    fn far_strikes_are_worthless_or_exercised_to_the_last_digit() {
        let options: Vec<_> = (0..96).map(|i| 50.0 + f64::from(i)).map(|k| (k, 0.5, 2.0 - 0.01 * k, 0.3)).collect();
        let strip = strip(1e-4, &options);
        let near = |block: &&Block| (block.reach.0..=block.reach.1).contains(&LnParts::of(100.0).value());
        assert_eq!((strip.blocks().len(), strip.blocks().iter().filter(near).count()), (12, 2));
        let sums = strip.exposure(100.0);
        let mut naive = Exposure::default();
        for &(strike, sigma, calls, puts) in &options {
            for (kind, q) in [(Call, calls), (Put, puts)] {
                let one = Greeks::new(kind, 100.0, strike, sigma, 1e-4);
                naive.delta += q * one.delta;
                naive.coin_delta += q * one.in_coin(100.0).delta;
                naive.gamma += q * one.gamma * 100.0;
            }
        }
        assert!((sums.delta - naive.delta).abs() < 1e-12, "{sums:?} {naive:?}");
        assert!((sums.coin_delta - naive.coin_delta).abs() < 1e-12);
        assert!((sums.gamma / naive.gamma - 1.0).abs() < 1e-12);
    }

    #[test]
    fn every_instruction_set_returns_the_same_bits() {
        #[multiversion(targets("x86_64+avx2"))]
        fn sum_blocks_avx2(blocks: &[Block], forward: f64, ln_forward: LnParts) -> Sums {
            sum_blocks_portable(blocks, forward, ln_forward)
        }
        let options: Vec<_> = (0..61)
            .map(|i| (20_000.0 + 1_700.0 * f64::from(i), f64::from(i)))
            .map(|(strike, i)| (strike, 0.3 + 0.017 * i, 1.0 - 0.3 * i, 0.1 * i))
            .collect();
        let bits = |sums: Sums| sums.map(f64::to_bits);
        for years in [0.0, 2e-5, 0.003, 0.08, 1.9] {
            let strip = strip(years, &options);
            for forward in [19_000.0, 64_123.456_7, 250_000.0] {
                let ln = LnParts::of(forward);
                let plain = bits(sum_blocks_portable(strip.blocks(), forward, ln));
                assert_eq!(plain, bits(sum_blocks_avx2(strip.blocks(), forward, ln)));
                assert_eq!(plain, bits(sum_blocks(strip.blocks(), forward, ln)));
            }
        }
    }

    proptest! {
        #[test]
        fn a_strip_equals_its_options_one_by_one(
            options in prop::collection::vec((0.2..5.0f64, 0.2..3.0f64, -9.0..9.0f64, -9.0..9.0f64), 1..40),
            years in 2e-5..2.0f64,
        ) {
            let strip = strip(years, &options);
            let mut rows = StripGreeks::with_capacity(options.len());
            strip.greeks_into(1.25, &mut rows);
            let mut naive = Exposure::default();
            for (i, &(strike, sigma, calls, puts)) in options.iter().enumerate() {
                for (kind, q) in [(Call, calls), (Put, puts)] {
                    let one = Greeks::new(kind, 1.25, strike, sigma, years);
                    let row = rows.at(i, kind);
                    prop_assert!((row.price / one.price - 1.0).abs() < 1e-12 || one.price < 1e-100, "{row:?} {one:?}");
                    prop_assert!((row.delta - one.delta).abs() < 1e-14);
                    prop_assert!((row.volga - one.volga).abs() <= 1e-11 * one.volga.abs() + 1e-14);
                    naive.value += q * one.price / 1.25;
                    naive.delta += q * one.delta;
                    naive.coin_delta += q * one.in_coin(1.25).delta;
                    naive.gamma += q * one.gamma * 1.25;
                    naive.vega += q * one.vega / 1.25;
                    naive.theta += q * one.theta / 1.25;
                    naive.vanna += q * one.vanna;
                    naive.volga += q * one.volga / 1.25;
                }
            }
            let sums = strip.exposure(1.25);
            let gross: f64 = options.iter().map(|o| (o.2.abs() + o.3.abs()) * (1.0 + o.0)).sum();
            prop_assert!((sums.value - naive.value).abs() < 1e-14 * gross);
            prop_assert!((sums.delta - naive.delta).abs() < 1e-14 * gross);
            prop_assert!((sums.coin_delta - naive.coin_delta).abs() < 1e-14 * gross);
            prop_assert!((sums.gamma - naive.gamma).abs() < 1e-11 * gross);
            prop_assert!((sums.vega - naive.vega).abs() < 1e-14 * gross);
            prop_assert!((sums.theta - naive.theta).abs() < 1e-10 * gross);
            prop_assert!((sums.vanna - naive.vanna).abs() < 1e-13 * gross);
            prop_assert!((sums.volga - naive.volga).abs() < 1e-13 * gross);
        }
    }
}
