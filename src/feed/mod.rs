//! Packets in, one gap-free stream of instrument, book, trade and index events out.
//!
//! ```text
//!  line A ─┐              ┌─► classic   levels, chained by change ids ───┐
//!  line B ─┼─► arbiter ───┤                                             ├─► board: listings, latest state,
//!  resent ─┘   one copy,  └─► starbase  orders, numbered by channel ────┘   flushed at the end of the step
//!              in order
//! ```
//!
//! **Invariant.** A top whose quality is `Good` or `Crossed` is that of the venue's book: every change since the snapshot
//! it began with was applied in order, and each later snapshot of the same state was found equal.
//!
//! **Lines.** The same packets on two lines are one stream ([`arbiter`]): the first copy counts, the other line fills
//! what is missing. What a loss on every line touches, and how books heal, is told by each protocol's module.
//!
//! **Silence.** A book whose channel was silent for longer than allowed is `Stale` until the channel is heard again.
//!
//! **Cost.** A step is bounded by the packet and by what was held for it: one pass over the messages, a book change moves
//! the levels above it. A gap, a silence and a flush after a full outbox walk the instruments,
//! [`FeedConfig::instruments`] at most. Memory is taken at construction, about 25 MiB at the default depths.
//!
//! **Failure.** Whatever a packet holds, the feed counts it, gaps what it may have touched, and goes on.

pub mod arbiter;
mod board;
pub mod book;
mod classic;
mod counters;
mod directory;
mod listing;
mod pending;
mod publish;
mod starbase;

pub use arbiter::{ArbiterConfig, Line, LineStats};
pub use counters::FeedCounters;
pub use listing::{NAME_BYTES_MAX, Refusal};
pub use starbase::orders;
pub use starbase::{FeeSchedule, REQUEST_BYTES, RecoveryConfig, RecoveryStats};

use crate::event::{Body, Event};
use crate::instrument::{Catalogue, INSTRUMENTS_MAX, InstrumentKind};
use crate::stage::Outbox;
use crate::units::{InstrumentId, Nanos, Ticks};
use board::Board;
use classic::Classic;
use publish::Stamp;
use starbase::Starbase;
use starbase::orders::OrderBooks;

/// One UDP packet as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Receive time: the time of every event this packet causes.
    pub time: Nanos,
    /// Stamp counter before the packet was read.
    pub received: Ticks,
    /// Destination port; that of line A when the venue's lines have two.
    pub port: u16,
    /// Which copy of the stream it belongs to.
    pub line: Line,
    /// UDP payload.
    pub bytes: &'a [u8],
}

/// What the venue's packets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Levels, chained by change ids: [`deribit_multicast`](crate::wire::deribit_multicast).
    #[default]
    Classic,
    /// Orders, numbered by channel: [`starbase::market_data`](crate::wire::starbase::market_data).
    Starbase,
}

/// Sizes and patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// What the venue's packets are.
    pub protocol: Protocol,
    /// Instruments listed, at most 65,534.
    pub instruments: usize,
    /// Silence of a channel after which its books are stale, nanoseconds.
    pub stale_after_ns: u64,
    /// Levels kept on each side of a future's, perpetual's or spot pair's book.
    pub future_depth: usize,
    /// Levels kept on each side of an option's or combination's book.
    pub option_depth: usize,
    /// Levels of all books together.
    pub levels_max: usize,
    /// How long to wait for what is missing.
    pub lines: ArbiterConfig,
    /// Orders of all books together, where the protocol has orders.
    pub orders_max: usize,
    /// How to ask for what is missing, where the protocol has a service for it.
    pub recovery: RecoveryConfig,
    /// Fees, where the protocol has none in its definitions.
    pub fees: FeeSchedule,
}

impl Default for FeedConfig {
    /// 4,096 instruments; five seconds; 2,048 and 128 levels a side; 2^20 levels, 2^17 orders.
    fn default() -> Self {
        Self {
            protocol: Protocol::Classic,
            instruments: INSTRUMENTS_MAX,
            stale_after_ns: 5 * Nanos::PER_SECOND,
            future_depth: 2_048,
            option_depth: 128,
            levels_max: 1 << 20,
            lines: ArbiterConfig::default(),
            orders_max: 1 << 17,
            recovery: RecoveryConfig::default(),
            fees: FeeSchedule::default(),
        }
    }
}

impl FeedConfig {
    /// For Starbase, whose idle channels speak every five seconds.
    pub fn starbase() -> Self {
        Self { protocol: Protocol::Starbase, stale_after_ns: 11 * Nanos::PER_SECOND, ..Self::default() }
    }

    fn depth(&self, kind: InstrumentKind) -> usize {
        match kind {
            InstrumentKind::Future | InstrumentKind::Perpetual | InstrumentKind::Spot => self.future_depth,
            InstrumentKind::Option | InstrumentKind::FutureCombo | InstrumentKind::OptionCombo => self.option_depth,
        }
    }
}

