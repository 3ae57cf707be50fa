//! The gateway against the embedded venue, byte by byte in the test's own time: quotes and their protection over the binary
//! session, amendments and the loss of the connection over both.

use hedgecore::event::{Body, Event, Protected, Trail};
use hedgecore::gateway::fix::{Credentials, FixConfig, FixRules, NonceSeed};
use hedgecore::gateway::{Gateway, GatewayConfig, SessionConfig, local_reason};
use hedgecore::instrument::{BookQuality, Instrument, Symbol};
use hedgecore::order::{FROZEN_UNTIL_ASKED, OrderState, OrderStore, Request, TimeInForce, offer_of};
use hedgecore::risk::{Approved, Gate, Instruction, Limits, Refusal, View};
use hedgecore::sim::venue::{CancelOnDisconnect, FixNames, ProtectionConfig, Venue, VenueConfig};
use hedgecore::units::*;

const INSTRUMENT: InstrumentId = InstrumentId(0);
const LOT: Quantity = Quantity(10 * ONE_E9);
const GROUP: i64 = 77;
const QUOTES: Protected = Protected::Quotes { group: GROUP };
const ORDERS: Protected = Protected::Orders { underlying: UnderlyingId(0) };

/// Both ends, and a gate and its orders beside the gateway.
struct Both {
    venue: Venue,
    gateway: Gateway,
    gate: Gate,
    orders: OrderStore,
    now: Nanos,
    stream: Vec<u8>,
    heard: usize,
    events: Vec<Event>,
    number: u64,
}

fn perpetual() -> Instrument {
    Instrument::inverse_perpetual(INSTRUMENT, super::PERPETUAL, UnderlyingId(0), LOT, Price(500_000_000))
}

fn binary(protection: Option<ProtectionConfig>, protects_orders: bool) -> Both {
    let mut venue = VenueConfig::default();
    venue.session.protection = protection;
    let session = SessionConfig::new(&venue.session.client_id, &venue.session.secret).expect("both fit");
    let quote_group = if protection.is_some() { GROUP } else { 0 };
    Both::new(venue, SessionConfig { quote_group, market_maker_protection: protects_orders, ..session }.into())
}

fn fix() -> Both {
    fix_with(VenueConfig::default(), None)
}

/// With another setting than the usual one, if one is given.
fn fix_with(mut venue: VenueConfig, cancel_on_disconnect: Option<bool>) -> Both {
    let (sender, target) = ("VENUE".to_owned(), "DESK".to_owned());
    let names = FixNames { sender, target, reset_on_logon: false, drop_copy: None };
    venue.session.fix = Some(names);
    let credentials = Credentials::new(&venue.session.client_id, &venue.session.secret).expect("both fit");
    let rules = FixRules { heartbeat_s: 5, ..FixRules::new("DESK", "VENUE").expect("names") };
    let usual = FixConfig::new(rules, credentials, NonceSeed([3; 32]));
    let cancel_on_disconnect = cancel_on_disconnect.unwrap_or(usual.cancel_on_disconnect);
    Both::new(venue, FixConfig { cancel_on_disconnect, ..usual }.into())
}

fn binary_with(venue: VenueConfig, cancel_on_disconnect: Option<bool>) -> Both {
    let usual = SessionConfig::new(&venue.session.client_id, &venue.session.secret).expect("both fit");
    let cancel_on_disconnect = cancel_on_disconnect.unwrap_or(usual.cancel_on_disconnect);
    Both::new(venue, SessionConfig { cancel_on_disconnect, ..usual }.into())
}

impl Both {
    fn new(venue: VenueConfig, gateway: GatewayConfig) -> Self {
        let venue = Venue::new(venue).expect("valid configuration");
        let limits = Limits {
            messages_per_second: 1_000_000,
            open_orders_max: 1_000,
            collar_e9: ONE_E9 / 2,
            drift_e9: ONE_E9 / 2,
            repeats_max: 1_000,
            ..Limits::default()
        };
        let mut both = Self {
            now: venue.start_time(),
            venue,
            gateway: Gateway::new(gateway),
            gate: Gate::new(limits),
            orders: OrderStore::new(),
            stream: Vec::new(),
            heard: 0,
            events: Vec::new(),
            number: 0,
        };
        let instrument = perpetual();
        let Instrument { id, venue, underlying, lot, contract, .. } = instrument;
        let symbol = Symbol::new(b"BTC-PERPETUAL").expect("it fits");
        let reference = Instruction::Reference { instrument: id, underlying, venue, lot, contract, symbol };
        both.gateway.step(&reference, both.now, &mut both.events);
        both.see(instrument.listing());
        both.wait(5);
        both.see_book();
        both.log_on();
        both
    }

    fn see(&mut self, body: Body) {
        self.gate.see(&Event { trail: Trail::default(), time: self.now, body });
    }

