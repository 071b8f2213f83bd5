"""rq-dashboard's templates as they are sent."""

import re
from pathlib import Path

import pytest
import rq_dashboard

from surehook.dashboard.rq_templates import compiled, rewritten

TEMPLATES = Path(rq_dashboard.__file__).parent / "templates" / "rq_dashboard"
NAMES = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*") if path.is_file())


def test_there_are_templates() -> None:
    assert {"base.html", "job.html", "jobs.html", "queues.html", "workers.html", "scripts/jobs.js"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_needs_no_exception_from_the_policy(name: str) -> None:
    sent = rewritten((TEMPLATES / name).read_text())

    assert "<%" not in sent
    assert "_.template" not in sent
    assert not re.search(r"\sstyle=", sent)
    assert not re.search(r"\son\w+=", sent)
    assert all(" nonce=" in tag for tag in re.findall(r"<script\b[^>]*>", sent))


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_escaped(name: str) -> None:
    sent = rewritten((TEMPLATES / name).read_text())

    # The only sources of HTML are texts of the template and escaped values.
    for added in re.findall(r"^html \+= (.*);$", sent, re.MULTILINE):
        assert added.startswith('"') or re.fullmatch(r"_\.escape\(.*\)", added), added
    assert not re.search(r"""['"]\{\{[^}]*\}\}['"]""", sent) or name.endswith(".html")


def test_each_script_finds_its_templates() -> None:
    everything = "".join(rewritten((TEMPLATES / name).read_text()) for name in NAMES)

    defined = set(re.findall(r'^templates\["([\w-]+)"\] =', everything, re.MULTILINE))
    used = set(re.findall(r'[=(]\s*templates\["([\w-]+)"\]', everything))

    assert used
    assert used <= defined
    assert "script[name=" not in everything


def test_a_template_becomes_a_function() -> None:
    script = compiled("row", '<td title="<%= d.a %>"><% if (d.b) { %>yes<% } %></td>')

    assert 'html += "<td title=\\"";' in script
    assert "html += _.escape(d.a);" in script
    assert " if (d.b) { " in script


def test_a_template_without_values_becomes_a_text() -> None:
    assert 'templates["none"] = "<tr></tr>";' in compiled("none", "\n  <tr></tr>\n")
