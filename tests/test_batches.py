"""shared.batches: every example once, what is held and when, shares of processes, transforms."""

import contextlib
import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.nn import functional as F

from shared import batches as module
from shared.batches import Batches, normalize, random_flip, random_shift, resize, whole_number
from shared.data import Examples
from shared.text import windows

sizes = st.integers(1, 60)


def generator(seed):
    return torch.Generator().manual_seed(seed)


# --- which examples, in which order

@given(n=sizes, batch_size=st.integers(1, 70), seed=st.integers(0, 5), streamed=st.booleans())
def test_every_epoch_is_a_permutation_with_the_short_last_batch_kept(n, batch_size, seed, streamed):
    batches = Batches((torch.arange(n), torch.arange(n) * 2), batch_size, shuffle=True, seed=seed,
                      device="cpu", device_bytes=0 if streamed else None)
    for _ in range(2):
        seen = list(batches)
        assert len(seen) == len(batches)
        assert all(len(X) == batch_size for X, _ in seen[:-1])
        X, y = (torch.cat(parts) for parts in zip(*seen))
        assert sorted(X.tolist()) == list(range(n))
        assert torch.equal(y, X * 2)


def test_the_orders_are_the_permutations_of_a_generator_with_that_seed():
    batches, g = Batches((torch.arange(50),), 50, shuffle=True, seed=7), generator(7)
    epochs = [next(iter(batches))[0] for _ in range(2)]
    assert all(torch.equal(epoch, torch.randperm(50, generator=g)) for epoch in epochs)
    unseeded = next(iter(Batches((torch.arange(50),), 50, shuffle=True)))[0]
    assert torch.equal(unseeded, torch.randperm(50, generator=generator(0)))


def test_without_shuffling_the_order_is_the_given_one():
    for options in ({}, {"block_size": 4}):
        X = torch.cat([x for x, in Batches((torch.arange(10),), 3, **options)])
        assert X.tolist() == list(range(10))


@given(n=sizes, block_size=st.integers(2, 9))
@example(n=58, block_size=3)  # the short last block comes into the first group for this seed
def test_shuffled_blocks_are_a_permutation_that_keeps_neighbours_near(n, block_size):
    order = Batches((torch.arange(n),), 4, shuffle=True, block_size=block_size).order()
    assert sorted(order.tolist()) == list(range(n))
    for block in torch.arange(n).split(block_size):
        places = torch.isin(order, block).nonzero()
        assert places.max() - places.min() < 16 * block_size


def test_blocks_are_shuffled_and_examples_within_sixteen_of_them():
    order = Batches((torch.arange(960),), 4, shuffle=True, block_size=10).order()
    groups = order.split(160)
    for group in groups:
        blocks = (group // 10).unique()
        assert len(blocks) == 16, "16 whole blocks in each group"
        assert blocks.max() - blocks.min() > 16, "they come from anywhere"
        assert len((group[:10] // 10).unique()) > 3, "their examples are mixed"


def test_the_state_resumes_the_sequence_of_orders():
    batches = Batches((torch.arange(30),), 30, shuffle=True)
    list(batches)
    state = batches.state_dict()
    following = next(iter(batches))[0]
    batches.load_state_dict(state)
    assert torch.equal(next(iter(batches))[0], following)


@pytest.mark.parametrize("size,batch_size", [(10, 4), (9, 4), (7, 7), (5, 2), (6, 3)])
@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("device_bytes", [None, 0])
def test_shares_make_up_the_batches(size, batch_size, world_size, device_bytes):
    def batches():
        return Batches((torch.arange(size), torch.arange(size)), batch_size, shuffle=True, device="cpu",
                       device_bytes=device_bytes)
    whole = [X for X, _ in batches()]
    parts = [[(X, counts) for (X, _), counts in batches().share(rank, world_size)]
             for rank in range(world_size)]
    assert all(len(part) == len(whole) for part in parts)
    for i, batch in enumerate(whole):
        for rank in range(world_size):
            share, counts = parts[rank][i]
            if len(batch) >= world_size:
                assert torch.equal(share, batch[rank::world_size]) and counts is True
            else:
                assert torch.equal(share, batch) and counts is (rank == 0)


# --- what a batch is

@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_stay_uint8_in_memory_and_come_out_between_0_and_1(channels):
    pictures = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, channels, 2, 2)
    batches = Batches((pictures, pictures), 3)
    assert batches.tensors[0].dtype == torch.uint8
    X, second = next(iter(batches))
    assert X.dtype == torch.float32 and X.shape == (3, channels, 2, 2)
    assert X[:, -1, 0, 1].tolist() == pytest.approx([0, .2, 1])
    assert second.dtype == torch.uint8, "only the first tensor is converted"


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 3, 4), (3, 2, 4, 4), (3, 5, 4, 4), (3, 1, 2, 4, 4)])
def test_other_small_numbers_are_not_scaled(shape):
    X, = next(iter(Batches((torch.full(shape, 7, dtype=torch.uint8),), 3)))
    assert X.dtype == torch.uint8 and (X == 7).all()


