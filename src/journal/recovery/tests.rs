//! The catch-up against a venue's end of a FIX session that states whatever a test wants it to.

use super::*;
use crate::event::{Body, Event, Trail};
use crate::gateway::GatewayConfig;
use crate::gateway::fix::{Acceptor, ClientRequest, Credentials, FixConfig, FixRules, NonceSeed, Taken};
use crate::hedge::HedgeConfig;
use crate::instrument::{InstrumentKind, Payoff, Symbol};
use crate::journal::{Head, Record, Settings};
use crate::portfolio::GreeksConfig;
use crate::units::{
    ClientOrderId, ExecutionId, InstrumentId, Lots, Nanos, ONE_E9, Price, Quantity, Side, UnderlyingId,
    VenueInstrumentId,
};
use crate::wire::fix::{Writer, kind};

const PERPETUAL: VenueInstrumentId = VenueInstrumentId(210_838);
const START: Nanos = Nanos(1_800_000_000 * Nanos::PER_SECOND);
const PATIENCE_STEPS: u64 = 1_000;

fn session() -> GatewayConfig {
    let rules = FixRules::new("DESK", "VENUE").expect("names");
    FixConfig::new(rules, Credentials::new("client", "swordfish").expect("fits"), NonceSeed([7; 32])).into()
}

/// A run that bought five lots of the one contract it knew, and died.
fn run() -> Recovery {
    let settings = Settings { greeks: GreeksConfig::default(), hedge: HedgeConfig::default(), session: session() };
    let json = settings.to_json().into_boxed_slice();
    let instrument = InstrumentId(0);
    let listed = Body::Listed {
        instrument,
        underlying: UnderlyingId(0),
        kind: InstrumentKind::Perpetual,
        payoff: Payoff::Linear,
        option: None,
        expiry_s: 0,
        strike: Price(0),
        lot: Quantity(ONE_E9),
        venue: PERPETUAL,
    };
    let terms =
        Body::Terms { instrument, tick: Price(1), contract: Quantity(ONE_E9), maker_fee_e9: 0, taker_fee_e9: 0 };
    let named = Body::Named { instrument, symbol: Symbol::new(b"BTC-PERPETUAL").expect("fits") };
    let (order, execution) = (ClientOrderId(9), ExecutionId(4));
    let filled = Body::Filled { order, execution, instrument, side: Side::Buy, price: Price(7), lots: 5 };
    let events = [listed, terms, named, filled].map(|body| Event { trail: Trail::default(), time: START, body });
    let mut recovery = None;
    let begins = [Record::Head { head: Head::of_this_process(1, 1, &json) }, Record::Settings { json }];
    for record in begins.into_iter().chain(events.map(|event| Record::Input { event })) {
        Recovery::take(&mut recovery, &record).expect("settings of this version");
    }
    recovery.expect("it has a head")
}

