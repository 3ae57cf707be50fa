//! Price levels of all books, in one arena.
//!
//! Level changes enter, the best level of a side leaves. A side is an array sorted with its best level last, so a change
//! near the top moves few levels; finding a price costs at most eight comparisons from the top and then a binary
//! search. Nothing grows: the arena is taken at construction, and [`Books::open`] hands a book its fixed share.
//!
//! A side that is full gives up its worst level and remembers it as its *horizon*: levels at or beyond the horizon are
//! not known and changes to them are passed over, levels better than it are complete. Thus the top stays right, and
//! two books are compared as far as both see. A side whose known levels run out while it has a horizon is
//! [`Fault::Exhausted`]: what lies beyond is not known, so the book may no longer be used.

use crate::canary::canary;
use crate::units::{Price, Quantity, Side};
use crate::wire::deribit_multicast::BookChange;

/// Levels looked at one by one from the top before a search by halves.
const SCAN: usize = 8;

/// Why a change cannot be: the book has parted from the venue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Changes or deletes a level that is not there, or creates one that is.
    Inconsistent,
    /// All levels that fit were consumed; those beyond were not kept.
    Exhausted,
}

/// One price level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Its price.
    pub price: Price,
    /// What is offered there.
    pub amount: Quantity,
}

/// A level as it is kept: `rank` is the price for bids and its negative for asks, so more is better on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ranked {
    rank: i64,
    amount: Quantity,
}

/// One side's share of the arena.
#[derive(Clone, Copy, Debug)]
struct Ladder {
    start: u32,
    capacity: u32,
    len: u32,
    /// Ranks up to here are not known; `i64::MIN` when all are.
    horizon: i64,
}

impl Ladder {
    const ABSENT: Self = Self { start: 0, capacity: 0, len: 0, horizon: i64::MIN };
}

/// All books, by index.
#[derive(Debug)]
pub struct Books {
    arena: Box<[Ranked]>,
    used: usize,
    ladders: Box<[[Ladder; 2]]>,
    overflows: u64,
}

impl Books {
    /// Room for `books` books of `levels` levels in total.
    pub fn new(books: usize, levels: usize) -> Self {
        assert!(u32::try_from(levels).is_ok(), "level arena beyond u32");
        Self {
            arena: vec![Ranked::default(); levels].into_boxed_slice(),
            used: 0,
            ladders: vec![[Ladder::ABSENT; 2]; books].into_boxed_slice(),
            overflows: 0,
        }
    }

    /// Gives book `index` two sides of `depth` levels. False, and nothing given, when the arena is used up.
    pub fn open(&mut self, index: usize, depth: usize) -> bool {
        if self.arena.len() - self.used < 2 * depth {
            return false;
        }
        for ladder in &mut self.ladders[index] {
            *ladder = Ladder { start: self.used as u32, capacity: depth as u32, ..Ladder::ABSENT };
            self.used += depth;
        }
        true
    }

    /// Levels given up because a side was full.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Applies one change.
    #[inline]
    pub fn apply(
        &mut self,
        index: usize,
        side: Side,
        change: BookChange,
        price: Price,
        amount: Quantity,
    ) -> Result<(), Fault> {
        let rank = side.sign() * price.0;
        let ladder = &mut self.ladders[index][side as usize];
        if rank <= ladder.horizon {
            return Ok(());
        }
        let (start, len) = (ladder.start as usize, ladder.len as usize);
        let levels = &mut self.arena[start..start + ladder.capacity as usize];
        let (at, found) = position(&levels[..len], rank);
        match (change, found) {
            (BookChange::Changed, true) => levels[at].amount = amount,
            (BookChange::Deleted, true) if canary!(StickyLevel) => {}
            (BookChange::Deleted, true) => {
                // Most often it is the best one, and nothing moves.
                if at + 1 < len {
                    levels.copy_within(at + 1..len, at);
                }
                ladder.len -= 1;
            }
            (BookChange::Created, false) if len < levels.len() => {
                if at < len {
                    levels.copy_within(at..len, at + 1);
                }
                levels[at] = Ranked { rank, amount };
                ladder.len += 1;
            }
            (BookChange::Created, false) => {
                self.overflows += 1;
                if at == 0 {
                    ladder.horizon = rank;
                } else {
                    ladder.horizon = levels[0].rank;
                    levels.copy_within(1..at, 0);
                    levels[at - 1] = Ranked { rank, amount };
                }
            }
            (BookChange::Created, true) | (BookChange::Changed | BookChange::Deleted, false) => {
                return Err(Fault::Inconsistent);
            }
        }
        Ok(())
    }

