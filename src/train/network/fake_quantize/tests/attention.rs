//! Attention on grids: bytes and scores of the engine, and gradients straight through.
use super::*;
use crate::engine::{Scratch, Trace};
use crate::features::bucket_row;
use crate::spec::{Attention, Calibration, Side, Source};
use crate::train::golden;
use crate::train::gradient::tests::attention::Torch;
use crate::train::network::backward::ShardGradients;
use crate::train::network::forward::Activations;
use crate::train::network::gather::TableGradient;
use crate::train::random::Key;
use crate::train::real::dot;
use crate::train::synthetic::attending;

/// A golden model that attends, all of whose other features have columns, and `n` rows of random values of all of them: as data
/// and as requests.
struct Golden {
    spec: Spec<'static>,
    parameters: Parameters<f32>,
    lookups: Lookups,
    data: Dataset,
    requests: Vec<OwnedRequest>,
}

fn golden(seed: u64, n: usize) -> Golden {
    let golden = golden::attending(seed);
    let (mut spec, mut lookups) = (golden.spec, golden.lookups);
    for feature in &mut spec.features {
        if !matches!(feature.source, Source::Attention { .. }) {
            feature.source = Source::Column;
        }
    }
    for task in &mut spec.tasks {
        (task.calibration, task.score_scale) = (Calibration::None, 1.0);
    }
    lookups.knots = Vec::new();
    let mut data = Dataset {
        request: (0..n as u32).collect(),
        ..Dataset::default()
    };
    let mut requests = vec![OwnedRequest::default(); n];
    for (i, feature) in spec.features.iter().enumerate() {
        let below = |place: usize, most: u32| {
            let bits = Key::new(seed).at(i as u64).at(place as u64).bits();
            (bits % u64::from(most)) as u32
        };
        let num_rows = |table: u8| spec.tables[usize::from(table)].num_embeddings;
        let mut give = |row: usize, column: OwnedColumn| requests[row].columns.push(column);
        let values = match feature.encoding {
            _ if feature.source != Source::Column => continue,
            Encoding::Row { table, .. } => {
                let all: Vec<u32> = (0..n).map(|row| below(row, num_rows(table))).collect();
                for (row, id) in all.iter().enumerate() {
                    let (rows, lists) = (vec![*id], None);
                    give(row, OwnedColumn::Rows { rows, lists });
                }
                FeatureData::Rows(all)
            }
            Encoding::Rows {
                table,
                max_len,
                weighted,
                ..
            } => {
                let (mut offsets, mut all, mut q15) = (vec![0], Vec::new(), Vec::new());
                for row in 0..n {
                    let len = below(row, u32::from(max_len) + 1) as usize;
                    let place = |j: usize| n + 512 * row + 2 * j;
                    let id = |j: usize| below(place(j), num_rows(table));
                    let weight = |j: usize| below(place(j) + 1, 32769) as u16;
                    let rows: Vec<u32> = (0..len).map(id).collect();
                    let weights: Vec<u16> = (0..len).map(weight).collect();
                    let as_float = weights.iter().map(|w| f32::from(*w) / 32768.0);
                    let lists = Some(OwnedLists {
                        offsets: vec![0, len as u32],
                        weights: weighted.then(|| as_float.collect()),
                    });
                    all.extend(&rows);
                    q15.extend(weights);
                    offsets.push(all.len() as u32);
                    give(row, OwnedColumn::Rows { rows, lists });
                }
                FeatureData::Lists {
                    offsets,
                    rows: all,
                    weights: weighted.then_some(q15),
                }
            }
            Encoding::Number {
                transform,
                value,
                buckets,
                ..
            } => {
                let raw: Vec<f32> = (0..n).map(|row| below(row, 400) as f32 / 8.0).collect();
                for (row, x) in raw.iter().enumerate() {
                    give(row, OwnedColumn::Floats(vec![*x]));
                }
                let boundaries = lookups.boundaries[i].iter();
                let boundaries: Vec<u8> = boundaries.flat_map(|b| b.to_le_bytes()).collect();
                let bucket = |x: &f32| bucket_row(&transform, &boundaries, *x);
                FeatureData::Numbers {
                    values: match value {
                        Some(_) => raw.iter().map(|x| transform.apply(*x)).collect(),
                        None => Vec::new(),
                    },
                    buckets: match buckets {
                        Some(_) => raw.iter().map(bucket).collect(),
                        None => Vec::new(),
                    },
                }
            }
            Encoding::Vector { dim, .. } => {
                let dim = usize::from(dim);
                let all: Vec<u8> = (0..n * dim).map(|at| below(at, 128) as u8).collect();
                for (row, bytes) in all.chunks(dim).enumerate() {
                    give(row, OwnedColumn::Bytes(bytes.to_vec()));
                }
                FeatureData::Vectors(all)
            }
        };
        data.features.push(values);
    }
    for request in &mut requests {
        request.num_candidates = 1;
    }
    Golden {
        spec,
        parameters: golden.parameters,
        lookups,
        data,
        requests,
    }
}

