//! Standard output that takes no more: a reader that has gone, a full device.
use std::fs::File;
use std::process::Stdio;

use crate::program::program;

#[test]
fn a_reader_that_has_gone_changes_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(["simulate", "--rows", "1000", "--out"]);
    command.arg(folder.path().join("feed")).stdout(writer);
    let ended = command.stderr(Stdio::piped()).spawn().unwrap();
    let ended = ended.wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(
        (ended.status.code(), told.contains("panicked")),
        (Some(0), false),
        "{told}"
    );
    assert!(folder.path().join("feed/truth.csv").exists());
}

#[test]
fn a_full_device_behind_standard_output_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(["simulate", "--rows", "1000", "--out"]);
    command.arg(folder.path().join("feed"));
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let child = command.stdout(full()).stderr(Stdio::piped()).spawn();
    let ended = child.unwrap().wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(4), "{told}");
    assert!(told.contains("pocketrank: standard output: "), "{told}");
}
