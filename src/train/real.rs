//! The number type of training: `f32` to train, `f64` to check gradients against finite differences.
use core::fmt::Debug;
use core::ops::{AddAssign, MulAssign, Neg, SubAssign};

use ndarray::{ArrayView2, ArrayViewMut2, LinalgScalar, ShapeBuilder};

/// A float that networks can be trained in.
pub trait Real:
    LinalgScalar
    + PartialOrd
    + Default
    + Debug
    + Send
    + Sync
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Rounds to the nearest.
    fn from_f64(x: f64) -> Self;
    /// Exact.
    fn to_f64(self) -> f64;
    /// e to the power of self.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The natural logarithm of 1 + self.
    fn ln_1p(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The magnitude.
    fn abs(self) -> Self;
    /// Neither NaN nor infinite.
    fn finite(self) -> bool;
}

macro_rules! real {
    ($t:ty, $exp:path, $ln:path, $ln_1p:path, $sqrt:path) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $ln(self)
            }
            #[inline(always)]
            fn ln_1p(self) -> Self {
                $ln_1p(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$t>::abs(self)
            }
            #[inline(always)]
            fn finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}
// The pinned libm instead of the platform's: the same logs train the same model on every machine of one kind.
real!(f32, libm::expf, libm::logf, libm::log1pf, libm::sqrtf);
real!(f64, libm::exp, libm::log, libm::log1p, libm::sqrt);

/// `rows` x `cols` values of `data`, row r starting at r x `stride`. Panics if `data` is too short.
pub(crate) fn matrix<R: Real>(
    data: &[R],
    rows: usize,
    cols: usize,
    stride: usize,
) -> ArrayView2<'_, R> {
    ArrayView2::from_shape((rows, cols).strides((stride, 1)), data)
        .expect("the slice holds every row")
}

/// As [`matrix`], to write.
pub(crate) fn matrix_mut<R: Real>(
    data: &mut [R],
    rows: usize,
    cols: usize,
    stride: usize,
) -> ArrayViewMut2<'_, R> {
    ArrayViewMut2::from_shape((rows, cols).strides((stride, 1)), data)
        .expect("the slice holds every row")
}

/// c = a b. Each element is one sum in the order of the inner index (in blocks of 256 of it, or as the pinned GEMM
/// has it), whatever the other two sizes: rows of a batch do not influence each other's bits.
pub(crate) fn gemm<R: Real>(
    a: ArrayView2<'_, R>,
    b: ArrayView2<'_, R>,
    mut c: ArrayViewMut2<'_, R>,
) {
    ndarray::linalg::general_mat_mul(R::ONE, &a, &b, R::ZERO, &mut c);
}

/// The inner product, in eight partial sums so that it vectorizes.
#[inline]
pub(crate) fn dot<R: Real>(a: &[R], b: &[R]) -> R {
    let mut acc = [R::ZERO; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let mut rest = R::ZERO;
    for (x, y) in a8.remainder().iter().zip(b8.remainder()) {
        rest += *x * *y;
    }
    for (x, y) in a8.zip(b8) {
        for ((s, x), y) in acc.iter_mut().zip(x).zip(y) {
            *s += *x * *y;
        }
    }
    acc.iter().fold(rest, |s, x| s + *x)
}

/// y += a x.
#[inline]
pub(crate) fn add_scaled<R: Real>(y: &mut [R], a: R, x: &[R]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * *x;
    }
}

/// sums = the sum of each column of `rows` x `cols` values with a row stride, in row order.
pub(crate) fn column_sums<R: Real>(data: &[R], rows: usize, stride: usize, sums: &mut [R]) {
    sums.fill(R::ZERO);
    for row in data.chunks(stride).take(rows) {
        for (s, x) in sums.iter_mut().zip(row) {
            *s += *x;
        }
    }
}
