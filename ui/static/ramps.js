// Colours of the heat maps. Each map is readable with any colour vision: lightness rises evenly
// from little to much. The stops are those published with the maps: viridis (van der Walt, Smith)
// and cividis (Nunez, Anderton, Renslow 2018), every 28th entry of their tables, as plotly.js has
// them; orange and blue are single colours of Okabe and Ito's palette that fade into the sample.

const STOPS = {
  viridis: ['#440154', '#482878', '#3e4989', '#31688e', '#26828e', '#1f9e89', '#35b779', '#6ece58', '#b5de2b', '#fde725'],
  cividis: ['#00224e', '#123570', '#3b496c', '#575d6d', '#707173', '#8a8678', '#a59c74', '#c3b369', '#e1cc55', '#fee838'],
  orange: ['#e69f00', '#e69f00'],
  blue: ['#0072b2', '#0072b2'],
};

/** What a sample of each kind can be drawn with, the usual one first. Letters stay readable only on one pale hue. */
export const RAMPS = { image: ['viridis', 'cividis', 'orange'], text: ['orange', 'blue'] };

// A map of many colours only tints where there is little; one of a single hue vanishes there.
const FADES = { many: [70, 185, 0.5], one: [0, 255, 0.8] };

const parsed = hex => [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
const made = new Map();

/** 256 colours from little to much: r, g, b, a of each. */
export function ramp(name) {
  if (!made.has(name)) {
    const stops = STOPS[name].map(parsed), [least, span, power] = FADES[stops.length > 2 ? 'many' : 'one'];
    const table = new Uint8ClampedArray(4 * 256);
    for (let k = 0; k < 256; k++) {
      const at = k / 255 * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
      table.set(stops[low].map((c, i) => Math.round(c + (stops[low + 1][i] - c) * (at - low))), 4 * k);
      table[4 * k + 3] = least + span * (k / 255) ** power;
    }
    made.set(name, table);
  }
  return made.get(name);
}

/** The same colours as a CSS gradient, for a legend. */
export function gradient(name) {
  const isOne = STOPS[name].length === 2;
  return `linear-gradient(90deg, ${(isOne ? ['transparent', STOPS[name][0]] : STOPS[name]).join(', ')})`;
}
