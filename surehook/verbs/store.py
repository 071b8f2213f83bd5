"""`surehook store`: the embedded store as a process of its own."""

import signal
import sys
import time

import click

POLL_SECONDS = 0.1


@click.command()
def store() -> None:
    """Run the embedded store in SUREHOOK_DATA_DIR, for endpoint, workers and commands on this machine."""
    import logging

    from surehook.shared.embedded import embedded_store, socket_path
    from surehook.shared.errors import Misconfigured, StoreUnavailable
    from surehook.shared.service_manager import ServiceManager
    from surehook.verbs.start import pause_unless_stopped, start

    settings = start()
    if settings.redis_url is not None:
        raise Misconfigured(
            "SUREHOOK_REDIS_URL names another store, which every other process would use: remove it, or do not run "
            "`surehook store`"
        )
    log, service, stops = logging.getLogger("surehook.store"), ServiceManager(), list[int]()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stops.append(number))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as the server itself does: it has nothing to reload
    with embedded_store(settings.data_dir, pause_unless_stopped(stops)) as server:
        log.info("store ready", extra={"path": str(socket_path(settings.data_dir))})
        service.ready()
        while not stops and server.poll() is None:
            service.alive()
            time.sleep(POLL_SECONDS)
        service.stopping()
        if not stops:
            raise StoreUnavailable(f"the store ended by itself: see the end of {settings.data_dir / 'store.log'}")
    sys.exit(0)
