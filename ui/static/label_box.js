// Above the chips: find a label by typing, make a new one in place, choose the packs in view.

import { el, icon, t } from './base.js';
import { PackChoice } from './pack_choice.js';

export class LabelBox {
  /** `onFilter(query)`, `onPick()` (Enter on what was found), `onNew(name, isYes, pack)`, `onPacks(set | null)`. */
  constructor({ onFilter, onPick, onNew, onPacks }) {
    Object.assign(this, { onFilter, onPick, onNew });
    this.input = el('input', { type: 'search', class: 'pl-input', autocomplete: 'off', spellcheck: 'false', maxlength: '200', 'data-testid': 'label-find' });
    this.add = el('button', {
      type: 'button', class: 'pl-icon-button', title: t('label.new.hint'), 'aria-label': t('label.new.hint'), 'data-testid': 'label-new',
      onclick: () => { if (this.isNew && this.input.value.trim()) this.#make(false); else this.startNew(this.input.value); },
    }, icon('M12 5v14M5 12h14'));
    this.packs = el('select', { class: 'packs', hidden: true, 'aria-label': t('label.packs') });
    this.packs.addEventListener('change', () => { this.packs.blur(); onPacks(this.packs.value ? new Set([this.packs.value]) : null); });
    this.choice = new PackChoice();
    this.node = el('div', { class: 'pl-label-box' }, this.input, this.add, this.choice.node, this.packs);
    this.#mode(false);
    this.input.addEventListener('input', () => { if (!this.isNew) onFilter(this.input.value); });
    // Choosing a pack is still part of making a label; clicking elsewhere leaves an empty one.
    this.node.addEventListener('focusout', event => { if (this.isNew && !this.input.value && !this.node.contains(event.relatedTarget)) this.#mode(false); });
    this.input.addEventListener('keydown', event => this.#key(event));
    this.choice.node.addEventListener('keydown', event => { if (event.target !== this.choice.select || event.key === 'Escape') this.#key(event); });
  }

  setLabels(labels) {
    const names = [...new Set(labels.map(label => label.pack))];
    this.choice.setLabels(labels);
    this.packs.hidden = names.length < 2;
    const now = this.packs.value;
    this.packs.replaceChildren(el('option', { value: '' }, t('label.packs.all')), ...names.map(name => el('option', { value: name }, name)));
    this.packs.value = names.includes(now) ? now : '';
  }

  /** No filter: what is typed for one sample does not hide labels of the next. */
  clear() { if (this.input.value && !this.isNew) { this.input.value = ''; this.onFilter(''); } }

  find() { this.#mode(false); this.input.focus(); this.input.select(); }

  startNew(name = '') {
    this.onFilter('');
    this.#mode(true);
    this.input.value = name;
    this.input.focus();
  }

  #mode(isNew) {
    this.isNew = isNew;
    const words = t(isNew ? 'label.new.name' : 'label.find');
    this.input.placeholder = words;
    this.input.setAttribute('aria-label', words);
    this.node.classList.toggle('new', isNew);
    this.choice.ask(isNew ? 1 : 0);
  }

  #make(isYes) {
    const name = this.input.value.trim(), pack = this.choice.wanted(name);
    this.#leave();
    if (!name) return;
    this.choice.took(pack);
    this.onNew(name, isYes, pack);
  }

  #leave() {
    this.input.value = '';
    this.onFilter('');
    this.#mode(false);
    this.input.blur();
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === 'Escape') { event.preventDefault(); event.stopPropagation(); this.#leave(); }
    if (event.key !== 'Enter') return;
    event.preventDefault();
    event.stopPropagation();
    if (this.isNew) { this.#make(event.shiftKey); return; }
    if (this.input.value.trim()) this.onPick();
    this.#leave();
  }
}
