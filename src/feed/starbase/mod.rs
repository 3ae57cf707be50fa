//! The market-by-order feed: every order by its number, messages numbered by channel.
//!
//! ```text
//!  incremental packet ──► arbiter ──► messages ──► books ──► shown at the end of a transaction
//!                           │ hole no line fills ──► recovery ──► request ──► resent packets, back to the arbiter
//!  snapshot packet ─────► arbiter ──► staged, header to trailer ──► compared with the book, or the book taken from it
//! ```
//!
//! **Sequence.** Each message has a number in its channel. A book stands *as of* a number: that of the last message applied
//! to it, or of the snapshot it was taken from. Messages up to there are passed over, so a snapshot may be ahead of the
//! messages or behind them.
//!
//! **What a hole touches.** Any book of its channel, since nobody knows what was in it. While it is asked for, the books of
//! the channel are shown as gapped and what follows is held; once it is filled they are whole again. When it is given up
//! every book of the channel waits for its own snapshot, with its messages buffered, and is whole as soon as that has
//! come: the *floor* is the number that a snapshot must reach. A message that contradicts one book quarantines that book
//! alone.
//!
//! **Transactions.** The messages of one matching event are applied together: a top is shown when the last of them was.
//!
//! **Snapshots** of a book that is whole and untouched since are compared with it, order by order. One that differs is a
//! fault of ours: the book is taken from it and the fault counted. One that is ahead of the messages proves nothing by
//! being different, until the messages have come that far and none was about the book.

mod definition;
mod market;
pub mod orders;
mod recovery;
mod snapshot;
mod splice;
#[cfg(test)]
mod tests;

pub use recovery::{REQUEST_BYTES, RecoveryConfig, RecoveryStats};

use super::arbiter::{Arbiter, Line, LineStats, Numbers};
use super::board::Board;
use super::directory::Directory;
use super::{FeedConfig, Packet};
use crate::event::Event;
use crate::instrument::InstrumentKind;
use crate::stage::Outbox;
use crate::units::Nanos;
use crate::wire::starbase::market_data::{
    self as wire, DecodeError, Message, PACKET_HEADER_BYTES, RetransmitReject, packet_type,
};
use market::{Channel, Market};
use orders::OrderBooks;
use recovery::{Course, Recovery};

/// Channels at most.
const CHANNELS_MAX: usize = 32;
/// The largest sequence that is believed.
const SEQUENCE_MAX: u64 = 1 << 62;

/// Fees by kind of contract, 1e-9 of notional, maker and taker: the definitions of this protocol carry none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeSchedule {
    /// Futures and perpetuals.
    pub futures_e9: (i32, i32),
    /// Options.
    pub options_e9: (i32, i32),
    /// Spot.
    pub spot_e9: (i32, i32),
}

impl Default for FeeSchedule {
    /// 0 and 5 basis points; 3 and 3; none.
    fn default() -> Self {
        Self { futures_e9: (0, 500_000), options_e9: (300_000, 300_000), spot_e9: (0, 0) }
    }
}

impl FeeSchedule {
    fn of(&self, kind: InstrumentKind) -> (i32, i32) {
        match kind {
            InstrumentKind::Future | InstrumentKind::Perpetual => self.futures_e9,
            InstrumentKind::Option => self.options_e9,
            InstrumentKind::Spot => self.spot_e9,
            InstrumentKind::FutureCombo | InstrumentKind::OptionCombo => (0, 0),
        }
    }
}

/// What a packet's stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    Changes = 0,
    Snapshots = 1,
}

/// The arbiter's number of a channel's stream.
fn stream(channel: usize, carries: Carries) -> usize {
    2 * channel + carries as usize
}

/// The protocol: its lines, what is asked for, and what the messages say.
#[derive(Debug)]
pub(super) struct Starbase {
    arbiter: Arbiter,
    recovery: Recovery,
    directory: Directory,
    market: Market,
}

impl Starbase {
    pub(super) fn new(config: FeedConfig) -> Self {
        let mut arbiter = Arbiter::new(config.lines, 2 * CHANNELS_MAX).patient();
        while arbiter.open(0).is_some() {}
        Self {
            arbiter,
            recovery: Recovery::new(config.recovery, CHANNELS_MAX),
            directory: Directory::new(CHANNELS_MAX),
            market: Market::new(config),
        }
    }

    #[inline]
    pub(super) fn step(&mut self, packet: &Packet<'_>, board: &mut Board, out: &mut impl Outbox<Event>) {
        if let Err(error) = self.offer(packet, board, out) {
            board.counters.starbase_errors[error as usize] += 1;
        }
        self.tick(packet.time, board, out);
    }

    /// Pursues holes whose time has come; notices silence.
    #[inline]
    pub(super) fn tick(&mut self, now: Nanos, board: &mut Board, out: &mut impl Outbox<Event>) {
        if self.arbiter.is_waiting() {
            for channel in 0..self.market.channels.len() {
                self.pursue(channel, now, board, out);
            }
        }
        if now >= self.market.next_watch {
            self.arbiter.watch_all();
            self.market.watch(now, board);
        }
    }

    /// A request to be sent to the retransmit service.
    pub(super) fn take_request(&mut self) -> Option<[u8; REQUEST_BYTES]> {
        self.recovery.take_request()
    }

    pub(super) fn recovery(&self) -> &RecoveryStats {
        &self.recovery.stats
    }

