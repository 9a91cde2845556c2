//! Candidates that a request leaves out, and item sums that it brings along.

use super::super::BLOCK;
#[cfg(feature = "session")]
use super::super::ItemSums;
#[cfg(feature = "session")]
use super::super::item_sums::{HEADER_BYTES, is_sound};
use super::Inputs;
use crate::error::{Error, Result, Status};

/// By row of a block: the item sums that the app kept, little-endian i32 by column.
pub(in super::super) type Kept<'r> = [Option<&'r [u8]>; BLOCK];

impl<'r> Inputs<'r, '_, '_> {
    /// How many candidates are to be scored.
    pub fn scored(&self) -> usize {
        let all = match self.request.only {
            Some(only) if cfg!(feature = "session") => only.len(),
            _ => self.request.num_candidates,
        };
        match self.request.max_candidates {
            0 => all,
            max => max.min(all),
        }
    }

    /// The candidate at a position among those.
    pub fn candidate(&self, position: usize) -> usize {
        match self.request.only {
            Some(only) if cfg!(feature = "session") => only
                .get(position)
                .map_or(0, |candidate| *candidate as usize),
            _ => position,
        }
    }

    /// A library without sessions scores all candidates from their columns.
    #[cfg(not(feature = "session"))]
    pub(super) fn check_kept(&self) -> Result<()> {
        match (self.request.only, self.request.item_sums) {
            (None, None) => Ok(()),
            _ => Err(Error::new(Status::BadOption)),
        }
    }

    /// Candidates to score and their item sums, before any of them is used.
    #[cfg(feature = "session")]
    pub(super) fn check_kept(&self) -> Result<()> {
        let candidates = self.request.num_candidates;
        let mut next = 0;
        for candidate in self.request.only.unwrap_or_default() {
            let candidate = *candidate as usize;
            if candidate < next || candidate >= candidates {
                return Err(Error::candidate(Status::BadIndex, candidate));
            }
            next = candidate + 1;
        }
        let Some(sums) = self.request.item_sums else {
            return Ok(());
        };
        if !sums.slots.is_empty() && sums.slots.len() != candidates {
            return Err(Error::at(Status::ColumnLength, candidates));
        }
        for candidate in (0..self.scored()).map(|position| self.candidate(position)) {
            if let Some(slot) = slot(&sums, candidate) {
                let error = |status| Error::candidate(status, candidate);
                let slot = self
                    .slot_bytes(&sums, slot)
                    .ok_or(error(Status::BadIndex))?;
                if !is_sound(self.model, slot) {
                    return Err(error(Status::StaleSums));
                }
            }
        }
        Ok(())
    }

    /// Whether there are kept sums at all.
    #[cfg(feature = "session")]
    pub fn has_kept(&self) -> bool {
        self.request.item_sums.is_some()
    }

    #[cfg(not(feature = "session"))]
    pub fn kept(&self, _: usize, _: usize) -> Kept<'r> {
        Kept::default()
    }

    /// Kept sums of `rows` positions from `position` on.
    #[cfg(feature = "session")]
    pub fn kept(&self, position: usize, rows: usize) -> Kept<'r> {
        let mut kept = Kept::default();
        if let Some(sums) = &self.request.item_sums {
            for (row, kept) in kept.iter_mut().enumerate().take(rows) {
                let slot = slot(sums, self.candidate(position + row));
                let bytes = slot.and_then(|slot| self.slot_bytes(sums, slot));
                *kept = bytes.and_then(|bytes| bytes.get(HEADER_BYTES..));
            }
        }
        kept
    }

    #[cfg(feature = "session")]
    fn slot_bytes(&self, sums: &ItemSums<'r>, slot: usize) -> Option<&'r [u8]> {
        let len = self.model.item_sums_bytes();
        sums.bytes.get(slot.checked_mul(len)?..)?.get(..len)
    }
}

/// The slot of a candidate.
#[cfg(feature = "session")]
fn slot(sums: &ItemSums<'_>, candidate: usize) -> Option<usize> {
    match sums.slots.get(candidate) {
        Some(&ItemSums::NONE) => None,
        Some(slot) => Some(*slot as usize),
        None => Some(candidate),
    }
}
