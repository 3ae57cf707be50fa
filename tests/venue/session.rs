//! The order session, in process.

use hedgecore::instrument::InstrumentKind;
use hedgecore::sim::venue::{CancelOnDisconnect, SessionConfig, VenueConfig};
use hedgecore::units::{Lots, Nanos, Price, Quantity, Side};
use hedgecore::wire::starbase::orders as wire;
use proptest::prelude::*;
use wire::{cancel_reason, order_flags, order_status, reject_reason, time_in_force};

use super::PERPETUAL;
use super::client::{Client, Report};

#[test]
fn an_immediate_order_fills_and_moves_the_position() {
    let mut client = Client::logged_on();
    let price = client.best(Side::Sell);
    let order = wire::NewOrderRequest { time_in_force: time_in_force::IOC, ..client.order(1, Side::Buy, price, 3) };
    client.send(&order);
    let filled = Report::Response { client: 1, status: order_status::FILLED, reason: 0, filled: 3, fills: 1 };
    assert_eq!(client.reports(), [filled]);
    assert_eq!(client.venue.position(PERPETUAL), Lots(3));
    let statement = client.venue.statement();
    assert_eq!((statement.fills, statement.orders, statement.rejects), (1, 1, 0));
    assert!((statement.equity[0].fees - 0.0005 * 30.0 / price.to_f64()).abs() < 1e-12);
    // Bought at the offer and marked near the middle: a loss of about half a spread, plus the fee.
    assert!(statement.equity[0].total() < 0.0);
}

#[test]
fn an_immediate_order_away_from_the_market_ends_with_nothing() {
    let mut client = Client::logged_on();
    let price = Price(client.best(Side::Buy).0 - 1_000_000_000);
    let order = wire::NewOrderRequest { time_in_force: time_in_force::IOC, ..client.order(1, Side::Buy, price, 3) };
    client.send(&order);
    client.send(&wire::NewOrderRequest {
        client_order_id: 2.into(),
        time_in_force: time_in_force::FOK,
        price: client.best(Side::Sell).0.into(),
        quantity: Quantity(9_000_000_000_000_000_000).into(),
        ..order
    });
    let status = (order_status::CANCELED, cancel_reason::TIME_IN_FORCE);
    let ended = |client| Report::Response { client, status: status.0, reason: status.1, filled: 0, fills: 0 };
    assert_eq!(client.reports(), [ended(1), ended(2)]);
    assert_eq!(client.venue.position(PERPETUAL), Lots(0));
}

#[test]
fn a_resting_order_is_filled_by_the_crowd_and_told_of() {
    let mut client = Client::logged_on();
    let order = client.order(7, Side::Sell, Price(client.best(Side::Buy).0 + 500_000_000), 2);
    client.send(&wire::NewOrderRequest { flags: order_flags::POST_ONLY.into(), ..order });
    assert!(matches!(client.reports()[..], [Report::Response { client: 7, status: order_status::ACTIVE, .. }]));
    assert_eq!(client.venue.statement().open_orders, 1);
    let mut filled = 0;
    for _ in 0..20_000 {
        client.wait_ms(1);
        for report in client.reports() {
            match report {
                Report::Filled { client: 7, lots, total, done } => {
                    filled += lots;
                    assert_eq!((total, done), (filled, filled == 2));
                }
                Report::Heartbeat(0) | Report::TestRequest => {}
                other => panic!("{other:?}"),
            }
        }
        if filled == 2 {
            break;
        }
        if client.now.0.is_multiple_of(2 * Nanos::PER_SECOND) {
            client.send(&wire::Heartbeat { correlation_id: 0.into() });
        }
    }
    assert_eq!((filled, client.venue.position(PERPETUAL)), (2, Lots(-2)));
    assert_eq!(client.venue.statement().open_orders, 0);
}

