"""FusionAuth's two example receivers do what the table in docs/conformance.md says."""

from pathlib import Path

from harness.stack import free_port
from tests.integration.test_conformance import Run, run
from tests.support.conformance import PATIENT, documented, levels_of
from tests.support.express_example import KEY, express_example
from tests.support.express_signature_example import express_signature_example

__all__ = ["run"]  # the fixture


def test_fusionauths_example_does_what_the_docs_say(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with express_example() as url:
        status, output = run(url, "--header", f"Authorization: {KEY}", "--html", str(page), *PATIENT)

    levels = levels_of(output)
    assert status == 1
    assert levels == documented(column=3)
    assert levels["bodies.import-1000"] == "loses events"
    assert KEY not in output
    assert all(f'id="{name}"' in page.read_text("utf-8") for name in levels)


def test_fusionauths_example_with_signatures_does_what_the_docs_say(run: Run) -> None:
    address = f"127.0.0.1:{free_port()}"
    areas = ("--case", "signatures", "--case", "published-keys", "--case", "misuse")
    with express_signature_example(f"http://{address}/.well-known/jwks.json") as url:
        status, output = run(url, "--jwks", address, *areas, *PATIENT)

    levels = levels_of(output)
    expected = documented(column=4)
    assert status == 1
    assert {name: level for name, level in levels.items() if level != expected[name]} == {}
    assert [name for name, level in levels.items() if level == "lets a forgery in"] == []
    assert levels["published-keys.edwards"] == "loses events"
