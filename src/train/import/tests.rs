//! Tensors that are taken: what they become, and what can be exported of them.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView, serialize};

use super::*;
use crate::train::random::Key;

mod refusals;
mod round_trip;
mod scores;

const DESCRIPTION: &str = r#"
[data]
path = "none.csv"

[[label]]
name = "click"

[[label]]
name = "like"

[[feature]]
name = "user"
side = "user"
kind = "id"
hash = 5
dim = 4

[[feature]]
name = "history"
side = "user"
kind = "ids"
table = "item"
max_len = 3

[[feature]]
name = "item"
side = "item"
kind = "id"
vocabulary = { min_count = 7 }
dim = 4

[[feature]]
name = "age"
side = "candidate"
kind = "number"
transform = ["standardize"]
clip = [-2, 4]
buckets = 4
dim = 2
default = 1

[network]
kind = "mmoe"
experts = 2
expert_layers = [8, 6]
tower_layers = [4]

[[task]]
name = "click"
kind = "binary"

[[task]]
name = "like"
kind = "binary"
"#;

const INPUTS: usize = 4 + 4 + 4 + 1 + 2;
const IDS: [i64; 6] = [70, -9, 4, 1 << 40, 0, 12];

struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn floats(shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self {
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            bytes,
        }
    }

    fn doubles(shape: &[usize], values: &[f64]) -> Self {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self {
            dtype: Dtype::F64,
            shape: shape.to_vec(),
            bytes,
        }
    }

    fn integers(dtype: Dtype, values: &[u64]) -> Self {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self {
            dtype,
            shape: vec![values.len()],
            bytes,
        }
    }

    fn f64s(&self) -> Vec<f64> {
        let values = self.bytes.as_chunks().0.iter();
        values.map(|b| f32::from_le_bytes(*b).into()).collect()
    }
}

type Tensors = BTreeMap<String, Tensor>;

fn write(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(name, t)| {
        let view = TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap();
        (name.clone(), view)
    });
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}

/// A folder with a description and tensors, and what is done with them.
struct Case {
    folder: tempfile::TempDir,
    text: String,
    tensors: Tensors,
}

