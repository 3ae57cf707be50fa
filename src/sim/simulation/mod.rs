//! The live stages under faults, on one thread, from one seed.
//!
//! ```text
//!            ┌────────── lines (loss, doubles, order, damage) ─────────┐
//!   venue ───┤                                                         ├──► process (the live stages)
//!            └────────── wire (breaks, tears, half-open, slow) ────────┘
//!      ▲                                                                         │
//!      └──────────────────── checkers watch all of it ───────────────────────────┘
//! ```
//!
//! Time moves in steps of a millisecond. First the safety phase: faults strike, and nothing wrong may be done whatever
//! happens. Then the faults cease, the pipeline has time to recover, the market stands still, and everything has to be as
//! it should: session up, orders terminal, books and positions the venue's, exposure inside its band.
//!
//! A run is a function of its [`Options`]: same options, same digest, bit for bit.

mod dice;
mod faults;
mod inflict;
mod lines;
mod options;
mod search;
mod setup;
mod wire;

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

pub use faults::{Counts, Fault, Rate};
pub use options::{Options, OptionsError};
#[cfg(feature = "canary")]
pub use search::catch;
pub use search::{Search, Tally, shrink};

use super::checkers::{Checkers, Violation};
use super::process::{Process, ProcessConfig};
use super::venue::Venue;
use crate::event::{Body, Event, KillCause, KillLevel, Operator, Trail};
use crate::hedge::program::HEDGES_MAX;
use crate::hedge::{HedgeConfig, Policy};
use crate::portfolio::{GreeksConfig, OpeningBook};
use crate::runtime::Stamp;
use crate::units::{Nanos, ONE_E9, Ticks};
use dice::Dice;
use inflict::{HEDGE, TIGHT_NOTIONAL, WHIMS};
use lines::Lines;
use wire::Wire;

/// One step of the simulation, nanoseconds.
const STEP_NS: u64 = Nanos::PER_MILLI;
/// How often the surface has its turn, steps.
const SURFACE_EVERY: u64 = 5;
/// The market stands still for the last part of the run, nanoseconds.
const STILL_NS: u64 = 3 * Nanos::PER_SECOND;
/// For so long the hedge has nothing left to do, nanoseconds.
const REST_NS: u64 = Nanos::PER_SECOND;
/// Instructions and reports that tiny rings hold.
const TINY: usize = 4;
/// Lines of the trace kept for a failure.
const TRACE: usize = 24;

/// A counter that stands still: latency is no part of a simulation.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClock;

impl Stamp for NoClock {
    fn ticks(&self) -> Ticks {
        Ticks::default()
    }
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was run.
    pub options: Options,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// How often each fault struck.
    pub injected: Counts,
    /// Events that the greeks consumed.
    pub events: u64,
    /// Orders that reached the venue.
    pub orders: u64,
    /// Simulated time.
    pub simulated_ns: u64,
    /// SHA-256 of every byte that was sent on the order connection.
    pub digest: String,
    /// The last things that happened, oldest first.
    pub trace: Vec<String>,
}

/// Runs what the options say.
pub fn run(options: &Options) -> Outcome {
    World::new(options).run()
}

/// Everything there is.
struct World {
    options: Options,
    dice: Dice,
    venue: Venue,
    lines: Lines,
    wire: Wire,
    greeks: GreeksConfig,
    hedge: HedgeConfig,
    process: Option<Process<NoClock>>,
    checkers: Checkers,
    /// Bytes of the venue that the gateway has not taken yet.
    inbox: Vec<u8>,
    start: Nanos,
    now: Nanos,
    /// Our clock beside the true one, nanoseconds.
    ahead_ns: i64,
    /// The latest time it showed before it was set back.
    shown: Nanos,
    /// When the process is there again, the connection may be tried again, threads run again.
    process_back: Nanos,
    connect_at: Nanos,
    refused_until: Nanos,
    stalled_until: Nanos,
    surface_until: Nanos,
    gateway_until: Nanos,
    /// When a wrong secret is corrected, and whether the process has it.
    corrected_at: Nanos,
    is_wrong: bool,
    /// When a person asks the venue to end what its protection froze.
    thaw_at: Option<Nanos>,
    /// The kill switch is thrown when an order next waits for the socket.
    kill_due: bool,
    /// How the connection breaks when an order next waits for the socket.
    drop_due: Option<Fault>,
    starts: u32,
    sent: Sha256,
    trace: VecDeque<String>,
}

