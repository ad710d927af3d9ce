// A list of labels under the names of their packs. A pack folds at its name, and this browser
// remembers which are folded.
import { count, el, project, t } from './base.js';

const key = () => `patchlane-folded:${project()}`;

/** createPackFolds(draw): `draw` is called when a pack was folded or opened. */
export function createPackFolds(draw) {
  let folded = new Set();
  try { folded = new Set(JSON.parse(localStorage.getItem(key()) ?? '[]')); } catch { /* all open */ }

  function toggle(pack) {
    if (!folded.delete(pack)) folded.add(pack);
    try { localStorage.setItem(key(), JSON.stringify([...folded])); } catch { /* then it is not remembered */ }
    draw();
  }

  function head(pack, entries, isOpen) {
    return el('li', { class: 'pl-facet-pack' }, el('button', { type: 'button', 'aria-expanded': String(isOpen), dataset: { pack },
        onclick: () => toggle(pack), title: t(isOpen ? 'explore.pack.fold' : 'explore.pack.open', { name: pack }) },
      el('span', { class: 'pl-facet-word' }, pack), el('span', { class: 'pl-num pl-dim' }, count(entries.length))));
  }

  /**
   * The first `most` of `entries` as `row` draws them, and how many are left. `packs` are those of the
   * project in their order: one alone has no name. `isFound`: these were searched for, and none is folded.
   */
  function rows(entries, { packs, most, row, isFound = false }) {
    if (packs.length < 2) return { items: entries.slice(0, most).map(row), left: Math.max(0, entries.length - most) };
    const items = [];
    let left = 0, room = most;
    for (const pack of packs) {
      const labels = entries.filter(entry => entry.pack === pack), isOpen = isFound || !folded.has(pack);
      if (!labels.length) continue;
      items.push(head(pack, labels, isOpen));
      if (!isOpen) continue;
      items.push(...labels.slice(0, room).map(row));
      left += Math.max(0, labels.length - room);
      room = Math.max(0, room - labels.length);
    }
    return { items, left };
  }
  return { rows };
}
