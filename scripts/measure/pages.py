"""Size and speed of the pages of `export` and `inspect`, in a headless Chromium.

    python scripts/measure/pages.py FILE

Models of `export` have random weights: neither size nor speed depends on them. `inspect` shows `ja` on the first 2,000
characters of FILE. Needs Debian's chromium and the extra `test`.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_process import environment, environment_line, markdown_table

if TYPE_CHECKING:
    from gluon_lstm.model import Model

SIZES = ((2000, 256), (5000, 512))  # (V, H)
CHARACTERS = 1000  # written for a speed
REPEATS = 3
FIRST_CHARACTER = """() => new Promise((found) => {
  new MutationObserver(() => found(performance.now())).observe(document.getElementById("text"), {childList: true});
  document.getElementById("write").click();
})"""
SHOWN = "() => new Promise((shown) => requestAnimationFrame(() => setTimeout(() => shown(performance.now()))))"


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser, and end it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def random_model(V: int, H: int) -> Model:
    """Return a model of `V` characters and `H` hidden units with initial weights."""
    from dataclasses import replace

    import numpy as np

    from gluon_lstm.lstm import initializers
    from gluon_lstm.model import Model
    from gluon_lstm.text.codec import Codec
    from gluon_lstm.text.vocabulary import Vocabulary

    ja = Model.load("ja")
    known = ja.codec.vocabulary
    kanji = map(chr, range(0x4E00, 0xA000))
    tokens = list(dict.fromkeys([*known.tokens, *kanji]))[:V]
    config = replace(ja.config, hidden=H)
    arrays = initializers.standard(config, V, np.random.default_rng(1))
    codec = Codec(ja.codec.settings, Vocabulary(tokens, known.num_specials))
    return replace(ja, config=config, codec=codec, arrays=arrays, metadata={})


def measure_bot(page: Path, browser: Any) -> tuple[float, float]:
    """Return the seconds from opening the page to its first character, and its characters per second."""
    first, rates = [], []
    for _ in range(REPEATS):
        opened = browser.new_page()
        opened.goto(page.as_uri())
        first.append(opened.evaluate(FIRST_CHARACTER) / 1000)
        opened.keyboard.press("Escape")
        opened.evaluate(f"""() => {{ $("unit").value = "length"; $("amount").value = {CHARACTERS}; }}""")
        begin = time.perf_counter()
        opened.click("#write")
        opened.wait_for_selector("#text:not([data-writing])")
        rates.append(CHARACTERS / (time.perf_counter() - begin))
        opened.close()
    return statistics.median(first), statistics.median(rates)


def bots(folder: Path, browser: Any) -> list[list[str]]:
    """Return the table rows of `export`."""
    from gluon_lstm.pages.bot import export
    from gluon_lstm.pages.options import BotOptions

    rows = []
    for V, H in SIZES:
        model = random_model(V, H)
        for precision in ("int8", "float16"):
            page = folder / f"{V}-{H}-{precision}.html"
            size = export(model, page, BotOptions(precision=precision))
            first, rate = measure_bot(page, browser)
            rows.append([f"{V:,}, {H}", precision, f"{size / 1e6:.1f} MB", f"{first:.2f} s", f"{rate:,.0f}"])
    return rows


def gates(text: Path, folder: Path, browser: Any) -> list[str]:
    """Return the table row of `inspect`."""
    from gluon_lstm.cli.main import main as command

    page, shown = folder / "gates.html", []
    begin = time.perf_counter()
    if command(["inspect", "ja", "--file", str(text), "--out", str(page)]):
        raise SystemExit(2)
    seconds = time.perf_counter() - begin
    for _ in range(REPEATS):
        opened = browser.new_page()
        opened.goto(page.as_uri())
        shown.append(opened.evaluate(SHOWN) / 1000)
        opened.close()
    return [f"{seconds:.1f} s", f"{page.stat().st_size / 1e6:.1f} MB", f"{statistics.median(shown):.2f} s"]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        print(environment_line(environment()))
        columns = ["V, H", "weights", "page", "first character after", "characters/s"]
        print(markdown_table(columns, bots(Path(folder), browser)))
        print(markdown_table(["inspect", "page", "shown after"], [gates(args.text, Path(folder), browser)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
