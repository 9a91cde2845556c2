//! Tasks, what they are to each other, and the fusion of them.
use std::prelude::v1::*;

use crate::spec::{FedValue, Side, TaskKind, limits};
use crate::train::description::{CalibrationKind, Description, Loss, Task};
use crate::train::error::{Result, near_misses};

impl Description {
    pub(super) fn check_tasks(&self) -> Result<()> {
        let toml = &self.toml;
        if toml.task.is_empty() {
            return Err(self.mistake(
                &toml.network.kind,
                "there is no [[task]]; a model needs at least one",
            ));
        }
        for (i, task) in toml.task.iter().enumerate() {
            self.check_learnt(task)?;
            self.layers(&task.name, task.tower_layers.as_deref().unwrap_or_default())?;
            self.check_loss(task)?;
            self.check_inputs(i, task)?;
            self.check_relations(i, task)?;
            self.check_ranking(task)?;
            if let Some(space) = &task.space {
                match self.task(space.get_ref()) {
                    Some(j) if j == i => {
                        return Err(self.mistake(space, "a task cannot be its own sample space"));
                    }
                    Some(j) if j > i => {
                        let message = format!(
                            "task \"{}\" must stand before the tasks given it",
                            space.get_ref()
                        );
                        return Err(self.mistake(space, message));
                    }
                    Some(j) if toml.task[j].kind != TaskKind::Binary => {
                        let message = format!(
                            "task \"{}\" is not binary; a space is its positives",
                            space.get_ref()
                        );
                        return Err(self.mistake(space, message));
                    }
                    Some(_) => {}
                    None if space.get_ref() == "valid" => {}
                    None if self.label(space.get_ref()).is_some() => {}
                    None => {
                        self.expression(space)?;
                    }
                }
            }
        }
        self.check_cycles()?;
        self.check_position_bias()?;
        for term in &toml.fusion.term {
            self.exists(
                &term.task,
                "task",
                self.task(term.task.get_ref()),
                toml.task.iter().map(|t| &t.name),
            )?;
            if !crate::spec::weight_is_valid(term.weight) {
                let message = format!("weight is {}; 0, or 1e-12 to 1e6 in magnitude", term.weight);
                return Err(self.mistake(&term.task, message));
            }
        }
        Ok(())
    }

    /// Losses and what belongs to them, of the kinds that have them.
    fn check_loss(&self, task: &Task) -> Result<()> {
        let name = task.name.get_ref();
        let wrong = |message: String| Err(self.mistake(&task.name, message));
        let ordinal = matches!(task.kind.of_score(), TaskKind::Steps { .. });
        if task.cread.is_some() && !task.has_loss(Loss::Cread) {
            return wrong(format!(
                "task \"{name}\" has cread, the settings of loss = \"cread\", but not that loss"
            ));
        }
        let bins = usize::from(task.cread.unwrap_or_default().bins);
        if !(2..=limits::LOGITS).contains(&bins) {
            let most = limits::LOGITS;
            return wrong(format!("bins of cread is {bins}; 2 to {most}"));
        }
        self.check_d2q(task)?;
        if !ordinal && (!task.levels.is_empty() || task.score_level.is_some()) {
            return wrong(format!(
                "task \"{name}\" has levels or score_level, which only kind \"ordinal\" has"
            ));
        }
        let rising = task.levels.windows(2).all(|l| l[0] < l[1]);
        let in_range = task.levels.iter().all(|l| (1e-6..=1e6).contains(l));
        if ordinal && !(rising && in_range && (1..=limits::LOGITS).contains(&task.levels.len())) {
            return wrong(format!(
                "levels are {:?}; 1 to {} rising numbers from 0.000001 to 1000000, as [0.25, 0.5, 0.75, 1.0]",
                task.levels,
                limits::LOGITS
            ));
        }
        if let Some(at) = task.score_level.filter(|at| !task.levels.contains(at)) {
            return wrong(format!(
                "score_level is {at}; one of the levels {:?}",
                task.levels
            ));
        }
        let given = task.space.as_ref().and_then(|s| self.task(s.get_ref()));
        if task.has_loss(Loss::WeightedLogistic) && given.is_some() {
            return wrong(format!(
                "task \"{name}\" has loss \"weighted-logistic\", whose negatives are rows without a value, but its space are the positives of a task; space = \"valid\", or loss = \"odds\""
            ));
        }
        let several = matches!(task.spec_kind(), TaskKind::Steps { .. });
        let layers = task.tower_layers.as_ref();
        let layers = layers.unwrap_or(&self.toml.network.tower_layers);
        if several && !ordinal && !task.inputs.is_empty() && layers.is_empty() {
            return wrong(format!(
                "task \"{name}\" has inputs and several logits; its tower needs a layer"
            ));
        }
        Ok(())
    }

