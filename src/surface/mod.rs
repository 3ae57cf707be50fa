//! The surface stage: forwards and implied volatilities from prices. Cold, but driven inline in replays.
//!
//! **In**: reference data, tops, marks, indices, clocks. **Out**: `Forward` for an expiry and `Volatility` for an option
//! when they moved by more than a tolerance, or when the last one sent has aged and fresh prices confirm it. With a
//! volatility goes the slope of the smile at its strike.
//!
//! - **Forward**, as a ratio to spot: the dated future of the expiry (its mark, else the mid of a good book); else
//!   put–call parity, the median over the pairs nearest to the money; else the carry of the neighbouring expiries.
//! - **Volatility**: the mark inverted at the spot of the moment when the mark came; where there is none, the mid of a
//!   good book. The out-of-the-money side of a strike speaks for both, since its price is all time value. A strike
//!   that never had an invertible price takes the smile's volatility, or the nearest strike's, so that what is worth
//!   only its intrinsic value does not leave the book unvalued.
//! - **Smile**: [`svi`] through an expiry's volatilities, warm from the last one. A smile with a butterfly, or crossing
//!   the sooner or the later expiry's while that is fresh, is refused, counted, and the last one kept; so whatever is in use
//!   is free of arbitrage. A few volatilities far from the last smile are outliers and have no say.
//!
//! In the settlement window prices follow the average and say nothing plain: forwards and volatilities are held as they
//! were when it opened.
//!
//! **Refused and counted**, and what was known before is kept: prices that are not positive or outside the arbitrage
//! bounds, ratios and volatilities beyond sane limits, jumps that the next fit does not confirm.
//!
//! **Cost**: a step stores a price, then fits at most one expiry, the one waiting longest, and each at most every
//! `interval_ns`: an inversion for every option of it and a smile, cold at most every `cold_ns`. Nothing is allocated after
//! construction. **Full**: what could not be sent is compared again and sent at a later step; only the latest value exists.

pub(crate) mod chain;
mod fit;
pub(crate) mod spot;
pub mod svi;

pub use chain::SLICES_MAX;

use chain::{Chain, Key};
use fit::{Expiry, Quote, Source};
use spot::{Spots, mid};
use svi::Svi;

use crate::event::{Body, Event};
use crate::instrument::{BookQuality, InstrumentKind, Payoff};
use crate::stage::{Outbox, Stage};
use crate::units::{InstrumentId, Nanos, Price, UnderlyingId};

/// Before its expiry, an option settles on the average of the index over this time.
pub const SETTLEMENT_NS: u64 = 1_800 * Nanos::PER_SECOND;

/// Settings of the surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurfaceConfig {
    /// Shortest time between two fits of an expiry.
    pub interval_ns: u64,
    /// How long an expiry waits for a forward of its own before it is taken at spot.
    pub patience_ns: u64,
    /// Age beyond which a price is not used.
    pub price_age_max_ns: u64,
    /// Age beyond which an index is stale.
    pub index_age_max_ns: u64,
    /// Shortest time between two attempts to fit an expiry's smile from nothing.
    pub cold_ns: u64,
    /// What was sent is sent again after this long, if fresh prices confirm it.
    pub refresh_ns: u64,
    /// Change of a forward ratio worth sending.
    pub ratio_tolerance: f64,
    /// Change of a volatility worth sending, per 1.00.
    pub sigma_tolerance: f64,
    /// Change of the smile's slope at a strike worth sending, per 1.00 of volatility and unit of ln K.
    pub slope_tolerance: f64,
    /// Relative jump of a volatility between fits that must show twice to be believed.
    pub sigma_jump: f64,
}

impl Default for SurfaceConfig {
    fn default() -> Self {
        Self {
            interval_ns: 250 * Nanos::PER_MILLI,
            patience_ns: 2 * Nanos::PER_SECOND,
            price_age_max_ns: 60 * Nanos::PER_SECOND,
            index_age_max_ns: 10 * Nanos::PER_SECOND,
            cold_ns: 5 * Nanos::PER_SECOND,
            refresh_ns: 20 * Nanos::PER_SECOND,
            ratio_tolerance: 5e-6,
            sigma_tolerance: 2e-4,
            slope_tolerance: 5e-3,
            sigma_jump: 0.5,
        }
    }
}

/// What happened besides the ordinary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Expiries fitted.
    pub fits: u64,
    /// Forwards sent.
    pub forwards: u64,
    /// Volatilities sent.
    pub volatilities: u64,
    /// Prices that were not positive, or whose book was crossed or not whole.
    pub prices_refused: u64,
    /// Prices outside the arbitrage bounds, or beyond sane volatilities, at a fit.
    pub inversions_failed: u64,
    /// Volatilities that jumped and have to show again.
    pub jumps_held: u64,
    /// Forwards beyond sane limits.
    pub forwards_refused: u64,
    /// Smiles fitted from nothing.
    pub smiles_fitted: u64,
    /// Smiles fitted from the one before.
    pub smiles_refitted: u64,
    /// Fits that left the smile as it was: what they found had arbitrage.
    pub smiles_kept: u64,
    /// Volatilities too far from the last smile to have a say in the next.
    pub outliers: u64,
    /// Volatilities taken from the smile or another strike.
    pub borrowed: u64,
    /// Listings that found the table full.
    pub listings_refused: u64,
}

