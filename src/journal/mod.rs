//! The journal: everything that entered a stage and everything that left it, in the order in which the stage met it.
//!
//! ```text
//!            ┌─────────── Input ──────────┬─────── Output ─────────┬── Decision ──┬────── Session ──────┐
//!            ▼                            ▼                        ▼              ▼                     ▼
//!   feed ─► greeks ────────────────────► hedge ────────────────► gateway ◄──────► venue
//!            └── hot threads publish each once, on a ring that only the recorder reads ──► writer ──► segments
//! ```
//!
//! Enters: events, instructions, and what was asked of the gateway, off the rings. Leaves: [frames](frame) of
//! [records](Record) in segments, written by the [`Writer`] on the recorder's thread, read back by the [`Reader`].
//!
//! Invariants:
//! - What is read back is a prefix of what was written, and how it ends is said: closed, open, torn, damaged.
//! - A stage's input and the room of its outbox determine all it sends: a replay of a run sends the same bytes.
//! - A message that found its ring full is a gap, which is counted, written down, and told to whoever decides what follows.
//! - The secret of a session is never written.
//!
//! Cost: a hot thread pays one ring publish a message; all else is the recorder's. Failure: [`WriteError`], once and for
//! good; what the pipeline does then is its [policy](crate::runtime::JournalConfig).

mod blank;
mod codec;
mod disk;
pub mod frame;
mod ration;
mod reader;
mod record;
pub mod recovery;
pub mod replay;
mod settings;
mod tap;
mod writer;

pub use blank::Blank;
pub use disk::{Directory, Disk, EXTENSION, Segment};
pub use ration::{Ration, Rooms, Shorts};
pub use reader::{Damage, End, Place, Reader, runs};
pub use record::{AMPLE, Decision, FORMAT, Head, MAGIC, Record, SessionCall, StageName, Stream};
pub use settings::{Settings, hash};
pub use tap::{NOTE_BYTES, SessionNote, SessionNotes};
pub use writer::{Durability, WriteError, Writer, WriterConfig, parse_name, segment_name};
