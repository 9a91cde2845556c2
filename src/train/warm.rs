//! Starting from another run: what must be the same, and the parameters that are taken over.
//!
//! Features, tables, network and tasks must be the same and in the same order, as parameters are found by their place.
//! Vocabularies may grow: rows move with their ids, and an id that is new begins near its table's row 0. Transforms,
//! boundaries and priors stay those of the other run.
use std::prelude::v1::*;

use crate::spec::{Encoding, Feature, Lookup, Source, Spec};
use crate::train::dataset::Rows;
use crate::train::description::Description;
use crate::train::error::{Error, Kind, Result};
use crate::train::fit::Fit;
use crate::train::network::Network;
use crate::train::options::TrainOptions;
use crate::train::parameters::Parameters;
use crate::train::run::Run;

fn wrong(d: &Description, previous: &Run, what: &str) -> Error {
    let message = format!(
        "cannot start from {}: {what}; features, tables, network and tasks must be the same, only vocabularies may grow",
        previous.folder.display()
    );
    Error::in_file(Kind::Description, &d.file, message)
}

/// The first place where two lists of names differ.
fn names<'n>(
    what: &str,
    new: impl Iterator<Item = &'n str>,
    old: impl Iterator<Item = &'n str>,
) -> Option<String> {
    let (new, old): (Vec<&str>, Vec<&str>) = (new.collect(), old.collect());
    if new.len() != old.len() {
        return Some(format!(
            "there are {} {what}s, there {}",
            new.len(),
            old.len()
        ));
    }
    let (i, (new, old)) = new
        .iter()
        .zip(&old)
        .enumerate()
        .find(|(_, (a, b))| a != b)?;
    Some(format!("{what} {} is \"{new}\", there \"{old}\"", i + 1))
}

/// Tests what must hold before the transforms of `previous` are used: the same features.
///
/// # Errors
/// [`Kind::Description`], naming the first difference.
pub fn check_features(d: &Description, previous: &Run) -> Result<()> {
    let (new, old) = (&d.toml.feature, &previous.description.toml.feature);
    let named = names(
        "feature",
        new.iter().map(|f| f.name.get_ref().as_str()),
        old.iter().map(|f| f.name.get_ref().as_str()),
    );
    let kind = || {
        let differs = new.iter().zip(old).find(|(a, b)| a.kind != b.kind)?;
        Some(format!(
            "feature \"{}\" is of another kind there",
            differs.0.name.get_ref()
        ))
    };
    match named.or_else(kind) {
        Some(what) => Err(wrong(d, previous, &what)),
        None => Ok(()),
    }
}

/// The first difference of two models that keeps the parameters of one from being those of the other.
fn difference(new: &Spec<'_>, old: &Spec<'_>) -> Option<String> {
    for (a, b) in new.features.iter().zip(&old.features) {
        let same = match (a.encoding, b.encoding) {
            (Encoding::Row { table, .. }, Encoding::Row { table: there, .. }) => table == there,
            (Encoding::Rows { table, .. }, Encoding::Rows { table: there, .. }) => table == there,
            (
                Encoding::Number { value, buckets, .. },
                Encoding::Number {
                    value: value_there,
                    buckets: there,
                    ..
                },
            ) => value.is_some() == value_there.is_some() && buckets == there,
            (Encoding::Vector { dim, .. }, Encoding::Vector { dim: there, .. }) => dim == there,
            _ => false,
        };
        // Indices are those of the same features, whose names are the same.
        let attends = |f: &Feature<'_>| matches!(f.source, Source::Attention { .. });
        let same = same && (!attends(a) && !attends(b) || a.source == b.source);
        if a.side != b.side || !same {
            let name = a.name;
            return Some(format!(
                "feature \"{name}\" enters the network in another way there"
            ));
        }
    }
    let tables = names(
        "table",
        new.tables.iter().map(|t| t.name),
        old.tables.iter().map(|t| t.name),
    );
    let tasks = names(
        "task",
        new.tasks.iter().map(|t| t.name),
        old.tasks.iter().map(|t| t.name),
    );
    if let Some(what) = tables.or(tasks) {
        return Some(what);
    }
    for (a, b) in new.tables.iter().zip(&old.tables) {
        let name = a.name;
        if a.embedding_dim != b.embedding_dim {
            let (a, b) = (a.embedding_dim, b.embedding_dim);
            return Some(format!("table \"{name}\" has dim {a}, there {b}"));
        }
        if a.lookup != b.lookup {
            return Some(format!(
                "table \"{name}\" finds its rows in another way there"
            ));
        }
        let grows = matches!(a.lookup, Lookup::Vocabulary(_));
        if !grows && a.num_embeddings != b.num_embeddings {
            let (a, b) = (a.num_embeddings, b.num_embeddings);
            return Some(format!("table \"{name}\" has {a} rows, there {b}"));
        }
    }
    if new.network != old.network {
        let shape = |s: &Spec<'_>| {
            let layers = &s.network.expert_layers;
            let levels = match s.own_experts() {
                Some(own) => format!(", {own} of each task's own, on two levels"),
                None => String::new(),
            };
            format!("{} experts of {layers:?}{levels}", s.network.num_experts)
        };
        return Some(format!("there are {}, there {}", shape(new), shape(old)));
    }
    let task = new.tasks.iter().zip(&old.tasks);
    let mut task = task.filter(|(a, b)| (a.kind, &a.tower_layers) != (b.kind, &b.tower_layers));
    let (a, b) = task.next()?;
    Some(format!(
        "task \"{}\" has a tower of {:?}, there {:?}, or is of another kind",
        a.name, a.tower_layers, b.tower_layers
    ))
}

/// The parameters of `previous` as those of the model `spec` that `d` and `fit` make: rows of old ids and all dense
/// layers are taken over.
///
/// # Errors
/// [`Kind::Description`], naming the first difference; those of [`Run::parameters`].
pub fn parameters(
    d: &Description,
    fit: &Fit,
    spec: &Spec<'_>,
    previous: &Run,
    data: &dyn Rows,
    rows: &[u32],
    options: &TrainOptions,
) -> Result<Parameters<f32>> {
    let old = previous.fit.spec(&previous.description)?;
    if let Some(what) = difference(spec, &old) {
        return Err(wrong(d, previous, &what));
    }
    let network = Network::new(spec);
    let fresh = network.initialize(data, rows, options.seed, options.embedding_init);
    let mut mapping = fit.row_mapping(&previous.fit);
    // Behind these are the tables of features that are known in training alone, whose towers begin anew.
    mapping.truncate(spec.tables.len());
    network
        .warm_start(fresh, &previous.parameters()?, &mapping, options.seed)
        .map_err(|what| wrong(d, previous, &what))
}
