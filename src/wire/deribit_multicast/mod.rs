//! Deribit's multicast feed: frames of SBE messages over UDP, little-endian.
//!
//! A UDP payload enters, [`Message`]s that borrow from it leave; [`PacketBuilder`] goes the other way with the same
//! structs. Nothing is copied, nothing allocated. One message costs one bounds check for its header, one for its block,
//! and one for each group and variable field.
//!
//! ```text
//!  frame      0        2          4                 8
//!             +--------+----------+-----------------+----------- - -
//!             | length | channel  | sequence        | messages
//!             +--------+----------+-----------------+----------- - -
//!              `length` counts what follows these 8 bytes; `sequence` runs per channel and UDP port
//!
//!  message    0              2             4           6         8        10           12
//!             +--------------+-------------+-----------+---------+--------+------------+------- - -
//!             | block_length | template_id | schema_id | version | groups | var_fields | block
//!             +--------------+-------------+-----------+---------+--------+------------+------- - -
//!
//!  group      0              2       4        6            8
//!             +--------------+-------+--------+------------+------- - -
//!             | block_length | count | groups | var_fields | entries: count × block_length bytes
//!             +--------------+-------+--------+------------+------- - -
//!
//!  var field  0        1
//!             +--------+------- - -
//!             | length | bytes
//!             +--------+------- - -
//! ```
//!
//! **Versions.** Lengths come from the wire. A block or group entry longer than the fields known here is read for the
//! fields known, further groups and variable fields are passed over, and a template or schema that is not known is
//! passed over by its lengths and handed out as [`Message::Unknown`].
//!
//! **Failure.** A block shorter than its fields, or any length or count that runs past the packet, is a
//! [`DecodeError`]; the iterator then ends, because where the next message begins is no longer known. Values are
//! carried as they came: a missing double is NaN, an enumeration is a raw byte whose typed reading may fail.

mod blocks;
mod encode;
mod enums;
mod message;

pub use blocks::{
    BookBlock, BookEntry, ComboLeg, ComboLegsBlock, InstrumentBlock, InstrumentV2Block, PriceIndexBlock, RfqBlock,
    SnapshotBlock, SnapshotEntry, SnapshotStartBlock, Terms, TickStep, TickerBlock, TradeEntry, TradesBlock, ascii,
    text,
};
pub use encode::{NoRoom, PACKET_BYTES_MAX, PacketBuilder};
pub use enums::{BookChange, BookSide, Direction, Kind, Liquidation, OptionType, State, Type};
pub use message::{
    Book, ComboLegs, Group, GroupIter, Instrument, InstrumentV2, Message, Messages, Snapshot, Template, Trades, Unknown,
};

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The SBE schema every message of this feed carries.
pub const SCHEMA_ID: u16 = 1;

/// The frame around the messages of one UDP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Bytes after this header.
    pub length: U16,
    /// Which channel; the sequence runs per channel and port.
    pub channel_id: U16,
    /// One more than the previous packet's.
    pub sequence: U32,
}

/// Why bytes could not be read. The messages before the fault stand; what follows it in the packet is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u8)]
pub enum DecodeError {
    /// Fewer bytes than a frame header.
    #[error("packet shorter than its frame header")]
    FrameHeader,
    /// The frame's length is not what the packet holds.
    #[error("frame length differs from the packet's")]
    FrameLength,
    /// Fewer bytes left than a message header.
    #[error("message header cut short")]
    MessageHeader,
    /// A block that runs past the packet.
    #[error("block runs past the packet")]
    BlockOverrun,
    /// A block shorter than its template's fields.
    #[error("block shorter than its fields")]
    BlockShort,
    /// A group that the template has and the message lacks.
    #[error("group missing")]
    GroupMissing,
    /// Fewer bytes left than a group header.
    #[error("group header cut short")]
    GroupHeader,
    /// Group entries that run past the packet.
    #[error("group runs past the packet")]
    GroupOverrun,
    /// Group entries shorter than their fields.
    #[error("group entry shorter than its fields")]
    EntryShort,
    /// A group within a group, or variable data within one: the feed has none.
    #[error("nested group")]
    GroupNested,
    /// A variable field that the template has and the message lacks.
    #[error("variable field missing")]
    VarMissing,
    /// A variable field that runs past the packet.
    #[error("variable field runs past the packet")]
    VarOverrun,
    /// An enumeration with a value that has no meaning here.
    #[error("enumeration value unknown")]
    Enumeration,
    /// A price or amount that is NaN, infinite, beyond range, or of the wrong sign.
    #[error("price or amount not a usable number")]
    Number,
}

impl DecodeError {
    /// Every kind, in the order of their discriminants: `ALL[e as usize] == e`.
    pub const ALL: [Self; 14] = [
        Self::FrameHeader,
        Self::FrameLength,
        Self::MessageHeader,
        Self::BlockOverrun,
        Self::BlockShort,
        Self::GroupMissing,
        Self::GroupHeader,
        Self::GroupOverrun,
        Self::EntryShort,
        Self::GroupNested,
        Self::VarMissing,
        Self::VarOverrun,
        Self::Enumeration,
        Self::Number,
    ];
}

/// One UDP payload.
#[derive(Clone, Copy, Debug)]
pub struct Packet;

impl Packet {
    /// The frame header and an iterator over the messages behind it.
    pub fn parse(bytes: &[u8]) -> Result<(Header, Messages<'_>), DecodeError> {
        let (header, rest) = Header::read_from_prefix(bytes).map_err(|_| DecodeError::FrameHeader)?;
        if usize::from(header.length.get()) != rest.len() {
            return Err(DecodeError::FrameLength);
        }
        Ok((header, Messages::new(rest)))
    }
}

#[cfg(test)]
mod tests;
