//! What features learn from the training rows: vocabularies, transforms, bucket boundaries, grids, priors.
//!
//! A fit and a description together are a [`Spec`]; a run keeps both, so that later rows are read exactly as the
//! training rows were.
use std::path::Path;
use std::prelude::v1::*;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::spec::{
    Decay, Encoding, Feature, Grid, IdType, Label, Layers, Lookup, Network, NetworkKind,
    NumberGrid, Pooling, Side, Source, Spec, Table, Task, TaskKind, Term, Transform, limits,
};
use crate::train::description::{
    DefaultValue, Description, Feature as Described, FeatureKind, IdKind, TransformStep,
};
use crate::train::error::{Error, Kind, Result};
use crate::train::log::{RawColumn, RawLog, key_of};
use crate::train::{pass, vocabulary};

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
        let mut fit = Self {
            version: VERSION,
            tables: Vec::new(),
            features: Vec::new(),
        };
        let requests = requests_of(raw, train);
        let before = |i: usize| previous.and_then(|p| p.features.get(i));
        // Numbers first: the vocabulary of a cross counts the buckets of its parts.
        for (i, f) in d.toml.feature.iter().enumerate() {
            let mut fitted = FittedFeature {
                table: None,
                default_row: 0,
                transform: IDENTITY,
                default: 0.0,
                value: None,
                boundaries: Vec::new(),
                prior: f.prior.unwrap_or(0.0),
                divisor: 1,
            };
            if let (None, Some(label)) = (f.prior, f.label.as_ref()) {
                let label = d.label(label.get_ref()).unwrap_or(0);
                let mean = || label_mean(d, raw, label, train);
                fitted.prior = before(i).map_or_else(mean, |p| p.prior);
            }
            if f.pooling == Some(Pooling::Sum) {
                fitted.divisor = f.max_len.unwrap_or(50).max(1);
            }
            if let (FeatureKind::Number, RawColumn::Numbers(values)) = (f.kind, &raw.features[i]) {
                let picked = pick(values, f.side == Some(Side::User), train, &requests);
                learn_number(f, &mut fitted, picked, before(i));
            }
            fit.features.push(fitted);
        }
        fit.learn_tables(d, raw, train, &requests, previous)?;
        for (i, f) in d.toml.feature.iter().enumerate() {
            use FeatureKind::{Cross, Id, Ids, LastIds};
            if matches!(f.kind, Id | Ids | Cross | LastIds) {
                let table = fit.table_of(d, f)?;
                let default = f.default.as_ref();
                let row = default.map(|default| fit.default_row(d, f, default, table));
                let fitted = &mut fit.features[i];
                (fitted.table, fitted.default_row) = (Some(table), row.transpose()?.unwrap_or(0));
            }
        }
        // Derived numbers need the states, which need only the sources and the number features' boundaries.
        fit.give_placeholder_tables(d);
        let derived = {
            let spec = fit.spec(d)?;
            pass::derive(d, &fit, &spec, raw)
        };
        for (i, f) in d.toml.feature.iter().enumerate() {
            if let (true, RawColumn::Numbers(values)) = (f.kind.is_derived(), &derived[i]) {
                let picked = pick(values, f.kind != FeatureKind::KeyRate, train, &requests);
                learn_number(f, &mut fit.features[i], picked, before(i));
            }
        }
        fit.give_placeholder_tables(d);
        fit.spec(d)?;
        Ok((fit, derived))
    }

    /// Declared tables, then those that features declare.
    fn learn_tables(
        &mut self,
        d: &Description,
        raw: &RawLog,
        train: &[u32],
        requests: &[u32],
        previous: Option<&Fit>,
    ) -> Result<()> {
        let declared = d
            .toml
            .table
            .iter()
            .map(|t| (t.name.get_ref().clone(), t.dim, t.vocabulary, t.hash));
        let own = d
            .toml
            .feature
            .iter()
            .filter(|f| f.vocabulary.is_some() || f.hash.is_some());
        let own = own.map(|f| {
            (
                f.table().to_string(),
                f.dim.unwrap_or(1),
                f.vocabulary,
                f.hash,
            )
        });
        for (name, dim, options, hash) in declared.chain(own) {
            let users: Vec<usize> = (0..d.toml.feature.len())
                .filter(|i| d.toml.feature[*i].table() == name)
                .collect();
            let kind = users
                .iter()
                .map(|i| &d.toml.feature[*i])
                .find(|f| f.kind != FeatureKind::Cross);
            let id_type = match kind.map_or(IdKind::Int, |f| d.id_kind(f)) {
                IdKind::Int => IdType::Int,
                IdKind::String => IdType::Text,
            };
            let mut table = FittedTable {
                name,
                num_embeddings: 0,
                embedding_dim: dim,
                lookup: Lookup::Hash(id_type),
                vocabulary: Vec::new(),
            };
            if let Some(options) = options {
                let mut counts: FxHashMap<u64, u64> = FxHashMap::default();
                for i in &users {
                    self.count_keys(d, raw, *i, train, requests, &mut counts);
                }
                let mut kept: Vec<(u64, u64)> = counts
                    .into_iter()
                    .filter(|(_, n)| *n >= options.min_count)
                    .collect();
                // Most frequent first; equal counts by key, so that the map's order never shows.
                kept.sort_unstable_by_key(|(key, n)| (core::cmp::Reverse(*n), *key));
                let most = limits::NUM_EMBEDDINGS as u64 - 1;
                kept.truncate(options.max.unwrap_or(most).min(most) as usize);
                let mut keys: Vec<u64> = kept.into_iter().map(|(key, _)| key).collect();
                let before = previous.and_then(|p| p.tables.iter().find(|t| t.name == table.name));
                if let Some(before) = before.and_then(|t| t.open()) {
                    keys.extend(before.rows().map(|(key, _)| key));
                }
                table.vocabulary = vocabulary::build(&mut keys);
                table.num_embeddings = keys.len() as u32 + 1;
                table.lookup = Lookup::Vocabulary(id_type);
            } else {
                table.num_embeddings = hash.unwrap_or(1).saturating_add(1);
            }
            self.tables.push(table);
        }
        Ok(())
    }

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

    /// Row of a key in a table, as the device finds it.
    pub fn row(&self, table: u8, key: Option<u64>, default_row: u32) -> (u32, bool) {
        let t = &self.tables[usize::from(table)];
        crate::features::table_row(&t.view(), t.open().as_ref(), key, default_row)
    }

    /// Tables of buckets stand after all others, in the order of their features.
    fn give_placeholder_tables(&mut self, d: &Description) {
        self.tables.retain(|t| t.lookup != Lookup::Buckets);
        for (f, fitted) in d.toml.feature.iter().zip(&mut self.features) {
            if f.kind.is_number() && f.buckets.is_some() {
                fitted.table = u8::try_from(self.tables.len()).ok();
                self.tables.push(FittedTable {
                    name: format!("{}:buckets", f.name.get_ref()),
                    num_embeddings: fitted.boundaries.len() as u32 + 2,
                    embedding_dim: f.dim.unwrap_or(1),
                    lookup: Lookup::Buckets,
                    vocabulary: Vec::new(),
                });
            }
        }
    }

    /// The model that the description and this fit make.
    ///
    /// # Errors
    /// [`Kind::Description`] if it breaks a rule or limit of the format.
    pub fn spec<'a>(&'a self, d: &'a Description) -> Result<Box<Spec<'a>>> {
        let mut spec: Box<Spec<'a>> = Box::default();
        spec.name = &d.toml.export.name;
        let full =
            |what: &str| Error::in_file(Kind::Description, &d.file, format!("too many {what}"));
        for t in &self.tables {
            spec.tables.push(t.view()).map_err(|_| full("tables"))?;
        }
        for l in &d.toml.label {
            spec.labels
                .push(Label {
                    name: l.name.get_ref(),
                    log1p: l.log1p,
                })
                .map_err(|_| full("labels"))?;
        }
        for (f, fitted) in d.toml.feature.iter().zip(&self.features) {
            let feature = Feature {
                name: f.name.get_ref(),
                side: self.side(d, f),
                source: source(d, f, fitted),
                encoding: encoding(f, fitted),
            };
            spec.features.push(feature).map_err(|_| full("features"))?;
        }
        let n = &d.toml.network;
        let layers = |widths: &[u16]| Layers::from_slice(widths).map_err(|_| full("layers"));
        spec.network = Network {
            kind: NetworkKind::Mmoe,
            num_experts: n.experts,
            expert_layers: layers(&n.expert_layers)?,
        };
        for t in &d.toml.task {
            let unit = match (t.unit.as_deref(), t.kind) {
                (Some(unit), _) => unit,
                (None, TaskKind::Binary) => "probability",
                (None, TaskKind::Duration) => "s",
            };
            let task = Task {
                name: t.name.get_ref(),
                unit,
                kind: t.kind,
                given: t
                    .space
                    .as_ref()
                    .and_then(|s| d.task(s.get_ref()))
                    .and_then(|i| u8::try_from(i).ok()),
                tower_layers: layers(t.tower_layers.as_ref().unwrap_or(&n.tower_layers))?,
                score_scale: 1.0,
            };
            spec.tasks.push(task).map_err(|_| full("tasks"))?;
        }
        for t in &d.toml.fusion.term {
            let term = Term {
                name: t.name.as_ref().unwrap_or(&t.task).get_ref(),
                task: d.task(t.task.get_ref()).unwrap_or(0) as u8,
                entire: t.entire,
                weight: t.weight,
            };
            spec.fusion.push(term).map_err(|_| full("fusion terms"))?;
        }
        let state = crate::features::state_bytes(&spec);
        if state > limits::STATE_BYTES {
            let message = format!(
                "the user state has {state} bytes; at most {}: lower max_len or key_buckets of derived features",
                limits::STATE_BYTES
            );
            return Err(Error::in_file(Kind::Description, &d.file, message));
        }
        spec.check().map_err(|e| {
            let name = d.toml.feature.get(e.feature as usize);
            match name {
                Some(f) => d.mistake(
                    &f.name,
                    format!(
                        "feature \"{}\" breaks a rule of the format: {:?}",
                        f.name.get_ref(),
                        e.status
                    ),
                ),
                None => Error::in_file(
                    Kind::Description,
                    &d.file,
                    format!("the model breaks a rule of the format: {:?}", e.status),
                ),
            }
        })?;
        Ok(spec)
    }

    fn side(&self, d: &Description, f: &Described) -> Side {
        let side_of = |name: &String| d.feature(name).and_then(|i| d.toml.feature[i].side);
        match (f.side, f.kind) {
            (Some(side), _) => side,
            (None, FeatureKind::KeyRate) => Side::Cross,
            (None, FeatureKind::Cross) => match f.of.as_ref().map(|o| o.list()) {
                Some([a, b]) => match (side_of(a), side_of(b)) {
                    (Some(a), Some(b)) if a == b => a,
                    _ => Side::Cross,
                },
                _ => Side::Cross,
            },
            _ => Side::User,
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
        bytes.extend_from_slice(&digest.to_le_bytes());
        crate::train::files::write_atomically(path, &bytes)
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
            Ok((fit, [])) if fit.version == VERSION => Ok(fit),
            _ => Err(bad()),
        }
    }
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

