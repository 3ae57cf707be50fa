//! Packets in, one gap-free stream of instrument, book, trade and index events out.
//!
//! ```text
//!  packet ──► sequence of its channel ──► messages ──┬─► listings    definitions checked, numbered, merged
//!             (missing, late, anew)                  ├─► chains      changes that follow; books; snapshots
//!                                                    ├─► marks, indices, trades
//!                                                    └─► publisher   latest state, flushed at the end of the step
//! ```
//!
//! **Invariant.** A top whose quality is `Good` or `Crossed` is that of the venue's book: every change since the snapshot
//! it began with was applied in order, and each later snapshot at the same change id was found equal.
//!
//! **What a lost packet touches.** The books whose home is the packet's channel, the one on which messages about them
//! were last seen, and the books that have no such home yet. Snapshots run on channels of their own, which are no home:
//! a packet lost there abandons the snapshots in progress and nothing else. What was lost before the first packet heard
//! of a channel, or is not yet followed by another, is known by the change ids alone: the next change does not follow.
//!
//! **Silence.** A book whose home channel was silent for longer than allowed is `Stale` until the channel is heard again.
//!
//! **Cost.** A step is bounded by the packet: one pass over its messages, a book change moves the levels above it. A gap, a
//! silence and a flush after a full outbox walk the instruments, [`INSTRUMENTS_MAX`] at most. Memory is taken at
//! construction, about 20 MiB at the default depths.
//!
//! **Failure.** Whatever a packet holds, the feed counts it, gaps what it may have touched, and goes on.

pub mod book;
mod chain;
mod channel;
mod counters;
mod directory;
mod listing;
mod pending;
mod publish;
mod snapshot;

pub use counters::FeedCounters;
pub use listing::{NAME_BYTES_MAX, Refusal};

use crate::event::{Body, Event};
use crate::instrument::{BookQuality, Catalogue, INSTRUMENTS_MAX, InstrumentKind, InstrumentState};
use crate::stage::Outbox;
use crate::units::{InstrumentId, Nanos, Price, Quantity, Side, Ticks};
use crate::wire::deribit_multicast::{
    self as wire, DecodeError, Direction, Message, PriceIndexBlock, TickerBlock, TradeEntry,
};
use chain::{Chains, Integrity};
use channel::{Arrival, ChannelIndex, Channels};
use listing::{Definition, Listings, trading_state};
use publish::{Publisher, Stamp, Top, part};

/// An instrument about which no channel has said anything yet.
const NO_HOME: ChannelIndex = ChannelIndex::MAX;

/// How far the venue's clock may be ahead of ours, milliseconds.
const CLOCKS_APART_MS: u64 = 60_000;

/// One UDP packet as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Receive time: the time of every event this packet causes.
    pub time: Nanos,
    /// Stamp counter before the packet was read.
    pub received: Ticks,
    /// Destination port.
    pub port: u16,
    /// UDP payload.
    pub bytes: &'a [u8],
}

/// Sizes and patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// Silence of a channel after which its books are stale, nanoseconds.
    pub stale_after_ns: u64,
    /// Levels kept on each side of a future's, perpetual's or spot pair's book.
    pub future_depth: usize,
    /// Levels kept on each side of an option's or combination's book.
    pub option_depth: usize,
    /// Levels of all books together.
    pub levels_max: usize,
}

impl Default for FeedConfig {
    /// Five seconds; 2,048 and 128 levels a side; 2^20 levels.
    fn default() -> Self {
        Self { stale_after_ns: 5 * Nanos::PER_SECOND, future_depth: 2_048, option_depth: 128, levels_max: 1 << 20 }
    }
}

impl FeedConfig {
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
    config: FeedConfig,
    channels: Channels,
    listings: Listings,
    chains: Chains,
    publisher: Publisher,
    /// By instrument: the channel on which it was last seen.
    homes: Box<[ChannelIndex]>,
    ticker_ms: Box<[u64]>,
    next_watch: Nanos,
    counters: FeedCounters,
}

impl Feed {
    /// A feed that knows nothing yet.
    pub fn new(config: FeedConfig) -> Self {
        Self {
            config,
            channels: Channels::new(),
            listings: Listings::new(),
            chains: Chains::new(INSTRUMENTS_MAX, config.levels_max, config.future_depth.max(config.option_depth)),
            publisher: Publisher::new(),
            homes: vec![NO_HOME; INSTRUMENTS_MAX].into_boxed_slice(),
            ticker_ms: vec![0; INSTRUMENTS_MAX].into_boxed_slice(),
            next_watch: Nanos(0),
            counters: FeedCounters::default(),
        }
    }

