//! The configuration of a live run: a TOML file, read once, every figure checked before anything is opened.
//!
//! In: the text of a file. Out: a [`Settings`], or the first [`ConfigError`], which names file, line and field and says
//! what would be right. Secrets are not in the file: it names an environment variable or a file that holds one.
//!
//! Nothing is sent unless the file says `armed = true`.

mod drop_copy;
mod feed;
#[cfg(test)]
mod fields;
mod journal;
mod pairs;
mod schema;

pub use journal::JournalSettings;

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use crate::feed::FeedConfig;
use crate::gateway::fix::{Credentials, FixConfig, FixRules, NonceSeed};
use crate::gateway::{GatewayConfig, ResetPolicy, SessionConfig};
use crate::hedge::{BandConfig, ExecutionConfig, HedgeConfig, UnknownPolicy};
use crate::portfolio::OpeningBook;
use crate::risk::Limits;
use crate::runtime::DropCopyConfig;
use crate::runtime::placement::Topology;
use crate::runtime::socket::{FeedAddress, OrderAddress};
#[cfg(feature = "tls")]
use crate::runtime::socket::{Tls, TlsError};
use crate::units::{Lots, Nanos, ONE_E9, VenueInstrumentId};
use schema::{Book, File, Hedge, LimitsTable, Opening, Orders, Protocol, Reset};

/// Everything a live run is made from.
#[derive(Debug)]
pub struct Settings {
    /// Which stages share a thread.
    pub topology: Topology,
    /// Cores of the hot threads, in pipeline order.
    pub cores: Option<Vec<usize>>,
    /// Where to take an operator's commands.
    pub control: Option<PathBuf>,
    /// Where to serve metrics.
    pub metrics: Option<String>,
    /// Where market data comes from.
    pub lines: Vec<FeedAddress>,
    /// How it is read, and how long what is missing is waited for.
    pub feed: FeedConfig,
    /// Where orders go, and how the connection is kept.
    pub orders: OrderAddress,
    /// The order session, armed or not.
    pub session: GatewayConfig,
    /// The hedge and its limits.
    pub hedge: HedgeConfig,
    /// What is held before the first fill.
    pub opening: OpeningBook,
    /// Where the run is written down, if it is.
    pub journal: Option<JournalSettings>,
    /// A second witness of executions, if there is one.
    pub drop_copy: Option<DropCopyConfig>,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    file: PathBuf,
    /// From 1; 0 when it concerns the file as a whole.
    line: usize,
    field: String,
    what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.what)
    }
}

impl Settings {
    /// Reads and checks a file. `unguessable` are bytes that nobody can foresee, for the proofs of logons.
    pub fn read(path: &Path, unguessable: NonceSeed) -> Result<Self, ConfigError> {
        let whole = |what: String| ConfigError { file: path.to_owned(), line: 0, field: String::new(), what };
        let text = std::fs::read_to_string(path).map_err(|error| whole(error.to_string()))?;
        Self::parse(path, &text, unguessable)
    }

    /// The same, of text that came from `path`.
    pub fn parse(path: &Path, text: &str, unguessable: NonceSeed) -> Result<Self, ConfigError> {
        let page = Page { path, text };
        let file: File = toml::from_str(text).map_err(|error| {
            let what = error.message().replace('\n', "; ");
            page.fault(error.span().unwrap_or_default(), what)
        })?;
        let run = file.run.unwrap_or_default();
        let topology = match &run.topology {
            Some(name) => name.get_ref().parse().map_err(|error| page.fault(name.span(), format!("{error}")))?,
            None => Topology::Auto,
        };
        if file.line.is_empty() {
            return Err(page.fault(0..0, "no market data: at least one [[line]] with an address is needed".to_owned()));
        }
        Ok(Self {
            topology,
            cores: run.cores,
            control: run.control,
            metrics: run.metrics.map(|address| metrics(&page, address)).transpose()?,
            lines: feed::sockets(&page, &file.line, &file.market_data)?,
            feed: feed::feed(&page, &file.market_data)?,
            orders: order_address(&page, &file.orders)?,
            session: GatewayConfig { armed: file.armed, ..session(&page, &file.orders, unguessable)? },
            hedge: hedge(&page, &file.hedge.unwrap_or_default(), &file.limits.unwrap_or_default())?,
            opening: opening(&page, &file.book.unwrap_or_default())?,
            journal: file.journal.as_ref().map(|table| journal::settings(&page, table)).transpose()?,
            drop_copy: file
                .drop_copy
                .map(|table| drop_copy::settings(&page, table, &file.orders, unguessable))
                .transpose()?,
        })
    }
}

