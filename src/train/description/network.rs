//! `[network]`, `[[task]]` and `[train]`.
use std::prelude::v1::*;

use serde::Deserialize;

use toml::Spanned;

use super::ranking::{Loss, Objective, Teacher};
use super::{DefaultValue, Named, choice, one};
use crate::spec::{FedValue, Gate, NetworkKind, TaskKind, limits};
use crate::train::balance::Balance;
use crate::train::loss::Steps;
use crate::train::schedule::Schedule;

/// `[network]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// One of [`Network::KINDS`].
    pub kind: Named,
    /// Experts of an MMoE; of PLE those that all tasks share.
    #[serde(default = "four")]
    pub experts: u8,
    /// Of PLE: experts that one task alone mixes, each task so many.
    #[serde(default = "one_expert")]
    pub task_experts: u8,
    /// Of PLE: levels of experts, 1 or 2.
    #[serde(default = "one_level")]
    pub levels: u8,
    /// Widths of an expert's layers.
    pub expert_layers: Vec<u16>,
    /// Widths of a tower's layers.
    #[serde(default)]
    pub tower_layers: Vec<u16>,
    /// Kind of an MMoE's gates.
    #[serde(default = "softmax", deserialize_with = "gate")]
    pub gate: Gate,
    /// Widths of an MMoE's gates' hidden layers.
    #[serde(default)]
    pub gate_layers: Vec<u16>,
    /// Of hidden outputs.
    #[serde(default)]
    pub dropout: f64,
    /// Of whole embeddings.
    #[serde(default)]
    pub embedding_dropout: f64,
    /// Of experts in a gate.
    #[serde(default)]
    pub gate_dropout: f64,
    /// Factor on the unevenness of each gate's use of the experts, added to the loss.
    #[serde(default)]
    pub load_balance: f64,
}

impl Network {
    /// What `kind` may say.
    pub const KINDS: [(&'static str, NetworkKind); 5] = [
        ("single", NetworkKind::Single),
        ("shared-embedding", NetworkKind::SharedEmbedding),
        ("shared-bottom", NetworkKind::SharedBottom),
        ("mmoe", NetworkKind::Mmoe),
        // Of one level an MMoE whose gates leave experts of other tasks out.
        ("ple", NetworkKind::Mmoe),
    ];

    /// Experts that a task has to itself: 0 but in PLE.
    pub fn own_experts(&self) -> usize {
        match self.kind.get_ref().as_str() {
            "ple" => usize::from(self.task_experts),
            _ => 0,
        }
    }

    /// All experts of an MMoE with so many tasks: shared ones, then those of each task.
    pub fn all_experts(&self, tasks: usize) -> usize {
        usize::from(self.experts) + tasks * self.own_experts()
    }

    /// Its kind; `None` for an unknown word, which [`Description::parse`](super::Description::parse) refuses.
    pub fn kind(&self) -> Option<NetworkKind> {
        let word = self.kind.get_ref();
        let mut kinds = Self::KINDS.iter();
        let kind = kinds.find(|(w, _)| w == word).map(|(_, kind)| *kind)?;
        let own = self.task_experts;
        Some(match (word.as_str(), self.levels) {
            ("ple", 2) => NetworkKind::Progressive { own },
            _ => kind,
        })
    }
}

/// `[position_bias]`: a shallow tower per task on the `train_only` features, whose logit is added in training.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionBias {
    /// Tasks whose logits it is added to.
    pub tasks: Vec<Named>,
    /// Widths of its hidden layers.
    #[serde(default)]
    pub layers: Vec<u16>,
    /// Share of the training rows in which its inputs are left out.
    #[serde(default = "tenth")]
    pub dropout: f64,
    /// By feature: the value whose logit the exported bias carries.
    pub reference: std::collections::BTreeMap<String, Spanned<DefaultValue>>,
}

/// One of `inputs = [..]` of a task.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "an input is \"TASK\" or { task = \"TASK\", value = \"logit\" or \"probability\", stop_gradient = true or false }"
)]
pub enum TaskInput {
    /// The logit of a task, which is not changed by it.
    Task(String),
    /// All said.
    Options(TaskInputOptions),
}

/// `{ task = "click", .. }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskInputOptions {
    /// The task that feeds.
    pub task: String,
    /// What of it.
    #[serde(default = "logit", deserialize_with = "fed_value")]
    pub value: FedValue,
    /// Whether the fed task does not change the one that feeds.
    #[serde(default = "super::yes")]
    pub stop_gradient: bool,
}

impl TaskInput {
    /// The task that feeds.
    pub fn task(&self) -> &str {
        match self {
            TaskInput::Task(task) | TaskInput::Options(TaskInputOptions { task, .. }) => task,
        }
    }

    /// What of it.
    pub fn value(&self) -> FedValue {
        match self {
            TaskInput::Task(_) => FedValue::Logit,
            TaskInput::Options(options) => options.value,
        }
    }

