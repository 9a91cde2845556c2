//! Losses of durations and ordinal tasks: what is right, and what each mistake is told.
use super::*;
use crate::spec::TaskKind;
use crate::train::loss::Steps;

#[allow(unused_qualifications)] // Two globs have a `Result`.
fn parsed(lines: &str) -> core::result::Result<Description, Error> {
    let with = format!("name = \"watch\"\n{lines}\n");
    let model = MODEL.replacen(
        "name = \"watch\"\nkind = \"duration\"\nspace = \"click\"\n",
        &with,
        1,
    );
    assert!(model.contains(&with));
    Description::parse(Path::new("m.toml"), model)
}

#[test]
fn a_loss_gives_a_task_its_kind() {
    let kind = |lines: &str| {
        let d = parsed(lines).unwrap();
        d.spec_kind(&d.toml.task[1])
    };
    let steps = |thresholds, ordered| TaskKind::Steps {
        thresholds,
        ordered,
    };
    for (lines, want) in [
        ("kind = \"duration\"", TaskKind::Duration),
        (
            "kind = \"duration\"\nloss = \"log-huber\"",
            TaskKind::Duration,
        ),
        (
            "kind = \"duration\"\nloss = \"odds\"\nspace = \"click\"",
            TaskKind::Odds,
        ),
        (
            "kind = \"duration\"\nloss = \"weighted-logistic\"",
            TaskKind::Odds,
        ),
        ("kind = \"duration\"\nloss = \"cread\"", steps(16, false)),
        (
            "kind = \"duration\"\nloss = \"cread\"\ncread = { bins = 9, alpha = 0.0 }",
            steps(9, false),
        ),
        (
            "kind = \"ordinal\"\nlevels = [0.25, 0.5, 1.0]",
            steps(3, true),
        ),
    ] {
        assert_eq!(kind(lines), want, "{lines}");
    }
    let worth = |lines: &str| match parsed(lines).unwrap().task_options().unwrap()[1].steps {
        Some(Steps::Ordinal { worth, .. }) => worth[..3].to_vec(),
        _ => Vec::new(),
    };
    assert_eq!(
        worth("kind = \"ordinal\"\nlevels = [0.25, 0.5, 1.0]"),
        [0.25, 0.25, 0.5]
    );
    assert_eq!(
        worth("kind = \"ordinal\"\nlevels = [0.25, 0.5, 1.0]\nscore_level = 0.5"),
        [0.0, 1.0, 0.0]
    );
}

#[test]
fn every_mistake_of_a_loss_is_one_line() {
    for (lines, want) in [
        (
            "kind = \"binary\"\nloss = \"cread\"",
            "task \"watch\" cannot have this loss; ranking tasks have one of",
        ),
        (
            "kind = \"ordinal\"\nlevels = [1.0]\nloss = \"odds\"",
            "durations one of \"log-huber\", \"weighted-logistic\", \"odds\", \"cread\", \"d2q\"",
        ),
        (
            "kind = \"duration\"\ncread = { bins = 4 }",
            "has cread, the settings of loss = \"cread\", but not that loss",
        ),
        (
            "kind = \"duration\"\nloss = \"cread\"\ncread = { bins = 33 }",
            "bins of cread is 33; 2 to 32",
        ),
        (
            "kind = \"duration\"\nloss = \"cread\"\ncread = { alpha = 21.0 }",
            "alpha of cread is 21; from -20 to 20",
        ),
        (
            "kind = \"duration\"\nloss = \"cread\"\ncread = { restoration = -1.0 }",
            "restoration of cread is -1; from 0 to 1000000",
        ),
        (
            "kind = \"duration\"\nlevels = [1.0]",
            "has levels or score_level, which only kind \"ordinal\" has",
        ),
        (
            "kind = \"ordinal\"",
            "levels are []; 1 to 32 rising numbers",
        ),
        (
            "kind = \"ordinal\"\nlevels = [0.5, 0.5]",
            "levels are [0.5, 0.5]; 1 to 32 rising",
        ),
        (
            "kind = \"ordinal\"\nlevels = [0.0, 0.5]",
            "rising numbers from 0.000001",
        ),
        (
            "kind = \"ordinal\"\nlevels = [0.5]\nscore_level = 0.4",
            "score_level is 0.4; one of the levels [0.5]",
        ),
        (
            "kind = \"duration\"\nloss = \"weighted-logistic\"\nspace = \"click\"",
            "space = \"valid\", or loss = \"odds\"",
        ),
        (
            "kind = \"duration\"\nloss = \"cread\"\ninputs = [\"click\"]",
            "task \"watch\" has inputs and several logits; its tower needs a layer",
        ),
        (
            "kind = \"duration\"\nloss = \"d3q\"",
            "unknown variant `d3q`",
        ),
    ] {
        let message = parsed(lines).unwrap_err().to_string();
        assert!(message.contains(want), "{lines}\n{message}");
    }
    let fed = "kind = \"ordinal\"\nlevels = [1.0]\n[[task]]\nname = \"more\"\nkind = \"binary\"\nlabel = \"click\"\ninputs = [\"watch\"]";
    let message = parsed(fed).unwrap_err().to_string();
    assert!(
        message.contains("task \"watch\" has several logits; it cannot be an input"),
        "{message}"
    );
}

