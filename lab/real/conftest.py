"""Fixtures: the programs under test, and one watched swarm of real clients for all tests."""

import os
from pathlib import Path

import geoip
import pytest
import swarm

ROOT = Path(__file__).parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()


@pytest.fixture(scope="session")
def programs():
    """The folder of the built programs."""
    folder = TARGET / "debug"
    for name in ("capture", "analyze"):
        assert (folder / name).exists(), f"{folder / name} is missing: run `cargo build --workspace` first"
    return folder


@pytest.fixture(scope="session")
def databases():
    """The paths of a City and an ASN database."""
    return geoip.fetch(TARGET / "geoip")


@pytest.fixture(scope="session")
def watched(tmp_path_factory, programs, databases):
    """A swarm that has been watched and reported on."""
    return swarm.watch(tmp_path_factory.mktemp("swarm"), programs, databases)


@pytest.fixture(params=["torrent file", "magnet"])
def capture(request, watched):
    """Each of the captures of the swarm."""
    return watched.captures[request.param]
