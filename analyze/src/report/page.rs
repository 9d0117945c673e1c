//! What the template is given: tables, facts and figures → texts, escaped by the template unless named otherwise.

use polars::prelude::{DataFrame, IdxCa, IdxSize, PolarsResult};
use serde::Serialize;

use super::ReportError;
use super::cell::{self, Cell, is_numeric};
use super::prose::{foreign, with_code, with_links};
use super::sections::{GROUPS, Group, OTHERS, order};
use crate::facts::Facts;
use crate::figure::frame::{column_numbers, numbers, texts};
use crate::figure::number::{count, duration_us, parse_time, second, speed, whole};
use crate::figure::text::visible;
use crate::figure::{Figure, Names};
use crate::table::{Definition, Tables};

/// Rows of a table that the page holds.
const ROWS: usize = 25;
/// Runs and damaged files that the page names.
const LISTED: usize = 20;

/// Everything on the page. Fields named `…_html`, or marked safe in the template, are escaped already.
#[derive(Debug, Serialize)]
pub struct Page {
    title: &'static str,
    lead: String,
    numbers: Vec<Number>,
    notes: Vec<Remark>,
    facts: Vec<Fact>,
    runs: Vec<[String; 6]>,
    runs_left_out: usize,
    groups: Vec<GroupOnPage>,
    credits: Vec<String>,
    style: &'static str,
    script: &'static str,
}

#[derive(Debug, Serialize)]
struct Number {
    label: &'static str,
    value: String,
    about: String,
}