    /// Whether the gradient to it is cut.
    pub fn stops_gradient(&self) -> bool {
        match self {
            TaskInput::Task(_) => true,
            TaskInput::Options(options) => options.stop_gradient,
        }
    }
}

/// `[[task]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Unique name.
    pub name: Named,
    /// "binary", "duration", "ordinal" or "rank"; what the model has is [`Task::spec_kind`].
    #[serde(deserialize_with = "super::ranking::kind")]
    pub kind: Objective,
    /// Of `loss = "cread"`.
    pub cread: Option<Cread>,
    /// Of `loss = "d2q"`.
    pub d2q: Option<D2q>,
    /// Of an ordinal task: what its label reaches.
    #[serde(default)]
    pub levels: Vec<f32>,
    /// Of an ordinal task: the level whose probability is the score; the mean of what is reached if absent.
    pub score_level: Option<f32>,
    /// Its label; the name if absent.
    pub label: Option<Named>,
    /// Of a ranking task, in place of one label: factors on several, whose sum is what is ranked by.
    #[serde(default)]
    pub utility: std::collections::BTreeMap<String, Spanned<f64>>,
    /// What is minimised; by the kind if absent.
    pub loss: Option<Spanned<Loss>>,
    /// Share of the loss over lists in a mixed loss.
    pub list_weight: Option<f64>,
    /// Places of NDCG that LambdaRank looks at; 0: all.
    pub ndcg_at: Option<usize>,
    /// A larger model's score, from which the task learns too.
    pub teacher: Option<Spanned<Teacher>>,
    /// "valid", an earlier binary task, or a filter.
    pub space: Option<Named>,
    /// On the loss.
    #[serde(default)]
    pub weight: Schedule,
    /// Column of a factor on each row's weight in the loss.
    pub weight_column: Option<Named>,
    /// Share of the negatives that train.
    #[serde(default = "one")]
    pub keep_negatives: f64,
    /// On the weights of positives in training.
    #[serde(default = "one")]
    pub positive_weight: f64,
    /// Whether the loss is over the whole chain of tasks that it is given.
    #[serde(default)]
    pub entire_space: bool,
    /// The task before it in a funnel, which is at least as probable.
    pub at_most: Option<Named>,
    /// Of the penalty where it is not.
    #[serde(default = "at_most_weight")]
    pub at_most_weight: f64,
    /// How the exported score is calibrated.
    #[serde(default)]
    pub calibration: CalibrationKind,
    /// On the learning rate.
    #[serde(default)]
    pub lr: Schedule,
    /// Tasks that feed its tower.
    #[serde(default)]
    pub inputs: Vec<Spanned<TaskInput>>,
    /// Widths of its tower, if not the network's.
    pub tower_layers: Option<Vec<u16>>,
    /// Of a duration's loss.
    #[serde(default = "one")]
    pub huber: f64,
    /// Exponent of a binary task's focal loss.
    #[serde(default)]
    pub focal: f64,
    /// Of the score.
    pub unit: Option<String>,
    /// What its positives say of the candidate: a fusion should not rise with negative feedback.
    #[serde(default)]
    pub feedback: Feedback,
}

impl Task {
    /// Its kind as a model has it, whose tasks are kinds of logits. Which feature quantiles are grouped by a task alone does
    /// not know: [`Description::spec_kind`](super::Description::spec_kind) does.
    pub fn spec_kind(&self) -> TaskKind {
        let loss = self.loss.as_ref().map(|loss| *loss.get_ref());
        match (self.kind.of_score(), loss) {
            (TaskKind::Duration, Some(Loss::WeightedLogistic | Loss::Odds)) => TaskKind::Odds,
            (TaskKind::Duration, Some(Loss::Cread)) => TaskKind::Steps {
                thresholds: self.cread.unwrap_or_default().bins,
                ordered: false,
            },
            (TaskKind::Duration, Some(Loss::D2q)) => TaskKind::Quantile {
                feature: 0,
                knots: self.d2q.as_ref().map_or_else(sixteen, |d2q| d2q.knots),
            },
            (TaskKind::Steps { .. }, _) => TaskKind::Steps {
                thresholds: self.levels.len().min(255) as u8,
                ordered: true,
            },
            (kind, _) => kind,
        }
    }

    /// What a task of several logits learns.
    pub fn steps(&self) -> Option<Steps> {
        match self.spec_kind() {
            TaskKind::Steps { ordered: false, .. } => {
                let cread = self.cread.unwrap_or_default();
                Some(Steps::Restored {
                    alpha: cread.alpha,
                    restoration: cread.restoration,
                    ordering: cread.ordering,
                })
            }
            TaskKind::Steps { ordered: true, .. } => {
                let (mut levels, mut worth) = ([0.0; limits::LOGITS], [0.0; limits::LOGITS]);
                let mut before = 0.0;
                let all = self.levels.iter().zip(&mut levels).zip(&mut worth);
                for ((level, to), worth) in all {
                    *to = *level;
                    *worth = match self.score_level {
                        Some(at) => f32::from(u8::from(at == *level)),
                        None => *level - before,
                    };
                    before = *level;
                }
                Some(Steps::Ordinal { levels, worth })
            }
            _ => None,
        }
    }

