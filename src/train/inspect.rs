//! What a model file holds and costs.
use std::prelude::v1::*;

use serde::Serialize;

use crate::engine::{Model, OpenOptions};
use crate::error::Result;
use crate::format::{ENTRY_BYTES, ENVELOPE_BYTES, File, SectionKind, VERSION};
use crate::spec::{Calibration, Encoding, Gate, NetworkKind, Side, Source, Spec, TensorSection};

mod attention;
mod cost;
mod formula;
mod text;

pub use attention::AttentionInfo;
pub use cost::multiply_adds;
pub use formula::{FormulaInfo, WeightInfo, formula};

/// A file, looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The model's name.
    pub name: String,
    /// Version of the format.
    pub format_version: u32,
    /// Bytes of the file.
    pub bytes: usize,
    /// XXH3-64 of the file, checked, in hexadecimal.
    pub digest: String,
    /// SHA-256 of the file, checked, in hexadecimal.
    pub sha256: String,
    /// Sections in file order.
    pub sections: Vec<Section>,
    /// Features in column order.
    pub features: Vec<FeatureInfo>,
    /// Embedding tables.
    pub tables: Vec<TableInfo>,
    /// Features that attend to lists.
    pub attention: Vec<AttentionInfo>,
    /// Labels of the user state.
    pub labels: Vec<String>,
    /// Shared network.
    pub network: NetworkInfo,
    /// Tasks.
    pub tasks: Vec<TaskInfo>,
    /// Terms of the fusion; none with a formula.
    pub fusion: Vec<TermInfo>,
    /// The fusion, if it is a formula.
    pub formula: Option<FormulaInfo>,
    /// Scores of which the file has a distribution.
    pub quantiles: Vec<String>,
    /// Embedding values, weights and biases.
    pub parameters: usize,
    /// Multiply-adds of the dense layers.
    pub multiply_adds: MultiplyAdds,
    /// Scratch for some numbers of candidates.
    pub scratch: Vec<ScratchInfo>,
    /// Bytes of one user's state.
    pub state_bytes: usize,
    /// Bytes of one item's kept sums; 0 without item features.
    pub item_sums_bytes: usize,
}

/// A section of the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Section {
    /// "spec", "lookups", "embeddings", "layers", or the number of an optional kind.
    pub kind: String,
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub bytes: usize,
}

/// A feature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureInfo {
    /// Name.
    pub name: String,
    /// "user", "item", "candidate" or "cross".
    pub side: &'static str,
    /// Kind, in the words of the model description.
    pub kind: &'static str,
    /// Input bytes.
    pub inputs: usize,
    /// Its table, if any.
    pub table: Option<String>,
}

/// An embedding table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableInfo {
    /// Name.
    pub name: String,
    /// Rows.
    pub num_embeddings: u32,
    /// Values of a row.
    pub embedding_dim: u16,
    /// Bits of a value, 4 or 8.
    pub bits: u8,
    /// How ids find rows: "buckets", "hash" or "vocabulary".
    pub lookup: &'static str,
    /// Bytes of its rows.
    pub bytes: usize,
}

/// The shared network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkInfo {
    /// As the description calls it.
    pub kind: &'static str,
    /// Levels of experts, 1 or 2.
    pub levels: u8,
    /// Experts of a level.
    pub experts: u8,
    /// Widths of an expert's layers.
    pub expert_layers: Vec<u16>,
    /// "softmax" or "attention", of an MMoE.
    pub gate: Option<&'static str>,
    /// Widths of a gate's hidden layers.
    pub gate_layers: Vec<u16>,
    /// Input bytes by side: user, item, candidate, cross; of one task, if each has inputs of its own.
    pub inputs: [usize; 4],
    /// Outputs of the first layer, gates included; of one task, if each has inputs of its own.
    pub first_outputs: usize,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskInfo {
    /// Name.
    pub name: String,
    /// "binary" or "duration".
    pub kind: &'static str,
    /// Unit of the score.
    pub unit: String,
    /// What its score is: "conditional" on a task, or "entire", per impression.
    pub meaning: &'static str,
    /// The task that its score is conditional on, if any.
    pub given: Option<String>,
    /// Widths of its tower's layers.
    pub tower_layers: Vec<u16>,
    /// Tasks whose logit or probability its tower reads.
    pub inputs: Vec<String>,
    /// "none", "platt" or "isotonic".
    pub calibration: &'static str,
    /// Factor on the score.
    pub score_scale: f32,
}

