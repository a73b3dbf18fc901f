"""The tools of the latent space: what they return, by the model's own arithmetic."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from apps.kinds import rebuild
from apps.lab import latent_model
from apps.lab.latent_model import LatentModel
from apps.lab.model import KINDS
from apps.lab.predict import STARTS, LatentLab
from cvae.latent import linear
from cvae.projection import pca, tsne
from pretrained import store
from tests.apps.lab.latent_toy import band, export, lab, model, taught

NAMES = ("told", "plane", "sprites")


def label_of(found: LatentModel) -> int | None:
    return 3 if found.told else None


@pytest.mark.parametrize("name", NAMES)
def test_decoding_is_the_means_of_the_model(name: str) -> None:
    found, network = lab(name), model(name)
    z = found.draw(3, seed=1)
    with torch.no_grad():
        features = network.condition(torch.full((3,), 3))
        x = network.decode(torch.from_numpy(z)[None], features).sigmoid()[:, 0, 0]
    pictures = found.decode(z, label_of(found))
    assert pictures.dtype == np.uint8 and pictures.shape == (3, found.side, found.side)
    assert np.abs(pictures - 255 * x.numpy()).max() <= 0.5 + 1e-3
    one = found.decode(z[1], label_of(found))
    assert one.shape == pictures[1].shape and np.abs(one.astype(int) - pictures[1]).max() <= 1


def test_one_label_for_all_or_one_each() -> None:
    found = lab("told")
    z = found.draw(2)
    both = found.decode(z, [4, 7])
    assert np.array_equal(both[1], found.decode(z, 7)[1])
    assert not np.array_equal(both[0], found.decode(z, 7)[0])


def test_draws_depend_on_seed_and_place_alone() -> None:
    found = lab("told")
    few, many = found.draw(3, seed=5), found.draw(8, seed=5)
    assert np.array_equal(few, many[:3]) and not np.array_equal(few, found.draw(3, seed=6))
    assert len({row.tobytes() for row in many}) == 8
    assert np.allclose(found.draw(3, seed=5, temperature=0.5), few / 2)
    assert np.array_equal(found.sample(12, seed=5), found.sample(12, seed=5))
    assert np.array_equal(
        found.sample(12, seed=5)[11], found.decode(found.draw(12, seed=5), 1)[11]
    )


def test_draws_are_of_the_prior() -> None:
    z = lab("plane").draw(1000, seed=0)
    assert np.abs(z.mean(0)).max() < 0.15 and np.abs(z.std(0) - 1).max() < 0.1


def test_a_traversal_moves_one_dimension_a_row() -> None:
    found = lab("told")
    z = found.draw(1)[0]
    walk = found.traverse(z, [2, 0], steps=5, reach=2.0, labels=6)
    assert walk.shape == (2, 5, 28, 28)
    moved = z.copy()
    moved[2] = -1.0
    assert np.abs(walk[0, 1].astype(int) - found.decode(moved, 6)).max() <= 1
    middle = found.traverse(np.zeros(4), [0, 1, 2, 3], steps=3, labels=6)[:, 1]
    assert (middle == middle[0]).all()


def test_dimensions_come_in_the_order_of_what_they_carry() -> None:
    network = model("told")
    into = network.generation.network[0].weight  # (width, latent + classes)
    with torch.no_grad():
        into[:, 1] = 0
        into[:, 3] *= 5
    found = LatentLab(network, device="cpu")
    assert found.shares.sum() == pytest.approx(1) and found.shares[1] == 0
    assert found.order[0] == 3 and found.order[-1] == 1
    assert set(found.used) == {0, 2, 3}
    assert len(found.traverse(np.zeros(4), labels=0)) == 3


def test_shares_of_a_sum_of_parts_are_their_variances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a decoder in which dimension d alone moves its own pixels, a small way."""
    network = model("plane")
    with torch.no_grad():
        for part in network.generation.parameters():
            part.zero_()
        first, _, second, _, last = network.generation.network
        first.weight[0, 0], first.weight[1, 1] = 1e-2, 3e-2
        second.weight[0, 0], second.weight[1, 1] = 1, 1
        last.weight[:100, 0], last.weight[100:200, 1] = 1, 1
    monkeypatch.setattr(latent_model, "PROBES", 3000)
    shares = LatentLab(network, device="cpu").shares
    assert shares[1] / shares[0] == pytest.approx(9, rel=0.15)


