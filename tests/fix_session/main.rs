//! The FIX session against scripted counterparties: one test a rule, named after it.
//!
//! The rules are those of FIX 4.4, volume 2 (session protocol, and its list of test cases). `acceptor` holds a venue's end
//! against clients that break them, `initiator` a client's end against venues that do, `together` both ends against each
//! other over a connection that breaks.
//!
//! Where the cases of the standard's list stand, by its numbers and letters:
//!
//! | case | what it asks | tests |
//! |---|---|---|
//! | 1B, 1S | logging on, as initiator and as acceptor; no logon first | `initiator`, `acceptor::logon` |
//! | 2 a to c | number as expected, too high, too low | `acceptor::numbers`, `initiator` |
//! | 2 d | a garbled message is passed over | `acceptor::messages` |
//! | 2 e to g | `PossDupFlag`: seen before and not, its first time later than its time, or absent | `acceptor::numbers` |
//! | 2 h, i | version | `acceptor::messages` |
//! | 2 j, k | names of the parties | `acceptor::messages` |
//! | 2 l, m | body length | `acceptor::messages` |
//! | 2 n, o | sending time within its range | `acceptor::messages` |
//! | 2 p to r | type: spoken, none, and one that is not taken here | `acceptor::fields` |
//! | 2 s, t | the first three fields in their order | `acceptor::messages` |
//! | 3 | trailer: checksum | `acceptor::messages` |
//! | 4 a, b | heartbeats, of a quiet side and on request | `acceptor::flow` |
//! | 5 | a heartbeat is taken | `acceptor::flow` |
//! | 6 | a test request into the silence, and its time-out | `acceptor::flow`, `initiator` |
//! | 7 | a reject is taken | `acceptor::fields`, `orders` |
//! | 8 | resend requests | `acceptor::flow`, `initiator` |
//! | 9 | numbers put in step by hand: both directions from one | `acceptor::logon` |
//! | 10 a to e | gap fill: beyond a gap, in turn, too low with and without `PossDupFlag`, backward | `acceptor::numbers` |
//! | 11 a to c | reset: forward, to the number expected, backward | `acceptor::numbers` |
//! | 12, 13 | logging out, from either end; no answer | `acceptor::logon`, `initiator` |
//! | 14 a to f | tags: none, missing, foreign, empty; values: out of range, of the wrong format | `acceptor::fields` |
//! | 14 g, h | header fields in the body; a tag twice | `acceptor::fields` |
//! | 14 i, j | groups: number of entries, order of members | `initiator` |
//! | 14 k | a separator inside a value | `acceptor::fields` |
//! | 14 m | a field that another one makes required | `acceptor::numbers` |
//! | 15 | any order of fields, and those a venue adds | `orders`, `initiator` |
//! | 16 | what was to be said while nobody was connected | `acceptor::flow` |
//! | 17 | encryption is refused | `acceptor::logon` |
//! | 18 | names of third parties | `acceptor::fields` |
//! | 19 | `PossResend` | `acceptor::fields` |
//! | 20 | simultaneous resend requests | `acceptor::flow` |
//!
//! Two do not arise: nothing is encrypted (14 n), and there is no session without its application (14 l).

#[path = "../approval/mod.rs"]
mod approval;

mod acceptor;
mod initiator;
mod orders;
mod together;
mod wire;
