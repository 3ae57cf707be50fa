//! `UTCTimestamp`: `20261122-19:00:00.123`.

use crate::units::Nanos;

/// Characters of a time as it is written.
pub const TIME_BYTES: usize = 21;
/// Up to the second.
const SECOND_BYTES: usize = 17;

/// Writes times. The date is worked out once a second, the milliseconds every time.
#[derive(Clone, Debug)]
pub struct TimeWriter {
    second: u64,
    text: [u8; TIME_BYTES],
}

impl Default for TimeWriter {
    fn default() -> Self {
        Self { second: 0, text: *b"19700101-00:00:00.000" }
    }
}

impl TimeWriter {
    /// The time as text, to the millisecond below.
    #[inline]
    pub fn write(&mut self, time: Nanos) -> &[u8; TIME_BYTES] {
        let (second, millis) = (time.0 / Nanos::PER_SECOND, time.0 % Nanos::PER_SECOND / Nanos::PER_MILLI);
        if second != self.second {
            self.turn(second);
        }
        digits(&mut self.text[SECOND_BYTES + 1..], millis);
        &self.text
    }

    #[cold]
    fn turn(&mut self, second: u64) {
        self.second = second;
        let timestamp = i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
        let time = jiff::tz::Offset::UTC.to_datetime(timestamp.unwrap_or_default());
        for (place, value) in [
            (0..4, i64::from(time.year())),
            (4..6, i64::from(time.month())),
            (6..8, i64::from(time.day())),
            (9..11, i64::from(time.hour())),
            (12..14, i64::from(time.minute())),
            (15..17, i64::from(time.second())),
        ] {
            digits(&mut self.text[place], value.unsigned_abs());
        }
    }
}

/// Fills `place` with the lowest digits of `value`.
#[inline]
pub(super) fn digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Reads times. Those of the second read last cost a comparison.
#[derive(Clone, Debug, Default)]
pub struct TimeReader {
    text: [u8; SECOND_BYTES],
    second: Nanos,
}

impl TimeReader {
    /// A time to the second, or with a fraction of up to nine digits; `None` when it is none. What lies beyond the last
    /// nanosecond that can be told (in 2554) is that one.
    #[inline]
    pub fn read(&mut self, text: &[u8]) -> Option<Nanos> {
        let (second, fraction) = text.split_at_checked(SECOND_BYTES)?;
        if second != self.text {
            self.second = parse(second)?;
            self.text.copy_from_slice(second);
        }
        let nanos = match fraction {
            [] => 0,
            [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
                super::number(digits)? * 10u64.pow(9 - digits.len() as u32)
            }
            _ => return None,
        };
        Some(Nanos(self.second.0.saturating_add(nanos)))
    }
}

#[cold]
fn parse(text: &[u8]) -> Option<Nanos> {
    let part = |place: std::ops::Range<usize>| super::number(&text[place]).and_then(|value| i8::try_from(value).ok());
    if text[8] != b'-' || text[11] != b':' || text[14] != b':' {
        return None;
    }
    let year = super::number(&text[..4]).and_then(|year| i16::try_from(year).ok())?;
    // A leap second is told as the last one before it.
    let second = part(15..17).filter(|second| *second <= 60)?.min(59);
    let time =
        jiff::civil::DateTime::new(year, part(4..6)?, part(6..8)?, part(9..11)?, part(12..14)?, second, 0).ok()?;
    let timestamp = jiff::tz::Offset::UTC.to_timestamp(time).ok()?;
    u64::try_from(timestamp.as_second()).ok().map(|second| Nanos(second.saturating_mul(Nanos::PER_SECOND)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_time_is_written_as_the_standard_says() {
        let mut writer = TimeWriter::default();
        assert_eq!(writer.write(Nanos(0)), b"19700101-00:00:00.000");
        assert_eq!(writer.write(Nanos(1_795_374_000_123_999_999)), b"20261122-19:00:00.123");
        assert_eq!(writer.write(Nanos(1_795_374_000_124_000_000)), b"20261122-19:00:00.124");
    }

    #[test]
    fn a_time_that_is_none_is_refused() {
        let mut reader = TimeReader::default();
        for text in [
            "",
            "20261122",
            "20261122 19:00:00",
            "20261322-19:00:00",
            "20261122-24:00:00",
            "20261122-19:00:61",
            "20261122-19:00:00.",
            "20261122-19:00:00.1234567890",
            "20261122-19:00:00,123",
            "2026112--19:00:00",
            "19691231-23:59:59",
        ] {
            assert_eq!(reader.read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(reader.read(b"99991229-23:59:59.999"), Some(Nanos(u64::MAX)));
        assert_eq!(reader.read(b"20161231-23:59:60"), reader.read(b"20161231-23:59:59"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0u64..4_102_444_800_000) {
            let time = Nanos::from_millis(millis);
            let mut reader = TimeReader::default();
            prop_assert_eq!(reader.read(TimeWriter::default().write(time)), Some(time));
            prop_assert_eq!(reader.read(TimeWriter::default().write(time)), Some(time));
        }

        #[test]
        fn arbitrary_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = TimeReader::default().read(&text);
        }
    }
}
