//! The log in memory after the feature pass: rows of tables, numbers and labels, ready for batches.
use std::prelude::v1::*;

/// A log. Data of `user` features are stored once a request, everything else once a row (an impression); rows of one
/// request are consecutive.
#[derive(Debug, Default)]
pub struct Dataset {
    /// By feature index of the spec.
    pub features: Vec<FeatureData>,
    /// Request of each row, never decreasing.
    pub request: Vec<u32>,
    /// Time of each request, Unix seconds.
    pub time: Vec<i64>,
    /// By task index of the spec.
    pub tasks: Vec<TaskData>,
    /// Group of each row for GAUC.
    pub gauc_group: Vec<u32>,
    /// Line of the log that each row came from, counted from 1 with the header as line 1.
    pub line: Vec<u64>,
}

/// Values of one feature.
#[derive(Debug)]
pub enum FeatureData {
    /// Rows of the feature's table.
    Rows(Vec<u32>),
    /// Lists of rows: list `i` is `rows[offsets[i]..offsets[i + 1]]`.
    Lists {
        /// Number of lists + 1.
        offsets: Vec<u32>,
        /// All lists, one after the other, each cut to the feature's `max_len`.
        rows: Vec<u32>,
        /// Weights in Q15 (32768 is 1), if the feature has them.
        weights: Option<Vec<u16>>,
    },
    /// A number.
    Numbers {
        /// In network units: after the transform. Empty if the value is no input.
        values: Vec<f32>,
        /// Rows of the bucket table. Empty if it has none.
        buckets: Vec<u32>,
    },
    /// `dim` bytes a value, on the feature's grid.
    Vectors(Vec<u8>),
}

/// Labels of one task.
#[derive(Debug, Default)]
pub struct TaskData {
    /// Binary: 0 or 1. Duration: the raw value (seconds). 0 where the weight is 0.
    pub labels: Vec<f32>,
    /// Weight of the row in the task's loss; 0 outside its sample space.
    pub weights: Vec<f32>,
}

/// Which rows do what. Lists of row indices in log order; whole requests stay together.
#[derive(Debug, Default)]
pub struct Split {
    /// Rows that gradients come from.
    pub train: Vec<u32>,
    /// Rows held out of training for early stopping; may be empty, or equal `validation`.
    pub stop: Vec<u32>,
    /// Rows that are reported on.
    pub validation: Vec<u32>,
}
