#![allow(clippy::unwrap_used)]
use core::iter::once;
use std::fs;

use super::*;
use crate::engine::OpenOptions;
use crate::train::inspect::inspect;
use crate::train::random::Key;
use crate::train::requests::OwnedColumn;
use crate::train::synthetic::TrainedLog;
use crate::train::{replay, run};

const MODEL: &str = r#"
[data]
path = "log.csv"
request = "request"
user = "user"
time = "time"
validation = { last = 0.3 }

[[label]]
name = "click"

[[table]]
name = "author"
dim = 5
vocabulary = { min_count = 3 }
id_type = "string"
server = true

[[feature]]
name = "device"
side = "user"
kind = "id"
hash = 5
dim = 3

[[feature]]
name = "item"
side = "item"
kind = "id"
vocabulary = { min_count = 20 }
dim = 6
default = 7
server = true

[[feature]]
name = "author"
side = "item"
kind = "id"

[[feature]]
name = "editor"
side = "candidate"
kind = "id"
table = "author"

[[feature]]
name = "topic"
side = "item"
kind = "id"
vocabulary = { min_count = 1 }
dim = 2

[network]
kind = "mmoe"
experts = 2
expert_layers = [12, 8]
tower_layers = [4]

[[task]]
name = "click"
kind = "binary"

[train]
batch = 64
epochs = 6
lr = 0.01
embedding_lr = 0.03

[[fusion.term]]
task = "click"
weight = 1.0

[export]
auc_budget = 0.5
"#;

const ROWS: usize = 2400;
/// Rows of a request.
const LIST: usize = 8;
/// Item ids are 0 to this; the greatest is too rare for the vocabulary.
const ITEMS: u64 = 60;

/// The cells of a row: item and author; item 3 is missing.
fn cells(row: usize) -> (String, String) {
    let draw = |i: u64| Key::new(5).at(row as u64).at(i).bits();
    let item = if row.is_multiple_of(97) {
        ITEMS
    } else {
        draw(0) % ITEMS
    };
    let author = format!("author \"{}\", of {}", draw(1) % 9, item % 3);
    let item = if item == 3 {
        String::new()
    } else {
        item.to_string()
    };
    (item, author)
}

struct Trained(TrainedLog);

impl Trained {
    fn new() -> Self {
        let header = [
            "request", "user", "time", "device", "item", "author", "editor", "topic", "click",
        ];
        let rows = (0..ROWS).map(|row| {
            let (item, author) = cells(row);
            let (_, editor) = cells(row + 1);
            let draw = Key::new(6).at(row as u64).bits();
            let likes = item.parse::<u64>().is_ok_and(|i| i % 5 < 2)
                != (author.len() + draw as usize % 3 == 20);
            let click = u64::from(likes == (draw % 10 < 8));
            let request = row / LIST;
            vec![
                request.to_string(),
                (request % 17).to_string(),
                (1000 + request).to_string(),
                (request % 4).to_string(),
                item,
                author,
                editor,
                (draw % 3).to_string(),
                click.to_string(),
            ]
        });
        let log = once(header.map(String::from).into()).chain(rows);
        Self(TrainedLog::new(MODEL, log))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// Exports the run as if it had another description.
    fn export(&self, name: &str, text: &str) -> (PathBuf, crate::train::export::Report) {
        fs::write(self.path("run/model.toml"), text).unwrap();
        let file = self.path(name);
        let report = run::export(&self.path("run"), &file, &Default::default()).unwrap();
        report.check().unwrap();
        (file, report)
    }

    fn measure(&self, file: &Path) -> Result<replay::Measured> {
        let d = Description::read(&self.path("model.toml")).unwrap();
        let bytes = fs::read(file).unwrap();
        let mut model = Box::new(Model::new());
        model.open(&bytes, &OpenOptions::default()).unwrap();
        replay::measure(&d, (&model, file), None, true)
    }
}

/// The lines of a written table, without the header.
fn lines(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), HEADER);
    let records = reader.records().map(|r| r.unwrap());
    records
        .map(|r| r.iter().map(String::from).collect())
        .collect()
}

