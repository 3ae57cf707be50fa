//! `hedgecore demo`: a book of options hedged for a few seconds against the embedded venue, through real sockets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, ValueEnum};

use super::conventions::ConventionArgs;
use super::display::{Display, DisplayArgs};
use super::kill::{self, Thrown};
use super::metrics::{self, MetricsArgs};
use super::output::{Output, OutputArgs};
use super::recover::{DurabilityChoice, OnDifference, crash_and_recover};
use super::{CliError, summary};
use crate::feed::{FeedConfig, Protocol};
use crate::gateway::fix::{Credentials, FixConfig, FixRules};
use crate::gateway::{GatewayConfig, SessionConfig};
use crate::hedge::{BandConfig, HedgeConfig, Policy};
use crate::instrument::OptionKind;
use crate::journal::{Durability, WriterConfig};
use crate::portfolio::{GreeksConfig, OpeningBook};
use crate::runtime::control::ControlConfig;
use crate::runtime::placement::{self, Request, Topology};
use crate::runtime::socket::{FeedAddress, OrderAddress};
use crate::runtime::{Finished, JournalConfig, OnFailure, Pipeline, PipelineConfig};
use crate::sim::random::Random;
use crate::sim::venue::{Endpoints, FixNames, Statement, Universe, VenueConfig, VenueServer};
use crate::surface::SurfaceConfig;
use crate::telemetry::{JournalFigures, NetDelta, Report, VenueFigures};
use crate::units::{Lots, Nanos, VenueInstrumentId};

/// How often the progress line has something new.
const LOOK: Duration = Duration::from_millis(50);
/// After the market is frozen: orders must have ceased for so long,
const QUIET: Duration = Duration::from_millis(400);
/// and are waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much smaller the hedged variance must be,
const VARIANCE_RATIO_MIN: f64 = 10.0;
/// in runs of at least so many seconds; a shorter one may end before there are changes enough to judge by.
const VARIANCE_JUDGED_S: u64 = 10;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How long to hedge, seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Seed of the venue's market and of the book
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Which stages share a thread: fused, split, solo, or auto by the cores available
    #[arg(long, default_value = "auto")]
    topology: String,
    /// The venue's market data: classic (levels, one line) or starbase (orders, two lines, requests for what is missing)
    #[arg(long, value_enum, default_value_t = Market::Classic)]
    feed: Market,
    /// Pin the hot threads to these cores, in pipeline order, such as 1,2
    #[arg(long, value_name = "LIST")]
    cores: Option<String>,
    /// Absolute risk aversion of the no-trade band, per unit of quote currency
    #[arg(long, value_name = "GAMMA", default_value_t = 1e-3, value_parser = super::positive)]
    risk_aversion: f64,
    /// Which protocol orders go by
    #[arg(long, value_enum, default_value_t = OrderProtocol::Starbase)]
    orders: OrderProtocol,
    /// Throw the kill switch after so many seconds, and check on the venue's side that nothing left afterwards
    #[arg(long, value_name = "SECONDS", value_parser = super::positive)]
    kill_after: Option<f64>,
    /// Lose the pipeline without a word after this many seconds, and start again from the journal in --out
    #[arg(long, value_name = "SECONDS", requires = "out", conflicts_with = "kill_after")]
    crash_after: Option<f64>,
    /// What a crash may take from the journal in --out: none (of what the system has) is durable, batched by milliseconds,
    /// or before-send, each order before it leaves
    #[arg(long, value_name = "MODE", default_value = "batched", requires = "out")]
    durability: DurabilityChoice,
    /// Where the venue's account differs from the journal's after a crash: halt, or adopt the venue's
    #[arg(long, value_name = "POLICY", default_value = "halt", requires = "crash_after")]
    on_difference: OnDifference,
    /// Take commands of `hedgecore control` on a socket at this path
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// What decides on hedges: whalley-wilmott or zakamouline (bands on delta), or program (perpetual, futures and options)
    #[arg(long, default_value_t = Policy::default(), value_parser = clap::value_parser!(Policy))]
    policy: Policy,
    #[command(flatten)]
    display: DisplayArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
    #[command(flatten)]
    conventions: ConventionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The format of the venue's market data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Market {
    Classic,
    Starbase,
}

