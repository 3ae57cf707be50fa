//! Messages as views into a packet.

use std::marker::PhantomData;

use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::blocks::{
    BookBlock, BookEntry, ComboLeg, ComboLegsBlock, InstrumentBlock, InstrumentV2Block, PriceIndexBlock, RfqBlock,
    SnapshotBlock, SnapshotEntry, SnapshotStartBlock, TickStep, TickerBlock, TradeEntry, TradesBlock,
};
use super::{DecodeError, SCHEMA_ID};

/// The templates known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Template {
    /// Definition of an instrument.
    Instrument = 1000,
    /// Changes of a book.
    Book = 1001,
    /// Public trades.
    Trades = 1002,
    /// Statistics of an instrument.
    Ticker = 1003,
    /// A book as a whole.
    Snapshot = 1004,
    /// A round of snapshots begins.
    SnapshotStart = 1005,
    /// A round of snapshots ends.
    SnapshotEnd = 1006,
    /// What a combination is made of.
    ComboLegs = 1007,
    /// A price index.
    PriceIndex = 1008,
    /// A request for quotes.
    Rfq = 1009,
    /// Definition of an instrument, with tick steps.
    InstrumentV2 = 1010,
}

impl Template {
    /// Every template, by number: `ALL[t.index()] == t`.
    pub const ALL: [Self; 11] = [
        Self::Instrument,
        Self::Book,
        Self::Trades,
        Self::Ticker,
        Self::Snapshot,
        Self::SnapshotStart,
        Self::SnapshotEnd,
        Self::ComboLegs,
        Self::PriceIndex,
        Self::Rfq,
        Self::InstrumentV2,
    ];

    /// The template with this number.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.get(usize::from(id).checked_sub(1000)?).copied()
    }

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize - 1000
    }

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instrument => "instrument",
            Self::Book => "book",
            Self::Trades => "trades",
            Self::Ticker => "ticker",
            Self::Snapshot => "snapshot",
            Self::SnapshotStart => "snapshot_start",
            Self::SnapshotEnd => "snapshot_end",
            Self::ComboLegs => "combo_legs",
            Self::PriceIndex => "price_index",
            Self::Rfq => "rfq",
            Self::InstrumentV2 => "instrument_v2",
        }
    }
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// Template 1000.
    Instrument(Instrument<'a>),
    /// Template 1010.
    InstrumentV2(InstrumentV2<'a>),
    /// Template 1001.
    Book(Book<'a>),
    /// Template 1002.
    Trades(Trades<'a>),
    /// Template 1003.
    Ticker(&'a TickerBlock),
    /// Template 1004.
    Snapshot(Snapshot<'a>),
    /// Template 1005.
    SnapshotStart(&'a SnapshotStartBlock),
    /// Template 1006.
    SnapshotEnd,
    /// Template 1007.
    ComboLegs(ComboLegs<'a>),
    /// Template 1008.
    PriceIndex(&'a PriceIndexBlock),
    /// Template 1009.
    Rfq(&'a RfqBlock),
    /// A template or schema not known here, passed over.
    Unknown(Unknown),
}

impl Message<'_> {
    /// The template, `None` when not known.
    pub fn template(&self) -> Option<Template> {
        Some(match self {
            Self::Instrument(_) => Template::Instrument,
            Self::InstrumentV2(_) => Template::InstrumentV2,
            Self::Book(_) => Template::Book,
            Self::Trades(_) => Template::Trades,
            Self::Ticker(_) => Template::Ticker,
            Self::Snapshot(_) => Template::Snapshot,
            Self::SnapshotStart(_) => Template::SnapshotStart,
            Self::SnapshotEnd => Template::SnapshotEnd,
            Self::ComboLegs(_) => Template::ComboLegs,
            Self::PriceIndex(_) => Template::PriceIndex,
            Self::Rfq(_) => Template::Rfq,
            Self::Unknown(_) => return None,
        })
    }
}

/// Definition of an instrument.
#[derive(Clone, Copy, Debug)]
pub struct Instrument<'a> {
    /// Its fields.
    pub block: &'a InstrumentBlock,
    /// Its name, unchecked bytes.
    pub name: &'a [u8],
}

/// Definition of an instrument, with tick steps.
#[derive(Clone, Copy, Debug)]
pub struct InstrumentV2<'a> {
    /// Its fields.
    pub block: &'a InstrumentV2Block,
    /// Tick steps beyond the base tick.
    pub tick_steps: Group<'a, TickStep>,
    /// Its name, unchecked bytes.
    pub name: &'a [u8],
}

/// Changes of a book.
#[derive(Clone, Copy, Debug)]
pub struct Book<'a> {
    /// Its fields.
    pub block: &'a BookBlock,
    /// Levels that changed.
    pub entries: Group<'a, BookEntry>,
}

/// Public trades.
#[derive(Clone, Copy, Debug)]
pub struct Trades<'a> {
    /// Its fields.
    pub block: &'a TradesBlock,
    /// The trades.
    pub entries: Group<'a, TradeEntry>,
}

/// A book as a whole, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// Its fields.
    pub block: &'a SnapshotBlock,
    /// Levels.
    pub entries: Group<'a, SnapshotEntry>,
}

/// What a combination is made of.
#[derive(Clone, Copy, Debug)]
pub struct ComboLegs<'a> {
    /// Its fields.
    pub block: &'a ComboLegsBlock,
    /// Legs.
    pub legs: Group<'a, ComboLeg>,
}

/// What is said of a message that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its template.
    pub template_id: u16,
    /// Its schema.
    pub schema_id: u16,
    /// Its version.
    pub version: u16,
}

/// Entries of a group, each at least as long as `T`.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a, T> {
    entries: &'a [u8],
    stride: usize,
    len: usize,
    entry: PhantomData<&'a T>,
}

