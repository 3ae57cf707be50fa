//! Which expiries are valued by engines, and when those are rebuilt.
//!
//! An expiry is handed to an engine at a clock event, once its forward is known and its held options, alike in lot and
//! settlement, have volatilities. From its first generation on, a tick costs one lane of a panel for all of them. It goes
//! back to rows when it enters its settlement window, when one of its options is redefined, or when it outgrows the
//! engine.
//!
//! **Rebuilds** are asked for at clock events, [`REQUESTS_A_CLOCK`] at a time, round robin: after new volatilities, when the
//! forward left the window, or when time alone could have moved delta by a millionth of gross lots. Until one is adopted
//! the old anchor answers with what moved patched in, or the strip exactly. Asking and adopting are both caused by events
//! of the one stream, so a replay meets each where the recording did, whoever did the work in between (see
//! [`rebuild`](super::rebuild)).

use super::book::Book;
use super::certainty::{Certainties, Certainty};
use super::convention::Convention;
use super::engine::{Engine, NoRoom, Options, ROWS};
use super::generation::{Centre, Generation, Term, Ticket};
use super::holding::Holding;
use super::rebuild::{PATIENCE_NS, REQUESTS_MAX, Rebuilds, Workshop};
use crate::instrument::UNDERLYINGS_MAX;
use crate::pricing::anchor::{PANEL_GROUPS, PANEL_LANES, Panel};
use crate::pricing::elementary::LnParts;
use crate::pricing::settlement::{WINDOW_YEARS, variance_years};
use crate::surface::SETTLEMENT_NS;
use crate::surface::chain::Row;
use crate::units::{Nanos, UnderlyingId};

/// Expiries that engines can value at a time; the rest are valued row by row.
pub const ENGINES_MAX: usize = 64;
/// Requests made at one clock event.
const REQUESTS_A_CLOCK: usize = 4;

pub(super) const GROUPS: usize = ENGINES_MAX / PANEL_LANES;
const _: () = assert!(GROUPS == PANEL_GROUPS);
const BUFFERS_MAX: usize = ENGINES_MAX + REQUESTS_MAX;

/// What happened to rebuilds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RebuildCounters {
    /// Asked for.
    pub asked: u64,
    /// Taken up.
    pub adopted: u64,
    /// Answered after they were given up or had lost their purpose.
    pub late: u64,
    /// Made on the greeks' thread because an answer did not come.
    pub fallbacks: u64,
}

/// Some of the panel's lanes, a bit each; an engine's number is its lane's.
pub(super) type Lanes = u64;

/// The engines, their lanes of the panel, and their buffers. A group of lanes belongs to one underlying.
#[derive(Debug)]
pub(super) struct Engines {
    pub(super) engines: Box<[Engine]>,
    panel: Panel<ROWS>,
    workshop: Workshop<BUFFERS_MAX>,
    /// How many engines may be in use at a time.
    engines_max: usize,
    /// Lanes in use by each underlying.
    taken: [Lanes; UNDERLYINGS_MAX],
    /// Lanes that do not show what their engine holds at its forward.
    unshown: Lanes,
    certainty: Certainties,
    /// Of lanes outside their window, what their engine said.
    exact: Box<[Options]>,
    /// Where the next round of requests begins.
    next: usize,
    counters: RebuildCounters,
}

impl Engines {
    pub(super) fn new(convention: Convention, rebuilds: Rebuilds, engines_max: usize, options: usize) -> Self {
        let engines_max = engines_max.min(ENGINES_MAX);
        Self {
            engines: (0..ENGINES_MAX).map(|_| Engine::new(options, convention)).collect(),
            panel: Panel::default(),
            workshop: Workshop::new(rebuilds, engines_max + REQUESTS_MAX, options),
            engines_max,
            taken: [0; UNDERLYINGS_MAX],
            unshown: 0,
            certainty: Certainties::default(),
            exact: vec![Options::default(); ENGINES_MAX].into_boxed_slice(),
            next: 0,
            counters: RebuildCounters::default(),
        }
    }

    /// Engines in use.
    pub(super) fn in_use(&self) -> usize {
        self.taken.iter().map(|lanes| lanes.count_ones() as usize).sum()
    }

    pub(super) fn counters(&self) -> &RebuildCounters {
        &self.counters
    }

