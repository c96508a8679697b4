"""The program of chapter 32 that compares a transformer and a GRU with attention in equal seconds."""

import pytest
import torch

from benchmarks import common, translation_seconds
from benchmarks.translation_seconds import MODELS, TRIES, Recipe, name_of
from shared import data
from shared.translation import load_data_nmt

SMALL = {"transformer": [Recipe("transformer", 16, .01), Recipe("transformer", 16, .02, num_layers=2)],
         "recurrent": [Recipe("recurrent", 16, .01, embed_size=8), Recipe("recurrent", 16, .02, embed_size=8)]}


def test_the_record_keeps_what_the_program_asserts():
    rows = common.load("translation_seconds")["settings"]["runs"]
    translation_seconds.check(rows)
    assert {name_of(r) for tried in TRIES.values() for r in tried} == rows["tries"].keys()


def test_both_models_have_as_many_tries_with_names_of_their_own():
    assert len({name_of(r) for tried in TRIES.values() for r in tried}) == sum(map(len, TRIES.values()))
    assert len(set(map(len, TRIES.values()))) == 1 and tuple(TRIES) == MODELS
    assert all(r.model == model for model, tried in TRIES.items() for r in tried)


@pytest.mark.slow
def test_the_program_at_small_size_and_what_is_recorded_is_not_trained_again(monkeypatch, tmp_path):
    for name, value in {"TRIES": SMALL, "TRY": .3, "EQUAL": .5, "SEEDS": range(2), "KEPT": tmp_path / "kept"}.items():
        monkeypatch.setattr(translation_seconds, name, value)
    monkeypatch.setattr(translation_seconds, "load_data_nmt", lambda text, max_words: load_data_nmt(
        text, num_examples=400, num_valid=20, num_test=40, subwords=300))
    for way, counted in translation_seconds.WAYS.items():  # else, so small a network finds nothing
        monkeypatch.setitem(translation_seconds.WAYS, way, lambda *args, counted=counted: counted(*args) + 1)
    monkeypatch.setattr(common, "RECORDS", tmp_path)
    threads = torch.get_num_threads()
    try:
        translation_seconds.main(["tries"])
        translation_seconds.main(["equal"])
        monkeypatch.setattr(translation_seconds, "train", None)
        for part in translation_seconds.PARTS:
            translation_seconds.main([part])
    finally:
        torch.set_num_threads(threads)
    rows = common.load("translation_seconds")["settings"]["runs"]
    assert rows.keys() == {"tries", "equal seconds"} and len(rows["tries"]) == 4
    for model in MODELS:
        row = rows["equal seconds"][model]
        assert all(.5 <= seconds < 1 for seconds in row["seconds"]) and len(row["test"]) == len(row["test beam"]) == 2
        assert all(0 <= low <= test <= high <= 1 for low, test, high in zip(row["low"], row["test"], row["high"]))
    assert rows["equal seconds"]["ratio"].keys() == {f"{key}{way}" for key in ("ratio", "low", "high")
                                                     for way in ("", " beam")}


@pytest.mark.slow
def test_a_network_that_was_kept_is_the_one_that_was_trained(monkeypatch, tmp_path):
    monkeypatch.setattr(translation_seconds, "KEPT", tmp_path)
    pairs = load_data_nmt(data.fra_eng(), num_examples=400, num_valid=20, num_test=40, subwords=300)
    for (r, _) in SMALL.values():
        first, second = (translation_seconds.trained(r, pairs, 0, .2) for _ in range(2))
        assert first[1:] == second[1:] and not second[0].training
        assert all(map(torch.equal, first[0].state_dict().values(), second[0].state_dict().values()))
        other = translation_seconds.trained(r, pairs, 1, .2)[0].state_dict()
        assert not torch.equal(other["decoder.dense.weight"], second[0].state_dict()["decoder.dense.weight"])
