// What every module of the screen shares: elements, requests, page events, keys, colours.
// Rules: no innerHTML with data (text goes in as text nodes), no globals but Plotly's own,
// every request carries the project of the address bar.

import { texts } from './texts.js';

// ---- words ---------------------------------------------------------------------------------

const language = (navigator.languages ?? ['en'])
  .map(code => code.slice(0, 2).toLowerCase()).find(code => texts[code]) ?? 'en';

/** The words for `key` in the reader's language; {name} in them is replaced from `values`. */
export function t(key, values = {}) {
  const words = texts[language][key] ?? texts.en[key] ?? key;
  return words.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

/** The same with elements among `values`: strings and elements in turn, for `el` or `append`. */
export function sentence(key, values) {
  return t(key).split(/\{(\w+)\}/).map((part, k) => (k % 2 ? values[part] ?? `{${part}}` : part));
}

// ---- elements ------------------------------------------------------------------------------

/**
 * el('button', {class: 'x', onclick: f, dataset: {id: 1}}, 'text', child): a DOM element.
 * Text always goes in as a text node; null, undefined and false attributes and children are
 * left out, true sets an empty attribute.
 */
export function el(tag, attrs = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'dataset') Object.assign(node.dataset, value);
    else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? '' : value);
    }
  }
  node.append(...children.flat().filter(c => c !== null && c !== undefined && c !== false));
  return node;
}

