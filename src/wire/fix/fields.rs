//! The fields of a message, found in one pass and kept on a tape of fixed length.
//!
//! A party writes its messages to one pattern: the field at a place of a message mostly has the tag that stood there in the
//! message before. The tape remembers the text of the tag at each place and compares it whole, `=` included, with one
//! instruction; only where another tag stands are its digits read. What is remembered changes the time and nothing else.

use super::scan::{LANES, separators_from};
use super::tags::tag;

/// Fields that a message may have: those of a statement of some four hundred positions.
pub const FIELDS_MAX: usize = 4_096;
/// Digits of a tag.
const TAG_DIGITS_MAX: usize = 7;

/// Why a message is refused: the value of `SessionRejectReason` (373).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RejectReason {
    /// A tag that is no number above zero.
    InvalidTagNumber = 0,
    /// A field that must be there is not.
    RequiredTagMissing = 1,
    /// A field that does not belong to this type of message.
    TagNotDefinedForType = 2,
    /// A tag without a value.
    NoValue = 4,
    /// A value out of its range.
    ValueIncorrect = 5,
    /// A value that is not of its type.
    IncorrectFormat = 6,
    /// The message comes from, or is for, somebody else.
    CompIdProblem = 9,
    /// It was sent too long ago, or is yet to be.
    SendingTimeAccuracy = 10,
    /// No such type of message.
    InvalidMsgType = 11,
    /// A field stands twice.
    RepeatedTag = 13,
    /// A field of the header stands in the body.
    OutOfOrder = 14,
    /// A field of a group stands before its entry, or not in its order.
    GroupOutOfOrder = 15,
    /// A group has more or fewer entries than it says.
    GroupCount = 16,
    /// More fields than are read.
    Other = 99,
}

/// A field that makes a message unacceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which, 0 when it has no number.
    pub tag: u32,
    /// What is wrong with it.
    pub reason: RejectReason,
}

#[derive(Clone, Copy, Debug, Default)]
struct Field {
    tag: u32,
    start: u16,
    end: u16,
}

/// The tag seen last at a place of a message.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Its text up to and including `=`, in the highest bytes, and how far it was shifted there.
    text: u64,
    shift: u8,
    /// Bytes of the text.
    len: u8,
    tag: u32,
}

impl Seen {
    /// No text is like this.
    const NOTHING: Self = Self { text: 1, shift: 32, len: 4, tag: 0 };

    /// A tag, and the eight bytes from its first digit on: it has at most seven.
    fn new(tag: u32, word: u64) -> Self {
        let len = tag.ilog10() as u8 + 2;
        let shift = 64 - 8 * len;
        Self { text: word << shift, shift, len, tag }
    }

    #[inline]
    fn is_at(&self, word: u64) -> bool {
        word << self.shift == self.text
    }
}

/// Room for the fields of one message, 32 KiB, and the tags of those before, 64 KiB, of which few are touched by a short one.
#[derive(Debug)]
pub struct Tape {
    fields: Box<[Field; FIELDS_MAX]>,
    seen: Box<[Seen; FIELDS_MAX]>,
    places: Box<Places>,
}