    /// Takes one packet.
    #[inline]
    pub fn step(&mut self, packet: &Packet<'_>, out: &mut impl Outbox<Event>) {
        let stamp = Stamp { time: packet.time, received: packet.received };
        self.counters.packets += 1;
        self.counters.bytes += packet.bytes.len() as u64;
        match wire::Packet::parse(packet.bytes) {
            Ok((header, messages)) => {
                let (channel, sequence) = (header.channel_id.get(), header.sequence.get());
                match self.channels.arrive(packet.port, channel, sequence, packet.time) {
                    Some((channel, arrival)) => self.arrive(channel, arrival, messages, stamp, out),
                    None => self.counters.channels_refused += 1,
                }
            }
            Err(error) => self.count(error),
        }
        self.watch(packet.time);
        self.publisher.flush(&self.listings, stamp, out, &mut self.counters);
    }

    /// Notes that time passed, when no packet says so; sends what waits.
    pub fn tick(&mut self, time: Nanos, out: &mut impl Outbox<Event>) {
        self.watch(time);
        let stamp = Stamp { time, received: Ticks::default() };
        self.publisher.flush(&self.listings, stamp, out, &mut self.counters);
    }

    /// Totals since construction.
    pub fn counters(&self) -> &FeedCounters {
        &self.counters
    }

    /// Everything listed.
    pub fn catalogue(&self) -> &Catalogue {
        self.listings.catalogue()
    }

    /// The venue's name of an instrument.
    pub fn name(&self, id: InstrumentId) -> Option<&str> {
        self.listings.name(id)
    }

    /// The instrument of this name.
    pub fn find(&self, name: &str) -> Option<InstrumentId> {
        self.listings.find_name(name)
    }

    /// Channel and port pairs heard so far.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    #[inline]
    fn arrive(
        &mut self,
        channel: ChannelIndex,
        arrival: Arrival,
        messages: wire::Messages<'_>,
        stamp: Stamp,
        out: &mut impl Outbox<Event>,
    ) {
        match arrival {
            Arrival::InOrder => {}
            Arrival::Late => {
                self.counters.packets_late += 1;
                return;
            }
            Arrival::Gap(missing) => {
                self.counters.sequence_gaps += 1;
                self.counters.packets_missing += u64::from(missing);
                self.lose(channel, latest_ms(messages.clone(), stamp));
            }
            Arrival::Restart => {
                self.counters.restarts += 1;
                self.lose(channel, latest_ms(messages.clone(), stamp));
            }
        }
        if self.channels.at(channel).silent {
            self.channels.at(channel).silent = false;
            self.show_all(channel);
        }
        for message in messages {
            match message {
                Ok(message) => self.take(channel, &message, stamp, out),
                Err(error) => {
                    self.count(error);
                    self.lose(channel, stamp.time.0 / Nanos::PER_MILLI);
                }
            }
        }
    }

    #[inline]
    fn take(&mut self, channel: ChannelIndex, message: &Message<'_>, stamp: Stamp, out: &mut impl Outbox<Event>) {
        match message.template() {
            Some(template) => self.counters.messages[template.index()] += 1,
            None => self.counters.unknown_templates += 1,
        }
        match message {
            Message::Book(book) => self.book(channel, book),
            Message::Ticker(ticker) => self.ticker(channel, ticker),
            Message::PriceIndex(index) => self.price_index(index),
            Message::Trades(trades) => self.trades(channel, trades, stamp, out),
            Message::Snapshot(snapshot) => self.snapshot(channel, snapshot),
            Message::SnapshotStart(_) | Message::SnapshotEnd => {
                let channel = self.channels.at(channel);
                (channel.carries_snapshots, channel.aligned) = (true, true);
            }
            Message::Instrument(wire::Instrument { block, name }) => self.define(
                channel,
                &Definition {
                    venue: block.instrument_id.get(),
                    state: block.state,
                    kind: block.kind,
                    instrument_type: block.instrument_type,
                    option_type: block.option_type,
                    terms: &block.terms,
                    tick_steps: None,
                    name,
                },
            ),
            Message::InstrumentV2(wire::InstrumentV2 { block, tick_steps, name }) => self.define(
                channel,
                &Definition {
                    venue: block.instrument_id.get(),
                    state: block.state,
                    kind: block.kind,
                    instrument_type: block.instrument_type,
                    option_type: block.option_type,
                    terms: &block.terms,
                    tick_steps: Some(*tick_steps),
                    name,
                },
            ),
            Message::ComboLegs(_) | Message::Rfq(_) | Message::Unknown(_) => {}
        }
    }

    #[inline]
    fn book(&mut self, channel: ChannelIndex, message: &wire::Book<'_>) {
        self.channels.at(channel).carries_changes = true;
        let Some(id) = self.listed(message.block.instrument_id.get(), channel) else { return };
        if self.chains.change(id.index(), message, &mut self.counters) {
            self.show(id);
        }
    }

