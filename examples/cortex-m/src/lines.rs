//! The lines of `../c/rank.c`.

use core::fmt::{Result, Write};

use cortex_m_semihosting::hio::HostStream;
use pocketrank::ffi::{PKR_OK, pkr_result, pkr_status, status_name};

/// Text on its way to the host. Every write by semihosting stops the processor, so some hundred bytes go at once.
pub struct Lines {
    to: HostStream,
    bytes: [u8; 512],
    len: usize,
}

impl Lines {
    pub fn new(to: HostStream) -> Self {
        Self {
            to,
            bytes: [0; 512],
            len: 0,
        }
    }

    pub fn request(
        &mut self,
        i: u32,
        status: pkr_status,
        result: &pkr_result,
        (order, fused, scores): (&[u32], &[f32], &[f32]),
    ) -> Result {
        if status != PKR_OK {
            // Whatever went wrong: the order that the server sent.
            let name = status_name(status).to_str().unwrap_or_default();
            writeln!(self, "request {i} {name} server's order")?;
            self.list("order", 0..order.len() as u32, |to, x| write!(to, " {x}"))?;
            return self.write_str("fused\nscores\n");
        }
        let r = result;
        writeln!(
            self,
            "request {i} PKR_OK scored {} missing {} not_finite {} unknown_ids {} cut_lists {}",
            r.scored, r.missing, r.not_finite, r.unknown_ids, r.cut_lists
        )?;
        self.list("order", order.iter(), |to, x| write!(to, " {x}"))?;
        self.list("fused", fused.iter(), bits)?;
        self.list("scores", scores.iter(), bits)
    }

    pub fn flush(&mut self) -> Result {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        self.len = 0;
        self.to.write_all(bytes).map_err(|()| core::fmt::Error)
    }

    fn list<T>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = T>,
        mut print: impl FnMut(&mut Self, T) -> Result,
    ) -> Result {
        self.write_str(name)?;
        for value in values {
            print(self, value)?;
        }
        self.write_str("\n")
    }
}

fn bits(to: &mut Lines, x: &f32) -> Result {
    write!(to, " {:08x}", x.to_bits())
}

impl Write for Lines {
    fn write_str(&mut self, s: &str) -> Result {
        for byte in s.bytes() {
            if self.len == self.bytes.len() {
                self.flush()?;
            }
            if let Some(to) = self.bytes.get_mut(self.len) {
                *to = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}
