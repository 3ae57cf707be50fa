//! One channel on one port: messages gathered into packets, packets numbered.

use super::{Channel, PACKET_BYTES_MAX, Sink};
use crate::wire::deribit_multicast::{NoRoom, PacketBuilder};

/// Bytes of a packet's frame header.
const FRAME_BYTES: usize = 8;

/// A packet under construction, and the number of the last one sent.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: u16,
    port: Channel,
    sequence: u32,
    packet: Vec<u8>,
    scratch: Vec<u8>,
}

impl Line {
    pub(super) fn new(port: Channel, id: u16) -> Self {
        Self { id, port, sequence: 0, packet: vec![0; FRAME_BYTES], scratch: vec![0; PACKET_BYTES_MAX] }
    }

    /// Appends a message, sending what stands before it when it no longer fits. A message too large for any packet is
    /// a defect of the caller's.
    pub(super) fn write(
        &mut self,
        sink: &mut Sink<'_>,
        message: impl FnOnce(&mut PacketBuilder<'_>) -> Result<(), NoRoom>,
    ) {
        let written = PacketBuilder::new(&mut self.scratch, 0, 0).and_then(|mut builder| {
            message(&mut builder)?;
            Ok(builder.len())
        });
        let Ok(length) = written else {
            debug_assert!(false, "message larger than a packet");
            return;
        };
        if self.packet.len() + length - FRAME_BYTES > PACKET_BYTES_MAX {
            self.flush(sink);
        }
        self.packet.extend_from_slice(&self.scratch[FRAME_BYTES..length]);
    }

    /// The next packet is the first again.
    pub(super) fn count_anew(&mut self) {
        self.sequence = 0;
    }

    /// Sends what was gathered, if anything was.
    pub(super) fn flush(&mut self, sink: &mut Sink<'_>) {
        if self.packet.len() > FRAME_BYTES {
            self.sequence = self.sequence.wrapping_add(1);
            let length = (self.packet.len() - FRAME_BYTES) as u16;
            self.packet[..2].copy_from_slice(&length.to_le_bytes());
            self.packet[2..4].copy_from_slice(&self.id.to_le_bytes());
            self.packet[4..8].copy_from_slice(&self.sequence.to_le_bytes());
            sink(self.port, &self.packet);
            self.packet.truncate(FRAME_BYTES);
        }
    }
}
