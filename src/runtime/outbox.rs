//! What stands behind a stage's outbox: the next stage on the same thread, or a ring; either way the message is stamped.

use super::clock::StampClock;
use super::journal::Tap;
use super::socket::Alarm;
use crate::event::{Body, Event, Trail};
use crate::ring::Producer;
use crate::risk::Instruction;
use crate::stage::{Full, Outbox, Stage};
use crate::units::Ticks;

/// Reads the stamp counter.
pub trait Stamp: Copy {
    /// The counter now.
    fn ticks(&self) -> Ticks;
}

impl Stamp for StampClock {
    #[inline]
    fn ticks(&self) -> Ticks {
        StampClock::ticks(self)
    }
}

/// Which field of the trail a message gets when it leaves a stage.
pub trait Stamped {
    /// Writes the stamp of the hop that just ended, if it leaves one here: only then is the counter read.
    fn stamp(&mut self, hop: Hop, clock: impl Stamp);
}

/// Who lets go of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// The feed.
    Feed,
    /// The greeks.
    Greeks,
    /// The hedge.
    Hedge,
}

impl Stamped for Event {
    #[inline]
    fn stamp(&mut self, hop: Hop, clock: impl Stamp) {
        let steps = |trail: &Trail| clock.ticks().since_u32(trail.received);
        match (hop, &self.body) {
            (Hop::Feed, _) => self.trail.decoded = steps(&self.trail),
            (Hop::Greeks, Body::Exposure { .. }) => self.trail.valued = steps(&self.trail),
            // What the greeks pass on as it came keeps the stamps it came with.
            (Hop::Greeks | Hop::Hedge, _) => {}
        }
    }
}

impl Stamped for Instruction {
    #[inline]
    fn stamp(&mut self, _: Hop, clock: impl Stamp) {
        self.stamp_decided(clock.ticks());
    }
}

/// Stamps every message on its way into `out`.
#[derive(Debug)]
pub struct Stamping<O, C> {
    /// Where messages go.
    pub out: O,
    hop: Hop,
    clock: C,
}

impl<O, C> Stamping<O, C> {
    /// An outbox that stamps `hop` with `clock` and passes on to `out`.
    pub fn new(out: O, hop: Hop, clock: C) -> Self {
        Self { out, hop, clock }
    }
}

impl<M: Stamped, O: Outbox<M>, C: Stamp> Outbox<M> for Stamping<O, C> {
    // Always: a call would copy the message, whose fields were written a moment ago one by one, in wide words, and wait for
    // all of them to reach the cache.
    #[inline(always)]
    fn send(&mut self, mut message: M) -> Result<(), Full> {
        message.stamp(self.hop, self.clock);
        self.out.send(message)
    }

    fn room(&self) -> usize {
        self.out.room()
    }
}

/// The way from one hot thread to the next: a ring, the alarm of whoever may sleep on its other end, and a second ring that
/// shows the same messages to the cold side.
///
/// The rings are apart because a slow reader must never hold a hot thread back: what the cold side's ring has no room for
/// is counted as lost to it, and whoever reports says so.
#[derive(Debug)]
pub(super) struct Link<M> {
    ring: Producer<M>,
    alarm: Alarm,
    tap: Tap<M>,
    /// Messages that the cold side did not see.
    pub(super) tap_lost: u64,
}

impl<M> Link<M> {
    /// A link into `ring`, whose reader `alarm` wakes, watched through `tap`.
    pub(super) fn new(ring: Producer<M>, alarm: Alarm, tap: Tap<M>) -> Self {
        Self { ring, alarm, tap, tap_lost: 0 }
    }
}

impl<M: Copy + Send + Sync> Outbox<M> for Link<M> {
    #[inline]
    fn send(&mut self, message: M) -> Result<(), Full> {
        self.ring.try_push(message)?;
        self.alarm.ring();
        self.tap_lost += u64::from(self.tap.send(message).is_err());
        Ok(())
    }

    fn room(&self) -> usize {
        self.ring.room()
    }
}

/// Knows how many messages wait on its other end.
pub trait Backlog {
    /// Whether so many wait, or more.
    fn is_behind(&self, count: usize) -> bool;
}

impl Backlog for Producer<Event> {
    #[inline]
    fn is_behind(&self, count: usize) -> bool {
        Producer::is_behind(self, count)
    }
}

impl Backlog for Link<Event> {
    #[inline]
    fn is_behind(&self, count: usize) -> bool {
        self.ring.is_behind(count)
    }
}

/// Keeps prices out of a queue that is already long: once [`BACKLOG_MAX`] messages wait for the next stage, a price that a later
/// one will replace is refused, and its sender sends the later one when there is room again. A stage that falls behind then
/// decides on prices that are some microseconds old, however long the ring is. All else may fill the ring.
#[derive(Debug)]
pub struct Conflating<O> {
    /// Where messages go.
    pub out: O,
}

/// Messages that may wait before prices do. A reader frees what it took a batch of 64 at a time, so that fewer would be none.
pub const BACKLOG_MAX: usize = 256;

