//! Starbase market data, schema 2102 version 1 (semantic version 1.0): every message, both ways.
//!
//! In: one UDP payload of an incremental, snapshot or retransmit channel. Out: its [`PacketHeader`] and the
//! [`Message`]s behind it, as references into the same bytes. [`PacketBuilder`] goes the other way with the same structs.
//!
//! ```text
//!  packet   0              8              16           20      22      24
//!           +--------------+--------------+------------+-------+-------+---------------- - -
//!           | sending time | sequence     | channel    | type  | count | messages
//!           +--------------+--------------+------------+-------+-------+---------------- - -
//!            `sequence` is that of the first message; without messages it is the next one's (a heartbeat)
//!
//!  message  0        2          4         6       8                16
//!           +--------+----------+---------+-------+----------------+-------------------- - -
//!           | length | template | version | flags | transact time  | block, groups
//!           +--------+----------+---------+-------+----------------+-------------------- - -
//!            `length` counts this header          group: u16 entry length, u16 count, entries
//! ```
//!
//! **Versions.** A message is as long as it says: a block longer than the fields known here is read for those fields, a
//! template that is not known is passed over as [`Message::Unknown`]. A definition is the one message with groups behind
//! its block, and the header carries no block length: see [`Definition`] for how a longer block is told from its groups.
//!
//! **Cost.** No copy, no allocation; one bounds check a message header and one a block. Loops are bounded by the packet.
//!
//! **Failure.** A message whose length cannot be ends the packet with a [`DecodeError`]; one whose block is too short is
//! an error of its own, and the messages after it are read, each under its own sequence number.

#![allow(
    missing_debug_implementations,
    reason = "zerocopy's KnownLayout derive emits hidden helper types without Debug"
)]

mod blocks;
mod encode;
mod enums;
mod message;
#[cfg(test)]
mod tests;

pub use blocks::{
    AskDelete, AskPut, AskQtyReduced, BidDelete, BidPut, BidQtyReduced, BlockTrade, Double, EndOfCycle,
    IndexDefinition, InstrumentDefinition, InstrumentInfo, InstrumentRef, InstrumentStatusUpdate, LargeTickSize, Leg,
    NULL_INT, RetransmitReject, RetransmitRequest, SnapshotHeader, SnapshotTrailer, Trade, TradeSummary,
};
pub use encode::{MessageMeta, NoRoom, PacketBuilder};
pub use enums::{InstrumentStatus, InstrumentType, RejectReason, instrument_flags, trade_flags};
pub use message::{Definition, Message, Messages, Sequenced};

use zerocopy::little_endian::{I32, I64, U16};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Schema version written into messages sent, and the newest whose fields are all known here.
pub const SCHEMA_VERSION: u16 = 1;
/// Longest packet the venue sends.
pub const PACKET_BYTES_MAX: usize = 1_400;

/// What every packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct PacketHeader {
    /// When it was sent, nanoseconds since the epoch.
    pub sending_time_ns: I64,
    /// Number of the first message; in a retransmit request any number, which a reject echoes.
    pub sequence: I64,
    /// Which set of products.
    pub channel_id: I32,
    /// [`packet_type`] bits.
    pub packet_type: U16,
    /// How many messages follow.
    pub message_count: U16,
}

/// Bits of [`PacketHeader::packet_type`].
pub mod packet_type {
    /// Messages as they happen.
    pub const INCREMENTAL: u16 = 1;
    /// Books as a whole, under a sequence of their own.
    pub const SNAPSHOT: u16 = 2;
    /// Sent again on request.
    pub const RETRANSMIT: u16 = 4;
}

/// What every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct MessageHeader {
    /// Bytes of the message, this header included.
    pub message_length: U16,
    /// Which block follows.
    pub template_id: U16,
    /// Schema version of the sender.
    pub version: U16,
    /// [`message_flags`] bits.
    pub flags: U16,
    /// When the matching engine did it, nanoseconds since the epoch.
    pub transact_time_ns: I64,
}

/// Bits of [`MessageHeader::flags`].
pub mod message_flags {
    /// The first message of one matching-engine event.
    pub const START_OF_TRANSACTION: u16 = 1;
    /// The last message of one matching-engine event.
    pub const END_OF_TRANSACTION: u16 = 2;
}

/// Bytes before the messages of a packet.
pub const PACKET_HEADER_BYTES: usize = size_of::<PacketHeader>();
/// Bytes before a message's block.
pub const MESSAGE_HEADER_BYTES: usize = size_of::<MessageHeader>();

const _: () = assert!(PACKET_HEADER_BYTES == 24 && MESSAGE_HEADER_BYTES == 16);

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u8)]
pub enum DecodeError {
    /// Fewer bytes than a packet header.
    #[error("packet shorter than its header")]
    PacketHeader,
    /// Neither incremental, snapshot, retransmit nor reject.
    #[error("packet of no known type")]
    PacketType,
    /// Fewer messages than the header counts.
    #[error("fewer messages than counted")]
    MessageMissing,
    /// A message shorter than its header, or longer than what is left of the packet.
    #[error("message length cannot be")]
    MessageLength,
    /// A block shorter than its template's fields.
    #[error("block shorter than its fields")]
    BlockShort,
    /// Groups that do not lie within their message.
    #[error("groups do not fit their message")]
    Group,
    /// Bytes after the last message counted.
    #[error("bytes behind the last message")]
    Trailing,
    /// An enumeration with a value that has no meaning here.
    #[error("enumeration value unknown")]
    Enumeration,
    /// A price, quantity or number beyond range or of the wrong sign.
    #[error("price, quantity or number unusable")]
    Number,
}

impl DecodeError {
    /// Every kind, in the order of their discriminants: `ALL[e as usize] == e`.
    pub const ALL: [Self; 9] = [
        Self::PacketHeader,
        Self::PacketType,
        Self::MessageMissing,
        Self::MessageLength,
        Self::BlockShort,
        Self::Group,
        Self::Trailing,
        Self::Enumeration,
        Self::Number,
    ];
}

/// One UDP payload.
#[derive(Clone, Copy, Debug)]
pub struct Packet;

impl Packet {
    /// The packet header and an iterator over the messages behind it.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(&PacketHeader, Messages<'_>), DecodeError> {
        let (header, rest) = PacketHeader::ref_from_prefix(bytes).map_err(|_| DecodeError::PacketHeader)?;
        Ok((header, Messages::new(rest, header.sequence.get(), header.message_count.get())))
    }
}
