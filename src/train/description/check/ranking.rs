//! Ranking tasks, losses over lists and teachers.
use std::prelude::v1::*;

use crate::spec::TaskKind;
use crate::train::description::ranking::{Loss, Objective, Teacher, TeacherForm, TeacherValue};
use crate::train::description::{Description, Named, Task};
use crate::train::error::{Result, near_misses};

impl Description {
    /// Of what labels a task learns: they exist, and only ranking tasks add several up.
    pub(super) fn check_learnt(&self, task: &Task) -> Result<()> {
        let labels = || self.toml.label.iter().map(|l| &l.name);
        let name = task.name.get_ref();
        if task.utility.is_empty() {
            let label = task.label();
            return self
                .exists(label, "label", self.label(label.get_ref()), labels())
                .map(|_| ());
        }
        if task.kind != Objective::Rank {
            let message = format!(
                "task \"{name}\" has a utility, which only ranking tasks have: kind = \"rank\", or label"
            );
            return Err(self.mistake(&task.name, message));
        }
        if task.label.is_some() {
            let message = format!("task \"{name}\" has label and utility; one of them");
            return Err(self.mistake(&task.name, message));
        }
        for (label, factor) in &task.utility {
            if self.label(label).is_none() {
                let near = near_misses(label, labels().map(|l| l.get_ref().as_str()));
                return Err(self.mistake(factor, format!("unknown label \"{label}\"{near}")));
            }
            let x = *factor.get_ref();
            if !(1e-6..=1e6).contains(&x) {
                let message = format!(
                    "the factor of \"{label}\" is {x}; 0.000001 to 1000000: a utility is at least 0"
                );
                return Err(self.mistake(factor, message));
            }
        }
        Ok(())
    }

    /// A task's loss and teacher, and what they need.
    pub(super) fn check_ranking(&self, task: &Task) -> Result<()> {
        let name = task.name.get_ref();
        let wrong = |message: String| Err(self.mistake(&task.name, message));
        if let Some(loss) = &task.loss {
            let [rank, binary, duration] = Loss::WORDS.map(|words| words.join("\", \""));
            let fits = task.kind == loss.get_ref().of();
            if !fits {
                let message = format!(
                    "task \"{name}\" cannot have this loss; ranking tasks have one of \"{rank}\", durations one of \"{duration}\", binary ones \"{binary}\" or, without this key, log loss"
                );
                return Err(self.mistake(loss, message));
            }
        }
        let loss = task.loss.as_ref().map(|l| *l.get_ref());
        let mixed = matches!(loss, Some(Loss::Jrc | Loss::Rcr));
        match task.list_weight {
            Some(_) if !mixed => {
                return wrong(format!(
                    "task \"{name}\" has list_weight, which the losses \"jrc\" and \"rcr\" have"
                ));
            }
            Some(share) if !(share > 0.0 && share < 1.0) => {
                return wrong(format!("list_weight is {share}; above 0 and below 1"));
            }
            _ => {}
        }
        if task.ndcg_at.is_some() && loss != Some(Loss::LambdaRank) {
            return wrong(format!(
                "task \"{name}\" has ndcg_at, which the loss \"lambdarank\" has"
            ));
        }
        if let Some(teacher) = &task.teacher {
            self.check_teacher(task, teacher.get_ref())?;
        }
        if task.focal != 0.0 && (task.teacher.is_some() || task.loss.is_some()) {
            return wrong(format!(
                "task \"{name}\" has focal, which takes neither loss nor teacher beside it"
            ));
        }
        if !task.learns_lists() {
            return Ok(());
        }
        for (key, used) in [
            ("weight_column", task.weight_column.is_some()),
            ("keep_negatives", task.keep_negatives != 1.0),
            ("positive_weight", task.positive_weight != 1.0),
            ("entire_space", task.entire_space),
        ] {
            if used {
                return wrong(format!(
                    "task \"{name}\" learns from lists, which have no {key}: requests weigh alike, and all of their rows are there"
                ));
            }
        }
        let listed = self.toml.data.request.is_some()
            || (self.toml.data.user.is_some() && self.toml.data.time.is_some());
        if !listed {
            return wrong(format!(
                "task \"{name}\" learns from lists; [data] needs request, or user and time"
            ));
        }
        if !self.toml.train.whole_requests {
            return wrong(format!(
                "task \"{name}\" learns from lists; [train] needs whole_requests = true"
            ));
        }
        Ok(())
    }

    fn check_teacher(&self, task: &Task, teacher: &Teacher) -> Result<()> {
        let name = task.name.get_ref();
        let at: &Named = &teacher.column;
        let wrong = |message: String| Err(self.mistake(at, message));
        let (binary, duration) = (
            task.kind == TaskKind::Binary,
            task.kind == TaskKind::Duration,
        );
        if !binary && !duration {
            return wrong(format!(
                "task \"{name}\" has a teacher; binary and duration tasks have one"
            ));
        }
        if task.loss.is_some() || task.entire_space {
            return wrong(format!(
                "task \"{name}\" has a teacher; it takes neither loss nor entire_space then"
            ));
        }
        if !(teacher.weight > 0.0 && teacher.weight <= 1.0) {
            return wrong(format!(
                "weight of the teacher is {}; above 0 and at most 1",
                teacher.weight
            ));
        }
        if !(0.1..=100.0).contains(&teacher.temperature) {
            return wrong(format!(
                "temperature is {}; 0.1 to 100",
                teacher.temperature
            ));
        }
        let plain = teacher.temperature == 1.0
            && teacher.form == TeacherForm::Rows
            && teacher.of == TeacherValue::Probability;
        if duration && !plain {
            return wrong(format!(
                "the teacher of a duration, \"{name}\", is its value; it has neither of, form nor temperature"
            ));
        }
        Ok(())
    }
}
