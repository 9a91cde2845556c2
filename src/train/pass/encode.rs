//! Columns as inputs: the rows, numbers and bytes that a fit or an exported file makes of them.
use std::prelude::v1::*;

use super::{all_boundaries, computed, first_rows, labels_by, row_key};
use crate::features;
use crate::spec::{Encoding, Side, Source, Spec};
use crate::train::dataset::{Dataset, FeatureData};
use crate::train::description::Description;
use crate::train::fit::Fit;
use crate::train::log::{RawColumn, RawLog, key_of, q15};

/// The data set of a log under a fit; `derived` from [`Fit::learn`] or [`derive()`](super::derive()).
pub fn encode(
    d: &Description,
    fit: &Fit,
    spec: &Spec<'_>,
    raw: &RawLog,
    derived: &[RawColumn],
) -> Dataset {
    let end = raw.time.last().copied().unwrap_or(0);
    encode_until(d, fit, spec, raw, derived, end)
}

/// [`encode`] of a part of a log that ends at `end`.
pub(crate) fn encode_until(
    d: &Description,
    fit: &Fit,
    spec: &Spec<'_>,
    raw: &RawLog,
    derived: &[RawColumn],
    end: i64,
) -> Dataset {
    let vocabularies: Vec<_> = fit.tables.iter().map(|t| t.open()).collect();
    let row_of = |_: usize, table: u8, key: Option<u64>, default_row: u32| {
        let index = usize::from(table);
        features::table_row(
            &spec.tables[index],
            vocabularies[index].as_ref(),
            key,
            default_row,
        )
        .0
    };
    Dataset {
        features: encode_by(d, spec, &all_boundaries(fit, spec), raw, derived, &row_of),
        ..labels_by(d, raw, end)
    }
}

/// One value of a number feature.
pub fn number(fit: &Fit, spec: &Spec<'_>, feature: usize, x: f32) -> FeatureData {
    match spec.features[feature].encoding {
        Encoding::Number {
            transform,
            value,
            buckets,
            ..
        } => {
            let bucket = |_| features::bucket_row(&transform, &fit.boundaries(feature), x);
            FeatureData::Numbers {
                values: value.iter().map(|_| transform.apply(x)).collect(),
                buckets: buckets.iter().map(bucket).collect(),
            }
        }
        _ => FeatureData::Rows(Vec::new()),
    }
}

/// The row that a feature's table has for a key: feature, table, key, row of a missing key.
pub type RowOf<'r> = dyn Fn(usize, u8, Option<u64>, u32) -> u32 + 'r;

/// The features of a log, with the boundaries and rows of a fit or of an exported file.
pub fn encode_by(
    d: &Description,
    spec: &Spec<'_>,
    boundaries: &[Vec<u8>],
    raw: &RawLog,
    derived: &[RawColumn],
    row_of: &RowOf<'_>,
) -> Vec<FeatureData> {
    spec.features
        .iter()
        .enumerate()
        .map(|(i, f)| {
            let described = &d.toml.feature[i];
            let kind = d.id_kind(described);
            let column = if described.kind.is_computed() {
                &derived[i]
            } else {
                &raw.features[i]
            };
            match (f.encoding, column) {
                (Encoding::Row { table, default_row }, RawColumn::Ids(ids)) => FeatureData::Rows(
                    ids.iter()
                        .map(|id| row_of(i, table, key_of(*id, kind), default_row))
                        .collect(),
                ),
                (Encoding::Row { table, default_row }, _) => {
                    let Source::Cross { left, right } = f.source else {
                        return FeatureData::Rows(Vec::new());
                    };
                    let of = |part: u8, row: u32| {
                        let part = usize::from(part);
                        match spec.features[part].encoding {
                            Encoding::Number { transform, .. } => {
                                let x = computed(spec, raw, derived, part, row as usize);
                                let bucket = features::bucket_row(&transform, &boundaries[part], x);
                                Some(features::hash_int(u64::from(bucket)))
                            }
                            _ => row_key(raw, spec, boundaries, part, row),
                        }
                    };
                    let cross = |row: u32| {
                        let key = of(left, row)
                            .zip(of(right, row))
                            .map(|(a, b)| features::hash_cross(a, b));
                        row_of(i, table, key, default_row)
                    };
                    if f.side == Side::User {
                        FeatureData::Rows(first_rows(raw).map(cross).collect())
                    } else {
                        FeatureData::Rows((0..raw.rows() as u32).map(cross).collect())
                    }
                }
                (
                    Encoding::Rows { table, max_len, .. },
                    RawColumn::Lists {
                        offsets,
                        ids,
                        weights,
                    },
                ) => {
                    let (mut cut, mut rows, mut q) =
                        (vec![0], Vec::new(), weights.as_ref().map(|_| Vec::new()));
                    for pair in offsets.windows(2) {
                        let (start, end) = (pair[0] as usize, pair[1] as usize);
                        let end = end.min(start + usize::from(max_len));
                        let is_key = described.kind.is_derived();
                        let key = |id: &u64| if is_key { Some(*id) } else { key_of(*id, kind) };
                        rows.extend(
                            ids[start..end]
                                .iter()
                                .map(|id| row_of(i, table, key(id), 0)),
                        );
                        if let (Some(q), Some(weights)) = (&mut q, weights) {
                            q.extend(q15(&weights[start..end]));
                        }
                        cut.push(rows.len() as u32);
                    }
                    FeatureData::Lists {
                        offsets: cut,
                        rows,
                        weights: q,
                    }
                }
                (
                    Encoding::Number {
                        transform,
                        default,
                        value,
                        buckets,
                    },
                    RawColumn::Numbers(x),
                ) => {
                    let network = |x: &f32| transform.apply(if x.is_nan() { default } else { *x });
                    let bucket = |x: &f32| features::bucket_row(&transform, &boundaries[i], *x);
                    FeatureData::Numbers {
                        values: value
                            .map(|_| x.iter().map(network).collect())
                            .unwrap_or_default(),
                        buckets: buckets
                            .map(|_| x.iter().map(bucket).collect())
                            .unwrap_or_default(),
                    }
                }
                (Encoding::Vector { grid, .. }, RawColumn::Vectors(bytes)) => {
                    let byte = |b: &u8| if *b == u8::MAX { grid.zero_point } else { *b };
                    FeatureData::Vectors(bytes.iter().map(byte).collect())
                }
                // A table that the server keeps: its rows are those of the ids all the same.
                (Encoding::Vector { .. }, RawColumn::Ids(ids)) => FeatureData::Rows(
                    ids.iter()
                        .map(|id| row_of(i, u8::MAX, key_of(*id, kind), 0))
                        .collect(),
                ),
                _ => FeatureData::Rows(Vec::new()),
            }
        })
        .collect()
}
