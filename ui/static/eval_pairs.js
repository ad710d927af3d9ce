// Pairs of labels: what was said instead of what, and what goes together. Both as a matrix of the
// labels with most to say and as a table whose counts open their samples.
import { api, count, el, t } from './base.js';
import { axis, chart, plain, short } from './charts.js';

function part(node, desk, { name, words, columns, test }) {
  const what = el('p', { class: 'pl-dim pl-plain' }), picture = chart(words, { test: `chart-${name}`, onPoint: point => { if (point.customdata) location.assign(point.customdata); } });
  const body = el('tbody', {});
  const table = el('div', { class: 'pl-table-scroll' }, el('table', { class: 'pl-table pl-eval-table', 'data-testid': test },
    el('thead', {}, el('tr', {}, columns.map(([words_, what_, isNumber]) => el('th', { scope: 'col', class: isNumber ? 'num' : null, title: what_ || null }, words_)))), body));
  const tools = el('div', { class: 'pl-row end' });
  node.append(what, picture.node, table, tools);
  return {
    picture,
    fill(rows, sentence) {
      what.textContent = sentence;
      body.replaceChildren(...rows);
      table.hidden = !rows.length;
      tools.replaceChildren(desk.csv(name));
    },
  };
}

const scale = ui => [[0, ui.surface], [0.0001, ui.isDark ? '#23315a' : '#e3eafc'], [1, ui.accent]];

/** A matrix with names on both sides; `cells[row][column]` = {value, text, address}. */
function matrix(ui, rows, columns, cells, { y, x, format = 'd' }) {
  const at = k => cells.map(line => line.map(cell => cell?.[k] ?? null));
  return {
    height: Math.min(720, 28 * rows.length + 150),
    traces: [{
      type: 'heatmap', z: at('value'), text: at('text'), customdata: at('address'), hovertemplate: '%{text}<extra></extra>', colorscale: scale(ui), zmin: 0, xgap: 1, ygap: 1, showscale: false,
      texttemplate: rows.length <= 12 ? `%{z:${format}}` : '', hoverongaps: false,
    }],
    layout: {
      showlegend: false, margin: { l: 8, r: 12, t: 8, b: 8 },
      xaxis: axis(x, { tickvals: columns.map((_, k) => k), ticktext: columns.map(name => plain(short(name, 20))), tickangle: -45, showgrid: false }),
      yaxis: axis(y, { tickvals: rows.map((_, k) => k), ticktext: rows.map(name => plain(short(name, 18))), autorange: 'reversed', showgrid: false }),
    },
  };
}

