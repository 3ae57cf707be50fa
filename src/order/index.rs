//! An open-addressed index into a table kept elsewhere.
//!
//! Slots hold positions of that table; the caller says what an entry's hash is and whether it is the one sought. Linear
//! probing over a power of two kept at most a quarter full, removal by shifting back, so that runs stay short and no
//! tombstone lingers. No more than [`PROBES_MAX`] slots are looked at; an entry that would lie further off is refused.

use crate::table::table;

const FREE: u16 = u16::MAX;
/// Slots looked at in one lookup.
pub(super) const PROBES_MAX: usize = 64;

/// For a table of a quarter as many entries.
#[derive(Debug)]
pub(super) struct Index<const SLOTS: usize> {
    slots: Box<[u16; SLOTS]>,
}

/// The entry's run is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooFar;

impl<const SLOTS: usize> Index<SLOTS> {
    /// Holds nothing.
    pub(super) fn new() -> Self {
        const { assert!(SLOTS.is_power_of_two() && SLOTS / 4 < FREE as usize, "positions are u16") };
        Self { slots: table(FREE) }
    }

    /// The position that `is_it`.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u16) -> bool) -> Option<u16> {
        let mut slot = self.home(hash);
        for _ in 0..PROBES_MAX {
            match self.slots[slot] {
                FREE => return None,
                position if is_it(position) => return Some(position),
                _ => slot = self.after(slot),
            }
        }
        None
    }

    /// Adds a position that is not there yet.
    #[inline(always)]
    pub(super) fn insert(&mut self, hash: u64, position: u16) -> Result<(), TooFar> {
        let mut slot = self.home(hash);
        for _ in 0..PROBES_MAX {
            if self.slots[slot] == FREE {
                self.slots[slot] = position;
                return Ok(());
            }
            slot = self.after(slot);
        }
        Err(TooFar)
    }

    /// Removes a position. Later entries of its run move up, each only as far as its own home allows.
    pub(super) fn remove(&mut self, hash: u64, position: u16, hash_of: impl Fn(u16) -> u64) {
        let mut hole = self.home(hash);
        let mut probes = 0;
        while self.slots[hole] != position {
            probes += 1;
            if self.slots[hole] == FREE || probes == PROBES_MAX {
                return;
            }
            hole = self.after(hole);
        }
        let mask = SLOTS - 1;
        let mut slot = self.after(hole);
        // Ends at a free slot, of which three in four are.
        while self.slots[slot] != FREE {
            let home = self.home(hash_of(self.slots[slot]));
            let distance = slot.wrapping_sub(home) & mask;
            if distance >= slot.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[slot];
                hole = slot;
            }
            slot = self.after(slot);
        }
        self.slots[hole] = FREE;
    }

    fn home(&self, hash: u64) -> usize {
        // Fibonacci hashing: the high bits of a product with 2^64/φ.
        (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - SLOTS.trailing_zeros())) as usize
    }

    fn after(&self, slot: usize) -> usize {
        (slot + 1) & (SLOTS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_behaves_like_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..24), 1..200), coarse: bool) {
            // Coarse hashes put many keys into one run.
            let hash = |key: u64| if coarse { key / 8 } else { key };
            let mut keys = [0u64; 16];
            let mut free: Vec<u16> = (0..16).collect();
            let (mut index, mut model) = (Index::<64>::new(), BTreeMap::new());
            for (insert, key) in steps {
                prop_assert_eq!(index.find(hash(key), |p| keys[p as usize] == key), model.get(&key).copied());
                match model.get(&key) {
                    None if insert => if let Some(position) = free.pop() {
                        keys[position as usize] = key;
                        prop_assert_eq!(index.insert(hash(key), position), Ok(()));
                        model.insert(key, position);
                    },
                    Some(position) if !insert => {
                        index.remove(hash(key), *position, |p| hash(keys[p as usize]));
                        free.push(*position);
                        model.remove(&key);
                    }
                    _ => {}
                }
                for key in 0..24 {
                    prop_assert_eq!(index.find(hash(key), |p| keys[p as usize] == key), model.get(&key).copied());
                }
            }
        }
    }

    #[test]
    fn removing_what_is_not_there_changes_nothing() {
        let mut index = Index::<512>::new();
        for position in 0..3 {
            assert_eq!(index.insert(1, position), Ok(()));
        }
        index.remove(1, 9, |_| 1);
        assert!((0..3).all(|position| index.find(1, |p| p == position) == Some(position)));
    }

    #[test]
    fn a_run_beyond_the_bound_is_refused() {
        let mut index = Index::<512>::new();
        for position in 0..PROBES_MAX as u16 {
            assert_eq!(index.insert(1, position), Ok(()));
        }
        assert_eq!(index.insert(1, 100), Err(TooFar));
        assert_eq!(index.find(1, |p| p == 100), None);
    }
}
