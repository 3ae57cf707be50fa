//! The file as it is written. Values that are checked further remember where they stood.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use crate::journal::recovery::Policy;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) armed: bool,
    pub(super) run: Option<Run>,
    #[serde(default)]
    pub(super) line: Vec<Line>,
    #[serde(default)]
    pub(super) market_data: MarketData,
    pub(super) orders: Orders,
    pub(super) limits: Option<LimitsTable>,
    pub(super) hedge: Option<Hedge>,
    pub(super) book: Option<Book>,
    pub(super) journal: Option<JournalTable>,
    pub(super) drop_copy: Option<DropCopyTable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    pub(super) topology: Option<Spanned<String>>,
    pub(super) cores: Option<Vec<usize>>,
    pub(super) control: Option<PathBuf>,
    pub(super) metrics: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) address: Spanned<String>,
    pub(super) interface: Option<Spanned<String>>,
    pub(super) receive_buffer_bytes: Option<Spanned<usize>>,
    pub(super) busy_poll_us: Option<Spanned<u32>>,
    pub(super) copy: Option<Copy>,
    pub(super) stream_port: Option<Spanned<u16>>,
    pub(super) source: Option<Spanned<String>>,
    pub(super) timestamps: Option<bool>,
}

/// Which copy of a stream a line carries.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Copy {
    A,
    B,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FeedProtocol {
    Classic,
    Starbase,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarketData {
    pub(super) protocol: Option<FeedProtocol>,
    pub(super) stale_after_ms: Option<Spanned<u64>>,
    pub(super) hold_us: Option<Spanned<u64>>,
    pub(super) reorder_us: Option<Spanned<u64>>,
    pub(super) line_silence_ms: Option<Spanned<u64>>,
    #[serde(default)]
    pub(super) recovery: Recovery,
    #[serde(default)]
    pub(super) fees: Fees,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recovery {
    pub(super) service: Option<Spanned<String>>,
    pub(super) interface: Option<Spanned<String>>,
    pub(super) requests_per_second: Option<Spanned<u32>>,
    pub(super) response_ms: Option<Spanned<u64>>,
    pub(super) give_up_ms: Option<Spanned<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fees {
    pub(super) futures: Option<Spanned<[f64; 2]>>,
    pub(super) options: Option<Spanned<[f64; 2]>>,
    pub(super) spot: Option<Spanned<[f64; 2]>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    Fix,
    Starbase,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reset {
    FirstLogon,
    EveryLogon,
    Never,
}

#[cfg(feature = "tls")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    pub(super) server_name: Spanned<String>,
    pub(super) ca_file: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Orders {
    pub(super) protocol: Protocol,
    pub(super) address: Spanned<String>,
    pub(super) source: Option<Spanned<String>>,
    pub(super) client_id: Spanned<String>,
    pub(super) secret_env: Option<Spanned<String>>,
    pub(super) secret_file: Option<Spanned<PathBuf>>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsTable>,
    #[cfg(not(feature = "tls"))]
    pub(super) tls: Option<Spanned<toml::Table>>,
    pub(super) sender: Option<Spanned<String>>,
    pub(super) target: Option<Spanned<String>>,
    pub(super) heartbeat_s: Option<Spanned<u32>>,
    pub(super) reset: Option<Reset>,
    pub(super) cancel_on_disconnect: Option<bool>,
    pub(super) market_maker_protection: Option<Spanned<bool>>,
    pub(super) quote_group: Option<Spanned<i64>>,
    pub(super) self_match_prevention: Option<Spanned<i64>>,
    pub(super) currency_pairs: Option<Spanned<BTreeMap<String, i64>>>,
    pub(super) connect_time_out_ms: Option<Spanned<u64>>,
    pub(super) reconnect_first_ms: Option<Spanned<u64>>,
    pub(super) reconnect_last_ms: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DropCopyTable {
    pub(super) address: Spanned<String>,
    pub(super) source: Option<Spanned<String>>,
    pub(super) client_id: Spanned<String>,
    pub(super) secret_env: Option<Spanned<String>>,
    pub(super) secret_file: Option<Spanned<PathBuf>>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsTable>,
    #[cfg(not(feature = "tls"))]
    pub(super) tls: Option<Spanned<toml::Table>>,
    pub(super) sender: Spanned<String>,
    pub(super) target: Spanned<String>,
    pub(super) heartbeat_s: Option<Spanned<u32>>,
    pub(super) patience_ms: Option<Spanned<u64>>,
    pub(super) on_difference: Option<OnDifferenceName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    pub(super) order_lots_max: Option<Spanned<u32>>,
    pub(super) order_notional_max: Option<Spanned<f64>>,
    pub(super) position_notional_max: Option<Spanned<f64>>,
    pub(super) collar: Option<Spanned<f64>>,
    pub(super) open_orders_max: Option<Spanned<u32>>,
    pub(super) messages_per_second: Option<Spanned<u32>>,
    pub(super) cancel_reserve: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hedge {
    pub(super) policy: Option<Spanned<String>>,
    pub(super) rest_below: Option<Spanned<f64>>,
    pub(super) rest_saving_share: Option<Spanned<f64>>,
    pub(super) rest_ms: Option<Spanned<u64>>,
    pub(super) risk_aversion: Option<Spanned<f64>>,
    pub(super) half_width_min: Option<Spanned<f64>>,
    pub(super) half_width_max: Option<Spanned<f64>>,
    pub(super) slippage: Option<Spanned<f64>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Opening {
    Flat,
    ShortEveryOption,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    pub(super) opening: Option<Opening>,
    #[serde(default)]
    pub(super) position: Vec<Position>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    pub(super) instrument: Spanned<u32>,
    pub(super) lots: i64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DurabilityName {
    None,
    Batched,
    BeforeSend,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnFailureName {
    Halt,
    Pause,
    Continue,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnDifferenceName {
    Halt,
    Adopt,
}

impl From<OnDifferenceName> for Policy {
    fn from(name: OnDifferenceName) -> Self {
        match name {
            OnDifferenceName::Halt => Self::Halt,
            OnDifferenceName::Adopt => Self::Adopt,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalTable {
    pub(super) directory: Spanned<PathBuf>,
    pub(super) durability: Option<DurabilityName>,
    pub(super) batch_ms: Option<Spanned<u64>>,
    pub(super) segment_mib: Option<Spanned<u64>>,
    pub(super) runs_kept: Option<Spanned<usize>>,
    pub(super) on_failure: Option<OnFailureName>,
    pub(super) on_difference: Option<OnDifferenceName>,
}
