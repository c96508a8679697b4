"""Two processes give the result of one: a small model with uneven batches, and a whole chapter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared import processes

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]

LIBUV = "0" if sys.platform == "win32" else "1"  # PyTorch for Windows is built without it

SMALL = """
import torch
from torch import nn
from shared.batches import Batches
from shared.training import cosine, evaluate, fit

g = torch.Generator().manual_seed(0)
X = torch.randn(203, 5, generator=g)          # batches of 64, 64, 64 and 11: uneven parts
y = (X.sum(1) > 0).long()
train = Batches((X, y), 64, shuffle=True, device="cpu")
test = Batches((X[:67], y[:67]), 33, device="cpu")   # the last batch has one example

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 2))

def run(net, train=train, test=test, schedule=cosine(), num_epochs=4, **options):
    optimizer = torch.optim.Adam(net.parameters(), .01)
    return fit(net, train, test, num_epochs=num_epochs, optimizer=optimizer, clip=.5, schedule=schedule,
               device="cpu", **options)

def buffers(net):
    return [b.double().sum().item() for b in net.buffers()]
"""

# Each ends with a list of numbers, `result`, that must not depend on how many processes there are. A bias before
# a normalisation has no gradient but rounding, of which Adam would make steps: so there is none.
PROGRAMS = {
    "a model": """
record = run(net)
result = record.train_loss + record.test_loss + [record.examples, evaluate(net, test).loss]
""",
    "batches that cannot be shared go whole to all, and one counts them": """
record = run(net, list(train), list(test), schedule=None)
result = record.train_loss + record.test_loss + [record.examples]
""",
    "batch normalisation sees the whole batch": """
net = nn.Sequential(nn.Linear(5, 16, bias=False), nn.BatchNorm1d(16), nn.Tanh(), nn.Unflatten(1, (4, 2, 2)),
                    nn.BatchNorm2d(4, affine=False, momentum=None), nn.Flatten(), nn.Linear(16, 2))
record = run(net)
result = record.train_loss + record.test_loss + buffers(net) + ["forward" in vars(net[1])]
""",
    "a batch smaller than the processes is normalised as in one": """
net = nn.Sequential(nn.Linear(5, 16, bias=False), nn.Unflatten(1, (4, 4)), nn.BatchNorm1d(4), nn.Flatten(),
                    nn.Tanh(), nn.Linear(16, 2))
record = run(net, Batches((X[:193], y[:193]), 64, shuffle=True, device="cpu"))   # the last batch has one example
result = record.train_loss + record.test_loss + buffers(net)
""",
    "without running statistics, measuring sees the whole batch, too": """
net = nn.Sequential(nn.Linear(5, 16, bias=False), nn.BatchNorm1d(16, track_running_stats=False), nn.Linear(16, 2))
record = run(net, test=Batches((X[:66], y[:66]), 33, device="cpu"))
result = record.train_loss + record.test_loss
""",
    "a head that is not used is left alone": """
class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.unused = net, nn.Linear(5, 3)
    def forward(self, X):
        return self.body(X)
two = TwoHeads()
record = run(two)
result = record.train_loss + record.test_loss + two.unused.weight.flatten().tolist()
""",
    "a checkpoint is written by one and read by all": """
import pathlib
run(net, schedule=None, num_epochs=2, checkpoint="run.pt")
second = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 2))
record = run(second, Batches((X, y), 64, shuffle=True, device="cpu"), schedule=None, checkpoint="run.pt")
result = record.train_loss + record.test_loss + [second[0].weight.sum().item()]
pathlib.Path("run.pt").unlink(missing_ok=True)
""",
    "what is drawn after training goes on as in one": """
run(nn.Sequential(nn.Linear(5, 16), nn.Linear(16, 2)))
result = torch.rand(3).tolist()
""",
}

# The masks of the two processes, gathered: only for two.
DROPOUT = """
import torch.distributed as dist
class Masks(nn.Dropout):
    def forward(self, X):
        Y = super().forward(torch.ones_like(X))
        if self.training and not hasattr(self, "first"):
            self.first = Y
        return X * Y
net.insert(1, Masks(.5))
run(net)
masks, drawn = [torch.zeros(32, 16) for _ in range(2)], [torch.zeros(3) for _ in range(2)]
dist.all_gather(masks, net[1].first)
dist.all_gather(drawn, torch.rand(3))
result = [torch.equal(*masks), torch.equal(*drawn)]
"""

DRIVER = """
import json, sys
from pathlib import Path
small, programs = json.loads(Path(sys.argv[0]).with_name("programs.json").read_text())
results = {}
for name, text in programs.items():
    space = {}
    exec(small + text, space)
    results[name] = space["result"]