export function mountInstead(node, desk) {
  const its = part(node, desk, {
    name: 'instead', words: t('eval.chart.instead'), test: 'eval-instead',
    columns: [[t('eval.instead.missed'), t('eval.instead.missed.what')], [t('eval.instead.said'), t('eval.instead.said.what')], [t('eval.samples'), '', true], [t('eval.instead.share'), t('eval.instead.share.what'), true]],
  });

  async function show() {
    const found = await api('/pl/api/evaluation/instead', { query: desk.query() });
    const { labels } = found;
    const both = (a, b) => [`label:${a.id}:yes`, `said:${a.id}:no`, ...desk.no(b.id), `said:${b.id}:yes`];
    const alone = a => [`label:${a.id}:yes`, `said:${a.id}:no`, 'alarms:no'], idle = b => [...desk.no(b.id), `said:${b.id}:yes`, 'misses:no'];
    const rows = found.rows.map(pair => el('tr', { 'data-testid': 'instead-row', 'data-missed': pair.missed.name, 'data-said': pair.said.name }, el('th', { scope: 'row' }, pair.missed.name), el('td', {}, pair.said.name),
      el('td', { class: 'num' }, desk.link(pair.count, both(pair.missed, pair.said))), el('td', { class: 'num' }, desk.from(pair.share, `${Math.round(100 * pair.share)} %`, [`label:${pair.missed.id}:yes`, `said:${pair.missed.id}:no`]))));
    const sentence = found.missed + found.alarms ? t('eval.instead.what', { missed: count(found.missed), alarms: count(found.alarms), pairs: count(found.total) }) : t('eval.instead.none');
    its.fill(rows, sentence);
    // With "no" taken for undecided, "alarms:no" knows only real NO, so nothing is linked there.
    const isLinked = desk.told().no.length === 1;
    const cell = (n, words, filters) => ({ value: n || null, text: words, address: n && filters ? desk.address(filters) : null });
    const cells = labels.map((a, i) => [
      ...labels.map((b, j) => (i === j ? null : cell(found.matrix[i][j], t('eval.hover.instead', { a: plain(a.name), b: plain(b.name), n: count(found.matrix[i][j]) }), both(a, b)))),
      cell(found.missed_alone[i], t('eval.hover.alone', { a: plain(a.name), n: count(found.missed_alone[i]) }), isLinked ? alone(a) : null),
    ]);
    cells.push([...labels.map((b, j) => cell(found.alarms_alone[j], t('eval.hover.idle', { b: plain(b.name), n: count(found.alarms_alone[j]) }), isLinked ? idle(b) : null)), null]);
    const names = labels.map(label => label.name);
    if (names.length) await its.picture.draw(ui => matrix(ui, [...names, t('eval.instead.idle')], [...names, t('eval.instead.alone')], cells, { y: t('eval.instead.missed'), x: t('eval.instead.said') }));
    else its.picture.clear();
  }
  return { node, show };
}

export function mountTogether(node, desk) {
  const its = part(node, desk, {
    name: 'together', words: t('eval.chart.together'), test: 'eval-together',
    columns: [[t('eval.together.one'), ''], [t('eval.together.other'), ''], [t('eval.together.count'), '', true], [t('eval.together.ofone'), t('eval.together.ofone.what'), true], [t('eval.together.ofother'), t('eval.together.ofother.what'), true], [t('eval.together.said'), t('eval.together.said.what'), true]],
  });

  async function show() {
    const found = await api('/pl/api/evaluation/together', { query: desk.query() });
    const { labels } = found, percent = share => `${Math.round(100 * share)} %`;
    const both = (a, b) => [`label:${a.id}:yes`, `label:${b.id}:yes`], decided = a => [`label:${a.id}:yes`, ...desk.no(a.id)];
    const said = (a, b) => [...decided(a), ...decided(b), `said:${a.id}:yes`, `said:${b.id}:yes`];
    its.fill(found.rows.map(pair => el('tr', { 'data-testid': 'together-row', 'data-one': pair.one.name, 'data-other': pair.other.name }, el('th', { scope: 'row' }, pair.one.name), el('td', {}, pair.other.name),
      el('td', { class: 'num' }, desk.link(pair.count, both(pair.one, pair.other))), el('td', { class: 'num' }, desk.from(pair.of_one, percent(pair.of_one), [`label:${pair.one.id}:yes`])), el('td', { class: 'num' }, desk.from(pair.of_other, percent(pair.of_other), [`label:${pair.other.id}:yes`])),
      el('td', { class: 'num' }, desk.link(pair.said, said(pair.one, pair.other))))), found.total ? t('eval.together.what', { pairs: count(found.total) }) : t('eval.together.none'));
    const cells = labels.map((a, i) => labels.map((b, j) => (i === j ? null : {
      value: found.matrix[i][j] / a.yes || null, address: found.matrix[i][j] ? desk.address(both(a, b)) : null,
      text: t('eval.hover.together', { a: plain(a.name), b: plain(b.name), n: count(found.matrix[i][j]), yes: count(a.yes), share: percent(found.matrix[i][j] / a.yes) }),
    })));
    const names = labels.map(label => label.name);
    if (names.length) await its.picture.draw(ui => matrix(ui, names, names, cells, { y: t('eval.together.given'), x: t('eval.together.also'), format: '.0%' })); else its.picture.clear();
  }
  return { node, show };
}
