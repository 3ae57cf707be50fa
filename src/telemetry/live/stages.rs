//! What each stage shows of itself while it runs: plain words, copied whole into a latest-value cell.
//!
//! In: a stage, read by the thread that steps it. Out: words of eight bytes, so that a cell can hold them. A reading costs
//! one pass over the stage's counters, one to two hundred words; nothing allocates.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::event::{KillCause, KillLevel, Operator};
use crate::feed::arbiter::LINES;
use crate::feed::{Feed, Line, LineStats};
use crate::gateway::Gateway;
use crate::hedge::{Hedge, Hold};
use crate::instrument::{SYMBOL_BYTES_MAX, UNDERLYINGS_MAX};
use crate::order::{ComparisonCounters, Order, OrderState};
use crate::portfolio::Greeks;
use crate::risk::Refusal;
use crate::surface::Surface;
use crate::units::{ONE_E9, Side};

/// Live orders shown at most.
pub const ORDERS_SHOWN: usize = 16;

/// How the reading end of a ring stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct RingShown {
    /// Messages that waited.
    pub lag: u64,
    /// Messages that found no room.
    pub full: u64,
}

/// What one line of market data did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct LineShown {
    /// Packets received.
    pub packets: u64,
    /// Those that were the first copy.
    pub first: u64,
    /// Packets missing.
    pub missing: u64,
    /// Second copies of other bytes.
    pub divergent: u64,
    /// 1 while another line speaks and this one is silent.
    pub is_down: u64,
    /// When it was last heard, nanoseconds since the epoch; 0 for never.
    pub heard_ns: u64,
}

impl LineShown {
    fn of(stats: &LineStats, heard_ns: u64) -> Self {
        Self {
            packets: stats.packets,
            first: stats.first,
            missing: stats.missing,
            divergent: stats.divergent,
            is_down: u64::from(stats.is_down),
            heard_ns,
        }
    }
}

/// The feed and its sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct FeedShown {
    /// Packets offered.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Holes in a channel's sequence.
    pub sequence_gaps: u64,
    /// Packets missing in those.
    pub packets_missing: u64,
    /// Book changes that did not follow their book.
    pub chain_breaks: u64,
    /// Packets and messages that could not be read.
    pub decode_errors: u64,
    /// Definitions refused.
    pub definitions_refused: u64,
    /// Books that lost their integrity.
    pub books_gapped: u64,
    /// Books taken from a snapshot.
    pub books_seeded: u64,
    /// Channels that fell silent.
    pub silences: u64,
    /// Updates absorbed by one that still waited.
    pub conflated: u64,
    /// Instruments listed.
    pub instruments: u64,
    /// Holes that no line filled.
    pub recovery_holes: u64,
    /// Those filled on request.
    pub recovery_filled: u64,
    /// Requests for what was missing.
    pub recovery_requests: u64,
    /// Datagrams that the kernel dropped.
    pub kernel_drops: u64,
    /// Failed calls on sockets.
    pub receive_errors: u64,
    /// By [`Line`].
    pub lines: [LineShown; LINES],
}

impl FeedShown {
    /// The feed as it stands; `heard_ns` says when each line was last heard.
    pub fn of(feed: &Feed, heard_ns: &[u64; LINES]) -> Self {
        let (counters, recovery) = (feed.counters(), feed.recovery());
        let line = |line: Line| LineShown::of(&feed.line(line), heard_ns[line as usize]);
        Self {
            packets: counters.packets,
            bytes: counters.bytes,
            sequence_gaps: counters.sequence_gaps,
            packets_missing: counters.packets_missing,
            chain_breaks: counters.chain_breaks,
            decode_errors: counters.decode_errors_total(),
            definitions_refused: counters.refused_total(),
            books_gapped: counters.books_gapped,
            books_seeded: counters.books_seeded,
            silences: counters.silences,
            conflated: counters.conflated,
            instruments: feed.catalogue().instruments().len() as u64,
            recovery_holes: recovery.holes,
            recovery_filled: recovery.recovered,
            recovery_requests: recovery.requests,
            kernel_drops: 0,
            receive_errors: 0,
            lines: [line(Line::A), line(Line::B), line(Line::Resent)],
        }
    }
}

