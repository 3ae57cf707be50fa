//! Independent parties: an acceptor built on libquickfix, which our initiator trades with and is cut off by; and tshark,
//! which reads what we write.
//!
//! Neither is needed to build this crate: where a compiler, the library or tshark is missing, the test says so and passes.

#[path = "../approval/mod.rs"]
mod approval;

mod dissector;
mod engine;

use hedgecore::event::Event;
use hedgecore::gateway::Gateway;
use hedgecore::gateway::fix::{Credentials, FixConfig, FixRules, NonceSeed};
use hedgecore::instrument::{Instrument, Symbol};
use hedgecore::order::{OrderStore, Request};
use hedgecore::risk::Instruction;
use hedgecore::units::*;

pub(crate) const PERPETUAL: InstrumentId = InstrumentId(3);
pub(crate) const LOT: Quantity = Quantity(10 * ONE_E9);
pub(crate) const PRICE: Price = Price(97_650 * ONE_E9 + ONE_E9 / 2);

/// A session that knows one instrument.
pub(crate) fn gateway(now: Nanos, events: &mut Vec<Event>) -> Gateway {
    let rules = FixRules { heartbeat_s: 2, ..FixRules::new("DESK", "VENUE").expect("names") };
    let credentials = Credentials::new("key", "swordfish").expect("both fit");
    let mut gateway = Gateway::new(FixConfig::new(rules, credentials, NonceSeed([7; 32])));
    let reference = Instruction::Reference {
        instrument: PERPETUAL,
        underlying: UnderlyingId(0),
        venue: VenueInstrumentId(1),
        lot: LOT,
        contract: LOT,
        symbol: Symbol::new(b"BTC-PERPETUAL").expect("it fits"),
    };
    gateway.step(&reference, now, events);
    gateway
}

/// Approved by a gate that refuses nothing these tests ask. The store holds the orders asked for.
pub(crate) fn approved(orders: &mut OrderStore, request: Request, now: Nanos) -> Instruction {
    let instrument =
        Instrument::inverse_perpetual(PERPETUAL, VenueInstrumentId(1), UnderlyingId(0), LOT, Price(ONE_E9 / 2));
    approval::approved(orders, &instrument, PRICE, request, now)
}
