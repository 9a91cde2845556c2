//! The engine: opens a model file in place, scores candidates and ranks them.
//!
//! ```text
//! columns, user state -> input bytes -> first layer, a sum a side (user: once a request)
//!                                    -> experts, gates -> mixture -> tower -> head -> score, a task at a time
//! scores -> fusion -> order
//! ```
//!
//! Invariant: the scores of a candidate depend on the model, the user, the time and that candidate alone, not on the
//! other candidates, the block it is in, or what scratch held.

#[cfg(feature = "attention")]
pub(crate) mod attention;
mod block;
mod dense;
#[cfg(feature = "formula")]
mod explain;
#[cfg(feature = "formula")]
mod formula;
mod fuser;
mod inputs;
#[cfg(feature = "session")]
mod item_sums;
pub(crate) mod load;
#[cfg(any(feature = "formula", feature = "std"))]
mod one;
#[cfg(feature = "session")]
mod order;
mod rank;
mod request;
#[cfg(feature = "session")]
mod session;
#[cfg(feature = "std")]
mod trace;
#[cfg(feature = "rerank")]
mod vectors;

pub use block::Stage;
#[cfg(feature = "session")]
pub use item_sums::ITEM_SUMS_VERSION;
pub use request::{Column, ItemSums, Lists, Output, Request, Scratch, ScratchLen, Summary};
#[cfg(feature = "session")]
pub use session::{Session, SessionMemory};
#[cfg(feature = "std")]
pub use trace::Trace;

use heapless::Vec;

use crate::error::Result;
#[cfg(doc)]
use crate::error::Status;
use crate::features::{self, Embedding, Event, Vocabulary};
use crate::format::File;
#[cfg(feature = "formula")]
use crate::fusion::formula::{Formula, Quantiles};
use crate::kernels::Isa;
use crate::spec::{Layer, Side, Spec, limits};
use block::{BLOCK, Sizes};

/// A table's tensors, borrowed from the file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TableData<'a> {
    pub scales: &'a [u8],
    pub zero_points: &'a [u8],
    pub rows: &'a [u8],
    pub vocabulary: Vocabulary<'a>,
}

/// One side's part of the first layer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct First<'a> {
    pub weight: &'a [u8],
    pub scale: &'a [u8],
    pub zero_bias: &'a [u8],
    /// See [`kernels::quads_fit`](crate::kernels::quads_fit).
    pub quads: bool,
}

/// A later layer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dense<'a> {
    pub weight: &'a [u8],
    pub scale: &'a [u8],
    pub bias: &'a [u8],
    /// `[fed, padded outputs]`: weights of what other tasks feed.
    pub fed: &'a [u8],
    pub outputs: usize,
    pub inputs: usize,
    /// See [`kernels::quads_fit`](crate::kernels::quads_fit).
    pub quads: bool,
}

/// Sides of which a candidate has a row.
const ROW_SIDES: [Side; 3] = [Side::Item, Side::Candidate, Side::Cross];

/// Later layers of a model, at most.
const LAYERS: usize = limits::EXPERTS * (limits::LAYERS - 1)
    + limits::TASKS * (limits::GATE_LAYERS + limits::LAYERS + 1)
    + UPPER_LAYERS;
/// Of those the shared gate's and those of a second level.
const UPPER_LAYERS: usize = if cfg!(feature = "levels") {
    limits::GATE_LAYERS
        + limits::EXPERTS * limits::LAYERS
        + limits::TASKS * (limits::GATE_LAYERS + 1)
} else {
    0
};

