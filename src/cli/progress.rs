//! A line that moves while work is under way: on a terminal only, quiet in a pipe.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the line is drawn anew.
const REDRAW: Duration = Duration::from_millis(100);

/// The line.
#[derive(Debug)]
pub(super) struct ProgressLine {
    bar: ProgressBar,
}

impl ProgressLine {
    /// A spinner with a word before its message. indicatif draws on standard error, and only if that is a terminal.
    pub(super) fn new(prefix: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_prefix(prefix);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(REDRAW);
        Self { bar }
    }

    /// A bar with a word before it, for work that consists of `steps`.
    pub(super) fn bar(prefix: &'static str, steps: u64) -> Self {
        let bar = ProgressBar::new(steps).with_prefix(prefix);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {elapsed} {wide_bar} {percent}%, {eta} left") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(REDRAW);
        Self { bar }
    }

    /// One more step of the bar is done.
    pub(super) fn step(&self) {
        self.bar.inc(1);
    }

    /// Shows a new message if the line is visible.
    pub(super) fn tick(&self, message: impl FnOnce() -> String) {
        if !self.bar.is_hidden() {
            self.bar.set_message(message());
        }
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
