//! Which of the venue's messages have been seen.
//!
//! Invariant: a number is taken at most once. Messages ahead of a gap are taken as they come, since order reports bear any
//! order, and only the missing ones are asked for; so a busy session recovers in one round trip. Cost: at most
//! [`GAPS_MAX`] ranges are remembered and scanned; one more is a broken session.

use arrayvec::ArrayVec;

/// Gaps open at one time.
pub(super) const GAPS_MAX: usize = 8;

/// What a sequence number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The one expected.
    Next,
    /// Beyond it: what lies between is missing.
    Ahead,
    /// One of the missing.
    Recovered,
    /// Seen before.
    Seen,
}

/// More gaps than are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyGaps;

/// Numbers received: all below `next` but those in `missing`.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    next: i64,
    /// Inclusive ranges, ascending, disjoint, all below `next`.
    missing: ArrayVec<(i64, i64), GAPS_MAX>,
}

impl Incoming {
    pub(super) fn new(next: i64) -> Self {
        Self { next, missing: ArrayVec::new_const() }
    }

    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// The last number before which nothing is missing.
    pub(super) fn last_processed(&self) -> i64 {
        self.missing.first().map_or(self.next, |(from, _)| *from) - 1
    }

    /// Everything missing, from the first to the last.
    pub(super) fn missing(&self) -> Option<(i64, i64)> {
        Some((self.missing.first()?.0, self.missing.last()?.1))
    }

    pub(super) fn classify(&self, number: i64) -> Arrival {
        if number == self.next {
            Arrival::Next
        } else if number > self.next {
            Arrival::Ahead
        } else if self.missing.iter().any(|(from, to)| (*from..=*to).contains(&number)) {
            Arrival::Recovered
        } else {
            Arrival::Seen
        }
    }

    /// Takes every number in `from..until`; what lies between the last one known and `from` is missing from now on.
    pub(super) fn take(&mut self, from: i64, until: i64) -> Result<(), TooManyGaps> {
        if from >= until {
            return Ok(());
        }
        if from > self.next {
            self.missing.try_push((self.next, from - 1)).map_err(|_| TooManyGaps)?;
        }
        let mut at = 0;
        while at < self.missing.len() {
            let (low, high) = self.missing[at];
            match (low < from && from <= high, low < until && until <= high) {
                // Cut out of the middle.
                (true, true) => {
                    self.missing[at] = (low, from - 1);
                    self.missing.try_insert(at + 1, (until, high)).map_err(|_| TooManyGaps)?;
                    at += 2;
                }
                (true, false) => {
                    self.missing[at] = (low, from - 1);
                    at += 1;
                }
                (false, true) => {
                    self.missing[at] = (until, high);
                    at += 1;
                }
                (false, false) if from <= low && high < until => {
                    self.missing.remove(at);
                }
                (false, false) => at += 1,
            }
        }
        self.next = self.next.max(until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_gap_closes_from_the_front_the_back_and_the_middle() {
        let mut incoming = Incoming::new(1);
        assert_eq!(incoming.take(10, 11), Ok(()));
        assert_eq!(incoming.missing(), Some((1, 9)));
        assert_eq!(incoming.last_processed(), 0);
        for number in [1, 9, 5] {
            assert_eq!(incoming.classify(number), Arrival::Recovered);
            assert_eq!(incoming.take(number, number + 1), Ok(()));
            assert_eq!(incoming.classify(number), Arrival::Seen);
        }
        assert_eq!(incoming.last_processed(), 1);
        assert_eq!(incoming.take(2, 9), Ok(()));
        assert_eq!((incoming.missing(), incoming.last_processed()), (None, 10));
    }

    #[test]
    fn the_ninth_gap_is_one_too_many() {
        let mut incoming = Incoming::new(1);
        for gap in 1..=GAPS_MAX as i64 {
            assert_eq!(incoming.take(gap * 2, gap * 2 + 1), Ok(()));
        }
        assert_eq!(incoming.take(100, 101), Err(TooManyGaps));
    }

    proptest! {
        #[test]
        fn ranges_agree_with_a_set(takes in prop::collection::vec((1i64..40, 1i64..6), 1..60)) {
            let (mut incoming, mut seen) = (Incoming::new(1), BTreeSet::new());
            for (from, count) in takes {
                if incoming.take(from, from + count).is_err() {
                    break;
                }
                seen.extend(from..from + count);
                let next = seen.last().expect("not empty") + 1;
                prop_assert_eq!(incoming.next(), next);
                let missing: Vec<i64> = (1..next).filter(|n| !seen.contains(n)).collect();
                prop_assert_eq!(incoming.missing(), missing.first().copied().zip(missing.last().copied()));
                for number in 1..next {
                    let expected = if seen.contains(&number) { Arrival::Seen } else { Arrival::Recovered };
                    prop_assert_eq!(incoming.classify(number), expected);
                }
            }
        }
    }
}