/// The text, for saying where something stands.
struct Page<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Page<'_> {
    /// The line and the field at a place.
    fn fault(&self, span: Range<usize>, what: String) -> ConfigError {
        let before = &self.text[..span.start.min(self.text.len())];
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let text = self.text[begin..].lines().next().unwrap_or_default();
        let field = text.split('=').next().unwrap_or_default().trim();
        let field = if field.starts_with('#') { "" } else { field };
        let line = if span.is_empty() && span.start == 0 { 0 } else { line };
        let field = if line == 0 { String::new() } else { field.to_owned() };
        ConfigError { file: self.path.to_owned(), line, field, what }
    }

    fn parsed<T: std::str::FromStr>(&self, value: &Spanned<String>, example: &str) -> Result<T, ConfigError> {
        let wrong = || self.fault(value.span(), format!("{:?} is none; write it like {example:?}", value.get_ref()));
        value.get_ref().parse().map_err(|_| wrong())
    }

    fn within<T: PartialOrd + fmt::Display + Copy>(
        &self,
        value: &Option<Spanned<T>>,
        range: std::ops::RangeInclusive<T>,
        default: T,
    ) -> Result<T, ConfigError> {
        let Some(value) = value else { return Ok(default) };
        if range.contains(value.get_ref()) {
            return Ok(*value.get_ref());
        }
        let what = format!("{} is out of range: {} to {}", value.get_ref(), range.start(), range.end());
        Err(self.fault(value.span(), what))
    }
}

/// An address to listen at; whether it can be had is known when it is opened.
fn metrics(page: &Page<'_>, address: Spanned<String>) -> Result<String, ConfigError> {
    let port = address
        .get_ref()
        .rsplit_once(':')
        .and_then(|(host, port)| port.parse().ok().filter(|_: &u16| !host.is_empty()));
    match port {
        Some(_) => Ok(address.into_inner()),
        None => {
            Err(page
                .fault(address.span(), format!("{:?} is none; write it like \"127.0.0.1:9464\"", address.get_ref())))
        }
    }
}

fn order_address(page: &Page<'_>, orders: &Orders) -> Result<OrderAddress, ConfigError> {
    let address: SocketAddr = page.parsed(&orders.address, "127.0.0.1:9881")?;
    let usual = OrderAddress::new(address);
    let source = orders.source.as_ref().map(|source| page.parsed(source, "10.0.0.5:0")).transpose()?;
    let millis = |value, default: Duration| {
        page.within(value, 1..=600_000, default.as_millis() as u64).map(Duration::from_millis)
    };
    #[cfg(not(feature = "tls"))]
    if let Some(tls) = &orders.tls {
        let what = "this build speaks no TLS: build it with `--features tls`".to_owned();
        return Err(page.fault(tls.span(), what));
    }
    Ok(OrderAddress {
        #[cfg(feature = "tls")]
        tls: orders.tls.as_ref().map(|table| tls(page, table)).transpose()?,
        source,
        connect_time_out: millis(&orders.connect_time_out_ms, usual.connect_time_out)?,
        reconnect_first: millis(&orders.reconnect_first_ms, usual.reconnect_first)?,
        reconnect_last: millis(&orders.reconnect_last_ms, usual.reconnect_last)?,
        ..usual
    })
}

#[cfg(feature = "tls")]
fn tls(page: &Page<'_>, table: &schema::TlsTable) -> Result<Tls, ConfigError> {
    let server = &table.server_name;
    let authorities = table.ca_file.as_ref();
    Tls::new(server.get_ref(), authorities.map(|file| file.get_ref().as_path())).map_err(|error| {
        let of_file = matches!(error, TlsError::Authorities { .. });
        let span = authorities.filter(|_| of_file).map_or(server.span(), Spanned::span);
        page.fault(span, error.to_string())
    })
}

