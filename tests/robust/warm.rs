//! `train --from`: a run that starts from another one.
use std::fs;
use std::path::Path;

use pocketrank::features::{hash_int, hash_text};
use pocketrank::train::parameters::Dense;
use pocketrank::train::run::Run;

use crate::logs::{HEADER, MODEL, rows};
use crate::program::{Place, Result, done, export, refused, train};

/// `early.csv` of users 0..20 and items 0..30; `log.csv` goes on with users and items that are new.
fn place(model: &str) -> Place {
    let early = format!("{HEADER}{}", rows(800, 0, 0..20, 0..30));
    let late = rows(800, 160, 10..30, 20..45);
    let place = Place::new(&format!("{early}{late}"), model);
    fs::write(place.path("early.csv"), early).unwrap();
    let mut first = train(&place.model(), &place.path("first"));
    done(first.arg("--data").arg(place.path("early.csv")));
    place
}

/// A table's row of a key; `None` if it is out of vocabulary.
fn row(run: &Run, table: &str, key: u64) -> Option<Vec<f32>> {
    let at = run.fit.tables.iter().position(|t| t.name == table).unwrap();
    let (row, unknown) = run.fit.row(at as u8, Some(key), 0);
    (!unknown).then(|| values(run, table, row))
}

fn values(run: &Run, table: &str, row: u32) -> Vec<f32> {
    let at = run.fit.tables.iter().position(|t| t.name == table).unwrap();
    let dim = usize::from(run.fit.tables[at].embedding_dim);
    let parameters = run.parameters().unwrap();
    parameters.tables[at][row as usize * dim..][..dim].to_vec()
}

/// Equal but for what a learning rate of 1e-30 does.
fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-20)
}

