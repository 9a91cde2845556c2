//! A feed while it is shown: what the user does changes the order of what is still to come.

use super::{ItemSums, Model, Output, Request, Scratch, Summary};
use crate::error::{Error, Result, Status};
use crate::features::Event;

/// Memory of a [`Session`], owned by the caller.
#[derive(Debug)]
pub struct SessionMemory<'s> {
    /// [`Model::state_bytes`].
    pub state: &'s mut [u8],
    /// [`Model::item_sums_bytes`] for each candidate.
    pub item_sums: &'s mut [u8],
    /// One for each candidate.
    pub left: &'s mut [u32],
}

/// The candidates of one feed: the user's state, their item sums, and which of them are still to be shown.
///
/// What the user does goes into the state at once ([`feedback`](Self::feedback)), and [`rerank`](Self::rerank) orders what is
/// left by it, with the item sums made in the beginning. It gives the bits that a fresh request about the same candidates with
/// the same state gives.
#[derive(Debug)]
pub struct Session<'s> {
    pub(crate) memory: SessionMemory<'s>,
    /// Digest of the model.
    pub(crate) digest: u64,
    pub(crate) num_candidates: usize,
    pub(crate) num_left: usize,
}

impl<'s> Session<'s> {
    /// Begins with all candidates of `request`, of which the item columns and the state are read.
    ///
    /// # Errors
    /// As [`Model::rank`]; [`Status::BufferTooSmall`] unless `memory` has exactly what it says; [`Status::BadOption`] for a
    /// request with [`only`](Request::only) or item sums.
    pub fn begin(
        model: &Model<'_>,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        memory: SessionMemory<'s>,
    ) -> Result<(Self, Summary)> {
        let candidates = request.num_candidates;
        if request.only.is_some() || request.item_sums.is_some() {
            return Err(Error::new(Status::BadOption));
        }
        let needs = [
            (memory.state.len(), model.state_bytes()),
            (
                memory.item_sums.len(),
                candidates.saturating_mul(model.item_sums_bytes()),
            ),
            (memory.left.len(), candidates),
        ];
        for (has, need) in needs {
            if has != need {
                return Err(Error::at(Status::BufferTooSmall, need));
            }
        }
        let request = Request {
            max_candidates: 0,
            ..*request
        };
        let summary = match memory.item_sums.len() {
            0 => model.open_request(&request).map(|_| Summary::default())?,
            _ => model.item_sums(&request, scratch, memory.item_sums)?,
        };
        match request
            .state
            .and_then(|state| state.get(..memory.state.len()))
        {
            Some(state) => memory.state.copy_from_slice(state),
            None => model.state_reset(memory.state)?,
        }
        for (candidate, left) in memory.left.iter_mut().enumerate() {
            *left = candidate as u32;
        }
        let session = Self {
            digest: model.digest(),
            memory,
            num_candidates: candidates,
            num_left: candidates,
        };
        Ok((session, summary))
    }

    /// The user's state by now, to be kept when the feed ends.
    pub fn state(&self) -> &[u8] {
        self.memory.state
    }

    /// Candidates still to be shown, by increasing index.
    pub fn left(&self) -> &[u32] {
        self.memory.left.get(..self.num_left).unwrap_or_default()
    }

    /// Adds one label of one impression to the state: in a time that does not depend on the number of candidates, of events
    /// before, or on the size of any table.
    ///
    /// # Errors
    /// As [`Model::state_apply`]; the state is then unchanged. [`Status::StaleSums`] for another model.
    pub fn feedback(&mut self, model: &Model<'_>, event: &Event<'_>) -> Result<()> {
        self.check(model)?;
        model.state_apply(self.memory.state, event)
    }

    /// Takes `candidate` out of those still to be shown.
    ///
    /// # Errors
    /// [`Status::BadIndex`] if it is none of them.
    pub fn shown(&mut self, candidate: u32) -> Result<()> {
        let unknown = Error::candidate(Status::BadIndex, candidate as usize);
        let at = self.left().binary_search(&candidate).map_err(|_| unknown)?;
        for at in at..self.num_left {
            let next = self.left().get(at + 1).copied().unwrap_or_default();
            if let Some(left) = self.memory.left.get_mut(at) {
                *left = next;
            }
        }
        self.num_left -= 1;
        Ok(())
    }

    /// Orders what is left by the state as it is by now. `request` is that of the beginning with today's columns of candidates
    /// and time; columns of item features are read only where others, or groups of quantiles, are made of them. In `output`
    /// indices are those of the beginning; what was shown has no score and comes last.
    ///
    /// # Errors
    /// As [`Model::rank`]; [`Status::StaleSums`] for another model, [`Status::CandidateCount`] for another number of
    /// candidates, [`Status::BadOption`] for a request with a state, [`only`](Request::only) or item sums.
    pub fn rerank(
        &self,
        model: &Model<'_>,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        output: &mut Output<'_>,
    ) -> Result<Summary> {
        self.check(model)?;
        if request.num_candidates != self.num_candidates {
            return Err(Error::at(Status::CandidateCount, self.num_candidates));
        }
        if request.state.is_some() || request.only.is_some() || request.item_sums.is_some() {
            return Err(Error::new(Status::BadOption));
        }
        let sums = ItemSums {
            bytes: self.memory.item_sums,
            slots: &[],
        };
        let request = Request {
            state: Some(self.memory.state),
            only: Some(self.left()),
            item_sums: (!self.memory.item_sums.is_empty()).then_some(sums),
            ..*request
        };
        model.rank(&request, scratch, output)
    }

    fn check(&self, model: &Model<'_>) -> Result<()> {
        match model.digest() == self.digest {
            true => Ok(()),
            false => Err(Error::new(Status::StaleSums)),
        }
    }
}
