//! The model description: one TOML file, read once, with the line of everything that can be wrong.
//!
//! The structs mirror `docs/description.md` key for key; [`Description::read`] parses, `description/check.rs` finds what
//! TOML alone cannot: names that do not exist, sides that contradict, counts over the format's limits.
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use serde::Deserialize;
use toml::Spanned;

use crate::spec::{Pooling, Side, TaskKind};
use crate::train::error::{Error, Kind, Result, near_misses, one_line};
use crate::train::log::time::milliseconds;
use crate::train::options::{
    self, DropoutRates, LearningRateDecay, OptimizerKind, TaskOptions, TrainOptions,
};

mod check;

/// A name with its place in the file.
pub type Named = Spanned<String>;

/// A whole description, checked.
#[derive(Clone, Debug)]
pub struct Description {
    /// The file it was read from.
    pub file: PathBuf,
    /// Its text: a run keeps it.
    pub text: String,
    /// What it says.
    pub toml: Toml,
}

/// The file's top level.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toml {
    /// `[data]`
    pub data: Data,
    /// `[[label]]`
    #[serde(default)]
    pub label: Vec<Label>,
    /// `[[table]]`
    #[serde(default)]
    pub table: Vec<Table>,
    /// `[[feature]]`
    #[serde(default)]
    pub feature: Vec<Feature>,
    /// `[network]`
    pub network: Network,
    /// `[[task]]`
    #[serde(default)]
    pub task: Vec<Task>,
    /// `[train]`
    #[serde(default)]
    pub train: Train,
    /// `[fusion]`
    #[serde(default)]
    pub fusion: Fusion,
    /// `[export]`
    #[serde(default)]
    pub export: Export,
}

/// One or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several, in order.
    More(Vec<String>),
}

impl OneOrMore {
    /// All of them.
    pub fn list(&self) -> &[String] {
        match self {
            OneOrMore::One(one) => core::slice::from_ref(one),
            OneOrMore::More(more) => more,
        }
    }
}

/// Unit of the time column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TimeUnit {
    /// Seconds.
    #[default]
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// `2023-02-23T07:45:40` in UTC; a blank for the `T`, no time of day, fractions and a final `Z` are allowed.
    #[serde(rename = "iso")]
    Iso,
}

/// `[data]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Log files.
    pub path: OneOrMore,
    /// Column that keys the user state.
    pub user: Option<Named>,
    /// Column that separates lists.
    pub request: Option<Named>,
    /// Integer column that rows are ordered by.
    pub time: Option<Named>,
    /// Its unit.
    #[serde(default)]
    pub time_unit: TimeUnit,
    /// Filter of valid impressions.
    pub valid: Option<Named>,
    /// Rows that are reported on.
    #[serde(default)]
    pub validation: Validation,
    /// Cells that mean missing, besides empty ones.
    #[serde(default)]
    pub null: Vec<String>,
    /// Side tables.
    #[serde(default)]
    pub join: Vec<Join>,
    /// Columns computed from the time.
    #[serde(default)]
    pub columns: std::collections::BTreeMap<String, Computed>,
    /// Malformed rows that are set aside before the log is refused.
    #[serde(default)]
    pub max_bad_rows: u64,
}

/// `validation = { .. }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Rows from this time on, as the log writes times.
    pub from: Option<Spanned<toml::Value>>,
    /// Share of requests, by time.
    pub last: Option<f64>,
    /// Another log, read after the first.
    pub path: Option<String>,
    /// Rows that a filter picks.
    #[serde(rename = "where")]
    pub filter: Option<Named>,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            from: None,
            last: Some(0.1),
            path: None,
            filter: None,
        }
    }
}

/// `[[data.join]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// Side table.
    pub path: Spanned<String>,
    /// Column that both have.
    pub key: JoinKey,
    /// Columns to add; all but the key if absent.
    pub columns: Option<Vec<String>>,
}

/// `key = ..` of a join.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum JoinKey {
    /// The same name on both sides.
    Same(String),
    /// A name on each side.
    Each {
        /// The log's.
        log: String,
        /// The side table's.
        table: String,
    },
}

