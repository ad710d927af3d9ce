// How the model became better: held-back mAP over the verdicts given, per pack and over all labels.
import { api, debounce, el, loadPlotly, onRemoved, onTheme, sentence, t, themeColours, url } from './base.js';
import { BEST } from './colours.js';
import { filterAddress } from './filter_words.js';

const SHAPES = ['circle', 'square', 'diamond', 'triangle-up', 'cross', 'x', 'star', 'triangle-down'];
const SOON = 600;                         // ms: versions come quickly while somebody labels

export function mountCurve(root) {
  const plot = el('div', { class: 'pl-curve', 'data-testid': 'curve', role: 'img', 'aria-label': t('learn.curve.what') });
  const none = el('p', { class: 'pl-dim pl-plain', hidden: true, 'data-testid': 'curve-none' });
  const csv = el('a', { class: 'pl-button small', download: '', 'data-testid': 'csv-curve' }, t('eval.csv'));
  const links = el('p', { class: 'pl-dim pl-small', 'data-testid': 'curve-samples' });
  root.replaceChildren(el('header', { class: 'pl-learn-head' }, el('h2', { class: 'pl-h2' }, t('learn.curve')), el('span', { class: 'pl-dim pl-small' }, t('learn.curve.what')), csv), none, plot, links);
  plot.hidden = csv.hidden = links.hidden = true;
  let points = [], seen = '', stopped = new AbortController();

  const askSoon = debounce(async () => {
    stopped.abort();
    stopped = new AbortController();
    try {
      points = await api('/pl/api/learn/curve', { signal: stopped.signal });
      await draw();
      root.dataset.points = points.length;
    } catch (error) {
      if (error.name !== 'AbortError') { seen = ''; none.hidden = false; none.textContent = error.message; }
    }
  }, SOON);

  function refresh(state) {
    const key = JSON.stringify([state.project, state.version, state.packs.map(pack => pack.name)]);
    if (key === seen) return;
    seen = key;
    if (plot.hidden) { none.hidden = false; none.textContent = t('learn.curve.soon'); }
    askSoon();
  }

  async function draw() {
    const known = points.filter(point => point.mAP !== null);
    none.hidden = known.length > 0;
    none.textContent = t('learn.curve.none');
    plot.hidden = csv.hidden = links.hidden = !known.length;
    links.replaceChildren(...sentence('learn.curve.samples', { names: el('span', {}, linked()) }));
    csv.href = url('/pl/api/evaluation/table', { name: 'curve' });
    if (!known.length) return;
    const Plotly = await loadPlotly();
    if (!root.isConnected) return;
    const isNew = !plot.data;
    await Plotly.react(plot, traces(), layout(), { responsive: false, displayModeBar: false, displaylogo: false, showSendToCloud: false, plotlyServerURL: '', doubleClick: 'reset' });
    if (isNew) plot.on('plotly_click', event => location.assign(samplesOf(event.points[0].data.meta)));
  }

  /** Every version is measured on today's held-back verdicts: the same samples for all of them, by pack. */
  const samplesOf = pack => url('/explore', filterAddress(['held-back:yes', `judged:masked:ranked:decided${pack ? `:${pack}` : ''}`]));
  const measured = () => [...new Set(points.flatMap(point => Object.keys(point.packs)))].filter(name => points.some(point => typeof point.packs[name] === 'number'));
  const linked = () => ['', ...(measured().length > 1 ? measured() : [])].flatMap((pack, k) => [k ? ' · ' : '', el('a', { href: samplesOf(pack), 'data-testid': 'curve-link', 'data-pack': pack }, pack || t('learn.curve.all'))]);

  function traces() {
    const ui = themeColours(), packs = [...new Set(points.flatMap(point => Object.keys(point.packs)))];
    const told = points.map(point => `v${point.version} ${t(`learn.kind.${point.kind}`, { name: '', to: '' })}`.trim());
    const one = (name, values, look) => ({
      type: 'scatter', name, x: points.map(point => point.offset), y: values, text: told, connectgaps: true,
      mode: points.length > 40 ? 'lines' : 'lines+markers', hovertemplate: '%{text}<br>%{x} verdicts, mAP %{y:.3f}<extra>%{fullData.name}</extra>', ...look,
    });
    const lines = measured().map(name => {
      const at = packs.indexOf(name), colour = BEST[at % BEST.length];
      return one(plain(name), points.map(point => point.packs[name] ?? null), { meta: name, line: { color: colour, width: 1.5 }, marker: { color: colour, size: 7, symbol: SHAPES[at % SHAPES.length] } });
    });
    if (lines.length > 1) lines.push(one(t('learn.curve.all'), points.map(point => point.mAP), { meta: '', line: { color: ui.text, width: 3 }, marker: { color: ui.text, size: 6 } }));
    return lines;
  }

  function layout() {
    const ui = themeColours(), axis = { gridcolor: ui.line, zeroline: false, linecolor: ui.line, automargin: true, fixedrange: true };
    return {
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { color: ui.text, size: 12, family: getComputedStyle(root).fontFamily },
      margin: { l: 44, r: 12, t: 8, b: 40 }, showlegend: true, legend: { orientation: 'h', y: 1.02, yanchor: 'bottom', x: 0 }, hovermode: 'closest',
      hoverlabel: { bgcolor: ui.surface, bordercolor: ui.line, font: { color: ui.text } },
      xaxis: { ...axis, title: { text: t('learn.curve.x'), standoff: 8 }, rangemode: 'tozero' },
      yaxis: { ...axis, title: { text: 'mAP', standoff: 8 }, range: [0, 1.02], tickformat: '.2f' },
    };
  }

  onTheme(root, () => { if (!plot.hidden && window.Plotly) draw(); });
  const sized = new ResizeObserver(debounce(() => { if (!plot.hidden && window.Plotly && plot.data) window.Plotly.Plots.resize(plot); }, 60));
  sized.observe(root);
  onRemoved(root, () => { stopped.abort(); sized.disconnect(); window.Plotly?.purge(plot); });
  return { refresh };
}

/** Plotly reads a few tags in names; a name of ours is text. */
const plain = name => name.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
