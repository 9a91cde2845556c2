//! A small model with every kind of column and derived feature, its numbers drawn from a fixed generator: not trained,
//! but a valid file whose scores differ between candidates.

use pocketrank::format::{REQUIRED, SectionKind, Writer, assemble};
use pocketrank::spec::{
    Calibration, Decay, Dtype, Encoding, Feature, GROUP, Grid, IdType, Label, Lookup, NumberGrid,
    PANEL, Pooling, Side, Source, Spec, Table, Task, TaskKind, Tensor, TensorSection, Term,
    Transform,
};

/// A column that others are keyed by.
pub const ITEM: usize = 1;

fn transform() -> Transform {
    Transform {
        low: -10.0,
        high: 10.0,
        log1p: false,
        shift: 0.0,
        scale: 1.0,
    }
}

fn number(buckets: Option<u8>) -> Encoding {
    let value = Some(NumberGrid {
        bytes: 1,
        inv_scale: 6.0,
        zero_point: 60,
    });
    Encoding::Number {
        transform: transform(),
        default: 0.5,
        value,
        buckets,
    }
}

pub fn spec() -> Spec<'static> {
    let mut spec = Spec {
        name: "tiny",
        ..Spec::default()
    };
    let mut feature = |name, side, source, encoding| {
        spec.features
            .push(Feature {
                name,
                side,
                source,
                encoding,
            })
            .unwrap();
    };
    let column = Source::Column;
    feature(
        "user",
        Side::User,
        column,
        Encoding::Row {
            table: 0,
            default_row: 0,
        },
    );
    feature(
        "item",
        Side::Item,
        column,
        Encoding::Row {
            table: 1,
            default_row: 0,
        },
    );
    let tags = Encoding::Rows {
        table: 2,
        max_len: 3,
        pooling: Pooling::Mean,
        weighted: true,
        divisor: 1,
    };
    feature("tags", Side::Item, column, tags);
    feature("score", Side::Candidate, column, number(Some(3)));
    let grid = Grid {
        inv_scale: 10.0,
        zero_point: 64,
    };
    feature(
        "vector",
        Side::Item,
        column,
        Encoding::Vector { dim: 4, grid },
    );
    feature(
        "clicks",
        Side::User,
        Source::Count { label: 0 },
        number(None),
    );
    let rate = Source::KeyRate {
        label: 0,
        key: ITEM as u8,
        buckets: 8,
        decay: Decay::None,
        prior: 0.1,
        strength: 2.0,
    };
    feature("item_rate", Side::Cross, rate, number(None));

    let mut table = |name, num_embeddings, lookup| {
        spec.tables
            .push(Table {
                name,
                num_embeddings,
                embedding_dim: 4,
                bits: if name == "tags" { 4 } else { 8 },
                lookup,
            })
            .unwrap();
    };
    table("user", 17, Lookup::Hash(IdType::Int));
    table("item", 33, Lookup::Hash(IdType::Text));
    table("tags", 9, Lookup::Hash(IdType::Int));
    table("score", 6, Lookup::Buckets);

    spec.labels
        .push(Label {
            name: "click",
            log1p: false,
        })
        .unwrap();
    spec.network.num_experts = 2;
    spec.network
        .expert_layers
        .extend_from_slice(&[8, 6])
        .unwrap();
    for (name, unit, kind, given) in [
        ("click", "probability", TaskKind::Binary, None),
        ("watch", "s", TaskKind::Duration, Some(0)),
    ] {
        let tower_layers = [5u16].into_iter().collect();
        let task = Task {
            name,
            unit,
            kind,
            given,
            tower_layers,
            inputs: Default::default(),
            calibration: Calibration::None,
            score_scale: 10.0,
        };
        spec.tasks.push(task).unwrap();
    }
    for (name, task, entire, weight) in [("click", 0, false, 1.0), ("watch", 1, true, 0.1)] {
        spec.fusion
            .push(Term {
                name,
                task,
                entire,
                weight,
            })
            .unwrap();
    }
    spec
}

/// xorshift64*, as bytes.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 56) as u8
    }
    fn weight(&mut self) -> u8 {
        match self.byte() {
            0x80 => 0,
            byte => byte,
        }
    }
}

fn tensor(random: &mut Random, tensor: Tensor, dtype: Dtype, rows: usize, cols: usize) -> Vec<u8> {
    let len = dtype.bytes(rows, cols).unwrap();
    match dtype {
        Dtype::U7 => (0..len).map(|_| random.byte() & 127).collect(),
        // Its packed table has rows of an even length.
        Dtype::U4 => (0..len).map(|_| random.byte()).collect(),
        Dtype::I8 => (0..len).map(|_| random.weight()).collect(),
        Dtype::I8Panel => {
            let groups = cols.div_ceil(GROUP);
            let inside = |i: usize| {
                let (block, at) = (i / (PANEL * GROUP), i % (PANEL * GROUP));
                let row = block / groups * PANEL + at / GROUP;
                row < rows && block % groups * GROUP + at % GROUP < cols
            };
            (0..len)
                .map(|i| if inside(i) { random.weight() } else { 0 })
                .collect()
        }
        Dtype::I32 => (0..rows * cols)
            .flat_map(|i| (i as i32).to_le_bytes())
            .collect(),
        Dtype::F32 => (0..rows * cols)
            .flat_map(|i| {
                match tensor {
                    Tensor::Boundaries(_) => i as f32 - 2.0,
                    _ => 0.001 + f32::from(random.byte()) * 2e-5,
                }
                .to_le_bytes()
            })
            .collect(),
        Dtype::Bucket => unreachable!("no vocabulary"),
    }
}

/// The file.
pub fn tiny_model() -> Vec<u8> {
    seeded(1)
}

/// The same with other numbers.
pub fn seeded(seed: u64) -> Vec<u8> {
    let spec = spec();
    spec.check().unwrap();
    let mut records = Writer::default();
    let counts = [
        spec.features.len(),
        spec.tables.len(),
        spec.labels.len(),
        spec.tasks.len(),
    ];
    let counts = counts.map(|n| n as u8);
    records
        .record(&(spec.name, counts, spec.fusion.len() as u8))
        .unwrap();
    spec.features
        .iter()
        .for_each(|r| records.record(r).unwrap());
    spec.tables.iter().for_each(|r| records.record(r).unwrap());
    spec.labels.iter().for_each(|r| records.record(r).unwrap());
    records.record(&spec.network).unwrap();
    spec.tasks.iter().for_each(|r| records.record(r).unwrap());
    spec.fusion.iter().for_each(|r| records.record(r).unwrap());

    let mut random = Random(seed);
    let mut tensors = |section| {
        let mut writer = Writer::default();
        let written =
            spec.tensors::<pocketrank::error::Error>(section, &mut |t, dtype, rows, cols| {
                writer.tensor(
                    dtype,
                    rows,
                    cols,
                    &tensor(&mut random, t, dtype, rows, cols),
                )
            });
        written.unwrap();
        writer
    };
    let sections = [
        (SectionKind::Spec as u16, REQUIRED, records),
        (
            SectionKind::Lookups as u16,
            REQUIRED,
            tensors(TensorSection::Lookups),
        ),
        (
            SectionKind::Embeddings as u16,
            REQUIRED,
            tensors(TensorSection::Embeddings),
        ),
        (
            SectionKind::Layers as u16,
            REQUIRED,
            tensors(TensorSection::Layers),
        ),
    ];
    assemble(&sections).unwrap()
}
