//! What a model is: every feature, table, layer, task and limit, in one place.
//!
//! These records are the metadata of the model file ([`crate::format`]) and the plan of everything else: allocation
//! and gradients of the trainer, the quantizer, the order of tensors in the file, the sizes of scratch and what
//! `inspect` prints are walks over a [`Spec`], so none of them can drift from another.

mod check;
mod contents;
mod feature;
mod network;
mod tensors;

pub use check::weight_is_valid;
#[cfg(feature = "quantile")]
pub(crate) use contents::rows_never_fall;
pub(crate) use contents::{
    biases_are_valid, boundaries_are_valid, fed_weights_are_valid, knots_are_valid,
    packed_ends_are_zero, panel_edges_are_zero, scales_are_valid, steps_are_valid,
};

pub use feature::{
    Decay, Encoding, Feature, Grid, IdType, Lookup, NumberGrid, Operation, Part, Pooling, Side,
    Source, Table, Transform,
};
pub use tensors::{Dtype, GROUP, Layer, PANEL, Projection, Tensor, TensorSection, padded};

use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Bounds on every count of a model. A file that exceeds one is refused before the count is used.
pub mod limits {
    /// Features of a model.
    pub const FEATURES: usize = 128;
    /// Embedding tables.
    pub const TABLES: usize = 64;
    /// Labels that feed user state.
    pub const LABELS: usize = 32;
    /// Tasks.
    pub const TASKS: usize = 16;
    /// Experts.
    pub const EXPERTS: usize = 16;
    /// Hidden layers of an expert or a tower.
    pub const LAYERS: usize = 4;
    /// Hidden layers of a gate.
    pub const GATE_LAYERS: usize = 2;
    /// Knots of an isotonic calibration.
    pub const KNOTS: usize = 32;
    /// Outputs of one hidden layer.
    pub const WIDTH: usize = 1024;
    /// Logits of one task.
    pub const LOGITS: usize = 32;
    /// Terms of the fusion.
    pub const TERMS: usize = 32;
    /// Input bytes of one side.
    pub const SIDE_INPUTS: usize = 8192;
    /// Input bytes of one number.
    pub const NUMBER_BYTES: usize = 8;
    /// Values of one embedding row.
    pub const EMBEDDING_DIM: usize = 256;
    /// Rows of one embedding table.
    pub const NUM_EMBEDDINGS: usize = 1 << 24;
    /// Ids of one list, history included.
    pub const IDS: usize = 256;
    /// Features that attend to lists.
    pub const ATTENTIONS: usize = 8;
    /// Values of a key and of a query of such a feature.
    pub const ATTENTION_DIM: usize = 64;
    /// Buckets of one number.
    pub const BUCKETS: usize = 255;
    /// Buckets of a rate by key.
    pub const KEY_BUCKETS: usize = 1024;
    /// Candidates of one request.
    pub const CANDIDATES: usize = 4096;
    /// Bytes of a name or unit.
    pub const NAME_BYTES: usize = 64;
    /// Bytes of a model file.
    pub const FILE_BYTES: usize = (1 << 31) - 1;
    /// Bytes of one user's state.
    pub const STATE_BYTES: usize = 1 << 16;

    // An i32 sum must hold K activations of 127 against weights of 127, and the folded zero points of the same size.
    const _: () = assert!(2 * SIDE_INPUTS * 127 * 127 <= i32::MAX as usize);
}

/// A label that feeds the user state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label<'a> {
    /// Unique name.
    #[serde(borrow)]
    pub name: &'a str,
    /// State keeps ln(1 + value) instead of the value.
    pub log1p: bool,
}

/// Widths of the hidden layers of an expert or a tower.
pub type Layers = Vec<u16, { limits::LAYERS }>;

