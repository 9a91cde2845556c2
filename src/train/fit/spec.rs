//! A description and a fit together are a [`Spec`].
use std::prelude::v1::*;

use super::number::number_bytes;
use super::{Fit, FittedFeature};
use crate::spec::{
    Calibration, Decay, Encoding, Feature, Fed, Gate, Grid, Label, Layers, Network, NetworkKind,
    NumberGrid, Operation, Pooling, Source, Spec, Task, TaskKind, Term, limits,
};
use crate::train::description::{
    Description, Feature as Described, FeatureKind, Objective, TaskInput,
};
use crate::train::error::{Error, Kind, Result};

impl Fit {
    /// The model that the description and this fit make: what is exported.
    ///
    /// # Errors
    /// [`Kind::Description`] if it breaks a rule or limit of the format.
    pub fn spec<'a>(&'a self, d: &'a Description) -> Result<Box<Spec<'a>>> {
        self.spec_of(d, d.num_served_features())
    }

    /// The same with the features that are known in training alone, and their tables, behind the others.
    ///
    /// # Errors
    /// [`Kind::Description`] if it breaks a rule or limit of the format.
    pub fn training_spec<'a>(&'a self, d: &'a Description) -> Result<Box<Spec<'a>>> {
        self.spec_of(d, d.toml.feature.len())
    }

    fn spec_of<'a>(&'a self, d: &'a Description, features: usize) -> Result<Box<Spec<'a>>> {
        let later = self.features.iter().skip(features);
        let later = later.filter_map(|f| f.table).min();
        let tables = later.map_or(self.tables.len(), usize::from);
        let mut spec: Box<Spec<'a>> = Box::default();
        spec.name = &d.toml.export.name;
        let full =
            |what: &str| Error::in_file(Kind::Description, &d.file, format!("too many {what}"));
        for t in &self.tables[..tables.min(self.tables.len())] {
            spec.tables.push(t.view()).map_err(|_| full("tables"))?;
        }
        for l in &d.toml.label {
            spec.labels
                .push(Label {
                    name: l.name.get_ref(),
                    log1p: l.log1p,
                })
                .map_err(|_| full("labels"))?;
        }
        for (f, fitted) in d.toml.feature.iter().zip(&self.features).take(features) {
            let feature = Feature {
                name: f.name.get_ref(),
                side: d.side(f),
                source: source(d, f, fitted),
                encoding: encoding(d, f, fitted),
            };
            spec.features.push(feature).map_err(|_| full("features"))?;
        }
        let n = &d.toml.network;
        let layers = |widths: &[u16]| Layers::from_slice(widths).map_err(|_| full("layers"));
        spec.network = network(d).map_err(|()| full("layers"))?;
        for t in &d.toml.task {
            let unit = match (t.unit.as_deref(), t.kind.of_score()) {
                (Some(unit), _) => unit,
                (None, _) if t.kind == Objective::Rank => "rank",
                (None, TaskKind::Binary) => "probability",
                (None, TaskKind::Steps { .. }) if t.score_level.is_some() => "probability",
                (None, TaskKind::Steps { .. }) => "level",
                (None, _) => "s",
            };
            let task = Task {
                name: t.name.get_ref(),
                unit,
                kind: d.spec_kind(t),
                given: t
                    .space
                    .as_ref()
                    .and_then(|s| d.task(s.get_ref()))
                    .and_then(|i| u8::try_from(i).ok()),
                tower_layers: layers(t.tower_layers.as_ref().unwrap_or(&n.tower_layers))?,
                inputs: t
                    .inputs
                    .iter()
                    .map(|input| fed(d, input.get_ref()))
                    .collect(),
                calibration: Calibration::None,
                score_scale: 1.0,
            };
            spec.tasks.push(task).map_err(|_| full("tasks"))?;
        }
        for t in &d.toml.fusion.term {
            let term = Term {
                name: t.name.as_ref().unwrap_or(&t.task).get_ref(),
                task: d.task(t.task.get_ref()).unwrap_or(0) as u8,
                entire: t.entire,
                weight: t.weight,
            };
            spec.fusion.push(term).map_err(|_| full("fusion terms"))?;
        }
        let state = crate::features::state_bytes(&spec);
        if state > limits::STATE_BYTES {
            let message = format!(
                "the user state has {state} bytes; at most {}: lower max_len or key_buckets of derived features",
                limits::STATE_BYTES
            );
            return Err(Error::in_file(Kind::Description, &d.file, message));
        }
        spec.check().map_err(|e| {
            let name = d.toml.feature.get(e.feature as usize);
            match name {
                Some(f) => d.mistake(
                    &f.name,
                    format!(
                        "feature \"{}\" breaks a rule of the format: {:?}",
                        f.name.get_ref(),
                        e.status
                    ),
                ),
                None => Error::in_file(
                    Kind::Description,
                    &d.file,
                    format!("the model breaks a rule of the format: {:?}", e.status),
                ),
            }
        })?;
        Ok(spec)
    }
}

