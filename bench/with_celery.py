"""The bench's task for Celery."""

import os

from celery import Celery

from bench.meter import fill_or_time, work

app = Celery("bench", broker=f"redis+socket://{os.environ['STORE']}")
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=8, broker_connection_retry_on_startup=True)
task = app.task(name="bench")(work)

if __name__ == "__main__":
    fill_or_time(task.delay)
