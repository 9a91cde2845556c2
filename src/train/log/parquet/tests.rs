#![allow(clippy::unwrap_used)]
use core::ops::ControlFlow;
use std::fs;
use std::sync::Arc;

use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::*;
use crate::train::description::Description;
use crate::train::log::{RawLog, read};
use crate::train::simulate::{Format, SimulateOptions, simulate};
use crate::train::synthetic::train_file;

fn simulated(rows: u64, format: Format) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = SimulateOptions {
        rows,
        seed: 5,
        format,
        ..SimulateOptions::default()
    };
    simulate(&options, folder.path(), |_| ControlFlow::Continue(())).unwrap();
    folder
}

#[test]
fn a_csv_log_and_its_parquet_twin_train_to_the_same_bytes() {
    let mut results = Vec::new();
    for format in [Format::Csv, Format::Parquet] {
        let folder = simulated(6_000, format);
        let model = folder.path().join("model.toml");
        let text = fs::read_to_string(&model).unwrap();
        fs::write(&model, text.replace("epochs = 5", "epochs = 1")).unwrap();
        let mut raw = read(&Description::read(&model).unwrap(), None).unwrap();
        raw.joins.clear();
        let out = folder.path().join("run");
        train_file(&model, &out);
        let bytes = ["fit.bin", "parameters.bin", "report.json"];
        let bytes = bytes.map(|name| fs::read(out.join(name)).unwrap());
        results.push((format!("{raw:?}"), bytes));
    }
    assert!(results[0].0 == results[1].0);
    assert!(results[0].1 == results[1].1);
}

type Group<'g> = SerializedRowGroupWriter<'g, File>;

/// A file of one row group.
fn write_file(path: &Path, schema: &str, write: impl Fn(&mut Group<'_>)) {
    let schema = Arc::new(parse_message_type(&format!("message m {{ {schema} }}")).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    write(&mut group);
    group.close().unwrap();
    writer.close().unwrap();
}

fn some(levels: &[i16]) -> Option<&[i16]> {
    (!levels.is_empty()).then_some(levels)
}

fn column<T: DataType>(group: &mut Group<'_>, values: &[T::T], d: &[i16], r: &[i16]) {
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<T>()
        .write_batch(values, some(d), some(r))
        .unwrap();
    column.close().unwrap();
}

fn cells(path: &Path, wanted: &Wanted<'_>) -> Result<Vec<Vec<String>>> {
    let mut source = Source::open(path, wanted)?;
    let mut record = ByteRecord::new();
    let mut rows = Vec::new();
    while let Some((line, row)) = source.next(&mut record)? {
        assert_eq!(line, rows.len() as u64 + 2);
        rows.push(match row {
            Ok(()) => record
                .iter()
                .map(|cell| String::from_utf8_lossy(cell).into_owned())
                .collect(),
            Err(message) => vec![message],
        });
    }
    Ok(rows)
}

#[test]
fn every_readable_type_becomes_the_text_of_a_csv_cell() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let schema = "required boolean b; optional int32 day (DATE); required int64 u (UINT_64);
        required int64 t (TIMESTAMP(MICROS, true)); required float f; optional double x;
        required int64 money (DECIMAL(9, 2)); optional binary s (UTF8);
        optional group l (LIST) { repeated group list { optional int64 element; } }
        repeated int32 plain;";
    write_file(&path, schema, |g| {
        column::<BoolType>(g, &[true, false], &[], &[]);
        column::<Int32Type>(g, &[1], &[1, 0], &[]);
        column::<Int64Type>(g, &[-1, 7], &[], &[]);
        column::<Int64Type>(g, &[1_500_000, -1], &[], &[]);
        column::<FloatType>(g, &[0.1, 1e-30], &[], &[]);
        column::<DoubleType>(g, &[0.1 + 0.2], &[0, 1], &[]);
        column::<Int64Type>(g, &[-1, 12_345], &[], &[]);
        column::<ByteArrayType>(g, &[ByteArray::from("a,\"b")], &[1, 0], &[]);
        // [3, null, -4], then null.
        column::<Int64Type>(g, &[3, -4], &[3, 2, 3, 0], &[0, 1, 1, 0]);
        column::<Int32Type>(g, &[8, 9], &[0, 1, 1], &[0, 0, 1]);
    });
    let rows = cells(&path, &Wanted::ALL).unwrap();
    let first = [
        "1",
        "86400",
        "18446744073709551615",
        "1",
        "0.1",
        "",
        "-0.01",
        "a,\"b",
        "3||-4",
        "",
    ];
    assert_eq!(rows[0], first);
    let tiny = format!("{}", 1e-30_f32);
    let second = [
        "0",
        "",
        "7",
        "-1",
        &tiny,
        "0.30000000000000004",
        "123.45",
        "",
        "",
        "8|9",
    ];
    assert_eq!(rows[1], second);
    // In another unit, and only what is asked for.
    let wanted = Wanted {
        names: &|name| name == "t",
        separator: &|_| b"|".to_vec(),
        time_unit: crate::train::description::TimeUnit::Milliseconds,
    };
    let times: Vec<String> = cells(&path, &wanted)
        .unwrap()
        .iter()
        .map(|r| r.join(""))
        .collect();
    assert_eq!(times, ["1500", "-1"]);
}

#[test]
fn an_element_that_holds_the_separator_makes_its_row_malformed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_file(&path, "repeated binary tags (UTF8);", |g| {
        let values = ["a", "b|c", "d"].map(ByteArray::from);
        column::<ByteArrayType>(g, &values, &[1, 1, 1], &[0, 0, 0]);
    });
    let rows = cells(&path, &Wanted::ALL).unwrap();
    assert_eq!(
        (rows[0].concat(), rows[2].concat()),
        ("a".into(), "d".into())
    );
    assert!(
        rows[1][0].starts_with("an element of list \"tags\" holds"),
        "{rows:?}"
    );
}

