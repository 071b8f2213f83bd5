"""A short, seeded fuzz run against the whole endpoint; `python -m tests.support.fuzzing --seconds 600` runs longer."""

import asyncio
from pathlib import Path

import redis

from harness.signing import jwks
from tests.support.forged_tokens import TRUSTED_KEYS
from tests.support.fuzzing import fuzz, settings_for, stored
from tests.support.jwks_server import jwks_server


def test_only_validly_signed_requests_are_accepted_under_fuzzing(
    data_dir: Path, store: redis.Redis, tmp_path: Path
) -> None:
    with jwks_server() as fusionauth:
        fusionauth.document = jwks(*(each for each in TRUSTED_KEYS if not isinstance(each.key, bytes)))
        settings = settings_for(tmp_path, fusionauth.url).model_copy(update={"data_dir": data_dir})

        answers, failures = asyncio.run(fuzz(settings, seed=7, count=2000))

    assert failures == []
    assert set(answers) <= {"200", "202", "400", "401", "404", "405", "413", "415", "431", "connection closed", "100"}
    assert answers["401"] > answers["202"] > 100  # some requests authenticate, and some do not
    assert stored(store) == answers["202"]
