//! Memory between inaccessible pages: a byte read or written outside of a buffer ends the process.
#![allow(unsafe_code)]

use super::layer::Case;
use super::*;

/// Which end of a buffer touches an inaccessible page.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Edge {
    Begin,
    End,
}

/// Values of a type of which every bit pattern is one, in pages of their own between two inaccessible ones.
struct Guarded<T> {
    map: *mut u8,
    bytes: usize,
    page: usize,
    at: *mut T,
    len: usize,
}

/// Plain integers and floats.
trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for f32 {}

impl<T: Plain> Guarded<T> {
    fn new(values: &[T], edge: Edge) -> Self {
        let size = size_of_val(values);
        // SAFETY: asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("a size");
        let inside = size.next_multiple_of(page).max(page);
        let bytes = inside + 2 * page;
        // SAFETY: a new anonymous mapping, wherever the system likes.
        let map = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                bytes,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(map, libc::MAP_FAILED);
        let map = map.cast::<u8>();
        // SAFETY: `inside` bytes after the first page are in the mapping; the copy is of `size` of them.
        let at = unsafe {
            let first = map.add(page);
            let code = libc::mprotect(first.cast(), inside, libc::PROT_READ | libc::PROT_WRITE);
            assert_eq!(code, 0);
            let skip = if edge == Edge::End { inside - size } else { 0 };
            let at = first.add(skip).cast::<T>();
            assert!(at.is_aligned());
            core::ptr::copy_nonoverlapping(values.as_ptr(), at, values.len());
            at
        };
        Self {
            map,
            bytes,
            page,
            at,
            len: values.len(),
        }
    }

    /// As [`new`](Self::new), not to be written.
    fn input(values: &[T], edge: Edge) -> Self {
        let guarded = Self::new(values, edge);
        let inside = guarded.bytes - 2 * guarded.page;
        // SAFETY: these pages are this mapping's own.
        let code = unsafe {
            libc::mprotect(
                guarded.map.add(guarded.page).cast(),
                inside,
                libc::PROT_READ,
            )
        };
        assert_eq!(code, 0);
        guarded
    }

    fn get(&self) -> &[T] {
        // SAFETY: `len` values were written there, and the mapping lives as long as `self`.
        unsafe { core::slice::from_raw_parts(self.at, self.len) }
    }

    /// Only of what [`new`](Self::new) made.
    fn get_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `get`, and `self` is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.at, self.len) }
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which nothing borrows any more.
        unsafe { libc::munmap(self.map.cast(), self.bytes) };
    }
}

/// The system copies a byte for us, and says so if it may not be read.
fn readable(at: *const u8) -> bool {
    let mut pipe = [0; 2];
    // SAFETY: two descriptors fit; the system checks the address of the byte; both are closed once.
    unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let written = libc::write(pipe[1], at.cast(), 1);
        libc::close(pipe[0]);
        libc::close(pipe[1]);
        written == 1
    }
}

#[test]
fn a_byte_outside_of_a_guarded_buffer_cannot_be_read() {
    for len in [1, 5, 4096, 70_000] {
        let bytes = vec![7u8; len];
        let begin = Guarded::input(&bytes, Edge::Begin);
        let end = Guarded::input(&bytes, Edge::End);
        let first = begin.get().as_ptr();
        assert!(readable(first) && !readable(first.wrapping_sub(1)));
        let last = end.get().as_ptr().wrapping_add(len - 1);
        assert!(readable(last) && !readable(last.wrapping_add(1)));
    }
}

/// [`Case::run`] with every buffer in pages of its own.
fn run(case: &Case, isa: Isa, relu: bool, edge: Edge) -> Vec<u32> {
    let guard = |buffers: &[Odd]| -> Vec<Guarded<u8>> {
        buffers
            .iter()
            .map(|b| Guarded::input(b.get(), edge))
            .collect()
    };
    let (bytes, panels) = (guard(&case.bytes), guard(&case.panels));
    let (scales, zeros) = (guard(&case.scales), guard(&case.zeros));
    let parts: Vec<Part<'_>> = (0..panels.len())
        .map(|part| {
            let stride = case.weights[part][0].len();
            Part {
                bytes: bytes[part].get(),
                stride,
                weight: panels[part].get(),
                scale: scales[part].get(),
                zero: zeros[part].get(),
                quads: quads_fit(panels[part].get(), stride),
            }
        })
        .collect();
    let bias = Guarded::input(case.bias.get(), edge);
    let row_scales = Guarded::input(&case.row_scales, edge);
    let nothing = vec![f32::NAN; case.rows * case.outputs];
    let mut out = Guarded::new(&nothing, edge);
    let layer = Affine {
        parts: &parts,
        start: Start::Bytes(bias.get()),
        rows: Rows {
            count: case.rows,
            stride: case.outputs,
            scales: row_scales.get(),
        },
        column: 0,
        columns: case.outputs,
        relu,
    };
    affine(isa, &layer, out.get_mut());
    out.get().iter().map(|x| x.to_bits()).collect()
}

