//! Attention over a list: gradients against finite differences, values by hand and PyTorch's.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::spec::Source;
use crate::train::dataset::{Dataset, FeatureData};
use crate::train::network::attention::Attended;
use crate::train::parameters::Parameters;
use crate::train::synthetic::attending;

#[test]
fn gradients_of_projections_and_rows_are_those_of_finite_differences() {
    check_differences(&attending(), DropoutRates::default());
    check_differences(&attending(), DROPPING);
}

#[test]
fn rows_without_weight_change_no_bit_of_a_gradient() {
    let (spec, mut data) = (attending(), log(600, 5));
    let network = Network::new(&spec);
    let w: Weights<f32> = weights(&network, &data);
    let in_space = |r: &u32| data.tasks[1].weights[*r as usize] > 0.0;
    let (inside, outside): (Vec<u32>, Vec<u32>) = (0..600).partition(in_space);
    let mut rows = inside[..100].to_vec();
    let alone = of_task(&network, &w, &mut data, &rows, 1);
    rows.extend(&outside[..200]);
    let among = of_task(&network, &w, &mut data, &rows, 1);
    assert_eq!(bits(&alone), bits(&among));
}

#[test]
fn gradients_are_the_same_bits_at_any_number_of_threads() {
    let (spec, data) = (attending(), log(1100, 6));
    let network = Network::new(&spec);
    let w: Weights<f32> = weights(&network, &data);
    let rows: Vec<u32> = (0..1100).collect();
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let mut g = Gradients::default();
            assert!(g.compute(&plan(&network, &data, &tasks(), None), &w, &rows, None));
            bits(&all_gradients(&network, &g))
        })
    };
    assert_eq!(of(1), of(3));
}

/// By hand, with embeddings of two values and identities for projections: rows (2, 0), (0, 2) and a candidate (ln 3, 0) have
/// products 2 ln 3 and 0. Over sqrt(2)... with the candidate (ln 3 / sqrt 2, 0), logits ln 3 and 0: shares 3/4 and 1/4, and the
/// output (3/2, 1/2).
#[test]
fn shares_and_outputs_by_hand() {
    let mut spec = attending();
    spec.tables[1].embedding_dim = 2;
    let dims = [2, 2];
    for (feature, dim) in spec.features.iter_mut().skip(10).zip(dims) {
        let (of, query) = (2, 0);
        feature.source = Source::Attention { of, query, dim };
    }
    let network = Network::new(&spec);
    let mut p = network.empty_parameters::<f64>();
    p.tables[1][2..8].copy_from_slice(&[2.0, 0.0, 0.0, 2.0, libm::log(3.0) / libm::sqrt(2.0), 0.0]);
    let identity = vec![1.0, 0.0, 0.0, 1.0];
    p.attention[0].query.weight.clone_from(&identity);
    p.attention[0].key.weight.clone_from(&identity);
    let mut data = log(8, 1);
    data.features[0] = FeatureData::Rows(vec![3; 8]);
    data.features[2] = FeatureData::Lists {
        offsets: vec![0, 2, 2],
        rows: vec![1, 2],
        weights: None,
    };
    let mut a = Activations::default();
    network.forward(&network.weights(p), &data, &[0, 4], 0, None, &mut a);
    let of = |feature: usize, row: usize| {
        let input = network
            .inputs
            .iter()
            .find(|i| i.feature == feature)
            .unwrap();
        a.x[row * network.x_stride() + input.offset..][..2].to_vec()
    };
    let close = |got: Vec<f64>, want: [f64; 2]| {
        let off = got.iter().zip(want).map(|(g, w)| (g - w).abs());
        assert!(off.fold(0.0, f64::max) < 1e-12, "{got:?} {want:?}");
    };
    close(of(10, 0), [1.5, 0.5]);
    // Projections of zeros weigh alike: the mean. An empty list is 0.
    close(of(11, 0), [1.0, 1.0]);
    close(of(10, 1), [0.0, 0.0]);
}

