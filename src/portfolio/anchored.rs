//! Which expiries are valued by engines, and when those are rebuilt.
//!
//! An expiry is handed to an engine at a clock event, once its forward is known and its held options, alike in lot and
//! settlement, have volatilities. From then on a tick costs one evaluation for all of them. It goes back to rows when it
//! enters its settlement window, when one of its options is redefined, or when it outgrows the engine.
//!
//! **Rebuilds** happen at clock events, [`REBUILDS_MAX`] at a time, oldest first: after new volatilities, when the forward
//! left the window, or when time alone could have moved delta by a millionth of gross lots. Until then the strip
//! answers exactly, or the anchor with the larger bound. They stay on this thread and are ordered by events because a
//! replay must meet each rebuild where the recording did: a second thread would save a few microseconds between ticks
//! and cost that.

use super::aggregate::Coefficient;
use super::book::{Book, Options};
use super::convention::Convention;
use super::engine::{Engine, NoRoom};
use crate::pricing::settlement::{WINDOW_YEARS, variance_years};
use crate::surface::SETTLEMENT_NS;
use crate::units::{Nanos, UnderlyingId};

/// Expiries that engines can value at a time; the rest are valued row by row.
pub const ENGINES_MAX: usize = 48;
/// Engines rebuilt or taken up at one clock event.
const REBUILDS_MAX: usize = 4;

const _: () = assert!(ENGINES_MAX <= 64);

/// The engines, and which are in use.
#[derive(Debug)]
pub(super) struct Engines {
    engines: Box<[Engine]>,
    /// One bit each.
    taken: u64,
    /// Where the next round of rebuilds begins.
    next: usize,
}

impl Engines {
    pub(super) fn new(convention: Convention) -> Self {
        Self { engines: (0..ENGINES_MAX).map(|_| Engine::new(convention)).collect(), taken: 0, next: 0 }
    }

    fn take(&mut self) -> Option<u8> {
        let free = self.taken.trailing_ones();
        if free as usize >= ENGINES_MAX {
            return None;
        }
        self.taken |= 1 << free;
        Some(free as u8)
    }

    fn give_back(&mut self, engine: u8) {
        self.engines[usize::from(engine)].clear();
        self.taken &= !(1 << engine);
    }
}

impl Book {
    /// Takes up expiries and rebuilds engines, a few at a time.
    pub(super) fn maintain(&mut self, now: Nanos) {
        let len = self.chain.slices().len();
        let (first, mut budget) = (self.engines.next, REBUILDS_MAX);
        for step in 0..len {
            let at = (first + step) % len;
            let bucket = &self.chain.slices()[at].data;
            let is_done = match bucket.engine {
                _ if bucket.held == 0 => false,
                None => !bucket.is_refused && self.take_up(at, now),
                Some(engine) => self.rebuild(at, engine, now),
            };
            if is_done {
                self.engines.next = at + 1;
                budget -= 1;
            }
            if budget == 0 {
                return;
            }
        }
    }

    /// Expiries valued by engines.
    pub(super) fn anchored(&self) -> usize {
        self.engines.taken.count_ones() as usize
    }

    /// Values an expiry that has an engine.
    pub(super) fn revalue_anchored(&mut self, slice: usize, now: Nanos) {
        let own = &self.chain.slices()[slice];
        if own.expiry().is_none_or(|expiry| expiry.since(now) < SETTLEMENT_NS) {
            self.give_up(slice, now);
            return;
        }
        let range = own.range();
        self.chain.slice_mut(slice).error = 0.0;
        // Futures have no strike and come before the options.
        for row in range {
            let holding = &self.chain.rows()[row].data;
            if holding.option().is_some() {
                break;
            }
            if holding.lots != 0 {
                let (lots, market) = (holding.lots, self.market(slice, now));
                self.set(row, slice, lots, &market);
            }
        }
        self.evaluate(slice, now);
    }

    /// Lets the engine of a row's expiry, if there is one, follow the row's position.
    pub(super) fn follow(&mut self, row: usize, now: Nanos) {
        let Some((slice, engine)) = self.engine_of(row) else { return };
        let followed = self.assign(row, engine).and_then(|is_new| {
            if is_new {
                self.build(slice, engine, now);
            }
            self.enter(row, slice, engine, now)
        });
        match followed {
            Ok(()) => self.evaluate(slice, now),
            Err(NoRoom) => self.refuse(slice, now),
        }
    }

    /// Lets the engine of a row's expiry follow the row's volatility. Evaluated when an exposure is due: volatilities
    /// come in bursts.
    pub(super) fn follow_volatility(&mut self, row: usize, now: Nanos) {
        let Some((slice, engine)) = self.engine_of(row) else { return };
        let holding = self.chain.rows()[row].data;
        match holding.slot {
            Some(slot) => {
                self.engines.engines[usize::from(engine)].set_vol(slot, holding.sigma, holding.slope);
                self.chain.slice_mut(slice).is_outdated = true;
                self.outdated |= 1 << self.chain.slices()[slice].underlying.index();
            }
            None if holding.lots != 0 => self.follow(row, now),
            None => {}
        }
    }

    /// Evaluates the engines of an underlying that volatilities have overtaken.
    pub(super) fn catch_up(&mut self, underlying: UnderlyingId, now: Nanos) {
        let bit = 1 << underlying.index();
        if self.outdated & bit == 0 {
            return;
        }
        self.outdated &= !bit;
        for slice in self.chain.slices_of(underlying) {
            if self.chain.slices()[slice].data.is_outdated {
                self.evaluate(slice, now);
            }
        }
    }

