//! A hash by which two copies of a packet are compared: bytes in, 32 bits out.

const CHUNK: usize = 32;

/// Odd constants with half of their bits set.
const ODD: [u64; 4] = [0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB, 0xD6E8_FEB8_6659_FD93];

/// Two lanes, each folded with two words at a time by a product of 128 bits whose halves are joined (Wang Yi, wyhash): two
/// multiplications for 32 bytes, and neither lane waits for the other. The tail is read as the last 32 bytes, some of them
/// for the second time.
#[inline]
pub fn hash(bytes: &[u8]) -> u32 {
    let mut lanes = [ODD[0] ^ bytes.len() as u64, ODD[1]];
    let (chunks, rest) = bytes.as_chunks::<CHUNK>();
    chunks.iter().for_each(|chunk| add(&mut lanes, chunk));
    match bytes.last_chunk::<CHUNK>() {
        Some(last) if !rest.is_empty() => add(&mut lanes, last),
        Some(_) => {}
        None => {
            let mut padded = [0; CHUNK];
            padded[..rest.len()].copy_from_slice(rest);
            add(&mut lanes, &padded);
        }
    }
    let folded = lanes[0] ^ lanes[1];
    (folded ^ (folded >> 32)) as u32
}

#[inline]
fn add(lanes: &mut [u64; 2], chunk: &[u8; CHUNK]) {
    let (words, _) = chunk.as_chunks::<8>();
    let word = |at: usize| u64::from_le_bytes(words[at]);
    *lanes = [product(lanes[0] ^ word(0), word(1) ^ ODD[2]), product(lanes[1] ^ word(2), word(3) ^ ODD[3])];
}

/// The upper half of the product and the lower, joined.
#[inline]
fn product(a: u64, b: u64) -> u64 {
    let whole = u128::from(a) * u128::from(b);
    whole as u64 ^ (whole >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte of packets of many lengths, changed in each of its bits and to its complement.
    #[test]
    fn any_change_of_one_byte_changes_the_hash() {
        for length in [1_usize, 7, 8, 31, 32, 33, 63, 64, 100, 150, 257] {
            let mut bytes: Vec<u8> = (0..length).map(|n| (n * 131 + length) as u8).collect();
            let before = hash(&bytes);
            for at in 0..length {
                for flip in (0..8).map(|bit| 1 << bit).chain([0xFF]) {
                    bytes[at] ^= flip;
                    assert_ne!(hash(&bytes), before, "byte {at} of {length}");
                    bytes[at] ^= flip;
                }
            }
        }
    }

    #[test]
    fn words_that_change_places_change_the_hash() {
        let mut bytes: Vec<u8> = (0..128).collect();
        let before = hash(&bytes);
        for (a, b) in [(0, 8), (0, 32), (8, 72), (96, 120)] {
            for byte in 0..8 {
                bytes.swap(a + byte, b + byte);
            }
            assert_ne!(hash(&bytes), before, "words at {a} and {b}");
            for byte in 0..8 {
                bytes.swap(a + byte, b + byte);
            }
        }
    }
}
