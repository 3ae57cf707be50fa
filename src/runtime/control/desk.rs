//! The control thread.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

use super::{Board, Command, ControlConfig, RiskShown};
use crate::event::{Body, Event, KillCause, KillLevel, Operator, Trail};
use crate::gateway::OrderTraffic;
use crate::ring::Producer;
use crate::runtime::clock::StampClock;

/// How long a command may take to reach the hedge.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks at sockets, signals and pulses.
const NAP: Duration = Duration::from_millis(10);
/// How long a client may take to say what it wants.
const CLIENT_PATIENCE: Duration = Duration::from_millis(200);
/// Longest command, bytes.
const LINE_MAX: u64 = 256;

/// The control socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for commands at {}: {source}", path.display())]
pub struct ControlError {
    path: PathBuf,
    source: io::Error,
}

/// What commands go through, for whoever holds the pipeline.
#[derive(Debug)]
pub(in crate::runtime) struct Controls {
    commands: Mutex<Producer<Event>>,
    board: Arc<Board>,
    clock: StampClock,
    /// A signal asked for the end.
    interrupted: Arc<AtomicBool>,
}

impl Controls {
    pub(in crate::runtime) fn new(commands: Producer<Event>, board: Arc<Board>, clock: StampClock) -> Self {
        Self { commands: Mutex::new(commands), board, clock, interrupted: Arc::default() }
    }

    /// Sends a level on its way, a halt on both ways; false when the ring is full.
    pub(in crate::runtime) fn command(&self, level: KillLevel, cause: KillCause, by: Operator) -> bool {
        if level == KillLevel::Halt {
            self.board.halt();
        }
        self.tell(Body::Kill { level, cause, by })
    }

    /// Puts an event into the greeks' input; false when the ring is full.
    pub(in crate::runtime) fn tell(&self, body: Body) -> bool {
        let event = Event { trail: Trail::default(), time: self.clock.now(), body };
        self.commands.lock().is_ok_and(|mut commands| commands.try_push(event).is_ok())
    }

    pub(in crate::runtime) fn risk(&self) -> RiskShown {
        self.board.risk()
    }

    pub(in crate::runtime) fn shut_at(&self) -> Option<OrderTraffic> {
        self.board.shut_at()
    }

    pub(in crate::runtime) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Does as asked and says what came of it.
    fn answer(&self, command: Command) -> String {
        let is_sent = match command {
            Command::Status => return self.status(),
            Command::Level(level, by) => self.command(level, KillCause::Operator, by),
            Command::Thaw(by) => self.tell(Body::Thaw { by }),
        };
        if !is_sent {
            return format!("refused: too many commands wait\n{}", self.status());
        }
        let is_done = |risk: RiskShown| match command {
            Command::Status => true,
            Command::Level(level, _) => risk.level == level,
            Command::Thaw(_) => risk.frozen == 0,
        };
        let began = Instant::now();
        while !is_done(self.risk()) && began.elapsed() < ANSWER_WITHIN {
            thread::sleep(Duration::from_millis(1));
        }
        format!("{}: {command}\n{}", if is_done(self.risk()) { "done" } else { "NOT IN FORCE" }, self.status())
    }

    fn status(&self) -> String {
        let risk = self.risk();
        let shut = match self.shut_at() {
            Some(traffic) => format!("shut after {} order messages, {} bytes", traffic.frames, traffic.bytes),
            None => "open".to_owned(),
        };
        format!(
            "level {}\ncause {}\nby {}\nsince {}\nopen_orders {}\nalarmed {}\nrefused {}\nfrozen {}\ngateway {shut}\n",
            risk.level.name(),
            risk.cause.name(),
            risk.by.name(),
            risk.since.0,
            risk.open_orders,
            risk.alarmed,
            risk.refused,
            risk.frozen,
        )
    }
}

/// The control thread's own.
#[derive(Debug)]
pub(in crate::runtime) struct Desk {
    controls: Arc<Controls>,
    listener: Option<(UnixListener, PathBuf)>,
    kill: Arc<AtomicBool>,
    silence_max_ns: u64,
    /// The watchdog has bitten.
    bitten: bool,
}

impl Desk {
    /// Opens the socket and takes over the signals.
    pub(in crate::runtime) fn open(config: &ControlConfig, controls: Arc<Controls>) -> Result<Self, ControlError> {
        let listener = config.socket.as_deref().map(listen).transpose()?;
        let kill = Arc::new(AtomicBool::new(false));
        if config.signals {
            let interrupted = &controls.interrupted;
            let handled = [SIGINT, SIGTERM].into_iter().try_for_each(|signal| {
                // A second signal finds the flag set and ends the process as if none of this were here.
                flag::register_conditional_default(signal, Arc::clone(interrupted))?;
                flag::register(signal, Arc::clone(interrupted)).map(drop)
            });
            handled
                .and_then(|()| flag::register(SIGUSR1, Arc::clone(&kill)).map(drop))
                .map_err(|source| ControlError { path: PathBuf::from("signals"), source })?;
        }
        Ok(Self { controls, listener, kill, silence_max_ns: config.silence_max_ns, bitten: false })
    }

