// Is what is called certain true, and what does it buy: claimed against realised coverage over time,
// how many labels are left to people, and errors over the share that is answered by itself.
import { api, count, el, sentence, t, url } from './base.js';
import { axis, chart } from './charts.js';
import { filterAddress } from './filter_words.js';

const LEVELS = [0.8, 0.85, 0.9, 0.95, 0.99];
const percents = share => `${(100 * share).toFixed(share > 0.985 || share < 0.015 ? 1 : 0)} %`;
const day = seconds => new Date(seconds * 1000).toLocaleString([], { dateStyle: 'short', timeStyle: 'short' });

export function mountCertainty(node, desk) {
  let level = 0.9;
  const select = el('select', { class: 'pl-input', 'data-testid': 'certainty-level', onchange: () => { level = Number(select.value); show(); } }, LEVELS.map(value => el('option', { value, selected: value === level }, percents(value))));
  const told = el('p', { class: 'pl-dim pl-plain', 'data-testid': 'certainty-told' }), why = el('p', { class: 'pl-note', hidden: true, 'data-testid': 'certainty-why' });
  const onPoint = point => { if (point.customdata) location.assign(point.customdata); };
  const [cover, sizes, abstain] = ['coverage', 'sizes', 'abstain'].map(name => chart(t(`eval.chart.${name}`), { test: `chart-${name}`, onPoint }));
  const figure = (words, drawn) => el('figure', { class: 'pl-eval-figure' }, el('figcaption', { class: 'pl-small pl-dim' }, words), drawn.node);
  const grid = (test, columns) => {
    const body = el('tbody', {});
    return { body, node: el('div', { class: 'pl-table-scroll' }, el('table', { class: 'pl-table pl-eval-table', 'data-testid': test },
      el('thead', {}, el('tr', {}, columns.map((name, k) => el('th', { scope: 'col', class: k ? 'num' : null, title: t(`eval.certain.${name}.what`) }, t(`eval.certain.${name}`))))), body)) };
  };
  const realised = grid('coverage-table', ['claimed', 'samples', 'realised', 'between', 'when']), levels = grid('abstention-table', ['level', 'answered', 'wrong', 'complete', 'left']);
  const tools = el('div', { class: 'pl-row end' });
  const none = el('p', { class: 'pl-dim pl-plain', hidden: true, 'data-testid': 'coverage-none' }, t('eval.certain.none'));
  node.append(el('label', { class: 'pl-eval-choice' }, el('span', { class: 'pl-dim pl-small' }, t('eval.certain.level')), select), why, told,
    el('div', { class: 'pl-eval-figures' }, figure(t('eval.chart.coverage'), cover), figure(t('eval.chart.sizes'), sizes), figure(t('eval.chart.abstain'), abstain)), none, realised.node, levels.node, tools);
  let turn = 0;

  async function show() {
    const mine = turn += 1;
    const found = await api('/pl/api/evaluation/certainty', { query: { ...desk.query(), level } });
    if (mine !== turn) return;
    why.hidden = !found.why;
    why.textContent = found.why ? `${found.why[0].toUpperCase()}${found.why.slice(1)}.` : '';
    const { widths, abstention } = found;
    // Both are of the whole project, whatever is compared above; where the mean is 0 nothing is left to open.
    const drawer = desk.open(count(found.counted), url('/explore', filterAddress(['drawer:counted'])), t('eval.open.drawer'));
    const mean = widths.mean ? desk.open(widths.mean.toFixed(1), url('/explore', filterAddress([`width:${level}:1+`])), t('eval.open.width')) : widths.mean === null ? '–' : '0';
    told.replaceChildren(...(found.why ? [] : [...sentence('eval.certain.told', { level: percents(level), counted: drawer, mean }), ' ', t('eval.certain.what'), found.is_stale ? ` ${t('eval.certain.stale')}` : '']));
    const points = found.coverage.filter(point => point.level === level);
    none.hidden = points.length > 0;
    realised.node.hidden = !found.coverage.length;
    realised.body.replaceChildren(...found.coverage.map(point => el('tr', { 'data-testid': 'coverage-row', 'data-level': point.level, 'data-realised': point.realised }, el('th', { scope: 'row' }, percents(point.level)), cell(claimed(point, count(point.n), 'kept', 'broken')), cell(claimed(point, percents(point.realised), 'kept')), cell(claimed(point, `${percents(point.low)} – ${percents(point.high)}`, 'broken')), cell(claimed(point, [...new Set([day(point.first), day(point.last)])].join(' – '), 'kept', 'broken')))));
    levels.node.hidden = !abstention.points.length;
    levels.body.replaceChildren(...abstention.points.map(point => el('tr', { 'data-testid': 'abstention-row', 'data-level': point.level }, el('th', { scope: 'row' }, percents(point.level)), cell(certain(point, `${percents(point.answered)} (${count(point.num_answered)})`, 'answered', point.num_answered)),
      cell(point.wrong === null ? '–' : certain(point, `${percents(point.wrong)} (${count(point.num_wrong)})`, 'wrong', point.num_wrong)), cell(certain(point, percents(point.complete), 'complete', point.complete)), cell(certain(point, point.undecided.toFixed(1), 'left', point.undecided)))));
    tools.replaceChildren(...(found.coverage.length ? [desk.csv('coverage')] : []), ...(abstention.points.length ? [desk.csv('abstention')] : []));
    await Promise.all([drawCover(points), found.why ? sizes.clear() : drawSizes(widths), abstention.points.length ? drawAbstain(abstention) : abstain.clear()]);
  }
  const cell = text => el('td', { class: 'num' }, text);
  // Claims are of all samples that were decided since, whatever is compared above. A level is what was asked for, so it has no samples.
  const claims = (point, ...words) => url('/explore', filterAddress(words.map(word => `claim:${point.level}:${word}:${point.first}:${point.last}`)));
  const claimed = (point, text, ...words) => desk.open(text, claims(point, ...words), t(`eval.open.claim.${words.length > 1 ? 'all' : words[0]}`));
  const address = (point, word) => desk.address([desk.judged('any', `${word === 'wrong' ? 'mistaken' : word}:${point.level}`)]);
  const certain = (point, text, word, n) => (n ? desk.open(text, address(point, word), t(`eval.open.certain.${word}`)) : text);

  function drawCover(points) {
    if (!points.length) { cover.clear(); return null; }
    const x = points.map((_, k) => k + 1);
    return cover.draw(ui => ({
      height: 260,
      traces: [
        { type: 'scatter', mode: 'markers', x, y: points.map(point => point.realised), text: points.map(point => `${count(point.n)}, ${day(point.last)}`), customdata: points.map(point => claims(point, 'kept', 'broken')), marker: { color: ui.accent, size: 8 }, hovertemplate: t('eval.hover.coverage'),
          error_y: { type: 'data', symmetric: false, array: points.map(point => point.high - point.realised), arrayminus: points.map(point => point.realised - point.low), color: ui.dim, thickness: 1.5, width: 4 } },
        { type: 'scatter', mode: 'lines', x: [0.5, points.length + 0.5], y: [level, level], line: { color: ui.text, width: 1.5, dash: 'dash' }, hoverinfo: 'skip' },
      ],
      layout: { showlegend: false, xaxis: axis(t('eval.certain.groups'), { range: [0.5, points.length + 0.5], dtick: 1 }), yaxis: axis(t('eval.certain.realised'), { range: [Math.max(0, Math.min(...points.map(point => point.low), level) - 0.05), 1.02], tickformat: '.0%' }) },
    }));
  }

  const drawSizes = widths => sizes.draw(ui => ({
    height: 260, traces: [{ type: 'bar', x: widths.undecided, y: widths.samples, customdata: widths.undecided.map(n => url('/explore', filterAddress([`width:${level}:${n}`]))), marker: { color: ui.accent }, hovertemplate: t('eval.hover.sizes') }],
    layout: { showlegend: false, bargap: 0.1, xaxis: axis(t('eval.certain.left'), { rangemode: 'tozero' }), yaxis: axis(t('eval.samples')) },
  }));

  const drawAbstain = found => abstain.draw(ui => {
    const known = found.points.filter(point => point.wrong !== null);
    return {
      height: 260,
      traces: [
        // what probabilities alone would do is a what-if over every share, and nobody's samples
        { type: 'scatter', mode: 'lines', name: t('eval.certain.plain'), x: found.share, y: found.wrong, line: { color: ui.unknown, width: 1.5, dash: 'dash' }, hovertemplate: '%{x:.0%}: %{y:.1%}<extra>%{fullData.name}</extra>' },
        { type: 'scatter', mode: 'markers', name: t('eval.certain.sets'), x: known.map(point => point.answered), y: known.map(point => point.wrong), text: known.map(point => percents(point.level)), customdata: known.map(point => address(point, point.num_wrong ? 'wrong' : 'answered')), marker: { color: known.map(point => (point.level === level ? ui.text : ui.accent)), size: known.map(point => (point.level === level ? 11 : 8)), symbol: known.map(point => (point.level === level ? 'diamond' : 'circle')) },
          error_y: { type: 'data', symmetric: false, array: known.map(point => point.high - point.wrong), arrayminus: known.map(point => point.wrong - point.low), color: ui.dim, thickness: 1, width: 3 }, hovertemplate: '%{text}: %{x:.0%}, %{y:.1%}<extra>%{fullData.name}</extra>' },
      ],
      layout: { xaxis: axis(t('eval.certain.answered'), { range: [0, 1.05], tickformat: '.0%' }), yaxis: axis(t('eval.certain.wrong'), { rangemode: 'tozero', tickformat: '.0%' }) },
    };
  });

  return { node, show };
}
