//! Which fills were applied already.
//!
//! A venue tells its executions again after a reconnect. The order store and the greeks each keep such a table, because
//! each has a position of its own: what the one takes for new, so does the other. A lookup is a few steps, at most as many
//! as the index allows.

use super::index::Index;
use crate::table::table;
use crate::units::{ClientOrderId, ExecutionId};

/// Fills remembered over all orders. A fill told again after this many others is not known by its number; the quantity of
/// its order is then what it is held against.
pub const EXECUTIONS_REMEMBERED: usize = 4_096;

type Key = (ClientOrderId, ExecutionId);

/// The last [`EXECUTIONS_REMEMBERED`] fills, by order and number: a match between two orders of ours has one number.
#[derive(Debug)]
pub struct Executions {
    /// In order of arrival, the oldest overwritten first.
    ring: Box<[Key; EXECUTIONS_REMEMBERED]>,
    index: Index<{ 4 * EXECUTIONS_REMEMBERED }>,
    /// Fills taken since construction.
    taken: usize,
}

impl Default for Executions {
    fn default() -> Self {
        Self::new()
    }
}

impl Executions {
    /// None taken. Allocates all it will ever use.
    pub fn new() -> Self {
        Self { ring: table((ClientOrderId(0), ExecutionId(0))), index: Index::new(), taken: 0 }
    }

    /// Whether a fill was taken, and is remembered.
    #[inline]
    pub fn contains(&self, order: ClientOrderId, execution: ExecutionId) -> bool {
        let key = (order, execution);
        self.index.find(hash(key), |position| self.ring[usize::from(position)] == key).is_some()
    }

    /// Remembers a fill and forgets the oldest. False when it is remembered already.
    #[inline]
    pub fn take(&mut self, order: ClientOrderId, execution: ExecutionId) -> bool {
        let is_new = !self.contains(order, execution);
        if is_new {
            self.remember(order, execution);
        }
        is_new
    }

    /// Remembers a fill that is not contained, and forgets the oldest.
    #[inline]
    pub(super) fn remember(&mut self, order: ClientOrderId, execution: ExecutionId) {
        let position = self.taken % EXECUTIONS_REMEMBERED;
        if self.taken >= EXECUTIONS_REMEMBERED {
            let ring = &self.ring;
            self.index.remove(hash(ring[position]), position as u16, |p| hash(ring[usize::from(p)]));
        }
        self.taken += 1;
        let key = (order, execution);
        self.ring[position] = key;
        // A fill whose run is full is applied and not remembered, like one long past.
        let _ = self.index.insert(hash(key), position as u16);
    }
}

fn hash((order, execution): Key) -> u64 {
    order.0.rotate_left(32) ^ execution.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const ORDER: ClientOrderId = ClientOrderId(1);

    #[test]
    fn what_is_forgotten_leaves_its_room() {
        let mut executions = Executions::new();
        let many = 8 * EXECUTIONS_REMEMBERED as u64;
        for id in 0..many {
            assert!(executions.take(ORDER, ExecutionId(id)));
        }
        let last = many - EXECUTIONS_REMEMBERED as u64..many;
        assert!(last.clone().all(|id| executions.contains(ORDER, ExecutionId(id))));
        assert!(!executions.contains(ORDER, ExecutionId(last.start - 1)));
    }

    #[test]
    fn the_oldest_is_forgotten_and_only_the_oldest() {
        let mut executions = Executions::new();
        for id in 0..=EXECUTIONS_REMEMBERED as u64 {
            assert!(executions.take(ORDER, ExecutionId(id)));
        }
        assert!(!executions.take(ORDER, ExecutionId(1)));
        assert!(!executions.take(ORDER, ExecutionId(EXECUTIONS_REMEMBERED as u64)));
        assert!(executions.take(ORDER, ExecutionId(0)));
        assert!(executions.take(ORDER, ExecutionId(1)), "pushed out by the return of 0");
    }

    #[test]
    fn two_orders_may_share_a_match() {
        let mut executions = Executions::new();
        assert!(executions.take(ORDER, ExecutionId(9)) && executions.take(ClientOrderId(2), ExecutionId(9)));
        assert!(!executions.take(ORDER, ExecutionId(9)) && executions.contains(ClientOrderId(2), ExecutionId(9)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn it_equals_a_plain_queue(seed in any::<u64>(), spread in 1u64..20_000) {
            let (mut executions, mut plain) = (Executions::new(), VecDeque::new());
            let mut state = seed;
            for _ in 0..12_000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let id = (state >> 33) % spread;
                let key = (ClientOrderId(id % 7), ExecutionId(id));
                let is_new = !plain.contains(&id);
                prop_assert_eq!(executions.contains(key.0, key.1), !is_new);
                prop_assert_eq!(executions.take(key.0, key.1), is_new);
                if is_new {
                    plain.push_back(id);
                    if plain.len() > EXECUTIONS_REMEMBERED {
                        plain.pop_front();
                    }
                }
            }
        }
    }
}
