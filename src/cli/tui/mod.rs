//! `--tui`: a running pipeline on the terminal, with keys for what cannot wait; and a benchmark, as its figures come in.
//!
//! The view of a pipeline shows the snapshot that the metrics page is made from. Keys go the way of the operator's commands:
//! into the greeks' ordered input, so they are journaled, with the name of who pressed them. Leaving the view leaves the
//! pipeline as it is. The terminal is given back as it was when the view ends, also by a panic of any thread.

mod bench;
mod keys;
mod screen;
mod view;

use std::io;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind};
use signal_hook::consts::SIGINT;

use crate::event::Operator;
use crate::runtime::Observer;
pub(super) use bench::BenchView;
use keys::{Asked, KEYS_MAX, Keys, is_interrupt};
use screen::Screen;

/// How often it is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// The view, in possession of the terminal.
#[derive(Debug)]
pub(super) struct View {
    screen: Screen,
    observer: Observer,
    keys: Keys,
    by: Operator,
    said: String,
    drawn: Option<Instant>,
}

impl View {
    /// Takes the terminal.
    pub(super) fn open(observer: Observer) -> io::Result<Self> {
        let login = std::env::var("USER").ok();
        let by = login.as_deref().and_then(Operator::new).or_else(|| Operator::new("tui")).unwrap_or_default();
        Ok(Self { screen: Screen::take()?, observer, keys: Keys::default(), by, said: String::new(), drawn: None })
    }

    /// Draws, and heeds keys for so long; false once it is to be left.
    pub(super) fn turn(&mut self, lasts: Duration) -> io::Result<bool> {
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW) {
            let (now, keys, said) = (self.observer.snapshot(), self.keys.line(), &self.said);
            self.screen.draw(|frame| view::draw(frame, &now, keys, said))?;
            self.drawn = Some(Instant::now());
        }
        let until = Instant::now() + lasts;
        for _ in 0..KEYS_MAX {
            if !event::poll(until.saturating_duration_since(Instant::now()))? {
                break;
            }
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press => {
                    if !self.press(key)? {
                        return Ok(false);
                    }
                    self.drawn = None;
                }
                Event::Resize(..) => self.drawn = None,
                _ => {}
            }
        }
        Ok(true)
    }

    fn press(&mut self, key: KeyEvent) -> io::Result<bool> {
        let KeyCode::Char(letter) = key.code else { return Ok(true) };
        if is_interrupt(key) {
            // The terminal sends no signal while the view has it; ask for the end as it would have.
            signal_hook::low_level::raise(SIGINT)?;
            return Ok(false);
        }
        match self.keys.press(letter) {
            Asked::Nothing => Ok(true),
            Asked::Leave => Ok(false),
            Asked::Level(level) => {
                let sent = self.observer.command(level, self.by);
                let what = if sent { "asked for" } else { "NOT asked for, too many commands wait:" };
                self.said = format!("{what} {} by {}", level.name(), self.by.name());
                Ok(true)
            }
        }
    }
}