    fn see_book(&mut self) {
        let [bid, ask] = [Side::Buy, Side::Sell].map(|side| self.best(side));
        let (quality, bid_lots, ask_lots) = (BookQuality::Good, 1, 1);
        self.see(Body::Top { instrument: INSTRUMENT, quality, bid, ask, bid_lots, ask_lots });
    }

    fn log_on(&mut self) {
        self.venue.connect(self.now);
        self.gateway.connected(self.now);
        self.talk();
        assert!(self.gateway.ready());
    }

    fn break_off(&mut self) {
        self.venue.disconnect(self.now);
        self.gateway.disconnected(self.now, &mut self.events);
        self.stream.clear();
        self.hear();
    }

    fn best(&self, side: Side) -> Price {
        self.venue.best(super::PERPETUAL, side).expect("quoted")
    }

    /// Bytes go both ways until none is left, and what they say reaches the gate.
    fn talk(&mut self) {
        for _ in 0..6 {
            self.gateway.tick(self.now, &mut self.events);
            let pending = self.gateway.pending().to_vec();
            self.gateway.written(pending.len(), Ticks(0), &mut self.events);
            self.venue.receive(&pending, self.now);
            self.stream.append(self.venue.outgoing());
            let taken = self.gateway.receive(&self.stream, self.now, &mut self.events);
            self.stream.drain(..taken);
        }
        assert_eq!(self.gateway.disconnect_reason(), None);
        self.hear();
    }

    fn hear(&mut self) {
        for event in &self.events[self.heard..] {
            self.gate.hear(event, &mut self.orders);
            self.gate.see(event);
        }
        self.heard = self.events.len();
    }

    fn wait(&mut self, ms: u64) {
        self.now = Nanos(self.now.0 + ms * Nanos::PER_MILLI);
        self.venue.advance(self.now, &mut |_, _| {});
    }

    /// Waits a millisecond at a time until an event does.
    fn wait_for(&mut self, mut awaited: impl FnMut(&Body) -> bool) {
        for _ in 0..30_000 {
            let seen = self.events.len();
            self.wait(1);
            self.talk();
            if self.events[seen..].iter().any(|event| awaited(&event.body)) {
                return;
            }
        }
        panic!("it never came");
    }

    fn approve(&mut self, request: Request) -> Result<Approved<Request>, Refusal> {
        self.see_book();
        let instrument = perpetual();
        let (bid, ask) = (self.best(Side::Buy), self.best(Side::Sell));
        let view = View { instrument: Some(&instrument), quality: BookQuality::Good, bid, ask, spot: bid };
        self.gate.approve(request, &view, &mut self.orders, self.now)
    }

    fn ask(&mut self, request: Request) {
        let approved = self.approve(request).expect("approved");
        self.gateway.step(&Instruction::Send(approved), self.now, &mut self.events);
        self.talk();
    }

    /// A quote so far from the best prices.
    fn quotation(&mut self, away: i64, lots: u32) -> Request {
        self.number += 2;
        let (bid, ask) = (self.best(Side::Buy), self.best(Side::Sell));
        let (bid, ask) = (Price(bid.0 - away * ONE_E9), Price(ask.0 + away * ONE_E9));
        let order = ClientOrderId(self.number);
        Request::Quote { order, instrument: INSTRUMENT, bid, ask, bid_lots: lots, ask_lots: lots }
    }

    /// Sends one; the bid's number.
    fn quote(&mut self, away: i64, lots: u32) -> ClientOrderId {
        let request = self.quotation(away, lots);
        self.ask(request);
        ClientOrderId(self.number)
    }

    fn limit_order(&mut self, side: Side, price: Price, lots: u32) -> Request {
        self.number += 2;
        Request::New {
            trail: Trail::default(),
            decided: 0,
            order: ClientOrderId(self.number),
            instrument: INSTRUMENT,
            side,
            time_in_force: TimeInForce::GoodTilCancel,
            post_only: false,
            price,
            lots,
        }
    }

    fn order(&mut self, side: Side, price: Price, lots: u32) -> ClientOrderId {
        let request = self.limit_order(side, price, lots);
        self.ask(request);
        ClientOrderId(self.number)
    }

    fn state(&self, order: ClientOrderId) -> OrderState {
        self.orders.find(order).expect("entered").state
    }

