//! The file of `--config`: TOML whose keys are the options' names.
//!
//! Each key becomes an argument in front of the command line's, unless the command line gives that option itself, so
//! that [`Options`] are defined once. Mistakes are told by file and line.

use std::{ffi::OsString, fs, path::Path};

use clap::{ArgMatches, Command, CommandFactory, error::ErrorKind, parser::ValueSource};
use toml::de::{DeTable, DeValue};

use crate::cli::Options;

/// Options that rule each other out: the command line's replaces the file's.
const OPPOSITES: [(&str, &str); 2] = [("listen", "no-listen"), ("no-listen", "listen")];

/// What is wrong with the file of `--config`.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error("cannot read the options of {path}: {source}")]
    Unreadable {
        /// The file as the user named it.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no TOML, or holds an unknown option or a value that cannot be.
    #[error("{path}:{line}: {message}")]
    BadLine {
        /// The file as the user named it.
        path: String,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong and what to do.
        message: String,
    },
}

/// The arguments with the options of the file they name, if they name one, put in front.
pub fn splice(mut arguments: Vec<OsString>) -> Result<Vec<OsString>, ConfigError> {
    let command = Options::command().ignore_errors(true);
    let Ok(given) = command.try_get_matches_from(&arguments) else {
        // Help, the version or a mistake: for the real parse to tell.
        return Ok(arguments);
    };
    let Ok(Some(Some(path))) = given.try_get_one::<std::path::PathBuf>("config").map(|path| path.map(Some))
    else {
        return Ok(arguments);
    };
    let from_file = read(path, &given)?;
    let program = arguments.len().min(1);
    arguments.splice(program..program, from_file);
    Ok(arguments)
}

fn read(path: &Path, given: &ArgMatches) -> Result<Vec<OsString>, ConfigError> {
    let shown = path.display().to_string();
    let text =
        fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: shown.clone(), source })?;
    parse(&shown, &text, given)
}

fn parse(shown: &str, text: &str, given: &ArgMatches) -> Result<Vec<OsString>, ConfigError> {
    let bad_line = |at: usize, message: String| ConfigError::BadLine {
        path: shown.to_owned(),
        line: 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count(),
        message,
    };
    let table = DeTable::parse(text).map_err(|error| {
        bad_line(
            error.span().map_or(0, |span| span.start),
            format!("{}; see https://toml.io", error.message()),
        )
    })?;
    let command = Options::command();
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);

    let mut arguments = Vec::new();
    for (key, value) in entries {
        let name = key.get_ref().as_ref();
        let at = key.span().start;
        if !is_option(&command, name) {
            return Err(bad_line(at, unknown(&command, name)));
        }
        let texts = texts(value.get_ref()).ok_or_else(|| {
            bad_line(at, format!("{name}: write a text, a whole number, true, false or a list"))
        })?;
        let options: Vec<OsString> = texts.iter().map(|text| format!("--{name}={text}").into()).collect();
        check(&command, name, &options).map_err(|reason| bad_line(at, reason))?;
        if !is_given(given, name) {
            arguments.extend(options);
        }
    }
    Ok(arguments)
}

fn is_option(command: &Command, name: &str) -> bool {
    let own = !matches!(name, "config" | "help" | "version");
    own && command.get_arguments().any(|argument| argument.get_long() == Some(name))
}

fn unknown(command: &Command, name: &str) -> String {
    let nearest = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .filter(|long| is_option(command, long))
        .find(|long| long.replace('-', "_") == name || long.starts_with(name) || name.starts_with(long));
    match nearest {
        Some(nearest) => format!("unknown option {name:?}; did you mean {nearest:?}?"),
        None => format!("unknown option {name:?}; `capture --help` names them all"),
    }
}

/// The value as the command line would have it; a list is the option given several times.
fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(values) => values.iter().map(|value| text(value.get_ref())).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Integer(value) => Some(value.to_string()),
        DeValue::String(value) => Some(value.as_ref().to_owned()),
        _ => None,
    }
}

