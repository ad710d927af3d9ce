// Asked in the flow where labels are made: do they extend a pack, or begin one? By default they go
// where the last ones went, so nobody has to answer.
import { el, project, t } from './base.js';

const NEW = '\u0000new';
const key = () => `patchlane-pack:${project()}`;
const kept = () => { try { return localStorage.getItem(key()); } catch { return null; } };
const keep = name => { try { localStorage.setItem(key(), name); } catch { /* then it is not remembered */ } };

export class PackChoice {
  constructor() {
    this.words = el('span', {});
    this.select = el('select', { 'data-testid': 'pack-choice', 'aria-label': t('packs.choice') });
    this.name = el('input', { type: 'text', class: 'pl-input', hidden: true, maxlength: '200', autocomplete: 'off', placeholder: t('packs.name'), 'aria-label': t('packs.name'), 'data-testid': 'pack-name' });
    this.node = el('div', { class: 'pl-pack-choice', hidden: true }, this.words, this.select, this.name);
    this.select.addEventListener('change', () => {
      this.name.hidden = this.select.value !== NEW;
      if (!this.name.hidden) this.name.focus();
    });
    this.names = [];
  }

  /** The packs there are; `labels` of the project, the newest last. */
  setLabels(labels) {
    const names = [...new Set(labels.map(label => label.pack))], newest = labels.reduce((best, label) => label.id > (best?.id ?? 0) ? label : best, null);
    const now = (this.of === project() && this.select.value) || kept();
    this.of = project();
    if (names.join('\n') !== this.names.join('\n')) {
      this.select.replaceChildren(...names.map(name => el('option', { value: name }, t('packs.extend', { name }))), el('option', { value: NEW }, t('packs.new')));
    }
    this.names = names;
    this.select.value = names.includes(now) || now === NEW ? now : newest?.pack ?? '';
    this.name.hidden = this.select.value !== NEW;
  }

  /** Ask about `n` new labels; 0 hides the question. The first labels of all need none. */
  ask(n) {
    this.node.hidden = !n || !this.names.length;
    this.words.textContent = n === 1 ? t('packs.ask.one') : t('packs.ask', { n });
  }

  /** The pack that is chosen; a new one without a name is called like `first`. */
  wanted(first) { return this.select.value === NEW ? this.name.value.trim() || first : this.select.value || 'main'; }

  /** Remember the pack that labels went into: the next ones extend it. */
  took(pack) {
    keep(pack);
    if (this.select.value === NEW) this.select.value = '';
    this.name.value = '';
  }
}