/// The cross side's bytes of a request of one candidate.
fn cross_bytes(model: &Model<'_>, request: &OwnedRequest) -> Vec<u8> {
    let need = model.scratch_len(1);
    let (mut floats, mut bytes) = (vec![0.0; need.floats], vec![0; need.bytes]);
    let mut scratch = Scratch {
        floats: &mut floats,
        bytes: &mut bytes,
    };
    let (columns, mut cross) = (request.columns(), Vec::new());
    let see = &mut |step: Trace<'_>| {
        if let Trace::Inputs(0, Side::Cross, bytes) = step {
            cross = bytes.to_vec();
        }
    };
    let request = request.as_request(&columns);
    model.trace(&request, 0, &mut scratch, see).unwrap();
    cross
}

/// What a feature attends to, as bytes of its table's grid.
fn attended_bytes(
    network: &Network,
    (feature, plan): (usize, &Attention),
    a: &Activations<f32>,
    row: usize,
) -> Vec<u8> {
    let mut inputs = network.inputs.iter();
    let input = inputs.find(|i| i.feature == feature).unwrap();
    let x = &a.x[row * network.x_stride() + input.offset..][..plan.width];
    let grids = network.grids.as_ref().unwrap();
    let grid = grids.tables[usize::from(plan.table)].as_ref().unwrap();
    let of_dimension = grid.scales.iter().zip(&grid.zero_points).zip(x);
    let byte = |((scale, zero), x): ((&f32, &u8), &f32)| match *scale > 0.0 {
        true => (libm::round(f64::from(*x) / f64::from(*scale)) + f64::from(*zero)) as u8,
        false => *zero,
    };
    of_dimension.map(byte).collect()
}

