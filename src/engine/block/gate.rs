//! A task's weights of the experts.

use super::super::Model;
use super::super::dense::row;
use super::{BLOCK, Buffers, Lanes, Level, See, Sizes, first, score};
use crate::kernels;
use crate::spec::{Gate, padded};

impl Model<'_> {
    /// Weights by expert and row; each row's sum to 2^15.
    pub(super) fn gate(
        &self,
        b: &mut Buffers<'_>,
        s: &Sizes,
        rows: usize,
        (level, task): (Level, usize),
        see: &mut impl See,
        weights: &mut Lanes,
    ) {
        let spec = &self.spec;
        let (width, depth) = (spec.gate_width(0), spec.network.gate_layers.len());
        let column = s.experts * spec.expert_width(0) + task * width;
        let mut scales = [0.0; BLOCK];
        let scales = scales.get_mut(..rows).unwrap_or_default();
        match level {
            Level::Inputs if depth == 0 => {}
            Level::Inputs => self.quantize_first((b.sums, column), width, b.bytes, scales),
            #[cfg(feature = "levels")]
            Level::Mixtures => self.quantize_mixture((b.mixture, task), b.bytes, scales),
        }
        let layers = level.first_layer()..depth + 1;
        for layer in layers.clone() {
            let (name, hidden) = (level.gate(task, layer), layer < depth);
            let Some(dense) = self.layer(name) else {
                return;
            };
            self.run(dense, (b.bytes, scales, &[]), b.hidden, hidden, name, see);
            if hidden {
                self.quantize(b.hidden, dense.outputs, b.bytes, scales);
            }
        }
        let mut logits = Lanes::default();
        for r in 0..rows {
            let last = if !layers.is_empty() {
                row(b.hidden, r, padded(spec.gate_width(depth)))
            } else {
                first(b.sums, s, r, column, width)
            };
            let mut put = |expert: usize, logit: f32| {
                if let Some(to) = logits.get_mut(expert).and_then(|l| l.get_mut(r)) {
                    *to = logit;
                }
            };
            match spec.network.gate {
                Gate::Softmax => {
                    for (expert, logit) in last.iter().enumerate().take(s.experts) {
                        put(expert, *logit);
                    }
                }
                Gate::Attention => {
                    let query = last.get(..spec.mixture_width()).unwrap_or_default();
                    for expert in 0..s.experts {
                        let key = row(row(b.experts, expert, BLOCK * s.mixture), r, s.mixture);
                        put(expert, score::product(query, key));
                    }
                }
            }
        }
        let logits = logits.get(..s.experts).unwrap_or_default();
        kernels::softmax_lanes(self.isa, logits, weights);
    }
}
