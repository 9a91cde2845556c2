//! The tables of a fit: the keys that they hold, and where each stands.
use std::prelude::v1::*;

use super::keys::{FewUsers, Keys};
use super::learn::{self, Declared};
use super::{Fit, FittedTable};
use crate::spec::{IdType, Lookup, Side, limits};
use crate::train::description::{
    DefaultValue, Description, Feature as Described, FeatureKind, IdKind,
};
use crate::train::error::Result;
use crate::train::log::{RawColumn, RawLog, key_of};
use crate::train::vocabulary;

impl Fit {
    /// The table of a name, filled with what was counted of its keys.
    pub(super) fn push_table(
        &mut self,
        d: &Description,
        declared: &Declared,
        seen: Keys,
        previous: Option<&Fit>,
    ) {
        let mut few = FewUsers {
            table: declared.name.clone(),
            ..FewUsers::default()
        };
        let keys = declared.vocabulary.map(|options| {
            few.min_users = options.min_users;
            let counts = seen.counts.iter().map(|(key, n)| (*key, *n));
            let often = counts.filter(|(_, n)| *n >= options.min_count);
            let (mut kept, left): (Vec<_>, Vec<_>) =
                often.partition(|(key, _)| seen.has_users(*key));
            few.ids = left.len() as u64;
            few.count = left.iter().map(|(_, n)| n).sum();
            // Most frequent first; equal counts by key, so that the map's order never shows.
            kept.sort_unstable_by_key(|(key, n)| (core::cmp::Reverse(*n), *key));
            let most = limits::NUM_EMBEDDINGS as u64 - 1;
            kept.truncate(options.max.unwrap_or(most).min(most) as usize);
            let mut keys: Vec<u64> = kept.into_iter().map(|(key, _)| key).collect();
            let before = previous.and_then(|p| p.tables.iter().find(|t| t.name == declared.name));
            if let Some(before) = before.and_then(|t| t.open()) {
                keys.extend(before.rows().map(|(key, _)| key));
            }
            keys
        });
        if few.min_users > 0 {
            self.few_users.push(few);
        }
        self.push_keys(d, declared, keys);
        let counts = seen.counts;
        let table = self.tables.last().and_then(FittedTable::open);
        if let Some(vocabulary) = table {
            let count = |key: u64| counts.get(&key).copied().unwrap_or(0);
            let known: Vec<u64> = vocabulary.rows().map(|(key, _)| count(key)).collect();
            let unknown = counts.values().sum::<u64>() - known.iter().sum::<u64>();
            let all = core::iter::once(unknown).chain(known);
            let all = all.map(|n| n.min(u64::from(u32::MAX)) as u32).collect();
            self.counts.push((declared.name.clone(), all));
        }
    }

    /// The table of a name, with a vocabulary of `keys` if it has one.
    pub(super) fn push_keys(
        &mut self,
        d: &Description,
        declared: &Declared,
        keys: Option<Vec<u64>>,
    ) {
        let users = d.toml.feature.iter().filter(|f| f.table() == declared.name);
        let kind = users.clone().find(|f| f.kind != FeatureKind::Cross);
        let id_type = match kind.map_or(IdKind::Int, |f| d.id_kind(f)) {
            IdKind::Int => IdType::Int,
            IdKind::String => IdType::Text,
        };
        let mut table = FittedTable {
            name: declared.name.clone(),
            num_embeddings: declared.hash.unwrap_or(1).saturating_add(1),
            embedding_dim: declared.dim,
            lookup: Lookup::Hash(id_type),
            vocabulary: Vec::new(),
        };
        if let Some(mut keys) = keys {
            table.vocabulary = vocabulary::build(&mut keys);
            table.num_embeddings = keys.len() as u32 + 1;
            table.lookup = Lookup::Vocabulary(id_type);
        }
        self.tables.push(table);
    }

    /// Gives features of ids their tables and default rows, and numbers the tables of their buckets.
    pub(super) fn give_tables(&mut self, d: &Description) -> Result<()> {
        for (i, f) in d.toml.feature.iter().enumerate() {
            use FeatureKind::{Attention, Cross, Id, Ids, LastIds};
            if matches!(f.kind, Id | Ids | Cross | LastIds | Attention) {
                let table = self.table_of(d, f)?;
                let default = f.default.as_ref();
                let row = default.map(|default| self.default_row(d, f, default, table));
                let row = row.transpose()?.unwrap_or(0);
                let fitted = &mut self.features[i];
                (fitted.table, fitted.default_row) = (Some(table), row);
            }
        }
        self.give_placeholder_tables(d);
        Ok(())
    }

