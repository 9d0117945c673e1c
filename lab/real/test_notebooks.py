"""Every notebook runs on the committed sample, cell by cell, and its queries find something."""

import ast
import json
from pathlib import Path

import pandas
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def value_of(source, names):
    """Runs a cell; tells the value of its last expression, as a notebook shows it."""
    body = ast.parse(source).body
    if not isinstance(body[-1], ast.Expr):
        exec(source, names)
        return None
    exec(compile(ast.Module(body[:-1], []), "<cell>", "exec"), names)
    return eval(compile(ast.Expression(body[-1].value), "<cell>", "eval"), names)


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_runs_on_the_sample(notebook, monkeypatch):
    monkeypatch.chdir(NOTEBOOKS)
    monkeypatch.delenv("SWARMTALLY_LOG", raising=False)
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    names = {}
    shown = [value_of("".join(cell["source"]), names) for cell in cells]
    frames = [value for value in shown if isinstance(value, pandas.DataFrame)]
    assert frames, "shows nothing"
    assert not any(frame.empty for frame in frames)
