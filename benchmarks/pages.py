"""What the pages of the built book weigh, and how they come: python -m benchmarks.pages, after `make site`.

A page is opened in a browser at 1300 x 900 from a server on this machine, as the tests do it. Counted are the bytes of
all files that it asks for before a reader scrolls, as they lie on the disk; a server that compresses sends a third.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import report
from benchmarks.common import save

# the sum of the shifts of what a reader sees, as browsers define it
SHIFTS = """window.shifts = 0;
new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) window.shifts += e.value; })
  .observe({type: 'layout-shift', buffered: true});"""
READY = """async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  await document.fonts.ready;
  await new Promise(done => setTimeout(done, 200));
}"""


def look(open_page: Callable, address: str) -> dict:
    """Bytes, milliseconds to the first paint, layout shift and elements of a page. ``open_page(address, begin)``
    calls ``begin(page)`` before the page is loaded."""
    sizes: dict[str, int] = {}

    def begin(page) -> None:
        page.add_init_script(SHIFTS)
        page.on("requestfinished", lambda request: sizes.update({request.url: len(request.response().body())}))

    page = open_page(address, begin)
    page.evaluate(READY)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)")
    return {"bytes": sum(sizes.values()), "paint": paint[0] if paint else None,
            "shift": page.evaluate("window.shifts"), "elements": page.evaluate("document.querySelectorAll('*').length")}


def main() -> None:
    """Run the tests that look at all pages, and keep what they have measured."""
    import pytest

    class Measured:
        pages: dict[str, dict] = {}

        def pytest_runtest_logreport(self, report) -> None:
            self.pages |= {name: value for name, value in report.user_properties if isinstance(value, dict)}

    tests = Path(__file__).parents[1] / "tests" / "browser" / "test_weight.py"
    if pytest.main(["-q", "-n0", str(tests)], plugins=[Measured()]):
        sys.exit("a page is too heavy, or was not built")
    save("pages", "bytes, milliseconds to the first paint, layout shift and elements of each page",
         dict(sorted(Measured.pages.items())), window="1300 x 900")
    report.main()


if __name__ == "__main__":
    main()
