"""The models that several programs measure, as the chapters build them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def linear() -> nn.Module:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.normal_(net[1].weight, std=.01)
    nn.init.zeros_(net[1].bias)
    return net


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def two_hidden_layers(dropout1: float = 0, dropout2: float = 0) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(dropout1),
                         nn.Linear(256, 256), nn.ReLU(), nn.Dropout(dropout2), nn.Linear(256, 10))


def lenet(activation: type[nn.Module], pool: type[nn.Module], start: Callable) -> nn.Module:
    net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), activation(), pool(2),
                        nn.Conv2d(6, 16, 5), activation(), pool(2), nn.Flatten(),
                        nn.Linear(400, 120), activation(), nn.Linear(120, 84), activation(),
                        nn.Linear(84, 10))
    for layer in net:
        if hasattr(layer, "weight"):
            start(layer.weight)
            nn.init.zeros_(layer.bias)
    return net


def classic_lenet() -> nn.Module:
    return lenet(nn.Sigmoid, nn.AvgPool2d, nn.init.xavier_uniform_)


def modern_lenet() -> nn.Module:
    return lenet(nn.ReLU, nn.MaxPool2d, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"))


def channels_last(X: Tensor) -> Tensor:
    """A transform for `Batches`: images (batch, channels, height, width) with the channels of a pixel
    side by side in memory."""
    return X.contiguous(memory_format=torch.channels_last)


class WithMirror(nn.Module):
    """The scores of an image and of its mirror image, added."""
    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, X: Tensor) -> Tensor:
        return self.net(X) + self.net(X.flip(-1))