/// What the book is exposed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct ExposureShown {
    /// The underlying's name, padded.
    pub name: [u8; 16],
    /// Its place in [`QUALITIES`].
    pub quality: u64,
    /// Coins.
    pub net_delta: f64,
    /// Bound on the error of that, coins.
    pub delta_bound: f64,
    /// Change of net delta per unit of ln(spot), coins.
    pub log_gamma: f64,
    /// Quote currency.
    pub spot: f64,
}

impl ExposureShown {
    /// The underlying's name.
    pub fn name(&self) -> &str {
        text(&self.name)
    }

    /// Whether it may be acted on, or why not.
    pub fn quality(&self) -> &'static str {
        QUALITIES[(self.quality as usize).min(QUALITIES.len() - 1)]
    }
}

/// Names of [`BookQuality`](crate::instrument::BookQuality), by its number.
pub const QUALITIES: [&str; 5] = ["good", "crossed", "stale", "gapped", "unknown"];

/// The greeks, and the ends of their input rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct GreeksShown {
    /// Exposures sent.
    pub exposures_sent: u64,
    /// Underlyings revalued.
    pub revaluations: u64,
    /// Fills applied.
    pub fills: u64,
    /// Fills that could not be booked.
    pub fills_lost: u64,
    /// Reports and reference data lost at the end of the backlog.
    pub backlog_lost: u64,
    /// Anchors taken up.
    pub anchors_adopted: u64,
    /// Anchors made on the greeks' thread because an answer did not come.
    pub anchors_fallback: u64,
    /// Underlyings in `exposures`.
    pub underlyings: u64,
    /// By underlying.
    pub exposures: [ExposureShown; UNDERLYINGS_MAX],
    /// Market data; absent where feed and greeks share a thread.
    pub market: RingShown,
    /// Execution reports.
    pub reports: RingShown,
    /// Calibrations.
    pub calibrations: RingShown,
    /// An operator's commands.
    pub commands: RingShown,
}

impl GreeksShown {
    /// The greeks as they stand.
    pub fn of(greeks: &Greeks) -> Self {
        let (counters, rebuilds) = (greeks.counters(), greeks.rebuilds());
        let mut shown = Self {
            exposures_sent: counters.exposures,
            revaluations: counters.revaluations,
            fills: counters.fills,
            fills_lost: counters.fills_lost,
            backlog_lost: counters.backlog_lost,
            anchors_adopted: rebuilds.adopted,
            anchors_fallback: rebuilds.fallbacks,
            ..Self::default()
        };
        let known = greeks.catalogue().underlyings().zip(greeks.exposures());
        for (slot, ((_, underlying), (_, exposure))) in shown.exposures.iter_mut().zip(known) {
            slot.name = padded(underlying.name().as_bytes());
            slot.quality = exposure.quality as u64;
            slot.net_delta = exposure.net_delta.to_f64();
            slot.delta_bound = f64::from(exposure.delta_bound);
            slot.log_gamma = exposure.log_gamma.to_f64();
            slot.spot = exposure.spot.to_f64();
            shown.underlyings += 1;
        }
        shown
    }

    /// The underlyings known.
    pub fn known(&self) -> &[ExposureShown] {
        &self.exposures[..(self.underlyings as usize).min(UNDERLYINGS_MAX)]
    }
}

/// How an underlying is hedged.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct TargetShown {
    /// The underlying's name, padded.
    pub name: [u8; 16],
    /// Net delta as the hedge last heard it, coins.
    pub net_delta: f64,
    /// Half-width of the no-trade band at the last decision, coins.
    pub half_width: f64,
    /// 1 when the last decision was to leave it as it is.
    pub is_at_rest: u64,
}

impl TargetShown {
    /// The underlying's name.
    pub fn name(&self) -> &str {
        text(&self.name)
    }
}

/// An order that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct OrderShown {
    /// Our number.
    pub order: u64,
    /// The instrument's name, padded.
    pub symbol: [u8; 32],
    /// 1 to buy, -1 to sell.
    pub sign: i64,
    /// Limit price, quote currency.
    pub price: f64,
    /// Lots asked for.
    pub lots: u64,
    /// Lots filled.
    pub filled: u64,
    /// An [`OrderState`].
    pub state: u64,
}

