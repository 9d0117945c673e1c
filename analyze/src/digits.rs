//! Numbers as digits, as `format!` writes them and several times as fast: tables have millions.

use std::fmt::Write as _;

/// Appends a whole number, with zeros before it if it has fewer digits than `width`; at most 20 are written.
pub fn push(number: u64, width: usize, out: &mut String) {
    let mut digits = [b'0'; 20];
    let mut begin = digits.len();
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        if rest == 0 && begin < 20 && 20 - begin >= width {
            break;
        }
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        begin -= 1;
    }
    let digits = digits.get(begin..).unwrap_or_default();
    out.push_str(std::str::from_utf8(digits).unwrap_or_default());
}

/// Bits of a float's mantissa behind its point.
const MANTISSA_BITS: u32 = f64::MANTISSA_DIGITS - 1;

/// Appends a number with so many decimals, 1 to 6, rounded to the nearest such number, and to an even last digit where two are
/// as near.
pub fn push_fixed(value: f64, decimals: usize, out: &mut String) {
    let Some(scaled) = scaled(value, decimals) else {
        // Writing to a String cannot fail.
        write!(out, "{value:.decimals$}").unwrap_or_default();
        return;
    };
    if value.is_sign_negative() {
        out.push('-');
    }
    let unit = POWERS.get(decimals).copied().unwrap_or(1);
    push(scaled / unit, 1, out);
    out.push('.');
    push(scaled % unit, decimals, out);
}

const POWERS: [u64; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// The magnitude of a value in units of its last decimal; `None` for one that is too large, or none.
fn scaled(value: f64, decimals: usize) -> Option<u64> {
    let unit = POWERS.get(decimals).filter(|unit| **unit > 1)?;
    // Below, the result and everything on the way to it fits.
    if !value.is_finite() || value.abs() >= 1e12 {
        return None;
    }
    let bits = value.abs().to_bits();
    let (biased, fraction) = (bits >> MANTISSA_BITS, bits & ((1 << MANTISSA_BITS) - 1));
    // A subnormal is far from any digit.
    let mantissa = if biased == 0 { 0 } else { fraction | (1 << MANTISSA_BITS) };
    let numerator = u128::from(mantissa) * u128::from(*unit);
    // The value is mantissa / 2^shift, and shift is not 0, as the value is far below 2^52.
    let shift = u32::try_from(1_075_u64.checked_sub(biased)?).ok()?;
    if shift >= u128::BITS {
        return Some(0);
    }
    let (whole, rest) = (numerator >> shift, numerator & ((1 << shift) - 1));
    let half = (1_u128 << shift) >> 1;
    let up = rest > half || rest == half && whole % 2 == 1;
    u64::try_from(whole + u128::from(up)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whole_numbers_are_written_as_by_the_standard_library(
            number in prop_oneof![any::<u64>(), 0..2_000_u64],
            width in 0..=20_usize,
        ) {
            let mut out = String::from("x");
            push(number, width, &mut out);
            prop_assert_eq!(out, format!("x{number:0width$}"));
        }

        #[test]
        fn decimals_are_written_as_by_the_standard_library(
            value in prop_oneof![
                any::<f64>(),
                0.0..1e9_f64,
                -1.0..1.0_f64,
                (0..100_000_u32).prop_map(|sixteenths| f64::from(sixteenths) / 16.0),
                (0..100_000_u32, 1..40_i32).prop_map(|(number, shift)| f64::from(number) / 2_f64.powi(shift)),
                (0..100_000_u32, 1..8_i32).prop_map(|(number, places)| f64::from(number) / 10_f64.powi(places)),
                Just(-0.0),
                Just(999_999_999_999.95),
            ],
            decimals in 1..=6_usize,
        ) {
            let mut out = String::from("x");
            push_fixed(value, decimals, &mut out);
            prop_assert_eq!(out, format!("x{value:.decimals$}"));
        }
    }
}
