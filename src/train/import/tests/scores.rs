//! Scores of an imported model, against its tensors in f64.
use super::*;
use crate::engine::{Column, Lists, Model, OpenOptions, Request, Scratch};

/// y = W x + b, and ReLU.
fn layer(case: &Case, name: &str, x: &[f64], relu: bool) -> Vec<f64> {
    let weight = case.tensors[&format!("{name}.weight")].f64s();
    let bias = case.tensors[&format!("{name}.bias")].f64s();
    let rows = weight.chunks(x.len()).zip(bias);
    let y = rows.map(|(w, b)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>());
    y.map(|y| if relu { y.max(0.0) } else { y }).collect()
}

/// The tasks' scores of one candidate, from the tensors as they are in the file.
fn expected(case: &Case, user: usize, history: &[usize], item: usize, age: f64) -> [f64; 2] {
    let row = |table: &str, row: usize, dim: usize| {
        let values = case.tensors[&format!("table.{table}.weight")].f64s();
        values[row * dim..(row + 1) * dim].to_vec()
    };
    let mut pooled = vec![0.0; 4];
    for i in history {
        let of_item = row("item", *i, 4);
        for (sum, x) in pooled.iter_mut().zip(of_item) {
            *sum += x / history.len() as f64;
        }
    }
    let clipped = age.clamp(-2.0, 4.0);
    let bucket = 1 + [-1.0, 0.25, 2.0].iter().filter(|b| **b <= clipped).count();
    let x = [
        row("user", user, 4),
        pooled,
        row("item", item, 4),
        vec![(clipped - 0.5) / 2.0],
        row("age:buckets", bucket, 2),
    ]
    .concat();
    let experts = [0, 1].map(|e| {
        let hidden = layer(case, &format!("expert.{e}.0"), &x, true);
        layer(case, &format!("expert.{e}.1"), &hidden, true)
    });
    ["click", "like"].map(|task| {
        let gate = layer(case, &format!("gate.{task}.0"), &x, false);
        let share = 1.0 / (1.0 + libm::exp(gate[1] - gate[0]));
        let outputs = experts[0].iter().zip(&experts[1]);
        let mixture: Vec<f64> = outputs
            .map(|(a, b)| share * a + (1.0 - share) * b)
            .collect();
        let hidden = layer(case, &format!("tower.{task}.0"), &mixture, true);
        let logit = layer(case, &format!("head.{task}"), &hidden, false)[0];
        1.0 / (1.0 + libm::exp(-logit))
    })
}

#[test]
fn an_exported_import_scores_as_its_tensors_do_in_f64() {
    let case = Case::new();
    case.import().unwrap();
    let file = case.path("model.pkr");
    let report = run::export(&case.path("run"), &file, &Default::default()).unwrap();
    report.check().unwrap();
    assert!(report.to_string().contains("there was no log"), "{report}");
    let bytes = fs::read(file).unwrap();
    let mut model = Box::new(Model::new());
    model.open(&bytes, &OpenOptions::default()).unwrap();
    let (mut worst, mut spread) = (0.0f64, [1.0f64, 0.0]);
    for user in 0..6usize {
        // Ids by themselves for items, rows that the app has resolved for users.
        let n = 24;
        let items: Vec<usize> = (0..n).map(|i| (i + user) % 6).collect();
        let history = [user, (user + 2) % 6];
        let ages: Vec<f32> = (0..n).map(|i| i as f32 * 0.3 - 2.5).collect();
        let id = |i: &usize| IDS[*i] as u64;
        let (ids, of_user) = (items.iter().map(id), [user as u32]);
        let (ids, list): (Vec<u64>, Vec<u64>) = (ids.collect(), history.iter().map(id).collect());
        let offsets = [0, 2];
        let lists = Some(Lists {
            offsets: &offsets,
            weights: None,
        });
        let columns = [
            Column::Rows {
                rows: &of_user,
                lists: None,
            },
            Column::Ids { ids: &list, lists },
            Column::Ids {
                ids: &ids,
                lists: None,
            },
            Column::Floats(&ages),
        ];
        let request = Request {
            num_candidates: n,
            columns: &columns,
            ..Request::default()
        };
        let len = model.scratch_len(n);
        let (mut floats, mut scratch) = (vec![0.0; len.floats], vec![0; len.bytes]);
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut scratch,
        };
        let mut scores = vec![0.0; n * 2];
        let summary = model.score(&request, &mut scratch, &mut scores).unwrap();
        assert_eq!((summary.missing, summary.unknown_ids), (0, 0));
        for i in 0..n {
            let history = history.map(|h| h + 1);
            let wanted = expected(&case, user, &history, items[i] + 1, ages[i].into());
            for (have, want) in scores[i * 2..].iter().zip(wanted) {
                worst = worst.max((f64::from(*have) - want).abs());
                spread = [spread[0].min(want), spread[1].max(want)];
            }
        }
    }
    // 0.004 at the time of writing, of scores from 0.3 to 0.9.
    assert!(worst < 0.01, "{worst}");
    assert!(spread[1] - spread[0] > 0.2, "{spread:?}");
}
