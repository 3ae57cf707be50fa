//! Numbers for orders, unique across restarts without a file to remember them in.
//!
//! ```text
//!   63  62                              31 30                               0
//!  +---+----------------------------------+----------------------------------+
//!  | 0 | second at which the process began| counter                          |
//!  +---+----------------------------------+----------------------------------+
//! ```
//!
//! A process that counts beyond 2^31 carries into the seconds, which are then long past: it would have to number 2^31
//! orders a second to meet its successor. Positive as an `i64` until the year 2106. Two processes of one account must not
//! begin in the same second.

use crate::units::ClientOrderId;

const COUNTER_BITS: u32 = 31;

/// The numbers of one process, ascending.
#[derive(Clone, Debug)]
pub struct ClientOrderIds {
    next: u64,
}

impl ClientOrderIds {
    /// The numbers of a process that began at `started_s` seconds since the epoch. The first is not zero.
    pub const fn new(started_s: u32) -> Self {
        Self { next: (started_s as u64) << COUNTER_BITS | 1 }
    }

    /// The second at which the process began that gave a number.
    pub const fn began_s(order: ClientOrderId) -> u64 {
        order.0 >> COUNTER_BITS
    }

    /// A number never given before.
    #[allow(clippy::should_implement_trait, reason = "an iterator would promise an end that never comes")]
    pub const fn next(&mut self) -> ClientOrderId {
        let id = ClientOrderId(self.next);
        self.next += 1;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_and_a_later_process_begins_above_them() {
        let mut ids = ClientOrderIds::new(1_800_000_000);
        let (first, second) = (ids.next(), ids.next());
        assert!(first < second);
        assert!(second < ClientOrderIds::new(1_800_000_001).next());
    }

    #[test]
    fn a_counter_that_runs_over_repeats_nothing() {
        let mut ids = ClientOrderIds { next: (7 << COUNTER_BITS) + (1 << COUNTER_BITS) - 1 };
        let (last, beyond) = (ids.next(), ids.next());
        assert_eq!(beyond.0, last.0 + 1);
        assert!(beyond < ClientOrderIds::new(9).next());
    }

    #[test]
    fn every_number_fits_the_wire() {
        assert!(i64::try_from(ClientOrderIds::new(u32::MAX).next().0).is_ok());
        assert_ne!(ClientOrderIds::new(0).next(), ClientOrderId(0));
    }
}
