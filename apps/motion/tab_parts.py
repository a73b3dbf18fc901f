"""The parts of the tab *Motion* that Gradio does not have: answers that move, and a stage.

Each is a `gr.HTML` whose template never changes: its script alone draws its value. Animations come
as MP4 in data URLs, a twentieth of what a GIF of them would weigh.
"""

import gradio as gr


def answers() -> gr.HTML:
    """The answers side by side, one of them chosen, which fires `select`.

    Its value: `answers`, each with `src`, a data URL of a video or a picture, and `caption`; and
    `chosen`, counted from 0, or without it the one that is chosen stays so.
    """
    return gr.HTML(
        html_template='<div class="cells" role="radiogroup" aria-label="Answers: choose one">'
        "</div>",
        js_on_load=_MOTION + _ANSWERS,
        apply_default_css=False,
        elem_classes="moves",
    )


def stage() -> gr.HTML:
    """One answer, large. Its value: `src`, a data URL of a video or a picture, and `caption`."""
    return gr.HTML(
        html_template='<div class="sheet"><div class="show"></div>'
        '<p class="note">What may happen next is shown here.</p></div>'
        '<p class="said" aria-live="polite"></p>',
        js_on_load=_MOTION + _STAGE,
        apply_default_css=False,
        elem_classes="stage",
    )


# A video or a picture in `place`; the element that is there is kept, lest it flicker.
_MOTION = """
const put = (place, source, caption) => {
  const kind = source.startsWith('data:video') ? 'VIDEO' : 'IMG';
  let shown = place.firstElementChild;
  if (!shown || shown.tagName !== kind) {
    shown = document.createElement(kind);
    if (kind === 'VIDEO') Object.assign(shown, {muted: true, loop: true, autoplay: true});
    if (kind === 'VIDEO') shown.playsInline = true;
    place.replaceChildren(shown);
  }
  shown[kind === 'IMG' ? 'alt' : 'ariaLabel'] = caption;
  if (shown.src !== source) shown.src = source;
};
"""

_ANSWERS = """
const cells = element.querySelector('.cells');
let chosen = 0;
const mark = () => [...cells.children].forEach((cell, j) => {
  cell.setAttribute('aria-checked', j === chosen);
  cell.tabIndex = j === chosen ? 0 : -1;
});
const draw = () => {
  const {answers = [], chosen: first} = props.value || {};
  while (cells.children.length > answers.length) cells.lastElementChild.remove();
  while (cells.children.length < answers.length) {
    const cell = document.createElement('button');
    cell.type = 'button';
    cell.setAttribute('role', 'radio');
    cell.append(document.createElement('span'), document.createElement('b'));
    cells.append(cell);
  }
  answers.forEach(({src, caption}, j) => {
    const [place, said] = cells.children[j].children;
    put(place, src, '');
    said.textContent = caption;
  });
  chosen = first ?? (chosen < answers.length ? chosen : 0);
  mark();
};
const choose = (j) => {
  chosen = j;
  mark();
  trigger('select');
};
element.addEventListener('click', (event) => {
  const j = [...cells.children].indexOf(event.target.closest('button'));
  if (j >= 0) choose(j);
});
element.addEventListener('keydown', (event) => {
  const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1}[event.key];
  const n = cells.children.length;
  if (!step || !n) return;
  event.preventDefault();
  choose((chosen + step + n) % n);
  cells.children[chosen].focus();
});
watch('value', draw);
draw();
"""

_STAGE = """
const place = element.querySelector('.show'), [hint, said] = element.querySelectorAll('p');
const draw = () => {
  const {src, caption = ''} = props.value || {};
  hint.hidden = !!src;
  said.textContent = caption;
  if (src) put(place, src, caption);
  else place.replaceChildren();
};
watch('value', draw);
draw();
"""
