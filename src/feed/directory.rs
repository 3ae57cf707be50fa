//! Numbers of the venue to dense indices: an open-addressed table that is filled once and never shrinks.
//!
//! A lookup touches one to [`PROBES_MAX`] neighbouring slots of 8 bytes; at the load this table allows, nearly always one.

/// Slots looked at before a number counts as absent, or as not insertable.
const PROBES_MAX: usize = 32;

/// Maps `u32` numbers to `u16` indices.
#[derive(Debug)]
pub(in crate::feed) struct Directory {
    /// Number, and index plus one; a zero index is a free slot.
    slots: Box<[(u32, u32)]>,
    shift: u32,
}

impl Directory {
    /// Room for `entries` numbers, at a load of a quarter at most.
    pub(in crate::feed) fn new(entries: usize) -> Self {
        let slots = (4 * entries).next_power_of_two().max(PROBES_MAX);
        Self { slots: vec![(0, 0); slots].into_boxed_slice(), shift: 32 - slots.trailing_zeros() }
    }

    /// The index of a number.
    #[inline]
    pub(in crate::feed) fn find(&self, number: u32) -> Option<u16> {
        for slot in self.probe(number) {
            match self.slots[slot] {
                (_, 0) => return None,
                (found, index) if found == number => return Some((index - 1) as u16),
                _ => {}
            }
        }
        None
    }

    /// Enters or redirects a number. False, and nothing changed, when its neighbourhood is full.
    pub(in crate::feed) fn insert(&mut self, number: u32, index: u16) -> bool {
        let slot = self.probe(number).find(|&slot| self.slots[slot].1 == 0 || self.slots[slot].0 == number);
        if let Some(slot) = slot {
            self.slots[slot] = (number, u32::from(index) + 1);
        }
        slot.is_some()
    }

    /// Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4): consecutive numbers, the usual case, land far apart.
    #[inline]
    fn probe(&self, number: u32) -> impl Iterator<Item = usize> + use<> {
        let (first, mask) = (number.wrapping_mul(0x9E37_79B9) >> self.shift, self.slots.len() - 1);
        (0..PROBES_MAX).map(move |step| (first as usize + step) & mask)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_map_finds(entries in vec((0_u32..300, any::<u16>()), 0..200)) {
            let (mut directory, mut map) = (Directory::new(200), BTreeMap::new());
            for (number, index) in entries {
                if directory.insert(number, index) {
                    map.insert(number, index);
                }
            }
            for number in 0..300 {
                prop_assert_eq!(directory.find(number), map.get(&number).copied());
            }
        }
    }

    #[test]
    fn takes_consecutive_and_strided_numbers_to_its_stated_room() {
        for stride in [1_u32, 2, 16, 1_000, 65_536] {
            let mut directory = Directory::new(4_096);
            for n in 0..4_096_u32 {
                assert!(directory.insert(n.wrapping_mul(stride), n as u16), "stride {stride}, number {n}");
            }
        }
    }

    #[test]
    fn a_full_neighbourhood_refuses_and_stays_whole() {
        let mut directory = Directory::new(8);
        let taken: Vec<_> = (0..64).filter(|&n| directory.insert(n, n as u16)).collect();
        assert_eq!(taken.len(), directory.slots.len());
        assert!(taken.iter().all(|&n| directory.find(n) == Some(n as u16)));
        assert_eq!(directory.find(1_000), None);
    }
}
