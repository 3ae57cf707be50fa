//! An embedded venue: price-time matching, a seeded market, and books that move as a desk knows them.
//!
//! ```text
//!   market ──► crowd ──► exchange ◄── session ◄─── order bytes
//!   (spots,    (quotes,   (books)  ──► (orders) ───► report bytes
//!    smiles)    trades)      │
//!                            └──► publish ───► packets: incremental, snapshot
//! ```
//!
//! [`Venue`] is a plain state machine: time is passed in, packets and bytes are handed out, chance comes from a seed. The
//! same seed and the same calls give the same bytes. [`VenueServer`] runs one on a thread over
//! loopback sockets.

pub mod account;
pub mod crowd;
pub mod desk;
mod drop_copy;
pub mod exchange;
pub mod fix;
mod front;
pub mod link;
pub mod market;
pub mod matching;
mod protection;
pub mod publish;
pub mod server;
pub mod session;
pub mod smile;
pub mod spec;

pub use account::{Equity, Position, Quote, Statement};
pub use desk::Whim;
pub use market::MarketConfig;
pub use publish::{Channel, PublishConfig};
pub use server::{Endpoints, VenueError, VenueHandle, VenueServer};
pub use session::{CancelOnDisconnect, FixNames, ProtectionConfig, SessionConfig};
pub use spec::{Universe, UniverseConfig};

use crate::gateway::SequenceNumbers;
use crate::sim::random::splitmix64;
use crate::units::{Lots, Nanos, Price, Side, VenueInstrumentId, VenueOrderId};
use account::Account;
use crowd::Crowd;
use desk::Floor;
use drop_copy::DropCopy;
use exchange::Exchange;
use front::Front;
use market::Market;
use publish::{Publication, Scene};

/// Steps that one [`Venue::advance`] runs at most; what lies beyond is skipped, as a venue does that was suspended.
const STEPS_MAX: u64 = 10_000_000;

/// Everything a venue is made from.
#[derive(Clone, Debug)]
pub struct VenueConfig {
    /// Where all chance comes from.
    pub seed: u64,
    /// When trading opens. Expiries are placed relative to it.
    pub start: Nanos,
    /// What is listed.
    pub universe: UniverseConfig,
    /// How it moves.
    pub market: MarketConfig,
    /// How often it is told.
    pub publish: PublishConfig,
    /// Who may trade, and how.
    pub session: SessionConfig,
    /// What the client holds at the start: instrument names and lots.
    pub positions: Vec<(String, Lots)>,
}

impl Default for VenueConfig {
    /// Opens on 22 November 2026, noon UTC.
    fn default() -> Self {
        Self {
            seed: 1,
            start: Nanos::from_secs(1_795_348_800),
            universe: UniverseConfig::default(),
            market: MarketConfig::default(),
            publish: PublishConfig::default(),
            session: SessionConfig::default(),
            positions: Vec::new(),
        }
    }
}

/// Why a venue could not be made from its configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A position in something that is not listed.
    #[error("no instrument named {0} is listed at the venue")]
    UnknownInstrument(String),
    /// Names or credentials of a FIX session that the wire has no room for.
    #[error(transparent)]
    Fix(#[from] crate::gateway::fix::FixConfigError),
}

/// The venue.
#[derive(Debug)]
pub struct Venue {
    universe: Universe,
    market: Market,
    crowd: Crowd,
    exchange: Exchange,
    publisher: Publication,
    session: Front,
    account: Account,
    step_ns: u64,
    stepped: Nanos,
    /// Whether the opening books were published.
    opened: bool,
    frozen: bool,
    /// Halted contracts and until when.
    halted: Vec<(Nanos, usize)>,
    /// Bids that cross their books, and until when.
    crossing: Vec<(Nanos, usize, Price, VenueOrderId)>,
    /// Prints of which the session has been told.
    told: usize,
}