    /// A free lane, in a group of this underlying's if there is one.
    fn take(&mut self, underlying: UnderlyingId) -> Option<u8> {
        if self.in_use() >= self.engines_max {
            return None;
        }
        let own = self.taken[underlying.index()];
        let all = self.taken.iter().fold(0, |all, lanes| all | lanes);
        let of = |lanes: Lanes, group: usize| lanes.to_le_bytes()[group];
        let has_room = |&group: &usize| of(own, group) != 0 && of(own, group) != u8::MAX;
        let group = (0..GROUPS).find(has_room).or_else(|| (0..GROUPS).find(|&group| of(all, group) == 0))?;
        let at = group * PANEL_LANES + of(own, group).trailing_ones() as usize;
        self.taken[underlying.index()] |= 1 << at;
        Some(at as u8)
    }

    fn give_back(&mut self, engine: u8) {
        let at = usize::from(engine);
        if let Some(generation) = self.engines[at].clear() {
            self.workshop.give_back(generation);
        }
        self.panel.clear(at);
        self.certainty.set(at, Certainty::default());
        self.exact[at] = Options::default();
        self.taken.iter_mut().for_each(|lanes| *lanes &= !(1 << at));
        self.unshown &= !(1 << at);
    }

    /// Notes that a lane does not show what its engine holds.
    fn touch(&mut self, engine: u8) {
        self.unshown |= 1 << engine;
    }

    /// Lets a lane follow the forward of its expiry.
    fn set_ratio(&mut self, engine: u8, ratio: f64) {
        self.panel.set_ratio(usize::from(engine), ratio);
        self.touch(engine);
    }
}

/// The groups of some lanes, a bit each.
pub(super) fn groups(lanes: Lanes) -> u8 {
    let mut groups = 0;
    for (group, lanes) in lanes.to_le_bytes().into_iter().enumerate() {
        groups |= u8::from(lanes != 0) << group;
    }
    groups
}

/// Lanes one by one.
fn each(mut lanes: Lanes) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (lanes != 0).then(|| lanes.trailing_zeros() as usize)?;
        lanes &= lanes - 1;
        Some(at)
    })
}

