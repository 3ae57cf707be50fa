//! The order connection between the gateway and the venue: a stream each way, in order, that breaks in every way a stream
//! can.

use std::collections::VecDeque;

use super::dice::Dice;
use super::faults::Fault;
use crate::sim::OrderProtocol;
use crate::units::Nanos;

/// How long bytes take when nothing is wrong, nanoseconds.
const FLIGHT_NS: u64 = 200_000;

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    flying: VecDeque<(Nanos, Vec<u8>)>,
}

impl Pipe {
    /// Bytes leave; a stream never overtakes itself.
    fn push(&mut self, due: Nanos, bytes: Vec<u8>) {
        let due = self.flying.back().map_or(due, |(last, _)| due.max(*last));
        if !bytes.is_empty() {
            self.flying.push_back((due, bytes));
        }
    }

    fn arrived(&mut self, now: Nanos) -> Option<Vec<u8>> {
        let due = self.flying.front().is_some_and(|(due, _)| *due <= now);
        if due { self.flying.pop_front().map(|(_, bytes)| bytes) } else { None }
    }
}

/// The connection, as the network sees it.
#[derive(Debug, Default)]
pub(super) struct Wire {
    protocol: OrderProtocol,
    up: bool,
    /// Both ends believe in it, and nothing comes through.
    half_open: bool,
    /// What was swallowed to the venue and to the client, of a connection that breaks once it was something both ways.
    tearing: Option<(bool, bool)>,
    to_venue: Pipe,
    to_client: Pipe,
    /// Bytes of the venue that are no whole frame yet.
    torn: Vec<u8>,
    slow_until: Nanos,
}

impl Wire {
    /// A connection that is not made yet.
    pub(super) fn new(protocol: OrderProtocol) -> Self {
        Self { protocol, ..Self::default() }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// Whether what is written arrives.
    pub(super) fn is_sound(&self) -> bool {
        self.up && !self.half_open
    }

    /// The connection is made.
    pub(super) fn open(&mut self) {
        *self = Self { up: true, slow_until: self.slow_until, ..Self::new(self.protocol) };
    }

    /// The connection is gone. What of the client's bytes still reaches the venue is chance.
    pub(super) fn close(&mut self, dice: &mut Dice) -> Vec<u8> {
        let last: Vec<u8> = self.to_venue.flying.drain(..).flat_map(|(_, bytes)| bytes).collect();
        let kept = if self.half_open { 0 } else { dice.random.below(last.len() as u64 + 1) as usize };
        *self = Self { slow_until: self.slow_until, ..Self::new(self.protocol) };
        last[..kept].to_vec()
    }

    /// From here on nothing comes through.
    pub(super) fn swallow(&mut self) {
        self.half_open = true;
        self.to_venue = Pipe::default();
        self.to_client = Pipe::default();
    }

    /// From here on nothing comes through, until bytes were lost both ways.
    pub(super) fn tear(&mut self) {
        self.swallow();
        self.tearing = Some((false, false));
    }

    /// Whether bytes were lost both ways since it began to tear.
    pub(super) fn lost_both_ways(&self) -> bool {
        self.tearing == Some((true, true))
    }

    /// Bytes take long until then.
    pub(super) fn slow(&mut self, until: Nanos) {
        self.slow_until = self.slow_until.max(until);
    }

    /// Faults that last end; a connection that swallows everything stays what it is until somebody notices.
    pub(super) fn heal(&mut self, now: Nanos) {
        self.slow_until = self.slow_until.min(now);
    }

    /// The client writes: how many bytes the socket took.
    pub(super) fn write(&mut self, now: Nanos, bytes: &[u8], dice: &mut Dice) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        let taken = if dice.strikes(Fault::PartialWrite) {
            dice.random.below(bytes.len() as u64) as usize
        } else {
            bytes.len()
        };
        if let Some((to_venue, _)) = &mut self.tearing {
            *to_venue |= taken > 0;
        }
        if !self.half_open {
            let due = self.due(now, dice);
            self.to_venue.push(due, bytes[..taken].to_vec());
        }
        taken
    }

    /// The venue writes. Its whole frames may be doubled, lost, swapped, damaged.
    pub(super) fn answer(&mut self, now: Nanos, bytes: &mut Vec<u8>, dice: &mut Dice) {
        self.torn.append(bytes);
        if self.half_open {
            if let Some((_, to_client)) = &mut self.tearing {
                *to_client |= !self.torn.is_empty();
            }
            self.torn.clear();
            return;
        }
        let mut frames: Vec<Vec<u8>> = Vec::new();
        while let Some(length) = self.protocol.frame_bytes(&self.torn) {
            let frame: Vec<u8> = self.torn.drain(..length).collect();
            if dice.strikes(Fault::FrameLoss) {
                continue;
            }
            if dice.strikes(Fault::FrameDuplicate) {
                frames.push(frame.clone());
            }
            frames.push(frame);
            let last = frames.len() - 1;
            if last > 0 && dice.strikes(Fault::FrameSwap) {
                frames.swap(last - 1, last);
            }
        }
        for mut frame in frames {
            if dice.strikes(Fault::FrameCorrupt) {
                // The binary protocol has no checksum but the stream's: what can go wrong is that the framing is lost.
                let at = match self.protocol {
                    OrderProtocol::Starbase => 0,
                    OrderProtocol::Fix => dice.random.below(frame.len() as u64) as usize,
                };
                frame[at] ^= 1 << dice.random.below(8);
            }
            let due = self.due(now, dice);
            self.to_client.push(due, frame);
        }
    }

    /// Bytes that reached the venue.
    pub(super) fn at_venue(&mut self, now: Nanos) -> Option<Vec<u8>> {
        self.to_venue.arrived(now)
    }

    /// Bytes that reached the client.
    pub(super) fn at_client(&mut self, now: Nanos) -> Option<Vec<u8>> {
        self.to_client.arrived(now)
    }

    fn due(&self, now: Nanos, dice: &mut Dice) -> Nanos {
        let slow = if now < self.slow_until { dice.wait_ns(5, 300) } else { 0 };
        Nanos(now.0 + FLIGHT_NS + slow)
    }
}
