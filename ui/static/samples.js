// The samples on screen and those read ahead: their facts, their picture (decoded) and their
// evidence, so that the next one is on the screen in one frame.

import { api } from './base.js';
import { Evidence } from './evidence.js';
import { preload } from './viewer.js';

const KEEP = 24;

export class Samples {
  constructor() { this.all = new Map(); this.source = ''; }

  /** What is here of a sample: {item, image, evidence}; each undefined until it has come. */
  get(id) { return this.all.get(id); }

  /** Bring a sample (id or name); gives its record once the facts are here. */
  load(id, { isAhead = false } = {}) {
    const known = this.all.get(id);
    if (known) { this.all.delete(id); this.all.set(id, known); return known.facts; }
    const record = { stop: new AbortController(), evidence: undefined, priority: isAhead ? 'low' : 'high' };
    record.facts = this.#facts(id, record);
    this.all.set(id, record);
    for (const [old, gone] of this.all) {
      if (this.all.size <= KEEP) break;
      gone.stop.abort();
      this.all.delete(old);
    }
    record.facts.catch(() => { if (this.all.get(id) === record) this.all.delete(id); });
    return record.facts;
  }

  async #facts(id, record) {
    const signal = record.stop.signal;
    // By id the matrix is asked for at the same time as the facts, by name only after them.
    if (typeof id === 'number') this.#bring(id, record);
    const item = await api('/pl/api/item', { query: { sample: id }, signal });
    record.item = item;
    item.verdicts = new Map(Object.entries(item.verdicts).map(([label, verdict]) => [Number(label), verdict]));
    item.others = new Map(Object.entries(item.others).map(([label, words]) => [Number(label), words]));
    item.borrowed = new Set(item.borrowed);
    item.marks = marksFrom(item.marks);
    if (item.media) record.image = preload(item.media, { thumb: item.thumb, priority: record.priority });
    if (typeof id !== 'number') {
      this.all.delete(id);
      this.all.set(item.sample, record);
      this.#bring(item.sample, record);
    }
    return record;
  }

  #bring(id, record, label = null) {
    const isWhole = this.source === 'lane', isLayered = this.source === 'layers';
    record.isOld = false;
    record.matrix = api('/pl/api/evidence', { query: { sample: id, label, lanes: isWhole ? 1 : null, layers: isLayered ? 1 : null }, signal: record.stop.signal, raw: true })
      .then(answer => answer.status === 204 ? null : answer.arrayBuffer())
      .then(buffer => { record.evidence = buffer && Object.assign(new Evidence(buffer), { isWhole, isLayered }); return record.evidence; })
      .catch(() => record.evidence ?? null);          // a later look brings it; what is here stays
  }

  /** Fetch the evidence again: of a newer version, or so that it holds `label` too. */
  bringAgain(id, label = null) {
    const record = this.all.get(id);
    if (record) this.#bring(id, record, label);
    return record?.matrix ?? Promise.resolve(null);
  }

  /** Bring the maps of lanes, or of layers, while they are the `source` that is looked at; matrices that lack them are old. */
  use(source) {
    this.source = source;
    const has = { lane: 'isWhole', layers: 'isLayered' }[source];
    if (has) for (const record of this.all.values()) record.isOld ||= !record.evidence?.[has];
  }

  /** New suggestions from the server: id -> suggestions. Every matrix here is then an old one. */
  renew(items) {
    for (const [id, suggestions] of Object.entries(items)) {
      const record = this.all.get(Number(id));
      if (record?.item) record.item.suggestions = suggestions;
    }
    for (const record of this.all.values()) record.isOld = true;
  }

  /** The server's verdicts: id -> {label: verdict}. */
  setVerdicts(all) {
    for (const [id, verdicts] of Object.entries(all)) {
      const record = this.all.get(Number(id));
      if (record?.item) record.item.verdicts = new Map(Object.entries(verdicts).map(([l, v]) => [Number(l), v]));
    }
  }

  /** The server's marks: id -> {label: [mark]}. */
  setMarks(all) {
    for (const [id, marks] of Object.entries(all ?? {})) {
      const record = this.all.get(Number(id));
      if (record?.item) record.item.marks = marksFrom(marks);
    }
  }

  forget(except = null) {
    for (const [id, record] of this.all) {
      if (id !== except) { record.stop.abort(); this.all.delete(id); }
    }
  }
}

// label id -> [{kind, points, verdict}], oldest first
const marksFrom = marks => new Map(Object.entries(marks ?? {}).map(([label, all]) => [Number(label), all]));
