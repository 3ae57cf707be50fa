//! `hedgecore simulate`: the live stages under faults, by the seed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::CliError;
use super::output::{Output, OutputArgs};
use super::progress::ProgressLine;
use crate::runtime::alloc;
use crate::sim::simulation::{self, Fault, Options, Outcome, Search, Tally, shrink};
use crate::units::Nanos;

/// Seeds of a run that names none.
const SEEDS: Range<u64> = 0..1_000;
/// In so many seeds every fault has to strike: one that never does tests nothing.
const ENOUGH: u64 = 300;
/// Failures after which a search has enough.
const FAILURES_MAX: u64 = 3;

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// Run this seed alone, and show what happened
    #[arg(long, conflicts_with_all = ["seeds", "minutes"])]
    seed: Option<u64>,
    /// Run these seeds, such as 0..10000 [default: 0..1000]
    #[arg(long, value_name = "A..B", value_parser = range)]
    seeds: Option<Range<u64>>,
    /// Search for so long, from the first seed on
    #[arg(long)]
    minutes: Option<u64>,
    /// With --seed: these options in place of those the seed expands to, such as \"faulty_s=5 loss=0.01\"
    #[arg(long, requires = "seed", value_name = "LINE")]
    options: Option<String>,
    /// Let each canary loose in turn and search so many seeds for it
    #[cfg(feature = "canary")]
    #[arg(long, value_name = "SEEDS", conflicts_with_all = ["seed", "seeds", "minutes"])]
    canaries: Option<u64>,
    /// Threads that share the seeds [default: the cores]
    #[arg(long)]
    threads: Option<usize>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is written with `--json`.
#[derive(Debug, Serialize)]
struct Figures {
    seeds: u64,
    events: u64,
    orders: u64,
    simulated_hours: f64,
    seconds: f64,
    times_real_time: f64,
    faults: BTreeMap<&'static str, u64>,
    hot_allocations: u64,
    violations: Vec<Failure>,
    digest: String,
}

/// One run in which something did not hold.
#[derive(Debug, Serialize)]
struct Failure {
    seed: u64,
    invariant: u8,
    seconds: f64,
    what: String,
    options: String,
    reproduce: String,
}

/// Runs seeds, reports, and fails if anything did not hold.
pub(super) fn run(args: &SimulateArgs) -> Result<(), CliError> {
    let output = Output::open(&args.output)?;
    #[cfg(feature = "canary")]
    if let Some(seeds) = args.canaries {
        return canaries(seeds);
    }
    let (began, allocations) = (Instant::now(), alloc::hot_allocations());
    let tally = match args.seed {
        Some(seed) => one(seed, args.options.as_deref())?,
        None => many(args),
    };
    let lasted = began.elapsed();
    let failures: Vec<Outcome> = tally.failures.iter().map(shrink).collect();
    let figures = figures(&tally, &failures, lasted, alloc::hot_allocations() - allocations);
    output.write_json(&figures)?;
    print(&figures, &failures)?;
    if !failures.is_empty() {
        return Err(CliError::CheckFailed(format!("{} of {} runs broke an invariant", failures.len(), tally.seeds)));
    }
    let never: Vec<&str> = figures.faults.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    if tally.seeds >= ENOUGH && !never.is_empty() {
        return Err(CliError::CheckFailed(format!("never struck in {} seeds: {}", tally.seeds, never.join(", "))));
    }
    if figures.hot_allocations > 0 {
        let count = figures.hot_allocations;
        return Err(CliError::CheckFailed(format!("{count} heap allocations in the stages (invariant 11)")));
    }
    Ok(())
}

