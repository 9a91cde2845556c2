#![allow(clippy::unwrap_used)]
use std::fs;
use std::io::Write;
use std::path::Path;
use std::prelude::v1::*;

use super::*;

const MODEL: &str = r#"
[data]
path = "log.csv"
user = "user"
time = "time"
NULL

[[label]]
name = "click"
[[label]]
name = "watch"
scale = 0.001
known = "click == 1"

[[feature]]
name = "item"
side = "item"
kind = "id"
hash = 8
dim = 2
[[feature]]
name = "age"
side = "user"
kind = "number"
[[feature]]
name = "tags"
side = "item"
kind = "ids"
id_type = "string"
hash = 8
dim = 2
max_len = 2
weights = "tag_weights"
[[feature]]
name = "vec"
side = "item"
kind = "vector"
dim = 2
scale = 0.1

[network]
kind = "mmoe"
experts = 1
expert_layers = [4]
[[task]]
name = "click"
kind = "binary"
[[task]]
name = "watch"
kind = "duration"
space = "click"
"#;

const HEADER: &str = "user,time,click,watch,item,age,tags,tag_weights,vec\n";
const GOOD: &str = "u1,10,1,2500,7,30,a|b|c,1|0.5|0,1|127\n";

/// Reads a log of these bytes, called `name`.
fn read_bytes(name: &str, bytes: &[u8], extra: &str) -> crate::train::error::Result<RawLog> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    let text = MODEL.replace("NULL", extra).replace("log.csv", name);
    let d = Description::parse(&folder.path().join("m.toml"), text).unwrap();
    read(&d, None).map_err(|mut e| {
        // Messages of this test name files, not the folder of the day.
        let folder = format!("{}/", folder.path().display());
        e.file = e.file.map(|f| f.replace(&folder, ""));
        e.message = e.message.replace(&folder, "");
        e
    })
}

