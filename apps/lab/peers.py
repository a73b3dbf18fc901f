"""Who is timed: one VAE of digits as PyTorch alone, this house, pythae and Pyro train it.

The network is that of Pyro's VAE example, 784 - 400 - 50 - 400 - 784 with softplus; layers and
their sizes are the same for all, what is done with them is each one's own. The peers are an
optional extra and imported only where they train.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from apps.lab.model import PIXELS, SHAPE, Untold
from apps.lab.objective import Elbo, Objective
from apps.lab.recipe import PLAIN
from cvae.distributions import DiagonalNormal
from cvae.model import CVAE
from cvae.networks import StandardPrior
from cvae.training import Trainer, train

WIDTH, LATENT, RATE = 400, 50, 1e-3

Tick = Callable[[], None]


@dataclass(frozen=True)
class Task:
    """Pictures of 0 and 1 `(N, 1, 28, 28)`, a whole number of batches, shown `passes` times.

    `folder`: where a run may write.
    """

    pictures: Tensor
    batch: int
    passes: int
    folder: Path

    @property
    def labels(self) -> Tensor:
        return torch.zeros(len(self.pictures), dtype=torch.long)

    @property
    def steps(self) -> int:
        return self.passes * (len(self.pictures) // self.batch)

    def ready(self) -> list[Tensor]:
        """A batch a step, a few of them over and over: nothing is left to fetch."""
        few = self.pictures[: 16 * self.batch].split(self.batch)
        return [few[n % len(few)] for n in range(self.steps)]


class System(Protocol):
    """Networks as they start, and how they are trained: `task.steps` steps, a tick in each."""

    parameters: list[nn.Parameter]

    def __init__(self, task: Task, tick: Tick) -> None: ...
    def run(self) -> None: ...  # its own loop, which fetches, logs and saves as it does
    def alone(self) -> None: ...  # on batches that are ready


class Encoder(nn.Module):
    """Pictures `(B, 1, 28, 28)` -> the mean of q(z | x) and what its spread is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(PIXELS, WIDTH)
        self.mean, self.spread = nn.Linear(WIDTH, LATENT), nn.Linear(WIDTH, LATENT)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = F.softplus(self.hidden(x.flatten(1)))
        return self.mean(h), self.spread(h)


