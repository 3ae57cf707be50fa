//! What was sent, for as long as it may be asked for again.
//!
//! Bodies lie one behind the other in a ring of bytes, their records in a queue; both are allocated once. What is new
//! pushes out what is oldest. Session messages are not kept: a gap fill stands for them.

use std::ops::RangeInclusive;

use super::super::queue::Queue;
use crate::units::Nanos;

/// One message.
#[derive(Clone, Copy, Debug)]
struct Record {
    sequence: u64,
    kind: u8,
    sent: Nanos,
    /// In bytes since construction.
    start: u64,
    len: u32,
}

/// One message, as it may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept<'a> {
    pub(super) sequence: u64,
    pub(super) kind: u8,
    /// When it was sent first.
    pub(super) sent: Nanos,
    /// Its fields behind the header.
    pub(super) body: &'a [u8],
}

#[derive(Debug)]
pub(super) struct Store {
    bytes: Box<[u8]>,
    /// Where the next body goes, in bytes since construction.
    head: u64,
    records: Queue<Record>,
}

impl Store {
    pub(super) fn new(bytes: usize, messages: usize) -> Self {
        let filler = Record { sequence: 0, kind: 0, sent: Nanos(0), start: 0, len: 0 };
        Self { bytes: vec![0; bytes].into_boxed_slice(), head: 0, records: Queue::new(messages, filler) }
    }

    /// Keeps a message. One that is longer than the store is not kept.
    #[inline]
    pub(super) fn keep(&mut self, sequence: u64, kind: u8, sent: Nanos, body: &[u8]) {
        let capacity = self.bytes.len() as u64;
        let len = body.len() as u64;
        if len > capacity {
            return;
        }
        // A body lies in one piece: what is left at the end of the ring is skipped when it is too short.
        let left = capacity - self.head % capacity;
        let start = if left < len { self.head + left } else { self.head };
        self.head = start + len;
        while self.records.oldest().is_some_and(|record| record.start + capacity < self.head)
            || self.records.room() == 0
        {
            self.records.drop_oldest();
        }
        let at = (start % capacity) as usize;
        self.bytes[at..at + body.len()].copy_from_slice(body);
        self.records.push(Record { sequence, kind, sent, start, len: body.len() as u32 });
    }

    /// Forgets the messages from this number on: they never left.
    pub(super) fn forget_from(&mut self, sequence: u64) {
        while self.records.newest().is_some_and(|record| record.sequence >= sequence) {
            self.records.pop_newest();
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.forget_from(0);
    }

    /// What is kept under these numbers, ascending.
    pub(super) fn range(&self, sequences: RangeInclusive<u64>) -> impl Iterator<Item = Kept<'_>> {
        let capacity = self.bytes.len() as u64;
        self.records.iter().filter(move |record| sequences.contains(&record.sequence)).map(move |record| {
            let at = (record.start % capacity) as usize;
            Kept {
                sequence: record.sequence,
                kind: record.kind,
                sent: record.sent,
                body: &self.bytes[at..at + record.len as usize],
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_keeps_the_latest_that_fit_and_nothing_else(
            steps in prop::collection::vec((any::<bool>(), 1usize..40), 1..200),
        ) {
            let (mut store, mut model, mut next) = (Store::new(100, 8), Vec::<(u64, Vec<u8>)>::new(), 1);
            for (keep, number) in steps {
                if keep {
                    let body = vec![next as u8; number];
                    store.keep(next, b'D', Nanos(next), &body);
                    model.push((next, body));
                    next += 1;
                } else if number % 4 == 0 {
                    next = next.saturating_sub(number as u64 % 3).max(1);
                    store.forget_from(next);
                    model.retain(|(sequence, _)| *sequence < next);
                }
                let kept: Vec<_> = store.range(1..=u64::MAX).map(|kept| (kept.sequence, kept.body.to_vec())).collect();
                prop_assert!(model.ends_with(&kept), "{:?} of {:?}", kept, model);
                prop_assert!(!keep || kept.last() == model.last(), "the newest is kept");
                prop_assert!(kept.len() <= 8 && kept.iter().map(|(_, body)| body.len()).sum::<usize>() <= 100);
            }
        }
    }

    #[test]
    fn what_is_longer_than_the_store_is_not_kept() {
        let mut store = Store::new(10, 4);
        store.keep(1, b'D', Nanos(0), &[1; 11]);
        assert_eq!(store.range(1..=9).count(), 0);
        store.keep(2, b'D', Nanos(0), &[2; 10]);
        store.keep(3, b'D', Nanos(0), &[3; 10]);
        assert_eq!(store.range(1..=9).map(|kept| kept.sequence).collect::<Vec<_>>(), [3]);
    }
}
