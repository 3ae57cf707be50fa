//! The multicast feed of levels: changes that follow each other by id, snapshots in rounds.
//!
//! ```text
//!  packet ──► arbiter, by channel and port ──► messages ──┬─► listings    definitions
//!                                                          ├─► chains      changes that follow; books; snapshots
//!                                                          └─► marks, indices, trades
//! ```
//!
//! **What a lost packet touches.** The books whose home is the packet's channel, the one on which messages about them
//! were last seen, and the books that have no such home yet. Snapshots run on channels of their own, which are no home:
//! a packet lost there abandons the snapshots in progress and nothing else. What was lost before the first packet heard
//! of a channel, or is not yet followed by another, is known by the change ids alone: the next change does not follow.

mod chain;
mod channel;
mod definition;
mod snapshot;

use super::arbiter::{Arbiter, Arrival, Delivery, Line, LineStats, Numbers, unwrapped};
use super::board::{Board, PublicTrade};
use super::listing::{Definition, Refusal};
use super::publish::Stamp;
use super::{FeedConfig, Packet};
use crate::event::Event;
use crate::instrument::BookQuality;
use crate::stage::Outbox;
use crate::units::{InstrumentId, Nanos, Price, Quantity, Side, Ticks};
use crate::wire::deribit_multicast::{
    self as wire, DecodeError, Direction, Message, PriceIndexBlock, TickerBlock, TradeEntry,
};
use chain::{Chains, Integrity};
use channel::{CHANNELS_MAX, ChannelIndex, Channels};
use definition::trading_state;

/// An instrument about which no channel has said anything yet.
const NO_HOME: ChannelIndex = ChannelIndex::MAX;

/// How far the venue's clock may be ahead of ours, milliseconds.
const CLOCKS_APART_MS: u64 = 60_000;

/// The protocol: its lines, and what they say.
#[derive(Debug)]
pub(super) struct Classic {
    arbiter: Arbiter,
    market: Market,
}

impl Classic {
    pub(super) fn new(config: FeedConfig) -> Self {
        let levels = config.future_depth.max(config.option_depth);
        Self {
            arbiter: Arbiter::new(config.lines, CHANNELS_MAX),
            market: Market {
                config,
                channels: Channels::new(),
                chains: Chains::new(config.instruments, config.levels_max, levels),
                homes: vec![NO_HOME; config.instruments].into_boxed_slice(),
                ticker_ms: vec![0; config.instruments].into_boxed_slice(),
                next_watch: Nanos(0),
            },
        }
    }

    #[inline]
    pub(super) fn step(&mut self, packet: &Packet<'_>, board: &mut Board, out: &mut impl Outbox<Event>) {
        match wire::Packet::parse(packet.bytes) {
            Ok((header, _)) => self.offer(packet, header.channel_id.get(), header.sequence.get(), board, out),
            Err(error) => board.count(error),
        }
        self.tick(packet.time, board, out);
    }

    pub(super) fn tick(&mut self, time: Nanos, board: &mut Board, out: &mut impl Outbox<Event>) {
        let Self { arbiter, market } = self;
        if arbiter.is_waiting() {
            arbiter
                .poll(time, |channel, delivery| market.deliver(channel as ChannelIndex, &delivery, time, board, out));
        }
        if market.is_watch_due(time) {
            arbiter
                .poll(time, |channel, delivery| market.deliver(channel as ChannelIndex, &delivery, time, board, out));
            market.watch(time, board);
        }
    }

    /// Second copies that were other bytes, over all streams.
    pub(super) fn divergent(&self) -> u64 {
        self.arbiter.divergent()
    }

    /// What a line did, over all channels.
    pub(super) fn line(&self, line: Line) -> LineStats {
        self.arbiter.total(line)
    }

    /// Channel and port pairs heard so far.
    pub(super) fn channels(&self) -> usize {
        self.market.channels.len()
    }

    #[inline]
    fn offer(
        &mut self,
        packet: &Packet<'_>,
        channel: u16,
        sequence: u32,
        board: &mut Board,
        out: &mut impl Outbox<Event>,
    ) {
        let Self { arbiter, market } = self;
        let Some((index, is_new)) = market.channels.hear(packet.port, channel, packet.time) else {
            board.counters.channels_refused += 1;
            return;
        };
        if is_new {
            // Beyond the first lap, so that what came before it has a number too.
            arbiter.open((1 << 32) + u64::from(sequence));
        }
        let stream = usize::from(index);
        let first = unwrapped(arbiter.next(stream), sequence);
        let numbers = Numbers { first, end: first + 1, body: 0 };
        let is_taken = arbiter.offer(stream, numbers, packet, |delivery| {
            market.deliver(index, &delivery, packet.time, board, out);
        });
        board.counters.packets_late += u64::from(!is_taken);
    }
}

/// What the packets are about.
#[derive(Debug)]
struct Market {
    config: FeedConfig,
    channels: Channels,
    chains: Chains,
    /// By instrument: the channel on which it was last seen.
    homes: Box<[ChannelIndex]>,
    ticker_ms: Box<[u64]>,
    next_watch: Nanos,
}

