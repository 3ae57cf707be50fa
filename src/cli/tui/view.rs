//! A snapshot drawn on a terminal of any size; what does not fit is left out from below.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};

use crate::event::KillLevel;
use crate::telemetry::Hop;
use crate::telemetry::live::{HedgeShown, LineShown, RingShown, Snapshot};
use crate::units::{Nanos, Side};

/// Lines of the frames around a table and its header.
const AROUND: u16 = 3;
/// A line that was not heard for longer is marked, nanoseconds.
const QUIET_NS: u64 = Nanos::PER_SECOND;

/// Draws all of it, with `keys` on the last line and what came of the last one before it.
pub(super) fn draw(frame: &mut Frame<'_>, now: &Snapshot, keys: &str, said: &str) {
    let underlyings = now.hedge.as_ref().map_or(0, |hedge| hedge.known().len() as u16).max(1);
    let [head, exposures, middle, lines, orders, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(underlyings + AROUND),
        Constraint::Length(Hop::ALL.len() as u16 + AROUND),
        Constraint::Length(AROUND + 2),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let [latency, rings] = Layout::horizontal([Constraint::Min(54), Constraint::Length(42)]).areas(middle);
    draw_head(frame, head, now);
    draw_exposures(frame, exposures, now);
    draw_latency(frame, latency, now);
    draw_rings(frame, rings, &now.rings());
    draw_lines(frame, lines, now);
    draw_orders(frame, orders, now);
    let said = if said.is_empty() { String::new() } else { format!("{said}   ") };
    frame.render_widget(Paragraph::new(Line::from(vec![bold(said, Color::Cyan), Span::raw(keys.to_owned())])), foot);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, now: &Snapshot) {
    let seconds = now.up_ns / Nanos::PER_SECOND;
    let up = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut first = vec![Span::raw(format!("hedgecore   {}   up {up}   kill switch ", now.topology))];
    first.push(match &now.hedge {
        Some(hedge) => kill_state(hedge),
        None => Span::raw("not known yet"),
    });
    let mut second = Vec::new();
    if let Some(gateway) = &now.gateway {
        let (session, colour) = match (gateway.is_armed, gateway.is_connected, gateway.is_ready) {
            (0, ..) => ("dry run", Color::Yellow),
            (_, _, 1) => ("ready", Color::Green),
            (_, 1, _) => ("connected, not ready", Color::Yellow),
            _ => ("down", Color::Red),
        };
        second.extend([Span::raw("session "), bold(session.to_owned(), colour)]);
        second.push(Span::raw(format!("   orders {}   disconnects {}", gateway.orders, gateway.disconnects)));
    }
    if let Some(hedge) = &now.hedge {
        let refused: u64 = hedge.refusals.iter().sum();
        second.push(Span::raw(format!("   open {}   refused {refused}", hedge.open_orders)));
        second.extend((hedge.alarmed > 0).then(|| bold(format!("   ALARMED {}", hedge.alarmed), Color::Red)));
    }
    match now.recorded.as_ref().and_then(|recorded| recorded.journal) {
        Some(journal) if journal.has_failed => second.push(bold("   journal FAILED".to_owned(), Color::Red)),
        Some(journal) if journal.lost > 0 => second.push(bold(format!("   journal lost {}", journal.lost), Color::Red)),
        Some(journal) => second.push(Span::raw(format!("   journal {} frames", journal.frames))),
        None => second.push(Span::raw("   no journal")),
    }
    frame.render_widget(Paragraph::new(vec![Line::from(first), Line::from(second)]), area);
}

fn kill_state(hedge: &HedgeShown) -> Span<'static> {
    let level = hedge.level();
    let name = level.name().to_uppercase();
    let why = if level == KillLevel::Open {
        String::new()
    } else {
        format!(" ({}, by {})", hedge.cause().name(), hedge.by().name())
    };
    let colour = match level {
        KillLevel::Open => Color::Green,
        KillLevel::ReduceOnly | KillLevel::Flatten => Color::Yellow,
        KillLevel::Pause | KillLevel::Halt => Color::Red,
    };
    bold(format!("{name}{why}"), colour)
}

