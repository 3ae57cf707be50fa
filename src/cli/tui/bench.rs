//! A benchmark as its figures come in: percentiles of every case over the rounds that have ended. It is drawn between two
//! turns, when nothing is timed.

use std::io;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::Color;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row};
use signal_hook::consts::SIGINT;

use super::keys::{KEYS_MAX, is_interrupt};
use super::screen::Screen;
use super::view::{bold, right, table};
use crate::bench::{Results, Turn};

/// The key that can be pressed.
const HINT: &str = "q leave the view, measuring goes on";

/// The view, in possession of the terminal.
#[derive(Debug)]
pub(in crate::cli) struct BenchView {
    screen: Screen,
    began: Instant,
}

impl BenchView {
    /// Takes the terminal.
    pub(in crate::cli) fn open() -> io::Result<Self> {
        Ok(Self { screen: Screen::take()?, began: Instant::now() })
    }

    /// Draws what there is before a turn, and heeds the keys pressed since the last; hands itself back unless it is to be left.
    pub(in crate::cli) fn turn(mut self, turn: Turn<'_>) -> io::Result<Option<Self>> {
        for _ in 0..KEYS_MAX {
            if !event::poll(Duration::ZERO)? {
                break;
            }
            let Event::Key(key) = event::read()? else { continue };
            if key.kind != KeyEventKind::Press {
                continue;
            }
            if is_interrupt(key) {
                // The terminal is to be given back before the signal ends the program.
                drop(self);
                signal_hook::low_level::raise(SIGINT)?;
                return Ok(None);
            }
            if key.code == KeyCode::Char('q') {
                return Ok(None);
            }
        }
        let (so_far, seconds) = (turn.so_far(), self.began.elapsed().as_secs());
        self.screen.draw(|frame| draw(frame, &so_far, &turn.to_string(), seconds))?;
        Ok(Some(self))
    }
}

fn draw(frame: &mut Frame<'_>, so_far: &Results, what: &str, seconds: u64) {
    let [head, cases, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    let first =
        Line::from(vec![Span::raw(format!("hedgecore bench   {seconds} s   ")), bold(what.to_owned(), Color::Cyan)]);
    let floor = so_far.floor_ns.map_or_else(String::new, |floor| format!("   cache line, core to core {floor:.0} ns"));
    let ratio = so_far.wire_over_echo.map_or_else(String::new, |ratio| format!("   wire {ratio:.2} times the echo"));
    let second = format!("clock resolution {} ns{floor}{ratio}", so_far.clock_resolution_ns);
    frame.render_widget(Paragraph::new(vec![first, Line::from(second)]), head);
    let measured = so_far.series.iter().map(|(name, series)| (name, series.percentiles()));
    let rows = measured.filter(|(_, p)| p.count > 0).map(|(name, p)| {
        let [count, p50, p90, p99, p999, max] =
            [p.count, p.p50, p.p90, p.p99, p.p999, p.max].map(|value| right(value.to_string()));
        Row::new([Cell::from(name.clone()), count, p50, p90, p99, p999, max])
    });
    let widths = [28, 10, 9, 9, 9, 9, 10].map(Constraint::Length);
    let heads = ["case", "ticks", "p50", "p90", "p99", "p99.9", "max"].map(str::to_owned);
    table(frame, cases, "rounds that have ended, ns", heads, rows, widths);
    frame.render_widget(Paragraph::new(HINT), foot);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::bench::Series;

    fn drawn(so_far: &Results, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, so_far, "round 2 of 5: fused", 7)).unwrap();
        let cells = terminal.backend().buffer().content();
        let text: String = cells.iter().map(|cell| cell.symbol()).collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_case_that_has_ticks_is_drawn_with_its_percentiles() {
        let mut so_far = Results { clock_resolution_ns: 10, floor_ns: Some(61.4), ..Results::default() };
        let mut series = Series::default();
        (1..=100).for_each(|nanos| series.record(nanos));
        series.end_round();
        so_far.enter("fused.no_trade".to_owned(), &series);
        so_far.enter("fused.order".to_owned(), &Series::default());
        let text = drawn(&so_far, 100, 12);
        for expected in [
            "hedgecore bench 7 s round 2 of 5: fused",
            "clock resolution 10 ns cache line, core to core 61 ns",
            "fused.no_trade 100 50 90 99 100 100",
            HINT,
        ] {
            assert!(text.contains(expected), "{expected:?} is missing of {text}");
        }
        assert!(!text.contains("fused.order"), "nothing was measured of it");
        drawn(&so_far, 1, 1);
    }
}
