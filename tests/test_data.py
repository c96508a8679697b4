"""Where data is looked for, and what happens when a server, an archive or a disk misbehaves."""

import errno
import gzip
import hashlib
import http.server
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shared import data

CONTENT = b"It was a dark and stormy night.\n" * 4000  # 128 kB


class Handler(http.server.BaseHTTPRequestHandler):
    """The first part of the path names the misbehaviour."""

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        mode = self.path.split("/")[1]
        self.server.asked.append(mode)
        body = self.server.bodies.get(mode, CONTENT)
        if mode.isdigit():
            self.send_error(int(mode))
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if mode == "wrong":
            body = body[:-1] + b"?"
        elif mode == "short":
            body = body[: len(body) // 2]
        elif mode == "stall":
            self.wfile.write(body[:1000])
            self.wfile.flush()
            self.server.over.wait(20)
            return
        elif mode == "drip":
            for i in range(200):
                try:
                    self.wfile.write(body[i:i + 1])
                    self.wfile.flush()
                except OSError:
                    return
                if self.server.over.wait(.05):
                    return
        elif mode == "slow":
            self.server.over.wait(.3)
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    s.daemon_threads = True
    s.asked, s.over, s.bodies = [], threading.Event(), {}
    threading.Thread(target=s.serve_forever, daemon=True).start()
    yield s
    s.over.set()
    s.shutdown()


def sha(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def mirrors(server, monkeypatch):
    """Point The Time Machine at mirrors that misbehave in the given ways, one after the other."""
    monkeypatch.delenv("BOOK_DATA", raising=False)
    monkeypatch.setattr(data, "PATIENCE", .6)
    root = f"http://127.0.0.1:{server.server_port}/"

    def use(*modes, **changes):
        file = data.File("timemachine.txt", sha(CONTENT), tuple(f"{root}{m}/timemachine.txt" for m in modes))
        spec = replace(data.SPECS["time-machine"], files=(replace(file, **changes),))
        monkeypatch.setitem(data.SPECS, "time-machine", spec)
        for name in set(data.SPECS) - {"time-machine"}:
            monkeypatch.delitem(data.SPECS, name)
    return use


def in_cache():
    folder = data.cache_folder()
    return sorted(p.name for p in folder.rglob("*") if p.is_file()) if folder.exists() else []


# ------------------------------------------------------------------------------ downloads

@pytest.mark.parametrize("mode", ["good", "slow"])
def test_right_bytes_are_kept_and_not_fetched_again(server, mirrors, mode, capsys):
    mirrors(mode)
    assert data.time_machine().source == "network"
    again = data.time_machine()
    assert again.source == "cache" and again.text.encode() == CONTENT
    assert server.asked == [mode] and in_cache() == ["timemachine.txt"]
    assert capsys.readouterr().out == "The Time Machine: real data (network)\n"  # said once


BAD = {"wrong": "hash", "short": "", "404": "404", "500": "500", "stall": "", "drip": "slower than"}


@pytest.mark.parametrize("mode", BAD)
def test_a_broken_mirror_leaves_the_cache_clean_and_the_next_is_tried(server, mirrors, mode):
    mirrors(mode, "good")
    assert data.time_machine().source == "network"
    assert server.asked == [mode, "good"] and in_cache() == ["timemachine.txt"]


@pytest.mark.parametrize("mode", BAD)
def test_without_a_good_mirror_the_sample_is_used_and_the_cause_named(server, mirrors, mode):
    mirrors(mode)
    start = time.monotonic()
    with pytest.warns(UserWarning, match=f"(?s)127.0.0.1.*{BAD[mode]}.*BOOK_DATA"):
        loaded = data.time_machine()
    assert not loaded.real and "sample" in loaded.name and in_cache() == []
    assert time.monotonic() - start < 5


def test_no_network_is_noticed_once_for_all_sets(monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)
    calls = []

    def unreachable(url, **kwargs):
        calls.append(url)
        time.sleep(1)
        raise data.requests.ConnectionError
    monkeypatch.setattr(data.requests, "head", unreachable)
    start = time.monotonic()
    assert [data.find(name)[0] for name in data.SPECS] == ["sample"] * len(data.SPECS)
    assert time.monotonic() - start < data.PROBE_SECONDS + 1
    assert len(calls) == len(set(calls)) < 10


def test_a_name_server_that_hangs_costs_seconds_not_minutes(monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)
    monkeypatch.setattr(data, "PROBE_SECONDS", .5)
    monkeypatch.setattr(data.requests, "head", lambda url, **kwargs: time.sleep(8))
    start = time.monotonic()
    assert data.find("wine")[0] == "sample"
    assert time.monotonic() - start < 2


def _fetch_in_child(port, cache, queue):
    os.environ["BOOK_CACHE"] = cache
    file = data.File("timemachine.txt", sha(CONTENT), (f"http://127.0.0.1:{port}/slow/timemachine.txt",))
    data.SPECS["time-machine"] = replace(data.SPECS["time-machine"], files=(file,))
    data._online = True
    queue.put(data.find("time-machine")[0])


def test_two_processes_at_once_leave_one_good_file(server, tmp_path, monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    children = [context.Process(target=_fetch_in_child, args=(server.server_port, str(tmp_path / "both"), queue))
                for _ in range(2)]
    [c.start() for c in children]
    assert {queue.get(timeout=60) for _ in children} <= {"network", "cache"}
    [c.join() for c in children]
    files = [p for p in (tmp_path / "both").rglob("*") if p.is_file()]
    assert [p.read_bytes() for p in files] == [CONTENT]


def test_a_damaged_cache_is_replaced(server, mirrors):
    mirrors("good")
    data.time_machine()
    (data.cache_folder() / "timemachine" / "timemachine.txt").write_bytes(b"half")
    assert data.time_machine().text.encode() == CONTENT


def test_a_cache_that_cannot_be_written_gives_the_sample_and_says_why(mirrors, tmp_path, monkeypatch):
    mirrors("good")
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="(?s)Not a directory.*set BOOK_CACHE"):
        assert not data.time_machine().real


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_gives_the_sample_and_says_why(mirrors, tmp_path, monkeypatch):
    mirrors("good")
    (tmp_path / "ro").mkdir(mode=0o500)
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "ro"))
    with pytest.warns(UserWarning, match="(?s)Permission.*set BOOK_CACHE"):
        assert not data.time_machine().real


