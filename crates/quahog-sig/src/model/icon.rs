//! Icons: what a picture of a program's icon is like, in some sixty numbers.

use serde::{Deserialize, Serialize};

use crate::ast::Field;
use crate::{Error, ErrorKind};

/// The most telling places of one kind in an icon, the strongest first.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Areas {
    /// How strong each is.
    pub value: [u16; 3],
    /// Where each begins, from the left.
    pub x: [u8; 3],
    /// Where each begins, from the top.
    pub y: [u8; 3],
}

/// What an icon looks like, roughly.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct IconMetrics {
    /// Width and height: 16, 24 or 32.
    pub size: u8,
    /// Places of strong colour.
    pub color: Areas,
    /// Places of little colour.
    pub gray: Areas,
    /// Bright places.
    pub bright: Areas,
    /// Dark places.
    pub dark: Areas,
    /// Places with edges.
    pub edge: Areas,
    /// Places without.
    pub smooth: Areas,
    /// How much of the icon is red, green and blue, and how much has a colour
    /// at all, in percent.
    pub spread: [u8; 4],
}

impl IconMetrics {
    /// Reads 124 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// There are more, fewer or other characters, or the size is none of 16,
    /// 24 and 32.
    pub fn parse(field: Field<'_>) -> Result<IconMetrics, Error> {
        if field.text.len() != DIGITS {
            return Err(field.error(ErrorKind::IconMetrics));
        }
        let mut digits = Digits { field, at: 0 };
        let size = digits.byte()?;
        if !matches!(size, 16 | 24 | 32) {
            return Err(field.slice(0, 2).error(ErrorKind::IconMetrics));
        }
        Ok(IconMetrics {
            size,
            color: digits.areas(3)?,
            gray: digits.areas(3)?,
            bright: digits.areas(2)?,
            dark: digits.areas(2)?,
            edge: digits.areas(2)?,
            smooth: digits.areas(2)?,
            spread: [digits.byte()?, digits.byte()?, digits.byte()?, digits.byte()?],
        })
    }
}

/// The length of the metrics of an icon.
const DIGITS: usize = 124;

/// Numbers of a known number of digits, one after the other.
struct Digits<'l> {
    field: Field<'l>,
    at: usize,
}

impl Digits<'_> {
    fn number(&mut self, len: usize) -> Result<u16, Error> {
        let digits = self.field.slice(self.at, self.at + len);
        self.at += len;
        digits.text.iter().try_fold(0u16, |number, &digit| {
            let value = char::from(digit).to_digit(16).ok_or(digits.error(ErrorKind::HexDigit))?;
            // A digit is below 16, and there are three at most.
            Ok(number << 4 | value as u16)
        })
    }

    fn byte(&mut self) -> Result<u8, Error> {
        // Two digits fit.
        Ok(self.number(2)? as u8)
    }

    fn areas(&mut self, value_len: usize) -> Result<Areas, Error> {
        let mut areas = Areas::default();
        for at in 0..3 {
            areas.value[at] = self.number(value_len)?;
            areas.x[at] = self.byte()?;
            areas.y[at] = self.byte()?;
        }
        Ok(areas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    const TEXT: &str = "107b3000168306015c20a0105b07060be0a0b11c050bea0706cb0a0bbb060b\
                        6f00017c06018301068109086b03046705081b000a270a002a000039002b17";

    fn parse(text: &str) -> Result<IconMetrics, &'static str> {
        let field = Field { text: text.as_bytes(), span: Span::new(0, text.len()) };
        IconMetrics::parse(field).map_err(|e| e.kind().code())
    }

    #[test]
    fn numbers_stand_in_a_fixed_order() {
        let icon = parse(TEXT).unwrap();
        assert_eq!(icon.size, 16);
        assert_eq!(icon.color.value, [1971, 1667, 1474]);
        assert_eq!((icon.color.x, icon.color.y), ([0, 6, 10], [1, 1, 1]));
        assert_eq!(icon.gray.value, [91, 190, 284]);
        assert_eq!(icon.bright.value, [234, 203, 187]);
        assert_eq!(icon.dark.value, [111, 124, 131]);
        assert_eq!(icon.edge.value, [129, 107, 103]);
        assert_eq!((icon.smooth.x, icon.smooth.y), ([0, 10, 0], [10, 0, 0]));
        assert_eq!(icon.spread, [57, 0, 43, 23]);
    }

    #[test]
    fn other_lengths_sizes_and_digits_are_refused() {
        assert_eq!(parse(&TEXT[1..]), Err("icon-metrics"));
        assert_eq!(parse(&format!("{TEXT}0")), Err("icon-metrics"));
        assert_eq!(parse(&TEXT.replacen("10", "11", 1)), Err("icon-metrics"));
        assert_eq!(parse(&TEXT.replacen("7b", "7g", 1)), Err("hex-digit"));
    }
}
