// The samples most like this one, with what people said about them; one key copies their labels.

import { el, t } from './base.js';
import { thumb } from './queue.js';

export class Neighbours {
  /** `onOpen(sample)`, `onCopy(neighbour)`. */
  constructor({ onOpen, onCopy, nameOf }) {
    this.nameOf = nameOf;
    this.list = el('ol', { class: 'list' });
    this.note = el('p', { class: 'pl-dim pl-small', hidden: true });
    this.node = el('section', { class: 'pl-near', 'aria-label': t('label.near') },
      el('h3', {}, t('label.near'), ' ', el('span', { class: 'pl-dim hint' }, t('label.near.hint'))), this.list, this.note);
    this.list.addEventListener('click', event => {
      const card = event.target.closest('[data-id]');
      if (!card) return;
      const found = this.all.find(n => n.sample === Number(card.dataset.id));
      if (event.target.closest('.copy')) onCopy(found); else onOpen(found.sample);
    });
  }

  show(neighbours, isPending) {
    this.all = neighbours;
    this.list.replaceChildren(...neighbours.map(n => this.#card(n)));
    this.note.hidden = neighbours.length > 0;
    this.note.textContent = t(isPending ? 'label.pending' : 'label.near.none');
  }

  /** The nearest one with a YES, whose labels the key copies. */
  best() { return this.all?.find(n => n.yes.length) ?? null; }

  #card(n) {
    const names = n.yes.map(id => this.nameOf(id)).filter(Boolean);
    const isKey = n === this.best();
    const said = names.length ? names.join(', ') : n.no ? t('label.near.no', { n: n.no }) : t('label.near.unknown');
    return el('li', { class: 'card', 'data-testid': 'neighbour', 'data-sample': n.name, 'data-id': n.sample },
      el('button', { type: 'button', class: 'open', title: t('label.near.open', { name: n.name, score: n.score.toFixed(2) }) },
        thumb(n), el('span', { class: 'what' },
          el('span', { class: names.length ? 'said yes' : 'said' }, said),
          el('span', { class: 'pl-dim pl-num alike' }, t('label.near.alike', { score: n.score.toFixed(2) })))),
      names.length ? el('button', { type: 'button', class: 'copy pl-button small', title: t('label.near.copy.hint', { labels: names.join(', ') }) },
        t('label.near.copy'), isKey ? el('kbd', { class: 'pl-kbd' }, 'C') : null) : null);
  }
}
