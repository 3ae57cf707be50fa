//! Which fields a message must have, and which it may.
//!
//! A venue adds fields of its own from one day to the next, so whether a field that is not in the table is refused is the
//! reader's choice; fields from 5,000 on never are.

use super::fields::{Fault, Fields, RejectReason};
use super::tags::{kind, tag};

/// From here on tags are agreed between two parties.
const USER_DEFINED: u32 = 5_000;
/// Tags below this are looked at for repetition.
const KNOWN_MAX: usize = 1_536;

type TagSet = [u64; KNOWN_MAX / 64];

/// Fields of the header.
const HEADER: TagSet = set(&[
    tag::MSG_TYPE,
    tag::SENDER_COMP_ID,
    tag::TARGET_COMP_ID,
    tag::MSG_SEQ_NUM,
    tag::SENDING_TIME,
    tag::POSS_DUP_FLAG,
    tag::POSS_RESEND,
    tag::ORIG_SENDING_TIME,
    50,
    57,
    115,
    116,
    128,
    129,
    142,
    143,
    144,
    145,
    347,
    369,
]);

const fn set(tags: &[u32]) -> TagSet {
    let (mut set, mut at) = ([0; KNOWN_MAX / 64], 0);
    while at < tags.len() {
        set[tags[at] as usize / 64] |= 1 << (tags[at] % 64);
        at += 1;
    }
    set
}

#[inline]
fn holds(set: &TagSet, tag: u32) -> bool {
    set.get(tag as usize / 64).is_some_and(|word| word >> (tag % 64) & 1 == 1)
}

/// One type of message.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its letter.
    pub kind: u8,
    /// Fields that must be there.
    pub required: &'static [u32],
    /// Others that may be.
    pub optional: &'static [u32],
    /// Members of its groups, which may repeat.
    pub repeating: &'static [u32],
    /// The group whose entries are counted, if there is one.
    pub group: Option<Group>,
}

/// A repeating group.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The field that says how many entries there are.
    pub count: u32,
    /// Its fields in their order; each entry begins with the first.
    pub members: &'static [u32],
}

/// How far a group has come.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    announced: u64,
    entries: u64,
    /// Which field of the entry is due, by its place; none before the first entry.
    due: usize,
}

impl Course {
    /// Notes a field of the group or its count, or says what is wrong with it.
    fn take(&mut self, group: &Group, tag: u32, value: &[u8]) -> Result<(), RejectReason> {
        if tag == group.count {
            self.announced = super::number(value).ok_or(RejectReason::IncorrectFormat)?;
        }
        match group.members.iter().position(|member| *member == tag) {
            None => {}
            Some(0) => (self.entries, self.due) = (self.entries + 1, 1),
            Some(place) if self.entries > 0 && place >= self.due => self.due = place + 1,
            Some(_) => return Err(RejectReason::GroupOutOfOrder),
        }
        Ok(())
    }
}

/// What is known of a type; `None` for types that are not spoken here.
pub fn spec(kind: u8) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.kind == kind)
}

const NONE: &[u32] = &[];
const FILLS: &[u32] = &[tag::FILL_EXEC_ID, tag::FILL_PX, tag::FILL_QTY, tag::FILL_LIQUIDITY_IND];

const HOLDINGS: &[u32] =
    &[tag::POS_TYPE, tag::LONG_QTY, tag::SHORT_QTY, tag::SYMBOL, tag::SIDE, tag::QTY_TYPE, 231, 730, 746, 883];

const fn entry(kind: u8, required: &'static [u32], optional: &'static [u32], repeating: &'static [u32]) -> Spec {
    Spec { kind, required, optional, repeating, group: None }
}

const fn with_group(entry: Spec, count: u32) -> Spec {
    let group = Some(Group { count, members: entry.repeating });
    Spec { group, ..entry }
}

