//! What must hold, watched from outside: nothing here asks the stages whether they did well.
//!
//! In: what was published before the network touched it, what crossed between the stages, the bytes on the order
//! connection, the venue's own books at the end. Out: [`Violation`]s, each with the number of the invariant it breaks, as
//! they stand in the architecture.
//!
//! | checker | invariants |
//! |---|---|
//! | [`orders`] | 2 (no order overfilled), 3 (worst case within limits), 4 (nothing after a kill), 10 (ids never reused) |
//! | [`positions`] | 1 (position = unique executions, and the venue's in the end) |
//! | [`tops`] | 5 (nothing decided on a bad book), 7 (books are the venue's) |
//! | [`exposures`] | 6 (incremental greeks = full revaluation within their bound) |
//! | [`journal`] | 9 (what is read back is a prefix of what was written, and says how it ends) |
//! | [`rerun`] | 8 (what was consumed, consumed again, decides the same) |
//! | `sanity` | what an order may cost is a share of what it trades; nothing is traded while nothing moves (12) |
//! | [`Checkers::healed`] | 12 (exposure back inside its band), and that everything works again |

pub mod exposures;
pub mod journal;
pub mod orders;
pub mod positions;
pub mod rerun;
mod sanity;
pub mod tops;
mod truths;

use std::collections::BTreeMap;

use super::framing::OrderProtocol;
use super::process::{Process, Watch};
use super::venue::{Channel, Venue};
use crate::event::{Body, Event, KillLevel};
use crate::feed::Protocol;
use crate::hedge::{HedgeConfig, Policy, Target};
use crate::instrument::{BookQuality, Catalogue};
use crate::order::Request;
use crate::portfolio::GreeksConfig;
use crate::risk::{Instruction, Refusal};
use crate::runtime::Stamp;
use crate::units::{Lots, Nanos, Price, VenueInstrumentId};

use exposures::Exposures;
use journal::Journal;
use orders::Orders;
use positions::Positions;
use rerun::Rerun;
use sanity::Sanity;
use tops::Tops;

/// Violations kept; one is enough to fail, a few help to understand.
const KEPT: usize = 8;

/// Something that must hold did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant, by its number in the architecture; 0 for what is asked beyond those.
    pub invariant: u8,
    /// When, by the time of the events.
    pub time: Nanos,
    /// What was seen.
    pub what: String,
}

/// Where checkers leave what they find.
#[derive(Debug, Default)]
pub struct Findings {
    /// The first few.
    pub violations: Vec<Violation>,
    now: Nanos,
}

impl Findings {
    /// Leaves one, if there is room.
    pub fn add(&mut self, invariant: u8, what: impl FnOnce() -> String) {
        if self.violations.len() < KEPT {
            self.violations.push(Violation { invariant, time: self.now, what: what() });
        }
    }
}

/// Every checker.
#[derive(Debug)]
pub struct Checkers {
    /// What was found.
    pub findings: Findings,
    catalogue: Catalogue,
    orders: Orders,
    positions: Positions,
    tops: Tops,
    exposures: Exposures,
    sanity: Sanity,
    rerun: Rerun,
    /// What the process writes down.
    pub journal: Journal,
    /// Whether the program decides, instead of the band.
    by_program: bool,
    events: u64,
}

impl Watch for Checkers {
    fn consumed(&mut self, event: &Event) {
        self.events += 1;
        self.findings.now = self.findings.now.max(event.time);
        // What the stages' catalogues refuse, this one refuses too.
        let _ = self.catalogue.apply(&event.body);
        self.positions.consumed(&event.body);
        self.orders.consumed(&event.body, &mut self.findings);
        self.tops.consumed(&event.body, &self.catalogue, &mut self.findings);
        self.exposures.consumed(event);
        self.rerun.consumed(event);
        self.journal.consumed(event);
    }

    fn valued(&mut self, event: &Event) {
        self.journal.valued(event);
        match event.body {
            Body::Position { instrument, lots } => self.positions.opened(instrument, Lots(lots)),
            Body::Exposure { underlying, spot, .. } => {
                self.orders.valued(underlying, spot);
                self.exposures.valued(event, &self.catalogue, &self.positions, &mut self.findings);
            }
            _ => {}
        }
    }

    fn short(&mut self, step: u64, room: usize) {
        self.rerun.short(step, room);
    }

    fn decided(&mut self, instruction: &Instruction) {
        self.rerun.decided(instruction);
        self.journal.decided(instruction);
        self.orders.decided(instruction, &self.catalogue, &self.positions, &mut self.findings);
        self.tops.decided(instruction, &mut self.findings);
        if let Instruction::Send(approved) = instruction
            && let Request::New { order, instrument, side, price, .. } = *approved.request()
        {
            let touch = self.tops.touch(instrument, side);
            let tick = self.catalogue.find(instrument).map_or(Price::ZERO, |listed| listed.ticks.at(touch));
            self.sanity.decided(order, side, price, (touch, tick), &mut self.findings);
        }
    }

    fn dispatched(&mut self, _: &Instruction) {}
}

