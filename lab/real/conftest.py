"""Fixtures: the programs under test, and every scenario that a chosen test asks for, several at once."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geoip
import network
import pytest
import swarm
from scenarios import SCENARIOS, TWO_VANTAGES

ROOT = Path(__file__).parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
# They mostly wait: clients are slow on purpose.
AT_ONCE = 5
HAPPENED = pytest.StashKey()


def scenarios_of(item):
    """The scenarios that a test asks for."""
    parameters = getattr(item, "callspec", None)
    if parameters and "happened" in parameters.params:
        return [parameters.params["happened"]]
    return [TWO_VANTAGES] if "watched" in item.fixturenames else []


@pytest.fixture(scope="session")
def programs():
    """The built programs, test databases and webtorrent's modules."""
    folder, modules = TARGET / "debug", TARGET / "webtorrent" / "node_modules"
    for path in (folder / "capture", folder / "analyze"):
        assert path.exists(), f"{path} is missing: run `cargo build --workspace` first"
    assert modules.exists(), f"{modules} is missing: `./test real` installs it"
    return swarm.Programs(folder / "capture", folder / "analyze", geoip.fetch(TARGET / "geoip"), modules)


@pytest.fixture(scope="session")
def runs(request, programs, tmp_path_factory):
    """The scenarios of the chosen tests, each as the future of what happened."""
    network.remove_abandoned()
    wanted = {scenario.name: scenario for item in request.session.items for scenario in scenarios_of(item)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        request.config.stash[HAPPENED] = {
            name: pool.submit(swarm.run, scenario, tmp_path_factory.mktemp(name), programs)
            for name, scenario in wanted.items()
        }
        yield request.config.stash[HAPPENED]


@pytest.fixture(scope="session")
def watched(runs):
    """The swarm that the tests of figures, tables and pages are about."""
    return runs[TWO_VANTAGES.name].result()


@pytest.fixture(params=["torrent-file", "magnet"])
def capture(request, watched):
    """Each of the captures of that swarm."""
    return watched.captures[request.param]


@pytest.fixture(params=SCENARIOS, ids=lambda scenario: scenario.name)
def happened(request, runs):
    """What happened in a scenario."""
    return runs[request.param.name].result()


def pytest_terminal_summary(terminalreporter, config):
    """What each capture confirmed of what it could, and of all that happened."""
    ended = [run.result() for run in config.stash.get(HAPPENED, {}).values() if run.done() and not run.exception()]
    if not ended:
        return
    terminalreporter.section("confirmed downloads")
    line = "{:<22} {:<14} {:>9} {:>10} {:>9} {:>6} {:>5}".format
    terminalreporter.line(line("scenario", "capture", "downloads", "observable", "confirmed", "missed", "false"))
    # Who a pseudonym is, nobody can tell.
    watching = [
        (happened, capture)
        for happened in ended
        for capture in happened.scenario.captures
        if not capture.hides_addresses
    ]
    scores = [swarm.Score.of(happened, capture) for happened, capture in watching]
    for score in [*scores, swarm.Score.total(scores)]:
        terminalreporter.line(line(*score.figures()))
