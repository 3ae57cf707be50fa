//! What a FIX session is opened with.

use std::fmt;

use super::super::numbers::{ResetPolicy, SequenceNumbers};
use crate::units::Nanos;
use crate::wire::fix::{SecretText, Text};

/// Proof of who a client is.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Credentials {
    /// `Username` (553): the venue's name for the key.
    pub username: Text,
    /// What `Password` (554) is made from; never printed, never written down.
    #[serde(skip, default = "SecretText::unknown")]
    pub secret: SecretText,
}

/// Rules that hold on both ends.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct FixRules {
    /// `SenderCompID` (49) of what is sent.
    pub sender: Text,
    /// `TargetCompID` (56) of what is sent.
    pub target: Text,
    /// Longest silence, seconds. The initiator's is the session's.
    pub heartbeat_s: u32,
    /// How far `SendingTime` (52) may be from the time here.
    pub sending_time_tolerance_ns: u64,
    /// Whether a field that FIX 4.4 does not have in its message is refused. Venues add fields of their own.
    pub strict: bool,
    /// How old an order may be and still be sent again; an older one is filled over. Cancels always are sent again.
    pub resend_orders_ns: u64,
}

/// Where nonces come from; never printed.
#[derive(Clone, Copy, Default)]
pub struct NonceSeed(pub [u8; 32]);

impl fmt::Debug for NonceSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceSeed(..)")
    }
}

/// What a client's session is opened with.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct FixConfig {
    /// Rules of the session.
    pub rules: FixRules,
    /// Who we are.
    pub credentials: Credentials,
    /// Bytes that nobody can guess, from which each logon's nonce is made with its time.
    #[serde(skip)]
    pub nonce_seed: NonceSeed,
    /// When sequence numbers start again.
    pub reset: ResetPolicy,
    /// Where [`ResetPolicy::Never`] starts.
    pub resume: SequenceNumbers,
    /// Whether the venue cancels what rests when the connection is lost: `CancelOnDisconnect` (9001).
    pub cancel_on_disconnect: bool,
    /// Whether the venue's own tags are to begin at 5,000 instead of 100,000: `UseWordsafeTags` (9002).
    pub word_safe_tags: bool,
}

/// A name or credential that the wire has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FixConfigError {
    /// Not 1 to 32 printable characters.
    #[error("sender must be 1 to 32 printable ASCII characters")]
    Sender,
    /// Not 1 to 32 printable characters.
    #[error("target must be 1 to 32 printable ASCII characters")]
    Target,
    /// Not 1 to 32 printable characters.
    #[error("client id must be 1 to 32 printable ASCII characters")]
    ClientId,
    /// More than 128 bytes, or none.
    #[error("secret must have 1 to 128 bytes")]
    Secret,
}

impl FixRules {
    /// 5 s heartbeat, two minutes of tolerance for clocks, orders sent again within a second.
    pub fn new(sender: &str, target: &str) -> Result<Self, FixConfigError> {
        Ok(Self {
            sender: Text::new(sender).ok_or(FixConfigError::Sender)?,
            target: Text::new(target).ok_or(FixConfigError::Target)?,
            heartbeat_s: 5,
            sending_time_tolerance_ns: 120 * Nanos::PER_SECOND,
            strict: false,
            resend_orders_ns: Nanos::PER_SECOND,
        })
    }

    pub(super) fn heartbeat_ns(&self) -> u64 {
        u64::from(self.heartbeat_s.max(1)) * Nanos::PER_SECOND
    }
}

impl Credentials {
    /// A name and its secret.
    pub fn new(username: &str, secret: &str) -> Result<Self, FixConfigError> {
        Ok(Self {
            username: Text::new(username).ok_or(FixConfigError::ClientId)?,
            secret: SecretText::new(secret).ok_or(FixConfigError::Secret)?,
        })
    }
}

impl FixConfig {
    /// The usual session: numbers reset once, orders cancelled on disconnect.
    pub fn new(rules: FixRules, credentials: Credentials, nonce_seed: NonceSeed) -> Self {
        Self {
            rules,
            credentials,
            nonce_seed,
            reset: ResetPolicy::FirstLogon,
            resume: SequenceNumbers::FIRST,
            cancel_on_disconnect: true,
            word_safe_tags: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_do_not_fit_are_refused_and_secrets_never_printed() {
        assert_eq!(FixRules::new("", "T").err(), Some(FixConfigError::Sender));
        assert_eq!(FixRules::new("S", "a\x01").err(), Some(FixConfigError::Target));
        assert_eq!(Credentials::new("c", "").err(), Some(FixConfigError::Secret));
        let rules = FixRules::new("S", "T").expect("both fit");
        let config =
            FixConfig::new(rules, Credentials::new("client", "swordfish").expect("both fit"), NonceSeed([0; 32]));
        assert!(!format!("{config:?}").contains("swordfish"));
    }
}
