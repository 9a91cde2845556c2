//! The models: trained, exported, and their logits changed in the bytes of the file.

use std::path::{Path, PathBuf};

use pocketrank::engine::{Model, OpenOptions};
use pocketrank::format::{self, File, SectionKind};
use pocketrank::spec::{Layer, TaskKind, Tensor, TensorSection};
use pocketrank::train::description::Description;
use pocketrank::train::export::quantiles;
use pocketrank::train::server::Vectors;
use pocketrank::train::{log, pass, replay, run};

use crate::Result;

/// What is another way in a model.
pub struct Variant {
    pub name: &'static str,
    /// Changes of the description, text by text.
    edits: &'static [(&'static str, &'static str)],
    seed: u64,
    /// On the logits of binary tasks, in the file: factor and what is added.
    logits: (f32, f32),
    /// The model that orders candidates the same way by every task: scores alone have moved.
    pub same_as: Option<usize>,
}

const KEEP: &[(&str, &str)] = &[(
    "kind = \"binary\"",
    "kind = \"binary\"\nkeep_negatives = 0.25",
)];

pub const VARIANTS: [Variant; 7] = [
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

pub fn description(variant: &Variant, folder: &Path, data: &Path) -> Result<PathBuf> {
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
pub fn model(variant: &Variant, folder: &Path, data: &Path) -> Result<Vec<u8>> {
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
                    let of = |task: usize| model.spec().tasks[task].kind == TaskKind::Binary;
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

pub fn open(bytes: &[u8]) -> Result<Box<Model<'_>>> {
    let mut model = Box::new(Model::new());
    model.open(bytes, &OpenOptions::default()).map_err(status)?;
    Ok(model)
}

pub fn status(e: pocketrank::error::Error) -> String {
    format!("{:?}", e.status)
}
