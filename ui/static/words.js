// A text with its evidence: words take the place of patches. A long text scrolls inside its pane,
// and a strip at its side shows where in the whole text the evidence of the drawn label lies.

import { count, el, listen, onRemoved, onTheme, t } from './base.js';
import { ownSteps } from './evidence.js';
import { wordsCanvas } from './snapshot.js';

const LEVELS = 12, SEEN = 10;      // shades of a word; steps (of 255) below which it stays plain
const SAVED = 2400;                 // pixels of text in a saved picture

export class Words {
  /** The same face as `Viewer`: show, setEvidence, setMap, setOwn, tool, arrow, zoomIn, zoomOut, fit. */
  constructor({ card, onPart, onPaint, onTap = () => {} }) {
    Object.assign(this, { card, onPart, onPaint, onTap, own: null, tool: null, marks: [], points: new Map() });
    this.text = el('div', { class: 'words', dir: 'auto', 'data-testid': 'evidence', 'data-label': '', 'data-source': 'transport' });
    this.note = el('p', { class: 'note pl-dim pl-small', 'data-testid': 'long-text', hidden: true });
    this.pane = el('div', { class: 'scroll' }, this.note, this.text);
    this.strip = el('canvas', { class: 'strip', 'aria-hidden': 'true' });
    this.node = el('div', {
      class: 'pl-stage text', tabindex: '0', role: 'application', 'data-testid': 'sample', 'aria-label': t('label.stage.text'),
    }, this.pane, this.strip);
    Object.assign(this, { evidence: null, part: null, source: 'transport', label: null, size: 1, frame: 0, spans: [], shade: new Uint8Array(0) });
    this.#events();
    const resized = new ResizeObserver(() => this.#measure());
    resized.observe(this.pane);
    resized.observe(this.text);
    onTheme(this.node, () => this.draw());
    onRemoved(this.node, () => { resized.disconnect(); cancelAnimationFrame(this.frame); });
  }

  show(item) {
    this.item = item;
    this.node.dataset.sample = item.name;
    this.node.dataset.id = item.sample;
    Object.assign(this, { evidence: null, part: null, own: null, spans: [], shade: new Uint8Array(0), steps: null });
    this.text.textContent = item.text;
    this.text.classList.toggle('short', item.text.length < 280);
    this.note.hidden = true;
    this.pane.scrollTop = 0;
    this.draw();
  }

  /** Cut the text into its words: every piece is a text node, so no word can be markup. */
  setEvidence(evidence) {
    this.evidence = evidence;
    if (evidence?.spans) {
      const text = this.item.text, pieces = [];
      let at = 0;
      this.spans = [];
      for (let p = 0; p < evidence.parts; p++) {
        const from = evidence.spans[2 * p], to = evidence.spans[2 * p + 1];
        if (from > at) pieces.push(text.slice(at, from));
        const word = el('span', { 'data-p': p }, text.slice(from, to));
        this.spans.push(word);
        pieces.push(word);
        at = to;
      }
      pieces.push(text.slice(at));
      this.text.replaceChildren(...pieces);
      this.shade = new Uint8Array(this.spans.length);
      this.#sayPassages();
      this.#mark();
      this.#measure();
    }
    this.draw();
  }

  /** A very long text has parts of several words: say so, or a word would seem to be meant. */
  #sayPassages() {
    const words = this.item.text.trim().split(/\s+/).length, each = Math.round(words / this.spans.length);
    this.note.hidden = each < 2 || !this.spans.some(span => /\S\s+\S/.test(span.textContent));
    this.note.textContent = t('label.text.long', { words: count(words), each });
  }

  /** Draw the map of a phrase (a number per word) in place of a label's; null takes it away. */
  setOwn(heat) { this.own = heat; this.draw(); }

  /** Marks of the label [{from, to, here}], and the words that a tool points at: part -> here. */
  setMarks(marks, points) { Object.assign(this, { marks, points }); this.#mark(); }

  // A word is marked where a mark overlaps it; of two the newer counts.
  #mark() {
    const { evidence } = this;
    this.node.dataset.marks = this.marks.length;
    this.spans.forEach((span, p) => {
      const from = evidence.spans[2 * p], to = evidence.spans[2 * p + 1];
      const mark = this.marks.findLast(each => each.from < to && each.to > from), point = this.points.get(p);
      if (mark) span.dataset.mark = mark.here ? 'here' : 'absent'; else delete span.dataset.mark;
      if (point === undefined) delete span.dataset.point; else span.dataset.point = point ? 'here' : 'absent';
    });
  }