fn source(d: &Description, f: &Described, fitted: &FittedFeature) -> Source {
    let feature = |name: &str| d.feature(name).unwrap_or(0) as u8;
    let label = f
        .label
        .as_ref()
        .and_then(|l| d.label(l.get_ref()))
        .unwrap_or(0) as u8;
    let decay = match (f.half_life_events, f.half_life_seconds) {
        (Some(events), _) => Decay::Events((events * 256.0) as u32),
        (None, Some(seconds)) => Decay::Seconds(seconds),
        (None, None) => Decay::None,
    };
    let (prior, strength) = (fitted.prior, f.strength.unwrap_or(5.0));
    let of = f.of.as_ref().map(|o| o.list()).unwrap_or_default();
    match f.kind {
        FeatureKind::Id | FeatureKind::Ids | FeatureKind::Number | FeatureKind::Vector => {
            Source::Column
        }
        FeatureKind::Cross => match of {
            [left, right] => Source::Cross {
                left: feature(left),
                right: feature(right),
            },
            _ => Source::Column,
        },
        FeatureKind::LastIds => {
            let key = of.first().map_or(0, |name| feature(name));
            Source::LastIds {
                label,
                key,
                len: f.max_len.unwrap_or(50),
            }
        }
        FeatureKind::Count => Source::Count { label },
        FeatureKind::Rate => Source::Rate {
            label,
            decay,
            prior,
            strength,
        },
        FeatureKind::KeyRate => {
            let key = f.key.as_ref().map_or(0, |k| feature(k.get_ref()));
            Source::KeyRate {
                label,
                key,
                buckets: f.key_buckets.unwrap_or(64),
                decay,
                prior,
                strength,
            }
        }
        FeatureKind::Since => Source::Since { label },
        FeatureKind::Previous => Source::Previous { label },
    }
}

