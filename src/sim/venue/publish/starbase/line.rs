//! One channel's two streams: messages numbered, gathered into packets, and the incremental ones kept.

use std::collections::VecDeque;

use super::HISTORY_MAX;
use crate::sim::venue::publish::{Channel, Sink};
use crate::units::Nanos;
use crate::wire::starbase::market_data::{
    InstrumentDefinition, LargeTickSize, MESSAGE_HEADER_BYTES, MessageMeta, NoRoom, PACKET_BYTES_MAX,
    PACKET_HEADER_BYTES, PacketBuilder, RejectReason, RetransmitReject, message_flags, packet_type,
};
use crate::wire::starbase::orders::Block;

/// Where a message's flags stand behind its start.
const FLAGS_AT: usize = 6;

/// Messages on their way into one packet.
#[derive(Debug)]
struct Stream {
    port: Channel,
    packet_type: u16,
    /// Number of the next message.
    next: i64,
    /// Messages not sent yet, and their bytes.
    waiting: u16,
    bytes: Vec<u8>,
    sent: Nanos,
}

impl Stream {
    fn new(port: Channel, packet_type: u16) -> Self {
        Self { port, packet_type, next: 1, waiting: 0, bytes: vec![0; PACKET_HEADER_BYTES], sent: Nanos(0) }
    }

    fn append(&mut self, id: u16, message: &[u8], now: Nanos, sink: &mut Sink<'_>) {
        if self.bytes.len() + message.len() > PACKET_BYTES_MAX {
            self.send(id, now, sink);
        }
        self.bytes.extend_from_slice(message);
        self.waiting += 1;
        self.next += 1;
    }

    fn send(&mut self, id: u16, now: Nanos, sink: &mut Sink<'_>) {
        let first = self.next - i64::from(self.waiting);
        let mut header = [0; PACKET_HEADER_BYTES];
        if PacketBuilder::new(&mut header, self.packet_type, id.into(), first, now.0 as i64).is_ok() {
            header[PACKET_HEADER_BYTES - 2..].copy_from_slice(&self.waiting.to_le_bytes());
            self.bytes[..PACKET_HEADER_BYTES].copy_from_slice(&header);
            sink(self.port, &self.bytes);
        }
        self.bytes.truncate(PACKET_HEADER_BYTES);
        (self.waiting, self.sent) = (0, now);
    }
}

/// One channel.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: u16,
    incremental: Stream,
    snapshot: Stream,
    /// Incremental messages kept, the last of them numbered `incremental.next - 1`, and how many of them were packed.
    history: VecDeque<Vec<u8>>,
    unpacked: usize,
    now: Nanos,
    scratch: Vec<u8>,
}

impl Line {
    pub(super) fn new(id: u16) -> Self {
        Self {
            id,
            incremental: Stream::new(Channel::Incremental, packet_type::INCREMENTAL),
            snapshot: Stream::new(Channel::Snapshot, packet_type::SNAPSHOT),
            history: VecDeque::new(),
            unpacked: 0,
            now: Nanos(0),
            scratch: vec![0; PACKET_BYTES_MAX],
        }
    }

    /// The next message of both streams is the first again; nothing of before can be asked for.
    pub(super) fn count_anew(&mut self) {
        (self.incremental.next, self.snapshot.next) = (1, 1);
        self.forget();
    }

    /// Nothing that was sent can be asked for any more.
    pub(super) fn forget(&mut self) {
        self.history.clear();
    }

    /// Number of the last incremental message.
    pub(super) fn last(&self) -> i64 {
        self.incremental.next - 1
    }

    /// Marks the first and the last of the messages that `write` appends.
    pub(super) fn transaction(&mut self, now: Nanos, write: impl FnOnce(&mut Self)) {
        self.now = now;
        let before = self.unpacked;
        write(self);
        let len = self.history.len();
        let count = self.unpacked - before;
        if count > 0 {
            self.history[len - count][FLAGS_AT] |= message_flags::START_OF_TRANSACTION as u8;
            self.history[len - 1][FLAGS_AT] |= message_flags::END_OF_TRANSACTION as u8;
        }
    }

    /// Appends a message of the transaction under way.
    pub(super) fn incremental<T: Block>(&mut self, block: &T) {
        let message = encoded(&mut self.scratch, self.now, |packet, meta| packet.push(meta, block)).to_vec();
        self.history.push_back(message);
        self.unpacked += 1;
    }

