// The packs as cards: what each knows, whether its lane counts, and what can be done with it.
import { announceJobs, api, bytes, confirmed, count, el, emit, icon, newOp, params, t, toast, toastError, url } from './base.js';
import { asked, menu } from './learn_dialogs.js';
import { namesIn } from './intake.js';

const SHOWN = 8;                          // labels named on a card
const OPEN = new Set(['queued', 'running']);

export function mountPacks(root, desk) {
  const auto = el('input', { type: 'checkbox', 'data-testid': 'auto-teach', onchange: () => desk.change({ action: 'pause', is_paused: !auto.checked }) });
  const autoWords = el('label', { class: 'pl-choice', title: '' }, auto, t('learn.auto'));
  const file = el('input', { type: 'file', accept: '.safetensors', class: 'pl-hidden', tabindex: '-1', 'aria-hidden': 'true', 'data-testid': 'lane-file', onchange: bring });
  const add = el('button', { type: 'button', class: 'pl-button', 'data-testid': 'pack-new', onclick: startNew }, icon('M12 5v14M5 12h14'), t('learn.new'));
  const take = el('button', { type: 'button', class: 'pl-button', onclick: () => file.click(), title: t('learn.import.what') }, t('learn.import'));
  const tools = el('div', { class: 'pl-row' }, autoWords, take, file, add);
  const note = el('p', { class: 'pl-note', hidden: true, role: 'note', 'data-testid': 'lane-refusal' });
  const none = el('div', { class: 'pl-empty', hidden: true }, el('p', {}, t('learn.none')));
  const list = el('div', { class: 'pl-packs' });
  root.replaceChildren(el('header', { class: 'pl-learn-head' }, el('h1', { class: 'pl-h1' }, t('learn.packs')), tools), note, list, none);
  const cards = new Map();
  let jobs = [];

  function refresh(state) {
    tools.hidden = state.readOnly;
    note.hidden = !state.refusal;
    note.textContent = state.refusal ? t('learn.refusal', { why: state.refusal[0].toUpperCase() + state.refusal.slice(1) }) : '';
    take.hidden = autoWords.hidden = Boolean(state.refusal);
    auto.checked = !state.isPaused;
    autoWords.title = t('learn.auto.what', { n: state.firstVerdicts });
    none.hidden = state.packs.length > 0;
    for (const name of [...cards.keys()]) if (!state.packs.some(pack => pack.name === name)) cards.delete(name);
    const nodes = state.packs.map(pack => {
      if (!cards.has(pack.name)) cards.set(pack.name, new Card(pack.name, { teach, cancel, items }));
      const card = cards.get(pack.name);
      card.show(pack, state);
      return card.node;
    });
    if (nodes.length !== list.childElementCount || nodes.some((node, k) => list.children[k] !== node)) list.replaceChildren(...nodes);
    showJobs(jobs);
  }

  function showJobs(all) {
    jobs = all;
    const busy = new Map(all.filter(job => OPEN.has(job.state)).map(job => [job.key, job]));
    for (const [name, card] of cards) card.showJob(busy.get(`teach:${name}`) ?? null);
  }

  async function teach(pack) {
    const made = await desk.change({ action: 'teach', pack });
    if (made?.job) desk.isTeaching = true;
  }
  async function cancel(job) {
    try { await api(`/pl/api/jobs/${job.id}/cancel`, { method: 'POST' }); } catch (error) { toastError(error); }
    announceJobs();
  }

  const canUndo = (words, op) => toast(words, { action: { text: t('undo'), run: () => desk.undo(op) }, seconds: 12 });

  function items(pack) {
    const { state } = desk, others = state.packs.filter(one => one.name !== pack.name), hasLanes = !state.refusal;
    return [
      { text: t(pack.is_muted ? 'learn.unmute' : 'learn.mute'), test: 'pack-mute', run: () => desk.change({ action: 'mute', pack: pack.name, is_muted: !pack.is_muted }) },
      { text: t('learn.rename'), test: 'pack-rename', run: () => rename(pack) },
      { text: t('learn.split'), test: 'pack-split', run: () => split(pack), hidden: pack.labels.length < 2 },
      { text: t('learn.merge'), test: 'pack-merge', run: () => merge(pack, others), hidden: !others.length },
      { text: t('learn.export'), test: 'lane-export', run: () => download(pack), hidden: !pack.digest },
      { text: t('learn.remove'), test: 'pack-remove', run: () => remove(pack), danger: true },
      { text: t('learn.drop'), test: 'lane-drop', run: () => drop(pack), hidden: !pack.digest || !hasLanes, danger: true },
    ];
  }

  const nameField = (value = '') => el('label', { class: 'pl-field' }, t('learn.name'),
    el('input', { type: 'text', name: 'name', class: 'pl-input', value, maxlength: '200', required: true, autocomplete: 'off', 'data-testid': 'ask-name' }));

  async function startNew() {
    const labels = el('textarea', { name: 'labels', class: 'pl-input', rows: '4', required: true, placeholder: t('new.labels.example'), 'data-testid': 'ask-labels' });
    const act = async (said, op) => {
      const names = namesIn(said.get('labels'));
      if (!names.length) throw new Error(t('learn.new.none'));
      await desk.send({ action: 'new', name: said.get('name'), labels: names, op });
      emit('pl:labels');
      canUndo(t('learn.new.done', { name: said.get('name'), n: names.length }), op);
    };
    await asked({ title: t('learn.new.title'), text: t('learn.new.what'), yes: t('learn.new.yes'), act, body: [nameField(), el('label', { class: 'pl-field' }, t('learn.new.labels'), labels)] });
  }

  async function rename(pack) {
    const act = async (said, op) => {
      if (said.get('name').trim() === pack.name) return;
      await desk.send({ action: 'rename', pack: pack.name, name: said.get('name'), op });
      canUndo(t('learn.rename.done', { name: said.get('name') }), op);
    };
    await asked({ title: t('learn.rename.title', { name: pack.name }), yes: t('learn.rename'), act, body: nameField(pack.name) });
  }

  async function split(pack) {
    const boxes = el('fieldset', { class: 'pl-picks' }, el('legend', {}, t('learn.split.which')),
      pack.labels.map(label => el('label', { class: 'pl-choice' }, el('input', { type: 'checkbox', name: 'labels', value: label.id }), el('span', {}, label.name))));
    const act = async (said, op) => {
      const labels = said.getAll('labels').map(Number);
      if (!labels.length) throw new Error(t('learn.split.none'));
      await desk.send({ action: 'split', labels, name: said.get('name'), op });
      canUndo(t('learn.split.done', { n: labels.length, name: said.get('name') }), op);
    };
    await asked({ title: t('learn.split.title', { name: pack.name }), text: t('learn.split.what'), yes: t('learn.split.yes'), act, body: [nameField(), boxes] });
  }

  async function merge(pack, others) {
    const into = el('select', { name: 'into', class: 'pl-input', 'data-testid': 'ask-into' }, others.map(one => el('option', { value: one.name }, one.name)));
    const act = async (said, op) => {
      const made = await desk.send({ action: 'merge', pack: pack.name, into: said.get('into'), op });
      desk.isTeaching = Boolean(made.job);
      canUndo(t('learn.merge.done', { name: pack.name, into: said.get('into') }), op);
    };
    await asked({ title: t('learn.merge.title', { name: pack.name }), text: t('learn.merge.what'), yes: t('learn.merge.yes'), act, body: el('label', { class: 'pl-field' }, t('learn.merge.into'), into) });
  }

  async function remove(pack) {
    const op = newOp(), sure = await confirmed({ title: t('learn.remove.title', { name: pack.name }), text: t('learn.remove.what', { n: pack.labels.length }), yes: t('learn.remove'), danger: true });
    if (sure && await desk.change({ action: 'remove', pack: pack.name, op })) { emit('pl:labels'); canUndo(t('learn.remove.done', { name: pack.name }), op); }
  }

  async function drop(pack) {
    const sure = await confirmed({ title: t('learn.drop.title', { name: pack.name }), text: t('learn.drop.what'), yes: t('learn.drop'), danger: true });
    const made = sure && await desk.change({ action: 'drop', pack: pack.name });
    if (made) toast(t('learn.drop.done', { name: pack.name }), { action: { text: t('undo'), run: () => desk.change({ action: 'revert', version: made.before }) }, seconds: 12 });
  }

  function download(pack) {
    const link = el('a', { href: url('/pl/api/learn/lane', { pack: pack.name }), download: '' });
    document.body.append(link);
    link.click();
    link.remove();
  }

  async function bring() {
    const [chosen] = file.files;
    file.value = '';
    if (!chosen) return;
    const told = await laneHeader(chosen);
    const pack = told ? await askedPack(chosen.name, told) : '';  // of what is none the server says why
    if (pack === null) return;
    take.disabled = true;
    try {
      await api('/pl/api/learn/lane', { method: 'POST', query: { name: chosen.name, pack }, body: chosen });
      desk.isTeaching = true;
    } catch (error) { toastError(error); }
    take.disabled = false;
    announceJobs();
  }

  /** Into which pack the labels of a lane file go; null if nowhere. */
  async function askedPack(name, { pack, labels }) {
    const field = nameField(pack), known = desk.state.packs.map(one => el('option', { value: one.name }));
    field.querySelector('input').setAttribute('list', 'pl-known-packs');
    const which = t('learn.import.labels', { n: labels.length, labels: labels.slice(0, SHOWN).join(', ') + (labels.length > SHOWN ? ' …' : '') });
    const said = await asked({ title: t('learn.import.title', { name }), text: `${which} ${t('learn.import.into')}`, yes: t('learn.import'), body: [field, el('datalist', { id: 'pl-known-packs' }, known)] });
    return said ? said.get('name').trim() : null;
  }

  // The Label page leads here with ?pack=: its card is the one that is meant.
  let isFirst = true;
  return {
    jobs: showJobs,
    refresh(state) {
      refresh(state);
      if (isFirst) cards.get(params().get('pack'))?.node.scrollIntoView({ block: 'nearest' });
      isFirst = false;
    },
  };
}

