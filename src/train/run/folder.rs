//! What lies in a run's folder, and a run that is opened again.
use std::fs;
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use super::Report;
use crate::spec::Spec;
use crate::train::checkpoint;
use crate::train::description::Description;
use crate::train::error::{Error, Kind, Result};
use crate::train::files::{self, write_atomically};
use crate::train::fit::Fit;
use crate::train::network::Network;
use crate::train::parameters::Parameters;
use crate::train::trainer::{CHECKPOINT_FILE, PARAMETERS_FILE};

/// The report's name in a run's folder.
pub(super) const REPORT_FILE: &str = "report.json";

#[derive(Serialize, Deserialize)]
struct Origin {
    model: PathBuf,
    data: Option<PathBuf>,
    /// Trained elsewhere: the description's own log need not exist.
    #[serde(default)]
    imported: bool,
}

/// Removes an older result from a run's folder.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    let names = [PARAMETERS_FILE, REPORT_FILE, CHECKPOINT_FILE];
    names
        .iter()
        .try_for_each(|name| files::remove(&folder.join(name)))
}

/// Writes what a run is of.
pub(crate) fn describe(
    folder: &Path,
    d: &Description,
    fit: &Fit,
    data: Option<&Path>,
    imported: bool,
) -> Result<()> {
    write_atomically(&folder.join("model.toml"), d.text.as_bytes())?;
    fit.save(&folder.join("fit.bin"))?;
    let absolute = |p: &Path| std::path::absolute(p).unwrap_or_else(|_| p.to_path_buf());
    let origin = Origin {
        model: absolute(&d.file),
        data: data.map(absolute),
        imported,
    };
    write_json(&folder.join("run.json"), &origin)
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::in_file(Kind::Io, path, e.to_string()))?;
    write_atomically(path, format!("{text}\n").as_bytes())
}

/// A finished run.
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// Its description, with paths relative to where it was.
    pub description: Description,
    /// What features learned.
    pub fit: Fit,
    /// Where its data were, if not where the description says.
    pub data: Option<PathBuf>,
    /// Whether it was trained elsewhere.
    pub imported: bool,
}

impl Run {
    /// Opens a run's folder.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::Data`].
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("run.json");
        let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, &e))?;
        let origin: Origin = serde_json::from_str(&text)
            .map_err(|e| Error::in_file(Kind::Data, &path, e.to_string()))?;
        let path = folder.join("model.toml");
        let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, &e))?;
        let description = Description::parse(&origin.model, text)?;
        let fit = Fit::load(&folder.join("fit.bin"))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            description,
            fit,
            data: origin.data,
            imported: origin.imported,
        })
    }

    /// Its trained parameters.
    ///
    /// # Errors
    /// [`Kind::Io`], also for a run that has not finished; [`Kind::Data`] for a damaged file.
    pub fn parameters(&self) -> Result<Parameters<f32>> {
        let spec = self.fit.spec(&self.description)?;
        let path = self.folder.join(PARAMETERS_FILE);
        if !path.exists() {
            let message = "the run has not finished; train with --resume goes on";
            return Err(Error::in_file(Kind::Io, &self.folder, message));
        }
        Ok(checkpoint::load_parameters(&path, &Network::new(&spec))?)
    }

    /// The model of a description that reads a log as this run would: its features, network and tasks must be the run's.
    ///
    /// # Errors
    /// [`Kind::Description`] for another model, besides those of [`Fit::spec`].
    pub fn spec_for<'d>(&'d self, d: &'d Description) -> Result<Box<Spec<'d>>> {
        let (own, spec) = (self.fit.spec(&self.description)?, self.fit.spec(d)?);
        let same_tasks = own.tasks.len() == spec.tasks.len()
            && own.tasks.iter().zip(&spec.tasks).all(|(a, b)| {
                (a.name, a.kind) == (b.name, b.kind)
                    && (&a.tower_layers, &a.inputs) == (&b.tower_layers, &b.inputs)
            });
        for (same, what) in [
            (
                own.features == spec.features && own.tables == spec.tables,
                "features",
            ),
            (own.network == spec.network, "network"),
            (same_tasks, "tasks"),
        ] {
            if !same {
                let own = self.folder.join("model.toml");
                let message = format!(
                    "its {what} are not those of the run; the run's own is {}",
                    own.display()
                );
                return Err(Error::in_file(Kind::Description, &d.file, message));
            }
        }
        Ok(spec)
    }

    /// What its report holds.
    ///
    /// # Errors
    /// [`Kind::Io`], also for a run that has not finished; [`Kind::Data`] for another file.
    pub fn report(&self) -> Result<Report> {
        let path = self.folder.join(REPORT_FILE);
        let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, &e))?;
        serde_json::from_str(&text).map_err(|e| Error::in_file(Kind::Data, &path, e.to_string()))
    }
}
