//! What features learn from the training rows: vocabularies, transforms, bucket boundaries, grids, priors.
//!
//! A fit and a description together are a [`Spec`](crate::spec::Spec); a run keeps both, so that later rows are read exactly as the
//! training rows were.
use std::path::Path;
use std::prelude::v1::*;

mod given;
mod learn;
mod number;
mod spec;
mod values;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::spec::{IdType, Lookup, NumberGrid, Pooling, Side, Table, Transform, limits};
use crate::train::description::{
    DefaultValue, Description, Feature as Described, FeatureKind, IdKind,
};
use crate::train::error::{Error, Kind, Result};
use crate::train::log::{RawColumn, RawLog, key_of};
use crate::train::{pass, vocabulary};
pub use given::{Given, GivenNumber};
use learn::Declared;
pub use learn::Learner;
pub(crate) use number::steps as number_steps;

/// Version of the saved form.
const VERSION: u32 = 1;

/// Everything learned from the training rows but the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    version: u32,
    /// By table of the spec.
    pub tables: Vec<FittedTable>,
    /// By feature of the description.
    pub features: Vec<FittedFeature>,
    /// By name of a table with a vocabulary: how often the training part had the id of each row; of row 0, ids outside
    /// the vocabulary. A file beside the fit, which older runs do not have.
    #[serde(skip)]
    counts: Vec<(String, Vec<u32>)>,
}

/// A table's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedTable {
    /// Its name.
    pub name: String,
    /// Rows.
    pub num_embeddings: u32,
    /// Values of a row.
    pub embedding_dim: u16,
    /// How ids find rows.
    pub lookup: Lookup,
    /// Bytes of its vocabulary; empty without one.
    pub vocabulary: Vec<u8>,
}

/// A feature's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedFeature {
    /// Table of its rows or buckets.
    pub table: Option<u8>,
    /// Row of a missing id.
    pub default_row: u32,
    /// Raw value to network value.
    pub transform: Transform,
    /// Raw value of a missing number.
    pub default: f32,
    /// Grid of the value, if it is an input.
    pub value: Option<NumberGrid>,
    /// Bucket boundaries.
    pub boundaries: Vec<f32>,
    /// Of a rate.
    pub prior: f32,
    /// Of a pooled sum.
    pub divisor: u16,
}

const IDENTITY: Transform = Transform {
    low: -3.0e38,
    high: 3.0e38,
    log1p: false,
    shift: 0.0,
    scale: 1.0,
};

impl Fit {
    /// Learns from the rows `train` of `raw`, and returns the raw columns of derived features with it. `previous` is an
    /// earlier fit to start from: its transforms stay, its vocabularies may grow.
    ///
    /// # Errors
    /// [`Kind::Description`] for what only the data shows: a label without a mean, a spec over the format's limits.
    pub fn learn(
        d: &Description,
        raw: &RawLog,
        train: &[u32],
        previous: Option<&Fit>,
    ) -> Result<(Self, Vec<RawColumn>)> {
        let mut learner = Learner::new(d, previous, None);
        learner.columns(raw, train)?;
        learner.end_columns()?;
        learner.crosses(raw, train);
        learner.end_keys()?;
        // Derived numbers need the states, which need only the sources and the number features' boundaries.
        let derived = {
            let spec = learner.fit.spec(d)?;
            pass::derive(d, &learner.fit, &spec, raw)?
        };
        learner.derived(&derived, raw, train)?;
        Ok((learner.end()?, derived))
    }

    fn new(d: &Description, previous: Option<&Fit>) -> Self {
        let unlearned = |(i, f): (usize, &Described)| FittedFeature {
            table: None,
            default_row: 0,
            transform: IDENTITY,
            default: 0.0,
            value: None,
            boundaries: Vec::new(),
            prior: match (f.prior, previous.and_then(|p| p.features.get(i))) {
                (None, Some(previous)) if f.label.is_some() => previous.prior,
                (prior, _) => prior.unwrap_or(0.0),
            },
            divisor: match f.pooling {
                Some(Pooling::Sum) => f.max_len.unwrap_or(50).max(1),
                _ => 1,
            },
        };
        Self {
            version: VERSION,
            tables: Vec::new(),
            counts: Vec::new(),
            features: d.toml.feature.iter().enumerate().map(unlearned).collect(),
        }
    }

