//! The fused pipeline without sockets: packet bytes in, order bytes out, on this thread.
//!
//! Feed, greeks and hedge as the `fused` topology runs them, and the gateway's encoding behind them as a call; live, a ring
//! lies between, whose hop the `split` figures and the floor show. The stamps of every hop and the taps of the cold side
//! are paid for, as live; draining those taps, the venue's answer and making the next packet are not timed.

use std::hint::spin_loop;
use std::time::Duration;

use super::market::{Ladder, Opening, Outcome, PACKET_BYTES_MAX};
use super::stages::{OpenError, Stages, cancelled};
use super::way::{Arrivals, Load, Way};
use crate::event::{Body, Event};
use crate::feed::{Line, Packet};
use crate::gateway::Gateway;
use crate::ring::{Consumer, Producer, broadcast};
use crate::risk::Instruction;
use crate::runtime::clock::StampClock;
use crate::runtime::{Fused, Stamp};
use crate::units::{Nanos, Ticks};

/// Event time between two ticks.
const TICK_NS: u64 = 100;
/// Slots of the cold side's rings.
const TAP_SLOTS: usize = 1 << 10;
/// Of the first underlying.
const PORT: u16 = 6100;

/// The stages on one thread.
#[derive(Debug)]
pub struct FusedRig {
    stages: Pipeline,
    gateway: Gateway,
    market: Consumer<Event>,
    exposures: Consumer<Event>,
    ladder: Ladder,
    now: Nanos,
    outcome: Outcome,
    clock: StampClock,
    reports: Vec<Event>,
    buffer: Box<[u8; PACKET_BYTES_MAX]>,
}

impl FusedRig {
    /// Joins stages that have the opening behind them.
    pub fn open(opening: &Opening, outcome: Outcome, clock: StampClock) -> Result<Self, OpenError> {
        let Stages { feed, greeks, hedge, gateway, ladder, now } = Stages::open(opening, outcome)?;
        let (market_tap, [market]) = broadcast(TAP_SLOTS).expect("a power of two");
        let (exposures_tap, [exposures]) = broadcast(TAP_SLOTS).expect("a power of two");
        let instructions = Vec::with_capacity(TAP_SLOTS);
        Ok(Self {
            stages: Fused::new(feed, greeks, hedge, instructions, market_tap, exposures_tap, clock),
            gateway,
            market,
            exposures,
            ladder,
            now,
            outcome,
            clock,
            reports: Vec::with_capacity(TAP_SLOTS),
            buffer: Box::new([0; PACKET_BYTES_MAX]),
        })
    }

    /// Expiries that are valued in constant time.
    pub fn anchored(&self) -> usize {
        self.stages.greeks().anchored()
    }

    /// One tick after another, each begun when the one before is done with.
    pub fn closed(&mut self, lasts: Duration, way: &mut Way) {
        let end = self.clock.ticks().0 + ticks(&self.clock, lasts);
        while self.clock.ticks().0 < end {
            self.tick(None, way);
        }
        way.end_round();
    }

    /// Ticks as they arrive, each timed from when it was due, whether or not the pipeline was ready for it.
    pub fn open_loop(&mut self, arrivals: Arrivals, lasts: Duration, way: &mut Way) -> Load {
        let (orders, encoded) = (self.stages.hedge().counters().orders, self.gateway.counters().orders);
        let conflated = self.stages.feed().counters().conflated;
        let start = self.clock.ticks().0;
        // What is late when time is up is still taken, for no longer than the round itself.
        let (count, end) = ((arrivals.rate as f64 * lasts.as_secs_f64()) as u64, start + 2 * ticks(&self.clock, lasts));
        let mut offered = 0;
        while offered < count && self.clock.ticks().0 < end {
            let due = start + arrivals.due(offered, &self.clock);
            while self.clock.ticks().0 < due {
                spin_loop();
            }
            self.tick(Some(Ticks(due)), way);
            offered += 1;
        }
        way.end_round();
        let orders = self.stages.hedge().counters().orders - orders;
        let encoded = self.gateway.counters().orders - encoded;
        let conflated = self.stages.feed().counters().conflated - conflated;
        Load { offered, conflated, orders, dropped: orders.saturating_sub(encoded) }
    }

    /// One tick, timed from when it was due, or from just before it.
    fn tick(&mut self, due: Option<Ticks>, way: &mut Way) {
        self.now = Nanos(self.now.0 + TICK_NS);
        let bytes = self.ladder.next(self.now, &mut self.buffer[..]);
        let received = due.unwrap_or_else(|| self.clock.ticks());
        let packet = Packet { time: self.now, received, port: PORT, line: Line::A, bytes };
        let end = match self.outcome {
            Outcome::NoTrade => decide(&mut self.stages, &packet, &self.clock),
            Outcome::Order => order(&mut self.stages, &mut self.gateway, &packet, &self.clock, &mut self.reports),
        };
        self.settle(received, end, way);
    }

    /// Records the stamps, lets the cold side have what is its own, and ends every order.
    fn settle(&mut self, received: Ticks, end: Ticks, way: &mut Way) {
        let length = self.gateway.pending().len();
        self.gateway.written(length, end, &mut self.reports);
        self.market.drain(usize::MAX, |_| ());
        let mut exposure = None;
        self.exposures.drain(usize::MAX, |event| {
            if matches!(event.body, Body::Exposure { .. }) {
                exposure = Some(event.trail);
            }
        });
        let until_end = end.since_u32(received);
        match (self.outcome, exposure, self.stages.instructions().is_empty()) {
            (Outcome::NoTrade, Some(trail), true) => way.record(&[trail.decoded, trail.valued, until_end]),
            (Outcome::Order, _, false) => {
                for report in &self.reports {
                    if let Body::Sent { decided, encoded, .. } = report.body {
                        way.record(&[report.trail.decoded, report.trail.valued, decided, encoded]);
                    }
                }
            }
            _ => way.otherwise += 1,
        }
        let now = self.now;
        self.reports.extend(self.stages.instructions().drain(..).filter_map(|order| cancelled(&order, now)));
        for report in self.reports.drain(..) {
            self.stages.event(&report);
        }
        self.exposures.drain(usize::MAX, |_| ());
    }
}

/// The measured paths, apart so that a profiler finds them.
#[inline(never)]
fn decide(stages: &mut Pipeline, packet: &Packet<'_>, clock: &StampClock) -> Ticks {
    stages.packet(packet);
    clock.ticks()
}

#[inline(never)]
fn order(
    stages: &mut Pipeline,
    gateway: &mut Gateway,
    packet: &Packet<'_>,
    clock: &StampClock,
    out: &mut Vec<Event>,
) -> Ticks {
    stages.packet(packet);
    for instruction in stages.instructions().iter() {
        gateway.step(instruction, packet.time, out);
        gateway.encoded(Stamp::ticks(clock));
    }
    clock.ticks()
}

type Pipeline = Fused<Vec<Instruction>, Producer<Event>, Producer<Event>, StampClock>;

/// Counter steps in a time.
pub(super) fn ticks(clock: &StampClock, time: Duration) -> u64 {
    (time.as_nanos() as f64 / clock.nanos_per_tick()) as u64
}
