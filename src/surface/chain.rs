//! Instruments sorted by underlying, expiry and strike, with a record for each and one for each expiry.
//!
//! An expiry's rows lie side by side, so whatever walks a smile walks memory. **Cost**: finding a row is a look-up, an
//! expiry a binary search; inserting and removing copies the rows behind (reference data, never a tick). Everything is
//! taken at construction; a full table refuses.

use std::ops::Range;

use crate::instrument::{INSTRUMENTS_MAX, Instrument, UNDERLYINGS_MAX};
use crate::units::{InstrumentId, Nanos, Price, UnderlyingId};

/// Expiries over all underlyings; what never expires counts as one for each.
pub const SLICES_MAX: usize = 512;

const ABSENT: u16 = u16::MAX;

/// Where a row belongs; ordered by underlying, expiry, strike, instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) underlying: UnderlyingId,
    pub(crate) expiry_s: u32,
    pub(crate) strike: Price,
    pub(crate) instrument: InstrumentId,
}

impl Key {
    pub(crate) fn of(instrument: &Instrument) -> Self {
        Self {
            underlying: instrument.underlying,
            expiry_s: instrument.expiry_s,
            strike: instrument.strike,
            instrument: instrument.id,
        }
    }

    fn slice(&self) -> (UnderlyingId, u32) {
        (self.underlying, self.expiry_s)
    }
}

/// One instrument's record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row<R> {
    pub(crate) key: Key,
    pub(crate) data: R,
}

/// One expiry's record, and which rows are its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slice<S> {
    pub(crate) underlying: UnderlyingId,
    pub(crate) expiry_s: u32,
    start: u16,
    end: u16,
    pub(crate) data: S,
}

impl<S> Slice<S> {
    /// Its rows.
    pub(crate) fn range(&self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }

    /// When it expires; `None` for what never does.
    pub(crate) fn expiry(&self) -> Option<Nanos> {
        (self.expiry_s != 0).then(|| Nanos::from_secs(self.expiry_s))
    }
}

/// The sorted table.
#[derive(Debug)]
pub(crate) struct Chain<R, S> {
    rows: Box<[Row<R>]>,
    rows_len: usize,
    slices: Box<[Slice<S>]>,
    slices_len: usize,
    row_of: Box<[u16]>,
    /// First slice of each underlying, and the one behind its last.
    spans: [(u16, u16); UNDERLYINGS_MAX],
}

impl<R: Copy + Default, S: Copy + Default> Chain<R, S> {
    pub(crate) fn new() -> Self {
        Self::with_capacity(INSTRUMENTS_MAX)
    }

    /// A table for so many instruments, of indices below that.
    pub(crate) fn with_capacity(instruments: usize) -> Self {
        assert!(instruments < usize::from(ABSENT), "room for {instruments} instruments");
        Self {
            rows: vec![Row::default(); instruments].into_boxed_slice(),
            rows_len: 0,
            slices: vec![Slice::default(); SLICES_MAX].into_boxed_slice(),
            slices_len: 0,
            row_of: vec![ABSENT; instruments].into_boxed_slice(),
            spans: [(0, 0); UNDERLYINGS_MAX],
        }
    }

    /// Every row, in order.
    pub(crate) fn rows(&self) -> &[Row<R>] {
        &self.rows[..self.rows_len]
    }

    /// Every expiry, in order.
    pub(crate) fn slices(&self) -> &[Slice<S>] {
        &self.slices[..self.slices_len]
    }

    /// A row's record and its expiry's.
    pub(crate) fn pair_mut(&mut self, row: usize, slice: usize) -> (&mut R, &mut S) {
        (&mut self.rows[row].data, &mut self.slices[slice].data)
    }

