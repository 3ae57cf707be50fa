//! A second witness of executions: a session that sends nothing, and hears what the account trades. Cold.
//!
//! ```text
//!   venue ══ order session ══► gateway ─► greeks ─► hedge          recorder ──executions, listings──┐
//!     ║                                     ▲                                                       ▼
//!     ╚═════ drop copy ═══════════════════════════ bytes ══════════════════════════════════► comparison
//!                                           └──── a kill, or what the session did not tell ◄────────┘
//! ```
//!
//! In: what the drop copy shows, and what the recorder saw the stages take. Out: where they differ, a notice and, as
//! [`Policy`] says, a halt; or the execution itself, put into the greeks' one ordered input like a report of the session,
//! which then counts for a repetition. What cannot be adopted (an execution that the drop copy does not show, or shows
//! otherwise) pauses trading for a person to look.
//!
//! The session is a [`Gateway`] that is given listings and no orders. Orders of others on the account are passed over by
//! their numbers. Bytes are read a turn after they came, so that the listing which the order needed has been heard of.
//!
//! Failure: a connection that is lost is made again, and nothing is expected of the drop copy meanwhile. What there is no
//! room for between the recorder and this thread is lost to the comparison, which is a difference.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use super::clock::StampClock;
use super::connection::Connection;
use super::control::Controls;
use super::observer::Show;
use super::socket::OrderAddress;
use crate::event::{Body, Event, KillCause, KillLevel, Operator};
use crate::gateway::Gateway;
use crate::gateway::fix::FixConfig;
use crate::journal::recovery::Policy;
use crate::order::{ClientOrderIds, Comparison, ComparisonCounters, Difference, Execution, Teller};
use crate::risk::Instruction;
use crate::telemetry::live::DropCopyShown;
use crate::units::Nanos;

/// Messages that may wait between the recorder and this thread.
const NOTES_MAX: usize = 1 << 13;
/// Between two turns.
const NAP: Duration = Duration::from_millis(2);
/// Differences that are described; all are counted.
const DESCRIBED_MAX: usize = 64;
/// Orders of ours began at most so long before this run.
const OLDEST_S: u64 = 366 * 86_400;

/// How a pipeline listens to a drop copy.
#[derive(Clone, Debug)]
pub struct DropCopyConfig {
    /// Where.
    pub address: OrderAddress,
    /// The session, which is not to be one that trades.
    pub session: FixConfig,
    /// How long the order session or the drop copy may take to tell what the other has.
    pub patience_ns: u64,
    /// What follows from a difference.
    pub on_difference: Policy,
}

/// What a drop copy came to.
#[derive(Clone, Debug, Default)]
pub struct DropCopySummary {
    /// What was compared.
    pub counters: ComparisonCounters,
    /// Executions of orders that are not ours.
    pub foreign: u64,
    /// Executions of the order session's that were lost on the way to the comparison, if any.
    pub is_incomplete: bool,
    /// Whether the session came up.
    pub was_up: bool,
    /// Differences, described.
    pub differences: Vec<String>,
}

impl DropCopySummary {
    /// What makes a run fail: a witness that saw nothing, or saw otherwise.
    pub fn fault(&self) -> Option<String> {
        let counted = self.counters.differences();
        if let Some(first) = self.differences.first() {
            return Some(format!("the drop copy and the order session differ {counted} times, first: {first}"));
        }
        if self.is_incomplete {
            return Some("executions were lost on the way to the comparison with the drop copy".to_owned());
        }
        (!self.was_up).then(|| "the session of the drop copy never came up: nothing was compared".to_owned())
    }
}

/// What the recorder tells.
#[derive(Clone, Copy, Debug)]
enum Note {
    Listing(Instruction),
    Execution(Execution),
}

/// The recorder's end.
#[derive(Debug)]
pub(super) struct Notes {
    notes: SyncSender<Note>,
    is_incomplete: Arc<AtomicBool>,
}

