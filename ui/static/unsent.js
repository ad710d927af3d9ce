// What this browser keeps until a server has answered for it: of which project it is, and whose.
// An action is sent by nobody but the one who made it, to nothing but the project it was made in; a
// project that was made again under an old name is another one. Actions that were kept before this
// was noted were this browser's: where one person works alone they are that person's, where people
// sign in it is asked whose they are.

import { count, el, emit, t } from './base.js';

const KEPT = 'patchlane-outbox:', ALONE = 'me';
// patchlane-outbox:/PROJECT'S ID/PERSON/WHEN-NUMBER-OP, and before that patchlane-outbox:PROJECT'S NAME:WHEN-NUMBER-OP
const NOTED = /^\/([^/]*)\/([^/]*)\/([0-9a-z]+)-\d{6,}-/, EARLIER = /^([^/].*):([0-9a-z]+)-\d{6,}-[^:]+$/s;

/** An owner is {uid, name, user, isAlone, begun}: project, person, whether nobody signs in, the project's first action. */
const shelf = (uid, user) => `${KEPT}/${uid}/${encodeURIComponent(user)}/`;

/** All that is kept here, oldest first: [{key, uid, name, user, when}], of earlier ones without uid and user. */
export function allKept() {
  let keys;
  try { keys = Object.keys(localStorage).filter(key => key.startsWith(KEPT)); } catch { return []; }
  const found = keys.map(key => {
    const rest = key.slice(KEPT.length), noted = NOTED.exec(rest), earlier = EARLIER.exec(rest);
    if (noted) return { key, uid: noted[1], name: null, user: decodeURIComponent(noted[2]), when: parseInt(noted[3], 36) };
    return earlier ? { key, uid: null, name: earlier[1], user: null, when: parseInt(earlier[2], 36) } : null;
  });
  return found.filter(Boolean).toSorted((a, b) => a.when - b.when || (a.key < b.key ? -1 : 1));
}

const isOf = owner => one => one.uid === owner.uid && one.user === owner.user;
const isEarlier = owner => one => one.uid === null && one.name === owner.name;

/** Of `owner` for sure, of which nobody has to be asked. */
const isSure = owner => one => owner.isAlone && isEarlier(owner)(one) && one.when >= 1000 * (owner.begun ?? Infinity);

/** Whose it is cannot be known: kept before that was noted, or while nobody signed in. */
const isDoubtful = owner => one => (isEarlier(owner)(one) && !isSure(owner)(one)) ||
  (!owner.isAlone && owner.user !== ALONE && isOf({ ...owner, user: ALONE })(one));

/** How much of this project waits for this person, or for being asked whose it is. */
export function countKept(owner) {
  return allKept().filter(one => isOf(owner)(one) || isEarlier(owner)(one) || isDoubtful(owner)(one)).length;
}

/** What is kept of `owner`, with what was kept earlier and must be theirs: [{...entry, key}], oldest first. */
export function takeKept(owner) {
  adopt(allKept().filter(isSure(owner)), owner);
  return allKept().filter(isOf(owner)).map(({ key }) => read(key)).filter(Boolean);
}

/** Of which it has to be asked whose it is. */
export const doubtful = owner => allKept().filter(isDoubtful(owner));

/** Of projects that are not on this server: this person's, and earlier ones. `projects` are {uid, name}. */
export function strays(user, projects) {
  const uids = new Set(projects.map(one => one.uid)), names = new Set(projects.map(one => one.name));
  return allKept().filter(one => one.uid === null ? !names.has(one.name) : one.user === (user ?? ALONE) && !uids.has(one.uid));
}

/** Note whose these are from now on. */
export function adopt(all, owner) {
  for (const { key } of all) {
    const entry = read(key);
    if (!entry || keep(asSeen(entry), owner)) forget(key);
  }
}

export function discard(all) {
  for (const { key } of all) forget(key);
  emit('pl:unsent');
}

/** Keep an action; gives it its key. False where the storage is full or forbidden, which only costs the safety net. */
export function keep(entry, owner, number = 0) {
  const { before, marksBefore, key, ...sent } = entry, when = /([0-9a-z]+-\d{6,})-[^:/]+$/.exec(key ?? '')?.[1];
  entry.key = `${shelf(owner.uid, owner.user)}${when ?? `${Date.now().toString(36)}-${String(number).padStart(6, '0')}`}-${entry.op}`;
  try { localStorage.setItem(entry.key, JSON.stringify(sent)); } catch { return false; }
  return true;
}

export function forget(key) {
  try { localStorage.removeItem(key); } catch { /* nothing was kept */ }
}

function read(key) {
  try {
    const entry = JSON.parse(localStorage.getItem(key));
    return entry?.op ? { ...entry, key } : null;
  } catch { return null; }
}

// Earlier actions on several labels of a sample did not tell what followed from leaving a label alone;
// they noted what was said before, which is what the person saw.
function asSeen(entry) {
  const { rows, before } = entry;
  if (!rows || rows.length < 2 || !before) return entry;
  const seen = new Map(before);
  return { ...entry, rows: rows.map(row => (row.region || 'seen' in row || !seen.has(row.label) ? row : { ...row, seen: seen.get(row.label) })) };
}

/** Ask whose `all` are: gives 'mine', 'discard', or null for later. */
export function askWhose(all, owner) {
  const day = one => new Date(one.when).toLocaleString();
  const button = (value, kind = '', attrs = {}) => el('button', { type: 'submit', value, class: `pl-button ${kind}`, ...attrs }, t(`unsent.${value || 'later'}`, owner));
  const text = t('unsent.text', { n: count(all.length), name: owner.name, from: day(all[0]), to: day(all.at(-1)) });
  return new Promise(answer => {
    const dialog = el('dialog', { class: 'pl-dialog', 'aria-label': t('unsent.title'), 'data-testid': 'unsent' },
      el('form', { method: 'dialog', class: 'pl-dialog-body' },
        el('h2', { class: 'pl-h1' }, t('unsent.title')), el('p', { class: 'pl-plain' }, text),
        el('div', { class: 'pl-row end' }, button('', '', { autofocus: true }), button('discard', 'danger'), button('mine', 'primary'))));
    dialog.addEventListener('close', () => { dialog.remove(); answer(dialog.returnValue || null); });
    (document.querySelector('.pl-overlay') ?? document.body).append(dialog);
    dialog.showModal();
  });
}
