//! An order of scores that were made in parts.

use super::fuser::Fuser;
use super::inputs::Inputs;
use super::{Model, Output, Request, Scratch, dense};
use crate::error::{Error, Result, Status};
use crate::fusion;

impl Model<'_> {
    /// Fuses and orders candidates by their scores `[candidates, tasks]`, as [`rank`](Self::rank) does with its own: the last
    /// step of a request of which threads [`score`](Self::score) parts. Rows are those of all candidates, or of the first
    /// [`max_candidates`](Request::max_candidates). Columns of `request` are read only if a formula reads features; which
    /// candidates a thread was asked to score, and item sums, do not matter here. `scratch` is one of those.
    ///
    /// # Errors
    /// Those of [`rank`](Self::rank); [`Status::CandidateCount`] for another number of rows; [`Status::NotFinite`] for a score that
    /// is NaN or infinite, with its candidate; [`Status::FormulaScores`] for a formula that reads scores before calibration;
    /// [`Status::BufferTooSmall`] for an output that asks for scores.
    pub fn order(
        &self,
        request: &Request<'_>,
        scores: &[f32],
        scratch: &mut Scratch<'_>,
        output: &mut Output<'_>,
    ) -> Result<()> {
        let tasks = self.spec.tasks.len();
        if tasks == 0 {
            return Err(Error::new(Status::Stale));
        }
        let request = Request {
            only: None,
            item_sums: None,
            ..*request
        };
        let candidates = request.num_candidates;
        let inputs = Inputs::check(self, &request)?;
        if inputs.scored() * tasks != scores.len() {
            return Err(Error::new(Status::CandidateCount));
        }
        if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::candidate(Status::NotFinite, at / tasks));
        }
        let small = Error::at(Status::BufferTooSmall, candidates);
        let (fused, columns) = scratch
            .floats
            .split_at_mut_checked(candidates)
            .ok_or(small)?;
        let fuser = Fuser::new(inputs, columns.len())?;
        let terms = fuser.num_terms();
        if !output.fits(candidates, terms) || !output.scores.is_empty() {
            return Err(small);
        }
        #[cfg(feature = "formula")]
        if fuser.reads_raw_scores() {
            return Err(Error::new(Status::FormulaScores));
        }
        fused.fill(f32::NEG_INFINITY);
        output.terms.fill(0.0);
        for (candidate, (fused, scores)) in
            fused.iter_mut().zip(scores.chunks_exact(tasks)).enumerate()
        {
            #[cfg(feature = "formula")]
            if fuser.keep(candidate, (scores, &[]), columns) {
                continue;
            }
            let terms = dense::row_mut(output.terms, candidate, terms);
            *fused = fusion::fuse(&self.spec, request.weights, scores, terms);
        }
        #[cfg(feature = "formula")]
        fuser.fuse(columns, (fused, output.terms));
        output.put(fused);
        Ok(())
    }
}