impl Venue {
    /// Lists the universe and opens its books.
    pub fn new(config: VenueConfig) -> Result<Self, ConfigError> {
        let mut seeds = config.seed;
        let universe = Universe::new(&config.universe, config.start);
        let market = Market::new(config.market.clone(), &universe, splitmix64(&mut seeds));
        let mut exchange = Exchange::new(&universe);
        let mut crowd = Crowd::new(config.market.clone(), &exchange, splitmix64(&mut seeds));
        crowd.open(&market, &mut exchange, config.start);
        exchange.clear_prints();
        let mut account = Account::new(&universe);
        for (name, lots) in config.positions {
            let at = universe.contracts.iter().position(|c| c.name == name);
            let at = at.ok_or(ConfigError::UnknownInstrument(name))?;
            account.open(at, &universe.contracts[at], lots, market.mark(&universe.contracts[at], config.start).price);
        }
        Ok(Self {
            publisher: Publication::new(config.publish, &universe),
            session: Front::new(config.session)?,
            account,
            step_ns: config.market.step_ns.max(1),
            stepped: config.start,
            opened: false,
            frozen: false,
            halted: Vec::new(),
            crossing: Vec::new(),
            told: 0,
            universe,
            market,
            crowd,
            exchange,
        })
    }

    /// When trading opened.
    pub fn start_time(&self) -> Nanos {
        self.universe.start
    }

    /// What is listed.
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// The books as they are now.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The world behind them.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// Runs the venue up to `now`, handing out each UDP packet in turn.
    pub fn advance(&mut self, now: Nanos, publish: &mut dyn FnMut(Channel, &[u8])) {
        if !std::mem::replace(&mut self.opened, true) {
            self.publish(self.universe.start, publish);
        }
        self.reopen(now);
        let steps = (now.since(self.stepped) / self.step_ns).min(STEPS_MAX);
        for _ in 0..steps {
            self.stepped = Nanos(self.stepped.0 + self.step_ns);
            let time = self.stepped;
            for orphan in self.exchange.expire(time) {
                if orphan.owner == session::CLIENT {
                    self.session.expired(&orphan, &self.exchange, time);
                }
            }
            if !self.frozen {
                self.market.step();
                self.crowd.step(&self.market, &mut self.exchange, time);
                self.report_fills(time);
            }
            self.publish(time, publish);
        }
        if now.since(self.stepped) >= self.step_ns {
            self.stepped = now;
        }
        // Orders that arrived since the last step.
        if self.exchange.is_touched() {
            self.publish(now, publish);
        }
        self.session.tick(now);
    }

    /// Halts a contract until then: no orders are taken, its book stands.
    pub fn halt(&mut self, listing: usize, until: Nanos) {
        if self.exchange.halt(listing) {
            self.halted.push((until, listing));
        }
    }

    /// Crosses a book until then, if nobody trades with what crosses it before; false when there is nothing to cross.
    pub fn cross(&mut self, listing: usize, until: Nanos) -> bool {
        let crossing = self.exchange.cross(listing, crowd::VISITOR);
        self.crossing.extend(crossing.map(|(price, id)| (until, listing, price, id)));
        crossing.is_some()
    }

    /// Ends every halt, and every crossing, that has lasted until `now` or is meant to last longer.
    pub fn resume(&mut self, now: Nanos) {
        self.halted.iter_mut().for_each(|(until, _)| *until = (*until).min(now));
        self.crossing.iter_mut().for_each(|(until, ..)| *until = (*until).min(now));
        self.reopen(now);
    }

    fn reopen(&mut self, now: Nanos) {
        let exchange = &mut self.exchange;
        self.halted.retain(|&(until, listing)| {
            let stays = now < until;
            if !stays {
                exchange.reopen(listing);
            }
            stays
        });
        self.crossing.retain(|&(until, listing, price, id)| {
            let stays = now < until;
            if !stays {
                exchange.cancel(listing, Side::Buy, price, id);
            }
            stays
        });
    }

    /// The next order will meet something that the client gave no cause for.
    pub fn arm(&mut self, whim: Whim) {
        self.session.arm(whim);
    }

    /// Whether a whim came true since this was asked last.
    pub fn came_true(&mut self, whim: Whim) -> bool {
        self.session.came_true(whim)
    }

    /// Orders meet nothing that the client gave no cause for.
    pub fn disarm(&mut self) {
        self.session.disarm();
    }

    /// Somebody else trades a lot on the client's account; false when it cannot be, or the protocol would not tell.
    pub fn trade_unasked(&mut self, listing: usize, side: Side, now: Nanos) -> bool {
        let (exchange, account, market) = (&mut self.exchange, &mut self.account, &self.market);
        let traded = self.session.trade_unasked(listing, side, &mut Floor { exchange, account, market, now });
        self.told = self.exchange.prints().len();
        traded
    }

    /// The market-maker protection of an underlying's orders triggers; false when there is none, or it has.
    pub fn trip_protection(&mut self, underlying: usize, now: Nanos) -> bool {
        let (exchange, account, market) = (&mut self.exchange, &mut self.account, &self.market);
        self.session.trip_protection(underlying, &mut Floor { exchange, account, market, now })
    }

