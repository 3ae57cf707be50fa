//! FIX 4.4 for orders, on the order model that every protocol shares.
//!
//! ```text
//!   stream ──frame──► tape ──► rules ──► session (numbers, resends, heartbeats)
//!                                 └────► reports ──► Event
//!   Request ──► orders ──► session ──► send buffer and store
//! ```
//!
//! A client's end is a `Fix` inside a [`Gateway`](super::Gateway); a venue's is an [`Acceptor`], for the embedded venue and
//! for tests. Both are the same session with the same rules.
//!
//! Orders go out as Deribit reads them: amounts in contracts, the client's number in `ClOrdID`, a cancel by that number
//! and the instrument's name. Reports bring the client's number back in `OrigClOrdID`.

mod acceptor;
mod account;
mod config;
mod orders;
mod reports;
mod rules;
mod session;
mod store;

pub use acceptor::{Acceptor, ClientRequest, OrderTerms, Taken};
pub use config::{Credentials, FixConfig, FixConfigError, FixRules, NonceSeed};
pub(super) use orders::Fix;
