//! What a description takes from another trainer: every tensor, and the order of the first layer's inputs.
use std::prelude::v1::*;

use serde::Serialize;

use super::{check, has_bias, layers};
use crate::spec::Side;
use crate::train::description::{
    DefaultValue, Description, Feature, FeatureKind, IdKind, TransformStep,
};
use crate::train::error::Result;
use crate::train::fit::{Fit, Given, GivenNumber, number_steps, vocabulary_tables};
use crate::train::network::Network;

/// What [`import`](super::import) asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// In the order of the network.
    pub tensors: Vec<PlannedTensor>,
    /// Of the first layers of experts and gates, in order.
    pub inputs: Vec<PlannedInput>,
}

/// A tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedTensor {
    /// Its name.
    pub name: String,
    /// Its shape; what only the tensors know is in words.
    pub shape: String,
    /// Where its value may come from instead; empty if from nowhere.
    pub instead: &'static str,
}

/// A run of columns of a first layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedInput {
    /// Its first column.
    pub column: usize,
    /// Columns.
    pub columns: usize,
    /// Side of the feature.
    pub side: &'static str,
    /// Name of the feature.
    pub feature: String,
    /// Table of the embedding; none for a value or a vector.
    pub table: Option<String>,
}

/// The plan of a description.
///
/// # Errors
/// [`Kind::Description`](crate::train::error::Kind::Description) if it breaks a rule or limit of the format.
pub fn plan(d: &Description) -> Result<Plan> {
    check(d)?;
    let vocabularies = vocabulary_tables(d);
    // Any values do: only shapes are read.
    let number = |f: &Feature| GivenNumber {
        range: Some([0.0, 1.0]),
        moments: Some([0.0, 1.0]),
        default: Some(0.0),
        boundaries: f.buckets.map(|n| (1..n).map(f32::from).collect()),
        prior: Some(0.0),
    };
    let given = Given {
        keys: vocabularies
            .iter()
            .map(|(name, _)| (name.clone(), Vec::new()))
            .collect(),
        numbers: d.toml.feature.iter().map(number).collect(),
    };
    let fit = Fit::given(d, &given, None)?;
    let spec = fit.spec(d)?;
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: String, instead| {
        tensors.push(PlannedTensor {
            name,
            shape,
            instead,
        });
    };
    for table in &spec.tables {
        let name = table.name;
        let bucketed = name.strip_suffix(":buckets");
        let rows = match vocabularies.iter().find(|(of, _)| of == name) {
            Some((_, kind)) => {
                let what = if *kind == Some(IdKind::Int) {
                    "ids"
                } else {
                    "keys"
                };
                add(format!("table.{name}.{what}"), "[ids]".into(), "");
                "1 + ids".into()
            }
            None if bucketed.is_some() => "2 + boundaries".into(),
            None => table.num_embeddings.to_string(),
        };
        let dim = usize::from(table.embedding_dim) * spec.groups();
        add(
            format!("table.{name}.weight"),
            format!("[{rows}, {dim}]"),
            "",
        );
    }
    for f in d.toml.feature.iter().filter(|f| f.kind.is_number()) {
        let mut number = |what: &str, shape: &str, instead| {
            add(
                format!("number.{}.{what}", f.name.get_ref()),
                shape.into(),
                instead,
            );
        };
        let stated = |is: bool| if is { "the description" } else { "--data" };
        let default = matches!(f.default, Some(DefaultValue::Number(_)));
        number("range", "[2]", stated(f.clip.is_some()));
        if number_steps(f).contains(&TransformStep::Standardize) {
            number("moments", "[2]", "--data");
        }
        number("default", "[1]", stated(default));
        if f.buckets.is_some() {
            number("boundaries", "[boundaries]", "--data");
        }
        if matches!(f.kind, FeatureKind::Rate | FeatureKind::KeyRate) {
            number("prior", "[1]", stated(f.prior.is_some()));
        }
    }
    let mut parameters = Network::new(&spec).empty_parameters();
    for (name, layer) in layers(&spec, &mut parameters) {
        let (outputs, inputs) = (layer.outputs, layer.inputs);
        add(
            format!("{name}.weight"),
            format!("[{outputs}, {inputs}]"),
            "",
        );
        if has_bias(layer) {
            add(format!("{name}.bias"), format!("[{outputs}]"), "");
        }
    }
    let mut column = 0;
    let inputs = Side::ALL.into_iter().flat_map(|side| spec.inputs(side));
    let inputs = inputs.map(|input| {
        let first = column;
        column += input.values;
        PlannedInput {
            column: first,
            columns: input.values,
            side: input.side.name(),
            feature: spec.features[input.feature].name.into(),
            table: input.table.map(|t| spec.tables[t].name.into()),
        }
    });
    let inputs = inputs.collect();
    Ok(Plan { tensors, inputs })
}
