"""From requests to faces, and from an uploaded face to another version of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from apps import images, runtime
from apps.faces import edit
from apps.faces.attributes import OFFERED, consistent, request, stated
from apps.faces.copula import Copula
from apps.faces.detector import Detector, find_face
from apps.faces.frame import to_image, to_network
from apps.faces.model import KINDS
from apps.faces.place import Frame, cut
from cvae.model import CVAE, Latent
from pretrained import store

MOST = 256  # faces at a time
READER, DETECTOR = "faces-reader", "faces-detector"  # shipped beside the model

Image = str | Path | bytes | np.ndarray | Any
Asked = Mapping[str, bool | None] | None
Box = tuple[float, float, float, float] | Frame | None


@dataclass(frozen=True)
class MadeFaces:
    """k faces that never were.

    `images`: k arrays `(64, 64, 3)` uint8 sRGB; `requests`: all attributes of each, those that
    were asked for and those drawn; `seed`: what they can be had again by.
    """

    images: list[np.ndarray]
    requests: list[dict[str, bool]]
    seed: int


class FaceMaker:
    """A trained model and what people do with it.

    Example:
        >>> maker = FaceMaker.from_pretrained()
        >>> made = maker({"Smiling": True, "Male": False}, k=2, seed=0)
        >>> made.images[0].shape
        (64, 64, 3)
        >>> made.requests[0]["Smiling"], made.requests[0]["Male"]
        (True, False)
    """

    def __init__(
        self, model: CVAE, copula: Copula, *, device: str = "auto", name: str = ""
    ) -> None:
        self.device = runtime.pick_device(device)
        self.model = model.to(self.device).eval()
        self.copula, self.name = copula, name

    @classmethod
    def from_pretrained(
        cls, path_or_name: str | Path = "faces", device: str = "auto"
    ) -> "FaceMaker":
        """Load checked weights: a folder, or the name of a model that is shipped.

        Raises:
            pretrained.store.WeightsError: not there, damaged, or of another domain.
        """
        model, config = runtime.load(path_or_name, domain="faces", kinds=KINDS)
        if not isinstance(model, CVAE) or not config.get("copula"):
            raise store.WeightsError(
                f"got {path_or_name} with a {config.get('model')!r}, expected a model that makes "
                "faces and knows which attributes go together"
            )
        copula = Copula.from_config(config["copula"])
        return cls(model, copula, device=device, name=str(path_or_name))

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names that may be asked for."""
        return OFFERED

    def __call__(
        self,
        attributes: Asked = None,
        k: int = 16,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> MadeFaces:
        """Make k faces; face j depends on (seed, j, attributes) alone.

        Args:
            attributes: name -> on, off, or None for don't care; what is left open is drawn for
                each face from what goes with the rest, and moves as little as that allows while
                others are toggled.
            k: how many, 1 to 256.
            temperature: (0, 2]; less is more alike.

        Raises:
            apps.faces.attributes.RequestError: a name that is not offered, or a contradiction.
            ValueError: a number out of its range.
        """
        runtime.check("k", k, 1, MOST)
        runtime.check("temperature", temperature, 0.01, 2)
        wanted = self._requests(request(attributes), k=k, seed=seed)
        made = []
        for j, y in enumerate(wanted):  # each by itself: a larger k cannot change a bit of another
            context = self.model.condition(y[None].to(self.device))
            made.append(self._paint(self._latent(seed, j, temperature), context))
        return MadeFaces(made, [stated(y) for y in wanted], seed)

    def progression(
        self,
        attribute: str,
        steps: int = 8,
        attributes: Asked = None,
        seed: int = 0,
        j: int = 0,
        temperature: float = 1.0,
    ) -> list[np.ndarray]:
        """One attribute from off to on in equal steps, all else of face j held: `steps` faces.

        Attribute-conditioned progression (Yan et al., 2016, section 5.2), in the space that the
        networks read requests in.
        """
        runtime.check("steps", steps, 2, 64)
        runtime.check("temperature", temperature, 0.01, 2)
        asked = dict(attributes or {})
        off = self._requests(request({**asked, attribute: False}), k=j + 1, seed=seed)[j]
        on = consistent(torch.where(request({attribute: True}) > 0, 1.0, off), {attribute})
        ends = self.model.condition(torch.stack([off, on]).to(self.device))
        z = self._latent(seed, j, temperature)
        shares = torch.linspace(0, 1, steps, device=self.device).tolist()
        return [self._paint(z, torch.lerp(ends[:1], ends[1:], t)) for t in shares]

    def read(self, image: Image, box: Box = None) -> dict[str, float]:
        """How probably the face in a photo has each attribute.

        Args:
            box: corners (x0, y0, x1, y1) around the face, pixels; found where it is left out.

        Raises:
            apps.images.ImageError: the image cannot be read.
            apps.faces.detector.NoFace: there is no face in it.
        """
        pixels = images.read(image).pixels
        x = self._face(pixels, self.locate(pixels, box))
        probabilities = self._reader(x).sigmoid()[0].tolist()
        return dict(zip(OFFERED, probabilities, strict=True))

    def edit(self, image: Image, attributes: Asked, box: Box = None) -> np.ndarray:
        """The photo with the attributes of its face changed, `(H, W, 3)` uint8 of its own size.

        The face is encoded with the attributes that it seems to have and decoded with those
        that are asked for; what differs between the two is put back into the photo.
        """
        wanted = request(attributes)
        pixels = images.read(image).pixels
        frame = self.locate(pixels, box)
        x = self._face(pixels, frame)
        has = torch.where(self._reader(x) > 0, 1.0, -1.0)
        asked = wanted.to(self.device)
        new = consistent(torch.where(asked != 0, asked, has[0]), {*stated(wanted)})
        return edit.edit(self.model, pixels, frame, x, has, new[None].to(self.device))

    def complete(
        self, image: Image, mask: Image, k: int = 4, seed: int = 0, box: Box = None
    ) -> list[np.ndarray]:
        """k ways to fill what a mask hides of a face, likeliest first; photos of its own size.

        Args:
            mask: of the photo's size, white where it is hidden.
        """
        runtime.check("k", k, 1, 16)
        pixels = images.read(image).pixels
        hidden = edit.read_mask(images.read(mask).pixels, pixels.shape[:2])
        frame = self.locate(pixels, box)
        generator = torch.Generator(self.device).manual_seed(runtime.key(seed, k))
        has = torch.zeros(1, len(OFFERED), device=self.device)
        return edit.complete(
            self.model, pixels, hidden, frame, self._face(pixels, frame), has, k, generator
        )

    def _requests(self, wanted: Tensor, *, k: int, seed: int) -> Tensor:
        """All attributes `(k, A)` in {-1, 1} of k faces, given what is stated `(A,)`."""
        drawn = self.copula.complete(wanted, k=k, seed=seed)
        said = {*stated(wanted)}
        return torch.stack([consistent(y, said) for y in drawn])

    def locate(self, pixels: np.ndarray, box: Box = None) -> Frame:
        """Where the face is: in the box that was drawn, else where it is found.

        What comes back may be given as `box` in its turn, so that a face is found once.
        """
        if isinstance(box, Frame):
            return box
        return Frame.from_box(*box) if box else find_face(self._detector, pixels).frame

    @cached_property
    def _reader(self) -> torch.nn.Module:
        return runtime.load(READER, domain="faces", kinds=KINDS)[0].to(self.device)

    @cached_property
    def _detector(self) -> Detector:
        model: Any = runtime.load(DETECTOR, domain="faces", kinds=KINDS)[0]
        return model.to(self.device)

    def _face(self, pixels: np.ndarray, frame: Frame) -> Tensor:
        face = cut(pixels, frame).transpose(2, 0, 1)
        return to_network(torch.from_numpy(face).to(self.device)[None])

    def _latent(self, seed: int, j: int, temperature: float) -> Tensor:
        prior: Latent = self.model.prior(torch.zeros(1, 1, device=self.device))
        if temperature != 1.0:
            prior = prior.tempered(temperature)
        generator = torch.Generator(self.device).manual_seed(runtime.key(seed, j))
        return prior.sample((1,), generator=generator)

    @torch.inference_mode()
    def _paint(self, z: Tensor, context: Tensor) -> np.ndarray:
        return to_image(self.model.decode(z, context)[0, 0])
