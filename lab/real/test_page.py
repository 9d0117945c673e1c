"""The report's page, in a browser that has no network at all."""

import subprocess

import pytest

BROWSER = ["unshare", "--net", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
BROWSER += ["--enable-logging=stderr", "--virtual-time-budget=5000"]


@pytest.fixture(scope="module")
def opened(watched, tmp_path_factory):
    """The document after its scripts have run, and what the browser complained of."""
    page = watched.captures["torrent-file"].report / "report.html"
    profile = tmp_path_factory.mktemp("browser")
    command = [*BROWSER, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    # The browser's own pages may complain of the missing network.
    complaints = [line for line in messages if "source: chrome://" not in line]
    return done.stdout, complaints


def test_the_page_complains_of_nothing(opened):
    _, complaints = opened
    assert complaints == []


def test_the_page_holds_every_table(watched, opened):
    document, _ = opened
    tables = [path.stem for path in watched.captures["torrent-file"].report.glob("*.csv")]
    assert tables
    assert [name for name in tables if f'id="{name}"' not in document] == []


def test_the_page_names_every_confirmed_download(watched, opened):
    document, _ = opened
    assert [ip for ip in watched.downloads if ip not in document] == []
