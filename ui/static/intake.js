// Bringing things in: choose or drop -> send -> look at what was understood -> take -> report.
// The same steps make a new project (a name, a kind and labels above them) or add to the open one.
import { announceJobs, api, confirmed, count, el, emit, icon, listen, setAddress, t, toast, toastError, params } from './base.js';
import { previewCard, usual } from './intake_preview.js';
import { reportCard } from './intake_report.js';
import { Slot } from './slot.js';
import { dropUpload, filesOfDrop, filesOfInput, filesOfPaste, upload } from './uploader.js';

export function mountIntake(root, desk) {
  // One plain state, drawn anew at each step; nothing of it is worth keeping over a reload but
  // the report, which the server keeps.
  const state = { step: 'idle', isNew: false, form: emptyForm(), files: [], source: null, preview: null, looks: 0, options: usual(), sent: null, record: null, dismissed: dismissedReports(), started: new Set(), ended: null };
  const head = new Slot(), fields = new Slot(), steps = new Slot();
  const page = el('div', { class: 'pl-intake' }, head.node, fields.node, steps.node);
  let facts = null;
  let abort = null;

  const ways = buildWays(root, { onFiles: take, onPath: lookAtPath });

  async function refresh(now) {
    const was = facts?.project?.name;
    facts = now;
    if (was !== undefined && was !== facts.project?.name && !['sending', 'creating', 'starting'].includes(state.step)) giveUp({ quiet: true });
    state.isNew = facts.canMake && (!facts.project || params().has('new'));
    if (facts.project && !state.isNew && ['idle', 'taking', 'report'].includes(state.step)) await showLast();
    draw();
  }

  /** Nothing can be brought in: only looked at, and no new project is being made. */
  const isClosed = () => facts.readOnly && !state.isNew;

  /** The newest import of this project: its progress if it runs, else its report. */
  async function showLast() {
    const [last] = facts.readOnly ? [] : await api('/pl/api/imports');
    if (!last || last.undone || [last.id, ...last.ops].some(id => state.dismissed.has(id))) { state.step = 'idle'; state.record = null; return; }
    state.record = last;
    state.step = last.report ? 'report' : 'taking';
  }

  // ---- steps ---------------------------------------------------------------------------------

  async function take(files) {
    if (!facts || isClosed() || ['sending', 'creating', 'starting'].includes(state.step)) return;
    if (!files.length) { toast(t('intake.nothing')); return; }
    forgetSource();
    Object.assign(state, { step: 'sending', files, sent: [0, files.length, 0, 0] });
    if (state.isNew && !state.form.name) state.form.name = guessName(files);
    draw();
    abort = new AbortController();
    try {
      const id = await upload(files, {
        limit: facts.limits.upload, signal: abort.signal,
        onProgress: (...sent) => { state.sent = sent; drawProgress(); },
      });
      await look({ upload: id });
    } catch (error) { fail(error); }
  }

  async function lookAtPath(path) {
    if (!path.trim()) return;
    forgetSource();
    state.files = [];
    if (state.isNew && !state.form.name) state.form.name = path.trim().replace(/[/\\]+$/, '').split(/[/\\]/).pop().replace(/\.\w+$/, '');
    await look({ path: path.trim() });
  }

  async function look(source) {
    const asked = document.activeElement?.name;
    state.source = source;
    state.step = 'looking';
    draw();
    const { format, follow_links } = state.options;
    const mine = abort = new AbortController();
    try {
      const found = await api('/pl/api/imports/preview', { json: { ...source, format, follow_links }, signal: mine.signal });
      if (state.source !== source) return;             // given up meanwhile, or another one was chosen
      Object.assign(state, { preview: found, seenAs: { format, follow_links } });
    } catch (error) {
      if (mine.signal.aborted || state.source !== source) return;
      // Looked at in another way: what was seen before is still there.
      if (!state.preview) { fail(error); return; }
      toastError(error);
    }
    Object.assign(state, { step: 'preview', looks: state.looks + 1 });
    if (state.preview.kind) state.form.kind = state.preview.kind;
    draw();
    // Enter goes on, unless somebody is filling in the form by now, or trying ways to read it.
    if (fields.node.contains(document.activeElement)) return;
    const again = ['format', 'follow_links'].includes(asked) ? steps.node.querySelector(`[name=${asked}]`) : null;
    (again ?? root.querySelector('[data-testid=import-start]'))?.focus();
  }

  async function start() {
    if (state.isNew && !await create()) return;
    if (!state.source) { finishNew(); return; }          // given up while the project was made
    // Handed over: from now on nothing that happens on this page deletes what was sent.
    const source = state.source;
    Object.assign(state, { step: 'starting', source: null });
    draw();
    try {
      state.record = await api('/pl/api/imports', { json: { ...source, ...state.options } });
    } catch (error) {
      // What was sent is still there, and nobody has to choose and send it again.
      toastError(error);
      Object.assign(state, { step: 'preview', looks: state.looks + 1, source });
      if (state.isNew) finishNew();
      draw();
      return;
    }
    state.started.add(state.record.id);
    state.step = 'taking';
    if (state.isNew) finishNew();
    draw();
    announceJobs();
  }

  /** Make the new project; its name is put into the address so that what follows goes there. */
  async function create() {
    const { name, kind, labels, encoder } = state.form;
    const before = state.step;
    state.step = 'creating';
    draw();
    try {
      const made = await api('/pl/api/projects', { json: { name, kind, labels: namesIn(labels), encoder: encoder || null } });
      setAddress({ project: made.name }, { push: true });
      return true;
    } catch (error) {
      state.step = before;
      draw();
      toastError(error);
      root.querySelector('input[name=name]')?.focus();
      return false;
    }
  }

  function finishNew() {
    setAddress({ new: null });
    Object.assign(state, { isNew: false, form: emptyForm() });
    // The panes beside this one follow; this one keeps its step.
    facts = { ...facts, project: { name: params().get('project') } };
    emit('pl:project');
  }

  function forgetSource() {
    if (state.source?.upload) dropUpload(state.source.upload);
    Object.assign(state, { source: null, preview: null, options: usual() });
  }

  function giveUp({ quiet = false } = {}) {
    abort?.abort();
    forgetSource();
    Object.assign(state, { step: 'idle', files: [] });
    if (!quiet) draw();
  }

  /** Look no further; what was understood before, in another way, is still there. */
  function stopLooking() {
    if (!state.preview) { giveUp(); return; }
    abort.abort();
    Object.assign(state.options, state.seenAs);
    Object.assign(state, { step: 'preview', looks: state.looks + 1 });
    draw();
  }

  function fail(error) {
    giveUp();
    toastError(error);
  }

  // ---- drawing -------------------------------------------------------------------------------

  /** Draw what has changed; whoever fills in a form or has ticked something is left alone. */
  function draw() {
    if (isClosed()) { root.replaceChildren(el('div', { class: 'pl-empty' }, facts.canMake ? t('intake.readonly.project', { name: facts.project.name }) : t('intake.readonly'))); return; }
    if (page.parentNode !== root) root.replaceChildren(page);
    const { name, kind, samples, encoded, encoder, takesAny } = facts.project ?? {};
    head.draw([state.isNew, facts.projects.length > 0, name, kind, samples, encoded, encoder, facts.encoders], heading);
    fields.draw([state.isNew, state.form.kind, state.preview?.kind, facts.encoders], () => (state.isNew ? form() : null));
    steps.draw([state.step, state.isNew, state.looks, state.record, name, kind, takesAny, !samples, facts.canNamePaths], body);
    // A name that was guessed from what was brought; what is typed is in the form already.
    const field = fields.node.querySelector('[name=name]');
    if (field && field.value !== state.form.name) field.value = state.form.name;
  }

  function heading() {
    if (!state.isNew) return [el('h1', { class: 'pl-h1' }, t('intake.into', { name: facts.project.name })), readingLine(facts.project, facts.encoders)];
    return el('div', { class: 'pl-row' }, el('h1', { class: 'pl-h1' }, t(facts.projects.length ? 'intake.new' : 'intake.first')),
      facts.project ? el('button', { type: 'button', class: 'pl-button small', onclick: () => { setAddress({ new: null }); giveUp({ quiet: true }); desk.refresh(); } }, t('cancel')) : null);
  }

  function form() {
    const kinds = ['image', 'text'].map(kind => el('label', { class: 'pl-choice' },
      el('input', { type: 'radio', name: 'kind', value: kind, checked: state.form.kind === kind, disabled: Boolean(state.preview?.kind) && state.preview.kind !== kind, onchange: () => { Object.assign(state.form, { kind, encoder: '' }); draw(); } }), t(`kind.${kind}`)));
    const name = el('input', { type: 'text', name: 'name', class: 'pl-input', maxlength: '100', required: true, autocomplete: 'off', value: state.form.name, placeholder: t('new.name.example'), 'data-testid': 'project-name', oninput: () => { state.form.name = name.value; } });
    const labels = el('textarea', { class: 'pl-input', name: 'labels', rows: '3', placeholder: t('new.labels.example'), 'data-testid': 'project-labels', oninput: () => { state.form.labels = labels.value; } });
    labels.value = state.form.labels;
    const encoders = Object.keys(facts.encoders).filter(id => facts.encoders[id] === state.form.kind);
    const encoder = encoders.length > 1 ? el('details', { class: 'pl-more wide', open: Boolean(state.form.encoder) }, el('summary', {}, t('new.more')),
      el('label', { class: 'pl-field' }, t('new.encoder'), el('select', { class: 'pl-input', name: 'encoder', 'data-testid': 'project-encoder', onchange: event => { state.form.encoder = event.target.value; } },
        el('option', { value: '' }, t('new.encoder.default')), encoders.map(id => el('option', { value: id, selected: id === state.form.encoder }, id))))) : null;
    return el('div', { class: 'pl-new-form' },
      el('label', { class: 'pl-field' }, t('new.name'), name),
      el('fieldset', { class: 'pl-field' }, el('legend', {}, t('new.kind')), el('div', { class: 'pl-row' }, kinds)),
      el('label', { class: 'pl-field wide' }, el('div', {}, t('new.labels'), el('span', { class: 'pl-dim pl-small' }, ` ${t('new.labels.what')}`)), labels), encoder);
  }

  function body() {
    if (['sending', 'looking', 'creating', 'starting', 'taking'].includes(state.step)) return progressCard();
    if (state.step === 'preview') {
      return previewCard(state, facts, { onStart: start, onLook: () => look(state.source), onCancel: () => giveUp(), onNewProject: () => { setAddress({ new: 1 }, { push: true }); state.isNew = true; state.form.name ||= guessName(state.files); draw(); } });
    }
    const zone = ways.draw(facts, state.isNew);
    if (state.step === 'report') {
      return [reportCard(state.record, { onClose: () => { dismiss(state.dismissed, state.record); state.step = 'idle'; draw(); }, onChange: () => emit('pl:project') }), zone];
    }
    if (!state.isNew) return zone;
    return [zone, el('div', { class: 'pl-row' }, el('button', { type: 'button', class: 'pl-button', 'data-testid': 'create-empty', onclick: async () => { if (await create()) { state.step = 'idle'; finishNew(); } } }, t('new.empty')), el('span', { class: 'pl-dim pl-small' }, t('new.empty.what')))];
  }

  function progressCard() {
    return el('div', { class: 'pl-card pl-progress-card', 'data-step': state.step },
      el('p', { class: 'pl-plain', role: 'status', 'aria-live': 'polite' }, t(`intake.${state.step}`)),
      el('progress', { class: 'pl-progress', 'aria-label': t(`intake.${state.step}`) }),
      el('div', { class: 'pl-row' }, el('span', { class: 'pl-dim pl-small pl-num pl-progress-words' }),
        ['sending', 'looking'].includes(state.step) ? el('button', { type: 'button', class: 'pl-button small', 'data-testid': 'import-cancel', onclick: () => (state.step === 'looking' ? stopLooking() : giveUp()) }, t('cancel')) : null));
  }

  function drawProgress(part = null, words = '') {
    const bar = root.querySelector('.pl-progress-card progress');
    if (!bar) return;
    if (state.step === 'sending') {
      const [files, allFiles, , allBytes] = state.sent;
      part = allBytes ? state.sent[2] / allBytes : files / allFiles;
      words = t('intake.sent', { files: count(files), all: count(allFiles) });
    }
    if (part !== null) bar.value = part;
    root.querySelector('.pl-progress-words').textContent = words;
  }

  // ---- from outside --------------------------------------------------------------------------

  listen(root, 'pl:joblist', event => {
    const job = event.detail.find(one => one.id === state.record?.job);
    if (!job || state.step !== 'taking') return;
    drawProgress(job.total ? job.done / job.total : null, [job.total ? `${count(job.done)} / ${count(job.total)}` : '', job.note].filter(Boolean).join(', '));
    if (job.state === 'queued' || job.state === 'running') return;
    // Told once to the page, which looks for jobs again; then asked for until the report is here.
    if (state.ended === job.id) desk.refresh(); else { state.ended = job.id; emit('pl:project'); }
  });
  const over = on => event => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    root.querySelector('.pl-drop')?.classList.toggle('over', on);
  };
  // The whole window takes a drop: a page that opens a dropped picture instead loses one's place.
  listen(root, 'dragover', over(true));
  listen(root, 'dragleave', over(false));
  listen(root, 'drop', async event => {
    over(false)(event);
    if (event.dataTransfer?.types.includes('Files')) {
      try { await take(await filesOfDrop(event.dataTransfer)); } catch (error) { toastError(error); }
    }
  });
  listen(root, 'paste', event => {
    if (event.target.closest?.('input, textarea, [contenteditable]')) return;
    // What is pasted beside something that was chosen was meant for a field, and would replace it all.
    if (!['idle', 'taking', 'report'].includes(state.step)) return;
    const files = filesOfPaste(event.clipboardData);
    if (files.length) { event.preventDefault(); take(files); }
  }, document);
  /** Whether this import was begun on this page, and its report is what one looks at. */
  const shows = op => state.step === 'report' && state.started.has(state.record.id) && state.record.ops.includes(op);

  return { refresh, shows };
}

