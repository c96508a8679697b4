"""The exercises of a chapter as a notebook of its own, which checks the reader's answers.

    python tools/exercises.py            writes exercises/NN_name.ipynb for every chapter (`make exercises`), and into
                                         the chapter where to find it
    python tools/exercises.py try 02 3   fills in the stored solution of chapter 02's exercise 3 (without a number:
                                         of all), which must be right, and broken ones, which must not

Everything comes from the chapter: the text with its hint; of its code, what the exercise uses; and, packed, the
solution. The first cell of a solution says in its metadata what the reader has to make:
``"exercise": {"make": ["names that are compared"], "free": ["names of which only the assertions speak"]}``.
Code that an exercise needs and that is not found in this way is called for by ``"uses": ["name"]``.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FunctionType

import nbformat
import numpy as np
import torch

from questions import relinked, title
from setup_cell import address, rewrite

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the helper of this tree

from shared.exercises import Exercise, bound, difference, mentioned, pack, quiet  # noqa: E402

FOLDER = ROOT / "exercises"
HEADING = re.compile(r"(?m)^(## Exercises)$")
SEEDS = re.compile(r"manual_seed|seed_all|random\.seed")
SETTINGS = re.compile(r"^(warnings|torch\.set_|torch\.backends|plt\.rcParams|os\.environ)")
CHANGING = re.compile(r"fit|train|init|step|sgd|load|update|_$")  # functions that change what they are given


@dataclass(frozen=True)
class Statement:
    """One statement of a chapter's code: its place (cell, number), its lines, the heading above it, and whether it
    stands in a cell that shows a figure."""
    place: tuple[int, int]
    text: str
    heading: str
    figure: bool

    @cached_property
    def tree(self) -> ast.stmt:
        return ast.parse(self.text).body[0]

    @cached_property
    def binds(self) -> set[str]:
        return bound(self.tree)

    @cached_property
    def needs(self) -> set[str]:
        return needed(self.text)

    @cached_property
    def changes(self) -> set[str]:
        """Names whose objects the statement may change: those that a call without a result, or a training, is
        given or belongs to. A figure changes nothing."""
        found = set()
        if self.figure and not re.search(r"\b(fit|train|step)\w*\(", self.text):
            return found
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                return set()
            calls = []
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                found |= mentioned(node.value.func)  # who is asked to do something
                calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                calls = [node.value]
            found |= set().union(*(mentioned(call) for call in calls if CHANGING.search(ast.unparse(call.func))))
        return found


@dataclass(frozen=True)
class Task:
    """One exercise of a chapter."""
    number: int
    text: str
    solution: str
    make: tuple[str, ...]
    free: tuple[str, ...]
    uses: tuple[str, ...]
    place: tuple[int, int]

    @property
    def given(self) -> set[str]:
        """The names that the solution leaves behind."""
        return bound(ast.parse(self.solution))


def needed(code: str) -> set[str]:
    """The names that a piece of code takes from outside: global names of its functions, and what it uses at its own
    level before it binds it."""
    found, there = set(), set(dir(builtins))
    for statement in ast.parse(code).body:
        names, tables = set(), [symtable.symtable(ast.unparse(statement), "cell", "exec")]
        while tables:
            table = tables.pop()
            tables += table.get_children()
            names |= {s.get_name() for s in table.get_symbols()
                      if s.is_referenced() and (table.get_type() == "module" or s.is_global())}
        names |= {n.target.id for n in ast.walk(statement) if isinstance(n, ast.AugAssign)
                  and isinstance(n.target, ast.Name) and n.target.id in bound(statement)}
        found |= {name for name in names - there if not stored_first(statement, name)}
        there |= bound(statement)
    return found


def stored_first(statement: ast.stmt, name: str) -> bool:
    """Whether a statement of several lines gives a name its value before it uses it."""
    if getattr(statement, "name", "") == name:
        return True
    if not isinstance(statement, (ast.For, ast.With)):
        return False
    uses = [n for n in ast.walk(statement) if isinstance(n, ast.Name) and n.id == name]
    first = min(uses, key=lambda n: (n.lineno, isinstance(n.ctx, ast.Load)))
    return isinstance(first.ctx, ast.Store) and not any(
        isinstance(n, ast.AugAssign) and n.target is first for n in ast.walk(statement))


class Chapter:
    """A chapter's notebook, read for its exercises."""

    def __init__(self, path: Path):
        self.path, self.cells = path, nbformat.read(path, as_version=4).cells

    @cached_property
    def statements(self) -> list[Statement]:
        found, heading = [], ""
        first = next(i for i, cell in enumerate(self.cells) if cell.cell_type == "code")  # the set-up cell
        for i, cell in enumerate(self.cells):
            if cell.cell_type == "markdown":
                heading = (re.findall(r"(?m)^#{2,3} (.+)$", cell.source) or [heading])[-1]
            elif i > first and "raises-exception" not in cell.metadata.get("tags", []):
                lines, start = cell.source.splitlines(), 0
                figure = any("image/png" in output.get("data", {}) for output in cell.outputs)
                for k, node in enumerate(ast.parse(cell.source).body):
                    begin = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
                    while begin > start and lines[begin - 1].startswith("#"):
                        begin -= 1  # the comment above
                    found.append(Statement((i, k), "\n".join(lines[begin:node.end_lineno]), heading,
                                           figure))
                    start = node.end_lineno
        return found

    @cached_property
    def tasks(self) -> list[Task]:
        found = []
        for i, cell in enumerate(self.cells):
            match = re.search(r"(?m)^\*\*Exercise (\d+)\.\*\* ", cell.source) if cell.cell_type == "markdown" else None
            if not match:
                continue
            code = []
            for later in self.cells[i + 1:]:
                if later.cell_type == "markdown" and not later.source.startswith("<details>"):
                    break
                code += [later] if later.cell_type == "code" else []
            solution = "\n\n\n".join(c.source for c in code if "raises-exception" not in c.metadata.get("tags", []))
            said = code[0].metadata.get("exercise", {})
            found.append(Task(int(match[1]), cell.source[match.start():], solution, tuple(said.get("make", ())),
                              tuple(said.get("free", ())), tuple(said.get("uses", ())), (i, 0)))
        return found

    @cached_property
    def constant(self) -> set[str]:
        """Names of modules, functions and classes: what is asked of them leaves them as they are."""
        return set().union(*(s.binds for s in self.statements if isinstance(
            s.tree, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))))

    @cached_property
    def places(self) -> set[str]:
        """Names of files and folders: what is written there changes what is found there."""
        return set().union(*(s.binds for s in self.statements if isinstance(s.tree, ast.Assign)
                             and re.search(r"mkdtemp|Path\(|\w+ / \"", s.text)))

    def closed(self, names: set[str], end: tuple[int, int]) -> set[str]:
        """These names, and those that the functions among them use when they are called."""
        found, left = set(), set(names)
        definitions = {s.tree.name: s for s in self.statements if s.place < end
                       and isinstance(s.tree, (ast.FunctionDef, ast.ClassDef))}
        while left:
            name = left.pop()
            found.add(name)
            if name in definitions:
                left |= definitions[name].needs - found
        return found

    def used_by(self, task: Task) -> list[Statement]:
        """The statements before an exercise that give its solution, and its text, what they use."""
        begin = self.tasks[0].place  # earlier exercises are not the chapter's
        every = [s for s in self.statements if s.place < begin]
        told = set(re.findall(r"`(\w+)", task.text)) & set().union(*(s.binds for s in every))
        wanted = needed(task.solution) | told | set(task.uses)
        for earlier in reversed(self.before(task)):
            wanted = wanted - self.tasks[earlier - 1].given | needed(self.tasks[earlier - 1].solution)
        wanted = self.closed(wanted, begin)
        kept: list[Statement] = []
        for s in reversed(every):
            seeds = kept and kept[-1].place[0] == s.place[0] and SEEDS.search(s.text)
            writes = self.places & wanted & s.needs if isinstance(s.tree, (ast.Expr, ast.For, ast.With)) else set()
            if not (s.binds | s.changes - self.constant | writes) & wanted and not seeds and not SETTINGS.match(s.text):
                continue
            kept.append(s)
            if isinstance(s.tree, (ast.Assign, ast.FunctionDef, ast.ClassDef)) and not s.binds & s.needs:
                plain = {n.id for t in getattr(s.tree, "targets", []) for n in ast.walk(t) if isinstance(n, ast.Name)
                         and isinstance(n.ctx, ast.Store)}
                wanted -= plain or {getattr(s.tree, "name", "")}
            wanted |= self.closed(s.needs, s.place)
        return kept[::-1]

    def before(self, task: Task) -> list[int]:
        """The earlier exercises whose solutions this one uses."""
        found, left = set(), [task.number]
        while left:
            current = self.tasks[left.pop() - 1]
            uses = needed(current.solution) | set(current.uses)
            new = {t.number for t in self.tasks[:current.number - 1]
                   if t.given & uses and t.number not in found}
            found |= new
            left += new
        return sorted(found)

    def packed(self) -> str:
        return pack({t.number: Exercise(t.solution, t.make, t.free, self.before(t)) for t in self.tasks})


