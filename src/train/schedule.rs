//! Numbers that change while a run goes on: a task's weight or learning rate, as a function of the step (counted from 0).
//!
//! | in the description | at step k |
//! |---|---|
//! | `weight = 0.5` | 0.5 |
//! | `weight = { from = 0.1, to = 1.0, steps = 1000 }` | 0.1 + 0.9 k / 1000 up to step 1000, then 1 |
//! | `weight = { steps = [[0, 1.0], [5000, 0.5]] }` | 1 up to step 4999, 0.5 from step 5000 on |
//!
//! A value depends on the step alone, so a resumed run needs no state. Which form is meant is told by its keys, which only
//! self-describing formats (TOML, JSON) can tell: postcard writes a [`Schedule`] but cannot read it, so checkpoints keep the
//! step and the description keeps the schedule.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

/// A number per step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected a number, { from = 0.1, to = 1.0, steps = 1000 } or { steps = [[0, 1.0], [5000, 0.5]] }"
)]
pub enum Schedule {
    /// The same in every step.
    Constant(f64),
    /// A straight line, then constant.
    Linear {
        /// In step 0.
        from: f64,
        /// From step `steps` on.
        to: f64,
        /// At least 1.
        steps: u64,
    },
    /// Constant between given steps.
    Steps {
        /// (first step, value): the first from step 0, each later than the one before.
        steps: Vec<(u64, f64)>,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant(1.0)
    }
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl Schedule {
    /// The value in step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Linear { to, steps, .. } if step >= *steps => *to,
            Self::Linear { from, to, steps } => from + (to - from) * (step as f64 / *steps as f64),
            Self::Steps { steps } => {
                let begun = steps.partition_point(|(first, _)| *first <= step);
                begun.checked_sub(1).map_or(0.0, |i| steps[i].1)
            }
        }
    }

    /// The value, if it is the same in every step.
    pub fn constant(&self) -> Option<f64> {
        match self {
            Self::Constant(value) => Some(*value),
            _ => None,
        }
    }

    /// Says what is wrong with `name`, the key that holds it. Values are at least 0, and at least one is above: 0
    /// switches a task off for a while.
    pub fn check(&self, name: &str) -> Result<(), String> {
        let values = match self {
            Self::Constant(value) => vec![*value],
            Self::Linear { from, to, .. } => vec![*from, *to],
            Self::Steps { steps } => steps.iter().map(|s| s.1).collect(),
        };
        match self {
            Self::Linear { steps: 0, .. } => {
                return Err(format!("steps of {name} is 0, but must be at least 1"));
            }
            Self::Steps { steps } if steps.first().is_none_or(|s| s.0 != 0) => {
                return Err(format!("steps of {name} must begin with step 0"));
            }
            Self::Steps { steps } => {
                if let Some(pair) = steps.windows(2).find(|p| p[0].0 >= p[1].0) {
                    return Err(format!(
                        "steps of {name} must rise, but {} stands after {}",
                        pair[1].0, pair[0].0
                    ));
                }
            }
            _ => {}
        }
        if let Some(value) = values.iter().find(|v| !(v.is_finite() && **v >= 0.0)) {
            return Err(format!("{name} is {value}, but must be at least 0"));
        }
        if values.iter().all(|v| *v == 0.0) {
            return Err(format!(
                "{name} is 0 in every step, but must be above 0 in one"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Task {
        weight: Schedule,
    }

    fn read(text: &str) -> Result<Schedule, String> {
        let task: Result<Task, _> = toml::from_str(&format!("weight = {text}"));
        task.map(|t| t.weight).map_err(|e| e.to_string())
    }

    #[test]
    fn every_form_reads_from_toml_and_goes_back() {
        let linear = Schedule::Linear {
            from: 0.1,
            to: 1.0,
            steps: 1000,
        };
        let steps = Schedule::Steps {
            steps: vec![(0, 1.0), (5000, 0.5)],
        };
        for (text, want) in [
            ("0.5", Schedule::Constant(0.5)),
            ("2", Schedule::Constant(2.0)),
            ("{ from = 0.1, to = 1, steps = 1000 }", linear),
            ("{ steps = [[0, 1.0], [5000, 0.5]] }", steps),
        ] {
            assert_eq!(read(text).as_ref(), Ok(&want), "{text}");
            assert_eq!(want.check("weight"), Ok(()));
            let task = Task { weight: want };
            let text = toml::to_string(&task).expect("encodes");
            assert_eq!(toml::from_str(&text), Ok(task), "{text}");
        }
    }

    #[test]
    fn other_forms_are_answered_with_the_forms_there_are() {
        for text in [
            "'high'",
            "{ from = 0.1, steps = 10 }",
            "{ from = 0.1, to = 1.0, steps = 10, decay = 2 }",
            "{ steps = [[0, 1.0]], to = 1.0 }",
            "{ steps = [[-1, 1.0]] }",
            "{ }",
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains("expected a number, { from"), "{error}");
        }
    }

    #[test]
    fn values_are_those_of_their_steps() {
        let linear = Schedule::Linear {
            from: 0.2,
            to: 1.0,
            steps: 4,
        };
        let want = [0.2, 0.4, 0.6, 0.8, 1.0, 1.0];
        for (step, want) in [0, 1, 2, 3, 4, u64::MAX].into_iter().zip(want) {
            assert!((linear.at(step) - want).abs() < 1e-12, "{step}");
        }
        let steps = Schedule::Steps {
            steps: vec![(0, 1.0), (3, 0.5), (9, 0.0)],
        };
        let got = [0, 2, 3, 8, 9, u64::MAX].map(|s| steps.at(s));
        assert_eq!(got, [1.0, 1.0, 0.5, 0.5, 0.0, 0.0]);
        assert_eq!(Schedule::default().at(77), 1.0);
        assert_eq!(Schedule::from(0.3).constant(), Some(0.3));
        assert_eq!(steps.constant(), None);
    }

    #[test]
    fn schedules_outside_their_range_are_named() {
        let steps = |steps: &[(u64, f64)]| Schedule::Steps {
            steps: steps.to_vec(),
        };
        for (schedule, word) in [
            (Schedule::Constant(0.0), "weight is 0 in every step"),
            (Schedule::Constant(-1.0), "weight is -1"),
            (Schedule::Constant(f64::NAN), "weight is NaN"),
            (
                Schedule::Linear {
                    from: 0.0,
                    to: 0.0,
                    steps: 5,
                },
                "0 in every step",
            ),
            (
                Schedule::Linear {
                    from: 0.0,
                    to: 1.0,
                    steps: 0,
                },
                "steps of weight is 0",
            ),
            (
                Schedule::Linear {
                    from: 0.0,
                    to: f64::INFINITY,
                    steps: 5,
                },
                "weight is inf",
            ),
            (steps(&[]), "begin with step 0"),
            (steps(&[(1, 1.0)]), "begin with step 0"),
            (steps(&[(0, 1.0), (5, 2.0), (5, 3.0)]), "5 stands after 5"),
            (steps(&[(0, 1.0), (5, -2.0)]), "weight is -2"),
        ] {
            let error = schedule.check("weight").expect_err(word);
            assert!(error.contains(word), "{error}");
        }
    }
}
