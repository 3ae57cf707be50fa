//! Cutting messages from a stream.

use super::scan::sum;

/// What separates fields.
pub const SOH: u8 = 1;
/// The version spoken.
pub const BEGIN_STRING: &[u8] = b"FIX.4.4";
/// Longest message taken; a longer one is garbled.
pub const FRAME_BYTES_MAX: usize = u16::MAX as usize;

/// `8=FIX`: how every message begins, whatever its version.
const BEGIN: &[u8] = b"8=FIX";
/// `10=ccc␁`.
const TRAILER_BYTES: usize = 7;
/// `8=FIXT.1.1␁9=` and more digits than a length may have.
const PREFIX_BYTES_MAX: usize = 24;

/// One whole message whose length and checksum hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Value of its first field.
    pub begin_string: &'a [u8],
    /// From `35=` to the separator before the checksum, inclusive.
    pub body: &'a [u8],
    /// Bytes it took from the stream.
    pub bytes: usize,
}

/// What stands at the start of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A message.
    Frame(Frame<'a>),
    /// Nothing whole yet.
    Incomplete,
    /// What is no message: pass over so many bytes and go on behind them. At least one.
    Garbled(usize),
}

/// Looks at the start of `stream`. A message whose length, checksum or first three fields do not hold is garbled, up to
/// where the next one may begin: FIX passes over such messages, and their numbers are missed by the session.
#[inline]
pub fn next_frame(stream: &[u8]) -> Next<'_> {
    match cut(stream) {
        Ok(Some(frame)) => Next::Frame(frame),
        Ok(None) if stream.len() <= FRAME_BYTES_MAX => Next::Incomplete,
        _ => Next::Garbled(resume(stream)),
    }
}

/// Where in the stream a message does not hold.
struct Garbled;

#[inline]
fn cut(stream: &[u8]) -> Result<Option<Frame<'_>>, Garbled> {
    if !stream.starts_with(BEGIN) && !BEGIN.starts_with(stream) {
        return Err(Garbled);
    }
    let head = &stream[..stream.len().min(PREFIX_BYTES_MAX)];
    let incomplete = || if head.len() == PREFIX_BYTES_MAX { Err(Garbled) } else { Ok(None) };
    let begin_end = if stream.starts_with(b"8=FIX.4.4\x01") {
        b"8=FIX.4.4".len()
    } else {
        let Some(end) = head.iter().position(|byte| *byte == SOH) else { return incomplete() };
        end
    };
    let length_at = begin_end + 1;
    match head.get(length_at..length_at + 2) {
        Some(b"9=") => {}
        Some(_) => return Err(Garbled),
        None => return incomplete(),
    }
    let mut length = 0;
    let mut at = length_at + 2;
    loop {
        match head.get(at) {
            Some(digit @ b'0'..=b'9') => length = length * 10 + usize::from(digit - b'0'),
            Some(&SOH) if at > length_at + 2 => break,
            Some(_) => return Err(Garbled),
            None => return incomplete(),
        }
        at += 1;
    }
    let body_at = at + 1;
    let bytes = body_at.saturating_add(length).saturating_add(TRAILER_BYTES);
    if bytes > FRAME_BYTES_MAX {
        return Err(Garbled);
    }
    let Some(message) = stream.get(..bytes) else { return Ok(None) };
    let (text, trailer) = message.split_at(bytes - TRAILER_BYTES);
    let body = &text[body_at..];
    let framed = body.starts_with(b"35=") && body.ends_with(&[SOH]);
    if !framed || trailer != checksum_field(text) {
        return Err(Garbled);
    }
    Ok(Some(Frame { begin_string: &text[2..begin_end], body, bytes }))
}

/// The last field of a message that reads `text` before it.
#[inline]
pub(super) fn checksum_field(text: &[u8]) -> [u8; TRAILER_BYTES] {
    let sum = sum(text);
    [b'1', b'0', b'=', b'0' + sum / 100, b'0' + sum / 10 % 10, b'0' + sum % 10, SOH]
}

