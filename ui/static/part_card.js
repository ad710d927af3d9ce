// "What is this part?": the best labels of the part under the pointer or the keyboard, in a corner
// of the sample that is away from it, and the same in words for a screen reader.

import { debounce, el, t } from './base.js';
import { inWords } from './evidence.js';

const ROWS = 6;

export class PartCard {
  constructor(nameOf) {
    this.nameOf = nameOf;
    this.title = el('div', { class: 'title' });
    this.rows = Array.from({ length: ROWS }, () => {
      const fill = el('span', { class: 'fill' }), name = el('span', { class: 'name' }), num = el('span', { class: 'num' });
      return { node: el('div', { class: 'row' }, fill, name, num), fill, name, num };
    });
    this.node = el('div', { class: 'pl-part-card', 'data-testid': 'part-card', 'aria-hidden': 'true', hidden: true },
      this.title, this.rows.map(row => row.node));
    this.says = el('div', { class: 'pl-hidden', 'aria-live': 'polite' });
    this.speak = debounce(words => { this.says.textContent = words; }, 180);
  }

  hide() {
    if (this.node.hidden) return;           // what was said of a label meanwhile is still to be heard
    this.node.hidden = true;
    this.speak('');
  }

  /** `place` names the part in words; `side` {right, bottom} is where the pointer is. */
  show(evidence, asked, index, place, side) {
    // A single label has no rival: its share is always all, so how well it fits says more.
    const source = evidence.labels.length === 1 ? 'similarity' : asked;
    const best = evidence.part(source, index, ROWS);
    this.title.textContent = place;
    this.rows.forEach((row, k) => {
      const found = best[k];
      row.node.hidden = !found;
      if (!found) return;
      row.fill.style.transform = `scaleX(${Math.max(0, Math.min(1, found.share))})`;
      row.name.textContent = this.nameOf(found.label);
      row.num.textContent = inWords(source, found.value);
    });
    this.node.dataset.part = index;
    this.node.dataset.labels = best.map(found => found.label).join(',');
    this.node.classList.toggle('left', side.right);
    this.node.classList.toggle('top', side.bottom);
    this.node.hidden = false;
    const heard = best.slice(0, 3).map(found => `${this.nameOf(found.label)} ${inWords(source, found.value)}`);
    this.speak(t('label.part.says', { place, labels: heard.join(', ') }));
  }
}
