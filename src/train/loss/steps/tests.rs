#![allow(clippy::unwrap_used)]
use super::*;

const CREAD: Steps = Steps::Restored {
    alpha: 1.0,
    restoration: 0.5,
    ordering: 2.0,
};

fn ordinal(levels: &[f32]) -> Steps {
    let mut all = [0.0; limits::LOGITS];
    all[..levels.len()].copy_from_slice(levels);
    Steps::Ordinal {
        levels: all,
        worth: all,
    }
}

/// By hand: p = 3/4 and 1/2 (logits ln 3 and 0), thresholds 0 and 4, worth 4 and 8: restored 7. A label of 5 is above both:
/// (-ln 3/4 - ln 1/2) / 2 + 1/2 x (2 / 4)^2 / 2. In the other order the second lies 1/4 above the first: 2 x 1/2 x 1/4 more.
#[test]
fn cread_by_hand() {
    let z = [libm::log(3.0), 0.0];
    let (thresholds, worth, mut d) = ([0.0, 4.0], [4.0, 8.0], [0.0; 2]);
    let l = steps_loss(&CREAD, 1.0, (&thresholds, &worth), &z, 5.0, &mut d);
    let entropy = -(libm::log(0.75) + libm::log(0.5)) / 2.0;
    assert!((l - entropy - 0.0625).abs() < 1e-12, "{l}");
    // (p - 1) / 2 + 1/2 x 1/2 / 4 x worth x p (1 - p)
    assert!((d[0] - (-0.125 + 0.0625 * 4.0 * 0.1875)).abs() < 1e-12);
    assert!((d[1] - (-0.25 + 0.0625 * 8.0 * 0.25)).abs() < 1e-12);
    let restored = 4.0 * 0.5 + 8.0 * 0.75;
    let l = steps_loss(
        &CREAD,
        1.0,
        (&thresholds, &worth),
        &[0.0, z[0]],
        5.0,
        &mut d,
    );
    let off: f64 = (restored - 5.0) / 4.0;
    assert!(
        (l - entropy - 0.5 * off * off / 2.0 - 0.25).abs() < 1e-12,
        "{l}"
    );
}

#[test]
fn derivatives_are_those_of_the_losses() {
    let (thresholds, worth) = ([0.0, 2.0, 5.0, 5.0], [2.0, 2.5, 0.0, 7.0]);
    for options in [CREAD, ordinal(&[0.5, 2.0, 5.0, 6.0])] {
        for z in [[1.3, 0.2, -0.4, -2.0], [-0.5, 0.7, 0.1, 1.9]] {
            for y in [0.0, 2.0, 5.5, 90.0] {
                let mut d = [0.0; 4];
                let of = (&thresholds[..], &worth[..]);
                steps_loss(&options, 0.8, of, &z, y, &mut d);
                for m in 0..4 {
                    let at = |h: f64| {
                        let mut z = z;
                        z[m] += h;
                        steps_loss(&options, 0.8, of, &z, y, &mut [0.0; 4])
                    };
                    let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
                    assert!((slope - d[m]).abs() < 1e-7, "{options:?} {z:?} {y} {m}");
                }
            }
        }
    }
}

#[test]
fn extreme_logits_stay_finite() {
    let of: (&[f32], &[f32]) = (&[0.0, 3.0], &[1e9, 1e9]);
    for z in [[-1e30, 1e30], [200.0, 200.0], [-200.0, 0.0]] {
        for y in [0.0, 1e9] {
            let mut d = [0.0; 2];
            let l = steps_loss(&CREAD, 1.0, of, &z, y, &mut d);
            assert!(
                l.is_finite() && d.iter().all(|d| d.is_finite()),
                "{z:?} {y}"
            );
        }
    }
    let mut d = [0.0; 2];
    assert!(steps_loss(&CREAD, 1.0, of, &[f32::NAN, 0.0], 1.0, &mut d).is_nan());
}

/// Probabilities and worths of the labels themselves restore their mean, whatever the thresholds are.
#[test]
fn a_start_restores_the_mean_label() {
    let labels: Vec<f32> = (0..1000).map(|i| (i * i % 977) as f32 / 7.0).collect();
    let mean = labels.iter().map(|y| f64::from(*y)).sum::<f64>() / 1000.0;
    for alpha in [0.0, 1.0, 4.0, -2.0] {
        let steps = Steps::Restored {
            alpha,
            restoration: 0.0,
            ordering: 0.0,
        };
        let start = steps.start(16, labels.clone());
        assert_eq!(start.thresholds[0], 0.0);
        assert!(start.thresholds.windows(2).all(|t| t[0] <= t[1]));
        let p = start.logits.iter().map(|z| sigmoid(*z));
        let restored: f64 = p.zip(&start.worth).map(|(p, w)| p * f64::from(*w)).sum();
        assert!(
            (restored / mean - 1.0).abs() < 2e-3,
            "{alpha} {restored} {mean}"
        );
    }
    // Equal counts with alpha 0; finer at large labels with more of it.
    let of = |alpha: f64| {
        let steps = Steps::Restored {
            alpha,
            restoration: 0.0,
            ordering: 0.0,
        };
        steps
            .start(4, (0..100).map(|i| i as f32).collect())
            .thresholds
    };
    assert_eq!(of(0.0), [0.0, 25.0, 50.0, 75.0]);
    assert_eq!(of(2.0), [0.0, 45.0, 73.0, 89.0]);
}

#[test]
fn levels_begin_where_labels_are() {
    let start = ordinal(&[0.25, 1.0]).start(2, vec![0.0, 0.25, 0.5, 1.0]);
    assert_eq!(start.thresholds, [0.25, 1.0]);
    // Three and one of four, with half a row of each.
    assert!((start.logits[0] - libm::log(3.5 / 1.5)).abs() < 1e-12);
    assert!((start.logits[1] - libm::log(1.5 / 3.5)).abs() < 1e-12);
    for labels in [vec![], vec![0.0; 9], vec![7.0; 9]] {
        let start = CREAD.start(3, labels);
        assert!(start.logits.iter().all(|z| z.is_finite()));
        assert!(start.worth.iter().all(|w| w.is_finite() && *w >= 0.0));
    }
}
