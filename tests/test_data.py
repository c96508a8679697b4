"""The loaders: what comes back from each set, real or sample, and from each form of CIFAR-10."""

import builtins
import gzip
import hashlib
import io
import os
import pickle
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from shared import data, fetch, samples
from test_fetch import make_tar, make_zip, sha

LOADERS = (data.fashion_mnist, data.cifar10, data.fra_eng, data.time_machine, data.house_prices, data.wine,
           data.bikes, data.pride_and_prejudice, data.brown, data.sst, data.word_tests)


def check_shape(loaded):
    if isinstance(loaded, data.Images):
        size = {28: (1, 60_000), 32: (3, 50_000)}[loaded.train.X.shape[-1]]
        for part, n in ((loaded.train, size[1]), (loaded.test, 10_000)):
            X, y = part
            assert X.shape == (n, size[0], X.shape[-1], X.shape[-1]) and X.dtype == torch.uint8
            assert y.dtype == torch.int64
            counts = torch.bincount(y)
            assert counts.tolist() == [n // 10] * 10 if part.real else len(counts) == 10 and counts.min() > 0
            assert part.real == loaded.real
    elif isinstance(loaded, data.Text):
        assert len(loaded.text) > 150_000 and not loaded.text.startswith("\ufeff")
    elif isinstance(loaded, data.WordTests):
        for _, _, score in (pairs := loaded.wordsim + loaded.simlex):
            assert 0 <= score <= 10
        assert len(pairs) == 353 + 999 if loaded.real else len(pairs) > 30
        assert all(len(words) == 4 for section in loaded.analogies.values() for words in section)
        assert sum(map(len, loaded.analogies.values())) == 19_544 or not loaded.real and len(loaded.analogies) > 1
    else:
        assert len(loaded.train) > 1000 and (loaded.real or "sample" in loaded.name)


@pytest.mark.slow
@pytest.mark.parametrize("load", LOADERS, ids=lambda f: f.__name__)
def test_every_set_loads_as_a_sample(load, monkeypatch, capsys):
    monkeypatch.setenv("BOOK_DATA", "sample")
    loaded = load()
    assert not loaded.real and "(built-in sample)" in loaded.name
    assert "built-in sample" in capsys.readouterr().out
    check_shape(loaded)


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("BOOK_DATA", "sample") in ("", "sample"), reason="no real data here")
@pytest.mark.parametrize("load", LOADERS, ids=lambda f: f.__name__)
def test_every_set_loads_for_real(load):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load()
    if load is data.cifar10 and not loaded.real:
        pytest.skip("no CIFAR-10 in this folder")
    assert loaded.real and loaded.source == "BOOK_DATA"
    check_shape(loaded)


@pytest.mark.skipif(os.environ.get("BOOK_DATA", "sample") in ("", "sample"), reason="no real data here")
def test_samples_have_the_columns_and_types_of_the_real_tables(monkeypatch):
    for load in (data.house_prices, data.wine, data.bikes):
        real = load()
        monkeypatch.setenv("BOOK_DATA", "sample")
        sample = load()
        monkeypatch.undo()
        for part in ("train", "test"):
            ours, theirs = getattr(sample, part), getattr(real, part)
            if theirs is not None:
                assert set(ours.columns) <= set(theirs.columns) and len(ours) == len(theirs)
                assert list(ours.columns) == [c for c in theirs.columns if c in set(ours.columns)]
                for c in ours.columns:
                    assert (ours[c].dtype.kind in "if") == (theirs[c].dtype.kind in "if"), c


def test_idx_files_are_read_as_the_format_says(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x02" + b"\0\0\0\x02" + b"\0\0\0\x03" + bytes(range(6))))
    assert data._idx(path).tolist() == [[0, 1, 2], [3, 4, 5]]
    path.write_bytes(gzip.compress(b"GIF89a"))
    with pytest.raises(ValueError, match="not an IDX file"):
        data._idx(path)


def picture(value):
    """A PNG of one grey, or of the given bytes."""
    buffer = io.BytesIO()
    X = value if isinstance(value, np.ndarray) else np.full((32, 32, 3), value, np.uint8)
    Image.fromarray(X).save(buffer, "PNG", compress_level=0)  # so that all have the same size
    return buffer.getvalue()


def class_folders():
    return {f"cifar/{part}/{label}/{i}.png": picture(10 * k + i)
            for part, count in (("train", 3), ("test", 2))
            for k, label in enumerate(data.CIFAR_LABELS) for i in range(count)}


def official_batches():
    rng = np.random.default_rng(0)
    rows = {name: {"data": rng.integers(0, 256, (4, 3072), dtype=np.uint8), "labels": [0, 1, 2, 9]}
            for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]}
    return {f"cifar-10-batches-py/{name}": pickle.dumps(content)
            for name, content in {**rows, "batches.meta": {"label_names": list(data.CIFAR_LABELS)}}.items()}