@pytest.mark.parametrize("number, message", [(errno.EROFS, "Read-only"), (errno.ENOSPC, "No space left")])
def test_a_file_system_that_refuses_gives_the_sample_and_says_why(mirrors, monkeypatch, number, message):
    mirrors("good")

    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(data.Path, "mkdir", refuse)
    with pytest.warns(UserWarning, match=f"(?s){message}.*set BOOK_CACHE"):
        assert not data.time_machine().real


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_leaves_no_half_file(server, tmp_path):
    """The child may write files of at most 10 kB, as on a disk that is full after that."""
    code = textwrap.dedent(f"""
        import resource, signal, warnings
        from dataclasses import replace
        from shared import data
        file = data.File("timemachine.txt", "{sha(CONTENT)}",
                         ("http://127.0.0.1:{server.server_port}/good/timemachine.txt",))
        data.SPECS["time-machine"] = replace(data.SPECS["time-machine"], files=(file,))
        data._online = True
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            print(data.time_machine().source)
        print(any("File too large" in str(w.message) for w in caught))
    """)
    environment = {**os.environ, "BOOK_CACHE": str(tmp_path / "full"), "BOOK_DATA": "",
                   "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment,
                          cwd=Path(__file__).parents[1])
    assert done.stdout.split()[-2:] == ["sample", "True"], done.stderr
    assert not [p for p in (tmp_path / "full").rglob("*") if p.is_file()]


# ------------------------------------------------------------------------------- archives

