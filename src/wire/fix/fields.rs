//! The fields of a message, found in one pass and kept on a tape of fixed length.
//!
//! Separators are found many bytes at a time, so that the place of a field does not wait for the one before it.

use super::frame::SOH;
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

/// Room for the fields of one message: 32 KiB, of which few are touched by a short one.
#[derive(Debug)]
pub struct Tape {
    fields: Box<[Field]>,
}

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self { fields: vec![Field::default(); FIELDS_MAX].into_boxed_slice() }
    }

    /// Reads the fields of a message's body, which ends with a separator. The first fault ends the reading; what was
    /// read before it is returned with it.
    #[inline]
    pub fn read<'a>(&'a mut self, body: &'a [u8]) -> (Fields<'a>, Option<Fault>) {
        let (mut len, mut start, mut fault) = (0, 0, None);
        let mut data_until = 0;
        let mut separators = Separators::new(body);
        while let Some(end) = separators.next() {
            if end < data_until {
                continue;
            }
            let (tag, value) = match short_field(body, start, end) {
                Some(found) => found,
                None => match field(body, start, end) {
                    Ok(tag) => (tag, start + digits(tag) + 1),
                    Err(bad) => {
                        fault = Some(bad);
                        break;
                    }
                },
            };
            let Some(slot) = self.fields.get_mut(len) else {
                fault = Some(Fault { tag: 0, reason: RejectReason::Other });
                break;
            };
            *slot = Field { tag, start: value as u16, end: end as u16 };
            len += 1;
            if is_length_of_data(tag) {
                data_until = data_end(body, value, end);
            }
            start = end + 1;
        }
        (Fields { fields: &self.fields[..len], body }, fault)
    }
}

/// Tag and start of the value of the field in `start..end`, for tags of one to four digits; `None` for others, for a field
/// at the very end, and for one at fault.
#[inline]
fn short_field(body: &[u8], start: usize, end: usize) -> Option<(u32, usize)> {
    let [a, b, c, d, e] = *body.get(start..)?.first_chunk::<5>()?;
    let digit = |byte: u8| u32::from(byte.wrapping_sub(b'0'));
    let (tag, bad, digits) = if c == b'=' {
        (digit(a) * 10 + digit(b), digit(b) > 9, 2)
    } else if d == b'=' {
        (digit(a) * 100 + digit(b) * 10 + digit(c), digit(b) > 9 || digit(c) > 9, 3)
    } else if e == b'=' {
        let low = digit(b) * 100 + digit(c) * 10 + digit(d);
        (digit(a) * 1_000 + low, digit(b) > 9 || digit(c) > 9 || digit(d) > 9, 4)
    } else if b == b'=' {
        (digit(a), false, 1)
    } else {
        return None;
    };
    let value = start + digits + 1;
    // The first digit is 1 to 9.
    let sound = digit(a).wrapping_sub(1) < 9 && !bad && value < end;
    sound.then_some((tag, value))
}

/// The tag of the field in `start..end`, written without leading zeros.
#[inline]
fn field(body: &[u8], start: usize, end: usize) -> Result<u32, Fault> {
    let text = &body[start..end];
    let mut tag = 0u32;
    for (at, byte) in text.iter().enumerate().take(TAG_DIGITS_MAX + 1) {
        match byte {
            b'0'..=b'9' if at < TAG_DIGITS_MAX => tag = tag * 10 + u32::from(byte - b'0'),
            b'=' if tag > 0 && text[0] != b'0' => {
                return if at + 1 < text.len() { Ok(tag) } else { Err(Fault { tag, reason: RejectReason::NoValue }) };
            }
            _ => break,
        }
    }
    Err(Fault { tag: 0, reason: RejectReason::InvalidTagNumber })
}

#[inline]
fn digits(tag: u32) -> usize {
    match tag {
        0..=9 => 1,
        10..=99 => 2,
        100..=999 => 3,
        1_000..=9_999 => 4,
        10_000..=99_999 => 5,
        100_000..=999_999 => 6,
        _ => 7,
    }
}