def test_a_manifold_has_the_first_dimension_downwards() -> None:
    found = lab("told")
    base = found.draw(1)[0]
    grid = found.manifold(3, (2, 0), z=base, labels=5)
    z = base.copy()
    z[2], z[0] = 0.9674, -0.9674  # quantiles 5/6 and 1/6 of N(0, 1)
    assert np.abs(grid[2, 0].astype(int) - found.decode(z, 5)).max() <= 1
    assert np.array_equal(found.plane(3)[..., found.order[2:]], np.zeros((3, 3, 2)))


def test_an_interpolation_begins_and_ends_where_it_should() -> None:
    found = lab("told")
    a, b = found.draw(2, seed=3)
    steps = found.interpolate([a, b], [2, 9], steps=5)
    assert np.abs(steps[0].astype(int) - found.decode(a, 2)).max() <= 1
    assert np.abs(steps[-1].astype(int) - found.decode(b, 9)).max() <= 1
    straight = found.interpolate([a, b], 2, steps=3, way=linear)
    assert np.abs(straight[1].astype(int) - found.decode((a + b) / 2, 2)).max() <= 1
    plain = lab("plane").interpolate(lab("plane").draw(2), steps=4)
    assert plain.shape == (4, 28, 28)


def test_one_style_in_every_class() -> None:
    found = lab("told")
    z = found.draw(2)
    ten = found.classes(z)
    assert ten.shape == (2, 10, 28, 28)
    assert np.abs(ten[1, 8].astype(int) - found.decode(z[1], 8)).max() <= 1
    assert not np.array_equal(ten[1, 8], ten[1, 7])


@pytest.mark.parametrize("name", NAMES)
def test_encoding_is_the_mean_of_the_posterior(name: str) -> None:
    found, network = lab(name), model(name)
    picture = np.zeros((found.side, found.side), np.uint8)
    picture[9:14, 8:20] = 255
    x = torch.from_numpy(picture)[None, None].float() / 255
    with torch.no_grad():
        expected = network.posterior(x, network.condition(torch.tensor([3]))).mean
    assert np.allclose(found.encode([picture], label_of(found)), expected)


def test_one_picture_or_a_list_of_them() -> None:
    found = taught()
    colour = np.repeat(band(4)[..., None], 3, 2)
    assert found.encode(band(4)).shape == found.encode(colour).shape == (1, 3)
    both = found.encode([band(4), colour])
    assert np.allclose(both, found.encode(band(4)), atol=1e-4)


def test_the_class_of_a_picture_is_guessed() -> None:
    found = taught()
    pictures = [band(n) for n in range(10)]
    assert found.guess(pictures).tolist() == list(range(10))
    assert np.array_equal(found.encode(pictures), found.encode(pictures, list(range(10))))
    assert not np.array_equal(found.encode(pictures), found.encode(pictures, 0))


def test_what_was_learnt_comes_back_and_carries_width() -> None:
    found = taught()
    wide, narrow = ([band(n, columns=slice(4, end)) for n in (1, 5, 8)] for end in (24, 12))
    back = found.decode(found.encode(wide), [1, 5, 8])
    assert np.abs(back.astype(int) - np.stack(wide)).mean() < 12
    step = found.direction(narrow, wide)
    shorter = found.decode(found.encode(wide) + step, [1, 5, 8])
    assert (shorter[:, :, 14:].sum((1, 2)) < 0.5 * back[:, :, 14:].sum((1, 2))).all()


def test_a_map_keeps_alike_pictures_together() -> None:
    found = taught()
    pictures = [band(n, columns=slice(4, end)) for end in (24, 12) for n in range(10)]
    points = found.map(pictures)
    assert points.shape == (20, 2)
    side = points[:, 0] > 0
    assert (side[:10] != side[10:]).sum() >= 9  # of ten pairs, told apart by one axis
    assert np.allclose(points, pca(torch.from_numpy(found.encode(pictures))))
    pytest.importorskip("sklearn")
    assert found.map(pictures, flat=partial(tsne, perplexity=4.0)).shape == (20, 2)