/// By the lowest byte of a tag, where the last field of such a tag stands. What a message before left here names a place
/// where no such tag stands.
type Places = [u16; 256];

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self { fields: room(Field::default()), seen: room(Seen::NOTHING), places: Box::new([0; 256]) }
    }

    /// Reads the fields of a message's body, which ends with a separator. The first fault ends the reading; what was
    /// read before it is returned with it.
    #[inline]
    pub fn read<'a>(&'a mut self, body: &'a [u8]) -> (Fields<'a>, Option<Fault>) {
        let (mut len, mut start) = (0, 0);
        // Separators of a data field, which are passed over, lie below this.
        let mut data_until = 0;
        for base in (0..body.len()).step_by(LANES) {
            let mut separators = from(separators_from(body, base), data_until, base);
            while separators != 0 {
                let end = base + separators.trailing_zeros() as usize;
                separators &= separators - 1;
                let (Some(slot), Some(seen)) = (self.fields.get_mut(len), self.seen.get_mut(len)) else {
                    return (self.fields(len, body), Some(Fault { tag: 0, reason: RejectReason::Other }));
                };
                let value = start + usize::from(seen.len);
                *slot = if seen.is_at(word_at(body, start)) && value < end {
                    Field { tag: seen.tag, start: value as u16, end: end as u16 }
                } else {
                    match other_tag(body, start, end, seen) {
                        Ok(field) => {
                            if is_length_of_data(field.tag) {
                                data_until = data_end(body, field);
                                separators = from(separators, data_until, base);
                            }
                            field
                        }
                        Err(fault) => return (self.fields(len, body), Some(fault)),
                    }
                };
                self.places[usize::from(slot.tag as u8)] = len as u16;
                len += 1;
                start = end + 1;
            }
        }
        (self.fields(len, body), None)
    }

    #[inline]
    fn fields<'a>(&'a self, len: usize, body: &'a [u8]) -> Fields<'a> {
        Fields { all: Entries { fields: &self.fields[..len], body }, places: &self.places }
    }
}

/// As many of these as a message may have fields, never on the stack.
fn room<T: Copy + std::fmt::Debug>(blank: T) -> Box<[T; FIELDS_MAX]> {
    vec![blank; FIELDS_MAX].try_into().expect("as many as asked for")
}

/// What is left of a block's separators from `until` on.
#[inline]
fn from(separators: u64, until: usize, base: usize) -> u64 {
    match until.checked_sub(base) {
        None => separators,
        Some(passed) => separators & u64::MAX.checked_shl(passed as u32).unwrap_or_default(),
    }
}

/// The eight bytes from `start` on; behind the end of the body they are zero.
#[inline]
fn word_at(body: &[u8], start: usize) -> u64 {
    match body[start..].first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => last_word(&body[start..]),
    }
}

#[cold]
#[inline(never)]
fn last_word(rest: &[u8]) -> u64 {
    rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The field in `start..end`, whose tag is remembered unless it announces data; written without leading zeros.
#[cold]
#[inline(never)]
fn other_tag(body: &[u8], start: usize, end: usize, seen: &mut Seen) -> Result<Field, Fault> {
    let text = &body[start..end];
    let mut tag = 0u32;
    for (at, byte) in text.iter().enumerate().take(TAG_DIGITS_MAX + 1) {
        match byte {
            b'0'..=b'9' if at < TAG_DIGITS_MAX => tag = tag * 10 + u32::from(byte - b'0'),
            b'=' if tag > 0 && text[0] != b'0' => {
                if at + 1 == text.len() {
                    return Err(Fault { tag, reason: RejectReason::NoValue });
                }
                if !is_length_of_data(tag) {
                    *seen = Seen::new(tag, word_at(body, start));
                }
                return Ok(Field { tag, start: (start + at + 1) as u16, end: end as u16 });
            }
            _ => break,
        }
    }
    Err(Fault { tag: 0, reason: RejectReason::InvalidTagNumber })
}

/// Fields that announce the length of the data field behind them, which may hold separators.
#[inline]
fn is_length_of_data(tag: u32) -> bool {
    (90..=364).contains(&tag)
        && matches!(tag, 90 | 93 | tag::RAW_DATA_LENGTH | 212 | 348 | 350 | 352 | 354 | 356 | 358 | 360 | 362 | 364)
}

/// Where the data field behind a length field ends; nowhere when the length makes no sense.
#[cold]
#[inline(never)]
fn data_end(body: &[u8], field: Field) -> usize {
    let end = usize::from(field.end);
    let length = super::number(&body[usize::from(field.start)..end]).and_then(|length| usize::try_from(length).ok());
    let data = &body[end + 1..];
    let value = data.iter().take(TAG_DIGITS_MAX + 1).position(|byte| *byte == b'=').map(|at| end + 1 + at + 1);
    match (length, value) {
        (Some(length), Some(value)) if length < body.len() - value => value + length,
        _ => 0,
    }
}

/// The fields of one message, in order.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    all: Entries<'a>,
    places: &'a Places,
}

