//! The fused pipeline without sockets: packet bytes in, order bytes out, on this thread.
//!
//! Feed, greeks and hedge as the `fused` topology runs them, and the gateway's encoding behind them as a call; live, a ring
//! lies between, whose hop the `split` figures and the floor show. The taps of the cold side are paid for, as live; draining
//! them, the venue's answer and making the next packet are not timed.
//!
//! A stamp costs about as much as it measures where a hop takes some ten nanoseconds. So a rig is either stamped, and says
//! where the time goes, or reads the clock before a packet and after its end alone, and says how much of it there is.
//!
//! In an open loop ticks wait in a buffer of [`BUFFERED_MAX`](super::buffer::BUFFERED_MAX) packets, as in a socket's: those that are due are taken up to
//! [`TOGETHER_MAX`] at a time and decided on together, as live; each is timed from when it was due, to the end of the
//! decision that it became part of. Making a packet, on the same thread, stands in for the kernel's call.

use std::hint::spin_loop;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use super::buffer::{Buffer, TOGETHER_MAX};
use super::market::{Ladder, Opening, Outcome, PACKET_BYTES_MAX};
use super::stages::{OpenError, Stages, cancelled};
use super::way::{Arrivals, Load, Way};
use crate::event::{Body, Event};
use crate::feed::{Line, Packet};
use crate::gateway::Gateway;
use crate::ring::{Consumer, Producer, broadcast};
use crate::risk::Instruction;
use crate::runtime::clock::StampClock;
use crate::runtime::{Fused, Stamp, Watched, Witness};
use crate::units::{Nanos, Ticks};

/// Event time between two ticks.
const TICK_NS: u64 = 100;
/// Slots of the cold side's rings.
const TAP_SLOTS: usize = 1 << 10;
/// Of the first underlying.
const PORT: u16 = 6100;

/// What a rig does, and what it pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FusedConfig {
    /// How every tick ends.
    pub outcome: Outcome,
    /// Whether each hop is stamped.
    pub is_stamped: bool,
    /// Whether what the greeks consume is published, as for a journal.
    pub is_journaled: bool,
}

impl FusedConfig {
    /// Neither stamps nor a journal.
    pub const fn bare(outcome: Outcome) -> Self {
        Self { outcome, is_stamped: false, is_journaled: false }
    }

    /// With the stamps of every hop.
    pub const fn stamped(outcome: Outcome) -> Self {
        Self { is_stamped: true, ..Self::bare(outcome) }
    }
}

/// Where the hops read their stamps: the counter, or nothing at all.
#[derive(Clone, Copy, Debug)]
struct HopClock {
    clock: StampClock,
    is_read: bool,
}

impl Stamp for HopClock {
    #[inline]
    fn ticks(&self) -> Ticks {
        if self.is_read { self.clock.ticks() } else { Ticks::default() }
    }
}

/// What the greeks consume, on its way to a journal.
#[derive(Debug)]
struct Tape(Producer<Event>);

impl Witness for Tape {
    #[inline]
    fn consumed(&mut self, event: &Event) {
        // It is drained after every tick.
        let _ = self.0.try_push(*event);
    }

    fn short(&mut self, _: u64, _: usize) {}
}

type Pipeline = Fused<Vec<Instruction>, Producer<Event>, Producer<Event>, HopClock, Option<Tape>>;

/// The stages on one thread.
#[derive(Debug)]
pub struct FusedRig {
    stages: Pipeline,
    gateway: Gateway,
    market: Consumer<Event>,
    exposures: Consumer<Event>,
    inputs: Consumer<Event>,
    ladder: Ladder,
    now: Nanos,
    config: FusedConfig,
    clock: StampClock,
    hop_clock: HopClock,
    reports: Vec<Event>,
    buffer: Box<[u8; PACKET_BYTES_MAX]>,
}

