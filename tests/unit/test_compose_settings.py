"""Every setting in .env reaches the services of docker-compose.yml."""

import pytest

from surehook.shared.settings import Settings
from tests.support.containers import OURS, PREFIX, image_environment, the_service

# Compose's own network, the ports that are published, and the volume.
BELONGS_TO_THE_CONTAINERS = {
    "redis_url", "bind", "metrics_bind", "worker_metrics_bind", "dashboard_bind", "spool_dir",
}  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_every_setting_in_the_env_file_reaches_a_service(name: str) -> None:
    """Only what the containers decide themselves is named, so that no list of names can hide a setting."""
    service = the_service(name)
    named = {variable.removeprefix(PREFIX).lower() for variable in service["environment"] if PREFIX in variable}
    fixed = {
        variable.removeprefix(PREFIX).lower()
        for variable, value in service["environment"].items()
        if PREFIX in variable and f"${{{variable}:" not in value
    }

    assert service["env_file"] == [{"path": ".env", "required": False}]
    assert fixed <= BELONGS_TO_THE_CONTAINERS
    assert {"encryption_keys", "signing_secrets", "log_level", "retention"} <= set(Settings.model_fields) - named


@pytest.mark.parametrize("name", OURS)
def test_an_address_in_the_env_file_does_not_move_a_service_away_from_its_port(name: str) -> None:
    binds = {variable: value for variable, value in image_environment().items() if variable.endswith("_BIND")}

    assert binds
    assert binds.items() <= the_service(name)["environment"].items()
