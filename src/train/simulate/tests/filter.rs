//! The filter and the closed forms against sums over everything that may have happened.

use std::prelude::v1::*;

use super::super::world::{
    NUM_INTERACTIONS, NUM_STATES, NUM_TYPES, STATE_START, STATE_STEP, WATCH_SD,
};
use super::super::{
    Feed, Feedback, Generator, INTERACTION_DELAY_SECONDS, Item, Request, SimulateOptions,
};

fn feed(rows: u64) -> Feed {
    Feed::new(SimulateOptions {
        rows,
        seed: 7,
        ..SimulateOptions::default()
    })
    .unwrap()
}

/// One request of the past: whether it began a session, and its rows.
struct Past {
    session_starts: bool,
    time: i64,
    rows: Vec<(Item, u32, Feedback)>,
}

/// ln P(what is known of a row at `now` | type, state), written down again.
fn ln_likelihood(
    feed: &Feed,
    past: &Past,
    now: i64,
    kind: usize,
    state: usize,
    late: &mut [u32; 2],
) -> f64 {
    let mut sum = 0.0;
    for (item, position, feedback) in past.rows.iter().filter(|row| row.2.valid) {
        let truth = feed.world().predict_latent(item, *position, kind, state);
        if !feedback.click {
            sum += libm::log(1.0 - truth.click);
            continue;
        }
        let u = (libm::log(feedback.watch_seconds) - libm::log(truth.watch_median)) / WATCH_SD;
        sum += libm::log(truth.click) - 0.5 * u * u;
        let p = feed
            .world()
            .interactions_given_watch(item, feedback.watch_seconds);
        for j in 0..NUM_INTERACTIONS {
            let seen_at = past.time + i64::from(feedback.view_end_seconds);
            let known = seen_at + i64::from(INTERACTION_DELAY_SECONDS[j]) < now;
            late[usize::from(known)] += 1;
            if known {
                sum += libm::log(if feedback.interactions[j] {
                    p[j][kind]
                } else {
                    1.0 - p[j][kind]
                });
            }
        }
    }
    sum
}

/// P(type, state now) by summing over every path of states.
fn enumerate(feed: &Feed, past: &[Past], request: &Request, late: &mut [u32; 2]) -> Vec<f64> {
    let prior = feed.world().type_prior(&request.profile);
    let mut joint = vec![0.0; NUM_TYPES * NUM_STATES];
    let table: Vec<Vec<f64>> = past
        .iter()
        .map(|p| {
            (0..NUM_TYPES * NUM_STATES)
                .map(|ks| {
                    ln_likelihood(
                        feed,
                        p,
                        request.time,
                        ks / NUM_STATES,
                        ks % NUM_STATES,
                        late,
                    )
                })
                .collect()
        })
        .collect();
    let steps = past.len() + 1;
    for kind in 0..NUM_TYPES {
        for path in 0..NUM_STATES.pow(steps as u32) {
            let state = |step: usize| path / NUM_STATES.pow(step as u32) % NUM_STATES;
            let mut ln_p = libm::log(prior[kind]);
            for step in 0..steps {
                let starts = past
                    .get(step)
                    .map_or(request.session_starts, |p| p.session_starts);
                ln_p += libm::log(if starts {
                    STATE_START[state(step)]
                } else {
                    STATE_STEP[state(step - 1)][state(step)]
                });
                ln_p += table
                    .get(step)
                    .map_or(0.0, |row| row[kind * NUM_STATES + state(step)]);
            }
            joint[kind * NUM_STATES + state(steps - 1)] += libm::exp(ln_p);
        }
    }
    let total: f64 = joint.iter().sum();
    joint.into_iter().map(|p| p / total).collect()
}

#[test]
fn filter_equals_the_sum_over_every_hidden_path() {
    let feed = feed(10_000);
    let mut late = [0, 0];
    let mut sessions = 0;
    for user in 0..12 {
        let mut visitor = feed.visitor(7, user, 1_000_000);
        let mut past = Vec::new();
        for _ in 0..6 {
            let request = visitor.next_request(&feed);
            sessions += u32::from(request.session_starts);
            let expected = enumerate(&feed, &past, &request, &mut late);
            for (ks, p) in expected.iter().enumerate() {
                let got = request
                    .belief()
                    .probability(ks / NUM_STATES, ks % NUM_STATES);
                assert!((got - p).abs() < 1e-9, "user {user}: {got} is not {p}");
            }
            let order: Vec<u32> = (0..40).collect();
            let feedback = visitor.respond(&feed, &request, &order).unwrap();
            let rows = feedback.iter().zip(0..);
            past.push(Past {
                session_starts: request.session_starts,
                time: request.time,
                rows: rows
                    .map(|(f, i)| (*request.item(&feed, i).unwrap(), i, *f))
                    .collect(),
            });
        }
    }
    // The comparison has met labels on both sides of their delay, and sessions after the first.
    assert!(
        late[0] > 1000 && late[1] > 1000 && sessions > 15,
        "{late:?} {sessions}"
    );
}

