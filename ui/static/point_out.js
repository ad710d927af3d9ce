// "Point it out": points for the chosen label or a typed phrase appear over the sample, a mask
// follows them, and what a person accepts is stored as marks of the label: the parts under the
// points, boxes, or the mask. On a text words take the place of points, and there is no mask.

import { api, debounce, el, t, toast, toastError } from './base.js';
import { boxOf, partAt, regionOf } from './geometry.js';
import { PointDots } from './point_dots.js';

const MOST_PIECES = 12;          // of a mask that become marks; crumbs beyond help nobody

export class PointOut {
  /** `page` is the Label page. */
  constructor(page) {
    this.page = page;
    this.isOpen = false;
    this.target = null;             // {label} or {phrase}
    this.words = new Map();         // of a text: part -> here
    this.mask = null;
    const button = (name, run, extra = {}) => el('button', { type: 'button', class: 'pl-button small', 'data-testid': `point-${name}`, onclick: run, ...extra }, t(`label.point.${name}`));
    this.phrase = el('input', { class: 'pl-input', type: 'text', maxlength: '200', 'data-testid': 'point-phrase', placeholder: t('label.point.phrase'), 'aria-label': t('label.point.phrase') });
    this.phrase.addEventListener('keydown', event => {
      if (event.key === 'Escape') { event.stopPropagation(); this.close(); }
      if (event.key !== 'Enter') return;
      event.preventDefault();
      event.stopPropagation();
      if (this.phrase.value.trim()) this.#aim(this.#targetOf(this.phrase.value.trim()));
    });
    this.signs = [true, false].map(here => el('button', {
      type: 'button', class: `pl-button small sign ${here ? 'here' : 'absent'}`, 'aria-pressed': String(here), 'data-testid': here ? 'point-adds-yes' : 'point-adds-no',
      onclick: () => this.setSign(here),
    }, t(here ? 'label.point.adds.yes' : 'label.point.adds.no')));
    this.says = el('p', { class: 'says', role: 'status', 'data-testid': 'point-says' });
    this.anyway = button('anyway', () => this.#ask({ anyway: true }), { hidden: true });
    this.asParts = button('parts', () => this.accept('parts'));
    this.asBox = button('box', () => this.accept('box'));
    this.asMask = button('mask', () => this.accept('mask'), { class: 'pl-button small primary' });
    this.node = el('div', { class: 'pl-point-out', role: 'group', 'aria-label': t('label.point'), 'data-testid': 'point-out', hidden: true },
      el('div', { class: 'line' }, this.phrase, el('button', { type: 'button', class: 'pl-icon-button', 'aria-label': t('label.point.close'), title: t('label.point.close'), 'data-testid': 'point-close', onclick: () => this.close() }, '✕')),
      el('div', { class: 'line' }, this.signs), this.says, this.anyway,
      el('div', { class: 'line' }, this.asParts, this.asBox, this.asMask));
    this.isHere = true;
    this.maskSoon = debounce(() => this.#askMask(), 120);
  }

  get isText() { return this.page.kind === 'text'; }

  setSign(here) {
    this.isHere = here;
    this.signs.forEach((node, k) => node.setAttribute('aria-pressed', String((k === 0) === here)));
  }

  toggle() { if (this.isOpen) this.close(); else this.open(); }

  open() {
    const { page } = this;
    if (!page.current || this.isOpen) return;
    page.boxes?.close();
    this.isOpen = true;
    this.node.hidden = false;
    this.setSign(true);
    page.stage.tool = this;
    page.stage.node.classList.add('pointing');
    if (!this.isText) {
      const { layer } = page.marks;
      this.dots = new PointDots({ place: layer.dots, spotOf: event => page.stage.spotOf(event), onChange: () => { this.#say(); this.maskSoon(); } });
    }
    for (const node of [this.asBox, this.asMask]) node.hidden = this.isText;
    page.onTools();
    if (page.active !== null) this.#aim({ label: page.active });
    else { this.phrase.value = ''; this.phrase.focus(); this.says.textContent = t('label.point.what'); this.#enable(); }
  }

  close() {
    if (!this.isOpen) return;
    const { page } = this;
    this.stop?.abort();
    Object.assign(this, { isOpen: false, target: null, mask: null });
    this.node.hidden = true;
    if (page.stage.tool === this) page.stage.tool = null;
    page.stage.node.classList.remove('pointing');
    this.words.clear();
    this.dots?.set([]);
    page.marks.layer.showMask([]);
    page.stage.setOwn(null);
    page.marks.draw();
    page.onTools();
    page.stage.focus();
  }

  /** Another label was chosen while the tool is open. */
  follow(label) { if (this.isOpen && label !== null && this.target?.label !== label) this.#aim({ label }); }

  #targetOf(words) {
    const known = this.page.labels.find(label => label.name.toLowerCase() === words.toLowerCase());
    return known ? { label: known.id } : { phrase: words };
  }

  get name() { return this.target?.phrase ?? this.page.names.get(this.target?.label) ?? ''; }

  #aim(target) {
    this.target = target;
    this.phrase.value = this.name;
    if (target.label !== undefined && this.page.active !== target.label) this.page.activate(target.label);
    this.#ask();
  }

  /** Ask for points; the map of a phrase comes with them. */
  async #ask({ anyway = false } = {}) {
    const { page, target } = this, { item } = page.current;
    this.stop?.abort();
    this.stop = new AbortController();
    this.says.textContent = t('label.point.looking');
    this.anyway.hidden = true;
    try {
      const found = await api('/pl/api/point', { query: { sample: item.sample, ...target, anyway: anyway ? 1 : null }, signal: this.stop.signal });
      if (!this.isOpen || this.target !== target || page.current?.item !== item) return;
      page.stage.setOwn(target.phrase === undefined ? null : found.heat);
      this.why = found.why;
      this.anyway.hidden = !found.why || anyway;
      if (this.isText) { this.words = new Map(found.words.map(({ part, here }) => [part, here])); page.marks.draw(); } else this.dots.set(found.points);
      this.#say();
      this.#askMask();
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.why = error.message;
      this.#say();
    }
  }

  async #askMask() {
    const { page, target } = this;
    if (!this.isOpen || this.isText || !target) return;
    const points = this.dots.all.map(({ x, y, here }) => ({ x, y, here }));
    this.drawing?.abort();
    this.drawing = new AbortController();
    if (!points.some(point => point.here)) { this.#showMask(null); return; }
    try {
      const found = await api('/pl/api/mask', { json: { sample: page.current.item.sample, points, ...target }, signal: this.drawing.signal });
      if (this.isOpen && this.target === target) this.#showMask(found);
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.#showMask(null);
      toastError(error);
    }
  }

  #showMask(mask) {
    this.mask = mask;
    this.page.marks.layer.showMask(mask?.polygons ?? []);
    this.#say();
  }

  #signsNow() { return this.isText ? [...this.words.values()] : (this.dots?.all ?? []).map(dot => dot.here); }

  #say() {
    const signs = this.#signsNow(), yes = signs.filter(Boolean).length;
    if (!signs.length) this.says.textContent = this.why ? t('label.point.why', { why: this.why }) : t('label.point.none');
    else {
      const counted = t('label.point.counts', { yes, no: signs.length - yes });
      this.says.textContent = this.mask?.polygons.length ? `${counted} ${t('label.point.covers', { percent: Math.round(100 * this.mask.share) })}` : counted;
      this.anyway.hidden = true;
    }
    this.#enable();
  }

  #enable() {
    const signs = this.#signsNow();
    this.asParts.disabled = !this.target || !signs.length;
    for (const node of [this.asBox, this.asMask]) node.disabled = !this.target || !this.mask?.polygons.length;
  }

  // ---- the stage hands clicks and keys to its tool ---------------------------------------------

  /** A click on the picture (0..1) or on a word adds a point; beside the picture nothing happens. */
  tap(spot, part, event) {
    const here = event.shiftKey || event.altKey ? !this.isHere : this.isHere;
    if (this.isText) {
      if (part === null) return true;
      if (this.words.has(part)) this.words.delete(part); else this.words.set(part, here);
      this.page.marks.draw();
      this.#say();
    } else if (spot.x >= 0 && spot.x <= 1 && spot.y >= 0 && spot.y <= 1) this.dots.add({ ...spot, here });
    return true;
  }

  /** The part under the keyboard says yes or no: a point in its middle. */
  markPart(part, here) {
    const { evidence } = this.page.stage;
    if (this.isText) {
      if (this.words.get(part) === here) this.words.delete(part); else this.words.set(part, here);
      this.page.marks.draw();
      this.#say();
    } else this.dots.add({ x: (part % evidence.cols + 0.5) / evidence.cols, y: (Math.floor(part / evidence.cols) + 0.5) / evidence.rows, here });
  }

  // ---- what is taken -----------------------------------------------------------------------------

  async accept(how) {
    const { page } = this, { evidence } = page.stage, item = page.current?.item;
    if (!this.target || !item || page.isLeaving || !evidence) return;
    const changes = how === 'parts' ? this.#parts(evidence) : this.#pieces(how);
    if (!changes.length) return;
    let { label } = this.target;
    if (label === undefined) {
      label = await page.labelFor(this.target.phrase);
      if (label === null) return;
    }
    const name = page.names.get(label);
    this.close();
    // The label may have been made meanwhile, and another sample may be in view.
    if (page.current?.item.sample === item.sample) page.activate(label);
    page.markAll(label, changes, item);
    toast(t('label.point.kept', { n: changes.length, name }));
  }

  #parts(evidence) {
    const { text } = this.page.current.item, found = new Map();
    if (this.isText) for (const [part, here] of this.words) found.set(part, here);
    else for (const dot of this.dots.all) found.set(partAt(evidence, dot), dot.here);
    return [...found].map(([part, here]) => ({ region: regionOf(evidence, part, text), here }));
  }

  #pieces(how) {
    return (this.mask?.polygons ?? []).slice(0, MOST_PIECES).map(outline => {
      const polygon = { kind: 'polygon', points: outline.flat() };
      return { region: how === 'mask' ? polygon : { kind: 'box', points: boxOf(polygon) }, here: true };
    });
  }
}