/// An open model. Borrows the file's bytes; immutable, so any number of threads may share it, each with its own
/// [`Scratch`]. Some 30 kB: keep it where it is (static, boxed or in the caller's memory).
#[derive(Debug, Default)]
pub struct Model<'a> {
    spec: Spec<'a>,
    sizes: Sizes,
    isa: Isa,
    digest: u64,
    tables: Vec<TableData<'a>, { limits::TABLES }>,
    boundaries: Vec<&'a [u8], { limits::FEATURES }>,
    /// By group and side.
    first: Vec<First<'a>, { 4 * limits::TASKS }>,
    /// By group.
    first_bias: Vec<&'a [u8], { limits::TASKS }>,
    /// Later layers in file order: of experts, gates, towers, heads.
    layers: Vec<Dense<'a>, LAYERS>,
    /// Knots of calibrations, or steps, by task; empty without.
    knots: Vec<&'a [u8], { limits::TASKS }>,
    /// Tasks in the order in which they are computed.
    order: Vec<u8, { limits::TASKS }>,
    /// Features that attend to lists.
    #[cfg(feature = "attention")]
    attention: Vec<attention::Attending<'a>, { limits::ATTENTIONS }>,
    /// Distributions of scores, for formulas.
    #[cfg(feature = "formula")]
    quantiles: Vec<Quantiles<'a>, { 2 * limits::TASKS }>,
    /// The fusion, if it is a formula.
    #[cfg(feature = "formula")]
    formula: Formula<'a>,
}

/// How to open a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// Instruction set; `None` takes the best that this CPU has.
    pub isa: Option<Isa>,
}

impl<'a> Model<'a> {
    /// A model that is not open: every call on it is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks all of `bytes`, once, in reading order, and decodes the metadata into `self`.
    ///
    /// # Errors
    /// The first check that fails (statuses 2xx to 4xx), with its byte offset; `self` is then not open.
    pub fn open(&mut self, bytes: &'a [u8], options: &OpenOptions) -> Result<()> {
        self.clear();
        let file = File::check(bytes)?;
        self.digest = file.digest();
        let loaded = self.load(&file);
        if loaded.is_err() {
            self.clear();
            return loaded;
        }
        self.sizes = Sizes::of(&self.spec);
        self.isa = options.isa.unwrap_or_else(Isa::detect);
        Ok(())
    }

    fn clear(&mut self) {
        let Spec {
            name,
            features,
            tables,
            labels,
            network,
            tasks,
            fusion,
        } = &mut self.spec;
        (*name, network.num_experts, self.digest) = ("", 0, 0);
        network.expert_layers.clear();
        network.gate_layers.clear();
        features.clear();
        tables.clear();
        labels.clear();
        tasks.clear();
        fusion.clear();
        self.sizes = Sizes::default();
        self.tables.clear();
        self.boundaries.clear();
        self.first.clear();
        self.first_bias.clear();
        self.layers.clear();
        self.knots.clear();
        self.order.clear();
        #[cfg(feature = "attention")]
        self.attention.clear();
        #[cfg(feature = "formula")]
        {
            self.quantiles.clear();
            self.formula.clear();
        }
    }

