//! hedgecore keeps an options market maker's inventory hedged: market data comes in from venue gateways, the greeks of
//! the whole book follow every tick, and the cheapest sufficient hedge goes out as orders.
//!
//! # The way of a tick
//!
//! ```text
//!  UDP                                                                                TCP
//!  venue ───► feed ──ring──► greeks ──ring──► hedge ──ring──► gateway ───► venue
//!               │             ▲   ▲                               │
//!               │        ring │   └──────────ring─────────────────┘ execution reports
//!               └──ring──► surface                   recorder ◄── every ring's cold tap
//! ```
//!
//! A stage is a plain state machine ([`stage`]): it is stepped with an [`event`], sends into an outbox, and reads no
//! clock, socket, file or thread. [`runtime`] puts the stages on pinned threads; [`sim`] drives the very same stages on
//! one.
//!
//! # The modules, in the order in which a tick meets them
//!
//! What everything is made of: [`units`] (prices, lots, times and ids as integers), [`instrument`] (contracts and their tick
//! tables), [`event`] (the one message that crosses rings), [`ring`] (single producer, every consumer sees everything),
//! [`stage`] (what a stage is).
//!
//! The hot path: [`wire`] says what a venue's bytes mean, [`feed`] makes one gap-free stream of them, [`portfolio`] values
//! the whole book on every tick, [`hedge`] decides, [`risk`] approves or says why not, [`order`] knows what became of every
//! order, [`gateway`] speaks the order session.
//!
//! The mathematics: [`pricing`] holds the kernels and the constant-time anchors, [`surface`] calibrates forwards and smiles
//! on a cold thread.
//!
//! What puts stages to work and shows it: [`journal`] (what they met, written down and read back), [`runtime`] (threads,
//! cores, sockets, clocks, memory), [`telemetry`] (histograms, the ledger, reports), [`capture`] (pcap files), [`config`]
//! (what a live run reads), [`sim`] (the embedded venue, replays, faults and the checkers that watch them), [`canary`]
//! (deliberate defects that those have to catch), [`mod@bench`] (what all of it costs, measured), [`cli`].
//!
//! `tests/tidy.rs` holds the direction of imports between them.
//!
//! # Questions a reader may have
//!
//! **Why do execution reports go through the greeks to the hedge, and not straight to it?** Because a fill and the delta it
//! changes must reach the hedge in that order and next to each other. With two paths there is a moment in which the hedge
//! has seen the fill (so the order no longer counts as working) and not yet the exposure that includes it, and in that
//! moment it would hedge twice.
//!
//! **Why one event type for every ring?** A stage forwards what it does not consume as it came, the order in which a stage
//! saw things is one sequence, and whatever records a stage records one type.
//!
//! **Why has every link between hot threads a second ring?** The cold side reads the second one. What it has no room for is
//! counted as lost to it; a slow reader never holds a hot thread back.
//!
//! **Why does `surface` use `pricing`, and not the other way round?** Calibration prices options; pricing knows no market.

pub mod event;
pub mod instrument;
pub mod ring;
pub mod stage;
mod sync;
mod table;
pub mod units;

pub mod wire;

pub mod feed;

pub mod portfolio;

pub mod hedge;

pub mod risk;

pub mod order;

pub mod gateway;

pub mod pricing;
pub mod surface;

pub mod journal;

pub mod runtime;
pub mod telemetry;

pub mod canary;

pub mod capture;
pub mod config;
pub mod sim;

pub mod bench;

pub mod cli;