const MOST_HEADER = 4 * 2 ** 20;

/** What a lane file says of itself: its pack and labels; null where it says nothing that can be read. */
async function laneHeader(file) {
  try {
    const size = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
    if (!(size > 0 && size <= MOST_HEADER)) return null;
    const told = JSON.parse(JSON.parse(await file.slice(8, 8 + size).text()).__metadata__.patchlane);
    const labels = Array.isArray(told.names) ? told.names.filter(name => typeof name === 'string') : [];
    return { pack: typeof told.pack === 'string' ? told.pack.slice(0, 200) : '', labels };
  } catch { return null; }
}

/** A lane in words: how much it counts for, and what it is. */
function laneWords(pack, state) {
  if (!pack.digest) return state.refusal ? t('learn.lane.heads') : t(state.isPaused ? 'learn.lane.none' : 'learn.lane.soon', { n: state.firstVerdicts });
  const from = pack.trained_on ? t('learn.lane.from', { n: count(pack.trained_on) }) : t('learn.lane.file');
  const share = pack.share >= 1 ? 'learn.share.full' : pack.share > 0 ? 'learn.share.half' : 'learn.share.none';
  return `${from} ${t(share)}`;
}

class Card {
  constructor(name, { teach, cancel, items }) {
    Object.assign(this, { seen: '', job: null, canTeach: false });
    this.tag = el('span', { class: 'pl-tag', hidden: true }, t('learn.muted'));
    this.labels = el('p', { class: 'pl-pack-labels' });
    const fact = key => { const value = el('dd', {}); return { value, row: [el('dt', {}, t(key)), value] }; };
    this.verdicts = fact('learn.verdicts');
    this.quality = fact('learn.quality');
    this.lane = fact('learn.lane');
    this.digest = el('code', { class: 'pl-digest' });
    this.teach = el('button', { type: 'button', class: 'pl-button small', 'data-testid': 'teach', onclick: () => teach(name) }, t('learn.teach'));
    this.bar = el('progress', { class: 'pl-progress', max: '1' });
    this.note = el('span', { class: 'pl-dim pl-small' });
    this.busy = el('div', { class: 'pl-pack-busy', hidden: true }, el('span', { class: 'pl-pack-progress' }, this.note, this.bar),
      el('button', { type: 'button', class: 'pl-button small', 'data-testid': 'teach-cancel', onclick: () => cancel(this.job) }, t('cancel')));
    this.menu = menu(t('learn.more', { name }), () => items(this.pack));
    this.node = el('article', { class: 'pl-pack', 'data-testid': 'pack', 'data-pack': name, 'aria-label': name },
      el('header', {}, el('h2', { class: 'pl-h2' }, name), this.tag, this.busy, this.teach, this.menu),
      this.labels, el('dl', {}, this.verdicts.row, this.quality.row, this.lane.row));
  }

