//! A fusion that is learned: a small network that rises with what is good and falls with what is not, written as a formula.
//!
//! ```text
//! fused = sum over units k of  e^v_k sigmoid(b_k + sum over inputs i of  s_i e^w_ki x_i),   s_i = 1 or -1
//! ```
//!
//! Weights are exponentials, so the network is monotone in every input by construction (positive weights: Sill, "Monotonic
//! Networks", NIPS 1997): a candidate never loses its place for a higher score. Inputs are ranks or quantiles in [0, 1], so what is
//! learned survives the next model. What is maximised is the expected utility of a row drawn from each list with the top-one
//! probabilities of ListNet (Cao et al., ICML 2007), Σ u_i e^f_i / Σ_j e^f_j: as heights grow it becomes that of the best row. ListNet's
//! own loss, the cross entropy to utilities as shares, spends its effort on the order of what is not worth much: on the
//! lists of the test below it won 0.3 of what the best weighted sum leaves, this 0.7.
use core::fmt::Write;
use std::prelude::v1::*;

use crate::train::balance::adam::Adam;
use crate::train::random::Key;

/// Lists with what is known of their rows.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'l> {
    /// Number of lists + 1 offsets into the rows.
    pub offsets: &'l [usize],
    /// `[rows, inputs]`, each in [0, 1].
    pub inputs: &'l [f32],
    /// Utility of each row, corrected for where it was shown.
    pub utilities: &'l [f64],
}

/// How to learn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Hidden units.
    pub units: usize,
    /// Passes over all lists.
    pub epochs: usize,
    /// Learning rate of Adam, a step a pass and `BATCH` lists.
    pub lr: f64,
    /// Of initialization and order.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            units: 6,
            epochs: 60,
            lr: 0.1,
            seed: 1,
        }
    }
}

/// Lists of a step.
const BATCH: usize = 64;

/// The network. Parameters of a unit stand together: v, b, then w by input.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    signs: Vec<f64>,
    parameters: Vec<f64>,
}

impl Network {
    /// Units that each begin with other inputs and places.
    fn new(signs: &[f64], options: &Options) -> Self {
        let width = signs.len() + 2;
        let key = Key::new(options.seed).at(0x006c_6561_726e_6564);
        let draw = |i: usize| key.at(i as u64).uniform();
        let mut parameters = vec![0.0; options.units * width];
        for (k, unit) in parameters.chunks_exact_mut(width).enumerate() {
            for (i, w) in unit.iter_mut().enumerate().skip(2) {
                // Slopes of 1 to 8.
                *w = 2.08 * draw(k * width + i);
            }
            // The middle of the unit is somewhere among the lists' rows.
            let middle = draw(k * width);
            let weights = unit.iter().skip(2).zip(signs);
            unit[1] = -middle * weights.map(|(w, s)| s * libm::exp(*w)).sum::<f64>();
        }
        Self {
            signs: signs.to_vec(),
            parameters,
        }
    }

    fn units(&self) -> impl Iterator<Item = &[f64]> {
        self.parameters.chunks_exact(self.signs.len() + 2)
    }

    /// The fused score of one row.
    pub fn value(&self, inputs: &[f32]) -> f64 {
        let of = |unit: &[f64]| libm::exp(unit[0]) * sigmoid(self.sum(unit, inputs));
        self.units().map(of).sum()
    }

    fn sum(&self, unit: &[f64], inputs: &[f32]) -> f64 {
        let weights = unit[2..].iter().zip(&self.signs).zip(inputs);
        unit[1]
            + weights
                .map(|((w, s), x)| s * libm::exp(*w) * f64::from(*x))
                .sum::<f64>()
    }

