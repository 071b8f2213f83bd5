"""The bench's task for Huey."""

import os

from huey import RedisHuey

from bench.meter import fill_or_time, work

huey = RedisHuey("bench", url=f"unix://{os.environ['STORE']}", results=False)
task = huey.task()(work)

if __name__ == "__main__":
    fill_or_time(task)
