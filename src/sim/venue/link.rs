//! The sending half of the order session: sequence numbers, the bytes that wait for the socket, and what may be asked
//! for again.
//!
//! Every message gets the next number and lands in `outgoing` if a client is connected. Application messages are kept
//! for a resend, session messages are not: a [`ResendRequest`] gets the former again under their old numbers, flagged,
//! and a [`GapFill`] in place of each run of the latter. The store holds the latest [`KEPT_MAX`] messages; older ones are
//! filled over too.
//!
//! [`ResendRequest`]: crate::wire::starbase::orders::ResendRequest

use std::collections::BTreeMap;

use crate::gateway::SequenceNumbers;
use crate::units::Nanos;
use crate::wire::starbase::orders::{Block, Encoder, Envelope, FLAG_RESEND, FRAME_BYTES_MAX, GapFill, NoRoom};

/// Application messages kept for a resend.
pub const KEPT_MAX: usize = 1 << 16;

/// Numbers, bytes and memory of one direction.
#[derive(Debug)]
pub struct Link {
    /// Bytes for the client.
    pub outgoing: Vec<u8>,
    /// Whether a client is there to read them.
    pub connected: bool,
    /// Number of the last message taken from the client.
    pub last_processed: i64,
    /// When anything was last sent.
    pub last_sent: Nanos,
    sequence: i64,
    kept: BTreeMap<i64, Vec<u8>>,
    scratch: Vec<u8>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            outgoing: Vec::new(),
            connected: false,
            last_processed: 0,
            last_sent: Nanos(0),
            sequence: 0,
            kept: BTreeMap::new(),
            scratch: vec![0; FRAME_BYTES_MAX],
        }
    }
}

impl Link {
    /// One whose client is always there.
    pub fn open() -> Self {
        Self { connected: true, ..Self::default() }
    }

    /// The next number of each direction.
    pub fn numbers(&self) -> SequenceNumbers {
        SequenceNumbers { outgoing: self.sequence + 1, incoming: self.last_processed + 1, logon_ms: 0 }
    }

    /// Both directions start again at 1.
    pub fn reset(&mut self) {
        (self.sequence, self.last_processed) = (0, 0);
        self.kept.clear();
    }

    /// Sends a session message: not kept.
    pub fn send<B: Block>(&mut self, now: Nanos, block: &B) {
        self.send_text(now, block, None);
    }

    /// Sends a session message with a text.
    pub fn send_text<B: Block>(&mut self, now: Nanos, block: &B, text: Option<&str>) {
        self.sequence += 1;
        let length = self.encode(0, self.sequence, now, block, |encoder| match text {
            Some(text) => encoder.text(text.as_bytes()),
            None => Ok(encoder),
        });
        self.ship(length, now);
    }

    /// Sends an application message: kept for a resend.
    pub fn report<B: Block>(
        &mut self,
        now: Nanos,
        block: &B,
        tail: impl FnOnce(Encoder<'_>) -> Result<Encoder<'_>, NoRoom>,
    ) {
        self.sequence += 1;
        let length = self.encode(0, self.sequence, now, block, tail);
        self.kept.insert(self.sequence, self.scratch[..length].to_vec());
        if self.kept.len() > KEPT_MAX {
            self.kept.pop_first();
        }
        self.ship(length, now);
    }

    /// Sends what was sent under these numbers again. `to` of zero or less means up to now.
    pub fn resend(&mut self, from: i64, to: i64, now: Nanos) {
        let to = if to <= 0 { self.sequence } else { to.min(self.sequence) };
        let from = from.max(1);
        if from > to {
            return;
        }
        let mut next = from;
        let again: Vec<(i64, Vec<u8>)> = self.kept.range(from..=to).map(|(n, bytes)| (*n, bytes.clone())).collect();
        for (number, mut bytes) in again {
            self.fill_gap(next, number, now);
            bytes[1] |= FLAG_RESEND;
            self.outgoing.extend_from_slice(&bytes);
            next = number + 1;
        }
        self.fill_gap(next, to + 1, now);
    }

    fn fill_gap(&mut self, from: i64, next: i64, now: Nanos) {
        if from < next {
            let block = GapFill { new_sequence_number: next.into() };
            let length = self.encode(FLAG_RESEND, from, now, &block, bare);
            self.outgoing.extend_from_slice(&self.scratch[..length]);
        }
    }

    /// Lays a message into the scratch buffer. The venue's own messages fit a frame; one that does not is cut to none.
    fn encode<B: Block>(
        &mut self,
        flags: u8,
        sequence: i64,
        now: Nanos,
        block: &B,
        tail: impl FnOnce(Encoder<'_>) -> Result<Encoder<'_>, NoRoom>,
    ) -> usize {
        let last_processed = self.last_processed;
        let envelope = Envelope { flags, sequence, last_processed, send_time_ns: now.0 as i64 };
        let length = Encoder::new(&mut self.scratch, &envelope, block).and_then(tail).and_then(Encoder::finish);
        debug_assert!(length.is_ok(), "message larger than a frame");
        length.unwrap_or(0)
    }

    fn ship(&mut self, length: usize, now: Nanos) {
        if self.connected {
            self.outgoing.extend_from_slice(&self.scratch[..length]);
            self.last_sent = now;
        }
    }
}

/// The tail of a message that is only a block.
pub(super) fn bare(encoder: Encoder<'_>) -> Result<Encoder<'_>, NoRoom> {
    Ok(encoder)
}
