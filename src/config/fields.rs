//! Every field of venue, line, session and socket, each with what it cannot be: the error names file, line and field.

use std::path::Path;

use super::Settings;
use crate::gateway::fix::NonceSeed;

const EXAMPLE: &str = include_str!("../../examples/hedgecore.toml");

/// The fields of each table.
const FIELDS: [(&str, &[&str]); 6] = [
    ("[run]", &["topology", "cores", "control", "metrics"]),
    (
        "[[line]]",
        &[
            "address",
            "interface",
            "receive_buffer_bytes",
            "busy_poll_us",
            "copy",
            "stream_port",
            "source",
            "timestamps",
        ],
    ),
    ("[market_data]", &["protocol", "stale_after_ms", "hold_us", "reorder_us", "line_silence_ms"]),
    ("[market_data.recovery]", &["service", "interface", "requests_per_second", "response_ms", "give_up_ms"]),
    ("[market_data.fees]", &["futures", "options", "spot"]),
    (
        "[orders]",
        &[
            "protocol",
            "address",
            "source",
            "client_id",
            "secret_env",
            "secret_file",
            "sender",
            "target",
            "heartbeat_s",
            "reset",
            "cancel_on_disconnect",
            "market_maker_protection",
            "quote_group",
            "self_match_prevention",
            "currency_pairs",
            "connect_time_out_ms",
            "reconnect_first_ms",
            "reconnect_last_ms",
        ],
    ),
];

/// The example with `line` as the first of `table`, and without what that says of the same field; where it stands then.
fn with(table: &str, field: &str, line: &str) -> (String, usize) {
    let mut lines: Vec<&str> = EXAMPLE.lines().collect();
    let head = lines.iter().position(|line| line.split(" #").next() == Some(table)).expect("the example has it");
    let end = lines[head + 1..].iter().position(|line| line.starts_with('[')).map_or(lines.len(), |at| head + 1 + at);
    let own = format!("{field} = ");
    if let Some(at) = lines[head..end].iter().position(|line| line.starts_with(&own)) {
        lines.remove(head + at);
    }
    lines.insert(head + 1, line);
    (lines.join("\n"), head + 2)
}

#[test]
fn what_a_field_cannot_be_is_said_with_file_line_and_field() {
    for (table, fields) in FIELDS {
        for field in fields {
            let (text, at) = with(table, field, &format!("{field} = [[[]]]"));
            let error =
                Settings::parse(Path::new("desk.toml"), &text, NonceSeed([7; 32])).expect_err(field).to_string();
            assert!(error.starts_with(&format!("desk.toml:{at}: {field}")), "{table} {field}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let (text, at) = with(table, "unheard_of", "unheard_of = 1");
        let error = Settings::parse(Path::new("desk.toml"), &text, NonceSeed([7; 32])).expect_err(table).to_string();
        assert!(error.starts_with(&format!("desk.toml:{at}: unheard_of")), "{table}: {error}");
    }
}
