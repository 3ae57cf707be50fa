//! Orders out, reports in, and what happens when either side lacks room.

use crate::pair::*;
use hedgecore::event::{Body, Event, KillLevel, Protected, Trail};
use hedgecore::gateway::{SessionConfig, local_reason};
use hedgecore::instrument::Symbol;
use hedgecore::order::{CUM_LOTS_UNKNOWN, Request, TimeInForce};
use hedgecore::risk::Instruction;
use hedgecore::units::*;
use hedgecore::wire::starbase::orders::*;
use zerocopy::FromZeros;
use zerocopy::byteorder::little_endian::I64;

// Orders and reports.

#[test]
fn an_order_is_encoded_whole_and_reported_sent_with_its_trail() {
    let mut pair = Pair::up();
    pair.step(&new_order(42));
    let bytes = pair.gateway.pending().to_vec();
    let frame = next_frame(&bytes).expect("framed").expect("whole");
    let Ok(Message::NewOrderRequest(r)) = frame.message() else { panic!("no order") };
    assert_eq!((r.client_order_id.get(), r.instrument_id.get()), (42, VENUE_PERPETUAL));
    assert_eq!((r.price.get(), r.quantity.to_quantity()), (99_999 * ONE_E9, Ok(Quantity(5 * LOT))));
    assert_eq!((r.side, r.time_in_force, r.flags.get()), (-1, time_in_force::IOC, order_flags::CANCEL_ON_DISCONNECT));
    assert!(r.show_qty.is_null());

    pair.gateway.written(bytes.len() - 1, Ticks(1_050), &mut pair.events);
    assert!(pair.events.is_empty());
    pair.gateway.written(1, Ticks(1_060), &mut pair.events);
    let sent = Event {
        trail: Trail { received: Ticks(1_000), decoded: 1, valued: 2 },
        time: pair.time,
        body: Body::Sent { order: ClientOrderId(42), decided: 3, encoded: 40, written: 60 },
    };
    assert_eq!(pair.events, [sent]);
}

#[test]
fn post_only_and_cancel_on_disconnect_are_flags_of_the_order() {
    let mut pair = Pair::with(SessionConfig { cancel_on_disconnect: false, ..config() });
    pair.log_on();
    pair.step(&approved(Request::New {
        trail: Trail::default(),
        decided: 0,
        order: ClientOrderId(1),
        instrument: PERPETUAL,
        side: Side::Buy,
        time_in_force: TimeInForce::GoodTilCancel,
        post_only: true,
        price: Price(99_990 * ONE_E9),
        lots: 1,
    }));
    let bytes = pair.take_bytes();
    let message = next_frame(&bytes).expect("framed").expect("whole").message();
    let Ok(Message::NewOrderRequest(r)) = message else { panic!("no order") };
    assert_eq!(r.flags.get(), order_flags::POST_ONLY | order_flags::POST_ONLY_REJECT);
    assert_eq!((r.side, r.time_in_force), (1, time_in_force::GTC));
}

#[test]
fn every_setting_of_disconnection_and_protection_is_carried_by_the_order() {
    let resting = |order: u64, time_in_force| Request::New {
        trail: Trail::default(),
        decided: 0,
        order: ClientOrderId(order),
        instrument: PERPETUAL,
        side: Side::Buy,
        time_in_force,
        post_only: false,
        price: Price(99_990 * ONE_E9),
        lots: 1,
    };
    for (cancel, protect, group) in [(false, false, 0), (true, false, 7), (false, true, 0), (true, true, 9)] {
        let mut pair = Pair::with(SessionConfig {
            cancel_on_disconnect: cancel,
            market_maker_protection: protect,
            self_match_prevention: group,
            ..config()
        });
        pair.log_on();
        for (order, time_in_force) in [(1, TimeInForce::GoodTilCancel), (2, TimeInForce::ImmediateOrCancel)] {
            pair.step(&approved(resting(order, time_in_force)));
            let bytes = pair.take_bytes();
            let message = next_frame(&bytes).expect("framed").expect("whole").message();
            let Ok(Message::NewOrderRequest(r)) = message else { panic!("no order") };
            let disconnect = if cancel { order_flags::CANCEL_ON_DISCONNECT } else { 0 };
            // What takes is never part of the protection: a hedge leaves while quotes are frozen.
            let protection = if protect && order == 1 { order_flags::MMP } else { 0 };
            assert_eq!((r.flags.get(), r.self_match_prevention_id.get()), (disconnect | protection, group));
        }
    }
}

