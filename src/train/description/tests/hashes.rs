//! `hashes`: what it adds to a description, and what each mistake is told.
use super::*;
use crate::spec::Side;

/// The description of the other tests, whose item has two hashes.
#[allow(unused_qualifications)] // Two globs have a `Result`.
fn parsed(lines: &str) -> core::result::Result<Description, Error> {
    parsed_with(MODEL, "hash = 8\n", lines)
}

#[test]
fn two_hashes_add_a_cross_of_the_id_with_itself_in_its_table() {
    let d = parsed("hash = 8\nhashes = 2\nbits = 4\ndefault = 5\n").unwrap();
    let names = d.toml.feature.iter().map(|f| f.name.get_ref().as_str());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["item", "length", "device", "last", "item:hash2"]
    );
    let second = &d.toml.feature[4];
    assert_eq!(
        (second.kind, d.side(second)),
        (FeatureKind::Cross, Side::Item)
    );
    assert_eq!(
        (second.table(), second.group.as_deref()),
        ("item", Some("item"))
    );
    let of = second.of.as_ref().unwrap().list();
    assert_eq!(of, ["item", "item"]);
    assert_eq!(d.table_bits("item"), Some(4));
    // One hash is what an id has without the key.
    assert_eq!(
        parsed("hash = 8\nhashes = 1\n").unwrap().toml.feature.len(),
        4
    );
    // Behind all that is served, before what is known in training alone; in the group of its id.
    let bias = "[[feature]]\nname = \"position\"\nside = \"candidate\"\nkind = \"number\"\nbuckets = 5\ndim = 2\ntrain_only = true\n[position_bias]\ntasks = [\"click\"]\nreference = { position = 0 }\n[network]";
    let both = MODEL
        .replace("hash = 8", "hash = 8\nhashes = 2\ngroup = \"what\"")
        .replace("[network]", bias);
    let d = Description::parse(Path::new("m.toml"), both).unwrap();
    assert_eq!(
        (d.feature("item:hash2"), d.feature("position")),
        (Some(4), Some(5))
    );
    assert_eq!(d.num_served_features(), 5);
    assert_eq!(d.toml.feature[4].group.as_deref(), Some("what"));
    // Of a table that is declared, whose other ids have one hash.
    let table = "[[table]]\nname = \"ids\"\ndim = 2\nhash = 8\n[[feature]]\nname = \"other\"\nside = \"user\"\nkind = \"id\"\ntable = \"ids\"\n[[feature]]\nname = \"item\"";
    let shared = MODEL
        .replace("hash = 8\ndim = 2", "table = \"ids\"\nhashes = 2")
        .replace("[[feature]]\nname = \"item\"", table);
    let d = Description::parse(Path::new("m.toml"), shared).unwrap();
    assert_eq!(d.toml.feature.len(), 6);
    assert_eq!(d.toml.feature[5].table(), "ids");
}

/// Each mistake as lines in place of the item's `hash = 8`, and the one line that it gets.
#[test]
fn every_mistake_of_hashes_is_one_line_with_its_place() {
    let feature = |text: &str| format!("hash = 8\ndim = 2\n[[feature]]\n{text}\n");
    let long = "i".repeat(59);
    let cases = [
        ("hash = 8\nhashes = 3\n".into(), "m.toml:10: hashes is 3; 1 or 2"),
        ("hash = 8\nhashes = 0\n".into(), "m.toml:10: hashes is 0; 1 or 2"),
        ("hashes = 2\n".into(), "m.toml:10: table \"item\" needs vocabulary or hash"),
        (
            "vocabulary = {}\nhashes = 2\n".into(),
            "m.toml:10: \"item\" has hashes = 2, but its table \"item\" has a vocabulary, where ids share no row; give it hash, a number of rows",
        ),
        (
            "hash = 8\nhashes = 2\nseparator = \"|\"\n".into(),
            "m.toml:10: \"item\" has separator, which its kind has not; that has column, id_type, table, dim, vocabulary, hash, hashes,",
        ),
        (
            feature("name = \"tags\"\nside = \"item\"\nkind = \"ids\"\nhash = 9\nhashes = 2"),
            "m.toml:16: \"tags\" has hashes, which only features of kind \"id\" take: a list pools one row of each id",
        ),
        (
            feature("name = \"recent\"\nkind = \"last_ids\"\nof = \"item\"\nlabel = \"click\"\nhashes = 2"),
            "m.toml:16: \"recent\" has hashes, which only features of kind \"id\" take",
        ),
        (
            feature("name = \"where\"\nside = \"item\"\nkind = \"id\"\nhash = 9\nhashes = 2\ntrain_only = true"),
            "m.toml:16: \"where\" is train_only; it takes one hash",
        ),
        (
            feature(&format!("name = \"{long}\"\nside = \"item\"\nkind = \"id\"\nhash = 9\nhashes = 2")),
            "m.toml:16: the name of a feature with hashes = 2 has 59 bytes; 1 to 58, as its second hash is called \"iii",
        ),
        (
            "hash = 8\nhashes = 2\ndim = 2\n[[feature]]\nname = \"item:hash2\"\nside = \"item\"\nkind = \"number\"\nbuckets = 4\n".into(),
            "m.toml:17: \"item:hash2\" is what the second hash of \"item\" is called; take another name",
        ),
        (
            "hash = 8\nhashes = 2\nserver = true\n".into(),
            "m.toml:10: table \"item\" is the server's; it takes a vocabulary",
        ),
        (
            "hash = 8\nis_second_hash = true\n".into(),
            "unknown key \"is_second_hash\"",
        ),
    ];
    for (lines, message) in cases {
        let lines: String = lines;
        let error = parsed(&lines).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind, Kind::Description);
        assert!(
            !text.contains('\n') && text.contains(message),
            "{text}\nright: {message}"
        );
    }
}
