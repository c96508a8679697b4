"""Two processes give the result of one: a small model with uneven batches, and a whole chapter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from shared.batches import Batches

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
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 2))
train = Batches((X, y), 64, shuffle=True, device="cpu")
test = Batches((X[:67], y[:67]), 33, device="cpu")   # the last batch has one example
optimizer = torch.optim.Adam(net.parameters(), .01)
record = fit(net, train, test, num_epochs=4, optimizer=optimizer, clip=.5, schedule=cosine(), device="cpu")
print("evaluated", round(evaluate(net, test).loss, 6), len(record.test_loss))
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


def compare(one: Path, two: Path, tolerance: float = 1e-4) -> int:
    """The loss curves of two files of records agree; how many runs were compared."""
    runs = [[json.loads(line) for line in path.read_text().splitlines()] for path in (one, two)]
    assert len(runs[0]) == len(runs[1]) > 0, "one record for each run, written by one process"
    for a, b in zip(*runs):
        for curve in ("train_loss", "test_loss"):
            assert a[curve] == pytest.approx(b[curve], abs=tolerance), curve
        assert a["train_accuracy"] == pytest.approx(b["train_accuracy"], abs=.002)
    return len(runs[0])


def test_two_processes_train_as_one(tmp_path):
    script = tmp_path / "small.py"
    script.write_text(SMALL, encoding="utf-8")
    outputs = {n: run(script, n, tmp_path / f"{n}.json") for n in (1, 2)}
    assert compare(tmp_path / "1.json", tmp_path / "2.json", 1e-5) == 1
    assert outputs[2].count("evaluated") == 1, "one process speaks"
    assert outputs[1].splitlines()[-1] == outputs[2].splitlines()[-1]


def test_batches_that_cannot_be_shared_count_once(tmp_path):
    """A list of batches goes whole to both processes, and one of them counts."""
    script = tmp_path / "whole.py"
    script.write_text(SMALL.replace("fit(net, train, test,", "fit(net, list(train), list(test),")
                      .replace("schedule=cosine(), ", ""), encoding="utf-8")
    outputs = {n: run(script, n, tmp_path / f"{n}.json") for n in (1, 2)}
    assert compare(tmp_path / "1.json", tmp_path / "2.json", 1e-5) == 1
    assert outputs[1].splitlines()[-1] == outputs[2].splitlines()[-1]
    one, two = (json.loads((tmp_path / f"{n}.json").read_text()) for n in (1, 2))
    assert one["examples"] == two["examples"] == 4 * 203


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


@pytest.mark.parametrize("size,batch_size", [(10, 4), (9, 4), (7, 7), (5, 2)])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_shares_make_up_the_batches(size, batch_size, world_size):
    def batches():
        return Batches((torch.arange(size), torch.arange(size)), batch_size, shuffle=True, device="cpu")
    whole = [X for X, _ in batches()]
    parts = [[(X, copies) for (X, _), copies in batches().share(rank, world_size)] for rank in range(world_size)]
    for i, batch in enumerate(whole):
        shares, copies = zip(*(part[i] for part in parts))
        assert sum(len(share) / n for share, n in zip(shares, copies)) == pytest.approx(len(batch))
        if len(batch) >= world_size:
            assert torch.equal(torch.cat(shares).sort().values, batch.sort().values)
            assert max(map(len, shares)) - min(map(len, shares)) <= 1
        else:
            assert all(torch.equal(share, batch) for share in shares)
