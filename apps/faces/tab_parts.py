"""The parts of the tab *Faces* that Gradio does not have: toggles, people, a walk.

Each is a `gr.HTML` whose template never changes: its script alone draws its value, so that nothing
flickers and the keyboard's focus stays where it was.
"""

import html

import gradio as gr

from apps.faces.attributes import GROUPS, title
from apps.parts import SEEN

K = 16  # faces in the grid
STEPS = 9  # from off to on
PATIENCE = 350  # milliseconds without a change before what is slower follows


def toggles(*, hint: str) -> gr.HTML:
    """Three states an attribute; its value is what is stated: name -> true or false.

    One click on a name asks for it, one on its minus asks for its absence, another takes either
    back. Fires `input`.
    """
    groups = "".join(_group(name, names) for name, names in GROUPS.items())
    head = (
        f'<div class="head"><span class="note">{html.escape(hint)}</span>'
        '<button type="button" class="clear" disabled>Clear all</button></div>'
    )
    return gr.HTML(
        value={},
        html_template=head + groups,
        js_on_load=_TOGGLES,
        apply_default_css=False,
        elem_classes="toggles",
    )


def people() -> gr.HTML:
    """K faces on one picture, which is its value; one of them is chosen.

    Fires `load` once somebody looks, `select`, and `submit` a moment after the last
    change of either.
    """
    cells = "".join(
        f'<button type="button" role="radio" aria-checked="false" aria-label="Face {j}" '
        f'title="Face {j}"></button>'
        for j in range(1, K + 1)
    )
    return gr.HTML(
        html_template=f'<div class="sheet"><img alt="" hidden><div class="cells" '
        f'role="radiogroup" aria-label="Sixteen synthetic faces: choose one">{cells}</div></div>',
        js_on_load=_PEOPLE.replace("PATIENCE", str(PATIENCE)) + SEEN,
        apply_default_css=False,
        elem_classes="people",
    )


def walk() -> gr.HTML:
    """One face on its way from without to with; its value is the strip of all its steps."""
    return gr.HTML(
        html_template='<div class="stage"><img alt="" hidden></div><div class="control">'
        '<span>without</span><input type="range" aria-label="From without to with" min="0" '
        f'max="{STEPS - 1}" value="0" step="1" disabled><span>with</span></div>'
        f'<div class="strip"><img alt="All {STEPS} steps" hidden><i></i></div>',
        js_on_load=_WALK.replace("STEPS", str(STEPS)),
        apply_default_css=False,
        elem_classes="walk",
    )


def _group(group: str, names: tuple[str, ...]) -> str:
    chips = "".join(_chip(name) for name in names)
    return f"<fieldset><legend>{group.capitalize()}</legend>{chips}</fieldset>"


def _chip(name: str) -> str:
    label = html.escape(title(name.removeprefix("Wearing_")))
    return (
        f'<span class="chip" data-name="{name}">'
        f'<button type="button" class="with" aria-pressed="false">{label}</button>'
        f'<button type="button" class="without" aria-pressed="false" aria-label="Without: {label}"'
        ' title="Without">−</button></span>'
    )


_TOGGLES = """
const clear = element.querySelector('.clear');
const draw = () => {
  const asked = props.value || {};
  for (const chip of element.querySelectorAll('.chip')) {
    const state = asked[chip.dataset.name];
    chip.dataset.state = state === undefined ? '' : state ? 'on' : 'off';
    chip.children[0].setAttribute('aria-pressed', state === true);
    chip.children[1].setAttribute('aria-pressed', state === false);
  }
  clear.disabled = !Object.keys(asked).length;
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  const asked = {...(props.value || {})}, chip = button.closest('.chip');
  if (chip) {
    const name = chip.dataset.name, state = button.className === 'with';
    if (asked[name] === state) delete asked[name];
    else asked[name] = state;
  }
  props.value = chip ? asked : {};
  draw();
  trigger('input');
});
watch('value', draw);
draw();
"""

_PEOPLE = """
const picture = element.querySelector('img'), cells = [...element.querySelectorAll('button')];
let chosen = 0, waiting;
const settle = () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => trigger('submit'), PATIENCE);
};
const mark = () => cells.forEach((cell, j) => {
  cell.setAttribute('aria-checked', j === chosen);
  cell.tabIndex = j === chosen ? 0 : -1;
});
const choose = (j) => {
  chosen = j;
  mark();
  trigger('select');
  settle();
};
const draw = () => {
  picture.hidden = !props.value;
  if (!props.value) return;
  picture.src = props.value;
  settle();
};
element.addEventListener('click', (event) => {
  const j = cells.indexOf(event.target.closest('button'));
  if (j >= 0) choose(j);
});
element.addEventListener('keydown', (event) => {
  const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -4, ArrowDown: 4}[event.key];
  if (!step) return;
  event.preventDefault();
  choose((chosen + step + cells.length) % cells.length);
  cells[chosen].focus();
});
watch('value', draw);
mark();
draw();
"""

_WALK = """
const [stage, strip] = element.querySelectorAll('img');
const slider = element.querySelector('input'), mark = element.querySelector('i');
const step = () => {
  const share = slider.value / STEPS;
  stage.style.transform = 'translateX(' + -100 * share + '%)';
  mark.style.left = 100 * share + '%';
};
const draw = () => {
  const empty = !props.value;
  stage.hidden = strip.hidden = mark.hidden = slider.disabled = empty;
  if (empty) return;
  stage.src = strip.src = props.value;
  step();
};
slider.addEventListener('input', step);
strip.parentElement.addEventListener('click', (event) => {
  if (slider.disabled) return;
  const box = strip.getBoundingClientRect();
  slider.value = Math.floor(STEPS * (event.clientX - box.left) / box.width);
  step();
});
watch('value', draw);
draw();
"""