/// A term of the fusion.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TermInfo {
    /// Name.
    pub name: String,
    /// Task.
    pub task: String,
    /// Per impression, instead of conditional.
    pub entire: bool,
    /// Weight.
    pub weight: f32,
}

/// Multiply-adds of the dense layers, mixtures and, for lists as long as they may be, attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MultiplyAdds {
    /// Once a request: the user side.
    pub request: usize,
    /// For each candidate.
    pub candidate: usize,
}

/// Bytes of scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ScratchInfo {
    /// Candidates of a request.
    pub candidates: usize,
    /// Bytes, f32 values and activations together.
    pub bytes: usize,
}

/// Checks all of `bytes`, SHA-256 included, and describes it.
///
/// # Errors
/// Those of [`Model::open`] and [`File::verify`].
pub fn inspect(bytes: &[u8]) -> Result<Inspection> {
    let file = File::check(bytes)?;
    file.verify()?;
    let mut model = Box::new(Model::new());
    model.open(bytes, &OpenOptions::default())?;
    let spec = model.spec();
    let table_name = |table: u8| spec.tables[usize::from(table)].name.to_string();
    let task_name = |task: u8| spec.tasks[usize::from(task)].name.to_string();
    let features = spec.features.iter().map(|f| FeatureInfo {
        name: f.name.to_string(),
        side: f.side.name(),
        kind: kind_name(f.source, &f.encoding),
        inputs: f
            .encoding
            .parts(&spec.tables)
            .iter()
            .flatten()
            .map(|part| part.dim)
            .sum(),
        table: match f.encoding {
            Encoding::Row { table, .. }
            | Encoding::Rows { table, .. }
            | Encoding::Number {
                buckets: Some(table),
                ..
            } => Some(table_name(table)),
            _ => None,
        },
    });
    let tables = spec.tables.iter().map(|t| TableInfo {
        name: t.name.to_string(),
        num_embeddings: t.num_embeddings,
        embedding_dim: t.embedding_dim,
        bits: t.bits,
        lookup: match t.lookup {
            crate::spec::Lookup::Buckets => "buckets",
            crate::spec::Lookup::Hash(_) => "hash",
            crate::spec::Lookup::Vocabulary(_) => "vocabulary",
        },
        bytes: t.num_embeddings as usize * t.embedding_bytes() * spec.groups(),
    });
    let tasks = spec.tasks.iter().map(|t| TaskInfo {
        name: t.name.to_string(),
        kind: match t.kind {
            crate::spec::TaskKind::Binary => "binary",
            crate::spec::TaskKind::Duration => "duration",
            crate::spec::TaskKind::Odds => "odds",
            crate::spec::TaskKind::Quantile { .. } => "quantile",
            crate::spec::TaskKind::Steps { ordered: false, .. } => "steps",
            crate::spec::TaskKind::Steps { ordered: true, .. } => "ordered steps",
        },
        unit: t.unit.to_string(),
        meaning: if t.given.is_some() {
            "conditional"
        } else {
            "entire"
        },
        given: t.given.map(task_name),
        tower_layers: t.tower_layers.to_vec(),
        inputs: t.inputs.iter().map(|fed| task_name(fed.task)).collect(),
        calibration: match t.calibration {
            Calibration::None => "none",
            Calibration::Platt { .. } => "platt",
            Calibration::Isotonic { .. } => "isotonic",
        },
        score_scale: t.score_scale,
    });
    let fusion = spec.fusion.iter().map(|t| TermInfo {
        name: t.name.to_string(),
        task: task_name(t.task),
        entire: t.entire,
        weight: t.weight,
    });
    let scratch = [1, 50, 200, 500].map(|candidates| {
        let len = model.scratch_len(candidates);
        ScratchInfo {
            candidates,
            bytes: len.floats * 4 + len.bytes,
        }
    });
    Ok(Inspection {
        name: spec.name.to_string(),
        format_version: VERSION,
        bytes: bytes.len(),
        digest: format!("{:016x}", file.digest()),
        sha256: bytes[24..56].iter().map(|b| format!("{b:02x}")).collect(),
        sections: sections(bytes),
        features: features.collect(),
        tables: tables.collect(),
        attention: attention::of(spec),
        labels: spec.labels.iter().map(|l| l.name.to_string()).collect(),
        network: NetworkInfo {
            kind: match spec.network.kind {
                NetworkKind::Mmoe => "mmoe",
                NetworkKind::SharedBottom => "shared-bottom",
                NetworkKind::SharedEmbedding => "shared-embedding",
                NetworkKind::Single => "single",
                NetworkKind::Progressive { .. } => "ple",
            },
            levels: 1 + u8::from(spec.own_experts().is_some()),
            gate: spec.has_gates().then_some(match spec.network.gate {
                Gate::Softmax => "softmax",
                Gate::Attention => "attention",
            }),
            gate_layers: spec.network.gate_layers.to_vec(),
            experts: spec.network.num_experts,
            expert_layers: spec.network.expert_layers.to_vec(),
            inputs: Side::ALL.map(|s| spec.side_inputs(s)),
            first_outputs: spec.first_outputs(),
        },
        tasks: tasks.collect(),
        fusion: fusion.collect(),
        formula: model.formula().map(formula),
        quantiles: {
            let tables = model.quantiles().iter();
            let name = |t: u8| spec.tasks.get(usize::from(t)).map_or("", |t| t.name);
            let named = |entire: bool, name: &str| match entire {
                true => format!("entire({name})"),
                false => name.to_string(),
            };
            tables.map(|q| named(q.entire, name(q.task))).collect()
        },
        parameters: parameters(spec),
        multiply_adds: multiply_adds(spec),
        scratch: scratch.to_vec(),
        state_bytes: model.state_bytes(),
        item_sums_bytes: model.item_sums_bytes(),
    })
}

