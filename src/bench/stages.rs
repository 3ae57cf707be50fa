//! The live stages with the opening behind them: listed, quoted, calibrated, the session logged on, no order working.

use super::market::{Ladder, Opening, Outcome, Step};
use crate::capture::CaptureError;
use crate::event::{Body, Event, Trail};
use crate::feed::{Feed, Line, Packet};
use crate::gateway::{ConfigError as SessionError, Gateway, SessionConfig};
use crate::hedge::Hedge;
use crate::order::Request;
use crate::portfolio::Greeks;
use crate::risk::Instruction;
use crate::runtime::PipelineError;
use crate::runtime::placement::PlacementError;
use crate::runtime::socket::SocketError;
use crate::sim::venue::{ConfigError, UniverseConfig, Venue, VenueConfig};
use crate::stage::Stage;
use crate::units::{Nanos, Ticks};

/// Why stages could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The venue does not list what is to be held.
    #[error(transparent)]
    Venue(#[from] ConfigError),
    /// The venue's own credentials do not fit its session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A socket of the harness failed.
    #[error("the harness's own sockets: {0}")]
    Socket(#[from] std::io::Error),
    /// A socket of the pipeline's kind could not be had.
    #[error(transparent)]
    Open(#[from] SocketError),
    /// The live pipeline did not start, or did not end well.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// A capture cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Its threads cannot be laid out.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The venue does not answer a logon.
    #[error("the embedded venue did not take the logon")]
    Logon,
}

/// Every stage, and the market's next packets.
#[derive(Debug)]
pub(super) struct Stages {
    /// Packets to events.
    pub(super) feed: Feed,
    /// Events to exposures.
    pub(super) greeks: Greeks,
    /// Exposures to instructions.
    pub(super) hedge: Hedge,
    /// Instructions to bytes.
    pub(super) gateway: Gateway,
    /// What ticks.
    pub(super) ladder: Ladder,
    /// Event time.
    pub(super) now: Nanos,
}

impl Stages {
    /// Plays an opening to stages whose every tick will end as asked.
    pub(super) fn open(opening: &Opening, outcome: Outcome) -> Result<Self, OpenError> {
        let config =
            VenueConfig { universe: UniverseConfig { strikes: 1, ..Default::default() }, ..Default::default() };
        let session = SessionConfig::new(&config.session.client_id, &config.session.secret)?;
        let mut stages = Self {
            feed: Feed::new(opening.feed()),
            greeks: Greeks::new(opening.greeks()),
            hedge: Hedge::new(opening.hedge(outcome)),
            gateway: Gateway::new(session),
            ladder: opening.ladder,
            now: opening.end,
        };
        for step in &opening.steps {
            let mut events = Vec::new();
            match step {
                Step::Packet { time, port, bytes } => {
                    let packet = Packet { time: *time, received: Ticks(1), port: *port, line: Line::A, bytes };
                    stages.feed.step(&packet, &mut events);
                }
                Step::Event(event) => events.push(*event),
                Step::Clock(time) => {
                    stages.feed.tick(*time, &mut events);
                    events.push(Event::clock(*time));
                }
            }
            stages.settle(events);
        }
        stages.log_on(Venue::new(config)?)?;
        Ok(stages)
    }

    /// Takes events all the way, each order ended by the venue unfilled.
    pub(super) fn settle(&mut self, mut events: Vec<Event>) {
        let (mut exposures, mut instructions) = (Vec::new(), Vec::new());
        while !events.is_empty() {
            events.drain(..).for_each(|event| self.greeks.step(&event, &mut exposures));
            exposures.drain(..).for_each(|event| self.hedge.step(&event, &mut instructions));
            for instruction in instructions.drain(..) {
                match cancelled(&instruction, self.now) {
                    Some(report) => events.push(report),
                    None => self.gateway.step(&instruction, self.now, &mut events),
                }
            }
        }
    }

    /// Lets the session be accepted by a venue, which is then gone without a word.
    fn log_on(&mut self, mut venue: Venue) -> Result<(), OpenError> {
        const TURNS_MAX: u32 = 100;
        let mut reports = Vec::new();
        venue.connect(self.now);
        self.gateway.connected(self.now);
        for _ in 0..TURNS_MAX {
            venue.receive(self.gateway.pending(), self.now);
            self.gateway.written(self.gateway.pending().len(), Ticks(1), &mut reports);
            let taken = self.gateway.receive(venue.outgoing(), self.now, &mut reports);
            venue.outgoing().drain(..taken);
            if self.gateway.ready() {
                self.settle(reports);
                return Ok(());
            }
        }
        Err(OpenError::Logon)
    }
}

/// The venue's word on an order that met nobody; `None` of anything but a new order.
pub(super) fn cancelled(instruction: &Instruction, now: Nanos) -> Option<Event> {
    let Instruction::Send(approved) = instruction else { return None };
    let Request::New { order, instrument, .. } = *approved.request() else { return None };
    let body = Body::Cancelled { order, instrument, cum_lots: 0, reason: 0 };
    Some(Event { trail: Trail::default(), time: now, body })
}
