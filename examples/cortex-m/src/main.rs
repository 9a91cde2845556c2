//! Ranks the requests of a file on a Cortex-M with a floating-point unit: model and requests lie in flash, memory is
//! static. Prints by semihosting what `../c/rank.c` prints of the requests of at most 64 candidates.
//!
//! `PKR_MODEL=FILE.pkr PKR_REQUESTS=FILE.req` name the files when it is built, by absolute paths.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hio};
use pocketrank::engine::{Column, Lists, Model, OpenOptions, Output, Request, Scratch};

/// Flash that any number may be read from in place.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("PKR_MODEL")));
static REQUESTS: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("PKR_REQUESTS")));

const CANDIDATES: usize = 64;
const COLUMNS: usize = 128;
const TASKS: usize = 16;
/// What scratch the models at hand need at most; a model that needs more is refused below.
const SCRATCH_FLOATS: usize = 8192;
const SCRATCH_BYTES: usize = 16384;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    end(false)
}

fn end(well: bool) -> ! {
    loop {
        debug::exit(if well {
            debug::EXIT_SUCCESS
        } else {
            debug::EXIT_FAILURE
        });
    }
}

#[entry]
fn main() -> ! {
    end(run().is_some())
}

fn run() -> Option<()> {
    let mut out = hio::hstdout().ok()?;
    // Where the model stays: some tens of kB of static memory, not of the stack.
    let model = cortex_m::singleton!(: Option<Model<'static>> = None)?.insert(Model::new());
    model.open(&MODEL.0, &OpenOptions::default()).ok()?;
    let need = model.scratch_len(CANDIDATES);
    let floats = cortex_m::singleton!(: [f32; SCRATCH_FLOATS] = [0.0; SCRATCH_FLOATS])?;
    let bytes = cortex_m::singleton!(: [u8; SCRATCH_BYTES] = [0; SCRATCH_BYTES])?;
    let (floats, bytes) = (floats.get_mut(..need.floats)?, bytes.get_mut(..need.bytes)?);
    let mut file = Reader(&REQUESTS.0);
    let [_, _, count, _] = file.numbers::<u32>(4)?.try_into().ok()?;
    for i in 0..count {
        let mut columns = [Column::Missing; COLUMNS];
        let request = file.request(&mut columns)?;
        if request.num_candidates <= CANDIDATES {
            let mut scratch = Scratch {
                floats: &mut *floats,
                bytes: &mut *bytes,
            };
            rank(&mut out, i, model, &request, &mut scratch).ok()?;
        }
    }
    Some(())
}

fn rank(
    out: &mut impl Write,
    i: u32,
    model: &Model<'_>,
    request: &Request<'_>,
    scratch: &mut Scratch<'_>,
) -> fmt::Result {
    let n = request.num_candidates;
    let (mut order, mut fused) = ([0; CANDIDATES], [0.0; CANDIDATES]);
    let mut scores = [0.0; CANDIDATES * TASKS];
    let (order, fused) = (&mut order[..n], &mut fused[..n]);
    let scores = &mut scores[..n * model.spec().tasks.len()];
    let mut output = Output {
        order: &mut *order,
        fused: &mut *fused,
        scores: &mut *scores,
        terms: &mut [],
    };
    // One write by semihosting stops the processor: lines are put together first.
    let mut line = Text::new();
    match model.rank(request, scratch, &mut output) {
        Ok(s) => {
            writeln!(
                line,
                "request {i} PKR_OK scored {} missing {} not_finite {} unknown_ids {} cut_lists {}",
                s.scored, s.missing, s.not_finite, s.unknown_ids, s.cut_lists
            )?;
            list(&mut line, "order", order.iter(), |to, x| write!(to, " {x}"))?;
            list(&mut line, "fused", fused.iter(), bits)?;
            list(&mut line, "scores", scores.iter(), bits)?;
        }
        Err(error) => {
            // Whatever went wrong: the order that the server sent.
            let name = pocketrank::ffi::status_name(error.status as u32);
            writeln!(
                line,
                "request {i} {} server's order",
                name.to_str().map_err(|_| fmt::Error)?
            )?;
            list(&mut line, "order", 0..n, |to, x| write!(to, " {x}"))?;
            writeln!(line, "fused\nscores")?;
        }
    }
    out.write_str(line.as_str()?)
}

fn bits(to: &mut Text, x: &f32) -> fmt::Result {
    write!(to, " {:08x}", x.to_bits())
}

fn list<T>(
    to: &mut Text,
    name: &str,
    values: impl Iterator<Item = T>,
    mut print: impl FnMut(&mut Text, T) -> fmt::Result,
) -> fmt::Result {
    to.write_str(name)?;
    for value in values {
        print(to, value)?;
    }
    to.write_str("\n")
}

/// Text of fixed capacity.
struct Text {
    bytes: [u8; 16 << 10],
    len: usize,
}

impl Text {
    fn new() -> Self {
        Self {
            bytes: [0; 16 << 10],
            len: 0,
        }
    }

    fn as_str(&self) -> Result<&str, fmt::Error> {
        let bytes = self.bytes.get(..self.len).ok_or(fmt::Error)?;
        core::str::from_utf8(bytes).map_err(|_| fmt::Error)
    }
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let to = self.bytes.get_mut(self.len..self.len + s.len());
        to.ok_or(fmt::Error)?.copy_from_slice(s.as_bytes());
        self.len += s.len();
        Ok(())
    }
}

