//! The pipeline as it runs: stages on pinned threads, joined by rings, over real sockets.
//!
//! ```text
//!  fused   [ feed → greeks → hedge ]──orders──►[ gateway ]         reports ──► greeks
//!  split   [ feed ]─market─►[ greeks ]─exposures─►[ hedge ]─orders─►[ gateway ]
//!  solo    [ feed → greeks → hedge ──orders──► gateway ]
//!  cold    [ surface ]◄─market        calibrations ──► greeks          anchors asked for and rebuilt ◄──► greeks
//!          [ recorder ]◄─exposures, calibrations, orders
//!          [ control ]           commands ──► greeks; a halt ──► gateway too
//!          [ drop copy ]         executions of the recorder's held against the venue's second telling
//! ```
//!
//! Start: sockets are opened and stages built before any thread runs, so what cannot work is told at once. Stop: trading is
//! paused and what is under way at the venue given a moment to end; then the feed ends first and closes its ring, each next stage drains what was published and follows, the gateway logs out last; what
//! it still reported is then given to the greeks and the hedge. Nothing published is lost, and every stage comes back.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::alloc::mark_hot;
use super::clock::StampClock;
use super::control::{ControlConfig, ControlError, Controls, Desk, RiskShown};
use super::drop_copy::{self, DropCopy, DropCopyConfig, DropCopySummary, Notes};
use super::fused::Fused;
use super::idle::{IdleStrategy, Idler};
use super::journal::{self, Health, HotTaps, JournalConfig, JournalSummary, Keeper, Tap};
use super::memory::{MemoryLock, lock_memory, prefault_stack};
use super::observer::{self, Observer};
use super::order_link::OrderLink;
use super::outbox::Link;
use super::placement::{HotStage, Plan, Topology, pin_current_thread};
use super::socket::{Alarm, FeedAddress, FeedSocket, OrderAddress, SocketError, SocketStats};
use super::threads::{self, FusedShows, Ingest, Rest, SharedControl, SideInputs, Taps, WatchedGreeks, WatchedHedge};
use super::watched::Watched;
use super::watched_gateway::WatchedGateway;
use crate::event::{Event, KillCause, KillLevel, Operator};
use crate::feed::{Feed, FeedConfig};
use crate::gateway::{Gateway, GatewayConfig, OrderTraffic};
use crate::hedge::{Hedge, HedgeConfig};
use crate::journal::{Blank, Decision, Directory, Head, Record, Settings, Stream, WriteError, Writer};
use crate::portfolio::{Greeks, GreeksConfig, rebuild};
use crate::ring::{self, Consumer, RingError};
use crate::risk::Instruction;
use crate::stage::Stage;
use crate::surface::{Surface, SurfaceConfig};
use crate::telemetry::live::SharedRecorded;
use crate::telemetry::{Progress, Recorder, SharedProgress};

/// Slots of the rings that carry market data and exposures.
const MARKET_SLOTS: usize = 1 << 15;
/// Slots of the rings that carry orders and reports.
const ORDER_SLOTS: usize = 1 << 12;
/// Slots of the ring that carries an operator's commands.
const COMMAND_SLOTS: usize = 1 << 6;
/// How long orders may take to end before a stop.
const SETTLE: Duration = Duration::from_millis(500);
/// Between two looks at whether they have.
const LOOK: Duration = Duration::from_millis(1);

/// Everything a pipeline is made from.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// Which stages share a thread, and where threads run.
    pub plan: Plan,
    /// Where market data comes from.
    pub feeds: Vec<FeedAddress>,
    /// Where orders go, and how the connection is kept.
    pub orders: OrderAddress,
    /// Settings of the feed.
    pub feed: FeedConfig,
    /// Settings of the greeks.
    pub greeks: GreeksConfig,
    /// Settings of the surface.
    pub surface: SurfaceConfig,
    /// Settings of the hedge.
    pub hedge: HedgeConfig,
    /// Settings of the order session.
    pub session: GatewayConfig,
    /// How it is controlled.
    pub control: ControlConfig,
    /// Where everything is written down, if it is.
    pub journal: Option<JournalConfig>,
    /// A second witness of executions, if there is one.
    pub drop_copy: Option<DropCopyConfig>,
}

