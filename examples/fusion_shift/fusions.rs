//! The fusions that are compared.

use pocketrank::train::formula::Weight;

/// A fusion: a weighted sum of what a formula computes.
pub struct Fusion {
    pub name: &'static str,
    pub terms: Vec<String>,
    pub weights: Vec<Weight>,
}

const TASKS: [&str; 6] = ["click", "duration", "like", "comment", "favourite", "share"];
/// Seconds that each is worth, given a click.
pub const WORTH: [f32; 6] = [0.0, 1.0, 20.0, 60.0, 40.0, 60.0];

pub fn fusions() -> [Fusion; 3] {
    let weight = |i: usize, value: f32, most: f32| Weight {
        name: format!("w{i}"),
        value,
        least: 0.0,
        most,
    };
    // Two weights a task: what low and what high ones count. A product of powers of p and 1 - p has this form, and scores of
    // one task may be bent in any way that keeps their order.
    let normalised = |form: &str, name| Fusion {
        name,
        terms: TASKS
            .iter()
            .flat_map(|t| {
                [
                    format!("log(max({form}({t}), 0.001))"),
                    format!("-log(max(1 - {form}({t}), 0.001))"),
                ]
            })
            .collect(),
        weights: (0..12)
            .map(|i| weight(i, if i < 4 { 1.0 } else { 0.1 }, 10.0))
            .collect(),
    };
    [
        Fusion {
            name: "raw",
            terms: TASKS[1..]
                .iter()
                .map(|t| format!("raw(entire({t}))"))
                .collect(),
            weights: (1..6)
                .map(|i| weight(i, WORTH[i], 20.0 * WORTH[i]))
                .collect(),
        },
        normalised("quantile", "quantile"),
        normalised("rank", "rank"),
    ]
}
