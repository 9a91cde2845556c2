//! Features that attend: the list, and the id that asks.
use std::prelude::v1::*;

use crate::spec::{NetworkKind, Side, limits};
use crate::train::description::{Description, Feature, FeatureKind, Named, OneOrMore};
use crate::train::error::{Result, near_misses};

/// The least `attention_dim`: with fewer values two ids are hardly apart.
const DIM_MIN: u16 = 8;

impl Description {
    pub(super) fn check_attention(&self, f: &Feature) -> Result<()> {
        let (wrong, name) = (
            |message: String| Err(self.mistake(&f.name, message)),
            f.name.get_ref(),
        );
        if f.side.is_some_and(|side| side != Side::Cross) {
            return wrong(format!("\"{name}\" attends; its side is \"cross\""));
        }
        let Some([of]) = f.of.as_ref().map(OneOrMore::list) else {
            return wrong(format!("\"{name}\" needs of: one list of the user"));
        };
        let Some(query) = &f.query else {
            return wrong(format!("\"{name}\" needs query: an id of the candidate"));
        };
        let list = self.attended(&f.name, of)?;
        if !matches!(list.kind, FeatureKind::Ids | FeatureKind::LastIds) {
            return wrong(format!(
                "\"{of}\" is no list; of takes a feature of kind \"ids\" or \"last_ids\""
            ));
        }
        if self.side(list) != Side::User {
            return wrong(format!(
                "\"{of}\" is no list of the user; of takes one of side \"user\""
            ));
        }
        if list.weights.is_some() {
            return wrong(format!(
                "\"{of}\" has weights; attention has its own, give it a list without"
            ));
        }
        let id = self.attended(query, query.get_ref())?;
        let asks = id.kind == FeatureKind::Id && !id.train_only;
        if !asks || self.side(id) == Side::User {
            let message = format!(
                "\"{}\" is no id of the candidate; query takes one",
                query.get_ref()
            );
            return Err(self.mistake(query, message));
        }
        let (of_list, of_id) = (self.table_name(list), self.table_name(id));
        if of_list != of_id {
            let message = format!(
                "\"{}\" is of table \"{of_id}\", \"{of}\" of \"{of_list}\"; both must be of one",
                query.get_ref()
            );
            return Err(self.mistake(query, message));
        }
        let most = limits::ATTENTION_DIM as u16;
        if let Some(dim) = f.attention_dim.filter(|d| !(DIM_MIN..=most).contains(d)) {
            return wrong(format!("attention_dim is {dim}; {DIM_MIN} to {most}"));
        }
        if self.toml.network.kind() == Some(NetworkKind::Single) {
            return wrong(format!(
                "\"{name}\" attends, which a network of kind \"single\" does not: take \"shared-embedding\""
            ));
        }
        let all = self.toml.feature.iter();
        let all = all.filter(|f| f.kind == FeatureKind::Attention).count();
        if all > limits::ATTENTIONS {
            return wrong(format!(
                "{all} features attend; at most {}",
                limits::ATTENTIONS
            ));
        }
        Ok(())
    }

    fn attended(&self, at: &Named, name: &str) -> Result<&Feature> {
        let names = self.toml.feature.iter().map(|f| f.name.get_ref().as_str());
        match self.feature(name) {
            Some(i) => Ok(&self.toml.feature[i]),
            None => {
                let near = near_misses(name, names);
                Err(self.mistake(at, format!("unknown feature \"{name}\"{near}")))
            }
        }
    }

    /// The table of a feature of ids, or of the ids that it remembers.
    pub(crate) fn table_name<'d>(&'d self, f: &'d Feature) -> &'d str {
        let of = f.of.as_ref().map(OneOrMore::list).unwrap_or_default();
        let of = of.first().and_then(|name| self.feature(name));
        match (f.kind, of.map(|i| &self.toml.feature[i])) {
            (FeatureKind::LastIds, Some(of)) => of.table(),
            // Of a list, which is not one of these.
            (FeatureKind::Attention, Some(of)) if of.kind != f.kind => self.table_name(of),
            _ => f.table(),
        }
    }
}
