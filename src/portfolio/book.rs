//! Every position of every underlying, and what they add up to.
//!
//! Positions live in a [`Chain`], in fixed point where they are valued row by row; options of an expiry are valued by
//! an engine where one fits (see `anchored`). What changes is noted and valued when an exposure is asked for, so that a burst
//! costs one valuation. **Invariant**: an underlying's sums are the sums over its rows of lots times the row's own
//! coefficients, exactly; `set` alone changes any of the three.
//!
//! **Cost**: a spot change revalues one underlying: a few groups of anchors, and the rows that no engine holds. A forward, a
//! volatility or a fill touches one row or one lane.

use super::aggregate::{COEFFICIENT_ERROR, Coefficient, LOTS_MAX, Sum, coefficient};
use super::anchored::Engines;
use super::certainty::Certainty;
use super::convention::{Account, Convention, Neutrality};
use super::engine::Options;
use super::holding::{Holding, Market};
use super::rebuild::Rebuilds;
use super::settings::GreeksConfig;
use crate::instrument::{BookQuality, Instrument, UNDERLYINGS_MAX};
use crate::pricing::elementary::LnParts;
use crate::pricing::settlement::Averaging;
use crate::surface::SETTLEMENT_NS;
use crate::surface::chain::{Chain, Key, Row};
use crate::units::{Coins, InstrumentId, Lots, Nanos, Price, UnderlyingId};

/// What is known of one expiry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// Forward over spot; zero until known. What never expires needs none.
    pub(super) ratio: f64,
    ratio_time: Nanos,
    /// Held rows, and those of them that no engine values.
    pub(super) held: u16,
    rows: u16,
    /// Held options.
    options: u16,
    /// Time of the oldest volatility of a held option, of those that are valued row by row and of those that are not; it
    /// may lag until the next valuation.
    sigma_oldest: Nanos,
    pub(super) sigma_oldest_anchored: Nanos,
    /// Which engine values the options, and whether none can.
    pub(super) engine: Option<u8>,
    pub(super) is_refused: bool,
    /// Σ index × nanoseconds over the settlement window so far, and the nanoseconds.
    average_sum: f64,
    average_ns: u64,
}

impl Bucket {
    /// Until when what it is valued from is fresh.
    pub(super) fn fresh_until(&self, expiry_s: u32, ages: Ages) -> Nanos {
        let after = |time: Nanos, age_ns: u64| Nanos(time.0.saturating_add(age_ns));
        let forward = if expiry_s == 0 { Nanos(u64::MAX) } else { after(self.ratio_time, ages.forward_ns) };
        let anchored = if self.engine.is_some() { self.sigma_oldest_anchored } else { Nanos(u64::MAX) };
        let rows = if self.rows > 0 && self.sigma_oldest > Nanos(0) { self.sigma_oldest } else { Nanos(u64::MAX) };
        forward.min(after(rows.min(anchored), ages.volatility_ns))
    }
}

/// Ages beyond which calibration counts as stale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    pub(super) forward_ns: u64,
    pub(super) volatility_ns: u64,
}

/// What one underlying's positions add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Net {
    /// Spot it was last valued at, its logarithm, and when.
    pub(super) spot: f64,
    pub(super) ln_spot: LnParts,
    valued_at: Nanos,
    /// Of rows that no engine values.
    delta: Sum,
    log_gamma: Sum,
    error: Sum,
    /// The three as they are told, while they stand as they are.
    told: Option<Told>,
    rows: u32,
    unvalued: u32,
    /// Expiries of which options are held.
    expiries: u16,
    /// Of all others: their sums with the error of those valued exactly, and the certainty of those by anchors.
    pub(super) options: Options,
    pub(super) certainty: Certainty,
    /// When the next of its engines' expiries enters its settlement window.
    settles_at: Nanos,
    fresh_until: Nanos,
    /// Rows have to be valued; `fresh_until` and `settles_at` have to be found again.
    pub(super) is_outdated: bool,
    pub(super) is_aged: bool,
    /// Coins of the account; in exposures where the book is to be dollar-neutral.
    account: Account,
}

