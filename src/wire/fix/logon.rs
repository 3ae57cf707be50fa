//! The proof that a logon carries: `RawData` (96) is a time and a nonce, `Password` (554) their hash with the secret.
//!
//! ```text
//!  96  = milliseconds since the epoch "." base64(32 random bytes)
//!  554 = base64(sha256(96 ‖ secret))
//! ```

use std::fmt;

use arrayvec::ArrayVec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Longest `RawData` made here: 20 digits, a dot, 44 characters.
pub const RAW_DATA_BYTES_MAX: usize = 65;
/// Longest secret.
const SECRET_BYTES_MAX: usize = 128;
const PASSWORD_BYTES: usize = 44;

/// A secret, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(ArrayVec<u8, SECRET_BYTES_MAX>);

impl SecretText {
    /// `None` when it is empty or longer than 128 bytes.
    pub fn new(secret: &str) -> Option<Self> {
        let mut bytes = ArrayVec::new();
        bytes.try_extend_from_slice(secret.as_bytes()).ok()?;
        (!secret.is_empty()).then_some(Self(bytes))
    }

    /// In the place of one that was not kept.
    pub fn unknown() -> Self {
        Self(ArrayVec::new())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// What the password is a hash of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawData(ArrayVec<u8, RAW_DATA_BYTES_MAX>);

impl RawData {
    /// From the time in milliseconds, which must rise from one logon to the next, and bytes that nobody can guess.
    pub fn new(time_ms: u64, nonce: &[u8; 32]) -> Self {
        let mut bytes = ArrayVec::new();
        let mut text = [0; PASSWORD_BYTES];
        let encoded = STANDARD.encode_slice(nonce, &mut text).unwrap_or(0);
        for part in [itoa::Buffer::new().format(time_ms).as_bytes(), b".", &text[..encoded]] {
            // The capacity is that of the longest.
            let _ = bytes.try_extend_from_slice(part);
        }
        Self(bytes)
    }

    /// As it is written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The hash, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password([u8; PASSWORD_BYTES]);

impl Password {
    /// Of `RawData` as it stands on the wire.
    pub fn new(raw_data: &[u8], secret: &SecretText) -> Self {
        let hash = Sha256::new().chain_update(raw_data).chain_update(&secret.0).finalize();
        let mut text = [0; PASSWORD_BYTES];
        // 32 bytes are 44 characters.
        let _ = STANDARD.encode_slice(hash, &mut text);
        Self(text)
    }

    /// As it is written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_hash_of_the_raw_data_and_the_secret() {
        let raw = RawData::new(1_795_374_000_123, &[7; 32]);
        assert_eq!(raw.as_bytes(), b"1795374000123.BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        let password = Password::new(raw.as_bytes(), &SecretText::new("swordfish").unwrap());
        // printf '%s' '1795374000123.BwcH…Bwc=swordfish' | openssl dgst -sha256 -binary | base64
        assert_eq!(password.as_bytes(), b"KtvBH0FtS21EdpZ7JC2tle01smvwtM95haNFifoBUxo=");
    }

    #[test]
    fn what_is_secret_does_not_print() {
        let secret = SecretText::new("swordfish").unwrap();
        let password = Password::new(b"1.x", &secret);
        let shown = format!("{secret:?} {password:?}");
        assert!(!shown.contains("swordfish") && !shown.contains(std::str::from_utf8(password.as_bytes()).unwrap()));
        assert!(SecretText::new("").is_none() && SecretText::new(&"x".repeat(129)).is_none());
    }
}