impl<'a, T: FromBytes + Immutable + KnownLayout + Unaligned> Group<'a, T> {
    /// How many entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries in order.
    #[inline]
    pub fn iter(&self) -> GroupIter<'a, T> {
        GroupIter { rest: self.entries, stride: self.stride, entry: PhantomData }
    }
}

impl<'a, T: FromBytes + Immutable + KnownLayout + Unaligned> IntoIterator for Group<'a, T> {
    type Item = &'a T;
    type IntoIter = GroupIter<'a, T>;

    fn into_iter(self) -> GroupIter<'a, T> {
        self.iter()
    }
}

/// Iterator over a [`Group`].
#[derive(Clone, Debug)]
pub struct GroupIter<'a, T> {
    rest: &'a [u8],
    stride: usize,
    entry: PhantomData<&'a T>,
}

impl<'a, T: FromBytes + Immutable + KnownLayout + Unaligned> Iterator for GroupIter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        let (entry, rest) = self.rest.split_at_checked(self.stride)?;
        self.rest = rest;
        T::ref_from_prefix(entry).ok().map(|(entry, _)| entry)
    }
}

/// The messages of a packet, in order; ends after the first error.
#[derive(Clone, Debug, Default)]
pub struct Messages<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Messages<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor { rest: bytes } }
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.cursor.rest.len()
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    // Always, with what it calls: a message that is returned is written field by field and read back in wide words, which
    // waits for the cache, although most callers are after one kind and a few fields.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.rest.is_empty() {
            return None;
        }
        let message = self.cursor.message();
        if message.is_err() {
            self.cursor.rest = &[];
        }
        Some(message)
    }
}

/// Head of a message.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct MessageHeader {
    pub(super) block_length: U16,
    pub(super) template_id: U16,
    pub(super) schema_id: U16,
    pub(super) version: U16,
    pub(super) groups: U16,
    pub(super) var_fields: U16,
}

/// Head of a group.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct GroupHeader {
    pub(super) block_length: U16,
    pub(super) count: U16,
    pub(super) groups: U16,
    pub(super) var_fields: U16,
}

/// What is left of the packet.
#[derive(Clone, Debug, Default)]
struct Cursor<'a> {
    rest: &'a [u8],
}

