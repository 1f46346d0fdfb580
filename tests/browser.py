"""A real browser for tests of pages: Debian's chromium, driven over the DevTools protocol by playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass
class Opened:
    """A page that is open, and what it complained of or asked for outside itself."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __call__(self, script: str, argument: Any = None) -> Any:
        """The value of some JavaScript in the page."""
        return self.page.evaluate(script, argument)

    def until(self, condition: str, seconds: float = 20) -> None:
        """Wait for some JavaScript to be true, looking with every frame of the screen."""
        came = self("""async seconds => {
            const end = performance.now() + 1000 * seconds, test = () => (CONDITION);
            while (!test() && performance.now() < end) await new Promise(requestAnimationFrame);
            return !!test();
        }""".replace("CONDITION", condition), seconds)  # fmt: skip
        assert came, condition

    def broken_images(self) -> list[str]:
        """Pictures that the browser cannot show. Those that are loaded late are loaded now."""
        return self("""async () => {
            const images = [...document.images].filter(image => image.src || image.closest('dialog') === null);
            images.forEach(image => image.loading = 'eager');
            await Promise.all(images.map(image => image.decode().catch(() => 0)));
            return images.filter(image => !image.naturalWidth).map(image => image.alt);
        }""")


class Browser:
    def __init__(self, chromium: Any) -> None:
        self.chromium = chromium

    @contextmanager
    def open(
        self, path: Path, width: int = 1280, height: int = 900, dark: bool = False, still: bool = True, script: bool = True
    ) -> Iterator[Opened]:
        """The page in a window of that size; `still` is a reader who wants no motion, `script` whether scripts run."""
        context = self.chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if still else "no-preference",
            java_script_enabled=script,
        )
        page = context.new_page()
        opened = Opened(page)
        page.on("pageerror", lambda error: opened.errors.append(str(error)))
        page.on("console", lambda message: opened.errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: None if _inside(request.url, path) else opened.requests.append(request.url))
        try:
            page.goto(path.resolve().as_uri())
            yield opened
        finally:
            context.close()


def _inside(url: str, path: Path) -> bool:
    return url.split("#")[0] == path.resolve().as_uri() or url.startswith(("data:", "blob:"))


def start(folder: Path) -> Iterator[Browser]:
    """The browser; the test is skipped, and says why, where there is none."""
    found = next((where for name in NAMES if (where := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium here to open the page with; `make browser` installs Debian's")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=found, args=list(FLAGS), env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        )
        yield Browser(chromium)
        chromium.close()
