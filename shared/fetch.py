"""Where the files of a data set are looked for, and how they are checked.

Order of look-up: the folder named by ``BOOK_DATA``, the user's cache (``BOOK_CACHE`` moves it), the
network, and last the built-in sample; ``BOOK_DATA=sample`` forces it. Files are checked by their
SHA-256 before they are used, and a file enters the cache only after its check. A place where
something is broken, foreign or unreadable is named in a warning, and the next place is tried.
"""

from __future__ import annotations

import hashlib
import io
import os
import queue
import tarfile
import tempfile
import threading
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pooch
import requests

ROOT = Path(__file__).resolve().parents[1]  # of the repository: notebooks run in a folder below it
SLOWEST = 20_000     # bytes per second: a server slower than this counts as broken
PATIENCE = 10.0      # seconds without a byte, and the head start that a slow server gets
PROBE_SECONDS = 3.0  # how long to look for a network at all

ADVICE = (". Using the built-in sample. To use real data, put the files into a folder and set BOOK_DATA "
          "to it; to move the cache, set BOOK_CACHE")

_online: bool | None = None


@dataclass(frozen=True)
class File:
    """One file: its name in a data folder, the SHA-256 of its bytes, and its mirrors. Where the
    network has it only inside an archive, ``archive_hash`` checks that and ``member`` names it."""
    name: str
    sha256: str
    urls: tuple[str, ...]
    archive_hash: str | None = None
    member: str | None = None


@dataclass(frozen=True)
class Spec:
    """A data set: its title, its folder below ``BOOK_DATA``, its licence and its files. Instead of
    the files, ``BOOK_DATA`` may have other forms of the set: ``layouts`` looks for them in the set's
    folder and gives paths by name for each. They are not checked: whoever reads them must do that."""
    title: str
    folder: str
    licence: str
    files: tuple[File, ...]
    layouts: Callable[[Path], Iterator[dict[str, Path]]] | None = None


class Unusable(ValueError):
    """Files are there, but are damaged, or not what they should be: the next place is tried."""


# ------------------------------------------------------------------------- folders and bytes

def folder_of(setting: str) -> Path:
    """The folder that a setting names. ``~`` is the home folder. A relative path counts from the
    working directory if it is there, else from the repository's root."""
    path = Path(setting.strip()).expanduser()
    return path if path.is_absolute() or _exists(path) else ROOT / path


def cache_folder() -> Path:
    """The folder for downloads: ``BOOK_CACHE``, or the usual place of the operating system."""
    setting = os.environ.get("BOOK_CACHE", "").strip()
    return folder_of(setting) if setting else Path(pooch.os_cache("deep-learning-you-can-check"))


def _exists(path: Path) -> bool:
    """Is something there? What may not be looked at counts: opening it will tell the reason."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits. Raises OSError if it cannot be read."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def fingerprint(where: Path, files: Iterable[Path]) -> str:
    """One SHA-256 for the names, as seen from ``where``, and the bytes of many files, in this order."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(where).as_posix()}\0{sha256(path)}\n".encode())
    return digest.hexdigest()