impl JoinKey {
    /// The log's column.
    pub fn log(&self) -> &str {
        match self {
            JoinKey::Same(name) | JoinKey::Each { log: name, .. } => name,
        }
    }
    /// The side table's column.
    pub fn table(&self) -> &str {
        match self {
            JoinKey::Same(name) | JoinKey::Each { table: name, .. } => name,
        }
    }
}

/// A column of `[data.columns]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Computed {
    /// Time column.
    pub of: Named,
    /// What of it.
    pub part: TimePart,
    /// Local time minus UTC.
    #[serde(default)]
    pub offset_hours: f64,
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimePart {
    /// 0..=23.
    Hour,
    /// 0 (Monday) ..= 6.
    Weekday,
}

/// `[[label]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Unique name.
    pub name: Named,
    /// Column or expression; the name if absent.
    pub value: Option<Named>,
    /// Factor on a number.
    #[serde(default = "one")]
    pub scale: f64,
    /// User state keeps ln(1 + value).
    #[serde(default)]
    pub log1p: bool,
    /// Filter of rows where it exists.
    pub known: Option<Named>,
    /// Seconds until it is known.
    #[serde(default)]
    pub delay: f64,
    /// A column added to `delay`.
    pub delay_column: Option<Named>,
    /// Factor on it, to seconds.
    #[serde(default = "one")]
    pub delay_scale: f64,
    /// Rows younger than this at the log's end leave the spaces of its tasks; `delay` if absent.
    pub window: Option<f64>,
}

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
}

impl FeatureKind {
    /// Whether its raw value is a number.
    pub fn is_number(self) -> bool {
        use FeatureKind::{Count, KeyRate, Number, Previous, Rate, Since};
        matches!(self, Number | Count | Rate | KeyRate | Since | Previous)
    }

    /// Whether it comes from the user's earlier events.
    pub fn is_derived(self) -> bool {
        use FeatureKind::{Count, KeyRate, LastIds, Previous, Rate, Since};
        matches!(self, LastIds | Count | Rate | KeyRate | Since | Previous)
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
    /// The features of a cross, or the key of `last_ids`.
    pub of: Option<OneOrMore>,
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

/// `[network]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// "mmoe".
    pub kind: Named,
    /// Experts.
    pub experts: u8,
    /// Widths of an expert's layers.
    pub expert_layers: Vec<u16>,
    /// Widths of a tower's layers.
    #[serde(default)]
    pub tower_layers: Vec<u16>,
    /// Of hidden outputs.
    #[serde(default)]
    pub dropout: f64,
    /// Of whole embeddings.
    #[serde(default)]
    pub embedding_dropout: f64,
    /// Of experts in a gate.
    #[serde(default)]
    pub gate_dropout: f64,
}

/// `[[task]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Unique name.
    pub name: Named,
    /// "binary" or "duration".
    #[serde(deserialize_with = "task_kind")]
    pub kind: TaskKind,
    /// Its label; the name if absent.
    pub label: Option<Named>,
    /// "valid", an earlier binary task, or a filter.
    pub space: Option<Named>,
    /// On the loss.
    #[serde(default = "one")]
    pub weight: f64,
    /// On the learning rate.
    #[serde(default = "one")]
    pub lr: f64,
    /// Widths of its tower, if not the network's.
    pub tower_layers: Option<Vec<u16>>,
    /// Of a duration's loss.
    #[serde(default = "one")]
    pub huber: f64,
    /// Of the score.
    pub unit: Option<String>,
}

impl Task {
    /// The name of its label.
    pub fn label(&self) -> &Named {
        self.label.as_ref().unwrap_or(&self.name)
    }
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
}

impl Default for Train {
    fn default() -> Self {
        Self {
            batch: 1024,
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
        }
    }
}

/// `[fusion]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fusion {
    /// `[[fusion.term]]`
    #[serde(default)]
    pub term: Vec<Term>,
}

