//! What a feature is: where its value comes from, how it becomes input bytes, and the table that it looks in.

use serde::{Deserialize, Serialize};

use super::Dtype;
#[cfg(doc)]
use super::{Input, Spec, limits};

/// How long a feature's value stays the same, and so what may be computed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The same for the whole request: computed once.
    User,
    /// Belongs to the candidate alone and is stable: its sums may be kept between requests.
    Item,
    /// Belongs to the candidate in this request: age, server score, position.
    Candidate,
    /// Derived from both sides: never hoisted or kept.
    Cross,
}

impl Side {
    /// The sides in the order in which their first-layer sums are added.
    pub const ALL: [Side; 4] = [Side::User, Side::Item, Side::Candidate, Side::Cross];

    /// Its name in a description.
    pub fn name(self) -> &'static str {
        match self {
            Side::User => "user",
            Side::Item => "item",
            Side::Candidate => "candidate",
            Side::Cross => "cross",
        }
    }
}

/// How a list of rows becomes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pooling {
    /// (Weighted) mean; the zero vector for an empty list.
    Mean,
    /// (Weighted) sum; the zero vector for an empty list.
    Sum,
}

/// How fast an event is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decay {
    /// Never.
    None,
    /// Weight halves every so many 1/256 events of the same counter.
    Events(u32),
    /// Weight halves every so many seconds.
    Seconds(u32),
}

/// What becomes of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// left x right.
    Product,
    /// left - right.
    Difference,
    /// left / right; missing if right is 0.
    Ratio,
}

/// Where a feature's raw value comes from. Feature and label references are indices into [`Spec`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// The app sends it as a column.
    Column,
    /// The ids of two earlier `id` features or bucketed numbers, hashed together. Missing if either is.
    Cross {
        /// Feature index.
        left: u8,
        /// Feature index.
        right: u8,
    },
    /// The ids of feature `key` in the user's last `len` events whose `label` was positive, newest first.
    LastIds {
        /// Label index.
        label: u8,
        /// Feature index.
        key: u8,
        /// Ids kept, 1..=[`limits::IDS`].
        len: u16,
    },
    /// Number of the user's events whose `label` was positive.
    Count {
        /// Label index.
        label: u8,
    },
    /// Decayed mean of `label`: (sum + prior x strength) / (weight + strength).
    Rate {
        /// Label index.
        label: u8,
        /// Forgetting.
        decay: Decay,
        /// Mean before any event.
        prior: f32,
        /// Events that the prior is worth.
        strength: f32,
    },
    /// As `Rate`, kept apart for each bucket of the ids of feature `key`, read at the candidate's own id.
    KeyRate {
        /// Label index.
        label: u8,
        /// Feature index; an `id` feature, or a `number` with buckets.
        key: u8,
        /// Buckets, 1..=[`limits::KEY_BUCKETS`].
        buckets: u16,
        /// Forgetting.
        decay: Decay,
        /// Mean before any event.
        prior: f32,
        /// Events that the prior is worth.
        strength: f32,
    },
    /// Seconds since the last event whose `label` was positive; missing before the first.
    Since {
        /// Label index.
        label: u8,
    },
    /// `label` of the last event that had it; missing before the first.
    Previous {
        /// Label index.
        label: u8,
    },
    /// One number of the raw values of two earlier ones, which are not of this source themselves. Missing if either is.
    Combine {
        /// Feature index.
        left: u8,
        /// Feature index.
        right: u8,
        /// Operation.
        operation: Operation,
    },
    /// The rows of list `of`, pooled with weights that the candidate decides: softmax over the list of the dot products of
    /// projections of its rows (keys) and of the row of `query`, which is one of the same table (target attention: Zhou et
    /// al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018, with the scaled dot product of Vaswani et
    /// al., 2017, as activation unit). Needs the section of projections, and feature `attention` of the library.
    Attention {
        /// Feature index of a list of the user.
        of: u8,
        /// Feature index of an id of the candidate.
        query: u8,
        /// Values of a key and of a query, 1..=[`limits::ATTENTION_DIM`].
        dim: u16,
    },
}

impl Source {
    /// Features whose values it is made of, by their ids or numbers. Attention takes rows.
    pub fn parts(&self) -> [Option<u8>; 2] {
        match *self {
            Source::Cross { left, right } | Source::Combine { left, right, .. } => {
                [Some(left), Some(right)]
            }
            Source::KeyRate { key, .. } => [Some(key), None],
            _ => [None; 2],
        }
    }
}

/// A number's way to the network: clip to `[low, high]`, `log1p` if asked, then `(x - shift) * scale`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    /// Least raw value kept.
    pub low: f32,
    /// Largest raw value kept.
    pub high: f32,
    /// Apply ln(1 + x); needs `low > -1`.
    pub log1p: bool,
    /// Subtracted.
    pub shift: f32,
    /// Multiplied.
    pub scale: f32,
}

#[cfg(feature = "std")]
impl Transform {
    /// Values of [0, 1] as they are.
    pub const UNIT: Self = Self {
        low: 0.0,
        high: 1.0,
        log1p: false,
        shift: 0.0,
        scale: 1.0,
    };
}

/// The u7 grid of a vector's bytes: value = (byte - zero_point) / inv_scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Steps per unit, positive and finite.
    pub inv_scale: f32,
    /// The byte that means 0, 0..=127.
    pub zero_point: u8,
}

