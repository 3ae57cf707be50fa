//! `hedgecore replay`: captures through the same pipeline, or a journal through the same stages, byte for byte.

mod capture;
mod journal;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CliError;
use super::conventions::ConventionArgs;
use super::output::OutputArgs;
use crate::hedge::Policy;
use crate::journal::replay::Topology;

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Captures to replay, in this order (pcap or pcapng, Deribit multicast)
    #[arg(long, value_name = "FILE", required_unless_present = "journal", num_args = 1..)]
    pcap: Vec<PathBuf>,
    /// A journal to replay: every byte to the venue must come out again as it was recorded
    #[arg(long, value_name = "DIR", conflicts_with_all = ["pcap", "positions", "risk_aversion", "neutrality", "stickiness", "equity", "policy"])]
    journal: Option<PathBuf>,
    /// Which run of the journal [default: the last]
    #[arg(long, value_name = "NUMBER", requires = "journal")]
    run: Option<u32>,
    /// Which stages of a journal's replay share a thread, whatever recorded it
    #[arg(long, default_value = "fused", requires = "journal")]
    topology: Stages,
    /// The book to hedge, CSV `instrument,quantity` [default: short one lot of every option]
    #[arg(long, value_name = "FILE")]
    positions: Option<PathBuf>,
    /// Absolute risk aversion of the no-trade band, per unit of quote currency; the default suits a book of single lots
    #[arg(long, value_name = "GAMMA", default_value_t = 1.0, value_parser = super::positive)]
    risk_aversion: f64,
    /// What decides on hedges: whalley-wilmott or zakamouline (bands on delta), or program (perpetual, futures and options)
    #[arg(long, default_value_t = Policy::default(), value_parser = clap::value_parser!(Policy))]
    policy: Policy,
    #[command(flatten)]
    conventions: ConventionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// As the command line names a [`Topology`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Stages {
    /// All on one thread.
    Fused,
    /// A thread each.
    Split,
}

impl From<Stages> for Topology {
    fn from(stages: Stages) -> Self {
        match stages {
            Stages::Fused => Self::Fused,
            Stages::Split => Self::Split,
        }
    }
}

/// Replays what was asked for.
pub(super) fn run(args: &ReplayArgs) -> Result<(), CliError> {
    match &args.journal {
        Some(directory) => journal::run(args, directory),
        None => capture::run(args),
    }
}
