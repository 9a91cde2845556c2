//! Losses of one row, as functions of its logit, or logits; [`list`] has those of a request, [`taught`] those of a teacher.
use crate::spec::TaskKind;
use crate::train::real::Real;

pub mod list;
mod quantiles;
mod steps;
pub mod taught;
#[cfg(test)]
mod torch;

pub use quantiles::{GROUP_LABELS_MIN, quantile_of, quantile_tables, value_at};
pub use steps::{Start, Steps, steps_loss};

/// 1 / (1 + exp(-z)), without overflow.
pub fn sigmoid<R: Real>(z: R) -> R {
    let e = (-z.abs()).exp();
    let p = if z < R::ZERO { e } else { R::ONE };
    p / (R::ONE + e)
}

/// Cross entropy -y ln p - (1 - y) ln(1 - p) with p = sigmoid(logit), as max(z, 0) - z y + ln(1 + exp(-|z|)), and its
/// derivative by the logit.
pub(crate) fn bce<R: Real>(logit: R, label: R) -> (R, R) {
    let positive = if logit < R::ZERO { R::ZERO } else { logit };
    (
        positive - logit * label + (-logit.abs()).exp().ln_1p(),
        sigmoid(logit) - label,
    )
}

/// The loss of Huber (1964) of `d`, and its derivative: d^2 / 2 within `delta`, delta (|d| - delta / 2) beyond.
pub(crate) fn huber<R: Real>(delta: R, d: R) -> (R, R) {
    let half = R::from_f64(0.5);
    if d.abs() <= delta {
        (half * d * d, d)
    } else if d > R::ZERO {
        (delta * (d - half * delta), delta)
    } else {
        // Also where d is NaN, which the loss keeps.
        (delta * (-d - half * delta), -delta)
    }
}

/// The loss of a task of one logit and its derivative by it: cross entropy if it is `Binary`, else Huber's loss of
/// logit - ln(1 + label).
pub fn loss<R: Real>(kind: TaskKind, delta: R, logit: R, label: R) -> (R, R) {
    match kind {
        TaskKind::Binary => bce(logit, label),
        _ => huber(delta, logit - label.ln_1p()),
    }
}

/// Focal loss (Lin et al., ICCV 2017): cross entropy times (1 - p)^`gamma`, p the probability of what happened, and its
/// derivative by the logit. `label` is 0 or 1.
///
/// With q = 1 - p and u the logit of p: q^gamma softplus(-u), and -q^gamma (gamma p softplus(-u) + q) by u.
pub fn focal_loss<R: Real>(gamma: R, logit: R, label: R) -> (R, R) {
    let sign = label + label - R::ONE;
    let u = sign * logit;
    let (p, q, entropy) = (sigmoid(u), sigmoid(-u), softplus(-u));
    // q^gamma, by its logarithm: -gamma softplus(u).
    let factor = (-(gamma * softplus(u))).exp();
    (
        factor * entropy,
        -(sign * factor * (gamma * p * entropy + q)),
    )
}

/// Weighted logistic regression (Covington et al., RecSys 2016, section 4.2), and its derivative by the logit: a row is a
/// positive that weighs its label, and a negative that weighs [`odds_negative`]. Where the loss is least the odds are the
/// label over that weight, in the mean.
pub fn odds_loss<R: Real>(logit: R, label: R, negative: R) -> (R, R) {
    (
        label * softplus(-logit) + negative * softplus(logit),
        negative * sigmoid(logit) - label * sigmoid(-logit),
    )
}

/// What a row weighs as a negative of [`odds_loss`]: 1 if `every` row does, else only without a label.
pub fn odds_negative(label: f64, every: bool) -> f64 {
    f64::from(u8::from(every || label <= 0.0))
}

/// ln(1 + e^z), without overflow.
pub(crate) fn softplus<R: Real>(z: R) -> R {
    let positive = if z < R::ZERO { R::ZERO } else { z };
    positive + (-z.abs()).exp().ln_1p()
}

