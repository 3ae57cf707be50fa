//! The terminal, taken for as long as something is shown on it.

use std::io;

use ratatui::{DefaultTerminal, Frame};

/// The terminal; it is given back as it was when this is dropped.
#[derive(Debug)]
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    /// Takes it.
    pub(super) fn take() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }

    /// Draws all of it anew.
    pub(super) fn draw(&mut self, all: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(all).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Whoever cannot be given the terminal back cannot be told either.
        let _ = ratatui::try_restore();
    }
}
