// Saved slices in Explore: a dialog that puts samples into one, new or old, takes them out, or
// forgets one. Each is one action of the log, with its undo in the message that tells of it.
import { api, count, el, newOp, t, toast, toastError } from './base.js';
import { insist } from './insist.js';

/** What a person wants of slices: {how: 'save' | 'take' | 'remove', name}, or null. */
function asked({ n, slices, inside }) {
  return new Promise(answer => {
    let wish = null;
    const close = wanted => { wish = wanted; dialog.close(); };
    const alike = name => Object.keys(slices).find(one => one === name) ?? Object.keys(slices).find(one => one.toLowerCase() === name.toLowerCase());
    const field = el('input', { class: 'pl-input', type: 'text', maxlength: '200', autocomplete: 'off', required: true, autofocus: true,
      placeholder: t('explore.slice.name'), 'aria-label': t('explore.slice.name'), dataset: { testid: 'slice-name' },
      oninput: () => { save.textContent = t(alike(field.value.trim()) ? 'explore.slice.add' : 'explore.slice.new', { n: count(n) }); } });
    const save = el('button', { class: 'pl-button primary', type: 'submit', dataset: { testid: 'slice-save' } }, t('explore.slice.new', { n: count(n) }));
    const act = (how, name, words, extra = '') => el('button', { class: `pl-button small ${extra}`, type: 'button', dataset: { how, slice: name },
      'aria-label': t(`explore.slice.${how}.what`, { name }), onclick: () => close({ how, name }) }, words);
    const rows = Object.entries(slices).map(([name, size]) => el('li', { dataset: { slice: name } },
      el('button', { class: 'pl-link pl-cut', type: 'button', title: t('explore.slice.pick', { name }), onclick: () => { field.value = name;
        field.dispatchEvent(new Event('input'));
        field.focus(); } }, name), el('span', { class: 'pl-num pl-dim' }, count(size)),
      Object.hasOwn(inside, name) ? act('take', name, t('explore.slice.take', { n: count(inside[name]) })) : el('span', {}),
      act('remove', name, t('explore.slice.remove'), 'danger')));
    const dialog = el('dialog', { class: 'pl-dialog pl-slices', 'aria-label': t('explore.slice.title'), dataset: { testid: 'slices' } },
      el('div', { class: 'pl-dialog-body' },
        el('h2', { class: 'pl-h1' }, t('explore.slice.title')), el('p', { class: 'pl-dim pl-plain' }, t('explore.slice.what')),
        n ? el('form', { class: 'pl-row', onsubmit: event => { event.preventDefault(); const name = field.value.trim(); if (name) close({ how: 'save', name }); } }, field, save) : null,
        rows.length ? el('ul', { class: 'pl-slice-list', 'aria-label': t('explore.facet.slice') }, rows) : null,
        el('div', { class: 'pl-row end' }, el('button', { class: 'pl-button', type: 'button', dataset: { testid: 'slice-close' }, onclick: () => close(null) }, t('explore.close')))));
    dialog.addEventListener('close', () => { dialog.remove(); answer(wish); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export class SliceDesk {
  /** `page` is Explore: `root`, `uid`, `facts.slices`, `undo(op)` and `slicesChanged(slices)` are used of it. */
  constructor(page) { this.page = page; }

  /** Ask what is to be done with `ids` and do it; `inside` counts those of them that a slice holds. */
  async open(ids, { inside = {} } = {}) {
    const { page } = this, wish = await asked({ n: ids.length, slices: page.facts.slices, inside });
    if (!wish) return;
    const { how, name } = wish, op = newOp();
    try {
      const json = how === 'remove' ? { name, op } : { name, ids, op };
      const done = await insist(page.root, how === 'remove' ? 1 : ids.length, () => api(`/pl/api/slices/${how}`, { query: { uid: page.uid }, json }));
      toast(t(`explore.slice.${how}.done`, { name, n: count(how === 'take' ? inside[name] : ids.length) }), { action: { text: t('explore.undo'), run: () => page.undo(op) } });
      await page.slicesChanged(done.slices);
    } catch (error) { toastError(error); }
  }
}

/** The filters that name a slice which is not there any more. */
export const deadSlices = (filters, slices) => [...filters].filter(key => key.startsWith('slice:') && !Object.hasOwn(slices, key.slice(6)));
