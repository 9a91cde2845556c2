//! A fit from what another trainer knows, in place of a log or over one.
//!
//! Each value has the first of these sources that has it: what is given, the description, the log. What has none is a
//! mistake at the feature's line; nothing is guessed. Keys of vocabularies are always given: the log knows them too, but
//! not which row of a table that was trained elsewhere belongs to which.
use std::prelude::v1::*;

use super::learn::declared;
use super::number::{grid, minmax, standardize, steps};
use super::{Fit, FittedFeature, IDENTITY};
use crate::spec::Transform;
use crate::train::description::{
    DefaultValue, Description, Feature as Described, FeatureKind, TransformStep,
};
use crate::train::error::{Error, Result};

/// What is known of the features of a description.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// By name of a table with a vocabulary: its keys, in any order.
    pub keys: Vec<(String, Vec<u64>)>,
    /// By feature of the description.
    pub numbers: Vec<GivenNumber>,
}

/// What is known of a number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GivenNumber {
    /// Least and largest raw value; others are clipped.
    pub range: Option<[f32; 2]>,
    /// Mean and standard deviation of what `standardize` sees: after clipping and ln(1 + x).
    pub moments: Option<[f64; 2]>,
    /// Raw value of a missing one.
    pub default: Option<f32>,
    /// Increasing bucket boundaries, at most one fewer than buckets.
    pub boundaries: Option<Vec<f32>>,
    /// Of a rate: its value before any event.
    pub prior: Option<f32>,
}

impl Fit {
    /// What `given`, the description and `learned` from a log make together.
    ///
    /// # Errors
    /// [`Kind::Description`](crate::train::error::Kind::Description), at the line of a feature for which a value is
    /// missing or impossible.
    pub fn given(d: &Description, given: &Given, learned: Option<Self>) -> Result<Self> {
        let is_learned = learned.is_some();
        let mut fit = learned.unwrap_or_else(|| Self::new(d, None));
        fit.tables.clear();
        // Of rows in another order.
        fit.counts.clear();
        for table in declared(d) {
            let keys = given.keys.iter().find(|(name, _)| *name == table.name);
            let keys = keys.map(|(_, keys)| keys.clone()).unwrap_or_default();
            fit.push_keys(d, &table, table.vocabulary.is_some().then_some(keys));
        }
        let nothing = GivenNumber::default();
        for (i, f) in d.toml.feature.iter().enumerate() {
            if f.kind.is_number() {
                let number = given.numbers.get(i).unwrap_or(&nothing);
                give_number(d, f, &mut fit.features[i], number, is_learned)?;
            }
        }
        fit.give_tables(d)?;
        fit.spec(d)?;
        Ok(fit)
    }
}

fn give_number(
    d: &Description,
    f: &Described,
    fitted: &mut FittedFeature,
    given: &GivenNumber,
    is_learned: bool,
) -> Result<()> {
    let name = f.name.get_ref();
    let wrong = |what: String| d.mistake(&f.name, format!("number \"{name}\" {what}"));
    let missing = |what: &str, key: &str, tensor: &str| -> Error {
        wrong(format!(
            "has no {what}; it takes {key}the tensor \"number.{name}.{tensor}\" or a log (--data)"
        ))
    };
    let steps = steps(f);
    let mut t = if is_learned {
        fitted.transform
    } else {
        let log1p = steps.contains(&TransformStep::Log1p);
        Transform { log1p, ..IDENTITY }
    };
    let described = f.clip.filter(|_| !is_learned);
    match given.range.or(described) {
        Some([low, high]) if low > high => {
            return Err(wrong(format!(
                "has the range [{low}, {high}]; the first must not be above the second"
            )));
        }
        Some(range) => [t.low, t.high] = range,
        None if is_learned => {}
        None => return Err(missing("range", "clip, ", "range")),
    }
    if t.log1p && t.low <= -1.0 {
        let low = t.low;
        return Err(wrong(format!(
            "has a range that begins at {low}; log1p needs more than -1"
        )));
    }
    let described = match &f.default {
        Some(DefaultValue::Number(x)) => Some(*x as f32),
        _ => None,
    };
    match given.default.or(described) {
        // As in training: what is known beforehand lies in the range, so that it keeps its value.
        Some(default) => {
            fitted.default = default;
            let middle = match f.clip {
                Some([low, high]) => default.clamp(low, high),
                None if t.log1p => default.max(0.0),
                None => default,
            };
            (t.low, t.high) = (t.low.min(middle), t.high.max(middle));
        }
        None if is_learned => {}
        None => return Err(missing("value when it is missing", "default, ", "default")),
    }
    if steps.contains(&TransformStep::Standardize) {
        match given.moments {
            Some([_, deviation]) if deviation <= 0.0 => {
                return Err(wrong(format!(
                    "has the standard deviation {deviation}; above 0"
                )));
            }
            Some(moments) => standardize(&mut t, moments),
            None if is_learned => {}
            None => return Err(missing("mean and standard deviation", "", "moments")),
        }
    } else if steps.contains(&TransformStep::Minmax) {
        minmax(&mut t);
    }
    fitted.transform = t;
    fitted.value = grid(f, &t);
    if let Some(buckets) = f.buckets.map(usize::from) {
        match &given.boundaries {
            Some(b) if b.len() >= buckets => {
                return Err(wrong(format!(
                    "has {} boundaries; {buckets} buckets have at most {}",
                    b.len(),
                    buckets - 1
                )));
            }
            Some(b) if !b.is_sorted_by(|a, b| a < b) => {
                return Err(wrong("has boundaries that do not increase".into()));
            }
            Some(b) => fitted.boundaries.clone_from(b),
            None if is_learned => {}
            None => return Err(missing("bucket boundaries", "", "boundaries")),
        }
    }
    if matches!(f.kind, FeatureKind::Rate | FeatureKind::KeyRate) {
        match given.prior.or(f.prior) {
            Some(prior) => fitted.prior = prior,
            None if is_learned => {}
            None => return Err(missing("prior", "prior, ", "prior")),
        }
    }
    Ok(())
}