/// Entries of a directory that was checked.
fn sections(bytes: &[u8]) -> Vec<Section> {
    let number = |at: usize| {
        let field = bytes.get(at..at + 4).and_then(|b| b.first_chunk());
        field.map_or(0, |b| u32::from_le_bytes(*b)) as usize
    };
    let entries = (0..number(56)).map(|i| ENVELOPE_BYTES + i * ENTRY_BYTES);
    let section = |at: usize| {
        let kind = number(at) & 0xffff;
        Section {
            kind: match SectionKind::ALL.iter().find(|k| **k as usize == kind) {
                Some(SectionKind::Spec) => "spec".to_string(),
                Some(SectionKind::Lookups) => "lookups".to_string(),
                Some(SectionKind::Embeddings) => "embeddings".to_string(),
                Some(SectionKind::Layers) => "layers".to_string(),
                Some(SectionKind::Formula) => "formula".to_string(),
                Some(SectionKind::Quantiles) => "quantiles".to_string(),
                Some(SectionKind::Attention) => "attention".to_string(),
                None => kind.to_string(),
            },
            offset: number(at + 8),
            bytes: number(at + 12),
        }
    };
    entries.map(section).collect()
}

fn parameters(spec: &Spec<'_>) -> usize {
    use crate::spec::{Layer, Tensor};
    let mut sum = 0;
    for section in [
        TensorSection::Embeddings,
        TensorSection::Layers,
        TensorSection::Attention,
    ] {
        let walked = spec.tensors::<()>(section, &mut |tensor, _, rows, cols| {
            sum += match tensor {
                Tensor::TableRows(_) | Tensor::ProjectionWeight(..) => rows * cols,
                // A number is one weight in f32, however many bytes it has.
                Tensor::Weight(Layer::First { side, .. }) => rows * spec.side_values(side),
                // One bias an output.
                Tensor::Weight(_) => rows * cols + rows,
                Tensor::Bias(Layer::First { .. }) => spec.first_outputs(),
                Tensor::Fed(Layer::Head { .. }) => rows,
                Tensor::Fed(Layer::Tower { task, .. }) => {
                    rows * spec.tasks[task]
                        .tower_layers
                        .first()
                        .map_or(0, |w| usize::from(*w))
                }
                _ => 0,
            };
            Ok(())
        });
        debug_assert!(walked.is_ok());
    }
    sum
}