/// Sums of rows, rounded to 1e-9 coins, and a bound on the error of delta.
#[derive(Clone, Copy, Debug)]
struct Told {
    delta: Coins,
    log_gamma: Coins,
    error: f64,
}

/// What an exposure is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    /// Coins; `None` beyond what can be told.
    pub(super) net: Option<(Coins, Coins)>,
    pub(super) error: f64,
    pub(super) quality: BookQuality,
    /// Expiries of which options are held.
    pub(super) expiries: u16,
}

impl Net {
    /// An option of an expiry comes to be held, or goes.
    fn count_option(&mut self, bucket: &mut Bucket, was_held: bool, is_held: bool) {
        let before = bucket.options;
        bucket.options = before + u16::from(is_held) - u16::from(was_held);
        self.expiries = self.expiries + u16::from(bucket.options > 0) - u16::from(before > 0);
    }

    /// Rounds the sums of rows, with the coins of a dollar-neutral account; `None` when those are not known or the sums beyond
    /// what can be told.
    fn tell(&self, neutrality: Neutrality) -> Option<Told> {
        let (mut delta, mut error) = (self.delta, self.error.to_f64());
        if neutrality == Neutrality::Dollar {
            let (cash, cash_error) = self.account.cash()?;
            delta.merge(cash);
            error += cash_error;
        }
        Some(Told { delta: delta.to_coins()?, log_gamma: self.log_gamma.to_coins()?, error })
    }
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
    pub(super) nets: [Net; UNDERLYINGS_MAX],
    pub(super) convention: Convention,
    pub(super) ages: Ages,
    /// Latest index, and since when it holds.
    index: [(f64, Nanos); UNDERLYINGS_MAX],
    next_expiry: Nanos,
}

impl Book {
    pub(super) fn new(config: &GreeksConfig, rebuilds: Rebuilds) -> Self {
        let convention = Convention { neutrality: config.neutrality, stickiness: config.stickiness };
        let capacity = config.capacity;
        Self {
            chain: Chain::with_capacity(capacity.instruments),
            engines: Engines::new(convention, rebuilds, capacity.expiries, capacity.options_an_expiry),
            nets: [Net::default(); UNDERLYINGS_MAX],
            convention,
            ages: Ages { forward_ns: config.forward_age_max_ns, volatility_ns: config.volatility_age_max_ns },
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
            self.remove(instrument.id, now);
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
            self.set_lots(row, old.data.lots, now);
        }
        true
    }

    /// What an account is worth in coins before its positions are entered.
    pub(super) fn open_account(&mut self, underlying: UnderlyingId, equity: Coins) {
        let net = &mut self.nets[underlying.index()];
        net.told = None;
        net.account.open(equity);
    }

    /// Enters lots of the opening book, at what they are worth when they are first valued.
    pub(super) fn open(&mut self, instrument: InstrumentId, lots: i64, now: Nanos) -> Result<(), NotApplied> {
        let row = self.chain.find(instrument).ok_or(NotApplied::Absent)?;
        self.chain.row_mut(row).unpaid += lots;
        self.add(row, lots, now)
    }

    /// Enters a fill: its lots, and what was paid for them.
    pub(super) fn fill(
        &mut self,
        instrument: InstrumentId,
        lots: i64,
        price: Price,
        now: Nanos,
    ) -> Result<(), NotApplied> {
        let row = self.chain.find(instrument).ok_or(NotApplied::Absent)?;
        self.add(row, lots, now)?;
        if self.convention.neutrality == Neutrality::Dollar {
            let row = &self.chain.rows()[row];
            let net = &mut self.nets[row.key.underlying.index()];
            net.told = None;
            net.account.pay(lots, row.data.worth_at(price));
        }
        Ok(())
    }

