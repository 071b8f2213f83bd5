"""Checks that old names of classes, functions and modules are gone from code, docs and scripts."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The changelog may name them; the prose checker contains the words that it looks for.
UNREAD = {
    "CHANGELOG.md",
    "tools/check_prose.py",
    "tests/unit/tools/test_check_prose.py",
    "tests/unit/test_old_names.py",
}
ENDINGS = {".py", ".lua", ".md", ".toml", ".yml", ".yaml", ".sh", ".svg", ""}

CLASSES = (
    *("Doorkeeper", "Entrance", "ScriptLine", "Vacancy", "Steadiness", "LackingKey", "KeysAreAwaited", "RefusalLog"),
    *("WholeAnswers", "TooMuch", "Verdict", "Crew", "Pulse", "Census", "Intake", "_Place"),
)
FUNCTIONS = (
    *("is_proven", "lose_patience", "give_up", "_is_deaf", "_hear_no_more", "_barren_bytes", "unasked", "rekey"),
    *("whereabouts", "txn_common", "txn_as_fact", "sweep_turn", "refuse_bad_terms", "refuse_by_header", "refuse_dead"),
    *("refuse_disagreement", "refuse_other_body", "refuse_powerless", "refuse_unknown_type", "refuse_unless_durable"),
    *("as_fact", "mark_of", "attending", "unharmed", "unattended", "LostJobs", "is_unsure"),
    *("let_ebb", "wait_for_yes", "check_the_truth", "run_vote"),
)
# Modules, by the folder in which they were: some of their names are in use elsewhere.
MODULES = {
    "ingest": (
        *("answers", "bounds", "connection", "door", "durability", "heads", "heart", "intake", "jwks", "link", "pool"),
        *("proof", "protocol", "replies", "script_line", "sentinels", "short_way", "signature", "signing_keys"),
        *("transactions", "transport", "vitals"),
    ),
    "workers": (
        *("agreement", "alone", "appetite", "census", "child", "claims", "conveyor", "coroutines", "dead_letters"),
        *("decisions", "dispatch", "engine", "erasure", "event_log", "handling", "heart", "lacking", "ledger", "line"),
        *("loader", "lost", "mask", "metric_files", "outcomes", "packets", "pool", "queues", "records", "recovery"),
        *("recycling", "registry", "retry", "rotation", "settlements", "steadiness", "sweep", "takes", "terms"),
        *("threads", "timeouts", "transactions", "typed_on", "upkeep", "vacancy", "vital", "voting", "voting_engine"),
        *("voting_threads", "waiter", "waiting", "worker"),
    ),
    "shared": (
        *("alive", "books", "catalogue", "events", "gauges", "origins", "processes", "proof_settings", "replies"),
        *("transactional", "vault"),
    ),
    "surehook": ("own_door", "sample_parts", "samples", "sender", "transaction_vote"),
    "tests/support": (
        *("asking", "attack", "certificates", "children", "door", "doorkeeper", "events", "forger", "hall", "here"),
        *("house", "judge", "marked", "middleman", "proving", "publisher", "series", "signing", "stored"),
        *("transaction_witness", "truth", "wire"),
    ),
}
SCRIPTS = ("beat", "books", "common", "due", "how_many", "look", "opening", "pending", "still", "trip")

NAMES = re.compile(rf"(?<![\w-])({'|'.join((*CLASSES, *FUNCTIONS))})(?![\w-])")
NO_MORE = r"(?![\w/(])(?!\.(?!py\b)[a-z])"
PATHS = re.compile(
    "|".join(
        rf"(?<![\w/.])(?:surehook[./])?{folder.replace('/', '[./]')}[./](?:{'|'.join(names)}){NO_MORE}"
        for folder, names in MODULES.items()
    )
    + rf"|\bscripts/(?:{'|'.join(SCRIPTS)})\.lua\b"
)


def files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name and name not in UNREAD]
    return [path for path in paths if path.suffix in ENDINGS and path.is_file()]


@pytest.mark.parametrize("pattern", [NAMES, PATHS], ids=["names", "modules"])
def test_old_names_are_gone(pattern: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for match in pattern.finditer(line)
    ]

    assert found == []
