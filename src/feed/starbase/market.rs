//! What the messages say: books with their standing, marks, indices, trades, definitions.

use arrayvec::ArrayVec;

use super::definition::{self, Indices, trading_state};
use super::orders::{OrderBooks, Resting};
use super::snapshot::Staged;
use super::{CHANNELS_MAX, Carries, RecoveryStats};
use crate::event::Event;
use crate::feed::FeedConfig;
use crate::feed::arbiter::{Arrival, Delivery};
use crate::feed::board::{Board, PublicTrade};
use crate::feed::book::Fault;
use crate::feed::pending::Pending;
use crate::feed::publish::Stamp;
use crate::instrument::BookQuality;
use crate::stage::Outbox;
use crate::units::{InstrumentId, Nanos, Price, Quantity, Side};
use crate::wire::starbase::market_data::{
    self as wire, DecodeError, Definition, InstrumentInfo, Message, SCHEMA_VERSION, Sequenced, Trade, message_flags,
    trade_flags,
};

/// An instrument that no channel has defined.
const NO_HOME: u16 = u16::MAX;
/// Messages held back for all books, and for one.
const PENDING: (usize, u32) = (32_768, 4_096);
/// Books that one transaction may touch before they are shown early.
const TOUCHED_MAX: usize = 32;
/// Templates of the messages that change books.
const ORDER_TEMPLATES: std::ops::RangeInclusive<u16> = 20..=25;

/// How much a book is to be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Integrity {
    /// No snapshot yet.
    #[default]
    Unseeded,
    /// Every message since its snapshot was applied.
    Whole,
    /// Something is missing.
    Gapped,
}

/// One instrument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) integrity: Integrity,
    /// Messages up to here are in the book.
    pub(super) as_of: u64,
    /// The last message about it.
    pub(super) touched: u64,
    /// A snapshot must reach this.
    pub(super) floor: u64,
    /// A snapshot ahead of the messages that differed, as of when, and the last message about the book by then.
    pub(super) doubted: Option<(u64, u64)>,
    /// When it was last whole.
    pub(super) gapped_since: Nanos,
    pub(super) home: u16,
    /// Units of 1e-9 in one unit of a quantity's mantissa.
    pub(super) scale: i64,
}

const ABSENT: Standing = Standing {
    integrity: Integrity::Unseeded,
    as_of: 0,
    touched: 0,
    floor: 0,
    doubted: None,
    gapped_since: Nanos(0),
    home: NO_HOME,
    scale: 0,
};

/// One channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Channel {
    pub(super) id: i32,
    pub(super) heard: Nanos,
    /// Whether its changes, and its snapshots, were heard.
    pub(super) has_begun: [bool; 2],
    is_silent: bool,
    /// Whether the message delivered last was within a transaction that goes on.
    pub(super) is_amid: bool,
    /// Since when its changes lack something that was asked for.
    suspended: Option<Nanos>,
    /// The last message delivered.
    pub(super) last: u64,
}

/// One thing that happened to one order, in the instrument's own units.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Put { side: Side, id: i64, price: i64, mantissa: i64, sort: i64 },
    Reduce { side: Side, id: i64, mantissa: i64 },
    Delete { side: Side, id: i64 },
}

/// The change a message tells of, and the instrument.
#[inline]
fn change(message: &Message<'_>) -> Option<(i64, Change)> {
    macro_rules! put {
        ($put:expr, $side:expr) => {{
            let (id, price) = ($put.order_id.get(), $put.price.get());
            let (mantissa, sort) = ($put.quantity_mantissa.get(), $put.sort_order_id.get());
            ($put.instrument_id.get(), Change::Put { side: $side, id, price, mantissa, sort })
        }};
    }
    macro_rules! reduce {
        ($reduced:expr, $side:expr) => {{
            let (id, mantissa) = ($reduced.order_id.get(), $reduced.quantity_mantissa.get());
            ($reduced.instrument_id.get(), Change::Reduce { side: $side, id, mantissa })
        }};
    }
    Some(match message {
        Message::BidPut(put) => put!(put, Side::Buy),
        Message::AskPut(put) => put!(put, Side::Sell),
        Message::BidQtyReduced(reduced) => reduce!(reduced, Side::Buy),
        Message::AskQtyReduced(reduced) => reduce!(reduced, Side::Sell),
        Message::BidDelete(gone) => {
            (gone.instrument_id.get(), Change::Delete { side: Side::Buy, id: gone.order_id.get() })
        }
        Message::AskDelete(gone) => {
            (gone.instrument_id.get(), Change::Delete { side: Side::Sell, id: gone.order_id.get() })
        }
        _ => return None,
    })
}

