// Are probabilities what they say: stated against observed share of YES, with intervals, as shown to
// people and as fitted without the sample.
import { api, count, el, sentence, t } from './base.js';
import { axis, between, chart, number } from './charts.js';

export function mountCalibration(node, desk) {
  const what = el('p', { class: 'pl-dim pl-plain', 'data-testid': 'calibration-what' });
  const picture = chart(t('eval.chart.reliability'), { test: 'chart-reliability', onPoint: openBin });
  const body = el('tbody', {});
  const columns = ['from', 'pairs', 'stated', 'observed', 'between'];
  const table = el('div', { class: 'pl-table-scroll' }, el('table', { class: 'pl-table pl-eval-table', 'data-testid': 'eval-bins' },
    el('thead', {}, el('tr', {}, columns.map((name, k) => el('th', { scope: 'col', class: k ? 'num' : null }, t(`eval.bin.${name}`))))), body));
  const tools = el('div', { class: 'pl-row end' });
  node.append(what, picture.node, table, tools);

  async function show() {
    const { shown, cross, why } = await api('/pl/api/evaluation/calibration', { query: desk.query() });
    const told = (key, found, word) => sentence(key, Object.fromEntries(['ece', 'brier'].map(name => [name, desk.from(found[name], number(found[name]), [desk.judged('any', `${word}:1:0`)])])));
    const words = shown.counts.length ? told('eval.calibration.shown', shown, 'stated') : [t('eval.calibration.none')];
    if (cross) words.push(' ', ...told('eval.calibration.cross', cross, 'crossed'));
    else if (shown.counts.length) words.push(' ', t(`eval.calibration.${why}`));
    what.replaceChildren(...words);
    body.replaceChildren(...shown.counts.map((n, k) => {
      const [low, high] = shown.edges[k], address = binAddress(desk, 'any', 'stated', shown.edges[k]), open = text => desk.open(text, address, t('eval.open.bin'));
      return el('tr', { 'data-testid': 'eval-bin' }, el('th', { scope: 'row' }, open(`${low.toFixed(2)} – ${high.toFixed(2)}`)),
        ...[count(n), number(shown.stated[k]), number(shown.observed[k]), between([shown.low[k], shown.high[k]])].map(text => el('td', { class: 'num' }, open(text))));
    }));
    table.hidden = !shown.counts.length;
    tools.replaceChildren(desk.csv('calibration'));
    if (shown.counts.length) await picture.draw(ui => reliabilityFigure(ui, shown, cross, (word, edges) => binAddress(desk, 'any', word, edges))); else picture.clear();
  }
  return { node, show };
}

/** Where the samples with a pair in a bin are; `word` stated or crossed. */
export function binAddress(desk, scope, word, [low, high]) {
  const bins = Math.round(1 / (high - low));
  return desk.address([desk.judged(scope, `${word}:${bins}:${Math.round(low * bins)}`)]);
}
export const openBin = point => { if (point.customdata) location.assign(point.customdata[1]); };

/** Stated against observed as a figure; `cross` beside it where there is one; `address(word, edges)` of a bin. */
export function reliabilityFigure(ui, shown, cross, address) {
  const most = Math.max(...shown.counts, ...(cross?.counts ?? [1]));
  const points = (found, name, colour, symbol, word) => ({
    type: 'scatter', mode: 'lines+markers', name, x: found.stated, y: found.observed, line: { color: colour, width: 1.5 },
    marker: { color: colour, symbol, size: found.counts.map(n => 5 + 10 * Math.sqrt(n / most)) }, customdata: found.counts.map((n, k) => [n, address(word, found.edges[k])]),
    error_y: { type: 'data', symmetric: false, array: found.high.map((high, k) => high - found.observed[k]), arrayminus: found.low.map((low, k) => found.observed[k] - low), color: colour, thickness: 1, width: 3 },
    hovertemplate: t('eval.hover.bin'),
  });
  const lines = [{ type: 'scatter', mode: 'lines', name: t('eval.calibration.perfect'), x: [0, 1], y: [0, 1], line: { color: ui.dim, width: 1, dash: 'dash' }, hoverinfo: 'skip' },
    points(shown, t('eval.calibration.as.shown'), cross ? ui.unknown : ui.accent, 'circle', 'stated')];
  if (cross?.counts.length) lines.push(points(cross, t('eval.calibration.as.cross'), ui.accent, 'diamond', 'crossed'));
  return { height: cross ? 320 : 260, traces: lines, layout: { showlegend: Boolean(cross), xaxis: axis(t('eval.stated'), { range: [0, 1.02] }), yaxis: axis(t('eval.observed'), { range: [0, 1.02] }) } };
}
