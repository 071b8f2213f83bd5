"""The soak's handlers: each records its effect in a file, which survives `kill -9`.

A line is one write to a file opened for appending: `handler event attempt process supervisor instant`. All processes of
the machine share the clock of the instants.
"""

import asyncio
import os
import signal
import time
from pathlib import Path

from surehook import Attempt, Event, Permanent, RetryLater, on

EFFECTS = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])


SUPERVISOR = parent_of(os.getppid())  # between the two is the process's guard


def effect(handler: str, event: Event, attempt: Attempt) -> None:
    line = f"{handler} {event.id} {attempt.number} {os.getpid()} {SUPERVISOR} {time.monotonic():.2f}\n"
    os.write(EFFECTS, line.encode())


@on("user.create", name="plain")
def plain(event: Event, attempt: Attempt) -> None:
    effect("plain", event, attempt)


@on("user.login.success", name="waits")
async def waits(event: Event, attempt: Attempt) -> None:
    await asyncio.sleep(0.03)
    effect("waits", event, attempt)


@on("user.delete", name="mail")
def mail(event: Event, attempt: Attempt) -> None:
    effect("mail", event, attempt)


@on("user.delete", name="crm", retries=8, backoff=[0.2])
async def crm(event: Event, attempt: Attempt) -> None:
    await asyncio.sleep(0.01)
    if attempt.number == 1:
        raise ConnectionError
    effect("crm", event, attempt)


@on("user.delete", name="audit", queue="slow")
def audit(event: Event, attempt: Attempt) -> None:
    time.sleep(0.02)
    effect("audit", event, attempt)


@on("user.update", name="flaky", retries=8, backoff=[0.3])
def flaky(event: Event, attempt: Attempt) -> None:
    if attempt.number < 3:
        raise OSError
    effect("flaky", event, attempt)


@on("user.login.failed", name="later")
def later(event: Event, attempt: Attempt) -> None:
    if attempt.number == 1:
        raise RetryLater(1)
    effect("later", event, attempt)


@on("user.bulk.create", name="slow", queue="slow", timeout=60)
def slow(event: Event, attempt: Attempt) -> None:
    time.sleep(1.5)
    effect("slow", event, attempt)


@on("user.email.verified", name="overruns", timeout=1, retries=8, backoff=[0.2])
def overruns(event: Event, attempt: Attempt) -> None:
    while attempt.number == 1:
        time.sleep(0.02)
    effect("overruns", event, attempt)


@on("user.reactivate", name="refuses")
def refuses(_: Event) -> None:
    raise Permanent


@on("user.deactivate", name="hopeless", retries=2, backoff=[0.2])
def hopeless(_: Event) -> None:
    raise OSError


@on("user.password.breach", name="kills_once", timeout=60)
def kills_once(event: Event, attempt: Attempt) -> None:
    if attempt.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    effect("kills_once", event, attempt)


@on("user.password.update", name="kills", timeout=60)
def kills(_: Event) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