/// What the kind of network does not have stays out, so that a description changes its kind by one line.
fn network(d: &Description) -> core::result::Result<Network, ()> {
    let n = &d.toml.network;
    let kind = n.kind().unwrap_or(NetworkKind::Mmoe);
    let gated = matches!(kind, NetworkKind::Mmoe | NetworkKind::Progressive { .. });
    let gate_layers = if gated { &n.gate_layers[..] } else { &[] };
    Ok(Network {
        kind,
        num_experts: match kind {
            NetworkKind::Mmoe | NetworkKind::Progressive { .. } => {
                n.all_experts(d.toml.task.len()).min(255) as u8
            }
            NetworkKind::SharedBottom => 1,
            NetworkKind::SharedEmbedding | NetworkKind::Single => d.toml.task.len() as u8,
        },
        expert_layers: Layers::from_slice(&n.expert_layers).map_err(|_| ())?,
        gate: if gated { n.gate } else { Gate::Softmax },
        gate_layers: Layers::from_slice(gate_layers).map_err(|_| ())?,
    })
}

fn fed(d: &Description, input: &TaskInput) -> Fed {
    Fed {
        task: d.task(input.task()).unwrap_or(0) as u8,
        value: input.value(),
    }
}

fn source(d: &Description, f: &Described, fitted: &FittedFeature) -> Source {
    let feature = |name: &str| d.feature(name).unwrap_or(0) as u8;
    let label = f
        .label
        .as_ref()
        .and_then(|l| d.label(l.get_ref()))
        .unwrap_or(0) as u8;
    let decay = match (f.half_life_events, f.half_life_seconds) {
        (Some(events), _) => Decay::Events((events * 256.0) as u32),
        (None, Some(seconds)) => Decay::Seconds(seconds),
        (None, None) => Decay::None,
    };
    let (prior, strength) = (fitted.prior, f.strength.unwrap_or(5.0));
    let of = f.of.as_ref().map(|o| o.list()).unwrap_or_default();
    match f.kind {
        FeatureKind::Id | FeatureKind::Ids | FeatureKind::Number | FeatureKind::Vector => {
            Source::Column
        }
        FeatureKind::Cross => match of {
            [left, right] => Source::Cross {
                left: feature(left),
                right: feature(right),
            },
            _ => Source::Column,
        },
        FeatureKind::Combine => match of {
            [left, right] => Source::Combine {
                left: feature(left),
                right: feature(right),
                operation: f.op.unwrap_or(Operation::Product),
            },
            _ => Source::Column,
        },
        FeatureKind::Attention => Source::Attention {
            of: of.first().map_or(0, |name| feature(name)),
            query: f.query.as_ref().map_or(0, |name| feature(name.get_ref())),
            dim: f.attention_dim.unwrap_or(16),
        },
        FeatureKind::LastIds => {
            let key = of.first().map_or(0, |name| feature(name));
            Source::LastIds {
                label,
                key,
                len: f.max_len.unwrap_or(50),
            }
        }
        FeatureKind::Count => Source::Count { label },
        FeatureKind::Rate => Source::Rate {
            label,
            decay,
            prior,
            strength,
        },
        FeatureKind::KeyRate => {
            let key = f.key.as_ref().map_or(0, |k| feature(k.get_ref()));
            Source::KeyRate {
                label,
                key,
                buckets: f.key_buckets.unwrap_or(64),
                decay,
                prior,
                strength,
            }
        }
        FeatureKind::Since => Source::Since { label },
        FeatureKind::Previous => Source::Previous { label },
    }
}

fn encoding(d: &Description, f: &Described, fitted: &FittedFeature) -> Encoding {
    let table = fitted.table.unwrap_or(0);
    match f.kind {
        FeatureKind::Attention => {
            let list = f.of.as_ref().and_then(|of| d.feature(of.list().first()?));
            let max_len = list.and_then(|i| d.toml.feature[i].max_len);
            Encoding::Rows {
                table,
                max_len: max_len.unwrap_or(50),
                pooling: Pooling::Mean,
                weighted: false,
                divisor: 1,
            }
        }
        FeatureKind::Id | FeatureKind::Cross => Encoding::Row {
            table,
            default_row: fitted.default_row,
        },
        FeatureKind::Ids | FeatureKind::LastIds => Encoding::Rows {
            table,
            max_len: f.max_len.unwrap_or(50),
            pooling: f.pooling.unwrap_or(Pooling::Mean),
            weighted: f.weights.is_some(),
            divisor: fitted.divisor,
        },
        FeatureKind::Vector => Encoding::Vector {
            dim: f.dim.unwrap_or(1),
            grid: Grid {
                inv_scale: 1.0 / f.scale.unwrap_or(1.0),
                zero_point: f.zero_point.unwrap_or(64),
            },
        },
        _ => Encoding::Number {
            transform: fitted.transform,
            default: fitted.default,
            // Before it is fitted a number is an input all the same, so that the spec holds.
            value: if f.value == Some(false) {
                None
            } else {
                fitted.value.or(Some(NumberGrid {
                    inv_scale: 1.0,
                    zero_point: 0,
                    bytes: number_bytes(f),
                }))
            },
            buckets: if f.buckets.is_some() {
                fitted.table
            } else {
                None
            },
        },
    }
}
