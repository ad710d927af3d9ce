// Taking labels home: make an export, see what the format cannot hold, download it.
import { ago, announceJobs, api, bytes, count, el, icon, t, toastError, url } from './base.js';
import { keepFocus } from './slot.js';

export function mountExports(root, desk) {
  const buttons = el('div', { class: 'pl-row' });
  const list = el('ul', { class: 'pl-export-list' });
  // What goes into the next export; the choice stays until the page is left.
  const bare = el('input', { type: 'checkbox', name: 'bare', 'data-testid': 'export-bare' });
  const isBare = el('label', { class: 'pl-choice pl-small' }, bare, t('exports.bare'));
  const split = el('select', { class: 'pl-input', name: 'split', 'data-testid': 'export-split', 'aria-label': t('exports.split') });
  const what = el('div', { class: 'pl-row pl-export-what' }, split, isBare);
  root.replaceChildren(el('header', { class: 'pl-pane-head' }, el('h2', { class: 'pl-h2' }, t('exports.title')), buttons, what), list);
  let told = '';

  async function refresh(facts) {
    if (!facts.project) return;
    const { formats, exports, splits } = await api('/pl/api/exports');
    isBare.hidden = facts.project.kind !== 'image';
    if (isBare.hidden) bare.checked = false;
    split.hidden = Object.keys(splits).length < 2;
    what.hidden = facts.readOnly || (split.hidden && isBare.hidden);
    // A list that is open, or a button that has the focus, is not drawn again for the same.
    const now = JSON.stringify([facts.project.name, facts.readOnly, formats, splits]);
    if (now !== told) {
      told = now;
      buttons.replaceChildren(...(facts.readOnly ? [] : Object.entries(formats).map(([format, name]) =>
        el('button', { type: 'button', class: 'pl-button small', 'data-testid': 'export', 'data-format': format, onclick: event => start(event.currentTarget, format) }, name))));
      const chosen = splits[split.value] ? split.value : '';
      split.replaceChildren(el('option', { value: '' }, t('exports.split.all')), ...Object.entries(splits).map(([name, n]) =>
        el('option', { value: name, selected: name === chosen }, t('exports.split.one', { name: t(`split.${name}`), n: count(n) }))));
    }
    keepFocus(list, () => list.replaceChildren(...exports.length ? exports.map(row => item(row, formats, facts)) : [el('li', { class: 'pl-dim' }, t('exports.none'))]));
  }

  async function start(button, format) {
    button.disabled = true;
    try { await api('/pl/api/exports', { json: { format, media: !bare.checked, split: split.value || null } }); } catch (error) { toastError(error); }
    button.disabled = false;
    announceJobs();
  }

  function item(row, formats, facts) {
    const lost = Object.entries(row.lost).filter(([, n]) => n);
    return el('li', { 'data-testid': 'export-row', 'data-format': row.format },
      el('div', { class: 'pl-export-row' },
        el('a', { href: url(`/pl/api/exports/${row.name}`), download: row.name, 'data-id': row.name, class: 'pl-button small' }, icon('M12 4v11M7 11l5 5 5-5M5 20h14', { size: 14 }), formats[row.format] ?? row.format),
        el('span', { class: 'pl-dim pl-small' }, [t('exports.what', { samples: count(row.samples), annotations: count(row.annotations) }), row.split && t(`split.${row.split}`), !row.has_media && t('exports.bare.done'), bytes(row.bytes), ago(row.when)].filter(Boolean).join(', ')),
        facts.readOnly ? null : el('button', { type: 'button', class: 'pl-icon-button', 'data-id': row.name, 'aria-label': t('exports.remove'), title: t('exports.remove'), onclick: () => remove(row) }, icon('M6 6l12 12M18 6 6 18', { size: 14 }))),
      lost.length ? el('ul', { class: 'pl-lost pl-small' }, lost.map(([what, n]) => el('li', {}, t('exports.lost', { n: count(n), what: what.replaceAll('_', ' ') })))) : el('p', { class: 'pl-dim pl-small pl-lost-none' }, t('exports.whole')));
  }

  async function remove(row) {
    try { await api(`/pl/api/exports/${row.name}`, { method: 'DELETE' }); } catch (error) { toastError(error); }
    refresh(desk.facts).catch(toastError);
  }

  return { refresh };
}