#[test]
fn what_cannot_be_taken_is_refused_with_its_reason() {
    let mut client = Client::logged_on();
    let (bid, ask) = (client.best(Side::Buy), client.best(Side::Sell));
    let good = client.order(1, Side::Buy, Price(bid.0 - 5_000_000_000), 1);
    client.send(&good);
    let refused = [
        (wire::NewOrderRequest { ..good }, reject_reason::DUPLICATE_CLIENT_ORDER_ID),
        (wire::NewOrderRequest { instrument_id: 0.into(), ..good }, reject_reason::INVALID_INSTRUMENT),
        (wire::NewOrderRequest { instrument_id: i64::MIN.into(), ..good }, reject_reason::INVALID_INSTRUMENT),
        (wire::NewOrderRequest { instrument_id: 60_000.into(), ..good }, reject_reason::INVALID_INSTRUMENT),
        (wire::NewOrderRequest { price: (bid.0 + 1).into(), ..good }, reject_reason::INVALID_PRICE),
        (wire::NewOrderRequest { price: 0.into(), ..good }, reject_reason::INVALID_PRICE),
        (wire::NewOrderRequest { price: (-bid.0).into(), ..good }, reject_reason::INVALID_PRICE),
        (wire::NewOrderRequest { quantity: Quantity(0).into(), ..good }, reject_reason::INVALID_QUANTITY),
        (wire::NewOrderRequest { quantity: Quantity(5_000_000_000).into(), ..good }, reject_reason::INVALID_QUANTITY),
        (wire::NewOrderRequest { quantity: Quantity(-10_000_000_000).into(), ..good }, reject_reason::INVALID_QUANTITY),
        (wire::NewOrderRequest { quantity: wire::Decimal72::NULL, ..good }, reject_reason::INVALID_QUANTITY),
        (wire::NewOrderRequest { side: 0, ..good }, reject_reason::INVALID_FIELD),
        (wire::NewOrderRequest { time_in_force: 3, ..good }, reject_reason::INVALID_FIELD),
        (wire::NewOrderRequest { self_trading_mode: 9, ..good }, reject_reason::INVALID_FIELD),
        (
            wire::NewOrderRequest { price: ask.0.into(), flags: order_flags::POST_ONLY_REJECT.into(), ..good },
            reject_reason::POST_ONLY,
        ),
    ];
    assert!(matches!(client.reports()[..], [Report::Response { status: order_status::ACTIVE, .. }]));
    for (at, (order, reason)) in refused.into_iter().enumerate() {
        let id = if at == 0 { 1 } else { 100 + at as i64 };
        client.send(&wire::NewOrderRequest { client_order_id: id.into(), ..order });
        assert_eq!(client.reports(), [Report::NewReject(id, reason)], "case {at}");
    }
    assert_eq!(client.venue.statement().open_orders, 1);
    assert_eq!(client.venue.position(PERPETUAL), Lots(0));
}

#[test]
fn orders_beyond_the_rate_are_refused_until_time_passes() {
    let mut config = VenueConfig::default();
    config.session.orders_per_second = 3;
    let mut client = Client::connected(config);
    client.log_on(1);
    let far = Price(client.best(Side::Buy).0 - 50_000_000_000);
    for id in 1..=4 {
        let order = client.order(id, Side::Buy, far, 1);
        client.send(&order);
    }
    assert_eq!(client.reports().last(), Some(&Report::NewReject(4, 25)));
    client.wait_ms(400);
    // The refused number was not used up.
    let order = client.order(4, Side::Buy, far, 1);
    client.send(&order);
    assert!(matches!(client.reports()[..], [Report::Response { client: 4, .. }]));
}

#[test]
fn orders_are_cancelled_once_singly_and_all_together() {
    let mut client = Client::logged_on();
    let far = Price(client.best(Side::Buy).0 - 50_000_000_000);
    for id in 1..=3 {
        let order = client.order(id, Side::Buy, far, 1);
        client.send(&order);
    }
    client.reports();
    let cancel = |id: i64| wire::CancelOrderRequest {
        client_order_id: id.into(),
        correlation_id: 0.into(),
        instrument_id: i64::from(PERPETUAL.0).into(),
    };
    for id in [2, 2, 99] {
        client.send(&cancel(id));
    }
    assert_eq!(client.reports(), [Report::Cancelled(2), Report::CancelReject(2), Report::CancelReject(99)]);
    let mass = wire::MassCancelRequest {
        correlation_id: 0.into(),
        currency_pair_id: 0.into(),
        instrument_id: 0.into(),
        product_type: 0,
        side: 0,
    };
    client.send(&wire::MassCancelRequest { side: -1, ..mass });
    client.send(&wire::MassCancelRequest { product_type: 1, ..mass });
    client.send(&mass);
    let by_request = cancel_reason::BY_REQUEST;
    let expected = [
        Report::MassCancelled(0),
        Report::MassCancelled(0),
        Report::Lost(vec![(1, by_request), (3, by_request)]),
        Report::MassCancelled(2),
    ];
    assert_eq!(client.reports(), expected);
    assert_eq!(client.venue.statement().open_orders, 0);
}

