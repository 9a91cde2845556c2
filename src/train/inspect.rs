//! What a model file holds and costs.
use std::prelude::v1::*;

use core::fmt;

use serde::Serialize;

use crate::engine::{Model, OpenOptions};
use crate::error::Result;
use crate::format::{ENTRY_BYTES, ENVELOPE_BYTES, File, SectionKind, VERSION};
use crate::spec::{Calibration, Encoding, Gate, NetworkKind, Side, Source, Spec, TensorSection};

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
    /// Experts.
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

/// A formula.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FormulaInfo {
    /// Its text.
    pub text: String,
    /// What a candidate costs, in additions.
    pub cost: u32,
    /// Bytes of its program.
    pub code_bytes: usize,
    /// Weights.
    pub weights: Vec<WeightInfo>,
}

/// A named weight of a formula.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightInfo {
    /// Name.
    pub name: String,
    /// Value in the file.
    pub value: f32,
    /// Least value of a request.
    pub min: f32,
    /// Greatest value of a request.
    pub max: f32,
}

impl fmt::Display for FormulaInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "fusion         {}", self.text)?;
        writeln!(
            f,
            "               costs {} additions a candidate; {} bytes of program",
            self.cost, self.code_bytes
        )?;
        for w in &self.weights {
            let WeightInfo {
                name,
                value,
                min,
                max,
            } = w;
            writeln!(f, "weight         {name} = {value}, {min} to {max}")?;
        }
        Ok(())
    }
}

/// What a formula says of itself.
pub fn formula(formula: &crate::fusion::formula::Formula<'_>) -> FormulaInfo {
    let weight = |w: &crate::fusion::formula::Weight<'_>| WeightInfo {
        name: w.name.to_string(),
        value: w.value,
        min: w.least,
        max: w.most,
    };
    FormulaInfo {
        text: formula.text().to_string(),
        cost: formula.cost(),
        code_bytes: formula.code().len(),
        weights: formula.weights().iter().map(weight).collect(),
    }
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

/// Multiply-adds of the dense layers and mixtures.
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

