"""The data sets of the book: the loaders for chapters.

Licences and addresses stand in `shared.catalogue`; where files are looked for and how they are
checked, in `shared.fetch`. What none of the places has is replaced by a built-in sample. Every loader
says in one line what it used and records it: ``.real`` and ``.source``.
"""

from __future__ import annotations

import gzip
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from shared import judgements, sample_texts, samples, tagged_words, trees
from shared.catalogue import SPECS
from shared.fetch import Unusable, fingerprint, members, remembered, sources
from shared.judgements import Analogy, Judged
from shared.tagged_words import Sentence
from shared.trees import Tree

T = TypeVar("T")
Files = dict[str, Path]

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
class Tagged(DataSet):
    """Sentences, lists of (word, tag) pairs, in three parts of whole texts each."""
    train: list[Sentence]
    validation: list[Sentence]
    test: list[Sentence]


@dataclass(frozen=True)
class Treebank(DataSet):
    """Sentences as trees, every node with a label from 0, very negative, to 4, very positive."""
    train: list[Tree]
    validation: list[Tree]
    test: list[Tree]


@dataclass(frozen=True)
class WordTests(DataSet):
    """Pairs of words with the mean of what people said, 0 to 10: how related the two are (``wordsim``), how similar
    (``simlex``); and by section, analogies: the first word is to the second as the third to the fourth."""
    wordsim: list[Judged]
    simlex: list[Judged]
    analogies: dict[str, list[Analogy]]


@dataclass(frozen=True)
class Tables(DataSet):
    """One table or two: ``train``, and ``test`` where the set has a second file."""
    train: pd.DataFrame
    test: pd.DataFrame | None = None


# ------------------------------------------------------------------------------ the loaders

_said: set[str] = set()


def _load(name: str, read: Callable[[Files], T], sample: Callable[[], T]) -> tuple[str, str, T]:
    """Title, source and content of a set, from the first place whose files can be read, else from
    the sample. Says once per process which it was; a place that is passed over is warned about."""
    title, source, content = SPECS[name].title, "sample", None
    for source, paths in sources(name, SPECS):
        try:
            content = read(paths)
            break
        except (OSError, Unusable) as error:
            warnings.warn(f"{title}: not taken from {source}: {error}", stacklevel=4)
            source = "sample"
    if name not in _said:
        _said.add(name)
        print(f"{title}: built-in sample" if source == "sample" else f"{title}: real data ({source})")
    if source == "sample":
        return f"{title} (built-in sample)", source, sample()
    return title, source, content


def _images(name: str, read: Callable[[Files], dict[str, np.ndarray]],
            sample: Callable[[], dict[str, tuple[Tensor, Tensor]]], labels: tuple[str, ...]) -> Images:
    def parts(paths: Files) -> dict[str, tuple[Tensor, Tensor]]:
        arrays = {key: torch.from_numpy(array) for key, array in read(paths).items()}
        return {part: (arrays[f"{part}_X"], arrays[f"{part}_y"]) for part in ("train", "test")}

    title, source, content = _load(name, parts, sample)
    train, test = (Examples(*content[part], name=title, real=source != "sample")
                   for part in ("train", "test"))
    return Images(title, source, train, test, labels)