fn session(page: &Page<'_>, orders: &Orders, unguessable: NonceSeed) -> Result<GatewayConfig, ConfigError> {
    let secret = secret(page, orders)?;
    let heartbeat_s = page.within(&orders.heartbeat_s, 1..=600, 5)?;
    let reset = match orders.reset {
        Some(Reset::EveryLogon) => ResetPolicy::EveryLogon,
        Some(Reset::Never) => ResetPolicy::Never,
        Some(Reset::FirstLogon) | None => ResetPolicy::FirstLogon,
    };
    let cancel_on_disconnect = orders.cancel_on_disconnect.unwrap_or(true);
    let client = &orders.client_id;
    match orders.protocol {
        Protocol::Starbase => {
            let session = SessionConfig::new(client.get_ref(), &secret);
            let session = session.map_err(|error| page.fault(client.span(), error.to_string()))?;
            let heartbeat_ns = u64::from(heartbeat_s) * Nanos::PER_SECOND;
            Ok(SessionConfig {
                heartbeat_ns,
                reset,
                cancel_on_disconnect,
                market_maker_protection: orders.market_maker_protection.as_ref().is_some_and(|asked| *asked.get_ref()),
                quote_group: page.within(&orders.quote_group, 1..=i64::MAX, 0)?,
                self_match_prevention: page.within(&orders.self_match_prevention, 0..=i64::MAX, 0)?,
                ..pairs::with_currency_pairs(page, orders, session)?
            }
            .into())
        }
        Protocol::Fix => {
            binary_only(page, orders)?;
            let needed = |name: &Option<Spanned<String>>, what: &str| {
                let missing = format!("FIX needs `{what}`: the name that stands in every message");
                name.clone().ok_or_else(|| page.fault(client.span(), missing))
            };
            let (sender, target) = (needed(&orders.sender, "sender")?, needed(&orders.target, "target")?);
            let rules = FixRules::new(sender.get_ref(), target.get_ref());
            let rules = rules.map_err(|error| page.fault(sender.span(), error.to_string()))?;
            let credentials = Credentials::new(client.get_ref(), &secret);
            let credentials = credentials.map_err(|error| page.fault(client.span(), error.to_string()))?;
            let rules = FixRules { heartbeat_s, ..rules };
            let config = FixConfig::new(rules, credentials, unguessable);
            Ok(FixConfig { reset, cancel_on_disconnect, ..config }.into())
        }
    }
}

/// FIX has no place for these.
fn binary_only(page: &Page<'_>, orders: &Orders) -> Result<(), ConfigError> {
    let asked = [
        orders.market_maker_protection.as_ref().map(Spanned::span),
        orders.quote_group.as_ref().map(Spanned::span),
        orders.self_match_prevention.as_ref().map(Spanned::span),
        orders.currency_pairs.as_ref().map(Spanned::span),
    ];
    match asked.into_iter().flatten().next() {
        Some(span) => Err(page.fault(span, "only protocol = \"starbase\" has this setting".to_owned())),
        None => Ok(()),
    }
}

/// From where the file says: an environment variable, or a file of one line.
fn secret(page: &Page<'_>, orders: &Orders) -> Result<String, ConfigError> {
    match (&orders.secret_env, &orders.secret_file) {
        (Some(name), None) => std::env::var(name.get_ref())
            .map_err(|_| page.fault(name.span(), format!("the environment has no {}", name.get_ref()))),
        (None, Some(file)) => std::fs::read_to_string(file.get_ref())
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|error| page.fault(file.span(), error.to_string())),
        _ => {
            let what = "say where the secret is: either secret_env or secret_file".to_owned();
            Err(page.fault(orders.client_id.span(), what))
        }
    }
}