def test_pictures_of_another_type_are_not_scaled():
    X, = next(iter(Batches((torch.full((2, 1, 3, 3), 7),), 2)))
    assert X.dtype == torch.int64 and (X == 7).all()


def test_a_batch_is_a_copy_that_may_be_changed():
    for device_bytes in (None, 0):
        source = torch.zeros(4, 2)
        next(iter(Batches((source,), 2, device_bytes=device_bytes)))[0].add_(1)
        assert source.sum() == 0


def test_transforms_change_the_first_tensor_one_after_another():
    batches = Batches((torch.ones(4), torch.ones(4)), 2, transforms=[lambda X: X + 1, lambda X: X * 3])
    for X, y in batches:
        assert X.tolist() == [6, 6] and y.tolist() == [1, 1]


def test_name_and_origin_are_those_of_the_examples():
    batches = Batches(Examples(torch.zeros(3, 2), torch.zeros(3), "dots", False), 2, device="cpu")
    assert batches.name == "dots" and batches.real is False
    assert repr(batches) == "Batches(dots: 3 examples, 2 batches of 2, on cpu)"
    unnamed = Batches((torch.zeros(2000),), 2, device="cpu", device_bytes=0)
    assert unnamed.name == "" and unnamed.real is True
    assert repr(unnamed) == "Batches(tensors: 2,000 examples, 1000 batches of 2, streamed to cpu)"


# --- sets that are read ahead

def test_a_set_is_held_on_the_device_if_it_is_not_larger_than_allowed():
    X, y = torch.zeros(10, 2), torch.zeros(10)  # 80 and 40 bytes
    assert Batches((X, y), 2, device_bytes=120).resident
    assert not Batches((X, y), 2, device_bytes=119).resident
    assert Batches((X, y), 2, device="cpu").resident


def test_a_set_may_take_a_quarter_of_what_is_free_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4000, 9000))
    assert module._allowed_bytes(torch.device("cuda")) == 1000
    assert module._allowed_bytes(torch.device("cpu")) == float("inf")
    assert module._allowed_bytes(torch.device("mps")) == 2 * 2**30


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_streaming_gives_what_holding_gives(dtype):
    X, y = torch.randint(0, 256, (83, 1, 4, 4)).to(dtype), torch.arange(83)
    held, streamed = (Batches((X, y), 5, shuffle=True, seed=3, device_bytes=n) for n in (None, 100))
    assert held.resident and not streamed.resident
    for (a, b), (c, d) in zip(held, streamed, strict=True):
        assert a.dtype == c.dtype and torch.equal(a, c) and torch.equal(b, d)