/// Every type spoken.
const SPECS: &[Spec] = &[
    entry(kind::HEARTBEAT, NONE, &[tag::TEST_REQ_ID], NONE),
    entry(kind::TEST_REQUEST, &[tag::TEST_REQ_ID], NONE, NONE),
    entry(kind::RESEND_REQUEST, &[tag::BEGIN_SEQ_NO, tag::END_SEQ_NO], NONE, NONE),
    entry(
        kind::REJECT,
        &[tag::REF_SEQ_NUM],
        &[tag::REF_TAG_ID, tag::REF_MSG_TYPE, tag::SESSION_REJECT_REASON, tag::TEXT],
        NONE,
    ),
    entry(kind::SEQUENCE_RESET, &[tag::NEW_SEQ_NO], &[tag::GAP_FILL_FLAG], NONE),
    entry(kind::LOGOUT, NONE, &[tag::TEXT], NONE),
    entry(
        kind::LOGON,
        &[tag::HEART_BT_INT],
        &[
            tag::ENCRYPT_METHOD,
            tag::RAW_DATA_LENGTH,
            tag::RAW_DATA,
            tag::RESET_SEQ_NUM_FLAG,
            tag::USERNAME,
            tag::PASSWORD,
            tag::TEXT,
            383,
            464,
            789,
        ],
        NONE,
    ),
    entry(
        kind::NEW_ORDER_SINGLE,
        &[tag::CL_ORD_ID, tag::SIDE, tag::ORDER_QTY, tag::PRICE, tag::SYMBOL],
        &[
            tag::EXEC_INST,
            tag::ORD_TYPE,
            tag::TIME_IN_FORCE,
            tag::STOP_PX,
            tag::TRANSACT_TIME,
            tag::QTY_TYPE,
            tag::TEXT,
            62,
            1_088,
            1_138,
        ],
        NONE,
    ),
    entry(
        kind::ORDER_CANCEL_REQUEST,
        &[tag::CL_ORD_ID],
        &[tag::ORIG_CL_ORD_ID, tag::SYMBOL, tag::CURRENCY, tag::SIDE, tag::ORDER_QTY, tag::TRANSACT_TIME],
        NONE,
    ),
    entry(
        kind::ORDER_CANCEL_REPLACE_REQUEST,
        &[tag::CL_ORD_ID, tag::SYMBOL, tag::SIDE, tag::ORDER_QTY, tag::PRICE],
        &[tag::ORIG_CL_ORD_ID, tag::CURRENCY, tag::EXEC_INST, tag::QTY_TYPE, tag::ORD_TYPE, tag::TRANSACT_TIME, 62],
        NONE,
    ),
    entry(
        kind::ORDER_MASS_CANCEL_REQUEST,
        &[tag::CL_ORD_ID, tag::MASS_CANCEL_REQUEST_TYPE],
        &[tag::SECURITY_TYPE, tag::SYMBOL, tag::CURRENCY, tag::TRANSACT_TIME],
        NONE,
    ),
    with_group(
        entry(
            kind::EXECUTION_REPORT,
            &[tag::ORD_STATUS],
            &[
                tag::AVG_PX,
                tag::CL_ORD_ID,
                tag::COMMISSION,
                tag::CUM_QTY,
                tag::EXEC_ID,
                tag::EXEC_INST,
                tag::LAST_PX,
                tag::LAST_QTY,
                tag::ORDER_ID,
                tag::ORDER_QTY,
                tag::ORD_TYPE,
                tag::ORIG_CL_ORD_ID,
                tag::PRICE,
                tag::SIDE,
                tag::SYMBOL,
                tag::TEXT,
                tag::TIME_IN_FORCE,
                tag::TRANSACT_TIME,
                tag::STOP_PX,
                tag::ORD_REJ_REASON,
                tag::EXEC_TYPE,
                tag::LEAVES_QTY,
                207,
                231,
                tag::SECONDARY_EXEC_ID,
                tag::MASS_STATUS_REQ_ID,
                tag::MASS_STATUS_REQ_TYPE,
                tag::TOT_NUM_REPORTS,
                tag::LAST_RPT_REQUESTED,
                tag::QTY_TYPE,
                1_138,
                tag::NO_FILLS,
            ],
            FILLS,
        ),
        tag::NO_FILLS,
    ),
    entry(
        kind::ORDER_CANCEL_REJECT,
        NONE,
        &[
            tag::CL_ORD_ID,
            tag::ORIG_CL_ORD_ID,
            tag::ORDER_ID,
            tag::ORD_STATUS,
            tag::CXL_REJ_REASON,
            tag::CXL_REJ_RESPONSE_TO,
            tag::TEXT,
            tag::SYMBOL,
        ],
        NONE,
    ),
    entry(
        kind::BUSINESS_MESSAGE_REJECT,
        NONE,
        &[tag::REF_SEQ_NUM, tag::REF_MSG_TYPE, tag::BUSINESS_REJECT_REF_ID, tag::BUSINESS_REJECT_REASON, tag::TEXT],
        NONE,
    ),
    with_group(
        entry(
            kind::ORDER_MASS_CANCEL_REPORT,
            &[tag::MASS_CANCEL_REQUEST_TYPE],
            &[
                tag::CL_ORD_ID,
                tag::ORDER_ID,
                tag::MASS_CANCEL_RESPONSE,
                tag::MASS_CANCEL_REJECT_REASON,
                tag::TOTAL_AFFECTED_ORDERS,
                tag::NO_AFFECTED_ORDERS,
                tag::TEXT,
                298,
            ],
            &[tag::ORIG_CL_ORD_ID],
        ),
        tag::NO_AFFECTED_ORDERS,
    ),
    entry(
        kind::ORDER_MASS_STATUS_REQUEST,
        &[tag::MASS_STATUS_REQ_ID, tag::MASS_STATUS_REQ_TYPE],
        &[tag::CURRENCY, tag::SYMBOL],
        NONE,
    ),
    entry(
        kind::REQUEST_FOR_POSITIONS,
        &[tag::POS_REQ_ID, tag::POS_REQ_TYPE],
        &[tag::SUBSCRIPTION_REQUEST_TYPE, tag::CURRENCY],
        NONE,
    ),
    entry(
        kind::POSITION_REPORT,
        &[tag::POS_MAINT_RPT_ID],
        &[tag::POS_REQ_ID, tag::POS_REQ_TYPE, tag::TOTAL_NUM_POS_REPORTS, tag::POS_REQ_RESULT, tag::NO_POSITIONS],
        HOLDINGS,
    ),
];

