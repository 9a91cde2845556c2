//! Parts of the reported rows: new users, unseen items, buckets of a number.
use std::collections::{BTreeMap, BTreeSet};
use std::prelude::v1::*;

use crate::spec::Side;
use crate::train::dataset::{FeatureData, Split};
use crate::train::description::{Description, FeatureKind};
use crate::train::error::{Error, Kind, Result, near_misses};
use crate::train::log::RawLog;

const SLICES: &str = "new-user, unseen:FEATURE, bucket:FEATURE or label:LABEL";

/// A part's title and positions of its rows.
pub type Part = (String, Vec<usize>);

/// A log whose rows are told apart.
#[derive(Clone, Copy)]
pub struct Slices<'s> {
    /// Its description.
    pub d: &'s Description,
    /// As read.
    pub raw: &'s RawLog,
    /// Which rows do what.
    pub split: &'s Split,
    /// By feature: its values under a fit or an exported file.
    pub features: &'s [FeatureData],
    /// By feature: its side, as the spec has it.
    pub sides: &'s [Side],
}

impl Slices<'_> {
    /// Positions within `rows` of each part that `slice` names:
    ///
    /// - `new-user`: rows whose user has no row in the training part (all that the split does not report on), and the rest;
    ///   rows without a user are a part of their own.
    /// - `unseen:FEATURE`: rows whose id is out of vocabulary (or missing, without a default), and the rest.
    /// - `bucket:FEATURE`: a part for each bucket of a number.
    /// - `label:LABEL`: rows where a label is positive, is not, and is unknown; a label may be any expression.
    ///
    /// # Errors
    /// [`Kind::Description`] for an unknown slice or feature, with those that there are.
    pub fn pick(&self, rows: &[u32], slice: &str) -> Result<Vec<Part>> {
        let Self {
            d,
            raw,
            features,
            sides,
            ..
        } = *self;
        if slice == "new-user" {
            return self.new_user(rows);
        }
        let wrong = |message: String| Err(Error::new(Kind::Description, message));
        let (kind, name) = slice.split_once(':').unwrap_or((slice, ""));
        if kind == "label" {
            return self.label(rows, name);
        }
        let has_vocabulary = |f: usize| {
            let f = &d.toml.feature[f];
            let table = d.toml.table.iter().find(|t| t.name.get_ref() == f.table());
            let shared = d.toml.feature.iter().filter(|g| g.table() == f.table());
            let own = shared.filter_map(|g| g.vocabulary).next();
            matches!(f.kind, FeatureKind::Id | FeatureKind::Cross)
                && (own.is_some() || table.is_some_and(|t| t.vocabulary.is_some()))
        };
        let fits: &dyn Fn(usize) -> bool = match kind {
            "unseen" => &has_vocabulary,
            "bucket" => &|f| d.toml.feature[f].buckets.is_some(),
            _ => return wrong(format!("unknown slice \"{slice}\"; {SLICES}")),
        };
        let names = (0..features.len()).filter(|f| fits(*f));
        let names = names.map(|f| d.toml.feature[f].name.get_ref().as_str());
        let Some(feature) = d.feature(name).filter(|f| *f < features.len() && fits(*f)) else {
            let what = match (kind, d.feature(name)) {
                (_, None) => format!("no feature \"{name}\" to slice by"),
                ("unseen", _) => format!("\"{name}\" is no id with a vocabulary"),
                _ => format!("\"{name}\" is no number with buckets"),
            };
            return wrong(format!("{what}{}", near_misses(name, names)));
        };
        let values = match &features[feature] {
            FeatureData::Rows(ids) => ids,
            FeatureData::Numbers { buckets, .. } => buckets,
            _ => return wrong(format!("\"{name}\" has nothing to slice by")),
        };
        let user = sides[feature] == Side::User;
        let part = |row: u32| {
            let row = row as usize;
            values[if user { raw.request[row] as usize } else { row }]
        };
        if kind == "unseen" {
            let title = |seen| match seen {
                false => format!("{name}: unseen in training"),
                true => format!("{name}: seen"),
            };
            return Ok(parts(rows, |row| part(row) != 0, title));
        }
        Ok(parts(rows, part, |bucket| match bucket {
            0 => format!("{name}: missing"),
            bucket => format!("{name}: bucket {bucket}"),
        }))
    }

    fn label(&self, rows: &[u32], name: &str) -> Result<Vec<Part>> {
        let Some(label) = self.d.label(name) else {
            let names = self.d.toml.label.iter().map(|l| l.name.get_ref().as_str());
            let near = near_misses(name, names);
            let message = format!("no label \"{name}\" to slice by{near}");
            return Err(Error::new(Kind::Description, message));
        };
        let values = &self.raw.labels[label].values;
        let kind = |row: u32| match values[row as usize] {
            x if x.is_nan() => 2,
            x => u8::from(x <= 0.0),
        };
        Ok(parts(rows, kind, |kind| {
            let which = ["positive", "not positive", "unknown"];
            format!("{name}: {}", which[usize::from(kind)])
        }))
    }

    fn new_user(&self, rows: &[u32]) -> Result<Vec<Part>> {
        let Self { d, raw, split, .. } = *self;
        if d.toml.data.user.is_none() {
            let message = "slice \"new-user\" needs [data] user";
            return Err(Error::in_file(Kind::Description, &d.file, message));
        }
        let user_of = |row: u32| raw.user[raw.request[row as usize] as usize];
        let mut reported = vec![false; raw.rows()];
        split
            .validation
            .iter()
            .for_each(|r| reported[*r as usize] = true);
        let training = (0..raw.rows() as u32).filter(|r| !reported[*r as usize]);
        let known: BTreeSet<u64> = training.map(user_of).collect();
        let kind = |row| match user_of(row) {
            RawLog::NOBODY => 2,
            user => u8::from(known.contains(&user)),
        };
        Ok(parts(rows, kind, |kind| {
            let which = ["no row in training", "in training", "missing"];
            format!("user: {}", which[usize::from(kind)])
        }))
    }
}

/// Rows by what `of` says of them, in its order.
fn parts<K: Ord + Copy>(
    rows: &[u32],
    of: impl Fn(u32) -> K,
    title: impl Fn(K) -> String,
) -> Vec<Part> {
    let mut parts: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        parts.entry(of(*row)).or_default().push(i);
    }
    let parts = parts.into_iter();
    parts.map(|(of, picked)| (title(of), picked)).collect()
}