    /// Takes in a forward. Returns whether anything held depends on it.
    pub(super) fn forward(&mut self, underlying: UnderlyingId, expiry_s: u32, ratio: f64, now: Nanos) -> bool {
        let Some(slice) = self.chain.find_slice(underlying, expiry_s) else { return false };
        let bucket = self.chain.slice_mut(slice);
        (bucket.ratio, bucket.ratio_time) = (ratio, now);
        let (is_held, has_rows) = (bucket.held > 0, bucket.rows > 0);
        self.follow_ratio(slice);
        let net = &mut self.nets[underlying.index()];
        (net.is_outdated, net.is_aged) = (net.is_outdated | has_rows, true);
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
        let (is_held, is_anchored) = (holding.lots != 0, holding.is_anchored);
        let key = self.chain.rows()[row].key;
        if let Some(slice) = self.chain.find_slice(key.underlying, key.expiry_s) {
            self.follow_volatility(row, slice, now);
        }
        self.nets[key.underlying.index()].is_outdated |= is_held && !is_anchored;
        is_held.then_some(key.underlying)
    }

    /// Values all of an underlying's positions at a spot and a time.
    pub(super) fn revalue(&mut self, underlying: UnderlyingId, spot: f64, now: Nanos) {
        let net = &mut self.nets[underlying.index()];
        net.ln_spot = if spot > 0.0 { LnParts::of(spot) } else { LnParts::NONE };
        (net.spot, net.valued_at) = (spot, now);
        if net.rows > 0 || now > net.settles_at {
            self.revalue_rows(underlying, now);
        }
        self.evaluate(underlying, now, true);
    }

    /// Values what changed since the last valuation, at the same spot.
    pub(super) fn catch_up(&mut self, underlying: UnderlyingId, now: Nanos) {
        let net = &self.nets[underlying.index()];
        if net.is_outdated {
            self.revalue_rows(underlying, now);
        }
        if self.has_unevaluated(underlying) {
            self.evaluate(underlying, now, false);
        }
        if self.nets[underlying.index()].is_aged {
            self.age(underlying);
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
        self.nets[underlying.index()].valued_at
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
            self.settle(at);
            // Rows move down as they go, and the slice goes with its last: `at` is then the next one.
            let first = slice.range().start;
            for _ in slice.range() {
                self.remove(self.chain.rows()[first].key.instrument, now);
            }
        }
        self.next_expiry = self.chain.slices().iter().filter_map(|s| s.expiry()).min().unwrap_or(Nanos(u64::MAX));
        touched
    }

    /// The sums of an underlying and the quality of what went into them, as last valued.
    pub(super) fn total(&mut self, underlying: UnderlyingId, now: Nanos) -> Total {
        let options_error = self.options_error(underlying, now);
        let neutrality = self.convention.neutrality;
        let net = &mut self.nets[underlying.index()];
        let told = net.told.or_else(|| net.tell(neutrality));
        net.told = told;
        let quality = match (told.is_some() && net.unvalued == 0, now <= net.fresh_until) {
            (true, true) => BookQuality::Good,
            (true, false) => BookQuality::Stale,
            (false, _) => BookQuality::Unknown,
        };
        let expiries = net.expiries;
        let sum = |rows: Coins, options: f64| Some(Coins(rows.0.checked_add(Coins::from_f64(options)?.0)?));
        // Rows and options are rounded to 1e-9 coins each; nothing is not.
        let rounding = if net.options.delta == 0.0 { 0.5e-9 } else { 1e-9 };
        let Some(Told { delta, log_gamma, error }) = told else {
            return Total { net: None, error: 0.0, quality, expiries };
        };
        let sums = sum(delta, net.options.delta).zip(sum(log_gamma, net.options.log_gamma));
        Total { net: sums, error: options_error + error + rounding, quality, expiries }
    }

