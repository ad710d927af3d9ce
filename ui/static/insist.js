// One action of a person on its way to the server, asked again until there is an answer: for pages
// that do one thing at a time. Every request carries an id of the action, so the server does it
// once however often it is asked. Nothing outlives the page: closing it while an action waits asks.
import { ApiError, announceSaved } from './base.js';

const FIRST_WAIT = 500, LONGEST_WAIT = 8000, MOST_FAULTS = 5;

const isAway = error => error instanceof ApiError && error.status === 0;
const isBusy = error => error instanceof ApiError && (error.status >= 500 || [408, 425, 429].includes(error.status));

/**
 * Gives what `send()` gives, or throws its refusal; the bar says how much (`pending`) is under way
 * or kept here. An answer that the server failed counts as a refusal the sixth time. Stops with
 * the last error when `node` left the document.
 */
export async function insist(node, pending, send) {
  const guard = event => event.preventDefault();
  addEventListener('beforeunload', guard);
  announceSaved('saving', pending);
  let faults = 0;
  try {
    for (let wait = FIRST_WAIT; ; wait = Math.min(LONGEST_WAIT, 2 * wait)) {
      try {
        return await send();
      } catch (error) {
        faults += isBusy(error);
        if (!node.isConnected || !(isAway(error) || isBusy(error)) || faults > MOST_FAULTS) throw error;
        announceSaved('offline', pending);
        await pause(wait);
      }
    }
  } finally {
    removeEventListener('beforeunload', guard);
    announceSaved('saved');
  }
}

/** So many milliseconds, or until the browser is online again. */
const pause = wait => new Promise(go => {
  const end = () => { removeEventListener('online', end); clearTimeout(timer); go(); };
  const timer = setTimeout(end, wait);
  addEventListener('online', end);
});
