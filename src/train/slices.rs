//! Parts of the reported rows: new users, unseen items, buckets of a number.
use std::prelude::v1::*;

use crate::train::dataset::{Dataset, FeatureData};
use crate::train::description::Description;
use crate::train::error::{Error, Kind, Result, near_misses};

/// Positions within `rows` of each part that `slice` names: `unseen:FEATURE` (rows whose id is out of vocabulary, and
/// the rest) or `bucket:FEATURE` (a part for each bucket of a number).
///
/// # Errors
/// [`Kind::Description`] for an unknown slice or feature, or for data without features.
pub fn pick(
    d: &Description,
    data: &Dataset,
    rows: &[u32],
    slice: &str,
) -> Result<Vec<(String, Vec<usize>)>> {
    let wrong = |message: String| Err(Error::new(Kind::Description, message));
    let Some((kind, name)) = slice.split_once(':') else {
        return wrong(format!(
            "unknown slice \"{slice}\"; unseen:FEATURE or bucket:FEATURE"
        ));
    };
    let Some(feature) = d.feature(name) else {
        let names = d.toml.feature.iter().map(|f| f.name.get_ref().as_str());
        return wrong(format!(
            "no feature \"{name}\" to slice by{}",
            near_misses(name, names)
        ));
    };
    // An exported file is replayed from raw values; rows and buckets stay inside the engine.
    let Some(values) = data.features.get(feature) else {
        return wrong(format!(
            "an exported file has no parts by \"{name}\"; slice the run that it came from"
        ));
    };
    let user = d.toml.feature[feature].side == Some(crate::spec::Side::User);
    let index = |row: u32| {
        if user {
            data.request[row as usize] as usize
        } else {
            row as usize
        }
    };
    let of = match (kind, values) {
        ("unseen", FeatureData::Rows(ids)) => ids,
        ("bucket", FeatureData::Numbers { buckets, .. }) if !buckets.is_empty() => buckets,
        ("unseen", _) => return wrong(format!("\"{name}\" is no id; unseen needs one")),
        ("bucket", _) => return wrong(format!("\"{name}\" has no buckets")),
        _ => {
            return wrong(format!(
                "unknown slice \"{kind}\"; unseen:FEATURE or bucket:FEATURE"
            ));
        }
    };
    let part = |row: u32| {
        let value = of[index(row)];
        if kind == "unseen" {
            u32::from(value != 0)
        } else {
            value
        }
    };
    let mut parts: std::collections::BTreeMap<u32, Vec<usize>> = std::collections::BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        parts.entry(part(*row)).or_default().push(i);
    }
    let title = |value: u32| match (kind, value) {
        ("unseen", 0) => format!("{name}: unseen in training"),
        ("unseen", _) => format!("{name}: seen"),
        (_, 0) => format!("{name}: missing"),
        (_, bucket) => format!("{name}: bucket {bucket}"),
    };
    Ok(parts
        .into_iter()
        .map(|(value, picked)| (title(value), picked))
        .collect())
}
