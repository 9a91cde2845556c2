//! What a new model does to frozen fusion weights, by raw scores and by quantiles and ranks, on the simulated feed:
//! `fusion_shift FOLDER [ROWS]` trains the models there (those that are there already are taken), tunes weights on the first one,
//! and writes the table to standard output and the plot to `FOLDER/fusion-shift.svg`. docs/fusion.md tells about it.

use core::error::Error;
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use pocketrank::engine::{Model, OpenOptions};
use pocketrank::format::{self, File, SectionKind};
use pocketrank::fusion::formula::Formula;
use pocketrank::rerank::top_k;
use pocketrank::spec::{Layer, Tensor, TensorSection};
use pocketrank::train::description::Description;
use pocketrank::train::export::quantiles;
use pocketrank::train::formula::{self as text, Weight};
use pocketrank::train::policy::FeedRanker;
use pocketrank::train::replay;
use pocketrank::train::server::Vectors;
use pocketrank::train::simulate::{self, Feed, Knobs, SimulateOptions, run_policy};
use pocketrank::train::{log, pass, run};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

/// Rows of a list that count.
const TOP: usize = 10;
/// Sessions whose requests set the weights, and others that judge them; some six requests each.
const SESSIONS: [u64; 2] = [200, 400];

/// What is another way in a model.
struct Variant {
    name: &'static str,
    /// Changes of the description, text by text.
    edits: &'static [(&'static str, &'static str)],
    seed: u64,
    /// On the logits of binary tasks, in the file: factor and what is added.
    logits: (f32, f32),
    /// The model that orders candidates the same way by every task: scores alone have moved.
    same_as: Option<usize>,
}

const KEEP: &[(&str, &str)] = &[(
    "kind = \"binary\"",
    "kind = \"binary\"\nkeep_negatives = 0.25",
)];

const VARIANTS: [Variant; 7] = [
    Variant {
        name: "first model",
        edits: &[],
        seed: 1,
        logits: (1.0, 0.0),
        same_as: None,
    },
    Variant {
        name: "another seed",
        edits: &[],
        seed: 2,
        logits: (1.0, 0.0),
        same_as: None,
    },
    Variant {
        name: "shared bottom",
        edits: &[
            ("kind = \"mmoe\"", "kind = \"shared-bottom\""),
            ("experts = ", "# experts = "),
        ],
        seed: 1,
        logits: (1.0, 0.0),
        same_as: None,
    },
    Variant {
        name: "a quarter of the negatives, corrected",
        edits: KEEP,
        seed: 1,
        logits: (1.0, 0.0),
        same_as: None,
    },
    Variant {
        name: "a quarter of the negatives, not corrected",
        edits: KEEP,
        seed: 1,
        // ln 4
        logits: (1.0, 1.386_294_4),
        same_as: Some(3),
    },
    Variant {
        name: "logit temperature 2",
        edits: &[],
        seed: 1,
        logits: (0.5, 0.0),
        same_as: Some(0),
    },
    Variant {
        name: "median watch time",
        edits: &[("[export]", "[export]\nmean_durations = false")],
        seed: 1,
        logits: (1.0, 0.0),
        same_as: Some(0),
    },
];

/// A fusion: a weighted sum of what a formula computes.
struct Fusion {
    name: &'static str,
    terms: Vec<String>,
    weights: Vec<Weight>,
}

const TASKS: [&str; 6] = ["click", "duration", "like", "comment", "favourite", "share"];
/// Seconds that each is worth, given a click.
const WORTH: [f32; 6] = [0.0, 1.0, 20.0, 60.0, 40.0, 60.0];

