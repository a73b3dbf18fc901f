"""A photo to paint over, and to draw an arrow on; and what was drawn, which nobody trusts.

The canvas is a `gr.HTML` whose template never changes: its script alone draws its value.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import cv2
import gradio as gr
import numpy as np

from apps import images
from apps.page import shown, shrink

TO_PAINT = 800  # longest side of a photo that is painted over, pixels
MOST_MASK = 4_000_000  # characters of a painted mask; what the page sends has thousands
SHORTEST = 0.01  # of the photo: an arrow that is shorter was a click

Arrow = tuple[float, float, float, float]


class CanvasError(ValueError):
    """What came is not what a canvas sends."""


def canvas(*, arrow: bool = False, visible: bool | Literal["hidden"] = True) -> gr.HTML:
    """A photo to paint over. Its value: `photo`, a picture to show; `mask`, what was painted.

    Both are data URLs; the mask is a PNG that is opaque where it was painted. With `arrow` there
    are two tools, brush and arrow, and `arrow` in the value is x and y of its start and end in
    shares of width and height; and a cross, which fires `clear`. Either tool fires `input` once
    something is drawn or cleared.
    """
    over = '<canvas class="over"></canvas>' if arrow else ""
    away = (
        '<button type="button" class="away" aria-label="Another photo" title="Another photo" '
        "hidden>×</button>"
    )
    return gr.HTML(
        html_template='<div class="sheet"><img alt="" draggable="false" hidden><canvas></canvas>'
        f'{over}<p class="note">Drop a photo first.</p>{away if arrow else ""}</div>'
        f'<div class="control">{_TOOLS if arrow else "<span>Brush</span>"}'
        '<input type="range" aria-label="Size of the brush" min="2" max="25" value="9" step="1">'
        '<button type="button" class="clear" disabled>Clear</button></div>',
        js_on_load=_CANVAS.replace("SHORTEST", str(SHORTEST)),
        apply_default_css=False,
        elem_classes="canvas",
        visible=visible,
    )


def to_paint(pixels: np.ndarray) -> dict[str, Any]:
    """The value of a canvas that shows a photo on which nothing is drawn yet."""
    return {"photo": shown(shrink(pixels, TO_PAINT)), "mask": None, "arrow": None}


def strokes_of(painted: Any) -> bytes | None:
    """The picture of what was painted, as encoded bytes; None where nothing was.

    Raises:
        CanvasError: it is no data URL of a PNG, or too large.
    """
    text = painted.get("mask") if isinstance(painted, Mapping) else None
    if not text:
        return None
    head, _, data = str(text)[: MOST_MASK + 1].partition(",")
    if len(str(text)) > MOST_MASK or head != "data:image/png;base64":
        raise CanvasError(_UNREADABLE)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise CanvasError(_UNREADABLE) from None


def mask_of(strokes: bytes | None, size: tuple[int, int]) -> np.ndarray | None:
    """What was painted, as uint8 `(H, W)` of a photo's size; None where nothing was.

    Raises:
        CanvasError: it is no picture.
    """
    if strokes is None:
        return None
    try:
        alpha = images.read(strokes).alpha
    except images.ImageError:
        raise CanvasError(_UNREADABLE) from None
    if alpha is None or not alpha.any():
        return None
    return cv2.resize(alpha, size[::-1], interpolation=cv2.INTER_LINEAR)


def arrow_of(painted: Any) -> Arrow | None:
    """Start and end of the arrow, x and y in shares of the photo; None where there is none.

    Raises:
        CanvasError: these are not four numbers.

    Example:
        >>> arrow_of({"arrow": [0.5, 0.5, 2, 0.25]})
        (0.5, 0.5, 1.0, 0.25)
        >>> arrow_of({"arrow": [0.5, 0.5, 0.5, 0.505]}), arrow_of({})
        (None, None)
    """
    found = painted.get("arrow") if isinstance(painted, Mapping) else None
    if not found:
        return None
    fours = isinstance(found, Sequence) and len(found) == 4
    if not fours or not all(isinstance(x, int | float) and x == x for x in found):
        raise CanvasError("The arrow cannot be read: clear it and draw it again.")
    x0, y0, x1, y1 = (float(min(max(x, 0), 1)) for x in found)
    return (x0, y0, x1, y1) if max(abs(x1 - x0), abs(y1 - y0)) >= SHORTEST else None


_UNREADABLE = "The painted mask cannot be read: clear it and paint again."

_TOOLS = (
    '<span class="tools" role="group" aria-label="Tools">'
    '<button type="button" data-tool="arrow" title="Drag an arrow the way something goes">'
    "Arrow</button>"
    '<button type="button" data-tool="brush" title="Paint over what may move">Brush</button>'
    "</span>"
)

_CANVAS = """
const photo = element.querySelector('img'), canvas = element.querySelector('canvas');
const brush = element.querySelector('input'), clear = element.querySelector('.clear');
const hint = element.querySelector('p'), pen = canvas.getContext('2d');
const sheet = element.querySelector('.sheet'), over = element.querySelector('.over');
const away = element.querySelector('.away');
const tools = [...element.querySelectorAll('[data-tool]')];
let shown = null, last = null, arrow = null, tool;
const pick = (name) => {
  tool = name;
  sheet.dataset.tool = name;
  tools.forEach((button) => button.setAttribute('aria-pressed', button.dataset.tool === name));
  brush.hidden = name !== 'brush';
};
const line = (head, points) => {
  head.beginPath();
  points.forEach(([x, y], i) => i ? head.lineTo(x, y) : head.moveTo(x, y));
};
const point = () => {
  if (!over) return;
  const head = over.getContext('2d');
  head.clearRect(0, 0, over.width, over.height);
  if (!arrow) return;
  const [x, y, u, v] = arrow.map((share, i) => share * (i % 2 ? over.height : over.width));
  const length = Math.hypot(u - x, v - y), way = Math.atan2(v - y, u - x);
  const thick = Math.max(4, Math.min(over.width, over.height) / 70);
  const size = Math.min(5 * thick, length);
  const wing = (turn) => [u - size * Math.cos(way + turn), v - size * Math.sin(way + turn)];
  head.lineCap = head.lineJoin = 'round';
  for (const [colour, more] of [['#ffffff', 0.8 * thick], ['#3a6fb7', 0]]) {
    head.strokeStyle = colour;
    head.lineWidth = thick + more;
    line(head, [[x, y], [u, v]]);
    head.stroke();
    line(head, [wing(0.5), [u, v], wing(-0.5)]);
    head.stroke();
  }
};
const wipe = () => {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  arrow = null;
  point();
  clear.disabled = true;
};
const draw = () => {
  const source = props.value && props.value.photo;
  photo.hidden = canvas.hidden = !source;
  if (over) over.hidden = away.hidden = !source;
  hint.hidden = !!source;
  if (source === shown) return;
  shown = source;
  wipe();
  if (source) photo.src = source;
};
photo.addEventListener('load', () => {
  for (const layer of [canvas, over]) {
    if (!layer) continue;
    layer.width = photo.naturalWidth;
    layer.height = photo.naturalHeight;
  }
  wipe();
});
const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width,
          (event.clientY - box.top) * canvas.height / box.height];
};
const paint = (event) => {
  const here = at(event);
  pen.strokeStyle = '#d9482b';
  pen.lineCap = pen.lineJoin = 'round';
  pen.lineWidth = brush.value / 100 * Math.min(canvas.width, canvas.height);
  pen.beginPath();
  pen.moveTo(...(last || here));
  pen.lineTo(...here);
  pen.stroke();
  last = here;
};
const aim = (event) => {
  const here = at(event), share = ([x, y]) => [x / canvas.width, y / canvas.height];
  last = last || here;
  const all = [...share(last), ...share(here)].map((x) => Math.min(Math.max(x, 0), 1));
  const far = Math.max(Math.abs(all[2] - all[0]), Math.abs(all[3] - all[1]));
  arrow = far < SHORTEST ? null : all;
  point();
};
const act = (event) => tool === 'arrow' ? aim(event) : paint(event);
canvas.addEventListener('pointerdown', (event) => {
  if (event.button || !tool) return;
  canvas.setPointerCapture(event.pointerId);
  last = null;
  act(event);
});
canvas.addEventListener('pointermove', (event) => {
  if (last) act(event);
});
const lift = () => {
  if (!last) return;
  last = null;
  const drawn = tool === 'arrow' ? {arrow} : {mask: canvas.toDataURL('image/png')};
  props.value = {...props.value, ...drawn};
  clear.disabled = !props.value.mask && !props.value.arrow;
  trigger('input');
};
canvas.addEventListener('pointerup', lift);
canvas.addEventListener('pointercancel', lift);
clear.addEventListener('click', () => {
  wipe();
  props.value = {...props.value, mask: null, arrow: null};
  trigger('input');
});
if (away) away.addEventListener('click', () => trigger('clear'));
tools.forEach((button) => button.addEventListener('click', () => {
  pick(tool === button.dataset.tool ? '' : button.dataset.tool);
}));
// With a finger one scrolls past the photo, until a tool is asked for.
pick(!tools.length ? 'brush' : matchMedia('(pointer: fine)').matches ? 'arrow' : '');
watch('value', draw);
draw();
"""