def stub(task: Task) -> str:
    """What stands in the empty cell: the names to make, functions with their arguments."""
    lines, variables = [], list(task.make + task.free)
    for node in ast.parse(task.solution).body:
        name = getattr(node, "name", None)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and name in variables:
            head = ast.get_source_segment(task.solution, node).split("\n")
            body = node.body[0].lineno - node.lineno
            head = [re.sub(r"\s+#.*", "", line) for line in head[:max(body, 1)]]
            if body == 0:
                head = [head[0][:node.body[0].col_offset].rstrip()]
            lines += [*head, "    ...", "", ""]
            variables.remove(name)
    return "\n".join([f"{name} = ..." for name in variables] + ([""] if variables and lines else []) + lines).strip()


def folded(source: str, title: str, cell_id: str) -> nbformat.NotebookNode:
    """A cell of code that shows only a title, in JupyterLab and in Colab."""
    return nbformat.v4.new_code_cell(f"# @title {title}\n{source}", id=cell_id, metadata={
        "cellView": "form", "jupyter": {"source_hidden": True}})


def joined(statements: list[Statement]) -> str:
    """Code of several places of the chapter, under the headings where it stands."""
    lines: list[str] = []
    heading, cell = None, None
    for s in statements:
        if s.heading != heading:
            lines += ["", f"# from the section: {s.heading}"]
        elif isinstance(s.tree, (ast.FunctionDef, ast.ClassDef)) or s.place[0] != cell:
            lines += [""]
        heading, cell = s.heading, s.place[0]
        lines += [s.text]
    return "\n".join(lines).strip("\n")