/// Which network joins inputs and towers. An expert is a stack of dense + ReLU on the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkKind {
    /// Multi-gate mixture of experts (Ma et al., KDD 2018): every task's gate mixes all experts.
    Mmoe,
    /// One expert, which every tower reads (Caruana 1997).
    SharedBottom,
    /// An expert for each task on shared embeddings: only those are shared.
    SharedEmbedding,
    /// An expert for each task on embeddings of its own: as many models in one file. A row of a table holds the
    /// embeddings of all tasks, one behind the other.
    Single,
    /// Progressive layered extraction of two levels (Tang et al., RecSys 2020, section 4.2), each of
    /// [`Network::num_experts`]. On the inputs there is a gate for each task and, behind them, one more: the shared gate.
    /// An expert of the second level is a stack of the same widths on one of their mixtures, and so is a task's gate, on
    /// the task's; the tower reads what that mixes. Gates are [`Gate::Softmax`].
    #[cfg(feature = "levels")]
    Progressive {
        /// The last experts, of each task so many, read the task's mixture; those before them, at least one, that of the
        /// shared gate.
        own: u8,
    },
}

/// What a gate makes of its last layer's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gate {
    /// One output an expert, through softmax.
    Softmax,
    /// The outputs are the task's query, as wide as an expert's output; softmax of its dot products with the experts'
    /// outputs. The file's query is scaled by 1 / sqrt(width) already.
    Attention,
}

/// The shared part: experts and, in an MMoE, a gate per task over them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its kind.
    pub kind: NetworkKind,
    /// Experts, 1..=[`limits::EXPERTS`]; 1 for [`NetworkKind::SharedBottom`], one a task where each task has its own.
    pub num_experts: u8,
    /// Widths of an expert's layers, at least one.
    pub expert_layers: Layers,
    /// Kind of the gates.
    pub gate: Gate,
    /// Widths of a gate's hidden layers, at most [`limits::GATE_LAYERS`]; none without gates.
    pub gate_layers: Layers,
}

/// What a task's logits mean. All but [`TaskKind::Binary`] are quantities in the task's unit, at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskKind {
    /// score = sigmoid(logit): a probability.
    Binary,
    /// score = (exp(logit) - 1) x score_scale, at least 0: a duration.
    Duration,
    /// score = exp(logit) x score_scale: the odds of a logistic regression whose positives weigh what they are worth
    /// (Covington et al., RecSys 2016, section 4.2).
    Odds,
    /// score = (sum over m of step_m x sigmoid(logit_m)) x score_scale: logit m is that of a value above threshold m, and
    /// step m what being above it is worth (Sun et al., AAAI 2024).
    Steps {
        /// Thresholds, 1..=[`limits::LOGITS`].
        thresholds: u8,
        /// One sum for all logits, which differ by their biases alone, so that they are in order (proportional odds;
        /// McCullagh 1980). Otherwise each logit has weights of its own.
        ordered: bool,
    },
    /// score = Q(sigmoid(logit)) x score_scale, with Q the quantiles of the task within the candidate's group, linear between
    /// knots at equal distances from 0 to 1 (Zhan et al., KDD 2022).
    #[cfg(feature = "quantile")]
    Quantile {
        /// The number whose row of its bucket table, that of missing ones included, is a candidate's group; of side item or
        /// candidate.
        feature: u8,
        /// Knots of each group, 2..=[`limits::KNOTS`].
        knots: u8,
    },
}

impl TaskKind {
    /// Whether the score is a probability.
    pub fn is_binary(self) -> bool {
        self == TaskKind::Binary
    }

    /// Logits of the head, and so its biases.
    pub fn logits(self) -> usize {
        match self {
            TaskKind::Steps { thresholds, .. } => usize::from(thresholds),
            _ => 1,
        }
    }

    /// Rows of the head's weights in the file.
    pub fn head_rows(self) -> usize {
        match self {
            TaskKind::Steps { ordered: true, .. } => 1,
            kind => kind.logits(),
        }
    }
}

/// What a tower is fed of another task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FedValue {
    /// Its logit (before calibration), within [-30, 30].
    Logit,
    /// The sigmoid of that.
    Probability,
}

