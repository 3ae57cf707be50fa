//! Book changes held back while a book waits for its snapshot.
//!
//! One pool of cells for all books, a linked list per book, one cell per level. A book that outgrows its share, or meets
//! an empty pool, gives up its whole list: then only a snapshot at or beyond the last change given up can restore it.

use crate::units::{Price, Quantity, Side};
use crate::wire::deribit_multicast::BookChange;

/// Cells in the pool.
const CELLS: usize = 8_192;
/// Cells one book may hold.
const SHARE_MAX: u32 = 512;
/// No cell.
const NIL: u32 = u32::MAX;

/// One level of one held-back change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) prev_change_id: u64,
    pub(super) change_id: u64,
    pub(super) timestamp_ms: u64,
    /// `None` for a change that touched no level.
    pub(super) level: Option<(Side, BookChange, Price, Quantity)>,
    /// Whether the change ends here.
    pub(super) is_last: bool,
}

/// A book's list.
#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl List {
    const EMPTY: Self = Self { head: NIL, tail: NIL, len: 0 };
}

/// All lists.
#[derive(Debug)]
pub(super) struct Pending {
    cells: Box<[(Held, u32)]>,
    free: u32,
    lists: Box<[List]>,
}

impl Pending {
    /// Empty lists for `books` books.
    pub(super) fn new(books: usize) -> Self {
        let blank = Held { prev_change_id: 0, change_id: 0, timestamp_ms: 0, level: None, is_last: false };
        let next = |cell: usize| if cell + 1 < CELLS { cell as u32 + 1 } else { NIL };
        Self {
            cells: (0..CELLS).map(|cell| (blank, next(cell))).collect(),
            free: 0,
            lists: vec![List::EMPTY; books].into_boxed_slice(),
        }
    }

    /// Appends to a book's list. False, and nothing appended, when there is no room.
    pub(super) fn hold(&mut self, book: usize, held: Held) -> bool {
        let list = &mut self.lists[book];
        if self.free == NIL || list.len == SHARE_MAX {
            return false;
        }
        let cell = self.free;
        self.free = self.cells[cell as usize].1;
        self.cells[cell as usize] = (held, NIL);
        if list.tail == NIL {
            list.head = cell;
        } else {
            self.cells[list.tail as usize].1 = cell;
        }
        list.tail = cell;
        list.len += 1;
        true
    }

    /// Takes the oldest off a book's list.
    pub(super) fn release(&mut self, book: usize) -> Option<Held> {
        let list = &mut self.lists[book];
        let (held, next) = *self.cells.get(list.head as usize)?;
        self.cells[list.head as usize].1 = self.free;
        self.free = list.head;
        *list = if next == NIL { List::EMPTY } else { List { head: next, len: list.len - 1, ..*list } };
        Some(held)
    }

    /// Empties a book's list; how many it held.
    pub(super) fn clear(&mut self, book: usize) -> u64 {
        let list = std::mem::replace(&mut self.lists[book], List::EMPTY);
        if list.tail != NIL {
            self.cells[list.tail as usize].1 = self.free;
            self.free = list.head;
        }
        u64::from(list.len)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn held(change_id: u64) -> Held {
        Held { prev_change_id: 0, change_id, timestamp_ms: 0, level: None, is_last: true }
    }

    proptest! {
        #[test]
        fn lists_are_queues(actions in vec((0_usize..4, 0_u8..8), 0..2_000)) {
            let (mut pending, mut queues) = (Pending::new(4), vec![VecDeque::new(); 4]);
            for (n, (book, action)) in (0_u64..).zip(actions) {
                match action {
                    0..=4 => {
                        let fits = queues[book].len() < SHARE_MAX as usize;
                        prop_assert_eq!(pending.hold(book, held(n)), fits);
                        if fits {
                            queues[book].push_back(n);
                        }
                    }
                    5 | 6 => prop_assert_eq!(pending.release(book).map(|h| h.change_id), queues[book].pop_front()),
                    _ => {
                        prop_assert_eq!(pending.clear(book), queues[book].len() as u64);
                        queues[book].clear();
                    }
                }
                prop_assert_eq!(pending.lists[book].len as usize, queues[book].len());
            }
        }
    }

    #[test]
    fn no_cell_is_lost_when_the_pool_runs_dry_and_fills_again() {
        let books = CELLS / SHARE_MAX as usize + 1;
        for _ in 0..2 {
            let mut pending = Pending::new(books);
            for round in 0..3 {
                let taken: usize = (0..books)
                    .map(|book| (0..=SHARE_MAX).filter(|&n| pending.hold(book, held(u64::from(n)))).count())
                    .sum();
                assert_eq!(taken, CELLS);
                for book in 0..books {
                    if round % 2 == 0 {
                        pending.clear(book);
                    } else {
                        while pending.release(book).is_some() {}
                    }
                }
            }
        }
    }
}
