//! The whole pipeline, from the venue's packets to the bytes of orders and back, in whatever order a script puts things:
//! the live stages, the embedded venue, and the simulation's own checkers as the oracle.
//!
//! Unlike a simulation, which draws its faults from a seed, a script decides every single thing: which packet is lost,
//! when a thread runs, how many bytes a socket takes, where a connection breaks.

use hedgecore::event::{Body, KillCause, KillLevel, Operator};
use hedgecore::feed::FeedConfig;
use hedgecore::gateway::SessionConfig;
use hedgecore::hedge::{HedgeConfig, Policy};
use hedgecore::portfolio::{GreeksConfig, OpeningBook};
use hedgecore::sim::checkers::Checkers;
use hedgecore::sim::simulation::NoClock;
use hedgecore::sim::venue::{Channel, MarketConfig, PublishConfig, Universe, UniverseConfig, Venue, VenueConfig};
use hedgecore::sim::{OrderProtocol, Process, ProcessConfig};
use hedgecore::units::{Lots, Nanos, ONE_E9};

use super::rig::event;
use super::script::{Script, chances};

const STEPS_MAX: usize = 600;
/// Steps of a millisecond in which nothing goes wrong yet, so that there is something to lose.
const QUIET_STEPS: usize = 60;
const TINY: usize = 4;

struct World {
    venue: Venue,
    process: Process<NoClock>,
    checkers: Checkers,
    now: Nanos,
    /// Packets on their way, in the order in which they were published.
    packets: Vec<(Channel, Vec<u8>)>,
    to_venue: Vec<u8>,
    to_client: Vec<u8>,
}

pub fn run(bytes: &[u8]) {
    orders_of(bytes);
}

