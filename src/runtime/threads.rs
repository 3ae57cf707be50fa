//! The loops of the threads: take what is there, hand it to the stage, be idle when nothing was.
//!
//! Every loop takes bounded batches from each of its inputs in turn, so that none starves another, and gives its stages
//! the time once a millisecond. Packets that waited together, because the thread was late, are decided on together: what one
//! call of the kernel brings is taken in whole, and of each book the last state alone is passed on. A loop ends when its inputs are drained, and dropping its producers ends the next one.

use std::io;
use std::sync::Arc;

use super::clock::StampClock;
use super::control::Board;
use super::drop_copy::Notes;
use super::fused::Fused;
use super::idle::{IdleStrategy, Idler};
use super::journal::{Keeper, StageTap, Tap};
use super::observer::{Show, ring_shown};
use super::order_link::OrderLink;
use super::outbox::{Conflating, Hop, Link, Stamping};
use super::placement::HotStage;
use super::socket::{Alarm, Datagram, FeedSocket, Poller, SocketStats};
use super::watched::Watched;
use crate::event::{Body, Event, KillCause, KillLevel, Operator, Trail};
use crate::feed::arbiter::LINES;
use crate::feed::{Feed, Packet, REQUEST_BYTES};
use crate::gateway::Gateway;
use crate::hedge::Hedge;
use crate::portfolio::Greeks;
use crate::portfolio::rebuild::Rebuilder;
use crate::ring::{Consumer, Producer};
use crate::risk::Instruction;
use crate::stage::Stage;
use crate::surface::Surface;
use crate::sync::{AtomicBool, Ordering};
use crate::telemetry::live::{FeedShown, GreeksShown, HedgeShown, Recorded, RingShown, SharedRecorded, SurfaceShown};
use crate::telemetry::{Recorder, SharedProgress};
use crate::units::Nanos;

/// Messages taken from one input before the next has its turn.
pub(super) const BATCH: usize = 64;
/// How often stages are given the time, nanoseconds.
const CLOCK_NS: u64 = Nanos::PER_MILLI;
/// How often the recorder leaves its progress for the console, nanoseconds.
const PROGRESS_NS: u64 = 50 * Nanos::PER_MILLI;
/// How often the recorder leaves what it knows for whoever looks at the run, nanoseconds: its percentiles cost a pass over
/// every histogram.
const RECORDED_NS: u64 = 250 * Nanos::PER_MILLI;
/// Messages that the recorder takes from one ring at a time: all there can be.
const RECORDED_MAX: usize = 1 << 15;

/// How long a stage that ends may wait for room for what it owes, nanoseconds.
const PARTING_NS: u64 = 100 * Nanos::PER_MILLI;

/// How the outside talks to running threads.
#[derive(Debug, Default)]
pub(super) struct Control {
    stop: AtomicBool,
    abandon: AtomicBool,
    /// What hot threads show, and heed at once.
    pub(super) board: Arc<Board>,
}

