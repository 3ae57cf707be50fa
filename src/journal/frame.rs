//! A frame: the unit that is whole or absent.
//!
//! ```text
//!  0        4        8                 16                length
//!  +--------+--------+-----------------+-----------------+ - - - - +
//!  | crc32c | length | sequence        | record          | padding |
//!  +--------+--------+-----------------+-----------------+ - - - - +
//!           └───────────── what the checksum covers ─────┘
//! ```
//!
//! Little-endian. `length` counts from the checksum to the end of the record. Frames begin at multiples of eight bytes; the
//! padding is zero, or the frame is none. `sequence` counts frames from 0 through all segments of a run, so that a lost, doubled or misplaced
//! piece shows even where every checksum holds. Sixteen zero bytes are no frame, because the checksum of nothing is not
//! zero: a preallocated segment ends by itself.

use crate::canary::canary;

/// Bytes before the record.
pub const HEADER_BYTES: usize = 16;
/// Longest frame.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Frames begin at multiples of this.
pub const ALIGNMENT: usize = 8;

/// What stands at a place in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A whole frame.
    Frame {
        /// Its number.
        sequence: u64,
        /// What it holds.
        record: &'a [u8],
        /// Bytes to the next frame.
        stride: usize,
    },
    /// Nothing, to the end of the segment.
    Nothing,
    /// Bytes that are no frame.
    Damage,
}

/// Appends a frame around the record that `put` appends.
pub fn encode(out: &mut Vec<u8>, sequence: u64, put: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&sequence.to_le_bytes());
    put(out);
    let length = (out.len() - start) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32c::crc32c(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    out.resize(start + (out.len() - start).next_multiple_of(ALIGNMENT), 0);
}

/// What stands at the front of `bytes`, which reach to the end of the segment.
pub fn decode(bytes: &[u8]) -> Found<'_> {
    match whole(bytes) {
        Some((sequence, record, stride)) => Found::Frame { sequence, record, stride },
        None if bytes.iter().all(|byte| *byte == 0) => Found::Nothing,
        None => Found::Damage,
    }
}

/// Whether a whole frame with a number above `sequence` stands anywhere behind the front of `bytes`: what tells damage in
/// the middle from an end that was torn. A number that so many bytes have no frames for is not looked into.
pub fn follows(bytes: &[u8], sequence: u64) -> bool {
    let last = sequence.saturating_add((bytes.len() / HEADER_BYTES) as u64);
    let plausible = |at: &usize| {
        let number = bytes.get(at + 8..).and_then(|rest| rest.first_chunk()).map(|number| u64::from_le_bytes(*number));
        number.is_some_and(|number| sequence < number && number <= last)
    };
    (ALIGNMENT..bytes.len()).step_by(ALIGNMENT).filter(plausible).any(|at| whole(&bytes[at..]).is_some())
}

fn whole(bytes: &[u8]) -> Option<(u64, &[u8], usize)> {
    let (checksum, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if !(HEADER_BYTES..=FRAME_BYTES_MAX).contains(&length) || length > bytes.len() {
        return None;
    }
    if crc32c::crc32c(&bytes[4..length]) != u32::from_le_bytes(*checksum) && !canary!(BlindToChecksum) {
        return None;
    }
    let sequence = rest.first_chunk::<8>()?;
    let stride = length.next_multiple_of(ALIGNMENT).min(bytes.len());
    if bytes[length..stride].iter().any(|padding| *padding != 0) {
        return None;
    }
    Some((u64::from_le_bytes(*sequence), &bytes[HEADER_BYTES..length], stride))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(sequence: u64, record: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, sequence, |out| out.extend_from_slice(record));
        bytes
    }

    #[test]
    fn zeros_are_the_end_and_anything_else_is_damage() {
        assert_eq!(decode(&[]), Found::Nothing);
        assert_eq!(decode(&[0; 64]), Found::Nothing);
        let mut bytes = [0; 64];
        bytes[63] = 1;
        assert_eq!(decode(&bytes), Found::Damage);
    }

    #[test]
    fn what_stands_behind_damage_is_found_wherever_it_begins() {
        let mut bytes = framed(7, b"damaged");
        bytes[17] ^= 1;
        assert!(!follows(&bytes, 6));
        bytes.extend(framed(8, b"whole"));
        assert!(follows(&bytes, 6));
        assert!(!follows(&bytes, 8), "an older frame is a rest of something else");
    }

    proptest! {
        #[test]
        fn a_frame_comes_back_and_no_bit_of_it_may_differ(
            record in prop::collection::vec(any::<u8>(), 0..200), sequence: u64, flip: prop::sample::Index,
        ) {
            let bytes = framed(sequence, &record);
            prop_assert_eq!(bytes.len() % ALIGNMENT, 0);
            prop_assert_eq!(decode(&bytes), Found::Frame { sequence, record: &record, stride: bytes.len() });
            let bit = flip.index(bytes.len() * 8);
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(decode(&flipped), Found::Damage);
        }

        #[test]
        fn a_frame_cut_short_is_damage(record in prop::collection::vec(1u8.., 1..100), cut: prop::sample::Index) {
            let bytes = framed(3, &record);
            let kept = 1 + cut.index(HEADER_BYTES + record.len() - 1);
            // A checksum may begin with zeros, which are nothing.
            let found = matches!(decode(&bytes[..kept]), Found::Frame { .. });
            prop_assert!(!found);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (decode(&bytes), follows(&bytes, 0));
        }
    }
}