/// Runs a script; how many orders reached the venue.
pub fn orders_of(bytes: &[u8]) -> u64 {
    let mut script = Script::new(bytes);
    let mut world = World::new(&mut script);
    world.connect();
    for _ in 0..QUIET_STEPS {
        world.tick(1);
        world.deliver(usize::MAX);
        world.process.calibrate(&mut world.checkers);
        world.exchange(usize::MAX, usize::MAX);
        world.hold();
    }
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
        world.hold();
    }
    world.checkers.ended();
    assert_eq!(world.checkers.findings.violations, []);
    world.venue.statement().orders
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let universe = UniverseConfig { strikes: 1, expiries: 2, ..UniverseConfig::default() };
        let mut config = VenueConfig {
            seed: 1 + script.below(16),
            market: MarketConfig {
                activity: 0.25,
                speed: 400.0,
                option_marks_per_second: 400.0,
                ..MarketConfig::default()
            },
            publish: PublishConfig { snapshot_ns: 100 * Nanos::PER_MILLI, ..PublishConfig::default() },
            ..VenueConfig::default()
        };
        config.session.heartbeat_s = 1;
        let options = Universe::new(&universe, config.start).contracts.into_iter().filter(|it| it.option.is_some());
        config.positions = options.map(|it| (it.name, Lots(script.below(41) as i64 - 20))).collect();
        config.universe = universe;
        let venue = Venue::new(config).expect("a valid configuration");
        let mut hedge = HedgeConfig { started_s: 1_795_348_800, ..HedgeConfig::default() };
        if script.once_in(4) {
            hedge.limits.position_notional_max_e9 = (1 + script.below(1_000) as i64) * 1_000 * ONE_E9;
        }
        if script.once_in(3) {
            hedge.policy = Policy::Program;
        }
        let held = venue.statement().positions.into_iter();
        let opening = OpeningBook::Positions(held.map(|position| (position.instrument, position.lots)).collect());
        let greeks = GreeksConfig { opening, ..GreeksConfig::default() };
        let session = SessionConfig::new("hedgecore", "loopback-only").expect("short enough");
        let mut config = ProcessConfig::new(greeks.clone(), hedge, session);
        config.feed = FeedConfig { future_depth: 256, option_depth: 64, levels_max: 1 << 15, ..config.feed };
        let mut checkers = Checkers::new(&greeks, &hedge, OrderProtocol::Starbase);
        if script.once_in(4) {
            (config.instructions_max, config.reports_max) = (TINY, TINY);
        }
        checkers.started(&greeks, &hedge);
        Self {
            now: venue.start_time(),
            venue,
            process: Process::new(config, NoClock),
            checkers,
            packets: Vec::new(),
            to_venue: Vec::new(),
            to_client: Vec::new(),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(16) {
            0..=3 => {
                self.tick(1 + script.below(8));
                self.deliver(usize::MAX);
            }
            4 => self.tick(1 + script.below(40)),
            5 => self.deliver(script.below(20) as usize),
            6 => self.damage(script),
            7 => self.process.calibrate(&mut self.checkers),
            8..=10 => self.exchange(1 + script.below(400) as usize, script.below(400) as usize),
            11 => self.exchange(usize::MAX, usize::MAX),
            12 => self.process.dispatch(self.now, &mut self.checkers),
            13 => _ = self.process.deliver(&mut self.checkers),
            14 if script.once_in(3) => {
                let level = KillLevel::ALL[script.below(5) as usize];
                let body = Body::Kill { level, cause: KillCause::Operator, by: Operator::NOBODY };
                self.process.command(&event(self.now, body), &mut self.checkers);
            }
            14 => self.break_off(script.below(300) as usize),
            _ if script.once_in(3) => {
                let at = script.below(self.venue.universe().contracts.len() as u64) as usize;
                self.venue.halt(at, Nanos(self.now.0 + script.below(100) * Nanos::PER_MILLI));
            }
            _ => self.tick(script.below(600)),
        }
    }

    /// Time passes, for everybody.
    fn tick(&mut self, ms: u64) {
        self.now.0 += ms * Nanos::PER_MILLI;
        let Self { venue, checkers, packets, now, .. } = self;
        venue.advance(*now, &mut |channel, bytes| {
            checkers.published(channel, bytes);
            packets.push((channel, bytes.to_vec()));
        });
        self.process.clock(*now, checkers);
        self.process.tick(*now);
        self.look_at_the_connection();
    }

    /// The first packets arrive.
    fn deliver(&mut self, most: usize) {
        for (channel, bytes) in self.packets.drain(..most.min(self.packets.len())) {
            self.process.packet(self.now, port(channel), &bytes, &mut self.checkers);
        }
    }

    /// One packet is lost, doubled, overtaken, or no packet any more.
    fn damage(&mut self, script: &mut Script<'_>) {
        if self.packets.is_empty() {
            return self.tick(1);
        }
        let at = script.below(self.packets.len() as u64) as usize;
        match script.below(4) {
            0 => _ = self.packets.remove(at),
            1 => self.packets.push(self.packets[at].clone()),
            2 => self.packets.swap(0, at),
            _ => {
                let bytes = &mut self.packets[at].1;
                bytes.truncate(script.below(bytes.len() as u64) as usize);
            }
        }
    }

    /// The gateway's turn: what was decided goes out, so many bytes of it; so many of the venue's come in.
    fn exchange(&mut self, out: usize, back: usize) {
        self.process.dispatch(self.now, &mut self.checkers);
        let is_shut = self.process.gateway().level() >= KillLevel::Pause;
        let taken = self.process.pending().len().min(out);
        self.to_venue.extend_from_slice(&self.process.pending()[..taken]);
        self.checkers.sent(&self.process.pending()[..taken], is_shut);
        self.process.written(taken);
        self.venue.receive(&std::mem::take(&mut self.to_venue), self.now);
        let said = self.venue.outgoing();
        self.to_client.extend(said.drain(..back.min(said.len())));
        let taken = self.process.receive(&self.to_client, self.now);
        self.to_client.drain(..taken);
        self.process.deliver(&mut self.checkers);
        self.look_at_the_connection();
    }

    fn look_at_the_connection(&mut self) {
        if self.process.gateway().wants_disconnect() || self.venue.wants_close() {
            self.break_off(0);
        }
    }

    fn connect(&mut self) {
        self.venue.connect(self.now);
        self.process.connected(self.now);
    }

    /// The connection breaks; so many bytes of what was written still reach the venue.
    fn break_off(&mut self, kept: usize) {
        self.to_venue.truncate(kept);
        self.venue.receive(&std::mem::take(&mut self.to_venue), self.now);
        self.venue.disconnect(self.now);
        self.venue.outgoing().clear();
        self.to_client.clear();
        self.checkers.disconnected();
        self.process.disconnected(self.now);
        self.process.deliver(&mut self.checkers);
        self.now.0 += Nanos::PER_MILLI;
        self.connect();
    }

    fn hold(&mut self) {
        self.process.deliver(&mut self.checkers);
        self.checkers.look(&self.process);
        assert_eq!(self.checkers.findings.violations, []);
        assert_eq!(self.process.lost(), 0);
    }
}

fn port(channel: Channel) -> u16 {
    1 + u16::from(channel == Channel::Snapshot)
}

pub fn seeds() -> Vec<Vec<u8>> {
    chances(8, 900)
}