impl Market {
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Classic => Protocol::Classic,
            Self::Starbase => Protocol::Starbase,
        }
    }

    fn config(self) -> FeedConfig {
        match self {
            Self::Classic => FeedConfig::default(),
            Self::Starbase => FeedConfig::starbase(),
        }
    }
}

/// Hedges, reports, and checks what a desk would check.
pub(super) fn run(args: &DemoArgs) -> Result<(), CliError> {
    if args.kill_after.is_some_and(|after| after >= args.seconds as f64) {
        return Err(CliError::Input(format!("--kill-after has to lie within the {} seconds of the run", args.seconds)));
    }
    args.display.check()?;
    let output = Output::open(&args.output)?;
    let port = args.metrics.open(None)?;
    let cores = placement::available_cores();
    let request = Request {
        topology: args.topology.parse::<Topology>()?,
        cores: args.cores.as_deref().map(placement::parse_cores).transpose()?,
        idle: None,
    };
    let plan = placement::plan(&request, &cores)?;
    let topology = plan.topology;
    let started = SystemTime::now();
    let (mut venue_config, opening) = venue_and_book(args.seed, started);
    let session = session(args.orders, &mut venue_config)?;
    venue_config.publish.protocol = args.feed.protocol();
    let two_lines = args.feed == Market::Starbase;
    let venue = VenueServer::spawn_at(venue_config, Endpoints { two_lines, ..Endpoints::default() })?;
    let band = BandConfig { risk_aversion: args.risk_aversion, ..BandConfig::default() };
    let config = PipelineConfig {
        plan,
        feeds: venue.feed_addresses().iter().map(|feed| FeedAddress { timestamps: true, ..*feed }).collect(),
        orders: OrderAddress::new(venue.order_address()),
        feed: args.feed.config(),
        greeks: args.conventions.apply(GreeksConfig { opening, ..GreeksConfig::default() }),
        surface: SurfaceConfig::default(),
        hedge: HedgeConfig {
            started_s: since_epoch(started).as_secs() as u32,
            policy: args.policy,
            band,
            ..HedgeConfig::default()
        },
        session,
        journal: args.output.out.as_deref().map(|out| journal_in(out, args.durability.into())),
        drop_copy: None,
        control: ControlConfig { socket: args.control.clone(), signals: true, ..ControlConfig::default() },
    };
    let mut lasts = Duration::from_secs(args.seconds);
    let pipeline = match args.crash_after.map(Duration::from_secs_f64) {
        Some(after) => {
            lasts = lasts.saturating_sub(after);
            crash_and_recover(config, &venue, after, args.on_difference.into())?
        }
        None => Pipeline::start(config)?,
    };
    let served = metrics::serve(port, &pipeline)?;
    let display = args.display.open("hedging", &pipeline)?;
    let thrown = watch(&pipeline, display, lasts, args.kill_after.map(Duration::from_secs_f64));
    venue.freeze();
    wait_for_quiet(&pipeline);
    let stop = summary::stop(&pipeline.risk());
    drop(served);
    let mut finished = pipeline.stop()?;
    finished.notices.extend_from_slice(venue.notices());
    let statement = venue.stop()?;

    let mut report = report(&finished, &statement, topology, cores.len());
    report.stop = stop;
    report.kill = thrown.map(|thrown| thrown.figures(&mut finished, &statement));
    let held = finished.recorder.ledger.options_held();
    let title = format!("hedged a book of {held} options for {} s, seed {}", args.seconds, args.seed);
    output.publish(&title, &report, &finished.recorder.latencies, started)?;
    check(&report, args)
}

/// The journal of a run that leaves its results in `directory`.
fn journal_in(directory: &Path, durability: Durability) -> JournalConfig {
    let writer = WriterConfig { durability, ..WriterConfig::default() };
    JournalConfig { directory: directory.join("journal"), writer, on_failure: OnFailure::default() }
}

/// A protocol for orders.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OrderProtocol {
    /// Binary, over TCP
    Starbase,
    /// FIX 4.4
    Fix,
}

