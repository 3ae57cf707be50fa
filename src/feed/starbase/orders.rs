//! Market-by-order books: every order by its number, each price level as a queue in the order of execution.
//!
//! Puts, reductions and deletions enter; best levels, queues and the quantity ahead of an order leave. The place of an
//! order in its queue is its sort number, never its time of arrival: orders that were delayed by a speed bump arrive after
//! others that execute later.
//!
//! ```text
//!  number ──► index ──► order ◄──► order ◄──► order      a level's queue, smallest sort number first
//!                         ▲                      ▲
//!  ladder of a side: … level level level(best)   level: rank, quantity, head, tail
//! ```
//!
//! **Capacity.** Fixed at construction, nothing grows. A side that is full gives up its worst level with its orders and
//! remembers it as its *horizon*: what happens at or beyond it is passed over, levels better than it are complete. A side
//! whose known levels run out while it has a horizon is [`Fault::Exhausted`].
//!
//! **Cost.** A probe of the index, a search for the level (eight comparisons from the top, then by halves) and, for a put,
//! a walk from the queue's end past the orders that execute later: none unless orders arrive out of turn.

use crate::feed::book::{Fault, Level};
use crate::units::{Price, Quantity, Side};

/// Levels looked at one by one from the top before a search by halves.
const SCAN: usize = 8;
/// No order.
const NIL: u32 = u32::MAX;

/// An order as the venue tells of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resting {
    /// The venue's number.
    pub id: i64,
    /// Its price.
    pub price: Price,
    /// What is visible of it.
    pub quantity: Quantity,
    /// Its place in the queue: smaller executes first.
    pub sort: i64,
}

#[derive(Clone, Copy, Debug)]
struct Order {
    id: i64,
    sort: i64,
    rank: i64,
    quantity: Quantity,
    next: u32,
    prev: u32,
    book: u16,
    side: Side,
}

/// A level: `rank` is the price for bids and its negative for asks, so more is better on both sides.
#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    rank: i64,
    quantity: i64,
    head: u32,
    tail: u32,
}

/// One side's share of the arena.
#[derive(Clone, Copy, Debug)]
struct Ladder {
    start: u32,
    capacity: u32,
    len: u32,
    orders: u32,
    /// Ranks up to here are not known; `i64::MIN` when all are.
    horizon: i64,
}

impl Ladder {
    const ABSENT: Self = Self { start: 0, capacity: 0, len: 0, orders: 0, horizon: i64::MIN };
}

/// All books, by index.
#[derive(Debug)]
pub struct OrderBooks {
    orders: Box<[Order]>,
    free: u32,
    index: Index,
    arena: Box<[Queue]>,
    used: usize,
    ladders: Box<[[Ladder; 2]]>,
    overflows: u64,
}

impl OrderBooks {
    /// Room for `books` books of `levels` levels and `orders` orders in total.
    pub fn new(books: usize, levels: usize, orders: usize) -> Self {
        assert!(u32::try_from(levels).is_ok() && orders < NIL as usize, "capacity beyond u32");
        let blank = |at: usize| Order {
            id: 0,
            sort: 0,
            rank: 0,
            quantity: Quantity(0),
            next: if at + 1 < orders { at as u32 + 1 } else { NIL },
            prev: NIL,
            book: 0,
            side: Side::Buy,
        };
        Self {
            orders: (0..orders).map(blank).collect(),
            free: if orders > 0 { 0 } else { NIL },
            index: Index::new(orders),
            arena: vec![Queue::default(); levels].into_boxed_slice(),
            used: 0,
            ladders: vec![[Ladder::ABSENT; 2]; books].into_boxed_slice(),
            overflows: 0,
        }
    }

    /// Gives book `book` two sides of `depth` levels. False, and nothing given, when the arena is used up.
    pub fn open(&mut self, book: usize, depth: usize) -> bool {
        if self.arena.len() - self.used < 2 * depth {
            return false;
        }
        for ladder in &mut self.ladders[book] {
            *ladder = Ladder { start: self.used as u32, capacity: depth as u32, ..Ladder::ABSENT };
            self.used += depth;
        }
        true
    }

