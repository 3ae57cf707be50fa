//! What is played to the pipeline: an opening, then ticks of one perpetual.
//!
//! The opening is the embedded venue's first second and a half, recorded once a size of book with the calibrations that the
//! surface makes of it, so that every topology begins from the same listed, quoted and calibrated market. Then the
//! perpetual's own levels are taken off its book, and every [`Ladder::next`] moves its offer by one price step: each packet
//! is decoded, moves the spot, revalues the whole book and ends in a decision. An order at that offer carries its price,
//! which tells the tick that caused it among the last [`STEPS`].

use crate::event::{Body, Event, Trail};
use crate::feed::{Feed, FeedConfig, Line, Packet};
use crate::hedge::{BandConfig, HedgeConfig};
use crate::instrument::OptionKind;
use crate::portfolio::{Capacity, GreeksConfig, OpeningBook};
use crate::risk::Limits;
use crate::sim::venue::publish::definition;
use crate::sim::venue::spec::{Contract, EXPIRIES};
use crate::sim::venue::{Channel, ConfigError, Universe, UniverseConfig, Venue, VenueConfig};
use crate::stage::Stage;
use crate::surface::{Surface, SurfaceConfig};
use crate::units::{InstrumentId, Lots, Nanos, ONE_E9, Price, Side, Ticks, UnderlyingId, VenueInstrumentId};
use crate::wire::deribit_multicast::{
    self as wire, BookBlock, BookChange, BookEntry, BookSide, Message, SnapshotBlock, SnapshotEntry,
    SnapshotStartBlock, State,
};

/// The inverse perpetual is the first contract that the venue lists, on this channel.
pub const PERPETUAL: VenueInstrumentId = VenueInstrumentId(1);
/// Price steps that the offer walks through before it begins anew.
pub const STEPS: u32 = 128;
/// Longest packet of a tick.
pub const PACKET_BYTES_MAX: usize = wire::PACKET_BYTES_MAX;

const CHANNEL: u16 = 1;
/// Ports that tell the lines apart where there are no sockets.
const PORTS: [u16; 2] = [6100, 6101];
/// Venue time for listings, snapshots and calibration.
const OPENING_MS: u64 = 1_500;
/// In which the greeks take every expiry's anchor up, a few at each.
const ANCHORING_CLOCKS: u64 = 2 * EXPIRIES as u64;
/// Of the perpetual, dollars.
const PRICE_STEP: f64 = 0.5;
/// At either best price, dollars: beyond what any hedge here asks for.
const DEPTH: f64 = 1e9;

/// How much is listed and held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookSize {
    /// Strikes of each of the twelve expiries of either underlying, a call and a put each.
    pub strikes: usize,
    /// Options held, spread over those of the inverse underlying.
    pub held: usize,
}

impl BookSize {
    /// The fewest strikes that list so many options to hold.
    pub fn holding(held: usize) -> Self {
        Self { strikes: held.div_ceil(2 * EXPIRIES), held }
    }
}

/// Whether a tick ends in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A band as wide as the world.
    NoTrade,
    /// A band of no width.
    Order,
}

/// A step of an opening.
#[derive(Clone, Debug)]
pub enum Step {
    /// A packet.
    Packet {
        /// When it comes.
        time: Nanos,
        /// On which port.
        port: u16,
        /// What it holds.
        bytes: Box<[u8]>,
    },
    /// A calibration.
    Event(Event),
    /// Time passes.
    Clock(Nanos),
}

/// A market that opens, and a book held in it.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// The perpetual's packets from then on.
    pub ladder: Ladder,
    /// What is held, for the greeks.
    pub book: OpeningBook,
    /// How many options are held.
    pub held: usize,
    /// Instruments listed.
    pub instruments: usize,
    /// When it ends.
    pub end: Nanos,
}

