// A part of a page that is drawn again only when what it shows has changed: whoever writes in it,
// or has chosen something in it, is not disturbed by news about something else.
import { el } from './base.js';

export class Slot {
  constructor() {
    this.node = el('div', { class: 'pl-slot' });
    this.shown = null;
  }

  /** Draw what `make` gives (elements) where `key`, all that it depends on, is another than before. */
  draw(key, make) {
    const now = JSON.stringify(key);
    if (now === this.shown) return;
    this.shown = now;
    keepFocus(this.node, () => this.node.replaceChildren(...[make()].flat(2).filter(Boolean)));
  }
}

/** Run `work`, which replaces elements in `root`; the field or button that had the focus has it again. */
export function keepFocus(root, work) {
  const was = root.contains(document.activeElement) ? document.activeElement : null;
  const caret = was?.matches('textarea, input[type=text], input[type=search]') ? [was.selectionStart, was.selectionEnd] : null;
  work();
  const again = was && (root.contains(was) ? was : twin(root, was));
  if (!again || again === document.activeElement) return;
  again.focus({ preventScroll: true });
  if (caret) again.setSelectionRange(...caret);
}

/** What stands in the place of an element that was drawn again, by its name, test id or id of what it is about. */
function twin(root, was) {
  const told = one => [one.tagName, one.name ?? '', one.dataset.testid ?? '', one.dataset.id ?? '', one.type === 'radio' ? one.value : ''].join('\n');
  if (!was.name && !was.dataset.testid && !was.dataset.id) return null;
  return [...root.querySelectorAll(was.tagName)].find(one => told(one) === told(was)) ?? null;
}

/** Give `list` these children in this order; the one that holds the focus is never taken out. */
export function place(list, nodes) {
  const at = nodes.findIndex(node => node.contains(document.activeElement));
  if (at < 0) { list.replaceChildren(...nodes); return; }
  for (const child of [...list.children]) if (child !== nodes[at]) child.remove();
  nodes[at].before(...nodes.slice(0, at));
  nodes[at].after(...nodes.slice(at + 1));
}
