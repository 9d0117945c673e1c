//! What the template is given: tables, facts and figures → texts, escaped by the template unless named otherwise.

use polars::prelude::{DataFrame, PolarsResult};
use serde::Serialize;

use super::ReportError;
use super::cell::{self, Cell, is_numeric};
use super::data::Data;
use super::header::{
    Fact, LISTED, Number, Remark, credits, fact_list, help, key_numbers, lead, remarks, runs,
    threshold_in_percent, verdict,
};
use super::pack::pack;
use super::prose::with_code;
use super::rows;
use super::sections::{GROUPS, Group, OTHERS, order};
use super::shapes::Shapes;
use crate::facts::Facts;
use crate::figure::frame::{self, texts};
use crate::figure::text::visible;
use crate::figure::{self, Figure, Names};
use crate::number::{count, number_of};
use crate::table::{Column, Definition, Kind, Made, Tables};

const STYLE: &str = concat!(
    include_str!("../../assets/page/style/theme.css"),
    include_str!("../../assets/page/style/page.css"),
    include_str!("../../assets/page/style/figure.css"),
    include_str!("../../assets/page/style/table.css"),
    include_str!("../../assets/page/style/print.css"),
);

/// In this order: later parts use earlier ones.
const SCRIPT: &str = concat!(
    include_str!("../../assets/page/script/format.js"),
    include_str!("../../assets/page/script/data.js"),
    include_str!("../../assets/page/script/tooltip.js"),
    include_str!("../../assets/page/script/table.js"),
    include_str!("../../assets/page/script/draw.js"),
    include_str!("../../assets/page/script/charts/time.js"),
    include_str!("../../assets/page/script/charts/rows.js"),
    include_str!("../../assets/page/script/charts/dated.js"),
    include_str!("../../assets/page/script/charts/outcomes.js"),
    include_str!("../../assets/page/script/charts/speeds.js"),
    include_str!("../../assets/page/script/charts/countries.js"),
    include_str!("../../assets/page/script/charts/readings.js"),
    include_str!("../../assets/page/script/torrent.js"),
);

/// Everything on the page; what the template marks safe is escaped already.
#[derive(Debug, Serialize)]
pub struct Page {
    title: &'static str,
    lead: String,
    /// How many downloads, and how sure that is; empty without the table that tells.
    verdict: String,
    threshold: String,
    numbers: Vec<Number>,
    notes: Vec<Remark>,
    facts: Vec<Fact>,
    runs: Vec<[String; 6]>,
    /// Runs of the log that are not listed, in words.
    runs_left_out: Option<String>,
    groups: Vec<GroupOnPage>,
    credits: Vec<String>,
    /// Outlines of countries, which the maps refer to.
    shapes: String,
    /// What to look at where nothing was captured.
    help: Vec<String>,
    /// What the script works with, packed.
    data: String,
    style: &'static str,
    script: &'static str,
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
    figures: Vec<FigureOnPage>,
    table: TableOnPage,
}

#[derive(Debug, Serialize)]
struct FigureOnPage {
    stem: &'static str,
    /// Whether it shows a torrent alone once one is chosen.
    of_torrents: bool,
    bias: &'static str,
    missing: Option<String>,
    title: String,
    subtitle: String,
    wide: String,
    narrow: String,
}

#[derive(Debug, Serialize)]
struct TableOnPage {
    /// The file that has all rows.
    file: String,
    caption: String,
    /// How many rows there are, in words.
    size: String,
    /// Rows in the page's data.
    kept: usize,
    /// Whether rows are of single torrents.
    of_torrents: bool,
    /// Whether it is seen without being asked for.
    open: bool,
    /// Columns that say the same in every row, and what.
    said: Vec<(String, String)>,
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
        let verdict = tables
            .get("summary")
            .map(|rows| verdict(rows, facts))
            .transpose()
            .map_err(in_summary)?
            .filter(|_| facts.first_at.is_some());
        let grouped = |name: &str| GROUPS.iter().any(|group| group.tables.contains(&name));
        let data = Data::of(tables, facts, &names)?;
        let parts_of = Parts { tables, facts, figures, names, data };
        let mut shapes = Shapes::default();
        let mut groups = Vec::new();
        for group in GROUPS.iter().chain([&OTHERS]) {
            let mut parts = Vec::new();
            let listed =
                group.tables.iter().filter_map(|name| tables.iter().find(|(found, _)| found.name == *name));
            let unlisted = tables.iter().filter(|(found, _)| group.tables.is_empty() && !grouped(found.name));
            for (definition, table) in listed.chain(unlisted) {
                parts.push(part(&parts_of, definition, table, &mut shapes)?);
            }
            if !parts.is_empty() {
                let Group { id, title, .. } = *group;
                groups.push(GroupOnPage { id, title, parts });
            }
        }
        let outlines = shapes.definitions();
        Ok(Self {
            title: "Swarmtally report",
            lead: lead(facts),
            verdict: verdict.unwrap_or_default(),
            threshold: threshold_in_percent(facts),
            numbers: numbers.unwrap_or_default(),
            notes: remarks(facts),
            facts: fact_list(facts),
            runs: runs(facts),
            runs_left_out: left_out(facts.runs.len().saturating_sub(LISTED)),
            groups,
            credits: credits(facts, !outlines.is_empty()),
            shapes: outlines,
            help: help(facts),
            data: pack(&parts_of.data)?,
            style: STYLE,
            script: SCRIPT,
        })
    }
}

