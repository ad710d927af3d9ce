// What the page knows of samples that came into view: name, text, verdicts; asked for in batches.
import { api } from './base.js';

const BATCH = 100,
  MOST_KEPT = 6000;

/** createCards(): get(id) gives a card or null; want(ids) asks for the missing ones; drop() forgets all. */
export function createCards() {
  let known = new Map(),
    asked = new Map(),
    round = 0;

  const get = id => known.get(id) ?? null;

  async function ask(ids) {
    const mine = round;
    try {
      const page = await api('/pl/api/page', { query: { ids: ids.join(',') } });
      if (mine !== round) return;
      for (const card of page.samples) known.set(card.id, card);
      while (known.size > MOST_KEPT) known.delete(known.keys().next().value);
    } finally {
      if (mine === round)
        for (const id of ids) asked.delete(id);
    }
  }
  /** Resolves once every id of `ids` was asked for and answered. */
  async function want(ids) {
    const missing = ids.filter(id => !known.has(id) && !asked.has(id));
    for (let at = 0; at < missing.length; at += BATCH) {
      const batch = missing.slice(at, at + BATCH),
        answer = ask(batch);
      for (const id of batch) asked.set(id, answer);
    }
    await Promise.all(new Set(ids.map(id => asked.get(id)).filter(Boolean)));
  }
  /** Forget everything; what is in view is asked for again. */
  function drop() { known = new Map();
    asked = new Map();
    round += 1; }
  return { get, want, drop };
}