/// Cross entropy of a product of probabilities, p = sigmoid(z_1) .. sigmoid(z_n), and its derivative by each logit, in
/// `d`: a task's loss over the impressions of the whole chain of tasks that it is given (ESMM; Ma et al., SIGIR 2018).
///
/// -ln p is the sum of ln(1 + e^-z), and 1 - p = 1 - sigmoid(z_1) (1 - (1 - sigmoid(z_2) ..)) is built of the small
/// factors, so neither end loses its digits. By each logit: (p - label) (1 - sigmoid(z)) / (1 - p).
pub fn product_loss<R: Real>(logits: &[R], label: R, d: &mut [R]) -> R {
    let minus_ln_p = logits.iter().fold(R::ZERO, |sum, z| sum + softplus(-*z));
    let not_p = logits
        .iter()
        .rev()
        .fold(R::ZERO, |rest, z| sigmoid(-*z) + sigmoid(*z) * rest);
    // Where p is 1 in this precision a negative label costs as much as the precision can say.
    let least = R::from_f64(1e-30);
    let not_p = if not_p < least { least } else { not_p };
    for (d, z) in d.iter_mut().zip(logits) {
        // (p - 1) / (1 - p) is -1 whatever p is.
        let slope = (R::ONE - not_p) / not_p;
        *d = sigmoid(-*z) * (slope * (R::ONE - label) - label);
    }
    label * minus_ln_p - (R::ONE - label) * not_p.ln()
}