    /// Sends what was appended; a heartbeat if nothing was for long.
    pub(super) fn flush(&mut self, now: Nanos, heartbeat_ns: u64, sink: &mut Sink<'_>) {
        let from = self.history.len() - self.unpacked;
        for message in self.history.iter().skip(from) {
            self.incremental.append(self.id, message, now, sink);
        }
        self.unpacked = 0;
        self.history.drain(..self.history.len().saturating_sub(HISTORY_MAX));
        for stream in [&mut self.incremental, &mut self.snapshot] {
            let is_quiet = now.since(stream.sent) >= heartbeat_ns;
            if is_quiet || (stream.waiting > 0 && stream.port == Channel::Incremental) {
                stream.send(self.id, now, sink);
            }
        }
    }

    /// Appends a message to the snapshots.
    pub(super) fn snapshot<T: Block>(&mut self, now: Nanos, sink: &mut Sink<'_>, block: &T) {
        let message = encoded(&mut self.scratch, now, |packet, meta| packet.push(meta, block));
        self.snapshot.append(self.id, message, now, sink);
    }

    /// Appends a definition to the snapshots.
    pub(super) fn snapshot_definition(
        &mut self,
        now: Nanos,
        sink: &mut Sink<'_>,
        block: &InstrumentDefinition,
        steps: &[LargeTickSize],
    ) {
        let message = encoded(&mut self.scratch, now, |packet, meta| packet.definition(meta, block, steps, &[]));
        self.snapshot.append(self.id, message, now, sink);
    }

    /// Sends the snapshots appended: they must not lag behind the incremental messages.
    pub(super) fn flush_snapshot(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if self.snapshot.waiting > 0 {
            self.snapshot.send(self.id, now, sink);
        }
    }

    /// Sends messages once more: as many as were asked for and fit one packet.
    pub(super) fn resend(
        &self,
        begin: i64,
        count: u8,
        now: Nanos,
        reply: &mut dyn FnMut(&[u8]),
    ) -> Result<(), RejectReason> {
        let kept_from = self.incremental.next - self.history.len() as i64;
        let at = usize::try_from(begin - kept_from).map_err(|_| RejectReason::SequenceTooLow)?;
        if at >= self.history.len() {
            return Err(RejectReason::SequenceTooHigh);
        }
        let mut buffer = [0; PACKET_BYTES_MAX];
        let kind = packet_type::INCREMENTAL | packet_type::RETRANSMIT;
        let packet = PacketBuilder::new(&mut buffer, kind, self.id.into(), begin, now.0 as i64);
        let mut packet = packet.map_err(|_| RejectReason::OtherError)?;
        for message in self.history.iter().skip(at).take(usize::from(count)) {
            if packet.copy(message).is_err() {
                break;
            }
        }
        reply(packet.finish());
        Ok(())
    }
}

/// Sends a refusal under the number of the request.
pub(super) fn send_reject(
    channel: i32,
    correlation: i64,
    reject: &RetransmitReject,
    now: Nanos,
    reply: &mut dyn FnMut(&[u8]),
) {
    let mut buffer = [0; 128];
    let time = now.0 as i64;
    if let Ok(mut packet) = PacketBuilder::new(&mut buffer, 0, channel, correlation, time)
        && packet.push(MessageMeta { flags: 0, transact_time_ns: time }, reject).is_ok()
    {
        reply(packet.finish());
    }
}

/// One message's bytes.
fn encoded(
    scratch: &mut [u8],
    now: Nanos,
    write: impl FnOnce(&mut PacketBuilder<'_>, MessageMeta) -> Result<(), NoRoom>,
) -> &[u8] {
    let meta = MessageMeta { flags: 0, transact_time_ns: now.0 as i64 };
    let written = PacketBuilder::new(scratch, 0, 0, 0, 0).and_then(|mut packet| {
        write(&mut packet, meta)?;
        Ok(packet.len())
    });
    debug_assert!(written.is_ok_and(|len| len >= PACKET_HEADER_BYTES + MESSAGE_HEADER_BYTES), "larger than a packet");
    &scratch[PACKET_HEADER_BYTES..written.unwrap_or(PACKET_HEADER_BYTES)]
}