#[derive(Debug, Serialize)]
struct Remark {
    class: &'static str,
    label: &'static str,
    text: String,
    items: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Fact {
    label: &'static str,
    value: String,
}

#[derive(Debug, Serialize)]
struct GroupOnPage {
    id: &'static str,
    title: &'static str,
    parts: Vec<Part>,
}

#[derive(Debug, Serialize)]
struct Part {
    name: &'static str,
    title: &'static str,
    about: String,
    figure: Option<FigureOnPage>,
    table: TableOnPage,
}

#[derive(Debug, Serialize)]
struct FigureOnPage {
    title: String,
    subtitle: String,
    wide: String,
    narrow: String,
}

#[derive(Debug, Serialize)]
struct TableOnPage {
    caption: String,
    columns: Vec<ColumnOnPage>,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct ColumnOnPage {
    name: &'static str,
    label: String,
    about: String,
    prose: String,
    numeric: bool,
    /// Whether the table has it: some row on the page has a value for it.
    shown: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    /// Whether the row sums up the others.
    sum: bool,
    cells: Vec<Cell>,
}

impl Page {
    /// Puts together what the page shows.
    pub fn of(tables: &Tables, facts: &Facts, figures: &[Figure]) -> Result<Self, ReportError> {
        let names = Names::of(tables.get("summary")).unwrap_or_default();
        let in_summary = |source| ReportError::Table { table: "summary", source };
        let numbers = tables.get("summary").map(key_numbers).transpose().map_err(in_summary)?;
        let grouped = |name: &str| GROUPS.iter().any(|group| group.tables.contains(&name));
        let mut groups = Vec::new();
        for group in GROUPS.iter().chain([&OTHERS]) {
            let mut parts = Vec::new();
            let listed =
                group.tables.iter().filter_map(|name| tables.iter().find(|(found, _)| found.name == *name));
            let unlisted = tables.iter().filter(|(found, _)| group.tables.is_empty() && !grouped(found.name));
            for (definition, rows) in listed.chain(unlisted) {
                parts.push(part(definition, rows, figures, &names)?);
            }
            if !parts.is_empty() {
                let Group { id, title, .. } = *group;
                groups.push(GroupOnPage { id, title, parts });
            }
        }
        Ok(Self {
            title: "Swarmtally report",
            lead: lead(facts),
            numbers: numbers.unwrap_or_default(),
            notes: remarks(facts),
            facts: fact_list(facts),
            runs: runs(facts),
            runs_left_out: facts.runs.len().saturating_sub(LISTED),
            groups,
            credits: credits(facts),
            style: include_str!("../../assets/page/report.css"),
            script: include_str!("../../assets/page/report.js"),
        })
    }
}

fn lead(facts: &Facts) -> String {
    let torrents = match facts.torrents {
        1 => "One torrent".to_owned(),
        number => format!("{} torrents", count(number)),
    };
    let places = vantages(facts);
    let from = if places.is_empty() { String::new() } else { format!(" from {}", places.join(", ")) };
    match (&facts.first_at, &facts.last_at) {
        (Some(first), Some(last)) => {
            let length = match (parse_time(first), parse_time(last)) {
                (Some(first), Some(last)) => format!(" ({})", duration_us((last - first) as f64)),
                _ => String::new(),
            };
            format!("{torrents} watched{from}, {} to {} UTC{length}.", at(first), at(last))
        }
        _ => "The log holds no rows: nothing was captured, or nothing of what was asked for.".to_owned(),
    }
}

/// Names of the places the captures ran, each once.
fn vantages(facts: &Facts) -> Vec<String> {
    let mut names: Vec<_> = facts.runs.iter().filter_map(|run| run.vantage.as_deref()).map(visible).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A time of the facts as people read it.
fn at(time: &str) -> String {
    parse_time(time).map_or_else(|| visible(time), second)
}

fn key_numbers(summary: &DataFrame) -> PolarsResult<Vec<Number>> {
    let hashes = texts(summary, "info_hash")?;
    let Some(row) = hashes.iter().position(|hash| hash.as_deref() == Some("all")) else {
        return Ok(Vec::new());
    };
    let value =
        |name: &str| -> PolarsResult<Option<f64>> { Ok(numbers(summary, name)?.get(row).copied().flatten()) };
    let told = |label, value: Option<f64>, about: &str| Number {
        label,
        value: value.map_or_else(|| "–".to_owned(), |value| count(whole(value).unsigned_abs())),
        about: about.to_owned(),
    };
    let mut list = vec![
        told(
            "confirmed downloads",
            value("confirmed_downloads")?,
            "Peers seen below the threshold and later at or above it: a lower bound.",
        ),
        told(
            "unique peers",
            value("unique_peers")?,
            "Named by a source or met in a contact, once per torrent.",
        ),
        told("contacted peers", value("contacted_peers")?, "Their handshake was received at least once."),
        told("already complete", value("already_complete")?, "At or above the threshold when first seen."),
        told(
            "downloads by scrape",
            value("scrape_downloads")?,
            "What trackers say was downloaded meanwhile, one tracker a torrent.",
        ),
        told("flagged peers", value("flagged")?, "Counts that cannot be trusted: never confirmed."),
    ];
    if let Some(estimate) = value("estimated_downloads")? {
        let number = |value: f64| count(whole(value).unsigned_abs());
        let low = value("estimated_downloads_low")?.map_or_else(|| "–".to_owned(), number);
        let high = value("estimated_downloads_high")?.map_or_else(|| "–".to_owned(), number);
        list.push(told("estimated downloads", Some(estimate), &format!("Between {low} and {high}.")));
    }
    list.push(Number {
        label: "median speed",
        value: value("median_speed_bytes_per_s")?.map_or_else(|| "–".to_owned(), speed),
        about: "Of the peers' mean download speeds.".to_owned(),
    });
    Ok(list)
}

fn remarks(facts: &Facts) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if !facts.damaged.is_empty() {
        let mut items: Vec<_> = facts
            .damaged
            .iter()
            .take(LISTED)
            .map(|damaged| format!("<code>{}</code>: {}", foreign(&damaged.file), foreign(&damaged.problem)))
            .collect();
        if facts.damaged.len() > LISTED {
            items.push(format!("… and {} more", count((facts.damaged.len() - LISTED) as u64)));
        }
        let text = if facts.damaged.len() == 1 {
            "A file of the log could not be read and is left out. Downloads may be missing, none is made up. Copy \
             it again from where it was captured and run the report anew."
        } else {
            "Files of the log could not be read and are left out. Downloads may be missing, none is made up. Copy \
             them again from where they were captured and run the report anew."
        };
        remarks.push(Remark { class: "warning", label: "Damaged files.", text: text.to_owned(), items });
    }
    remarks.extend(facts.notes.iter().map(|text| Remark {
        class: "note",
        label: "Note.",
        text: foreign(text),
        items: Vec::new(),
    }));
    remarks
}

fn fact_list(facts: &Facts) -> Vec<Fact> {
    let mut list = Vec::new();
    let mut add = |label, value: String| {
        if !value.is_empty() {
            list.push(Fact { label, value: visible(&value) });
        }
    };
    let optional_time = |time: &Option<String>| time.as_deref().map(at).unwrap_or_default();
    add("First event (UTC)", optional_time(&facts.first_at));
    add("Last event (UTC)", optional_time(&facts.last_at));
    add("Vantages", vantages(facts).join(", "));
    add("Torrents watched", count(facts.torrents));
    add("Threshold", format!("{} of a torrent's pieces, rounded up to a whole piece", facts.threshold));
    add("Fastest plausible speed", speed(facts.max_plausible_speed_bytes_per_s as f64));
    add("Only from (UTC)", optional_time(&facts.since));
    add("Only before (UTC)", optional_time(&facts.until));
    add("Only these torrents", facts.info_hashes.join(", "));
    add("Time buckets", duration_us(facts.bucket_s as f64 * 1e6));
    let rows: u64 = facts.rows.iter().map(|(_, rows)| rows).sum();
    let tables: Vec<_> = facts.rows.iter().map(|(table, rows)| format!("{table} {}", count(*rows))).collect();
    add("Rows read", format!("{} in {} files", count(rows), count(facts.segments)));
    add("Rows by table", tables.join(", "));
    let sources: Vec<_> =
        facts.geolocation.iter().map(|source| format!("{} from {}", source.tells, source.name)).collect();
    add("Places", sources.join("; "));
    add("Data", facts.data.join(", "));
    add("Made by", format!("analyze {}", facts.version));
    list
}

fn runs(facts: &Facts) -> Vec<[String; 6]> {
    let text = |value: &Option<String>| value.as_deref().map(visible).unwrap_or_default();
    let time = |value: &Option<String>| value.as_deref().map(at).unwrap_or_default();
    facts
        .runs
        .iter()
        .take(LISTED)
        .map(|run| {
            let stopped = match run.stopped_at {
                Some(_) => time(&run.stopped_at),
                None => "no end in the log".to_owned(),
            };
            [
                visible(&run.run),
                text(&run.vantage),
                text(&run.version),
                time(&run.started_at),
                stopped,
                text(&run.reason),
            ]
        })
        .collect()
}

fn credits(facts: &Facts) -> Vec<String> {
    let mut credits: Vec<_> =
        facts.geolocation.iter().filter_map(|source| source.attribution.as_deref()).map(with_links).collect();
    credits.dedup();
    credits.push(
        "Map shapes: Natural Earth (public domain), as prepared in world-atlas, © 2013–2019 Michael Bostock (ISC \
         licence). Projection: Equal Earth."
            .to_owned(),
    );
    credits
}

fn part(
    definition: &'static Definition,
    rows: &DataFrame,
    figures: &[Figure],
    names: &Names,
) -> Result<Part, ReportError> {
    let in_table = |source| ReportError::Table { table: definition.name, source };
    let figure = figures.iter().find(|figure| figure.stem == definition.name).map(|figure| FigureOnPage {
        title: visible(&figure.title),
        subtitle: visible(&figure.subtitle),
        wide: figure.wide_markup(),
        narrow: figure.narrow_markup(),
    });
    Ok(Part {
        name: definition.name,
        title: definition.title,
        about: with_code(definition.about),
        figure,
        table: table(definition, rows, names).map_err(in_table)?,
    })
}

fn table(definition: &'static Definition, rows: &DataFrame, names: &Names) -> PolarsResult<TableOnPage> {
    let shown = first_rows(definition, rows)?;
    // Where the name has a column of its own, the info-hash is shown as such.
    let no_names = Names::default();
    let has_name = definition.columns.iter().any(|column| column.name == "name");
    let names = if has_name { &no_names } else { names };
    let mut columns = Vec::new();
    let mut lines: Vec<Row> = (0..shown.height()).map(|_| Row { sum: false, cells: Vec::new() }).collect();
    for (index, column) in definition.columns.iter().enumerate() {
        let mut cells = cell::cells(column, shown.column(column.name)?, names)?;
        if index == 0 {
            cells.iter_mut().for_each(Cell::name_unknown);
        }
        // A column without any value would only make a wide table wider.
        let shown = cells.iter().any(|cell| !cell.text.is_empty());
        columns.push(ColumnOnPage {
            name: column.name,
            label: if column.name == "info_hash" && !has_name {
                "torrent".to_owned()
            } else {
                label(column.name)
            },
            about: column.about.replace('`', ""),
            prose: with_code(column.about),
            numeric: is_numeric(column.kind),
            shown,
        });
        for (line, cell) in lines.iter_mut().zip(cells).filter(|_| shown) {
            line.sum |= column.name == "info_hash" && cell.text == "all";
            line.cells.push(cell);
        }
    }
    Ok(TableOnPage { caption: caption(definition, rows.height(), lines.len()), columns, rows: lines })
}

fn caption(definition: &Definition, all: usize, shown: usize) -> String {
    let file = format!("<code>{}.csv</code>", definition.name);
    if all == 0 {
        return format!("No rows. {file} has the column names only.");
    }
    if shown == all {
        let rows = if all == 1 { "1 row".to_owned() } else { format!("{} rows", count(all as u64)) };
        return format!("{rows}, also in {file}.");
    }
    let by = match order(definition.name) {
        Some(column) if matches!(column, "hour" | "confirmed_at") => {
            format!(" with the latest {}", label(column))
        }
        Some(column) => format!(" with the highest {}", label(column)),
        None => String::new(),
    };
    format!("{} of {} rows, those{by}; {file} has all of them.", count(shown as u64), count(all as u64))
        .replace(", those;", ";")
}

/// A column's name as a heading: the unit stands in the cells.
fn label(name: &str) -> String {
    let name = name.strip_suffix("_bytes_per_s").unwrap_or(name);
    let name = name.strip_suffix("_bytes").unwrap_or(name);
    let name = name.strip_suffix("_us").unwrap_or(name);
    name.replace('_', " ")
}

/// The rows that the page shows, in its order: the row of all torrents first, then by the table's column.
fn first_rows(definition: &Definition, rows: &DataFrame) -> PolarsResult<DataFrame> {
    let Some(column) = order(definition.name) else { return Ok(rows.head(Some(ROWS))) };
    let keys = column_numbers(rows.column(column)?)?;
    let is_sum: Vec<bool> = match definition.name {
        "summary" => texts(rows, "info_hash")?.iter().map(|hash| hash.as_deref() == Some("all")).collect(),
        _ => vec![false; rows.height()],
    };
    let mut indices: Vec<(bool, f64, IdxSize)> = is_sum
        .into_iter()
        .zip(keys)
        .zip(0..)
        .map(|((sum, key), index)| (sum, key.unwrap_or(f64::NEG_INFINITY), index))
        .collect();
    indices.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
    indices.truncate(ROWS);
    let indices: Vec<IdxSize> = indices.into_iter().map(|(_, _, index)| index).collect();
    rows.take(&IdxCa::from_vec("row".into(), indices))
}
