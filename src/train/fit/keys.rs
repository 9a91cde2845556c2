//! What is counted of a table's keys.
use std::prelude::v1::*;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::train::description::VocabularyOptions;
use crate::train::log::RawLog;

/// How often each key was seen and, if few users are enough to leave it out, by whom.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub counts: FxHashMap<u64, u64>,
    /// Users that a key needs; 0: they do not matter.
    least: usize,
    /// The first of a key's users, until there are enough of them.
    users: FxHashMap<u64, Vec<u64>>,
}

/// Keys that a vocabulary would hold, had more users seen them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FewUsers {
    /// The table's name.
    pub table: String,
    /// Users that a key needs.
    pub min_users: u32,
    /// Keys.
    pub ids: u64,
    /// How often the training part had one of them.
    pub count: u64,
}

impl core::fmt::Display for FewUsers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            table,
            min_users,
            ids,
            count,
        } = self;
        write!(
            f,
            "table {table}: {ids} ids of fewer than {min_users} users share row 0; they are {count} of the values in training"
        )
    }
}

impl Keys {
    pub fn new(options: Option<VocabularyOptions>) -> Self {
        Self {
            least: options.map_or(0, |o| o.min_users as usize),
            ..Self::default()
        }
    }

    /// Sees a key of a request of `user`; a request without one counts for nobody.
    pub fn add(&mut self, key: u64, user: u64) {
        *self.counts.entry(key).or_default() += 1;
        if self.least == 0 || user == RawLog::NOBODY {
            return;
        }
        let users = self.users.entry(key).or_default();
        if users.len() < self.least && !users.contains(&user) {
            users.push(user);
        }
    }

    /// Whether enough users saw a key.
    pub fn has_users(&self, key: u64) -> bool {
        self.users.get(&key).map_or(0, Vec::len) >= self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_needs_users_and_not_rows() {
        let mut keys = Keys::new(Some(VocabularyOptions {
            min_count: 1,
            min_users: 3,
            max: None,
        }));
        for i in 0..90 {
            keys.add(7, 1 + i % 2);
            keys.add(8, 1 + i % 3);
            keys.add(9, RawLog::NOBODY);
        }
        assert_eq!(keys.counts[&7], 90);
        assert_eq!([7, 8, 9].map(|k| keys.has_users(k)), [false, true, false]);
        let mut any = Keys::new(None);
        any.add(9, RawLog::NOBODY);
        assert!(any.has_users(9));
    }
}