/// The stage.
#[derive(Debug)]
pub struct Feed {
    board: Board,
    adapter: Adapter,
    /// Divergent copies that were told of.
    told_divergent: u64,
}

/// One protocol at work.
#[derive(Debug)]
enum Adapter {
    Classic(Box<Classic>),
    Starbase(Box<Starbase>),
}

impl Feed {
    /// A feed that knows nothing yet.
    pub fn new(config: FeedConfig) -> Self {
        let adapter = match config.protocol {
            Protocol::Classic => Adapter::Classic(Box::new(Classic::new(config))),
            Protocol::Starbase => Adapter::Starbase(Box::new(Starbase::new(config))),
        };
        Self { board: Board::new(config.instruments), adapter, told_divergent: 0 }
    }

    /// Takes one packet, and sends what it changed.
    #[inline]
    pub fn step(&mut self, packet: &Packet<'_>, out: &mut impl Outbox<Event>) {
        self.step_of_many(packet, true, out);
    }

    /// Takes one packet of several that came together. What they changed goes out with the last one, as it stands by then: of
    /// what two packets changed the later state alone is sent, and the other is counted as conflated.
    #[inline]
    pub fn step_of_many(&mut self, packet: &Packet<'_>, is_last: bool, out: &mut impl Outbox<Event>) {
        self.board.counters.packets += 1;
        self.board.counters.bytes += packet.bytes.len() as u64;
        match &mut self.adapter {
            Adapter::Classic(classic) => classic.step(packet, &mut self.board, out),
            Adapter::Starbase(starbase) => starbase.step(packet, &mut self.board, out),
        }
        self.board.publisher.end_packet();
        let stamp = Stamp::of(packet);
        self.alarm(stamp, out);
        if is_last {
            self.board.flush(stamp, out);
        }
    }

    /// Says once of each second copy that was other bytes; what finds no room is said with the next packet.
    #[inline]
    fn alarm(&mut self, stamp: Stamp, out: &mut impl Outbox<Event>) {
        let copies = match &self.adapter {
            Adapter::Classic(classic) => classic.divergent(),
            Adapter::Starbase(starbase) => starbase.divergent(),
        };
        if copies > self.told_divergent && out.send(stamp.event(Body::Diverged { copies })).is_ok() {
            self.told_divergent = copies;
        }
    }

    /// Notes that time passed, when no packet says so; sends what waits.
    pub fn tick(&mut self, time: Nanos, out: &mut impl Outbox<Event>) {
        match &mut self.adapter {
            Adapter::Classic(classic) => classic.tick(time, &mut self.board, out),
            Adapter::Starbase(starbase) => starbase.tick(time, &mut self.board, out),
        }
        self.board.flush(Stamp { time, received: Ticks::default() }, out);
    }

    /// Sends what found no room when its packets came, as it stands by now and under their stamp, as far as there is room;
    /// whether something still waits. For whoever has no packet to take.
    #[inline]
    pub fn resume(&mut self, out: &mut impl Outbox<Event>) -> bool {
        self.board.resume(out)
    }

    /// Totals since construction.
    pub fn counters(&self) -> &FeedCounters {
        &self.board.counters
    }

    /// What each line did, over all streams.
    pub fn line(&self, line: Line) -> LineStats {
        match &self.adapter {
            Adapter::Classic(classic) => classic.line(line),
            Adapter::Starbase(starbase) => starbase.line(line),
        }
    }

    /// A request for what is missing, to be sent to the venue's service; ask after every step and tick.
    #[inline]
    pub fn take_request(&mut self) -> Option<[u8; REQUEST_BYTES]> {
        match &mut self.adapter {
            Adapter::Classic(_) => None,
            Adapter::Starbase(starbase) => starbase.take_request(),
        }
    }

    /// What was asked for and what came of it.
    pub fn recovery(&self) -> RecoveryStats {
        match &self.adapter {
            Adapter::Classic(_) => RecoveryStats::default(),
            Adapter::Starbase(starbase) => *starbase.recovery(),
        }
    }

    /// The books order by order, where the protocol has orders.
    pub fn orders(&self) -> Option<&OrderBooks> {
        match &self.adapter {
            Adapter::Classic(_) => None,
            Adapter::Starbase(starbase) => Some(starbase.books()),
        }
    }

    /// Everything listed.
    pub fn catalogue(&self) -> &Catalogue {
        self.board.listings.catalogue()
    }

    /// The venue's name of an instrument.
    pub fn name(&self, id: InstrumentId) -> Option<&str> {
        self.board.listings.name(id)
    }

    /// The instrument of this name.
    pub fn find(&self, name: &str) -> Option<InstrumentId> {
        self.board.listings.find_name(name)
    }

    /// Channel and port pairs heard so far.
    pub fn channels(&self) -> usize {
        match &self.adapter {
            Adapter::Classic(classic) => classic.channels(),
            Adapter::Starbase(starbase) => starbase.channels(),
        }
    }
}