/// Fields that stand next to each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries<'a> {
    fields: &'a [Field],
    body: &'a [u8],
}

impl<'a> Entries<'a> {
    #[inline]
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &'a [u8])> + Clone + use<'a> {
        let (fields, body) = (self.fields, self.body);
        fields.iter().map(move |field| (field.tag, &body[usize::from(field.start)..usize::from(field.end)]))
    }
}

impl<'a> Fields<'a> {
    /// Tags and values in wire order.
    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &'a [u8])> + Clone + use<'a> {
        self.all.iter()
    }

    /// The last value under a tag: a look-up, and for tags that share their lowest byte a search.
    #[inline]
    pub fn find(&self, tag: u32) -> Option<&'a [u8]> {
        let Entries { fields, body } = self.all;
        let field = fields.get(self.position(tag)?)?;
        Some(&body[usize::from(field.start)..usize::from(field.end)])
    }

    /// The fields behind the last one under a tag.
    #[inline]
    pub(super) fn behind(&self, tag: u32) -> Entries<'a> {
        let Entries { fields, body } = self.all;
        let from = self.position(tag).map_or(fields.len(), |position| position + 1);
        Entries { fields: fields.get(from..).unwrap_or_default(), body }
    }

    #[inline]
    fn position(&self, tag: u32) -> Option<usize> {
        let fields = self.all.fields;
        let place = usize::from(self.places[usize::from(tag as u8)]);
        match fields.get(place)?.tag {
            found if found == tag => Some(place),
            found if found as u8 == tag as u8 => fields[..place].iter().rposition(|field| field.tag == tag),
            _ => None,
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.all.fields.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.fields.is_empty()
    }

    /// The bytes that the fields lie in.
    pub fn bytes(&self) -> &'a [u8] {
        self.all.body
    }

    /// Where in [`bytes`](Self::bytes) the field at `position` begins.
    pub fn offset(&self, position: usize) -> usize {
        let Entries { fields, body } = self.all;
        match position.checked_sub(1) {
            Some(before) => fields.get(before).map_or(body.len(), |field| usize::from(field.end) + 1),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::SOH;
    use super::*;
    use proptest::prelude::*;

    fn read(body: &[u8]) -> (Vec<(u32, Vec<u8>)>, Option<Fault>) {
        let mut tape = Tape::new();
        let (fields, fault) = tape.read(body);
        (fields.iter().map(|(tag, value)| (tag, value.to_vec())).collect(), fault)
    }

    #[test]
    fn fields_come_in_order() {
        let mut tape = Tape::new();
        let (fields, fault) = tape.read(b"35=D\x0134=7\x01100010=label\x0158=a=b\x01");
        assert_eq!(fault, None);
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [(35, &b"D"[..]), (34, b"7"), (100_010, b"label"), (58, b"a=b")]);
        assert_eq!(fields.find(34), Some(&b"7"[..]));
        assert_eq!(fields.offset(2), 10);
        assert_eq!(fields.behind(100_010).iter().collect::<Vec<_>>(), [(58, &b"a=b"[..])]);
    }

    #[test]
    fn a_field_that_is_none_is_a_fault_with_its_tag() {
        for (body, tag, reason) in [
            (&b"35=D\x0158=\x01"[..], 58, RejectReason::NoValue),
            (b"35=D\x01=x\x01", 0, RejectReason::InvalidTagNumber),
            (b"35=D\x010=x\x01", 0, RejectReason::InvalidTagNumber),
            (b"35=D\x01058=x\x01", 0, RejectReason::InvalidTagNumber),
            (b"35=D\x01-1=x\x01", 0, RejectReason::InvalidTagNumber),
            (b"35=D\x01a=x\x01", 0, RejectReason::InvalidTagNumber),
            (b"35=D\x0158\x01", 0, RejectReason::InvalidTagNumber),
            (b"35=D\x0112345678=x\x01", 0, RejectReason::InvalidTagNumber),
            (b"35=D\x01\x01", 0, RejectReason::InvalidTagNumber),
        ] {
            let (fields, fault) = read(body);
            assert_eq!(fault, Some(Fault { tag, reason }), "{:?}", String::from_utf8_lossy(body));
            assert_eq!(fields.len(), 1);
        }
    }

    #[test]
    fn data_may_hold_separators() {
        let (fields, fault) = read(b"35=A\x0195=5\x0196=a\x01b=c\x01108=5\x01");
        assert_eq!(fault, None);
        assert_eq!(fields[2], (96, b"a\x01b=c".to_vec()));
        assert_eq!(fields[3], (108, b"5".to_vec()));
        // A length that lies is not believed.
        let (fields, _) = read(b"35=A\x0195=500\x0196=ab\x01108=5\x01");
        assert_eq!(fields[2..], [(96, b"ab".to_vec()), (108, b"5".to_vec())]);
    }

    #[test]
    fn more_fields_than_the_tape_holds_are_a_fault() {
        let body = b"58=x\x01".repeat(FIELDS_MAX + 1);
        let (fields, fault) = read(&body);
        assert_eq!((fields.len(), fault), (FIELDS_MAX, Some(Fault { tag: 0, reason: RejectReason::Other })));
    }

    proptest! {
        #[test]
        fn agrees_with_splitting_at_separators(
            fields in prop::collection::vec((1u32..100_000, "[ -~]{1,40}"), 0..60),
        ) {
            let fields: Vec<_> = fields.into_iter().filter(|(tag, _)| !is_length_of_data(*tag)).collect();
            let body: String = fields.iter().map(|(tag, value)| format!("{tag}={value}\x01")).collect();
            let (read, fault) = read(body.as_bytes());
            prop_assert_eq!(fault, None);
            prop_assert_eq!(read.len(), fields.len());
            for ((tag, value), (expected_tag, expected)) in read.iter().zip(&fields) {
                prop_assert_eq!((tag, value.as_slice()), (expected_tag, expected.as_bytes()));
            }
        }

        #[test]
        fn what_was_read_before_changes_nothing(
            bodies in prop::collection::vec(
                prop::collection::vec((
                    prop_oneof![Just("35"), Just("95"), Just("96"), Just("1363"), Just("100010"), Just("83"), Just("x"), Just("")],
                    "[0-9a=\x01]{0,4}",
                ), 0..12), 1..6,
            ),
        ) {
            let mut tape = Tape::new();
            for body in bodies {
                let body: String = body.iter().map(|(tag, value)| format!("{tag}={value}\x01")).collect();
                let (fields, fault) = tape.read(body.as_bytes());
                let read: Vec<_> = fields.iter().collect();
                for tag in [35, 95, 96, 1_363, 100_010, 83] {
                    let last = read.iter().rev().find(|(found, _)| *found == tag).map(|(_, value)| *value);
                    prop_assert_eq!(fields.find(tag), last, "{}", tag);
                }
                let mut fresh = Tape::new();
                let (expected, expected_fault) = fresh.read(body.as_bytes());
                prop_assert_eq!(read, expected.iter().collect::<Vec<_>>());
                prop_assert_eq!(fault, expected_fault);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(body in prop::collection::vec(
            prop_oneof![3 => any::<u8>(), 1 => Just(SOH), 1 => Just(b'='), 2 => b'0'..=b'9'], 0..400,
        )) {
            let mut tape = Tape::new();
            let (fields, _) = tape.read(&body);
            for (position, (tag, value)) in fields.iter().enumerate() {
                prop_assert!(tag > 0 && !value.is_empty());
                prop_assert!(fields.offset(position) < body.len());
            }
        }
    }
}