fn hedge(page: &Page<'_>, hedge: &Hedge, table: &LimitsTable) -> Result<HedgeConfig, ConfigError> {
    let (usual, band, limits) = (HedgeConfig::default(), BandConfig::default(), Limits::default());
    let e9 = |value: f64| (value * ONE_E9 as f64).round() as i64;
    let notional = |value, default: i64| page.within(value, 0.0..=9e9, default as f64 / ONE_E9 as f64).map(e9);
    let band = BandConfig {
        risk_aversion: page.within(&hedge.risk_aversion, 1e-12..=1e6, band.risk_aversion)?,
        half_width_min: page.within(&hedge.half_width_min, 0.0..=1e6, band.half_width_min)?,
        half_width_max: page.within(&hedge.half_width_max, 0.0..=1e6, band.half_width_max)?,
    };
    let limits = Limits {
        order_lots_max: page.within(&table.order_lots_max, 1..=u32::MAX, limits.order_lots_max)?,
        order_notional_max_e9: notional(&table.order_notional_max, limits.order_notional_max_e9)?,
        position_notional_max_e9: notional(&table.position_notional_max, limits.position_notional_max_e9)?,
        collar_e9: page.within(&table.collar, 0.0..=0.5, limits.collar_e9 as f64 / ONE_E9 as f64).map(e9)?,
        open_orders_max: page.within(&table.open_orders_max, 1..=1_000, limits.open_orders_max)?,
        messages_per_second: page.within(&table.messages_per_second, 1..=1_000_000, limits.messages_per_second)?,
        cancel_reserve: page.within(&table.cancel_reserve, 0..=1_000_000, limits.cancel_reserve)?,
        ..limits
    };
    if limits.cancel_reserve >= limits.messages_per_second {
        let what = format!("leaves no message for orders: messages_per_second is {}", limits.messages_per_second);
        let span = table.cancel_reserve.as_ref().or(table.messages_per_second.as_ref()).map(Spanned::span);
        return Err(page.fault(span.unwrap_or_default(), what));
    }
    let slippage_e9 = page.within(&hedge.slippage, 0.0..=0.1, usual.slippage_e9 as f64 / ONE_E9 as f64).map(e9)?;
    if slippage_e9 > limits.collar_e9 {
        let what = "an order at this slippage would lie beyond limits.collar and be refused".to_owned();
        return Err(page.fault(hedge.slippage.as_ref().map(Spanned::span).unwrap_or_default(), what));
    }
    let policy = hedge.policy.as_ref().map_or(Ok(usual.policy), |name| {
        name.get_ref().parse().map_err(|error: UnknownPolicy| page.fault(name.span(), error.to_string()))
    })?;
    let rests = usual.execution;
    let rest_ms = page.within(&hedge.rest_ms, 1..=3_600_000, rests.rest_ns / Nanos::PER_MILLI)?;
    let execution = ExecutionConfig {
        rest_below: page.within(&hedge.rest_below, 0.0..=1e9, rests.rest_below)?,
        rest_saving_share: page.within(&hedge.rest_saving_share, 0.0..=1.0, rests.rest_saving_share)?,
        rest_ns: rest_ms * Nanos::PER_MILLI,
        ..rests
    };
    Ok(HedgeConfig { policy, band, execution, limits, slippage_e9, ..usual })
}