/// What a venue says that answers the two questions so, and refuses every cancel of an order that never was.
fn witness(positions: impl Fn(&mut Writer<'_>), open: usize) -> Witness {
    converse(|venue, request, now, _| answer(venue, request, now, &positions, open)).expect("the session stands")
}

/// A catch-up with a venue that answers requests so, as messages of its session or as bytes for the wire.
fn converse(
    mut answer: impl FnMut(&mut Acceptor, ClientRequest, Nanos, &mut Vec<u8>),
) -> Result<Witness, CatchUpError> {
    let credentials = Credentials::new("client", "swordfish").expect("fits");
    let mut venue = Acceptor::new(FixRules::new("VENUE", "DESK").expect("names"), Some(credentials));
    // The fill of the run, under the number that is asked for again.
    venue.send(kind::EXECUTION_REPORT, START, |report| {
        report
            .number(b"37=", 1)
            .number(b"41=", 9)
            .byte(b"39=", b'1')
            .byte(b"54=", b'1')
            .bytes(b"55=", b"BTC-PERPETUAL");
        report.number(b"14=", 5).number(b"38=", 6).number(b"1362=", 1);
        report.number(b"1363=", 4).number(b"1364=", 1).number(b"1365=", 5);
    });
    let mut desk = CatchUp::new(run(), session(), 0);
    let mut now = START;
    venue.connected(now);
    desk.connected(now);
    let (mut to_venue, mut to_desk) = (Vec::new(), Vec::new());
    for _ in 0..PATIENCE_STEPS {
        now.0 += Nanos::PER_MILLI;
        to_venue.extend_from_slice(desk.pending());
        desk.written(desk.pending().len());
        loop {
            let taken = match venue.take(&to_venue, now) {
                Taken::Incomplete => break,
                Taken::Session(taken) => taken,
                Taken::Request(taken, request) => {
                    answer(&mut venue, request, now, &mut to_desk);
                    taken
                }
            };
            to_venue.drain(..taken);
        }
        to_desk.extend_from_slice(venue.pending());
        venue.written(venue.pending().len());
        let taken = desk.receive(&to_desk, now);
        to_desk.drain(..taken);
        if desk.tick(now)? {
            return Ok(desk.finish(now));
        }
    }
    panic!("the venue never said everything");
}

fn answer(venue: &mut Acceptor, request: ClientRequest, now: Nanos, positions: impl Fn(&mut Writer<'_>), open: usize) {
    match request {
        ClientRequest::Cancel { order } => venue.send(kind::ORDER_CANCEL_REJECT, now, |reject| {
            reject.number(b"41=", order).byte(b"39=", b'8').byte(b"434=", b'1').bytes(b"58=", b"order_not_found");
            reject.bytes(b"55=", b"BTC-PERPETUAL");
        }),
        ClientRequest::Positions { request } => venue.send(kind::POSITION_REPORT, now, |report| {
            report.number(b"721=", 1).number(b"710=", request);
            positions(report);
        }),
        ClientRequest::OpenOrders { request } => {
            for order in 0..open {
                venue.send(kind::EXECUTION_REPORT, now, |report| {
                    report.number(b"37=", order as u64).number(b"41=", 77).byte(b"39=", b'0').number(b"584=", request);
                });
            }
        }
        _ => {}
    }
}

fn holding(report: &mut Writer<'_>, symbol: &[u8], long: u64) {
    report.number(b"702=", 1).bytes(b"703=", b"TQ").number(b"704=", long).number(b"705=", 0).bytes(b"55=", symbol);
}

/// No holding, and why.
fn nothing(report: &mut Writer<'_>, result: u64) {
    report.number(b"728=", result);
}

/// What is begun with under each policy, and the differences that were shown.
fn reconciled(witness: &Witness) -> ([Option<Lots>; 2], Vec<Difference>) {
    let begin = |policy| {
        let (agreement, _) = reconcile(witness, witness.account.as_ref(), policy);
        agreement.map(|agreement| agreement.opening.get(&PERPETUAL).copied().unwrap_or_default())
    };
    let (_, differences) = reconcile(witness, witness.account.as_ref(), Policy::Halt);
    ([begin(Policy::Halt), begin(Policy::Adopt)], differences)
}

#[test]
fn a_fill_of_the_run_before_that_the_venue_takes_back_leaves_the_position_once() {
    let mut recovery = run();
    let (order, instrument, price) = (ClientOrderId(8), InstrumentId(0), Price(7));
    let busted = Body::Busted { order, execution: ExecutionId(3), instrument, side: Side::Buy, price, lots: 2 };
    assert!(recovery.apply(&busted) && !recovery.apply(&busted));
    assert_eq!(recovery.positions[&PERPETUAL], Lots(3), "five bought, and two that it began with taken back");
}

#[test]
fn an_account_that_is_ours_is_gone_on_with_under_either_policy() {
    let witness = witness(|report| holding(report, b"BTC-PERPETUAL", 5), 0);
    assert_eq!(reconciled(&witness), ([Some(Lots(5)); 2], vec![]));
}

#[test]
fn another_position_halts_or_is_adopted() {
    let other = witness(|report| holding(report, b"BTC-PERPETUAL", 8), 0);
    let difference = Difference::Position(PERPETUAL, Lots(5), Lots(8));
    assert_eq!(reconciled(&other), ([None, Some(Lots(8))], vec![difference]));
    let flat = witness(|report| nothing(report, 2), 0);
    let difference = Difference::Position(PERPETUAL, Lots(5), Lots(0));
    assert_eq!(reconciled(&flat), ([None, Some(Lots(0))], vec![difference]));
}

#[test]
fn an_order_that_rests_although_all_were_asked_back_is_counted() {
    let witness = witness(|report| holding(report, b"BTC-PERPETUAL", 5), 3);
    assert_eq!(reconciled(&witness), ([None, Some(Lots(5))], vec![Difference::Resting(3)]));
}

#[test]
fn a_holding_that_the_journal_never_listed_is_shown() {
    let witness = witness(|report| holding(report, b"ETH-PERPETUAL", 5), 0);
    let (begun, differences) = reconciled(&witness);
    assert_eq!(begun, [None, Some(Lots(0))]);
    assert_eq!(differences, [Difference::Unreadable(1), Difference::Position(PERPETUAL, Lots(5), Lots(0))]);
}

#[test]
fn an_account_that_the_venue_refuses_to_state_needs_a_persons_word() {
    let witness = witness(|report| nothing(report, 1), 0);
    assert_eq!(witness.account, None);
    assert_eq!(reconciled(&witness), ([None, Some(Lots(5))], vec![Difference::Unstated]));
}

#[test]
fn a_statement_longer_than_a_message_may_be_refuses_the_start_and_says_so() {
    let group = "703=TQ\x01704=1\x01705=0\x0155=BTC-27JUN25-100000-C\x01".repeat(2_000);
    let body = format!("35=AP\x0134=4\x01721=1\x01728=0\x01702=2000\x01{group}");
    assert!(body.len() > crate::wire::fix::FRAME_BYTES_MAX);
    let stated = format!("8=FIX.4.4\x019={}\x01{body}10=000\x01", body.len());
    let refused = converse(|venue, request, now, wire| match request {
        ClientRequest::Positions { .. } => wire.extend_from_slice(stated.as_bytes()),
        other => answer(venue, other, now, |_| {}, 0),
    });
    let refused = refused.expect_err("it cannot be read");
    assert_eq!(refused, CatchUpError::Unreadable);
    assert!(refused.to_string().contains("more than 65535 bytes or 4096 fields"), "{refused}");
}

#[test]
fn a_logon_bears_a_later_time_than_the_journal_though_the_clock_went_back() {
    let back = Nanos(START.0 - 3_600 * Nanos::PER_SECOND);
    let mut earlier_ms = START.0 / Nanos::PER_MILLI;
    for attempts in 0..4 {
        let mut desk = CatchUp::new(run(), session(), attempts);
        desk.connected(back);
        let logon_ms = time_of_logon(desk.pending());
        assert!(logon_ms > earlier_ms + 999, "attempt {attempts}: {logon_ms} after {earlier_ms}");
        earlier_ms = desk.finish(back).numbers.logon_ms;
        assert_eq!(earlier_ms, logon_ms, "the session that follows goes on from it");
    }
}

/// The time that the `RawData` (96) of a logon begins with, Unix milliseconds.
fn time_of_logon(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let raw = text.split("\x0196=").nth(1).unwrap_or_else(|| panic!("no logon in {text:?}"));
    raw.split('.').next().and_then(|ms| ms.parse().ok()).expect("a time")
}
