//! Position reports: what an account holds, as the venue states it.
//!
//! The holdings stand in the group `NoPositions` (702). Each entry begins with whatever field the first one begins with,
//! and says `LongQty` (704), `ShortQty` (705) and `Symbol` (55). An account may come in one report or in several, which then say
//! in `TotalNumPosReports` (727) how many there are.

use super::decimal::{decimal_e9, number};
use super::fields::{Entries, Fault, Fields, RejectReason};
use super::tags::tag;

/// `PosReqResult` (728): nothing is held of what was asked for.
const NO_POSITIONS_FOUND: u64 = 2;

/// What a position report says.
#[derive(Clone, Copy, Debug)]
pub struct PositionReport<'a> {
    /// The request that it answers; `None` when it answers none.
    pub request: Option<u64>,
    /// Whether the venue states the account; otherwise it refused to.
    pub is_valid: bool,
    /// How many reports the answer is made of.
    pub reports: u64,
    entries: Entries<'a>,
    count: u64,
}

/// One holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding<'a> {
    /// Name of the instrument.
    pub symbol: &'a [u8],
    /// How much, 1e-9 contracts; negative is short.
    pub qty: i64,
}

impl<'a> PositionReport<'a> {
    /// From the fields of a message of type `AP`.
    pub fn new(fields: &Fields<'a>) -> Result<Self, Fault> {
        let read = |tag, otherwise| match fields.find(tag) {
            None => Ok(otherwise),
            Some(value) => number(value).ok_or(Fault { tag, reason: RejectReason::IncorrectFormat }),
        };
        let result = read(tag::POS_REQ_RESULT, 0)?;
        Ok(Self {
            request: fields.find(tag::POS_REQ_ID).and_then(number),
            is_valid: result == 0 || result == NO_POSITIONS_FOUND,
            reports: read(tag::TOTAL_NUM_POS_REPORTS, 1)?,
            entries: fields.behind(tag::NO_POSITIONS),
            count: read(tag::NO_POSITIONS, 0)?,
        })
    }

    /// Each holding, `None` for one that cannot be read; as many as are announced, and no more than there are fields.
    pub fn holdings(&self) -> impl Iterator<Item = Option<Holding<'a>>> + use<'a> {
        let first = self.entries.iter().next().map(|(tag, _)| tag);
        let announced = usize::try_from(self.count).unwrap_or(usize::MAX).min(super::FIELDS_MAX);
        let mut fields = self.entries.iter().peekable();
        (0..announced).map(move |_| {
            let (mut symbol, mut long, mut short) = (None, Some(0), Some(0));
            let mut begun = false;
            while let Some((tag, value)) = fields.next_if(|(tag, _)| !begun || Some(*tag) != first) {
                begun = true;
                match tag {
                    tag::SYMBOL => symbol = Some(value),
                    tag::LONG_QTY => long = decimal_e9(value),
                    tag::SHORT_QTY => short = decimal_e9(value),
                    _ => {}
                }
            }
            Some(Holding { symbol: symbol?, qty: long?.checked_sub(short?)? })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tape;
    use super::*;
    use proptest::prelude::*;

    fn with(text: &str, check: impl FnOnce(PositionReport<'_>)) {
        let body = text.replace('|', "\x01");
        let mut tape = Tape::new();
        check(PositionReport::new(&tape.read(body.as_bytes()).0).unwrap());
    }

    #[test]
    fn a_report_of_the_venue_is_read_whole() {
        let report = "35=AP|34=3|721=x|710=77|724=0|728=0|702=2|703=TQ|704=12.5|705=0.0|55=BTC-PERPETUAL|854=1|231=10|\
            883=97000|54=1|730=96500|703=TQ|704=0.0|705=3|55=BTC-27JUN25-100000-C|854=1|54=2|";
        with(report, |report| {
            assert_eq!((report.request, report.is_valid, report.reports), (Some(77), true, 1));
            let long = Holding { symbol: &b"BTC-PERPETUAL"[..], qty: 12_500_000_000 };
            let short = Holding { symbol: &b"BTC-27JUN25-100000-C"[..], qty: -3_000_000_000 };
            assert_eq!(report.holdings().collect::<Vec<_>>(), [Some(long), Some(short)]);
        });
    }

    #[test]
    fn a_refusal_and_an_empty_account_are_not_the_same() {
        with("35=AP|721=x|728=1|", |report| assert!(!report.is_valid && report.holdings().next().is_none()));
        with("35=AP|721=x|728=2|", |report| assert!(report.is_valid && report.holdings().next().is_none()));
        with("35=AP|721=x|727=4|702=0|", |report| assert_eq!((report.is_valid, report.reports), (true, 4)));
    }

    #[test]
    fn a_holding_that_cannot_be_read_is_told_as_such() {
        for (group, expected) in [
            ("702=1|703=TQ|704=1e5|55=X|", vec![false]),
            ("702=1|703=TQ|704=1|", vec![false]),
            ("702=2|55=X|704=1|", vec![true, false]),
            ("702=2|55=X|704=1|55=Y|705=2|", vec![true, true]),
        ] {
            with(group, |report| {
                let readable: Vec<bool> = report.holdings().map(|holding| holding.is_some()).collect();
                assert_eq!(readable, expected, "{group}");
            });
        }
    }

    proptest! {
        #[test]
        fn arbitrary_fields_never_panic(fields in prop::collection::vec(
            (prop_oneof![Just(55u32), Just(702), Just(703), Just(704), Just(705), Just(728), 1u32..2_000], "[0-9.A-Z-]{1,24}"),
            0..60,
        )) {
            let body: String = fields.iter().map(|(tag, value)| format!("{tag}={value}\x01")).collect();
            let mut tape = Tape::new();
            if let Ok(report) = PositionReport::new(&tape.read(body.as_bytes()).0) {
                prop_assert!(report.holdings().count() <= super::super::FIELDS_MAX);
            }
        }
    }
}
