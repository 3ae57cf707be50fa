//! The venue of a run, and how the process reaches it.

use super::dice::Dice;
use super::faults::Fault;
use super::options::Options;
use crate::feed::{FeedConfig, Protocol};
use crate::gateway::fix::{Credentials, FixConfig, FixRules, NonceSeed};
use crate::gateway::{GatewayConfig, SessionConfig};
use crate::instrument::OptionKind;
use crate::sim::OrderProtocol;
use crate::sim::random::Random;
use crate::sim::venue::{
    FixNames, MarketConfig, ProtectionConfig, PublishConfig, Universe, UniverseConfig, VenueConfig,
};
use crate::units::{Lots, Nanos, ONE_E9, Quantity};

/// Orders a second that a venue takes which is short of breath.
const THROTTLED: u32 = 5;
/// Longest silence on the order session, seconds: short, so that a run need not be long.
const HEARTBEAT_S: u32 = 1;
/// The client, and what it is known by.
const CLIENT: (&str, &str) = ("hedgecore", "loopback-only");
/// What a person may type in its place.
const WRONG_SECRET: &str = "loopback-olny";
/// Names of the client and of the venue in FIX.
const NAMES: (&str, &str) = ("DESK", "VENUE");

/// A busy venue of few contracts, where the client is short calls and long puts.
pub(super) fn venue(options: &Options, dice: &Dice) -> VenueConfig {
    let mut config = VenueConfig {
        seed: options.seed,
        universe: UniverseConfig { strikes: options.strikes as usize, ..UniverseConfig::default() },
        market: MarketConfig {
            activity: 0.25,
            speed: 400.0,
            option_marks_per_second: 400.0,
            ..MarketConfig::default()
        },
        publish: PublishConfig { protocol: options.feed, ..PublishConfig::default() },
        ..VenueConfig::default()
    };
    let session = &mut config.session;
    (session.client_id, session.secret) = (CLIENT.0.to_owned(), CLIENT.1.to_owned());
    session.heartbeat_s = HEARTBEAT_S;
    if dice.is_on(Fault::Throttle) {
        session.orders_per_second = THROTTLED;
    }
    if options.rate(Fault::Protection) > 0.0 {
        // It triggers when the fault strikes, and not otherwise.
        let quantity_max = Quantity(1_000_000 * ONE_E9);
        let (window_ns, frozen_ns) = (Nanos::PER_SECOND, Nanos::PER_SECOND);
        session.protection = Some(ProtectionConfig { group: 1, quantity_max, window_ns, frozen_ns });
    }
    if options.orders == OrderProtocol::Fix {
        let (target, sender) = (NAMES.0.to_owned(), NAMES.1.to_owned());
        session.fix = Some(FixNames { sender, target, reset_on_logon: false, drop_copy: None });
    }
    let mut book = Random::new(options.seed ^ 0x626f_6f6b);
    for contract in Universe::new(&config.universe, config.start).contracts {
        let lots = match contract.option {
            Some(OptionKind::Call) => -1 - book.below(20) as i64,
            Some(OptionKind::Put) => 1 + book.below(20) as i64,
            None => continue,
        };
        config.positions.push((contract.name, Lots(lots)));
    }
    config
}

/// The order session of a process, in the protocol of the run; with a secret that is not the venue's when it is wrong.
pub(super) fn session(options: &Options, is_wrong: bool) -> GatewayConfig {
    let secret = if is_wrong { WRONG_SECRET } else { CLIENT.1 };
    match options.orders {
        OrderProtocol::Starbase => {
            let config = SessionConfig::new(CLIENT.0, secret).expect("short enough");
            SessionConfig { market_maker_protection: options.rate(Fault::Protection) > 0.0, ..config }.into()
        }
        OrderProtocol::Fix => {
            let rules = FixRules::new(NAMES.0, NAMES.1).expect("short enough");
            let credentials = Credentials::new(CLIENT.0, secret).expect("short enough");
            let rules = FixRules { heartbeat_s: HEARTBEAT_S, ..rules };
            FixConfig::new(rules, credentials, NonceSeed([7; 32])).into()
        }
    }
}

/// A feed no larger than the venue needs.
pub(super) fn feed(protocol: Protocol) -> FeedConfig {
    let config = match protocol {
        Protocol::Classic => FeedConfig::default(),
        Protocol::Starbase => FeedConfig::starbase(),
    };
    FeedConfig { future_depth: 256, option_depth: 64, levels_max: 1 << 15, orders_max: 1 << 14, ..config }
}