fn bytes_of(line: &[String]) -> Vec<u8> {
    line[2].split('|').map(|b| b.parse().unwrap()).collect()
}

#[test]
fn a_file_without_the_tables_scores_as_one_with_them() {
    let trained = Trained::new();
    let (whole, in_file) = trained.export("whole.pkr", &MODEL.replace("server = true", ""));
    let (apart, report) = trained.export("apart.pkr", MODEL);
    let run = run::Run::open(&trained.path("run")).unwrap();
    let tables = run
        .fit
        .tables
        .iter()
        .filter(|t| t.name != "device" && t.name != "topic");
    let saved: usize = tables
        .map(|t| t.num_embeddings as usize * usize::from(t.embedding_dim) + t.vocabulary.len())
        .sum();
    assert!(
        saved > 1000 && report.bytes + saved <= in_file.bytes,
        "{saved} {}",
        report.bytes
    );
    assert!(in_file.server.is_empty() && report.server.len() == 2);
    assert!(report.server.iter().all(|t| t.without_id == 0), "{report}");
    let loss = report.tasks[0].loss.unwrap();
    assert!(
        loss.abs() < 0.01 && report.tasks[0].f32 > Some(0.6),
        "{report}"
    );
    // Logits reach from -3 to 3; a step is 0.02 of a row's range.
    let [a, b] = [&whole, &apart].map(|file| trained.measure(file).unwrap());
    assert_eq!(a.rows, b.rows);
    let range = a.logits.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let worst = a.logits.iter().zip(&b.logits);
    let worst = worst.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(
        range > 1.0 && worst > 0.0 && worst < 0.15,
        "{range} {worst}"
    );
    // So are the rows that slices ask for.
    let rows = [(&whole, &a), (&apart, &b)].map(|(file, measured)| {
        let d = Description::read(&trained.path("model.toml")).unwrap();
        let bytes = fs::read(file).unwrap();
        let mut model = Box::new(Model::new());
        model.open(&bytes, &OpenOptions::default()).unwrap();
        replay::features(&d, (&model, &measured.vectors), &measured.raw).unwrap()
    });
    assert!(format!("{:?}", rows[0]) == format!("{:?}", rows[1]));
    let seen = inspect(&fs::read(&apart).unwrap()).unwrap();
    let kinds = seen
        .features
        .iter()
        .map(|f| (f.kind, f.inputs, f.table.is_none()));
    let wanted = [
        ("id", 3, false),
        ("vector", 6, true),
        ("vector", 5, true),
        ("vector", 5, true),
        ("id", 2, false),
    ];
    assert_eq!(kinds.collect::<Vec<_>>(), wanted);
    let names: Vec<&str> = seen.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["device", "topic"]);
}