#[test]
fn own_orders_do_not_trade_with_each_other() {
    let mut client = Client::logged_on();
    client.venue.freeze();
    // Behind everyone at the best offer, and then through all of them.
    let price = client.best(Side::Sell);
    let sell = client.order(1, Side::Sell, price, 1);
    client.send(&sell);
    let buy = client.order(2, Side::Buy, price, 1_000_000);
    client.send(&buy);
    let reports = client.reports();
    let Report::Response { client: 2, status, reason, .. } = reports[1] else { panic!("{reports:?}") };
    assert_eq!((status, reason), (order_status::CANCELED, cancel_reason::SELF_MATCH_PREVENTION));
}

#[test]
fn a_subscriber_holds_the_books_that_the_client_trades_on() {
    let mut client = Client::logged_on();
    for id in 1..=300 {
        // Sometimes within a step of the market, sometimes across one or two.
        client.wait_ns(400_000 * (id % 5) as u64);
        let side = if id % 2 == 0 { Side::Sell } else { Side::Buy };
        let order = client.order(id, side, client.best(side.opposite()), 500 + id);
        let time_in_force = if id % 5 == 0 { time_in_force::GTC } else { time_in_force::IOC };
        client.send(&wire::NewOrderRequest { time_in_force, ..order });
    }
    client.wait_ms(1);
    client.heard.assert_holds_the_books_of(&client.venue);
    assert!(client.venue.statement().fills > 200);
}

#[test]
fn only_the_right_secret_opens_the_session() {
    for (id, secret) in [("hedgecore", "wrong"), ("someone", "loopback-only"), ("", "")] {
        let mut client = Client::connected(VenueConfig::default());
        client.log_on_as(id, secret, 1);
        assert!(matches!(&client.reports()[..], [Report::LoggedOut(text)] if text.contains("secret")));
        assert!(client.venue.wants_close());
    }
    let mut client = Client::connected(VenueConfig::default());
    client.send(&wire::TestRequest { correlation_id: 1.into() });
    assert!(matches!(&client.reports()[..], [Report::LoggedOut(text)] if text.contains("logon")));
}

#[test]
fn sequence_numbers_out_of_order_end_the_session() {
    for wrong in [0, 1, 9] {
        let mut client = Client::logged_on();
        client.sent = wrong;
        client.send(&wire::TestRequest { correlation_id: 1.into() });
        let expected = format!("sequence number {}, expected 2", wrong + 1);
        match wrong {
            1 => assert_eq!(client.reports(), [Report::Heartbeat(1)]),
            _ => assert_eq!(client.reports(), [Report::LoggedOut(expected)]),
        }
    }
}

#[test]
fn silence_is_asked_about_and_then_ended() {
    let mut client = Client::logged_on();
    let mut told = Vec::new();
    for _ in 0..200 {
        client.wait_ms(100);
        told.extend(client.reports());
    }
    let tests = told.iter().filter(|r| **r == Report::TestRequest).count();
    assert_eq!(tests, 1);
    assert!(told.contains(&Report::Heartbeat(0)));
    assert!(matches!(told.last(), Some(Report::LoggedOut(text)) if text.contains("heartbeat")));
}

#[test]
fn unreadable_messages_are_rejected_and_the_session_goes_on() {
    let mut client = Client::logged_on();
    let mut short = client.encode(&wire::TestRequest { correlation_id: 1.into() });
    short.truncate(36);
    short[2..4].copy_from_slice(&36_u16.to_le_bytes());
    client.venue.receive(&short, client.now);
    let mut unknown = client.encode(&wire::Heartbeat { correlation_id: 1.into() });
    unknown[4..6].copy_from_slice(&9_999_u16.to_le_bytes());
    client.venue.receive(&unknown, client.now);
    client.send(&wire::LogonConf { heartbeat_interval_seconds: 1.into() });
    client.send(&wire::TestRequest { correlation_id: 5.into() });
    let expected = [
        Report::Reject(2, reject_reason::MESSAGE_LENGTH),
        Report::Reject(3, reject_reason::MESSAGE_TYPE),
        Report::Reject(4, reject_reason::MESSAGE_TYPE),
        Report::Heartbeat(5),
    ];
    assert_eq!(client.reports(), expected);
    client.venue.receive(b"GET / HTTP/1.1\r\n", client.now);
    assert!(matches!(&client.reports()[..], [Report::LoggedOut(text)] if text.contains("frame")));
}

