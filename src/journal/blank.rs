//! Takes what is secret out of the bytes of a session before they are kept.
//!
//! Follows the stream message by message, wherever the socket cut it, and overwrites what a logon proves itself with: the
//! secret of a Starbase logon with zeros; the nonce and the password of a FIX logon, `RawData` (96) and `Password` (554),
//! with the digit 0, and its checksum with that of what is kept. What is kept is as long as what was sent and reads as the
//! protocol asks, and what a replay makes without the secret is the same once it went through here too.

use std::mem::offset_of;

use crate::gateway::{GatewayConfig, ProtocolConfig};
use crate::wire::fix::{SOH, kind, tag};
use crate::wire::starbase::orders::{Block, HEADER_BYTES, Logon, Secret};

/// Follows one connection.
#[derive(Debug)]
pub struct Blank(Stream);

#[derive(Debug)]
enum Stream {
    Starbase(Frames),
    Fix(Fields),
}

impl Blank {
    /// For sessions of this kind.
    pub fn new(session: &GatewayConfig) -> Self {
        Self(match session.protocol {
            ProtocolConfig::Starbase(_) => Stream::Starbase(Frames::default()),
            ProtocolConfig::Fix(_) => Stream::Fix(Fields::default()),
        })
    }

    /// A new connection begins with a new message.
    pub fn restart(&mut self) {
        match &mut self.0 {
            Stream::Starbase(frames) => frames.at = 0,
            Stream::Fix(fields) => *fields = Fields::default(),
        }
    }

    /// Blanks what is secret in the next bytes.
    pub fn pass(&mut self, bytes: &mut [u8]) {
        match &mut self.0 {
            Stream::Starbase(frames) => bytes.iter_mut().for_each(|byte| frames.pass(byte)),
            Stream::Fix(fields) => bytes.iter_mut().for_each(|byte| fields.pass(byte)),
        }
    }
}

/// Where the secret stands in the frame of a Starbase logon.
const SECRET: std::ops::Range<usize> = {
    let start = HEADER_BYTES + offset_of!(Logon, secret);
    start..start + size_of::<Secret>()
};

/// Starbase: frames that say how long they are.
#[derive(Debug, Default)]
struct Frames {
    header: [u8; HEADER_BYTES],
    /// Bytes of this frame that have passed.
    at: usize,
}

impl Frames {
    fn pass(&mut self, byte: &mut u8) {
        if let Some(place) = self.header.get_mut(self.at) {
            *place = *byte;
        } else if self.is_logon() && SECRET.contains(&self.at) {
            *byte = 0;
        }
        self.at += 1;
        if self.at >= self.length() {
            self.at = 0;
        }
    }

    fn length(&self) -> usize {
        if self.at < HEADER_BYTES {
            usize::MAX
        } else {
            usize::from(u16::from_le_bytes([self.header[2], self.header[3]]))
        }
    }

    fn is_logon(&self) -> bool {
        u16::from_le_bytes([self.header[4], self.header[5]]) == Logon::TYPE
    }
}

/// FIX: fields that end with a separator, none of ours holding one.
#[derive(Debug, Default)]
struct Fields {
    tag: u32,
    /// Bytes of the value that have passed; `None` in the tag.
    value: Option<usize>,
    is_logon: bool,
    /// Of this message as it is kept.
    sum: u8,
    /// The same up to this field.
    sum_before: u8,
}

impl Fields {
    fn pass(&mut self, byte: &mut u8) {
        match self.value {
            None if *byte == b'=' => self.value = Some(0),
            None => self.tag = self.tag.wrapping_mul(10).wrapping_add(u32::from(byte.wrapping_sub(b'0'))),
            Some(_) if *byte == SOH => return self.end_field(),
            Some(at) => {
                self.value = Some(at + 1);
                match self.tag {
                    tag::MSG_TYPE if at == 0 => self.is_logon = *byte == kind::LOGON,
                    tag::RAW_DATA | tag::PASSWORD if self.is_logon => *byte = b'0',
                    tag::CHECK_SUM if self.is_logon => *byte = digits(self.sum_before)[at.min(2)],
                    _ => {}
                }
            }
        }
        self.sum = self.sum.wrapping_add(*byte);
    }

