//! What attends to a list, against naive integers and against real numbers.

use pocketrank::engine::{Column, Model, OpenOptions};
use pocketrank::features::{self, Event, Key, hash_int};
use pocketrank::kernels::Isa;
use pocketrank::spec::{Attention, Projection, Side, Source, Spec, Tensor};
use pocketrank::train::golden::{self, GoldenModel};
use pocketrank::train::requests::{OwnedColumn, OwnedRequest};

use super::network::{Tensors, softmax};
use super::ranked::{open, rank_owned, traced};

/// A row's bytes, halves of packed tables made whole.
fn row(spec: &Spec<'_>, t: &Tensors<'_>, table: u8, row: u32) -> Vec<i64> {
    let (table, row) = (usize::from(table), row as usize);
    let dim = usize::from(spec.tables[table].embedding_dim);
    let rows = t.bytes(Tensor::TableRows(table));
    let byte = |d: usize| match spec.tables[table].bits {
        8 => rows[row * dim + d],
        _ => {
            [
                rows[row * dim.div_ceil(2) + d / 2] % 16,
                rows[row * dim.div_ceil(2) + d / 2] / 16,
            ][d % 2]
                * 8
        }
    };
    (0..dim).map(|d| byte(d).into()).collect()
}

/// Steps of a projection in [-most, most], and their scale.
fn project(t: &Tensors<'_>, i: usize, of: Projection, row: &[i64], most: f32) -> (Vec<i64>, f32) {
    let scales = t.floats(Tensor::ProjectionScale(i, of));
    let zeros = t.bytes(Tensor::ProjectionZeroBias(i, of)).chunks(4);
    let zeros = zeros.map(|b| i64::from(i32::from_le_bytes(b.try_into().unwrap())));
    let weights = t.matrix(Tensor::ProjectionWeight(i, of), false);
    let values: Vec<f32> = (weights.iter().zip(zeros).zip(scales))
        .map(|((w, zero), scale)| {
            let sum: i64 = w.iter().zip(row).map(|(w, x)| w * x).sum();
            (sum + zero) as f32 * scale
        })
        .collect();
    let max = values.iter().map(|x| x.abs()).fold(0.0, f32::max);
    if max < 2f32.powi(-40) {
        return (vec![0; values.len()], 0.0);
    }
    let step = |x: &f32| (x * (most / max)).round_ties_even() as i64;
    (values.iter().map(step).collect(), max / most)
}

/// Bytes of feature `i` for a list of rows and the candidate's row.
fn attended(
    spec: &Spec<'_>,
    t: &Tensors<'_>,
    (i, a): (usize, &Attention),
    list: &[u32],
    id: u32,
) -> Vec<u8> {
    let table = usize::from(a.table);
    if list.is_empty() {
        return t.bytes(Tensor::TableZeroPoint(table)).to_vec();
    }
    let rows: Vec<Vec<i64>> = list.iter().map(|r| row(spec, t, a.table, *r)).collect();
    let id = row(spec, t, a.table, id);
    let (q, q_scale) = project(t, i, Projection::Query, &id, 63.0);
    let logits: Vec<f32> = rows
        .iter()
        .map(|row| {
            let (k, k_scale) = project(t, i, Projection::Key, row, 127.0);
            let sum: i64 = q.iter().zip(&k).map(|(q, k)| q * k).sum();
            sum as f32 * (k_scale * q_scale)
        })
        .collect();
    let weights = softmax(&logits);
    let byte = |d: usize| {
        let sum: i64 = (weights.iter().zip(&rows))
            .map(|(w, row)| i64::from(*w) * row[d])
            .sum();
        // Exact: a sum is below 2^22 x 2^15 / 2^15.
        (sum as f64 / 32768.0).round_ties_even() as u8
    };
    (0..a.width).map(byte).collect()
}

