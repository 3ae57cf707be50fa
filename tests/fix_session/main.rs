//! The FIX session against scripted counterparties: one test a rule, named after it.
//!
//! The rules are those of FIX 4.4, volume 2 (session protocol, and its list of test cases). `acceptor` holds a venue's end
//! against clients that break them, `initiator` a client's end against venues that do, `together` both ends against each
//! other over a connection that breaks.
//!
//! Where the cases of the standard's list stand:
//!
//! | case | what it asks | tests |
//! |---|---|---|
//! | 1B, 1S | logging on, from either end | `acceptor::logon`, `initiator` |
//! | 2 a to g | number too high, too low, repeated with and without `PossDupFlag` | `acceptor::numbers` |
//! | 2 h to t, 3 | version, names, body length, time, type, the first three fields, checksum | `acceptor::messages`, `acceptor::fields` |
//! | 4, 5, 6 | heartbeats, test requests and their time-out | `acceptor::flow`, `initiator` |
//! | 7 | a reject is taken | `acceptor::fields`, `orders` |
//! | 8, 16 | resend requests, and what was said while nobody was connected | `acceptor::flow` |
//! | 9, 10, 11 | reset and gap fill | `acceptor::numbers` |
//! | 12, 13 | logging out, from either end | `acceptor::logon`, `initiator` |
//! | 14 | fields: unknown, missing, foreign, empty, wrong, out of order, repeated, groups, separators in values | `acceptor::fields`, `initiator` |
//! | 15 | any order of fields, and those a venue adds | `orders`, `initiator` |
//! | 17 | encryption is refused | `acceptor::logon` |
//! | 18 | names of third parties | `acceptor::fields` |
//! | 19 | `PossResend` | `acceptor::fields` |
//! | 20 | simultaneous resend requests | `acceptor::flow` |

#[path = "../approval/mod.rs"]
mod approval;

mod acceptor;
mod initiator;
mod orders;
mod together;
mod wire;
