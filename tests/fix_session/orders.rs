//! What is asked, as bytes; what is reported, as events.

use crate::approval;
use crate::initiator::{LOT, PERPETUAL, Venue, reference_of};
use hedgecore::event::{Body, Trail};
use hedgecore::gateway::local_reason;
use hedgecore::instrument::{Instrument, Symbol};
use hedgecore::order::{
    CANCELLED_ON_REQUEST, NewOrder, OrderStore, Request, TIME_IN_FORCE_ENDED, TimeInForce, UNKNOWN_TO_VENUE,
};
use hedgecore::risk::Instruction;
use hedgecore::sim::Queue;
use hedgecore::units::*;

/// An instruction, approved by a gate that refuses nothing these tests ask.
pub(crate) fn approved(request: Request) -> Instruction {
    let venue = VenueInstrumentId(210_838);
    let instrument =
        Instrument::inverse_perpetual(PERPETUAL, venue, UnderlyingId(0), Quantity(LOT), Price(500_000_000));
    let mut orders = OrderStore::new();
    if let Request::Amend { order, instrument, side, price, lots, .. } = request {
        let time_in_force = TimeInForce::GoodTilCancel;
        orders.insert(NewOrder { order, instrument, side, time_in_force, price, lots }).expect("room");
        orders.apply(&Body::Accepted { order, venue_order: VenueOrderId(1), instrument });
    }
    approval::approved(&mut orders, &instrument, Price(99_999 * ONE_E9), request, Nanos(0))
}

pub(crate) fn request(order: u64) -> Request {
    Request::New {
        trail: Trail::default(),
        decided: 3,
        order: ClientOrderId(order),
        instrument: PERPETUAL,
        side: Side::Sell,
        time_in_force: TimeInForce::ImmediateOrCancel,
        post_only: false,
        price: Price(99_999 * ONE_E9),
        lots: 5,
    }
}

pub(crate) fn new_order(order: u64) -> Instruction {
    approved(request(order))
}

pub(crate) fn cancel(order: u64) -> Instruction {
    approved(Request::Cancel { order: ClientOrderId(order), instrument: PERPETUAL })
}

#[test]
fn an_order_is_what_the_venue_reads() {
    let mut venue = Venue::up();
    venue.step(&new_order(3_855_759_433_760_014_337));
    let expected = "D#2 11=3855759433760014337 55=BTC-PERPETUAL 54=2 38=5 44=99999 40=2 59=3";
    assert_eq!(venue.heard(), [expected]);
    let Request::New { trail, order, instrument, side, lots, .. } = request(7) else { panic!("an order") };
    let price = Price(100_000 * ONE_E9);
    let time_in_force = TimeInForce::GoodTilCancel;
    venue.step(&approved(Request::New {
        trail,
        decided: 0,
        order,
        instrument,
        side,
        time_in_force,
        post_only: true,
        price,
        lots,
    }));
    assert_eq!(venue.heard(), ["D#3 11=7 55=BTC-PERPETUAL 54=2 38=5 44=100000 40=2 59=1 18=6A"]);
    venue.step(&approved(Request::Amend { trail, decided: 0, order, instrument, side, price, lots: 4 }));
    assert_eq!(venue.heard(), ["G#4 11=7 55=BTC-PERPETUAL 54=2 38=4 44=100000"]);
    venue.step(&cancel(7));
    venue.step(&approved(Request::CancelAll));
    assert_eq!(venue.heard(), ["F#5 11=7 55=BTC-PERPETUAL", "q#6 11=6 530=7"]);
    let sent = venue.events.iter().filter(|event| matches!(event.body, Body::Sent { .. })).count();
    assert_eq!(sent, 2);
}

