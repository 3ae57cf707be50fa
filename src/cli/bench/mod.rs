//! `hedgecore bench`: the latency of every hop, beside what the machine asks for at the least.

mod compare;
mod display;
mod page;
mod table;

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;

use compare::{Comparison, Earlier};
use display::Display;

use super::output::{Output, OutputArgs};
use super::{CliError, display as screen};
use crate::bench::{self, Plan, Results};
use crate::runtime::placement::Topology;
use crate::telemetry::write_histograms;

/// Options held at most: what the feed has room to list, less the futures and the other underlying's options.
const HELD_MAX: u64 = 1_920;

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// How long to measure in all, seconds; opening the markets comes on top
    #[arg(long, default_value_t = 30.0, value_parser = super::positive)]
    seconds: f64,
    /// A slice of everything in a few seconds, to see that it works
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// Rounds of each case, one after the other
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Which topologies, side by side: fused, split, or both
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "fused,split")]
    topology: Vec<String>,
    /// Options held, unless their number is what varies
    #[arg(long, default_value_t = 552, value_parser = clap::value_parser!(u64).range(1..=HELD_MAX))]
    options: u64,
    /// Ticks a second over sockets, in the open loop
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Leave sockets out
    #[arg(long, conflicts_with = "rate")]
    compute_only: bool,
    /// Show the percentiles of every case on the terminal as rounds end (needs a build with --features tui)
    #[arg(long)]
    tui: bool,
    /// Captures of real packets to play as well, once a round
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pcap: Vec<PathBuf>,
    /// Write the report to this file as a page; with --out it is also report.html there
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Compare with the earlier run that was written into this directory
    #[arg(long, value_name = "DIR")]
    compare: Option<PathBuf>,
    /// Fail if a median or a 99th percentile is certainly worse than the earlier one by more than so many per cent
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = super::positive, requires = "compare")]
    worse_than: f64,
    #[command(flatten)]
    output: OutputArgs,
}

/// Measures and tells.
pub(super) fn run(args: &BenchArgs) -> Result<(), CliError> {
    screen::check(args.tui, "the report")?;
    // Before anything is written: this run may go where the earlier one lies.
    let earlier = args.compare.as_deref().map(Earlier::read).transpose()?;
    let output = Output::open(&args.output)?;
    let beside = args.output.out.as_ref().map(|directory| directory.join("report.html"));
    let pages: Vec<PathBuf> = args.html.iter().cloned().chain(beside).collect();
    for page in &pages {
        File::create(page).map_err(CliError::file(page))?;
    }
    let plan = plan(args)?;
    let started = SystemTime::now();
    let results = measure(&plan, args.tui)?;
    let comparison = earlier.map(|earlier| Comparison::new(&earlier, &results));
    output.write_json(&results)?;
    if let Some(directory) = &args.output.out {
        let named: Vec<_> = results.series.iter().map(|(name, series)| (name.as_str(), series.histogram())).collect();
        let lasted = started.elapsed().unwrap_or_default();
        write_histograms(&named, directory, started, lasted).map_err(CliError::file(directory))?;
    }
    for page in &pages {
        fs::write(page, page::render(&results)).map_err(CliError::file(page))?;
    }
    let mut out = io::stdout().lock();
    let printed = table::print(&results, &mut out)
        .and_then(|()| comparison.as_ref().map_or(Ok(()), |comparison| comparison.print(&mut out)));
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => comparison.map_or(Ok(()), |comparison| comparison.judge(args.worse_than)),
    }
}

/// Carries the plan out in view of whoever is at the terminal.
fn measure(plan: &Plan, tui: bool) -> Result<Results, CliError> {
    let mut shown = Display::open(tui)?;
    let results = bench::run(plan, |turn| shown.tick(turn));
    shown.finish();
    Ok(results?)
}

fn plan(args: &BenchArgs) -> Result<Plan, CliError> {
    let usual = if args.quick { Plan::quick() } else { Plan::default() };
    let mut topologies = Vec::new();
    for name in &args.topology {
        match name.parse::<Topology>()? {
            Topology::Auto | Topology::Solo => {
                return Err(CliError::Input("--topology takes fused, split, or both".to_owned()));
            }
            topology if topologies.contains(&topology) => {}
            topology => topologies.push(topology),
        }
    }
    let lasts = if args.quick { usual.lasts } else { Duration::from_secs_f64(args.seconds) };
    let rounds = if args.quick { usual.rounds } else { args.rounds };
    let wire_rate = (!args.compute_only).then_some(args.rate);
    Ok(Plan { topologies, wire_rate, lasts, rounds, held: args.options as usize, captures: args.pcap.clone(), ..usual })
}