def test_a_completion_keeps_what_is_seen_and_adds_what_was_learnt() -> None:
    found = taught()
    picture, mask = band(6), np.zeros((28, 28), np.uint8)
    picture[:, :8] = 220 * (picture[:, :8] > 0)  # which was never learnt, but is seen
    mask[:, 8:] = 255
    done = found.complete(picture, mask, k=3, seed=0)
    assert done.images.shape == (3, 28, 28) and done.z.shape == (3, 3)
    assert (done.images[:, :, :8] == picture[:, :8]).all()
    assert done.labels is not None and done.labels[0] == 6 and len(set(done.labels)) == 3
    assert done.images[0, 16:18, 8:12].mean() > 150  # the band goes on
    again = found.complete(picture, mask, k=3, seed=0)
    assert np.array_equal(done.images, again.images)


def test_a_completion_of_one_class_comes_from_several_starts() -> None:
    found, mask = taught(), np.full((28, 28), 255, np.uint8)
    mask[:, :6] = 0
    done = found.complete(band(2), mask, k=4, label=2)
    assert done.labels is not None and done.labels.tolist() == [2] * 4
    plain = lab("plane").complete(band(2), mask, k=2)
    assert plain.labels is None and plain.images.shape == (2, 28, 28)
    for k in (0, STARTS + 1):
        with pytest.raises(ValueError, match=f"got k={k}"):
            found.complete(band(2), mask, k=k, label=2)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda told, plain: told.decode(np.zeros(4)), "got no label for told, expected 0 to 9"),
        (lambda told, plain: told.decode(np.zeros(4), 10), "got labels 10, expected whole"),
        (lambda told, plain: told.decode(np.zeros(4), 1.5), "got labels 1.5, expected whole"),
        (lambda told, plain: plain.decode(np.zeros(2), 1), "got labels for plane, expected none"),
        (lambda told, plain: plain.classes(np.zeros(2)), "plane, which knows no classes"),
        (lambda told, plain: plain.guess([band(1)]), "plane, which knows no classes"),
        (
            lambda told, plain: plain.decode(np.zeros(3)),
            r"got latents \(3,\), .*\(..., 2",
        ),
        (lambda told, plain: plain.decode([np.nan, 0]), "expected finite"),
        (lambda told, plain: plain.traverse([0, 0], [2]), "got dimensions"),
        (lambda told, plain: plain.encode([]), "got no picture"),
        (lambda told, plain: plain.draw(0), "got k=0"),
    ],
)
def test_what_cannot_be_asked_is_said(ask: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ask(lab("told"), lab("plane"))


@pytest.mark.parametrize("name", NAMES)
def test_weights_on_disk_give_the_same_pictures(name: str, tmp_path: Path) -> None:
    found = LatentLab.from_pretrained(export(tmp_path, name), device="cpu")
    assert np.array_equal(found.sample(3, seed=2), lab(name).sample(3, seed=2))
    assert found.told == (name == "told") and found.side == (64 if name == "sprites" else 28)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("classifier", {"width": 8}),
        ("baseline", {"width": 8}),
        ("quadrants", {"width": 8, "latent": 2, "baseline": 8}),
    ],
)
def test_models_without_such_a_latent_are_refused(kind: str, size: Any, tmp_path: Path) -> None:
    config = {"domain": "lab", "model": kind, "size": size}
    store.save(tmp_path, state=rebuild(config, KINDS).state_dict(), config=config, card="# x\n")
    with pytest.raises(store.WeightsError, match="expected a VAE of digits or sprites"):
        LatentLab.from_pretrained(tmp_path, device="cpu")


def test_what_is_not_shipped_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(store.WeightsError, match=r"no model 'lab-nothing'.*shipped models"):
        LatentLab.from_pretrained("lab-nothing")
    config = {"domain": "faces", "model": "dense", "size": {}}
    store.save(tmp_path, state={}, config=config, card="# x\n")
    with pytest.raises(store.WeightsError, match="expected 'lab'"):
        LatentLab.from_pretrained(tmp_path)
