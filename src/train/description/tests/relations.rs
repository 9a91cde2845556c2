//! Networks, relations between tasks, balancing, position bias: what is right, and what each mistake is told.
use super::*;
use crate::spec::NetworkKind;
use crate::train::balance::Balance;

const BIAS: &str = "[[feature]]\nname = \"position\"\nside = \"candidate\"\nkind = \"number\"\nbuckets = 5\ndim = 2\ntrain_only = true\n[position_bias]\ntasks = [\"click\"]\nreference = { position = 0 }\n[network]";

/// A second binary task, `like`, given the click.
fn model() -> String {
    let like =
        "[[task]]\nname = \"like\"\nlabel = \"click\"\nkind = \"binary\"\nspace = \"click\"\n";
    MODEL.replace("[train]", &format!("{like}[train]"))
}

#[allow(unused_qualifications)] // Two globs have a `Result`.
fn parsed(replace: &str, with: &str) -> core::result::Result<Description, Error> {
    parsed_with(&model(), replace, with)
}

#[test]
fn every_line_that_changes_the_network_or_a_task_is_read() {
    let kind =
        |kind: &str| format!("kind = \"{kind}\"\ngate = \"attention\"\ngate_layers = [3, 2]");
    let ple = parsed("kind = \"mmoe\"", "kind = \"ple\"\ntask_experts = 2").unwrap();
    assert_eq!(
        (
            ple.toml.network.all_experts(3),
            ple.toml.network.own_experts()
        ),
        (8, 2)
    );
    for word in ["single", "shared-embedding", "shared-bottom", "mmoe"] {
        parsed("kind = \"mmoe\"", &kind(word)).unwrap();
    }
    for (lines, want) in [
        ("kind = \"ple\"\nlevels = 1", NetworkKind::Mmoe),
        (
            "kind = \"ple\"\nlevels = 2\ntask_experts = 2",
            NetworkKind::Progressive { own: 2 },
        ),
        // A kind that has no levels leaves them out.
        ("kind = \"single\"\nlevels = 2", NetworkKind::Single),
    ] {
        let d = parsed("kind = \"mmoe\"", lines).unwrap();
        assert_eq!(d.toml.network.kind(), Some(want));
    }
    for lines in [
        "inputs = [\"watch\"]",
        "inputs = [{ task = \"click\", value = \"probability\", stop_gradient = false }, \"watch\"]",
        "entire_space = true",
        "at_most = \"click\"\nat_most_weight = 0.1",
        "keep_negatives = 0.5\npositive_weight = 3",
        "weight = { from = 0.1, to = 1.0, steps = 10 }\nlr = { steps = [[0, 0.0], [5, 2.0]] }",
        "calibration = \"isotonic\"\nweight_column = \"w\"",
        "focal = 2.0\ncalibration = \"platt\"",
    ] {
        parsed("name = \"like\"\n", &format!("name = \"like\"\n{lines}\n")).unwrap();
    }
    for name in Balance::NAMES {
        parsed("batch = 16", &format!("balance = \"{name}\"")).unwrap();
    }
    parsed(
        "batch = 16",
        "balance = { gradnorm = { alpha = 0.5, lr = 0.1 } }",
    )
    .unwrap();
    let biased = parsed("[network]", BIAS).unwrap();
    assert_eq!(biased.num_served_features(), 4);
}