    /// A row's record.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut R {
        &mut self.rows[row].data
    }

    /// An expiry's record.
    pub(crate) fn slice_mut(&mut self, slice: usize) -> &mut S {
        &mut self.slices[slice].data
    }

    /// The row of an instrument.
    pub(crate) fn find(&self, instrument: InstrumentId) -> Option<usize> {
        self.row_of.get(instrument.index()).filter(|&&i| i != ABSENT).map(|&i| usize::from(i))
    }

    /// The expiry of that number of seconds.
    pub(crate) fn find_slice(&self, underlying: UnderlyingId, expiry_s: u32) -> Option<usize> {
        self.slices().binary_search_by_key(&(underlying, expiry_s), |s| (s.underlying, s.expiry_s)).ok()
    }

    /// The expiries of an underlying, soonest first; what never expires comes before them all.
    pub(crate) fn slices_of(&self, underlying: UnderlyingId) -> Range<usize> {
        let (start, end) = self.spans.get(underlying.index()).copied().unwrap_or_default();
        usize::from(start)..usize::from(end)
    }

    /// Enters a row; a new expiry begins with the default record. False when the table is full, the instrument is in it
    /// already, or an index lies beyond a catalogue's.
    pub(crate) fn insert(&mut self, key: Key, data: R) -> bool {
        let is_known = key.instrument.index() < self.row_of.len() && key.underlying.index() < UNDERLYINGS_MAX;
        if !is_known || self.find(key.instrument).is_some() {
            return false;
        }
        let at = self.slices().partition_point(|s| (s.underlying, s.expiry_s) < key.slice());
        let is_new = self.find_slice(key.underlying, key.expiry_s).is_none();
        if self.rows_len == self.rows.len() || (is_new && self.slices_len == SLICES_MAX) {
            return false;
        }
        let row = self.rows().partition_point(|r| r.key < key);
        self.rows.copy_within(row..self.rows_len, row + 1);
        self.rows[row] = Row { key, data };
        self.rows_len += 1;
        if is_new {
            self.slices.copy_within(at..self.slices_len, at + 1);
            let (underlying, expiry_s, start) = (key.underlying, key.expiry_s, row as u16);
            self.slices[at] = Slice { underlying, expiry_s, start, end: start, data: S::default() };
            self.slices_len += 1;
        }
        self.slices[at].end += 1;
        for slice in &mut self.slices[at + 1..self.slices_len] {
            (slice.start, slice.end) = (slice.start + 1, slice.end + 1);
        }
        self.reindex(row);
        true
    }

    /// Takes an instrument out, and its expiry with the last of its rows.
    pub(crate) fn remove(&mut self, instrument: InstrumentId) {
        let Some(row) = self.find(instrument) else { return };
        let key = self.rows[row].key;
        let Some(at) = self.find_slice(key.underlying, key.expiry_s) else { return };
        self.row_of[instrument.index()] = ABSENT;
        self.rows.copy_within(row + 1..self.rows_len, row);
        self.rows_len -= 1;
        self.slices[at].end -= 1;
        for slice in &mut self.slices[at + 1..self.slices_len] {
            (slice.start, slice.end) = (slice.start - 1, slice.end - 1);
        }
        if self.slices[at].range().is_empty() {
            self.slices.copy_within(at + 1..self.slices_len, at);
            self.slices_len -= 1;
        }
        self.reindex(row);
    }

    fn reindex(&mut self, from: usize) {
        for (underlying, span) in self.spans.iter_mut().enumerate() {
            let slices = &self.slices[..self.slices_len];
            let start = slices.partition_point(|s| s.underlying.index() < underlying);
            let len = slices[start..].partition_point(|s| s.underlying.index() == underlying);
            *span = (start as u16, (start + len) as u16);
        }
        for (i, row) in self.rows[..self.rows_len].iter().enumerate().skip(from) {
            self.row_of[row.key.instrument.index()] = i as u16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(underlying: u8, expiry_s: u32, strike: i64, instrument: u16) -> Key {
        let (underlying, instrument) = (UnderlyingId(underlying), InstrumentId(instrument));
        Key { underlying, expiry_s, strike: Price(strike), instrument }
    }

    proptest! {
        /// The oracle is a sorted list of keys.
        #[test]
        fn rows_stay_sorted_found_and_within_their_expiry(
            steps in prop::collection::vec((any::<bool>(), 0u8..3, 0u32..4, 0i64..4, 0u16..40), 1..200),
        ) {
            let mut chain = Chain::<u16, u8>::new();
            let mut plain: Vec<Key> = Vec::new();
            for (add, underlying, expiry_s, strike, instrument) in steps {
                if add {
                    let fresh = plain.iter().all(|k| k.instrument.0 != instrument);
                    prop_assert_eq!(chain.insert(key(underlying, expiry_s, strike, instrument), instrument), fresh);
                    if fresh {
                        plain.push(key(underlying, expiry_s, strike, instrument));
                    }
                } else {
                    chain.remove(InstrumentId(instrument));
                    plain.retain(|k| k.instrument.0 != instrument);
                }
                plain.sort();
                prop_assert!(chain.rows().iter().map(|r| r.key).eq(plain.iter().copied()));
                for (at, row) in chain.rows().iter().enumerate() {
                    prop_assert_eq!(row.data, row.key.instrument.0);
                    prop_assert_eq!(chain.find(row.key.instrument), Some(at));
                    let slice = chain.find_slice(row.key.underlying, row.key.expiry_s).unwrap();
                    prop_assert!(chain.slices()[slice].range().contains(&at));
                    prop_assert!(chain.slices_of(row.key.underlying).contains(&slice));
                }
                prop_assert_eq!(chain.slices().iter().map(|s| s.range().len()).sum::<usize>(), plain.len());
            }
        }
    }

    #[test]
    fn a_full_table_refuses() {
        let mut chain = Chain::<(), ()>::new();
        for i in 0..SLICES_MAX as u16 {
            assert!(chain.insert(key(0, u32::from(i), 0, i), ()));
        }
        assert!(!chain.insert(key(0, 1_000_000, 0, 2_000), ()));
        assert!(chain.insert(key(0, 1, 7, 2_000), ()));
        assert!(!chain.insert(key(0, 1, 8, INSTRUMENTS_MAX as u16), ()));
        assert!(!chain.insert(key(UNDERLYINGS_MAX as u8, 1, 8, 2_001), ()));
    }
}