impl Notes {
    /// An event that left the greeks.
    pub(super) fn event(&self, event: &Event) {
        if let Some(execution) = Execution::of(&event.body) {
            self.tell(Note::Execution(execution));
        }
    }

    /// An instruction that left the hedge.
    pub(super) fn instruction(&self, instruction: &Instruction) {
        if matches!(instruction, Instruction::Reference { .. }) {
            self.tell(Note::Listing(*instruction));
        }
    }

    fn tell(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.is_incomplete.store(true, Ordering::Release);
        }
    }
}

/// The witness on its thread.
#[derive(Debug)]
pub(super) struct DropCopy {
    gateway: Gateway,
    connection: Connection,
    heard: Vec<Event>,
    notes: Receiver<Note>,
    is_incomplete: Arc<AtomicBool>,
    comparison: Comparison,
    patience_ns: u64,
    policy: Policy,
    /// Seconds at which the processes began whose orders are ours.
    ours: std::ops::RangeInclusive<u64>,
    controls: Arc<Controls>,
    clock: StampClock,
    show: Show<DropCopyShown>,
    summary: DropCopySummary,
}

/// Both ends, for a run that began at this second.
pub(super) fn join(
    config: DropCopyConfig,
    started_s: u32,
    controls: Arc<Controls>,
    clock: StampClock,
    show: Show<DropCopyShown>,
) -> (Notes, DropCopy) {
    let (sender, receiver) = sync_channel(NOTES_MAX);
    let is_incomplete = Arc::new(AtomicBool::new(false));
    let notes = Notes { notes: sender, is_incomplete: Arc::clone(&is_incomplete) };
    let started_s = u64::from(started_s);
    let drop_copy = DropCopy {
        gateway: Gateway::new(FixConfig { cancel_on_disconnect: false, ..config.session }),
        connection: Connection::new(config.address),
        heard: Vec::new(),
        notes: receiver,
        is_incomplete,
        comparison: Comparison::new(config.patience_ns),
        patience_ns: config.patience_ns,
        policy: config.on_difference,
        ours: started_s.saturating_sub(OLDEST_S)..=started_s,
        controls,
        clock,
        show,
        summary: DropCopySummary::default(),
    };
    (notes, drop_copy)
}

impl DropCopy {
    /// Listens until the recorder is gone and the drop copy has had its patience with what it told last, or everything is to
    /// be left as it is.
    pub(super) fn run(mut self, is_abandoned: impl Fn() -> bool) -> DropCopySummary {
        let mut parting = None;
        while !is_abandoned() {
            let now = self.clock.now();
            if !self.turn(now) {
                parting.get_or_insert(now);
            }
            // One nap more than the patience, which then is over for all that waits.
            let is_over = |began: Nanos| now.since(began) > self.patience_ns + NAP.as_nanos() as u64;
            if parting.is_some_and(|began| !self.comparison.is_waiting() || is_over(began)) {
                break;
            }
            thread::sleep(NAP);
        }
        self.summary.counters = *self.comparison.counters();
        self.summary.is_incomplete = self.is_incomplete.load(Ordering::Acquire);
        self.gateway.log_out(self.clock.now());
        self.write();
        self.summary
    }

    /// Hears what there is from both; false once the recorder is gone.
    fn turn(&mut self, now: Nanos) -> bool {
        let is_recorded = self.hear_session(now);
        self.gateway.tick(now, &mut self.heard);
        self.take(now);
        self.read();
        self.write();
        self.tend(now);
        let is_whole = self.connection.connected && self.gateway.ready();
        self.summary.was_up |= is_whole;
        self.comparison.drop_copy_is(is_whole, now);
        while let Some(difference) = self.comparison.overdue(now) {
            self.act(&difference);
        }
        self.show.turn(now, || DropCopyShown::of(self.comparison.counters(), self.summary.foreign, is_whole));
        is_recorded
    }

