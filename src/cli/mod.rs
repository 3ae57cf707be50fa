//! The command line: one file a subcommand, and nothing that another module could want.
//!
//! What does not hold ends a command with one clear line on standard error. Exit codes: 0 all well, 1 a check failed
//! (the report says which), 2 the command could not be carried out (bad input, a port in use, a path not writable).

mod bench;
mod check;
mod control;
mod conventions;
mod demo;
mod display;
mod error;
mod evaluate;
mod inspect;
mod kill;
mod metrics;
mod output;
mod page;
#[cfg(feature = "parquet")]
mod parquet;
mod positions;
mod progress;
mod records;
mod recover;
mod replay;
mod run;
mod simulate;
mod summary;
mod table;
#[cfg(feature = "tui")]
mod tui;
mod venue;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::gateway::fix::NonceSeed;

pub use error::CliError;

/// Keeps an options market maker's inventory hedged.
#[derive(Debug, Parser)]
#[command(name = "hedgecore", version, about, long_about = None, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// What `demo` takes, so that it may be left unsaid.
    #[command(flatten)]
    demo: demo::DemoArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole pipeline over real loopback sockets against the embedded venue (the default).
    Demo(demo::DemoArgs),
    /// The pipeline against a venue, as a configuration file says; sends orders only when the file arms it.
    Run(run::RunArgs),
    /// The embedded venue on its own, for a pipeline or another FIX engine to connect to.
    Venue(venue::VenueArgs),
    /// An operator's commands to a running pipeline: pause, reduce-only, flatten, kill, re-enable, thaw, status.
    Control(control::ControlArgs),
    /// A capture or a journal through the same stages, deterministically.
    Replay(replay::ReplayArgs),
    /// Pricing and hedging quality against published figures.
    Evaluate(evaluate::EvaluateArgs),
    /// The pipeline under faults, deterministically: every seed is another set of losses, breaks and crashes.
    Simulate(simulate::SimulateArgs),
    /// Latency of every hop, beside what the machine asks for at the least.
    Bench(bench::BenchArgs),
    /// Validates a configuration and inspects the host: what costs latency, why, and the command that changes it.
    Check(check::CheckArgs),
    /// Prints a capture or a journal, decoded.
    Inspect(inspect::InspectArgs),
}

/// For clap: a finite number above zero.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "must be a number above zero".to_owned())
}

/// Bytes that nobody can foresee, for the proofs of logons.
fn unguessable() -> Result<NonceSeed, CliError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 32];
    File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).map_err(CliError::file(path))?;
    Ok(NonceSeed(bytes))
}

/// Set by `SIGINT` and `SIGTERM`.
fn stop_signal() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Parses the command line and runs what it asks for.
pub fn run() -> ExitCode {
    let outcome = match Cli::try_parse() {
        Ok(cli) => match cli.command.unwrap_or(Command::Demo(cli.demo)) {
            Command::Demo(args) => demo::run(&args),
            Command::Control(args) => control::run(&args),
            Command::Run(args) => run::run(&args),
            Command::Venue(args) => venue::run(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Evaluate(args) => evaluate::run(&args),
            Command::Simulate(args) => simulate::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Inspect(args) => inspect::run(&args),
        },
        Err(error) => explain(&error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

/// Prints help that was asked for; of anything else that stands in the way, the essence in one line.
fn explain(error: &clap::Error) -> Result<(), CliError> {
    if !error.use_stderr() {
        return Ok(error.print()?);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Err(CliError::Input("what to do is missing (see --help)".to_owned()));
    }
    let text = error.to_string();
    let what: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let what = what.join(" ");
    Err(CliError::Input(format!("{} (see --help)", what.strip_prefix("error: ").unwrap_or(&what))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_subcommand_it_is_the_demo_with_the_demos_options() {
        let bare = Cli::try_parse_from(["hedgecore", "--seconds", "3"]).unwrap();
        assert!(bare.command.is_none());
        let named = Cli::try_parse_from(["hedgecore", "demo", "--seconds", "3"]).unwrap();
        let Some(Command::Demo(named)) = named.command else { panic!("not the demo") };
        assert_eq!(format!("{:?}", bare.demo), format!("{named:?}"));
    }
}
