//! A model that was trained elsewhere: a description and named float tensors become a run, as if it had been trained here.
//!
//! | tensor | shape |
//! |---|---|
//! | `table.NAME.weight` | `[rows, dim]`; of a network of kind `single` `[rows, tasks x dim]` |
//! | `table.NAME.ids` or `.keys` | `[rows - 1]`: what rows 1, 2, ... of a table with a vocabulary stand for |
//! | `number.NAME.range`, `.moments`, `.default`, `.boundaries`, `.prior` | what a log would have taught, [`GivenNumber`] |
//! | `expert.E.L.weight`, `.bias` | `[outputs, inputs]`, `[outputs]` |
//! | `gate.TASK.L.weight`, `.bias` | the same |
//! | `tower.TASK.L.weight`, `.bias` | the same |
//! | `head.TASK.weight`, `.bias` | `[1, inputs]`, `[1]` |
//! | `attention.FEATURE.query.weight`, `.key.weight` | `[attention_dim, dim]` |
//!
//! `docs/import.md` says what each means, and has the PyTorch module whose `state_dict` these names are.
//!
//! Invariant: every tensor of the file is used, every value is finite, and all that is missing is named.
use std::path::Path;
use std::prelude::v1::*;

use rustc_hash::FxHashMap;
use serde::Serialize;

mod plan;
mod weights;

use crate::features::hash_int;
use crate::spec::{NetworkKind, Spec};
use crate::train::checkpoint::{self, RunLock};
use crate::train::description::{Description, Feature, FeatureKind, IdKind, Loss, TransformStep};
use crate::train::error::{Error, Kind, Result};
use crate::train::fit::{Fit, Given, GivenNumber, number_steps, vocabulary_tables};
use crate::train::network::Network;
use crate::train::parameters::{Dense, Parameters};
use crate::train::run;
use crate::train::trainer::PARAMETERS_FILE;
pub use plan::{Plan, PlannedInput, PlannedTensor, plan};
use weights::{Shape, Weights};

/// What to import.
#[derive(Clone, Debug)]
pub struct Options<'o> {
    /// The description.
    pub model: &'o Path,
    /// The tensors.
    pub weights: &'o Path,
    /// A log to learn from what neither tensors nor description say.
    pub data: Option<&'o Path>,
    /// The run's folder.
    pub out: &'o Path,
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Tensors of the file.
    pub tensors: usize,
    /// Parameters of embeddings and of dense layers.
    pub parameters: [usize; 2],
    /// Numbers among the features.
    pub numbers: usize,
    /// Whether a log was read.
    pub from_log: bool,
}

/// Makes a run of a description and tensors.
///
/// # Errors
/// [`Kind::Data`] for a file or tensor that is not what the description makes of it, [`Kind::Description`] for a value
/// that has no source, [`Kind::Busy`], [`Kind::Io`]; with a log, those of reading it.
pub fn import(o: &Options<'_>) -> Result<Report> {
    let d = Description::read(o.model)?;
    check(&d)?;
    // Before anything is read or written: who is not alone in the folder leaves it as it is.
    let lock = RunLock::take(o.out)?;
    let bytes = std::fs::read(o.weights).map_err(|e| Error::io(o.weights, &e))?;
    let mut weights = Weights::open(o.weights, &bytes)?;
    let given = Given {
        keys: keys(&d, &mut weights)?,
        numbers: numbers(&d, &mut weights)?,
    };
    let learned = match o.data {
        Some(data) => Some(run::learn(&d, data, o.out)?),
        None => None,
    };
    let fit = Fit::given(&d, &given, learned)?;
    let spec = fit.spec(&d)?;
    let network = Network::new(&spec);
    let mut parameters = network.empty_parameters();
    for (table, rows) in fit.tables.iter().enumerate() {
        let keys = given.keys.iter().find(|(name, _)| *name == rows.name);
        let order = keys.map(|(_, keys)| order(&fit, table, keys));
        take_table(
            &spec,
            table,
            order.as_deref(),
            &mut weights,
            &mut parameters,
        )?;
    }
    for (name, layer) in layers(&spec, &mut parameters) {
        let shape = Shape::Exactly(vec![layer.outputs, layer.inputs]);
        layer.weight = weights.floats(&format!("{name}.weight"), &shape)?;
        if has_bias(layer) {
            let shape = Shape::Exactly(vec![layer.outputs]);
            layer.bias = weights.floats(&format!("{name}.bias"), &shape)?;
        }
    }
    weights.end()?;
    run::clear(o.out)?;
    run::describe(o.out, &d, &fit, o.data, true)?;
    let path = o.out.join(PARAMETERS_FILE);
    checkpoint::save_parameters(&path, &network, &parameters)?;
    drop(lock);
    let embeddings = parameters.tables.iter().map(Vec::len).sum();
    let dense = layers(&spec, &mut parameters);
    let dense = dense.iter().map(|(_, d)| d.weight.len() + d.bias.len());
    Ok(Report {
        tensors: weights.len(),
        parameters: [embeddings, dense.sum()],
        numbers: d.toml.feature.iter().filter(|f| f.kind.is_number()).count(),
        from_log: o.data.is_some(),
    })
}

