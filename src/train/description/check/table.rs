//! Tables: rows, width and bits, what features that share one say of it, and what the server's cannot be.
use std::prelude::v1::*;

use crate::spec::{NetworkKind, limits};
use crate::train::description::{
    Description, Feature, FeatureKind, Named, OneOrMore, Table, VocabularyOptions,
};
use crate::train::error::Result;

impl Description {
    pub(super) fn check_table(&self, table: &Table) -> Result<()> {
        self.check_rows(&table.name, table.vocabulary, table.hash)?;
        if table.vocabulary.is_some() == table.hash.is_some() {
            return Err(self.mistake(&table.name, "a table takes either vocabulary or hash"));
        }
        self.check_bits(&table.name, table.bits)?;
        self.dim(&table.name, Some(table.dim))
    }

    pub(super) fn check_bits(&self, at: &Named, bits: Option<u8>) -> Result<()> {
        match bits {
            None | Some(4 | 8) => Ok(()),
            Some(bits) => Err(self.mistake(at, format!("bits is {bits}; 4 or 8"))),
        }
    }

    fn check_rows(
        &self,
        at: &Named,
        vocabulary: Option<VocabularyOptions>,
        hash: Option<u32>,
    ) -> Result<()> {
        let most = limits::NUM_EMBEDDINGS - 1;
        let fits = |rows: u64| (1..=most as u64).contains(&rows);
        if let Some(hash) = hash.filter(|hash| !fits(u64::from(*hash))) {
            return Err(self.mistake(at, format!("hash is {hash}; 1 to {most} rows")));
        }
        if let Some(max) = vocabulary.and_then(|v| v.max).filter(|max| !fits(*max)) {
            return Err(self.mistake(at, format!("max is {max}; 1 to {most} ids")));
        }
        let wants_users = vocabulary.is_some_and(|v| v.min_users > 0);
        if wants_users && self.toml.data.user.is_none() {
            let message = "min_users counts users; say in [data] user which column has them";
            return Err(self.mistake(at, message));
        }
        Ok(())
    }

    pub(super) fn dim(&self, at: &Named, dim: Option<u16>) -> Result<()> {
        match dim {
            Some(dim) if (1..=limits::EMBEDDING_DIM).contains(&usize::from(dim)) => Ok(()),
            Some(dim) => {
                Err(self.mistake(at, format!("dim is {dim}; 1 to {}", limits::EMBEDDING_DIM)))
            }
            None => Err(self.mistake(at, format!("\"{}\" needs dim", at.get_ref()))),
        }
    }

    /// What a table that the server keeps cannot be: the device has neither its rows nor its ids.
    pub(super) fn check_server(&self) -> Result<()> {
        let features = &self.toml.feature;
        let declared = self.toml.table.iter().filter(|t| t.server);
        let declared = declared.map(|t| (&t.name, t.hash, t.bits));
        let own = features.iter().filter(|f| f.server == Some(true));
        let own = own.map(|f| (f.table.as_ref().unwrap_or(&f.name), f.hash, f.bits));
        for (at, hash, bits) in declared.chain(own) {
            let name = at.get_ref().as_str();
            let wrong = |at: &Named, why: String| {
                Err(self.mistake(at, format!("table \"{name}\" is the server's; {why}")))
            };
            if hash.is_some() {
                return wrong(at, "it takes a vocabulary: a server joins by id".into());
            }
            if bits.is_some() {
                return wrong(at, "leave bits out: a vector has whole bytes".into());
            }
            let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            if !name.chars().all(fits) {
                return wrong(
                    at,
                    "its name is part of a file's name: letters, digits, \"_\", \"-\" and \".\""
                        .into(),
                );
            }
            if self.toml.network.kind() == Some(NetworkKind::Single) {
                return wrong(
                    at,
                    "a network of kind \"single\" has a row a task, and a request one vector: take \"shared-embedding\"".into(),
                );
            }
            for f in features {
                let uses = f.of.as_ref().map(OneOrMore::list).unwrap_or_default();
                let keys = [&f.key, &f.query].into_iter().flatten();
                let mut uses = uses.iter().chain(keys.map(|key| key.get_ref()));
                let on = |g: &Feature| g.kind == FeatureKind::Id && g.table() == name;
                let sent = |key: &String| features.iter().any(|g| on(g) && g.name.get_ref() == key);
                let feature = f.name.get_ref();
                if uses.any(sent) {
                    return wrong(
                        &f.name,
                        format!(
                            "\"{feature}\" needs its ids on the device, where only vectors are: give it an id feature with another table"
                        ),
                    );
                }
                if f.table() != name {
                    continue;
                }
                if matches!(f.kind, FeatureKind::Ids | FeatureKind::Cross) {
                    return wrong(
                        &f.name,
                        format!(
                            "\"{feature}\" needs its rows on the device; only features of kind \"id\" are sent as vectors"
                        ),
                    );
                }
                if f.kind == FeatureKind::Id && f.train_only {
                    return wrong(
                        &f.name,
                        format!("\"{feature}\" is train_only and is not sent"),
                    );
                }
            }
        }
        Ok(())
    }

    /// The table keys of a feature against a declared table, or as a declaration of their own.
    pub(super) fn check_own_table(&self, f: &Feature) -> Result<()> {
        let declared = self
            .toml
            .table
            .iter()
            .find(|t| t.name.get_ref() == f.table());
        let at = f.table.as_ref().unwrap_or(&f.name);
        if f.kind != FeatureKind::Cross {
            let own = f.id_type.or(declared.and_then(|t| t.id_type));
            let sharing = self.toml.feature.iter().filter(|g| {
                matches!(g.kind, FeatureKind::Id | FeatureKind::Ids) && g.table() == f.table()
            });
            let types = sharing
                .filter_map(|g| g.id_type)
                .chain(declared.and_then(|t| t.id_type));
            if own.is_some() && types.into_iter().any(|other| Some(other) != own) {
                let message = format!(
                    "the features of table \"{}\" have two id_types; one is possible",
                    f.table()
                );
                return Err(self.mistake(at, message));
            }
        }
        self.check_rows(at, f.vocabulary, f.hash)?;
        if let Some(table) = declared {
            if f.vocabulary.is_some()
                || f.hash.is_some()
                || f.bits.is_some()
                || f.server.is_some()
                || f.dim.is_some_and(|dim| dim != table.dim)
            {
                let message = format!(
                    "table \"{}\" is declared with its own dim, vocabulary, hash, bits or server",
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
            (1, false) if f.bits.is_some() || f.server.is_some() => {
                let message = format!(
                    "bits and server stand where table \"{}\" has its vocabulary or hash",
                    f.table()
                );
                Err(self.mistake(at, message))
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
}
