//! FIX 4.4: a new order onto the wire, an execution report off it.

use std::hint::black_box;

use hedgecore::units::{Nanos, ONE_E9};
use hedgecore::wire::fix::{ExecutionReport, Header, Next, Tape, Text, kind, next_frame};
use rustyfix::tagvalue::{Decoder, Encoder};
use rustyfix::{Dictionary, SetField};

use crate::contest::{Contender, contest};

const PASSES: u32 = 50;
/// One of the venue's, with one fill.
const REPORT: &str = "35=8|49=DERIBITSERVER|56=DESK|34=17|52=20261122-19:00:00.123|527=9|37=ETH-4711|11=ETH-4711|\
    41=3855759433760014337|39=2|54=2|60=20261122-19:00:00.122|12=0|151=0|14=50|38=50|40=2|44=97650.5|150=I|103=0|\
    58=success|207=DERIBITSERVER|55=BTC-PERPETUAL|6=97651.25|1362=1|1363=BTC-PERPETUAL#38|1364=97651.5|1365=50|1443=2|";
const ORDER: u64 = 3_855_759_433_760_014_337;
const FILLED: u64 = 50;

/// Ours and rustyfix.
pub fn compare() {
    let report = message(REPORT);
    let mut tape = Tape::new();
    let mut ours = |bytes: &[u8]| {
        let Next::Frame(frame) = next_frame(bytes) else { return None };
        let (fields, None) = tape.read(frame.body) else { return None };
        let report = ExecutionReport::new(&fields).ok()?;
        let filled: i64 = report.fills().iter().flatten().map(|fill| fill.qty).sum();
        Some((report.order?, filled as u64 / ONE_E9 as u64))
    };
    let mut decoder = Decoder::new(Dictionary::fix44().expect("its own dictionary"));
    let mut theirs = |bytes: &[u8]| {
        let report = decoder.decode(bytes).ok()?;
        Some((report.get(41).ok()?, report.get(1365).ok()?))
    };
    assert_eq!((ours(&report), theirs(&report)), (Some((ORDER, FILLED)), Some((ORDER, FILLED))));
    contest(
        &format!("a FIX execution report of {} bytes, length and checksum verified, order and fill read", report.len()),
        "a message",
        vec![
            Contender::new("hedgecore", PASSES, 1, || {
                black_box(ours(black_box(&report)));
            }),
            Contender::new("rustyfix", PASSES, 1, || {
                black_box(theirs(black_box(&report)));
            }),
        ],
    );

    let name = |name| Text::new(name).expect("a name");
    let mut header = Header::new(&name("DESK"), &name("DERIBITSERVER"));
    let (mut buffer, mut number) = ([0u8; 1_024], 0u64);
    let (mut encoder, mut bytes, mut their_number) = (Encoder::new(), Vec::with_capacity(1_024), 0u64);
    contest(
        "a FIX new order encoded, length and checksum included",
        "a message",
        vec![
            Contender::new("hedgecore", PASSES, 1, || {
                number += 1;
                let time = Nanos(1_795_374_000 * Nanos::PER_SECOND + number * 1_000);
                let begun = header.begin(&mut buffer, kind::NEW_ORDER_SINGLE, number % 1_000_000, time);
                let mut order = begun.expect("it fits");
                order.number(b"11=", ORDER + number);
                order.bytes(b"55=", b"BTC-PERPETUAL").byte(b"54=", b'1').decimal_e9(b"38=", 50 * ONE_E9);
                order.decimal_e9(b"44=", 97_650 * ONE_E9 + 500_000_000).byte(b"40=", b'2').byte(b"59=", b'3');
                black_box(order.finish().expect("it fits"));
                black_box(&buffer);
            }),
            Contender::new("rustyfix", PASSES, 1, || {
                their_number += 1;
                bytes.clear();
                let mut order = encoder.start_message(b"FIX.4.4", &mut bytes, b"D");
                order.set(49, &b"DESK"[..]);
                order.set(56, &b"DERIBITSERVER"[..]);
                order.set(34, their_number % 1_000_000);
                order.set(52, &b"20261122-19:00:00.123"[..]);
                order.set(11, ORDER + their_number);
                order.set(55, &b"BTC-PERPETUAL"[..]);
                order.set(54, &b"1"[..]);
                order.set(38, FILLED);
                order.set(44, &b"97650.5"[..]);
                order.set(40, &b"2"[..]);
                order.set(59, &b"3"[..]);
                black_box(order.done());
            })
            .remark("time and price given as text, not written"),
        ],
    );
}

/// A whole message.
fn message(body: &str) -> Vec<u8> {
    let body = body.replace('|', "\x01");
    let mut message = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
    let sum = message.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    message.extend(format!("10={sum:03}\x01").bytes());
    message
}
