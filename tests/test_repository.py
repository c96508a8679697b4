"""The files around the book agree with each other: versions, addresses, commands, workflows, forms."""

import json
import re
import tomllib
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest
import yaml

import shared
from chapters import CONFIG, ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(p for p in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if p.stem != "config")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


RULES = dict(re.findall(r"(?m)^([a-z][a-z0-9 -]*):(?!=)(.*)$", read("Makefile")))  # targets: prerequisites
TARGETS = {name for targets in RULES for name in targets.split()}


def jobs(workflow):
    return yaml.safe_load(read(f".github/workflows/{workflow}.yml"))["jobs"]


def steps(workflow):
    return [step for job in jobs(workflow).values() for step in job["steps"]]


def commands(workflow):
    """What a workflow runs, the commands of a matrix included."""
    matrices = [job.get("strategy", {}).get("matrix", {}) for job in jobs(workflow).values()]
    return [step["run"] for step in steps(workflow) if "run" in step] + [
        choice["run"] for matrix in matrices for choice in matrix.get("include", []) if "run" in choice]


def requirements(lines):
    """The line of each package, by its name as pip compares names."""
    found = (re.match(r"([A-Za-z][\w.-]*?)(?=[<>=!~ \[]|$)", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", name[1]).lower(): name.string for name in found if name}


def project():
    return tomllib.loads(read("pyproject.toml"))["project"]


def test_the_version_of_the_package_is_the_only_one():
    assert "version" in project()["dynamic"]
    assert tomllib.loads(read("pyproject.toml"))["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "shared.__version__"}
    assert str(yaml.safe_load(read("CITATION.cff"))["version"]) == shared.__version__
    assert re.search(r"(?m)^## (\S+)", read("CHANGELOG.md"))[1] == shared.__version__
    assert installed_version(project()["name"]) == shared.__version__, \
        "the package was installed before its version changed: pip install --no-deps -e ."


def test_the_address_is_the_same_everywhere():
    assert yaml.safe_load(read("CITATION.cff"))["repository-code"] == CONFIG["repository"]["url"]


def test_what_a_reader_installs_is_what_the_helper_needs():
    book = requirements(read("requirements.txt").splitlines())
    helper = requirements(project()["dependencies"])
    assert {name: book.get(name) for name in helper} == helper


def test_a_reader_installs_no_tools_of_tests():
    book, tests = (requirements(read(name).splitlines())
                   for name in ("requirements.txt", "requirements-test.txt"))
    assert "-r requirements.txt" in read("requirements-test.txt").splitlines()
    assert not set(book) & set(tests)
    assert {"pytest", "ruff", "nbval"} <= set(tests)


def bound(line):
    return tuple(map(int, re.search(r">=([\d.]+)", line)[1].split(".")))


@pytest.mark.parametrize("name,lowest,why", [
    ("torch", (2, 8), "gloo's threads and the interpreter could wait for each other at the end"),
    ("urllib3", (2, 2), "HTTPResponse.read1"),
    ("requests", (2, 32, 2), "2.32.0 and 2.32.1 were withdrawn"),
    ("pandas", (2, 2, 2), "2.2.0 warns at import, 2.2.1 is not built for NumPy 2")])
def test_lower_bounds_leave_out_versions_that_cannot_work(name, lowest, why):
    assert bound(requirements(read("requirements.txt").splitlines())[name]) >= lowest, why


def pins(name):
    """The version of each package in a file of constraints; of some, one for each Python."""
    found = {}
    for line in read(name).splitlines():
        if pinned := re.match(r"([\w.-]+)==([\w.]+)", line):
            found.setdefault(re.sub(r"[-_.]+", "-", pinned[1]).lower(), set()).add(pinned[2])
    return found


@pytest.mark.parametrize("constraints", ["constraints.txt", "constraints-lowest.txt"])
def test_every_package_that_is_asked_for_is_pinned(constraints):
    asked = requirements((read("requirements.txt") + read("requirements-test.txt")).splitlines())
    assert set(asked) <= set(pins(constraints))


def test_the_lowest_versions_are_the_lower_bounds():
    asked = requirements((read("requirements.txt") + read("requirements-test.txt")).splitlines())
    for name, line in asked.items():
        lowest = min(tuple(int(x) for x in re.findall(r"\d+", version.split("post")[0]))
                     for version in pins("constraints-lowest.txt")[name])
        wanted = bound(line.split(".post")[0])
        assert lowest[:len(wanted)] == wanted and not any(lowest[len(wanted):]), (name, lowest, wanted)


def test_the_tested_versions_install_on_debian_12():
    """Its Python is 3.11.2; soupsieve 3 and later need 3.11.5."""
    (soupsieve,) = pins("constraints.txt")["soupsieve"]
    assert int(soupsieve.split(".")[0]) < 3


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "book/how_to_read.md", ".ci/run",
                                  *(p.relative_to(ROOT).as_posix() for p in WORKFLOWS)])
def test_every_make_command_exists(page):
    text = "\n".join(commands(Path(page).stem)) if page.endswith(".yml") else read(page)
    found = re.findall(r"(?m)(?:`|^\s*|[A-Z_]+=\S+ )make ([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*)", text)
    named = {target for command in found for target in command.split()}
    assert named and named <= TARGETS, named - TARGETS


def test_targets_are_not_taken_for_files():
    phony = re.search(r"(?m)^\.PHONY:((?:.*\\\n)*.*)", read("Makefile"))[1].replace("\\\n", " ").split()
    assert set(phony) == TARGETS


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "LICENSE-TEXT.md", "CHANGELOG.md"])
def test_links_of_the_front_files_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        assert re.match(r"https?:", target) or (ROOT / target.split("#")[0]).exists(), target


