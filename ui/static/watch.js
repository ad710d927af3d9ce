// Has the model learned something new? After a commit one request is held at the server for at
// most a second; then it is asked a few times, ever more seldom. Otherwise the bar's own slow look
// at jobs says so (`pl:version`, `pl:offset`), so that an idle tab asks nothing by itself. What other
// people, other tabs or a program said comes the same way, and at once where a tab is looked at again.

import { api, listen, onRemoved } from './base.js';

const WAITS = [1000, 2000, 4000, 8000];        // ms between looks after a commit
const PENDING = 4000;                          // ms while the sample in view waits for its vectors

/**
 * `since()` gives the version shown, `ids()` the samples in view, `also()` the others at hand, `known()`
 * the end of the log that all of them are of (null: none is here); `onNews(answer)` gets what is new.
 */
export function watchVersion({ node, since, ids, also, known, onNews, isWaiting }) {
  const stop = new AbortController();
  let timer = 0, step = WAITS.length, isAsking = false, isAgain = false;

  async function look(hold) {
    clearTimeout(timer);
    if (isAsking) { isAgain ||= hold > 0; return; }
    isAsking = true;
    try {
      const before = since();
      const news = await api('/pl/api/refresh', { query: { since: before, ids: ids().join(','), also: also().join(','), known: known(), hold }, signal: stop.signal });
      if (news.version > before) step = WAITS.length;
      if (news.version > before || Object.keys(news.said).length || isWaiting()) onNews(news);
    } catch (error) {
      if (error.name === 'AbortError') return;          // the page is gone; other failures: look again later
    } finally { isAsking = false; }
    if (isAgain) { isAgain = false; look(1); } else plan();
  }
  function plan() {
    clearTimeout(timer);
    if (document.hidden) return;
    if (step < WAITS.length) timer = setTimeout(look, WAITS[step++], 0);
    else if (isWaiting()) timer = setTimeout(look, PENDING, 0);
  }

  listen(node, 'visibilitychange', () => { if (!document.hidden) look(0); }, document);
  listen(node, 'pl:offset', event => { const now = known(); if (now !== null && event.detail.offset > now) look(0); });
  listen(node, 'pl:version', event => { if (event.detail.version > since()) look(0); });
  onRemoved(node, () => { clearTimeout(timer); stop.abort(); });
  return { plan, now() { step = 0; look(1); } };
}
