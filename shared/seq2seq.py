"""Encoder and decoder for translation: the plain GRU model of Sutskever et al. (2014) and Cho et al.
(2014), the model with attention of Bahdanau et al. (2015), their training, and greedy translation.

Chapters 29 and 31 build these piece by piece. Everything is (batch, steps, ...).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from shared.batches import Batches
from shared.training import Record, cosine, fit
from shared.translation import BOS, EOS, PAD, Pairs


class EncoderDecoder(nn.Module):
    """Scores (real tokens, vocab) of each target token, given the source and the tokens before it.

    Padding is left out *before* the output layer, the most expensive one: the rows are those of
    ``tokens[tokens != pad]``, sentence after sentence.

    encoder   ``encoder(source, lengths)`` reads the source (batch, steps) with its lengths (batch,) and
              returns whatever ``decoder.init_state`` wants
    decoder   ``init_state(encoded, lengths)`` gives a first state; ``decoder(tokens, state)`` returns
              features (batch, steps, size) and the new state, so that it may be given a whole sentence
              (teacher forcing) or one token after another; ``dense`` makes scores (..., vocab) of the
              next word from features
    """
    def __init__(self, encoder: nn.Module, decoder: nn.Module, pad: int):
        super().__init__()
        self.encoder, self.decoder, self.pad = encoder, decoder, pad

    def forward(self, source: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        state = self.decoder.init_state(self.encoder(source, lengths), lengths)
        return self.decoder.dense(self.decoder(tokens, state)[0][tokens != self.pad])


class Seq2SeqEncoder(nn.Module):
    """Embedding and GRU. Returns the states of all steps (batch, steps, hidden), zero behind the
    sentence's end, and the state after each sentence's last word (layers, batch, hidden).

    ``bidirectional``: half of the hidden values come from a GRU that reads forwards, half from one that reads
    backwards; the last state joins the ends of both, at the last word and at the first.
    """
    def __init__(self, vocab_size: int, embed_size: int, num_hiddens: int, num_layers: int = 1,
                 dropout: float = 0, bidirectional: bool = False):
        super().__init__()
        if bidirectional and num_hiddens % 2:
            raise ValueError(f"two directions share num_hiddens, which must be even, got {num_hiddens}")
        self.embedding, self.dropout = nn.Embedding(vocab_size, embed_size), nn.Dropout(dropout)
        self.rnn = nn.GRU(embed_size, num_hiddens // (1 + bidirectional), num_layers, batch_first=True,
                          dropout=dropout if num_layers > 1 else 0, bidirectional=bidirectional)

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        X = self.dropout(self.embedding(source))                        # (batch, steps, embed)
        packed = pack_padded_sequence(X, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, last = self.rnn(packed)
        if self.rnn.bidirectional:
            last = torch.cat([last[::2], last[1::2]], 2)                # (layers, batch, hidden)
        return pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])[0], last


class Seq2SeqDecoder(nn.Module):
    """A GRU that starts from the encoder's last state and sees it again at every step, and so does the output
    layer (Cho et al. 2014): features are the state and the context (batch, steps, 2 hidden)."""
    def __init__(self, vocab_size: int, embed_size: int, num_hiddens: int, num_layers: int = 1,
                 dropout: float = 0):
        super().__init__()
        self.embedding, self.dropout = nn.Embedding(vocab_size, embed_size), nn.Dropout(dropout)
        self.rnn = nn.GRU(embed_size + num_hiddens, num_hiddens, num_layers, batch_first=True,
                          dropout=dropout if num_layers > 1 else 0)
        self.dense = nn.Linear(2 * num_hiddens, vocab_size)

    def init_state(self, encoded: tuple[Tensor, Tensor], lengths: Tensor) -> tuple[Tensor, Tensor]:
        return encoded[1], encoded[1][-1]                               # the state; the context, which stays

    def forward(self, tokens: Tensor, state: tuple[Tensor, Tensor]):
        H, context = state                                    # (layers, batch, hidden), (batch, hidden)
        X = self.dropout(self.embedding(tokens))                        # (batch, steps, embed)
        repeated = context[:, None].expand(-1, X.shape[1], -1)          # (batch, steps, hidden)
        Y, H = self.rnn(torch.cat([X, repeated], 2), H)
        return self.dropout(torch.cat([Y, repeated], 2)), (H, context)

    def select(self, state: tuple[Tensor, Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """The state of other rows of the batch, for `shared.beam_search`: here the batch is H's second axis."""
        return state[0][:, rows], state[1][rows]


