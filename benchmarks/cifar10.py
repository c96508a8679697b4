"""CIFAR-10 to 94 % as fast as possible on one GPU, in a program that can be read.

The recipe is that of airbench94 (Jordan 2024, which collects the ideas of Page 2019 and others), on the
book's own `Batches` and `fit`:

- a first layer that is not learnt but computed: 2x2 patches of the data, whitened, so that all its
  outputs matter equally from the first step (its bias is learnt);
- convolutions that start as the identity as far as their shape allows (Dirac);
- images on the device as uint8; each is mirrored every other epoch, and moved by up to two pixels;
- Nesterov's SGD, with a rate 64 times as large for the biases of batch normalisation, a rising and
  then falling rate, label smoothing, and an average of past weights that pulls the present ones;
- products in bfloat16, channels last;
- a test image is judged six times: moved by a pixel or not, mirrored or not.

    python -m benchmarks.cifar10"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common import save, spread
from benchmarks.models import WithMirror, channels_last
from shared import data
from shared.batches import Batches, normalize, random_shift
from shared.devices import get_device, mixed_precision, seed_all, synchronize
from shared.training import evaluate, fit

ACCURACY, EPOCHS, BATCH_SIZE, LR, WIDTHS = .94, 10, 1024, 1.5, (64, 256, 256)
SCALE = normalize([.4914, .4822, .4465], [.2470, .2435, .2616])


def whitening(X: Tensor, size: int = 2, epsilon: float = 5e-4) -> nn.Conv2d:
    """A convolution that turns the patches of X (images, channels, height, width) into uncorrelated
    numbers of equal variance, each with both signs: 2 * channels * size**2 outputs."""
    patches = F.unfold(X, size).transpose(1, 2).flatten(0, 1)         # (patches, channels * size**2)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    rows = vectors.T / (values[:, None] + epsilon).sqrt()             # (channels * size**2, the same)
    conv = nn.Conv2d(X.shape[1], 2 * len(rows), size)
    conv.weight.data = torch.cat([rows, -rows]).view_as(conv.weight)
    conv.weight.requires_grad_(False)
    nn.init.zeros_(conv.bias)
    return conv


def conv(inputs: int, outputs: int, convolution: type[nn.Conv2d] = nn.Conv2d) -> nn.Conv2d:
    layer = convolution(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight.data[:inputs])
    return layer


def norm(channels: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=.4)
    layer.weight.requires_grad_(False)
    return layer


def block(inputs: int, outputs: int, activation: type[nn.Module], convolution: type[nn.Conv2d]) -> list[nn.Module]:
    return [conv(inputs, outputs, convolution), nn.MaxPool2d(2), norm(outputs), activation(),
            conv(outputs, outputs, convolution), norm(outputs), activation()]


class Scale(nn.Module):
    def forward(self, X: Tensor) -> Tensor:
        return X / 9


def network(X: Tensor, widths: Sequence[int] = WIDTHS, activation: type[nn.Module] = nn.GELU,
            convolution: type[nn.Conv2d] = nn.Conv2d) -> nn.Sequential:
    """For scaled pictures like X, of 32 pixels a side, or as few as 16."""
    first = whitening(X)                                                        # 32 x 32 to 31 x 31
    channels = [first.out_channels, *widths]
    blocks = [layer for sizes in zip(channels, widths) for layer in block(*sizes, activation, convolution)]
    return nn.Sequential(first, activation(), *blocks, nn.AdaptiveMaxPool2d(1), nn.Flatten(),
                         nn.Linear(widths[-1], 10, bias=False), Scale())


def biases_and_others(net: nn.Sequential) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """What is learnt: the biases of batch normalisation, which have a rate of their own, and everything else."""
    biases = [layer.bias for layer in net if isinstance(layer, nn.BatchNorm2d)]
    return biases, [p for p in net.parameters() if p.requires_grad and not any(p is b for b in biases)]


class Lookahead(torch.optim.SGD):
    """SGD whose weights are pulled, every fifth step, to their running average (Zhang et al. 2019), the
    more strongly the nearer the end; after the last step they are that average."""
    def __init__(self, groups: list[dict], net: nn.Module, num_steps: int, **options):
        super().__init__(groups, **options)
        self.num_steps, self.steps = num_steps, 0
        self.values = [t for t in net.state_dict().values() if t.is_floating_point()]
        self.average = [t.clone() for t in self.values]

    @torch.no_grad()
    def step(self, closure: Callable | None = None) -> None:
        super().step(closure)
        self.steps += 1
        if self.steps % 5 == 0 or self.steps == self.num_steps:
            last = self.steps == self.num_steps
            keep = 1 if last else .95 ** 5 * (self.steps / self.num_steps) ** 3
            torch._foreach_lerp_(self.average, self.values, 1 - keep)
            torch._foreach_copy_(self.values, self.average)


def half_mirrored(X: Tensor) -> Tensor:
    """Pictures (n, channels, height, width), each mirrored with probability one half: those of the first epoch."""
    half = torch.rand(len(X)) < .5
    return torch.where(half.view(-1, 1, 1, 1).to(X.device), X.flip(-1), X)


class MirrorEveryOther:
    """Mirrors all images in every second epoch of so many batches."""
    def __init__(self, num_batches: int):
        self.num_batches, self.calls = num_batches, 0

    def __call__(self, X: Tensor) -> Tensor:
        epoch, self.calls = self.calls // self.num_batches, self.calls + 1
        return X.flip(-1) if epoch % 2 else X


class SixTimes(nn.Module):
    """The scores of an image, as it is and moved by one pixel up-left and down-right, each also mirrored."""
    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = WithMirror(net)

    def forward(self, X: Tensor) -> Tensor:
        wide, (h, w) = F.pad(X, (1,) * 4, mode="reflect"), X.shape[-2:]
        views = [(X, .5), (wide[..., :h, :w], .25), (wide[..., 2:, 2:], .25)]
        return sum(weight * self.net(V) for V, weight in views)


def triangle(progress: float) -> float:
    """From a fifth of the rate up to all of it, then down to 7 per cent."""
    return .2 + .8 * progress / .23 if progress < .23 else 1 - .93 * (progress - .23) / .77


def groups(net: nn.Sequential, rate: float = LR, faster: float = 64) -> list[dict]:
    """For an optimizer: biases of batch normalisation are so many times as fast as everything else."""
    biases, others = biases_and_others(net)
    decay = .002 / LR
    return [{"params": biases, "lr": faster * rate, "weight_decay": decay / faster},
            {"params": others, "lr": rate, "weight_decay": decay}]


def run(images: data.Images, seed: int, epochs: int = EPOCHS, widths: Sequence[int] = WIDTHS,
        batch_size: int = BATCH_SIZE) -> tuple[float, float, float]:
    """Test accuracy with six views and with one, and seconds from the data on the device to the
    accuracy with six views."""
    seed_all(seed)
    device = get_device()
    train = Batches((half_mirrored(images.train.X), images.train.y), batch_size, shuffle=True, seed=seed)
    train.transforms = (SCALE, random_shift(2, "reflect"), MirrorEveryOther(len(train)), channels_last)
    test = Batches(images.test, 2000, transforms=[SCALE, channels_last])
    synchronize(device)
    started = time.perf_counter()
    sample, _ = next(iter(Batches(train.tensors, 5000, transforms=[SCALE])))
    net = network(sample, widths).to(device).to(memory_format=torch.channels_last)
    fit(net, train, num_epochs=epochs, schedule=triangle, mixed=True, progress=False, verbose=False,
        optimizer=Lookahead(groups(net), net, epochs * len(train), momentum=.85, nesterov=True,
                            fused=device.type == "cuda" or None),
        loss=lambda scores, y: F.cross_entropy(scores.float(), y, label_smoothing=.2))
    with mixed_precision(device, True):
        accuracy = evaluate(SixTimes(net), test).accuracy  # a number: the device has finished
        seconds = time.perf_counter() - started
        plain = evaluate(net, test).accuracy
    return accuracy, plain, seconds


def main(seeds: range = range(10)) -> None:
    if get_device().type != "cuda":
        sys.exit("on a CPU this program would run for hours: it needs a GPU")
    images = data.cifar10()
    run(images, seed=0, epochs=1)  # warm up: kernels are chosen once
    accuracy, plain, seconds = zip(*(run(images, seed) for seed in seeds))
    save("cifar10", "seconds to 94 % on CIFAR-10",
         {"airbench94 on Batches and fit": {"accuracy": spread(accuracy), "plain": spread(plain),
                                            "seconds": spread(seconds), "epochs": EPOCHS}}, data=images.name)
    assert sum(accuracy) / len(accuracy) >= ACCURACY, accuracy


if __name__ == "__main__":
    main()