    fn hear_session(&mut self, now: Nanos) -> bool {
        loop {
            match self.notes.try_recv() {
                Ok(Note::Listing(listing)) => self.gateway.step(&listing, now, &mut self.heard),
                Ok(Note::Execution(execution)) => self.compare(Teller::Session, execution, now),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Reads the whole messages among the bytes that came before this turn.
    fn take(&mut self, now: Nanos) {
        let taken = self.gateway.receive(self.connection.unread(), now, &mut self.heard);
        self.connection.consume(taken);
        for event in std::mem::take(&mut self.heard) {
            let Some(execution) = Execution::of(&event.body) else { continue };
            if self.ours.contains(&ClientOrderIds::began_s(execution.order())) {
                self.compare(Teller::DropCopy, execution, now);
            } else {
                self.summary.foreign += 1;
            }
        }
    }

    fn compare(&mut self, teller: Teller, execution: Execution, now: Nanos) {
        if let Some(difference) = self.comparison.hear(teller, execution, now) {
            self.act(&difference);
        }
    }

    fn act(&mut self, difference: &Difference) {
        if self.summary.differences.len() < DESCRIBED_MAX {
            self.summary.differences.push(Described(difference).to_string());
        }
        let kill = |level| self.controls.command(level, KillCause::DropCopy, Operator::NOBODY);
        // A ring of commands that is full has a kill in it, or soon will: sixty-four do not wait unheard.
        let _is_sent = match (self.policy, difference) {
            (Policy::Halt, _) => kill(KillLevel::Halt),
            (Policy::Adopt, Difference::Untold { by: Teller::Session, execution }) => {
                self.controls.tell(execution.body()) || kill(KillLevel::Pause)
            }
            (Policy::Adopt, _) => kill(KillLevel::Pause),
        };
    }

    fn write(&mut self) {
        let pending = self.gateway.pending();
        let (Some(socket), false) = (&mut self.connection.socket, pending.is_empty()) else { return };
        match socket.write(pending) {
            Ok(written) => self.gateway.written(written, self.clock.ticks(), &mut self.heard),
            Err(_) => self.lose(),
        }
    }

    fn read(&mut self) {
        if self.connection.read().is_err() {
            self.lose();
        }
    }

    /// Connects, and gives up a session that is broken.
    fn tend(&mut self, now: Nanos) {
        if self.gateway.ready() {
            self.connection.attempts.succeeded();
        }
        if self.connection.socket.is_none() {
            if self.connection.attempts.is_due(now) {
                self.connection.open(now, |_| Ok(()));
            }
            return;
        }
        if self.connection.is_established_now() {
            self.gateway.connected(now);
        } else if self.gateway.wants_disconnect() {
            self.lose();
        }
    }

    /// The connection is gone; another one is tried later.
    fn lose(&mut self) {
        let now = self.clock.now();
        if self.connection.lose(now) {
            self.gateway.disconnected(now, &mut self.heard);
        }
    }
}

/// A difference in words.
struct Described<'a>(&'a Difference);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Difference::Untold { by, execution } => {
                write!(f, "{} has not told of {}", by.name(), Words(&execution.body()))
            }
            Difference::Contradicted { session, drop_copy } => {
                write!(f, "the drop copy shows {} as {}", Words(&session.body()), Words(&drop_copy.body()))
            }
            Difference::Overrun(execution) => {
                write!(f, "too many executions wait for a second telling to compare {}", Words(&execution.body()))
            }
        }
    }
}

/// An execution in words.
struct Words<'a>(&'a Body);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, (order, execution, instrument, side, price, lots)) = match *self.0 {
            Body::Filled { order, execution, instrument, side, price, lots } => {
                ("execution", (order, execution, instrument, side, price, lots))
            }
            Body::Busted { order, execution, instrument, side, price, lots } => {
                ("the taking back of execution", (order, execution, instrument, side, price, lots))
            }
            _ => return Ok(()),
        };
        let (execution, order, side, instrument) =
            (execution.0, order.0, format!("{side:?}").to_lowercase(), instrument.0);
        write!(f, "{what} {execution} of order {order}: {side} {lots} lots of instrument {instrument} at {price}")
    }
}