def sequence_mask(lengths: Tensor, num_steps: int) -> Tensor:
    """True where a sequence still runs: (batch,) or (batch, ...) lengths give (..., num_steps)."""
    return torch.arange(num_steps, device=lengths.device) < lengths[..., None]


def masked_softmax(scores: Tensor, lengths: Tensor | None) -> Tensor:
    """Softmax over the last axis of (batch, queries, keys), keys from ``lengths`` on left out.

    ``lengths`` is (batch,), (batch, queries) or None for no mask. Rows without any key are zero. Scores of
    another number of axes are refused: with heads as a second axis, lengths would be read as those of heads.
    """
    if scores.ndim != 3:
        raise ValueError(f"scores must be (batch, queries, keys), got shape {tuple(scores.shape)}; "
                         "join further axes with the batch, e.g. scores.flatten(0, 1)")
    if lengths is None:
        return F.softmax(scores, dim=-1)
    if lengths.ndim == 1:
        lengths = lengths[:, None].expand(scores.shape[:2])
    mask = sequence_mask(lengths, scores.shape[-1])                     # (batch, queries, keys)
    # a large finite number, so that a row masked as a whole gives no NaN; it is set to zero after
    weights = F.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), dim=-1)
    return weights * mask


class AdditiveAttention(nn.Module):
    """Scores w_v . tanh(W_q q + W_k k) (Bahdanau et al. 2015). ``weights`` keeps the last weights, to
    be looked at: without a graph.

    ``keys_ready`` (batch, keys, hidden) are W_k k, computed once where the keys stay the same.
    """
    def __init__(self, query_size: int, key_size: int, num_hiddens: int, dropout: float = 0):
        super().__init__()
        self.W_q = nn.Linear(query_size, num_hiddens, bias=False)
        self.W_k = nn.Linear(key_size, num_hiddens, bias=False)
        self.w_v, self.dropout = nn.Linear(num_hiddens, 1, bias=False), nn.Dropout(dropout)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, lengths: Tensor | None = None,
                keys_ready: Tensor | None = None) -> Tensor:
        K = self.W_k(keys) if keys_ready is None else keys_ready        # (batch, keys, hidden)
        pairs = torch.tanh(self.W_q(queries)[:, :, None] + K[:, None])  # (batch, queries, keys, hidden)
        weights = masked_softmax(self.w_v(pairs)[..., 0], lengths)      # (batch, queries, keys)
        self.weights = weights.detach()
        return self.dropout(weights) @ values                           # (batch, queries, values)


class DotProductAttention(nn.Module):
    """Scores q . k / sqrt(d) (Vaswani et al. 2017). ``weights`` keeps the last weights, without a graph."""
    def __init__(self, dropout: float = 0):
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor,
                lengths: Tensor | None = None) -> Tensor:
        scores = queries @ keys.transpose(1, 2) / math.sqrt(queries.shape[-1])  # (batch, queries, keys)
        weights = masked_softmax(scores, lengths)
        self.weights = weights.detach()
        return self.dropout(weights) @ values                           # (batch, queries, values)


class AttentionDecoder(nn.Module):
    """A GRU whose context is looked up anew at each step, with its own state as the query (Bahdanau et al.
    2015): keys are W_k e of the encoder's states e, values these states, scores the scaled dot products. Features
    are the new state and the context (batch, steps, 2 hidden). The weights of the last call are in ``weights``
    (batch, steps, source steps), without a graph.
    """
    def __init__(self, vocab_size: int, embed_size: int, num_hiddens: int, dropout: float = 0):
        super().__init__()
        self.embedding, self.dropout = nn.Embedding(vocab_size, embed_size), nn.Dropout(dropout)
        self.W_k = nn.Linear(num_hiddens, num_hiddens, bias=False)
        self.cell = nn.GRUCell(embed_size + num_hiddens, num_hiddens)
        self.dense = nn.Linear(2 * num_hiddens, vocab_size)

    def init_state(self, encoded: tuple[Tensor, Tensor], lengths: Tensor | None):
        states, last = encoded
        keys = self.W_k(states).transpose(1, 2) / math.sqrt(states.shape[2])  # (batch, hidden, source steps)
        mask = torch.zeros_like(states[:, None, :, 0])                  # (batch, 1, source steps)
        if lengths is not None:
            real = sequence_mask(lengths, states.shape[1])[:, None]
            mask = mask.masked_fill(~real, torch.finfo(mask.dtype).min)
        return last[-1], states, keys, mask

    def forward(self, tokens: Tensor, state: tuple[Tensor, ...]):
        H, states, keys, mask = state
        X = self.dropout(self.embedding(tokens))                        # (batch, steps, embed)
        from_X, W_c = self._of_words(X)                                 # (batch, steps, 3 hidden), ...
        steps, contexts, weights = [], [], []
        for x in from_X.unbind(1):                                      # (batch, 3 hidden)
            w = torch.baddbmm(mask, H[:, None], keys).softmax(2)        # (batch, 1, source steps)
            context = (w @ states)[:, 0]                                # (batch, hidden)
            H = self._gates(torch.addmm(x, context, W_c), H)
            steps.append(H)
            contexts.append(context)
            weights.append(w.detach())
        self.weights = torch.cat(weights, 1)
        features = torch.cat([torch.stack(steps, 1), torch.stack(contexts, 1)], 2)
        return self.dropout(features), (H, states, keys, mask)

    def _of_words(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """What the words add to the gates, of all steps at once, and the matrix by which the context does."""
        W = self.cell.weight_ih
        return F.linear(X, W[:, :X.shape[2]], self.cell.bias_ih), W[:, X.shape[2]:].T

    def _gates(self, inputs: Tensor, H: Tensor) -> Tensor:
        """The new state, as `torch.nn.GRUCell` makes it, from what the inputs add to its gates."""
        (r_x, z_x, n_x), (r_h, z_h, n_h) = inputs.chunk(3, 1), F.linear(H, self.cell.weight_hh,
                                                                        self.cell.bias_hh).chunk(3, 1)
        r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + r * n_h)
        return n + z * (H - n)


