//! Laying messages into a buffer.
//!
//! A header is encoded once, when the session is made; each message copies it and patches type, number and time where
//! they stand. The body grows behind it, and length and checksum are written last.

use super::frame::{BEGIN_STRING, SOH, checksum_field};
use super::tags::kind;
use super::time::{TIME_BYTES, TimeWriter, digits};
use crate::units::Nanos;
use arrayvec::ArrayVec;

/// The buffer, or the four digits of a length, end before the message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// A name on the wire: printable ASCII, at most 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(ArrayVec<u8, 32>);

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("a name on the wire is 1 to 32 printable ASCII characters")
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0.iter().map(|byte| char::from(*byte)).collect()
    }
}

impl Text {
    /// `None` when it is empty, too long, or holds anything but printable ASCII.
    pub fn new(text: &str) -> Option<Self> {
        let printable = !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        printable.then(|| text.bytes().take(33).collect::<ArrayVec<u8, 33>>()).and_then(|bytes| {
            let mut text = ArrayVec::new();
            text.try_extend_from_slice(&bytes).ok()?;
            Some(Self(text))
        })
    }

    /// As it is written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

const LENGTH_DIGITS: usize = 4;
const SEQUENCE_DIGITS: usize = 9;
const BODY_BYTES_MAX: usize = 9_999;
const SEQUENCE_MAX: u64 = 999_999_999;

/// The first fields of every message of one direction.
#[derive(Clone, Debug)]
pub struct Header {
    bytes: ArrayVec<u8, 160>,
    length_at: usize,
    kind_at: usize,
    sequence_at: usize,
    time_at: usize,
    clock: TimeWriter,
}

impl Header {
    /// For messages from `sender` to `target`.
    pub fn new(sender: &Text, target: &Text) -> Self {
        let mut bytes = ArrayVec::new();
        let mut put = |part: &[u8]| {
            // The longest names leave 30 bytes to spare.
            let _ = bytes.try_extend_from_slice(part);
            bytes.len()
        };
        put(b"8=");
        put(BEGIN_STRING);
        let length_at = put(b"\x019=");
        put(&[b'0'; LENGTH_DIGITS]);
        let kind_at = put(b"\x0135=");
        put(b"0\x0149=");
        put(sender.as_bytes());
        put(b"\x0156=");
        put(target.as_bytes());
        let sequence_at = put(b"\x0134=");
        put(&[b'0'; SEQUENCE_DIGITS]);
        let time_at = put(b"\x0152=");
        put(TimeWriter::default().write(Nanos(0)));
        put(&[SOH]);
        Self { bytes, length_at, kind_at, sequence_at, time_at, clock: TimeWriter::default() }
    }

    /// Begins a message.
    #[inline]
    pub fn begin<'a>(
        &mut self,
        buffer: &'a mut [u8],
        kind: u8,
        sequence: u64,
        time: Nanos,
    ) -> Result<Writer<'a>, NoRoom> {
        if sequence > SEQUENCE_MAX {
            return Err(NoRoom);
        }
        let text = self.clock.write(time);
        self.bytes[self.time_at..self.time_at + text.len()].copy_from_slice(text);
        self.bytes[self.kind_at] = kind & !kind::TWO;
        digits(&mut self.bytes[self.sequence_at..self.sequence_at + SEQUENCE_DIGITS], sequence);
        let at = self.len(kind);
        let place = buffer.get_mut(..at).ok_or(NoRoom)?;
        if at == self.bytes.len() {
            place.copy_from_slice(&self.bytes);
        } else {
            let (before, behind) = self.bytes.split_at(self.kind_at);
            place[..before.len()].copy_from_slice(before);
            place[before.len()] = b'A';
            place[before.len() + 1..].copy_from_slice(behind);
        }
        Ok(Writer { buffer, at, length_at: self.length_at, fits: true })
    }

    /// Turns a message of a type of one letter that was begun with this header into a heartbeat under the same number, and returns its length,
    /// which is no longer than before. That it was sent before stays said.
    pub fn hollow(&self, message: &mut [u8]) -> usize {
        const AGAIN: &[u8] = b"43=Y\x01122=";
        message[self.kind_at] = kind::HEARTBEAT;
        let again = message[self.bytes.len()..].starts_with(AGAIN);
        let at = self.bytes.len() + if again { AGAIN.len() + TIME_BYTES + 1 } else { 0 };
        Writer { buffer: message, at, length_at: self.length_at, fits: true }.finish().unwrap_or(at)
    }

    /// Bytes before the body of a message of this type.
    #[inline]
    pub fn len(&self, kind: u8) -> usize {
        self.bytes.len() + usize::from(kind & kind::TWO != 0)
    }
}