/// Why a pipeline did not start.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A socket could not be opened.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The operator's control could not be set up.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The journal could not be begun.
    #[error(transparent)]
    Journal(#[from] WriteError),
    /// The journal's directory could not be used.
    #[error("the journal cannot be kept in {0}: {1}")]
    JournalDirectory(std::path::PathBuf, std::io::Error),
    /// A ring could not be built.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A thread, or what wakes it, could not be made.
    #[error("a thread or what wakes it could not be made: {0}")]
    Thread(#[from] std::io::Error),
    /// A thread ended in a panic, which is a defect of ours.
    #[error("the {0} thread panicked")]
    Panicked(&'static str),
}

/// A pipeline at work.
#[derive(Debug)]
pub struct Pipeline {
    control: SharedControl,
    controls: Arc<Controls>,
    progress: SharedProgress,
    observer: Observer,
    front: Front,
    surface: JoinHandle<Surface>,
    recorder: JoinHandle<(Recorder, Option<Keeper>, Option<Notes>)>,
    drop_copy: Option<JoinHandle<DropCopySummary>>,
    desk: JoinHandle<()>,
    notices: Vec<String>,
}

/// The hot threads.
#[derive(Debug)]
enum Front {
    Fused(JoinHandle<(threads::FusedPipeline, SideInputs, Ingest)>, JoinHandle<Gateway>),
    Split(
        JoinHandle<(Feed, Link<Event>, Ingest)>,
        JoinHandle<(WatchedGreeks, Link<Event>, SideInputs)>,
        JoinHandle<(WatchedHedge, Link<Instruction>)>,
        JoinHandle<Gateway>,
    ),
    Solo(JoinHandle<(threads::FusedPipeline, SideInputs, Ingest, Gateway)>),
}

/// What comes back from a pipeline.
#[derive(Debug)]
pub struct Finished {
    /// The feed.
    pub feed: Feed,
    /// The greeks.
    pub greeks: Greeks,
    /// The hedge.
    pub hedge: Hedge,
    /// The gateway.
    pub gateway: Gateway,
    /// The surface.
    pub surface: Surface,
    /// The recorder.
    pub recorder: Recorder,
    /// What the journal came to, if there was one.
    pub journal: Option<JournalSummary>,
    /// What the second witness came to, if there was one.
    pub drop_copy: Option<DropCopySummary>,
    /// Events that the cold side did not see.
    pub recorder_lost: u64,
    /// Failed reads of market-data sockets.
    pub receive_errors: u64,
    /// What came on the market-data sockets, and what did not.
    pub sockets: SocketStats,
    /// What the machine did not permit.
    pub notices: Vec<String>,
}

impl Pipeline {
    /// Opens the sockets, builds the stages, starts the threads.
    pub fn start(config: PipelineConfig) -> Result<Self, PipelineError> {
        let clock = StampClock::calibrate();
        let mut notices = config.plan.notices.clone();
        let mut sockets = Vec::with_capacity(config.feeds.len());
        for address in &config.feeds {
            let socket = FeedSocket::open(address)?;
            notices.extend(socket.notices().map(ToOwned::to_owned));
            sockets.push(socket);
        }
        let begun = config.journal.as_ref().map(|journal| begin_journal(journal, &config)).transpose()?;
        let (taps, keeper, health) = begun.unwrap_or_default();
        let HotTaps { greeks: greeks_tap, hedge: hedge_tap, session: session_tap } = taps;
        let feed = Feed::new(config.feed);
        let (rebuilds, rebuilder) = rebuild::elsewhere();
        let greeks = Watched::new(Greeks::with_rebuilds(config.greeks, rebuilds), greeks_tap);
        let hedge = Watched::new(Hedge::new(config.hedge), hedge_tap);
        let recorder = Recorder::new(clock.nanos_per_tick());
        let surface = Surface::new(config.surface);

        let idle = config.plan.idle;
        let mut front_rest = Rest::new(idle)?;
        let mut gateway_rest = if config.plan.topology == Topology::Solo { None } else { Some(Rest::new(idle)?) };
        let orders_alarm = gateway_rest.as_ref().unwrap_or(&front_rest).alarm();
        let ingest = Ingest::new(sockets, &mut front_rest, clock)?;

        let cold = |stream| (health.as_ref(), stream);
        let (orders, orders_in, orders_tap) = link(ORDER_SLOTS, orders_alarm, cold(Stream::Decisions))?;
        let (reports, [reports_in]) = ring::broadcast(ORDER_SLOTS)?;
        let (calibrations, [calibrations_in, calibrations_tap]) = ring::broadcast(MARKET_SLOTS)?;
        let (commands, [commands_in]) = ring::broadcast(COMMAND_SLOTS)?;
        let side = SideInputs { reports: reports_in, calibrations: calibrations_in, commands: commands_in };
        match lock_memory() {
            MemoryLock::Locked => {}
            refused => notices.push(refused.to_string()),
        }

        let control = SharedControl::default();
        let controls = Arc::new(Controls::new(commands, Arc::clone(&control.board), clock));
        let desk = Desk::open(&config.control, Arc::clone(&controls))?;
        let (progress, recorded) = (SharedProgress::default(), SharedRecorded::default());
        let (shows, observer) =
            observer::join(Arc::clone(&controls), Arc::clone(&recorded), clock, config.plan.topology);
        let spawner = Spawner::new(&config.plan);
        let gateway = WatchedGateway::new(Gateway::new(config.session), reports, session_tap, clock);
        let link_to = |alarm| OrderLink::new(gateway, config.orders, alarm, clock, shows.gateway);
        let spawn_gateway = |link: OrderLink, orders_in, rest| {
            let control = Arc::clone(&control);
            spawner.hot(HotStage::Gateway, move || link.run(orders_in, &control, rest))
        };
        let is_split = config.plan.topology == Topology::Split;
        let (front, surface_in, exposures_tap) = if let Some(gateway_rest) = gateway_rest.take_if(|_| is_split) {
            let (greeks_rest, hedge_rest) = (Rest::new(idle)?, Rest::new(idle)?);
            let order_link = link_to(greeks_rest.alarm());
            let (market, market_in, surface_in) = link(MARKET_SLOTS, greeks_rest.alarm(), (None, Stream::Inputs))?;
            let (exposures, exposures_in, exposures_tap) =
                link(MARKET_SLOTS, hedge_rest.alarm(), cold(Stream::Outputs))?;
            let [feed_control, greeks_control, hedge_control] = [(); 3].map(|()| Arc::clone(&control));
            let feed = spawner.hot(HotStage::Feed, move || {
                threads::run_feed(feed, ingest, market, &feed_control, clock, front_rest, shows.feed)
            })?;
            let greeks = spawner.hot(HotStage::Greeks, move || {
                let rest = (greeks_rest, shows.greeks);
                threads::run_greeks(greeks, market_in, side, exposures, &greeks_control, clock, rest)
            })?;
            let hedge = spawner.hot(HotStage::Hedge, move || {
                threads::run_hedge(hedge, exposures_in, orders, &hedge_control, clock, hedge_rest, shows.hedge)
            })?;
            let gateway = spawn_gateway(order_link, orders_in, gateway_rest)?;
            (Front::Split(feed, greeks, hedge, gateway), surface_in, exposures_tap)
        } else {
            let order_link = link_to(front_rest.alarm());
            let (market, [surface_in]) = ring::broadcast(MARKET_SLOTS)?;
            let (exposures, [exposures_tap]) = ring::broadcast(MARKET_SLOTS)?;
            let exposures = Tap::new(exposures, health.as_ref(), Stream::Outputs);
            let fused = Fused::watched(feed, greeks, hedge, orders, market, exposures, clock);
            let front_control = Arc::clone(&control);
            let fused_shows = FusedShows { feed: shows.feed, greeks: shows.greeks, hedge: shows.hedge };
            let front = if let Some(gateway_rest) = gateway_rest {
                let fused = spawner.hot(HotStage::Feed, move || {
                    threads::run_fused(fused, ingest, side, &front_control, clock, front_rest, fused_shows)
                })?;
                Front::Fused(fused, spawn_gateway(order_link, orders_in, gateway_rest)?)
            } else {
                Front::Solo(spawner.hot(HotStage::Feed, move || {
                    let (orders, rest) = ((order_link, orders_in), (front_rest, fused_shows));
                    threads::run_solo(fused, ingest, side, orders, &front_control, clock, rest)
                })?)
            };
            (front, surface_in, exposures_tap)
        };
        let surface = spawner.cold("surface", move |idler| {
            threads::run_surface(surface, rebuilder, surface_in, calibrations, clock, shows.surface, idler)
        })?;
        let keeper = keeper.map(|keeper| keeper.answering_to(Arc::clone(&controls)));
        let started_s = config.hedge.started_s;
        let listen = |of| drop_copy::join(of, started_s, Arc::clone(&controls), clock, shows.drop_copy);
        let drop_copy = config.drop_copy.map(listen);
        let (notes, drop_copy) = drop_copy.unzip();
        let taps = Taps { exposures: exposures_tap, calibrations: calibrations_tap, orders: orders_tap, keeper, notes };
        let abandoned = Arc::clone(&control);
        let listen = |copy: DropCopy| spawner.cold("drop copy", move |_| copy.run(|| abandoned.is_abandoned()));
        let drop_copy = drop_copy.map(listen).transpose()?;
        let (shared, recorder_control) = (Arc::clone(&progress), Arc::clone(&control));
        let recorder = spawner.cold("recorder", move |idler| {
            threads::run_recorder(recorder, taps, (&shared, &recorded), &recorder_control, clock, idler)
        })?;
        let ended = Arc::clone(&control);
        let desk = spawner.cold("control", move |_| desk.run(|| ended.is_stopping()))?;
        Ok(Self { control, controls, progress, observer, front, surface, recorder, drop_copy, desk, notices })
    }

    /// How far it is, a few milliseconds ago.
    pub fn progress(&self) -> Progress {
        self.progress.lock().map(|progress| progress.clone()).unwrap_or_default()
    }

    /// Looks at it, from any thread and for as long as wanted.
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Puts a level of the kill switch in force in somebody's name; false when too many commands wait. It is in force when
    /// [`risk`](Self::risk) shows it.
    pub fn command(&self, level: KillLevel, by: Operator) -> bool {
        self.controls.command(level, KillCause::Operator, by)
    }

    /// What risk said, a millisecond ago.
    pub fn risk(&self) -> RiskShown {
        self.controls.risk()
    }

    /// What had been handed to the socket of orders when the gateway shut the way out; `None` while it is open.
    pub fn shut_at(&self) -> Option<OrderTraffic> {
        self.controls.shut_at()
    }

    /// Whether a signal asked for the end.
    pub fn is_interrupted(&self) -> bool {
        self.controls.is_interrupted()
    }

    /// Leaves everything as it is, at once: no drain, no logout, no end to the journal. What the death of the process would
    /// leave behind, without the death.
    pub fn abandon(self) {
        self.control.abandon();
        match self.front {
            Front::Fused(fused, gateway) => drop((fused.join(), gateway.join())),
            Front::Split(feed, greeks, hedge, gateway) => {
                drop((feed.join(), greeks.join(), hedge.join(), gateway.join()));
            }
            Front::Solo(all) => drop(all.join()),
        }
        drop((self.surface.join(), self.recorder.join(), self.desk.join(), self.drop_copy.map(JoinHandle::join)));
    }

    /// Sends nothing more, and gives the venue a moment to say what becomes of what it has: a fill that is on its way
    /// belongs to what was held at the end.
    fn settle(&self) {
        let began = Instant::now();
        let sent = self.controls.command(KillLevel::Pause, KillCause::Shutdown, Operator::NOBODY);
        let is_settled = |risk: RiskShown| risk.level >= KillLevel::Pause && risk.open_orders == 0;
        while sent && !is_settled(self.risk()) && began.elapsed() < SETTLE {
            thread::sleep(LOOK);
        }
    }

    /// Stops it in order and brings back every stage. A thread that panicked is an error that names it.
    pub fn stop(self) -> Result<Finished, PipelineError> {
        self.settle();
        self.control.stop();
        let apart = |mut fused: threads::FusedPipeline| {
            let lost = fused.tap_lost() + fused.instructions().tap_lost;
            (fused.into_stages(), lost)
        };
        let ((feed, mut greeks, mut hedge), recorder_lost, ingest, late_reports, gateway) = match self.front {
            Front::Fused(fused, gateway) => {
                let (fused, side, ingest) = join("front", fused)?;
                let (stages, lost) = apart(fused);
                (stages, lost, ingest, late(side), join("gateway", gateway)?)
            }
            Front::Solo(all) => {
                let (fused, side, ingest, gateway) = join("front", all)?;
                let (stages, lost) = apart(fused);
                (stages, lost, ingest, late(side), gateway)
            }
            Front::Split(feed, greeks, hedge, gateway) => {
                let (feed, market, ingest) = join("feed", feed)?;
                let mut lost = market.tap_lost;
                drop(market);
                let (greeks, exposures, side) = join("greeks", greeks)?;
                lost += exposures.tap_lost;
                drop(exposures);
                let (hedge, orders) = join("hedge", hedge)?;
                lost += orders.tap_lost;
                drop(orders);
                let stages = (feed, greeks.into_stage(), hedge.into_stage());
                (stages, lost, ingest, late(side), join("gateway", gateway)?)
            }
        };
        let surface = join("surface", self.surface)?;
        let (mut recorder, mut keeper, notes) = join("recorder", self.recorder)?;
        join("control", self.desk)?;

        // What the venue still reported after the greeks had ended.
        let (mut late, mut exposures, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for report in late_reports {
            greeks.step(&report, &mut exposures);
            late.push(Record::Input { event: report });
        }
        for event in exposures {
            recorder.event(&event);
            notes.iter().for_each(|notes| notes.event(&event));
            hedge.step(&event, &mut orders);
            late.push(Record::Output { event });
        }
        for instruction in &orders {
            recorder.instruction(instruction);
            late.push(Record::Decision { decision: Decision::from(instruction) });
        }
        if let Some(keeper) = &mut keeper {
            late.iter().for_each(|record| keeper.append_late(record));
        }
        // With the last of what the order session told, the witness has heard all.
        drop(notes);
        let drop_copy = self.drop_copy.map(|thread| join("drop copy", thread)).transpose()?;
        Ok(Finished {
            feed,
            greeks,
            hedge,
            gateway,
            surface,
            recorder,
            journal: keeper.map(Keeper::close),
            drop_copy,
            recorder_lost,
            receive_errors: ingest.errors(),
            sockets: ingest.stats(),
            notices: self.notices,
        })
    }
}

/// A link between hot threads, its hot end and its cold one.
type LinkEnds<M> = (Link<M>, Consumer<M>, Consumer<M>);

/// `journal` counts what the cold end loses, on its stream.
fn link<M: Copy + Send + Sync>(
    slots: usize,
    alarm: Alarm,
    (journal, stream): (Option<&Arc<Health>>, Stream),
) -> Result<LinkEnds<M>, RingError> {
    let (ring, [hot]) = ring::broadcast(slots)?;
    let (tap, [cold]) = ring::broadcast(slots)?;
    Ok((Link::new(ring, alarm, Tap::new(tap, journal, stream)), hot, cold))
}

/// The ends of a journal; all are empty without one.
type JournalEnds = (HotTaps, Option<Keeper>, Option<Arc<Health>>);

/// Begins the next run in the journal's directory; its head and settings are on the disk when this returns.
fn begin_journal(journal: &JournalConfig, config: &PipelineConfig) -> Result<JournalEnds, PipelineError> {
    let unusable = |error| PipelineError::JournalDirectory(journal.directory.clone(), error);
    let disk = Directory::create(&journal.directory).map_err(unusable)?;
    let run = crate::journal::runs(&disk).map_err(unusable)?.last().map_or(1, |last| last + 1);
    let settings =
        Settings { greeks: config.greeks.clone(), hedge: config.hedge, session: config.session.clone() }.to_json();
    let head = Head::of_this_process(run, config.hedge.started_s, &settings);
    let writer = Writer::begin(disk, journal.writer, head, &settings)?;
    let health = Arc::new(Health::default());
    let (taps, keeper) =
        journal::join(run, writer, journal.on_failure, Blank::new(&config.session), Arc::clone(&health))?;
    Ok((taps, Some(keeper), Some(health)))
}

/// The reports that come after the greeks have ended, until the gateway has: nobody else makes room for them, and a gateway
/// without room takes no order.
fn late(side: SideInputs) -> Vec<Event> {
    let (mut reports, mut late) = (side.reports, Vec::new());
    while !reports.is_drained() {
        match reports.try_pop() {
            Some(report) => late.push(report),
            None => thread::sleep(LOOK),
        }
    }
    late
}

fn join<T>(name: &'static str, handle: JoinHandle<T>) -> Result<T, PipelineError> {
    handle.join().map_err(|_| PipelineError::Panicked(name))
}

/// Starts threads as a plan says.
struct Spawner<'a> {
    plan: &'a Plan,
}

impl<'a> Spawner<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self { plan }
    }

    /// A hot thread: on the core planned for the thread that steps `stage`, its stack touched, its allocations counted.
    fn hot<T: Send + 'static>(
        &self,
        stage: HotStage,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, PipelineError> {
        let core =
            self.plan.threads.iter().find(|thread| thread.stages.contains(&stage)).and_then(|thread| thread.core);
        let work = move || {
            if let Some(core) = core {
                pin_current_thread(core);
            }
            prefault_stack();
            let _hot = mark_hot();
            run()
        };
        Ok(thread::Builder::new().name(stage.name().to_owned()).spawn(work)?)
    }

    /// A cold thread: anywhere, and never spinning.
    fn cold<T: Send + 'static>(
        &self,
        name: &str,
        run: impl FnOnce(Idler) -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, PipelineError> {
        Ok(thread::Builder::new().name(name.to_owned()).spawn(move || run(Idler::new(IdleStrategy::Adaptive)))?)
    }
}