    /// The coins of a dollar-neutral account and a bound on their error, if they are known.
    pub(super) fn cash(&self, underlying: UnderlyingId) -> Option<(Sum, f64)> {
        let account = self.nets.get(underlying.index())?.account;
        account.cash().filter(|_| self.convention.neutrality == Neutrality::Dollar)
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

    /// Forward of an expiry, zero until spot and ratio are known.
    pub(super) fn forward_of(&self, slice: usize) -> f64 {
        let slice = &self.chain.slices()[slice];
        slice.data.ratio * self.nets[slice.underlying.index()].spot
    }

    /// Forward, time and settlement average of an expiry.
    pub(super) fn market(&self, slice: usize, now: Nanos) -> Market {
        let own = &self.chain.slices()[slice];
        let spot = self.nets[own.underlying.index()].spot;
        let nothing = Averaging { elapsed: 0.0, mean: spot };
        let Some(expiry) = own.expiry() else { return Market::new(spot, 0.0, nothing, self.convention) };
        let (forward, left) = (own.data.ratio * spot, expiry.since(now));
        if left >= SETTLEMENT_NS {
            return Market::new(forward, now.years_until(expiry), nothing, self.convention);
        }
        let bucket = &own.data;
        // What was not seen of the window counts as if it had been like the rest, or like now.
        let mean = if bucket.average_ns > 0 { bucket.average_sum / bucket.average_ns as f64 } else { forward };
        let averaging = Averaging { elapsed: 1.0 - left as f64 / SETTLEMENT_NS as f64, mean };
        Market::new(forward, now.years_until(expiry), averaging, self.convention)
    }

    /// Moves a row into an engine's slot or out of any, its position with it.
    pub(super) fn move_row(&mut self, row: usize, slice: usize, to: Option<(u8, u16)>, market: &Market) {
        let Holding { lots, is_anchored, .. } = self.chain.rows()[row].data;
        let moves = is_anchored != to.is_some();
        if moves {
            self.set(row, slice, 0, market);
        }
        let holding = self.chain.row_mut(row);
        (holding.engine, holding.slot) = (to.map(|to| to.0), to.map(|to| to.1));
        holding.is_anchored = to.is_some();
        if moves {
            self.set(row, slice, lots, market);
        }
    }

    /// Adds lots to a position and values it afresh.
    fn add(&mut self, row: usize, lots: i64, now: Nanos) -> Result<(), NotApplied> {
        let held = self.chain.rows()[row].data.lots;
        let lots = held.checked_add(lots).filter(|l| l.abs() <= LOTS_MAX).ok_or(NotApplied::TooLarge)?;
        self.set_lots(row, lots, now);
        Ok(())
    }

    fn set_lots(&mut self, row: usize, lots: i64, now: Nanos) {
        let Row { key, data: held } = &self.chain.rows()[row];
        let key = *key;
        if let (true, Some(engine), false) = (held.is_anchored, held.engine, held.lots == 0 || lots == 0) {
            // What is held stays held: nothing changes but the engine's sums.
            self.chain.row_mut(row).lots = lots;
            if self.follow_lots(row, engine) {
                return;
            }
        }
        let Some(slice) = self.chain.find_slice(key.underlying, key.expiry_s) else { return };
        let (holding, bucket) = self.chain.pair_mut(row, slice);
        if holding.is_anchored {
            bucket.held = bucket.held - u16::from(holding.lots != 0) + u16::from(lots != 0);
            let net = &mut self.nets[key.underlying.index()];
            net.count_option(bucket, holding.lots != 0, lots != 0);
            // The engine values it, also what it held none of when it came in.
            (holding.lots, holding.is_valued) = (lots, true);
        } else {
            let market = self.market(slice, now);
            self.set(row, slice, lots, &market);
            self.nets[key.underlying.index()].is_aged = true;
        }
        self.follow(row, slice, now);
    }

    /// The one place where the lots and coefficients of a row that is valued for itself change, and its underlying's sums
    /// with them.
    fn set(&mut self, row: usize, slice: usize, lots: i64, market: &Market) {
        let net = &mut self.nets[self.chain.slices()[slice].underlying.index()];
        let (holding, bucket) = self.chain.pair_mut(row, slice);
        let own = u16::from(!holding.is_anchored);
        net.told = None;
        if holding.option().is_some() {
            net.count_option(bucket, holding.lots != 0, lots != 0);
        }
        if holding.lots != 0 {
            bucket.held -= 1;
            bucket.rows -= own;
            net.rows -= u32::from(own);
            net.unvalued -= u32::from(!holding.is_valued);
            net.delta.add(-holding.lots, holding.delta);
            net.log_gamma.add(-holding.lots, holding.log_gamma);
            net.error.add(-holding.lots.abs(), holding.error);
        }
        let value = if lots == 0 { None } else { holding.coefficients(market) };
        holding.lots = lots;
        holding.is_valued = value.is_some();
        (holding.delta, holding.log_gamma) = value.unwrap_or_default();
        holding.error = match value {
            Some(_) if !holding.is_anchored => {
                coefficient(holding.error_a_lot(market) + 2.0 * COEFFICIENT_ERROR).unwrap_or(Coefficient::MAX)
            }
            _ => Coefficient::ZERO,
        };
        if lots == 0 {
            return;
        }
        if holding.unpaid != 0 && holding.is_valued {
            let unpaid = std::mem::take(&mut holding.unpaid);
            net.account.pay(unpaid, holding.worth(market));
        }
        bucket.held += 1;
        bucket.rows += own;
        net.rows += u32::from(own);
        net.unvalued += u32::from(!holding.is_valued);
        net.delta.add(lots, holding.delta);
        net.log_gamma.add(lots, holding.log_gamma);
        net.error.add(lots.abs(), holding.error);
        if holding.option().is_some() && own > 0 {
            let oldest = if bucket.sigma_oldest == Nanos(0) { Nanos(u64::MAX) } else { bucket.sigma_oldest };
            bucket.sigma_oldest = oldest.min(holding.sigma_time);
        }
    }

    /// Values every row of an underlying that no engine values.
    fn revalue_rows(&mut self, underlying: UnderlyingId, now: Nanos) {
        for slice in self.chain.slices_of(underlying) {
            let own = self.chain.slices()[slice];
            if own.data.engine.is_some() && own.expiry().is_none_or(|expiry| expiry.since(now) < SETTLEMENT_NS) {
                self.give_up(slice, now);
            }
            let own = self.chain.slices()[slice];
            if own.data.rows == 0 {
                continue;
            }
            let market = self.market(slice, now);
            self.chain.slice_mut(slice).sigma_oldest = Nanos(u64::MAX);
            for row in own.range() {
                let Holding { lots, is_anchored, .. } = self.chain.rows()[row].data;
                if lots != 0 && !is_anchored {
                    self.set(row, slice, lots, &market);
                }
            }
        }
        let net = &mut self.nets[underlying.index()];
        (net.is_outdated, net.is_aged) = (false, true);
    }

    /// Finds until when an underlying's calibration is fresh, and when an engine has to give up its expiry.
    fn age(&mut self, underlying: UnderlyingId) {
        let (mut fresh_until, mut settles_at) = (Nanos(u64::MAX), Nanos(u64::MAX));
        for slice in &self.chain.slices()[self.chain.slices_of(underlying)] {
            if slice.data.held > 0 {
                fresh_until = fresh_until.min(slice.data.fresh_until(slice.expiry_s, self.ages));
            }
            if let Some(expiry) = slice.expiry().filter(|_| slice.data.engine.is_some()) {
                settles_at = settles_at.min(Nanos(expiry.0 - SETTLEMENT_NS));
            }
        }
        let net = &mut self.nets[underlying.index()];
        (net.fresh_until, net.settles_at, net.is_aged) = (fresh_until, settles_at, false);
    }

    /// Pays an expiry's positions out at its settlement price.
    fn settle(&mut self, slice: usize) {
        let own = self.chain.slices()[slice];
        let Some(expiry) = own.expiry().filter(|_| own.data.held > 0) else { return };
        let price = self.market(slice, expiry).mean();
        for row in &self.chain.rows()[own.range()] {
            // What was never valued was never paid for.
            let lots = row.data.lots - row.data.unpaid;
            if lots != 0 {
                let net = &mut self.nets[own.underlying.index()];
                net.told = None;
                net.account.pay(-lots, row.data.worth_settled(price));
            }
        }
    }

    fn remove(&mut self, instrument: InstrumentId, now: Nanos) {
        let Some(row) = self.chain.find(instrument) else { return };
        let key = self.chain.rows()[row].key;
        if let Some(slice) = self.chain.find_slice(key.underlying, key.expiry_s) {
            self.leave(row, now);
            let market = self.market(slice, now);
            self.set(row, slice, 0, &market);
        }
        self.chain.remove(instrument);
        self.nets[key.underlying.index()].is_aged = true;
    }
}
