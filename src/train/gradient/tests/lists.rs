//! Losses of whole requests and of teachers, through the whole network.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::train::loss::list::{self, ListLoss};
use crate::train::loss::taught::Teaching;
use crate::train::random::Key;

/// A log of which task 0 has utilities and task 2, which is on all rows, labels of 0 and 1 and a teacher of two rows in three; so
/// has task 1.
fn listed(n: usize, seed: u64) -> Dataset {
    let mut data = log(n, seed);
    let key = Key::new(seed).at(77);
    let draw = |stream: u64, i: usize| key.at(stream).at(i as u64);
    data.tasks[0].labels = (0..n)
        .map(|i| (draw(1, i).bits() % 4) as f32 * 0.75)
        .collect();
    data.tasks[0].ranks = true;
    data.tasks[0].weights = (0..n)
        .map(|i| f32::from(u8::from(!draw(2, i).chance(0.2))))
        .collect();
    data.tasks[2].labels = (0..n)
        .map(|i| f32::from(u8::from(draw(3, i).chance(0.4))))
        .collect();
    data.tasks[2].weights = vec![1.0; n];
    let teacher = |i: usize| {
        let says = draw(4, i).normal() as f32;
        if draw(5, i).chance(0.3) {
            f32::NAN
        } else {
            says
        }
    };
    for t in [1, 2] {
        data.tasks[t].teacher = (0..n).map(teacher).collect();
    }
    data
}

fn with(lists: [Option<ListLoss>; 2], teachings: [Option<Teaching>; 2]) -> Vec<TaskOptions> {
    let mut tasks = tasks();
    (tasks[0].list, tasks[2].list) = (lists[0], lists[1]);
    (tasks[1].teaching, tasks[2].teaching) = (teachings[0], teachings[1]);
    tasks
}

fn teaching(weight: f64, temperature: f64, pairs: bool) -> Option<Teaching> {
    Some(Teaching {
        weight,
        temperature,
        pairs,
    })
}

fn network_of(tasks: &[TaskOptions]) -> Network {
    let mut network = Network::new(&spec());
    let two = |t: &TaskOptions| matches!(t.list, Some(ListLoss::Jrc(_)));
    network.add_levels(&tasks.iter().map(two).collect::<Vec<_>>());
    network
}

#[test]
fn list_losses_and_teachers_have_the_gradients_of_finite_differences() {
    use ListLoss::*;
    let none = [None, None];
    for tasks in [
        with([Some(Pairwise), Some(Jrc(0.3))], none),
        with([Some(LambdaRank(3)), Some(RegressionCompatible(0.6))], none),
        with(
            [Some(Softmax), None],
            [teaching(0.7, 1.0, false), teaching(0.4, 2.5, false)],
        ),
        with([Some(ListNet), None], [None, teaching(0.8, 2.0, true)]),
    ] {
        let data = listed(48, 3);
        check_data_differences(network_of(&tasks), &data, &tasks, DropoutRates::default());
    }
    let tasks = with([Some(Softmax), Some(Jrc(0.5))], none);
    check_data_differences(network_of(&tasks), &listed(48, 3), &tasks, DROPPING);
}

/// Requests of four rows of which the first lost two: every shard ends in the middle of one.
fn straddling(n: u32) -> Vec<u32> {
    (2..n).collect()
}