fn check(d: &Description) -> Result<()> {
    let mut tasks = d.toml.task.iter();
    if let Some(task) = tasks.clone().find(|t| t.has_loss(Loss::D2q)) {
        let message = format!(
            "task \"{}\" has loss \"d2q\", whose quantiles a run learns; import takes tasks without",
            task.name.get_ref()
        );
        return Err(d.mistake(&task.name, message));
    }
    if let Some(task) = tasks.find(|t| t.steps().is_some()) {
        let message = format!(
            "task \"{}\" has several logits, whose thresholds a run learns; import takes tasks of one",
            task.name.get_ref()
        );
        return Err(d.mistake(&task.name, message));
    }
    if matches!(d.toml.network.kind(), Some(NetworkKind::Progressive { .. })) {
        let message = "the network has levels = 2; import takes networks of one level, and a run trains those of two";
        return Err(d.mistake(&d.toml.network.kind, message));
    }
    if d.toml.network.own_experts() > 0 {
        let message = "the network is \"ple\"; import takes it as the \"mmoe\" that it is, with gates that leave experts out";
        return Err(d.mistake(&d.toml.network.kind, message));
    }
    if d.toml.position_bias.is_none() {
        return Ok(());
    }
    let message = "[position_bias] is of training; import takes what is served: leave it and its train_only features out";
    Err(Error::in_file(Kind::Description, &d.file, message))
}

/// By table with a vocabulary: keys of its rows from 1 on.
fn keys(d: &Description, weights: &mut Weights<'_>) -> Result<Vec<(String, Vec<u64>)>> {
    let mut all = Vec::new();
    for (name, id_kind) in vocabulary_tables(d) {
        let [ids, keys] = ["ids", "keys"].map(|what| format!("table.{name}.{what}"));
        let shape = Shape::List("rows - 1");
        let (tensor, found) = match id_kind {
            Some(IdKind::Int) if !weights.has(&keys) => {
                let found = weights.integers(&ids, &shape)?;
                // As in a log: -1 is a missing id, which has row 0.
                if let Some(at) = found.iter().position(|id| *id == u64::MAX) {
                    return Err(weights.wrong(format!(
                        "tensor \"{ids}\" has -1 at [{at}], which is a missing id; that has row 0 of the table"
                    )));
                }
                (ids, found.into_iter().map(hash_int).collect())
            }
            _ => {
                let found = weights.integers(&keys, &shape)?;
                (keys, found)
            }
        };
        let found: Vec<u64> = found;
        let mut first = FxHashMap::default();
        for (at, key) in found.iter().enumerate() {
            if let Some(before) = first.insert(*key, at) {
                return Err(weights.wrong(format!(
                    "tensor \"{tensor}\" has at [{at}] what it has at [{before}]; every row stands for another id"
                )));
            }
        }
        all.push((name, found));
    }
    Ok(all)
}

