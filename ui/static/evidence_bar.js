// The tools of the sample: which evidence is drawn and how strongly, grid, zoom, and one line that
// says in words what the colours mean now.

import { el, icon, percent, t } from './base.js';
import { RAMP, SOURCES, inWords } from './evidence.js';

const IMPROBABLE = 0.2;

const kept = (key, fallback) => { try { return localStorage.getItem(key) ?? fallback; } catch { return fallback; } };
const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* then it is not remembered */ } };

export class EvidenceBar {
  /** `onSource(name)`, `onOpacity(0..1)`, `onLines(bool)`; `zoom` has zoomIn, zoomOut and fit. */
  constructor({ onSource, onOpacity, onLines, zoom }) {
    Object.assign(this, { onSource, onOpacity });
    this.source = SOURCES.includes(kept('patchlane-source')) ? kept('patchlane-source') : SOURCES[0];
    this.hasLanes = false;
    this.choices = SOURCES.map(name => el('button', {
      type: 'button', class: 'choice', role: 'radio', 'data-source': name, title: t(`label.source.${name}.hint`),
      onclick: () => this.choose(name),
    }, t(`label.source.${name}`)));
    this.name = el('span', { class: 'sample-name' });
    this.opacity = el('input', { type: 'range', min: '0.1', max: '1', step: '0.05', value: kept('patchlane-opacity', '0.65'), 'aria-label': t('label.opacity'), title: t('label.opacity') });
    this.opacity.addEventListener('input', () => { keep('patchlane-opacity', this.opacity.value); onOpacity(Number(this.opacity.value)); });
    this.lines = this.#tool('M4 4h16v16H4zM4 12h16M12 4v16', 'label.grid', () => {
      const on = this.lines.getAttribute('aria-pressed') !== 'true';
      this.lines.setAttribute('aria-pressed', on);
      onLines(on);
    });
    this.lines.setAttribute('aria-pressed', 'false');
    const group = el('div', { class: 'sources', role: 'radiogroup', 'aria-label': t('label.source') }, this.choices);
    group.addEventListener('keydown', event => {
      if (!['ArrowLeft', 'ArrowRight'].includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      this.other();
      this.choices[SOURCES.indexOf(this.shown)].focus();
    });
    this.node = el('div', { class: 'pl-tools' }, this.name,
      group, el('label', { class: 'opacity' }, el('span', {}, t('label.opacity.short')), this.opacity), this.lines,
      this.#tool('M5 12h14', 'label.zoom.out', () => zoom.zoomOut()),
      this.#tool('M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5', 'label.zoom.fit', () => zoom.fit()),
      this.#tool('M12 5v14M5 12h14', 'label.zoom.in', () => zoom.zoomIn()));
    this.ramp = el('span', { class: 'ramp', 'aria-hidden': 'true' });
    this.ramp.style.backgroundImage = `linear-gradient(90deg, ${[0, 64, 128, 192, 255].map(k => `rgb(${RAMP.subarray(3 * k, 3 * k + 3).join(',')})`).join(',')})`;
    this.low = el('span', { class: 'pl-num' });
    this.high = el('span', { class: 'pl-num' });
    this.scale = el('span', { class: 'scale' }, this.low, this.ramp, this.high);
    this.warning = el('strong', { class: 'warning' });
    this.also = el('span', { class: 'also' });
    this.words = el('span', { class: 'words' });
    this.caption = el('div', { class: 'pl-caption', 'data-testid': 'caption' }, this.scale, this.warning, this.also, this.words);
  }

  #tool(path, key, run) {
    const words = t(key);
    return el('button', { type: 'button', class: 'pl-icon-button', 'aria-label': words, title: words, onclick: run }, icon(path));
  }

  choose(name) {
    this.source = name;
    keep('patchlane-source', name);
    this.#mark();
    this.onSource(name);
  }

  /** What is drawn: the lane's map was chosen for ever, but is there only where there are lanes. */
  get shown() { return this.source === 'lane' && !this.hasLanes ? SOURCES[0] : this.source; }

  other() {
    const there = SOURCES.filter(name => name !== 'lane' || this.hasLanes);
    this.choose(there[(there.indexOf(this.shown) + 1) % there.length]);
  }

  setLanes(hasLanes) { this.hasLanes = hasLanes; this.#mark(); }

  start() { this.#mark(); this.onOpacity(Number(this.opacity.value)); }

  #mark() {
    this.choices.forEach(choice => {
      const isOn = choice.dataset.source === this.shown;
      choice.hidden = choice.dataset.source === 'lane' && !this.hasLanes;
      choice.setAttribute('aria-checked', isOn);
      choice.tabIndex = isOn ? 0 : -1;
    });
  }

  setName(name, split) {
    this.name.textContent = split === 'train' ? name : `${name} (${split})`;
    this.name.title = name;
  }

  /**
   * Say what is drawn of `label` {id, name, verdict, probability, rank, of}, or `idle` words.
   * A map exists for every label, also for one that is not there: then it says so.
   */
  say(label, evidence, idle) {
    this.caption.classList.remove('drawn');
    this.warning.textContent = label ? warning(label) : '';
    this.also.textContent = label?.also ?? '';
    if (!label) { this.words.textContent = this.words.title = idle; return; }
    const source = this.shown;
    if (!evidence?.has(label.id, source)) {
      this.words.textContent = this.words.title = t(source === 'lane' && evidence?.isWhole ? 'label.caption.nolane' : 'label.caption.none', label);
      return;
    }
    const { low, high } = evidence.map(source, label.id);
    this.caption.classList.add('drawn');
    this.low.textContent = inWords(source, low);
    this.high.textContent = inWords(source, high);
    this.words.textContent = t(`label.caption.${source}`, { name: label.name, carriers: source === 'lane' ? '' : evidence.carriers(label.id), parts: evidence.parts });
    this.words.title = this.words.textContent;
  }
}

function warning({ verdict, probability, rank, of }) {
  if (verdict === 'no') return t('label.warning.no');
  if (verdict) return '';
  if (probability !== null) return probability < IMPROBABLE ? t('label.warning.improbable', { percent: percent(probability) }) : '';
  return rank > Math.max(3, of / 2) ? t('label.warning.rank', { rank, of }) : '';
}