    /// Sends a row's expiry back to rows before the row itself goes.
    pub(super) fn leave(&mut self, row: usize, now: Nanos) {
        if let Some((slice, _)) = self.engine_of(row) {
            self.give_up(slice, now);
        }
    }

    fn engine_of(&self, row: usize) -> Option<(usize, u8)> {
        let row = &self.chain.rows()[row];
        row.data.option()?;
        let slice = self.chain.find_slice(row.key.underlying, row.key.expiry_s)?;
        self.chain.slices()[slice].data.engine.map(|engine| (slice, engine))
    }

    /// Forward of an expiry, zero until spot and ratio are known.
    fn forward_of(&self, slice: usize) -> f64 {
        let slice = &self.chain.slices()[slice];
        slice.data.ratio * self.spot[slice.underlying.index()]
    }

    /// Brings an expiry's engine to this time and forward, and dates the volatilities it values from.
    fn build(&mut self, slice: usize, engine: u8, now: Nanos) {
        let own = self.chain.slices()[slice];
        let Some(expiry) = own.expiry() else { return };
        let (forward, years) = (self.forward_of(slice), variance_years(now.years_until(expiry), WINDOW_YEARS));
        self.engines.engines[usize::from(engine)].rebuild(forward, years, now, expiry);
        let held = self.chain.rows()[own.range()].iter().filter(|row| row.data.slot.is_some() && row.data.lots != 0);
        let oldest = held.map(|row| row.data.sigma_time).min().unwrap_or(now);
        self.chain.slice_mut(slice).sigma_oldest = oldest;
    }

    /// Hands an expiry's options to an engine. False when they are not ready for it or none is free.
    fn take_up(&mut self, slice: usize, now: Nanos) -> bool {
        let own = self.chain.slices()[slice];
        let in_time = own.expiry().is_some_and(|expiry| expiry.since(now) >= SETTLEMENT_NS);
        let rows = &self.chain.rows()[own.range()];
        let is_ready = rows.iter().any(|row| row.data.lots != 0 && row.data.option().is_some() && row.data.sigma > 0.0);
        if !(in_time && is_ready && self.forward_of(slice) > 0.0) {
            return false;
        }
        let Some(engine) = self.engines.take() else { return false };
        self.chain.slice_mut(slice).engine = Some(engine);
        // Slots first, then one build for all, then positions.
        let is_done = own.range().all(|row| self.assign(row, engine).is_ok()) && {
            self.build(slice, engine, now);
            own.range().all(|row| self.enter(row, slice, engine, now).is_ok())
        };
        if is_done {
            self.revalue_anchored(slice, now);
        } else {
            self.refuse(slice, now);
        }
        true
    }

    /// Gives an option a slot when it is first held. What is not an option, or has no volatility, stays outside. True
    /// when the engine has to be built anew.
    fn assign(&mut self, row: usize, engine: u8) -> Result<bool, NoRoom> {
        let holding = self.chain.rows()[row].data;
        let Some((kind, is_inverse)) = holding.option() else { return Ok(false) };
        if holding.slot.is_some() || holding.lots == 0 || holding.sigma <= 0.0 {
            return Ok(false);
        }
        let engine = &mut self.engines.engines[usize::from(engine)];
        if !engine.is_alike(holding.amount, is_inverse) {
            return Err(NoRoom);
        }
        self.chain.row_mut(row).slot = Some(engine.enter(kind, holding.strike, holding.sigma, holding.slope)?);
        Ok(true)
    }

    /// Brings an option's position in the engine up to date, and lets go of its own coefficients.
    fn enter(&mut self, row: usize, slice: usize, engine: u8, now: Nanos) -> Result<(), NoRoom> {
        let holding = self.chain.rows()[row].data;
        let Some(slot) = holding.slot else { return Ok(()) };
        self.engines.engines[usize::from(engine)].set_lots(slot, holding.lots)?;
        if holding.delta != Coefficient::ZERO || holding.log_gamma != Coefficient::ZERO {
            let market = self.market(slice, now);
            self.set(row, slice, holding.lots, &market);
        }
        Ok(())
    }

    /// Sends an expiry that no engine can hold back to rows, for good.
    fn refuse(&mut self, slice: usize, now: Nanos) {
        self.chain.slice_mut(slice).is_refused = true;
        self.give_up(slice, now);
    }

    /// Takes an expiry's options back from their engine and values them row by row.
    fn give_up(&mut self, slice: usize, now: Nanos) {
        let range = self.chain.slices()[slice].range();
        let bucket = self.chain.slice_mut(slice);
        (bucket.options, bucket.is_outdated) = (Options::default(), false);
        if let Some(engine) = bucket.engine.take() {
            self.engines.give_back(engine);
        }
        for row in range {
            self.chain.row_mut(row).slot = None;
        }
        self.revalue_rows(slice, now);
    }

    /// Rebuilds an engine if that is due.
    fn rebuild(&mut self, slice: usize, engine: u8, now: Nanos) -> bool {
        if !self.engines.engines[usize::from(engine)].is_due(now) {
            return false;
        }
        self.build(slice, engine, now);
        true
    }

    fn evaluate(&mut self, slice: usize, now: Nanos) {
        let forward = self.forward_of(slice);
        let bucket = self.chain.slice_mut(slice);
        let Some(engine) = bucket.engine else { return };
        bucket.options = self.engines.engines[usize::from(engine)].options(forward, now);
        bucket.is_outdated = false;
    }
}