@pytest.fixture
def cifar_folder(own_cache, monkeypatch, tmp_path):
    """The folder of CIFAR-10 in BOOK_DATA, no network, and a sample that is made quickly."""
    folder = tmp_path / "data" / "cifar10"
    folder.mkdir(parents=True)
    monkeypatch.setattr(fetch, "_online", False)
    monkeypatch.setattr(samples, "colour_images", partial(samples.colour_images, 100, 100))
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "data"))
    return folder


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def write_pictures(folder, zipped, files):
    """As a zip or as folders, always with the same time."""
    if zipped:
        write(folder, {"cifar.zip": make_zip(files)})
    else:
        write(folder, {name.removeprefix("cifar/"): content for name, content in files.items()})
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (0, 0))


@pytest.mark.parametrize("zipped", [True, False])
def test_cifar_as_one_folder_per_class_is_decoded_once(cifar_folder, monkeypatch, zipped):
    write_pictures(cifar_folder, zipped, class_folders())
    for _ in range(2):  # the second time from the decoded copy in the cache
        loaded = data.cifar10()
        assert loaded.real and len(loaded.test) == 20 and loaded.train.X.shape == (30, 3, 32, 32)
        assert loaded.train.y.tolist() == [k for k in range(10) for _ in range(3)]
        assert loaded.train.X[:, 0, 0, 0].tolist() == [10 * k + i for k in range(10) for i in range(3)]
        monkeypatch.setattr(data, "_decode", None)


def test_a_picture_keeps_its_colours_and_its_axes(cifar_folder):
    X = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    write_pictures(cifar_folder, True, {**class_folders(), "cifar/test/bird/0.png": picture(X)})
    found = data.cifar10().test.X[4]  # two of each class before
    assert torch.equal(found, torch.from_numpy(X).permute(2, 0, 1))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("change", ["bytes", "names"])
def test_other_pictures_are_noticed_when_sizes_and_times_are_the_same(cifar_folder, zipped, change):
    files = class_folders()
    write_pictures(cifar_folder, zipped, files)
    before, size = data.cifar10(), sum(p.stat().st_size for p in cifar_folder.rglob("*.*"))
    first, last = "cifar/train/airplane/0.png", "cifar/train/truck/0.png"
    if change == "names":
        files[first], files[last] = files[last], files[first]
    else:
        files[first] = picture(7)
    write_pictures(cifar_folder, zipped, files)
    assert sum(p.stat().st_size for p in cifar_folder.rglob("*.*")) == size
    after = data.cifar10().train.X[:, 0, 0, 0]
    assert (before.train.X[0, 0, 0, 0], before.train.X[27, 0, 0, 0]) == (0, 90)
    assert (after[0], after[27]) == ((90, 0) if change == "names" else (7, 90))


def test_flipped_bytes_in_the_decoded_copy_are_noticed(cifar_folder, own_cache):
    write_pictures(cifar_folder, True, class_folders())
    right = data.cifar10()
    (copy,) = (own_cache / "decoded").iterdir()
    content = copy.read_bytes()
    copy.write_bytes(content.replace(bytes([90]) * 3072, bytes([91]) * 3072))
    assert copy.read_bytes() != content
    assert torch.equal(data.cifar10().train.X, right.train.X) and copy.read_bytes() == content


@pytest.fixture
def small_official(monkeypatch):
    """Let four pictures a file be the official CIFAR-10, for the book and for torchvision."""
    files = official_batches()

    def md5(name):
        return hashlib.md5(files[f"cifar-10-batches-py/{name}"]).hexdigest()
    official, archive = datasets.CIFAR10, make_tar(files)
    for part in ("train_list", "test_list"):
        monkeypatch.setattr(official, part, [[name, md5(name)] for name, _ in getattr(official, part)])
    monkeypatch.setattr(official, "meta", {**official.meta, "md5": md5("batches.meta")})
    file = replace(data.SPECS["cifar10"].files[0], sha256=sha(archive))
    monkeypatch.setitem(data.SPECS, "cifar10", replace(data.SPECS["cifar10"], files=(file,)))
    return files, archive


