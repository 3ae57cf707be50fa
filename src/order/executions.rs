//! Which fills were applied already.

use super::index::Index;
use crate::units::{ClientOrderId, ExecutionId};

/// Fills remembered over all orders. A fill told again after this many others is not known by its number; the quantity of
/// its order is then what it is held against.
pub const EXECUTIONS_REMEMBERED: usize = 4_096;

type Key = (ClientOrderId, ExecutionId);

/// The last [`EXECUTIONS_REMEMBERED`] fills, by order and number: a match between two orders of ours has one number.
#[derive(Debug)]
pub(super) struct Executions {
    ring: Box<[Key]>,
    index: Index,
    /// Fills taken since construction.
    taken: usize,
}

impl Executions {
    pub(super) fn new() -> Self {
        Self {
            ring: vec![(ClientOrderId(0), ExecutionId(0)); EXECUTIONS_REMEMBERED].into_boxed_slice(),
            index: Index::new(EXECUTIONS_REMEMBERED),
            taken: 0,
        }
    }

    #[inline]
    pub(super) fn contains(&self, order: ClientOrderId, execution: ExecutionId) -> bool {
        let key = (order, execution);
        self.index.find(hash(key), |position| self.ring[usize::from(position)] == key).is_some()
    }

    /// Remembers a fill that is not contained, and forgets the oldest.
    #[inline]
    pub(super) fn take(&mut self, order: ClientOrderId, execution: ExecutionId) {
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
    use std::collections::VecDeque;

    #[test]
    fn exactly_the_last_ones_are_remembered() {
        let mut executions = Executions::new();
        let mut model = VecDeque::new();
        for n in 0..3 * EXECUTIONS_REMEMBERED as u64 {
            let (order, execution) = (ClientOrderId(n / 3), ExecutionId(n * 7 % 1_000));
            if !executions.contains(order, execution) {
                executions.take(order, execution);
                model.push_back((order, execution));
            }
            if model.len() > EXECUTIONS_REMEMBERED {
                let (order, execution) = model.pop_front().expect("not empty");
                assert!(!executions.contains(order, execution), "{n}");
            }
        }
        assert!(model.iter().all(|(order, execution)| executions.contains(*order, *execution)));
    }

    #[test]
    fn two_orders_may_share_a_match() {
        let mut executions = Executions::new();
        executions.take(ClientOrderId(1), ExecutionId(9));
        assert!(!executions.contains(ClientOrderId(2), ExecutionId(9)));
    }
}