impl Control {
    /// Lets the threads end, in order.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Lets the threads end at once, leaving everything as it is.
    pub(super) fn abandon(&self) {
        self.abandon.store(true, Ordering::Release);
        self.stop();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandon.load(Ordering::Acquire)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// Takes turns until `input` is drained, or everything is to be left as it is.
#[inline]
pub(super) fn until_drained<M: Copy + Send + Sync>(
    input: &mut Consumer<M>,
    control: &Control,
    mut turn: impl FnMut(&mut Consumer<M>),
) {
    while !input.is_drained() && !control.is_abandoned() {
        turn(input);
    }
}

/// Gives a stage that ends the time, until the next one has had room for what it `owes` or [`PARTING_NS`] are over.
fn part(control: &Control, clock: StampClock, rest: &mut Rest, mut owes: impl FnMut(Nanos) -> bool) {
    let began = clock.now();
    let (mut now, mut beat) = (began, Beat::new(CLOCK_NS));
    while !control.is_abandoned() && now.since(began) < PARTING_NS && (!beat.is_due(now) || owes(now)) {
        rest.idle(false);
        now = clock.now();
    }
}

fn shutdown(time: Nanos) -> Event {
    let body = Body::Kill { level: KillLevel::Halt, cause: KillCause::Shutdown, by: Operator::NOBODY };
    Event { trail: Trail::default(), time, body }
}

/// Says when the next tick of a regular beat is due.
#[derive(Debug)]
pub(super) struct Beat {
    every_ns: u64,
    next: Nanos,
}

impl Beat {
    pub(super) fn new(every_ns: u64) -> Self {
        Self { every_ns, next: Nanos::default() }
    }

    /// Once every interval; what was missed is not made up for.
    #[inline]
    pub(super) fn is_due(&mut self, now: Nanos) -> bool {
        let due = now >= self.next;
        if due {
            self.next = Nanos(now.0 + self.every_ns);
        }
        due
    }
}

/// How a hot thread rests, and what wakes it.
#[derive(Debug)]
pub(super) struct Rest {
    idler: Idler,
    /// Register a thread's sockets here, so that they end its sleep.
    pub(super) poller: Poller,
}

impl Rest {
    pub(super) fn new(strategy: IdleStrategy) -> io::Result<Self> {
        Ok(Self { idler: Idler::new(strategy), poller: Poller::new()? })
    }

    /// Ends the sleep of the thread that rests here.
    pub(super) fn alarm(&self) -> Alarm {
        self.poller.alarm()
    }

    #[inline]
    pub(super) fn idle(&mut self, worked: bool) {
        self.idler.idle_on(worked, &mut self.poller);
    }
}

/// Packets from every market-data socket.
#[derive(Debug)]
pub(super) struct Ingest {
    sockets: Vec<FeedSocket>,
    clock: StampClock,
    errors: u64,
    /// Waits in the kernel; what else came, each socket counts.
    waits: SocketStats,
    /// When each line was last heard, nanoseconds since the epoch.
    heard_ns: [u64; LINES],
}

impl Ingest {
    /// Sockets that end the sleep of `rest` when a packet comes.
    pub(super) fn new(mut sockets: Vec<FeedSocket>, rest: &mut Rest, clock: StampClock) -> io::Result<Self> {
        sockets.iter_mut().try_for_each(|socket| rest.poller.watch_feed(socket))?;
        Ok(Self { sockets, clock, errors: 0, waits: SocketStats::default(), heard_ns: [0; LINES] })
    }

    /// Hands over up to a batch of packets a socket, stamped before they were read, and says how many. `take` is told which
    /// is the last of those that one call brought; what it asks to be sent again is asked for.
    #[inline]
    fn turn(&mut self, mut take: impl FnMut(&Packet<'_>, bool) -> Option<[u8; REQUEST_BYTES]>) -> usize {
        let mut taken = 0;
        for at in 0..self.sockets.len() {
            for _ in 0..BATCH / FeedSocket::BATCH {
                let received = self.clock.ticks();
                let Ok(count) = self.sockets[at].receive_batch() else {
                    self.errors += 1;
                    break;
                };
                let (socket, time) = (&self.sockets[at], self.clock.at(received));
                for datagram in 0..count {
                    let Datagram { bytes, kernel_time } = socket.datagram(datagram);
                    if let Some(kernel) = kernel_time {
                        self.waits.waited(kernel, time);
                    }
                    let (port, line) = (socket.stream_port(), socket.line());
                    let packet = Packet { time, received, port, line, bytes };
                    if let Some(request) = take(&packet, datagram + 1 == count) {
                        ask(&self.sockets, &request, &mut self.errors);
                    }
                }
                if count > 0 {
                    self.heard_ns[self.sockets[at].line() as usize] = time.0;
                }
                taken += count;
                if count < FeedSocket::BATCH {
                    break;
                }
            }
        }
        taken
    }

    /// Sends a request to the service, if there is one.
    fn ask(&mut self, request: Option<[u8; REQUEST_BYTES]>) {
        if let Some(request) = request {
            ask(&self.sockets, &request, &mut self.errors);
        }
    }

    /// What came on all sockets, and what did not.
    pub(super) fn stats(&self) -> SocketStats {
        let mut total = self.waits;
        for socket in &self.sockets {
            total.add(&socket.stats());
        }
        total
    }

    /// The feed that it serves, and itself.
    fn shown(&self, feed: &Feed) -> FeedShown {
        let kernel_drops = self.stats().kernel_drops;
        FeedShown { kernel_drops, receive_errors: self.errors, ..FeedShown::of(feed, &self.heard_ns) }
    }

    /// Failed calls.
    pub(super) fn errors(&self) -> u64 {
        self.errors
    }
}

fn ask(sockets: &[FeedSocket], request: &[u8], errors: &mut u64) {
    let asked = sockets.iter().find_map(|socket| match socket.ask(request) {
        Ok(false) => None,
        Ok(true) => Some(true),
        Err(_) => Some(false),
    });
    *errors += u64::from(asked == Some(false));
}

/// Where events that do not come from the feed enter the greeks.
#[derive(Debug)]
pub(super) struct SideInputs {
    /// Execution reports.
    pub(super) reports: Consumer<Event>,
    /// Calibrations.
    pub(super) calibrations: Consumer<Event>,
    /// Commands of an operator.
    pub(super) commands: Consumer<Event>,
}

impl SideInputs {
    #[inline]
    fn turn(&mut self, mut take: impl FnMut(&Event)) -> usize {
        self.commands.drain(BATCH, &mut take)
            + self.reports.drain(BATCH, &mut take)
            + self.calibrations.drain(BATCH, &mut take)
    }
}

impl SideInputs {
    /// The greeks that they enter, and how many wait.
    fn shown(&self, greeks: &Greeks, market: RingShown) -> GreeksShown {
        GreeksShown {
            market,
            reports: ring_shown(&self.reports),
            calibrations: ring_shown(&self.calibrations),
            commands: ring_shown(&self.commands),
            ..GreeksShown::of(greeks)
        }
    }
}

pub(super) type WatchedGreeks = Watched<Greeks, Option<StageTap>>;
pub(super) type WatchedHedge = Watched<Hedge, Option<StageTap>>;
pub(super) type FusedPipeline =
    Fused<Link<Instruction>, Producer<Event>, Tap<Event>, StampClock, Option<StageTap>, Option<StageTap>>;

/// What the fused thread shows.
#[derive(Debug)]
pub(super) struct FusedShows {
    pub(super) feed: Show<FeedShown>,
    pub(super) greeks: Show<GreeksShown>,
    pub(super) hedge: Show<HedgeShown>,
}

impl FusedShows {
    #[inline]
    fn turn(&mut self, now: Nanos, fused: &FusedPipeline, ingest: &Ingest, side: &SideInputs) {
        self.feed.turn(now, || ingest.shown(fused.feed()));
        self.greeks.turn(now, || side.shown(fused.greeks(), RingShown::default()));
        self.hedge.turn(now, || HedgeShown::of(fused.hedge()));
    }

    fn end(&mut self, fused: &FusedPipeline, ingest: &Ingest, side: &SideInputs) {
        self.feed.end(&ingest.shown(fused.feed()));
        self.greeks.end(&side.shown(fused.greeks(), RingShown::default()));
        self.hedge.end(&HedgeShown::of(fused.hedge()));
    }
}

/// Feed, greeks and hedge on this thread.
pub(super) fn run_fused(
    mut fused: FusedPipeline,
    mut ingest: Ingest,
    mut side: SideInputs,
    control: &Control,
    clock: StampClock,
    mut rest: Rest,
    mut shows: FusedShows,
) -> (FusedPipeline, SideInputs, Ingest) {
    let mut beat = Beat::new(CLOCK_NS);
    while !control.is_stopping() {
        let taken = ingest.turn(|packet, is_last| {
            fused.packet_of_many(packet, is_last);
            fused.take_request()
        }) + side.turn(|event| fused.event(event));
        let now = clock.now();
        if beat.is_due(now) {
            fused.clock(now);
            ingest.ask(fused.take_request());
            control.board.pulse(HotStage::Feed, now);
            control.board.show(fused.hedge(), now);
            shows.turn(now, &fused, &ingest, &side);
        }
        rest.idle(taken > 0);
    }
    if !control.is_abandoned() {
        side.turn(|event| fused.event(event));
        fused.event(&shutdown(clock.now()));
        part(control, clock, &mut rest, |now| {
            side.turn(|event| fused.event(event));
            fused.clock(now);
            fused.hedge().owes(now)
        });
    }
    shows.end(&fused, &ingest, &side);
    control.board.end(HotStage::Feed);
    (fused, side, ingest)
}

/// Everything on this thread. What is decided on the packets of one call is written before the next call.
pub(super) fn run_solo(
    mut fused: FusedPipeline,
    mut ingest: Ingest,
    mut side: SideInputs,
    (mut link, mut orders): (OrderLink, Consumer<Instruction>),
    control: &Control,
    clock: StampClock,
    (mut rest, mut shows): (Rest, FusedShows),
) -> (FusedPipeline, SideInputs, Ingest, Gateway) {
    let mut beat = Beat::new(CLOCK_NS);
    while !control.is_stopping() {
        let taken = ingest.turn(|packet, is_last| {
            fused.packet_of_many(packet, is_last);
            link.send(&mut orders, packet.time);
            fused.take_request()
        }) + side.turn(|event| fused.event(event));
        let now = clock.now();
        let worked = link.turn(&mut orders, control, now);
        if beat.is_due(now) {
            fused.clock(now);
            ingest.ask(fused.take_request());
            link.tend(now, &mut rest);
            control.board.pulse(HotStage::Feed, now);
            control.board.pulse(HotStage::Gateway, now);
            control.board.show(fused.hedge(), now);
            shows.turn(now, &fused, &ingest, &side);
            link.show(&orders, now);
        }
        rest.idle(taken > 0 || worked);
    }
    if !control.is_abandoned() {
        side.turn(|event| fused.event(event));
        fused.event(&shutdown(clock.now()));
        part(control, clock, &mut rest, |now| {
            side.turn(|event| fused.event(event));
            fused.clock(now);
            link.turn(&mut orders, control, now) || fused.hedge().owes(now)
        });
    }
    shows.end(&fused, &ingest, &side);
    control.board.end(HotStage::Feed);
    let gateway = link.end(control, rest);
    (fused, side, ingest, gateway)
}

/// The feed on this thread.
pub(super) fn run_feed(
    mut feed: Feed,
    mut ingest: Ingest,
    market: Link<Event>,
    control: &Control,
    clock: StampClock,
    mut rest: Rest,
    mut show: Show<FeedShown>,
) -> (Feed, Link<Event>, Ingest) {
    let mut out = Stamping::new(Conflating { out: market }, Hop::Feed, clock);
    let mut beat = Beat::new(CLOCK_NS);
    while !control.is_stopping() {
        let taken = ingest.turn(|packet, is_last| {
            feed.step_of_many(packet, is_last, &mut out);
            feed.take_request()
        });
        feed.resume(&mut out);
        let now = clock.now();
        if beat.is_due(now) {
            feed.tick(now, &mut out);
            ingest.ask(feed.take_request());
            control.board.pulse(HotStage::Feed, now);
            show.turn(now, || ingest.shown(&feed));
        }
        rest.idle(taken > 0);
    }
    show.end(&ingest.shown(&feed));
    control.board.end(HotStage::Feed);
    (feed, out.out.out, ingest)
}

/// The greeks on this thread.
pub(super) fn run_greeks(
    mut greeks: WatchedGreeks,
    mut market: Consumer<Event>,
    mut side: SideInputs,
    exposures: Link<Event>,
    control: &Control,
    clock: StampClock,
    (mut rest, mut show): (Rest, Show<GreeksShown>),
) -> (WatchedGreeks, Link<Event>, SideInputs) {
    let mut out = Stamping::new(exposures, Hop::Greeks, clock);
    let mut beat = Beat::new(CLOCK_NS);
    until_drained(&mut market, control, |market| {
        let mut taken = market.drain(BATCH, |event| greeks.step(event, &mut out));
        taken += side.turn(|event| greeks.step(event, &mut out));
        let now = clock.now();
        if beat.is_due(now) {
            greeks.step(&Event::clock(now), &mut out);
            control.board.pulse(HotStage::Greeks, now);
            show.turn(now, || side.shown(&greeks.stage, ring_shown(market)));
        }
        rest.idle(taken > 0);
    });
    if !control.is_abandoned() {
        side.turn(|event| greeks.step(event, &mut out));
        greeks.step(&shutdown(clock.now()), &mut out);
        part(control, clock, &mut rest, |now| {
            side.turn(|event| greeks.step(event, &mut out));
            greeks.step(&Event::clock(now), &mut out);
            // The hedge knows the time from here alone, and needs it for as long as the gateway has no room.
            greeks.stage.owes() || !control.board.is_wound_up()
        });
    }
    show.end(&side.shown(&greeks.stage, ring_shown(&market)));
    control.board.end(HotStage::Greeks);
    (greeks, out.out, side)
}

/// The hedge on this thread.
pub(super) fn run_hedge(
    mut hedge: WatchedHedge,
    mut exposures: Consumer<Event>,
    orders: Link<Instruction>,
    control: &Control,
    clock: StampClock,
    mut rest: Rest,
    mut show: Show<HedgeShown>,
) -> (WatchedHedge, Link<Instruction>) {
    let shown = |hedge: &WatchedHedge, exposures: &Consumer<Event>| HedgeShown {
        exposures: ring_shown(exposures),
        ..HedgeShown::of(&hedge.stage)
    };
    let mut out = Stamping::new(orders, Hop::Hedge, clock);
    let mut beat = Beat::new(CLOCK_NS);
    until_drained(&mut exposures, control, |exposures| {
        let taken = exposures.drain(BATCH, |event| hedge.step(event, &mut out));
        let now = clock.now();
        if beat.is_due(now) {
            control.board.pulse(HotStage::Hedge, now);
            control.board.show(&hedge.stage, now);
            show.turn(now, || shown(&hedge, exposures));
        }
        rest.idle(taken > 0);
    });
    show.end(&shown(&hedge, &exposures));
    control.board.end(HotStage::Hedge);
    (hedge, out.out)
}

/// The surface on this thread, and the rebuilding of the greeks' anchors: cold.
pub(super) fn run_surface(
    mut surface: Surface,
    mut rebuilder: Rebuilder,
    mut market: Consumer<Event>,
    mut calibrations: Producer<Event>,
    clock: StampClock,
    mut show: Show<SurfaceShown>,
    mut idler: Idler,
) -> Surface {
    while !market.is_drained() {
        let taken =
            market.drain(BATCH, |event| surface.step(event, &mut calibrations)) + rebuilder.turn(&mut calibrations);
        show.turn(clock.now(), || SurfaceShown { market: ring_shown(&market), ..SurfaceShown::of(&surface) });
        idler.idle(taken > 0);
    }
    surface
}

/// What the recorder reads.
#[derive(Debug)]
pub(super) struct Taps {
    pub(super) exposures: Consumer<Event>,
    pub(super) calibrations: Consumer<Event>,
    pub(super) orders: Consumer<Instruction>,
    /// Writes the journal, if there is one.
    pub(super) keeper: Option<Keeper>,
    /// Tells a second witness of executions, if there is one.
    pub(super) notes: Option<Notes>,
}

impl Taps {
    /// Notes how far its rings lag, at most since the last look.
    fn look(&self, rings: &mut [RingShown; 3]) {
        let now = [ring_shown(&self.exposures), ring_shown(&self.calibrations), ring_shown(&self.orders)];
        for (ring, now) in rings.iter_mut().zip(now) {
            *ring = RingShown { lag: ring.lag.max(now.lag), full: now.full };
        }
    }

    fn is_drained(&self) -> bool {
        let journal = self.keeper.as_ref().is_none_or(Keeper::is_drained);
        journal && self.exposures.is_drained() && self.calibrations.is_drained() && self.orders.is_drained()
    }
}

/// The recorder on this thread: cold. What caused something is taken after it, and so stands before it in the journal.
pub(super) fn run_recorder(
    mut recorder: Recorder,
    mut taps: Taps,
    (progress, recorded): (&SharedProgress, &SharedRecorded),
    control: &Control,
    clock: StampClock,
    mut idler: Idler,
) -> (Recorder, Option<Keeper>, Option<Notes>) {
    let (mut beat, mut slow_beat) = (Beat::new(PROGRESS_NS), Beat::new(RECORDED_NS));
    let mut rings = [RingShown::default(); 3];
    let (mut exposures, mut orders) = (Vec::new(), Vec::new());
    while !taps.is_drained() && !control.is_abandoned() {
        if let Some(keeper) = &mut taps.keeper {
            keeper.take_session();
        }
        taps.look(&mut rings);
        let mut taken = taps.orders.drain(RECORDED_MAX, |instruction| orders.push(*instruction))
            + taps.exposures.drain(RECORDED_MAX, |event| exposures.push(*event))
            + taps.calibrations.drain(RECORDED_MAX, |event| recorder.event(event));
        let now = clock.now();
        if let Some(keeper) = &mut taps.keeper {
            taken += usize::from(keeper.write(&exposures, &orders, now));
        }
        if let Some(notes) = &taps.notes {
            orders.iter().for_each(|instruction| notes.instruction(instruction));
            exposures.iter().for_each(|event| notes.event(event));
        }
        exposures.drain(..).for_each(|event| recorder.event(&event));
        orders.drain(..).for_each(|instruction| recorder.instruction(&instruction));
        if beat.is_due(now)
            && let Ok(mut shared) = progress.lock()
        {
            *shared = recorder.progress();
        }
        if slow_beat.is_due(now)
            && let Ok(mut shared) = recorded.lock()
        {
            let journal = taps.keeper.as_ref().map(Keeper::shown);
            *shared = Some(Recorded { rings, journal, ..recorder.recorded() });
            rings.iter_mut().for_each(|ring| ring.lag = 0);
        }
        idler.idle(taken > 0);
    }
    (recorder, taps.keeper, taps.notes)
}

/// Shared by every thread.
pub(super) type SharedControl = Arc<Control>;
