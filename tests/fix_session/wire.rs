//! Messages as a person writes them: fields with bars between them.

use hedgecore::units::Nanos;
use hedgecore::wire::fix::{Next, Tape, TimeWriter, next_frame};

/// 22 November 2026, 19:00 UTC.
pub(crate) const START: Nanos = Nanos(1_795_374_000 * SECOND);
pub(crate) const SECOND: u64 = Nanos::PER_SECOND;

pub(crate) fn time(at: Nanos) -> String {
    String::from_utf8(TimeWriter::default().write(at).to_vec()).expect("digits")
}

/// Length and checksum around a body.
pub(crate) fn frame(body: &str) -> Vec<u8> {
    let body = body.replace('|', "\x01");
    let mut bytes = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.extend(format!("10={sum:03}\x01").bytes());
    bytes
}

/// A message: type, number, more of the header, body.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub kind: String,
    pub number: u64,
    pub sender: String,
    pub target: String,
    pub sent: String,
    pub header: String,
    pub body: String,
}

impl Script {
    /// One that breaks no rule by itself.
    pub(crate) fn new([sender, target]: [&str; 2], number: u64, now: Nanos, kind: &str, body: &str) -> Self {
        Self {
            kind: kind.into(),
            number,
            sender: sender.into(),
            target: target.into(),
            sent: time(now),
            header: String::new(),
            body: body.into(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Self { kind, number, sender, target, sent, header, body } = self;
        let sent = if sent.is_empty() { String::new() } else { format!("52={sent}|") };
        frame(&format!("35={kind}|49={sender}|56={target}|34={number}|{sent}{header}{body}"))
    }
}

/// Messages as `type#number body`, with `122` and texts after `58=` cut to their tags.
pub(crate) fn shown(mut bytes: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    let mut tape = Tape::new();
    while !bytes.is_empty() {
        let Next::Frame(frame) = next_frame(bytes) else { panic!("not framed: {}", String::from_utf8_lossy(bytes)) };
        let (fields, fault) = tape.read(frame.body);
        assert_eq!(fault, None);
        let find = |tag| fields.find(tag).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
        let mut text = format!("{}#{}", find(35), find(34).trim_start_matches('0'));
        for (tag, value) in fields.iter() {
            match tag {
                35 | 34 | 49 | 56 | 52 => {}
                122 => text += " 122",
                58 => text += " 58",
                96 | 95 | 553 | 554 | 9_001 | 9_002 => {}
                _ => text += &format!(" {tag}={}", String::from_utf8_lossy(value)),
            }
        }
        messages.push(text);
        bytes = &bytes[frame.bytes..];
    }
    messages
}
