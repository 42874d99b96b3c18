//! Money without floating point.

use std::str::FromStr;

use crate::{Cost, CostBasis};

/// More decimal places than any price has; what comes after cannot change a rounded micro-dollar.
const MAX_SCALE: u32 = 18;

/// A non-negative decimal number, exact to eighteen places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// The number times 10^18.
    units: u128,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { units: 0 };
    const ONE: u128 = 10_u128.pow(MAX_SCALE);

    /// `mantissa` / 10^`scale`, for constants: `Decimal::new(25, 2)` is 0.25.
    pub const fn new(mantissa: u32, scale: u32) -> Self {
        let scale = if scale > MAX_SCALE { MAX_SCALE } else { scale };
        Self { units: mantissa as u128 * 10_u128.pow(MAX_SCALE - scale) }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { units: self.units.saturating_add(other.units) }
    }

    /// The product with a count.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { units: self.units.saturating_mul(u128::from(count)) }
    }

    /// The nearest whole number, halves up.
    pub fn round(self) -> u32 {
        let whole = self.units / Self::ONE + u128::from(self.units % Self::ONE >= Self::ONE / 2);
        u32::try_from(whole).unwrap_or(u32::MAX)
    }

    /// The number itself, if it is whole.
    pub fn to_whole(self) -> Option<u32> {
        let whole = u32::try_from(self.units / Self::ONE).ok()?;
        self.units.is_multiple_of(Self::ONE).then_some(whole)
    }

    /// An amount of dollars in micro-dollars, halves up.
    pub fn micro_usd(self) -> u32 {
        self.times(1_000_000).round()
    }
}

/// Reads `12`, `0.03073`, `1e-05` and the like. Negative numbers are refused.
impl FromStr for Decimal {
    type Err = NotDecimal;

    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        let text = text.trim();
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().map_err(|_| NotDecimal)?),
            None => (text, 0),
        };
        let number = number.strip_prefix('+').unwrap_or(number);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 {
            return Err(NotDecimal);
        }
        let point = i32::try_from(whole.len()).map_err(|_| NotDecimal)?.saturating_add(exponent);
        let mut units = 0_u128;
        for (at, digit) in (0_i32..).zip(whole.bytes().chain(fraction.bytes())) {
            let digit = u128::from(digit.checked_sub(b'0').filter(|d| *d < 10).ok_or(NotDecimal)?);
            // The digit is worth 10^place units; below that it is cut off, which cannot turn a
            // number under one half into one above.
            let place = point.saturating_sub(at + 1).saturating_add_unsigned(MAX_SCALE);
            match u32::try_from(place) {
                Ok(place) if digit > 0 => {
                    let worth = 10_u128.checked_pow(place).and_then(|p| p.checked_mul(digit));
                    units = worth.and_then(|w| units.checked_add(w)).ok_or(NotDecimal)?;
                }
                _ => {}
            }
        }
        Ok(Self { units })
    }
}

/// The text is no non-negative decimal number, or is too large for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotDecimal;

impl Cost {
    /// An amount that the vendor itself reported.
    pub fn reported(usd: Decimal) -> Self {
        Self { micro_usd: usd.micro_usd(), basis: CostBasis::Reported }
    }

    /// An amount worked out from a price list, in micro-dollars.
    pub fn estimated(micro_usd: u32) -> Self {
        Self { micro_usd, basis: CostBasis::Estimated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Option<u32> {
        text.parse::<Decimal>().ok().map(Decimal::micro_usd)
    }

    #[test]
    fn decimals_are_read_exactly_and_rounded_half_up() {
        assert_eq!(micros("0.03073"), Some(30_730));
        assert_eq!(micros("1e-05"), Some(10));
        assert_eq!(micros("1.53057E0"), Some(1_530_570));
        assert_eq!(micros("0.0000005"), Some(1));
        assert_eq!(micros("0.00000049999999999999999999999"), Some(0));
        assert_eq!(micros("0.0012345"), Some(1235));
        assert_eq!(micros("12"), Some(12_000_000));
        assert_eq!(micros(".5"), Some(500_000));
        assert_eq!(micros("5."), Some(5_000_000));
        assert_eq!(micros("0e99"), Some(0));
        assert_eq!(micros("1e-400"), Some(0));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "-1", "abc", "1.2.3", "1e", "1e99", "0x10", "NaN", "1e99999999999"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn prices_add_up_before_they_are_rounded() {
        let price = Decimal::new(625, 4).times(3).plus(Decimal::new(25, 2).times(1));
        assert_eq!(price.round(), 0);
        assert_eq!(price.plus(Decimal::new(625, 4)).round(), 1);
        assert_eq!(Decimal::new(1, 0).times(u32::MAX).times(2).round(), u32::MAX);
    }
}