#[test]
fn an_instrument_without_a_name_or_contract_is_not_traded() {
    let mut venue = Venue::up();
    venue.step(&reference_of(PERPETUAL, 210_838, Symbol::default()));
    venue.step(&new_order(1));
    venue.step(&cancel(1));
    let reason = local_reason::UNKNOWN_INSTRUMENT;
    let (order, instrument) = (ClientOrderId(1), PERPETUAL);
    let expected = [Body::Rejected { order, instrument, reason }, Body::CancelRejected { order, instrument, reason }];
    assert_eq!(venue.bodies(), expected);
}

const REPORT: &str = "37=ETH-4711|11=ETH-4711|41=7|54=2|55=BTC-PERPETUAL|38=5|44=99999|";

fn filled(execution: u64, lots: u32) -> Body {
    Body::Filled {
        order: ClientOrderId(7),
        execution: ExecutionId(execution),
        instrument: PERPETUAL,
        side: Side::Sell,
        price: Price(99_999 * ONE_E9 + ONE_E9 / 2),
        lots,
    }
}

fn accepted() -> Body {
    Body::Accepted { order: ClientOrderId(7), venue_order: VenueOrderId(4_711), instrument: PERPETUAL }
}

#[test]
fn an_order_is_accepted_once_and_filled_as_told() {
    let mut venue = Venue::up();
    venue.step(&new_order(7));
    venue.say("8", &format!("{REPORT}39=0|150=I|14=0|151=5|"));
    venue.say("8", &format!("{REPORT}39=1|150=I|14=2|151=3|1362=1|1363=BTC-PERPETUAL#38|1364=99999.5|1365=2|"));
    venue.say(
        "8",
        &format!("{REPORT}39=2|150=I|14=5|151=0|1362=2|1363=9|1364=99999.5|1365=1|1363=10|1364=99999.5|1365=2|"),
    );
    assert_eq!(venue.bodies(), [accepted(), filled(38, 2), filled(9, 1), filled(10, 2)]);
    assert!(venue.gateway.ready());
}

#[test]
fn a_first_report_that_finds_room_for_one_event_at_a_time_loses_no_fill() {
    let mut venue = Venue::up();
    let fills = "1362=2|1363=9|1364=99999.5|1365=3|1363=10|1364=99999.5|1365=2|";
    let report = venue.script("8", &format!("{REPORT}39=2|150=I|14=5|151=0|{fills}")).bytes();
    let (mut outbox, mut told) = (Queue::with_capacity(1), Vec::new());
    for _ in 0..8 {
        let taken = venue.gateway.receive(&report, venue.now, &mut outbox);
        told.extend(outbox.messages().iter().map(|event| event.body));
        outbox.clear();
        if taken == report.len() {
            break;
        }
    }
    assert_eq!(told, [accepted(), filled(9, 3), filled(10, 2)]);
}

#[test]
fn an_order_that_fills_at_once_is_accepted_by_its_fill() {
    let mut venue = Venue::up();
    venue.step(&new_order(7));
    venue.say("8", "37=4711|11=7|54=2|55=BTC-PERPETUAL|39=2|150=F|17=E38|32=5|31=99999.5|14=5|151=0|");
    assert_eq!(venue.bodies(), [accepted(), filled(38, 5)]);
}

#[test]
fn the_end_of_an_order_says_why_and_how_much_had_filled() {
    let mut venue = Venue::up();
    let cancelled =
        |cum_lots, reason| Body::Cancelled { order: ClientOrderId(7), instrument: PERPETUAL, cum_lots, reason };
    venue.say("8", &format!("{REPORT}39=4|150=4|14=2|151=0|58=success|"));
    venue.say("8", &format!("{REPORT}39=4|150=4|14=0|151=0|58=ioc_cancelled|"));
    assert_eq!(venue.bodies(), [accepted(), cancelled(2, CANCELLED_ON_REQUEST), cancelled(0, TIME_IN_FORCE_ENDED)]);
    venue.say("8", &format!("{REPORT}39=8|150=8|14=0|103=3|58=limit|"));
    assert_eq!(venue.bodies(), [Body::Rejected { order: ClientOrderId(7), instrument: PERPETUAL, reason: 3 }]);
}

