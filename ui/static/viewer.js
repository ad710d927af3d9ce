// A picture as large as fits, with zoom and pan, its heat map (one canvas of rows x cols pixels
// stretched over it), grid lines and the outline of the part under the pointer or the keyboard.

import { el, onRemoved, t } from './base.js';
import { pictureCanvas } from './snapshot.js';
import { ownSteps } from './evidence.js';
import { ramp } from './ramps.js';

const MOST = 16, STEP = 1.25, DRAG = 4, SHARP = 1.4;
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * Fetch and decode a picture, so that it can be shown in one frame; `thumb` stands in until then.
 * What is read ahead gives way (`low`) to what somebody waits for.
 */
export function preload(address, { thumb = null, priority = 'high' } = {}) {
  const image = new Image();
  image.fetchPriority = priority;
  if (thumb) image.style.background = `center / 100% 100% url(${JSON.stringify(thumb)})`;
  image.className = 'photo';
  image.draggable = false;
  image.src = address;
  // Under what is transparent lies white, as the encoder saw it, and not the small picture.
  image.ready = image.decode().then(() => { image.style.background = '#fff'; }).catch(() => null);
  return image;
}

export class Viewer {
  /**
   * `onPart()` is called when the part changes; `onPaint()` after a map was drawn; `onMove()` when
   * the picture moved; `onTap(event)` when the part in view was clicked.
   */
  constructor({ card, onPart, onPaint, onMove, onTap = () => {} }) {
    Object.assign(this, { card, onPart, onPaint, onMove, onTap });
    this.own = null;               // a map that is no label's, see setOwn
    this.tool = null;              // what clicks on the picture are for: {tap, down?, move?, up?, key?}
    this.photo = el('img', { class: 'photo', alt: '' });
    this.heat = el('canvas', { class: 'heat', 'data-testid': 'evidence', 'data-label': '', 'data-source': 'transport', 'aria-hidden': 'true' });
    this.lines = el('div', { class: 'lines', hidden: true });
    this.cell = el('div', { class: 'cell', hidden: true });
    this.world = el('div', { class: 'world' }, this.photo, this.heat, this.lines, this.cell);
    this.node = el('div', {
      class: 'pl-stage image', tabindex: '0', role: 'application', 'data-testid': 'sample', 'aria-label': t('label.stage.image'),
    }, this.world);
    this.evidence = null;
    this.part = null;
    this.source = 'transport';
    this.label = null;
    this.ramp = ramp('viridis');
    this.zoom = { z: 1, x: 0, y: 0 };
    this.fingers = new Map();
    this.frame = 0;
    this.sharp = null;
    this.#events();
    const resized = new ResizeObserver(() => this.#fit());
    resized.observe(this.node);
    onRemoved(this.node, () => { resized.disconnect(); cancelAnimationFrame(this.frame); });
  }

  /** Show a sample; `image` comes from `preload`. */
  show(item, image) {
    this.item = item;
    image.alt = t('label.photo.alt', { name: item.name });
    this.photo.replaceWith(image);
    this.photo = image;
    this.node.dataset.sample = item.name;
    this.node.dataset.id = item.sample;
    this.evidence = this.own = null;
    this.part = null;
    this.zoom = { z: 1, x: 0, y: 0 };
    if (!item.width) image.ready.then(() => { if (this.photo === image) this.#fit(); });
    this.#fit();
    this.draw();
  }

  setEvidence(evidence) {
    this.evidence = evidence;
    if (evidence && this.heat.width !== evidence.cols) this.heat.width = evidence.cols;
    if (evidence && this.heat.height !== evidence.rows) this.heat.height = evidence.rows;
    this.world.style.setProperty('--cols', evidence?.cols || 1);
    this.world.style.setProperty('--rows', evidence?.rows || 1);
    this.draw();
  }

  /** What is drawn: a label's id or null, from which source. */
  setMap(label, source) { this.label = label; this.source = source; this.draw(); }
  /** Draw the map of a phrase (a number per part) in place of a label's; null takes it away. */
  setOwn(heat) { this.own = heat; this.draw(); }
  setLook({ opacity, colours }) {
    this.opacity = opacity;
    this.ramp = ramp(colours);
    this.world.style.setProperty('--opacity', opacity);
    this.draw();
  }
  /** The map of a rejected label is framed, so that nobody takes it for evidence. */
  setRejected(isRejected) { this.world.classList.toggle('rejected', isRejected); }
  setLines(on) { this.lines.hidden = !on; }
  draw() { this.frame ||= requestAnimationFrame(() => this.#paint()); }
  focus() { this.node.focus({ preventScroll: true }); }

  #paint() {
    this.frame = 0;
    const { evidence, label, own } = this, drawn = evidence && (own?.length === evidence.parts || (label !== null && evidence.has(label, this.source)));
    const pen = this.heat.getContext('2d');
    if (drawn) {
      const picture = pen.createImageData(evidence.cols, evidence.rows), steps = own ? ownSteps(own) : evidence.steps(this.source, label);
      const to = new Uint32Array(picture.data.buffer), from = new Uint32Array(this.ramp.buffer);
      for (let p = 0; p < steps.length; p++) to[p] = from[steps[p]];
      pen.putImageData(picture, 0, 0);
    } else pen.clearRect(0, 0, this.heat.width, this.heat.height);
    this.heat.classList.toggle('drawn', Boolean(drawn));
    this.#paintPart();
    this.onPaint(this.heat, drawn && !own ? label : null);
  }

  #paintPart() {
    const { evidence, part } = this;
    this.cell.hidden = !evidence || part === null;
    if (this.cell.hidden) { this.card.hide(); return; }
    const row = Math.floor(part / evidence.cols), col = part % evidence.cols;
    Object.assign(this.cell.style, {
      left: `${100 * col / evidence.cols}%`, top: `${100 * row / evidence.rows}%`,
      width: `${100 / evidence.cols}%`, height: `${100 / evidence.rows}%`,
    });
    const { z, x, y } = this.zoom, box = this.size;
    const side = {
      right: x + z * box.w * (col + 0.5) / evidence.cols > this.node.clientWidth / 2,
      bottom: y + z * box.h * (row + 0.5) / evidence.rows > this.node.clientHeight / 2,
    };
    this.card.show(evidence, this.source, part, t('label.part.cell', { row: row + 1, col: col + 1 }), side);
  }

  setPart(part) {
    if (part === this.part) return;
    this.part = part;
    this.draw();
    this.onPart(part);
  }

  /** Move over the parts with the arrow keys; true if `event` was one. */
  arrow(event) {
    const step = ARROWS[event.key];
    if (!step || !this.evidence?.rows) return false;
    const { rows, cols } = this.evidence, at = this.part ?? Math.floor(rows / 2) * cols + Math.floor(cols / 2);
    const row = Math.min(rows - 1, Math.max(0, Math.floor(at / cols) + (this.part === null ? 0 : step[0])));
    const col = Math.min(cols - 1, Math.max(0, at % cols + (this.part === null ? 0 : step[1])));
    this.setPart(row * cols + col);
    return true;
  }

  // ---- where the picture is -------------------------------------------------------------------

  #fit() {
    const w = this.node.clientWidth, h = this.node.clientHeight;
    const W = this.item?.width || this.photo.naturalWidth || 1, H = this.item?.height || this.photo.naturalHeight || 1;
    const k = Math.min(w / W, h / H);
    this.size = { w: W * k, h: H * k };
    Object.assign(this.world.style, { width: `${this.size.w}px`, height: `${this.size.h}px` });
    this.#place();
  }

  #place() {
    const w = this.node.clientWidth, h = this.node.clientHeight, { zoom, size } = this;
    const inside = (at, whole, room) => whole <= room ? (room - whole) / 2 : Math.min(0, Math.max(room - whole, at));
    zoom.x = inside(zoom.x, size.w * zoom.z, w);
    zoom.y = inside(zoom.y, size.h * zoom.z, h);
    this.world.style.transform = `translate(${zoom.x}px, ${zoom.y}px) scale(${zoom.z})`;
    this.world.style.setProperty('--z', zoom.z);
    this.node.classList.toggle('zoomed', zoom.z > 1);
    this.node.dataset.zoom = zoom.z.toFixed(2);
    this.onMove();
  }

  /** Where a part is in the window, or null where it is out of sight. */
  placeOf(part) {
    const { rows, cols } = this.evidence, { zoom, size } = this, box = this.node.getBoundingClientRect();
    const x = zoom.x + zoom.z * size.w * (part % cols + 0.5) / cols, y = zoom.y + zoom.z * size.h * (Math.floor(part / cols) + 0.5) / rows;
    return x >= 0 && y >= 0 && x <= box.width && y <= box.height ? { x: box.x + x, y: box.y + y } : null;
  }

  /** The sample with its map as a canvas of its own, to save. */
  picture() {
    const { item, photo } = this, size = { width: item.width || photo.naturalWidth, height: item.height || photo.naturalHeight };
    return pictureCanvas(photo, size, this.heat.classList.contains('drawn') ? this.heat : null, this.opacity);
  }

  /** The view of a zoomed picture for a link: how near, and what is in the middle (0..1). */
  get window() {
    const { zoom, size, node } = this;
    if (zoom.z <= 1) return null;
    const at = (offset, room, whole) => ((room / 2 - offset) / (whole * zoom.z)).toFixed(4);
    return `${zoom.z.toFixed(4)},${at(zoom.x, node.clientWidth, size.w)},${at(zoom.y, node.clientHeight, size.h)}`;
  }

  set window(text) {
    const [z, u, v] = (text ?? '').split(',').map(Number);
    if (![z, u, v].every(Number.isFinite)) return;
    this.zoom.z = Math.min(MOST, Math.max(1, z));
    this.zoom.x = this.node.clientWidth / 2 - u * this.size.w * this.zoom.z;
    this.zoom.y = this.node.clientHeight / 2 - v * this.size.h * this.zoom.z;
    this.#place();
  }

  zoomAt(factor, x = this.node.clientWidth / 2, y = this.node.clientHeight / 2) {
    const { zoom } = this, z = Math.min(MOST, Math.max(1, zoom.z * factor)), k = z / zoom.z;
    zoom.x = x - k * (x - zoom.x);
    zoom.y = y - k * (y - zoom.y);
    zoom.z = z;
    this.#place();
    if (z > SHARP) this.#sharpen();
  }

  /** A large picture is first shown at the size of a screen; zoomed into, it comes whole. */
  #sharpen() {
    const { item } = this;
    if (!item.full || this.sharp === item) return;
    this.sharp = item;
    const whole = preload(item.full);
    whole.alt = this.photo.alt;
    whole.ready.then(() => { if (this.item === item && whole.naturalWidth) { this.photo.replaceWith(whole); this.photo = whole; } });
  }

