//! What a person sees while the pipeline runs: the view when asked for, a line otherwise, nothing in a pipe.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use clap::Args;

use super::CliError;
use super::progress::ProgressLine;
#[cfg(feature = "tui")]
use super::tui::View;
use crate::runtime::Pipeline;

/// Whether to show the view.
#[derive(Debug, Args)]
pub(super) struct DisplayArgs {
    /// Show exposures, orders, latencies, rings and lines on the terminal, with keys to pause, reduce and kill (needs a
    /// build with --features tui)
    #[arg(long)]
    tui: bool,
}

impl DisplayArgs {
    /// Refuses what cannot be shown, before anything is started.
    pub(super) fn check(&self) -> Result<(), CliError> {
        check(self.tui, "--metrics")
    }

    /// Begins to show `pipeline`; `prefix` stands before the line.
    pub(super) fn open(&self, prefix: &'static str, pipeline: &Pipeline) -> Result<Display, CliError> {
        // Without the view there is nobody to look.
        #[cfg(not(feature = "tui"))]
        let _ = pipeline;
        Ok(Display {
            prefix,
            #[cfg(feature = "tui")]
            view: if self.tui { Some(View::open(pipeline.observer())?) } else { None },
            line: (!self.tui).then(|| ProgressLine::new(prefix)),
        })
    }
}

/// Refuses a view that this build does not have, or that has no terminal; what it would show is `elsewhere` then.
pub(super) fn check(is_wanted: bool, elsewhere: &str) -> Result<(), CliError> {
    if !is_wanted {
        return Ok(());
    }
    if !cfg!(feature = "tui") {
        return Err(CliError::Input("--tui is not in this build: build it with --features tui".to_owned()));
    }
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        let why = format!("--tui needs a terminal: leave it out in a pipe, where {elsewhere} tells the same");
        return Err(CliError::Input(why));
    }
    Ok(())
}

/// The view or the line.
#[derive(Debug)]
pub(super) struct Display {
    prefix: &'static str,
    #[cfg(feature = "tui")]
    view: Option<View>,
    line: Option<ProgressLine>,
}

impl Display {
    /// Lets time pass, heeding keys.
    pub(super) fn wait(&mut self, lasts: Duration) {
        #[cfg(feature = "tui")]
        if let Some(view) = &mut self.view {
            // A terminal that is gone is left like one that is given back: the pipeline goes on.
            if !view.turn(lasts).unwrap_or(false) {
                self.view = None;
            }
            return;
        }
        thread::sleep(lasts);
    }

    /// Draws the line anew, once there is no view.
    pub(super) fn tick(&mut self, message: impl FnOnce() -> String) {
        #[cfg(feature = "tui")]
        if self.view.is_some() {
            return;
        }
        self.line.get_or_insert_with(|| ProgressLine::new(self.prefix)).tick(message);
    }

    /// Takes away what is shown.
    pub(super) fn finish(self) {
        if let Some(line) = self.line {
            line.finish();
        }
    }
}
