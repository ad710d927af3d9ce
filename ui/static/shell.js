// The bar of every page: project, pages, search, saved state, version, jobs, undo, help, theme.
// It asks /pl/api/shell once and again when the project or the version changes; everything else
// comes as page events (base.js) or from the poll of jobs.js.
import {
  ago, allHelp, announceSaved, api, count, debounce, el, emit, helpKeys, icon, keyIsTaken, listen, onRemoved,
  params, setAddress, setOpenProject, t, toast, toastError, url,
} from './base.js';
import { mountJobs } from './jobs.js';
import { allKept, countKept, discard, strays } from './unsent.js';

const PAGES = [['label', '/'], ['explore', '/explore'], ['learn', '/learn'], ['guide', '/guide'], ['data', '/data']];
const ICON = {
  undo: 'M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3',
  help: 'M9.1 9a3 3 0 1 1 4.4 2.6c-1 .6-1.5 1.2-1.5 2.4M12 18v.1',
  dark: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z',
  light: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4',
  leave: 'M9 21H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2h4M16 17l5-5-5-5M21 12H9',
};
const MARK = 'M3 3h8v8H3zM13 3h8v8h-8zM3 13h8v8H3zM15 17h4M17 15v4';
const STRAYS = 'patchlane-strays';         // in sessionStorage: they were told of
const NEW_PROJECT = '\u0000new';

export function mount({ root, props }) {
  const here = props.value?.page ?? '';
  ownStyles();
  const bar = build(here);
  root.replaceChildren(bar.header);
  document.body.append(bar.overlay);
  onRemoved(root, () => bar.overlay.remove());
  useTheme(readTheme());

  let facts = null;
  let versionSeen = -1;

  /** `isOpened`: somebody opened this page or project now, which is the one that others mean who name none. */
  async function refresh({ isOpened = true } = {}) {
    try {
      facts = await api('/pl/api/shell', { query: { opened: isOpened ? 1 : null } });
    } catch (error) {
      if (error.status !== 404) { toastError(error); return; }
      // The address names a project that is gone: show those that are there.
      location.replace('/data');
      return;
    }
    setOpenProject(facts.project?.name);
    // From here on the address says which project is meant, whatever other tabs open.
    if (facts.project && !params().has('project')) setAddress({ project: facts.project.name });
    showFacts(bar, facts, here);
    emit('pl:shell', facts);
    tellStrays(facts);
  }
  const refreshSoon = debounce(() => refresh({ isOpened: false }), 300);
  const showAge = () => showVersion(bar.version, facts);
  const clock = setInterval(showAge, 10_000);
  onRemoved(root, () => clearInterval(clock));

  wireSearch(bar.search, here);
  wireToasts(root, bar.toasts);
  wireHelp(root, bar);
  wireSaved(root, bar.saved);
  const versionNow = version => {
    if (version === undefined || version === versionSeen) return;
    versionSeen = version;
    bar.version.dataset.version = version;
    refreshSoon();
  };
  listen(root, 'pl:version', event => versionNow(event.detail.version));
  listen(root, 'pl:project', event => refresh({ isOpened: event.detail.isOpened ?? false }));
  mountJobs(root, bar.jobs, { onVersion: version => { if (version !== versionSeen) { versionNow(version); emit('pl:version', { version }); } } });

  bar.undo.addEventListener('click', () => emit('pl:undo'));
  bar.theme.addEventListener('click', () => saveTheme(document.body.classList.contains('dark') ? 'light' : 'dark'));
  bar.project.addEventListener('change', () => {
    const name = bar.project.value;
    if (name === NEW_PROJECT) location.href = '/data?new=1';
    else location.href = `${location.pathname}?${new URLSearchParams({ project: name })}`;
  });
  listen(root, 'keydown', event => {
    if (keyIsTaken(event)) return;
    if (event.key === '/') bar.search.input.focus();
    else if (event.key === '?') bar.help.click();
    else if (event.key === 'u' || event.key === 'U') emit('pl:undo');
    else return;
    event.preventDefault();
  }, document);
  announceSaved('saved');
  refresh();
}

/**
 * Gradio resets every button, field, list and heading below its container, by a class that names
 * its version and with more weight than one class of ours. No widget of ours relies on that reset,
 * so the class goes and our styles read as they are written.
 */
function ownStyles() {
  for (const node of document.querySelectorAll('.gradio-container')) {
    for (const name of [...node.classList]) if (name.startsWith('gradio-container-')) node.classList.remove(name);
  }
}

