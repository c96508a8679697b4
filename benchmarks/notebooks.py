"""Keep the seconds per notebook that the last test run measured (`make test`, on real data)."""

from __future__ import annotations

import json
import sys

from benchmarks import report
from benchmarks.common import save
from conftest import SECONDS


def main() -> None:
    if not SECONDS.exists():
        sys.exit("no test run has measured the notebooks yet: run make test first")
    save("notebooks", "seconds per notebook in the test run", json.loads(SECONDS.read_text(encoding="utf-8")),
         threads_each=1)
    report.main()


if __name__ == "__main__":
    main()