def _idx(path: Path) -> np.ndarray:
    """Read the IDX format of MNIST: two zero bytes, a type code (8: bytes), the number of axes,
    the length of each as a big-endian 32-bit number, then the bytes."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path.name} is not an IDX file of bytes")
    shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape).copy()


def _read_fashion(paths: Files) -> dict[str, np.ndarray]:
    """The arrays ``train_X``, ``train_y``, ``test_X`` and ``test_y``, as all readers of images."""
    arrays = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        arrays[f"{part}_X"] = _idx(paths[f"{prefix}-images-idx3-ubyte.gz"])[:, None]
        arrays[f"{part}_y"] = _idx(paths[f"{prefix}-labels-idx1-ubyte.gz"]).astype(np.int64)
    return arrays


def fashion_mnist() -> Images:
    """Fashion-MNIST: 60,000 and 10,000 grey images ``(examples, 1, 28, 28)`` of ten garments."""
    return _images("fashion-mnist", _read_fashion, samples.garments, FASHION_LABELS)


def _torchvision():
    """torchvision's data sets. Its import fails in many ways where torch is of another build."""
    try:
        import torchvision.datasets
        return torchvision.datasets
    except Exception as error:
        found = next((d.version for d in distributions(name="torchvision")), "(none)")
        raise ImportError("CIFAR-10 is read by torchvision, which cannot be imported. Here are torch "
                          f"{torch.__version__} and torchvision {found}, which must fit together: install "
                          "both in one command, pip install --upgrade torch torchvision") from error


def _cifar_batches(root: Path) -> dict[str, np.ndarray]:
    """The official pickles, in the folder cifar-10-batches-py of ``root``. torchvision compares the
    MD5 of each file before it unpickles any."""
    arrays, cifar = {}, _torchvision().CIFAR10
    for part in ("train", "test"):
        try:
            found = cifar(root, train=part == "train", download=False)
        except RuntimeError:
            raise Unusable(f"{root / cifar.base_folder}: a file is missing or has other bytes than "
                           "the official one") from None
        arrays[f"{part}_X"] = np.ascontiguousarray(found.data.transpose(0, 3, 1, 2))
        arrays[f"{part}_y"] = np.array(found.targets, dtype=np.int64)
    return arrays


