#![allow(clippy::unwrap_used)]
use std::path::Path;
use std::prelude::v1::*;

use super::*;

mod attention;
mod hashes;
mod losses;
mod ranking;
mod relations;

const MODEL: &str = r#"[data]
path = "log.csv"
user = "user"
time = "time"
[[label]]
name = "click"
[[label]]
name = "watch"
[[feature]]
name = "item"
side = "item"
kind = "id"
hash = 8
dim = 2
[[feature]]
name = "length"
side = "item"
kind = "number"
buckets = 4
dim = 2
[[feature]]
name = "device"
side = "user"
kind = "id"
id_type = "string"
vocabulary = { min_count = 2 }
dim = 2
[[feature]]
name = "last"
kind = "last_ids"
of = "item"
label = "click"
[network]
kind = "mmoe"
experts = 2
expert_layers = [4]
[[task]]
name = "click"
kind = "binary"
[[task]]
name = "watch"
kind = "duration"
space = "click"
[train]
batch = 16
[[fusion.term]]
task = "click"
weight = 1.0
"#;

/// `model` with `with` in place of the first `replace`, which must be there.
#[allow(unused_qualifications)] // Two globs have a `Result`.
fn parsed_with(model: &str, replace: &str, with: &str) -> core::result::Result<Description, Error> {
    assert!(model.contains(replace), "{replace}");
    Description::parse(Path::new("m.toml"), model.replacen(replace, with, 1))
}

#[test]
fn the_description_that_mistakes_are_made_in_is_right() {
    let d = Description::parse(Path::new("m.toml"), MODEL.into()).unwrap();
    assert_eq!(
        (d.toml.feature.len(), d.label("watch"), d.task("watch")),
        (4, Some(1), Some(1))
    );
}

