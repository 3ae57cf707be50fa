//! The gateway under replay.

use crate::event::{Event, KillLevel};
use crate::gateway::Gateway;
use crate::journal::{Blank, Ration, Rooms, SessionCall};
use crate::risk::Instruction;

/// A gateway and the bytes that it was offered and left.
#[derive(Debug)]
pub(super) struct SessionReplay {
    pub(super) gateway: Gateway,
    inbox: Vec<u8>,
    blank: Blank,
    rooms: Rooms,
}

impl SessionReplay {
    pub(super) fn new(gateway: Gateway, blank: Blank, rooms: Rooms) -> Self {
        Self { gateway, inbox: Vec::new(), blank, rooms }
    }

    /// The next bytes to the venue, at most so many, as a journal keeps them.
    pub(super) fn next_kept(&mut self, bytes: usize) -> Box<[u8]> {
        let pending = self.gateway.pending();
        let mut kept: Box<[u8]> = pending[..bytes.min(pending.len())].into();
        self.blank.pass(&mut kept);
        kept
    }

    /// Makes a call; `instruction` is the one that it takes, if it takes one.
    pub(super) fn call(&mut self, call: &SessionCall, instruction: Option<&Instruction>, reports: &mut Vec<Event>) {
        let out = &mut Ration::new(reports, self.rooms.of_next_step());
        match *call {
            SessionCall::Connected { time } => {
                self.blank.restart();
                self.gateway.connected(time);
            }
            SessionCall::Disconnected { time } => {
                self.gateway.disconnected(time, out);
                self.inbox.clear();
            }
            SessionCall::Instruction { time, encoded } => {
                if let Some(instruction) = instruction {
                    self.gateway.step(instruction, time, out);
                    self.gateway.encoded(encoded);
                }
            }
            SessionCall::Written { at, ref bytes } => self.gateway.written(bytes.len(), at, out),
            SessionCall::Received { time, ref bytes } => {
                self.inbox.extend_from_slice(bytes);
                let taken = self.gateway.receive(&self.inbox, time, out);
                self.inbox.drain(..taken);
            }
            SessionCall::Tick { time } => self.gateway.tick(time, out),
            SessionCall::LogOut { time } => self.gateway.log_out(time),
            SessionCall::Halt { time } => self.gateway.step(&Instruction::Level(KillLevel::Halt), time, out),
        }
    }
}