    /// The best level of a side.
    #[inline]
    pub fn best(&self, index: usize, side: Side) -> Result<Option<Level>, Fault> {
        match self.levels(index, side).last() {
            Some(best) => Ok(Some(Level { price: Price(side.sign() * best.rank), amount: best.amount })),
            None if self.ladders[index][side as usize].horizon != i64::MIN => Err(Fault::Exhausted),
            None => Ok(None),
        }
    }

    /// Empties a book.
    pub fn clear(&mut self, index: usize) {
        for ladder in &mut self.ladders[index] {
            ladder.len = 0;
            ladder.horizon = i64::MIN;
        }
    }

    /// Declares that only the levels shown are known: what lies beyond the worst of each side is not.
    pub fn mark_incomplete(&mut self, index: usize) {
        for side in [Side::Buy, Side::Sell] {
            let horizon = self.levels(index, side).first().map_or(i64::MAX, |worst| worst.rank.saturating_sub(1));
            let ladder = &mut self.ladders[index][side as usize];
            ladder.horizon = ladder.horizon.max(horizon);
        }
    }

    /// Makes book `to` what book `from` is, as far as it fits.
    pub fn copy(&mut self, from: usize, to: usize) {
        for side in 0..2 {
            let source = self.ladders[from][side];
            let target = &mut self.ladders[to][side];
            let cut = source.len.saturating_sub(target.capacity) as usize;
            let (start, end) = (source.start as usize, (source.start + source.len) as usize);
            target.len = source.len - cut as u32;
            target.horizon = if cut > 0 { self.arena[start + cut - 1].rank } else { source.horizon };
            self.overflows += cut as u64;
            self.arena.copy_within(start + cut..end, target.start as usize);
        }
    }

    /// Whether two books agree wherever both see.
    pub fn agree(&self, a: usize, b: usize) -> bool {
        [Side::Buy, Side::Sell].into_iter().all(|side| {
            let horizon = self.ladders[a][side as usize].horizon.max(self.ladders[b][side as usize].horizon);
            let seen = |index| self.levels(index, side).iter().rev().take_while(move |level| level.rank > horizon);
            seen(a).eq(seen(b))
        })
    }

    fn levels(&self, index: usize, side: Side) -> &[Ranked] {
        let ladder = &self.ladders[index][side as usize];
        &self.arena[ladder.start as usize..(ladder.start + ladder.len) as usize]
    }
}