fn draw_exposures(frame: &mut Frame<'_>, area: Rect, now: &Snapshot) {
    let targets = now.hedge.as_ref().map(HedgeShown::known).unwrap_or_default();
    let rows = targets.iter().map(|target| {
        let exposure = now.greeks.as_ref().and_then(|greeks| greeks.known().iter().find(|e| e.name() == target.name()));
        let account =
            now.recorded.as_ref().and_then(|recorded| recorded.accounts.iter().find(|a| a.name == target.name()));
        let is_inside = target.net_delta.abs() <= target.half_width || target.is_at_rest == 1;
        let where_ = if is_inside { ("inside", Color::Green) } else { ("OUTSIDE", Color::Yellow) };
        let quality = exposure.map_or("unknown", |exposure| exposure.quality());
        let colour = if quality == "good" { Color::Green } else { Color::Red };
        Row::new([
            Cell::from(target.name().to_owned()),
            right(format!("{:+.4}", target.net_delta)),
            right(format!("±{:.4}", target.half_width)),
            Cell::from(bold(where_.0.to_owned(), where_.1)),
            right(exposure.map_or_else(String::new, |exposure| format!("{:+.3}", exposure.log_gamma))),
            right(exposure.map_or_else(String::new, |exposure| format!("{:.2}", exposure.spot))),
            Cell::from(bold(quality.to_owned(), colour)),
            right(account.map_or_else(String::new, |account| account.fills.to_string())),
            right(account.map_or_else(String::new, |account| format!("{:.5}", account.cost))),
        ])
    });
    let widths = [12, 12, 11, 8, 11, 12, 8, 7, 12].map(Constraint::Length);
    let heads = ["underlying", "net delta", "band", "", "gamma", "spot", "quality", "fills", "cost"];
    table(frame, area, "exposures, coins", heads.map(str::to_owned), rows, widths);
}

fn draw_latency(frame: &mut Frame<'_>, area: Rect, now: &Snapshot) {
    let hops = now.recorded.iter().flat_map(|recorded| Hop::ALL.into_iter().zip(&recorded.hops));
    let rows = hops.map(|(hop, shown)| {
        let p = shown.percentiles;
        let values = [p.p50, p.p90, p.p99, p.p999, p.max].map(|nanos| right(micros(nanos)));
        let [p50, p90, p99, p999, max] = values;
        Row::new([Cell::from(hop.name()), p50, p90, p99, p999, max])
    });
    let widths = [10, 8, 8, 8, 8, 9].map(Constraint::Length);
    let heads = ["hop", "p50", "p90", "p99", "p99.9", "max"].map(str::to_owned);
    table(frame, area, "latency since the start, µs", heads, rows, widths);
}

fn draw_rings(frame: &mut Frame<'_>, area: Rect, rings: &[(&'static str, RingShown)]) {
    // Those that were ever full, or lag, come first: there may be more rings than room.
    let mut rings = rings.to_vec();
    rings.sort_by_key(|(_, ring)| std::cmp::Reverse((ring.full, ring.lag)));
    let rows = rings.iter().map(|(name, ring)| {
        let full = if ring.full > 0 { bold(ring.full.to_string(), Color::Red) } else { Span::raw("0") };
        Row::new([Cell::from(*name), right(ring.lag.to_string()), Cell::from(Line::from(full).right_aligned())])
    });
    let widths = [20, 9, 9].map(Constraint::Length);
    table(frame, area, "rings", ["ring", "waiting", "full"].map(str::to_owned), rows, widths);
}