#[test]
fn old_ids_keep_their_rows_and_new_ids_begin_near_the_unknown_one() {
    let place = place(MODEL);
    // Training that changes nothing shows what it began with.
    let still = MODEL
        .replace("lr = 0.01", "lr = 1e-30")
        .replace("average = 0.9", "average = 0.0");
    fs::write(place.path("still.toml"), still).unwrap();
    let (first, second) = (place.path("first"), place.path("second"));
    let mut command = train(&place.path("still.toml"), &second);
    done(command.arg("--from").arg(&first));
    let (old, new) = (Run::open(&first).unwrap(), Run::open(&second).unwrap());

    let users = (0..30).map(|u| ("user", hash_int(u), u < 20));
    let items = (0..45).map(|i| ("item", hash_text(format!("item {i}").as_bytes()), i < 30));
    let mut seen: Vec<Vec<f32>> = Vec::new();
    let (mut kept, mut fresh) = (0, 0);
    for (table, key, known) in users.chain(items) {
        let row_of = row(&new, table, key).unwrap();
        match row(&old, table, key) {
            Some(before) => {
                assert!(known && same(&before, &row_of), "{table}");
                kept += 1;
            }
            None => {
                assert!(!known, "{table}");
                let unknown = values(&old, table, 0);
                let far = |(a, b): (&f32, &f32)| (a - b).abs() > 0.02;
                assert!(!row_of.iter().zip(&unknown).any(far), "{table}");
                assert!(!same(&row_of, &unknown), "{table}");
                fresh += 1;
            }
        }
        assert!(!seen.contains(&row_of));
        seen.push(row_of);
    }
    assert_eq!((kept, fresh), (50, 25));
    for table in ["user", "item"] {
        assert!(same(&values(&old, table, 0), &values(&new, table, 0)));
    }
    let (before, after) = (old.parameters().unwrap(), new.parameters().unwrap());
    let layers = |a: &[Dense<f32>], b: &[Dense<f32>]| {
        let same = |(a, b): (&Dense<f32>, &Dense<f32>)| {
            same(&a.weight, &b.weight) && same(&a.bias, &b.bias)
        };
        a.len() == b.len() && a.iter().zip(b).all(same)
    };
    assert!(before.gates.len() == after.gates.len() && layers(&before.heads, &after.heads));
    let stacks = before.experts.iter().zip(&after.experts);
    let stacks = stacks.chain(before.gates.iter().zip(&after.gates));
    let mut stacks = stacks.chain(before.towers.iter().zip(&after.towers));
    assert!(stacks.all(|(a, b)| layers(a, b)));
    // The transforms of numbers stay, whatever the new rows would say.
    for (a, b) in old.fit.features.iter().zip(&new.fit.features) {
        assert_eq!(
            (&a.transform, &a.boundaries, a.prior),
            (&b.transform, &b.boundaries, b.prior)
        );
    }

    // And with a learning rate it trains and exports.
    let third = place.path("third");
    done(train(&place.model(), &third).arg("--from").arg(&first));
    done(&mut export(&third, &place.path("third.pkr")));
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_from_another_is_resumed_as_itself() {
    let place = place(MODEL);
    let from = |run: &Path| {
        let mut command = train(&place.model(), run);
        command.arg("--from").arg(place.path("first"));
        command
    };
    let (whole, parts) = (place.path("whole"), place.path("parts"));
    done(&mut from(&whole));
    crate::faults::killed_at(&mut from(&parts), &parts, "rename", 8);
    let words = ["checkpoint.bin", "another --from"];
    refused(train(&place.model(), &parts).arg("--resume"), 3, &words);
    done(from(&parts).arg("--resume"));
    assert!(Result::of(&parts) == Result::of(&whole));
}

#[test]
fn a_run_of_another_shape_is_refused_with_what_differs() {
    let place = place(MODEL);
    let first = place.path("first");
    let after = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    let hour = &MODEL[MODEL.find("[[feature]]\nname = \"hour\"").unwrap()..];
    let hour = &hour[..hour.find("[[feature]]\nname = \"click_rate\"").unwrap()];
    let user = &MODEL[MODEL.find("[[feature]]\nname = \"user\"").unwrap()..];
    let user = &user[..user.find("[[feature]]\nname = \"item\"").unwrap()];
    let moved = after(&after(MODEL, hour, ""), user, &format!("{hour}{user}"));
    let cases = [
        (
            after(MODEL, "experts = 2", "experts = 3"),
            "3 experts of [8], there 2 experts of [8]",
        ),
        (
            after(MODEL, "expert_layers = [8]", "expert_layers = [9]"),
            "2 experts of [9]",
        ),
        (
            after(MODEL, "tower_layers = [4]", "tower_layers = [5]"),
            "\"click\" has a tower of [5], there [4]",
        ),
        (
            after(MODEL, "dim = 4", "dim = 6"),
            "\"user\" has dim 6, there 4",
        ),
        (
            after(MODEL, "vocabulary = { min_count = 1 }", "hash = 50"),
            "\"user\" finds its rows in another way",
        ),
        (after(MODEL, hour, ""), "there are 4 features, there 5"),
        (moved, "feature 1 is \"hour\", there \"user\""),
        (
            after(
                MODEL,
                "transform = [\"minmax\"]",
                "transform = [\"minmax\"]\nbuckets = 3\ndim = 2",
            ),
            "hour",
        ),
        (
            after(
                MODEL,
                "name = \"watch\"\nkind",
                "name = \"seconds\"\nlabel = \"watch\"\nkind",
            ),
            "task 2 is \"seconds\", there \"watch\"",
        ),
    ];
    for (i, (text, what)) in cases.iter().enumerate() {
        let model = place.path(&format!("{i}.toml"));
        fs::write(&model, text).unwrap();
        let mut command = train(&model, &place.path(&format!("run {i}")));
        let words = ["cannot start from", "only vocabularies may grow", what];
        refused(command.arg("--from").arg(&first), 2, &words);
    }
    let mut command = train(&place.model(), &first);
    refused(
        command.arg("--from").arg(&first),
        2,
        &["--from and --out are one folder"],
    );
    let mut command = train(&place.model(), &place.path("second"));
    refused(
        command.arg("--from").arg(place.path("none")),
        4,
        &["none", "run.json"],
    );
    fs::remove_file(first.join("parameters.bin")).unwrap();
    let mut command = train(&place.model(), &place.path("second"));
    refused(
        command.arg("--from").arg(&first),
        4,
        &["first: the run has not finished"],
    );
}
