//! `hedgecore run --config FILE`: the pipeline against a venue, as the file says.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use serde::Serialize;

use super::display::{Display, DisplayArgs};
use super::metrics::{self, MetricsArgs};
use super::recover::resume;
use super::{CliError, summary};
use crate::config::{JournalSettings, Settings};
use crate::hedge::HedgeConfig;
use crate::order::ComparisonCounters;
use crate::portfolio::GreeksConfig;
use crate::runtime::control::ControlConfig;
use crate::runtime::placement::{self, Request};
use crate::runtime::{DropCopySummary, Finished, JournalConfig, Pipeline, PipelineConfig};
use crate::surface::SurfaceConfig;
use crate::telemetry::{JournalFigures, Report};

/// How often the progress line has something new.
const LOOK: Duration = Duration::from_millis(50);

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The configuration; examples/hedgecore.toml shows one
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read and check the configuration, and do nothing else
    #[arg(long)]
    check: bool,
    /// Keep a journal in this directory, and go on from the last run in it; [journal] of the configuration says how
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// End after so many seconds; otherwise a signal does
    #[arg(long, value_name = "SECONDS", value_parser = super::positive)]
    seconds: Option<f64>,
    #[command(flatten)]
    display: DisplayArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
}

/// What the run did, as it prints it at the end.
#[derive(Debug, Serialize)]
struct Closing {
    armed: bool,
    /// Orders, amendments and cancels decided on, and approved.
    requests_decided: u64,
    /// Encoded for the venue.
    orders_sent: u64,
    /// Kept back by a dry run.
    withheld: u64,
    /// Requests to thaw the venue's protection that were refused.
    thaws_refused: u64,
    fills: u64,
    /// Connections lost, the last one that was closed included.
    disconnects: u64,
    hot_allocations: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<JournalFigures>,
    /// Executions as the order session and the drop copy told them.
    #[serde(skip_serializing_if = "Option::is_none")]
    drop_copy: Option<DropCopyFigures>,
    /// Places where market data was missing on every line.
    sequence_gaps: u64,
    /// Second copies of packets that were other bytes: one of the lines lies.
    divergent_copies: u64,
    /// What each line of market data did, and what became of what none brought; times in microseconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lines: BTreeMap<&'static str, u64>,
    /// What came on the sockets of market data, and what the kernel did to it.
    sockets: BTreeMap<&'static str, u64>,
    /// By name.
    positions: BTreeMap<String, i64>,
    notices: Vec<String>,
}

/// What the second witness saw.
#[derive(Debug, Serialize)]
struct DropCopyFigures {
    #[serde(flatten)]
    counters: ComparisonCounters,
    foreign: u64,
    differences: Vec<String>,
}

