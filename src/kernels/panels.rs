//! Panels of a layer as arrays, for code that reads them by index: plain layers, and item sums.

use super::generic::{Part, Tile};
use crate::spec::PANEL;

impl<'a> Part<'a> {
    /// A panel of `rows` rows; `None` for a part that is left out, and for one whose panels no memory could hold.
    #[inline(always)]
    pub(super) fn tile(&self, panel: usize, row: usize, rows: usize) -> Option<Tile<'a>> {
        let (stride, step) = (self.stride, self.stride.checked_mul(PANEL)?);
        let tile = Tile {
            bytes: self.bytes.get(row * stride..(row + rows) * stride)?,
            stride,
            weight: self.weight.get(panel * step..(panel + 1) * step)?,
        };
        (!self.scale.is_empty()).then_some(tile)
    }
}

#[inline(always)]
fn words<T: Copy + Default>(bytes: &[u8], panel: usize, from: fn([u8; 4]) -> T) -> [T; PANEL] {
    let mut values = [T::default(); PANEL];
    if let Some(bytes) = bytes.as_chunks::<{ 4 * PANEL }>().0.get(panel) {
        for (value, b) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *value = from(*b);
        }
    }
    values
}

#[inline(always)]
pub(super) fn floats(bytes: &[u8], panel: usize) -> [f32; PANEL] {
    words(bytes, panel, f32::from_le_bytes)
}

#[inline(always)]
pub(super) fn ints(bytes: &[u8], panel: usize) -> [i32; PANEL] {
    words(bytes, panel, i32::from_le_bytes)
}

/// See [`add_sums`](super::add_sums).
#[cfg(feature = "session")]
#[inline(always)]
pub(super) fn add_sums(start: &[f32], sums: &[u8], scale: &[u8], out: &mut [f32]) {
    let (start, sums) = (
        start.as_chunks::<PANEL>().0,
        sums.as_chunks::<{ 4 * PANEL }>().0,
    );
    let rows = out
        .as_chunks_mut::<PANEL>()
        .0
        .iter_mut()
        .zip(start)
        .zip(sums);
    for (panel, ((out, start), sums)) in rows.enumerate() {
        let (sums, scale) = (ints(sums, 0), floats(scale, panel));
        for (((out, start), sum), scale) in out.iter_mut().zip(start).zip(sums).zip(scale) {
            *out = *start + sum as f32 * scale;
        }
    }
}
