//! A thread a stage, joined by rings; this thread hands over what was recorded and takes what is sent.
//!
//! ```text
//!   this ──inputs──► greeks ──outputs──► hedge ──decisions──► gateway ◄──calls── this
//!                               └────────► this ◄────┘            └──answers──► this
//! ```
//!
//! A thread waits for room, and this one takes what is sent while it waits, so a full ring delays and changes nothing.

use std::collections::VecDeque;
use std::thread::{self, JoinHandle};

use crossbeam::channel::{self, Receiver, Sender, TryRecvError, TrySendError};

use super::checks::Checks;
use super::session::SessionReplay;
use super::{AllShorts, ReplayError, Rig, Stages, WAITING_MAX};
use crate::event::Event;
use crate::gateway::Gateway;
use crate::hedge::Hedge;
use crate::journal::{Blank, Place, Ration, Rooms, SessionCall};
use crate::portfolio::Greeks;
use crate::ring::{self, Consumer, Producer};
use crate::risk::Instruction;
use crate::stage::Stage;

/// Slots between two threads.
const SLOTS: usize = 1 << 12;

/// What the gateway's thread found.
enum Answer {
    Report(Event),
    Written { place: Place, recorded: Box<[u8]>, sent: Box<[u8]> },
    MissingInstruction(Place),
}

/// The threads, and this end of what joins them.
pub(super) struct SplitRig {
    inputs: Producer<Event>,
    outputs: Consumer<Event>,
    decisions: Consumer<Instruction>,
    calls: Sender<(Place, SessionCall)>,
    /// Calls that the gateway's thread has no room for.
    waiting: VecDeque<(Place, SessionCall)>,
    answers: Receiver<Answer>,
    greeks: JoinHandle<Greeks>,
    hedge: JoinHandle<Hedge>,
    gateway: JoinHandle<Gateway>,
}

impl SplitRig {
    pub(super) fn new(stages: Stages, blank: Blank, shorts: AllShorts) -> Result<Self, ReplayError> {
        let failed = |error: &dyn std::fmt::Display| ReplayError::Machinery(error.to_string());
        let Stages { greeks, hedge, gateway } = stages;
        let (inputs, [inputs_in]) = ring::broadcast(SLOTS).map_err(|error| failed(&error))?;
        let (outputs, [outputs_in, outputs_here]) = ring::broadcast(SLOTS).map_err(|error| failed(&error))?;
        let (decisions, [decisions_in, decisions_here]) = ring::broadcast(SLOTS).map_err(|error| failed(&error))?;
        let (calls, calls_in) = channel::bounded(SLOTS);
        let (answers, answers_here) = channel::bounded(SLOTS);
        let (greeks_rooms, hedge_rooms) = (Rooms::new(shorts.greeks), Rooms::new(shorts.hedge));
        let session = SessionReplay::new(gateway, blank, Rooms::new(shorts.gateway));
        let greeks = spawn("replayed greeks", move || run_stage(greeks, inputs_in, outputs, greeks_rooms))?;
        let hedge = spawn("replayed hedge", move || run_stage(hedge, outputs_in, decisions, hedge_rooms))?;
        let gateway = spawn("replayed gateway", move || run_gateway(session, &calls_in, decisions_in, &answers))?;
        let (outputs, decisions, answers) = (outputs_here, decisions_here, answers_here);
        let waiting = VecDeque::new();
        Ok(Self { inputs, outputs, decisions, calls, waiting, answers, greeks, hedge, gateway })
    }
}

/// This thread's ends, while something is handed over.
fn take_sent(
    outputs: &mut Consumer<Event>,
    decisions: &mut Consumer<Instruction>,
    answers: &Receiver<Answer>,
    checks: &mut Checks<'_>,
) {
    let mut taken = outputs.drain(SLOTS, |event| checks.outputs.sent(*event));
    taken += decisions.drain(SLOTS, |instruction| checks.decided(instruction));
    for answer in answers.try_iter().take(SLOTS) {
        taken += 1;
        match answer {
            Answer::Report(event) => checks.reports.sent(event),
            Answer::Written { place, recorded, sent } => checks.written(place, &recorded, &sent),
            Answer::MissingInstruction(place) => checks.missing_instruction(place),
        }
    }
    if taken == 0 {
        thread::yield_now();
    }
}

