//! Messages as views into a packet.

use zerocopy::FromBytes;

use super::blocks::{
    AskDelete, AskPut, AskQtyReduced, BidDelete, BidPut, BidQtyReduced, BlockTrade, EndOfCycle, IndexDefinition,
    InstrumentDefinition, InstrumentInfo, InstrumentRef, InstrumentStatusUpdate, LargeTickSize, Leg, RetransmitReject,
    RetransmitRequest, SnapshotHeader, SnapshotTrailer, Trade, TradeSummary,
};
use super::{DecodeError, MESSAGE_HEADER_BYTES, MessageHeader, SCHEMA_VERSION};
use crate::wire::starbase::orders::Group;
use crate::wire::starbase::orders::frame::{Block, group};

/// Furthest that a later version may have moved a definition's groups, bytes.
const BLOCK_GROWTH_MAX: usize = 256;

/// Definition of an instrument with its groups.
///
/// The groups begin where the block ends, and nothing says where that is. A sender of this version ends it where this
/// schema does. For a later one the groups are looked for at the first place, at most 256 bytes further, from which two
/// groups with entries no shorter than known ones reach exactly to the end of the message. Where there is none (it may
/// have added a third group) they are taken from where this version has them.
#[derive(Clone, Copy, Debug)]
pub struct Definition<'a> {
    /// Its fields.
    pub block: &'a InstrumentDefinition,
    /// Tick steps beyond the base tick.
    pub large_tick_sizes: Group<'a, LargeTickSize>,
    /// What a combination is made of.
    pub legs: Group<'a, Leg>,
}

macro_rules! messages {
    ($($name:ident),* $(,)?) => {
        /// What a message says. Everything borrows from the packet.
        #[derive(Clone, Copy, Debug)]
        pub enum Message<'a> {
            /// Definition of an instrument.
            InstrumentDefinition(Definition<'a>),
            $(
                #[doc = concat!("See [`", stringify!($name), "`].")]
                $name(&'a $name),
            )*
            /// A template not known here, passed over.
            Unknown(u16),
        }

        #[inline]
        fn read<'a>(template: u16, version: u16, body: &'a [u8]) -> Result<Message<'a>, DecodeError> {
            Ok(match template {
                $($name::TYPE => Message::$name(block(body)?),)*
                InstrumentDefinition::TYPE => Message::InstrumentDefinition(definition(version, body)?),
                _ => Message::Unknown(template),
            })
        }
    };
}

messages!(
    BidPut,
    AskPut,
    BidQtyReduced,
    AskQtyReduced,
    BidDelete,
    AskDelete,
    TradeSummary,
    Trade,
    BlockTrade,
    IndexDefinition,
    InstrumentInfo,
    InstrumentRef,
    InstrumentStatusUpdate,
    SnapshotHeader,
    SnapshotTrailer,
    EndOfCycle,
    RetransmitRequest,
    RetransmitReject,
);

/// A message with what its packet says about it.
#[derive(Clone, Copy, Debug)]
pub struct Sequenced<'a> {
    /// Its number in the channel.
    pub sequence: i64,
    /// Its header.
    pub header: &'a MessageHeader,
    /// What it says, or why that cannot be read. The messages after it are not affected.
    pub message: Result<Message<'a>, DecodeError>,
}

/// The messages of a packet: as many as its header counts. What ends them early is the last item.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    left: u16,
    sequence: i64,
}

impl<'a> Messages<'a> {
    pub(super) fn new(rest: &'a [u8], sequence: i64, left: u16) -> Self {
        Self { rest, left, sequence }
    }

    fn split(&mut self) -> Result<(&'a MessageHeader, &'a [u8]), DecodeError> {
        if self.rest.is_empty() {
            return Err(DecodeError::MessageMissing);
        }
        let (header, _) = MessageHeader::ref_from_prefix(self.rest).map_err(|_| DecodeError::MessageLength)?;
        let length = usize::from(header.message_length.get());
        let (message, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::MessageLength)?;
        let body = message.get(MESSAGE_HEADER_BYTES..).ok_or(DecodeError::MessageLength)?;
        self.rest = rest;
        Ok((header, body))
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Sequenced<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let trailing = !std::mem::take(&mut self.rest).is_empty();
            return trailing.then_some(Err(DecodeError::Trailing));
        }
        let (header, body) = match self.split() {
            Ok(parts) => parts,
            Err(error) => {
                (self.rest, self.left) = (&[], 0);
                return Some(Err(error));
            }
        };
        let sequence = self.sequence;
        self.left -= 1;
        self.sequence = sequence.wrapping_add(1);
        let message = read(header.template_id.get(), header.version.get(), body);
        Some(Ok(Sequenced { sequence, header, message }))
    }
}

#[inline]
fn block<T: Block>(body: &[u8]) -> Result<&T, DecodeError> {
    T::ref_from_prefix(body).map(|(block, _)| block).map_err(|_| DecodeError::BlockShort)
}

#[cold]
fn definition(version: u16, body: &[u8]) -> Result<Definition<'_>, DecodeError> {
    let (block, rest) = InstrumentDefinition::ref_from_prefix(body).map_err(|_| DecodeError::BlockShort)?;
    let here = groups(rest);
    let found = if version > SCHEMA_VERSION {
        let exact = (0..=rest.len().min(BLOCK_GROWTH_MAX))
            .find_map(|moved| groups(&rest[moved..]).filter(|(_, _, behind)| behind.is_empty()));
        exact.or(here)
    } else {
        here
    };
    let (large_tick_sizes, legs, _) = found.ok_or(DecodeError::Group)?;
    Ok(Definition { block, large_tick_sizes, legs })
}

type Groups<'a> = (Group<'a, LargeTickSize>, Group<'a, Leg>, &'a [u8]);

fn groups(rest: &[u8]) -> Option<Groups<'_>> {
    let (large_tick_sizes, rest) = group(rest).ok()?;
    let (legs, rest) = group(rest).ok()?;
    Some((large_tick_sizes, legs, rest))
}
