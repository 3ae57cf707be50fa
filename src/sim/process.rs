//! The live stages of one process on one thread, joined by queues: what a replay and a simulation drive.
//!
//! ```text
//!  packet ─► feed → greeks → hedge ─instructions─► gateway ─► bytes
//!             └─► surface ─► greeks                  │
//!             greeks ◄──────────── reports ◄─────────┴──── bytes
//! ```
//!
//! The driver decides when each queue moves, so that a thread that lags is a call that comes late. Nothing here knows
//! sockets, threads or chance; a [`Watch`] sees everything that crosses, in the order in which it did.

use super::queue::Queue;
use crate::event::Event;
use crate::feed::{Feed, FeedConfig, Line, Packet, REQUEST_BYTES};
use crate::gateway::{Gateway, GatewayConfig};
use crate::hedge::{Hedge, HedgeConfig};
use crate::portfolio::rebuild::{self, Rebuilder};
use crate::portfolio::{Greeks, GreeksConfig};
use crate::risk::Instruction;
use crate::runtime::alloc::hot_section;
use crate::runtime::{Fused, Stamp, Watched, Witness};
use crate::stage::{Outbox, Stage};
use crate::surface::{Surface, SurfaceConfig};
use crate::units::Nanos;

/// Messages that one input may cause on each queue.
const QUEUE: usize = 1 << 14;

type Stages<C> = Fused<Queue<Instruction>, Queue<Event>, Queue<Event>, C, (), Shortages>;

/// Steps of the hedge whose outbox was short of room, until the watch has seen them.
#[derive(Debug)]
struct Shortages(Queue<(u64, usize)>);

impl Witness for Shortages {
    fn consumed(&mut self, _: &Event) {}

    fn short(&mut self, step: u64, room: usize) {
        // There is room for more steps than one input can cause; a record with a gap would not re-run.
        let _ = self.0.send((step, room));
    }
}

/// Sees what crosses between the stages.
pub trait Watch {
    /// The greeks have taken this event; in the order in which they took it.
    fn consumed(&mut self, event: &Event);
    /// This left the greeks.
    fn valued(&mut self, event: &Event);
    /// At the hedge's step `step`, counted from 0, its outbox had room for only so many instructions.
    fn short(&mut self, _step: u64, _room: usize) {}
    /// This left the hedge.
    fn decided(&mut self, instruction: &Instruction);
    /// The gateway takes this instruction next.
    fn dispatched(&mut self, instruction: &Instruction);
}

/// What the stages are made from.
#[derive(Clone, Debug)]
pub struct ProcessConfig {
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
    /// Instructions that may wait for the gateway. The program's decisions leave whole, an order and its instrument's name for
    /// each hedge: with room for less than twice its hedges a large one never leaves.
    pub instructions_max: usize,
    /// Reports that may wait for the greeks.
    pub reports_max: usize,
}

impl ProcessConfig {
    /// The defaults of every stage, and room for every instruction.
    pub fn new(greeks: GreeksConfig, hedge: HedgeConfig, session: impl Into<GatewayConfig>) -> Self {
        let (feed, surface) = (FeedConfig::default(), SurfaceConfig::default());
        let session = session.into();
        Self { feed, greeks, surface, hedge, session, instructions_max: QUEUE, reports_max: QUEUE }
    }
}

/// The stages of one process.
#[derive(Debug)]
pub struct Process<C> {
    stages: Stages<C>,
    surface: Surface,
    rebuilder: Rebuilder,
    gateway: Gateway,
    calibrations: Queue<Event>,
    reports: Queue<Event>,
    /// Of what waits for the surface, how much the watch has seen.
    told: usize,
    /// And of what waits for the gateway.
    decided: usize,
    clock: C,
}

impl<C: Stamp> Process<C> {
    /// Stages that know nothing yet, stamped by `clock`.
    pub fn new(config: ProcessConfig, clock: C) -> Self {
        let (rebuilds, rebuilder) = rebuild::elsewhere();
        let feed = Feed::new(config.feed);
        let greeks = Watched::new(Greeks::with_rebuilds(config.greeks, rebuilds), ());
        let hedge = Watched::new(Hedge::new(config.hedge), Shortages(Queue::with_capacity(QUEUE)));
        let instructions = Queue::with_capacity(config.instructions_max);
        let (market, exposures) = (Queue::with_capacity(QUEUE), Queue::with_capacity(QUEUE));
        Self {
            stages: Fused::watched(feed, greeks, hedge, instructions, market, exposures, clock),
            surface: Surface::new(config.surface),
            rebuilder,
            gateway: Gateway::new(config.session),
            calibrations: Queue::with_capacity(QUEUE),
            reports: Queue::with_capacity(config.reports_max),
            told: 0,
            decided: 0,
            clock,
        }
    }

    /// A datagram came, on the only line.
    pub fn packet(&mut self, time: Nanos, port: u16, bytes: &[u8], watch: &mut impl Watch) {
        self.packet_on(Line::A, time, port, bytes, watch);
    }

