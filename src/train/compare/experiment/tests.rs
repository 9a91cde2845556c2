#![allow(clippy::unwrap_used)]
use super::*;

const BASE: &str = r#"
[data]
path = "log.csv"

[[label]]
name = "click"

[[feature]]
name = "age"
side = "user"
kind = "number"

[network]
kind = "mmoe"
experts = 2
expert_layers = [8]

[[task]]
name = "click"
kind = "binary"
"#;

/// Parses an experiment that stands beside `base.toml`.
fn parse(text: &str) -> Result<Experiment> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("base.toml"), BASE).unwrap();
    Experiment::parse(&folder.path().join("experiment.toml"), text)
}

#[test]
fn variants_are_rendered_from_the_base() {
    let e = parse(
        r#"
base = "base.toml"
seeds = [3, 1]
export = false
[[variant]]
name = "plain"
[[variant]]
name = "a <b>/c"
set = { "network.experts" = 4, train.lr = 0.5 }
remove = ["feature.age"]
"#,
    );
    // The only feature may not go.
    let message = e.unwrap_err().to_string();
    assert!(
        message.contains("experiment.toml:8: variant \"a <b>/c\": its description does not hold"),
        "{message}"
    );
    let e = parse(
        r#"
base = "base.toml"
seeds = [3, 1]
export = false
[[variant]]
name = "plain"
[[variant]]
name = "a <b>/c"
set = { "network.experts" = 4, train.lr = 0.5 }
"#,
    )
    .unwrap();
    assert_eq!((e.seeds.as_slice(), e.export), ([3, 1].as_slice(), false));
    let (plain, other) = (&e.variants[0], &e.variants[1]);
    assert_eq!((plain.text.as_str(), plain.changes.len()), (BASE, 0));
    assert_eq!(other.folder, "a%20%3Cb%3E%2Fc");
    assert_eq!(
        other.changes,
        ["network.experts = 4", "train = { lr = 0.5 }"]
    );
    assert_eq!(
        (
            other.description.toml.network.experts,
            other.description.toml.train.lr
        ),
        (4, 0.5)
    );
    let log = &other.description.logs(None)[0];
    assert!(log.is_absolute() && log.ends_with("log.csv"), "{log:?}");
}

#[test]
fn mistakes_are_named_with_line_and_variant() {
    let head = "base = \"base.toml\"\nseeds = [1]\n[[variant]]\nname = \"v\"\n";
    let wrong = [
        ("base = 1".to_string(), "experiment.toml:1: "),
        (
            format!("{head}sets = 1"),
            "experiment.toml:5: unknown key \"sets\"; did you mean \"set\"?",
        ),
        (
            format!("{head}set = {{ \"task.clik.lr\" = 2.0 }}"),
            "experiment.toml:5: variant \"v\": no [[task]] is named \"clik\"; did you mean \"click\"?",
        ),
        (
            format!("{head}remove = [\n\"task.like\"]"),
            "experiment.toml:6: variant \"v\": no [[task]] is named \"like\"",
        ),
        (
            format!("{head}set = {{ \"network.experts\" = 300 }}"),
            "experiment.toml:5: variant \"v\": its description does not hold at `experts = 300`",
        ),
        (
            format!("{head}set = {{ \"network.expert\" = 3 }}"),
            "unknown key \"expert\"",
        ),
        (
            format!("{head}set = {{ \"train.decay\" = \"x\" }}"),
            "unknown decay \"x\"",
        ),
        (
            format!("{head}model = \"other.toml\""),
            "experiment.toml:5: variant \"v\": ",
        ),
        (
            format!("{head}[[variant]]\nname = \"V\""),
            "experiment.toml:6: variant \"V\" has the name of variant \"v\"",
        ),
        (
            head.replace("\"v\"", "\"lock\""),
            "experiment.toml:4: variant \"lock\": ",
        ),
        (head.replace("\"v\"", "\"\""), "a name has 1 to 64 bytes"),
        (head.replace("[1]", "[]"), "experiment.toml:2: no seeds"),
        (
            head.replace("[1]", "[1, 2, 1]"),
            "experiment.toml:2: seed 1 stands here twice",
        ),
        (
            head.replace("base = \"base.toml\"\n", ""),
            "experiment.toml:3: variant \"v\": no description",
        ),
        ("seeds = [1]".into(), "no [[variant]]"),
    ];
    for (text, words) in wrong {
        let e = parse(&text).unwrap_err();
        assert_eq!(e.kind, Kind::Description);
        assert!(e.to_string().contains(words), "{e}\nlacks {words}");
    }
}
