"""A stack whose store keeps through a power cut only what it has fsynced."""

from harness.stack import Stack
from surehook.shared.embedded import start_server
from tests.support.power_cut.disk import Disk


class FragileStack(Stack):
    """`store_options` override the store's settings, such as how often it fsyncs."""

    def __init__(self, handlers: str = "", *store_options: str) -> None:
        super().__init__(handlers)
        # Events that wait on the endpoint's disk are not in the store yet; the test of the spool turns it on.
        self.environ["SUREHOOK_SPOOL_DIR"] = "off"
        self._store_options = store_options
        self.kill_store()
        self._disk = Disk(self.folder / "synced", self.data / "appendonlydir")
        self.restart_store()

    def restart_store(self) -> None:
        with self._disk.watches_children():
            self.server = start_server(self.data, *self._store_options)

    def cut_power(self) -> None:
        """Cuts the power of the store's machine alone, and starts the store again."""
        self.kill_store()
        self._disk.lose_power()
        self.restart_store()
