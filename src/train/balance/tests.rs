use super::*;

fn all() -> Vec<Balance> {
    Balance::NAMES
        .iter()
        .map(|name| Balance::named(name).expect("a known name"))
        .collect()
}

#[test]
fn unknown_name_is_answered_with_the_known_ones() {
    let error = Balance::named("graddrop").expect_err("not a method");
    assert!(error.contains("'graddrop'"));
    assert!(
        Balance::NAMES.iter().all(|name| error.contains(name)),
        "{error}"
    );
    for (balance, name) in all().iter().zip(Balance::NAMES) {
        assert_eq!(balance.name(), name);
        assert_eq!(balance.check(), Ok(()));
    }
}

#[test]
fn settings_outside_their_range_are_named() {
    for (balance, word) in [
        (
            Balance::Uncertainty {
                lr: 0.0,
                clamp: 2.0,
            },
            "lr of uncertainty",
        ),
        (
            Balance::Uncertainty {
                lr: 0.1,
                clamp: 11.0,
            },
            "clamp of uncertainty is 11",
        ),
        (
            Balance::Dwa {
                temperature: f64::NAN,
            },
            "temperature of dwa is NaN",
        ),
        (
            Balance::GradNorm {
                alpha: -1.0,
                lr: 0.1,
            },
            "alpha of gradnorm",
        ),
        (
            Balance::GradNorm {
                alpha: 1.0,
                lr: f64::INFINITY,
            },
            "lr of gradnorm",
        ),
        (
            Balance::Famo {
                lr: 0.1,
                decay: -0.1,
            },
            "decay of famo",
        ),
        (
            Balance::Famo {
                lr: -1.0,
                decay: 0.1,
            },
            "lr of famo",
        ),
    ] {
        let error = balance.check().expect_err("out of range");
        assert!(error.contains(word), "{error}");
    }
}

/// Runs two tasks of very different scale, 50 |x - (1, 0)|^2 and 0.005 |x - (0, 1)|^2, by plain gradient descent; returns
/// the losses before and after.
fn descend(balance: Balance, steps: usize) -> ([f64; 2], [f64; 2], Balancer) {
    let (scale, centre) = ([50.0, 0.005], [[1.0, 0.0], [0.0, 1.0]]);
    let losses = |x: [f64; 2]| {
        [0, 1].map(|t| {
            let c = centre[t];
            scale[t] * ((x[0] - c[0]).powi(2) + (x[1] - c[1]).powi(2))
        })
    };
    let mut balancer = Balancer::new(balance, 2);
    let mut x = [5.0, 5.0];
    let start = losses(x);
    for step in 0..steps {
        let factors = balancer.loss_factors();
        let g = [0, 1].map(|t| [0, 1].map(|d| factors[t] * 2.0 * scale[t] * (x[d] - centre[t][d])));
        let mut shared = vec![1.0; 2];
        if balancer.needs_gram() {
            let dot = |a: usize, b: usize| g[a][0] * g[b][0] + g[a][1] * g[b][1];
            let gram = [dot(0, 0), dot(0, 1), dot(1, 0), dot(1, 1)];
            shared = balancer.shared_factors(&gram, &[true, true], Key::new(step as u64));
        }
        let before = losses(x);
        for (d, x) in x.iter_mut().enumerate() {
            *x -= 0.001 * (shared[0] * g[0][d] + shared[1] * g[1][d]);
        }
        let after = balancer.re_evaluates().then(|| losses(x));
        balancer.after_step(&before, &[true, true], after.as_ref().map(|a| &a[..]));
        if step % 50 == 49 {
            balancer.end_epoch();
        }
        assert!(balancer.effective().iter().all(|f| f.is_finite()));
    }
    (start, losses(x), balancer)
}

#[test]
fn every_method_lowers_two_losses_of_different_scale() {
    for balance in all() {
        let (start, end, _) = descend(balance, 1000);
        for t in 0..2 {
            assert!(
                end[t].is_finite() && end[t] < start[t],
                "{balance:?} {start:?} {end:?}"
            );
        }
    }
}

