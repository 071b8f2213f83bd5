"""The sources to which a test gives a setting."""

from collections.abc import Callable

import pytest

from surehook.shared import sources

# Gives a variable to the source. Returns the environment.
Source = Callable[[str, str], dict[str, str]]


@pytest.fixture(params=["environment", ".env"])
def source(request: pytest.FixtureRequest) -> Source:
    def environment(variable: str, value: str) -> dict[str, str]:
        return {variable: value}

    def dotenv(variable: str, value: str) -> dict[str, str]:
        before = sources.ENV_FILE.read_text() if sources.ENV_FILE.exists() else ""
        sources.ENV_FILE.write_text(f"{before}{variable}='{value}'\n")
        return {}

    return environment if request.param == "environment" else dotenv
