//! Forgetting in fixed point: 2^-x for a ratio x, by integers alone, so that a state has the same bytes everywhere.

/// 1 in Q63.
const ONE: u64 = 1 << 63;
/// ln 2 in Q63, rounded down.
const LN_2: u64 = 0x58B9_0BFB_E8E7_BCD5;
/// 2^(-i/16) in Q63.
const SIXTEENTHS: [u64; 16] = {
    let mut table = [ONE; 16];
    let mut i = 1;
    while i < 16 {
        // (i / 16) ln 2; the terms left out are below (ln 2)^24 / 24! < 2^-63.
        table[i] = exp_minus::<24>((LN_2 >> 4) * i as u64);
        i += 1;
    }
    table
};

/// Product of two numbers in Q63, rounded down.
#[inline]
const fn multiply(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 63) as u64
}

/// e^-y in Q63 for y < 1 in Q63: the Taylor polynomial of degree `TERMS`, by Horner.
#[inline]
const fn exp_minus<const TERMS: u64>(y: u64) -> u64 {
    let mut sum = ONE;
    let mut k = TERMS;
    while k > 0 {
        sum = ONE - multiply(y, sum) / k;
        k -= 1;
    }
    sum
}

/// What is left of weight 1 after `numerator / denominator` half-lives, as (Q63 factor, right shift):
/// factor x 2^-shift = 2^-(numerator / denominator), to 2^-50 of it. A denominator of 0 leaves nothing, unless the
/// numerator is 0 too.
pub(super) fn half_lives(numerator: u64, denominator: u32) -> (u64, u32) {
    let Some(denominator) = core::num::NonZeroU64::new(u64::from(denominator)) else {
        return if numerator == 0 { (ONE, 0) } else { (0, 0) };
    };
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    // floor(rest x 2^63 / denominator) in two steps: rest < denominator < 2^32.
    let (high, rest) = ((rest << 32) / denominator, (rest << 32) % denominator);
    let fraction = (high << 31) | ((rest << 31) / denominator);
    let sixteenth = SIXTEENTHS
        .get((fraction >> 59) as usize)
        .copied()
        .unwrap_or(0);
    // Below ln 2 / 16, degree 8 leaves out (ln 2 / 16)^9 / 9! < 2^-59.
    let left = exp_minus::<8>(multiply(fraction & (ONE / 16 - 1), LN_2));
    (multiply(sixteenth, left), whole.min(64) as u32)
}

/// `value` x factor x 2^-shift, rounded down.
#[inline]
pub(super) fn decayed(value: u64, (factor, shift): (u64, u32)) -> u64 {
    multiply(value, factor).checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_lives_are_powers_of_two_to_2e_minus_15() {
        for denominator in [1_u32, 3, 7, 256, 1_000, 86_400, 4_000_000_000, u32::MAX] {
            for i in 0..20_000_u64 {
                let numerator = i * u64::from(denominator) / 3_001 + i % 7;
                let (factor, shift) = half_lives(numerator, denominator);
                let ours = factor as f64 / ONE as f64 * (-f64::from(shift)).exp2();
                let exact = (-(numerator as f64) / f64::from(denominator)).exp2();
                assert!(
                    (ours - exact).abs() <= 2e-15 * exact || exact < 1e-18,
                    "{numerator}/{denominator}: {ours} {exact}"
                );
            }
        }
    }

    #[test]
    fn whole_half_lives_are_exact() {
        for whole in 0..64 {
            assert_eq!(half_lives(whole * 977, 977), (ONE, whole as u32));
            assert_eq!(
                decayed(u64::MAX, half_lives(whole * 977, 977)),
                u64::MAX >> whole
            );
        }
        for far in [64, 65, 1 << 40, u64::MAX] {
            assert_eq!(decayed(u64::MAX, half_lives(far, 1)), 0);
        }
    }

    #[test]
    fn decay_never_grows_and_ends_at_nothing() {
        for (numerator, denominator) in [(256, 256_000), (1, u32::MAX), (0, 1)] {
            let mut value = 1_u64 << 40;
            for _ in 0..1000 {
                let next = decayed(value, half_lives(numerator, denominator));
                assert!(next <= value && (next < value || numerator == 0));
                value = next;
            }
        }
        assert_eq!(half_lives(0, 0), (ONE, 0));
        assert_eq!(decayed(u64::MAX, half_lives(1, 0)), 0);
    }
}
