//! What must hold of the bytes of a tensor before anything reads them.

use super::{Dtype, GROUP, PANEL};
use crate::error::Status;

impl Dtype {
    /// Whether the bytes of a tensor are in range: activations at most 127, weights not -128, numbers that cannot
    /// lead to a subnormal, infinity or NaN.
    pub(crate) fn check(self, data: &[u8]) -> Result<(), Status> {
        let ok = match self {
            Dtype::U7 => no_word(data, |word| word & HIGH_BITS),
            // Zero bytes of t: a borrow reaches the high bit of a byte whose high bit is not set.
            Dtype::I8 | Dtype::I8Panel => no_word(data, |word| {
                let t = word ^ HIGH_BITS;
                t.wrapping_sub(HIGH_BITS >> 7) & !t & HIGH_BITS
            }),
            Dtype::F32 => return Ok(()),
            Dtype::I32 => numbers(data).all(|b| i32::from_le_bytes(b).unsigned_abs() <= 1 << 30),
            Dtype::Bucket | Dtype::U4 => true,
        };
        if ok {
            Ok(())
        } else {
            Err(if self == Dtype::I32 {
                Status::BadScale
            } else {
                Status::ByteOutOfRange
            })
        }
    }
}

/// The high bit of each byte.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether `fault` finds nothing in any eight bytes. A file is megabytes, bad bytes are never expected, and at the SDK's level a loop
/// over bytes takes six instructions for each.
fn no_word(data: &[u8], fault: impl Fn(u64) -> u64) -> bool {
    let (words, rest) = data.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, b)| *to = *b);
    let faults = words
        .iter()
        .fold(fault(u64::from_le_bytes(last)), |all, w| {
            all | fault(u64::from_le_bytes(*w))
        });
    faults == 0
}

/// The half that a packed row of odd length has too many is 0: a model has one encoding.
pub(crate) fn packed_ends_are_zero(data: &[u8], cols: usize) -> bool {
    let rows = data.chunks_exact(cols.div_ceil(2).max(1));
    cols.is_multiple_of(2) || rows.filter_map(|row| row.last()).all(|last| *last < 16)
}

/// Weights past the edges of `[rows, cols]` in whole panels are 0: a model has one encoding.
pub(crate) fn panel_edges_are_zero(data: &[u8], rows: usize, cols: usize) -> bool {
    let (full_rows, full_cols) = (rows / PANEL, cols / GROUP);
    let (rows, cols) = (rows % PANEL, cols % GROUP);
    let groups = full_cols + usize::from(cols > 0);
    let panels = data.chunks_exact((groups * PANEL * GROUP).max(1));
    let zeros = |bytes: &[u8]| bytes.iter().all(|b| *b == 0);
    panels.enumerate().all(|(p, panel)| {
        let mut blocks = panel.chunks_exact(PANEL * GROUP).enumerate();
        blocks.all(|(g, block)| {
            let (past_rows, past_cols) = (p == full_rows, g == full_cols);
            let rows_hold = !past_rows || zeros(block.get(rows * GROUP..).unwrap_or_default());
            let mut outputs = block.chunks_exact(GROUP);
            let cols_hold = !past_cols || outputs.all(|w| zeros(w.get(cols..).unwrap_or_default()));
            rows_hold && cols_hold
        })
    })
}

/// Scales are 0 or within `[2^-40, 2^10]`.
pub(crate) fn scales_are_valid(data: &[u8]) -> bool {
    const LEAST: f32 = 1.0 / (1u64 << 40) as f32;
    numbers(data)
        .map(f32::from_le_bytes)
        .all(|s| s == 0.0 || (LEAST..=1024.0).contains(&s))
}

/// Biases are finite and at most 2^20 in magnitude; a subnormal one is refused.
pub(crate) fn biases_are_valid(data: &[u8]) -> bool {
    const MOST: f32 = (1 << 20) as f32;
    numbers(data)
        .map(f32::from_le_bytes)
        .all(|b| b == 0.0 || (b.is_normal() && (-MOST..=MOST).contains(&b)))
}

/// Weights of what tasks feed each other are 0 or within `[2^-40, 2^20]` in magnitude: with values of at least 2^-44 no
/// product is subnormal.
pub(crate) fn fed_weights_are_valid(data: &[u8]) -> bool {
    const LEAST: f32 = 1.0 / (1u64 << 40) as f32;
    const MOST: f32 = (1 << 20) as f32;
    let mut all = numbers(data).map(f32::from_le_bytes);
    all.all(|w| w == 0.0 || (LEAST..=MOST).contains(&if w < 0.0 { -w } else { w }))
}

/// Knots of a calibration: logits within [-100, 100], each at least 2^-20 above the one before, then as many
/// probabilities within [2^-40, 1] that never fall.
pub(crate) fn knots_are_valid(data: &[u8]) -> bool {
    const LEAST: f32 = 1.0 / (1u64 << 40) as f32;
    const GAP: f32 = 1.0 / (1 << 20) as f32;
    let rise = |data: &[u8], low: f32, high: f32, gap: f32| {
        let mut least = low;
        numbers(data).map(f32::from_le_bytes).all(|x| {
            let ok = x >= least && x <= high && (x == 0.0 || x.is_normal());
            least = x + gap;
            ok
        })
    };
    let (logits, probabilities) = data.split_at_checked(data.len() / 2).unwrap_or_default();
    rise(logits, -100.0, 100.0, GAP) && rise(probabilities, LEAST, 1.0, 0.0)
}