    fn end_field(&mut self) {
        if self.tag == tag::CHECK_SUM {
            *self = Self::default();
        } else {
            self.sum = self.sum.wrapping_add(SOH);
            (self.tag, self.value, self.sum_before) = (0, None, self.sum);
        }
    }
}

const fn digits(sum: u8) -> [u8; 3] {
    [b'0' + sum / 100, b'0' + sum / 10 % 10, b'0' + sum % 10]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::fix::{Credentials, FixConfig, FixRules, NonceSeed};
    use crate::gateway::{Gateway, SessionConfig};
    use crate::units::Nanos;
    use crate::wire::fix::{Next, next_frame, number};

    fn logon(session: &GatewayConfig) -> Vec<u8> {
        let mut gateway = Gateway::new(session.clone());
        gateway.connected(Nanos(1_800_000_000 * Nanos::PER_SECOND));
        gateway.pending().to_vec()
    }

    /// What is kept of a stream that the socket cut into pieces.
    fn kept(session: &GatewayConfig, stream: &[u8], piece: usize) -> Vec<u8> {
        let mut blank = Blank::new(session);
        let mut kept = stream.to_vec();
        kept.chunks_mut(piece).for_each(|bytes| blank.pass(bytes));
        kept
    }

    fn shows(bytes: &[u8], secret: &[u8]) -> bool {
        bytes.windows(secret.len()).any(|window| window == secret)
    }

    #[test]
    fn no_piece_of_a_starbase_logon_shows_the_secret() {
        let session = GatewayConfig::from(SessionConfig::new("client", "swordfish").unwrap());
        let stream = logon(&session).repeat(2);
        assert!(shows(&stream, b"swordfish"));
        for piece in 1..stream.len() {
            let kept = kept(&session, &stream, piece);
            assert!(!shows(&kept, b"swordfish"), "in pieces of {piece}");
            let differing = kept.iter().zip(&stream).filter(|(kept, sent)| kept != sent).count();
            assert_eq!(differing, 2 * "swordfish".len());
        }
    }

    fn fix(secret: &str, seed: u8) -> GatewayConfig {
        let credentials = Credentials::new("client", secret).unwrap();
        FixConfig::new(FixRules::new("DESK", "VENUE").unwrap(), credentials, NonceSeed([seed; 32])).into()
    }

    /// The value of the first field that begins so.
    fn value<'a>(message: &'a [u8], field: &[u8]) -> &'a [u8] {
        message.split(|byte| *byte == SOH).find_map(|text| text.strip_prefix(field)).unwrap()
    }

    #[test]
    fn no_piece_of_a_fix_logon_shows_what_the_secret_was_proved_with() {
        let session = fix("swordfish", 7);
        let message = logon(&session);
        let (nonce, password) = (value(&message, b"96="), value(&message, b"554="));
        let other = b"8=FIX.4.4\x019=5\x0135=0\x0110=163\x01";
        let stream = [&message, &other[..], &message].concat();
        for piece in 1..stream.len() {
            let kept = kept(&session, &stream, piece);
            assert!(!shows(&kept, nonce) && !shows(&kept, password), "in pieces of {piece}");
            assert!(shows(&kept, other), "other messages stay as they are");
            let Next::Frame(frame) = next_frame(&kept) else { panic!("what is kept is a message, its checksum right") };
            assert_eq!((frame.bytes, number(value(frame.body, b"34="))), (message.len(), Some(1)));
        }
    }

    #[test]
    fn a_replay_without_the_secret_keeps_the_same_bytes() {
        let sent = [fix("swordfish", 7), fix("another", 9)].map(|session| logon(&session));
        assert_ne!(sent[0], sent[1]);
        let [first, second] = sent.map(|message| kept(&fix("x", 0), &message, usize::MAX));
        assert_eq!(first, second);
    }
}
