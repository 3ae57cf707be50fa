//! Every position of every underlying, and its delta and log-gamma, in fixed point.
//!
//! Positions live in a [`Chain`], each expiry with the sums over its rows. **Invariant**: an expiry's sums are the sums
//! over its rows of lots times the row's own coefficients, exactly; `set` alone changes any of the three.
//!
//! Options of an expiry are valued by an engine where one fits (see `anchored`), else row by row.
//!
//! **Cost**: a spot change revalues one underlying: an evaluation for every expiry, and the rows that no engine holds. A
//! forward does the same for one expiry; a fill or a volatility touches one row.

use super::aggregate::{COEFFICIENT_ERROR, LOTS_MAX, Sum};
use super::anchored::Engines;
use super::convention::{Account, Convention, Neutrality};
use super::holding::{ByGreek, Holding, Market};
use crate::instrument::{BookQuality, Instrument, UNDERLYINGS_MAX};
use crate::pricing::settlement::Averaging;
use crate::surface::chain::{Chain, Key};
use crate::surface::{SETTLEMENT_NS, SLICES_MAX};
use crate::units::{Coins, InstrumentId, Lots, Nanos, Price, UnderlyingId};

/// Relative error of the kernel's log-gamma, vega and theta.
const GREEK_ERROR: f64 = 1e-12;

/// What is held of one expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExpiryExposure {
    /// Seconds since the epoch; 0 for what never expires.
    pub expiry_s: u32,
    /// Forward it was valued at.
    pub forward: f64,
    /// Instruments held.
    pub held: u16,
    /// Whether all of it could be valued from fresh calibration.
    pub quality: BookQuality,
    /// Its greeks.
    pub greeks: ByGreek,
    /// Bounds on their errors.
    pub bounds: ByGreek,
}

/// What one expiry's rows add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// Forward over spot; zero until known. What never expires needs none.
    pub(super) ratio: f64,
    ratio_time: Nanos,
    delta: Sum,
    log_gamma: Sum,
    /// Held rows, and those of them that could not be valued.
    pub(super) held: u16,
    unvalued: u16,
    /// Time of the oldest volatility of a held option; it may lag until the next revaluation.
    pub(super) sigma_oldest: Nanos,
    /// Bound on the error of `delta`, coins; between revaluations it only grows.
    pub(super) error: f64,
    /// Which engine values the options, whether none can, and what it last said.
    pub(super) engine: Option<u8>,
    pub(super) is_refused: bool,
    pub(super) options: Options,
    /// Volatilities came since the engine last spoke.
    pub(super) is_outdated: bool,
    /// Σ index × nanoseconds over the settlement window so far, and the nanoseconds.
    average_sum: f64,
    average_ns: u64,
}

impl Bucket {
    /// Of what is held, judged by what it was valued from.
    fn quality(&self, expiry_s: u32, now: Nanos, ages: Ages) -> BookQuality {
        let stale = (expiry_s != 0 && now.since(self.ratio_time) > ages.forward_ns)
            || now.since(self.sigma_oldest) > ages.volatility_ns;
        match (self.unvalued, stale) {
            (0, false) => BookQuality::Good,
            (0, true) => BookQuality::Stale,
            _ => BookQuality::Unknown,
        }
    }
}

/// What an engine says of an expiry's options, coins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) delta: f64,
    pub(super) log_gamma: f64,
    pub(super) error: f64,
}

/// Ages beyond which calibration counts as stale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    pub(super) forward_ns: u64,
    pub(super) volatility_ns: u64,
}

/// What an exposure is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    pub(super) delta: Sum,
    pub(super) log_gamma: Sum,
    pub(super) error: f64,
    pub(super) quality: BookQuality,
}

/// Why a position could not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotApplied {
    /// The instrument is not in the table: never listed, expired, or of a kind that is not valued.
    Absent,
    /// The position would exceed [`LOTS_MAX`].
    TooLarge,
}