impl Case {
    fn new() -> Self {
        let mut tensors = Tensors::new();
        let mut draws = 0;
        let mut random = |shape: &[usize], deviation: f64| {
            draws += 1;
            let key = Key::new(3).at(draws);
            let values: Vec<f32> = (0..shape.iter().product::<usize>())
                .map(|i| (key.at(i as u64).normal() * deviation) as f32)
                .collect();
            Tensor::floats(shape, &values)
        };
        let mut add = |name: &str, tensor: Tensor| tensors.insert(name.to_string(), tensor);
        add("table.user.weight", random(&[6, 4], 0.5));
        add("table.item.weight", random(&[7, 4], 0.5));
        add("table.age:buckets.weight", random(&[5, 2], 0.5));
        add(
            "table.item.ids",
            Tensor::integers(Dtype::I64, &IDS.map(|id| id as u64)),
        );
        add("number.age.moments", Tensor::floats(&[2], &[0.5, 2.0]));
        add(
            "number.age.boundaries",
            Tensor::floats(&[3], &[-1.0, 0.25, 2.0]),
        );
        let mut dense = |name: &str, outputs: usize, inputs: usize| {
            let deviation = libm::sqrt(2.0 / inputs as f64);
            add(
                &format!("{name}.weight"),
                random(&[outputs, inputs], deviation),
            );
            add(&format!("{name}.bias"), random(&[outputs], 0.1));
        };
        for e in 0..2 {
            dense(&format!("expert.{e}.0"), 8, INPUTS);
            dense(&format!("expert.{e}.1"), 6, 8);
        }
        for task in ["click", "like"] {
            dense(&format!("gate.{task}.0"), 2, INPUTS);
            dense(&format!("tower.{task}.0"), 4, 6);
            dense(&format!("head.{task}"), 1, 4);
        }
        Self {
            folder: tempfile::tempdir().unwrap(),
            text: DESCRIPTION.into(),
            tensors,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn import(&self) -> Result<Report> {
        fs::write(self.path("model.toml"), &self.text).unwrap();
        write(&self.path("weights.safetensors"), &self.tensors);
        import(&Options {
            model: &self.path("model.toml"),
            weights: &self.path("weights.safetensors"),
            data: None,
            out: &self.path("run"),
        })
    }

    /// The one line that the import is refused with, without its folder.
    fn refusal(&self) -> String {
        let text = self.import().unwrap_err().to_string();
        assert!(!text.contains('\n'), "{text}");
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

#[test]
fn a_model_is_taken_whole() {
    let case = Case::new();
    let report = case.import().unwrap();
    assert_eq!(report.tensors, case.tensors.len());
    let dense = 2 * (8 * INPUTS + 8 + 6 * 8 + 6) + 2 * (2 * INPUTS + 2 + 4 * 6 + 4 + 4 + 1);
    assert_eq!(report.parameters, [6 * 4 + 7 * 4 + 5 * 2, dense]);
    let run = run::Run::open(&case.path("run")).unwrap();
    assert!(run.imported);
    let parameters = run.parameters().unwrap();
    let rows = case.tensors["table.item.weight"].f64s();
    for (i, id) in IDS.iter().enumerate() {
        let id = crate::train::description::DefaultValue::Number(*id as f64);
        let row = run.fit.id_row(2, &id) as usize;
        let found: Vec<f64> = parameters.tables[1][row * 4..][..4]
            .iter()
            .map(|x| f64::from(*x))
            .collect();
        assert_eq!(found, rows[(i + 1) * 4..][..4]);
    }
    let unknown = crate::train::description::DefaultValue::Number(5.0);
    assert_eq!(run.fit.id_row(2, &unknown), 0);
    let age = &run.fit.features[3];
    let t = age.transform;
    assert_eq!([t.low, t.high, t.shift, t.scale], [-2.0, 4.0, 0.5, 0.5]);
    assert_eq!((age.default, age.boundaries.len()), (1.0, 3));
}

#[test]
fn the_plan_names_what_is_taken() {
    let case = Case::new();
    let d = Description::parse(Path::new("model.toml"), case.text.clone()).unwrap();
    let plan = plan(&d).unwrap();
    let mut needed: Vec<&str> = plan.tensors.iter().map(|t| t.name.as_str()).collect();
    let stated = ["number.age.range", "number.age.default"];
    needed.retain(|name| !stated.contains(name));
    needed.sort_unstable();
    assert_eq!(needed, case.tensors.keys().collect::<Vec<_>>());
    let of = |name: &str| {
        let tensor = plan.tensors.iter().find(|t| t.name == name).unwrap();
        format!("{} {}", tensor.shape, tensor.instead)
    };
    assert_eq!(of("table.user.weight"), "[6, 4] ");
    assert_eq!(of("table.item.weight"), "[1 + ids, 4] ");
    assert_eq!(of("table.age:buckets.weight"), "[2 + boundaries, 2] ");
    assert_eq!(of("number.age.range"), "[2] the description");
    assert_eq!(of("number.age.moments"), "[2] --data");
    assert_eq!(of("head.like.weight"), "[1, 4] ");
    let inputs = plan.inputs.iter();
    let inputs: Vec<String> = inputs
        .map(|i| format!("{} {} {}+{}", i.side, i.feature, i.column, i.columns))
        .collect();
    let wanted = [
        "user user 0+4",
        "user history 4+4",
        "item item 8+4",
        "candidate age 12+1",
        "candidate age 13+2",
    ];
    assert_eq!(inputs, wanted);
}

#[test]
fn an_import_takes_bits_and_a_size_that_fits() {
    let mut case = Case::new();
    case.import().unwrap();
    let file = case.path("model.pkr");
    let export = |options: &run::ExportOptions<'_>| {
        let report = run::export(&case.path("run"), &file, options)?;
        assert_eq!(report.bytes, fs::read(&file).unwrap().len());
        Ok::<usize, Error>(report.bytes)
    };
    let bits = || -> Vec<u8> {
        let inspection = crate::train::inspect::inspect(&fs::read(&file).unwrap()).unwrap();
        inspection.tables.iter().map(|t| t.bits).collect()
    };
    let whole = export(&Default::default()).unwrap();
    assert_eq!(bits(), [8; 3]);
    let four = run::ExportOptions {
        bits: Some(4),
        ..Default::default()
    };
    let packed = export(&four).unwrap();
    assert_eq!(bits(), [4; 3]);
    // Tables so small lie within the padding of what follows.
    assert!(packed <= whole, "{packed} {whole}");
    // Without rows nothing says what 4 bits cost, so a size is held and never made.
    let most = |max_bytes: usize, bits: Option<u8>| run::ExportOptions {
        max_bytes: Some(max_bytes),
        bits,
        ..Default::default()
    };
    assert_eq!(export(&most(packed, Some(4))).unwrap(), packed);
    assert_eq!(export(&most(whole, None)).unwrap(), whole);
    assert_eq!(bits(), [8; 3]);
    let before = fs::read(&file).unwrap();
    for (max_bytes, bits) in [(whole - 1, None), (packed - 1, Some(4))] {
        let error = export(&most(max_bytes, bits)).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        let error = error.to_string();
        let wanted = format!("max_bytes is {max_bytes}; what 4 bits cost is measured on rows");
        assert!(error.contains(&wanted), "{error}");
    }
    assert!(fs::read(&file).unwrap() == before);
    case.text += "\n[export]\nbits = 4\nmax_bytes = 1000000\n";
    case.import().unwrap();
    assert_eq!(
        run::export(&case.path("run"), &file, &Default::default())
            .unwrap()
            .bytes,
        packed
    );
}

#[test]
fn an_import_without_a_log_writes_the_servers_rows_by_key() {
    let mut case = Case::new();
    case.text = case.text.replace("[[feature]]\nname = \"history\"\nside = \"user\"\nkind = \"ids\"\ntable = \"item\"\nmax_len = 3\n", "");
    case.text = case
        .text
        .replace("min_count = 7 }", "min_count = 7 }\nserver = true");
    for (name, tensor) in &mut case.tensors {
        // The first layers lose the history's four columns, 4 to 8.
        if (name.starts_with("expert") || name.starts_with("gate")) && name.ends_with(".0.weight") {
            let rows = tensor.shape[0];
            let all = tensor.f64s();
            let kept = |r: usize| {
                [
                    &all[r * INPUTS..][..4],
                    &all[r * INPUTS + 8..][..INPUTS - 8],
                ]
                .concat()
            };
            let kept: Vec<f32> = (0..rows).flat_map(kept).map(|x| x as f32).collect();
            *tensor = Tensor::floats(&[rows, INPUTS - 4], &kept);
        }
    }
    case.import().unwrap();
    let file = case.path("model.pkr");
    let report = run::export(&case.path("run"), &file, &Default::default()).unwrap();
    assert_eq!(report.server.len(), 1);
    let table = &report.server[0];
    assert_eq!((table.rows, table.dim, table.without_id), (7, 4, 6));
    assert!(
        report.to_string().contains("does not have 6 of the ids"),
        "{report}"
    );
    let text = fs::read_to_string(&table.file).unwrap();
    for id in IDS {
        let key = hash_int(id as u64);
        assert!(text.contains(&format!("\n,{key},")), "{text}");
    }
}