/// An input of a tower, beside its mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fed {
    /// Task index.
    pub task: u8,
    /// What of it.
    pub value: FedValue,
}

/// From the logit of a binary task to its calibrated probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Calibration {
    /// sigmoid(logit).
    None,
    /// sigmoid(scale x logit + offset) (Platt 1999); a temperature is 1 / scale with offset 0.
    Platt {
        /// Positive.
        scale: f32,
        /// Added.
        offset: f32,
    },
    /// Linear between knots (logit, probability), flat outside: an isotonic regression.
    Isotonic {
        /// Knots, 2..=[`limits::KNOTS`].
        knots: u8,
    },
}

/// One task: a gate, a tower of dense + ReLU over its mixture, and a head with one logit, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task<'a> {
    /// Unique name.
    #[serde(borrow)]
    pub name: &'a str,
    /// Unit of the score ("probability", "s", ...).
    #[serde(borrow)]
    pub unit: &'a str,
    /// Meaning of the logit.
    pub kind: TaskKind,
    /// The binary task whose positives are this task's sample space: the score is conditional on it, and its
    /// per-impression ("entire") value is score x that task's entire value. `None`: the score is per impression.
    pub given: Option<u8>,
    /// Widths of the tower's layers; none is allowed.
    pub tower_layers: Layers,
    /// What the tower's first layer (without layers: the head) reads of other tasks; no cycles.
    pub inputs: Vec<Fed, { limits::TASKS }>,
    /// From logit to score, for binary tasks.
    pub calibration: Calibration,
    /// Factor on a score that is no probability.
    pub score_scale: f32,
}

/// One term of the fusion: weight x (conditional or entire) score of a task.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term<'a> {
    /// Unique name by which the app changes the weight.
    #[serde(borrow)]
    pub name: &'a str,
    /// Task index.
    pub task: u8,
    /// Use the score per impression (multiplied by the scores it is conditional on) instead of the conditional one.
    pub entire: bool,
    /// Weight, |weight| <= 1e6.
    pub weight: f32,
}

/// A whole model without its numbers.
#[derive(Clone, Debug, Default)]
pub struct Spec<'a> {
    /// The model's own name.
    pub name: &'a str,
    /// Features, in column order.
    pub features: Vec<Feature<'a>, { limits::FEATURES }>,
    /// Embedding tables.
    pub tables: Vec<Table<'a>, { limits::TABLES }>,
    /// Labels of the user state.
    pub labels: Vec<Label<'a>, { limits::LABELS }>,
    /// Shared network.
    pub network: Network,
    /// Tasks; a task's `given` names an earlier one.
    pub tasks: Vec<Task<'a>, { limits::TASKS }>,
    /// Fusion.
    pub fusion: Vec<Term<'a>, { limits::TERMS }>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            kind: NetworkKind::Mmoe,
            num_experts: 0,
            expert_layers: Layers::new(),
            gate: Gate::Softmax,
            gate_layers: Layers::new(),
        }
    }
}

/// One run of input bytes of a side: a number's value, an embedding, a pooled list or a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// Feature index.
    pub feature: usize,
    /// Its side.
    pub side: Side,
    /// First byte within the side's inputs.
    pub offset: usize,
    /// Bytes.
    pub dim: usize,
    /// Inputs of the f32 network: as many as bytes, but one for a number's value.
    pub values: usize,
    /// The table that the bytes come from; `None` for a number's value and for a vector.
    pub table: Option<usize>,
}

/// What a feature of [`Source::Attention`] is made of.
#[cfg(feature = "attention")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Feature index of the list.
    pub of: usize,
    /// Feature index of the candidate's id.
    pub query: usize,
    /// Values of a key and of a query.
    pub dim: usize,
    /// The table of both.
    pub table: u8,
    /// Values of its rows.
    pub width: usize,
    /// Rows of the list at most.
    pub max_len: usize,
}

