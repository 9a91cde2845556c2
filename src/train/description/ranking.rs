//! What a task learns of lists and of teachers: `kind`, `loss`, `utility` and `teacher` of a `[[task]]`.
use std::prelude::v1::*;

use serde::Deserialize;

use super::{Description, Named, Task, choice};
use crate::spec::TaskKind;
use crate::train::loss::list::ListLoss;
use crate::train::loss::taught::Teaching;

/// `kind` of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// A kind of score of the device.
    Score(TaskKind),
    /// Learnt from the order of lists alone. To the device it is binary: its score is sigmoid(logit), which orders candidates of
    /// one request and is no probability.
    Rank,
}

impl Objective {
    /// What the device knows it as.
    pub fn of_score(self) -> TaskKind {
        match self {
            Objective::Score(kind) => kind,
            Objective::Rank => TaskKind::Binary,
        }
    }
}

/// A ranking task is of no kind of score: what needs a probability or a duration refuses it.
impl PartialEq<TaskKind> for Objective {
    fn eq(&self, kind: &TaskKind) -> bool {
        *self == Objective::Score(*kind)
    }
}

/// `loss` of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Of a ranking task: pairs of unequal utility.
    Pairwise,
    /// Of a ranking task: cross entropy of softmax against softmax.
    ListNet,
    /// Of a ranking task: cross entropy of softmax against shares of utility.
    Softmax,
    /// Of a ranking task: pairs weighed by the change of NDCG.
    LambdaRank,
    /// Of a binary task: log loss, and the contrastive loss of two logits.
    Jrc,
    /// Of a binary task: log loss, and a regression compatible list loss.
    Rcr,
    /// Of a duration: Huber's loss on ln(1 + value).
    #[serde(rename = "log-huber")]
    LogHuber,
    /// Of a duration per impression: logistic regression whose positives weigh their value (Covington et al. 2016).
    #[serde(rename = "weighted-logistic")]
    WeightedLogistic,
    /// Of a duration: the same with every row as a negative too, so that odds are the mean value without an approximation.
    Odds,
    /// Of a duration: whether it is above each of some thresholds (Sun et al. 2024).
    Cread,
    /// Of a duration: its quantile among candidates of about the same length (Zhan et al. 2022).
    D2q,
}

impl Loss {
    /// What `loss` may say of a ranking task, of a binary one and of a duration.
    pub(super) const WORDS: [&'static [&'static str]; 3] = [
        &["pairwise", "listnet", "softmax", "lambdarank"],
        &["jrc", "rcr"],
        &["log-huber", "weighted-logistic", "odds", "cread", "d2q"],
    ];

    /// The kind of task that has it.
    pub fn of(self) -> Objective {
        match self {
            Loss::Pairwise | Loss::ListNet | Loss::Softmax | Loss::LambdaRank => Objective::Rank,
            Loss::Jrc | Loss::Rcr => Objective::Score(TaskKind::Binary),
            Loss::LogHuber | Loss::WeightedLogistic | Loss::Odds | Loss::Cread | Loss::D2q => {
                Objective::Score(TaskKind::Duration)
            }
        }
    }
}

/// `teacher` of a task.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teacher {
    /// A column of the log: what a larger model says of the row. An empty cell says nothing.
    pub column: Named,
    /// What it holds, of a binary task.
    #[serde(default = "probability", deserialize_with = "teacher_value")]
    pub of: TeacherValue,
    /// Share of the teacher in the loss.
    #[serde(default = "half")]
    pub weight: f64,
    /// By which logits of teacher and student are divided.
    #[serde(default = "super::one")]
    pub temperature: f64,
    /// What is learnt of it.
    #[serde(default = "rows", deserialize_with = "teacher_form")]
    pub form: TeacherForm,
}

/// What a teacher's column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeacherValue {
    /// A probability.
    Probability,
    /// Its logit.
    Logit,
}

/// What a task learns of its teacher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeacherForm {
    /// Its score of each row.
    Rows,
    /// Its order of the rows of a request.
    Pairs,
}

impl Teacher {
    /// As the trainer takes it.
    pub fn teaching(&self) -> Teaching {
        Teaching {
            weight: self.weight,
            temperature: self.temperature,
            pairs: self.form == TeacherForm::Pairs,
        }
    }