impl Market {
    /// Takes a packet whose turn it is.
    #[inline]
    fn deliver(
        &mut self,
        channel: ChannelIndex,
        delivery: &Delivery<'_>,
        now: Nanos,
        board: &mut Board,
        out: &mut impl Outbox<Event>,
    ) {
        let (stamp, bytes) = match &delivery.packet {
            Some(packet) => (Stamp { time: now, received: packet.received }, packet.bytes),
            None => (Stamp { time: now, received: Ticks::default() }, &[][..]),
        };
        // It was parsed before it was offered.
        let messages = wire::Packet::parse(bytes).map(|(_, messages)| messages).unwrap_or_default();
        match delivery.arrival {
            Arrival::InOrder => {}
            Arrival::Gap(missing) => {
                board.counters.sequence_gaps += 1;
                board.counters.packets_missing += missing;
                self.lose(channel, latest_ms(messages.clone(), stamp), board);
            }
            Arrival::Restart => {
                board.counters.restarts += 1;
                self.lose(channel, latest_ms(messages.clone(), stamp), board);
            }
        }
        if self.channels.at(channel).silent {
            self.channels.at(channel).silent = false;
            self.show_all(channel, board);
        }
        for message in messages {
            match message {
                Ok(message) => self.take(channel, &message, stamp, board, out),
                Err(error) => {
                    board.count(error);
                    self.lose(channel, stamp.time.0 / Nanos::PER_MILLI, board);
                }
            }
        }
    }

    #[inline(always)]
    fn take(
        &mut self,
        channel: ChannelIndex,
        message: &Message<'_>,
        stamp: Stamp,
        board: &mut Board,
        out: &mut impl Outbox<Event>,
    ) {
        match message.template() {
            Some(template) => board.counters.messages[template.index()] += 1,
            None => board.counters.unknown_templates += 1,
        }
        match message {
            Message::Book(book) => self.book(channel, book, board),
            Message::Ticker(ticker) => self.ticker(channel, ticker, board),
            Message::PriceIndex(index) => self.price_index(index, board),
            Message::Trades(trades) => self.trades(channel, trades, stamp, board, out),
            Message::Snapshot(snapshot) => self.snapshot(channel, snapshot, board),
            Message::SnapshotStart(_) | Message::SnapshotEnd => {
                let channel = self.channels.at(channel);
                (channel.carries_snapshots, channel.aligned) = (true, true);
            }
            Message::Instrument(message) => self.define(channel, definition::first_version(message), board),
            Message::InstrumentV2(message) => self.define(channel, definition::second_version(message), board),
            Message::ComboLegs(_) | Message::Rfq(_) | Message::Unknown(_) => {}
        }
    }

    #[inline]
    fn book(&mut self, channel: ChannelIndex, message: &wire::Book<'_>, board: &mut Board) {
        self.channels.at(channel).carries_changes = true;
        let Some(id) = self.listed(message.block.instrument_id.get(), channel, board) else { return };
        if self.chains.change(id.index(), message, &mut board.counters) {
            self.show(id, board);
        }
    }

    fn snapshot(&mut self, channel: ChannelIndex, message: &wire::Snapshot<'_>, board: &mut Board) {
        let state = self.channels.at(channel);
        state.carries_snapshots = true;
        let was_aligned = state.aligned;
        state.aligned |= message.block.is_last_in_book != 0;
        if !was_aligned {
            board.counters.snapshots_broken += 1;
            return;
        }
        let Some(id) = self.listed(message.block.instrument_id.get(), channel, board) else { return };
        if self.chains.snapshot(id.index(), channel, message, &mut board.counters) {
            self.show(id, board);
        }
    }

    fn ticker(&mut self, channel: ChannelIndex, ticker: &TickerBlock, board: &mut Board) {
        let Some(id) = self.listed(ticker.instrument_id.get(), channel, board) else { return };
        let last_ms = &mut self.ticker_ms[id.index()];
        if ticker.timestamp_ms.get() < *last_ms {
            board.counters.tickers_stale += 1;
            return;
        }
        *last_ms = ticker.timestamp_ms.get();
        if let Some(state) = trading_state(ticker.state) {
            board.set_state(id, state);
        }
        if ticker.mark_price.get().is_nan() {
            return;
        }
        match Price::from_f64(ticker.mark_price.get()) {
            Some(mark) => board.publisher.set_mark(id, mark, &mut board.counters),
            None => board.count(DecodeError::Number),
        }
    }

    fn price_index(&mut self, index: &PriceIndexBlock, board: &mut Board) {
        match (board.listings.find_index(&index.name), Price::from_f64(index.price.get()).filter(|p| p.0 > 0)) {
            (None, _) => board.counters.indices_unmatched += 1,
            (Some(_), None) if index.price.get().is_nan() => {}
            (Some(_), None) => board.count(DecodeError::Number),
            (Some(underlying), Some(price)) => board.publisher.set_index(underlying, price, &mut board.counters),
        }
    }

