//! Plain Rust kernels, on every CPU. What they return is the specification of the others.

use super::generic::{Sums, Tile};
use crate::spec::{GROUP, PANEL};

/// `sums[m][j] += Σ bytes[m][4 g + i] x weight[g][j][i]`.
pub(super) fn add_products(tile: &Tile<'_>, sums: &mut Sums) {
    let rows = tile.bytes.chunks_exact(tile.stride.max(1));
    for (sums, row) in sums.iter_mut().zip(rows) {
        add_row(row, tile.weight, sums);
    }
}

/// One row's.
fn add_row(row: &[u8], weight: &[u8], sums: &mut [i32; PANEL]) {
    let weights = weight.as_chunks::<{ PANEL * GROUP }>().0;
    for (x, w) in row.as_chunks::<GROUP>().0.iter().zip(weights) {
        let x = x.map(i32::from);
        for (sum, w) in sums.iter_mut().zip(w.as_chunks::<GROUP>().0) {
            // Four products of at most 127 x 127 in magnitude: no order of adding can overflow.
            let w = w.map(|w| i32::from(w as i8));
            *sum = sum.wrapping_add(x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3]);
        }
    }
}