impl World {
    fn new(options: &Options) -> Self {
        let dice = Dice::new(options);
        let config = setup::venue(options, &dice);
        let start = config.start;
        let venue = Venue::new(config).expect("the book is drawn from what is listed");
        let (greeks, mut hedge) = (GreeksConfig::default(), HedgeConfig::default());
        if options.program {
            hedge.policy = Policy::Program;
        }
        if dice.is_on(Fault::TightLimits) {
            hedge.limits.position_notional_max_e9 = TIGHT_NOTIONAL * ONE_E9;
        }
        let mut world = Self {
            checkers: Checkers::new(&greeks, &hedge, options.orders).hearing(options.feed),
            options: options.clone(),
            dice,
            venue,
            lines: Lines::new(options, start),
            wire: Wire::new(options.orders),
            greeks,
            hedge,
            process: None,
            inbox: Vec::new(),
            start,
            now: start,
            ahead_ns: 0,
            shown: Nanos(0),
            process_back: start,
            connect_at: start,
            refused_until: start,
            stalled_until: start,
            surface_until: start,
            gateway_until: start,
            corrected_at: start,
            is_wrong: false,
            thaw_at: None,
            kill_due: false,
            drop_due: None,
            starts: 0,
            sent: Sha256::new(),
            trace: VecDeque::with_capacity(TRACE),
        };
        if world.dice.is_on(Fault::WrongSecret) {
            world.corrected_at.0 += world.dice.wait_ns(100, 2_000);
        }
        world.checkers.journal.durability = options.durability;
        world
    }

    fn run(mut self) -> Outcome {
        let faulty_ns = u64::from(self.options.faulty_s) * Nanos::PER_SECOND;
        let heal_ns = u64::from(self.options.heal_s) * Nanos::PER_SECOND;
        for step in 1..=(faulty_ns + heal_ns) / STEP_NS {
            self.now = Nanos(self.start.0 + step * STEP_NS);
            let elapsed = step * STEP_NS;
            if self.dice.faulty && elapsed >= faulty_ns {
                self.heal();
            }
            let left = faulty_ns + heal_ns - elapsed;
            if left == STILL_NS {
                self.venue.freeze();
            }
            if left == REST_NS {
                self.checkers.may_rest();
            }
            self.strike();
            self.advance_venue();
            self.advance_process(step);
            if !self.checkers.findings.violations.is_empty() {
                break;
            }
        }
        self.finish()
    }

    fn finish(mut self) -> Outcome {
        match &self.process {
            Some(process) if self.checkers.findings.violations.is_empty() => {
                self.checkers.healed(process, &self.venue);
            }
            Some(_) => {}
            None => self.checkers.findings.add(0, || "the process never came back".to_owned()),
        }
        self.checkers.ended();
        Outcome {
            violations: self.checkers.findings.violations.clone(),
            injected: self.dice.injected(),
            events: self.checkers.events(),
            orders: self.venue.statement().orders,
            simulated_ns: self.now.since(self.start),
            digest: self.sent.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            trace: self.trace.into(),
            options: self.options,
        }
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        let at = self.now.since(self.start) as f64 / Nanos::PER_SECOND as f64;
        self.trace.push_back(format!("{at:>8.3} {}", what()));
    }

    fn advance_venue(&mut self) {
        if self.lines.may_mislead(self.now) {
            self.count_anew(None);
        }
        let Self { venue, lines, dice, checkers, now, .. } = self;
        while let Some(bytes) = self.wire.at_venue(*now) {
            venue.receive(&bytes, *now);
        }
        venue.advance(*now, &mut |channel, bytes| {
            checkers.published(channel, bytes);
            lines.publish(*now, channel, bytes, dice);
        });
        self.wire.answer(*now, venue.outgoing(), dice);
        for (fault, whim) in WHIMS {
            let came_true = self.venue.came_true(whim);
            self.struck(fault, came_true);
        }
        if self.wire.lost_both_ways() {
            self.struck(Fault::LostBothWays, true);
            self.close();
        }
        if self.venue.wants_close() {
            self.note(|| "the venue closes the connection".to_owned());
            self.close();
        }
    }

