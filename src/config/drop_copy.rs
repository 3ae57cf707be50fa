//! How a live run listens to a drop copy.

use super::schema::{DropCopyTable, Orders, Protocol};
use super::{ConfigError, Page};
use crate::gateway::ProtocolConfig;
use crate::gateway::fix::NonceSeed;
use crate::runtime::DropCopyConfig;
use crate::units::Nanos;

/// The session is one like that of `[orders]`, by FIX, and nothing of the account's ends with it.
pub(super) fn settings(
    page: &Page<'_>,
    table: DropCopyTable,
    orders: &Orders,
    unguessable: NonceSeed,
) -> Result<DropCopyConfig, ConfigError> {
    let (sender, target) = (&table.sender, &table.target);
    if matches!(orders.protocol, Protocol::Fix)
        && [&orders.sender, &orders.target].map(|name| name.as_ref().map(|name| name.get_ref()))
            == [sender, target].map(|name| Some(name.get_ref()))
    {
        let what = "the drop copy needs a session of its own: these are the names of [orders]".to_owned();
        return Err(page.fault(sender.span(), what));
    }
    let patience_ms = page.within(&table.patience_ms, 10..=600_000, 1_000)?;
    let on_difference = table.on_difference.map(Into::into).unwrap_or_default();
    let session = Orders {
        protocol: Protocol::Fix,
        address: table.address,
        source: table.source,
        client_id: table.client_id,
        secret_env: table.secret_env,
        secret_file: table.secret_file,
        tls: table.tls,
        sender: Some(table.sender),
        target: Some(table.target),
        heartbeat_s: table.heartbeat_s,
        reset: None,
        cancel_on_disconnect: Some(false),
        market_maker_protection: None,
        quote_group: None,
        self_match_prevention: None,
        currency_pairs: None,
        connect_time_out_ms: None,
        reconnect_first_ms: None,
        reconnect_last_ms: None,
    };
    let address = super::order_address(page, &session)?;
    let ProtocolConfig::Fix(config) = super::session(page, &session, unguessable)?.protocol else {
        unreachable!("FIX was asked for")
    };
    Ok(DropCopyConfig { address, session: *config, patience_ns: patience_ms * Nanos::PER_MILLI, on_difference })
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use crate::gateway::fix::NonceSeed;
    use crate::journal::recovery::Policy;
    use crate::units::Nanos;
    use std::path::Path;

    const EXAMPLE: &str = include_str!("../../examples/hedgecore.toml");

    /// The example with its drop copy, and this in place of that.
    fn parse(from: &str, to: &str) -> Result<Settings, super::ConfigError> {
        let (before, after) = EXAMPLE.split_once("# [drop_copy]\n").expect("in the example");
        let (table, rest) = after.split_once("\n\n").expect("the end of the table");
        let table: String = table.lines().map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
        assert!(table.contains(from), "{from}");
        let text = format!("{before}[drop_copy]\n{}\n{rest}", table.replace(from, to));
        let text = text.replace("secret_env = \"HEDGECORE_SECRET\"", "secret_env = \"CARGO_PKG_NAME\"");
        Settings::parse(Path::new("desk.toml"), &text, NonceSeed([7; 32]))
    }

    #[test]
    fn the_example_listens_to_a_session_with_which_nothing_ends() {
        let of = parse("", "").expect("valid").drop_copy.expect("asked for");
        assert!(!of.session.cancel_on_disconnect);
        assert_eq!((of.patience_ns, of.on_difference), (1_000 * Nanos::PER_MILLI, Policy::Halt));
        let of = parse("on_difference = \"halt\"", "on_difference = \"adopt\"").expect("valid").drop_copy;
        assert_eq!(of.expect("asked for").on_difference, Policy::Adopt);
    }

    #[test]
    fn the_session_of_orders_is_no_second_witness() {
        let shown = parse("DESK-COPY", "DESK").expect_err("the same session").to_string();
        assert!(shown.contains("a session of its own"), "{shown}");
    }
}
