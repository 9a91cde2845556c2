//! Features: what each kind takes, and what it is made of.
use std::prelude::v1::*;

use crate::spec::{Side, limits};
use crate::train::description::{
    Description, Feature, FeatureKind, Named, OneOrMore, TransformStep,
};
use crate::train::error::{Result, near_misses};

impl Description {
    pub(super) fn check_feature(&self, index: usize, f: &Feature) -> Result<()> {
        use FeatureKind::{Combine, Cross, Id, Ids, KeyRate, LastIds, Number, Vector};
        let wrong = |message: String| Err(self.mistake(&f.name, message));
        let name = f.name.get_ref();
        self.check_keys(f)?;
        self.check_train_only(index, f)?;
        self.check_bits(&f.name, f.bits)?;
        if f.bits.is_some() && f.kind.is_number() && f.buckets.is_none() {
            return wrong(format!(
                "\"{name}\" has bits but no buckets; a value itself has bytes"
            ));
        }
        match (f.side, f.kind) {
            (Some(Side::Cross), Id | Ids | Number | Vector) => {
                return wrong(format!(
                    "\"{name}\" is a column; its side is \"user\", \"item\" or \"candidate\""
                ));
            }
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
            if let Some(bytes) = f
                .bytes
                .filter(|b| !(1..=limits::NUMBER_BYTES).contains(&usize::from(*b)))
            {
                return wrong(format!("bytes is {bytes}; 1 to {}", limits::NUMBER_BYTES));
            }
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
            self.check_transform(f)?;
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
        if f.kind == FeatureKind::Attention {
            self.check_attention(f)?;
        }
        if f.kind == Cross {
            let of = f.of.as_ref().map(OneOrMore::list).unwrap_or_default();
            let [left, right] = of else {
                return wrong(format!("\"{name}\" is a cross; of takes two features"));
            };
            let left = self.cross_part(f, left, index)?;
            let right = self.cross_part(f, right, index)?;
            self.check_joined(f, [left, right])?;
        }
        if f.kind == Combine {
            let of = f.of.as_ref().map(OneOrMore::list).unwrap_or_default();
            let [left, right] = of else {
                return wrong(format!("\"{name}\" is combined; of takes two numbers"));
            };
            if f.op.is_none() {
                return wrong(format!(
                    "\"{name}\" needs op: \"product\", \"difference\" or \"ratio\""
                ));
            }
            let left = self.plain_number(&f.name, left, index)?;
            let right = self.plain_number(&f.name, right, index)?;
            self.check_joined(f, [left, right])?;
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
            if other.kind != Id || other.side == Some(Side::User) {
                return wrong(format!(
                    "\"{of}\" is no id of the candidate; last_ids keeps those"
                ));
            }
        }
        if f.kind == KeyRate {
            let Some(key) = &f.key else {
                return wrong(format!(
                    "\"{name}\" needs key: an id or a bucketed number of the candidate"
                ));
            };
            let other = self.key_feature(key, key.get_ref(), usize::MAX)?;
            if other.side == Some(Side::User) {
                let message = format!(
                    "\"{}\" is of side \"user\"; a key is of the candidate",
                    key.get_ref()
                );
                return Err(self.mistake(key, message));
            }
            if let Some(n) = f
                .key_buckets
                .filter(|n| !(1..=limits::KEY_BUCKETS).contains(&usize::from(*n)))
            {
                return wrong(format!("key_buckets is {n}; 1 to {}", limits::KEY_BUCKETS));
            }
        }
        Ok(())
    }

    /// What is known in training alone stands last, so that the file's columns are those before it, and nothing that is
    /// served may need it.
    fn check_train_only(&self, index: usize, f: &Feature) -> Result<()> {
        let features = &self.toml.feature;
        let (wrong, name) = (
            |message: String| Err(self.mistake(&f.name, message)),
            f.name.get_ref(),
        );
        if !f.train_only {
            return match features[..index].iter().find(|g| g.train_only) {
                Some(before) => wrong(format!(
                    "\"{name}\" stands behind \"{}\", which is train_only; those come last",
                    before.name.get_ref()
                )),
                None => Ok(()),
            };
        }
        if !matches!(f.kind, FeatureKind::Id | FeatureKind::Number) {
            return wrong(format!(
                "\"{name}\" is train_only; that takes an id or a number"
            ));
        }
        if self.toml.position_bias.is_none() {
            return wrong(format!(
                "\"{name}\" is train_only, but no [position_bias] reads it"
            ));
        }
        let shares = |g: &Feature| g.table() == f.table() && g.name.get_ref() != name;
        if self
            .toml
            .table
            .iter()
            .any(|t| t.name.get_ref() == f.table())
            || features.iter().any(shares)
        {
            return wrong(format!(
                "\"{name}\" is train_only; it takes a table of its own"
            ));
        }
        let uses = |g: &&Feature| {
            let of = g.of.as_ref().map(OneOrMore::list).unwrap_or_default();
            let names = [&g.key, &g.query];
            let mut names = names.into_iter().flatten();
            of.contains(name) || names.any(|n| n.get_ref() == name)
        };
        if let Some(user) = features.iter().find(uses) {
            let message = format!("\"{name}\" is train_only; a feature may not be made of it");
            return Err(self.mistake(&user.name, message));
        }
        Ok(())
    }

    /// Refuses keys that mean nothing for the feature's kind.
    fn check_keys(&self, f: &Feature) -> Result<()> {
        const NUMBER: [&str; 8] = [
            "transform",
            "clip",
            "value",
            "bytes",
            "buckets",
            "dim",
            "bits",
            "default",
        ];
        use FeatureKind::{
            Attention, Combine, Count, Cross, Id, Ids, KeyRate, LastIds, Number, Previous, Rate,
            Since, Vector,
        };
        let (own, number): (&[&str], bool) = match f.kind {
            Id => (
                &[
                    "column",
                    "id_type",
                    "table",
                    "dim",
                    "vocabulary",
                    "hash",
                    "hashes",
                    "bits",
                    "server",
                    "default",
                ],
                false,
            ),
            Ids => (
                &[
                    "column",
                    "id_type",
                    "table",
                    "dim",
                    "vocabulary",
                    "hash",
                    "bits",
                    "separator",
                    "max_len",
                    "pooling",
                    "weights",
                ],
                false,
            ),
            Number => (&["column"], true),
            Vector => (
                &["column", "dim", "scale", "zero_point", "separator"],
                false,
            ),
            Cross => (&["of", "table", "dim", "vocabulary", "hash", "bits"], false),
            LastIds => (&["of", "label", "max_len", "pooling"], false),
            Combine => (&["of", "op"], true),
            Attention => (&["of", "query", "attention_dim"], false),
            Count | Since | Previous => (&["label"], true),
            Rate => (
                &[
                    "label",
                    "half_life_events",
                    "half_life_seconds",
                    "prior",
                    "strength",
                ],
                true,
            ),
            KeyRate => (
                &[
                    "label",
                    "key",
                    "key_buckets",
                    "half_life_events",
                    "half_life_seconds",
                    "prior",
                    "strength",
                ],
                true,
            ),
        };
        let given = [
            ("column", f.column.is_some()),
            ("id_type", f.id_type.is_some()),
            ("table", f.table.is_some()),
            ("dim", f.dim.is_some()),
            ("vocabulary", f.vocabulary.is_some()),
            ("hash", f.hash.is_some()),
            ("hashes", f.hashes.is_some()),
            ("bits", f.bits.is_some()),
            ("server", f.server.is_some()),
            // That of an id counts for its second hash too.
            ("default", f.default.is_some() && !f.is_second_hash),
            ("separator", f.separator.is_some()),
            ("max_len", f.max_len.is_some()),
            ("pooling", f.pooling.is_some()),
            ("weights", f.weights.is_some()),
            ("transform", f.transform.is_some()),
            ("clip", f.clip.is_some()),
            ("value", f.value.is_some()),
            ("bytes", f.bytes.is_some()),
            ("buckets", f.buckets.is_some()),
            ("scale", f.scale.is_some()),
            ("zero_point", f.zero_point.is_some()),
            ("of", f.of.is_some()),
            ("op", f.op.is_some()),
            ("query", f.query.is_some()),
            ("attention_dim", f.attention_dim.is_some()),
            ("label", f.label.is_some()),
            ("key", f.key.is_some()),
            ("key_buckets", f.key_buckets.is_some()),
            ("half_life_events", f.half_life_events.is_some()),
            ("half_life_seconds", f.half_life_seconds.is_some()),
            ("prior", f.prior.is_some()),
            ("strength", f.strength.is_some()),
        ];
        let fits = |key: &str| own.contains(&key) || (number && NUMBER.contains(&key));
        if let Some((key, _)) = given.iter().find(|(key, given)| *given && !fits(key)) {
            let mut all = own.to_vec();
            all.extend(NUMBER.iter().filter(|_| number));
            let message = format!(
                "\"{}\" has {key}, which its kind has not; that has {}",
                f.name.get_ref(),
                all.join(", ")
            );
            return Err(self.mistake(&f.name, message));
        }
        let empty = f.separator.as_ref().is_some_and(String::is_empty);
        if empty {
            return Err(self.mistake(&f.name, "separator is empty; the text between two ids"));
        }
        Ok(())
    }

    /// `log1p` at most, then `standardize` or `minmax` at most; and numbers that log1p can take.
    fn check_transform(&self, f: &Feature) -> Result<()> {
        use TransformStep::{Log1p, Minmax, Standardize};
        let steps = f.transform.as_deref().unwrap_or_default();
        if !matches!(
            steps,
            [] | [Log1p] | [Standardize | Minmax] | [Log1p, Standardize | Minmax]
        ) {
            let message =
                "transform is \"log1p\", then \"standardize\" or \"minmax\"; each may be left out";
            return Err(self.mistake(&f.name, message));
        }
        if let (Some([low, _]), Some(Log1p)) = (f.clip, steps.first())
            && low <= -1.0
        {
            let message = format!("clip begins at {low}; log1p needs more than -1");
            return Err(self.mistake(&f.name, message));
        }
        Ok(())
    }

    /// The feature of a name if it is `fits`, else the mistake `what`; `before` bounds its index.
    fn named_feature(
        &self,
        (at, name): (&Named, &str),
        before: usize,
        fits: impl Fn(&Feature) -> bool,
        what: &str,
    ) -> Result<&Feature> {
        let names = self.toml.feature.iter().map(|f| f.name.get_ref().as_str());
        let Some(index) = self.feature(name) else {
            return Err(self.mistake(
                at,
                format!("unknown feature \"{name}\"{}", near_misses(name, names)),
            ));
        };
        let other = &self.toml.feature[index];
        if !fits(other) {
            return Err(self.mistake(at, format!("\"{name}\" is {what}")));
        }
        if index >= before {
            return Err(self.mistake(at, format!("\"{name}\" must stand before what uses it")));
        }
        Ok(other)
    }

    /// A feature whose ids events carry; `before` bounds its index.
    fn key_feature(&self, at: &Named, name: &str, before: usize) -> Result<&Feature> {
        let keyed = |f: &Feature| {
            f.kind == FeatureKind::Id || (f.kind == FeatureKind::Number && f.buckets.is_some())
        };
        let what = "neither an id nor a number with buckets that the log has";
        self.named_feature((at, name), before, keyed, what)
    }

    /// A part of the cross `f`: an id, or any number with buckets. The keys of numbers that are computed are known after
    /// vocabularies are counted, so a cross of one is hashed.
    fn cross_part(&self, f: &Feature, name: &str, before: usize) -> Result<&Feature> {
        let keyed =
            |f: &Feature| f.kind == FeatureKind::Id || (f.kind.is_number() && f.buckets.is_some());
        let what = "neither an id nor a number with buckets";
        let part = self.named_feature((&f.name, name), before, keyed, what)?;
        let mut tables = self.toml.table.iter();
        let declared = tables.find(|t| t.name.get_ref() == f.table());
        let counted = f.vocabulary.is_some() || declared.is_some_and(|t| t.vocabulary.is_some());
        if part.kind.is_computed() && counted {
            let message = format!(
                "\"{name}\" has no column in the log; a cross of it takes hash, not vocabulary"
            );
            return Err(self.mistake(&f.name, message));
        }
        Ok(part)
    }

    /// A part of a combined number.
    fn plain_number(&self, at: &Named, name: &str, before: usize) -> Result<&Feature> {
        let plain = |f: &Feature| f.kind.is_number() && f.kind != FeatureKind::Combine;
        let what = "no number, or one that is combined itself";
        self.named_feature((at, name), before, plain, what)
    }

    /// The side of what is made of two parts.
    fn check_joined(&self, f: &Feature, [left, right]: [&Feature; 2]) -> Result<()> {
        let (left, right) = (self.side(left), self.side(right));
        let fits = |side: Side| side == Side::Cross || (left == right && side == left);
        if f.side.is_none_or(fits) {
            return Ok(());
        }
        let message = format!(
            "\"{}\" is of the side of its parts; leave side out",
            f.name.get_ref()
        );
        Err(self.mistake(&f.name, message))
    }

    /// The side of a feature; parts of one stand before it.
    pub(crate) fn side(&self, f: &Feature) -> Side {
        match (f.side, f.kind) {
            (Some(side), _) => side,
            (None, FeatureKind::KeyRate | FeatureKind::Attention) => Side::Cross,
            (None, FeatureKind::Cross | FeatureKind::Combine) => {
                let of = f.of.as_ref().map(OneOrMore::list).unwrap_or_default();
                let part = |name: &String| self.feature(name).map(|i| &self.toml.feature[i]);
                let mut sides = of.iter().filter_map(part).map(|part| self.side(part));
                let first = sides.next().unwrap_or(Side::Cross);
                if sides.all(|side| side == first) {
                    first
                } else {
                    Side::Cross
                }
            }
            _ => Side::User,
        }
    }
}
