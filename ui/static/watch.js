// Has the model learned something new? After a commit one request is held at the server for at
// most a second; then it is asked ever more seldom, and never while nobody looks.

import { api, listen, onRemoved } from './base.js';

const WAITS = [1000, 2000, 4000, 8000, 15000];        // ms between looks while idle

/** `since()` gives the version shown, `ids()` the samples in view; `onNews(answer)` gets each answer. */
export function watchVersion({ node, since, ids, onNews, isWaiting }) {
  const stop = new AbortController();
  let timer = 0, step = WAITS.length - 1, isAsking = false, isAgain = false;

  async function look(hold) {
    clearTimeout(timer);
    if (isAsking) { isAgain ||= hold > 0; return; }
    isAsking = true;
    try {
      const before = since();
      const news = await api('/pl/api/refresh', { query: { since: before, ids: ids().join(','), hold }, signal: stop.signal });
      if (news.version > before) step = WAITS.length - 1;
      if (news.version > before || isWaiting()) onNews(news);
    } catch (error) {
      if (error.name === 'AbortError') return;          // the page is gone; other failures: look again later
    } finally { isAsking = false; }
    if (isAgain) { isAgain = false; look(1); return; }
    timer = setTimeout(idle, WAITS[step]);
    step = Math.min(WAITS.length - 1, step + 1);
  }
  const idle = () => { if (!document.hidden) look(0); };

  listen(node, 'visibilitychange', idle, document);
  onRemoved(node, () => { clearTimeout(timer); stop.abort(); });
  timer = setTimeout(idle, WAITS[WAITS.length - 1]);
  return { now() { step = 0; look(1); } };
}
