"""Lists what an installation consists of: `python -m tools.sbom` writes sbom.json (CycloneDX) from requirements.lock.

uv writes such a list for a project. The project given to it here has exactly the versions of the lock file.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.check_prose import ROOT

LOCK = ROOT / "requirements.lock"
RESULT = ROOT / "sbom.json"
_PIN = re.compile(r"^([\w.-]+(?:\[[\w,-]+\])?)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """Returns the version of each package in a lock file."""
    return {name.partition("[")[0]: version for name, version, _ in _PIN.findall(lock)}


def project(lock: str) -> str:
    """Returns a pyproject.toml that depends on exactly these versions."""
    wanted = [f"{name}=={version}" + (f" ; {marker}" if marker else "") for name, version, marker in _PIN.findall(lock)]
    lines = ",\n".join(f"    {json.dumps(each)}" for each in wanted)
    head = '[project]\nname = "surehook"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
    return f"{head}dependencies = [\n{lines},\n]\n"


def write() -> int:
    """Writes the list. Returns the number of components."""
    lock = LOCK.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pyproject.toml").write_text(project(lock), "utf-8")
        uv = [str(Path(sys.executable).with_name("uv")), "export", "--quiet", "--project", folder]
        options = ["--format", "cyclonedx1.5", "--preview-features", "sbom-export", "--no-header", "--output-file"]
        subprocess.run([*uv, *options, str(RESULT)], check=True, cwd=folder)
    listed = {each["name"]: each["version"] for each in json.loads(RESULT.read_text("utf-8"))["components"]}
    if listed != pins(lock):
        raise SystemExit(f"sbom.json differs from requirements.lock: {sorted(set(listed) ^ set(pins(lock)))}")
    return len(listed)


if __name__ == "__main__":
    print(f"{RESULT.name}: {write()} packages")
