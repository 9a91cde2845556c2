//! What TOML cannot say: names that must exist, and keys that must or must not stand together.
use std::prelude::v1::*;

use toml::Spanned;

use super::{Description, Feature, FeatureKind, Named, OneOrMore, Table};
use crate::spec::{Side, TaskKind, limits};
use crate::train::error::{Result, near_misses};
use crate::train::expression::Expression;

impl Description {
    pub(super) fn check(&self) -> Result<()> {
        let toml = &self.toml;
        self.distinct("label", toml.label.iter().map(|l| &l.name), limits::LABELS)?;
        self.distinct("table", toml.table.iter().map(|t| &t.name), limits::TABLES)?;
        self.distinct(
            "feature",
            toml.feature.iter().map(|f| &f.name),
            limits::FEATURES,
        )?;
        self.distinct("task", toml.task.iter().map(|t| &t.name), limits::TASKS)?;
        let terms = toml
            .fusion
            .term
            .iter()
            .map(|t| t.name.as_ref().unwrap_or(&t.task));
        self.distinct("fusion term", terms, limits::TERMS)?;
        self.check_data()?;
        for label in &toml.label {
            if let Some(value) = &label.value {
                self.expression(value)?;
            }
            if let Some(known) = &label.known {
                self.expression(known)?;
            }
            for (key, seconds) in [
                ("delay", label.delay),
                ("window", label.window.unwrap_or(0.0)),
            ] {
                if !(seconds.is_finite() && seconds >= 0.0) {
                    return Err(self.mistake(
                        &label.name,
                        format!("{key} is {seconds}; seconds, at least 0"),
                    ));
                }
            }
        }
        for table in &toml.table {
            self.check_table(table)?;
        }
        for (i, feature) in toml.feature.iter().enumerate() {
            self.check_feature(i, feature)?;
        }
        self.check_network()?;
        self.check_tasks()?;
        self.check_train()
    }

