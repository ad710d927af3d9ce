// The left side of Explore: what the samples are, counted; a click on a count filters, a click on
// a label colours the map by it.
import { count, debounce, el, t } from './base.js';
import { createPackFolds } from './pack_folds.js';
import { filterWords, percents } from './filter_words.js';

const STATES = ['yes', 'no', 'unsure', 'unknown'];
const COUNTED = ['doubt', 'disagree', 'people', 'changed'];
const MOST_ROWS = 300;

/** createFacets(host, {onFilter(key), onLabel(label)}); `filters` is a Set of keys like "label:12:yes". */
export function createFacets(host, { onFilter, onLabel }) {
  const find = el('input', { type: 'search', class: 'pl-input', placeholder: t('explore.label.find'), 'aria-label': t('explore.label.find'),
    autocomplete: 'off' });
  const list = el('ul', { class: 'pl-facet-list', 'aria-label': t('explore.labels.what') });
  const more = el('div', { class: 'pl-facet-more' });
  const blind = el('p', { class: 'pl-dim pl-small', hidden: true, 'data-testid': 'blind' }, t('explore.blind'));
  const head = el('div', { class: 'pl-facet-head' }, el('h2', { class: 'pl-h2' }, t('explore.labels')), el(
    'span', { class: 'pl-dim pl-small pl-facet-legend', 'aria-hidden': 'true' },
    STATES.slice(0, 3).flatMap(state => [el('i', { class: state }), t(`explore.verdict.${state}`)])));
  host.append(head, blind, find, list, more);
  let facts = null,
    filters = new Set(),
    label = null,
    order = [];
  const folds = createPackFolds(() => draw());

  function row(entry) {
    const total = entry.yes + entry.no + entry.unsure + entry.unknown || 1;
    const bar = el('span', { class: 'pl-facet-bar', 'aria-hidden': 'true' }, STATES.slice(0, 3).map(state => {
      const part = el('i', { class: state });
      part.style.width = `${100 * entry[state] / total}%`;
      return part;
    }));
    const isOn = label === entry.id,
      isFiltered = STATES.some(state => filters.has(`label:${entry.id}:${state}`));
    const name = el('button', { class: 'pl-facet-name', type: 'button', 'aria-pressed': String(isOn), title: t(
        'explore.label.colour', { name: entry.name }), onclick: () => onLabel(isOn ? null : entry.id) },
      el('span', { class: 'pl-facet-word' }, entry.name), el('span', { class: 'pl-num pl-dim' }, entry.yes ? count(entry.yes) : ''), bar);
    const item = el('li', { class: `pl-facet ${isOn || isFiltered ? 'is-open' : ''}`, dataset: { label: entry.name } }, name);
    if (isOn || isFiltered) item.append(el('div', { class: 'pl-facet-counts', role: 'group', 'aria-label': t(
      'explore.label.only', { name: entry.name }) }, STATES.map(state => choice(`label:${entry.id}:${state}`, t(state === 'unknown' ?
      'explore.bulk.none' : `explore.verdict.${state}`), entry[state], state))));
    return item;
  }

  function choice(key, words, n, kind = '') {
    const isOn = filters.has(key);
    return el('button', { class: `pl-count ${kind}`, type: 'button', 'aria-pressed': String(isOn), disabled: !n && !isOn,
        dataset: { filter: key }, title: t(isOn ? 'explore.filter.off' : 'explore.filter.on'), onclick: () => onFilter(key) },
      el('span', {}, words), el('b', { class: 'pl-num' }, count(n)));
  }

  const section = (title, choices, hint = null) => el('section', {}, el('h2', { class: 'pl-h2', title: hint }, title), el('div', {
    class: 'pl-facet-counts', role: 'group', 'aria-label': title }, choices));

  function group(title, kind, counts, least = 2) {
    const names = Object.keys(counts ?? {});
    if (names.length < least && !names.some(name => filters.has(`${kind}:${name}`))) return null;
    return section(title, names.map(name => choice(`${kind}:${name}`, name || t('explore.facet.top'), counts[name])));
  }

  /** What models and people say: the filters come with their counts. */
  function counted(kind) {
    const keys = Object.keys(facts.counted[kind] ?? {});
    return keys.length ? section(t(`explore.facet.${kind}`), keys.map(key => choice(key, shortly(key), facts.counted[kind][key])), t(
      `explore.facet.${kind}.hint`)) : null;
  }

  /** A filter's words below a title that says what it is about. */
  function shortly(key) {
    const [kind, ...rest] = key.split(':');
    if (kind === 'doubt' && rest[0] === 'any') return percents(rest[1], rest[2]);
    if (kind === 'disagree') return rest.length > 2 ? rest.slice(2).join(':') : percents(rest[0], rest[1]);
    if (kind === 'changed') return t('explore.facet.changed.versions', { one: rest[0], other: rest[1] });
    if (kind === 'agreement') return t(`explore.facet.people.${rest[1]}`);
    return filterWords(key, new Map(facts.labels.map(entry => [String(entry.id), entry.name])));
  }

  function draw() {
    if (!facts) return;
    const focused = host.contains(document.activeElement) ? document.activeElement.dataset.filter ?? document.activeElement.dataset
      .pack ?? document.activeElement.closest('[data-label]')?.dataset.label : null;
    const wanted = find.value.trim().toLowerCase(),
      by = new Map(facts.labels.map(entry => [entry.id, entry]));
    const rows = order.map(id => by.get(id)).filter(entry => entry && entry.name.toLowerCase().includes(wanted));
    find.hidden = facts.labels.length <= 12;
    blind.hidden = !facts.is_blind;
    const keep = list.scrollTop;
    const packs = [...new Set(facts.labels.map(entry => entry.pack))],
      { items, left } = folds.rows(rows, { packs, most: MOST_ROWS, row, isFound: Boolean(wanted) });
    list.replaceChildren(...items);
    if (!facts.labels.length) list.append(el('li', { class: 'pl-dim pl-small' }, t('explore.labels.none')));
    else if (!rows.length) list.append(el('li', { class: 'pl-dim pl-small' }, t('explore.label.none')));
    else if (left) list.append(el('li', { class: 'pl-dim pl-small' }, t('explore.label.more', { n: count(left) })));
    list.scrollTop = keep;
    more.replaceChildren(...[group(t('explore.facet.slice'), 'slice', facts.slices, 1), ...COUNTED.map(counted), group(t('explore.facet.split'), 'split', facts.splits), group(t(
      'explore.facet.source'), 'source', facts.sources)].filter(Boolean));
    if (focused)[...host.querySelectorAll('[data-filter], [data-label], [data-pack]')].map(n => ([n.dataset.filter, n.dataset.pack].includes(
      focused) ? n : n.dataset.label === focused ? n.querySelector('button') : null)).find(Boolean)?.focus({ preventScroll: true });
  }
  find.addEventListener('input', debounce(draw, 60));

  function set(next) {
    if (next.facts) {
      facts = next.facts;
      const known = new Set(order);
      // rows keep their places while counts change: only new labels go to the end
      if (!facts.labels.every(entry => known.has(entry.id))) {
        const first = !order.length,
          entries = facts.labels.filter(entry => !known.has(entry.id));
        if (first) entries.sort((a, b) => b.yes - a.yes || a.name.localeCompare(b.name));
        order = [...order, ...entries.map(entry => entry.id)];
      }
    }
    if (next.filters) filters = next.filters;
    if (next.label !== undefined) label = next.label;
    draw();
  }
  return { set };
}