  setMap(label, source) { this.label = label; this.source = source; this.draw(); }
  setLook({ opacity }) {
    this.node.style.setProperty('--opacity', opacity);
    this.opacity = opacity;
    this.draw();
  }
  setRejected(isRejected) { this.pane.classList.toggle('rejected', isRejected); }
  setLines(on) { this.text.classList.toggle('lined', on); }
  draw() { this.frame ||= requestAnimationFrame(() => this.#paint()); }
  focus() { this.node.focus({ preventScroll: true }); }

  #paint() {
    this.frame = 0;
    const { evidence, label, own } = this, drawn = evidence && (own?.length === evidence.parts || (label !== null && evidence.has(label, this.source)));
    this.steps = !drawn ? null : own ? ownSteps(own) : evidence.steps(this.source, label);
    for (let p = 0; p < this.spans.length; p++) {
      const step = this.steps ? this.steps[p] : 0;
      const shade = step < SEEN ? 0 : 1 + Math.floor(step / 256 * LEVELS);
      if (shade === this.shade[p]) continue;          // most words of a long text keep their shade
      this.shade[p] = shade;
      if (shade) this.spans[p].dataset.h = shade; else delete this.spans[p].dataset.h;
    }
    this.#paintStrip();
    this.#paintPart();
    this.onPaint(this.text, drawn && !own ? label : null);
  }

  #paintStrip() {
    const { strip, steps } = this, ratio = devicePixelRatio || 1;
    const isLong = this.text.offsetHeight > this.pane.clientHeight + 4;
    strip.classList.toggle('used', isLong);
    if (!isLong || !this.tops) return;
    const w = strip.width = Math.round(strip.clientWidth * ratio), h = strip.height = Math.round(strip.clientHeight * ratio);
    const pen = strip.getContext('2d'), peak = new Uint8Array(h);
    const k = h / this.text.offsetHeight;
    if (steps) {
      pen.fillStyle = getComputedStyle(this.node).getPropertyValue('--shade');
      for (let p = 0; p < steps.length; p++) {
        const from = Math.floor(this.tops[p] * k), to = Math.max(from + Math.ceil(3 * ratio), Math.floor(this.bottoms[p] * k));
        for (let y = from; y < to && y < h; y++) if (steps[p] > peak[y]) peak[y] = steps[p];
      }
      for (let y = 0; y < h; y++) {
        if (peak[y] < SEEN) continue;
        pen.globalAlpha = 0.15 + 0.85 * peak[y] / 255;
        pen.fillRect(0, y, w, 1);
      }
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = getComputedStyle(this.node).color;
    pen.lineWidth = 2 * ratio;
    pen.strokeRect(ratio, this.pane.scrollTop * k + ratio, w - 2 * ratio, this.pane.clientHeight * k - 2 * ratio);
  }

  #paintPart() {
    const { part } = this;
    this.marked?.classList.remove('at');
    this.marked = part === null ? null : this.spans[part];
    if (!this.evidence || !this.marked) { this.card.hide(); return; }
    this.marked.classList.add('at');
    const pane = this.node.getBoundingClientRect(), box = this.marked.getBoundingClientRect();
    const side = { right: box.left + box.width / 2 > pane.left + pane.width / 2, bottom: box.top > pane.top + pane.height / 2 };
    const word = this.marked.textContent;
    this.card.show(this.evidence, this.source, part, t('label.part.word', { word: word.length > 40 ? `${word.slice(0, 40)}…` : word }), side);
  }

  setPart(part) {
    if (part === this.part) return;
    this.part = part;
    this.draw();
    this.onPart(part);
  }

