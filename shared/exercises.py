"""Exercises that look at an answer. A notebook of exercises holds the solutions, packed so that nobody reads them by
accident; ``check(3)`` runs the third one beside what the reader wrote and says what is different.

What the reader made is held against the solution in two ways. What can be compared is compared: variables by their
values, functions by what they give for the arguments with which the solution calls them. Of the rest, classes and
whatever may be made in several ways, the solution's own assertions must hold with the reader's parts put in.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import copy
import functools
import io
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

CALLS = 6  # calls of a function that are compared
TOLERANCE = 1e-3  # of the largest value


@dataclass(frozen=True)
class Exercise:
    """The code of a solution; the names that a reader has to ``make`` as the solution does; those that she is
    ``free`` to make in her own way; the numbers of earlier exercises whose solutions this one uses."""
    solution: str
    make: Sequence[str] = ()
    free: Sequence[str] = ()
    before: Sequence[int] = ()

    @property
    def asked(self) -> list[str]:
        return [*self.make, *self.free]


class Verdict(NamedTuple):
    right: bool
    text: str


def pack(exercises: Mapping[int, Exercise]) -> str:
    """Exercises as one word of letters, which nobody reads by accident."""
    plain = json.dumps({n: asdict(exercise) for n, exercise in exercises.items()}, separators=(",", ":"))
    return base64.b64encode(plain.encode()).decode()


def unpack(packed: str) -> dict[int, Exercise]:
    """What `pack` packed; white space does not count. Raises ValueError for anything else."""
    try:
        found = json.loads(base64.b64decode("".join(packed.split()), validate=True))
        return {int(n): Exercise(**fields) for n, fields in found.items()}
    except (ValueError, TypeError) as error:
        raise ValueError("the packed solutions of this notebook are damaged: take a fresh copy of it") from error


class Exercises:
    """``check = Exercises(packed, globals())``, then ``check(n)`` prints what is right or wrong about exercise n.

    ``packed`` is what `pack` gives, ``names`` the namespace in which the reader works; it is the same after a
    check as it was before.
    """

    def __init__(self, packed: str, names: dict[str, Any]):
        self.exercises, self.names = unpack(packed), names
        self._kept: dict[int, dict] = {}  # of each exercise, what its solution made

    def __call__(self, n: int) -> None:
        print(f"Exercise {n}: {self.verdict(n).text}")

    def verdict(self, n: int) -> Verdict:
        """Whether the reader's answer is right, and why not. Raises ValueError if there is no such exercise."""
        if n not in self.exercises:
            raise ValueError(f"the exercises are {', '.join(map(str, self.exercises))}; got {n!r}")
        exercise = self.exercises[n]
        missing = [name for name in exercise.asked if self.names.get(name, ...) is ...]
        if missing:
            return Verdict(False, f"not yet there: {', '.join(missing)}.")
        mine = {name: self.names[name] for name in exercise.asked}
        try:
            with quiet(), restored(self.names):
                why = self._differs(n, mine)
        except Trouble as trouble:
            why = str(trouble)
        return Verdict(not why, f"not yet. {why}" if why else "right.")

    def _differs(self, n: int, mine: dict[str, Any]) -> str:
        exercise = self.exercises[n]
        asserted = list(exercise.free)  # the names about which only the solution's assertions speak
        if exercise.make and n not in self._kept:
            with restored(self.names):
                self._kept[n] = self._reference(n)
        for name in exercise.make:
            wanted = self._kept[n][name]
            if isinstance(wanted, Recorder):
                found = wanted.differs(mine[name], name)
            else:
                found = difference(mine[name], wanted)
                found = found and f"{name} {found}"
            if found:
                return found
            if found is None:
                asserted.append(name)
        if asserted:
            self._solution(n, mine)
        return ""

    def _reference(self, n: int) -> dict[str, Any]:
        """What the solution makes; functions with the calls that it makes of them."""
        names = self._borrow(n)
        run(self.exercises[n].solution, names, watched=self.exercises[n].make)
        made = {name: names[name] for name in self.exercises[n].make}
        for recorder in made.values():
            if isinstance(recorder, Recorder):
                recorder.settle()
        return made

    def _solution(self, n: int, mine: dict[str, Any]) -> None:
        """Run the solution with these parts in place of its own. Raises Trouble where it stops."""
        run(self.exercises[n].solution, self._borrow(n), copied(mine))

    def _borrow(self, n: int) -> dict[str, Any]:
        """The namespace, with copies of what the solution could change, and with what earlier solutions make."""
        codes = [self.exercises[k].solution for k in [*self.exercises[n].before, n]]
        used = set().union(*map(mentioned, codes))
        self.names.update(copied({name: self.names[name] for name in used if name in self.names}))
        for earlier in codes[:-1]:
            run(earlier, self.names)
        return self.names