  show(pack, state) {
    this.pack = pack;
    this.node.dataset.version = state.version;  // which its figures are of
    const now = JSON.stringify([pack, state.isPaused, state.refusal, state.readOnly]);
    if (now === this.seen) return;
    this.seen = now;
    this.tag.hidden = !pack.is_muted;
    this.node.classList.toggle('muted', pack.is_muted);
    this.node.dataset.digest = pack.digest;
    this.menu.hidden = state.readOnly;
    this.canTeach = !state.readOnly && !state.refusal;
    this.teach.disabled = !pack.yes;
    this.teach.title = t(pack.yes ? 'learn.teach.what' : 'learn.teach.empty');
    const names = pack.labels.map(label => label.name), rest = names.length - SHOWN;
    this.labels.textContent = names.slice(0, SHOWN).join(', ') + (rest > 0 ? ` ${t('learn.rest', { n: count(rest) })}` : '');
    this.labels.title = rest > 0 ? names.join(', ') : '';
    this.verdicts.value.textContent = t('learn.counts', { yes: count(pack.yes), no: count(pack.no), unsure: count(pack.unsure) });
    this.quality.value.textContent = pack.mAP === null ? t('learn.quality.none') : pack.mAP.toFixed(3);
    this.quality.value.title = t('learn.quality.what');
    this.quality.value.classList.toggle('pl-dim', pack.mAP === null);
    this.digest.textContent = pack.digest.slice(0, 8);
    this.digest.title = t('learn.digest', { digest: pack.digest });
    this.lane.value.replaceChildren(laneWords(pack, state), ...(pack.digest ? [' ', el('span', { class: 'pl-dim' }, `${bytes(pack.num_bytes)}, `), this.digest] : []));
    this.lane.value.title = t('learn.lane.what');
    this.lane.value.classList.toggle('pl-dim', !pack.digest);
  }

  showJob(job) {
    this.job = job;
    this.busy.hidden = !job;
    this.teach.hidden = !this.canTeach || Boolean(job);
    if (!job) return;
    if (job.state === 'running' && job.total) this.bar.value = job.done / job.total; else this.bar.removeAttribute('value');
    this.note.textContent = job.state === 'queued' ? t('jobs.state.queued') : job.note;
    this.note.title = job.note;
  }
}
