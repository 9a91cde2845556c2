//! One candidate of a request by itself, for what looks into a score.

use super::block::Buffers;
use super::inputs::Tally;
use super::{Model, Request, Scratch};
use crate::error::{Error, Result, Status};
use crate::spec::Side;

impl Model<'_> {
    /// Checks `request` and fills the first row of a block with the values of `candidate`. Which candidates the request scores
    /// and item sums that it brings do not matter.
    pub(super) fn fill_one<'b>(
        &self,
        request: &Request<'_>,
        candidate: usize,
        scratch: &'b mut Scratch<'_>,
    ) -> Result<Buffers<'b>> {
        let request = Request {
            only: None,
            item_sums: None,
            ..*request
        };
        let inputs = self.open_request(&request)?;
        if candidate >= request.num_candidates {
            return Err(Error::new(Status::CandidateCount));
        }
        let need = self.sizes.scratch_len(1);
        let mut b = Buffers::new(&self.sizes, scratch, 1).ok_or(Error::at(
            Status::BufferTooSmall,
            need.floats * 4 + need.bytes,
        ))?;
        for group in 0..self.sizes.groups {
            for side in Side::ALL {
                let to = b.input(&self.sizes, side, group);
                let index = if side == Side::User { 0 } else { candidate };
                inputs.fill(side, (index, 1), group, to, &mut Tally::default());
            }
        }
        #[cfg(feature = "attention")]
        {
            self.keys(&inputs, &mut b);
            self.attend(&inputs, &mut b, (candidate, 1));
        }
        Ok(b)
    }
}
