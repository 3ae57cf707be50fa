//! A FIX session allocates nothing once it is made: orders, reports, a lost connection, its resend.

#[path = "approval/mod.rs"]
mod approval;

use std::hint::black_box;

use hedgecore::event::{Body, Event, Trail};
use hedgecore::gateway::Gateway;
use hedgecore::gateway::fix::{Acceptor, ClientRequest, Credentials, FixConfig, FixRules, NonceSeed, Taken};
use hedgecore::instrument::{Instrument, Symbol};
use hedgecore::order::{OrderStore, Request, TimeInForce};
use hedgecore::risk::Instruction;
use hedgecore::runtime::alloc::{CountingAllocator, hot_allocations, hot_frees, hot_section, is_installed};
use hedgecore::stage::{Full, Outbox};
use hedgecore::units::*;
use hedgecore::wire::fix::kind;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const START: Nanos = Nanos(1_795_374_000 * Nanos::PER_SECOND);
const PERPETUAL: InstrumentId = InstrumentId(3);
const LOT: Quantity = Quantity(10 * ONE_E9);
const PRICE: Price = Price(97_650 * ONE_E9);

/// Takes everything, and counts the fills.
#[derive(Default)]
struct Sink(u64);

impl Outbox<Event> for Sink {
    fn send(&mut self, event: Event) -> Result<(), Full> {
        self.0 += u64::from(matches!(black_box(event).body, Body::Filled { .. }));
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

fn order(number: u64) -> Instruction {
    let instrument =
        Instrument::inverse_perpetual(PERPETUAL, VenueInstrumentId(1), UnderlyingId(0), LOT, Price(ONE_E9 / 2));
    let request = Request::New {
        trail: Trail::default(),
        decided: 0,
        order: ClientOrderId(number),
        instrument: PERPETUAL,
        side: Side::Buy,
        time_in_force: TimeInForce::ImmediateOrCancel,
        post_only: false,
        price: PRICE,
        lots: 5,
    };
    approval::approved(&mut OrderStore::new(), &instrument, PRICE, request, START)
}

/// The venue hears what was written, fills what is asked, and answers.
fn answer(venue: &mut Acceptor, heard: &[u8]) -> Vec<u8> {
    let mut at = 0;
    loop {
        match venue.take(&heard[at..], START) {
            Taken::Incomplete => break,
            Taken::Session(taken) => at += taken,
            Taken::Request(taken, request) => {
                at += taken;
                let ClientRequest::New { order, terms, .. } = request else { continue };
                venue.send(kind::EXECUTION_REPORT, START, |report| {
                    report.number(b"37=", order).number(b"11=", order).number(b"41=", order).byte(b"39=", b'2');
                    report.byte(b"54=", b'1').bytes(b"55=", terms.symbol.as_bytes()).decimal_e9(b"14=", terms.qty);
                    report.number(b"1362=", 1).number(b"1363=", order).decimal_e9(b"1364=", terms.price);
                    report.decimal_e9(b"1365=", terms.qty);
                });
            }
        }
    }
    let said = venue.pending().to_vec();
    venue.written(said.len());
    said
}

#[test]
fn orders_reports_and_a_resend_allocate_nothing() {
    assert!(is_installed());
    let rules = FixRules::new("DESK", "VENUE").expect("names");
    let credentials = || Credentials::new("key", "swordfish").expect("both fit");
    let mut gateway = Gateway::new(FixConfig::new(rules, credentials(), NonceSeed([7; 32])));
    let mut venue = Acceptor::new(FixRules::new("VENUE", "DESK").expect("names"), Some(credentials()));
    let (contract, symbol) = (LOT, Symbol::new(b"BTC-PERPETUAL").expect("it fits"));
    let (instrument, underlying, number) = (PERPETUAL, UnderlyingId(0), VenueInstrumentId(1));
    let reference = Instruction::Reference { instrument, underlying, venue: number, lot: LOT, contract, symbol };
    let mut sink = Sink::default();
    let before = (hot_allocations(), hot_frees());
    hot_section(|| gateway.step(&reference, START, &mut sink));
    for round in 0..3u64 {
        venue.connected(START);
        hot_section(|| gateway.connected(Nanos(START.0 + round * Nanos::PER_MILLI)));
        for at in 0..200 {
            if at > 0 {
                let instruction = order(1 + round * 1_000 + at);
                hot_section(|| {
                    gateway.step(&instruction, START, &mut sink);
                    gateway.encoded(Ticks(1));
                });
            }
            let heard = gateway.pending().to_vec();
            hot_section(|| gateway.written(heard.len(), Ticks(2), &mut sink));
            // The last orders of a connection are lost, and asked for again on the next.
            if at < 190 {
                let said = answer(&mut venue, &heard);
                hot_section(|| {
                    assert_eq!(gateway.receive(&said, START, &mut sink), said.len());
                    gateway.tick(START, &mut sink);
                });
            }
        }
        venue.disconnected();
        hot_section(|| gateway.disconnected(START, &mut sink));
    }
    assert_eq!((hot_allocations() - before.0, hot_frees() - before.1), (0, 0));
    assert!(sink.0 >= 3 * 189 + 2 * 10, "{} fills: what was lost came again", sink.0);
    assert_eq!(gateway.counters().malformed, 0);
}
