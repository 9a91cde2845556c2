//! Reading records: postcard's wire format, of the types that records have.
//!
//! postcard's own reader compiles a loop into each of the sixty places that read a number. Here a number, a text and an f32
//! are one function each, called: opening is not where time goes, and the code that opens a file is 3 kB smaller.
//!
//! A number of several bytes has its high bits in the last, so one that ends in a zero byte has a shorter encoding: no zero
//! may follow a byte of 128 or more ([`Decoder::overlong`]). (No valid number of one byte is that large.)

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, SeqAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

/// The bytes do not have the form of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("malformed record")
    }
}

impl core::error::Error for Malformed {}

impl Error for Malformed {
    // What went wrong is not told, so that no text is formatted on the device.
    fn custom<T: core::fmt::Display>(_: T) -> Self {
        Malformed
    }
    fn invalid_type(_: serde::de::Unexpected<'_>, _: &dyn serde::de::Expected) -> Self {
        Malformed
    }
    fn invalid_value(_: serde::de::Unexpected<'_>, _: &dyn serde::de::Expected) -> Self {
        Malformed
    }
    fn invalid_length(_: usize, _: &dyn serde::de::Expected) -> Self {
        Malformed
    }
}

type Result<T> = core::result::Result<T, Malformed>;

/// Bytes that are being decoded.
pub(super) struct Decoder<'a> {
    /// Those not yet taken.
    pub rest: &'a [u8],
    /// The byte taken last, if a number may go on with the next; else 0.
    last: u8,
    /// Whether some number has a shorter encoding.
    pub overlong: bool,
}

impl<'a> Decoder<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            last: 0,
            overlong: false,
        }
    }

    #[inline(never)]
    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.overlong |= self.last >= 128 && *byte == 0;
        (self.rest, self.last) = (rest, *byte);
        Ok(*byte)
    }

    /// A number of at most `bits` bits: 7 of them a byte, least significant first.
    #[inline(never)]
    fn number(&mut self, bits: u32) -> Result<u32> {
        let (mut number, mut shift) = (0u64, 0);
        while shift < bits {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return if number >> bits == 0 {
                    Ok(number as u32)
                } else {
                    Err(Malformed)
                };
            }
            shift += 7;
        }
        Err(Malformed)
    }

    fn flag(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    #[inline(never)]
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        (self.rest, self.last) = (rest, 0);
        Ok(taken)
    }

    #[inline(never)]
    fn bytes(&mut self) -> Result<&'a [u8]> {
        let count = self.number(32)?;
        self.take(count as usize)
    }

    #[inline(never)]
    fn float(&mut self) -> Result<f32> {
        let bytes = self.take(4)?.first_chunk().ok_or(Malformed)?;
        Ok(f32::from_le_bytes(*bytes))
    }

    #[inline(never)]
    fn text(&mut self) -> Result<&'a str> {
        core::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
}

impl<'a> Deserializer<'a> for &mut Decoder<'a> {
    type Error = Malformed;

    // The form does not describe itself.
    fn deserialize_any<V: Visitor<'a>>(self, _: V) -> Result<V::Value> {
        Err(Malformed)
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_bool(self.flag()?)
    }

    fn deserialize_u8<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u8(self.byte()?)
    }

    fn deserialize_u16<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u16(self.number(16)? as u16)
    }

    fn deserialize_u32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u32(self.number(32)?)
    }

    fn deserialize_f32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f32(self.float()?)
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        if self.flag()? {
            visitor.visit_some(self)
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        let left = self.number(32)?;
        visitor.visit_seq(Elements { from: self, left })
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let left = fields.len() as u32;
        visitor.visit_seq(Elements { from: self, left })
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        i8 i16 i32 i64 i128 u64 u128 f64 char string byte_buf unit unit_struct newtype_struct tuple tuple_struct map
        identifier ignored_any
    }
}

/// Fields of a record, or elements of a list.
struct Elements<'d, 'a> {
    from: &'d mut Decoder<'a>,
    left: u32,
}

impl<'a> SeqAccess<'a> for Elements<'_, 'a> {
    type Error = Malformed;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                seed.deserialize(&mut *self.from).map(Some)
            }
            None => Ok(None),
        }
    }
}

impl<'a> EnumAccess<'a> for &mut Decoder<'a> {
    type Error = Malformed;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<(S::Value, Self)> {
        let tag = self.number(32)?;
        Ok((seed.deserialize(tag.into_deserializer())?, self))
    }
}

impl<'a> VariantAccess<'a> for &mut Decoder<'a> {
    type Error = Malformed;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'a>>(self, len: usize, visitor: V) -> Result<V::Value> {
        let left = len as u32;
        visitor.visit_seq(Elements { from: self, left })
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let left = fields.len() as u32;
        visitor.visit_seq(Elements { from: self, left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::TaskKind;
    use serde::Deserialize;

    fn kind(bytes: &[u8]) -> Option<TaskKind> {
        TaskKind::deserialize(&mut Decoder::new(bytes)).ok()
    }

    #[test]
    fn a_kind_of_task_that_the_library_does_not_have_is_refused() {
        assert_eq!(kind(&[2]), Some(TaskKind::Odds));
        #[cfg(feature = "quantile")]
        {
            let (feature, knots) = (7, 16);
            assert_eq!(
                kind(&[4, 7, 16]),
                Some(TaskKind::Quantile { feature, knots })
            );
            assert_eq!(kind(&[4, 7]), None);
        }
        #[cfg(not(feature = "quantile"))]
        assert_eq!(kind(&[4, 7, 16]), None);
        assert_eq!(kind(&[5, 7, 16]), None);
    }
}
