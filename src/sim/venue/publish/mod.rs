//! The venue's market data: what the exchange does, as packets of the multicast format.
//!
//! Two kinds of line, told apart by their UDP port. Incremental lines carry books, trades, tickers and indices as they
//! happen, one channel for a group of products. Snapshot lines carry the same products' definitions, tickers and whole
//! books in rounds, on channels 100 higher. Sequences run per line. A book message is the difference between what was
//! last published and what the book is now, so whoever applies every message holds the venue's book; snapshots show
//! what was published, under the number of its last change.

mod line;
mod message;
mod round;
pub mod starbase;

use super::exchange::{Exchange, Listing};
use super::market::Market;
use super::spec::Universe;
use crate::feed::Protocol;
use crate::instrument::InstrumentKind;
use crate::units::{Lots, Nanos, Price, Side};
use crate::wire::deribit_multicast::{
    BookBlock, BookChange, BookEntry, SnapshotBlock, SnapshotEntry, SnapshotStartBlock, TradeEntry, TradesBlock,
};
use line::Line;
pub use message::definition;
use message::{book_entry, difference, snapshot_entry};
use round::{Round, Turn};

/// Largest packet sent.
pub const PACKET_BYTES_MAX: usize = 1_400;
/// Level changes, or levels, in one message at most; so many fit a packet with room to spare.
const LEVELS_MAX: usize = 70;
/// Trades in one message at most.
const TRADES_MAX: usize = 14;
/// The channel of price indices.
const INDEX_CHANNEL: u16 = 0;
/// What a snapshot channel's number is above its products'.
const SNAPSHOT_CHANNEL: u16 = 100;

/// Which UDP port a packet belongs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Changes as they happen.
    Incremental,
    /// Whole books in rounds.
    Snapshot,
}

/// How often the cyclic messages come.
#[derive(Clone, Debug)]
pub struct PublishConfig {
    /// Between two prices of an index.
    pub index_ns: u64,
    /// Between two tickers of a future or perpetual.
    pub future_ticker_ns: u64,
    /// Between two tickers of an option.
    pub option_ticker_ns: u64,
    /// Between two rounds of snapshots. The first round takes a tenth of it.
    pub snapshot_ns: u64,
    /// What the packets are.
    pub protocol: Protocol,
    /// Silence after which a Starbase stream says where it stands.
    pub heartbeat_ns: u64,
    /// Requests for what is missing that are answered in a second.
    pub requests_per_second: u64,
}

impl Default for PublishConfig {
    fn default() -> Self {
        Self {
            index_ns: 100 * Nanos::PER_MILLI,
            future_ticker_ns: 100 * Nanos::PER_MILLI,
            option_ticker_ns: 500 * Nanos::PER_MILLI,
            snapshot_ns: Nanos::PER_SECOND,
            protocol: Protocol::Classic,
            heartbeat_ns: 5 * Nanos::PER_SECOND,
            requests_per_second: 200,
        }
    }
}

/// Where packets go.
pub type Sink<'a> = dyn FnMut(Channel, &[u8]) + 'a;

/// What there is to tell of, at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Books and matches.
    pub exchange: &'a Exchange,
    /// Marks and indices.
    pub market: &'a Market,
    /// Definitions.
    pub universe: &'a Universe,
    /// When.
    pub now: Nanos,
}

/// A publisher of either protocol.
#[derive(Debug)]
pub enum Publication {
    /// Levels.
    Classic(Publisher),
    /// Orders.
    Starbase(starbase::Publisher),
}

impl Publication {
    /// A publisher that has said nothing yet.
    pub fn new(config: PublishConfig, universe: &Universe) -> Self {
        match config.protocol {
            Protocol::Classic => Self::Classic(Publisher::new(config, universe)),
            Protocol::Starbase => Self::Starbase(starbase::Publisher::new(config, universe)),
        }
    }

    /// Publishes the matches and the `touched` books of the scene, and what falls due by now.
    pub fn publish(&mut self, scene: &Scene<'_>, touched: &[usize], sink: &mut Sink<'_>) {
        match self {
            Self::Classic(publisher) => publisher.publish(scene, touched, sink),
            Self::Starbase(publisher) => publisher.publish(scene, touched, sink),
        }
    }

    /// One of the channels counts anew from 1, or all do.
    pub fn count_anew(&mut self, choice: Option<u64>) {
        match self {
            Self::Classic(publisher) => publisher.count_anew(choice),
            Self::Starbase(publisher) => publisher.count_anew(choice),
        }
    }

    /// Nothing that was sent can be asked for any more.
    pub fn forget(&mut self) {
        match self {
            Self::Classic(_) => {}
            Self::Starbase(publisher) => publisher.forget(),
        }
    }

