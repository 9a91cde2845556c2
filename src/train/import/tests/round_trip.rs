//! What was trained here, written as tensors and taken again.
use core::ops::ControlFlow;

use super::*;
use crate::train::simulate::{SimulateOptions, simulate};
use crate::train::synthetic::train_file;

/// Every parameter and every fitted value of a run as tensors; rows of vocabularies in another order than the run's.
fn dump(run: &run::Run) -> Tensors {
    let spec = run.fit.spec(&run.description).unwrap();
    let p = run.parameters().unwrap();
    let groups = spec.groups();
    let mut tensors = Tensors::new();
    for (t, table) in spec.tables.iter().enumerate() {
        let (rows, dim) = (
            table.num_embeddings as usize,
            usize::from(table.embedding_dim),
        );
        let mut order: Vec<usize> = (0..rows).collect();
        if let Some(vocabulary) = run.fit.tables[t].open() {
            let mut keys: Vec<u64> = vocabulary.rows().map(|(key, _)| key).collect();
            keys.reverse();
            order[1..].reverse();
            tensors.insert(
                format!("table.{}.keys", table.name),
                Tensor::integers(Dtype::U64, &keys),
            );
        }
        let mut values = Vec::new();
        for row in order {
            for group in 0..groups {
                values.extend(&p.tables[t * groups + group][row * dim..(row + 1) * dim]);
            }
        }
        tensors.insert(
            format!("table.{}.weight", table.name),
            Tensor::floats(&[rows, dim * groups], &values),
        );
    }
    for (f, fitted) in run.description.toml.feature.iter().zip(&run.fit.features) {
        if !f.kind.is_number() {
            continue;
        }
        let t = fitted.transform;
        let mut add = |what: &str, tensor: Tensor| {
            tensors.insert(format!("number.{}.{what}", f.name.get_ref()), tensor)
        };
        add("range", Tensor::floats(&[2], &[t.low, t.high]));
        if number_steps(f).contains(&TransformStep::Standardize) {
            let moments = [t.shift.into(), 1.0 / f64::from(t.scale)];
            add("moments", Tensor::doubles(&[2], &moments));
        }
        add("default", Tensor::floats(&[1], &[fitted.default]));
        if f.buckets.is_some() {
            let boundaries = &fitted.boundaries;
            add(
                "boundaries",
                Tensor::floats(&[boundaries.len()], boundaries),
            );
        }
        if matches!(f.kind, FeatureKind::Rate | FeatureKind::KeyRate) {
            add("prior", Tensor::floats(&[1], &[fitted.prior]));
        }
    }
    let mut dense = |name: String, d: &Dense<f32>| {
        tensors.insert(
            format!("{name}.weight"),
            Tensor::floats(&[d.outputs, d.inputs], &d.weight),
        );
        tensors.insert(
            format!("{name}.bias"),
            Tensor::floats(&[d.outputs], &d.bias),
        );
    };
    for (e, layers) in p.experts.iter().enumerate() {
        for (l, layer) in layers.iter().enumerate() {
            dense(format!("expert.{e}.{l}"), layer);
        }
    }
    for (t, task) in spec.tasks.iter().enumerate() {
        for (l, layer) in p.gates.get(t).into_iter().flatten().enumerate() {
            dense(format!("gate.{}.{l}", task.name), layer);
        }
        for (l, layer) in p.towers[t].iter().enumerate() {
            dense(format!("tower.{}.{l}", task.name), layer);
        }
        dense(format!("head.{}", task.name), &p.heads[t]);
    }
    tensors
}

/// A text without the paragraph that begins so.
fn without(text: &str, begin: &str) -> String {
    let start = text.find(begin).unwrap();
    let end = text[start..]
        .find("\n\n")
        .map_or(text.len(), |n| start + n + 2);
    format!("{}{}", &text[..start], &text[end..])
}

#[test]
fn what_was_trained_here_comes_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let options = SimulateOptions {
        rows: 6_000,
        ..SimulateOptions::default()
    };
    simulate(&options, folder.path(), |_| ControlFlow::Continue(())).unwrap();
    let text = fs::read_to_string(folder.path().join("model.toml")).unwrap();
    // Rare tasks may have no positive in so small a log; a loss is known to some hundredths.
    let text = text
        .replace("epochs = 5", "epochs = 1")
        .replace("[export]", "[export]\nauc_budget = 0.5");
    let path = |name: &str| folder.path().join(name);
    for kind in ["mmoe", "single"] {
        let text = text.replace("kind = \"mmoe\"", &format!("kind = \"{kind}\""));
        let text = ["comment", "favourite", "share"]
            .iter()
            .fold(text, |text, task| {
                let text = without(&text, &format!("[[task]]\nname = \"{task}\""));
                without(&text, &format!("[[fusion.term]]\ntask = \"{task}\""))
            });
        let model = path(&format!("{kind}.toml"));
        fs::write(&model, text).unwrap();
        let (trained, imported) = (path(&format!("{kind}-trained")), path("imported"));
        train_file(&model, &trained);
        let weights = path("weights.safetensors");
        write(&weights, &dump(&run::Run::open(&trained).unwrap()));
        let read = |folder: &Path, name: &str| fs::read(folder.join(name)).unwrap();
        // Tensors say all that the log did, so it teaches nothing more.
        let log = path("log.csv");
        for data in [None, Some(log.as_path())] {
            let report = import(&Options {
                model: &model,
                weights: &weights,
                data,
                out: &imported,
            });
            assert_eq!(report.unwrap().from_log, data.is_some());
            for name in ["parameters.bin", "model.toml", "fit.bin"] {
                // A fit also notes the label means of features that are no rates, which nothing reads.
                if name != "fit.bin" || data.is_some() {
                    assert!(
                        read(&trained, name) == read(&imported, name),
                        "{kind} {name}"
                    );
                }
            }
        }
        let files = [path("trained.pkr"), path("imported.pkr")];
        let direct = run::export(&trained, &files[0], &Default::default()).unwrap();
        let through = run::export(
            &imported,
            &files[1],
            &run::ExportOptions {
                data: Some(&log),
                ..Default::default()
            },
        )
        .unwrap();
        assert_eq!(direct.digest, through.digest);
        let [direct, through] = files.map(|file| fs::read(file).unwrap());
        assert!(direct == through, "{kind}");
    }
}
