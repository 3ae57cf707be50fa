//! Feed, greeks and hedge as one call chain: bytes in, instructions out, nothing between them but function calls.
//!
//! The `fused` topology runs this on its hot thread, `replay` and the benchmarks on theirs: the same code, whatever stands
//! behind the outboxes.

use super::outbox::{Hop, Inline, Stamp, Stamping};
use super::watched::{Watched, Witness};
use crate::event::Event;
use crate::feed::{Feed, Packet, REQUEST_BYTES};
use crate::hedge::Hedge;
use crate::portfolio::Greeks;
use crate::risk::Instruction;
use crate::stage::{Outbox, Stage};
use crate::units::Nanos;

type HedgeLink<I, X, C, H> = Stamping<Inline<Watched<Hedge, H>, Stamping<I, C>, X>, C>;
type GreeksLink<I, M, X, C, G, H> = Stamping<Inline<Watched<Greeks, G>, HedgeLink<I, X, C, H>, M>, C>;

/// The three hot stages on one thread. `M` and `X` tap what leaves the feed and the greeks, `I` takes instructions, `G` and
/// `H` see what the greeks and the hedge consume.
#[derive(Debug)]
pub struct Fused<I, M, X, C, G = (), H = ()> {
    feed: Feed,
    greeks: GreeksLink<I, M, X, C, G, H>,
}

impl<I: Outbox<Instruction>, M: Outbox<Event>, X: Outbox<Event>, C: Stamp> Fused<I, M, X, C> {
    /// Joins the stages.
    pub fn new(feed: Feed, greeks: Greeks, hedge: Hedge, instructions: I, market: M, exposures: X, clock: C) -> Self {
        Self::watched(feed, Watched::new(greeks, ()), Watched::new(hedge, ()), instructions, market, exposures, clock)
    }
}

impl<I, M, X, C, G, H> Fused<I, M, X, C, G, H>
where
    I: Outbox<Instruction>,
    M: Outbox<Event>,
    X: Outbox<Event>,
    C: Stamp,
    G: Witness,
    H: Witness,
{
    /// Joins stages that are watched.
    pub fn watched(
        feed: Feed,
        greeks: Watched<Greeks, G>,
        hedge: Watched<Hedge, H>,
        instructions: I,
        market: M,
        exposures: X,
        clock: C,
    ) -> Self {
        let hedge = Inline::new(hedge, Stamping::new(instructions, Hop::Hedge, clock), exposures);
        let greeks = Inline::new(greeks, Stamping::new(hedge, Hop::Greeks, clock), market);
        Self { feed, greeks: Stamping::new(greeks, Hop::Feed, clock) }
    }

    /// Takes a packet all the way.
    #[inline]
    pub fn packet(&mut self, packet: &Packet<'_>) {
        self.feed.step(packet, &mut self.greeks);
    }

    /// Takes one of several packets that came together, all the way once the last of them is in.
    #[inline]
    pub fn packet_of_many(&mut self, packet: &Packet<'_>, is_last: bool) {
        self.feed.step_of_many(packet, is_last, &mut self.greeks);
    }

    /// Takes an execution report, a calibration or a command, which enter at the greeks.
    #[inline]
    pub fn event(&mut self, event: &Event) {
        let greeks = &mut self.greeks.out;
        greeks.stage.step(event, &mut greeks.out);
    }

    /// Lets every stage notice the time.
    pub fn clock(&mut self, time: Nanos) {
        self.feed.tick(time, &mut self.greeks);
        self.event(&Event::clock(time));
    }

    /// What the feed asks to be sent again.
    #[inline]
    pub fn take_request(&mut self) -> Option<[u8; REQUEST_BYTES]> {
        self.feed.take_request()
    }

    /// The feed.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The greeks.
    pub fn greeks(&self) -> &Greeks {
        &self.greeks.out.stage.stage
    }

    /// The hedge.
    pub fn hedge(&self) -> &Hedge {
        &self.greeks.out.out.out.stage.stage
    }

    /// Who watches the hedge.
    pub fn hedge_witness(&mut self) -> &mut H {
        self.greeks.out.out.out.stage.witness()
    }

    /// Where instructions go.
    pub fn instructions(&mut self) -> &mut I {
        &mut self.greeks.out.out.out.out.out
    }

    /// The taps behind the feed and behind the greeks.
    pub fn taps(&mut self) -> (&mut M, &mut X) {
        (&mut self.greeks.out.tap, &mut self.greeks.out.out.out.tap)
    }

    /// Messages that the cold side did not see.
    pub fn tap_lost(&self) -> u64 {
        self.greeks.out.tap_lost + self.greeks.out.out.out.tap_lost
    }

    /// The stages, once the work is done.
    pub fn into_stages(self) -> (Feed, Greeks, Hedge) {
        let greeks = self.greeks.out;
        (self.feed, greeks.stage.into_stage(), greeks.out.out.stage.into_stage())
    }
}
