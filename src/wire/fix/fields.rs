//! The fields of a message, found in one pass and kept on a tape of fixed length.
//!
//! A party writes its messages to one pattern: the field at a place of a message mostly has the tag that stood there in the
//! message before. The tape remembers the text of the tag at each place and compares it whole, `=` included, with one
//! instruction; only where another tag stands are its digits read. Two patterns are kept, so that acknowledgements and fills
//! that take turns are both known. What is remembered changes the time and nothing else.

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

/// A field, and by what its like is known at this place of the next message.
#[derive(Clone, Copy, Debug)]
struct Field {
    /// The text of the tag up to and including `=`, in the highest bytes, and how far it was shifted there.
    text: u64,
    tag: u32,
    start: u16,
    end: u16,
    shift: u32,
    /// Bytes of the text.
    len: u32,
}

impl Field {
    /// No text is like this.
    const NOTHING: Self = Self { text: 1, tag: 0, start: 0, end: 0, shift: 32, len: 4 };

    /// A tag, and the eight bytes from its first digit on: it has at most seven.
    fn new(tag: u32, word: u64) -> Self {
        let len = tag.ilog10() + 2;
        let shift = 64 - 8 * len;
        Self { text: word << shift, tag, shift, len, ..Self::NOTHING }
    }

    #[inline]
    fn value<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        body.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    /// Whether the field in `start..end` has this tag; if so it is noted.
    #[inline]
    fn is_next(&mut self, body: &[u8], start: u32, end: u32) -> bool {
        let value = start + self.len;
        let is_like = word_at(body, start) << self.shift == self.text && value < end;
        if is_like {
            (self.start, self.end) = (value as u16, end as u16);
        }
        is_like
    }
}

/// How far a message is read.
struct Course<'a> {
    body: &'a [u8],
    /// Where the block begins, and what is left of its separators.
    base: usize,
    separators: u64,
    /// Where the next field begins.
    start: u32,
}

impl<'a> Course<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self { body, base: 0, separators: separators_from(body, 0), start: 0 }
    }

    /// Where the next field ends.
    #[inline]
    fn end(&self) -> u32 {
        self.base as u32 | self.separators.trailing_zeros()
    }

    #[inline]
    fn pass(&mut self, end: u32) {
        self.separators &= self.separators.wrapping_sub(1);
        self.start = end + 1;
    }

    /// Goes on at a place behind the next field's begin.
    fn pass_over(&mut self, until: usize) {
        self.base = until - until % LANES;
        self.separators = separators_from(self.body, self.base) & (u64::MAX << (until % LANES));
    }

    /// Notes the fields from the `place`th on, up to one whose tag is another than it was at that place, and returns
    /// which one that is. No separator is left when the body is read whole.
    #[inline]
    fn follow(&mut self, fields: &mut [Field; FIELDS_MAX], mut place: usize) -> usize {
        loop {
            while self.separators != 0 {
                let Some(field) = fields.get_mut(place) else { return place };
                let end = self.end();
                if !field.is_next(self.body, self.start, end) {
                    return place;
                }
                self.pass(end);
                place += 1;
            }
            if self.base + LANES >= self.body.len() {
                return place;
            }
            self.base += LANES;
            self.separators = separators_from(self.body, self.base);
        }
    }
}

/// Room for the fields of one message, and of one before that was not like it: 192 KiB, of which short messages touch few.
#[derive(Debug)]
pub struct Tape {
    pattern: Box<Pattern>,
    other: Box<Pattern>,
}

/// The fields of a message, and where they stand.
#[derive(Debug)]
struct Pattern {
    fields: Box<[Field; FIELDS_MAX]>,
    places: Places,
    /// How many fields the places are those of.
    placed: usize,
}

/// By the lowest byte of a tag, where the last field of such a tag stands. What a message before left here names a place
/// where no such tag stands.
type Places = [u16; 256];

impl Pattern {
    fn new() -> Self {
        // Never on the stack.
        let fields = vec![Field::NOTHING; FIELDS_MAX].try_into().expect("as many as asked for");
        Self { fields, places: [0; 256], placed: 0 }
    }

    /// Takes over the first fields of another; the places hold if the tags are the same.
    fn begin_as(&mut self, fields: &[Field]) {
        let mut is_same = true;
        for (own, field) in self.fields.iter_mut().zip(fields) {
            is_same &= own.tag == field.tag;
            *own = *field;
        }
        self.placed = if is_same { self.placed } else { 0 };
    }