/// What the page is made of.
struct Parts<'a> {
    tables: &'a Tables,
    facts: &'a Facts,
    figures: &'a [Figure],
    names: Names,
    data: Data,
}

fn part(
    page: &Parts<'_>,
    definition: &'static Definition,
    made: &Made,
    shapes: &mut Shapes,
) -> Result<Part, ReportError> {
    let in_table = |source| ReportError::Table { table: definition.name, source };
    let figures =
        page.figures.iter().filter(|figure| figure.draws(definition.name)).map(|figure| FigureOnPage {
            stem: figure.stem,
            of_torrents: figure::torrents::shows(figure.stem, page.tables),
            bias: figure::bias::bias(figure.stem),
            missing: figure.missing.clone(),
            title: visible(&figure.title),
            subtitle: visible(&figure.subtitle),
            wide: shapes.share(&figure.wide_markup()),
            narrow: shapes.share(&figure.narrow_markup()),
        });
    Ok(Part {
        name: definition.name,
        title: definition.title,
        about: with_code(definition.about),
        figures: figures.collect(),
        table: table(page, definition, made).map_err(in_table)?,
    })
}

fn table(page: &Parts<'_>, definition: &'static Definition, made: &Made) -> PolarsResult<TableOnPage> {
    let kept = page.data.held(definition.name);
    let ordered = rows::in_order(definition, made.first())?;
    let first = ordered.into_iter().take(rows::SHOWN).collect();
    let shown = frame::take(made.first(), first)?;
    // Where the name has a column of its own, the info-hash is shown as such.
    let no_names = Names::default();
    let has_name = definition.columns.iter().any(|column| column.name == "name");
    let names = if has_name { &no_names } else { &page.names };
    let mut columns = Vec::new();
    let mut said = Vec::new();
    let mut lines: Vec<Row> = (0..shown.height()).map(|_| Row { sum: false, cells: Vec::new() }).collect();
    for (index, column) in definition.columns.iter().enumerate() {
        let mut cells = cell::cells(column, shown.column(column.name)?, names)?;
        if index == 0 {
            cells.iter_mut().for_each(Cell::name_unknown);
        }
        // A column without any value would only make a wide table wider, and one that says the same in every row too.
        let same = made.whole().map_or(Ok(None), |rows| said_once(column, rows))?;
        let shown = same.is_none() && cells.iter().any(|cell| !cell.text.is_empty());
        said.extend(same.map(|text| (label(column.name), text)));
        columns.push(ColumnOnPage {
            name: column.name,
            label: match column.name {
                "info_hash" if !has_name => "torrent".to_owned(),
                "hour" if page.facts.bucket_s != 3_600 => "bucket (UTC)".to_owned(),
                name if column.kind == Kind::Time => format!("{} (UTC)", label(name)),
                name => label(name),
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
    let file = format!("{}.{}", definition.name, page.facts.extension);
    Ok(TableOnPage {
        caption: caption(definition, &file, made.height(), kept),
        file,
        size: rows_in_words(made.height()),
        kept,
        of_torrents: definition.columns.iter().any(|column| column.name == "info_hash"),
        open: definition.name == "summary",
        said,
        columns,
        rows: lines,
    })
}

fn caption(definition: &Definition, file: &str, all: usize, kept: usize) -> String {
    let file = format!("<code>{file}</code>");
    if all == 0 {
        return format!("No rows. {file} has the column names only.");
    }
    if kept == all {
        return format!("{}, also in {file}.", rows_in_words(all));
    }
    let by = match order(definition.name) {
        Some(column) if matches!(column, "hour" | "confirmed_at") => {
            format!(" with the latest {}", label(column))
        }
        Some(column) => format!(" with the highest {}", label(column)),
        None => String::new(),
    };
    format!("{} of {} rows, those{by}; {file} has all of them.", count(kept as u64), count(all as u64))
        .replace(", those;", ";")
}

/// What a column about methods says if it says the same in every row.
fn said_once(column: &Column, rows: &DataFrame) -> PolarsResult<Option<String>> {
    let is_told = |end: &str| {
        column.name == end || column.name.strip_suffix(end).is_some_and(|rest| rest.ends_with('_'))
    };
    if rows.height() < 2 || !["method", "bias"].into_iter().any(is_told) {
        return Ok(None);
    }
    let mut texts = texts(rows, column.name)?.into_iter().flatten();
    let Some(first) = texts.next() else { return Ok(None) };
    Ok(texts.all(|text| text == first).then(|| visible(&first).replace('_', " ")))
}

fn left_out(runs: usize) -> Option<String> {
    (runs > 0).then(|| format!("{} in the log.", number_of(runs as u64, "more run")))
}

fn rows_in_words(number: usize) -> String {
    number_of(number as u64, "row")
}

/// A column's name as a heading: the unit stands in the cells.
fn label(name: &str) -> String {
    let name = name.strip_suffix("_bytes_per_s").unwrap_or(name);
    let name = name.strip_suffix("_bytes").unwrap_or(name);
    let name = name.strip_suffix("_us").unwrap_or(name);
    name.replace('_', " ")
}
