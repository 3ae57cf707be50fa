//! The fit of one expiry: its forward, then a volatility for each of its options.

use arrayvec::ArrayVec;

use super::chain::Slice;
use super::svi::{self, POINTS_MAX, Point, Points, Sooner, Svi};
use super::{SETTLEMENT_NS, Surface};
use crate::event::{Body, Event};
use crate::instrument::OptionKind;
use crate::pricing::elementary::{ln_ratio, normal_pdf};
use crate::pricing::implied_vol::{implied_vol_coin, implied_vol_near};
use crate::pricing::settlement::{WINDOW_YEARS, variance_years};
use crate::stage::{Full, Outbox};
use crate::units::{Nanos, Price};

/// Changes of a forward ratio up to this share may be no more than ticks,
const RATIO_JITTER: f64 = 1e-4;
/// and count with this weight against what is known.
const RATIO_NEWS: f64 = 0.1;
/// Put–call pairs nearest to the money of which the median is taken.
const PAIRS_MAX: usize = 7;
/// Forwards outside this range of spot are nonsense.
const RATIO_SANE: std::ops::RangeInclusive<f64> = 0.5..=2.0;
/// Volatilities outside this range are nonsense.
const SIGMA_SANE: std::ops::RangeInclusive<f64> = 0.01..=10.0;
/// A total variance further than this from the last smile, relatively, is an outlier,
const OUTLYING: f64 = 0.5;
/// as long as it is one in so many; else the smile has moved.
const OUTLIERS_ONE_IN: usize = 5;
/// Two successive fits this close, relatively, confirm a jump.
const JUMP_CONFIRMED: f64 = 0.1;

/// Where a price comes from; the venue's mark is preferred while it is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Source {
    Mark,
    Mid,
}

/// A price and the spot at the moment it came.
#[derive(Clone, Copy, Debug, Default)]
struct Quoted {
    price: f64,
    spot: f64,
    time: Nanos,
}

/// What is known of one option or dated future.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quote {
    /// `None` for a future.
    option: Option<OptionKind>,
    inverse: bool,
    strike: f64,
    /// By [`Source`].
    quoted: [Quoted; 2],
    /// Accepted volatility, zero until known.
    pub(super) sigma: f64,
    /// Whether it came from a price of this strike.
    is_own: bool,
    /// Slope of the smile at this strike, zero until there is one.
    slope: f64,
    /// A jump that has to show again, or zero.
    suspect: f64,
    confirmed_at: Nanos,
    sent_sigma: f64,
    sent_slope: f64,
    sent_at: Nanos,
}

impl Quote {
    pub(super) fn new(option: Option<OptionKind>, inverse: bool, strike: Price) -> Self {
        Self { option, inverse, strike: strike.to_f64(), ..Self::default() }
    }

    pub(super) fn store(&mut self, source: Source, price: f64, spot: f64, time: Nanos) {
        self.quoted[source as usize] = Quoted { price, spot, time };
    }

    pub(super) fn forget(&mut self, source: Source) {
        self.quoted[source as usize] = Quoted::default();
    }

    fn best(&self, now: Nanos, age_max_ns: u64) -> Option<Quoted> {
        self.quoted.into_iter().find(|q| q.price > 0.0 && now.since(q.time) <= age_max_ns)
    }

    /// The volatility that gives the quoted price at the forward of its moment.
    fn invert(&self, quoted: Quoted, ratio: f64, years: f64) -> Option<f64> {
        let (kind, forward) = (self.option?, ratio * quoted.spot);
        let invert = if self.inverse { implied_vol_coin } else { implied_vol_near };
        invert(kind, quoted.price, forward, self.strike, years, self.sigma).filter(|sigma| SIGMA_SANE.contains(sigma))
    }

    fn is_out_of_the_money(&self, forward: f64) -> bool {
        match self.option {
            Some(OptionKind::Call) => self.strike >= forward,
            Some(OptionKind::Put) => self.strike < forward,
            None => false,
        }
    }
}