#[derive(Debug)]
pub(super) struct Market {
    config: FeedConfig,
    pub(super) channels: ArrayVec<Channel, CHANNELS_MAX>,
    pub(super) books: OrderBooks,
    pub(super) standings: Box<[Standing]>,
    pub(super) pending: Pending<(u64, Change)>,
    pub(super) staged: Box<[Staged]>,
    indices: Indices,
    touched: ArrayVec<InstrumentId, TOUCHED_MAX>,
    /// How long each book restored since the last look was not whole: count, sum, longest.
    pub(super) restored: (u64, u64, u64),
    pub(super) next_watch: Nanos,
}

impl Market {
    pub(super) fn new(config: FeedConfig) -> Self {
        Self {
            config,
            channels: ArrayVec::new(),
            books: OrderBooks::new(config.instruments, config.levels_max, config.orders_max),
            standings: vec![ABSENT; config.instruments].into_boxed_slice(),
            pending: Pending::new(
                config.instruments,
                PENDING.0,
                PENDING.1,
                (0, Change::Delete { side: Side::Buy, id: 0 }),
            ),
            staged: (0..CHANNELS_MAX).map(|_| Staged::new()).collect(),
            indices: Indices::default(),
            touched: ArrayVec::new(),
            restored: (0, 0, 0),
            next_watch: Nanos(0),
        }
    }

    /// The first packet of a channel's stream: whatever came before it is missing.
    pub(super) fn join(&mut self, channel: usize, carries: Carries, first: u64, now: Nanos, board: &mut Board) {
        if carries == Carries::Changes {
            self.channels[channel].last = first.saturating_sub(1);
            self.lose(channel, first.saturating_sub(1), now, board);
        }
    }

    /// Takes a packet whose turn it is.
    #[inline]
    pub(super) fn deliver(
        &mut self,
        channel: usize,
        carries: Carries,
        delivery: &Delivery<'_>,
        now: Nanos,
        board: &mut Board,
        out: &mut impl Outbox<Event>,
    ) {
        match delivery.arrival {
            Arrival::InOrder => {}
            Arrival::Gap(missing) => {
                if carries == Carries::Changes {
                    board.counters.sequence_gaps += 1;
                }
                board.counters.packets_missing += missing;
                self.miss(channel, carries, delivery.first, now, board);
            }
            Arrival::Restart => {
                board.counters.restarts += 1;
                match carries {
                    Carries::Changes => self.begin_anew(channel, delivery.first, now, board),
                    Carries::Snapshots => self.miss(channel, carries, delivery.first, now, board),
                }
            }
        }
        if std::mem::take(&mut self.channels[channel].is_silent) {
            self.show_all(channel, board);
        }
        let Some(packet) = &delivery.packet else { return };
        let stamp = Stamp { time: now, received: packet.received };
        // It was parsed before it was offered.
        let Ok((header, messages)) = wire::Packet::parse(packet.bytes) else { return };
        for message in messages {
            match message {
                Ok(message) if (message.sequence as u64) < delivery.first => {}
                Ok(message) => self.take(channel, carries, &message, stamp, board, out),
                Err(error) => {
                    board.counters.starbase_errors[error as usize] += 1;
                    if error != DecodeError::Trailing {
                        // The rest of the packet is lost.
                        let end = header.sequence.get() as u64 + u64::from(header.message_count.get());
                        self.miss(channel, carries, end, now, board);
                    }
                    break;
                }
            }
        }
    }

