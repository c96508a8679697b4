"""As good as possible on two CPU cores: the program, its optimizer, and what chapters 20 and 21 show of its records."""

import pytest
import torch
from torch import nn

from benchmarks import two_cores
from benchmarks.common import load
from benchmarks.muon import Muon, orthogonal
from benchmarks.two_cores import TASKS, Candidate
from chapters import recorded_in, three


@pytest.mark.parametrize("name, chapter", [("fashion", "20_resnet"), ("cifar10", "21_inside_cnns")])
def test_what_a_chapter_shows_is_the_record(name, chapter):
    record, task = load(f"two_cores_{name}"), TASKS[name]
    (best, row), = record["settings"]["runs"]["test"].items()
    assert best == max(task.candidates, key=lambda n: record["settings"]["runs"]["validation"][n]["accuracy"])
    found = record["results"][f"{best}, test"]
    assert recorded_in(chapter, "two_cores") == {
        "six views": three(found["accuracy"], 4), "one view": three(found["plain"], 4),
        "seconds in all": three(found["seconds"], 0)}
    assert max(row["seconds"]) <= task.seconds and len(row["accuracy"]) == len(task.seeds)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (8, 8)])
def test_steps_are_orthogonal(shape):
    """Against the decomposition that they avoid."""
    torch.manual_seed(0)
    U, _, V = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    G = U @ torch.diag(torch.linspace(1, .3, len(V))) @ V
    found, exact = orthogonal(G, steps=5), U @ V
    assert found.shape == shape and found.dtype == G.dtype
    assert (found * exact).sum() / found.norm() / exact.norm() > .95
    assert torch.linalg.svdvals(found).min() > .5 and torch.linalg.svdvals(found).max() < 1.4
    assert torch.allclose(orthogonal(4 * G), orthogonal(G), atol=.01), "the size of the gradient does not count"


def test_kernels_keep_their_norm_and_what_is_not_learnt_stays():
    torch.manual_seed(0)
    net = two_cores.network(torch.randn(50, 3, 32, 32), (4, 4, 8))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = Muon(net, kernel_lr=.1)
    net(torch.randn(8, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    for (name, p), layer in ((pair, net[int(pair[0].split(".")[0])]) for pair in net.named_parameters()):
        fixed = not p.requires_grad
        assert torch.equal(p, before[name]) == fixed, name
        if isinstance(layer, nn.Conv2d) and p.requires_grad and p.ndim == 4:
            moved = p - before[name] * len(p) ** .5 / before[name].norm()
            assert .04 < torch.linalg.svdvals(moved.flatten(1)).max() < .16


def test_a_step_of_muon_is_of_about_equal_size_in_all_directions():
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, bias=False)
    skewed = torch.randn(6, 1) @ torch.randn(1, 36) + torch.randn(6, 36) / 5
    before, conv.weight.grad = conv.weight.detach().clone().flatten(1), skewed.view_as(conv.weight)
    optimizer = Muon(nn.Sequential(conv), kernel_lr=.1)
    optimizer.step()
    moved = conv.weight.detach().flatten(1) - before * 6 ** .5 / before.norm()
    S, moved = torch.linalg.svdvals(skewed), torch.linalg.svdvals(moved)
    assert S[-1] < S[0] / 10 and moved[-1] > moved[0] / 3
    after = conv.weight.detach().clone()
    optimizer.step()
    assert torch.equal(conv.weight, after), "without a gradient there is no step"
    assert any("velocity" in kept for kept in optimizer.state_dict()["state"].values())


def test_pictures_grow():
    growing, X = two_cores.Growing((4, 6, 8), 6), torch.arange(8.).expand(2, 3, 8, 8)
    sides = [tuple(growing(X).shape[-2:]) for _ in range(8)]
    assert sides == [(4, 4)] * 2 + [(6, 6)] * 2 + [(8, 8)] * 4
    assert growing(X) is X and two_cores.Growing((), 3)(X) is X
    between = two_cores.Growing((4,), 1)(X)[0, 0, 0]
    assert (between.diff() > 0).all() and between.mean() == pytest.approx(3.5)


def test_slower_cores_train_for_fewer_epochs(monkeypatch):
    """On a clock by which a training takes some seconds, whatever its length, and then so many for each epoch of 5,000
    pictures."""
    def epochs(once, seconds):
        clock = [0.]

        def train(task, candidate, X, *_, **__):
            clock[0] += once + candidate.most_epochs * seconds * len(X) / 5000
            trained.append(len(X))
        monkeypatch.setattr(two_cores.time, "perf_counter", lambda: clock[0])
        monkeypatch.setattr(two_cores, "BATCH_SIZE", 500)
        monkeypatch.setattr(two_cores, "train", train)
        X = torch.zeros(50_000, 1)
        return two_cores.plan(TASKS["cifar10"], Candidate((4, 4, 4), 17, .1, 0), X, X, mixed=False)

    trained = []
    assert epochs(once=3, seconds=.5) == 17                             # 5 seconds an epoch
    assert epochs(once=3, seconds=2) == epochs(once=0, seconds=2) == 14  # 20 seconds: 280 / 20
    assert epochs(once=1, seconds=1000) == 2
    assert set(trained) == {5000, 10_000}


@pytest.mark.parametrize("side", [16, 24, 32])
def test_the_network_is_that_of_the_gpu_with_relu(side):
    X = torch.randn(4, 3, side, side)
    net = two_cores.network(X, (4, 4, 4))
    assert not any(isinstance(layer, nn.GELU) for layer in net)
    assert sum(isinstance(layer, nn.ReLU) for layer in net) == 7
    assert net(X).shape == (4, 10)


def test_one_square_of_each_picture_is_wiped_out():
    torch.manual_seed(0)
    X = torch.ones(200, 3, 12, 12)
    gone = two_cores.wipe_out(4)(X) == 0
    assert (gone == gone[:, :1]).all(), "in all channels alike"
    rows, columns = gone[:, 0].any(2).sum(1), gone[:, 0].any(1).sum(1)
    assert torch.equal(gone[:, 0].sum((1, 2)), rows * columns), "a rectangle"
    assert rows.max() == columns.max() == 5 and rows.min() >= 3, "at the edge a part of it lies outside"
    assert gone[:, 0].any(0).all(), "anywhere"
    assert (X == 1).all()


def test_it_learns_at_small_size(monkeypatch):
    """Four sorts of pictures: with more red or not, with more blue or not."""
    monkeypatch.setattr(two_cores, "BATCH_SIZE", 50)
    g = torch.Generator().manual_seed(0)
    y = torch.randint(4, (1500,), generator=g)
    X = torch.randint(90, (1500, 3, 32, 32), generator=g)
    X[:, 0] += (80 * (y % 2)).view(-1, 1, 1)
    X[:, 2] += (80 * (y // 2)).view(-1, 1, 1)
    X = X.to(torch.uint8)
    found = two_cores.run(TASKS["cifar10"], Candidate((8, 8, 8), 4, .1, moved=1, wiped=4, sides=(24, 32)),
                          (X[:1000], y[:1000]), (X[1000:], y[1000:]), seed=0, mixed=False)
    assert found["accuracy"] > .9 and found["epochs"] == 4 and found["seconds"] > 0
