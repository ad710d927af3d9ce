// The evidence of one sample: three small matrices, sent once, from which every heat map and
// every "what is this part?" is drawn without asking again, at any temperature. Rows are read when
// they are looked at: two thousand labels are no more work than twenty. See present.py: evidence_bytes.

const HALF = new Float32Array(65536);
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  HALF[bits] = sign * (exponent === 0 ? fraction * 2 ** -24
    : exponent === 31 ? (fraction ? NaN : Infinity) : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

export const SOURCES = ['transport', 'similarity', 'layers', 'lane'];
/** The map of what no label claims; it is no label's, so it goes by the id 0. */
export const UNCLAIMED = 'unclaimed';

const SAME = 0.01;             // shares that differ less are the same but for float16

export class Evidence {
  constructor(buffer) {
    const view = new DataView(buffer), length = view.getUint32(0, true);
    Object.assign(this, JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))));
    let at = 4 + length;
    const P = this.parts, L = this.labels.length;
    this.spans = null;
    if (!this.rows) { this.spans = new Int32Array(buffer, at, 2 * P); at += 8 * P; }
    const take = n => { const half = new Uint16Array(buffer, at, n); at += 2 * n; return half; };
    this.forward = take(L * P);
    this.backward = take(L * P);
    this.similarity = take(L * P);
    this.sentSpread = take(L);
    // One map per pack, whatever label of it is asked for.
    this.looks = new Map(this.lanes.flatMap(ids => { const map = floats(take(P)); return ids.map(id => [id, map]); }));
    this.left = floats(take(P));
    // Transport averaged over the encoder's blocks; the mean of softmaxes is none of the mean cosine,
    // so it is shown at the temperature of the scores alone.
    if (this.layers) { this.layerForward = take(L * P); this.layerBackward = take(L * P); }
    this.column = new Map(this.labels.map((id, k) => [id, k]));
    this.step = 0;
    this.seen = new Map();
  }

  /** Draw at the temperature of the scores times 2 ** `step`; 0 shows exactly what was sent. */
  setStep(step) {
    const now = this.temperature ? step : 0;
    if (now === this.step) return;
    this.step = now;
    this.seen.clear();
  }

  /** The temperature that the maps are drawn at. */
  get shownTemperature() { return this.temperature && this.temperature * 2 ** this.step; }

  /** Share of the sample that no label claims, 0..1. */
  get leftover() { return this.parts ? this.left.reduce((sum, v) => sum + v, 0) / this.parts : 0; }

  has(label, source) {
    if (source === UNCLAIMED) return this.claimers !== null;
    if (source === 'lane') return this.looks.has(label);
    return this.column.has(label) && (source !== 'layers' || this.layers);
  }

  /**
   * Where is this label? {values, low, high}: transport, of one layer or of several, on the label's own scale (its shares sum
   * to 1 over the parts), similarity on one scale for all labels of the sample.
   */
  map(source, label) {
    if (source === UNCLAIMED) return { values: this.left, low: 0, high: 1 };
    if (source === 'similarity') return { values: this.#row(this.similarity, label), low: this.range[0], high: this.range[1] };
    const values = source === 'lane' ? this.looks.get(label) : this.#shares(label, source);
    let high = 0;
    for (const v of values) if (v > high) high = v;
    return { values, low: 0, high: high || 1 };
  }

  #row(matrix, label) {
    const k = this.column.get(label), P = this.parts;
    return floats(matrix.subarray(k * P, k * P + P));
  }

  // The backward navigator at the temperature that is shown, or that of all layers.
  #shares(label, source = 'transport') {
    if (source === 'layers') return this.#row(this.layerBackward, label);
    if (!this.seen.has(label)) {
      const sent = this.#row(this.backward, label);
      this.seen.set(label, this.step ? this.#tempered(sent, this.#row(this.similarity, label)) : sent);
    }
    return this.seen.get(label);
  }

  /**
   * Shares at the shown temperature. Where those that were sent are the softmax of the cosines, so
   * are these; a method with weights or other marginals of its own (saliency, Sinkhorn) keeps them:
   * its shares are raised to scored / shown temperature, which is the same wherever both hold.
   */
  #tempered(sent, cosines) {
    const plain = softmax(cosines.slice(), this.temperature);
    if (sent.every((share, k) => Math.abs(share - plain[k]) < SAME)) return softmax(cosines, this.shownTemperature);
    let sum = 0;
    for (let k = 0; k < sent.length; k++) sum += sent[k] **= 2 ** -this.step;
    for (let k = 0; k < sent.length; k++) sent[k] /= sum || 1;
    return sent;
  }

  /** What is this part? The `most` best labels: [{label, value, share}], share 0..1 of the bar. */
  part(source, index, most = 6) {
    const values = this.#labelsOf(source, index), isShare = source !== 'similarity';
    const [low, high] = isShare ? [0, 1] : this.range, best = [];
    for (let k = 0; k < values.length; k++) {
      const value = values[k];
      if (best.length === most && value <= best[most - 1].value) continue;
      let at = best.length;
      while (at && best[at - 1].value < value) at--;
      best.splice(at, 0, { label: this.labels[k], value, share: (value - low) / ((high - low) || 1) });
      if (best.length > most) best.pop();
    }
    return best;
  }

  // The forward navigator of one part (softmax over the labels), or its cosines.
  #labelsOf(source, index) {
    const P = this.parts, column = matrix => {
      const values = new Float32Array(this.labels.length);
      for (let k = 0, at = index; k < values.length; k++, at += P) values[k] = HALF[matrix[at]];
      return values;
    };
    if (source === 'similarity') return column(this.similarity);
    if (source === 'layers') return column(this.layerForward);
    return this.step ? this.#tempered(column(this.forward), column(this.similarity)) : column(this.forward);
  }

  /** The parts with the largest shares of a label, largest first: [{part, share}]. */
  top(label, most) {
    const shares = this.#shares(label), best = [];
    for (let p = 0; p < shares.length; p++) {
      if (best.length === most && shares[p] <= best[most - 1].share) continue;
      best.push({ part: p, share: shares[p] });
      best.sort((a, b) => b.share - a.share);
      best.length = Math.min(best.length, most);
    }
    return best;
  }

  /** Entropy of a label's map over log P: 0 one part, 1 everywhere. */
  spread(label, source = 'transport') {
    if (!this.step && source === 'transport') return HALF[this.sentSpread[this.column.get(label)]];
    let sum = 0;
    for (const v of this.#shares(label, source)) if (v > 0) sum -= v * Math.log(v);
    return sum / Math.log(Math.max(2, this.parts));
  }

  /** About how many parts carry the label: the exponential of its entropy. */
  carriers(label, source = 'transport') { return Math.max(1, Math.round(this.parts ** this.spread(label, source))); }

  /** 0..255 steps of the colour ramp for a map; where all parts are the same, one step for all. */
  steps(source, label) {
    const { values, low, high } = this.map(source, label), steps = new Uint8ClampedArray(values.length);
    if (high === low) return steps.fill(128);
    for (let p = 0; p < steps.length; p++) steps[p] = 255 * (values[p] - low) / (high - low);
    return steps;
  }
}

/** 0..255 steps of a map that came by itself (that of a phrase). */
export function ownSteps(values) {
  const low = Math.min(...values), high = Math.max(...values);
  return Uint8ClampedArray.from(values, value => high > low ? 255 * (value - low) / (high - low) : 128);
}

function floats(half) {
  const values = new Float32Array(half.length);
  for (let k = 0; k < half.length; k++) values[k] = HALF[half[k]];
  return values;
}

function softmax(values, temperature) {
  let top = -Infinity, sum = 0;
  for (const v of values) if (v > top) top = v;
  for (let k = 0; k < values.length; k++) sum += values[k] = Math.exp((values[k] - top) / temperature);
  for (let k = 0; k < values.length; k++) values[k] /= sum;
  return values;
}

/** A number of a map in words: shares in percent, cosines with two digits. */
export const inWords = (source, value) => source === 'similarity' ? value.toFixed(2)
  : value < 0.0995 ? `${(100 * value).toFixed(1)} %` : `${Math.round(100 * value)} %`;