fn fusions() -> [Fusion; 3] {
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

/// A model: frozen weights by fusion, and raw ones that were tuned for it.
type Row = (usize, [[f64; 4]; 3], [f64; 4]);

/// One request: what the model makes of its candidates, and what each is worth at each place of the top by the truth.
struct List {
    /// `[candidates, inputs]` of each fusion.
    inputs: Vec<Vec<f32>>,
    /// `[candidates, TOP]`: utility, watch time, likes, bait.
    truth: Vec<[[f64; 4]; TOP]>,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let folder = PathBuf::from(args.get(1).map_or("fusion-shift", String::as_str));
    let rows = args.get(2).map_or(Ok(300_000), |rows| rows.parse())?;
    std::fs::create_dir_all(&folder)?;
    let data = folder.join("feed");
    if !data.join("model.toml").exists() {
        let options = SimulateOptions {
            rows,
            seed: 1,
            ..SimulateOptions::default()
        };
        simulate::simulate(&options, &data, |_| core::ops::ControlFlow::Continue(()))?;
    }
    let fusions = fusions();
    let mut models = Vec::new();
    for variant in &VARIANTS {
        eprintln!("{}", variant.name);
        let file = model(variant, &folder, &data)?;
        let d = Description::read(&description(variant, &folder, &data)?)?;
        let lists = SESSIONS.map(|n| lists(&d, &file, &fusions, n, 1_000 + n));
        let [tuning, judging] = lists;
        models.push((tuning?, judging?));
    }
    let tuned: Vec<Vec<f64>> = fusions
        .iter()
        .enumerate()
        .map(|(f, fusion)| tune(fusion, f, &models[0].0))
        .collect();
    for (fusion, weights) in fusions.iter().zip(&tuned) {
        eprintln!("{}: {weights:.3?}", fusion.name);
    }
    let mut table: Vec<Row> = Vec::new();
    for (i, (tuning, judging)) in models.iter().enumerate() {
        let frozen = [0, 1, 2].map(|f| measure(&fusions[f], f, &tuned[f], judging));
        let again = tune(&fusions[0], 0, tuning);
        table.push((i, frozen, measure(&fusions[0], 0, &again, judging)));
    }
    print(&table);
    plot(&table, &folder.join("fusion-shift.svg"))?;
    Ok(())
}

fn description(variant: &Variant, folder: &Path, data: &Path) -> Result<PathBuf> {
    let mut text = std::fs::read_to_string(data.join("model.toml"))?;
    for (from, to) in variant.edits {
        if !text.contains(from) {
            return Err(format!("the description has no {from}").into());
        }
        text = text.replace(from, to);
    }
    // Averaging and stopping stay as they are; distributions are made below, of the changed file.
    text = text.replace("[export]", "[export]\nquantiles = false\nauc_budget = 0.01");
    let path = folder.join(format!("{}.toml", variant.name.replace([' ', ','], "-")));
    std::fs::write(&path, text)?;
    Ok(path)
}

/// The variant's file, trained unless it is there.
fn model(variant: &Variant, folder: &Path, data: &Path) -> Result<Vec<u8>> {
    let path = description(variant, folder, data)?;
    let file = path.with_extension("pkr");
    if !file.exists() {
        let out = path.with_extension("run");
        let options = run::Options {
            model: &path,
            data: Some(data),
            out: &out,
            seed: Some(variant.seed),
            threads: 0,
            resume: true,
            from: None,
        };
        run::train(
            &options,
            &core::sync::atomic::AtomicBool::new(false),
            &mut |_| {},
        )?;
        let options = run::ExportOptions {
            data: Some(data),
            ..run::ExportOptions::default()
        };
        run::export(&out, &file, &options)?.check()?;
    }
    let mut bytes = std::fs::read(&file)?;
    change_logits(&mut bytes, variant.logits)?;
    // Distributions of the scores of the training part's end, as an export has them.
    let d = Description::read(&path)?;
    let raw = log::read(&d, Some(data))?;
    let split = pass::split(&d, &raw)?;
    let mut wanted = vec![false; raw.requests()];
    for row in split.train.iter().rev().take(20_000) {
        wanted[raw.request[*row as usize] as usize] = true;
    }
    let model = open(&bytes)?;
    let vectors = Vectors::open(&d, &model, &file)?;
    let scored = replay::score(&d, (&model, &vectors), &raw, &|r| wanted[r])?;
    let section = quantiles(model.spec(), &scored.scores).map_err(status)?;
    let sections = vec![(SectionKind::Quantiles as u16, 0, section)];
    format::append(&bytes, sections).map_err(|e| status(e).into())
}

/// Multiplies the logits of binary tasks and adds to them, in the bytes of a file.
fn change_logits(bytes: &mut [u8], (factor, added): (f32, f32)) -> Result<()> {
    if (factor, added) == (1.0, 0.0) {
        return Ok(());
    }
    let mut places = Vec::new();
    {
        let model = open(bytes)?;
        let mut reader = File::check(bytes)
            .map_err(status)?
            .section(SectionKind::Layers);
        let base = bytes.as_ptr() as usize;
        let walked =
            model
                .spec()
                .tensors(TensorSection::Layers, &mut |tensor, dtype, rows, cols| {
                    let data = reader.tensor(dtype, rows, cols)?;
                    let of = |task: usize| {
                        model.spec().tasks[task].kind == pocketrank::spec::TaskKind::Binary
                    };
                    match tensor {
                        Tensor::Scale(Layer::Head { task }) if of(task) => {
                            places.push((data.as_ptr() as usize - base, 0.0));
                        }
                        Tensor::Bias(Layer::Head { task }) if of(task) => {
                            places.push((data.as_ptr() as usize - base, added));
                        }
                        _ => {}
                    }
                    Ok(())
                });
        walked.map_err(status)?;
    }
    for (at, added) in places {
        let place = &mut bytes[at..at + 4];
        let value = f32::from_le_bytes([place[0], place[1], place[2], place[3]]);
        place.copy_from_slice(&(value * factor + added).to_le_bytes());
    }
    format::seal(bytes);
    Ok(())
}

fn open(bytes: &[u8]) -> Result<Box<Model<'_>>> {
    let mut model = Box::new(Model::new());
    model.open(bytes, &OpenOptions::default()).map_err(status)?;
    Ok(model)
}