fn draw_lines(frame: &mut Frame<'_>, area: Rect, now: &Snapshot) {
    let lines = now.feed.iter().flat_map(|feed| ["A", "B"].into_iter().zip(&feed.lines));
    let rows = lines.filter(|(_, line)| line.heard_ns > 0).map(|(name, line)| {
        let (state, colour) = health(line, now.time_ns);
        Row::new([
            Cell::from(name),
            Cell::from(bold(state.to_owned(), colour)),
            right(line.packets.to_string()),
            right(line.missing.to_string()),
            right(line.divergent.to_string()),
            right(format!("{:.1} ms", now.time_ns.saturating_sub(line.heard_ns) as f64 / 1e6)),
        ])
    });
    let widths = [6, 10, 12, 9, 10, 12].map(Constraint::Length);
    let heads = ["line", "state", "packets", "missing", "divergent", "heard ago"].map(str::to_owned);
    let title = now.feed.as_ref().map_or_else(
        || "market data".to_owned(),
        |feed| {
            format!(
                "market data: {} gaps, {} chain breaks, {} decode errors, {} conflated",
                feed.sequence_gaps, feed.chain_breaks, feed.decode_errors, feed.conflated
            )
        },
    );
    table(frame, area, &title, heads, rows, widths);
}

fn health(line: &LineShown, now_ns: u64) -> (&'static str, Color) {
    if line.divergent > 0 {
        ("DIVERGENT", Color::Red)
    } else if line.is_down == 1 {
        ("DOWN", Color::Red)
    } else if now_ns.saturating_sub(line.heard_ns) > QUIET_NS {
        ("QUIET", Color::Yellow)
    } else {
        ("up", Color::Green)
    }
}

fn draw_orders(frame: &mut Frame<'_>, area: Rect, now: &Snapshot) {
    let orders = now.hedge.as_ref().map(HedgeShown::live).unwrap_or_default();
    let rows = orders.iter().map(|order| {
        let (side, colour) = match order.side() {
            Side::Buy => ("buy", Color::Green),
            Side::Sell => ("sell", Color::Red),
        };
        Row::new([
            Cell::from(order.symbol().to_owned()),
            Cell::from(bold(side.to_owned(), colour)),
            right(order.lots.to_string()),
            right(order.filled.to_string()),
            right(order.price.to_string()),
            Cell::from(order.state()),
            right(order.order.to_string()),
        ])
    });
    let widths = [28, 5, 10, 10, 12, 15, 20].map(Constraint::Length);
    let heads = ["order", "side", "lots", "filled", "price", "state", "number"].map(str::to_owned);
    table(frame, area, "live orders", heads, rows, widths);
}

pub(super) fn table<'a, const N: usize>(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    heads: [String; N],
    rows: impl Iterator<Item = Row<'a>>,
    widths: [Constraint; N],
) {
    let dim = Style::new().add_modifier(Modifier::DIM);
    let block = Block::bordered().title(format!(" {title} ")).border_style(dim);
    frame.render_widget(Table::new(rows, widths).header(Row::new(heads).style(dim)).block(block), area);
}

pub(super) fn bold(text: String, colour: Color) -> Span<'static> {
    Span::styled(text, Style::new().fg(colour).add_modifier(Modifier::BOLD))
}

pub(super) fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

