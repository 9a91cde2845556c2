//! What each group of features is worth to each task: how much its quality falls on rows that did not train when the group
//! tells nothing of the row any more.
//!
//! - *permuted*: the group's values come from another row, all features of the group from the same one (Breiman 2001): what the
//!   model makes of them, values that fit each other kept, those that fit other groups not;
//! - *dropped*: they are missing, as if the app did not send them: what losing the column costs the model that is there.
//!
//! Neither says what a model trained without the group would lose; that is a variant with `remove` in `compare`.
use std::path::Path;
use std::prelude::v1::*;

use serde::Serialize;

use crate::spec::{Encoding, Side, Spec};
use crate::train::dataset::{Dataset, FeatureData};
use crate::train::description::{Description, FeatureKind};
use crate::train::error::{Error, Kind, Result};
use crate::train::evaluate;
use crate::train::metrics::TaskMetrics;
use crate::train::parameters::Parameters;
use crate::train::random::Key;
use crate::train::run::{Prepared, Run};

/// The importance of every group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Importance {
    /// Rows measured.
    pub rows: usize,
    /// Permutations of each group.
    pub repeats: u32,
    /// Tasks.
    pub tasks: Vec<String>,
    /// By task: AUC (Spearman's correlation for durations) of the model as it is.
    pub quality: Vec<Option<f64>>,
    /// Groups, the one whose permutation costs most (mean over tasks) first.
    pub groups: Vec<Group>,
}

/// One group of features.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Its name: `group` of its features, or a feature's own.
    pub name: String,
    /// Its features.
    pub features: Vec<String>,
    /// By task: quality lost by permutation, mean over the repeats.
    pub permuted: Vec<Option<f64>>,
    /// By task: standard deviation of that over the repeats; 0 for one.
    pub permuted_deviation: Vec<Option<f64>>,
    /// By task: quality lost without the group.
    pub dropped: Vec<Option<f64>>,
}

/// Measures a run on its validation rows.
///
/// # Errors
/// Those of reading; [`Kind::Data`] without validation rows.
pub fn measure(run: &Run, data: Option<&Path>, repeats: u32, seed: u64) -> Result<Importance> {
    let d = &run.description;
    let spec = run.fit.spec(d)?;
    let parameters = run.parameters()?;
    let Prepared {
        split, mut data, ..
    } = Prepared::read(d, &run.fit, &spec, data.or(run.data.as_deref()))?;
    let rows = &split.validation;
    if rows.is_empty() {
        let message = "there is no validation row to measure; see [data] validation";
        return Err(Error::in_file(Kind::Data, &d.file, message));
    }
    Ok(of_groups(
        &groups(d),
        &spec,
        &parameters,
        &mut data,
        rows,
        repeats,
        seed,
    ))
}

/// Served features by group, in the order of their first.
pub(crate) fn groups(d: &Description) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    let served = d.toml.feature.iter().take(d.num_served_features());
    for (i, f) in served.enumerate() {
        // What attends has no values of its own: it goes with its list.
        let list = || f.of.as_ref().and_then(|of| d.feature(of.list().first()?));
        let of = match f.kind {
            FeatureKind::Attention if f.group.is_none() => list().map(|i| &d.toml.feature[i]),
            _ => None,
        };
        let of = of.unwrap_or(f);
        let name = of.group.as_ref().unwrap_or(of.name.get_ref());
        match groups.iter_mut().find(|(n, _)| n == name) {
            Some((_, features)) => features.push(i),
            None => groups.push((name.clone(), vec![i])),
        }
    }
    groups
}

