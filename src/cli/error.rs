//! What can end a command.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Why a command did not end well; its `Display` is the one line that the user reads.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Everything ran, and something that must hold does not.
    #[error("check failed: {0}")]
    CheckFailed(String),
    /// A file or directory could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something given on the command line or in a file makes no sense.
    #[error("{0}")]
    Input(String),
    /// A capture could not be read.
    #[error(transparent)]
    Capture(#[from] crate::capture::CaptureError),
    /// Credentials of an order session do not fit the wire.
    #[error(transparent)]
    Session(#[from] crate::gateway::ConfigError),
    /// Names or credentials of a FIX session do not fit the wire.
    #[error(transparent)]
    Fix(#[from] crate::gateway::fix::FixConfigError),
    /// The configuration file does not hold.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// Threads cannot be laid out as asked.
    #[error(transparent)]
    Placement(#[from] crate::runtime::placement::PlacementError),
    /// The pipeline did not start, or did not end well.
    #[error(transparent)]
    Pipeline(#[from] crate::runtime::PipelineError),
    /// The embedded venue did not start, or did not end well.
    #[error(transparent)]
    Venue(#[from] crate::sim::venue::VenueError),
    /// What is to be measured did not open.
    #[error(transparent)]
    Bench(#[from] crate::bench::OpenError),
    /// The metrics could not be served.
    #[error(transparent)]
    Metrics(#[from] crate::telemetry::metrics::MetricsError),
    /// Writing to standard output failed.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// For `map_err` on operations on `path`.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// Prints the line and gives the exit code. A reader that closed the pipe is not an error.
    pub(super) fn report(self) -> ExitCode {
        if matches!(&self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        #[expect(clippy::print_stderr, reason = "the one place where errors reach the user")]
        {
            eprintln!("hedgecore: {self}");
        }
        match self {
            Self::CheckFailed(_) => ExitCode::from(1),
            _ => ExitCode::from(2),
        }
    }
}
