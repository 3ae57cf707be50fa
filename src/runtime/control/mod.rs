//! The operator's control: from a socket, a signal or the watchdog to the kill switch.
//!
//! ```text
//!   control socket ─┐               ┌─ ring ─► greeks ─► hedge ─► gate ─► Level ─► gateway
//!   signals ────────┼─► control ────┤
//!   watchdog ───────┘   thread      └─ board: halt ──────────────────────────────► gateway
//! ```
//!
//! A command is an event in the greeks' one ordered input, so it is journaled and replayed like any other, with the name
//! of whoever gave it. A halt also goes straight to the gateway's thread, past the decision code, in case that is what
//! hangs. Commands are a line of text, `LEVEL OPERATOR`, on a Unix stream socket that only its owner may open; the answer
//! is what is in force once the hedge has heard of it.
//!
//! Signals: `SIGUSR1` halts; `SIGINT` and `SIGTERM` halt and ask whoever runs the pipeline to stop it; a second one of
//! either ends the process. The watchdog halts when a hot thread has been silent for longer than
//! [`ControlConfig::silence_max_ns`].
//!
//! Cold: this thread wakes a hundred times a second. A command that finds the ring full, or that the hedge has not answered
//! within [`ANSWER_WITHIN`], is answered with that.

mod board;
mod command;
mod desk;

pub use board::RiskShown;
pub use command::{Command, ask};
pub use desk::{ANSWER_WITHIN, ControlError};

pub(super) use board::Board;
pub(super) use desk::{Controls, Desk};

use std::path::PathBuf;

use crate::units::Nanos;

/// How a running pipeline is controlled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    /// Where to listen for commands.
    pub socket: Option<PathBuf>,
    /// Whether to heed signals.
    pub signals: bool,
    /// How long a hot thread may be silent, nanoseconds.
    pub silence_max_ns: u64,
}

impl Default for ControlConfig {
    /// No socket, no signals, two seconds of silence.
    fn default() -> Self {
        Self { socket: None, signals: false, silence_max_ns: 2 * Nanos::PER_SECOND }
    }
}
