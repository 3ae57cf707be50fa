//! What is held of an underlying's volatility, expiry by expiry, and where its smiles stand.
//!
//! In: the greeks' surveys, fills, time. Out: exposures by maturity bucket and smoothed levels. Between two surveys of an
//! expiry its exposure follows the fills seen here, lot by lot, so it is that of the positions at every point of the
//! stream. What is held is told whole or not at all: not before every expiry that holds options was surveyed, nor when one
//! was not for too long, nor after a fill of unknown greeks until the survey that includes it.

use arrayvec::ArrayVec;

use super::factors::{BUCKETS, Unit, bucket_of};
use crate::event::{Body, JUMPS};
use crate::units::Nanos;

/// Expiries of an underlying at most; while those beyond are held, what is held is not told.
const EXPIRIES_MAX: usize = 40;
/// How long the level of a smile is averaged over.
const SMOOTHING_NS: u64 = 5 * Nanos::PER_SECOND;
/// Age beyond which a survey says nothing.
const AGE_MAX_NS: u64 = 10 * Nanos::PER_SECOND;

/// No book holds so many coins of anything; not a number is not less.
const COINS_MAX: f64 = 1e9;

/// One expiry, as last told and by fills since.
#[derive(Clone, Copy, Debug)]
struct Expiry {
    expiry_s: u32,
    is_held: bool,
    vega: f64,
    skew: f64,
    log_gamma: f64,
    vanna: f64,
    sigma: f64,
    slope: f64,
    /// Gains in jumps.
    jumps: [f64; JUMPS],
    told: Nanos,
}

/// What is held of volatility, coins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Held {
    /// Change of value per 1.00 of volatility, by maturity bucket.
    pub(super) vega: [f64; BUCKETS],
    /// Change of value per 1.00 of slope.
    pub(super) skew: f64,
    /// Gains in jumps, delta hedged.
    pub(super) jumps: [f64; JUMPS],
}

/// One option that stands for a book, for bands that ask for its volatility and time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Typical {
    /// Volatility, weighted by gamma.
    pub(super) sigma: f64,
    /// Years to expiry, weighted by gamma.
    pub(super) years: f64,
    /// Change of delta per 1.00 of volatility over the whole book, coins.
    pub(super) vanna: f64,
}

/// The expiries of one underlying.
#[derive(Clone, Debug, Default)]
pub(super) struct Volatility {
    expiries: ArrayVec<Expiry, EXPIRIES_MAX>,
}

impl Volatility {
    /// Takes in a survey.
    pub(super) fn see(&mut self, body: &Body, now: Nanos) {
        if let Body::Jumps { expiry_s, gains, .. } = *body {
            if let Some(known) = self.expiries.iter_mut().find(|expiry| expiry.expiry_s == expiry_s) {
                known.jumps = gains.map(f64::from);
            }
            return;
        }
        let Body::Smile { expiry_s, is_held, vega, skew, log_gamma, vanna, sigma, slope, .. } = *body else { return };
        let [vega, skew, log_gamma, vanna, sigma, slope] = [vega, skew, log_gamma, vanna, sigma, slope].map(f64::from);
        let jumps = [0.0; JUMPS];
        let fresh = Expiry { expiry_s, is_held, vega, skew, log_gamma, vanna, sigma, slope, jumps, told: now };
        self.expiries.retain(|expiry| Nanos::from_secs(expiry.expiry_s) > now);
        match self.expiries.iter_mut().find(|expiry| expiry.expiry_s == expiry_s) {
            Some(known) => {
                let passed = now.since(known.told) as f64;
                let weight = passed / (passed + SMOOTHING_NS as f64);
                let toward = |from: f64, to: f64| from + weight * (to - from);
                let (sigma, slope) = (toward(known.sigma, sigma), toward(known.slope, slope));
                *known = Expiry { sigma, slope, jumps: known.jumps, ..fresh };
            }
            // Without room it is not known, and missed among those that are held.
            None => drop(self.expiries.try_push(fresh)),
        }
    }

