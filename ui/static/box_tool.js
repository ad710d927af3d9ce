// A box drawn by hand for the chosen label (B): drag it on the picture, or move it with the arrow
// keys, size it with Shift and arrows, and take it with Enter. Escape leaves.

import { t, toast } from './base.js';

const STEP = 0.02, LEAST = 0.004;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const within = (value, low, high) => Math.min(high, Math.max(low, value));

export class BoxTool {
  constructor(page) { this.page = page; this.isOpen = false; this.box = null; }

  toggle() { if (this.isOpen) this.close(); else this.open(); }

  open() {
    const { page } = this;
    if (!page.current || page.kind === 'text') { if (page.current) toast(t('label.box.text')); return; }
    if (page.isReadOnly) { toast(t('label.closed')); return; }
    if (page.active === null) { toast(t('label.mark.which')); return; }
    page.points.close();
    this.isOpen = true;
    this.label = page.active;
    page.stage.tool = this;
    page.stage.node.classList.add('boxing');
    page.stage.focus();
    page.card.speak(t('label.box.how', { name: page.names.get(this.label) }));
    toast(t('label.box.how', { name: page.names.get(this.label) }));
    page.onTools();
  }

  close() {
    if (!this.isOpen) return;
    const { page } = this;
    Object.assign(this, { isOpen: false, box: null, start: null });
    if (page.stage.tool === this) page.stage.tool = null;
    page.stage.node.classList.remove('boxing');
    page.marks.layer.showBox(null);
    page.onTools();
  }

  follow(label) { if (this.isOpen && label !== null) this.label = label; }

  /** A pointer goes down: true if it is ours from now on. */
  down(spot) {
    this.start = { x: within(spot.x, 0, 1), y: within(spot.y, 0, 1) };
    return true;
  }

  move(spot) {
    const { start } = this;
    if (!start) return;
    const x = within(spot.x, 0, 1), y = within(spot.y, 0, 1);
    this.#show([Math.min(start.x, x), Math.min(start.y, y), Math.abs(x - start.x), Math.abs(y - start.y)]);
  }

  up(spot) {
    this.move(spot);
    this.start = null;
    if (this.box && this.box[2] > LEAST && this.box[3] > LEAST) this.#take();
    else this.#show(null);
  }

  tap() { return true; }

  key(event) {
    const way = ARROWS[event.key];
    if (way) {
      const [x, y, w, h] = this.box ?? this.#first();
      if (!this.box) this.#show([x, y, w, h]);
      else if (event.shiftKey) this.#show([x, y, within(w + STEP * way[0], STEP, 1 - x), within(h + STEP * way[1], STEP, 1 - y)]);
      else this.#show([within(x + STEP * way[0], 0, 1 - w), within(y + STEP * way[1], 0, 1 - h), w, h]);
      return true;
    }
    if (event.key === 'Enter') { if (this.box) this.#take(); else this.#show(this.#first()); return true; }
    return false;
  }

  // The part under the keyboard, else the middle.
  #first() {
    const { evidence, part } = this.page.stage;
    if (!evidence?.rows || part === null) return [0.375, 0.375, 0.25, 0.25];
    return [part % evidence.cols / evidence.cols, Math.floor(part / evidence.cols) / evidence.rows, 1 / evidence.cols, 1 / evidence.rows];
  }

  #show(box) { this.box = box; this.page.marks.layer.showBox(box); }

  #take() {
    const { page, label } = this, points = this.box.map(value => Number(value.toFixed(5)));
    points[2] = Math.min(points[2], 1 - points[0]);
    points[3] = Math.min(points[3], 1 - points[1]);
    this.close();
    page.markAll(label, [{ region: { kind: 'box', points }, here: true }]);
  }
}
