//! An embedding in the file becomes input bytes: a copy, or four bits a value made wide.
//!
//! A half of a packed byte, n = 0..=15, is the activation byte 8 n. With n itself a pooled list would have the 16 values of
//! one row, where the sum of many knows more; and the first layer's weights on packed inputs would be eight times those on
//! whole bytes, so that one scale for both would leave the latter four bits.

/// A row's bytes for one group, borrowed from the file.
#[derive(Clone, Copy, Debug)]
pub struct Embedding<'a> {
    /// Its bytes; half as many as values if packed.
    pub bytes: &'a [u8],
    /// Whether two values share a byte, that of the even dimension low.
    pub is_packed: bool,
}

impl<'a> Embedding<'a> {
    /// One of whole bytes.
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            is_packed: false,
        }
    }

    /// Writes its activation bytes, as many as `to` has.
    #[inline(always)]
    pub fn write(self, to: &mut [u8]) {
        if self.is_packed {
            widen(self.bytes, to);
        } else {
            copy(self.bytes, to);
        }
    }
}

/// The two activations of a packed byte, that of the even dimension first.
#[inline]
pub(super) fn halves(pair: u8) -> [u8; 2] {
    [(pair & 15) << 3, (pair >> 4) << 3]
}

/// Packed values to activation bytes, eight at once.
#[inline(never)]
fn widen(packed: &[u8], to: &mut [u8]) {
    let (eights, tail) = to.as_chunks_mut::<8>();
    let rest = packed.get(eights.len() * 4..).unwrap_or_default();
    for (to, packed) in eights.iter_mut().zip(packed.as_chunks::<4>().0) {
        // Halves move apart from 8 in 4 bytes to one in each of 8.
        let mut wide = u64::from(u32::from_le_bytes(*packed));
        wide = (wide | wide << 16) & 0x0000_FFFF_0000_FFFF;
        wide = (wide | wide << 8) & 0x00FF_00FF_00FF_00FF;
        wide = (wide | wide << 4) & 0x0F0F_0F0F_0F0F_0F0F;
        *to = (wide << 3).to_le_bytes();
    }
    for (d, to) in tail.iter_mut().enumerate() {
        let pair = rest.get(d / 2).copied().unwrap_or_default();
        let [low, high] = halves(pair);
        *to = if d % 2 == 0 { low } else { high };
    }
}

/// Copies an embedding: most are of 16 bytes, which are two instructions.
#[inline(always)]
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    match (from.as_array::<16>(), to.as_mut_array()) {
        (Some(from), Some(to)) => *to = *from,
        _ => copy_any(from, to),
    }
}

/// As many bytes as there are of both, by 16; `memcpy` would take longer to find out how many.
#[inline(never)]
fn copy_any(from: &[u8], to: &mut [u8]) {
    let len = from.len().min(to.len());
    let (from, to) = (from.get(..len), to.get_mut(..len));
    let (chunks, rest) = from.unwrap_or_default().as_chunks::<16>();
    let (to_chunks, to_rest) = to.unwrap_or_default().as_chunks_mut();
    for (to, from) in to_chunks.iter_mut().zip(chunks) {
        *to = *from;
    }
    for (to, from) in to_rest.iter_mut().zip(rest) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Pool;
    use crate::spec::Pooling;
    use std::prelude::v1::*;

    /// Rows of every length, and the bytes that they stand for by the rule.
    fn rows() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        (1..=256usize).map(|dim| {
            let halves: Vec<u8> = (0..dim)
                .map(|d| (d * 7 + dim * 5 + d / 16) as u8 % 16)
                .collect();
            let pair = |pair: &[u8]| pair[0] | pair.get(1).map_or(0, |high| high << 4);
            let packed = halves.chunks(2).map(pair).collect();
            (packed, halves.iter().map(|n| n * 8).collect())
        })
    }

    #[test]
    fn whole_bytes_are_copied_whatever_their_number() {
        let from: Vec<u8> = (1..=255).collect();
        for dim in 0..=200 {
            // One side may be longer.
            for (have, room) in [(dim, dim), (dim, dim + 40), (dim + 40, dim)] {
                let mut to = vec![0; room];
                Embedding::whole(&from[..have]).write(&mut to);
                assert_eq!(to[..dim], from[..dim], "{have} {room}");
                assert!(to[dim..].iter().all(|b| *b == 0), "{have} {room}");
            }
        }
    }

    #[test]
    fn a_packed_value_is_eight_times_its_half_byte() {
        for (packed, want) in rows() {
            let row = Embedding {
                bytes: &packed,
                is_packed: true,
            };
            let mut got = vec![255; want.len()];
            row.write(&mut got);
            assert_eq!(got, want);
        }
    }

    #[test]
    fn packed_rows_are_pooled_as_their_activation_bytes_are() {
        for (packed, wide) in rows() {
            let pool = |of: &dyn Fn(usize) -> Embedding<'static>| {
                let mut pool = Pool::new(Pooling::Mean, 1);
                (0..3).for_each(|i| pool.add(of(i), [None, Some(900), Some(32768)][i]));
                let mut row = vec![0; wide.len()];
                pool.finish(&vec![64; wide.len()], &mut row);
                row
            };
            let (packed, wide) = (packed.clone().leak(), wide.clone().leak());
            let zeros: &'static [u8] = &[0; 256];
            let of = |bytes: &'static [u8], is_packed| {
                move |i: usize| match i {
                    1 => Embedding {
                        bytes: &zeros[..bytes.len()],
                        is_packed,
                    },
                    _ => Embedding { bytes, is_packed },
                }
            };
            assert_eq!(pool(&of(packed, true)), pool(&of(wide, false)));
        }
    }
}