impl FusedRig {
    /// Joins stages that have the opening behind them.
    pub fn open(opening: &Opening, config: FusedConfig, clock: StampClock) -> Result<Self, OpenError> {
        let Stages { feed, greeks, hedge, gateway, ladder, now } = Stages::open(opening, config.outcome)?;
        let (market_tap, [market]) = broadcast(TAP_SLOTS).expect("a power of two");
        let (exposures_tap, [exposures]) = broadcast(TAP_SLOTS).expect("a power of two");
        let (tape, [inputs]) = broadcast(TAP_SLOTS).expect("a power of two");
        let hop_clock = HopClock { clock, is_read: config.is_stamped };
        let greeks = Watched::new(greeks, config.is_journaled.then_some(Tape(tape)));
        let instructions = Vec::with_capacity(TAP_SLOTS);
        let hedge = Watched::new(hedge, ());
        Ok(Self {
            stages: Fused::watched(feed, greeks, hedge, instructions, market_tap, exposures_tap, hop_clock),
            gateway,
            market,
            exposures,
            inputs,
            ladder,
            now,
            config,
            clock,
            hop_clock,
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
            self.tick(way);
        }
        way.end_round();
    }

    /// One tick, timed from just before it; nanoseconds.
    pub fn tick(&mut self, way: &mut Way) -> u64 {
        self.now = Nanos(self.now.0 + TICK_NS);
        let bytes = self.ladder.next(self.now, &mut self.buffer[..]);
        // The packet is in memory before the clock is read, as after a call of the kernel.
        fence(Ordering::SeqCst);
        let received = self.clock.ticks();
        let packet = Packet { time: self.now, received, port: PORT, line: Line::A, bytes };
        let end = match self.config.outcome {
            Outcome::NoTrade => decide(&mut self.stages, &packet, &self.clock),
            Outcome::Order => {
                order(&mut self.stages, &mut self.gateway, &packet, (&self.clock, self.hop_clock), &mut self.reports)
            }
        };
        self.settle(&[received], end, way);
        self.clock.nanos(end.0 - received.0)
    }

    /// Ticks as they arrive, each timed from when it was due, whether or not the pipeline was ready for it.
    pub fn open_loop(&mut self, arrivals: Arrivals, lasts: Duration, way: &mut Way) -> Load {
        let (orders, encoded) = (self.stages.hedge().counters().orders, self.gateway.counters().orders);
        let conflated = self.stages.feed().counters().conflated;
        let start = self.clock.ticks().0;
        // What is late when time is up is still taken, for no longer than the round itself.
        let (count, end) = ((arrivals.rate as f64 * lasts.as_secs_f64()) as u64, start + 2 * ticks(&self.clock, lasts));
        let mut buffer = Buffer::new(arrivals, count, start);
        while !buffer.is_done() && self.clock.ticks().0 < end {
            let mut together = [Ticks::default(); TOGETHER_MAX];
            match buffer.receive(&mut together, &self.clock) {
                0 => spin_loop(),
                taken => self.ticks_together(&together[..taken], way),
            }
        }
        way.end_round();
        let orders = self.stages.hedge().counters().orders - orders;
        let encoded = self.gateway.counters().orders - encoded;
        let conflated = self.stages.feed().counters().conflated - conflated;
        let dropped = orders.saturating_sub(encoded);
        Load { offered: buffer.arrived, lost: buffer.lost(), conflated, orders, dropped }
    }

    /// Ticks that waited together, decided on together.
    fn ticks_together(&mut self, due: &[Ticks], way: &mut Way) {
        let received = self.clock.ticks();
        for left in (0..due.len()).rev() {
            self.now = Nanos(self.now.0 + TICK_NS);
            let bytes = self.ladder.next(self.now, &mut self.buffer[..]);
            let packet = Packet { time: self.now, received, port: PORT, line: Line::A, bytes };
            self.stages.packet_of_many(&packet, left == 0);
        }
        encode(&mut self.stages, &mut self.gateway, self.now, self.hop_clock, &mut self.reports);
        let end = self.clock.ticks();
        self.settle(due, end, way);
    }

    /// Records what ticks took that were received or due then, lets the cold side have what is its own, and ends every order.
    fn settle(&mut self, from: &[Ticks], end: Ticks, way: &mut Way) {
        let length = self.gateway.pending().len();
        self.gateway.written(length, end, &mut self.reports);
        self.market.drain(usize::MAX, |_| ());
        self.inputs.drain(usize::MAX, |_| ());
        let mut exposure = None;
        self.exposures.drain(usize::MAX, |event| {
            if matches!(event.body, Body::Exposure { .. }) {
                exposure = Some(event.trail);
            }
        });
        let sent = self.reports.iter().find_map(|report| match report.body {
            Body::Sent { decided, encoded, .. } => Some((report.trail, decided, encoded)),
            _ => None,
        });
        match (self.config.outcome, exposure, sent, from) {
            (Outcome::NoTrade, Some(trail), None, [received]) if self.config.is_stamped => {
                way.record(&[trail.decoded, trail.valued, end.since_u32(*received)]);
            }
            (Outcome::Order, _, Some((trail, decided, encoded)), _) if self.config.is_stamped => {
                way.record(&[trail.decoded, trail.valued, decided, encoded]);
            }
            (Outcome::NoTrade, Some(_), None, _) | (Outcome::Order, _, Some(_), _) => {
                from.iter().for_each(|from| way.record_whole(end.since_u32(*from)));
            }
            _ => way.otherwise += from.len() as u64,
        }
        let now = self.now;
        self.reports.extend(self.stages.instructions().drain(..).filter_map(|order| cancelled(&order, now)));
        for report in self.reports.drain(..) {
            self.stages.event(&report);
        }
        self.exposures.drain(usize::MAX, |_| ());
        self.inputs.drain(usize::MAX, |_| ());
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
    (clock, hop_clock): (&StampClock, HopClock),
    out: &mut Vec<Event>,
) -> Ticks {
    stages.packet(packet);
    encode(stages, gateway, packet.time, hop_clock, out);
    clock.ticks()
}

#[inline]
fn encode(stages: &mut Pipeline, gateway: &mut Gateway, now: Nanos, clock: HopClock, out: &mut Vec<Event>) {
    for instruction in stages.instructions().iter() {
        gateway.step(instruction, now, out);
        gateway.encoded(clock.ticks());
    }
}

/// Counter steps in a time.
pub(super) fn ticks(clock: &StampClock, time: Duration) -> u64 {
    (time.as_nanos() as f64 / clock.nanos_per_tick()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::way::TO_DECISION;
    use crate::runtime::clock::Source;

    #[test]
    fn a_book_of_options_alone_is_anchored_and_every_tick_ends_as_asked() {
        let clock = StampClock::with_source(Source::Monotonic);
        let opening = Opening::of_options(120);
        assert_eq!((opening.held, opening.instruments), (120, 121));
        // The last strikes of a book that is not a whole number of them may be listed by half.
        let large = FusedRig::open(&Opening::of_options(3_100), FusedConfig::bare(Outcome::NoTrade), clock).unwrap();
        assert_eq!(large.anchored(), 12);
        for (outcome, is_stamped) in [(Outcome::NoTrade, false), (Outcome::NoTrade, true), (Outcome::Order, true)] {
            let config = FusedConfig { outcome, is_stamped, is_journaled: true };
            let mut rig = FusedRig::open(&opening, config, clock).unwrap();
            let mut way = Way::new(TO_DECISION, &clock);
            for _ in 0..300 {
                rig.tick(&mut way);
            }
            way.end_round();
            let hops = way.hops.iter().filter(|(_, series)| series.percentiles().count == 300).count();
            assert_eq!((rig.anchored(), way.otherwise, way.total.percentiles().count), (12, 0, 300), "{outcome:?}");
            assert_eq!(hops, if is_stamped { TO_DECISION.len() } else { 0 });
        }
    }

    #[test]
    fn of_ticks_that_wait_together_the_last_is_decided_on_and_the_others_are_counted() {
        let clock = StampClock::with_source(Source::Monotonic);
        let mut rig = FusedRig::open(&Opening::of_options(24), FusedConfig::bare(Outcome::Order), clock).unwrap();
        let mut way = Way::new(&[], &clock);
        let burst = TOGETHER_MAX as u64;
        let load = rig.open_loop(Arrivals { rate: 100 * burst, burst }, Duration::from_millis(50), &mut way);
        assert_eq!((load.offered, load.lost, load.dropped, way.otherwise), (5 * burst, 0, 0, 0));
        assert!(load.conflated > 0 && load.orders + load.conflated == load.offered, "{load:?}");
        assert_eq!(way.total.percentiles().count, load.offered);
    }
}