#[test]
fn a_peer_killed_in_the_middle_of_a_message_leaves_no_trace() {
    let mut client = Client::logged_on();
    let order = client.order(1, Side::Buy, client.best(Side::Sell), 1);
    let bytes = client.encode(&order);
    for cut in [1, 31, 32, bytes.len() - 1] {
        client.venue.receive(&bytes[..cut], client.now);
        client.venue.disconnect(client.now);
        assert_eq!(client.venue.position(PERPETUAL), Lots(0));
        client.venue.connect(client.now);
        client.log_on(1);
        assert_eq!(client.reports(), [Report::LogonConf]);
    }
    // The same order, one byte at a time, on the connection that lived.
    let bytes = client.encode(&order);
    bytes.iter().for_each(|byte| client.venue.receive(&[*byte], client.now));
    assert_eq!(client.venue.position(PERPETUAL), Lots(1));
}

#[test]
fn a_lost_connection_cancels_what_asked_for_it_and_the_rest_can_be_asked_for() {
    let mut client = Client::logged_on();
    let far = Price(client.best(Side::Buy).0 - 50_000_000_000);
    let order = client.order(1, Side::Buy, far, 1);
    client.send(&order);
    let flagged = wire::NewOrderRequest { flags: order_flags::CANCEL_ON_DISCONNECT.into(), ..order };
    client.send(&wire::NewOrderRequest { client_order_id: 2.into(), ..flagged });
    client.reports();
    client.venue.disconnect(client.now);
    assert_eq!(client.venue.statement().open_orders, 1);
    client.wait_ms(10);
    client.venue.connect(client.now);
    client.log_on(0);
    assert_eq!(client.reports(), [Report::LogonConf]);
    // Numbers so far: logon confirmation 1, responses 2 and 3, the cancellation 4, the second confirmation 5.
    client.send(&wire::ResendRequest { from_sequence_number: 1.into(), to_sequence_number: 0.into() });
    let reports = client.reports();
    assert_eq!(reports[0], Report::GapFill(2));
    assert!(matches!(reports[1..3], [Report::Response { client: 1, .. }, Report::Response { client: 2, .. }]));
    assert_eq!(reports[3..], [Report::Lost(vec![(2, cancel_reason::CLIENT_DISCONNECT)]), Report::GapFill(6)]);
}

#[test]
fn an_amended_order_rests_elsewhere_and_trades_where_it_then_may() {
    let mut client = Client::logged_on();
    let far = Price(client.best(Side::Buy).0 - 50_000_000_000);
    client.send(&client.order(1, Side::Buy, far, 5));
    client.reports();
    let (active, done) = (order_status::ACTIVE, order_status::FILLED);
    client.send(&client.amendment(1, far, 3));
    client.send(&client.amendment(1, Price(far.0 - 1_000_000_000), 8));
    let amended = |status, lots, filled, fills| Report::Amended { client: 1, status, lots, filled, fills };
    assert_eq!(client.reports(), [amended(active, 3, 0, 0), amended(active, 8, 0, 0)]);
    let offer = client.best(Side::Sell);
    client.send(&client.amendment(1, offer, 2));
    assert_eq!(client.reports(), [amended(done, 2, 2, 1)]);
    assert_eq!((client.venue.position(PERPETUAL), client.venue.statement().open_orders), (Lots(2), 0));
}

#[test]
fn an_amendment_that_cannot_be_made_leaves_the_order_as_it_is() {
    let mut client = Client::logged_on();
    let far = Price(client.best(Side::Buy).0 - 50_000_000_000);
    client.send(&client.order(1, Side::Buy, far, 5));
    client.reports();
    let offer = client.best(Side::Sell);
    let sound = client.amendment(1, far, 7);
    let cases = [
        (wire::AmendOrderRequest { client_order_id: 2.into(), ..sound }, reject_reason::ORDER_NOT_FOUND),
        (wire::AmendOrderRequest { instrument_id: 3.into(), ..sound }, reject_reason::INVALID_INSTRUMENT),
        (client.amendment(1, far, 0), reject_reason::INVALID_QUANTITY),
        (client.amendment(1, Price(far.0 + 1), 7), reject_reason::INVALID_PRICE),
        (
            wire::AmendOrderRequest { flags: order_flags::POST_ONLY_REJECT.into(), ..client.amendment(1, offer, 7) },
            reject_reason::POST_ONLY,
        ),
    ];
    for (request, reason) in cases {
        client.send(&request);
        assert_eq!(client.reports(), [Report::AmendReject(request.client_order_id.get(), reason)]);
    }
    assert_eq!(client.venue.statement().open_orders, 1);
    client.send(&sound);
    assert!(matches!(client.reports()[..], [Report::Amended { client: 1, lots: 7, .. }]));
}