impl Rig for SplitRig {
    fn input(&mut self, _: Place, event: &Event, checks: &mut Checks<'_>) {
        while self.inputs.try_push(*event).is_err() && !self.greeks.is_finished() {
            take_sent(&mut self.outputs, &mut self.decisions, &self.answers, checks);
        }
    }

    fn call(&mut self, place: Place, call: SessionCall, checks: &mut Checks<'_>) {
        self.waiting.push_back((place, call));
        while let Some(call) = self.waiting.pop_front() {
            if let Err(TrySendError::Full(back)) = self.calls.try_send(call) {
                self.waiting.push_front(back);
                take_sent(&mut self.outputs, &mut self.decisions, &self.answers, checks);
                break;
            }
        }
        if self.waiting.len() > WAITING_MAX {
            checks.missing_instruction(place);
        }
    }

    fn finish(self, checks: &mut Checks<'_>) -> Result<Stages, ReplayError> {
        let Self { inputs, mut outputs, mut decisions, calls, mut waiting, answers, greeks, hedge, gateway } = self;
        drop(inputs);
        while let Some(call) = waiting.pop_front() {
            if let Err(TrySendError::Full(back)) = calls.try_send(call) {
                waiting.push_front(back);
                take_sent(&mut outputs, &mut decisions, &answers, checks);
            }
        }
        drop(calls);
        while !(greeks.is_finished() && hedge.is_finished() && gateway.is_finished()) {
            take_sent(&mut outputs, &mut decisions, &answers, checks);
        }
        while !(outputs.is_drained() && decisions.is_drained() && answers.is_empty()) {
            take_sent(&mut outputs, &mut decisions, &answers, checks);
        }
        let panicked = |_| ReplayError::Machinery("a stage panicked".to_owned());
        Ok(Stages {
            greeks: greeks.join().map_err(panicked)?,
            hedge: hedge.join().map_err(panicked)?,
            gateway: gateway.join().map_err(panicked)?,
        })
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, ReplayError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| ReplayError::Machinery(error.to_string()))
}

/// Steps a stage with all that comes; what it sends waits here for room.
fn run_stage<S: Stage>(mut stage: S, mut input: Consumer<Event>, mut out: Producer<S::Out>, mut rooms: Rooms) -> S
where
    S::Out: Copy + Send + Sync,
{
    let mut sent = Vec::new();
    while !input.is_drained() {
        let Some(event) = input.try_pop() else {
            thread::yield_now();
            continue;
        };
        stage.step(&event, &mut Ration::new(&mut sent, rooms.of_next_step()));
        for message in sent.drain(..) {
            while out.try_push(message).is_err() {
                thread::yield_now();
            }
        }
    }
    stage
}

fn run_gateway(
    mut session: SessionReplay,
    calls: &Receiver<(Place, SessionCall)>,
    mut instructions: Consumer<Instruction>,
    answers: &Sender<Answer>,
) -> Gateway {
    let mut reports = Vec::new();
    // The other end of the answers outlives this thread.
    let answer = |answer| drop(answers.send(answer));
    loop {
        let (place, call) = match calls.try_recv() {
            Ok(next) => next,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                thread::yield_now();
                continue;
            }
        };
        let mut instruction = None;
        if let SessionCall::Instruction { .. } = call {
            instruction = next_instruction(&mut instructions);
            if instruction.is_none() {
                answer(Answer::MissingInstruction(place));
                break;
            }
        }
        if let SessionCall::Written { bytes, .. } = &call {
            let sent = session.next_kept(bytes.len());
            answer(Answer::Written { place, recorded: bytes.clone(), sent });
        }
        session.call(&call, instruction.as_ref(), &mut reports);
        reports.drain(..).for_each(|report| answer(Answer::Report(report)));
    }
    // Decisions that it never took hold nobody back.
    drop(instructions);
    session.gateway
}

/// Waits for the next instruction; `None` when the hedge has ended.
fn next_instruction(instructions: &mut Consumer<Instruction>) -> Option<Instruction> {
    while !instructions.is_drained() {
        if let Some(instruction) = instructions.try_pop() {
            return Some(instruction);
        }
        thread::yield_now();
    }
    None
}
