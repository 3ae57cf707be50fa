//! What the venue publishes.

use std::collections::HashMap;

use hedgecore::instrument::{InstrumentKind, OptionKind, Payoff};
use hedgecore::sim::venue::{Channel, MarketConfig, Statement, Venue, VenueConfig};
use hedgecore::units::{Lots, Nanos, Side};
use hedgecore::wire::deribit_multicast as feed;

use super::listener::Listener;
use super::{after, run, venue};

#[test]
fn a_subscriber_holds_the_venues_books_and_every_snapshot_agrees() {
    let mut venue = venue(1);
    let mut listener = Listener::default();
    run(&mut venue, 5_000, 1_700_000, |channel, packet| listener.take(channel, packet));
    listener.assert_holds_the_books_of(&venue);
    assert_eq!(listener.definitions.len(), venue.universe().contracts.len());
    assert!(venue.universe().contracts.iter().all(|c| listener.definitions[&c.venue.0] == c.name));
    assert!(listener.snapshots_equal > 2_000, "{}", listener.snapshots_equal);
    assert!(listener.largest <= 1_400, "{}", listener.largest);
    for template in ["book", "trades", "ticker", "price_index", "snapshot", "snapshot_start", "snapshot_end"] {
        assert!(listener.counts[template] > 0, "no {template}");
    }
    // One round may be under way.
    assert!(listener.counts["snapshot_start"] - listener.counts["snapshot_end"] <= 1);
}

#[test]
fn the_whole_universe_is_defined_within_a_tenth_of_the_first_round() {
    let mut venue = venue(1);
    let mut listener = Listener::default();
    run(&mut venue, 101, 1_000_000, |channel, packet| listener.take(channel, packet));
    assert_eq!(listener.definitions.len(), venue.universe().contracts.len());
}

#[test]
fn a_seed_fixes_every_byte_however_time_is_cut() {
    let digest = |seed, every_ns| {
        let mut digest = 0xcbf2_9ce4_8422_2325_u64;
        run(&mut venue(seed), 2_000, every_ns, |channel, packet| {
            for byte in packet.iter().chain(&[channel as u8]) {
                digest = (digest ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            }
        });
        digest
    };
    let first = digest(5, 1_000_000);
    assert_eq!(first, digest(5, 1_000_000));
    assert_eq!(first, digest(5, 333_333));
    assert_ne!(first, digest(6, 1_000_000));
}

#[test]
fn a_frozen_market_keeps_its_books_and_goes_on_telling_of_them() {
    let mut venue = venue(2);
    run(&mut venue, 500, 1_000_000, |_, _| {});
    venue.freeze();
    let before = venue.statement();
    let mut listener = Listener::default();
    let start = after(&venue, 500);
    for ms in 1..=1_500 {
        let now = Nanos(start.0 + ms * Nanos::PER_MILLI);
        venue.advance(now, &mut |channel, packet| {
            let (header, _) = feed::Packet::parse(packet).expect("framed packet");
            listener.sequences.entry((channel, header.channel_id.get())).or_insert(header.sequence.get() - 1);
            listener.take(channel, packet);
        });
    }
    let after = venue.statement();
    assert_eq!(before.index, after.index);
    let tops = |s: &Statement| s.quotes.iter().map(|q| (q.bid, q.ask)).collect::<Vec<_>>();
    assert_eq!(tops(&before), tops(&after));
    assert!(!listener.counts.contains_key("book"));
    assert!(listener.counts["ticker"] > 1_000 && listener.counts["snapshot"] > 500);
}

#[test]
fn expired_contracts_close_and_lose_their_orders() {
    let market = MarketConfig { step_ns: 60 * Nanos::PER_SECOND, ..MarketConfig::default() };
    let start = Nanos(VenueConfig::default().start.0 - 6 * 3_600 * Nanos::PER_SECOND);
    let mut venue = Venue::new(VenueConfig { market, start, ..VenueConfig::default() }).expect("valid configuration");
    let mut listener = Listener::default();
    run(&mut venue, 2 * 3_600_000, 60 * Nanos::PER_SECOND, |channel, packet| listener.take(channel, packet));
    let (closed, open): (Vec<_>, Vec<_>) = venue.exchange().listings().iter().partition(|l| !l.open);
    assert_eq!(closed.len(), 2 * 2 * 13);
    assert!(closed.iter().all(|l| l.contract.name.contains("-22NOV26-") && l.book.best(Side::Sell).is_none()));
    assert!(open.iter().all(|l| l.book.best(Side::Sell).is_some()));
    listener.assert_holds_the_books_of(&venue);
}

#[test]
fn positions_brought_in_are_booked_and_unknown_names_refused() {
    let name = "BTC-25DEC26-100000-C".to_owned();
    let config = VenueConfig { positions: vec![(name.clone(), Lots(-7))], ..VenueConfig::default() };
    let statement = Venue::new(config).expect("valid configuration").statement();
    assert_eq!((statement.positions[0].name.as_str(), statement.positions[0].lots), (name.as_str(), Lots(-7)));
    assert!(statement.equity[0].total().abs() < 1e-12);
    let config = VenueConfig { positions: vec![("DOGE".to_owned(), Lots(1))], ..VenueConfig::default() };
    assert!(Venue::new(config).expect_err("unknown instrument").to_string().contains("DOGE"));
}

/// Median of a class, best first.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn the_market_is_about_as_busy_and_as_tight_as_a_real_one() {
    let mut venue = venue(4);
    let mut listener = Listener::default();
    run(&mut venue, 4_000, 1_000_000, |channel, packet| listener.take(channel, packet));
    let per_second = |template: &str| listener.counts[template] / 4;
    println!("{} packets/s", listener.packets / 4);
    for template in ["book", "trades", "ticker", "snapshot", "instrument_v2", "price_index"] {
        println!("{template}: {}/s", per_second(template));
    }
    assert!((1_000..8_000).contains(&per_second("book")));
    assert!((10..500).contains(&per_second("trades")));

    // Spread in ticks, and in volatility points for options; amount on the bid side.
    type Figures = (f64, f64, f64);
    let mut classes: HashMap<(InstrumentKind, Payoff), Vec<Figures>> = HashMap::new();
    let now = after(&venue, 4_000);
    for listing in venue.exchange().listings() {
        let contract = &listing.contract;
        let mark = venue.market().mark(contract, now);
        let (Some(bid), Some(ask)) = (listing.book.best(Side::Buy), listing.book.best(Side::Sell)) else { continue };
        let spread = ask.to_f64() - bid.to_f64();
        let depth: i64 = listing.book.levels(Side::Buy).map(|level| level.lots.0).sum();
        let entry = (
            spread / contract.ticks.at(bid).to_f64(),
            100.0 * spread / mark.vega,
            Lots(depth).to_quantity(contract.lot).to_f64(),
        );
        classes.entry((contract.kind, contract.payoff)).or_default().push(entry);
    }
    for ((kind, payoff), books) in classes {
        let ticks = median(books.iter().map(|b| b.0).collect());
        let points = median(books.iter().map(|b| b.1).collect());
        let depth = median(books.iter().map(|b| b.2).collect());
        println!("{payoff:?} {kind:?}: {} books, median spread {ticks:.1} ticks, bid depth {depth:.0}", books.len());
        match kind {
            InstrumentKind::Option => assert!((0.5..5.0).contains(&points), "{points} volatility points"),
            InstrumentKind::Perpetual => assert!(ticks <= 2.5, "{ticks} ticks"),
            _ => assert!(ticks <= 4.0, "{ticks} ticks"),
        }
        assert!(depth > 0.0);
    }
}