    fn protections(&self) -> Vec<(Protected, Nanos)> {
        let of = |event: &Event| match event.body {
            Body::Protection { scope, until } => Some((scope, until)),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    /// What the gate believes is what the venue says.
    fn assert_agreed(&self) {
        assert_eq!(self.gate.position(INSTRUMENT), self.venue.position(super::PERPETUAL));
        assert_eq!(self.orders.open_orders() as usize, self.venue.statement().open_orders);
        let counters = self.orders.counters();
        assert_eq!((counters.inconsistent, counters.unknown, counters.unsolicited), (0, 0, 0), "{counters:?}");
        assert_eq!(self.gateway.counters().unrepresentable + self.gateway.counters().unused_types, 0);
    }
}

fn protection(quantity_lots: i64, frozen_ns: u64) -> Option<ProtectionConfig> {
    let quantity_max = Lots(quantity_lots).to_quantity(LOT);
    Some(ProtectionConfig { group: GROUP, quantity_max, window_ns: 60 * Nanos::PER_SECOND, frozen_ns })
}

#[test]
fn a_quote_replaces_the_one_before_and_each_side_is_cancelled_alone() {
    let mut both = binary(protection(1_000, 0), false);
    let first = both.quote(50, 3);
    assert_eq!((both.state(first), both.state(offer_of(first))), (OrderState::Working, OrderState::Working));
    let second = both.quote(40, 2);
    assert_eq!((both.state(first), both.state(offer_of(first))), (OrderState::Cancelled, OrderState::Cancelled));
    assert_eq!(both.orders.working_lots(INSTRUMENT), (2, 2));
    both.assert_agreed();
    both.ask(Request::Cancel { order: offer_of(second), instrument: INSTRUMENT });
    assert_eq!(both.orders.working_lots(INSTRUMENT), (2, 0), "only the offer went");
    assert_eq!((both.state(second), both.state(offer_of(second))), (OrderState::Working, OrderState::Cancelled));
    both.assert_agreed();
    both.ask(Request::CancelAll);
    assert_eq!(both.state(second), OrderState::Cancelled);
    both.assert_agreed();
    assert_eq!((both.gateway.counters().quotes, both.orders.open_orders()), (2, 0));
}

#[test]
fn a_side_that_would_take_is_refused_alone() {
    let mut both = binary(protection(1_000, 0), false);
    both.number += 2;
    let (order, bid) = (ClientOrderId(both.number), both.best(Side::Sell));
    let ask = Price(bid.0 + 50 * ONE_E9);
    both.ask(Request::Quote { order, instrument: INSTRUMENT, bid, ask, bid_lots: 1, ask_lots: 1 });
    assert_eq!((both.state(order), both.state(offer_of(order))), (OrderState::Rejected, OrderState::Working));
    both.assert_agreed();
}

#[test]
fn quotes_that_trade_past_the_protection_freeze_until_it_is_reset() {
    let mut both = binary(protection(2, 0), false);
    assert_eq!(both.protections(), [(QUOTES, Nanos(0))], "asked for once logged on");
    let quoted = both.quote(0, 5);
    both.wait_for(|body| matches!(body, Body::Protection { scope: QUOTES, until: FROZEN_UNTIL_ASKED }));
    assert_eq!(both.orders.open_orders(), 0, "both sides were taken back");
    assert!([quoted, offer_of(quoted)].into_iter().any(|order| both.state(order) == OrderState::Cancelled));
    let frozen = both.quotation(50, 1);
    assert_eq!(both.approve(frozen).err(), Some(Refusal::Frozen));
    both.ask(Request::Thaw { scope: QUOTES });
    assert_eq!(both.protections().last(), Some(&(QUOTES, Nanos(0))));
    let again = both.quote(50, 1);
    assert_eq!(both.state(again), OrderState::Working);
    assert_eq!(both.gate.position(INSTRUMENT), both.venue.position(super::PERPETUAL));
}

#[test]
fn a_freeze_that_ran_out_is_told_and_one_met_at_logon_is_known() {
    let mut both = binary(protection(2, 20 * Nanos::PER_SECOND), false);
    both.quote(0, 5);
    both.wait_for(|body| matches!(body, Body::Protection { scope: QUOTES, until } if until.0 > 0));
    let until = both.protections().last().expect("frozen").1;
    assert!(until > both.now && until.0 < both.now.0 + 21 * Nanos::PER_SECOND);
    both.break_off();
    both.log_on();
    assert_eq!(both.protections().last(), Some(&(QUOTES, until)), "asked for at the logon");
    both.wait_for(|body| matches!(body, Body::Protection { scope: QUOTES, until: Nanos(0) }));
    assert!(both.now >= until);
}

#[test]
fn protected_orders_freeze_by_underlying_and_the_next_one_carries_the_reset() {
    let mut both = binary(protection(2, 0), true);
    assert_eq!(both.protections(), [(QUOTES, Nanos(0)), (ORDERS, Nanos(0))]);
    let (bid, ask) = (both.best(Side::Buy), both.best(Side::Sell));
    let near = both.order(Side::Buy, Price((bid.0 + ask.0) / 2 / 500_000_000 * 500_000_000), 5);
    let far = both.order(Side::Buy, Price(bid.0 - 90 * ONE_E9), 1);
    both.wait_for(|body| matches!(body, Body::Protection { scope: ORDERS, until: FROZEN_UNTIL_ASKED }));
    assert_eq!(both.orders.open_orders(), 0, "{:?} {:?}", both.state(near), both.state(far));
    let frozen = both.limit_order(Side::Buy, Price(bid.0 - 90 * ONE_E9), 1);
    assert_eq!(both.approve(frozen).err(), Some(Refusal::Frozen));
    both.ask(Request::Thaw { scope: ORDERS });
    let again = both.order(Side::Buy, Price(bid.0 - 91 * ONE_E9), 1);
    assert_eq!(both.state(again), OrderState::Working);
    assert_eq!(both.gate.position(INSTRUMENT), both.venue.position(super::PERPETUAL));
}

#[test]
fn without_a_group_of_quotes_nothing_is_quoted_or_asked() {
    let mut both = binary(None, false);
    let order = both.quote(50, 1);
    let reason = local_reason::UNSUPPORTED;
    let refused = |order| Body::Rejected { order, instrument: INSTRUMENT, reason };
    let refusals: Vec<Body> =
        both.events.iter().map(|e| e.body).filter(|b| matches!(b, Body::Rejected { .. })).collect();
    assert_eq!(refusals, [refused(order), refused(offer_of(order))]);
    assert!(both.protections().is_empty());
    both.assert_agreed();
}

#[test]
fn an_amendment_moves_an_order_over_either_protocol() {
    for mut both in [binary(None, false), fix()] {
        let bid = both.best(Side::Buy);
        let order = both.order(Side::Buy, Price(bid.0 - 50 * ONE_E9), 3);
        assert_eq!(both.state(order), OrderState::Working);
        let amend = |price, lots| Request::Amend {
            trail: Trail::default(),
            decided: 0,
            order,
            instrument: INSTRUMENT,
            side: Side::Buy,
            price,
            lots,
        };
        both.ask(amend(Price(bid.0 - 40 * ONE_E9), 7));
        let terms = both.orders.find(order).expect("entered").terms;
        assert_eq!((terms.price, terms.lots), (Price(bid.0 - 40 * ONE_E9), 7));
        both.assert_agreed();
        // Through the offer: it takes at its new price.
        both.ask(amend(Price(both.best(Side::Sell).0), 7));
        assert!(both.gate.position(INSTRUMENT).0 > 0);
        both.assert_agreed();
        let other = both.order(Side::Buy, Price(bid.0 - 60 * ONE_E9), 2);
        both.ask(Request::Cancel { order: other, instrument: INSTRUMENT });
        both.assert_agreed();
        both.ask(Request::CancelAll);
        assert_eq!(both.orders.open_orders(), 0);
        both.assert_agreed();
    }
}

/// How many of two orders still rest once the connection is lost, after a logon that tells what became of them.
fn resting_after_a_loss(mut both: Both) -> u32 {
    let bid = both.best(Side::Buy);
    for away in [50, 60] {
        let order = both.order(Side::Buy, Price(bid.0 - away * ONE_E9), 1);
        assert_eq!(both.state(order), OrderState::Working);
    }
    both.break_off();
    assert_eq!(both.orders.open_orders(), 2, "nobody has said anything yet");
    both.log_on();
    let open = both.orders.open_orders();
    assert_eq!(open as usize, both.venue.statement().open_orders, "the venue repeats what it cancelled meanwhile");
    open
}

#[test]
fn orders_end_with_the_connection_as_the_setting_says_over_either_protocol() {
    let with: [fn(VenueConfig, Option<bool>) -> Both; 2] = [binary_with, fix_with];
    for (protocol, with) in ["binary", "FIX"].into_iter().zip(with) {
        // A venue that leaves it to its client, and two that do not.
        for (at_venue, on, off) in
            [(CancelOnDisconnect::AsAsked, 0, 2), (CancelOnDisconnect::Always, 0, 0), (CancelOnDisconnect::Never, 2, 2)]
        {
            for (setting, rest) in [(Some(true), on), (Some(false), off), (None, on)] {
                let mut venue = VenueConfig::default();
                venue.session.cancel_on_disconnect = at_venue;
                assert_eq!(resting_after_a_loss(with(venue, setting)), rest, "{protocol}, {at_venue:?}, {setting:?}");
            }
        }
    }
}

#[test]
fn over_fix_nothing_is_quoted_so_that_nothing_is_protected() {
    let mut both = fix();
    let bid = both.quote(50, 1);
    for order in [bid, offer_of(bid)] {
        assert_eq!(both.state(order), OrderState::Rejected);
    }
    assert!(both.protections().is_empty());
    both.assert_agreed();
}