/// What is left of a file of requests (`../README.md`), read in place: the processor is little-endian, as the file.
struct Reader(&'static [u8]);

impl Reader {
    /// Numbers, and the zeros behind them up to a multiple of 8 bytes.
    fn numbers<T: bytemuck::AnyBitPattern>(&mut self, count: u32) -> Option<&'static [T]> {
        let bytes = count as usize * size_of::<T>();
        let (part, rest) = self.0.split_at_checked(bytes.next_multiple_of(8))?;
        self.0 = rest;
        bytemuck::try_cast_slice(&part[..bytes]).ok()
    }

    fn request<'c>(&mut self, columns: &'c mut [Column<'static>; COLUMNS]) -> Option<Request<'c>> {
        let [low, high, candidates, most, flags, count, state, weights] =
            self.numbers::<u32>(8)?.try_into().ok()?;
        let heads = self.numbers::<u32>(6 * count)?.chunks_exact(6);
        let columns = columns.get_mut(..count as usize)?;
        for (to, head) in columns.iter_mut().zip(heads) {
            *to = self.column(head.try_into().ok()?)?;
        }
        let state = self.numbers(state)?;
        let weights = self.numbers(weights)?;
        Some(Request {
            num_candidates: candidates as usize,
            columns,
            state: (!state.is_empty()).then_some(state),
            time: i64::from(high) << 32 | i64::from(low),
            weights: (!weights.is_empty()).then_some(weights),
            max_candidates: most as usize,
            strict: flags & 1 != 0,
            ..Request::default()
        })
    }

    fn column(&mut self, head: [u32; 6]) -> Option<Column<'static>> {
        let [form, count, offsets, list_offsets, weights, _] = head;
        let mut column = match form {
            0 => Column::Missing,
            1 => Column::Ids {
                ids: self.numbers(count)?,
                lists: None,
            },
            2 => Column::Text {
                utf8: self.numbers(count)?,
                offsets: self.numbers(offsets)?,
                lists: None,
            },
            3 => Column::Rows {
                rows: self.numbers(count)?,
                lists: None,
            },
            4 => Column::Floats(self.numbers(count)?),
            5 => Column::Bytes(self.numbers(count)?),
            _ => return None,
        };
        if list_offsets > 0 {
            let offsets = self.numbers(list_offsets)?;
            let weights = self.numbers(weights)?;
            let of = Lists {
                offsets,
                weights: (!weights.is_empty()).then_some(weights),
            };
            if let Column::Ids { lists, .. }
            | Column::Text { lists, .. }
            | Column::Rows { lists, .. } = &mut column
            {
                *lists = Some(of);
            }
        }
        Some(column)
    }
}
