// How evidence is looked at: from which source, how strongly, at which temperature, in which
// colours. A person's choices are remembered on this machine; a link that names them wins over
// that for as long as it is open, so that it shows exactly what its sender saw.

import { RAMPS } from './ramps.js';
import { SOURCES } from './evidence.js';

const FURTHEST = 3;                                  // steps of 2: an eighth to eight times the temperature
const USUAL = { source: 'transport', opacity: 0.65, step: 0, colours: '', arcs: false, unclaimed: false };
const KEPT = ['source', 'opacity', 'arcs'];

const kept = key => { try { return localStorage.getItem(`patchlane-${key}`); } catch { return null; } };
const keep = (key, value) => { try { localStorage.setItem(`patchlane-${key}`, value); } catch { /* then it is not remembered */ } };

const within = (text, low, high, usual) => text !== null && text !== '' && Number.isFinite(Number(text)) ? Math.min(high, Math.max(low, Number(text))) : usual;
const oneOf = (text, all, usual) => all.includes(text) ? text : usual;

export class Look {
  /** `kind` of the project decides which colours there are; `query` are the parameters of a link. */
  constructor(kind, query) {
    Object.assign(this, USUAL, { kind, isPinned: query.has('source') });
    const of = key => (this.isPinned ? query.get(key) : kept(key));
    this.source = oneOf(of('source'), SOURCES, USUAL.source);
    this.opacity = within(of('opacity'), 0.1, 1, USUAL.opacity);
    this.colours = oneOf(this.isPinned ? query.get('colours') : kept(`colours-${kind}`), RAMPS[kind], RAMPS[kind][0]);
    this.arcs = of('arcs') === (this.isPinned ? '1' : 'true');
    this.unclaimed = this.isPinned && query.get('unclaimed') === '1';
    // A temperature means something only beside that of the scores, which comes with the evidence.
    this.asked = this.isPinned ? within(query.get('temperature'), 1e-6, 1e3, null) : null;
  }

  /** Take over the temperature of a link, once that of the scores is known. */
  meet(evidence) {
    if (this.asked === null || !evidence?.temperature) return;
    this.step = Math.min(FURTHEST, Math.max(-FURTHEST, Math.round(4 * Math.log2(this.asked / evidence.temperature)) / 4));
    this.asked = null;
  }

  set(values) {
    Object.assign(this, values);
    for (const key of KEPT) if (key in values) keep(key, values[key]);
    if ('colours' in values) keep(`colours-${this.kind}`, values.colours);
  }

  /** What a link says of it; an address without a link's words says nothing. */
  address(evidence) {
    const names = ['source', 'temperature', 'opacity', 'colours', 'arcs', 'unclaimed'];
    if (!this.isPinned) return Object.fromEntries(names.map(name => [name, null]));
    const temperature = this.asked ?? (evidence?.temperature ? Number(evidence.shownTemperature.toPrecision(4)) : null);
    return { source: this.source, temperature, opacity: this.opacity, colours: this.colours, arcs: this.arcs ? 1 : null, unclaimed: this.unclaimed ? 1 : null };
  }
}

Look.FURTHEST = FURTHEST;
