// The search of Explore: words, a formula over labels, a picture (picked, dropped or pasted), or a
// sample of the project. A line below says how a formula was understood, or why it was not.
import { el, icon, listen, mediaUrl, onRemoved, sentence, t, toast } from './base.js';

const MOST_BYTES = 30_000_000,
  OPERATOR = /^@|[&|~]|(^|[\s()])(and|or|not)([\s()]|$)/i;
const GLASS = 'M11 4a7 7 0 1 0 .01 0zM16 16l5 5',
  PICTURE = 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9a1 1 0 1 0 .01 0';

/** createSearch({kind, sources, source, onSearch(asked), onClear(), onSource(name | null), onFilter(key)}) -> {node, line, set(asked, {isBusy, card, formula, unnamed}), refuse(asked, why), say(words), listenForFiles(root)}. */
export function createSearch({ kind, sources = [], source = null, onSearch, onClear, onSource, onFilter }) {
  const isImage = kind === 'image';
  const field = el('input', {
    type: 'search',
    class: 'pl-input',
    dataset: { testid: 'explore-search' },
    'aria-label': t('explore.search.words'),
    autocomplete: 'off',
    enterkeyhint: 'search',
    placeholder: t(isImage ? 'explore.search.image' : 'explore.search.text')
  });
  const file = el('input', { type: 'file', accept: 'image/*', class: 'pl-hidden', tabindex: '-1', 'aria-hidden': 'true',
    dataset: { testid: 'search-file' }, onchange: () => { take(file.files[0]);
      file.value = ''; } });
  const pick = el('button', { class: 'pl-icon-button', type: 'button', title: t('explore.search.pick'), 'aria-label': t(
      'explore.search.pick'), onclick: () => file.click() }, icon(PICTURE, { size: 18 }));
  const like = el('span', { class: 'pl-find-like', hidden: true });
  const clear = el('button', { class: 'pl-button small', type: 'button', hidden: true, onclick: () => { field.value = '';
      onClear(); } }, t('explore.search.clear'));
  // Vectors made elsewhere hold samples only: they are searched by a sample, words and pictures are not.
  const by = el('select', { class: 'pl-input pl-find-by', hidden: true, 'aria-label': t('explore.search.by'), title: t('explore.search.by.what'),
      dataset: { testid: 'search-by' }, onchange: () => onSource(by.value || null) },
    [['', t('explore.search.by.ours')], ...sources.map(name => [name, t('explore.search.by.name', { name })])].map(([value, words]) =>
      el('option', { value, selected: value === (source ?? '') }, words)));
  const said = el('span', { class: 'pl-hidden', role: 'status' });
  const line = el('p', { class: 'pl-find-line', role: 'status', hidden: true, dataset: { testid: 'search-line' } });
  const node = el('form', { class: 'pl-find', role: 'search', onsubmit: e => { e.preventDefault(); const text = field.value.trim(); if (
          text) onSearch({ text });
        else onClear(); } },
    el('span', { class: 'pl-find-glass', 'aria-hidden': 'true' }, icon(GLASS)), field, like, isImage ? [file, pick] : null, by, clear, said);
  let shown = null;

  function take(one) {
    if (!one) return;
    if (one.size > MOST_BYTES) { toast(t('explore.search.large'), { kind: 'error' }); return; }
    onSearch({ file: one });
  }

  function set(asked, { isBusy = false, card = null, formula = '', unnamed = [] } = {}) {
    node.classList.toggle('is-busy', isBusy);
    const free = unnamed.length ? ` ${t('explore.search.free', { words: unnamed.map(one => `“${one}”`).join(', ') })}` : '';
    // words and what is selected now are no filter
    tell(asked, formula ? [...sentence('explore.search.formula', { formula: el('b', {}, formula) }), free] : [], {
      formula: unnamed.length || /@selection\b/.test(formula) ? '' : formula });
    clear.hidden = !asked;
    by.hidden = !sources.length || asked?.sample === undefined || Boolean(asked.region);
    if (asked?.text !== undefined && field.value !== asked.text) field.value = asked.text;
    if (asked && asked.text === undefined) field.value = '';
    if (shown) { URL.revokeObjectURL(shown);
      shown = null; }
    like.hidden = !asked || asked.text !== undefined;
    if (like.hidden) return;
    if (asked.file) shown = URL.createObjectURL(asked.file);
    const src = shown ?? (isImage && card ? mediaUrl(card.id, 128, card.hash) : null);
    const words = asked.file ? t('explore.search.like', { name: asked.file.name }) : asked.like ? t(asked.not?.length ? 'explore.search.unlike' : 'explore.search.many', { n: asked.like
        .length, m: asked.not?.length }) : t(asked.region ? 'explore.search.part' : 'explore.search.like', { name: card?.name.split('/').at(-1) ?? '' });
    like.replaceChildren(...[src ? asked.region ? cropped(src, asked.region) : el('img', { src, alt: '', width: 24, height: 24 }) : null, el('span', { class: 'pl-cut', title: words },
      words)].filter(Boolean));
  }
  function tell(asked, words, { isRefusal = false, formula = '' } = {}) {
    line.hidden = !words.length;
    line.classList.toggle('is-refusal', isRefusal);
    if (line.hidden) return line.replaceChildren();
    const all = formula ? el('button', { type: 'button', class: 'pl-link', title: t('explore.search.all.what'), dataset: { testid: 'search-as-filter' },
      onclick: () => onFilter(`formula:${formula}`) }, t('explore.search.all')) : '';
    line.replaceChildren(el('span', {}, words), all, el('button', { type: 'button', class: 'pl-link', dataset: { testid: 'search-as-words' },
      onclick: () => onSearch({ text: asked.text, isWords: true }) }, t('explore.search.aswords')));
  }
  /** Says why a text could not be searched for as a formula; false where it does not look like one. */
  function refuse(asked, why) {
    if (asked.text === undefined || asked.isWords || !OPERATOR.test(asked.text)) return false;
    set(asked);
    tell(asked, [why], { isRefusal: true });
    return true;
  }
  /** Pictures dropped anywhere on the page, or pasted, are searched for. */
  function listenForFiles(root) {
    if (!isImage) return;
    const has = e => [...e.dataTransfer?.items ?? []].some(i => i.kind === 'file');
    root.addEventListener('dragover', e => { if (has(e)) { e.preventDefault();
        root.classList.add('is-drop'); } });
    root.addEventListener('dragleave', e => { if (!root.contains(e.relatedTarget)) root.classList.remove('is-drop'); });
    root.addEventListener('drop', e => { if (!has(e)) return;
      e.preventDefault();
      root.classList.remove('is-drop');
      take(e.dataTransfer.files[0]); });
    listen(root, 'paste', e => { const one = [...e.clipboardData?.files ?? []].find(f => f.type.startsWith('image/')); if (one) { e
          .preventDefault();
        take(one); } }, document);
    onRemoved(root, () => { if (shown) URL.revokeObjectURL(shown); });
  }
  return { node, line, set, refuse, say: words => { said.textContent = words; }, listenForFiles };
}

/** The region of a picture as a small picture of its own. */
function cropped(src, [x, y, w, h]) {
  const node = el('span', { class: 'pl-find-part', 'aria-hidden': 'true' });
  const at = (start, size) => (size < 1 ? 100 * start / (1 - size) : 0);
  Object.assign(node.style, { backgroundImage: `url(${JSON.stringify(src)})`, backgroundSize: `${100 / w}% ${100 / h}%`,
    backgroundPosition: `${at(x, w)}% ${at(y, h)}%` });
  return node;
}
