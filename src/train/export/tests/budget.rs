//! Files of at most so many bytes.
use super::*;
use crate::features::{hash_int, table_row};
use crate::spec::{
    Encoding, Feature, IdType, Lookup, NetworkKind, Side, Source, Table, Task, TaskKind,
};
use crate::train::parameters::{Dense, Parameters};
use crate::train::quantize::Lookups;
use crate::train::requests::{OwnedColumn, OwnedRequest};
use crate::train::vocabulary;

mod auto;

const IDS: u64 = 200;
const DIM: usize = 8;
/// Rows of each part: requests of 20.
const ROWS: u32 = 1200;

/// Two tables of one shape that matter alike, and one task.
struct Subject {
    spec: Spec<'static>,
    parameters: Parameters<f32>,
    lookups: Lookups,
    counts: Vec<Vec<u32>>,
    pinned: Vec<bool>,
}

/// The second table's rows are on a grid of four bits; all but one of the first one's lie between its first three steps. Or,
/// if not `even_second`, the other way around.
fn subject(even_second: bool) -> Subject {
    let mut spec = Spec {
        name: "budget",
        ..Spec::default()
    };
    let mut lookups = Lookups::default();
    let mut counts = Vec::new();
    let mut tables = Vec::new();
    for (i, name) in ["first", "second"].into_iter().enumerate() {
        let mut keys: Vec<u64> = (0..IDS).map(hash_int).collect();
        lookups.vocabularies.push(vocabulary::build(&mut keys));
        lookups.boundaries.push(Vec::new());
        spec.tables
            .push(Table {
                name,
                num_embeddings: IDS as u32 + 1,
                embedding_dim: DIM as u16,
                bits: 8,
                lookup: Lookup::Vocabulary(IdType::Int),
            })
            .unwrap();
        spec.features
            .push(Feature {
                name,
                side: Side::Item,
                source: Source::Column,
                encoding: Encoding::Row {
                    table: i as u8,
                    default_row: 5,
                },
            })
            .unwrap();
        let draw = |j: usize| Key::new(i as u64).at(j as u64).bits();
        let value = |j: usize| {
            // All dimensions reach from 0 to 15 steps, so that whole steps are exact in four bits.
            match j / DIM {
                0 => 0.0,
                1 => 15.0,
                _ if (i == 1) == even_second => (draw(j) % 16) as f32,
                _ => (draw(j) % 16) as f32 / 10.0,
            }
        };
        let rows = 0..(IDS as usize + 1) * DIM;
        tables.push(rows.map(value).collect::<Vec<f32>>());
        // Ids are seen as often as their number says.
        let open =
            crate::features::Vocabulary::check(&lookups.vocabularies[i], IDS as u32).unwrap();
        let mut table = vec![3; IDS as usize + 1];
        for id in 0..IDS {
            table[open.position(hash_int(id)).unwrap() as usize + 1] = 1 + id as u32;
        }
        counts.push(table);
    }
    spec.network.kind = NetworkKind::SharedBottom;
    spec.network.num_experts = 1;
    spec.network.expert_layers.push(4).unwrap();
    spec.tasks
        .push(Task {
            name: "click",
            unit: "probability",
            kind: TaskKind::Binary,
            given: None,
            tower_layers: Default::default(),
            inputs: Default::default(),
            calibration: crate::spec::Calibration::None,
            score_scale: 1.0,
        })
        .unwrap();
    let dense = |outputs: usize, inputs: usize, scale: f32| Dense {
        outputs,
        inputs,
        weight: (0..outputs * inputs)
            .map(|j| Key::new(9).at(j as u64).normal() as f32 * scale)
            .collect(),
        bias: vec![0.1; outputs],
    };
    let mut first = dense(4, 2 * DIM, 0.05);
    for (j, weight) in first.weight.iter_mut().enumerate() {
        let second = j % (2 * DIM) >= DIM;
        *weight *= if second == even_second { 1.0 } else { 10.0 };
    }
    let parameters = Parameters {
        tables,
        experts: vec![vec![first]],
        gates: Vec::new(),
        upper_experts: Vec::new(),
        upper_gates: Vec::new(),
        towers: vec![Vec::new()],
        heads: vec![dense(1, 4, 1.0)],
        steps: vec![Dense::default()],
        attention: Vec::new(),
        bias: Vec::new(),
    };
    Subject {
        spec,
        parameters,
        lookups,
        counts,
        pinned: vec![false; 2],
    }
}