/// All positions.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) chain: Chain<Holding, Bucket>,
    pub(super) engines: Engines,
    /// Underlyings with an expiry that is outdated, one bit each.
    pub(super) outdated: u16,
    /// Spot each underlying was last valued at, and when.
    pub(super) spot: [f64; UNDERLYINGS_MAX],
    valued_at: [Nanos; UNDERLYINGS_MAX],
    /// Latest index, and since when it holds.
    index: [(f64, Nanos); UNDERLYINGS_MAX],
    next_expiry: Nanos,
    pub(super) convention: Convention,
    /// Coins of each underlying's account; in exposures where the book is to be dollar-neutral.
    accounts: [Account; UNDERLYINGS_MAX],
}

impl Book {
    pub(super) fn new(convention: Convention) -> Self {
        Self {
            convention,
            accounts: [Account::default(); UNDERLYINGS_MAX],
            chain: Chain::new(),
            engines: Engines::new(convention),
            outdated: 0,
            spot: [0.0; UNDERLYINGS_MAX],
            valued_at: [Nanos(0); UNDERLYINGS_MAX],
            index: [(0.0, Nanos(0)); UNDERLYINGS_MAX],
            next_expiry: Nanos(u64::MAX),
        }
    }

    /// Enters a listing, flat, or with the lots it already had when it is redefined. False when it is of a kind that is
    /// not valued, has no positive lot, or finds the table full.
    pub(super) fn list(&mut self, instrument: &Instrument, now: Nanos) -> bool {
        let Some(fresh) = Holding::new(instrument) else { return false };
        let key = Key::of(instrument);
        let old = self.chain.find(instrument.id).map(|row| self.chain.rows()[row]);
        if let Some(old) = old {
            if (old.key, old.data.claim, old.data.amount) == (key, fresh.claim, fresh.amount) {
                return true;
            }
            self.remove(instrument.id);
        }
        if !self.chain.insert(key, fresh) {
            return false;
        }
        if let Some(expiry) = instrument.expiry() {
            self.next_expiry = self.next_expiry.min(expiry);
        }
        if let (Some(old), Some(row)) = (old, self.chain.find(instrument.id)) {
            let holding = self.chain.row_mut(row);
            (holding.sigma, holding.sigma_time, holding.slope) = (old.data.sigma, old.data.sigma_time, old.data.slope);
            holding.unpaid = old.data.unpaid;
            self.set_and_value(row, old.data.lots, now);
            self.follow(row, now);
        }
        true
    }

    /// What an account is worth in coins before its positions are entered.
    pub(super) fn open_account(&mut self, underlying: UnderlyingId, equity: Coins) {
        self.accounts[underlying.index()].open(equity);
    }

    /// Enters lots of the opening book, at what they are worth when they are first valued.
    pub(super) fn open(&mut self, instrument: InstrumentId, lots: i64, now: Nanos) -> Result<(), NotApplied> {
        let row = self.chain.find(instrument).ok_or(NotApplied::Absent)?;
        self.chain.row_mut(row).unpaid += lots;
        self.add(instrument, lots, now)
    }

    /// Enters a fill: its lots, and what was paid for them.
    pub(super) fn fill(
        &mut self,
        instrument: InstrumentId,
        lots: i64,
        price: Price,
        now: Nanos,
    ) -> Result<(), NotApplied> {
        self.add(instrument, lots, now)?;
        let row = self.chain.find(instrument).ok_or(NotApplied::Absent)?;
        let row = &self.chain.rows()[row];
        self.accounts[row.key.underlying.index()].pay(lots, row.data.worth_at(price));
        Ok(())
    }

    /// Adds lots to a position and values it afresh.
    fn add(&mut self, instrument: InstrumentId, lots: i64, now: Nanos) -> Result<(), NotApplied> {
        let row = self.chain.find(instrument).ok_or(NotApplied::Absent)?;
        let held = self.chain.rows()[row].data.lots;
        let lots = held.checked_add(lots).filter(|l| l.abs() <= LOTS_MAX).ok_or(NotApplied::TooLarge)?;
        self.set_and_value(row, lots, now);
        self.follow(row, now);
        Ok(())
    }