/// What is known of one expiry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expiry {
    /// Forward over spot, zero until known.
    pub(super) ratio: f64,
    /// Whether the ratio comes from this expiry's own prices.
    is_direct: bool,
    confirmed_at: Nanos,
    sent_ratio: f64,
    sent_at: Nanos,
    /// New prices since the last fit.
    pub(super) is_dirty: bool,
    /// When the first price came.
    pub(super) since: Nanos,
    /// The last smile free of arbitrage, the range of k it was fitted on and when, and when a cold fit was last tried.
    pub(super) smile: Option<Svi>,
    range: (f64, f64),
    smile_at: Nanos,
    cold_at: Nanos,
    /// Last fit, or the first price before that.
    pub(super) fitted_at: Nanos,
    /// A fit whose results were not all sent.
    pub(super) unsent: bool,
}

impl Surface {
    pub(super) fn fit(&mut self, slice: usize) {
        let expiry = self.chain.slice_mut(slice);
        expiry.is_dirty = false;
        expiry.fitted_at = self.now;
        self.counters.fits += 1;
        let expiry = Nanos::from_secs(self.chain.slices()[slice].expiry_s);
        if expiry.since(self.now) < SETTLEMENT_NS {
            self.confirm(slice);
        } else if self.fit_forward(slice) {
            let years = variance_years(self.now.years_until(expiry), WINDOW_YEARS);
            self.fit_volatilities(slice, years);
            let forward = self.forward_now(slice);
            self.fit_smile(slice, forward, years);
            self.borrow(slice, forward, years);
        } else {
            return;
        }
        self.chain.slice_mut(slice).unsent = true;
        self.unsent = true;
    }

    /// Forward of an expiry at the spot of this moment.
    fn forward_now(&self, slice: usize) -> f64 {
        let own = &self.chain.slices()[slice];
        own.data.ratio * self.spots.spot(own.underlying, self.now, self.config.index_age_max_ns).0.to_f64()
    }

    /// Lets what is known stand as it is.
    fn confirm(&mut self, slice: usize) {
        self.chain.slice_mut(slice).confirmed_at = self.now;
        for row in self.chain.slices()[slice].range() {
            self.chain.row_mut(row).confirmed_at = self.now;
        }
    }

    /// False when there is no forward, not even an old one.
    fn fit_forward(&mut self, slice: usize) -> bool {
        let direct = self.ratio_of_future(slice).or_else(|| self.ratio_by_parity(slice));
        let found = direct.or_else(|| self.ratio_by_carry(slice));
        let now = self.now;
        let expiry = self.chain.slice_mut(slice);
        match found.filter(|ratio| RATIO_SANE.contains(ratio)) {
            Some(ratio) => {
                // Spot and forward are quoted in ticks, so their ratio jitters: news is averaged in, a real move taken whole.
                let jitters = expiry.is_direct == direct.is_some() && (ratio / expiry.ratio - 1.0).abs() < RATIO_JITTER;
                expiry.ratio = if jitters { expiry.ratio + RATIO_NEWS * (ratio - expiry.ratio) } else { ratio };
                (expiry.is_direct, expiry.confirmed_at) = (direct.is_some(), now);
            }
            None => self.counters.forwards_refused += u64::from(found.is_some()),
        }
        self.chain.slices()[slice].data.ratio > 0.0
    }

    fn ratio_of_future(&self, slice: usize) -> Option<f64> {
        let rows = &self.chain.rows()[self.chain.slices()[slice].range()];
        let mut futures = rows.iter().filter(|row| row.data.option.is_none());
        futures.find_map(|row| row.data.best(self.now, self.config.price_age_max_ns)).map(|q| q.price / q.spot)
    }