/// An amendment of order 1, which a gate approved of; the order was accepted.
fn amendment(lots: u32) -> Instruction {
    let (trail, decided, order, instrument) = (Trail::default(), 0, ClientOrderId(1), PERPETUAL);
    let (side, price) = (Side::Sell, Price(100_001 * ONE_E9));
    let new = Request::New {
        trail,
        decided,
        order,
        instrument,
        side,
        time_in_force: TimeInForce::GoodTilCancel,
        post_only: false,
        price,
        lots: 5,
    };
    approved_after(&[new], Request::Amend { trail, decided, order, instrument, side, price, lots })
}

#[test]
fn an_amendment_is_encoded_answered_and_may_fill_or_be_refused() {
    let mut pair = Pair::up();
    pair.step(&amendment(8));
    let bytes = pair.take_bytes();
    let message = next_frame(&bytes).expect("framed").expect("whole").message();
    let Ok(Message::AmendOrderRequest(r)) = message else { panic!("no amendment") };
    assert_eq!((r.client_order_id.get(), r.instrument_id.get()), (1, VENUE_PERPETUAL));
    assert_eq!((r.price.get(), r.quantity.to_quantity()), (100_001 * ONE_E9, Ok(Quantity(8 * LOT))));
    let correlation = r.correlation_id;
    assert_eq!(pair.gateway.counters().amends, 1);

    let mut response = AmendOrderResponse::new_zeroed();
    response.client_order_id = I64::new(1);
    response.correlation_id = correlation;
    response.instrument_id = I64::new(VENUE_PERPETUAL);
    response.price = I64::new(100_001 * ONE_E9);
    response.quantity = Quantity(8 * LOT).into();
    response.status = order_status::ACTIVE;
    pair.say_with(&response, |e| e.group(&[fill(77, 3)])?.group::<Leg>(&[]));
    let amended =
        Body::Amended { order: ClientOrderId(1), instrument: PERPETUAL, price: Price(100_001 * ONE_E9), lots: 8 };
    assert_eq!(pair.bodies(), [amended, filled_body(1, 77, Side::Sell, 3)]);

    let mut reject = AmendOrderReject::new_zeroed();
    reject.client_order_id = I64::new(1);
    reject.instrument_id = I64::new(VENUE_PERPETUAL);
    reject.reason = reject_reason::ORDER_NOT_FOUND;
    pair.say_with(&reject, |e| e.text(b"gone"));
    let reason = reject_reason::ORDER_NOT_FOUND as u8;
    assert_eq!(pair.bodies(), [Body::AmendRejected { order: ClientOrderId(1), instrument: PERPETUAL, reason }]);
}

#[test]
fn once_shut_the_gateway_takes_unsent_orders_back_and_lets_cancels_out() {
    let mut pair = Pair::up();
    pair.step(&new_order(1));
    pair.step(&amendment(8));
    pair.step(&cancel(1));
    pair.step(&Instruction::Level(KillLevel::Pause));
    let reason = local_reason::KILLED;
    let refused = Body::AmendRejected { order: ClientOrderId(1), instrument: PERPETUAL, reason };
    assert_eq!(pair.bodies(), [rejected_body(1, reason), refused]);
    assert_eq!(pair.gateway.shut_at().map(|traffic| traffic.frames), Some(0));
    pair.step(&new_order(2));
    pair.step(&cancel(2));
    let sent: Vec<u16> = pair.drain().into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(sent, [Heartbeat::TYPE, Heartbeat::TYPE, CancelOrderRequest::TYPE, CancelOrderRequest::TYPE]);
    assert_eq!(pair.bodies(), [rejected_body(2, reason)]);

    pair.step(&Instruction::Level(KillLevel::Open));
    pair.step(&new_order(3));
    assert_eq!(pair.drain().len(), 1);
    for level in [KillLevel::Halt, KillLevel::Open] {
        pair.step(&Instruction::Level(level));
        pair.step(&new_order(4));
        assert!(pair.drain().is_empty() && !pair.gateway.ready(), "a halt is for good");
    }
    assert_eq!(pair.gateway.shut_at().map(|traffic| traffic.frames), Some(1));
}