def make_zip(entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        for name, content in entries.items():
            z.writestr(name, content)
    return buffer.getvalue()


def make_tar(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as t:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:\\evil"])
def test_an_archive_that_climbs_out_is_refused_whole(tmp_path, make, name):
    path = tmp_path / "archive"
    path.write_bytes(make({"good": b"1", name: b"2"}))
    with pytest.raises(data.UnsafeArchive, match="points outside"):
        next(data.members(path))


def test_a_member_of_an_archive_is_checked_by_itself(server, mirrors):
    archive = make_zip({"folder/timemachine.txt": CONTENT, "folder/other": b"x"})
    server.bodies["zip"] = archive
    mirrors("zip", archive_hash="sha256:" + sha(archive), member="folder/timemachine.txt")
    assert data.time_machine().text.encode() == CONTENT
    mirrors("zip", archive_hash="sha256:" + sha(archive), member="folder/other")
    (data.cache_folder() / "timemachine" / "timemachine.txt").unlink()
    with pytest.warns(UserWarning, match="no folder/other with the expected bytes"):
        assert not data.time_machine().real


def test_an_evil_archive_from_the_network_changes_nothing(server, mirrors):
    archive = make_zip({"../../timemachine.txt": CONTENT})
    server.bodies["evil"] = archive
    mirrors("evil", archive_hash="sha256:" + sha(archive), member="../../timemachine.txt")
    with pytest.warns(UserWarning, match="UnsafeArchive"):
        assert not data.time_machine().real
    assert in_cache() == ["timemachine.txt"]  # the archive itself, whose bytes were as announced


# ------------------------------------------------------------------------- order of look-up

def put(root: Path, spec: data.Spec, content: bytes):
    path = root / spec.folder / spec.files[0].name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_order_is_folder_cache_network_sample(server, mirrors, monkeypatch, tmp_path):
    mirrors("good")
    spec = data.SPECS["time-machine"]
    put(tmp_path, spec, CONTENT)
    put(data.cache_folder(), spec, CONTENT)
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    assert data.time_machine().source == "BOOK_DATA"
    monkeypatch.setenv("BOOK_DATA", "sample")
    assert data.time_machine().source == "sample"
    monkeypatch.delenv("BOOK_DATA")
    assert data.time_machine().source == "cache"
    (data.cache_folder() / "timemachine" / "timemachine.txt").unlink()
    assert data.time_machine().source == "network"
    assert server.asked == ["good"]


def test_a_folder_with_other_bytes_is_not_used_silently(mirrors, monkeypatch, tmp_path):
    mirrors("404")
    put(tmp_path, data.SPECS["time-machine"], b"another edition")
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    with pytest.warns(UserWarning) as caught:
        assert not data.time_machine().real
    assert any("has other bytes" in str(w.message) for w in caught)


def test_a_folder_that_is_missing_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="not a folder.*'sample'"):
        data.wine()


def test_an_unknown_set_lists_the_known_ones():
    with pytest.raises(KeyError, match="fashion-mnist"):
        data.find("imagenet")


# ----------------------------------------------------------------------- the loaders' work

LOADERS = (data.fashion_mnist, data.cifar10, data.fra_eng, data.time_machine, data.house_prices, data.wine,
           data.bikes, data.pride_and_prejudice)


def check_shape(loaded):
    if isinstance(loaded, data.Images):
        size = {28: (1, 60_000), 32: (3, 50_000)}[loaded.train.X.shape[-1]]
        for part, n in ((loaded.train, size[1]), (loaded.test, 10_000)):
            X, y = part
            assert X.shape == (n, size[0], X.shape[-1], X.shape[-1]) and X.dtype == torch.uint8
            assert y.dtype == torch.int64
            assert torch.bincount(y).tolist() == [n // 10] * 10 if part.real else y.unique().tolist() == list(range(10))
            assert part.real == loaded.real
    elif isinstance(loaded, data.Text):
        assert len(loaded.text) > 150_000 and not loaded.text.startswith("\ufeff")
    else:
        assert len(loaded.train) > 1000 and (loaded.real or "sample" in loaded.name)


@pytest.mark.parametrize("load", LOADERS, ids=lambda f: f.__name__)
def test_every_set_loads_as_a_sample(load, monkeypatch, capsys):
    monkeypatch.setenv("BOOK_DATA", "sample")
    loaded = load()
    assert not loaded.real and "(built-in sample)" in loaded.name
    assert "built-in sample" in capsys.readouterr().out
    check_shape(loaded)


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
    buffer = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def class_folders():
    return {f"cifar/{part}/{label}/{i}.png": picture(10 * k + i)
            for part, count in (("train", 3), ("test", 2))
            for k, label in enumerate(data.CIFAR_LABELS) for i in range(count)}


def official_batches():
    rng = np.random.default_rng(0)
    return {f"cifar-10-batches-py/{name}": pickle.dumps(
        {b"data": rng.integers(0, 256, (4, 3072), dtype=np.uint8), b"labels": [0, 1, 2, 9]})
        for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]}


@pytest.fixture
def cifar_folder(monkeypatch, tmp_path):
    folder = tmp_path / "data" / "cifar10"
    folder.mkdir(parents=True)
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "data"))
    return folder


@pytest.mark.parametrize("zipped", [True, False])
def test_cifar_as_one_folder_per_class(cifar_folder, zipped):
    if zipped:
        (cifar_folder / "cifar.zip").write_bytes(make_zip(class_folders()))
    else:
        for name, content in class_folders().items():
            path = cifar_folder / Path(name).relative_to("cifar")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for _ in range(2):  # the second time from the decoded copy in the cache
        loaded = data.cifar10()
        assert loaded.real and loaded.train.X.shape == (30, 3, 32, 32) and loaded.test.X.shape == (20, 3, 32, 32)
        assert loaded.train.y.tolist() == [k for k in range(10) for _ in range(3)]
        assert loaded.train.X[:, 0, 0, 0].tolist() == [10 * k + i for k in range(10) for i in range(3)]


def test_cifar_as_torchvision_unpacks_it_equals_the_archive(cifar_folder, monkeypatch):
    archive = make_tar(official_batches())
    file = replace(data.SPECS["cifar10"].files[0], sha256=sha(archive))
    monkeypatch.setitem(data.SPECS, "cifar10", replace(data.SPECS["cifar10"], files=(file,)))
    (cifar_folder / "cifar-10-python.tar.gz").write_bytes(archive)
    packed = data.cifar10()
    (cifar_folder / "cifar-10-python.tar.gz").unlink()
    for name, content in official_batches().items():
        (cifar_folder / name).parent.mkdir(exist_ok=True)
        (cifar_folder / name).write_bytes(content)
    unpacked = data.cifar10()
    assert packed.train.X.shape == (20, 3, 32, 32)
    assert torch.equal(packed.train.X, unpacked.train.X) and torch.equal(packed.test.y, unpacked.test.y)


def test_a_zip_that_is_not_cifar_says_what_was_expected(cifar_folder):
    (cifar_folder / "x.zip").write_bytes(make_zip({"readme.txt": b"hello"}))
    with pytest.raises(ValueError, match="expected train/<class>"):
        data.cifar10()
