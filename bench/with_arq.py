"""The bench's task for arq."""

import asyncio
import os
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings

from bench.meter import fill_or_time, work_async

LOGGING = {"version": 1}  # warnings alone
STORE = RedisSettings(unix_socket_path=os.environ["STORE"])


async def task(_: Any, seconds: float) -> None:
    await work_async(seconds)


class WorkerSettings:
    """Read by the arq command."""

    functions = (task,)
    redis_settings = STORE
    max_jobs = int(os.environ["THREADS"])
    poll_delay = 0.01
    keep_result = 0


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pool = loop.run_until_complete(create_pool(STORE))
    fill_or_time(lambda seconds: loop.run_until_complete(pool.enqueue_job("task", seconds)))
