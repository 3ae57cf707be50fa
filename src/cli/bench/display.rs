//! What a person sees while measuring: the view when asked for, a line otherwise, nothing in a pipe.

use std::io;

use super::super::progress::ProgressLine;
#[cfg(feature = "tui")]
use super::super::tui::BenchView;
use crate::bench::Turn;

/// The view or the line.
#[derive(Debug)]
pub(super) struct Display {
    #[cfg(feature = "tui")]
    view: Option<BenchView>,
    line: Option<ProgressLine>,
}

impl Display {
    /// Begins to show.
    pub(super) fn open(tui: bool) -> io::Result<Self> {
        Ok(Self {
            #[cfg(feature = "tui")]
            view: if tui { Some(BenchView::open()?) } else { None },
            line: (!tui).then(|| ProgressLine::new("measuring")),
        })
    }

    /// A turn is about to be measured.
    pub(super) fn tick(&mut self, turn: Turn<'_>) {
        #[cfg(feature = "tui")]
        if let Some(view) = self.view.take() {
            // A terminal that is gone is left like one that is given back: measuring goes on.
            self.view = view.turn(turn).ok().flatten();
            return;
        }
        self.line.get_or_insert_with(|| ProgressLine::new("measuring")).tick(|| turn.to_string());
    }

    /// Takes away what is shown.
    pub(super) fn finish(self) {
        if let Some(line) = self.line {
            line.finish();
        }
    }
}