/// Features of every side, and one that the device does not have.
const NUMBERS: &str = "[[feature]]
name = \"seconds\"
side = \"item\"
kind = \"number\"
buckets = 8
dim = 2

[[feature]]
name = \"plain\"
side = \"item\"
kind = \"number\"

[[feature]]
name = \"hours\"
side = \"user\"
kind = \"number\"
buckets = 8
dim = 2

[[feature]]
name = \"place\"
side = \"candidate\"
kind = \"number\"
buckets = 8
dim = 2
train_only = true

[position_bias]
tasks = [\"click\"]
reference = { place = 0 }

[network]";

#[test]
fn quantiles_have_groups_that_the_device_knows() {
    let described = |lines: &str| {
        let task = format!("name = \"watch\"\nkind = \"duration\"\n{lines}\nspace = \"click\"\n");
        let from = "name = \"watch\"\nkind = \"duration\"\nspace = \"click\"\n";
        let model = MODEL.replacen(from, &task, 1);
        let model = model.replacen("[network]", NUMBERS, 1);
        Description::parse(Path::new("m.toml"), model)
    };
    for (settings, want) in [
        ("group = \"seconds\"", 16),
        ("group = \"seconds\", knots = 2", 2),
    ] {
        let d = described(&format!("loss = \"d2q\"\nd2q = {{ {settings} }}")).unwrap();
        let feature = d.feature("seconds").unwrap() as u8;
        assert!(feature > 0);
        let knots = want;
        assert_eq!(
            d.spec_kind(&d.toml.task[1]),
            TaskKind::Quantile { feature, knots }
        );
    }
    for (lines, want) in [
        ("loss = \"d2q\"", "say whose quantiles: d2q = { group"),
        ("d2q = { group = \"seconds\" }", "but not that loss"),
        (
            "loss = \"d2q\"\nd2q = { group = \"second\" }",
            "unknown feature \"second\"",
        ),
        (
            "loss = \"d2q\"\nd2q = { group = \"seconds\", knots = 33 }",
            "knots of d2q is 33; 2 to 32",
        ),
        (
            "loss = \"d2q\"\nd2q = { group = \"seconds\", knots = 1 }",
            "knots of d2q is 1; 2 to 32",
        ),
        (
            "loss = \"d2q\"\nd2q = { group = \"plain\" }",
            "feature \"plain\" has no buckets; d2q groups by a bucketed number",
        ),
        (
            "loss = \"d2q\"\nd2q = { group = \"hours\" }",
            "feature \"hours\" is of the user",
        ),
        (
            "loss = \"d2q\"\nd2q = { group = \"place\" }",
            "feature \"place\" is train_only",
        ),
        (
            "loss = \"d2q\"\nd2q = { knots = 4 }",
            "missing field `group`",
        ),
    ] {
        let message = described(lines).unwrap_err().to_string();
        assert!(message.contains(want), "{lines}\n{message}");
    }
}

#[test]
fn users_are_counted_where_they_are_known() {
    let users = "vocabulary = { min_count = 2, min_users = 20 }";
    let model = MODEL.replace("vocabulary = { min_count = 2 }", users);
    assert!(Description::parse(Path::new("m.toml"), model.clone()).is_ok());
    // Without what else needs a user.
    let model = model.replacen("user = \"user\"\n", "", 1);
    let at = model.find("[[feature]]\nname = \"last\"").unwrap();
    let end = model.find("[network]").unwrap();
    let model = format!("{}{}", &model[..at], &model[end..]);
    let message = Description::parse(Path::new("m.toml"), model)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("min_users counts users; say in [data] user"),
        "{message}"
    );
}

#[test]
fn a_focal_loss_without_calibration_is_warned_of() {
    let warnings = |lines: &str| {
        let with = format!("name = \"click\"\nkind = \"binary\"\n{lines}");
        let model = MODEL.replacen("name = \"click\"\nkind = \"binary\"\n", &with, 1);
        crate::train::lint::warnings(&Description::parse(Path::new("m.toml"), model).unwrap())
    };
    let found = warnings("focal = 2.0\n");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("focal loss does not learn probabilities: give \"click\" a calibration")
    );
    assert_eq!(
        warnings("focal = 2.0\ncalibration = \"platt\"\n"),
        Vec::<String>::new()
    );
    assert_eq!(warnings(""), Vec::<String>::new());
}
