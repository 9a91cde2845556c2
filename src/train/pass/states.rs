//! The states of users while a log passes.
use std::path::Path;
use std::prelude::v1::*;

use rustc_hash::FxHashMap;

use super::blocks::{Blocks, Place};
use super::{Visit, row_key};
use crate::features::{self, Event, Key};
use crate::spec::{Source, Spec};
use crate::train::error::{Error, Kind, Result};
use crate::train::log::{Chunk, RawLog};

/// Bytes of users in memory. Those of the simulated feed take some 4 KiB each, so that 16,000 stay there: all users of
/// 7 x 10^6 rows, and three of four of 10^7.
const MEMORY_BYTES_MAX: usize = 64 << 20;

/// A label that a user's state does not know yet.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pending {
    time: i64,
    row: u32,
    label: u8,
    value: f32,
}

impl Pending {
    const BYTES: usize = 17;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.time.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.row.to_le_bytes());
        bytes[12] = self.label;
        bytes[13..].copy_from_slice(&self.value.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, row @ .., i, j, k, l, m] = *bytes;
        Self {
            time: i64::from_le_bytes([a, b, c, d, e, f, g, h]),
            row: u32::from_le_bytes(row),
            label: i,
            value: f32::from_le_bytes([j, k, l, m]),
        }
    }
}

/// The user whose request passes. All others are away in [`Blocks`]: their states (1.4 KiB on the simulated feed), pending
/// labels and keys are most of what is kept of a log while it passes, and lists of their own for each of them would leave
/// as much again in holes of the allocator.
#[derive(Debug, Default, PartialEq)]
struct User {
    state: Vec<u8>,
    pending: Vec<Pending>,
    /// Rows with something pending, ascending.
    rows: Vec<u32>,
    /// Of those: the key of each key feature.
    keys: Vec<Option<u64>>,
}

impl User {
    fn begin(&mut self, fresh: &[u8]) {
        self.state.clear();
        self.state.extend_from_slice(fresh);
        self.pending.clear();
        self.rows.clear();
        self.keys.clear();
    }

    /// As bytes: the state, how many rows, the rows, their keys (9 bytes each), what is pending.
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(&self.state);
        bytes.extend((self.rows.len() as u32).to_le_bytes());
        bytes.extend(self.rows.iter().flat_map(|row| row.to_le_bytes()));
        for key in &self.keys {
            bytes.push(u8::from(key.is_some()));
            bytes.extend(key.unwrap_or(0).to_le_bytes());
        }
        for pending in &self.pending {
            bytes.extend(pending.to_bytes());
        }
    }

    /// From [`write`](Self::write), for states of `state_bytes` and `num_keys` a row. False: of other bytes.
    fn read(&mut self, bytes: &[u8], state_bytes: usize, num_keys: usize) -> bool {
        let (state, rest) = bytes.split_at_checked(state_bytes).unwrap_or((bytes, &[]));
        self.begin(state);
        let Some((num_rows, rest)) = rest.split_first_chunk() else {
            return false;
        };
        let num_rows = u32::from_le_bytes(*num_rows) as usize;
        let Some((rows, rest)) = rest.split_at_checked(4 * num_rows) else {
            return false;
        };
        let Some((keys, pending)) = rest.split_at_checked(9 * num_rows * num_keys) else {
            return false;
        };
        let (rows, keys) = (rows.as_chunks().0, keys.as_chunks().0);
        self.rows
            .extend(rows.iter().map(|b| u32::from_le_bytes(*b)));
        let key = |[there, key @ ..]: &[u8; 9]| (*there == 1).then(|| u64::from_le_bytes(*key));
        self.keys.extend(keys.iter().map(key));
        let (pending, rest) = pending.as_chunks();
        self.pending.extend(pending.iter().map(Pending::from_bytes));
        rest.is_empty()
    }

    /// Moves what is known before `now` to `due`, in the order in which it came to be.
    fn take_due(&mut self, now: i64, due: &mut Vec<Pending>) {
        due.clear();
        self.pending.retain(|p| {
            let waits = p.time >= now;
            if !waits {
                due.push(*p);
            }
            waits
        });
        due.sort_unstable_by_key(|p| (p.time, p.row, p.label));
    }

    /// Forgets keys that nothing waits for, `num_keys` a row.
    fn forget_keys(&mut self, num_keys: usize) {
        let first = self.pending.iter().map(|p| p.row).min();
        let kept = first.map_or(self.rows.len(), |first| {
            self.rows.partition_point(|row| *row < first)
        });
        self.rows.drain(..kept);
        self.keys.drain(..kept * num_keys);
    }
}

/// The states of all users who will come again, between two requests of a log.
pub struct States<'s> {
    pub(super) boundaries: &'s [Vec<u8>],
    pub(super) spec: &'s Spec<'s>,
    /// After a user's last request nobody asks for the state: what would wait for ever is not kept.
    last_requests: &'s FxHashMap<u64, usize>,
    fresh: Vec<u8>,
    keys: Vec<usize>,
    /// Labels that some feature remembers.
    used: Vec<usize>,
    users: FxHashMap<u64, Place>,
    blocks: Blocks,
    /// Where users beyond what memory takes are.
    folder: &'s Path,
    at_hand: User,
    bytes: Vec<u8>,
}

