//! What a request costs by candidates, experts, width of the experts and rows of the tables: the picture and the table of
//! docs/performance.md.
//!
//! ```sh
//! cargo run --release --features train --example cost_plot
//! ```
//!
//! Models have the shapes of `pocketrank::train::golden::reference` but for what is varied, and random parameters. Every
//! request looks up other rows; the most rows take 160 MB of file, and 2 GB of memory while it is written.

use core::error::Error;
use core::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use pocketrank::engine::{Column, Lists, Model, OpenOptions, Output, Request, Scratch};
use pocketrank::spec::{Encoding, Side, Spec};
use pocketrank::train::golden::reference;
use pocketrank::train::parameters::{Dense, Parameters, num_inputs};
use pocketrank::train::quantize::{Lookups, quantize};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

/// Candidates where they are not what is varied.
const CANDIDATES: usize = 200;
/// Distinct requests, which take turns: with 200 candidates of 10 ids they touch a million rows.
const REQUESTS: usize = 512;

const BLUE: RGBColor = RGBColor(0, 114, 178);
const GREY: RGBColor = RGBColor(120, 120, 120);

#[derive(Parser)]
struct Options {
    /// Rounds over all models; the least of their medians counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The picture.
    #[arg(long, default_value = "docs/img/cost.svg")]
    out: PathBuf,
}

/// Numbers in [-1, 1) that look random, by their place.
fn noise(i: usize) -> f32 {
    ((i as u32).wrapping_mul(2_654_435_761) >> 16) as f32 / 32768.0 - 1.0
}

fn dense(outputs: usize, inputs: usize) -> Dense<f32> {
    let scale = 1.0 / (inputs as f32).sqrt();
    Dense {
        outputs,
        inputs,
        weight: (0..outputs * inputs).map(|i| noise(i) * scale).collect(),
        bias: vec![0.0; outputs],
    }
}

fn stack(widths: impl IntoIterator<Item = u16>, mut inputs: usize) -> Vec<Dense<f32>> {
    let layer = |width: u16| {
        let layer = dense(width.into(), inputs);
        inputs = layer.outputs;
        layer
    };
    widths.into_iter().map(layer).collect()
}

/// A file of `spec`, a mixture of experts with linear gates and towers.
fn file(spec: &Spec<'_>) -> Result<Vec<u8>> {
    let (inputs, mixture) = (num_inputs(spec), spec.mixture_width());
    let network = &spec.network;
    let values = |rows: u32, dim: u16| (0..rows as usize * usize::from(dim)).map(noise).collect();
    let tables = spec.tables.iter();
    let towers = || spec.tasks.iter().map(|t| t.tower_layers.iter().copied());
    let parameters = Parameters {
        tables: tables
            .map(|t| values(t.num_embeddings, t.embedding_dim))
            .collect(),
        experts: (0..network.num_experts)
            .map(|_| stack(network.expert_layers.iter().copied(), inputs))
            .collect(),
        gates: towers()
            .map(|_| stack([u16::from(network.num_experts)], inputs))
            .collect(),
        upper_experts: Vec::new(),
        upper_gates: Vec::new(),
        towers: towers().map(|widths| stack(widths, mixture)).collect(),
        heads: towers()
            .map(|widths| dense(1, widths.last().map_or(mixture, usize::from)))
            .collect(),
        steps: towers().map(|_| Dense::default()).collect(),
        attention: Vec::new(),
        bias: Vec::new(),
    };
    let lookups = Lookups {
        vocabularies: vec![Vec::new(); spec.tables.len()],
        boundaries: vec![Vec::new(); spec.features.len()],
        ..Lookups::default()
    };
    quantize(spec, &parameters, &lookups).map_err(|e| format!("{:?}", e.status).into())
}

/// Ids or numbers of a feature.
enum Values {
    Rows(Vec<u32>, Option<[u32; 2]>),
    Floats(Vec<f32>),
}