#[test]
fn a_type_that_cannot_be_read_is_refused_if_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let schema = "required int32 ok; required int32 t (TIME_MILLIS);
        required group g { required int32 a; required int32 b; }";
    write_file(&path, schema, |g| {
        (0..4).for_each(|i| column::<Int32Type>(g, &[i], &[], &[]));
    });
    for (name, found) in [("t", "TIME_MILLIS"), ("g", "a group of a, b")] {
        let wanted = Wanted {
            names: &|n| n == name || n == "ok",
            ..Wanted::ALL
        };
        let error = cells(&path, &wanted).unwrap_err();
        assert_eq!(error.kind, Kind::Data);
        let said = error.to_string();
        assert!(
            said.contains("a.parquet") && said.contains(name) && said.contains(found),
            "{said}"
        );
    }
    let wanted = Wanted {
        names: &|n| n == "ok",
        ..Wanted::ALL
    };
    assert_eq!(cells(&path, &wanted).unwrap(), [["0", "", ""]]);
}

#[test]
fn a_cut_or_damaged_file_is_refused_by_name_and_never_panics() {
    let folder = simulated(40, Format::Parquet);
    let log = folder.path().join("log.parquet");
    let bytes = fs::read(&log).unwrap();
    let bad = folder.path().join("bad.parquet");
    let refused = |bytes: &[u8]| -> Option<Error> {
        fs::write(&bad, bytes).unwrap();
        cells(&bad, &Wanted::ALL).err()
    };
    for length in (0..bytes.len()).step_by(97) {
        let error = refused(&bytes[..length]).unwrap();
        let said = error.to_string();
        assert!(
            said.contains("bad.parquet") && said.contains("again"),
            "{said}"
        );
    }
    // All of the footer, where lengths and places are, and every fifth byte of the pages.
    let footer = bytes.len() - 2_000;
    for at in (0..footer).step_by(5).chain(footer..bytes.len()) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x15;
        if let Some(error) = refused(&changed) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
    let error = refused(b"user,time\n1,2\n").unwrap();
    assert_eq!(error.kind, Kind::Data);
}

#[test]
fn rows_of_more_than_one_group_and_batch_come_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("named otherwise");
    let schema = Arc::new(parse_message_type("message m { required int64 a; }").unwrap());
    let mut writer =
        SerializedFileWriter::new(File::create(&path).unwrap(), schema, Default::default())
            .unwrap();
    for (from, to) in [(0, 9_000), (9_000, 9_001), (9_001, 9_001), (9_001, 20_000)] {
        let mut group = writer.next_row_group().unwrap();
        column::<Int64Type>(&mut group, &(from..to).collect::<Vec<_>>(), &[], &[]);
        group.close().unwrap();
    }
    writer.close().unwrap();
    let rows = cells(&path, &Wanted::ALL).unwrap();
    assert_eq!(rows.len(), 20_000);
    assert!(
        rows.iter()
            .enumerate()
            .all(|(i, row)| row[0] == i.to_string())
    );
    assert_eq!(super::rows(&path), Some(20_000));
}

#[test]
fn eval_and_check_read_what_train_read() {
    let folder = simulated(2_000, Format::Parquet);
    let d = Description::read(&folder.path().join("model.toml")).unwrap();
    let report = crate::train::check::check(&d, None).unwrap();
    assert_eq!(report.rows, 2_000);
    let raw: RawLog = read(&d, Some(&folder.path().join("log.parquet"))).unwrap();
    assert_eq!(raw.rows_read, 2_000);
}
