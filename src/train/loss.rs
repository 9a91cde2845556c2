//! Losses of one row, as functions of its logit.
use crate::spec::TaskKind;
use crate::train::real::Real;

/// 1 / (1 + exp(-z)), without overflow.
pub fn sigmoid<R: Real>(z: R) -> R {
    let e = (-z.abs()).exp();
    let p = if z < R::ZERO { e } else { R::ONE };
    p / (R::ONE + e)
}

/// The loss and its derivative by the logit.
///
/// `Binary`: -y ln p - (1 - y) ln(1 - p) with p = sigmoid(logit), computed as max(z, 0) - z y + ln(1 + exp(-|z|)).
/// `Duration`: the loss of Huber (1964) of logit - ln(1 + label): d^2 / 2 within `huber`, huber (|d| - huber / 2)
/// beyond.
pub fn loss<R: Real>(kind: TaskKind, huber: R, logit: R, label: R) -> (R, R) {
    match kind {
        TaskKind::Binary => {
            let positive = if logit < R::ZERO { R::ZERO } else { logit };
            (
                positive - logit * label + (-logit.abs()).exp().ln_1p(),
                sigmoid(logit) - label,
            )
        }
        TaskKind::Duration => {
            let d = logit - label.ln_1p();
            let half = R::from_f64(0.5);
            if d.abs() <= huber {
                (half * d * d, d)
            } else if d > R::ZERO {
                (huber * (d - half * huber), huber)
            } else {
                // Also where d is NaN, which the loss keeps.
                (huber * (-d - half * huber), -huber)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_losses() {
        for kind in [TaskKind::Binary, TaskKind::Duration] {
            for (z, y) in [(-3.0, 1.0), (-0.2, 0.0), (0.4, 1.0), (2.9, 0.0)] {
                let h = 1e-6;
                let at = |z: f64| loss(kind, 0.7, z, y).0;
                let slope = (at(z + h) - at(z - h)) / (2.0 * h);
                assert!(
                    (slope - loss(kind, 0.7, z, y).1).abs() < 1e-8,
                    "{kind:?} {z} {y}"
                );
            }
        }
    }

    #[test]
    fn extreme_logits_stay_finite() {
        for z in [-1e30f32, -200.0, 200.0, 1e30] {
            for y in [0.0, 1.0] {
                let (l, d) = loss(TaskKind::Binary, 1.0, z, y);
                assert!(l.is_finite() && d.is_finite() && l >= 0.0);
            }
        }
        let (l, _) = loss(TaskKind::Binary, 1.0, f32::NAN, 0.0);
        let (m, _) = loss(TaskKind::Duration, 1.0, f32::NAN, 0.0);
        assert!(l.is_nan() && m.is_nan());
    }
}
