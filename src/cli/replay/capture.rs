//! Captures through the same pipeline, with fills on paper.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::output::Output;
use super::super::progress::ProgressLine;
use super::super::{CliError, positions, summary};
use super::ReplayArgs;
use crate::capture::Capture;
use crate::feed::{Feed, FeedConfig, Line, Packet};
use crate::gateway::SessionConfig;
use crate::hedge::{BandConfig, HedgeConfig};
use crate::portfolio::{GreeksConfig, OpeningBook};
use crate::runtime::clock::StampClock;
use crate::sim::Replay;
use crate::telemetry::{Recorder, Report};
use crate::units::{Nanos, Ticks};

/// Replays, reports, and checks that nothing was lost on the way.
pub(super) fn run(args: &ReplayArgs) -> Result<(), CliError> {
    let output = Output::open(&args.output)?;
    let started = SystemTime::now();
    let opening = match &args.positions {
        Some(path) => OpeningBook::Positions(positions::read(path, &listed_in(&args.pcap)?)?),
        None => OpeningBook::ShortEveryOption,
    };
    let first = first_time(&args.pcap)?;
    let mut replay = start(args, opening, first)?;
    let mut last = first;
    let progress = ProgressLine::new("replaying");
    for path in &args.pcap {
        for_each_datagram(path, |time, port, bytes| {
            replay.datagram(time, port, bytes);
            last = time;
            progress.tick(|| format!("{} packets", replay.feed().counters().packets));
        })?;
    }
    progress.finish();

    let mut report = Report::default();
    summary::feed(&mut report, replay.feed());
    replay.recorder().fill(&mut report);
    summary::surface(&mut report, replay.surface());
    summary::greeks(&mut report, replay.greeks());
    summary::hedge(&mut report, replay.hedge());
    let seconds = last.since(first) as f64 / Nanos::PER_SECOND as f64;
    let title = format!("replayed {} file(s), {seconds:.1} s of market, fills on paper", args.pcap.len());
    output.publish(&title, &report, &replay.recorder().latencies, started)?;
    check(&replay, &report)
}

/// What must hold whatever the captures contain.
fn check(replay: &Replay<StampClock>, report: &Report) -> Result<(), CliError> {
    if replay.lost() > 0 {
        return Err(CliError::CheckFailed(format!("{} messages found a queue full", replay.lost())));
    }
    if report.snapshots_equal != report.snapshots_compared {
        return Err(CliError::CheckFailed(format!(
            "{} snapshots differ from the books built here",
            report.snapshots_compared - report.snapshots_equal
        )));
    }
    if report.hot_allocations > 0 {
        return Err(CliError::CheckFailed(format!("{} heap allocations in the stages", report.hot_allocations)));
    }
    Ok(())
}

fn start(args: &ReplayArgs, opening: OpeningBook, time: Nanos) -> Result<Replay<StampClock>, CliError> {
    let clock = StampClock::calibrate();
    let greeks = args.conventions.apply(GreeksConfig { opening, ..GreeksConfig::default() });
    let started_s = u32::try_from(time.0 / Nanos::PER_SECOND).unwrap_or(u32::MAX);
    let band = BandConfig { risk_aversion: args.risk_aversion, half_width_min: 0.0, ..BandConfig::default() };
    let hedge = HedgeConfig { started_s, policy: args.policy, band, ..HedgeConfig::default() };
    let session = SessionConfig::new("replay", "paper")?;
    Ok(Replay::new(greeks, hedge, session, Recorder::new(clock.nanos_per_tick()), clock))
}

/// When the first datagram was captured.
fn first_time(paths: &[PathBuf]) -> Result<Nanos, CliError> {
    for path in paths {
        if let Some(datagram) = Capture::open(path)?.next_datagram()? {
            return Ok(datagram.time);
        }
    }
    Err(CliError::Input("the captures hold no UDP datagram over IPv4".to_owned()))
}

/// Every instrument that the captures list, by name.
fn listed_in(paths: &[PathBuf]) -> Result<positions::Known, CliError> {
    let mut feed = Feed::new(FeedConfig::default());
    let mut events = Vec::new();
    for path in paths {
        for_each_datagram(path, |time, port, bytes| {
            feed.step(&Packet { time, received: Ticks::default(), port, line: Line::A, bytes }, &mut events);
            events.clear();
        })?;
    }
    let named = |instrument: &crate::instrument::Instrument| {
        feed.name(instrument.id).map(|name| (name.to_owned(), (instrument.venue, instrument.lot)))
    };
    Ok(feed.catalogue().instruments().iter().filter_map(named).collect())
}

/// Hands over every datagram of a capture; an unreadable or cut file is an error, after what could be read of it.
fn for_each_datagram(path: &Path, mut take: impl FnMut(Nanos, u16, &[u8])) -> Result<(), CliError> {
    let mut capture = Capture::open(path)?;
    while let Some(datagram) = capture.next_datagram()? {
        take(datagram.time, datagram.destination.port(), datagram.payload);
    }
    Ok(())
}
