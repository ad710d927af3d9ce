// One label of the evaluation: precision and recall over every threshold, a threshold to choose and
// keep, where the probabilities of YES and NO lie, and whether they are what they say.
import { api, count, el, emit, newOp, sentence, t, toast, toastError } from './base.js';
import { axis, between, chart, number } from './charts.js';
import { binAddress, openBin, reliabilityFigure } from './eval_calibration.js';

export function mountLabel(root, desk, { onClose, onKept }) {
  const title = el('h3', { class: 'pl-h2', tabindex: '-1' }), facts = el('p', { class: 'pl-dim pl-plain' });
  const close = el('button', { type: 'button', class: 'pl-button small', onclick: onClose }, t('eval.label.close'));
  const slider = el('input', { type: 'range', min: '0', max: '1', step: '0.01', 'data-testid': 'threshold-slider', 'aria-label': t('eval.threshold'), oninput: () => move(Number(slider.value)) });
  const field = el('input', { type: 'number', min: '0', max: '1', step: '0.01', class: 'pl-input', 'data-testid': 'threshold-field', 'aria-label': t('eval.threshold'), onchange: () => move(Number(field.value)) });
  const told = el('p', { class: 'pl-plain pl-num', role: 'status', 'data-testid': 'threshold-told' });
  const wishes = el('div', { class: 'pl-row' });
  const keep = el('button', { type: 'button', class: 'pl-button primary small', 'data-testid': 'threshold-keep', onclick: () => save(now) }, t('eval.threshold.keep'));
  const half = el('button', { type: 'button', class: 'pl-button small', 'data-testid': 'threshold-half', onclick: () => save(null) }, t('eval.threshold.back'));
  const saving = el('div', { class: 'pl-row' }, keep, half);
  const over = chart(t('eval.chart.threshold'), { onPoint: point => move(point.x), test: 'chart-threshold' });
  const trade = chart(t('eval.chart.pr'), { onPoint: point => { if (Number.isFinite(point.customdata)) move(point.customdata); }, test: 'chart-pr' });
  const spread = chart(t('eval.chart.spread'), { test: 'chart-spread', onPoint: point => location.assign(point.customdata) });
  const sure = chart(t('eval.chart.reliability'), { test: 'chart-label-reliability', onPoint: openBin });
  const links = el('div', { class: 'pl-row' });
  const figure = (words, drawn) => el('figure', { class: 'pl-eval-figure' }, el('figcaption', { class: 'pl-small pl-dim' }, words), drawn.node);
  root.replaceChildren(el('header', { class: 'pl-learn-head' }, title, el('div', { class: 'pl-row' }, links, close)), facts,
    el('div', { class: 'pl-eval-slider' }, el('span', { class: 'pl-small' }, t('eval.threshold')), slider, field, saving), wishes, told,
    el('div', { class: 'pl-eval-figures' }, figure(t('eval.chart.threshold'), over), figure(t('eval.chart.pr'), trade), figure(t('eval.chart.spread'), spread), figure(t('eval.chart.reliability'), sure)));
  let state = null, now = 0.5, turn = 0;

  async function show(id) {
    const mine = turn += 1;
    const answer = await api('/pl/api/evaluation/label', { query: { ...desk.query(), id } });
    if (mine !== turn) return;
    const isOther = state?.score.id !== id || state.score.threshold !== answer.score.threshold;
    state = answer;
    const { score } = answer;
    root.dataset.label = score.name;
    title.textContent = score.name;
    facts.replaceChildren(...sentence('eval.label.facts', { yes: desk.link(score.yes, of('yes')), no: desk.link(score.no, of('no')), ap: desk.from(score.ap, number(score.ap), of('decided')), between: score.interval ? ` (${between(score.interval)})` : '' }));
    links.replaceChildren(desk.csv('threshold', { id }));
    saving.hidden = desk.told().read_only;
    half.hidden = !score.is_chosen;
    wishes.replaceChildren(...Object.entries(answer.wishes).filter(([, value]) => value !== null).map(([name, value]) => el('button', { type: 'button', class: 'pl-button small', 'data-testid': `wish-${name}`, onclick: () => move(value) }, t(`eval.wish.${name}`, { value: value.toFixed(2) }))));
    const isTelling = answer.thresholds.length > 0;
    if (isOther) now = score.threshold;
    move(now, { isDrawn: false });
    if (!isTelling) for (const each of [over, trade, spread, sure]) each.clear();
    else await Promise.all([drawOver(), trade.draw(ui => tradeFigure(ui)), spread.draw(ui => spreadFigure(ui)), answer.reliability ? sure.draw(ui => reliabilityFigure(ui, answer.reliability, null, (word, edges) => binAddress(desk, id, word, edges))) : sure.clear()]);
  }

  const of = what => [desk.judged(state.score.id, what)];

  /** Counts at a threshold: those of the lowest score that is still as high. */
  function at(threshold) {
    let k = -1;
    while (k + 1 < state.thresholds.length && state.thresholds[k + 1] >= threshold) k += 1;
    const hits = k < 0 ? 0 : state.hits[k], said = k < 0 ? 0 : state.predicted[k];
    return { hits, said, from: k < 0 ? 1 : state.thresholds[k], precision: said ? hits / said : null, recall: state.yes ? hits / state.yes : null, f1: said + state.yes ? 2 * hits / (said + state.yes) : null };
  }

  function move(threshold, { isDrawn = true } = {}) {
    if (!Number.isFinite(threshold)) return;
    now = Math.min(1, Math.max(0, threshold));
    slider.value = now;
    field.value = now.toFixed(2);
    const found = at(now);
    const figure = (value, what) => desk.from(value, number(value), of(what));
    told.replaceChildren(...sentence('eval.threshold.told', {
      at: now.toFixed(2), precision: figure(found.precision, `said:${found.from}`), recall: figure(found.recall, 'yes'), f1: figure(found.f1, 'decided'),
      hits: desk.link(found.hits, of(`hit:${found.from}`)), yes: desk.link(state.yes, of('yes')), alarms: desk.link(found.said - found.hits, of(`alarm:${found.from}`)),
    }));
    keep.disabled = state.score.is_chosen && Math.abs(now - state.score.threshold) < 1e-9;
    if (isDrawn) { drawOver(); trade.draw(ui => tradeFigure(ui)); }
  }

  async function save(value) {
    const { id, name } = state.score;
    try {
      const { op } = await api('/pl/api/evaluation/thresholds', { json: { thresholds: { [id]: value }, op: newOp() } });
      toast(t(value === null ? 'eval.threshold.gone' : 'eval.threshold.kept', { name, value: value?.toFixed(2) }), { action: { text: t('undo'), run: () => emit('pl:undo', { op }) }, seconds: 12 });
      onKept();
    } catch (error) { toastError(error); }
  }

  const mark = ui => [{ type: 'line', x0: now, x1: now, y0: 0, y1: 1, yref: 'paper', line: { color: ui.text, width: 1.5, dash: 'dot' } }];

  function drawOver() {
    const { thresholds } = state;
    const line = (ui, name, values, colour, dash) => ({ type: 'scatter', mode: thresholds.length < 40 ? 'lines+markers' : 'lines', name: t(`eval.col.${name}`), x: thresholds, y: values, line: { color: colour, width: 2, dash, shape: 'hv' }, marker: { size: 4 }, hovertemplate: '%{x:.2f}: %{y:.3f}<extra>%{fullData.name}</extra>' });
    return over.draw(ui => ({
      height: 260, traces: [line(ui, 'precision', state.precision, ui.accent, 'solid'), line(ui, 'recall', state.recall, ui.yes, 'dash'), line(ui, 'f1', state.f1, ui.unsure, 'dot')],
      layout: { shapes: mark(ui), xaxis: axis(t('eval.threshold'), { range: [0, 1] }), yaxis: axis('', { range: [0, 1.02] }) },
    }));
  }

  function tradeFigure(ui) {
    const found = at(now);
    return {
      height: 260,
      traces: [
        { type: 'scatter', mode: 'lines', name: t('eval.chart.pr'), x: state.recall, y: state.precision, customdata: state.thresholds, line: { color: ui.accent, width: 2 }, hovertemplate: t('eval.hover.pr') },
        { type: 'scatter', mode: 'markers', x: [found.recall], y: [found.precision], marker: { color: ui.text, size: 10, symbol: 'diamond' }, hoverinfo: 'skip' },
        { type: 'scatter', mode: 'lines', x: [0, 1], y: [state.yes / (state.yes + state.no), state.yes / (state.yes + state.no)], line: { color: ui.dim, width: 1, dash: 'dash' }, hovertemplate: t('eval.hover.chance') },
      ],
      layout: { showlegend: false, xaxis: axis(t('eval.col.recall'), { range: [0, 1.02] }), yaxis: axis(t('eval.col.precision'), { range: [0, 1.02] }) },
    };
  }

  function spreadFigure(ui) {
    const middles = state.yes_bins.map((_, k) => (state.bins[k] + state.bins[k + 1]) / 2);
    const bars = (name, values, colour, shape) => ({ type: 'bar', name: t(`explore.verdict.${name}`), x: middles, y: values, customdata: values.map((n, k) => (n ? desk.address(of(`${name}:${values.length}:${k}`)) : null)), marker: { color: colour, pattern: { shape } }, hovertemplate: '%{x:.2f}: %{y}<extra>%{fullData.name}</extra>' });
    return {
      height: 260, traces: [bars('yes', state.yes_bins, ui.yes, ''), bars('no', state.no_bins, ui.no, '/')],
      layout: { barmode: 'stack', bargap: 0.05, shapes: mark(ui), xaxis: axis(t('eval.probability'), { range: [0, 1] }), yaxis: axis(t('eval.samples')) },
    };
  }

  return { show };
}
