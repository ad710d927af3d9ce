// What lies over a picture: the marks of the label in view, the mask and the points of "Point it
// out", a box that is being drawn. Everything is placed in shares of the picture inside the world
// that zoom and pan move, so it lies exactly over what is shown. "Here" and "not here" differ in
// form (solid and a tick, dashed, hatched and a cross), not by colour alone.

import { el, t } from './base.js';
import { boxOf } from './geometry.js';

const NS = 'http://www.w3.org/2000/svg';

function shape(tag, attrs) {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attrs)) node.setAttribute(name, value);
  return node;
}

const percents = value => `${100 * value}%`;
const path = outline => `M${outline.map(([x, y]) => `${x} ${y}`).join('L')}Z`;

export class MarkLayer {
  /** `onRemove(mark)`: a person takes a saved mark away. */
  constructor({ onRemove }) {
    this.onRemove = onRemove;
    this.svg = shape('svg', { viewBox: '0 0 1 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    this.saved = shape('g', { class: 'saved' });
    this.mask = shape('g', { class: 'mask' });
    this.drawn = shape('g', { class: 'drawn' });
    this.svg.append(this.mask, this.saved, this.drawn);
    this.badges = el('div', { class: 'badges' });
    this.dots = el('div', { class: 'dots' });
    this.node = el('div', { class: 'pl-marks' }, this.svg, this.badges, this.dots);
  }

  /** The saved marks of a label: [{kind, points, verdict}]; `name` of the label. */
  showMarks(marks, name, isRejected) {
    this.node.dataset.marks = marks.length;
    this.saved.replaceChildren(...marks.flatMap(mark => this.#outline(mark)));
    this.saved.classList.toggle('asleep', isRejected);
    this.badges.replaceChildren(...marks.map(mark => this.#badge(mark, name)));
  }

  // Twice, a light line over a dark one: visible on any picture.
  #outline({ kind, points, verdict }) {
    const make = cls => kind === 'box'
      ? shape('rect', { x: points[0], y: points[1], width: points[2], height: points[3], class: cls })
      : shape('path', { d: path(Array.from({ length: points.length / 2 }, (_, k) => points.slice(2 * k, 2 * k + 2))), class: cls });
    const sign = { yes: 'here', no: 'absent' }[verdict] ?? 'unsure';
    return [make(`under ${sign}`), make(`over ${sign}`)];
  }

  #badge(mark, name) {
    const [x, y, w] = boxOf(mark), isHere = mark.verdict === 'yes', words = t(isHere ? 'label.mark.here.at' : 'label.mark.absent.at', { name });
    const badge = el('button', {
      type: 'button', class: `badge ${isHere ? 'here' : 'absent'}`, 'data-testid': 'mark', 'data-here': String(isHere), 'data-kind': mark.kind,
      'data-points': mark.points.map(v => v.toFixed(4)).join(','), 'aria-label': words, title: words,
      onclick: event => { event.stopPropagation(); this.onRemove(mark); },
      onkeydown: event => {
        if (event.key !== 'Delete' && event.key !== 'Backspace') return;
        event.preventDefault();
        event.stopPropagation();
        this.onRemove(mark);
      },
      onpointerdown: event => event.stopPropagation(), onpointerup: event => event.stopPropagation(), ondblclick: event => event.stopPropagation(),
    }, isHere ? '✓' : '✕');
    Object.assign(badge.style, { left: percents(x + w), top: percents(y) });
    return badge;
  }

  /** Polygons of a mask that is only proposed. */
  showMask(polygons) {
    this.node.dataset.mask = polygons.length;
    this.mask.replaceChildren(...polygons.flatMap(outline => ['under', 'over'].map(cls => shape('path', { d: path(outline), class: cls }))));
  }

  /** A box that is being drawn, or none. */
  showBox(box) {
    this.drawn.replaceChildren(...(box ? ['under', 'over'].map(cls => shape('rect', { x: box[0], y: box[1], width: box[2], height: box[3], class: cls })) : []));
  }
}
