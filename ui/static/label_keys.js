// The keys of the Label page, and which key says yes to which label.

import { digitOf, helpKeys, keys, t } from './base.js';
import { isFree } from './page_keys.js';

const HELP = ['digits', 'no', 'unsure', 'here', 'point', 'box', 'guide', 'enter', 'skip', 'back', 'undo', 'evidence', 'focus', 'arrows', 'zoom', 'copy', 'find', 'new', 'escape'];

/**
 * label id -> key. Keys that people gave come first. The digits left over go to the labels in
 * their order where nine are enough for all, else to the likeliest of this sample (`order`).
 */
export function assignKeys(labels, order) {
  const given = new Map(), taken = new Set();
  for (const { id, key } of labels) {
    const one = key.toLowerCase();
    if (!isFree(one) || taken.has(one)) continue;
    given.set(id, one);
    taken.add(one);
  }
  const digits = [...'123456789'].filter(digit => !taken.has(digit));
  for (const id of labels.length <= 9 ? labels.map(label => label.id) : order) {
    if (digits.length && !given.has(id)) given.set(id, digits.shift());
  }
  return given;
}

/** Listen for keys of `page`; its `byKey` says which label a key means now. */
export function listenForKeys(page) {
  helpKeys(t('label.help'), HELP.map(name => [t(`label.help.${name}.key`), t(`label.help.${name}`)]));
  const plain = {
    Enter: event => { if (!event.repeat) page.accept(); },
    Backspace: () => page.back(),
    PageUp: () => page.back(),
    PageDown: () => page.next(),
    '.': () => page.unsure(),
    '+': () => page.stage?.zoomIn(),
    '=': () => page.stage?.zoomIn(),
    '-': () => page.stage?.zoomOut(),
    0: () => page.stage?.fit(),
    Escape: () => page.escape(),
    h: event => page.marks.mark(!event.shiftKey),
    p: () => page.points.toggle(),
    b: () => page.boxes.toggle(),
    g: () => page.guide.toggle(),
    e: () => page.bar.other(),
    f: () => page.stage?.focus(),
    n: () => { if (!page.isReadOnly) page.box.startNew(); },
    l: () => page.box.find(),
    c: () => page.copy(page.near.best()),
  };
  keys(page.root, event => {
    // A slider and the line between two panes have arrow keys of their own.
    if (event.key.startsWith('Arrow') && event.target.closest?.('input, [role=separator]')) return false;
    const key = digitOf(event) || (event.key.length === 1 ? event.key.toLowerCase() : event.key);
    const label = page.byKey?.get(key);
    if (label !== undefined && page.current) {
      page.toggle(label, event.shiftKey ? 'no' : 'yes');
      page.activate(label);
      page.chips.reveal(label);
      return true;
    }
    // A box that is being drawn has Enter and the arrows.
    if (page.boxes.isOpen && page.boxes.key(event)) return true;
    if (Object.hasOwn(plain, key)) { plain[key](event); return true; }
    return Boolean(page.current && page.stage.arrow(event));
  });
}
