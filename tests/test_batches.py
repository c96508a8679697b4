import gc
import threading

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from shared.batches import Batches, normalize, random_flip, random_shift, resize

sizes = st.integers(1, 60)


@given(n=sizes, batch_size=st.integers(1, 70), seed=st.integers(0, 5))
def test_every_epoch_is_a_permutation_with_the_short_last_batch_kept(n, batch_size, seed):
    batches = Batches((torch.arange(n), torch.arange(n) * 2), batch_size, shuffle=True, seed=seed, device="cpu")
    for _ in range(2):
        seen = list(batches)
        assert len(seen) == len(batches)
        assert all(len(X) == batch_size for X, _ in seen[:-1])
        X, y = (torch.cat(parts) for parts in zip(*seen))
        assert sorted(X.tolist()) == list(range(n))
        assert torch.equal(y, X * 2)


def test_epochs_differ_and_a_seed_repeats_them():
    def epochs(seed):
        batches = Batches((torch.arange(50),), 50, shuffle=True, seed=seed)
        return [next(iter(batches))[0].tolist() for _ in range(2)]
    first, second = epochs(1)
    assert first != second
    assert epochs(1) == [first, second]
    assert epochs(2) != [first, second]


def test_without_shuffling_the_order_is_the_given_one():
    X = torch.cat([x for x, in Batches((torch.arange(10),), 3)])
    assert X.tolist() == list(range(10))


def test_images_stay_uint8_in_memory_and_come_out_as_float():
    pictures = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    batches = Batches((pictures, torch.zeros(3)), 3)
    assert batches.tensors[0].dtype == torch.uint8
    X, _ = next(iter(batches))
    assert X.dtype == torch.float32
    assert X.flatten().tolist() == pytest.approx([0, .2, 1])


def test_a_batch_is_a_copy_that_may_be_changed():
    source = torch.zeros(4, 2)
    next(iter(Batches((source,), 2)))[0].add_(1)
    assert source.sum() == 0


def test_streaming_gives_what_holding_gives():
    X, y = torch.randint(0, 256, (23, 1, 4, 4), dtype=torch.uint8), torch.arange(23)
    held, streamed = (Batches((X, y), 5, shuffle=True, seed=3, device_bytes=n) for n in (None, 100))
    assert held.resident and not streamed.resident
    for (a, b), (c, d) in zip(held, streamed, strict=True):
        assert torch.equal(a, c) and torch.equal(b, d)


def test_a_set_mapped_from_a_file_is_read_from_there(tmp_path):
    torch.arange(1000, dtype=torch.uint8).numpy().tofile(tmp_path / "set")
    mapped = torch.from_file(str(tmp_path / "set"), size=1000, dtype=torch.uint8).view(100, 10)
    batches = Batches((mapped,), 7, device_bytes=0, shuffle=True, block_size=10)
    assert batches.tensors[0].data_ptr() == mapped.data_ptr()
    seen = torch.cat([X for X, in batches]).mul(255).round().to(torch.uint8)
    assert torch.equal(seen[seen[:, 0].argsort()], mapped[mapped[:, 0].argsort()])


@given(n=sizes, block_size=st.integers(2, 9))
@example(n=58, block_size=3)  # the short last block comes into the first group for this seed
def test_shuffled_blocks_are_a_permutation_that_keeps_neighbours_near(n, block_size):
    order = Batches((torch.arange(n),), 4, shuffle=True, block_size=block_size).order()
    assert sorted(order.tolist()) == list(range(n))
    for block in torch.arange(n).split(block_size):
        places = torch.isin(order, block).nonzero()
        assert places.max() - places.min() < 16 * block_size
    if n % block_size == 0:  # a short block shifts the groups behind it
        assert all(len(set((group // block_size).tolist())) <= 16 for group in order.split(16 * block_size))


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


def test_state_resumes_the_sequence_of_orders():
    batches = Batches((torch.arange(30),), 30, shuffle=True)
    list(batches)
    state = batches.state_dict()
    following = next(iter(batches))[0]
    batches.load_state_dict(state)
    assert torch.equal(next(iter(batches))[0], following)


@pytest.mark.parametrize("examples, size, message", [
    ((torch.zeros(3), torch.zeros(4)), 2, r"equally many examples, got \[3, 4\]"),
    ((torch.zeros(3),), 0, "whole number from 1 up, got 0"),
    ((torch.zeros(3),), 2.5, "got 2.5"),
    (([1, 2, 3],), 2, "must be tensors"),
    ((), 2, "must be tensors"),
])
def test_bad_input_is_explained(examples, size, message):
    with pytest.raises(ValueError, match=message):
        Batches(examples, size)


def test_transforms_work_on_whole_batches():
    X = torch.rand(6, 3, 8, 8)
    whitened = normalize(X.mean((0, 2, 3)).tolist(), X.std((0, 2, 3)).tolist())(X)
    assert whitened.mean((0, 2, 3)).abs().max() < 1e-5
    assert resize(4)(X).shape == (6, 3, 4, 4)
    torch.manual_seed(0)
    flipped = random_flip(X)
    mirrored = [torch.equal(f, x.flip(-1)) for f, x in zip(flipped, X)]
    kept = [torch.equal(f, x) for f, x in zip(flipped, X)]
    assert all(m or k for m, k in zip(mirrored, kept)) and any(mirrored) and any(kept)


@given(pixels=st.integers(0, 3), seed=st.integers(0, 20))
def test_a_shift_moves_every_image_whole_and_fills_with_zeros(pixels, seed):
    torch.manual_seed(seed)
    X = torch.rand(4, 2, 6, 6) + 1
    moved = random_shift(pixels)(X)
    padded = torch.nn.functional.pad(X, (pixels,) * 4)
    for x, m in zip(padded, moved):
        windows = x.unfold(1, 6, 1).unfold(2, 6, 1)  # (2, shifts, shifts, 6, 6)
        assert (windows == m[:, None, None]).all((0, 3, 4)).any()