print("RESULTS", json.dumps(results))
"""


def run(script: Path, processes: int, records: Path, **environment) -> str:
    """Run a script with torchrun on so many processes; its output."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}",
               "--master-addr=127.0.0.1", "--master-port=0", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"]
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    result = subprocess.run([*command, str(script)] if processes > 1 else [sys.executable, str(script)],
                            cwd=script.parent, capture_output=True, text=True, timeout=600,
                            env=plain | {"BOOK_RECORDS": str(records), "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg",
                                         "BOOK_PROGRESS": "0", "OMP_NUM_THREADS": "1", "BOOK_STATIC": "1",
                                         "BOOK_DEVICE": "cpu", "USE_LIBUV": LIBUV} | environment)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def results(folder: Path, processes: int, programs: dict[str, str], **environment) -> tuple[dict, str]:
    """Run programs one after the other, on so many processes: their results, and all that was printed."""
    (folder / "driver.py").write_text(DRIVER, encoding="utf-8")
    (folder / "programs.json").write_text(json.dumps([SMALL, programs]), encoding="utf-8")
    output = run(folder / "driver.py", processes, folder / f"{processes}.json", **environment)
    return json.loads(output.split("RESULTS ")[1]), output


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    return results(folder, 1, PROGRAMS), results(folder, 2, PROGRAMS | {"dropout": DROPOUT})


@pytest.mark.parametrize("program", PROGRAMS)
def test_two_processes_give_what_one_gives(one_and_two, program):
    (one, _), (two, _) = one_and_two
    assert two[program] == pytest.approx(one[program], abs=2e-5)


def test_one_process_speaks(one_and_two):
    (_, one), (_, two) = one_and_two
    assert two.count("4 epochs in") == one.count("4 epochs in") + 1  # dropout has one run more
    assert two.count("RESULTS") == 1


def test_dropout_differs_between_processes_and_what_is_drawn_later_does_not(one_and_two):
    same_masks, same_later = one_and_two[1][0]["dropout"]
    assert not same_masks and same_later


def test_a_process_that_hangs_ends_all_within_the_patience_of_the_others(tmp_path):
    hang = "import os, time\nif os.environ['RANK'] == '1':\n    time.sleep(300)\nrun(net)\nresult = []"
    with pytest.raises(AssertionError, match="(?i)time"):
        results(tmp_path, 2, {"hang": hang}, BOOK_TIMEOUT="4")
    assert 0 < processes.PATIENCE < 60


@pytest.mark.parametrize("variables", [{"RANK": "1"}, {"WORLD_SIZE": "2"}, {"RANK": "1", "WORLD_SIZE": "2"}])
def test_without_torchrun_variables_of_the_same_name_mean_nothing(monkeypatch, variables):
    """Job schedulers set them, too."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (processes.rank(), processes.world_size()) == (0, 1)
    said = subprocess.run([sys.executable, "-c", "import shared; print('hi')"], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}).stdout
    assert said == "hi\n"


def compare(one: Path, two: Path, tolerance: float = 1e-4) -> int:
    """The loss curves of two files of records agree; how many runs were compared.

    A rate that is too large magnifies differences of rounding as it does all others, until it has fallen: of ten runs
    one may do so, and it must end alike.
    """
    runs = [[json.loads(line) for line in path.read_text().splitlines()] for path in (one, two)]
    assert len(runs[0]) == len(runs[1]) > 0, "one record for each run, written by one process"
    unlike = []
    for i, (a, b) in enumerate(zip(*runs)):
        curves = [(a[curve], pytest.approx(b[curve], abs=bound)) for curve, bound in
                  (("train_loss", tolerance), ("test_loss", tolerance), ("train_accuracy", .002))]
        if any(here != there for here, there in curves):
            unlike.append((i, curves))
            for curve, bound in (("train_loss", .02), ("test_loss", .02), ("train_accuracy", .005)):
                assert a[curve][-1:] == pytest.approx(b[curve][-1:], abs=bound), (i, curve)
    assert len(unlike) <= len(runs[0]) / 10, unlike
    return len(runs[0])


def test_an_exported_chapter_trains_alike_on_two_processes(tmp_path):
    subprocess.run([sys.executable, "-m", "jupyter", "nbconvert", "--to", "script",
                    "--config", str(ROOT / "tools" / "export_config.py"),
                    "--output-dir", str(tmp_path), str(ROOT / "notebooks" / "08_softmax.ipynb")],
                   check=True, capture_output=True)
    script, outputs = tmp_path / "08_softmax.py", {}
    for n in (1, 2):
        outputs[n] = run(script, n, tmp_path / f"{n}.json", BOOK_DATA="sample")
    assert compare(tmp_path / "1.json", tmp_path / "2.json") >= 2
    claims = {n: [line for line in out.splitlines() if line.startswith("ok:")] for n, out in outputs.items()}
    assert claims[1] == claims[2] and len(claims[1]) > 5
