//! The split pipeline without sockets: feed, greeks, hedge and gateway on a thread each, joined by rings.
//!
//! The same stages, rings and stamps as the `split` topology; packets come from memory and the order's bytes end in the
//! gateway's buffer, where the venue's answer is made up. With a core for every thread they spin, pinned; with fewer they
//! give way to each other when there is nothing to do, and what is measured is the scheduler as much as the pipeline:
//! [`SplitRig::is_sharing`] says so.
//!
//! In an open loop ticks come as to the fused pipeline: they wait in a bounded buffer and are taken a call's worth at a time.
//! A stage that falls behind is told the last price alone, as live. Each tick is timed from when it was due to the first decision on
//! its own price or on one that replaced it.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam::utils::CachePadded;

use super::buffer::{Buffer, TOGETHER_MAX};
use super::fused::ticks;
use super::market::{Ladder, Opening, Outcome, PACKET_BYTES_MAX};
use super::stages::{OpenError, Stages, cancelled};
use super::way::{Arrivals, Load, TO_ORDER, Way};
use crate::event::{Body, Event, Trail};
use crate::feed::{Feed, Line, Packet};
use crate::gateway::Gateway;
use crate::hedge::Hedge;
use crate::portfolio::Greeks;
use crate::ring::{Consumer, Producer, broadcast};
use crate::risk::Instruction;
use crate::runtime::clock::StampClock;
use crate::runtime::placement::pin_current_thread;
use crate::runtime::{Conflating, Hop, Stamping};
use crate::stage::{Outbox, Stage};
use crate::units::{Nanos, Ticks, UnderlyingId};

/// Hot threads.
const THREADS: usize = 4;
/// Slots of the rings that carry market data and exposures.
const MARKET_SLOTS: usize = 1 << 15;
/// Slots of the rings that carry orders and reports.
const ORDER_SLOTS: usize = 1 << 12;
/// Ticks that may be on their way at once before the feed waits for a decision.
const DUE_SLOTS: usize = 1 << 16;
/// Messages taken from one input before the next has its turn.
const BATCH: usize = 64;
/// Of the first underlying.
const PORT: u16 = 6100;
/// What ticks move.
const UNDERLYING: UnderlyingId = UnderlyingId(0);

/// The stages on four threads, which run only while a round does.
#[derive(Debug)]
pub struct SplitRig {
    stages: Stages,
    outcome: Outcome,
    cores: Option<[usize; THREADS]>,
    clock: StampClock,
}

/// How far the threads are, for whoever waits on them.
#[derive(Debug, Default)]
struct Marks {
    /// Receive stamp of the last tick that the hedge decided on.
    decided: CachePadded<AtomicU64>,
    /// Ends of orders that the hedge has heard of.
    ended: CachePadded<AtomicU64>,
}

/// When ticks are offered.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// When the one before is done with.
    Closed,
    /// Whatever became of the one before.
    Open(Arrivals),
}

impl SplitRig {
    /// Stages that have the opening behind them, for threads on the last of these cores if there are enough.
    pub fn open(
        opening: &Opening,
        outcome: Outcome,
        available: &[usize],
        clock: StampClock,
    ) -> Result<Self, OpenError> {
        let cores = available.last_chunk::<THREADS>().copied();
        Ok(Self { stages: Stages::open(opening, outcome)?, outcome, cores, clock })
    }

    /// Whether threads share cores.
    pub fn is_sharing(&self) -> bool {
        self.cores.is_none()
    }

    /// One tick after another, each begun when the one before is done with.
    pub fn closed(&mut self, lasts: Duration, way: &mut Way) {
        self.round(Pace::Closed, lasts, way);
    }

    /// Ticks as they arrive, each timed from when it was due. In `way` are those that were decided on, order or not.
    pub fn open_loop(&mut self, arrivals: Arrivals, lasts: Duration, way: &mut Way) -> Load {
        self.round(Pace::Open(arrivals), lasts, way)
    }

