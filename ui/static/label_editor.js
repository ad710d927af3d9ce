// The labels of a project: add, rename, describe, put below another, merge, remove.
// A label that is open stays as it is while the list around it is drawn again: whoever writes in
// its fields keeps the focus and what is not sent yet.
import { api, confirmed, count, el, emit, newOp, t, toast, toastError } from './base.js';
import { namesIn } from './intake.js';
import { PackChoice } from './pack_choice.js';
import { isFree } from './page_keys.js';
import { place } from './slot.js';

const FILTER_FROM = 12;
// Rows that are drawn at a time, and labels that a list to choose from holds before it is opened.
const AT_ONCE = 200;

export function mountLabels(root, desk) {
  const title = el('h2', { class: 'pl-h2' });
  const input = el('textarea', { class: 'pl-input', rows: '1', 'data-testid': 'label-add', placeholder: t('labels.add'), 'aria-label': t('labels.add') });
  const choice = new PackChoice();
  const add = el('form', { class: 'pl-row pl-label-add' }, input, el('button', { type: 'submit', class: 'pl-button' }, t('labels.add.do')), choice.node);
  const filter = el('input', { type: 'search', class: 'pl-input', placeholder: t('labels.filter'), 'aria-label': t('labels.filter'), oninput: () => { most = AT_ONCE; draw(); } });
  const list = el('ul', { class: 'pl-label-list' });
  const more = el('button', { type: 'button', class: 'pl-button small pl-label-more', 'data-testid': 'label-more', hidden: true, onclick: () => { most += AT_ONCE; draw(); } });
  root.replaceChildren(el('header', { class: 'pl-pane-head' }, title), add, filter, list, more);
  let labels = [], ordered = [];
  let openId = null, most = AT_ONCE;
  let projectShown = null, uidShown = null;
  const items = new Map();

  // One request after the other, so that an older answer never covers a newer one.
  let last = Promise.resolve();
  const inTurn = work => { const done = last.then(work); last = done.catch(() => {}); return done; };

  async function refresh(facts) {
    if (!facts.project) return;
    add.hidden = facts.readOnly;
    const { name, uid } = facts.project;
    const found = await inTurn(() => api('/pl/api/labels', { query: { project: name } }));
    if (desk.facts.project?.name !== name) return;     // another one was opened meanwhile
    if (uid !== uidShown) {
      uidShown = uid;
      projectShown = name;
      openId = null;
      most = AT_ONCE;
      filter.value = '';
      items.clear();
    }
    show(found);
  }

  function show(found) {
    labels = found;
    ordered = inOrder(labels);
    choice.setLabels(labels);
    draw();
  }

  add.addEventListener('submit', async event => {
    event.preventDefault();
    const names = namesIn(input.value);
    const said = input.value, pack = choice.wanted(names[0]);
    if (names.length && await edit({ action: 'add', names, pack })) {
      choice.took(pack);
      choice.setLabels(labels);
      if (input.value === said) { choice.ask(0); input.value = ''; }
    }
    input.focus();
  });
  input.addEventListener('input', () => {
    const known = new Set(labels.map(label => label.name));
    choice.ask(namesIn(input.value).filter(name => !known.has(name)).length);
  });
  input.addEventListener('keydown', event => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); add.requestSubmit(); }
  });

  /** Send one change; the answer is all labels. The undo that it offers is of this change alone. */
  const edit = (change, said = '', at = projectShown) => inTurn(async () => {
    const op = newOp();
    try {
      const found = await api('/pl/api/labels', { query: { project: at }, json: { ...change, op } });
      if (at === projectShown) show(found);
    } catch (error) { toastError(error); return false; }
    emit('pl:labels');
    if (said) toast(said, { action: { text: t('undo'), run: () => desk.undo(op, false, at) }, seconds: 12 });
    return true;
  });

  function draw() {
    title.textContent = t('labels.count', { n: count(labels.length) });
    filter.hidden = labels.length < FILTER_FROM;
    const wanted = filter.hidden ? '' : filter.value.trim().toLowerCase();
    const found = ordered.filter(([label]) => !wanted || label.name.toLowerCase().includes(wanted));
    const shown = found.filter(([label], at) => at < most || label.id === openId);
    const drawn = new Set(shown.map(([label]) => label.id));
    for (const id of items.keys()) if (!drawn.has(id)) items.delete(id);
    place(list, labels.length ? shown.map(([label, depth]) => item(label, wanted ? 0 : depth)) : [el('li', { class: 'pl-dim pl-label-none' }, t('labels.none'))]);
    more.hidden = found.length <= most;
    more.textContent = t('labels.more', { n: count(Math.min(AT_ONCE, found.length - most)), all: count(found.length) });
  }

  /** The row of a label, made once and told anew. */
  function item(label, depth) {
    if (!items.has(label.id)) {
      const row = el('button', { type: 'button', class: 'pl-label-row', 'data-testid': 'label-row', onclick: () => { openId = openId === label.id ? null : label.id; draw(); } });
      items.set(label.id, { node: el('li', {}, row), row, editor: null });
    }
    const one = items.get(label.id);
    const isOpen = label.id === openId;
    const said = [label.yes ? `${count(label.yes)} ✓` : '', label.no ? `${count(label.no)} ✗` : '', label.unsure ? `${count(label.unsure)} ?` : ''];
    one.row.setAttribute('aria-expanded', String(isOpen));
    one.row.dataset.label = label.name;
    one.row.style.paddingLeft = `${8 + depth * 16}px`;
    one.row.replaceChildren(swatch(label), el('span', { class: 'pl-label-name' }, label.name),
      ...(isFree(label.key) ? [el('kbd', { class: 'pl-kbd' }, label.key)] : []),
      el('span', { class: 'pl-dim pl-small pl-num', title: t('labels.counts', label) }, said.filter(Boolean).join('  ')));
    if (isOpen && !desk.facts.readOnly) {
      if (!one.editor) one.node.append((one.editor = editor(label.id)).node);
      one.editor.tell(label);
    } else if (one.editor) { one.editor.node.remove(); one.editor = null; }
    return one.node;
  }

  /** The fields of a label; `tell` puts into them what is known now. */
  function editor(id) {
    let known = null;
    const fields = [];
    const othersOf = () => labels.filter(one => one.id !== id);
    /** Send what a field says. Words that were refused, or that no server heard, stay to be mended. */
    const send = async (input, change, said) => {
      input.removeAttribute('aria-invalid');
      if (await edit(change, said)) return;
      if (input.matches('select')) input.back(); else input.setAttribute('aria-invalid', 'true');
    };
    const describe = (input, change) => send(input, { action: 'describe', label: id, ...change });
    const field = (key, input, value, { wide = false } = {}) => {
      fields.push([input, value]);
      return el('label', { class: `pl-field${wide ? ' wide' : ''}` }, t(key), input);
    };
    const words = (name, change, attrs = {}) => el('input', { type: 'text', class: 'pl-input', name, autocomplete: 'off', onchange: event => change(event.target), ...attrs });

    const name = words('name', input => send(input, { action: 'rename', label: id, name: input.value }, t('labels.renamed', { name: input.value })), { maxlength: '200', 'data-testid': 'label-name' });
    const definition = el('textarea', { class: 'pl-input', rows: '2', name: 'definition', 'data-testid': 'label-definition', onchange: event => describe(event.target, { definition: event.target.value }) });
    const aliases = words('aliases', input => describe(input, { aliases: namesIn(input.value) }));
    const key = words('key', input => {
      const wanted = input.value.trim().toLowerCase();
      const other = othersOf().find(one => one.key === wanted && wanted);
      if (wanted && !isFree(wanted)) toast(t('labels.key.reserved', { key: wanted }), { kind: 'error' });
      else if (other) toast(t('labels.key.taken', { key: wanted, name: other.name }), { kind: 'error' });
      else { describe(input, { key: wanted }); return; }
      input.value = known.key;
    }, { maxlength: '1' });
    const colour = el('input', { type: 'color', name: 'colour', onchange: event => describe(event.target, { colour: event.target.value }) });
    const colourless = el('button', { type: 'button', class: 'pl-button small', onclick: () => describe(colour, { colour: '' }) }, t('labels.colour.none'));
    const parent = chooser('parent', t('labels.parent.none'), othersOf, above => send(parent, { action: 'parent', label: id, parent: above }));
    const into = chooser('merge', t('labels.merge.none'), othersOf, other => other && merge(known, othersOf().find(one => one.id === other), into));
    const node = el('div', { class: 'pl-label-editor' },
      field('labels.name', name, label => label.name, { wide: true }),
      field('labels.definition', definition, label => label.definition, { wide: true }),
      field('labels.aliases', aliases, label => label.aliases.join(', '), { wide: true }),
      field('labels.key', key, label => label.key),
      el('label', { class: 'pl-field' }, t('labels.colour'), el('span', { class: 'pl-row' }, colour, colourless)),
      field('labels.parent', parent, label => label.parent),
      field('labels.merge', into, () => null),
      el('div', { class: 'pl-row wide' }, el('button', { type: 'button', class: 'pl-button small danger', 'data-testid': 'label-remove', onclick: () => remove(known) }, t('labels.remove'))));
    fields.push([colour, label => label.colour || '#8090a8']);

    function tell(label) {
      known = label;
      colourless.hidden = !label.colour;
      for (const [input, value] of fields) {
        // A field that is written in, or whose words were not taken, is the person's.
        if (input === document.activeElement && !input.matches('select') || input.getAttribute('aria-invalid')) continue;
        if (input.matches('select')) input.choose(value(label));
        else if (input.value !== value(label)) input.value = value(label);
      }
    }
    return { node, tell };
  }

  async function merge(label, into, select) {
    const sure = await confirmed({ title: t('labels.merge.title', { name: label.name, into: into.name }), text: t('labels.merge.what', { name: label.name, into: into.name }), yes: t('labels.merge.yes') });
    select.back();
    if (sure && await edit({ action: 'merge', label: label.id, into: into.id }, t('labels.merged', { name: label.name, into: into.name }))) { openId = into.id; draw(); }
  }

  async function remove(label) {
    const next = items.get(label.id)?.node.nextElementSibling?.querySelector('button');
    if (!await edit({ action: 'remove', label: label.id }, t('labels.removed', { name: label.name }))) return;
    openId = null;
    next?.focus();
  }

  return { refresh };
}