/// Runs until a signal or its time ends it.
pub(super) fn run(args: &RunArgs) -> Result<(), CliError> {
    let settings = Settings::read(&args.config, super::unguessable()?)?;
    let mut out = io::stdout().lock();
    let protocol = settings.session.protocol_name();
    let (lines, target) = (settings.lines.len(), settings.orders.address);
    writeln!(out, "{}: {lines} line(s) of market data, orders by {protocol} to {target}", args.config.display())?;
    if settings.session.armed {
        writeln!(out, "ARMED: orders leave")?;
    } else {
        writeln!(out, "dry run: everything is computed, nothing is sent; `armed = true` in the configuration arms it")?;
    }
    out.flush()?;
    if args.check {
        return Ok(());
    }
    let journal = journal(args, &settings);
    args.display.check()?;
    let port = args.metrics.open(settings.metrics.as_deref())?;
    let cores = placement::available_cores();
    let request = Request { topology: settings.topology, cores: settings.cores.clone(), idle: None };
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let armed = settings.session.armed;
    let config = PipelineConfig {
        plan: placement::plan(&request, &cores)?,
        feeds: settings.lines,
        orders: settings.orders,
        feed: settings.feed,
        greeks: GreeksConfig { opening: settings.opening, ..GreeksConfig::default() },
        surface: SurfaceConfig::default(),
        hedge: HedgeConfig { started_s: started.as_secs() as u32, ..settings.hedge },
        session: settings.session,
        journal: journal.as_ref().map(|settings| settings.journal.clone()),
        drop_copy: settings.drop_copy.filter(|_| armed),
        control: ControlConfig { socket: settings.control, signals: true, ..ControlConfig::default() },
    };
    let pipeline = Pipeline::start(match journal {
        Some(JournalSettings { journal, on_difference }) if armed => {
            resume(config, &journal.directory, || Ok(None), on_difference, &mut out)?
        }
        _ => config,
    })?;
    let served = metrics::serve(port, &pipeline)?;
    let display = args.display.open(if armed { "hedging" } else { "dry run" }, &pipeline)?;
    watch(&pipeline, display, args.seconds);
    drop(served);
    let fills = pipeline.progress().fills;
    let finished = pipeline.stop()?;
    let witness = finished.drop_copy.as_ref().and_then(DropCopySummary::fault);
    let closing = closing(finished, armed, fills);
    writeln!(out, "{}", serde_json::to_string(&closing).map_err(io::Error::from)?)?;
    let lies = format!("{} packets came in two versions: a line of market data lies", closing.divergent_copies);
    let fault = closing.journal.as_ref().and_then(JournalFigures::fault);
    let fault = fault.or(witness).or((closing.divergent_copies > 0).then_some(lies));
    fault.map_or(Ok(()), |fault| Err(CliError::CheckFailed(fault)))
}

/// Where the run is written down. A dry run keeps apart from those that traded, so that the next of these finds the last.
fn journal(args: &RunArgs, settings: &Settings) -> Option<JournalSettings> {
    let mut journal = match (&args.journal, &settings.journal) {
        (Some(directory), Some(known)) => {
            let journal = JournalConfig { directory: directory.clone(), ..known.journal.clone() };
            JournalSettings { journal, ..known.clone() }
        }
        (Some(directory), None) => JournalSettings::new(directory),
        (None, known) => known.clone()?,
    };
    if !settings.session.armed {
        journal.journal.directory.push("dry-run");
    }
    Some(journal)
}

/// Shows how it stands until its time is up or a signal ends it.
fn watch(pipeline: &Pipeline, mut display: Display, seconds: Option<f64>) {
    let start = Instant::now();
    let over = |seconds: f64| start.elapsed().as_secs_f64() >= seconds;
    while !pipeline.is_interrupted() && !seconds.is_some_and(over) {
        display.wait(LOOK);
        display.tick(|| {
            let progress = pipeline.progress();
            let deltas: Vec<String> =
                progress.net_delta.iter().map(|(name, delta)| format!("{name} {delta:+.4}")).collect();
            format!("{} orders, {} fills, net delta {}", progress.requests, progress.fills, deltas.join(" "))
        });
    }
    display.finish();
}

fn closing(finished: Finished, armed: bool, fills: u64) -> Closing {
    let name = |id| finished.feed.name(id).unwrap_or("unnamed").to_owned();
    let mut report = Report::default();
    finished.recorder.fill(&mut report);
    let decided = finished.recorder.progress().requests;
    Closing {
        armed,
        requests_decided: decided,
        orders_sent: finished.gateway.counters().orders,
        withheld: finished.gateway.counters().withheld,
        thaws_refused: finished.gateway.counters().thaws_refused,
        fills: fills.max(report.fills),
        disconnects: finished.gateway.counters().disconnects,
        hot_allocations: report.hot_allocations,
        journal: summary::journal(&finished),
        drop_copy: finished.drop_copy.map(|of| DropCopyFigures {
            counters: of.counters,
            foreign: of.foreign,
            differences: of.differences,
        }),
        sequence_gaps: finished.feed.counters().sequence_gaps,
        divergent_copies: summary::divergent(&finished.feed),
        lines: summary::lines(&finished.feed),
        sockets: summary::sockets(&finished.sockets),
        positions: finished.greeks.positions().map(|(id, lots)| (name(id), lots.0)).collect(),
        notices: finished.notices,
    }
}
