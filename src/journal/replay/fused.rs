//! Every stage on this thread.

use std::collections::VecDeque;

use super::checks::Checks;
use super::session::SessionReplay;
use super::{AllShorts, ReplayError, Rig, Stages, WAITING_MAX};
use crate::event::Event;
use crate::hedge::Hedge;
use crate::journal::{Blank, Place, Ration, Rooms, SessionCall};
use crate::portfolio::Greeks;
use crate::risk::Instruction;
use crate::stage::Stage;

/// The stages, and what is on its way between them.
#[derive(Debug)]
pub(super) struct FusedRig {
    greeks: Greeks,
    hedge: Hedge,
    session: SessionReplay,
    greeks_rooms: Rooms,
    hedge_rooms: Rooms,
    outputs: Vec<Event>,
    decisions: Vec<Instruction>,
    reports: Vec<Event>,
    /// Decisions that the gateway has not taken.
    instructions: VecDeque<Instruction>,
    /// Calls behind one whose instruction is not decided yet.
    calls: VecDeque<(Place, SessionCall)>,
}

impl FusedRig {
    pub(super) fn new(stages: Stages, blank: Blank, shorts: AllShorts) -> Self {
        let Stages { greeks, hedge, gateway } = stages;
        Self {
            greeks,
            hedge,
            session: SessionReplay::new(gateway, blank, Rooms::new(shorts.gateway)),
            greeks_rooms: Rooms::new(shorts.greeks),
            hedge_rooms: Rooms::new(shorts.hedge),
            outputs: Vec::new(),
            decisions: Vec::new(),
            reports: Vec::new(),
            instructions: VecDeque::new(),
            calls: VecDeque::new(),
        }
    }

    /// Makes the calls whose instructions are there.
    fn catch_up(&mut self, checks: &mut Checks<'_>) {
        while let Some((place, call)) = self.calls.front() {
            let takes = matches!(call, SessionCall::Instruction { .. });
            let instruction = if takes { self.instructions.pop_front() } else { None };
            if takes && instruction.is_none() {
                return;
            }
            if let SessionCall::Written { bytes, .. } = call {
                let sent = self.session.next_kept(bytes.len());
                checks.written(*place, bytes, &sent);
            }
            self.session.call(call, instruction.as_ref(), &mut self.reports);
            self.reports.drain(..).for_each(|report| checks.reports.sent(report));
            self.calls.pop_front();
        }
    }
}

impl Rig for FusedRig {
    fn input(&mut self, _: Place, event: &Event, checks: &mut Checks<'_>) {
        self.greeks.step(event, &mut Ration::new(&mut self.outputs, self.greeks_rooms.of_next_step()));
        for output in self.outputs.drain(..) {
            checks.outputs.sent(output);
            self.hedge.step(&output, &mut Ration::new(&mut self.decisions, self.hedge_rooms.of_next_step()));
        }
        for decision in self.decisions.drain(..) {
            checks.decided(&decision);
            self.instructions.push_back(decision);
        }
        self.catch_up(checks);
    }

    fn call(&mut self, place: Place, call: SessionCall, checks: &mut Checks<'_>) {
        self.calls.push_back((place, call));
        self.catch_up(checks);
        if self.calls.len() > WAITING_MAX {
            checks.missing_instruction(place);
        }
    }

    fn finish(self, checks: &mut Checks<'_>) -> Result<Stages, ReplayError> {
        if let Some((place, _)) = self.calls.front() {
            checks.missing_instruction(*place);
        }
        Ok(Stages { greeks: self.greeks, hedge: self.hedge, gateway: self.session.gateway })
    }
}