    /// A datagram came on one of two lines.
    pub fn packet_on(&mut self, line: Line, time: Nanos, port: u16, bytes: &[u8], watch: &mut impl Watch) {
        let received = self.clock.ticks();
        hot_section(|| self.stages.packet(&Packet { time, received, port, line, bytes }));
        self.tell(watch);
    }

    /// What the feed asks to be sent again; ask after every packet and every tick of the clock.
    pub fn take_request(&mut self) -> Option<[u8; REQUEST_BYTES]> {
        self.stages.take_request()
    }

    /// Lets the feed, the greeks and the hedge notice the time.
    pub fn clock(&mut self, time: Nanos, watch: &mut impl Watch) {
        hot_section(|| self.stages.clock(time));
        self.tell(watch);
        watch.consumed(&Event::clock(time));
    }

    /// A command of the operator, or of the runtime.
    pub fn command(&mut self, event: &Event, watch: &mut impl Watch) {
        watch.consumed(event);
        hot_section(|| self.stages.event(event));
        self.tell(watch);
    }

    /// Lets the surface see what the feed said since the last time, rebuilds the anchors that the greeks asked for, and hands
    /// over what came of both.
    pub fn calibrate(&mut self, watch: &mut impl Watch) {
        let (market, _) = self.stages.taps();
        for event in market.messages() {
            self.surface.step(event, &mut self.calibrations);
        }
        market.clear();
        while self.rebuilder.turn(&mut self.calibrations) > 0 {}
        self.told = 0;
        for event in self.calibrations.messages() {
            watch.consumed(event);
            hot_section(|| self.stages.event(event));
        }
        self.calibrations.clear();
        self.tell(watch);
    }

    /// Lets the gateway take what the hedge decided, as far as it has room.
    pub fn dispatch(&mut self, time: Nanos, watch: &mut impl Watch) {
        let instructions = self.stages.instructions();
        let mut taken = 0;
        for instruction in instructions.messages() {
            if !self.gateway.has_room() {
                break;
            }
            watch.dispatched(instruction);
            hot_section(|| self.gateway.step(instruction, time, &mut self.reports));
            self.gateway.encoded(self.clock.ticks());
            taken += 1;
        }
        instructions.drop_first(taken);
        self.decided -= taken;
    }

    /// Hands the greeks what the gateway has to report; false when that was nothing.
    pub fn deliver(&mut self, watch: &mut impl Watch) -> bool {
        let any = !self.reports.messages().is_empty();
        for at in 0..self.reports.messages().len() {
            let report = self.reports.messages()[at];
            self.command(&report, watch);
        }
        self.reports.clear();
        any
    }

    /// The order connection stands.
    pub fn connected(&mut self, time: Nanos) {
        self.gateway.connected(time);
    }

    /// The order connection is gone.
    pub fn disconnected(&mut self, time: Nanos) {
        self.gateway.disconnected(time, &mut self.reports);
    }

    /// Lets the gateway notice the time.
    pub fn tick(&mut self, time: Nanos) {
        hot_section(|| self.gateway.tick(time, &mut self.reports));
    }

    /// Bytes for the venue.
    pub fn pending(&self) -> &[u8] {
        self.gateway.pending()
    }

    /// The connection took so many of them.
    pub fn written(&mut self, bytes: usize) {
        self.gateway.written(bytes, self.clock.ticks(), &mut self.reports);
    }

    /// Bytes of the venue; how many were taken.
    pub fn receive(&mut self, bytes: &[u8], time: Nanos) -> usize {
        hot_section(|| self.gateway.receive(bytes, time, &mut self.reports))
    }

    /// The feed.
    pub fn feed(&self) -> &Feed {
        self.stages.feed()
    }

    /// The greeks.
    pub fn greeks(&self) -> &Greeks {
        self.stages.greeks()
    }

    /// The hedge.
    pub fn hedge(&self) -> &Hedge {
        self.stages.hedge()
    }

    /// The surface.
    pub fn surface(&self) -> &Surface {
        &self.surface
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Instructions that wait for the gateway.
    pub fn waiting(&mut self) -> usize {
        self.stages.instructions().messages().len()
    }

    /// Messages that the surface or a watch did not see: none, or what was watched is not whole.
    pub fn lost(&self) -> u64 {
        self.stages.tap_lost() + self.calibrations.refused
    }

    /// Shows the watch what crossed since it last looked.
    fn tell(&mut self, watch: &mut impl Watch) {
        let (market, exposures) = self.stages.taps();
        for event in &market.messages()[self.told..] {
            watch.consumed(event);
        }
        self.told = market.messages().len();
        for event in exposures.messages() {
            watch.valued(event);
        }
        exposures.clear();
        let Shortages(shorts) = self.stages.hedge_witness();
        for (step, room) in shorts.messages() {
            watch.short(*step, *room);
        }
        shorts.clear();
        let instructions = self.stages.instructions().messages();
        for instruction in &instructions[self.decided..] {
            watch.decided(instruction);
        }
        self.decided = instructions.len();
    }
}