fn opening(page: &Page<'_>, book: &Book) -> Result<OpeningBook, ConfigError> {
    let mut positions: Vec<(VenueInstrumentId, Lots)> = Vec::new();
    for position in &book.position {
        let venue = VenueInstrumentId(*position.instrument.get_ref());
        if positions.iter().any(|(known, _)| *known == venue) {
            return Err(page.fault(position.instrument.span(), format!("{} is given twice", venue.0)));
        }
        positions.push((venue, Lots(position.lots)));
    }
    match (book.opening, positions.is_empty()) {
        (None | Some(Opening::Flat), true) => Ok(OpeningBook::Flat),
        (Some(Opening::ShortEveryOption), true) => Ok(OpeningBook::ShortEveryOption),
        (None, false) => Ok(OpeningBook::Positions(positions.into())),
        (Some(_), false) => {
            let span = book.position[0].instrument.span();
            Err(page.fault(span, "positions are given, so `opening` has to be left out".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const EXAMPLE: &str = include_str!("../../examples/hedgecore.toml");

    fn parse(text: &str) -> Result<Settings, ConfigError> {
        let text = text.replace("secret_env = \"HEDGECORE_SECRET\"", "secret_env = \"CARGO_PKG_NAME\"");
        Settings::parse(Path::new("desk.toml"), &text, NonceSeed([7; 32]))
    }

    #[test]
    fn the_example_is_valid_and_sends_nothing() {
        let settings = parse(EXAMPLE).expect("valid");
        assert!(!settings.session.armed);
        assert!(!settings.lines.is_empty());
        assert_eq!(settings.session.protocol_name(), "FIX 4.4");
    }

    #[test]
    fn the_example_says_what_the_defaults_are() {
        let settings = parse(EXAMPLE).expect("valid");
        assert_eq!(settings.hedge, HedgeConfig::default());
        assert_eq!(settings.feed, FeedConfig::default());
    }

    #[test]
    fn an_error_names_file_line_and_field() {
        for (from, to, field, what) in [
            ("protocol = \"fix\"", "protocol = \"carrier-pigeon\"", "protocol", "unknown variant"),
            ("heartbeat_s = 5", "heartbeat_s = 0", "heartbeat_s", "0 is out of range: 1 to 600"),
            ("heartbeat_s = 5", "heartbeat_s = \"five\"", "heartbeat_s", "invalid type"),
            ("heartbeat_s = 5", "hartbeat_s = 5", "hartbeat_s", "unknown field"),
            ("address = \"127.0.0.1:9881\"", "address = \"localhost\"", "address", "write it like"),
            ("address = \"239.111.111.1:6100\"", "address = \"239.111.111.1\"", "address", "write it like"),
            ("topology = \"auto\"", "topology = \"sideways\"", "topology", "sideways"),
            ("sender = \"DESK\"", "sender = \"\"", "sender", "1 to 32 printable"),
            (
                "secret_env = \"HEDGECORE_SECRET\"",
                "secret_env = \"NOT_SET_ANYWHERE\"",
                "secret_env",
                "no NOT_SET_ANYWHERE",
            ),
            ("cancel_reserve = 200", "cancel_reserve = 2000", "cancel_reserve", "no message for orders"),
            ("slippage = 0.001", "slippage = 0.05", "slippage", "beyond limits.collar"),
            ("policy = \"whalley-wilmott\"", "policy = \"hope\"", "policy", "zakamouline or program"),
            ("rest_ms = 250", "rest_ms = 0", "rest_ms", "0 is out of range: 1 to 3600000"),
            ("armed = false", "armed = maybe", "armed", ""),
        ] {
            assert!(EXAMPLE.contains(from), "{from}");
            let text = EXAMPLE.replacen(from, to, 1);
            let line = text.lines().position(|line| line.contains(to)).expect("there") + 1;
            let shown = parse(&text).expect_err(to).to_string();
            assert!(shown.starts_with(&format!("desk.toml:{line}: {field}")), "{shown}");
            assert!(shown.contains(what) && !shown.contains('\n'), "{shown}");
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn a_build_without_tls_does_not_send_orders_in_clear() {
        let text = EXAMPLE.replace("[limits]", "[orders.tls]\nserver_name = \"fix.example.com\"\n[limits]");
        let shown = parse(&text).expect_err("no TLS").to_string();
        assert!(shown.contains("--features tls"), "{shown}");
    }

    #[cfg(feature = "tls")]
    #[test]
    fn what_is_wrong_with_tls_is_said_at_its_field() {
        let with = |table: &str| parse(&EXAMPLE.replace("[limits]", &format!("[orders.tls]\n{table}\n[limits]")));
        let settings = with("server_name = \"fix.example.com\"").expect("valid");
        assert!(settings.orders.tls.is_some());
        let ca = concat!("ca_file = \"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/authority.pem\"");
        assert!(with(&format!("server_name = \"10.0.0.1\"\n{ca}")).is_ok());
        for (table, field) in [
            ("server_name = \"no host\"", "server_name"),
            ("server_name = \"localhost\"\nca_file = \"/nowhere.pem\"", "ca_file"),
            ("server_name = \"localhost\"\nca_file = \"Cargo.toml\"", "ca_file"),
            ("server_name = \"localhost\"\nkey = 1", "key"),
        ] {
            let shown = with(table).expect_err(table).to_string();
            assert!(shown.contains(field) && !shown.contains('\n'), "{shown}");
        }
    }

    /// The example with orders over Starbase, and with these tables in place of its market data's.
    fn starbase(tables: &str) -> Result<Settings, ConfigError> {
        let (before, after) = EXAMPLE.split_once("[market_data]").expect("a table");
        let (_, after) = after.split_once("# Orders.").expect("a heading");
        let text = format!("{before}# Orders.{after}").replace("protocol = \"fix\"", "protocol = \"starbase\"");
        parse(&text.replace("[limits]", &format!("{tables}\n[limits]")))
    }

    #[test]
    fn lines_recovery_and_fees_are_as_the_file_says() {
        let settings = starbase(
            "[[line]]\naddress = \"239.111.111.2:6102\"\ncopy = \"B\"\nstream_port = 6100\nsource = \"10.0.0.9\"\n\
             timestamps = true\nbusy_poll_us = 50\nreceive_buffer_bytes = 8388608\n\
             [market_data]\nprotocol = \"starbase\"\nstale_after_ms = 7000\nhold_us = 300\nreorder_us = 20\n\
             line_silence_ms = 250\n[market_data.recovery]\nservice = \"10.0.0.1:6300\"\ninterface = \"10.0.0.2\"\n\
             requests_per_second = 9\nresponse_ms = 3\ngive_up_ms = 44\n\
             [market_data.fees]\nfutures = [-0.0001, 0.0005]\noptions = [0.0002, 0.0003]",
        )
        .expect("valid");
        let [.., b, service] = &settings.lines[..] else { panic!("lines") };
        assert_eq!((b.line, b.stream_port, b.source), (crate::feed::Line::B, 6_100, Some(Ipv4Addr::new(10, 0, 0, 9))));
        assert_eq!((b.timestamps, b.busy_poll_us, b.receive_buffer_bytes), (true, 50, 8_388_608));
        assert_eq!(service.service.map(|address| address.port()), Some(6_300));
        assert_eq!((service.line, service.interface), (crate::feed::Line::Resent, Ipv4Addr::new(10, 0, 0, 2)));
        let feed = &settings.feed;
        assert_eq!((feed.protocol, feed.stale_after_ns), (crate::feed::Protocol::Starbase, 7 * Nanos::PER_SECOND));
        assert_eq!(
            (feed.lines.hold_ns, feed.lines.reorder_ns, feed.lines.line_silence_ns),
            (300_000, 20_000, 250_000_000)
        );
        let recovery = feed.recovery;
        assert_eq!(
            (recovery.requests_per_second, recovery.response_ns, recovery.give_up_ns),
            (9, 3_000_000, 44_000_000)
        );
        assert_eq!((feed.fees.futures_e9, feed.fees.options_e9), ((-100_000, 500_000), (200_000, 300_000)));
        assert_eq!(feed.fees.spot_e9, crate::feed::FeeSchedule::default().spot_e9);
    }

    #[test]
    fn what_is_wrong_with_market_data_is_said_at_its_field() {
        for (tables, field, what) in [
            ("[market_data]\nprotocol = \"pigeon\"", "protocol", "unknown variant"),
            ("[market_data]\nhold_us = 2000000", "hold_us", "out of range"),
            ("[market_data.recovery]\nservice = \"10.0.0.1:6300\"", "service", "only protocol = \"starbase\""),
            ("[market_data.recovery]\nrequest_per_second = 1", "request_per_second", "unknown field"),
            ("[market_data.fees]\nfutures = [0.0, 5.0]", "futures", "shares of notional"),
            ("[[line]]\naddress = \"10.0.0.1:1\"\nsource = \"10.0.0.9\"", "source", "no multicast group"),
            ("[[line]]\naddress = \"239.1.1.1:1\"\ncopy = \"C\"", "copy", "unknown variant"),
            ("[[line]]\naddress = \"239.1.1.1:1\"\nstream_port = 0", "stream_port", "out of range"),
        ] {
            let shown = starbase(tables).expect_err(tables).to_string();
            assert!(shown.contains(&format!(": {field}: ")) && shown.contains(what), "{shown}");
        }
    }

    #[test]
    fn orders_end_with_the_connection_unless_a_session_says_otherwise() {
        for protocol in ["starbase", "fix"] {
            for (setting, expected) in
                [("", true), ("cancel_on_disconnect = true", true), ("cancel_on_disconnect = false", false)]
            {
                let text = EXAMPLE.replace("protocol = \"fix\"", &format!("protocol = \"{protocol}\""));
                let parsed = parse(&text.replace("cancel_on_disconnect = true", setting)).expect("valid");
                let set = match parsed.session.protocol {
                    crate::gateway::ProtocolConfig::Starbase(session) => session.cancel_on_disconnect,
                    crate::gateway::ProtocolConfig::Fix(session) => session.cancel_on_disconnect,
                };
                assert_eq!(set, expected, "{protocol}: {setting:?}");
            }
        }
    }

    #[test]
    fn sessions_take_what_their_protocol_has() {
        let with = |protocol: &str, setting: &str| {
            let text = EXAMPLE.replace("protocol = \"fix\"", &format!("protocol = \"{protocol}\"\n{setting}"));
            parse(&text.replace("reset = \"first-logon\"", "reset = \"never\"")).map(|settings| settings.session)
        };
        let session = with(
            "starbase",
            "quote_group = 7\nmarket_maker_protection = true\ncurrency_pairs = { BTC = 12, ETH_USDC = 13 }",
        );
        let crate::gateway::ProtocolConfig::Starbase(session) = session.expect("valid").protocol else {
            panic!("binary")
        };
        assert_eq!(
            (session.quote_group, session.market_maker_protection, session.reset),
            (7, true, ResetPolicy::Never)
        );
        let pair_name = crate::gateway::pair_name;
        let names = ["BTC", "ETH_USDC"].map(|name| pair_name(name.as_bytes()).expect("short"));
        assert_eq!((&session.currency_pairs[..2], &session.pair_names[..2]), (&[12, 13][..], &names[..]));
        for (setting, what) in [
            ("market_maker_protection = true", "needs currency_pairs"),
            ("currency_pairs = {}", "1 to 16 underlyings"),
            ("currency_pairs = { BTC = 0 }", "BTC = 0"),
            ("currency_pairs = { \"BTC-PERPETUAL\" = 1 }", "BTC-PERPETUAL = 1"),
        ] {
            let shown = with("starbase", setting).expect_err(setting).to_string();
            assert!(shown.starts_with("desk.toml:") && shown.contains(what), "{shown}");
        }
        for setting in [
            "quote_group = 7",
            "market_maker_protection = true",
            "self_match_prevention = 1",
            "currency_pairs = { BTC = 1 }",
        ] {
            let shown = with("fix", setting).expect_err(setting).to_string();
            let field = setting.split(' ').next().expect("a field");
            assert!(shown.contains(field) && shown.contains("only protocol"), "{shown}");
        }
        let crate::gateway::ProtocolConfig::Fix(session) = with("fix", "").expect("valid").protocol else {
            panic!("FIX")
        };
        assert_eq!(session.reset, ResetPolicy::Never);
    }

    #[test]
    fn a_secret_is_needed_from_one_place() {
        let both = EXAMPLE.replacen("secret_env = ", "secret_file = \"/nowhere\"\nsecret_env = ", 1);
        assert!(parse(&both).expect_err("two").to_string().contains("either secret_env or secret_file"));
        let none = EXAMPLE.replace("secret_env = \"HEDGECORE_SECRET\"", "");
        assert!(parse(&none).expect_err("none").to_string().contains("either secret_env or secret_file"));
    }

    #[test]
    fn a_book_is_given_in_one_way() {
        let with = |book: &str| parse(&EXAMPLE.replace("opening = \"flat\"", book)).map(|settings| settings.opening);
        assert_eq!(with("opening = \"short-every-option\""), Ok(OpeningBook::ShortEveryOption));
        let positions = "[[book.position]]\ninstrument = 17\nlots = -3\n";
        let expected = OpeningBook::Positions([(VenueInstrumentId(17), Lots(-3))].into());
        assert_eq!(with(positions), Ok(expected));
        assert!(with(&positions.repeat(2)).is_err_and(|error| error.to_string().contains("given twice")));
        assert!(with(&format!("opening = \"flat\"\n{positions}")).is_err());
    }
}
