//! What a session is opened with.

use super::super::numbers::{ResetPolicy, SequenceNumbers};
use crate::instrument::UNDERLYINGS_MAX;
use crate::units::Nanos;
use crate::wire::starbase::orders::Secret;

/// What a session is opened with.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct SessionConfig {
    /// Who, padded with zeros.
    pub client_id: [u8; 16],
    /// Proof of it; never printed.
    #[serde(skip)]
    pub secret: Secret,
    /// Longest silence, nanoseconds; the venue's own figure replaces it at logon.
    pub heartbeat_ns: u64,
    /// When sequence numbers start again.
    pub reset: ResetPolicy,
    /// Where [`ResetPolicy::Never`] starts.
    pub resume: SequenceNumbers,
    /// Whether each order carries the flag that cancels it when the connection is lost. The venue has no such setting for
    /// the session as a whole.
    pub cancel_on_disconnect: bool,
    /// Whether orders that rest count toward the venue's market-maker protection, which must be configured there: when it
    /// triggers, the venue takes them all back unasked and refuses more until it thaws. Orders that take are never part of
    /// it, so that a hedge still leaves while quotes are frozen.
    pub market_maker_protection: bool,
    /// The venue's group of quotes, configured there, whose protection counts them; 0 where the session quotes nothing.
    #[serde(default)]
    pub quote_group: i64,
    /// Orders that share this number do not trade with each other at the venue, across sessions; 0 leaves that to the
    /// venue's own rule. The taker yields.
    pub self_match_prevention: i64,
    /// The venue's currency pair of each underlying, for mass cancels. No message of the order session defines them: they
    /// come from the venue's reference data. The default counts from 1 in order of listing.
    pub currency_pairs: [i64; UNDERLYINGS_MAX],
}

/// A credential that the wire has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// More than 16 bytes, or none.
    #[error("client id must have 1 to 16 bytes")]
    ClientId,
    /// More than 48 bytes, or none.
    #[error("secret must have 1 to 48 bytes")]
    Secret,
}

impl SessionConfig {
    /// The usual session: 5 s heartbeat, numbers reset once, orders cancelled on disconnect.
    pub fn new(client_id: &str, secret: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            client_id: padded(client_id).ok_or(ConfigError::ClientId)?,
            secret: Secret(padded(secret).ok_or(ConfigError::Secret)?),
            heartbeat_ns: 5 * Nanos::PER_SECOND,
            reset: ResetPolicy::FirstLogon,
            resume: SequenceNumbers { outgoing: 1, incoming: 1 },
            cancel_on_disconnect: true,
            market_maker_protection: false,
            quote_group: 0,
            self_match_prevention: 0,
            currency_pairs: std::array::from_fn(|underlying| underlying as i64 + 1),
        })
    }
}

fn padded<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    (!text.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_do_not_fit_are_refused_and_never_printed() {
        assert_eq!(SessionConfig::new("seventeen-letters", "s").err(), Some(ConfigError::ClientId));
        assert_eq!(SessionConfig::new("c", "").err(), Some(ConfigError::Secret));
        let config = SessionConfig::new("client", "swordfish").expect("both fit");
        assert!(format!("{config:?}").contains("secret: Secret(..)"));
    }
}
