//! Tasks that a request leaves out.

use pocketrank::engine::{Output, Request};
use pocketrank::fusion;
use pocketrank::spec::{Spec, Term};
use pocketrank::train::golden;

use super::ranked::{each_with_quantiles, rank, with_scratch};

/// By what the documentation of `rank` says, task by task.
fn is_live(spec: &Spec<'_>, weights: &[f32], task: usize) -> bool {
    let named = spec.fusion.iter().zip(weights).any(|(term, weight)| {
        let mut chain = vec![usize::from(term.task)];
        while let (true, Some(given)) = (term.entire, spec.tasks[chain[chain.len() - 1]].given) {
            chain.push(given.into());
        }
        *weight != 0.0 && chain.contains(&task)
    });
    let feeds = |other: usize| {
        let inputs = &spec.tasks[other].inputs;
        inputs.iter().any(|fed| usize::from(fed.task) == task)
    };
    named || (0..spec.tasks.len()).any(|other| feeds(other) && is_live(spec, weights, other))
}

#[test]
fn tasks_that_the_order_does_not_depend_on_are_left_out_and_change_no_bit() {
    let mut dead = 0;
    each_with_quantiles(0..30, |seed, golden, model| {
        let (spec, owned) = (&golden.spec, golden::request(golden, seed, 11));
        let columns = owned.columns();
        for zeros in 0..1 << spec.fusion.len().min(4) {
            let terms = spec.fusion.iter().enumerate();
            let weight = |(i, term): (usize, &Term<'_>)| {
                if zeros >> i & 1 == 1 {
                    0.0
                } else {
                    term.weight
                }
            };
            let weights: Vec<f32> = terms.map(weight).collect();
            let live = fusion::live(spec, &spec.order().unwrap(), Some(&weights));
            for task in 0..spec.tasks.len() {
                let is = is_live(spec, &weights, task);
                assert_eq!(
                    live >> task & 1 == 1,
                    is,
                    "seed {seed} {weights:?} task {task}"
                );
                dead += usize::from(!is);
            }
            let request = Request {
                weights: Some(&weights),
                ..owned.as_request(&columns)
            };
            let all = rank(model, &request, 11).unwrap();
            let (mut order, mut fused) = (vec![7; 11], vec![7.0; 11]);
            with_scratch(model, 11, |scratch| {
                let mut output = Output {
                    order: &mut order,
                    fused: &mut fused,
                    scores: &mut [],
                    terms: &mut [],
                };
                model.rank(&request, scratch, &mut output).unwrap();
            });
            let fused: Vec<u32> = fused.iter().map(|x| x.to_bits()).collect();
            assert_eq!(
                (order, fused),
                (all.order, all.fused),
                "seed {seed} {weights:?}"
            );
        }
    });
    assert!(dead > 100, "{dead}");
}