fn read_rows(rows: &str) -> crate::train::error::Result<RawLog> {
    read_bytes("log.csv", format!("{HEADER}{rows}").as_bytes(), "")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_row_becomes_what_an_app_would_send() {
    let log = read_rows(&format!("{GOOD}u1,10,0,99,,,,,\nu2,11,,,-3,,x,1,\n")).unwrap();
    assert_eq!(log.request, [0, 0, 1]);
    assert_eq!(log.time, [10, 11]);
    assert_eq!(log.line, [2, 3, 4]);
    assert!(
        matches!(&log.features[0], RawColumn::Ids(ids) if *ids == [7, Column::NO_ID, -3i64 as u64])
    );
    assert!(matches!(&log.features[1], RawColumn::Numbers(x) if x[0] == 30.0 && x[1].is_nan()));
    let hash = |t: &str| crate::features::hash_text(t.as_bytes());
    let RawColumn::Lists {
        offsets,
        ids,
        weights,
    } = &log.features[2]
    else {
        unreachable!()
    };
    assert_eq!(
        (offsets.as_slice(), ids.as_slice()),
        (
            [0, 2, 2, 3].as_slice(),
            [hash("a"), hash("b"), hash("x")].as_slice()
        )
    );
    assert_eq!(weights.as_deref(), Some([1.0, 0.5, 1.0].as_slice()));
    assert!(
        matches!(&log.features[3], RawColumn::Vectors(b) if *b == [1, 127, 255, 255, 255, 255])
    );
    // Watch time is known where click is 1, in seconds; an empty cell is unknown.
    assert_eq!(log.labels[1].values[0], 2.5);
    assert!(log.labels[1].values[1].is_nan() && log.labels[0].values[2].is_nan());
    assert_eq!(log.changing, [0, 1, 0, 0]);
}

#[test]
fn ids_keep_all_64_bits() {
    let log = read_rows(
        "u,1,0,,18446744073709551614,,,,\nu,1,0,,9007199254740993,,,,\nu,1,0,,9007199254740992.0,,,,\n",
    );
    let log = log.unwrap();
    assert!(
        matches!(&log.features[0], RawColumn::Ids(ids) if *ids == [u64::MAX - 1, (1 << 53) + 1, 1 << 53])
    );
}

#[test]
fn every_poisoned_row_is_refused_with_its_file_and_line() {
    let long = format!("u1,11,0,,\"{},,,,\n", "x".repeat(2 << 20));
    for (row, message) in [
        ("u1,11,0\n", "log.csv:3: the row has 3 cells, the header 9"),
        (
            "u1,11,0,,7,30,,,,extra\n",
            "log.csv:3: the row has 10 cells, the header 9",
        ),
        (
            "u1,11,2,,7,,,,\n",
            "log.csv:3: label \"click\" is 2; 0 or 1",
        ),
        (
            "u1,11,0.5,,7,,,,\n",
            "log.csv:3: label \"click\" is 0.5; 0 or 1",
        ),
        (
            "u1,11,NaN,,7,,,,\n",
            "log.csv:3: label \"click\" is \"NaN\", no finite number; if that means missing, add it to null",
        ),
        (
            "u1,11,inf,,7,,,,\n",
            "log.csv:3: label \"click\" is \"inf\", no finite number; if that means missing, add it to null",
        ),
        (
            "u1,11,yes,,7,,,,\n",
            "log.csv:3: label \"click\" is \"yes\", no finite number; if that means missing, add it to null",
        ),
        (
            "u1,11,1,-1,7,,,,\n",
            "log.csv:3: label \"watch\" is -0.001; at least 0",
        ),
        (
            "u1,11,1,1e300,7,,,,\n",
            "log.csv:3: label \"watch\" is \"1e300\"; too large for 32 bits",
        ),
        (
            "u1,11,0,,abc,,,,\n",
            "log.csv:3: \"item\" is \"abc\", no integer; use id_type = \"string\"",
        ),
        (
            "u1,11,0,,1.5,,,,\n",
            "log.csv:3: \"item\" is \"1.5\", no integer; use id_type = \"string\"",
        ),
        (
            "u1,11,0,,99999999999999999999,,,,\n",
            "log.csv:3: \"item\" is \"99999999999999999999\", no integer; use id_type = \"string\"",
        ),
        (
            "u2,11,0,,7,nan,,,\n",
            "log.csv:3: \"age\" is \"nan\", no finite number; if it means missing, add it to null",
        ),
        (
            "u2,11,0,,7,1e39,,,\n",
            "log.csv:3: \"age\" is \"1e39\", no finite number; if it means missing, add it to null",
        ),
        (
            "u1,11,0,,7,,a|b,1,\n",
            "log.csv:3: \"tags\" has 2 ids and 1 weights; one an id is needed",
        ),
        (
            "u1,11,0,,7,,a|b|c,1|1|1|1,\n",
            "log.csv:3: \"tags\" has 3 ids and 4 weights; one an id is needed",
        ),
        (
            "u1,11,0,,7,,a,1.5,\n",
            "log.csv:3: a weight of \"tags\" is \"1.5\"; numbers of 0 to 1 are possible",
        ),
        (
            "u1,11,0,,7,,,,1|128\n",
            "log.csv:3: a value of vector \"vec\" is \"128\"; integers of 0 to 127 are possible",
        ),
        (
            "u1,11,0,,7,,,,1|2|3\n",
            "log.csv:3: vector \"vec\" has 3 values, not 2",
        ),
        (
            "u1,9,0,,7,,,,\n",
            "log.csv:3: this row is earlier than one before it; sort the log by time",
        ),
        (
            "u1,,0,,7,,,,\n",
            "log.csv:3: the time is \"\", which time_unit does not fit; \"s\", \"ms\" or \"iso\"",
        ),
        (
            "u1,1649346288441,0,,7,,,,\n",
            "log.csv:3: the time is \"1649346288441\", which time_unit does not fit; \"s\", \"ms\" or \"iso\"",
        ),
        (
            "u1,11,0,,7,,a\0b,1,\n",
            "log.csv:3: the row holds a NUL byte",
        ),
        (
            &long,
            "log.csv:3: a cell has 2097152 bytes, 1048576 are possible; is a quote not closed?",
        ),
    ] {
        let found = read_rows(&format!("{GOOD}{row}")).unwrap_err();
        let found = found.to_string();
        if row.len() > 100 {
            assert!(found.contains("is a quote not closed?"), "{found}");
            continue;
        }
        assert_eq!(found, message, "{row:?}");
    }
    let bad = [
        HEADER.as_bytes(),
        GOOD.as_bytes(),
        b"u1,11,0,,7,,a\xFFb,1,\n",
    ]
    .concat();
    let found = read_bytes("log.csv", &bad, "").unwrap_err();
    assert_eq!(found.to_string(), "log.csv:3: column \"tags\" is not UTF-8");
    assert_eq!(found.exit_code(), 3);
}

#[test]
fn poisoned_files_are_refused_by_name() {
    let zipped = gzip(format!("{HEADER}{}", GOOD.repeat(50)).as_bytes());
    for (name, bytes, kind, part) in [
        (
            "log.csv",
            b"".to_vec(),
            Kind::Data,
            "log.csv: the file is empty",
        ),
        (
            "log.csv",
            HEADER.as_bytes().to_vec(),
            Kind::Data,
            "log.csv: no row",
        ),
        (
            "log.csv",
            b"a,b,a\n1,2,3\n".to_vec(),
            Kind::Data,
            "log.csv:1: two columns are called \"a\"",
        ),
        (
            "log.csv",
            b"\xFF\xFEu\0s\0\n\0".to_vec(),
            Kind::Data,
            "log.csv:1: the name of column 1 is not UTF-8",
        ),
        (
            "log.csv",
            b"usr,time,click,watch,item,age,tags,tag_weights,vec\n".to_vec(),
            Kind::Description,
            "m.toml:4: no column \"user\" in log.csv; did you mean \"usr\"?",
        ),
        (
            "log.csv.gz",
            zipped[..zipped.len() - 9].to_vec(),
            Kind::Data,
            "log.csv.gz: the gzip stream ends early",
        ),
        (
            "log.csv.gz",
            zipped[..30].to_vec(),
            Kind::Data,
            "log.csv.gz: the gzip stream",
        ),
    ] {
        let found = read_bytes(name, &bytes, "").unwrap_err();
        assert!(found.to_string().starts_with(part), "{found}");
        assert_eq!(found.kind, kind, "{found}");
    }
    let d = Description::parse(Path::new("/nowhere/m.toml"), MODEL.replace("NULL", "")).unwrap();
    assert_eq!(read(&d, None).unwrap_err().kind, Kind::Io);
    // A changed byte may garble a name or a cell, or only be found by the stream's own checksum; it is never read.
    let mut flipped = zipped;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    assert!(read_bytes("log.csv.gz", &flipped, "").is_err());
}

#[test]
fn a_mark_of_byte_order_crlf_and_gzip_change_nothing() {
    let plain = read_rows(GOOD).unwrap();
    let text = format!("{HEADER}{GOOD}");
    let marked = format!("\u{FEFF}{}", text.replace('\n', "\r\n"));
    let twice = [gzip(HEADER.as_bytes()), gzip(GOOD.as_bytes())].concat();
    for (name, bytes) in [
        ("log.csv", marked.into_bytes()),
        ("log.csv.gz", gzip(text.as_bytes())),
        ("log.bin", twice),
    ] {
        let log = read_bytes(name, &bytes, "").unwrap();
        assert_eq!(
            format!("{:?}", log.features),
            format!("{:?}", plain.features)
        );
    }
}

#[test]
fn bad_rows_are_counted_and_leave_nothing_behind() {
    let rows = format!(
        "{GOOD}u1,10,2,,8,,a,1,1|1\nbad\nu1,10,0,,9,31,q,0.5,3|200\nu3,12,0,5,4,1,z,1,9|9\n"
    );
    let log = read_bytes(
        "log.csv",
        format!("{HEADER}{rows}").as_bytes(),
        "max_bad_rows = 3",
    )
    .unwrap();
    let good = read_rows(&format!("{GOOD}\n\n\nu3,12,0,5,4,1,z,1,9|9\n")).unwrap();
    assert_eq!(
        (log.rows_read, log.rows() as u64 + log.quarantined_rows),
        (5, 5)
    );
    assert_eq!(log.quarantined.len(), 3);
    assert!(log.quarantined[1].contains("log.csv:4: the row has 1 cells"));
    for (a, b) in [
        (
            format!("{:?}", log.features),
            format!("{:?}", good.features),
        ),
        (format!("{:?}", log.labels), format!("{:?}", good.labels)),
        (format!("{:?}", log.spaces), format!("{:?}", good.spaces)),
        (
            format!("{:?}", (&log.request, &log.user, &log.time, &log.name)),
            format!("{:?}", (&good.request, &good.user, &good.time, &good.name)),
        ),
        (
            format!("{:?}", (&log.validation, &log.gauc_group)),
            format!("{:?}", (&good.validation, &good.gauc_group)),
        ),
    ] {
        assert_eq!(a, b);
    }
    let over = read_bytes(
        "log.csv",
        format!("{HEADER}{rows}").as_bytes(),
        "max_bad_rows = 2",
    )
    .unwrap_err();
    assert_eq!(over.line, Some(5));
}

#[test]
fn side_tables_join_by_key_and_refuse_doubles() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("log.csv", "uid,click,hour_of\n1,1,7\n2,0,8\n9,1,9\n");
    write("users.csv", "id,age,group,unused\n1,30,5,x\n2,,6,y\n");
    write("groups.csv", "group,size\n5,100\n6,200\n");
    let text = MODEL
        .split("[[label]]")
        .next()
        .map(|_| {
            r#"
[data]
path = "log.csv"
[[data.join]]
path = "users.csv"
key = { log = "uid", table = "id" }
[[data.join]]
path = "groups.csv"
key = "group"
columns = ["size"]
[[label]]
name = "click"
[[feature]]
name = "age"
side = "user"
kind = "number"
[[feature]]
name = "size"
side = "user"
kind = "number"
[network]
kind = "mmoe"
experts = 1
expert_layers = [4]
[[task]]
name = "click"
kind = "binary"
"#
        })
        .unwrap();
    let d = Description::parse(&folder.path().join("m.toml"), text.into()).unwrap();
    let log = read(&d, None).unwrap();
    let bits = |i: usize| match &log.features[i] {
        RawColumn::Numbers(x) => x
            .iter()
            .map(|x| if x.is_nan() { -1.0 } else { *x })
            .collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    assert_eq!(
        (bits(0), bits(1)),
        (vec![30.0, -1.0, -1.0], vec![100.0, 200.0, -1.0])
    );
    assert_eq!((log.joins[0].matched, log.joins[0].unmatched), (2, 1));
    // Without user, time and request every row is a list of its own.
    assert_eq!(log.request, [0, 1, 2]);
    write("users.csv", "id,agee,group\n1,30,5\n");
    let found = read(&d, None).unwrap_err().to_string();
    assert!(found.ends_with("; did you mean \"agee\"?"), "{found}");
    write("users.csv", "id,age,group\n1,30,5\n1,31,6\n");
    let found = read(&d, None).unwrap_err().to_string();
    assert!(
        found.ends_with("users.csv:3: a second row for the key \"1\"; a side table has one"),
        "{found}"
    );
    write("users.csv", "id,age,group,click\n1,30,5,0\n");
    let found = read(&d, None).unwrap_err().to_string();
    assert!(
        found.contains("column \"click\" is in") && found.contains("log.csv and in"),
        "{found}"
    );
}

#[test]
fn rows_without_a_user_share_nothing() {
    let log = read_rows("u,1,0,,1,,,,\n,1,0,,1,,,,\n,1,0,,2,,,,\n,2,0,,3,,,,\n").unwrap();
    assert_eq!(log.user[1..], [RawLog::NOBODY, RawLog::NOBODY]);
    assert_eq!(log.gauc_group, [0, 1, 1, 2]);
}