def _cifar_archive(archive: Path) -> dict[str, np.ndarray]:
    """The official archive, whose SHA-256 was compared, unpacked for a moment."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in members(archive):
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return _cifar_batches(Path(folder))


def _decode(entry: tuple[int, str, bytes]) -> np.ndarray:
    from PIL import Image
    label, name, content = entry
    try:
        image = Image.open(io.BytesIO(content)).convert("RGB")
        if image.size == (32, 32):
            return np.asarray(image)
        reason = f"has {image.width} x {image.height} pixels, a picture of CIFAR-10 has 32 x 32"
    except OSError as error:
        reason = f"is not a picture, or damaged: {error}"
    raise Unusable(f"{CIFAR_LABELS[label]}/{name} {reason}")


def _picture_files(where: Path) -> list[Path]:
    return [where] if where.is_file() else sorted(
        path for part in ("train", "test") for path in (where / part).glob("*/*"))


def _cifar_pictures(where: Path) -> dict[str, np.ndarray]:
    """One folder per class: ``train/<class>/0001.png``, in a zip or on disk."""
    files = members(where) if where.is_file() else (
        (path.relative_to(where).as_posix(), path.read_bytes()) for path in _picture_files(where))
    found: dict[str, list] = {"train": [], "test": []}
    for name, content in files:
        *_, part, label, picture = ("", "", *PurePosixPath(name).parts)
        if part in found and label in CIFAR_LABELS and picture.lower().endswith((".png", ".jpg", ".jpeg")):
            found[part].append((CIFAR_LABELS.index(label), picture, content))
    if any({label for label, *_ in entries} != set(range(10)) for entries in found.values()):
        raise Unusable(f"{where}: expected train/<class>/*.png and test/<class>/*.png "
                       f"with the classes {', '.join(CIFAR_LABELS)}")
    arrays = {}
    with ThreadPoolExecutor() as pool:  # decoding a picture releases Python's lock
        for part, entries in found.items():
            entries.sort(key=lambda entry: entry[:2])
            X = np.stack(list(pool.map(_decode, entries)))
            arrays[f"{part}_X"] = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
            arrays[f"{part}_y"] = np.array([label for label, *_ in entries])
    return arrays


def _read_cifar(paths: Files) -> dict[str, np.ndarray]:
    if "batches" in paths:
        return _cifar_batches(paths["batches"])
    if "pictures" in paths:
        where = paths["pictures"]
        return remembered(fingerprint(where, _picture_files(where)), lambda: _cifar_pictures(where))
    (file,) = SPECS["cifar10"].files
    return remembered(file.sha256, lambda: _cifar_archive(paths[file.name]))


def cifar10() -> Images:
    """CIFAR-10: 50,000 and 10,000 colour images ``(examples, 3, 32, 32)`` of ten classes.

    In BOOK_DATA it may lie as the official archive, unpacked by torchvision, or as one folder of
    png or jpg files per class, zipped or not. Raises ImportError if the first two are there and
    torchvision cannot be imported.
    """
    return _images("cifar10", _read_cifar, samples.colour_images, CIFAR_LABELS)


def _text(name: str, sample: Callable[[], str]) -> Text:
    (file,) = SPECS[name].files
    return Text(*_load(name, lambda paths: paths[file.name].read_text(encoding="utf-8-sig"), sample))


def fra_eng() -> Text:
    """English-French sentence pairs, one a line, ``English<tab>French``, short ones first."""
    return _text("fra-eng", sample_texts.sentence_pairs)


def time_machine() -> Text:
    """H. G. Wells, The Time Machine, plain text."""
    return _text("time-machine", sample_texts.story)


def pride_and_prejudice() -> Text:
    """Jane Austen, Pride and Prejudice, plain text with curly quotes and _emphasis_."""
    return _text("pride-and-prejudice", sample_texts.novel)


def brown() -> Tagged:
    """Half a thousand American texts of 1961, each word with one of the twelve parts of speech of
    `shared.tagged_words.TAGS`: eight texts of every ten for training, one for choosing, one for the test."""
    (file,) = SPECS["brown"].files

    def read(paths: Files) -> tuple[list[Sentence], ...]:
        return tagged_words.split(tagged_words.read(paths[file.name]))

    def sample() -> tuple[list[Sentence], ...]:
        return tagged_words.split(sample_texts.tagged())

    title, source, parts = _load("brown", read, sample)
    return Tagged(title, source, *parts)


def sst() -> Treebank:
    """Sentences from film reviews (Socher et al. 2013): 8,544 trees for training, 1,101, 2,210, split as published."""
    def read(paths: Files) -> tuple[list[Tree], ...]:
        return tuple(trees.parse(paths[file.name].read_text(encoding="utf-8")) for file in SPECS["sst"].files)

    title, source, parts = _load("sst", read, sample_texts.treebank)
    return Treebank(title, source, *parts)


def word_tests() -> WordTests:
    """WordSim-353, SimLex-999 and the 19,544 analogies of Mikolov et al. 2013, capitals as in the files."""
    readers = judgements.pairs, judgements.pairs, judgements.analogies

    def read(paths: Files) -> tuple:
        return tuple(reader(paths[file.name].read_text(encoding="utf-8"))
                     for reader, file in zip(readers, SPECS["word-tests"].files))

    title, source, parts = _load("word-tests", read, sample_texts.judged)
    return WordTests(title, source, *parts)


def _tables(name: str, sample: Callable[[], tuple[pd.DataFrame, ...]], **options) -> Tables:
    def read(paths: Files) -> tuple[pd.DataFrame, ...]:
        return tuple(pd.read_csv(paths[file.name], **options) for file in SPECS[name].files)

    title, source, frames = _load(name, read, sample)
    return Tables(title, source, *frames)


def house_prices() -> Tables:
    """Ames house prices: 1,460 houses with prices (``train``), 1,459 without (``test``)."""
    return _tables("house-prices", samples.houses)


def wine() -> Tables:
    """White wines: eleven measurements and a quality between 0 and 10 (``train``)."""
    return _tables("wine", samples.wines, sep=";")


def bikes() -> Tables:
    """Bike rentals of 730 days by the hour (``train``, 17,520 rows)."""
    return _tables("bikes", samples.bike_hours)
