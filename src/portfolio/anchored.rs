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
use super::convention::Convention;
use super::engine::{Certainty, Engine, NoRoom, Options, ROWS};
use super::generation::{Centre, Generation, Term, Ticket};
use super::holding::Holding;
use super::rebuild::{PATIENCE_NS, REQUESTS_MAX, Rebuilds, Workshop};
use crate::pricing::anchor::{PANEL_LANES, Panel};
use crate::pricing::settlement::{WINDOW_YEARS, variance_years};
use crate::surface::SETTLEMENT_NS;
use crate::surface::chain::Row;
use crate::units::{Nanos, UnderlyingId};

/// Expiries that engines can value at a time; the rest are valued row by row.
pub const ENGINES_MAX: usize = 64;
/// Requests made at one clock event.
const REQUESTS_A_CLOCK: usize = 4;

pub(super) const GROUPS: usize = ENGINES_MAX / PANEL_LANES;
const BUFFERS_MAX: usize = ENGINES_MAX + REQUESTS_MAX;
const FREE: u8 = u8::MAX;

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

/// The engines, which lane of the panel each one has, and their buffers.
#[derive(Debug)]
pub(super) struct Engines {
    pub(super) engines: Box<[Engine]>,
    panel: Panel<ROWS>,
    workshop: Workshop<BUFFERS_MAX>,
    /// How many engines may be in use at a time.
    engines_max: usize,
    /// Which underlying each group of lanes belongs to.
    owners: [u8; GROUPS],
    /// Lanes in use, and those of them that were inside their window at the last evaluation.
    taken: [u8; GROUPS],
    inside: [u8; GROUPS],
    /// Lanes that no longer show what their engine holds, and groups to be evaluated afresh.
    unshown: [u8; GROUPS],
    unevaluated: u8,
    certainty: Box<[Certainty]>,
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
            panel: Panel::new(GROUPS),
            workshop: Workshop::new(rebuilds, engines_max + REQUESTS_MAX, options),
            engines_max,
            owners: [FREE; GROUPS],
            taken: [0; GROUPS],
            inside: [0; GROUPS],
            unshown: [0; GROUPS],
            unevaluated: 0,
            certainty: vec![Certainty::default(); ENGINES_MAX].into_boxed_slice(),
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
        let own = |at: &usize| self.owners[*at] == underlying.0 && self.taken[*at] != u8::MAX;
        let group = (0..GROUPS).find(own).or_else(|| (0..GROUPS).find(|&at| self.owners[at] == FREE))?;
        let lane = self.taken[group].trailing_ones() as usize;
        self.owners[group] = underlying.0;
        self.taken[group] |= 1 << lane;
        Some((group * PANEL_LANES + lane) as u8)
    }

    fn give_back(&mut self, engine: u8) {
        let (at, group, bit) = place(engine);
        if let Some(generation) = self.engines[at].clear() {
            self.workshop.give_back(generation);
        }
        self.panel.clear(at);
        (self.certainty[at], self.exact[at]) = (Certainty::default(), Options::default());
        self.taken[group] &= !bit;
        self.inside[group] &= !bit;
        self.unshown[group] &= !bit;
        self.unevaluated |= 1 << group;
        if self.taken[group] == 0 {
            self.owners[group] = FREE;
        }
    }

    /// Notes that a lane no longer shows what its engine holds.
    fn touch(&mut self, engine: u8) {
        let (_, group, bit) = place(engine);
        self.unshown[group] |= bit;
        self.unevaluated |= 1 << group;
    }

    /// Lets a lane follow the forward of its expiry.
    fn set_ratio(&mut self, engine: u8, ratio: f64) {
        self.panel.set_ratio(usize::from(engine), ratio);
        self.unevaluated |= 1 << place(engine).1;
    }

    /// Groups of lanes that an underlying has.
    fn groups_of(&self, underlying: UnderlyingId) -> impl Iterator<Item = usize> {
        let owners = self.owners;
        (0..GROUPS).filter(move |&group| owners[group] == underlying.0)
    }
}