    /// Levels given up because a side was full.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Enters an order, or moves it to another place.
    #[inline]
    pub fn put(&mut self, book: usize, side: Side, order: &Resting) -> Result<(), Fault> {
        let slot = self.index.find(order.id, &self.orders);
        let rank = side.sign().wrapping_mul(order.price.0);
        if slot != NIL {
            let known = &self.orders[slot as usize];
            if usize::from(known.book) != book || known.side != side {
                return Err(Fault::Inconsistent);
            }
            if (known.rank, known.sort) == (rank, order.sort) {
                self.set_quantity(slot, order.quantity);
                return Ok(());
            }
            self.remove(slot);
        }
        let ladder = &self.ladders[book][side as usize];
        if rank <= ladder.horizon || ladder.capacity == 0 {
            return Ok(());
        }
        if self.free == NIL {
            return Err(Fault::Exhausted);
        }
        let at = match self.position(book, side, rank) {
            (at, true) => at,
            (at, false) => match self.make_level(book, side, rank, at) {
                Some(at) => at,
                None => return Ok(()),
            },
        };
        let slot = self.free;
        self.free = self.orders[slot as usize].next;
        self.orders[slot as usize] = Order {
            id: order.id,
            sort: order.sort,
            rank,
            quantity: order.quantity,
            next: NIL,
            prev: NIL,
            book: book as u16,
            side,
        };
        self.index.insert(slot, &self.orders);
        self.ladders[book][side as usize].orders += 1;
        self.enqueue(at, slot);
        Ok(())
    }

    /// Leaves so much of an order, in its place.
    #[inline]
    pub fn reduce(&mut self, book: usize, side: Side, id: i64, quantity: Quantity) -> Result<(), Fault> {
        if let Some(slot) = self.known(book, side, id)? {
            if quantity > self.orders[slot as usize].quantity {
                return Err(Fault::Inconsistent);
            }
            self.set_quantity(slot, quantity);
        }
        Ok(())
    }

    /// Takes an order out.
    #[inline]
    pub fn delete(&mut self, book: usize, side: Side, id: i64) -> Result<(), Fault> {
        if let Some(slot) = self.known(book, side, id)? {
            self.remove(slot);
        }
        Ok(())
    }

    /// The best level of a side.
    #[inline]
    pub fn best(&self, book: usize, side: Side) -> Result<Option<Level>, Fault> {
        match self.queues(book, side).last() {
            Some(best) => Ok(Some(level(side, best))),
            None if self.ladders[book][side as usize].horizon != i64::MIN => Err(Fault::Exhausted),
            None => Ok(None),
        }
    }

    /// The levels of a side, best first.
    pub fn levels(&self, book: usize, side: Side) -> impl Iterator<Item = Level> {
        self.queues(book, side).iter().rev().map(move |queue| level(side, queue))
    }

    /// The orders of a side in the order in which they execute.
    pub fn orders(&self, book: usize, side: Side) -> impl Iterator<Item = Resting> {
        let heads = self.queues(book, side).iter().rev().map(|queue| queue.head);
        heads.flat_map(move |head| self.walk(head)).map(move |order| resting(side, order))
    }

    /// What executes before an order at its own price; `None` when it is not known.
    pub fn ahead_of(&self, id: i64) -> Option<Quantity> {
        let slot = self.index.find(id, &self.orders);
        let order = self.orders.get(slot as usize)?;
        let (at, found) = self.position(usize::from(order.book), order.side, order.rank);
        let queue = found.then(|| self.arena[at])?;
        let before = self.walk(queue.head).take_while(|other| other.id != id);
        Some(Quantity(before.fold(0, |sum, other| sum.saturating_add(other.quantity.0))))
    }

    /// Empties a book; how many orders it held.
    pub fn clear(&mut self, book: usize) -> u64 {
        let mut cleared = 0;
        for side in [Side::Buy, Side::Sell] {
            while let Some(worst) = self.queues(book, side).last() {
                let slot = worst.head;
                self.remove(slot);
                cleared += 1;
            }
            self.ladders[book][side as usize].horizon = i64::MIN;
        }
        cleared
    }

    /// Whether a book holds these orders, as far as it sees, and no others.
    pub fn agrees(&self, book: usize, orders: impl Iterator<Item = (Side, Resting)>) -> bool {
        let mut seen = [0; 2];
        for (side, order) in orders {
            let rank = side.sign().wrapping_mul(order.price.0);
            if rank <= self.ladders[book][side as usize].horizon {
                continue;
            }
            let slot = self.index.find(order.id, &self.orders);
            let Some(known) = self.orders.get(slot as usize) else { return false };
            if usize::from(known.book) != book || known.side != side || resting(side, known) != order {
                return false;
            }
            seen[side as usize] += 1;
        }
        [Side::Buy, Side::Sell].map(|side| self.ladders[book][side as usize].orders) == seen
    }

