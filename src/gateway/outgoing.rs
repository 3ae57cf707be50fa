//! Bytes on their way to the socket, and what each frame among them was.
//!
//! ```text
//!   bytes:   [....|#### pending ####|........ free ........|~~ reserve ~~]
//!                 start             end
//!   frames:  sent, not yet reported │ in pending
//! ```
//!
//! Frames lie in one piece, so that a socket takes them with one write. When the tail runs out, what is pending moves to
//! the front: at most 64 KiB, and only while the socket lags. The last [`RESERVE_BYTES`] and [`RESERVE_FRAMES`] are for
//! cancels and the session itself; new orders never use them.

use super::queue::Queue;
use crate::event::Trail;
use crate::units::{ClientOrderId, InstrumentId, Ticks};

/// Bytes that may wait for the socket.
pub const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Frames that may wait for the socket, or for their `Sent` to be taken.
pub const FRAMES_MAX: usize = 1_024;

pub(super) const RESERVE_BYTES: usize = 8 * 1024;
pub(super) const RESERVE_FRAMES: usize = 128;

const _: () = assert!(FRAMES_MAX.is_power_of_two() && RESERVE_FRAMES < FRAMES_MAX && RESERVE_BYTES < SEND_BUFFER_BYTES);

/// There is no room for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

/// What a frame is, as far as somebody waits for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Note {
    /// Nobody does.
    Session,
    /// A new order.
    New { order: ClientOrderId, instrument: InstrumentId, trail: Trail, decided: u32 },
    /// A quote: the number of its bid.
    Quote { order: ClientOrderId, instrument: InstrumentId },
    /// The end of a freeze.
    Thaw,
    /// The amendment of one.
    Amend { order: ClientOrderId, instrument: InstrumentId },
    /// An order or amendment once more, under the number that it had: it was answered the first time.
    Again,
    /// The cancel of one.
    Cancel { order: ClientOrderId, instrument: InstrumentId },
    /// The cancel of all.
    CancelAll,
}

impl Note {
    /// Whether it can make a trade: what the kill switch holds back, and what may not use the reserve.
    pub(super) fn is_order(&self) -> bool {
        matches!(self, Self::New { .. } | Self::Quote { .. } | Self::Amend { .. } | Self::Again)
    }
}

/// One frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framed {
    pub(super) note: Note,
    pub(super) sequence: i64,
    /// Where it ends, in bytes since construction.
    end: u64,
    encoded: u32,
    written: u32,
}

impl Framed {
    const FILLER: Self = Self { note: Note::Session, sequence: 0, end: 0, encoded: 0, written: 0 };
}

/// An order whose last byte was handed over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SentOrder {
    pub(super) order: ClientOrderId,
    pub(super) trail: Trail,
    pub(super) decided: u32,
    pub(super) encoded: u32,
    pub(super) written: u32,
}

/// How much of what can make a trade was handed to the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderTraffic {
    /// New orders and amendments.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes handed over since construction.
    taken: u64,
    /// Where the last wholly written frame ended, in the same count.
    whole: u64,
    /// What was handed over of orders and amendments.
    orders: OrderTraffic,
    frames: Queue<Framed>,
    /// How many at the front of `frames` are written.
    written: usize,
    /// How many at the back of `frames` have no `encoded` stamp.
    unstamped: usize,
}

impl Outgoing {
    pub(super) fn new() -> Self {
        Self::with_room(SEND_BUFFER_BYTES, FRAMES_MAX)
    }