/// Nanoseconds as microseconds, to three digits or so.
fn micros(nanos: u64) -> String {
    let micros = nanos as f64 / 1e3;
    if micros < 100.0 { format!("{micros:.2}") } else { format!("{micros:.0}") }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::keys::HINT;
    use super::*;
    use crate::telemetry::Percentiles;
    use crate::telemetry::live::{
        AccountShown, FeedShown, GatewayShown, GreeksShown, JournalShown, Recorded, SurfaceShown,
    };

    fn snapshot() -> Snapshot {
        let mut feed = FeedShown { sequence_gaps: 3, ..FeedShown::default() };
        feed.lines[0] = LineShown { packets: 1_234, heard_ns: 10 * Nanos::PER_SECOND, ..LineShown::default() };
        feed.lines[1] = LineShown { is_down: 1, heard_ns: 5 * Nanos::PER_SECOND, ..LineShown::default() };
        let mut greeks = GreeksShown { underlyings: 1, ..GreeksShown::default() };
        greeks.exposures[0].name[..7].copy_from_slice(b"BTC_USD");
        greeks.exposures[0].spot = 61_000.5;
        let mut hedge = HedgeShown { underlyings: 1, live_shown: 1, open_orders: 1, ..HedgeShown::default() };
        hedge.targets[0].name[..7].copy_from_slice(b"BTC_USD");
        hedge.targets[0].net_delta = -0.0123;
        hedge.targets[0].half_width = 0.05;
        hedge.live[0].symbol[..13].copy_from_slice(b"BTC-PERPETUAL");
        hedge.live[0].sign = -1;
        hedge.live[0].lots = 17;
        hedge.live[0].state = 2;
        let mut recorded =
            Recorded { journal: Some(JournalShown { frames: 99, ..JournalShown::default() }), ..Recorded::default() };
        recorded.hops[5].percentiles = Percentiles { count: 1, p50: 86_000, p99: 123_456, ..Percentiles::default() };
        recorded.accounts.push(AccountShown { name: "BTC_USD".to_owned(), fills: 8, ..AccountShown::default() });
        recorded.rings[2] = RingShown { lag: 5, full: 6 };
        let gateway = GatewayShown { is_armed: 1, is_connected: 1, is_ready: 1, orders: 12, ..GatewayShown::default() };
        Snapshot {
            time_ns: 10 * Nanos::PER_SECOND + 1_500_000,
            up_ns: 3_725 * Nanos::PER_SECOND,
            topology: "fused",
            feed: Some(feed),
            surface: Some(SurfaceShown::default()),
            greeks: Some(greeks),
            hedge: Some(hedge),
            gateway: Some(gateway),
            recorded: Some(recorded),
            ..Snapshot::default()
        }
    }

    /// The lines of a terminal, blanks run together.
    fn drawn(now: &Snapshot, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, now, HINT, "")).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y: u16| -> String { (0..width).map(|x| buffer[(x, y)].symbol()).collect() };
        (0..height).map(|y| line(y).split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    fn assert_drawn(lines: &[String], expected: &str) {
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected:?} is missing of\n{}", lines.join("\n"));
    }

    #[test]
    fn a_known_snapshot_is_drawn_in_full() {
        let lines = drawn(&snapshot(), 110, 34);
        for expected in [
            "hedgecore fused up 01:02:05 kill switch OPEN",
            "session ready orders 12 disconnects 0 open 1 refused 0 journal 99 frames",
            "BTC_USD -0.0123 ±0.0500 inside +0.000 61000.50 good 8 0.00000",
            "end_to_end 86.00 0.00 123 0.00 0.00",
            "hedge_recorder 5 6",
            "market data: 3 gaps, 0 chain breaks, 0 decode errors, 0 conflated",
            "A up 1234 0 0 1.5 ms",
            "B DOWN 0 0 0 5001.5 ms",
            "BTC-PERPETUAL sell 17 0 0 working 0",
            HINT.split_whitespace().collect::<Vec<_>>().join(" ").as_str(),
        ] {
            assert_drawn(&lines, expected);
        }
    }

    #[test]
    fn trouble_is_named() {
        let mut now = snapshot();
        let hedge = now.hedge.as_mut().unwrap();
        hedge.targets[0].net_delta = 0.9;
        hedge.alarmed = 2;
        hedge.level = KillLevel::Halt as u64;
        hedge.by[..5].copy_from_slice(b"alice");
        now.gateway.as_mut().unwrap().is_ready = 0;
        now.recorded.as_mut().unwrap().journal.as_mut().unwrap().has_failed = true;
        now.greeks.as_mut().unwrap().exposures[0].quality = 3;
        now.time_ns += 60 * Nanos::PER_SECOND;
        let lines = drawn(&now, 110, 34);
        for expected in [
            "kill switch HALT (operator, by alice)",
            "session connected, not ready",
            "ALARMED 2",
            "journal FAILED",
            "OUTSIDE",
            "gapped",
            "A QUIET",
        ] {
            assert_drawn(&lines, expected);
        }
    }

    #[test]
    fn before_anything_was_shown_and_on_any_size_it_draws() {
        assert_drawn(&drawn(&Snapshot::default(), 80, 24), "kill switch not known yet");
        for (width, height) in [(1, 1), (10, 3), (40, 10), (300, 100)] {
            drawn(&snapshot(), width, height);
        }
    }
}