/** How many samples the encoder has read, and which encoder that is; choosing one reads them all again. */
function readingLine(open, encoders) {
  if (!open.samples || open.encoded === undefined) return null;
  const ids = Object.keys(encoders).filter(id => encoders[id] === open.kind);
  const choose = async encoder => {
    const what = { title: t('reading.title', { encoder }), text: t('reading.what'), yes: t('reading.yes') };
    if (!await confirmed(what)) { emit('pl:project'); return; }
    try { await api('/pl/api/encoder', { query: { project: open.name, uid: open.uid }, json: { encoder } }); } catch (error) { toastError(error); }
    announceJobs();
  };
  return el('div', { class: 'pl-row pl-reading pl-small pl-dim' }, t('reading.state', { encoded: count(open.encoded), samples: count(open.samples) }),
    el('select', { class: 'pl-input', 'aria-label': t('new.encoder'), 'data-testid': 'encoder', onchange: event => choose(event.target.value) },
      ids.includes(open.encoder) ? null : el('option', { value: open.encoder, selected: true }, open.encoder),
      ids.map(id => el('option', { value: id, selected: id === open.encoder }, id))),
    open.encoded < open.samples ? el('button', { type: 'button', class: 'pl-button small', onclick: () => choose(open.encoder) }, t('reading.again')) : null);
}

