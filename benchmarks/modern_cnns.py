"""AlexNet, VGG, NiN and GoogLeNet at 28x28, each with about the same number of multiply-adds.

    python -m benchmarks.modern_cnns          what the record does not have yet
    python -m benchmarks.modern_cnns short    one part of it: rates, short, long or vgg

Short: 10,000 images, twice; each row is one of five forms or has one thing changed, three seeds, judged on 5,000
validation images. The five forms get the best of three learning rates by the validation accuracy of the first seed;
every other row takes the rate of the form that it changes, but for those without normalisation. Runs with the same
seed see the same batches in the same order, and differences are taken seed by seed.

Long: 50,000 images, twice, three seeds, at the rates found; the test set is used once for each row and seed.
VGG: the same eight times over. Seconds are those of the processor, on one thread."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import common
from benchmarks.common import best_of
from benchmarks.models import channels_last
from shared import data
from shared.batches import Batches
from shared.devices import seed_all
from shared.training import cosine, evaluate, fit

NAME, BATCH_SIZE, SEEDS, RATES, VALIDATION = "modern_cnns", 64, range(3), (.001, .003, .01), 5_000
SHORT, LONG, LONGEST = (10_000, 2), (50_000, 2), (50_000, 8)  # images, epochs


# ---------------------------------------------------------------- the networks, as chapter 18 builds them

def conv(c_in: int, c_out: int, kernel_size: int, stride: int = 1, norm: bool = True) -> list[nn.Module]:
    layers = [nn.Conv2d(c_in, c_out, kernel_size, stride, kernel_size // 2, bias=not norm)]
    return [*layers, nn.BatchNorm2d(c_out), nn.ReLU()] if norm else [*layers, nn.ReLU()]


def dense_head(num_inputs: int, width: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(num_inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 10)]


def dense_for_mean(channels: int) -> list[nn.Module]:
    """In place of a mean over maps of 7x7."""
    return [nn.MaxPool2d(2), *dense_head(channels * 3 * 3, 128)]


def mean_head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def wide_lenet(norm: bool = True) -> nn.Module:
    return nn.Sequential(*conv(1, 16, 5, norm=norm), nn.MaxPool2d(2), *conv(16, 32, 5, norm=norm), nn.MaxPool2d(2),
                         *dense_head(32 * 7 * 7, 64))


def small_alexnet(norm: bool = True, widths: tuple = (20, 40, 48, 48, 40), second: tuple = (), stride: int = 2,
                  side: int = 2) -> nn.Module:
    a, b, c, d, e = widths
    middle, c_in = [], a
    for c_out, k in second or ((b, 5),):
        middle += conv(c_in, c_out, k, norm=norm)
        c_in = c_out
    return nn.Sequential(*conv(1, a, 5, stride, norm), nn.MaxPool2d(3, 2), *middle, *conv(b, c, 3, norm=norm),
                         *conv(c, d, 3, norm=norm), *conv(d, e, 3, norm=norm), nn.MaxPool2d(3, 2),
                         *dense_head(e * side * side, 256))


def small_vgg(norm: bool = True, last: tuple = ((48, 3), (48, 3)), head: Callable | None = None) -> nn.Module:
    layers, c = [], 1
    for block in (((16, 3),), ((32, 3),), last):
        for c_out, k in block:
            layers += conv(c, c_out, k, norm=norm)
            c = c_out
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, *(head(c) if head else dense_head(c * 3 * 3, 128)))


def small_nin(norm: bool = True, widths: tuple = (16, 32, 48), mixing: int = 2, head: Callable | None = None,
              rectified: bool = True) -> nn.Module:
    def block(c_in: int, c_out: int) -> list[nn.Module]:
        return conv(c_in, c_out, 3, norm=norm) + sum(
            (conv(c_out, c_out, 1, norm=norm) for _ in range(mixing)), [])
    a, b, c = widths
    body = [*block(1, a), nn.MaxPool2d(2), *block(a, b), nn.MaxPool2d(2), *block(b, c)]
    scores = block(c, 10) if rectified else block(c, 10)[:-1]
    end = head() if head else [*scores, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*body, *end)


class Inception(nn.Module):
    def __init__(self, in_channels: int, c1: int, c2: tuple, c3: tuple, c4: int, norm: bool = True,
                 keep: Sequence[int] = range(4)):
        super().__init__()
        paths = (conv(in_channels, c1, 1, norm=norm),
                 conv(in_channels, c2[0], 1, norm=norm) + conv(*c2, 3, norm=norm),
                 conv(in_channels, c3[0], 1, norm=norm) + conv(*c3, 5, norm=norm),
                 [nn.MaxPool2d(3, stride=1, padding=1)] + conv(in_channels, c4, 1, norm=norm))
        self.paths = nn.ModuleList(nn.Sequential(*paths[k]) for k in keep)
        self.out_channels = sum((c1, c2[1], c3[1], c4)[k] for k in keep)

    def forward(self, X: Tensor) -> Tensor:
        return torch.cat([path(X) for path in self.paths], dim=1)


SIZES = ((8, (12, 24), (4, 8), 8), (16, (16, 32), (8, 16), 16), (32, (32, 64), (8, 16), 16))


def small_googlenet(norm: bool = True, keep: Sequence[int] = range(4), head: Callable = mean_head) -> nn.Module:
    first = Inception(16, *SIZES[0], norm, keep)
    second = Inception(first.out_channels, *SIZES[1], norm, keep)
    third = Inception(second.out_channels, *SIZES[2], norm, keep)
    return nn.Sequential(*conv(1, 16, 3, norm=norm), nn.MaxPool2d(2), first, nn.MaxPool2d(2), second, third,
                         *head(third.out_channels))


def one_path(norm: bool = True, widths: tuple = (28, 48, 60)) -> nn.Module:
    """3x3 convolutions in place of the Inception blocks, with as many multiply-adds."""
    a, b, c = widths
    return nn.Sequential(*conv(1, 16, 3, norm=norm), nn.MaxPool2d(2), *conv(16, a, 3, norm=norm), nn.MaxPool2d(2),
                         *conv(a, b, 3, norm=norm), *conv(b, c, 3, norm=norm), *mean_head(c))


def as_deep() -> nn.Module:
    """In place of each block a 1x1 and a 3x3: one path, of two layers, with as many channels in the end."""
    layers, c = [], 16
    for k, (narrow, c_out) in enumerate(((12, 48), (16, 80), (16, 128))):
        layers += [*conv(c, narrow, 1), *conv(narrow, c_out, 3), *[nn.MaxPool2d(2)] * (k == 0)]
        c = c_out
    return nn.Sequential(*conv(1, 16, 3), nn.MaxPool2d(2), *layers, *mean_head(c))


def no_bottlenecks() -> nn.Module:
    """The 3x3 and the 5x5 read all channels, and there are fewer channels, so that the work is the same."""
    blocks = []
    for c_in, c1, c2, c3, c4 in ((16, 6, 14, 5, 5), (30, 10, 20, 9, 10), (49, 16, 36, 8, 8)):
        block = Inception(c_in, c1, (1, c2), (1, c3), c4)
        block.paths[1] = nn.Sequential(*conv(c_in, c2, 3))
        block.paths[2] = nn.Sequential(*conv(c_in, c3, 5))
        blocks.append(block)
    return nn.Sequential(*conv(1, 16, 3), nn.MaxPool2d(2), blocks[0], nn.MaxPool2d(2), *blocks[1:], *mean_head(68))


class WithAuxiliary(nn.Module):
    """GoogLeNet with scores of its own after the first block; they count in training only."""
    def __init__(self):
        super().__init__()
        net = small_googlenet()
        self.start, self.rest = net[:5], net[5:]
        self.side = nn.Sequential(*mean_head(SIZES[0][0] + SIZES[0][1][1] + SIZES[0][2][1] + SIZES[0][3]))

    def forward(self, X: Tensor) -> Tensor:
        H = self.start(X)
        self.aside = self.side(H) if self.training else None
        return self.rest(H)

    def loss(self, scores: Tensor, y: Tensor) -> Tensor:
        l = F.cross_entropy(scores, y)
        return l if self.aside is None else l + .3 * F.cross_entropy(self.aside, y)


@dataclass(frozen=True)
class Row:
    build: Callable[[], nn.Module]
    rate_of: str = ""  # of which row it takes the learning rate; "": the best of three


FORMS = {"LeNet, wider": Row(wide_lenet), "AlexNet": Row(small_alexnet), "VGG": Row(small_vgg),
         "NiN": Row(small_nin), "GoogLeNet": Row(small_googlenet)}
CHANGES = {
    "LeNet, not normalised": Row(lambda: wide_lenet(False)),
    "AlexNet, two 3x3 for its 5x5": Row(lambda: small_alexnet(second=((36, 3), (40, 3))), "AlexNet"),
    "AlexNet, stride 1, narrower": Row(lambda: small_alexnet(widths=(12, 17, 20, 20, 16), stride=1, side=6),
                                       "AlexNet"),
    "AlexNet, not normalised": Row(lambda: small_alexnet(False)),
    "VGG, not normalised": Row(lambda: small_vgg(False)),
    "VGG, one 5x5 for two 3x3": Row(lambda: small_vgg(last=((43, 5),)), "VGG"),
    "VGG, mean for dense": Row(lambda: small_vgg(head=mean_head), "VGG"),
    "VGG, mean, not normalised": Row(lambda: small_vgg(False, head=mean_head)),
    "NiN, dense for mean": Row(lambda: small_nin(head=lambda: dense_for_mean(48)), "NiN"),
    "NiN, dense, not normalised": Row(lambda: small_nin(False, head=lambda: dense_for_mean(48))),
    "NiN, no 1x1": Row(lambda: small_nin(mixing=0), "NiN"),
    "NiN, no 1x1, wider": Row(lambda: small_nin(widths=(20, 40, 62), mixing=0), "NiN"),
    "NiN, no ReLU on the scores": Row(lambda: small_nin(rectified=False), "NiN"),
    "NiN, no ReLU, not normalised": Row(lambda: small_nin(False, rectified=False)),
    "GoogLeNet, no 3x3 path": Row(lambda: small_googlenet(keep=(0, 2, 3)), "GoogLeNet"),
    "GoogLeNet, no 5x5 path": Row(lambda: small_googlenet(keep=(0, 1, 3)), "GoogLeNet"),
    "GoogLeNet, not normalised": Row(lambda: small_googlenet(False)),
    "GoogLeNet, dense for mean": Row(lambda: small_googlenet(head=dense_for_mean), "GoogLeNet"),
    "GoogLeNet, dense, not normalised": Row(lambda: small_googlenet(False, head=dense_for_mean)),
    "GoogLeNet, no bottlenecks": Row(no_bottlenecks, "GoogLeNet"),
    "GoogLeNet, one path of 3x3": Row(one_path, "GoogLeNet"),
    "GoogLeNet, one path, as deep": Row(as_deep, "GoogLeNet"),
    "GoogLeNet, auxiliary loss": Row(WithAuxiliary, "GoogLeNet"),
    "GoogLeNet, no 1x1 path": Row(lambda: small_googlenet(keep=(1, 2, 3)), "GoogLeNet"),
    "GoogLeNet, no pooling path": Row(lambda: small_googlenet(keep=(0, 1, 2)), "GoogLeNet"),
}
ROWS = FORMS | CHANGES


# ------------------------------------------------------------------------------------------ the measuring

def he(m: nn.Module) -> None:
    if isinstance(m, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        if m.bias is not None:
            nn.init.zeros_(m.bias)


def train(build: Callable[[], nn.Module], rate: float, examples: tuple, num_epochs: int, seed: int,
          judge: tuple | None = None):
    """The trained network, the seconds that it took the processor, the curve over the epochs on ``judge``."""
    seed_all(seed)
    net = build().apply(he).to(memory_format=torch.channels_last)
    batches = Batches(examples, BATCH_SIZE, shuffle=True, seed=seed, transforms=[channels_last])
    started = time.process_time()
    record = fit(net, batches, judge and Batches(judge, 500, transforms=[channels_last]), num_epochs=num_epochs,
                 optimizer=torch.optim.Adam(net.parameters(), lr=rate), schedule=cosine(.1),
                 loss=getattr(net, "loss", None), mixed=False, progress=False, verbose=False)
    return net, time.process_time() - started, record.test_accuracy


def accuracy(net: nn.Module, examples: tuple, pixels: int = 0) -> float:
    X, y = examples
    X = F.pad(X[..., :X.shape[-1] - pixels], (pixels, 0))
    return evaluate(net, Batches((X, y), 500, transforms=[channels_last])).accuracy


class Runs(common.Runs):
    def __init__(self):
        self.fashion = data.fashion_mnist()
        self.X, self.y = self.fashion.train
        self.validation = self.X[-VALIDATION:], self.y[-VALIDATION:]
        super().__init__(NAME, "AlexNet, VGG, NiN and GoogLeNet at 28x28, equal work", data=self.fashion.name,
                         batch_size=BATCH_SIZE, short=SHORT, long=LONG, longest=LONGEST, validation=VALIDATION)

    def some(self, number: int) -> tuple:
        return self.X[:number], self.y[:number]


def short(runs: Runs) -> None:
    images, epochs = SHORT
    first, *seeds = SEEDS
    for name in runs.missing("short", ROWS):
        row = ROWS[name]

        def measure(rate: float, seed: int = first, build: Callable = row.build) -> tuple:
            net, seconds, _ = train(build, rate, runs.some(images), epochs, seed)
            return accuracy(net, runs.validation), accuracy(net, runs.validation, 4), seconds

        rate, got = best_of(measure, [runs.rows["short"][row.rate_of]["lr"]] if row.rate_of else RATES)
        got = [got, *(measure(rate, seed) for seed in seeds)]
        values = dict(zip(("accuracy", "moved", "seconds"), map(list, zip(*got))))
        runs.add("short", name, {"lr": rate, **values})


def long(runs: Runs, part: str = "long", rows: Sequence[str] = tuple(FORMS)) -> None:
    images, epochs = LONG if part == "long" else LONGEST
    for name in runs.missing(part, rows):
        rate, got, curves = runs.rows["short"][name]["lr"], [], []
        for seed in SEEDS:
            net, seconds, curve = train(FORMS[name].build, rate, runs.some(images), epochs, seed, runs.validation)
            got.append((accuracy(net, runs.fashion.test), accuracy(net, runs.fashion.test, 4), seconds))
            curves.append([round(a, 4) for a in curve])
        values = dict(zip(("accuracy", "moved", "seconds"), map(list, zip(*got))))
        runs.add(part, name, {"lr": rate, **values, "curves": curves})


PARTS = {"short": short, "long": long, "vgg": lambda runs: long(runs, "longest", ("VGG",))}


def main(parts: Sequence[str] = tuple(PARTS)) -> None:
    runs = Runs()
    for part in parts:
        PARTS[part](runs)


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(PARTS))
