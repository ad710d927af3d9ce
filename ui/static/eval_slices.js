// Quality on groups of the samples: by label, by source, by whatever the import said of them.
import { api, count, el, params, setAddress, t } from './base.js';
import { axis, between, chart, number, plain, short } from './charts.js';

export function mountSlices(node, desk) {
  const by = el('select', { class: 'pl-input', 'data-testid': 'slice-by', 'aria-label': t('eval.slices.by'), onchange: () => { setAddress({ by: by.value === 'label' ? '' : by.value }); show(); } });
  const none = el('p', { class: 'pl-dim pl-plain', hidden: true }, t('eval.slices.none'));
  const picture = chart(t('eval.chart.slices'), { test: 'chart-slices', onPoint: point => location.assign(point.customdata) });
  const columns = ['name', 'samples', 'mAP', 'CF1', 'OF1', 'ece', 'only'];
  const body = el('tbody', {});
  const table = el('div', { class: 'pl-table-scroll' }, el('table', { class: 'pl-table pl-eval-table', 'data-testid': 'eval-slices' },
    el('thead', {}, el('tr', {}, columns.map((name, k) => el('th', { scope: 'col', class: k && name !== 'only' ? 'num' : null }, name === 'only' ? el('span', { class: 'pl-hidden' }, t('eval.slices.only')) : t(`eval.slice.${name}`))))), body));
  const tools = el('div', { class: 'pl-row end' });
  node.append(el('label', { class: 'pl-eval-choice' }, el('span', { class: 'pl-dim pl-small' }, t('eval.slices.by')), by), none, picture.node, table, tools);
  let turn = 0;

  async function show() {
    const keys = desk.told().slice_keys.map(key => key.key), wanted = by.value || params().get('by');
    by.replaceChildren(...keys.map(key => el('option', { value: key }, key.startsWith('meta:') ? key.slice(5) : t(`eval.slices.${key}`))));
    by.value = keys.includes(wanted) ? wanted : keys[0];
    const mine = turn += 1;
    const { rows } = await api('/pl/api/evaluation/slices', { query: { ...desk.query(), by: by.value } });
    if (mine !== turn) return;
    none.hidden = rows.length > 0;
    table.hidden = !rows.length;
    body.replaceChildren(...rows.map(row));
    tools.replaceChildren(desk.csv('slices', { by: by.value }));
    await draw(rows);
  }

  function row(one) {
    const cell = (...parts) => el('td', { class: 'num' }, parts), of = (scope, what) => [one.filter, desk.judged(scope, what)], figure = (value, ...pairs) => desk.from(value, number(value), of(...pairs));
    return el('tr', { 'data-testid': 'slice-row', 'data-slice': one.name, 'data-filter': one.filter }, el('th', { scope: 'row' }, desk.from(one, one.name || t('explore.facet.top'), of('any', 'decided'))), cell(desk.link(one.n, of('any', 'decided'))),
      cell(figure(one.mAP, 'ranked', 'decided'), one.interval ? el('span', { class: 'pl-dim pl-small' }, ` ${between(one.interval)}`) : null), cell(figure(one.CF1, 'shown', 'decided')), cell(figure(one.OF1, 'any', 'decided')), cell(figure(one.ece, 'any', 'stated:1:0')),
      el('td', {}, el('button', { type: 'button', class: 'pl-button small', 'data-testid': 'slice-only', onclick: () => desk.only(one.filter) }, t('eval.slices.only'))));
  }

  function draw(rows) {
    const known = rows.filter(one => one.mAP !== null).slice(0, 30).reverse(), whole = desk.told().told.mAP;
    if (!known.length) { picture.clear(); return null; }
    return picture.draw(ui => ({
      height: Math.max(120, 20 * known.length + 56),
      traces: [{
        type: 'scatter', mode: 'markers', x: known.map(one => one.mAP), y: known.map((_, k) => k), customdata: known.map(one => desk.address([one.filter, desk.judged('ranked', 'decided')])), text: known.map(one => `${plain(one.name)}<br>${count(one.n)}`), hovertemplate: '%{text}<br>mAP %{x:.3f}<extra></extra>',
        marker: { color: ui.accent, size: 8 },
        error_x: { type: 'data', symmetric: false, array: known.map(one => (one.interval ? one.interval[1] - one.mAP : 0)), arrayminus: known.map(one => (one.interval ? one.mAP - one.interval[0] : 0)), color: ui.dim, thickness: 1.5, width: 3 },
      }],
      layout: {
        showlegend: false, margin: { l: 8, r: 12, t: 8, b: 40 }, xaxis: axis('mAP', { range: [0, 1.02], tickformat: '.1f' }),
        yaxis: axis('', { tickvals: known.map((_, k) => k), ticktext: known.map(one => plain(short(one.name || t('explore.facet.top')))), range: [-0.7, known.length - 0.3] }),
        shapes: whole === null ? [] : [{ type: 'line', x0: whole, x1: whole, y0: 0, y1: 1, yref: 'paper', line: { color: ui.text, width: 1, dash: 'dot' } }],
      },
    }));
  }
  return { node, show };
}
