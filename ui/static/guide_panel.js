// The guide of the label chosen last, beside it while labelling: key G opens and closes it.
import { el, icon, t, toast, toastError, api, newOp, url } from './base.js';
import { GuideCard } from './guide_card.js';

export class GuidePanel {
  constructor(page) {
    this.page = page;
    this.card = new GuideCard({ isNarrow: true });
    this.isOpen = false;
    this.link = el('a', { class: 'pl-button small', 'data-testid': 'guide-open' }, t('guide.open'));
    this.pin = el('button', { type: 'button', class: 'pl-button small', 'data-testid': 'guide-pin-this', title: t('guide.pin.this.what'), onclick: () => this.pinThis() }, t('guide.pin.this'));
    this.node = el('aside', { class: 'pl-guide-panel', 'data-testid': 'guide-panel', 'aria-label': t('guide.panel'), hidden: true },
      el('div', { class: 'top' }, this.pin, this.link,
        el('button', { type: 'button', class: 'pl-icon-button', 'aria-label': t('guide.close'), title: t('guide.close'), onclick: () => this.toggle() }, icon('M6 6l12 12M18 6 6 18'))),
      this.card.node);
  }

  toggle() {
    const { page } = this;
    const label = page.active ?? page.order?.[0] ?? null;
    if (!this.isOpen && label === null) return;
    this.isOpen = !this.isOpen;
    this.node.hidden = !this.isOpen;
    if (!this.isOpen) return;
    this.card.wanted = null;
    if (page.active === null) { page.activate(label); page.chips.reveal(label); } else this.follow(label);
  }

  /** Another label was chosen; none leaves what is there. */
  follow(label) {
    if (!this.isOpen || label === null) return;
    this.link.href = url('/guide', { label: this.page.names.get(label) });
    if (this.card.wanted !== label) this.card.show(label);
  }

  refresh() { if (this.isOpen) this.card.refresh(); }

  /** The sample in view becomes an example of the label; one step of undo. */
  async pinThis() {
    const { page, card } = this, sample = page.current?.item.sample;
    if (sample === undefined || card.wanted === null) return;
    try {
      await api('/pl/api/guide', { json: { op: newOp(), label: card.wanted, do: 'pin', sample } });
      toast(t('guide.pin.done', { name: page.names.get(card.wanted) }));
      card.refresh();
    } catch (error) { toastError(error); }
  }
}