/// `[[fusion.term]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// Unique name; the task's if absent.
    pub name: Option<Named>,
    /// A task.
    pub task: Named,
    /// Per impression, not conditional.
    #[serde(default = "yes")]
    pub entire: bool,
    /// Weight.
    pub weight: f32,
}

/// `[export]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Export {
    /// The model's own name.
    pub name: String,
    /// Largest loss of AUC (Spearman for durations) per task.
    pub auc_budget: f64,
    /// Training rows for the output correction.
    pub calibration_rows: usize,
    /// Other rows, for the comparison.
    pub replay_rows: usize,
    /// Whether durations are scaled so that their mean is that of the label.
    pub mean_durations: bool,
}

impl Default for Export {
    fn default() -> Self {
        Self {
            name: "model".into(),
            auc_budget: 0.001,
            calibration_rows: 20_000,
            replay_rows: 20_000,
            mean_durations: true,
        }
    }
}

impl Description {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`Kind::Io`], or [`Kind::Description`] with the line.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|e| Error::io(file, &e))?;
        Self::parse(file, text)
    }

    /// Checks `text` as the contents of `file`.
    ///
    /// # Errors
    /// [`Kind::Description`] with the line.
    pub fn parse(file: &Path, text: String) -> Result<Self> {
        let toml = toml::from_str(&text).map_err(|e: toml::de::Error| {
            let line = e.span().map(|s| line_of(&text, s.start));
            let message = match e.message().strip_prefix("unknown field ") {
                Some(rest) => {
                    let mut names = rest.split('`').skip(1).step_by(2);
                    let unknown = names.next().unwrap_or_default();
                    format!("unknown key \"{unknown}\"{}", near_misses(unknown, names))
                }
                None => one_line(e.message()),
            };
            Error {
                line,
                ..Error::in_file(Kind::Description, file, message)
            }
        })?;
        let description = Self {
            file: file.to_path_buf(),
            text,
            toml,
        };
        description.check()?;
        Ok(description)
    }

    /// A mistake at the place of `at`.
    pub fn mistake<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> Error {
        Error::at_line(
            Kind::Description,
            &self.file,
            line_of(&self.text, at.span().start),
            message,
        )
    }

    /// A path of the description: `data` replaces the folder (if a folder) or the one log file; else it is relative
    /// to the description.
    pub fn resolve(&self, path: &str, data: Option<&Path>) -> PathBuf {
        match data {
            Some(data) if data.is_dir() => {
                data.join(Path::new(path).file_name().unwrap_or(path.as_ref()))
            }
            Some(data) => data
                .parent()
                .unwrap_or(Path::new(""))
                .join(Path::new(path).file_name().unwrap_or_default()),
            None => self.file.parent().unwrap_or(Path::new("")).join(path),
        }
    }

    /// The log files.
    pub fn logs(&self, data: Option<&Path>) -> Vec<PathBuf> {
        match data {
            Some(file) if !file.is_dir() => vec![file.to_path_buf()],
            _ => self
                .toml
                .data
                .path
                .list()
                .iter()
                .map(|p| self.resolve(p, data))
                .collect(),
        }
    }

    /// Where validation begins, Unix milliseconds.
    pub(crate) fn validation_from_ms(&self) -> Option<i64> {
        let text = match self.toml.data.validation.from.as_ref()?.get_ref() {
            toml::Value::String(text) => text.clone(),
            value => format!("{value}"),
        };
        milliseconds(text.as_bytes(), self.toml.data.time_unit)
    }

    /// Index of a label.
    pub fn label(&self, name: &str) -> Option<usize> {
        self.toml
            .label
            .iter()
            .position(|l| l.name.get_ref() == name)
    }

    /// Index of a feature.
    pub fn feature(&self, name: &str) -> Option<usize> {
        self.toml
            .feature
            .iter()
            .position(|f| f.name.get_ref() == name)
    }

    /// Index of a task.
    pub fn task(&self, name: &str) -> Option<usize> {
        self.toml.task.iter().position(|t| t.name.get_ref() == name)
    }
}

