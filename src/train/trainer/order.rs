//! The order of an epoch: rows or whole requests, shuffled, cut into batches.
use std::prelude::v1::*;

use super::{Job, TrainError};
use crate::train::random::Key;

/// What is shuffled.
pub(super) enum Units {
    Rows,
    /// Requests, by the places of their first rows.
    Requests(Vec<u32>),
}

impl Units {
    pub fn new(job: &Job<'_>, rows: &[u32]) -> Result<Self, TrainError> {
        if !job.options.whole_requests {
            return Ok(Self::Rows);
        }
        let begins = job.data.begins_request(rows);
        let begins = begins.map_err(|e| job.unreadable(e))?;
        let places = (0..).zip(begins).filter(|(_, begins)| *begins);
        Ok(Self::Requests(places.map(|(place, _)| place).collect()))
    }

    pub fn shuffle(&self, rows: &[u32], key: Key, batch: usize) -> Order {
        let Self::Requests(starts) = self else {
            let mut rows = rows.to_vec();
            key.shuffle(&mut rows);
            let ends = None;
            return Order { rows, batch, ends };
        };
        let mut requests: Vec<u32> = (0..starts.len() as u32).collect();
        key.shuffle(&mut requests);
        let mut shuffled = Vec::with_capacity(rows.len());
        // As many batches as rows would make, so that every epoch has the same number of steps: each ends with the request
        // that its last row is of.
        let mut ends = Vec::with_capacity(rows.len().div_ceil(batch));
        for request in requests.into_iter().map(|r| r as usize) {
            let start = starts[request] as usize;
            let end = starts
                .get(request + 1)
                .map_or(rows.len(), |end| *end as usize);
            shuffled.extend_from_slice(&rows[start..end]);
            while shuffled.len() >= (ends.len() + 1) * batch {
                ends.push(shuffled.len());
            }
        }
        if ends.len() < rows.len().div_ceil(batch) {
            ends.push(shuffled.len());
        }
        Order {
            rows: shuffled,
            batch,
            ends: Some(ends),
        }
    }
}

/// The rows of an epoch.
pub(super) struct Order {
    rows: Vec<u32>,
    batch: usize,
    /// Where batches end, if not after `batch` rows each.
    ends: Option<Vec<usize>>,
}

impl Order {
    /// Batch `i`, of as many as the rows make. With whole requests it may be empty.
    pub fn batch(&self, i: usize) -> &[u32] {
        let end = |batches: usize| match &self.ends {
            None => (batches * self.batch).min(self.rows.len()),
            Some(_) if batches == 0 => 0,
            Some(ends) => ends.get(batches - 1).copied().unwrap_or(self.rows.len()),
        };
        &self.rows[end(i)..end(i + 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_requests_stay_together_and_fill_as_many_batches() {
        // Requests of 1 to 9 rows.
        let mut starts = Vec::new();
        let mut rows = Vec::new();
        for request in 0..200_u32 {
            starts.push(rows.len() as u32);
            (0..1 + request % 9).for_each(|_| rows.push(3 * rows.len() as u32));
        }
        let units = Units::Requests(starts.clone());
        for batch in [1, 4, 64, 10_000] {
            let order = units.shuffle(&rows, Key::new(1), batch);
            let batches = rows.len().div_ceil(batch);
            let mut seen = Vec::new();
            for i in 0..batches {
                let rows_of_batch = order.batch(i);
                seen.extend_from_slice(rows_of_batch);
                // Every end is the end of a request.
                let last = seen.last().map_or(0, |row| row / 3 + 1);
                assert!(
                    last as usize == rows.len() || starts.contains(&last),
                    "{batch} {i}"
                );
                assert!(rows_of_batch.len() <= batch + 8, "{batch} {i}");
            }
            assert_eq!(order.batch(batches), [0; 0]);
            assert_ne!(seen, rows);
            seen.sort_unstable();
            assert_eq!(seen, rows);
        }
    }
}
