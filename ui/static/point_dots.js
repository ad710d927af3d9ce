// The points of "Point it out" on a picture: drag them, or focus one and use the arrow keys;
// Delete takes it away, Space turns it round. They cannot leave the picture.

import { el, t } from './base.js';

const STEP = 0.01, LEAP = 0.05;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class PointDots {
  /** `place` holds them; `spotOf(event)` says where a pointer is on the picture; `onChange()`. */
  constructor({ place, spotOf, onChange }) {
    Object.assign(this, { place, spotOf, onChange, all: [] });
  }

  set(points) { this.all = points.map(point => ({ ...point })); this.#draw(); }

  add(point, { focus = false } = {}) {
    this.all.push({ ...point });
    this.#draw(focus ? this.all.length - 1 : null);
    this.onChange();
  }

  #inside(value) { return Math.min(1, Math.max(0, value)); }

  #draw(focused = null) {
    this.place.replaceChildren(...this.all.map((point, k) => this.#dot(point, k)));
    if (focused !== null && this.all.length) this.place.children[Math.min(focused, this.all.length - 1)].focus({ preventScroll: true });
  }

  #put(dot, point) {
    Object.assign(dot.style, { left: `${100 * point.x}%`, top: `${100 * point.y}%` });
    dot.dataset.x = point.x.toFixed(4);
    dot.dataset.y = point.y.toFixed(4);
  }

  #dot(point, k) {
    const words = t(point.here ? 'label.point.yes' : 'label.point.no', { n: k + 1 });
    const dot = el('button', {
      type: 'button', class: `dot ${point.here ? 'here' : 'absent'}`, 'data-testid': 'dot', 'data-here': String(point.here),
      'aria-label': words, title: words, onkeydown: event => this.#key(event, point, dot),
      ondblclick: event => event.stopPropagation(), onclick: event => event.stopPropagation(),
    }, point.here ? '+' : '−');
    this.#put(dot, point);
    dot.addEventListener('pointerdown', event => {
      event.stopPropagation();
      if (event.button) return;
      dot.setPointerCapture(event.pointerId);
      dot.focus({ preventScroll: true });
      this.held = dot;
    });
    dot.addEventListener('pointermove', event => {
      if (this.held !== dot) return;
      event.stopPropagation();
      const spot = this.spotOf(event);
      Object.assign(point, { x: this.#inside(spot.x), y: this.#inside(spot.y) });
      this.#put(dot, point);
      this.onChange();
    });
    const release = event => { event.stopPropagation(); this.held = null; };
    dot.addEventListener('pointerup', release);
    dot.addEventListener('pointercancel', release);
    return dot;
  }

  #key(event, point, dot) {
    const k = this.all.indexOf(point), way = ARROWS[event.key];
    if (way) {
      const step = event.shiftKey ? LEAP : STEP;
      Object.assign(point, { x: this.#inside(point.x + step * way[0]), y: this.#inside(point.y + step * way[1]) });
      this.#put(dot, point);
    } else if (event.key === 'Delete' || event.key === 'Backspace') {
      this.all.splice(k, 1);
      this.#draw(k);
    } else if (event.key === ' ') {
      point.here = !point.here;
      this.#draw(k);
    } else return;
    event.preventDefault();
    event.stopPropagation();
    this.onChange();
  }
}
