import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch

from shared.plots import curves, explore, heatmap, lines, show_images
from shared.training import Record


class Sample:
    real = False


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 1, 8, 8), (5, 3, 8, 8), (5, 8, 8, 3), (1, 8, 8), (5, 8, 8, 1)])
def test_images_of_every_layout_are_shown_with_their_titles(shape):
    titles = [f"t{i}" for i in range(shape[0])]
    axes = show_images(torch.rand(shape), titles, columns=3)
    assert [ax.get_title() for ax in axes[:shape[0]]] == titles
    assert all(ax.images for ax in axes[:shape[0]]) and not any(ax.images for ax in axes[shape[0]:])
    assert not any(ax.axison for ax in axes)  # neither around a picture nor around an empty place


def test_each_image_is_in_its_own_place_and_in_its_own_grey():
    images = torch.arange(5.)[:, None, None].expand(5, 4, 4)
    axes = show_images(images, columns=2, limits=(0, 4))
    assert [float(ax.images[0].get_array().max()) for ax in axes[:5]] == [0, 1, 2, 3, 4]
    assert {ax.images[0].get_clim() for ax in axes[:5]} == {(0, 4)}


def test_channels_first_is_turned_not_reshaped():
    red = torch.zeros(1, 3, 4, 4)
    red[:, 0] = 1
    shown = show_images(red)[0].images[0].get_array()
    assert shown[..., 0].min() == 1 and shown[..., 1:].max() == 0


def test_bad_images_are_explained():
    with pytest.raises(ValueError, match=r"got \(3, 2, 8, 8\)"):
        show_images(torch.rand(3, 2, 8, 8))
    with pytest.raises(ValueError, match="3 images but 2 titles"):
        show_images(torch.rand(3, 8, 8), ["a", "b"])
    with pytest.raises(ValueError, match="needs a matrix"):
        heatmap(torch.rand(3))


def test_a_sample_is_named_on_the_figure():
    axes = show_images(torch.rand(2, 4, 4), on=Sample)
    assert [t.get_text() for t in axes[0].figure.texts] == ["built-in sample"]
    record = Record(train_loss=[1., .5], train_accuracy=[.5, .6], real=False)
    assert [t.get_text() for t in record.plot()[0].figure.texts] == ["built-in sample"]
    for axes in (lines([1], {"y": [1]}, on=Sample), heatmap(torch.eye(2), on=Sample)):
        assert [t.get_text() for t in axes.figure.texts] == ["built-in sample"]


def test_real_data_are_not_called_a_sample():
    record = Record(train_loss=[1., .5], real=True)
    assert not record.plot()[0].figure.texts and not show_images(torch.rand(2, 4, 4))[0].figure.texts


def drawn(ax):
    """What stands on an axis: name of the curve, its points."""
    return {line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in ax.lines}


def test_curves_draw_training_and_test_under_their_own_names():
    record = Record(train_loss=[3., 2.], train_accuracy=[.1, .2], test_loss=[5., 4.], test_accuracy=[.3, .4])
    loss, accuracy = curves(record)
    assert drawn(loss) == {"train": ([1, 2], [3, 2]), "test": ([1, 2], [5, 4])}
    assert drawn(accuracy) == {"train": ([1, 2], [.1, .2]), "test": ([1, 2], [.3, .4])}
    for ax, kind in ((loss, "loss"), (accuracy, "accuracy")):
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", kind)
        assert ax.get_xticks().tolist() == [int(tick) for tick in ax.get_xticks()]  # no half epochs
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["train", "test"]


def test_curves_leave_out_what_was_not_measured():
    alone, = curves(Record(train_loss=[3., 2.]))
    assert drawn(alone) == {"train": ([1, 2], [3, 2])}
    _, accuracy = curves(Record(train_loss=[3.], test_loss=[2.], test_accuracy=[.5]))
    assert drawn(accuracy) == {"test": ([1], [.5])}


def test_heatmap_prints_numbers_that_can_be_read_on_their_colour():
    ax = heatmap(torch.tensor([[0., 9.]]), "to", "from", numbers=".0f", xticks=["a", "b"], yticks=["c"])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["c"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("to", "from")
    assert [(t.get_text(), t.get_color()) for t in ax.texts] == [("0", "black"), ("9", "white")]


def test_lines_name_their_curves():
    ax = lines([1, 2], {"up": [1, 2], "down": [2, 1]}, xlabel="x", yscale="log")
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["up", "down"]
    assert drawn(ax) == {"up": ([1, 2], [1, 2]), "down": ([1, 2], [2, 1])}
    assert len({line.get_linestyle() for line in ax.lines}) == 2  # not by colour alone
    assert (ax.get_xlabel(), ax.get_xscale(), ax.get_yscale()) == ("x", "linear", "log")


def test_the_explorer_draws_every_value_when_nobody_can_turn_it():
    seen = []
    explore(lambda ax, rate, size: seen.append((rate, size)), {"rate": [1, 2, 3], "size": [7, 8]})
    assert seen == [(1, 7), (2, 7), (3, 7)]
    assert [ax.get_title() for ax in plt.gcf().axes] == ["rate = 1", "rate = 2", "rate = 3"]


def test_a_heat_map_grows_with_its_matrix_and_has_a_bar_of_its_own():
    def size(rows, columns):
        return heatmap(torch.rand(rows, columns)).figure.get_size_inches()
    small, tall, wide = size(2, 2), size(20, 2), size(2, 20)
    assert tall[0] == small[0] < wide[0] and wide[1] == small[1] < tall[1]
    _, (left, right) = plt.subplots(1, 2)
    heatmap(torch.eye(2), ax=left)
    plt.gcf().canvas.draw()
    bar = plt.gcf().axes[-1].get_position()
    assert left.get_position().x1 <= bar.x0 < right.get_position().x0, "beside its matrix, not beside another"


def test_a_few_epochs_are_marked_and_many_are_not():
    for epochs, marked in ((40, True), (41, False)):
        loss, = curves(Record(train_loss=[1.] * epochs))
        assert (loss.lines[0].get_marker() not in ("", "None")) == marked


def test_sliders_hand_their_values_to_the_drawing(monkeypatch):
    made, settings = [], {}

    class Slider:
        def __init__(self, options, description, continuous_update):
            assert continuous_update is False, "no drawing while the slider is being pulled"
            self.options, self.description = options, description

    def interact(function, **sliders):
        settings.update({name: slider.options for name, slider in sliders.items()})
        function(rate=2, size=7)
    widgets = type("widgets", (), {"SelectionSlider": Slider, "interact": staticmethod(interact)})
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    monkeypatch.setattr("shared.plots.in_notebook", lambda: True)
    monkeypatch.delenv("BOOK_STATIC", raising=False)
    explore(lambda ax, rate, size: made.append((ax.figure.get_size_inches().tolist(), rate, size)),
            {"rate": (1, 2), "size": [7, 8]}, figsize=(2, 3))
    ((width, height), rate, size), = made
    assert (rate, size) == (2, 7) and height / width == pytest.approx(1.5)
    assert settings == {"rate": [1, 2], "size": [7, 8]}
