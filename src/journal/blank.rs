//! Takes the secret out of the bytes of a session before they are kept.
//!
//! Follows the stream frame by frame, wherever the socket cut it, and blanks the secret of every logon. A replay with a
//! blank secret then makes the very same bytes.

use std::mem::offset_of;

use crate::wire::starbase::orders::{Block, HEADER_BYTES, Logon, Secret};

/// Where the secret stands in the frame of a logon.
const SECRET: std::ops::Range<usize> = {
    let start = HEADER_BYTES + offset_of!(Logon, secret);
    start..start + size_of::<Secret>()
};

/// Follows one connection.
#[derive(Debug, Default)]
pub struct Blank {
    header: [u8; HEADER_BYTES],
    /// Bytes of this frame that have passed.
    at: usize,
}

impl Blank {
    /// A new connection begins with a new frame.
    pub fn restart(&mut self) {
        self.at = 0;
    }

    /// Blanks what is secret in the next bytes.
    pub fn pass(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Gateway, SessionConfig};
    use crate::units::Nanos;

    #[test]
    fn no_piece_of_a_logon_shows_the_secret() {
        let mut gateway = Gateway::new(SessionConfig::new("client", "swordfish").unwrap());
        gateway.connected(Nanos(1));
        let logon = gateway.pending().to_vec();
        let stream = [&logon[..], &logon[..]].concat();
        let shows = |bytes: &[u8]| bytes.windows(9).any(|window| window == b"swordfish");
        assert!(shows(&stream));
        for piece in 1..stream.len() {
            let (mut blank, mut kept) = (Blank::default(), Vec::new());
            for bytes in stream.chunks(piece) {
                let mut bytes = bytes.to_vec();
                blank.pass(&mut bytes);
                kept.extend(bytes);
            }
            assert!(!shows(&kept), "in pieces of {piece}");
            let differing = kept.iter().zip(&stream).filter(|(kept, sent)| kept != sent).count();
            assert_eq!(differing, 2 * "swordfish".len());
        }
    }
}
