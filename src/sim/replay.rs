//! A capture through the live stages, on one thread and by the capture's own clock: the same packets give the same orders.
//!
//! ```text
//!  datagram ─► process ─bytes─► paper venue
//!                ▲                │
//!                └─────bytes──────┘
//! ```
//!
//! After each datagram everything it caused runs to its end before the next one is read. Orders meet the paper venue, so
//! fills, positions and the band are those of a desk whose every order found the displayed size.

use super::paper::PaperVenue;
use super::process::{Process, ProcessConfig, Watch};
use crate::event::{Body, Event};
use crate::feed::Feed;
use crate::gateway::SessionConfig;
use crate::hedge::{Hedge, HedgeConfig};
use crate::portfolio::{Greeks, GreeksConfig};
use crate::risk::Instruction;
use crate::runtime::Stamp;
use crate::surface::Surface;
use crate::telemetry::Recorder;
use crate::units::Nanos;

/// Logical time between two clock events, nanoseconds.
const CLOCK_NS: u64 = 10 * Nanos::PER_MILLI;
/// How often orders and their reports go back and forth before the next datagram.
const ROUNDS_MAX: usize = 16;

/// A replay under way.
#[derive(Debug)]
pub struct Replay<C> {
    process: Process<C>,
    outside: Outside,
    next_clock: Nanos,
    connected: bool,
}

/// What stands around the stages.
#[derive(Debug)]
struct Outside {
    venue: PaperVenue,
    recorder: Recorder,
}

impl Watch for Outside {
    fn consumed(&mut self, event: &Event) {
        match event.body {
            Body::Forward { .. } | Body::Volatility { .. } => self.recorder.event(event),
            _ => self.venue.market(&event.body),
        }
    }

    fn valued(&mut self, event: &Event) {
        self.recorder.event(event);
    }

    fn decided(&mut self, instruction: &Instruction) {
        self.recorder.instruction(instruction);
    }

    fn dispatched(&mut self, _: &Instruction) {}
}

impl<C: Stamp> Replay<C> {
    /// Stages with these settings, stamped by `clock`, measured by `recorder`.
    pub fn new(greeks: GreeksConfig, hedge: HedgeConfig, session: SessionConfig, recorder: Recorder, clock: C) -> Self {
        Self {
            process: Process::new(ProcessConfig::new(greeks, hedge, session), clock),
            outside: Outside { venue: PaperVenue::new(), recorder },
            next_clock: Nanos::default(),
            connected: false,
        }
    }

    /// Takes a datagram and runs everything it causes to its end.
    pub fn datagram(&mut self, time: Nanos, port: u16, bytes: &[u8]) {
        if !self.connected {
            self.connected = true;
            self.process.connected(time);
            self.exchange(time);
        }
        if time >= self.next_clock {
            self.next_clock = Nanos(time.0 + CLOCK_NS);
            self.process.clock(time, &mut self.outside);
            self.settle(time);
        }
        self.process.packet(time, port, bytes, &mut self.outside);
        self.settle(time);
    }

    /// The feed and its counters.
    pub fn feed(&self) -> &Feed {
        self.process.feed()
    }

    /// The greeks.
    pub fn greeks(&self) -> &Greeks {
        self.process.greeks()
    }

    /// The hedge.
    pub fn hedge(&self) -> &Hedge {
        self.process.hedge()
    }

    /// The surface.
    pub fn surface(&self) -> &Surface {
        self.process.surface()
    }

    /// What was measured.
    pub fn recorder(&self) -> &Recorder {
        &self.outside.recorder
    }

    /// Messages that found a queue full: none, or the replay is not whole.
    pub fn lost(&self) -> u64 {
        self.process.lost()
    }

    /// Calibrates on what the feed said, then lets orders and reports go back and forth until nothing is left to say.
    fn settle(&mut self, time: Nanos) {
        self.process.calibrate(&mut self.outside);
        for _ in 0..ROUNDS_MAX {
            if !self.exchange(time) {
                break;
            }
        }
    }

    /// Sends what the hedge decided and takes the venue's answers; false when there was neither.
    fn exchange(&mut self, time: Nanos) -> bool {
        self.process.dispatch(time, &mut self.outside);
        let sent = self.outside.venue.receive(self.process.pending(), time);
        self.process.written(sent);
        let answered = self.outside.venue.outgoing();
        let taken = self.process.receive(answered, time);
        answered.drain(..taken);
        self.process.deliver(&mut self.outside)
    }
}
