//! The market-data network between the venue and the feed, one line or two: packets are lost, doubled, held back, damaged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::dice::Dice;
use super::faults::Fault;
use super::options::Options;
use crate::feed::{Line, Protocol};
use crate::sim::venue::Channel;
use crate::units::Nanos;
use crate::wire::deribit_multicast::{self as classic, BookBlock, BookChange, BookEntry, BookSide};
use crate::wire::starbase::market_data::{
    self as starbase, BidPut, MessageMeta, PACKET_HEADER_BYTES, message_flags, packet_type,
};

/// How long a packet takes when nothing is wrong, nanoseconds.
const FLIGHT_NS: u64 = 50_000;
/// How long numbers must have been heard before they begin anew, nanoseconds.
const SETTLED_NS: u64 = 2 * Nanos::PER_SECOND;
/// Old snapshots that may come again.
const KEPT: usize = 8;
/// A channel and an instrument that the venue does not have.
const STRANGER: (u16, u32) = (999, 4_000_000);
/// Bytes of a packet about it at most.
const STRANGER_BYTES: usize = 256;

/// A packet under way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Datagram {
    pub(super) due: Nanos,
    order: u64,
    pub(super) line: Line,
    pub(super) port: u16,
    pub(super) bytes: Vec<u8>,
}

/// What is under way, soonest first.
#[derive(Debug)]
pub(super) struct Lines {
    protocol: Protocol,
    /// Each line, and until when it brings nothing.
    down_until: Vec<(Line, Nanos)>,
    flying: BinaryHeap<Reverse<Datagram>>,
    sent: u64,
    is_silent: bool,
    silent_until: Nanos,
    old_snapshots: Vec<Vec<u8>>,
    /// When the first sequence began, and when one last began anew: which line the feed then follows first is chance.
    began: Nanos,
    anew_at: Option<Nanos>,
    strangers: u32,
}

impl Lines {
    /// Lines that have brought nothing yet.
    pub(super) fn new(options: &Options, now: Nanos) -> Self {
        let lines = if options.lines > 1 { &[Line::A, Line::B][..] } else { &[Line::A] };
        Self {
            protocol: options.feed,
            down_until: lines.iter().map(|line| (*line, Nanos(0))).collect(),
            flying: BinaryHeap::new(),
            sent: 0,
            is_silent: false,
            silent_until: Nanos(0),
            old_snapshots: Vec::new(),
            began: now,
            anew_at: None,
            strangers: 0,
        }
    }

    /// The port of a channel.
    fn port(channel: Channel) -> u16 {
        match channel {
            Channel::Incremental => 1,
            Channel::Snapshot => 2,
        }
    }

    /// Everything falls silent for a while.
    pub(super) fn silence(&mut self, until: Nanos) {
        self.is_silent = true;
        self.silent_until = self.silent_until.max(until);
    }

    /// Whether numbers may begin anew, or fall silent, and be told from those before. Where a message says nothing of its
    /// predecessor but its number, a new count that passes the last number heard of the old one looks like what follows it.
    pub(super) fn is_settled(&self, now: Nanos) -> bool {
        self.protocol == Protocol::Classic
            || !self.is_silent && now.since(self.anew_at.unwrap_or(self.began)) >= SETTLED_NS
    }

    /// Whether a silence ends in which a new count may have passed the old one: it has to begin anew once more.
    pub(super) fn may_mislead(&mut self, now: Nanos) -> bool {
        let ends = self.is_silent && now >= self.silent_until;
        self.is_silent &= !ends;
        ends && self.protocol == Protocol::Starbase && self.anew_at.is_some()
    }

    /// One of two lines falls silent for a while; false when there is but one.
    pub(super) fn lose_one(&mut self, until: Nanos, dice: &mut Dice) -> bool {
        let lines = self.down_until.len();
        if lines > 1 {
            self.down_until[dice.random.below(lines as u64) as usize].1 = until;
        }
        lines > 1
    }

    /// A sequence began anew. Nobody can tell what is under way, or could come again, from what is new.
    pub(super) fn forget(&mut self, now: Nanos) {
        self.flying.clear();
        self.old_snapshots.clear();
        self.anew_at = Some(now);
    }

    /// A packet of the venue.
    pub(super) fn publish(&mut self, now: Nanos, channel: Channel, bytes: &[u8], dice: &mut Dice) {
        if now < self.silent_until {
            return;
        }
        let mut was_sound = false;
        for at in 0..self.down_until.len() {
            let (line, down_until) = self.down_until[at];
            if now < down_until {
                continue;
            }
            // A lie that is the first copy is believed, as anything is: what must not matter is one that comes second.
            let may_lie = was_sound && self.anew_at.is_none() && bytes.len() > self.header_bytes();
            if may_lie && dice.strikes(Fault::Divergence) {
                let mut other = bytes.to_vec();
                let body = self.header_bytes();
                other[body + dice.random.below((bytes.len() - body) as u64) as usize] ^= 1 << dice.random.below(8);
                self.send(now, line, Self::port(channel), other);
            } else {
                was_sound = self.carry(now, line, channel, bytes.to_vec(), dice);
            }
        }
    }

