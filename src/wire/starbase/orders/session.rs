//! Session messages.

use super::frame::wire_struct;
use std::fmt;
use zerocopy::byteorder::little_endian::{I32, I64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A secret padded with zeros. It travels in clear, and is never printed.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(transparent)]
pub struct Secret(pub [u8; 48]);

/// Nothing but padding.
impl Default for Secret {
    fn default() -> Self {
        Self([0; 48])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

wire_struct! {
    /// Client: open the session.
    Logon = 1 {
        /// Who, padded with zeros.
        client_id: [u8; 16],
        /// Proof of it.
        secret: Secret,
        /// 1: both directions start again at 1.
        reset_seq_num: i8,
    }

    /// Venue: the session is open.
    LogonConf = 2 {
        /// Longest silence either side allows itself.
        heartbeat_interval_seconds: I32,
    }

    /// Client: close the session. A text follows.
    Logout = 4 {}

    /// Venue: the session is closed or was refused. A text follows.
    LoggedOut = 5 {}

    /// Either: nothing else to say.
    Heartbeat = 10 {
        /// That of the test request it answers, else 0.
        correlation_id: I64,
    }

    /// Either: answer with a heartbeat.
    TestRequest = 11 {
        /// To be echoed.
        correlation_id: I64,
    }

    /// Client: send these again.
    ResendRequest = 20 {
        /// First number missed.
        from_sequence_number: I64,
        /// Last number missed.
        to_sequence_number: I64,
    }

    /// Venue: nothing to resend up to here.
    GapFill = 21 {
        /// The number that follows next.
        new_sequence_number: I64,
    }

    /// Venue: a message was unreadable. A text follows.
    Reject = 30 {
        /// Number of the message.
        ref_sequence_number: I64,
        /// What was wrong with it.
        reason: i8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let logon = Logon {
            client_id: [b'c'; 16],
            secret: Secret(*b"swordfish-swordfish-swordfish-swordfish-swordfis"),
            reset_seq_num: 0,
        };
        assert!(format!("{logon:?}").contains("secret: Secret(..)"));
    }
}