impl Opening {
    /// Records the opening of a venue that lists and holds so much.
    pub fn record(size: BookSize) -> Result<Self, ConfigError> {
        let (config, book) = venue(size, VenueConfig::default().start);
        let mut now = config.start;
        let mut venue = Venue::new(config)?;
        let (mut feed, mut surface) = (Feed::new(FeedConfig::default()), Surface::new(SurfaceConfig::default()));
        let (mut steps, mut ladder) = (Vec::new(), Ladder::default());
        let (mut market, mut calibrations) = (Vec::new(), Vec::new());
        for _ in 0..OPENING_MS {
            now = Nanos(now.0 + Nanos::PER_MILLI);
            venue.advance(now, &mut |channel, bytes| {
                if channel == Channel::Incremental {
                    ladder.follow(bytes);
                }
                let port = PORTS[usize::from(channel == Channel::Snapshot)];
                feed.step(&Packet { time: now, received: Ticks(1), port, line: Line::A, bytes }, &mut market);
                market.drain(..).for_each(|event| surface.step(&event, &mut calibrations));
                steps.push(Step::Packet { time: now, port, bytes: bytes.into() });
            });
            steps.extend(calibrations.drain(..).map(Step::Event));
            steps.push(Step::Clock(now));
        }
        let mut buffer = [0; PACKET_BYTES_MAX];
        let cleared = ladder.take_over(&venue, now, &mut buffer);
        steps.push(Step::Packet { time: now, port: PORTS[0], bytes: cleared.into() });
        Ok(Self { steps, ladder, book, held: size.held, instruments: venue.universe().contracts.len(), end: now })
    }

    /// An opening that lists so many options of twelve expiries, and nothing else but the perpetual that ticks: no venue plays it,
    /// so that books of any size open the same way and soon. Every other option is held by a lot, every smile is one curve.
    pub fn of_options(held: usize) -> Self {
        let start = VenueConfig::default().start;
        let size = BookSize::holding(held);
        let universe = UniverseConfig { strikes: size.strikes, ..UniverseConfig::default() };
        let universe = Universe::new(&universe, start);
        let is_first = |contract: &&Contract| contract.underlying == 0;
        let (perpetual, options) = universe.contracts.split_first().expect("the perpetual is listed first");
        let options: Vec<_> = options.iter().filter(is_first).filter(|c| c.option.is_some()).take(held).collect();
        let mut buffer = [0; PACKET_BYTES_MAX];
        let (mut steps, mut ladder) = (Vec::new(), Ladder { bid: universe.underlyings[0].spot, ..Ladder::default() });
        let mut say = |port: usize, sequence: u32, write: &dyn Fn(&mut wire::PacketBuilder<'_>)| {
            let mut packet = wire::PacketBuilder::new(&mut buffer, CHANNEL, sequence).expect("room for a header");
            write(&mut packet);
            steps.push(Step::Packet { time: start, port: PORTS[port], bytes: packet.finish().into() });
        };
        let listed = std::iter::once(perpetual).chain(options.iter().copied());
        for contract in listed {
            let (block, tick_steps) = definition(&universe, contract, State::Open);
            let name = contract.name.as_bytes();
            ladder.sequence += 1;
            say(0, ladder.sequence, &|p| {
                p.instrument_v2(&block, &tick_steps, name).expect("a definition fits a packet")
            });
        }
        let block = SnapshotBlock {
            instrument_id: PERPETUAL.0.into(),
            timestamp_ms: (start.0 / Nanos::PER_MILLI).into(),
            change_id: 0.into(),
            is_book_complete: 1,
            is_last_in_book: 1,
        };
        let level =
            |side: BookSide, price: f64| SnapshotEntry { side: side.into(), price: price.into(), amount: DEPTH.into() };
        let levels = [level(BookSide::Bid, ladder.bid), level(BookSide::Ask, ladder.offer(0))];
        say(1, 1, &|packet| packet.snapshot_start(&SnapshotStartBlock::default()).expect("room"));
        say(1, 2, &|packet| packet.snapshot(&block, &levels).expect("room"));
        let event = |body| Step::Event(Event { trail: Trail::default(), time: start, body });
        for (at, option) in options.iter().enumerate() {
            // The feed numbers instruments in the order of their listing.
            let instrument = InstrumentId(at as u16 + 1);
            let expiry_s = option.expiry.map_or(0, |expiry| (expiry.0 / Nanos::PER_SECOND) as u32);
            if at == 0 || options[at - 1].expiry != option.expiry {
                steps.push(event(Body::Forward { underlying: UnderlyingId(0), expiry_s, ratio: 1.0 }));
            }
            let moneyness = option.strike / ladder.bid - 1.0;
            let sigma = 0.6 + 0.1 * moneyness * moneyness / (1.0 + moneyness * moneyness);
            steps.push(event(Body::Volatility { instrument, sigma, slope: 0.0 }));
        }
        let end = Nanos(start.0 + OPENING_MS * Nanos::PER_MILLI);
        let clocks = (1..=ANCHORING_CLOCKS).map(|at| Nanos(end.0 - (ANCHORING_CLOCKS - at) * Nanos::PER_MILLI));
        steps.extend(clocks.map(Step::Clock));
        let lots = |option: &Contract| if option.option == Some(OptionKind::Call) { Lots(-1) } else { Lots(1) };
        let book = OpeningBook::Positions(options.iter().map(|option| (option.venue, lots(option))).collect());
        Self { steps, ladder, book, held: options.len(), instruments: options.len() + 1, end }
    }

