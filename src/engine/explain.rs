//! Why a candidate has its scores: how its tasks mix the experts.
//!
//! The other answers are outputs of [`Model::rank`]: task scores, terms of the fusion, and, by
//! [`Request::without`](super::Request::without), exact differences without some features.

use super::block::See;
use super::inputs::Kept;
use super::{Model, Request, Scratch};
use crate::error::{Error, Result, Status};
use crate::fusion::TaskSet;
use crate::kernels::{self, Affine, Isa};
use crate::spec::Layer;

/// Keeps gates as shares.
struct Gates<'o> {
    out: &'o mut [f32],
    experts: usize,
}

impl See for Gates<'_> {
    fn affine(&mut self, isa: Isa, layer: &Affine<'_>, _: &[Layer], out: &mut [f32]) {
        kernels::affine(isa, layer, out);
    }

    fn head(&mut self, _: usize, _: usize, _: i32) {}

    fn gate(&mut self, task: usize, _row: usize, weights: &[u16]) {
        let to = self.out.chunks_mut(self.experts.max(1)).nth(task);
        for (to, weight) in to.unwrap_or_default().iter_mut().zip(weights) {
            *to = f32::from(*weight) / 32_768.0;
        }
    }
}

impl Model<'_> {
    /// Shares of the experts in every task's mixture for one candidate, `[tasks, experts]`; each row adds up to 1.
    ///
    /// # Errors
    /// As [`rank`](Self::rank); [`Status::CandidateCount`] for a `candidate` that the request does not have;
    /// [`Status::BufferTooSmall`] unless `out` has exactly that length.
    pub fn gates(
        &self,
        request: &Request<'_>,
        candidate: usize,
        scratch: &mut Scratch<'_>,
        out: &mut [f32],
    ) -> Result<()> {
        let mut b = self.fill_one(request, candidate, scratch)?;
        let experts = self.sizes.experts;
        let need = self.spec.tasks.len() * experts;
        if out.len() != need {
            return Err(Error::at(Status::BufferTooSmall, need));
        }
        self.user_sums(&mut b, &mut ());
        let see = &mut Gates { out, experts };
        let all = (1, &Kept::default());
        self.score_block(&mut b, all, TaskSet::MAX, see, |_, _, _| {});
        Ok(())
    }
}