    fn queues(&self, book: usize, side: Side) -> &[Queue] {
        let ladder = &self.ladders[book][side as usize];
        &self.arena[ladder.start as usize..(ladder.start + ladder.len) as usize]
    }

    /// The orders from one on. A queue has no more orders than there are.
    fn walk(&self, head: u32) -> impl Iterator<Item = &Order> {
        let first = self.orders.get(head as usize);
        std::iter::successors(first, |order| self.orders.get(order.next as usize)).take(self.orders.len())
    }

    /// The slot of an order; `None` for one that may lie beyond the horizon.
    #[inline]
    fn known(&self, book: usize, side: Side, id: i64) -> Result<Option<u32>, Fault> {
        let slot = self.index.find(id, &self.orders);
        if slot == NIL {
            let is_cut = self.ladders[book][side as usize].horizon != i64::MIN;
            return if is_cut { Ok(None) } else { Err(Fault::Inconsistent) };
        }
        let order = &self.orders[slot as usize];
        if usize::from(order.book) == book && order.side == side { Ok(Some(slot)) } else { Err(Fault::Inconsistent) }
    }

    /// Where in the arena the level of `rank` is, or where it would be inserted.
    #[inline]
    fn position(&self, book: usize, side: Side, rank: i64) -> (usize, bool) {
        let start = self.ladders[book][side as usize].start as usize;
        let queues = self.queues(book, side);
        let mut at = queues.len();
        for _ in 0..SCAN {
            match at.checked_sub(1).map(|below| queues[below].rank) {
                Some(below) if below > rank => at -= 1,
                Some(below) if below == rank => return (start + at - 1, true),
                _ => return (start + at, false),
            }
        }
        match queues[..at].binary_search_by_key(&rank, |queue| queue.rank) {
            Ok(at) => (start + at, true),
            Err(at) => (start + at, false),
        }
    }

    /// Makes an empty level at `at`; `None` when it is the one given up.
    fn make_level(&mut self, book: usize, side: Side, rank: i64, mut at: usize) -> Option<usize> {
        let ladder = self.ladders[book][side as usize];
        let start = ladder.start as usize;
        if ladder.len == ladder.capacity {
            self.overflows += 1;
            if at == start {
                self.ladders[book][side as usize].horizon = rank;
                return None;
            }
            let worst = self.arena[start];
            self.ladders[book][side as usize].horizon = worst.rank;
            let mut slot = worst.head;
            // The last one removed takes its level with it.
            while slot != NIL {
                let next = self.orders[slot as usize].next;
                self.remove(slot);
                slot = next;
            }
            at -= 1;
        }
        let ladder = &mut self.ladders[book][side as usize];
        let end = start + ladder.len as usize;
        ladder.len += 1;
        self.arena.copy_within(at..end, at + 1);
        self.arena[at] = Queue { rank, quantity: 0, head: NIL, tail: NIL };
        Some(at)
    }

    /// Puts an order into the queue at `at` by its sort number.
    #[inline]
    fn enqueue(&mut self, at: usize, slot: u32) {
        let Order { sort, quantity, .. } = self.orders[slot as usize];
        let mut before = self.arena[at].tail;
        while before != NIL && self.orders[before as usize].sort > sort {
            before = self.orders[before as usize].prev;
        }
        let after = match before {
            NIL => std::mem::replace(&mut self.arena[at].head, slot),
            before => std::mem::replace(&mut self.orders[before as usize].next, slot),
        };
        match after {
            NIL => self.arena[at].tail = slot,
            after => self.orders[after as usize].prev = slot,
        }
        let order = &mut self.orders[slot as usize];
        (order.prev, order.next) = (before, after);
        let queue = &mut self.arena[at];
        queue.quantity = queue.quantity.saturating_add(quantity.0);
    }

    fn set_quantity(&mut self, slot: u32, quantity: Quantity) {
        let Order { book, side, rank, quantity: before, .. } = self.orders[slot as usize];
        self.orders[slot as usize].quantity = quantity;
        if let (at, true) = self.position(usize::from(book), side, rank) {
            let queue = &mut self.arena[at];
            queue.quantity = queue.quantity.saturating_sub(before.0).saturating_add(quantity.0);
        }
    }