#[test]
fn an_amendment_is_told_with_its_terms() {
    let mut venue = Venue::up();
    venue.say("8", &format!("{REPORT}39=0|150=5|14=0|151=5|"));
    let price = Price(99_999 * ONE_E9);
    let amended = Body::Amended { order: ClientOrderId(7), instrument: PERPETUAL, price, lots: 5 };
    assert_eq!(venue.bodies(), [accepted(), amended]);
    venue.say("9", "41=7|11=ETH-4711|39=8|434=2|58=price_too_high|");
    assert_eq!(venue.bodies().len(), 1);
}

#[test]
fn a_refused_cancel_says_whether_the_order_is_gone() {
    for (fields, reason) in [
        ("41=7|39=8|58=order_not_found|", UNKNOWN_TO_VENUE),
        ("41=7|102=1|", UNKNOWN_TO_VENUE),
        ("11=7|58=too many requests|", 99),
    ] {
        let mut venue = Venue::up();
        venue.step(&cancel(7));
        venue.say("9", fields);
        let expected = Body::CancelRejected { order: ClientOrderId(7), instrument: PERPETUAL, reason };
        assert_eq!(venue.bodies(), [expected], "{fields}");
    }
}

#[test]
fn a_fill_that_is_no_whole_lots_stops_new_orders() {
    for fill in ["1365=0.5|", "1365=x|", "", "1365=0|"] {
        let mut venue = Venue::up();
        venue.say("8", &format!("{REPORT}39=1|14=1|1362=1|1363=9|1364=99999.5|{fill}"));
        assert_eq!(venue.bodies(), [accepted()]);
        assert_eq!((venue.gateway.counters().unrepresentable, venue.gateway.ready()), (1, false));
    }
}

#[test]
fn a_report_on_something_else_is_passed_over_or_counted() {
    let mut venue = Venue::up();
    venue.say("8", "37=1|11=web-order|39=0|55=BTC-PERPETUAL|54=1|14=0|");
    assert!(venue.bodies().is_empty() && venue.gateway.ready());
    venue.wait(11);
    venue.say("8", "37=1|41=12|39=0|55=DOGE-PERPETUAL|54=1|14=0|");
    assert_eq!((venue.gateway.counters().unknown_instruments, venue.gateway.ready()), (1, false));
}

#[test]
fn a_report_that_comes_before_its_instrument_is_listed_waits_for_it() {
    let mut venue = Venue::up();
    let bust = "37=ETH-1|41=7|39=0|150=H|55=ETH-PERPETUAL|54=2|14=0|1362=1|1363=38|1364=99999.5|1365=2|";
    let bytes = venue.script("8", bust).bytes();
    assert_eq!(venue.gateway.receive(&bytes, venue.now, &mut venue.events), 0);
    assert!(venue.bodies().is_empty() && venue.gateway.ready(), "nothing is lost yet");
    let instrument = InstrumentId(1);
    venue.step(&reference_of(instrument, 210_839, Symbol::new(b"ETH-PERPETUAL").expect("it fits")));
    venue.say("8", bust);
    let Body::Filled { order, execution, side, price, lots, .. } = filled(38, 2) else { panic!("a fill") };
    assert_eq!(venue.bodies(), [Body::Busted { order, execution, instrument, side, price, lots }]);
}

#[test]
fn a_session_reject_of_a_request_is_its_answer() {
    let mut venue = Venue::up();
    venue.step(&new_order(7));
    venue.step(&cancel(7));
    venue.say("3", "45=2|371=38|372=D|373=5|58=bad|");
    venue.say("j", "45=3|372=F|380=3|");
    let reason = local_reason::UNREADABLE;
    let (order, instrument) = (ClientOrderId(7), PERPETUAL);
    let expected = [Body::Rejected { order, instrument, reason }, Body::CancelRejected { order, instrument, reason }];
    assert_eq!(venue.bodies(), expected);
    assert_eq!(venue.gateway.counters().rejects, 2);
}