    fn round(&mut self, pace: Pace, lasts: Duration, way: &mut Way) -> Load {
        let (market, [mut market_in]) = broadcast(MARKET_SLOTS).expect("a power of two");
        let (exposures, [mut exposures_in]) = broadcast(MARKET_SLOTS).expect("a power of two");
        let (orders, [mut orders_in]) = broadcast::<Instruction, 1>(ORDER_SLOTS).expect("a power of two");
        let (mut reports, [mut reports_in]) = broadcast::<Event, 1>(ORDER_SLOTS).expect("a power of two");
        let (due, [due_in]) = broadcast::<u64, 1>(DUE_SLOTS).expect("a power of two");
        let Self { stages: Stages { feed, greeks, hedge, gateway, ladder, now }, outcome, cores, clock } = self;
        let (decided_before, encoded_before) = (hedge.counters().orders, gateway.counters().orders);
        let conflated_before = feed.counters().conflated;
        let (marks, clock, cores, outcome) = (Marks::default(), *clock, *cores, *outcome);
        // In a closed loop a tick that ends in an order is timed to its bytes, otherwise to the decision.
        let to_bytes = outcome == Outcome::Order && matches!(pace, Pace::Closed);
        let pinned = |at: usize| cores.map(|cores| pin_current_thread(cores[at]));
        let then = *now;
        let rest = Waiter { gives_way: cores.is_none() };
        let ((offered, lost), decisions, sent) = thread::scope(|scope| {
            let front = scope.spawn(|| {
                pinned(0);
                let mut source = Source { feed, ladder, now, clock, rest, due, marks: &marks, outcome };
                source.run(pace, lasts, market)
            });
            scope.spawn(|| {
                pinned(1);
                value(greeks, &mut market_in, &mut reports_in, exposures, clock, rest);
            });
            let deciding = scope.spawn(|| {
                pinned(2);
                let way = (!to_bytes).then(|| way.emptied());
                let due = matches!(pace, Pace::Open(_)).then_some(due_in);
                let timed = Timed { marks: &marks, way, due, next_due: None };
                decide(hedge, &mut exposures_in, orders, timed, clock, rest)
            });
            let sending = scope.spawn(|| {
                pinned(3);
                let mut sent = Way::new(TO_ORDER, &clock);
                send(gateway, &mut orders_in, &mut reports, &mut sent, (clock, then), rest);
                sent
            });
            let offered = front.join().expect("the feed's thread ends");
            (offered, deciding.join().expect("the hedge's thread ends"), sending.join().expect("the gateway's ends"))
        });
        let mut round = decisions.unwrap_or(sent);
        round.end_round();
        way.absorb(&round);
        // What the gateway still reported after the greeks had ended.
        let mut late = Vec::new();
        reports_in.drain(usize::MAX, |event| late.push(*event));
        self.stages.settle(late);
        let orders = self.stages.hedge.counters().orders - decided_before;
        let encoded = self.stages.gateway.counters().orders - encoded_before;
        let conflated = self.stages.feed.counters().conflated - conflated_before;
        Load { offered, lost, conflated, orders, dropped: orders.saturating_sub(encoded) }
    }
}

/// What a thread does that has nothing to do.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    gives_way: bool,
}

impl Waiter {
    #[inline]
    fn rest(self) {
        if self.gives_way { thread::yield_now() } else { spin_loop() }
    }
}

/// The feed and where its packets come from.
struct Source<'a> {
    feed: &'a mut Feed,
    ladder: &'a mut Ladder,
    now: &'a mut Nanos,
    clock: StampClock,
    rest: Waiter,
    /// When ticks were due that the feed has taken.
    due: Producer<u64>,
    marks: &'a Marks,
    outcome: Outcome,
}

impl Source<'_> {
    /// Offers ticks until time is up; how many, and how many of them were never taken.
    fn run(&mut self, pace: Pace, lasts: Duration, market: Producer<Event>) -> (u64, u64) {
        let mut out = Stamping::new(Conflating { out: market }, Hop::Feed, self.clock);
        let (start, length) = (self.clock.ticks().0, ticks(&self.clock, lasts));
        match pace {
            Pace::Closed => {
                let mut offered = 0;
                while self.clock.ticks().0 < start + length {
                    let received = self.clock.ticks();
                    self.offer(received, true, &mut out);
                    offered += 1;
                    self.wait_for(received, offered, start + 2 * length);
                }
                (offered, 0)
            }
            Pace::Open(arrivals) => {
                let count = (arrivals.rate as f64 * lasts.as_secs_f64()) as u64;
                let mut buffer = Buffer::new(arrivals, count, start);
                let mut is_owing = false;
                while (is_owing || !buffer.is_done()) && self.clock.ticks().0 < start + 2 * length {
                    let mut together = [Ticks::default(); TOGETHER_MAX];
                    let taken = buffer.receive(&mut together, &self.clock);
                    for (at, &due) in together[..taken].iter().enumerate() {
                        while self.due.try_push(due.0).is_err() {
                            self.feed.resume(&mut out);
                            self.rest.rest();
                        }
                        self.offer(due, at + 1 == taken, &mut out);
                    }
                    is_owing = self.feed.resume(&mut out);
                    if taken == 0 {
                        self.rest.rest();
                    }
                }
                (buffer.arrived, buffer.lost())
            }
        }
    }

    /// Takes a tick, and passes on what has changed with the last of those that came together.
    fn offer(&mut self, received: Ticks, is_last: bool, out: &mut impl Outbox<Event>) {
        let mut buffer = [0; PACKET_BYTES_MAX];
        *self.now = Nanos(self.now.0 + 100);
        let bytes = self.ladder.next(*self.now, &mut buffer);
        let packet = Packet { time: *self.now, received, port: PORT, line: Line::A, bytes };
        self.feed.step_of_many(&packet, is_last, out);
    }

    /// Until the tick was decided on, and its order has ended if it led to one.
    fn wait_for(&self, received: Ticks, orders: u64, give_up: u64) {
        let is_done = || {
            self.marks.decided.load(Ordering::Acquire) == received.0
                && (self.outcome == Outcome::NoTrade || self.marks.ended.load(Ordering::Acquire) == orders)
        };
        while !is_done() && self.clock.ticks().0 < give_up {
            self.rest.rest();
        }
    }
}

