//! `pocketrank formula`: a formula checked against an exported file, and written to a file of its own.

use std::path::Path;

use pocketrank::engine::Model;
use pocketrank::fusion::formula::Formula;
use pocketrank::train::error::{Error, Kind, Result};
use pocketrank::train::files::write_atomically;
use pocketrank::train::{formula as text, inspect, lint};
use serde_json::json;

use crate::args;
use crate::commands;

pub fn formula(args: &args::Formula, json: bool) -> Result<()> {
    let bytes = std::fs::read(&args.file).map_err(|e| Error::io(&args.file, &e))?;
    let mut model = Box::new(Model::new());
    commands::open(&mut model, &bytes, &args.file)?;
    let Some(formula) = &args.formula else {
        let own = model.formula().ok_or_else(|| {
            let message = "its fusion is a sum of terms (see `pocketrank inspect`); give a formula";
            Error::in_file(Kind::Description, &args.file, message)
        })?;
        return print(own, json);
    };
    let weights = args.weights.iter().map(|w| weight(w));
    let weights = weights.collect::<Result<Vec<_>>>()?;
    let compiled = text::Formula::compile(formula, model.spec(), &weights).map_err(|e| {
        let message = format!("the formula at character {}: {}", e.position, e.message);
        Error::new(Kind::Description, message)
    })?;
    for warning in lint::of_formula(&compiled, model.spec(), &[]) {
        eprintln!("warning: {warning}");
    }
    let too_long = |e: pocketrank::error::Error| {
        let message = format!("a name is too long for the format: {:?}", e.status);
        Error::new(Kind::Description, message)
    };
    let file = compiled.file().map_err(too_long)?;
    // What the device would say.
    print(&open(&model, &file, &args.file)?, json)?;
    match &args.output {
        Some(path) => write_atomically(path, &file),
        None => Ok(()),
    }
}

/// A formula that was shipped apart: its file, and what that holds.
type Apart<'p> = (&'p Path, Vec<u8>);

/// Reads the formula of an option.
pub fn read(file: Option<&Path>) -> Result<Option<Apart<'_>>> {
    let read = |file| std::fs::read(file).map_err(|e| Error::io(file, &e));
    file.map(|file| Ok((file, read(file)?))).transpose()
}

/// Opens what was read.
pub fn open_read<'f>(
    model: &Model<'_>,
    apart: Option<&'f Apart<'_>>,
) -> Result<Option<Formula<'f>>> {
    let opened = apart.map(|(file, bytes)| open(model, bytes, file));
    opened.transpose()
}

/// Opens a formula as a device would.
fn open<'f>(model: &Model<'_>, bytes: &'f [u8], file: &Path) -> Result<Formula<'f>> {
    model.open_formula(bytes).map_err(|e| {
        let at = match e.offset {
            u64::MAX => String::new(),
            offset => format!(" at byte {offset}"),
        };
        let message = format!(
            "not a formula for this model: {:?}{at} (a quantile needs a file exported with [export] quantiles = true)",
            e.status
        );
        Error::in_file(Kind::Data, file, message)
    })
}

fn print(formula: &Formula<'_>, json: bool) -> Result<()> {
    let info = inspect::formula(formula);
    if json {
        outln!("{}", json!(info))
    } else {
        out!("{info}")
    }
    Ok(())
}

/// `name=value` or `name=value:min:max`.
fn weight(argument: &str) -> Result<text::Weight> {
    let wrong = || {
        let message =
            format!("--weight {argument}: name=value or name=value:min:max, as click=1:0:10");
        Error::new(Kind::Description, message)
    };
    let (name, numbers) = argument.split_once('=').ok_or_else(wrong)?;
    let numbers: Option<Vec<f32>> = numbers.split(':').map(|x| x.parse().ok()).collect();
    let (value, least, most) = match numbers.ok_or_else(wrong)?.as_slice() {
        [x] => (*x, (100.0 * x).min(0.0), (100.0 * x).max(0.0)),
        [x, least, most] => (*x, *least, *most),
        _ => return Err(wrong()),
    };
    if !(least <= value && value <= most && least < most && least.abs().max(most.abs()) <= 1e6) {
        return Err(wrong());
    }
    Ok(text::Weight {
        name: name.to_string(),
        value,
        least,
        most,
    })
}