    /// Features, tables, tasks and fusion.
    pub fn spec(&self) -> &Spec<'a> {
        &self.spec
    }

    /// The instruction set that runs.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// XXH3-64 of the file: names it.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Scratch that requests of up to `candidates_max` candidates need. Grows with it by one float a candidate; in libraries
    /// with formulas by one more for each score that the file's formula reads (at least as many as there are tasks, so that
    /// another one has room), and two.
    pub fn scratch_len(&self, candidates_max: usize) -> ScratchLen {
        let need = self.sizes.scratch_len(candidates_max);
        #[cfg(feature = "formula")]
        let need =
            formula::with_columns(need, self.spec.tasks.len(), self.formula(), candidates_max);
        need
    }

    /// Terms of the fusion; a formula's addends.
    pub fn num_terms(&self) -> usize {
        #[cfg(feature = "formula")]
        if let Some(formula) = self.formula() {
            return formula.terms().count();
        }
        self.spec.fusion.len()
    }

    /// Bytes of a user's state; 0 for a model without derived features.
    pub fn state_bytes(&self) -> usize {
        features::state_bytes(&self.spec)
    }

    /// Makes `state` that of a user without a past.
    ///
    /// # Errors
    /// [`Status::BufferTooSmall`].
    pub fn state_reset(&self, state: &mut [u8]) -> Result<()> {
        features::reset(&self.spec, state)
    }

    /// Adds one label of one past impression to `state`.
    ///
    /// # Errors
    /// [`Status::StateLayout`], [`Status::StateCorrupt`], [`Status::UnknownLabel`], [`Status::BadTime`],
    /// [`Status::NotFinite`] for a NaN value; `state` is then unchanged.
    pub fn state_apply(&self, state: &mut [u8], event: &Event<'_>) -> Result<()> {
        features::apply(&self.spec, state, core::slice::from_ref(event))
    }

    /// The row of a feature's table that an id has: apps may look ids up once and send rows. `hash` is made by
    /// [`hash_int`](features::hash_int) or [`hash_text`](features::hash_text). `None` if the feature takes no ids.
    pub fn row_of(&self, feature: usize, hash: u64) -> Option<u32> {
        use crate::spec::Encoding::{Row, Rows};
        match self.spec.features.get(feature)?.encoding {
            Row { table, .. } | Rows { table, .. } => Some(self.lookup(table, Some(hash), 0).0),
            _ => None,
        }
    }

    /// The row of a bucketed number's table that `raw` falls into; NaN is missing, row 0. 0 if the feature is no number.
    pub fn bucket_row(&self, feature: usize, raw: f32) -> u32 {
        let boundaries = self.boundaries.get(feature).copied().unwrap_or_default();
        match self.spec.features.get(feature).map(|f| f.encoding) {
            Some(crate::spec::Encoding::Number { transform, .. }) => {
                features::bucket_row(&transform, boundaries, raw)
            }
            _ => 0,
        }
    }

    /// A layer behind the first.
    fn layer(&self, layer: Layer) -> Option<&Dense<'a>> {
        self.layers.get(later_layer(&self.spec, layer)?)
    }

    /// Little-endian bucket boundaries of a number feature; empty without buckets.
    pub fn boundaries(&self, feature: usize) -> &'a [u8] {
        self.boundaries.get(feature).copied().unwrap_or_default()
    }

    /// Row of a hashed id, and whether the id is unknown.
    fn lookup(&self, table: u8, key: Option<u64>, default_row: u32) -> (u32, bool) {
        let index = usize::from(table);
        match (self.spec.tables.get(index), self.tables.get(index)) {
            (Some(table), Some(data)) => {
                features::table_row(table, Some(&data.vocabulary), key, default_row)
            }
            _ => (0, true),
        }
    }

    /// A group's embedding in a table's row, as the file has it.
    fn table_row(&self, table: u8, row: u32, group: usize) -> Embedding<'a> {
        let index = usize::from(table);
        let (bytes, is_packed) = match self.spec.tables.get(index) {
            Some(table) => (table.embedding_bytes(), table.is_packed()),
            None => (0, false),
        };
        let rows = self.tables.get(index).map_or(&[][..], |t| t.rows);
        let at = row as usize * self.spec.groups() + group;
        Embedding {
            bytes: dense::row(rows, at, bytes),
            is_packed,
        }
    }
}

/// Place of a layer behind the first among those, in file order.
fn later_layer(spec: &Spec<'_>, layer: Layer) -> Option<usize> {
    let network = &spec.network;
    let (tasks, depth) = (spec.tasks.len(), network.gate_layers.len());
    let experts = usize::from(network.num_experts) * (network.expert_layers.len() - 1);
    // Without gates their depth is 0.
    let gates = experts + spec.input_gates() * depth;
    #[cfg(feature = "levels")]
    let (upper, gates) = (gates, gates + upper_layers(spec));
    let towers = |task: usize| -> usize {
        let before = spec.tasks.iter().take(task);
        gates + before.map(|t| t.tower_layers.len()).sum::<usize>()
    };
    Some(match layer {
        Layer::First { .. } => return None,
        Layer::Expert { expert, layer } => expert * (network.expert_layers.len() - 1) + layer - 1,
        Layer::Gate { task, layer } => experts + task * depth + layer - 1,
        Layer::Tower { task, layer } => towers(task) + layer,
        Layer::Head { task } => towers(tasks) + task,
        #[cfg(feature = "levels")]
        Layer::UpperExpert { expert, layer } => {
            upper + expert * network.expert_layers.len() + layer
        }
        #[cfg(feature = "levels")]
        Layer::UpperGate { task, layer } => gates - (tasks - task) * (depth + 1) + layer,
    })
}

/// Layers of the second level.
#[cfg(feature = "levels")]
fn upper_layers(spec: &Spec<'_>) -> usize {
    let network = &spec.network;
    let experts = usize::from(network.num_experts) * network.expert_layers.len();
    match spec.own_experts() {
        Some(_) => experts + spec.tasks.len() * (network.gate_layers.len() + 1),
        None => 0,
    }
}