#[test]
fn published_marks_admit_no_butterfly() {
    let mut venue = venue(8);
    run(&mut venue, 300, 1_000_000, |_, _| {});
    venue.freeze();
    let mut marks: HashMap<u32, f64> = HashMap::new();
    let from = after(&venue, 300);
    for ms in 1..=600 {
        venue.advance(Nanos(from.0 + ms * Nanos::PER_MILLI), &mut |channel, packet| {
            let (_, messages) = feed::Packet::parse(packet).expect("framed packet");
            for message in messages.filter(|_| channel == Channel::Incremental) {
                if let Ok(feed::Message::Ticker(ticker)) = message {
                    marks.insert(ticker.instrument_id.get(), ticker.mark_price.get());
                }
            }
        });
    }
    let contracts = &venue.universe().contracts;
    assert_eq!(marks.len(), contracts.len());
    let mut checked = 0;
    for option in [OptionKind::Call, OptionKind::Put] {
        let of: Vec<_> = contracts.iter().filter(|c| c.option == Some(option)).collect();
        for w in of.windows(3).filter(|w| (w[0].underlying, w[0].expiry) == (w[2].underlying, w[2].expiry)) {
            let [low, mid, high] = [0, 1, 2].map(|i| marks[&w[i].venue.0]);
            let weight = (w[2].strike - w[1].strike) / (w[2].strike - w[0].strike);
            // Marks are printed to six or four decimals, and time ran on for half a second between the first and last.
            let rounding = if w[1].payoff == Payoff::Inverse { 1.5e-6 } else { 1.5e-3 };
            assert!(weight * low + (1.0 - weight) * high - mid > -rounding, "{}: {low} {mid} {high}", w[1].name);
            checked += 1;
        }
    }
    assert_eq!(checked, 2 * 2 * 12 * 11);
}
