// The right side of Explore: the sample looked at, the selection, what it shares, and verdicts on
// all of it at once. Says before each bulk verdict what it would change.
import { count, el, percent, t, url } from './base.js';
import { markedWords } from './marked_words.js';
import { RegionBox } from './region_box.js';

const SHARED_AT_FIRST = 12;
const VERDICT = { yes: 'yes', no: 'no', unsure: 'unsure', none: null };

/** What a verdict would do on the chosen labels: pairs that change, and those that say otherwise now. */
export function forecast(labels, verdict) {
  let change = 0,
    against = 0,
    total = 0;
  for (const entry of labels) {
    const here = entry.yes + entry.no + entry.unsure + entry.unknown;
    total += here;
    change += here - (verdict === null ? entry.unknown : entry[verdict]);
    if (verdict === 'yes') against += entry.no + entry.unsure;
    else if (verdict === 'no') against += entry.yes + entry.unsure;
    else against += entry.yes + entry.no;
  }
  return { change, against, total };
}

/**
 * createSelection(host, {kind, isReadOnly, onClear(), onOnly(), onLike(), onSimilar(id), onPart(id, region),
 * onWords(words), onUnlike(), onClearUnlike(), onSlice(inside), onBulk({labels, names, verdict, replace}), onRemove(), onForget()}).
 */
