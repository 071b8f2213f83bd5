"""The bench's task for Dramatiq."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.meter import fill_or_time, work

dramatiq.set_broker(RedisBroker(url=f"unix://{os.environ['STORE']}"))
task = dramatiq.actor(work)

if __name__ == "__main__":
    fill_or_time(task.send)
