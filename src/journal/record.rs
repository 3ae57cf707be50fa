//! What a frame holds.
//!
//! A run is one process. Its journal begins with a [`Head`] and the settings of every stage; then come, as they were
//! consumed and sent, the streams of the stages:
//!
//! | record | what it is | who replays it |
//! |---|---|---|
//! | [`Input`](Record::Input) | what the greeks consumed: market data, calibrations, reports, time, commands | fed to the greeks |
//! | [`Output`](Record::Output) | what the greeks sent, which is what the hedge consumed | compared |
//! | [`Decision`](Record::Decision) | what the hedge sent, which is what the gateway consumed | compared |
//! | [`Session`](Record::Session) | what was asked of the gateway: bytes of the venue, time, bytes taken by the socket | fed to the gateway; bytes compared |
//! | [`Short`](Record::Short) | a stage's outbox had less room than [`AMPLE`] | given to the stage |
//!
//! Within a stream the order is the one in which the stage met it. Between streams, what caused something stands before
//! it, but for reports, which go round in a circle.

use std::fmt;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use super::codec::{Field, choices, decode};
use super::settings::hash;
use crate::event::{Event, KillLevel};
use crate::instrument::Symbol;
use crate::order::Request;
use crate::risk::Instruction;
use crate::units::{InstrumentId, Nanos, Quantity, Ticks, UnderlyingId, VenueInstrumentId};

/// What every segment begins with.
pub const MAGIC: [u8; 8] = *b"HEDGEJNL";
/// Version of everything from frames to field widths.
pub const FORMAT: u16 = 1;

/// Room that a stage is told of at most. An outbox with more looks the same to every stage in every topology; only less is
/// an input, and recorded.
pub const AMPLE: usize = 1_024;

/// What a segment is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the process, from 1, in its directory.
    pub run: u32,
    /// Number of the segment in the run, from 0.
    pub segment: u32,
    /// When the run began.
    pub started: Nanos,
    /// What its order numbers begin from; see [`ClientOrderIds`](crate::order::ClientOrderIds).
    pub started_s: u32,
    /// SHA-256 of the settings.
    pub settings: [u8; 32],
    /// SHA-256 of the program.
    pub binary: [u8; 32],
    /// Instruction set that the kernels chose: ASCII, padded with zeros.
    pub instruction_set: [u8; 16],
}

impl Head {
    /// The head of a run of this process that begins now.
    pub fn of_this_process(run: u32, started_s: u32, settings: &[u8]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            run,
            segment: 0,
            started: Nanos(now.as_nanos() as u64),
            started_s,
            settings: hash(settings),
            binary: binary_hash(),
            instruction_set: instruction_set(),
        }
    }
}

/// SHA-256 of the running program; zeros when it cannot be read.
fn binary_hash() -> [u8; 32] {
    static HASH: OnceLock<[u8; 32]> = OnceLock::new();
    *HASH.get_or_init(|| {
        let program = std::env::current_exe().and_then(std::fs::read);
        program.map(|bytes| hash(&bytes)).unwrap_or_default()
    })
}

/// The widest instruction set that kernels choose here. Their results do not depend on it; a journal says it so that this
/// can be doubted.
fn instruction_set() -> [u8; 16] {
    #[cfg(target_arch = "x86_64")]
    let name = match () {
        () if is_x86_feature_detected!("avx512f") => "x86-64 avx512f",
        () if is_x86_feature_detected!("avx2") => "x86-64 avx2",
        () => "x86-64",
    };
    #[cfg(not(target_arch = "x86_64"))]
    let name = std::env::consts::ARCH;
    std::array::from_fn(|at| name.as_bytes().get(at).copied().unwrap_or_default())
}

/// A stage with an input of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageName {
    /// The greeks.
    Greeks,
    /// The hedge.
    Hedge,
    /// The gateway.
    Gateway,
}

/// A way from a hot thread to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// What the greeks consumed.
    Inputs,
    /// What the greeks sent.
    Outputs,
    /// What the hedge sent.
    Decisions,
    /// What was asked of the gateway.
    Session,
    /// Outboxes short of room.
    Shorts,
}

/// An instruction as it was: to be looked at and compared, not to be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// See [`Instruction::Reference`].
    Reference {
        /// Our index.
        instrument: InstrumentId,
        /// What it is written on.
        underlying: UnderlyingId,
        /// The venue's number.
        venue: VenueInstrumentId,
        /// Amount of one lot.
        lot: Quantity,
        /// Amount of one contract.
        contract: Quantity,
        /// The venue's name.
        symbol: Symbol,
    },
    /// See [`Instruction::Send`].
    Send {
        /// What was approved.
        request: Request,
    },
    /// See [`Instruction::Level`].
    Level {
        /// How much may still leave.
        level: KillLevel,
    },
}

impl From<&Instruction> for Decision {
    fn from(instruction: &Instruction) -> Self {
        match *instruction {
            Instruction::Reference { instrument, underlying, venue, lot, contract, symbol } => {
                Self::Reference { instrument, underlying, venue, lot, contract, symbol }
            }
            Instruction::Send(approved) => Self::Send { request: *approved.request() },
            Instruction::Level(level) => Self::Level { level },
        }
    }
}

