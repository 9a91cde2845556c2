//! What a row learns of a teacher: a larger model's score, a column of the log.
use serde::{Deserialize, Serialize};

use super::{loss, sigmoid, softplus};
use crate::spec::TaskKind;
use crate::train::real::Real;

/// How a task learns of its teacher.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Teaching {
    /// Share of the teacher in the loss of a row that has one, in (0, 1]; the rest is the label's.
    pub weight: f64,
    /// T, positive: logits are divided by it on both sides. `Binary` alone.
    pub temperature: f64,
    /// The teacher's order of a request's rows ([`as_taught`](super::list::as_taught)) instead of its score of each row.
    pub pairs: bool,
}

impl Teaching {
    /// Share of the label in the loss of a row, whose teacher says so much; NaN: nothing.
    pub fn label_share(&self, teacher: f32) -> f64 {
        if teacher.is_nan() {
            1.0
        } else {
            1.0 - self.weight
        }
    }
}

/// The loss of a student's logit against its teacher's, not yet times the share, and its derivative.
///
/// `Binary`: cross entropy of sigmoid(z / T) against sigmoid(teacher / T), times T^2, which keeps the size of its slope
/// whatever T is (Hinton, Vinyals & Dean, "Distilling the Knowledge in a Neural Network", 2015). `Duration`: Huber's loss of
/// the difference, both in ln(1 + value).
pub fn taught<R: Real>(
    kind: TaskKind,
    teaching: &Teaching,
    huber: R,
    logit: R,
    teacher: R,
) -> (R, R) {
    match kind {
        TaskKind::Binary => {
            let t = R::from_f64(teaching.temperature);
            let (z, target) = (logit / t, sigmoid(teacher / t));
            let loss = softplus(z) - target * z;
            (t * t * loss, t * (sigmoid(z) - target))
        }
        // ln(1 + 0) = 0: a label of 0 leaves the difference alone.
        _ => loss(TaskKind::Duration, huber, logit - teacher, R::ZERO),
    }
}