/// Ids of row `row` in each feature.
fn ids(row: u32) -> [u64; 2] {
    [0, 1].map(|f| Key::new(50 + f).at(row.into()).bits() % IDS)
}

fn hand_out(rows: core::ops::Range<u32>, visit: &mut Visit<'_>) -> Result<()> {
    for start in rows.step_by(20) {
        let rows: Vec<u32> = (start..start + 20).collect();
        let column = |f: usize| OwnedColumn::Ids {
            ids: rows.iter().map(|row| ids(*row)[f]).collect(),
            lists: None,
        };
        let request = OwnedRequest {
            num_candidates: 20,
            columns: vec![column(0), column(1)],
            ..OwnedRequest::default()
        };
        let columns = request.columns();
        visit(&request.as_request(&columns), &rows)?;
    }
    Ok(())
}

impl Subject {
    fn bytes(&self) -> usize {
        file_of(&self.lookups, &self.spec, &self.parameters)
            .unwrap()
            .len()
    }

    /// The f32 logit of a row.
    fn logit(&self, row: u32) -> f32 {
        let of = |f: usize| {
            let (table, key) = (&self.spec.tables[f], hash_int(ids(row)[f]));
            let vocabulary = &self.lookups.vocabularies[f];
            let open = crate::features::Vocabulary::check(vocabulary, IDS as u32).unwrap();
            let (at, _) = table_row(table, Some(&open), Some(key), 0);
            self.parameters.tables[f][at as usize * DIM..][..DIM].to_vec()
        };
        let layer = |d: &Dense<f32>, x: &[f32], relu: bool| -> Vec<f32> {
            let rows = d.weight.chunks_exact(d.inputs).zip(&d.bias);
            rows.map(|(w, b)| {
                let z = b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
                if relu { z.max(0.0) } else { z }
            })
            .collect()
        };
        let x = [of(0), of(1)].concat();
        let hidden = layer(&self.parameters.experts[0][0], &x, true);
        layer(&self.parameters.heads[0], &hidden, false)[0]
    }

    fn export(&self, options: &Options, path: &Path) -> Result<Report> {
        let logits: Vec<f32> = (0..2 * ROWS).map(|row| self.logit(row)).collect();
        let label = |row: u32| {
            let p = 1.0 / (1.0 + (-3.0 * logits[row as usize]).exp());
            f32::from(u8::from(
                Key::new(77).at(row.into()).uniform() < f64::from(p),
            ))
        };
        let tasks = [TaskData {
            labels: (0..2 * ROWS).map(label).collect(),
            weights: vec![1.0; 2 * ROWS as usize],
            ..TaskData::default()
        }];
        let mut run = Run {
            spec: &self.spec,
            parameters: &self.parameters,
            lookups: &self.lookups,
            counts: &self.counts,
            pinned: &self.pinned,
            server: &[],
            tasks: &tasks,
            logits: &mut |rows| rows.iter().map(|row| logits[*row as usize]).collect(),
            calibration: &mut |visit| hand_out(0..ROWS, visit),
            replay: &mut |visit| hand_out(ROWS..2 * ROWS, visit),
        };
        export(&mut run, options, path)
    }
}

fn at_most(max_bytes: usize) -> Options {
    Options {
        max_bytes: Some(max_bytes),
        // What is lost is another test's.
        auc_budget: 1.0,
        resamples: 20,
        ..Options::default()
    }
}

/// Bytes of a table that packing saves.
const SAVED: usize = (IDS as usize + 1) * DIM / 2;

#[test]
fn a_file_that_fits_is_as_described() {
    let folder = tempfile::tempdir().unwrap();
    let subject = subject(true);
    let report = subject
        .export(&at_most(subject.bytes()), &folder.path().join("m"))
        .unwrap();
    let budget = report.budget.unwrap();
    assert_eq!(
        (report.bytes, budget.bytes_before),
        (subject.bytes(), subject.bytes())
    );
    assert!(
        budget
            .tables
            .iter()
            .all(|t| t.bits == [8, 8] && t.floor == 0 && t.alone.is_none())
    );
}

