//! What TOML cannot say: names that must exist, and keys that must or must not stand together.
use std::prelude::v1::*;

use toml::Spanned;

use super::{Description, ExportBits, Named};
use crate::spec::limits;
use crate::train::error::{Error, Kind, Result, near_misses};
use crate::train::expression::Expression;

mod attention;
mod feature;
mod network;
mod position_bias;
mod ranking;
mod table;
mod task;

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
        if toml.feature.is_empty() {
            let message = "there is no [[feature]]; a model needs at least one";
            return Err(self.mistake(&toml.network.kind, message));
        }
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
        if let Some(bits) = &toml.export.bits {
            let found = match bits.get_ref() {
                ExportBits::Number(4 | 8) => None,
                ExportBits::Number(other) => Some(format!("{other}")),
                ExportBits::Word(word) if word == "auto" => None,
                ExportBits::Word(word) => Some(format!("\"{word}\"")),
            };
            if let Some(found) = found {
                return Err(self.mistake(bits, format!("bits is {found}; 4, 8 or \"auto\"")));
            }
            if toml.export.has_auto_bits() && toml.export.max_bytes.is_some() {
                let message = "bits \"auto\" packs what loses little, max_bytes what must be; state one of them";
                return Err(self.mistake(bits, message));
            }
        }
        for table in &toml.table {
            self.check_table(table)?;
        }
        for (i, feature) in toml.feature.iter().enumerate() {
            self.check_feature(i, feature)?;
        }
        self.check_network()?;
        self.check_server()?;
        self.check_tasks()?;
        self.formula()?;
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
                e.position,
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
        self.check_validation()?;
        let time = data.time.as_ref().map(|t| t.get_ref());
        for computed in data.columns.values() {
            if time != Some(computed.of.get_ref()) {
                let of = computed.of.get_ref();
                let message =
                    format!("\"{of}\" is not the time column of [data]; only that has parts");
                return Err(self.mistake(&computed.of, message));
            }
            if !(-24.0..=24.0).contains(&computed.offset_hours) {
                let message = format!("offset_hours is {}; -24 to 24", computed.offset_hours);
                return Err(self.mistake(&computed.of, message));
            }
        }
        let late = self.toml.label.iter().find(|l| {
            l.delay > 0.0 || l.window.is_some_and(|w| w > 0.0) || l.delay_column.is_some()
        });
        if let (Some(label), None) = (late, time) {
            let message = format!(
                "label \"{}\" has a delay or window; [data] needs time",
                label.name.get_ref()
            );
            return Err(self.mistake(&label.name, message));
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

    fn check_validation(&self) -> Result<()> {
        let v = &self.toml.data.validation;
        let whole = |message: &str| Err(Error::in_file(Kind::Description, &self.file, message));
        let ways = [
            v.from.is_some(),
            v.last.is_some(),
            v.path.is_some(),
            v.filter.is_some(),
        ];
        if ways.iter().filter(|w| **w).count() != 1 {
            return whole("[data] validation takes exactly one of from, last, path and where");
        }
        if v.last.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            return whole("[data] validation last is a share above 0 and below 1");
        }
        if let Some(from) = &v.from {
            if self.toml.data.time.is_none() {
                return Err(self.mistake(from, "validation from a time; [data] needs time"));
            }
            if self.validation_from_ms().is_none() {
                return Err(self.mistake(from, "from is no time; write it as the time column does"));
            }
        }
        Ok(())
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

    /// The place of a value, for errors found later.
    pub(crate) fn at<T>(&self, at: &Spanned<T>) -> u64 {
        super::line_of(&self.text, at.span().start)
    }
}
