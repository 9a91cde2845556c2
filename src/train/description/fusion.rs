//! `[fusion]`: how scores become an order, as terms or as a formula.
use std::prelude::v1::*;

use serde::Deserialize;
use toml::Spanned;

use super::{Description, Named};
use crate::spec::{Encoding, Feature, Side, Source, Spec, Task, Transform};
use crate::train::error::{Error, Kind, Result};
use crate::train::formula::{Formula, Weight};

/// `[fusion]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fusion {
    /// `[[fusion.term]]`
    #[serde(default)]
    pub term: Vec<Term>,
    /// In place of terms.
    pub formula: Option<Named>,
    /// `[fusion.weights]`: those of the formula.
    #[serde(default)]
    pub weights: std::collections::BTreeMap<String, Spanned<FusionWeight>>,
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
    #[serde(default = "super::yes")]
    pub entire: bool,
    /// Weight.
    pub weight: f32,
}

/// A weight of the formula.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a weight is a number, or { value = 1.0, min = 0.0, max = 10.0 }"
)]
pub enum FusionWeight {
    /// Its value; a request may give it any value from 0 to a hundred times as much.
    Value(f32),
    /// Value and bounds.
    Bounded {
        /// Value.
        value: f32,
        /// Least value of a request.
        min: f32,
        /// Greatest value of a request.
        max: f32,
    },
}

impl FusionWeight {
    /// Value, least and most.
    fn parts(self) -> [f32; 3] {
        match self {
            FusionWeight::Value(x) => [x, (100.0 * x).min(0.0), (100.0 * x).max(0.0)],
            FusionWeight::Bounded { value, min, max } => [value, min, max],
        }
    }
}

impl Description {
    /// The formula of the fusion, checked against the tasks and features that are described; `None` if there is none.
    ///
    /// # Errors
    /// The first mistake in it or in its weights.
    pub fn formula(&self) -> Result<Option<Formula>> {
        let fusion = &self.toml.fusion;
        let mut declared: Vec<_> = fusion.weights.iter().collect();
        declared.sort_by_key(|(_, w)| w.span().start);
        let Some(text) = &fusion.formula else {
            return match declared.first() {
                Some((_, w)) => Err(self.mistake(
                    w,
                    "these are the weights of a formula; write formula = \"...\" in [fusion]",
                )),
                None => Ok(None),
            };
        };
        if let Some(term) = fusion.term.first() {
            let message =
                "a fusion is a formula or terms, not both; write this as a part of the formula";
            return Err(self.mistake(&term.task, message));
        }
        let mut weights = Vec::new();
        for (name, declared) in declared {
            let [value, least, most] = declared.get_ref().parts();
            let finite = [value, least, most].iter().all(|x| x.abs() <= 1e6);
            if !(finite && least <= value && value <= most && least < most) {
                let message = format!(
                    "weight \"{name}\" is {value}, from {least} to {most}; bounds are at most 1e6 in magnitude, in order, and hold the value (a weight of 0 needs {{ value = 0, min = ..., max = ... }})"
                );
                return Err(self.mistake(declared, message));
            }
            weights.push(Weight {
                name: name.clone(),
                value,
                least,
                most,
            });
        }
        let formula = Formula::compile(text.get_ref(), &self.outline(), &weights).map_err(|e| {
            let message = format!("the formula at character {}: {}", e.position, e.message);
            self.mistake(text, message)
        })?;
        let used = |name: &str| formula.uses(name);
        if let Some(unused) = weights.iter().find(|w| !used(&w.name)) {
            let message = format!(
                "the formula does not use weight \"{}\"; leave it out",
                unused.name
            );
            return Err(self.mistake(text, message));
        }
        Ok(Some(formula))
    }

    /// Takes the fusion of another description of the same features and tasks.
    ///
    /// # Errors
    /// [`Kind::Description`] if they are not the same.
    pub fn take_fusion(&mut self, other: &Self) -> Result<()> {
        let outline = |d: &Self| -> Vec<String> {
            let features = d
                .toml
                .feature
                .iter()
                .map(|f| format!("{} {}", f.name.get_ref(), f.kind.is_number()));
            let space = |t: &super::Task| t.space.as_ref().map(|s| s.get_ref().clone());
            let tasks = d
                .toml
                .task
                .iter()
                .map(|t| format!("{} {:?} {:?}", t.name.get_ref(), t.kind, space(t)));
            features.chain(tasks).collect()
        };
        if outline(self) != outline(other) {
            let message = "features or tasks are not those of the run; a fusion is taken from a description of the same";
            return Err(Error::in_file(Kind::Description, &other.file, message));
        }
        self.toml.fusion = other.toml.fusion.clone();
        // Places in the text are those of the other file.
        (self.file, self.text) = (other.file.clone(), other.text.clone());
        Ok(())
    }

    /// Names, kinds and relations, which are all of a model that a formula depends on.
    pub(crate) fn outline(&self) -> Box<Spec<'_>> {
        let mut spec = Box::new(Spec::default());
        for f in &self.toml.feature {
            let encoding = if f.kind.is_number() {
                Encoding::Number {
                    transform: Transform::UNIT,
                    default: 0.0,
                    value: None,
                    buckets: None,
                }
            } else {
                Encoding::Row {
                    table: 0,
                    default_row: 0,
                }
            };
            // Limits were checked before.
            let _ = spec.features.push(Feature {
                name: f.name.get_ref(),
                side: Side::Candidate,
                source: Source::Column,
                encoding,
            });
        }
        for t in &self.toml.task {
            let given = t.space.as_ref().and_then(|s| self.task(s.get_ref()));
            let _ = spec.tasks.push(Task {
                name: t.name.get_ref(),
                unit: "",
                kind: t.kind.of_score(),
                given: given.and_then(|i| u8::try_from(i).ok()),
                tower_layers: heapless::Vec::new(),
                inputs: heapless::Vec::new(),
                calibration: crate::spec::Calibration::None,
                // The largest of a file.
                score_scale: 1e6,
            });
        }
        spec
    }
}
