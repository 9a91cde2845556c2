//! Levels of experts: one on the inputs, and in a network of two another on what the gates of the first mix.

use super::super::Model;
use super::super::dense::row_mut;
use super::{BLOCK, Buffers, See, Sizes, first};
use crate::math::relu;
use crate::spec::Layer;

/// What experts and gates read. A library without `levels` has one level and spends nothing on the choice.
#[derive(Clone, Copy)]
pub(super) enum Level {
    /// The inputs: their first layers are rows of the first layer.
    Inputs,
    /// Mixtures of the level below.
    #[cfg(feature = "levels")]
    Mixtures,
}

impl Level {
    /// The first layer that is not a part of the first layer.
    pub fn first_layer(self) -> usize {
        match self {
            Level::Inputs => 1,
            #[cfg(feature = "levels")]
            Level::Mixtures => 0,
        }
    }

    pub fn expert(self, expert: usize, layer: usize) -> Layer {
        match self {
            Level::Inputs => Layer::Expert { expert, layer },
            #[cfg(feature = "levels")]
            Level::Mixtures => Layer::UpperExpert { expert, layer },
        }
    }

    pub fn gate(self, task: usize, layer: usize) -> Layer {
        match self {
            Level::Inputs => Layer::Gate { task, layer },
            #[cfg(feature = "levels")]
            Level::Mixtures => Layer::UpperGate { task, layer },
        }
    }
}

impl Model<'_> {
    /// Runs all experts, and the gates between their levels; the level that tasks mix.
    pub(super) fn levels(
        &self,
        b: &mut Buffers<'_>,
        s: &Sizes,
        rows: usize,
        see: &mut impl See,
    ) -> Level {
        self.experts(b, s, rows, Level::Inputs, see);
        #[cfg(feature = "levels")]
        if self.spec.own_experts().is_some() {
            see.done(super::Stage::Experts);
            for gate in 0..self.spec.input_gates() {
                self.mix(b, s, rows, (Level::Inputs, gate), see);
            }
            see.done(super::Stage::Gates);
            self.experts(b, s, rows, Level::Mixtures, see);
            return Level::Mixtures;
        }
        Level::Inputs
    }

    /// Outputs of a level's experts.
    fn experts(
        &self,
        b: &mut Buffers<'_>,
        s: &Sizes,
        rows: usize,
        level: Level,
        see: &mut impl See,
    ) {
        let width = self.spec.expert_width(0);
        let depth = self.spec.network.expert_layers.len();
        for expert in 0..s.experts {
            let column = s.expert_column(&self.spec, expert);
            let to = row_mut(b.experts, expert, BLOCK * s.mixture);
            let mut scales = [0.0; BLOCK];
            let scales = scales.get_mut(..rows).unwrap_or_default();
            match level {
                Level::Inputs if depth == 1 => {
                    for r in 0..rows {
                        let first = first(b.sums, s, r, column, width);
                        for (to, x) in row_mut(to, r, s.mixture).iter_mut().zip(first) {
                            *to = relu(*x);
                        }
                    }
                }
                Level::Inputs => self.quantize_first((b.sums, column), width, b.bytes, scales),
                #[cfg(feature = "levels")]
                Level::Mixtures => {
                    let of = self.spec.mixture_of(expert);
                    self.quantize_mixture((b.mixture, of), b.bytes, scales);
                }
            }
            for layer in level.first_layer()..depth {
                let name = level.expert(expert, layer);
                let Some(dense) = self.layer(name) else {
                    return;
                };
                let last = layer + 1 == depth;
                let out = if last { &mut *to } else { &mut *b.hidden };
                self.run(dense, (b.bytes, scales, &[]), out, true, name, see);
                if !last {
                    self.quantize(out, dense.outputs, b.bytes, scales);
                }
            }
        }
    }
}