def test_a_set_mapped_from_a_file_is_read_from_there(tmp_path):
    torch.arange(1000, dtype=torch.uint8).numpy().tofile(tmp_path / "set")
    mapped = torch.from_file(str(tmp_path / "set"), size=1000, dtype=torch.uint8).view(100, 10)
    batches = Batches((mapped,), 7, device_bytes=0, shuffle=True, block_size=10)
    assert batches.tensors[0].data_ptr() == mapped.data_ptr()
    seen = torch.cat([X for X, in batches])
    assert torch.equal(seen[seen[:, 0].argsort()], mapped[mapped[:, 0].argsort()])


class Rows:
    """Takes the place of the function that gathers rows, and knows which arrays are still held."""
    def __init__(self, monkeypatch):
        self.arrays, self.most, self.changed = [], 0, threading.Condition()
        monkeypatch.setattr(module, "_rows", self)

    def __call__(self, t, index):
        array = t.numpy()[index]
        with self.changed:
            self.arrays.append(weakref.ref(array))
            self.held()
            self.changed.notify_all()
        return torch.from_numpy(array)

    def held(self):
        now = sum(array.nbytes for ref in self.arrays if (array := ref()) is not None)
        self.most = max(self.most, now)
        return now

    def wait_for(self, count):
        """Nothing but the thread works meanwhile; False if it has not come so far after a long time."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.arrays) >= count, timeout=20)


@pytest.mark.parametrize("batches_allowed, portion", [(400, 16), (64, 16), (63, 15), (20, 5), (4, 1), (1, 1)])
def test_reading_ahead_holds_no_more_than_it_may(monkeypatch, batches_allowed, portion):
    """Batches of 5 x 8 bytes; a slow reader, who lets the thread come as far as it goes."""
    monkeypatch.setattr(module, "READ_AHEAD", batches_allowed * 40)
    rows, n = Rows(monkeypatch), 200
    for i, (X,) in enumerate(Batches((torch.arange(5 * n),), 5, device_bytes=0)):
        assert X.tolist() == list(range(5 * i, 5 * i + 5))
        ahead = min(i // portion + 3, -(-n // portion))  # the portion in use, and two more
        assert rows.wait_for(ahead), "the thread reads ahead without being asked"
        assert len(rows.arrays) == ahead
        rows.held()
    assert rows.most <= max(batches_allowed, 4) * 40
    assert rows.most >= 3 * portion * 40


def test_a_quarter_of_a_gigabyte_is_read_ahead_in_four_portions(monkeypatch):
    portions = []
    monkeypatch.setattr(module, "_read_ahead", lambda fetch, arguments: portions.extend(arguments) or [])
    list(Batches((torch.zeros(1, 1).expand(40, 2**22),), 2, device_bytes=0))  # batches of 32 MiB
    assert [len(portion) for portion in portions] == [2] * 10


@pytest.mark.slow
def test_rows_of_overlapping_windows_are_gathered_without_a_copy_of_the_whole(monkeypatch):
    """All windows of a corpus: as tensors of their own they would take two terabytes each."""
    monkeypatch.setattr(module, "READ_AHEAD", 0)
    X, y = windows(torch.arange(1_000_000), 500_000)
    first, second = next(iter(Batches((X, y), 1, device_bytes=0, shuffle=True)))
    assert torch.equal(first[0], first[0, 0] + torch.arange(500_000)) and torch.equal(second, first + 1)


def test_reading_ahead_passes_errors_on_and_ends_with_its_reader():
    threads = threading.active_count()
    batches = Batches((torch.arange(100),), 5, device_bytes=0)
    reader = batches._batches([torch.tensor([1])] * 16 + [torch.tensor([100])])
    for _ in range(16):
        next(reader)
    with pytest.raises(IndexError):
        next(reader)
    for _ in batches:
        break
    gc.collect()
    assert threading.active_count() == threads


def test_a_reader_who_stops_leaves_what_was_not_begun(monkeypatch):
    begun, second, done = [], threading.Event(), threading.Event()

    def fetch(i):
        begun.append(i)
        if i == 1:
            second.set()
            assert done.wait(20)
        return i

    class Executor(module.ThreadPoolExecutor):
        def shutdown(self, *args, **options):
            done.set()
            super().shutdown(*args, **options)
    monkeypatch.setattr(module, "ThreadPoolExecutor", Executor)
    reader = module._read_ahead(fetch, range(10))
    assert next(reader) == 0 and second.wait(20)
    reader.close()
    assert begun == [0, 1]


class FakeStream:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def record_event(self):
        self.log.append("copied")
        return f"event of {self.name}"

    def wait_event(self, event):
        self.log.append(f"{self.name} waits for {event}")


def test_a_gpu_copies_beside_its_work_and_waits_before_use(monkeypatch):
    """The calls in their order, with stand-ins for CUDA's streams."""
    log, gpu = [], torch.device("cuda", 1)

    @contextlib.contextmanager
    def using(stream):
        log.append(f"on {stream.name}")
        yield
        log.append(f"off {stream.name}")

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: FakeStream(f"side of {device}", log))
    monkeypatch.setattr(torch.cuda, "stream", using)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: FakeStream(f"main of {device}", log))
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda t: log.append("pinned") or t)
    monkeypatch.setattr(torch.Tensor, "to", lambda t, device, non_blocking=False: log.append(
        f"to {device}{' without waiting' if non_blocking else ''}") or t)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda t, stream: log.append(f"used by {stream.name}"))
    transfer, tensors = module._Transfer(gpu), [torch.zeros(2), torch.ones(2)]
    sent = transfer.send(tensors)
    assert log == ["on side of cuda:1", *["pinned", "to cuda:1 without waiting"] * 2, "copied",
                   "off side of cuda:1"]
    log.clear()
    received = transfer.receive(*sent)
    assert log == ["main of cuda:1 waits for event of side of cuda:1", *["used by main of cuda:1"] * 2]
    assert all(a is b for a, b in zip(received, tensors, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_streaming_to_a_gpu_gives_what_holding_there_gives():
    X, y = torch.randint(0, 256, (2000, 1, 28, 28), dtype=torch.uint8), torch.arange(2000)
    held, streamed = (Batches((X, y), 64, shuffle=True, device="cuda", device_bytes=n) for n in (None, 0))
    for (a, b), (c, d) in zip(held, streamed, strict=True):
        assert c.is_cuda and torch.equal(a @ a.mT, c @ c.mT) and torch.equal(b, d)


# --- what is refused

@pytest.mark.parametrize("examples, message", [
    ((torch.zeros(3), torch.zeros(4)), r"equally many examples, got \[3, 4\] \(shapes \[\(3,\), \(4,\)\]\)"),
    (([1, 2, 3],), r"must be tensors with a first axis that counts examples, got \['list'\]"),
    ((torch.zeros(3), torch.tensor(1.)), r"first axis .* got \['Tensor', 'Tensor'\]"),
    ((), r"must be tensors .* got \[\]"),
    (torch.zeros(3, 2), r"a tuple of tensors, got one tensor of shape \(3, 2\); write \(X, y\), or \(X,\)"),
    ((torch.zeros(0, 2), torch.zeros(0)), r"at least one example, got none \(shapes \[\(0, 2\), \(0,\)\]\)"),
])
def test_examples_that_cannot_be_used_are_refused_with_the_reason(examples, message):
    with pytest.raises(ValueError, match=message):
        Batches(examples, 2)


@pytest.mark.parametrize("size", [0, -1, 2.5, 2.0, True, "3", None, np.bool_(True), torch.zeros(2)])
@pytest.mark.parametrize("name", ["batch_size", "block_size"])
def test_sizes_that_are_not_whole_numbers_are_refused(name, size):
    with pytest.raises(ValueError, match=rf"^{name} must be a whole number from 1 up, got "):
        Batches((torch.zeros(3),), **{"batch_size": 2, name: size})


def test_the_refusal_shows_what_came():
    with pytest.raises(ValueError, match=r"^steps must be a whole number from 1 up, got '3'$"):
        whole_number("steps", "3")


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, torch.tensor])
def test_whole_numbers_of_any_library_are_sizes(kind):
    batches = Batches((torch.arange(5),), kind(1), block_size=kind(2), shuffle=True)
    assert type(batches.batch_size) is int and type(batches.block_size) is int
    assert len(batches) == len(list(batches)) == 5 and batches.block_size == 2