/// The same in f64, of the parameters that trained the file, and how far from it the device may be: half a step of the table.
fn in_real_numbers(
    golden: &GoldenModel,
    (at, a): (usize, &Attention),
    list: &[u32],
    id: u32,
) -> Vec<f64> {
    let table = &golden.parameters.tables[usize::from(a.table)];
    let row = |r: u32| -> Vec<f64> {
        let row = &table[r as usize * a.width..][..a.width];
        row.iter().map(|x| f64::from(*x)).collect()
    };
    let p = &golden.parameters.attention[at];
    let project = |w: &[f32], x: &[f64]| -> Vec<f64> {
        w.chunks(a.width)
            .map(|w| w.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum())
            .collect()
    };
    let q = project(&p.query.weight, &row(id));
    let logits: Vec<f64> = list
        .iter()
        .map(|r| {
            let k = project(&p.key.weight, &row(*r));
            let sum: f64 = q.iter().zip(&k).map(|(q, k)| q * k).sum();
            sum / (a.dim as f64).sqrt()
        })
        .collect();
    let max = logits.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = logits.iter().map(|z| (z - max).exp()).sum();
    let mut out = vec![0.0; a.width];
    for (z, r) in logits.iter().zip(list) {
        for (out, x) in out.iter_mut().zip(row(*r)) {
            *out += (z - max).exp() / sum * x;
        }
    }
    out
}

/// The rows of the list of the user that a feature attends to, and of the ids of `candidates`.
fn rows_of(
    model: &Model<'_>,
    request: &OwnedRequest,
    a: &Attention,
    candidates: usize,
) -> (Vec<u32>, Vec<u32>) {
    let row = |id: &u64| model.row_of(a.query, hash_int(*id)).unwrap();
    let list = match (&model.spec().features[a.of].source, &request.columns[a.of]) {
        (Source::LastIds { .. }, _) => {
            features::last_ids(model.spec(), request.state.as_deref(), a.of)
                .take(a.max_len)
                .map(|key| model.row_of(a.of, key).unwrap())
                .collect()
        }
        (_, OwnedColumn::Ids { ids, .. }) => ids.iter().take(a.max_len).map(row).collect(),
        _ => Vec::new(),
    };
    let OwnedColumn::Ids { ids, .. } = &request.columns[a.query] else {
        panic!("ids were given")
    };
    (list, ids[..candidates].iter().map(row).collect())
}

/// A request with a list of `len` ids.
fn request_of(golden: &GoldenModel, seed: u64, candidates: usize, len: usize) -> OwnedRequest {
    let mut request = golden::request(golden, seed, candidates);
    for (_, a) in golden.spec.attentions() {
        let draw = |i: usize| (seed * 31 + i as u64 * 7 + i as u64 / 3) % 20;
        if golden.spec.features[a.of].source == Source::Column {
            request.columns[a.of] = OwnedColumn::Ids {
                ids: (0..len).map(draw).collect(),
                lists: None,
            };
        }
        request.columns[a.query] = OwnedColumn::Ids {
            ids: (0..candidates).map(|i| draw(i + 100)).collect(),
            lists: None,
        };
    }
    request
}

