//! Errors in one readable line.

use std::error::Error;

/// Every cause in words, without those that an outer one already tells.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let words = cause.to_string();
        if !text.contains(&words) {
            let separator = if text.is_empty() { "" } else { ": " };
            text.push_str(separator);
            text.push_str(&words);
        }
    }
    text
}

/// The error and what caused it, the outermost first.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let io = || std::io::Error::other("no disk");
        let told =
            |text: &str| explain(&*anyhow::Error::new(io()).context(text.to_owned()).into_boxed_dyn_error());
        assert_eq!(told("cannot write"), "cannot write: no disk");
        assert_eq!(told("cannot write: no disk"), "cannot write: no disk");
    }
}