    /// The table of a name, filled with what was counted of its keys.
    fn push_table(
        &mut self,
        d: &Description,
        declared: &Declared,
        counts: FxHashMap<u64, u64>,
        previous: Option<&Fit>,
    ) {
        let keys = declared.vocabulary.map(|options| {
            let mut kept: Vec<(u64, u64)> = counts
                .iter()
                .map(|(key, n)| (*key, *n))
                .filter(|(_, n)| *n >= options.min_count)
                .collect();
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
        self.push_keys(d, declared, keys);
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

    /// How often the training part had the id of each row of a vocabulary (of row 0: ids outside it); `None` for other
    /// tables, and if the run did not keep it.
    pub fn counts(&self, table: &str) -> Option<&[u32]> {
        let mut counts = self.counts.iter();
        let counts = counts.find(|(name, _)| name == table);
        counts.map(|(_, counts)| counts.as_slice())
    }

    /// The table of a name, with a vocabulary of `keys` if it has one.
    fn push_keys(&mut self, d: &Description, declared: &Declared, keys: Option<Vec<u64>>) {
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
    fn give_tables(&mut self, d: &Description) -> Result<()> {
        for (i, f) in d.toml.feature.iter().enumerate() {
            use FeatureKind::{Cross, Id, Ids, LastIds};
            if matches!(f.kind, Id | Ids | Cross | LastIds) {
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
    fn count_keys(
        &self,
        d: &Description,
        raw: &RawLog,
        feature: usize,
        train: &[u32],
        requests: &[u32],
        counts: &mut FxHashMap<u64, u64>,
    ) {
        let f = &d.toml.feature[feature];
        let kind = d.id_kind(f);
        let user = f.side == Some(Side::User);
        let of = if user { requests } else { train };
        let mut count = |key: Option<u64>| {
            key.into_iter()
                .for_each(|key| *counts.entry(key).or_default() += 1);
        };
        match &raw.features[feature] {
            RawColumn::Ids(ids) => of
                .iter()
                .for_each(|i| count(key_of(ids[*i as usize], kind))),
            RawColumn::Lists { offsets, ids, .. } => {
                for i in of.iter().map(|i| *i as usize) {
                    let list = &ids[offsets[i] as usize..offsets[i + 1] as usize];
                    list.iter().for_each(|id| count(key_of(*id, kind)));
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
                    count(both.map(|(a, b)| crate::features::hash_cross(a, b)));
                }
            }
        }
    }

    /// Key of a part of a cross, as [`pass::row_key`] has it once there is a spec.
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
        let name = match (f.kind, f.of.as_ref().map(|o| o.list())) {
            (FeatureKind::LastIds, Some([of])) => d
                .feature(of)
                .map_or(of.as_str(), |i| d.toml.feature[i].table()),
            _ => f.table(),
        };
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
        Ok(self.row(table, Some(key), 0).0)
    }

    /// Row of an id of a feature; that of a missing one if `id` is none.
    pub fn id_row(&self, feature: usize, id: &DefaultValue) -> u32 {
        let fitted = &self.features[feature];
        let key = match id {
            DefaultValue::Number(x) => crate::features::hash_int(*x as i64 as u64),
            DefaultValue::Text(t) => crate::features::hash_text(t.as_bytes()),
        };
        let table = fitted.table.unwrap_or(0);
        self.row(table, Some(key), fitted.default_row).0
    }

    /// Row of a key in a table, as the device finds it.
    pub fn row(&self, table: u8, key: Option<u64>, default_row: u32) -> (u32, bool) {
        let t = &self.tables[usize::from(table)];
        crate::features::table_row(&t.view(), t.open().as_ref(), key, default_row)
    }

    /// Tables of buckets stand after all others, in the order of their features; tables of features that are known in
    /// training alone behind all of those, in the same order.
    fn give_placeholder_tables(&mut self, d: &Description) {
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

    /// Little-endian bytes of a feature's boundaries.
    pub fn boundaries(&self, feature: usize) -> Vec<u8> {
        self.features[feature]
            .boundaries
            .iter()
            .flat_map(|b| b.to_le_bytes())
            .collect()
    }

    /// For a warm start: by table, the old row of each new row; `u32::MAX` where there is none.
    pub fn row_mapping(&self, previous: &Fit) -> Vec<Vec<u32>> {
        let map = |new: &FittedTable| {
            let Some(old) = previous
                .tables
                .iter()
                .find(|t| t.name == new.name && t.embedding_dim == new.embedding_dim)
            else {
                return vec![u32::MAX; new.num_embeddings as usize];
            };
            let mut rows: Vec<u32> = (0..new.num_embeddings)
                .map(|r| if r < old.num_embeddings { r } else { u32::MAX })
                .collect();
            if let (Some(new), Some(old)) = (new.open(), old.open()) {
                for (key, row) in new.rows() {
                    rows[row as usize] = old.position(key).map_or(u32::MAX, |p| p + 1);
                }
            }
            rows
        };
        self.tables.iter().map(map).collect()
    }

    /// Writes the fit: a postcard record, then its XXH3-64.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut bytes = postcard::to_allocvec(self)
            .map_err(|e| Error::in_file(Kind::Io, path, format!("{e}")))?;
        let digest = xxh3_64(&bytes);
        // First, so that a fit never stands beside counts that are not its own.
        let mut counts = postcard::to_allocvec(&(digest, &self.counts))
            .map_err(|e| Error::in_file(Kind::Io, path, format!("{e}")))?;
        let counts_digest = xxh3_64(&counts);
        counts.extend_from_slice(&counts_digest.to_le_bytes());
        crate::train::files::write_atomically(&path.with_extension("counts"), &counts)?;
        bytes.extend_from_slice(&digest.to_le_bytes());
        crate::train::files::write_atomically(path, &bytes)
    }

    /// The counts beside a fit; none if there is no such file, a damaged one or that of another fit.
    fn load_counts(path: &Path, fit: u64) -> Result<Vec<(String, Vec<u32>)>> {
        let path = path.with_extension("counts");
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Self::counts_in(&bytes, fit).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Error::io(&path, &e)),
        }
    }

    fn counts_in(bytes: &[u8], fit: u64) -> Option<Vec<(String, Vec<u32>)>> {
        let (record, digest) = bytes.split_last_chunk::<8>()?;
        (xxh3_64(record) == u64::from_le_bytes(*digest)).then_some(())?;
        let (of, counts) = postcard::from_bytes::<(u64, _)>(record).ok()?;
        (of == fit).then_some(counts)
    }

    /// Reads a fit.
    ///
    /// # Errors
    /// [`Kind::Io`], or [`Kind::Data`] for a file that is none, or was cut or changed.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, &e))?;
        let bad = || {
            Error::in_file(
                Kind::Data,
                path,
                "not a fit of this version, or a changed one; train again",
            )
        };
        let (record, digest) = bytes.split_last_chunk::<8>().ok_or_else(bad)?;
        if xxh3_64(record) != u64::from_le_bytes(*digest) {
            return Err(bad());
        }
        match postcard::take_from_bytes::<Self>(record) {
            Ok((mut fit, [])) if fit.version == VERSION => {
                fit.counts = Self::load_counts(path, xxh3_64(record))?;
                Ok(fit)
            }
            _ => Err(bad()),
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

impl FittedTable {
    /// The table as the spec has it.
    pub fn view(&self) -> Table<'_> {
        let Self {
            name,
            num_embeddings,
            embedding_dim,
            lookup,
            ..
        } = self;
        Table {
            name,
            num_embeddings: *num_embeddings,
            embedding_dim: *embedding_dim,
            // The exporter packs what it is to pack.
            bits: Table::WHOLE,
            lookup: *lookup,
        }
    }

    /// Its vocabulary, if it has one.
    pub fn open(&self) -> Option<crate::features::Vocabulary<'_>> {
        matches!(self.lookup, Lookup::Vocabulary(_))
            .then(|| {
                crate::features::Vocabulary::check(&self.vocabulary, self.num_embeddings - 1).ok()
            })
            .flatten()
    }
}
