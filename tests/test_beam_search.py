"""shared.beam_search: a wide beam equals the search of everything, a narrow one greedy search."""

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from shared.beam_search import ROWS, beam_search, search, select
from shared.data import Text
from shared.seq2seq import AttentionDecoder, EncoderDecoder, Seq2SeqDecoder, Seq2SeqEncoder, translate
from shared.transformer import TransformerDecoder, TransformerEncoder
from shared.translation import BOS, EOS, PAD, load_data_nmt

END = 0


class Toy:
    """A model whose next token depends on all tokens before it, by a hash of them: its state."""
    def __init__(self, vocab, seed, sharp=2.0):
        generator = torch.Generator().manual_seed(seed)
        self.table = (sharp * torch.randn(997, vocab, generator=generator)).log_softmax(1)
        self.vocab, self.rows = vocab, 0

    def step(self, tokens, state):
        self.rows += len(tokens)
        state = (31 * state + 7 * tokens + 1) % 997
        return self.table[state], state

    def everything(self, start, first, max_steps):
        """All sequences that end, or have max_steps tokens, with their log probability."""
        found = []
        for n in range(1, max_steps + 1):
            last = range(self.vocab) if n == max_steps else [END]
            for middle in itertools.product(range(1, self.vocab), repeat=n - 1):
                for end in last:
                    tokens, state, token, p = [*middle, end], torch.tensor([start]), first, 0.0
                    for following in tokens:
                        log_p, state = self.step(torch.tensor([token]), state)
                        token, p = following, p + float(log_p[0, following])
                    found.append((tokens, p))
        return found


def same(ours, theirs):
    """The same sequences with the same probabilities; equal ones in any order."""
    return len(ours) == len(theirs) and all(abs(p - q) < 1e-4 for (_, p), (_, q) in zip(ours, theirs)) and all(
        a == b or abs(p - q) < 1e-4 for (a, p), (b, q) in zip(ours, theirs))


toys = dict(vocab=st.integers(2, 4), seed=st.integers(0, 10_000), max_steps=st.integers(1, 4),
            sharp=st.sampled_from([.3, 2.0, 5.0]), penalty=st.sampled_from([0.0, .5, 1.0, 2.0]))


@settings(deadline=None, max_examples=60)
@given(**toys, best=st.integers(1, 6))
def test_a_wide_beam_is_exhaustive_search(vocab, seed, max_steps, sharp, penalty, best):
    toy = Toy(vocab, seed, sharp)
    everything = toy.everything(5, 1, max_steps)
    assert math.isclose(sum(math.exp(p) for _, p in everything), 1, abs_tol=1e-4)  # they are all that can happen
    everything.sort(key=lambda h: -h[1] / len(h[0]) ** penalty)
    [found] = search(toy.step, torch.tensor([5]), torch.tensor([1]), end=END, width=vocab ** max_steps,
                     max_steps=max_steps, length_penalty=penalty, best=best)
    score = [p / len(tokens) ** penalty for tokens, p in found]
    assert score == sorted(score, reverse=True)
    wanted = everything[:best]
    assert len(found) == len(wanted)
    truth = {tuple(tokens): p for tokens, p in everything}
    assert all(abs(p - truth[tuple(tokens)]) < 1e-4 for tokens, p in found)
    assert all(abs(s - q / len(t) ** penalty) < 1e-4 for s, (t, q) in zip(score, wanted))


@settings(deadline=None, max_examples=60)
@given(**toys)
def test_width_one_is_greedy_whatever_the_penalty(vocab, seed, max_steps, sharp, penalty):
    toy = Toy(vocab, seed, sharp)
    tokens, token, state, total = [], torch.tensor([1]), torch.tensor([5]), 0.0
    while len(tokens) < max_steps and END not in tokens:
        log_p, state = toy.step(token, state)
        token = log_p.argmax(1)
        total += float(log_p.max())
        tokens.append(int(token))
    [[(found, p)]] = search(toy.step, torch.tensor([5]), torch.tensor([1]), end=END, width=1, max_steps=max_steps,
                            length_penalty=penalty)
    assert found == tokens and abs(p - total) < 1e-4


