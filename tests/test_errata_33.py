"""Each erratum of chapter 33: the mistake does what the errata page says, and so does the mend."""

import ast
import math
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

# Code of the source, whose lines are run as they stand there, with a Keras that only keeps books.
IMPORTS = """
import keras
from keras.datasets import mnist
from keras.models import Sequential
from keras.layers import Dense, Dropout, Flatten
from keras.layers import Conv2D, MaxPooling2D
import numpy as np
"""
DATA = """
batch_size = 128
num_classes = 10
epochs = 12
img_rows, img_cols = 28, 28
(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train = x_train.reshape(60000,28,28,1)
x_test = x_test.reshape(10000,28,28,1)
y_train = keras.utils.to_categorical(y_train, num_classes)
y_test = keras.utils.to_categorical(y_test, num_classes)
"""
TRAINING = """
model.compile(loss =
keras.losses.categorical_crossentropy,
optimizer = keras.optimizers.Adadelta(), metrics =
['accuracy'])
model.fit(x_train, y_train,
batch_size = batch_size, epochs = epochs,
verbose = 1, validation_data = (x_test, y_test))
score = model.evaluate(x_test, y_test, verbose = 0)
"""


class Books:
    """In place of a Keras model: what it is asked to do."""
    def __init__(self):
        self.asked = {}

    def compile(self, **how):
        self.asked["compile"] = how

    def fit(self, x, y, **how):
        self.asked["fit"] = {"x": x, "y": y, **how}

    def evaluate(self, x, y, **how):
        self.asked["evaluate"] = {"x": x, "y": y}
        return 0., 0.


@pytest.fixture
def keras(monkeypatch):
    """A package with the names that the source imports; its MNIST is white noise of the right shapes and type."""
    keras = ModuleType("keras")
    pixels = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28), dtype=np.uint8)
    labels = np.arange(60_000) % 10
    for name in ("datasets", "models", "layers", "utils", "losses", "optimizers"):
        setattr(keras, name, ModuleType(f"keras.{name}"))
        monkeypatch.setitem(sys.modules, f"keras.{name}", getattr(keras, name))
    keras.datasets.mnist = ModuleType("mnist")
    keras.datasets.mnist.load_data = lambda: ((pixels, labels), (pixels[:10_000], labels[:10_000]))
    keras.models.Sequential = Books
    for name in ("Dense", "Dropout", "Flatten", "Conv2D", "MaxPooling2D"):
        setattr(keras.layers, name, object())
    keras.utils.to_categorical = lambda y, num_classes: np.eye(num_classes, dtype=np.float32)[y]
    keras.losses.categorical_crossentropy = object()
    keras.optimizers.Adadelta = object
    monkeypatch.setitem(sys.modules, "keras", keras)
    return keras


def run(code, **names):
    exec(code, names)
    return names


class CausalConv1d(nn.Conv1d):
    def forward(self, X):
        return super().forward(F.pad(X, ((self.kernel_size[0] - 1) * self.dilation[0], 0)))


def looks_ahead(net, X):
    """Does any output depend on a later input? X (1, channels, steps)."""
    J = torch.autograd.functional.jacobian(lambda X: net(X).sum(1)[0], X)  # (steps, 1, channels, steps)
    return bool((J.abs().sum((1, 2)).triu(1) > 0).any())


def test_erratum_33_01(keras):
    """The model is compiled before there is one."""
    with pytest.raises(NameError, match="model"):
        run(IMPORTS + DATA + TRAINING)
    used = {node.id for node in ast.walk(ast.parse(DATA + TRAINING)) if isinstance(node, ast.Name)}
    assert not used & {"Sequential", "Dense", "Dropout", "Flatten", "Conv2D", "MaxPooling2D", "np"}  # imported for it
    assert "score" in run(IMPORTS + DATA + "model = Sequential()\n" + TRAINING)


def test_erratum_33_02(keras):
    """The test data are the validation data, and the score that is reported."""
    asked = run(IMPORTS + DATA + "model = Sequential()\n" + TRAINING)["model"].asked
    assert asked["fit"]["validation_data"][0] is asked["evaluate"]["x"]
    # what it is worth to choose the best of twelve epochs on what is reported: guessing, 10,000 examples of ten classes
    scores = (torch.rand(100, 12, 10_000, generator=torch.Generator().manual_seed(0)) < .1).float().mean(2)
    assert scores.max(1).values.mean() > .1 + .003 > scores[:, -1].mean() + .002
    mended = TRAINING.replace("x_train, y_train,\nbatch", "x_train[:50000], y_train[:50000],\nbatch").replace(
        "(x_test, y_test))", "(x_train[50000:], y_train[50000:]))")
    asked = run(IMPORTS + DATA + "model = Sequential()\n" + mended)["model"].asked
    assert len(asked["fit"]["x"]) == 50_000 and len(asked["fit"]["validation_data"][0]) == 10_000


