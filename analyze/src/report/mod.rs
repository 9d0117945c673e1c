//! `report.html`: facts, key numbers, figures and tables → one page that opens offline.
//!
//! Everything is inline, nothing is loaded. The page holds the first rows of each table and names the CSV that has all.

mod cell;
mod data;
mod header;
mod pack;
mod page;
mod prose;
mod rows;
mod sections;
mod shapes;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use polars::prelude::PolarsError;

use crate::facts::Facts;
use crate::figure::Figure;
use crate::table::Tables;

/// Why the report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The page's data cannot be written as JSON: a mistake of ours.
    #[error("the page's data cannot be written")]
    Data(#[source] serde_json::Error),
    /// The page's data cannot be packed.
    #[error("the page's data cannot be packed")]
    Pack(#[source] std::io::Error),
    /// A table lacks a column, or has one of another type.
    #[error("the table {table} cannot be shown")]
    Table {
        /// The table.
        table: &'static str,
        /// What is missing.
        source: PolarsError,
    },
    /// The template does not fit what it is given: a mistake of ours.
    #[error("the page cannot be put together")]
    Template(#[from] minijinja::Error),
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// The page and its parts.
const TEMPLATES: [(&str, &str); 3] = [
    ("article.html", include_str!("../../assets/page/template/article.html")),
    ("header.html", include_str!("../../assets/page/template/header.html")),
    ("report.html", include_str!("../../assets/page/template/report.html")),
];

/// Writes `<out>/report.html` and returns its path; `out` must exist.
pub fn write(tables: &Tables, facts: &Facts, figures: &[Figure], out: &Path) -> Result<PathBuf, ReportError> {
    let page = render(tables, facts, figures)?;
    let path = out.join("report.html");
    match std::fs::write(&path, page) {
        Ok(()) => Ok(path),
        Err(source) => Err(ReportError::Write { path, source }),
    }
}

/// The page. The same tables, facts and figures give the same bytes.
pub fn render(tables: &Tables, facts: &Facts, figures: &[Figure]) -> Result<String, ReportError> {
    let mut environment = minijinja::Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    for (name, template) in TEMPLATES {
        environment.add_template(name, template)?;
    }
    let page = minijinja::value::Serde(page::Page::of(tables, facts, figures)?);
    Ok(environment.get_template("report.html")?.render(page)?)
}