/// Holds what attends in a batch against the engine, and says how much that was.
fn same_bytes(
    spec: &Spec<'_>,
    network: &Network,
    a: &Activations<f32>,
    (model, requests): (&Model<'_>, &[OwnedRequest]),
) -> usize {
    for (feature, plan) in spec.attentions() {
        let mut inputs = spec.inputs(Side::Cross);
        let input = inputs.find(|i| i.feature == feature).unwrap();
        for (row, request) in requests.iter().enumerate() {
            let want = cross_bytes(model, request);
            let want = &want[input.offset..input.offset + plan.width];
            let got = attended_bytes(network, (feature, &plan), a, row);
            assert_eq!(got, want, "{} row {row}", spec.features[feature].name);
        }
    }
    requests.len() * spec.attentions().count()
}

#[test]
fn what_attends_in_a_trained_network_has_the_engines_bytes() {
    let (data, mut lists) = (log(1200, 3), 0);
    let rows: Vec<u32> = (944..1200).collect();
    for (name, spec) in variants() {
        if spec.attentions().next().is_none() {
            continue;
        }
        let p = trained(&spec, &data);
        let file = quantize(&spec, &p, &lookups(&spec)).unwrap();
        let mut model = Box::new(Model::new());
        model.open(&file, &OpenOptions::default()).unwrap();
        let mut network = Network::new(&spec);
        let mut weights = network.weights(p);
        let forms = forms(&spec);
        weights.dense = network.put_on_grids(&spec, &forms, &weights).unwrap();
        let mut a = Activations::default();
        network.forward(&weights, &data, &rows, 0, None, &mut a);
        let request = |row: &u32| request(&spec, &data, *row as usize);
        let requests: Vec<OwnedRequest> = rows.iter().map(request).collect();
        lists += same_bytes(&spec, &network, &a, (&model, &requests));
        std::eprintln!("{name}: {lists}");
    }
    assert_eq!(lists, 2 * 2 * rows.len());
}

#[test]
fn what_attends_has_the_engines_bytes_and_scores() {
    const ROWS: usize = 64;
    const MODELS: u64 = 16;
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let (mut lists, mut squares, mut differ) = (0, [0.0; 2], [0.0; 2]);
    for seed in 200..200 + MODELS {
        let Golden {
            spec,
            parameters,
            lookups,
            data,
            requests,
        } = golden(seed, ROWS);
        let file = quantize(&spec, &parameters, &lookups).unwrap();
        let mut model = Box::new(Model::new());
        model.open(&file, &OpenOptions::default()).unwrap();
        let replayed = export::replay(&model, &mut |visit| {
            requests.iter().enumerate().try_for_each(|(row, request)| {
                visit(&request.as_request(&request.columns()), &[row as u32])
            })
        });
        let device = replayed.unwrap().scores;
        let mut network = Network::new(&spec);
        let mut weights = network.weights(parameters);
        let exact = scores(&spec, &network.predict(&weights, &data, &rows));
        weights.dense = network
            .put_on_grids(&spec, &forms(&spec), &weights)
            .unwrap();
        let mut a = Activations::default();
        network.forward(&weights, &data, &rows, 0, None, &mut a);
        lists += same_bytes(&spec, &network, &a, (&model, &requests));
        let fake = scores(&spec, &network.predict(&weights, &data, &rows));
        let (exact, fake) = (differences(&exact, &device), differences(&fake, &device));
        std::eprintln!("{seed}: exact {exact:?}, on grids {fake:?}");
        for ((sum, differ), of) in squares.iter_mut().zip(&mut differ).zip([exact, fake]) {
            *sum += of[1] * of[1] / MODELS as f64;
            *differ += of[2] / MODELS as f64;
        }
    }
    let [exact, fake] = squares.map(libm::sqrt);
    std::eprintln!("{lists} lists; exact {exact}, on grids {fake}; {differ:?} differ");
    assert!(lists > 1000 && fake < exact / 200.0 && differ[1] < 0.01);
}

#[test]
fn rows_that_diverged_stay_so() {
    let mut row = [1.0, f64::NAN];
    assert!(super::super::attention::to_steps(&mut row, 127.0).is_nan() && row[1].is_nan());
    let mut row = [-2.0, 0.5, 0.0];
    assert_eq!(
        super::super::attention::to_steps(&mut row, 63.0),
        2.0 / 63.0
    );
    assert_eq!(row, [-63.0, 16.0, 0.0]);
    let mut row = [1e-20, 0.0];
    assert_eq!(super::super::attention::to_steps(&mut row, 127.0), 0.0);
    assert_eq!(row, [0.0, 0.0]);
}

/// A network on the grids of its parameters, in f64.
fn on_grids(spec: &Spec<'_>, p: Parameters<f32>, form: TableForm) -> (Network, Weights<f64>) {
    let mut network = Network::new(spec);
    let mut weights = network.weights(p);
    let forms = vec![form; spec.tables.len()];
    weights.dense = network.put_on_grids(spec, &forms, &weights).unwrap();
    let wide = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let weights = Weights {
        tables: weights.tables.iter().map(|t| wide(t)).collect(),
        dense: wide(&weights.dense),
    };
    (network, weights)
}

/// Gradients of projections, and of the table that is attended to, for those of x.
fn gradients(
    network: &Network,
    weights: &Weights<f64>,
    a: &Activations<f64>,
    dx: Vec<f64>,
) -> (Vec<f64>, Vec<f64>) {
    let mut g = ShardGradients::default();
    g.dense.resize(network.num_dense, 0.0);
    g.x = dx;
    network.attend_backward(weights, a, &mut g);
    let (mut table, data) = (TableGradient::default(), Dataset::default());
    table.scatter(network, 1, &data, &[], None, core::iter::empty::<&[f64]>());
    table.scatter_attended(network, 1, core::iter::once((a, &g)));
    let plan = network.tables[1];
    let mut dense = vec![0.0; plan.num_embeddings * plan.dim];
    for (row, values) in table.rows.iter().zip(table.values.chunks(plan.dim)) {
        dense[*row as usize * plan.dim..][..plan.dim].copy_from_slice(values);
    }
    (g.dense, dense)
}

/// A row of the batch: its id, what roundings add to its query, and its list.
struct SmoothRow {
    id: usize,
    query: Vec<f64>,
    list: Vec<Added>,
}

/// What roundings add to the key and to the logit of a row of a list.
struct Added {
    row: usize,
    key: Vec<f64>,
    logit: f64,
}

/// Outputs as a smooth function of rows and projections which has the keys, queries and shares of a forward pass on grids at the
/// values of that: what each rounding adds is a constant.
struct Smooth<'s> {
    network: &'s Network,
    /// Number of the feature.
    feature: usize,
    rows: Vec<SmoothRow>,
}

