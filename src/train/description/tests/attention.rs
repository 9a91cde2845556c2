//! Features that attend: what is right, and what each mistake is told.
use super::*;

/// One of them, in place of the network's line.
#[allow(unused_qualifications)] // Two globs have a `Result`.
fn attending(lines: &str) -> core::result::Result<Description, Error> {
    let feature = format!("[[feature]]\nname = \"x\"\nkind = \"attention\"\n{lines}\n[network]");
    Description::parse(Path::new("m.toml"), MODEL.replace("[network]", &feature))
}

#[test]
fn a_list_and_an_id_of_one_table_make_a_feature_of_side_cross() {
    for dim in [
        "",
        "attention_dim = 8",
        "attention_dim = 64\nside = \"cross\"",
    ] {
        let d = attending(&format!("of = \"last\"\nquery = \"item\"\n{dim}")).unwrap();
        assert_eq!(d.side(&d.toml.feature[4]), crate::spec::Side::Cross);
        assert_eq!(d.table_name(&d.toml.feature[4]), "item");
    }
}

#[test]
fn every_mistake_of_attention_is_one_line_with_its_place() {
    let id = "[[feature]]\nname = \"other\"\nside = \"item\"\nkind = \"id\"\nhash = 8\ndim = 2";
    let ids = |side: &str, more: &str| {
        format!(
            "[[feature]]\nname = \"seen\"\nside = \"{side}\"\nkind = \"ids\"\ntable = \"item\"\n{more}"
        )
    };
    let of = |list: &str, query: &str| format!("of = \"{list}\"\nquery = \"{query}\"\n");
    for (lines, want) in [
        (
            "query = \"item\"".to_string(),
            "m.toml:34: \"x\" needs of: one list of the user",
        ),
        (
            "of = \"last\"".into(),
            "\"x\" needs query: an id of the candidate",
        ),
        (
            of("lst", "item"),
            "unknown feature \"lst\"; did you mean \"last\"?",
        ),
        (
            of("last", "itm"),
            "m.toml:37: unknown feature \"itm\"; did you mean \"item\"?",
        ),
        (
            of("item", "item"),
            "\"item\" is no list; of takes a feature of kind \"ids\" or \"last_ids\"",
        ),
        (of("x", "item"), "\"x\" is no list"),
        (
            of("last", "device"),
            "\"device\" is no id of the candidate; query takes one",
        ),
        (of("last", "length"), "\"length\" is no id of the candidate"),
        (of("last", "last"), "\"last\" is no id of the candidate"),
        (
            of("last", "other") + id,
            "\"other\" is of table \"other\", \"last\" of \"item\"; both must be of one",
        ),
        (
            of("seen", "item") + &ids("item", ""),
            "\"seen\" is no list of the user; of takes one of side \"user\"",
        ),
        (
            of("seen", "item") + &ids("user", "weights = \"w\""),
            "\"seen\" has weights; attention has its own",
        ),
        (
            of("last", "item") + "attention_dim = 7",
            "attention_dim is 7; 8 to 64",
        ),
        (
            of("last", "item") + "attention_dim = 65",
            "attention_dim is 65; 8 to 64",
        ),
        (
            of("last", "item") + "side = \"user\"",
            "\"x\" attends; its side is \"cross\"",
        ),
        (
            of("last", "item") + "dim = 4",
            "\"x\" has dim, which its kind has not; that has of, query, attention_dim",
        ),
    ] {
        let error = attending(&lines).unwrap_err().to_string();
        assert!(
            error.contains(want) && error.lines().count() == 1,
            "{error}\n{want}"
        );
    }
    let single = MODEL.replace("kind = \"mmoe\"", "kind = \"single\"");
    let feature = "[[feature]]\nname = \"x\"\nkind = \"attention\"\nof = \"last\"\nquery = \"item\"\n[network]";
    let text = single.replace("[network]", feature);
    let error = Description::parse(Path::new("m.toml"), text)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a network of kind \"single\" does not: take \"shared-embedding\""),
        "{error}"
    );
    let many: String = (0..9)
        .map(|i| {
            feature
                .replace("\"x\"", &format!("\"x{i}\""))
                .replace("[network]", "")
        })
        .collect();
    let text = MODEL.replace("[network]", &format!("{many}[network]"));
    let error = Description::parse(Path::new("m.toml"), text)
        .unwrap_err()
        .to_string();
    assert!(error.contains("9 features attend; at most 8"), "{error}");
}

#[test]
fn training_on_grids_takes_what_attends() {
    let feature = "[[feature]]\nname = \"x\"\nkind = \"attention\"\nof = \"last\"\nquery = \"item\"\n[network]";
    let aware = "batch = 16\nquantization_aware = { epochs = 1 }";
    let text = MODEL
        .replace("[network]", feature)
        .replace("batch = 16", aware);
    Description::parse(Path::new("m.toml"), text).unwrap();
}
