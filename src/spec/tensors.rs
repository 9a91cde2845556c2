//! Which tensors a model file holds, in which order, element type and shape.

use super::{Calibration, Encoding, Lookup, Side, Spec, TaskKind};

/// Element type and packing of a tensor in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Dtype {
    /// Activation bytes, 0..=127, row-major.
    U7 = 1,
    /// Weights in [-127, 127] in panels: `[ceil(rows / 16)][ceil(cols / 4)][16][4]`, zero past the edges.
    I8Panel = 2,
    /// Weights in [-127, 127], row-major.
    I8 = 3,
    /// Little-endian f32, row-major.
    F32 = 4,
    /// Little-endian i32, row-major.
    I32 = 5,
    /// Vocabulary buckets of 64 bytes, one a row.
    Bucket = 6,
    /// Activations of four bits, row-major, two a byte: the low half is the even column's, the last high half of a row of
    /// odd length 0. A half n is the activation byte 8 n, so that a pooled row, and weights beside those of whole bytes,
    /// keep their resolution.
    U4 = 7,
}

/// Outputs of a panel of weights.
pub const PANEL: usize = 16;
/// Inputs that a panel keeps side by side for one output.
pub const GROUP: usize = 4;

impl Dtype {
    /// Bytes of a `[rows, cols]` tensor; `None` on overflow.
    pub fn bytes(self, rows: usize, cols: usize) -> Option<usize> {
        match self {
            Dtype::U7 | Dtype::I8 | Dtype::Bucket => rows.checked_mul(cols),
            Dtype::I8Panel => rows
                .checked_next_multiple_of(PANEL)?
                .checked_mul(cols.checked_next_multiple_of(GROUP)?),
            Dtype::F32 | Dtype::I32 => rows.checked_mul(cols)?.checked_mul(4),
            Dtype::U4 => rows.checked_mul(cols.div_ceil(2)),
        }
    }
}

/// A dense layer of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// First layer over one side of a group's inputs.
    First {
        /// The group; see [`Spec::groups`].
        group: usize,
        /// The side.
        side: Side,
    },
    /// Layer `layer` (1 or more) of an expert.
    Expert {
        /// Expert index.
        expert: usize,
        /// Layer index.
        layer: usize,
    },
    /// Layer `layer` (1 or more) of a gate on the inputs; the last one, without ReLU, makes its logits or query.
    Gate {
        /// Task index; of the shared gate the number of tasks.
        task: usize,
        /// Layer index.
        layer: usize,
    },
    /// Hidden layer `layer` of a task's tower.
    Tower {
        /// Task index.
        task: usize,
        /// Layer index.
        layer: usize,
    },
    /// A task's head: an output a logit, its weights row-major ([`TaskKind::head_rows`](super::TaskKind::head_rows)).
    Head {
        /// Task index.
        task: usize,
    },
    /// Layer `layer` of an expert of the second level.
    #[cfg(feature = "levels")]
    UpperExpert {
        /// Expert index.
        expert: usize,
        /// Layer index.
        layer: usize,
    },
    /// Layer `layer` of a task's gate of the second level; the last one, without ReLU, makes its logits.
    #[cfg(feature = "levels")]
    UpperGate {
        /// Task index.
        task: usize,
        /// Layer index.
        layer: usize,
    },
}

/// The name of a tensor of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tensor {
    /// Buckets of a table's vocabulary.
    Vocabulary(usize),
    /// Increasing bucket boundaries of a number feature.
    Boundaries(usize),
    /// Scale of each dimension of a table: value = scale x (byte - zero point).
    TableScale(usize),
    /// Zero point of each dimension of a table.
    TableZeroPoint(usize),
    /// Rows of a table.
    TableRows(usize),
    /// Weights of a layer.
    Weight(Layer),
    /// Scale of each output of a layer.
    Scale(Layer),
    /// First layer only: -(sum of weight x zero point) of each output, the i32 sum's start.
    ZeroBias {
        /// The group.
        group: usize,
        /// The side.
        side: Side,
    },
    /// f32 bias of each output of a layer; for the first layer of all sides together.
    Bias(Layer),
    /// f32 weights `[inputs, padded outputs]` of what other tasks feed to a tower's first layer, or to a head.
    Fed(Layer),
    /// Knots of a task's isotonic calibration: increasing logits, then their probabilities.
    Knots(usize),
    /// What being above each threshold of a task is worth; of quantiles, the knots of each group, `[groups, knots]`.
    Steps(usize),
    /// Weights of a projection of a feature that attends.
    ProjectionWeight(usize, Projection),
    /// Scale of each of its outputs.
    ProjectionScale(usize, Projection),
    /// -(sum of weight x zero point) of each of its outputs.
    ProjectionZeroBias(usize, Projection),
}

