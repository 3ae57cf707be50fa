//! The venue's market-maker protection, from a trade that triggers it to the operator who ends it, over real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use hedgecore::event::{Body, Event, Protected};
use hedgecore::journal::replay::{Topology, replay};
use hedgecore::journal::{Decision, Directory, Reader, Record};
use hedgecore::order::{Request, TimeInForce};
use hedgecore::sim::venue::server::Endpoints;
use hedgecore::sim::venue::{MarketConfig, ProtectionConfig, Universe, UniverseConfig, VenueConfig, VenueServer};
use hedgecore::units::{ClientOrderId, InstrumentId, Lots, Nanos, Quantity, UnderlyingId};

use super::{LOOK, PATIENCE, PROGRAM, Process, config, ports, run, scratch};

/// Of an order that rests.
const REST: TimeInForce = TimeInForce::GoodTilCancel;

/// A busy market that trades with what rests, and a protection that a single such trade triggers, until somebody asks.
fn venue() -> VenueConfig {
    let mut config = VenueConfig {
        universe: UniverseConfig { strikes: 2, ..UniverseConfig::default() },
        market: MarketConfig {
            perpetual_trades_per_second: 100.0,
            option_trades_per_second: 400.0,
            ..MarketConfig::default()
        },
        ..VenueConfig::default()
    };
    let contracts = Universe::new(&config.universe, config.start).contracts.into_iter();
    config.positions = contracts.filter(|one| one.option.is_some()).map(|one| (one.name, Lots(-1))).collect();
    let (group, quantity_max) = (1, Quantity(0));
    let protection = ProtectionConfig { group, quantity_max, window_ns: Nanos::PER_SECOND, frozen_ns: 0 };
    config.session.protection = Some(protection);
    (config.session.client_id, config.session.secret) = ("hedgecore".to_owned(), "swordfish".to_owned());
    config
}

/// What the desk answers to a command.
fn control(socket: &Path, arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM).args(["control", "--socket"]).arg(socket).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A figure of the desk's status; zero while there is none.
fn figure(socket: &Path, name: &str) -> u64 {
    let status = control(socket, &["status"]);
    let of = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    status.lines().find_map(of).unwrap_or_default()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} never came");
        thread::sleep(LOOK);
    }
}

/// What became of orders that rest, in the order in which the desk heard of it.
#[derive(Debug, PartialEq)]
enum Heard {
    Accepted(UnderlyingId),
    Frozen(UnderlyingId),
    Thawed(UnderlyingId),
    /// An operator asked.
    Asked,
}

fn heard(directory: &Path) -> Vec<Heard> {
    let disk = Directory::open(directory).unwrap();
    let mut reader = Reader::open(&disk, 1).unwrap();
    let mut underlyings: BTreeMap<InstrumentId, UnderlyingId> = BTreeMap::new();
    let (mut resting, mut events): (BTreeSet<ClientOrderId>, Vec<Body>) = Default::default();
    while let Ok(Some((_, record))) = reader.read() {
        match record {
            Record::Decision {
                decision: Decision::Send { request: Request::New { order, time_in_force: REST, .. } },
            } => {
                resting.insert(order);
            }
            Record::Input { event: Event { body: Body::Listed { instrument, underlying, .. }, .. } } => {
                underlyings.insert(instrument, underlying);
            }
            Record::Input { event } => events.push(event.body),
            _ => {}
        }
    }
    let told = |body: Body| match body {
        Body::Accepted { order, instrument, .. } if resting.contains(&order) => {
            Some(Heard::Accepted(underlyings[&instrument]))
        }
        Body::Protection { scope: Protected::Orders { underlying }, until: Nanos(0) } => {
            Some(Heard::Thawed(underlying))
        }
        Body::Protection { scope: Protected::Orders { underlying }, .. } => Some(Heard::Frozen(underlying)),
        Body::Thaw { .. } => Some(Heard::Asked),
        _ => None,
    };
    events.into_iter().filter_map(told).collect()
}

/// How often an underlying froze and an order of it rests again. In between an operator has asked; then the gateway lets one
/// order go, which carries the question, and the venue says that the freeze has ended before it says that it took the order.
fn returns(all: &[Heard]) -> usize {
    let (mut frozen, mut returns): (BTreeMap<UnderlyingId, (bool, usize)>, usize) = Default::default();
    for heard in all {
        match heard {
            Heard::Frozen(underlying) => drop(frozen.insert(*underlying, (false, 0))),
            Heard::Asked => frozen.values_mut().for_each(|(is_asked, _)| *is_asked = true),
            Heard::Thawed(underlying) => {
                if let Some((_, thawed)) = frozen.get_mut(underlying) {
                    *thawed += 1;
                }
            }
            Heard::Accepted(underlying) => {
                if let Some((is_asked, thawed)) = frozen.remove(underlying) {
                    assert!(is_asked && thawed >= 2, "it rests although frozen: {all:?}");
                    returns += 1;
                }
            }
        }
    }
    returns
}

#[test]
fn what_the_venue_froze_stays_away_until_an_operator_asks_and_the_venue_agrees() {
    let (orders, feed) = ports();
    let group = Some(Ipv4Addr::new(239, 111, 111, 3));
    let (incremental_port, snapshot_port, order_port) = (feed, feed + 1, orders);
    let endpoints = Endpoints { group, incremental_port, snapshot_port, order_port, ..Endpoints::default() };
    let venue = VenueServer::spawn_at(venue(), endpoints).unwrap();
    let directory = scratch("protection");
    let socket = std::env::temp_dir().join(format!("hedgecore-{}-protection", std::process::id()));
    let path = config("protection", "starbase", true, orders, feed);
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text
        .replace(
            "protocol = \"starbase\"",
            "protocol = \"starbase\"\nmarket_maker_protection = true\ncurrency_pairs = { BTC = 1, ETH_USDC = 2 }",
        )
        .replace("# control = \"/run/hedgecore.sock\"", &format!("control = {socket:?}"))
        .replace("policy = \"whalley-wilmott\"", "policy = \"program\"")
        .replace("rest_below = 0.5", "rest_below = 1e9")
        .replace("rest_saving_share = 0.3", "rest_saving_share = 0.0");
    std::fs::write(&path, text).unwrap();
    let mut desk = Process::start(&run(&path, &directory));
    desk.until("ARMED");

    until("a freeze", || figure(&socket, "frozen") > 0);
    let refused = figure(&socket, "refused");
    until("an order that risk held back", || figure(&socket, "refused") > refused);
    assert_eq!(returns(&heard(&directory)), 0, "nobody has asked");

    // What freezes again at once is asked for again.
    until("an order that the venue took again", || {
        control(&socket, &["thaw", "--operator", "alice"]);
        returns(&heard(&directory)) > 0
    });
    desk.end();
    drop(venue.stop().unwrap());

    assert!(returns(&heard(&directory)) > 0);
    let disk = Directory::open(&directory).unwrap();
    for topology in [Topology::Fused, Topology::Split] {
        let replayed = replay(&disk, 1, topology, &mut |_| {}).unwrap();
        assert!(replayed.is_verified() && replayed.bytes_equal > 0, "{topology:?}: {:?}", replayed.difference);
    }
}