    fn ratio_by_parity(&self, slice: usize) -> Option<f64> {
        let rows = &self.chain.rows()[self.chain.slices()[slice].range()];
        // Nearest to the money first: (distance, ratio).
        let mut pairs = ArrayVec::<(f64, f64), { PAIRS_MAX + 1 }>::new();
        for (a, b) in rows.iter().zip(&rows[1..]) {
            let (call, put) = match (a.data.option, b.data.option) {
                _ if a.key.strike != b.key.strike => continue,
                (Some(OptionKind::Call), Some(OptionKind::Put)) => (&a.data, &b.data),
                (Some(OptionKind::Put), Some(OptionKind::Call)) => (&b.data, &a.data),
                _ => continue,
            };
            let age_max_ns = self.config.price_age_max_ns;
            let (Some(c), Some(p)) = (call.best(self.now, age_max_ns), put.best(self.now, age_max_ns)) else {
                continue;
            };
            let spot = 0.5 * (c.spot + p.spot);
            let gap = c.price - p.price;
            let forward = if call.inverse { call.strike / (1.0 - gap) } else { call.strike + gap };
            let (distance, ratio) = ((call.strike / spot - 1.0).abs(), forward / spot);
            if !RATIO_SANE.contains(&ratio) {
                continue;
            }
            let at = pairs.partition_point(|pair| pair.0 <= distance);
            pairs.insert(at, (distance, ratio));
            pairs.truncate(PAIRS_MAX);
        }
        // Of an even number the farthest has no say: two pairs that disagree are not averaged.
        let odd = pairs.len() - usize::from(pairs.len() % 2 == 0 && !pairs.is_empty());
        let mut ratios: ArrayVec<f64, PAIRS_MAX> = pairs.iter().take(odd).map(|pair| pair.1).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios.get(odd / 2).copied()
    }

    /// Carry linear in time between the neighbours with prices of their own, spot being the one at no time; beyond the
    /// last, its rate. None at all means spot itself, once the expiry has had time to show prices.
    fn ratio_by_carry(&self, slice: usize) -> Option<f64> {
        let own = &self.chain.slices()[slice];
        let years = |expiry_s| self.now.years_until(Nanos::from_secs(expiry_s));
        let at = years(own.expiry_s);
        let (mut before, mut after) = ((0.0, 1.0), None);
        for other in &self.chain.slices()[self.chain.slices_of(own.underlying)] {
            if !other.data.is_direct || other.expiry_s == own.expiry_s {
                continue;
            }
            let point = (years(other.expiry_s), other.data.ratio);
            if other.expiry_s < own.expiry_s {
                before = point;
            } else {
                after = after.or(Some(point));
            }
        }
        match after {
            Some(after) if after.0 > before.0 => {
                Some(before.1 + (after.1 - before.1) * (at - before.0) / (after.0 - before.0))
            }
            _ if before.0 > 0.0 => Some(1.0 + (before.1 - 1.0) * at / before.0),
            _ if self.now.since(own.data.since) >= self.config.patience_ns => Some(1.0),
            _ => None,
        }
    }

    /// One volatility a strike, from its out-of-the-money side if that inverts, else from the other.
    fn fit_volatilities(&mut self, slice: usize, years: f64) {
        let own = self.chain.slices()[slice];
        let (now, age_max_ns, jump) = (self.now, self.config.price_age_max_ns, self.config.sigma_jump);
        let mut range = own.range();
        while let Some(first) = range.next() {
            let strike = self.chain.rows()[first].key.strike;
            let same = self.chain.rows()[range.clone()].iter().take_while(|row| row.key.strike == strike).count();
            range = first + same + 1..range.end;
            let mut best: Option<(bool, f64)> = None;
            for row in first..=first + same {
                let quote = &self.chain.rows()[row].data;
                let Some(quoted) = quote.best(now, age_max_ns).filter(|_| quote.option.is_some()) else { continue };
                let is_out = quote.is_out_of_the_money(own.data.ratio * quoted.spot);
                match quote.invert(quoted, own.data.ratio, years) {
                    Some(sigma) if is_out || best.is_none() => best = Some((is_out, sigma)),
                    Some(_) => {}
                    None => self.counters.inversions_failed += 1,
                }
            }
            let Some((_, sigma)) = best else { continue };
            for row in first..=first + same {
                let quote = self.chain.row_mut(row);
                let is_near = |other: f64, within: f64| (sigma - other).abs() <= within * other;
                if quote.is_own && !is_near(quote.sigma, jump) && !is_near(quote.suspect, JUMP_CONFIRMED) {
                    quote.suspect = sigma;
                    self.counters.jumps_held += 1;
                } else {
                    (quote.sigma, quote.is_own, quote.suspect, quote.confirmed_at) = (sigma, true, 0.0, now);
                }
            }
        }
    }