/// Fields that announce the length of the data field behind them, which may hold separators.
#[inline]
fn is_length_of_data(tag: u32) -> bool {
    (90..=364).contains(&tag)
        && matches!(tag, 90 | 93 | tag::RAW_DATA_LENGTH | 212 | 348 | 350 | 352 | 354 | 356 | 358 | 360 | 362 | 364)
}

/// Where the data field behind a length field ends; nowhere when the length makes no sense.
#[cold]
fn data_end(body: &[u8], value: usize, end: usize) -> usize {
    let length = super::number(&body[value..end]).and_then(|length| usize::try_from(length).ok());
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
    fields: &'a [Field],
    body: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Tags and values in wire order.
    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &'a [u8])> + Clone + use<'a> {
        let (fields, body) = (self.fields, self.body);
        fields.iter().map(move |field| (field.tag, &body[usize::from(field.start)..usize::from(field.end)]))
    }

    /// The first value under a tag.
    #[inline]
    pub fn find(&self, tag: u32) -> Option<&'a [u8]> {
        let field = self.fields.iter().find(|field| field.tag == tag)?;
        Some(&self.body[usize::from(field.start)..usize::from(field.end)])
    }

    /// The fields from the one at `position` on.
    #[inline]
    pub fn skip(&self, position: usize) -> Self {
        Self { fields: self.fields.get(position..).unwrap_or_default(), body: self.body }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The bytes that the fields lie in.
    pub fn bytes(&self) -> &'a [u8] {
        self.body
    }

    /// Where in [`bytes`](Self::bytes) the field at `position` begins.
    pub fn offset(&self, position: usize) -> usize {
        match position.checked_sub(1) {
            Some(before) => self.fields.get(before).map_or(self.body.len(), |field| usize::from(field.end) + 1),
            None => 0,
        }
    }
}

/// The lowest bit, and the highest, of every byte.
const LOWEST: u64 = 0x0101_0101_0101_0101;
const HIGHEST: u64 = 0x8080_8080_8080_8080;

/// The number whose decimal digits are these bytes, lowest byte first; `None` when one is above nine.
#[inline]
pub(super) fn digits_value(digits: u64) -> Option<u64> {
    if (digits.wrapping_add(LOWEST * 0x76) | digits) & HIGHEST != 0 {
        return None;
    }
    // Neighbours are joined to pairs, pairs to fours, fours to the whole (Lemire, 2022).
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xFFFF_FFFF)
}

/// Where the separators are, found 64 bytes at a time.
struct Separators<'a> {
    bytes: &'a [u8],
    /// Bit a separator of the 64 bytes from `base` on, less those already told.
    mask: u64,
    base: usize,
}

const LANES: usize = 64;

impl<'a> Separators<'a> {
    #[inline]
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, mask: mask_of(bytes), base: 0 }
    }

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            self.base += LANES;
            self.mask = mask_of(self.bytes.get(self.base..).filter(|rest| !rest.is_empty())?);
        }
        let at = self.base + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(at)
    }
}

/// Bit a separator among the first 64 bytes.
#[inline]
fn mask_of(bytes: &[u8]) -> u64 {
    if let Some(block) = bytes.first_chunk::<LANES>() {
        return mask_of_block(block);
    }
    let mut block = [0; LANES];
    block[..bytes.len()].copy_from_slice(bytes);
    mask_of_block(&block)
}

/// Eight bytes are compared at once.
#[inline]
fn mask_of_block(block: &[u8; LANES]) -> u64 {
    const LOW: u64 = !HIGHEST;
    let mut mask = 0;
    let (words, _) = block.as_chunks::<8>();
    for (lane, word) in words.iter().enumerate() {
        // The high bit of each byte that is a separator, exactly (Warren, Hacker's Delight, 6-1).
        let differs = u64::from_le_bytes(*word) ^ u64::from_le_bytes([SOH; 8]);
        let zero = !(((differs & LOW) + LOW) | differs | LOW);
        // Gathers the eight high bits into the top byte.
        mask |= ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (lane * 8);
    }
    mask
}

#[cfg(test)]
mod tests {
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
        assert_eq!(fields.skip(3).iter().collect::<Vec<_>>(), [(58, &b"a=b"[..])]);
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