    /// Takes the client's last execution back; false when there is none, or the protocol has no words for it.
    pub fn bust(&mut self, now: Nanos) -> bool {
        let (exchange, account, market) = (&mut self.exchange, &mut self.account, &self.market);
        self.session.bust(&mut Floor { exchange, account, market, now })
    }

    /// Stops the market and its participants. Books stay; tickers, snapshots, heartbeats and matching go on.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// A client has connected. Whoever was connected before is cut off.
    pub fn connect(&mut self, now: Nanos) {
        self.disconnect(now);
        self.session.connect(now);
    }

    /// Bytes came from the client. What answers them is in [`Self::outgoing`].
    pub fn receive(&mut self, bytes: &[u8], now: Nanos) {
        let (exchange, account, market) = (&mut self.exchange, &mut self.account, &self.market);
        self.session.receive(bytes, &mut Floor { exchange, account, market, now });
        // The session reports fills of its own orders as it submits them.
        self.told = self.exchange.prints().len();
    }

    /// Answers a request for market data that is missing, by the protocol's own rules.
    pub fn resend(&mut self, request: &[u8], now: Nanos, reply: &mut dyn FnMut(&[u8])) {
        self.publisher.answer(request, now, reply);
    }

    /// One of the sequences of the market data begins anew, or all do.
    pub fn count_anew(&mut self, choice: Option<u64>) {
        self.publisher.count_anew(choice);
    }

    /// Market data that was sent is no longer kept: a request for it is refused.
    pub fn forget(&mut self) {
        self.publisher.forget();
    }

    /// Bytes for the client; the caller drains what it has sent.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        self.session.outgoing()
    }

    /// Whether the session wants its connection closed once [`Self::outgoing`] is sent.
    pub fn wants_close(&self) -> bool {
        self.session.wants_close()
    }

    /// The client's connection is gone.
    pub fn disconnect(&mut self, now: Nanos) {
        self.session.disconnect(&mut self.exchange, now);
    }

    /// The client's position, by the venue's own count; zero for what is not listed.
    pub fn position(&self, instrument: VenueInstrumentId) -> Lots {
        self.universe.find(instrument).map_or(Lots(0), |(at, _)| self.account.position(at))
    }

    /// Fair value of a contract now.
    pub fn mark(&self, instrument: VenueInstrumentId) -> Option<f64> {
        self.universe.find(instrument).map(|(_, contract)| self.market.mark(contract, self.stepped).price)
    }

    /// The numbers with which a client goes on that knows all that [`Self::statement`] says.
    pub fn client_numbers(&self) -> SequenceNumbers {
        let SequenceNumbers { outgoing, incoming, logon_ms } = self.session.numbers();
        SequenceNumbers { outgoing: incoming, incoming: outgoing, logon_ms }
    }

    /// The account and the prices by which to judge it.
    pub fn statement(&self) -> Statement {
        let open_orders = self.session.open_orders();
        self.account.statement(&self.exchange, &self.market, &self.universe, self.stepped, open_orders)
    }

    /// The session on which the client hears of executions alone, if it has one.
    fn drop_copy(&mut self) -> Option<&mut DropCopy> {
        self.session.drop_copy()
    }

    fn publish(&mut self, now: Nanos, publish: &mut dyn FnMut(Channel, &[u8])) {
        let touched = self.exchange.take_touched();
        let scene = Scene { exchange: &self.exchange, market: &self.market, universe: &self.universe, now };
        self.publisher.publish(&scene, &touched, publish);
        self.exchange.clear_prints();
        self.told = 0;
    }

    /// Tells the session of its resting orders that someone took.
    fn report_fills(&mut self, now: Nanos) {
        for at in self.told..self.exchange.prints().len() {
            let print = self.exchange.prints()[at];
            if print.fill.maker_owner == session::CLIENT {
                let (exchange, account, market) = (&mut self.exchange, &mut self.account, &self.market);
                self.session.filled(&print, &mut Floor { exchange, account, market, now });
            }
        }
        self.told = self.exchange.prints().len();
    }

    /// Best price of a side, for tests and reports.
    pub fn best(&self, instrument: VenueInstrumentId, side: Side) -> Option<Price> {
        let (at, _) = self.universe.find(instrument)?;
        self.exchange.listings()[at].book.best(side)
    }
}