fn value(
    greeks: &mut Greeks,
    market: &mut Consumer<Event>,
    reports: &mut Consumer<Event>,
    exposures: Producer<Event>,
    clock: StampClock,
    rest: Waiter,
) {
    let mut out = Stamping::new(exposures, Hop::Greeks, clock);
    while !market.is_drained() {
        let taken = market.drain(BATCH, |event| greeks.step(event, &mut out))
            + reports.drain(BATCH, |event| greeks.step(event, &mut out));
        if taken == 0 {
            rest.rest();
        }
    }
}

/// What is timed where decisions are made.
struct Timed<'a> {
    marks: &'a Marks,
    /// Of decisions, unless it is orders that are timed.
    way: Option<Way>,
    /// When the ticks of an open loop were due; `None` in a closed one.
    due: Option<Consumer<u64>>,
    /// The next of them, once it was looked at.
    next_due: Option<u64>,
}

impl Timed<'_> {
    /// A decision was made on the price of this tick, which in an open loop stands for every one before it.
    fn decided(&mut self, trail: &Trail, clock: StampClock) {
        if let Some(way) = &mut self.way {
            let now = clock.ticks();
            match &mut self.due {
                None => way.record(&[trail.decoded, trail.valued, now.since_u32(trail.received)]),
                Some(due) => {
                    while let Some(next) = self.next_due.take().or_else(|| due.try_pop()) {
                        if next > trail.received.0 {
                            self.next_due = Some(next);
                            break;
                        }
                        way.record_whole(now.since_u32(Ticks(next)));
                    }
                }
            }
        }
        self.marks.decided.store(trail.received.0, Ordering::Release);
    }

    /// What was recorded. Ticks that no decision stands for ended otherwise than they should.
    fn end(mut self) -> Option<Way> {
        let undecided =
            self.due.map_or(0, |mut due| due.drain(DUE_SLOTS, |_| ())) + usize::from(self.next_due.is_some());
        if let Some(way) = &mut self.way {
            way.otherwise += undecided as u64;
        }
        self.way
    }
}

fn decide(
    hedge: &mut Hedge,
    exposures: &mut Consumer<Event>,
    orders: Producer<Instruction>,
    mut timed: Timed<'_>,
    clock: StampClock,
    rest: Waiter,
) -> Option<Way> {
    let mut out = Stamping::new(orders, Hop::Hedge, clock);
    let mut ended = 0;
    while !exposures.is_drained() {
        let taken = exposures.drain(BATCH, |event| {
            hedge.step(event, &mut out);
            match event.body {
                Body::Exposure { underlying: UNDERLYING, .. } if event.trail.received.0 > 0 => {
                    timed.decided(&event.trail, clock);
                }
                Body::Cancelled { .. } => {
                    ended += 1;
                    timed.marks.ended.store(ended, Ordering::Release);
                }
                _ => {}
            }
        });
        if taken == 0 {
            rest.rest();
        }
    }
    timed.end()
}

fn send(
    gateway: &mut Gateway,
    orders: &mut Consumer<Instruction>,
    reports: &mut Producer<Event>,
    way: &mut Way,
    (clock, now): (StampClock, Nanos),
    rest: Waiter,
) {
    let mut out: Vec<Event> = Vec::with_capacity(BATCH);
    while !orders.is_drained() {
        let Some(instruction) = orders.try_pop() else {
            rest.rest();
            continue;
        };
        gateway.step(&instruction, now, &mut out);
        gateway.encoded(clock.ticks());
        let length = gateway.pending().len();
        gateway.written(length, clock.ticks(), &mut out);
        for report in &out {
            if let Body::Sent { decided, encoded, .. } = report.body
                && report.trail.received.0 > 0
            {
                way.record(&[report.trail.decoded, report.trail.valued, decided, encoded]);
            }
        }
        out.extend(cancelled(&instruction, now));
        for report in out.drain(..) {
            // The ring is far longer than what may be in flight at once.
            while reports.try_push(report).is_err() {
                rest.rest();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::market::Opening;
    use crate::runtime::clock::Source as Counter;

    #[test]
    fn beyond_what_four_threads_can_take_prices_are_conflated_and_every_tick_is_timed() {
        let clock = StampClock::with_source(Counter::Monotonic);
        let mut rig = SplitRig::open(&Opening::of_options(24), Outcome::Order, &[], clock).unwrap();
        let mut way = Way::new(&[], &clock);
        let load = rig.open_loop(Arrivals::evenly(400_000), Duration::from_millis(50), &mut way);
        let timed = way.total.percentiles().count;
        assert!(load.conflated > 0 && load.orders > 0 && load.dropped == 0, "{load:?}");
        assert_eq!((timed + way.otherwise + load.lost, load.offered), (load.offered, 20_000), "{load:?}");
        assert!(timed > load.orders, "a decision stands for every price that it replaced: {timed}, {load:?}");
    }
}