    /// The smile through the volatilities that came from prices: warm from the last one, else cold now and then. What has
    /// a butterfly, or crosses the smile of the sooner or the later expiry, is refused and the last smile kept.
    fn fit_smile(&mut self, slice: usize, forward: f64, years: f64) {
        let own = self.chain.slices()[slice];
        let points = self.points(&own, forward, years);
        let Some(range) = svi::range(&points) else { return };
        let sooner = slice.checked_sub(1).and_then(|at| self.neighbour(&own, at, range));
        let later = self.neighbour(&own, slice + 1, range);
        let is_free = |svi: &Svi| {
            sooner.is_none_or(|(smile, common)| svi.is_calendar_free(&smile, common))
                && later.is_none_or(|(smile, common)| smile.is_calendar_free(svi, common))
        };
        let warm = own.data.smile.and_then(|smile| smile.refit(&points)).filter(is_free);
        let is_cold_due = own.data.cold_at == Nanos(0) || self.now.since(own.data.cold_at) >= self.config.cold_ns;
        let now = self.now;
        let expiry = self.chain.slice_mut(slice);
        let found = match warm {
            None if is_cold_due => {
                expiry.cold_at = now;
                Svi::fit(&points, sooner).filter(is_free)
            }
            warm => warm,
        };
        match found {
            Some(smile) => (expiry.smile, expiry.range, expiry.smile_at) = (Some(smile), range, now),
            None => self.counters.smiles_kept += 1,
        }
        self.counters.smiles_refitted += u64::from(warm.is_some());
        self.counters.smiles_fitted += u64::from(warm.is_none() && found.is_some());
        let Some(smile) = found.or(own.data.smile) else { return };
        for row in own.range() {
            let quote = self.chain.row_mut(row);
            if quote.option.is_some() {
                quote.slope = smile.sigma_slope(ln_ratio(quote.strike, forward), years);
            }
        }
    }

    /// One point a strike. Few that lie far from the last smile are outliers and left out; many are a move.
    fn points(&mut self, own: &Slice<Expiry>, forward: f64, years: f64) -> Points {
        let mut points = Points::new();
        let mut far = 0;
        let mut is_far = [false; POINTS_MAX];
        let mut last = f64::NAN;
        for row in &self.chain.rows()[own.range()] {
            let Quote { strike, sigma, is_own, option, .. } = row.data;
            if !is_own || option.is_none() || strike == last || points.is_full() {
                continue;
            }
            last = strike;
            let (k, w) = (ln_ratio(strike, forward), sigma * sigma * years);
            if let Some(smile) = own.data.smile {
                is_far[points.len()] = (w / smile.w(k) - 1.0).abs() > OUTLYING;
                far += usize::from(is_far[points.len()]);
            }
            points.push(Point { k, w, weight: (0.1 + normal_pdf(k / w.sqrt())) / w });
        }
        if far > 0 && far * OUTLIERS_ONE_IN <= points.len() {
            self.counters.outliers += far as u64;
            let mut at = 0;
            points.retain(|_| {
                at += 1;
                !is_far[at - 1]
            });
        }
        points
    }