/// The grid of a number's value, `bytes` times finer than one byte: steps = clamp(round(x * inv_scale) + zero_point, 0,
/// 127 * bytes), and byte j is floor((steps + j) / bytes), j = 0..bytes. The bytes add up to the steps (Hermite's
/// identity), so that equal weights on them are one weight on a finer value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberGrid {
    /// Steps per unit, positive and finite.
    pub inv_scale: f32,
    /// The steps that mean 0, 0..=127 * `bytes`.
    pub zero_point: u16,
    /// Input bytes, 1..=[`limits::NUMBER_BYTES`].
    pub bytes: u8,
}

/// How a raw value becomes input bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Encoding {
    /// One id: one embedding row.
    Row {
        /// Table index.
        table: u8,
        /// Row of a missing id.
        default_row: u32,
    },
    /// A list of ids: pooled rows.
    Rows {
        /// Table index.
        table: u8,
        /// Ids used; later ones are dropped, 1..=[`limits::IDS`].
        max_len: u16,
        /// How rows become one.
        pooling: Pooling,
        /// The app sends a weight in [0, 1] with each id.
        weighted: bool,
        /// `Sum` only: the pooled byte is the zero point + (sum of (byte - zero point)) / `divisor`, so that the
        /// pooled value's scale is the table's times `divisor`. 1 for `Mean`.
        divisor: u16,
    },
    /// A number: its value as one input, its bucket as an embedding row, or both.
    Number {
        /// Raw value to network value.
        transform: Transform,
        /// Raw value of a missing number.
        default: f32,
        /// Grid of the value, if it is an input.
        value: Option<NumberGrid>,
        /// Table of bucket rows, if any: row 0 is "missing", row 1 + i the i-th bucket.
        buckets: Option<u8>,
    },
    /// Bytes on the grid of the exporter, sent with the request; the zero vector if missing.
    Vector {
        /// Bytes, 1..=[`limits::EMBEDDING_DIM`].
        dim: u16,
        /// The grid that all of them share.
        grid: Grid,
    },
}

/// One feature. [`Spec::features`] holds them in the order of the request's columns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feature<'a> {
    /// Unique name.
    #[serde(borrow)]
    pub name: &'a str,
    /// What it depends on.
    pub side: Side,
    /// Where its raw value comes from.
    pub source: Source,
    /// How it enters the network.
    pub encoding: Encoding,
}

/// How the ids of a table are written in logs and requests. An int and its decimal text never alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdType {
    /// 64-bit integers: XXH3-64 of the 8 little-endian bytes.
    Int,
    /// UTF-8 text: XXH3-64 of its bytes.
    Text,
}

/// How a table finds the row of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lookup {
    /// The rows are a number's buckets.
    Buckets,
    /// Row 0 for a missing id, else 1 + hash x (num_embeddings - 1) / 2^64.
    Hash(IdType),
    /// Row 0 for ids outside the vocabulary (and missing ones, unless the feature has a default).
    Vocabulary(IdType),
}

/// One embedding table, `[num_embeddings, embedding_dim]`; features may share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table<'a> {
    /// Unique name.
    #[serde(borrow)]
    pub name: &'a str,
    /// Rows, 1..=[`limits::NUM_EMBEDDINGS`]; at least 2 if ids are hashed.
    pub num_embeddings: u32,
    /// Values of a row, 1..=[`limits::EMBEDDING_DIM`].
    pub embedding_dim: u16,
    /// Bits of a value in the file: 8, or 4 with two values a byte ([`Dtype::U4`]).
    pub bits: u8,
    /// How ids find rows.
    pub lookup: Lookup,
}

impl Table<'_> {
    /// Bits of a value of a packed table.
    pub const PACKED: u8 = 4;
    /// Bits of a value of any other.
    pub const WHOLE: u8 = 8;

    /// Whether two values share a byte.
    pub fn is_packed(&self) -> bool {
        self.bits == Self::PACKED
    }

    /// Element type of its rows in the file.
    pub fn dtype(&self) -> Dtype {
        if self.is_packed() {
            Dtype::U4
        } else {
            Dtype::U7
        }
    }

    /// Bytes of one embedding, a group's part of a row, in the file.
    pub fn embedding_bytes(&self) -> usize {
        let dim = usize::from(self.embedding_dim);
        if self.is_packed() {
            dim.div_ceil(2)
        } else {
            dim
        }
    }
}

/// One run of a feature's inputs; see [`Input`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes.
    pub dim: usize,
    /// Inputs of the f32 network.
    pub values: usize,
    /// The table that the bytes come from.
    pub table: Option<usize>,
}

impl Encoding {
    /// The inputs of one feature, in order: a number's value comes before its bucket.
    pub fn parts(&self, tables: &[Table<'_>]) -> [Option<Part>; 2] {
        let part = |dim: usize, values: usize, table| Part { dim, values, table };
        let row = |table: u8| {
            let table = usize::from(table);
            let dim = tables
                .get(table)
                .map_or(0, |t| usize::from(t.embedding_dim));
            part(dim, dim, Some(table))
        };
        match *self {
            Encoding::Row { table, .. } | Encoding::Rows { table, .. } => [Some(row(table)), None],
            Encoding::Number { value, buckets, .. } => [
                value.map(|grid| part(usize::from(grid.bytes), 1, None)),
                buckets.map(row),
            ],
            Encoding::Vector { dim, .. } => {
                let dim = usize::from(dim);
                [Some(part(dim, dim, None)), None]
            }
        }
    }
}