#[test]
fn rows_go_by_training_rows_a_byte() {
    use crate::train::export::budget::{floor_of, row_price};
    let table = |embedding_dim: u16| Table {
        embedding_dim,
        ..subject(true).spec.tables[0]
    };
    // Packed values of each group and a key's share of a bucket of 6.5 keys.
    assert_eq!(row_price(&table(32), 1), 16.0 + 64.0 / 6.5);
    assert_eq!(row_price(&table(7), 3), 12.0 + 64.0 / 6.5);
    // At 2 training rows a byte a row of 10 bytes that 20 rows need goes, one that 21 need stays.
    assert_eq!([floor_of(2.0, 10.0), floor_of(0.0, 10.0)], [21, 1]);
}

#[test]
fn harm_is_loss_a_byte_saved() {
    // 2 a thousand bytes, 1 a hundred, none of 10, none of 20 and again 20.
    let mut tables = [
        (0.002, 1000, 0),
        (0.001, 100, 1),
        (0.0, 10, 2),
        (0.0, 20, 4),
        (0.0, 20, 3),
    ];
    crate::train::export::budget::least_harm_first(&mut tables);
    assert_eq!(tables.map(|t| t.2), [3, 4, 2, 0, 1]);
}

#[test]
fn the_table_that_loses_less_is_packed_first() {
    let folder = tempfile::tempdir().unwrap();
    for even_second in [false, true] {
        let subject = subject(even_second);
        let most = subject.bytes() - SAVED / 2;
        let path = folder.path().join("m");
        let report = subject.export(&at_most(most), &path).unwrap();
        assert!(report.bytes <= most && report.bytes == fs::read(&path).unwrap().len());
        let budget = report.budget.as_ref().unwrap();
        let bits: Vec<u8> = budget.tables.iter().map(|t| t.bits[1]).collect();
        assert_eq!(bits, if even_second { [8, 4] } else { [4, 8] }, "{report}");
        let alone = |t: usize| budget.tables[t].alone.unwrap();
        let (packed, left) = (usize::from(even_second), usize::from(!even_second));
        assert!(alone(packed) + 0.01 < alone(left), "{report}");
        assert!(
            budget
                .tables
                .iter()
                .all(|t| t.floor == 0 && t.rows[0] == t.rows[1])
        );
        let again = subject.export(&at_most(most), &path).unwrap();
        assert_eq!(again, report, "the same choice each time");
    }
}

#[test]
fn a_table_whose_bits_are_stated_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut subject = subject(true);
    subject.pinned[1] = true;
    let most = subject.bytes() - SAVED / 2;
    let report = subject
        .export(&at_most(most), &folder.path().join("m"))
        .unwrap();
    let budget = report.budget.unwrap();
    assert_eq!([budget.tables[0].bits[1], budget.tables[1].bits[1]], [4, 8]);
}

#[test]
fn floors_merge_the_rarest_ids_into_row_0_by_their_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let subject = subject(true);
    let most = subject.bytes() - 2 * SAVED - 1500;
    let report = subject.export(&at_most(most), &path).unwrap();
    assert!(
        report.bytes <= most && report.bytes > most - 400,
        "{report}"
    );
    let bytes = fs::read(&path).unwrap();
    let model = open(&bytes).unwrap();
    for (f, table) in report.budget.as_ref().unwrap().tables.iter().enumerate() {
        assert_eq!(table.bits, [8, 4]);
        assert!(table.floor > 10 && table.floor < 150, "{report}");
        let kept = |id: u64| model.row_of(f, hash_int(id)) != Some(0);
        // Id i was seen i + 1 times.
        for id in 0..IDS {
            assert_eq!(kept(id), id + 1 >= u64::from(table.floor), "{id} {report}");
        }
        assert_eq!(
            u64::from(table.rows[1]),
            1 + IDS + 1 - u64::from(table.floor)
        );
        // What was the default's row 5 is still that id's, or row 0.
        let Encoding::Row { default_row, .. } = model.spec().features[f].encoding else {
            unreachable!()
        };
        let open = crate::features::Vocabulary::check(&subject.lookups.vocabularies[f], IDS as u32);
        let (key, _) = open.unwrap().rows().find(|(_, row)| *row == 5).unwrap();
        assert_eq!(model.row_of(f, key), Some(default_row));
    }
}

