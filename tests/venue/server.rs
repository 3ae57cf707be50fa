//! The venue over loopback sockets.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hedgecore::runtime::socket::{FeedAddress, FeedSocket};
use hedgecore::sim::venue::{Endpoints, SessionConfig, VenueConfig, VenueError, VenueServer};
use hedgecore::units::{Lots, Quantity, Side};
use hedgecore::wire::{deribit_multicast as feed, starbase::orders as wire};
use wire::Block;

/// Receives for a while and hands out each datagram.
fn listen(address: &FeedAddress, lasts: Duration, mut take: impl FnMut(&[u8])) {
    let socket = FeedSocket::open(address).expect("loopback socket");
    let mut buffer = vec![0; FeedSocket::LONGEST_DATAGRAM];
    let start = Instant::now();
    while start.elapsed() < lasts {
        match socket.receive(&mut buffer).expect("readable socket") {
            Some(length) => take(&buffer[..length]),
            None => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}

fn any_port_multicast_and_unicast() -> [Endpoints; 2] {
    [Endpoints::default(), Endpoints { group: None, ..Endpoints::default() }]
}

#[test]
fn both_lines_are_heard_over_multicast_and_unicast() {
    for endpoints in any_port_multicast_and_unicast() {
        let venue = VenueServer::spawn_at(VenueConfig::default(), endpoints).expect("a venue");
        venue.notices().iter().for_each(|notice| println!("{notice}"));
        for address in venue.feed_addresses() {
            let (mut packets, mut messages) = (0, 0);
            listen(address, Duration::from_millis(400), |packet| {
                packets += 1;
                let (_, inside) = feed::Packet::parse(packet).expect("framed packet");
                messages += inside.inspect(|message| assert!(message.is_ok())).count();
            });
            assert!(packets > 20 && messages > packets, "{address}: {packets} packets, {messages} messages");
        }
        assert!(venue.packets_sent() > 100);
        venue.stop().expect("a statement");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("free port");
    let port = taken.local_addr().expect("bound").port();
    for mut endpoints in any_port_multicast_and_unicast() {
        endpoints.snapshot_port = port;
        let error = VenueServer::spawn_at(VenueConfig::default(), endpoints).expect_err("port in use");
        assert!(matches!(error, VenueError::Socket { purpose: "snapshots", .. }));
        assert!(error.to_string().contains(&port.to_string()), "{error}");
    }
    let first = VenueServer::spawn(VenueConfig::default()).expect("a venue");
    let endpoints = Endpoints { order_port: first.order_address().port(), ..Endpoints::default() };
    let error = VenueServer::spawn_at(VenueConfig::default(), endpoints).expect_err("port in use");
    assert!(error.to_string().contains("orders"), "{error}");
}

/// A blocking client.
struct Client {
    stream: TcpStream,
    sent: i64,
    received: Vec<u8>,
}

impl Client {
    fn logged_on(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let mut client = Self { stream, sent: 0, received: Vec::new() };
        let SessionConfig { client_id, secret, .. } = SessionConfig::default();
        let mut logon = wire::Logon { client_id: [0; 16], secret: wire::Secret([0; 48]), reset_seq_num: 1 };
        logon.client_id[..client_id.len()].copy_from_slice(client_id.as_bytes());
        logon.secret.0[..secret.len()].copy_from_slice(secret.as_bytes());
        client.send(&logon);
        client.expect(wire::LogonConf::TYPE);
        client
    }

    fn send<B: Block>(&mut self, block: &B) {
        self.sent += 1;
        let mut buffer = [0; 512];
        let envelope = wire::Envelope { sequence: self.sent, ..wire::Envelope::default() };
        let length = wire::Encoder::new(&mut buffer, &envelope, block).and_then(wire::Encoder::finish).expect("room");
        self.stream.write_all(&buffer[..length]).expect("writable");
    }

    /// Reads up to the next message, which must be of this type.
    fn expect(&mut self, message_type: u16) -> Vec<u8> {
        loop {
            if let Some(frame) = wire::next_frame(&self.received).expect("framed") {
                let bytes = frame.bytes();
                assert_eq!(frame.header.message_type_id.get(), message_type);
                return self.received.drain(..bytes).collect();
            }
            let mut piece = [0; 4_096];
            let length = self.stream.read(&mut piece).expect("an answer within 5 s");
            assert!(length > 0, "closed by the venue");
            self.received.extend_from_slice(&piece[..length]);
        }
    }

    fn buy_perpetual(&mut self, id: i64, price: i64) {
        self.send(&wire::NewOrderRequest {
            client_order_id: id.into(),
            correlation_id: id.into(),
            instrument_id: 1.into(),
            price: price.into(),
            quantity: Quantity(20_000_000_000).into(),
            show_qty: wire::Decimal72::NULL,
            self_match_prevention_id: 0.into(),
            side: wire::side_to_wire(Side::Buy),
            time_in_force: wire::time_in_force::IOC,
            flags: 0.into(),
            self_trading_mode: 0,
        });
    }
}

#[test]
fn orders_fill_over_the_socket_and_the_statement_knows() {
    let venue = VenueServer::spawn(VenueConfig::default()).expect("a venue");
    let mut client = Client::logged_on(venue.order_address());
    venue.freeze();
    let before = venue.statement().expect("a statement");
    let ask = before.quotes[0].ask.expect("quoted");
    client.buy_perpetual(1, ask.0 + 50_000_000_000);
    let bytes = client.expect(wire::NewOrderResponse::TYPE);
    let frame = wire::next_frame(&bytes).expect("framed").expect("whole");
    let Ok(wire::Message::NewOrderResponse(response, fills)) = frame.message() else { panic!("another message") };
    assert_eq!((response.status, fills.len()), (wire::order_status::FILLED, 1));
    let last = venue.stop().expect("a statement");
    assert_eq!((last.positions[0].lots, last.fills), (Lots(2), 1));
    assert_eq!(before.index, last.index);
}

#[test]
fn a_client_killed_in_the_middle_of_a_message_leaves_the_venue_serving() {
    let venue = VenueServer::spawn(VenueConfig::default()).expect("a venue");
    for _ in 0..3 {
        let mut client = Client::logged_on(venue.order_address());
        client.stream.write_all(&[wire::PROTOCOL_ID; 20]).expect("writable");
    }
    // A second connection replaces the first without a goodbye.
    let first = Client::logged_on(venue.order_address());
    let mut second = Client::logged_on(venue.order_address());
    second.send(&wire::TestRequest { correlation_id: 9.into() });
    second.expect(wire::Heartbeat::TYPE);
    drop(first);
    second.stream.write_all(b"not this protocol").expect("writable");
    second.expect(wire::LoggedOut::TYPE);
    assert_eq!(second.stream.read(&mut [0; 16]).expect("closed"), 0);
    assert_eq!(venue.stop().expect("a statement").positions, []);
}
