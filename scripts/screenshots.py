"""Pictures of the pages for the documentation: each on a wide screen in light and on a phone in dark, side by side.

    python scripts/screenshots.py PAGE.html PICTURE.png [--write PREFIX]

--write types a prefix into the page of a bot and waits for its text. Needs Debian's chromium and the extra `test`.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCREENS: Sequence[dict[str, Any]] = (
    {"viewport": {"width": 1000, "height": 760}, "color_scheme": "light"},
    {"viewport": {"width": 390, "height": 760}, "color_scheme": "dark"},
)
GAP = 16  # pixels between the pictures


def shots(page: Path, prefix: str | None, language: str) -> list[bytes]:
    """Return a PNG of the page for each of SCREENS."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for screen in SCREENS:
            opened = browser.new_page(**screen, locale=language)
            opened.goto(page.resolve().as_uri())
            if prefix is not None:
                opened.fill("#prefix", prefix)
                opened.click("#write")
                opened.wait_for_selector("#text:not([data-writing])")
            found.append(opened.screenshot())
        browser.close()
    return found


def beside(pictures: Sequence[bytes], path: Path) -> None:
    """Write PNG pictures side by side to `path`, on a transparent ground."""
    from PIL import Image

    from gluon_lstm.files import atomic_write

    images = [Image.open(io.BytesIO(picture)) for picture in pictures]
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    whole, left = Image.new("RGBA", (width, max(image.height for image in images))), 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width + GAP
    with atomic_write(path, "wb") as file:
        whole.save(file, "PNG", optimize=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--write", metavar="PREFIX")
    parser.add_argument("--language", default="ja-JP", help="language of the browser")
    args = parser.parse_args(argv)
    beside(shots(args.page, args.write, args.language), args.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
