"""Small encoders and decoders: shapes, gradients everywhere, and that they can learn."""

import pytest
import torch
from torch import nn

from cvae.networks import ConvDecoder, ConvEncoder, mlp


def test_mlp_is_linear_silu_linear() -> None:
    torch.manual_seed(0)
    network, x = mlp([3, 4, 2]), torch.randn(5, 3)
    assert [type(layer) for layer in network] == [nn.Linear, nn.SiLU, nn.Linear]
    first, _, last = network
    torch.testing.assert_close(network(x), last(torch.nn.functional.silu(first(x))))


@pytest.mark.parametrize(("size", "widths"), [(28, (8, 16)), (8, (4, 6, 10)), (6, (7,))])
def test_the_decoder_mirrors_the_encoder(size: int, widths: tuple[int, ...]) -> None:
    encoder = ConvEncoder(channels=2, size=size, outputs=5, widths=widths)
    decoder = ConvDecoder(inputs=5, channels=2, size=size, widths=widths)
    x = torch.randn(3, 2, size, size)
    z = encoder(x)
    assert z.shape == (3, 5) and decoder(z).shape == x.shape
    decoder(z).square().sum().backward()
    for name, value in [*encoder.named_parameters(), *decoder.named_parameters()]:
        assert value.grad is not None and value.grad.any(), name


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(ValueError, match="got pictures of 28 pixels and 3 levels"):
        ConvEncoder(channels=1, size=28, outputs=2)
    with pytest.raises(ValueError, match="expected a multiple of 8"):
        ConvDecoder(inputs=2, channels=1, size=28)


def test_an_autoencoder_of_them_learns_four_pictures() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 1, 8, 8)
    network = nn.Sequential(
        ConvEncoder(channels=1, size=8, outputs=8, widths=(8, 16)),
        ConvDecoder(inputs=8, channels=1, size=8, widths=(8, 16)),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(50):
        loss = (network(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3  # of a variance of 1
