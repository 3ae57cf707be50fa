//! What a session is opened with.

use super::super::numbers::{ResetPolicy, SequenceNumbers};
use crate::instrument::UNDERLYINGS_MAX;
use crate::units::{Nanos, UnderlyingId};
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
    /// The venue's currency pair of each underlying, for mass cancels and protection. No message of the order session defines
    /// them: they come from the venue's reference data. The default counts from 1 in order of listing.
    pub currency_pairs: [i64; UNDERLYINGS_MAX],
    /// Whose those are: how the names of its instruments begin, such as `BTC` or `ETH_USDC`, padded with zeros. Without any
    /// they are in the order of listing, which is only the same in every run where one process lists everything.
    #[serde(default)]
    pub pair_names: [[u8; 16]; UNDERLYINGS_MAX],
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
            resume: SequenceNumbers::FIRST,
            cancel_on_disconnect: true,
            market_maker_protection: false,
            quote_group: 0,
            self_match_prevention: 0,
            currency_pairs: std::array::from_fn(|underlying| underlying as i64 + 1),
            pair_names: [[0; 16]; UNDERLYINGS_MAX],
        })
    }

    /// The currency pair of an underlying whose instruments are called like this one; 0 where none is known.
    pub(super) fn pair_of(&self, underlying: UnderlyingId, symbol: &[u8]) -> i64 {
        if self.pair_names == [[0; 16]; UNDERLYINGS_MAX] {
            return self.currency_pairs[underlying.index()];
        }
        let name = symbol.split(|byte| *byte == b'-').next().unwrap_or_default();
        let is_its = |known: &[u8; 16]| !name.is_empty() && pair_name(name).is_some_and(|name| name == *known);
        self.pair_names.iter().position(is_its).map_or(0, |at| self.currency_pairs[at])
    }
}

/// How the names of an underlying's instruments begin, padded with zeros; `None` when that is too long.
pub fn pair_name(name: &[u8]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    bytes.get_mut(..name.len())?.copy_from_slice(name);
    Some(bytes)
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
    fn a_currency_pair_is_found_by_name_whatever_was_listed_first() {
        let mut config = SessionConfig::new("client", "swordfish").expect("both fit");
        let [first, second] = [0, 1].map(UnderlyingId);
        assert_eq!([config.pair_of(first, b"ETH_USDC-PERPETUAL"), config.pair_of(second, b"BTC-PERPETUAL")], [1, 2]);
        for (at, (name, pair)) in [(&b"BTC"[..], 12), (b"ETH_USDC", 13)].into_iter().enumerate() {
            (config.pair_names[at], config.currency_pairs[at]) = (pair_name(name).expect("short"), pair);
        }
        for underlying in [first, second] {
            let pairs = [&b"BTC-26DEC26-90000-C"[..], b"ETH_USDC-PERPETUAL", b"BTC_USDC-PERPETUAL", b"BT-1", b"-", b""];
            assert_eq!(pairs.map(|symbol| config.pair_of(underlying, symbol)), [12, 13, 0, 0, 0, 0]);
        }
    }

    #[test]
    fn credentials_that_do_not_fit_are_refused_and_never_printed() {
        assert_eq!(SessionConfig::new("seventeen-letters", "s").err(), Some(ConfigError::ClientId));
        assert_eq!(SessionConfig::new("c", "").err(), Some(ConfigError::Secret));
        let config = SessionConfig::new("client", "swordfish").expect("both fit");
        assert!(format!("{config:?}").contains("secret: Secret(..)"));
    }
}
