// What Enter says of the labels that a person left alone: no to all of them in view, or nothing.

import { el, t } from './base.js';

const KEY = 'patchlane-accept', TOUCHED = 'touched';

export class AcceptHow {
  constructor() {
    this.box = el('input', { type: 'checkbox', 'data-testid': 'accept-touched', onchange: () => this.#keep() });
    try { this.box.checked = localStorage.getItem(KEY) === TOUCHED; } catch { /* as by default */ }
    this.node = el('label', { class: 'how', title: t('label.accept.touched.hint') }, this.box, t('label.accept.touched'));
  }

  /** Enter leaves undecided what nobody decided. */
  get isTouchedOnly() { return this.box.checked; }

  #keep() {
    try { localStorage.setItem(KEY, this.box.checked ? TOUCHED : 'all'); } catch { /* then it is not remembered */ }
  }
}
