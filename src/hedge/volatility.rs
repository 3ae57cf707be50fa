//! What is held of an underlying's volatility, expiry by expiry, and where its smiles stand.
//!
//! In: the greeks' surveys, fills, time. Out: exposures by maturity bucket and smoothed levels. Between two surveys of an
//! expiry its exposure follows the fills seen here, lot by lot, so it is that of the positions at every point of the
//! stream. An exposure that was not surveyed for too long is not told.

use arrayvec::ArrayVec;

use super::factors::{BUCKETS, Unit, bucket_of};
use crate::event::Body;
use crate::units::Nanos;

/// Expiries of an underlying at most; those beyond are not followed, and make what is known incomplete.
const EXPIRIES_MAX: usize = 40;
/// How long the level of a smile is averaged over.
const SMOOTHING_NS: u64 = 5 * Nanos::PER_SECOND;
/// Time from the first survey until every expiry counts as surveyed.
const ROUND_NS: u64 = Nanos::PER_SECOND;
/// Age beyond which a survey says nothing.
const AGE_MAX_NS: u64 = 10 * Nanos::PER_SECOND;

/// No book holds so many coins of anything; not a number is not less.
const COINS_MAX: f64 = 1e9;

/// One expiry, as last told and by fills since.
#[derive(Clone, Copy, Debug)]
struct Expiry {
    expiry_s: u32,
    vega: f64,
    skew: f64,
    log_gamma: f64,
    vanna: f64,
    sigma: f64,
    slope: f64,
    told: Nanos,
}

/// What is held of volatility, coins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Held {
    /// Change of value per 1.00 of volatility, by maturity bucket.
    pub(super) vega: [f64; BUCKETS],
    /// Change of value per 1.00 of slope.
    pub(super) skew: f64,
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
    first_told: Option<Nanos>,
    is_incomplete: bool,
}

impl Volatility {
    /// Takes in a survey.
    pub(super) fn see(&mut self, body: &Body, now: Nanos) {
        let Body::Smile { expiry_s, vega, skew, log_gamma, vanna, sigma, slope, .. } = *body else { return };
        self.first_told.get_or_insert(now);
        let [vega, skew, log_gamma, vanna, sigma, slope] = [vega, skew, log_gamma, vanna, sigma, slope].map(f64::from);
        let fresh = Expiry { expiry_s, vega, skew, log_gamma, vanna, sigma, slope, told: now };
        self.expiries.retain(|expiry| Nanos::from_secs(expiry.expiry_s) > now);
        match self.expiries.iter_mut().find(|expiry| expiry.expiry_s == expiry_s) {
            Some(known) => {
                let passed = now.since(known.told) as f64;
                let weight = passed / (passed + SMOOTHING_NS as f64);
                let toward = |from: f64, to: f64| from + weight * (to - from);
                *known = Expiry { sigma: toward(known.sigma, sigma), slope: toward(known.slope, slope), ..fresh };
            }
            None => self.is_incomplete |= self.expiries.try_push(fresh).is_err(),
        }
    }

    /// Takes in an execution in an option of an expiry.
    pub(super) fn fill(&mut self, expiry_s: u32, lots: f64, unit: &Unit) {
        if let Some(known) = self.expiries.iter_mut().find(|expiry| expiry.expiry_s == expiry_s) {
            known.vega += lots * unit.vega;
            known.skew += lots * unit.skew;
            known.log_gamma += lots * unit.log_gamma;
        }
    }

    /// What is held; `None` while an expiry may not have been surveyed, or was not for too long.
    pub(super) fn held(&self, now: Nanos) -> Option<Held> {
        let is_settled = self.first_told.is_some_and(|first| now.since(first) >= ROUND_NS);
        if !is_settled || self.is_incomplete {
            return None;
        }
        let mut held = Held::default();
        for expiry in self.alive(now) {
            let is_sane = expiry.vega.abs() < COINS_MAX && expiry.skew.abs() < COINS_MAX;
            if !is_sane || now.since(expiry.told) > AGE_MAX_NS {
                return None;
            }
            held.vega[bucket_of(expiry.expiry_s, now)] += expiry.vega;
            held.skew += expiry.skew;
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
        Body::Smile { underlying, expiry_s, vega, skew: 0.5 * vega, log_gamma: -2.0, vanna: 3.0, sigma, slope: -0.1 }
    }

    fn after(seconds: u64) -> Nanos {
        Nanos(NOW.0 + seconds * Nanos::PER_SECOND)
    }

    #[test]
    fn until_a_round_is_over_and_after_a_silence_nothing_is_told() {
        let mut volatility = Volatility::default();
        assert_eq!(volatility.held(NOW), None);
        volatility.see(&survey(EXPIRY_S, 2.0, 0.6), NOW);
        assert_eq!(volatility.held(NOW), None);
        assert_eq!(volatility.held(after(2)).map(|held| (held.vega[3], held.skew)), Some((2.0, 1.0)));
        assert_eq!(volatility.held(after(11)), None);
        volatility.see(&survey(EXPIRY_S, f32::NAN, 0.6), after(12));
        assert_eq!(volatility.held(after(12)), None);
    }

    #[test]
    fn a_fill_counts_until_the_survey_that_includes_it() {
        let mut volatility = Volatility::default();
        volatility.see(&survey(EXPIRY_S, 2.0, 0.6), NOW);
        volatility.fill(EXPIRY_S, -3.0, &Unit { delta: 0.1, log_gamma: 0.2, vega: 0.5, skew: 0.1 });
        assert_eq!(volatility.held(after(2)).unwrap().vega[3], 0.5);
        volatility.see(&survey(EXPIRY_S, 0.5, 0.6), after(2));
        assert_eq!(volatility.held(after(2)).unwrap().vega[3], 0.5);
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
