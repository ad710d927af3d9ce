// A small panel over the sample with what is set once in a while: strength, temperature, colours,
// arcs and grid. It stays open while one looks, and says at once what a change means.

import { el, icon, t } from './base.js';
import { RAMPS, gradient } from './ramps.js';
import { Look } from './look.js';

export class LookPanel {
  /** `onChange(values)` of the look, `onLines(on)`. */
  constructor({ onChange, onLines }) {
    this.onChange = onChange;
    const slider = (name, low, high, step) => el('input', {
      type: 'range', min: low, max: high, step, 'aria-label': t(`label.look.${name}`), 'data-testid': `look-${name}`,
    });
    this.opacity = slider('opacity', 0.1, 1, 0.05);
    this.opacity.addEventListener('input', () => this.#tell({ opacity: Number(this.opacity.value) }));
    this.temperature = slider('temperature', -Look.FURTHEST, Look.FURTHEST, 0.25);
    this.temperature.addEventListener('input', () => this.#tell({ step: Number(this.temperature.value) }));
    this.temperature.addEventListener('dblclick', () => this.#tell({ step: 0 }));
    this.words = { opacity: el('output', { class: 'pl-num' }), temperature: el('output', { class: 'pl-num', 'data-testid': 'temperature-says' }) };
    this.colours = el('div', { class: 'colours', role: 'radiogroup', 'aria-label': t('label.look.colours') });
    this.arcs = this.#check('arcs', on => this.#tell({ arcs: on }));
    this.lines = this.#check('lines', onLines);
    this.note = el('p', { class: 'pl-dim pl-small' });
    this.node = el('div', { class: 'pl-look', id: 'pl-look', role: 'group', 'aria-label': t('label.look'), 'data-testid': 'look', hidden: true },
      this.#row('opacity', this.opacity), this.#row('temperature', this.temperature), this.note,
      el('div', { class: 'line' }, el('span', { class: 'what' }, t('label.look.colours')), this.colours), this.arcs.node, this.lines.node);
    this.node.addEventListener('keydown', event => { if (event.key === 'Escape') { event.stopPropagation(); this.toggle(false); this.button.focus(); } });
    this.button = el('button', {
      type: 'button', class: 'pl-icon-button', 'aria-label': t('label.look'), title: t('label.look'), 'aria-expanded': 'false', 'aria-controls': 'pl-look', 'data-testid': 'look-open',
      onclick: () => this.toggle(this.node.hidden),
    }, icon('M4 7h10M18 7h2M4 17h2M10 17h10M16 4v6M8 14v6'));
  }

  #row(name, input) {
    return el('label', { class: 'line' }, el('span', { class: 'what' }, t(`label.look.${name}`)), input, this.words[name]);
  }

  #check(name, run) {
    const box = el('input', { type: 'checkbox', 'data-testid': `look-${name}` });
    box.addEventListener('change', () => run(box.checked));
    return { box, node: el('label', { class: 'line check' }, box, el('span', {}, t(`label.look.${name}`))) };
  }

  #tell(values) { this.onChange(values); }

  toggle(isOpen) {
    this.node.hidden = !isOpen;
    this.button.setAttribute('aria-expanded', isOpen);
  }

  /** Show how it is looked now, from the `source` that is drawn; `evidence` says at which temperature the scores are. */
  show(look, evidence, source) {
    this.opacity.value = look.opacity;
    this.words.opacity.textContent = `${Math.round(100 * look.opacity)} %`;
    const isSoft = source === 'transport' && Boolean(evidence?.temperature);
    this.temperature.disabled = this.arcs.box.disabled = source !== 'transport';
    this.temperature.disabled ||= !isSoft;
    this.temperature.value = look.step;
    this.words.temperature.textContent = isSoft ? evidence.shownTemperature.toPrecision(2) : '';
    const means = source !== 'transport' ? 'other' : !isSoft ? 'none' : look.step ? 'changed' : 'scored';
    this.note.textContent = t(`label.temperature.${means}`);
    this.temperature.setAttribute('aria-valuetext', `${this.words.temperature.textContent} ${this.note.textContent}`);
    this.arcs.box.checked = look.arcs;
    if (!this.colours.childElementCount) this.#offer(RAMPS[look.kind]);
    for (const one of this.colours.children) one.querySelector('input').checked = one.dataset.colours === look.colours;
  }

  #offer(names) {
    this.colours.append(...names.map(name => {
      const swatch = el('span', { class: 'swatch', 'aria-hidden': 'true' });
      swatch.style.backgroundImage = gradient(name);
      const box = el('input', { type: 'radio', name: 'pl-colours', value: name, 'data-testid': `look-colours-${name}` });
      box.addEventListener('change', () => this.#tell({ colours: name }));
      return el('label', { 'data-colours': name }, box, swatch, t(`label.colours.${name}`));
    }));
  }
}
