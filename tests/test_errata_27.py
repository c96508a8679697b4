"""Each erratum of chapter 27: the mistake does what the errata page says, and so does the mend."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

# Code of the source, as it stands there; the tests run it, then with the mistake replaced.
MODEL = '''
class SkipGramModel(nn.Module):
   def __init__(self, emb_size, emb_dimension):
      super(SkipGramModel, self).__init__()
      self.emb_size = emb_size
      self.emb_dimension = emb_dimension
      self.u_embeddings = nn.Embedding(emb_size, emb_dimension, sparse=True)
      self.v_embeddings = nn.Embedding(emb_size, emb_dimension, sparse = True)
      self.init_emb()
   def init_emb(self):
      initrange = 0.5 / self.emb_dimension
      self.u_embeddings.weight.data.uniform_(-initrange, initrange)
      self.v_embeddings.weight.data.uniform_(-0, 0)
   def forward(self, pos_u, pos_v, neg_v):
      emb_u = self.u_embeddings(pos_u)
      emb_v = self.v_embeddings(pos_v)
      score = torch.mul(emb_u, emb_v).squeeze()
      score = torch.sum(score, dim = 1)
      score = F.logsigmoid(score)
      neg_emb_v = self.v_embeddings(neg_v)
      neg_score = torch.bmm(neg_emb_v, emb_u.unsqueeze(2)).squeeze()
      neg_score = F.logsigmoid(-1 * neg_score)
      return -1 * (torch.sum(score)+torch.sum(neg_score))
   def save_embedding(self, id2word, file_name, use_cuda):
      if use_cuda:
         embedding = self.u_embeddings.weight.cpu().data.numpy()
      else:
         embedding = self.u_embeddings.weight.data.numpy()
      fout = open(file_name, 'w')
      fout.write('%d %d' % (len(id2word), self.emb_dimension))
      for wid, w in id2word.items():
         e = embedding[wid]
         e = ' '.join(map(lambda x: str(x), e))
         fout.write('%s %s' % (w, e))
def test():
   model = SkipGramModel(100, 100)
   id2word = dict()
   for i in range(100):
      id2word[i] = str(i)
   model.save_embedding(id2word)
'''


def run(code=MODEL):
    names = {"torch": torch, "nn": nn, "F": F}
    exec(code, names)
    return names


def replaced(*pairs):
    code = MODEL
    for old, new in pairs:
        assert old in code
        code = code.replace(old, new)
    return run(code)


def one_pair():
    return torch.tensor([1]), torch.tensor([2]), torch.tensor([[3, 4]])


def test_erratum_27_01():
    with pytest.raises(TypeError, match="file_name"):
        run()["test"]()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_mend_of_erratum_27_01(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    replaced(("save_embedding(id2word)", "save_embedding(id2word, 'vectors.txt', False)"))["test"]()
    assert (tmp_path / "vectors.txt").exists()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_erratum_27_02(tmp_path):
    words = {0: "cat", 1: "dog"}
    names = run()
    names["SkipGramModel"](2, 3).save_embedding(words, tmp_path / "one", False)
    assert len((tmp_path / "one").read_text().splitlines()) == 1
    assert (tmp_path / "one").read_text().startswith("2 3cat ")
    names = replaced(("'%d %d'", r"'%d %d\n'"), ("'%s %s'", r"'%s %s\n'"))
    names["SkipGramModel"](2, 3).save_embedding(words, tmp_path / "three", False)
    lines = (tmp_path / "three").read_text().splitlines()
    assert lines[0] == "2 3" and [line.split()[0] for line in lines[1:]] == ["cat", "dog"]


def test_erratum_27_03():
    with pytest.raises(IndexError, match="[Dd]imension"):
        run()["SkipGramModel"](10, 4)(*one_pair())
    names = replaced((".squeeze()\n      score = torch.sum", "\n      score = torch.sum"))
    loss = names["SkipGramModel"](10, 4)(*one_pair())
    torch.testing.assert_close(loss, 3 * torch.tensor(2.0).log())  # with v = 0, one half for each of three


def test_erratum_27_04():
    model = run()["SkipGramModel"](10, 4)
    assert not hasattr(model, "u_embedding") and not hasattr(model, "v_embedding")
    assert hasattr(model, "u_embeddings") and hasattr(model, "v_embeddings")
    assert "word2vec" not in run()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_erratum_27_05(tmp_path):
    """The file is neither closed nor given an encoding; with ASCII, as on some machines, an accent fails."""
    kept = []

    def old_machine(name, mode):
        kept.append(open(name, mode, encoding="ascii"))
        return kept[-1]

    names = run()
    names["open"] = old_machine
    with pytest.raises(UnicodeEncodeError):
        names["SkipGramModel"](1, 2).save_embedding({0: "café"}, tmp_path / "a", False)
    names["SkipGramModel"](1, 2).save_embedding({0: "cafe"}, tmp_path / "b", False)
    assert not kept[-1].closed
    assert (tmp_path / "b").read_text() == ""  # still in the buffer
    for file in kept:
        file.close()
    with open(tmp_path / "c", "w", encoding="utf-8") as file:
        file.write("café")
    assert file.closed and (tmp_path / "c").read_text(encoding="utf-8") == "café"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_erratum_27_06(tmp_path, monkeypatch):
    """What is saved was never trained: all of it lies within the interval of the start."""
    monkeypatch.chdir(tmp_path)
    names = replaced(("'%d %d'", r"'%d %d\n'"), ("'%s %s'", r"'%s %s\n'"),
                     ("save_embedding(id2word)", "save_embedding(id2word, 'start.txt', False)\n   return model"))
    model = names["test"]()
    assert model.u_embeddings.weight.abs().max() <= 0.5 / 100 and not model.v_embeddings.weight.any()
    before = model.u_embeddings.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):  # in the first step v is zero, so only v learns
        optimizer.zero_grad()
        model(torch.tensor([1, 2]), torch.tensor([2, 3]), torch.tensor([[4, 5], [6, 7]])).backward()
        optimizer.step()
    assert (model.u_embeddings.weight != before).any(1).nonzero().flatten().tolist() == [1, 2]