fn of_groups(
    groups: &[(String, Vec<usize>)],
    spec: &Spec<'_>,
    p: &Parameters<f32>,
    data: &mut Dataset,
    rows: &[u32],
    repeats: u32,
    seed: u64,
) -> Importance {
    let kinds: Vec<_> = spec
        .tasks
        .iter()
        .map(|t| (t.name.to_string(), t.kind, f64::from(t.score_scale)))
        .collect();
    let quality = |data: &Dataset| -> Vec<Option<f64>> {
        let logits = evaluate::predict(spec, p, data, rows);
        let metrics = evaluate::of_logits(&kinds, &logits, data, rows);
        metrics.iter().map(TaskMetrics::quality).collect()
    };
    let whole = quality(data);
    let lost = |now: &[Option<f64>]| -> Vec<Option<f64>> {
        let pairs = whole.iter().zip(now);
        pairs.map(|(w, n)| Some((*w)? - (*n)?)).collect()
    };
    let requests = requests_of(data, rows);
    let key = Key::new(seed).at(5);
    let mut all = Vec::new();
    for (g, (name, features)) in groups.iter().enumerate() {
        let mut with = |change: &dyn Fn(usize, &FeatureData) -> FeatureData| {
            let changed: Vec<_> = features
                .iter()
                .map(|f| change(*f, &data.features[*f]))
                .collect();
            let mut kept = Vec::new();
            for (f, changed) in features.iter().zip(changed) {
                kept.push(core::mem::replace(&mut data.features[*f], changed));
            }
            let lost = lost(&quality(data));
            for (f, kept) in features.iter().zip(kept) {
                data.features[*f] = kept;
            }
            lost
        };
        let permuted: Vec<Vec<Option<f64>>> = (0..repeats)
            .map(|repeat| {
                let key = key.at(g as u64).at(u64::from(repeat));
                let shuffled = |of: &[u32], stream: u64| {
                    let mut to = of.to_vec();
                    key.at(stream).shuffle(&mut to);
                    to
                };
                let (by_row, by_request) = (shuffled(rows, 0), shuffled(&requests, 1));
                with(&|f, column| {
                    let feature = &spec.features[f];
                    match feature.side {
                        Side::User => moved(&feature.encoding, column, &requests, &by_request),
                        _ => moved(&feature.encoding, column, rows, &by_row),
                    }
                })
            })
            .collect();
        let mean = |t: usize| {
            let values: Option<Vec<f64>> = permuted.iter().map(|p| p[t]).collect();
            let values = values.filter(|v| !v.is_empty())?;
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
            Some((mean, libm::sqrt(squares / (n - 1.0).max(1.0))))
        };
        let tasks = 0..whole.len();
        all.push(Group {
            name: name.clone(),
            features: features
                .iter()
                .map(|f| spec.features[*f].name.to_string())
                .collect(),
            permuted: tasks.clone().map(|t| Some(mean(t)?.0)).collect(),
            permuted_deviation: tasks.map(|t| Some(mean(t)?.1)).collect(),
            dropped: with(&|f, column| missing(&spec.features[f].encoding, column)),
        });
    }
    let total = |g: &Group| g.permuted.iter().flatten().sum::<f64>();
    all.sort_by(|a, b| total(b).total_cmp(&total(a)));
    Importance {
        rows: rows.len(),
        repeats,
        tasks: kinds.into_iter().map(|k| k.0).collect(),
        quality: whole,
        groups: all,
    }
}

