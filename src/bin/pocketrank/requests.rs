//! `pocketrank requests`: requests of a log as an app would send them.

use std::path::Path;

use pocketrank::engine::Model;
use pocketrank::train::description::Description;
use pocketrank::train::error::{Error, Result};
use pocketrank::train::files::write_atomically;
use pocketrank::train::replay;
use pocketrank::train::requests::write_requests;
use serde_json::json;

use crate::args::Requests;
use crate::commands::open;

pub fn requests(args: &Requests, json: bool) -> Result<()> {
    let d = Description::read(&args.model)?;
    let bytes = std::fs::read(&args.file).map_err(|e| Error::io(&args.file, &e))?;
    let mut model = Box::new(Model::new());
    open(&mut model, &bytes, &args.file)?;
    let log = args.log.as_deref();
    let written = write(&d, (&model, &args.file), (log, args.count), &args.output)?;
    if json {
        outln!("{}", json!({"requests": written}));
    } else {
        outln!("{}: {written} requests", args.output.display());
    }
    Ok(())
}

/// Writes the last `count` requests of a log to `output`, and says how many it has.
pub fn write(
    d: &Description,
    model: (&Model<'_>, &Path),
    (log, count): (Option<&Path>, usize),
    output: &Path,
) -> Result<usize> {
    let requests = replay::last_requests(d, model, log, count)?;
    let mut bytes = Vec::new();
    write_requests(&mut bytes, &requests).map_err(|e| Error::io(output, &e))?;
    write_atomically(output, &bytes)?;
    Ok(requests.len())
}
