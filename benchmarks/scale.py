"""What happens when the set grows, and when it is larger than memory?

Size: sets of 10,000 to 1,000,000 images of 28x28, each in a process of its own. Examples per second
of training (the MLP, with `fit`) and of the loader alone; and the memory that an epoch of batches
needs beyond the set itself.

Streaming: a million images in a file, read by a process whose memory is limited so that the set does
not fit into it (the program tries, and must fail), against a set of the same size in memory. The file is
dropped from the system's cache before each epoch, so the disk is read each time."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.common import save, spread
from benchmarks.models import mlp
from shared.batches import Batches
from shared.training import fit

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
IMAGE, BATCH_SIZE, ROUNDS, MARGIN = 28 * 28, 256, 5, 300 << 20  # bytes that streaming may use: 300 MiB


def memory(kind: str = "RssAnon") -> int:
    """Bytes of this process's memory now: what it uses, without the files it maps (RssAnon), or what
    it has asked for and RLIMIT_DATA counts (VmData)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(kind))


def images(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return (torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=g),
            torch.randint(0, 10, (n,), generator=g))


def train(batches: Batches) -> float:
    """Examples per second of one epoch."""
    torch.manual_seed(0)
    net = mlp()
    record = fit(net, batches, num_epochs=1, optimizer=torch.optim.SGD(net.parameters(), lr=.1),
                 progress=False, verbose=False)
    return record.examples / record.train_seconds


def warm_up() -> None:
    """Load all libraries and start all threads."""
    train(Batches(images(50_000), BATCH_SIZE))


def in_memory(n: int) -> dict:
    """One size: examples per second, trained and loaded; bytes of the set, and beyond it."""
    warm_up()
    examples = images(n)
    size = sum(t.nbytes for t in examples)
    before = memory()
    batches = Batches(examples, BATCH_SIZE, shuffle=True)
    peak = 0
    for i, _ in enumerate(batches):
        if i % 32 == 0:
            peak = max(peak, memory())
    started, epochs = time.perf_counter(), max(1, 100_000 // n)
    for _ in range(epochs):
        for _ in batches:
            pass
    loaded = epochs * n / (time.perf_counter() - started)
    return {"trained": train(batches), "loaded": loaded, "extra": peak - before, "bytes": size}


def streamed(path: str) -> dict:
    """Examples per second of an epoch over a file, by a process that could not hold it."""
    n = Path(path).stat().st_size // IMAGE
    X = torch.from_file(path, size=n * IMAGE, dtype=torch.uint8).view(n, 1, 28, 28)
    y = images(1)[1].expand(n)
    warm_up()
    resource.setrlimit(resource.RLIMIT_DATA, (memory("VmData") + MARGIN,) * 2)
    try:
        X.clone()
        raise SystemExit("the limit of memory does not hold")
    except RuntimeError:
        pass
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    batches = Batches((X, y), BATCH_SIZE, shuffle=True, device_bytes=0, block_size=1000)
    return {"trained": train(batches), "bytes": X.nbytes}


def child(what: str, argument: str | int) -> dict:
    """One measurement in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.scale", what, str(argument)],
                          cwd=Path(__file__).parents[1], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    sizes: dict[int, list[dict]] = {n: [] for n in SIZES}
    from_file = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images"
        images(SIZES[-1])[0].numpy().tofile(path)
        os.sync()
        for _ in range(ROUNDS):  # in turns
            for n, runs in sizes.items():
                runs.append(child("memory", n))
            from_file.append(child("file", path))

    def summary(runs: list[dict], reference: list[dict]) -> dict:
        return {key: spread([run[key] for run in runs]) for key in runs[0]} | {
            "relative": spread([run["trained"] / other["trained"] for run, other in zip(runs, reference)])}

    results = {f"{n:,} in memory": summary(runs, sizes[SIZES[0]]) for n, runs in sizes.items()}
    results[f"{SIZES[-1]:,} from a file"] = summary(from_file, sizes[SIZES[-1]])
    save("scale", "speed and memory as the set grows, and from a file larger than the memory allowed", results,
         batch_size=BATCH_SIZE, allowed=MARGIN)
    for name, result in results.items():
        assert result["relative"]["median"] >= (.75 if "file" in name else .8), (name, result)  # a noisy machine


if __name__ == "__main__":
    if len(sys.argv) == 3:
        what, argument = sys.argv[1:]
        print(json.dumps(in_memory(int(argument)) if what == "memory" else streamed(argument)))
    else:
        main()