    /// For so many bytes and frames.
    pub(super) fn with_room(bytes: usize, frames: usize) -> Self {
        Self {
            bytes: vec![0; bytes].into_boxed_slice(),
            start: 0,
            end: 0,
            taken: 0,
            whole: 0,
            orders: OrderTraffic::default(),
            frames: Queue::new(frames, Framed::FILLER),
            written: 0,
            unstamped: 0,
        }
    }

    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Frames not wholly written, or whose `Sent` nobody has taken.
    pub(super) fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Lets `encode` lay a frame behind the others and say how long it is; returns the frame. `encode` is called again, with
    /// more room, when at first it finds too little. A frame without a number of its own has 0.
    #[inline]
    pub(super) fn put_with(
        &mut self,
        sequence: i64,
        note: Note,
        mut encode: impl FnMut(&mut [u8]) -> Option<usize>,
    ) -> Result<&[u8], NoRoom> {
        let (bytes_reserved, frames_reserved) = if note.is_order() { (RESERVE_BYTES, RESERVE_FRAMES) } else { (0, 0) };
        if self.frames.room() <= frames_reserved {
            return Err(NoRoom);
        }
        let limit = self.bytes.len() - bytes_reserved;
        let mut length = encode(self.bytes.get_mut(self.end..limit).unwrap_or_default());
        if length.is_none() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            length = encode(self.bytes.get_mut(self.end..limit).unwrap_or_default());
        }
        let begin = self.end;
        self.end += length.ok_or(NoRoom)?;
        let end = self.taken + (self.end - self.start) as u64;
        self.frames.push(Framed { note, sequence, end, encoded: 0, written: 0 });
        self.unstamped += 1;
        Ok(&self.bytes[begin..self.end])
    }

    /// Stamps the frames put since the last call. Bounded by [`FRAMES_MAX`]; one in the usual case.
    #[inline]
    pub(super) fn stamp_encoded(&mut self, at: Ticks) {
        while self.unstamped > 0 {
            let age = self.frames.len() - self.unstamped;
            if let Some(Framed { note: Note::New { trail, .. }, encoded, .. }) = self.frames.at(age) {
                *encoded = at.since_u32(trail.received);
            }
            self.unstamped -= 1;
        }
    }

    /// The socket took `bytes` of what is pending.
    pub(super) fn advance(&mut self, bytes: usize, at: Ticks) {
        let bytes = bytes.min(self.end - self.start);
        self.start += bytes;
        self.taken += bytes as u64;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        while let Some(framed) = self.frames.at(self.written)
            && framed.end <= self.taken
        {
            if let Note::New { trail, .. } = framed.note {
                framed.written = at.since_u32(trail.received);
            }
            if framed.note.is_order() {
                self.orders.frames += 1;
                self.orders.bytes += framed.end - self.whole;
            }
            self.whole = framed.end;
            self.written += 1;
        }
        self.unstamped = self.unstamped.min(self.frames.len() - self.written);
    }

    /// Orders and amendments handed over so far, one counted whole of which only the first bytes are.
    pub(super) fn order_traffic(&mut self) -> OrderTraffic {
        let mut traffic = self.orders;
        if self.whole < self.taken
            && let Some(framed) = self.frames.at(self.written)
            && framed.note.is_order()
        {
            traffic.frames += 1;
            traffic.bytes += framed.end - self.whole;
        }
        traffic
    }

    /// Takes back every order and amendment of which no byte was handed over. A heartbeat goes in its place under its
    /// number, so that the venue sees no gap. One that is partly written has left and is finished.
    /// `hollow` overwrites a message with a shorter one under its number and returns the new length.
    pub(super) fn withdraw_orders(
        &mut self,
        mut hollow: impl FnMut(&mut [u8]) -> usize,
        mut withdrawn: impl FnMut(i64, Note),
    ) {
        let (mut begin, mut read, mut write) = (self.whole, self.start, self.start);
        for age in self.written..self.frames.len() {
            let Some(framed) = self.frames.at(age) else { break };
            let partly_written = begin < self.taken;
            let length = (framed.end - begin.max(self.taken)) as usize;
            begin = framed.end;
            let mut kept = length;
            if framed.note.is_order() && !partly_written {
                kept = hollow(&mut self.bytes[read..read + length]).min(length);
                withdrawn(framed.sequence, std::mem::replace(&mut framed.note, Note::Session));
            }
            self.bytes.copy_within(read..read + kept, write);
            (read, write) = (read + length, write + kept);
            framed.end = self.taken + (write - self.start) as u64;
        }
        self.end = write;
    }

    /// The oldest written order that nobody was told of; frames that interest nobody are forgotten on the way.
    pub(super) fn next_sent(&mut self) -> Option<SentOrder> {
        while self.written > 0 {
            let framed = self.frames.oldest()?;
            if let Note::New { order, trail, decided, .. } = framed.note {
                let Framed { encoded, written, .. } = *framed;
                return Some(SentOrder { order, trail, decided, encoded, written });
            }
            self.forget_sent();
        }
        None
    }

    /// Forgets what [`next_sent`](Self::next_sent) showed.
    pub(super) fn forget_sent(&mut self) {
        if self.written > 0 {
            self.frames.drop_oldest();
            self.written -= 1;
        }
    }

    /// Takes back the newest frame that was not wholly written, the connection being lost.
    pub(super) fn take_back(&mut self) -> Option<Framed> {
        (self.start, self.end, self.unstamped) = (0, 0, 0);
        self.whole = self.taken;
        if self.frames.len() > self.written { self.frames.pop_newest() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::starbase::orders::{
        Block, CancelOrderRequest, Encoder, Envelope, HEADER_BYTES, Heartbeat, Logout, TestRequest, next_frame,
    };
    use zerocopy::byteorder::little_endian::I64;

    fn order(number: u64) -> Note {
        let trail = Trail { received: Ticks(100), ..Trail::default() };
        Note::New { order: ClientOrderId(number), instrument: InstrumentId(0), trail, decided: 1 }
    }

    fn put(outgoing: &mut Outgoing, sequence: i64, note: Note) -> Result<(), NoRoom> {
        put_block(outgoing, sequence, &TestRequest { correlation_id: I64::new(sequence) }, &[], note)
    }

    fn put_block<B: Block>(
        outgoing: &mut Outgoing,
        sequence: i64,
        block: &B,
        text: &[u8],
        note: Note,
    ) -> Result<(), NoRoom> {
        let envelope = Envelope { sequence, ..Envelope::default() };
        let encode = |free: &mut [u8]| Encoder::new(free, &envelope, block)?.text(text)?.finish();
        outgoing.put_with(sequence, note, |free| encode(free).ok()).map(|_| ())
    }

    /// Leaves a heartbeat's bytes of a message.
    fn hollow(message: &mut [u8]) -> usize {
        const LENGTH: usize = HEADER_BYTES + size_of::<Heartbeat>();
        message[2..4].copy_from_slice(&(LENGTH as u16).to_le_bytes());
        message[4..6].copy_from_slice(&Heartbeat::TYPE.to_le_bytes());
        LENGTH
    }

    #[test]
    fn an_order_is_sent_with_its_last_byte_and_not_before() {
        let mut outgoing = Outgoing::new();
        put(&mut outgoing, 1, Note::Session).expect("room");
        put(&mut outgoing, 2, order(7)).expect("room");
        outgoing.stamp_encoded(Ticks(130));
        let length = outgoing.pending().len();
        outgoing.advance(length - 1, Ticks(140));
        assert_eq!(outgoing.next_sent(), None);
        outgoing.advance(1, Ticks(150));
        let sent = outgoing.next_sent().expect("written");
        assert_eq!((sent.order, sent.decided, sent.encoded, sent.written), (ClientOrderId(7), 1, 30, 50));
        outgoing.forget_sent();
        assert_eq!((outgoing.next_sent(), outgoing.frames()), (None, 0));
    }

    #[test]
    fn a_full_buffer_refuses_orders_but_keeps_room_for_cancels() {
        let mut outgoing = Outgoing::new();
        while put(&mut outgoing, 1, order(1)).is_ok() {}
        let frames = outgoing.frames();
        assert_eq!(frames, FRAMES_MAX - RESERVE_FRAMES);
        let cancel = Note::Cancel { order: ClientOrderId(1), instrument: InstrumentId(0) };
        for _ in 0..RESERVE_FRAMES {
            assert_eq!(put(&mut outgoing, 1, cancel), Ok(()));
        }
        assert_eq!(put(&mut outgoing, 1, cancel), Err(NoRoom));
    }

    #[test]
    fn the_byte_reserve_holds_when_frames_are_large() {
        let mut outgoing = Outgoing::new();
        let text = [b'x'; 255];
        while put_block(&mut outgoing, 1, &Logout {}, &text, order(1)).is_ok() {}
        assert!(outgoing.pending().len() <= SEND_BUFFER_BYTES - RESERVE_BYTES);
        let cancel =
            CancelOrderRequest { client_order_id: I64::ZERO, correlation_id: I64::ZERO, instrument_id: I64::ZERO };
        let note = Note::Cancel { order: ClientOrderId(1), instrument: InstrumentId(0) };
        assert_eq!(put_block(&mut outgoing, 1, &cancel, &[], note), Ok(()));
    }

    #[test]
    fn pending_bytes_survive_the_move_to_the_front() {
        let mut outgoing = Outgoing::new();
        let (mut sequence, mut expected) = (0, 1);
        for round in 0..20_000 {
            sequence += 1;
            put(&mut outgoing, sequence, Note::Session).expect("room");
            // The socket lags by whole frames and part of one.
            if round % 3 == 2 {
                let frame = next_frame(outgoing.pending()).expect("framed").expect("whole");
                assert_eq!(frame.header.sequence_number.get(), expected);
                let bytes = frame.bytes() * 3;
                outgoing.advance(bytes - 5, Ticks(0));
                outgoing.advance(5, Ticks(0));
                expected += 3;
                assert_eq!(outgoing.next_sent(), None);
            }
        }
        assert_eq!(sequence - expected + 1, outgoing.frames() as i64);
    }

    #[test]
    fn withdrawn_orders_leave_their_numbers_behind_and_what_has_begun_is_finished() {
        for written in [0, 1] {
            let mut outgoing = Outgoing::new();
            let cancel = Note::Cancel { order: ClientOrderId(2), instrument: InstrumentId(0) };
            for (sequence, note) in [(1, order(1)), (2, cancel), (3, order(3)), (4, order(4)), (5, Note::Session)] {
                let block = CancelOrderRequest {
                    client_order_id: I64::new(9),
                    correlation_id: I64::new(9),
                    instrument_id: I64::new(9),
                };
                put_block(&mut outgoing, sequence, &block, &[], note).expect("room");
            }
            let begun = outgoing.pending()[..written].to_vec();
            outgoing.advance(written, Ticks(0));
            let mut withdrawn = Vec::new();
            outgoing.withdraw_orders(hollow, |sequence, note| withdrawn.push((sequence, note)));
            let expected = [(1, order(1)), (3, order(3)), (4, order(4))];
            assert_eq!(withdrawn, expected[written..]);
            assert_eq!(outgoing.order_traffic().frames, written as u64);
            let bytes = [begun, outgoing.pending().to_vec()].concat();
            let (mut rest, mut seen) = (&bytes[..], Vec::new());
            while let Some(frame) = next_frame(rest).expect("framed") {
                frame.message().expect("well-formed");
                seen.push((frame.header.sequence_number.get(), frame.header.message_type_id.get()));
                rest = &rest[frame.bytes()..];
            }
            let first = if written == 0 { Heartbeat::TYPE } else { CancelOrderRequest::TYPE };
            let (cancel, beat) = (CancelOrderRequest::TYPE, Heartbeat::TYPE);
            assert_eq!(seen, [(1, first), (2, cancel), (3, beat), (4, beat), (5, cancel)]);
            outgoing.advance(usize::MAX, Ticks(9));
            assert_eq!(outgoing.next_sent().is_some(), written == 1);
            put(&mut outgoing, 6, order(6)).expect("room");
            outgoing.advance(usize::MAX, Ticks(9));
            assert_eq!(outgoing.order_traffic().frames, written as u64 + 1);
        }
    }

    #[test]
    fn what_was_not_wholly_written_is_taken_back_newest_first() {
        let mut outgoing = Outgoing::new();
        for sequence in 1..=3 {
            put(&mut outgoing, sequence, order(sequence as u64)).expect("room");
        }
        let frame = outgoing.pending().len() / 3;
        outgoing.advance(frame + 1, Ticks(0));
        assert_eq!(outgoing.take_back().map(|f| f.sequence), Some(3));
        assert_eq!(outgoing.take_back().map(|f| f.sequence), Some(2));
        assert!(outgoing.take_back().is_none());
        assert!(outgoing.pending().is_empty());
        assert_eq!(outgoing.next_sent().map(|s| s.order), Some(ClientOrderId(1)));
    }
}