#[test]
fn each_setting_of_cancel_on_disconnect_does_as_it_says() {
    for (setting, rest) in
        [(CancelOnDisconnect::AsAsked, 1), (CancelOnDisconnect::Always, 0), (CancelOnDisconnect::Never, 2)]
    {
        let session = SessionConfig { cancel_on_disconnect: setting, ..SessionConfig::default() };
        let mut client = Client::connected(VenueConfig { session, ..VenueConfig::default() });
        client.log_on(1);
        let far = Price(client.best(Side::Buy).0 - 50_000_000_000);
        let order = client.order(1, Side::Buy, far, 1);
        client.send(&order);
        let flags = order_flags::CANCEL_ON_DISCONNECT.into();
        client.send(&wire::NewOrderRequest { client_order_id: 2.into(), flags, ..order });
        assert_eq!(client.venue.statement().open_orders, 2);
        client.venue.disconnect(client.now);
        assert_eq!(client.venue.statement().open_orders, rest, "{setting:?}");
    }
}

#[test]
fn the_statement_agrees_with_the_fills_told() {
    let mut client = Client::logged_on();
    let mut position = 0;
    for id in 1..=40 {
        client.wait_ms(20);
        let side = if id % 3 == 0 { Side::Sell } else { Side::Buy };
        let order = client.order(id, side, client.best(side.opposite()), 5 + id);
        client.send(&wire::NewOrderRequest { time_in_force: time_in_force::IOC, ..order });
        for report in client.reports() {
            if let Report::Response { filled, .. } = report {
                position += side.sign() * filled;
            }
        }
    }
    assert_ne!(position, 0);
    assert_eq!(client.venue.position(PERPETUAL), Lots(position));
    let statement = client.venue.statement();
    assert_eq!(statement.positions.iter().map(|p| p.lots.0).sum::<i64>(), position);
    assert!(statement.equity[0].total() < 0.0, "crossing the spread forty times cannot pay");
    let options = statement.quotes.iter().filter(|q| q.name.ends_with("-C") || q.name.ends_with("-P")).count();
    let listed = client.venue.universe().contracts.iter().filter(|c| c.kind == InstrumentKind::Option).count();
    assert_eq!(options, listed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_a_peer_sends_panics_the_venue(
        pieces in prop::collection::vec((0_u8..3, 0_u16..330, prop::collection::vec(any::<u8>(), 0..160)), 1..20),
    ) {
        let mut client = Client::logged_on();
        for (kind, message_type, noise) in pieces {
            let order = client.order(1, Side::Buy, client.best(Side::Sell), 1);
            let mut bytes = client.encode(&order);
            match kind {
                // Any body under a header that lets it through, an order with bytes flipped, and plain noise.
                0 => {
                    bytes.truncate(wire::HEADER_BYTES);
                    bytes.extend(&noise);
                    let length = bytes.len() as u16;
                    bytes[2..4].copy_from_slice(&length.to_le_bytes());
                    bytes[4..6].copy_from_slice(&message_type.to_le_bytes());
                }
                1 => noise.chunks_exact(2).for_each(|flip| {
                    let at = wire::HEADER_BYTES + usize::from(flip[0]) % (bytes.len() - wire::HEADER_BYTES);
                    bytes[at] ^= flip[1];
                }),
                _ => bytes = noise,
            }
            client.venue.receive(&bytes, client.now);
            client.wait_ms(1);
            if client.venue.wants_close() {
                client.venue.disconnect(client.now);
                client.venue.connect(client.now);
                client.log_on(1);
            }
        }
        let statement = client.venue.statement();
        prop_assert!(statement.equity.iter().all(|equity| equity.total().is_finite()));
        client.heard.assert_holds_the_books_of(&client.venue);
    }
}
