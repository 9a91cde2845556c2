//! What features learn from the training rows: vocabularies, transforms, bucket boundaries, grids, priors.
//!
//! A fit and a description together are a [`Spec`]; a run keeps both, so that later rows are read exactly as the
//! training rows were.
use std::path::Path;
use std::prelude::v1::*;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::spec::{
    Decay, Encoding, Feature, Grid, IdType, Label, Layers, Lookup, Network, NetworkKind, Pooling,
    Side, Source, Spec, Table, Task, TaskKind, Term, Transform,
};
use crate::train::description::{
    DefaultValue, Description, Feature as Described, FeatureKind, IdKind, TransformStep,
};
use crate::train::error::{Error, Kind, Result};
use crate::train::log::{RawColumn, RawLog};
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
    pub value: Option<Grid>,
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
        fit.learn_tables(d, raw, train, &requests, previous)?;
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
            if let Some(label) = f.label.as_ref().and_then(|l| d.label(l.get_ref())) {
                fitted.prior = f.prior.unwrap_or_else(|| label_mean(d, raw, label, train));
            }
            if matches!(
                f.kind,
                FeatureKind::Id | FeatureKind::Ids | FeatureKind::Cross | FeatureKind::LastIds
            ) {
                fitted.table = Some(fit.table_of(d, f)?);
                if let Some(default) = &f.default {
                    fitted.default_row =
                        fit.default_row(d, f, default, fitted.table.unwrap_or(0))?;
                }
                if f.pooling == Some(Pooling::Sum) {
                    fitted.divisor = f.max_len.unwrap_or(50).max(1);
                }
            }
            if f.kind == FeatureKind::Number {
                if let RawColumn::Numbers(values) = &raw.features[i] {
                    let picked = pick(values, f.side == Some(Side::User), train, &requests);
                    fit.learn_number(
                        f,
                        &mut fitted,
                        &picked,
                        previous.and_then(|p| p.features.get(i)),
                    );
                }
            }
            fit.features.push(fitted);
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
                let mut fitted = fit.features[i].clone();
                fit.learn_number(
                    f,
                    &mut fitted,
                    &picked,
                    previous.and_then(|p| p.features.get(i)),
                );
                fit.features[i] = fitted;
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
                    count_keys(d, raw, *i, train, requests, &mut counts);
                }
                let mut kept: Vec<(u64, u64)> = counts
                    .into_iter()
                    .filter(|(_, n)| *n >= options.min_count)
                    .collect();
                // Most frequent first; equal counts by key, so that the map's order never shows.
                kept.sort_unstable_by_key(|(key, n)| (core::cmp::Reverse(*n), *key));
                if let Some(max) = options.max {
                    kept.truncate(max as usize);
                }
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

    fn learn_number(
        &self,
        f: &Described,
        fitted: &mut FittedFeature,
        values: &[f32],
        previous: Option<&FittedFeature>,
    ) {
        if let Some(previous) = previous {
            (fitted.transform, fitted.default, fitted.value) =
                (previous.transform, previous.default, previous.value);
            fitted.boundaries.clone_from(&previous.boundaries);
            return;
        }
        let derived_default = match f.kind {
            FeatureKind::Count | FeatureKind::Since => {
                vec![TransformStep::Log1p, TransformStep::Standardize]
            }
            FeatureKind::Rate | FeatureKind::KeyRate | FeatureKind::Previous => {
                vec![TransformStep::Standardize]
            }
            _ => Vec::new(),
        };
        let steps = f.transform.clone().unwrap_or(derived_default);
        let log1p = steps.contains(&TransformStep::Log1p);
        let mut t = Transform { log1p, ..IDENTITY };
        if log1p {
            t.low = 0.0;
        }
        if let Some([low, high]) = f.clip {
            (t.low, t.high) = (low, high);
        }
        let known: Vec<f32> = values.iter().copied().filter(|x| !x.is_nan()).collect();
        let mean =
            known.iter().map(|x| f64::from(t.clip(*x))).sum::<f64>() / known.len().max(1) as f64;
        fitted.default = match &f.default {
            Some(DefaultValue::Number(x)) => *x as f32,
            _ => mean as f32,
        };
        let moved: Vec<f64> = known.iter().map(|x| f64::from(t.apply(*x))).collect();
        if steps.contains(&TransformStep::Standardize) && !moved.is_empty() {
            let mean = moved.iter().sum::<f64>() / moved.len() as f64;
            let variance =
                moved.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / moved.len() as f64;
            t.shift = mean as f32;
            // A constant feature has no scale; it becomes 0.
            t.scale = if variance > 1e-20 {
                (1.0 / libm::sqrt(variance)) as f32
            } else {
                1.0
            };
        } else if steps.contains(&TransformStep::Minmax) && !moved.is_empty() {
            let (low, high) = moved
                .iter()
                .fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
            t.shift = low as f32;
            t.scale = if high > low {
                (1.0 / (high - low)) as f32
            } else {
                1.0
            };
        }
        fitted.transform = t;
        if f.value != Some(false) {
            // Static range of the whole training pass, with 0 inside so that it has a byte of its own.
            let all = known
                .iter()
                .map(|x| t.apply(*x))
                .chain([t.apply(fitted.default)]);
            let (low, high) = all.fold((0.0f32, 0.0f32), |(l, h), x| (l.min(x), h.max(x)));
            let inv_scale = if high - low > 1e-9 {
                127.0 / (high - low)
            } else {
                1.0
            };
            let zero_point =
                crate::math::round(crate::math::clamp(-low * inv_scale, 0.0, 127.0)) as u8;
            fitted.value = Some(Grid {
                inv_scale,
                zero_point,
            });
        }
        if let Some(buckets) = f.buckets {
            let mut sorted: Vec<f32> = known.iter().map(|x| t.clip(*x)).collect();
            sorted.sort_unstable_by(f32::total_cmp);
            let mut boundaries: Vec<f32> = (1..usize::from(buckets))
                .filter_map(|i| sorted.get(i * sorted.len() / usize::from(buckets)).copied())
                .map(|b| if b.is_subnormal() { 0.0 } else { b + 0.0 })
                .collect();
            boundaries.dedup();
            fitted.boundaries = boundaries;
        }
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

    /// Writes the fit.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = postcard::to_allocvec(self)
            .map_err(|e| Error::in_file(Kind::Io, path, format!("{e}")))?;
        crate::train::files::write_atomically(path, &bytes)
    }

    /// Reads a fit.
    ///
    /// # Errors
    /// [`Kind::Io`], or [`Kind::Data`] for a file that is none.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, &e))?;
        let fit: Self = postcard::from_bytes(&bytes).map_err(|_| {
            Error::in_file(Kind::Data, path, "not a fit of this version; train again")
        })?;
        if fit.version != VERSION {
            return Err(Error::in_file(
                Kind::Data,
                path,
                "a fit of another version; train again",
            ));
        }
        Ok(fit)
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
                fitted.value.or(Some(Grid {
                    inv_scale: 1.0,
                    zero_point: 0,
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
            sum += if log1p {
                libm::log1p(x.into())
            } else {
                x.into()
            };
            count += 1;
        }
    }
    (sum / count.max(1) as f64) as f32
}

