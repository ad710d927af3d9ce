// The list of projects: open, make, remove.
import { api, bytes, confirmed, count, el, icon, t, toast, toastError } from './base.js';
import { keepFocus } from './slot.js';

const TRASH = 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5';

export function mountProjects(root, desk) {
  const list = el('ul', { class: 'pl-project-list' });
  const add = el('button', { type: 'button', class: 'pl-button', 'data-testid': 'new-project', onclick: () => desk.startNew() }, icon('M12 5v14M5 12h14'), t('projects.new'));
  root.replaceChildren(el('header', { class: 'pl-pane-head' }, el('h2', { class: 'pl-h2' }, t('projects.title')), add), list);

  async function refresh(facts) {
    add.hidden = !facts.canMake;
    const rows = await api('/pl/api/projects');
    keepFocus(list, () => list.replaceChildren(...rows.length ? rows.map(row => item(row, facts)) : [el('li', { class: 'pl-dim pl-project-none' }, t('projects.none'))]));
  }

  function item(row, facts) {
    const isOpen = row.name === facts.project?.name;
    const what = t(`projects.${row.kind}`, { samples: count(row.samples) });
    const open = el('a', {
      href: `/data?${new URLSearchParams({ project: row.name })}`, 'aria-current': isOpen ? 'true' : null, 'data-testid': 'project', 'data-project': row.name, 'data-id': row.name,
      onclick: event => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        desk.open(row.name);
      },
    }, el('b', {}, row.name), el('span', { class: 'pl-dim pl-small' }, `${what}, ${t('projects.more', { labels: count(row.labels), verdicts: count(row.verdicts), size: bytes(row.bytes) })}`));
    const remove = !facts.canMake || (isOpen && facts.readOnly) ? null : el('button', { type: 'button', class: 'pl-icon-button', 'data-id': row.name, 'aria-label': t('projects.remove', { name: row.name }), title: t('projects.remove', { name: row.name }), onclick: () => removeProject(row) }, icon(TRASH));
    return el('li', { class: isOpen ? 'open' : '' }, open, remove);
  }

  async function removeProject(row) {
    const sure = await confirmed({
      title: t('projects.remove', { name: row.name }),
      text: t('projects.remove.what', { samples: count(row.samples), verdicts: count(row.verdicts) }),
      yes: t('projects.remove.yes'), danger: true,
    });
    if (!sure) return;
    try {
      await api(`/pl/api/projects/${encodeURIComponent(row.name)}`, { method: 'DELETE' });
    } catch (error) { toastError(error); return; }
    const wasOpen = desk.facts.project?.name === row.name;
    desk.open(wasOpen ? null : desk.facts.project?.name, { push: false });
    toast(t('projects.removed', { name: row.name }), {
      seconds: 15,
      action: {
        text: t('undo'), run: async () => {
          try {
            await api(`/pl/api/projects/${encodeURIComponent(row.name)}/restore`, { method: 'POST' });
            desk.open(row.name);
          } catch (error) { toastError(error); }
        },
      },
    });
  }

  return { refresh };
}
