//! `requests`: what an app would send, from a log; the demo leaves a file of them.
use std::fs;

use pocketrank::engine::{Model, OpenOptions};
use pocketrank::train::replay::Ranker;
use pocketrank::train::requests::read_requests;
use serde_json::Value;

use crate::program::{Place, done, program};

#[test]
fn requests_of_a_log_rank_as_the_log_does() {
    let place = Place::empty();
    done(
        program(["demo", "--rows", "12000", "--out"])
            .arg(place.root())
            .arg("--json"),
    );
    let left = read_requests(&fs::read(place.path("requests.req")).unwrap()).unwrap();
    assert_eq!(left.len(), 100);

    let (file, few) = (place.path("feed.pkr"), place.path("few.req"));
    let mut requests = program(["requests", "--count", "3"]);
    requests.arg(&file).arg(place.model()).arg("-o").arg(&few);
    let said = done(&mut requests).out;
    assert!(said.ends_with("few.req: 3 requests\n"), "{said}");
    let few = read_requests(&fs::read(&few).unwrap()).unwrap();
    assert_eq!(few, left[97..]);

    // The last of them is the last of the log, with its user's past.
    let log = fs::read_to_string(place.path("log.csv")).unwrap();
    let name = log.lines().last().unwrap().split(',').next().unwrap();
    let mut rank = program(["rank", "--request", name, "--top", "3", "--json"]);
    let json: Value = serde_json::from_str(&done(rank.arg(&file).arg(place.model())).out).unwrap();
    let bytes = fs::read(&file).unwrap();
    let mut model = Box::new(Model::new());
    model.open(&bytes, &OpenOptions::default()).unwrap();
    let mut ranker = Ranker::new(&model);
    ranker.rank(&few[2]).unwrap();
    assert_eq!(json["candidates"], few[2].num_candidates);
    for (at, top) in json["top"].as_array().unwrap().iter().enumerate() {
        let candidate = ranker.order[at] as usize;
        assert_eq!(top["candidate"], candidate);
        assert_eq!(
            top["fused"].as_f64().unwrap() as f32,
            ranker.fused[candidate]
        );
    }
    let fresh = few[2].state.as_ref().unwrap().iter().filter(|b| **b != 0);
    assert!(fresh.count() > 40, "the user has a past");
}
