//! Several processes and one output folder.
use core::time::Duration;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::logs;
use crate::program::{Place, Result, done, names, refused, train};

/// A description that trains for hours.
fn endless() -> String {
    let model = logs::MODEL.replace("epochs = 2", "epochs = 10000000");
    assert_ne!(model, logs::MODEL);
    model
}

/// A child that does not outlive its test. What it says goes to a file: nobody would empty a pipe.
struct Started {
    child: Child,
    err: PathBuf,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Started {
    fn new(command: &mut Command, err: PathBuf) -> Self {
        let to = fs::File::create(&err).unwrap();
        let child = command.stderr(to).stdout(Stdio::null()).spawn().unwrap();
        Self { child, err }
    }
    /// Whether it has ended.
    fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
    /// Its exit code and the lines that it said.
    fn end(&mut self) -> (Option<i32>, Vec<String>) {
        let code = self.child.wait().unwrap().code();
        let said = fs::read_to_string(&self.err).unwrap();
        (code, said.lines().map(String::from).collect())
    }
}

/// Waits for something that is certain to come.
fn wait(mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn of_eight_starts_in_one_folder_one_trains_and_seven_say_so() {
    let place = Place::new(&logs::log(), &endless());
    let run = place.path("run");
    // The same and other descriptions: who loses must not leave its own.
    let text = |i: usize| endless().replace("name = \"small\"", &format!("name = \"small {i}\""));
    let start = |i: usize| {
        let model = place.path(&format!("model {i}.toml"));
        fs::write(&model, text(i)).unwrap();
        Started::new(&mut train(&model, &run), place.path(&format!("said {i}")))
    };
    let mut children: Vec<Started> = (0..8).map(start).collect();
    wait(|| {
        children
            .iter_mut()
            .filter_map(|c| c.ended().then_some(()))
            .count()
            >= 7
    });
    let winner = children.iter_mut().position(|c| !c.ended()).unwrap();
    let mut winner = children.remove(winner);
    for child in &mut children {
        let (code, said) = child.end();
        assert_eq!((code, said.len()), (Some(5), 1), "{said:?}");
        let message = format!(
            "pocketrank: {}: another process is training here",
            run.display()
        );
        assert!(said[0].starts_with(&message), "{said:?}");
    }
    wait(|| run.join("checkpoint.bin").exists());
    let written = fs::read_to_string(run.join("model.toml")).unwrap();
    let which = (0..8).find(|i| text(*i) == written).unwrap();
    let origin = fs::read_to_string(run.join("run.json")).unwrap();
    assert!(origin.contains(&format!("model {which}.toml")), "{origin}");
    // Whoever comes later is told the same, whatever it wants, and changes nothing.
    refused(
        train(&place.model(), &run).arg("--resume"),
        5,
        &["another process"],
    );
    assert_eq!(fs::read_to_string(run.join("model.toml")).unwrap(), written);

    winner.child.kill().unwrap();
    assert_eq!(winner.end().0, None);
    // The lock's file is still there, and holds nobody.
    assert!(run.join("lock").exists());
    fs::write(place.model(), logs::MODEL).unwrap();
    done(&mut train(&place.model(), &run));
    let whole = place.path("whole");
    done(&mut train(&place.model(), &whole));
    assert!(Result::of(&run) == Result::of(&whole));
}

#[test]
fn an_interrupt_ends_a_run_after_its_step_with_a_checkpoint() {
    let place = Place::new(&logs::log(), &endless());
    let run = place.path("run");
    let mut child = Started::new(&mut train(&place.model(), &run), place.path("said"));
    wait(|| run.join("checkpoint.bin").exists());
    let pid = child.child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.unwrap().success());
    wait(|| child.ended());
    let (code, said) = child.end();
    assert_eq!(code, Some(130), "{said:?}");
    assert!(
        said.last().unwrap().contains("--resume goes on"),
        "{said:?}"
    );
    assert!(
        !names(&run)
            .iter()
            .any(|n| n.ends_with(".part") || n == "parameters.bin")
    );
}

#[test]
fn a_checkpoint_of_another_description_is_refused_and_stays_as_it_is() {
    let place = Place::new(&logs::log(), logs::MODEL);
    let run = place.path("run");
    done(&mut train(&place.model(), &run));
    let read = || {
        names(&run)
            .iter()
            .map(|n| fs::read(run.join(n)).unwrap())
            .collect::<Vec<_>>()
    };
    let before = read();
    let words = ["checkpoint.bin", "another description", "without --resume"];
    refused(
        train(&place.model(), &run).args(["--resume", "--seed", "7"]),
        3,
        &words,
    );
    let other = place.path("other.toml");
    fs::write(&other, logs::MODEL.replace("lr = 0.01\n", "lr = 0.02\n")).unwrap();
    refused(train(&other, &run).arg("--resume"), 3, &words);
    // The same ids, labels and sizes: only one row has the id of another.
    let log = logs::log();
    let line = log.lines().nth(10).unwrap();
    let mut cells: Vec<&str> = line.split(',').collect();
    cells[3] = if cells[3] == "item 3" {
        "item 4"
    } else {
        "item 3"
    };
    fs::write(
        place.path("log.csv"),
        log.replacen(line, &cells.join(","), 1),
    )
    .unwrap();
    refused(train(&place.model(), &run).arg("--resume"), 3, &words);
    assert!(read() == before);
}
