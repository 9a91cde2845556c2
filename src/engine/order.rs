//! An order of scores that were made in parts.

use super::inputs::check_weights;
use super::{Model, Output, Scratch};
use crate::error::{Error, Result, Status};
use crate::fusion;
use crate::spec::limits;

impl Model<'_> {
    /// Fuses and orders candidates by their scores `[candidates, tasks]`, as [`rank`](Self::rank) does with its own: the last
    /// step of a request of which threads [`score`](Self::score) parts. `weights` as in
    /// [`Request::weights`](super::Request::weights); `scratch` is one of those.
    ///
    /// # Errors
    /// [`Status::Stale`] for a model that is not open; [`Status::CandidateCount`] for scores that are not whole rows of 1 to
    /// [`limits::CANDIDATES`] candidates; [`Status::NotFinite`] for a score that is NaN or infinite, with its candidate;
    /// [`Status::UnknownTask`], [`Status::BadWeight`]; [`Status::BufferTooSmall`] for scratch and outputs, and for an output
    /// that asks for scores.
    pub fn order(
        &self,
        scores: &[f32],
        weights: Option<&[f32]>,
        scratch: &mut Scratch<'_>,
        output: &mut Output<'_>,
    ) -> Result<()> {
        let tasks = self.spec.tasks.len();
        if tasks == 0 {
            return Err(Error::new(Status::Stale));
        }
        let candidates = scores.len() / tasks;
        if candidates * tasks != scores.len() || !(1..=limits::CANDIDATES).contains(&candidates) {
            return Err(Error::new(Status::CandidateCount));
        }
        check_weights(&self.spec, weights)?;
        if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::candidate(Status::NotFinite, at / tasks));
        }
        let small = Error::at(Status::BufferTooSmall, candidates);
        let fused = scratch.floats.get_mut(..candidates).ok_or(small)?;
        if !output.fits(candidates) || !output.scores.is_empty() {
            return Err(small);
        }
        for (fused, scores) in fused.iter_mut().zip(scores.chunks_exact(tasks)) {
            *fused = fusion::fuse(&self.spec, weights, scores);
        }
        output.put(fused);
        Ok(())
    }
}
