// Taking labels home: make an export, see what the format cannot hold, download it.
import { ago, announceJobs, api, bytes, count, el, icon, t, toastError, url } from './base.js';

export function mountExports(root, desk) {
  const buttons = el('div', { class: 'pl-row' });
  const list = el('ul', { class: 'pl-export-list' });
  root.replaceChildren(el('header', { class: 'pl-pane-head' }, el('h2', { class: 'pl-h2' }, t('exports.title')), buttons), list);

  async function refresh(facts) {
    if (!facts.project) return;
    const { formats, exports } = await api('/pl/api/exports');
    buttons.replaceChildren(...(facts.readOnly ? [] : Object.entries(formats).map(([format, name]) =>
      el('button', { type: 'button', class: 'pl-button small', 'data-testid': 'export', 'data-format': format, onclick: event => start(event.currentTarget, format) }, name))));
    list.replaceChildren(...exports.map(row => item(row, formats, facts)));
    if (!exports.length) list.replaceChildren(el('li', { class: 'pl-dim' }, t('exports.none')));
  }

  async function start(button, format) {
    button.disabled = true;
    try { await api('/pl/api/exports', { json: { format } }); } catch (error) { toastError(error); }
    button.disabled = false;
    announceJobs();
  }

  function item(row, formats, facts) {
    const lost = Object.entries(row.lost).filter(([, n]) => n);
    return el('li', { 'data-testid': 'export-row', 'data-format': row.format },
      el('div', { class: 'pl-export-row' },
        el('a', { href: url(`/pl/api/exports/${row.name}`), download: row.name, class: 'pl-button small' }, icon('M12 4v11M7 11l5 5 5-5M5 20h14', { size: 14 }), formats[row.format] ?? row.format),
        el('span', { class: 'pl-dim pl-small' }, `${t('exports.what', { samples: count(row.samples), annotations: count(row.annotations) })}, ${bytes(row.bytes)}, ${ago(row.when)}`),
        facts.readOnly ? null : el('button', { type: 'button', class: 'pl-icon-button', 'aria-label': t('exports.remove'), title: t('exports.remove'), onclick: () => remove(row) }, icon('M6 6l12 12M18 6 6 18', { size: 14 }))),
      lost.length ? el('ul', { class: 'pl-lost pl-small' }, lost.map(([what, n]) => el('li', {}, t('exports.lost', { n: count(n), what: what.replaceAll('_', ' ') })))) : el('p', { class: 'pl-dim pl-small pl-lost-none' }, t('exports.whole')));
  }

  async function remove(row) {
    try { await api(`/pl/api/exports/${row.name}`, { method: 'DELETE' }); } catch (error) { toastError(error); }
    refresh(desk.facts).catch(toastError);
  }

  return { refresh };
}
