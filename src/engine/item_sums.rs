//! What the first layer makes of a candidate's item side, computed once and kept by the app.
//!
//! A slot is a header and one i32 for each output of the first layer, all little-endian, in the order of the outputs and so
//! the same on every instruction set:
//!
//! | bytes | type | meaning |
//! |---|---|---|
//! | 0..4 | | `PKIS` |
//! | 4..8 | u32 | [`ITEM_SUMS_VERSION`] |
//! | 8..16 | u64 | digest of the model |
//! | 16..24 | u64 | how many sums follow |
//! | 24..32 | u64 | XXH3-64 of the sums |
//! | 32.. | i32 | the sums, with their zero bias |
//!
//! Integer sums, not what becomes of them: whatever their bytes, no score can be NaN or infinite.

use xxhash_rust::xxh3::xxh3_64;

use super::block::Buffers;
use super::{BLOCK, Model, Request, Scratch, Summary};
use crate::error::{Error, Result, Status};
use crate::spec::{PANEL, Side};

/// Version of the layout of a slot.
pub const ITEM_SUMS_VERSION: u32 = 1;

/// Bytes before the sums.
pub(super) const HEADER_BYTES: usize = 32;

fn header(digest: u64, sums: &[u8]) -> [u8; HEADER_BYTES] {
    let magic = u64::from(u32::from_le_bytes(*b"PKIS")) | u64::from(ITEM_SUMS_VERSION) << 32;
    let fields = [magic, digest, sums.len() as u64 / 4, xxh3_64(sums)];
    let mut header = [0; HEADER_BYTES];
    for (to, field) in header.as_chunks_mut().0.iter_mut().zip(fields) {
        *to = field.to_le_bytes();
    }
    header
}

/// Whether a slot is one that [`Model::item_sums`] made for this model.
pub(super) fn is_sound(model: &Model<'_>, slot: &[u8]) -> bool {
    let parts = slot.split_first_chunk::<HEADER_BYTES>();
    parts.is_some_and(|(given, sums)| *given == header(model.digest, sums))
}

impl Model<'_> {
    /// Bytes of an item's kept sums: a header of 32 and 4 for each output of the first layer; 0 for a model without item
    /// features.
    pub fn item_sums_bytes(&self) -> usize {
        match self.sizes.stride(Side::Item) {
            0 => 0,
            _ => HEADER_BYTES + 4 * self.sizes.first,
        }
    }

    /// Computes the item sums of `request`'s candidates (of [`Request::only`], if it is there), to be kept and passed back as
    /// [`ItemSums`](super::ItemSums): `out` has [`item_sums_bytes`](Self::item_sums_bytes) for each. They depend on the model
    /// and the columns of item features alone.
    ///
    /// # Errors
    /// As [`rank`](Self::rank); [`Status::BufferTooSmall`] unless `out` has exactly that length; [`Status::BadOption`] for a
    /// model without item features and for a request that brings item sums. `out` is written only on success.
    pub fn item_sums(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        out: &mut [u8],
    ) -> Result<Summary> {
        let (inputs, mut b) = self.begin(request, scratch)?;
        let (len, rows) = (self.item_sums_bytes(), inputs.scored());
        if len == 0 || request.item_sums.is_some() {
            return Err(Error::new(Status::BadOption));
        }
        if out.len() != rows * len {
            return Err(Error::at(Status::BufferTooSmall, rows * len));
        }
        let mut tally = self.first_look(&inputs, &mut b, &[Side::Item])?;
        for (block, slots) in out.chunks_mut((BLOCK * len).max(1)).enumerate() {
            let range = (block * BLOCK, slots.len() / len);
            self.fill_rows(&inputs, &mut b, &[Side::Item], range, &mut tally);
            self.write_sums(&b, slots, len);
        }
        tally.summary.scored = rows as u32;
        Ok(tally.summary)
    }

    /// Slots of the candidates whose item bytes stand in `b`.
    fn write_sums(&self, b: &Buffers<'_>, slots: &mut [u8], len: usize) {
        let s = &self.sizes;
        for group in 0..s.groups {
            self.item_layer(b, group, slots.len() / len, &mut |row, panel, sums| {
                let at = row * len + HEADER_BYTES + 4 * (group * s.group + panel * PANEL);
                let to = slots.get_mut(at..at + 4 * PANEL).unwrap_or_default();
                for (to, sum) in to.as_chunks_mut().0.iter_mut().zip(sums) {
                    *to = sum.to_le_bytes();
                }
            });
        }
        for slot in slots.chunks_exact_mut(len.max(1)) {
            if let Some((to, sums)) = slot.split_first_chunk_mut::<HEADER_BYTES>() {
                *to = header(self.digest, sums);
            }
        }
    }
}