impl Counters {
    /// Every count by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("fits", self.fits),
            ("forwards", self.forwards),
            ("volatilities", self.volatilities),
            ("prices refused", self.prices_refused),
            ("inversions failed", self.inversions_failed),
            ("jumps held", self.jumps_held),
            ("forwards refused", self.forwards_refused),
            ("smiles fitted", self.smiles_fitted),
            ("smiles refitted", self.smiles_refitted),
            ("smiles kept", self.smiles_kept),
            ("outliers", self.outliers),
            ("borrowed", self.borrowed),
            ("listings refused", self.listings_refused),
        ]
        .into_iter()
    }
}

/// The surface stage.
#[derive(Debug)]
pub struct Surface {
    config: SurfaceConfig,
    spots: Spots,
    chain: Chain<Quote, Expiry>,
    counters: Counters,
    now: Nanos,
    /// Where the search for an expiry to fit, and for something to send, goes on.
    fit_next: usize,
    unsent: bool,
}

impl Stage for Surface {
    type Out = Event;

    fn step(&mut self, event: &Event, out: &mut impl Outbox<Event>) {
        self.now = self.now.max(event.time);
        self.spots.apply(&event.body, self.now);
        match event.body {
            Body::Listed { .. } => self.list(&event.body),
            Body::Top { instrument, quality, bid, ask, bid_lots, ask_lots } => {
                let mid = if quality == BookQuality::Good { mid(bid, ask, bid_lots, ask_lots) } else { None };
                self.price(instrument, Source::Mid, mid.unwrap_or(Price::ZERO));
            }
            Body::Mark { instrument, mark } => self.price(instrument, Source::Mark, mark),
            _ => {}
        }
        if let Some(slice) = self.due() {
            self.fit(slice);
        }
        if self.unsent {
            self.flush(event, out);
        }
    }
}

impl Surface {
    /// A surface that knows no instrument yet.
    pub fn new(config: SurfaceConfig) -> Self {
        Self {
            config,
            spots: Spots::default(),
            chain: Chain::new(),
            counters: Counters::default(),
            now: Nanos(0),
            fit_next: 0,
            unsent: false,
        }
    }

    /// What happened besides the ordinary.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Forward over spot of an expiry, once known.
    pub fn ratio(&self, underlying: UnderlyingId, expiry_s: u32) -> Option<f64> {
        let slice = self.chain.find_slice(underlying, expiry_s)?;
        Some(self.chain.slices()[slice].data.ratio).filter(|&ratio| ratio > 0.0)
    }

    /// The last smile of an expiry that was free of arbitrage, in k = ln(K/F) at the forward of its fit.
    pub fn smile(&self, underlying: UnderlyingId, expiry_s: u32) -> Option<Svi> {
        self.chain.slices()[self.chain.find_slice(underlying, expiry_s)?].data.smile
    }

    /// Volatility of an option, once known.
    pub fn sigma(&self, option: InstrumentId) -> Option<f64> {
        let row = self.chain.find(option)?;
        Some(self.chain.rows()[row].data.sigma).filter(|&sigma| sigma > 0.0)
    }

    fn list(&mut self, body: &Body) {
        let Body::Listed { instrument, underlying, kind, payoff, option, expiry_s, strike, .. } = *body else { return };
        let role = match (kind, option) {
            (InstrumentKind::Option, Some(option)) if strike.0 > 0 => Some(option),
            (InstrumentKind::Future, _) => None,
            _ => return,
        };
        if expiry_s == 0 || Nanos::from_secs(expiry_s) <= self.now {
            return;
        }
        let key = Key { underlying, expiry_s, strike, instrument };
        let known = self.chain.find(instrument).map(|row| self.chain.rows()[row].key);
        if known == Some(key) {
            return;
        }
        self.chain.remove(instrument);
        let quote = Quote::new(role, payoff == Payoff::Inverse, strike);
        self.counters.listings_refused += u64::from(!self.chain.insert(key, quote));
    }

    fn price(&mut self, instrument: InstrumentId, source: Source, price: Price) {
        let Some(row) = self.chain.find(instrument) else { return };
        let key = self.chain.rows()[row].key;
        let (spot, quality) = self.spots.spot(key.underlying, self.now, self.config.index_age_max_ns);
        let Some(slice) = self.chain.find_slice(key.underlying, key.expiry_s) else { return };
        let now = self.now;
        let (quote, expiry) = self.chain.pair_mut(row, slice);
        if price.0 <= 0 || quality != BookQuality::Good {
            // Without a spot to hold it against, a price says nothing.
            quote.forget(source);
            self.counters.prices_refused += u64::from(price.0 < 0 || source == Source::Mark);
            return;
        }
        quote.store(source, price.to_f64(), spot.to_f64(), now);
        expiry.is_dirty = true;
        if expiry.since == Nanos(0) {
            // The first fit waits an interval too, so that it sees more than one price.
            (expiry.since, expiry.fitted_at) = (now, now);
        }
    }

    /// The next expiry, round robin, with new prices and its interval behind it.
    fn due(&mut self) -> Option<usize> {
        let len = self.chain.slices().len();
        for step in 0..len {
            let at = (self.fit_next + step) % len;
            let slice = &self.chain.slices()[at];
            let expired = slice.expiry().is_none_or(|expiry| expiry <= self.now);
            let rested = self.now.since(slice.data.fitted_at) >= self.config.interval_ns;
            if slice.data.is_dirty && !expired && rested {
                self.fit_next = at + 1;
                return Some(at);
            }
        }
        None
    }

    fn flush(&mut self, event: &Event, out: &mut impl Outbox<Event>) {
        for at in 0..self.chain.slices().len() {
            let slice = self.chain.slices()[at];
            if !slice.data.unsent {
                continue;
            }
            if self.flush_slice(at, event, out).is_err() {
                return;
            }
            self.chain.slice_mut(at).unsent = false;
        }
        self.unsent = false;
    }
}

#[cfg(test)]
mod tests;
