//! Every pointer of every function, and of the structs that they lead to, x {NULL, misaligned, short, overlapping, huge, copied
//! or closed handle}: its status, and nothing written but `detail`. `matrix.txt` says which status; what is neither there nor
//! impossible fails, so a new function, parameter or field has to be put there.

use pocketrank::ffi::*;

use super::calls::call;
use super::header::{Declared, HEADER, functions, structs};
use super::values::*;
use super::world::{Place, World};

const HANDLES: [&str; 4] = ["model", "scratch", "session", "formula"];

/// Without pointers.
const NOTHING_TO_SPOIL: [&str; 4] = [
    "pkr_abi_version",
    "pkr_version",
    "pkr_status_name",
    "pkr_formula_bytes",
];

/// Structs that are filled in by the library alone: what they point to is the model's. `pkr_pin` and `pkr_slot` point to nothing.
fn is_told(name: &str) -> bool {
    name.ends_with("_information")
}

/// What a pointer can be, in the order of the columns of `matrix.txt`.
const SPOILED: [&str; 6] = [
    "NULL",
    "misaligned",
    "short",
    "overlapping",
    "huge",
    "copied",
];

/// A line of `matrix.txt`: statuses by name, "-" for what cannot be.
#[derive(Debug)]
struct Row<'t> {
    function: &'t str,
    argument: &'t str,
    cells: [&'t str; 6],
}

fn rows() -> Vec<Row<'static>> {
    let lines = include_str!("matrix.txt").lines();
    let lines = lines.filter(|l| !l.is_empty() && !l.starts_with('#'));
    let row = |line: &'static str| {
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap_or_else(|| panic!("{line}: too short"));
        let row = Row {
            function: word(),
            argument: word(),
            cells: core::array::from_fn(|_| word()),
        };
        assert_eq!(words.next(), None, "{line}: too long");
        row
    };
    lines.map(row).collect()
}

/// Size of the struct that a pointer leads to.
fn struct_bytes(kind: &str) -> Option<u32> {
    macro_rules! sizes {
        ($($name:ident)*) => {
            match kind.trim_start_matches("const ").trim_end_matches('*') {
                $(stringify!($name) => Some(size::<$name>()),)*
                _ => None,
            }
        };
    }
    sizes! {
        pkr_requirements pkr_open_options pkr_error_detail pkr_model_information pkr_feature_information pkr_task_information
        pkr_term_information pkr_label_information pkr_request pkr_result pkr_key pkr_event pkr_formula_information
        pkr_weight_information pkr_rules pkr_list
    }
}

/// Type of an argument or field.
fn kind_of(parameters: &[Declared], argument: &str) -> String {
    let Some((of, field)) = argument.split_once('.') else {
        let parameter = parameters.iter().find(|p| p.name == argument);
        return parameter.unwrap().kind.clone();
    };
    let of = if of == "value" { "key" } else { of };
    let structs = structs(HEADER);
    let (_, fields) = structs.iter().find(|s| s.0 == format!("pkr_{of}")).unwrap();
    let field = fields.iter().find(|f| f.name == field);
    field.unwrap().kind.clone()
}

fn name(status: pkr_status) -> &'static str {
    let name = status_name(status).to_str().unwrap();
    name.trim_start_matches("PKR_").trim_start_matches("ERR_")
}

/// Calls `row`'s function with one argument spoiled: its status, if nothing was written.
fn spoiled(
    row: &Row<'_>,
    parameters: &[Declared],
    spoil: impl FnOnce(&mut World, Place),
) -> &'static str {
    let mut world = World::new(row.function, parameters, row.argument);
    let place = world.find(parameters, row.argument);
    spoil(&mut world, place);
    let before = world.outputs();
    let status = call(row.function, &world.arguments);
    if status != PKR_OK {
        for (before, after) in before.iter().zip(&world.outputs()) {
            let what = before.0;
            assert!(
                before == after,
                "{} {}: {what} was written",
                row.function,
                row.argument
            );
        }
    }
    name(status)
}

