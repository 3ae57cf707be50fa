//! `hedgecore control`: an operator's commands to a running pipeline.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CliError;
use crate::event::{KillLevel, Operator};
use crate::runtime::control::{Command, ask};

/// Arguments of `control`.
#[derive(Debug, Args)]
pub(super) struct ControlArgs {
    /// The control socket of the pipeline, as given to its --control
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Who asks, for the journal: 1 to 16 printable letters; the login name unless given
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// What to do
    #[arg(value_enum)]
    action: Action,
}

/// What an operator may ask.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// Say what is in force
    Status,
    /// Nothing but cancels, for the rest of the process
    Kill,
    /// Nothing but cancels, until re-enabled
    Pause,
    /// Only orders that take a delta toward zero
    ReduceOnly,
    /// The same, and every delta is taken to zero at once
    Flatten,
    /// Trade again, also after a throttle has latched
    ReEnable,
    /// Ask the venue to end whatever its market-maker protection has frozen
    Thaw,
}

/// Asks, prints the answer, and fails unless it was done.
pub(super) fn run(args: &ControlArgs) -> Result<(), CliError> {
    let by = || operator(args.operator.as_deref());
    let level = |level| by().map(|by| Command::Level(level, by));
    let command = match args.action {
        Action::Status => Command::Status,
        Action::Kill => level(KillLevel::Halt)?,
        Action::Pause => level(KillLevel::Pause)?,
        Action::ReduceOnly => level(KillLevel::ReduceOnly)?,
        Action::Flatten => level(KillLevel::Flatten)?,
        Action::ReEnable => level(KillLevel::Open)?,
        Action::Thaw => Command::Thaw(by()?),
    };
    let answer = ask(&args.socket, command).map_err(CliError::file(&args.socket))?;
    io::stdout().lock().write_all(answer.as_bytes())?;
    let (outcome, _) = answer.split_once(':').unwrap_or(("done", ""));
    if outcome == "done" {
        Ok(())
    } else {
        Err(CliError::CheckFailed(format!("{command}: {}", outcome.to_lowercase())))
    }
}

fn operator(given: Option<&str>) -> Result<Operator, CliError> {
    let login = std::env::var("USER").ok();
    let name = given.or(login.as_deref()).unwrap_or_default();
    Operator::new(name)
        .ok_or_else(|| CliError::Input(format!("--operator {name:?} is not a name of 1 to 16 printable letters")))
}
