//! A hash by which two copies of a packet are compared: bytes in, 32 bits out.

const CHUNK: usize = 32;

/// Odd multipliers, one a lane.
const ODD: [u64; 4] = [0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB, 0xD6E8_FEB8_6659_FD93];

/// Four lanes of running sums and sums of sums (Fletcher 1982) over 64-bit words, folded: cheap because a lane waits for
/// no multiplication and for no other lane. The tail is read as the last 32 bytes, some of them for the second time.
#[inline]
pub fn hash(bytes: &[u8]) -> u32 {
    let mut lanes = Lanes { sums: [bytes.len() as u64; 4], orders: [0; 4] };
    let (chunks, rest) = bytes.as_chunks::<CHUNK>();
    chunks.iter().for_each(|chunk| lanes.add(chunk));
    match bytes.last_chunk::<CHUNK>() {
        Some(last) if !rest.is_empty() => lanes.add(last),
        Some(_) => {}
        None => {
            let mut padded = [0; CHUNK];
            padded[..rest.len()].copy_from_slice(rest);
            lanes.add(&padded);
        }
    }
    lanes.fold()
}

struct Lanes {
    sums: [u64; 4],
    orders: [u64; 4],
}

impl Lanes {
    #[inline]
    fn add(&mut self, chunk: &[u8; CHUNK]) {
        let (words, _) = chunk.as_chunks::<8>();
        for ((sum, order), word) in self.sums.iter_mut().zip(&mut self.orders).zip(words) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*word));
            *order = order.wrapping_add(*sum);
        }
    }

    /// Each lane is mixed before it meets the others: a difference in a lane's highest byte alone would else stay in one
    /// byte, where sums and sums of sums can cancel.
    #[inline]
    fn fold(&self) -> u32 {
        let mut folded = 0_u64;
        for lane in 0..4 {
            let sum = self.sums[lane].wrapping_mul(ODD[lane]);
            let order = self.orders[lane].wrapping_mul(ODD[3 - lane]);
            folded = folded.wrapping_add((sum ^ (sum >> 29)).wrapping_mul(ODD[(lane + 1) % 4]));
            folded ^= (order ^ (order >> 31)).wrapping_mul(ODD[(lane + 2) % 4]);
        }
        (folded ^ (folded >> 32)) as u32
    }
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