#[test]
fn a_label_does_not_move_the_filter_before_its_delay() {
    let feed = feed(10_000);
    let mut checked = 0;
    for user in 0..40 {
        let mut visitor = feed.visitor(7, user, 1_000_000);
        let request = visitor.next_request(&feed);
        let order: Vec<u32> = (0..40).collect();
        let feedback = visitor.respond(&feed, &request, &order).unwrap();
        if visitor.has_left() {
            continue;
        }
        let next = visitor.next_request(&feed);
        assert!(
            feedback
                .iter()
                .all(|f| request.time + i64::from(f.view_end_seconds) < next.time)
        );
        if next.time - request.time > 600 {
            continue;
        }
        // Within ten minutes only clicks and watch times are known.
        let mut expected = *request.belief();
        for (row, index) in feedback.iter().zip(0..).filter(|(row, _)| row.valid) {
            let item = request.item(&feed, index).unwrap();
            expected.observe_view(
                feed.world(),
                item,
                index,
                row.click.then_some(row.watch_seconds),
            );
        }
        expected.step(false);
        assert_eq!(&expected, next.belief());
        checked += 1;
    }
    assert!(checked > 20);
}

#[test]
fn predictions_equal_quadrature_over_watch_time() {
    let feed = feed(10_000);
    let world = feed.world();
    for logged in Generator::new(&feed).skip(300).step_by(97).take(6) {
        let request = &logged.request;
        let item = request.item(&feed, 3).unwrap();
        let got = request.predict_visible(&feed, 3, 2).unwrap();
        let mut sums = [0.0; 4 + NUM_INTERACTIONS];
        for kind in 0..NUM_TYPES {
            for state in 0..NUM_STATES {
                let truth = world.predict_latent(item, 2, kind, state);
                let weight = request.belief().probability(kind, state) * truth.click;
                sums[0] += weight;
                let center = libm::log(truth.watch_median);
                for cell in 0..400 {
                    let u = (f64::from(cell) + 0.5) / 400.0 * 16.0 - 8.0;
                    let mass = weight * super::super::normal::density(u) * 16.0 / 400.0;
                    let ln_watch = center + WATCH_SD * u;
                    let watch = libm::exp(ln_watch);
                    sums[1] += mass * watch;
                    let p = world.interactions_given_watch(item, watch);
                    (0..NUM_INTERACTIONS).for_each(|j| sums[4 + j] += mass * p[j][kind]);
                }
                let above = |ln_bound: f64| {
                    0.5 * libm::erfc((ln_bound - center) / WATCH_SD / core::f64::consts::SQRT_2)
                };
                sums[2] += weight * above(libm::log(0.95 * f64::from(item.length_seconds)));
                sums[3] += weight * above(libm::log(got.watch_median));
            }
        }
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6 * b.abs().max(1.0), "{a} {b}");
        close(got.click, sums[0]);
        close(got.watch_mean, sums[1] / sums[0]);
        close(got.complete, sums[2] / sums[0]);
        close(0.5, sums[3] / sums[0]);
        (0..NUM_INTERACTIONS).for_each(|j| close(got.interactions[j], sums[4 + j] / sums[0]));
    }
}

#[test]
fn normal_distribution_is_that_of_erfc() {
    let normal = super::super::normal::Normal::new();
    for i in 0..=20_000 {
        let x = f64::from(i) * 1e-3 - 10.0;
        let exact = 0.5 * libm::erfc(-x.clamp(-8.0, 8.0) * core::f64::consts::FRAC_1_SQRT_2);
        assert!((normal.cdf(x) - exact).abs() < 2e-11, "{x}");
        assert!(normal.cdf(x) > 0.0);
    }
}

#[test]
fn bound_is_calibrated_against_truth_and_labels() {
    let feed = feed(60_000);
    // By tenth of p_visible: sums of p_visible, p_latent and clicks, and the number of rows.
    let mut click = [[0.0; 4]; 10];
    let mut complete = [[0.0; 4]; 10];
    let add = |sums: &mut [[f64; 4]; 10], visible: f64, latent: f64, label: bool| {
        let bucket = &mut sums[((visible * 10.0) as usize).min(9)];
        let row = [visible, latent, f64::from(u8::from(label)), 1.0];
        bucket.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    };
    for logged in Generator::new(&feed).take(6_000) {
        for row in logged.rows.iter().filter(|row| row.feedback.valid) {
            let visible = logged
                .request
                .predict_visible(&feed, row.index, row.position)
                .unwrap();
            let latent = logged
                .request
                .predict_latent(&feed, row.index, row.position)
                .unwrap();
            add(&mut click, visible.click, latent.click, row.feedback.click);
            if row.feedback.click {
                add(
                    &mut complete,
                    visible.complete,
                    latent.complete,
                    row.feedback.complete,
                );
            }
        }
    }
    for [visible, latent, labels, num] in click
        .into_iter()
        .chain(complete)
        .filter(|sums| sums[3] > 500.0)
    {
        let p = visible / num;
        // Rows of a user share a type: 10 standard errors of independent rows.
        let tolerance = 10.0 * libm::sqrt(p * (1.0 - p) / num);
        assert!(
            (latent / num - p).abs() < tolerance,
            "{p} {} of {num}",
            latent / num
        );
        assert!(
            (labels / num - p).abs() < tolerance,
            "{p} {} of {num}",
            labels / num
        );
    }
}
