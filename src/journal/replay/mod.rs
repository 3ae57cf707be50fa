//! A recorded run once more: the stages are made from the recorded settings, meet what they met, and must send what they
//! sent.
//!
//! ```text
//!   Input ──► greeks ──► hedge ──► gateway ◄── Session (time, bytes of the venue)
//!               │          │          │ └─ bytes written ── must equal Session (bytes)
//!            Output    Decision    reports ──────────────── must be the reports among Input
//! ```
//!
//! Two topologies replay the same journal, whichever recorded it: [`inline`](Topology::Fused) on one thread, and one
//! thread a stage joined by rings. Latency stamps differ between runs that decide alike and are not compared.
//!
//! What a run sent last may be missing from a journal that was not closed; what the stages send beyond the end of such a
//! journal is counted, not held against it. Cost: two passes over the segments (the first finds shortages of room, which a
//! thread may have told of late), one segment and what is under way in memory. Failure: the first [`Difference`], with what
//! the stage had met just before.

mod checks;
mod fused;
mod session;
mod split;

pub use checks::Difference;

use std::io;

use self::checks::Checks;
use self::fused::FusedRig;
use self::split::SplitRig;
use super::{Blank, Disk, End, Place, Reader, Record, SessionCall, Settings, Shorts, StageName};
use crate::event::Event;
use crate::gateway::Gateway;
use crate::hedge::Hedge;
use crate::portfolio::{Greeks, Rebuilds};
use crate::risk::Instruction;

/// Calls of the gateway that may wait for an instruction before it counts as never sent: the rings of a pipeline hold fewer.
const WAITING_MAX: usize = 1 << 16;

/// Which stages share a thread in a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// All of them.
    Fused,
    /// None: one thread each.
    Split,
}

/// Why a run could not be replayed at all.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A segment could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The run does not begin with a head and settings.
    #[error("run {0} has no settings to replay it with: its first segment ends at byte {1}")]
    NoSettings(u32, usize),
    /// The settings are of another version.
    #[error("the settings of the run do not fit this version: {0}")]
    Settings(#[from] serde_json::Error),
    /// A thread or ring of the replay could not be made, or did not end well.
    #[error("the replay's own machinery failed: {0}")]
    Machinery(String),
}

/// What a replay came to.
#[derive(Debug)]
pub struct Replayed {
    /// How the journal ends.
    pub end: End,
    /// Where it ends.
    pub place: Place,
    /// Messages that never reached the journal.
    pub lost: u64,
    /// Events that the greeks consumed.
    pub inputs: u64,
    /// Calls of the gateway.
    pub calls: u64,
    /// Messages of the greeks that were as recorded.
    pub outputs_equal: u64,
    /// Decisions that were as recorded.
    pub decisions_equal: u64,
    /// Reports that were as the greeks consumed them.
    pub reports_equal: u64,
    /// Bytes to the venue that were as recorded.
    pub bytes_equal: u64,
    /// Messages sent beyond what the journal holds.
    pub unrecorded: u64,
    /// Where it first was not as recorded.
    pub difference: Option<Difference>,
    /// The stages as they ended.
    pub stages: Stages,
}

impl Replayed {
    /// Whether everything recorded was sent again, and the journal is whole as far as it goes.
    pub fn is_verified(&self) -> bool {
        self.difference.is_none() && self.lost == 0 && !self.end.is_fault()
    }
}

/// The stages of a replay.
#[derive(Debug)]
pub struct Stages {
    /// The greeks.
    pub greeks: Greeks,
    /// The hedge.
    pub hedge: Hedge,
    /// The gateway.
    pub gateway: Gateway,
}

impl Stages {
    fn new(settings: Settings) -> Self {
        let Settings { greeks, hedge, session } = settings;
        let greeks = Greeks::with_rebuilds(greeks, Rebuilds::Recorded);
        Self { greeks, hedge: Hedge::new(hedge), gateway: Gateway::new(session) }
    }
}