/// A message under construction. Nothing of it counts until [`finish`](Self::finish) has returned its length; a field that
/// does not fit makes that fail. Tags are given as they are written, such as `b"11="`.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
    length_at: usize,
    fits: bool,
}

impl Writer<'_> {
    /// A field of bytes that hold no separator.
    #[inline]
    pub fn bytes(&mut self, tag: &[u8], value: &[u8]) -> &mut Self {
        self.put(tag).put(value).put(&[SOH])
    }

    /// A field of one character.
    #[inline]
    pub fn byte(&mut self, tag: &[u8], value: u8) -> &mut Self {
        self.put(tag).put(&[value, SOH])
    }

    /// A whole number.
    #[inline]
    pub fn number(&mut self, tag: &[u8], value: u64) -> &mut Self {
        self.put(tag).put(itoa::Buffer::new().format(value).as_bytes()).put(&[SOH])
    }

    /// A decimal in 1e-9 units, without trailing zeros.
    #[inline]
    pub fn decimal_e9(&mut self, tag: &[u8], value: i64) -> &mut Self {
        const ONE: u64 = 1_000_000_000;
        self.put(tag);
        if value < 0 {
            self.put(b"-");
        }
        let magnitude = value.unsigned_abs();
        self.put(itoa::Buffer::new().format(magnitude / ONE).as_bytes());
        let fraction = magnitude % ONE;
        if fraction != 0 {
            let mut text = *b".000000000";
            digits(&mut text[1..], fraction);
            let len = text.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
            self.put(&text[..len]);
        }
        self.put(&[SOH])
    }

    /// A text cut to so many bytes, with what is not printable ASCII replaced.
    pub fn text(&mut self, tag: &[u8], text: &[u8], bytes_max: usize) -> &mut Self {
        self.put(tag);
        for byte in text.iter().take(bytes_max) {
            self.put(&[if (b' '..=b'~').contains(byte) { *byte } else { b'?' }]);
        }
        self.put(&[SOH])
    }

    /// Digits within a field.
    pub fn digits(&mut self, value: u64) -> &mut Self {
        self.put(itoa::Buffer::new().format(value).as_bytes())
    }

    /// Bytes that are left.
    pub fn room(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// Fields as they stood in another message, or a part of one.
    pub fn raw(&mut self, fields: &[u8]) -> &mut Self {
        self.put(fields)
    }

    /// Writes length and checksum, and returns the message's length.
    #[inline]
    pub fn finish(&mut self) -> Result<usize, NoRoom> {
        let body = self.at - (self.length_at + LENGTH_DIGITS + 1);
        if !self.fits || body > BODY_BYTES_MAX {
            return Err(NoRoom);
        }
        digits(&mut self.buffer[self.length_at..self.length_at + LENGTH_DIGITS], body as u64);
        let trailer = checksum_field(&self.buffer[..self.at]);
        self.put(&trailer);
        if self.fits { Ok(self.at) } else { Err(NoRoom) }
    }

    #[inline]
    fn put(&mut self, part: &[u8]) -> &mut Self {
        match self.buffer.get_mut(self.at..self.at + part.len()) {
            Some(place) => {
                place.copy_from_slice(part);
                self.at += part.len();
            }
            None => self.fits = false,
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Next, next_frame};
    use super::super::{Tape, decimal_e9, number, tag};
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header::new(&Text::new("DESK").unwrap(), &Text::new("DERIBITSERVER").unwrap())
    }

    #[test]
    fn a_message_is_what_the_standard_says() {
        let mut buffer = [0; 256];
        let mut header = header();
        let time = Nanos(1_795_374_000_123_000_000);
        let mut message = header.begin(&mut buffer, kind::TEST_REQUEST, 7, time).unwrap();
        let length = message.bytes(b"112=", b"hello").finish().unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap().replace('\x01', "|");
        let fields = "35=1|49=DESK|56=DERIBITSERVER|34=000000007|52=20261122-19:00:00.123|112=hello|";
        let start = format!("8=FIX.4.4|9={:04}|{fields}10=", fields.len());
        assert!(text.starts_with(&start), "{text}");
        assert!(matches!(next_frame(&buffer[..length]), Next::Frame(frame) if frame.bytes == length));
    }

    #[test]
    fn a_type_of_two_letters_pushes_the_rest_of_the_header_along() {
        let (mut buffer, mut header) = ([0; 256], header());
        for sent in [kind::REQUEST_FOR_POSITIONS, kind::ORDER_MASS_STATUS_REQUEST, kind::HEARTBEAT] {
            let length = header.begin(&mut buffer, sent, 7, Nanos(5)).unwrap().number(b"710=", 9).finish().unwrap();
            assert!(buffer[header.len(sent)..].starts_with(b"710=9"));
            let Next::Frame(frame) = next_frame(&buffer[..length]) else { panic!("framed") };
            let mut tape = Tape::new();
            let (fields, fault) = tape.read(frame.body);
            assert_eq!((fault, fields.find(tag::MSG_TYPE).map(kind::of)), (None, Some(sent)));
            assert_eq!(fields.find(tag::MSG_SEQ_NUM).and_then(number), Some(7));
        }
    }

    #[test]
    fn a_name_is_short_printable_text() {
        assert_eq!(Text::new("DESK").map(|text| text.as_bytes().to_vec()), Some(b"DESK".to_vec()));
        for bad in ["", "a\x01b", "é", &"x".repeat(33)] {
            assert_eq!(Text::new(bad), None, "{bad}");
        }
        assert!(Text::new(&"x".repeat(32)).is_some());
        let longest = Text::new(&"x".repeat(32)).unwrap();
        assert!(Header::new(&longest, &longest).bytes.ends_with(&[SOH]));
    }

    #[test]
    fn a_buffer_too_small_takes_nothing() {
        let mut whole = [0; 256];
        let length = header().begin(&mut whole, kind::LOGOUT, 1, Nanos(0)).unwrap().number(b"36=", 9).finish().unwrap();
        for room in 0..length {
            let mut buffer = vec![0; room];
            let written =
                header().begin(&mut buffer, kind::LOGOUT, 1, Nanos(0)).and_then(|mut m| m.number(b"36=", 9).finish());
            assert_eq!(written, Err(NoRoom), "{room}");
        }
        assert!(header().begin(&mut whole, kind::LOGOUT, SEQUENCE_MAX + 1, Nanos(0)).is_err());
    }

    proptest! {
        #[test]
        fn every_value_survives_the_wire(value: i64, whole: u64, sequence in 0..=SEQUENCE_MAX, text in "[ -~]{1,60}") {
            let mut buffer = [0; 512];
            let mut header = header();
            let mut message = header.begin(&mut buffer, kind::NEW_ORDER_SINGLE, sequence, Nanos(5)).unwrap();
            message.decimal_e9(b"44=", value).number(b"11=", whole).text(b"58=", text.as_bytes(), 60).byte(b"54=", b'1');
            let length = message.finish().unwrap();
            let Next::Frame(frame) = next_frame(&buffer[..length]) else { panic!("framed") };
            let mut tape = Tape::new();
            let (fields, fault) = tape.read(frame.body);
            prop_assert_eq!(fault, None);
            prop_assert_eq!(fields.find(tag::PRICE).and_then(decimal_e9), (value != i64::MIN).then_some(value));
            prop_assert_eq!(fields.find(tag::CL_ORD_ID).and_then(number), Some(whole));
            prop_assert_eq!(fields.find(tag::MSG_SEQ_NUM).and_then(number), Some(sequence));
            prop_assert_eq!(fields.find(tag::TEXT), Some(text.as_bytes()));
        }
    }
}
