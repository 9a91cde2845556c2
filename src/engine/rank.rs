//! A request from its columns to scores, fused scores and an order.

use super::block::{BLOCK, Buffers, See, Stage};
use super::dense;
use super::fuser::Fuser;
use super::inputs::{Inputs, Tally};
use super::{Model, Output, ROW_SIDES, Request, Scratch, Summary};
use crate::error::{Error, Result, Status};
use crate::fusion::{self, TaskSet};
use crate::spec::Side;

/// Sees the position, scores and logits of each candidate.
type Done<'d> = &'d mut dyn FnMut(usize, &[f32], &[f32]);

impl<'a> Model<'a> {
    /// Task scores `[candidates, tasks]` of `request`, without an order: [`rank`](Self::rank) with nothing else to write. With
    /// [`Request::only`], rows of those candidates alone, in their order: threads may each take a part of a request and
    /// [`order`](Self::order) what they have scored.
    ///
    /// # Errors
    /// Those of [`rank`](Self::rank), and [`Status::BufferTooSmall`] unless `scores` has exactly that length.
    pub fn score(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        scores: &mut [f32],
    ) -> Result<Summary> {
        let (inputs, mut b) = self.begin(request, scratch)?;
        let tasks = self.spec.tasks.len();
        let rows = request.only.map_or(request.num_candidates, <[u32]>::len);
        if scores.len() != rows * tasks {
            return Err(Error::at(Status::BufferTooSmall, rows * tasks));
        }
        let mut tally = self.first_look(&inputs, &mut b, &ROW_SIDES)?;
        scores.fill(0.0);
        let all = TaskSet::MAX;
        self.each(
            &inputs,
            &mut b,
            all,
            &mut tally,
            &mut (),
            &mut |position, from, _| {
                copy_row(from, scores, position);
            },
        );
        Ok(tally.summary)
    }

    /// Scores and orders the candidates of `request`.
    ///
    /// If no scores are asked for, the towers and gates of tasks that the order doesn't depend on are left out: those whose
    /// terms have weight 0 and that feed no other. The order and the fused scores are the same bits.
    ///
    /// # Errors
    /// Statuses 5xx and 6xx for the request, [`Status::BufferTooSmall`] for scratch and outputs, [`Status::Stale`] for
    /// a model that is not open. Outputs are written only on success.
    pub fn rank(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        output: &mut Output<'_>,
    ) -> Result<Summary> {
        let (inputs, mut b) = self.begin(request, scratch)?;
        let (candidates, tasks) = (request.num_candidates, self.spec.tasks.len());
        let fuser = Fuser::new(inputs, b.columns_len())?;
        let terms = fuser.num_terms();
        if !output.fits(candidates, terms)
            || !matches!(output.scores.len(), len if len == 0 || len == candidates * tasks)
        {
            return Err(Error::at(Status::BufferTooSmall, candidates));
        }
        let mut tally = self.first_look(&inputs, &mut b, &ROW_SIDES)?;
        let live = if output.scores.is_empty() {
            fuser.live()
        } else {
            TaskSet::MAX
        };
        let fused = core::mem::take(&mut b.fused);
        fused.fill(f32::NEG_INFINITY);
        output.scores.fill(0.0);
        output.terms.fill(0.0);
        #[cfg(feature = "formula")]
        let columns = core::mem::take(&mut b.columns);
        self.each(
            &inputs,
            &mut b,
            live,
            &mut tally,
            &mut (),
            &mut |position, from, logits| {
                let candidate = inputs.candidate(position);
                copy_row(from, output.scores, candidate);
                #[cfg(feature = "formula")]
                if fuser.keep(position, (from, logits), columns) {
                    return;
                }
                let _ = logits;
                if let Some(to) = fused.get_mut(candidate) {
                    let terms = dense::row_mut(output.terms, candidate, terms);
                    *to = fusion::fuse(&self.spec, request.weights, from, terms);
                }
            },
        );
        #[cfg(feature = "formula")]
        fuser.fuse(columns, (fused, output.terms));
        output.put(fused);
        Ok(tally.summary)
    }