    /// Counts the keys of a feature's rows.
    pub(super) fn count_keys(
        &self,
        d: &Description,
        raw: &RawLog,
        feature: usize,
        train: &[u32],
        requests: &[u32],
        keys: &mut Keys,
    ) {
        let f = &d.toml.feature[feature];
        let kind = d.id_kind(f);
        let user = f.side == Some(Side::User);
        let of = if user { requests } else { train };
        // Of a request, or of a row.
        let user_of = |i: u32| {
            let request = if user { i } else { raw.request[i as usize] };
            raw.user[request as usize]
        };
        let mut count = |key: Option<u64>, user: u64| {
            key.into_iter().for_each(|key| keys.add(key, user));
        };
        match &raw.features[feature] {
            RawColumn::Ids(ids) => of
                .iter()
                .for_each(|i| count(key_of(ids[*i as usize], kind), user_of(*i))),
            RawColumn::Lists { offsets, ids, .. } => {
                for i in of {
                    let at = *i as usize;
                    let list = &ids[offsets[at] as usize..offsets[at + 1] as usize];
                    list.iter()
                        .for_each(|id| count(key_of(*id, kind), user_of(*i)));
                }
            }
            _ => {
                let Some([left, right]) = f.of.as_ref().map(|o| o.list()) else {
                    return;
                };
                let (Some(left), Some(right)) = (d.feature(left), d.feature(right)) else {
                    return;
                };
                let part = |i: usize| {
                    let kind = d.id_kind(&d.toml.feature[i]);
                    let boundaries = self.boundaries(i);
                    move |row: u32| self.part_key(d, raw, i, kind, &boundaries, row)
                };
                let (left, right) = (part(left), part(right));
                for row in train {
                    let both = left(*row).zip(right(*row));
                    let user = raw.user[raw.request[*row as usize] as usize];
                    count(both.map(|(a, b)| crate::features::hash_cross(a, b)), user);
                }
            }
        }
    }

    /// Key of a part of a cross, as [`row_key`](crate::train::pass::row_key) has it once there is a spec.
    fn part_key(
        &self,
        d: &Description,
        raw: &RawLog,
        feature: usize,
        kind: IdKind,
        boundaries: &[u8],
        row: u32,
    ) -> Option<u64> {
        let user = d.toml.feature[feature].side == Some(Side::User);
        let at = if user { raw.request[row as usize] } else { row } as usize;
        match &raw.features[feature] {
            RawColumn::Ids(ids) => key_of(ids[at], kind),
            RawColumn::Numbers(x) => {
                let transform = &self.features[feature].transform;
                let bucket = crate::features::bucket_row(transform, boundaries, x[at]);
                Some(crate::features::hash_int(u64::from(bucket)))
            }
            _ => None,
        }
    }

    fn table_of(&self, d: &Description, f: &Described) -> Result<u8> {
        let name = d.table_name(f);
        let index = self.tables.iter().position(|t| t.name == name);
        index
            .and_then(|i| u8::try_from(i).ok())
            .ok_or_else(|| d.mistake(&f.name, format!("table \"{name}\" is not described")))
    }

    fn default_row(
        &self,
        d: &Description,
        f: &Described,
        default: &DefaultValue,
        table: u8,
    ) -> Result<u32> {
        let key = match (default, d.id_kind(f)) {
            (DefaultValue::Number(x), IdKind::Int) if x.fract() == 0.0 => {
                crate::features::hash_int(*x as i64 as u64)
            }
            (DefaultValue::Text(t), IdKind::String) => crate::features::hash_text(t.as_bytes()),
            _ => return Err(d.mistake(&f.name, "default is not an id of the feature's id_type")),
        };
        let key = if f.is_second_hash {
            crate::features::hash_cross(key, key)
        } else {
            key
        };
        Ok(self.row(table, Some(key), 0).0)
    }

    /// Tables of buckets stand after all others, in the order of their features; tables of features that are known in
    /// training alone behind all of those, in the same order.
    pub(super) fn give_placeholder_tables(&mut self, d: &Description) {
        self.tables.retain(|t| t.lookup != Lookup::Buckets);
        let buckets_of = |f: &Described| format!("{}:buckets", f.name.get_ref());
        let bucketed = |f: &Described| f.kind.is_number() && f.buckets.is_some();
        for (f, fitted) in d.toml.feature.iter().zip(&self.features) {
            if bucketed(f) {
                self.tables.push(FittedTable {
                    name: buckets_of(f),
                    num_embeddings: fitted.boundaries.len() as u32 + 2,
                    embedding_dim: f.dim.unwrap_or(1),
                    lookup: Lookup::Buckets,
                    vocabulary: Vec::new(),
                });
            }
        }
        let train_only = |t: &FittedTable| {
            let mut of = d.toml.feature.iter().filter(|f| f.train_only);
            of.any(|f| f.table() == t.name || buckets_of(f) == t.name)
        };
        // Stable: false stands before true.
        self.tables.sort_by_key(train_only);
        let place = |name: &str| {
            let found = self.tables.iter().position(|t| t.name == name);
            found.and_then(|i| u8::try_from(i).ok())
        };
        for (f, fitted) in d.toml.feature.iter().zip(&mut self.features) {
            if bucketed(f) {
                fitted.table = place(&buckets_of(f));
            } else if f.train_only && fitted.table.is_some() {
                fitted.table = place(f.table());
            }
        }
    }
}

/// Tables with a vocabulary, and how their ids are written; `None` for keys of crosses alone.
pub(crate) fn vocabulary_tables(d: &Description) -> Vec<(String, Option<IdKind>)> {
    let tables = learn::declared(d).into_iter();
    let tables = tables.filter(|t| t.vocabulary.is_some());
    let kind = |name: &str| {
        let mut users = d.toml.feature.iter().filter(|f| f.table() == name);
        let user = users.find(|f| f.kind != FeatureKind::Cross);
        user.map(|f| d.id_kind(f))
    };
    tables.map(|t| (t.name.clone(), kind(&t.name))).collect()
}
