//! Several processes and one output folder.
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::logs;
use crate::program::{Place, Result, done, names, refused, train};

/// A description that trains for hours.
fn endless() -> String {
    let model = logs::MODEL.replace("epochs = 2", "epochs = 10000000");
    assert_ne!(model, logs::MODEL);
    model
}

fn start(command: &mut Command) -> Child {
    command
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits for something that is certain to come.
fn wait(mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn of_eight_starts_in_one_folder_one_trains_and_seven_say_so() {
    let place = Place::new(&logs::log(), &endless());
    let run = place.path("run");
    // The same and other descriptions: who loses must not leave its own.
    let text = |i: usize| endless().replace("name = \"small\"", &format!("name = \"small {i}\""));
    let mut children: Vec<Child> = (0..8)
        .map(|i| {
            let model = place.path(&format!("model {i}.toml"));
            fs::write(&model, text(i)).unwrap();
            start(&mut train(&model, &run))
        })
        .collect();
    let mut ended = Vec::new();
    wait(|| {
        children = std::mem::take(&mut children)
            .into_iter()
            .enumerate()
            .filter_map(|(i, mut child)| match child.try_wait().unwrap() {
                Some(_) => {
                    ended.push(child.wait_with_output().unwrap());
                    None
                }
                None => Some((i, child)),
            })
            .map(|(_, child)| child)
            .collect();
        children.len() <= 1
    });
    for output in &ended {
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{err}");
        let message = format!(
            "pocketrank: {}: another process is training here",
            run.display()
        );
        assert!(
            err.starts_with(&message) && err.lines().count() == 1,
            "{err}"
        );
    }
    let mut winner = children.pop().unwrap();
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

    winner.kill().unwrap();
    winner.wait().unwrap();
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
    let mut child = start(&mut train(&place.model(), &run));
    wait(|| run.join("checkpoint.bin").exists());
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    wait(|| child.try_wait().unwrap().is_some());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        err.lines().last().unwrap().contains("--resume goes on"),
        "{err}"
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
    // The same number of rows with the same labels: only an id is another.
    let log = logs::log();
    let line = log.lines().nth(10).unwrap();
    let mut cells: Vec<&str> = line.split(',').collect();
    cells[3] = "item none";
    fs::write(
        place.path("log.csv"),
        log.replacen(line, &cells.join(","), 1),
    )
    .unwrap();
    refused(train(&place.model(), &run).arg("--resume"), 3, &words);
    assert!(read() == before);
    let _ = run;
}
