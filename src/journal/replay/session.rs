//! The gateway under replay.

use super::Rooms;
use crate::event::{Event, KillLevel};
use crate::gateway::Gateway;
use crate::journal::{Ration, SessionCall};
use crate::risk::Instruction;

/// A gateway and the bytes that it was offered and left.
#[derive(Debug)]
pub(super) struct SessionReplay {
    pub(super) gateway: Gateway,
    inbox: Vec<u8>,
    rooms: Rooms,
}

impl SessionReplay {
    pub(super) fn new(gateway: Gateway, rooms: Rooms) -> Self {
        Self { gateway, inbox: Vec::new(), rooms }
    }

    /// Makes a call; `instruction` is the one that it takes, if it takes one.
    pub(super) fn call(&mut self, call: &SessionCall, instruction: Option<&Instruction>, reports: &mut Vec<Event>) {
        let out = &mut Ration::new(reports, self.rooms.next());
        match *call {
            SessionCall::Connected { time } => self.gateway.connected(time),
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
