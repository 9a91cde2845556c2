//! Sizes of the buffers of a block.

use super::super::ScratchLen;
use super::super::dense::stride;
use super::BLOCK;
use crate::spec::{Side, Spec, limits, padded};

/// Sizes that follow from the spec, worked out once when a model is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Sizes {
    /// Columns of the first layer's sums, of all groups.
    pub first: usize,
    /// Columns of one group.
    pub group: usize,
    pub groups: usize,
    pub mixture: usize,
    pub widest: usize,
    pub experts: usize,
    /// Mixtures that a block keeps.
    #[cfg(feature = "levels")]
    mixtures: usize,
    /// Bytes from one row of inputs to the next, by side.
    strides: [usize; 4],
    /// Of features that attend to lists.
    #[cfg(feature = "attention")]
    pub attention: super::super::attention::Sizes,
}

impl Sizes {
    pub fn of(spec: &Spec<'_>) -> Self {
        // Loops, not chained iterators, which take 900 bytes more of code.
        let mut widest = 0;
        for width in &spec.network.expert_layers {
            widest = widest.max(usize::from(*width));
        }
        for task in &spec.tasks {
            for width in &task.tower_layers {
                widest = widest.max(usize::from(*width));
            }
        }
        for layer in 0..=spec.network.gate_layers.len() {
            widest = widest.max(spec.gate_width(layer));
        }
        let group = padded(spec.first_outputs());
        Self {
            first: group * spec.groups(),
            group,
            groups: spec.groups(),
            mixture: padded(spec.mixture_width()),
            widest: padded(widest),
            experts: usize::from(spec.network.num_experts),
            #[cfg(feature = "levels")]
            mixtures: match spec.own_experts() {
                Some(_) => spec.input_gates(),
                None => 1,
            },
            strides: Side::ALL.map(|side| stride(spec.side_inputs(side))),
            #[cfg(feature = "attention")]
            attention: super::super::attention::Sizes::of(spec),
        }
    }

    /// Mixtures that a block keeps: one, that of the task in turn; with a second level of experts those of the first, of
    /// which each is a task's until its own takes its place.
    pub fn mixtures(&self) -> usize {
        #[cfg(feature = "levels")]
        return self.mixtures;
        #[cfg(not(feature = "levels"))]
        1
    }

    /// Row of the mixtures at which those of a gate begin.
    pub fn mixture_row(&self, gate: usize) -> usize {
        if self.mixtures() > 1 { gate * BLOCK } else { 0 }
    }

    /// Column of an expert's first layer.
    pub fn expert_column(&self, spec: &Spec<'_>, expert: usize) -> usize {
        if self.groups > 1 {
            expert * self.group
        } else {
            expert * spec.expert_width(0)
        }
    }

    /// Bytes from one row of a side's inputs to the next.
    pub fn stride(&self, side: Side) -> usize {
        self.strides.get(side as usize).copied().unwrap_or(0)
    }

    /// Bytes of a side's inputs in one group: a row for the user, a block for the others.
    pub fn side_bytes(&self, side: Side) -> usize {
        self.stride(side) * if side == Side::User { 1 } else { BLOCK }
    }

    pub fn scratch_len(&self, candidates_max: usize) -> ScratchLen {
        let block =
            self.first + self.experts * self.mixture + self.widest + self.mixtures() * self.mixture;
        let inputs: usize = Side::ALL.iter().map(|side| self.side_bytes(*side)).sum();
        let len = ScratchLen {
            floats: self.first + BLOCK * block + candidates_max.min(limits::CANDIDATES),
            bytes: self.groups * inputs + BLOCK * self.widest,
        };
        #[cfg(feature = "attention")]
        let len = ScratchLen {
            floats: len.floats + self.attention.floats,
            bytes: len.bytes + self.attention.bytes(),
        };
        len
    }
}
