//! A finished run becomes a file.
use std::path::Path;
use std::prelude::v1::*;

use super::{Prepared, Run};
use crate::spec::Table;
use crate::train::description::{CalibrationKind, Description};
use crate::train::error::{Error, Kind, Result};
use crate::train::log::RawLog;
use crate::train::network::fake_quantize::TableForm;
use crate::train::quantize::Lookups;
use crate::train::{evaluate, export, replay, server};

/// What an export takes besides the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions<'o> {
    /// Log file or folder, if not where the run found it.
    pub data: Option<&'o Path>,
    /// Largest size of the file, instead of the description's.
    pub max_bytes: Option<usize>,
    /// Bits of a value in every table, 4 or 8, instead of the description's.
    pub bits: Option<u8>,
    /// A description of the same features and tasks whose fusion the file gets, instead of the run's.
    pub fusion: Option<&'o Path>,
    /// Whether the report says what each table and layer loses to the device's grids.
    pub layers: bool,
}

/// Exports a finished run: quantizes it, corrects its output biases on training rows, and holds the file against the
/// f32 run on validation rows. The file is written only if the report passes. An imported run without a log has no rows:
/// it is only quantized.
///
/// # Errors
/// Those of reading, and of [`export::export`]. A loss beyond the budget is one of
/// [`Report::check`](export::Report::check).
pub fn export(folder: &Path, output: &Path, options: &ExportOptions<'_>) -> Result<export::Report> {
    let of_layers = options.layers;
    let mut run = Run::open(folder)?;
    if let Some(file) = options.fusion {
        run.description.take_fusion(&Description::read(file)?)?;
    }
    let (d, fit) = (&run.description, &run.fit);
    let spec = fit.spec(d)?;
    let max_bytes = options.max_bytes.or(d.toml.export.max_bytes);
    let parameters = run.parameters()?;
    let lookups = Lookups {
        vocabularies: {
            let tables = fit.tables.iter().take(spec.tables.len());
            tables.map(|t| t.vocabulary.clone()).collect()
        },
        boundaries: {
            let features = fit.features.iter().take(spec.features.len());
            features.map(|f| f.boundaries.clone()).collect()
        },
        knots: Vec::new(),
    };
    let mut served = server::apart(d, &spec, &parameters, &lookups)?;
    let mut pinned = vec![false; served.spec.tables.len()];
    for (table, pinned) in served.spec.tables.iter_mut().zip(&mut pinned) {
        let stated = options.bits.or(d.table_bits(table.name));
        *pinned = stated.is_some();
        table.bits = stated.unwrap_or(Table::WHOLE);
    }
    let counts = served.spec.tables.iter().map(|t| fit.counts(t.name));
    let counts: Vec<Vec<u32>> = counts.map(|c| c.unwrap_or_default().to_vec()).collect();
    let log = options.data.or(run.data.as_deref());
    if run.imported && log.is_none() {
        if let Some(task) = d
            .toml
            .task
            .iter()
            .find(|t| t.calibration != CalibrationKind::None)
        {
            let message =
                "a calibration is fitted to rows; give the log (--data), or calibration = \"none\"";
            return Err(d.mistake(&task.name, message));
        }
        return export::without_rows(&served, max_bytes, d.formula()?.as_ref(), output);
    }
    let Prepared { raw, split, data } = Prepared::read(d, fit, &spec, log)?;
    served.vectors.name_ids(d, &raw, log)?;
    let boundaries: Vec<Vec<u8>> = (0..spec.features.len())
        .map(|i| fit.boundaries(i))
        .collect();
    let limits = &d.toml.export;
    // Rows that no gradient saw, if there are some beside those that are reported on.
    let held_out = split.stop != split.validation && !split.stop.is_empty();
    let unseen = if held_out { &split.stop } else { &split.train };
    let calibration = last_requests(&raw, unseen, limits.calibration_rows);
    let replayed = last_requests(&raw, &split.validation, limits.replay_rows);
    if replayed.is_empty() {
        let message = "no validation row is left to hold the file against; see [data] validation";
        return Err(Error::in_file(Kind::Data, &d.file, message));
    }
    let requests = |picked: &[bool], visit: &mut export::Visit<'_>| {
        replay::for_each_request(
            d,
            (&served.spec, &served.vectors),
            &boundaries,
            &raw,
            &|r| picked[r],
            &mut |rows, request| {
                let columns = request.columns();
                let rows: Vec<u32> = rows.map(|r| r as u32).collect();
                visit(&request.as_request(&columns), &rows)
            },
        )
    };
    let picked = |of: &[u32]| {
        let mut picked = vec![false; raw.requests()];
        of.iter().for_each(|r| picked[*r as usize] = true);
        picked
    };
    let (calibration, replayed) = (picked(&calibration), picked(&replayed));
    let layer_rows = split.validation.iter().rev().take(LAYER_ROWS);
    let mut layer_rows: Vec<u32> = layer_rows.copied().collect();
    layer_rows.reverse();
    let mut forms = d.table_forms(&spec);
    for (form, table) in forms.iter_mut().zip(&spec.tables) {
        let mut tables = served.spec.tables.iter();
        if let Some(table) = tables.find(|t| t.name == table.name) {
            *form = TableForm::of_bits(table.bits);
        }
    }
    let mut subject = export::Run {
        spec: &served.spec,
        parameters: &served.parameters,
        lookups: &served.lookups,
        counts: &counts,
        pinned: &pinned,
        server: &served.vectors.tables,
        tasks: &data.tasks,
        logits: &mut |rows| evaluate::predict(&spec, &parameters, &data, rows),
        calibration: &mut |visit| requests(&calibration, visit),
        replay: &mut |visit| requests(&replayed, visit),
    };
    let options = export::Options {
        auc_budget: limits.auc_budget,
        max_bytes,
        auto_bits: options.bits.is_none() && limits.has_auto_bits(),
        mean_durations: limits.mean_durations,
        calibrations: d.toml.task.iter().map(|t| t.calibration).collect(),
        formula: d.formula()?,
        quantiles: limits.quantiles,
        ..export::Options::default()
    };
    let mut report = export::export(&mut subject, &options, output)?;
    if !of_layers {
        return Ok(report);
    }
    for table in report.budget.iter().flat_map(|b| &b.tables) {
        let place = spec.tables.iter().position(|t| t.name == table.name);
        if let Some(form) = place.and_then(|t| forms.get_mut(t)) {
            *form = TableForm::of_bits(table.bits[1]);
        }
    }
    report.layers = Some(export::layers(
        &spec,
        &parameters,
        &forms,
        &data,
        &layer_rows,
    )?);
    Ok(report)
}

/// Rows that errors of layers are measured on, at most: the last that are reported on.
const LAYER_ROWS: usize = 4096;

/// The last whole requests of `rows` that together have at most `most` rows, at least one.
fn last_requests(raw: &RawLog, rows: &[u32], most: usize) -> Vec<u32> {
    let mut picked: Vec<u32> = Vec::new();
    for (count, row) in rows.iter().rev().enumerate() {
        let request = raw.request[*row as usize];
        if picked.last() != Some(&request) {
            if count >= most {
                break;
            }
            picked.push(request);
        }
    }
    picked
}