/// What was asked of the gateway, in order.
#[derive(Clone, PartialEq)]
pub enum SessionCall {
    /// The connection stands.
    Connected {
        /// When.
        time: Nanos,
    },
    /// It is gone.
    Disconnected {
        /// When.
        time: Nanos,
    },
    /// The next instruction of the hedge was taken.
    Instruction {
        /// When.
        time: Nanos,
        /// When its bytes were encoded.
        encoded: Ticks,
    },
    /// The socket took these bytes. The secret of a logon is blanked.
    Written {
        /// When.
        at: Ticks,
        /// The bytes.
        bytes: Box<[u8]>,
    },
    /// The venue sent these bytes, or the gateway was offered again what it had left.
    Received {
        /// When.
        time: Nanos,
        /// The bytes.
        bytes: Box<[u8]>,
    },
    /// Time passed.
    Tick {
        /// When.
        time: Nanos,
    },
    /// The session is to end.
    LogOut {
        /// When.
        time: Nanos,
    },
    /// The way out was shut past the hedge.
    Halt {
        /// When.
        time: Nanos,
    },
}

impl fmt::Debug for SessionCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { time } => write!(f, "Connected at {}", time.0),
            Self::Disconnected { time } => write!(f, "Disconnected at {}", time.0),
            Self::Instruction { time, .. } => write!(f, "Instruction at {}", time.0),
            Self::Written { bytes, .. } => write!(f, "Written {} bytes {}", bytes.len(), hex(bytes)),
            Self::Received { time, bytes } => write!(f, "Received {} bytes at {} {}", bytes.len(), time.0, hex(bytes)),
            Self::Tick { time } => write!(f, "Tick at {}", time.0),
            Self::Halt { time } => write!(f, "Halt at {}", time.0),
            Self::LogOut { time } => write!(f, "LogOut at {}", time.0),
        }
    }
}

/// Bytes as a person compares them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One entry of a journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// What this segment is part of; the first frame of each.
    Head {
        /// It.
        head: Head,
    },
    /// Everything the stages were made from, as JSON; the second frame of a run.
    Settings {
        /// The text.
        json: Box<[u8]>,
    },
    /// The greeks consumed this.
    Input {
        /// It.
        event: Event,
    },
    /// The greeks sent this, and the hedge consumed it.
    Output {
        /// It.
        event: Event,
    },
    /// The hedge sent this.
    Decision {
        /// It.
        decision: Decision,
    },
    /// This was asked of the gateway.
    Session {
        /// It.
        call: SessionCall,
    },
    /// At its step `step`, counted from 0, a stage's outbox had room for only so many messages.
    Short {
        /// Which stage.
        stage: StageName,
        /// Which step. For the gateway: how many calls came before.
        step: u64,
        /// How many messages.
        room: u32,
    },
    /// Messages that never reached the journal: it has a gap.
    Lost {
        /// On which way.
        stream: Stream,
        /// How many.
        messages: u64,
    },
    /// The run ended in order, and everything it did stands before.
    Closed,
}

impl Record {
    /// Every kind, by the name used in reports.
    pub const KINDS: [&'static str; 9] =
        ["head", "settings", "input", "output", "decision", "session", "short", "lost", "closed"];

    /// Its kind.
    pub const fn kind(&self) -> &'static str {
        let number = match self {
            Self::Head { .. } => 0,
            Self::Settings { .. } => 1,
            Self::Input { .. } => 2,
            Self::Output { .. } => 3,
            Self::Decision { .. } => 4,
            Self::Session { .. } => 5,
            Self::Short { .. } => 6,
            Self::Lost { .. } => 7,
            Self::Closed => 8,
        };
        Self::KINDS[number]
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.put(out);
    }

    /// Reads a record that is all of `bytes`; `None` when this version knows none of the kind.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

impl Field for Head {
    fn put(&self, out: &mut Vec<u8>) {
        MAGIC.put(out);
        FORMAT.put(out);
        self.run.put(out);
        self.segment.put(out);
        self.started.put(out);
        self.started_s.put(out);
        self.settings.put(out);
        self.binary.put(out);
        self.instruction_set.put(out);
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        if <[u8; 8]>::take(input)? != MAGIC || u16::take(input)? != FORMAT {
            return None;
        }
        Some(Self {
            run: Field::take(input)?,
            segment: Field::take(input)?,
            started: Field::take(input)?,
            started_s: Field::take(input)?,
            settings: Field::take(input)?,
            binary: Field::take(input)?,
            instruction_set: Field::take(input)?,
        })
    }
}

choices!(StageName { 0 => Greeks, 1 => Hedge, 2 => Gateway });
choices!(Stream { 0 => Inputs, 1 => Outputs, 2 => Decisions, 3 => Session, 4 => Shorts });
choices!(Decision {
    0 => Reference { instrument, underlying, venue, lot, contract, symbol },
    1 => Send { request },
    2 => Level { level },
});
choices!(SessionCall {
    0 => Connected { time },
    1 => Disconnected { time },
    2 => Instruction { time, encoded },
    3 => Written { at, bytes },
    4 => Received { time, bytes },
    5 => Tick { time },
    6 => LogOut { time },
    7 => Halt { time },
});
choices!(Record {
    0 => Head { head },
    1 => Settings { json },
    2 => Input { event },
    3 => Output { event },
    4 => Decision { decision },
    5 => Session { call },
    6 => Short { stage, step, room },
    7 => Lost { stream, messages },
    8 => Closed,
});