/// Where `rank` is among ascending levels, or where it would be inserted.
#[inline]
fn position(levels: &[Ranked], rank: i64) -> (usize, bool) {
    let mut at = levels.len();
    for _ in 0..SCAN {
        match at.checked_sub(1).map(|below| levels[below].rank) {
            Some(below) if below > rank => at -= 1,
            Some(below) if below == rank => return (at - 1, true),
            _ => return (at, false),
        }
    }
    match levels[..at].binary_search_by_key(&rank, |level| level.rank) {
        Ok(at) => (at, true),
        Err(at) => (at, false),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The naive book: every level, best first by construction of the key.
    #[derive(Default)]
    struct Oracle([BTreeMap<i64, i64>; 2]);

    impl Oracle {
        fn apply(&mut self, side: Side, change: BookChange, price: i64, amount: i64) -> bool {
            let levels = &mut self.0[side as usize];
            let rank = side.sign() * price;
            if levels.contains_key(&rank) == (change == BookChange::Created) {
                return false;
            }
            match change {
                BookChange::Deleted => levels.remove(&rank),
                _ => levels.insert(rank, amount),
            };
            true
        }

        fn best(&self, side: Side) -> Option<Level> {
            let (&rank, &amount) = self.0[side as usize].last_key_value()?;
            Some(Level { price: Price(side.sign() * rank), amount: Quantity(amount) })
        }
    }

    fn any_side() -> impl Strategy<Value = Side> {
        prop_oneof![Just(Side::Buy), Just(Side::Sell)]
    }

    fn any_change() -> impl Strategy<Value = BookChange> {
        prop_oneof![
            3 => Just(BookChange::Created),
            2 => Just(BookChange::Changed),
            2 => Just(BookChange::Deleted)
        ]
    }

    fn books(depth: usize) -> Books {
        let mut books = Books::new(2, 4 * depth);
        assert!(books.open(0, depth) && books.open(1, depth));
        books
    }

    proptest! {
        #[test]
        fn a_book_with_room_is_the_naive_book(
            changes in vec((any_side(), any_change(), -40_i64..40, 1_i64..9), 0..400),
        ) {
            let (mut books, mut oracle) = (books(80), Oracle::default());
            for (side, change, price, amount) in changes {
                let taken = books.apply(0, side, change, Price(price), Quantity(amount)).is_ok();
                prop_assert_eq!(taken, oracle.apply(side, change, price, amount));
                for side in [Side::Buy, Side::Sell] {
                    prop_assert_eq!(books.best(0, side), Ok(oracle.best(side)));
                    let kept: Vec<_> = books.levels(0, side).iter().map(|l| (l.rank, l.amount.0)).collect();
                    let naive: Vec<_> = oracle.0[side as usize].iter().map(|(&r, &a)| (r, a)).collect();
                    prop_assert_eq!(kept, naive);
                }
            }
        }

        #[test]
        fn a_book_without_room_still_knows_its_top(
            depth in 1_usize..6,
            changes in vec((any_side(), any_change(), 0_i64..16, 1_i64..9), 0..400),
        ) {
            let (mut books, mut oracle) = (books(depth), Oracle::default());
            for (side, change, price, amount) in changes {
                if !oracle.apply(side, change, price, amount) {
                    continue;
                }
                prop_assert_eq!(books.apply(0, side, change, Price(price), Quantity(amount)), Ok(()));
                for side in [Side::Buy, Side::Sell] {
                    let ladder = books.ladders[0][side as usize];
                    let kept: Vec<_> = books.levels(0, side).iter().map(|l| (l.rank, l.amount.0)).collect();
                    let naive: Vec<_> = oracle.0[side as usize]
                        .iter()
                        .map(|(&r, &a)| (r, a))
                        .filter(|&(rank, _)| rank > ladder.horizon)
                        .collect();
                    prop_assert_eq!(kept, naive, "complete up to the horizon");
                    match books.best(0, side) {
                        Ok(best) => prop_assert_eq!(best, oracle.best(side)),
                        Err(fault) => prop_assert_eq!(fault, Fault::Exhausted),
                    }
                }
            }
        }

        #[test]
        fn books_agree_exactly_when_what_both_see_is_the_same(
            a in vec((any_side(), 0_i64..12, 1_i64..3), 0..24),
            b in vec((any_side(), 0_i64..12, 1_i64..3), 0..24),
        ) {
            let (mut books, mut oracles) = (books(30), [Oracle::default(), Oracle::default()]);
            for (index, levels) in [a, b].into_iter().enumerate() {
                for (side, price, amount) in levels {
                    let _ = books.apply(index, side, BookChange::Created, Price(price), Quantity(amount));
                    oracles[index].apply(side, BookChange::Created, price, amount);
                }
            }
            prop_assert_eq!(books.agree(0, 1), oracles[0].0 == oracles[1].0);
            books.copy(0, 1);
            prop_assert!(books.agree(0, 1) && books.agree(1, 0));
        }
    }

    #[test]
    fn a_copy_into_a_smaller_book_keeps_the_best_and_knows_what_it_lost() {
        let mut books = Books::new(2, 12);
        assert!(books.open(0, 4) && books.open(1, 2));
        assert!(!books.open(1, 1), "the arena is used up");
        for price in [10, 11, 12, 13] {
            books.apply(0, Side::Sell, BookChange::Created, Price(price), Quantity(1)).unwrap();
        }
        books.copy(0, 1);
        assert_eq!(books.overflows(), 2);
        assert!(books.agree(0, 1));
        assert_eq!(books.apply(1, Side::Sell, BookChange::Deleted, Price(13), Quantity(0)), Ok(()), "beyond it");
        for price in [10, 11] {
            books.apply(1, Side::Sell, BookChange::Deleted, Price(price), Quantity(0)).unwrap();
        }
        assert_eq!(books.best(1, Side::Sell), Err(Fault::Exhausted));
        books.clear(1);
        assert_eq!(books.best(1, Side::Sell), Ok(None));
    }

    #[test]
    fn an_incomplete_book_passes_over_what_it_was_not_shown() {
        let mut books = books(4);
        books.apply(0, Side::Buy, BookChange::Created, Price(10), Quantity(1)).unwrap();
        books.mark_incomplete(0);
        assert_eq!(books.apply(0, Side::Buy, BookChange::Deleted, Price(9), Quantity(0)), Ok(()));
        assert_eq!(books.apply(0, Side::Buy, BookChange::Changed, Price(10), Quantity(2)), Ok(()));
        assert_eq!(books.best(0, Side::Sell), Err(Fault::Exhausted), "an empty side of which nothing is known");
    }
}
