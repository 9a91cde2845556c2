//! `pocketrank requests`: requests of a log as an app would send them.

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
    let written = write(&d, &model, args)?;
    if json {
        outln!("{}", json!({"requests": written}));
    } else {
        outln!("{}: {written} requests", args.output.display());
    }
    Ok(())
}

/// Writes the file and says how many requests it has.
pub fn write(d: &Description, model: &Model<'_>, args: &Requests) -> Result<usize> {
    let file = (model, args.file.as_path());
    let requests = replay::last_requests(d, file, args.log.as_deref(), args.count)?;
    let mut bytes = Vec::new();
    write_requests(&mut bytes, &requests).map_err(|e| Error::io(&args.output, &e))?;
    write_atomically(&args.output, &bytes)?;
    Ok(requests.len())
}
