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
from shared.translation import BOS, EOS, PAD, Pairs, build_array_nmt


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
    sentence's end, and the state after each sentence's last word (layers, batch, hidden)."""
    def __init__(self, vocab_size: int, embed_size: int, num_hiddens: int, num_layers: int = 1,
                 dropout: float = 0):
        super().__init__()
        self.embedding, self.dropout = nn.Embedding(vocab_size, embed_size), nn.Dropout(dropout)
        self.rnn = nn.GRU(embed_size, num_hiddens, num_layers, batch_first=True,
                          dropout=dropout if num_layers > 1 else 0)

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        X = self.dropout(self.embedding(source))                        # (batch, steps, embed)
        packed = pack_padded_sequence(X, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, last = self.rnn(packed)
        return pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])[0], last


class Seq2SeqDecoder(nn.Module):
    """A GRU that starts from the encoder's last state and sees it again at every step."""
    def __init__(self, vocab_size: int, embed_size: int, num_hiddens: int, num_layers: int = 1,
                 dropout: float = 0):
        super().__init__()
        self.embedding, self.dropout = nn.Embedding(vocab_size, embed_size), nn.Dropout(dropout)
        self.rnn = nn.GRU(embed_size + num_hiddens, num_hiddens, num_layers, batch_first=True,
                          dropout=dropout if num_layers > 1 else 0)
        self.dense = nn.Linear(num_hiddens, vocab_size)

    def init_state(self, encoded: tuple[Tensor, Tensor], lengths: Tensor) -> tuple[Tensor, Tensor]:
        return encoded[1], encoded[1][-1]                               # the state; the context, which stays

    def forward(self, tokens: Tensor, state: tuple[Tensor, Tensor]):
        H, context = state                                    # (layers, batch, hidden), (batch, hidden)
        X = self.dropout(self.embedding(tokens))                        # (batch, steps, embed)
        repeated = context[:, None].expand(-1, X.shape[1], -1)          # (batch, steps, hidden)
        Y, H = self.rnn(torch.cat([X, repeated], 2), H)
        return self.dropout(Y), (H, context)


def sequence_mask(lengths: Tensor, num_steps: int) -> Tensor:
    """True where a sequence still runs: (batch,) or (batch, ...) lengths give (..., num_steps)."""
    return torch.arange(num_steps, device=lengths.device) < lengths[..., None]


def masked_softmax(scores: Tensor, lengths: Tensor | None) -> Tensor:
    """Softmax over the last axis of (batch, queries, keys), keys from ``lengths`` on left out.

    ``lengths`` is (batch,), (batch, queries) or None for no mask. Rows without any key are zero.
    """
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
    """A GRU whose context is looked up anew at each step, with its own state as the query. The
    weights of the last call are in ``weights`` (batch, steps, source steps)."""
    def __init__(self, vocab_size: int, embed_size: int, num_hiddens: int, dropout: float = 0):
        super().__init__()
        self.attention = AdditiveAttention(num_hiddens, num_hiddens, num_hiddens)
        self.embedding, self.dropout = nn.Embedding(vocab_size, embed_size), nn.Dropout(dropout)
        self.cell = nn.GRUCell(embed_size + num_hiddens, num_hiddens)
        self.dense = nn.Linear(2 * num_hiddens, vocab_size)

    def init_state(self, encoded: tuple[Tensor, Tensor], lengths: Tensor):
        states, last = encoded
        return last[-1], states, self.attention.W_k(states), lengths

    def forward(self, tokens: Tensor, state):
        H, states, keys, lengths = state  # (batch, hidden), (batch, source steps, hidden) twice, (batch,)
        outputs, weights = [], []
        for X in self.dropout(self.embedding(tokens)).unbind(1):        # (batch, embed)
            context = self.attention(H[:, None], states, states, lengths, keys)[:, 0]  # (batch, hidden)
            H = self.cell(torch.cat([X, context], 1), H)
            outputs.append(torch.cat([H, context], 1))                  # (batch, 2 hidden)
            weights.append(self.attention.weights)                      # (batch, 1, source steps)
        self.weights = torch.cat(weights, 1)
        return self.dropout(torch.stack(outputs, 1)), (H, states, keys, lengths)


class SentenceBatches(Batches):
    """Batches (source, lengths, decoder input, target) with the target as one vector of its real
    tokens, in the order of `EncoderDecoder`'s scores. The last batch may be short."""
    def __init__(self, pairs: Pairs, batch_size: int, **options):
        super().__init__(pairs.train, batch_size, **options)
        self.name, self.real, self.pad = pairs.name, pairs.real, pairs.target_vocab[PAD]

    def _finish(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        *inputs, target = batch
        return (*inputs, target[target != self.pad])


def train_seq2seq(net: EncoderDecoder, pairs: Pairs, *, num_epochs: int, lr: float = .005,
                  batch_size: int = 128, seed: int = 0, device=None, **options) -> Record:
    """Teacher forcing with `shared.training.fit`: Adam with a falling rate, and clipping. The loss and
    the accuracy are means over real tokens. Further options go to fit."""
    batches = SentenceBatches(pairs, batch_size, shuffle=True, seed=seed, device=device)
    return fit(net, batches, num_epochs=num_epochs, clip=1.0, schedule=cosine(.05), device=device,
               optimizer=torch.optim.Adam(net.parameters(), lr), **options)


@torch.no_grad()
def translate(net: EncoderDecoder, sentences: Sequence[Sequence[str]], pairs: Pairs) -> list[list[str]]:
    """Greedy translation of sentences given as lists of words, all at once: at each step the most
    probable word, until <eos> or ``pairs.num_steps`` words. In evaluation mode, which is undone
    afterwards."""
    device, vocab = next(net.parameters()).device, pairs.target_vocab
    source, lengths = build_array_nmt(sentences, pairs.source_vocab, pairs.num_steps)
    source, lengths = source.to(device), lengths.to(device)
    token, tokens = torch.full((len(sentences), 1), vocab[BOS], device=device), []
    was_training = net.training
    net.eval()
    try:
        state = net.decoder.init_state(net.encoder(source, lengths), lengths)
        for _ in range(pairs.num_steps):
            features, state = net.decoder(token, state)                 # (sentences, 1, size)
            token = net.decoder.dense(features).argmax(2)               # (sentences, 1)
            tokens.append(token)
    finally:
        net.train(was_training)
    written = [vocab.to_tokens(row) for row in torch.cat(tokens, 1)]
    return [row[:row.index(EOS)] if EOS in row else row for row in written]