@pytest.mark.parametrize("form", ["archive", "unpacked"])
def test_the_official_cifar_is_read_packed_and_as_torchvision_unpacks_it(cifar_folder, small_official, form):
    files, archive = small_official
    write(cifar_folder, {"cifar-10-python.tar.gz": archive} if form == "archive" else files)
    rows = {name: pickle.loads(content) for name, content in files.items()}
    train = np.concatenate([rows[f"cifar-10-batches-py/data_batch_{i}"]["data"] for i in range(1, 6)])
    test = rows["cifar-10-batches-py/test_batch"]["data"]
    for _ in range(2):
        loaded = data.cifar10()
        assert loaded.source == "BOOK_DATA" and loaded.labels == data.CIFAR_LABELS
        assert np.array_equal(loaded.train.X, train.reshape(20, 3, 32, 32)) and loaded.train.X.is_contiguous()
        assert np.array_equal(loaded.test.X, test.reshape(4, 3, 32, 32))
        assert loaded.train.y.tolist() == [0, 1, 2, 9] * 5 and loaded.test.y.tolist() == [0, 1, 2, 9]
        assert loaded.train.y.dtype == torch.int64


class Evil:
    """Writes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["archive", "unpacked"])
@pytest.mark.parametrize("foreign", ["data_batch_1", "test_batch", "batches.meta"])
def test_a_foreign_pickle_is_never_loaded(cifar_folder, small_official, tmp_path, form, foreign):
    files = {**small_official[0], f"cifar-10-batches-py/{foreign}": pickle.dumps(Evil(tmp_path / "evil"))}
    write(cifar_folder, {"cifar-10-python.tar.gz": make_tar(files)} if form == "archive" else files)
    with pytest.warns(UserWarning, match="not taken from BOOK_DATA: .*other bytes"):
        assert not data.cifar10().real
    assert not (tmp_path / "evil").exists()


def test_a_missing_official_file_is_told(cifar_folder, small_official):
    write(cifar_folder, small_official[0])
    (cifar_folder / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.warns(UserWarning, match="cifar-10-batches-py: a file is missing or"):
        assert not data.cifar10().real


def test_a_form_that_is_foreign_is_passed_over_for_one_that_is_right(cifar_folder, small_official):
    write(cifar_folder, {name: content + b"?" for name, content in small_official[0].items()})
    write_pictures(cifar_folder, True, class_folders())
    with pytest.warns(UserWarning, match="not taken from BOOK_DATA: .*cifar-10-batches-py"):
        loaded = data.cifar10()
    assert loaded.source == "BOOK_DATA" and len(loaded.train) == 30


def without(files, part):
    return {name: content for name, content in files.items() if part not in name}


FOREIGN = {
    "a zip of something else": ({"readme.txt": b"hello"}, "expected train/<class>"),
    "a missing class": (without(class_folders(), "train/frog"), "expected train/<class>.*classes airplane"),
    "no pictures for the test": (without(class_folders(), "test/"), "expected train/<class>"),
    "no picture": ({**class_folders(), "cifar/test/cat/5.jpg": b"miaow"}, "cat/5.jpg is not a picture"),
    "another size": ({**class_folders(), "cifar/test/dog/5.png": picture(np.zeros((30, 32, 3), np.uint8))},
                     "dog/5.png has 32 x 30 pixels"),
    "a name that climbs": ({**class_folders(), "../evil": b""}, "points outside"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_pictures_that_are_not_cifar_are_not_used_and_the_reason_is_given(cifar_folder, what):
    files, reason = FOREIGN[what]
    write(cifar_folder, {"x.zip": make_zip(files)})
    with pytest.warns(UserWarning, match=f"CIFAR-10: not taken from BOOK_DATA: .*{reason}"):
        loaded = data.cifar10()
    assert not loaded.real and "sample" in loaded.name


def test_a_picture_that_may_not_be_read_is_named(cifar_folder, monkeypatch):
    write_pictures(cifar_folder, False, class_folders())
    open_ = builtins.open

    def refuse(path, *args, **kwargs):
        if str(path).endswith("1.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return open_(path, *args, **kwargs)
    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.warns(UserWarning, match="Permission denied: .*1.png"):
        assert not data.cifar10().real


@pytest.mark.parametrize("error", [ImportError("No module named 'torchvision'"),
                                   RuntimeError("operator torchvision::nms does not exist")])
def test_a_torchvision_that_does_not_fit_is_named(cifar_folder, small_official, monkeypatch, error):
    write(cifar_folder, small_official[0])
    import_ = builtins.__import__

    def fail(name, *args, **kwargs):
        if name.startswith("torchvision"):
            raise error
        return import_(name, *args, **kwargs)
    monkeypatch.setattr(builtins, "__import__", fail)
    versions = rf"torch {re.escape(torch.__version__)} and torchvision {re.escape(version('torchvision'))}"
    with pytest.raises(ImportError, match=f"{versions}.*pip install --upgrade torch torchvision") as caught:
        data.cifar10()
    assert caught.value.__cause__ is error


@pytest.mark.slow
def test_torchvision_is_not_imported_before_it_is_needed():
    code = "import sys; from shared import data; data.wine(); print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "BOOK_DATA": "sample"}, cwd=Path(__file__).parents[1])
    assert done.stdout.split()[-1] == "False"