    /// What every request begins with.
    pub(super) fn begin<'r, 'b>(
        &'r self,
        request: &'r Request<'r>,
        scratch: &'b mut Scratch<'_>,
    ) -> Result<(Inputs<'r, 'r, 'a>, Buffers<'b>)> {
        let inputs = self.open_request(request)?;
        let need = self.scratch_len(request.num_candidates);
        let b = Buffers::new(&self.sizes, scratch, request.num_candidates).ok_or(Error::at(
            Status::BufferTooSmall,
            need.floats * 4 + need.bytes,
        ))?;
        Ok((inputs, b))
    }

    pub(super) fn open_request<'r>(
        &'r self,
        request: &'r Request<'r>,
    ) -> Result<Inputs<'r, 'r, 'a>> {
        match self.spec.tasks.is_empty() {
            true => Err(Error::new(Status::Stale)),
            false => Inputs::check(self, request),
        }
    }

    /// Fills the user's side; a strict request is read whole, so that nothing is written before the last value is known to
    /// be good.
    pub(super) fn first_look(
        &self,
        inputs: &Inputs<'_, '_, '_>,
        b: &mut Buffers<'_>,
        sides: &[Side],
    ) -> Result<Tally> {
        let mut tally = Tally::default();
        self.fill(inputs, b, Side::User, (0, 0, 1), &mut tally);
        if inputs.strict() {
            let mut tally = Tally {
                refused: tally.refused,
                ..Tally::default()
            };
            for position in 0..inputs.scored() {
                self.fill_rows(inputs, b, sides, (position, 1), &mut tally);
            }
            if let Some(error) = tally.refused {
                return Err(error);
            }
        }
        Ok(tally)
    }

    /// Scores by position, a block at a time.
    pub(super) fn each(
        &self,
        inputs: &Inputs<'_, '_, '_>,
        b: &mut Buffers<'_>,
        live: TaskSet,
        tally: &mut Tally,
        see: &mut impl See,
        done: Done<'_>,
    ) {
        self.user_sums(b, see);
        #[cfg(feature = "attention")]
        self.keys(inputs, b);
        see.done(Stage::User);
        let scored = inputs.scored();
        for start in (0..scored).step_by(BLOCK) {
            let rows = BLOCK.min(scored - start);
            self.fill_rows(inputs, b, &ROW_SIDES, (start, rows), tally);
            #[cfg(feature = "attention")]
            self.attend(inputs, b, (start, rows));
            see.done(Stage::Inputs);
            let kept = inputs.kept(start, rows);
            self.score_block(b, (rows, &kept), live, see, |r, scores, logits| {
                #[cfg(feature = "quantile")]
                self.invert(inputs, inputs.candidate(start + r), live, scores);
                done(start + r, scores, logits);
            });
        }
        tally.summary.scored = scored as u32;
    }

    /// Fills rows of a block on some sides; the item side of those alone whose sums were not kept.
    pub(super) fn fill_rows(
        &self,
        inputs: &Inputs<'_, '_, '_>,
        b: &mut Buffers<'_>,
        sides: &[Side],
        (position, rows): (usize, usize),
        tally: &mut Tally,
    ) {
        for side in sides {
            #[cfg(feature = "session")]
            if *side == Side::Item && inputs.has_kept() {
                for (row, kept) in inputs.kept(position, rows).iter().enumerate().take(rows) {
                    if kept.is_none() {
                        self.fill(inputs, b, *side, (position + row, row, 1), tally);
                    }
                }
                continue;
            }
            self.fill(inputs, b, *side, (position, 0, rows), tally);
        }
    }

    /// Fills rows of a side with the values of `(first position, first row, count)`, for every group. The first one counts.
    fn fill(
        &self,
        inputs: &Inputs<'_, '_, '_>,
        b: &mut Buffers<'_>,
        side: Side,
        (position, row, rows): (usize, usize, usize),
        tally: &mut Tally,
    ) {
        for group in 0..self.sizes.groups {
            let (bytes, stride) = b.input(&self.sizes, side, group);
            let to = bytes.get_mut(row * stride..).unwrap_or_default();
            let mut others = Tally::default();
            let tally = if group == 0 { &mut *tally } else { &mut others };
            inputs.fill(side, (position, rows), group, (to, stride), tally);
        }
    }
}

/// Copies a row of scores to its place among others.
fn copy_row(from: &[f32], to: &mut [f32], row: usize) {
    for (to, from) in dense::row_mut(to, row, from.len()).iter_mut().zip(from) {
        *to = *from;
    }
}