@settings(deadline=None, max_examples=40)
@given(**toys, width=st.integers(1, 5), best=st.integers(1, 4))
def test_together_equals_one_by_one(vocab, seed, max_steps, sharp, penalty, width, best):
    toy = Toy(vocab, seed, sharp)
    states, first = torch.tensor([5, 17, 400, 17]), torch.tensor([1, 0, 1, 1])
    options = dict(end=END, width=width, max_steps=max_steps, length_penalty=penalty, best=best)
    together = search(toy.step, states, first, **options)
    for i in range(4):
        [alone] = search(toy.step, states[i:i + 1], first[i:i + 1], **options)
        assert same(together[i], alone)


@settings(deadline=None, max_examples=40)
@given(**toys, width=st.integers(1, 5))
def test_stopping_early_changes_nothing(vocab, seed, max_steps, sharp, penalty, width):
    """The best is that of a search which runs until nothing runs any more: one for all hypotheses."""
    toy = Toy(vocab, seed, sharp)
    options = dict(end=END, width=width, max_steps=max_steps, length_penalty=penalty)
    [found] = search(toy.step, torch.tensor([5]), torch.tensor([1]), **options)
    stopped, toy.rows = toy.rows, 0
    [all_found] = search(toy.step, torch.tensor([5]), torch.tensor([1]), **options, best=10_000)
    score = max(p / len(tokens) ** penalty for tokens, p in all_found)
    assert abs(found[0][1] / len(found[0][0]) ** penalty - score) < 1e-4
    assert stopped <= toy.rows


@pytest.mark.parametrize("penalty, wanted", [(0.0, 1), (.5, 1), (.6, 2), (.75, 4), (1.0, 7), (2.0, 9)])
def test_the_bound_stops_the_search_as_early_as_it_may(penalty, wanted):
    """The best sequence has one token, of log p = log .6. What runs has log .2 at first, then loses log .6 a step,
    and can at most score that over 9 ** penalty."""
    log_p, steps = torch.tensor([[.6, .2, .2], [.3, .6, .1], [.3, .1, .6]]).log(), []

    def step(tokens, state):
        steps.append(len(tokens))
        return log_p[tokens], state
    [[(tokens, p)]] = search(step, None, torch.tensor([0]), end=END, width=3, max_steps=9,
                             length_penalty=penalty)
    found, running, n = math.log(.6), math.log(.2), 1                   # by hand, for this model
    while n < 9 and running / 9 ** penalty > found:
        running, n = running + math.log(.6), n + 1
    assert len(steps) == n == wanted