/// Every canary has to be caught: a checker that catches nothing is a defect.
#[cfg(feature = "canary")]
fn canaries(seeds: u64) -> Result<(), CliError> {
    use crate::canary::Canary;
    use std::io::Write as _;

    let mut escaped = Vec::new();
    for (canary, invariants) in Canary::ALL {
        let caught = simulation::catch(canary, invariants, 0..seeds);
        let line = match caught {
            Some(seed) => format!("{canary:?}: caught after {} seeds (invariant {invariants:?})", seed + 1),
            None => format!("{canary:?}: escaped {seeds} seeds"),
        };
        writeln!(std::io::stdout(), "{line}")?;
        if caught.is_none() {
            escaped.push(format!("{canary:?}"));
        }
    }
    if escaped.is_empty() { Ok(()) } else { Err(CliError::CheckFailed(format!("escaped: {}", escaped.join(", ")))) }
}

fn one(seed: u64, options: Option<&str>) -> Result<Tally, CliError> {
    let options = match options {
        Some(line) => {
            let read = line.parse::<Options>().map_err(|error| CliError::Input(format!("--options: {error}")))?;
            read.with_seed(seed)
        }
        None => Options::of_seed(seed),
    };
    let mut tally = Tally::default();
    tally.add(simulation::run(&options));
    Ok(tally)
}

fn many(args: &SimulateArgs) -> Tally {
    let lasts = args.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    let seeds = match (&args.seeds, lasts) {
        (Some(seeds), _) => seeds.clone(),
        (None, Some(_)) => 0..u64::MAX,
        (None, None) => SEEDS,
    };
    let threads = args.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let line = ProgressLine::new("simulating");
    let all = seeds.end - seeds.start;
    let search = Search { seeds, threads, lasts };
    let tally = search.run(FAILURES_MAX, &|done| {
        line.tick(|| if lasts.is_some() { format!("{done} seeds") } else { format!("{done} of {all} seeds") });
    });
    line.finish();
    tally
}

fn figures(tally: &Tally, failures: &[Outcome], lasted: Duration, hot_allocations: u64) -> Figures {
    let simulated_s = tally.simulated_ns as f64 / Nanos::PER_SECOND as f64;
    Figures {
        seeds: tally.seeds,
        events: tally.events,
        orders: tally.orders,
        simulated_hours: simulated_s / 3_600.0,
        seconds: lasted.as_secs_f64(),
        times_real_time: simulated_s / lasted.as_secs_f64(),
        faults: Fault::ALL.iter().map(|fault| (fault.name(), tally.injected.of(*fault))).collect(),
        hot_allocations,
        violations: failures.iter().filter_map(failure).collect(),
        digest: format!("{:016x}", tally.digest),
    }
}

fn failure(outcome: &Outcome) -> Option<Failure> {
    let first = outcome.violations.first()?;
    let options = outcome.options.to_string();
    Some(Failure {
        seed: outcome.options.seed,
        invariant: first.invariant,
        seconds: outcome.simulated_ns as f64 / Nanos::PER_SECOND as f64,
        what: first.what.clone(),
        reproduce: format!("hedgecore simulate --seed {} --options \"{options}\"", outcome.options.seed),
        options,
    })
}

fn print(figures: &Figures, failures: &[Outcome]) -> Result<(), CliError> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let Figures { seeds, events, orders, simulated_hours, seconds, times_real_time, digest, .. } = figures;
    writeln!(out, "{seeds} seeds, {events} events, {orders} orders in {simulated_hours:.2} simulated hours")?;
    writeln!(out, "{seconds:.1} s, {times_real_time:.0} times real time, digest {digest}")?;
    let struck: Vec<String> = figures.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
    writeln!(out, "faults: {}", struck.join(", "))?;
    for (failure, outcome) in figures.violations.iter().zip(failures) {
        writeln!(out, "\nseed {} breaks invariant {} after {:.3} s", failure.seed, failure.invariant, failure.seconds)?;
        outcome.violations.iter().try_for_each(|violation| writeln!(out, "  {}", violation.what))?;
        outcome.trace.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
        writeln!(out, "  {}", failure.reproduce)?;
    }
    Ok(())
}

/// For clap: `A..B` with A below B.
fn range(text: &str) -> Result<Range<u64>, String> {
    let bounds = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    bounds.filter(|bounds: &Range<u64>| !bounds.is_empty()).ok_or_else(|| "must be a range such as 0..1000".to_owned())
}
