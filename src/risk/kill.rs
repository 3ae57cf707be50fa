//! The kill switch: once thrown it stays thrown, and the first cause is kept.

use crate::event::KillCause;
use crate::units::Nanos;

/// Latched, independent of the decision code, cleared only by a restart.
#[derive(Clone, Copy, Debug, Default)]
pub struct KillSwitch {
    thrown: Option<(KillCause, Nanos)>,
}

impl KillSwitch {
    /// Throws it. Later causes do not replace the first.
    pub fn throw(&mut self, cause: KillCause, time: Nanos) {
        self.thrown.get_or_insert((cause, time));
    }

    /// Why and when it was thrown, if it was.
    pub fn thrown(&self) -> Option<(KillCause, Nanos)> {
        self.thrown
    }
}