# --- transforms

def test_normalizing_gives_each_channel_mean_0_and_deviation_1():
    X = torch.rand(6, 3, 8, 8)
    whitened = normalize(X.mean((0, 2, 3)).tolist(), X.std((0, 2, 3)).tolist())(X)
    assert whitened.mean((0, 2, 3)).abs().max() < 1e-5
    assert whitened.std((0, 2, 3)).sub(1).abs().max() < 1e-5


def test_resizing_is_bilinear_between_the_centres_of_pixels():
    X = torch.rand(6, 3, 8, 6)
    assert resize(4)(X).shape == (6, 3, 4, 4)
    assert torch.allclose(resize(4)(X[..., :4])[..., 0], F.avg_pool2d(X, (2, 1))[..., 0])
    ramp = resize(4)(torch.tensor([[0., 1.], [0., 1.]])[None, None])[0, 0]
    assert torch.allclose(ramp, torch.tensor([0, .25, .75, 1]).expand(4, 4))


def test_about_half_of_the_images_are_mirrored_left_to_right():
    torch.manual_seed(0)
    X = torch.rand(1000, 3, 4, 5)
    flipped = random_flip(X)
    mirrored = (flipped == X.flip(-1)).flatten(1).all(1)
    kept = (flipped == X).flatten(1).all(1)
    assert (mirrored ^ kept).all() and 450 < mirrored.sum() < 550


