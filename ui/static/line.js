// The samples waiting to be looked at: fetched in time, kept in order, marked when they are done.

import { api, t, toastError } from './base.js';

const LOW = 8, FETCH = 24, BEHIND = 30;      // left before more is fetched, fetched at once, kept when done

export class Line {
  /** `queue` draws it; `onAnswer(answer)` sees each answer (it holds the labels, too). */
  constructor({ queue, onAnswer }) {
    Object.assign(this, { queue, onAnswer, entries: [], at: -1, picker: 'stages', samples: 0, encoded: 0, isReading: false, isAway: false });
  }

  async ask(after = 0) {
    const { picker } = this;
    const answer = await api('/pl/api/queue', { query: { picker, k: FETCH, after: picker === 'order' ? after : null } });
    this.onAnswer(answer);
    Object.assign(this, { samples: answer.samples, encoded: answer.encoded, isReading: answer.is_reading, isAway: false });
    if (picker !== this.picker) return answer;
    const have = new Set(this.entries.map(entry => entry.sample));
    this.entries.push(...answer.entries.filter(entry => !have.has(entry.sample)));
    this.queue.setEntries(this.entries);
    return answer;
  }

  /** Fetch more; what was done long ago leaves the list. */
  refill() {
    const last = Math.max(0, ...this.entries.filter(entry => entry.picker === 'order').map(entry => entry.sample));
    const gone = Math.max(0, this.at - BEHIND);
    this.entries.splice(0, gone);
    this.at -= gone;
    this.filling ??= this.ask(last).catch(error => { this.isAway = !error.status || error.status === 429 || error.status >= 500; if (!this.isAway) toastError(error); }).finally(() => { this.filling = null; });
    return this.filling;
  }

  /** Nothing waits any more; `ask` brings what there is now. */
  clear() { this.entries = []; this.at = -1; }

  /** Another picker: what waits is replaced, what is done and what is in view (`now`) stays. */
  async choose(picker, now) {
    this.picker = picker;
    this.queue.picker.value = picker;
    this.entries = this.entries.filter(entry => entry.isDone || entry.sample === now);
    this.at = this.entries.findIndex(entry => entry.sample === now);
    await this.ask();
    this.queue.setCurrent(now ?? null);
  }

  /** `item` is in view now; one that was opened from elsewhere is put in place. */
  stand(item) {
    this.at = this.entries.findIndex(entry => entry.sample === item.sample);
    if (this.at < 0) {
      this.at = Math.max(0, this.entries.findIndex(entry => !entry.isDone));
      this.entries.splice(this.at, 0, {
        sample: item.sample, name: item.name, thumb: item.thumb, text: item.text?.slice(0, 140) ?? null,
        reason: t('label.opened'), picker: 'opened',
      });
      this.queue.setEntries(this.entries);
    }
    this.queue.setCurrent(item.sample);
    if (this.waiting().length < LOW) this.refill();
  }

  /** Ids of the labels that a sample in the queue asks about. */
  asks(sample) { return this.entries.find(entry => entry.sample === sample)?.asks ?? []; }

  /** Ids of what comes after the sample in view. */
  waiting() {
    return this.entries.slice(this.at + 1).filter(entry => !entry.isDone).map(entry => entry.sample);
  }

  /** The next one to look at, from the start again where the end is reached; null if all is done. */
  async following() {
    const now = this.entries[this.at]?.sample;
    const rest = () => this.waiting()[0] ?? this.entries.find(entry => !entry.isDone && entry.sample !== now)?.sample;
    if (rest() === undefined) await this.refill();
    return rest() ?? null;
  }

  /** A sample is gone: it waits no more. False if it did not. */
  drop(sample) {
    const at = this.entries.findIndex(each => each.sample === sample);
    if (at < 0) return false;
    this.entries.splice(at, 1);
    if (at <= this.at) this.at -= 1;
    this.queue.setEntries(this.entries);
    return true;
  }

  mark(sample, isDone) {
    const entry = this.entries.find(each => each.sample === sample);
    if (entry) entry.isDone = isDone;
    this.queue.rows.get(sample)?.classList.toggle('done', isDone);
  }
}
