//! Towers on the position.
use std::prelude::v1::*;

use crate::spec::TaskKind;
use crate::train::description::{DefaultValue, Description, FeatureKind, IdKind, Task};
use crate::train::error::Result;

impl Description {
    /// Tasks that exist, each once, and a reference value for every feature that the towers read.
    pub(super) fn check_position_bias(&self) -> Result<()> {
        let Some(bias) = &self.toml.position_bias else {
            return Ok(());
        };
        let at = &self.toml.network.kind;
        let features = self.toml.feature.iter().filter(|f| f.train_only);
        if features.clone().next().is_none() {
            let message = "[position_bias] reads train_only features; there is none";
            return Err(self.mistake(at, message));
        }
        if bias.tasks.is_empty() {
            return Err(self.mistake(at, "[position_bias] tasks is empty; name at least one"));
        }
        for (i, task) in bias.tasks.iter().enumerate() {
            let found = self.task(task.get_ref());
            let names = self.toml.task.iter().map(|t| &t.name);
            self.exists(task, "task", found, names)?;
            if bias.tasks[..i]
                .iter()
                .any(|t| t.get_ref() == task.get_ref())
            {
                let message = format!("task \"{}\" is named twice", task.get_ref());
                return Err(self.mistake(task, message));
            }
            let several = |t: &&Task| {
                t.name.get_ref() == task.get_ref()
                    && matches!(t.spec_kind(), TaskKind::Steps { .. })
            };
            if self.toml.task.iter().any(|t| several(&t)) {
                let message = format!(
                    "task \"{}\" has several logits; a position bias has one",
                    task.get_ref()
                );
                return Err(self.mistake(task, message));
            }
            // What is fed must be the same in training and serving, and the position is not.
            let feeds = |t: &&Task| {
                let mut inputs = t.inputs.iter();
                inputs.any(|i| i.get_ref().task() == task.get_ref())
            };
            if let Some(fed) = self.toml.task.iter().find(feeds) {
                let message = format!(
                    "task \"{}\" has a position bias; it cannot be an input of \"{}\"",
                    task.get_ref(),
                    fed.name.get_ref()
                );
                return Err(self.mistake(task, message));
            }
        }
        self.layers(at, &bias.layers)?;
        if !(0.0..1.0).contains(&bias.dropout) {
            let message = format!(
                "[position_bias] dropout is {}; at least 0 and below 1",
                bias.dropout
            );
            return Err(self.mistake(at, message));
        }
        for feature in features.clone() {
            let name = feature.name.get_ref();
            let Some(value) = bias.reference.get(name) else {
                let message = format!("[position_bias] reference has no value of \"{name}\"");
                return Err(self.mistake(at, message));
            };
            let fits = match (value.get_ref(), feature.kind, self.id_kind(feature)) {
                (DefaultValue::Number(x), FeatureKind::Number, _) => x.is_finite(),
                (DefaultValue::Number(x), _, IdKind::Int) => x.fract() == 0.0,
                (DefaultValue::Text(_), FeatureKind::Id, IdKind::String) => true,
                _ => false,
            };
            if !fits {
                let message = format!("the reference of \"{name}\" is no value of it");
                return Err(self.mistake(value, message));
            }
        }
        for (name, value) in &bias.reference {
            if !features.clone().any(|f| f.name.get_ref() == name) {
                let message =
                    format!("\"{name}\" is no train_only feature; only those have a reference");
                return Err(self.mistake(value, message));
            }
        }
        Ok(())
    }
}
