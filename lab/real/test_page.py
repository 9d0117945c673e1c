"""The report's page, in a browser that has no network at all."""

import csv
import json
import re
import shutil
import subprocess

import browser
import pytest
from conftest import ROOT, TARGET

PHONE, DESK = 390, 1280
# Figures that show a torrent alone.
OF_TORRENTS = ["clients", "confirmed_downloads", "confirmed_hourly", "contacts", "countries", "flagged"]
OF_TORRENTS += ["population", "requests", "seeders_hourly", "sources", "speeds", "speeds_by_country", "trackers"]
# What the page writes for no number, and between the ends of a range.
ABSENT = TO = "\N{EN DASH}"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A browser's tab."""
    with browser.browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture(autouse=True)
def nothing_to_complain_of(page):
    """No test may leave the browser complaining."""
    page.complaints.clear()
    yield
    assert page.complaints == []


class Report:
    """A report that `analyze` made, and its CSVs."""

    def __init__(self, folder, data, *options):
        subprocess.run([TARGET / "debug" / "analyze", "report", data, "--out", folder, *options], check=True)
        self.folder = folder
        self.page = folder / "report.html"

    def rows(self, table):
        with (self.folder / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The report of the log that lies beside the sources."""
    return Report(tmp_path_factory.mktemp("sample"), ROOT / "data" / "sample")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The report of two days of 2,000 torrents."""
    folder = tmp_path_factory.mktemp("large")
    log = ["lab", "log", "--rows", "400000", "--swarms", "2000", "--length", "2h", "--out", folder / "log"]
    subprocess.run([TARGET / "debug" / log[0], *log[1:]], check=True, stdout=subprocess.DEVNULL)
    yield Report(folder / "report", folder / "log")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def nothing(tmp_path_factory):
    """The report of no row at all."""
    return Report(tmp_path_factory.mktemp("nothing"), ROOT / "data" / "sample", "--until", "2000-01-01")


READY = "document.documentElement.hasAttribute('data-ready')"


def look(page, report, width=DESK, fragment="", **preferences):
    """Opens the page of a report and waits for its script; returns the seconds until it was shown."""
    page.show(width, **preferences)
    seconds = page.open(report.page, fragment)
    page.wait_for(READY)
    return seconds


def choose(page, info_hash):
    page.run(f"""(async () => {{
        const choice = document.getElementById("torrent");
        choice.value = {json.dumps(info_hash)};
        choice.dispatchEvent(new Event("change"));
    }})()""")
    wanted = json.dumps(bool(info_hash))
    page.wait_for(f"document.body.classList.contains('one') === {wanted}")


def number(page, column):
    """A key number, without its thousands separators."""
    text = page.run(f"document.querySelector('.numbers [data-column={column}] strong').textContent")
    return None if text == ABSENT else int(text.replace(",", ""))


def cells(page, table):
    """The texts of a table's rows, as shown."""
    rows = f"document.querySelector('table[data-table={table}]').tBodies[0].rows"
    return page.run(f"[...{rows}].map((row) => [...row.cells].map((cell) => cell.textContent))")


def columns(page, table):
    heads = f"document.querySelector('table[data-table={table}]').tHead.rows[0].cells"
    return page.run(f"[...{heads}].map((head) => head.dataset.column)")


def press_head(page, table, column):
    page.run(f"document.querySelector('table[data-table={table}] th[data-column={column}] button').click()")
    page.settle()


# The swarm that was watched.


@pytest.fixture
def document(page, watched):
    """The watched swarm's page after its scripts have run."""
    page.show(DESK)
    page.open(watched.captures["torrent-file"].report / "report.html")
    page.wait_for(READY)
    return page.run("document.documentElement.outerHTML")


def test_the_page_holds_every_table(watched, document):
    tables = [path.stem for path in watched.captures["torrent-file"].report.glob("*.csv")]
    assert tables
    assert [name for name in tables if f'id="{name}"' not in document] == []


def test_the_page_names_every_confirmed_download(watched, document):
    assert [ip for ip in watched.downloads if ip not in document] == []


# A small report.


def test_the_data_writes_rows_as_the_markup_does(page, sample):
    look(page, sample)
    names = page.run("[...document.querySelectorAll('table.data')].map((table) => table.dataset.table)")
    assert len(names) > 15
    for name in names:
        before = cells(page, name)
        # Every table is made anew from the page's data when it is searched.
        page.run(f"""(() => {{
            const search = document.querySelector("#{name} .bar input");
            search.value = " ";
            search.dispatchEvent(new Event("input"));
        }})()""")
        page.settle()
        assert cells(page, name) == before, name


def test_a_torrent_alone_has_the_numbers_of_its_row(page, sample):
    look(page, sample)
    rows = {row["info_hash"]: row for row in sample.rows("summary")}
    counted = ["confirmed_downloads", "unique_peers", "contacted_peers", "already_complete", "flagged"]
    counted += ["scrape_downloads", "estimated_downloads"]
    for info_hash in [*rows, "all"]:
        choose(page, "" if info_hash == "all" else info_hash)
        for column in counted:
            told = number(page, column)
            assert told == (int(rows[info_hash][column]) if rows[info_hash][column] else None), (info_hash, column)


def test_the_first_sentences_say_how_many_and_how_sure(page, sample):
    look(page, sample)
    for row in sample.rows("summary"):
        choose(page, "" if row["info_hash"] == "all" else row["info_hash"])
        told = page.run("document.querySelector('.verdict').textContent")
        confirmed = int(row["confirmed_downloads"])
        start = f"At least {confirmed} download" if confirmed else "No download was confirmed"
        assert told.startswith(start), told
        assert "below 98\N{NO-BREAK SPACE}% of the pieces" in told
        if row["estimated_downloads"]:
            estimate = [row[f"estimated_downloads{end}"] for end in ("", "_low", "_high")]
            assert "about {} ({} to {}, 95 % interval)".format(*estimate) in told
        if row["scrape_downloads"]:
            assert told.endswith(f"Trackers themselves counted {row['scrape_downloads']}.")


def test_a_torrent_alone_has_its_own_rows_and_figures(page, sample):
    look(page, sample)
    torrent = max(sample.rows("summary"), key=lambda row: (row["info_hash"] != "all", int(row["confirmed_downloads"])))
    choose(page, torrent["info_hash"])
    own = [row for row in sample.rows("confirmed_downloads") if row["info_hash"] == torrent["info_hash"]]
    place = columns(page, "confirmed_downloads").index("ip")
    shown = [row[place] for row in cells(page, "confirmed_downloads")]
    assert shown
    assert set(shown) <= {row["ip"] for row in own}
    assert len(shown) == min(25, len(own))
    bars = page.run("""[...document.querySelectorAll('[data-figure=confirmed_hourly] > .drawn [data-tip]')]
        .map((bar) => Number(bar.dataset.tip.match(/UTC: ([0-9,]+) confirmed/)[1].replace(",", "")))""")
    assert sum(bars) == int(torrent["confirmed_downloads"])
    # What stays says so before anything else.
    marks = page.run("""[...document.querySelectorAll("figure.all > figcaption")]
        .map((caption) => getComputedStyle(caption, "::before").content)""")
    assert len(marks) > 5
    assert set(marks) == {'"all torrents together"', '"all torrents, this one highlighted"'}
    drawn = page.run("[...document.querySelectorAll('.replaced')].map((figure) => figure.dataset.figure)")
    assert sorted(drawn) == OF_TORRENTS
    choose(page, "")
    assert page.run("document.querySelectorAll('.drawn').length") == 0


def test_one_of_something_is_not_told_as_several(page, sample):
    look(page, sample)
    several = re.compile(r"(?<![\d,.])1 (?:[a-z]+ )?(?:contacts|countries|downloads|peers|programs|rows|torrents)\b")
    for row in sample.rows("summary"):
        choose(page, "" if row["info_hash"] == "all" else row["info_hash"])
        texts = page.run("""[document.body.innerText,
            ...[...document.querySelectorAll(".figure [data-tip], .figure title")]
                .map((mark) => mark.dataset.tip ?? mark.textContent)]""")
        assert len(texts) > 100
        assert [found for text in texts for found in several.findall(text)] == []
        for column, one in [("flagged", "flagged peer"), ("confirmed_downloads", "confirmed download")]:
            told = page.run(f"document.querySelector('.numbers [data-column={column}] .what').textContent")
            assert told == (one if row[column] == "1" else f"{one}s")


def test_bars_are_as_long_as_they_say(page, sample):
    """The sample's 44 s are no hour: its bars are seconds, and each tells to the second when it begins."""
    look(page, sample)
    figure = "document.querySelector('[data-figure=confirmed_hourly] > svg.wide')"
    for info_hash in ["", sample.rows("summary")[0]["info_hash"]]:
        choose(page, info_hash)
        text = page.run(f"({figure}.nextElementSibling.nextElementSibling ?? {figure}).textContent")
        assert "confirmed downloads per 5 seconds" in text
    begins = {row["hour"] for row in sample.rows("confirmed_hourly")}
    assert len(begins) > 3
    assert {int(begin[17:19]) % 5 for begin in begins} == {0}
    assert "every 5 s instead of every hour" in page.run("document.querySelector('header').textContent")


def test_a_torrent_is_chosen_by_its_name_in_a_table_and_by_its_address(page, sample):
    look(page, sample)
    first = page.run("document.querySelector('button.torrent').dataset.torrent")
    page.run("document.querySelector('button.torrent').click()")
    page.wait_for("document.body.classList.contains('one')")
    assert page.run("location.hash") == f"#torrent={first}"
    look(page, sample, fragment=f"#torrent={first}")
    assert page.run("document.body.classList.contains('one')")
    assert page.run("document.getElementById('torrent').value") == first


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_hover_touch_and_keys_tell_values(page, sample, width):
    look(page, sample, width)
    spot = page.run("""(() => {
        const shown = (bar) => bar.getBoundingClientRect().height > 0;
        const bars = [...document.querySelectorAll('[data-figure=confirmed_hourly] svg rect')];
        const bar = bars.filter(shown).find((bar) => bar.querySelector('title'));
        bar.scrollIntoView({ block: "center", behavior: "instant" });
        const box = bar.getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2, bar.querySelector('title').textContent];
    })()""")
    page.settle()
    page.point(spot[0], spot[1])
    told = "document.querySelector('.tooltip:not([hidden])')?.textContent"
    page.wait_for(f"{told} === {json.dumps(spot[2])}")
    inside = page.run("""(() => {
        const box = document.querySelector('.tooltip').getBoundingClientRect();
        return box.left >= 0 && box.right <= innerWidth && box.top >= 0;
    })()""")
    assert inside
    page.press("Escape")
    page.wait_for(f"!{told}")
    figure = "[...document.querySelectorAll('[data-figure=thresholds] svg')].find((svg) => svg.clientHeight)"
    page.run(f"{figure}.focus({{ preventScroll: true }})")
    page.press("ArrowRight")
    thresholds = sample.rows("thresholds")
    expected = f"{float(thresholds[0]['threshold']):.2f}: {thresholds[0]['confirmed_downloads']} confirmed downloads"
    page.wait_for(f"{told} === {json.dumps(expected)}")


@pytest.mark.parametrize("column", ["unique_peers", "confirmed_downloads", "name"])
def test_tables_sort_both_ways_and_keep_the_sum_first(page, sample, column):
    look(page, sample)
    place = columns(page, "summary").index(column)
    for _ in range(2):
        press_head(page, "summary", column)
        first, *rows = cells(page, "summary")
        assert first[0] == "all"
        values = [row[place] if column == "name" else int(row[place].replace(",", "")) for row in rows]
        head = f"document.querySelector('table[data-table=summary] th[data-column={column}]')"
        descending = page.run(f"{head}.getAttribute('aria-sort')") == "descending"
        assert values == sorted(values, reverse=descending)


def test_figures_follow_the_readers_colours(page, sample):
    colours = {}
    for dark in (False, True):
        look(page, sample, dark=dark)
        of = "(place, name) => getComputedStyle(document.querySelector(place))[name]"
        colours[dark] = (
            page.run(f"""[["body", "backgroundColor"], ["svg.figure .label", "fill"], ["svg.figure .c1", "fill"]]
            .map(([place, name]) => ({of})(place, name))""")
        )
        # Nothing in a figure covers the page's own ground.
        assert page.run("document.querySelectorAll('svg.figure .paper').length") == 0
    assert all(light != dark for light, dark in zip(*colours.values(), strict=True))


def test_a_printed_page_has_figures_and_no_controls(page, sample):
    look(page, sample, media="print", dark=True)
    hidden = "(place) => [...document.querySelectorAll(place)].every((found) => found.getClientRects().length === 0)"
    assert page.run(f"['nav', '.bar', 'svg.narrow'].map({hidden})") == [True] * 3
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # A figure and what stands above it fit on a page.
    highest = "Math.max(...[...document.querySelectorAll('svg.wide')].map((svg) => svg.getBoundingClientRect().height))"
    assert page.run(highest) <= 160 / 25.4 * 96 + 1
    document = page.pdf()
    assert document.startswith(b"%PDF")
    assert len(document) > 50_000


def test_a_torrent_drawn_by_the_page_tells_what_the_drawn_report_of_it_does(page, sample, tmp_path):
    """Two renderers, one picture: of a report of one torrent, its only torrent's figures say the same as all's."""
    torrent = next(row["info_hash"] for row in sample.rows("summary") if row["info_hash"] != "all")
    only = Report(tmp_path, ROOT / "data" / "sample", "--info-hash", torrent)
    look(page, only)
    static = "[...document.querySelectorAll('[data-figure={0}] > svg.wide title')].map((title) => title.textContent)"
    outcomes = ["contacts", "requests", "sources", "flagged", "confirmed_downloads"]
    figures = ["confirmed_hourly", "population", "seeders_hourly", "speeds_by_country", *outcomes]
    before = {name: page.run(static.format(name)) for name in figures}
    verdict = "document.querySelector('.verdict').textContent"
    verdict_before = page.run(verdict)
    look(page, only, fragment=f"#torrent={torrent}")
    drawn = "[...document.querySelectorAll('[data-figure={0}] > .drawn [data-tip]')].map((mark) => mark.dataset.tip)"
    after = {name: page.run(drawn.format(name)) for name in figures}
    assert page.run(verdict) == verdict_before
    # The page names the torrent beside the figure, not at each bar.
    bar = re.compile("(.* UTC)(?:, .*)?: ([0-9,]+)(?: confirmed downloads?)?")
    bars = [[bar.fullmatch(tip).groups() for tip in tips["confirmed_hourly"]] for tips in (before, after)]
    assert bars[0] == bars[1] != []
    # One tracker is all there is to sum over; the report's figure has the seeders' share in a panel of its own.
    told = {tip.replace("told by the fullest trackers", "told").split(";")[0] for tip in before["population"]}
    assert (
        {re.sub("told by [a-z]+://[^ ]*(?=: )", "told", tip).split(";")[0] for tip in after["population"]}
        >= told
        != set()
    )
    hours = [tip.replace(" by trackers", "") for tip in before["seeders_hourly"] if "share of" not in tip]
    assert [tip for tip in hours if "UTC" in tip] == after["seeders_hourly"] != []
    assert set(after["speeds_by_country"]) == set(before["speeds_by_country"]) != set()
    for name in outcomes:
        # Names of rows tell themselves in the report's figure: they may be cut.
        told = {tip for tip in before[name] if ": " in tip and not tip.startswith(("announce: ", "scrape: ", "pex: "))}
        told |= {tip for tip in before[name] if tip.count(": ") > 1}
        assert set(after[name]) == told, name
        texts = "[...document.querySelectorAll('[data-figure={0}] > {1} text:not(:has(title))')]"
        texts += ".map((text) => text.textContent)"
        notes, drawn = (
            {text for text in page.run(texts.format(name, kind)) if "%" in text} for kind in ("svg.wide", "svg.drawn")
        )
        assert notes == drawn, name
    assert all(after[name] for name in outcomes if name != "flagged")


# Nothing, and much.


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("name", ["sample", "large", "nothing"])
def test_no_page_is_wider_than_its_window(page, request, name, width):
    look(page, request.getfixturevalue(name), width)
    for info_hash in ["", page.run("document.querySelector('#torrent option:nth-child(2)')?.value")]:
        if info_hash is None:
            continue
        choose(page, info_hash)
        assert page.run("document.documentElement.scrollWidth <= innerWidth")


def test_a_report_of_nothing_says_what_to_look_at(page, nothing):
    look(page, nothing)
    assert page.run("document.querySelectorAll('svg.figure').length") == 0
    assert page.run("document.querySelectorAll('.nothing').length") > 15
    header = page.run("document.querySelector('header').textContent")
    assert "The log holds no rows" in header
    assert "--until" in header


def test_two_thousand_torrents_open_at_once(page, large):
    assert len(large.rows("summary")) == 2_001
    assert large.page.stat().st_size < 3_000_000
    # The quickest of five: a machine may be busy with something else.
    seconds = min(look(page, large) for _ in range(5))
    assert seconds < 1
    assert page.run("document.querySelectorAll('#torrent option').length") == 2_001
    assert page.run("document.querySelectorAll('tr').length") < 600
    row = large.rows("summary")[1_234]
    choose(page, row["info_hash"])
    assert number(page, "unique_peers") == int(row["unique_peers"])
    assert [cell[0] for cell in cells(page, "summary")] == [f"{row['info_hash'][:10]}…"]


def test_long_tables_turn_their_pages_and_are_searched(page, large):
    look(page, large)
    bar = "document.querySelector('#summary .bar')"
    assert page.run(f"{bar}.querySelector('span').textContent") == f"1{TO}25 of 2,001"
    before = cells(page, "summary")
    page.run(f"{bar}.querySelectorAll('button')[1].click()")
    page.settle()
    after = cells(page, "summary")
    assert len(after) == 25
    assert after[0] not in before
    assert page.run(f"{bar}.querySelector('span').textContent") == f"26{TO}50 of 2,001"
    wanted = large.rows("summary")[77]["info_hash"]
    page.run(f"""(() => {{
        const search = {bar}.querySelector("input");
        search.value = "{wanted}";
        search.dispatchEvent(new Event("input"));
    }})()""")
    page.settle()
    assert [row[0] for row in cells(page, "summary")] == [f"{wanted[:10]}…"]
