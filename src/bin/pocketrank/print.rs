//! Tables for people and one JSON object for programs.

use std::io::{ErrorKind, Write, stdout};

use serde_json::{Map, Value, json};

use pocketrank::train::bench::Report;
use pocketrank::train::error::{Error, Kind};
use pocketrank::train::metrics::TaskMetrics;
use pocketrank::train::scored::Orders;
use pocketrank::train::truth::TruthMetrics;

/// Writes to standard output. A reader that has gone, as in `| head`, wants no more: the work goes on to its exit code.
/// Anything else that keeps the text from being written, a full disk say, ends the program with the code of I/O errors.
pub fn out(text: core::fmt::Arguments<'_>) {
    let mut to = stdout().lock();
    match to.write_fmt(text).and_then(|()| to.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            let error = Error::new(Kind::Io, format!("standard output: {e}"));
            eprintln!("pocketrank: {error}");
            std::process::exit(i32::from(error.exit_code()));
        }
        _ => {}
    }
}

/// Rows under a header, columns aligned; numbers to the right.
pub fn table(header: &[&str], rows: &[Vec<String>]) {
    let width = |i: usize| {
        rows.iter()
            .map(|r| r[i].chars().count())
            .chain([header[i].len()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let cells = cells.iter().zip(&widths).enumerate();
        let text: Vec<String> = cells
            .map(|(i, (c, w))| {
                if i == 0 {
                    format!("{c:<w$}")
                } else {
                    format!("{c:>w$}")
                }
            })
            .collect();
        outln!("{}", text.join("  ").trim_end());
    };
    line(header.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
}

/// Times of a file, in microseconds.
pub fn bench(report: &Report) {
    outln!(
        "{} bytes, opened in {:.0} us; {}, whose kernel of products does {:.1} G multiply-adds/s",
        report.file_bytes,
        report.open_us,
        report.isa,
        report.kernel_giga
    );
    if let Some(us) = report.event_us {
        outln!("one event into a user's state: {us:.2} us");
    }
    let us = |x: f64| format!("{x:.1}");
    let rows = report.times.iter().map(|t| {
        let mut cells = vec![t.candidates.to_string(), us(t.first_us), us(t.cold_us)];
        cells.extend([t.min_us, t.p50_us, t.p90_us, t.p99_us].map(us));
        cells.push(number(t.kept_us, 1));
        cells.push(format!("{:.0}", t.multiply_adds));
        cells.push(format!("{:.0} %", t.share_of_kernel * 100.0));
        cells.push(format!("{:.0}", t.bytes as f64 / 1024.0));
        cells
    });
    let header = [
        "candidates",
        "first us",
        "cold",
        "min",
        "p50",
        "p90",
        "p99",
        "kept sums",
        "multiply-adds",
        "of kernel's rate",
        "KiB touched",
    ];
    table(&header, &rows.collect::<Vec<_>>());
    if let Some(first) = report.times.first() {
        outln!("");
        let rows = report.times.iter().map(|t| {
            let shares = t
                .stages
                .iter()
                .map(|(_, share)| format!("{:.0} %", share * 100.0));
            core::iter::once(t.candidates.to_string())
                .chain(shares)
                .collect()
        });
        let stages = first.stages.iter().map(|(name, _)| name.as_str());
        let header: Vec<&str> = core::iter::once("time by stage").chain(stages).collect();
        table(&header, &rows.collect::<Vec<_>>());
    }
}

/// A number with so many decimals, or a dash.
pub fn number(x: Option<f64>, decimals: usize) -> String {
    x.map_or_else(|| "-".into(), |x| format!("{x:.decimals$}"))
}

/// Tables of task metrics.
pub fn metrics(tasks: &[(String, TaskMetrics)]) {
    ranking(tasks);
    let binary: Vec<_> = tasks
        .iter()
        .filter(|(_, m)| m.log_loss.is_some() || m.auc.is_some())
        .collect();
    if !binary.is_empty() {
        let rows: Vec<Vec<String>> = binary
            .iter()
            .map(|(name, m)| {
                vec![
                    name.clone(),
                    m.rows.to_string(),
                    number(m.mean_label, 4),
                    number(m.auc, 4),
                    number(m.gauc, 4),
                    number(m.gauc_skipped, 3),
                    number(m.log_loss, 4),
                    number(m.normalized_entropy, 4),
                    number(m.calibration, 3),
                ]
            })
            .collect();
        table(
            &[
                "task",
                "rows",
                "rate",
                "AUC",
                "GAUC",
                "skipped",
                "log loss",
                "NE",
                "calibration",
            ],
            &rows,
        );
    }
    let durations: Vec<_> = tasks.iter().filter(|(_, m)| m.mae.is_some()).collect();
    if !durations.is_empty() {
        let rows: Vec<Vec<String>> = durations
            .iter()
            .map(|(name, m)| {
                vec![
                    name.clone(),
                    m.rows.to_string(),
                    number(m.mean_label, 2),
                    number(m.mae, 3),
                    number(m.rmse, 3),
                    number(m.xauc, 4),
                    number(m.spearman, 4),
                    number(m.calibration, 3),
                ]
            })
            .collect();
        table(
            &[
                "task",
                "rows",
                "mean",
                "MAE",
                "RMSE",
                "XAUC",
                "Spearman",
                "calibration",
            ],
            &rows,
        );
    }
}

/// Orders on a stated utility.
pub fn orders(orders: &Orders) {
    outln!(
        "\norders on {}, {} requests have some",
        orders.utility,
        orders.requests
    );
    let rows = orders.orders.iter();
    let rows = rows.map(|o| vec![o.name.clone(), number(o.ndcg, 4), number(o.dcg, 4)]);
    table(
        &["order by", "NDCG@10", "DCG@10"],
        &rows.collect::<Vec<_>>(),
    );
}

/// Metrics of ranking tasks.
fn ranking(tasks: &[(String, TaskMetrics)]) {
    let ranking = tasks.iter().filter_map(|(name, m)| {
        let lists = m.ndcg_requests?;
        let cells = [
            m.rows.to_string(),
            number(m.mean_label, 4),
            lists.to_string(),
        ];
        let cells = cells.into_iter().chain([number(m.ndcg, 4)]);
        Some(core::iter::once(name.clone()).chain(cells).collect())
    });
    let rows: Vec<Vec<String>> = ranking.collect();
    if !rows.is_empty() {
        let header = ["task", "rows", "mean utility", "lists", "NDCG@10"];
        table(&header, &rows);
    }
}

/// Tables of tasks against the truth; skipped tasks have no row.
pub fn truth(tasks: &[(String, TruthMetrics)]) {
    let rows = |of: &dyn Fn(&TruthMetrics) -> Option<Vec<String>>| -> Vec<Vec<String>> {
        tasks
            .iter()
            .filter_map(|(name, m)| {
                let first = vec![name.clone(), m.rows.to_string()];
                Some([first, of(m)?].concat())
            })
            .collect()
    };
    let binary = rows(&|m| {
        let gap = m.gap?;
        Some(vec![
            number(m.expected_auc, 4),
            number(m.bound, 4),
            format!("{gap:.4}"),
        ])
    });
    if !binary.is_empty() {
        outln!("\nagainst the truth");
        table(
            &["task", "valid rows", "expected AUC", "bound", "gap"],
            &binary,
        );
    }
    let durations = rows(&|m| {
        let gap = m.xauc_gap?;
        Some(vec![
            number(m.xauc, 4),
            number(m.xauc_bound, 4),
            format!("{gap:.4}"),
            number(m.mae, 3),
            number(m.mae_bound, 3),
            number(m.mae_gap, 3),
        ])
    });
    if !durations.is_empty() {
        table(
            &[
                "task",
                "valid rows",
                "XAUC",
                "bound",
                "gap",
                "MAE",
                "bound",
                "gap",
            ],
            &durations,
        );
    }
    let parts: Vec<Vec<String>> = tasks
        .iter()
        .flat_map(|(name, m)| {
            let parts = [
                ("clicked", &m.clicked),
                ("not clicked", &m.unclicked),
                ("all served", &m.served),
            ];
            parts.into_iter().filter_map(move |(part, m)| {
                let m = m.as_ref()?;
                Some(vec![
                    name.clone(),
                    part.to_string(),
                    m.rows.to_string(),
                    number(m.expected_auc.or(m.xauc), 4),
                    number(m.gap.or(m.xauc_gap), 4),
                    number(m.mae_gap, 3),
                    number(m.calibration, 3),
                ])
            })
        })
        .collect();
    if !parts.is_empty() {
        outln!(
            "\ntasks given a click, on rows that were and were not clicked, each row counting the same"
        );
        table(
            &[
                "task",
                "rows that were",
                "rows",
                "AUC or XAUC",
                "gap",
                "MAE gap",
                "calibration",
            ],
            &parts,
        );
    }
}

/// The same as one JSON object by task.
pub fn metrics_json(tasks: &[(String, impl serde::Serialize)]) -> Value {
    let object: Map<String, Value> = tasks
        .iter()
        .map(|(name, m)| (name.clone(), json!(m)))
        .collect();
    Value::Object(object)
}
