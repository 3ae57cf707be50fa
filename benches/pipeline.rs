//! A step of the fused pipeline on one thread, from packet bytes to order bytes: feed, greeks and hedge as the `fused`
//! topology runs them, and the gateway's encoding behind them. No socket, no other thread.
//!
//! Every tick is a packet that takes the perpetual's best price up or down by a level, so each is decoded, moves the
//! spot, revalues the whole book and ends in a decision: `no_trade` inside a band as wide as the world, `order` outside
//! one that is next to nothing. The order is encoded into the gateway's send buffer and afterwards, outside what is
//! timed, reported cancelled. The book was listed, quoted and calibrated by the embedded venue and the surface, and stays
//! `Good`. `exact` values every option on every tick (no clock event ever let the greeks take up anchors), `anchored` does
//! not.
//!
//! `journaled` also publishes what the greeks consume, which is what a journal costs this thread. The taps of the cold side
//! are rings, drained outside what is timed. The stamps of every hop are taken, as live; an order's time holds one more
//! reading of the counter. `order` shows single steps with the caches that bookkeeping leaves, `no_trade` 64 in a row; the
//! percentiles at the end are of single steps, both.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use hedgecore::event::{Body, Event, Trail};
use hedgecore::feed::{Feed, FeedConfig, Line, Packet};
use hedgecore::gateway::{Gateway, SessionConfig};
use hedgecore::hedge::{BandConfig, Hedge, HedgeConfig, Hold};
use hedgecore::instrument::OptionKind;
use hedgecore::order::Request;
use hedgecore::portfolio::{Greeks, GreeksConfig, OpeningBook};
use hedgecore::ring::{Consumer, Producer, broadcast};
use hedgecore::risk::{Instruction, Limits};
use hedgecore::runtime::clock::StampClock;
use hedgecore::runtime::{Fused, Stamp, Watched, Witness};
use hedgecore::sim::venue::{Channel, Universe, UniverseConfig, Venue, VenueConfig};
use hedgecore::stage::{Full, Outbox, Stage};
use hedgecore::surface::{Surface, SurfaceConfig};
use hedgecore::units::{Lots, Nanos, ONE_E9, Side, Ticks, VenueInstrumentId};
use hedgecore::wire::deribit_multicast::{self as wire, BookBlock, BookChange, BookEntry, BookSide, Message};

/// The inverse perpetual is the first contract that the venue lists, on this channel.
const PERPETUAL: VenueInstrumentId = VenueInstrumentId(1);
const CHANNEL: u16 = 1;
const PORTS: [u16; 2] = [6100, 6101];
/// Venue time for listings, snapshots and calibration.
const OPENING_MS: u64 = 1_500;
/// Packets timed together where nothing has to be put back in between.
const BATCH: usize = 64;
/// Between two packets.
const TICK_NS: u64 = 100;
const STEPS: usize = 100_000;

/// Keeps what it is sent.
struct Kept<M>(Vec<M>);

