//! What is held back for a book while it waits for its snapshot.
//!
//! One pool of cells for all books, a linked list per book, one cell per change of a level or an order. A book that outgrows its share, or meets
//! an empty pool, gives up its whole list: then only a snapshot at or beyond the last change given up can restore it.

/// No cell.
const NIL: u32 = u32::MAX;

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
pub(in crate::feed) struct Pending<H> {
    cells: Box<[(H, u32)]>,
    share_max: u32,
    free: u32,
    lists: Box<[List]>,
}

impl<H: Copy> Pending<H> {
    /// Empty lists for `books` books out of `cells` cells, at most `share_max` a book; cells are filled with `blank`.
    pub(in crate::feed) fn new(books: usize, cells: usize, share_max: u32, blank: H) -> Self {
        let next = |cell: usize| if cell + 1 < cells { cell as u32 + 1 } else { NIL };
        Self {
            cells: (0..cells).map(|cell| (blank, next(cell))).collect(),
            share_max,
            free: 0,
            lists: vec![List::EMPTY; books].into_boxed_slice(),
        }
    }

    /// Appends to a book's list. False, and nothing appended, when there is no room.
    pub(in crate::feed) fn hold(&mut self, book: usize, held: H) -> bool {
        let list = &mut self.lists[book];
        if self.free == NIL || list.len == self.share_max {
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
    pub(in crate::feed) fn release(&mut self, book: usize) -> Option<H> {
        let list = &mut self.lists[book];
        let (held, next) = *self.cells.get(list.head as usize)?;
        self.cells[list.head as usize].1 = self.free;
        self.free = list.head;
        *list = if next == NIL { List::EMPTY } else { List { head: next, len: list.len - 1, ..*list } };
        Some(held)
    }

    /// Empties a book's list; how many it held.
    pub(in crate::feed) fn clear(&mut self, book: usize) -> u64 {
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

    const CELLS: usize = 2_048;
    const SHARE_MAX: u32 = 128;

    fn pending(books: usize) -> Pending<u64> {
        Pending::new(books, CELLS, SHARE_MAX, 0)
    }

    proptest! {
        #[test]
        fn lists_are_queues(actions in vec((0_usize..4, 0_u8..8), 0..2_000)) {
            let (mut pending, mut queues) = (pending(4), vec![VecDeque::new(); 4]);
            for (n, (book, action)) in (0_u64..).zip(actions) {
                match action {
                    0..=4 => {
                        let fits = queues[book].len() < SHARE_MAX as usize;
                        prop_assert_eq!(pending.hold(book, n), fits);
                        if fits {
                            queues[book].push_back(n);
                        }
                    }
                    5 | 6 => prop_assert_eq!(pending.release(book), queues[book].pop_front()),
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
            let mut pending = pending(books);
            for round in 0..3 {
                let taken: usize =
                    (0..books).map(|book| (0..=SHARE_MAX).filter(|&n| pending.hold(book, u64::from(n))).count()).sum();
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