/** Icons are drawn with a path each (24 x 24, stroked): no icon font, nothing to download. */
export function icon(path, { size = 16, title = '' } = {}) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  for (const [k, v] of Object.entries({
    viewBox: '0 0 24 24', width: size, height: size, fill: 'none', stroke: 'currentColor',
    'stroke-width': 2, 'stroke-linecap': 'round', 'stroke-linejoin': 'round',
  })) svg.setAttribute(k, v);
  svg.setAttribute('aria-hidden', title ? 'false' : 'true');
  if (title) {
    const label = document.createElementNS(ns, 'title');
    label.textContent = title;
    svg.append(label);
  }
  const line = document.createElementNS(ns, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/** Run `stop` when `node` leaves the document: gr.HTML has no unmount hook. */
export function onRemoved(node, stop) {
  const seen = new MutationObserver(() => {
    if (!node.isConnected) { seen.disconnect(); stop(); }
  });
  seen.observe(document.body, { childList: true, subtree: true });
}

/** `root` becomes the page: sets the hooks that tests and automation wait for. */
export function pageRoot(root, name) {
  root.dataset.testid = 'page';
  root.dataset.page = name;
  root.classList.add('pl-page');
  return root;
}

/** Say that the page can be used. */
export const markReady = root => { root.dataset.ready = '1'; };

export function debounce(work, wait = 120) {
  let timer = 0;
  return (...args) => { clearTimeout(timer); timer = setTimeout(() => work(...args), wait); };
}

/** A new id for one action, so that a repeated request is the same action. */
export const newOp = () => crypto.randomUUID?.()
  ?? [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');

// ---- address and requests ------------------------------------------------------------------

export const params = () => new URLSearchParams(location.search);

let openProject = '';
/** The project of the address bar, else the one the server said is open. */
export const project = () => params().get('project') ?? openProject;
export const setOpenProject = name => { openProject = name ?? ''; };

/** An address of ours with the project and `query` (null and '' are left out). */
export function url(path, query = {}) {
  const all = new URLSearchParams();
  const name = project();
  if (name) all.set('project', name);
  for (const [k, v] of Object.entries(query)) {
    if (v !== null && v !== undefined && v !== '') all.set(k, v);
  }
  const text = all.toString();
  return text ? `${path}?${text}` : path;
}

/** Where a sample's picture or text is; `hash` (its content hash) makes it cacheable for ever. */
export const mediaUrl = (sample, size, hash) => url(`/media/${sample}`, { size, v: hash?.slice(0, 16) });

/** Put the state of the page into the address bar; {push: true} makes a step for Back. */
export function setAddress(query, { push = false } = {}) {
  const all = params();
  for (const [k, v] of Object.entries(query)) {
    if (v === null || v === undefined || v === '') all.delete(k); else all.set(k, v);
  }
  const text = all.toString();
  // The whole path: Gradio's page has a <base>, which a bare ?query would be relative to.
  history[push ? 'pushState' : 'replaceState']({}, '', text ? `${location.pathname}?${text}` : location.pathname);
}

/**
 * A refusal: `status` 0 means the server could not be reached; `message` is a sentence. `isStale`:
 * the page is of another project or person than the server has now.
 */
export class ApiError extends Error {
  constructor(status, message, isStale = false) { super(message); Object.assign(this, { status, isStale }); }
}

// Of which project this page was shown something, by its name. What is done on the page says so:
// another project may have the name by then, and its samples and labels the same numbers.
const shown = new Map();
const PROJECTS = '/pl/api/projects';

/**
 * Ask a route of ours; gives JSON, or the Response itself with {raw: true}.
 *   api('/pl/api/queue', {query: {k: 20}})
 *   api('/pl/api/commit', {json: {op, rows}})            POST
 *   api('/pl/api/search', {method: 'POST', body: file})
 * What changes something says of which project the page is, unless `query` has a `uid`.
 */
export async function api(path, { query, json, body, method, headers = {}, signal, raw = false } = {}) {
  const request = { method: method ?? (json === undefined && body === undefined ? 'GET' : 'POST'), headers: { ...headers }, signal };
  if (json !== undefined) {
    request.body = JSON.stringify(json);
    request.headers['Content-Type'] = 'application/json';
  } else if (body !== undefined) request.body = body;
  const name = query?.project ?? project(), isChange = request.method !== 'GET';
  let answer;
  try {
    answer = await fetch(url(path, isChange ? { ...query, uid: query?.uid ?? shown.get(name) } : query), request);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, t('error.offline'));
  }
  if (answer.status === 401) { askToSignIn(); throw new ApiError(401, t('error.signin')); }
  if (!answer.ok && answer.status !== 304) {
    const said = await answer.json().catch(() => null);
    const detail = typeof said?.detail === 'string' ? said.detail : t('error.status', { status: answer.status });
    throw new ApiError(answer.status, detail, said?.stale === true);
  }
  // Whoever makes, removes or brings back a project here means what has the name from then on.
  if (isChange && path.startsWith(PROJECTS)) shown.clear();
  const uid = answer.headers.get('X-Pl-Project');
  if (uid && name && !shown.has(name)) shown.set(name, uid);
  if (raw) return answer;
  return answer.status === 204 || answer.status === 304 ? null : answer.json();
}

const WRITTEN = 'textarea, input:is([type=text], [type=search], :not([type]))';
let isAsked = false;

/** The session ended. What is being written on the page stays: signing in elsewhere is enough for it. */
function askToSignIn() {
  const isWriting = [...document.querySelectorAll(WRITTEN)].some(field => field.checkVisibility() && field.value !== field.defaultValue);
  if (!isWriting) { location.reload(); return; }
  if (isAsked) return;
  isAsked = true;
  setTimeout(() => { isAsked = false; }, 60_000);
  toast(t('error.signin.written'), { kind: 'error', seconds: 60, action: { text: t('error.signin.do'), run: () => { isAsked = false; window.open('/login', '_blank'); } } });
}

// ---- page events (window CustomEvents) -----------------------------------------------------

export const emit = (name, detail = {}) => window.dispatchEvent(new CustomEvent(name, { detail }));

/** Listen for a page event; stops by itself when `node` leaves the document. */
export function listen(node, name, work, target = window) {
  target.addEventListener(name, work);
  onRemoved(node, () => target.removeEventListener(name, work));
}

/** The bar shows it: announceSaved('saving', 2), announceSaved('saved'), announceSaved('offline', 3), announceSaved('stale', 3). */
export const announceSaved = (state, pending = 0) => emit('pl:saved', { state, pending });
export const announceVersion = version => emit('pl:version', { version });
/** Ask the bar to look for jobs now (after starting one). */
export const announceJobs = () => emit('pl:jobs');

/** A short message in the corner; `action` = {text, run} adds one button. Only what must be known. */
export const toast = (text, { kind = 'info', action = null, seconds = 6 } = {}) =>
  emit('pl:toast', { text, kind, action, seconds });

/** Show an error of `api` to the person; aborted requests are nothing to show. */
export function toastError(error) {
  if (error?.name !== 'AbortError') toast(error?.message ?? String(error), { kind: 'error', seconds: 10 });
}

// ---- keys ----------------------------------------------------------------------------------

const WRITING = 'input:not([type=checkbox], [type=radio], [type=range], [type=button]), textarea, select, ' +
  '[contenteditable=""], [contenteditable=true], [role=textbox], [role=listbox], [role=dialog], dialog';

/** True if a key pressed now belongs to a field, a dialog or the browser, not to the page. */
export const keyIsTaken = event => event.defaultPrevented || event.isComposing || event.ctrlKey ||
  event.metaKey || event.altKey || Boolean(event.target.closest?.(WRITING)) ||
  Boolean(document.querySelector('dialog[open]'));

/** The digit of a digit key on any keyboard (also AZERTY and the number pad), else ''. */
export const digitOf = event => /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1] ?? '';

