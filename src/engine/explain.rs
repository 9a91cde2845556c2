//! Why a candidate has its scores: how its tasks mix the experts.
//!
//! The other answers are outputs of [`Model::rank`]: task scores, terms of the fusion, and, by
//! [`Request::without`](super::Request::without), exact differences without some features.

use super::{Model, Request, Scratch};
use crate::error::{Error, Result, Status};

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
        self.shares_of_one(&mut b, &mut |task, weights| {
            let to = out.chunks_mut(experts.max(1)).nth(task);
            for (to, [weight, ..]) in to.unwrap_or_default().iter_mut().zip(weights) {
                *to = *weight / 32_768.0;
            }
        });
        Ok(())
    }
}