    /// Takes in a forward. Returns whether anything held depends on it.
    pub(super) fn forward(&mut self, underlying: UnderlyingId, expiry_s: u32, ratio: f64, now: Nanos) -> bool {
        let Some(slice) = self.chain.find_slice(underlying, expiry_s) else { return false };
        let bucket = self.chain.slice_mut(slice);
        (bucket.ratio, bucket.ratio_time) = (ratio, now);
        let is_held = bucket.held > 0;
        self.revalue_slice(slice, now);
        is_held
    }

    /// Takes in a volatility. Returns the underlying when the option is held.
    pub(super) fn volatility(
        &mut self,
        option: InstrumentId,
        sigma: f64,
        slope: f64,
        now: Nanos,
    ) -> Option<UnderlyingId> {
        let row = self.chain.find(option)?;
        let holding = self.chain.row_mut(row);
        (holding.sigma, holding.slope, holding.sigma_time) = (sigma, slope, now);
        let lots = holding.lots;
        if lots != 0 {
            self.set_and_value(row, lots, now);
        }
        self.follow_volatility(row, now);
        (lots != 0).then(|| self.chain.rows()[row].key.underlying)
    }

    /// Values all of an underlying's positions at a spot and a time.
    pub(super) fn revalue(&mut self, underlying: UnderlyingId, spot: f64, now: Nanos) {
        (self.spot[underlying.index()], self.valued_at[underlying.index()]) = (spot, now);
        for slice in self.chain.slices_of(underlying) {
            self.revalue_slice(slice, now);
        }
    }

    /// Takes in an index: inside a settlement window, the one before it goes into the average for as long as it held.
    pub(super) fn index(&mut self, underlying: UnderlyingId, price: f64, now: Nanos) {
        let (before, since) = std::mem::replace(&mut self.index[underlying.index()], (price, now));
        for slice in self.chain.slices_of(underlying) {
            let Some(expiry) = self.chain.slices()[slice].expiry() else { continue };
            if expiry.since(now) >= SETTLEMENT_NS {
                return; // So are all later ones.
            }
            let held = now.since(since.max(Nanos(expiry.0 - SETTLEMENT_NS)));
            if before > 0.0 {
                let bucket = self.chain.slice_mut(slice);
                bucket.average_sum += before * held as f64;
                bucket.average_ns += held;
            }
        }
    }

    /// When an underlying was last valued.
    pub(super) fn valued_at(&self, underlying: UnderlyingId) -> Nanos {
        self.valued_at[underlying.index()]
    }

    /// Removes every expiry that `now` has reached, positions and all. Returns the underlyings that held any, one bit
    /// each.
    pub(super) fn expire(&mut self, now: Nanos) -> u16 {
        let mut touched = 0;
        if now < self.next_expiry {
            return touched;
        }
        let mut at = 0;
        while let Some(&slice) = self.chain.slices().get(at) {
            if slice.expiry().is_none_or(|expiry| now < expiry) {
                at += 1;
                continue;
            }
            touched |= u16::from(slice.data.held > 0) << slice.underlying.index();
            // Rows move down as they go, and the slice goes with its last: `at` is then the next one.
            let first = slice.range().start;
            self.settle(at);
            for _ in slice.range() {
                self.remove(self.chain.rows()[first].key.instrument);
            }
        }
        self.next_expiry = self.chain.slices().iter().filter_map(|s| s.expiry()).min().unwrap_or(Nanos(u64::MAX));
        touched
    }

    /// Pays an expiry's positions out at its settlement price.
    fn settle(&mut self, slice: usize) {
        let own = &self.chain.slices()[slice];
        let Some(expiry) = own.expiry().filter(|_| own.data.held > 0) else { return };
        let price = self.market(slice, expiry).mean();
        for row in &self.chain.rows()[own.range()] {
            // What was never valued was never paid for.
            let lots = row.data.lots - row.data.unpaid;
            if lots != 0 {
                self.accounts[own.underlying.index()].pay(-lots, row.data.worth_settled(price));
            }
        }
    }