impl<'s> Smooth<'s> {
    fn of(network: &'s Network, feature: usize, w: &Weights<f64>, a: &Activations<f64>) -> Self {
        let (plan, of) = (&network.attention[feature], &a.attended[feature]);
        let (dim, on) = (plan.query.outputs, of.on_grid.as_ref().unwrap());
        let mut smooth = Self {
            network,
            feature,
            rows: Vec::new(),
        };
        let less = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        for (r, id) in of.ids.iter().enumerate() {
            let query = &of.queries[r * dim..(r + 1) * dim];
            let of_element = |j: usize| {
                let place = on.places[j];
                let key = &on.keys[place * dim..(place + 1) * dim];
                let logit = dot(query, key) / libm::sqrt(dim as f64);
                Added {
                    row: of.rows[j],
                    key: less(key, &smooth.projected(w, plan.key.weight, of.rows[j])),
                    logit: of.shares[j].ln() - logit,
                }
            };
            let list = (of.offsets[r]..of.offsets[r + 1]).map(of_element).collect();
            let query = less(query, &smooth.projected(w, plan.query.weight, *id));
            let id = *id;
            smooth.rows.push(SmoothRow { id, query, list });
        }
        smooth
    }

    fn projected(&self, w: &Weights<f64>, weight: usize, row: usize) -> Vec<f64> {
        let plan = &self.network.attention[self.feature];
        let (dim, width) = (plan.query.outputs, plan.query.inputs);
        let e = &w.tables[plan.table][row * width..(row + 1) * width];
        let rows = w.dense[weight..weight + dim * width].chunks(width);
        rows.map(|w| dot(w, e)).collect()
    }

    /// The sum of outputs times `upstream` `[rows, width]`.
    fn value(&self, w: &Weights<f64>, upstream: &[f64]) -> f64 {
        let plan = &self.network.attention[self.feature];
        let (dim, width) = (plan.query.outputs, plan.query.inputs);
        let plus = |mut a: Vec<f64>, b: &[f64]| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        };
        let of_row = |(row, upstream): (&SmoothRow, &[f64])| {
            let query = plus(self.projected(w, plan.query.weight, row.id), &row.query);
            let exp = |of: &Added| {
                let key = plus(self.projected(w, plan.key.weight, of.row), &of.key);
                libm::exp(dot(&query, &key) / libm::sqrt(dim as f64) + of.logit)
            };
            let exps: Vec<f64> = row.list.iter().map(exp).collect();
            let all: f64 = exps.iter().sum();
            let share = |(of, e): (&Added, &f64)| {
                let value = &w.tables[plan.table][of.row * width..(of.row + 1) * width];
                e / all * dot(value, upstream)
            };
            row.list.iter().zip(&exps).map(share).sum::<f64>()
        };
        let rows = self.rows.iter().zip(upstream.chunks(width));
        rows.map(of_row).sum()
    }
}