    /// Takes in an execution in an option of an expiry. Where its greeks are not known, nor is what is held of the expiry.
    pub(super) fn fill(&mut self, expiry_s: u32, lots: f64, unit: Option<&Unit>) {
        if let Some(known) = self.expiries.iter_mut().find(|expiry| expiry.expiry_s == expiry_s) {
            known.is_held = true;
            known.vega += unit.map_or(f64::NAN, |unit| lots * unit.vega);
            known.skew += unit.map_or(f64::NAN, |unit| lots * unit.skew);
            known.log_gamma += unit.map_or(0.0, |unit| lots * unit.log_gamma);
            for (at, gain) in known.jumps.iter_mut().enumerate() {
                *gain += unit.map_or(0.0, |unit| lots * unit.jumps[at]);
            }
        }
    }

    /// What is held in `expiries` expiries; `None` while one of them was not surveyed, or was not for too long.
    pub(super) fn held(&self, expiries: u8, now: Nanos) -> Option<Held> {
        let mut held = Held::default();
        if self.alive(now).filter(|expiry| expiry.is_held).count() < usize::from(expiries) {
            return None;
        }
        for expiry in self.alive(now).filter(|expiry| expiry.is_held) {
            let is_small = |coins: &f64| coins.abs() < COINS_MAX;
            let is_sane = is_small(&expiry.vega) && is_small(&expiry.skew) && expiry.jumps.iter().all(is_small);
            if !is_sane || now.since(expiry.told) > AGE_MAX_NS {
                return None;
            }
            held.vega[bucket_of(expiry.expiry_s, now)] += expiry.vega;
            held.skew += expiry.skew;
            for (sum, gain) in held.jumps.iter_mut().zip(&expiry.jumps) {
                *sum += gain;
            }
        }
        Some(held)
    }

    /// Smoothed volatility of each bucket that has an expiry, and the mean slope.
    pub(super) fn levels(&self, now: Nanos) -> ([Option<f64>; BUCKETS], f64) {
        let (mut sums, mut slopes, mut count) = ([(0.0, 0.0); BUCKETS], 0.0, 0.0);
        for expiry in self.alive(now).filter(|expiry| expiry.sigma > 0.0 && expiry.slope.is_finite()) {
            let sum = &mut sums[bucket_of(expiry.expiry_s, now)];
            (sum.0, sum.1) = (sum.0 + expiry.sigma, sum.1 + 1.0);
            (slopes, count) = (slopes + expiry.slope, count + 1.0);
        }
        let mean = |(sum, count): (f64, f64)| (count > 0.0).then(|| sum / count);
        (sums.map(mean), mean((slopes, count)).unwrap_or_default())
    }

    /// The one option that stands for all; `None` without gamma.
    pub(super) fn typical(&self, now: Nanos) -> Option<Typical> {
        let (mut weight, mut sigma, mut years, mut vanna) = (0.0, 0.0, 0.0, 0.0);
        for expiry in self.alive(now) {
            let gamma = expiry.log_gamma.abs();
            weight += gamma;
            sigma += gamma * expiry.sigma;
            years += gamma * now.years_until(Nanos::from_secs(expiry.expiry_s));
            vanna += expiry.vanna;
        }
        let is_usable = weight > 0.0 && (sigma + years + vanna).is_finite();
        is_usable.then(|| Typical { sigma: sigma / weight, years: years / weight, vanna })
    }