    #[inline]
    fn take(
        &mut self,
        channel: usize,
        carries: Carries,
        message: &Sequenced<'_>,
        stamp: Stamp,
        board: &mut Board,
        out: &mut impl Outbox<Event>,
    ) {
        let (sequence, version) = (message.sequence as u64, message.header.version.get());
        board.counters.starbase_messages += 1;
        if version != SCHEMA_VERSION {
            board.counters.other_versions += 1;
            board.counters.newest_version = board.counters.newest_version.max(version);
        }
        if carries == Carries::Changes {
            self.channels[channel].last = sequence;
        }
        match &message.message {
            Ok(said) => {
                if let Some((instrument, change)) = change(said) {
                    match carries {
                        Carries::Changes => self.change(channel, sequence, instrument, change, stamp.time, board),
                        Carries::Snapshots => self.stage(channel, instrument, change, board),
                    }
                } else {
                    self.note(channel, carries, said, stamp, board, out);
                }
            }
            Err(error) => {
                board.counters.starbase_errors[*error as usize] += 1;
                if ORDER_TEMPLATES.contains(&message.header.template_id.get()) {
                    // Whose order it was cannot be read.
                    self.miss(channel, carries, sequence + 1, stamp.time, board);
                }
            }
        }
        if carries == Carries::Changes {
            let ends = message.header.flags.get() & message_flags::END_OF_TRANSACTION != 0;
            self.channels[channel].is_amid = !ends;
            if ends {
                self.show_touched(channel, board);
            }
        }
    }

    /// A message about one order, as it happened.
    #[inline]
    fn change(
        &mut self,
        channel: usize,
        sequence: u64,
        instrument: i64,
        change: Change,
        now: Nanos,
        board: &mut Board,
    ) {
        board.counters.order_changes += 1;
        let Some(id) = self.listed(instrument, channel, board) else { return };
        let standing = &mut self.standings[id.index()];
        if sequence <= standing.as_of {
            board.counters.changes_stale += 1;
            return;
        }
        standing.touched = sequence;
        if standing.integrity != Integrity::Whole {
            if !self.pending.hold(id.index(), (sequence, change)) {
                board.counters.pending_dropped += self.pending.clear(id.index()) + 1;
                standing.floor = sequence;
            }
            return;
        }
        match self.apply(id, change) {
            Ok(()) => {
                self.standings[id.index()].as_of = sequence;
                self.touch(id, board);
            }
            Err(_) => {
                board.counters.level_faults += 1;
                self.quarantine(id, sequence, now, board);
                self.show(id, board);
            }
        }
    }

    pub(super) fn apply(&mut self, id: InstrumentId, change: Change) -> Result<(), Fault> {
        let (book, scale) = (id.index(), self.standings[id.index()].scale);
        let quantity = |mantissa: i64| {
            mantissa.checked_mul(scale).filter(|&quantity| quantity > 0).map(Quantity).ok_or(Fault::Inconsistent)
        };
        match change {
            Change::Put { side, id, price, mantissa, sort } => {
                let order = Resting { id, price: Price(price), quantity: quantity(mantissa)?, sort };
                self.books.put(book, side, &order)
            }
            Change::Reduce { side, id, mantissa: 0 } | Change::Delete { side, id } => self.books.delete(book, side, id),
            Change::Reduce { side, id, mantissa } => self.books.reduce(book, side, id, quantity(mantissa)?),
        }
    }

    /// A message about one order of a snapshot.
    fn stage(&mut self, channel: usize, instrument: i64, change: Change, board: &Board) {
        let scale = find(board, instrument).map_or(0, |id| self.standings[id.index()].scale);
        let staged = &mut self.staged[channel];
        match change {
            Change::Put { side, id, price, mantissa, sort } => match mantissa.checked_mul(scale).filter(|&q| q > 0) {
                Some(quantity) => {
                    let order = Resting { id, price: Price(price), quantity: Quantity(quantity), sort };
                    staged.put(instrument, side, order);
                }
                None => staged.spoil(),
            },
            _ => staged.spoil(),
        }
    }

