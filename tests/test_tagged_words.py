"""Words with their parts of speech: tags made coarse, sentences read, texts kept whole, a broken archive refused."""

import zipfile
from collections import Counter, defaultdict

import pytest

from shared import data, sample_texts, tagged_words
from shared.fetch import Unusable
from shared.tagged_words import TAGS, coarse, parse, split


@pytest.mark.parametrize("tag, expected", [
    ("at", "DET"), ("nn-tl", "NOUN"), ("np$", "NOUN"), ("pn$", "NOUN"), ("pp$", "DET"), ("pp$$", "PRON"),
    ("ppls", "PRON"), ("ppss+bem", "PRON"), ("wps+bez-nc", "PRON"), ("wp$", "DET"), ("wrb+dod*", "ADV"),
    ("bedz*", "VERB"), ("dod", "VERB"), ("hv+to", "VERB"), ("md*-hl", "VERB"), ("to+vb", "PRT"), ("uh", "PRT"),
    ("cs", "ADP"), ("in-hl", "ADP"), ("cc", "CONJ"), ("cd$", "NUM"), ("od-tl", "ADJ"), ("jjt", "ADJ"), ("*", "ADV"),
    ("*-hl", "ADV"), ("fw-at+nn-tl", "X"), ("nil", "X"), (".", "."), ("---hl", "."), ("''", "."), ("(-hl", ".")])
def test_tags_become_one_of_twelve(tag, expected):
    assert coarse(tag) == expected and expected in TAGS


@pytest.mark.parametrize("tag", ["", "zz", "Noun"])
def test_another_tag_is_refused(tag):
    with pytest.raises(ValueError, match="no tag of the Brown corpus"):
        coarse(tag)


def test_a_sentence_on_each_line_that_is_not_empty():
    text = "\n\n\tThe/at jury/nn said/vbd ./.\n\n\n\t1/2/cd and/or/cc ,/,\n"
    assert parse(text) == [[("The", "DET"), ("jury", "NOUN"), ("said", "VERB"), (".", ".")],
                           [("1/2", "NUM"), ("and/or", "CONJ"), (",", ".")]]
    assert parse("") == []
    with pytest.raises(ValueError):
        parse("The/at jury")


def test_texts_are_shared_out_whole():
    texts = [[[(f"word{i}", "NOUN")]] * 3 for i in range(25)]
    train, validation, test = ([sentence[0][0] for sentence in part] for part in split(texts))
    assert set(validation) == {"word8", "word18"} and set(test) == {"word9", "word19"}
    assert len(train) == 3 * 21 and not set(train) & set(validation + test)


def archive(path, **texts):
    with zipfile.ZipFile(path, "w") as file:
        for name, text in texts.items():
            file.writestr(f"brown/{name}", text)
    return path


def test_the_archive_is_read_in_the_order_of_its_names(tmp_path):
    path = archive(tmp_path / "brown.zip", cb01="b/nn", ca02="a/at", CONTENTS="not a text", README="nor this", cats="n")
    assert tagged_words.read(path) == [[[("a", "DET")]], [[("b", "NOUN")]]]


def test_what_is_no_archive_of_it_is_unusable(tmp_path):
    no_archive = tmp_path / "brown.zip"
    no_archive.write_bytes(b"PK but no zip")
    for path in (no_archive, archive(tmp_path / "empty.zip"), archive(tmp_path / "foreign.zip", ca01="no tag here")):
        with pytest.raises(Unusable, match="Brown corpus"):
            tagged_words.read(path)


def test_the_sample_has_what_makes_tagging_a_task():
    texts = sample_texts.tagged()
    assert texts == sample_texts.tagged() and {tag for t in texts for s in t for _, tag in s} <= set(TAGS)
    train, _, test = split(texts)
    known = defaultdict(Counter)
    for word, tag in (pair for sentence in train for pair in sentence):
        known[word][tag] += 1
    assert sum(len(tags) > 1 for tags in known.values()) >= 5, "words with two tags"
    pairs = [pair for sentence in test for pair in sentence]
    new = sum(word not in known for word, _ in pairs) / len(pairs)
    right = sum(word in known and known[word].most_common(1)[0][0] == tag for word, tag in pairs) / len(pairs)
    assert .005 < new < .1 and .75 < right < .95


def test_the_loader_says_what_it_gives(monkeypatch):
    monkeypatch.setenv("BOOK_DATA", "sample")
    corpus = data.brown()
    assert not corpus.real and min(map(len, (corpus.train, corpus.validation, corpus.test))) > 200