/// Steps are 0 or within [2^-40, 2^30]: no product with a probability is subnormal, and no sum infinite.
pub(crate) fn steps_are_valid(data: &[u8]) -> bool {
    const LEAST: f32 = 1.0 / (1u64 << 40) as f32;
    const MOST: f32 = (1 << 30) as f32;
    let mut all = numbers(data).map(f32::from_le_bytes);
    all.all(|s| s == 0.0 || (LEAST..=MOST).contains(&s))
}

/// Rows of `cols` knots never fall.
#[cfg(feature = "quantile")]
pub(crate) fn rows_never_fall(data: &[u8], cols: usize) -> bool {
    let (mut last, mut left) = (0.0, 0);
    numbers(data).map(f32::from_le_bytes).all(|x| {
        if left == 0 {
            (last, left) = (0.0, cols);
        }
        let ok = x >= last;
        (last, left) = (x, left.wrapping_sub(1));
        ok
    })
}

/// Boundaries are finite and strictly increasing; a subnormal one is refused, since hosts may take it for 0.
pub(crate) fn boundaries_are_valid(data: &[u8]) -> bool {
    let mut last = f32::NEG_INFINITY;
    numbers(data).map(f32::from_le_bytes).all(|b| {
        let ok = b > last && (b == 0.0 || b.is_normal());
        last = b;
        ok
    })
}

fn numbers(data: &[u8]) -> impl Iterator<Item = [u8; 4]> + '_ {
    data.as_chunks::<4>().0.iter().copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::prelude::v1::*;

    #[test]
    fn a_byte_out_of_range_is_found_wherever_it_is() {
        for len in 0..20 {
            for (dtype, good, bad) in [
                (Dtype::U7, [0, 1, 127], vec![128, 129, 255]),
                (Dtype::I8, [0, 127, 129], vec![128]),
                (Dtype::I8Panel, [255, 1, 129], vec![128]),
            ] {
                let data: Vec<u8> = good.into_iter().cycle().take(len).collect();
                assert_eq!(dtype.check(&data), Ok(()), "{dtype:?} {data:?}");
                for at in 0..len {
                    for bad in &bad {
                        let mut data = data.clone();
                        data[at] = *bad;
                        assert_eq!(dtype.check(&data), Err(Status::ByteOutOfRange), "{data:?}");
                    }
                }
            }
        }
        let all = |from: u8, to: u8| (from..=to).collect::<Vec<_>>();
        assert_eq!(Dtype::U7.check(&all(0, 127)), Ok(()));
        assert_eq!(
            Dtype::I8.check(&[all(0, 127), all(129, 255)].concat()),
            Ok(())
        );
    }

    #[test]
    fn the_last_half_of_a_packed_row_of_odd_length_must_be_zero() {
        assert!(packed_ends_are_zero(&[0xF1, 0x0F, 0xFF, 0x03], 3));
        assert!(!packed_ends_are_zero(&[0xF1, 0x1F, 0xFF, 0x03], 3));
        assert!(!packed_ends_are_zero(&[0xF1, 0x0F, 0xFF, 0x10], 3));
        assert!(packed_ends_are_zero(&[0xF1, 0xFF], 2) && packed_ends_are_zero(&[], 1));
        assert_eq!(Dtype::U4.bytes(5, 3), Some(10));
        assert_eq!(Dtype::U4.bytes(5, 4), Some(10));
    }

    #[test]
    fn every_weight_past_the_edges_of_panels_must_be_zero() {
        for (rows, cols) in [(1, 1), (16, 4), (17, 5), (15, 8), (33, 3), (3, 0)] {
            let mut data = vec![0; Dtype::I8Panel.bytes(rows, cols).unwrap()];
            let groups = cols.div_ceil(GROUP);
            for at in 0..data.len() {
                let (block, within) = (at / 64, at % 64);
                let output = block / groups * PANEL + within / GROUP;
                let input = block % groups * GROUP + within % GROUP;
                data[at] = 1;
                let inside = output < rows && input < cols;
                assert_eq!(panel_edges_are_zero(&data, rows, cols), inside);
                data[at] = 0;
            }
        }
    }

    #[test]
    fn a_subnormal_boundary_is_refused() {
        let valid = |b: &[f32]| {
            let bytes: Vec<u8> = b.iter().flat_map(|b| b.to_le_bytes()).collect();
            boundaries_are_valid(&bytes)
        };
        assert!(valid(&[]) && valid(&[-1.0, 0.0, 1e-30, 2.0]));
        assert!(!valid(&[1e-40]) && !valid(&[1.0, 1.0]) && !valid(&[f32::NAN]));
        assert!(!valid(&[-0.0, 0.0]) && !valid(&[f32::INFINITY]));
    }
}