fn line_of(text: &str, at: usize) -> u64 {
    1 + text.bytes().take(at).filter(|b| *b == b'\n').count() as u64
}

fn one() -> f64 {
    1.0
}
fn one_count() -> u64 {
    1
}
fn yes() -> bool {
    true
}

fn side<'de, D: serde::Deserializer<'de>>(d: D) -> core::result::Result<Option<Side>, D::Error> {
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
fn pooling<'de, D: serde::Deserializer<'de>>(
    d: D,
) -> core::result::Result<Option<Pooling>, D::Error> {
    choice(d, &[("mean", Pooling::Mean), ("sum", Pooling::Sum)]).map(Some)
}
fn task_kind<'de, D: serde::Deserializer<'de>>(d: D) -> core::result::Result<TaskKind, D::Error> {
    choice(
        d,
        &[
            ("binary", TaskKind::Binary),
            ("duration", TaskKind::Duration),
        ],
    )
}

/// One of several words: the device's enums are numbers in the file, so their words live here.
fn choice<'de, D: serde::Deserializer<'de>, T: Copy>(
    d: D,
    words: &[(&str, T)],
) -> core::result::Result<T, D::Error> {
    let word = String::deserialize(d)?;
    words
        .iter()
        .find(|(w, _)| *w == word)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let list: Vec<String> = words.iter().map(|(w, _)| format!("\"{w}\"")).collect();
            serde::de::Error::custom(format!("unknown \"{word}\"; one of {}", list.join(", ")))
        })
}

impl Description {
    /// `[network]` and `[train]` as the trainer takes them.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn train_options(&self) -> core::result::Result<TrainOptions, String> {
        let (t, n) = (&self.toml.train, &self.toml.network);
        let optimizer = |name: &str| match name {
            "adam" => Ok(OptimizerKind::Adam),
            "adagrad" => Ok(OptimizerKind::Adagrad),
            _ => Err(format!(
                "unknown optimizer \"{name}\"; \"adam\" or \"adagrad\""
            )),
        };
        Ok(TrainOptions {
            batch: t.batch,
            epochs: t.epochs,
            optimizer: optimizer(&t.optimizer)?,
            lr: t.lr,
            embedding_optimizer: optimizer(&t.embedding_optimizer)?,
            embedding_lr: t.embedding_lr,
            weight_decay: t.weight_decay,
            embedding_weight_decay: t.embedding_weight_decay,
            warmup_steps: t.warmup_steps,
            decay: match t.decay.as_str() {
                "none" => LearningRateDecay::None,
                "linear" => LearningRateDecay::Linear,
                "cosine" => LearningRateDecay::Cosine,
                other => {
                    return Err(format!(
                        "unknown decay \"{other}\"; \"none\", \"linear\" or \"cosine\""
                    ));
                }
            },
            average: t.average,
            dropout: DropoutRates {
                hidden: n.dropout,
                embedding: n.embedding_dropout,
                gate: n.gate_dropout,
                id: t.id_dropout,
            },
            patience: t.patience,
            evaluate_every: match &t.evaluate_every {
                EvaluateEvery::Steps(steps) => options::EvaluateEvery::Steps(*steps),
                EvaluateEvery::Name(name) if name == "epoch" => options::EvaluateEvery::Epoch,
                EvaluateEvery::Name(name) => {
                    return Err(format!(
                        "unknown evaluate_every \"{name}\"; \"epoch\" or a number of steps"
                    ));
                }
            },
            seed: t.seed,
            embedding_init: t.embedding_init,
            ..TrainOptions::default()
        })
    }

    /// `[[task]]` as the trainer takes them.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn task_options(&self) -> core::result::Result<Vec<TaskOptions>, String> {
        let options = |t: &Task| TaskOptions {
            weight: t.weight,
            lr: t.lr,
            huber: t.huber,
        };
        Ok(self.toml.task.iter().map(options).collect())
    }
}

#[cfg(test)]
mod tests;