    /// The sums of an underlying and the quality of what went into them.
    pub(super) fn total(&self, underlying: UnderlyingId, now: Nanos, ages: Ages) -> Total {
        let mut total = Total { quality: BookQuality::Good, ..Total::default() };
        let (mut options, mut gross) = (Options::default(), 0.0);
        for slice in &self.chain.slices()[self.chain.slices_of(underlying)] {
            let bucket = &slice.data;
            if bucket.held == 0 {
                continue;
            }
            total.delta.merge(bucket.delta);
            total.log_gamma.merge(bucket.log_gamma);
            options.delta += bucket.options.delta;
            options.log_gamma += bucket.options.log_gamma;
            gross += bucket.options.delta.abs();
            total.error += bucket.error + bucket.options.error;
            total.quality = total.quality.max(bucket.quality(slice.expiry_s, now, ages));
        }
        if self.convention.neutrality == Neutrality::Dollar {
            match self.cash(underlying) {
                Some((cash, error)) => {
                    total.delta.merge(cash);
                    total.error += error;
                }
                None => total.quality = BookQuality::Unknown,
            }
        }
        // What adding up in doubles and cutting to fixed point can take.
        total.error += gross * (SLICES_MAX as f64 * f64::EPSILON) + 2.0 * COEFFICIENT_ERROR;
        match Sum::of(options.delta).zip(Sum::of(options.log_gamma)) {
            Some((delta, log_gamma)) => {
                total.delta.merge(delta);
                total.log_gamma.merge(log_gamma);
            }
            None => total.quality = BookQuality::Unknown,
        }
        total
    }

    /// The coins of a dollar-neutral account and a bound on their error, if they are known.
    pub(super) fn cash(&self, underlying: UnderlyingId) -> Option<(Sum, f64)> {
        let account = self.accounts.get(underlying.index())?;
        account.cash().filter(|_| self.convention.neutrality == Neutrality::Dollar)
    }

    /// What is held of each expiry of an underlying, soonest first. Computed afresh, for reports.
    pub(super) fn report(
        &self,
        underlying: UnderlyingId,
        now: Nanos,
        ages: Ages,
    ) -> impl Iterator<Item = ExpiryExposure> {
        let held = self.chain.slices_of(underlying).filter(|&at| self.chain.slices()[at].data.held > 0);
        held.map(move |at| {
            let (slice, market) = (&self.chain.slices()[at], self.market(at, now));
            let (mut greeks, mut bounds) = (ByGreek::default(), ByGreek::default());
            for row in self.chain.rows()[slice.range()].iter().filter(|row| row.data.lots != 0) {
                let one = row.data.report(&market).unwrap_or_default();
                greeks.add(&one, |value| value);
                bounds.add(&one, |value| value.abs() * GREEK_ERROR);
            }
            bounds.delta = slice.data.error + slice.data.options.error;
            ExpiryExposure {
                expiry_s: slice.expiry_s,
                forward: market.forward,
                held: slice.data.held,
                quality: slice.data.quality(slice.expiry_s, now, ages),
                greeks,
                bounds,
            }
        })
    }

    /// Lots held of an instrument.
    pub(super) fn lots(&self, instrument: InstrumentId) -> Lots {
        self.chain.find(instrument).map_or(Lots(0), |row| Lots(self.chain.rows()[row].data.lots))
    }

    /// Every position that is not flat, by underlying, expiry and strike.
    pub(super) fn positions(&self) -> impl Iterator<Item = (InstrumentId, Lots)> {
        let held = self.chain.rows().iter().filter(|r| r.data.lots != 0);
        held.map(|r| (r.key.instrument, Lots(r.data.lots)))
    }