@given(pixels=st.integers(0, 3), seed=st.integers(0, 20))
def test_a_shift_moves_every_image_whole_and_fills_with_zeros(pixels, seed):
    torch.manual_seed(seed)
    X = torch.rand(4, 2, 6, 5) + 1
    moved = random_shift(pixels)(X)
    assert moved.shape == X.shape
    padded = F.pad(X, (pixels,) * 4)
    for x, m in zip(padded, moved):
        windows = x.unfold(1, 6, 1).unfold(2, 5, 1)  # (2, shifts, shifts, 6, 5)
        assert (windows == m[:, None, None]).all((0, 3, 4)).any()


@pytest.mark.parametrize("padding", ["constant", "reflect"])
def test_each_image_of_a_batch_has_its_own_shift_and_all_shifts_occur(padding):
    torch.manual_seed(0)
    one = torch.rand(1, 1, 5, 4) + 1
    moved = random_shift(2, padding)(one.expand(500, 1, 5, 4))[:, 0]                 # (500, 5, 4)
    possible = F.pad(one, (2,) * 4, mode=padding)[0, 0].unfold(0, 5, 1).unfold(1, 4, 1)  # (5, 5, 5, 4)
    times = (moved[:, None, None] == possible).all((3, 4)).sum(0)                    # (5, 5)
    assert times.sum() == 500 and times.min() >= 5, "25 shifts, each about 20 times"


@pytest.mark.parametrize("name, transform", [("random_flip", random_flip), ("random_shift", random_shift(1))])
@pytest.mark.parametrize("shape", [(5, 8, 8), (8, 8), (2, 5, 1, 8, 8)])
def test_transforms_of_pictures_refuse_everything_else(name, transform, shape):
    with pytest.raises(ValueError, match=rf"{name} takes a batch \(examples, channels, height, width\), got "
                                         rf"shape \({', '.join(map(str, shape))}\)"):
        transform(torch.zeros(shape))