/// An engine's index, its group of lanes, and its bit there.
fn place(engine: u8) -> (usize, usize, u8) {
    let at = usize::from(engine);
    (at, at / PANEL_LANES, 1 << (at % PANEL_LANES))
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

    /// Evaluates an underlying's anchors at its spot: those of every group, or only of groups where something changed.
    pub(super) fn evaluate(&mut self, underlying: UnderlyingId, now: Nanos, is_all: bool) {
        let spot = self.nets[underlying.index()].spot;
        let (mut options, mut is_changed, mut has_missed) = (Options::default(), false, false);
        for group in 0..GROUPS {
            let engines = &mut self.engines;
            if engines.owners[group] != underlying.0 {
                continue;
            }
            let is_stale = engines.unevaluated & (1 << group) != 0;
            if is_stale {
                engines.show(group);
            }
            if is_all || is_stale {
                let inside = engines.panel.evaluate(group, spot);
                is_changed |= is_stale || inside != engines.inside[group];
                engines.inside[group] = inside;
                engines.unevaluated &= !(1 << group);
                let mut missed = engines.taken[group] & !engines.inside[group];
                while missed != 0 {
                    let at = group * PANEL_LANES + missed.trailing_zeros() as usize;
                    missed &= missed - 1;
                    let forward = engines.panel.ratio(at) * spot;
                    engines.exact[at] = engines.engines[at].exact(forward, now);
                }
            }
            has_missed |= engines.taken[group] != engines.inside[group];
            let said = engines.panel.sum(group);
            (options.delta, options.log_gamma) = (options.delta + said.0, options.log_gamma + said.1);
        }
        if has_missed {
            self.engines.add_missed(underlying, &mut options);
        }
        let net = &mut self.nets[underlying.index()];
        net.options = options;
        if is_changed {
            net.certainty = self.engines.certainty_of(underlying);
        }
    }

    /// Whether something changed in an underlying's lanes since they were evaluated.
    pub(super) fn has_unevaluated(&self, underlying: UnderlyingId) -> bool {
        let unevaluated = self.engines.unevaluated;
        unevaluated != 0 && self.engines.groups_of(underlying).any(|group| unevaluated & (1 << group) != 0)
    }

    /// Bound on the error of an underlying's anchored options.
    pub(super) fn options_error(&self, underlying: UnderlyingId, now: Nanos) -> f64 {
        let net = &self.nets[underlying.index()];
        let Certainty { at_epoch, per_ns, until } = net.certainty;
        if now <= until {
            return net.options.error + at_epoch + per_ns * now.0 as f64;
        }
        let engines = &self.engines;
        let lanes = engines.groups_of(underlying).flat_map(|group| {
            let inside = engines.inside[group];
            (0..PANEL_LANES).filter(move |i| inside & (1 << i) != 0).map(move |i| group * PANEL_LANES + i)
        });
        net.options.error + lanes.map(|at| engines.engines[at].shown_error(now)).sum::<f64>()
    }

    /// Bound on the error of what an expiry's engine says.
    pub(super) fn engine_error(&self, engine: u8, now: Nanos) -> f64 {
        let (at, group, bit) = place(engine);
        if self.engines.inside[group] & bit != 0 {
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
        self.nets[own.underlying.index()].certainty = self.engines.certainty_of(own.underlying);
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
    /// Adds what engines said exactly where their lanes show nothing.
    fn add_missed(&self, underlying: UnderlyingId, options: &mut Options) {
        for group in self.groups_of(underlying) {
            let missed = self.taken[group] & !self.inside[group];
            for i in (0..PANEL_LANES).filter(|i| missed & (1 << i) != 0) {
                let exact = &self.exact[group * PANEL_LANES + i];
                options.delta += exact.delta;
                options.log_gamma += exact.log_gamma;
                options.error += exact.error;
            }
        }
    }

    /// How far an underlying's lanes inside their windows can be wrong together.
    fn certainty_of(&self, underlying: UnderlyingId) -> Certainty {
        let mut sum = Certainty { until: Nanos(u64::MAX), ..Certainty::default() };
        for group in self.groups_of(underlying) {
            for i in (0..PANEL_LANES).filter(|i| self.inside[group] & (1 << i) != 0) {
                let one = &self.certainty[group * PANEL_LANES + i];
                sum.at_epoch += one.at_epoch;
                sum.per_ns += one.per_ns;
                sum.until = sum.until.min(one.until);
            }
        }
        sum
    }

    /// Brings a group's lanes up to date with their engines.
    fn show(&mut self, group: usize) {
        let mut unshown = std::mem::take(&mut self.unshown[group]);
        while unshown != 0 {
            let at = group * PANEL_LANES + unshown.trailing_zeros() as usize;
            unshown &= unshown - 1;
            self.certainty[at] = self.engines[at].show(&mut self.panel, at);
        }
    }
}
