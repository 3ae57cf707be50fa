//! Both ends against each other, over a connection that breaks with bytes in flight.

use std::collections::BTreeMap;

use crate::initiator::{PERPETUAL, config, reference};
use crate::orders::{cancel, new_order};
use crate::wire::{SECOND, START};
use hedgecore::event::{Body, Event};
use hedgecore::gateway::Gateway;
use hedgecore::gateway::fix::{Acceptor, ClientRequest, Credentials, FixRules, Taken};
use hedgecore::order::{NewOrder, OrderStore, TimeInForce};
use hedgecore::units::*;
use hedgecore::wire::fix::kind;
use proptest::prelude::*;

struct Both {
    gateway: Gateway,
    venue: Acceptor,
    now: Nanos,
    events: Vec<Event>,
    /// On the way to the venue, and to the client.
    to_venue: Vec<u8>,
    to_client: Vec<u8>,
    /// Orders the venue filled, by number.
    filled: BTreeMap<u64, u64>,
}

impl Both {
    fn new() -> Self {
        let rules = FixRules { strict: true, ..FixRules::new("VENUE", "DESK").expect("names") };
        let credentials = Credentials::new("key", "swordfish").expect("both fit");
        let mut both = Self {
            gateway: Gateway::new(config()),
            venue: Acceptor::new(rules, Some(credentials)),
            now: START,
            events: Vec::new(),
            to_venue: Vec::new(),
            to_client: Vec::new(),
            filled: BTreeMap::new(),
        };
        both.gateway.step(&reference(), both.now, &mut both.events);
        both.connect();
        both
    }

    fn connect(&mut self) {
        self.now.0 += SECOND / 100;
        self.venue.connected(self.now);
        self.gateway.connected(self.now);
    }

    fn break_off(&mut self) {
        self.to_venue.clear();
        self.to_client.clear();
        self.venue.disconnected();
        self.gateway.disconnected(self.now, &mut self.events);
        self.connect();
    }

    /// Up to so many bytes of the client reach the venue, which answers.
    fn up(&mut self, bytes: usize) {
        let taken = self.gateway.pending().len().min(bytes);
        self.to_venue.extend_from_slice(&self.gateway.pending()[..taken]);
        self.gateway.written(taken, Ticks(1), &mut self.events);
        let stream = std::mem::take(&mut self.to_venue);
        let mut at = 0;
        loop {
            match self.venue.take(&stream[at..], self.now) {
                Taken::Incomplete => break,
                Taken::Session(taken) => at += taken,
                Taken::Request(taken, request) => {
                    at += taken;
                    self.answer(request);
                }
            }
        }
        self.to_venue = stream[at..].to_vec();
    }

    /// Fills an order at once, and knows none that rests.
    fn answer(&mut self, request: ClientRequest) {
        match request {
            ClientRequest::New { order, terms, .. } => {
                *self.filled.entry(order).or_default() += 1;
                self.venue.send(kind::EXECUTION_REPORT, self.now, |report| {
                    report.number(b"37=", order).number(b"11=", order).number(b"41=", order).byte(b"39=", b'2');
                    report.byte(b"54=", if terms.side == Side::Buy { b'1' } else { b'2' });
                    report.bytes(b"55=", terms.symbol.as_bytes()).decimal_e9(b"14=", terms.qty);
                    report.number(b"1362=", 1).number(b"1363=", order).decimal_e9(b"1364=", terms.price);
                    report.decimal_e9(b"1365=", terms.qty);
                });
            }
            ClientRequest::Cancel { order } => self.venue.send(kind::ORDER_CANCEL_REJECT, self.now, |reject| {
                reject.number(b"41=", order).byte(b"39=", b'8').text(b"58=", b"order_not_found", 60);
            }),
            ClientRequest::Replace { .. }
            | ClientRequest::CancelAll { .. }
            | ClientRequest::Positions { .. }
            | ClientRequest::OpenOrders { .. } => {}
        }
    }

    /// Up to so many bytes of the venue reach the client.
    fn down(&mut self, bytes: usize) {
        let taken = self.venue.pending().len().min(bytes);
        self.to_client.extend_from_slice(&self.venue.pending()[..taken]);
        self.venue.written(taken);
        let taken = self.gateway.receive(&self.to_client, self.now, &mut self.events);
        self.to_client.drain(..taken);
    }

