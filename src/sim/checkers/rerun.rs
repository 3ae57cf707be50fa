//! What the greeks consumed, consumed again by fresh stages with the room that the hedge had: the same orders must leave,
//! field by field.

use super::Findings;
use crate::event::Event;
use crate::hedge::{Hedge, HedgeConfig};
use crate::journal::{Ration, Rooms, Shorts};
use crate::order::Request;
use crate::portfolio::{Greeks, GreeksConfig, Rebuilds};
use crate::risk::Instruction;
use crate::stage::Stage;

/// The record of one process.
#[derive(Debug)]
pub struct Rerun {
    greeks: GreeksConfig,
    hedge: HedgeConfig,
    inputs: Vec<Event>,
    shorts: Shorts,
    requests: Vec<Request>,
}

impl Rerun {
    /// The record of a process that is about to start.
    pub fn new(greeks: GreeksConfig, hedge: HedgeConfig) -> Self {
        Self { greeks, hedge, inputs: Vec::new(), shorts: Shorts::new(), requests: Vec::new() }
    }

    pub(super) fn consumed(&mut self, event: &Event) {
        self.inputs.push(*event);
    }

    pub(super) fn short(&mut self, step: u64, room: usize) {
        self.shorts.push_back((step, room));
    }

    pub(super) fn decided(&mut self, instruction: &Instruction) {
        if let Instruction::Send(approved) = instruction {
            self.requests.push(*approved.request());
        }
    }

    pub(super) fn judge(&mut self, findings: &mut Findings) {
        let mut greeks = Greeks::with_rebuilds(self.greeks.clone(), Rebuilds::Recorded);
        let mut hedge = Hedge::new(self.hedge);
        let mut rooms = Rooms::new(std::mem::take(&mut self.shorts));
        let (mut events, mut instructions) = (Vec::new(), Vec::new());
        for input in &self.inputs {
            greeks.step(input, &mut events);
            for event in &events {
                hedge.step(event, &mut Ration::new(&mut instructions, rooms.of_next_step()));
            }
            events.clear();
        }
        let again = instructions.iter().filter_map(|instruction| match instruction {
            Instruction::Send(approved) => Some(*approved.request()),
            Instruction::Reference { .. } | Instruction::Level(_) => None,
        });
        let again: Vec<Request> = again.collect();
        let differ = again.iter().zip(&self.requests).position(|(again, first)| !is_same(again, first));
        if let Some(at) = differ {
            findings.add(8, || format!("request {at} was {:?}, re-run it is {:?}", self.requests[at], again[at]));
        } else if again.len() != self.requests.len() {
            let (first, again) = (self.requests.len(), again.len());
            findings.add(8, || format!("{first} requests were decided, {again} when run again"));
        }
    }
}

/// Equal but for latency stamps.
fn is_same(one: &Request, other: &Request) -> bool {
    let unstamped = |request: &Request| {
        let mut request = *request;
        if let Request::New { trail, decided, .. } = &mut request {
            (*trail, *decided) = Default::default();
        }
        request
    };
    unstamped(one) == unstamped(other)
}
