//! The states of users while a log passes.
use std::prelude::v1::*;

use rustc_hash::FxHashMap;

use super::{Visit, row_key};
use crate::features::{self, Event, Key};
use crate::spec::{Source, Spec};
use crate::train::log::{Chunk, RawLog};

/// A label that a user's state does not know yet.
#[derive(Clone, Copy)]
struct Pending {
    time: i64,
    row: u32,
    label: u8,
    value: f32,
}

/// A user in the middle of a log. There are as many as users, so that every byte counts.
struct User {
    /// Place of the state.
    slot: usize,
    pending: Vec<Pending>,
    /// Rows with something pending, ascending.
    rows: Vec<u32>,
    /// Of those: the key of each key feature.
    keys: Vec<Option<u64>>,
}

impl User {
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
    users: FxHashMap<u64, User>,
    /// Room for the states of all users at once, of which the system gives only what is touched.
    states: Vec<u8>,
    /// Places that users who will not come again have left.
    free: Vec<usize>,
}

impl<'s> States<'s> {
    /// Of nobody yet; `last_requests` says when each user comes for the last time.
    pub fn new(
        boundaries: &'s [Vec<u8>],
        spec: &'s Spec<'s>,
        last_requests: &'s FxHashMap<u64, usize>,
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
            states: vec![0; fresh.len() * last_requests.len()],
            free: Vec::new(),
            fresh,
        }
    }

    /// Goes on with the next requests of the log. Requests and rows are told by their place in the chunk.
    pub fn pass(&mut self, chunk: &Chunk<'_>, visit: &mut Visit<'_>) {
        let (raw, spec) = (chunk.raw, self.spec);
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
            let users = self.users.len();
            let user = self.users.entry(name).or_insert_with(|| {
                // Without a free place, the others are those of the users who are here.
                let slot = self.free.pop().unwrap_or(users);
                if self.states.len() < (slot + 1) * bytes {
                    self.states.resize((slot + 1) * bytes, 0);
                }
                self.states[slot * bytes..(slot + 1) * bytes].copy_from_slice(&self.fresh);
                User {
                    slot,
                    pending: Vec::new(),
                    rows: Vec::new(),
                    keys: Vec::new(),
                }
            });
            let state = &mut self.states[user.slot * bytes..(user.slot + 1) * bytes];
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
                let applied = features::apply(spec, state, &events);
                debug_assert_eq!(applied, Ok(()));
            }
            visit(request, start..row, state);
            if self.last_requests.get(&name) == Some(&(chunk.requests_before + request)) {
                self.free.push(user.slot);
                self.users.remove(&name);
                continue;
            }
            user.forget_keys(num_keys);
            let known = |row: usize, label: usize| !raw.labels[label].values[row].is_nan();
            let all = (start..row).flat_map(|row| self.used.iter().map(move |l| (row, *l)));
            let pending = all.filter(|(row, label)| known(*row, *label));
            user.pending.reserve_exact(pending.clone().count());
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
        }
    }
}

fn feeds(source: &Source, wanted: usize) -> bool {
    match *source {
        Source::Column | Source::Cross { .. } => false,
        Source::LastIds { label, .. }
        | Source::Count { label }
        | Source::Rate { label, .. }
        | Source::KeyRate { label, .. }
        | Source::Since { label }
        | Source::Previous { label } => usize::from(label) == wanted,
    }
}