/// Each mistake as a replacement in the description above, and the one line that it gets.
#[test]
fn every_mistake_is_one_line_with_its_place() {
    let feature = |text: &str| format!("[[feature]]\nname = \"x\"\n{text}\n[network]");
    let cases: Vec<(&str, String, &str)> = vec![
        (
            "user = \"user\"",
            "usr = \"user\"".into(),
            "m.toml:3: unknown key \"usr\"; did you mean \"user\"?",
        ),
        (
            "batch = 16",
            "quantization_aware = { epochs = 6 }".into(),
            "m.toml:45: quantization_aware has 6 epochs of 5; at least 1, at most all",
        ),
        (
            "batch = 16",
            "quantization_aware = { epochs = 1, lr = 0 }".into(),
            "m.toml:45: lr of quantization_aware is 0, but must be positive",
        ),
        (
            "batch = 16",
            "quantization_aware = { epoch = 1 }".into(),
            "m.toml:45: unknown key \"epoch\"; did you mean \"epochs\"?",
        ),
        (
            "batch = 16",
            "bach = 16".into(),
            "unknown key \"bach\"; did you mean \"batch\"?",
        ),
        (
            "batch = 16",
            "batch = \"16\"".into(),
            "m.toml:45: invalid type: string \"16\", expected usize",
        ),
        (
            "batch = 16",
            "batch = 0".into(),
            "batch, epochs and evaluate_every must be at least 1",
        ),
        (
            "batch = 16",
            "stop_on = \"never\"".into(),
            "unknown stop_on \"never\"",
        ),
        (
            "batch = 16",
            "optimizer = \"sgd\"".into(),
            "unknown optimizer \"sgd\"; \"adam\" or \"adagrad\"",
        ),
        (
            "time = \"time\"",
            String::new(),
            "m.toml:29: \"last\" remembers earlier events; [data] needs time",
        ),
        (
            "time = \"time\"",
            "time = \"time\"\nvalidation = { last = 1.5 }".into(),
            "m.toml: [data] validation last is a share above 0 and below 1",
        ),
        (
            "time = \"time\"",
            "time = \"time\"\nvalidation = { last = 0.1, from = 5 }".into(),
            "exactly one of from, last, path and where",
        ),
        (
            "time = \"time\"",
            "time = \"time\"\nvalidation = { from = \"noon\" }".into(),
            "m.toml:5: from is no time",
        ),
        (
            "time = \"time\"",
            "time = \"time\"\nvalid = \"a = 1\"".into(),
            "m.toml:5: \"a = 1\" at character 3: \"=\" is no operator; write \"==\"",
        ),
        (
            "name = \"watch\"\n[[feature]]",
            "name = \"click\"\n[[feature]]".into(),
            "m.toml:8: a second label is called \"click\"; names are unique",
        ),
        (
            "space = \"click\"",
            "space = \"watch\"".into(),
            "m.toml:43: a task cannot be its own sample space",
        ),
        (
            "space = \"click\"",
            "label = \"wach\"".into(),
            "m.toml:43: unknown label \"wach\"; did you mean \"watch\"?",
        ),
        (
            "name = \"click\"\nkind = \"binary\"",
            "name = \"click\"\nkind = \"binary\"\nspace = \"watch\"".into(),
            "m.toml:40: task \"watch\" must stand before the tasks given it",
        ),
        (
            "kind = \"duration\"",
            "kind = \"regression\"".into(),
            "m.toml:42: unknown \"regression\"; one of \"binary\", \"duration\"",
        ),
        (
            "task = \"click\"\nweight",
            "task = \"like\"\nweight".into(),
            "m.toml:47: unknown task \"like\"",
        ),
        (
            "weight = 1.0",
            "weight = 1e9".into(),
            "m.toml:47: weight is 1000000000; 0, or 1e-12 to 1e6 in magnitude",
        ),
        (
            "experts = 2",
            "experts = 17".into(),
            "m.toml:34: experts is 17; 1 to 16",
        ),
        (
            "expert_layers = [4]",
            "expert_layers = []".into(),
            "m.toml:34: expert_layers is empty",
        ),
        (
            "expert_layers = [4]",
            "expert_layers = [4, 2000]".into(),
            "m.toml:34: layers are [4, 2000]; at most 4 of 1 to 1024",
        ),
        (
            "of = \"item\"",
            "of = \"itm\"".into(),
            "m.toml:29: unknown feature \"itm\"; did you mean \"item\"?",
        ),
        (
            "of = \"item\"",
            "of = \"length\"".into(),
            "m.toml:29: \"length\" is no id of the candidate; last_ids keeps those",
        ),
        (
            "of = \"item\"",
            "of = \"device\"".into(),
            "m.toml:29: \"device\" is no id of the candidate; last_ids keeps those",
        ),
        (
            "of = \"item\"\nlabel = \"click\"",
            "of = \"item\"\nlabel = \"clck\"".into(),
            "m.toml:32: unknown label \"clck\"; did you mean \"click\"?",
        ),
        (
            "hash = 8",
            "hash = 8\nvocabulary = {}".into(),
            "m.toml:10: a table takes either vocabulary or hash",
        ),
        (
            "hash = 8\n",
            String::new(),
            "m.toml:10: table \"item\" needs vocabulary or hash",
        ),
        (
            "hash = 8",
            "hash = 0".into(),
            "m.toml:10: hash is 0; 1 to 16777215 rows",
        ),
        (
            "hash = 8",
            "hash = 8\nmax_len = 3".into(),
            "m.toml:10: \"item\" has max_len, which its kind has not; that has column, id_type,",
        ),
        (
            "hash = 8\ndim = 2",
            "hash = 8\ndim = 257".into(),
            "m.toml:10: dim is 257; 1 to 256",
        ),
        (
            "side = \"item\"\nkind = \"id\"",
            "kind = \"id\"".into(),
            "m.toml:10: \"item\" needs side",
        ),
        (
            "side = \"item\"\nkind = \"id\"",
            "side = \"cross\"\nkind = \"id\"".into(),
            "m.toml:10: \"item\" is a column; its side is \"user\", \"item\" or \"candidate\"",
        ),
        (
            "buckets = 4",
            "buckets = 256".into(),
            "m.toml:16: buckets is 256; 2 to 255",
        ),
        (
            "buckets = 4",
            "buckets = 4\ntransform = [\"standardize\", \"log1p\"]".into(),
            "m.toml:16: transform is \"log1p\", then",
        ),
        (
            "buckets = 4",
            "buckets = 4\ntransform = [\"log1p\"]\nclip = [-1, 5]".into(),
            "m.toml:16: clip begins at -1; log1p needs more than -1",
        ),
        (
            "buckets = 4",
            "buckets = 4\nclip = [5, 1]".into(),
            "m.toml:16: clip is [5, 1]; the first must be below the second",
        ),
        (
            "[network]",
            feature("side = \"item\"\nkind = \"id\"\ntable = \"device\"\nid_type = \"int\""),
            "m.toml:22: the features of table \"device\" have two id_types; one is possible",
        ),
        (
            "[network]",
            feature("kind = \"cross\"\nof = [\"item\"]\nhash = 4\ndim = 1"),
            "m.toml:34: \"x\" is a cross; of takes two features",
        ),
        (
            "[network]",
            feature("kind = \"cross\"\nof = [\"item\", \"last\"]\nhash = 4\ndim = 1"),
            "m.toml:34: \"last\" is neither an id nor a number with buckets",
        ),
        (
            "[network]",
            feature("kind = \"combine\"\nof = [\"length\"]\nop = \"product\""),
            "m.toml:34: \"x\" is combined; of takes two numbers",
        ),
        (
            "[network]",
            feature("kind = \"combine\"\nof = [\"length\", \"length\"]"),
            "m.toml:34: \"x\" needs op: \"product\", \"difference\" or \"ratio\"",
        ),
        (
            "[network]",
            feature("kind = \"combine\"\nof = [\"length\", \"item\"]\nop = \"ratio\""),
            "m.toml:34: \"item\" is no number, or one that is combined itself",
        ),
        (
            "[network]",
            feature("kind = \"combine\"\nof = [\"x\", \"length\"]\nop = \"ratio\""),
            "m.toml:34: \"x\" is no number, or one that is combined itself",
        ),
        (
            "[network]",
            feature("kind = \"combine\"\nof = [\"lenght\", \"length\"]\nop = \"ratio\""),
            "m.toml:34: unknown feature \"lenght\"",
        ),
        (
            "[network]",
            feature(
                "kind = \"combine\"\nof = [\"length\", \"length\"]\nop = \"ratio\"\nside = \"user\"",
            ),
            "m.toml:34: \"x\" is of the side of its parts; leave side out",
        ),
        (
            "[network]",
            feature("kind = \"combine\"\nof = [\"length\", \"length\"]\nop = \"sum\""),
            "\"product\", \"difference\", \"ratio\"",
        ),
        (
            "[network]",
            feature("kind = \"key_rate\"\nlabel = \"click\"\nkey = \"device\""),
            "m.toml:37: \"device\" is of side \"user\"; a key is of the candidate",
        ),
        (
            "[network]",
            feature("kind = \"rate\"\nlabel = \"click\"\nside = \"item\""),
            "m.toml:34: \"x\" is derived from the user's events; its side is \"user\"",
        ),
        (
            "[network]",
            feature(
                "kind = \"rate\"\nlabel = \"click\"\nhalf_life_events = 5\nhalf_life_seconds = 5",
            ),
            "not both",
        ),
        (
            "[network]",
            feature("kind = \"number\"\nside = \"item\"\nvalue = false"),
            "m.toml:34: \"x\" is neither a value nor buckets; it would be no input",
        ),
        (
            "[network]",
            feature("kind = \"ids\"\nside = \"item\"\nhash = 3\ndim = 1\nmax_len = 257"),
            "m.toml:34: max_len is 257; 1 to 256",
        ),
        (
            "[network]",
            feature("kind = \"ids\"\nside = \"item\"\nhash = 3\ndim = 1\nseparator = \"\""),
            "m.toml:34: separator is empty",
        ),
        (
            "name = \"length\"",
            "name = \"\"".into(),
            "m.toml:16: the name of a feature has 0 bytes; 1 to 64",
        ),
        ("[train]", "[train".into(), "m.toml:44:"),
        (
            "hash = 8",
            "hash = 8\nbits = 5".into(),
            "m.toml:10: bits is 5; 4 or 8",
        ),
        (
            "[train]",
            "[export]\nbits = 16\n[train]".into(),
            "m.toml:45: bits is 16; 4, 8 or \"auto\"",
        ),
        (
            "[train]",
            "[export]\nbits = \"least\"\n[train]".into(),
            "m.toml:45: bits is \"least\"; 4, 8 or \"auto\"",
        ),
        (
            "[train]",
            "[export]\nbits = [4]\n[train]".into(),
            "m.toml:45: bits is 4, 8 or \"auto\"",
        ),
        (
            "[train]",
            "[export]\nbits = \"auto\"\nmax_bytes = 9\n[train]".into(),
            "m.toml:45: bits \"auto\" packs what loses little, max_bytes what must be; state one of them",
        ),
        (
            "[network]",
            feature("kind = \"number\"\nside = \"item\"\nbits = 4"),
            "has bits but no buckets",
        ),
        (
            "[network]",
            feature("kind = \"vector\"\nside = \"item\"\ndim = 2\nbits = 4"),
            "has bits, which its kind has not",
        ),
    ];
    let mut wrong = String::new();
    for (from, to, message) in cases {
        assert!(MODEL.contains(from), "{from}");
        let error =
            Description::parse(Path::new("m.toml"), MODEL.replacen(from, &to, 1)).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind, Kind::Description);
        assert!(!text.contains('\n'), "{text}");
        if !text.contains(message) {
            wrong += &format!("{to:?}\n found: {text}\n right: {message}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_table_has_its_own_bits_those_of_its_feature_or_those_of_the_export() {
    let bits = |text: &str, table: &str| {
        let d = Description::parse(Path::new("m.toml"), text.into()).unwrap();
        d.table_bits(table)
    };
    let tables = ["item", "length:buckets", "device"];
    assert_eq!(tables.map(|t| bits(MODEL, t)), [None; 3]);
    let own = MODEL.replace("hash = 8", "hash = 8\nbits = 4");
    assert_eq!(tables.map(|t| bits(&own, t)), [Some(4), None, None]);
    let own = MODEL.replace("buckets = 4", "buckets = 4\nbits = 4");
    assert_eq!(tables.map(|t| bits(&own, t)), [None, Some(4), None]);
    let all = own.replace("[train]", "[export]\nbits = 8\n[train]");
    assert_eq!(tables.map(|t| bits(&all, t)), [Some(8), Some(4), Some(8)]);
}

#[test]
fn committed_descriptions_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found = 0;
    for example in std::fs::read_dir(folder).unwrap() {
        let file = example.unwrap().path().join("model.toml");
        if file.exists() {
            Description::read(&file).unwrap();
            found += 1;
        }
    }
    assert!(found > 0);
}
