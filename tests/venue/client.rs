//! A client of the order session, in the test's own thread and time.

use hedgecore::sim::venue::{SessionConfig, Venue, VenueConfig};
use hedgecore::units::{Nanos, Price, Quantity, Side};
use hedgecore::wire::starbase::orders as wire;
use wire::time_in_force;

use super::PERPETUAL;
use super::listener::Listener;

/// A client that counts its own messages and keeps what it was told.
pub(super) struct Client {
    pub(super) venue: Venue,
    pub(super) now: Nanos,
    pub(super) heard: Listener,
    pub(super) sent: i64,
    stream: Vec<u8>,
}

/// One report, owned.
#[derive(Debug, PartialEq)]
pub(super) enum Report {
    LogonConf,
    LoggedOut(String),
    Heartbeat(i64),
    TestRequest,
    GapFill(i64),
    Reject(i64, i8),
    Response { client: i64, status: i8, reason: i8, filled: i64, fills: usize },
    NewReject(i64, i8),
    Amended { client: i64, status: i8, lots: i64, filled: i64, fills: usize },
    AmendReject(i64, i8),
    Cancelled(i64),
    CancelReject(i64),
    MassCancelled(i32),
    Filled { client: i64, lots: i64, total: i64, done: bool },
    Lost(Vec<(i64, i8)>),
}

impl Client {
    pub(super) fn connected(config: VenueConfig) -> Self {
        let venue = Venue::new(config).expect("valid configuration");
        let mut client =
            Self { now: venue.start_time(), venue, sent: 0, stream: Vec::new(), heard: Listener::default() };
        client.wait_ms(5);
        client.venue.connect(client.now);
        client
    }

    pub(super) fn logged_on() -> Self {
        let mut client = Self::connected(VenueConfig::default());
        client.log_on(1);
        assert_eq!(client.reports(), [Report::LogonConf]);
        client
    }

    pub(super) fn log_on(&mut self, reset: i8) {
        let SessionConfig { client_id, secret, .. } = SessionConfig::default();
        self.log_on_as(&client_id, &secret, reset);
    }

    pub(super) fn log_on_as(&mut self, client_id: &str, secret: &str, reset: i8) {
        if reset == 1 {
            self.sent = 0;
        }
        let mut logon = wire::Logon { client_id: [0; 16], secret: wire::Secret([0; 48]), reset_seq_num: reset };
        logon.client_id[..client_id.len()].copy_from_slice(client_id.as_bytes());
        logon.secret.0[..secret.len()].copy_from_slice(secret.as_bytes());
        self.send(&logon);
    }

    pub(super) fn wait_ms(&mut self, ms: u64) {
        self.wait_ns(ms * Nanos::PER_MILLI);
    }

    pub(super) fn wait_ns(&mut self, ns: u64) {
        self.now = Nanos(self.now.0 + ns);
        self.venue.advance(self.now, &mut |channel, packet| self.heard.take(channel, packet));
    }

    pub(super) fn encode<B: wire::Block>(&mut self, block: &B) -> Vec<u8> {
        self.sent += 1;
        let mut buffer = vec![0; 1_024];
        let envelope = wire::Envelope { sequence: self.sent, ..wire::Envelope::default() };
        let length = wire::Encoder::new(&mut buffer, &envelope, block).and_then(wire::Encoder::finish).expect("room");
        buffer.truncate(length);
        buffer
    }

    pub(super) fn send<B: wire::Block>(&mut self, block: &B) {
        let bytes = self.encode(block);
        self.venue.receive(&bytes, self.now);
    }

    pub(super) fn order(&self, client: i64, side: Side, price: Price, lots: i64) -> wire::NewOrderRequest {
        wire::NewOrderRequest {
            client_order_id: client.into(),
            correlation_id: client.into(),
            instrument_id: i64::from(PERPETUAL.0).into(),
            price: price.0.into(),
            quantity: Quantity(lots * 10_000_000_000).into(),
            show_qty: wire::Decimal72::NULL,
            self_match_prevention_id: 0.into(),
            side: wire::side_to_wire(side),
            time_in_force: time_in_force::GTC,
            flags: 0.into(),
            self_trading_mode: 0,
        }
    }

