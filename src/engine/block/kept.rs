//! First layer of a block in which item sums were kept.

use super::super::Model;
use super::super::dense::{row, row_mut};
use super::super::inputs::Kept;
use super::{Buffers, See};
use crate::kernels::{self, Start};
use crate::spec::{PANEL, Side};

impl Model<'_> {
    /// First layer's sums of `rows` rows, some of which have kept item sums.
    ///
    /// The item side comes first in either way of adding, so what it leaves is what the other sides start from.
    pub(super) fn first_with_kept(
        &self,
        b: &mut Buffers<'_>,
        (rows, kept): (usize, &Kept<'_>),
        see: &mut impl See,
    ) {
        let s = &self.sizes;
        let base = |group: usize| Start::Floats(row(b.base, group, s.group));
        for (r, kept) in kept.iter().enumerate().take(rows) {
            let out = row_mut(b.sums, r, s.first);
            match kept {
                Some(kept) => {
                    for group in 0..s.groups {
                        let scale = self.part(&b.inputs, group, Side::Item, 0).scale;
                        kernels::add_sums(
                            self.isa,
                            row(b.base, group, s.group),
                            row(kept, group, 4 * s.group),
                            scale,
                            row_mut(out, group, s.group),
                        );
                    }
                }
                None => self.first(&[Side::Item], (&b.inputs, r, 1), &base, out, see),
            }
        }
        let sides = [Side::Candidate, Side::Cross];
        self.first(&sides, (&b.inputs, 0, rows), &|_| Start::Out, b.sums, see);
    }

    /// A group's sums over the item side of `rows` rows, by row and panel.
    pub(in super::super) fn item_layer(
        &self,
        b: &Buffers<'_>,
        group: usize,
        rows: usize,
        see: &mut dyn FnMut(usize, usize, &[i32; PANEL]),
    ) {
        let part = self.part(&b.inputs, group, Side::Item, 0);
        let panels = self.sizes.group / PANEL;
        kernels::sums(self.isa, &part, (rows, panels), see);
    }
}