    fn distinct<'d>(
        &self,
        what: &str,
        names: impl Iterator<Item = &'d Named>,
        most: usize,
    ) -> Result<()> {
        let mut seen: Vec<&Named> = Vec::new();
        for name in names {
            let text = name.get_ref();
            if text.is_empty() || text.len() > limits::NAME_BYTES {
                let message = format!(
                    "the name of a {what} has {} bytes; 1 to {}",
                    text.len(),
                    limits::NAME_BYTES
                );
                return Err(self.mistake(name, message));
            }
            if seen.iter().any(|s| s.get_ref() == text) {
                return Err(self.mistake(
                    name,
                    format!("a second {what} is called \"{text}\"; names are unique"),
                ));
            }
            seen.push(name);
            if seen.len() > most {
                return Err(self.mistake(
                    name,
                    format!("more than {most} {what}s; the format holds {most}"),
                ));
            }
        }
        Ok(())
    }

    /// Parses an expression of the description.
    pub(crate) fn expression(&self, text: &Named) -> Result<Expression> {
        Expression::parse(text.get_ref()).map_err(|e| {
            let message = format!(
                "\"{}\" at character {}: {}",
                text.get_ref(),
                e.position + 1,
                e.message
            );
            self.mistake(text, message)
        })
    }

    fn check_data(&self) -> Result<()> {
        let data = &self.toml.data;
        for filter in data.valid.iter().chain(&data.validation.filter) {
            self.expression(filter)?;
        }
        let first = self.toml.feature.first().map(|f| &f.name);
        let v = &data.validation;
        let ways = [
            v.from.is_some(),
            v.last.is_some(),
            v.path.is_some(),
            v.filter.is_some(),
        ];
        if let (Some(at), true) = (first, ways.iter().filter(|w| **w).count() != 1) {
            return Err(self.mistake(
                at,
                "validation takes exactly one of from, last, path and where",
            ));
        }
        let timed = self.toml.feature.iter().find(|f| f.kind.is_derived());
        if let Some(feature) = timed {
            for (key, column) in [("user", &data.user), ("time", &data.time)] {
                if column.is_none() {
                    let message = format!(
                        "\"{}\" remembers earlier events; [data] needs {key}",
                        feature.name.get_ref()
                    );
                    return Err(self.mistake(&feature.name, message));
                }
            }
        }
        Ok(())
    }

    fn check_table(&self, table: &Table) -> Result<()> {
        if table.vocabulary.is_some() == table.hash.is_some() {
            return Err(self.mistake(&table.name, "a table takes either vocabulary or hash"));
        }
        self.dim(&table.name, Some(table.dim))
    }

    fn dim(&self, at: &Named, dim: Option<u16>) -> Result<()> {
        match dim {
            Some(dim) if (1..=limits::EMBEDDING_DIM).contains(&usize::from(dim)) => Ok(()),
            Some(dim) => {
                Err(self.mistake(at, format!("dim is {dim}; 1 to {}", limits::EMBEDDING_DIM)))
            }
            None => Err(self.mistake(at, format!("\"{}\" needs dim", at.get_ref()))),
        }
    }

    fn check_feature(&self, index: usize, f: &Feature) -> Result<()> {
        use FeatureKind::{Cross, Id, Ids, KeyRate, LastIds, Number, Vector};
        let wrong = |message: String| Err(self.mistake(&f.name, message));
        let name = f.name.get_ref();
        match (f.side, f.kind) {
            (None, Id | Ids | Number | Vector) => return wrong(format!("\"{name}\" needs side")),
            (Some(side), KeyRate) if side != Side::Cross => {
                return wrong(format!(
                    "\"{name}\" is a rate by key; its side is \"cross\""
                ));
            }
            (Some(side), kind) if kind.is_derived() && kind != KeyRate && side != Side::User => {
                return wrong(format!(
                    "\"{name}\" is derived from the user's events; its side is \"user\""
                ));
            }
            _ => {}
        }
        if matches!(f.kind, Id | Ids | Cross) {
            self.check_own_table(f)?;
        }
        if let Some(len) = f
            .max_len
            .filter(|l| !(1..=limits::IDS).contains(&usize::from(*l)))
        {
            return wrong(format!("max_len is {len}; 1 to {}", limits::IDS));
        }
        if f.kind.is_number() {
            if let Some(buckets) = f.buckets {
                if !(2..=limits::BUCKETS).contains(&usize::from(buckets)) {
                    return wrong(format!("buckets is {buckets}; 2 to {}", limits::BUCKETS));
                }
                self.dim(&f.name, f.dim)?;
            } else if f.value == Some(false) {
                return wrong(format!(
                    "\"{name}\" is neither a value nor buckets; it would be no input"
                ));
            }
            if let Some([low, high]) = f
                .clip
                .filter(|[low, high]| low.is_nan() || high.is_nan() || low >= high)
            {
                return wrong(format!(
                    "clip is [{low}, {high}]; the first must be below the second"
                ));
            }
        }
        if f.kind == Vector {
            self.dim(&f.name, f.dim)?;
        }
        if f.kind == Cross {
            let of = f.of.as_ref().map(OneOrMore::list).unwrap_or_default();
            let [left, right] = of else {
                return wrong(format!("\"{name}\" is a cross; of takes two features"));
            };
            for other in [left, right] {
                self.key_feature(&f.name, other, index)?;
            }
        }
        if f.kind.is_derived() {
            let Some(label) = &f.label else {
                return wrong(format!("\"{name}\" needs label"));
            };
            self.exists(
                label,
                "label",
                self.label(label.get_ref()),
                self.toml.label.iter().map(|l| &l.name),
            )?;
            if f.half_life_events.is_some() && f.half_life_seconds.is_some() {
                return wrong(format!(
                    "\"{name}\" takes half_life_events or half_life_seconds, not both"
                ));
            }
        }
        if f.kind == LastIds {
            let Some([of]) = f.of.as_ref().map(OneOrMore::list) else {
                return wrong(format!(
                    "\"{name}\" needs of: one id feature of the candidate"
                ));
            };
            let other = self.key_feature(&f.name, of, usize::MAX)?;
            if other.kind != Id {
                return wrong(format!("\"{of}\" is no id; last_ids keeps ids"));
            }
        }
        if f.kind == KeyRate {
            let Some(key) = &f.key else {
                return wrong(format!(
                    "\"{name}\" needs key: an id or a bucketed number of the candidate"
                ));
            };
            self.key_feature(key, key.get_ref(), usize::MAX)?;
            if let Some(n) = f
                .key_buckets
                .filter(|n| !(1..=limits::KEY_BUCKETS).contains(&usize::from(*n)))
            {
                return wrong(format!("key_buckets is {n}; 1 to {}", limits::KEY_BUCKETS));
            }
        }
        Ok(())
    }

    /// A feature whose ids can key others; `before` bounds its index.
    fn key_feature(&self, at: &Named, name: &str, before: usize) -> Result<&Feature> {
        let names = self.toml.feature.iter().map(|f| f.name.get_ref().as_str());
        let Some(index) = self.feature(name) else {
            return Err(self.mistake(
                at,
                format!("unknown feature \"{name}\"{}", near_misses(name, names)),
            ));
        };
        let other = &self.toml.feature[index];
        let keyed = other.kind == FeatureKind::Id
            || (other.kind == FeatureKind::Number && other.buckets.is_some());
        if !keyed {
            return Err(self.mistake(
                at,
                format!("\"{name}\" is neither an id nor a number with buckets"),
            ));
        }
        if index >= before {
            return Err(self.mistake(at, format!("\"{name}\" must stand before what uses it")));
        }
        Ok(other)
    }

    /// The table keys of a feature against a declared table, or as a declaration of their own.
    fn check_own_table(&self, f: &Feature) -> Result<()> {
        let declared = self
            .toml
            .table
            .iter()
            .find(|t| t.name.get_ref() == f.table());
        let at = f.table.as_ref().unwrap_or(&f.name);
        if let Some(table) = declared {
            if f.vocabulary.is_some()
                || f.hash.is_some()
                || f.dim.is_some_and(|dim| dim != table.dim)
            {
                let message = format!(
                    "table \"{}\" is declared with its own dim, vocabulary or hash",
                    f.table()
                );
                return Err(self.mistake(at, message));
            }
            return Ok(());
        }
        let declares = |g: &Feature| g.vocabulary.is_some() || g.hash.is_some();
        let others = self
            .toml
            .feature
            .iter()
            .filter(|g| g.table() == f.table() && declares(g));
        let count = others.clone().count();
        match (count, declares(f)) {
            (0, _) => {
                let message = format!("table \"{}\" needs vocabulary or hash", f.table());
                Err(self.mistake(at, message))
            }
            (1, true) => {
                if f.vocabulary.is_some() && f.hash.is_some() {
                    return Err(self.mistake(at, "a table takes either vocabulary or hash"));
                }
                self.dim(&f.name, f.dim)
            }
            (1, false) => Ok(()),
            _ => Err(self.mistake(
                at,
                format!(
                    "table \"{}\" is described twice; share it by name",
                    f.table()
                ),
            )),
        }
    }

    fn exists<'d>(
        &self,
        at: &Named,
        what: &str,
        found: Option<usize>,
        names: impl Iterator<Item = &'d Named>,
    ) -> Result<usize> {
        found.ok_or_else(|| {
            let near = near_misses(at.get_ref(), names.map(|n| n.get_ref().as_str()));
            self.mistake(at, format!("unknown {what} \"{}\"{near}", at.get_ref()))
        })
    }

    fn check_network(&self) -> Result<()> {
        let n = &self.toml.network;
        let at = &n.kind;
        if at.get_ref() != "mmoe" {
            return Err(self.mistake(
                at,
                format!("unknown network \"{}\"; \"mmoe\"", at.get_ref()),
            ));
        }
        if !(1..=limits::EXPERTS).contains(&usize::from(n.experts)) {
            return Err(self.mistake(
                at,
                format!("experts is {}; 1 to {}", n.experts, limits::EXPERTS),
            ));
        }
        if n.expert_layers.is_empty() {
            return Err(self.mistake(
                at,
                "expert_layers is empty; an expert has at least one layer",
            ));
        }
        self.layers(at, &n.expert_layers)?;
        self.layers(at, &n.tower_layers)
    }

    fn layers(&self, at: &Named, layers: &[u16]) -> Result<()> {
        let fits = |w: &u16| (1..=limits::WIDTH).contains(&usize::from(*w));
        if layers.len() > limits::LAYERS || !layers.iter().all(fits) {
            let message = format!(
                "layers are {layers:?}; at most {} of 1 to {}",
                limits::LAYERS,
                limits::WIDTH
            );
            return Err(self.mistake(at, message));
        }
        Ok(())
    }

    fn check_tasks(&self) -> Result<()> {
        let toml = &self.toml;
        if toml.task.is_empty() {
            return Err(self.mistake(
                &toml.network.kind,
                "there is no [[task]]; a model needs at least one",
            ));
        }
        for (i, task) in toml.task.iter().enumerate() {
            let label = task.label();
            self.exists(
                label,
                "label",
                self.label(label.get_ref()),
                toml.label.iter().map(|l| &l.name),
            )?;
            self.layers(&task.name, task.tower_layers.as_deref().unwrap_or_default())?;
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
                    None => {
                        self.expression(space)?;
                    }
                }
            }
        }
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

    fn check_train(&self) -> Result<()> {
        let options = self.train_options();
        let tasks = self
            .task_options()
            .and_then(|tasks| tasks.iter().try_for_each(|t| t.check()));
        let checked = options.and_then(|o| o.check()).and(tasks);
        checked.map_err(|message| self.mistake(&self.toml.network.kind, message))
    }

    /// The place of a value, for errors found later.
    pub(crate) fn at<T>(&self, at: &Spanned<T>) -> u64 {
        super::line_of(&self.text, at.span().start)
    }
}
