"""The parts of the tab *Latent lab* that Gradio does not have: dials, a picture, sheets.

Each is a `gr.HTML` whose template never changes: its script alone draws its value, so that nothing
flickers while a slider is dragged.
"""

import html

import gradio as gr

from apps.parts import SEEN

DIALS = 10  # sliders, for the dimensions that carry most
REACH = 3.0  # of a slider, from -REACH to REACH
PATIENCE = 300  # milliseconds without a change before the sheets follow


def dials() -> gr.HTML:
    """A slider for each of the dimensions that carry most.

    Its value: `z`, all dimensions; `dims`, which of them have a slider; `shares` of what these
    carry, 0 to 1. Fires `input` at every move, and `submit` a moment after the last change,
    whoever made it. A double click sets a dimension to 0.
    """
    rows = "".join(
        '<label class="dial" hidden><span class="name">z<sub></sub></span>'
        f'<input type="range" min="{-REACH}" max="{REACH}" step="0.05" value="0">'
        '<output></output><span class="share"><i></i></span></label>'
        for _ in range(DIALS)
    )
    return gr.HTML(
        html_template=rows,
        css_template=_DIALS_STYLE,
        js_on_load=_DIALS.replace("PATIENCE", str(PATIENCE)),
        apply_default_css=False,
        elem_classes="dials",
    )


def picture() -> gr.HTML:
    """The picture, large, every pixel of it to be seen; its value is a data URL.

    Fires `load` once somebody looks.
    """
    return gr.HTML(
        html_template='<div class="black"><img alt="What z decodes to" hidden></div>',
        css_template=_PICTURE_STYLE,
        js_on_load=_PICTURE + SEEN,
        apply_default_css=False,
        elem_classes="decoded",
    )


def sheet(label: str) -> gr.HTML:
    """Pictures edge to edge; a click on one chooses it.

    Its value: `src`, a data URL; `rows` and `columns` of pictures; `at`, row and column of the
    one that was chosen. Fires `select`.
    """
    return gr.HTML(
        html_template=f'<div class="black"><img alt="{html.escape(label)}" hidden></div>',
        css_template=_SHEET_STYLE,
        js_on_load=_SHEET,
        apply_default_css=False,
        elem_classes="sheet-of-pictures",
    )


_DIALS = """
const rows = [...element.querySelectorAll('.dial')];
const sliders = rows.map((row) => row.querySelector('input'));
let waiting;
const settle = () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => trigger('submit'), PATIENCE);
};
const say = (row, x) => {
  row.querySelector('output').value = (x < -0.004 ? '−' : '') + Math.abs(x).toFixed(2);
};
const draw = () => {
  if (!props.value) return;
  const {z, dims, shares} = props.value, most = Math.max(...shares);
  rows.forEach((row, i) => {
    row.hidden = i >= dims.length;
    if (row.hidden) return;
    row.querySelector('sub').textContent = dims[i];
    row.querySelector('i').style.width = 100 * shares[i] / most + '%';
    row.title = 'Carries ' + Math.round(100 * shares[i]) + ' % of what is drawn';
    sliders[i].setAttribute('aria-label', 'Dimension ' + dims[i]);
    sliders[i].value = z[dims[i]];
    say(row, z[dims[i]]);
  });
};
const turn = (slider, x) => {
  const i = sliders.indexOf(slider);
  if (i < 0 || !props.value) return;
  const z = [...props.value.z];
  z[props.value.dims[i]] = x;
  props.value = {...props.value, z};
  slider.value = x;
  say(rows[i], x);
  trigger('input');
  settle();
};
element.addEventListener('input', (event) => turn(event.target, Number(event.target.value)));
element.addEventListener('dblclick', (event) => turn(event.target, 0));
watch('value', () => {
  draw();
  settle();
});
draw();
"""

_PICTURE = """
const image = element.querySelector('img');
const draw = () => {
  image.hidden = !props.value;
  if (props.value) image.src = props.value;
};
watch('value', draw);
draw();
"""

_SHEET = """
const image = element.querySelector('img');
const draw = () => {
  image.hidden = !(props.value && props.value.src);
  if (!image.hidden) image.src = props.value.src;
};
image.addEventListener('click', (event) => {
  const box = image.getBoundingClientRect(), {rows, columns} = props.value;
  const place = (share, n) => Math.min(Math.max(Math.floor(share * n), 0), n - 1);
  const row = place((event.clientY - box.top) / box.height, rows);
  const column = place((event.clientX - box.left) / box.width, columns);
  props.value = {...props.value, at: [row, column]};
  trigger('select');
});
watch('value', draw);
draw();
"""

_DIALS_STYLE = """
.dial {
  display: grid;
  grid-template-columns: 2.2rem 1fr 3rem;
  gap: 0 0.6rem;
  align-items: center;
  margin-bottom: 0.35rem;
  font-size: 0.9rem;
}
.dial[hidden] {
  display: none;
}
input {
  width: 100%;
  min-width: 0;
  height: 1.7rem;
  margin: 0;
  accent-color: var(--slider-color);
}
output {
  text-align: right;
  font-variant-numeric: tabular-nums;
}
.share {
  grid-column: 2;
  height: 2px;
  border-radius: 1px;
  background: var(--background-fill-secondary);
}
.share i {
  display: block;
  height: 100%;
  background: #3a6fb7;
}
"""

_PICTURE_STYLE = """
.black {
  overflow: hidden;
  aspect-ratio: 1;
  border-radius: var(--radius-lg);
  background: black;
}
img {
  display: block;
  width: 100%;
  height: 100%;
  image-rendering: pixelated;
}
img[hidden] {
  display: none;
}
@media (max-width: 767px) {
  .black {
    width: min(100%, 17rem);
    margin: 0 auto;
  }
}
"""

_SHEET_STYLE = """
.black {
  overflow: hidden;
  border-radius: var(--radius-lg);
  background: black;
}
img {
  display: block;
  width: 100%;
  cursor: pointer;
}
img[hidden] {
  display: none;
}
"""
