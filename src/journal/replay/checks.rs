//! What was sent against what was recorded: two queues a stream, compared as far as both reach.

use std::collections::VecDeque;
use std::fmt;

use super::super::codec::Field;
use super::super::record::{Decision, hex};
use super::super::{Place, Record};
use crate::event::{Body, Event, Trail};
use crate::order::Request;
use crate::risk::Instruction;

/// Records shown before a difference.
const CONTEXT: usize = 8;

/// The first place where a replay did not send what was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The recorded frame, or the end of the journal.
    pub place: Place,
    /// Who sent.
    pub stream: &'static str,
    /// What was recorded.
    pub recorded: String,
    /// What was sent.
    pub replayed: String,
    /// The records before, oldest first, time alone left out.
    pub context: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "first difference: {} at {}", self.stream, self.place)?;
        for line in &self.context {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "  recorded  {}", self.recorded)?;
        write!(f, "  replayed  {}", self.replayed)
    }
}

/// Something that is compared without its latency stamps.
pub(super) trait Comparable: fmt::Debug {
    /// Bytes that are equal if it is.
    fn content(&self) -> Vec<u8>;
}

impl Comparable for Event {
    fn content(&self) -> Vec<u8> {
        let mut event = Event { trail: Trail::default(), ..*self };
        if let Body::Sent { decided, encoded, written, .. } = &mut event.body {
            (*decided, *encoded, *written) = (0, 0, 0);
        }
        bytes_of(&event)
    }
}

impl Comparable for Decision {
    fn content(&self) -> Vec<u8> {
        let mut decision = *self;
        if let Self::Send { request: Request::New { trail, decided, .. } | Request::Amend { trail, decided, .. } } =
            &mut decision
        {
            (*trail, *decided) = (Trail::default(), 0);
        }
        bytes_of(&decision)
    }
}

fn bytes_of(value: &impl Field) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.put(&mut bytes);
    bytes
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream<T> {
    name: &'static str,
    recorded: VecDeque<(Place, T)>,
    sent: VecDeque<T>,
    /// Messages that were alike.
    pub(super) equal: u64,
}

impl<T: Comparable> Stream<T> {
    fn new(name: &'static str) -> Self {
        Self { name, recorded: VecDeque::new(), sent: VecDeque::new(), equal: 0 }
    }

    /// The journal says that this was sent.
    pub(super) fn recorded(&mut self, place: Place, message: T) {
        self.recorded.push_back((place, message));
    }

    /// The replay sent this.
    pub(super) fn sent(&mut self, message: T) {
        self.sent.push_back(message);
    }

    /// Compares as far as both sides reach.
    fn compare(&mut self) -> Option<(Place, &'static str, String, String)> {
        while let (Some((place, recorded)), Some(sent)) = (self.recorded.front(), self.sent.front()) {
            if recorded.content() != sent.content() {
                return Some((*place, self.name, format!("{recorded:?}"), format!("{sent:?}")));
            }
            self.equal += 1;
            self.recorded.pop_front();
            self.sent.pop_front();
        }
        None
    }

    /// At the end: what is left on one side.
    fn rest(&self, end: Place, closed: bool) -> Option<(Place, &'static str, String, String)> {
        match (self.recorded.front(), self.sent.front()) {
            (Some((place, recorded)), _) => Some((*place, self.name, format!("{recorded:?}"), "nothing".to_owned())),
            (None, Some(sent)) if closed => Some((end, self.name, "nothing".to_owned(), format!("{sent:?}"))),
            _ => None,
        }
    }
}

/// All streams of a replay.
pub(super) struct Checks<'a> {
    pub(super) outputs: Stream<Event>,
    pub(super) decisions: Stream<Decision>,
    pub(super) reports: Stream<Event>,
    /// Bytes to the venue that were alike.
    pub(super) bytes_equal: u64,
    decided: &'a mut dyn FnMut(&Instruction),
    recent: VecDeque<(Place, Record)>,
    difference: Option<Difference>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(decided: &'a mut dyn FnMut(&Instruction)) -> Self {
        Self {
            outputs: Stream::new("what the greeks sent"),
            decisions: Stream::new("what the hedge decided"),
            reports: Stream::new("what the gateway reported"),
            bytes_equal: 0,
            decided,
            recent: VecDeque::new(),
            difference: None,
        }
    }

    pub(super) fn difference(&self) -> Option<&Difference> {
        self.difference.as_ref()
    }

    pub(super) fn into_difference(self) -> Option<Difference> {
        self.difference
    }

    /// Remembers a record for the context of a difference.
    pub(super) fn met(&mut self, place: Place, record: &Record) {
        let is_time = match record {
            Record::Input { event } | Record::Output { event } => event.body == Body::Clock,
            Record::Session { call } => matches!(call, super::SessionCall::Tick { .. }),
            _ => false,
        };
        if !is_time {
            self.recent.truncate(CONTEXT - 1);
            self.recent.push_front((place, record.clone()));
        }
    }

    /// The hedge decided this.
    pub(super) fn decided(&mut self, instruction: &Instruction) {
        (self.decided)(instruction);
        self.decisions.sent(Decision::from(instruction));
    }

    /// The gateway had this to send when the socket took `recorded`.
    pub(super) fn written(&mut self, place: Place, recorded: &[u8], sent: &[u8]) {
        if sent == recorded {
            self.bytes_equal += recorded.len() as u64;
        } else {
            self.differ((place, "bytes to the venue", hex(recorded), hex(sent)));
        }
    }

    /// The gateway took an instruction that the hedge never sent.
    pub(super) fn missing_instruction(&mut self, place: Place) {
        self.differ((place, "what the hedge decided", "an instruction".to_owned(), "nothing".to_owned()));
    }

    pub(super) fn compare(&mut self) {
        let found = self.outputs.compare().or_else(|| self.decisions.compare()).or_else(|| self.reports.compare());
        found.into_iter().for_each(|found| self.differ(found));
    }

    /// Nothing more comes; beyond the end of a journal that was not closed, stages may have sent more.
    pub(super) fn end(&mut self, place: Place, closed: bool) {
        let found = self.outputs.rest(place, closed).or_else(|| self.decisions.rest(place, closed));
        let found = found.or_else(|| self.reports.rest(place, closed));
        if let Some(found) = found.filter(|_| closed) {
            self.differ(found);
        }
    }

    /// Messages that the journal does not hold.
    pub(super) fn unrecorded(&self) -> u64 {
        (self.outputs.sent.len() + self.decisions.sent.len() + self.reports.sent.len()) as u64
    }

    fn differ(&mut self, (place, stream, recorded, replayed): (Place, &'static str, String, String)) {
        let context = self.recent.iter().rev().map(|(place, record)| format!("{place}: {record:?}")).collect();
        self.difference.get_or_insert(Difference { place, stream, recorded, replayed, context });
    }
}
