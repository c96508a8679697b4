"""What makes training faster on a GPU, one thing after the other: products in bfloat16, channels last
in memory, an optimizer in one kernel, the whole step replayed as a CUDA graph. LeNet on Fashion-MNIST,
a character GRU, and translation with attention; same start, batches and loss for all variants.

    python -m benchmarks.gpu_training"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.captured import Step
from benchmarks.common import save, spread
from benchmarks.models import modern_lenet
from shared import data
from shared.batches import Batches
from shared.devices import Timer, get_device, seed_all
from shared.seq2seq import AttentionDecoder, EncoderDecoder, Seq2SeqEncoder, sequence_mask
from shared.text import Vocab, letters_only, windows
from shared.translation import PAD, load_data_nmt

VARIANTS = {"float32": {}, "+ mixed precision": {"mixed": True}, "+ channels last": {"channels_last": True},
            "+ fused optimizer": {"fused": True}, "+ captured graph": {"captured": True}}


class CharacterGRU(nn.Module):
    """Scores (batch, vocab, steps) of the next character."""
    def __init__(self, vocab_size: int, num_hiddens: int):
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(vocab_size, num_hiddens), nn.GRU(num_hiddens, num_hiddens)
        self.out = nn.Linear(num_hiddens, vocab_size)

    def forward(self, X: Tensor) -> Tensor:
        return self.out(self.rnn(self.embedding(X.T))[0]).permute(1, 2, 0)


class FixedShapes(nn.Module):
    """The scores (batch, vocab, steps) of an `EncoderDecoder` at every place, padding included: no shape
    depends on the lengths, and no length travels to the CPU, so that the step can be captured."""
    def __init__(self, model: EncoderDecoder):
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        encoder, decoder = self.model.encoder, self.model.decoder
        states = encoder.rnn(encoder.dropout(encoder.embedding(source)))[0]       # (batch, steps, hidden)
        last = states[torch.arange(len(states), device=states.device), lengths - 1]  # (batch, hidden)
        states = states * sequence_mask(lengths, states.shape[1])[:, :, None]
        features, _ = decoder(tokens, decoder.init_state((states, last[None]), lengths))
        return decoder.dense(features).transpose(1, 2)


@dataclass
class Task:
    """``examples``: tensors (inputs and target). ``unit``: what is counted, so many of them in each."""
    examples: tuple[Tensor, ...]
    batch_size: int
    model: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    unit: str = "examples"
    per_example: int = 1
    images: bool = False


def tasks(small: bool = False) -> Iterable[tuple[str, Task]]:
    """The three tasks; ``small`` ones for a test."""
    fashion, n = data.fashion_mnist(), 512 if small else 60_000
    yield "LeNet, batch 256", Task((fashion.train.X[:n], fashion.train.y[:n]), 256, modern_lenet, F.cross_entropy,
                                   images=True)
    text, width = letters_only(data.time_machine().text), 16 if small else 256
    vocab = Vocab(text)
    X, y = windows(vocab.encode(text[:2_000] if small else text), 32)
    yield f"character GRU, {width} hidden, batch 1,024", Task(
        (X, y), 1024, lambda: CharacterGRU(len(vocab), width), F.cross_entropy, "characters", 32)
    pairs = load_data_nmt(data.fra_eng(), num_examples=600 if small else 20_000, num_valid=0, num_test=50)
    pad, target = pairs.target.vocab[PAD], pairs.train[-1]

    def translator() -> nn.Module:
        sizes = (width, width)
        return FixedShapes(EncoderDecoder(Seq2SeqEncoder(len(pairs.source), *sizes),
                                          AttentionDecoder(len(pairs.target), *sizes), pad))
    yield f"attention, {width} hidden, batch 128", Task(
        pairs.train, 128, translator, lambda scores, y: F.cross_entropy(scores, y, ignore_index=pad),
        "target words", round(float((target != pad).sum() / len(target)), 2))


def prepare(task: Task, channels_last: bool = False, fused: bool = False, captured: bool = False,
            mixed: bool = False) -> tuple[Step, Batches]:
    """A step and whole batches for it, always from the same start."""
    seed_all(0)
    device = get_device()
    kind = torch.channels_last if channels_last and task.images else torch.contiguous_format
    whole = len(task.examples[0]) // task.batch_size * task.batch_size  # a captured step wants full batches
    batches = Batches([t[:whole] for t in task.examples], task.batch_size, shuffle=True,
                      transforms=[lambda X: X.contiguous(memory_format=kind)] if task.images else ())
    net = task.model().to(device).to(memory_format=kind)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=fused or None, capturable=device.type == "cuda")
    first = tuple(t.to(device) for t in next(iter(batches)))
    return Step(net, task.loss, optimizer, first, clip=1.0, mixed=mixed, captured=captured), batches


def measure(task: Task, rounds: int = 5) -> dict[str, dict]:
    """Seconds per epoch for each variant, each with everything that the ones before it have."""
    settings, prepared = {}, {}
    for name, more in VARIANTS.items():
        if "channels_last" in more and not task.images:
            continue
        settings |= more
        prepared[name] = prepare(task, **settings)
    seconds: dict[str, list[float]] = {name: [] for name in prepared}
    for i in range(rounds + 1):  # in turns; the first round warms up
        for name, (step, batches) in prepared.items():
            with Timer(get_device()) as timer:
                for batch in batches:
                    step(*batch)
            seconds[name] += [timer.seconds] if i else []
    slowest = seconds["float32"]
    units = len(batches) * task.batch_size * task.per_example
    return {name: {"seconds": spread(values), "ratio": spread([a / b for a, b in zip(slowest, values)]),
                   "per_second": spread([units / s for s in values]), "unit": task.unit}
            for name, values in seconds.items()}


def main() -> None:
    if get_device().type != "cuda":
        sys.exit("this program measures what a CUDA GPU can do, and there is none here")
    results = {f"{task_name}: {name}": result for task_name, task in tasks()
               for name, result in measure(task).items()}
    save("gpu_training", "speed of training on a GPU, one improvement after the other", results)


if __name__ == "__main__":
    main()