impl<'a> Spec<'a> {
    /// Walks the inputs of one side in the order of their bytes.
    pub fn inputs(&self, side: Side) -> impl Iterator<Item = Input> + '_ {
        self.features
            .iter()
            .enumerate()
            .filter(move |(_, f)| f.side == side)
            .flat_map(|(i, f)| {
                f.encoding
                    .parts(&self.tables)
                    .into_iter()
                    .flatten()
                    .map(move |p| (i, p))
            })
            .scan(0, move |offset, (feature, part)| {
                let Part { dim, values, table } = part;
                let input = Input {
                    feature,
                    side,
                    offset: *offset,
                    dim,
                    values,
                    table,
                };
                *offset += dim;
                Some(input)
            })
    }

    /// Whether another feature is made of this one's column: a cross, a combined number, a rate by key.
    pub fn is_part(&self, feature: usize) -> bool {
        let is = |part: Option<u8>| part.map(usize::from) == Some(feature);
        self.features
            .iter()
            .any(|f| f.source.parts().map(is).contains(&true))
    }

    /// Whether the quantiles of a task are within groups by this number: its column is read for every candidate, also where
    /// item sums were kept.
    #[cfg(feature = "quantile")]
    pub fn is_grouping(&self, feature: usize) -> bool {
        let mut kinds = self.tasks.iter().map(|t| t.kind);
        kinds.any(
            |k| matches!(k, TaskKind::Quantile { feature: f, .. } if usize::from(f) == feature),
        )
    }

    /// Input bytes of one side, without padding.
    pub fn side_inputs(&self, side: Side) -> usize {
        self.inputs(side).map(|i| i.dim).sum()
    }

    /// Groups that a bucketed number of side item or candidate puts candidates into, as many as its bucket table has rows; 0 of
    /// any other feature: a user's number would be the same group for all.
    #[cfg(feature = "quantile")]
    #[inline(never)]
    pub fn num_groups(&self, feature: u8) -> usize {
        let feature = self.features.get(usize::from(feature));
        let table = feature.and_then(|f| match (f.side, f.encoding) {
            (Side::Item | Side::Candidate, Encoding::Number { buckets, .. }) => buckets,
            _ => None,
        });
        let table = table.and_then(|t| self.tables.get(usize::from(t)));
        table.map_or(0, |t| t.num_embeddings as usize)
    }

    /// Inputs of the f32 network on one side.
    pub fn side_values(&self, side: Side) -> usize {
        self.inputs(side).map(|i| i.values).sum()
    }

    /// Features that attend to lists, with their index, in order.
    #[cfg(feature = "attention")]
    pub fn attentions(&self) -> impl Iterator<Item = (usize, Attention)> + '_ {
        let all = 0..self.features.len();
        all.filter_map(|feature| Some((feature, self.attention(feature)?)))
    }

    /// Feature number `feature` if it attends to a list.
    // One copy of it: each of the walks above would have its own.
    #[cfg(feature = "attention")]
    #[inline(never)]
    pub fn attention(&self, feature: usize) -> Option<Attention> {
        let f = self.features.get(feature)?;
        match (f.source, f.encoding) {
            (Source::Attention { of, query, dim }, Encoding::Rows { table, max_len, .. }) => {
                Some(Attention {
                    of: usize::from(of),
                    query: usize::from(query),
                    dim: usize::from(dim),
                    table,
                    width: self.tables.get(usize::from(table))?.embedding_dim.into(),
                    max_len: usize::from(max_len),
                })
            }
            _ => None,
        }
    }

    /// Index of the feature called `name`.
    pub fn feature(&self, name: &str) -> Option<usize> {
        self.features.iter().position(|f| f.name == name)
    }

    /// Index of the task called `name`.
    pub fn task(&self, name: &str) -> Option<usize> {
        self.tasks.iter().position(|t| t.name == name)
    }
}
