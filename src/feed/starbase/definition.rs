//! Definitions as this protocol has them: integers throughout, quantities as mantissas with an exponent of the
//! instrument's, the underlying by the name of its price index. There are no fees: they come from the configuration.

use arrayvec::ArrayVec;

use super::FeeSchedule;
use crate::feed::listing::{self, Refusal};
use crate::instrument::{Instrument, InstrumentKind, InstrumentState, OptionKind, Payoff, TickTable, UNDERLYINGS_MAX};
use crate::units::{InstrumentId, ONE_E9, Price, Quantity, UnderlyingId, VenueInstrumentId};
use crate::wire::deribit_multicast::text;
use crate::wire::starbase::market_data::{
    Definition, IndexDefinition, InstrumentDefinition, InstrumentStatus, InstrumentType, NULL_INT, instrument_flags,
};

/// Names of price indices by the venue's number.
#[derive(Debug, Default)]
pub(super) struct Indices {
    names: ArrayVec<(i64, [u8; 16]), { 4 * UNDERLYINGS_MAX }>,
}

impl Indices {
    /// Notes an index. One too many, or of an unusable name, is passed over: its instruments are then refused.
    pub(super) fn note(&mut self, index: &IndexDefinition) {
        let Some(name) = underlying_name(text(&index.name)) else { return };
        let id = index.index_id.get();
        match self.names.iter_mut().find(|(known, _)| *known == id) {
            Some(entry) => entry.1 = name,
            None => drop(self.names.try_push((id, name))),
        }
    }

    fn find(&self, id: i64) -> Option<[u8; 16]> {
        self.names.iter().find(|(known, _)| *known == id).map(|&(_, name)| name)
    }
}

/// Reads a definition, and the factor from a quantity's mantissa to 1e-9.
pub(super) fn read<'a>(
    message: &Definition<'a>,
    indices: &Indices,
    fees: &FeeSchedule,
) -> Result<(listing::Definition<'a>, i64), Refusal> {
    let block = message.block;
    let underlying = indices.find(block.index_id.get()).or_else(|| underlying_name(text(&block.underlying)));
    let underlying = underlying.ok_or(Refusal::Currency)?;
    let venue = u32::try_from(block.instrument_id.get()).map_err(|_| Refusal::Number)?;
    let scale = scale(block.quantity_exponent).ok_or(Refusal::Lot)?;
    let mut instrument = instrument(block, scale, fees)?;
    let mut steps_refused = 0;
    for step in message.large_tick_sizes.iter() {
        let taken = instrument.ticks.push(Price(step.threshold_price.get()), Price(step.large_tick_size.get()));
        steps_refused += u32::from(!taken);
    }
    let len = block.name.iter().position(|&byte| byte == 0).unwrap_or(block.name.len());
    let definition = listing::Definition {
        venue,
        name: &block.name[..len],
        underlying,
        instrument,
        has_steps: true,
        steps_refused,
        state: trading_state(block.status),
    };
    Ok((definition, scale))
}

fn instrument(block: &InstrumentDefinition, scale: i64, fees: &FeeSchedule) -> Result<Instrument, Refusal> {
    let kind = match InstrumentType::try_from(block.kind).map_err(|_| Refusal::Kind)? {
        InstrumentType::Perpetual => InstrumentKind::Perpetual,
        InstrumentType::DatedFuture if block.flags & instrument_flags::IS_PERPETUAL != 0 => InstrumentKind::Perpetual,
        InstrumentType::DatedFuture => InstrumentKind::Future,
        InstrumentType::Option => InstrumentKind::Option,
        InstrumentType::Spot => InstrumentKind::Spot,
        InstrumentType::FutureCombo => InstrumentKind::FutureCombo,
        InstrumentType::OptionCombo => InstrumentKind::OptionCombo,
    };
    let is_reversed = block.flags & instrument_flags::IS_REVERSED != 0;
    let is_put = block.flags & instrument_flags::IS_PUT != 0;
    let positive = |value: i64| Some(value).filter(|&value| value > 0);
    let (option, strike) = match kind {
        InstrumentKind::Option => {
            let option = if is_put { OptionKind::Put } else { OptionKind::Call };
            (Some(option), positive(block.strike_price.get()).ok_or(Refusal::Strike)?)
        }
        _ => (None, 0),
    };
    let expiry_ns = block.expiry_time.get();
    let expiry_s = match kind {
        InstrumentKind::Spot | InstrumentKind::Perpetual => 0,
        InstrumentKind::FutureCombo | InstrumentKind::OptionCombo if expiry_ns == NULL_INT => 0,
        _ => u32::try_from(expiry_ns / ONE_E9).ok().filter(|&s| s > 0).ok_or(Refusal::Expiry)?,
    };
    let lot = positive(block.min_order_quantity.get()).and_then(|lot| lot.checked_mul(scale)).ok_or(Refusal::Lot)?;
    let (maker_fee_e9, taker_fee_e9) = fees.of(kind);
    Ok(Instrument {
        id: InstrumentId::default(),
        venue: VenueInstrumentId::default(),
        underlying: UnderlyingId::default(),
        kind,
        payoff: if is_reversed { Payoff::Inverse } else { Payoff::Linear },
        option,
        expiry_s,
        strike: Price(strike),
        lot: Quantity(lot),
        // The venue's futures trade in contracts of one lot, its options in contracts of one coin.
        contract: Quantity(if kind == InstrumentKind::Option { ONE_E9 } else { lot }),
        maker_fee_e9,
        taker_fee_e9,
        ticks: TickTable::new(Price(positive(block.tick_size.get()).ok_or(Refusal::Tick)?)),
        state: trading_state(block.status).unwrap_or_default(),
    })
}

/// What a status means for trading.
pub(super) fn trading_state(status: i8) -> Option<InstrumentState> {
    Some(match InstrumentStatus::try_from(status).ok()? {
        InstrumentStatus::Open => InstrumentState::Open,
        InstrumentStatus::Inactive
        | InstrumentStatus::Settlement
        | InstrumentStatus::Delivered
        | InstrumentStatus::Locked
        | InstrumentStatus::Halted => InstrumentState::Closed,
    })
}

/// Units of 1e-9 in one unit of a mantissa.
fn scale(exponent: i8) -> Option<i64> {
    10_i64.checked_pow(u32::try_from(9 + i32::from(exponent)).ok()?)
}

/// `BASE_COUNTER` in capitals, from an index's name such as `btc_usd` or `BTC-USD`.
fn underlying_name(index: &str) -> Option<[u8; 16]> {
    let mut name = [0; 16];
    let fits = index.len() <= name.len() && index.bytes().filter(|b| matches!(b, b'_' | b'-')).count() == 1;
    if !fits {
        return None;
    }
    for (to, from) in name.iter_mut().zip(index.bytes()) {
        *to = if from == b'-' { b'_' } else { from.to_ascii_uppercase() };
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_name_their_underlying() {
        let name = |index| underlying_name(index).map(|name| text(&name).to_owned());
        assert_eq!(name("btc_usd").as_deref(), Some("BTC_USD"));
        assert_eq!(name("ETH-USDC").as_deref(), Some("ETH_USDC"));
        assert_eq!((name("btc"), name("a_very_long_index"), name("a_b_c")), (None, None, None));
    }

    #[test]
    fn exponents_beyond_a_nano_are_refused() {
        assert_eq!((scale(0), scale(-9), scale(-10)), (Some(ONE_E9), Some(1), None));
        assert_eq!((scale(9), scale(10)), (Some(ONE_E9 * ONE_E9), None));
    }
}
