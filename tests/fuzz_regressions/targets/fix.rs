//! A stream of FIX: frames are the same in whatever pieces it comes, fields are all of it, decimals exact or refused.

use hedgecore::wire::fix::*;

pub fn run(bytes: &[u8]) {
    let mut tape = Tape::new();
    let mut at = 0;
    while at < bytes.len() {
        match next_frame(&bytes[at..]) {
            Next::Incomplete => break,
            Next::Garbled(taken) => {
                assert!((1..=bytes.len() - at).contains(&taken), "what is garbled is passed over");
                at += taken;
            }
            Next::Frame(frame) => {
                let whole = &bytes[at..at + frame.bytes];
                assert_eq!(next_frame(whole), Next::Frame(frame), "what follows a frame does not change it");
                assert_eq!(next_frame(&whole[..whole.len() - 1]), Next::Incomplete);
                read(frame.body, &mut tape);
                at += frame.bytes;
            }
        }
    }
}

fn read(body: &[u8], tape: &mut Tape) {
    let (fields, fault) = tape.read(body);
    assert_eq!(fields.len(), fields.iter().count());
    if fault.is_none() {
        let again: Vec<u8> = fields.iter().flat_map(|(tag, value)| field(tag, value)).collect();
        // A tag may be written with zeros before it, which are not part of the number.
        assert!(again.len() <= body.len(), "fields are no more than the message");
    }
    if let Some(kind) = fields.find(tag::MSG_TYPE).filter(|kind| kind.len() == 1)
        && let Some(spec) = spec(kind[0])
    {
        let strict = spec.check(&fields, true);
        assert!(strict.is_err() || spec.check(&fields, false).is_ok(), "what passes strictly passes");
    }
    if let Ok(report) = ExecutionReport::new(&fields) {
        let fills = report.fills().iter().count() as u64;
        assert!(fills <= report.fills().len());
        let _ = (report.cum_qty(), report.order_qty(), report.price(), report.reject_reason());
    }
    for (_, value) in fields.iter() {
        assert_eq!(decimal_e9(value), naive_decimal(value), "{:?}", String::from_utf8_lossy(value));
        let _ = (number(value), TimeReader::default().read(value));
    }
}

fn field(tag: u32, value: &[u8]) -> Vec<u8> {
    [tag.to_string().as_bytes(), b"=", value, &[SOH]].concat()
}

/// A decimal by the standard's words: an optional sign, digits, one optional point. In 1e-9 units, exact or none.
fn naive_decimal(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let mut halves = digits.split(|byte| *byte == b'.');
    let (whole, fraction) = (halves.next()?, halves.next().unwrap_or(&[]));
    let all_digits = |half: &[u8]| half.iter().all(u8::is_ascii_digit);
    if halves.next().is_some() || whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let kept = fraction.len() - fraction.iter().rev().take_while(|digit| **digit == b'0').count();
    if kept > 9 {
        return None;
    }
    let digit = |sum: Option<i128>, digit: &u8| sum?.checked_mul(10)?.checked_add(i128::from(digit - b'0'));
    let nano = fraction[..kept].iter().chain(std::iter::repeat_n(&b'0', 9 - kept));
    let e9 = whole.iter().chain(nano).fold(Some(0), digit)?;
    i64::try_from(e9).ok().map(|magnitude| sign * magnitude)
}

/// What both ends of a session say from logon to logout, and reports by hand.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = super::fix_session::spoken();
    let report = "35=8|49=V|56=D|34=9|52=20261122-19:00:00.123|37=1|11=2|41=2|39=1|54=1|55=BTC-PERPETUAL|14=10|38=50|44=99999.5|\
        1362=2|1363=t1|1364=99999.5|1365=10|1363=t2|1364=99999|1365=0.5|";
    let body = report.replace('|', "\x01");
    let mut message = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
    let sum = message.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    message.extend(format!("10={sum:03}\x01").bytes());
    seeds.push(message);
    seeds
}
