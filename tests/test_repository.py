"""The files around the book agree with each other: versions, addresses, commands, forms."""

import re
import tomllib

import pytest
import yaml

from chapters import CONFIG, ROOT

TARGETS = set(re.findall(r"(?m)^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8")))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(p for p in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if p.stem != "config")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_versions_agree():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version
    assert re.search(r"(?m)^## (\S+)", read("CHANGELOG.md"))[1] == version


def test_the_address_is_the_same_everywhere():
    assert yaml.safe_load(read("CITATION.cff"))["repository-code"] == CONFIG["repository"]["url"]


def test_what_a_reader_installs_is_what_the_helper_needs():
    def requirements(lines):
        return {re.match(r"[\w-]+", line)[0]: line for line in lines if re.match(r"\w", line)}
    book = requirements(read("requirements.txt").splitlines())
    helper = requirements(tomllib.loads(read("pyproject.toml"))["project"]["dependencies"])
    assert {name: book.get(name) for name in helper} == helper
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in read("constraints.txt").splitlines()[1:]}
    assert {name.lower() for name in book} <= pinned


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "book/how_to_read.md", ".ci/run",
                                  *(str(p.relative_to(ROOT)) for p in WORKFLOWS)])
def test_every_make_command_exists(page):
    commands = re.findall(r"(?m)(?:`|^\s*(?:- run: )?|[A-Z_]+=\S+ )make ([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*)", read(page))
    named = {target for command in commands for target in command.split()}
    assert named and named <= TARGETS, named - TARGETS


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "LICENSE-TEXT.md", "CHANGELOG.md"])
def test_links_of_the_front_files_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        assert re.match(r"https?:", target) or (ROOT / target.split("#")[0]).exists(), target


def test_the_tests_run_on_three_systems_with_the_oldest_and_the_newest_python():
    matrix = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]["test"]["strategy"]["matrix"]
    assert [name.split("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    oldest = tomllib.loads(read("pyproject.toml"))["project"]["requires-python"].removeprefix(">=")
    assert min(matrix["python"], key=lambda v: [int(x) for x in v.split(".")]) == oldest


def test_pages_are_not_published_without_an_index():
    steps = yaml.safe_load(read(".github/workflows/pages.yml"))["jobs"]["deploy"]["steps"]
    names = [step.get("uses", step.get("run", "")) for step in steps]
    check = next(i for i, text in enumerate(names) if "test -s _build/html/index.html" in text)
    assert check < next(i for i, text in enumerate(names) if "deploy-pages" in text)


def test_there_are_weekly_runs():
    weekly = yaml.safe_load(read(".github/workflows/weekly.yml"))
    assert weekly[True]["schedule"] and set(weekly["jobs"]) == {"newest", "links"}  # YAML reads "on" as true


@pytest.mark.parametrize("form", FORMS, ids=lambda p: p.stem)
def test_issue_forms_ask_for_page_and_version(form):
    fields = {field["id"]: field for field in yaml.safe_load(form.read_text(encoding="utf-8"))["body"]}
    assert all(fields[name]["validations"]["required"] for name in ("page", "version"))


def test_a_chapter_is_added_in_ten_steps():
    section = read("CONTRIBUTING.md").split("## Add a chapter in ten steps")[1].split("\n## ")[0]
    assert re.findall(r"(?m)^(\d+)\. ", section) == [str(n) for n in range(1, 11)]