    fn snapshot(&mut self, channel: ChannelIndex, message: &wire::Snapshot<'_>) {
        let state = self.channels.at(channel);
        state.carries_snapshots = true;
        let was_aligned = state.aligned;
        state.aligned |= message.block.is_last_in_book != 0;
        if !was_aligned {
            self.counters.snapshots_broken += 1;
            return;
        }
        let Some(id) = self.listed(message.block.instrument_id.get(), channel) else { return };
        if self.chains.snapshot(id.index(), channel, message, &mut self.counters) {
            self.show(id);
        }
    }

    fn ticker(&mut self, channel: ChannelIndex, ticker: &TickerBlock) {
        let Some(id) = self.listed(ticker.instrument_id.get(), channel) else { return };
        let last_ms = &mut self.ticker_ms[id.index()];
        if ticker.timestamp_ms.get() < *last_ms {
            self.counters.tickers_stale += 1;
            return;
        }
        *last_ms = ticker.timestamp_ms.get();
        if let Some(state) = trading_state(ticker.state) {
            self.set_state(id, state);
        }
        if ticker.mark_price.get().is_nan() {
            return;
        }
        match Price::from_f64(ticker.mark_price.get()) {
            Some(mark) => self.publisher.set_mark(id, mark, &mut self.counters),
            None => self.count(DecodeError::Number),
        }
    }

    fn price_index(&mut self, index: &PriceIndexBlock) {
        match (self.listings.find_index(&index.name), Price::from_f64(index.price.get()).filter(|p| p.0 > 0)) {
            (None, _) => self.counters.indices_unmatched += 1,
            (Some(_), None) if index.price.get().is_nan() => {}
            (Some(_), None) => self.count(DecodeError::Number),
            (Some(underlying), Some(price)) => self.publisher.set_index(underlying, price, &mut self.counters),
        }
    }

    fn trades(&mut self, channel: ChannelIndex, trades: &wire::Trades<'_>, stamp: Stamp, out: &mut impl Outbox<Event>) {
        self.counters.trades += trades.entries.len() as u64;
        let Some(id) = self.listed(trades.block.instrument_id.get(), channel) else { return };
        if self.publisher.is_listing_due(id) {
            self.publisher.flush(&self.listings, stamp, out, &mut self.counters);
        }
        let is_listed = !self.publisher.is_listing_due(id);
        for entry in trades.entries {
            match self.trade(id, entry) {
                Ok(body) if is_listed && out.send(stamp.event(body)).is_ok() => {}
                Ok(_) => self.counters.trades_dropped += 1,
                Err(error) => self.count(error),
            }
        }
    }

    fn trade(&mut self, instrument: InstrumentId, entry: &TradeEntry) -> Result<Body, DecodeError> {
        let side = match Direction::try_from(entry.direction)? {
            Direction::Buy => Side::Buy,
            Direction::Sell => Side::Sell,
        };
        let price = Price::from_f64(entry.price.get()).ok_or(DecodeError::Number)?;
        let amount = Quantity::from_f64(entry.amount.get()).filter(|a| a.0 > 0).ok_or(DecodeError::Number)?;
        let lot = self.catalogue().find(instrument).map_or(Quantity(0), |listed| listed.lot);
        let (lots, is_odd) = amount.to_lots(lot);
        self.counters.off_lot += u64::from(is_odd);
        Ok(Body::Trade { instrument, side, price, lots: lots.magnitude_u32(), id: entry.trade_id.get() })
    }

    fn define(&mut self, channel: ChannelIndex, definition: &Definition<'_>) {
        self.channels.at(channel).aligned = true;
        let (chains, config) = (&mut self.chains, &self.config);
        let taken =
            self.listings.take(definition, |id: InstrumentId, kind| chains.open(id.index(), config.depth(kind)));
        let taken = match taken {
            Ok(taken) => taken,
            Err(refusal) => {
                self.counters.refused[refusal as usize] += 1;
                return;
            }
        };
        if taken.is_changed {
            self.counters.tick_steps_refused += u64::from(taken.steps_refused);
            self.publisher.touch(taken.id, part::LISTING | part::STATUS, &mut self.counters);
            self.publisher.resend_top(taken.id, &mut self.counters);
        }
        if let Some(state) = definition.state() {
            self.set_state(taken.id, state);
        }
        if let Some(displaced) = taken.displaced {
            self.set_state(displaced, InstrumentState::Closed);
            self.chains.lose(displaced.index(), 0, &mut self.counters);
            self.homes[displaced.index()] = NO_HOME;
            self.show(displaced);
        }
        self.settle(taken.id, channel);
    }

