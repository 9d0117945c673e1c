"""Every notebook runs on the committed sample, cell by cell: its queries find something, its figures show something."""

import ast
import csv
import json
import subprocess
from pathlib import Path

import matplotlib
import matplotlib.pyplot
import pandas
import polars
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"


def value_of(source, names):
    """Runs a cell; tells the value of its last expression, as a notebook shows it."""
    body = ast.parse(source).body
    if not isinstance(body[-1], ast.Expr):
        exec(source, names)
        return None
    exec(compile(ast.Module(body[:-1], []), "<cell>", "exec"), names)
    return eval(compile(ast.Expression(body[-1].value), "<cell>", "eval"), names)


def add_country(path, **values):
    """The sample's addresses lie in no country: adds a row of one to a report's table."""
    with path.open(newline="") as file:
        columns = next(csv.reader(file))
    row = dict.fromkeys(columns, "1") | values
    with path.open("a", newline="") as file:
        csv.DictWriter(file, columns, lineterminator="\n").writerow(row)


@pytest.fixture(scope="module")
def report(programs, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    sample = REPOSITORY / "data" / "sample"
    subprocess.run([programs.analyze, "report", sample, "--bucket", "5s", "--out", out], check=True)
    for country in ["DE", "JP"]:
        add_country(out / "countries.csv", country=country)
        add_country(out / "speeds_by_country.csv", country=country)
    return out


def is_blank(figure):
    return not any(axes.has_data() for axes in figure.axes)


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_runs_on_the_sample(notebook, report, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.chdir(NOTEBOOKS)
    monkeypatch.delenv("SWARMTALLY_LOG", raising=False)
    monkeypatch.setenv("SWARMTALLY_REPORT", str(report))
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    names = {}
    shown = [value_of("".join(cell["source"]), names) for cell in cells]
    frames = [value for value in shown if isinstance(value, pandas.DataFrame | polars.DataFrame)]
    assert frames, "shows nothing"
    assert not any(len(frame) == 0 for frame in frames)
    figures = [matplotlib.pyplot.figure(number) for number in matplotlib.pyplot.get_fignums()]
    for figure in figures:
        figure.canvas.draw()
    assert not any(is_blank(figure) for figure in figures)
    draws = any("matplotlib" in "".join(cell["source"]) for cell in cells)
    assert bool(figures) == draws
    matplotlib.pyplot.close("all")