#[test]
fn what_is_sent_is_the_row_of_the_id() {
    let trained = Trained::new();
    let (file, report) = trained.export("apart.pkr", MODEL);
    let run = run::Run::open(&trained.path("run")).unwrap();
    let parameters = run.parameters().unwrap();
    let d = &run.description;
    let bytes = fs::read(&file).unwrap();
    let mut model = Box::new(Model::new());
    model.open(&bytes, &OpenOptions::default()).unwrap();
    let vectors = Vectors::open(d, &model, &file).unwrap();
    let tables = ["item", "author"].map(|t| lines(&path_of(&file, t)));
    for (name, lines) in ["item", "author"].iter().zip(&tables) {
        let t = run.fit.tables.iter().position(|t| t.name == *name).unwrap();
        let (fitted, values) = (&run.fit.tables[t], &parameters.tables[t]);
        let dim = usize::from(fitted.embedding_dim);
        assert_eq!(lines.len(), fitted.num_embeddings as usize);
        assert!(lines[0][0].is_empty() && lines[0][1].is_empty());
        assert!(lines.iter().all(|line| line[3] == report.digest));
        let feature = d.feature(name).unwrap();
        let Encoding::Vector { grid, .. } = model.spec().features[feature].encoding else {
            unreachable!()
        };
        let mut seen = [127, 0];
        for (row, line) in lines.iter().enumerate() {
            if row > 0 {
                let key = if *name == "item" {
                    hash_int(line[0].parse::<i64>().unwrap() as u64)
                } else {
                    hash_text(line[0].as_bytes())
                };
                assert_eq!(line[1], key.to_string());
                assert_eq!(fitted.open().unwrap().position(key), Some(row as u32 - 1));
            }
            let sent = bytes_of(line);
            for (byte, x) in sent.iter().zip(&values[row * dim..][..dim]) {
                seen = [seen[0].min(*byte), seen[1].max(*byte)];
                let value = (f32::from(*byte) - f32::from(grid.zero_point)) / grid.inv_scale;
                assert!((value - x).abs() * grid.inv_scale <= 0.51, "{value} {x}");
            }
        }
        assert!(seen[0] <= 1 && seen[1] >= 126, "the grid is used: {seen:?}");
    }
    let raw = log::read(d, None).unwrap();
    let boundaries = vec![Vec::new(); model.spec().features.len()];
    let line = |t: usize, id: &str| {
        tables[t]
            .iter()
            .find(|line| line[0] == id && !id.is_empty())
    };
    let [mut unknown, mut missing] = [0; 2];
    let spec = (model.spec(), &vectors);
    replay::for_each_request(
        d,
        spec,
        &boundaries,
        &raw,
        &|_| true,
        &mut |rows, request| {
            let sent = |feature: &str, at: usize, dim: usize| {
                let OwnedColumn::Bytes(bytes) = &request.columns[d.feature(feature).unwrap()]
                else {
                    unreachable!("a vector is bytes")
                };
                bytes[at * dim..][..dim].to_vec()
            };
            for (at, row) in rows.enumerate() {
                let ((item, author), (_, editor)) = (cells(row), cells(row + 1));
                for (feature, id) in [("author", author), ("editor", editor)] {
                    assert_eq!(
                        sent(feature, at, 5),
                        bytes_of(line(1, &id).unwrap_or(&tables[1][0]))
                    );
                }
                let wanted = match (line(0, &item), item.is_empty()) {
                    (Some(line), _) => line,
                    (None, true) => {
                        missing += 1;
                        line(0, "7").unwrap()
                    }
                    (None, false) => {
                        unknown += 1;
                        &tables[0][0]
                    }
                };
                assert_eq!(sent("item", at, 6), bytes_of(wanted), "{item}");
            }
            Ok(())
        },
    )
    .unwrap();
    assert!(unknown > 5 && missing > 5, "{unknown} {missing}");
}

#[test]
fn a_table_that_is_not_there_or_not_this_files_is_refused() {
    let trained = Trained::new();
    let (file, report) = trained.export("apart.pkr", MODEL);
    let table = path_of(&file, "item");
    let text = fs::read_to_string(&table).unwrap();
    let refusal = |text: &str| {
        fs::write(&table, text).unwrap();
        let error = trained.measure(&file).err().unwrap();
        assert_eq!(error.kind, Kind::Data);
        error.to_string()
    };
    assert!(trained.measure(&file).is_ok());
    fs::remove_file(&table).unwrap();
    let error = trained.measure(&file).err().unwrap();
    assert_eq!(error.kind, Kind::Io);
    let error = error.to_string();
    assert!(
        error.contains("apart.pkr.item.csv: not there; table \"item\""),
        "{error}"
    );
    let with_id = text.lines().skip(1).find(|line| !line.starts_with(','));
    let id = with_id.unwrap().split(',').next().unwrap();
    let cases = [
        (
            text.replace(&report.digest, "0123456789abcdef"),
            "csv:2: its rows are of the model file 0123456789abcdef, not of",
        ),
        (
            text.replacen("vector", "bytes", 1),
            "its columns are id,key,bytes,model",
        ),
        (text.replacen(",,", ",,1|", 1), "csv:2: vector is \"1|"),
        (
            text.replacen(",,", ",5,", 1),
            "csv:2: key is \"5\"; the first row",
        ),
        (text.lines().take(1).collect::<String>() + "\n", "no row"),
        (
            text.replacen(&format!("\n{id},"), &format!("\n{id}1,"), 1),
            "does not have the key",
        ),
        (
            format!("{text}{}\n", text.lines().nth(4).unwrap()),
            "is there twice",
        ),
    ];
    for (changed, message) in cases {
        let found = refusal(&changed);
        assert!(found.contains(message), "{found}\n{message}");
    }
    fs::write(&table, text).unwrap();
    assert!(trained.measure(&file).is_ok());
}

