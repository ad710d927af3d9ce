// What was understood, before anything is stored, and how to take it in.
import { count, el, onRemoved, t } from './base.js';

/** How things are taken in where nobody chose otherwise. */
export const usual = () => ({ create_labels: true, unlisted: 'unknown', on_conflict: 'keep', link: false, format: 'auto', follow_links: false });

/** What is chosen goes into `state.options`; `on` = {onStart(), onLook(), onCancel(), onNewProject()} */
export function previewCard(state, facts, { onStart, onLook, onCancel, onNewProject }) {
  const seen = state.preview, options = state.options;
  const wrongKind = !state.isNew && seen.kind && facts.project.kind && !facts.project.takesAny && seen.kind !== facts.project.kind;
  const nothing = !seen.samples && !seen.annotations;
  const card = el('div', { class: 'pl-card pl-preview', 'data-testid': 'import-preview', 'data-samples': seen.samples, 'data-problems': seen.numProblems });
  card.append(
    el('h2', { class: 'pl-h2' }, nothing ? t('preview.nothing') : t(`preview.${seen.kind ?? 'annotations'}`, { samples: count(seen.samples), annotations: count(seen.annotations) })),
    el('p', { class: 'pl-plain pl-dim' }, [seen.formats.length ? t('preview.format', { format: seen.formats.map(formatName).join(', ') }) : '', seen.annotations ? t('preview.annotations.more', { n: count(seen.annotations) }) : ''].filter(Boolean).join(', ')));
  if (wrongKind) {
    card.append(el('p', { class: 'pl-plain pl-warning', role: 'alert' }, t(`preview.wrong.${seen.kind}`, { name: facts.project.name })));
  }
  if (seen.first.length) card.append(firstOnes(seen, state.files, card));
  if (seen.labels.length) card.append(labelsFound(seen.labels));
  if (seen.numProblems) card.append(problemList(seen.problems, seen.numProblems, { more: 'more' }));
  card.append(choices(options, seen, state, { canTake: !nothing && !wrongKind, onLook }));
  const start = el('button', { type: 'button', class: 'pl-button primary', 'data-testid': 'import-start', onclick: async () => { start.disabled = true; await onStart(); start.disabled = false; } },
    t(`preview.${state.isNew ? 'create' : 'import'}${seen.samples ? '' : '.annotations'}`, { n: count(seen.samples || seen.annotations) }));
  card.append(el('div', { class: 'pl-row' },
    wrongKind ? el('button', { type: 'button', class: 'pl-button primary', onclick: onNewProject }, t('preview.newproject')) : nothing ? null : start,
    el('button', { type: 'button', class: 'pl-button', onclick: onCancel }, t('cancel'))));
  return card;
}

/** A reader's name in words; a reader that came later is called by its own. */
function formatName(name) {
  const words = t(`format.${name}`);
  return words.startsWith('format.') ? name : words;
}

function firstOnes(seen, files, card) {
  const byName = new Map(files.map(([name, file]) => [name, file]));
  // A picked folder's own name is the root, so names below it lack it.
  for (const [name, file] of files) byName.set(name.slice(name.indexOf('/') + 1), file);
  const made = [];
  const tiles = seen.first.map(draft => {
    const labels = Object.entries(draft.labels).map(([name, verdict]) => (verdict === 'yes' ? name : `${name}: ${t(`verdict.${verdict}`)}`)).join(', ');
    const file = draft.text === null ? byName.get(draft.name) : null;
    let face = draft.text === null ? null : el('div', { class: 'pl-first-text pl-small' }, draft.text);
    if (file) {
      const address = URL.createObjectURL(file);
      made.push(address);
      face = el('img', { src: address, alt: '', loading: 'lazy', decoding: 'async' });
    }
    return el('li', { title: draft.name }, face, el('span', { class: 'pl-small pl-first-name' }, draft.name), labels ? el('span', { class: 'pl-small pl-dim pl-first-name' }, labels) : null);
  });
  const list = el('ul', { class: `pl-first${made.length || seen.first.some(draft => draft.text !== null) ? '' : ' names'}` }, tiles);
  setTimeout(() => onRemoved(card, () => made.forEach(address => URL.revokeObjectURL(address))));
  return list;
}

function labelsFound(labels) {
  const shown = labels.slice(0, 60);
  return el('div', { class: 'pl-found' }, el('span', { class: 'pl-dim' }, t('preview.labels', { n: count(labels.length) })),
    shown.map(name => el('span', { class: 'pl-tag' }, name)), labels.length > shown.length ? el('span', { class: 'pl-dim' }, t('more', { n: count(labels.length - shown.length) })) : null);
}

/**
 * Files that cannot be taken, and why; used by the report as well, also for what came in otherwise (`title`).
 * The CSV holds the first `kept` of them all.
 */
export function problemList(problems, all, { title = 'problems.title', more = 'problems.more', kept = all } = {}) {
  return el('details', { class: 'pl-problems', open: all <= 8 },
    el('summary', {}, t(title, { n: count(all) })),
    el('div', { class: 'pl-table-scroll' }, el('table', { class: 'pl-table' },
      el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, t('problems.file')), el('th', { scope: 'col' }, t('problems.reason')))),
      el('tbody', {}, problems.map(row => el('tr', { 'data-testid': 'import-problem', 'data-file': row.file }, el('td', {}, row.file), el('td', {}, row.reason)))))),
    kept > problems.length ? el('p', { class: 'pl-plain pl-dim pl-small' }, t(more, { n: count(kept - problems.length) })) : null,
    all > kept ? el('p', { class: 'pl-plain pl-dim pl-small' }, t('problems.unkept', { n: count(all - kept) })) : null);
}

/** How to read it and take it in; what changes the reading has it looked at again. */
function choices(options, seen, state, { canTake, onLook }) {
  const set = (name, value, again) => { options[name] = value; if (again) onLook(); };
  const tick = (name, key, again = false) => el('label', { class: 'pl-choice' }, el('input', { type: 'checkbox', name, checked: options[name], onchange: event => set(name, event.target.checked, again) }), t(key));
  const pick = (name, key, values, { word = value => t(`${key}.${value}`), again = false } = {}) => el('label', { class: 'pl-field' }, t(key), el('select', { class: 'pl-input', name, onchange: event => set(name, event.target.value, again) }, values.map(value => el('option', { value, selected: options[name] === value }, word(value)))));
  const rows = [];
  if (canTake && seen.labels.length) rows.push(tick('create_labels', 'option.create'));
  if (canTake && seen.samples && state.source?.path) rows.push(tick('link', 'option.link'));
  if (state.source?.path) rows.push(tick('follow_links', 'option.follow', true));
  const more = [pick('format', 'option.format', seen.choices, { word: formatName, again: true })];
  if (canTake && seen.annotations) more.push(pick('unlisted', 'option.unlisted', ['unknown', 'no']), pick('on_conflict', 'option.conflict', ['keep', 'replace', 'both']));
  const isOpen = !canTake || ['format', 'unlisted', 'on_conflict'].some(name => options[name] !== usual()[name]);
  rows.push(el('details', { class: 'pl-more', open: isOpen }, el('summary', {}, t('option.more')), el('div', { class: 'pl-new-form' }, more)));
  return el('div', { class: 'pl-choices' }, rows);
}