class Trouble(Exception):
    """Why a check could not go on, in words for the reader."""


class Recorder:
    """A function that remembers with which arguments it was called."""

    def __init__(self, function: Callable):
        functools.update_wrapper(self, function)
        self.function, self.calls, self.outcomes = function, [], []

    def __call__(self, *args, **kwargs):
        if len(self.calls) < CALLS:
            self.calls.append(copied_arguments(args, kwargs))
        return self.function(*args, **kwargs)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def settle(self) -> None:
        """Note what the function gives for each of these calls, if it gives the same twice."""
        for call in self.calls:
            once, again = outcome(self.function, call), outcome(self.function, call)
            if not isinstance(once, Exception) and difference(again, once) == "":
                self.outcomes.append((call, once))

    def differs(self, theirs: Any, name: str) -> str | None:
        """How another function differs on these calls; '' if it does not, None if that cannot be said."""
        if not callable(theirs):
            return f"{name} is {described(theirs)}, and should be a function."
        for call, wanted in self.outcomes:
            asked = f"{name}({', '.join(map(described, [*call[0], *call[1].values()]))})"
            found = outcome(theirs, call)
            if isinstance(found, Exception):
                return f"{asked} raises {type(found).__name__}: {found}"
            if why := difference(found[0], wanted[0]):
                return f"{asked}: the result {why}"
            if why := difference(found[1], wanted[1]):
                return f"{asked} should leave its arguments in another state: here {why}"
        return "" if self.outcomes else None


def outcome(function: Callable, call: tuple) -> tuple | Exception:
    """What a function returns for copies of these arguments, and the copies as it leaves them; or what it raises."""
    args, kwargs = copied_arguments(*call)
    torch.manual_seed(0)
    np.random.seed(0)
    try:
        result = function(*args, **kwargs)
        if isinstance(result, Iterator):
            result = list(itertools.islice(result, 100))
    except Exception as error:
        return error
    return result, (args, kwargs)


def run(code: str, names: dict[str, Any], mine: Mapping[str, Any] = {}, watched: Sequence[str] = ()) -> None:
    """Run a solution in a namespace, with ``mine`` in place of what it makes under these names. Its ``watched``
    functions remember their calls. Raises Trouble where it stops."""
    torch.manual_seed(0)
    names.update(mine)
    for statement in ast.parse(code).body:
        made = bound(statement)
        if made and made <= set(mine):
            continue
        try:
            exec(compile(ast.Module([statement], []), "<solution>", "exec"), names)
        except Exception as error:
            raise Trouble(because(error, statement, mine)) from error
        names.update(mine)
        if not isinstance(statement, ast.ClassDef):
            names.update({name: Recorder(names[name]) for name in made & set(watched)
                          if isinstance(names[name], FunctionType)})