impl<'s> States<'s> {
    /// Of nobody yet; `last_requests` says when each user comes for the last time. Users beyond 64 MiB go to a file in
    /// `folder`, if there is one.
    pub fn new(
        boundaries: &'s [Vec<u8>],
        spec: &'s Spec<'s>,
        last_requests: &'s FxHashMap<u64, usize>,
        folder: Option<&'s Path>,
    ) -> Self {
        Self::with_memory(boundaries, spec, last_requests, folder, MEMORY_BYTES_MAX)
    }

    pub(super) fn with_memory(
        boundaries: &'s [Vec<u8>],
        spec: &'s Spec<'s>,
        last_requests: &'s FxHashMap<u64, usize>,
        folder: Option<&'s Path>,
        memory_bytes_max: usize,
    ) -> Self {
        let mut fresh = vec![0; features::state_bytes(spec)];
        // The length is right, and `reset` refuses nothing else.
        let _ = features::reset(spec, &mut fresh);
        let feeds_any = |l: &usize| spec.features.iter().any(|f| feeds(&f.source, *l));
        Self {
            boundaries,
            spec,
            last_requests,
            keys: features::key_features(spec).collect(),
            used: (0..spec.labels.len()).filter(feeds_any).collect(),
            users: FxHashMap::default(),
            blocks: Blocks::new(folder, memory_bytes_max),
            folder: folder.unwrap_or(Path::new("")),
            fresh,
            at_hand: User::default(),
            bytes: Vec::new(),
        }
    }

    /// Goes on with the next requests of the log. Requests and rows are told by their place in the chunk.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::train::error::Kind::Io) for the file of users; none without a folder.
    pub fn pass(&mut self, chunk: &Chunk<'_>, visit: &mut Visit<'_>) -> Result<()> {
        let (raw, spec, folder) = (chunk.raw, self.spec, self.folder);
        let failed = |e: std::io::Error| Error::io(folder, &e);
        let mut row = 0;
        let (bytes, num_keys) = (self.fresh.len(), self.keys.len());
        let mut due: Vec<Pending> = Vec::new();
        let mut key_list: Vec<Key> = Vec::new();
        let mut ends: Vec<usize> = Vec::new();
        for request in 0..raw.requests() {
            let start = row;
            while row < raw.rows() && raw.request[row] as usize == request {
                row += 1;
            }
            let name = raw.user[request];
            if bytes == 0 || name == RawLog::NOBODY {
                visit(request, start..row, &self.fresh);
                continue;
            }
            let user = &mut self.at_hand;
            match self.users.remove(&name) {
                Some(place) => {
                    self.blocks.take(place, &mut self.bytes).map_err(failed)?;
                    if !user.read(&self.bytes, bytes, num_keys) {
                        let message =
                            "the file of users was changed while it was in use; train again";
                        return Err(Error::in_file(Kind::Io, folder, message));
                    }
                }
                None => user.begin(&self.fresh),
            }
            user.take_due(raw.time[request], &mut due);
            key_list.clear();
            ends.clear();
            for p in &due {
                // A missing key leaves its features as they are, so it is not among an event's keys.
                let at = user.rows.binary_search(&p.row).unwrap_or(0) * num_keys;
                let keys = self.keys.iter().zip(&user.keys[at..at + num_keys]);
                key_list.extend(keys.filter_map(|(feature, hash)| {
                    let feature = *feature as u8;
                    hash.map(|hash| Key { feature, hash })
                }));
                ends.push(key_list.len());
            }
            let mut start_of_keys = 0;
            let events: Vec<Event<'_>> = due
                .iter()
                .zip(&ends)
                .map(|(p, end)| {
                    let keys = &key_list[start_of_keys..*end];
                    start_of_keys = *end;
                    Event {
                        time: p.time,
                        label: p.label,
                        value: p.value,
                        keys,
                    }
                })
                .collect();
            if !events.is_empty() {
                // One call for all events: the checksum over the whole state is paid once a request. The state was made
                // by `reset`, and the reader has bounded times and values, so nothing is refused.
                let applied = features::apply(spec, &mut user.state, &events);
                debug_assert_eq!(applied, Ok(()));
            }
            visit(request, start..row, &user.state);
            if self.last_requests.get(&name) == Some(&(chunk.requests_before + request)) {
                continue;
            }
            user.forget_keys(num_keys);
            let known = |row: usize, label: usize| !raw.labels[label].values[row].is_nan();
            let all = (start..row).flat_map(|row| self.used.iter().map(move |l| (row, *l)));
            let pending = all.filter(|(row, label)| known(*row, *label));
            for (row, label) in pending {
                let global = (chunk.rows_before + row) as u32;
                if user.rows.last() != Some(&global) {
                    user.rows.push(global);
                    user.keys.extend(
                        self.keys.iter().map(|feature| {
                            row_key(raw, spec, self.boundaries, *feature, row as u32)
                        }),
                    );
                }
                user.pending.push(Pending {
                    time: raw.labels[label].arrival[row],
                    row: global,
                    label: label as u8,
                    value: raw.labels[label].values[row],
                });
            }
            user.write(&mut self.bytes);
            let place = self.blocks.put(&self.bytes).map_err(failed)?;
            self.users.insert(name, place);
        }
        Ok(())
    }
}

fn feeds(source: &Source, wanted: usize) -> bool {
    match *source {
        Source::Column
        | Source::Cross { .. }
        | Source::Combine { .. }
        | Source::Attention { .. } => false,
        Source::LastIds { label, .. }
        | Source::Count { label }
        | Source::Rate { label, .. }
        | Source::KeyRate { label, .. }
        | Source::Since { label }
        | Source::Previous { label } => usize::from(label) == wanted,
    }
}