/// The order session, and the venue's end of it.
fn session(protocol: OrderProtocol, venue: &mut VenueConfig) -> Result<GatewayConfig, CliError> {
    let (client, secret) = (&venue.session.client_id, &venue.session.secret);
    Ok(match protocol {
        OrderProtocol::Starbase => SessionConfig::new(client, secret)?.into(),
        OrderProtocol::Fix => {
            let (desk, server) = ("DESK", "DERIBITSERVER");
            let credentials = Credentials::new(client, secret)?;
            let (sender, target) = (server.to_owned(), desk.to_owned());
            let names = FixNames { sender, target, reset_on_logon: false, drop_copy: None };
            venue.session.fix = Some(names);
            FixConfig::new(FixRules::new(desk, server)?, credentials, super::unguessable()?).into()
        }
    })
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// A venue that opens now, where the client holds a book of options drawn from the seed: short calls and long puts, as it
/// is left to a market maker whose customers bet on a rise, so that there is a delta worth hedging.
/// The book comes twice: by name for the venue, by its numbers for the greeks.
fn venue_and_book(seed: u64, started: SystemTime) -> (VenueConfig, OpeningBook) {
    let start = Nanos(since_epoch(started).as_nanos() as u64);
    let mut config = VenueConfig { seed, start, ..VenueConfig::default() };
    let mut random = Random::new(seed);
    let mut book = Vec::new();
    for contract in Universe::new(&config.universe, start).contracts {
        let lots = match contract.option {
            Some(OptionKind::Call) => -1 - random.below(5) as i64,
            Some(OptionKind::Put) => 1 + random.below(5) as i64,
            None => continue,
        };
        book.push((contract.venue, Lots(lots)));
        config.positions.push((contract.name, Lots(lots)));
    }
    (config, OpeningBook::Positions(book.into()))
}

/// Shows how far the run is until its time is up or a signal ends it, and throws the kill switch on the way if asked to.
fn watch(pipeline: &Pipeline, mut display: Display, lasts: Duration, kill_after: Option<Duration>) -> Option<Thrown> {
    let start = Instant::now();
    let mut thrown = None;
    while start.elapsed() < lasts && !pipeline.is_interrupted() {
        display.wait(LOOK.min(lasts));
        if thrown.is_none() && kill_after.is_some_and(|after| start.elapsed() >= after) {
            thrown = Some(kill::throw(pipeline, start.elapsed()));
        }
        display.tick(|| {
            let progress = pipeline.progress();
            let deltas: Vec<String> =
                progress.net_delta.iter().map(|(name, delta)| format!("{name} {delta:+.4}")).collect();
            format!(
                "{} exposures, {} orders, {} fills, net delta {}",
                progress.exposures,
                progress.requests,
                progress.fills,
                deltas.join(" ")
            )
        });
    }
    display.finish();
    thrown
}

/// Waits until no order has left for a while: the market stands still, so every underlying is inside its band.
fn wait_for_quiet(pipeline: &Pipeline) {
    let start = Instant::now();
    let (mut last, mut since) = (pipeline.progress().requests, Instant::now());
    while since.elapsed() < QUIET && start.elapsed() < PATIENCE {
        thread::sleep(LOOK);
        let requests = pipeline.progress().requests;
        if requests != last {
            (last, since) = (requests, Instant::now());
        }
    }
}

fn report(finished: &Finished, statement: &Statement, topology: Topology, cores: usize) -> Report {
    let mut report = Report::default();
    summary::feed(&mut report, &finished.feed);
    finished.recorder.fill(&mut report);
    report.sockets = summary::sockets(&finished.sockets);
    summary::surface(&mut report, &finished.surface);
    summary::greeks(&mut report, &finished.greeks);
    summary::hedge(&mut report, &finished.hedge);
    report.journal = summary::journal(finished);
    let sent = finished.gateway.counters();
    let ratios = finished.recorder.ledger.accounts().filter_map(|(_, _, account)| account.variance_ratio());
    report.venue = Some(VenueFigures {
        hedged_variance_ratio: ratios.reduce(f64::min),
        positions_reconciled: positions_equal(finished, statement),
        topology: topology.to_string(),
        cores,
        order_drops: report.orders.saturating_sub(sent.orders) + sent.refused,
        recorder_lost: finished.recorder_lost,
        receive_errors: finished.receive_errors,
        conflated: finished.feed.counters().conflated,
        notices: finished.notices.clone(),
    });
    report
}

/// Whether what we think we hold is what the venue says we hold, contract by contract.
fn positions_equal(finished: &Finished, statement: &Statement) -> bool {
    let theirs: BTreeMap<VenueInstrumentId, Lots> = statement
        .positions
        .iter()
        .filter(|position| position.lots.0 != 0)
        .map(|position| (position.instrument, position.lots))
        .collect();
    let catalogue = finished.greeks.catalogue();
    let ours: BTreeMap<VenueInstrumentId, Lots> = finished
        .greeks
        .positions()
        .filter_map(|(id, lots)| catalogue.find(id).map(|instrument| (instrument.venue, lots)))
        .collect();
    ours == theirs
}

/// What a desk would check, in the order in which it would worry.
fn check(report: &Report, args: &DemoArgs) -> Result<(), CliError> {
    let Some(venue) = &report.venue else { return Ok(()) };
    // The band's region is an interval of delta; the program's is known to the program alone.
    let by_program = args.policy == Policy::Program;
    let is_outside = |delta: &NetDelta| delta.after.abs() > delta.band && !(by_program && delta.at_rest);
    let outside: Vec<&str> =
        report.net_delta.iter().filter(|(_, delta)| is_outside(delta)).map(|(name, _)| name.as_str()).collect();
    // What was stopped was not hedged to its end: neither its bands nor its variance say anything. Variance is that of the
    // book in coins; one that is neutral in dollars does not aim at it. A stop is a fault unless a person asked for it.
    let killed = report.kill.as_ref();
    let (is_whole, in_coins) = (report.stop.is_none(), args.conventions.is_in_coins());
    let ratio = venue.hedged_variance_ratio.filter(|_| is_whole && in_coins);
    let is_judged = is_whole && in_coins && args.seconds >= VARIANCE_JUDGED_S;
    let unasked = report.stop.as_ref().filter(|stop| !stop.was_asked_for);
    let journal = report.journal.as_ref().and_then(JournalFigures::fault);
    let faults = [
        (killed.is_some_and(|kill| !kill.verified), "the kill switch was thrown and not everything stopped".to_owned()),
        (unasked.is_some(), unasked.map_or(String::new(), |stop| format!("trading was stopped: {stop}"))),
        (!venue.positions_reconciled, "positions differ from the venue's".to_owned()),
        (venue.order_drops > 0 && is_whole, format!("{} order messages were dropped", venue.order_drops)),
        ((report.orders == 0 || report.fills == 0) && is_whole, "nothing was hedged".to_owned()),
        (!outside.is_empty() && is_whole, format!("net delta ended outside its band: {}", outside.join(", "))),
        (
            ratio.is_some_and(|ratio| ratio < VARIANCE_RATIO_MIN),
            format!("hedged variance is only {:.1} times smaller, not {VARIANCE_RATIO_MIN}", ratio.unwrap_or_default()),
        ),
        (ratio.is_none() && is_judged, "hedged variance could not be measured".to_owned()),
        (journal.is_some(), journal.unwrap_or_default()),
        (report.hot_allocations > 0, format!("{} heap allocations on hot threads", report.hot_allocations)),
        (diverged(report), "the lines of market data brought different bytes under one number".to_owned()),
        (venue.recorder_lost > 0, format!("{} events were lost to the recorder", venue.recorder_lost)),
    ];
    let found: Vec<String> = faults.into_iter().filter(|(fault, _)| *fault).map(|(_, what)| what).collect();
    if found.is_empty() { Ok(()) } else { Err(CliError::CheckFailed(found.join("; "))) }
}

/// Whether one of the lines lies.
fn diverged(report: &Report) -> bool {
    report.lines.iter().any(|(what, copies)| what.starts_with("divergent") && *copies > 0)
}