/// Groups and variable fields that a message still has to show.
struct Tail {
    groups: u16,
    var_fields: u16,
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    fn message(&mut self) -> Result<Message<'a>, DecodeError> {
        let (header, rest) = MessageHeader::ref_from_prefix(self.rest).map_err(|_| DecodeError::MessageHeader)?;
        let (block, rest) =
            rest.split_at_checked(usize::from(header.block_length.get())).ok_or(DecodeError::BlockOverrun)?;
        self.rest = rest;
        let mut tail = Tail { groups: header.groups.get(), var_fields: header.var_fields.get() };
        let template = match header.schema_id.get() {
            SCHEMA_ID => Template::from_id(header.template_id.get()),
            _ => None,
        };
        let message = match template {
            Some(Template::Book) => Message::Book(Book { block: fields(block)?, entries: self.group(&mut tail)? }),
            Some(Template::Ticker) => Message::Ticker(fields(block)?),
            Some(Template::PriceIndex) => Message::PriceIndex(fields(block)?),
            Some(Template::Trades) => {
                Message::Trades(Trades { block: fields(block)?, entries: self.group(&mut tail)? })
            }
            Some(Template::Snapshot) => {
                Message::Snapshot(Snapshot { block: fields(block)?, entries: self.group(&mut tail)? })
            }
            Some(Template::Instrument) => {
                let block = fields(block)?;
                Message::Instrument(Instrument { block, name: self.var_field(&mut tail)? })
            }
            Some(Template::InstrumentV2) => {
                let (block, tick_steps) = (fields(block)?, self.group(&mut tail)?);
                Message::InstrumentV2(InstrumentV2 { block, tick_steps, name: self.var_field(&mut tail)? })
            }
            Some(Template::ComboLegs) => {
                Message::ComboLegs(ComboLegs { block: fields(block)?, legs: self.group(&mut tail)? })
            }
            Some(Template::Rfq) => Message::Rfq(fields(block)?),
            Some(Template::SnapshotStart) => Message::SnapshotStart(fields(block)?),
            Some(Template::SnapshotEnd) => Message::SnapshotEnd,
            None => Message::Unknown(Unknown {
                template_id: header.template_id.get(),
                schema_id: header.schema_id.get(),
                version: header.version.get(),
            }),
        };
        self.skip(tail)?;
        Ok(message)
    }

    /// Passes over what a newer version, or an unknown template, has beyond the parts read. Each turn consumes bytes
    /// of the packet or fails, so the packet's length bounds the loops.
    #[inline]
    fn skip(&mut self, mut tail: Tail) -> Result<(), DecodeError> {
        while tail.groups > 0 {
            self.raw_group(&mut tail)?;
        }
        while tail.var_fields > 0 {
            self.var_field(&mut tail)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn group<T>(&mut self, tail: &mut Tail) -> Result<Group<'a, T>, DecodeError> {
        let (header, entries) = self.raw_group(tail)?;
        let (stride, len) = (usize::from(header.block_length.get()), usize::from(header.count.get()));
        if stride < size_of::<T>() && len > 0 {
            return Err(DecodeError::EntryShort);
        }
        Ok(Group { entries, stride: stride.max(1), len, entry: PhantomData })
    }

    #[inline(always)]
    fn raw_group(&mut self, tail: &mut Tail) -> Result<(&'a GroupHeader, &'a [u8]), DecodeError> {
        tail.groups = tail.groups.checked_sub(1).ok_or(DecodeError::GroupMissing)?;
        let (header, rest) = GroupHeader::ref_from_prefix(self.rest).map_err(|_| DecodeError::GroupHeader)?;
        if header.groups.get() != 0 || header.var_fields.get() != 0 {
            return Err(DecodeError::GroupNested);
        }
        let bytes = usize::from(header.block_length.get()) * usize::from(header.count.get());
        let (entries, rest) = rest.split_at_checked(bytes).ok_or(DecodeError::GroupOverrun)?;
        self.rest = rest;
        Ok((header, entries))
    }

    /// The next variable field. Variable fields lie behind the groups, so those not read are passed over first.
    #[inline]
    fn var_field(&mut self, tail: &mut Tail) -> Result<&'a [u8], DecodeError> {
        while tail.groups > 0 {
            self.raw_group(tail)?;
        }
        tail.var_fields = tail.var_fields.checked_sub(1).ok_or(DecodeError::VarMissing)?;
        let (&len, rest) = self.rest.split_first().ok_or(DecodeError::VarOverrun)?;
        let (bytes, rest) = rest.split_at_checked(usize::from(len)).ok_or(DecodeError::VarOverrun)?;
        self.rest = rest;
        Ok(bytes)
    }
}

#[inline]
fn fields<T: FromBytes + Immutable + KnownLayout + Unaligned>(block: &[u8]) -> Result<&T, DecodeError> {
    T::ref_from_prefix(block).map(|(fields, _)| fields).map_err(|_| DecodeError::BlockShort)
}