    /// Every other message.
    fn note(
        &mut self,
        channel: usize,
        carries: Carries,
        message: &Message<'_>,
        stamp: Stamp,
        board: &mut Board,
        out: &mut impl Outbox<Event>,
    ) {
        match message {
            Message::InstrumentInfo(info) => self.info(channel, info, board),
            Message::Trade(trade) => self.trade(channel, trade, stamp, board, out),
            Message::SnapshotHeader(header) if carries == Carries::Snapshots => {
                let as_of = u64::try_from(header.incremental_seq_num.get()).unwrap_or(0);
                let was_idle = self.staged[channel].begin(header.instrument_id.get(), as_of);
                board.counters.snapshots_broken += u64::from(!was_idle);
            }
            Message::SnapshotTrailer(trailer) if carries == Carries::Snapshots => {
                let as_of = u64::try_from(trailer.increment_seq_num.get()).unwrap_or(0);
                self.settle(channel, trailer.instrument_id.get(), as_of, stamp.time, board);
            }
            Message::InstrumentStatusUpdate(update) => {
                let id = self.listed(update.instrument_id.get(), channel, board);
                match (id, trading_state(update.trading_status)) {
                    (Some(id), Some(state)) => board.set_state(id, state),
                    (Some(_), None) => board.counters.starbase_errors[DecodeError::Enumeration as usize] += 1,
                    (None, _) => {}
                }
            }
            Message::IndexDefinition(index) => self.indices.note(index),
            Message::InstrumentDefinition(definition) => self.define(channel, definition, stamp.time, board),
            Message::Unknown(_) => board.counters.unknown_templates += 1,
            _ => {}
        }
    }

    fn info(&mut self, channel: usize, info: &InstrumentInfo, board: &mut Board) {
        let Some(id) = self.listed(info.instrument_id.get(), channel, board) else { return };
        let underlying = board.listings.catalogue().find(id).map(|instrument| instrument.underlying);
        let (mark, index) = (info.mark_price.get(), info.index_price.get());
        if mark != wire::NULL_INT {
            board.publisher.set_mark(id, Price(mark), &mut board.counters);
        }
        if let Some(underlying) = underlying
            && index > 0
        {
            board.publisher.set_index(underlying, Price(index), &mut board.counters);
        }
    }

    fn trade(&mut self, channel: usize, trade: &Trade, stamp: Stamp, board: &mut Board, out: &mut impl Outbox<Event>) {
        board.counters.trades += 1;
        let Some(instrument) = self.listed(trade.instrument_id.get(), channel, board) else { return };
        // The resting order's side is told; the aggressor took the other.
        let maker_sold = trade.maker_flags.get() & trade_flags::IS_SELL != 0;
        let side = if maker_sold { Side::Buy } else { Side::Sell };
        let scale = self.standings[instrument.index()].scale;
        let Some(amount) = trade.fill_qty_mantissa.get().checked_mul(scale).filter(|&amount| amount > 0) else {
            board.counters.starbase_errors[DecodeError::Number as usize] += 1;
            return;
        };
        let (price, amount) = (Price(trade.fill_price.get()), Quantity(amount));
        let trade = PublicTrade { instrument, side, price, amount, id: trade.match_id.get() as u64 };
        board.trade(&trade, stamp, out);
    }

    fn define(&mut self, channel: usize, message: &Definition<'_>, now: Nanos, board: &mut Board) {
        let read = definition::read(message, &self.indices, &self.config.fees);
        let (definition, scale) = match read {
            Ok((definition, scale)) => (Ok(definition), scale),
            Err(refusal) => (Err(refusal), 0),
        };
        let (books, config) = (&mut self.books, &self.config);
        let Some(taken) = board.define(definition, |id, kind| books.open(id.index(), config.depth(kind))) else {
            return;
        };
        if let Some(displaced) = taken.displaced {
            self.books.clear(displaced.index());
            self.pending.clear(displaced.index());
            self.standings[displaced.index()] = ABSENT;
            self.show(displaced, board);
        }
        let standing = &mut self.standings[taken.id.index()];
        let is_rescaled = standing.scale != 0 && standing.scale != scale;
        standing.scale = scale;
        if standing.home != channel as u16 {
            // What was said about it before it was known is lost to it.
            (standing.home, standing.floor) = (channel as u16, self.channels[channel].last);
            standing.gapped_since = now;
        }
        if is_rescaled {
            let last = self.channels[channel].last;
            self.quarantine(taken.id, last, now, board);
            self.show(taken.id, board);
        }
    }

    /// The instrument behind a venue number.
    #[inline]
    pub(super) fn listed(&mut self, venue: i64, channel: usize, board: &mut Board) -> Option<InstrumentId> {
        let id = find(board, venue).filter(|id| self.standings[id.index()].home == channel as u16);
        board.counters.unlisted += u64::from(id.is_none());
        id
    }

