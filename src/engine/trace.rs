//! What happens between a request and its scores, for tests, oracles and explanations.

use super::block::{See, Stage};
use super::inputs::Kept;
use super::{Model, Request, Scratch};
use crate::error::Result;
#[cfg(doc)]
use crate::error::Status;
use crate::fusion::TaskSet;
use crate::kernels::{self, Affine, Isa};
use crate::spec::{Layer, PANEL, Side};

/// One step of [`Model::trace`].
#[derive(Clone, Copy, Debug)]
pub enum Trace<'t> {
    /// Input bytes of a group's side, without padding.
    Inputs(usize, Side, &'t [u8]),
    /// i32 sums of the outputs `output..` of a layer, in parts of increasing `output`; of the first layer with its
    /// zero biases. The last part may go past the layer's outputs.
    Sums {
        /// The layer.
        layer: Layer,
        /// First output of this part.
        output: usize,
        /// The sums.
        sums: &'t [i32],
    },
    /// Scores by task.
    Scores(&'t [f32]),
}

struct Report<'f, F: ?Sized>(&'f mut F);

impl<F: FnMut(Trace<'_>) + ?Sized> See for Report<'_, F> {
    /// By plain Rust, whose sums can be seen.
    fn affine(&mut self, _: Isa, layer: &Affine<'_>, names: &[Layer], out: &mut [f32]) {
        kernels::affine_seen(layer, out, &mut |part, _row, panel, sums| {
            if let Some(layer) = names.get(part).copied() {
                (self.0)(Trace::Sums {
                    layer,
                    output: panel * PANEL,
                    sums,
                });
            }
        });
    }

    fn head(&mut self, task: usize, logit: usize, acc: i32) {
        (self.0)(Trace::Sums {
            layer: Layer::Head { task },
            output: logit,
            sums: &[acc],
        });
    }
}

/// Reports stages, and runs layers as a request does.
struct Stages<'f>(&'f mut dyn FnMut(Stage));

impl See for Stages<'_> {
    fn affine(&mut self, isa: Isa, layer: &Affine<'_>, names: &[Layer], out: &mut [f32]) {
        ().affine(isa, layer, names, out);
    }
    fn head(&mut self, _: usize, _: usize, _: i32) {}
    fn done(&mut self, stage: Stage) {
        (self.0)(stage);
    }
}

impl Model<'_> {
    /// Scores `request` by the code of [`score`](Self::score) and calls `done` after every stage of every block: a clock then
    /// tells where the time goes.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn stages(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        done: &mut dyn FnMut(Stage),
    ) -> Result<()> {
        let (inputs, mut b) = self.begin(request, scratch)?;
        let mut tally = self.first_look(&inputs, &mut b, &super::ROW_SIDES)?;
        let (all, see) = (TaskSet::MAX, &mut Stages(done));
        self.each(
            &inputs,
            &mut b,
            all,
            &mut tally,
            see,
            &mut |_, scores, _| {
                core::hint::black_box(scores);
            },
        );
        Ok(())
    }

    /// Scores one candidate of `request` by the code of [`rank`](Self::rank), and reports every step to `see`.
    ///
    /// # Errors
    /// As [`rank`](Self::rank); [`Status::CandidateCount`] for a `candidate` that the request does not have.
    pub fn trace(
        &self,
        request: &Request<'_>,
        candidate: usize,
        scratch: &mut Scratch<'_>,
        see: &mut dyn FnMut(Trace<'_>),
    ) -> Result<()> {
        let mut b = self.fill_one(request, candidate, scratch)?;
        for group in 0..self.spec.groups() {
            for side in Side::ALL {
                let (bytes, _) = b.input(&self.sizes, side, group);
                let inputs = bytes.get(..self.spec.side_inputs(side));
                see(Trace::Inputs(group, side, inputs.unwrap_or_default()));
            }
        }
        self.user_sums(&mut b, &mut Report(see));
        #[cfg(feature = "quantile")]
        let alone = Request {
            only: None,
            item_sums: None,
            ..*request
        };
        #[cfg(feature = "quantile")]
        let inputs = self.open_request(&alone)?;
        let mut scores = [0.0; crate::spec::limits::TASKS];
        let tasks = self.spec.tasks.len();
        self.score_block(
            &mut b,
            (1, &Kept::default()),
            TaskSet::MAX,
            &mut Report(see),
            |_, from, _| {
                #[cfg(feature = "quantile")]
                self.invert(&inputs, candidate, TaskSet::MAX, from);
                for (to, from) in scores.iter_mut().zip(from) {
                    *to = *from;
                }
            },
        );
        see(Trace::Scores(scores.get(..tasks).unwrap_or_default()));
        Ok(())
    }
}