    fn advance_process(&mut self, step: u64) {
        if self.is_wrong && self.now >= self.corrected_at {
            self.crash();
        }
        if self.process.is_none() && self.now >= self.process_back {
            self.start_process();
        }
        if self.process.is_none() {
            self.lines.discard(self.now);
        }
        if self.now < self.stalled_until || self.process.is_none() {
            return;
        }
        self.connect();
        if self.thaw_at.take_if(|at| *at <= self.now).is_some() {
            self.command(Body::Thaw { by: Operator::NOBODY });
        }
        let time = self.ours();
        let Some(process) = &mut self.process else { return };
        let watch = &mut self.checkers;
        while let Some(datagram) = self.lines.arrived(self.now) {
            process.packet_on(datagram.line, time, datagram.port, &datagram.bytes, watch);
            ask_again(process, &mut self.venue, &mut self.lines, &mut self.dice, self.now);
        }
        process.clock(time, watch);
        ask_again(process, &mut self.venue, &mut self.lines, &mut self.dice, self.now);
        if step.is_multiple_of(SURFACE_EVERY) && self.now >= self.surface_until {
            process.calibrate(watch);
        }
        if self.now >= self.gateway_until {
            self.gateway_turn(time);
        }
        let Some(process) = &mut self.process else { return };
        process.deliver(&mut self.checkers);
        self.checkers.look(process);
        // What a pipeline does whose journal can be written no more.
        if self.checkers.journal.fails() {
            self.note(|| "the journal fails".to_owned());
            self.command(Body::Kill { level: KillLevel::Halt, cause: KillCause::Journal, by: Operator::NOBODY });
        }
    }

    /// The gateway's thread: takes instructions, writes, reads, notices the time.
    fn gateway_turn(&mut self, time: Nanos) {
        let Some(process) = &mut self.process else { return };
        process.dispatch(time, &mut self.checkers);
        if self.kill_due && !process.pending().is_empty() && process.hedge().store().open_orders() > 0 {
            self.kill_due = false;
            self.throw(&[KillLevel::ReduceOnly, KillLevel::Flatten, KillLevel::Pause]);
            self.struck(Fault::KillInFlight, true);
        }
        let Some(process) = &mut self.process else { return };
        process.tick(time);
        if self.wire.is_sound()
            && !process.pending().is_empty()
            && process.hedge().store().open_orders() > 0
            && let Some(fault) = self.drop_due.take()
        {
            self.break_at_send(fault);
        }
        let Some(process) = &mut self.process else { return };
        if self.wire.is_up() {
            let taken = self.wire.write(self.now, process.pending(), &mut self.dice);
            self.sent.update(&process.pending()[..taken]);
            let is_shut = process.gateway().level() >= KillLevel::Pause;
            self.checkers.sent(&process.pending()[..taken], is_shut);
            process.written(taken);
            while let Some(bytes) = self.wire.at_client(self.now) {
                self.inbox.extend_from_slice(&bytes);
            }
            let taken = process.receive(&self.inbox, time);
            self.inbox.drain(..taken);
            if process.gateway().wants_disconnect() {
                let why = process.gateway().disconnect_reason();
                self.note(|| format!("the gateway closes the connection: {why:?}"));
                self.close();
            }
        }
    }

    /// What our clock shows.
    fn ours(&self) -> Nanos {
        Nanos(self.now.0.saturating_add_signed(self.ahead_ns))
    }

    fn connect(&mut self) {
        if self.wire.is_up() || self.now < self.connect_at || self.now < self.refused_until {
            return;
        }
        let time = self.ours();
        if let Some(process) = &mut self.process {
            self.venue.connect(self.now);
            self.wire.open();
            process.connected(time);
            self.note(|| "connected".to_owned());
        }
    }