def because(error: Exception, statement: ast.stmt, mine: Mapping[str, Any]) -> str:
    """Why the solution stopped, in words that do not give it away."""
    names = sorted(mentioned(statement) & set(mine)) or sorted(mine)
    if not mine:
        return ("The solution itself does not run with what is defined in this notebook. Run the cells from the "
                f"chapter again ({type(error).__name__}: {error}).")
    if not isinstance(error, AssertionError):
        return f"With your {' and '.join(names)}, {type(error).__name__}: {error}"
    if str(error):
        return f"With your {' and '.join(names)}, {error}"
    return f"An assertion of the solution about {' and '.join(names)} does not hold."


# ---- comparing -----------------------------------------------------------------------------------------------------

def difference(yours: Any, wanted: Any) -> str | None:
    """How a value differs from another, in words; '' if they agree, None if values of this kind cannot be compared.

    Numbers, arrays and tensors agree within 0.1 % of the largest value, lists with tuples, also deep inside."""
    if numeric(wanted):
        return _of_numbers(yours, wanted)
    if wanted is None or isinstance(wanted, str):
        return "" if type(yours) is type(wanted) and yours == wanted else f"is {described(yours)}, which is not it."
    if isinstance(wanted, (set, frozenset)):
        return "" if yours == wanted else f"is {described(yours)} with other elements."
    if isinstance(wanted, Mapping):
        if not isinstance(yours, Mapping) or set(yours) != set(wanted):
            return f"is {described(yours)}, and should be a dictionary of {len(wanted)} with other keys."
        return _first((f"at {key!r}", yours[key], wanted[key]) for key in wanted)
    if isinstance(wanted, Sequence):
        if not isinstance(yours, Sequence | Tensor | np.ndarray) or isinstance(yours, str):
            return f"is {described(yours)}, and should be {kind(wanted)}."
        if len(yours) != len(wanted):
            return f"has {len(yours)} parts, and should have {len(wanted)}."
        return _first((f"in part {i}", a, b) for i, (a, b) in enumerate(zip(yours, wanted), 1))
    if hasattr(wanted, "to_numpy"):  # a table or column of pandas
        if getattr(yours, "shape", None) != wanted.shape:
            return f"is {described(yours)}, and should be {kind(wanted)}."
        return _first([("in its names", list(getattr(yours, "columns", [])), list(getattr(wanted, "columns", []))),
                       ("in its values", yours.to_numpy().tolist(), wanted.to_numpy().tolist())])
    return None


def _first(parts: Iterable[tuple[str, Any, Any]]) -> str | None:
    """The first difference among parts: where, yours, wanted. None if there is none and some cannot be compared."""
    unknown = False
    for place, a, b in parts:
        if why := difference(a, b):
            return f"{place} {why}"
        unknown |= why is None
    return None if unknown else ""


def numeric(x: Any) -> bool:
    if isinstance(x, np.ndarray):
        return x.dtype.kind in "biufc"
    return isinstance(x, (bool, int, float, complex, np.number, np.bool_, Tensor))


