// The audit: what is probably wrong, in groups that one decision fits. A job looks; a group is fixed
// with one click, as one action with one undo, and the line beside the button says before what it
// will change. What is put aside stays aside.
import { ago, announceJobs, api, count, el, emit, newOp, params, percent, t, toast, toastError } from './base.js';

const KINDS = ['label', 'import', 'duplicate', 'ambiguous'], RUNS = ['queued', 'running'];
const SHARES = ['chance', 'heads', 'neighbours', 'text', 'prototype', 'instead', 'alike'];

/** `desk.undone()` is called after an undo that this section did. */
export function mountAudit(root, desk) {
  const button = el('button', { type: 'button', class: 'pl-button', 'data-testid': 'audit-look', onclick: look }, t('audit.look'));
  const prune = el('input', { type: 'checkbox', 'data-testid': 'audit-pruning' });
  const told = el('p', { class: 'pl-dim pl-plain', role: 'status', 'data-testid': 'audit-told' }, t('audit.none'));
  const lists = el('div', { class: 'pl-audit' });
  root.dataset.testid = 'audit';
  root.id = 'audit';
  root.replaceChildren(el('header', { class: 'pl-learn-head' }, el('h2', { class: 'pl-h2' }, t('audit.title')),
    el('div', { class: 'pl-row' }, el('label', { class: 'pl-people-check' }, prune, t('audit.pruning.ask')), button)), told, lists);
  const left = new Set(); // what was unticked, by key
  let state = null, asking = false, drawn = '', isGoneTo = location.hash !== '#audit';

  async function look() {
    try { await api('/pl/api/audit', { json: { pruning: prune.checked } }); announceJobs(); await ask(); } catch (error) { toastError(error); }
  }

  async function ask() {
    if (asking) return;
    asking = true;
    try { state = await api('/pl/api/audit'); show(); } catch (error) { told.textContent = error.message; } finally { asking = false; }
  }

  function show() {
    const isBusy = RUNS.includes(state.state);
    button.disabled = isBusy;
    root.dataset.state = isBusy ? 'busy' : state.when ? 'done' : 'none';
    told.textContent = isBusy ? t('audit.busy') : state.error || (state.when ? summary() : t('audit.none'));
    // The page asks again after every version and job; what is the same stays, with its scrolling.
    const now = JSON.stringify([state.project, state.readOnly, state.notes, state.pruning, state.counts, state.groups]);
    if (now === drawn) return;
    drawn = now;
    const active = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    lists.replaceChildren(...(state.notes ?? []).map(note => el('p', { class: 'pl-note pl-small', 'data-testid': 'audit-note' }, note)), pruning(),
      ...KINDS.map(kind => [kind, state.groups.filter(group => group.kind === kind)]).filter(([, groups]) => groups.length).map(([kind, groups]) => section(kind, groups)),
      state.more ? el('p', { class: 'pl-dim pl-small' }, t('audit.more', { n: count(state.more) })) : '');
    if (active) root.querySelector(`[data-key="${CSS.escape(active)}"]`)?.focus({ preventScroll: true });
    if (!isGoneTo) { isGoneTo = true; root.scrollIntoView({ block: 'start' }); }
  }

  function summary() {
    const parts = KINDS.filter(kind => state.counts[kind]).map(kind => t(`audit.count.${kind}`, { n: count(state.counts[kind]) }));
    const aside = state.dismissed ? t('audit.aside', { n: count(state.dismissed) }) : '';
    return `${t('audit.when', { ago: ago(state.when), n: count(state.checked) })} ${parts.join(', ') || t('audit.clean')}.${aside}`;
  }

  function pruning() {
    const found = state.pruning;
    if (!found) return '';
    const value = number => number.toFixed(3);
    return el('p', { class: 'pl-note pl-small', 'data-testid': 'audit-pruned' },
      t('audit.pruning.told', { n: count(found.pairs), before: value(found.before), after: value(found.after), random: value(found.at_random) }));
  }

  const section = (kind, groups) => el('section', { 'aria-label': t(`audit.kind.${kind}`) },
    el('h3', { class: 'pl-h3' }, `${t(`audit.kind.${kind}`)} (${count(state.counts[kind])})`),
    el('p', { class: 'pl-dim pl-small' }, t(`audit.hint.${kind}`)), groups.map(groupOf));

  function groupOf(group) {
    const chosen = () => group.suspects.filter(one => !left.has(one.key));
    const forecast = el('span', { class: 'pl-small', 'aria-live': 'polite', 'data-testid': 'audit-forecast' });
    const fix = el('button', { type: 'button', class: 'pl-button small primary', 'data-testid': 'audit-fix', 'data-key': `fix ${group.key}`, onclick: () => decide(fix, () => accept(group, chosen())) }, t(`audit.fix.${group.proposal || 'none'}`));
    const dismiss = el('button', { type: 'button', class: 'pl-button small', 'data-testid': 'audit-dismiss', 'data-key': `dismiss ${group.key}`, onclick: () => decide(dismiss, () => putAside(chosen())) }, t('audit.dismiss'));
    const tell = () => {
      const here = chosen();
      forecast.textContent = foretold(group, here);
      fix.disabled = dismiss.disabled = !here.length;
    };
    const cards = group.suspects.map(one => card(one, group, tell));
    tell();
    return el('article', { class: 'pl-audit-group', 'data-testid': 'audit-group', 'data-kind': group.kind, 'data-proposal': group.proposal, 'data-count': group.count },
      el('header', {}, el('h4', { class: 'pl-audit-title' }, group.title, el('span', { class: 'pl-dim' }, ` (${count(group.count)})`), group.sharesPart ? el('span', { class: 'pl-badge', title: t('audit.part.hint') }, t('audit.part')) : null),
        state.readOnly ? null : el('div', { class: 'pl-row' }, forecast, group.proposal ? fix : null, dismiss)),
      el('div', { class: 'pl-audit-row' }, cards));
  }

  function foretold(group, here) {
    const names = here[0]?.labels.map(label => label.name) ?? [];
    if (!group.proposal) return '';
    if (group.proposal === 'remove') return t('audit.will.remove', { n: count(here.reduce((sum, one) => sum + one.samples.length - 1, 0)) });
    if (group.proposal === 'relabel') return t('audit.will.relabel', { n: count(here.length), one: names[0] ?? '', other: names[1] ?? '' });
    if (group.kind === 'ambiguous') return t('audit.will.several', { n: count(here.reduce((sum, one) => sum + one.labels.length, 0)) });
    return t(`audit.will.${group.proposal}`, { n: count(here.length), one: names[0] ?? '' });
  }

  function card(one, group, tell) {
    const name = one.samples[0].name;
    const tick = el('input', { type: 'checkbox', checked: !left.has(one.key), 'aria-label': t('audit.tick', { name }), 'data-key': `tick ${one.key}`,
      onchange: event => { if (event.target.checked) left.delete(one.key); else left.add(one.key); tell(); } });
    return el('div', { class: 'pl-audit-card', title: one.reason, 'data-testid': 'suspect', 'data-sample': name, 'data-label': one.labels[0]?.name ?? '' },
      el('div', { class: 'pl-audit-shots' }, one.samples.slice(0, 3).map(sample => shot(sample, one))),
      el('div', { class: 'pl-row' }, tick, el('span', { class: 'pl-cut pl-small', title: name }, name)),
      group.kind === 'label' || group.kind === 'import' ? evidence(one) : null,
      group.kind === 'label' ? null : el('span', { class: 'pl-small pl-dim' }, one.reason));
  }

  const evidence = one => el('dl', { class: 'pl-audit-evidence' }, SHARES.filter(key => key in one.evidence).map(key => [
    el('dt', { title: t(`audit.evidence.${key}.hint`) }, t(`audit.evidence.${key}`)), el('dd', { class: 'pl-num' }, percent(one.evidence[key]))]).flat());

  function shot(sample, one) {
    const query = new URLSearchParams({ ...(params().get('project') ? { project: state.project } : {}), sample: sample.sample });
    if (one.labels.length) query.set('label', one.labels[0].name);
    return el('a', { href: `/?${query}`, title: t('audit.open', { name: sample.name }) },
      sample.thumb ? el('img', { src: sample.thumb, alt: sample.name, loading: 'lazy', draggable: 'false' }) : el('span', { class: 'words' }, (sample.text ?? '').slice(0, 160)));
  }

  /** Run one action of a group, {op, words} of what was done, with its button off, then ask again what is left. */
  async function decide(pressed, act) {
    pressed.disabled = true;
    try {
      const { op, words } = await act();
      emit('pl:labels');
      toast(words, { action: op ? { text: t('undo'), run: () => desk.undo(op) } : null, seconds: 12 });
    } catch (error) { toastError(error); }
    pressed.disabled = false;
    await ask();
  }

  /** One verdict on one label of many samples goes through the bulk route, all else by its keys. */
  async function accept(group, here) {
    const isBulk = ['yes', 'no', 'drop', 'unsure'].includes(group.proposal) && group.kind !== 'ambiguous';
    const done = isBulk
      ? await api('/pl/api/bulk', { json: { ids: here.map(one => one.samples[0].sample), labels: [here[0].labels[0].id], verdict: group.proposal === 'drop' ? null : group.proposal, op: newOp() } })
      : await api('/pl/api/audit/accept', { json: { keys: here.map(one => one.key), op: newOp() } });
    return { op: done.op, words: group.proposal === 'remove' ? t('audit.removed') : t('audit.fixed', { n: count(done.changed) }) };
  }

  async function putAside(here) {
    const { op } = await api('/pl/api/audit/dismiss', { json: { keys: here.map(one => one.key), op: newOp() } });
    return { op, words: t('audit.put.aside', { n: count(here.length) }) };
  }

  return { refresh: ask };
}