#[test]
fn an_ioc_is_accepted_filled_and_its_remainder_cancelled() {
    let mut pair = Pair::up();
    let fills = [fill(7, 1), fill(8, 2)];
    pair.say_with(&response(42, order_status::CANCELED, 3), |e| e.group(&fills)?.group::<Leg>(&[]));
    let cancelled = Body::Cancelled {
        order: ClientOrderId(42),
        instrument: PERPETUAL,
        cum_lots: 3,
        reason: cancel_reason::TIME_IN_FORCE as u8,
    };
    let expected = [accepted_body(42), filled_body(42, 7, Side::Sell, 1), filled_body(42, 8, Side::Sell, 2), cancelled];
    assert_eq!(pair.bodies(), expected);
}

#[test]
fn an_order_behind_the_speed_bump_is_filled_when_placed() {
    let mut pair = Pair::up();
    pair.step(&new_order(42));
    let bytes = pair.take_bytes();
    let message = next_frame(&bytes).expect("framed").expect("whole").message();
    let Ok(Message::NewOrderRequest(request)) = message else { panic!("no order") };
    pair.say_with(&response(42, order_status::QUEUED, 0), |e| e.group::<Fill>(&[])?.group::<Leg>(&[]));
    let mut placed = OrderPlaced::new_zeroed();
    placed.client_order_id = I64::new(42);
    placed.instrument_id = I64::new(VENUE_PERPETUAL);
    placed.status = order_status::FILLED;
    placed.correlation_id = request.correlation_id;
    pair.say_with(&placed, |e| e.group(&[fill(9, 5)])?.group::<Leg>(&[]));
    assert_eq!(pair.bodies(), [accepted_body(42), filled_body(42, 9, Side::Sell, 5)]);
}

#[test]
fn resting_fills_cancels_and_rejects_become_events() {
    let mut pair = Pair::up();
    let mut resting = FilledOrder::new_zeroed();
    resting.client_order_id = I64::new(1);
    resting.instrument_id = I64::new(VENUE_PERPETUAL);
    resting.match_id = I64::new(70);
    resting.price = I64::new(99_999 * ONE_E9);
    resting.fill_qty = Quantity(2 * LOT).into();
    resting.side = 1;
    pair.say_with(&OrderFilled::new_zeroed(), |e| e.group(&[resting])?.group::<Leg>(&[]));

    let mut swept = CanceledOrder::new_zeroed();
    swept.client_order_id = I64::new(1);
    swept.instrument_id = I64::new(VENUE_PERPETUAL);
    swept.total_filled = Quantity(2 * LOT).into();
    swept.cancel_reason = cancel_reason::CLIENT_DISCONNECT;
    pair.say_with(&OrdersCanceled::new_zeroed(), |e| e.group(&[swept]));

    let mut answer = CancelOrderResponse::new_zeroed();
    answer.client_order_id = I64::new(2);
    answer.instrument_id = I64::new(VENUE_PERPETUAL);
    pair.say(&answer);

    let mut refusal = NewOrderReject::new_zeroed();
    refusal.client_order_id = I64::new(3);
    refusal.instrument_id = I64::new(VENUE_PERPETUAL);
    refusal.reason = reject_reason::POST_ONLY;
    pair.say_with(&refusal, |e| e.text(b"would cross"));

    let mut refusal = CancelOrderReject::new_zeroed();
    refusal.client_order_id = I64::new(4);
    refusal.instrument_id = I64::new(VENUE_PERPETUAL);
    refusal.reason = reject_reason::CANCEL_UNKNOWN_ORDER;
    pair.say_with(&refusal, |e| e.text(b""));

    let instrument = PERPETUAL;
    let cancelled = |order, cum_lots, reason: i8| Body::Cancelled { order, instrument, cum_lots, reason: reason as u8 };
    let expected = [
        filled_body(1, 70, Side::Buy, 2),
        cancelled(ClientOrderId(1), 2, cancel_reason::CLIENT_DISCONNECT),
        cancelled(ClientOrderId(2), CUM_LOTS_UNKNOWN, cancel_reason::BY_REQUEST),
        rejected_body(3, reject_reason::POST_ONLY as u8),
        Body::CancelRejected { order: ClientOrderId(4), instrument, reason: 1 },
    ];
    assert_eq!(pair.bodies(), expected);
}

