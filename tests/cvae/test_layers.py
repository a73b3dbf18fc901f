"""Blocks: the identity they start as, every size they must take, attention by hand."""

import pytest
import torch
from torch import nn

from cvae.layers import FiLM, GroupNorm, ResidualBlock, SelfAttention, downsample, upsample

SIZES = [(1, 1), (3, 5), (7, 2), (8, 8)]


@pytest.mark.parametrize("channels", [1, 6, 7, 11, 32, 48])
def test_groups_divide(channels: int) -> None:
    groups = GroupNorm(channels).num_groups
    assert channels % groups == 0 and 1 <= groups <= 8


@pytest.mark.parametrize("channels", [24, 160])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_group_norm_is_the_same_in_any_memory(channels: int, memory: torch.memory_format) -> None:
    torch.manual_seed(0)
    norm = GroupNorm(channels)
    nn.init.normal_(norm.weight)
    x = torch.randn(2, channels, 6, 5).bfloat16()
    groups = x.double().reshape(2, norm.num_groups, -1)
    groups = groups - groups.mean(2, keepdim=True)
    groups = groups / (groups.square().mean(2, keepdim=True) + norm.eps).sqrt()
    expected = groups.view(x.shape) * norm.weight.double()[:, None, None]
    found = norm(x.to(memory_format=memory)).double()
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


def test_film_starts_as_the_identity_and_then_scales_and_shifts() -> None:
    torch.manual_seed(0)
    film, x, c = FiLM(channels=4, context=3), torch.randn(2, 4, 3, 5), torch.randn(2, 3)
    assert torch.equal(film(x, c), x)
    nn.init.normal_(film.project.weight)
    gamma, beta = (c @ film.project.weight.T).chunk(2, 1)
    expected = x * (1 + gamma)[..., None, None] + beta[..., None, None]
    torch.testing.assert_close(film(x, c), expected)


@pytest.mark.parametrize("size", SIZES)
def test_blocks_start_near_the_identity_at_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 32, *size)
    for y in (
        ResidualBlock(32)(x),
        ResidualBlock(32, context=3)(x, torch.randn(2, 3)),
        SelfAttention(32, head=16)(x),
    ):
        assert y.shape == x.shape
        assert 0 < (y - x).abs().max() < 0.1


def test_a_block_built_with_context_asks_for_it_and_uses_it() -> None:
    torch.manual_seed(0)
    block, x = ResidualBlock(8, context=3), torch.randn(2, 8, 4, 4)
    with pytest.raises(ValueError, match="got no context"):
        block(x)
    assert block.film is not None
    nn.init.normal_(block.film.project.weight)
    first, second = (block(x, torch.randn(2, 3)) for _ in range(2))
    assert not torch.allclose(first, second)


def test_attention_is_softmax_of_products() -> None:
    torch.manual_seed(0)
    attention, x = SelfAttention(32, head=16), torch.randn(2, 32, 3, 5)
    nn.init.normal_(attention.out.weight)
    q, k, v = attention.qkv(attention.norm(x)).flatten(2).chunk(3, 1)  # (B, C, N)
    parts = []
    for a, b, c in zip(q.split(16, 1), k.split(16, 1), v.split(16, 1), strict=True):
        weights = (a.transpose(1, 2) @ b / 4).softmax(-1)  # from place to place
        parts.append(c @ weights.transpose(1, 2))
    expected = x + attention.out(torch.cat(parts, 1).unflatten(2, (3, 5)))
    torch.testing.assert_close(attention(x), expected, atol=1e-4, rtol=1e-4)


def test_attention_refuses_heads_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="got 40 channels, expected a multiple of the head"):
        SelfAttention(40)


def test_maps_halve_and_double() -> None:
    x = torch.randn(2, 3, 8, 6)
    assert downsample(3, 5)(x).shape == (2, 5, 4, 3)
    assert upsample(x).shape == (2, 3, 16, 12)
    flat = torch.full((1, 1, 3, 3), 2.5)
    assert torch.equal(upsample(flat), torch.full((1, 1, 6, 6), 2.5))  # no checkerboard