/// Each mistake as a replacement in the description above, and the one line that it gets.
#[test]
fn every_mistake_of_a_relation_is_one_line_with_its_place() {
    let like = |lines: &str| ("name = \"like\"\n", format!("name = \"like\"\n{lines}\n"));
    let network = |line: &str| ("experts = 2", line.to_string());
    let train = |line: &str| ("batch = 16", line.to_string());
    let bias = |from: &str, to: &str| {
        assert!(BIAS.contains(from), "{from}");
        ("[network]", BIAS.replace(from, to))
    };
    let cases: Vec<((&str, String), &str)> = vec![
        (
            ("kind = \"mmoe\"", "kind = \"moe\"".into()),
            "m.toml:34: unknown network \"moe\"; did you mean \"mmoe\"?; one of \"single\"",
        ),
        (network("gate = \"hard\""), "unknown \"hard\"; one of \"softmax\", \"attention\""),
        (network("gate_layers = [1, 2, 3]"), "gate_layers has 3; at most 2"),
        (network("experts = 17"), "experts is 17; 1 to 16"),
        (network("load_balance = -1"), "load_balance is -1, but must be at least 0"),
        (
            ("kind = \"mmoe\"", "kind = \"ple\"\ntask_experts = 5".into()),
            "2 shared experts and 5 for each of 3 tasks are 17; a task has at least one, and there are at most 16",
        ),
        (
            ("kind = \"mmoe\"", "kind = \"ple\"\ngate_dropout = 0.1".into()),
            "gate_dropout is for gates that reach every expert; in \"ple\" none does",
        ),
        (
            ("kind = \"mmoe\"", "kind = \"ple\"\nlevels = 3".into()),
            "levels is 3; 1 or 2",
        ),
        (
            ("kind = \"mmoe\"", "kind = \"ple\"\nlevels = 2\ngate = \"attention\"".into()),
            "gate = \"attention\" is for gates that reach every expert; in \"ple\" none does",
        ),
        (
            ("kind = \"mmoe\"", "kind = \"ple\"\nlevels = 2\nload_balance = 0.1".into()),
            "load_balance is for gates that reach every expert",
        ),
        (like("focal = -1"), "focal of a task is -1; from 0 to 10"),
        (
            like("focal = 2\nentire_space = true"),
            "task \"like\" has focal and entire_space",
        ),
        (
            like("inputs = [\"clik\"]"),
            ": unknown task \"clik\"; did you mean \"click\"?",
        ),
        (like("inputs = [\"like\"]"), "a task cannot be its own input"),
        (
            like("inputs = [\"click\", \"click\"]"),
            "task \"click\" is an input twice",
        ),
        (
            like("inputs = [{ task = \"watch\", value = \"probability\" }]"),
            "task \"watch\" is not binary; it has a logit, but no probability",
        ),
        (
            (
                "name = \"watch\"\nkind = \"duration\"",
                "name = \"watch\"\nkind = \"duration\"\ninputs = [\"click\"]\n[[task]]\nname = \"a\"\nlabel = \"click\"\nkind = \"binary\"\ninputs = [\"b\"]\n[[task]]\nname = \"b\"\nlabel = \"click\"\nkind = \"binary\"\ninputs = [\"click\", \"a\"]".into(),
            ),
            "tasks feed each other in a circle: a <- b <- a; take one of these inputs out",
        ),
        (
            ("space = \"click\"\n[[task]]", "entire_space = true\n[[task]]".into()),
            "task \"watch\" has entire_space, which only binary tasks have",
        ),
        (
            (
                "space = \"click\"\n[train]",
                "entire_space = true\n[train]".into(),
            ),
            "task \"like\" has entire_space; its space must be another binary task",
        ),
        (
            like("entire_space = true\nkeep_negatives = 0.5"),
            "task \"like\" may not be sampled or weighed by class then",
        ),
        (like("at_most = \"watch\""), "at_most \"watch\" must be another binary task"),
        (like("at_most = \"view\""), "unknown task \"view\""),
        (like("keep_negatives = 0"), "keep_negatives is 0, but must be from 0.000001 to 1"),
        (like("keep_negatives = 1.5"), "keep_negatives is 1.5"),
        (like("weight = 0"), "weight of task \"like\" is 0 in every step"),
        (
            like("lr = { steps = [[3, 1.0]] }"),
            "steps of lr of task \"like\" must begin with step 0",
        ),
        (like("calibration = \"plat\""), "unknown variant `plat`"),
        (
            like("inputs = [{ tsk = \"click\" }]"),
            "an input is \"TASK\" or { task = \"TASK\", value = ",
        ),
        (
            train("balance = { gradnorm = { alpha = 0.5 } }"),
            "balance is the name of a method, or { METHOD = { all of its settings } }",
        ),
        (
            train("balance = \"equal\""),
            "no loss balancing is named 'equal'; known are fixed, uncertainty, dwa",
        ),
        (
            train("balance = { dwa = { temperature = 0.0 } }"),
            "temperature of dwa is 0",
        ),
        (
            bias("train_only = true\n", ""),
            "[position_bias] reads train_only features; there is none",
        ),
        (
            bias("tasks = [\"click\"]", "tasks = [\"clik\"]"),
            "unknown task \"clik\"; did you mean \"click\"?",
        ),
        (bias("tasks = [\"click\"]", "tasks = []"), "tasks is empty; name at least one"),
        (
            bias("position = 0 }", "place = 0 }"),
            "[position_bias] reference has no value of \"position\"",
        ),
        (
            bias("position = 0 }", "position = \"top\" }"),
            "the reference of \"position\" is no value of it",
        ),
        (
            bias("position = 0 }", "position = 0, item = 3 }"),
            "\"item\" is no train_only feature; only those have a reference",
        ),
        (
            bias("kind = \"number\"\nbuckets = 5", "kind = \"ids\"\nhash = 5"),
            "\"position\" is train_only; that takes an id or a number",
        ),
        (
            (
                "[network]",
                BIAS.replace(
                    "[position_bias]",
                    "[[feature]]\nname = \"late\"\nside = \"item\"\nkind = \"number\"\n[position_bias]",
                ),
            ),
            "\"late\" stands behind \"position\", which is train_only; those come last",
        ),
        (
            (
                "[network]",
                "[[feature]]\nname = \"p\"\nside = \"item\"\nkind = \"number\"\ntrain_only = true\n[network]".into(),
            ),
            "\"p\" is train_only, but no [position_bias] reads it",
        ),
    ];
    for ((from, to), message) in cases {
        let error = parsed(from, &to).unwrap_err().to_string();
        assert!(error.contains(message), "{to}\n{error}\n{message}");
        assert!(!error.contains('\n'), "{error}");
    }
    let fed = "name = \"like\"\ninputs = [\"click\"]\n";
    let text = model()
        .replace("name = \"like\"\n", fed)
        .replace("[network]", BIAS);
    let error = Description::parse(Path::new("m.toml"), text).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("task \"click\" has a position bias; it cannot be an input of \"like\"")
    );
    let single = model().replace("kind = \"mmoe\"", "kind = \"single\"");
    let text = single.replace("batch = 16", "balance = \"pcgrad\"");
    let error = Description::parse(Path::new("m.toml"), text).unwrap_err();
    assert!(
        error.to_string().contains("network \"single\" has none"),
        "{error}"
    );
}