    /// The same to whom nobody tells the time, so that the greeks take up no anchors.
    pub fn without_clocks(mut self) -> Self {
        self.steps.retain(|step| !matches!(step, Step::Clock(_)));
        self
    }

    /// The settings of a feed that lists all of it.
    pub fn feed(&self) -> FeedConfig {
        let usual = FeedConfig::default();
        let instruments = self.instruments.max(usual.instruments);
        // Books beyond the usual number are shallow, so that their levels take no more memory.
        let option_depth = if instruments > usual.instruments { 8 } else { usual.option_depth };
        FeedConfig { instruments, option_depth, ..usual }
    }

    /// The settings of greeks that hold the book.
    pub fn greeks(&self) -> GreeksConfig {
        let usual = Capacity::default();
        let instruments = self.instruments.max(usual.instruments);
        let options_an_expiry = (2 * BookSize::holding(self.held).strikes).max(usual.options_an_expiry);
        let expiries = if self.held > EXPIRIES * usual.options_an_expiry { EXPIRIES } else { usual.expiries };
        let capacity = Capacity { instruments, expiries, options_an_expiry };
        GreeksConfig { opening: self.book.clone(), capacity, ..GreeksConfig::default() }
    }

    /// The settings of a hedge for which every tick ends as asked.
    pub fn hedge(&self, outcome: Outcome) -> HedgeConfig {
        let usual = hedge(outcome);
        HedgeConfig { instruments: self.instruments.max(usual.instruments), ..usual }
    }
}

/// A venue where the client holds short calls and long puts, a delta that nothing in the book takes back; and the same book
/// by the venue's numbers.
pub fn venue(size: BookSize, start: Nanos) -> (VenueConfig, OpeningBook) {
    let universe = UniverseConfig { strikes: size.strikes, ..UniverseConfig::default() };
    let listed = Universe::new(&universe, start).contracts;
    let options: Vec<_> = listed.iter().filter(|c| c.underlying == 0 && c.option.is_some()).collect();
    let held = (0..size.held).map(|at| options[at * options.len() / size.held.max(1)]);
    let lots = |option| if option == Some(OptionKind::Call) { Lots(-1) } else { Lots(1) };
    let numbers = held.clone().map(|contract| (contract.venue, lots(contract.option))).collect();
    let positions = held.map(|contract| (contract.name.clone(), lots(contract.option))).collect();
    (VenueConfig { start, universe, positions, ..VenueConfig::default() }, OpeningBook::Positions(numbers))
}