#[test]
fn gradients_straight_through_attention_are_those_of_finite_differences() {
    let (spec, data) = (attending(), log(48, 3));
    let rows: Vec<u32> = (0..48).rev().collect();
    for (form, i) in [
        (TableForm::Whole, 0),
        (TableForm::Whole, 1),
        (TableForm::Packed, 1),
    ] {
        let p = Network::new(&spec).initialize::<f32>(&data, &rows, 7, 0.8);
        let (network, mut w) = on_grids(&spec, p, form);
        let mut a = Activations::default();
        network.forward(&w, &data, &rows, 0, None, &mut a);
        let stride = network.x_stride();
        let plan = &network.attention[i];
        let (column, width) = (network.inputs[plan.input].offset, plan.query.inputs);
        let draw = |at: usize| Key::new(9).at(at as u64).normal();
        let upstream: Vec<f64> = (0..48 * width).map(draw).collect();
        let mut dx = vec![0.0; 48 * stride];
        for (dx, from) in dx.chunks_mut(stride).zip(upstream.chunks(width)) {
            dx[column..column + width].copy_from_slice(from);
        }
        let (dense, table) = gradients(&network, &w, &a, dx);
        // From here on rows are what their bytes stand for.
        let grid = network.grids.as_ref().unwrap().tables[1].as_ref().unwrap();
        let exact: Vec<f32> = w.tables[1].iter().map(|x| *x as f32).collect();
        let bytes = grid.quantize(&exact);
        let values = bytes.chunks(width).flat_map(|row| grid.values(row));
        w.tables[1] = values.map(|x| f64::from(x as f32)).collect();
        let smooth = Smooth::of(&network, i, &w, &a);
        let mut checked = 0;
        let projections = plan.query.weight..plan.key.weights().end;
        let dense = projections.map(|at| (false, at, dense[at]));
        let table = table.iter().enumerate().map(|(at, d)| (true, at, *d));
        for (of_table, at, want) in dense.chain(table) {
            let slope = |h: f64| {
                let value = |x: f64| {
                    let mut moved = w.clone();
                    match of_table {
                        true => moved.tables[1][at] += x,
                        false => moved.dense[at] += x,
                    }
                    smooth.value(&moved, &upstream)
                };
                (value(h) - value(-h)) / (2.0 * h)
            };
            let got = (4.0 * slope(1e-4) - slope(2e-4)) / 3.0;
            assert!(
                (got - want).abs() < 1e-7 * want.abs().max(1.0),
                "{form:?} {i}, {of_table} {at}: {got} by difference, {want} derived"
            );
            checked += usize::from(want != 0.0);
        }
        assert!(checked > 100, "{checked}");
    }
}

/// `tests/torch/attention.py` made the values: PyTorch's own gradients through the same roundings.
#[test]
fn outputs_and_gradients_straight_through_are_those_of_pytorch() {
    let (spec, torch) = (attending(), Torch::read());
    let (p, data) = torch.subject::<f32>(&Network::new(&spec));
    let (network, weights) = on_grids(&spec, p, TableForm::Whole);
    let mut a = Activations::default();
    network.forward(&weights, &data, &[0, 4, 8], 0, None, &mut a);
    let (plan, stride) = (&network.attention[0], network.x_stride());
    let column = network.inputs[plan.input].offset;
    let mut dx = vec![0.0; 3 * stride];
    for (i, d) in torch.numbers(&["upstream"]).chunks(4).enumerate() {
        dx[i * stride + column..][..4].copy_from_slice(d);
    }
    let (dense, table) = gradients(&network, &weights, &a, dx);
    let of = |i: usize| &a.x[i * stride + column..][..4];
    for (name, got) in [
        ("output", &[of(0), of(1), of(2)].concat()[..]),
        ("d_query", &dense[plan.query.weights()]),
        ("d_key", &dense[plan.key.weights()]),
        ("d_table", &table[..24]),
    ] {
        let want = torch.numbers(&["on_grids", name]);
        assert_eq!(got.len(), want.len(), "{name}");
        for (got, want) in got.iter().zip(want) {
            let off = (got - want).abs() / (1.0 + want.abs());
            assert!(off < 1e-6, "{name}: {got}, PyTorch {want}");
        }
    }
}
