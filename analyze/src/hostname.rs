//! What a host name tells: its registrable domain (public suffix list) and the kind of network it is in.
//!
//! The rules stand in `analyze/assets/hostnames/rules.csv`, whose README says how they are kept; the first that matches
//! stands.

use std::collections::HashMap;

/// The kind of a name that no rule matches, and of an address without a name.
pub const UNKNOWN: &str = "unknown";

/// The domain below the public suffix; `None` for a public suffix itself, and for what is no name.
pub fn registrable_domain(name: &str) -> Option<&str> {
    psl::domain_str(name)
}

/// The last label, if it is one of letters.
pub fn top_level_domain(name: &str) -> Option<&str> {
    let label = name.trim_end_matches('.').rsplit('.').next()?;
    (!label.is_empty() && !label.bytes().all(|byte| byte.is_ascii_digit())).then_some(label)
}

/// How a rule looks at a name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Matcher {
    /// The name is the pattern, or below it.
    Domain,
    /// The whole name, with `*` for anything.
    Glob,
    /// A part of the name, digits at its ends left out.
    Word,
}

/// A line of the file.
#[derive(Clone, Debug, serde::Deserialize)]
struct Rule {
    kind: String,
    #[serde(rename = "rule")]
    matcher: Matcher,
    pattern: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "for those who keep the rules, and for the test"))]
    example: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "for those who keep the rules, and for the test"))]
    source: String,
}

/// The rules, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    in_order: Vec<Rule>,
    /// Domains and words to the place of their first rule.
    domains: HashMap<String, usize>,
    words: HashMap<String, usize>,
    /// Places of the globs.
    globs: Vec<usize>,
}

impl Rules {
    /// The rules compiled into the program.
    pub fn embedded() -> Self {
        Self::read(include_str!("../assets/hostnames/rules.csv"))
    }

    fn read(text: &str) -> Self {
        let mut rules = Self::default();
        // The file is part of the program, and a test reads every line of it.
        for rule in csv::Reader::from_reader(text.as_bytes()).into_deserialize::<Rule>().flatten() {
            let place = rules.in_order.len();
            match rule.matcher {
                Matcher::Domain => {
                    rules.domains.entry(rule.pattern.clone()).or_insert(place);
                }
                Matcher::Glob => rules.globs.push(place),
                Matcher::Word => {
                    rules.words.entry(rule.pattern.clone()).or_insert(place);
                }
            }
            rules.in_order.push(rule);
        }
        rules
    }

    /// The kind of network a host name belongs to.
    pub fn kind(&self, name: &str) -> &str {
        self.first_match(name)
            .and_then(|place| self.in_order.get(place))
            .map_or(UNKNOWN, |rule| rule.kind.as_str())
    }

    /// The place of the first rule that matches.
    fn first_match(&self, name: &str) -> Option<usize> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let domains = below(&name).filter_map(|domain| self.domains.get(domain).copied());
        let words = words(&name).filter_map(|word| self.words.get(word).copied());
        let globs =
            self.globs.iter().copied().filter(|place| {
                self.in_order.get(*place).is_some_and(|rule| matches_glob(&rule.pattern, &name))
            });
        domains.chain(words).chain(globs).min()
    }
}

/// The name and every domain above it.
fn below(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, parent)| parent))
}

/// The parts of the name below its last two labels, which name the operator and not the machine, without digits at their
/// ends.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let operator = registrable_domain(name).unwrap_or_default();
    let machine = name.strip_suffix(operator).unwrap_or(name);
    machine
        .split(['.', '-', '_'])
        .map(|part| part.trim_matches(|character: char| character.is_ascii_digit()))
        .filter(|word| !word.is_empty())
}

/// Whether a text matches a pattern in which `*` stands for anything; linear but for the number of stars.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_rule_matches_its_example_and_no_earlier_one_does() {
        let text = include_str!("../assets/hostnames/rules.csv");
        let rules = Rules::read(text);
        assert_eq!(rules.in_order.len(), text.lines().count() - 1, "every line is a rule");
        for (place, rule) in rules.in_order.iter().enumerate() {
            assert_eq!(rules.first_match(&rule.example), Some(place), "{rule:?}");
            assert!(["hosting", "isp", "seedbox", "vpn"].contains(&rule.kind.as_str()), "{rule:?}");
            assert!(
                ["operator", "provider-default", "rfc-draft", "trade"].contains(&rule.source.as_str()),
                "{rule:?}"
            );
            assert_eq!(rule.pattern, rule.pattern.to_ascii_lowercase(), "{rule:?}");
        }
    }

    #[test]
    fn domains_are_those_below_the_public_suffix() {
        for (name, domain, top) in [
            ("c-7.hsd1.ca.comcast.net", Some("comcast.net"), Some("net")),
            ("cpe-7.nsw.bigpond.net.au", Some("bigpond.net.au"), Some("au")),
            ("p7.osaka.ocn.ne.jp", Some("ocn.ne.jp"), Some("jp")),
            ("localhost", None, Some("localhost")),
            ("co.uk", None, Some("uk")),
            ("", None, None),
        ] {
            assert_eq!((registrable_domain(name), top_level_domain(name)), (domain, top), "{name}");
        }
    }

    #[test]
    fn kinds_follow_the_first_rule() {
        let rules = Rules::embedded();
        for (name, kind) in [
            ("vpn-3.dsl.example.net", "vpn"),
            ("POOL-198-51-100-7.nycmny.FIOS.verizon.net.", "isp"),
            ("ns312345.ip-198-51-100.eu", "hosting"),
            ("mail.example.org", "unknown"),
            // The operator's own name is no word about the machine.
            ("www.cable.com", "unknown"),
            ("dynamics.example.org", "unknown"),
        ] {
            assert_eq!(rules.kind(name), kind, "{name}");
        }
    }

    #[test]
    fn stars_stand_for_anything() {
        assert!(matches_glob("*.ip-*-*-*.eu", "a.ip-1-2-3.eu"));
        assert!(!matches_glob("*.ip-*-*-*.eu", "a.ip-1-2.eu"));
        assert!(matches_glob("a", "a") && !matches_glob("a", "ab") && matches_glob("*", ""));
        assert!(matches_glob("*ab*", "xaby") && !matches_glob("*ab", "abx"));
    }

    static RULES: std::sync::LazyLock<Rules> = std::sync::LazyLock::new(Rules::embedded);

    proptest! {
        #[test]
        fn no_name_breaks_it(name in "\\PC{0,300}") {
            prop_assert!(!RULES.kind(&name).is_empty());
            top_level_domain(&name);
            registrable_domain(&name);
        }
    }
}