const DISMISSED = 'patchlane-dismissed-imports';
/** Reports that were closed in this browser: by the id of the record, or of what it did. */
function dismissedReports() {
  try { return new Set(JSON.parse(localStorage.getItem(DISMISSED) ?? '[]')); } catch { return new Set(); }
}
function dismiss(all, record) {
  for (const id of [record.id, ...record.ops]) all.add(id);
  try { localStorage.setItem(DISMISSED, JSON.stringify([...all].slice(-200))); } catch { /* a private window shows it again */ }
}

const emptyForm = () => ({ name: '', kind: 'image', labels: '', encoder: '' });

/** Label names from pasted text: a line each, or commas. */
export const namesIn = text => [...new Set((text.includes('\n') ? text.split(/\r?\n/) : text.split(',')).map(name => name.trim()).filter(Boolean))];

function guessName(files) {
  const first = files[0]?.[0] ?? '';
  const folder = first.includes('/') ? first.split('/')[0] : '';
  return folder || (files.length === 1 ? first.replace(/\.\w+$/, '') : '');
}

/** The drop zone and its fields; the inputs live as long as the page. */
function buildWays(root, { onFiles, onPath }) {
  const files = el('input', { type: 'file', multiple: true, class: 'pl-hidden', tabindex: '-1', 'aria-label': t('intake.files'), 'data-testid': 'import-file' });
  const folder = el('input', { type: 'file', webkitdirectory: true, class: 'pl-hidden', tabindex: '-1', 'aria-label': t('intake.folder'), 'data-testid': 'import-folder' });
  for (const input of [files, folder]) {
    input.addEventListener('change', () => { const list = filesOfInput(input); input.value = ''; onFiles(list); });
  }
  const path = el('input', { type: 'text', class: 'pl-input', 'data-testid': 'import-path', placeholder: t('intake.path.example'), 'aria-label': t('intake.path'), spellcheck: 'false', autocomplete: 'off' });
  const look = el('button', { type: 'submit', class: 'pl-button' }, t('intake.look'));
  const server = el('form', { class: 'pl-row pl-path', onsubmit: event => { event.preventDefault(); onPath(path.value); } },
    el('span', { class: 'pl-dim' }, t('intake.path')), path, look);
  const isBig = facts => !facts.project?.samples;
  return {
    draw: (facts, isNew) => el('div', { class: 'pl-ways' },
      el('div', { class: `pl-drop${isBig(facts) || isNew ? ' big' : ''}` },
        icon('M12 16V5M7 9l5-5 5 5M5 20h14', { size: 28 }),
        el('p', { class: 'pl-plain' }, t('intake.drop')),
        el('p', { class: 'pl-plain pl-dim pl-small' }, t('intake.drop.what')),
        el('div', { class: 'pl-row' },
          el('button', { type: 'button', class: 'pl-button primary', onclick: () => folder.click() }, t('intake.folder')),
          el('button', { type: 'button', class: 'pl-button', onclick: () => files.click() }, t('intake.files'))),
        files, folder),
      facts.canNamePaths ? server : null),
  };
}