    /// Everything flows until both sides are quiet.
    fn calm_down(&mut self) {
        for _ in 0..20 {
            self.up(usize::MAX);
            self.down(usize::MAX);
        }
        assert_eq!((self.gateway.disconnect_reason(), self.venue.closing()), (None, None));
        assert!(self.gateway.ready() && self.gateway.pending().is_empty() && self.venue.pending().is_empty());
    }
}

fn entered(order: u64) -> NewOrder {
    let (side, time_in_force, price) = (Side::Sell, TimeInForce::ImmediateOrCancel, Price(99_999 * ONE_E9));
    NewOrder { order: ClientOrderId(order), instrument: PERPETUAL, side, time_in_force, price, lots: 5 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_connection_that_breaks_anywhere_loses_and_doubles_nothing(
        steps in prop::collection::vec((0u8..10, 1usize..600), 1..150),
    ) {
        let (mut both, mut store, mut order) = (Both::new(), OrderStore::new(), 0);
        for (step, bytes) in steps {
            match step {
                0 => both.break_off(),
                1 | 3 | 5 => both.up(bytes),
                2 | 4 | 6 => both.down(bytes),
                _ => {
                    order += 1;
                    store.insert(entered(order)).expect("room");
                    both.gateway.step(&new_order(order), both.now, &mut both.events);
                }
            }
        }
        both.calm_down();
        both.events.iter().for_each(|event| _ = store.apply(&event.body));
        // What is still open was filled over: a cancel settles it.
        let lost: Vec<u64> = store.all_live().map(|o| o.new.order.0).collect();
        let heard = both.events.len();
        for order in &lost {
            both.gateway.step(&cancel(*order), both.now, &mut both.events);
        }
        both.calm_down();
        both.events[heard..].iter().for_each(|event| _ = store.apply(&event.body));
        prop_assert_eq!((store.open_orders(), store.working_lots(PERPETUAL)), (0, (0, 0)));
        prop_assert_eq!(store.counters().inconsistent + store.counters().duplicates, 0);

        let mut told: Vec<u64> = both.events.iter().filter_map(|event| match event.body {
            Body::Filled { order, .. } => Some(order.0),
            _ => None,
        }).collect();
        told.sort_unstable();
        let filled: Vec<u64> = both.filled.keys().copied().collect();
        prop_assert_eq!(told, filled, "each order the venue filled is told of once");
        prop_assert!(both.filled.values().all(|times| *times == 1), "no order was taken twice");
        prop_assert_eq!(both.gateway.sequence_numbers().outgoing, both.venue.sequence_numbers().incoming);
        prop_assert_eq!(both.gateway.sequence_numbers().incoming, both.venue.sequence_numbers().outgoing);
    }

    #[test]
    fn hostile_bytes_never_panic_and_never_stall(
        pieces in prop::collection::vec((0u8..4, "[0-9A-Za-z]{1,2}", 0u64..9, "([0-9]{1,4}=[ -~]{1,9}\\|){0,6}"), 1..40),
    ) {
        let mut both = Both::new();
        both.calm_down();
        for (shape, kind, number, body) in pieces {
            let script = |sender: &str, target: &str| {
                let sent = crate::wire::time(both.now);
                let body = body.replace("\x01", "");
                crate::wire::frame(&format!("35={kind}|49={sender}|56={target}|34={number}|52={sent}|{body}"))
            };
            let (mut up, mut down) = (script("DESK", "VENUE"), script("VENUE", "DESK"));
            if shape == 0 {
                let at = up.len() / 2;
                up[at] ^= 0x41;
                down[at] ^= 0x41;
            }
            both.to_venue.extend(&up);
            both.to_client.extend(&down);
            both.up(0);
            both.down(0);
            let now = both.now;
            both.gateway.tick(now, &mut both.events);
            if both.gateway.wants_disconnect() || both.venue.closing().is_some() {
                both.break_off();
            }
        }
        prop_assert!(both.to_venue.len() < 20_000 && both.to_client.len() < 20_000);
    }
}
