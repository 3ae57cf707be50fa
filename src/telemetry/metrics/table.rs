//! Every metric: its name, kind, labels and meaning, and where it is read.

use super::Read::{DropCopy, Feed, Gateway, Greeks, Hedge, Recorded, Surface, Whole};
use super::{Family, Kind, Read, seconds};
use crate::event::KillLevel;
use crate::hedge::Hold;
use crate::risk::Refusal;
use crate::telemetry::Hop;
use crate::telemetry::live::{DropCopyShown, FeedShown, JournalShown, LineShown, QUALITIES};

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str, read: Read) -> Family {
    Family { name, kind: Kind::Counter, labels, help, read }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str, read: Read) -> Family {
    Family { name, kind: Kind::Gauge, labels, help, read }
}

/// Names of lines, by their number.
const LINES: [&str; 3] = ["a", "b", "resent"];

/// Every family, in the order of the page.
pub const FAMILIES: &[Family] = &[
    gauge(
        "hedgecore_build_info",
        &["version", "topology"],
        "Always 1; the labels say what runs.",
        Whole(|now, out| out.put(&[env!("CARGO_PKG_VERSION"), now.topology], 1)),
    ),
    gauge(
        "hedgecore_uptime_seconds",
        &[],
        "Since the pipeline started.",
        Whole(|now, out| out.put(&[], seconds(now.up_ns as f64))),
    ),
    counter(
        "hedgecore_hot_allocations_total",
        &[],
        "Heap allocations on hot threads after start-up; anything but 0 is a defect.",
        Whole(|now, out| out.put(&[], now.hot_allocations)),
    ),
    gauge(
        "hedgecore_ring_lag_messages",
        &["ring"],
        "Messages that wait in a ring between two threads, named by who writes and who reads; of the recorder's, the most \
         in a quarter of a second.",
        Whole(|now, out| now.rings().iter().for_each(|(name, ring)| out.put(&[name], ring.lag))),
    ),
    counter(
        "hedgecore_ring_full_total",
        &["ring"],
        "Times a ring had no room: market data conflates, the recorder's rings lose.",
        Whole(|now, out| now.rings().iter().for_each(|(name, ring)| out.put(&[name], ring.full))),
    ),
    // The feed.
    counter(
        "hedgecore_feed_packets_total",
        &[],
        "Market-data packets taken.",
        Feed(|feed, out| out.put(&[], feed.packets)),
    ),
    counter("hedgecore_feed_bytes_total", &[], "Their bytes.", Feed(|feed, out| out.put(&[], feed.bytes))),
    counter(
        "hedgecore_feed_gaps_total",
        &[],
        "Holes in a channel's sequence.",
        Feed(|feed, out| out.put(&[], feed.sequence_gaps)),
    ),
    counter(
        "hedgecore_feed_missing_packets_total",
        &[],
        "Packets missing in those.",
        Feed(|feed, out| out.put(&[], feed.packets_missing)),
    ),
    counter(
        "hedgecore_feed_chain_breaks_total",
        &[],
        "Book changes that did not follow their book.",
        Feed(|feed, out| out.put(&[], feed.chain_breaks)),
    ),
    counter(
        "hedgecore_feed_decode_errors_total",
        &[],
        "Packets and messages that could not be read.",
        Feed(|feed, out| out.put(&[], feed.decode_errors)),
    ),
    counter(
        "hedgecore_feed_definitions_refused_total",
        &[],
        "Instrument definitions refused.",
        Feed(|feed, out| out.put(&[], feed.definitions_refused)),
    ),
    counter(
        "hedgecore_feed_books_gapped_total",
        &[],
        "Books that lost their integrity.",
        Feed(|feed, out| out.put(&[], feed.books_gapped)),
    ),
    counter(
        "hedgecore_feed_books_seeded_total",
        &[],
        "Books taken from a snapshot.",
        Feed(|feed, out| out.put(&[], feed.books_seeded)),
    ),
    counter(
        "hedgecore_feed_silences_total",
        &[],
        "Channels that fell silent.",
        Feed(|feed, out| out.put(&[], feed.silences)),
    ),
    counter(
        "hedgecore_feed_conflated_total",
        &[],
        "Updates absorbed by one that still waited for room.",
        Feed(|feed, out| out.put(&[], feed.conflated)),
    ),
    gauge("hedgecore_feed_instruments", &[], "Instruments listed.", Feed(|feed, out| out.put(&[], feed.instruments))),
    counter(
        "hedgecore_feed_recovery_holes_total",
        &[],
        "Holes that no line filled.",
        Feed(|feed, out| out.put(&[], feed.recovery_holes)),
    ),
    counter(
        "hedgecore_feed_recovery_filled_total",
        &[],
        "Those filled on request.",
        Feed(|feed, out| out.put(&[], feed.recovery_filled)),
    ),
    counter(
        "hedgecore_feed_recovery_requests_total",
        &[],
        "Requests for what was missing.",
        Feed(|feed, out| out.put(&[], feed.recovery_requests)),
    ),
    counter(
        "hedgecore_socket_kernel_drops_total",
        &[],
        "Datagrams that the kernel dropped because a receive buffer was full.",
        Feed(|feed, out| out.put(&[], feed.kernel_drops)),
    ),
    counter(
        "hedgecore_socket_receive_errors_total",
        &[],
        "Failed calls on market-data sockets.",
        Feed(|feed, out| out.put(&[], feed.receive_errors)),
    ),
    // Its lines, once heard.
    counter(
        "hedgecore_line_packets_total",
        &["line"],
        "Packets received on a line.",
        Feed(|feed, out| heard(feed, |name, line| out.put(&[name], line.packets))),
    ),
    counter(
        "hedgecore_line_first_packets_total",
        &["line"],
        "Packets of which a line brought the first copy.",
        Feed(|feed, out| heard(feed, |name, line| out.put(&[name], line.first))),
    ),
    counter(
        "hedgecore_line_missing_packets_total",
        &["line"],
        "Packets missing on a line.",
        Feed(|feed, out| heard(feed, |name, line| out.put(&[name], line.missing))),
    ),
    counter(
        "hedgecore_line_divergent_packets_total",
        &["line"],
        "Second copies whose bytes were others; anything but 0 is an alarm.",
        Feed(|feed, out| heard(feed, |name, line| out.put(&[name], line.divergent))),
    ),
    gauge(
        "hedgecore_line_up",
        &["line"],
        "0 while a line is silent and another speaks.",
        Feed(|feed, out| heard(feed, |name, line| out.put(&[name], u8::from(line.is_down == 0)))),
    ),
    gauge(
        "hedgecore_line_last_packet_timestamp_seconds",
        &["line"],
        "When a line was last heard, since the epoch.",
        Feed(|feed, out| heard(feed, |name, line| out.put(&[name], seconds(line.heard_ns as f64)))),
    ),
    // The surface.
    counter(
        "hedgecore_surface_fits_total",
        &[],
        "Expiries fitted.",
        Surface(|surface, out| out.put(&[], surface.fits)),
    ),
    counter(
        "hedgecore_surface_smiles_kept_total",
        &[],
        "Fits that left the smile as it was, because what they found had arbitrage.",
        Surface(|surface, out| out.put(&[], surface.smiles_kept)),
    ),
    counter(
        "hedgecore_surface_prices_refused_total",
        &[],
        "Prices that could not be used.",
        Surface(|surface, out| out.put(&[], surface.prices_refused)),
    ),
    counter(
        "hedgecore_surface_inversions_failed_total",
        &[],
        "Prices without an implied volatility.",
        Surface(|surface, out| out.put(&[], surface.inversions_failed)),
    ),
    // The greeks.
    gauge(
        "hedgecore_net_delta_coins",
        &["underlying"],
        "Net delta of the book.",
        Greeks(|greeks, out| greeks.known().iter().for_each(|one| out.put(&[one.name()], one.net_delta))),
    ),
    gauge(
        "hedgecore_net_delta_error_bound_coins",
        &["underlying"],
        "Certified bound on the error of that.",
        Greeks(|greeks, out| greeks.known().iter().for_each(|one| out.put(&[one.name()], one.delta_bound))),
    ),
    gauge(
        "hedgecore_log_gamma_coins",
        &["underlying"],
        "Change of net delta per unit of ln(spot).",
        Greeks(|greeks, out| greeks.known().iter().for_each(|one| out.put(&[one.name()], one.log_gamma))),
    ),
    gauge(
        "hedgecore_spot_price",
        &["underlying"],
        "Spot that exposures were computed at, quote currency.",
        Greeks(|greeks, out| greeks.known().iter().for_each(|one| out.put(&[one.name()], one.spot))),
    ),
    gauge(
        "hedgecore_exposure_quality",
        &["underlying", "quality"],
        "1 for the quality of an exposure, 0 for the others; only a good one is hedged.",
        Greeks(|greeks, out| {
            for one in greeks.known() {
                QUALITIES.iter().for_each(|name| out.put(&[one.name(), name], u8::from(*name == one.quality())));
            }
        }),
    ),
    counter(
        "hedgecore_exposures_total",
        &[],
        "Exposures computed and sent.",
        Greeks(|greeks, out| out.put(&[], greeks.exposures_sent)),
    ),
    counter(
        "hedgecore_revaluations_total",
        &[],
        "Revaluations of the whole book in an underlying.",
        Greeks(|greeks, out| out.put(&[], greeks.revaluations)),
    ),
    counter(
        "hedgecore_fills_total",
        &[],
        "Fills applied to positions.",
        Greeks(|greeks, out| out.put(&[], greeks.fills)),
    ),
    counter(
        "hedgecore_fills_lost_total",
        &[],
        "Fills that could not be booked; anything but 0 is an alarm.",
        Greeks(|greeks, out| out.put(&[], greeks.fills_lost)),
    ),
    counter(
        "hedgecore_greeks_backlog_lost_total",
        &[],
        "Reports and reference data lost at the end of the greeks' backlog; anything but 0 is an alarm.",
        Greeks(|greeks, out| out.put(&[], greeks.backlog_lost)),
    ),
    counter(
        "hedgecore_anchors_adopted_total",
        &[],
        "Rebuilt anchors taken up.",
        Greeks(|greeks, out| out.put(&[], greeks.anchors_adopted)),
    ),
    counter(
        "hedgecore_anchors_fallback_total",
        &[],
        "Anchors made on the greeks' thread because an answer did not come.",
        Greeks(|greeks, out| out.put(&[], greeks.anchors_fallback)),
    ),
    // The hedge, risk and orders.
    gauge(
        "hedgecore_band_half_width_coins",
        &["underlying"],
        "Half-width of the no-trade band at the last decision.",
        Hedge(|hedge, out| hedge.known().iter().for_each(|one| out.put(&[one.name()], one.half_width))),
    ),
    gauge(
        "hedgecore_hedge_at_rest",
        &["underlying"],
        "1 when the last decision was to leave the exposure as it is.",
        Hedge(|hedge, out| hedge.known().iter().for_each(|one| out.put(&[one.name()], one.is_at_rest))),
    ),
    counter(
        "hedgecore_holds_total",
        &["reason"],
        "Decisions that did not become orders.",
        Hedge(|hedge, out| Hold::ALL.iter().zip(hedge.holds).for_each(|(hold, count)| out.put(&[hold.name()], count))),
    ),
    counter(
        "hedgecore_orders_total",
        &[],
        "Orders decided on and approved.",
        Hedge(|hedge, out| out.put(&[], hedge.orders)),
    ),
    counter(
        "hedgecore_refusals_total",
        &["reason"],
        "Orders that risk refused.",
        Hedge(|hedge, out| {
            Refusal::ALL.iter().zip(hedge.refusals).for_each(|(refusal, count)| out.put(&[refusal.name()], count));
        }),
    ),
    counter(
        "hedgecore_orders_rejected_total",
        &[],
        "Orders that the venue refused.",
        Hedge(|hedge, out| out.put(&[], hedge.rejects)),
    ),
    counter(
        "hedgecore_orders_overdue_total",
        &[],
        "Orders asked back because they stayed without an answer.",
        Hedge(|hedge, out| out.put(&[], hedge.overdue)),
    ),
    counter(
        "hedgecore_orders_alarmed_total",
        &[],
        "Orders given up as unknown; anything but 0 is an alarm.",
        Hedge(|hedge, out| out.put(&[], hedge.alarmed)),
    ),
    counter(
        "hedgecore_strange_reports_total",
        &[],
        "Reports that contradict what is known.",
        Hedge(|hedge, out| out.put(&[], hedge.strange_reports)),
    ),
    gauge(
        "hedgecore_open_orders",
        &[],
        "Orders that have not ended.",
        Hedge(|hedge, out| out.put(&[], hedge.open_orders)),
    ),
    gauge(
        "hedgecore_loss",
        &[],
        "What is lost by the measure of the loss limit, quote currency; a gain is below zero.",
        Hedge(|hedge, out| out.put(&[], hedge.lost)),
    ),
    gauge(
        "hedgecore_kill_level",
        &["level"],
        "1 for the level of the kill switch in force, 0 for the others.",
        Hedge(|hedge, out| {
            KillLevel::ALL.iter().for_each(|level| out.put(&[level.name()], u8::from(*level == hedge.level())));
        }),
    ),
    gauge(
        "hedgecore_kill_since_timestamp_seconds",
        &["cause", "by"],
        "Since when it is in force, since the epoch; 0 when it never moved. The labels say why, and in whose name.",
        Hedge(|hedge, out| {
            let cause = if hedge.since_ns == 0 { "-" } else { hedge.cause().name() };
            out.put(&[cause, hedge.by().name()], seconds(hedge.since_ns as f64));
        }),
    ),
    // The order session.
    gauge(
        "hedgecore_session_armed",
        &[],
        "1 when orders leave at all, 0 in a dry run.",
        Gateway(|gateway, out| out.put(&[], gateway.is_armed)),
    ),
    gauge(
        "hedgecore_session_connected",
        &[],
        "1 while the order session is connected.",
        Gateway(|gateway, out| out.put(&[], gateway.is_connected)),
    ),
    gauge(
        "hedgecore_session_ready",
        &[],
        "1 while a new order would be sent.",
        Gateway(|gateway, out| out.put(&[], gateway.is_ready)),
    ),
    gauge(
        "hedgecore_session_shut",
        &[],
        "1 while the kill switch keeps the way out shut.",
        Gateway(|gateway, out| out.put(&[], gateway.is_shut)),
    ),
    counter(
        "hedgecore_session_requests_total",
        &["kind"],
        "Requests encoded for the venue, and those answered or kept back here.",
        Gateway(|gateway, out| {
            out.put(&["order"], gateway.orders);
            out.put(&["amend"], gateway.amends);
            out.put(&["cancel"], gateway.cancels);
            out.put(&["refused"], gateway.refused);
            out.put(&["withheld"], gateway.withheld);
        }),
    ),
    counter(
        "hedgecore_session_frames_total",
        &[],
        "Messages of the venue taken.",
        Gateway(|gateway, out| out.put(&[], gateway.frames)),
    ),
    counter(
        "hedgecore_session_gaps_total",
        &[],
        "Messages of the venue beyond a gap.",
        Gateway(|gateway, out| out.put(&[], gateway.gaps)),
    ),
    counter(
        "hedgecore_session_rejects_total",
        &[],
        "Session-level rejects.",
        Gateway(|gateway, out| out.put(&[], gateway.rejects)),
    ),
    counter(
        "hedgecore_session_malformed_total",
        &[],
        "Messages not laid out as their type says; anything but 0 stops new orders.",
        Gateway(|gateway, out| out.put(&[], gateway.malformed)),
    ),
    counter(
        "hedgecore_session_disconnects_total",
        &[],
        "Connections lost or closed.",
        Gateway(|gateway, out| out.put(&[], gateway.disconnects)),
    ),
    // The recorder.
    Family {
        name: "hedgecore_latency_seconds",
        kind: Kind::Summary,
        labels: &["hop"],
        help: "Latency of each hop since the start; the quantile 1 is the largest.",
        read: Recorded(|recorded, out| {
            for (hop, shown) in Hop::ALL.iter().zip(&recorded.hops) {
                out.summary(&[hop.name()], &shown.percentiles, shown.sum_ns);
            }
        }),
    },
    counter(
        "hedgecore_requests_decided_total",
        &[],
        "Orders, amendments and cancels that left the hedge.",
        Recorded(|recorded, out| out.put(&[], recorded.requests)),
    ),
    counter(
        "hedgecore_hedge_fills_total",
        &["underlying"],
        "Fills of the hedge.",
        Recorded(|recorded, out| recorded.accounts.iter().for_each(|one| out.put(&[&one.name], one.fills))),
    ),
    gauge(
        "hedgecore_hedge_cost",
        &["underlying"],
        "Spread and fees paid, settlement currency.",
        Recorded(|recorded, out| recorded.accounts.iter().for_each(|one| out.put(&[&one.name], one.cost))),
    ),
    gauge(
        "hedgecore_hedge_variance_ratio",
        &["underlying"],
        "Variance of the unhedged over that of the hedged book, once there is enough to tell.",
        Recorded(|recorded, out| {
            for one in &recorded.accounts {
                one.variance_ratio.iter().for_each(|ratio| out.put(&[&one.name], ratio));
            }
        }),
    ),
    gauge(
        "hedgecore_journal_up",
        &[],
        "1 while the journal is whole, 0 once it has a gap or can be written no more; absent without one.",
        Recorded(|recorded, out| {
            let up = |journal: &JournalShown| u8::from(!journal.has_failed && journal.lost == 0);
            recorded.journal.iter().for_each(|journal| out.put(&[], up(journal)));
        }),
    ),
    counter(
        "hedgecore_journal_frames_total",
        &[],
        "Frames written to the journal.",
        Recorded(|recorded, out| recorded.journal.iter().for_each(|journal| out.put(&[], journal.frames))),
    ),
    counter(
        "hedgecore_journal_bytes_total",
        &[],
        "Bytes written to the journal.",
        Recorded(|recorded, out| recorded.journal.iter().for_each(|journal| out.put(&[], journal.bytes))),
    ),
    counter(
        "hedgecore_journal_lost_total",
        &[],
        "Messages that the journal did not see, or did not keep.",
        Recorded(|recorded, out| {
            recorded.journal.iter().for_each(|journal| out.put(&[], journal.lost + journal.dropped));
        }),
    ),
    gauge(
        "hedgecore_drop_copy_up",
        &[],
        "1 while the session of the drop copy is up and nothing of its past is missing.",
        DropCopy(|copy, out| out.put(&[], copy.is_up)),
    ),
    counter(
        "hedgecore_drop_copy_executions_total",
        &["outcome"],
        "Executions held against the drop copy; untold, contradicted and overrun are differences.",
        DropCopy(|copy, out| {
            let outcomes = DropCopyShown::OUTCOMES.iter().zip(copy.executions);
            outcomes.for_each(|(outcome, count)| out.put(&[outcome], count));
        }),
    ),
];

/// Each line that was ever heard.
fn heard(feed: &FeedShown, mut each: impl FnMut(&str, &LineShown)) {
    LINES.iter().zip(&feed.lines).filter(|(_, line)| line.heard_ns > 0).for_each(|(name, line)| each(name, line));
}
