// The versions of the model, the newest first: which one is live, what made it, two of them compared
// on the samples whose suggested labels differ, and the way back to an earlier one.
import { ago, api, count, el, onRemoved, t, toast, toastError, url } from './base.js';
import { filterAddress } from './filter_words.js';

const SHOWN_FOLDS = 2;                    // of a run of steps that only learned new verdicts

export function mountVersions(root, desk) {
  const list = el('ol', { class: 'pl-versions', 'data-testid': 'versions' });
  const older = el('button', { type: 'button', class: 'pl-button small', hidden: true, onclick: more }, t('learn.versions.more'));
  const selects = ['one', 'other'].map(name => el('select', { class: 'pl-input', 'data-testid': `compare-${name}`, 'aria-label': t(`learn.compare.${name}`), onchange: () => compare() }));
  const changed = el('div', { class: 'pl-changes', 'data-testid': 'changes', 'aria-live': 'polite' });
  const comparing = el('section', { class: 'pl-compare', 'aria-label': t('learn.compare') },
    el('h2', { class: 'pl-h2' }, t('learn.compare')),
    el('div', { class: 'pl-compare-with' }, selects[0], el('span', { class: 'pl-dim' }, '→'), selects[1]), changed);
  root.replaceChildren(el('header', { class: 'pl-learn-head' }, el('h2', { class: 'pl-h1' }, t('learn.versions'))), list, older, comparing);
  const open = new Set();
  let steps = [], past = [], seen = '', asked = '', turn = 0;

  function refresh(state) {
    const now = JSON.stringify([state.project, state.version, state.versions, state.readOnly]);
    if (now === seen) return;
    seen = now;
    const oldest = state.versions.steps.at(-1)?.version ?? 1;
    past = past.length ? steps.filter(step => step.version < oldest) : [];   // what a new one pushed out among them
    steps = [...state.versions.steps, ...past];
    older.hidden = !state.versions.more || past.at(-1)?.version === 1;
    draw(state);
    offer(state);
  }

  async function more() {
    try {
      const found = await api('/pl/api/learn/versions', { query: { before: steps.at(-1).version } });
      past = [...past, ...found.steps];
      steps = [...steps, ...found.steps];
      older.hidden = !found.more;
      draw(desk.state);
      offer(desk.state);
    } catch (error) { toastError(error); }
  }

  function draw(state) {
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const rows = [];
    for (let at = 0; at < steps.length;) {
      let end = at;
      while (end < steps.length && steps[end].kind === 'fold' && steps[end].version !== state.version) end += 1;
      if (end - at > SHOWN_FOLDS + 1) { rows.push(...steps.slice(at, at + SHOWN_FOLDS).map(step => row(step, state)), folded(steps.slice(at + SHOWN_FOLDS, end), state)); at = end; } else { rows.push(row(steps[at], state)); at += 1; }
    }
    if (older.hidden && steps.length) rows.push(row({ version: 0, kind: 'start', when: null, verdicts: 0, added: 0 }, state));
    list.replaceChildren(...(rows.length ? rows : [el('li', { class: 'pl-dim pl-versions-none' }, t('learn.versions.none'))]));
    if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  function folded(some, state) {
    const key = some.at(-1).version, added = some.reduce((sum, step) => sum + step.added, 0);
    const node = el('details', { open: open.has(key) }, el('summary', {}, t('learn.versions.folds', { n: count(some.length), added: count(added) })),
      el('ol', { class: 'pl-versions' }, some.map(step => row(step, state))));
    node.addEventListener('toggle', () => { if (node.open) open.add(key); else open.delete(key); });
    return el('li', { class: 'folds' }, node);
  }

  function row(step, state) {
    const isLive = step.version === state.version;
    const act = (name, words, run) => el('button', { type: 'button', class: 'pl-button small', 'data-testid': `version-${name}`, 'data-key': `${name}-${step.version}`, onclick: run }, words);
    return el('li', { class: isLive ? 'live' : null, 'data-testid': 'version-row', 'data-version': step.version, 'data-kind': step.kind, 'aria-current': isLive ? 'true' : null },
      el('div', { class: 'what' },
        el('b', { class: 'pl-num' }, t('bar.version', { version: step.version })), ' ', t(`learn.kind.${step.kind}`, { name: step.pack, to: step.to }),
        isLive ? el('span', { class: 'pl-tag live' }, t('learn.live')) : null),
      el('div', { class: 'pl-dim pl-small' }, [step.version ? t('learn.versions.verdicts', { n: count(step.verdicts), added: count(step.added) }) : '', step.when ? when(step.when) : ''].filter(Boolean).flatMap((part, k) => k ? [', ', part] : [part])),
      isLive ? null : el('div', { class: 'acts' }, act('compare', t('learn.compare.do'), () => against(step.version)),
        state.readOnly ? null : act('revert', t('learn.revert'), () => revert(step.version))));
  }

  const when = seconds => el('time', { datetime: new Date(seconds * 1000).toISOString(), title: new Date(seconds * 1000).toLocaleString(), 'data-when': seconds }, ago(seconds));
  const clock = setInterval(() => { for (const node of list.querySelectorAll('time')) node.textContent = ago(Number(node.dataset.when)); }, 10_000);
  onRemoved(root, () => clearInterval(clock));

  async function revert(version) {
    const made = await desk.change({ action: 'revert', version });
    if (made) toast(t('learn.revert.done', { version: made.version, to: version }), { action: { text: t('undo'), run: () => revert(made.before) }, seconds: 12 });
  }

  // ---- two versions ----------------------------------------------------------------------------

  function offer(state) {
    const numbers = [...steps.map(step => step.version), 0];
    comparing.hidden = !steps.length;
    for (const [k, select] of selects.entries()) {
      const now = select.value;
      select.replaceChildren(...numbers.map(n => el('option', { value: n }, t('bar.version', { version: n }) + (n === state.version ? ` (${t('learn.live')})` : ''))));
      if (now && numbers.includes(Number(now))) select.value = now;
      else select.value = k ? state.version : steps.find(step => step.version === state.version)?.from ?? 0;
    }
    if (!asked) changed.replaceChildren(el('p', { class: 'pl-dim pl-plain' }, t('learn.compare.what')));
  }

  function against(version) {
    selects[0].value = version;
    selects[1].value = desk.state.version;
    compare();
    comparing.scrollIntoView({ block: 'nearest' });
  }

  async function compare() {
    const [one, other] = selects.map(select => Number(select.value)), mine = turn += 1;
    asked = `${one} ${other}`;
    comparing.setAttribute('aria-busy', 'true');
    try {
      const found = await api('/pl/api/learn/compare', { query: { one, other } });
      if (mine === turn) showChanges(found);
    } catch (error) {
      if (mine === turn) changed.replaceChildren(el('p', { class: 'pl-plain' }, error.message));
    } finally { if (mine === turn) comparing.removeAttribute('aria-busy'); }
  }

  function showChanges({ one, other, total, isAll, changes }) {
    changed.dataset.pair = `${one} ${other}`;
    const words = total ? t(total > changes.length ? 'learn.compare.many' : 'learn.compare.found', { n: isAll ? count(total) : t('learn.compare.least', { n: count(total) }), shown: count(changes.length) }) : t('learn.compare.same');
    const all = el('a', { href: url('/explore', filterAddress([`changed:${one}:${other}`])), 'data-testid': 'changes-explore' }, t('learn.compare.explore'));
    changed.replaceChildren(el('p', { class: 'pl-dim pl-plain' }, words, ...(total ? [' ', all] : [])), el('ul', { class: 'pl-change-list' }, changes.map(change)));
  }

  function change(one) {
    const said = (names, sign, kind) => names.map(name => el('span', { class: `pl-moved ${kind}`, title: t(`learn.compare.${kind}`, { name }) }, `${sign} ${name}`));
    return el('li', { 'data-testid': 'change', 'data-id': one.sample },
      el('a', { href: url('/', { sample: one.sample }), title: t('learn.compare.open', { name: one.name }) },
        one.thumb ? el('img', { src: one.thumb, alt: '', width: 64, height: 64, loading: 'lazy' }) : null,
        el('span', { class: 'about' }, el('span', { class: one.thumb ? 'name' : 'text' }, one.thumb ? one.name : one.text),
          el('span', { class: 'moves' }, said(one.gained, '+', 'gained'), said(one.lost, '−', 'lost')))));
  }

  return { refresh };
}
