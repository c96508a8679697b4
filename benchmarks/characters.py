"""How fast does a character model train, and how well does it guess new text?

Speed: one epoch of the textbook loop, which the study notes use (one-hot vectors, five small
operations for each time step, batches cut from Python lists), against the same model, start,
batches, loss, clipping and SGD with the recurrence of chapter 24 (rows instead of one-hot
products, all inputs and outputs in one product, the gradient through time in one loop), and
against `nn.RNN`. The wider the model, the more of the time is spent in two matrix products per
step that all sides share: ``limit`` is the ratio that would be reached if nothing else took time.

Quality: held-out perplexity on 5,000 windows after training on 10,000, several seeds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common import save, spread, take_turns
from shared import data
from shared.batches import Batches
from shared.devices import Timer, get_device, seed_all
from shared.text import SeqDataLoader, Vocab, letters_only, windows
from shared.training import cosine, fit

VOCAB = 28
tanh_backward = torch.ops.aten.tanh_backward.grad_input
# name: batch size, steps, hidden values, characters per epoch
SETTINGS = {"D2L 1.0: batch 1,024, 32 steps, 32 hidden": (1024, 32, 32, 170_000),
            "batch 32, 35 steps, 64 hidden": (32, 35, 64, 20_000),
            "batch 32, 35 steps, 256 hidden": (32, 35, 256, 20_000),
            "the notes': batch 32, 35 steps, 512 hidden": (32, 35, 512, 10_000)}

# below 2 where the matrix products, the same on all sides, take most of the time
AT_LEAST = dict(zip(SETTINGS, (1.3, 2, 1.3, 1.1)))


def parameters(num_hiddens: int, device: torch.device) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    shapes = (VOCAB, num_hiddens), (num_hiddens, num_hiddens), (num_hiddens,), (num_hiddens, VOCAB), (VOCAB,)
    return [(.01 * torch.randn(s, generator=g)).to(device).requires_grad_() for s in shapes]


# --- the textbook loop

def batches_from_lists(corpus: list[int], batch_size: int, num_steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    offset = random.randint(0, num_steps - 1)
    length = (len(corpus) - offset - 1) // batch_size * batch_size
    Xs = torch.tensor(corpus[offset:offset + length]).reshape(batch_size, -1)
    ys = torch.tensor(corpus[offset + 1:offset + 1 + length]).reshape(batch_size, -1)
    for i in range(0, num_steps * (Xs.shape[1] // num_steps), num_steps):
        yield Xs[:, i:i + num_steps], ys[:, i:i + num_steps]


def textbook_epoch(params: list[Tensor], corpus: list[int], batch_size: int, num_steps: int) -> None:
    W_xh, W_hh, b_h, W_hq, b_q = params
    device, H = W_xh.device, None
    total = 0.0
    for X, y in batches_from_lists(corpus, batch_size, num_steps):
        H = torch.zeros(batch_size, len(W_hh), device=device) if H is None else H.detach()
        X, y = X.to(device), y.T.reshape(-1).to(device)
        outputs = []
        for X_t in F.one_hot(X.T, VOCAB).float():
            H = torch.tanh(X_t @ W_xh + H @ W_hh + b_h)
            outputs.append(H @ W_hq + b_q)
        l = F.cross_entropy(torch.cat(outputs), y)
        l.backward()
        norm = torch.sqrt(sum((p.grad ** 2).sum() for p in params))
        with torch.no_grad():
            if norm > 1:
                for p in params:
                    p.grad *= 1 / norm
            for p in params:
                p -= p.grad
                p.grad.zero_()
        total += l.item() * y.numel()


# --- the same model, with the recurrence as one function

class ThroughTime(torch.autograd.Function):
    """``H[t] = tanh(P[t] + H[t-1] @ W)``; P is (steps, batch, hidden) and becomes H, in place. The
    class of chapter 24 without a copy or a temporary in its loops."""

    @staticmethod
    def forward(ctx, P: Tensor, H0: Tensor, W: Tensor) -> Tensor:
        before = H0
        for P_t in P:
            before = P_t.addmm_(before, W).tanh_()
        ctx.mark_dirty(P)
        ctx.save_for_backward(P, H0, W)
        return P

    @staticmethod
    def backward(ctx, G: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        H, H0, W = ctx.saved_tensors
        dA, W_T = G.clone(), W.T.contiguous()
        steps = list(zip(dA, H))
        for t in reversed(range(len(steps))):
            tanh_backward(*steps[t], grad_input=steps[t][0])  # dA[t] * (1 - H[t] ** 2)
            if t:
                steps[t - 1][0].addmm_(steps[t][0], W_T)
        dW = H[:-1].flatten(0, 1).T @ dA[1:].flatten(0, 1) + H0.T @ dA[0]
        return dA, dA[0] @ W_T, dW


def our_epoch(params: list[Tensor], loader: SeqDataLoader, optimizer: torch.optim.Optimizer) -> None:
    W_xh, W_hh, b_h, W_hq, b_q = params
    H = torch.zeros(loader.batch_size, len(W_hh), device=W_xh.device)
    for X, y in loader:
        states = ThroughTime.apply(F.embedding(X.T, W_xh + b_h), H, W_hh)  # (steps, batch, hidden)
        H = states[-1].detach()
        step(states @ W_hq + b_q, y, optimizer, params)


def library_epoch(net: nn.ModuleDict, loader: SeqDataLoader, optimizer: torch.optim.Optimizer) -> None:
    state = None
    for X, y in loader:
        Y, state = net["rnn"](F.one_hot(X.T, VOCAB).float(), state)
        state = state.detach()
        step(net["out"](Y), y, optimizer, list(net.parameters()))


def step(scores: Tensor, y: Tensor, optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    l = F.cross_entropy(scores.flatten(0, 1), y.T.flatten())
    optimizer.zero_grad()
    l.backward()
    nn.utils.clip_grad_norm_(params, 1)
    optimizer.step()


def seconds_of(function: Callable[[], object], times: int = 300) -> float:
    for _ in range(20):
        function()
    with Timer(get_device()) as timer:
        for _ in range(times):
            function()
    return timer.seconds / times


def shared_work(batch_size: int, num_steps: int, num_hiddens: int) -> float:
    """Seconds of the matrix products that no implementation can leave out, for one batch: one per
    step forwards, one per step backwards, and the gradient of the weights."""
    device = get_device()
    H, W = torch.randn(batch_size, num_hiddens, device=device), torch.randn(num_hiddens, num_hiddens, device=device)
    everything = torch.randn(batch_size * num_steps, num_hiddens, device=device)
    return (2 * num_steps * seconds_of(lambda: H @ W)
            + seconds_of(lambda: everything.T @ everything, 20))


def speed(corpus: Tensor, batch_size: int, num_steps: int, num_hiddens: int) -> dict:
    device, as_list = get_device(), corpus.tolist()
    loader = SeqDataLoader(corpus, batch_size, num_steps, random=False, device=device)
    theirs, ours = parameters(num_hiddens, device), parameters(num_hiddens, device)
    net = nn.ModuleDict({"rnn": nn.RNN(VOCAB, num_hiddens), "out": nn.Linear(num_hiddens, VOCAB)}).to(device)
    ours_sgd, net_sgd = torch.optim.SGD(ours, lr=1), torch.optim.SGD(net.parameters(), lr=1)

    epochs = -(-500_000 // len(corpus)) if num_hiddens < 100 else 1  # long enough to be measured

    def textbook():
        for _ in range(epochs):
            textbook_epoch(theirs, as_list, batch_size, num_steps)

    result = take_turns(lambda: [our_epoch(ours, loader, ours_sgd) for _ in range(epochs)], textbook)
    result["library"] = take_turns(
        lambda: [library_epoch(net, loader, net_sgd) for _ in range(epochs)], textbook)["ratio"]
    num_batches = len(list(loader)) * epochs
    tokens = num_batches * batch_size * num_steps
    for side in ("ours", "theirs"):
        s = result[f"seconds_{side}"]
        result[f"tokens_{side}"] = {"median": tokens / s["median"], "min": tokens / s["max"],
                                    "max": tokens / s["min"], "n": s["n"]}
    work = shared_work(batch_size, num_steps, num_hiddens) * num_batches
    result["limit"] = {"median": result["seconds_theirs"]["median"] / work}
    return result


class CharacterModel(nn.Module):
    """The model of chapter 24 for text it has not seen; scores as (batch, vocab, steps)."""
    def __init__(self, num_hiddens: int = 128):
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(VOCAB, num_hiddens), nn.RNN(num_hiddens, num_hiddens)
        self.dropout, self.out = nn.Dropout(.3), nn.Linear(num_hiddens, VOCAB)

    def forward(self, X: Tensor) -> Tensor:
        return self.out(self.dropout(self.rnn(self.embedding(X.T))[0])).permute(1, 2, 0)


def quality(corpus: Tensor, seeds: range = range(5)) -> dict:
    X, y = windows(corpus, 32)
    perplexities, seconds = [], []
    for seed in seeds:
        seed_all(seed)
        net = CharacterModel()
        record = fit(net, Batches((X[:10_000], y[:10_000]), 256, shuffle=True, seed=seed),
                     Batches((X[10_000:15_000], y[10_000:15_000]), 1000), num_epochs=5, clip=1.0,
                     optimizer=torch.optim.AdamW(net.parameters(), .005, weight_decay=.01),
                     schedule=cosine(), progress=False, verbose=False)
        perplexities.append(math.exp(record.test_loss[-1]))
        seconds.append(record.seconds)
    assert max(perplexities) < 6.1, perplexities  # below every recurrent model of D2L 1.0
    return {"perplexity": spread(perplexities), "seconds": spread(seconds)}


def main() -> None:
    book = data.time_machine()
    text = letters_only(book.text)
    corpus = Vocab(text).encode(text)
    results = {name: speed(corpus[:n], *sizes) for name, (*sizes, n) in SETTINGS.items()}
    save("characters", "speed of training a character model, relative to the textbook loop", results,
         data=book.name)
    save("perplexity", "held-out perplexity of the character model",
         {"RNN, 128 hidden, embedding, dropout, 5 epochs": quality(corpus)}, data=book.name)
    for name, bound in AT_LEAST.items():
        ratio = results[name]["ratio"]["median"]
        assert ratio >= bound, f"{name}: only {ratio:.2f} times as fast"


if __name__ == "__main__":
    main()