def colab(name: str) -> str:
    """Where Colab opens the notebook of exercises of this file name."""
    return f"{address().replace('github.com', 'colab.research.google.com/github')}/blob/main/exercises/{name}"


def line(name: str) -> str:
    """What a chapter says of its notebook of exercises."""
    return (f"`exercises/{name}` is a notebook with these exercises that checks your answers; "
            f"[Colab]({colab(name)}) opens it, too.")


def lead(path: Path) -> None:
    """Make sure that the line stands under the chapter's heading; nothing else changes."""
    def led(source: str) -> str:
        before, heading, after = HEADING.split(source)
        parts = [p for p in after.strip("\n").split("\n\n") if p and not p.startswith("`exercises/")]
        return before + "\n\n".join([heading, line(path.name), *parts])
    rewrite(path, lambda cell: HEADING.search("".join(cell["source"])), led)


def notebook(chapter: Chapter) -> nbformat.NotebookNode:
    """The notebook of exercises of a chapter."""
    name, number = chapter.path.name, chapter.path.stem[:2]
    new, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    setup = next(cell for cell in chapter.cells if cell.cell_type == "code")
    cells = [
        text(f"# Exercises: {title(chapter.path)}\n\n"
             f"The exercises of chapter [{number}](../notebooks/{name}), to work on ([in Colab]({colab(name)})). Run "
             "the cells from the top. Each exercise has a cell for your answer, which says what to call it, and "
             "`check(1)` then compares it with the solution: it says what is different, not how to do it. "
             "Cells whose code is folded hold what an exercise uses of the chapter. Solutions, with an explanation, "
             "stand in the chapter.", id="title"),
        new(setup.source, id="set-up", metadata={"jupyter": {"source_hidden": True}}),
        folded("from shared.exercises import Exercises\n\ncheck = Exercises(\"\"\"\n"
               + "\n".join(textwrap.wrap(chapter.packed(), 79)) + "\n\"\"\", globals())",
               "The checks, with the solutions, packed", "checks")]
    given: dict[tuple[int, int], Statement] = {}
    parts, imports = [], []
    for task in chapter.tasks:
        used = chapter.used_by(task)
        fresh = [s for s in used if s.place not in given]
        if fresh:  # what was given before and makes a name anew must come once more
            again = set().union(*(s.binds for s in fresh))
            fresh = [s for s in used if s.place not in given or s.place > fresh[0].place and s.binds & again]
        given |= {s.place: s for s in fresh}
        imports += [s for s in fresh if isinstance(s.tree, (ast.Import, ast.ImportFrom)) and s not in imports]
        code = joined([s for s in fresh if s not in imports])
        words = relinked(task.text, chapter.path.stem, "../notebooks/", ".ipynb")
        parts += [text(words, id=f"exercise-{task.number}")]
        parts += [folded(code, "From the chapter", f"chapter-{task.number}")] if code else []
        parts += [new(stub(task), id=f"answer-{task.number}"),
                  new(f"check({task.number})", id=f"check-{task.number}")]
    solved = [ast.parse(task.solution) for task in chapter.tasks]
    own = [ast.unparse(n) for tree in solved for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    lines = sorted({s.text for s in imports} | set(own),
                   key=lambda line: ("shared" in line, line.startswith("from"), line))
    cells += [new("\n".join(lines), id="imports")] if lines else []
    return nbformat.v4.new_notebook(cells=cells + parts, metadata={"kernelspec": {
        "display_name": "Python 3", "language": "python", "name": "python3"}})


def written(chapter: Chapter) -> str:
    return nbformat.writes(notebook(chapter), version=4) + "\n"


# ---- trying ----------------------------------------------------------------------------------------------------------

class Broken:
    """A function that gives what another gives, made wrong; it remembers whether that ever made a difference."""

    def __init__(self, function, how: str):
        self.function, self.how, self.wrong = function, how, how == "stub"

    def __deepcopy__(self, memo):
        return self

    def __call__(self, *args, **kwargs):
        right = None if self.how == "stub" else self.function(*args, **kwargs)
        wrong = altered(right, self.how)
        self.wrong |= difference(wrong, right) not in ("", None)
        return wrong


def broken(value, how: str):
    """A wrong answer made from a right one: without content, with the wrong sign, transposed."""
    if isinstance(value, FunctionType):
        return Broken(value, how)
    return None if how == "stub" else value if callable(value) else altered(value, how)


def altered(value, how: str):
    """A copy with all numbers of the other sign, or all arrays transposed."""
    if isinstance(value, (list, tuple)):
        return type(value)(altered(v, how) for v in value) if type(value) in (list, tuple) else value
    if isinstance(value, dict):
        return {k: altered(v, how) for k, v in value.items()}
    if isinstance(value, (torch.Tensor, np.ndarray)):
        if how == "transposed":
            return value.swapaxes(0, -1) if value.ndim >= 2 else value
        return value if value.dtype in (bool, torch.bool) else -value
    if how == "sign" and isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return -value
    return value


def trials(chapter: Chapter, numbers: list[int]) -> Iterator[str]:
    """What is wrong with the exercises of a chapter: solutions that are not called right, broken ones that are."""
    cells = {cell.id: cell.source for cell in notebook(chapter).cells}
    names: dict = {"__name__": "__main__"}
    for cell_id, source in cells.items():
        if cell_id in ("imports", "checks"):
            exec(source, names)
    check = names["check"]
    for task in chapter.tasks:
        n = task.number
        with quiet():
            exec(cells.get(f"chapter-{n}", ""), names)
        if n not in numbers:
            continue
        if not task.make + task.free:
            yield f"{n}: asks for nothing"
            continue
        if clash := [name for name in task.make + task.free if name in names]:
            yield f"{n}: {', '.join(clash)} is defined before the answer"
        exec(cells[f"answer-{n}"], names)
        if check.verdict(n).right:
            yield f"{n}: the empty answer is called right"
        try:
            with quiet():
                exec(task.solution, names)
        except Exception as error:
            yield f"{n}: the solution does not run: {type(error).__name__}: {error}"
            continue
        if not (verdict := check.verdict(n)).right:
            yield f"{n}: the solution is called wrong: {verdict.text}"
            continue
        for name in task.make + task.free:
            right = names[name]
            for how in ("stub", "sign", "transposed"):
                wrong = broken(right, how)
                if wrong is right or not isinstance(wrong, Broken) and difference(wrong, right) in ("", None):
                    continue
                if name in task.free and any(getattr(value, "real", True) is False for value in names.values()):
                    continue  # on a built-in sample, claims about real data are not checked
                names[name] = wrong
                if check.verdict(n).right and getattr(wrong, "wrong", True):
                    yield f"{n}: {name} is called right as {how}"
            names[name] = right


def main() -> None:
    if sys.argv[1:2] == ["try"]:
        path = next((ROOT / "notebooks").glob(f"{sys.argv[2]}_*.ipynb"))
        chapter = Chapter(path)
        numbers = [int(n) for n in sys.argv[3:]] or [task.number for task in chapter.tasks]
        found = list(trials(chapter, numbers))
        print("\n".join(found) or f"{path.stem}: all {len(numbers)} are as they should be")
        sys.exit(bool(found))
    FOLDER.mkdir(exist_ok=True)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        lead(path)
        (FOLDER / path.name).write_text(written(Chapter(path)), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