impl Book {
    /// Takes up expiries and asks for rebuilds, a few at a time.
    pub(super) fn maintain(&mut self, now: Nanos) {
        let len = self.chain.slices().len();
        let (first, mut budget) = (self.engines.next, REQUESTS_A_CLOCK);
        for step in 0..len {
            let at = (first + step) % len;
            let bucket = &self.chain.slices()[at].data;
            let is_done = match bucket.engine {
                _ if bucket.held == 0 => false,
                None => !bucket.is_refused && self.take_up(at, now),
                Some(engine) => self.ask(at, engine, now),
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

    /// Takes up a generation that was computed elsewhere, if it is the one last asked for.
    pub(super) fn rebuilt(&mut self, engine: u8, number: u32, now: Nanos) {
        let Some(generation) = self.engines.workshop.answered(engine, number, now) else {
            self.engines.counters.late += 1;
            return;
        };
        let Ticket { underlying, expiry_s, .. } = generation.ticket;
        let slice = self.chain.find_slice(underlying, expiry_s);
        let slice = slice.filter(|&at| self.chain.slices()[at].data.engine == Some(engine));
        match slice.filter(|_| self.engines.engines[usize::from(engine)].awaits(&generation.ticket)) {
            Some(slice) => self.adopt(slice, engine, generation, now),
            None => {
                self.engines.counters.late += 1;
                self.engines.workshop.give_back(generation);
            }
        }
    }

    /// Values an underlying's anchored options at its spot: all of them, or only those of expiries where something changed.
    pub(super) fn evaluate(&mut self, underlying: UnderlyingId, now: Nanos, is_all: bool) {
        let net = &mut self.nets[underlying.index()];
        let engines = &mut self.engines;
        let taken = engines.taken[underlying.index()];
        let before = engines.panel.inside();
        let changed = engines.unshown & taken;
        if changed != 0 {
            engines.show(changed, net.ln_spot);
        }
        let groups = groups(taken);
        if is_all {
            engines.panel.evaluate(groups, net.ln_spot);
        }
        let (delta, log_gamma) = engines.panel.sum(groups);
        net.options = Options { delta, log_gamma, error: 0.0 };
        let inside = engines.panel.inside();
        let missed = taken & !inside;
        if missed != 0 {
            engines.value(if is_all { missed } else { missed & changed }, net.spot, now);
            engines.add_missed(missed, &mut net.options);
        }
        if changed != 0 || (before ^ inside) & taken != 0 {
            net.certainty = engines.certainty.of(taken & inside);
        }
    }

    /// Whether something changed in an underlying's lanes since they were evaluated.
    pub(super) fn has_unevaluated(&self, underlying: UnderlyingId) -> bool {
        self.engines.unshown & self.engines.taken[underlying.index()] != 0
    }

    /// Bound on the error of an underlying's anchored options.
    pub(super) fn options_error(&self, underlying: UnderlyingId, now: Nanos) -> f64 {
        let net = &self.nets[underlying.index()];
        let Certainty { at_epoch, per_ns, until } = net.certainty;
        if now <= until {
            return net.options.error + at_epoch + per_ns * now.0 as f64;
        }
        let engines = &self.engines;
        let shown = engines.taken[underlying.index()] & engines.panel.inside();
        net.options.error + each(shown).map(|at| engines.engines[at].shown_error(now)).sum::<f64>()
    }

    /// Bound on the error of what an expiry's engine says.
    pub(super) fn engine_error(&self, engine: u8, now: Nanos) -> f64 {
        let at = usize::from(engine);
        if self.engines.panel.inside() >> at & 1 != 0 {
            self.engines.engines[at].shown_error(now)
        } else {
            self.engines.exact[at].error
        }
    }

    /// Lets the engine of a row's expiry, if there is one, follow the row's position.
    pub(super) fn follow(&mut self, row: usize, slice: usize, now: Nanos) {
        let Some(engine) = self.chain.slices()[slice].data.engine else { return };
        let holding = &self.chain.rows()[row].data;
        let followed = match holding.slot {
            Some(_) => self.follow_lots(row, engine),
            None => self.assign(row, engine).is_ok(),
        };
        if !followed {
            self.refuse(slice, now);
        }
    }

    /// Lets a row's engine follow its position; false when that has no room for it.
    pub(super) fn follow_lots(&mut self, row: usize, engine: u8) -> bool {
        let Holding { slot: Some(slot), lots, .. } = self.chain.rows()[row].data else { return false };
        self.engines.touch(engine);
        self.engines.engines[usize::from(engine)].set_lots(slot, lots).is_ok()
    }

    /// Lets the engine of a row's expiry follow the row's volatility.
    pub(super) fn follow_volatility(&mut self, row: usize, slice: usize, now: Nanos) {
        let Some(engine) = self.chain.slices()[slice].data.engine else { return };
        let holding = &self.chain.rows()[row].data;
        let Some(slot) = holding.slot else { return self.follow(row, slice, now) };
        let (sigma, slope) = (holding.sigma, holding.slope);
        self.engines.engines[usize::from(engine)].set_vol(slot, sigma, slope, now);
        self.engines.touch(engine);
    }

    /// Lets the engine of an expiry follow its forward.
    pub(super) fn follow_ratio(&mut self, slice: usize) {
        let bucket = &self.chain.slices()[slice].data;
        if let Some(engine) = bucket.engine {
            self.engines.set_ratio(engine, bucket.ratio);
        }
    }

    /// Sends a row's expiry back to rows before the row itself goes.
    pub(super) fn leave(&mut self, row: usize, now: Nanos) {
        let row = &self.chain.rows()[row];
        if row.data.option().is_some()
            && let Some(slice) = self.chain.find_slice(row.key.underlying, row.key.expiry_s)
        {
            self.give_up(slice, now);
        }
    }

    /// Takes an expiry's options back from their engine; they are valued row by row from the next exposure on.
    pub(super) fn give_up(&mut self, slice: usize, now: Nanos) {
        let own = self.chain.slices()[slice];
        let Some(engine) = own.data.engine else { return };
        self.chain.slice_mut(slice).engine = None;
        self.engines.give_back(engine);
        let market = self.market(slice, now);
        for row in own.range() {
            self.move_row(row, slice, None, &market);
        }
        self.nets[own.underlying.index()].is_outdated = true;
        self.evaluate(own.underlying, now, false);
        let shown = self.engines.taken[own.underlying.index()] & self.engines.panel.inside();
        self.nets[own.underlying.index()].certainty = self.engines.certainty.of(shown);
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
        let Some(engine) = self.engines.take(own.underlying) else { return false };
        self.chain.slice_mut(slice).engine = Some(engine);
        self.follow_ratio(slice);
        if own.range().all(|row| self.assign(row, engine).is_ok()) {
            self.ask(slice, engine, now);
        } else {
            self.refuse(slice, now);
        }
        true
    }

    /// Gives an option a slot when it is first held. What is not an option, or has no volatility, stays outside.
    fn assign(&mut self, row: usize, engine: u8) -> Result<(), NoRoom> {
        let Row { key, data: holding } = self.chain.rows()[row];
        let Some((kind, is_inverse)) = holding.option() else { return Ok(()) };
        if holding.slot.is_some() || holding.lots == 0 || holding.sigma <= 0.0 {
            return Ok(());
        }
        let engine = &mut self.engines.engines[usize::from(engine)];
        if !engine.is_alike(holding.amount, is_inverse) {
            return Err(NoRoom);
        }
        let Holding { lots, sigma, slope, sigma_time, .. } = holding;
        let term = Term { instrument: key.instrument, kind, strike: key.strike, lots, sigma, slope, sigma_time };
        self.chain.row_mut(row).slot = Some(engine.enter(term)?);
        Ok(())
    }

    /// Asks for a rebuild if one is due. Where the last request went unanswered, the engine's own generation is rebuilt
    /// here and now.
    fn ask(&mut self, slice: usize, engine: u8, now: Nanos) -> bool {
        let at = usize::from(engine);
        let own = &self.chain.slices()[slice];
        let Some(expiry) = own.expiry().filter(|_| self.engines.engines[at].is_due(now)) else { return false };
        let ticket = Ticket { engine, number: 0, underlying: own.underlying, expiry_s: own.expiry_s, time: now };
        let centre = Centre {
            forward: self.forward_of(slice),
            years: variance_years(now.years_until(expiry), WINDOW_YEARS),
            left_ns: expiry.since(now),
            stickiness: self.convention.stickiness,
        };
        let Engines { engines, workshop, counters, .. } = &mut self.engines;
        let own = &mut engines[at];
        let waits = own.asked_at().map(|asked_at| now.since(asked_at) > PATIENCE_NS);
        if waits == Some(true) || workshop.is_silent(now) {
            let Some(mut generation) = own.take_generation().or_else(|| workshop.buffer(engine)) else { return false };
            counters.fallbacks += 1;
            own.fill(&mut generation, ticket, centre);
            generation.compute();
            self.adopt(slice, engine, generation, now);
            return true;
        }
        if waits.is_some() || !workshop.has_room() {
            return false;
        }
        let Some(mut generation) = workshop.buffer(engine) else { return false };
        counters.asked += 1;
        own.fill(&mut generation, ticket, centre);
        if let Some(generation) = workshop.ask(generation) {
            self.adopt(slice, engine, generation, now);
        }
        true
    }

    /// Lets an engine value from a computed generation, and takes what that covers for the first time out of the rows.
    fn adopt(&mut self, slice: usize, engine: u8, generation: Box<Generation>, now: Nanos) {
        let at = usize::from(engine);
        let (covered, sigma_oldest) = (self.engines.engines[at].covered(), generation.sigma_oldest);
        match self.engines.engines[at].adopt(generation) {
            Ok(before) => before.into_iter().for_each(|before| self.engines.workshop.give_back(before)),
            Err(unfit) => {
                self.engines.workshop.give_back(unfit);
                self.refuse(slice, now);
                return;
            }
        }
        self.engines.counters.adopted += 1;
        self.engines.touch(engine);
        self.chain.slice_mut(slice).sigma_oldest_anchored = sigma_oldest;
        let market = self.market(slice, now);
        for slot in covered..self.engines.engines[at].covered() {
            let instrument = self.engines.engines[at].term(slot).instrument;
            if let Some(row) = self.chain.find(instrument) {
                self.move_row(row, slice, Some((engine, slot as u16)), &market);
            }
        }
        self.nets[self.chain.slices()[slice].underlying.index()].is_aged = true;
    }

    /// Sends an expiry that no engine can hold back to rows, for good.
    fn refuse(&mut self, slice: usize, now: Nanos) {
        self.chain.slice_mut(slice).is_refused = true;
        self.give_up(slice, now);
    }
}

impl Engines {
    /// Values lanes exactly.
    #[cold]
    fn value(&mut self, missed: Lanes, spot: f64, now: Nanos) {
        for at in each(missed) {
            self.exact[at] = self.engines[at].exact(self.panel.ratio(at) * spot, now);
        }
    }

    /// Adds what engines said exactly where their lanes show nothing.
    fn add_missed(&self, missed: Lanes, options: &mut Options) {
        for at in each(missed) {
            let exact = &self.exact[at];
            options.delta += exact.delta;
            options.log_gamma += exact.log_gamma;
            options.error += exact.error;
        }
    }

    /// Brings lanes up to date with their engines.
    fn show(&mut self, changed: Lanes, ln_spot: LnParts) {
        self.unshown &= !changed;
        for at in each(changed) {
            let certainty = self.engines[at].show(&mut self.panel, at, ln_spot);
            self.certainty.set(at, certainty);
        }
    }
}
