"""Two valid values of each setting, and what some need beside them."""

import pytest
from cryptography.fernet import Fernet

from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings, load_settings

ONE, TWO = (Fernet.generate_key().decode() for _ in range(2))
VALUES = {
    "api_keys": ("the-first-key", "the-second-key"),
    "basic_auth": ("fusionauth:the-first", "fusionauth:the-second"),
    "required_header": ("X-Key: the-first-key", "X-Key: the-second-key"),
    "signing_secrets": ("the-first-secret", "the-second-secret"),
    "signing_public_keys": ("one.pem", "two.pem"),
    "jwks_url": ("https://one.example.com/jwks", "https://two.example.com/jwks"),
    "jwks_allow_http": ("true", "false"),
    "signing_key_ids": ("one", "two"),
    "allow_unauthenticated": ("true", "false"),
    "tls_cert": ("one.pem", "two.pem"),
    "tls_key": ("one.key", "two.key"),
    "redis_url": ("redis://one:6379/0", "redis://two:6379/0"),
    "data_dir": ("one", "two"),
    "key_prefix": ("one", "two"),
    "bind": ("127.0.0.1:1", "127.0.0.1:2"),
    "webhook_path": ("/one", "/two"),
    "metrics_bind": ("off", "127.0.0.1:2"),
    "worker_metrics_bind": ("off", "127.0.0.1:2"),
    "dashboard_bind": ("127.0.0.1:1", "127.0.0.1:2"),
    "dashboard_login": ("operator:the-first", "operator:the-second"),
    "dashboard_reader": ("reader:the-first", "reader:the-second"),
    "dashboard_url": ("http://localhost/one", "http://localhost/two"),
    "encryption_keys": (ONE, TWO),
    "max_body_bytes": ("2000", "3000"),
    "max_body_bytes_in_flight": ("2000", "3000"),
    "max_pending": ("1", "2"),
    "max_backlog": ("1", "2"),
    "durability": ("trusted", "memory"),
    "replicas": ("2", "3"),
    "spool_dir": ("one", "off"),
    "spool_max_bytes": ("2000", "3000"),
    "store_timeout": ("1", "2"),
    "handlers": ("one", "two"),
    "transactional_events": ("user.create", "user.update"),
    "transaction_timeout": ("1", "2"),
    "decision_memory": ("1", "2"),
    "handler_timeout": ("1", "2"),
    "keep_alive": ("1", "2"),
    "grace": ("1", "2"),
    "recycle_jobs": ("1", "2"),
    "recycle_mib": ("1", "2"),
    "retention": ("1", "2"),
    "body_retention": ("1", "2"),
    "id_retention": ("90000", "100000"),
    "fusionauth_url": ("https://one.example.com", "https://two.example.com"),
    "fusionauth_api_key": ("a-key-of-fusionauth-one", "a-key-of-fusionauth-two"),
    "log_level": ("DEBUG", "ERROR"),
    "log_format": ("json", "text"),
}
NEEDS = {
    "dashboard_reader": {"SUREHOOK_DASHBOARD_LOGIN": "operator:the-first"},
    "signing_key_ids": {"SUREHOOK_SIGNING_SECRETS": "the-only-secret"},
    "tls_cert": {"SUREHOOK_TLS_KEY": "a.key"},
    "tls_key": {"SUREHOOK_TLS_CERT": "a.pem"},
}


def variable(name: str) -> str:
    return f"SUREHOOK_{name.upper()}"


def value_of(name: str, settings: Settings) -> object:
    """Returns a setting; if it is a tuple of one, that one."""
    value = getattr(settings, name)
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def loaded(name: str, environ: dict[str, str]) -> object:
    return value_of(name, load_settings({**NEEDS.get(name, {}), **environ}))


def expected(name: str, text: str) -> object:
    needs = {key.removeprefix("SUREHOOK_").lower(): value for key, value in NEEDS.get(name, {}).items()}
    return value_of(name, Settings.model_validate({**needs, name: text}))


def mistakes_of(environ: dict[str, str]) -> str:
    """Returns the sentences that a start with this environment, and the test's `.env`, ends with."""
    with pytest.raises(Misconfigured) as failure:
        load_settings(environ)
    return str(failure.value)
