// The Data page: projects at the left, bringing things in in the middle, labels and exports at the
// right. Each part is a module of its own; this one lays them out and keeps them on one project.
import { api, el, emit, helpKeys, listen, markReady, pageRoot, params, setAddress, setOpenProject, t, toastError } from './base.js';
import { mountExports } from './exports.js';
import { mountIntake } from './intake.js';
import { mountLabels } from './label_editor.js';
import { mountProjects } from './projects.js';
import { mountRemoved } from './removed.js';
import { undoOn } from './undo.js';

export async function mount({ root }) {
  pageRoot(root, 'data');
  const left = el('section', { class: 'pl-pane pl-data-projects', 'aria-label': t('projects.title') });
  const projects = el('div', {});
  const removed = el('section', { class: 'pl-data-removed', 'aria-label': t('removed.title'), hidden: true });
  left.append(projects, removed);
  const middle = el('section', { class: 'pl-pane grow pl-data-intake', 'aria-label': t('intake.title') });
  const labels = el('section', { class: 'pl-data-labels', 'aria-label': t('labels.title') });
  const exports = el('section', { class: 'pl-data-exports', 'aria-label': t('exports.title') });
  const right = el('div', { class: 'pl-pane pl-data-right' }, labels, exports);
  root.replaceChildren(el('div', { class: 'pl-panes' }, left, middle, right));
  helpKeys(t('page.data'), [['Enter', t('help.data.enter')], ['Ctrl+V', t('help.data.paste')]]);

  const desk = { facts: null, open, created, refresh, startNew };
  const parts = [];

  /** Show another project, without leaving the page. */
  function open(name, { push = true } = {}) {
    setAddress({ project: name, new: null }, { push });
    setOpenProject(name);
    emit('pl:project', { isOpened: true });
  }
  function created(name) { open(name); }
  function startNew() { setAddress({ new: 1 }, { push: true }); refresh(); }

  let asked = 0, heard = 0;
  /** Ask the server again and draw every part; an answer that a later one overtook is none. */
  async function refresh() {
    const turn = asked += 1;
    try {
      const facts = await api('/pl/api/shell');
      if (turn < heard) return;
      heard = turn;
      desk.facts = facts;
    } catch (error) { toastError(error); return; }
    setOpenProject(desk.facts.project?.name);
    const isNew = desk.facts.canMake && params().has('new');
    right.hidden = !desk.facts.project || isNew;
    await Promise.all(parts.map(part => part.refresh(desk.facts).catch(toastError)));
  }

  const intake = mountIntake(middle, desk);
  parts.push(mountProjects(projects, desk), mountRemoved(removed, desk), intake, mountLabels(labels, desk), mountExports(exports, desk));
  listen(root, 'pl:project', refresh);
  listen(root, 'popstate', () => emit('pl:project', { isOpened: true }));
  listen(root, 'pl:job', refresh);
  listen(root, 'pl:labels', () => parts[1].refresh(desk.facts).catch(toastError));
  // An import goes unasked only while its report is what one looks at.
  desk.undo = undoOn(root, { isMeant: deed => intake.shows(deed.op), then: answer => { if (answer.op) emit('pl:project'); } });
  listen(root, 'pl:undo', () => desk.undo());
  await refresh();
  markReady(root);
}