    /// A line takes a packet; true when it arrives at once and whole.
    fn carry(&mut self, now: Nanos, line: Line, channel: Channel, mut bytes: Vec<u8>, dice: &mut Dice) -> bool {
        let port = Self::port(channel);
        if dice.strikes(Fault::Loss) {
            return false;
        }
        let mut held_ns = 0;
        if channel == Channel::Snapshot {
            if dice.strikes(Fault::SnapshotLoss) {
                return false;
            }
            if !self.old_snapshots.is_empty() && dice.strikes(Fault::SnapshotStale) {
                let at = dice.random.below(self.old_snapshots.len() as u64) as usize;
                let old = self.old_snapshots.swap_remove(at);
                self.send(now, line, port, old);
            }
            if self.old_snapshots.len() < KEPT {
                self.old_snapshots.push(bytes.clone());
            }
            if dice.strikes(Fault::SnapshotOverlap) {
                held_ns += dice.wait_ns(200, 1_500);
            }
        }
        if dice.strikes(Fault::Duplicate) {
            let later = Nanos(now.0 + dice.wait_ns(0, 20));
            self.send(later, line, port, bytes.clone());
        }
        let whole = bytes.len();
        let is_corrupt = dice.strikes(Fault::CorruptLength);
        if is_corrupt {
            bytes[0] ^= 1 + dice.random.below(255) as u8;
        }
        if dice.strikes(Fault::Truncate) {
            bytes.truncate(dice.random.below(bytes.len() as u64) as usize);
        }
        if dice.strikes(Fault::Reorder) {
            held_ns += dice.wait_ns(1, 50);
        }
        let is_sound = held_ns == 0 && !is_corrupt && bytes.len() == whole;
        self.send(Nanos(now.0 + held_ns), line, port, bytes);
        is_sound
    }

    /// What was asked for again comes.
    pub(super) fn answer(&mut self, now: Nanos, bytes: &[u8]) {
        self.send(now, Line::A, Self::port(Channel::Incremental), bytes.to_vec());
    }

    /// Bytes that nobody meant.
    pub(super) fn noise(&mut self, now: Nanos, dice: &mut Dice) {
        let length = dice.random.below(200) as usize;
        let bytes = (0..length).map(|_| dice.random.bits() as u8).collect();
        self.send(now, Line::A, 1 + dice.random.below(2) as u16, bytes);
    }

    /// A book of an instrument that nobody listed, on a channel of its own.
    pub(super) fn stranger(&mut self, now: Nanos) {
        self.strangers += 1;
        let mut buffer = [0; STRANGER_BYTES];
        let bytes = match self.protocol {
            Protocol::Classic => stranger_levels(&mut buffer, self.strangers).ok(),
            Protocol::Starbase => stranger_order(&mut buffer, self.strangers, now).ok(),
        };
        let bytes = bytes.expect("one message fits").to_vec();
        self.send(now, Line::A, Self::port(Channel::Incremental), bytes);
    }

    /// Bytes before the messages of a packet.
    fn header_bytes(&self) -> usize {
        match self.protocol {
            Protocol::Classic => size_of::<classic::Header>(),
            Protocol::Starbase => PACKET_HEADER_BYTES,
        }
    }

    /// The next packet that has arrived by `now`.
    pub(super) fn arrived(&mut self, now: Nanos) -> Option<Datagram> {
        let due = self.flying.peek().is_some_and(|Reverse(next)| next.due <= now);
        if due { self.flying.pop().map(|Reverse(datagram)| datagram) } else { None }
    }

    /// Nobody listens: what has arrived by `now` is gone, and so is what could come again or is held back. A snapshot from
    /// before a process joined the lines is beyond what it could tell from a new one.
    pub(super) fn discard(&mut self, now: Nanos) {
        let snapshots = Self::port(Channel::Snapshot);
        self.flying.retain(|Reverse(datagram)| datagram.due > now && datagram.port != snapshots);
        self.old_snapshots.clear();
    }

    /// Faults that last end.
    pub(super) fn heal(&mut self, now: Nanos) {
        self.silent_until = self.silent_until.min(now);
        self.down_until.iter_mut().for_each(|(_, until)| *until = (*until).min(now));
    }

    fn send(&mut self, now: Nanos, line: Line, port: u16, bytes: Vec<u8>) {
        self.sent += 1;
        self.flying.push(Reverse(Datagram { due: Nanos(now.0 + FLIGHT_NS), order: self.sent, line, port, bytes }));
    }
}

fn stranger_levels(buffer: &mut [u8], number: u32) -> Result<&[u8], classic::NoRoom> {
    let block = BookBlock {
        instrument_id: STRANGER.1.into(),
        timestamp_ms: 0.into(),
        prev_change_id: u64::from(number - 1).into(),
        change_id: u64::from(number).into(),
        is_last: 1,
    };
    let entry = BookEntry {
        side: BookSide::Bid.into(),
        change: BookChange::Created.into(),
        price: 1.0.into(),
        amount: 1.0.into(),
    };
    let mut packet = classic::PacketBuilder::new(buffer, STRANGER.0, number)?;
    packet.book(&block, &[entry])?;
    Ok(packet.finish())
}

fn stranger_order(buffer: &mut [u8], number: u32, now: Nanos) -> Result<&[u8], starbase::NoRoom> {
    let time = now.0 as i64;
    let flags = message_flags::START_OF_TRANSACTION | message_flags::END_OF_TRANSACTION;
    let order = BidPut {
        order_id: i64::from(number).into(),
        instrument_id: i64::from(STRANGER.1).into(),
        quantity_mantissa: 1.into(),
        price: 1.into(),
        sort_order_id: i64::from(number).into(),
    };
    let mut packet =
        starbase::PacketBuilder::new(buffer, packet_type::INCREMENTAL, STRANGER.0.into(), number.into(), time)?;
    packet.push(MessageMeta { flags, transact_time_ns: time }, &order)?;
    Ok(packet.finish())
}