/// Whether the command line would take the option so; else why not.
fn check(command: &Command, name: &str, options: &[OsString]) -> Result<(), String> {
    let line = ["capture".into()].into_iter().chain(options.iter().cloned());
    let required: &[&str] = if name == "torrents" { &[] } else { &["--torrents=list.txt"] };
    let line = line.chain(required.iter().map(OsString::from));
    match command.clone().try_get_matches_from(line) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ArgumentConflict => {
            Err(format!("{name} takes one value, not a list"))
        }
        Err(error) => Err(first_sentence(&error.to_string())),
    }
}

/// clap's message without its `error:` and its hints about usage.
fn first_sentence(message: &str) -> String {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    message.split("\n\n").next().unwrap_or(message).replace("\n  ", " ").trim().to_owned()
}

fn is_given(given: &ArgMatches, name: &str) -> bool {
    let opposite = OPPOSITES.iter().find(|(one, _)| *one == name).map(|&(_, other)| other);
    [Some(name), opposite].into_iter().flatten().any(|name| {
        let id = if name == "for" { "for_".to_owned() } else { name.replace('-', "_") };
        given.value_source(&id) == Some(ValueSource::CommandLine)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{CliError, Listen};

    fn options(file: &str, arguments: &[&str]) -> Result<Options, CliError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("capture.toml");
        fs::write(&path, file).unwrap();
        let config = format!("--config={}", path.display());
        Options::from_arguments(["capture", &config].into_iter().chain(arguments.iter().copied()))
    }

    /// The message with the folder of the test left out.
    fn mistake(file: &str) -> String {
        let message = options(file, &[]).unwrap_err().to_string();
        message.split_once("capture.toml").map_or(message.clone(), |(_, told)| format!("capture.toml{told}"))
    }

    #[test]
    fn the_file_gives_options() {
        let file = "torrents = 'list.txt'\nfor = '2h'\nmax-open = 7\nallow-private = true\n\
                    bind = ['127.0.0.1', '::1']\nrotate-size = '1MiB'\n";
        let options = options(file, &[]).unwrap();
        assert_eq!(options.input.torrents.to_str(), Some("list.txt"));
        assert_eq!(options.run.for_, Some(std::time::Duration::from_hours(2)));
        assert_eq!(options.pacing.max_open, 7);
        assert!(options.input.allow_private);
        assert_eq!(options.network.bind.len(), 2);
        assert_eq!(options.log.rotate_size, 1 << 20);
    }

    #[test]
    fn the_command_line_wins() {
        let file =
            "torrents = 'list.txt'\nfor = '2h'\nallow-private = true\nlisten = [1, 2]\nbind = ['::1']\n";
        let given = [
            "--for=1s",
            "--allow-private=false",
            "--listen",
            "9",
            "--torrents",
            "other.txt",
            "--bind",
            "127.0.0.1",
        ];
        let options = options(file, &given).unwrap();
        assert_eq!(options.run.for_, Some(std::time::Duration::from_secs(1)));
        assert!(!options.input.allow_private);
        assert_eq!(options.network.listen, [Listen::Port(9)]);
        assert_eq!(options.input.torrents.to_str(), Some("other.txt"));
        assert_eq!(options.network.bind, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    }

    #[test]
    fn listen_and_no_listen_replace_each_other() {
        assert!(options("torrents = 'l'\nlisten = 1", &["--no-listen"]).unwrap().listen().is_empty());
        assert_eq!(
            options("torrents = 'l'\nno-listen = true", &["--listen=1"]).unwrap().listen(),
            [Listen::Port(1)]
        );
    }

    #[test]
    fn mistakes_name_file_and_line() {
        let files = [
            "torrents = 'list.txt'\nmax_open = 3\n",
            "torrents = 'list.txt'\n\n# how long\nfro = '2h'\n",
            "for = '2 hours'\n",
            "max-open = 0\n",
            "max-open = [1, 2]\n",
            "max-open = 1.5\n",
            "[network]\nlisten = 1\n",
            "torrents = 'a'\nfor = \n",
            "torrents = 'a'\ntorrents = 'b'\n",
            "config = 'other.toml'\n",
            "format = 'csv'\n",
            "out = 'ftp://bucket/prefix'\n",
        ];
        insta::assert_snapshot!(files.map(mistake).join("\n"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Options::from_arguments(["capture", "--config", "no/such.toml"]).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the options of no/such.toml: "), "{error}");
    }
}