    /// Serves until `stopped`.
    pub(in crate::runtime) fn run(mut self, stopped: impl Fn() -> bool) {
        let mut was_interrupted = false;
        let signal = Operator::new("signal").unwrap_or_default();
        while !stopped() {
            let interrupted = self.controls.is_interrupted();
            if self.kill.swap(false, Ordering::AcqRel) || (interrupted && !was_interrupted) {
                self.controls.command(KillLevel::Halt, KillCause::Operator, signal);
            }
            was_interrupted = interrupted;
            self.watch();
            if let Some((listener, _)) = &self.listener {
                while let Ok((stream, _)) = listener.accept() {
                    // A client that goes away mid-sentence has said nothing.
                    let _ = serve(stream, &self.controls);
                }
            }
            thread::sleep(NAP);
        }
    }

    /// Halts once when a hot thread has fallen silent.
    fn watch(&mut self) {
        let now = self.controls.clock.now();
        if !self.bitten && self.controls.board.silent(now, self.silence_max_ns).is_some() {
            self.bitten = true;
            self.controls.command(KillLevel::Halt, KillCause::Watchdog, Operator::NOBODY);
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.listener {
            // Left behind, it only has to be removed by hand.
            let _ = fs::remove_file(path);
        }
    }
}

/// A socket that only its owner may open. A file left behind by a process that is gone is replaced.
fn listen(path: &Path) -> Result<(UnixListener, PathBuf), ControlError> {
    let fail = |source| ControlError { path: path.to_owned(), source };
    if path.exists() && UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
        fs::remove_file(path).map_err(fail)?;
    }
    let listener = UnixListener::bind(path).map_err(fail)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(fail)?;
    listener.set_nonblocking(true).map_err(fail)?;
    Ok((listener, path.to_owned()))
}

fn serve(mut stream: UnixStream, controls: &Controls) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(CLIENT_PATIENCE))?;
    stream.set_write_timeout(Some(CLIENT_PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(LINE_MAX)).read_line(&mut line)?;
    let answer = match line.parse() {
        Ok(command) => controls.answer(command),
        Err(why) => format!("refused: {why}\n"),
    };
    stream.write_all(answer.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::ask;
    use super::*;
    use crate::ring;
    use crate::runtime::placement::HotStage;
    use crate::units::Nanos;
    use std::sync::atomic::AtomicU32;

    static SOCKETS: AtomicU32 = AtomicU32::new(0);

    fn path() -> PathBuf {
        let number = SOCKETS.fetch_add(1, Ordering::Relaxed);
        std::env::temp_dir().join(format!("hedgecore-{}-{number}.control", std::process::id()))
    }

    #[test]
    fn a_command_reaches_the_ring_with_its_operator_and_a_halt_the_board_as_well() {
        let (producer, [mut commands]) = ring::broadcast(8).unwrap();
        let board = Arc::new(Board::default());
        let controls = Arc::new(Controls::new(producer, Arc::clone(&board), StampClock::calibrate()));
        let config = ControlConfig { socket: Some(path()), ..ControlConfig::default() };
        let desk = Desk::open(&config, controls).unwrap();
        let socket = config.socket.unwrap();
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || desk.run(|| stopped.load(Ordering::Relaxed)));

        assert!(ask(&socket, Command::Status).unwrap().contains("level open\n"));
        let answer = ask(&socket, Command::Level(KillLevel::Halt, Operator::new("alice").unwrap())).unwrap();
        assert!(answer.starts_with("NOT IN FORCE: kill alice"), "no hedge is listening: {answer}");
        assert!(board.is_halted());
        let event: Event = commands.try_pop().unwrap();
        let Body::Kill { level, cause, by } = event.body else { panic!("no kill") };
        assert_eq!((level, cause, by.name()), (KillLevel::Halt, KillCause::Operator, "alice"));

        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        assert!(!socket.exists());
    }

    #[test]
    fn the_watchdog_bites_once() {
        let (producer, [mut commands]) = ring::broadcast(8).unwrap();
        let board = Arc::new(Board::default());
        let controls = Arc::new(Controls::new(producer, Arc::clone(&board), StampClock::calibrate()));
        let config = ControlConfig { silence_max_ns: 1, ..ControlConfig::default() };
        let mut desk = Desk::open(&config, controls).unwrap();
        desk.watch();
        assert!(!board.is_halted() && commands.try_pop().is_none());
        board.pulse(HotStage::Hedge, Nanos(1));
        desk.watch();
        desk.watch();
        let event: Event = commands.try_pop().unwrap();
        assert!(matches!(event.body, Body::Kill { cause: KillCause::Watchdog, level: KillLevel::Halt, .. }));
        assert!(board.is_halted() && commands.try_pop().is_none());
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
        let socket = path();
        drop(UnixListener::bind(&socket).unwrap());
        let (first, _) = listen(&socket).unwrap();
        assert!(listen(&socket).is_err());
        drop(first);
        fs::remove_file(&socket).unwrap();
    }
}