const EDGES: [Edge; 2] = [Edge::Begin, Edge::End];

#[test]
fn layers_stay_inside_their_buffers() {
    let mut draws = Draws(11);
    for isa in isas() {
        for edge in EDGES {
            for rows in 1..=9 {
                for inputs in [&[4][..], &[8], &[12, 4], &[0, 20], &[60, 64], &[1024]] {
                    for outputs in [16, 48] {
                        // Weights that fit 16 bits by fours take another way on AVX2.
                        for extreme in [None, Some(-64)] {
                            let case = Case::new(&mut draws, rows, outputs, inputs, extreme);
                            assert_eq!(
                                run(&case, isa, true, edge),
                                case.naive(true, true),
                                "{} rows {rows} inputs {inputs:?} {edge:?}",
                                isa.name(),
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn rows_mixtures_gates_and_dot_products_stay_inside_their_buffers() {
    let mut draws = Draws(12);
    for (isa, edge) in isas()
        .into_iter()
        .flat_map(|isa| EDGES.map(|edge| (isa, edge)))
    {
        for width in (1..80usize).chain([255, 256, 1000, 1024]) {
            let values: Vec<f32> = (0..3 * width).map(|_| draws.float()).collect();
            let group = width.next_multiple_of(GROUP);
            let inside = Guarded::input(&values, edge);
            let mut bytes = Guarded::new(&vec![9u8; 3 * group], edge);
            let mut scales = Guarded::new(&[7.0f32; 3], edge);
            quantize(
                isa,
                inside.get(),
                (width, width),
                bytes.get_mut(),
                scales.get_mut(),
            );
            let (mut want, mut want_scales) = (vec![9; 3 * group], [7.0; 3]);
            quantize(
                Isa::PORTABLE,
                &values,
                (width, width),
                &mut want,
                &mut want_scales,
            );
            assert_eq!(
                (bytes.get(), scales.get()),
                (&*want, &want_scales[..]),
                "{}",
                isa.name()
            );

            let x: Vec<u8> = (0..width).map(|_| draws.byte()).collect();
            let w: Vec<u8> = (0..width).map(|_| draws.weight() as u8).collect();
            let (at_x, at_w) = (Guarded::input(&x, edge), Guarded::input(&w, edge));
            let want = dot(Isa::PORTABLE, &x, &w);
            assert_eq!(
                dot(isa, at_x.get(), at_w.get()),
                want,
                "{} {width}",
                isa.name()
            );
        }
        for experts in 1..=limits::EXPERTS {
            for panels in 1..=4 {
                let width = panels * PANEL;
                let values: Vec<f32> = (0..experts * width).map(|_| draws.float()).collect();
                let weights: Vec<f32> = (0..experts * BLOCK)
                    .map(|_| (draws.next() % 32769) as f32)
                    .collect();
                let at = (
                    Guarded::input(&weights, edge),
                    Guarded::input(&values, edge),
                );
                let mut mixture = Guarded::new(&vec![f32::NAN; width], edge);
                let of = Mixture {
                    weights: at.0.get().as_chunks().0,
                    row: 7,
                    experts: at.1.get(),
                    stride: width,
                };
                mix(isa, &of, mixture.get_mut());
                let mut want = vec![f32::NAN; width];
                mix(Isa::PORTABLE, &of, &mut want);
                assert_eq!(mixture.get(), want, "{} {experts} {width}", isa.name());
            }
            let values: Vec<f32> = (0..experts * BLOCK).map(|_| draws.float()).collect();
            let logits = Guarded::input(&values, edge);
            let mut weights = Guarded::new(&vec![9.0f32; experts * BLOCK], edge);
            let to = weights.get_mut().as_chunks_mut().0;
            softmax_lanes(isa, logits.get().as_chunks().0, to);
            let mut want = vec![[9.0; BLOCK]; experts];
            softmax_lanes(Isa::PORTABLE, values.as_chunks().0, &mut want);
            assert_eq!(to, want, "{} {experts}", isa.name());
        }
    }
}
