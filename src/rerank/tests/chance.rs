//! Propensities against frequencies over seeds.

use super::*;
use crate::rerank::chance::{Draw, bits, normal, probability};

const SEEDS: u64 = 20_000;

/// Frequencies of lists over seeds are within 4 standard deviations of the product of their propensities, and each list has
/// the same propensities every time.
fn check(fused: &[f32], positions: usize, rules_of: &dyn Fn(u64) -> Rules<'static>) {
    let mut lists: Vec<(Vec<u32>, f64, u64)> = Vec::new();
    for seed in 0..SEEDS {
        let (slots, _) = list_in(seed as u32, &rules_of(seed), fused, positions);
        let order = candidates(&slots);
        let p: f64 = slots
            .iter()
            .map(|slot| f64::from(slot.propensity))
            .product();
        match lists.iter_mut().find(|(known, ..)| *known == order) {
            Some((_, known, count)) => {
                assert_eq!(*known, p);
                *count += 1;
            }
            None => lists.push((order, p, 1)),
        }
    }
    assert!(lists.len() > 1);
    let mut total = 0.0;
    for (order, p, count) in &lists {
        total += p;
        let frequency = *count as f64 / SEEDS as f64;
        let deviation = libm::sqrt(p * (1.0 - p).max(1e-9) / SEEDS as f64);
        // What was seen at all was seen once.
        let slack = 4.0 * deviation + 1.0 / SEEDS as f64;
        assert!((frequency - p).abs() < slack, "{order:?}: {frequency} {p}");
    }
    assert!(total < 1.001 && total > 0.99, "{total}");
}

fn leak<T>(of: Vec<T>) -> &'static [T] {
    of.leak()
}

#[test]
fn epsilon_frequencies_are_the_stated_propensities() {
    let fused = [-3.0, -1.0, -2.0, f32::NEG_INFINITY, -2.5];
    for epsilon in [0.05, 0.5, 1.0] {
        check(&fused, 3, &|seed| Rules {
            exploration: Exploration::Epsilon { seed, epsilon },
            ..Rules::default()
        });
    }
}

#[test]
fn thompson_frequencies_are_the_stated_propensities() {
    let fused = [0.1, 0.0, 0.3, -0.4];
    let sigmas: [[f32; 4]; 5] = [
        [0.2, 0.2, 0.2, 0.2],
        [0.5, 0.01, 0.1, 0.3],
        [0.0, 0.3, 0.0, 0.4],
        [0.4, 0.02, 0.001, 0.0],
        [1e-6, 1e-6, 0.3, 5.0],
    ];
    for sigma in sigmas {
        let sigma = leak(sigma.to_vec());
        check(&fused, 2, &|seed| Rules {
            exploration: Exploration::Thompson { seed, sigma },
            ..Rules::default()
        });
    }
}

#[test]
fn propensities_hold_under_rules_diversity_and_decay() {
    let fused = [0.5, 0.4, 0.3, 0.2, 0.1, -0.2];
    let keys = leak(vec![1, 1, 1, 2, 2, 3]);
    let spacings = leak(vec![Spacing::gap(keys, 2)]);
    let decays = leak(vec![Decay {
        keys,
        factor: 0.5,
        floor: 0.2,
    }]);
    let vectors = leak((0..12).map(|i: i32| (i * 37 % 101 - 50) as i8).collect());
    let sigma = leak(vec![0.1, 0.2, 0.3, 0.1, 0.2, 0.3]);
    for diversity in [
        Diversity::None,
        Diversity::Mmr { lambda: 0.6 },
        Diversity::Dpp { theta: 1.0 },
    ] {
        for is_thompson in [false, true] {
            check(&fused, 6, &|seed| Rules {
                spacings,
                decays,
                diversity,
                vectors,
                dim: 2,
                exploration: match is_thompson {
                    true => Exploration::Thompson { seed, sigma },
                    false => Exploration::Epsilon { seed, epsilon: 0.6 },
                },
                ..Rules::default()
            });
        }
    }
}

#[test]
fn without_chance_every_propensity_is_one() {
    let fused = [1.0, 2.0, 3.0];
    for exploration in [
        Exploration::None,
        Exploration::Epsilon {
            seed: 4,
            epsilon: 0.0,
        },
        Exploration::Thompson {
            seed: 4,
            sigma: &[0.0; 3],
        },
    ] {
        let rules = Rules {
            exploration,
            ..Rules::default()
        };
        let (slots, _) = list(&rules, &fused, 3);
        assert_eq!(candidates(&slots), [2, 1, 0]);
        assert!(slots.iter().all(|slot| slot.propensity == 1.0), "{slots:?}");
    }
}

#[test]
fn normal_draws_have_the_moments_of_a_normal_distribution() {
    let draws: Vec<f64> = (0..200_000)
        .map(|i| f64::from(normal(bits(7, i % 50, i / 50))))
        .collect();
    let mean = |power: i32| draws.iter().map(|x| x.powi(power)).sum::<f64>() / draws.len() as f64;
    for (power, want, bound) in [
        (1, 0.0, 0.01),
        (2, 1.0, 0.015),
        (3, 0.0, 0.04),
        (4, 3.0, 0.11),
    ] {
        assert!(
            (mean(power) - want).abs() < bound,
            "{power}: {}",
            mean(power)
        );
    }
    let most = draws.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    assert!(most > 4.0 && most < 5.5, "{most}");
}

/// Against a grid a hundred times finer, in f64.
#[test]
fn probabilities_are_those_of_a_finer_quadrature() {
    let mut random = Random(12);
    let phi = |x: f64| 0.5 * libm::erfc(-x / core::f64::consts::SQRT_2);
    let mut worst = 0.0f64;
    for _ in 0..400 {
        let rivals = 1 + random.below(60) as usize;
        let mut draw = || Draw {
            mean: random.unit() * 4.0 - 2.0,
            deviation: [0.02, 0.3, 1.0, 3.0][random.below(4) as usize] * (0.5 + random.unit()),
        };
        let chosen = draw();
        let rivals: Vec<Draw> = (0..rivals).map(|_| draw()).collect();
        let (mean, deviation) = (f64::from(chosen.mean), f64::from(chosen.deviation));
        let truth: f64 = (-6_000..6_000)
            .map(|k| {
                let z = f64::from(k) / 1000.0 + 0.0005;
                let x = mean + deviation * z;
                let below = rivals
                    .iter()
                    .map(|r| phi((x - f64::from(r.mean)) / f64::from(r.deviation)));
                libm::exp(-0.5 * z * z) / libm::sqrt(2.0 * core::f64::consts::PI) / 1000.0
                    * below.product::<f64>()
            })
            .sum();
        let got = f64::from(probability(chosen, rivals.iter().copied()));
        worst = worst.max((got - truth).abs());
    }
    println!("worst {worst}");
    assert!(worst < 0.005, "{worst}");
}
