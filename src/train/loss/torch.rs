//! Losses of heads against PyTorch's, with the gradients of its automatic differentiation: `tests/torch/heads.py`.
#![allow(clippy::unwrap_used)]
use std::prelude::v1::*;

use serde_json::Value;

use super::{Steps, bce, focal_loss, odds_loss, odds_negative, quantile_of, steps_loss};
use crate::spec::limits;

#[test]
fn losses_of_heads_are_those_of_pytorch() {
    let path = format!("{}/tests/torch/heads.json", env!("CARGO_MANIFEST_DIR"));
    let stored: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let list = |v: &Value| -> Vec<f64> { serde_json::from_value(v.clone()).unwrap() };
    let number = |name: &str| stored[name].as_f64().unwrap();
    let narrow = |name: &str| {
        let mut all = [0.0f32; limits::LOGITS];
        all.iter_mut()
            .zip(list(&stored[name]))
            .for_each(|(to, x)| *to = x as f32);
        all
    };
    let cread = Steps::Restored {
        alpha: 1.0,
        restoration: number("restoration"),
        ordering: number("ordering"),
    };
    let ordinal = Steps::Ordinal {
        levels: narrow("levels"),
        worth: narrow("worth"),
    };
    let close = |got: f64, want: f64, of: &str| {
        assert!(
            (got - want).abs() < 1e-12 * (1.0 + want.abs()),
            "{of}: {got} {want}"
        );
    };
    let mut seen = 0;
    for name in [
        "odds",
        "odds of every row",
        "focal",
        "cread",
        "ordinal",
        "d2q",
    ] {
        for case in stored[name].as_array().unwrap() {
            let (z, want) = (list(&case["z"]), list(&case["gradient"]));
            let label = case["label"].as_f64().unwrap();
            let mut d = vec![0.0; z.len()];
            let mut one = |(l, slope): (f64, f64)| {
                d[0] = slope;
                l
            };
            let value = match name {
                "focal" => one(focal_loss(number("gamma"), z[0], label)),
                "d2q" => one(bce(z[0], quantile_of(&list(&stored["quantiles"]), label))),
                "odds" => one(odds_loss(z[0], label, odds_negative(label, false))),
                "odds of every row" => one(odds_loss(z[0], label, odds_negative(label, true))),
                _ => {
                    let (options, thresholds) = match name {
                        "cread" => (&cread, list(&stored["thresholds"])),
                        _ => (&ordinal, list(&stored["levels"])),
                    };
                    let of = (&thresholds[..], &list(&stored["worth"])[..]);
                    steps_loss(options, number("huber"), of, &z, label, &mut d)
                }
            };
            close(value, case["value"].as_f64().unwrap(), name);
            d.iter().zip(&want).for_each(|(d, w)| close(*d, *w, name));
            seen += 1;
        }
    }
    assert_eq!(seen, 48);
}