#[test]
fn a_fill_of_part_of_a_lot_is_counted_and_stops_new_orders() {
    let mut pair = Pair::up();
    let odd = Fill { fill_qty: Quantity(LOT + 1).into(), ..fill(7, 0) };
    pair.say_with(&response(42, order_status::ACTIVE, 0), |e| e.group(&[odd])?.group::<Leg>(&[]));
    assert_eq!(pair.bodies(), [accepted_body(42)]);
    assert_eq!(pair.gateway.counters().unrepresentable, 1);
    assert!(!pair.gateway.ready());
    pair.step(&new_order(43));
    pair.step(&cancel(42));
    assert_eq!(pair.bodies(), [rejected_body(43, local_reason::UNTRUSTED)]);
    assert_eq!(pair.drain(), [(2, CancelOrderRequest::TYPE)], "cancels still go out");
}

#[test]
fn a_report_on_an_unknown_instrument_stops_new_orders() {
    let mut pair = Pair::up();
    let mut stray = response(42, order_status::ACTIVE, 0);
    stray.instrument_id = I64::new(5);
    pair.tick_after(11);
    pair.say_with(&stray, |e| e.group(&[fill(7, 1)])?.group::<Leg>(&[]));
    assert_eq!((pair.bodies(), pair.gateway.counters().unknown_instruments), (vec![], 1));
    assert!(!pair.gateway.ready());
}

#[test]
fn a_report_that_comes_before_its_instrument_is_listed_waits_for_it() {
    let mut pair = Pair::up();
    let mut early = response(42, order_status::ACTIVE, 0);
    early.instrument_id = I64::new(5);
    let bytes = pair.bytes_as(pair.number, 0, &early, |e| e.group::<Fill>(&[])?.group::<Leg>(&[]));
    assert_eq!(pair.gateway.receive(&bytes, pair.time, &mut pair.events), 0);
    assert!(pair.bodies().is_empty() && pair.gateway.ready(), "nothing is lost yet");
    let (instrument, underlying, venue) = (InstrumentId(9), UnderlyingId(0), VenueInstrumentId(5));
    let (lot, symbol) = (Quantity(LOT), Symbol::default());
    pair.step(&Instruction::Reference { instrument, underlying, venue, lot, contract: lot, symbol });
    assert_eq!(pair.gateway.receive(&bytes, pair.time, &mut pair.events), bytes.len());
    let (order, venue_order) = (ClientOrderId(42), VenueOrderId(early.order_id.get() as u64));
    assert_eq!(pair.bodies(), [Body::Accepted { order, venue_order, instrument }]);
}

#[test]
fn a_freeze_that_comes_before_its_underlying_is_listed_waits_for_it() {
    let mut pair = Pair::up();
    let underlying = UnderlyingId(2);
    let mut early = OrdersMmpTriggered::new_zeroed();
    early.currency_pair_id = I64::new(3);
    let bytes = pair.bytes_as(pair.number, 0, &early, |e| Ok(e));
    assert_eq!(pair.gateway.receive(&bytes, pair.time, &mut pair.events), 0);
    assert!(pair.bodies().is_empty() && pair.gateway.ready(), "nothing is lost yet");
    let (instrument, venue, lot) = (InstrumentId(9), VenueInstrumentId(5), Quantity(LOT));
    pair.step(&Instruction::Reference { instrument, underlying, venue, lot, contract: lot, symbol: Symbol::default() });
    assert_eq!(pair.gateway.receive(&bytes, pair.time, &mut pair.events), bytes.len());
    assert!(
        matches!(pair.bodies()[..], [Body::Protection { scope: Protected::Orders { underlying: of }, .. }] if of == underlying)
    );
    assert!(pair.gateway.ready());
}

#[test]
fn an_order_on_an_unlisted_instrument_is_refused() {
    let mut pair = Pair::up();
    let instrument = InstrumentId(9);
    pair.step(&approved(Request::Cancel { order: ClientOrderId(1), instrument }));
    let reason = local_reason::UNKNOWN_INSTRUMENT;
    assert_eq!(pair.bodies(), [Body::CancelRejected { order: ClientOrderId(1), instrument, reason }]);
}

