// The samples on screen and those read ahead: their facts, their picture (decoded) and their
// evidence, so that the next one is on the screen in one frame.

import { api } from './base.js';
import { Evidence } from './evidence.js';
import { preload } from './viewer.js';

const KEEP = 24;

export class Samples {
  /** `onTop(item)` puts what this page did and the server may not know yet on top of what it says. */
  constructor({ onTop = () => {} } = {}) { Object.assign(this, { all: new Map(), source: '', own: new Map(), isClosed: false, onTop }); }

  /** What is here of a sample: {item, image, evidence}; each undefined until it has come. */
  get(id) { return this.all.get(id); }

  /** Bring a sample (a number is its id, text its name); gives its record once the facts are here. */
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

  /** Bring a sample that somebody waits for, though what is here is forgotten meanwhile. */
  async bring(id) {
    for (;;) {
      try { return await this.load(id); } catch (error) { if (error.name !== 'AbortError' || this.isClosed) throw error; }
    }
  }

  /** Read a sample anew; what is here of it stays where that fails. */
  async again(id) {
    const before = this.all.get(id);
    this.all.delete(id);
    try { return await this.load(id); } catch (error) {
      if (before?.item && !this.all.has(id)) this.all.set(id, before);
      throw error;
    }
  }

  async #facts(id, record) {
    const signal = record.stop.signal, query = typeof id === 'number' ? { sample: id } : { name: id };
    // By id the matrix is asked for at the same time as the facts, by name only after them.
    if (typeof id === 'number') this.#bring(id, record);
    let item = await api('/pl/api/item', { query, signal });
    // Read before something was stored that this page has done since.
    if (item.offset < (this.own.get(item.sample) ?? 0)) item = await api('/pl/api/item', { query, signal });
    record.item = Object.assign(item, said(item));
    this.onTop(item);
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

  // ---- what is said of the samples, by whomever -------------------------------------------------

  /** The end of the log as far as all samples here are of it; null without any. */
  get known() {
    const all = [...this.all.values()].filter(record => record.item).map(record => record.item.offset);
    return all.length ? Math.min(...all) : null;
  }

  /** This page's own action on a sample is stored, the last of its `stored` rows at `offset`. */
  stored(sample, offset, stored) {
    this.own.set(sample, Math.max(offset, this.own.get(sample) ?? 0));
    // Nothing else came between: what was known before it and the action itself is all there is.
    for (const { item } of this.all.values()) if (item && stored && item.offset >= offset - stored) item.offset = Math.max(item.offset, offset);
  }

  /**
   * All that is said by now, up to `offset` of the log: id -> what `item` says of it. Gives the ids
   * that changed. What is not told of is gone, or came meanwhile: it is read again when it is
   * opened, but for `now`, the sample in view.
   */
  hear(all, offset, now) {
    const changed = [];
    for (const [id, record] of this.all) {
      if (id === now || Object.hasOwn(all, id) || !record.item || record.item.offset >= offset) continue;
      this.drop(id);
    }
    for (const [id, found] of Object.entries(all)) {
      const item = this.all.get(Number(id))?.item;
      // An answer from before what is known here, or from before an action of this page, is old.
      if (!item || offset < item.offset || offset < (this.own.get(item.sample) ?? 0)) continue;
      const before = JSON.stringify(parts(item));
      Object.assign(item, said(found), { offset });
      this.onTop(item);
      if (JSON.stringify(parts(item)) !== before) changed.push(item.sample);
    }
    return changed;
  }

  /** The server's verdicts: id -> {label: verdict}. */
  setVerdicts(all) {
    for (const [id, verdicts] of Object.entries(all)) {
      const record = this.all.get(Number(id));
      if (record?.item) record.item.verdicts = byLabel(verdicts);
    }
  }

  /** The server's marks: id -> {label: [mark]}. */
  setMarks(all) {
    for (const [id, marks] of Object.entries(all ?? {})) {
      const record = this.all.get(Number(id));
      if (record?.item) record.item.marks = marksFrom(marks);
    }
  }

  /** A sample is read again when it is opened. */
  drop(id) {
    this.all.get(id)?.stop.abort();
    this.all.delete(id);
  }

  /** Nothing is brought any more. */
  close() {
    this.isClosed = true;
    this.forget();
  }

  forget(except = null) {
    for (const id of this.all.keys()) if (id !== except) this.drop(id);
  }
}

const byLabel = all => new Map(Object.entries(all ?? {}).map(([label, found]) => [Number(label), found]));
// label id -> [{kind, points, verdict}], oldest first
const marksFrom = byLabel;

/** What people said of a sample, as it is kept here. */
const said = found => ({ verdicts: byLabel(found.verdicts), others: byLabel(found.others), borrowed: new Set(found.borrowed), marks: marksFrom(found.marks) });
const inOrder = map => [...map].toSorted(([a], [b]) => a - b);
const parts = ({ verdicts, others, borrowed, marks }) => [inOrder(verdicts), inOrder(others), [...borrowed].toSorted(), inOrder(marks)];