#[test]
fn bytes_are_those_of_naive_integers_and_near_real_numbers() {
    let (mut checked, mut moved, mut off, mut count) = (0, 0, 0.0, 0.0);
    for seed in 0..24 {
        let golden = golden::attending(seed);
        let (spec, tensors) = (&golden.spec, Tensors::read(&golden.bytes, &golden.spec));
        let model = open(&golden.bytes);
        for (r, len) in [0, 1, 2, 7, 8, 15, 16, 17, 33, 60].into_iter().enumerate() {
            let request = request_of(&golden, seed * 100 + r as u64, 3, len);
            let all = traced(&model, &request);
            for (at, (i, a)) in spec.attentions().enumerate() {
                let (list, ids) = rows_of(&model, &request, &a, 3);
                let offset = spec.inputs(Side::Cross).find(|x| x.feature == i).unwrap();
                let scale = tensors.floats(Tensor::TableScale(usize::from(a.table)));
                let zero = tensors.bytes(Tensor::TableZeroPoint(usize::from(a.table)));
                for (id, (inputs, _)) in ids.iter().zip(&all) {
                    let got = &inputs[0][Side::Cross as usize][offset.offset..][..a.width];
                    let want = attended(spec, &tensors, (i, &a), &list, *id);
                    assert_eq!(got, want, "seed {seed}, {len} rows");
                    let real = in_real_numbers(&golden, (at, &a), &list, *id);
                    for (d, real) in real.iter().enumerate() {
                        let value = (f64::from(got[d]) - f64::from(zero[d])) * f64::from(scale[d]);
                        off += (value - real).abs() / (127.0 * f64::from(scale[d])).max(1e-9);
                        count += 1.0;
                    }
                    checked += usize::from(!list.is_empty());
                    moved += usize::from(ids.iter().zip(&all).any(|(_, (other, _))| {
                        other[0][Side::Cross as usize][offset.offset..][..a.width] != *got
                    }));
                }
            }
        }
    }
    println!(
        "{checked} lists, {moved} of which differ by candidate; off by {} of a range",
        off / count
    );
    assert!(checked > 500 && moved > 200, "{checked} {moved}");
    assert!(off / count < 0.02, "{}", off / count);
}

#[test]
fn every_instruction_set_attends_alike() {
    for seed in 0..24 {
        let golden = golden::attending(seed);
        let model = open(&golden.bytes);
        for (r, len) in [0, 5, 16, 40].into_iter().enumerate() {
            let request = request_of(&golden, seed * 7 + r as u64, 19, len);
            let want = rank_owned(&model, &request);
            for isa in Isa::available() {
                let mut other = Box::new(Model::new());
                other
                    .open(&golden.bytes, &OpenOptions { isa: Some(isa) })
                    .unwrap();
                assert_eq!(rank_owned(&other, &request), want, "{} {seed}", isa.name());
            }
        }
    }
}

#[test]
fn feedback_changes_what_is_attended_to() {
    let mut changed = 0;
    for seed in 0..12 {
        let golden = golden::attending(seed);
        let model = open(&golden.bytes);
        let item = golden.spec.feature("item").unwrap();
        let mut request = request_of(&golden, seed, 9, 5);
        let mut state = vec![0; model.state_bytes()];
        model.state_reset(&mut state).unwrap();
        let mut before = None;
        for id in 0..4 {
            request.state = Some(state.clone());
            let attended: Vec<Vec<u8>> = traced(&model, &request)
                .into_iter()
                .map(|(inputs, _)| inputs[0][Side::Cross as usize].clone())
                .collect();
            changed += usize::from(before.is_some_and(|before| before != attended));
            before = Some(attended);
            let keys = [Key {
                feature: item as u8,
                hash: hash_int(id),
            }];
            let event = Event {
                time: 1_700_000_000 + id as i64,
                label: 0,
                value: 1.0,
                keys: &keys,
            };
            model.state_apply(&mut state, &event).unwrap();
        }
    }
    assert!(changed >= 15, "{changed} of 36");
}

#[test]
fn what_attends_takes_no_column_and_is_no_vector() {
    use pocketrank::engine::Request;
    use pocketrank::error::Status;
    let golden = golden::attending(0);
    let model = open(&golden.bytes);
    let (i, _) = golden.spec.attentions().next().unwrap();
    assert_eq!(model.vector_dim(i).unwrap_err().status, Status::WrongForm);
    let mut columns = vec![Column::Missing; i];
    columns.push(Column::Rows {
        rows: &[1],
        lists: None,
    });
    let request = Request {
        num_candidates: 1,
        columns: &columns,
        ..Request::default()
    };
    let error = super::rank(&model, &request, 1).unwrap_err();
    assert_eq!((error.status, error.feature), (Status::WrongForm, i as u32));
}
