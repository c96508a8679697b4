"""MathJax for the pages: formulas are drawn without a network, also on pages that are opened from a disk.

Copies what the pages need of the MathJax that pip has installed into ``book/_static/mathjax``: the parts that
``_config.yml`` names, and the fonts. `make site` calls this before it builds the book.

MathJax is compiled for browsers of 2009: each of its modules brings the same five helpers, 350 copies in all, an eighth
of what a page would load. Here they stand once, in the words of today, and the modules use those.
"""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "book" / "_static" / "mathjax"
FONTS = Path("output") / "chtml" / "fonts"

HELPERS = """var MathJaxHelpers = {
  extends(t, e) { Object.setPrototypeOf(t, e); t.prototype = Object.create(e.prototype, {constructor:
    {value: t, writable: true, configurable: true, enumerable: true}}); },
  assign: Object.assign,
  values: t => (t[Symbol.iterator] || Array.prototype[Symbol.iterator]).call(t),
  read(t, n) {
    if (!t[Symbol.iterator]) return t;
    if (n === undefined) return [...t];
    const found = [];
    if (n > 0) for (const x of t) if (found.push(x) >= n) break;
    return found;
  },
  spreadArray: (t, e) => t.concat(Array.prototype.slice.call(e)),
};
"""
COPY = re.compile(r"this&&this\.__(extends|assign|values|read|spreadArray)\|\|(?=\(|function\([^)]*\)\{)")


def source() -> Path:
    """The folder of the installed MathJax. Raises SystemExit, and says what to do, without one."""
    package = find_spec("mathjax")
    folder = Path(package.origin).parent / "static" / "mathjax" / "es5" if package and package.origin else None
    if folder is None or not folder.is_dir():
        raise SystemExit("MathJax, which draws the formulas, is not installed: pip install django-static-mathjax, "
                         "or make setup")
    return folder


def wanted(config: dict) -> list[Path]:
    """The files that the pages load: the start, the parts it is told to load, and the table of the fonts."""
    parts = config["sphinx"]["config"]["mathjax3_config"]["loader"]["load"]
    names = ["startup", *(part.replace("[tex]", "input/tex/extensions") for part in parts), (FONTS / "tex").as_posix()]
    return [Path(f"{name}.js") for name in names]


def end_of(script: str, start: int) -> int:
    """Where the function, or what stands in parentheses, ends that begins here. No string in it has a bracket."""
    depth, i = 0, script.index("{", start) if script.startswith("function", start) else start
    while True:
        depth += (script[i] in "({[") - (script[i] in ")}]")
        i += 1
        if depth == 0:
            return i


def shorter(script: str) -> str:
    """A part of MathJax without its own copies of the helpers."""
    parts, start = [], 0
    for found in COPY.finditer(script):
        parts += [script[start:found.start()], f"MathJaxHelpers.{found[1]}"]
        start = end_of(script, found.end())
    return "".join([*parts, script[start:]])


def main() -> None:
    installed = source()
    shutil.rmtree(FOLDER, ignore_errors=True)
    for file in wanted(yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))):
        (FOLDER / file).parent.mkdir(parents=True, exist_ok=True)
        script = shorter((installed / file).read_text(encoding="utf-8"))
        (FOLDER / file).write_text((HELPERS if file.stem == "startup" else "") + script, encoding="utf-8", newline="\n")
    shutil.copytree(installed / FONTS / "woff-v2", FOLDER / FONTS / "woff-v2")


if __name__ == "__main__":
    main()
