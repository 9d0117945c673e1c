"""MaxMind's test databases, taken from the source package of `geoip2`; they are not redistributed here."""

import subprocess
import sys
import tarfile

PACKAGE = "geoip2==5.3.0"
DATABASES = ["GeoIP2-City-Test.mmdb", "GeoLite2-ASN-Test.mmdb"]


def fetch(folder):
    """The City and the ASN database, downloaded into `folder` unless they are there."""
    paths = [folder / name for name in DATABASES]
    if not all(path.exists() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--no-binary", "geoip2", "--dest", folder, PACKAGE], check=True)
        (archive,) = folder.glob("geoip2-*.tar.gz")
        with tarfile.open(archive) as package:
            for member in package.getmembers():
                name = member.name.rsplit("/", 1)[-1]
                if name in DATABASES:
                    (folder / name).write_bytes(package.extractfile(member).read())
    return paths