def test_erratum_33_03(keras):
    """Pixels stay whole numbers from 0 to 255."""
    names = run(IMPORTS + DATA)
    assert names["x_train"].dtype == np.uint8 and names["x_train"].max() == 255
    X, y = torch.tensor(names["x_train"][:512]).flatten(1), torch.tensor(names["y_train"][:512])
    with pytest.raises(RuntimeError):  # a layer of real numbers does not take them
        nn.Linear(784, 10)(X)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    raw, scaled = (F.cross_entropy(net(X.float() / d), y).item() for d in (1, 255))
    assert raw > 4 * math.log(10) and scaled < 1.2 * math.log(10)  # a start far worse than guessing; as good as that


def test_erratum_33_04(keras):
    """Adadelta without a rate: Keras's default, 0.001, is a thousandth of the one with which it was published."""
    g = torch.Generator().manual_seed(0)
    X = torch.randn(512, 20, generator=g)
    y = (X @ torch.randn(20, 10, generator=g)).argmax(1)

    def loss_after(lr, steps=300):
        torch.manual_seed(0)
        net = nn.Linear(20, 10)
        optimizer = torch.optim.Adadelta(net.parameters(), lr=lr)
        for _ in range(steps):
            optimizer.zero_grad()
            l = F.cross_entropy(net(X), y)
            l.backward()
            optimizer.step()
        return l.item()

    assert "Adadelta()" in TRAINING
    assert loss_after(.001) > .98 * loss_after(.001, 1)  # hardly moved
    assert loss_after(1.) < .6 * loss_after(.001)


def test_erratum_33_05(keras):
    """Said to be a sequence model across two sequences: it has no steps, no target, nothing that is causal."""
    names = run(IMPORTS + DATA)
    assert names["x_train"].shape[1:] == (28, 28, 1) and names["y_train"].shape == (60_000, 10)  # one answer a picture
    torch.manual_seed(0)
    X = torch.randn(1, 28, 10)
    both_sides = nn.Conv1d(28, 4, 3, padding=1)  # as a picture is convolved, rows taken as steps
    assert looks_ahead(both_sides, X) and not looks_ahead(CausalConv1d(28, 4, 3), X)


def test_erratum_33_06():
    """"With PyTorch", but every import is of Keras."""
    packages = {name.split(".")[0] for node in ast.walk(ast.parse(IMPORTS)) for name in (
        [node.module] if isinstance(node, ast.ImportFrom) else
        [alias.name for alias in node.names] if isinstance(node, ast.Import) else [])}
    assert packages == {"keras", "numpy"}
    X = torch.randn(2, 3, 7)  # the mend: a layer of PyTorch that has steps
    assert CausalConv1d(3, 5, 2)(X).shape == (2, 5, 7)


def join(left, right, combine):
    return torch.tanh(combine(torch.cat([left, right])))


def test_erratum_33_07():
    """The network that reads a flat sequence is called by the name of the recursive one, "or RNN"."""
    torch.manual_seed(0)
    combine, (a, b, c, d) = nn.Linear(10, 5), torch.randn(4, 5)
    rnn = nn.RNN(5, 5)
    with torch.no_grad():
        rnn.weight_ih_l0[:], rnn.weight_hh_l0[:] = combine.weight.chunk(2, 1)
        rnn.bias_ih_l0[:], rnn.bias_hh_l0[:] = combine.bias, 0.
    flat = rnn(torch.stack([c, b, a]), d[None])[0][-1]
    to_the_right = join(a, join(b, join(c, d, combine), combine), combine)
    other = join(join(a, b, combine), join(c, d, combine), combine)
    assert torch.allclose(flat, to_the_right, atol=1e-6)  # a line is one tree
    assert not torch.allclose(flat, other, atol=.01)      # of many


def test_erratum_33_08():
    """A tensor network is said to have several kinds of composing nodes: it has one, used at every node."""
    torch.manual_seed(0)
    product, combine, words = nn.Bilinear(6, 6, 3, bias=False), nn.Linear(6, 3), torch.randn(8, 3)
    nn.init.normal_(product.weight, std=.3)
    calls = []

    def compose(left, right):
        x = torch.cat([left, right])
        calls.append(None)
        return torch.tanh(product(x, x) + combine(x))

    states = list(words)
    while len(states) > 1:
        states = [compose(a, b) for a, b in zip(states[::2], states[1::2])]
    assert len(calls) == 7 and sum(p.numel() for p in (product.weight, *combine.parameters())) == 3 * 6**2 + 6 * 3 + 3
    x = torch.cat([words[0], words[1]])
    by_hand = torch.stack([x @ V @ x for V in product.weight])  # what sets it apart: children are multiplied
    assert torch.allclose(product(x, x), by_hand, atol=1e-5) and by_hand.abs().max() > .1