/// Input bytes of a number's value. With 1, the grid of numbers was the largest source of noise in the scores of the
/// simulated feed; docs/numerics.md has the figures.
fn number_bytes(f: &Described) -> u8 {
    f.bytes.unwrap_or(4)
}

fn encoding(f: &Described, fitted: &FittedFeature) -> Encoding {
    let table = fitted.table.unwrap_or(0);
    match f.kind {
        FeatureKind::Id | FeatureKind::Cross => Encoding::Row {
            table,
            default_row: fitted.default_row,
        },
        FeatureKind::Ids | FeatureKind::LastIds => Encoding::Rows {
            table,
            max_len: f.max_len.unwrap_or(50),
            pooling: f.pooling.unwrap_or(Pooling::Mean),
            weighted: f.weights.is_some(),
            divisor: fitted.divisor,
        },
        FeatureKind::Vector => Encoding::Vector {
            dim: f.dim.unwrap_or(1),
            grid: Grid {
                inv_scale: 1.0 / f.scale.unwrap_or(1.0),
                zero_point: f.zero_point.unwrap_or(64),
            },
        },
        _ => Encoding::Number {
            transform: fitted.transform,
            default: fitted.default,
            // Before it is fitted a number is an input all the same, so that the spec holds.
            value: if f.value == Some(false) {
                None
            } else {
                fitted.value.or(Some(NumberGrid {
                    inv_scale: 1.0,
                    zero_point: 0,
                    bytes: number_bytes(f),
                }))
            },
            buckets: if f.buckets.is_some() {
                fitted.table
            } else {
                None
            },
        },
    }
}

