"""The codebook moves as k-means says, stays in use, and lets gradients through untouched."""

import pytest
import torch
from torch import Tensor, nn

from cvae.quantize import VectorQuantizer, nearest, perplexity


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(n, dim, generator=noise(seed))


def clusters(each: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points close around the four corners of a square, in random order, and the corners."""
    corners = torch.tensor([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 9.0]])
    x = corners.repeat(each, 1) + 0.1 * points(4 * each, 2, seed)
    return x[torch.randperm(len(x), generator=noise(seed))], corners


def at(codebook: Tensor, **options: float) -> VectorQuantizer:
    """A quantizer that has started, with these codes and a count of one each."""
    quantizer = VectorQuantizer(codes=len(codebook), dim=codebook.shape[1], **options)
    quantizer.sums.copy_(codebook)
    quantizer.started.fill_(True)
    return quantizer


def buffers(quantizer: VectorQuantizer) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in quantizer.state_dict().items()}


def test_the_nearest_is_the_nearest() -> None:
    z, codebook = points(200, 5), points(17, 5, seed=1)
    assert torch.equal(nearest(z, codebook), torch.cdist(z, codebook).argmin(1))


@pytest.mark.parametrize("shape", [(6,), (6, 7), (6, 3, 5)])
def test_maps_of_any_shape_are_quantized_vector_by_vector(shape: tuple[int, ...]) -> None:
    quantizer = at(points(9, 4, seed=1)).eval()
    z = torch.randn(shape[0], 4, *shape[1:], generator=noise())
    found = quantizer(z)
    assert found.codes.shape == shape and found.codes.dtype == torch.int64
    for place in torch.cartesian_prod(*(torch.arange(n) for n in shape)).view(-1, len(shape)):
        b, *rest = place.tolist()
        vector = z[(b, slice(None), *rest)]
        code = found.codes[(b, *rest)]
        assert code == (quantizer.codebook - vector).norm(dim=1).argmin()
        assert torch.equal(found.latent[(b, slice(None), *rest)], quantizer.codebook[code])
    assert torch.equal(quantizer.decode(quantizer.encode(z)), found.latent)


def test_the_gradient_goes_straight_through_and_none_to_the_codes() -> None:
    quantizer = VectorQuantizer(codes=5, dim=3)
    z = points(8, 3).view(2, 3, 4).requires_grad_()
    found = quantizer(z, generator=noise())
    weight = torch.randn(found.latent.shape, generator=noise(2))
    (found.latent * weight).sum().backward()
    assert z.grad is not None and torch.equal(z.grad, weight)
    assert not list(quantizer.parameters())
    assert not quantizer.codebook.requires_grad


def test_commitment_is_the_squared_distance_and_pulls_towards_the_code() -> None:
    quantizer = at(torch.tensor([[0.0, 0.0], [10.0, 0.0]])).eval()
    z = torch.tensor([[[1.0, 8.0], [2.0, 0.0]], [[0.0, 0.0], [3.0, 0.0]]]).requires_grad_()
    found = quantizer(z)
    assert found.commitment.tolist() == [1.0 + 4.0 + 4.0, 9.0]
    found.commitment.sum().backward()
    expected = 2 * (z.detach() - torch.tensor([[[0.0, 10.0], [0.0, 0.0]], [[0.0] * 2] * 2]))
    assert z.grad is not None and torch.equal(z.grad, expected)


def test_without_memory_a_step_is_one_of_kmeans() -> None:
    codebook = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    quantizer = at(codebook, decay=0.0)
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [5.0, 2.0], [4.0, 1.0]])
    found = quantizer(z, generator=noise())
    assert torch.equal(found.latent, codebook[[0, 0, 1, 1, 1]])  # of the codebook as it was
    assert torch.allclose(quantizer.codebook, torch.tensor([[0.5, 0.5], [4.0, 1.0]]))
    assert quantizer.counts.tolist() == [2.0, 3.0]


def test_with_memory_a_step_is_a_moving_average_by_hand() -> None:
    quantizer = at(torch.tensor([[0.0], [4.0]]), decay=0.9)
    quantizer(torch.tensor([[1.0], [1.0], [5.0]]), generator=noise())
    # counts 0.9 * 1 + 0.1 * (2, 1), sums 0.9 * (0, 4) + 0.1 * (2, 5)
    assert torch.allclose(quantizer.counts, torch.tensor([1.1, 1.0]))
    assert torch.allclose(quantizer.codebook, torch.tensor([[0.2 / 1.1], [4.1]]))
    quantizer(torch.tensor([[0.0], [6.0], [6.0]]), generator=noise())
    assert torch.allclose(quantizer.counts, torch.tensor([1.09, 1.1]))
    assert torch.allclose(quantizer.codebook, torch.tensor([[0.18 / 1.09], [4.89 / 1.1]]))


def test_the_start_finds_clusters() -> None:
    x, corners = clusters(each=50)
    best = []
    for seed in range(5):  # k-means from rows may miss one; it must not miss each time
        quantizer = VectorQuantizer(codes=4, dim=2, decay=0.999)
        quantizer(x, generator=noise(seed))
        best.append(torch.cdist(corners, quantizer.codebook).amin(1).amax().item())
    assert min(best) < 0.1
    assert quantizer.started


def test_the_start_is_a_fixed_point_of_kmeans() -> None:
    x = points(300, 2)
    quantizer = VectorQuantizer(codes=3, dim=2, decay=0.0)
    quantizer(x, generator=noise())
    for _ in range(50):
        quantizer(x, generator=noise())
    codes = quantizer.encode(x)
    means = torch.stack([x[codes == k].mean(0) for k in range(3)])
    assert torch.allclose(quantizer.codebook, means, atol=1e-5)


def test_the_first_batch_starts_once_and_only_in_training() -> None:
    quantizer = VectorQuantizer(codes=4, dim=2).eval()
    before = buffers(quantizer)
    x = points(40, 2)
    assert "revived" not in quantizer(x).stats
    quantizer.encode(x)
    assert all(torch.equal(v, before[k]) for k, v in buffers(quantizer).items())
    quantizer.train()(x, generator=noise())
    first = quantizer.codebook
    quantizer(x + 100, generator=noise())  # would be in another place, had it started again
    assert torch.cdist(first, quantizer.codebook).diagonal().amax() < 50


@pytest.mark.parametrize("rows", [3, 64])
def test_fewer_points_than_codes_are_enough(rows: int) -> None:
    quantizer = VectorQuantizer(codes=8, dim=2)
    found = quantizer(points(rows, 2), generator=noise())
    assert quantizer.codebook.isfinite().all()
    assert (found.commitment.max() < 1e-10) == (rows < 8)  # each has a code of its own


def test_dead_codes_come_back() -> None:
    x, _ = clusters(each=25)
    quantizer = at(torch.tensor([[4.5, 4.5], [1e3, 0.0], [-1e3, 0.0], [0.0, 1e3]]), decay=0.5)
    revived = [quantizer(x, generator=noise(n)).stats["revived"].item() for n in range(40)]
    assert sum(revived) >= 3
    found = quantizer.eval()(x)
    assert found.stats["used"] == 1
    assert quantizer.codebook.abs().max() < 12


def test_a_dead_code_moves_to_a_vector_of_the_batch_with_the_mean_count() -> None:
    quantizer = at(torch.tensor([[0.0], [500.0]]), decay=0.0)
    x = torch.tensor([[1.0], [2.0], [3.0], [6.0]])
    found = quantizer(x, generator=noise())
    assert found.stats["revived"] == 1
    assert quantizer.counts.tolist() == [4.0, 2.0]
    assert quantizer.codebook[0].item() == 3.0
    assert quantizer.codebook[1].item() in x.flatten().tolist()


def test_a_code_in_rare_use_is_not_dead() -> None:
    quantizer = at(torch.tensor([[0.0], [9.0]]), decay=0.5, dead=0.05)
    x = torch.cat([torch.zeros(9, 1), torch.tensor([[9.0]])])  # a fifth of the mean count
    for n in range(30):
        assert quantizer(x, generator=noise(n)).stats["revived"] == 0
    assert torch.allclose(quantizer.codebook, torch.tensor([[0.0], [9.0]]))


@pytest.mark.parametrize("codes", [2, 7, 64])
def test_perplexity_of_uniform_use_is_the_number_of_codes(codes: int) -> None:
    quantizer = at(10 * torch.arange(codes).float()[:, None]).eval()
    found = quantizer(quantizer.codebook.repeat(3, 1))
    torch.testing.assert_close(found.stats["perplexity"], torch.tensor(float(codes)))
    assert found.stats["used"] == 1
    one = quantizer(quantizer.codebook[:1].repeat(3, 1))
    assert one.stats["perplexity"] == 1
    torch.testing.assert_close(one.stats["used"], torch.tensor(1 / codes))


def test_perplexity_is_two_to_the_entropy_in_bits() -> None:
    counts = torch.tensor([4.0, 2.0, 1.0, 1.0])  # 1.75 bits
    torch.testing.assert_close(perplexity(counts), torch.tensor(2**1.75))


def test_one_generator_one_codebook_and_hidden_state_does_not_matter() -> None:
    runs = []
    for hidden, seed in ((1, 0), (2, 0), (1, 5)):
        torch.manual_seed(hidden)
        quantizer = VectorQuantizer(codes=6, dim=2)
        for n in range(4):
            quantizer(points(40, 2, seed=n), generator=noise(100 * seed + n))
        runs.append(quantizer.codebook)
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_what_is_saved_goes_on_exactly() -> None:
    def learn(quantizer: nn.Module, steps: range) -> None:
        for n in steps:
            quantizer(points(40, 2, seed=n), generator=noise(n))

    whole = VectorQuantizer(codes=16, dim=2, decay=0.5, dead=0.3)
    learn(whole, range(4))
    again = VectorQuantizer(codes=16, dim=2, decay=0.5, dead=0.3)
    again.load_state_dict(buffers(whole), strict=True)
    learn(whole, range(4, 9))
    learn(again, range(4, 9))
    for name, value in buffers(whole).items():
        assert torch.equal(value, again.state_dict()[name]), name


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_batch_that_is_not_finite_changes_nothing(bad: float) -> None:
    x = points(40, 2)
    poisoned = torch.where(torch.arange(40)[:, None] == 7, bad, x)
    quantizer = VectorQuantizer(codes=4, dim=2)
    quantizer(poisoned, generator=noise())
    assert not quantizer.started  # the next batch may
    quantizer(x, generator=noise())
    before = buffers(quantizer)
    quantizer(poisoned, generator=noise())
    assert all(torch.equal(v, before[k]) for k, v in buffers(quantizer).items())


def test_processes_that_train_together_learn_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    codebook, halves = points(4, 2, seed=3), points(40, 2).split([25, 15])
    whole = at(codebook, decay=0.5)
    stats = whole(torch.cat(halves), generator=noise()).stats
    sent: list[Tensor] = []
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.broadcast", lambda drawn, source: None)
    monkeypatch.setattr("torch.distributed.all_reduce", sent.append)
    at(codebook, decay=0.5)(halves[0], generator=noise())
    others = iter(sent)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda mine: mine.add_(next(others)))
    half = at(codebook, decay=0.5)
    found = half(halves[1], generator=noise())
    torch.testing.assert_close(half.counts, whole.counts)
    torch.testing.assert_close(half.codebook, whole.codebook)
    torch.testing.assert_close(found.stats, stats)
    assert next(others, None) is None
    half.eval()(halves[1])  # one process alone may look: nothing is sent


def test_inside_autocast_it_computes_in_full_precision() -> None:
    codebook = torch.tensor([[100.0], [100.1]])  # one number in bfloat16
    quantizer = at(codebook)
    with torch.autocast("cpu", torch.bfloat16):
        found = quantizer(torch.tensor([[100.02], [100.09]]), generator=noise())
    assert found.codes.tolist() == [0, 1]
    assert found.latent.dtype == found.commitment.dtype == torch.float32
    assert quantizer.eval()(torch.ones(2, 1, dtype=torch.bfloat16)).latent.dtype == torch.float32


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match=r"got latents \(2, 4, 5\), expected \(B, 3"):
        VectorQuantizer(codes=4, dim=3)(torch.zeros(2, 4, 5))
    with pytest.raises(ValueError, match="got decay 1 "):
        VectorQuantizer(codes=4, dim=3, decay=1)
    with pytest.raises(ValueError, match="dead 0"):
        VectorQuantizer(codes=4, dim=3, dead=0)
