//! Writes packets of this format into the caller's buffer: for the embedded venue, and for tests that go there and back.

use zerocopy::{Immutable, IntoBytes};

use super::blocks::{
    BookBlock, BookEntry, ComboLeg, ComboLegsBlock, InstrumentBlock, InstrumentV2Block, PriceIndexBlock, RfqBlock,
    SnapshotBlock, SnapshotEntry, SnapshotStartBlock, TickStep, TickerBlock, TradeEntry, TradesBlock,
};
use super::message::{GroupHeader, MessageHeader};
use super::{Header, SCHEMA_ID, Template};

/// The largest packet the venue sends: what fits an Ethernet frame of 1,500 bytes without fragments.
pub const PACKET_BYTES_MAX: usize = 1_472;

/// The message does not fit what is left of the buffer, or one of its parts exceeds what its length field can say.
/// Nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room in the packet")]
pub struct NoRoom;

/// One packet under construction. Each method appends a message whole or leaves the packet as it was.
///
/// ```
/// use hedgecore::wire::deribit_multicast::{Message, Packet, PacketBuilder, PriceIndexBlock, ascii};
///
/// let mut buffer = [0; 256];
/// let mut packet = PacketBuilder::new(&mut buffer, 0, 7)?;
/// packet.price_index(&PriceIndexBlock {
///     name: ascii("btc_usd"),
///     price: 26_012.5.into(),
///     timestamp_ms: 1_686_858_167_261.into(),
/// })?;
/// let bytes = packet.finish();
///
/// let (header, mut messages) = Packet::parse(bytes)?;
/// assert_eq!(header.sequence.get(), 7);
/// assert!(matches!(messages.next(), Some(Ok(Message::PriceIndex(index))) if index.price.get() == 26_012.5));
/// assert!(messages.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PacketBuilder<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> PacketBuilder<'a> {
    /// Begins a packet at the start of `buffer`, which should be of [`PACKET_BYTES_MAX`] bytes to be sent.
    pub fn new(buffer: &'a mut [u8], channel_id: u16, sequence: u32) -> Result<Self, NoRoom> {
        let header = Header { length: 0.into(), channel_id: channel_id.into(), sequence: sequence.into() };
        let mut packet = Self { buffer, len: 0 };
        packet.append(&header)?;
        Ok(packet)
    }

    /// Whether no message was written yet.
    pub fn is_empty(&self) -> bool {
        self.len <= size_of::<Header>()
    }

    /// Bytes written so far, frame header included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Writes the frame's length and hands out the packet.
    pub fn finish(self) -> &'a [u8] {
        let length = (self.len - size_of::<Header>()) as u16;
        self.buffer[..2].copy_from_slice(&length.to_le_bytes());
        &self.buffer[..self.len]
    }

    /// Template 1000.
    pub fn instrument(&mut self, block: &InstrumentBlock, name: &[u8]) -> Result<(), NoRoom> {
        self.message(Template::Instrument, block, 0, 1, |packet| packet.var_field(name))
    }

    /// Template 1010.
    pub fn instrument_v2(&mut self, block: &InstrumentV2Block, steps: &[TickStep], name: &[u8]) -> Result<(), NoRoom> {
        self.message(Template::InstrumentV2, block, 1, 1, |packet| {
            packet.group(steps)?;
            packet.var_field(name)
        })
    }

    /// Template 1001.
    pub fn book(&mut self, block: &BookBlock, entries: &[BookEntry]) -> Result<(), NoRoom> {
        self.message(Template::Book, block, 1, 0, |packet| packet.group(entries))
    }

    /// Template 1002.
    pub fn trades(&mut self, block: &TradesBlock, entries: &[TradeEntry]) -> Result<(), NoRoom> {
        self.message(Template::Trades, block, 1, 0, |packet| packet.group(entries))
    }

    /// Template 1003.
    pub fn ticker(&mut self, block: &TickerBlock) -> Result<(), NoRoom> {
        self.message(Template::Ticker, block, 0, 0, |_| Ok(()))
    }

    /// Template 1004.
    pub fn snapshot(&mut self, block: &SnapshotBlock, entries: &[SnapshotEntry]) -> Result<(), NoRoom> {
        self.message(Template::Snapshot, block, 1, 0, |packet| packet.group(entries))
    }

    /// Template 1005.
    pub fn snapshot_start(&mut self, block: &SnapshotStartBlock) -> Result<(), NoRoom> {
        self.message(Template::SnapshotStart, block, 0, 0, |_| Ok(()))
    }

    /// Template 1006.
    pub fn snapshot_end(&mut self) -> Result<(), NoRoom> {
        self.message(Template::SnapshotEnd, &(), 0, 0, |_| Ok(()))
    }

    /// Template 1007.
    pub fn combo_legs(&mut self, block: &ComboLegsBlock, legs: &[ComboLeg]) -> Result<(), NoRoom> {
        self.message(Template::ComboLegs, block, 1, 0, |packet| packet.group(legs))
    }

    /// Template 1008.
    pub fn price_index(&mut self, block: &PriceIndexBlock) -> Result<(), NoRoom> {
        self.message(Template::PriceIndex, block, 0, 0, |_| Ok(()))
    }

    /// Template 1009.
    pub fn rfq(&mut self, block: &RfqBlock) -> Result<(), NoRoom> {
        self.message(Template::Rfq, block, 0, 0, |_| Ok(()))
    }

    fn message<B: IntoBytes + Immutable>(
        &mut self,
        template: Template,
        block: &B,
        groups: u16,
        var_fields: u16,
        tail: impl FnOnce(&mut Self) -> Result<(), NoRoom>,
    ) -> Result<(), NoRoom> {
        let start = self.len;
        let written = self
            .append(&MessageHeader {
                block_length: (size_of::<B>() as u16).into(),
                template_id: (template as u16).into(),
                schema_id: SCHEMA_ID.into(),
                version: if template == Template::InstrumentV2 { 3 } else { 2 }.into(),
                groups: groups.into(),
                var_fields: var_fields.into(),
            })
            .and_then(|()| self.append(block))
            .and_then(|()| tail(self));
        if written.is_err() {
            self.len = start;
        }
        written
    }

    fn group<T: IntoBytes + Immutable>(&mut self, entries: &[T]) -> Result<(), NoRoom> {
        self.append(&GroupHeader {
            block_length: (size_of::<T>() as u16).into(),
            count: u16::try_from(entries.len()).map_err(|_| NoRoom)?.into(),
            groups: 0.into(),
            var_fields: 0.into(),
        })?;
        self.append(entries)
    }

    fn var_field(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        self.append(&u8::try_from(bytes.len()).map_err(|_| NoRoom)?)?;
        self.append(bytes)
    }

    fn append<T: IntoBytes + Immutable + ?Sized>(&mut self, part: &T) -> Result<(), NoRoom> {
        let part = part.as_bytes();
        let end = self.len + part.len();
        if end > size_of::<Header>() + usize::from(u16::MAX) {
            return Err(NoRoom);
        }
        self.buffer.get_mut(self.len..end).ok_or(NoRoom)?.copy_from_slice(part);
        self.len = end;
        Ok(())
    }
}
