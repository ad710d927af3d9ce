// Undo on every page: says in words what was taken back, offers the way back, and asks before a
// whole import goes where somebody was only taking verdicts back.

import { api, count, newOp, project, t, toast, toastError } from './base.js';
import { insist } from './insist.js';

const SECONDS = 12;

/** An action in words, from what the server tells of it (`Deed` of the backend). */
export function inWords(deed) {
  if (!deed) return t('undo.deed.other');
  const { kind, samples, labels, verdicts } = deed, isAboutSamples = kind === 'correct' || kind === 'remove samples';
  const isNamed = kind === 'import' || kind.endsWith(' slice'); // by the one thing it was about, not by samples or labels
  const more = Math.max(samples, labels) - deed.names.length;
  const names = !isNamed && !isAboutSamples && more > 0 ? t('undo.deed.more', { names: deed.names.join(', '), n: count(more) }) : deed.names.join(', ');
  const amount = (n, one, many) => (n ? t(n === 1 ? one : many, { n: count(n) }) : null);
  const both = [amount(samples, 'undo.sample', 'undo.samples'), amount(verdicts, 'undo.verdict', 'undo.verdicts')].filter(Boolean);
  const key = `undo.deed.${kind.replaceAll(' ', '-')}${isAboutSamples ? (samples === 1 ? '.one' : '.many') : ''}`;
  const words = t(key, { names, samples: count(samples), both: both.join(', ') || t('undo.nothing.new') });
  return words === key ? t('undo.deed.other') : words;
}

/**
 * Tell what an undo did. `answer` is the server's, `again(op, isBack)` switches the action `op`
 * once more; `isBack`: it was brought back, not taken.
 */
export function tellUndone(answer, again, { isBack = false } = {}) {
  if (answer.asks) {
    const { op } = answer.asks;
    toast(t('undo.asks', { what: inWords(answer.asks) }), { seconds: SECONDS, action: { text: t('undo.asks.yes'), run: () => again(op, false) } });
  } else if (!answer.op) toast(t('undo.none'));
  else {
    const words = t(isBack ? 'undo.back' : 'undo.done', { what: inWords(answer.deed) });
    toast(words, { seconds: SECONDS, action: { text: t(isBack ? 'undo' : 'undo.redo'), run: () => again(answer.op, !isBack) } });
  }
}

/**
 * What undo does on a page: undo(op | null, isBack) asks for it until there is an answer, tells
 * what was taken back, and runs `then(answer)`. A whole import is asked about before it goes, but
 * where `isMeant(deed)` says that it is what the person looks at. Each call is one undo, however
 * often its request is sent, in the project that was open when the person asked (`at`);
 * a page whose samples stay on the screen says by `uid` of which project they are.
 */
export function undoOn(root, { isMeant = () => false, uid = null, then }) {
  const undo = async (op = null, isBack = false, at = project()) => {
    const request = newOp(), asked = op ? { op } : { spares_imports: true };
    try {
      const answer = await insist(root, 1, () => api('/pl/api/undo', { query: { project: at, uid }, json: { ...asked, request } }));
      if (answer.asks && isMeant(answer.asks)) { await undo(answer.asks.op, false, at); return; }
      tellUndone(answer, (named, back) => undo(named, back, at), { isBack });
      await then(answer);
    } catch (error) { toastError(error); }
  };
  return undo;
}