/**
 * Keys of a page while `root` is visible: keys(root, event => {...; return true if it was used}).
 * Enter and space on a focused button or link stay with it.
 */
export function keys(root, handle) {
  listen(root, 'keydown', event => {
    if (keyIsTaken(event) || root.offsetParent === null) return;
    if ((event.key === 'Enter' || event.key === ' ') && event.target.closest?.('button, a, summary')) return;
    if (handle(event)) event.preventDefault();
  }, document);
}

const helped = [];
/** Rows of the help dialog (?): helpKeys('Label', [['1 to 9', 'toggle a label'], ...]). */
export function helpKeys(title, rows) { helped.push({ title, rows }); }
export const allHelp = () => helped;

// ---- colours -------------------------------------------------------------------------------

/** The colours of the theme now, for canvases and charts. */
export function themeColours() {
  const css = getComputedStyle(document.body);
  const v = name => css.getPropertyValue(name).trim();
  return {
    text: v('--pl-text'), dim: v('--pl-dim'), line: v('--pl-line'), surface: v('--pl-surface'),
    ground: v('--pl-ground'), accent: v('--pl-accent'), yes: v('--pl-yes'), no: v('--pl-no'),
    unsure: v('--pl-unsure'), unknown: v('--pl-unknown'), isDark: document.body.classList.contains('dark'),
  };
}

/** Run `work` whenever light turns to dark or back, until `node` leaves the document. */
export function onTheme(node, work) {
  const seen = new MutationObserver(() => work(themeColours()));
  seen.observe(document.body, { attributes: true, attributeFilter: ['class'] });
  onRemoved(node, () => seen.disconnect());
}

// ---- plotly --------------------------------------------------------------------------------

let plotly;
/** plotly.js from our own server, loaded once, by the pages that draw. */
export function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    if (window.Plotly) { resolve(window.Plotly); return; }
    const script = document.createElement('script');
    script.src = document.querySelector('meta[name="pl-plotly"]').content;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error('plotly.js could not be loaded'));
    document.head.append(script);
  });
  return plotly;
}

// ---- numbers in words ----------------------------------------------------------------------

export const percent = value => value === null || value === undefined ? '' : `${Math.round(value * 100)} %`;
export const count = value => new Intl.NumberFormat(language).format(value);

/** "3 s ago", "5 min ago", "2 h ago", else the date. */
export function ago(seconds) {
  const passed = Math.max(0, Date.now() / 1000 - seconds);
  if (passed < 60) return t('ago.seconds', { n: Math.round(passed) });
  if (passed < 3600) return t('ago.minutes', { n: Math.round(passed / 60) });
  if (passed < 86400) return t('ago.hours', { n: Math.round(passed / 3600) });
  return new Date(seconds * 1000).toLocaleDateString(language);
}

export function bytes(n) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  while (n >= 1000 && at < units.length - 1) { n /= 1000; at += 1; }
  return `${n < 10 && at ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

// ---- asking back ---------------------------------------------------------------------------

/** A question in a dialog; true if the person said yes. */
export function confirmed({ title, text, yes, danger = false }) {
  return new Promise(answer => {
    const go = el('button', { type: 'submit', value: 'yes', class: `pl-button primary${danger ? ' danger' : ''}` }, yes);
    const dialog = el('dialog', { class: 'pl-dialog', 'aria-label': title },
      el('form', { method: 'dialog', class: 'pl-dialog-body' },
        el('h2', { class: 'pl-h1' }, title), el('p', { class: 'pl-plain' }, text),
        el('div', { class: 'pl-row end' }, el('button', { type: 'submit', value: 'no', class: 'pl-button', autofocus: true }, t('cancel')), go)));
    dialog.addEventListener('close', () => { dialog.remove(); answer(dialog.returnValue === 'yes'); });
    (document.querySelector('.pl-overlay') ?? document.body).append(dialog);
    dialog.showModal();
  });
}
