//! Where a message of the order session ends and the next begins, told from the bytes alone, in either protocol.
//!
//! A checker and a bad network need no more than this of a protocol, and they do not take it from the session that they
//! watch.

use crate::wire::fix::{self, Next};
use crate::wire::starbase::orders::{self, Message};

/// Between two fields of FIX.
const SOH: u8 = 1;

/// What the order session speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OrderProtocol {
    /// Deribit's binary protocol.
    #[default]
    Starbase,
    /// FIX 4.4.
    Fix,
}

impl OrderProtocol {
    /// Every protocol.
    pub const ALL: [Self; 2] = [Self::Starbase, Self::Fix];

    /// Its name in options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starbase => "starbase",
            Self::Fix => "fix",
        }
    }

    /// Bytes of the message at the start of the stream; `None` while it is not whole, or is none.
    pub fn frame_bytes(self, stream: &[u8]) -> Option<usize> {
        match self {
            Self::Starbase => orders::next_frame(stream).ok().flatten().map(|frame| frame.bytes()),
            Self::Fix => match fix::next_frame(stream) {
                Next::Frame(frame) => Some(frame.bytes),
                Next::Incomplete | Next::Garbled(_) => None,
            },
        }
    }

    /// The client's number of the order that a message places, if it places one.
    pub fn new_order(self, frame: &[u8]) -> Option<u64> {
        match self {
            Self::Starbase => match orders::next_frame(frame).ok().flatten()?.message() {
                Ok(Message::NewOrderRequest(order)) => u64::try_from(order.client_order_id.get()).ok(),
                _ => None,
            },
            Self::Fix => {
                let field = |tag: &[u8]| frame.split(|byte| *byte == SOH).find_map(|field| field.strip_prefix(tag));
                let is_new = field(b"35=") == Some(b"D");
                is_new.then(|| field(b"11=")).flatten().and_then(|id| str::from_utf8(id).ok()?.parse().ok())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::starbase::orders::{Encoder, Envelope, Heartbeat};

    #[test]
    fn a_binary_message_ends_where_its_header_says() {
        let mut bytes = [0; 64];
        let envelope = Envelope { flags: 0, sequence: 1, last_processed: 0, send_time_ns: 0 };
        let length = Encoder::new(&mut bytes, &envelope, &Heartbeat { correlation_id: 0.into() })
            .and_then(Encoder::finish)
            .expect("it fits");
        assert_eq!(OrderProtocol::Starbase.frame_bytes(&bytes[..length - 1]), None);
        assert_eq!(OrderProtocol::Starbase.frame_bytes(&bytes), Some(length));
        assert_eq!(OrderProtocol::Starbase.new_order(&bytes[..length]), None);
    }

    #[test]
    fn a_fix_message_ends_with_its_checksum_and_an_order_shows_its_number() {
        let text = |body: &str| {
            let head = format!("8=FIX.4.4\x019={}\x01{body}", body.len());
            let sum = head.bytes().fold(0_u8, u8::wrapping_add);
            format!("{head}10={sum:03}\x01").into_bytes()
        };
        let order = text("35=D\x0134=7\x0111=42\x01");
        let mut stream = order.clone();
        stream.extend_from_slice(b"8=FIX");
        assert_eq!(OrderProtocol::Fix.frame_bytes(&stream), Some(order.len()));
        assert_eq!(OrderProtocol::Fix.frame_bytes(&order[..order.len() - 1]), None);
        assert_eq!(OrderProtocol::Fix.new_order(&order), Some(42));
        assert_eq!(OrderProtocol::Fix.new_order(&text("35=F\x0134=7\x0111=42\x01")), None);
    }
}
