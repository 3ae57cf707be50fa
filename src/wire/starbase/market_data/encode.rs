//! Writes packets into the caller's buffer: for the embedded venue, for retransmit requests, and for tests that go there
//! and back.

use zerocopy::{Immutable, IntoBytes};

use super::blocks::{InstrumentDefinition, LargeTickSize, Leg};
use super::{MESSAGE_HEADER_BYTES, MessageHeader, PACKET_HEADER_BYTES, PacketHeader, SCHEMA_VERSION};
use crate::wire::starbase::orders::frame::{Block, GroupSize};

/// The message does not fit what is left of the buffer. Nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room in the packet")]
pub struct NoRoom;

/// What a message header says besides length and template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageMeta {
    /// [`message_flags`](super::message_flags) bits.
    pub flags: u16,
    /// Nanoseconds since the epoch.
    pub transact_time_ns: i64,
}

/// One packet under construction. Each method appends a message whole or leaves the packet as it was.
///
/// ```
/// use hedgecore::wire::starbase::market_data::{BidDelete, Message, MessageMeta, Packet, PacketBuilder, packet_type};
///
/// let mut buffer = [0; 128];
/// let mut packet = PacketBuilder::new(&mut buffer, packet_type::INCREMENTAL, 3, 41, 0)?;
/// packet.push(MessageMeta::default(), &BidDelete { order_id: 7.into(), instrument_id: 1.into() })?;
/// let bytes = packet.finish();
///
/// let (header, mut messages) = Packet::parse(bytes)?;
/// assert_eq!((header.channel_id.get(), header.message_count.get()), (3, 1));
/// let first = messages.next().unwrap()?;
/// assert_eq!(first.sequence, 41);
/// assert!(matches!(first.message?, Message::BidDelete(delete) if delete.order_id.get() == 7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PacketBuilder<'a> {
    buffer: &'a mut [u8],
    len: usize,
    count: u16,
}

impl<'a> PacketBuilder<'a> {
    /// Begins a packet at the start of `buffer`. `sequence` is that of its first message.
    pub fn new(
        buffer: &'a mut [u8],
        packet_type: u16,
        channel_id: i32,
        sequence: i64,
        sending_time_ns: i64,
    ) -> Result<Self, NoRoom> {
        let header = PacketHeader {
            sending_time_ns: sending_time_ns.into(),
            sequence: sequence.into(),
            channel_id: channel_id.into(),
            packet_type: packet_type.into(),
            message_count: 0.into(),
        };
        let mut packet = Self { buffer, len: 0, count: 0 };
        packet.append(&header)?;
        Ok(packet)
    }

    /// Bytes written so far, packet header included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no message was written yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Messages written so far.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Appends a message that is its block.
    pub fn push<T: Block>(&mut self, meta: MessageMeta, block: &T) -> Result<(), NoRoom> {
        self.message(T::TYPE, meta, |packet| packet.append(block))
    }

    /// Appends a definition with its groups.
    pub fn definition(
        &mut self,
        meta: MessageMeta,
        block: &InstrumentDefinition,
        large_tick_sizes: &[LargeTickSize],
        legs: &[Leg],
    ) -> Result<(), NoRoom> {
        self.message(InstrumentDefinition::TYPE, meta, |packet| {
            packet.append(block)?;
            packet.group(large_tick_sizes)?;
            packet.group(legs)
        })
    }

    /// Appends a message as it was sent before, header and all.
    pub fn copy(&mut self, message: &[u8]) -> Result<(), NoRoom> {
        self.append(message)?;
        self.count += 1;
        Ok(())
    }

    /// Writes the count and hands out the packet.
    pub fn finish(self) -> &'a [u8] {
        self.buffer[PACKET_HEADER_BYTES - 2..PACKET_HEADER_BYTES].copy_from_slice(&self.count.to_le_bytes());
        &self.buffer[..self.len]
    }

    fn message(
        &mut self,
        template: u16,
        meta: MessageMeta,
        body: impl FnOnce(&mut Self) -> Result<(), NoRoom>,
    ) -> Result<(), NoRoom> {
        let start = self.len;
        let header = MessageHeader {
            message_length: 0.into(),
            template_id: template.into(),
            version: SCHEMA_VERSION.into(),
            flags: meta.flags.into(),
            transact_time_ns: meta.transact_time_ns.into(),
        };
        let written = self.append(&header).and_then(|()| body(self));
        let length = u16::try_from(self.len - start);
        match (written, length) {
            (Ok(()), Ok(length)) => {
                debug_assert!(usize::from(length) >= MESSAGE_HEADER_BYTES);
                self.buffer[start..start + 2].copy_from_slice(&length.to_le_bytes());
                self.count += 1;
                Ok(())
            }
            _ => {
                self.len = start;
                Err(NoRoom)
            }
        }
    }

    fn group<T: IntoBytes + Immutable>(&mut self, entries: &[T]) -> Result<(), NoRoom> {
        let count = u16::try_from(entries.len()).map_err(|_| NoRoom)?;
        let size = GroupSize { block_length: (size_of::<T>() as u16).into(), num_in_group: count.into() };
        self.append(&size)?;
        self.append(entries)
    }

    fn append<T: IntoBytes + Immutable + ?Sized>(&mut self, part: &T) -> Result<(), NoRoom> {
        let bytes = part.as_bytes();
        let end = self.len + bytes.len();
        self.buffer.get_mut(self.len..end).ok_or(NoRoom)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }
}
