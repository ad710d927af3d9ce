// Where map and label disagree: evidence off the object, one evidence for two labels, backgrounds
// that samples of a label share. Worked out by a job; each entry links to exactly that view.
import { ago, api, announceJobs, el, params, t, toastError } from './base.js';
import { ramp } from './ramps.js';

const KINDS = ['outside', 'same', 'background'], RUNS = ['queued', 'running'];

export function mountDoubts(root) {
  const button = el('button', { type: 'button', class: 'pl-button', 'data-testid': 'doubts-look', onclick: look }, t('doubts.look'));
  const told = el('p', { class: 'pl-dim pl-plain', role: 'status', 'data-testid': 'doubts-told' }, t('doubts.none'));
  const lists = el('div', { class: 'pl-doubts' });
  root.dataset.testid = 'doubts';
  root.id = 'doubts';
  root.replaceChildren(el('header', { class: 'pl-learn-head' }, el('h2', { class: 'pl-h2' }, t('doubts.title')), button), told, lists);
  let seen = '', asking = false, isGoneTo = location.hash !== '#doubts';

  async function look() {
    try { await api('/pl/api/doubts', { method: 'POST' }); announceJobs(); await ask(); } catch (error) { toastError(error); }
  }

  async function ask() {
    if (asking) return;
    asking = true;
    try { show(await api('/pl/api/doubts')); } catch (error) { told.textContent = error.message; } finally { asking = false; }
  }

  function show(state) {
    const isBusy = RUNS.includes(state.state);
    button.disabled = isBusy;
    root.dataset.state = isBusy ? 'busy' : state.when ? 'done' : 'none';
    told.textContent = isBusy ? t('doubts.busy') : state.error || (!state.when ? t('doubts.none') : state.rows.length ? t('doubts.when', { ago: ago(state.when) }) : t('doubts.clean'));
    const key = `${state.project} ${state.when}`;
    if (key !== seen) {
      seen = key;
      lists.replaceChildren(...KINDS.map(kind => [kind, state.rows.filter(row => row.kind === kind)]).filter(([, rows]) => rows.length)
        .map(([kind, rows]) => el('section', { 'aria-label': t(`doubts.${kind}`) }, el('h3', { class: 'pl-h3' }, `${t(`doubts.${kind}`)} (${rows.length})`), el('p', { class: 'pl-dim pl-small' }, t(`doubts.${kind}.hint`)),
          el('div', { class: 'pl-doubt-row' }, rows.map(row => entry(row, state.project))))));
    }
    if (!isGoneTo) { isGoneTo = true; root.scrollIntoView({ block: 'start' }); }
  }

  return { refresh: ask };
}

function entry(row, project) {
  const query = new URLSearchParams({ ...(params().get('project') ? { project } : {}), sample: row.sample, label: row.label, source: 'transport' });
  return el('a', { class: 'pl-doubt', href: `/?${query}`, 'data-testid': 'doubt', 'data-kind': row.kind, 'data-sample': row.name, 'data-label': row.label },
    row.thumb ? el('span', { class: 'shot' }, el('img', { src: row.thumb, alt: '', loading: 'lazy', draggable: 'false' }), overlay(row)) : el('span', { class: 'shot words' }, (row.text ?? '').slice(0, 160)),
    el('strong', {}, row.label), row.other ? el('span', { class: 'pl-dim' }, row.other) : null, el('span', { class: 'pl-small' }, row.reason));
}

/** The map as a canvas of one pixel a part, which is stretched over the whole thumbnail. */
function overlay(row) {
  if (!row.grid) return null;
  const [rows, columns] = row.grid, canvas = el('canvas', { width: columns, height: rows, 'aria-hidden': 'true' });
  const context = canvas.getContext('2d'), image = context.createImageData(columns, rows), table = ramp('viridis');
  row.map.forEach((step, at) => image.data.set(table.subarray(4 * step, 4 * step + 4), 4 * at));
  context.putImageData(image, 0, 0);
  return canvas;
}
