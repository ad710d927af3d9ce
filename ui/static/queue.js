// What to look at next, each with its picture or first words and the reason it is in the queue.

import { api, debounce, el, t } from './base.js';

const FORECAST_PAUSE = 3000;

export const thumb = handle => handle.thumb
  ? el('img', { class: 'thumb', src: handle.thumb, alt: '', loading: 'lazy', decoding: 'async', fetchpriority: 'low', draggable: 'false', width: 56, height: 56 })
  : el('span', { class: 'thumb words' }, handle.text ?? '');

export class Queue {
  /** `onOpen(sample)`; `onPicker(name)` when another picker was chosen. */
  constructor({ onOpen, onPicker }) {
    this.rows = new Map();
    this.picker = el('select', { class: 'picker', 'aria-label': t('label.picker'), onchange: () => { this.picker.blur(); onPicker(this.picker.value); } });
    this.forecast = el('p', { class: 'forecast', hidden: true, 'data-testid': 'forecast' });
    this.list = el('ol', { class: 'list' });
    this.node = el('nav', { class: 'pl-queue', 'aria-label': t('label.queue') },
      el('div', { class: 'head' }, this.picker, this.forecast), this.list);
    this.list.addEventListener('click', event => {
      const item = event.target.closest('.item');
      if (item) onOpen(Number(item.dataset.id));
    });
  }

  setPickers(names, current) {
    if (names.join() === [...this.picker.options].map(option => option.value).join()) return;
    this.picker.replaceChildren(...names.map(name =>
      el('option', { value: name, selected: name === current, title: t(`label.picker.${name}.hint`) }, t(`label.picker.${name}`))));
  }

  /** After news of a version, once answers pause: to ask after each would score versions in vain. */
  tellForecastSoon = debounce(() => this.tellForecast(), FORECAST_PAUSE);

  /** What the next answers will probably bring; it is no reason to wait, nor to tell an error. */
  async tellForecast() {
    const found = await api('/pl/api/forecast').catch(() => null);
    if (!found) return;
    this.forecast.hidden = found.gain === null;
    this.forecast.textContent = found.gain === null ? '' : found.text;
    this.forecast.dataset.gain = found.gain ?? '';
  }

  /** Draw `entries`; rows that stay for the same reason keep their element, so nothing flickers. */
  setEntries(entries) {
    const kept = new Map();
    const nodes = entries.map(entry => {
      // The same sample for another reason is drawn again; one that is done keeps what it was for.
      const known = this.rows.get(entry.sample);
      const node = known?.dataset.reason === entry.reason ? known : this.#row(entry);
      kept.set(entry.sample, node);
      node.classList.toggle('done', Boolean(entry.isDone));
      return node.parentElement ?? el('li', {}, node);
    });
    this.rows = kept;
    const list = this.list.children;
    if (nodes.length !== list.length || nodes.some((n, k) => list[k] !== n)) this.list.replaceChildren(...nodes);
  }

  #row(entry) {
    return el('button', {
      type: 'button', class: 'item', 'data-testid': 'queue-item', 'data-sample': entry.name, 'data-id': entry.sample,
      'data-reason': entry.reason, title: `${entry.name}\n${entry.reason}`,
    }, thumb(entry), el('span', { class: 'what' },
      entry.thumb ? el('span', { class: 'name' }, entry.name.split('/').pop()) : null,
      el('span', { class: 'reason' }, entry.reason)));
  }

  setCurrent(sample) {
    for (const [id, node] of this.rows) {
      if (id === sample) node.setAttribute('aria-current', 'true'); else node.removeAttribute('aria-current');
    }
    const node = this.rows.get(sample);
    if (!node) return;
    // Only the list moves: scrollIntoView would also move the page on a phone.
    const { list } = this, box = node.parentElement;
    const room = 1.5 * box.offsetHeight;
    if (box.offsetTop < list.scrollTop + room || box.offsetTop + box.offsetHeight + room > list.scrollTop + list.clientHeight) {
      list.scrollTop = box.offsetTop - room;
    }
    if (list.scrollWidth > list.clientWidth + 4) list.scrollLeft = box.offsetLeft - list.clientWidth / 3;
  }
}