impl<M> Outbox<M> for Kept<M> {
    fn send(&mut self, message: M) -> Result<(), Full> {
        self.0.push(message);
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

/// What the greeks consume, on its way to the journal.
struct Tape(Producer<Event>);

impl Witness for Tape {
    #[inline]
    fn consumed(&mut self, event: &Event) {
        let _ = self.0.try_push(*event);
    }

    fn short(&mut self, _: u64, _: usize) {}
}

type Stages = Fused<Kept<Instruction>, Producer<Event>, Producer<Event>, StampClock, Option<Tape>>;

/// What a book is made of, and how it is valued.
#[derive(Clone, Copy)]
struct Case {
    strikes: usize,
    held: usize,
    is_anchored: bool,
    is_trading: bool,
    is_journaled: bool,
}

impl Case {
    fn name(&self) -> String {
        let way = if self.is_trading { "order" } else { "no_trade" };
        let valued = if self.is_anchored { "anchored" } else { "exact" };
        let kept = if self.is_journaled { "/journaled" } else { "" };
        format!("{way}/{valued}/{}{kept}", self.held)
    }
}

/// The pipeline, and the perpetual's line of packets.
struct Rig {
    stages: Stages,
    gateway: Gateway,
    market: Consumer<Event>,
    exposures: Consumer<Event>,
    inputs: Consumer<Event>,
    clock: StampClock,
    now: Nanos,
    sequence: u32,
    change_id: u64,
    /// The level that goes from offer to bid and back.
    level: f64,
    is_up: bool,
    packets: Vec<Vec<u8>>,
    reports: Kept<Event>,
}

/// The measured paths, apart so that a profiler finds them.
#[inline(never)]
fn decide(stages: &mut Stages, packet: &Packet<'_>) {
    stages.packet(packet);
}

#[inline(never)]
fn order(stages: &mut Stages, gateway: &mut Gateway, packet: &Packet<'_>, clock: StampClock, out: &mut Kept<Event>) {
    stages.packet(packet);
    for instruction in &stages.instructions().0 {
        gateway.step(instruction, packet.time, out);
        gateway.encoded(Stamp::ticks(&clock));
    }
    black_box(gateway.pending());
}

impl Rig {
    fn new(case: Case) -> Self {
        let mut config = VenueConfig {
            universe: UniverseConfig { strikes: case.strikes, ..Default::default() },
            ..Default::default()
        };
        let universe = Universe::new(&config.universe, config.start);
        let options: Vec<_> = universe.contracts.iter().filter(|c| c.underlying == 0 && c.option.is_some()).collect();
        let held: Vec<_> = (0..case.held).map(|i| options[i * options.len() / case.held]).collect();
        // Short calls, long puts: a delta that nothing in the book takes back.
        let lots = |option| if option == OptionKind::Call { Lots(-1) } else { Lots(1) };
        let positions = held.iter().filter_map(|c| Some((c.venue, lots(c.option?)))).collect();
        config.positions = held.iter().filter_map(|c| Some((c.name.clone(), lots(c.option?)))).collect();

        let wide = if case.is_trading { 0.0 } else { 1e6 };
        let band = BandConfig { half_width_min: wide, half_width_max: wide, ..BandConfig::default() };
        let notional = 1_000_000_000 * ONE_E9;
        let limits = Limits {
            messages_per_second: u32::MAX,
            repeats_max: u32::MAX,
            order_notional_max_e9: notional,
            position_notional_max_e9: notional,
            ..Limits::default()
        };
        let (market_tap, [market]) = broadcast(1 << 14).expect("a power of two");
        let (exposures_tap, [exposures]) = broadcast(1 << 14).expect("a power of two");
        let greeks = GreeksConfig { opening: OpeningBook::Positions(positions), ..GreeksConfig::default() };
        let clock = StampClock::calibrate();
        let credentials = &config.session;
        let session = SessionConfig::new(&credentials.client_id, &credentials.secret).expect("both fit");
        let (inputs_tap, [inputs]) = broadcast(1 << 14).expect("a power of two");
        let tape = case.is_journaled.then_some(Tape(inputs_tap));
        let stages = Fused::watched(
            Feed::new(FeedConfig::default()),
            Watched::new(Greeks::new(greeks), tape),
            Watched::new(Hedge::new(HedgeConfig { band, limits, ..HedgeConfig::default() }), ()),
            Kept(Vec::with_capacity(1 << 10)),
            market_tap,
            exposures_tap,
            clock,
        );
        let mut rig = Self {
            stages,
            gateway: Gateway::new(session),
            market,
            exposures,
            inputs,
            clock,
            now: config.start,
            sequence: 0,
            change_id: 0,
            level: 0.0,
            is_up: false,
            packets: vec![Vec::new(); BATCH],
            reports: Kept(Vec::with_capacity(1 << 10)),
        };
        rig.open(Venue::new(config).expect("it lists what it holds"), case);
        rig
    }

    /// Runs the venue until everything is listed, quoted and calibrated, then takes its perpetual over.
    fn open(&mut self, mut venue: Venue, case: Case) {
        let mut surface = Surface::new(SurfaceConfig::default());
        let mut calibrations = Kept(Vec::new());
        for _ in 0..OPENING_MS {
            self.now = Nanos(self.now.0 + Nanos::PER_MILLI);
            venue.advance(self.now, &mut |channel, bytes| {
                let port = PORTS[usize::from(channel == Channel::Snapshot)];
                if channel == Channel::Incremental {
                    self.follow(bytes);
                }
                self.stages.packet(&Packet { time: self.now, received: self.ticks(), port, line: Line::A, bytes });
                self.market.drain(usize::MAX, |event| surface.step(event, &mut calibrations));
                self.exposures.drain(usize::MAX, |_| ());
                self.inputs.drain(usize::MAX, |_| ());
            });
            calibrations.0.drain(..).for_each(|event| self.stages.event(&event));
            if case.is_anchored {
                self.stages.clock(self.now);
            }
            self.exposures.drain(usize::MAX, |_| ());
            self.market.drain(usize::MAX, |_| ());
            self.settle();
        }
        self.level = venue.best(PERPETUAL, Side::Sell).expect("an offer").to_f64();
        venue.connect(self.now);
        self.gateway.connected(self.now);
        while !self.gateway.ready() {
            venue.receive(self.gateway.pending(), self.now);
            self.gateway.written(self.gateway.pending().len(), self.ticks(), &mut self.reports);
            let taken = self.gateway.receive(venue.outgoing(), self.now, &mut self.reports);
            venue.outgoing().drain(..taken);
        }
        self.settle();
        let anchored = self.stages.greeks().anchored();
        assert_eq!(anchored > 0, case.is_anchored);
        println!(
            "{} options held of {} instruments, {anchored} expiries anchored",
            case.held,
            self.stages.feed().catalogue().instruments().len()
        );
    }

    /// Notes where the perpetual's line and chain of changes stand.
    fn follow(&mut self, bytes: &[u8]) {
        let Ok((header, messages)) = wire::Packet::parse(bytes) else { return };
        if header.channel_id.get() != CHANNEL {
            return;
        }
        self.sequence = header.sequence.get();
        for message in messages {
            if let Ok(Message::Book(book)) = message
                && book.block.instrument_id.get() == PERPETUAL.0
            {
                self.change_id = book.block.change_id.get();
            }
        }
    }

    /// The next tick of the perpetual: its best offer becomes its best bid, or the other way about.
    fn encode(&mut self, slot: usize) {
        self.is_up = !self.is_up;
        let (from, to) = if self.is_up { (BookSide::Ask, BookSide::Bid) } else { (BookSide::Bid, BookSide::Ask) };
        let entry = |side: BookSide, change: BookChange, amount: f64| BookEntry {
            side: side.into(),
            change: change.into(),
            price: self.level.into(),
            amount: amount.into(),
        };
        let entries = [entry(from, BookChange::Deleted, 0.0), entry(to, BookChange::Created, 1_000.0)];
        self.sequence += 1;
        let block = BookBlock {
            instrument_id: PERPETUAL.0.into(),
            timestamp_ms: (self.now.0 / Nanos::PER_MILLI).into(),
            prev_change_id: self.change_id.into(),
            change_id: (self.change_id + 1).into(),
            is_last: 1,
        };
        self.change_id += 1;
        let mut buffer = [0; 256];
        let mut packet = wire::PacketBuilder::new(&mut buffer, CHANNEL, self.sequence).expect("room");
        packet.book(&block, &entries).expect("room");
        self.packets[slot].clear();
        self.packets[slot].extend_from_slice(packet.finish());
    }

    fn ticks(&self) -> Ticks {
        Stamp::ticks(&self.clock)
    }

    /// Lets the cold side have what is its own, and ends every order.
    fn settle(&mut self) {
        self.market.drain(usize::MAX, |_| ());
        self.inputs.drain(usize::MAX, |_| ());
        let length = self.gateway.pending().len();
        let at = self.ticks();
        self.gateway.written(length, at, &mut self.reports);
        let instructions = std::mem::take(&mut self.stages.instructions().0);
        for instruction in &instructions {
            match instruction {
                Instruction::Reference { .. } | Instruction::Level(_) => {
                    self.gateway.step(instruction, self.now, &mut self.reports)
                }
                Instruction::Send(approved) => {
                    let Request::New { order, instrument, .. } = *approved.request() else { continue };
                    let body = Body::Cancelled { order, instrument, cum_lots: 0, reason: 0 };
                    self.reports.0.push(Event { trail: Trail::default(), time: self.now, body });
                }
            }
        }
        self.stages.instructions().0 = instructions;
        self.stages.instructions().0.clear();
        for report in &self.reports.0 {
            self.stages.event(report);
        }
        self.reports.0.clear();
        self.exposures.drain(usize::MAX, |_| ());
    }

    /// Times one tick, counter steps.
    fn one(&mut self, case: Case) -> u64 {
        self.encode(0);
        self.now = Nanos(self.now.0 + TICK_NS);
        let (time, received, port) = (self.now, self.ticks(), PORTS[0]);
        let packet = Packet { time, received, port, line: Line::A, bytes: &self.packets[0] };
        let start = self.ticks();
        if case.is_trading {
            order(&mut self.stages, &mut self.gateway, &packet, self.clock, &mut self.reports);
        } else {
            decide(&mut self.stages, &packet);
        }
        let taken = self.ticks().0 - start.0;
        assert_eq!(self.stages.instructions().0.len(), usize::from(case.is_trading));
        self.settle();
        taken
    }

    /// Times so many ticks in a row, counter steps.
    fn many(&mut self, count: usize) -> u64 {
        (0..count).for_each(|slot| self.encode(slot));
        let (received, port) = (self.ticks(), PORTS[0]);
        let start = self.ticks();
        for bytes in &self.packets[..count] {
            self.now = Nanos(self.now.0 + TICK_NS);
            decide(&mut self.stages, &Packet { time: self.now, received, port, line: Line::A, bytes });
        }
        let taken = self.ticks().0 - start.0;
        self.settle();
        taken
    }

    fn run(&mut self, case: Case, ticks: u64) -> Duration {
        let mut taken = 0;
        let mut left = ticks;
        while left > 0 {
            let count = if case.is_trading { 1 } else { left.min(BATCH as u64) };
            taken += if case.is_trading { self.one(case) } else { self.many(count as usize) };
            left -= count;
        }
        Duration::from_nanos(self.clock.nanos(taken))
    }

    /// Ticks that ended otherwise than as an order or inside the band, since construction.
    fn held_back(&self) -> u64 {
        let holds = self.stages.hedge().counters().holds;
        holds.iter().filter(|(hold, _)| *hold != Hold::InsideBand).map(|(_, count)| count).sum()
    }
}

fn pipeline(c: &mut Criterion) {
    let books = [
        (13, 20, false, false),
        (13, 20, true, false),
        (13, 312, true, false),
        (13, 312, true, true),
        (23, 552, true, false),
        (80, 1_920, true, false),
    ];
    let mut percentiles = Vec::new();
    let mut group = c.benchmark_group("pipeline");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(50);
    for is_trading in [false, true] {
        for (strikes, held, is_anchored, is_journaled) in books {
            let case = Case { strikes, held, is_anchored, is_trading, is_journaled };
            let mut rig = None;
            group.bench_function(case.name(), |b: &mut Bencher<'_>| {
                let rig = rig.get_or_insert_with(|| Rig::new(case));
                b.iter_custom(|ticks| rig.run(case, ticks));
            });
            if let Some(mut rig) = rig {
                let held_back = rig.held_back();
                let mut steps = Histogram::<u64>::new_with_bounds(1, 1_000_000_000, 3).expect("the bounds are valid");
                for _ in 0..STEPS {
                    let taken = rig.one(case);
                    steps.saturating_record(rig.clock.nanos(taken));
                }
                assert_eq!(rig.held_back(), held_back, "every step ends as it should");
                percentiles.push((case.name(), steps));
            }
        }
    }
    group.finish();
    for (name, steps) in percentiles {
        let at = |quantile| steps.value_at_quantile(quantile);
        println!("single steps {name}: p50 {} p90 {} p99 {} p99.9 {} ns", at(0.5), at(0.9), at(0.99), at(0.999));
    }
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