/// Stages under replay, in one topology.
trait Rig: Sized {
    /// The greeks consume an event.
    fn input(&mut self, place: Place, event: &Event, checks: &mut Checks<'_>);

    /// The gateway is called.
    fn call(&mut self, place: Place, call: SessionCall, checks: &mut Checks<'_>);

    /// Everything has been handed over.
    fn finish(self, checks: &mut Checks<'_>) -> Result<Stages, ReplayError>;
}

/// Replays a run. `decided` is shown every decision in order.
pub fn replay(
    disk: &impl Disk,
    run: u32,
    topology: Topology,
    decided: &mut dyn FnMut(&Instruction),
) -> Result<Replayed, ReplayError> {
    let survey = Survey::take(disk, run)?;
    let settings = Settings::from_json(&survey.settings)?;
    let blank = Blank::new(&settings.session);
    let stages = Stages::new(settings);
    let checks = Checks::new(decided);
    match topology {
        Topology::Fused => drive(disk, run, FusedRig::new(stages, blank, survey.shorts.clone()), checks, survey),
        Topology::Split => drive(disk, run, SplitRig::new(stages, blank, survey.shorts.clone())?, checks, survey),
    }
}

fn drive(
    disk: &impl Disk,
    run: u32,
    mut rig: impl Rig,
    mut checks: Checks<'_>,
    survey: Survey,
) -> Result<Replayed, ReplayError> {
    let mut reader = Reader::open(disk, run)?;
    let (mut inputs, mut calls) = (0, 0);
    while checks.difference().is_none()
        && let Some((place, record)) = reader.read()?
    {
        checks.met(place, &record);
        match record {
            Record::Input { event } => {
                inputs += 1;
                if event.body.is_report() {
                    checks.reports.recorded(place, event);
                }
                rig.input(place, &event, &mut checks);
            }
            Record::Output { event } => checks.outputs.recorded(place, event),
            Record::Decision { decision } => checks.decisions.recorded(place, decision),
            Record::Session { call } => {
                calls += 1;
                rig.call(place, call, &mut checks);
            }
            Record::Head { .. } | Record::Settings { .. } | Record::Short { .. } | Record::Lost { .. } => {}
            Record::Closed => {}
        }
        checks.compare();
    }
    let stages = rig.finish(&mut checks)?;
    checks.compare();
    checks.end(survey.place, survey.end == End::Closed);
    Ok(Replayed {
        end: survey.end,
        place: survey.place,
        lost: survey.lost,
        inputs,
        calls,
        outputs_equal: checks.outputs.equal,
        decisions_equal: checks.decisions.equal,
        reports_equal: checks.reports.equal,
        bytes_equal: checks.bytes_equal,
        unrecorded: checks.unrecorded(),
        difference: checks.into_difference(),
        stages,
    })
}

/// Shortages by stage.
#[derive(Clone, Debug, Default)]
struct AllShorts {
    greeks: Shorts,
    hedge: Shorts,
    gateway: Shorts,
}

/// What a first pass over the journal finds.
#[derive(Debug)]
struct Survey {
    settings: Box<[u8]>,
    shorts: AllShorts,
    lost: u64,
    end: End,
    place: Place,
}

impl Survey {
    fn take(disk: &impl Disk, run: u32) -> Result<Self, ReplayError> {
        let mut reader = Reader::open(disk, run)?;
        let (mut settings, mut shorts, mut lost) = (None, AllShorts::default(), 0);
        while let Some((_, record)) = reader.read()? {
            match record {
                Record::Settings { json } => settings = Some(json),
                Record::Short { stage, step, room } => match stage {
                    StageName::Greeks => shorts.greeks.push_back((step, room as usize)),
                    StageName::Hedge => shorts.hedge.push_back((step, room as usize)),
                    StageName::Gateway => shorts.gateway.push_back((step, room as usize)),
                },
                Record::Lost { messages, .. } => lost += messages,
                _ => {}
            }
        }
        let place = reader.place();
        let settings = settings.ok_or(ReplayError::NoSettings(run, place.offset))?;
        Ok(Self { settings, shorts, lost, end: reader.end().unwrap_or(End::Open), place })
    }
}
