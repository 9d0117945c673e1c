//! Countries: ISO 3166-1 numeric ↔ alpha-2 codes and short English names, from `assets/map/countries.csv`.

use std::sync::LazyLock;

/// A country or territory with an ISO 3166-1 code, or Kosovo (`XK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// Three digits; empty for Kosovo.
    pub numeric: &'static str,
    /// Two capital letters.
    pub alpha2: &'static str,
    /// A short English name.
    pub name: &'static str,
}

static COUNTRIES: LazyLock<Vec<Country>> = LazyLock::new(|| {
    include_str!("../../assets/map/countries.csv")
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.splitn(3, ',');
            Some(Country { numeric: fields.next()?, alpha2: fields.next()?, name: fields.next()? })
        })
        .collect()
});

/// Every country, by alpha-2 code.
pub fn all() -> impl Iterator<Item = Country> {
    COUNTRIES.iter().copied()
}

/// The alpha-2 code of three digits.
pub fn alpha2_of_numeric(numeric: &str) -> Option<&'static str> {
    COUNTRIES.iter().find(|country| country.numeric == numeric).map(|country| country.alpha2)
}

/// The country's short English name; the code itself where it names none.
pub fn name(alpha2: &str) -> String {
    let found = COUNTRIES.iter().find(|country| country.alpha2 == alpha2);
    found.map_or_else(|| alpha2.to_owned(), |country| country.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names() {
        assert_eq!(all().count(), 250);
        assert_eq!(alpha2_of_numeric("276"), Some("DE"));
        assert_eq!(alpha2_of_numeric("000"), None);
        assert_eq!(name("CI"), "Côte d'Ivoire");
        assert_eq!(name("ZZ"), "ZZ");
    }
}