function build(here) {
  const button = (path, key, attrs = {}) => el('button', {
    type: 'button', class: 'pl-icon-button', 'aria-label': t(key), title: t(key), ...attrs,
  }, icon(path));
  const select = el('select', { class: 'pl-project', 'aria-label': t('bar.project') });
  const nav = el('nav', { 'aria-label': t('bar.pages') }, PAGES.map(([name, path]) =>
    el('a', { href: url(path), 'data-page-link': name, 'aria-current': name === here ? 'page' : null }, t(`page.${name}`))));
  const input = el('input', {
    type: 'search', class: 'pl-input', 'data-testid': 'search-box', 'aria-label': t('bar.search'), autocomplete: 'off', spellcheck: 'false', 'aria-keyshortcuts': '/',
  });
  const search = el('form', { role: 'search', class: 'pl-search' }, input, el('kbd', { class: 'pl-kbd', 'aria-hidden': 'true' }, '/'));
  search.input = input;
  const narrow = matchMedia('(max-width: 760px)');
  const hint = () => { input.placeholder = t(narrow.matches ? 'bar.search.short' : 'bar.search'); };
  narrow.addEventListener('change', hint);
  hint();
  const saved = el('span', { class: 'pl-saved', 'data-testid': 'save-state', 'data-state': 'saved', role: 'status', 'aria-live': 'polite' });
  const version = el('span', { class: 'pl-version', 'data-testid': 'version', 'data-version': '0' });
  const jobs = el('div', { class: 'pl-jobs' });
  const undo = button(ICON.undo, 'bar.undo', { 'data-testid': 'undo', 'aria-keyshortcuts': 'u' });
  const help = button(ICON.help, 'bar.help', { 'aria-keyshortcuts': '?' });
  const theme = button(ICON.dark, 'bar.theme', { class: 'pl-icon-button pl-theme' });
  const leave = el('form', { method: 'post', action: '/logout', hidden: true },
    button(ICON.leave, 'bar.leave', { type: 'submit' }));
  const logo = el('a', { class: 'pl-logo', href: url('/'), title: 'Patchlane', 'aria-label': 'Patchlane' }, icon(MARK, { size: 20 }));
  const header = el('header', { class: 'pl-bar' },
    el('div', { class: 'pl-bar-start' }, logo, select, nav),
    search,
    el('div', { class: 'pl-bar-end' }, saved, version, jobs, undo, theme, help, leave));
  const toasts = el('div', { class: 'pl-toasts', role: 'status', 'aria-live': 'polite' });
  const dialog = el('dialog', { class: 'pl-dialog', 'aria-labelledby': 'pl-help-title' });
  const overlay = el('div', { class: 'pl-overlay' }, toasts, dialog);
  return { header, project: select, nav, search, saved, version, jobs, undo, help, theme, leave, logo, toasts, dialog, overlay };
}

function showFacts(bar, facts, here) {
  const open = facts.project?.name;
  const options = facts.projects.map(row => el('option', { value: row.name, selected: row.name === open }, row.name));
  if (!open) options.unshift(el('option', { value: '', selected: true, disabled: true }, t('bar.noproject')));
  if (facts.canMake) options.push(el('option', { value: NEW_PROJECT }, t('bar.newproject')));
  bar.project.replaceChildren(...options);
  for (const link of bar.nav.children) link.href = url(PAGES.find(([name]) => name === link.dataset.pageLink)[1]);
  bar.logo.href = url('/');
  bar.leave.hidden = !facts.user;
  bar.leave.firstChild.title = t('bar.leave', { user: facts.user ?? '' });
  bar.undo.disabled = facts.readOnly || !facts.project;
  document.title = [open, t(`page.${here}`), 'Patchlane'].filter(Boolean).join(' - ');
  showVersion(bar.version, facts);
}

function showVersion(node, facts) {
  if (!facts?.project) { node.textContent = ''; return; }
  const { version, verdicts } = facts.project;
  node.dataset.version = version;
  const learned = facts.learned
    ? t('bar.learned', { verdicts: count(verdicts), ago: ago(facts.learned.when) }) : t('bar.unlearned');
  node.replaceChildren(el('b', {}, t('bar.version', { version })), el('span', { class: 'pl-version-more' }, ` ${learned}`));
  node.title = `${t('bar.version.what')} ${learned}`;
}

/** Who works on which project here; what this browser keeps is told apart by that (unsent.js). */
function ownerOf({ project, user }) {
  return { uid: project?.uid, name: project?.name, user: user ?? 'me', isAlone: user === null, begun: project?.begun };
}

/** Actions on projects that are not here, once in a session: they are sent only if the project comes back. */
function tellStrays(facts) {
  const found = strays(facts.user, facts.projects);
  try {
    if (!found.length || sessionStorage.getItem(STRAYS)) return;
    sessionStorage.setItem(STRAYS, '1');
  } catch { return; }
  toast(t('unsent.strays', { n: count(found.length) }), { seconds: 30, action: { text: t('unsent.discard'), run: () => discard(found) } });
}

// ---- saved state ---------------------------------------------------------------------------