#[test]
fn a_message_the_venue_could_not_read_rejects_its_order() {
    let mut pair = Pair::up();
    pair.step(&new_order(42));
    assert_eq!(pair.drain(), [(2, NewOrderRequest::TYPE)]);
    pair.say_with(&Reject { ref_sequence_number: I64::new(2), reason: 4 }, |e| e.text(b"price"));
    pair.say_with(&Reject { ref_sequence_number: I64::new(99), reason: 4 }, |e| e.text(b"?"));
    assert_eq!(pair.bodies(), [rejected_body(42, local_reason::UNREADABLE)]);
    assert_eq!(pair.gateway.counters().rejects, 2);
}

#[test]
fn cancel_all_is_one_mass_cancel_an_underlying() {
    let mut pair = Pair::up();
    pair.step(&approved(Request::CancelAll));
    let bytes = pair.take_bytes();
    let mut rest = &bytes[..];
    for pair_id in [1, 2] {
        let frame = next_frame(rest).expect("framed").expect("whole");
        let Ok(Message::MassCancelRequest(r)) = frame.message() else { panic!("no mass cancel") };
        assert_eq!((r.currency_pair_id.get(), r.instrument_id.get(), r.product_type, r.side), (pair_id, 0, 0, 0));
        rest = &rest[frame.bytes()..];
    }
    assert!(rest.is_empty());
}

#[test]
fn a_mass_cancel_asked_for_while_down_goes_out_first() {
    let mut pair = Pair::new();
    pair.step(&approved(Request::CancelAll));
    pair.log_on();
    pair.step(&new_order(1));
    let expected = [(2, MassCancelRequest::TYPE), (3, MassCancelRequest::TYPE), (4, NewOrderRequest::TYPE)];
    assert_eq!(pair.drain(), expected);
}

#[test]
fn a_socket_that_takes_nothing_refuses_orders_but_not_cancels() {
    let mut pair = Pair::up();
    let refused = (1..2_000).find(|order| {
        pair.step(&new_order(*order));
        !pair.events.is_empty()
    });
    let refused = refused.expect("the buffer is bounded");
    assert_eq!(pair.bodies(), [rejected_body(refused, local_reason::BUFFER_FULL)]);
    assert_eq!(pair.gateway.counters().orders, refused - 1);
    pair.step(&cancel(1));
    assert!(pair.bodies().is_empty());
    let sent = pair.drain();
    assert_eq!(sent.len() as u64, refused);
    assert!(sent.iter().map(|(number, _)| *number).eq(2..2 + refused as i64), "no number is lost to the refused");
}

// Back-pressure.

#[test]
fn reports_wait_for_room_and_leave_once_each() {
    let mut pair = Pair::up();
    let fills = [fill(7, 1), fill(8, 2)];
    let mut bytes =
        pair.bytes_as(2, 0, &response(42, order_status::CANCELED, 3), |e| e.group(&fills)?.group::<Leg>(&[]));
    bytes.extend(
        pair.bytes_as(3, 0, &response(43, order_status::ACTIVE, 0), |e| e.group::<Fill>(&[])?.group::<Leg>(&[])),
    );
    let (mut narrow, mut taken) = (Narrow::default(), 0);
    for step in 0..=5 {
        assert_eq!(narrow.events.len(), step);
        narrow.room = 1;
        taken += pair.gateway.receive(&bytes[taken..], pair.time, &mut narrow);
        assert_eq!(taken == bytes.len(), step >= 4, "{step}");
        if taken == bytes.len() {
            break;
        }
    }
    let mut whole = Pair::up();
    whole.hear(&bytes);
    assert_eq!(narrow.events, whole.events);
}

#[test]
fn sent_notices_and_refusals_wait_for_room() {
    let mut pair = Pair::up();
    let mut narrow = Narrow::default();
    pair.step(&new_order(1));
    pair.gateway.written(pair.gateway.pending().len(), Ticks(1_050), &mut narrow);
    pair.gateway.log_out(pair.time);
    pair.gateway.step(&new_order(2), pair.time, &mut narrow);
    assert!(narrow.events.is_empty());
    narrow.room = 10;
    pair.gateway.tick(pair.time, &mut narrow);
    let bodies: Vec<Body> = narrow.events.iter().map(|event| event.body).collect();
    assert!(matches!(
        bodies[..],
        [Body::Sent { order: ClientOrderId(1), .. }, Body::Session { up: false }, Body::Rejected { .. }]
    ));
}
