// Is this map true? A dialog that has the server take parts away in the order of the map and draws
// what the score of the label does, beside parts at random and the inverted map.
import { api, announceJobs, debounce, el, loadPlotly, onTheme, t, themeColours } from './base.js';

const EVERY = 400;                               // ms between looks at the job
const LINES = [['map', 'solid', 'circle'], ['random', 'dash', 'square'], ['inverted', 'dot', 'diamond']];

export async function checkMap({ sample, label, name, byLayers = false }) {
  const words = el('p', { class: 'pl-plain', role: 'status', 'data-testid': 'check-verdict' }, t('check.busy', { name }));
  const progress = el('progress', { class: 'pl-progress', max: '1', 'aria-label': t('check.title', { name }) });
  const plots = ['deletion', 'insertion'].map(kind => el('div', { class: 'pl-check-plot', role: 'img', 'data-kind': kind, 'aria-label': t(`check.${kind}`), hidden: true }));
  const table = el('div', { class: 'pl-table-scroll' }), how = el('p', { class: 'pl-dim pl-small' });
  const dialog = el('dialog', { class: 'pl-dialog pl-check', 'aria-label': t('check.title', { name }), 'data-testid': 'check' },
    el('form', { method: 'dialog', class: 'pl-dialog-body' }, el('h2', { class: 'pl-h1' }, t('check.title', { name })), words, progress,
      el('div', { class: 'pl-check-plots' }, plots), table, how,
      el('div', { class: 'pl-row end' }, el('button', { type: 'submit', class: 'pl-button primary', autofocus: true }, t('check.close')))));
  let isOpen = true, drawn = null;
  const sized = new ResizeObserver(debounce(() => { for (const plot of plots) if (drawn && isOpen) window.Plotly.Plots.resize(plot); }, 60));
  dialog.addEventListener('close', () => { isOpen = false; sized.disconnect(); for (const plot of plots) window.Plotly?.purge(plot); dialog.remove(); });
  (document.querySelector('.pl-overlay') ?? document.body).append(dialog);
  dialog.showModal();
  onTheme(dialog, () => { if (drawn) draw(drawn); });
  sized.observe(dialog);
  try {
    const { job } = await api('/pl/api/check', { json: { sample, label, by_layers: byLayers } });
    announceJobs();
    let told;
    for (;;) {
      told = await api('/pl/api/check', { query: { job } });
      if (!isOpen) return;
      if (!['queued', 'running'].includes(told.state)) break;
      if (told.total) progress.value = told.done / told.total;
      await new Promise(done => setTimeout(done, EVERY));
    }
    if (!told.curves) throw new Error(told.error || t('check.stopped'));
    await show(told.curves);
  } catch (error) { words.textContent = error.message; progress.hidden = true; }

  async function show(curves) {
    progress.hidden = true;
    words.textContent = curves.verdict;
    dialog.dataset.holds = curves.holds;
    how.textContent = t('check.how', { how: curves.how });
    table.replaceChildren(el('table', { class: 'pl-table pl-num' },
      el('thead', {}, el('tr', {}, ['check.order', 'check.deletion.area', 'check.insertion.area'].map(key => el('th', { scope: 'col' }, t(key))))),
      el('tbody', {}, LINES.map(([key]) => el('tr', { 'data-order': key }, el('td', {}, t(`check.${key}`)), el('td', {}, curves.deletion_area[key].toFixed(2)), el('td', {}, curves.insertion_area[key].toFixed(2)))))));
    await draw(curves);
    drawn = curves;
    dialog.dataset.ready = '';
  }

  async function draw(curves) {
    const Plotly = await loadPlotly();
    if (!isOpen) return;
    for (const plot of plots) {
      plot.hidden = false;
      const kind = plot.dataset.kind, x = kind === 'deletion' ? curves.gone : curves.shown;
      await Plotly.react(plot, traces(curves[kind], x), layout(kind), { responsive: false, displayModeBar: false, displaylogo: false, showSendToCloud: false, plotlyServerURL: '' });
    }
  }

  function traces(lines, x) {
    const ui = themeColours(), colours = { map: ui.accent, random: ui.dim, inverted: ui.text };
    return LINES.map(([key, dash, symbol]) => ({ type: 'scatter', mode: 'lines+markers', name: t(`check.${key}`), x, y: lines[key], line: { color: colours[key], dash, width: key === 'map' ? 3 : 1.5 }, marker: { color: colours[key], symbol, size: 6 }, hovertemplate: '%{x:.0%}: %{y:.2f}<extra>%{fullData.name}</extra>' }));
  }

  function layout(kind) {
    const ui = themeColours(), axis = { gridcolor: ui.line, zeroline: false, linecolor: ui.line, automargin: true, fixedrange: true };
    return {
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { color: ui.text, size: 12, family: getComputedStyle(dialog).fontFamily },
      title: { text: t(`check.${kind}`), font: { size: 13 }, x: 0, xanchor: 'left' }, margin: { l: 44, r: 8, t: 32, b: 40 }, showlegend: kind === 'deletion', legend: { orientation: 'h', y: -0.3 }, hovermode: 'closest',
      xaxis: { ...axis, title: { text: t(`check.${kind}.x`), standoff: 8 }, tickformat: '.0%' }, yaxis: { ...axis, title: { text: t('check.score'), standoff: 8 } },
    };
  }
}