    /// Less the expected utility of one list; adds its gradient to `gradient`.
    fn loss(&self, inputs: &[f32], utilities: &[f64], gradient: &mut [f64]) -> f64 {
        let width = self.signs.len();
        let values: Vec<f64> = inputs.chunks_exact(width).map(|x| self.value(x)).collect();
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = values.iter().map(|f| libm::exp(f - most)).sum();
        let chances = values.iter().map(|f| libm::exp(f - most) / sum);
        let chances: Vec<f64> = chances.collect();
        let expected: f64 = chances.iter().zip(utilities).map(|(p, u)| p * u).sum();
        for ((x, p), u) in inputs.chunks_exact(width).zip(&chances).zip(utilities) {
            let by_value = -p * (u - expected);
            for (unit, gradient) in self.units().zip(gradient.chunks_exact_mut(width + 2)) {
                let (height, s) = (libm::exp(unit[0]), sigmoid(self.sum(unit, x)));
                gradient[0] += by_value * height * s;
                let by_sum = by_value * height * s * (1.0 - s);
                gradient[1] += by_sum;
                let weights = unit[2..].iter().zip(&self.signs).zip(x);
                for (gradient, ((w, sign), x)) in gradient[2..].iter_mut().zip(weights) {
                    *gradient += by_sum * sign * libm::exp(*w) * f64::from(*x);
                }
            }
        }
        -expected
    }

    /// The network as a formula whose inputs are called `names`, with numbers of five digits.
    pub fn text(&self, names: &[String]) -> String {
        let mut text = String::new();
        for unit in self.units() {
            if !text.is_empty() {
                text.push_str(" + ");
            }
            let _ = write!(
                text,
                "{} * sigmoid({}",
                digits(libm::exp(unit[0])),
                digits(unit[1])
            );
            for ((w, sign), name) in unit[2..].iter().zip(&self.signs).zip(names) {
                let sign = if *sign < 0.0 { '-' } else { '+' };
                let _ = write!(text, " {sign} {} * {name}", digits(libm::exp(*w)));
            }
            text.push(')');
        }
        text
    }
}

