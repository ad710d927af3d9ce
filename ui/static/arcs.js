// Arcs from a label's chip to the parts that carry most of it: as wide as the share they carry.

import { el } from './base.js';

const NS = 'http://www.w3.org/2000/svg', MOST = 6, LEAST = 0.2, WIDEST = 4;

export class Arcs {
  constructor() {
    this.svg = document.createElementNS(NS, 'svg');
    this.lines = Array.from({ length: MOST }, () => this.svg.appendChild(document.createElementNS(NS, 'path')));
    this.node = el('div', { class: 'pl-arcs', 'data-testid': 'arcs', 'data-count': '0', 'aria-hidden': 'true' });
    this.node.append(this.svg);
  }

  hide() {
    if (this.node.dataset.count === '0') return;
    this.node.dataset.count = '0';
    this.lines.forEach(line => line.removeAttribute('d'));
  }

  /** From `start` {x, y} to the `top` parts [{part, share}]; `placeOf(part)` gives {x, y} or null, all of the window. */
  draw(start, top, placeOf) {
    if (!start || !top.length) { this.hide(); return; }
    const frame = this.node.getBoundingClientRect(), most = top[0].share || 1;
    const shown = top.map(({ part, share }) => ({ at: share >= LEAST * most ? placeOf(part) : null, width: share / most })).filter(({ at }) => at);
    this.lines.forEach((line, k) => {
      const one = shown[k];
      if (!one) { line.removeAttribute('d'); return; }
      line.setAttribute('d', curve({ x: start.x - frame.x, y: start.y - frame.y }, { x: one.at.x - frame.x, y: one.at.y - frame.y }));
      line.setAttribute('stroke-width', Math.max(1, WIDEST * one.width));
    });
    this.node.dataset.count = shown.length;
  }
}

// Beside each other (a desk) an arc leaves sideways, above each other (a phone) upwards.
function curve(a, b) {
  const isWide = Math.abs(a.x - b.x) > Math.abs(a.y - b.y) / 2, bend = isWide ? (a.x - b.x) / 2 : (a.y - b.y) / 2;
  const [one, two] = isWide ? [[a.x - bend, a.y], [b.x + bend, b.y]] : [[a.x, a.y - bend], [b.x, b.y + bend]];
  return `M${a.x} ${a.y}C${one} ${two} ${b.x} ${b.y}`;
}

Arcs.MOST = MOST;