/**
 * A list to choose one of the labels `all()` from, or none (`first`). Where they are very many it
 * holds only the chosen one until somebody comes to it. `choose(id)` shows what is chosen now, and
 * leaves a list that is open alone; `back()` shows it again after another choice was refused.
 */
function chooser(name, first, all, change) {
  const select = el('select', { class: 'pl-input', name, onchange: () => change(select.value ? Number(select.value) : null) });
  let chosen = null, held = '';
  const fill = isWhole => {
    const labels = all();
    const shown = isWhole || labels.length <= AT_ONCE ? labels : labels.filter(one => one.id === chosen);
    const now = JSON.stringify([chosen, ...shown.map(one => [one.id, one.name])]);
    if (now === held) return;
    held = now;
    select.replaceChildren(el('option', { value: '' }, first), ...shown.map(one => el('option', { value: one.id, selected: one.id === chosen }, one.name)));
  };
  select.addEventListener('focus', () => fill(true));
  select.choose = id => { chosen = id; fill(select === document.activeElement); };
  select.back = () => { select.value = chosen ?? ''; };
  return select;
}

function swatch(label) {
  const node = el('span', { class: 'pl-swatch', 'aria-hidden': 'true' });
  if (label.colour) node.style.background = label.colour;
  return node;
}

/** [[label, depth], ...]: children below their parents, each once even if parents form a ring. */
export function inOrder(labels) {
  const below = new Map([[null, []]]);
  const known = new Set(labels.map(label => label.id));
  for (const label of labels) {
    const parent = known.has(label.parent) ? label.parent : null;
    if (!below.has(parent)) below.set(parent, []);
    below.get(parent).push(label);
  }
  const out = [], seen = new Set();
  const visit = top => {
    // Not by calls in calls: ten thousand labels may stand each below the one before.
    const waiting = [[top, 0]];
    while (waiting.length) {
      const [label, depth] = waiting.pop();
      if (seen.has(label.id)) continue;
      seen.add(label.id);
      out.push([label, depth]);
      for (const child of (below.get(label.id) ?? []).toReversed()) waiting.push([child, depth + 1]);
    }
  };
  for (const label of below.get(null)) visit(label);
  for (const label of labels) visit(label);
  return out;
}
