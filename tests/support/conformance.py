"""Conformance of our own endpoint and of FusionAuth's two examples, and the table of docs/conformance.md.

`python -m tests.support.conformance` writes the table.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from harness.stack import Stack, free_port, wait_until
from surehook.fusionauth.conformance.cases import CASES
from surehook.fusionauth.conformance.proof import PROOFS
from tests.support.express_example import KEY, express_example
from tests.support.express_signature_example import express_signature_example

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
BEGIN, END = "<!-- comparison -->\n", "<!-- end of comparison -->"
# Tests run on machines under load: answers may take longer than FusionAuth would wait.
PATIENT_AS_TEXT = ("--yes", "--read-timeout", "60000")
PATIENT = (*PATIENT_AS_TEXT, "--json")
SECRET = "a-shared-secret-of-more-than-64-bytes-for-tests-only-0123456789-abcdefgh"
BASIC = "fusionauth:a-password-for-tests"
HANDLERS = "@on('*')\ndef note(event):\n    effect(event.id)\n"
Levels = dict[str, str]


def levels_of(output: str) -> Levels:
    """Returns the level of each case in the command's JSON."""
    return {case["id"]: case["level"] for case in json.loads(output.splitlines()[-1])["cases"]}


def open_stack() -> tuple[Stack, str]:
    """Starts an endpoint with every kind of authentication, and a worker; gives the address for the JWKS."""
    stack, address = Stack(HANDLERS), f"127.0.0.1:{free_port()}"
    stack.environ |= {
        "SUREHOOK_JWKS_URL": f"http://{address}/.well-known/jwks.json",
        "SUREHOOK_BASIC_AUTH": BASIC,
        "SUREHOOK_SIGNING_SECRETS": SECRET,
    }
    stack.start_ingest()
    stack.start_worker()
    wait_until(stack.worker_pids, "a worker lives")
    return stack, address


def levels_of_ours(stack: Stack, address: str) -> Levels:
    """Runs every case, then those for a Basic pair and a shared secret."""
    (stack.folder / "secret").write_text(SECRET)
    first = stack.run("conformance", "--ours", "--jwks", address, *PATIENT)
    shared = ("--basic", BASIC, "--signing-key", "secret", "--case", "credentials", "--case", "signatures")
    second = stack.run("conformance", stack.url, *shared, *PATIENT)
    assert not first.stderr, first.stderr
    assert not second.stderr, second.stderr
    tried = {name: level for name, level in levels_of(second.stdout).items() if level != "not tried"}
    found = levels_of(first.stdout)
    return found | {name: level for name, level in tried.items() if found[name] in ("ok", "not tried")}


def levels_of_express(stack: Stack) -> Levels:
    """Runs every case that FusionAuth's example has something for: it checks a header alone."""
    with express_example() as url:
        return levels_of(stack.run("conformance", url, "--header", f"Authorization: {KEY}", *PATIENT).stdout)


def levels_of_express_with_signatures(stack: Stack) -> Levels:
    """Runs every case that FusionAuth's other example has something for: it checks a signature alone."""
    address = f"127.0.0.1:{free_port()}"
    with express_signature_example(f"http://{address}/.well-known/jwks.json") as url:
        return levels_of(stack.run("conformance", url, "--jwks", address, *PATIENT).stdout)


def table(*columns: Mapping[str, str]) -> str:
    """Returns the rows for ours, the example that checks a header, and the one that checks a signature."""
    lines = ["| case | behaviour of FusionAuth | Surehook | example: header | example: signature |"]
    lines.append("|---|---|---|---|---|")
    for case in (*CASES, *PROOFS):
        cells = (f"`{case.id}`", case.title, *(_shown(column[case.id]) for column in columns))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def documented(column: int) -> Levels:
    """Returns a column of the table in the docs: 2 for ours, 3 and 4 for the examples."""
    rows = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0].strip("`"): row[column].strip("*") or "not tried" for row in cells}


def write_table() -> None:
    stack, address = open_stack()
    try:
        found = table(
            levels_of_ours(stack, address), levels_of_express(stack), levels_of_express_with_signatures(stack)
        )
    finally:
        stack.close()
    text = PAGE.read_text("utf-8")
    pattern = re.escape(BEGIN) + ".*" + re.escape(END)
    PAGE.write_text(re.sub(pattern, lambda _: BEGIN + found + END, text, flags=re.DOTALL), "utf-8")


def _shown(level: str) -> str:
    return {"ok": "ok", "not tried": "", "odd": "odd"}.get(level, f"**{level}**")


if __name__ == "__main__":
    write_table()