def test_the_tests_run_on_three_systems_with_the_oldest_and_the_newest_python():
    matrix = jobs("test")["unit"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    oldest = project()["requires-python"].removeprefix(">=")
    assert min(matrix["python"], key=lambda v: [int(x) for x in v.split(".")]) == oldest


def test_the_notebooks_run_in_few_jobs():
    """They take most of the time and hardly depend on the system; the other tests run everywhere."""
    unit, notebooks = (jobs("test")[name] for name in ("unit", "notebooks"))
    assert any("make test-unit" in step.get("run", "") for step in unit["steps"])
    assert any("make test-notebooks" in step.get("run", "") for step in notebooks["steps"])
    assert len(notebooks["strategy"]["matrix"]["include"]) <= 2


def test_the_page_is_published_after_all_tests_and_a_look_at_the_index():
    page = jobs("test")["page"]
    assert {"unit", "notebooks", "browser"} <= set(page["needs"])
    assert "refs/heads/main" in page["if"]
    names = [step.get("uses", step.get("run", "")) for step in page["steps"]]
    check = next(i for i, text in enumerate(names) if "test -s _build/html/index.html" in text)
    assert check < next(i for i, text in enumerate(names) if "deploy-pages" in text)
    others = [step for path in WORKFLOWS for name, job in jobs(path.stem).items() if name != "page"
              for step in job["steps"]]
    assert not any("deploy-pages" in step.get("uses", "") for step in others)


# the first major version of each action that runs on Node 24
NODE_24 = {"checkout": 5, "setup-python": 6, "setup-node": 5, "cache": 5, "cache/restore": 5,
           "upload-artifact": 6, "upload-pages-artifact": 5, "deploy-pages": 5}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_actions_run_on_a_node_that_is_kept_up(path):
    for step in steps(path.stem):
        if "uses" in step:
            name, version = step["uses"].removeprefix("actions/").split("@v")
            assert int(version) >= NODE_24[name], step["uses"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_every_job_has_the_whole_history_and_keeps_what_pip_fetched(path):
    for name, job in jobs(path.stem).items():
        by_action = {step["uses"].split("@")[0]: step.get("with", {})
                     for step in job["steps"] if "uses" in step}
        assert by_action["actions/checkout"].get("fetch-depth") == 0, name
        assert by_action["actions/setup-python"].get("cache") == "pip", name
        assert job["timeout-minutes"] <= 120, name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_data_are_kept_where_the_helper_looks_for_them(path):
    environment = yaml.safe_load(path.read_text(encoding="utf-8"))["env"]
    caches = [step["with"] for step in steps(path.stem) if "actions/cache" in step.get("uses", "")]
    assert caches
    for cache in caches:
        assert environment["BOOK_CACHE"] == "${{ github.workspace }}/" + cache["path"]
        assert "shared/catalogue.py" in cache["key"]


def test_one_job_downloads_the_data_and_the_others_wait_for_it():
    kept = [name for name, job in jobs("test").items()
            if any(step.get("uses", "").startswith("actions/cache@") for step in job["steps"])]
    assert kept == ["data"]
    for name in ("unit", "notebooks"):
        assert jobs("test")[name]["needs"] == "data"


@pytest.mark.parametrize("command", ["make test CONSTRAINTS=", "make test-lowest", "make test-colab",
                                     "make test-live", "make links", "make coverage", "make mutants"])
def test_what_takes_long_or_depends_on_others_runs_once_a_week(command):
    assert yaml.safe_load(read(".github/workflows/weekly.yml"))[True]["schedule"]  # YAML reads "on" as true
    assert any(f"{command} " in f"{run} " for run in commands("weekly"))


def test_every_test_target_begins_with_the_style():
    for target in ("test", "test-unit", "test-quick"):
        assert "lint" in RULES[target].split(), target


def test_no_empty_number_of_threads_is_set():
    """libgomp complains about OMP_NUM_THREADS= : the variable is taken away instead."""
    for name in ("Makefile", ".ci/run", *(p.relative_to(ROOT).as_posix() for p in WORKFLOWS)):
        assert not re.search(r"OMP_NUM_THREADS=(\s|$)", read(name)), name


@pytest.mark.parametrize("form", FORMS, ids=lambda p: p.stem)
def test_issue_forms_ask_for_page_and_version(form):
    fields = {field["id"]: field for field in yaml.safe_load(form.read_text(encoding="utf-8"))["body"]}
    assert all(fields[name]["validations"]["required"] for name in ("page", "version"))


def test_the_steps_to_add_a_chapter_are_numbered_in_order():
    section = read("CONTRIBUTING.md").split("## Add a chapter")[1].split("\n## ")[0]
    numbers = re.findall(r"(?m)^(\d+)\. ", section)
    assert numbers and numbers == [str(n) for n in range(1, len(numbers) + 1)]


def test_a_codespace_runs_commands_that_exist_and_installs_torch_without_a_gpu():
    container = json.loads(read(".devcontainer/devcontainer.json"))
    program, *words = container["postCreateCommand"].split()
    assert program == "make" and {word for word in words if "=" not in word} <= TARGETS
    assert container["containerEnv"].items() <= yaml.safe_load(read(".github/workflows/test.yml"))["env"].items()
    version = re.search(r"python:(\d+\.\d+)", container["image"])[1]
    assert version in {step["with"]["python-version"].split("'")[1] for step in steps("test")
                       if "setup-python" in step.get("uses", "")}, "a Python that is tested"
    assert {"ms-python.python", "ms-toolsai.jupyter"} <= set(container["customizations"]["vscode"]["extensions"])
    tail = CONFIG["repository"]["url"].removeprefix("https://github.com/")
    for page in ("README.md", "book/how_to_read.md"):
        assert f"https://codespaces.new/{tail})" in read(page)
