//! What goes on from file to file of a log, and from chunk to chunk.
use std::prelude::v1::*;

use rustc_hash::FxHashMap;

use super::{Chunk, RawLog, TakeChunk};
use crate::train::error::{Error, Result};

/// What goes on from file to file.
pub(super) struct Carried<'t> {
    /// GAUC groups by their hashed cell.
    pub groups: FxHashMap<u64, u32>,
    pub last_time_ms: Option<i64>,
    /// Rows from which on the log is given away.
    pub chunk_rows: usize,
    take: &'t mut TakeChunk<'t>,
    /// Given away.
    pub rows_before: usize,
    pub requests_before: usize,
    /// Why the taker refused.
    pub refused: Option<Error>,
}

impl<'t> Carried<'t> {
    pub fn new(chunk_rows: usize, take: &'t mut TakeChunk<'t>) -> Self {
        Self {
            groups: FxHashMap::default(),
            last_time_ms: None,
            chunk_rows,
            take,
            rows_before: 0,
            requests_before: 0,
            refused: None,
        }
    }

    /// Requests, with those given away.
    pub fn requests(&self, log: &RawLog) -> u32 {
        (self.requests_before + log.requests()) as u32
    }

    /// Gives the rows of a log away.
    pub fn take(&mut self, log: &mut RawLog) -> Result<()> {
        let chunk = Chunk {
            raw: log,
            rows_before: self.rows_before,
            requests_before: self.requests_before,
        };
        (self.take)(&chunk)?;
        self.rows_before += log.rows();
        self.requests_before += log.requests();
        log.clear();
        Ok(())
    }
}