    /// The name of its label.
    pub fn label(&self) -> &Named {
        self.label.as_ref().unwrap_or(&self.name)
    }
}

/// `cread = { .. }`
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cread {
    /// Classifiers.
    pub bins: u8,
    /// How far their thresholds crowd towards large values.
    pub alpha: f64,
    /// Weight of the restoration loss.
    pub restoration: f64,
    /// Weight of the ordering loss.
    pub ordering: f64,
}

impl Default for Cread {
    fn default() -> Self {
        Self {
            bins: 16,
            alpha: 1.0,
            restoration: 0.1,
            ordering: 0.1,
        }
    }
}

/// `d2q = { .. }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct D2q {
    /// The bucketed number by whose buckets rows are grouped.
    pub group: Named,
    /// Quantiles of each group that the file has.
    #[serde(default = "sixteen")]
    pub knots: u8,
}

/// What a task's positives say of a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feedback {
    /// Users liked what they saw.
    #[default]
    Positive,
    /// They did not: hidden, reported, skipped.
    Negative,
}

/// How an exported score is calibrated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CalibrationKind {
    /// Not.
    #[default]
    None,
    /// sigmoid(scale x logit + offset).
    Platt,
    /// sigmoid(logit / temperature).
    Temperature,
    /// A monotone table.
    Isotonic,
}

/// `balance`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "balance is the name of a method, or { METHOD = { all of its settings } }"
)]
pub enum BalanceChoice {
    /// A method with its usual settings.
    Name(String),
    /// `{ method = { .. } }`
    Settings(Balance),
}

/// Part of the training rows that stops training.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum StopOn {
    /// `{ last = share }`
    Last {
        /// Share of the training requests, by time.
        last: f64,
    },
    /// "validation" or "none".
    Name(String),
}

/// `evaluate_every`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum EvaluateEvery {
    /// Steps.
    Steps(u64),
    /// "epoch".
    Name(String),
}

/// `[train]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // docs/description.md has them, with defaults; `TrainOptions` has the units.
pub struct Train {
    pub batch: usize,
    pub whole_requests: bool,
    pub stream: crate::train::stream::Stream,
    pub epochs: u32,
    pub optimizer: String,
    pub lr: f64,
    pub embedding_optimizer: String,
    pub embedding_lr: f64,
    pub weight_decay: f64,
    pub embedding_weight_decay: f64,
    pub warmup_steps: u64,
    pub decay: String,
    pub average: f64,
    pub id_dropout: f64,
    pub patience: u32,
    pub evaluate_every: EvaluateEvery,
    pub stop_on: StopOn,
    pub seed: u64,
    pub embedding_init: f64,
    pub gauc_key: String,
    pub balance: BalanceChoice,
    pub quantization_aware: Option<Spanned<QuantizationAware>>,
}

/// `quantization_aware` of `[train]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizationAware {
    /// The last so many epochs.
    pub epochs: u32,
    /// Factor on the learning rates in them.
    #[serde(default = "super::one")]
    pub lr: f64,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            batch: 1024,
            whole_requests: false,
            stream: Default::default(),
            epochs: 5,
            optimizer: "adam".into(),
            lr: 0.001,
            embedding_optimizer: "adam".into(),
            embedding_lr: 0.001,
            weight_decay: 0.0,
            embedding_weight_decay: 0.0,
            warmup_steps: 0,
            decay: "none".into(),
            average: 0.0,
            id_dropout: 0.0,
            patience: 2,
            evaluate_every: EvaluateEvery::Name("epoch".into()),
            stop_on: StopOn::Last { last: 0.1 },
            seed: 1,
            embedding_init: 0.05,
            gauc_key: "user".into(),
            balance: BalanceChoice::Name("fixed".into()),
            quantization_aware: None,
        }
    }
}

fn gate<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Gate, D::Error> {
    let words = [("softmax", Gate::Softmax), ("attention", Gate::Attention)];
    choice(d, &words)
}
fn fed_value<'de, D: serde::Deserializer<'de>>(d: D) -> Result<FedValue, D::Error> {
    let words = [
        ("logit", FedValue::Logit),
        ("probability", FedValue::Probability),
    ];
    choice(d, &words)
}
/// As in YouTube's ranker (Zhao et al., RecSys 2019).
fn tenth() -> f64 {
    0.1
}
/// As in the paper of the penalty (AITM; Xi et al., KDD 2021).
fn at_most_weight() -> f64 {
    0.6
}
/// As many as [`Cread`] has bins.
fn sixteen() -> u8 {
    16
}
fn one_expert() -> u8 {
    1
}
fn one_level() -> u8 {
    1
}
fn four() -> u8 {
    4
}
fn softmax() -> Gate {
    Gate::Softmax
}
fn logit() -> FedValue {
    FedValue::Logit
}