    /// The instrument behind a venue number; its home becomes `channel`.
    #[inline]
    fn listed(&mut self, venue: u32, channel: ChannelIndex) -> Option<InstrumentId> {
        let id = self.listings.find(venue);
        match id {
            Some(id) if self.homes[id.index()] != channel => self.settle(id, channel),
            Some(_) => {}
            None => self.counters.unlisted += 1,
        }
        id
    }

    /// A channel becomes an instrument's home, unless it carries snapshots alone and the instrument has one.
    fn settle(&mut self, id: InstrumentId, channel: ChannelIndex) {
        let home = self.homes[id.index()];
        if home == NO_HOME || self.channels.at(channel).may_carry_changes() {
            self.homes[id.index()] = channel;
            if home != NO_HOME && self.channels.at(home).silent {
                self.show(id);
            }
        }
    }

    fn set_state(&mut self, id: InstrumentId, state: InstrumentState) {
        if self.listings.set_state(id, state) {
            self.publisher.touch(id, part::STATUS, &mut self.counters);
        }
    }

    /// Something sent on this channel is missing, and the venue sent it no later than `latest_ms`.
    #[cold]
    fn lose(&mut self, channel: ChannelIndex, latest_ms: u64) {
        self.channels.at(channel).aligned = false;
        self.chains.abandon_snapshots(channel, &mut self.counters);
        if !self.channels.at(channel).may_carry_changes() {
            return;
        }
        for index in 0..self.catalogue().instruments().len() {
            let home = self.homes[index];
            let is_touched = home == channel || home == NO_HOME || !self.channels.at(home).may_carry_changes();
            if is_touched && self.chains.lose(index, latest_ms.saturating_add(1), &mut self.counters) {
                self.show(InstrumentId(index as u16));
            }
        }
    }

    /// Looks for channels fallen silent, four times in the time allowed to them.
    #[inline]
    fn watch(&mut self, time: Nanos) {
        if time < self.next_watch {
            return;
        }
        self.next_watch = Nanos(time.0.saturating_add(self.config.stale_after_ns / 4));
        for index in 0..self.channels.len() as ChannelIndex {
            let channel = self.channels.at(index);
            if !channel.silent && time.since(channel.heard) > self.config.stale_after_ns {
                channel.silent = true;
                if self.show_all(index) > 0 {
                    self.counters.silences += 1;
                }
            }
        }
    }

    /// Shows every instrument whose home this channel is; how many there are.
    fn show_all(&mut self, channel: ChannelIndex) -> usize {
        let mut shown = 0;
        for index in 0..self.catalogue().instruments().len() {
            if self.homes[index] == channel {
                self.show(InstrumentId(index as u16));
                shown += 1;
            }
        }
        shown
    }

    /// Works out an instrument's top and how far to trust it.
    #[inline]
    fn show(&mut self, id: InstrumentId) {
        let integrity = self.chains.integrity(id.index());
        let [bid, ask] = self.chains.top(id.index());
        let home = self.homes[id.index()];
        let is_silent = home == NO_HOME || self.channels.at(home).silent;
        let is_crossed = bid.zip(ask).is_some_and(|(bid, ask)| bid.price >= ask.price);
        let quality = match integrity {
            Integrity::Unseeded => BookQuality::Unknown,
            Integrity::Gapped => BookQuality::Gapped,
            Integrity::Whole if is_silent => BookQuality::Stale,
            Integrity::Whole if is_crossed => BookQuality::Crossed,
            Integrity::Whole => BookQuality::Good,
        };
        let (bid, ask) = (bid.unwrap_or_default(), ask.unwrap_or_default());
        let top = Top { quality, bid: bid.price, ask: ask.price, bid_amount: bid.amount, ask_amount: ask.amount };
        self.publisher.set_top(id, top, &mut self.counters);
        self.counters.level_overflow = self.chains.overflows();
    }

    fn count(&mut self, error: DecodeError) {
        self.counters.decode_errors[error as usize] += 1;
    }
}

/// The latest time by the venue's clock that a packet names; its receive time when it names none. A time too far ahead
/// to be true does not count, or it would keep books from being restored.
#[cold]
fn latest_ms(messages: wire::Messages<'_>, stamp: Stamp) -> u64 {
    let times = messages.flatten().filter_map(|message| match message {
        Message::Book(book) => Some(book.block.timestamp_ms.get()),
        Message::Ticker(ticker) => Some(ticker.timestamp_ms.get()),
        Message::PriceIndex(index) => Some(index.timestamp_ms.get()),
        Message::Trades(trades) => trades.entries.iter().map(|trade| trade.timestamp_ms.get()).max(),
        _ => None,
    });
    let received_ms = stamp.time.0 / Nanos::PER_MILLI;
    times.filter(|&time_ms| time_ms <= received_ms + CLOCKS_APART_MS).max().unwrap_or(received_ms)
}

#[cfg(test)]
mod tests;