    fn trades(
        &mut self,
        channel: ChannelIndex,
        trades: &wire::Trades<'_>,
        stamp: Stamp,
        board: &mut Board,
        out: &mut impl Outbox<Event>,
    ) {
        board.counters.trades += trades.entries.len() as u64;
        let Some(id) = self.listed(trades.block.instrument_id.get(), channel, board) else { return };
        for entry in trades.entries {
            match trade(id, entry) {
                Ok(trade) => board.trade(&trade, stamp, out),
                Err(error) => board.count(error),
            }
        }
    }

    fn define(&mut self, channel: ChannelIndex, definition: Result<Definition<'_>, Refusal>, board: &mut Board) {
        self.channels.at(channel).aligned = true;
        let (chains, config) = (&mut self.chains, &self.config);
        let Some(taken) = board.define(definition, |id, kind| chains.open(id.index(), config.depth(kind))) else {
            return;
        };
        if let Some(displaced) = taken.displaced {
            self.chains.lose(displaced.index(), 0, &mut board.counters);
            self.homes[displaced.index()] = NO_HOME;
            self.show(displaced, board);
        }
        self.settle(taken.id, channel, board);
    }

    /// The instrument behind a venue number; its home becomes `channel`.
    #[inline]
    fn listed(&mut self, venue: u32, channel: ChannelIndex, board: &mut Board) -> Option<InstrumentId> {
        let id = board.listings.find(venue);
        match id {
            Some(id) if self.homes[id.index()] != channel => self.settle(id, channel, board),
            Some(_) => {}
            None => board.counters.unlisted += 1,
        }
        id
    }

    /// A channel becomes an instrument's home, unless it carries snapshots alone and the instrument has one.
    fn settle(&mut self, id: InstrumentId, channel: ChannelIndex, board: &mut Board) {
        let home = self.homes[id.index()];
        if home == NO_HOME || self.channels.at(channel).may_carry_changes() {
            self.homes[id.index()] = channel;
            if home != NO_HOME && self.channels.at(home).silent {
                self.show(id, board);
            }
        }
    }

    /// Something sent on this channel is missing, and the venue sent it no later than `latest_ms`.
    #[cold]
    fn lose(&mut self, channel: ChannelIndex, latest_ms: u64, board: &mut Board) {
        self.channels.at(channel).aligned = false;
        self.chains.abandon_snapshots(channel, &mut board.counters);
        if !self.channels.at(channel).may_carry_changes() {
            return;
        }
        for index in 0..board.listings.catalogue().instruments().len() {
            let home = self.homes[index];
            let is_touched = home == channel || home == NO_HOME || !self.channels.at(home).may_carry_changes();
            if is_touched && self.chains.lose(index, latest_ms.saturating_add(1), &mut board.counters) {
                self.show(InstrumentId(index as u16), board);
            }
        }
    }

    /// Four times in the silence allowed.
    #[inline]
    fn is_watch_due(&self, time: Nanos) -> bool {
        time >= self.next_watch
    }

    /// Looks for channels fallen silent.
    #[cold]
    fn watch(&mut self, time: Nanos, board: &mut Board) {
        self.next_watch = Nanos(time.0.saturating_add(self.config.stale_after_ns / 4));
        for index in 0..self.channels.len() as ChannelIndex {
            let channel = self.channels.at(index);
            if !channel.silent && time.since(channel.heard) > self.config.stale_after_ns {
                channel.silent = true;
                if self.show_all(index, board) > 0 {
                    board.counters.silences += 1;
                }
            }
        }
    }

    /// Shows every instrument whose home this channel is; how many there are.
    fn show_all(&mut self, channel: ChannelIndex, board: &mut Board) -> usize {
        let mut shown = 0;
        for index in 0..board.listings.catalogue().instruments().len() {
            if self.homes[index] == channel {
                self.show(InstrumentId(index as u16), board);
                shown += 1;
            }
        }
        shown
    }

    /// Works out an instrument's top and how far to trust it.
    #[inline]
    fn show(&mut self, id: InstrumentId, board: &mut Board) {
        let home = self.homes[id.index()];
        let is_silent = home == NO_HOME || self.channels.at(home).silent;
        let quality = match self.chains.integrity(id.index()) {
            Integrity::Unseeded => BookQuality::Unknown,
            Integrity::Gapped => BookQuality::Gapped,
            Integrity::Whole if is_silent => BookQuality::Stale,
            Integrity::Whole => BookQuality::Good,
        };
        board.show(id, quality, self.chains.top(id.index()));
        board.counters.level_overflow = self.chains.overflows();
    }
}

fn trade(instrument: InstrumentId, entry: &TradeEntry) -> Result<PublicTrade, DecodeError> {
    let side = match Direction::try_from(entry.direction)? {
        Direction::Buy => Side::Buy,
        Direction::Sell => Side::Sell,
    };
    let price = Price::from_f64(entry.price.get()).ok_or(DecodeError::Number)?;
    let amount = Quantity::from_f64(entry.amount.get()).filter(|a| a.0 > 0).ok_or(DecodeError::Number)?;
    Ok(PublicTrade { instrument, side, price, amount, id: entry.trade_id.get() })
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
