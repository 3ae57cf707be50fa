//! `hedgecore venue`: the embedded venue on its own, until a signal or its time ends it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddrV4;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::CliError;
use super::demo::Market;
use crate::feed::Line;
use crate::sim::venue::server::Endpoints;
use crate::sim::venue::{FixNames, ProtectionConfig, Universe, VenueConfig, VenueHandle, VenueServer};
use crate::units::{Lots, Nanos, Quantity};

/// Between two looks at the clock and the signals.
const NAP: Duration = Duration::from_millis(20);
/// Where the secret of the venue's client may stand.
const SECRET: &str = "HEDGECORE_SECRET";

/// The number of the client's group of quotes, where anything is protected.
const PROTECTED_GROUP: i64 = 1;

/// Arguments of `venue`.
#[derive(Debug, Args)]
pub(super) struct VenueArgs {
    /// Take orders by FIX 4.4 here
    #[arg(long, value_name = "HOST:PORT", requires = "sender", requires = "target", conflicts_with = "starbase")]
    fix: Option<SocketAddrV4>,
    /// The venue's own name in FIX messages
    #[arg(long, value_name = "COMPID")]
    sender: Option<String>,
    /// The client's name in FIX messages
    #[arg(long, value_name = "COMPID")]
    target: Option<String>,
    /// Show every execution once more to a FIX session here, on which nothing may be asked
    #[arg(long, value_name = "HOST:PORT", requires = "drop_copy_target", requires = "fix")]
    drop_copy: Option<SocketAddrV4>,
    /// The client's name in FIX messages of that session
    #[arg(long, value_name = "COMPID", requires = "drop_copy")]
    drop_copy_target: Option<String>,
    /// Lose the report of one execution on the way to the order session, after so many that were told (FIX)
    #[arg(long, value_name = "N", requires = "fix")]
    lose_execution: Option<u64>,
    /// Start FIX sequence numbers again at every logon
    #[arg(long)]
    reset_on_logon: bool,
    /// Take orders by Starbase's binary protocol here (the default, on a free port of this host)
    #[arg(long, value_name = "HOST:PORT")]
    starbase: Option<SocketAddrV4>,
    /// Send market data to this group and port, snapshots to the next port
    #[arg(long, value_name = "GROUP:PORT", default_value = "239.111.111.1:6100")]
    multicast: SocketAddrV4,
    /// The format of the market data; of starbase, what is missing is sent again by the fourth port after the first
    #[arg(long, value_enum, default_value_t = Market::Classic)]
    feed: Market,
    /// Send everything a second time: line B, changes to the second port after the first and snapshots to the third
    #[arg(long)]
    two_lines: bool,
    /// Who may trade; its secret is in the environment as HEDGECORE_SECRET. Without it whoever has the right FIX names may
    #[arg(long, value_name = "NAME")]
    client_id: Option<String>,
    /// What the client holds before its first fill
    #[arg(long, value_enum, default_value_t = Opening::Flat)]
    opening: Opening,
    /// Market-maker protection of what rests: once more than this amount of an underlying has traded within a second, the
    /// client's protected orders of it end, and more are refused until it asks. Over Starbase, where orders say that they
    /// are under it
    #[arg(long, value_name = "AMOUNT", conflicts_with = "fix", value_parser = amount)]
    protection: Option<Quantity>,
    /// Seed of the market
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End after so many seconds; otherwise a signal does
    #[arg(long, value_name = "SECONDS", value_parser = super::positive)]
    seconds: Option<f64>,
}

fn amount(text: &str) -> Result<Quantity, &'static str> {
    let amount = text.parse().ok().and_then(Quantity::from_f64);
    amount.filter(|amount| amount.0 >= 0).ok_or("not an amount that can trade")
}

/// What a client brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Opening {
    /// Nothing.
    Flat,
    /// Minus one lot of every option.
    ShortEveryOption,
}

/// What the venue saw, as it prints it at the end.
#[derive(Debug, Serialize)]
struct Closing {
    orders: u64,
    rejects: u64,
    fills: u64,
    order_messages: u64,
    open_orders: usize,
    /// By name.
    positions: BTreeMap<String, i64>,
}