    /// The connection ends, for both; false when there is none.
    fn close(&mut self) -> bool {
        if !self.wire.is_up() {
            return false;
        }
        let last = self.wire.close(&mut self.dice);
        self.venue.receive(&last, self.now);
        self.venue.disconnect(self.now);
        self.venue.outgoing().clear();
        self.inbox.clear();
        self.checkers.disconnected();
        let time = self.ours();
        if let Some(process) = &mut self.process {
            process.disconnected(time);
        }
        self.connect_at = Nanos(self.now.0 + self.dice.wait_ns(10, 500));
        self.note(|| "disconnected".to_owned());
        true
    }

    /// Whether the gateway could read a report on the hedge. One on what it was never told of is lost to it, and it says so.
    fn knows_the_hedge(&mut self) -> bool {
        let name = &self.venue.universe().contracts[HEDGE].name;
        let knows = |process: &mut Process<NoClock>| {
            process.feed().find(name).is_some() && process.waiting() == 0 && process.gateway().ready()
        };
        self.process.as_mut().is_some_and(knows)
    }

    /// The operator chooses one of these levels.
    fn throw(&mut self, levels: &[KillLevel]) {
        let level = levels[self.dice.random.below(levels.len() as u64) as usize];
        self.command(kill(level));
    }

    fn command(&mut self, body: Body) {
        let event = Event { trail: Trail::default(), time: self.ours(), body };
        if let Some(process) = &mut self.process {
            process.command(&event, &mut self.checkers);
        }
    }

    /// The process dies; false when there is none.
    fn crash(&mut self) -> bool {
        let was_there = self.process.take().is_some();
        if was_there {
            self.close();
            self.checkers.ended();
            self.process_back = Nanos(self.now.0 + self.dice.wait_ns(50, 3_000));
        }
        was_there
    }

    /// A process starts with the positions that the venue knows of, and goes on from its numbers: every order of the one before
    /// died with its connection, and what is reported from here on is told at the next logon.
    fn start_process(&mut self) {
        self.starts += 1;
        let positions = self.venue.statement().positions;
        let positions = positions.into_iter().map(|position| (position.instrument, position.lots)).collect();
        self.greeks.opening = OpeningBook::Positions(positions);
        self.hedge.started_s = (self.start.0 / Nanos::PER_SECOND) as u32 + self.starts;
        self.is_wrong = self.now < self.corrected_at;
        self.dice.count(Fault::WrongSecret, self.is_wrong);
        let session = setup::session(&self.options, self.is_wrong);
        let session = if self.starts > 1 { session.resuming(self.venue.client_numbers()) } else { session };
        let mut config = ProcessConfig::new(self.greeks.clone(), self.hedge, session);
        config.feed = setup::feed(self.options.feed);
        if self.dice.is_on(Fault::TinyRings) {
            config.instructions_max = if self.options.program { 2 * HEDGES_MAX } else { TINY };
            config.reports_max = TINY;
        }
        for fault in [Fault::TinyRings, Fault::Throttle, Fault::TightLimits] {
            let is_on = self.dice.is_on(fault);
            self.dice.count(fault, is_on);
        }
        self.checkers.started(&self.greeks, &self.hedge);
        self.process = Some(Process::new(config, NoClock));
        self.inbox.clear();
        let starts = self.starts;
        self.note(|| format!("process {starts} starts"));
    }
}

/// Takes what the feed asks for to the venue, and what the venue answers to the lines.
fn ask_again(process: &mut Process<NoClock>, venue: &mut Venue, lines: &mut Lines, dice: &mut Dice, now: Nanos) {
    if let Some(request) = process.take_request() {
        if dice.strikes(Fault::ResendRefused) {
            venue.forget();
        }
        venue.resend(&request, now, &mut |bytes| {
            if !dice.strikes(Fault::ResendLoss) {
                lines.answer(now, bytes);
            }
        });
    }
}

/// What a person at the controls asks for.
fn kill(level: KillLevel) -> Body {
    Body::Kill { level, cause: KillCause::Operator, by: Operator::NOBODY }
}

#[cfg(test)]
mod tests;
