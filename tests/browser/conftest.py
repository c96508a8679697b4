"""A real browser for the built pages: Chromium or Chrome of this machine, driven by Playwright.

Nothing is asked from the internet: an address elsewhere is refused, and written down.
"""

import functools
import http.server
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from chapters import SITE
from edition import CHROMIUM, PACKAGES, installed_browser

OPTIONS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--force-color-profile=srgb"]
LEFT = "net::ERR_ABORTED"  # the page was left before the file, often its icon, had come: nothing is wrong with it
HERE = ("http://127.0.0.1", "http://localhost", "file:", "data:", "blob:")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def site():
    """The address of the built book, served on loopback."""
    assert (SITE / "index.html").is_file(), "the site is not built: run make test-site"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def folder():
    """The address of the built book as a folder on the disk."""
    return SITE.as_uri()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core, which looks for what keeps people from reading a page."""
    return (PACKAGES / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def browser():
    found = installed_browser()
    with sync_playwright() as playwright:
        if found is None and not Path(playwright.chromium.executable_path).exists():
            pytest.exit(f"no browser: install Chromium or Chrome (looked for {', '.join(CHROMIUM)}), or run "
                        "python -m playwright install chromium", returncode=1)
        browser = playwright.chromium.launch(executable_path=found, args=OPTIONS, chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """``open_page(address, width)`` gives a page with ``page.complaints``: errors of the console and
    of scripts, requests that failed (but for those of a page that was left), and addresses that were
    refused. ``begin(page)`` is called before it loads."""
    contexts = []

    def answer(route, complaints):
        if route.request.url.startswith(HERE):
            route.continue_()
        else:
            complaints.append(f"asked for {route.request.url}")
            route.abort()

    def open_(address, width=1300, height=900, wait="load", begin=None, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.route("**/*", lambda route: answer(route, page.complaints))
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("requestfailed", lambda r: page.complaints.append(f"failed: {r.url}") if r.failure != LEFT else None)
        if begin:
            begin(page)
        page.goto(address, wait_until=wait)
        return page

    yield open_
    for context in contexts:
        context.close()
