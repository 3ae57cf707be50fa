//! `evaluate`: pricing and hedging quality against published figures.

mod book;
mod cao;
mod chain;
mod hodges_neuberger;
mod hull;
mod lab;
mod report;

use clap::{Args, Subcommand};

use super::CliError;

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prices a published option chain and holds it against the venue's own figures.
    ///
    /// Delta is held against the venue's at the forward that the option's published vega implies, because the venue's
    /// greeks lag its forward in a fast market; the same at the published forward stands beside it. Fails when the median
    /// or 99th percentile of delta exceeds 3e-4 or 1e-2, or the median of the mark 5e-5 coins.
    Chain(chain::ChainArgs),
    /// Follows Hull's delta-hedging tables, path by path and by simulation.
    Hull(hull::HullArgs),
    /// Delta and bands at a trading cost of 1%, after Cao, Chen, Hull and Poulos.
    Cao(cao::CaoArgs),
    /// How far bands are from the optimum of Hodges and Neuberger.
    HodgesNeuberger(hodges_neuberger::HodgesNeubergerArgs),
    /// A book of 50 options in a simulated market: risk at equal cost.
    Book(book::BookArgs),
}

/// Runs the command.
pub(super) fn run(args: &EvaluateArgs) -> Result<(), CliError> {
    match &args.what {
        What::Chain(args) => chain::run(args),
        What::Hull(args) => hull::run(args),
        What::Cao(args) => cao::run(args),
        What::HodgesNeuberger(args) => hodges_neuberger::run(args),
        What::Book(args) => book::run(args),
    }
}