#[test]
fn degenerate_lists_and_extreme_rows_stay_finite() {
    let spec = attending();
    let network = Network::new(&spec);
    let mut data = log(8, 1);
    let mut w: Weights<f32> = weights(&network, &data);
    for x in [0.0, 1e4, -1e4] {
        w.tables[1].fill(x);
        for lists in [vec![0, 0, 0], vec![0, 1, 1], vec![0, 0, 5]] {
            let rows = vec![7; *lists.last().unwrap() as usize];
            data.features[2] = FeatureData::Lists {
                offsets: lists,
                rows,
                weights: None,
            };
            let mut g = Gradients::default();
            let rows: Vec<u32> = (0..8).collect();
            assert!(g.compute(&plan(&network, &data, &tasks(), None), &w, &rows, None));
            assert!(g.compute(&plan(&network, &data, &tasks(), None), &w, &[], None));
        }
    }
    let _ = Attended::<f32>::default();
}

/// What `tests/torch/attention.py` made.
pub(crate) struct Torch(serde_json::Value);

impl Torch {
    pub(crate) fn read() -> Self {
        let path = format!("{}/tests/torch/attention.json", env!("CARGO_MANIFEST_DIR"));
        Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    /// Numbers under a name, or under one under another.
    pub(crate) fn numbers(&self, names: &[&str]) -> Vec<f64> {
        numbers(names.iter().fold(&self.0, |value, name| &value[name]))
    }

    /// Parameters of [`attending`], and data of which rows 0, 4 and 8 are the candidates.
    pub(crate) fn subject<R: Real>(&self, network: &Network) -> (Parameters<R>, Dataset) {
        let reals = |name: &str| -> Vec<R> {
            let numbers = self.numbers(&[name]).into_iter();
            numbers.map(R::from_f64).collect()
        };
        let mut p = network.empty_parameters::<R>();
        let rows = reals("table");
        p.tables[1][..rows.len()].copy_from_slice(&rows);
        p.attention[0].query.weight = reals("query");
        p.attention[0].key.weight = reals("key");
        let mut data = log(4 * 3, 1);
        let ids = self.numbers(&["ids"]);
        let id = |i: usize| {
            if i.is_multiple_of(4) {
                ids[i / 4] as u32
            } else {
                0
            }
        };
        data.features[0] = FeatureData::Rows((0..12).map(id).collect());
        let lists: Vec<Vec<f64>> = self.0["lists"]
            .as_array()
            .unwrap()
            .iter()
            .map(numbers)
            .collect();
        let mut offsets = vec![0];
        lists
            .iter()
            .for_each(|l| offsets.push(offsets.last().unwrap() + l.len() as u32));
        data.features[2] = FeatureData::Lists {
            offsets,
            rows: lists.concat().iter().map(|r| *r as u32).collect(),
            weights: None,
        };
        (p, data)
    }
}

fn numbers(list: &serde_json::Value) -> Vec<f64> {
    let list = list.as_array().unwrap().iter();
    list.map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn outputs_and_gradients_are_those_of_pytorch() {
    let (spec, torch) = (attending(), Torch::read());
    let network = Network::new(&spec);
    let (p, data) = torch.subject::<f64>(&network);
    let w = network.weights(p);
    let mut a = Activations::default();
    network.forward(&w, &data, &[0, 4, 8], 0, None, &mut a);
    let input = network.inputs.iter().find(|i| i.feature == 10).unwrap();
    let stride = network.x_stride();
    let close = |name: &str, got: &[f64]| {
        let want = torch.numbers(&[name]);
        assert_eq!(got.len(), want.len(), "{name}");
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-12, "{name}: {got}, PyTorch {want}");
        }
    };
    let out: Vec<f64> = (0..3)
        .flat_map(|i| a.x[i * stride + input.offset..][..4].to_vec())
        .collect();
    close("output", &out);
    // The loss is the sum of the output times `upstream`.
    let mut g = ShardGradients::default();
    g.dense.resize(network.num_dense, 0.0);
    g.x.resize(3 * stride, 0.0);
    let upstream = torch.numbers(&["upstream"]);
    for (i, d) in upstream.chunks(4).enumerate() {
        g.x[i * stride + input.offset..][..4].copy_from_slice(d);
    }
    network.attend_backward(&w, &a, &mut g);
    let plan = &network.attention[0];
    close("d_query", &g.dense[plan.query.weights()]);
    close("d_key", &g.dense[plan.key.weights()]);
    let mut table = TableGradient::default();
    table.scatter(&network, 1, &data, &[], None, core::iter::empty::<&[f64]>());
    table.scatter_attended(&network, 1, core::iter::once((&a, &g)));
    let mut got = vec![0.0; 6 * 4];
    for (row, values) in table.rows.iter().zip(table.values.chunks(4)) {
        got[*row as usize * 4..][..4].copy_from_slice(values);
    }
    close("d_table", &got);
}
