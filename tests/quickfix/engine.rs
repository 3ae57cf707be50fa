//! Trading with libquickfix.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::{PERPETUAL, PRICE, approved, gateway};
use hedgecore::event::{Event, Trail};
use hedgecore::gateway::Gateway;
use hedgecore::order::{OrderState, OrderStore, Request, TimeInForce};
use hedgecore::risk::Instruction;
use hedgecore::runtime::socket::{OrderAddress, OrderSocket};
use hedgecore::units::*;

const ORDERS: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the acceptor, or says why not.
fn build() -> Result<PathBuf, String> {
    let header =
        ["/usr/include", "/usr/local/include"].iter().any(|root| Path::new(root).join("quickfix/Session.h").exists());
    if !header {
        return Err("libquickfix-dev is not installed".to_owned());
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/quickfix/acceptor.cpp");
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("quickfix-acceptor");
    let fresh = |path: &Path| path.metadata().and_then(|data| data.modified());
    if let (Ok(built), Ok(written)) = (fresh(&program), fresh(Path::new(source)))
        && built > written
    {
        return Ok(program);
    }
    let mut compiler = Command::new("g++");
    compiler.args(["-O1", "-std=c++14", "-w", "-o"]).arg(&program).arg(source).args(["-lquickfix", "-lpthread"]);
    match compiler.output() {
        Err(error) => Err(format!("g++ does not run: {error}")),
        Ok(done) if !done.status.success() => panic!("{}", String::from_utf8_lossy(&done.stderr)),
        Ok(_) => Ok(program),
    }
}

/// The acceptor at work. It ends when it is dropped.
struct Engine {
    child: Child,
    said: Receiver<String>,
    port: u16,
}

impl Engine {
    fn start(program: &Path, drops: &[u64]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let mut command = Command::new(program);
        command.arg(port.to_string()).args(drops.iter().map(u64::to_string));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it was built here");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, said) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let engine = Self { child, said, port };
        assert_eq!(engine.hear("READY"), "READY");
        engine
    }

    /// The next line that begins like this. A reject of either side fails the test.
    fn hear(&self, begins: &str) -> String {
        loop {
            let line = self.said.recv_timeout(PATIENCE).expect("the acceptor says something");
            assert!(!line.starts_with("REJECT"), "{line}");
            if line.starts_with(begins) {
                return line;
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The initiator with its socket, as the order link drives it.
struct Desk {
    gateway: Gateway,
    socket: Option<OrderSocket>,
    connected: bool,
    address: OrderAddress,
    inbox: Vec<u8>,
    events: Vec<Event>,
    store: OrderStore,
    /// Contracts bought less contracts sold.
    position: i64,
    connections: u32,
}

fn now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Nanos(since.as_nanos() as u64)
}

impl Desk {
    fn new(port: u16) -> Self {
        let mut events = Vec::new();
        Self {
            gateway: gateway(now(), &mut events),
            socket: None,
            connected: false,
            address: OrderAddress::new(([127, 0, 0, 1], port).into()),
            inbox: Vec::new(),
            events,
            store: OrderStore::new(),
            position: 0,
            connections: 0,
        }
    }

    /// One turn of the loop: connects, writes, reads, takes note of what was reported.
    fn turn(&mut self) {
        let time = now();
        self.gateway.tick(time, &mut self.events);
        if self.socket.is_none() {
            self.socket = OrderSocket::open(&self.address).ok();
            thread::sleep(Duration::from_millis(10));
        }
        if !self.connected && self.socket.as_mut().is_some_and(OrderSocket::is_connected) {
            self.connected = true;
            self.connections += 1;
            self.gateway.connected(time);
        }
        let mut buffer = [0; 1 << 16];
        let lost = match &mut self.socket {
            Some(socket) if self.connected => {
                let written = socket.write(self.gateway.pending());
                if let Ok(written) = written {
                    self.gateway.written(written, Ticks(1), &mut self.events);
                }
                let read = socket.read(&mut buffer);
                if let Ok(length) = read {
                    self.inbox.extend_from_slice(&buffer[..length]);
                    let taken = self.gateway.receive(&self.inbox, time, &mut self.events);
                    self.inbox.drain(..taken);
                }
                written.is_err() || read.is_err() || self.gateway.wants_disconnect()
            }
            Some(socket) => socket.read(&mut buffer).is_err(),
            None => false,
        };
        if lost {
            self.socket = None;
            self.inbox.clear();
            if std::mem::take(&mut self.connected) {
                self.gateway.disconnected(time, &mut self.events);
            }
        }
        for event in self.events.drain(..) {
            let outcome = self.store.apply(&event.body);
            if let Some(fill) = outcome.fill() {
                self.position += fill.side.sign() * i64::from(fill.lots);
            }
        }
    }

    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            self.turn();
            assert!(
                start.elapsed() < PATIENCE,
                "{what}: {:?} {:?}",
                self.gateway.disconnect_reason(),
                self.gateway.counters()
            );
        }
    }
}

#[test]
fn a_thousand_orders_and_two_broken_connections_leave_both_with_the_same_position() {
    let program = match build() {
        Ok(program) => program,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let engine = Engine::start(&program, &[300, 650]);
    let mut desk = Desk::new(engine.port);
    desk.until("logon", |desk| desk.gateway.ready());
    engine.hear("LOGON 1");

    let mut entered = 0;
    for number in 1..=ORDERS {
        let order = ClientOrderId((1_795_374_000 << 31) + number);
        let side = if number % 3 == 0 { Side::Sell } else { Side::Buy };
        let request = Request::New {
            trail: Trail::default(),
            decided: 0,
            order,
            instrument: PERPETUAL,
            side,
            time_in_force: TimeInForce::ImmediateOrCancel,
            post_only: false,
            // No two live orders alike: the gate takes the second for a repetition.
            price: Price(PRICE.0 + (number % 100) as i64 * ONE_E9 / 2),
            lots: (number % 5 + 1) as u32,
        };
        // As the hedge does, it waits for a session that is whole, and keeps a few dozen orders under way.
        desk.until("a whole session", |desk| desk.gateway.ready() && desk.store.open_orders() < 40);
        let instruction = approved(&mut desk.store, request, now());
        desk.gateway.step(&instruction, now(), &mut desk.events);
        entered += 1;
        desk.turn();
    }
    assert_eq!(entered, ORDERS);
    // What was lost with a connection and not sent again is settled by asking for it back.
    let start = Instant::now();
    while desk.store.open_orders() > 0 {
        assert!(start.elapsed() < PATIENCE, "{} orders stay open", desk.store.open_orders());
        let unknown: Vec<_> =
            desk.store.all_live().filter(|o| o.state == OrderState::Unknown).map(|o| o.new.order).collect();
        if desk.gateway.ready() {
            for order in unknown {
                let request = Request::Cancel { order, instrument: PERPETUAL };
                let instruction: Instruction = approved(&mut desk.store, request, now());
                desk.gateway.step(&instruction, now(), &mut desk.events);
            }
        }
        for _ in 0..50 {
            desk.turn();
        }
    }
    assert!(desk.gateway.ready());
    desk.gateway.log_out(now());
    desk.until("logout", |desk| !desk.connected || desk.gateway.wants_disconnect());

    let told = engine.hear("POSITION");
    let figures: Vec<i64> = told.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [position, orders, twice, asked, answered] = figures[..] else { panic!("{told}") };
    assert_eq!(position, desk.position, "{told}");
    assert_eq!(twice, 0, "{told}");
    let refused = desk.gateway.counters().refused as i64;
    assert!(orders + refused <= ORDERS as i64 && orders > ORDERS as i64 * 9 / 10, "{told}, {refused} refused");
    assert!(desk.connections == 3 && asked + answered >= 2, "{} connections, {told}", desk.connections);
    let counters = desk.store.counters();
    assert_eq!((counters.inconsistent, counters.unknown), (0, 0));
    assert_eq!(desk.gateway.counters().malformed + desk.gateway.counters().unrepresentable, 0);
    println!("{told}; {refused} refused here while the session was down; {:?}", desk.gateway.counters());
}
