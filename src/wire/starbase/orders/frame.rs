//! Header, framing of the stream, and the pieces a body is made of: fixed blocks, groups, text.

use zerocopy::byteorder::little_endian::{I64, U16};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First byte of every message.
pub const PROTOCOL_ID: u8 = 0xDB;
/// Schema version written into the messages sent.
pub const SCHEMA_VERSION: u16 = 11;
/// Bytes before a body.
pub const HEADER_BYTES: usize = size_of::<Header>();
/// Longest message the header can announce; a receive buffer of this size never has to refuse one.
pub const FRAME_BYTES_MAX: usize = u16::MAX as usize;
/// Header flag: sent again on request.
pub const FLAG_RESEND: u8 = 1;

/// What every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// [`PROTOCOL_ID`].
    pub protocol_id: u8,
    /// Bit 0: [`FLAG_RESEND`].
    pub flags: u8,
    /// Bytes of the whole message, this header included.
    pub message_length: U16,
    /// Which body follows.
    pub message_type_id: U16,
    /// Schema version of the sender.
    pub version: U16,
    /// Number of this message in its direction, from 1.
    pub sequence_number: I64,
    /// Number of the last message the sender took from the other direction.
    pub last_processed_seq_no: I64,
    /// When it was sent, nanoseconds since the epoch.
    pub send_time_ns: I64,
}

const _: () = assert!(HEADER_BYTES == 32);

/// The stream has lost its framing: nothing behind this point can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A message does not begin with [`PROTOCOL_ID`].
    Protocol(u8),
    /// A message claims to be shorter than its header.
    Length(u16),
}

/// One message is not laid out as its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The body ends before its block does.
    Block,
    /// A group's entries are shorter than known ones, or reach beyond the message.
    Group,
    /// A text reaches beyond the message.
    Text,
}

/// One whole message of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its header.
    pub header: &'a Header,
    /// What follows the header, to the end of the message.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// Bytes it took from the stream.
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }
}

/// The message at the start of `stream`; `None` while it is incomplete.
#[inline]
pub fn next_frame(stream: &[u8]) -> Result<Option<Frame<'_>>, FrameError> {
    if let Some(&first) = stream.first()
        && first != PROTOCOL_ID
    {
        return Err(FrameError::Protocol(first));
    }
    let Ok((header, _)) = Header::ref_from_prefix(stream) else {
        return Ok(None);
    };
    let length = header.message_length.get();
    if usize::from(length) < HEADER_BYTES {
        return Err(FrameError::Length(length));
    }
    Ok(stream.get(HEADER_BYTES..usize::from(length)).map(|body| Frame { header, body }))
}

/// The fixed-size part of one message type.
pub trait Block: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned {
    /// Its number in the header.
    const TYPE: u16;
}

/// The block at the start of `body`, and what follows it.
#[inline]
pub(super) fn block<T: Block>(body: &[u8]) -> Result<(&T, &[u8]), Malformed> {
    T::ref_from_prefix(body).map_err(|_| Malformed::Block)
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(in crate::wire::starbase) struct GroupSize {
    pub(in crate::wire::starbase) block_length: U16,
    pub(in crate::wire::starbase) num_in_group: U16,
}

/// The entries of a repeating group, at the distance the wire gives.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a, T> {
    entries: &'a [u8],
    stride: usize,
    entry: std::marker::PhantomData<T>,
}

impl<'a, T: FromBytes + KnownLayout + Immutable + Unaligned + 'a> Group<'a, T> {
    /// How many entries.
    pub fn len(&self) -> usize {
        self.entries.len() / self.stride
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in wire order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &'a T> + use<'a, T> {
        // `group` has checked that an entry is no shorter than `T`, so nothing is skipped.
        self.entries.chunks_exact(self.stride).filter_map(|entry| T::ref_from_prefix(entry).ok().map(|(e, _)| e))
    }
}

/// The group at the start of `rest`, and what follows it. An empty group may announce any entry length.
#[inline]
pub(in crate::wire::starbase) fn group<T>(rest: &[u8]) -> Result<(Group<'_, T>, &[u8]), Malformed> {
    let (size, rest) = GroupSize::ref_from_prefix(rest).map_err(|_| Malformed::Group)?;
    let (stride, count) = (usize::from(size.block_length.get()), usize::from(size.num_in_group.get()));
    if count > 0 && stride < size_of::<T>() {
        return Err(Malformed::Group);
    }
    let (entries, rest) = rest.split_at_checked(stride * count).ok_or(Malformed::Group)?;
    Ok((Group { entries, stride: stride.max(1), entry: std::marker::PhantomData }, rest))
}

/// The text at the start of `rest`.
#[inline]
pub(super) fn text(rest: &[u8]) -> Result<&[u8], Malformed> {
    let (&length, rest) = rest.split_first().ok_or(Malformed::Text)?;
    rest.get(..usize::from(length)).ok_or(Malformed::Text)
}

/// Declares wire structs: fields in wire order, little-endian, without padding.
macro_rules! wire_struct {
    ($($(#[$doc:meta])* $name:ident $(= $id:literal)? { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout,
            zerocopy::Immutable, zerocopy::Unaligned,
        )]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        $(impl $crate::wire::starbase::orders::Block for $name {
            const TYPE: u16 = $id;
        })?

        #[cfg(test)]
        impl $name {
            /// Field names, and where in the block each ends.
            pub(super) const LAYOUT: &'static [(&'static str, usize)] =
                &[$((stringify!($field), std::mem::offset_of!($name, $field) + size_of::<$type>()),)*];
        }
    )*};
}
pub(in crate::wire::starbase) use wire_struct;
