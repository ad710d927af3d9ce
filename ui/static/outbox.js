// What a person did, on its way to the server: applied on the screen at once, posted strictly in
// order in the background, kept in localStorage until the server has answered. Every entry has an
// op id, so a repeated request is the same action. Nothing is called saved before the answer.

import { ApiError, announceSaved, listen } from './base.js';
import { idsOf } from './id_ranges.js';
import { forget, keep, takeKept } from './unsent.js';

const FIRST_WAIT = 250, LONGEST_WAIT = 8000, PATIENCE = 20000;

// The server understood and said no; anything else is tried again. A server that was started to be
// looked at only (403), under another name (421), or another app on its port (405) said nothing of
// what a person did: it is kept for the one that will take it.
const isFinal = error => error instanceof ApiError && error.status >= 400 && error.status < 500 &&
  ![401, 403, 405, 408, 409, 421, 425, 429].includes(error.status);

/** The one sample that an action is about; an undo has none. */
export const sampleOf = entry => entry.sample ?? entry.rows?.[0]?.sample;

/** What an action does to the verdicts of its sample; `fills` are runs of labels that become NO where nothing is said. */
export function apply({ rows, fills }, verdicts) {
  for (const { label, verdict } of rows ?? []) {
    if (verdict) verdicts.set(label, verdict); else verdicts.delete(label);
  }
  for (const label of idsOf(fills ?? [])) if (!verdicts.has(label)) verdicts.set(label, 'no');
}

export class Outbox {
  /**
   * `owner` says whose it is and of which project (unsent.js). `send(entry, signal)` posts one entry and gives the answer; `onSaved(entry, answer)` and
   * `onRefused(entry, error)` are told in order; `onTrouble(error)` once per row of failures.
   */
  constructor({ node, owner, send, onSaved, onRefused, onTrouble }) {
    Object.assign(this, { owner, send, onSaved, onRefused, onTrouble });
    this.entries = [];
    this.trouble = null;                             // the last failure, until something is saved
    this.isBusy = false;
    this.wake = null;
    listen(node, 'online', () => this.wake?.());
    listen(node, 'beforeunload', event => { if (this.entries.length) event.preventDefault(); });
    this.takeKept();
  }

  /** Send what this browser keeps of this person from before. */
  takeKept() {
    const here = new Set(this.entries.map(entry => entry.op));
    this.entries.push(...takeKept(this.owner).filter(entry => !here.has(entry.op)).map(entry => ({ ...entry, tried: true, isKept: true })));
    this.#announce();
    this.#pump();
  }

  get pending() { return this.entries.length; }

  /** Put what the server may not know yet of `sample` on top of its `verdicts`: label id -> verdict. */
  overlay(sample, verdicts) {
    for (const entry of this.entries) if (sampleOf(entry) === sample) apply(entry, verdicts);
  }

  add(entry) {
    keep(entry, this.owner, this.entries.length);
    this.entries.push(entry);
    this.#announce();
    this.#pump();
  }

  /** Take a not yet posted entry back; false if it is on its way or unknown. */
  drop(op) {
    const at = this.entries.findIndex(entry => entry.op === op);
    if (at < 0 || this.entries[at].tried) return false;
    this.#forget(at);
    return true;
  }

  #forget(at) {
    const [entry] = this.entries.splice(at, 1);
    forget(entry.key);
    this.#announce();
  }

  #announce() {
    const state = !this.entries.length ? 'saved' : !this.trouble ? 'saving' : this.trouble.isStale ? 'stale' : 'offline';
    announceSaved(state, this.entries.length);
  }

  /** A listener that fails must not hold up what waits behind this entry. */
  #tell(listener) {
    try { listener(); } catch (error) { console.error(error); }
  }

  async #pump() {
    if (this.isBusy) return;
    this.isBusy = true;
    for (let wait = FIRST_WAIT; this.entries.length;) {
      const entry = this.entries[0];
      entry.tried = true;
      let answer;
      try {
        answer = await this.send(entry, AbortSignal.timeout(PATIENCE));
      } catch (error) {
        if (isFinal(error)) {
          this.#forget(0);
          this.#tell(() => this.onRefused(entry, error));
          continue;
        }
        const isNew = !this.trouble || Boolean(this.trouble.isStale) !== Boolean(error.isStale);
        this.trouble = error;
        if (isNew) this.#tell(() => this.onTrouble(error));
        this.#announce();
        await new Promise(go => { this.wake = go; setTimeout(go, wait * (0.8 + 0.4 * Math.random())); });
        this.wake = null;
        wait = Math.min(LONGEST_WAIT, 2 * wait);
        continue;
      }
      this.trouble = null;
      wait = FIRST_WAIT;
      this.#forget(0);
      this.#tell(() => this.onSaved(entry, answer));
    }
    this.isBusy = false;
  }
}