/// Requests of rows, each once.
fn requests_of(raw: &RawLog, rows: &[u32]) -> Vec<u32> {
    let mut requests: Vec<u32> = rows.iter().map(|r| raw.request[*r as usize]).collect();
    requests.dedup();
    requests
}

/// Values of a user's (by request) or a candidate's (by row) numbers.
fn pick(values: &[f32], user: bool, train: &[u32], requests: &[u32]) -> Vec<f32> {
    let of = if user { requests } else { train };
    of.iter().map(|i| values[*i as usize]).collect()
}

fn label_mean(d: &Description, raw: &RawLog, label: usize, train: &[u32]) -> f32 {
    let log1p = d.toml.label[label].log1p;
    let (mut sum, mut count) = (0.0, 0u64);
    for row in train {
        let x = raw.labels[label].values[*row as usize];
        if !x.is_nan() {
            let kept = if log1p {
                libm::log1p(x.into())
            } else {
                x.into()
            };
            // As the state clamps it.
            sum += kept.clamp(0.0, 65535.0);
            count += 1;
        }
    }
    (sum / count.max(1) as f64) as f32
}

/// Transform, default, grid and buckets of raw values; NaN is missing.
///
/// The transform clips to the range of these values (within the description's clip), so that what the grid cannot
/// hold saturates in f32 training as it does on the device.
fn learn_number(
    f: &Described,
    fitted: &mut FittedFeature,
    mut raw: Vec<f32>,
    previous: Option<&FittedFeature>,
) {
    if let Some(previous) = previous {
        (fitted.transform, fitted.default, fitted.value) =
            (previous.transform, previous.default, previous.value);
        fitted.boundaries.clone_from(&previous.boundaries);
        return;
    }
    let derived_default: &[TransformStep] = match f.kind {
        FeatureKind::Count | FeatureKind::Since => {
            &[TransformStep::Log1p, TransformStep::Standardize]
        }
        FeatureKind::Rate | FeatureKind::KeyRate | FeatureKind::Previous => {
            &[TransformStep::Standardize]
        }
        _ => &[],
    };
    let steps = f.transform.as_deref().unwrap_or(derived_default);
    let log1p = steps.contains(&TransformStep::Log1p);
    let mut t = Transform { log1p, ..IDENTITY };
    if log1p {
        t.low = 0.0;
    }
    if let Some([low, high]) = f.clip {
        (t.low, t.high) = (low, high);
    }
    raw.retain(|x| !x.is_nan());
    // Adding 0 makes 0 of -0, so that equal values have one bit pattern.
    raw.iter_mut().for_each(|x| *x = t.clip(*x) + 0.0);
    raw.sort_unstable_by(f32::total_cmp);
    let count = raw.len().max(1) as f64;
    let mean = raw.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let given = match &f.default {
        Some(DefaultValue::Number(x)) => Some(*x as f32),
        _ => None,
    };
    fitted.default = given.unwrap_or(mean as f32);
    let middle = t.clip(fitted.default);
    let (mut low, mut high) = match (raw.first(), raw.last()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => (middle, middle),
    };
    if given.is_some() {
        (low, high) = (low.min(middle), high.max(middle));
    }
    (t.low, t.high) = (low, high);
    let scale = |spread: f64| {
        if spread > 1e-10 {
            (1.0 / spread) as f32
        } else {
            1.0
        }
    };
    if steps.contains(&TransformStep::Standardize) {
        let mean = raw.iter().map(|x| f64::from(t.apply(*x))).sum::<f64>() / count;
        let square = |x: &f32| (f64::from(t.apply(*x)) - mean) * (f64::from(t.apply(*x)) - mean);
        let variance = raw.iter().map(square).sum::<f64>() / count;
        // A constant feature has no scale; it becomes 0.
        (t.shift, t.scale) = (mean as f32, scale(libm::sqrt(variance)));
    } else if steps.contains(&TransformStep::Minmax) {
        let (least, most) = (t.apply(low), t.apply(high));
        (t.shift, t.scale) = (least, scale(f64::from(most) - f64::from(least)));
    }
    fitted.transform = t;
    // 0 lies inside, so that it has a byte of its own.
    let (least, most) = (t.apply(low).min(0.0), t.apply(high).max(0.0));
    let range = f64::from(most) - f64::from(least);
    let steps = 127.0 * f64::from(number_bytes(f));
    let inv_scale = if range > 1e-9 { steps / range } else { 1.0 } as f32;
    let zero_point = libm::rint(f64::from(-least) * f64::from(inv_scale)).clamp(0.0, steps) as u16;
    let grid = NumberGrid {
        inv_scale,
        zero_point,
        bytes: number_bytes(f),
    };
    fitted.value = (f.value != Some(false)).then_some(grid);
    if let Some(buckets) = f.buckets.map(usize::from) {
        let quantile = |i: usize| raw.get(i * raw.len() / buckets).copied();
        let mut last = low;
        for b in (1..buckets).filter_map(quantile) {
            // Hosts may take a subnormal number for 0. A boundary at the least value would leave a bucket empty.
            let b = if b.is_subnormal() { 0.0 } else { b };
            if b > last {
                fitted.boundaries.push(b);
                last = b;
            }
        }
    }
}
