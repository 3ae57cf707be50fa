//! Execution reports as Deribit writes them.
//!
//! The client's own number of the order comes back in `OrigClOrdID` (41); where that is absent, as in plain FIX 4.4, it is
//! `ClOrdID` (11). Fills come as the group `NoFills` (1362); a single one may come as `LastQty` and `LastPx` instead.

use super::decimal::{decimal_e9, number, trailing_number};
use super::fields::{Entries, Fault, Fields, RejectReason};
use super::tags::tag;
use crate::units::Side;

/// What an execution report says. What is not asked for is not read.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionReport<'a> {
    fields: Fields<'a>,
    /// The client's number of the order; `None` when it is none of ours.
    pub order: Option<u64>,
    /// `OrdStatus` (39).
    pub status: u8,
    /// `ExecType` (150), 0 when it is absent.
    pub exec_type: u8,
    /// How many fills the group announces.
    fill_count: u64,
}

/// One fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The number in its name.
    pub execution: u64,
    /// Price, 1e-9.
    pub price: i64,
    /// Amount, 1e-9 contracts.
    pub qty: i64,
}

/// The fills of a report.
#[derive(Clone, Copy, Debug)]
pub struct Fills<'a> {
    group: Entries<'a>,
    count: u64,
    /// A fill told in the report's own fields: execution, price, amount.
    last: Option<[&'a [u8]; 3]>,
}

impl<'a> ExecutionReport<'a> {
    /// From the fields of a message of type `8`. Of one that stands twice the last is read.
    #[inline]
    pub fn new(fields: &Fields<'a>) -> Result<Self, Fault> {
        let one = |tag| match fields.find(tag) {
            None => Ok(0),
            Some([byte]) => Ok(*byte),
            Some(_) => Err(Fault { tag, reason: RejectReason::IncorrectFormat }),
        };
        let (status, exec_type) = (one(tag::ORD_STATUS)?, one(tag::EXEC_TYPE)?);
        if status == 0 {
            return Err(Fault { tag: tag::ORD_STATUS, reason: RejectReason::RequiredTagMissing });
        }
        let fill_count = match fields.find(tag::NO_FILLS) {
            None => 0,
            Some(count) => number(count).ok_or(Fault { tag: tag::NO_FILLS, reason: RejectReason::IncorrectFormat })?,
        };
        let order = fields.find(tag::ORIG_CL_ORD_ID).or_else(|| fields.find(tag::CL_ORD_ID)).and_then(number);
        Ok(Self { fields: *fields, order, status, exec_type, fill_count })
    }

    /// The number in the venue's name of the order, 0 when it has none.
    #[inline]
    pub fn venue_order(&self) -> u64 {
        trailing_number(self.value(tag::ORDER_ID))
    }

    /// Side.
    #[inline]
    pub fn side(&self) -> Option<Side> {
        match self.value(tag::SIDE) {
            b"1" => Some(Side::Buy),
            b"2" => Some(Side::Sell),
            _ => None,
        }
    }

    /// Name of the instrument; empty when it is absent.
    #[inline]
    pub fn symbol(&self) -> &'a [u8] {
        self.value(tag::SYMBOL)
    }

    /// Filled over its life, 1e-9 contracts; `None` when it is absent or unreadable.
    #[inline]
    pub fn cum_qty(&self) -> Option<i64> {
        decimal_e9(self.value(tag::CUM_QTY))
    }

    /// Amount asked, 1e-9 contracts.
    pub fn order_qty(&self) -> Option<i64> {
        decimal_e9(self.value(tag::ORDER_QTY))
    }

    /// Limit, 1e-9.
    pub fn price(&self) -> Option<i64> {
        decimal_e9(self.value(tag::PRICE))
    }

    /// `OrdRejReason` (103).
    pub fn reject_reason(&self) -> Option<u64> {
        number(self.value(tag::ORD_REJ_REASON))
    }

    /// Explanation; empty when it is absent.
    pub fn text(&self) -> &'a [u8] {
        self.value(tag::TEXT)
    }

    /// The fills told with this report.
    #[inline]
    pub fn fills(&self) -> Fills<'a> {
        let is_single = self.fill_count == 0 && self.exec_type == b'F';
        let parts = || [tag::EXEC_ID, tag::LAST_PX, tag::LAST_QTY].map(|tag| self.value(tag));
        let group = self.fields.behind(tag::NO_FILLS);
        Fills { group, count: self.fill_count, last: is_single.then(parts) }
    }

    /// Empty when it is absent.
    #[inline]
    fn value(&self, tag: u32) -> &'a [u8] {
        self.fields.find(tag).unwrap_or_default()
    }
}

impl<'a> Fills<'a> {
    /// How many the report announces.
    pub fn len(&self) -> u64 {
        if self.last.is_some() { 1 } else { self.count }
    }

    /// Whether it announces none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each fill, `None` for one that cannot be read. An entry begins with `FillExecID`; as many come as are announced.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Option<Fill>> + use<'a> {
        let mut last = self.last;
        let mut entries = self.group;
        // A group can hold no more entries than the tape holds fields.
        let announced = usize::try_from(self.len()).unwrap_or(usize::MAX).min(super::FIELDS_MAX);
        (0..announced).map(move |_| {
            let parts = match last.take() {
                Some(parts) => parts,
                None => entry(&mut entries)?,
            };
            fill(parts)
        })
    }
}

