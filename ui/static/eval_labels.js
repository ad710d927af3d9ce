// Labels of the evaluation: a table in pieces, sorted and searched on the server, AP with intervals
// drawn beside it, and one label looked at closely.
import { api, confirmed, count, debounce, el, emit, newOp, params, setAddress, t, toast, toastError } from './base.js';
import { axis, between, chart, number, plain, short } from './charts.js';
import { mountLabel } from './eval_label.js';

const PIECE = 25;
const COLUMNS = ['name', 'yes', 'no', 'ap', 'precision', 'recall', 'f1', 'misses', 'alarms', 'threshold', 'ece'];

export function mountLabels(node, desk) {
  const shown = { sort: 'yes', isRising: false, find: '', offset: 0 };
  const find = el('input', { type: 'search', class: 'pl-input', placeholder: t('eval.find'), 'aria-label': t('eval.find'), autocomplete: 'off', 'data-testid': 'eval-find' });
  find.addEventListener('input', debounce(() => { Object.assign(shown, { find: find.value, offset: 0 }); again(); }, 200));
  const best = el('button', { type: 'button', class: 'pl-button small', 'data-testid': 'best-all', onclick: keepBest, title: t('eval.best.what') }, t('eval.best'));
  const tools = el('div', { class: 'pl-eval-tools' }, find, el('div', { class: 'pl-row' }, best));
  const picture = chart(t('eval.chart.ap'), { onPoint: point => look(point.customdata), test: 'chart-ap' });
  const head = el('tr', {}, COLUMNS.map(name => el('th', { scope: 'col', class: name === 'name' ? null : 'num' },
    el('button', { type: 'button', class: 'pl-sort', 'data-sort': name, title: t(`eval.col.${name}.what`), onclick: () => sortBy(name) }, t(`eval.col.${name}`)))));
  const body = el('tbody', {});
  const table = el('div', { class: 'pl-table-scroll' }, el('table', { class: 'pl-table pl-eval-table', 'data-testid': 'eval-labels' }, el('thead', {}, head), body));
  const pages = el('div', { class: 'pl-row pl-eval-pages' });
  const detail = el('section', { class: 'pl-eval-label', hidden: true });
  node.append(tools, picture.node, table, pages, detail);
  const one = mountLabel(detail, desk, { onClose: () => look(null), onKept: () => desk.reload() });
  let label = Number(params().get('label')) || null, turn = 0, isHere = false;

  const again = () => show().catch(error => { if (error.name !== 'AbortError') toastError(error); });

  async function show() {
    const mine = turn += 1;
    const answer = await api('/pl/api/evaluation/labels', { query: { ...desk.query(), sort: shown.sort, is_rising: shown.isRising, find: shown.find, offset: shown.offset, limit: PIECE } });
    if (mine !== turn) return;
    tools.querySelector('[data-testid=csv-labels]')?.remove();
    tools.lastChild.append(desk.csv('labels'));
    best.hidden = desk.told().read_only;
    for (const button of head.querySelectorAll('button')) {
      const isOn = button.dataset.sort === shown.sort;
      button.parentNode.setAttribute('aria-sort', isOn ? (shown.isRising ? 'ascending' : 'descending') : 'none');
    }
    body.replaceChildren(...answer.rows.map(row));
    if (!answer.rows.length) body.append(el('tr', {}, el('td', { colspan: COLUMNS.length, class: 'pl-dim' }, t('eval.find.none'))));
    drawPages(answer.total);
    await draw(answer.rows);
    if (label !== null) {
      const wasHere = isHere;
      isHere = true;
      await look(label, { keepPlace: wasHere });
    }
  }

  function row(entry) {
    const { id } = entry, of = what => [desk.judged(id, what)];
    const cell = (...parts) => el('td', { class: 'num' }, parts), figure = (value, what) => desk.from(value, number(value), of(what));
    return el('tr', { 'data-testid': 'eval-label', 'data-label': entry.name, 'data-id': id, class: id === label ? 'on' : null },
      el('th', { scope: 'row' }, el('button', { type: 'button', class: 'pl-link-button', onclick: () => look(id) }, entry.name)),
      cell(desk.link(entry.yes, of('yes'))), cell(desk.link(entry.no, of('no'))),
      cell(figure(entry.ap, 'decided'), entry.interval ? el('span', { class: 'pl-dim pl-small' }, ` ${between(entry.interval)}`) : null),
      cell(figure(entry.precision, 'said')), cell(figure(entry.recall, 'yes')), cell(figure(entry.f1, 'decided')),
      cell(desk.link(entry.misses, of('missed'), t('eval.open.misses'))), cell(desk.link(entry.alarms, of('alarm'), t('eval.open.alarms'))),
      cell(el('span', { class: entry.is_chosen ? 'pl-eval-chosen' : 'pl-dim', title: t(entry.is_chosen ? 'eval.threshold.chosen' : 'eval.threshold.half') }, desk.from(entry.threshold, entry.threshold.toFixed(2), of('said')))),
      cell(figure(entry.ece, 'stated:1:0')));
  }

  function drawPages(total) {
    const step = (words, by, test) => el('button', { type: 'button', class: 'pl-button small', 'data-testid': test, disabled: shown.offset + by < 0 || shown.offset + by >= total, onclick: () => { shown.offset = Math.max(0, shown.offset + by); again(); } }, words);
    pages.hidden = total <= PIECE;
    pages.replaceChildren(step(t('eval.before'), -PIECE, 'eval-before'), el('span', { class: 'pl-dim pl-num', 'data-testid': 'eval-place' }, t('eval.place', { from: count(shown.offset + 1), to: count(Math.min(total, shown.offset + PIECE)), total: count(total) })), step(t('eval.after'), PIECE, 'eval-after'));
  }

  function draw(rows) {
    const known = rows.filter(entry => entry.ap !== null).reverse();
    if (!known.length) { picture.clear(); return null; }
    return picture.draw(ui => ({
      height: Math.max(120, 20 * known.length + 56),
      traces: [{
        type: 'scatter', mode: 'markers', x: known.map(entry => entry.ap), y: known.map((_, k) => k), customdata: known.map(entry => entry.id),
        text: known.map(entry => `${plain(entry.name)}<br>${entry.yes} + ${entry.no}`), hovertemplate: '%{text}<br>AP %{x:.3f}<extra></extra>',
        marker: { color: ui.accent, size: 8 },
        error_x: { type: 'data', symmetric: false, array: known.map(entry => (entry.interval ? entry.interval[1] - entry.ap : 0)), arrayminus: known.map(entry => (entry.interval ? entry.ap - entry.interval[0] : 0)), color: ui.dim, thickness: 1.5, width: 3 },
      }],
      layout: {
        showlegend: false, xaxis: axis('AP', { range: [0, 1.02], tickformat: '.1f' }), margin: { l: 8, r: 12, t: 8, b: 40 },
        yaxis: axis('', { tickvals: known.map((_, k) => k), ticktext: known.map(entry => plain(short(entry.name))), range: [-0.7, known.length - 0.3] }),
      },
    }));
  }

  function sortBy(name) {
    if (shown.sort === name) shown.isRising = !shown.isRising;
    else Object.assign(shown, { sort: name, isRising: name === 'name' });
    shown.offset = 0;
    again();
  }

  /** Look at one label closely, or at none. */
  async function look(id, { keepPlace = false } = {}) {
    label = id;
    setAddress({ label: id });
    for (const line of body.children) line.classList.toggle('on', line.dataset.id === String(id));
    detail.hidden = id === null;
    if (id === null) return;
    try {
      await one.show(id);
      if (!keepPlace) detail.scrollIntoView({ block: 'nearest' });
    } catch (error) {
      if (error.status === 404) { label = null; detail.hidden = true; setAddress({ label: null }); } else toastError(error);
    }
  }

  async function keepBest() {
    if (!await confirmed({ title: t('eval.best.title'), text: t('eval.best.text'), yes: t('eval.best.yes') })) return;
    try {
      const { split, unknown, filters } = desk.asked;
      const done = await api('/pl/api/evaluation/best', { json: { split, unknown, filters, op: newOp() } });
      toast(t('eval.best.done', { n: count(done.changed) }), { action: { text: t('undo'), run: () => emit('pl:undo', { op: done.op }) }, seconds: 12 });
      desk.reload();
    } catch (error) { toastError(error); }
  }

  return { node, show };
}
