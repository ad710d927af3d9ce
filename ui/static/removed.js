// What was removed and can still be brought back: other projects, and samples and labels of the
// open one. Deleting for good asks first and cannot be taken back.

import { ago, announceJobs, api, confirmed, count, el, icon, t, toast, toastError } from './base.js';

const BACK = 'M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3', GONE = 'M6 6l12 12M18 6 6 18';

export function mountRemoved(root, desk) {
  const list = el('ul', { class: 'pl-removed-list' });
  root.replaceChildren(el('header', { class: 'pl-pane-head' }, el('h2', { class: 'pl-h2' }, t('removed.title'))), list);

  async function refresh(facts) {
    const { samples, labels, unswept, projects } = facts.readOnly ? { samples: 0, labels: 0, unswept: false, projects: [] } : await api('/pl/api/removed');
    root.hidden = !samples && !labels && !unswept && !projects.length;
    list.replaceChildren(...(samples || labels || unswept ? [inside(facts.project, samples, labels)] : []), ...projects.map(project));
  }

  /** Samples and labels of the open project; without any, what was deleted of it and is still on the disk. */
  function inside(open, samples, labels) {
    const what = t(samples || labels ? 'removed.inside.what' : 'removed.inside.left', { samples: count(samples), labels: count(labels) });
    return el('li', { 'data-testid': 'removed-inside', 'data-samples': samples, 'data-labels': labels },
      el('span', { class: 'pl-removed-name' }, el('b', {}, open.name), el('span', { class: 'pl-dim pl-small' }, what)),
      button(t('removed.delete'), GONE, async () => {
        if (!await confirmed({ title: t('removed.inside.title', { name: open.name }), text: t('removed.inside.text', { what }), yes: t('removed.delete'), danger: true })) return;
        await done(api('/pl/api/compact', { method: 'POST', query: { project: open.name, uid: open.uid } }));
        announceJobs();
      }));
  }

  function project({ key, name, when }) {
    return el('li', { 'data-testid': 'removed-project', 'data-key': key },
      el('span', { class: 'pl-removed-name' }, el('b', {}, name), el('span', { class: 'pl-dim pl-small' }, t('removed.project.when', { ago: ago(when) }))),
      button(t('removed.restore', { name }), BACK, async () => {
        if (await done(api(`/pl/api/projects/${encodeURIComponent(key)}/restore`, { method: 'POST' }))) desk.open(name);
      }),
      button(t('removed.project.delete', { name }), GONE, async () => {
        if (!await confirmed({ title: t('removed.project.title', { name }), text: t('removed.project.text'), yes: t('removed.delete'), danger: true })) return;
        if (await done(api(`/pl/api/removed/${encodeURIComponent(key)}`, { method: 'DELETE' }))) toast(t('removed.project.gone', { name }));
        refresh(desk.facts).catch(toastError);
      }));
  }

  const button = (words, path, onclick) => el('button', { type: 'button', class: 'pl-icon-button', 'aria-label': words, title: words, onclick }, icon(path));
  const done = async answer => { try { await answer; return true; } catch (error) { toastError(error); return false; } };

  return { refresh };
}