def array(x: Any) -> np.ndarray:
    if isinstance(x, Tensor):
        x = x.detach().cpu().resolve_conj()
        x = (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    return np.asarray(x)


def _of_numbers(yours: Any, wanted: Any) -> str:
    if isinstance(yours, (list, tuple)) and len({array(part).shape for part in yours if numeric(part)}) == 1:
        yours = np.array([array(part) for part in yours if numeric(part)])
    if not numeric(yours):
        return f"is {described(yours)}, and should be {kind(wanted)}."
    a, b = array(yours), array(wanted)
    if a.size == b.size == 1:
        a, b = a.reshape(()), b.reshape(())
    if a.shape != b.shape:
        swapped = " The axes are in another order." if sorted(a.shape) == sorted(b.shape) else ""
        return f"has the shape {a.shape}, and should have {b.shape}.{swapped}"
    if (a.dtype == bool) != (b.dtype == bool):
        return f"is of type {a.dtype}, and should be {b.dtype}."
    if not a.size:
        return ""
    a, b = (x.astype(complex if x.dtype.kind == "c" else float) for x in (a, b))
    if same(a, b):
        return ""
    if same(a, -b):
        return "has the opposite sign."
    if a.ndim >= 2 and a.shape[-1] == a.shape[-2] and same(np.swapaxes(a, -1, -2), b):
        return "is the transpose of what it should be."
    if a.size > 1:
        there = np.isfinite(a) & np.isfinite(b) & (b != 0)
        factor = np.median(np.real(a[there] / b[there])) if there.any() else 0
        if factor and same(a, factor * b):
            return f"is {factor:.4g} times what it should be."
        if np.isfinite(a - b).all() and same(a - b, np.full_like(a, (a - b).flat[0])):
            return "is off by the same number everywhere."
        wrong = int((~close(a, b)).sum())
        return f"has the right shape, but {wrong} of {a.size} numbers are different."
    return f"is {array(yours).item():.6g}, which is too {'large' if a.real > b.real else 'small'}."


def close(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    finite = np.abs(b[np.isfinite(b)])
    return np.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE * (finite.max() if finite.size else 0), equal_nan=True)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(close(a, b).all())


def described(x: Any) -> str:
    """A value in a few words."""
    if isinstance(x, Tensor):
        return f"a tensor of shape {tuple(x.shape)}"
    if isinstance(x, np.ndarray) or hasattr(x, "to_numpy"):
        return f"{type(x).__name__} of shape {tuple(x.shape)}"
    if isinstance(x, (str, bool, int, float, complex, type(None))):
        return f"{x!r:.40}"
    if isinstance(x, (list, tuple, set, dict)):
        return f"a {type(x).__name__} of {len(x)}"
    return getattr(x, "__name__", f"a {type(x).__name__}")


def kind(x: Any) -> str:
    """What sort of value this is; a number or a text is not given away."""
    if isinstance(x, (bool, np.bool_)):
        return "True or False"
    return "a number" if isinstance(x, (int, float, complex, np.number)) else described(x)


# ---- code and names ------------------------------------------------------------------------------------------------

def bound(tree: ast.AST) -> set[str]:
    """The names that a piece of code assigns to, defines or changes a part of, outside of functions and classes."""
    found, left = set(), list(ast.iter_child_nodes(tree)) if isinstance(tree, ast.Module) else [tree]
    while left:
        node = left.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
            continue
        if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        if isinstance(getattr(node, "ctx", None), ast.Store):
            root = node
            while isinstance(root, (ast.Attribute, ast.Subscript, ast.Starred)):
                root = root.value
            found |= {root.id} if isinstance(root, ast.Name) else set()
        left += ast.iter_child_nodes(node)
    return found


def mentioned(code: str | ast.AST) -> set[str]:
    """All names in a piece of code, also those in its functions."""
    tree = ast.parse(code) if isinstance(code, str) else code
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def copied(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copies, which still share what the originals share; what cannot be copied is passed on as it is."""
    memo: dict = {}
    return {name: _copy(value, memo) for name, value in values.items()}


def copied_arguments(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    memo: dict = {}
    return tuple(_copy(x, memo) for x in args), {name: _copy(x, memo) for name, x in kwargs.items()}


def _copy(value: Any, memo: dict) -> Any:
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # open files, modules, tensors inside of a graph
        return value


@contextlib.contextmanager
def restored(names: dict[str, Any]) -> Iterator[None]:
    """Afterwards a namespace and the random numbers are as they were before."""
    kept, numpy_state = dict(names), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        np.random.set_state(numpy_state)
        names.clear()
        names.update(kept)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No printing, no curves, no figures."""
    from matplotlib import pyplot as plt
    figures, progress, show = plt.get_fignums(), os.environ.get("BOOK_PROGRESS"), plt.show
    os.environ["BOOK_PROGRESS"] = "0"
    plt.show = lambda *args, **kwargs: None
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        plt.show = show
        for number in set(plt.get_fignums()) - set(figures):
            plt.close(number)
        os.environ.pop("BOOK_PROGRESS")
        if progress is not None:
            os.environ["BOOK_PROGRESS"] = progress
