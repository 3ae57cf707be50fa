//! Black-76 values and greeks: one option, a strip of strikes, the whole book in constant time.
//!
//! Plain numbers enter and leave; events, catalogues and positions are the business of `portfolio` and `surface`.
//!
//! - [`elementary`]: exponential, logarithm, normal distribution, the same bits on every machine.
//! - [`black76`]: one option exactly, and the conventions of inverse and linear contracts.
//! - [`settlement`]: the average that options settle on in their last half hour.
//! - [`implied_vol`]: volatility from a price, cold and warm.
//! - [`strip`]: every strike of an expiry at once.
//! - [`anchor`]: an expiry's greeks in constant time, with certified bounds.

pub mod anchor;
pub mod black76;
pub mod elementary;
mod exposure;
pub mod implied_vol;
pub mod settlement;
pub mod strip;

pub use anchor::{Anchor, Anchor8, Anchor16};
pub use black76::{CoinGreeks, Greeks};
pub use exposure::Exposure;
pub use strip::Strip;
