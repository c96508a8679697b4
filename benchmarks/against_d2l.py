"""The same work with the library of *Dive into Deep Learning* (d2l 0.17.6, whose functions the study
notes use) and with the idiom most people write today (torchvision data set, DataLoader).

Same model, start, data, batch size, optimizer and device on both sides, in turns, in one process. d2l
decodes, converts and collates every image anew each epoch, in four worker processes; `Batches` holds
the set as uint8 and cuts out batches.

    make bench-d2l        installs d2l into a folder of its own, then runs this
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch import nn

from benchmarks.characters import library_epoch, our_epoch, parameters
from benchmarks.common import save, take_turns
from benchmarks.models import channels_last, classic_lenet, linear, mlp
from shared import data
from shared.batches import Batches, resize
from shared.devices import get_device, seed_all
from shared.fetch import sources
from shared.text import SeqDataLoader, Vocab, letters_only
from shared.training import fit

ROUNDS = 5


@contextlib.contextmanager
def d2l_folder() -> Iterator[None]:
    """d2l looks for data in ``../data``: a folder with the unpacked files of Fashion-MNIST."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "data" / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        _, paths = next(sources("fashion-mnist", data.SPECS))
        for path in paths.values():
            with gzip.open(path) as packed, open(raw / path.stem, "wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        (Path(folder) / "work").mkdir()
        os.chdir(Path(folder) / "work")
        try:
            yield
        finally:
            os.chdir(before)


def go_through(batches: Iterable) -> None:
    for _ in batches:
        pass


def plain_epoch(net: nn.Module, loader: Iterable, optimizer: torch.optim.Optimizer) -> None:
    """The loop that everybody writes."""
    device, loss = next(net.parameters()).device, nn.CrossEntropyLoss()
    net.train()
    running = 0.0
    for X, y in loader:
        X, y = X.to(device), y.to(device)
        optimizer.zero_grad()
        l = loss(net(X), y)
        l.backward()
        optimizer.step()
        running += l.item()


def pair(model: Callable[[], nn.Module], lr: float) -> tuple:
    """Two equal models on the device, each with its optimizer."""
    made = []
    for _ in range(2):
        seed_all(0)
        net = model().to(get_device())
        made += [net, torch.optim.SGD(net.parameters(), lr=lr)]
    return tuple(made)


def images(d2l, fashion) -> dict:
    quiet = {"num_epochs": 1, "progress": False, "verbose": False}
    theirs, theirs_test = d2l.load_data_fashion_mnist(256)
    theirs_96, theirs_test_96 = d2l.load_data_fashion_mnist(256, resize=96)
    ours = Batches(fashion.train, 256, shuffle=True)
    ours_test = Batches(fashion.test, 256)
    ours_96 = Batches(fashion.train, 256, shuffle=True, transforms=[resize(96)])
    results = {"loader alone": take_turns(lambda: go_through(ours), lambda: go_through(theirs), ROUNDS),
               "loader, resized to 96": take_turns(lambda: go_through(ours_96), lambda: go_through(theirs_96), ROUNDS)}
    loss = nn.CrossEntropyLoss(reduction="none")
    for name, model in (("softmax", linear), ("MLP 256", mlp)):
        net, optimizer, their_net, updater = pair(model, .1)
        results[f"{name}, one training epoch"] = take_turns(
            lambda: fit(net, ours, optimizer=optimizer, **quiet),
            lambda: d2l.train_epoch_ch3(their_net, theirs, loss, updater), ROUNDS)
    net, optimizer, their_net, _ = pair(classic_lenet, .9)
    with contextlib.redirect_stdout(io.StringIO()):
        results["LeNet, one epoch with test"] = take_turns(
            lambda: fit(net, ours, ours_test, optimizer=optimizer, **quiet),
            lambda: d2l.train_ch6(their_net, theirs, theirs_test, 1, .9, get_device()), ROUNDS)
    if get_device().type == "cuda":  # an hour on a processor; here also in bfloat16 and channels last
        net, optimizer, their_net, _ = pair(lambda: d2l.resnet18(10, 1), .05)
        net.to(memory_format=torch.channels_last)
        ours_96, ours_test_96 = (
            Batches(part, 256, shuffle=part is fashion.train, transforms=[resize(96), channels_last])
            for part in (fashion.train, fashion.test))
        with contextlib.redirect_stdout(io.StringIO()):
            results["ResNet-18 at 96x96, one epoch with test"] = take_turns(
                lambda: fit(net, ours_96, ours_test_96, optimizer=optimizer, **quiet),
                lambda: d2l.train_ch6(their_net, theirs_96, theirs_test_96, 1, .05, get_device()), ROUNDS)
    return results


def idiom(fashion) -> dict:
    import torchvision
    from torch.utils.data import DataLoader
    from torchvision import transforms

    dataset = torchvision.datasets.FashionMNIST("../data", transform=transforms.ToTensor())
    ours, results = Batches(fashion.train, 256, shuffle=True), {}
    for workers in (0, 2, 4):
        loader = DataLoader(dataset, 256, shuffle=True, num_workers=workers)
        net, optimizer, their_net, their_optimizer = pair(mlp, .1)
        results[f"MLP 256, DataLoader with {workers} workers"] = take_turns(
            lambda: fit(net, ours, num_epochs=1, optimizer=optimizer, progress=False, verbose=False),
            lambda: plain_epoch(their_net, loader, their_optimizer), ROUNDS)
    return results


def characters(d2l) -> dict:
    text = letters_only(data.time_machine().text)
    corpus, device, results = Vocab(text).encode(text)[:10_000], get_device(), {}
    loader = SeqDataLoader(corpus, 32, 35, random=False, device=device)

    class Theirs:
        """d2l's loader on the same corpus: its own would download the text."""
        def __iter__(self):
            return d2l.seq_data_iter_sequential(corpus.tolist(), 32, 35)

    loss = nn.CrossEntropyLoss()
    scratch = d2l.RNNModelScratch(28, 512, device, lambda v, h, d: parameters(h, d),
                                  lambda b, h, d: (torch.zeros((b, h), device=d),), textbook_rnn)
    ours = parameters(512, device)
    sgd = torch.optim.SGD(ours, lr=1)
    results["character RNN from scratch, 512 hidden"] = take_turns(
        lambda: our_epoch(ours, loader, sgd),
        lambda: d2l.train_epoch_ch8(scratch, Theirs(), loss, lambda batch_size: d2l.sgd(scratch.params, 1, batch_size),
                                    device, False), ROUNDS)
    theirs = d2l.RNNModel(nn.GRU(28, 256), 28).to(device)
    net = nn.ModuleDict({"rnn": nn.GRU(28, 256), "out": nn.Linear(256, 28)}).to(device)
    their_sgd, our_sgd = torch.optim.SGD(theirs.parameters(), lr=1), torch.optim.SGD(net.parameters(), lr=1)
    results["character GRU of PyTorch, 256 hidden"] = take_turns(
        lambda: library_epoch(net, loader, our_sgd),
        lambda: d2l.train_epoch_ch8(theirs, Theirs(), loss, their_sgd, device, False), ROUNDS)
    return results


def textbook_rnn(inputs, state, params):
    """The forward function that d2l's chapter writes out (it is not part of its library)."""
    W_xh, W_hh, b_h, W_hq, b_q = params
    H, = state
    outputs = []
    for X in inputs:
        H = torch.tanh(torch.mm(X, W_xh) + torch.mm(H, W_hh) + b_h)
        outputs.append(torch.mm(H, W_hq) + b_q)
    return torch.cat(outputs, dim=0), (H,)


def main() -> None:
    try:
        from d2l import torch as d2l
    except ImportError as error:
        sys.exit(f"d2l cannot be imported ({error}): start this with make bench-d2l")
    fashion = data.fashion_mnist()
    if not fashion.real:
        sys.exit("the files of Fashion-MNIST are needed, for both sides; set BOOK_DATA")
    with d2l_folder():
        results = images(d2l, fashion) | idiom(fashion) | characters(d2l)
    save("against_d2l", "speed relative to d2l 0.17.6 and to a DataLoader", results, data=fashion.name,
         batch_size=256, rounds=ROUNDS)


if __name__ == "__main__":
    main()
