"""Where data is looked for, and what happens when a server, an archive or a disk misbehaves."""

import errno
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
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pooch
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import data, fetch

pytestmark = pytest.mark.usefixtures("own_cache")

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
    monkeypatch.setattr(fetch, "PATIENCE", .6)
    root = f"http://127.0.0.1:{server.server_port}/"

    def use(*modes, **changes):
        file = fetch.File("timemachine.txt", sha(CONTENT), tuple(f"{root}{m}/timemachine.txt" for m in modes))
        spec = replace(data.SPECS["time-machine"], files=(replace(file, **changes),))
        monkeypatch.setitem(data.SPECS, "time-machine", spec)
        for name in set(data.SPECS) - {"time-machine"}:
            monkeypatch.delitem(data.SPECS, name)
    return use


def in_cache():
    folder = fetch.cache_folder()
    return sorted(p.name for p in folder.rglob("*") if p.is_file()) if folder.exists() else []


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(fetch, "_online", False)
    monkeypatch.delenv("BOOK_DATA", raising=False)


def places(name):
    """Which places have the set, each with the names of its files."""
    return [(source, sorted(paths)) for source, paths in fetch.sources(name, data.SPECS)]


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
    with pytest.warns(UserWarning, match=f"(?s)127.0.0.1.*{BAD[mode]}.*BOOK_DATA"):
        loaded = data.time_machine()
    assert not loaded.real and "sample" in loaded.name and in_cache() == []


def test_a_mirror_that_fails_without_a_word_is_passed_over_too(server, mirrors, monkeypatch):
    mirrors("good", "good")
    retrieve, calls = fetch.pooch.retrieve, []

    def silent(*args, **kwargs):
        calls.append(args[0])
        if len(calls) == 1:
            raise TimeoutError
        return retrieve(*args, **kwargs)
    monkeypatch.setattr(fetch.pooch, "retrieve", silent)
    assert data.time_machine().source == "network" and len(calls) == 2


class Dripping:
    """A response that sends ``sizes`` bytes, one number a second."""

    def __init__(self, sizes):
        self.sizes, self.seconds, self.asked, self.raw = list(sizes), 0, {}, self

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def raise_for_status(self):
        self.checked = True

    def read1(self, amount, decode_content):
        assert decode_content and amount >= 1 << 10
        if self.seconds == len(self.sizes):
            return b""
        self.seconds += 1
        return bytes(self.sizes[self.seconds - 1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([1, 10_000, 19_999, 20_000, 20_001, 40_000]), min_size=1, max_size=60))
def test_a_download_may_take_ten_seconds_and_one_more_for_each_20_kB(monkeypatch, tmp_path, sizes):
    drip = Dripping(sizes)

    def get(url, **kwargs):
        drip.asked = kwargs
        return drip
    monkeypatch.setattr(fetch.requests, "get", get)
    monkeypatch.setattr(fetch.time, "monotonic", lambda: 1e6 + drip.seconds)
    late = [k for k in range(1, len(sizes) + 1) if k > 10 + sum(sizes[:k]) / 20_000]
    path = tmp_path / "file"
    if late:
        with pytest.raises(TimeoutError, match="slower than 20 kB/s"):
            fetch._download("http://x/y", str(path), None)
        assert drip.seconds == late[0]
    else:
        fetch._download("http://x/y", str(path), None)
        assert path.stat().st_size == sum(sizes)
    assert drip.checked and drip.asked == {"stream": True, "timeout": 10.0}


def test_no_network_is_noticed_once_for_all_sets(monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)
    calls = []

    def unreachable(url, **kwargs):
        calls.append((url.split("/")[2], kwargs))
        raise fetch.requests.ConnectionError
    monkeypatch.setattr(fetch.requests, "head", unreachable)
    assert [places(name) for name in data.SPECS] == [[]] * len(data.SPECS)
    hosts = {url.split("/")[2] for spec in data.SPECS.values() for file in spec.files for url in file.urls}
    assert sorted(host for host, _ in calls) == sorted(hosts) and len(hosts) > 3
    assert all(kwargs == {"timeout": fetch.PROBE_SECONDS} for _, kwargs in calls)


@pytest.mark.parametrize("reachable", [0, 1])
def test_one_host_that_answers_is_a_network(monkeypatch, reachable):
    def head(url, **kwargs):
        if url != f"http://{reachable}/":
            raise fetch.requests.ConnectionError
    monkeypatch.setattr(fetch.requests, "head", head)
    assert fetch.is_online(["http://0/", "http://1/"])


