"""A straightforward receiver: Starlette and `Queue.enqueue`, on the loop or in the thread pool."""

import json
import os

import redis
from rq import Queue
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.load import PATH

queue = Queue("straightforward", connection=redis.Redis.from_url(os.environ["BENCH_STORE"]))


def enqueue(event: object) -> None:
    queue.enqueue("hooks.handle", event)


async def on_the_loop(request: Request) -> Response:
    enqueue(json.loads(await request.body())["event"])
    return Response(status_code=202)


async def in_threads(request: Request) -> Response:
    await run_in_threadpool(enqueue, json.loads(await request.body())["event"])
    return Response(status_code=202)


loop_app = Starlette(routes=[Route(PATH, on_the_loop, methods=["POST"])])
threads_app = Starlette(routes=[Route(PATH, in_threads, methods=["POST"])])