    /// Takes an order out of its queue, the queue with its last order, and gives the slot back.
    #[inline]
    fn remove(&mut self, slot: u32) {
        let Order { book, side, rank, quantity, prev, next, .. } = self.orders[slot as usize];
        let book = usize::from(book);
        self.index.remove(slot, &self.orders);
        if let (at, true) = self.position(book, side, rank) {
            match prev {
                NIL => self.arena[at].head = next,
                prev => self.orders[prev as usize].next = next,
            }
            match next {
                NIL => self.arena[at].tail = prev,
                next => self.orders[next as usize].prev = prev,
            }
            self.arena[at].quantity = self.arena[at].quantity.saturating_sub(quantity.0);
            let ladder = &mut self.ladders[book][side as usize];
            ladder.orders -= 1;
            if self.arena[at].head == NIL {
                let end = (ladder.start + ladder.len) as usize;
                ladder.len -= 1;
                self.arena.copy_within(at + 1..end, at);
            }
        }
        self.orders[slot as usize].next = self.free;
        self.free = slot;
    }
}

fn level(side: Side, queue: &Queue) -> Level {
    Level { price: Price(side.sign().wrapping_mul(queue.rank)), amount: Quantity(queue.quantity) }
}

fn resting(side: Side, order: &Order) -> Resting {
    let price = Price(side.sign().wrapping_mul(order.rank));
    Resting { id: order.id, price, quantity: order.quantity, sort: order.sort }
}

/// Order numbers to slots: open addressing at a load of a half at most, closed up on removal so that probes stay short.
#[derive(Debug)]
struct Index {
    slots: Box<[u32]>,
    shift: u32,
}

impl Index {
    fn new(orders: usize) -> Self {
        let slots = (2 * orders).next_power_of_two().max(2);
        Self { slots: vec![NIL; slots].into_boxed_slice(), shift: 64 - slots.trailing_zeros() }
    }

