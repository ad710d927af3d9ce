// The picture that is looked at in Explore, and a box on it: the part of it that is searched for.
// A mouse draws at any time; a finger once the button was pressed, so that it can scroll until then.

import { el, mediaUrl, t } from './base.js';
import { HandBox } from './hand_box.js';

const NS = 'http://www.w3.org/2000/svg';

export class RegionBox extends HandBox {
  /** `card` of a picture; `box` is on it already; `onSearch(region)` is called with [x, y, w, h] in 0..1. */
  constructor({ card, box = null, isDrawing = false, onSearch }) {
    super();
    this.onSearch = onSearch;
    this.wide = card.width || 1;
    this.high = card.height || 1;
    this.svg = document.createElementNS(NS, 'svg');
    // as the picture lies in its frame: whole, and in the middle
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${this.wide} ${this.high}`, 'aria-hidden': 'true' })) this.svg.setAttribute(name, value);
    const image = el('img', { src: mediaUrl(card.id, 512, card.hash), alt: card.name, width: card.width || null, height: card.height || null, draggable: 'false' });
    this.stage = el('div', { class: 'pl-glance-shot', tabindex: '0', role: 'application', 'aria-label': t('explore.part.stage', { name: card.name }),
      title: t('explore.part.how'), dataset: { testid: 'look-shot' } }, image, this.svg);
    this.button = el('button', { class: 'pl-button small', type: 'button', dataset: { testid: 'search-part' }, onclick: () => this.#press() });
    this.how = el('p', { class: 'pl-dim pl-small', hidden: true }, t('explore.part.how'));
    this.#listen();
    this.#draws(isDrawing);
    this.put(box);
  }

  show(box) {
    this.button.textContent = t(box ? 'explore.part.search' : 'explore.part.draw');
    this.button.setAttribute('aria-pressed', String(this.isDrawing && !box));
    this.svg.replaceChildren();
    if (!box) return;
    const { wide, high } = this, [x, y, w, h] = [box[0] * wide, box[1] * high, box[2] * wide, box[3] * high];
    const hole = `M${x} ${y}h${w}v${h}h${-w}z`;
    for (const [name, d] of [['shade', `M0 0h${wide}v${high}h${-wide}z${hole}`], ['under', hole], ['over', hole]]) {
      const path = document.createElementNS(NS, 'path');
      for (const [key, value] of Object.entries({ d, class: name, 'vector-effect': 'non-scaling-stroke', 'fill-rule': 'evenodd' })) path.setAttribute(key, value);
      this.svg.append(path);
    }
  }

  drawn() { this.stage.focus({ preventScroll: true }); }
  take(region) { this.onSearch(region); }

  #press() {
    if (this.box) { this.key({ key: 'Enter' }); return; }
    this.#draws(!this.isDrawing);
    this.show(null);
    if (this.isDrawing) this.stage.focus();
  }

  #draws(isOn) {
    this.isDrawing = isOn;
    this.stage.classList.toggle('is-drawing', isOn);
    this.how.hidden = !isOn;
  }

  #spot(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return { x: at.x / this.wide, y: at.y / this.high };
  }

  #listen() {
    const { stage } = this;
    stage.addEventListener('pointerdown', event => {
      if (event.button || !event.isPrimary || (event.pointerType !== 'mouse' && !this.isDrawing)) return;
      event.preventDefault();
      stage.setPointerCapture(event.pointerId);
      this.down(this.#spot(event));
    });
    stage.addEventListener('pointermove', event => { if (event.isPrimary) this.move(this.#spot(event)); });
    stage.addEventListener('pointerup', event => { if (this.start) this.up(this.#spot(event)); });
    stage.addEventListener('pointercancel', () => { this.start = null; });
    stage.addEventListener('keydown', event => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === 'Escape' && (this.box || this.isDrawing)) { if (!this.box) this.#draws(false); this.put(null); } else if (!this.key(event)) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }
}