class Decoder(nn.Module):
    """z `(B, D)` -> logits `(B, 784)`."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(LATENT, WIDTH), nn.Linear(WIDTH, PIXELS)

    def forward(self, z: Tensor) -> Tensor:
        return self.out(F.softplus(self.hidden(z)))


class Bare:
    """Forward, backward, Adam, and nothing else."""

    def __init__(self, task: Task, tick: Tick) -> None:
        self.task, self.tick = task, tick
        self.encoder, self.decoder = Encoder(), Decoder()
        self.parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=RATE)

    def step(self, x: Tensor) -> None:
        self.tick()
        mean, logvar = self.encoder(x)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        logits = self.decoder(z)
        nll = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="sum")
        kl = 0.5 * (mean.square() + logvar.exp() - logvar - 1).sum()
        self.optimizer.zero_grad()
        ((nll + kl) / len(x)).backward()
        self.optimizer.step()

    def run(self) -> None:
        for _ in range(self.task.passes):
            for rows in torch.randperm(len(self.task.pictures)).split(self.task.batch):
                self.step(self.task.pictures[rows])

    def alone(self) -> None:
        for x in self.task.ready():
            self.step(x)


class Recognition(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()

    def forward(self, x: Tensor, features: Tensor) -> DiagonalNormal:
        return DiagonalNormal(*self.encoder(x))


class Generation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder()

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        return self.decoder(z).unflatten(1, SHAPE)


class Exact(nn.Module):
    """The lab's bound in float32, as the peers train, also where the processor has bfloat16."""

    def __init__(self, model: CVAE, tick: Tick) -> None:
        super().__init__()
        self.model, self.objective, self.tick = model, Objective(model, Elbo()), tick

    def observed(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return self.objective.observed(batch)

    def forward(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Any:
        self.tick()
        with torch.autocast("cpu", enabled=False):
            return self.objective(batch, generator)


class Perhaps:
    """The loop that every model of the house is trained by, with the schedule of the lab."""

    def __init__(self, task: Task, tick: Tick) -> None:
        self.task = task
        model = CVAE(
            condition=Untold(),
            recognition=Recognition(),
            prior=StandardPrior(LATENT),
            generation=Generation(),
        )
        self.parameters = list(model.parameters())
        self.objective = Exact(model, tick)
        self.schedule = replace(PLAIN, steps=task.steps, batch=task.batch, learning_rate=RATE)

    def run(self) -> None:
        pictures, labels = self.task.pictures, self.task.labels

        def fetch(rows: Tensor) -> tuple[Tensor, Tensor]:
            return pictures[rows], labels[rows]

        out = self.task.folder
        train(self.objective, fetch, size=len(labels), schedule=self.schedule, out=out)

    def alone(self) -> None:
        trainer = Trainer(self.objective, self.schedule, device=torch.device("cpu"))
        labels = self.task.labels[: self.task.batch]
        for x in self.task.ready():
            trainer.update((x, labels))


class Pythae:
    """Its `VAE` by its `BaseTrainer`, with its data set and its loader."""

    def __init__(self, task: Task, tick: Tick) -> None:
        from pythae.data.datasets import BaseDataset
        from pythae.trainers import BaseTrainer, BaseTrainerConfig
        from pythae.trainers.training_callbacks import TrainingCallback

        class Ticking(TrainingCallback):
            def on_train_step_end(self, *_: Any, **__: Any) -> None:
                tick()

        self.task, model = task, _pythae_model()
        self.parameters = list(model.parameters())
        self.trainer = BaseTrainer(
            model,
            BaseDataset(task.pictures, task.labels),
            training_config=BaseTrainerConfig(
                output_dir=str(task.folder),
                per_device_train_batch_size=task.batch,
                num_epochs=task.passes,
                learning_rate=RATE,
                no_cuda=True,
            ),
            callbacks=[Ticking()],
        )

    def run(self) -> None:
        self.trainer.train()

    def alone(self) -> None:
        from pythae.data.datasets import DatasetOutput

        self.trainer.train_loader = Ready(DatasetOutput(data=x) for x in self.task.ready())
        self.trainer.prepare_training()
        self.trainer.train_step(1)  # a pass, in its words


class Ready(list):
    """Batches in place of pythae's loader, which is asked how many pictures it has."""

    @property
    def dataset(self) -> "Ready":
        return self


def _pythae_model() -> Any:
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encode(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = Encoder()

        def forward(self, x: Tensor) -> Any:
            mean, logvar = self.network(x)
            return ModelOutput(embedding=mean, log_covariance=logvar)

    class Decode(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = Decoder()

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.network(z).sigmoid().unflatten(1, SHAPE))

    config = VAEConfig(input_dim=SHAPE, latent_dim=LATENT, reconstruction_loss="bce")
    return VAE(config, Encode(), Decode())


class Pyro:
    """Its VAE example: `SVI` with `Trace_ELBO`, and a shuffling loader of what is in memory."""

    def __init__(self, task: Task, tick: Tick) -> None:
        import pyro
        from pyro.infer import SVI, Trace_ELBO

        pyro.clear_param_store()  # it is one a process
        self.task, self.tick = task, tick
        self.encoder, self.decoder = Encoder(), Decoder()
        self.parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        adam = pyro.optim.Adam({"lr": RATE})
        self.svi = SVI(self.model, self.guide, adam, loss=Trace_ELBO())

    def model(self, x: Tensor) -> None:
        import pyro
        import pyro.distributions as dist

        pyro.module("decoder", self.decoder)
        with pyro.plate("data", len(x)):
            zeros, ones = x.new_zeros(len(x), LATENT), x.new_ones(len(x), LATENT)
            z = pyro.sample("latent", dist.Normal(zeros, ones).to_event(1))
            pixels = dist.Bernoulli(self.decoder(z).sigmoid(), validate_args=False)
            pyro.sample("obs", pixels.to_event(1), obs=x.flatten(1))

    def guide(self, x: Tensor) -> None:
        import pyro
        import pyro.distributions as dist

        pyro.module("encoder", self.encoder)
        with pyro.plate("data", len(x)):
            mean, logscale = self.encoder(x)
            pyro.sample("latent", dist.Normal(mean, logscale.exp()).to_event(1))

    def run(self) -> None:
        shown = TensorDataset(self.task.pictures, self.task.labels)
        loader = DataLoader(shown, batch_size=self.task.batch, shuffle=True)
        for _ in range(self.task.passes):
            for x, _label in loader:
                self.tick()
                self.svi.step(x)

    def alone(self) -> None:
        for x in self.task.ready():
            self.tick()
            self.svi.step(x)
