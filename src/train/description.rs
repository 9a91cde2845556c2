//! The model description: one TOML file, read once, with the line of everything that can be wrong.
//!
//! The structs mirror `docs/description.md` key for key; [`Description::read`] parses, `description/check.rs` finds what
//! TOML alone cannot: names that do not exist, sides that contradict, counts over the format's limits.
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use serde::Deserialize;
use toml::Spanned;

use crate::spec::TaskKind;
use crate::train::error::{Error, Kind, Result, near_misses, one_line};

mod check;
mod data;
mod feature;
mod fusion;
mod hashes;
mod network;
mod options;
pub(crate) mod ranking;

pub use data::{Computed, Data, Join, JoinKey, TimePart, TimeUnit, Validation};
pub use feature::{
    DefaultValue, Feature, FeatureKind, IdKind, Table, TransformStep, VocabularyOptions,
};
pub use fusion::{Fusion, FusionWeight, Term};
pub use network::{
    BalanceChoice, CalibrationKind, Cread, D2q, EvaluateEvery, Feedback, Network, PositionBias,
    QuantizationAware, StopOn, Task, TaskInput, TaskInputOptions, Train,
};
pub use ranking::{Loss, Objective, Teacher, TeacherForm, TeacherValue};

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
    /// `[position_bias]`
    pub position_bias: Option<PositionBias>,
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

/// `[export]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Export {
    /// The model's own name.
    pub name: String,
    /// Largest loss of AUC (Spearman for durations) per task.
    pub auc_budget: f64,
    /// Largest size of the file, bytes.
    pub max_bytes: Option<usize>,
    /// Bits of a value in tables that do not say.
    pub bits: Option<Spanned<ExportBits>>,
    /// Training rows for the output correction.
    pub calibration_rows: usize,
    /// Other rows, for the comparison.
    pub replay_rows: usize,
    /// Whether durations are scaled so that their mean is that of the label.
    pub mean_durations: bool,
    /// Whether the file gets the distributions of its scores, which formulas may read.
    pub quantiles: bool,
}

/// `bits` of `[export]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "bits is 4, 8 or \"auto\"")]
pub enum ExportBits {
    /// 8 or 4.
    Number(u8),
    /// "auto": 4 where little is lost.
    Word(String),
}

impl Export {
    /// Whether the export chooses the bits of tables that do not say, by what they lose.
    pub fn has_auto_bits(&self) -> bool {
        let word = self.bits.as_ref().map(|bits| bits.get_ref());
        matches!(word, Some(ExportBits::Word(_)))
    }
}

impl Default for Export {
    fn default() -> Self {
        Self {
            name: "model".into(),
            auc_budget: 0.001,
            max_bytes: None,
            bits: None,
            calibration_rows: 20_000,
            replay_rows: 20_000,
            mean_durations: true,
            quantiles: true,
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
        let toml = toml::from_str(&text).map_err(|e| malformed(file, &text, &e))?;
        let mut description = Self {
            file: file.to_path_buf(),
            text,
            toml,
        };
        description.add_second_hashes()?;
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

    /// Bits of a value in the file that a table of the spec is described with; `None` if nothing says.
    pub fn table_bits(&self, table: &str) -> Option<u8> {
        let declared = self.toml.table.iter().find(|t| t.name.get_ref() == table);
        let of = |f: &Feature| match table.strip_suffix(":buckets") {
            Some(name) => f.name.get_ref() == name,
            None => !f.kind.is_number() && f.table() == table,
        };
        let mut own = self.toml.feature.iter().filter(|f| of(f));
        let own = own.find_map(|f| f.bits);
        let all = self.toml.export.bits.as_ref().map(|bits| bits.get_ref());
        let all = all.and_then(|bits| match bits {
            ExportBits::Number(bits) => Some(*bits),
            ExportBits::Word(_) => None,
        });
        declared.and_then(|t| t.bits).or(own).or(all)
    }

    /// Whether the rows of a table of the spec stay out of the file and come from the server.
    pub fn is_server(&self, table: &str) -> bool {
        let mut declared = self.toml.table.iter();
        let mut own = self.toml.feature.iter();
        declared.any(|t| t.server && t.name.get_ref() == table)
            || own
                .any(|f| f.kind == FeatureKind::Id && f.table() == table && f.server == Some(true))
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

    /// Features that the exported model has: those before the first that is known in training alone.
    pub fn num_served_features(&self) -> usize {
        let features = &self.toml.feature;
        let first = features.iter().position(|f| f.train_only);
        first.unwrap_or(features.len())
    }

    /// Kind of a task as a model has it.
    pub fn spec_kind(&self, task: &Task) -> TaskKind {
        match (task.spec_kind(), &task.d2q) {
            (TaskKind::Quantile { knots, .. }, Some(d2q)) => TaskKind::Quantile {
                feature: self.feature(d2q.group.get_ref()).unwrap_or(0) as u8,
                knots,
            },
            (kind, _) => kind,
        }
    }

    /// Index of a task.
    pub fn task(&self, name: &str) -> Option<usize> {
        self.toml.task.iter().position(|t| t.name.get_ref() == name)
    }
}

/// What is wrong with `text` as the contents of `file`, by its line.
pub(crate) fn malformed(file: &Path, text: &str, e: &toml::de::Error) -> Error {
    let message = match e.message().strip_prefix("unknown field ") {
        Some(rest) => {
            let mut names = rest.split('`').skip(1).step_by(2);
            let unknown = names.next().unwrap_or_default();
            format!("unknown key \"{unknown}\"{}", near_misses(unknown, names))
        }
        None => one_line(e.message()),
    };
    Error {
        line: e.span().map(|s| line_of(text, s.start)),
        ..Error::in_file(Kind::Description, file, message)
    }
}

fn line_of(text: &str, at: usize) -> u64 {
    1 + text.bytes().take(at).filter(|b| *b == b'\n').count() as u64
}

fn one() -> f64 {
    1.0
}
fn yes() -> bool {
    true
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

#[cfg(test)]
mod tests;
