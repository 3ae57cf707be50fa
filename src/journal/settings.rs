//! What a run's stages were made from: enough to make them again.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::gateway::GatewayConfig;
use crate::hedge::HedgeConfig;
use crate::portfolio::GreeksConfig;

/// Settings of the stages that a journal replays. The secret of the session is not kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Of the greeks.
    pub greeks: GreeksConfig,
    /// Of the hedge.
    pub hedge: HedgeConfig,
    /// Of the gateway.
    pub session: GatewayConfig,
}

impl Settings {
    /// As a journal keeps them.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("settings are numbers, names and lists of them")
    }

    /// As a journal kept them; an error says which field does not fit this version.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

/// SHA-256, as heads carry it.
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