/// Runs the venue, and says at the end what its client did.
pub(super) fn run(args: &VenueArgs) -> Result<(), CliError> {
    let stop = super::stop_signal()?;
    let start = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut config = VenueConfig { seed: args.seed, start: Nanos(start.as_nanos() as u64), ..VenueConfig::default() };
    if args.opening == Opening::ShortEveryOption {
        let contracts = Universe::new(&config.universe, config.start).contracts.into_iter();
        let options = contracts.filter(|contract| contract.option.is_some());
        config.positions = options.map(|contract| (contract.name, Lots(-1))).collect();
    }
    config.publish.protocol = args.feed.protocol();
    config.session.protection = args.protection.map(|quantity_max| ProtectionConfig {
        group: PROTECTED_GROUP,
        quantity_max,
        window_ns: Nanos::PER_SECOND,
        frozen_ns: 0,
    });
    if let (Some(sender), Some(target)) = (&args.sender, &args.target) {
        let (sender, target) = (sender.clone(), target.clone());
        let (reset_on_logon, drop_copy) = (args.reset_on_logon, args.drop_copy_target.clone());
        config.session.fix = args.fix.map(|_| FixNames { sender, target, reset_on_logon, drop_copy });
        config.session.lose_execution = args.lose_execution;
        config.session.client_id.clear();
    }
    if let Some(client) = &args.client_id {
        config.session.client_id.clone_from(client);
        config.session.secret = std::env::var(SECRET)
            .map_err(|_| CliError::Input(format!("--client-id needs its secret in the environment, as {SECRET}")))?;
    }
    let after = |ports: u16| args.multicast.port().checked_add(ports).unwrap_or(0);
    let mut endpoints = Endpoints {
        group: Some(*args.multicast.ip()).filter(|group| group.is_multicast()),
        incremental_port: after(0),
        snapshot_port: after(1),
        two_lines: args.two_lines,
        second_ports: [after(2), after(3)],
        service_port: after(4),
        ..Endpoints::default()
    };
    if let Some(address) = args.fix.or(args.starbase) {
        (endpoints.order_host, endpoints.order_port) = (*address.ip(), address.port());
    }
    endpoints.drop_copy = args.drop_copy;
    let protocol = if config.session.fix.is_some() { "FIX 4.4" } else { "Starbase" };
    let venue = VenueServer::spawn_at(config, endpoints)?;
    let mut out = io::stdout().lock();
    writeln!(out, "orders by {protocol} at {}", venue.order_address())?;
    if let Some(address) = venue.drop_copy_address() {
        writeln!(out, "drop copy by FIX 4.4 at {address}")?;
    }
    say_where(&venue, &mut out)?;
    let began = Instant::now();
    let over = |seconds: f64| began.elapsed().as_secs_f64() >= seconds;
    while !stop.load(Ordering::Acquire) && !args.seconds.is_some_and(over) {
        thread::sleep(NAP);
    }
    let statement = venue.stop()?;
    let closing = Closing {
        orders: statement.orders,
        rejects: statement.rejects,
        fills: statement.fills,
        order_messages: statement.order_messages,
        open_orders: statement.open_orders,
        positions: statement.positions.into_iter().map(|position| (position.name, position.lots.0)).collect(),
    };
    writeln!(out, "{}", serde_json::to_string(&closing).map_err(io::Error::from)?)?;
    Ok(())
}

/// Where market data goes, line by line, and who sends it again.
fn say_where(venue: &VenueHandle, out: &mut impl Write) -> io::Result<()> {
    let feeds = venue.feed_addresses();
    for (line, name) in [(Line::A, "market data"), (Line::B, "line B")] {
        let mut of_line = feeds.iter().filter(|feed| feed.line == line);
        if let (Some(incremental), Some(snapshots)) = (of_line.next(), of_line.next()) {
            writeln!(out, "{name} at {incremental}, snapshots at {snapshots}")?;
        }
    }
    if let Some(service) = feeds.iter().find_map(|feed| feed.service) {
        writeln!(out, "what is missing is sent again by {service}")?;
    }
    for notice in venue.notices() {
        writeln!(out, "note: {notice}")?;
    }
    out.flush()
}
