//! Laying messages into a buffer.

use super::frame::{GroupSize, HEADER_BYTES, Header};
use super::{Block, PROTOCOL_ID, SCHEMA_VERSION};
use zerocopy::byteorder::little_endian::{I64, U16};
use zerocopy::{Immutable, IntoBytes};

/// The buffer, or the 64 KiB that a header can announce, ends before the message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// What the session puts into a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// [`super::FLAG_RESEND`] or 0.
    pub flags: u8,
    /// Number of this message.
    pub sequence: i64,
    /// Number of the last message taken from the other side.
    pub last_processed: i64,
    /// Nanoseconds since the epoch.
    pub send_time_ns: i64,
}

/// A message under construction: block, then its groups in schema order, then its text. Nothing of it counts until
/// [`finish`](Self::finish) has returned its length.
#[derive(Debug)]
pub struct Encoder<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Encoder<'a> {
    /// Header and block.
    #[inline]
    pub fn new<B: Block>(buffer: &'a mut [u8], envelope: &Envelope, block: &B) -> Result<Self, NoRoom> {
        let header = Header {
            protocol_id: PROTOCOL_ID,
            flags: envelope.flags,
            message_length: U16::ZERO,
            message_type_id: U16::new(B::TYPE),
            version: U16::new(SCHEMA_VERSION),
            sequence_number: I64::new(envelope.sequence),
            last_processed_seq_no: I64::new(envelope.last_processed),
            send_time_ns: I64::new(envelope.send_time_ns),
        };
        header.write_to_prefix(buffer).map_err(|_| NoRoom)?;
        let mut encoder = Self { buffer, length: HEADER_BYTES };
        encoder.put(block)?;
        Ok(encoder)
    }

    /// A repeating group.
    pub fn group<T: IntoBytes + Immutable>(mut self, entries: &[T]) -> Result<Self, NoRoom> {
        let size = GroupSize {
            block_length: U16::new(u16::try_from(size_of::<T>()).map_err(|_| NoRoom)?),
            num_in_group: U16::new(u16::try_from(entries.len()).map_err(|_| NoRoom)?),
        };
        self.put(&size)?;
        self.put(entries)?;
        Ok(self)
    }

    /// A text, cut after 255 bytes.
    pub fn text(mut self, text: &[u8]) -> Result<Self, NoRoom> {
        let text = &text[..text.len().min(usize::from(u8::MAX))];
        self.put(&(text.len() as u8))?;
        self.put(text)?;
        Ok(self)
    }

    /// Writes the length into the header and returns it.
    #[inline]
    pub fn finish(self) -> Result<usize, NoRoom> {
        let length = U16::new(u16::try_from(self.length).map_err(|_| NoRoom)?);
        let (header, _) = zerocopy::FromBytes::mut_from_prefix(self.buffer).map_err(|_| NoRoom)?;
        let header: &mut Header = header;
        header.message_length = length;
        Ok(self.length)
    }

    #[inline]
    fn put<T: IntoBytes + Immutable + ?Sized>(&mut self, part: &T) -> Result<(), NoRoom> {
        let rest = self.buffer.get_mut(self.length..).ok_or(NoRoom)?;
        part.write_to_prefix(rest).map_err(|_| NoRoom)?;
        self.length += size_of_val(part);
        Ok(())
    }
}
