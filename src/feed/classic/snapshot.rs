//! Snapshots in progress: a book may come in several messages.
//!
//! A fixed set of stages; each collects one book. A message of another change id begins its book anew, a missing packet
//! abandons what its channel had begun, and when all stages are taken the one begun first is given up.

/// A free stage, or one whose snapshot is spoiled.
const NOBODY: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Stage {
    book: u32,
    channel: u16,
    change_id: u64,
    /// A part of it could not be used.
    is_spoiled: bool,
}

/// Where a message's levels go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Index of the stage's book.
    pub(super) stage: usize,
    /// Whether the snapshot begins with this message.
    pub(super) is_first: bool,
    /// Whether another snapshot that was not finished had to go.
    pub(super) abandons_other: bool,
}

/// The stages.
#[derive(Debug)]
pub(super) struct Assembly {
    stages: [Stage; Self::SLOTS],
    /// Index of the first stage's book.
    base: usize,
    next: usize,
}

impl Assembly {
    /// Snapshots in progress at most.
    pub(super) const SLOTS: usize = 16;

    const FREE: Stage = Stage { book: NOBODY, channel: 0, change_id: 0, is_spoiled: false };

    /// Stages whose books begin at index `base`.
    pub(super) fn new(base: usize) -> Self {
        Self { stages: [Self::FREE; Self::SLOTS], base, next: 0 }
    }

    /// The stage of a message.
    pub(super) fn part(&mut self, book: usize, channel: u16, change_id: u64) -> Part {
        let mine = self.stages.iter().position(|stage| stage.book == book as u32);
        let free = || self.stages.iter().position(|stage| stage.book == NOBODY);
        let slot = mine.or_else(free).unwrap_or_else(|| {
            self.next = (self.next + 1) % Self::SLOTS;
            self.next
        });
        let stage = &mut self.stages[slot];
        let continues = stage.book == book as u32 && stage.channel == channel && stage.change_id == change_id;
        let abandons_other = !continues && stage.book != NOBODY && !stage.is_spoiled;
        if !continues {
            *stage = Stage { book: book as u32, channel, change_id, is_spoiled: false };
        }
        Part { stage: self.base + slot, is_first: !continues, abandons_other }
    }

    /// The rest of this snapshot is of no use.
    pub(super) fn spoil(&mut self, book: usize, change_id: u64) {
        for stage in self.stages.iter_mut().filter(|s| s.book == book as u32 && s.change_id == change_id) {
            stage.is_spoiled = true;
        }
    }

    /// Ends a snapshot; whether all of it could be used.
    pub(super) fn finish(&mut self, book: usize) -> bool {
        let stage = self.stages.iter_mut().find(|stage| stage.book == book as u32);
        stage.is_some_and(|stage| !std::mem::replace(stage, Self::FREE).is_spoiled)
    }

    /// Gives up every snapshot in progress on a channel; how many.
    pub(super) fn abandon(&mut self, channel: u16) -> u64 {
        let begun = self.stages.iter_mut().filter(|stage| stage.book != NOBODY && stage.channel == channel);
        begun.map(|stage| *stage = Self::FREE).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_snapshot_share_a_stage_and_other_ids_begin_anew() {
        let mut assembly = Assembly::new(100);
        let first = assembly.part(7, 1, 40);
        assert_eq!(first, Part { stage: 100, is_first: true, abandons_other: false });
        assert_eq!(assembly.part(7, 1, 40), Part { is_first: false, ..first });
        assert_eq!(assembly.part(8, 1, 40).stage, 101);
        assert_eq!(assembly.part(7, 1, 41), Part { abandons_other: true, ..first });
        assert!(assembly.finish(7) && !assembly.finish(7));
    }

    #[test]
    fn a_spoiled_snapshot_does_not_finish_well() {
        let mut assembly = Assembly::new(0);
        assembly.part(7, 1, 40);
        assembly.spoil(7, 40);
        assert!(!assembly.part(7, 1, 40).is_first, "its later parts stay with it");
        assert!(!assembly.finish(7));
    }

    #[test]
    fn a_lost_packet_abandons_its_channel_alone() {
        let mut assembly = Assembly::new(0);
        for book in 0..6 {
            assembly.part(book, (book % 2) as u16, 1);
        }
        assert_eq!(assembly.abandon(1), 3);
        assert!((0..6).all(|book| assembly.finish(book) == (book % 2 == 0)));
    }

    #[test]
    fn with_every_stage_taken_an_older_one_goes() {
        let mut assembly = Assembly::new(0);
        for book in 0..Assembly::SLOTS {
            assert!(!assembly.part(book, 0, 1).abandons_other);
        }
        assert!(assembly.part(99, 0, 1).abandons_other);
        assert!(assembly.finish(99));
    }
}