/// A hedge for which every tick ends as asked: risk is asked about each order, and has no reason to refuse one.
pub fn hedge(outcome: Outcome) -> HedgeConfig {
    let width = if outcome == Outcome::NoTrade { 1e6 } else { 0.0 };
    let notional = 1_000_000_000 * ONE_E9;
    let limits = Limits {
        messages_per_second: u32::MAX,
        repeats_max: u32::MAX,
        order_notional_max_e9: notional,
        position_notional_max_e9: notional,
        gross_notional_max_e9: notional,
        delta_notional_max_e9: notional,
        gamma_notional_max_e9: notional,
        vega_max_e9: notional,
        credit_max_e9: notional,
        ..Limits::default()
    };
    let band = BandConfig { half_width_min: width, half_width_max: width, ..BandConfig::default() };
    HedgeConfig { band, limits, slippage_e9: 0, ..HedgeConfig::default() }
}

/// The perpetual's line of packets: a bid that stays, an offer that climbs by one price step a packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ladder {
    sequence: u32,
    change_id: u64,
    /// The bid, dollars.
    bid: f64,
    /// Where the offer is above it, price steps less one.
    step: u32,
}

impl Ladder {
    /// Notes where the line and the chain of changes stand.
    pub fn follow(&mut self, bytes: &[u8]) {
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

    /// Takes the book over as it stands at the venue, which must not publish that channel from here on: all its levels go,
    /// one of each side comes. Every offer lies below the venue's own, so that an order at one finds nobody there.
    pub fn take_over<'a>(&mut self, venue: &Venue, now: Nanos, buffer: &'a mut [u8]) -> &'a [u8] {
        let book = &venue.exchange().listings()[0].book;
        let best = venue.best(PERPETUAL, Side::Sell).map_or(0.0, Price::to_f64);
        self.bid = best - PRICE_STEP * f64::from(STEPS + 2);
        let mut entries = Vec::new();
        for (side, name) in [(Side::Buy, BookSide::Bid), (Side::Sell, BookSide::Ask)] {
            let levels = book.levels(side).map(|level| level.price.to_f64());
            entries.extend(levels.map(|price| entry(name, BookChange::Deleted, price, 0.0)));
        }
        entries.push(entry(BookSide::Bid, BookChange::Created, self.bid, DEPTH));
        entries.push(entry(BookSide::Ask, BookChange::Created, self.offer(0), DEPTH));
        self.step = 0;
        self.packet(&entries, now, buffer)
    }

    /// The next tick, in `buffer` of [`PACKET_BYTES_MAX`].
    pub fn next<'a>(&mut self, now: Nanos, buffer: &'a mut [u8]) -> &'a [u8] {
        let (from, to) = (self.step, (self.step + 1) % STEPS);
        self.step = to;
        let gone = entry(BookSide::Ask, BookChange::Deleted, self.offer(from), 0.0);
        let here = entry(BookSide::Ask, BookChange::Created, self.offer(to), DEPTH);
        self.packet(&[gone, here], now, buffer)
    }

    /// The step of the tick made last.
    pub fn step(&self) -> u32 {
        self.step
    }

    /// The step at which an order of this price was decided.
    pub fn step_of(&self, price: Price) -> Option<u32> {
        let steps = ((price.to_f64() - self.bid) / PRICE_STEP).round() - 1.0;
        (0.0..f64::from(STEPS)).contains(&steps).then_some(steps as u32)
    }

    fn offer(&self, step: u32) -> f64 {
        self.bid + PRICE_STEP * f64::from(step + 1)
    }

    fn packet<'a>(&mut self, entries: &[BookEntry], now: Nanos, buffer: &'a mut [u8]) -> &'a [u8] {
        self.sequence += 1;
        let block = BookBlock {
            instrument_id: PERPETUAL.0.into(),
            timestamp_ms: (now.0 / Nanos::PER_MILLI).into(),
            prev_change_id: self.change_id.into(),
            change_id: (self.change_id + 1).into(),
            is_last: 1,
        };
        self.change_id += 1;
        let mut packet = wire::PacketBuilder::new(buffer, CHANNEL, self.sequence).expect("room for a header");
        packet.book(&block, entries).expect("a book of the embedded venue fits a packet");
        packet.finish()
    }
}

fn entry(side: BookSide, change: BookChange, price: f64, amount: f64) -> BookEntry {
    BookEntry { side: side.into(), change: change.into(), price: price.into(), amount: amount.into() }
}