#[test]
fn bits_that_floors_make_needless_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut subject = subject(true);
    // Most ids are as rare as each other, so they go together and leave room.
    for count in subject.counts.iter_mut().flatten() {
        *count = if *count <= 150 { 1 } else { 1000 };
    }
    let most = subject.bytes() - 2 * SAVED - 200;
    let report = subject
        .export(&at_most(most), &folder.path().join("m"))
        .unwrap();
    assert!(report.bytes <= most, "{report}");
    for table in &report.budget.as_ref().unwrap().tables {
        assert!(
            table.rows[1] < table.rows[0] && table.alone.is_some(),
            "{report}"
        );
        assert_eq!(table.bits, [8, 8], "{report}");
    }
}

#[test]
fn the_oov_row_stays_as_it_was_trained() {
    let mut subject = subject(true);
    let folder = tempfile::tempdir().unwrap();
    // No id keeps its row, and the rows that go are nothing like row 0.
    for (d, x) in subject.parameters.tables[0][..DIM].iter_mut().enumerate() {
        *x = 20.0 + d as f32;
    }
    let path = folder.path().join("m");
    let smallest = subject.export(&at_most(1), &path).unwrap_err().message;
    let number = |text: &str| {
        text.split(|c: char| !c.is_ascii_digit())
            .find_map(|n| n.parse::<usize>().ok())
    };
    let least = number(smallest.rsplit("make it ").next().unwrap()).unwrap();
    let budget = subject
        .export(&at_most(least), &path)
        .unwrap()
        .budget
        .unwrap();
    assert_eq!(budget.tables[0].rows[1], 1, "{budget}");
    let bytes = fs::read(&path).unwrap();
    let model = open(&bytes).unwrap();
    let got = budget_row(&model, &bytes);
    for (d, got) in got.iter().enumerate() {
        let want = subject.parameters.tables[0][d];
        assert!((got - want).abs() < 0.05, "{d}: {got} {want}");
    }
}

/// Row 0 of the first table of a file.
fn budget_row(model: &Model<'_>, bytes: &[u8]) -> Vec<f32> {
    use crate::format::SectionKind;
    use crate::spec::{Tensor, TensorSection};
    let file = File::check(bytes).unwrap();
    let mut reader = file.section(SectionKind::Embeddings);
    let (mut scales, mut zeros, mut row) = (Vec::new(), Vec::new(), Vec::new());
    model
        .spec()
        .tensors(
            TensorSection::Embeddings,
            &mut |tensor, dtype, rows, cols| {
                let data = reader.tensor(dtype, rows, cols)?;
                match tensor {
                    Tensor::TableScale(0) => {
                        let numbers = data.as_chunks::<4>().0.iter();
                        scales = numbers.map(|b| f32::from_le_bytes(*b)).collect();
                    }
                    Tensor::TableZeroPoint(0) => zeros = data.to_vec(),
                    Tensor::TableRows(0) => row = data.to_vec(),
                    _ => {}
                }
                Ok::<(), crate::error::Error>(())
            },
        )
        .unwrap();
    let value = |d: usize| {
        // A table of one row is as small with 8 bits, and so keeps them.
        let byte = match model.spec().tables[0].bits {
            8 => row[d],
            _ => [row[d / 2] % 16, row[d / 2] / 16][d % 2] * 8,
        };
        scales[d] * (f32::from(byte) - f32::from(zeros[d]))
    };
    (0..DIM).map(value).collect()
}

#[test]
fn a_budget_that_nothing_reaches_is_refused_with_the_smallest_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let mut subject = subject(true);
    let error = subject.export(&at_most(1000), &path).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.message.contains("max_bytes is 1000"), "{error}");
    assert!(!error.message.contains("train again"), "{error}");
    assert!(!path.exists());
    // Without counts vocabularies stay whole, and the refusal says so.
    subject.counts.iter_mut().for_each(Vec::clear);
    let most = subject.bytes() - 2 * SAVED - 1500;
    let error = subject.export(&at_most(most), &path).unwrap_err();
    assert!(error.message.contains("train again"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_fits_but_loses_too_much_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let subject = subject(true);
    let options = Options {
        auc_budget: 0.001,
        ..at_most(subject.bytes() - 2 * SAVED - 4000)
    };
    let report = subject.export(&options, &path).unwrap();
    let error = report.check().unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.message.contains("max_bytes took it from"), "{error}");
    assert!(!path.exists());
}