fn status(e: pocketrank::error::Error) -> String {
    format!("{:?}", e.status)
}

/// Requests of fresh users, the same for every model since the server's order is shown.
fn lists(
    d: &Description,
    file: &[u8],
    fusions: &[Fusion; 3],
    sessions: u64,
    seed: u64,
) -> Result<Vec<List>> {
    let feed = Feed::new(SimulateOptions {
        rows: 200_000,
        seed,
        knobs: Knobs::default(),
        ..SimulateOptions::default()
    })?;
    let model = open(file)?;
    // Without the weights, so that the terms' values come out.
    let files = fusions
        .iter()
        .map(|f| {
            let bare = f.terms.join(" + ").replace("+ -", "- ");
            let bare = text::Formula::compile(&bare, model.spec(), &[]);
            bare.map_err(|e| e.message)?.file().map_err(status)
        })
        .collect::<core::result::Result<Vec<_>, String>>()?;
    let opened: Vec<Formula<'_>> = files
        .iter()
        .map(|f| model.open_formula(f).map_err(status))
        .collect::<core::result::Result<_, _>>()?;
    let mut rankers = Vec::new();
    for formula in &opened {
        rankers.push(FeedRanker::with(d, &model, Some(formula))?);
    }
    let mut lists = Vec::new();
    run_policy(
        &feed,
        |view| {
            let n = view.request.candidates.len();
            let inputs = rankers.iter_mut().map(|ranker| {
                ranker.rank(view).expect("the model fits the feed");
                ranker.results().terms.clone()
            });
            let inputs = inputs.collect();
            let truth = (0..n as u32).map(|c| {
                core::array::from_fn(|position| {
                    let p = view.request.predict_latent(view.feed, c, position as u32);
                    let (Some(p), Some(item)) = (p, view.item(c)) else {
                        return [0.0; 4];
                    };
                    let mut worth = p.watch_mean;
                    for (worth_of, p) in WORTH[2..].iter().zip(p.interactions) {
                        worth += f64::from(*worth_of) * p;
                    }
                    let bait = f64::from(u8::from(item.is_bait())) / TOP as f64;
                    [
                        p.click * worth,
                        p.click * p.watch_mean,
                        p.click * p.interactions[0],
                        bait,
                    ]
                })
            });
            lists.push(List {
                inputs,
                truth: truth.collect(),
            });
            let mut by_server: Vec<u32> = (0..n as u32).collect();
            let score = |c: &u32| view.request.candidates[*c as usize].server_score;
            by_server.sort_by(|a, b| score(b).total_cmp(&score(a)));
            by_server
        },
        sessions,
        seed,
    )?;
    Ok(lists)
}

/// Means over lists of utility, watch time, likes and bait share of the top.
fn measure(fusion: &Fusion, f: usize, weights: &[f64], lists: &[List]) -> [f64; 4] {
    let width = fusion.weights.len();
    let mut sums = [0.0; 4];
    for list in lists {
        let value = |terms: &[f32]| -> f32 {
            let terms = terms.iter().zip(weights);
            terms.map(|(x, w)| w * f64::from(*x)).sum::<f64>() as f32
        };
        let fused: Vec<f32> = list.inputs[f].chunks_exact(width).map(value).collect();
        let mut order = [0; TOP];
        top_k(&fused, &mut order);
        for (position, c) in order.iter().enumerate() {
            for (sum, x) in sums.iter_mut().zip(list.truth[*c as usize][position]) {
                *sum += x;
            }
        }
    }
    sums.map(|sum| sum / lists.len() as f64)
}

/// The weights with the greatest utility by the truth: CMA-ES from three starts.
fn tune(fusion: &Fusion, f: usize, lists: &[List]) -> Vec<f64> {
    // By their square root, so that small ones are found as well.
    let point = |x: &[f64]| -> Vec<f64> {
        let of = |(x, w): (&f64, &Weight)| x.clamp(0.0, 1.0).powi(2) * f64::from(w.most);
        x.iter().zip(&fusion.weights).map(of).collect()
    };
    let weights = fusion.weights.iter();
    let start: Vec<f64> = weights
        .map(|w| f64::from(w.value / w.most).sqrt())
        .collect();
    let utility = |x: &[f64]| measure(fusion, f, &point(x), lists)[0];
    let mut best = (utility(&start), start.clone());
    for seed in 1..=3 {
        let search = cmaes::CMAESOptions::new(start.clone(), 0.15)
            .seed(seed)
            .max_function_evals(250 * start.len())
            .build(|x: &cmaes::DVector<f64>| -utility(x.as_slice()));
        let Ok(mut search) = search else { continue };
        if let Some(found) = search.run().overall_best
            && -found.value > best.0
        {
            best = (-found.value, found.point.as_slice().to_vec());
        }
    }
    point(&best.1)
}

