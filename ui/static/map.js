// The map: all samples as points, drawn by plotly.js (WebGL, or a few thousand SVG points without).
// It knows points, a view and shapes; who is inside a drawn shape the server decides.
import { debounce, el, icon, loadPlotly, onRemoved, t, themeColours } from './base.js';
import { markerFor } from './colours.js';

const hasGL = (() => {
  try { return Boolean(document.createElement('canvas').getContext('webgl')); } catch { return false; }
})();
/** The most points asked for at once; above it the server sends a fair sample of the window. */
export const MOST_POINTS = hasGL ? 50000 : 3000;
const HEADER_BYTES = 40;
/** Pixels from a point within which it is hovered over and pressed. */
const REACH = 14;
const REST = 0,
  POINTS = 1,
  CHOSEN = 2,
  HOVER = 3;

const TOOLS = [
  ['drawclosedpath', t('explore.tool.lasso'),
    'M7 18c-2.5-.6-4-2.3-4-4.500C3 9 7.500 5 13 5s8 2.500 8 6-4 6.500-9 6.500c-1.800 0-3.300-.4-4.500-1M7 14.500a2 2 0 1 0 .01 0M7 18.500c.3 1.500-.5 2.500-2 3'
    ],
  ['drawrect', t('explore.tool.box'), 'M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M10 4h4M20 10v4M14 20h-4M4 14v-4'],
  ['pan', t('explore.tool.move'),
    'M12 3v18M3 12h18M12 3 9.500 5.500M12 3l2.500 2.500M12 21l-2.500-2.500M12 21l2.500-2.500M3 12l2.500-2.500M3 12l2.500 2.500M21 12l-2.500-2.500M21 12l-2.500 2.500'
    ],
];
const ZOOMS = [
  [0.6, t('explore.tool.in'), 'M12 5v14M5 12h14'],
  [1 / 0.6, t('explore.tool.out'), 'M5 12h14'],
  [0, t('explore.tool.all'), 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5'],
];

/** Read what /pl/api/points sends: header, ids, x, y, colours. */
export function unpack(buffer) {
  const view = new DataView(buffer),
    word = k => view.getUint32(4 * k, true),
    real = k => view.getFloat32(4 * k, true);
  if (String.fromCharCode(...new Uint8Array(buffer, 0, 4)) !== 'PLP2') throw new Error(t('explore.map.format'));
  const n = word(2),
    at = k => HEADER_BYTES + 4 * n * k;
  return {
    matching: word(1),
    version: word(3),
    method: word(4) ? 'umap' : 'pca',
    bounds: [5, 6, 7, 8].map(real),
    total: word(9),
    ids: new Uint32Array(buffer, at(0), n),
    x: new Float32Array(buffer, at(1), n),
    y: new Float32Array(buffer, at(2), n),
    colours: new Float32Array(buffer, at(3), n),
  };
}

/** A drawn shape as the server reads it: corners of a box or vertices of a lasso, in the map's units. */
export function geometry(shape) {
  if (shape.type === 'rect') return { kind: 'box', x: [shape.x0, shape.x1].map(Number), y: [shape.y0, shape.y1].map(Number) };
  const points = [...shape.path.matchAll(/[ML]\s*([-\d.e+]+)[ ,]([-\d.e+]+)/g)];
  return { kind: 'lasso', x: points.map(p => Number(p[1])), y: points.map(p => Number(p[2])) };
}

/**
 * createMap(host, {onHover(id | null, event), onPick(id, event), onOpen(id), onShape(geometry | null), onView(box), onMove(frame), onPress(event)}).
 * `onView` is called after the window changed (for level of detail), with [x0, x1, y0, y1]; `onMove` while it
 * does, with where the points are drawn. `onPress` is asked first what a click means; true: it is dealt with.
 */
export async function createMap(host, { onHover, onPick, onOpen, onShape, onView, onMove, onPress }) {
  const Plotly = await loadPlotly();
  const plot = el('div', { class: 'pl-map-plot' });
  const buttons = TOOLS.map(([mode, title, path]) => el('button', {
    class: 'pl-map-tool',
    type: 'button',
    title,
    'aria-label': title,
    'aria-pressed': 'false',
    dataset: { mode },
    onclick: () => setTool(mode),
  }, icon(path, { size: 18 })));
  const zooms = ZOOMS.map(([factor, title, path]) => el('button', {
    class: 'pl-map-tool',
    type: 'button',
    title,
    'aria-label': title,
    onclick: () => (factor ? zoom(factor) : showAll()),
  }, icon(path, { size: 18 })));
  host.append(plot, el('div', { class: 'pl-map-tools', role: 'toolbar', 'aria-label': t('explore.tools') }, buttons, el(
  'span', { class: 'pl-map-gap' }), zooms));

  let data = null,
    scale = null,
    kept = null,
    rowOf = new Map(),
    chosen = [],
    hoverMark = null,
    animation = 0,
    tool = 'drawclosedpath',
    drawn = null;
  const size = n => (n > 20000 ? 4 : n > 5000 ? 6 : n > 1500 ? 8 : 10);

  function split() {
    const { ids, x, y, colours } = data;
    if (!kept) return { rest: { x: [], y: [] }, on: { x, y, colours, ids } };
    const on = [],
      off = [];
    for (let i = 0; i < ids.length; i++)(kept.has(ids[i]) ? on : off).push(i);
    const take = (from, rows) => Float32Array.from(rows, i => from[i]);
    return { rest: { x: take(x, off), y: take(y, off) }, on: { x: take(x, on), y: take(y, on), colours: take(colours, on),
        ids: Uint32Array.from(on, i => ids[i]) } };
  }
  const spots = ids => { const rows = ids.map(id => rowOf.get(id)).filter(row => row !== undefined); return { x: rows.map(i => data.x[i]),
      y: rows.map(i => data.y[i]) }; };

  let shownIds = new Uint32Array(0);

  function traces() {
    const ui = themeColours(),
      { rest, on } = split(),
      type = hasGL ? 'scattergl' : 'scatter',
      px = size(data.total);
    shownIds = on.ids;
    const ring = (width, colour, extra) => ({ symbol: 'circle-open', size: px + extra, color: colour, line: { width, color: colour },
      opacity: 1 });
    return [
      { type, mode: 'markers', ...rest, hoverinfo: 'skip', marker: { size: Math.max(3, px * 0.6), color: ui.unknown, opacity: 0.28,
          symbol: 'circle', line: { width: 0 } } },
      { type, mode: 'markers', x: on.x, y: on.y, hoverinfo: 'none', marker: markerFor(scale, on.colours, px) },
      { type, mode: 'markers', ...spots(chosen), hoverinfo: 'skip', marker: ring(2, ui.text, 5) },
      { type: 'scatter', mode: 'markers', ...spots(hoverMark === null ? [] : [hoverMark]), hoverinfo: 'skip', marker: ring(3, ui.accent,
          12) },
    ];
  }

  function axes(range) {
    const ui = themeColours(),
      axis = r => ({ showticklabels: false, ticks: '', gridcolor: ui.line, gridwidth: 1, zeroline: false, range: r, fixedrange: false });
    return { xaxis: axis(range.slice(0, 2)), yaxis: axis(range.slice(2)) };
  }
  const layout = range => {
    const ui = themeColours();
    return {
      ...axes(range),
      dragmode: tool,
      hovermode: 'closest',
      hoverdistance: REACH,
      showlegend: false,
      // the tools stand beside the points (above them on a phone), never over them
      margin: matchMedia('(max-width: 760px)').matches ? { l: 0, r: 0, t: 60, b: 0 } : { l: 52, r: 0, t: 0, b: 0 },
      paper_bgcolor: 'rgba(0,0,0,0)',
      plot_bgcolor: 'rgba(0,0,0,0)',
      font: { color: ui.text },
      shapes: drawn ? [drawn] : [],
      newshape: { line: { width: 1.5, color: ui.accent }, fillcolor: 'rgba(127,127,127,.14)' },
      images: data.density ? [{
        source: data.density,
        xref: 'x',
        yref: 'y',
        x: data.bounds[0],
        y: data.bounds[3],
        sizex: data.bounds[1] - data.bounds[0],
        sizey: data.bounds[3] - data.bounds[2],
        sizing: 'stretch',
        layer: 'below',
        opacity: 0.55
      }] : [],
    };
  };
  const view = () => { const { xaxis, yaxis } = plot._fullLayout; return [...xaxis.range, ...yaxis.range].map(Number); };
  const frame = () => { const { xaxis, yaxis } = plot._fullLayout; return { left: xaxis._offset, top: yaxis._offset, width: xaxis._length,
      height: yaxis._length, range: view() }; };
  const isWhole = () => { const v = view(); return data.bounds.every((b, i) => Math.abs(b - v[i]) < 1e-6 * Math.max(1, Math.abs(b))); };

  const config = { responsive: false, scrollZoom: true, doubleClick: false, displayModeBar: false, displaylogo: false,
    showSendToCloud: false, plotlyServerURL: '' };
  const draw = range => Plotly.react(plot, traces(), layout(range), config);

  /** Other points came. Zoom stays; where positions changed, the samples that were in view stay in view. */
  async function setPoints(next, nextScale, { density = null } = {}) {
    const before = data,
      wasDrawn = Boolean(before);
    const moved = wasDrawn && before.version !== next.version;
    if (moved) drawn = null; // it was drawn around other places
    const range = !wasDrawn ? next.bounds : moved ? (isWhole() ? next.bounds : following(next)) : view();
    const old = moved ? { view: view(), data: before, rows: rowOf } : null;
    cancelAnimationFrame(animation);
    scale = nextScale;
    data = { ...next, density };
    rowOf = new Map(Array.from(next.ids, (id, i) => [id, i]));
    if (old && next.ids.length <= 6000 && !matchMedia('(prefers-reduced-motion: reduce)').matches) await glide(old, range);
    await draw(range);
    if (!plot.dataset.wired) wire();
  }
  /** The window around the new places of the samples that are in view now. */
  function following(next) {
    const [x0, x1, y0, y1] = view(), seen = new Set();
    data.ids.forEach((id, i) => { if (data.x[i] >= x0 && data.x[i] <= x1 && data.y[i] >= y0 && data.y[i] <= y1) seen.add(id); });
    const xs = [],
      ys = [];
    next.ids.forEach((id, i) => { if (seen.has(id)) { xs.push(next.x[i]);
        ys.push(next.y[i]); } });
    if (xs.length < 3) return next.bounds;
    const span = list => { list.sort((a, b) => a - b); const a = list[Math.floor(list.length * 0.05)],
        b = list[Math.ceil(list.length * 0.95) - 1],
        pad = 0.08 * (b - a) + 1e-3; return [a - pad, b + pad]; };
    return [...span(xs), ...span(ys)];
  }
  /** Move the points to their new places in 0.6 s, starting where they stand on the screen. */
  async function glide(old, range) {
    const into = (v, a0, a1, b0, b1) => b0 + (v - a0) / ((a1 - a0) || 1) * (b1 - b0);
    const x = data.x,
      y = data.y;
    const fromX = x.map((v, i) => { const row = old.rows.get(data.ids[i]); return row === undefined ? v : into(old.data.x[row], old
        .view[0], old.view[1], range[0], range[1]); });
    const fromY = y.map((v, i) => { const row = old.rows.get(data.ids[i]); return row === undefined ? v : into(old.data.y[row], old
        .view[2], old.view[3], range[2], range[3]); });
    const began = performance.now(),
      lasts = 600;
    for (let part = 0; part < 1;) {
      part = Math.min(1, (performance.now() - began) / lasts);
      const eased = part * part * (3 - 2 * part);
      data = { ...data, x: x.map((v, i) => fromX[i] + (v - fromX[i]) * eased), y: y.map((v, i) => fromY[i] + (v - fromY[i]) * eased) };
      await draw(range);
      await new Promise(next => { animation = requestAnimationFrame(next); });
    }
    data = { ...data, x, y };
  }
  /** Same points, other colours. */
  async function setColours(colours, nextScale) {
    scale = nextScale;
    data = { ...data, colours };
    await draw(view());
  }
  /** Only these samples stay in colour (null: all). */
  async function setKept(ids) { kept = ids; if (data) await draw(view()); }
  /** Ring the chosen samples; at most 20,000 rings, they would cover each other anyway. */
  const setChosen = debounce(ids => {
    chosen = Array.from(ids).slice(0, 20000);
    if (data) Plotly.restyle(plot, { x: [spots(chosen).x], y: [spots(chosen).y] }, [CHOSEN]);
  }, 16);

  function setHover(id) {
    if (id === hoverMark) return;
    hoverMark = id;
    if (data) { const at = spots(id === null ? [] : [id]);
      Plotly.restyle(plot, { x: [at.x], y: [at.y] }, [HOVER]); }
  }

  function setTool(mode) {
    tool = mode;
    for (const b of buttons) b.setAttribute('aria-pressed', String(b.dataset.mode === mode));
    if (data) Plotly.relayout(plot, { dragmode: mode });
  }
  const go = range => Plotly.relayout(plot, { 'xaxis.range': range.slice(0, 2), 'yaxis.range': range.slice(2) });

  function zoom(factor) {
    const [x0, x1, y0, y1] = view(), cx = (x0 + x1) / 2, cy = (y0 + y1) / 2;
    return go([cx + (x0 - cx) * factor, cx + (x1 - cx) * factor, cy + (y0 - cy) * factor, cy + (y1 - cy) * factor]);
  }
  const showAll = () => go(data.bounds);
  const clearShape = () => { if (drawn) { drawn = null;
      Plotly.relayout(plot, { shapes: [] }); } };

  /** The sample whose point is nearest to an event, null where none is in reach. Plotly tells what is hovered over up to 50 ms late. */
  function nearest({ clientX, clientY }) {
    const { left, top } = plot.getBoundingClientRect(), { xaxis, yaxis } = plot._fullLayout, { x, y } = plot.data[POINTS];
    const right = clientX - left - xaxis._offset,
      down = clientY - top - yaxis._offset;
    const isIn = (across, below) => across >= 0 && across <= xaxis._length && below >= 0 && below <= yaxis._length;
    let found = null,
      within = REACH;
    if (!isIn(right, down)) return null;
    for (let i = 0; i < x.length; i++) {
      const across = xaxis.d2p(x[i]),
        below = yaxis.d2p(y[i]),
        apart = Math.hypot(across - right, below - down);
      if (apart < within && isIn(across, below)) { within = apart;
        found = shownIds[i]; }
    }
    return found;
  }

  function wire() {
    plot.dataset.wired = '1';
    plot.on('plotly_hover', e => {
      const hit = e.points?.find(p => p.curveNumber === POINTS);
      if (hit) onHover(shownIds[hit.pointIndex ?? hit.pointNumber], e.event);
    });
    plot.on('plotly_unhover', () => onHover(null, null));
    const seen = debounce(() => onView(view()), 120);
    for (const kind of ['plotly_relayouting', 'plotly_afterplot']) plot.on(kind, () => onMove(frame()));
    onMove(frame());
    plot.on('plotly_relayout', e => {
      if (e.shapes) {
        const last = e.shapes.at(-1);
        if (!last?.editable) return; // one that we drew again
        onShape(geometry(last));
        // freeze the drawn shape, or the next drag would move it; keep only the last one
        drawn = { ...last, editable: false, line: { ...last.line, dash: 'dot' } };
        Plotly.relayout(plot, { shapes: [drawn] });
      } else if (Object.keys(e).some(key => key.includes('axis'))) seen();
    });
    // a click is a press and release in one place: plotly's own click is not told while drawing shapes
    let pressed = null,
      taken = -Infinity;
    plot.addEventListener('pointerdown', e => { pressed = { x: e.clientX, y: e.clientY, id: nearest(e) }; }, true);
    plot.addEventListener('click', e => {
      if (!pressed || Math.hypot(e.clientX - pressed.x, e.clientY - pressed.y) > 4) return;
      if (onPress(e)) taken = e.timeStamp;
      else if (pressed.id !== null) onPick(pressed.id, e);
    }, true);
    plot.addEventListener('dblclick', e => {
      if ((pressed?.id ?? null) === null || e.timeStamp - taken <= 600) return;
      e.preventDefault();
      onOpen(pressed.id);
    }, true);
  }
  setTool(tool);
  // the pane changes its size without the window doing so
  const sized = new ResizeObserver(debounce(() => { if (data && host.clientWidth) Plotly.Plots.resize(plot); }, 60));
  sized.observe(host);
  onRemoved(host, () => { sized.disconnect();
    cancelAnimationFrame(animation);
    Plotly.purge(plot); });
  return { setPoints, setColours, setKept, setChosen, setHover, setTool, showAll, clearShape, zoom, go, view, hasGL,
get data() { return data; } };
}