class SentenceBatches(Batches):
    """Batches (source, lengths, decoder input, target) with the target as one vector of its real
    tokens, in the order of `EncoderDecoder`'s scores. The last batch may be short.

    A batch is as wide as its longest sentence. With ``shuffle``, sentences of like length come together, so
    that little of it is padding: of 50 batches drawn at random each, sorted by length, in random order.
    """
    def __init__(self, pairs: Pairs, batch_size: int, **options):
        super().__init__(pairs.train, batch_size, **options)
        self.name, self.real, self.pad = pairs.name, pairs.real, pairs.target.vocab[PAD]
        self._length = (pairs.train[3] != self.pad).sum(1) * (1 + pairs.num_steps) + pairs.train[1]

    def order(self) -> Tensor:
        order = super().order()
        if not self.shuffle:
            return order
        pools = [pool[self._length[pool].argsort(stable=True)] for pool in order.split(50 * self.batch_size)]
        batches = torch.cat(pools).split(self.batch_size)
        whole = len(order) // self.batch_size
        mixed = [batches[i] for i in self._permutation(whole).tolist()]
        return torch.cat([*mixed, *batches[whole:]])

    def _finish(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        source, lengths, tokens, target = batch
        real = target != self.pad                                       # (batch, steps)
        return source[:, :lengths.max()], lengths, tokens[:, :real.sum(1).max()], target[real]


def train_seq2seq(net: EncoderDecoder, pairs: Pairs, *, num_epochs: int, lr: float = .007,
                  batch_size: int = 64, seed: int = 0, device=None, **options) -> Record:
    """Teacher forcing with `shared.training.fit`: Adam with a falling rate, and clipping. The loss and
    the accuracy are means over real tokens. Further options go to fit."""
    batches = SentenceBatches(pairs, batch_size, shuffle=True, seed=seed, device=device)
    return fit(net, batches, num_epochs=num_epochs, clip=1.0, schedule=cosine(.05), device=device,
               optimizer=torch.optim.Adam(net.parameters(), lr, fused=True), **options)


@torch.no_grad()
def translate(net: EncoderDecoder, sentences: Sequence[Sequence[str]], pairs: Pairs) -> list[list[str]]:
    """Greedy translation of sentences given as lists of words, all at once: at each step the most
    probable piece, until <eos> or ``pairs.num_steps`` pieces; as words. In evaluation mode, which is
    undone afterwards."""
    device = next(net.parameters()).device
    source, lengths = (part.to(device) for part in pairs.source.array(sentences))
    token = torch.full((len(sentences), 1), pairs.target.vocab[BOS], device=device)
    ended, tokens = torch.zeros_like(token, dtype=torch.bool), []
    was_training = net.training
    net.eval()
    try:
        state = net.decoder.init_state(net.encoder(source, lengths), lengths)
        while len(tokens) < pairs.num_steps and not ended.all():
            features, state = net.decoder(token, state)                 # (sentences, 1, size)
            token = net.decoder.dense(features).argmax(2)               # (sentences, 1)
            tokens.append(token)
            ended |= token == pairs.target.vocab[EOS]
    finally:
        net.train(was_training)
    return [pairs.target.words(row) for row in torch.cat(tokens, 1).tolist()]
