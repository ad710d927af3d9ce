// What a number means as a colour and a shape: scales of the map and its legend.
// Readable for the colour-blind: ramps rise in lightness and size, categories differ in shape too.
import { t, themeColours } from './base.js';

const RAMPS = {
  label: { light: ['#98a1b0', '#4f7fd6', '#0b2f8a'], dark: ['#6a7486', '#6f9bff', '#e4efff'] },
  doubt: { light: ['#98a1b0', '#b4690e', '#5e2900'], dark: ['#6a7486', '#e0a13c', '#fff1cc'] },
};
// Okabe and Ito's colours, the pale yellow left out: it cannot be seen on white.
export const BEST = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#8A5CD0', '#7A7A00'];
const SHAPES = ['circle', 'square', 'diamond', 'triangle-up', 'cross', 'x', 'star', 'triangle-down'];
export const MOST_GROUPS = BEST.length;

/** Paths of the shapes in a 12 x 12 box, for the legend. */
const OUTLINES = {
  circle: 'M6 1.5a4.5 4.5 0 1 0 .01 0z',
  dot: 'M6 3.2a2.8 2.8 0 1 0 .01 0z',
  square: 'M2 2h8v8H2z',
  diamond: 'M6 .5 11.5 6 6 11.5 .5 6z',
  'triangle-up': 'M6 1 11 10.5H1z',
  'triangle-down': 'M6 11 1 1.5h10z',
  cross: 'M4.4 1h3.2v3.4H11v3.2H7.6V11H4.4V7.6H1V4.4h3.4z',
  x: 'M3.4 1 6 3.6 8.6 1 11 3.4 8.4 6 11 8.6 8.6 11 6 8.4 3.4 11 1 8.6 3.6 6 1 3.4z',
  star: 'M6 .6 7.5 4.3l4 .3-3 2.6.9 3.9L6 9l-3.4 2.1.9-3.9-3-2.6 4-.3z',
};

/**
 * The scale for `by` ("label", "doubt", "decided", "verdict", "best", "brought", "disagree"). `groups` are the names of
 * "best"; doubt and shares are stretched over the range of `values`, probabilities never.
 */
export function scaleFor(by, { groups = [], values = [] } = {}) {
  const ui = themeColours();
  if (by === 'verdict') {
    return {
      kind: 'groups',
      groups: [
        { value: 1, name: t('explore.verdict.yes'), colour: ui.yes, shape: 'circle' },
        { value: 0, name: t('explore.verdict.no'), colour: ui.no, shape: 'x' },
        { value: 0.5, name: t('explore.verdict.unsure'), colour: ui.unsure, shape: 'diamond' },
        { value: NaN, name: t('explore.verdict.unknown'), colour: ui.unknown, shape: 'dot' },
    ]
    };
  }
  if (by === 'best') {
    const known = groups.map((name, value) => ({ value, name, colour: BEST[value], shape: SHAPES[value] }));
    return { kind: 'groups', groups: [...known, { value: NaN, name: t('explore.scale.other'), colour: ui.unknown, shape: 'dot' }] };
  }
  const [low, middle, high] = RAMPS[['doubt', 'disagree'].includes(by) ? 'doubt' : 'label'][ui.isDark ? 'dark' : 'light'];
  const ends = ['low', 'high'].map(end => t(`explore.scale.${by}.${end}`));
  return { kind: 'ramp', low, middle, high, unknown: ui.unknown, ends, range: ['label', 'brought'].includes(by) ? [0, 1] : middlePart(values) };
}

const same = (a, b) => a === b || (Number.isNaN(a) && Number.isNaN(b));
const position = (scale, value) => {
  const at = scale.groups.findIndex(group => same(group.value, value));
  return at < 0 ? scale.groups.length - 1 : at;
};

/** From the 2nd to the 98th percentile: a few odd values do not make all others look alike. */
function middlePart(values) {
  const known = Float32Array.from(values).filter(v => !Number.isNaN(v)).sort();
  if (known.length < 2) return [0, 1];
  const at = share => known[Math.round(share * (known.length - 1))],
    [low, high] = [at(0.02), at(0.98)];
  return high - low > 1e-6 ? [low, high] : [low - 0.5, low + 0.5];
}

/** Plotly's marker for `values`; `size` in pixels. Numbers with a step scale, never colour names: those are slow. */
export function markerFor(scale, values, size) {
  if (scale.kind === 'groups') {
    const numbers = Float32Array.from(values, v => position(scale, v)),
      n = scale.groups.length;
    const steps = scale.groups.flatMap((g, i) => [[i / n, g.colour], [(i + 1) / n, g.colour]]);
    const marker = { color: numbers, cmin: -0.5, cmax: n - 0.5, colorscale: steps, showscale: false, size, opacity: 0.85,
      line: { width: 0 } };
    // one shape per point costs a draw call per shape: worth it while points are big enough to tell
    if (values.length <= 20000) {
      const symbols = scale.groups.map(g => (g.shape === 'dot' ? 'circle' : g.shape)),
        sizes = scale.groups.map(g => (g.shape === 'dot' ? 0.6 * size : size));
      marker.symbol = Array.from(numbers, i => symbols[i]);
      marker.size = Float32Array.from(numbers, i => sizes[i]);
    } else marker.symbol = 'circle';
    return marker;
  }
  const [from, to] = scale.range;
  const numbers = Float32Array.from(values, v => (Number.isNaN(v) ? -1 : Math.min(1, Math.max(0, (v - from) / (to - from)))));
  return {
    color: numbers,
    cmin: -1,
    cmax: 1,
    showscale: false,
    symbol: 'circle',
    opacity: 0.9,
    line: { width: 0 },
    colorscale: [[0, scale.unknown], [0.49, scale.unknown], [0.5, scale.low], [0.75, scale.middle], [1, scale.high]],
    size: values.length > 20000 ? size : Float32Array.from(numbers, v => size * (v < 0 ? 0.7 : 0.85 + 0.45 * v)),
  };
}

/** A small drawing of a group's mark. */
export function mark(group, size = 12) {
  const ns = 'http://www.w3.org/2000/svg',
    svg = document.createElementNS(ns, 'svg'),
    path = document.createElementNS(ns, 'path');
  for (const [k, v] of Object.entries({ viewBox: '0 0 12 12', width: size, height: size, 'aria-hidden': 'true' })) svg.setAttribute(k, v);
  path.setAttribute('d', OUTLINES[group.shape]);
  path.setAttribute('fill', group.colour);
  svg.append(path);
  return svg;
}

/** What a point's value says in words, e.g. for the hover card. */
export function inWords(scale, value) {
  if (scale.kind === 'groups') return scale.groups[position(scale, value)].name;
  return Number.isNaN(value) ? t('explore.scale.unknown') : `${Math.round(value * 100)} %`;
}
