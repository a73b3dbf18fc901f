"""What the faces are trained on: one objective; by its weights a VAE, a DCGAN, or all of it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.faces.classifier import Reader, attribute_loss
from apps.faces.turn import turn
from cvae.adversarial import (
    Discriminator,
    Verdict,
    augment,
    discriminator_loss,
    generator_loss,
    learned_similarity,
    r1_penalty,
)
from cvae.distributions import DiagonalNormal
from cvae.likelihoods import gaussian
from cvae.model import CVAE
from cvae.networks import mlp

Stats = dict[str, Tensor]
Judge = Discriminator | Reader
# x and y to encode, and x and y that critics may see; y is (B, A): 1 on, -1 off, 0 not known
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Weights:
    """How much each term counts; a term of weight 0 is not computed (so it can be ablated)."""

    pixels: float = 1.0  # nats of a Gaussian around the pixels
    features: float = 0.3  # nats of a Gaussian around features: the judge's or the discriminator's
    kl: float = 60.0  # few nats in z, so that draws of the prior decode like posteriors
    nats: float = 0.0003  # all of the above, against the game: more, and texture is too dear
    adversarial: float = 1.0
    attributes: float = 2.0  # of resampled requests, nats an attribute
    toggled: float = 4.5  # of the one that was turned round, nats
    held: float = 0.3  # of what is read off a face otherwise once it is turned, logits
    still: float = 3.0  # of all that is painted otherwise then, mean difference of the pixels
    natural: float = 3.0  # times that a face so turned counts more in the game
    information: float = 0.1  # of what z tells about attributes, nats an attribute
    r1: float = 0.05
    r1_every: int = 8  # steps between two penalties, each then that much heavier
    augmented: float = 0.1  # on a few passes over the faces more only hides what is false
    open: float = 0.2  # share of attributes left open, and of requests left open as a whole
    toggles: float = 0.5  # share of resampled requests with one attribute turned round
    known: float = 0.5  # share of the game's faces whose z is that of a real one, not a draw
    alone: int = 2000  # first steps, which the variational terms have to themselves


class FaceObjective(nn.Module):
    r"""VAE/GAN with requests (Larsen et al., 2016, Algorithm 1; Odena et al., 2017).

    The model minimises

    $\eta\,(-\log p(x|z,y) - \log p(D_l(x)|z,y) + \mathrm{KL}) - \log D(G(z', y'))
    - \log p_D(y'|G(z', y'))$,

    x and y from the data, z' from the prior, y' labels of other faces, some with one turned
    round, so that a toggle is obeyed also where the data never show it; that one attribute then
    counts more than all of them. Whoever reads attributes pulls such faces far from what faces
    look like: so the discriminator has more weight there, too, and what is painted otherwise than
    before it was turned is charged by the pixel. For a share of the requests z' is that of a real
    face and y' its own labels: what an edit shows is judged as what a draw shows, else the model
    tells the two kinds of z apart and blurs the one. No gradient of the game reaches the encoder.
    A reader that predicts y from z is trained beside the discriminator; the encoder is to leave
    it at the base rates.

    The game starts once z has a meaning: from then on samples of the prior are faces, if blurred
    ones, and steps before it cost half. Without a term that needs one there is no discriminator,
    and no game. Who measures likeness and obedience is the judge if there is one, else the
    discriminator: on few steps a network that has learnt attributes before knows better than one
    that learns them on the way.

    Args:
        judge: a trained network that is held still.
    """

    def __init__(
        self,
        model: CVAE,
        weights: Weights,
        *,
        attributes: int,
        latent: int,
        widths: tuple[int, ...] = (32, 64, 128),
        judge: Judge | None = None,
    ) -> None:
        super().__init__()
        self.model, self.weights = model, weights
        self.attributes, self.latent = attributes, latent
        self.plays = bool(weights.adversarial or weights.attributes or weights.toggled)
        self.discriminator: Discriminator | None = None
        self.judge = judge
        if self.plays:
            self.discriminator = Discriminator(
                channels=3,
                size=64,
                conditions=attributes,
                widths=widths,
                sights=judge.widths if isinstance(judge, Reader) else (),
            )
        if judge is not None:
            judge.requires_grad_(False)
        self.reader = mlp([latent, 256, attributes]) if weights.information else None
        self.clock: Tensor
        self.register_buffer("clock", torch.zeros((), dtype=torch.long))
        if weights.features and judge is None and not self.plays:
            raise ValueError("got features of a discriminator that nobody trains: pass a judge")

    @property
    def playing(self) -> bool:
        return self.plays and int(self.clock) >= self.weights.alone

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Critics first: the model then answers to what they have just learnt."""
        critics: list[nn.Parameter] = []
        if self.discriminator is not None:
            critics += self.discriminator.parameters()
        if self.reader is not None:
            critics += self.reader.parameters()
        game = {"critic": critics} if critics else {}
        return game | {"model": list(self.model.parameters())}

    def forward(
        self, batch: Batch, generator: torch.Generator, player: str
    ) -> tuple[Tensor, Stats]:
        """Loss of one player on (x, y, x for critics, y for critics), and its parts."""
        if player == "critic":
            return self.criticise(batch, generator)
        return self.answer(batch, generator)

    def observed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What diagnostics look at: faces and all that is known of them."""
        return batch[0], batch[1]

    # What the model is told

    def answer(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Stats]:
        w = self.weights
        x, y, _, _ = batch
        terms: Stats = {}
        loss, z = x.new_zeros(()), None
        if w.pixels or w.features:
            loss, terms, z = self.reconstruct(x, y, generator)
        if self.playing:
            played = self.play(y, z, generator)
            loss = loss + w.adversarial * played["fooled"]
            loss = loss + w.attributes * played["obeyed"] + w.toggled * played["toggled"]
            loss = loss + w.held * played.get("held", 0.0) + w.still * played.get("still", 0.0)
            terms |= played
        self.clock += 1
        return loss, {name: term.detach() for name, term in terms.items()}

    def reconstruct(
        self, x: Tensor, y: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Stats, Tensor]:
        """Loss of the variational terms, nats a picture each, and of what z tells, if weighed;
        these terms; and z `(B, D)`, detached."""
        w, model = self.weights, self.model
        posterior, context = self.encode(x, y, generator)
        z = posterior.rsample((), generator=generator)
        painted = model.decode(z[None], context)[:, 0]
        terms = {"kl": w.kl * posterior.kl_standard().sum(-1).mean()}
        if w.pixels:
            terms["pixels"] = -w.pixels * gaussian(painted, x).mean()
        if w.features:
            with torch.no_grad():
                seen, _ = self.perceive(x)
            meant, _ = self.perceive(painted)
            terms["features"] = w.features * learned_similarity(seen, meant).mean()
        loss = w.nats * torch.stack(list(terms.values())).sum()
        if self.reader is not None:
            rates = ((y > 0).sum(0) + 1) / ((y != 0).sum(0) + 2)
            told = F.binary_cross_entropy_with_logits(self.reader(z), rates.expand_as(y))
            loss, terms["told"] = loss + w.information * told, told
        return loss, terms, z.detach()

    def encode(
        self, x: Tensor, y: Tensor, generator: torch.Generator
    ) -> tuple[DiagonalNormal, Tensor]:
        """q(z | x, y) with some of y left open, and the context that it is given."""
        context = self.model.condition(self.leave_open(y, generator))
        return self.model.posterior(x, context), context

    def play(self, y: Tensor, z: Tensor | None, generator: torch.Generator) -> Stats:
        """How little what people will see fools the discriminator, and how little it obeys."""
        w = self.weights
        before, wanted, turned = self.resample(y, generator)
        drawn = self.latents(wanted, z, generator)
        faces = self.paint(drawn, wanted)
        verdict, read = self.verdict(self.disguise(faces, generator), wanted * usual(turned))
        played = {
            "fooled": generator_loss(verdict.logit, 1 + w.natural * turned.amax(1)),
            "obeyed": attribute_loss(read, wanted),
            "toggled": attribute_loss(read, wanted * turned),
        }
        rows = turned.any(1)
        if (w.held or w.still) and rows.any():
            played |= self.moved(faces[rows], drawn[rows], before[rows], wanted[rows])
        return played

    def moved(self, faces: Tensor, z: Tensor, before: Tensor, wanted: Tensor) -> Stats:
        """How far faces of what is wanted now are from those of the requests before: in logits of
        attributes that are asked for as before, and in the pixels."""
        with torch.no_grad():
            old = self.paint(z, before)
        apart: Stats = {}
        if self.weights.held:
            with torch.no_grad():
                _, was = self.perceive(old)
            _, now = self.perceive(faces)
            same = before == wanted
            apart["held"] = ((now - was).abs() * same).sum() / same.sum().clamp(min=1)
        if self.weights.still:
            apart["still"] = (faces - old).abs().mean()
        return apart

    # What the critics are told

    def criticise(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Stats]:
        x, y, real, labels = batch
        terms: Stats = {}
        loss, z = x.new_zeros((), requires_grad=True), None
        if self.reader is not None or (self.playing and self.weights.known):
            with torch.no_grad():
                z = self.encode(x, y, generator)[0].sample((), generator=generator)
        if self.playing:
            terms = self.judge_both(real, labels, y, z, generator)
            loss = torch.stack(list(terms.values())).sum()
        if self.reader is not None:
            terms["read"] = attribute_loss(self.reader(z), y)
            loss = loss + terms["read"]
        return loss, {name: term.detach() for name, term in terms.items()}

    def judge_both(
        self,
        real: Tensor,
        labels: Tensor,
        y: Tensor,
        z: Tensor | None,
        generator: torch.Generator,
    ) -> Stats:
        w = self.weights
        _, wanted, turned = self.resample(y, generator)
        with torch.no_grad():
            fake = self.imagine(wanted, z, generator)
        penalised = bool(w.r1) and int(self.clock) % w.r1_every == 0
        real = real.requires_grad_(penalised)
        told = usual(turned)  # of as many real faces it is told nothing either
        stated = self.leave_open(labels, generator) * told
        verdict, _ = self.verdict(self.disguise(real, generator), stated, learning=True)
        unreal, _ = self.verdict(self.disguise(fake, generator), wanted * told, learning=True)
        terms = {
            "judged": discriminator_loss(verdict.logit, unreal.logit),
            "recognised": attribute_loss(verdict.condition, labels),
        }
        if penalised:
            terms["r1"] = w.r1 * w.r1_every * r1_penalty(verdict.logit, real)
        return terms

    # Requests and faces

    def imagine(self, wanted: Tensor, z: Tensor | None, generator: torch.Generator) -> Tensor:
        """One face a request, from `latents`."""
        return self.paint(self.latents(wanted, z, generator), wanted)

    def latents(self, wanted: Tensor, z: Tensor | None, generator: torch.Generator) -> Tensor:
        """One a request: the first z `(B, D)` are those of real faces, the rest of the prior."""
        context = self.model.condition(wanted)
        drawn = self.model.prior(context).sample((), generator=generator)
        if z is not None:
            first = self._known(wanted)
            drawn = torch.cat([z[:first], drawn[first:]])
        return drawn

    def paint(self, z: Tensor, wanted: Tensor) -> Tensor:
        return self.model.decode(z[None], self.model.condition(wanted))[:, 0]

    def _known(self, wanted: Tensor) -> int:
        return round(self.weights.known * len(wanted))

    def disguise(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return augment(x, generator, strength=self.weights.augmented)

    def verdict(
        self, x: Tensor, wanted: Tensor, *, learning: bool = False
    ) -> tuple[Verdict, Tensor]:
        """What the discriminator says of faces, and the attributes read off them.

        A judge lends it his eyes; while it is `learning` what they see is given, so that R1 asks
        for calm of the discriminator and not of him.
        """
        if self.discriminator is None:
            raise ValueError("got no discriminator, expected one: this objective plays no game")
        if not isinstance(self.judge, Reader):
            verdict = self.discriminator(x, wanted)
            return verdict, verdict.condition
        with torch.set_grad_enabled(not learning):
            sights, read = self.judge.perceive(x)
        return self.discriminator(x, wanted, sights), read

    def perceive(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features and attributes of faces, as seen by who measures likeness."""
        who = self.discriminator if self.judge is None else self.judge
        if who is None:
            raise ValueError("got nobody who measures likeness, expected a judge")
        return who.perceive(x)

    def leave_open(self, y: Tensor, generator: torch.Generator) -> Tensor:
        """Labels `(B, A)` with some put to 0, as requests will be; some say nothing at all."""
        kept = torch.rand(y.shape, generator=generator, device=y.device) >= self.weights.open
        spoken = torch.rand((len(y), 1), generator=generator, device=y.device)
        return y * kept * (spoken >= self.weights.open)

    def resample(self, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Requests for the game: other faces' labels (or a face's own, where its z is known), in
        part open; these with one turned round in some; and which that is, in {0, 1}."""
        first = self._known(y)
        y = self.leave_open(torch.cat([y[:first], y.roll(1, 0)[first:]]), generator)
        return (y, *turn(y, self.weights.toggles, generator))


def usual(turned: Tensor) -> Tensor:
    """Rows `(B, 1)` in which nothing `(B, A)` was turned round, 1 or 0.

    Of the others the discriminator is not told the request: no data show the like, and it would
    know them for false by the request alone. That they are obeyed is for the judge to say.
    """
    return 1 - turned.amax(1, keepdim=True)