/// Request number `q`, whose rows no other has but by chance.
fn request(spec: &Spec<'_>, candidates: usize, q: usize) -> Vec<Values> {
    let column = |(i, f): (usize, &pocketrank::spec::Feature<'_>)| {
        let count = if f.side == Side::User { 1 } else { candidates };
        let at = (q * spec.features.len() + i) * candidates;
        let rows = |table: u8, count: usize| {
            let of = u64::from(spec.tables[usize::from(table)].num_embeddings);
            let place = |j: usize| ((at + j) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            (0..count).map(|j| ((place(j) * of) >> 32) as u32).collect()
        };
        match f.encoding {
            Encoding::Row { table, .. } => Values::Rows(rows(table, count), None),
            Encoding::Rows { table, max_len, .. } => {
                let len = u32::from(max_len);
                Values::Rows(rows(table, len as usize), Some([0, len]))
            }
            _ => Values::Floats((at..at + count).map(noise).collect()),
        }
    };
    spec.features.iter().enumerate().map(column).collect()
}

/// Median microseconds of a request.
fn median_us(spec: &Spec<'_>, bytes: &[u8], candidates: usize) -> Result<f64> {
    let mut model = Box::new(Model::new());
    model
        .open(bytes, &OpenOptions::default())
        .map_err(|e| format!("{:?}", e.status))?;
    let len = model.scratch_len(candidates);
    let (mut floats, mut scratch) = (vec![0.0; len.floats], vec![0; len.bytes]);
    let mut order = vec![0; candidates];
    let requests: Vec<_> = (0..REQUESTS)
        .map(|q| request(spec, candidates, q))
        .collect();
    let mut times = Vec::new();
    for values in &requests {
        let columns = values.iter().map(|values| match values {
            Values::Rows(rows, offsets) => Column::Rows {
                rows,
                lists: offsets.as_ref().map(|offsets| Lists {
                    offsets,
                    weights: None,
                }),
            },
            Values::Floats(x) => Column::Floats(x),
        });
        let columns: Vec<_> = columns.collect();
        let request = Request {
            num_candidates: candidates,
            columns: &columns,
            ..Request::default()
        };
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut scratch,
        };
        let mut output = Output {
            order: &mut order,
            fused: &mut [],
            scores: &mut [],
            terms: &mut [],
        };
        let start = Instant::now();
        let ranked = model.rank(&request, &mut scratch, &mut output);
        times.push(start.elapsed().as_secs_f64() * 1e6);
        ranked.map_err(|e| format!("{:?}", e.status))?;
        black_box(&output);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// What is varied, and what it does to the reference model.
struct Panel {
    title: &'static str,
    x: &'static str,
    at: Vec<usize>,
    change: fn(&mut Spec<'static>, usize),
    /// Times by place.
    us: Vec<f64>,
}

fn panels() -> [Panel; 4] {
    let panel = |title, x, at: &[usize], change| Panel {
        title,
        x,
        at: at.to_vec(),
        change,
        us: vec![f64::INFINITY; at.len()],
    };
    [
        panel(
            "Candidates",
            "candidates",
            &[1, 50, 100, 200, 300, 400, 500],
            |_, _| {},
        ),
        panel(
            "Experts",
            "experts of [128, 64]",
            &[1, 2, 4, 6, 8, 12, 16],
            |spec, n| {
                spec.network.num_experts = n as u8;
            },
        ),
        panel(
            "Layer size",
            "width w of 4 experts [w, 64]",
            &[32, 64, 128, 192, 256, 384, 512],
            |spec, n| {
                spec.network.expert_layers = [n as u16, 64].into_iter().collect();
            },
        ),
        panel(
            "Embedding rows",
            "rows of all 18 tables together",
            &[
                10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000,
            ],
            |spec, n| {
                let tables = spec.tables.len();
                spec.tables
                    .iter_mut()
                    .for_each(|t| t.num_embeddings = (n / tables) as u32);
            },
        ),
    ]
}

/// Intercept, slope and the largest distance of a point from the line, of the least relative squares.
fn line(x: &[usize], y: &[f64]) -> (f64, f64, f64) {
    let points = || x.iter().zip(y).map(|(x, y)| (*x as f64, *y, 1.0 / (y * y)));
    let sum = |f: fn((f64, f64, f64)) -> f64| points().map(f).sum::<f64>();
    let (w, wx, wy) = (sum(|p| p.2), sum(|p| p.2 * p.0), sum(|p| p.2 * p.1));
    let (wxx, wxy) = (sum(|p| p.2 * p.0 * p.0), sum(|p| p.2 * p.0 * p.1));
    let slope = (w * wxy - wx * wy) / (w * wxx - wx * wx);
    let start = (wy - slope * wx) / w;
    let off = points().map(|(x, y, _)| ((start + slope * x) / y - 1.0).abs());
    (start, slope, off.fold(0.0, f64::max))
}

fn main() -> Result<()> {
    let options = Options::parse();
    let mut panels = panels();
    for round in 0..options.rounds {
        for panel in &mut panels {
            for (n, us) in panel.at.iter().zip(&mut panel.us) {
                let mut spec = reference().spec;
                (panel.change)(&mut spec, *n);
                let candidates = if panel.x == "candidates" {
                    *n
                } else {
                    CANDIDATES
                };
                *us = us.min(median_us(&spec, &file(&spec)?, candidates)?);
            }
        }
        eprintln!("round {} of {} done", round + 1, options.rounds);
    }
    for panel in &panels {
        println!("\n| {} | {} |", panel.x, join(&panel.at));
        println!("|---{}|", "|---".repeat(panel.at.len()));
        let us: Vec<_> = panel.us.iter().map(|us| format!("{us:.0}")).collect();
        println!("| us | {} |", join(&us));
        let (start, slope, off) = line(&panel.at, &panel.us);
        println!(
            "\n{start:.1} us + {slope:.4} us each; off by {:.1} % at most",
            off * 100.0
        );
    }
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let root = SVGBackend::new(&options.out, (840, 620)).into_drawing_area();
    root.fill(&WHITE)?;
    for (i, (area, panel)) in root.split_evenly((2, 2)).iter().zip(&panels).enumerate() {
        let x = |n: usize| n as f64;
        let (first, last) = (panel.at[0], panel.at[panel.at.len() - 1]);
        if i < 3 {
            draw(area, panel, 0.0..x(last) * 1.04, true, &|n| format!("{n}"))?;
        } else {
            let range = (x(first) * 0.8..x(last) * 1.3).log_scale();
            draw(
                area,
                panel,
                range,
                false,
                &|n| match n.log10().round() as u32 {
                    power if (n / 10f64.powi(power as i32) - 1.0).abs() < 0.01 => match power {
                        6.. => format!("{} M", 10u64.pow(power - 6)),
                        3.. => format!("{} k", 10u64.pow(power - 3)),
                        _ => format!("{n}"),
                    },
                    _ => String::new(),
                },
            )?;
        }
    }
    root.present()?;
    Ok(())
}

fn join(values: &[impl ToString]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    values.join(" | ")
}

fn draw<X>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    panel: &Panel,
    range: X,
    is_linear: bool,
    label: &dyn Fn(&f64) -> String,
) -> Result<()>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let top = panel.us.iter().fold(0.0, |a: f64, b| a.max(*b));
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .margin_right(22)
        .caption(panel.title, ("sans-serif", 18))
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d(range, 0.0..top * 1.15)?;
    chart
        .configure_mesh()
        .x_desc(panel.x)
        .y_desc("µs a request")
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.1))
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(label)
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    let points = panel.at.iter().zip(&panel.us);
    let points = points.map(|(n, us)| (*n as f64, *us));
    if is_linear {
        let (start, slope, _) = line(&panel.at, &panel.us);
        let last = *panel.at.last().unwrap_or(&0) as f64;
        let ends = [0.0, last].map(|n| (n, start + slope * n));
        chart.draw_series(LineSeries::new(ends, GREY.stroke_width(1)))?;
    } else {
        chart.draw_series(LineSeries::new(points.clone(), GREY.stroke_width(1)))?;
    }
    chart.draw_series(points.map(|at| Circle::new(at, 4, BLUE.filled())))?;
    Ok(())
}
