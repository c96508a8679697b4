"""The data sets of the book: where they are looked for, how they are checked, what comes back.

Order of look-up: the folder named by ``BOOK_DATA``, the user's cache, the network, and last a
built-in sample. ``BOOK_DATA=sample`` forces the samples. Files are checked by their SHA-256
before they are used, and a file enters the cache only after its check. ``BOOK_CACHE`` moves the
cache. Every loader says in one line what it used and records it: ``.real`` and ``.source``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import tarfile
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pooch
import requests
import torch
from torch import Tensor

from shared import samples

FASHION_LABELS = ("t-shirt", "trouser", "pullover", "dress", "coat",
                  "sandal", "shirt", "sneaker", "bag", "ankle boot")
CIFAR_LABELS = ("airplane", "automobile", "bird", "cat", "deer",
                "dog", "frog", "horse", "ship", "truck")


# ----------------------------------------------------------------------------- what comes back

@dataclass(frozen=True)
class Examples:
    """Inputs and targets that belong together; unpacks as ``X, y = examples``."""
    X: Tensor
    y: Tensor
    name: str
    real: bool

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.X, self.y))

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class DataSet:
    name: str
    source: str  # "BOOK_DATA", "cache", "network" or "sample"

    @property
    def real(self) -> bool:
        return self.source != "sample"


@dataclass(frozen=True)
class Images(DataSet):
    """Images as uint8 ``(examples, channels, height, width)``, labels as int64."""
    train: Examples
    test: Examples
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Text(DataSet):
    text: str


@dataclass(frozen=True)
class Tables(DataSet):
    """One table or two: ``train``, and ``test`` where the set has a second file."""
    train: pd.DataFrame
    test: pd.DataFrame | None = None


# --------------------------------------------------------------------------- where things are

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
    title: str
    folder: str
    licence: str
    files: tuple[File, ...]


_D2L = "http://d2l-data.s3-accelerate.amazonaws.com/"
_DLWPT = "https://raw.githubusercontent.com/deep-learning-with-pytorch/dlwpt-code/master/data/p1ch4/"
_FASHION = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/")


def _fashion_file(name: str, sha256: str) -> File:
    return File(name, sha256, tuple(mirror + name for mirror in _FASHION))


SPECS: dict[str, Spec] = {
    "fashion-mnist": Spec("Fashion-MNIST", "fashion-mnist", "MIT, Zalando Research", (
        _fashion_file("train-images-idx3-ubyte.gz",
                      "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        _fashion_file("train-labels-idx1-ubyte.gz",
                      "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        _fashion_file("t10k-images-idx3-ubyte.gz",
                      "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        _fashion_file("t10k-labels-idx1-ubyte.gz",
                      "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"))),
    "cifar10": Spec("CIFAR-10", "cifar10", "research use, Krizhevsky 2009", (
        File("cifar-10-python.tar.gz",
             "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
             ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",)),)),
    "fra-eng": Spec("English-French sentence pairs", "fra-eng", "CC BY 2.0 FR, Tatoeba", (
        File("fra.txt", "0bb85dbaa1c896844649094d7eaf2e34bee34e84fe362b26ce7e8f2e12aae104",
             (_D2L + "fra-eng.zip",), "sha1:94646ad1522d915e7b0f9296181140edcf86a4f5",
             "fra-eng/fra.txt"),)),
    "time-machine": Spec("The Time Machine", "timemachine", "public domain", (
        File("timemachine.txt", "8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516",
             (_D2L + "timemachine.txt",)),)),
    "pride-and-prejudice": Spec("Pride and Prejudice", "pride-and-prejudice",
                                "Project Gutenberg licence, in the file", (
        File("1342-0.txt", "c96e628c6f84bf45d3cee2c2da66166ccbeda328ecb76bb9b2ab1bc91961d0d1",
             (_DLWPT + "jane-austen/1342-0.txt",
              "https://www.gutenberg.org/files/1342/1342-0.txt")),)),
    "house-prices": Spec("Ames house prices", "house-prices", "De Cock 2011, competition terms", (
        File("kaggle_house_pred_train.csv",
             "1e18addf81e5e4d347cc17ee6075bbe4a42b7fa26b9e5b063e8f692a5f929d41",
             (_D2L + "kaggle_house_pred_train.csv",)),
        File("kaggle_house_pred_test.csv",
             "8fdd3d829d4d986b58f845c9553b225e67dd8383624d90fb6ca1d4bed5798c1e",
             (_D2L + "kaggle_house_pred_test.csv",)))),
    "wine": Spec("white wine quality", "wine", "CC BY 4.0, UCI, Cortez et al. 2009", (
        File("winequality-white.csv",
             "76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836",
             ("https://archive.ics.uci.edu/ml/machine-learning-databases/wine-quality/"
              "winequality-white.csv", _DLWPT + "tabular-wine/winequality-white.csv")),)),
    "bikes": Spec("bike rentals by the hour", "bikes", "CC BY 4.0, UCI, Fanaee-T and Gama 2013", (
        File("hour-fixed.csv", "ae5b1b828676fb7696ebfd838f105c71cda9c867aa752f75eed6fa6d0eacf991",
             (_DLWPT + "bike-sharing-dataset/hour-fixed.csv",)),)),
}


# ------------------------------------------------------------------------- bytes, checked

SLOWEST = 20_000     # bytes per second: a server slower than this counts as broken
PATIENCE = 10.0      # seconds without a byte, and the head start that a slow server gets
PROBE_SECONDS = 3.0  # how long to look for a network at all

_online: bool | None = None
_said: set[str] = set()


class UnsafeArchive(ValueError):
    """An archive has a member that would be written outside its folder."""


def cache_folder() -> Path:
    return Path(os.environ.get("BOOK_CACHE") or pooch.os_cache("deep-learning-you-can-check"))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files in a zip or tar archive, read in memory: nothing is unpacked.

    Raises UnsafeArchive before the first file if any name is absolute or climbs with ``..``.
    """
    def refuse(names) -> None:
        for name in names:
            parts = PurePosixPath(name.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts or ":" in name[:3]:
                raise UnsafeArchive(f"{archive.name} has the member {name!r}, which points outside "
                                    "its folder: the archive is not used")

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


def is_online() -> bool:
    """Does any mirror of any set answer? Asked once per process, of all hosts at the same time.
    Every answer counts, an error page too; only silence and refusal do not."""
    global _online
    if _online is None:
        hosts = {url.split("/")[2]: url for s in SPECS.values() for f in s.files for url in f.urls}
        answered, left = threading.Event(), threading.Semaphore(0)

        def ask(url: str) -> None:
            try:
                requests.head(url, timeout=PROBE_SECONDS)
                answered.set()
            except requests.RequestException:
                pass
            left.release()

        for url in hosts.values():  # daemon threads: a name server that hangs cannot hold us up
            threading.Thread(target=ask, args=(url,), daemon=True).start()
        deadline = time.monotonic() + PROBE_SECONDS
        for _ in hosts:
            if answered.is_set() or not left.acquire(timeout=max(0.0, deadline - time.monotonic())):
                break
        _online = answered.is_set()
    return _online


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
            failures.append(f"{url}: {type(error).__name__}: {str(error).splitlines()[0]}")
    raise OSError("; ".join(failures))


def _quietly(function: Callable, *args):
    logger = pooch.get_logger()
    level, _ = logger.level, logger.setLevel("ERROR")
    try:
        return function(*args)
    finally:
        logger.setLevel(level)


def _in_folder(spec: Spec, folder: Path) -> tuple[dict[str, Path], str]:
    """The files of a set if all are there with the right bytes, else nothing and the reason."""
    paths = {f.name: folder / f.name for f in spec.files}
    for file in spec.files:
        if not paths[file.name].is_file():
            return {}, f"{file.name} is not there"
        if _sha256(paths[file.name]) != file.sha256:
            return {}, f"{file.name} has other bytes than the book was tested with"
    return paths, ""


def _cifar_layout(folder: Path) -> dict[str, Path]:
    """CIFAR-10 also comes unpacked by torchvision, or as one folder of pictures per class."""
    if (folder / "cifar-10-batches-py").is_dir():
        return {"batches": folder / "cifar-10-batches-py"}
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        return {"pictures": folder}
    zips = sorted(folder.glob("*.zip"))
    return {"pictures": zips[0]} if zips else {}


def find(name: str) -> tuple[str, dict[str, Path]]:
    """Where the set ``name`` is: its source, and its files by name (none for the sample).

    Raises KeyError for an unknown set, ValueError for a BOOK_DATA that is not a folder.
    """
    if name not in SPECS:
        raise KeyError(f"unknown data set {name!r}: the book has {', '.join(SPECS)}")
    spec, setting = SPECS[name], os.environ.get("BOOK_DATA", "").strip()
    if setting == "sample":
        return "sample", {}
    if setting:
        root = Path(setting).expanduser()
        if not root.is_dir():
            raise ValueError(f"BOOK_DATA={setting} is not a folder: give a folder that holds "
                             "the data sets, or the word 'sample', or unset it")
        paths, reason = _in_folder(spec, root / spec.folder)
        if not paths and name == "cifar10":
            paths = _cifar_layout(root / spec.folder)
        if paths:
            return "BOOK_DATA", paths
        if (root / spec.folder).exists():
            warnings.warn(f"{spec.title}: not taken from BOOK_DATA, {reason}", stacklevel=3)
    folder = cache_folder() / spec.folder
    paths, _ = _in_folder(spec, folder)
    if paths:
        return "cache", paths
    if not is_online():
        return "sample", {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in spec.files:
            _quietly(_fetch, file, folder)
        paths, reason = _in_folder(spec, folder)
        if paths:
            return "network", paths
    except OSError as error:
        reason = str(error)
    warnings.warn(f"{spec.title}: no download ({reason}). Using the built-in sample. To use real "
                  "data, put the files into a folder and set BOOK_DATA to it; to move the cache, "
                  "set BOOK_CACHE", stacklevel=3)
    return "sample", {}


def _locate(name: str) -> tuple[str, dict[str, Path]]:
    """`find`, and say once per process what was found."""
    source, paths = find(name)
    if name not in _said:
        _said.add(name)
        title = SPECS[name].title
        print(f"{title}: built-in sample" if source == "sample" else
              f"{title}: real data ({source})")
    return source, paths


# ------------------------------------------------------------------------------ the loaders

def _idx(path: Path) -> np.ndarray:
    """Read the IDX format of MNIST: two zero bytes, a type code (8: bytes), the number of axes,
    the length of each as a big-endian 32-bit number, then the bytes."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path.name} is not an IDX file of bytes")
    shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def _images(name: str, source: str, parts: dict[str, tuple[Tensor, Tensor]],
            labels: tuple[str, ...]) -> Images:
    title = SPECS[name].title if source != "sample" else f"{SPECS[name].title} (built-in sample)"
    train, test = (Examples(*parts[p], name=title, real=source != "sample")
                   for p in ("train", "test"))
    return Images(title, source, train, test, labels)


def fashion_mnist() -> Images:
    """Fashion-MNIST: 60,000 and 10,000 grey images ``(examples, 1, 28, 28)`` of ten garments."""
    source, paths = _locate("fashion-mnist")
    if source == "sample":
        parts = samples.garments()
    else:
        parts = {part: (torch.from_numpy(_idx(paths[f"{prefix}-images-idx3-ubyte.gz"]).copy())[:, None],
                        torch.from_numpy(_idx(paths[f"{prefix}-labels-idx1-ubyte.gz"]).astype(np.int64)))
                 for part, prefix in (("train", "train"), ("test", "t10k"))}
    return _images("fashion-mnist", source, parts, FASHION_LABELS)


def _cifar_batches(files: Iterator[tuple[str, bytes]]) -> dict[str, tuple[Tensor, Tensor]]:
    """The official pickles: rows of 3,072 bytes, red then green then blue."""
    rows = {}
    for name, content in files:
        stem = PurePosixPath(name).name
        if stem.startswith(("data_batch_", "test_batch")):
            rows[stem] = pickle.loads(content, encoding="bytes")
    if len(rows) != 6:
        raise ValueError(f"CIFAR-10 has 6 batch files, found {len(rows)}: {sorted(rows)}")

    def join(stems):
        X = np.concatenate([rows[s][b"data"] for s in stems]).reshape(-1, 3, 32, 32)
        return torch.from_numpy(X), torch.tensor([y for s in stems for y in rows[s][b"labels"]])

    return {"train": join(sorted(s for s in rows if s.startswith("data"))),
            "test": join(["test_batch"])}


def _decode(content: bytes) -> np.ndarray:
    from PIL import Image
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def _cifar_pictures(where: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """One folder per class: ``train/<class>/0001.png``, in a zip or on disk."""
    if where.is_dir():
        files = ((p.relative_to(where).as_posix(), p.read_bytes())
                 for p in sorted(where.glob("*/*/*")))
    else:
        files = members(where)
    found: dict[str, list] = {"train": [], "test": []}
    for name, content in files:
        *_, part, label, picture = ("", "", *PurePosixPath(name).parts)
        if part in found and label in CIFAR_LABELS and picture.lower().endswith(
                (".png", ".jpg", ".jpeg")):
            found[part].append((CIFAR_LABELS.index(label), picture, content))
    if not all(found.values()):
        raise ValueError(f"{where.name}: expected train/<class>/*.png and test/<class>/*.png "
                         f"with the classes {', '.join(CIFAR_LABELS)}")
    parts = {}
    with ThreadPoolExecutor() as pool:  # decoding a picture releases Python's lock
        for part, entries in found.items():
            entries.sort(key=lambda entry: entry[:2])
            X = np.stack(list(pool.map(_decode, (content for *_, content in entries), chunksize=256)))
            parts[part] = (torch.from_numpy(X).permute(0, 3, 1, 2).contiguous(),
                           torch.tensor([label for label, *_ in entries]))
    return parts


def _remembered(key: Path, make: Callable[[], dict]) -> dict[str, tuple[Tensor, Tensor]]:
    """Decoding 60,000 pictures takes seconds: keep the result in the cache, if it is writable."""
    stat = key.stat()
    digest = hashlib.sha256(f"{key.name} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()
    path = cache_folder() / "decoded" / f"{digest[:16]}.pt"
    try:
        return torch.load(path)
    except Exception:  # not there, or not readable by this version: make it again
        parts = make()
    buffer = io.BytesIO()
    torch.save(parts, buffer)
    try:
        _write_atomically(path, buffer.getvalue())
    except OSError:
        pass
    return parts


def cifar10() -> Images:
    """CIFAR-10: 50,000 and 10,000 colour images ``(examples, 3, 32, 32)`` of ten classes.

    In BOOK_DATA it may lie as the official archive, unpacked by torchvision, or as one folder of
    png or jpg files per class, zipped or not.
    """
    source, paths = _locate("cifar10")
    if source == "sample":
        parts = samples.colour_images()
    elif "pictures" in paths:
        parts = _remembered(paths["pictures"], lambda: _cifar_pictures(paths["pictures"]))
    elif "batches" in paths:
        parts = _cifar_batches((p.name, p.read_bytes()) for p in sorted(paths["batches"].iterdir())
                               if p.is_file())
    else:
        (archive,) = paths.values()
        parts = _remembered(archive, lambda: _cifar_batches(members(archive)))
    return _images("cifar10", source, parts, CIFAR_LABELS)


def _text(name: str, sample: Callable[[], str]) -> Text:
    source, paths = _locate(name)
    if source == "sample":
        return Text(f"{SPECS[name].title} (built-in sample)", source, sample())
    (path,) = paths.values()
    return Text(SPECS[name].title, source, path.read_text(encoding="utf-8-sig"))


def fra_eng() -> Text:
    """English-French sentence pairs, one a line, ``English<tab>French``, short ones first."""
    return _text("fra-eng", samples.sentence_pairs)


def time_machine() -> Text:
    """H. G. Wells, The Time Machine, plain text."""
    return _text("time-machine", samples.story)


def pride_and_prejudice() -> Text:
    """Jane Austen, Pride and Prejudice, plain text with curly quotes and _emphasis_."""
    return _text("pride-and-prejudice", samples.novel)


def _tables(name: str, sample: Callable[[], tuple[pd.DataFrame, ...]], **options) -> Tables:
    source, paths = _locate(name)
    if source == "sample":
        return Tables(f"{SPECS[name].title} (built-in sample)", source, *sample())
    frames = (pd.read_csv(paths[f.name], **options) for f in SPECS[name].files)
    return Tables(SPECS[name].title, source, *frames)


def house_prices() -> Tables:
    """Ames house prices: 1,460 houses with prices (``train``), 1,459 without (``test``)."""
    return _tables("house-prices", samples.houses)


def wine() -> Tables:
    """White wines: eleven measurements and a quality between 0 and 10 (``train``)."""
    return _tables("wine", samples.wines, sep=";")


def bikes() -> Tables:
    """Bike rentals of 730 days by the hour (``train``, 17,520 rows)."""
    return _tables("bikes", samples.bike_hours)