    #[cold]
    fn place(&mut self, len: usize) {
        for (place, field) in self.fields[..len].iter().enumerate() {
            self.places[usize::from(field.tag as u8)] = place as u16;
        }
        self.placed = len;
    }
}

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self { pattern: Box::new(Pattern::new()), other: Box::new(Pattern::new()) }
    }

    /// Reads the fields of a message's body, which ends with a separator. The first fault ends the reading; what was
    /// read before it is returned with it.
    #[inline]
    pub fn read<'a>(&'a mut self, body: &'a [u8]) -> (Fields<'a>, Option<Fault>) {
        let mut course = Course::new(body);
        let mut len = course.follow(&mut self.pattern.fields, 0);
        let mut fault = None;
        if course.separators != 0 {
            (len, fault) = self.read_other(&mut course, len);
        }
        if len != self.pattern.placed {
            self.pattern.place(len);
        }
        let Pattern { fields, places, .. } = &*self.pattern;
        (Fields { all: Entries { fields: &fields[..len], body }, places }, fault)
    }

    /// Goes on where a message is not like the last one: from there it may be like the other.
    #[cold]
    #[inline(never)]
    fn read_other(&mut self, course: &mut Course<'_>, mut len: usize) -> (usize, Option<Fault>) {
        self.other.begin_as(&self.pattern.fields[..len]);
        std::mem::swap(&mut self.pattern, &mut self.other);
        let Pattern { fields, placed, .. } = &mut *self.pattern;
        loop {
            len = course.follow(fields, len);
            if course.separators == 0 {
                return (len, None);
            }
            *placed = 0;
            let Some(field) = fields.get_mut(len) else {
                return (len, Some(Fault { tag: 0, reason: RejectReason::Other }));
            };
            let end = course.end();
            if let Err(fault) = other_tag(course.body, course.start, end as usize, field) {
                return (len, Some(fault));
            }
            course.pass(end);
            if is_length_of_data(field.tag)
                && let Some(until) = data_end(course.body, field)
            {
                course.pass_over(until);
            }
            len += 1;
        }
    }
}

/// The eight bytes from `start` on; behind the end of the body they are zero.
#[inline]
fn word_at(body: &[u8], start: u32) -> u64 {
    let start = start as usize;
    if let Some(Ok(word)) = body.get(start..start + 8).map(<[u8; 8]>::try_from) {
        return u64::from_le_bytes(word);
    }
    match (body.last_chunk(), (start + 8).checked_sub(body.len())) {
        (Some(last), Some(behind)) => u64::from_le_bytes(*last).checked_shr(8 * behind as u32).unwrap_or_default(),
        _ => short_word(body.get(start..).unwrap_or_default()),
    }
}

#[cold]
#[inline(never)]
fn short_word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The field in `start..end`, whose tag is remembered unless it announces data; written without leading zeros.
#[cold]
#[inline(never)]
fn other_tag(body: &[u8], start: u32, end: usize, field: &mut Field) -> Result<(), Fault> {
    let text = &body[start as usize..end];
    let mut tag = 0u32;
    for (at, byte) in text.iter().enumerate().take(TAG_DIGITS_MAX + 1) {
        match byte {
            b'0'..=b'9' if at < TAG_DIGITS_MAX => tag = tag * 10 + u32::from(byte - b'0'),
            b'=' if tag > 0 && text[0] != b'0' => {
                if at + 1 == text.len() {
                    return Err(Fault { tag, reason: RejectReason::NoValue });
                }
                *field = if is_length_of_data(tag) {
                    Field { tag, ..Field::NOTHING }
                } else {
                    Field::new(tag, word_at(body, start))
                };
                (field.start, field.end) = ((start as usize + at + 1) as u16, end as u16);
                return Ok(());
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
fn data_end(body: &[u8], field: &Field) -> Option<usize> {
    let end = usize::from(field.end);
    let length = super::number(&body[usize::from(field.start)..end]).and_then(|length| usize::try_from(length).ok());
    let data = &body[end + 1..];
    let value = data.iter().take(TAG_DIGITS_MAX + 1).position(|byte| *byte == b'=').map(|at| end + 1 + at + 1);
    match (length, value) {
        (Some(length), Some(value)) if length < body.len() - value => Some(value + length),
        _ => None,
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
        fields.iter().map(move |field| (field.tag, field.value(body)))
    }

    /// Takes the first one off, if its tag is as asked for.
    #[inline]
    pub(super) fn next_if(&mut self, is_asked: impl FnOnce(u32) -> bool) -> Option<(u32, &'a [u8])> {
        let (field, rest) = self.fields.split_first()?;
        is_asked(field.tag).then(|| {
            self.fields = rest;
            (field.tag, field.value(self.body))
        })
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
        Some(fields.get(self.position(tag)?)?.value(body))
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
