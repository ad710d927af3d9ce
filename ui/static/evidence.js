// The evidence of one sample: three small matrices, sent once, from which every heat map and
// every "what is this part?" is drawn without asking again. See present.py: evidence_bytes.

import { heat } from './base.js';

const HALF = new Float32Array(65536);
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  HALF[bits] = sign * (exponent === 0 ? fraction * 2 ** -24
    : exponent === 31 ? (fraction ? NaN : Infinity) : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** 256 colours of the heat map, dark to light in even steps: r, g, b of each. */
export const RAMP = Uint8ClampedArray.from(Array.from({ length: 256 }, (_, k) => heat(k / 255)).flat());

export const SOURCES = ['transport', 'similarity', 'lane'];

export class Evidence {
  constructor(buffer) {
    const view = new DataView(buffer), length = view.getUint32(0, true);
    Object.assign(this, JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))));
    let at = 4 + length;
    const P = this.parts, L = this.labels.length;
    this.spans = null;
    if (!this.rows) { this.spans = new Int32Array(buffer.slice(at, at + 8 * P)); at += 8 * P; }
    const take = n => {
      const half = new Uint16Array(buffer.slice(at, at + 2 * n));
      at += 2 * n;
      return Float32Array.from(half, bits => HALF[bits]);
    };
    this.forward = take(L * P);
    this.backward = take(L * P);
    this.similarity = take(L * P);
    this.spread = take(L);
    // One map per pack, whatever label of it is asked for.
    this.looks = new Map(this.lanes.flatMap(ids => { const map = take(P); return ids.map(id => [id, map]); }));
    this.column = new Map(this.labels.map((id, k) => [id, k]));
    let low = Infinity, high = -Infinity;
    for (const s of this.similarity) { if (s < low) low = s; if (s > high) high = s; }
    this.range = { low: L && P ? low : 0, high: L && P ? high : 1 };
  }

  has(label, source) { return source === 'lane' ? this.looks.has(label) : this.column.has(label); }

  /**
   * Where is this label? {values, low, high}: transport on the label's own scale (its shares sum
   * to 1 over the parts), similarity on one scale for all labels of the sample.
   */
  map(source, label) {
    const k = this.column.get(label), P = this.parts;
    if (source === 'similarity') return { values: this.similarity.subarray(k * P, k * P + P), ...this.range };
    const values = source === 'lane' ? this.looks.get(label) : this.backward.subarray(k * P, k * P + P);
    let high = 0;
    for (const v of values) if (v > high) high = v;
    return { values, low: 0, high: high || 1 };
  }

  /** What is this part? The `most` best labels: [{label, value, share}], share 0..1 of the bar. */
  part(source, index, most = 6) {
    const matrix = source === 'similarity' ? this.similarity : this.forward, P = this.parts;
    const { low, high } = source === 'similarity' ? this.range : { low: 0, high: 1 };
    const best = [];
    for (let k = 0; k < this.labels.length; k++) {
      const value = matrix[k * P + index];
      if (best.length < most || value > best[best.length - 1].value) {
        let at = best.length;
        while (at && best[at - 1].value < value) at--;
        best.splice(at, 0, { label: this.labels[k], value, share: (value - low) / ((high - low) || 1) });
        if (best.length > most) best.pop();
      }
    }
    return best;
  }

  /** About how many parts carry the label: the exponential of its entropy. */
  carriers(label) {
    return Math.max(1, Math.round(this.parts ** this.spread[this.column.get(label)]));
  }

  /** 0..255 steps of the colour ramp for a map. */
  steps(source, label) {
    const { values, low, high } = this.map(source, label), span = (high - low) || 1;
    return Uint8ClampedArray.from(values, v => 255 * (v - low) / span);
  }
}

/** A number of a map in words: shares in percent, cosines with two digits. */
export const inWords = (source, value) => source === 'similarity' ? value.toFixed(2)
  : value < 0.0995 ? `${(100 * value).toFixed(1)} %` : `${Math.round(100 * value)} %`;