    pub(super) fn amendment(&self, client: i64, price: Price, lots: i64) -> wire::AmendOrderRequest {
        wire::AmendOrderRequest {
            client_order_id: client.into(),
            correlation_id: client.into(),
            instrument_id: i64::from(PERPETUAL.0).into(),
            price: price.0.into(),
            quantity: Quantity(lots * 10_000_000_000).into(),
            show_qty: wire::Decimal72::NULL,
            flags: 0.into(),
        }
    }

    pub(super) fn best(&self, side: Side) -> Price {
        self.venue.best(PERPETUAL, side).expect("quoted")
    }

    pub(super) fn reports(&mut self) -> Vec<Report> {
        self.stream.append(self.venue.outgoing());
        let mut reports = Vec::new();
        while let Some(frame) = wire::next_frame(&self.stream).expect("framed") {
            reports.push(report(&frame));
            let bytes = frame.bytes();
            self.stream.drain(..bytes);
        }
        assert!(self.stream.is_empty(), "half a message");
        reports
    }
}

fn report(frame: &wire::Frame<'_>) -> Report {
    let lots = |quantity: wire::Decimal72| quantity.to_quantity().expect("exact").0 / 10_000_000_000;
    match frame.message().expect("well-formed report") {
        wire::Message::LogonConf(_) => Report::LogonConf,
        wire::Message::LoggedOut(text) => Report::LoggedOut(String::from_utf8_lossy(text).into_owned()),
        wire::Message::Heartbeat(heartbeat) => Report::Heartbeat(heartbeat.correlation_id.get()),
        wire::Message::TestRequest(_) => Report::TestRequest,
        wire::Message::GapFill(gap) => Report::GapFill(gap.new_sequence_number.get()),
        wire::Message::Reject(reject, _) => Report::Reject(reject.ref_sequence_number.get(), reject.reason),
        wire::Message::NewOrderResponse(response, fills) => Report::Response {
            client: response.client_order_id.get(),
            status: response.status,
            reason: response.cancel_reason,
            filled: lots(response.total_filled),
            fills: fills.len(),
        },
        wire::Message::NewOrderReject(reject, text) => {
            assert!(!text.is_empty());
            Report::NewReject(reject.client_order_id.get(), reject.reason)
        }
        wire::Message::AmendOrderResponse(response, fills) => Report::Amended {
            client: response.client_order_id.get(),
            status: response.status,
            lots: lots(response.quantity),
            filled: lots(response.total_filled),
            fills: fills.len(),
        },
        wire::Message::AmendOrderReject(reject, text) => {
            assert!(!text.is_empty());
            Report::AmendReject(reject.client_order_id.get(), reject.reason)
        }
        wire::Message::CancelOrderResponse(response) => Report::Cancelled(response.client_order_id.get()),
        wire::Message::CancelOrderReject(reject, _) => Report::CancelReject(reject.client_order_id.get()),
        wire::Message::MassCancelResponse(response) => Report::MassCancelled(response.total_order_count.get()),
        wire::Message::OrderFilled(_, fills) => {
            let fill = fills.iter().next().expect("one fill");
            Report::Filled {
                client: fill.client_order_id.get(),
                lots: lots(fill.fill_qty),
                total: lots(fill.total_filled),
                done: fill.flags & wire::fill_flags::FULLY_FILLED != 0,
            }
        }
        wire::Message::OrdersCanceled(_, orders) => {
            Report::Lost(orders.iter().map(|o| (o.client_order_id.get(), o.cancel_reason)).collect())
        }
        other => panic!("unexpected {other:?}"),
    }
}
