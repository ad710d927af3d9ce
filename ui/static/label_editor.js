// The labels of a project: add, rename, describe, put below another, merge, remove.
import { api, confirmed, count, el, emit, icon, t, toast, toastError } from './base.js';
import { namesIn } from './intake.js';
import { PackChoice } from './pack_choice.js';
import { isFree } from './page_keys.js';

const FILTER_FROM = 12;

export function mountLabels(root, desk) {
  const title = el('h2', { class: 'pl-h2' });
  const input = el('textarea', { class: 'pl-input', rows: '1', 'data-testid': 'label-add', placeholder: t('labels.add'), 'aria-label': t('labels.add') });
  const choice = new PackChoice();
  const add = el('form', { class: 'pl-row pl-label-add' }, input, el('button', { type: 'submit', class: 'pl-button' }, t('labels.add.do')), choice.node);
  const filter = el('input', { type: 'search', class: 'pl-input', placeholder: t('labels.filter'), 'aria-label': t('labels.filter'), oninput: draw });
  const list = el('ul', { class: 'pl-label-list' });
  root.replaceChildren(el('header', { class: 'pl-pane-head' }, title), add, filter, list);
  let labels = [];
  let openId = null;

  async function refresh(facts) {
    if (!facts.project) return;
    add.hidden = facts.readOnly;
    labels = await api('/pl/api/labels');
    choice.setLabels(labels);
    draw();
  }

  add.addEventListener('submit', async event => {
    event.preventDefault();
    const names = namesIn(input.value);
    if (names.length && await edit({ action: 'add', names, pack: choice.take(names[0]) })) { input.value = ''; choice.ask(0); }
    input.focus();
  });
  input.addEventListener('input', () => {
    const known = new Set(labels.map(label => label.name));
    choice.ask(namesIn(input.value).filter(name => !known.has(name)).length);
  });
  input.addEventListener('keydown', event => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); add.requestSubmit(); }
  });

  /** Send one change; the answer is all labels. */
  async function edit(change, said = '') {
    try {
      labels = await api('/pl/api/labels', { json: change });
    } catch (error) { toastError(error); draw(); return false; }
    choice.setLabels(labels);
    draw();
    emit('pl:labels');
    if (said) toast(said, { action: { text: t('undo'), run: () => emit('pl:undo') }, seconds: 12 });
    return true;
  }

  function draw() {
    title.textContent = t('labels.count', { n: count(labels.length) });
    filter.hidden = labels.length < FILTER_FROM;
    const wanted = filter.hidden ? '' : filter.value.trim().toLowerCase();
    const rows = inOrder(labels).filter(([label]) => !wanted || label.name.toLowerCase().includes(wanted));
    list.replaceChildren(...rows.map(([label, depth]) => item(label, wanted ? 0 : depth)));
    if (!labels.length) list.replaceChildren(el('li', { class: 'pl-dim pl-label-none' }, t('labels.none')));
  }

  function item(label, depth) {
    const isOpen = label.id === openId;
    const row = el('button', {
      type: 'button', class: 'pl-label-row', 'aria-expanded': String(isOpen), 'data-testid': 'label-row', 'data-label': label.name,
      onclick: () => { openId = isOpen ? null : label.id; draw(); list.querySelector('[aria-expanded=true]')?.focus(); },
    },
    swatch(label), el('span', { class: 'pl-label-name' }, label.name),
    isFree(label.key) ? el('kbd', { class: 'pl-kbd' }, label.key) : null,
    el('span', { class: 'pl-dim pl-small pl-num', title: t('labels.counts', label) }, [label.yes ? `${count(label.yes)} ✓` : '', label.no ? `${count(label.no)} ✗` : '', label.unsure ? `${count(label.unsure)} ?` : ''].filter(Boolean).join('  ')));
    row.style.paddingLeft = `${8 + depth * 16}px`;
    return el('li', {}, row, isOpen && !desk.facts.readOnly ? editor(label) : null);
  }

  function editor(label) {
    const others = inOrder(labels).map(([one]) => one).filter(one => one.id !== label.id);
    const field = (key, input, wide = false) => el('label', { class: `pl-field${wide ? ' wide' : ''}` }, t(key), input);
    const text = (name, value, change, attrs = {}) => el('input', { type: 'text', class: 'pl-input', name, value, autocomplete: 'off', onchange: event => change(event.target.value), ...attrs });
    const choose = (name, first, value, change, options) => el('select', { class: 'pl-input', name, onchange: event => change(event.target.value ? Number(event.target.value) : null) },
      el('option', { value: '' }, first), options.map(one => el('option', { value: one.id, selected: one.id === value }, one.name)));
    const describe = fields => edit({ action: 'describe', label: label.id, ...fields });
    const definition = el('textarea', { class: 'pl-input', rows: '2', name: 'definition', onchange: event => describe({ definition: event.target.value }) });
    definition.value = label.definition;
    const setKey = value => {
      const key = value.trim().toLowerCase();
      const other = others.find(one => one.key === key && key);
      if (key && !isFree(key)) toast(t('labels.key.reserved', { key }), { kind: 'error' });
      else if (other) toast(t('labels.key.taken', { key, name: other.name }), { kind: 'error' });
      else { describe({ key }); return; }
      draw();
    };
    return el('div', { class: 'pl-label-editor' },
      field('labels.name', text('name', label.name, name => edit({ action: 'rename', label: label.id, name }, t('labels.renamed', { name })), { maxlength: '200', 'data-testid': 'label-name' }), true),
      field('labels.definition', definition, true),
      field('labels.aliases', text('aliases', label.aliases.join(', '), value => describe({ aliases: namesIn(value) })), true),
      field('labels.key', text('key', label.key, setKey, { maxlength: '1' })),
      field('labels.colour', el('span', { class: 'pl-row' },
        el('input', { type: 'color', name: 'colour', value: label.colour || '#8090a8', onchange: event => describe({ colour: event.target.value }) }),
        label.colour ? el('button', { type: 'button', class: 'pl-button small', onclick: () => describe({ colour: '' }) }, t('labels.colour.none')) : null)),
      field('labels.parent', choose('parent', t('labels.parent.none'), label.parent, parent => edit({ action: 'parent', label: label.id, parent }), others)),
      field('labels.merge', choose('merge', t('labels.merge.none'), null, into => into && merge(label, others.find(one => one.id === into)), others)),
      el('div', { class: 'pl-row wide' }, el('button', { type: 'button', class: 'pl-button small danger', 'data-testid': 'label-remove', onclick: () => remove(label) }, t('labels.remove'))));
  }

  async function merge(label, into) {
    const sure = await confirmed({ title: t('labels.merge.title', { name: label.name, into: into.name }), text: t('labels.merge.what', { name: label.name, into: into.name }), yes: t('labels.merge.yes') });
    if (sure) { openId = into.id; await edit({ action: 'merge', label: label.id, into: into.id }, t('labels.merged', { name: label.name, into: into.name })); } else draw();
  }

  const remove = label => { openId = null; return edit({ action: 'remove', label: label.id }, t('labels.removed', { name: label.name })); };

  return { refresh };
}

function swatch(label) {
  const node = el('span', { class: 'pl-swatch', 'aria-hidden': 'true' });
  if (label.colour) node.style.background = label.colour;
  return node;
}

/** [[label, depth], ...]: children below their parents, each once even if parents form a ring. */
function inOrder(labels) {
  const below = new Map();
  const known = new Set(labels.map(label => label.id));
  for (const label of labels) {
    const parent = known.has(label.parent) ? label.parent : null;
    below.set(parent, [...(below.get(parent) ?? []), label]);
  }
  const out = [], seen = new Set();
  const visit = (label, depth) => {
    if (seen.has(label.id)) return;
    seen.add(label.id);
    out.push([label, depth]);
    for (const child of below.get(label.id) ?? []) visit(child, depth + 1);
  };
  for (const label of below.get(null) ?? []) visit(label, 0);
  for (const label of labels) visit(label, 0);
  return out;
}
