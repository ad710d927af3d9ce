// Plotly as all charts of the Learn page use it: our colours, one look, redrawn in place, told to
// those who do not see it by a sentence.
import { debounce, el, loadPlotly, onRemoved, onTheme, themeColours } from './base.js';

const CONFIG = { responsive: false, displayModeBar: false, displaylogo: false, showSendToCloud: false, plotlyServerURL: '', doubleClick: 'reset' };

/** Plotly reads a few tags in names; a name of ours is text. */
export const plain = name => name.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
/** A number of 0..1, and two of them; a dash where nothing can be said. */
export const number = value => (value === null || value === undefined ? '–' : value.toFixed(3));
export const between = ends => (ends ? `${ends[0].toFixed(3)} – ${ends[1].toFixed(3)}` : '');
/** A name short enough for an axis. */
export const short = (name, most = 22) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);

/**
 * One chart: chart(words, {onPoint(point)}) gives {node, draw(make), clear()}; `make(colours)` gives
 * {traces, layout, height} and is asked again when light turns to dark. Points that open something
 * have `customdata`; the arrow keys walk over them and Enter does what a click does.
 */
export function chart(words, { onPoint = null, test = null } = {}) {
  const node = el('div', { class: 'pl-chart', role: onPoint ? 'application' : 'img', 'aria-label': words, 'data-testid': test, tabindex: onPoint ? '0' : null });
  let make = null, turn = 0, at = -1;

  async function redraw() {
    if (!make) return;
    const mine = turn += 1, Plotly = await loadPlotly();
    if (mine !== turn || !node.isConnected || !make) return;
    const { traces, layout, height = 300 } = make(themeColours());
    node.style.height = `${height}px`;
    await Plotly.react(node, traces, { ...base(node), height, ...layout }, CONFIG);
    if (mine !== turn) return;
    node.dataset.drawn = Number(node.dataset.drawn ?? 0) + 1;
    if (onPoint && !node.dataset.listens) {
      node.dataset.listens = '1';
      node.on('plotly_click', event => onPoint(event.points[0]));
    }
  }

  if (onPoint) {
    node.addEventListener('keydown', event => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key], points = node.data ? pointsOf(node.data) : [];
      if (!points.length || (!step && (event.key !== 'Enter' || at < 0))) return;
      event.preventDefault();
      if (!step) { onPoint(points[Math.min(at, points.length - 1)]); return; }
      at = at < 0 && step < 0 ? points.length - 1 : (at + step + points.length) % points.length;
      const { curveNumber, pointNumber } = points[at];
      window.Plotly.Fx.hover(node, [{ curveNumber, pointNumber }]);
      node.dataset.at = at;
      node.setAttribute('aria-label', `${words}: ${[...node.querySelectorAll('.hoverlayer text')].map(each => each.textContent).join(' ')}`);
    });
    node.addEventListener('blur', () => { at = -1; delete node.dataset.at; node.setAttribute('aria-label', words); if (node.data) window.Plotly.Fx.unhover(node); });
  }
  onTheme(node, redraw);
  const sized = new ResizeObserver(debounce(() => { if (node.data && node.isConnected && node.offsetWidth) window.Plotly.relayout(node, { width: node.offsetWidth }); }, 60));
  sized.observe(node);
  onRemoved(node, () => { sized.disconnect(); window.Plotly?.purge(node); });
  return {
    node,
    draw(next) { make = next; node.hidden = false; return redraw(); },
    clear() { make = null; turn += 1; node.hidden = true; },
  };
}

/** The points of a figure that open something, as a click gives them; those of a heatmap row by row. */
function pointsOf(traces) {
  const found = [];
  traces.forEach((trace, curveNumber) => (trace.customdata ?? []).forEach((value, k) => {
    if (trace.type !== 'heatmap') { if (value !== null) found.push({ curveNumber, pointNumber: k, x: trace.x[k], y: trace.y[k], customdata: value }); return; }
    value.forEach((address, j) => { if (address !== null) found.push({ curveNumber, pointNumber: [k, j], x: j, y: k, customdata: address }); });
  }));
  return found;
}

function base(node) {
  const ui = themeColours();
  return {
    width: node.offsetWidth || undefined,
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { color: ui.text, size: 12, family: getComputedStyle(node).fontFamily },
    margin: { l: 48, r: 12, t: 8, b: 40 }, showlegend: true, legend: { orientation: 'h', y: 1.02, yanchor: 'bottom', x: 0 }, hovermode: 'closest',
    hoverlabel: { bgcolor: ui.surface, bordercolor: ui.line, font: { color: ui.text } },
  };
}

/** An axis of ours; `title` in words. */
export function axis(title, more = {}) {
  const ui = themeColours();
  return { gridcolor: ui.line, zeroline: false, linecolor: ui.line, automargin: true, fixedrange: true, title: { text: title, standoff: 8 }, ...more };
}