/// SAFETY of all writes below: words and structs are the world's own.
fn check(row: &Row<'_>, parameters: &[Declared]) {
    let kind = kind_of(parameters, row.argument);
    let is_handle = HANDLES.contains(&row.argument) || row.argument == "request.formula";
    let handle = row.argument.rsplit('.').next().unwrap();
    let bytes = struct_bytes(&kind).filter(|_| !row.argument.contains('.'));
    let has_len = World::new(row.function, parameters, row.argument)
        .find(parameters, row.argument)
        .len
        .is_some();
    let element = kind.trim_start_matches("const ").trim_end_matches('*');
    let lies_anywhere = matches!(element, "uint8_t" | "int8_t") && row.argument != "memory";
    let others = parameters.iter().filter(|p| p.kind.contains('*')).count() > 1;
    // What a pointer can have wrong, it must have a status for.
    let is_sized = bytes.is_some() || has_len;
    let can_be = |what| match what {
        "misaligned" => !lies_anywhere,
        "short" => !is_handle && is_sized,
        "overlapping" => others,
        "huge" => !is_handle && has_len,
        "copied" => is_handle,
        _ => true,
    };
    for (what, cell) in SPOILED.into_iter().zip(row.cells) {
        let place = format!("{} {}: {what}", row.function, row.argument);
        assert_eq!(cell != "-", can_be(what), "{place} is {cell}");
        if cell == "-" {
            continue;
        }
        let status = match what {
            "NULL" => spoiled(row, parameters, |_, place| unsafe { *place.word = 0 }),
            "misaligned" => spoiled(row, parameters, |_, place| unsafe { *place.word += 1 }),
            "short" => spoiled(row, parameters, |_, place| match (bytes, place.len) {
                (Some(bytes), _) => unsafe { *(*place.word as *mut u32) = bytes - 4 },
                (None, len) => unsafe { *len.unwrap() -= 1 },
            }),
            "huge" => spoiled(row, parameters, |_, place| unsafe {
                *place.len.unwrap() = usize::MAX
            }),
            "overlapping" => {
                let (target, _) = cell.split_once(':').unwrap();
                spoiled(row, parameters, |world, place| unsafe {
                    let to = match target {
                        "file" => world.in_the_file(),
                        _ => *world.find(parameters, target).word,
                    };
                    if let Some(bytes) = bytes.filter(|_| !HANDLES.contains(&target)) {
                        *(to as *mut u32) = bytes; // is a struct of its kind, as far as it can say
                    }
                    *place.word = to;
                })
            }
            _ => spoiled(row, parameters, |world, place| unsafe {
                *place.word = world.copy(handle)
            }),
        };
        let expected = cell.rsplit(':').next().unwrap();
        assert_eq!(status, expected, "{place}");
    }
    if is_handle {
        let closed = spoiled(row, parameters, |world, _| world.close(handle));
        assert_eq!(
            closed, row.cells[5],
            "{} {}: closed",
            row.function, row.argument
        );
    }
}

#[test]
fn every_wrong_pointer_has_its_status_and_harms_nothing() {
    let functions = functions(HEADER);
    let mut checked = 0;
    for row in rows() {
        let function = functions.iter().find(|f| f.0.name == row.function);
        let (_, parameters) = function.unwrap_or_else(|| panic!("{row:?}: no such function"));
        check(&row, parameters);
        checked += 1;
    }
    assert!(checked > 150);
}

#[test]
fn good_arguments_are_good() {
    for (function, parameters) in functions(HEADER) {
        let function = function.name.as_str();
        if NOTHING_TO_SPOIL.contains(&function) {
            assert!(parameters.iter().all(|p| !p.kind.contains('*')));
            continue;
        }
        for focus in ["", "request.formula"] {
            let world = World::new(function, &parameters, focus);
            assert_eq!(name(call(function, &world.arguments)), "OK", "{function}");
        }
    }
}

/// What the header has is in the matrix: each pointer of a function once, each of a struct that the app fills in at least once.
#[test]
fn the_matrix_is_complete() {
    let rows = rows();
    for (function, parameters) in functions(HEADER) {
        let function = function.name.as_str();
        for parameter in parameters.iter().filter(|p| p.kind.contains('*')) {
            let found = rows
                .iter()
                .filter(|r| r.function == function && r.argument == parameter.name);
            assert_eq!(
                found.count(),
                1,
                "matrix.txt: {function} {}",
                parameter.name
            );
        }
    }
    for (name, fields) in structs(HEADER).iter().filter(|s| !is_told(&s.0)) {
        for field in fields.iter().filter(|f| f.kind.contains('*')) {
            let field = format!("{}.{}", name.trim_start_matches("pkr_"), field.name);
            assert!(
                rows.iter().any(|r| r.argument == field),
                "matrix.txt: {field}"
            );
        }
    }
}