impl Checkers {
    /// Checkers of a process that is about to start with these settings, and speaks this protocol.
    pub fn new(greeks: &GreeksConfig, hedge: &HedgeConfig, orders: OrderProtocol) -> Self {
        Self {
            findings: Findings::default(),
            catalogue: Catalogue::new(),
            orders: Orders::new(hedge.limits, orders),
            positions: Positions::default(),
            tops: Tops::new(Protocol::default()),
            exposures: Exposures::default(),
            sanity: Sanity::new(hedge.slippage_e9),
            rerun: Rerun::new(greeks.clone(), *hedge),
            journal: Journal::default(),
            by_program: hedge.policy == Policy::Program,
            events: 0,
        }
    }

    /// The same for a venue whose packets are of this protocol.
    #[must_use]
    pub fn hearing(self, feed: Protocol) -> Self {
        Self { tops: Tops::new(feed), ..self }
    }

    /// Events consumed so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The venue published this.
    pub fn published(&mut self, channel: Channel, bytes: &[u8]) {
        self.tops.published(channel, bytes);
    }

    /// The market has stood still for long enough: nothing is left to be hedged.
    pub fn may_rest(&mut self) {
        self.sanity.may_rest();
    }

    /// These bytes went out on the order connection while it was shut for orders, or not.
    pub fn sent(&mut self, bytes: &[u8], is_shut: bool) {
        self.orders.sent(bytes, is_shut, &mut self.findings);
    }

    /// The order connection is gone.
    pub fn disconnected(&mut self) {
        self.orders.disconnected();
    }

    /// The process died, or ended: what it did is judged whole. Ids stay used.
    pub fn ended(&mut self) {
        self.rerun.judge(&mut self.findings);
        self.journal.judge(&mut self.findings);
    }

    /// A new process starts.
    pub fn started(&mut self, greeks: &GreeksConfig, hedge: &HedgeConfig) {
        self.catalogue = Catalogue::new();
        self.orders.restarted(hedge.limits);
        self.positions = Positions::default();
        self.tops.restarted();
        self.exposures = Exposures::default();
        self.rerun = Rerun::new(greeks.clone(), *hedge);
        self.journal.started(greeks, hedge, &mut self.findings);
    }

    /// After each step: what the stages believe against what they were told.
    pub fn look<C: Stamp>(&mut self, process: &Process<C>) {
        self.positions.look(process, &mut self.findings);
        self.tops.settled();
        self.journal.turn(self.findings.now);
    }

    /// The faults are over, the market stands still, and there was time to recover.
    pub fn healed<C: Stamp>(&mut self, process: &Process<C>, venue: &Venue) {
        let gateway = process.gateway();
        if !gateway.ready() && gateway.level() < KillLevel::Pause {
            let why = gateway.disconnect_reason();
            self.findings.add(0, || format!("the order session did not come back: {why:?}, {:?}", gateway.counters()));
        }
        let live = process.hedge().store().open_orders();
        if live > 0 {
            let orders: Vec<_> = process.hedge().store().all_live().copied().collect();
            self.findings.add(4, || format!("{live} orders never became terminal: {orders:?}"));
        }
        self.tops.healed(&self.catalogue, venue, &mut self.findings);
        self.positions.healed(&theirs(venue), &self.catalogue, &mut self.findings);
        self.sanity.healed(&mut self.findings);
        // Neither a halt, which ends with a restart, nor an order that a limit forbids is a failure to hedge.
        let gate = process.hedge().gate();
        if gate.latch().level == KillLevel::Open && gate.refusals().of(Refusal::Position) == 0 {
            inside_the_band(process, self.by_program, &mut self.findings);
        }
    }
}

/// What the client holds, as the venue counts it.
fn theirs(venue: &Venue) -> BTreeMap<VenueInstrumentId, Lots> {
    let held = venue.statement().positions.into_iter().filter(|position| position.lots.0 != 0);
    held.map(|position| (position.instrument, position.lots)).collect()
}

fn inside_the_band<C: Stamp>(process: &Process<C>, by_program: bool, findings: &mut Findings) {
    let targets: BTreeMap<&str, &Target> = process.hedge().targets().collect();
    let underlyings = process.greeks().catalogue().underlyings();
    for ((_, listed), (_, exposure)) in underlyings.zip(process.greeks().exposures()) {
        let Some(target) = targets.get(listed.name()) else { continue };
        // The band's region is known from outside; that of the program is what it says it is.
        let is_inside = exposure.net_delta.to_f64().abs() <= target.half_width() || target.is_at_rest && by_program;
        let band = target.half_width();
        let delta = exposure.net_delta.to_f64();
        if exposure.quality != BookQuality::Good {
            findings.add(12, || format!("{} is still {:?} after everything healed", listed.name(), exposure.quality));
        } else if !is_inside {
            let holds: Vec<_> = process.hedge().counters().holds.iter().filter(|(_, count)| *count > 0).collect();
            findings
                .add(12, || format!("{} ended {delta} outside its band of {band}; held by {holds:?}", listed.name()));
        }
    }
}