fn count_keys(
    d: &Description,
    raw: &RawLog,
    feature: usize,
    train: &[u32],
    requests: &[u32],
    counts: &mut FxHashMap<u64, u64>,
) {
    let f = &d.toml.feature[feature];
    let kind = d.id_kind(f);
    let of = if f.side == Some(Side::User) {
        requests
    } else {
        train
    };
    let mut count = |id: u64| {
        if let Some(key) = crate::train::log::key_of(id, kind) {
            *counts.entry(key).or_default() += 1;
        }
    };
    match &raw.features[feature] {
        RawColumn::Ids(ids) => of.iter().for_each(|i| count(ids[*i as usize])),
        RawColumn::Lists { offsets, ids, .. } => {
            for i in of {
                let (start, end) = (
                    offsets[*i as usize] as usize,
                    offsets[*i as usize + 1] as usize,
                );
                ids[start..end].iter().for_each(|id| count(*id));
            }
        }
        _ => {
            // A cross: the keys of both parts.
            if let Some([a, b]) = f.of.as_ref().map(|o| o.list()) {
                for row in train {
                    if let (Some(a), Some(b)) = (
                        pass::raw_key(d, raw, a, *row),
                        pass::raw_key(d, raw, b, *row),
                    ) {
                        *counts.entry(crate::features::hash_cross(a, b)).or_default() += 1;
                    }
                }
            }
        }
    }
}
