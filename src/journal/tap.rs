//! What the gateway's thread tells the journal: one slot for a call, more for the bytes that go with it, all published at
//! once.
//!
//! The other streams need nothing of their own: what the greeks consume and send, and what the hedge sends, crosses the
//! cold rings as it is.

use super::record::{Record, SessionCall, StageName};
use crate::event::PAYLOAD_BYTES;
use crate::units::{Nanos, Ticks};

/// Bytes in one [`SessionNote::Bytes`].
pub const NOTE_BYTES: usize = PAYLOAD_BYTES - 1;

const _: () = assert!(size_of::<SessionNote>() <= PAYLOAD_BYTES);

/// One slot of the gateway's way to the journal.
#[derive(Clone, Copy, Debug)]
pub enum SessionNote {
    /// See [`SessionCall::Connected`].
    Connected(Nanos),
    /// See [`SessionCall::Disconnected`].
    Disconnected(Nanos),
    /// See [`SessionCall::Instruction`].
    Instruction(Nanos, Ticks),
    /// See [`SessionCall::Written`]; so many bytes follow.
    Written(Ticks, u32),
    /// See [`SessionCall::Received`]; so many bytes follow.
    Received(Nanos, u32),
    /// The next bytes of what was announced; the last slot is filled up with anything.
    Bytes([u8; NOTE_BYTES]),
    /// See [`SessionCall::Tick`].
    Tick(Nanos),
    /// See [`SessionCall::LogOut`].
    LogOut(Nanos),
    /// See [`SessionCall::Halt`].
    Halt(Nanos),
    /// The next call had room for only so many reports.
    Short(u32),
}

/// Puts notes together into records.
#[derive(Debug, Default)]
pub struct SessionNotes {
    calls: u64,
    awaited: Option<SessionNote>,
    bytes: Vec<u8>,
}

impl SessionNotes {
    /// Takes the next note; hands out the record that it completes.
    pub fn take(&mut self, note: &SessionNote) -> Option<Record> {
        let call = match *note {
            SessionNote::Short(room) => {
                return Some(Record::Short { stage: StageName::Gateway, step: self.calls, room });
            }
            SessionNote::Connected(time) => SessionCall::Connected { time },
            SessionNote::Disconnected(time) => SessionCall::Disconnected { time },
            SessionNote::Instruction(time, encoded) => SessionCall::Instruction { time, encoded },
            SessionNote::Tick(time) => SessionCall::Tick { time },
            SessionNote::LogOut(time) => SessionCall::LogOut { time },
            SessionNote::Halt(time) => SessionCall::Halt { time },
            SessionNote::Written(_, bytes) | SessionNote::Received(_, bytes) if bytes > 0 => {
                self.awaited = Some(*note);
                self.bytes.clear();
                return None;
            }
            SessionNote::Written(at, _) => SessionCall::Written { at, bytes: [].into() },
            SessionNote::Received(time, _) => SessionCall::Received { time, bytes: [].into() },
            SessionNote::Bytes(bytes) => {
                self.bytes.extend_from_slice(&bytes);
                self.complete()?
            }
        };
        self.calls += 1;
        Some(Record::Session { call })
    }

    fn complete(&mut self) -> Option<SessionCall> {
        let Some(SessionNote::Written(_, length) | SessionNote::Received(_, length)) = self.awaited else {
            return None;
        };
        let bytes: Box<[u8]> = self.bytes.get(..length as usize)?.into();
        match self.awaited.take()? {
            SessionNote::Written(at, _) => Some(SessionCall::Written { at, bytes }),
            SessionNote::Received(time, _) => Some(SessionCall::Received { time, bytes }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_come_back_with_their_call() {
        for length in [0, 1, NOTE_BYTES - 1, NOTE_BYTES, NOTE_BYTES + 1, 3 * NOTE_BYTES, 1_000] {
            let sent: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut notes = SessionNotes::default();
            let mut records: Vec<Record> =
                notes.take(&SessionNote::Received(Nanos(5), length as u32)).into_iter().collect();
            for piece in sent.chunks(NOTE_BYTES) {
                let mut bytes = [0xEE; NOTE_BYTES];
                bytes[..piece.len()].copy_from_slice(piece);
                records.extend(notes.take(&SessionNote::Bytes(bytes)));
            }
            let call = SessionCall::Received { time: Nanos(5), bytes: sent.into() };
            assert_eq!(records, [Record::Session { call }], "{length}");
        }
    }

    #[test]
    fn a_shortage_names_the_call_that_comes_next() {
        let mut notes = SessionNotes::default();
        assert!(notes.take(&SessionNote::Tick(Nanos(1))).is_some());
        let short = Record::Short { stage: StageName::Gateway, step: 1, room: 3 };
        assert_eq!(notes.take(&SessionNote::Short(3)), Some(short));
    }
}
