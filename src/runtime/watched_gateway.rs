//! The gateway and its reports' ring, every call to it published for the journal with what it depends on: instructions,
//! bytes, time, and the room for reports.

use super::clock::StampClock;
use super::journal::SessionTap;
use crate::event::{Event, KillLevel};
use crate::gateway::Gateway;
use crate::journal::{AMPLE, Ration, SessionNote};
use crate::ring::Producer;
use crate::risk::Instruction;
use crate::units::Nanos;

/// A gateway that is watched.
#[derive(Debug)]
pub(super) struct WatchedGateway {
    gateway: Gateway,
    reports: Producer<Event>,
    tap: Option<SessionTap>,
    clock: StampClock,
    /// The venue's bytes were last left because reports had no room.
    is_blocked: bool,
}

impl WatchedGateway {
    pub(super) fn new(gateway: Gateway, reports: Producer<Event>, tap: Option<SessionTap>, clock: StampClock) -> Self {
        Self { gateway, reports, tap, clock, is_blocked: false }
    }

    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub(super) fn into_gateway(self) -> Gateway {
        self.gateway
    }

    /// Whether bytes that the gateway left are worth another offer, although none have come.
    #[inline]
    pub(super) fn is_unblocked(&self) -> bool {
        self.is_blocked && self.reports.room() > 0
    }

    /// Whether an instruction may be taken: there is room for what it may need to be answered, and, where the journal asks
    /// for it, no crash would forget it.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        let is_shut = self.gateway.level() >= KillLevel::Pause;
        self.gateway.has_room() && self.tap.as_ref().is_none_or(|tap| tap.permits(is_shut))
    }

    /// Takes an instruction, and stamps what it encoded.
    #[inline]
    pub(super) fn step(&mut self, instruction: &Instruction, time: Nanos) {
        let room = self.room();
        self.gateway.step(instruction, time, &mut Ration::new(&mut self.reports, room));
        let encoded = self.clock.ticks();
        self.gateway.encoded(encoded);
        if let Some(tap) = &mut self.tap {
            tap.instruction(time, encoded);
        }
    }

    /// Shuts the way out at once, past the hedge.
    pub(super) fn halt(&mut self, time: Nanos) {
        let room = self.room();
        self.note(SessionNote::Halt(time));
        self.gateway.step(&Instruction::Level(KillLevel::Halt), time, &mut Ration::new(&mut self.reports, room));
    }

    /// The socket took this many of the pending bytes.
    #[inline]
    pub(super) fn written(&mut self, bytes: usize) {
        let (room, at) = (self.room(), self.clock.ticks());
        if let Some(tap) = &mut self.tap {
            tap.written(at, &self.gateway.pending()[..bytes]);
        }
        self.gateway.written(bytes, at, &mut Ration::new(&mut self.reports, room));
    }

    /// Offers `inbox`, of which the last `fresh` bytes are offered for the first time; how many were taken.
    #[inline]
    pub(super) fn receive(&mut self, inbox: &[u8], fresh: usize, time: Nanos) -> usize {
        let room = self.room();
        if let Some(tap) = &mut self.tap {
            tap.received(time, &inbox[inbox.len() - fresh..]);
        }
        let mut reports = Ration::new(&mut self.reports, room);
        let taken = self.gateway.receive(inbox, time, &mut reports);
        self.is_blocked = reports.is_spent();
        taken
    }

    pub(super) fn tick(&mut self, time: Nanos) {
        let room = self.room();
        self.note(SessionNote::Tick(time));
        self.gateway.tick(time, &mut Ration::new(&mut self.reports, room));
    }

    pub(super) fn connected(&mut self, time: Nanos) {
        self.note(SessionNote::Connected(time));
        self.gateway.connected(time);
    }

    pub(super) fn disconnected(&mut self, time: Nanos) {
        let room = self.room();
        self.note(SessionNote::Disconnected(time));
        self.gateway.disconnected(time, &mut Ration::new(&mut self.reports, room));
        self.is_blocked = false;
    }

    pub(super) fn log_out(&mut self, time: Nanos) {
        self.note(SessionNote::LogOut(time));
        self.gateway.log_out(time);
    }

    /// Room for the reports of the next call.
    #[inline]
    fn room(&mut self) -> usize {
        let room = self.reports.room();
        if room < AMPLE {
            self.note(SessionNote::Short(room as u32));
        }
        room
    }

    #[inline]
    fn note(&mut self, note: SessionNote) {
        if let Some(tap) = &mut self.tap {
            tap.note(note);
        }
    }
}
