// Pairs of labels: what was said instead of what, and what goes together. Both as a matrix of the
// labels with most to say and as a table whose counts open their samples.
import { api, count, el, sentence, t } from './base.js';
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
    fill(rows, ...words) {
      what.replaceChildren(...words);
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
    const missed = a => [desk.judged(a.id, 'missed')], alarm = b => [desk.judged(b.id, 'alarm')], both = (a, b) => [...missed(a), ...alarm(b)];
    const rows = found.rows.map(pair => el('tr', { 'data-testid': 'instead-row', 'data-missed': pair.missed.name, 'data-said': pair.said.name }, el('th', { scope: 'row' }, desk.from(pair, pair.missed.name, missed(pair.missed))), el('td', {}, desk.from(pair, pair.said.name, alarm(pair.said))),
      el('td', { class: 'num' }, desk.link(pair.count, both(pair.missed, pair.said))), el('td', { class: 'num' }, desk.from(pair.share, `${Math.round(100 * pair.share)} %`, missed(pair.missed)))));
    const misses = desk.judged('any', 'missed'), alarms = desk.judged('any', 'alarm');
    const fact = (n, ...filters) => (n ? desk.from(n, count(n), filters) : '0');
    const facts = () => sentence('eval.instead.what', { missed: fact(found.missed, misses), alarms: fact(found.alarms, alarms), pairs: fact(found.total, misses, alarms) });
    its.fill(rows, ...(found.missed + found.alarms ? facts() : [t('eval.instead.none')]));
    const cell = (n, words, filters) => ({ value: n || null, text: words, address: n ? desk.address(filters) : null });
    const cells = labels.map((a, i) => [
      ...labels.map((b, j) => (i === j ? null : cell(found.matrix[i][j], t('eval.hover.instead', { a: plain(a.name), b: plain(b.name), n: count(found.matrix[i][j]) }), both(a, b)))),
      cell(found.missed_alone[i], t('eval.hover.alone', { a: plain(a.name), n: count(found.missed_alone[i]) }), [desk.judged(a.id, 'alone')]),
    ]);
    cells.push([...labels.map((b, j) => cell(found.alarms_alone[j], t('eval.hover.idle', { b: plain(b.name), n: count(found.alarms_alone[j]) }), [desk.judged(b.id, 'idle')])), null]);
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
    const shows = a => [desk.judged(a.id, 'yes')], both = (a, b) => [...shows(a), ...shows(b)], said = (a, b) => [desk.judged(a.id, 'said'), desk.judged(b.id, 'said')];
    its.fill(found.rows.map(pair => el('tr', { 'data-testid': 'together-row', 'data-one': pair.one.name, 'data-other': pair.other.name }, el('th', { scope: 'row' }, desk.from(pair, pair.one.name, shows(pair.one))), el('td', {}, desk.from(pair, pair.other.name, shows(pair.other))),
      el('td', { class: 'num' }, desk.link(pair.count, both(pair.one, pair.other))), el('td', { class: 'num' }, desk.from(pair.of_one, percent(pair.of_one), shows(pair.one))), el('td', { class: 'num' }, desk.from(pair.of_other, percent(pair.of_other), shows(pair.other))),
      el('td', { class: 'num' }, desk.link(pair.said, said(pair.one, pair.other))))),
    // how many pairs of labels there are is no number of samples: the rows open theirs
    found.total ? t('eval.together.what', { pairs: count(found.total) }) : t('eval.together.none'));
    const cells = labels.map((a, i) => labels.map((b, j) => (i === j ? null : {
      value: found.matrix[i][j] / a.yes || null, address: found.matrix[i][j] ? desk.address(both(a, b)) : null,
      text: t('eval.hover.together', { a: plain(a.name), b: plain(b.name), n: count(found.matrix[i][j]), yes: count(a.yes), share: percent(found.matrix[i][j] / a.yes) }),
    })));
    const names = labels.map(label => label.name);
    if (names.length) await its.picture.draw(ui => matrix(ui, names, names, cells, { y: t('eval.together.given'), x: t('eval.together.also'), format: '.0%' })); else its.picture.clear();
  }
  return { node, show };
}
