//! The engine: opens a model file in place, scores candidates and ranks them.

mod request;

pub use request::{Column, Lists, Output, Request, Scratch, ScratchLen, Summary};

use crate::error::{Error, Result, Status};
use crate::features::Event;
use crate::kernels::Isa;
use crate::spec::Spec;

/// An open model. Borrows the file's bytes; immutable, so any number of threads may share it, each with its own
/// [`Scratch`].
#[derive(Debug, Default)]
pub struct Model<'a> {
    spec: Spec<'a>,
    isa: Isa,
    digest: u64,
}

/// How to open a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// Instruction set; `None` takes the best that this CPU has.
    pub isa: Option<Isa>,
}

impl<'a> Model<'a> {
    /// A model that is not open: every call on it is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks all of `bytes`, once, in reading order, and decodes the metadata into `self`.
    ///
    /// # Errors
    /// The first check that fails, with its byte offset; `self` is then not open.
    pub fn open(&mut self, bytes: &'a [u8], options: &OpenOptions) -> Result<()> {
        let _ = (bytes, options);
        Err(Error::new(Status::Truncated))
    }

    /// Features, tables, tasks and fusion.
    pub fn spec(&self) -> &Spec<'a> {
        &self.spec
    }

    /// The instruction set that runs.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// XXH3-64 of the file: names it.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Scratch that requests of up to `candidates_max` candidates need. Grows with it by one float a candidate.
    pub fn scratch_len(&self, candidates_max: usize) -> ScratchLen {
        ScratchLen {
            floats: candidates_max,
            bytes: 0,
        }
    }

    /// Bytes of a user's state; 0 for a model without derived features.
    pub fn state_bytes(&self) -> usize {
        0
    }

    /// Makes `state` that of a user without a past.
    ///
    /// # Errors
    /// [`Status::BufferTooSmall`].
    pub fn state_reset(&self, state: &mut [u8]) -> Result<()> {
        let _ = state;
        Ok(())
    }

    /// Adds one label of one past impression to `state`.
    ///
    /// # Errors
    /// [`Status::StateLayout`], [`Status::StateCorrupt`], [`Status::UnknownLabel`], [`Status::BadTime`]; `state` is
    /// then unchanged.
    pub fn state_apply(&self, state: &mut [u8], event: &Event<'_>) -> Result<()> {
        let _ = (state, event);
        Ok(())
    }

    /// Scores and orders the candidates of `request`.
    ///
    /// # Errors
    /// Statuses 5xx and 6xx for the request, [`Status::BufferTooSmall`] for scratch and outputs. Outputs are written
    /// only on success.
    pub fn rank(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        output: &mut Output<'_>,
    ) -> Result<Summary> {
        let _ = (request, scratch, output);
        Err(Error::new(Status::CandidateCount))
    }
}