/// The largest change of watch time, likes and bait share against the first model, each as a share of it.
fn changes(first: &[f64; 4], other: &[f64; 4]) -> [f64; 3] {
    [1, 2, 3].map(|i| (other[i] / first[i] - 1.0).abs())
}

fn print(table: &[Row]) {
    println!(
        "| model | fusion | watch s | likes | bait share | off the first model, % | off the model of the same orders, % | utility / raw tuned again |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut sums = [[0.0; 3]; 2];
    let mut worst = [f64::INFINITY; 3];
    let fusions = fusions();
    for (i, frozen, again) in table {
        let percent = |change: [f64; 3]| change.map(|c| format!("{:.1}", 100.0 * c)).join(" / ");
        let variant = &VARIANTS[*i];
        for (f, fusion) in fusions.iter().enumerate() {
            let m = &frozen[f];
            let off = |model: usize| changes(&table[model].1[f], m);
            sums[0][f] += off(0).iter().sum::<f64>();
            let same = variant.same_as.map(off);
            sums[1][f] += same.map_or(0.0, |off| off.iter().sum::<f64>());
            worst[f] = worst[f].min(m[0] / again[0]);
            println!(
                "| {} | {} | {:.1} | {:.3} | {:.3} | {} | {} | {:.4} |",
                variant.name,
                fusion.name,
                m[1],
                m[2],
                m[3],
                percent(off(0)),
                same.map_or(String::new(), percent),
                m[0] / again[0]
            );
        }
        println!(
            "| {} | raw, tuned again | {:.1} | {:.3} | {:.3} | {} | | 1 |",
            variant.name,
            again[1],
            again[2],
            again[3],
            percent(changes(&table[0].1[0], again))
        );
    }
    let scores_alone = VARIANTS.iter().filter(|v| v.same_as.is_some()).count();
    for (f, fusion) in fusions.iter().enumerate() {
        let mean = |k: usize, models: usize| 100.0 * sums[k][f] / (3 * models) as f64;
        println!(
            "{}: mean change off the first model {:.2} % (raw has {:.2} times as much); where scores alone moved {:.2} %; least utility {:.4}",
            fusion.name,
            mean(0, table.len() - 1),
            sums[0][0] / sums[0][f],
            mean(1, scores_alone),
            worst[f]
        );
    }
}

/// Changes of the three metrics by model and fusion.
fn plot(table: &[Row], path: &Path) -> Result<()> {
    let root = SVGBackend::new(path, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let first = table[0].1;
    let most = table
        .iter()
        .flat_map(|(_, frozen, _)| (0..3).map(|f| changes(&first[f], &frozen[f])))
        .map(|c| 100.0 * c.iter().sum::<f64>() / 3.0)
        .fold(1.0, f64::max);
    let models = table.len() - 1;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "Change of the top ten with frozen weights",
            ("sans-serif", 18),
        )
        .margin(10)
        .x_label_area_size(60)
        .y_label_area_size(55)
        .build_cartesian_2d(0.0..models as f64, 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_desc("mean change of watch time, likes, bait, %")
        .draw()?;
    for (f, fusion) in fusions().iter().enumerate() {
        let color = Palette99::pick(f).to_rgba();
        chart
            .draw_series(table.iter().skip(1).enumerate().map(|(i, (_, frozen, _))| {
                let change = changes(&first[f], &frozen[f]).iter().sum::<f64>() / 3.0;
                let left = i as f64 + 0.14 + 0.24 * f as f64;
                Rectangle::new([(left, 0.0), (left + 0.22, 100.0 * change)], color.filled())
            }))?
            .label(fusion.name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], color.filled()));
    }
    chart
        .configure_series_labels()
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()?;
    let step = 825 / models as i32;
    for (i, row) in table.iter().skip(1).enumerate() {
        let name = VARIANTS[row.0].name;
        let (a, b) = name.split_once(", ").unwrap_or((name, ""));
        for (line, part) in [a, b].into_iter().enumerate() {
            let at = (72 + step * i as i32, 365 + 16 * line as i32);
            root.draw(&Text::new(part, at, ("sans-serif", 11)))?;
        }
    }
    root.present()?;
    Ok(())
}