/// What a feature that attends makes of embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// The query, of the candidate's row. The file's is scaled by 1 / sqrt(dim) already.
    Query,
    /// A key, of a row of the list.
    Key,
}

/// The sections that hold tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorSection {
    /// Vocabularies and bucket boundaries.
    Lookups,
    /// Embedding tables.
    Embeddings,
    /// Dense layers.
    Layers,
    /// Projections of features that attend.
    #[cfg(feature = "attention")]
    Attention,
}

impl Spec<'_> {
    /// Walks the tensors of a section in file order with their element types and shapes. The rows of a vocabulary
    /// (its buckets) are not known from the spec and passed as 0.
    ///
    /// # Errors
    /// The first error of `visit`.
    pub fn tensors<E>(
        &self,
        section: TensorSection,
        visit: &mut dyn FnMut(Tensor, Dtype, usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        match section {
            TensorSection::Lookups => self.lookups(visit),
            TensorSection::Embeddings => self.embeddings(visit),
            TensorSection::Layers => self.layers(visit),
            #[cfg(feature = "attention")]
            TensorSection::Attention => self.projections(visit),
        }
    }

    #[cfg(feature = "attention")]
    fn projections<E>(
        &self,
        visit: &mut dyn FnMut(Tensor, Dtype, usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        for (feature, a) in self.attentions() {
            for of in [Projection::Query, Projection::Key] {
                let weight = Tensor::ProjectionWeight(feature, of);
                visit(weight, Dtype::I8Panel, a.dim, a.width)?;
                let scale = Tensor::ProjectionScale(feature, of);
                visit(scale, Dtype::F32, 1, padded(a.dim))?;
                let zero_bias = Tensor::ProjectionZeroBias(feature, of);
                visit(zero_bias, Dtype::I32, 1, padded(a.dim))?;
            }
        }
        Ok(())
    }

    fn lookups<E>(
        &self,
        visit: &mut dyn FnMut(Tensor, Dtype, usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        for (i, table) in self.tables.iter().enumerate() {
            if matches!(table.lookup, Lookup::Vocabulary(_)) {
                visit(Tensor::Vocabulary(i), Dtype::Bucket, 0, 64)?;
            }
        }
        for (i, feature) in self.features.iter().enumerate() {
            if let Encoding::Number {
                buckets: Some(table),
                ..
            } = feature.encoding
            {
                // Row 0 is "missing" and n boundaries make n + 1 buckets.
                let rows = self
                    .tables
                    .get(usize::from(table))
                    .map_or(0, |t| t.num_embeddings as usize);
                visit(Tensor::Boundaries(i), Dtype::F32, 1, rows.saturating_sub(2))?;
            }
        }
        Ok(())
    }

    fn embeddings<E>(
        &self,
        visit: &mut dyn FnMut(Tensor, Dtype, usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        for (i, table) in self.tables.iter().enumerate() {
            let (rows, dim, groups) = (
                table.num_embeddings as usize,
                usize::from(table.embedding_dim),
                self.groups(),
            );
            visit(Tensor::TableScale(i), Dtype::F32, 1, dim * groups)?;
            visit(Tensor::TableZeroPoint(i), Dtype::U7, 1, dim * groups)?;
            // A row for each group, so that every embedding of a packed table begins with a byte.
            visit(Tensor::TableRows(i), table.dtype(), rows * groups, dim)?;
        }
        Ok(())
    }

    fn layers<E>(
        &self,
        visit: &mut dyn FnMut(Tensor, Dtype, usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let outputs = self.first_outputs();
        for group in 0..self.groups() {
            for side in Side::ALL {
                let inputs = self.side_inputs(side);
                if inputs > 0 {
                    let layer = Layer::First { group, side };
                    weight(visit, layer, outputs, inputs)?;
                    let zero_bias = Tensor::ZeroBias { group, side };
                    visit(zero_bias, Dtype::I32, 1, padded(outputs))?;
                }
            }
            let side = Side::User;
            let bias = Tensor::Bias(Layer::First { group, side });
            visit(bias, Dtype::F32, 1, padded(outputs))?;
        }
        for expert in 0..usize::from(self.network.num_experts) {
            for layer in 1..self.network.expert_layers.len() {
                dense(
                    visit,
                    Layer::Expert { expert, layer },
                    self.expert_width(layer),
                    self.expert_width(layer - 1),
                )?;
            }
        }
        // Without gates they have no layers.
        for task in 0..self.input_gates() {
            for layer in 1..=self.network.gate_layers.len() {
                let (outputs, inputs) = (self.gate_width(layer), self.gate_width(layer - 1));
                dense(visit, Layer::Gate { task, layer }, outputs, inputs)?;
            }
        }
        #[cfg(feature = "levels")]
        self.upper_layers(visit)?;
        for (task, t) in self.tasks.iter().enumerate() {
            let mut inputs = self.mixture_width();
            for (layer, width) in t.tower_layers.iter().enumerate() {
                dense(
                    visit,
                    Layer::Tower { task, layer },
                    usize::from(*width),
                    inputs,
                )?;
                inputs = usize::from(*width);
            }
        }
        for (task, t) in self.tasks.iter().enumerate() {
            let head = Layer::Head { task };
            let inputs = t
                .tower_layers
                .last()
                .map_or(self.mixture_width(), |w| usize::from(*w));
            let rows = t.kind.head_rows();
            visit(Tensor::Weight(head), Dtype::I8, rows, inputs)?;
            visit(Tensor::Scale(head), Dtype::F32, 1, rows)?;
            visit(Tensor::Bias(head), Dtype::F32, 1, t.kind.logits())?;
        }
        for (task, t) in self.tasks.iter().enumerate() {
            let (layer, outputs) = match t.tower_layers.first() {
                Some(width) => (Layer::Tower { task, layer: 0 }, padded(usize::from(*width))),
                None => (Layer::Head { task }, 1),
            };
            if !t.inputs.is_empty() {
                visit(Tensor::Fed(layer), Dtype::F32, t.inputs.len(), outputs)?;
            }
            if let Calibration::Isotonic { knots } = t.calibration {
                visit(Tensor::Knots(task), Dtype::F32, 2, usize::from(knots))?;
            }
            let (rows, cols) = match t.kind {
                TaskKind::Steps { thresholds, .. } => (1, thresholds),
                #[cfg(feature = "quantile")]
                TaskKind::Quantile { feature, knots } => (self.num_groups(feature), knots),
                _ => continue,
            };
            visit(Tensor::Steps(task), Dtype::F32, rows, usize::from(cols))?;
        }
        Ok(())
    }
}

#[cfg(feature = "levels")]
impl Spec<'_> {
    /// Layers of the second level: of its experts, then of its gates.
    fn upper_layers<E>(&self, visit: Visit<'_, E>) -> Result<(), E> {
        if self.own_experts().is_none() {
            return Ok(());
        }
        // One loop: two have 200 bytes more of code.
        let network = &self.network;
        let experts = usize::from(network.num_experts);
        for stack in 0..experts + self.tasks.len() {
            let gate = stack.checked_sub(experts);
            let layers = match gate {
                Some(_) => network.gate_layers.len() + 1,
                None => network.expert_layers.len(),
            };
            let mut inputs = self.mixture_width();
            for layer in 0..layers {
                let expert = stack;
                let (name, outputs) = match gate {
                    Some(task) => (Layer::UpperGate { task, layer }, self.gate_width(layer)),
                    None => (
                        Layer::UpperExpert { expert, layer },
                        self.expert_width(layer),
                    ),
                };
                dense(visit, name, outputs, inputs)?;
                inputs = outputs;
            }
        }
        Ok(())
    }
}

/// Sees tensors.
type Visit<'v, E> = &'v mut dyn FnMut(Tensor, Dtype, usize, usize) -> Result<(), E>;

/// Weights and scales of a layer.
#[inline(never)]
fn weight<E>(visit: Visit<'_, E>, layer: Layer, outputs: usize, inputs: usize) -> Result<(), E> {
    visit(Tensor::Weight(layer), Dtype::I8Panel, outputs, inputs)?;
    visit(Tensor::Scale(layer), Dtype::F32, 1, padded(outputs))
}

/// Weights, scales and biases of a layer.
#[inline(never)]
fn dense<E>(visit: Visit<'_, E>, layer: Layer, outputs: usize, inputs: usize) -> Result<(), E> {
    weight(visit, layer, outputs, inputs)?;
    visit(Tensor::Bias(layer), Dtype::F32, 1, padded(outputs))
}

// What is rounded up by a mask.
const _: () = assert!(PANEL.is_power_of_two() && GROUP.is_power_of_two());

/// `outputs` rounded up to whole panels.
pub const fn padded(outputs: usize) -> usize {
    (outputs + (PANEL - 1)) & !(PANEL - 1)
}
