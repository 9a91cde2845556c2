//! Lists under rules beside the scoring that comes before: `cargo bench --features train --bench lists`.
//!
//! The model is `golden::reference` with 200 candidates, on the best instruction set of this CPU. Rounds take all cases in turns;
//! a case's time is the least of all rounds, and its ratio that to the time of scoring and top 10 in the same run. Formulas score and
//! order as well, so theirs are about 1; the other cases come on top.
#![allow(missing_docs)]

use core::hint::black_box;
use std::time::Instant;

use pocketrank::engine::{Model, OpenOptions, Output, Request, Scratch};
use pocketrank::format::{self, SectionKind};
use pocketrank::rerank::{self, Decay, Diversity, Exploration, Rules, Slot, Spacing};
use pocketrank::spec::Side;
use pocketrank::train::formula::{Formula, Weight};
use pocketrank::train::{export, golden};

const N: usize = 200;
const DIM: usize = 16;
const ROUNDS: usize = 400;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

/// Fused scores of a request.
fn rank(model: &Model<'_>, request: &Request<'_>, memory: &mut (Vec<f32>, Vec<u8>)) -> Vec<f32> {
    let (mut order, mut fused) = ([0; 10], vec![0.0; N]);
    let mut scratch = Scratch {
        floats: &mut memory.0,
        bytes: &mut memory.1,
    };
    let mut output = Output {
        order: &mut order,
        fused: &mut fused,
        scores: &mut [],
        terms: &mut [],
    };
    let ranked = model.rank(black_box(request), &mut scratch, &mut output);
    black_box(ranked.expect("a valid request"));
    fused
}

/// The file with distributions of scores, which formulas read; what they are does not matter here.
fn with_quantiles(reference: &golden::GoldenModel) -> Vec<u8> {
    let mut random = Random(5);
    let scores = (0..1000 * reference.spec.tasks.len()).map(|_| random.below(1000) as f32 / 1000.0);
    let section = export::quantiles(&reference.spec, &scores.collect::<Vec<_>>());
    let section = section.expect("scores of every task");
    let sections = vec![(SectionKind::Quantiles as u16, 0, section)];
    format::append(&reference.bytes, sections).expect("a valid file")
}

/// A formula of the first four tasks, whose pattern has `{}` in the place of a task.
fn formula(model: &Model<'_>, pattern: &str) -> Vec<u8> {
    let tasks = model.spec().tasks.iter().take(4);
    let terms: Vec<String> = tasks.map(|t| pattern.replace("{}", t.name)).collect();
    let weight = Weight {
        name: "w".into(),
        value: 1.0,
        least: 0.0,
        most: 10.0,
    };
    let compiled = Formula::compile(&terms.join(" + "), model.spec(), &[weight]);
    let file = compiled.expect("it has bounds").file();
    file.expect("names are short")
}

const FORMULAS: [(&str, &str); 4] = [
    ("formula, four weighted terms", "w * entire({})"),
    ("formula, four powers", "w * entire({}) ^ 0.7"),
    ("formula, four quantiles", "w * quantile({}) ^ 2"),
    ("formula, four ranks", "w * rank({})"),
];