impl Spec {
    /// The first thing wrong with the fields: one that stands twice, one of the header behind the body's first, one of a
    /// group before its entry or out of its order, and, when `strict`, one that does not belong; then one that is missing,
    /// and a group of another number of entries than it says.
    pub fn check(&self, fields: &Fields<'_>, strict: bool) -> Result<(), Fault> {
        let mut seen: TagSet = [0; KNOWN_MAX / 64];
        let (mut in_body, mut course) = (false, Course::default());
        for (tag, value) in fields.iter() {
            let fault = |reason| Err(Fault { tag, reason });
            let is_header = holds(&HEADER, tag);
            if is_header && in_body {
                return fault(RejectReason::OutOfOrder);
            }
            in_body |= !is_header;
            if let Some(word) = seen.get_mut(tag as usize / 64) {
                let bit = 1 << (tag % 64);
                if *word & bit != 0 && !self.repeating.contains(&tag) {
                    return fault(RejectReason::RepeatedTag);
                }
                *word |= bit;
            }
            if let Some(group) = &self.group {
                course.take(group, tag, value).or_else(fault)?;
            }
            let belongs =
                || self.required.contains(&tag) || self.optional.contains(&tag) || self.repeating.contains(&tag);
            if strict && !is_header && tag < USER_DEFINED && !belongs() {
                return fault(RejectReason::TagNotDefinedForType);
            }
        }
        for tag in self.required {
            if !holds(&seen, *tag) {
                return Err(Fault { tag: *tag, reason: RejectReason::RequiredTagMissing });
            }
        }
        match &self.group {
            Some(group) if course.entries != course.announced => {
                Err(Fault { tag: group.count, reason: RejectReason::GroupCount })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tape;
    use super::*;

    fn check(kind: u8, body: &str, strict: bool) -> Result<(), Fault> {
        let body = body.replace('|', "\x01");
        let mut tape = Tape::new();
        spec(kind).expect("known").check(&tape.read(body.as_bytes()).0, strict)
    }

    #[test]
    fn each_rule_names_the_field_that_breaks_it() {
        let fault = |tag, reason| Err(Fault { tag, reason });
        let order = "35=D|49=A|56=B|34=1|52=T|11=1|54=1|38=1|44=1|55=X|";
        assert_eq!(check(kind::NEW_ORDER_SINGLE, order, true), Ok(()));
        assert_eq!(check(kind::NEW_ORDER_SINGLE, &format!("{order}9008=Y|100010=l|"), true), Ok(()));
        let repeated = format!("{order}44=2|");
        assert_eq!(check(kind::NEW_ORDER_SINGLE, &repeated, false), fault(44, RejectReason::RepeatedTag));
        let foreign = format!("{order}571=2|");
        assert_eq!(check(kind::NEW_ORDER_SINGLE, &foreign, true), fault(571, RejectReason::TagNotDefinedForType));
        assert_eq!(check(kind::NEW_ORDER_SINGLE, &foreign, false), Ok(()));
        let missing = order.replace("44=1|", "");
        assert_eq!(check(kind::NEW_ORDER_SINGLE, &missing, false), fault(44, RejectReason::RequiredTagMissing));
        let late = order.replace("52=T|", "") + "52=T|";
        assert_eq!(check(kind::NEW_ORDER_SINGLE, &late, false), fault(52, RejectReason::OutOfOrder));
    }

    #[test]
    fn members_of_a_group_repeat() {
        let report = "35=8|34=1|39=2|1362=2|1363=1|1364=5|1365=1|1363=2|1364=5|1365=1|";
        assert_eq!(check(kind::EXECUTION_REPORT, report, true), Ok(()));
    }

    #[test]
    fn a_group_has_as_many_entries_as_it_says_each_in_its_order() {
        let fault = |tag, reason| Err(Fault { tag, reason });
        let entry = "1363=1|1364=5|1365=1|1443=2|";
        for (group, expected) in [
            (format!("1362=1|{entry}"), Ok(())),
            (format!("1362=2|{entry}1363=2|1365=1|"), Ok(())),
            ("1362=0|".to_owned(), Ok(())),
            (format!("1362=1|{entry}{entry}"), fault(1_362, RejectReason::GroupCount)),
            (format!("1362=2|{entry}"), fault(1_362, RejectReason::GroupCount)),
            (entry.to_owned(), fault(1_362, RejectReason::GroupCount)),
            ("1362=x|".to_owned(), fault(1_362, RejectReason::IncorrectFormat)),
            ("1362=1|1364=5|1363=1|".to_owned(), fault(1_364, RejectReason::GroupOutOfOrder)),
            ("1362=1|1363=1|1365=1|1364=5|".to_owned(), fault(1_364, RejectReason::GroupOutOfOrder)),
            ("1362=1|1363=1|1364=5|1364=6|".to_owned(), fault(1_364, RejectReason::GroupOutOfOrder)),
        ] {
            assert_eq!(check(kind::EXECUTION_REPORT, &format!("35=8|34=1|39=2|{group}"), true), expected, "{group}");
        }
    }

    #[test]
    fn every_type_has_one_entry_and_known_tags() {
        for (at, entry) in SPECS.iter().enumerate() {
            assert!(SPECS[at + 1..].iter().all(|other| other.kind != entry.kind), "{}", char::from(entry.kind));
            assert!(entry.required.iter().all(|tag| (*tag as usize) < KNOWN_MAX));
        }
        assert!(spec(b'Z').is_none());
    }
}