impl OrderShown {
    fn of(order: &Order, symbol: &[u8]) -> Self {
        Self {
            order: order.new.order.0,
            symbol: padded(symbol),
            sign: order.new.side.sign(),
            price: order.terms.price.to_f64(),
            lots: u64::from(order.terms.lots),
            filled: u64::from(order.cum_lots),
            state: order.state as u64,
        }
    }

    /// The instrument's name.
    pub fn symbol(&self) -> &str {
        text(&self.symbol)
    }

    /// Which way.
    pub fn side(&self) -> Side {
        if self.sign < 0 { Side::Sell } else { Side::Buy }
    }

    /// Where it stands, as the desk calls it.
    pub fn state(&self) -> &'static str {
        const NAMES: [(OrderState, &str); 7] = [
            (OrderState::Decided, "decided"),
            (OrderState::Sent, "sent"),
            (OrderState::Working, "working"),
            (OrderState::PartiallyFilled, "partly filled"),
            (OrderState::AmendPending, "amend pending"),
            (OrderState::CancelPending, "cancel pending"),
            (OrderState::Unknown, "unknown"),
        ];
        NAMES.iter().find(|(state, _)| *state as u64 == self.state).map_or("ended", |(_, name)| name)
    }
}

/// The hedge, risk and the orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct HedgeShown {
    /// Orders decided on and approved.
    pub orders: u64,
    /// Orders the venue refused.
    pub rejects: u64,
    /// Cancels sent for orders that stayed without an answer.
    pub overdue: u64,
    /// Reports that contradict what is known.
    pub strange_reports: u64,
    /// Orders given up as unknown.
    pub alarmed: u64,
    /// Orders that have not ended.
    pub open_orders: u64,
    /// What is lost by the measure of the loss limit, quote currency.
    pub lost: f64,
    /// A [`KillLevel`].
    pub level: u64,
    /// A [`KillCause`].
    pub cause: u64,
    /// Who, padded.
    pub by: [u8; 16],
    /// Since when, nanoseconds since the epoch.
    pub since_ns: u64,
    /// Decisions that did not become orders, by [`Hold`].
    pub holds: [u64; Hold::ALL.len()],
    /// Requests refused, by [`Refusal`].
    pub refusals: [u64; Refusal::ALL.len()],
    /// Underlyings in `targets`.
    pub underlyings: u64,
    /// By underlying.
    pub targets: [TargetShown; UNDERLYINGS_MAX],
    /// Orders in `live`.
    pub live_shown: u64,
    /// Some of the orders that have not ended.
    pub live: [OrderShown; ORDERS_SHOWN],
    /// Exposures; absent where greeks and hedge share a thread.
    pub exposures: RingShown,
}

impl HedgeShown {
    /// The hedge as it stands.
    pub fn of(hedge: &Hedge) -> Self {
        let (counters, latch, store) = (hedge.counters(), hedge.gate().latch(), hedge.store());
        let mut shown = Self {
            orders: counters.orders,
            rejects: counters.rejects,
            overdue: counters.overdue,
            strange_reports: counters.strange_reports,
            alarmed: store.counters().alarmed,
            open_orders: u64::from(store.open_orders()),
            lost: hedge.gate().lost_e9() as f64 / ONE_E9 as f64,
            level: latch.level as u64,
            cause: latch.cause as u64,
            by: latch.by.0,
            since_ns: latch.since.0,
            holds: Hold::ALL.map(|hold| counters.holds.of(hold)),
            refusals: Refusal::ALL.map(|refusal| hedge.gate().refusals().of(refusal)),
            ..Self::default()
        };
        for (slot, (name, target)) in shown.targets.iter_mut().zip(hedge.targets()) {
            slot.name = padded(name.as_bytes());
            slot.net_delta = target.net_delta.to_f64();
            slot.half_width = target.half_width();
            slot.is_at_rest = u64::from(target.is_at_rest);
            shown.underlyings += 1;
        }
        for (slot, order) in shown.live.iter_mut().zip(store.all_live()) {
            *slot = OrderShown::of(order, hedge.symbol(order.new.instrument).as_bytes());
            shown.live_shown += 1;
        }
        shown
    }

    /// How much may leave.
    pub fn level(&self) -> KillLevel {
        KillLevel::ALL[(self.level as usize).min(KillLevel::ALL.len() - 1)]
    }

    /// Why no more.
    pub fn cause(&self) -> KillCause {
        KillCause::ALL[(self.cause as usize).min(KillCause::ALL.len() - 1)]
    }

