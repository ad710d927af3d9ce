// A box drawn by hand for the chosen label (B): see hand_box.js. Escape leaves.

import { t, toast } from './base.js';
import { HandBox } from './hand_box.js';

export class BoxTool extends HandBox {
  constructor(page) { super(); this.page = page; this.isOpen = false; }

  toggle() { if (this.isOpen) this.close(); else this.open(); }

  open() {
    const { page } = this;
    if (!page.current || page.kind === 'text') { if (page.current) toast(t('label.box.text')); return; }
    if (page.isReadOnly) { toast(t('label.closed')); return; }
    if (page.active === null) { toast(t('label.mark.which')); return; }
    page.points.close();
    this.isOpen = true;
    this.label = page.active;
    page.stage.tool = this;
    page.stage.node.classList.add('boxing');
    page.stage.focus();
    page.card.speak(t('label.box.how', { name: page.names.get(this.label) }));
    toast(t('label.box.how', { name: page.names.get(this.label) }));
    page.onTools();
  }

  close() {
    if (!this.isOpen) return;
    const { page } = this;
    Object.assign(this, { isOpen: false, box: null, start: null });
    if (page.stage.tool === this) page.stage.tool = null;
    page.stage.node.classList.remove('boxing');
    page.marks.layer.showBox(null);
    page.onTools();
  }

  follow(label) { if (this.isOpen && label !== null) this.label = label; }

  tap() { return true; }

  // The part under the keyboard, else the middle.
  first() {
    const { evidence, part } = this.page.stage;
    if (!evidence?.rows || part === null) return super.first();
    return [part % evidence.cols / evidence.cols, Math.floor(part / evidence.cols) / evidence.rows, 1 / evidence.cols, 1 / evidence.rows];
  }

  show(box) { this.page.marks.layer.showBox(box); }

  take(points) {
    const { page, label } = this;
    this.close();
    page.markAll(label, [{ region: { kind: 'box', points }, here: true }]);
  }
}