/// Requests of rows, each once.
fn requests_of(data: &Dataset, rows: &[u32]) -> Vec<u32> {
    let mut all: Vec<u32> = rows.iter().map(|r| data.request[*r as usize]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A column in which `to[i]` has the value of `from[i]`.
fn moved(encoding: &Encoding, column: &FeatureData, to: &[u32], from: &[u32]) -> FeatureData {
    let pairs = || to.iter().zip(from).map(|(t, f)| (*t as usize, *f as usize));
    fn copied<T: Copy>(values: &[T], pairs: impl Iterator<Item = (usize, usize)>) -> Vec<T> {
        let mut out = values.to_vec();
        if !values.is_empty() {
            pairs.for_each(|(to, from)| out[to] = values[from]);
        }
        out
    }
    match column {
        FeatureData::Rows(rows) => FeatureData::Rows(copied(rows, pairs())),
        FeatureData::Numbers { values, buckets } => FeatureData::Numbers {
            values: copied(values, pairs()),
            buckets: copied(buckets, pairs()),
        },
        FeatureData::Vectors(bytes) => {
            let dim = match encoding {
                Encoding::Vector { dim, .. } => usize::from(*dim),
                _ => 0,
            };
            let mut out = bytes.clone();
            for (to, from) in pairs() {
                let value = &bytes[from * dim..(from + 1) * dim];
                out[to * dim..(to + 1) * dim].copy_from_slice(value);
            }
            FeatureData::Vectors(out)
        }
        FeatureData::Lists {
            offsets,
            rows,
            weights,
        } => {
            let mut source: Vec<usize> = (0..offsets.len() - 1).collect();
            pairs().for_each(|(to, from)| source[to] = from);
            let (mut ends, mut all) = (vec![0], Vec::new());
            let mut all_weights = weights.as_ref().map(|_| Vec::new());
            for i in source {
                let range = offsets[i] as usize..offsets[i + 1] as usize;
                all.extend_from_slice(&rows[range.clone()]);
                if let (Some(to), Some(from)) = (&mut all_weights, weights) {
                    to.extend_from_slice(&from[range]);
                }
                ends.push(all.len() as u32);
            }
            FeatureData::Lists {
                offsets: ends,
                rows: all,
                weights: all_weights,
            }
        }
    }
}

/// A column without values, as the engine takes it.
fn missing(encoding: &Encoding, column: &FeatureData) -> FeatureData {
    match (encoding, column) {
        (Encoding::Row { default_row, .. }, FeatureData::Rows(rows)) => {
            FeatureData::Rows(vec![*default_row; rows.len()])
        }
        (
            Encoding::Rows { .. },
            FeatureData::Lists {
                offsets, weights, ..
            },
        ) => FeatureData::Lists {
            offsets: vec![0; offsets.len()],
            rows: Vec::new(),
            weights: weights.as_ref().map(|_| Vec::new()),
        },
        (
            Encoding::Number {
                transform, default, ..
            },
            FeatureData::Numbers { values, buckets },
        ) => FeatureData::Numbers {
            values: vec![transform.apply(*default); values.len()],
            buckets: vec![0; buckets.len()],
        },
        (Encoding::Vector { grid, .. }, FeatureData::Vectors(bytes)) => {
            FeatureData::Vectors(vec![grid.zero_point; bytes.len()])
        }
        // A data set is read by its spec.
        _ => FeatureData::Rows(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use core::panic;

    use super::*;
    use crate::train::network::Network;
    use crate::train::synthetic::{log, spec};

    /// The click of the synthetic log depends on user, item and age alone; a model of its logit shows that.
    #[test]
    fn what_the_model_does_not_read_is_worth_nothing_and_what_it_reads_is_worth_something() {
        let (spec, mut data) = (spec(), log(1200, 3));
        let network = Network::new(&spec);
        let rows: Vec<u32> = (0..1200).collect();
        let mut p: Parameters<f32> = network.initialize(&data, &rows, 1, 0.5);
        // Inputs of the last feature of side item, the picture, are cut off.
        let (features, tables) = (spec.features.len(), data.features.len());
        assert_eq!(features, tables);
        let picture = network
            .inputs
            .iter()
            .find(|i| i.feature == 9)
            .expect("it is an input");
        let stacks = p.experts.iter_mut().chain(&mut p.gates);
        for layer in stacks.filter_map(|layers| layers.first_mut()) {
            for row in layer.weight.chunks_mut(network.num_inputs) {
                row[picture.offset..picture.offset + picture.dim].fill(0.0);
            }
        }
        let before = format!("{:?}", data.features);
        let groups = vec![
            ("picture".to_string(), vec![9]),
            ("who and what".to_string(), vec![0, 1, 2, 6]),
        ];
        let of = |data: &mut Dataset| of_groups(&groups, &spec, &p, data, &rows, 2, 1);
        let report = of(&mut data);
        assert_eq!(report, of(&mut data), "a function of its seed");
        assert_eq!(
            before,
            format!("{:?}", data.features),
            "the log is as it was"
        );
        let of = |name: &str| {
            report
                .groups
                .iter()
                .find(|g| g.name == name)
                .expect("a group")
        };
        let picture = of("picture");
        assert!(picture.permuted.iter().all(|x| *x == Some(0.0)));
        assert!(picture.dropped.iter().all(|x| *x == Some(0.0)));
        assert!(picture.permuted_deviation.iter().all(|x| *x == Some(0.0)));
        let moved = of("who and what").permuted.iter().flatten();
        assert!(moved.clone().any(|x| x.abs() > 1e-3), "{report:?}");
    }

    #[test]
    fn a_moved_column_has_the_values_of_the_rows_that_it_is_moved_from() {
        let lists = FeatureData::Lists {
            offsets: vec![0, 2, 2, 3],
            rows: vec![7, 8, 9],
            weights: Some(vec![1, 2, 3]),
        };
        let rows = Encoding::Row {
            table: 0,
            default_row: 4,
        };
        let moved_lists = moved(&rows, &lists, &[0, 2], &[2, 0]);
        let FeatureData::Lists {
            offsets,
            rows: ids,
            weights,
        } = moved_lists
        else {
            panic!("a list stays one");
        };
        assert_eq!((offsets, ids), (vec![0, 1, 1, 3], vec![9, 7, 8]));
        assert_eq!(weights, Some(vec![3, 1, 2]));
        let column = FeatureData::Rows(vec![1, 2, 3]);
        let FeatureData::Rows(ids) = moved(&rows, &column, &[0, 1], &[1, 0]) else {
            panic!("rows stay rows");
        };
        assert_eq!(ids, [2, 1, 3]);
        let FeatureData::Rows(ids) = missing(&rows, &column) else {
            panic!("rows stay rows");
        };
        assert_eq!(ids, [4; 3]);
    }
}