/// max(sigmoid(z) - sigmoid(parent), 0) and its derivatives by both: a task that cannot be more probable than the task
/// before it in a funnel (the calibrator of AITM; Xi et al., KDD 2021).
pub fn funnel_penalty<R: Real>(z: R, parent: R) -> (R, R, R) {
    let (p, q) = (sigmoid(z), sigmoid(parent));
    if p <= q {
        return (R::ZERO, R::ZERO, R::ZERO);
    }
    (p - q, p * (R::ONE - p), -q * (R::ONE - q))
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

    /// By hand: p = 3/4, gamma 2: -(1/4)^2 ln(3/4) for a positive, -(3/4)^2 ln(1/4) for a negative; gamma 0 is cross entropy.
    #[test]
    fn focal_loss_by_hand_and_by_differences() {
        let z = libm::log(3.0);
        let (l, d) = focal_loss(2.0, z, 1.0);
        assert!((l + libm::log(0.75) / 16.0).abs() < 1e-12);
        let want = -(-2.0 * 0.75 * libm::log(0.75) + 0.25) / 16.0;
        assert!((d - want).abs() < 1e-12, "{d} {want}");
        let (l, _) = focal_loss(2.0, z, 0.0);
        assert!((l + 9.0 / 16.0 * libm::log(0.25)).abs() < 1e-12);
        for (gamma, z, y) in [
            (0.0, 0.7, 1.0),
            (0.5, -2.0, 1.0),
            (2.0, 1.3, 0.0),
            (5.0, -0.2, 0.0),
        ] {
            let at = |z: f64| focal_loss(gamma, z, y).0;
            let d = focal_loss(gamma, z, y).1;
            assert!(((at(z + 1e-6) - at(z - 1e-6)) / 2e-6 - d).abs() < 1e-8);
            if gamma == 0.0 {
                assert!((d - bce(z, y).1).abs() < 1e-12);
            }
        }
        for z in [-1e30f32, -200.0, 200.0, 1e30] {
            for y in [0.0, 1.0] {
                let (l, d) = focal_loss(2.0, z, y);
                assert!(l.is_finite() && d.is_finite() && l >= 0.0, "{z} {y}");
            }
        }
        assert!(focal_loss(2.0, f32::NAN, 1.0).0.is_nan());
    }

    /// By hand: sigmoid(ln 3) = 3/4; 2 s clicked and unclicked, -2 ln(3/4) and -ln(1/4), then both, which are least at odds
    /// of the mean label.
    #[test]
    fn odds_by_hand() {
        let z = libm::log(3.0);
        let (l, d) = odds_loss(z, 2.0, odds_negative(2.0, false));
        assert!((l + 2.0 * libm::log(0.75)).abs() < 1e-12 && (d + 0.5).abs() < 1e-12);
        let (l, d) = odds_loss(z, 0.0, odds_negative(0.0, false));
        assert!((l + libm::log(0.25)).abs() < 1e-12 && (d - 0.75).abs() < 1e-12);
        let (l, d) = odds_loss(z, 3.0, odds_negative(3.0, true));
        assert!((l + 3.0 * libm::log(0.75) + libm::log(0.25)).abs() < 1e-12);
        assert!(d.abs() < 1e-12);
        for (z, y, every) in [(-2.0, 7.0, true), (1.3, 0.4, false), (0.2, 0.0, true)] {
            let at = |z: f64| odds_loss(z, y, odds_negative(y, every)).0;
            let slope = (at(z + 1e-6) - at(z - 1e-6)) / 2e-6;
            let d = odds_loss(z, y, odds_negative(y, every)).1;
            assert!((slope - d).abs() < 1e-7, "{z} {y}");
        }
        for z in [-1e30f32, -200.0, 200.0, 1e30] {
            let (l, d) = odds_loss(z, 30.0, 1.0);
            assert!(l.is_finite() && d.is_finite() && l >= 0.0);
        }
        assert!(odds_loss(f32::NAN, 1.0, 1.0).0.is_nan());
    }

    #[test]
    fn a_product_of_one_probability_has_the_loss_of_one_logit() {
        for z in [-30.0, -2.0, 0.1, 5.0] {
            for y in [0.0, 1.0] {
                let mut d = [0.0];
                let (l, slope) = loss::<f64>(TaskKind::Binary, 1.0, z, y);
                assert!((product_loss(&[z], y, &mut d) - l).abs() < 1e-12);
                assert!((d[0] - slope).abs() < 1e-12);
            }
        }
    }

    /// By hand: sigmoid(0) sigmoid(ln 3) = 1/2 x 3/4 = 3/8; -ln(5/8) for a negative; (3/8) / (5/8) x 1/2 and x 1/4.
    #[test]
    fn a_product_of_probabilities_by_hand_and_by_differences() {
        let mut d = [0.0; 2];
        let l = product_loss(&[0.0, libm::log(3.0)], 0.0, &mut d);
        assert!((l + libm::log(0.625)).abs() < 1e-12);
        assert!((d[0] - 0.3).abs() < 1e-12 && (d[1] - 0.15).abs() < 1e-12);
        let l = product_loss(&[0.0, libm::log(3.0)], 1.0, &mut d);
        assert!((l + libm::log(0.375)).abs() < 1e-12);
        assert!((d[0] + 0.5).abs() < 1e-12 && (d[1] + 0.25).abs() < 1e-12);
        let z = [-1.3, 2.1, 0.4];
        for y in [0.0, 1.0] {
            let mut d = [0.0; 3];
            product_loss(&z, y, &mut d);
            for i in 0..3 {
                let at = |h: f64| {
                    let mut z = z;
                    z[i] += h;
                    product_loss(&z, y, &mut [0.0; 3])
                };
                assert!((((at(1e-6) - at(-1e-6)) / 2e-6) - d[i]).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn extreme_products_stay_finite() {
        for z in [[-1e30f32, 1e30], [200.0, 200.0], [-200.0, -200.0]] {
            for y in [0.0, 1.0] {
                let mut d = [0.0; 2];
                let l = product_loss(&z, y, &mut d);
                assert!(
                    l >= 0.0 && (l.is_finite() || z[0] == -1e30),
                    "{z:?} {y} {l}"
                );
                assert!(d.iter().all(|d| d.is_finite()), "{z:?} {y} {d:?}");
            }
        }
        assert!(product_loss(&[f64::NAN, 0.0], 1.0, &mut [0.0; 2]).is_nan());
    }

    /// By hand: sigmoid(ln 3) - sigmoid(0) = 1/4, with slopes 3/16 and -1/4.
    #[test]
    fn only_what_is_above_its_parent_is_penalised() {
        let (l, d, parent): (f64, f64, f64) = funnel_penalty(libm::log(3.0), 0.0);
        assert!((l - 0.25).abs() < 1e-12 && (d - 0.1875).abs() < 1e-12);
        assert_eq!(parent, -0.25);
        assert_eq!(funnel_penalty(0.0, 1.0), (0.0, 0.0, 0.0));
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