def test_a_name_server_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(fetch, "PROBE_SECONDS", .2)
    over, ended = threading.Event(), []

    def hang(url, **kwargs):
        over.wait(30)
        ended.append(url)
    monkeypatch.setattr(fetch.requests, "head", hang)
    try:
        assert not fetch.is_online(["http://0/", "http://1/"]) and ended == []
    finally:
        over.set()


def _fetch_in_child(port, cache, queue):
    os.environ["BOOK_CACHE"] = cache
    file = fetch.File("timemachine.txt", sha(CONTENT), (f"http://127.0.0.1:{port}/slow/timemachine.txt",))
    data.SPECS["time-machine"] = replace(data.SPECS["time-machine"], files=(file,))
    fetch._online = True
    queue.put(data.time_machine().source)


@pytest.mark.slow
def test_two_processes_at_once_leave_one_good_file(server, tmp_path, monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    arguments = server.server_port, str(tmp_path / "both"), queue
    children = [context.Process(target=_fetch_in_child, args=arguments) for _ in range(2)]
    [c.start() for c in children]
    assert {queue.get(timeout=60) for _ in children} <= {"network", "cache"}
    [c.join() for c in children]
    files = [p for p in (tmp_path / "both").rglob("*") if p.is_file()]
    assert [p.read_bytes() for p in files] == [CONTENT]


def test_a_damaged_cache_is_replaced(server, mirrors, own_cache):
    mirrors("good")
    data.time_machine()
    (own_cache / "timemachine" / "timemachine.txt").write_bytes(b"half")
    with pytest.warns(UserWarning, match="not taken from cache: .*timemachine.txt has other bytes"):
        assert data.time_machine().text.encode() == CONTENT
    assert data.time_machine().source == "cache" and server.asked == ["good", "good"]


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
    monkeypatch.setattr(fetch.Path, "mkdir", refuse)
    with pytest.warns(UserWarning, match=f"(?s){message}.*set BOOK_CACHE"):
        assert not data.time_machine().real


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_leaves_no_half_file(server, tmp_path):
    """The child may write files of at most 10 kB, as on a disk that is full after that."""
    code = textwrap.dedent(f"""
        import resource, signal, warnings
        from dataclasses import replace
        from shared import data, fetch
        file = fetch.File("timemachine.txt", "{sha(CONTENT)}",
                          ("http://127.0.0.1:{server.server_port}/good/timemachine.txt",))
        data.SPECS["time-machine"] = replace(data.SPECS["time-machine"], files=(file,))
        fetch._online = True
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
    with pytest.raises(fetch.Unusable, match="points outside"):
        next(fetch.members(path))


def test_a_member_of_an_archive_is_checked_by_itself(server, mirrors):
    archive = make_zip({"folder/timemachine.txt": CONTENT, "folder/other": b"x"})
    server.bodies["zip"] = archive
    mirrors("zip", archive_hash="sha256:" + sha(archive), member="folder/timemachine.txt")
    assert data.time_machine().text.encode() == CONTENT
    mirrors("zip", archive_hash="sha256:" + sha(archive), member="folder/other")
    (fetch.cache_folder() / "timemachine" / "timemachine.txt").unlink()
    with pytest.warns(UserWarning, match="no folder/other with the expected bytes"):
        assert not data.time_machine().real


def test_an_evil_archive_from_the_network_changes_nothing(server, mirrors):
    archive = make_zip({"../../timemachine.txt": CONTENT})
    server.bodies["evil"] = archive
    mirrors("evil", archive_hash="sha256:" + sha(archive), member="../../timemachine.txt")
    with pytest.warns(UserWarning, match="points outside"):
        assert not data.time_machine().real
    assert in_cache() == ["timemachine.txt"]  # the archive itself, whose bytes were as announced


ENTRIES = {"a": bytes(range(256)) * 8, "b": b"2"}
ZIP, TAR = make_zip(ENTRIES), make_tar(ENTRIES)


@pytest.mark.parametrize("damaged", [b"no archive", b"", ZIP[:len(ZIP) // 2], TAR[:len(TAR) // 2],
                                     ZIP.replace(b"\1\2\3", b"\1\2\4", 1)],
                         ids=["none", "empty", "half a zip", "half a tar", "flipped"])
def test_a_damaged_archive_is_unusable_and_named(tmp_path, damaged):
    path = tmp_path / "archive"
    path.write_bytes(damaged)
    with pytest.raises(fetch.Unusable, match="archive is no zip or tar archive, or a damaged one"):
        list(fetch.members(path))


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_members_are_names_and_bytes_of_files_only(tmp_path, make):
    path = tmp_path / "archive"
    path.write_bytes(make({"a/b": b"1", "c": b"22"}))
    assert list(fetch.members(path)) == [("a/b", b"1"), ("c", b"22")]


# ------------------------------------------------------------------------- order of look-up

def put(root: Path, spec: fetch.Spec, content: bytes):
    path = root / spec.folder / spec.files[0].name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_order_is_folder_cache_network_sample(server, mirrors, monkeypatch, tmp_path):
    mirrors("good")
    spec = data.SPECS["time-machine"]
    put(tmp_path, spec, CONTENT)
    put(fetch.cache_folder(), spec, CONTENT)
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    assert data.time_machine().source == "BOOK_DATA"
    monkeypatch.setenv("BOOK_DATA", "sample")
    assert data.time_machine().source == "sample"
    monkeypatch.delenv("BOOK_DATA")
    assert data.time_machine().source == "cache"
    (fetch.cache_folder() / "timemachine" / "timemachine.txt").unlink()
    assert data.time_machine().source == "network"
    assert server.asked == ["good"]


# -------------------------------------------------------------------- folders that disappoint

@pytest.mark.parametrize("place", ["BOOK_DATA", "cache"])
def test_other_bytes_are_not_used_silently(offline, monkeypatch, tmp_path, own_cache, place):
    root = tmp_path / "data" if place == "BOOK_DATA" else own_cache
    put(root, data.SPECS["time-machine"], b"another edition")
    if place == "BOOK_DATA":
        monkeypatch.setenv("BOOK_DATA", str(root))
    with pytest.warns(UserWarning, match=f"not taken from {place}: .*timemachine.txt has other bytes"):
        assert not data.time_machine().real


def test_a_missing_file_is_named_and_a_missing_folder_is_not(offline, monkeypatch, tmp_path, recwarn):
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    assert places("house-prices") == [] and not recwarn.list
    (tmp_path / "house-prices").mkdir()
    with pytest.warns(UserWarning, match="No such file.*kaggle_house_pred_train.csv"):
        assert places("house-prices") == []


@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.parametrize("place", ["BOOK_DATA", "cache"])
def test_what_may_not_be_read_is_named(offline, monkeypatch, tmp_path, own_cache, place, what):
    """Permissions cannot be taken from an administrator: the system's answers are simulated."""
    root = tmp_path / "data" if place == "BOOK_DATA" else own_cache
    put(root, data.SPECS["time-machine"], CONTENT)
    if place == "BOOK_DATA":
        monkeypatch.setenv("BOOK_DATA", str(root))
    closed, stat, open_ = root / "timemachine", fetch.Path.stat, open

    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def no_open(path, *args, **kwargs):
        return refuse(path) if str(path).startswith(str(closed)) else open_(path, *args, **kwargs)

    def no_stat(path, **kwargs):
        return refuse(path) if what == "folder" and closed in path.parents else stat(path, **kwargs)
    monkeypatch.setattr("builtins.open", no_open)
    monkeypatch.setattr(fetch.Path, "stat", no_stat)
    with pytest.warns(UserWarning, match=f"not taken from {place}: .*Permission denied: .*timemachine.txt"):
        assert not data.time_machine().real


@pytest.mark.parametrize("a_file", [True, False])
def test_a_data_folder_that_is_none_is_an_error(monkeypatch, tmp_path, a_file):
    path = tmp_path / "nowhere"
    if a_file:
        path.write_text("")
    monkeypatch.setenv("BOOK_DATA", str(path))
    with pytest.raises(ValueError, match="nowhere is not a folder.*'sample'"):
        data.wine()


# ------------------------------------------------------------------------ what settings name

@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """A repository with a folder of notebooks, which is the working directory; and a home."""
    for folder in ("book/notebooks", "home"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(fetch, "ROOT", tmp_path / "book")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "book" / "notebooks")
    monkeypatch.delenv("BOOK_DATA", raising=False)
    return tmp_path


def test_without_a_setting_the_cache_is_where_the_system_keeps_such_things(monkeypatch):
    monkeypatch.delenv("BOOK_CACHE")
    assert fetch.cache_folder() == Path(pooch.os_cache("deep-learning-you-can-check"))


def test_what_could_not_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError):
        fetch._write_atomically(tmp_path / "there", b"a file cannot take the place of a folder")
    assert [p.name for p in tmp_path.iterdir()] == ["there"]


SETTINGS = {"~/d": "home/d", "d": "book/d", "./d": "book/d", "../d": "d"}


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_know_the_home_folder_and_count_from_the_repository(elsewhere, monkeypatch, setting):
    wanted = elsewhere / SETTINGS[setting]
    monkeypatch.setenv("BOOK_CACHE", setting)
    assert fetch.cache_folder().resolve() == wanted  # not there yet: where it will be made
    spec = fetch.Spec("A", "a", "none", (fetch.File("a.txt", sha(CONTENT), ()),))
    put(wanted, spec, CONTENT)
    assert next(fetch.sources("a", {"a": spec}))[0] == "cache"
    monkeypatch.setenv("BOOK_DATA", setting)
    source, paths = next(fetch.sources("a", {"a": spec}))
    assert source == "BOOK_DATA" and paths["a.txt"].resolve() == wanted / "a" / "a.txt"


def test_the_working_directory_comes_before_the_repository(elsewhere, monkeypatch):
    (elsewhere / "book" / "d").mkdir()
    assert fetch.folder_of("d").resolve() == elsewhere / "book" / "d"
    (elsewhere / "book" / "notebooks" / "d").mkdir()
    assert fetch.folder_of("d").resolve() == elsewhere / "book" / "notebooks" / "d"


def test_the_repository_is_the_folder_above_the_package():
    assert fetch.ROOT == Path(data.__file__).resolve().parents[1]
    assert (fetch.ROOT / "shared").is_dir()


# --------------------------------------------------------------------------- decoded copies

ARRAYS = {"X": np.arange(12, dtype=np.uint8).reshape(3, 4), "y": np.array([3, 1, 2])}


def made(calls, arrays=ARRAYS):
    def make():
        calls.append(1)
        return arrays
    return make


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def test_what_was_decoded_is_kept_under_its_key():
    calls, other = [], {"X": np.zeros(2)}
    for _ in range(2):
        assert same(fetch.remembered("a", made(calls)), ARRAYS)
        assert same(fetch.remembered("b", made(calls, other)), other)
    assert len(calls) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_copy_is_made_anew(own_cache, position, flip, cut):
    calls = []
    fetch.remembered("a", made(calls))
    (path,) = (own_cache / "decoded").iterdir()
    content, calls[:] = bytearray(path.read_bytes()), []
    position %= len(content)
    content[position] ^= flip
    path.write_bytes(content[:position] if cut else content)
    for _ in range(2):
        assert same(fetch.remembered("a", made(calls)), ARRAYS)
    assert len(calls) == 1


def test_a_copy_with_code_in_it_is_not_run(own_cache, tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "evil",)
    buffer, calls = io.BytesIO(), []
    np.savez(buffer, X=np.array([Evil()], dtype=object))
    fetch.remembered("a", made(calls))
    (path,) = (own_cache / "decoded").iterdir()
    for payload in (buffer.getvalue(), pickle.dumps(Evil())):
        path.write_bytes(hashlib.sha256(payload).digest() + payload)
        assert same(fetch.remembered("a", made(calls)), ARRAYS)
    assert len(calls) == 3 and not (tmp_path / "evil").exists()


def test_a_copy_that_cannot_be_kept_is_made_each_time(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "file" / "cache"))
    calls = []
    for _ in range(2):
        assert same(fetch.remembered("a", made(calls)), ARRAYS)
    assert len(calls) == 2


def test_a_fingerprint_tells_names_bytes_and_order_but_not_where_the_folder_is(tmp_path):
    def of(folder, files):
        for name, content in files.items():
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_bytes(content)
        return fetch.fingerprint(tmp_path / folder, [tmp_path / folder / name for name in files])
    files = {"cat/1": b"a", "dog/2": b"b"}
    assert of("here", files) == of("there", files)
    others = [{"cat/1": b"b", "dog/2": b"a"}, {"dog/1": b"a", "cat/2": b"b"}, {"cat/1": b"a"},
              {"cat/1": b"ab"}, {"cat/1": b"", "dog/2": b"ab"}, {"dog/2": b"b", "cat/1": b"a"},
              {"cat/1": b"a", "dog/2": b"B"}]
    assert len({of(str(k), f) for k, f in enumerate([files, *others])}) == len(others) + 1