/// Multiply-adds of `spec`, without padding.
pub fn multiply_adds(spec: &Spec<'_>) -> MultiplyAdds {
    let stack = |widths: &[u16], mut inputs: usize| {
        let mut sum = 0;
        for width in widths {
            sum += usize::from(*width) * inputs;
            inputs = usize::from(*width);
        }
        (sum, inputs)
    };
    let first = |sides: &[Side]| {
        let inputs: usize = sides.iter().map(|s| spec.side_inputs(*s)).sum();
        inputs * spec.first_outputs() * spec.groups()
    };
    let experts = usize::from(spec.network.num_experts);
    let later = spec
        .network
        .expert_layers
        .get(1..)
        .map_or(0, |w| stack(w, spec.expert_width(0)).0);
    let mixture = spec.mixture_width();
    // Gates behind their first layer, the query's products, and the mixture.
    let gate = if spec.has_gates() {
        let depth = spec.network.gate_layers.len();
        let layers = (1..=depth).map(|l| spec.gate_width(l) * spec.gate_width(l - 1));
        let products = match spec.network.gate {
            Gate::Softmax => 0,
            Gate::Attention => experts * mixture,
        };
        layers.sum::<usize>() + products + experts * mixture
    } else {
        0
    };
    let towers = spec.tasks.iter().map(|t| {
        let (hidden, last) = stack(&t.tower_layers, mixture);
        let fed = t.tower_layers.first().map_or(1, |w| usize::from(*w));
        gate + hidden + last + t.inputs.len() * fed
    });
    MultiplyAdds {
        request: first(&[Side::User]),
        candidate: first(&[Side::Item, Side::Candidate, Side::Cross])
            + experts * later
            + towers.sum::<usize>(),
    }
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
        labels: spec.labels.iter().map(|l| l.name.to_string()).collect(),
        network: NetworkInfo {
            kind: match spec.network.kind {
                NetworkKind::Mmoe => "mmoe",
                NetworkKind::SharedBottom => "shared-bottom",
                NetworkKind::SharedEmbedding => "shared-embedding",
                NetworkKind::Single => "single",
            },
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
    for section in [TensorSection::Embeddings, TensorSection::Layers] {
        let walked = spec.tensors::<()>(section, &mut |tensor, _, rows, cols| {
            sum += match tensor {
                Tensor::TableRows(_) => rows * cols,
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
        (Source::Cross { .. }, _) => "cross",
        (Source::LastIds { .. }, _) => "last_ids",
        (Source::Count { .. }, _) => "count",
        (Source::Rate { .. }, _) => "rate",
        (Source::KeyRate { .. }, _) => "key_rate",
        (Source::Since { .. }, _) => "since",
        (Source::Previous { .. }, _) => "previous",
        (Source::Combine { .. }, _) => "combine",
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "model    {} (format {}), {} bytes",
            self.name, self.format_version, self.bytes
        )?;
        writeln!(f, "xxh3     {}\nsha256   {}", self.digest, self.sha256)?;
        writeln!(f, "\n{:<12} {:>10} {:>10}", "section", "offset", "bytes")?;
        for s in &self.sections {
            writeln!(f, "{:<12} {:>10} {:>10}", s.kind, s.offset, s.bytes)?;
        }
        writeln!(
            f,
            "\n{:<24} {:<10} {:<9} {:>6}  table",
            "feature", "side", "kind", "inputs"
        )?;
        for x in &self.features {
            let table = x.table.as_deref().unwrap_or("-");
            writeln!(
                f,
                "{:<24} {:<10} {:<9} {:>6}  {table}",
                x.name, x.side, x.kind, x.inputs
            )?;
        }
        writeln!(
            f,
            "\n{:<24} {:<10} {:>9} {:>4} {:>4} {:>10}",
            "table", "look-up", "rows", "dim", "bits", "bytes"
        )?;
        for t in &self.tables {
            writeln!(
                f,
                "{:<24} {:<10} {:>9} {:>4} {:>4} {:>10}",
                t.name, t.lookup, t.num_embeddings, t.embedding_dim, t.bits, t.bytes
            )?;
        }
        let n = &self.network;
        let [user, item, candidate, cross] = n.inputs;
        writeln!(
            f,
            "\nnetwork  {}, {} experts of {:?}",
            n.kind, n.experts, n.expert_layers
        )?;
        if let Some(gate) = n.gate {
            writeln!(f, "gates    {gate}, hidden layers {:?}", n.gate_layers)?;
        }
        writeln!(
            f,
            "inputs   user {user}, item {item}, candidate {candidate}, cross {cross}"
        )?;
        writeln!(
            f,
            "\n{:<16} {:<9} {:<12} {:<24} {:<11} {:<16} tower",
            "task", "kind", "unit", "score", "calibrated", "inputs"
        )?;
        for t in &self.tasks {
            let score = match &t.given {
                Some(given) => format!("{} on {given}", t.meaning),
                None => t.meaning.to_string(),
            };
            let inputs = match t.inputs.join(", ") {
                none if none.is_empty() => "-".to_string(),
                inputs => inputs,
            };
            writeln!(
                f,
                "{:<16} {:<9} {:<12} {score:<24} {:<11} {inputs:<16} {:?}",
                t.name, t.kind, t.unit, t.calibration, t.tower_layers
            )?;
        }
        if let Some(formula) = &self.formula {
            write!(f, "\n{formula}")?;
        } else {
            writeln!(
                f,
                "\n{:<16} {:<16} {:<12} {:>10}",
                "fusion term", "task", "value", "weight"
            )?;
        }
        for t in &self.fusion {
            let value = if t.entire { "entire" } else { "conditional" };
            writeln!(
                f,
                "{:<16} {:<16} {value:<12} {:>10}",
                t.name, t.task, t.weight
            )?;
        }
        if !self.quantiles.is_empty() {
            writeln!(f, "\nquantiles of   {}", self.quantiles.join(", "))?;
        }
        writeln!(f, "\nparameters     {}", self.parameters)?;
        let m = &self.multiply_adds;
        writeln!(
            f,
            "multiply-adds  {} a candidate, {} a request",
            m.candidate, m.request
        )?;
        for s in &self.scratch {
            writeln!(
                f,
                "scratch        {} bytes for {} candidate{}",
                s.bytes,
                s.candidates,
                if s.candidates == 1 { "" } else { "s" }
            )?;
        }
        writeln!(f, "user state     {} bytes", self.state_bytes)?;
        writeln!(f, "item sums      {} bytes an item", self.item_sums_bytes)
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
        let golden = golden::model(0);
        let seen = inspect(&golden.bytes).unwrap();
        let last = seen.sections.last().unwrap();
        assert_eq!(last.offset + last.bytes, golden.bytes.len());
        let p = &golden.parameters;
        let dense = p
            .experts
            .iter()
            .chain(&p.towers)
            .chain(&p.gates)
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
    fn a_wrong_sha256_is_named() {
        let mut bytes = golden::model(1).bytes;
        bytes[30] ^= 1;
        let digest = crate::format::digest(&bytes).to_le_bytes();
        bytes[8..16].copy_from_slice(&digest);
        assert_eq!(inspect(&bytes).unwrap_err().status, Status::BadSha256);
    }
}