function wireSaved(root, node) {
  let owner = null;
  let told = { state: 'saved', pending: 0 };
  const draw = () => {
    // Only the Label page sends: elsewhere what it left behind in this browser is not saved yet.
    // Until it is known who asks, whatever is kept here may be theirs.
    const left = told.state !== 'saved' ? 0 : owner ? countKept(owner) : allKept().length, state = left ? 'waiting' : told.state, pending = left || told.pending;
    node.dataset.state = state;
    const words = t(`saved.${state}`, { n: pending }), more = ['offline', 'stale'].includes(state) ? ` ${t(`saved.${state}.more`)}` : '';
    node.replaceChildren(words, el('span', { class: 'pl-saved-more' }, more));
    node.title = t(`saved.${state}.what`);
  };
  listen(root, 'pl:saved', event => { told = event.detail; draw(); });
  listen(root, 'pl:shell', event => { owner = ownerOf(event.detail); draw(); });
  listen(root, 'pl:unsent', draw);
  listen(root, 'storage', draw);
}

// ---- search --------------------------------------------------------------------------------

function wireSearch(form, here) {
  form.input.value = here === 'explore' ? new URLSearchParams(location.search).get('query') ?? '' : '';
  form.addEventListener('submit', event => {
    event.preventDefault();
    const query = form.input.value.trim();
    // A page that can search in place (Explore) takes the event; the others go there.
    const asked = new CustomEvent('pl:search', { detail: { query }, cancelable: true });
    if (window.dispatchEvent(asked) && query) location.href = url('/explore', { query });
  });
  form.input.addEventListener('keydown', event => { if (event.key === 'Escape') form.input.blur(); });
}

// ---- toasts --------------------------------------------------------------------------------

function wireToasts(root, box) {
  listen(root, 'pl:toast', event => {
    const { text, kind, action, seconds } = event.detail;
    const note = el('div', { class: `pl-toast ${kind}`, role: kind === 'error' ? 'alert' : null },
      el('span', {}, text),
      action ? el('button', { type: 'button', class: 'pl-button small', onclick: () => { close(); action.run(); } }, action.text) : null,
      el('button', { type: 'button', class: 'pl-icon-button', 'aria-label': t('toast.close'), onclick: () => close() }, icon('M6 6l12 12M18 6 6 18', { size: 14 })));
    let timer = 0;
    const close = () => { clearTimeout(timer); note.remove(); };
    const wait = () => { timer = setTimeout(close, seconds * 1000); };
    // A message that somebody reads or is about to press stays.
    note.addEventListener('pointerenter', () => clearTimeout(timer));
    note.addEventListener('pointerleave', wait);
    note.addEventListener('focusin', () => clearTimeout(timer));
    wait();
    box.append(note);
    while (box.children.length > 4) box.firstChild.remove();
  });
}

// ---- help ----------------------------------------------------------------------------------

function wireHelp(root, bar) {
  helpKeys(t('help.everywhere'), [['/', t('help.search')], ['U', t('help.undo')], ['?', t('help.help')], ['Esc', t('help.escape')]]);
  bar.help.addEventListener('click', () => {
    bar.dialog.replaceChildren(
      el('div', { class: 'pl-dialog-head' },
        el('h2', { class: 'pl-h1', id: 'pl-help-title' }, t('help.title')),
        el('button', { type: 'button', class: 'pl-icon-button', 'aria-label': t('toast.close'), onclick: () => bar.dialog.close() }, icon('M6 6l12 12M18 6 6 18'))),
      el('div', { class: 'pl-dialog-body' }, allHelp().toReversed().map(({ title, rows }) => el('section', {},
        el('h3', { class: 'pl-h2' }, title),
        el('dl', { class: 'pl-keys' }, rows.map(([key, what]) => [
          el('dt', {}, key.split(' ').map(part => /^(or|to|and|\+)$/.test(part) ? ` ${part} ` : el('kbd', { class: 'pl-kbd' }, part))), el('dd', {}, what),
        ]).flat())))));
    bar.dialog.showModal();
  });
  bar.dialog.addEventListener('click', event => { if (event.target === bar.dialog) bar.dialog.close(); });
  onRemoved(root, () => bar.dialog.remove());
}

// ---- light and dark ------------------------------------------------------------------------

const THEME = 'patchlane-theme';
function readTheme() {
  try { return localStorage.getItem(THEME); } catch { return null; }
}
function saveTheme(theme) {
  try { localStorage.setItem(THEME, theme); } catch { /* a private window forgets it */ }
  useTheme(theme);
}
/** Gradio follows the system by itself; a choice made here is put over it. */
function useTheme(theme) {
  const asked = new URLSearchParams(location.search).get('__theme');
  if (theme && !asked) document.body.classList.toggle('dark', theme === 'dark');
}