    fn alive(&self, now: Nanos) -> impl Iterator<Item = &Expiry> {
        self.expiries.iter().filter(move |expiry| Nanos::from_secs(expiry.expiry_s) > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::UnderlyingId;

    const NOW: Nanos = Nanos::from_secs(1_000_000);
    const EXPIRY_S: u32 = 1_000_000 + 30 * 86_400;

    fn survey(expiry_s: u32, vega: f32, sigma: f32) -> Body {
        let underlying = UnderlyingId(0);
        let is_held = true;
        Body::Smile {
            underlying,
            expiry_s,
            is_held,
            vega,
            skew: 0.5 * vega,
            log_gamma: -2.0,
            vanna: 3.0,
            sigma,
            slope: -0.1,
        }
    }

    fn jumps(expiry_s: u32, gain: f32) -> Body {
        Body::Jumps { underlying: UnderlyingId(0), expiry_s, gains: [gain; JUMPS] }
    }

    fn after(seconds: u64) -> Nanos {
        Nanos(NOW.0 + seconds * Nanos::PER_SECOND)
    }

    #[test]
    fn until_every_held_expiry_was_surveyed_and_after_a_silence_nothing_is_told() {
        let mut volatility = Volatility::default();
        assert_eq!(volatility.held(0, NOW), Some(Held::default()));
        assert_eq!(volatility.held(1, NOW), None);
        volatility.see(&survey(EXPIRY_S, 2.0, 0.6), NOW);
        assert_eq!(volatility.held(1, NOW).map(|held| (held.vega[3], held.skew)), Some((2.0, 1.0)));
        assert_eq!(volatility.held(2, NOW), None, "there is another");
        let Body::Smile { underlying, vega, skew, log_gamma, vanna, sigma, slope, .. } = survey(0, 0.0, 0.6) else {
            return;
        };
        let empty = Body::Smile {
            underlying,
            expiry_s: 2 * EXPIRY_S,
            is_held: false,
            vega,
            skew,
            log_gamma,
            vanna,
            sigma,
            slope,
        };
        volatility.see(&empty, NOW);
        assert_eq!(volatility.held(2, NOW), None, "and it is not this one");
        volatility.see(&survey(3 * EXPIRY_S, 1.0, 0.6), after(2));
        assert_eq!(volatility.held(2, after(2)).map(|held| held.vega.iter().sum::<f64>()), Some(3.0));
        assert_eq!(volatility.held(2, after(11)), None);
        volatility.see(&survey(EXPIRY_S, f32::NAN, 0.6), after(11));
        assert_eq!(volatility.held(2, after(11)), None);
        volatility.see(&survey(EXPIRY_S, 1.0, 0.6), after(11));
        assert!(volatility.held(2, after(11)).is_some());
        volatility.see(&jumps(EXPIRY_S, f32::NAN), after(11));
        assert_eq!(volatility.held(2, after(11)), None);
    }

    #[test]
    fn after_a_fill_of_unknown_greeks_nothing_is_told_until_the_survey_that_includes_it() {
        let mut volatility = Volatility::default();
        volatility.see(&survey(EXPIRY_S, 2.0, 0.6), NOW);
        volatility.fill(EXPIRY_S, 1.0, None);
        assert_eq!(volatility.held(1, NOW), None);
        volatility.see(&survey(EXPIRY_S, 3.0, 0.6), NOW);
        assert!(volatility.held(1, NOW).is_some());
    }

    #[test]
    fn a_fill_counts_until_the_survey_that_includes_it() {
        let mut volatility = Volatility::default();
        volatility.see(&survey(EXPIRY_S, 2.0, 0.6), NOW);
        volatility.see(&jumps(EXPIRY_S, 1.0), NOW);
        volatility.fill(
            EXPIRY_S,
            -3.0,
            Some(&Unit { delta: 0.1, log_gamma: 0.2, vega: 0.5, skew: 0.1, jumps: [0.25; JUMPS] }),
        );
        let held = volatility.held(1, after(2)).unwrap();
        assert_eq!((held.vega[3], held.jumps), (0.5, [0.25; JUMPS]));
        volatility.see(&survey(EXPIRY_S, 0.5, 0.6), after(2));
        volatility.see(&jumps(EXPIRY_S, 0.25), after(2));
        let held = volatility.held(1, after(2)).unwrap();
        assert_eq!((held.vega[3], held.jumps), (0.5, [0.25; JUMPS]));
    }

    #[test]
    fn levels_are_smooth_and_what_expired_is_gone() {
        let mut volatility = Volatility::default();
        volatility.see(&survey(EXPIRY_S, 2.0, 0.6), NOW);
        volatility.see(&survey(EXPIRY_S, 2.0, 0.8), after(5));
        let (levels, _) = volatility.levels(after(5));
        assert!((levels[3].unwrap() - 0.7).abs() < 1e-6, "{levels:?}");
        assert!((volatility.typical(after(5)).unwrap().vanna - 3.0).abs() < 1e-6);
        let expired = Nanos::from_secs(EXPIRY_S);
        assert_eq!((volatility.levels(expired).0, volatility.typical(expired)), ([None; BUCKETS], None));
    }
}
