//! Models of every kind of network, of usual numbers and of the largest and least.

use pocketrank::spec::{
    Calibration, Encoding, Fed, FedValue, Gate, IdType, Layer, Lookup, Network, NetworkKind,
    Pooling, Side, Source, Spec, TaskKind, Tensor,
};

use super::features::{feature, four_bits, list, number, table, task, term, with_every_feature};
use super::model::{Random, file, file_of};

/// A network for the tasks of [`linked`].
fn network(kind: NetworkKind, expert_layers: &[u16], gate: Gate, gate_layers: &[u16]) -> Network {
    Network {
        kind,
        num_experts: match kind {
            NetworkKind::Mmoe => 3,
            NetworkKind::SharedBottom => 1,
            NetworkKind::SharedEmbedding | NetworkKind::Single => 4,
            // Two shared ones and those of four tasks.
            NetworkKind::Progressive { own } => 2 + 4 * own,
        },
        expert_layers: list(expert_layers),
        gate,
        gate_layers: list(gate_layers),
    }
}

/// Two levels of experts.
fn levels(own: u8, expert_layers: &[u16], gate_layers: &[u16]) -> Network {
    let kind = NetworkKind::Progressive { own };
    network(kind, expert_layers, Gate::Softmax, gate_layers)
}

/// Every kind of network, of gate and of gate depth.
pub fn networks() -> Vec<(&'static str, Network)> {
    use Gate::{Attention, Softmax};
    use NetworkKind::{Mmoe, SharedBottom, SharedEmbedding, Single};
    vec![
        ("softmax", network(Mmoe, &[7, 5], Softmax, &[])),
        ("softmax 1", network(Mmoe, &[6], Softmax, &[18])),
        ("softmax 2", network(Mmoe, &[7, 17], Softmax, &[6, 9])),
        ("attention", network(Mmoe, &[9, 5], Attention, &[])),
        ("attention 1", network(Mmoe, &[5], Attention, &[17])),
        (
            "attention 2",
            network(Mmoe, &[7, 6, 18], Attention, &[5, 4]),
        ),
        ("bottom", network(SharedBottom, &[9, 18], Softmax, &[])),
        ("embedding", network(SharedEmbedding, &[7, 5], Softmax, &[])),
        ("single", network(Single, &[17], Softmax, &[])),
        ("single, deep", network(Single, &[5, 6, 7], Softmax, &[])),
        ("levels", levels(1, &[6], &[])),
        ("levels 1", levels(2, &[7, 5], &[18])),
        ("levels 2", levels(1, &[5, 17, 6], &[6, 9])),
    ]
}

