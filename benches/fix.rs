//! Cost of FIX on the order path: a new order onto the wire, an execution report off it.
//!
//! Every call works on different numbers, so that nothing is hoisted out of the loop. Encoding writes the whole message,
//! length and checksum included; reading checks both, finds every field and takes order, state, amounts and fills from
//! them. The report is one of the venue's, 340 bytes with one fill. Of `alternating` every other report has no fill and
//! three fields less in between, so that tags stand elsewhere than in the message before. Sockets and session are not in it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hedgecore::units::{Nanos, ONE_E9};
use hedgecore::wire::fix::{ExecutionReport, Header, Next, Tape, Text, kind, next_frame};

const REPORT: &str = "35=8|49=DERIBITSERVER|56=DESK|34=17|52=20261122-19:00:00.123|527=9|37=ETH-4711|11=ETH-4711|\
    41=3855759433760014337|39=2|54=2|60=20261122-19:00:00.122|12=0|151=0|14=50|38=50|40=2|44=97650.5|150=I|103=0|\
    58=success|207=DERIBITSERVER|55=BTC-PERPETUAL|6=97651.25|1362=1|1363=BTC-PERPETUAL#38|1364=97651.5|1365=50|1443=2|";

fn encode(c: &mut Criterion) {
    let name = |name| Text::new(name).expect("a name");
    let mut header = Header::new(&name("DESK"), &name("DERIBITSERVER"));
    let (mut buffer, mut number) = ([0u8; 1_024], 0u64);
    c.bench_function("fix/encode_new_order", |b| {
        b.iter(|| {
            number += 1;
            let time = Nanos(1_795_374_000 * Nanos::PER_SECOND + number * 1_000);
            let mut order = header.begin(&mut buffer, kind::NEW_ORDER_SINGLE, number % 1_000_000, time).ok()?;
            order.number(b"11=", 3_855_759_433_760_014_337 + number);
            order.bytes(b"55=", b"BTC-PERPETUAL").byte(b"54=", b'1').decimal_e9(b"38=", 50 * ONE_E9);
            order.decimal_e9(b"44=", 97_650 * ONE_E9 + 500_000_000).byte(b"40=", b'2').byte(b"59=", b'3');
            let length = order.finish().ok();
            black_box(&buffer);
            length
        });
    });
}

/// A whole message.
fn message(body: &str) -> Vec<u8> {
    let body = body.replace('|', "\x01");
    let mut message = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
    let sum = message.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    message.extend(format!("10={sum:03}\x01").bytes());
    message
}

fn parse(c: &mut Criterion) {
    let filled = message(REPORT);
    let (entered, _) = REPORT.split_once("1362=").expect("a fill");
    let entered = message(&entered.replace("12=0|", "").replace("40=2|", "").replace("103=0|", ""));
    let mut tape = Tape::new();
    let mut read = |message: &[u8]| {
        let Next::Frame(frame) = next_frame(message) else { return None };
        let (fields, None) = tape.read(frame.body) else { return None };
        let report = ExecutionReport::new(&fields).ok()?;
        let filled: i64 = report.fills().iter().flatten().map(|fill| fill.qty).sum();
        Some((report.order, report.status, report.cum_qty(), filled))
    };
    assert_eq!(read(&filled), Some((Some(3_855_759_433_760_014_337), b'2', Some(50 * ONE_E9), 50 * ONE_E9)));
    assert_eq!(read(&entered), Some((Some(3_855_759_433_760_014_337), b'2', Some(50 * ONE_E9), 0)));
    c.bench_function("fix/parse_execution_report", |b| b.iter(|| read(black_box(&filled))));
    let mut turn = false;
    c.bench_function("fix/parse_execution_report_alternating", |b| {
        b.iter(|| {
            turn = !turn;
            read(black_box(if turn { &filled } else { &entered }))
        });
    });
}

criterion_group!(benches, encode, parse);
criterion_main!(benches);