    /// A loss by quantiles has groups, which every candidate has on the device too.
    fn check_d2q(&self, task: &Task) -> Result<()> {
        let name = task.name.get_ref();
        let wrong = |message: String| Err(self.mistake(&task.name, message));
        let d2q = match (&task.d2q, task.has_loss(Loss::D2q)) {
            (None, false) => return Ok(()),
            (Some(d2q), true) => d2q,
            (Some(_), false) => {
                return wrong(format!(
                    "task \"{name}\" has d2q, the settings of loss = \"d2q\", but not that loss"
                ));
            }
            (None, true) => {
                return wrong(format!(
                    "task \"{name}\" has loss \"d2q\"; say whose quantiles: d2q = {{ group = \"FEATURE\" }}, a bucketed number"
                ));
            }
        };
        if !(2..=limits::KNOTS).contains(&usize::from(d2q.knots)) {
            let (knots, most) = (d2q.knots, limits::KNOTS);
            return wrong(format!("knots of d2q is {knots}; 2 to {most}"));
        }
        let group = d2q.group.get_ref();
        let names = self.toml.feature.iter().map(|f| &f.name);
        let found = self.exists(&d2q.group, "feature", self.feature(group), names)?;
        let feature = &self.toml.feature[found];
        let why = match self.side(feature) {
            _ if feature.buckets.is_none() => "has no buckets",
            _ if feature.train_only => "is train_only, and the device groups by it too",
            Side::User => "is of the user, so that all candidates of a request are one group",
            Side::Cross => "is of user and candidate together",
            Side::Item | Side::Candidate => return Ok(()),
        };
        let message = format!(
            "feature \"{group}\" {why}; d2q groups by a bucketed number of side \"item\" or \"candidate\""
        );
        Err(self.mistake(&d2q.group, message))
    }

    /// Tasks that feed a tower: there, each once, binary where a probability is asked for.
    fn check_inputs(&self, i: usize, task: &Task) -> Result<()> {
        let tasks = &self.toml.task;
        for (f, at) in task.inputs.iter().enumerate() {
            let (input, name) = (at.get_ref(), at.get_ref().task());
            let Some(from) = self.task(name) else {
                let near = near_misses(name, tasks.iter().map(|t| t.name.get_ref().as_str()));
                return Err(self.mistake(at, format!("unknown task \"{name}\"{near}")));
            };
            if from == i {
                return Err(self.mistake(at, "a task cannot be its own input"));
            }
            let mut before = task.inputs[..f].iter();
            if before.any(|other| other.get_ref().task() == name) {
                return Err(self.mistake(at, format!("task \"{name}\" is an input twice")));
            }
            if matches!(tasks[from].spec_kind(), TaskKind::Steps { .. }) {
                let message = format!("task \"{name}\" has several logits; it cannot be an input");
                return Err(self.mistake(at, message));
            }
            if input.value() == FedValue::Probability && tasks[from].kind != TaskKind::Binary {
                let message =
                    format!("task \"{name}\" is not binary; it has a logit, but no probability");
                return Err(self.mistake(at, message));
            }
        }
        Ok(())
    }

