//! `hashes = 2`: an id as the sum of two rows, found by two independent hashes.
//!
//! One hash of R rows gives two ids the same row with probability 1/R; two give them the same two with probability 1/R^2
//! (hash embeddings: Svenstrup et al., NeurIPS 2017; compositional embeddings: Shi et al., KDD 2020). The sum is the first
//! layer's: a second feature reads the row of the second hash, W1 e[h1] + W2 e[h2]. The second hash is that of a cross of the
//! id with itself, which the format has, so that a device needs no code for it.
//!
//! W1 and W2 are apart. Equal ones would save the columns of one, but two ids with the same rows in the other order would be one,
//! and a plain sum measures worse: click AUC 0.666 to 0.676 with 4,096 rows (docs/embeddings.md).
use std::prelude::v1::*;

use toml::Spanned;

use super::{Description, Feature, FeatureKind, OneOrMore};
use crate::spec::limits;
use crate::train::error::Result;

/// What the name of an id is followed by in that of its second hash.
const SECOND: &str = ":hash2";

impl Description {
    /// Gives each id with `hashes = 2` the feature of its second hash. It stands behind all that the app may send a column
    /// of, so that those keep their places.
    ///
    /// # Errors
    /// [`Kind::Description`](crate::train::error::Kind::Description) with the line.
    pub(super) fn add_second_hashes(&mut self) -> Result<()> {
        let mut added = Vec::new();
        for f in &self.toml.feature {
            self.check_hashes(f)?;
            if f.hashes == Some(2) {
                added.push(self.second_hash(f)?);
            }
        }
        let served = self.num_served_features();
        self.toml.feature.splice(served..served, added);
        Ok(())
    }

    fn check_hashes(&self, f: &Feature) -> Result<()> {
        let name = f.name.get_ref();
        let wrong = |message: String| Err(self.mistake(&f.name, message));
        let Some(hashes) = f.hashes else {
            return Ok(());
        };
        if f.kind != FeatureKind::Id {
            return wrong(format!(
                "\"{name}\" has hashes, which only features of kind \"id\" take: a list pools one row of each id"
            ));
        }
        if !(1..=2).contains(&hashes) {
            return wrong(format!("hashes is {hashes}; 1 or 2"));
        }
        if hashes == 1 {
            return Ok(());
        }
        if f.train_only {
            return wrong(format!("\"{name}\" is train_only; it takes one hash"));
        }
        let declared = self.toml.table.iter();
        let declared = declared.filter(|t| t.name.get_ref() == f.table());
        let own = self.toml.feature.iter().filter(|g| g.table() == f.table());
        let mut vocabularies = declared
            .map(|t| t.vocabulary)
            .chain(own.map(|g| g.vocabulary));
        if vocabularies.any(|v| v.is_some()) {
            return wrong(format!(
                "\"{name}\" has hashes = 2, but its table \"{}\" has a vocabulary, where ids share no row; give it hash, a number of rows",
                f.table()
            ));
        }
        Ok(())
    }

    /// The cross of an id with itself, in the same table.
    fn second_hash(&self, f: &Feature) -> Result<Feature> {
        let first = f.name.get_ref();
        let name = format!("{first}{SECOND}");
        let most = limits::NAME_BYTES - SECOND.len();
        if first.len() > most {
            let message = format!(
                "the name of a feature with hashes = 2 has {} bytes; 1 to {most}, as its second hash is called \"{name}\"",
                first.len()
            );
            return Err(self.mistake(&f.name, message));
        }
        let mut others = self.toml.feature.iter();
        if let Some(other) = others.find(|g| *g.name.get_ref() == name) {
            let message = format!(
                "\"{name}\" is what the second hash of \"{first}\" is called; take another name"
            );
            return Err(self.mistake(&other.name, message));
        }
        let named = |text: &str| Spanned::new(f.name.span(), text.to_string());
        Ok(Feature {
            kind: FeatureKind::Cross,
            of: Some(OneOrMore::More(vec![first.clone(), first.clone()])),
            table: Some(named(f.table())),
            group: Some(f.group.as_ref().unwrap_or(first).clone()),
            name: named(&name),
            is_second_hash: true,
            // What the id says of itself and of its table. Anything else is a mistake of the id, which is checked first.
            column: None,
            id_type: None,
            dim: None,
            vocabulary: None,
            hash: None,
            hashes: None,
            bits: None,
            server: None,
            ..f.clone()
        })
    }
}
