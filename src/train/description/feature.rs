//! `[[table]]` and `[[feature]]`.
use std::prelude::v1::*;

use serde::Deserialize;

use super::{Named, OneOrMore, choice};
use crate::spec::{Operation, Pooling, Side};

/// How ids of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdKind {
    /// Integers.
    Int,
    /// Text.
    String,
}

/// `vocabulary = { .. }`
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VocabularyOptions {
    /// Least count in the training part.
    #[serde(default = "one_count")]
    pub min_count: u64,
    /// Least number of users who have it in the training part; the rows of ids that fewer have would be of them alone.
    #[serde(default)]
    pub min_users: u32,
    /// Most ids.
    pub max: Option<u64>,
}

/// `[[table]]`, and the same keys of a feature that declares its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Unique name.
    pub name: Named,
    /// Values of a row.
    pub dim: u16,
    /// Vocabulary of the training part, or ...
    pub vocabulary: Option<VocabularyOptions>,
    /// ... so many hash rows.
    pub hash: Option<u32>,
    /// How ids are written.
    pub id_type: Option<IdKind>,
    /// Bits of a value in the file.
    pub bits: Option<u8>,
    /// Whether its rows stay out of the file: the server sends them.
    #[serde(default)]
    pub server: bool,
}

/// What a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// One id.
    Id,
    /// A list of ids.
    Ids,
    /// A number.
    Number,
    /// Bytes on a stated grid.
    Vector,
    /// Two ids hashed together.
    Cross,
    /// Last ids with a positive label.
    LastIds,
    /// Events with a positive label.
    Count,
    /// Decayed mean of a label.
    Rate,
    /// The same for each bucket of a key.
    KeyRate,
    /// Seconds since the last positive label.
    Since,
    /// The last label.
    Previous,
    /// Two numbers made one.
    Combine,
    /// A list of the user, weighed by an id of the candidate.
    Attention,
}

impl FeatureKind {
    /// Whether its raw value is a number.
    pub fn is_number(self) -> bool {
        use FeatureKind::{Combine, Count, KeyRate, Number, Previous, Rate, Since};
        matches!(
            self,
            Number | Count | Rate | KeyRate | Since | Previous | Combine
        )
    }

    /// Whether it comes from the user's earlier events.
    pub fn is_derived(self) -> bool {
        use FeatureKind::{Count, KeyRate, LastIds, Previous, Rate, Since};
        matches!(self, LastIds | Count | Rate | KeyRate | Since | Previous)
    }

    /// Whether the feature pass makes its raw value: the log has no column of it.
    pub fn is_computed(self) -> bool {
        self.is_derived() || self == Self::Combine
    }
}

/// A step of a number's way to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransformStep {
    /// ln(1 + x).
    Log1p,
    /// (x - mean) / standard deviation.
    Standardize,
    /// (x - min) / (max - min).
    Minmax,
}

/// An id as a TOML value.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum DefaultValue {
    /// A number, or an integer id.
    Number(f64),
    /// A text id.
    Text(String),
}

/// `[[feature]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Unique name.
    pub name: Named,
    /// What it depends on; derived kinds and crosses know it.
    #[serde(default, deserialize_with = "side")]
    pub side: Option<Side>,
    /// What it is.
    pub kind: FeatureKind,
    /// Known in training alone: read by the tower of `[position_bias]`, and not in the exported file.
    #[serde(default)]
    pub train_only: bool,
    /// What it is measured together with by `importance`; its own name if absent.
    pub group: Option<String>,
    /// Its column; the name if absent.
    pub column: Option<Named>,
    /// How ids are written.
    pub id_type: Option<IdKind>,
    /// Its table; the name if absent.
    pub table: Option<Named>,
    /// Values of a row (of ids or buckets), or bytes of a vector.
    pub dim: Option<u16>,
    /// Vocabulary of its table.
    pub vocabulary: Option<VocabularyOptions>,
    /// Hash rows of its table.
    pub hash: Option<u32>,
    /// Rows of its table that an id is the sum of: 1, or 2 by two independent hashes.
    pub hashes: Option<u8>,
    /// Whether the description does not have it: the second hash of an id with `hashes = 2`.
    #[serde(skip)]
    pub is_second_hash: bool,
    /// Bits of a value of its table in the file.
    pub bits: Option<u8>,
    /// Whether its table stays out of the file: the server sends its rows.
    pub server: Option<bool>,
    /// For missing values: a number, or an id.
    pub default: Option<DefaultValue>,
    /// Between the ids of a cell.
    pub separator: Option<String>,
    /// Ids used.
    pub max_len: Option<u16>,
    /// How rows become one.
    #[serde(default, deserialize_with = "pooling")]
    pub pooling: Option<Pooling>,
    /// Column of weights.
    pub weights: Option<Named>,
    /// Steps of a number.
    pub transform: Option<Vec<TransformStep>>,
    /// Least and largest raw value.
    pub clip: Option<[f32; 2]>,
    /// Whether the number itself is an input.
    pub value: Option<bool>,
    /// Input bytes of the number itself.
    pub bytes: Option<u8>,
    /// Quantile buckets.
    pub buckets: Option<u16>,
    /// Steps a unit of a vector: its scale.
    pub scale: Option<f32>,
    /// Byte of a vector that means 0.
    pub zero_point: Option<u8>,
    /// The features of a cross or of a combined number, the key of `last_ids`, or the list that is attended to.
    pub of: Option<OneOrMore>,
    /// What becomes of two numbers.
    #[serde(default, deserialize_with = "operation")]
    pub op: Option<Operation>,
    /// The id that attends.
    pub query: Option<Named>,
    /// Values of its keys and queries.
    pub attention_dim: Option<u16>,
    /// The label of a derived feature.
    pub label: Option<Named>,
    /// The key of a rate by key.
    pub key: Option<Named>,
    /// Its buckets.
    pub key_buckets: Option<u16>,
    /// Forgetting, in events.
    pub half_life_events: Option<f64>,
    /// Forgetting, in seconds.
    pub half_life_seconds: Option<u32>,
    /// Rate before any event; the label's mean in training if absent.
    pub prior: Option<f32>,
    /// Events that the prior is worth.
    pub strength: Option<f32>,
}

impl Feature {
    /// Its column in the log.
    pub fn column(&self) -> &str {
        self.column.as_ref().unwrap_or(&self.name).get_ref()
    }
    /// The name of its table.
    pub fn table(&self) -> &str {
        self.table.as_ref().unwrap_or(&self.name).get_ref()
    }
}

fn one_count() -> u64 {
    1
}

fn side<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Side>, D::Error> {
    choice(
        d,
        &[
            ("user", Side::User),
            ("item", Side::Item),
            ("candidate", Side::Candidate),
            ("cross", Side::Cross),
        ],
    )
    .map(Some)
}
fn operation<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Operation>, D::Error> {
    choice(
        d,
        &[
            ("product", Operation::Product),
            ("difference", Operation::Difference),
            ("ratio", Operation::Ratio),
        ],
    )
    .map(Some)
}
fn pooling<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Pooling>, D::Error> {
    choice(d, &[("mean", Pooling::Mean), ("sum", Pooling::Sum)]).map(Some)
}
