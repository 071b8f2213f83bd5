"""Makes the README's pictures in docs/images: `surehook dev` in a terminal, and the dashboard in a browser.

.venv/bin/python tools/screenshots.py
"""

import io
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
SUREHOOK = ROOT / ".venv" / "bin" / "surehook"
COLUMNS = 80
START_SECONDS = 120
KEY = re.compile(r"(Authorization   )\S+")


def main() -> None:
    """Starts `surehook dev` in a fresh folder, sends events, and saves terminal and dashboard."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "examples").symlink_to(ROOT / "examples")
        end, inside = pty.openpty()
        dev = subprocess.Popen([SUREHOOK, "dev"], cwd=folder, stdout=inside, stderr=inside, start_new_session=True)
        try:
            shown = _read_until(end, "Ctrl-C stops everything", "")
            for event_type in ("user.create.complete", "user.delete"):
                subprocess.run([SUREHOOK, "trigger", event_type], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            shown = _read_until(end, "delete_todos", shown)
            _photograph_dashboard()
        finally:
            os.killpg(dev.pid, signal.SIGINT)
            dev.wait()
    _draw_terminal(shown)


def _read_until(end: int, words: str, shown: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    while words not in shown:
        if time.monotonic() > deadline:
            sys.exit(f"{words!r} was not shown:\n{shown}")
        shown += os.read(end, 65_536).decode()
    return shown


def _draw_terminal(shown: str) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi("$ surehook dev\n" + KEY.sub(r"\1(a random key)", shown).replace("\r", "")))
    console.save_svg(str(IMAGES / "terminal.svg"), title="surehook dev")


def _photograph_dashboard() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 480})
        page.goto("http://127.0.0.1:9181/", wait_until="networkidle")
        page.screenshot(path=IMAGES / "dashboard.png")
        browser.close()


if __name__ == "__main__":
    main()