    /// Answers a request for what is missing, where the protocol has such.
    pub fn answer(&mut self, request: &[u8], now: Nanos, reply: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Classic(_) => {}
            Self::Starbase(publisher) => publisher.answer(request, now, reply),
        }
    }
}

/// What the world has been told of one listing; levels run best first.
#[derive(Debug, Default)]
struct Told {
    bids: Vec<(Price, Lots)>,
    asks: Vec<(Price, Lots)>,
    change_id: u64,
    trades: u64,
    next_ticker: Nanos,
}

/// Turns the exchange into packets.
#[derive(Debug)]
pub struct Publisher {
    config: PublishConfig,
    incremental: Vec<Line>,
    snapshot: Vec<Line>,
    told: Vec<Told>,
    next_index: Nanos,
    change_id: u64,
    round: Round,
}

impl Publisher {
    /// A publisher that has said nothing yet.
    pub fn new(config: PublishConfig, universe: &Universe) -> Self {
        let listings = universe.contracts.len();
        let round = Round::new(universe);
        let channels = round.channels();
        // Tickers are spread over their interval from the start.
        let told = (0..listings as u64).map(|at| Told {
            next_ticker: Nanos(universe.start.0 + at * config.option_ticker_ns / listings as u64),
            ..Told::default()
        });
        let incremental = std::iter::once(INDEX_CHANNEL).chain(channels.iter().copied());
        Self {
            incremental: incremental.map(|id| Line::new(Channel::Incremental, id)).collect(),
            snapshot: channels.iter().map(|id| Line::new(Channel::Snapshot, id + SNAPSHOT_CHANNEL)).collect(),
            told: told.collect(),
            next_index: universe.start,
            change_id: universe.start.0 / Nanos::PER_SECOND,
            round,
            config,
        }
    }

    /// Publishes the matches and the `touched` books of the scene, and what falls due by now.
    pub fn publish(&mut self, scene: &Scene<'_>, touched: &[usize], sink: &mut Sink<'_>) {
        if scene.now >= self.next_index {
            self.next_index = Nanos(scene.now.0 + self.config.index_ns);
            for underlying in 0..scene.universe.underlyings.len() {
                let block = scene.price_index(underlying);
                line(&mut self.incremental, INDEX_CHANNEL).write(sink, |packet| packet.price_index(&block));
            }
        }
        self.trades(scene, sink);
        for &listing in touched {
            let entry = &scene.exchange.listings()[listing];
            self.book(scene, listing, entry, sink);
            if !entry.open {
                self.definition(scene, Channel::Incremental, entry, sink);
            }
        }
        for (listing, entry) in scene.exchange.listings().iter().enumerate() {
            if scene.now >= self.told[listing].next_ticker && entry.open {
                let option = entry.contract.kind == InstrumentKind::Option;
                let every_ns = if option { self.config.option_ticker_ns } else { self.config.future_ticker_ns };
                self.told[listing].next_ticker = Nanos(scene.now.0 + every_ns);
                self.ticker(scene, Channel::Incremental, listing, sink);
            }
        }
        self.incremental.iter_mut().for_each(|line| line.flush(sink));
        self.carry_round_on(scene, sink);
    }

    /// One of the lines counts anew from 1, or all do.
    pub fn count_anew(&mut self, choice: Option<u64>) {
        let mut lines: Vec<&mut Line> = self.incremental.iter_mut().chain(&mut self.snapshot).collect();
        chosen(&mut lines, choice).for_each(|line| line.count_anew());
    }

    /// Matches in their order; those of one listing that follow each other share a message.
    fn trades(&mut self, scene: &Scene<'_>, sink: &mut Sink<'_>) {
        for run in scene.exchange.prints().chunk_by(|a, b| a.listing == b.listing) {
            let contract = &scene.exchange.listings()[run[0].listing].contract;
            let count = &mut self.told[run[0].listing].trades;
            for part in run.chunks(TRADES_MAX) {
                let entries = part.iter().map(|print| {
                    *count += 1;
                    scene.trade(print, *count)
                });
                let entries: Vec<TradeEntry> = entries.collect();
                let block = TradesBlock { instrument_id: contract.venue.0.into() };
                line(&mut self.incremental, contract.channel).write(sink, |packet| packet.trades(&block, &entries));
            }
        }
    }