  fit() { this.zoom = { z: 1, x: 0, y: 0 }; this.#place(); }
  zoomIn() { this.zoomAt(STEP); }
  zoomOut() { this.zoomAt(1 / STEP); }

  // ---- pointer --------------------------------------------------------------------------------

  #at(event) {
    const box = this.node.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** Where a pointer is on the picture, in 0..1 of it; beyond that it is beside it. */
  spotOf(event) {
    const { x, y } = this.#at(event), { zoom, size } = this;
    return { x: (x - zoom.x) / (size.w * zoom.z), y: (y - zoom.y) / (size.h * zoom.z) };
  }

  #partAt({ x, y }) {
    if (!this.evidence?.rows) return null;
    const { rows, cols } = this.evidence, { zoom, size } = this;
    const col = Math.floor((x - zoom.x) / (size.w * zoom.z) * cols), row = Math.floor((y - zoom.y) / (size.h * zoom.z) * rows);
    return row >= 0 && row < rows && col >= 0 && col < cols ? row * cols + col : null;
  }

  #events() {
    const { node, fingers } = this;
    node.addEventListener('wheel', event => {
      event.preventDefault();
      const { x, y } = this.#at(event), lines = event.deltaMode ? 20 : 1;
      this.zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), x, y);
    }, { passive: false });
    node.addEventListener('dblclick', () => { if (!this.tool) this.fit(); });
    node.addEventListener('pointerdown', event => {
      if (event.button) return;
      fingers.set(event.pointerId, this.#at(event));
      node.setPointerCapture(event.pointerId);
      this.isDragging = fingers.size > 1;
      this.isHeld = fingers.size === 1 && Boolean(this.tool?.down?.(this.spotOf(event)));
    });
    node.addEventListener('pointermove', event => {
      const now = this.#at(event), before = fingers.get(event.pointerId);
      if (before && this.isHeld) { this.tool?.move?.(this.spotOf(event)); return; }
      if (before && fingers.size === 2) this.#pinch(event.pointerId, before, now);
      else if (before && this.zoom.z > 1) this.#drag(event.pointerId, before, now);
      else this.setPart(this.#partAt(now));
    });
    const up = event => { fingers.delete(event.pointerId); node.classList.remove('dragging'); };
    node.addEventListener('pointerup', event => {
      const isTap = fingers.size === 1 && !this.isDragging && !this.isHeld;
      if (isTap) this.setPart(this.#partAt(this.#at(event)));
      if (this.isHeld) this.tool?.up?.(this.spotOf(event));
      else if (isTap && !this.tool?.tap(this.spotOf(event), this.part, event)) this.onTap(event);
      this.isHeld = false;
      up(event);
    });
    node.addEventListener('pointercancel', event => { this.isHeld = false; up(event); });
    node.addEventListener('pointerleave', event => {
      if (event.pointerType === 'mouse' && !fingers.size) this.setPart(null);
    });
  }

  #drag(id, before, now) {
    if (!this.isDragging && Math.hypot(now.x - before.x, now.y - before.y) < DRAG) return;
    this.isDragging = true;
    this.node.classList.add('dragging');
    this.zoom.x += now.x - before.x;
    this.zoom.y += now.y - before.y;
    this.fingers.set(id, now);
    this.#place();
  }

  #pinch(id, before, now) {
    this.isDragging = true;
    const [, other] = [...this.fingers].find(([key]) => key !== id);
    const apart = p => Math.hypot(p.x - other.x, p.y - other.y) || 1;
    this.zoomAt(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    this.zoom.x += (now.x - before.x) / 2;
    this.zoom.y += (now.y - before.y) / 2;
    this.fingers.set(id, now);
    this.#place();
  }
}