    /// Values what is held of an expiry.
    fn revalue_slice(&mut self, slice: usize, now: Nanos) {
        if self.chain.slices()[slice].data.engine.is_some() {
            self.revalue_anchored(slice, now);
        } else {
            self.revalue_rows(slice, now);
        }
    }

    /// Values every held row of an expiry for itself.
    pub(super) fn revalue_rows(&mut self, slice: usize, now: Nanos) {
        let market = self.market(slice, now);
        let range = self.chain.slices()[slice].range();
        let bucket = self.chain.slice_mut(slice);
        if bucket.held == 0 {
            return;
        }
        (bucket.error, bucket.sigma_oldest) = (0.0, now);
        for row in range {
            let lots = self.chain.rows()[row].data.lots;
            if lots != 0 {
                self.set(row, slice, lots, &market);
            }
        }
    }

    fn set_and_value(&mut self, row: usize, lots: i64, now: Nanos) {
        let key = self.chain.rows()[row].key;
        let Some(slice) = self.chain.find_slice(key.underlying, key.expiry_s) else { return };
        let market = self.market(slice, now);
        self.set(row, slice, lots, &market);
    }

    /// Forward, time and settlement average of an expiry.
    pub(super) fn market(&self, slice: usize, now: Nanos) -> Market {
        let slice = &self.chain.slices()[slice];
        let spot = self.spot[slice.underlying.index()];
        let nothing = Averaging { elapsed: 0.0, mean: spot };
        let Some(expiry) = slice.expiry() else { return Market::new(spot, 0.0, nothing, self.convention) };
        let (forward, left) = (slice.data.ratio * spot, expiry.since(now));
        if left >= SETTLEMENT_NS {
            return Market::new(forward, now.years_until(expiry), nothing, self.convention);
        }
        let bucket = &slice.data;
        // What was not seen of the window counts as if it had been like the rest, or like now.
        let mean = if bucket.average_ns > 0 { bucket.average_sum / bucket.average_ns as f64 } else { forward };
        let averaging = Averaging { elapsed: 1.0 - left as f64 / SETTLEMENT_NS as f64, mean };
        Market::new(forward, now.years_until(expiry), averaging, self.convention)
    }

    /// The one place where a row's lots and coefficients and its expiry's sums change, together.
    pub(super) fn set(&mut self, row: usize, slice: usize, lots: i64, market: &Market) {
        let underlying = self.chain.slices()[slice].underlying;
        let (holding, bucket) = self.chain.pair_mut(row, slice);
        if holding.lots != 0 {
            bucket.delta.add(-holding.lots, holding.delta);
            bucket.log_gamma.add(-holding.lots, holding.log_gamma);
            bucket.held -= 1;
            bucket.unvalued -= u16::from(!holding.valued);
        }
        let value = holding.coefficients(market);
        holding.lots = lots;
        holding.valued = value.is_some();
        if holding.unpaid != 0 && holding.valued {
            let unpaid = std::mem::take(&mut holding.unpaid);
            self.accounts[underlying.index()].pay(unpaid, holding.worth(market));
        }
        (holding.delta, holding.log_gamma) = value.unwrap_or_default();
        if lots != 0 {
            if bucket.held == 0 {
                (bucket.error, bucket.sigma_oldest) = (0.0, Nanos(u64::MAX));
            }
            bucket.delta.add(lots, holding.delta);
            bucket.log_gamma.add(lots, holding.log_gamma);
            bucket.held += 1;
            bucket.unvalued += u16::from(!holding.valued);
            if holding.option().is_some() {
                bucket.sigma_oldest = bucket.sigma_oldest.min(holding.sigma_time);
            }
            if holding.slot.is_none() {
                bucket.error += lots.unsigned_abs() as f64 * holding.error(market);
            }
        }
    }

    fn remove(&mut self, instrument: InstrumentId) {
        if let Some(row) = self.chain.find(instrument) {
            self.leave(row, Nanos(0));
            self.set_and_value(row, 0, Nanos(0));
            self.chain.remove(instrument);
        }
    }
}