    /// The difference between what was told and what is, deletions first so that no prefix of it is crossed.
    fn book(&mut self, scene: &Scene<'_>, listing: usize, entry: &Listing, sink: &mut Sink<'_>) {
        let told = &mut self.told[listing];
        let mut changes = Vec::new();
        difference(Side::Buy, &mut told.bids, &entry.book, &mut changes);
        difference(Side::Sell, &mut told.asks, &entry.book, &mut changes);
        changes.sort_by_key(|(_, change, _, _)| *change != BookChange::Deleted);
        for part in changes.chunks(LEVELS_MAX) {
            self.change_id += 1;
            let block = BookBlock {
                instrument_id: entry.contract.venue.0.into(),
                timestamp_ms: scene.milliseconds().into(),
                prev_change_id: std::mem::replace(&mut told.change_id, self.change_id).into(),
                change_id: self.change_id.into(),
                is_last: 1,
            };
            let entries: Vec<BookEntry> = part.iter().map(|change| book_entry(&entry.contract, change)).collect();
            line(&mut self.incremental, entry.contract.channel).write(sink, |packet| packet.book(&block, &entries));
        }
    }

    fn ticker(&mut self, scene: &Scene<'_>, port: Channel, listing: usize, sink: &mut Sink<'_>) {
        let entry = &scene.exchange.listings()[listing];
        let block = scene.ticker(entry, &self.told[listing]);
        self.line(port, entry).write(sink, |packet| packet.ticker(&block));
    }

    fn definition(&mut self, scene: &Scene<'_>, port: Channel, entry: &Listing, sink: &mut Sink<'_>) {
        let (block, steps) = scene.definition(entry);
        let name = entry.contract.name.as_bytes();
        self.line(port, entry).write(sink, |packet| packet.instrument_v2(&block, &steps, name));
    }

    /// Sends the snapshots that are due, so that a round is spread evenly over its time.
    fn carry_round_on(&mut self, scene: &Scene<'_>, sink: &mut Sink<'_>) {
        for at in self.round.due(&self.config, scene.now) {
            self.take_turn(scene, at, sink);
        }
        // Nothing waits for a fuller packet: a snapshot must not lag behind the incremental line.
        self.snapshot.iter_mut().for_each(|line| line.flush(sink));
    }

    /// One listing's turn in the round; the first and the last of a channel open and close it.
    fn take_turn(&mut self, scene: &Scene<'_>, at: usize, sink: &mut Sink<'_>) {
        let Turn { listing, opens, closes } = self.round.turn(at);
        let entry = &scene.exchange.listings()[listing];
        if opens {
            let delay_ms = (self.config.snapshot_ns / Nanos::PER_MILLI) as u32;
            let block = SnapshotStartBlock { snapshot_delay: delay_ms.into() };
            self.line(Channel::Snapshot, entry).write(sink, |packet| packet.snapshot_start(&block));
        }
        self.definition(scene, Channel::Snapshot, entry, sink);
        self.ticker(scene, Channel::Snapshot, listing, sink);
        self.snapshot(scene, listing, entry, sink);
        if closes {
            self.line(Channel::Snapshot, entry).write(sink, |packet| packet.snapshot_end());
        }
    }

    /// The book as it was told, in as many messages as it takes; an empty one takes one.
    fn snapshot(&mut self, scene: &Scene<'_>, listing: usize, entry: &Listing, sink: &mut Sink<'_>) {
        let (contract, told) = (&entry.contract, &self.told[listing]);
        let asks = told.asks.iter().map(|level| snapshot_entry(contract, Side::Sell, level));
        let bids = told.bids.iter().map(|level| snapshot_entry(contract, Side::Buy, level));
        let entries: Vec<SnapshotEntry> = asks.chain(bids).collect();
        let change_id = told.change_id;
        let parts = entries.len().div_ceil(LEVELS_MAX).max(1);
        for part in 0..parts {
            let block = SnapshotBlock {
                instrument_id: contract.venue.0.into(),
                timestamp_ms: scene.milliseconds().into(),
                change_id: change_id.into(),
                is_book_complete: 1,
                is_last_in_book: u8::from(part + 1 == parts),
            };
            let from = part * LEVELS_MAX;
            let levels = &entries[from..entries.len().min(from + LEVELS_MAX)];
            self.line(Channel::Snapshot, entry).write(sink, |packet| packet.snapshot(&block, levels));
        }
    }

    /// The line that carries a listing on a port.
    fn line(&mut self, port: Channel, entry: &Listing) -> &mut Line {
        match port {
            Channel::Incremental => line(&mut self.incremental, entry.contract.channel),
            Channel::Snapshot => line(&mut self.snapshot, entry.contract.channel + SNAPSHOT_CHANNEL),
        }
    }
}

/// One of them, or all.
fn chosen<T>(all: &mut [T], choice: Option<u64>) -> impl Iterator<Item = &mut T> {
    let one = choice.map(|choice| (choice % all.len().max(1) as u64) as usize);
    all.iter_mut().enumerate().filter(move |(at, _)| one.is_none_or(|one| one == *at)).map(|(_, line)| line)
}

/// The line with this number; one was made for every channel of the universe.
fn line(lines: &mut [Line], id: u16) -> &mut Line {
    let at = lines.iter().position(|line| line.id == id).unwrap_or_default();
    &mut lines[at]
}