#[test]
fn what_needs_the_table_on_the_device_is_refused_in_one_line() {
    let with = |more: &str| MODEL.replace("[network]", &format!("{more}\n[network]"));
    let cases = [
        (
            MODEL.replace("vocabulary = { min_count = 20 }", "hash = 9"),
            "table \"item\" is the server's; it takes a vocabulary",
        ),
        (
            MODEL.replace("dim = 6", "dim = 6\nbits = 4"),
            "leave bits out",
        ),
        (
            MODEL.replace("dim = 5", "dim = 5\nbits = 8"),
            "table \"author\" is the server's; leave bits out",
        ),
        (
            MODEL.replace("name = \"item\"", "name = \"it/em\""),
            "its name is part of a file's name",
        ),
        (
            MODEL
                .replace("\"mmoe\"", "\"single\"")
                .replace("experts = 2", ""),
            "a network of kind \"single\" has a row a task",
        ),
        (
            with("[[feature]]\nname = \"seen\"\nside = \"user\"\nkind = \"ids\"\ntable = \"item\""),
            "\"seen\" needs its rows on the device",
        ),
        (
            with(
                "[[feature]]\nname = \"c\"\nkind = \"cross\"\nof = [\"device\", \"topic\"]\ntable = \"author\"",
            ),
            "\"c\" needs its rows on the device",
        ),
        (
            with(
                "[[feature]]\nname = \"c\"\nkind = \"cross\"\nof = [\"device\", \"item\"]\nhash = 5\ndim = 2",
            ),
            "\"c\" needs its ids on the device",
        ),
        (
            with(
                "[[feature]]\nname = \"last\"\nkind = \"last_ids\"\nof = \"item\"\nlabel = \"click\"",
            ),
            "\"last\" needs its ids on the device",
        ),
        (
            with(
                "[[feature]]\nname = \"r\"\nkind = \"key_rate\"\nkey = \"editor\"\nlabel = \"click\"",
            ),
            "\"r\" needs its ids on the device",
        ),
        (
            MODEL.replace(
                "name = \"author\"\nside = \"item\"",
                "name = \"author\"\nserver = true\nside = \"item\"",
            ),
            "is declared with its own",
        ),
        (
            MODEL.replace("table = \"author\"", "table = \"item\"\nserver = true"),
            "bits and server stand where",
        ),
        (
            with("[[feature]]\nname = \"x\"\nside = \"item\"\nkind = \"number\"\nserver = true"),
            "has server, which its kind has not",
        ),
    ];
    Description::parse(Path::new("m.toml"), MODEL.into()).unwrap();
    for (text, message) in cases {
        let error = Description::parse(Path::new("m.toml"), text).unwrap_err();
        let text = error.to_string();
        assert!(
            error.kind == Kind::Description && !text.contains('\n'),
            "{text}"
        );
        assert!(
            text.starts_with("m.toml:") && text.contains(message),
            "{text}\n{message}"
        );
    }
}
