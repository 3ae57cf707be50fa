//! What several targets need of a market: one perpetual, and a gate that approves what is asked.

use hedgecore::event::{Body, Event, KillLevel, Trail};
use hedgecore::gateway::{Gateway, local_reason};
use hedgecore::instrument::{BookQuality, Instrument, Symbol};
use hedgecore::order::{OrderStore, Request, TimeInForce};
use hedgecore::risk::{Gate, Instruction, Limits, View};
use hedgecore::units::*;

pub const PERPETUAL: InstrumentId = InstrumentId(3);
pub const VENUE_PERPETUAL: u32 = 210_838;
pub const LOT: i64 = 10 * ONE_E9;
pub const PRICE: Price = Price(99_999 * ONE_E9);

/// Ten dollars a lot, half a dollar a tick.
pub fn perpetual() -> Instrument {
    Instrument::inverse_perpetual(
        PERPETUAL,
        VenueInstrumentId(VENUE_PERPETUAL),
        UnderlyingId(0),
        Quantity(LOT),
        Price(500_000_000),
    )
}

pub fn event(time: Nanos, body: Body) -> Event {
    Event { trail: Trail::default(), time, body }
}

/// A gate with next to no limits, and the orders it has approved: what a hedge would have decided.
pub struct Approver {
    gate: Gate,
    orders: OrderStore,
    instrument: Instrument,
    asked: u64,
}

impl Approver {
    pub fn new() -> Self {
        let limits = Limits {
            messages_per_second: u32::MAX,
            open_orders_max: u32::MAX,
            repeats_max: u32::MAX,
            position_notional_max_e9: i64::MAX,
            gross_notional_max_e9: i64::MAX,
            delta_notional_max_e9: i64::MAX,
            credit_max_e9: i64::MAX,
            ..Limits::default()
        };
        let (mut gate, instrument) = (Gate::new(limits), perpetual());
        let top = Body::Top {
            instrument: PERPETUAL,
            quality: BookQuality::Good,
            bid: PRICE,
            ask: Price(PRICE.0 + ONE_E9),
            bid_lots: 1,
            ask_lots: 1,
        };
        for body in [instrument.listing(), top] {
            gate.see(&event(Nanos(0), body));
        }
        Self { gate, orders: OrderStore::new(), instrument, asked: 0 }
    }

    /// How the venue names and measures the perpetual.
    pub fn reference(&self) -> Instruction {
        Instruction::Reference {
            instrument: PERPETUAL,
            underlying: UnderlyingId(0),
            venue: VenueInstrumentId(VENUE_PERPETUAL),
            lot: Quantity(LOT),
            contract: Quantity(LOT),
            symbol: Symbol::new(b"BTC-PERPETUAL").expect("it fits"),
        }
    }

    /// A new order of so many lots, under the next number.
    pub fn order(&mut self, lots: u32) -> Option<(u64, Instruction)> {
        self.asked += 1;
        let request = Request::New {
            trail: Trail::default(),
            decided: 0,
            order: ClientOrderId(self.asked),
            instrument: PERPETUAL,
            side: Side::Sell,
            time_in_force: TimeInForce::GoodTilCancel,
            post_only: false,
            // No two alike, lest the second be refused as the first once more.
            price: Price(PRICE.0 + (self.asked % 100) as i64 * 500_000_000),
            lots: lots.max(1),
        };
        self.approve(request).map(|instruction| (self.asked, instruction))
    }

    pub fn cancel(&mut self, order: u64) -> Option<Instruction> {
        self.approve(Request::Cancel { order: ClientOrderId(order), instrument: PERPETUAL })
    }

    pub fn cancel_all(&mut self) -> Option<Instruction> {
        self.approve(Request::CancelAll)
    }

    fn approve(&mut self, request: Request) -> Option<Instruction> {
        let view = View {
            instrument: Some(&self.instrument),
            quality: BookQuality::Good,
            bid: PRICE,
            ask: Price(PRICE.0 + ONE_E9),
            spot: PRICE,
        };
        self.gate.approve(request, &view, &mut self.orders, Nanos(self.asked)).ok().map(Instruction::Send)
    }
}

/// What became of each order at the gateway.
#[derive(Default)]
pub struct Answers {
    asked: std::collections::BTreeSet<u64>,
    answered: std::collections::BTreeSet<u64>,
}

impl Answers {
    /// The gateway takes an order.
    pub fn asked(&mut self, order: u64) {
        self.asked.insert(order);
    }

    /// Takes the gateway's reports: an order is sent, or refused on this side of the wire; once, and not both. That a request
    /// could not be read is the venue's word on one that was sent.
    pub fn hear(&mut self, events: &[Event]) {
        for event in events {
            let answered = match event.body {
                Body::Sent { order, .. } => Some(order),
                Body::Rejected { reason: local_reason::UNREADABLE, .. } => None,
                Body::Rejected { order, reason: 200.., .. } => Some(order),
                _ => None,
            };
            if let Some(order) = answered.filter(|order| self.asked.contains(&order.0)) {
                assert!(self.answered.insert(order.0), "order {} was answered twice", order.0);
            }
        }
    }

    /// The connection is gone, so that nothing waits to be written: every order has been answered.
    pub fn all(&self) {
        let open: Vec<_> = self.asked.difference(&self.answered).collect();
        assert!(open.is_empty(), "orders {open:?} were neither sent nor refused");
    }
}

/// Whether orders may leave, as the gateway was told; a halt is for good.
pub fn is_shut(gateway: &Gateway) -> bool {
    gateway.level() >= KillLevel::Pause
}