/// The next entry of a group: execution, price, amount.
#[inline]
fn entry<'a>(entries: &mut Entries<'a>) -> Option<[&'a [u8]; 3]> {
    let mut parts = [entries.next_if(|tag| tag == tag::FILL_EXEC_ID)?.1, &[], &[]];
    while let Some((tag, value)) = entries.next_if(is_fill_member) {
        match tag {
            tag::FILL_PX => parts[1] = value,
            tag::FILL_QTY => parts[2] = value,
            _ => {}
        }
    }
    Some(parts)
}

const fn is_fill_member(tag: u32) -> bool {
    matches!(tag, tag::FILL_PX | tag::FILL_QTY | tag::FILL_LIQUIDITY_IND)
}

#[inline]
fn fill([execution, price, qty]: [&[u8]; 3]) -> Option<Fill> {
    let execution = Some(trailing_number(execution)).filter(|_| !execution.is_empty())?;
    Some(Fill { execution, price: decimal_e9(price)?, qty: decimal_e9(qty)? })
}

#[cfg(test)]
mod tests {
    use super::super::Tape;
    use super::*;
    use proptest::prelude::*;

    const REPORT: &str = "35=8|49=DERIBITSERVER|56=DESK|34=17|52=20261122-19:00:00.123|527=9|37=ETH-4711|11=ETH-4711|\
        41=3855759433760014337|39=2|54=2|60=20261122-19:00:00.122|12=0|151=0|14=50|38=50|40=2|44=97650.5|150=I|103=0|\
        58=success|207=DERIBITSERVER|55=BTC-PERPETUAL|6=97651.25|1362=2|1363=BTC-PERPETUAL#38|1364=97651.5|1365=20|1443=2|\
        1363=BTC-PERPETUAL#39|1364=97651|1365=30|1443=2|";

    fn with(text: &str, check: impl FnOnce(Result<ExecutionReport<'_>, Fault>)) {
        let body = text.replace('|', "\x01");
        let mut tape = Tape::new();
        check(ExecutionReport::new(&tape.read(body.as_bytes()).0));
    }

    #[test]
    fn a_report_of_the_venue_is_read_whole() {
        with(REPORT, |report| {
            let report = report.unwrap();
            assert_eq!((report.order, report.venue_order()), (Some(3_855_759_433_760_014_337), 4_711));
            assert_eq!((report.status, report.exec_type, report.side()), (b'2', b'I', Some(Side::Sell)));
            assert_eq!((report.symbol(), report.text()), (&b"BTC-PERPETUAL"[..], &b"success"[..]));
            assert_eq!((report.cum_qty(), report.price()), (Some(50_000_000_000), Some(97_650_500_000_000)));
            let fills: Vec<_> = report.fills().iter().collect();
            let fill = |execution, price, qty| Some(Fill { execution, price, qty });
            assert_eq!(
                fills,
                [fill(38, 97_651_500_000_000, 20_000_000_000), fill(39, 97_651_000_000_000, 30_000_000_000)]
            );
        });
    }

    #[test]
    fn a_plain_report_tells_its_fill_in_its_own_fields() {
        with("35=8|37=A1|11=7|17=E5|150=F|39=1|55=X|54=1|32=3|31=10.5|14=3|", |report| {
            let report = report.unwrap();
            assert_eq!((report.order, report.fills().len()), (Some(7), 1));
            let fill = Fill { execution: 5, price: 10_500_000_000, qty: 3_000_000_000 };
            assert_eq!(report.fills().iter().collect::<Vec<_>>(), [Some(fill)]);
        });
    }

    #[test]
    fn a_fill_that_cannot_be_read_is_told_as_such() {
        for (text, expected) in [
            ("39=2|1362=1|1363=9|1364=1e5|1365=2|", vec![false]),
            ("39=2|1362=2|1363=9|1364=5|1365=2|", vec![true, false]),
            ("39=2|1362=1|1364=5|1365=2|", vec![false]),
            ("39=2|1362=1|1363=9|1364=5|", vec![false]),
            ("39=2|150=F|17=9|31=5|", vec![false]),
            ("39=2|1362=2|1363=9|58=x|1363=9|1364=5|1365=2|", vec![false, false]),
        ] {
            with(text, |report| {
                let readable: Vec<bool> = report.unwrap().fills().iter().map(|fill| fill.is_some()).collect();
                assert_eq!(readable, expected, "{text}");
            });
        }
    }

    #[test]
    fn a_report_without_a_status_is_faulty() {
        with("35=8|11=7|", |report| assert_eq!(report.unwrap_err().tag, tag::ORD_STATUS));
        with("35=8|39=22|", |report| assert_eq!(report.unwrap_err().reason, RejectReason::IncorrectFormat));
    }

    proptest! {
        #[test]
        fn arbitrary_fields_never_panic(fields in prop::collection::vec(
            (prop_oneof![
                Just(11u32), Just(37), Just(39), Just(41), Just(150), Just(1362), Just(1363), Just(1364), Just(1365), 1u32..2_000,
            ], "[0-9.#A-Z-]{1,24}"),
            0..60,
        )) {
            let body: String = fields.iter().map(|(tag, value)| format!("{tag}={value}\x01")).collect();
            let mut tape = Tape::new();
            if let Ok(report) = ExecutionReport::new(&tape.read(body.as_bytes()).0) {
                prop_assert!(report.fills().iter().count() <= super::super::FIELDS_MAX);
            }
        }
    }
}
