"""Each erratum of chapter 17: the mistake does what the errata page says, and so does the mend."""

import ast
import importlib
import math

import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchvision import datasets


def compiles(source):
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def test_erratum_17_01():
    """n_blocks * [ResBlock()]: one block, used n times."""
    def block():
        return nn.Conv2d(8, 8, 3, padding=1)
    shared, own = nn.Sequential(*(10 * [block()])), nn.Sequential(*[block() for _ in range(10)])
    one = sum(p.numel() for p in block().parameters())
    assert len(shared) == len(own) == 10
    assert sum(p.numel() for p in shared.parameters()) == one
    assert sum(p.numel() for p in own.parameters()) == 10 * one


class NetDropout(nn.Module):
    """As in the source."""
    def __init__(self, n_chans1=32):
        super().__init__()
        self.n_chans1 = n_chans1
        self.conv1 = nn.Conv2d(3, n_chans1, kernel_size=3, padding=1)
        self.conv1_dropout = nn.Dropout2d(p=.4)
        self.conv2 = nn.Conv2d(n_chans1, n_chans1 // 2, kernel_size=3, padding=1)
        self.conv2_dropout = nn.Dropout2d(p=.4)
        self.fc1 = nn.Linear(8 * 8 * n_chans1 // 2, 32)
        self.fc2 = nn.Linear(32, 2)

    def forward(self, x):
        out = self.conv1_dropout(F.max_pool2d(torch.tanh(self.conv1(x)), 2))
        out = self.conv2_dropout(F.max_pool2d(torch.tanh(self.conv2(out)), 2))
        out = out.view(-1, 8 * 8 * self.n_chans1 // 2)
        return self.fc2(torch.tanh(self.fc1(out)))


def validate(model, loader):
    """As in the source: no_grad, but no eval()."""
    correct = total = 0
    with torch.no_grad():
        for imgs, labels in loader:
            predicted = model(imgs).argmax(dim=1)
            total += len(labels)
            correct += int((predicted == labels).sum())
    return correct / total


def test_erratum_17_02():
    """validate() leaves dropout on, and normalisation takes note of what it is shown."""
    torch.manual_seed(0)
    net = NetDropout()
    X = torch.randn(200, 3, 32, 32)
    loader = DataLoader(TensorDataset(X, net.eval()(X).argmax(1)), batch_size=50)
    net.train()
    careless = {validate(net, loader) for _ in range(3)}
    assert max(careless) < 1 and len(careless) > 1
    assert validate(net.eval(), loader) == 1
    norm = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    before = norm[1].running_mean.clone()
    validate(norm.train(), loader)
    moved = norm[1].running_mean.clone()
    validate(norm.eval(), loader)
    assert not torch.equal(moved, before) and torch.equal(norm[1].running_mean, moved)


def test_erratum_17_03():
    """8 * 8 * n // 2 and n // 2 channels of 8 x 8: the same for even n only."""
    X = torch.randn(2, 3, 32, 32)
    assert NetDropout(32)(X).shape == (2, 2)
    with pytest.raises(RuntimeError):
        NetDropout(33)(X)
    assert 8 * 8 * (33 // 2) != 8 * 8 * 33 // 2


def test_erratum_17_04():
    """imshow draws what is above 1 as full brightness, not black."""
    figure, ax = plt.subplots()
    shown = ax.imshow(torch.tensor([[[-1.5, .5, 2.5]]]).numpy()).get_array()
    plt.close(figure)
    assert shown.ravel().tolist() == [0, .5, 1]


def test_erratum_17_05():
    """NLLLoss takes the mean, wants logarithms, and takes none itself."""
    torch.manual_seed(0)
    scores, y = torch.randn(6, 2), torch.tensor([0, 1, 1, 0, 1, 0])
    p = scores.softmax(1)
    total = -p[range(6), y].log().sum()
    loss = nn.NLLLoss()
    assert not torch.isclose(loss(scores.log_softmax(1), y), total)
    assert torch.isclose(loss(scores.log_softmax(1), y), total / 6)
    assert torch.isclose(loss(p, y), -p[range(6), y].mean()) and loss(p, y) < 0


def test_erratum_17_06():
    """The picture of the first cell is an image of PIL, and its class is one of ten."""
    img, label = Image.new("RGB", (32, 32)), 1                        # 1: automobile; of the two classes, a bird
    with pytest.raises(AttributeError):
        img.view(-1)
    names = ["airplane", "bird"]
    assert names[label] == "bird"


def test_erratum_17_07():
    """The loss that is printed is that of the last picture."""
    torch.manual_seed(0)
    net = nn.Linear(5, 2)
    X, y = torch.randn(100, 5) * 3, torch.randint(0, 2, (100,))
    losses = F.cross_entropy(net(X), y, reduction="none")
    last, of_all = losses.detach(), losses.mean().item()              # one network; the last picture can be any
    assert last.max() > 3 * of_all and last.min() < of_all / 3


def test_erratum_17_08():
    """Dataloader; the class is DataLoader."""
    assert not hasattr(torch.utils.data, "Dataloader") and hasattr(torch.utils.data, "DataLoader")


def test_erratum_17_09():
    """A mean of batch means weighs a short last batch too much."""
    losses = torch.cat([torch.zeros(128), torch.ones(16)])
    batches = losses.split(64)
    by_batch = sum(b.mean() for b in batches) / len(batches)
    assert math.isclose(by_batch, 1 / 3, rel_tol=1e-5) and math.isclose(losses.mean(), 16 / 144, rel_tol=1e-5)


def test_erratum_17_10():
    """data_path has no slash at its end."""
    data_path = "../data-unversioned/p1ch7"
    assert data_path + "birds_vs_airplanes.pt" == "../data-unversioned/p1ch7birds_vs_airplanes.pt"


def test_erratum_17_11():
    """all_acc_dict is filled and was never made."""
    with pytest.raises(NameError):
        exec('all_acc_dict["res deep"] = 1', {})
    exec('all_acc_dict = {}\nall_acc_dict["res deep"] = 1', {})


def test_erratum_17_12():
    """The loss that is reported contains the penalty; and weight_decay is twice lambda."""
    torch.manual_seed(0)
    net, lam = nn.Linear(20, 2), .001
    X, y = torch.randn(64, 20), torch.randint(0, 2, (64,))
    plain = F.cross_entropy(net(X), y)
    penalised = plain + lam * sum(p.pow(2).sum() for p in net.parameters())
    assert penalised.item() > plain.item()
    steps = []
    for loss, decay in ((penalised, 0), (plain, 2 * lam), (plain, lam)):
        other = nn.Linear(20, 2)
        other.load_state_dict(net.state_dict())
        for p, g in zip(other.parameters(), torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)):
            p.grad = g
        torch.optim.SGD(other.parameters(), lr=.1, weight_decay=decay).step()
        steps.append(other.weight.detach())
    assert torch.allclose(steps[0], steps[1], atol=1e-7) and not torch.allclose(steps[0], steps[2], atol=1e-7)


def test_erratum_17_13():
    """Evaluation uses an exponential average of the latest batches, not the statistics of all."""
    norm, means = nn.BatchNorm1d(1), []
    for k in range(100):
        X = torch.full((8, 1), float(k)) + torch.linspace(-1, 1, 8)[:, None]
        norm(X)
        means.append(X.mean().item())
    assert abs(norm.running_mean.item() - sum(means) / 100) > 30
    expected = 0.
    for m in means:
        expected = .9 * expected + .1 * m
    assert math.isclose(norm.running_mean.item(), expected, rel_tol=1e-4)
    averaging = nn.BatchNorm1d(1, momentum=None)                      # None: the plain mean of all batches
    for m in means:
        averaging(torch.full((8, 1), m) + torch.linspace(-1, 1, 8)[:, None])
    assert math.isclose(averaging.running_mean.item(), sum(means) / 100, rel_tol=1e-4)


def test_erratum_17_14():
    """The third positional argument of CIFAR10 is the transform."""
    import inspect
    names = list(inspect.signature(datasets.CIFAR10).parameters)
    assert names[:3] == ["root", "train", "transform"] and "download" in names


def test_erratum_17_15():
    """TRUE, NONE and FALSE are no names of Python."""
    for name in ("TRUE", "NONE", "FALSE"):
        with pytest.raises(NameError):
            eval(name, {})
    assert eval("True, None, False", {}) == (True, None, False)


def test_erratum_17_16():
    """torchvision.dataset; and what is printed was never made."""
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("torchvision.dataset")
    assert importlib.import_module("torchvision.datasets").CocoCaptions
    with pytest.raises(NameError):
        exec("print(target)", {})


def test_erratum_17_17():
    """The function of two phases does not compile."""
    assert not compiles("running_loss + = 1") and compiles("running_loss += 1")
    assert not compiles("f'{accuracy:{return loss}}'") and compiles("f'{accuracy:.2f}'")


def two_phases(net, X, y, phase, counted_in_training_only):
    """The structure of the source, its syntax mended."""
    optimizer = torch.optim.SGD(net.parameters(), lr=.1)
    loss_sum, right = 0.0, 0
    if phase == "training":
        optimizer.zero_grad()
    if phase == "training" or not counted_in_training_only:
        output = F.log_softmax(net(X), dim=1)
        loss = F.nll_loss(output, y)
        loss_sum += F.nll_loss(output, y, reduction="sum").item()
        right += int((output.argmax(1) == y).sum())
        if phase == "training":
            loss.backward()
            optimizer.step()
    return loss_sum / len(y), right / len(y)


def test_erratum_17_18():
    """Loss and accuracy are counted inside `if phase == 'training'`: validation reports zeros."""
    torch.manual_seed(0)
    net, X, y = nn.Linear(4, 2), torch.randn(50, 4), torch.randint(0, 2, (50,))
    assert two_phases(net, X, y, "validation", True) == (0, 0)
    loss, accuracy = two_phases(net, X, y, "validation", False)
    assert loss > 0 and accuracy > 0


def test_erratum_17_19():
    """`.data[0]` of a single number; it is `.item()`. And `volatile` is gone: it is `torch.no_grad()`."""
    loss = F.nll_loss(torch.randn(3, 2).log_softmax(1), torch.tensor([0, 1, 1]), reduction="sum")
    with pytest.raises(IndexError):
        loss.data[0]
    assert isinstance(loss.item(), float)
    with pytest.warns(UserWarning, match="volatile was removed"):
        torch.autograd.Variable(torch.ones(2), volatile=True)
    with torch.no_grad():
        assert not (nn.Linear(2, 1)(torch.ones(2))).requires_grad


def test_erratum_17_20():
    """Outputs computed twice in the validation loop: the same numbers, twice the work."""
    calls, net = [], nn.Linear(4, 2)
    net.register_forward_hook(lambda *_: calls.append(1))
    X = torch.randn(5, 4)
    outputs = net(X)
    again = net(X)
    assert torch.equal(outputs, again) and len(calls) == 2


def test_erratum_17_21():
    """Class names in a list, not in a dictionary: it is asked by number."""
    names = ["airplane", "automobile"]
    assert not isinstance(names, dict) and names[1] == "automobile"


def test_erratum_17_22():
    """Layers without weights cost nothing when they are registered."""
    def net(*extra):
        return nn.Sequential(nn.Linear(4, 4), *extra)
    bare, registered = net(), net(nn.Tanh(), nn.MaxPool1d(2))
    assert bare.state_dict().keys() == registered.state_dict().keys()
    assert sum(1 for _ in bare.parameters()) == sum(1 for _ in registered.parameters())
