//! The last epochs, in which the forward pass computes on the device's grids
//! ([`fake_quantize`](crate::train::network::fake_quantize)).
//!
//! ```text
//! exact epochs, patience may end them early -> the best parameters -> epochs on the grids -> the best of these, or those before them
//! ```
//!
//! The grids follow the parameters in every step, so nothing of them is saved: they are a function of what is.
use std::prelude::v1::*;

use super::run::Run;
use super::{Job, TrainError};
use crate::train::network::{Network, Weights};

/// Steps of a run, at most and as it stands.
pub(super) struct Steps {
    /// Of one pass.
    pub per_epoch: u64,
    /// Of all passes.
    pub all: u64,
    /// Of those on the device's grids.
    aware: u64,
}

impl Steps {
    pub fn of(job: &Job<'_>, rows: usize) -> Self {
        let per_epoch = rows.div_ceil(job.options.batch) as u64;
        let epochs = job.options.quantization_aware.as_ref();
        Self {
            per_epoch,
            all: per_epoch * u64::from(job.options.epochs),
            aware: per_epoch * u64::from(epochs.map_or(0, |aware| aware.epochs)),
        }
    }

    /// The step that ends a run whose epochs on the grids began in step `from`.
    pub fn end(&self, from: Option<u64>) -> u64 {
        from.map_or(self.all, |from| from + self.aware)
    }

    /// Whether the epochs on the grids begin in `step` if nothing ended the exact ones.
    pub fn begins(&self, step: u64) -> bool {
        self.aware > 0 && step + self.aware == self.all
    }
}

impl Run<'_> {
    /// Goes over to the grids, from the best parameters so far. From here on evaluations are of what the device computes, and
    /// none before counts, so the first is of these parameters: epochs that make them worse are undone.
    pub fn go_on_grids(&mut self, pool: &rayon::ThreadPool) -> Result<(), TrainError> {
        let best = self.best.take();
        let position = &mut self.position;
        if position.best_step != position.step
            && let Some(best) = best
        {
            let average = self.job.options.average;
            self.state.restart(&self.network, best, average);
        }
        position.aware_from = Some(position.step);
        position.stopped_early = false;
        (position.best, position.best_step, position.stale) = (None, position.step, 0);
        if position.step > 0 && !self.job.split.stop.is_empty() {
            let losses = position.mean_losses();
            self.evaluate(pool, &losses)?;
        }
        Ok(())
    }
}

/// What `compute` makes of `network` and `weights`, on the grids of the latter if the epochs on grids have begun.
pub(super) fn on_grids<T>(
    job: &Job<'_>,
    aware_from: Option<u64>,
    (network, weights): (&mut Network, &mut Weights<f32>),
    compute: impl FnOnce(&Network, &Weights<f32>) -> T,
) -> Result<T, TrainError> {
    let (Some(step), Some(aware)) = (aware_from, &job.options.quantization_aware) else {
        return Ok(compute(network, weights));
    };
    // What no file can hold has diverged.
    let not_finite = |_| TrainError::NotFinite {
        step,
        what: "scale of the quantized network",
    };
    let dense = network.put_on_grids(job.spec, &aware.tables, weights);
    let exact = core::mem::replace(&mut weights.dense, dense.map_err(not_finite)?);
    let computed = compute(network, weights);
    weights.dense = exact;
    network.grids = None;
    Ok(computed)
}