def _write_atomically(path: Path, *blocks: bytes | memoryview) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as f:
            f.writelines(blocks)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remembered(key: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that ``make`` returns, kept in the cache if it can be written: decoding 60,000
    pictures takes seconds.

    ``key`` is a hash of what is decoded, so that other content has another copy. A copy begins with
    the SHA-256 of the rest, by which a damaged one is noticed and made anew. The rest is NumPy's npz
    format, read without pickle: reading it can run no code.
    """
    path = cache_folder() / "decoded" / f"{key}.bin"
    try:
        with open(path, "rb") as f:
            if f.read(32) == hashlib.file_digest(f, "sha256").digest():
                f.seek(32)
                return dict(np.load(f, allow_pickle=False))
    except Exception:  # not there, or not readable by this version
        pass
    arrays, buffer = make(), io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getbuffer()
    with suppress(OSError):
        _write_atomically(path, hashlib.sha256(content).digest(), content)
    return arrays


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files in a zip or tar archive, read in memory: nothing is unpacked.

    Raises Unusable before the first file if any name is absolute or climbs with ``..``, and
    wherever the archive turns out to be damaged.
    """
    def refuse(names: Iterable[str]) -> None:
        for name in names:
            parts = PurePosixPath(name.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts or ":" in name[:3]:
                raise Unusable(f"{archive} has the member {name!r}, which points outside its folder: "
                               "the archive is not used")

    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as z:
                refuse(z.namelist())
                for info in z.infolist():
                    if not info.is_dir():
                        yield info.filename, z.read(info)
        else:
            with tarfile.open(archive) as t:
                refuse(t.getnames())
                for info in t:
                    if info.isfile():
                        yield info.name, t.extractfile(info).read()
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise Unusable(f"{archive} is no zip or tar archive, or a damaged one: {error}") from error


# ------------------------------------------------------------------------------- the network

def is_online(urls: Iterable[str]) -> bool:
    """Does any host of these addresses answer? Asked once per process, of all hosts at once.
    Every answer counts, an error page too; only silence and refusal do not."""
    global _online
    if _online is None:
        hosts = {url.split("/")[2]: url for url in urls}
        answers: queue.Queue[bool] = queue.Queue()

        def ask(url: str) -> None:
            try:
                requests.head(url, timeout=PROBE_SECONDS)
                answers.put(True)
            except requests.RequestException:
                answers.put(False)

        for url in hosts.values():  # daemon threads: a name server that hangs cannot hold us up
            threading.Thread(target=ask, args=(url,), daemon=True).start()
        deadline, _online = time.monotonic() + PROBE_SECONDS, False
        with suppress(queue.Empty):
            _online = any(answers.get(timeout=max(0.0, deadline - time.monotonic())) for _ in hosts)
    return _online


def _download(url: str, output_file: str, _pooch) -> None:
    """A downloader for pooch that gives up on servers that stall or drip."""
    start, received = time.monotonic(), 0
    with requests.get(url, stream=True, timeout=PATIENCE) as response:
        response.raise_for_status()
        with open(output_file, "wb") as f:
            # read1 returns what has come; iter_content would wait in silence for a whole block
            while block := response.raw.read1(1 << 16, decode_content=True):
                f.write(block)
                received += len(block)
                if time.monotonic() - start > PATIENCE + received / SLOWEST:
                    raise TimeoutError(f"slower than {SLOWEST / 1000:g} kB/s")


def _fetch(file: File, folder: Path) -> None:
    """Bring one file from its mirrors into the cache; raise OSError that names every failure."""
    failures = []
    for url in file.urls:
        try:
            known = file.archive_hash or "sha256:" + file.sha256
            name = url.rsplit("/", 1)[-1] if file.member else file.name
            path = Path(pooch.retrieve(url, known, fname=name, path=folder, downloader=_download))
            if file.member:
                content = dict(members(path)).get(file.member, b"")
                if hashlib.sha256(content).hexdigest() != file.sha256:
                    raise ValueError(f"the archive has no {file.member} with the expected bytes")
                _write_atomically(folder / file.name, content)
            return
        except Exception as error:  # a mirror can fail in any way; the next one is tried
            failures.append(f"{url}: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    raise OSError("; ".join(failures))


def _quietly(function: Callable, *args) -> None:
    """Call without pooch's log lines: the loader says in one line what was used."""
    logger = pooch.get_logger()
    level, _ = logger.level, logger.setLevel("ERROR")
    try:
        function(*args)
    finally:
        logger.setLevel(level)


# ------------------------------------------------------------------------------- the look-up

def _checked(spec: Spec, folder: Path) -> dict[str, Path]:
    """The files of a set by name. Raises OSError for one that is missing or cannot be read, and
    Unusable for one with other bytes; both name it."""
    paths = {file.name: folder / file.name for file in spec.files}
    for file in spec.files:
        if sha256(paths[file.name]) != file.sha256:
            raise Unusable(f"{paths[file.name]} has other bytes than the book was tested with")
    return paths


def _given(spec: Spec, folder: Path) -> Iterator[dict[str, Path]]:
    """The set in ``BOOK_DATA``: the official files, or each other form; nothing without its folder."""
    if _exists(folder):
        other = spec.layouts is not None and not _exists(folder / spec.files[0].name)
        yield from (list(spec.layouts(folder)) if other else []) or [_checked(spec, folder)]


def _cached(spec: Spec, folder: Path) -> Iterator[dict[str, Path]]:
    """The set in the cache; nothing if a file is missing."""
    if all(_exists(folder / file.name) for file in spec.files):
        yield _checked(spec, folder)


def _downloaded(spec: Spec, folder: Path, probes: Iterable[str]) -> Iterator[dict[str, Path]]:
    """The set from its mirrors, now in the cache; nothing without a network."""
    if is_online(probes):
        folder.mkdir(parents=True, exist_ok=True)
        for file in spec.files:
            _quietly(_fetch, file, folder)
        yield _checked(spec, folder)


def sources(name: str, specs: Mapping[str, Spec]) -> Iterator[tuple[str, dict[str, Path]]]:
    """The places that have the set ``name`` of ``specs``, one after the other: "BOOK_DATA", "cache"
    or "network", and the files' paths by name. The next is looked at only when it is asked for.

    A place that has the set, but broken or unreadable, is warned about and passed over. There is no
    place under ``BOOK_DATA=sample``. Raises ValueError if BOOK_DATA names no folder.
    """
    spec, setting = specs[name], os.environ.get("BOOK_DATA", "").strip()
    if setting == "sample":
        return
    root, cache = folder_of(setting), cache_folder() / spec.folder
    if setting and (os.path.isfile(root) or not _exists(root)):
        raise ValueError(f"BOOK_DATA={setting} is not a folder, neither from {Path.cwd()} nor from {ROOT}: "
                         "give a folder that holds the data sets, or the word 'sample', or unset it")
    probes = (url for s in specs.values() for file in s.files for url in file.urls)
    for source, found in (("BOOK_DATA", _given(spec, root / spec.folder) if setting else ()),
                          ("cache", _cached(spec, cache)), ("network", _downloaded(spec, cache, probes))):
        try:
            for paths in found:
                yield source, paths
        except (OSError, Unusable) as error:
            warnings.warn(f"{spec.title}: not taken from {source}: {error}" + ADVICE * (source == "network"),
                          stacklevel=5)