def test_it_stops_as_soon_as_nothing_can_win():
    log_p = torch.tensor([[.6, .2, .2]]).log()

    def step(tokens, state):
        assert state == 0, "one step is enough: the best sequence is .6, all that run are .2"
        return log_p.expand(len(tokens), 3), state + 1
    [[(tokens, p)]] = search(step, 0, torch.tensor([1]), end=END, width=3, max_steps=9, length_penalty=0.0)
    assert tokens == [END] and math.isclose(math.exp(p), .6, rel_tol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_log_probabilities_may_have_another_type(dtype):
    log_p = torch.tensor([[.5, .25, .25]], dtype=dtype).log()
    [[(tokens, p)]] = search(lambda tokens, state: (log_p.expand(len(tokens), 3), state), None, torch.tensor([1]),
                             end=END, width=2, max_steps=3, length_penalty=0.0)
    assert tokens == [END] and math.isclose(p, math.log(.5), rel_tol=.01)


def test_no_number_is_an_error_and_not_an_empty_list():
    def step(tokens, state):
        log_p = torch.full((len(tokens), 5), .2).log()
        log_p[0, 3] = math.nan if state else log_p[0, 3]
        return log_p, state + 1
    with pytest.raises(ValueError, match="NaN, for token 2"):
        search(step, 0, torch.tensor([1]), end=END, width=2, max_steps=3, length_penalty=1.0)


def test_what_is_impossible_is_not_found():
    log_p = torch.tensor([[0.0, 1.0, 0.0]]).log()
    found = search(lambda tokens, state: (log_p.expand(len(tokens), 3), state), None, torch.tensor([1]), end=END,
                   width=3, max_steps=4, best=5)
    assert found == [[([1, 1, 1, 1], 0.0)]]


# ------------------------------------------------------------------------------------------------ translation

WORDS = "we saw a red bird near the old house and it sang for them all day".split()


def pairs_of_words():
    generator = torch.Generator().manual_seed(1)
    lines = []
    for _ in range(120):
        n = int(torch.randint(1, 6, (1,), generator=generator))
        words = [WORDS[int(i)] for i in torch.randint(len(WORDS), (n,), generator=generator)]
        lines.append(" ".join(words) + "\t" + " ".join(word[::-1] for word in words))
    return load_data_nmt(Text("toy", False, "\n".join(lines)), num_valid=10, num_test=10, subwords=40)


PAIRS = pairs_of_words()
SENTENCES = [line.split() for line in ["we saw a bird", "it", "them all day and a house", "red red", "the old"]]


def models():
    for seed in range(3):
        for layers, decoder in (1, AttentionDecoder), (1, Seq2SeqDecoder), (2, Seq2SeqDecoder):
            torch.manual_seed(seed)
            more = {} if decoder is AttentionDecoder else dict(num_layers=layers)
            net = EncoderDecoder(Seq2SeqEncoder(len(PAIRS.source), 6, 8, layers),
                                 decoder(len(PAIRS.target), 6, 8, **more), PAIRS.target.vocab[PAD])
            net.decoder.dense.weight.data *= 8                          # sure of what it says
            net.decoder.dense.bias.data[PAIRS.target.vocab[EOS]] += 2
            yield net


@pytest.mark.parametrize("net", list(models()))
def test_width_one_is_translate(net):
    found = beam_search(net, SENTENCES, PAIRS, 1)
    assert [hypotheses[0][0] for hypotheses in found] == translate(net, SENTENCES, PAIRS)
    assert net.training                                                 # as before


def log_p_of(net, sentence, tokens):
    """By teacher forcing."""
    vocab = PAIRS.target.vocab
    source, lengths = PAIRS.source.array([sentence])
    state = net.decoder.init_state(net.encoder(source, lengths), lengths)
    features, _ = net.decoder(torch.tensor([[vocab[BOS], *tokens[:-1]]]), state)
    scores = net.decoder.dense(features)[0].log_softmax(1)
    return float(scores[range(len(tokens)), tokens].sum().detach())


@pytest.mark.parametrize("net", list(models()))
def test_states_follow_their_prefixes(net):
    """Each log probability is that of the whole sequence: no beam has a neighbour's state."""
    sentence, vocab = SENTENCES[0], PAIRS.target.vocab
    source, lengths = PAIRS.source.array([sentence])
    net.eval()
    with torch.no_grad():
        state = net.decoder.init_state(net.encoder(source, lengths), lengths)

    def step(tokens, state):
        features, state = net.decoder(tokens[:, None], state)
        return net.decoder.dense(features)[:, 0].log_softmax(1), state
    [found] = search(step, state, torch.tensor([vocab[BOS]]), end=vocab[EOS], width=5, max_steps=6, best=5,
                     select=getattr(net.decoder, "select", select))
    assert len(found) == 5
    for tokens, p in found:
        assert abs(p - log_p_of(net, sentence, tokens)) < 1e-3
    for (words, p), (tokens, q) in zip(beam_search(net, [sentence], PAIRS, 5, max_steps=6, best=5)[0], found):
        assert words == PAIRS.target.words(tokens) and abs(p - q) < 1e-3


@pytest.mark.parametrize("width", [2, 7])
def test_translations_together_equal_one_by_one(width):
    for net in models():
        together = beam_search(net, SENTENCES, PAIRS, width, best=3)
        for sentence, hypotheses in zip(SENTENCES, together):
            assert same(hypotheses, beam_search(net, [sentence], PAIRS, width, best=3)[0])


def test_a_transformer_with_its_cache_fits():
    torch.manual_seed(0)
    net = EncoderDecoder(TransformerEncoder(len(PAIRS.source), 8, 2, 1), TransformerDecoder(len(PAIRS.target), 8, 2, 1),
                         PAIRS.target.vocab[PAD])
    assert [h[0][0] for h in beam_search(net, SENTENCES, PAIRS, 1)] == translate(net, SENTENCES, PAIRS)
    for sentence, hypotheses in zip(SENTENCES, beam_search(net, SENTENCES, PAIRS, 5, best=3)):
        assert same(hypotheses, beam_search(net, [sentence], PAIRS, 5, best=3)[0])


def test_many_sentences_are_searched_in_parts(monkeypatch):
    net = next(models())
    whole = beam_search(net, SENTENCES, PAIRS, 3)
    assert 3 * len(SENTENCES) < ROWS
    monkeypatch.setattr("shared.beam_search.ROWS", 4)
    for a, b in zip(whole, beam_search(net, SENTENCES, PAIRS, 3)):
        assert same(a, b)
    assert beam_search(net, [], PAIRS, 3) == []


def test_a_decoder_may_select_its_own_state():
    class Last(nn.Module):
        """The batch is the last axis of its state, beside a number of steps."""
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(1, len(PAIRS.target))

        def init_state(self, encoded, lengths):
            return {"sum": lengths[None].float(), "steps": 0}

        def forward(self, tokens, state):
            total = state["sum"] + tokens.T / 10
            return total.T[:, :, None].sin(), {"sum": total, "steps": state["steps"] + 1}

        def select(self, state, rows):
            return {"sum": state["sum"][:, rows], "steps": state["steps"]}

    torch.manual_seed(0)
    net = EncoderDecoder(Seq2SeqEncoder(len(PAIRS.source), 6, 8), Last(), PAIRS.target.vocab[PAD])
    together = beam_search(net, SENTENCES, PAIRS, 4)
    assert all(same(t, beam_search(net, [s], PAIRS, 4)[0]) for s, t in zip(SENTENCES, together))


def test_select_takes_the_first_axis_of_every_tensor():
    state = (torch.arange(6).reshape(3, 2), [torch.tensor([7, 8, 9]), None], 5, torch.tensor(4))
    a, [b, c], d, e = select(state, torch.tensor([2, 0, 2]))
    assert a.tolist() == [[4, 5], [0, 1], [4, 5]] and b.tolist() == [9, 7, 9] and (c, d, int(e)) == (None, 5, 4)


@pytest.mark.parametrize("wrong, message", [
    (dict(width=0), "width must be a whole number"), (dict(width=1.5), "width must be a whole number"),
    (dict(max_steps=0), "max_steps must be a whole number"), (dict(best=0), "best must be a whole number"),
    (dict(length_penalty=-1), "length_penalty must be"), (dict(length_penalty=math.nan), "length_penalty must be"),
    (dict(length_penalty=30, max_steps=26), "length_penalty must be"),
    (dict(length_penalty=1000), "length_penalty must be"),
    (dict(sentences=[], max_steps=0), "max_steps must be"),
    (dict(sentences=[], length_penalty=-1), "length_penalty must be"),
    (dict(sentences=["we saw"]), "lists of words"), (dict(sentences="we"), "lists of words")])
def test_wrong_arguments_are_named(wrong, message):
    arguments = SimpleNamespace(sentences=SENTENCES, width=2).__dict__ | wrong
    net = next(models())
    with pytest.raises(ValueError, match=message):
        beam_search(net, arguments.pop("sentences"), PAIRS, **arguments)
    assert net.training


def test_every_part_is_left_in_its_mode():
    net = next(models())
    net.encoder.eval()                                                  # as one does with a part that is not trained
    beam_search(net, SENTENCES, PAIRS, 2)
    assert net.training and net.decoder.training and not net.encoder.training
    assert not any(module.training for module in net.encoder.modules())