/// Tasks fed with each other's logit and probability, with and without tower layers, in and against their order; every
/// calibration.
pub fn linked(mut spec: Spec<'static>, network: Network) -> Spec<'static> {
    use FedValue::{Logit, Probability};
    use TaskKind::{Binary, Duration};
    let fed = |task, value| Fed { task, value };
    spec.network = network;
    spec.tasks = list(&[
        task("click", Binary, None, &[17, 5]),
        task("watch", Duration, Some(0), &[]),
        task("like", Binary, Some(0), &[6]),
        task("share", Binary, Some(2), &[]),
    ]);
    let [click, watch, like, share] = &mut spec.tasks[..] else {
        unreachable!()
    };
    click.inputs = list(&[fed(3, Logit), fed(2, Probability)]);
    watch.inputs = list(&[fed(2, Probability), fed(0, Logit), fed(3, Probability)]);
    like.inputs = list(&[fed(3, Probability)]);
    like.calibration = Calibration::Isotonic { knots: 7 };
    click.calibration = Calibration::Platt {
        scale: 1.3,
        offset: -0.7,
    };
    share.calibration = Calibration::Isotonic { knots: 2 };
    spec.fusion = list(&[
        term("click", 0, true, 1.0),
        term("watch", 1, true, 0.02),
        term("share", 3, true, 3.0),
    ]);
    spec
}

/// A model of every kind of network, its tasks [`linked`].
pub fn every_network(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let model = |(name, network)| {
        let spec = linked(with_every_feature(name), network);
        (name, file(&spec, seed))
    };
    networks().into_iter().map(model).collect()
}

/// One item and a number.
pub fn with_two_features(name: &'static str) -> Spec<'static> {
    let mut spec = Spec {
        name,
        ..Spec::default()
    };
    spec.tables = list(&[four_bits(table("ids", 20, 3, Lookup::Hash(IdType::Int)))]);
    let row = Encoding::Row {
        table: 0,
        default_row: 1,
    };
    spec.features = list(&[
        feature("item", Side::Item, Source::Column, row),
        feature("age", Side::User, Source::Column, number(true, true, None)),
    ]);
    spec
}

/// Small models of every kind of network whose numbers are as large, as small and as often 0 as a file may hold.
pub fn extremes(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let model = |(i, (name, network)): (usize, (&'static str, Network))| {
        let mut spec = linked(with_two_features(name), network);
        // A logit beyond 10^6 is a score of 1/2.
        let platt = |offset| Calibration::Platt {
            scale: 1e-3,
            offset,
        };
        let isotonic = Calibration::Isotonic { knots: 5 };
        let calibrations = [Calibration::None, isotonic, platt(-1e3), platt(1e3)];
        spec.tasks[0].calibration = calibrations[(seed as usize + i) % 4];
        spec.tasks[3].calibration = calibrations[(seed as usize + i + 2) % 4];
        (name, file_of(&spec, seed * 100 + i as u64, true, &[]))
    };
    networks().into_iter().enumerate().map(model).collect()
}

/// Small models that attend to a list, from two ids, with projections as large, as small and as often 0 as a file may hold.
pub fn attending(seed: u64) -> (&'static str, Vec<u8>) {
    use pocketrank::spec::Projection::{Key, Query};
    let spec = attending_spec(seed as usize % 8);
    let zero = |feature, of| (Tensor::ProjectionScale(feature, of), vec![0.0; 64]);
    let given = match seed {
        // Projections of zeros; the first has 8 values, so 16 scales.
        4 => vec![(zero(4, Query).0, vec![0.0; 16]), zero(5, Key)],
        _ => Vec::new(),
    };
    ("attending", file_of(&spec, seed, seed % 2 == 1, &given))
}

/// Features: item, age, recent, seed, by item, by seed; `network` is a place in [`networks`].
pub fn attending_spec(network: usize) -> Spec<'static> {
    let mut spec = with_two_features("attending");
    let list_of = |max_len| Encoding::Rows {
        table: 0,
        max_len,
        pooling: Pooling::Mean,
        weighted: false,
        divisor: 1,
    };
    let row = Encoding::Row {
        table: 0,
        default_row: 3,
    };
    let attention = |of, query, dim| Source::Attention { of, query, dim };
    let more = [
        feature("recent", Side::User, Source::Column, list_of(19)),
        feature("seed", Side::Candidate, Source::Column, row),
        feature("by item", Side::Cross, attention(2, 0, 8), list_of(19)),
        feature("by seed", Side::Cross, attention(2, 3, 64), list_of(19)),
    ];
    for feature in more {
        spec.features.push(feature).unwrap();
    }
    let (_, network) = networks().swap_remove(network);
    linked(spec, network)
}

/// Attention whose dot products lose digits, and attention all of whose terms are too small to count: in even places
/// large values of the experts meet small ones of the query, in odd places the other way around.
pub fn attention(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    // 3 x 5 + 4 x 4 outputs of the first layer, and two panels of all others.
    let network = network(NetworkKind::Mmoe, &[5, 20], Gate::Attention, &[4]);
    let mut random = Random::new(seed);
    let mut each = |numbers: &dyn Fn(usize, f32) -> f32| {
        let numbers = (0..32).map(|i| numbers(i, random.float(1.0, 1.9)));
        numbers.collect::<Vec<f32>>()
    };
    let sign = |i: usize| if i % 4 < 2 { 1.0 } else { -1.0 };
    let tiny = 2.0f32.powi(-41);
    let (mut cancelling, mut small) = (Vec::new(), Vec::new());
    for expert in 0..3 {
        let layer = Layer::Expert { expert, layer: 1 };
        cancelling.push((Tensor::Scale(layer), each(&|_, x| 1e-7 * x)));
        cancelling.push((Tensor::Bias(layer), vec![1.0; 32]));
        let scale = each(&|i, _| if i % 2 == 0 { 1024.0 } else { 0.0 });
        small.push((Tensor::Scale(layer), scale));
        small.push((
            Tensor::Bias(layer),
            each(&|i, x| if i % 2 == 0 { 0.0 } else { tiny * x }),
        ));
    }
    for task in 0..4 {
        let layer = Layer::Gate { task, layer: 1 };
        cancelling.push((Tensor::Scale(layer), vec![0.0; 32]));
        cancelling.push((Tensor::Bias(layer), each(&|i, x| sign(i) * 3000.0 + x)));
        let scale = each(&|i, _| if i % 2 == 0 { 0.0 } else { 1024.0 });
        small.push((Tensor::Scale(layer), scale));
        let bias = each(&|i, x| if i % 2 == 0 { sign(i) * tiny * x } else { 0.0 });
        small.push((Tensor::Bias(layer), bias));
    }
    for side in [Side::User, Side::Item] {
        let layer = Layer::First { group: 0, side };
        small.push((Tensor::Scale(layer), vec![1024.0; 32]));
    }
    // A difference of knots that is rounded.
    let knots = vec![-9.7, 1.012_345_7, 2.0f32.powi(-40), 0.987_654_3];
    cancelling.push((Tensor::Knots(3), knots));
    // A logit too small to count, however large its weight.
    small.push((Tensor::Scale(Layer::Head { task: 3 }), vec![0.0]));
    small.push((Tensor::Bias(Layer::Head { task: 3 }), vec![1.5 * tiny]));
    let tower = Layer::Tower { task: 0, layer: 0 };
    small.push((Tensor::Scale(tower), vec![0.0; 32]));
    small.push((Tensor::Bias(tower), vec![0.0; 32]));
    let fed = [each(&|_, x| 500_000.0 * x), vec![0.0; 32]];
    small.push((Tensor::Fed(tower), fed.concat()));
    let model = |name, given: &[(Tensor, Vec<f32>)]| {
        let spec = linked(with_two_features(name), network.clone());
        (name, file_of(&spec, seed, false, given))
    };
    vec![model("cancelling", &cancelling), model("small", &small)]
}
