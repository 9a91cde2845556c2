//! What `pocketrank eval` says of a log beside the metrics of tasks: how good an order is by a stated utility, and the log with
//! its scores, from which a smaller model can learn.
use std::path::Path;
use std::prelude::v1::*;

use csv::{ByteRecord, Writer};
use serde::Serialize;

use crate::spec::TaskKind;
use crate::train::description::Description;
use crate::train::error::{Error, Kind, Result, near_misses};
use crate::train::evaluate::duration_score;
use crate::train::files::Replacement;
use crate::train::log::RawLog;
use crate::train::log::source::{Source, Wanted};
use crate::train::loss::sigmoid;
use crate::train::metrics::{PLACES, by_request, mean_dcg};
use crate::train::tune::reward::Reward;

/// How good some orders of a log's requests are.
#[derive(Clone, Debug, Serialize)]
pub struct Orders {
    /// The utility, as it was written.
    pub utility: String,
    /// Requests with a utility above 0.
    pub requests: usize,
    /// By order.
    pub orders: Vec<Order>,
}

/// How good one order is.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    /// A task, or "fused score".
    pub name: String,
    /// NDCG at 10 on the utility, mean over requests with a utility above 0.
    pub ndcg: Option<f64>,
    /// DCG at 10, mean over all requests: in the utility's unit.
    pub dcg: Option<f64>,
}

/// NDCG of `orders` (name, and a score of each of `rows`) on the weighted sum of labels `utility`, such as
/// `click + 0.02 * watch`. A label that is unknown in a row adds nothing. Rows that are no valid impression are left out.
///
/// # Errors
/// [`Kind::Description`] for a text that is no sum of labels, or that may be below 0.
pub fn orders(
    d: &Description,
    raw: &RawLog,
    utility: &str,
    rows: &[u32],
    orders: &[(String, Vec<f64>)],
) -> Result<Orders> {
    let reward = Reward::parse("--utility", utility)?;
    let mut parts = Vec::new();
    for (factor, name) in &reward.parts {
        let Some(label) = d.label(name) else {
            let labels = d.toml.label.iter().map(|l| l.name.get_ref().as_str());
            let near = near_misses(name, labels);
            let message = format!("--utility: unknown label \"{name}\"{near}");
            return Err(Error::new(Kind::Description, message));
        };
        if *factor <= 0.0 {
            let message = format!(
                "--utility: the factor of \"{name}\" is {factor}; above 0: a gain is at least 0"
            );
            return Err(Error::new(Kind::Description, message));
        }
        parts.push((label, *factor));
    }
    let valid = |row: &u32| raw.spaces.iter().any(|space| space[*row as usize]);
    let used: Vec<usize> = (0..rows.len()).filter(|i| valid(&rows[*i])).collect();
    let of = |i: &usize| {
        let row = rows[*i] as usize;
        let known = parts.iter().map(|(label, factor)| {
            let value = f64::from(raw.labels[*label].values[row]);
            if value.is_nan() { 0.0 } else { factor * value }
        });
        known.sum()
    };
    let utilities: Vec<f64> = used.iter().map(of).collect();
    let request = |i: &usize| raw.request[rows[*i] as usize];
    let requests: Vec<u32> = used.iter().map(request).collect();
    let mut result = Orders {
        utility: reward.text,
        requests: 0,
        orders: Vec::new(),
    };
    for (name, scores) in orders {
        let scores: Vec<f64> = used.iter().map(|i| scores[*i]).collect();
        let lists = by_request(&scores, &utilities, &requests, PLACES);
        let defined: Vec<f64> = lists.into_iter().flatten().collect();
        result.requests = defined.len();
        let mean = defined.iter().sum::<f64>() / defined.len() as f64;
        let mean = (!defined.is_empty()).then_some(mean);
        result.orders.push(Order {
            name: name.clone(),
            ndcg: mean,
            dcg: mean_dcg(&scores, &utilities, &requests, PLACES),
        });
    }
    Ok(result)
}

/// Copies the log to `to` as CSV, with a column `score_TASK` more for each of `tasks` (name, kind, score scale): the score
/// that `logits` `[rows, tasks]` make, in the task's unit. Rows of the log that are not among `rows` have empty cells.
///
/// # Errors
/// [`Kind::Description`] if the log is in several files or has such a column; those of reading and writing.
pub fn copy_with_scores(
    d: &Description,
    data: Option<&Path>,
    raw: &RawLog,
    tasks: &[(String, TaskKind, f64)],
    (rows, logits): (&[u32], &[f32]),
    to: &Path,
) -> Result<()> {
    let usage = |message: String| Err(Error::in_file(Kind::Description, &d.file, message));
    let logs = d.logs(data);
    let [log] = &logs[..] else {
        return usage("--scores copies one log, and this one is in several files".into());
    };
    if d.toml.data.validation.path.is_some() {
        return usage("--scores copies one log, and validation has a file of its own".into());
    }
    let mut source = Source::open(
        log,
        &Wanted {
            time_unit: d.toml.data.time_unit,
            ..Wanted::ALL
        },
    )?;
    let columns: Vec<String> = tasks.iter().map(|t| format!("score_{}", t.0)).collect();
    if let Some(taken) = columns.iter().find(|c| source.header.contains(c)) {
        return usage(format!(
            "the log has a column \"{taken}\" already; rename it, or the task"
        ));
    }
    let failed = |e: &dyn core::fmt::Display| Error::in_file(Kind::Io, to, e.to_string());
    let mut new = Replacement::begin(to).map_err(|e| Error::io(to, &e))?;
    let mut writer = Writer::from_writer(new.file());
    let header = source.header.iter().chain(&columns);
    writer.write_record(header).map_err(|e| failed(&e))?;
    // Where each row of the log was scored; rows set aside have a line, but no row.
    let mut place = vec![None; raw.rows()];
    for (i, row) in rows.iter().enumerate() {
        place[*row as usize] = Some(i);
    }
    let mut next = 0;
    let mut record = ByteRecord::new();
    while let Some((line, _)) = source.next(&mut record)? {
        let row = (raw.line.get(next) == Some(&line)).then_some(next);
        next += usize::from(row.is_some());
        for (t, (_, kind, scale)) in tasks.iter().enumerate() {
            let Some(i) = row.and_then(|row| place[row]) else {
                record.push_field(b"");
                continue;
            };
            let z = f64::from(logits[i * tasks.len() + t]);
            let score = match kind {
                TaskKind::Binary => sigmoid(z),
                _ => duration_score(z, *scale),
            };
            record.push_field(format!("{}", score as f32).as_bytes());
        }
        writer.write_byte_record(&record).map_err(|e| failed(&e))?;
    }
    writer.flush().map_err(|e| failed(&e))?;
    drop(writer);
    new.place().map_err(|e| Error::io(to, &e))
}
