//! The FIX session against scripted counterparties: one test a rule, named after it.
//!
//! The rules are those of FIX 4.4, volume 2 (session protocol, and its list of test cases). `acceptor` holds a venue's end
//! against clients that break them, `initiator` a client's end against venues that do, `together` both ends against each
//! other over a connection that breaks.

#[path = "../approval/mod.rs"]
mod approval;

mod acceptor;
mod initiator;
mod orders;
mod together;
mod wire;
