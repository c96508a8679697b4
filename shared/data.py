"""The data sets of the book: licence, addresses, and the loaders for chapters.

Where they are looked for and how they are checked is in `shared.fetch`. What none of the places has
is replaced by a built-in sample. Every loader says in one line what it used and records it: ``.real``
and ``.source``.
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

from shared import sample_texts, samples
from shared.fetch import File, Spec, Unusable, fingerprint, members, remembered, sources

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
class Tables(DataSet):
    """One table or two: ``train``, and ``test`` where the set has a second file."""
    train: pd.DataFrame
    test: pd.DataFrame | None = None


# --------------------------------------------------------------------------- the data sets

def _cifar_layouts(folder: Path) -> Iterator[Files]:
    """CIFAR-10 also comes unpacked by torchvision, or as one folder of pictures per class."""
    if (folder / "cifar-10-batches-py").is_dir():
        yield {"batches": folder}
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        yield {"pictures": folder}
    for archive in sorted(folder.glob("*.zip")):
        yield {"pictures": archive}


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
             ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",)),), _cifar_layouts),
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