  arrow(event) {
    if (!event.key.startsWith('Arrow') || !this.spans.length) return false;
    const at = this.part ?? -1, last = this.spans.length - 1;
    const ahead = getComputedStyle(this.text).direction === 'rtl' ? -1 : 1;
    let to = at + ahead * ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0);
    if (event.key === 'ArrowUp' || event.key === 'ArrowDown') to = at < 0 ? 0 : this.#line(at, event.key === 'ArrowDown' ? 1 : -1);
    this.setPart(Math.min(last, Math.max(0, to)));
    this.spans[this.part].scrollIntoView({ block: 'nearest' });
    return true;
  }

  // The word nearest to `from` on the next line with words, up (-1) or down (1).
  #line(from, step) {
    const top = this.tops[from], x = this.spans[from].offsetLeft + this.spans[from].offsetWidth / 2;
    let best = from, distance = Infinity, line = null;
    for (let p = from + step; p >= 0 && p < this.spans.length; p += step) {
      if (this.tops[p] === top) continue;
      line ??= this.tops[p];
      if (this.tops[p] !== line) break;
      const apart = Math.abs(this.spans[p].offsetLeft + this.spans[p].offsetWidth / 2 - x);
      if (apart < distance) { distance = apart; best = p; }
    }
    return best;
  }

  /** Where a word is in the window, or null where it is out of sight. */
  placeOf(part) {
    const pane = this.pane.getBoundingClientRect(), box = this.spans[part].getBoundingClientRect();
    return box.bottom < pane.top || box.top > pane.bottom ? null : { x: box.left + box.width / 2, y: box.top + 2 };
  }

  /** The words from the first in view on, with their shades, as a canvas to save. */
  picture() {
    const hue = getComputedStyle(this.node).getPropertyValue('--shade').trim(), text = this.item.text;
    if (!this.spans.length) return wordsCanvas([{ text, colour: null }], { most: SAVED, more: t('label.text.more') });
    const first = Math.max(0, this.tops.findIndex(top => top >= this.pane.scrollTop - this.text.offsetTop - 8)), { spans } = this.evidence, pieces = [];
    let at = first ? spans[2 * first] : 0;
    for (let p = first; p < this.spans.length; p++) {
      const alpha = Math.round(255 * Math.min(1, this.shade[p] * 0.072 * (0.35 + this.opacity))).toString(16).padStart(2, '0');
      pieces.push({ text: text.slice(at, spans[2 * p]), colour: null }, { text: text.slice(spans[2 * p], spans[2 * p + 1]), colour: this.shade[p] ? `${hue}${alpha}` : null });
      at = spans[2 * p + 1];
    }
    return wordsCanvas([...pieces, { text: text.slice(at), colour: null }], { most: SAVED, more: t('label.text.more') });
  }

  /** Texts are not zoomed but scrolled: a link says how far down. */
  get window() { return this.pane.scrollTop > 0 ? (this.pane.scrollTop / this.pane.scrollHeight).toFixed(4) : null; }
  set window(text) { if (Number(text)) this.pane.scrollTop = Number(text) * this.pane.scrollHeight; }

  #measure() {
    const above = this.text.offsetTop;
    this.tops = this.spans.map(span => span.offsetTop - above);
    this.bottoms = this.spans.map((span, p) => this.tops[p] + span.offsetHeight);
    this.draw();
  }

  // Zoom is the size of the letters.
  zoomAt(factor) {
    this.size = Math.min(2.5, Math.max(0.75, this.size * factor));
    this.node.style.setProperty('--size', this.size);
    this.node.dataset.zoom = this.size.toFixed(2);
  }
  zoomIn() { this.zoomAt(1.125); }
  zoomOut() { this.zoomAt(1 / 1.125); }
  fit() { this.zoomAt(1 / this.size); }

  #events() {
    this.text.addEventListener('pointerover', event => {
      const word = event.target.closest('[data-p]');
      this.setPart(word ? Number(word.dataset.p) : null);
    });
    this.text.addEventListener('click', event => {
      const word = event.target.closest('[data-p]');
      if (!word || !getSelection().isCollapsed) return;   // somebody selects text
      this.setPart(Number(word.dataset.p));
      if (!this.tool?.tap(null, this.part, event)) this.onTap(event);
    });
    this.text.addEventListener('pointerleave', event => { if (event.pointerType === 'mouse') this.setPart(null); });
    this.pane.addEventListener('scroll', () => this.draw(), { passive: true });
    const jump = event => {
      const box = this.strip.getBoundingClientRect();
      this.pane.scrollTop = (event.clientY - box.top) / box.height * this.text.offsetHeight - this.pane.clientHeight / 2;
    };
    this.strip.addEventListener('pointerdown', event => { this.strip.setPointerCapture(event.pointerId); jump(event); });
    this.strip.addEventListener('pointermove', event => { if (event.buttons) jump(event); });
    listen(this.node, 'resize', () => this.#measure());
  }
}
