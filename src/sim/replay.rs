//! A capture through the live stages, on one thread and by the capture's own clock: the same packets give the same orders.
//!
//! ```text
//!  datagram ─► feed → greeks → hedge ─► gateway ─bytes─► paper venue
//!               └─► surface ─► greeks     ▲                  │
//!               greeks ◄──── reports ◄────┴───────bytes──────┘
//! ```
//!
//! After each datagram everything it caused runs to its end before the next one is read. Orders meet the paper venue, so
//! fills, positions and the band are those of a desk whose every order found the displayed size.

use super::paper::PaperVenue;
use super::queue::Queue;
use crate::event::Event;
use crate::feed::{Feed, FeedConfig, Packet};
use crate::gateway::{Gateway, SessionConfig};
use crate::hedge::{Hedge, HedgeConfig};
use crate::portfolio::{Greeks, GreeksConfig};
use crate::risk::Instruction;
use crate::runtime::alloc::hot_section;
use crate::runtime::{Fused, Stamp};
use crate::stage::Stage;
use crate::surface::{Surface, SurfaceConfig};
use crate::telemetry::Recorder;
use crate::units::Nanos;

/// Messages one datagram may cause on each queue.
const QUEUE: usize = 1 << 14;
/// Logical time between two clock events, nanoseconds.
const CLOCK_NS: u64 = 10 * Nanos::PER_MILLI;
/// How often orders and their reports go back and forth before the next datagram.
const ROUNDS_MAX: usize = 16;

type Stages<C> = Fused<Queue<Instruction>, Queue<Event>, Queue<Event>, C>;

/// A replay under way.
#[derive(Debug)]
pub struct Replay<C> {
    stages: Stages<C>,
    surface: Surface,
    gateway: Gateway,
    venue: PaperVenue,
    recorder: Recorder,
    calibrations: Queue<Event>,
    reports: Queue<Event>,
    clock: C,
    next_clock: Nanos,
    connected: bool,
}

impl<C: Stamp> Replay<C> {
    /// Stages with these settings, stamped by `clock`, measured by `recorder`.
    pub fn new(greeks: GreeksConfig, hedge: HedgeConfig, session: SessionConfig, recorder: Recorder, clock: C) -> Self {
        let (feed, greeks, hedge) = (Feed::new(FeedConfig::default()), Greeks::new(greeks), Hedge::new(hedge));
        let (orders, market, exposures) =
            (Queue::with_capacity(QUEUE), Queue::with_capacity(QUEUE), Queue::with_capacity(QUEUE));
        Self {
            stages: Fused::new(feed, greeks, hedge, orders, market, exposures, clock),
            surface: Surface::new(SurfaceConfig::default()),
            gateway: Gateway::new(session),
            venue: PaperVenue::new(),
            recorder,
            calibrations: Queue::with_capacity(QUEUE),
            reports: Queue::with_capacity(QUEUE),
            clock,
            next_clock: Nanos::default(),
            connected: false,
        }
    }

    /// Takes a datagram and runs everything it causes to its end.
    pub fn datagram(&mut self, time: Nanos, port: u16, bytes: &[u8]) {
        if !self.connected {
            self.connected = true;
            self.gateway.connected(time);
            self.exchange(time);
        }
        if time >= self.next_clock {
            self.next_clock = Nanos(time.0 + CLOCK_NS);
            hot_section(|| self.stages.clock(time));
            self.settle(time);
        }
        let received = self.clock.ticks();
        hot_section(|| self.stages.packet(&Packet { time, received, port, bytes }));
        self.settle(time);
    }

    /// The feed and its counters.
    pub fn feed(&self) -> &Feed {
        self.stages.feed()
    }

    /// The greeks.
    pub fn greeks(&self) -> &Greeks {
        self.stages.greeks()
    }

    /// The hedge.
    pub fn hedge(&self) -> &Hedge {
        self.stages.hedge()
    }

    /// The surface.
    pub fn surface(&self) -> &Surface {
        &self.surface
    }

    /// What was measured.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Messages that found a queue full: none, or the replay is not whole.
    pub fn lost(&self) -> u64 {
        self.stages.tap_lost() + self.calibrations.refused + self.reports.refused
    }

    /// Calibrates on what the feed said, then lets orders and reports go back and forth until nothing is left to say.
    fn settle(&mut self, time: Nanos) {
        let (market, _) = self.stages.taps();
        for event in market.messages() {
            self.venue.market(&event.body);
            self.surface.step(event, &mut self.calibrations);
        }
        market.clear();
        for event in self.calibrations.messages() {
            self.recorder.event(event);
            hot_section(|| self.stages.event(event));
        }
        self.calibrations.clear();
        for _ in 0..ROUNDS_MAX {
            self.record();
            if !self.exchange(time) {
                break;
            }
            for report in self.reports.messages() {
                hot_section(|| self.stages.event(report));
            }
            self.reports.clear();
        }
    }

    /// Shows the recorder what left the greeks since the last look.
    fn record(&mut self) {
        let (_, exposures) = self.stages.taps();
        for event in exposures.messages() {
            self.recorder.event(event);
        }
        exposures.clear();
    }

    /// Sends what the hedge decided and takes the venue's answers; false when there was neither.
    fn exchange(&mut self, time: Nanos) -> bool {
        let orders = self.stages.instructions();
        for instruction in orders.messages() {
            self.recorder.instruction(instruction);
            hot_section(|| self.gateway.step(instruction, time, &mut self.reports));
            self.gateway.encoded(self.clock.ticks());
        }
        orders.clear();
        let sent = self.venue.receive(self.gateway.pending(), time);
        self.gateway.written(sent, self.clock.ticks(), &mut self.reports);
        let answered = self.venue.outgoing();
        let taken = hot_section(|| self.gateway.receive(answered, time, &mut self.reports));
        answered.drain(..taken);
        !self.reports.messages().is_empty()
    }
}