    /// A cell's value as a task of `kind` learns it: a logit, or ln(1 + value).
    ///
    /// # Errors
    /// What would be right.
    pub fn learnt(&self, kind: TaskKind, x: f64) -> Result<f32, &'static str> {
        let value = match (kind, self.of) {
            (TaskKind::Binary, TeacherValue::Probability) => {
                if !(0.0..=1.0).contains(&x) {
                    return Err("a probability of 0 to 1 is possible");
                }
                // As far as f32 scores tell probabilities from 0 and 1.
                let p = x.clamp(1e-7, 1.0 - 1e-7);
                libm::log(p) - libm::log1p(-p)
            }
            (TaskKind::Binary, TeacherValue::Logit) => {
                if !(-100.0..=100.0).contains(&x) {
                    return Err("a logit of -100 to 100 is possible");
                }
                x
            }
            _ => {
                if !(0.0..=1e9).contains(&x) {
                    return Err("a value of 0 to 1e9 is possible");
                }
                libm::log1p(x)
            }
        };
        Ok(value as f32)
    }
}

impl Task {
    /// Its loss over lists, if it has one.
    pub fn list_loss(&self) -> Option<ListLoss> {
        let loss = match (self.loss.as_ref(), self.kind) {
            (Some(loss), _) => *loss.get_ref(),
            (None, Objective::Rank) => Loss::Softmax,
            (None, _) => return None,
        };
        Some(match loss {
            Loss::Pairwise => ListLoss::Pairwise,
            Loss::ListNet => ListLoss::ListNet,
            Loss::Softmax => ListLoss::Softmax,
            Loss::LambdaRank => ListLoss::LambdaRank(self.ndcg_at.unwrap_or(10)),
            Loss::Jrc => ListLoss::Jrc(self.list_weight.unwrap_or(0.5)),
            Loss::Rcr => ListLoss::RegressionCompatible(self.list_weight.unwrap_or(0.5)),
            Loss::LogHuber | Loss::WeightedLogistic | Loss::Odds | Loss::Cread | Loss::D2q => {
                return None;
            }
        })
    }

    /// Whether it states this loss.
    pub fn has_loss(&self, loss: Loss) -> bool {
        self.loss
            .as_ref()
            .is_some_and(|stated| *stated.get_ref() == loss)
    }

    /// Whether its loss is over whole requests.
    pub fn learns_lists(&self) -> bool {
        let pairs = self.teacher.as_ref();
        let pairs = pairs.is_some_and(|t| t.get_ref().form == TeacherForm::Pairs);
        self.list_loss().is_some() || pairs
    }
}

impl Description {
    /// The labels that a task learns, by index, each with its factor.
    pub fn learnt_labels(&self, task: &Task) -> Vec<(usize, f32)> {
        if task.utility.is_empty() {
            let label = self.label(task.label().get_ref());
            return label.map(|label| (label, 1.0)).into_iter().collect();
        }
        let parts = task.utility.iter();
        parts
            .filter_map(|(name, factor)| Some((self.label(name)?, *factor.get_ref() as f32)))
            .collect()
    }
}

pub(super) fn kind<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Objective, D::Error> {
    let words = [
        ("binary", Objective::Score(TaskKind::Binary)),
        ("duration", Objective::Score(TaskKind::Duration)),
        (
            "ordinal",
            Objective::Score(TaskKind::Steps {
                thresholds: 0,
                ordered: true,
            }),
        ),
        ("rank", Objective::Rank),
    ];
    choice(d, &words)
}
fn teacher_value<'de, D: serde::Deserializer<'de>>(d: D) -> Result<TeacherValue, D::Error> {
    let words = [
        ("probability", TeacherValue::Probability),
        ("logit", TeacherValue::Logit),
    ];
    choice(d, &words)
}
fn teacher_form<'de, D: serde::Deserializer<'de>>(d: D) -> Result<TeacherForm, D::Error> {
    let words = [
        ("pointwise", TeacherForm::Rows),
        ("pairwise", TeacherForm::Pairs),
    ];
    choice(d, &words)
}
fn probability() -> TeacherValue {
    TeacherValue::Probability
}
fn rows() -> TeacherForm {
    TeacherForm::Rows
}
fn half() -> f64 {
    0.5
}
