// The marks of the chosen label: which places a person said it is in, and in which it is not. They
// are drawn over the sample, set on the part under the pointer or the keyboard, and taken away.

import { el, t, toast } from './base.js';
import { isSame, regionOf, unitsTo } from './geometry.js';
import { MarkLayer } from './mark_layer.js';

export class Marks {
  /** `page` is the Label page. */
  constructor(page) {
    this.page = page;
    this.layer = new MarkLayer({ onRemove: mark => this.remove(mark) });
    const say = here => el('button', {
      type: 'button', class: `pl-button small ${here ? 'here' : 'absent'}`, 'data-testid': here ? 'mark-here' : 'mark-absent',
      onclick: () => { this.mark(here, this.asked); this.hideMenu(); },
    }, t(here ? 'label.mark.here' : 'label.mark.absent'), el('kbd', { class: 'pl-kbd' }, here ? 'H' : '⇧H'));
    this.who = el('span', { class: 'pl-cut' });
    this.buttons = [say(true), say(false)];
    this.menu = el('div', { class: 'pl-mark-menu', role: 'group', 'aria-label': t('label.mark'), 'data-testid': 'mark-menu', hidden: true }, this.who, this.buttons);
    this.menu.addEventListener('keydown', event => { if (event.key === 'Escape') { event.stopPropagation(); this.hideMenu(); this.page.stage.focus(); } });
  }

  /** The stage is there: pictures get a layer of their own. */
  settle() { if (this.page.stage.world) this.page.stage.world.append(this.layer.node); }

  get label() { return this.page.hovered ?? this.page.active; }

  #of(label) { return this.page.current && label !== null ? this.page.decisions.marksOf(this.page.current.item).get(label) ?? [] : []; }

  draw() {
    const { page, label } = this, marks = this.#of(label), name = page.names.get(label) ?? '';
    const isRejected = Boolean(page.current) && label !== null && page.decisions.of(page.current.item).get(label) === 'no';
    if (page.stage?.world) this.layer.showMarks(marks, name, isRejected);
    else page.stage?.setMarks(this.#words(marks), page.points.isOpen ? page.points.words : new Map());
  }

  // Spans of the log in the units of the browser.
  #words(marks) {
    const { text } = this.page.current?.item ?? {};
    return marks.filter(mark => mark.kind === 'span').map(mark => ({ from: unitsTo(text, mark.points[0]), to: unitsTo(text, mark.points[1]), here: mark.verdict === 'yes' }));
  }

  /** It is here / not here, on the part in view or a given one; the same again takes the mark away. */
  mark(here, part = this.page.stage?.part ?? null) {
    const { page } = this, { stage } = page, label = page.active;
    if (!page.current || !stage.evidence) return;
    if (page.points.isOpen) { if (part !== null) page.points.markPart(part, here); return; }
    if (label === null || part === null) { toast(t(label === null ? 'label.mark.which' : 'label.mark.where')); return; }
    const region = regionOf(stage.evidence, part, page.current.item.text);
    const known = this.#of(label).find(mark => isSame(mark, region));
    page.markAll(label, [{ region, here: known?.verdict === (here ? 'yes' : 'no') ? null : here }]);
  }

  remove(mark) {
    if (this.page.active === null) return;
    this.page.markAll(this.page.active, [{ region: { kind: mark.kind, points: mark.points }, here: null }]);
    this.page.stage.focus();
  }

  /** A part was clicked: ask whether the chosen label is there. */
  showMenu(event) {
    const { page } = this, { stage } = page;
    if (page.active === null || stage.part === null || !stage.evidence) { this.hideMenu(); return; }
    this.asked = stage.part;         // the pointer leaves the part on its way to the menu
    this.who.textContent = t('label.mark.ask', { name: page.names.get(page.active) });
    this.menu.hidden = false;
    const place = page.place.getBoundingClientRect(), room = { w: this.menu.offsetWidth + 8, h: this.menu.offsetHeight + 8 };
    const x = event.clientX - place.left + 10, y = event.clientY - place.top + 10;
    this.menu.style.left = `${Math.max(4, Math.min(x, place.width - room.w))}px`;
    this.menu.style.top = `${Math.max(4, Math.min(y, place.height - room.h))}px`;
  }

  hideMenu() { this.menu.hidden = true; }
}
