"""Each erratum of chapter 29: the mistake does what the errata page says, and so does the mend."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from shared.seq2seq import Seq2SeqDecoder, sequence_mask
from shared.translation import bleu


def sequence_mask_as_read(X, valid_len, value=0):
    maxlen = X.size(1)
    print(maxlen)
    mask = torch.arange(maxlen)[None, :] < valid_len[:, None]
    X[~mask] = value
    return X


TRANSLATE = """
engs = ['go .', "i lost .", 'he\\'s calm .', 'i\\'m home .']
fras = ['va !', 'j\\'ai perdu .', 'il est calme .', 'je suis chez moi .']
for eng, fra in zip(engs, fras):
    translation, attention_weight_seq = predict_seq2seq(
        net, eng, src_vocab, tgt_vocab, num_steps, device)
    print(f'{eng} => {translation}, bleu {bleu(translation, fra, k=2):.3f}')
"""


class MaskedSoftmaxCELoss(nn.CrossEntropyLoss):
    def forward(self, pred, label, valid_len):
        weights = sequence_mask_as_read(torch.ones_like(label), valid_len)
        self.reduction = "none"
        unweighted_loss = super().forward(pred.permute(0, 2, 1), label)
        return (unweighted_loss * weights).mean(dim=1)


def run(code, **names):
    """The names after code of the source has run with those given."""
    names = {"torch": torch} | names
    exec(code, names)
    return names


def test_erratum_29_01():
    """The loop as read, three times over one batch, at the rate 0: each step has the same gradient."""
    net, X, y = nn.Linear(2, 1, bias=False), torch.tensor([[1., 2], [3, 4]]), torch.tensor([[5.], [6]])

    def gradients(clear):
        net.weight.grad, seen = None, []
        optimizer = torch.optim.Adam(net.parameters(), lr=0.)
        for _ in range(3):
            if clear:
                optimizer.zero_grad()
            ((net(X) - y) ** 2).sum().backward()
            optimizer.step()
            seen.append(net.weight.grad.clone())
        return seen
    once = gradients(clear=True)
    assert torch.equal(once[2], once[0]) and once[0].abs().min() > 1
    assert all(torch.allclose(g, n * once[0]) for n, g in enumerate(gradients(clear=False), 1))


@pytest.mark.parametrize("num_steps", [4, 10])
def test_erratum_29_02(num_steps):
    """All scores alike: each word has the loss log 5, so that is the mean over words."""
    valid_len, labels = torch.tensor([num_steps, 1, 3]), torch.zeros(3, num_steps, dtype=torch.long)
    scores = torch.zeros(3, num_steps, 5)
    l = MaskedSoftmaxCELoss()(scores, labels, valid_len)
    reported = l.sum() / valid_len.sum()  # what is reported as the loss
    assert float(reported) == pytest.approx(math.log(5) / num_steps, rel=1e-5)
    real = sequence_mask(valid_len, num_steps)
    assert float(F.cross_entropy(scores[real], labels[real])) == pytest.approx(math.log(5), rel=1e-5)


def test_erratum_29_03():
    X, lengths = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([1, 2])
    kept = X.clone()
    masked = sequence_mask_as_read(X, lengths)
    assert masked.tolist() == X.tolist() == [[1, 0, 0], [4, 5, 0]] and masked is X  # the caller's tensor
    assert torch.equal(kept.masked_fill(~sequence_mask(lengths, 3), 0), masked)
    assert kept.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_erratum_29_06():
    torch.manual_seed(0)
    embedding, gru = nn.Embedding(9, 4), nn.GRU(4, 8, batch_first=True)

    def states(padding, packed):
        X = embedding(F.pad(torch.tensor([[5, 6]]), (0, padding), value=1))
        return gru(pack_padded_sequence(X, [2], batch_first=True) if packed else X)[1]
    assert not torch.allclose(states(0, False), states(5, False), atol=.01)
    assert torch.allclose(states(0, True), states(5, True))


def test_erratum_29_08(capsys):
    """The last cell as read with every other name that it uses: these two are missing, and only these."""
    names = dict(net=None, src_vocab=None, tgt_vocab=None, num_steps=10, device="cpu")

    def predict_seq2seq(net, sentence, *_):
        return {"go .": "va !", "i lost .": "j'ai perdu ."}.get(sentence, "il est ."), None
    with pytest.raises(NameError, match="'predict_seq2seq'"):
        run(TRANSLATE, **names)
    with pytest.raises(NameError, match="'bleu'"):
        run(TRANSLATE, **names, predict_seq2seq=predict_seq2seq)
    capsys.readouterr()
    run(TRANSLATE, **names, predict_seq2seq=predict_seq2seq, bleu=bleu)
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["go . => va !, bleu 1.000", "i lost . => j'ai perdu ., bleu 1.000"] and len(said) == 4
    assert all(0 <= float(line[-5:]) < 1 for line in said[2:])


def test_erratum_29_09():
    output, state = nn.GRU(3, 4, num_layers=2)(torch.randn(7, 5, 3))
    assert state.shape[0] == 2 and output.shape[0] == 7
    assert torch.equal(state[-1], output[-1]) and not torch.equal(state[0], output[0])


def test_erratum_29_15():
    """Another third sentence changes the third column of what the encoder returns, at every step."""
    torch.manual_seed(0)
    embedding, rnn = nn.Embedding(10, 8), nn.GRU(8, 16)
    X = torch.arange(28).reshape(4, 7) % 10  # four sentences of seven words
    other = X.clone()
    other[2] = (X[2] + 1) % 10
    with torch.no_grad():
        outputs = [rnn(embedding(batch).permute(1, 0, 2))[0] for batch in (X, other)]
    changed = (outputs[0] - outputs[1]).abs().amax(2) > 1e-4
    assert changed.shape == (7, 4) and changed.tolist() == [[False, False, True, False]] * 7


def test_erratum_29_16(capsys):
    X, valid_len = torch.ones(2, 3), torch.tensor([1, 2])
    for _ in range(30):
        sequence_mask_as_read(X, valid_len)
    assert capsys.readouterr().out == "3\n" * 30
    sequence_mask(valid_len, 3)
    assert not capsys.readouterr().out


class Seq2SeqDecoderAsRead(nn.Module):
    """Takes the context from the state that it is handed, and returns that of its own GRU."""
    def __init__(self, vocab_size, embed_size, num_hiddens, num_layers):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = nn.GRU(embed_size + num_hiddens, num_hiddens, num_layers)
        self.dense = nn.Linear(num_hiddens, vocab_size)

    def forward(self, X, state):
        X = self.embedding(X).permute(1, 0, 2)
        context = state[-1].repeat(X.shape[0], 1, 1)
        output, state = self.rnn(torch.cat((X, context), 2), state)
        return self.dense(output).permute(1, 0, 2), state


def word_by_word(decoder, tokens, state):
    outputs = []
    for token in tokens.split(1, dim=1):
        output, state = decoder(token, state)
        outputs.append(output)
    return torch.cat(outputs, 1)


def test_erratum_29_17():
    """In training the decoder gets a whole sentence, in use one word after another: both should be the same."""
    torch.manual_seed(0)
    tokens, encoded = torch.randint(10, (4, 6)), torch.randn(2, 4, 16)
    as_read, ours = Seq2SeqDecoderAsRead(10, 8, 16, 2), Seq2SeqDecoder(10, 8, 16, num_layers=2)
    with torch.no_grad():
        difference = (word_by_word(as_read, tokens, encoded) - as_read(tokens, encoded)[0]).abs().amax((0, 2))
        assert difference[0] < 1e-6 and difference[1:].min() > .01  # from the second word on
        state = ours.init_state((None, encoded), None)
        assert torch.allclose(word_by_word(ours, tokens, state), ours(tokens, state)[0], atol=1e-6)