#[test]
fn a_request_in_two_shards_has_the_loss_of_its_rows_together() {
    use ListLoss::*;
    for loss in [Pairwise, ListNet, Softmax, LambdaRank(2), Jrc(0.5)] {
        let data = listed(900, 4);
        // JRC is of classes.
        let task = if matches!(loss, Jrc(_)) { 2 } else { 0 };
        let lists = if task == 2 {
            [None, Some(loss)]
        } else {
            [Some(loss), None]
        };
        let tasks = with(lists, [None, None]);
        let network = network_of(&tasks);
        let w: Weights<f64> = weights(&network, &data);
        let rows = straddling(900);
        let mut g = Gradients::default();
        assert!(g.compute(&plan(&network, &data, &tasks, None), &w, &rows, None));
        let logits = network.predict(&w, &data, &rows);
        let (mut sum, mut count) = (0.0, 0.0);
        for request in rows.chunk_by(|a, b| data.request[*a as usize] == data.request[*b as usize])
        {
            let member = |r: &&u32| data.tasks[task].weights[**r as usize] > 0.0;
            let members: Vec<u32> = request.iter().filter(member).copied().collect();
            let z: Vec<f64> = members
                .iter()
                .map(|r| logits[(*r as usize - 2) * 3 + task])
                .collect();
            let u: Vec<f64> = members
                .iter()
                .map(|r| data.tasks[task].labels[*r as usize].into())
                .collect();
            if !loss.counts(&u) {
                continue;
            }
            let mut d = vec![0.0; z.len()];
            let of_request = match loss {
                Pairwise => list::pairwise(&z, &u, &mut d),
                ListNet => list::list_net(&z, &u, &mut d),
                LambdaRank(places) => list::lambda_rank(&z, &u, places, &mut d),
                Jrc(_) => {
                    let level = vec![0.0; z.len()];
                    list::jrc(&z, &level, &u, &mut d, &mut vec![0.0; z.len()])
                }
                _ => list::softmax(&z, &u, &mut d),
            };
            sum += of_request.unwrap();
            count += 1.0;
        }
        let mut want = sum / count;
        if let Jrc(share) = loss {
            let row = |r: &u32| {
                crate::train::loss::loss(
                    TaskKind::Binary,
                    1.0,
                    logits[(*r as usize - 2) * 3 + 2],
                    f64::from(data.tasks[2].labels[*r as usize]),
                )
                .0
            };
            let rows_loss = rows.iter().map(row).sum::<f64>() / rows.len() as f64;
            want = share * want + (1.0 - share) * rows_loss;
        } else {
            assert_eq!(g.weights[task], count);
        }
        want *= tasks[task].weight;
        assert!(
            (g.losses[task] - want).abs() < 1e-12,
            "{loss:?}: {} {want}",
            g.losses[task]
        );
    }
}

#[test]
fn threads_do_not_change_a_bit_of_losses_over_lists() {
    let data = listed(1500, 6);
    let tasks = with(
        [Some(ListLoss::LambdaRank(10)), Some(ListLoss::Jrc(0.5))],
        [None, None],
    );
    let network = network_of(&tasks);
    let w: Weights<f32> = weights(&network, &data);
    let rows = straddling(1500);
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut g = Gradients::default();
            assert!(g.compute(&plan(&network, &data, &tasks, None), &w, &rows, None));
            let losses: Vec<u64> = g.losses.iter().map(|l| l.to_bits()).collect();
            (bits(&all_gradients(&network, &g)), losses)
        })
    };
    let one = of(1);
    assert!(one == of(2) && one == of(3));
}

#[test]
fn batches_without_a_list_are_finite_and_teach_nothing() {
    let mut data = listed(300, 7);
    data.tasks[0].labels.fill(1.5);
    let tasks = with(
        [Some(ListLoss::Pairwise), None],
        [None, teaching(0.5, 2.0, true)],
    );
    data.tasks[2].teacher.fill(f32::NAN);
    let network = network_of(&tasks);
    let w: Weights<f32> = weights(&network, &data);
    for rows in [straddling(300), vec![5], vec![]] {
        let mut g = Gradients::default();
        assert!(g.compute(&plan(&network, &data, &tasks, None), &w, &rows, None));
        assert_eq!((g.losses[0], g.weights[0]), (0.0, 0.0));
        let head = &network.heads[0];
        assert!(g.dense[head.weights()].iter().all(|g| *g == 0.0));
    }
}

/// A teacher that says what the labels say, at temperature 1, is the labels.
#[test]
fn a_teacher_of_all_certainty_is_the_label() {
    let mut data = listed(300, 8);
    let far = |y: &f32| if *y > 0.0 { 60.0 } else { -60.0 };
    data.tasks[2].teacher = data.tasks[2].labels.iter().map(far).collect();
    let rows: Vec<u32> = (0..300).collect();
    let network = Network::new(&spec());
    let w: Weights<f64> = weights(&network, &data);
    let of = |weight: Option<f64>| {
        let teaching = weight.and_then(|w| teaching(w, 1.0, false));
        let tasks = with([Some(ListLoss::Softmax), None], [None, teaching]);
        let mut g = Gradients::default();
        assert!(g.compute(&plan(&network, &data, &tasks, None), &w, &rows, None));
        (g.losses[2], g.dense)
    };
    let (alone, d_alone) = of(None);
    for weight in [0.3, 1.0] {
        let (taught, d_taught) = of(Some(weight));
        assert!((alone - taught).abs() < 1e-12);
        for (a, b) in d_alone.iter().zip(&d_taught) {
            assert!((a - b).abs() < 1e-12);
        }
    }
}