    /// Who says so.
    pub fn by(&self) -> Operator {
        Operator(self.by)
    }

    /// The underlyings known.
    pub fn known(&self) -> &[TargetShown] {
        &self.targets[..(self.underlyings as usize).min(UNDERLYINGS_MAX)]
    }

    /// The orders shown.
    pub fn live(&self) -> &[OrderShown] {
        &self.live[..(self.live_shown as usize).min(ORDERS_SHOWN)]
    }
}

/// The order session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct GatewayShown {
    /// 1 when orders leave at all.
    pub is_armed: u64,
    /// 1 while connected.
    pub is_connected: u64,
    /// 1 while a new order would be encoded.
    pub is_ready: u64,
    /// 1 while the kill switch keeps the way out shut.
    pub is_shut: u64,
    /// Orders encoded.
    pub orders: u64,
    /// Amendments encoded.
    pub amends: u64,
    /// Cancels encoded.
    pub cancels: u64,
    /// Requests answered here.
    pub refused: u64,
    /// Requests kept back because the session is not armed.
    pub withheld: u64,
    /// Frames of the venue taken.
    pub frames: u64,
    /// Frames beyond a gap.
    pub gaps: u64,
    /// Session-level rejects.
    pub rejects: u64,
    /// Messages not laid out as their type says.
    pub malformed: u64,
    /// Connections lost or closed.
    pub disconnects: u64,
    /// Instructions.
    pub instructions: RingShown,
}

impl GatewayShown {
    /// The gateway as it stands.
    pub fn of(gateway: &Gateway) -> Self {
        let counters = gateway.counters();
        Self {
            is_armed: u64::from(gateway.is_armed()),
            is_connected: u64::from(gateway.is_connected()),
            is_ready: u64::from(gateway.ready()),
            is_shut: u64::from(gateway.level() >= KillLevel::Pause),
            orders: counters.orders,
            amends: counters.amends,
            cancels: counters.cancels,
            refused: counters.refused,
            withheld: counters.withheld,
            frames: counters.frames,
            gaps: counters.gaps,
            rejects: counters.rejects,
            malformed: counters.malformed,
            disconnects: counters.disconnects,
            instructions: RingShown::default(),
        }
    }
}

/// The surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SurfaceShown {
    /// Expiries fitted.
    pub fits: u64,
    /// Fits that left the smile as it was.
    pub smiles_kept: u64,
    /// Prices that could not be used.
    pub prices_refused: u64,
    /// Prices without an implied volatility.
    pub inversions_failed: u64,
    /// Market data.
    pub market: RingShown,
}

impl SurfaceShown {
    /// The surface as it stands.
    pub fn of(surface: &Surface) -> Self {
        let counters = surface.counters();
        Self {
            fits: counters.fits,
            smiles_kept: counters.smiles_kept,
            prices_refused: counters.prices_refused,
            inversions_failed: counters.inversions_failed,
            market: RingShown::default(),
        }
    }
}

/// The comparison with the drop copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct DropCopyShown {
    /// 1 while its session is whole.
    pub is_up: u64,
    /// Executions by what became of them, in the order of [`Self::OUTCOMES`].
    pub executions: [u64; Self::OUTCOMES.len()],
}

impl DropCopyShown {
    /// What becomes of an execution that the account is told of.
    pub const OUTCOMES: [&str; 8] = [
        "matched",
        "matched_late",
        "unwitnessed",
        "untold_by_session",
        "untold_by_drop_copy",
        "contradicted",
        "overrun",
        "foreign",
    ];

    /// The comparison as it stands, and executions of orders that are not ours.
    pub fn of(counters: &ComparisonCounters, foreign: u64, is_up: bool) -> Self {
        let ComparisonCounters {
            matched,
            late,
            unwitnessed,
            untold_by_session,
            untold_by_drop_copy,
            contradicted,
            overrun,
        } = *counters;
        let executions =
            [matched - late, late, unwitnessed, untold_by_session, untold_by_drop_copy, contradicted, overrun, foreign];
        Self { is_up: u64::from(is_up), executions }
    }
}

const _: () = assert!(SYMBOL_BYTES_MAX <= 32);

/// As much of `bytes` as fits, the rest zeros.
fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    padded.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
    padded
}

fn text(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).unwrap_or_default()
}
