// Several people: how far they agree, overall and per label, and where they differ. A dispute is
// decided for everybody here; each one's own word stays in the log, and one undo takes it back.
import { api, count, debounce, el, listen, newOp, params, percent, sentence, t, toast, toastError, url } from './base.js';
import { filterAddress } from './filter_words.js';

const PAGE = 20, SAYS = ['yes', 'no', 'unsure'], MARKS = { yes: '✓', no: '✕', unsure: '?' };

export function mountPeople(root) {
  const told = el('p', { class: 'pl-plain', role: 'status', 'data-testid': 'people-told' }), alpha = el('span', { class: 'pl-tag pl-num', 'data-testid': 'people-alpha' });
  const blind = el('input', { type: 'checkbox', 'data-testid': 'people-blind', onchange: setBlind }), files = el('input', { type: 'checkbox', onchange: () => ask() });
  const find = el('input', { type: 'search', class: 'pl-input', placeholder: t('people.find'), 'aria-label': t('people.find'), oninput: debounce(() => ask(), 200) });
  const voices = el('div', { class: 'pl-table-scroll' }), labels = el('div', { class: 'pl-table-scroll' });
  const tables = el('div', { class: 'pl-people-tables' });
  const trust = el('p', { class: 'pl-dim pl-small', hidden: true, 'data-testid': 'people-trust' });
  const csv = name => el('a', { class: 'pl-button small', download: '', 'data-testid': `people-csv-${name}` }, t('eval.csv'));
  const csvs = { people: csv('people'), labels: csv('labels'), disputes: csv('disputes') };
  const list = el('ul', { class: 'pl-disputes' }), title = el('h3', { class: 'pl-h3' }), all = el('button', { type: 'button', class: 'pl-button small', hidden: true, onclick: () => narrow(null) }, t('people.disputes.all'));
  const more = el('button', { type: 'button', class: 'pl-button small', hidden: true, onclick: () => askDisputes(list.childElementCount) }, t('people.next'));
  const check = (input, key, title = null) => el('label', { class: 'pl-people-check', title }, input, ' ', t(key));
  root.dataset.testid = 'people';
  root.id = 'people';
  root.replaceChildren(
    el('header', { class: 'pl-learn-head' }, el('h2', { class: 'pl-h2' }, t('people.title'), ' ', alpha), el('div', { class: 'pl-people-set' }, check(files, 'people.files'), check(blind, 'people.blind', t('people.blind.hint')))),
    el('p', { class: 'pl-dim pl-small' }, t('people.hint')), told,
    tables,
    el('header', { class: 'pl-learn-head' }, title, all, csvs.disputes), list, more);
  tables.append(el('div', {}, el('div', { class: 'pl-people-tools' }, csvs.people), voices, trust), el('div', {}, el('div', { class: 'pl-people-tools' }, find, csvs.labels), labels));
  let chosen = null, asked = 0, turn = 0, isDeciding = false;

  async function ask() {
    const mine = asked += 1;
    try {
      const state = await api('/pl/api/people', { query: { files: files.checked || null, find: find.value || null } });
      if (mine === asked) show(state);
    } catch (error) { told.textContent = error.message; }
  }

  async function refresh() { await Promise.all([ask(), isDeciding ? null : askDisputes()]); }

  function show(state) {
    const extra = files.checked ? '+files' : '';
    // Blind, Explore shows the own words of who looks, and these count everybody's: nothing is opened.
    const open = (n, text, filter) => (n && !state.isBlind ? el('a', { href: url('/explore', filterAddress([filter])), class: 'pl-quiet-link', 'data-testid': 'people-link', title: t('eval.open.these') }, text) : text);
    const ofLabel = (id, what, n, text = count(n)) => open(n, text, `agreement:${id}:${what}${['tied', 'adjudicated'].includes(what) ? '' : extra}`);
    const ofVoice = (who, what, n, text = count(n)) => open(n, text, `voice:${what}${extra}:${who}`);
    alpha.replaceChildren(ofLabel('any', 'twice', state.alpha === null ? 0 : state.pairs, state.alpha === null ? t('people.alpha.none') : t('people.alpha', { alpha: state.alpha.toFixed(3) })));
    alpha.dataset.alpha = state.alpha ?? '';
    const facts = () => sentence('people.facts', Object.fromEntries(['agreed', 'pairs', 'disputed', 'tied', 'adjudicated'].map(key => [key, ofLabel('any', key === 'pairs' ? 'twice' : key, state[key])])));
    told.replaceChildren(...(state.why ? [`${state.why[0].toUpperCase()}${state.why.slice(1)}.`] : [...facts(), '.']));
    blind.checked = state.isBlind;
    blind.disabled = state.readOnly;
    voices.hidden = csvs.people.hidden = !state.people.length;
    for (const name of ['people', 'labels']) csvs[name].href = url('/pl/api/people/csv', { name, files: files.checked || null });
    csvs.disputes.href = url('/pl/api/people/csv', { name: 'disputes' });
    root.classList.toggle('alone', state.people.length < 2 && !state.disputed);
    tables.classList.toggle('trusting', state.isTrusting);
    const trusted = state.isTrusting ? ['seen', 'wrong'] : [];
    // What people are trusted with is estimated from what all of them said: it has no samples of its own.
    voices.replaceChildren(table(['who', 'verdicts', 'shared', 'agreeing', ...trusted], state.people.map(one =>
      el('tr', { 'data-testid': 'person', 'data-who': one.who }, el('td', {}, one.who), cell(ofVoice(one.who, 'given', one.verdicts)), cell(ofVoice(one.who, 'shared', one.shared)),
        cell([ofVoice(one.who, 'shared', one.shared, percent(one.agreeing) || '–'), one.agreeing < 1 && one.shared ? [' ', el('span', { class: 'pl-small' }, ofVoice(one.who, 'apart', one.shared, t('people.apart')))] : ''].flat()), trusted.map(column => share(one, column))))));
    trust.hidden = state.people.length < 2;
    trust.textContent = t(state.isTrusting ? 'people.trust' : 'people.trust.none');
    find.hidden = !state.labels.length && !find.value;
    labels.hidden = csvs.labels.hidden = !state.labels.length;
    labels.replaceChildren(table(['label', 'alpha', 'pairs', 'agreed', 'disputed'], state.labels.map(one => el('tr', { 'data-testid': 'label-agreement', 'data-label': one.label },
      el('td', {}, el('button', { type: 'button', class: 'pl-people-label', onclick: () => narrow(one) }, one.label)), cell(one.alpha === null ? '–' : ofLabel(one.id, 'twice', one.pairs, one.alpha.toFixed(3))), cell(ofLabel(one.id, 'twice', one.pairs)), cell(ofLabel(one.id, 'agreed', one.agreed)), cell(ofLabel(one.id, 'disputed', one.disputed))))),
    state.more ? el('p', { class: 'pl-dim pl-small' }, t('people.more', { n: count(state.more) })) : '');
  }

  async function setBlind() {
    try { show(await api('/pl/api/people/blind', { json: { is_blind: blind.checked } })); await askDisputes(); } catch (error) { blind.checked = !blind.checked; toastError(error); }
  }

  function narrow(label) {
    chosen = label;
    askDisputes();
  }

  async function askDisputes(skip = 0) {
    const mine = turn += 1;
    try {
      const found = await api('/pl/api/people/disputes', { query: { k: PAGE, skip: skip || null, label: chosen?.id ?? null } });
      if (mine !== turn) return;
      title.textContent = chosen ? t('people.disputes.of', { label: chosen.label, n: count(found.total) }) : t('people.disputes', { n: count(found.total) });
      root.dataset.disputes = found.total;
      all.hidden = !chosen;
      const rows = found.rows.map(row => entry(row, found.project));
      if (skip) list.append(...rows); else list.replaceChildren(...(rows.length ? rows : [el('li', { class: 'pl-dim none' }, t(found.isBlind && found.total ? 'people.disputes.blind' : 'people.disputes.none'))]));
      csvs.disputes.hidden = !found.rows.length;
      more.hidden = found.isBlind || list.childElementCount >= found.total;
    } catch (error) { toastError(error); }
  }

  function entry(row, project) {
    const query = new URLSearchParams({ ...(params().get('project') ? { project } : {}), sample: row.sample, label: row.label });
    const node = el('li', { 'data-testid': 'dispute', 'data-sample': row.name, 'data-label': row.label },
      el('a', { href: `/?${query}`, class: 'what' }, row.thumb ? el('img', { src: row.thumb, alt: '', loading: 'lazy' }) : el('span', { class: 'text' }, row.text ?? ''), el('span', { class: 'names' }, el('b', {}, row.label), el('span', { class: 'pl-dim' }, row.name))),
      el('div', { class: 'words' }, row.words.map(word => el('span', { class: `word ${word.verdict}`, title: t('people.word', { who: word.who, verdict: t(`people.${word.verdict}`) }) }, `${word.who} ${MARKS[word.verdict]}`)),
        el('span', { class: 'pl-dim pl-small' }, row.verdict === null ? t('people.tie') : t('people.counts', { verdict: t(`people.${row.verdict}`), percent: percent(row.weight) }))),
      el('div', { class: 'acts', role: 'group', 'aria-label': t('people.decide') }, el('span', { class: 'pl-dim pl-small' }, t('people.decide')),
        SAYS.map(verdict => el('button', { type: 'button', class: 'pl-button small', 'data-say': verdict, onclick: () => decide(row, verdict, node) }, t(`people.${verdict}`)))));
    return node;
  }

  async function decide(row, verdict, node) {
    if (isDeciding) return;
    isDeciding = true;
    node.querySelectorAll('button').forEach(button => { button.disabled = true; });
    try {
      const { op } = await api('/pl/api/people/adjudicate', { json: { op: newOp(), rows: [{ sample: row.sample, label: row.labelId, verdict }] } });
      toast(t('people.decided'), { action: { text: t('explore.undo'), run: () => undo(op) } });
    } catch (error) {
      toastError(error);
      node.querySelectorAll('button').forEach(button => { button.disabled = false; });
    }
    isDeciding = false;
    await refresh();
  }

  async function undo(op) {
    try { await api('/pl/api/undo', { json: { op } }); } catch (error) { toastError(error); }
    await refresh();
  }

  listen(root, 'pl:labels', refresh);
  return { refresh };
}

// Who has judged too little with others is trusted as all together are: that share is drawn fainter.
const share = (one, column) => el('td', { class: one.isKnown ? 'pl-num' : 'pl-num pl-dim', title: one[column] === null || one.isKnown ? null : t('people.trust.anybody') }, one[column] === null ? '–' : `${(100 * one[column]).toFixed(1)} %`);

const cell = text => el('td', { class: 'pl-num' }, text);

function table(columns, rows) {
  return el('table', { class: 'pl-table' }, el('thead', {}, el('tr', {}, columns.map(column => el('th', { scope: 'col' }, t(`people.col.${column}`))))), el('tbody', {}, rows));
}
