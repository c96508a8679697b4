"""Would the tests notice a mistake in the helper? Make many small ones, one at a time, and see.

    make mutants                  a sample of 240 mutants of shared/, and the share that the tests notice
    make mutants MUTANTS="--all --only checks,text"

mutmut makes the mutants (a comparison turned round, a constant changed, a call dropped) in a copy of the tree in
``_build/mutants`` and runs the tests that reach the changed function. A survivor is shown with its change: either a
test is missing, or the mutant behaves like the original; those stand in tools/equivalent_mutants.toml with a reason
and do not count. Not mutated: what needs a kernel, several processes or a screen.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "_build" / "mutants"
COPIED = ("shared", "tests", "tools", "pyproject.toml", "conftest.py", "README.md")
ENOUGH = {"checks": .9, "training": .9, "meters": .9, "checkpoints": .9, "diagnosis": .9, "batches": .9, "text": .9,
          "translation": .9}
OVERALL = .85
SETTINGS = """
[tool.mutmut]
source_paths = ["shared"]
only_mutate = [{modules}]
also_copy = ["tools", "conftest.py", "README.md"]
pytest_add_cli_args = ["-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:nbval", "-q"]
pytest_add_cli_args_test_selection = [{tests}]
use_git_change_detection = false
track_dependencies = false
"""


def modules() -> list[str]:
    """Those with a test file of their own."""
    return sorted(p.stem for p in (ROOT / "shared").glob("*.py")
                  if p.stem != "processes" and (ROOT / "tests" / f"test_{p.stem}.py").exists())


def prepare(chosen: list[str]) -> None:
    """A copy of the tree with the settings of mutmut."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, FOLDER / name, ignore=shutil.ignore_patterns("browser", "live", "__pycache__"))
        else:
            shutil.copy(source, FOLDER)
    quoted = [", ".join(f'"{form.format(name)}"' for name in names) for form, names in
              (("shared/{}.py", chosen), ("tests/test_{}.py", modules()))]
    with open(FOLDER / "pyproject.toml", "a", encoding="utf-8") as file:
        file.write(SETTINGS.format(modules=quoted[0], tests=quoted[1]))


def mutmut(*arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "BOOK_DATA": "sample", "HYPOTHESIS_MAX_EXAMPLES": "20"}
    return subprocess.run([sys.executable, "-m", "mutmut", *arguments], cwd=FOLDER, env=environment,
                          capture_output=True, text=True)


def verdicts() -> dict[str, int | None]:
    """The exit code of the tests for each mutant; 0: it survived, None: not run."""
    found = {}
    for path in sorted((FOLDER / "mutants" / "shared").glob("*.meta")):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def change(name: str) -> tuple[str, list[str]]:
    """What a mutant changes: the text to show, and the lines that it has instead."""
    text = mutmut("show", name).stdout
    return text, [line[1:].strip() for line in text.splitlines() if line.startswith("+") and not line.startswith("+++")]


def equivalent() -> list[tuple[str, str]]:
    """(function, line that the mutant has instead) of mutants that behave like the original."""
    path = ROOT / "tools" / "equivalent_mutants.toml"
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])
    assert all(entry["reason"] for entry in entries)
    return [(entry["function"], entry["becomes"]) for entry in entries]


def function_of(name: str) -> str:
    """shared.text.Vocab.encode for mutmut's name shared.text.xǁVocabǁencode__mutmut_3."""
    module, _, mangled = name.rpartition(".")
    mangled = mangled.split("__mutmut_")[0]
    parts = mangled.split("ǁ")[1:] if "ǁ" in mangled else [mangled.removeprefix("x_")]
    return ".".join([module, *parts])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=240, help="how many mutants (default 240)")
    parser.add_argument("--all", action="store_true", help="every mutant there is")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="modules, separated by commas")
    parser.add_argument("--workers", default="2")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else modules()
    prepare(chosen)
    first = mutmut("run", "makes.them.and.times.the.tests", "--max-children", arguments.workers)
    names = sorted(verdicts())
    if not names or "nothing matches" not in first.stdout + first.stderr:
        sys.exit("the tests must pass before there is anything to mutate:\n" + (first.stdout + first.stderr)[-3000:])
    if not arguments.all:
        names = sorted(random.Random(arguments.seed).sample(names, min(arguments.sample, len(names))))
    mutmut("run", *names, "--max-children", arguments.workers)
    known, codes, counts = equivalent(), verdicts(), defaultdict(lambda: [0, 0, 0])
    for name in names:
        count = counts[name.split(".")[1]]
        if codes[name]:
            count[0] += 1
            continue
        text, lines = change(name)
        if any(function == function_of(name) and becomes in lines for function, becomes in known):
            count[2] += 1
        else:
            count[1] += 1
            print(f"{function_of(name)}\n{text}")
    return report(counts)


def report(counts: dict[str, list[int]]) -> int:
    """The score of each module and of all; 1 if one is too low, else 0."""
    enough, total = True, [0, 0]
    for module, (killed, survived, same) in sorted(counts.items()):
        score, wanted = killed / max(1, killed + survived), ENOUGH.get(module, 0)
        enough &= score >= wanted
        total = [total[0] + killed, total[1] + killed + survived]
        print(f"{module:12} {killed:4} of {killed + survived:4} noticed: {score:.2f}"
              + (f", {same} equivalent" if same else "")
              + ("" if score >= wanted else f"  TOO LOW, {wanted} is wanted"))
    score = total[0] / max(1, total[1])
    print(f"{'all':12} {total[0]:4} of {total[1]:4} noticed: {score:.2f}" + ("" if score >= OVERALL else "  TOO LOW"))
    return int(not enough or score < OVERALL)


if __name__ == "__main__":
    sys.exit(main())