    /// Second copies that were other bytes, over all streams.
    pub(super) fn divergent(&self) -> u64 {
        self.arbiter.divergent()
    }

    pub(super) fn line(&self, line: Line) -> LineStats {
        self.arbiter.total(line)
    }

    pub(super) fn channels(&self) -> usize {
        self.market.channels.len()
    }

    /// The books, order by order.
    pub(super) fn books(&self) -> &OrderBooks {
        &self.market.books
    }

    #[inline]
    fn offer(
        &mut self,
        packet: &Packet<'_>,
        board: &mut Board,
        out: &mut impl Outbox<Event>,
    ) -> Result<(), DecodeError> {
        let (header, messages) = wire::Packet::parse(packet.bytes)?;
        let carries = match header.packet_type.get() & (packet_type::INCREMENTAL | packet_type::SNAPSHOT) {
            packet_type::INCREMENTAL => Carries::Changes,
            packet_type::SNAPSHOT => Carries::Snapshots,
            _ => return self.answer(header.sequence.get(), messages, packet.time),
        };
        let is_resent = header.packet_type.get() & packet_type::RETRANSMIT != 0;
        let line = if is_resent { Line::Resent } else { packet.line };
        let first =
            u64::try_from(header.sequence.get()).ok().filter(|&n| n < SEQUENCE_MAX).ok_or(DecodeError::Number)?;
        let end = first + u64::from(header.message_count.get());
        let id = header.channel_id.get();
        let Some(channel) = self.channel(id) else {
            board.counters.channels_refused += 1;
            return Ok(());
        };
        let stream = stream(channel, carries);
        let state = &mut self.market.channels[channel];
        state.id = id;
        if !is_resent {
            state.heard = state.heard.max(packet.time);
            if !std::mem::replace(&mut state.has_begun[carries as usize], true) {
                self.arbiter.begin(stream, first);
                self.market.join(channel, carries, first, packet.time, board);
            }
        } else if !state.has_begun[carries as usize] {
            return Ok(());
        }
        board.counters.heartbeats += u64::from(first == end);
        let (arbiter, market) = (&mut self.arbiter, &mut self.market);
        let packet = Packet { line, ..*packet };
        let numbers = Numbers { first, end, body: PACKET_HEADER_BYTES };
        let gaps = board.counters.sequence_gaps;
        let is_taken = arbiter.offer(stream, numbers, &packet, |delivery| {
            market.deliver(channel, carries, &delivery, packet.time, board, out);
        });
        board.counters.packets_late += u64::from(!is_taken);
        if self.recovery.is_open(channel) && carries == Carries::Changes && self.arbiter.hole(stream).is_none() {
            // Without room to hold what follows it, a hole became a gap before it was filled.
            match board.counters.sequence_gaps == gaps {
                true => self.recovery.filled(channel, packet.time),
                false => self.recovery.given_up(channel),
            }
            self.market.resume(channel, packet.time, &mut self.recovery.stats, board);
        }
        self.market.settle_stats(&mut self.recovery.stats);
        Ok(())
    }

    /// A packet that is neither: the service refuses a request.
    fn answer(&mut self, correlation: i64, messages: wire::Messages<'_>, now: Nanos) -> Result<(), DecodeError> {
        for message in messages {
            if let Message::RetransmitReject(reject) = message?.message? {
                self.rejected(correlation, reject, now);
                return Ok(());
            }
        }
        Err(DecodeError::PacketType)
    }

    fn rejected(&mut self, correlation: i64, reject: &RetransmitReject, now: Nanos) {
        if let Some((channel, then)) = self.recovery.reject(correlation, reject, now) {
            self.arbiter.wait_until(stream(channel, Carries::Changes), then);
        }
    }

    /// The index of a channel, a new one if there is room.
    #[inline]
    fn channel(&mut self, id: i32) -> Option<usize> {
        let number = id as u32;
        if let Some(index) = self.directory.find(number) {
            return Some(usize::from(index));
        }
        let index = self.market.channels.len();
        self.market.channels.try_push(Channel::default()).ok()?;
        if !self.directory.insert(number, index as u16) {
            self.market.channels.pop();
            return None;
        }
        Some(index)
    }

    #[cold]
    fn pursue(&mut self, channel: usize, now: Nanos, board: &mut Board, out: &mut impl Outbox<Event>) {
        let (arbiter, market, recovery) = (&mut self.arbiter, &mut self.market, &mut self.recovery);
        let changes = stream(channel, Carries::Changes);
        arbiter.reconsider(changes);
        // Every round ends a hole or waits.
        while arbiter.is_due(changes, now)
            && let Some(hole) = arbiter.hole(changes)
        {
            match recovery.pursue(channel, market.channels[channel].id, &hole, now) {
                Course::WaitUntil(then) => {
                    arbiter.wait_until(changes, then);
                    market.suspend(channel, now, board);
                }
                Course::GiveUp => {
                    recovery.given_up(channel);
                    arbiter.give_up(changes, now, |delivery| {
                        market.deliver(channel, Carries::Changes, &delivery, now, board, out);
                    });
                    market.resume(channel, now, &mut recovery.stats, board);
                }
            }
        }
        let snapshots = stream(channel, Carries::Snapshots);
        arbiter.reconsider(snapshots);
        while arbiter.is_due(snapshots, now) {
            arbiter.give_up(snapshots, now, |delivery| {
                market.deliver(channel, Carries::Snapshots, &delivery, now, board, out);
            });
        }
        market.settle_stats(&mut recovery.stats);
    }
}