    /// The smile of another expiry of the same underlying and the range of k that both know, unless it has aged: what is
    /// not confirmed by prices has no say in what is.
    fn neighbour(&self, own: &Slice<Expiry>, at: usize, range: (f64, f64)) -> Option<Sooner> {
        let other = self.chain.slices().get(at).filter(|other| other.underlying == own.underlying)?;
        let is_fresh = self.now.since(other.data.smile_at) <= self.config.price_age_max_ns;
        let (low, high) = (range.0.max(other.data.range.0), range.1.min(other.data.range.1));
        other.data.smile.filter(|_| is_fresh && low < high).map(|smile| (smile, (low, high)))
    }

    /// Options that never had a volatility of their own take the smile's, or that of the nearest strike that has one.
    fn borrow(&mut self, slice: usize, forward: f64, years: f64) {
        let own = self.chain.slices()[slice];
        for row in own.range() {
            let rows = self.chain.rows();
            let quote = &rows[row].data;
            if quote.is_own || quote.option.is_none() {
                continue;
            }
            let owns = |at: &usize| rows[*at].data.is_own && rows[*at].data.option.is_some();
            let below = (own.range().start..row).rev().find(owns);
            let above = (row + 1..own.range().end).find(owns);
            let distance = |at: usize| (rows[at].data.strike - quote.strike).abs();
            let lender = match (below, above) {
                (Some(below), Some(above)) => Some(if distance(below) <= distance(above) { below } else { above }),
                (below, above) => below.or(above),
            };
            let Some(lent) = lender.map(|at| rows[at].data) else { continue };
            let smile = own.data.smile.map(|smile| (smile.w(ln_ratio(quote.strike, forward)) / years).sqrt());
            let quote = self.chain.row_mut(row);
            quote.sigma = smile.filter(|sigma| SIGMA_SANE.contains(sigma)).unwrap_or(lent.sigma);
            quote.confirmed_at = lent.confirmed_at;
            self.counters.borrowed += 1;
        }
    }

    /// Sends what moved or has to be refreshed; [`Full`] when not all of it went.
    pub(super) fn flush_slice(
        &mut self,
        slice: usize,
        event: &Event,
        out: &mut impl Outbox<Event>,
    ) -> Result<(), Full> {
        let own = self.chain.slices()[slice];
        let now = self.now;
        let mut send = |body| out.send(Event { trail: event.trail, time: now, body });
        let refresh_ns = self.config.refresh_ns;
        let is_due = |confirmed: Nanos, sent: Nanos| confirmed > sent && now.since(sent) >= refresh_ns;

        let Expiry { ratio, sent_ratio, confirmed_at, sent_at, .. } = own.data;
        let moved = (ratio - sent_ratio).abs() > self.config.ratio_tolerance;
        if ratio > 0.0 && (moved || is_due(confirmed_at, sent_at)) {
            send(Body::Forward { underlying: own.underlying, expiry_s: own.expiry_s, ratio })?;
            let expiry = self.chain.slice_mut(slice);
            (expiry.sent_ratio, expiry.sent_at) = (ratio, now);
            self.counters.forwards += 1;
        }
        for row in own.range() {
            let instrument = self.chain.rows()[row].key.instrument;
            let quote = self.chain.row_mut(row);
            let moved = (quote.sigma - quote.sent_sigma).abs() > self.config.sigma_tolerance
                || (quote.slope - quote.sent_slope).abs() > self.config.slope_tolerance;
            if quote.sigma > 0.0 && (moved || is_due(quote.confirmed_at, quote.sent_at)) {
                send(Body::Volatility { instrument, sigma: quote.sigma, slope: quote.slope })?;
                (quote.sent_sigma, quote.sent_slope, quote.sent_at) = (quote.sigma, quote.slope, now);
                self.counters.volatilities += 1;
            }
        }
        Ok(())
    }
}
