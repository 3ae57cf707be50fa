//! What may leave: an instruction as only a gate makes it. Tests of what stands behind the gate include this file.

use hedgecore::event::{Body, Event, Trail};
use hedgecore::instrument::{BookQuality, Instrument};
use hedgecore::order::{OrderStore, Request};
use hedgecore::risk::{Gate, Instruction, Limits, View};
use hedgecore::units::{Nanos, ONE_E9, Price};

/// Approved by a gate that knows one instrument, whose book is one dollar wide from `bid` on, and that refuses nothing asked
/// within reason. The store holds the orders asked for.
pub(crate) fn approved(
    orders: &mut OrderStore,
    instrument: &Instrument,
    bid: Price,
    request: Request,
    now: Nanos,
) -> Instruction {
    let limits = Limits { messages_per_second: 1_000_000, open_orders_max: 1_000_000, ..Limits::default() };
    let (mut gate, ask, quality) = (Gate::new(limits), Price(bid.0 + ONE_E9), BookQuality::Good);
    let top = Body::Top { instrument: instrument.id, quality, bid, ask, bid_lots: 1, ask_lots: 1 };
    for body in [instrument.listing(), top] {
        gate.see(&Event { trail: Trail::default(), time: now, body });
    }
    let view = View { instrument: Some(instrument), quality, bid, ask, spot: ask };
    Instruction::Send(gate.approve(request, &view, orders, now).expect("approved"))
}