#[test]
fn factors_have_the_scale_that_is_promised() {
    for balance in all() {
        let (_, _, balancer) = descend(balance, 300);
        let f = balancer.loss_factors();
        assert!(f.iter().all(|f| *f >= 0.0));
        let sum: f64 = f.iter().sum();
        match balance {
            Balance::Uncertainty { clamp, .. } => {
                assert!(
                    f.iter()
                        .all(|f| (libm::exp(-clamp)..=libm::exp(clamp)).contains(f))
                );
            }
            Balance::Famo { .. } => assert!((sum - 1.0).abs() < 1e-9),
            _ => assert!((sum - 2.0).abs() < 1e-9, "{balance:?} {f:?}"),
        }
    }
}

#[test]
fn task_without_rows_keeps_its_state_and_moves_no_other() {
    for balance in all() {
        let (mut two, mut one) = (Balancer::new(balance, 2), Balancer::new(balance, 2));
        let untouched = Balancer::new(balance, 2);
        for step in 0..20 {
            let key = Key::new(step);
            // What stands in an absent task's places must not matter.
            let junk = [f64::NAN, f64::NAN, f64::NAN, f64::NAN];
            two.shared_factors(&junk, &[false, false], key);
            two.after_step(&[f64::NAN; 2], &[false, false], Some(&[f64::NAN; 2]));
            for (balancer, other) in [(&mut one, 7.0), (&mut two, f64::NAN)] {
                let gram = [4.0, other, other, other];
                balancer.shared_factors(&gram, &[true, false], key);
                balancer.after_step(&[0.5, other], &[true, false], Some(&[0.4, other]));
                balancer.end_epoch();
            }
        }
        assert_eq!(one, two, "{balance:?}");
        let (f, g) = (one.loss_factors(), untouched.loss_factors());
        if matches!(
            balance,
            Balance::Uncertainty { .. } | Balance::GradNorm { .. }
        ) {
            assert_eq!(f[1], g[1], "{balance:?}");
        }
    }
}

#[test]
fn zero_losses_zero_gradients_and_single_tasks_stay_finite() {
    for balance in all() {
        for (n, loss) in [(1, 0.0), (1, 1.0), (3, 0.0), (3, 1e300), (0, 0.0)] {
            let mut b = Balancer::new(balance, n);
            for step in 0..50 {
                let shared = b.shared_factors(&vec![0.0; n * n], &vec![true; n], Key::new(step));
                assert!(shared.iter().all(|f| f.is_finite()));
                b.after_step(&vec![loss; n], &vec![true; n], Some(&vec![loss * 0.5; n]));
                b.end_epoch();
                let f = [b.loss_factors(), b.effective()].concat();
                assert!(
                    f.len() == 2 * n && f.iter().all(|f| f.is_finite()),
                    "{balance:?} {f:?}"
                );
            }
        }
    }
}

#[test]
fn state_survives_a_checkpoint() {
    for balance in all() {
        let (_, _, mut balancer) = descend(balance, 120);
        let bytes = postcard::to_allocvec(&balancer).expect("encodes");
        let mut read: Balancer = postcard::from_bytes(&bytes).expect("decodes");
        assert_eq!(read, balancer);
        for b in [&mut read, &mut balancer] {
            b.shared_factors(&[1.0, -0.5, -0.5, 2.0], &[true, true], Key::new(3));
            b.after_step(&[0.3, 0.2], &[true, true], Some(&[0.2, 0.2]));
            b.end_epoch();
        }
        assert_eq!(read, balancer);
    }
}

#[test]
fn settings_read_from_a_description() {
    #[derive(Deserialize)]
    struct Train {
        balance: Balance,
    }
    let read = |text: &str| toml::from_str::<Train>(text).map(|t| t.balance);
    assert_eq!(read("balance = 'pcgrad'"), Ok(Balance::PcGrad));
    assert_eq!(
        read("balance = { gradnorm = { alpha = 0.5, lr = 0.01 } }"),
        Ok(Balance::GradNorm {
            alpha: 0.5,
            lr: 0.01
        })
    );
    assert!(read("balance = 'sum'").is_err());
    assert!(read("balance = { dwa = { temperature = 2.0, lr = 1.0 } }").is_err());
}