export function createSelection(host, { kind, isReadOnly, onClear, onOnly, onLike, onSimilar, onPart, onWords, onUnlike, onClearUnlike, onSlice,
  onBulk, onRemove, onForget }) {
  const root = el('section', { class: 'pl-selection', dataset: { testid: 'selection', count: 0 }, 'aria-label': t(
      'explore.view.selection') });
  const lookAt = el('section', { class: 'pl-glance', 'aria-label': t('explore.look') });
  host.append(lookAt, root);
  let ids = new Set(),
    unlike = new Set(),
    shared = null,
    picked = new Set(),
    touched = new Set(),
    isAll = false,
    wanted = '',
    isBusy = false,
    replace = true,
    pointed = 'yes',
    looked = null,
    picture = null;

  // -- one sample --
  /** Show a sample; `region` is the part of it that is searched for, else a box that is being drawn stays. */
  function look(card, { region = null } = {}) {
    const isSame = Boolean(card) && card.id === looked?.id;
    looked = card;
    if (!card) {
      picture = null;
      lookAt.replaceChildren();
      lookAt.hidden = true;
      return;
    }
    lookAt.hidden = false;
    const words = chancesOf(card);
    if (isSame && !region) {                            // whoever draws or marks in it is not disturbed
      lookAt.querySelector('.pl-glance-labels')?.remove();
      if (words) lookAt.lastElementChild.before(words);
      return;
    }
    const open = el('a', { class: 'pl-button primary small', href: url('/', { sample: card.id }), dataset: { testid: 'open' } }, t(
      'explore.open'));
    const text = kind === 'text' ? markedWords(card.text, onWords) : null;
    picture = text ? null : new RegionBox({ card, box: region, isDrawing: isSame && picture?.isDrawing,
      onSearch: box => onPart(card.id, box) });
    lookAt.replaceChildren(
      el('div', { class: 'pl-glance-head' }, el('h2', { class: 'pl-h2 pl-cut', title: card.name }, card.name), el(
      'button', { class: 'pl-icon-button', type: 'button', 'aria-label': t('explore.close'), title: t('explore.close'),
        onclick: onForget }, '✕')),
      ...(text ? [text.shown] : [picture.stage, picture.how]), words ?? '',
      el('div', { class: 'pl-row' }, open, el('button', { class: 'pl-button small', type: 'button', onclick: () => onSimilar(card.id) },
        t('explore.similar')), (text ?? picture).button),
    );
  }

  /** The labels that the model sees most, and what was said of them; null without any. */
  function chancesOf(card) {
    const rows = (card.top ?? []).map(s => el('li', {}, el('span', { class: 'pl-glance-label' }, s.label), el(
    'span', { class: 'pl-glance-bar', 'aria-hidden': 'true' }, bar(s.value)), el('span', { class: 'pl-num pl-dim' }, percent(s.value)),
      s.verdict ? el('span', { class: `pl-verdict ${s.verdict}` }, t(`explore.verdict.${s.verdict}`)) : el(
      'span', { class: 'pl-verdict' })));
    return rows.length ? el('ul', { class: 'pl-glance-labels', 'aria-label': t('explore.look.labels') }, rows) : null;
  }

  function bar(value) { const fill = el('i');
    fill.style.width = `${100 * (value ?? 0)}%`; return fill; }

  // -- many --
  function chosenLabels() { return (shared?.labels ?? []).filter(entry => picked.has(entry.id)); }

  function draw() {
    root.dataset.count = ids.size;
    const active = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const scroll = root.querySelector('.pl-shared')?.scrollTop ?? 0;
    if (!ids.size) {
      root.replaceChildren(el('h2', { class: 'pl-h2' }, t('explore.view.selection')), aside() ?? '', el('p', { class: 'pl-dim' }, t(
        unlike.size ? 'explore.unlike.next' : 'explore.selection.none')));
      return;
    }
    root.replaceChildren(
      el('div', { class: 'pl-glance-head' }, el('h2', { class: 'pl-h2', 'aria-live': 'polite' }, t('explore.selection.count', { n: count(ids
          .size) })), el('button', { class: 'pl-button small', type: 'button', dataset: { key: 'clear' }, onclick: onClear,
        title: 'Escape' }, t('explore.clear'))),
      el('div', { class: 'pl-row' }, act('only', onOnly), act('like', onLike, { title: t(unlike.size ? 'explore.selection.likenot' : 'explore.selection.like.what') }),
        act('unlike', onUnlike)),
      el('div', { class: 'pl-row' }, isReadOnly ? null : [act('slice', () => onSlice(shared?.slices ?? {})), el('button', { class: 'pl-button small danger',
        type: 'button', disabled: isBusy, dataset: { testid: 'remove-samples', key: 'remove' }, onclick: onRemove }, t('explore.remove'))], aside()),
      sharedList(), isReadOnly ? el('p', { class: 'pl-dim' }, t('explore.readonly')) : verdicts(),
    );
    const list = root.querySelector('.pl-shared');
    if (list) list.scrollTop = scroll;
    if (active) root.querySelector(`[data-key="${CSS.escape(active)}"]`)?.focus({ preventScroll: true });
  }

  function act(key, onclick, { title = t(`explore.selection.${key}.what`) } = {}) {
    return el('button', { class: 'pl-button small', type: 'button', title, dataset: { key, testid: `selection-${key}` }, onclick }, t(`explore.selection.${key}`));
  }

  /** What was put aside, and the way to forget it. */
  function aside() {
    return unlike.size ? el('button', { class: 'pl-unlike', type: 'button', title: t('explore.unlike.clear'), dataset: { key: 'unlike-clear', testid: 'unlike', count: unlike.size },
      onclick: onClearUnlike }, t('explore.unlike.count', { n: count(unlike.size) }), el('span', { 'aria-hidden': 'true' }, ' ✕')) : null;
  }

  function sharedList() {
    if (!shared) return el('div', { class: 'pl-shared is-waiting', 'aria-busy': 'true' });
    const found = shared.labels.filter(entry => entry.name.toLowerCase().includes(wanted));
    const rows = (isAll || wanted ? found : found.slice(0, SHARED_AT_FIRST)).slice(0, 300);
    // what was ticked once keeps its row: unticking must not make it vanish
    for (const entry of shared.labels)
      if ((picked.has(entry.id) || touched.has(entry.id)) && !rows.includes(entry)) rows.push(entry);
    const find = el('input', {
      type: 'search',
      class: 'pl-input',
      placeholder: t('explore.label.find'),
      'aria-label': t('explore.label.give'),
      value: wanted,
      dataset: { key: 'find' },
      autocomplete: 'off',
      oninput: e => { wanted = e.target.value.trim().toLowerCase();
        draw(); const again = root.querySelector('[data-key="find"]');
        again.value = e.target.value;
        again.setSelectionRange(again.value.length, again.value.length); }
    });
    return el('fieldset', { class: 'pl-shared-box' }, el('legend', {}, t('explore.shared')), shared.labels.length > SHARED_AT_FIRST ? find :
      null,
      el('ul', { class: 'pl-shared' }, rows.map(entry => {
        const known = entry.yes || entry.no || entry.unsure;
        return el('li', {}, el('label', { class: 'pl-shared-row', dataset: { label: entry.name } },
          el('input', { type: 'checkbox', checked: picked.has(entry.id), dataset: { key: `label-${entry.id}` },
          onchange: e => { touched.add(entry.id); if (e.target.checked) picked.add(entry.id);
              else picked.delete(entry.id);
              draw(); } }),
          el('span', { class: 'pl-cut', title: entry.name }, entry.name),
          el('span', { class: 'pl-num pl-dim pl-small', title: t('explore.shared.mean') }, entry.mean === null ? '' :
            `≈ ${percent(entry.mean)}`),
          el('span', { class: 'pl-shared-counts pl-num' }, known ? ['yes', 'no', 'unsure'].map(v => (entry[v] ? el(
          'span', { class: `pl-verdict ${v}`, }, `${t(`explore.verdict.${v}`)} ${count(entry[v])}`) : null)) : null)));
      })),
      !isAll && !wanted && found.length > SHARED_AT_FIRST ? el('button', { class: 'pl-link', type: 'button', dataset: { key: 'all' },
        onclick: () => { isAll = true;
          draw(); } }, t('explore.shared.all', { n: count(found.length) })) : null);
  }

  function verdicts() {
    const labels = chosenLabels(),
      isOff = !labels.length || isBusy;
    const told = el('p', { class: 'pl-forecast', 'aria-live': 'polite' }, tell(labels));
    const button = (word, words) => {
      const ahead = () => { pointed = word;
        told.replaceChildren(...tell(labels)); };
      return el('button', {
        class: `pl-button pl-bulk ${word}`,
        type: 'button',
        disabled: isOff,
        dataset: { testid: `bulk-${word}`, key: `bulk-${word}` },
        onpointerenter: ahead,
        onfocus: ahead,
        onclick: () => onBulk({ labels: labels.map(entry => entry.id), names: labels.map(entry => entry.name), verdict: VERDICT[word],
          replace }),
      }, words);
    };
    const against = Math.max(...['yes', 'no'].map(verdict => forecast(labels, verdict).against));
    return el('div', { class: 'pl-verdicts' },
      el('div', { class: 'pl-bulk-row', role: 'group', 'aria-label': t('explore.bulk') }, ['yes', 'no', 'unsure', 'none'].map(word =>
        button(word, t(`explore.bulk.${word}`)))),
      told, labels.length && against ? el('label', { class: 'pl-check pl-small' }, el('input', { type: 'checkbox', checked: replace,
        dataset: { key: 'replace' }, onchange: e => { replace = e.target.checked;
          draw(); } }), t('explore.bulk.replace')) : null);
  }
  /** What the verdict under the pointer (else yes) would do, in words. */
  function tell(labels) {
    if (!labels.length) return [t('explore.bulk.how')];
    const { change, against, total } = forecast(labels, VERDICT[pointed]), kept = replace ? 0 : against;
    const names = labels.map(entry => `“${entry.name}”`).join(', ');
    return [el('b', {}, `${t(`explore.verdict.${pointed === 'none' ? 'unknown' : pointed}`)}: ${names}. `), t(
      'explore.bulk.forecast', { n: count(ids.size), change: count(change - kept), total: count(total) }),
      against ? el('span', { class: 'pl-against' }, t(replace ? 'explore.bulk.against' : 'explore.bulk.stay', { n: count(against) })) : '',
      '.'];
  }

  function setIds(next) { ids = next;
    shared = null;
    isAll = false;
    touched = new Set();
    draw(); }

  function setUnlike(next) { unlike = next;
    draw(); }

  function setShared(next, { prefer = null } = {}) {
    shared = next;
    const known = new Set(shared.labels.map(entry => entry.id));
    picked = new Set([...picked].filter(id => known.has(id)));
    if (!picked.size && prefer !== null && known.has(prefer)) picked.add(prefer);
    if (!picked.size && shared.labels.length === 1) picked.add(shared.labels[0].id);
    draw();
  }

  function setBusy(next) { isBusy = next;
    draw(); }
  look(null);
  draw();
  return { look, setIds, setUnlike, setShared, setBusy, get looked() { return looked; } };
}