    /// What is missing was asked for: until it comes the channel's books are history.
    pub(super) fn suspend(&mut self, channel: usize, now: Nanos, board: &mut Board) {
        if self.channels[channel].suspended.is_none() {
            self.channels[channel].suspended = Some(now);
            self.show_all(channel, board);
        }
    }

    /// What was missing has come, or was given up.
    pub(super) fn resume(&mut self, channel: usize, now: Nanos, stats: &mut RecoveryStats, board: &mut Board) {
        if let Some(since) = self.channels[channel].suspended.take() {
            for index in 0..board.listings.catalogue().instruments().len() {
                let standing = &self.standings[index];
                if standing.home == channel as u16 && standing.integrity == Integrity::Whole {
                    stats.restored(now.since(since));
                }
            }
            self.show_all(channel, board);
        }
    }

    /// Looks for channels fallen silent.
    #[cold]
    pub(super) fn watch(&mut self, now: Nanos, board: &mut Board) {
        self.next_watch = Nanos(now.0.saturating_add(self.config.stale_after_ns / 4));
        for channel in 0..self.channels.len() {
            let state = &mut self.channels[channel];
            if !state.is_silent && now.since(state.heard) > self.config.stale_after_ns {
                state.is_silent = true;
                board.counters.silences += 1;
                self.show_all(channel, board);
            }
        }
    }

    /// Hands over how long the books restored meanwhile were not whole.
    pub(super) fn settle_stats(&mut self, stats: &mut RecoveryStats) {
        let (count, total_ns, max_ns) = std::mem::take(&mut self.restored);
        stats.books_restored += count;
        stats.stale_total_ns += total_ns;
        stats.stale_max_ns = stats.stale_max_ns.max(max_ns);
    }

    /// Notes that a book's top may have changed within a transaction.
    #[inline]
    pub(super) fn touch(&mut self, id: InstrumentId, board: &mut Board) {
        if self.touched.contains(&id) {
            return;
        }
        if self.touched.try_push(id).is_err() {
            self.show(id, board);
        }
    }

    /// A transaction of the channel is over.
    #[inline]
    pub(super) fn show_touched(&mut self, channel: usize, board: &mut Board) {
        let mut at = 0;
        while let Some(&id) = self.touched.get(at) {
            if self.standings[id.index()].home == channel as u16 {
                self.touched.swap_remove(at);
                self.show(id, board);
            } else {
                at += 1;
            }
        }
    }

    fn show_all(&mut self, channel: usize, board: &mut Board) {
        for index in 0..board.listings.catalogue().instruments().len() {
            if self.standings[index].home == channel as u16 {
                self.show(InstrumentId(index as u16), board);
            }
        }
    }

    /// Works out an instrument's top and how far to trust it. A good one waits for the end of the transaction that touches it.
    #[inline]
    pub(super) fn show(&mut self, id: InstrumentId, board: &mut Board) {
        let book = id.index();
        let standing = &self.standings[book];
        let channel = self.channels.get(usize::from(standing.home));
        let [bid, ask] = [Side::Buy, Side::Sell].map(|side| self.books.best(book, side));
        let is_known = bid.is_ok() && ask.is_ok();
        let quality = match standing.integrity {
            Integrity::Unseeded => BookQuality::Unknown,
            Integrity::Gapped => BookQuality::Gapped,
            Integrity::Whole if !is_known || channel.is_none_or(|channel| channel.suspended.is_some()) => {
                BookQuality::Gapped
            }
            Integrity::Whole if channel.is_none_or(|channel| channel.is_silent) => BookQuality::Stale,
            Integrity::Whole if self.touched.contains(&id) => return,
            Integrity::Whole => BookQuality::Good,
        };
        board.show(id, quality, [bid, ask].map(|best| best.ok().flatten()));
        board.counters.level_overflow = self.books.overflows();
    }
}

/// The instrument behind a venue number, whatever its channel.
#[inline]
fn find(board: &Board, venue: i64) -> Option<InstrumentId> {
    board.listings.find(u32::try_from(venue).ok()?)
}
