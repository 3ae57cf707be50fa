//! The execution window: which fills were applied already.
//!
//! A venue resends executions after a reconnect. An execution is known by its order and its number, as the order store knows
//! it: a match between two orders of ours has one number. [`ExecutionWindow`] remembers exactly the last [`WINDOW`] distinct ones, in a ring beside an open-addressing table kept at most half full. `admit` is O(1) on average, bounded by
//! the table's size at worst, and allocates nothing. A number resent after [`WINDOW`] others have passed is taken for
//! new here; the order store, which knows how much an order can still fill, is the second guard.

use crate::units::{ClientOrderId, ExecutionId};

/// Distinct executions remembered.
pub const WINDOW: usize = 4_096;

const SLOTS: usize = 2 * WINDOW;
const FREE: u16 = u16::MAX;
const _: () = assert!(WINDOW < FREE as usize && SLOTS.is_power_of_two());

type Key = (ClientOrderId, ExecutionId);

/// The last [`WINDOW`] distinct executions.
#[derive(Debug)]
pub(super) struct ExecutionWindow {
    /// In order of arrival, the oldest overwritten first.
    ring: Box<[Key]>,
    /// Positions in `ring`, found by hash and linear probing.
    slots: Box<[u16]>,
    next: usize,
    len: usize,
}

impl ExecutionWindow {
    pub(super) fn new() -> Self {
        Self {
            ring: vec![(ClientOrderId(0), ExecutionId(0)); WINDOW].into_boxed_slice(),
            slots: vec![FREE; SLOTS].into_boxed_slice(),
            next: 0,
            len: 0,
        }
    }

    /// Remembers an execution. False when it was there already.
    pub(super) fn admit(&mut self, order: ClientOrderId, execution: ExecutionId) -> bool {
        let key = (order, execution);
        if self.slots[self.probe(key)] != FREE {
            return false;
        }
        if self.len == WINDOW {
            self.forget(self.ring[self.next]);
        } else {
            self.len += 1;
        }
        // Forgetting moves entries: probe again.
        let slot = self.probe(key);
        self.ring[self.next] = key;
        self.slots[slot] = self.next as u16;
        self.next = (self.next + 1) % WINDOW;
        true
    }

    /// The slot that holds an execution, or the free one where it belongs.
    fn probe(&self, key: Key) -> usize {
        let mut slot = home(key);
        while self.slots[slot] != FREE && self.ring[usize::from(self.slots[slot])] != key {
            slot = (slot + 1) % SLOTS;
        }
        slot
    }

    /// Empties the slot of an execution and closes the gap, so that no later entry of its run becomes unreachable.
    fn forget(&mut self, key: Key) {
        let mut hole = self.probe(key);
        let mut slot = hole;
        loop {
            slot = (slot + 1) % SLOTS;
            let entry = self.slots[slot];
            if entry == FREE {
                break;
            }
            let from_home = (slot + SLOTS - home(self.ring[usize::from(entry)])) % SLOTS;
            let from_hole = (slot + SLOTS - hole) % SLOTS;
            if from_home >= from_hole {
                self.slots[hole] = entry;
                hole = slot;
            }
        }
        self.slots[hole] = FREE;
    }
}

/// Fibonacci hashing: the golden ratio spreads consecutive numbers.
fn home((order, execution): Key) -> usize {
    let id = order.0.rotate_left(32) ^ execution.0;
    (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOTS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const ORDER: ClientOrderId = ClientOrderId(1);

    #[test]
    fn the_window_forgets_the_oldest_and_only_the_oldest() {
        let mut window = ExecutionWindow::new();
        for id in 0..=WINDOW as u64 {
            assert!(window.admit(ORDER, ExecutionId(id)));
        }
        assert!(!window.admit(ORDER, ExecutionId(1)));
        assert!(!window.admit(ORDER, ExecutionId(WINDOW as u64)));
        assert!(window.admit(ORDER, ExecutionId(0)));
        assert!(window.admit(ORDER, ExecutionId(1)), "pushed out by the return of 0");
    }

    #[test]
    fn two_orders_may_share_a_match() {
        let mut window = ExecutionWindow::new();
        assert!(window.admit(ORDER, ExecutionId(9)) && window.admit(ClientOrderId(2), ExecutionId(9)));
        assert!(!window.admit(ORDER, ExecutionId(9)) && !window.admit(ClientOrderId(2), ExecutionId(9)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn equals_a_plain_queue(seed in any::<u64>(), spread in 1u64..20_000) {
            let (mut window, mut plain) = (ExecutionWindow::new(), VecDeque::new());
            let mut state = seed;
            for _ in 0..12_000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let id = (state >> 33) % spread;
                let fresh = !plain.contains(&id);
                if fresh {
                    plain.push_back(id);
                    if plain.len() > WINDOW {
                        plain.pop_front();
                    }
                }
                prop_assert_eq!(window.admit(ClientOrderId(id % 7), ExecutionId(id)), fresh);
            }
        }
    }
}
