// What a person did, on its way to the server: applied on the screen at once, posted strictly in
// order in the background, kept in localStorage until the server has answered. Every entry has an
// op id, so a repeated request is the same action. Nothing is called saved before the answer.

import { ApiError, announceSaved, listen } from './base.js';

const FIRST_WAIT = 250, LONGEST_WAIT = 8000, PATIENCE = 20000;

// The server understood and said no; anything else is tried again.
const isFinal = error => error instanceof ApiError && error.status >= 400 && error.status < 500 &&
  ![401, 408, 409, 425, 429].includes(error.status);

export class Outbox {
  /**
   * `send(entry, signal)` posts one entry and gives the answer; `onSaved(entry, answer)` and
   * `onRefused(entry, error)` are told in order; `onTrouble(error)` once per row of failures.
   */
  constructor({ node, project, send, onSaved, onRefused, onTrouble }) {
    Object.assign(this, { send, onSaved, onRefused, onTrouble });
    this.prefix = `patchlane-outbox:${project}:`;
    this.entries = this.#kept();
    this.isOffline = false;
    this.isBusy = false;
    this.wake = null;
    listen(node, 'online', () => this.wake?.());
    listen(node, 'beforeunload', event => { if (this.entries.length) event.preventDefault(); });
    this.#announce();
    this.#pump();
  }

  get pending() { return this.entries.length; }

  /** Verdicts of `sample` that the server may not know yet: label id -> verdict or null. */
  unsent(sample) {
    const rows = new Map();
    for (const entry of this.entries) {
      for (const row of entry.rows ?? []) if (row.sample === sample) rows.set(row.label, row.verdict);
    }
    return rows;
  }

  add(entry) {
    entry.key = `${this.prefix}${Date.now().toString(36)}-${String(this.entries.length).padStart(6, '0')}-${entry.op}`;
    this.entries.push(entry);
    // A full or forbidden storage only costs the safety net; the entry is still sent.
    try { localStorage.setItem(entry.key, JSON.stringify(entry)); } catch { /* said above */ }
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

  #kept() {
    const found = [];
    try {
      for (const key of Object.keys(localStorage).filter(k => k.startsWith(this.prefix)).sort()) {
        const entry = JSON.parse(localStorage.getItem(key));
        if (entry?.op) found.push({ ...entry, key, tried: true, isKept: true });
      }
    } catch { /* a storage we may not read holds nothing of ours */ }
    return found;
  }

  #forget(at) {
    const [entry] = this.entries.splice(at, 1);
    try { localStorage.removeItem(entry.key); } catch { /* nothing was kept */ }
    this.#announce();
  }

  #announce() {
    const state = !this.entries.length ? 'saved' : this.isOffline ? 'offline' : 'saving';
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
        if (!this.isOffline) { this.isOffline = true; this.#tell(() => this.onTrouble(error)); }
        this.#announce();
        await new Promise(go => { this.wake = go; setTimeout(go, wait * (0.8 + 0.4 * Math.random())); });
        this.wake = null;
        wait = Math.min(LONGEST_WAIT, 2 * wait);
        continue;
      }
      this.isOffline = false;
      wait = FIRST_WAIT;
      this.#forget(0);
      this.#tell(() => this.onSaved(entry, answer));
    }
    this.isBusy = false;
  }
}
