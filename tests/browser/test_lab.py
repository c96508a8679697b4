"""Chapters in JupyterLab, as a reader runs them: they open, they run, and every slider answers."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from playwright.sync_api import expect

from chapters import ROOT, code, path_of, tags

CHAPTERS = ("01_tensors", "02_preprocessing", "03_linear_algebra", "04_calculus", "08_softmax")  # the quick ones
SETTINGS = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # all cells are on the page
            "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on copies of the chapters, so that nothing of the book is changed."""
    (tmp_path / "notebooks").mkdir()
    for chapter in CHAPTERS:
        shutil.copy(path_of(chapter), tmp_path / "notebooks")
    (tmp_path / "config" / "labconfig").mkdir(parents=True)
    (tmp_path / "config" / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = {k: v for k, v in os.environ.items() if k not in ("BOOK_STATIC", "BOOK_PROGRESS")}
    environment |= {"JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "PYTHONPATH": str(ROOT)}
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1",
             "--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={tmp_path / 'notebooks'}"],
            env=environment, stdout=log, stderr=log)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=2)
                break
            except OSError:
                time.sleep(.5)
        else:
            pytest.fail((tmp_path / "log").read_text()[-2000:])
        yield address
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_runs_and_its_sliders_answer(lab, open_page, chapter):
    page = open_page(f"{lab}/lab/tree/{chapter}.ipynb", wait="domcontentloaded")
    idle = page.get_by_text("Python 3 (ipykernel) | Idle")
    idle.wait_for(timeout=90_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    cells = code(path_of(chapter))
    expect(page.locator(".jp-CodeCell .jp-InputPrompt").last).to_have_text(f"[{len(cells)}]:", timeout=480_000)

    explorers = page.locator(".widget-interact")
    assert explorers.count() == sum(len(re.findall(r"(?m)^explore\(", c.source)) for c in cells) > 0
    for explorer in explorers.all():
        for slider in explorer.locator(".noUi-handle").all():
            picture = explorer.locator("img").first
            picture.scroll_into_view_if_needed()
            before = picture.get_attribute("src")
            slider.focus()
            page.keyboard.press("ArrowRight")
            expect(explorer.locator("img").first).not_to_have_attribute("src", before, timeout=30_000)

    taught = sum("raises-exception" in tags(c) for c in cells)
    errors = page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts()
    assert len(errors) == taught, errors