    /// Losses over the entire space, funnels, sampling and calibration: of binary tasks, and not of each other's way.
    fn check_relations(&self, i: usize, task: &Task) -> Result<()> {
        let tasks = &self.toml.task;
        let name = task.name.get_ref();
        let binary = task.kind == TaskKind::Binary;
        let sampled = |t: &Task| t.keep_negatives != 1.0 || t.positive_weight != 1.0;
        for (key, used) in [
            ("entire_space", task.entire_space),
            ("focal", task.focal != 0.0),
            ("at_most", task.at_most.is_some()),
            ("keep_negatives or positive_weight", sampled(task)),
            ("calibration", task.calibration != CalibrationKind::None),
        ] {
            if used && !binary {
                let message = format!("task \"{name}\" has {key}, which only binary tasks have");
                return Err(self.mistake(&task.name, message));
            }
        }
        if task.focal != 0.0 && task.entire_space {
            let message = format!(
                "task \"{name}\" has focal and entire_space; the loss of a product of probabilities has no focus"
            );
            return Err(self.mistake(&task.name, message));
        }
        if task.entire_space {
            let mut chain = vec![i];
            while let Some(given) = tasks[chain[chain.len() - 1]]
                .space
                .as_ref()
                .and_then(|s| self.task(s.get_ref()))
                .filter(|given| !chain.contains(given))
            {
                chain.push(given);
            }
            if chain.len() == 1 {
                let message = format!(
                    "task \"{name}\" has entire_space; its space must be another binary task"
                );
                return Err(self.mistake(&task.name, message));
            }
            if let Some(t) = chain.iter().map(|t| &tasks[*t]).find(|t| sampled(t)) {
                let message = format!(
                    "task \"{name}\" has entire_space; task \"{}\" may not be sampled or weighed by class then",
                    t.name.get_ref()
                );
                return Err(self.mistake(&task.name, message));
            }
        }
        if let Some(parent) = &task.at_most {
            let found = self.task(parent.get_ref());
            let names = tasks.iter().map(|t| &t.name);
            let j = self.exists(parent, "task", found, names)?;
            if j == i || tasks[j].kind != TaskKind::Binary {
                let message = format!(
                    "at_most \"{}\" must be another binary task",
                    parent.get_ref()
                );
                return Err(self.mistake(parent, message));
            }
        }
        Ok(())
    }

    /// Inputs that lead from a task back to it.
    fn check_cycles(&self) -> Result<()> {
        let tasks = &self.toml.task;
        let feeds = |i: usize| {
            let inputs = tasks[i].inputs.iter();
            inputs.filter_map(|input| Some((self.task(input.get_ref().task())?, input)))
        };
        let mut ready = vec![false; tasks.len()];
        while let Some(next) =
            (0..tasks.len()).find(|i| !ready[*i] && feeds(*i).all(|(j, _)| ready[j]))
        {
            ready[next] = true;
        }
        let Some(start) = ready.iter().position(|r| !r) else {
            return Ok(());
        };
        // Each task left has an input that is left, so going from one to the next comes back somewhere.
        let mut path = vec![start];
        loop {
            let last = path[path.len() - 1];
            let Some((next, input)) = feeds(last).find(|(j, _)| !ready[*j]) else {
                return Ok(());
            };
            if let Some(first) = path.iter().position(|i| *i == next) {
                path.push(next);
                let names = path[first..]
                    .iter()
                    .map(|i| tasks[*i].name.get_ref().as_str());
                let message = format!(
                    "tasks feed each other in a circle: {}; take one of these inputs out",
                    names.collect::<Vec<_>>().join(" <- ")
                );
                return Err(self.mistake(input, message));
            }
            path.push(next);
        }
    }
}
