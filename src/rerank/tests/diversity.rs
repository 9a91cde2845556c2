//! Lists of MMR and DPP against the formulas themselves, in f64 and with determinants.

use super::*;

/// Candidates with scores and vectors.
struct Case {
    fused: Vec<f32>,
    vectors: Vec<i8>,
    dim: usize,
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let candidates = 2 + random.below(18) as usize;
        let dim = 1 + random.below(20) as usize;
        let offset = random.below(3) as f32 - 2.0;
        let fused = (0..candidates)
            .map(|_| random.unit() * 3.0 + offset)
            .collect();
        let vectors = (0..candidates * dim).map(|_| (random.below(255) as i32 - 127) as i8);
        let mut vectors: Vec<i8> = vectors.collect();
        // Two without a vector, and two that are the same.
        if random.below(3) == 0 {
            vectors[..dim].fill(0);
            let last = vectors.len() - dim;
            vectors[last..].fill(0);
        }
        if random.below(3) == 0 {
            vectors.copy_within(0..dim, dim);
        }
        Self {
            fused,
            vectors,
            dim,
        }
    }

    fn relevance(&self, i: usize) -> f64 {
        let low = self.fused.iter().copied().fold(f32::INFINITY, f32::min);
        let high = self.fused.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        (f64::from(self.fused[i]) - f64::from(low)) / (f64::from(high) - f64::from(low))
    }

    fn cosine(&self, a: usize, b: usize) -> f64 {
        let row = |i: usize| &self.vectors[i * self.dim..(i + 1) * self.dim];
        let dot = |a: usize, b: usize| -> f64 {
            let pairs = row(a).iter().zip(row(b));
            pairs.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
        };
        match (dot(a, a), dot(b, b)) {
            (0.0, 0.0) => 1.0,
            (0.0, _) | (_, 0.0) => 0.0,
            (x, y) => dot(a, b) / libm::sqrt(x * y),
        }
    }

    fn s(&self, a: usize, b: usize) -> f64 {
        if a == b {
            1.0
        } else {
            0.5 * (1.0 + self.cosine(a, b))
        }
    }

    /// det S of a set.
    fn determinant(&self, set: &[usize]) -> f64 {
        let n = set.len();
        let mut m: Vec<Vec<f64>> = set
            .iter()
            .map(|a| set.iter().map(|b| self.s(*a, *b)).collect())
            .collect();
        let mut determinant = 1.0;
        for k in 0..n {
            let pivot = (k..n)
                .max_by(|a, b| m[*a][k].abs().total_cmp(&m[*b][k].abs()))
                .expect("a row");
            if m[pivot][k] == 0.0 {
                return 0.0;
            }
            if pivot != k {
                m.swap(pivot, k);
                determinant = -determinant;
            }
            determinant *= m[k][k];
            let row = m[k].clone();
            for lower in &mut m[k + 1..] {
                let factor = lower[k] / row[k];
                lower
                    .iter_mut()
                    .zip(&row)
                    .for_each(|(to, x)| *to -= factor * x);
            }
        }
        determinant
    }

    /// Holds a list against the greatest of `objective(list so far, candidate)`; `None` is one that can't be told in f32.
    fn check(
        &self,
        diversity: Diversity,
        objective: &dyn Fn(&[usize], usize) -> Option<f64>,
    ) -> usize {
        let rules = Rules {
            diversity,
            vectors: &self.vectors,
            dim: self.dim,
            ..Rules::default()
        };
        let (slots, _) = list(&rules, &self.fused, self.fused.len());
        let mut chosen: Vec<usize> = Vec::new();
        for slot in &slots {
            let own = slot.candidate as usize;
            let rest = (0..self.fused.len()).filter(|i| !chosen.contains(i));
            let all: Option<Vec<(usize, f64)>> =
                rest.map(|i| Some((i, objective(&chosen, i)?))).collect();
            let Some(all) = all else { break };
            let best = all
                .iter()
                .map(|(_, x)| *x)
                .fold(f64::NEG_INFINITY, f64::max);
            let got = all.iter().find(|(i, _)| *i == own).expect("in the rest").1;
            assert!(
                got > best - 1e-5,
                "{own} {got} instead of {best}, behind {chosen:?}"
            );
            assert!(
                (f64::from(slot.score) - got).abs() < 2e-3,
                "{} {got}",
                slot.score
            );
            chosen.push(own);
        }
        chosen.len()
    }
}

