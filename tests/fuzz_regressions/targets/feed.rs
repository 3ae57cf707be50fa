//! A feed behind a network that loses, doubles, delays and damages, of either protocol: no top that the venue never had,
//! and the venue's books once the network is well.

use std::collections::BTreeMap;

use hedgecore::event::{Body, Event};
use hedgecore::feed::{Feed, FeedConfig, Line, Packet, Protocol};
use hedgecore::hedge::HedgeConfig;
use hedgecore::instrument::BookQuality;
use hedgecore::portfolio::GreeksConfig;
use hedgecore::sim::checkers::Checkers;
use hedgecore::sim::venue::{Channel, MarketConfig, PublishConfig, UniverseConfig, Venue, VenueConfig};
use hedgecore::sim::{OrderProtocol, Watch};
use hedgecore::units::{Nanos, Price, Side, Ticks};

use super::script::{Script, chances};

const STEP_NS: u64 = 2 * Nanos::PER_MILLI;
/// Steps of the story, and of the recovery from it.
const STEPS_MAX: usize = 200;
const HEALING_STEPS: usize = 400;
/// From a request to its answer.
const ROUND_TRIP_NS: u64 = Nanos::PER_MILLI;

/// A small venue that tells its books over and over.
fn venue(publish: PublishConfig) -> Venue {
    Venue::new(VenueConfig {
        seed: 5,
        universe: UniverseConfig { strikes: 1, expiries: 2, ..UniverseConfig::default() },
        market: MarketConfig { activity: 0.25, ..MarketConfig::default() },
        publish,
        ..VenueConfig::default()
    })
    .expect("a valid configuration")
}

fn classic() -> PublishConfig {
    PublishConfig { snapshot_ns: 100 * Nanos::PER_MILLI, ..PublishConfig::default() }
}

pub fn starbase() -> PublishConfig {
    PublishConfig { protocol: Protocol::Starbase, heartbeat_ns: 50 * Nanos::PER_MILLI, ..classic() }
}

/// The first packets of a venue.
pub fn published(config: PublishConfig, count: usize) -> Vec<Vec<u8>> {
    let (mut venue, mut packets) = (venue(config), Vec::new());
    let mut now = venue.start_time();
    while packets.len() < count {
        now.0 += STEP_NS;
        venue.advance(now, &mut |_, bytes| packets.push(bytes.to_vec()));
    }
    packets.truncate(count);
    packets
}

struct World {
    venue: Venue,
    feed: Feed,
    checkers: Checkers,
    now: Nanos,
    events: Vec<Event>,
    /// What is under way: when it arrives, on which port and line.
    flying: Vec<(Nanos, u16, Line, Vec<u8>)>,
    tops: BTreeMap<u16, (BookQuality, Price, Price)>,
    is_classic: bool,
    is_damaged: bool,
}

pub fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let is_classic = script.below(2) == 0;
    let mut world = World::new(is_classic);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
    }
    world.heal();
}

impl World {
    fn new(is_classic: bool) -> Self {
        let venue = venue(if is_classic { classic() } else { starbase() });
        let config = if is_classic { FeedConfig::default() } else { FeedConfig::starbase() };
        let feed =
            FeedConfig { future_depth: 256, option_depth: 64, levels_max: 1 << 15, orders_max: 1 << 13, ..config };
        Self {
            now: venue.start_time(),
            venue,
            feed: Feed::new(feed),
            checkers: Checkers::new(&GreeksConfig::default(), &HedgeConfig::default(), OrderProtocol::Starbase),
            events: Vec::new(),
            flying: Vec::new(),
            tops: BTreeMap::new(),
            is_classic,
            is_damaged: false,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        self.now.0 += STEP_NS;
        let Self { venue, checkers, flying, now, is_classic, is_damaged, .. } = self;
        venue.advance(*now, &mut |channel, bytes| {
            if *is_classic {
                checkers.published(channel, bytes);
            }
            let port = 1 + u16::from(channel == Channel::Snapshot);
            for line in [Line::A, Line::B] {
                let (mut due, mut bytes) = (*now, bytes.to_vec());
                match script.below(12) {
                    0..=2 => continue,
                    3 => due.0 += script.below(20) * Nanos::PER_MILLI,
                    4 => flying.push((Nanos(due.0 + script.below(9) * Nanos::PER_MILLI), port, line, bytes.clone())),
                    // Nothing in a packet says that it was damaged: only what is no packet any more can be told from one.
                    5 => bytes.truncate(script.below(bytes.len() as u64) as usize),
                    6 if script.once_in(4) => {
                        *is_damaged = true;
                        let at = script.below(bytes.len() as u64) as usize;
                        bytes[at] ^= 1 << script.below(8);
                    }
                    _ => {}
                }
                flying.push((due, port, line, bytes));
            }
        });
        self.arrive();
    }

    fn arrive(&mut self) {
        let now = self.now;
        let mut due: Vec<_> = self.flying.extract_if(.., |(at, ..)| *at <= now).collect();
        due.sort_by_key(|(at, ..)| *at);
        for (time, port, line, bytes) in due {
            let packet = Packet { time, received: Ticks(0), port, line, bytes: &bytes };
            self.feed.step(&packet, &mut self.events);
            self.ask();
        }
        self.feed.tick(now, &mut self.events);
        self.ask();
        for event in std::mem::take(&mut self.events) {
            self.checkers.consumed(&event);
            if let Body::Top { instrument, quality, bid, ask, .. } = event.body {
                self.tops.insert(instrument.0, (quality, bid, ask));
            }
        }
        if self.is_classic && !self.is_damaged {
            assert_eq!(self.checkers.findings.violations, []);
        }
    }

    fn ask(&mut self) {
        let Some(request) = self.feed.take_request() else { return };
        let (flying, due) = (&mut self.flying, Nanos(self.now.0 + ROUND_TRIP_NS));
        self.venue.resend(&request, self.now, &mut |bytes| flying.push((due, 0, Line::Resent, bytes.to_vec())));
    }

    /// The network is well and the market stands still: every book is the venue's.
    fn heal(&mut self) {
        self.flying.clear();
        for step in 0..HEALING_STEPS {
            if step == HEALING_STEPS / 2 {
                self.venue.freeze();
            }
            self.healthy_step();
        }
        // A bit that was turned in a definition stays turned: nothing contradicts it.
        if self.is_damaged {
            return;
        }
        for listing in self.venue.exchange().listings().iter().filter(|listing| listing.open) {
            let name = &listing.contract.name;
            let id = self.feed.find(name).unwrap_or_else(|| panic!("{name} was never listed"));
            let best = |side| listing.book.best(side).unwrap_or(Price::ZERO);
            let theirs = Some((BookQuality::Good, best(Side::Buy), best(Side::Sell)));
            assert_eq!(self.tops.get(&id.0).copied(), theirs, "{name}");
        }
    }

    fn healthy_step(&mut self) {
        self.now.0 += STEP_NS;
        let Self { venue, checkers, flying, now, is_classic, .. } = self;
        venue.advance(*now, &mut |channel, bytes| {
            if *is_classic {
                checkers.published(channel, bytes);
            }
            let port = 1 + u16::from(channel == Channel::Snapshot);
            [Line::A, Line::B].into_iter().for_each(|line| flying.push((*now, port, line, bytes.to_vec())));
        });
        self.arrive();
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    chances(6, 1_500)
}