/// By feature: what tensors say of it.
fn numbers(d: &Description, weights: &mut Weights<'_>) -> Result<Vec<GivenNumber>> {
    let mut number = |f: &Feature| -> Result<GivenNumber> {
        let mut given = GivenNumber::default();
        if !f.kind.is_number() {
            return Ok(given);
        }
        let name = f.name.get_ref();
        let mut floats = |what: &str, applies: bool, shape: Shape| -> Result<Option<Vec<f64>>> {
            let tensor = format!("number.{name}.{what}");
            if applies && weights.has(&tensor) {
                weights.doubles(&tensor, &shape).map(Some)
            } else {
                Ok(None)
            }
        };
        let list = |n: usize| Shape::Exactly(vec![n]);
        let standardized = number_steps(f).contains(&TransformStep::Standardize);
        let rate = matches!(f.kind, FeatureKind::Rate | FeatureKind::KeyRate);
        let single = |x: Option<Vec<f64>>| x.and_then(|x| Some(*x.first()? as f32));
        if let Some(&[low, high]) = floats("range", true, list(2))?.as_deref() {
            given.range = Some([low as f32, high as f32]);
        }
        if let Some(&[mean, deviation]) = floats("moments", standardized, list(2))?.as_deref() {
            given.moments = Some([mean, deviation]);
        }
        given.default = single(floats("default", true, list(1))?);
        let boundaries = floats("boundaries", f.buckets.is_some(), Shape::List("boundaries"))?;
        given.boundaries = boundaries.map(|b| b.into_iter().map(|x| x as f32).collect());
        given.prior = single(floats("prior", rate, list(1))?);
        Ok(given)
    };
    d.toml.feature.iter().map(&mut number).collect()
}

/// The file's row of each row of a table with a vocabulary.
fn order(fit: &Fit, table: usize, keys: &[u64]) -> Vec<usize> {
    let place: FxHashMap<u64, usize> = keys.iter().copied().zip(1..).collect();
    let mut order = vec![0; fit.tables[table].num_embeddings as usize];
    if let Some(vocabulary) = fit.tables[table].open() {
        for (key, row) in vocabulary.rows() {
            order[row as usize] = place.get(&key).copied().unwrap_or(0);
        }
    }
    order
}

/// Fills a table of every group. A file's row holds the embeddings of all groups, one behind the other.
fn take_table(
    spec: &Spec<'_>,
    table: usize,
    order: Option<&[usize]>,
    weights: &mut Weights<'_>,
    parameters: &mut Parameters<f32>,
) -> Result<()> {
    let (t, groups) = (&spec.tables[table], spec.groups());
    let (rows, dim) = (t.num_embeddings as usize, usize::from(t.embedding_dim));
    let shape = Shape::Exactly(vec![rows, dim * groups]);
    let values = weights.floats(&format!("table.{}.weight", t.name), &shape)?;
    let of_groups = &mut parameters.tables[table * groups..(table + 1) * groups];
    for (group, to) in of_groups.iter_mut().enumerate() {
        for (row, to) in to.chunks_exact_mut(dim).enumerate() {
            let row = order.map_or(row, |order| order[row]);
            let from = (row * groups + group) * dim;
            to.copy_from_slice(&values[from..from + dim]);
        }
    }
    Ok(())
}

/// Every dense layer, by the name that its tensors begin with.
fn layers<'p>(
    spec: &Spec<'_>,
    parameters: &'p mut Parameters<f32>,
) -> Vec<(String, &'p mut Dense<f32>)> {
    let mut all = Vec::new();
    for (e, layers) in parameters.experts.iter_mut().enumerate() {
        let layers = layers.iter_mut().enumerate();
        all.extend(layers.map(|(l, layer)| (format!("expert.{e}.{l}"), layer)));
    }
    for (kind, stacks) in [
        ("gate", &mut parameters.gates),
        ("tower", &mut parameters.towers),
    ] {
        for (task, layers) in spec.tasks.iter().zip(stacks) {
            let layers = layers.iter_mut().enumerate();
            all.extend(layers.map(|(l, layer)| (format!("{kind}.{}.{l}", task.name), layer)));
        }
    }
    let heads = spec.tasks.iter().zip(&mut parameters.heads);
    all.extend(heads.map(|(task, head)| (format!("head.{}", task.name), head)));
    for ((feature, _), p) in spec.attentions().zip(&mut parameters.attention) {
        let name = spec.features[feature].name;
        all.push((format!("attention.{name}.query"), &mut p.query));
        all.push((format!("attention.{name}.key"), &mut p.key));
    }
    all
}

/// Projections have none.
fn has_bias(layer: &Dense<f32>) -> bool {
    !layer.bias.is_empty()
}

#[cfg(test)]
mod tests;
