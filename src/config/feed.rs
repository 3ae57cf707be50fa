//! Market data as the file describes it: lines and their sockets, patience, recovery, fees.

use std::net::{Ipv4Addr, SocketAddrV4};

use toml::Spanned;

use super::schema::{Copy, FeedProtocol, Fees, Line, MarketData};
use super::{ConfigError, Page};
use crate::feed::{ArbiterConfig, FeeSchedule, FeedConfig, Line as Copies, RecoveryConfig};
use crate::runtime::socket::FeedAddress;
use crate::units::{Nanos, ONE_E9};

/// The sockets of all lines, and of the service that sends again what is missing.
pub(super) fn sockets(
    page: &Page<'_>,
    lines: &[Line],
    market_data: &MarketData,
) -> Result<Vec<FeedAddress>, ConfigError> {
    let mut sockets: Vec<FeedAddress> = lines.iter().map(|line| socket(page, line)).collect::<Result<_, _>>()?;
    if let Some(service) = &market_data.recovery.service {
        let address: SocketAddrV4 = page.parsed(service, "10.0.0.1:6300")?;
        if !matches!(market_data.protocol, Some(FeedProtocol::Starbase)) {
            let what = "only protocol = \"starbase\" has a service that sends packets again".to_owned();
            return Err(page.fault(service.span(), what));
        }
        let interface = interface(page, &market_data.recovery.interface)?;
        sockets.push(FeedAddress::answers_of(address, interface));
    }
    Ok(sockets)
}

fn socket(page: &Page<'_>, line: &Line) -> Result<FeedAddress, ConfigError> {
    let address: SocketAddrV4 = page.parsed(&line.address, "239.111.111.1:6100")?;
    let usual = FeedAddress::new(address, interface(page, &line.interface)?);
    let source = line.source.as_ref().map(|source| page.parsed::<Ipv4Addr>(source, "10.0.0.1")).transpose()?;
    if let Some(asked) = line.source.as_ref().filter(|_| !address.ip().is_multicast()) {
        return Err(page.fault(asked.span(), format!("{address} is no multicast group: nobody to choose from")));
    }
    Ok(FeedAddress {
        receive_buffer_bytes: page.within(&line.receive_buffer_bytes, 4_096..=1 << 30, usual.receive_buffer_bytes)?,
        busy_poll_us: page.within(&line.busy_poll_us, 0..=10_000, 0)?,
        line: match line.copy {
            Some(Copy::B) => Copies::B,
            Some(Copy::A) | None => Copies::A,
        },
        stream_port: page.within(&line.stream_port, 1..=u16::MAX, 0)?,
        source,
        timestamps: line.timestamps.unwrap_or(false),
        ..usual
    })
}

/// Left to the routing table unless it is given.
fn interface(page: &Page<'_>, asked: &Option<Spanned<String>>) -> Result<Ipv4Addr, ConfigError> {
    asked.as_ref().map_or(Ok(Ipv4Addr::UNSPECIFIED), |interface| page.parsed(interface, "127.0.0.1"))
}

/// How packets are read, and how long what is missing is waited for.
pub(super) fn feed(page: &Page<'_>, table: &MarketData) -> Result<FeedConfig, ConfigError> {
    let usual = match table.protocol {
        Some(FeedProtocol::Starbase) => FeedConfig::starbase(),
        Some(FeedProtocol::Classic) | None => FeedConfig::default(),
    };
    let millis = |value, most, usual_ns: u64| {
        page.within(value, 1..=most, usual_ns / Nanos::PER_MILLI).map(|ms: u64| ms * Nanos::PER_MILLI)
    };
    let micros = |value, usual_ns: u64| page.within(value, 0..=1_000_000, usual_ns / 1_000).map(|us: u64| us * 1_000);
    let recovery = &table.recovery;
    Ok(FeedConfig {
        stale_after_ns: millis(&table.stale_after_ms, 3_600_000, usual.stale_after_ns)?,
        lines: ArbiterConfig {
            hold_ns: micros(&table.hold_us, usual.lines.hold_ns)?,
            reorder_ns: micros(&table.reorder_us, usual.lines.reorder_ns)?,
            line_silence_ns: millis(&table.line_silence_ms, 60_000, usual.lines.line_silence_ns)?,
        },
        recovery: RecoveryConfig {
            requests_per_second: page.within(
                &recovery.requests_per_second,
                0..=100_000,
                usual.recovery.requests_per_second,
            )?,
            response_ns: millis(&recovery.response_ms, 60_000, usual.recovery.response_ns)?,
            give_up_ns: millis(&recovery.give_up_ms, 60_000, usual.recovery.give_up_ns)?,
        },
        fees: fees(page, &table.fees, usual.fees)?,
        ..usual
    })
}

/// Maker and taker, each a share of notional; a rebate is below zero.
fn fees(page: &Page<'_>, table: &Fees, usual: FeeSchedule) -> Result<FeeSchedule, ConfigError> {
    let pair = |asked: &Option<Spanned<[f64; 2]>>, usual: (i32, i32)| {
        let Some(asked) = asked else { return Ok(usual) };
        let e9 = |fee: f64| (fee * ONE_E9 as f64).round() as i32;
        match *asked.get_ref() {
            [maker, taker] if [maker, taker].iter().all(|fee| fee.abs() <= 0.1) => Ok((e9(maker), e9(taker))),
            _ => Err(page.fault(asked.span(), "fees are shares of notional, maker and taker: -0.1 to 0.1".to_owned())),
        }
    };
    Ok(FeeSchedule {
        futures_e9: pair(&table.futures, usual.futures_e9)?,
        options_e9: pair(&table.options, usual.options_e9)?,
        spot_e9: pair(&table.spot, usual.spot_e9)?,
    })
}