    /// Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4).
    #[inline]
    fn home(&self, id: i64) -> usize {
        ((id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize
    }

    #[inline]
    fn find(&self, id: i64, orders: &[Order]) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = self.home(id);
        // At half load there is a free slot.
        loop {
            let slot = self.slots[at];
            if slot == NIL || orders[slot as usize].id == id {
                return slot;
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, slot: u32, orders: &[Order]) {
        let mask = self.slots.len() - 1;
        let mut at = self.home(orders[slot as usize].id);
        while self.slots[at] != NIL {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    fn remove(&mut self, slot: u32, orders: &[Order]) {
        let mask = self.slots.len() - 1;
        let mut hole = self.home(orders[slot as usize].id);
        while self.slots[hole] != slot {
            if self.slots[hole] == NIL {
                return;
            }
            hole = (hole + 1) & mask;
        }
        self.slots[hole] = NIL;
        let mut at = (hole + 1) & mask;
        while self.slots[at] != NIL {
            let home = self.home(orders[self.slots[at] as usize].id);
            // What may not stand after the hole moves into it.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.slots[hole] = std::mem::replace(&mut self.slots[at], NIL);
                hole = at;
            }
            at = (at + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The naive book: every order, by number, and by place.
    #[derive(Default)]
    struct Oracle(BTreeMap<i64, (Side, Resting)>);

    impl Oracle {
        fn orders(&self, side: Side) -> Vec<Resting> {
            let mut orders: Vec<Resting> = self.0.values().filter(|(s, _)| *s == side).map(|(_, o)| *o).collect();
            orders.sort_by_key(|order| (-side.sign() * order.price.0, order.sort));
            orders
        }

        fn levels(&self, side: Side) -> Vec<(i64, i64)> {
            let orders = self.orders(side);
            let levels = orders.chunk_by(|a, b| a.price == b.price);
            levels.map(|level| (level[0].price.0, level.iter().map(|order| order.quantity.0).sum())).collect()
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Action {
        Put(i64, Side, i64, i64, i64),
        Reduce(i64, i64),
        Delete(i64),
    }

    fn any_action() -> impl Strategy<Value = Action> {
        let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
        prop_oneof![
            4 => (0_i64..60, side, 1_i64..20, 1_i64..9, 0_i64..1_000)
                .prop_map(|(id, side, price, quantity, sort)| Action::Put(id, side, price, quantity, 1_000 * sort + id)),
            2 => (0_i64..60, 1_i64..9).prop_map(|(id, quantity)| Action::Reduce(id, quantity)),
            2 => (0_i64..60).prop_map(Action::Delete),
        ]
    }

    /// Applies an action to both; whether it was consistent.
    fn apply(books: &mut OrderBooks, oracle: &mut Oracle, action: Action) -> (bool, bool) {
        match action {
            Action::Put(id, side, price, quantity, sort) => {
                let order = Resting { id, price: Price(price), quantity: Quantity(quantity), sort };
                let fits = oracle.0.get(&id).is_none_or(|(known, _)| *known == side);
                if fits {
                    oracle.0.insert(id, (side, order));
                }
                (books.put(0, side, &order).is_ok(), fits)
            }
            Action::Reduce(id, quantity) => {
                let side = oracle.0.get(&id).map_or(Side::Buy, |(side, _)| *side);
                let fits = oracle.0.get(&id).is_some_and(|(_, order)| order.quantity.0 >= quantity);
                if let (true, Some((_, order))) = (fits, oracle.0.get_mut(&id)) {
                    order.quantity = Quantity(quantity);
                }
                (books.reduce(0, side, id, Quantity(quantity)).is_ok(), fits)
            }
            Action::Delete(id) => {
                let known = oracle.0.remove(&id);
                (books.delete(0, known.map_or(Side::Buy, |(side, _)| side), id).is_ok(), known.is_some())
            }
        }
    }

    proptest! {
        #[test]
        fn a_book_with_room_is_the_naive_book(actions in vec(any_action(), 0..400)) {
            let (mut books, mut oracle) = (OrderBooks::new(2, 80, 64), Oracle::default());
            assert!(books.open(0, 20) && books.open(1, 20));
            for action in actions {
                let (taken, fits) = apply(&mut books, &mut oracle, action);
                prop_assert_eq!(taken, fits, "{:?}", action);
                for side in [Side::Buy, Side::Sell] {
                    let kept: Vec<_> = books.orders(0, side).collect();
                    prop_assert_eq!(&kept, &oracle.orders(side));
                    let levels: Vec<_> = books.levels(0, side).map(|l| (l.price.0, l.amount.0)).collect();
                    prop_assert_eq!(levels, oracle.levels(side));
                }
            }
            for (&id, &(side, order)) in &oracle.0 {
                let ahead: i64 = oracle.orders(side).iter()
                    .filter(|other| other.price == order.price && other.sort < order.sort)
                    .map(|other| other.quantity.0).sum();
                prop_assert_eq!(books.ahead_of(id), Some(Quantity(ahead)));
            }
            prop_assert!(books.agrees(0, oracle.0.values().copied()));
            if let Some((id, _)) = oracle.0.pop_first() {
                prop_assert!(!books.agrees(0, oracle.0.values().copied()), "order {id} is one too many");
            }
            let orders = books.orders(0, Side::Buy).count() + books.orders(0, Side::Sell).count();
            prop_assert_eq!(books.clear(0), orders as u64);
            prop_assert!(books.agrees(0, std::iter::empty()));
        }

        #[test]
        fn a_book_without_room_still_knows_its_best_levels(
            depth in 1_usize..5,
            actions in vec(any_action(), 0..400),
        ) {
            let (mut books, mut oracle) = (OrderBooks::new(1, 2 * depth, 64), Oracle::default());
            assert!(books.open(0, depth));
            for action in actions {
                // An order that was given up cannot be told from one that never was: only what a venue would send.
                let is_sensible = match action {
                    Action::Put(id, side, ..) => oracle.0.get(&id).is_none_or(|(known, _)| *known == side),
                    Action::Reduce(id, quantity) => oracle.0.get(&id).is_some_and(|(_, o)| o.quantity.0 >= quantity),
                    Action::Delete(id) => oracle.0.contains_key(&id),
                };
                if !is_sensible {
                    continue;
                }
                prop_assert_eq!(apply(&mut books, &mut oracle, action), (true, true), "{:?}", action);
                for side in [Side::Buy, Side::Sell] {
                    let horizon = books.ladders[0][side as usize].horizon;
                    let levels: Vec<_> = books.levels(0, side).map(|l| (l.price.0, l.amount.0)).collect();
                    let seen: Vec<_> = oracle.levels(side).into_iter()
                        .filter(|(price, _)| side.sign() * price > horizon).collect();
                    prop_assert_eq!(levels, seen, "complete up to the horizon");
                }
            }
        }
    }
}
