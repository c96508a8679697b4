"""A chapter in JupyterLab, as a reader runs it: it opens, it runs, and a slider answers."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CHAPTER = "03_linear_algebra"
SETTINGS = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # all cells are on the page
            "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a copy of the chapter, so that nothing of the book is changed."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / f"{CHAPTER}.ipynb", tmp_path / "notebooks")
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


def test_a_chapter_runs_and_its_slider_answers(lab, open_page):
    page = open_page(f"{lab}/lab/tree/{CHAPTER}.ipynb", wait="domcontentloaded")
    page.locator(".jp-Notebook").wait_for(timeout=60_000)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=90_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    slider = page.locator(".widget-hslider [role=slider], .widget-hslider .noUi-handle").first
    slider.wait_for(state="attached", timeout=120_000)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=180_000)
    slider.scroll_into_view_if_needed()
    picture = page.locator(".widget-output img, .jupyter-widgets-output-area img").first
    picture.wait_for(timeout=30_000)
    before = picture.get_attribute("src")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("""before => {
        const image = document.querySelector('.widget-output img, .jupyter-widgets-output-area img');
        return image && image.src !== before;
    }""", arg=before, timeout=30_000)
    cells = [c for c in nbformat.read(ROOT / "notebooks" / f"{CHAPTER}.ipynb", as_version=4).cells
             if c.cell_type == "code"]
    taught = sum("raises-exception" in c.metadata.get("tags", []) for c in cells)
    errors = page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts()
    assert len(errors) == taught, errors
    assert page.locator(".jp-CodeCell .jp-InputPrompt").last.inner_text() == f"[{len(cells)}]:"
