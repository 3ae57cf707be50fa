//! What a key asks for. Killing asks once more, because it lasts for the rest of the process.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::event::KillLevel;

/// Keys taken in one turn.
pub(super) const KEYS_MAX: usize = 64;
/// The keys that can be pressed, as the view shows them.
pub(super) const HINT: &str = "p pause   r reduce-only   k kill   q leave the view, hedging goes on";
/// The same while a kill waits to be confirmed.
pub(super) const QUESTION: &str = "KILL for the rest of this process?   y yes   any other key no";

/// Whether a key is what ends a program where nothing takes the terminal's keys.
pub(super) fn is_interrupt(key: KeyEvent) -> bool {
    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    Level(KillLevel),
    /// Leave the view.
    Leave,
}

/// What was pressed before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    is_confirming: bool,
}

impl Keys {
    /// Takes a key.
    pub(super) fn press(&mut self, key: char) -> Asked {
        let was_confirming = std::mem::take(&mut self.is_confirming);
        match key {
            'y' if was_confirming => Asked::Level(KillLevel::Halt),
            _ if was_confirming => Asked::Nothing,
            'p' => Asked::Level(KillLevel::Pause),
            'r' => Asked::Level(KillLevel::ReduceOnly),
            'k' => {
                self.is_confirming = true;
                Asked::Nothing
            }
            'q' => Asked::Leave,
            _ => Asked::Nothing,
        }
    }

    /// The line that says what may be pressed.
    pub(super) fn line(self) -> &'static str {
        if self.is_confirming { QUESTION } else { HINT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(keys: &str) -> Vec<Asked> {
        let mut state = Keys::default();
        keys.chars().map(|key| state.press(key)).filter(|asked| *asked != Asked::Nothing).collect()
    }

    #[test]
    fn each_key_asks_for_its_level() {
        let level = Asked::Level;
        assert_eq!(pressed("pr q"), [level(KillLevel::Pause), level(KillLevel::ReduceOnly), Asked::Leave]);
        assert_eq!(pressed("xPy?\u{1b}"), []);
    }

    #[test]
    fn a_kill_is_confirmed_by_the_very_next_key_or_not_at_all() {
        assert_eq!(pressed("ky"), [Asked::Level(KillLevel::Halt)]);
        assert_eq!(pressed("kny"), []);
        assert_eq!(pressed("kky"), [], "the second k is a no");
        assert_eq!(pressed("kq"), [], "and so is a q");
        assert_eq!(pressed("kp"), []);
        let mut keys = Keys::default();
        keys.press('k');
        assert_eq!(keys.line(), QUESTION);
        keys.press('n');
        assert_eq!(keys.line(), HINT);
    }
}
