//! The kill switch: a latch that the program can only tighten, and that says who set it, when and why.
//!
//! ```text
//!            program ──►            program ──►      program ──►       program ──►
//!   Open ◄──────────── ReduceOnly ◄──────── Flatten ◄──────── Pause            Halt
//!            a person ◄──►          a person ◄──►      a person ◄──►
//! ```
//!
//! Independent of the decision code: it is thrown by events, and every request passes it. Nothing leads out of
//! [`KillLevel::Halt`] but a restart, because what is owned and owed has to be reconciled first.

use crate::event::{KillCause, KillLevel, Operator};
use crate::units::Nanos;

/// How much may leave, since when, why, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latch {
    /// How much may leave.
    pub level: KillLevel,
    /// Why no more, or what opened it again.
    pub cause: KillCause,
    /// Who.
    pub by: Operator,
    /// Since when.
    pub since: Nanos,
}

impl Latch {
    /// Thrown by the program itself.
    pub const fn by_the_program(level: KillLevel, cause: KillCause, since: Nanos) -> Self {
        Self { level, cause, by: Operator::NOBODY, since }
    }
}

/// The latch and what may change it.
#[derive(Clone, Copy, Debug)]
pub struct KillSwitch {
    latch: Latch,
    changes: u64,
}

impl Default for KillSwitch {
    /// Open.
    fn default() -> Self {
        let latch = Latch::by_the_program(KillLevel::Open, KillCause::Operator, Nanos(0));
        Self { latch, changes: 0 }
    }
}

impl KillSwitch {
    /// Throws it. A person may choose any level, the program only a stricter one, so that the first cause at a level is the
    /// one kept; from a halt nothing leads back. Says whether the level changed.
    pub fn throw(&mut self, latch: Latch) -> bool {
        let present = self.latch.level;
        let by_a_person = latch.cause == KillCause::Operator;
        let changes = present != KillLevel::Halt && latch.level != present && (by_a_person || latch.level > present);
        if changes {
            self.latch = latch;
            self.changes += 1;
        }
        changes
    }

    /// What is in force.
    pub fn latch(&self) -> &Latch {
        &self.latch
    }

    /// How often the level changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(level: KillLevel) -> Latch {
        let by = Operator::new("alice").expect("a name");
        Latch { level, cause: KillCause::Operator, by, since: Nanos(9) }
    }

    #[test]
    fn the_program_only_tightens_and_the_first_cause_is_kept() {
        let mut switch = KillSwitch::default();
        let thrown = Latch::by_the_program(KillLevel::Pause, KillCause::Repeats, Nanos(1));
        assert!(switch.throw(thrown));
        assert!(!switch.throw(Latch::by_the_program(KillLevel::Pause, KillCause::Loss, Nanos(2))));
        assert!(!switch.throw(Latch::by_the_program(KillLevel::ReduceOnly, KillCause::Loss, Nanos(3))));
        assert!(!switch.throw(Latch::by_the_program(KillLevel::Open, KillCause::Loss, Nanos(4))));
        assert_eq!(*switch.latch(), thrown);
        assert!(switch.throw(Latch::by_the_program(KillLevel::Halt, KillCause::Invariant, Nanos(5))));
    }

    #[test]
    fn a_person_chooses_any_level_and_is_named() {
        let mut switch = KillSwitch::default();
        for level in [KillLevel::Pause, KillLevel::Flatten, KillLevel::ReduceOnly, KillLevel::Open] {
            assert!(switch.throw(person(level)));
            assert_eq!((switch.latch().level, switch.latch().by.name()), (level, "alice"));
        }
        assert_eq!(switch.changes(), 4);
    }

    #[test]
    fn nothing_leads_out_of_a_halt() {
        let mut switch = KillSwitch::default();
        assert!(switch.throw(person(KillLevel::Halt)));
        for level in [KillLevel::Open, KillLevel::ReduceOnly, KillLevel::Flatten, KillLevel::Pause, KillLevel::Halt] {
            assert!(!switch.throw(person(level)));
        }
        assert_eq!(switch.latch().level, KillLevel::Halt);
    }
}