/// Where the next message may begin, behind the first byte; all of the stream but what may be the start of one.
#[cold]
fn resume(stream: &[u8]) -> usize {
    let begins = |at: usize| {
        let rest = &stream[at..];
        let known = rest.len().min(BEGIN.len());
        rest[..known] == BEGIN[..known]
    };
    (1..stream.len()).find(|at| begins(*at)).unwrap_or(stream.len()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message with its length and checksum.
    fn message(body: &str) -> Vec<u8> {
        let body = body.replace('|', "\x01");
        let mut bytes = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
        bytes.extend(checksum_field(&bytes));
        bytes
    }

    fn body(stream: &[u8]) -> Option<&[u8]> {
        match next_frame(stream) {
            Next::Frame(frame) => Some(frame.body),
            _ => None,
        }
    }

    #[test]
    fn messages_are_cut_one_by_one() {
        let (first, second) = (message("35=0|34=1|"), message("35=1|34=2|112=x|"));
        let stream = [first.clone(), second.clone()].concat();
        let Next::Frame(frame) = next_frame(&stream) else { panic!("a message") };
        assert_eq!((frame.bytes, frame.begin_string), (first.len(), BEGIN_STRING));
        assert_eq!(body(&stream[frame.bytes..]), Some(&b"35=1\x0134=2\x01112=x\x01"[..]));
    }

    #[test]
    fn every_prefix_of_a_message_is_incomplete() {
        let whole = message("35=0|34=1|");
        (0..whole.len()).for_each(|end| assert_eq!(next_frame(&whole[..end]), Next::Incomplete, "{end}"));
    }

    #[test]
    fn a_garbled_message_is_passed_over_to_the_next() {
        let good = message("35=0|34=2|");
        let with = |from: &str, to: &str| {
            let text = String::from_utf8(message("35=0|34=1|")).unwrap();
            assert!(text.contains(from));
            text.replacen(from, to, 1).into_bytes()
        };
        for bad in [
            with("\x0110=", "\x0111="),
            with("34=1", "34=3"),
            with("9=10", "9=11"),
            with("9=10", "9=9"),
            with("9=10", "9=9999999"),
            with("9=10", "9=x"),
            with("9=10", "9="),
            with("35=0", "34=0"),
            with("8=FIX.4.4\x01", "8=FIX.4.4\x0135=0\x01"),
            with("8=FIX", "9=FIX"),
            b"GET / HTTP/1.1\r\n".to_vec(),
        ] {
            let stream = [bad.clone(), good.clone(), good.clone()].concat();
            let mut at = 0;
            while let Next::Garbled(bytes) = next_frame(&stream[at..]) {
                at += bytes;
            }
            assert!(at >= bad.len(), "{:?}", String::from_utf8_lossy(&bad));
            assert_eq!(body(&stream[at..]), Some(&b"35=0\x0134=2\x01"[..]), "{:?}", String::from_utf8_lossy(&bad));
        }
    }

    #[test]
    fn another_version_is_framed_and_shown() {
        let mut text = message("35=0|34=1|");
        text.truncate(text.len() - TRAILER_BYTES);
        let mut bytes = String::from_utf8(text).unwrap().replace("FIX.4.4", "FIX.4.2").into_bytes();
        bytes.extend(checksum_field(&bytes));
        assert!(matches!(next_frame(&bytes), Next::Frame(frame) if frame.begin_string == b"FIX.4.2"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_stall(
            pieces in prop::collection::vec(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "8=FIX[.0-9]{0,5}\x019=[0-9]{0,5}\x01?(35=[0-9A-Z]\x01)?".prop_map(String::into_bytes),
                Just(message("35=0|34=1|")),
            ], 0..12),
        ) {
            let stream = pieces.concat();
            let mut at = 0;
            loop {
                match next_frame(&stream[at..]) {
                    Next::Frame(frame) => at += frame.bytes,
                    Next::Garbled(bytes) => {
                        prop_assert!(bytes > 0);
                        at += bytes;
                    }
                    Next::Incomplete => break,
                }
                prop_assert!(at <= stream.len());
            }
            prop_assert!(stream.len() - at <= FRAME_BYTES_MAX);
        }
    }
}