fn kind_name(source: Source, encoding: &Encoding) -> &'static str {
    match (source, encoding) {
        (Source::Column, Encoding::Row { .. }) => "id",
        (Source::Column, Encoding::Rows { .. }) => "ids",
        (Source::Column, Encoding::Number { .. }) => "number",
        (Source::Column, Encoding::Vector { .. }) => "vector",
        // Of an id with `hashes = 2`.
        (Source::Cross { left, right }, _) if left == right => "second hash",
        (Source::Cross { .. }, _) => "cross",
        (Source::LastIds { .. }, _) => "last_ids",
        (Source::Count { .. }, _) => "count",
        (Source::Rate { .. }, _) => "rate",
        (Source::KeyRate { .. }, _) => "key_rate",
        (Source::Since { .. }, _) => "since",
        (Source::Previous { .. }, _) => "previous",
        (Source::Combine { .. }, _) => "combine",
        (Source::Attention { .. }, _) => "attention",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::error::Status;
    use crate::train::golden;

    #[test]
    fn an_inspection_adds_up() {
        adds_up(&golden::model(0));
        let golden = golden::with_levels(0);
        adds_up(&golden);
        let seen = inspect(&golden.bytes).unwrap();
        assert_eq!((seen.network.kind, seen.network.levels), ("ple", 2));
        assert!(seen.to_string().contains("network  ple, 2 levels of "));
    }

    fn adds_up(golden: &golden::GoldenModel) {
        let seen = inspect(&golden.bytes).unwrap();
        let last = seen.sections.last().unwrap();
        assert_eq!(last.offset + last.bytes, golden.bytes.len());
        let p = &golden.parameters;
        let dense = p
            .experts
            .iter()
            .chain(&p.towers)
            .chain(&p.gates)
            .chain(&p.upper_experts)
            .chain(&p.upper_gates)
            .flatten()
            .chain(&p.heads);
        let values: usize = dense.map(|d| d.weight.len() + d.bias.len()).sum();
        let rows: usize = p.tables.iter().map(Vec::len).sum();
        assert_eq!(seen.parameters, values + rows);
        let inputs: usize = seen.features.iter().map(|f| f.inputs).sum();
        assert_eq!(inputs, seen.network.inputs.iter().sum::<usize>());
        assert!(seen.to_string().contains("multiply-adds"));
        assert!(serde_json::to_string(&seen).unwrap().contains("\"sha256\""));
    }

    #[test]
    fn multiply_adds_of_two_levels_are_weights_and_mixtures() {
        use crate::spec::{Layer, Tensor};
        for seed in 0..20 {
            let spec = golden::with_levels(seed).spec;
            let (mut all, mut first) = (0, 0);
            spec.tensors::<()>(TensorSection::Layers, &mut |tensor, _, rows, cols| {
                match tensor {
                    Tensor::Weight(Layer::First { .. }) => first += rows * cols,
                    Tensor::Weight(_) => all += rows * cols,
                    _ => {}
                }
                Ok(())
            })
            .unwrap();
            let fed = spec.tasks.iter().map(|t| {
                let width = t.tower_layers.first().map_or(1, |w| usize::from(*w));
                t.inputs.len() * width
            });
            let mixtures = 2 * spec.tasks.len() + 1;
            let mixed = mixtures * usize::from(spec.network.num_experts) * spec.mixture_width();
            let cost = multiply_adds(&spec);
            let want = first + all + mixed + fed.sum::<usize>();
            assert_eq!(cost.request + cost.candidate, want, "{seed}");
        }
    }

    #[test]
    fn a_wrong_sha256_is_named() {
        let mut bytes = golden::model(1).bytes;
        bytes[30] ^= 1;
        let digest = crate::format::digest(&bytes).to_le_bytes();
        bytes[8..16].copy_from_slice(&digest);
        assert_eq!(inspect(&bytes).unwrap_err().status, Status::BadSha256);
    }
}