fn main() {
    let reference = golden::reference();
    let file = with_quantiles(&reference);
    let mut model = Box::new(Model::new());
    let opened = model.open(&file, &OpenOptions::default());
    opened.expect("a valid file");
    let owned = golden::request(&reference, 1, N);
    let columns = owned.columns();
    let request = owned.as_request(&columns);
    let need = model.scratch_len(N);
    let mut memory = (vec![0.0; need.floats], vec![0; need.bytes]);
    let fused = rank(&model, &request, &mut memory);

    let mut random = Random(9);
    let authors: Vec<u64> = (0..N).map(|_| random.below(60)).collect();
    let few: Vec<u64> = (0..N).map(|_| random.below(3) * random.below(3)).collect();
    // The worse half is of one author, who has to come in before for all to find room.
    let mut sorted = fused.clone();
    sorted.sort_by(f32::total_cmp);
    let is_late = |i: usize| fused[i] < sorted[N / 2 - 5];
    let late: Vec<u64> = (0..N)
        .map(|i| if is_late(i) { 0 } else { 1 + i as u64 })
        .collect();
    let vectors: Vec<i8> = (0..N * DIM)
        .map(|_| (random.below(255) as i32 - 127) as i8)
        .collect();
    let sigma: Vec<f32> = fused.iter().map(|x| 0.05 * x.abs()).collect();
    let spacings = [Spacing::gap(&authors, 4)];
    let tight = [Spacing::gap(&late, 2)];
    let impossible = [Spacing::gap(&few, 3)];
    let decays = [Decay {
        keys: &authors,
        factor: 0.5,
        floor: 0.25,
    }];
    let spaced = Rules {
        spacings: &spacings,
        ..Rules::default()
    };
    let similar = Rules {
        vectors: &vectors,
        dim: DIM,
        ..Rules::default()
    };
    let cases: Vec<(&str, usize, Rules<'_>)> = vec![
        ("no rules, top 10", 10, Rules::default()),
        ("spacing, top 10", 10, spaced),
        ("spacing, all 200", 200, spaced),
        (
            "spacing that greedy misses, all 200",
            200,
            Rules {
                spacings: &tight,
                ..spaced
            },
        ),
        (
            "spacing that no list keeps, all 200",
            200,
            Rules {
                spacings: &impossible,
                ..spaced
            },
        ),
        (
            "spacing and decay, top 10",
            10,
            Rules {
                decays: &decays,
                ..spaced
            },
        ),
        (
            "mmr, 16 values, top 10",
            10,
            Rules {
                diversity: Diversity::Mmr { lambda: 0.7 },
                ..similar
            },
        ),
        (
            "dpp, 16 values, top 10",
            10,
            Rules {
                diversity: Diversity::Dpp { theta: 2.0 },
                ..similar
            },
        ),
        (
            "dpp, 16 values, top 50",
            50,
            Rules {
                diversity: Diversity::Dpp { theta: 2.0 },
                ..similar
            },
        ),
        (
            "epsilon and spacing, top 10",
            10,
            Rules {
                exploration: Exploration::Epsilon {
                    seed: 1,
                    epsilon: 0.1,
                },
                ..spaced
            },
        ),
        (
            "thompson, top 10",
            10,
            Rules {
                exploration: Exploration::Thompson {
                    seed: 1,
                    sigma: &sigma,
                },
                ..Rules::default()
            },
        ),
    ];
    let need = rerank::scratch_len(N, N, DIM);
    let (mut floats, mut words) = (vec![0.0; need.floats], vec![0; need.words]);
    let mut slots = vec![Slot::default(); N];
    let item = (0..model.spec().features.len())
        .find(|i| model.spec().features[*i].side == Side::Item && model.vector_dim(*i).is_ok());
    let item = item.expect("the reference model has item embeddings");
    let mut embeddings = vec![0; N * model.vector_dim(item).expect("it has vectors")];

    let formulas = FORMULAS.map(|(_, pattern)| formula(&model, pattern));
    let formulas = formulas
        .each_ref()
        .map(|f| model.open_formula(f).expect("it fits the model"));
    let mut by_formula = [f64::INFINITY; FORMULAS.len()];
    let (mut scoring, mut writing) = (f64::INFINITY, f64::INFINITY);
    let mut times = vec![f64::INFINITY; cases.len()];
    let time = |least: &mut f64, run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        *least = least.min(start.elapsed().as_secs_f64() * 1e6);
    };
    for _ in 0..ROUNDS {
        time(&mut scoring, &mut || {
            drop(rank(&model, &request, &mut memory))
        });
        for (formula, least) in formulas.iter().zip(&mut by_formula) {
            let request = Request {
                formula: Some(formula),
                weights: None,
                ..request
            };
            time(least, &mut || drop(rank(&model, &request, &mut memory)));
        }
        time(&mut writing, &mut || {
            let written = model.vectors(black_box(&request), item, &mut embeddings);
            black_box(written.expect("a valid request"));
        });
        for ((_, positions, rules), least) in cases.iter().zip(&mut times) {
            let slots = &mut slots[..*positions];
            time(least, &mut || {
                let mut scratch = rerank::Scratch {
                    floats: &mut floats,
                    words: &mut words,
                };
                let made = rerank::rerank(black_box(rules), &fused, &mut scratch, slots);
                black_box(made.expect("valid rules"));
            });
        }
    }
    println!("{:38} {:>9} {:>7}", "200 candidates", "us", "ratio");
    println!(
        "{:38} {scoring:9.1} {:7.3}",
        format!("scoring, {}", model.isa().name()),
        1.0
    );
    for ((name, _), least) in FORMULAS.iter().zip(&by_formula) {
        println!("{name:38} {least:9.1} {:7.3}", least / scoring);
    }
    let name = format!("vectors of {}", model.spec().features[item].name);
    println!("{name:38} {writing:9.1} {:7.3}", writing / scoring);
    for ((name, ..), least) in cases.iter().zip(&times) {
        println!("{name:38} {least:9.1} {:7.3}", least / scoring);
    }
}
