"""How fast does a character model train, and how well does it guess new text?

Speed: one epoch of the textbook loop, which the study notes use (one-hot vectors, five small
operations for each time step, batches cut from Python lists), against the same model, start,
batches, loss, clipping and SGD with the recurrence of chapter 24 (rows instead of one-hot
products, all inputs and outputs in one product, the gradient through time in one loop), and
against `nn.RNN`. The wider the model, the more of the time is spent in two matrix products per
step that all sides share: ``limit`` is the ratio that would be reached if nothing else took time.

Quality: perplexity on text that was neither learnt from nor used for choosing, after training on 10,000
characters (one part of the recipe of chapter 24 taken away at a time) and on the first 80 % of the book,
several seeds, beside Kneser-Ney smoothing."""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common import save, seconds_of, spread, take_turns
from shared import data
from shared.devices import Timer, get_device, seed_all
from shared.ngrams import KneserNey
from shared.text import SeqDataLoader, Vocab, letters_only, split_corpus
from shared.training import cosine

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
    """The model of chapter 24: scores (steps, batch, vocab), and the state to go on from."""
    def __init__(self, num_inputs: int, num_hiddens: int, dropout: float, embedding: bool = True):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, num_inputs) if embedding else None
        self.rnn = nn.RNN(num_inputs if embedding else VOCAB, num_hiddens)
        self.dropout, self.out = nn.Dropout(dropout), nn.Linear(num_hiddens, VOCAB)

    def forward(self, X: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        X = F.one_hot(X.T, VOCAB).float() if self.embedding is None else self.embedding(X.T)
        Y, state = self.rnn(X, state)
        return self.out(self.dropout(Y)), state


def train(net: nn.Module, loader: SeqDataLoader, num_epochs: int, lr: float, weight_decay: float = 0.0) -> None:
    """The loop of chapter 24: the state carried on without its history, clipping, a rate that falls to zero."""
    optimizer = torch.optim.AdamW(net.parameters(), lr, weight_decay=weight_decay)
    factor, steps = cosine(), num_epochs * len(loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: factor(done / steps))
    net.train()
    for _ in range(num_epochs):
        state = None
        for X, y in loader:
            scores, state = net(X, None if loader.random or state is None else state.detach())
            step(scores, y, optimizer, list(net.parameters()))
            schedule.step()


@torch.no_grad()
def perplexity(net: nn.Module, part: Tensor) -> float:
    """Of a text that is read in one go, from a state of zeros."""
    net.eval()
    return F.cross_entropy(net(part[None, :-1])[0][:, 0], part[1:]).exp().item()


def kneser_ney(train_part: Tensor, choose: Tensor, score: Tensor) -> tuple[int, float]:
    """The order that is best on ``choose``, and its perplexity on ``score``."""
    def judged(order: int, part: Tensor) -> float:
        return KneserNey(train_part, order, VOCAB).surprises(part)[1:].mean().exp().item()
    order = min(range(2, 10), key=lambda order: judged(order, choose))
    return order, judged(order, score)


# what is changed in the recipe of chapter 24 for 10,000 characters
CHANGES = {"the recipe: embedding, 128 hidden, dropout 0.3, weight decay 0.01, 20 epochs": {},
           "without dropout": {"dropout": 0.0}, "without weight decay": {"weight_decay": 0.0},
           "one-hot, first weights of deviation 1": {"first": 1.0}, "one-hot, small first weights": {"first": .05},
           "32 hidden values": {"num_hiddens": 32}, "pieces in random order": {"random": True},
           "10 epochs": {"num_epochs": 10}}


def recipe(corpus: Tensor, seed: int, num_hiddens: int = 128, dropout: float = .3, weight_decay: float = .01,
           first: float | None = None, random: bool = False, num_epochs: int = 20) -> nn.Module:
    """Trained on 10,000 characters. ``first``: one-hot vectors instead of an embedding, through first weights of
    this deviation."""
    seed_all(seed)
    net = CharacterModel(num_hiddens, num_hiddens, dropout, embedding=first is None)
    if first is not None:
        nn.init.normal_(net.rnn.weight_ih_l0, std=first)
    net.to(get_device())
    train(net, SeqDataLoader(corpus[:10_000], 32, 32, random=random, seed=seed), num_epochs, .005, weight_decay)
    return net


def ablation(corpus: Tensor, seeds: range = range(3)) -> dict:
    """One part of the recipe taken away at a time; chosen on other characters than those of the score."""
    score, choose, results = corpus[10_000:15_000], corpus[15_000:20_000], {}
    for name, change in CHANGES.items():
        nets = [recipe(corpus, seed, **change) for seed in seeds]
        results[name] = {"choose": spread([perplexity(net, choose) for net in nets]),
                         "score": spread([perplexity(net, score) for net in nets])}
    order, counted = kneser_ney(corpus[:10_000], choose, score)
    results[f"interpolated Kneser-Ney, order {order}"] = {"score": spread([counted])}
    best = min(CHANGES, key=lambda name: results[name]["choose"]["median"])
    assert counted < results[best]["score"]["min"] < 6.1, results  # counts before it, D2L's best after it
    return results


def whole_book(corpus: Tensor, seeds: range = range(3)) -> dict:
    train_part, choose, last = split_corpus(corpus)
    tests, seconds = [], []
    for seed in seeds:
        seed_all(seed)
        net = CharacterModel(64, 160, .05).to(get_device())
        loader = SeqDataLoader(train_part, 32, 40, random=False, seed=seed)
        with Timer(get_device()) as timer:
            train(net, loader, 14, .005)
        tests.append(perplexity(net, last))
        seconds.append(timer.seconds)
    with Timer() as timer:
        order, counted = kneser_ney(train_part, choose, last)
    assert max(tests) <= 4.6, tests
    return {"RNN, 160 hidden values, 14 epochs": {"perplexity": spread(tests), "seconds": spread(seconds)},
            f"interpolated Kneser-Ney, order {order}, the best of eight": {
                "perplexity": spread([counted]), "seconds": spread([timer.seconds])}}


def perplexities(corpus: Tensor, name: str) -> None:
    save("recipe", "what the parts of a recipe for 10,000 characters are worth", ablation(corpus), data=name)
    save("perplexity", "test perplexity of the character model on the whole book", whole_book(corpus), data=name)


def main() -> None:
    book = data.time_machine()
    text = letters_only(book.text)
    corpus = Vocab(text).encode(text)
    results = {name: speed(corpus[:n], *sizes) for name, (*sizes, n) in SETTINGS.items()}
    save("characters", "speed of training a character model, relative to the textbook loop", results,
         data=book.name)
    perplexities(corpus.to(get_device()), book.name)
    for name, bound in AT_LEAST.items():
        ratio = results[name]["ratio"]["median"]
        assert ratio >= bound, f"{name}: only {ratio:.2f} times as fast"


if __name__ == "__main__":
    main()
