// What a person decides: shown at once, posted in the background (outbox.js), taken back through
// the server. Knows the verdicts of every sample at hand, sent or not.

import { api, newOp, toastError } from './base.js';
import { asPart, withMark } from './geometry.js';
import { asRanges, idsOf } from './id_ranges.js';
import { Outbox, apply, sampleOf } from './outbox.js';

export class Decisions {
  /**
   * `onSaved(entry, answer)`: stored; `onRefused(entry, error)`: the server said no, its state wins;
   * `onRestored(sample)`: an unsent action was taken back; `onUndone(answer, isBack)`: a stored one was, or came back.
   */
  constructor({ node, owner, samples, onSaved, onRefused, onRestored, onUndone }) {
    Object.assign(this, { samples, onRestored, onUndone });
    samples.onTop = item => {
      this.outbox.overlay(item.sample, item.verdicts);
      this.#place(item.marks, this.#unsentMarks(item.sample));
    };
    this.ops = [];                                   // this page's actions, newest last
    this.outbox = new Outbox({
      node, owner,
      send: (entry, signal) => this.#send(entry, signal),
      onSaved: (entry, answer) => this.#saved(entry, answer, onSaved),
      onRefused: (entry, error) => {
        this.ops = this.ops.filter(op => op !== entry.op);
        onRefused(entry, error);
      },
      onTrouble: error => { if (error.status) toastError(error); },
    });
  }

  /** The verdicts of a sample as the person sees them: label id -> verdict. */
  of(item) {
    const all = new Map(item.verdicts);
    this.outbox.overlay(item.sample, all);
    return all;
  }

  /** The marks of a sample as the person sees them: label id -> [{kind, points, verdict}]. */
  marksOf(item) {
    const all = new Map(item.marks);
    this.#place(all, this.#unsentMarks(item.sample));
    return all;
  }

  #unsentMarks(sample) { return this.outbox.entries.flatMap(entry => (entry.rows ?? []).filter(row => row.sample === sample && row.region)); }

  /** Mark one place of a label: here, not here, or (null) no longer. */
  mark(item, label, region, here) { this.markAll(item, label, [{ region, here }]); }

  /**
   * Mark places of a label as one action: `changes` of {region, here}. A label that is somewhere is
   * in the sample: the verdict becomes yes unless the person is unsure of it.
   */
  markAll(item, label, changes) {
    const op = newOp(), said = item.verdicts.get(label) ?? null;
    const verdict = said !== 'unsure' && changes.some(({ here }) => here === true) ? 'yes' : said;
    const rows = changes.map(({ region, here }) => ({ sample: item.sample, label, verdict, region, here }));
    const entry = { kind: 'commit', op, sample: item.sample, rows, before: new Map(item.verdicts), marksBefore: item.marks.get(label) ?? [], seen_version: item.suggestions.version };
    apply({ rows }, item.verdicts);
    this.#place(item.marks, rows);
    this.ops.push(op);
    this.outbox.add(entry);
  }

  // Adding what is there already changes nothing, so rows may be placed again.
  #place(marks, rows) {
    for (const { label, region, here } of rows) {
      if (!region) continue;
      const left = withMark(marks.get(label) ?? [], region, here);
      if (left.length) marks.set(label, left); else marks.delete(label);
    }
  }

  /** One action on one sample: `pairs` of [label id, verdict or null], which the person chose. */
  commit(item, pairs) { this.#act(item, { rows: pairs.map(([label, verdict]) => ({ sample: item.sample, label, verdict })) }); }

  /**
   * The same of what follows from leaving labels as they are seen, e.g. NO to all that is undecided:
   * it holds only where nobody said something else meanwhile, on whatever page.
   */
  accept(item, pairs) {
    const isLeft = ([label, verdict]) => verdict === 'no' && !item.verdicts.has(label), sample = item.sample;
    const rows = pairs.filter(pair => !isLeft(pair)).map(([label, verdict]) => ({ sample, label, verdict, seen: item.verdicts.get(label) ?? null }));
    this.#act(item, { rows, fills: asRanges(pairs.filter(isLeft).map(([label]) => label)) });
  }

  #act(item, { rows, fills = [] }) {
    const op = newOp(), before = new Map(item.verdicts);
    apply({ rows, fills }, item.verdicts);
    this.ops.push(op);
    this.outbox.add({ kind: 'commit', op, sample: item.sample, rows, fills, before, seen_version: item.suggestions.version });
  }

  /** Take the newest action back: at once if it has not left yet, else by asking the server. */
  undo() {
    const op = this.ops.pop() ?? null, entry = this.outbox.entries.find(each => each.op === op);
    if (entry && this.outbox.drop(op)) {
      const sample = sampleOf(entry), item = this.samples.get(sample)?.item;
      if (item) {
        const touched = [...entry.rows.map(row => row.label), ...idsOf(entry.fills ?? [])];
        apply({ rows: touched.map(label => ({ label, verdict: entry.before.get(label) })) }, item.verdicts);
        if (entry.marksBefore) item.marks.set(entry.rows[0].label, entry.marksBefore);
      }
      this.onRestored(sample);
      return;
    }
    // Without a name the server takes back the newest action of this person.
    this.outbox.add({ kind: 'undo', op: newOp(), target: op });
  }

  /** Take the action `op` back; with `isBack`, bring back what the undo `op` took away. */
  undoNamed(op, isBack) { this.outbox.add({ kind: 'undo', op: newOp(), target: op, isBack }); }

  #send(entry, signal) {
    const { user: who, uid } = this.outbox.owner, query = { uid };
    if (entry.kind === 'undo') {
      return api('/pl/api/undo', { query, json: { op: entry.target, request: entry.op, who, spares_imports: true }, signal });
    }
    const { op, rows, fills, seen_version } = entry;
    return api('/pl/api/commit', { query, json: { op, rows: rows.map(asRow), fills: fills?.length ? [{ sample: sampleOf(entry), labels: fills }] : [], seen_version, who }, signal });
  }

  #saved(entry, answer, tell) {
    if (entry.kind === 'undo') {
      if (answer.op) {
        answer.samples.forEach(sample => this.samples.stored(sample, answer.offset, 0));
        this.samples.setVerdicts(answer.verdicts);
        this.samples.setMarks(answer.marks);
      }
      this.onUndone(answer, Boolean(entry.isBack));
      return;
    }
    // The facts of a sample may have been read before this was stored.
    const sample = sampleOf(entry), item = this.samples.get(sample)?.item;
    this.samples.stored(sample, answer.offset, answer.stored);
    if (item) {
      apply(entry, item.verdicts);
      apply({ rows: Object.entries(answer.kept[sample] ?? {}).map(([label, verdict]) => ({ label: Number(label), verdict })) }, item.verdicts);
      this.#place(item.marks, entry.rows);
      this.samples.onTop(item);
    }
    // An action of which nothing was left to store is none that could be taken back.
    if (!answer.stored) this.ops = this.ops.filter(op => op !== entry.op);
    tell(entry, answer);
  }
}

// What the server is sent: a place, or a verdict on the whole sample.
const asRow = ({ sample, label, verdict, region, here, seen }) => region ? { sample, label, part: asPart(region), here } : { sample, label, verdict, seen };
