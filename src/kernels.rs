//! Integer kernels and the choice among them.

/// An instruction set that detection has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Portable,
}

impl Isa {
    /// Plain Rust, on every CPU; defines what the others must return.
    pub const PORTABLE: Isa = Isa(Kind::Portable);

    /// The best that this CPU has.
    pub fn detect() -> Self {
        Self::PORTABLE
    }

    /// Its name: "portable".
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
        }
    }
}