impl<O: Outbox<Event> + Backlog> Outbox<Event> for Conflating<O> {
    #[inline(always)]
    fn send(&mut self, event: Event) -> Result<(), Full> {
        let is_price = matches!(event.body, Body::Top { .. } | Body::Mark { .. } | Body::Index { .. });
        if is_price && self.out.is_behind(BACKLOG_MAX) {
            return Err(Full);
        }
        self.out.send(event)
    }

    fn room(&self) -> usize {
        self.out.room()
    }
}

/// Hands each message to the next stage on this thread, then shows it to the cold side.
#[derive(Debug)]
pub struct Inline<S, O, T> {
    /// The next stage.
    pub stage: S,
    /// Where that stage sends.
    pub out: O,
    /// The cold side's ring.
    pub tap: T,
    /// Messages that the cold side did not see.
    pub tap_lost: u64,
}

impl<S, O, T> Inline<S, O, T> {
    /// `stage` sending to `out`, watched through `tap`.
    pub fn new(stage: S, out: O, tap: T) -> Self {
        Self { stage, out, tap, tap_lost: 0 }
    }
}

impl<S: Stage, O: Outbox<S::Out>, T: Outbox<Event>> Outbox<Event> for Inline<S, O, T> {
    #[inline(always)]
    fn send(&mut self, event: Event) -> Result<(), Full> {
        self.stage.step(&event, &mut self.out);
        self.tap_lost += u64::from(self.tap.send(event).is_err());
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::event::Trail;
    use crate::instrument::BookQuality;
    use crate::journal::Stream;
    use crate::ring;
    use crate::runtime::socket::Poller;
    use crate::units::{Coins, Nanos, Price, UnderlyingId};

    /// A counter that moves by ten at each reading.
    #[derive(Clone, Copy, Debug)]
    struct Counter<'a>(&'a Cell<u64>);

    impl Stamp for Counter<'_> {
        fn ticks(&self) -> Ticks {
            self.0.set(self.0.get() + 10);
            Ticks(self.0.get())
        }
    }

    fn event(body: Body) -> Event {
        Event { trail: Trail { received: Ticks(100), decoded: 1, valued: 2 }, time: Nanos(0), body }
    }

    fn exposure() -> Body {
        Body::Exposure {
            underlying: UnderlyingId(0),
            quality: BookQuality::Good,
            net_delta: Coins(0),
            log_gamma: Coins(0),
            spot: Price(0),
            delta_bound: 0.0,
            expiries: 0,
        }
    }

    #[test]
    fn each_hop_writes_its_own_stamp_and_what_is_passed_on_keeps_those_it_came_with() {
        let now = Cell::new(190);
        let stamped = |hop, body| {
            let mut out = Stamping::new(Vec::new(), hop, Counter(&now));
            out.send(event(body)).unwrap();
            out.out[0].trail
        };
        assert_eq!(stamped(Hop::Feed, Body::Clock), Trail { received: Ticks(100), decoded: 100, valued: 2 });
        assert_eq!(stamped(Hop::Greeks, exposure()), Trail { received: Ticks(100), decoded: 1, valued: 110 });
        assert_eq!(stamped(Hop::Greeks, Body::Clock), Trail { received: Ticks(100), decoded: 1, valued: 2 });
    }

    #[test]
    fn once_the_next_stage_is_behind_prices_wait_with_their_sender_and_all_else_passes() {
        let (ring, [mut reader]) = ring::broadcast(1_024).unwrap();
        let mut out = Conflating { out: ring };
        let price = || event(Body::Index { underlying: UnderlyingId(0), price: Price(1) });
        let taken = (0..1_024).take_while(|_| out.send(price()).is_ok()).count();
        assert_eq!(taken, BACKLOG_MAX);
        assert_eq!(out.send(event(Body::Clock)), Ok(()), "not a price");
        assert_eq!(reader.drain(2, |_| ()), 2);
        assert_eq!((out.send(price()), out.send(price())), (Ok(()), Err(Full)), "one below the bound, then at it");
        // What is no price has the whole ring.
        let room = 1_024 - BACKLOG_MAX;
        assert_eq!((0..1_024).take_while(|_| out.send(event(Body::Clock)).is_ok()).count(), room);
    }

    #[test]
    fn a_cold_reader_that_sleeps_loses_messages_and_holds_nobody_back() {
        let (hot, [mut reader]) = ring::broadcast(8).unwrap();
        let (tap, [mut cold]) = ring::broadcast(2).unwrap();
        let tap = Tap::new(tap, None, Stream::Outputs);
        let mut link = Link::new(hot, Poller::new().unwrap().alarm(), tap);
        for message in 0..8_u64 {
            assert_eq!(link.send(message), Ok(()));
        }
        assert_eq!((link.send(8), link.tap_lost), (Err(Full), 6), "the hot ring alone says when it is full");
        assert!((0..8).all(|message| reader.try_pop() == Some(message)));
        assert_eq!((cold.try_pop(), cold.try_pop(), cold.try_pop()), (Some(0), Some(1), None));
    }
}
