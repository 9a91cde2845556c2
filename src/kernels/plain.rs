//! Layers in plain Rust, with the products of any instruction set: where AVX2, AVX-512 and NEON have theirs by hand, what traces
//! and tests hold them against.

#[cfg(not(all(target_arch = "aarch64", target_endian = "little")))]
mod activations;

use super::generic::{Affine, ROWS, Start, Sums, Tile};
use super::panels::{floats, ints};
use crate::math::relu;
use crate::spec::PANEL;

#[cfg(all(
    feature = "session",
    not(all(target_arch = "aarch64", target_endian = "little"))
))]
pub(super) use super::panels::add_sums;
#[cfg(not(all(target_arch = "aarch64", target_endian = "little")))]
pub(super) use {
    super::generic::{dot, sigmoid, softmax_lanes},
    activations::{mix, quantize},
};

/// [`affine`](super::affine). `add_products` adds those of up to four rows; `see` gets the sums of each part, row and panel.
#[inline(always)]
pub(super) fn affine(
    layer: &Affine<'_>,
    out: &mut [f32],
    add_products: impl Fn(&Tile<'_>, &mut Sums),
    mut see: impl FnMut(usize, usize, usize, &[i32; PANEL]),
) {
    for panel in 0..layer.columns / PANEL {
        for row in (0..layer.rows.count).step_by(ROWS) {
            let rows = ROWS.min(layer.rows.count - row);
            let mut sums = [start_of(layer.start, panel); ROWS];
            let Some(sums) = sums.get_mut(..rows) else {
                return;
            };
            if let Start::Out = layer.start {
                for (m, sums) in sums.iter_mut().enumerate() {
                    *sums = panel_of(layer, out, panel, row + m);
                }
            }
            for (at, part) in layer.parts.iter().enumerate() {
                let Some(tile) = part.tile(panel, row, rows) else {
                    continue;
                };
                let mut acc = [ints(part.zero, panel); ROWS];
                add_products(&tile, &mut acc);
                for (m, acc) in acc.iter().enumerate().take(rows) {
                    see(at, row + m, panel, acc);
                }
                let row_scales = layer.rows.scales.get(row..row + rows);
                add(sums, &acc, &floats(part.scale, panel), row_scales);
            }
            store(layer, panel, row, sums, out);
        }
    }
}

/// What the sums of all rows start from.
#[inline(always)]
fn start_of(start: Start<'_>, panel: usize) -> [f32; PANEL] {
    match start {
        Start::Floats(x) => x.as_chunks().0.get(panel).copied().unwrap_or_default(),
        Start::Bytes(bytes) => floats(bytes, panel),
        Start::Out => [0.0; PANEL],
    }
}

/// A panel of a row of `out`.
#[inline(always)]
fn panel_of(layer: &Affine<'_>, out: &[f32], panel: usize, row: usize) -> [f32; PANEL] {
    let begin = row * layer.rows.stride + layer.column + panel * PANEL;
    let values = out.get(begin..).and_then(|out| out.first_chunk());
    values.copied().unwrap_or_default()
}

/// Adds the sums of rows x their scales.
#[inline(never)]
fn add(
    sums: &mut [[f32; PANEL]],
    acc: &[[i32; PANEL]],
    scale: &[f32; PANEL],
    row_scales: Option<&[f32]>,
) {
    for (m, (sums, acc)) in sums.iter_mut().zip(acc).enumerate() {
        let row_scale = row_scales.and_then(|s| s.get(m)).copied().unwrap_or(1.0);
        for ((sum, acc), scale) in sums.iter_mut().zip(acc).zip(scale) {
            *sum += *acc as f32 * (*scale * row_scale);
        }
    }
}

/// Writes a panel of rows from `row` on.
#[inline(never)]
fn store(layer: &Affine<'_>, panel: usize, row: usize, sums: &[[f32; PANEL]], out: &mut [f32]) {
    for (m, sums) in sums.iter().enumerate() {
        let begin = (row + m) * layer.rows.stride + layer.column + panel * PANEL;
        if let Some(out) = out.get_mut(begin..begin + PANEL) {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = if layer.relu { relu(*sum) } else { *sum };
            }
        }
    }
}
