//! Definitions as this protocol has them: numbers as doubles, currencies as text, two versions of which one has no tick
//! steps.

use crate::feed::listing::{Definition, Refusal};
use crate::instrument::{Instrument, InstrumentKind, InstrumentState, OptionKind, Payoff, TickTable};
use crate::units::{InstrumentId, Price, Quantity, UnderlyingId, VenueInstrumentId};
use crate::wire::deribit_multicast::{self as wire, Group, Kind, OptionType, State, Terms, TickStep, Type, text};

/// The head of a definition, which both versions have.
#[derive(Clone, Copy, Debug)]
struct Head {
    venue: u32,
    state: u8,
    kind: u8,
    instrument_type: u8,
    option_type: u8,
}

macro_rules! head {
    ($block:expr) => {
        Head {
            venue: $block.instrument_id.get(),
            state: $block.state,
            kind: $block.kind,
            instrument_type: $block.instrument_type,
            option_type: $block.option_type,
        }
    };
}

/// Reads a definition without tick steps.
pub(super) fn first_version<'a>(message: &wire::Instrument<'a>) -> Result<Definition<'a>, Refusal> {
    read(&head!(message.block), &message.block.terms, None, message.name)
}

/// Reads a definition with tick steps.
pub(super) fn second_version<'a>(message: &wire::InstrumentV2<'a>) -> Result<Definition<'a>, Refusal> {
    read(&head!(message.block), &message.block.terms, Some(message.tick_steps), message.name)
}

fn read<'a>(
    head: &Head,
    terms: &Terms,
    steps: Option<Group<'a, TickStep>>,
    name: &'a [u8],
) -> Result<Definition<'a>, Refusal> {
    let underlying = underlying_name(terms)?;
    let mut instrument = instrument(head, terms)?;
    let mut steps_refused = 0;
    for step in steps.into_iter().flatten() {
        let step = Price::from_f64(step.above_price.get()).zip(Price::from_f64(step.tick_size.get()));
        let taken = step.is_some_and(|(above, tick)| instrument.ticks.push(above, tick));
        steps_refused += u32::from(!taken);
    }
    let (venue, state) = (head.venue, trading_state(head.state));
    Ok(Definition { venue, name, underlying, instrument, has_steps: steps.is_some(), steps_refused, state })
}

fn instrument(head: &Head, terms: &Terms) -> Result<Instrument, Refusal> {
    let never_expires = terms.expiration_ms.get() / 1_000 > u64::from(u32::MAX) || terms.settlement_period == 0;
    let kind = match Kind::try_from(head.kind).map_err(|_| Refusal::Kind)? {
        Kind::Future if never_expires => InstrumentKind::Perpetual,
        Kind::Future => InstrumentKind::Future,
        Kind::Option => InstrumentKind::Option,
        Kind::FutureCombo => InstrumentKind::FutureCombo,
        Kind::OptionCombo => InstrumentKind::OptionCombo,
        Kind::Spot => InstrumentKind::Spot,
    };
    let settles_in_base = text(&terms.settlement_currency) == text(&terms.base_currency);
    let payoff = match Type::try_from(head.instrument_type) {
        Ok(Type::Reversed) => Payoff::Inverse,
        Ok(Type::Linear) => Payoff::Linear,
        _ if settles_in_base => Payoff::Inverse,
        _ => Payoff::Linear,
    };
    let (option, strike) = match kind {
        InstrumentKind::Option => {
            let option = match OptionType::try_from(head.option_type) {
                Ok(OptionType::Call) => OptionKind::Call,
                Ok(OptionType::Put) => OptionKind::Put,
                _ => return Err(Refusal::Kind),
            };
            (Some(option), positive(terms.strike.get()).ok_or(Refusal::Strike)?)
        }
        _ => (None, 0),
    };
    let expiry_s = match kind {
        InstrumentKind::Spot | InstrumentKind::Perpetual => 0,
        InstrumentKind::FutureCombo | InstrumentKind::OptionCombo if never_expires => 0,
        _ => u32::try_from(terms.expiration_ms.get() / 1_000).ok().filter(|&s| s > 0).ok_or(Refusal::Expiry)?,
    };
    Ok(Instrument {
        id: InstrumentId::default(),
        venue: VenueInstrumentId(head.venue),
        underlying: UnderlyingId::default(),
        kind,
        payoff,
        option,
        expiry_s,
        strike: Price(strike),
        lot: Quantity(positive(terms.min_trade_amount.get()).ok_or(Refusal::Lot)?),
        contract: Quantity(positive(terms.contract_size.get()).ok_or(Refusal::Contract)?),
        maker_fee_e9: fee_e9(terms.maker_commission.get(), kind)?,
        taker_fee_e9: fee_e9(terms.taker_commission.get(), kind)?,
        ticks: TickTable::new(Price(positive(terms.tick_size.get()).ok_or(Refusal::Tick)?)),
        state: trading_state(head.state).unwrap_or_default(),
    })
}

/// What a state on the wire means for trading.
pub(super) fn trading_state(state: u8) -> Option<InstrumentState> {
    Some(match State::try_from(state).ok()? {
        State::Created => InstrumentState::Created,
        State::Open | State::Started => InstrumentState::Open,
        State::Closed | State::Settled | State::Deactivated | State::Inactive => InstrumentState::Closed,
    })
}

/// `BASE_COUNTER`, such as `BTC_USD` or `BTC_USDC`.
fn underlying_name(terms: &Terms) -> Result<[u8; 16], Refusal> {
    let (base, counter) = (text(&terms.base_currency), text(&terms.counter_currency));
    let (split, len) = (base.len(), base.len() + 1 + counter.len());
    if base.is_empty() || counter.is_empty() || len > 16 {
        return Err(Refusal::Currency);
    }
    let mut name = [0; 16];
    name[..split].copy_from_slice(base.as_bytes());
    name[split] = b'_';
    name[split + 1..len].copy_from_slice(counter.as_bytes());
    Ok(name)
}

/// In 1e-9, if positive and in range.
fn positive(value: f64) -> Option<i64> {
    Price::from_f64(value).map(|value| value.0).filter(|&value| value > 0)
}

/// A fraction in 1e-9. A combination states no fee of its own.
fn fee_e9(fraction: f64, kind: InstrumentKind) -> Result<i32, Refusal> {
    if fraction.is_nan() && matches!(kind, InstrumentKind::FutureCombo | InstrumentKind::OptionCombo) {
        return Ok(0);
    }
    let fee = Price::from_f64(fraction).filter(|fee| fee.0.abs() < crate::units::ONE_E9);
    fee.and_then(|fee| i32::try_from(fee.0).ok()).ok_or(Refusal::Fee)
}
