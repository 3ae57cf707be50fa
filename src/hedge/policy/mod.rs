//! What decides, and the mathematics of bands: from an exposure to a side and lots.

mod band;
mod sizing;

use std::fmt;
use std::str::FromStr;

pub(in crate::hedge) use band::cbrt;
pub use band::{BandConfig, Width, Zakamouline, leland_sigma};
pub use sizing::{Size, delta_per_lot, taker_fee, taking_cost, to_nearest_edge};

/// What decides on hedges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Policy {
    /// Whalley and Wilmott's no-trade band on delta, traded with the perpetual.
    #[default]
    WhalleyWilmott,
    /// Zakamouline's, around the delta at his volatility.
    Zakamouline,
    /// The quadratic program over perpetual, futures and options; the first band where it cannot be certified.
    Program,
}

impl Policy {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::WhalleyWilmott, Self::Zakamouline, Self::Program];

    /// The name it is chosen by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WhalleyWilmott => "whalley-wilmott",
            Self::Zakamouline => "zakamouline",
            Self::Program => "program",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No policy has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a policy is whalley-wilmott, zakamouline or program")]
pub struct UnknownPolicy;

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.into_iter().find(|policy| policy.name() == name).ok_or(UnknownPolicy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_chosen_by_its_name() {
        for policy in Policy::ALL {
            assert_eq!(policy.name().parse(), Ok(policy));
        }
        assert_eq!("band".parse::<Policy>(), Err(UnknownPolicy));
    }
}