#[test]
fn mmr_takes_the_greatest_of_its_formula() {
    let mut random = Random(5);
    for round in 0..600 {
        let case = Case::random(&mut random);
        let lambda = [0.0, 0.3, 0.7, 1.0][round % 4];
        let objective = |list: &[usize], i: usize| {
            let similar = list
                .iter()
                .map(|j| case.cosine(i, *j))
                .fold(f64::NEG_INFINITY, f64::max);
            let similar = if list.is_empty() { 0.0 } else { similar };
            let lambda = f64::from(lambda);
            Some(lambda * case.relevance(i) - (1.0 - lambda) * similar)
        };
        assert_eq!(
            case.check(Diversity::Mmr { lambda }, &objective),
            case.fused.len()
        );
    }
}

#[test]
fn dpp_takes_the_greatest_determinant() {
    let mut random = Random(6);
    let mut slots = 0;
    for round in 0..600 {
        let case = Case::random(&mut random);
        let theta = [0.0, 0.5, 2.0, 8.0][round % 4];
        let objective = |list: &[usize], i: usize| {
            let mut with = list.to_vec();
            with.push(i);
            let left = case.determinant(&with) / case.determinant(list);
            let least = f64::from(RESIDUAL_MIN);
            // Near the bound, or behind one that was below it, f32 decides.
            if list.iter().enumerate().any(|(n, j)| {
                case.determinant(&[&list[..n], &[*j]].concat()) / case.determinant(&list[..n])
                    < 1.1 * least
            }) || (left > 0.5 * least && left < 2.0 * least)
            {
                return None;
            }
            Some(2.0 * f64::from(theta) * case.relevance(i) + libm::log(left.max(least)))
        };
        slots += case.check(Diversity::Dpp { theta }, &objective);
    }
    assert!(slots > 3000, "{slots}");
}

/// q_i^2 times what the list leaves of S_ii is what determinants of L = q S q give, at least while those can be computed.
#[test]
fn the_kernel_is_that_of_the_paper() {
    let case = Case::random(&mut Random(8));
    let theta = 1.5;
    let q = |i: usize| libm::exp(theta * case.relevance(i));
    let of =
        |set: &[usize]| set.iter().map(|i| q(*i) * q(*i)).product::<f64>() * case.determinant(set);
    let gain = of(&[1, 3, 0]) / of(&[1, 3]);
    let ours = q(0) * q(0) * case.determinant(&[1, 3, 0]) / case.determinant(&[1, 3]);
    assert!((gain / ours - 1.0).abs() < 1e-9);
}

#[test]
fn when_the_space_is_full_the_rest_goes_by_score() {
    // Two directions; behind three items (S has a rank of 3) nothing is new.
    let vectors = [100, 0, 0, 100, -100, 0, 90, 10, 10, 90, 50, 50];
    let fused = [1.0, 2.0, 3.0, 6.0, 5.0, 4.0];
    let rules = Rules {
        diversity: Diversity::Dpp { theta: 0.01 },
        vectors: &vectors,
        dim: 2,
        ..Rules::default()
    };
    let (slots, _) = list(&rules, &fused, 6);
    let rest: Vec<f32> = slots[3..]
        .iter()
        .map(|s| fused[s.candidate as usize])
        .collect();
    assert!(rest.is_sorted_by(|a, b| a > b), "{rest:?}");
    assert!(slots[..3].iter().skip(1).all(|s| s.similarity < 0.999));
    assert!(slots[3..].iter().all(|s| s.similarity > 0.999));
}

#[test]
fn lengths_of_vectors_do_not_matter() {
    let mut random = Random(9);
    let case = Case::random(&mut random);
    let half: Vec<i8> = case.vectors.iter().map(|x| x / 2 * 2).collect();
    let small: Vec<i8> = half.iter().map(|x| x / 2).collect();
    for diversity in [
        Diversity::Mmr { lambda: 0.4 },
        Diversity::Dpp { theta: 1.0 },
    ] {
        let order = |vectors: &[i8]| {
            let rules = Rules {
                diversity,
                vectors,
                dim: case.dim,
                ..Rules::default()
            };
            candidates(&list(&rules, &case.fused, case.fused.len()).0)
        };
        assert_eq!(order(&half), order(&small));
    }
}
