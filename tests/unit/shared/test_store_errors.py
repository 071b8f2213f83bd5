"""The meaning of the store's errors, from the texts that real servers send."""

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import MaxConnectionsError
from redis.exceptions import TimeoutError as StoreTimeoutError
from redis.sentinel import MasterNotFoundError

from surehook.shared.store_errors import Meaning, advice, fault_of, fault_of_reply

IN_SCRIPT = " script: f00, on @user_script:1."
REPLIES = [
    ("LOADING Redis is loading the dataset in memory", Meaning.BUSY, ""),
    ("BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", Meaning.BUSY, ""),
    ("UNKILLABLE Sorry the script already executed write commands", Meaning.BUSY, ""),
    ("TRYAGAIN Multiple keys request during rehashing of slot", Meaning.BUSY, ""),
    ("ERR max number of clients reached", Meaning.BUSY, ""),
    ("UPSTREAM a proxy has a code of its own", Meaning.BUSY, ""),
    ("READONLY You can't write against a read only replica.", Meaning.NOT_PRIMARY, ""),
    ("READONLY You can't write against a read only replica." + IN_SCRIPT, Meaning.NOT_PRIMARY, ""),
    ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Meaning.NOT_PRIMARY, ""),
    ("NOREPLICAS Not enough good replicas to write." + IN_SCRIPT, Meaning.NOT_PRIMARY, ""),
    ("UNBLOCKED force unblock from blocking operation, instance state changed", Meaning.NOT_PRIMARY, ""),
    ("OOM command not allowed when used memory > 'maxmemory'.", Meaning.FULL, ""),
    ("MISCONF Errors writing to the AOF file: No space left on device", Meaning.FULL, ""),
    ("NOAUTH Authentication required.", Meaning.REFUSED, ""),
    ("WRONGPASS invalid username-password pair or user is disabled.", Meaning.REFUSED, ""),
    ("ERR AUTH <password> called without any password configured for the default user.", Meaning.REFUSED, ""),
    ("DENIED Redis is running in protected mode", Meaning.REFUSED, ""),
    ("NOPERM User mara has no permissions to run the 'config|get' command", Meaning.REFUSED, "CONFIG GET"),
    ("NOPERM this user has no permissions to run the 'info' command", Meaning.REFUSED, "INFO"),
    ("NOPERM No permissions to access a key", Meaning.REFUSED, ""),
    ("ERR ACL failure in script: User u has no permissions to run the 'xadd' command" + IN_SCRIPT,
     Meaning.REFUSED, "XADD"),
    ("ERR ACL failure in script: No permissions to access a key" + IN_SCRIPT, Meaning.REFUSED, ""),
    ("CLUSTERDOWN The cluster is down", Meaning.UNSUITABLE, ""),
    ("MOVED 3999 127.0.0.1:6381", Meaning.UNSUITABLE, ""),
    ("CROSSSLOT Keys in request don't hash to the same slot", Meaning.UNSUITABLE, ""),
    ("ERR DB index is out of range", Meaning.UNSUITABLE, ""),
    ("ERR unknown command 'BLMOVE', with args beginning with: 'mara.lindqvist@example.com' ",
     Meaning.UNSUITABLE, "BLMOVE"),
    ("ERR unknown command `CONFIG`, with args beginning with: `GET`", Meaning.UNSUITABLE, "CONFIG"),
    ("ERR Unknown command called from script" + IN_SCRIPT, Meaning.UNSUITABLE, ""),
    ("WRONGTYPE Operation against a key holding the wrong kind of value" + IN_SCRIPT, Meaning.REJECTED, ""),
    ("ERR user_script:1: attempt to index a nil value" + IN_SCRIPT, Meaning.REJECTED, ""),
    ("ERR syntax error", Meaning.REJECTED, ""),
]  # fmt: skip


def parsed(reply: str) -> Exception:
    error: Exception = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call] # redis-py's own
    return error


@pytest.mark.parametrize(("reply", "meaning", "command"), REPLIES)
def test_a_reply_means_the_same_to_ingest_and_to_the_client_library(reply: str, meaning: Meaning, command: str) -> None:
    for fault in (fault_of_reply(reply), fault_of(parsed(reply))):
        assert (fault.meaning, fault.command) == (meaning, command)
        assert fault.code in reply or fault.code == "ERR"
        assert fault.is_lasting == (meaning in {Meaning.REFUSED, Meaning.UNSUITABLE, Meaning.REJECTED})
        assert "mara" not in advice(fault)


@pytest.mark.parametrize(
    "error",
    [
        StoreConnectionError("Error 111 connecting to 127.0.0.1:6379. Connection refused."),
        StoreTimeoutError("Timeout reading from socket"),
        MasterNotFoundError("No master found for 'mine'"),
        MaxConnectionsError("Too many connections"),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError(),
    ],
)
def test_an_error_without_a_reply_is_no_refusal(error: Exception) -> None:
    fault = fault_of(error)

    assert (fault.meaning, fault.code, fault.is_lasting) == (Meaning.NO_REPLY, type(error).__name__, False)


@pytest.mark.parametrize("code", ["READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED", "NOAUTH"])
def test_a_connection_ends_where_another_server_or_login_may_serve(code: str) -> None:
    assert fault_of_reply(f"{code} and more").ends_connection


@pytest.mark.parametrize("code", ["NOPERM", "OOM", "BUSY", "WRONGTYPE", "ERR"])
def test_a_connection_stays_where_a_new_one_would_hear_the_same(code: str) -> None:
    assert not fault_of_reply(f"{code} and more").ends_connection


def test_a_key_that_the_account_may_not_use_is_told_from_a_command() -> None:
    assert fault_of_reply("NOPERM No permissions to access a key").is_about_keys
    assert "keys" in advice(fault_of_reply("NOPERM No permissions to access a key"))
    assert "INFO" in advice(fault_of_reply("NOPERM User u has no permissions to run the 'info' command"))