/// Five significant digits.
fn digits(x: f64) -> String {
    let rounded: f64 = format!("{x:.4e}").parse().unwrap_or(x);
    format!("{rounded}")
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// Learns from `lists`; `signs` says for each input whether the fused score rises (1) or falls (-1) with it.
pub fn learn(lists: &Lists<'_>, signs: &[f64], options: &Options) -> Network {
    let mut network = Network::new(signs, options);
    let mut adam = Adam::new(network.parameters.len());
    let width = signs.len();
    let mut order: Vec<usize> = (1..lists.offsets.len()).collect();
    let mean = lists.utilities.iter().map(|u| u.abs()).sum::<f64>();
    let scale = (mean / lists.utilities.len().max(1) as f64).max(1e-300);
    for epoch in 0..options.epochs {
        let key = Key::new(options.seed).at(epoch as u64 + 1);
        key.shuffle(&mut order);
        // Linear to nothing, so that the last steps average what the first ones found.
        let lr = options.lr * (1.0 - epoch as f64 / options.epochs as f64);
        for batch in order.chunks(BATCH) {
            let mut gradient = vec![0.0; network.parameters.len()];
            for list in batch {
                let (start, end) = (lists.offsets[list - 1], lists.offsets[*list]);
                let inputs = &lists.inputs[start * width..end * width];
                network.loss(inputs, &lists.utilities[start..end], &mut gradient);
            }
            let size = scale * batch.len() as f64;
            for (i, g) in gradient.iter().enumerate() {
                network.parameters[i] -= adam.step(i, g / size, lr);
            }
            for (i, p) in network.parameters.iter_mut().enumerate() {
                // Heights and slopes stay within e^-12 and e^5, places within what those slopes reach.
                *p = match i % (width + 2) {
                    1 => p.clamp(-200.0, 200.0),
                    _ => p.clamp(-12.0, 5.0),
                };
            }
        }
    }
    network
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIST: usize = 10;

    /// Lists whose rows are worth what both inputs reach, which no weighted sum orders, less what the third says.
    fn lists(count: usize, seed: u64) -> (Vec<usize>, Vec<f32>, Vec<f64>) {
        let key = Key::new(seed);
        let inputs: Vec<f32> = (0..count * LIST * 3)
            .map(|i| key.at(i as u64).uniform() as f32)
            .collect();
        let worth = |x: &[f32]| 3.0 * f64::from(x[0].min(x[1])).powi(4) - 0.5 * f64::from(x[2]);
        let utilities = inputs.chunks_exact(3).map(worth).collect();
        let offsets = (0..=count).map(|i| i * LIST).collect();
        (offsets, inputs, utilities)
    }

    /// Mean utility of the best row of each list by `value`.
    fn top(lists: &(Vec<usize>, Vec<f32>, Vec<f64>), value: &dyn Fn(&[f32]) -> f64) -> f64 {
        let (offsets, inputs, utilities) = lists;
        let best = offsets.windows(2).map(|w| {
            let at = (w[0]..w[1]).max_by(|a, b| {
                let of = |row: usize| value(&inputs[row * 3..row * 3 + 3]);
                of(*a).total_cmp(&of(*b))
            });
            utilities[at.unwrap()]
        });
        best.sum::<f64>() / (offsets.len() - 1) as f64
    }

    const SIGNS: [f64; 3] = [1.0, 1.0, -1.0];

    #[test]
    fn gradients_are_finite_differences() {
        let (_, inputs, utilities) = lists(1, 4);
        let options = Options {
            units: 3,
            ..Options::default()
        };
        let mut network = Network::new(&SIGNS, &options);
        let mut gradient = vec![0.0; network.parameters.len()];
        network.loss(&inputs, &utilities, &mut gradient);
        for i in 0..gradient.len() {
            let h = 1e-5;
            let at = |network: &mut Network, by: f64| {
                network.parameters[i] += by;
                let loss = network.loss(&inputs, &utilities, &mut vec![0.0; gradient.len()]);
                network.parameters[i] -= by;
                loss
            };
            let slope = (at(&mut network, h) - at(&mut network, -h)) / (2.0 * h);
            assert!(
                (slope - gradient[i]).abs() < 1e-6 * (1.0 + slope.abs()),
                "{i}: {slope} {}",
                gradient[i]
            );
        }
    }

    #[test]
    fn it_learns_what_no_weighted_sum_orders() {
        let (train, test) = (lists(1500, 1), lists(800, 2));
        let given = Lists {
            offsets: &train.0,
            inputs: &train.1,
            utilities: &train.2,
        };
        let network = learn(&given, &SIGNS, &Options::default());
        assert_eq!(network, learn(&given, &SIGNS, &Options::default()));
        let learned = top(&test, &|x| network.value(x));
        let sums = (0..40).flat_map(|a| (0..40).map(move |b| (a, b)));
        let best_sum = sums
            .map(|(a, b)| {
                let (a, b) = (f64::from(a) / 20.0, f64::from(b) / 20.0);
                let value = |x: &[f32]| f64::from(x[0]) + a * f64::from(x[1]) - b * f64::from(x[2]);
                top(&test, &value)
            })
            .fold(f64::NEG_INFINITY, f64::max);
        let truth = top(&test, &|x| {
            3.0 * f64::from(x[0].min(x[1])).powi(4) - 0.5 * f64::from(x[2])
        });
        // Of what the best weighted sum leaves, most is won.
        assert!(
            (truth - learned) < 0.4 * (truth - best_sum),
            "{learned} {best_sum} {truth}"
        );
        // Monotone, whatever it learned.
        let key = Key::new(9);
        for i in 0..2000 {
            let draw = |j: u64| key.at(i).at(j).uniform() as f32;
            let x = [draw(0), draw(1), draw(2)];
            let better = [x[0] + draw(3), x[1] + draw(4), x[2] - draw(5)];
            assert!(network.value(&better) >= network.value(&x));
        }
    }

    #[test]
    fn its_formula_is_the_network() {
        let train = lists(200, 3);
        let given = Lists {
            offsets: &train.0,
            inputs: &train.1,
            utilities: &train.2,
        };
        let options = Options {
            epochs: 3,
            ..Options::default()
        };
        let network = learn(&given, &SIGNS, &options);
        let golden = crate::train::golden::model(4);
        let names: Vec<&str> = golden.spec.tasks.iter().map(|t| t.name).collect();
        let names: Vec<String> = (0..3)
            .map(|i| {
                let form = ["quantile", "rank", "raw"][i];
                format!("{form}(`{}`)", names[0])
            })
            .collect();
        let text = network.text(&names);
        let formula = crate::train::formula::Formula::compile(&text, &golden.spec, &[]).unwrap();
        for x in train.1.chunks_exact(3).take(500) {
            let terms = formula.evaluate(&|i| x[i], &|_| 0.0);
            let value: f64 = terms.iter().map(|t| f64::from(*t)).sum();
            let expected = network.value(x);
            assert!(
                (value - expected).abs() < 1e-3 * expected,
                "{value} {expected}"
            );
        }
    }
}
