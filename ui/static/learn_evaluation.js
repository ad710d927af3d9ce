// The Learn page's evaluation: one question (which samples, which slice, what an undecided pair is)
// and its answer in parts. A part is asked for when it is looked at; every number links to its samples.
import { api, count, debounce, el, listen, params, sentence, setAddress, t, toastError, url } from './base.js';
import { between, number } from './charts.js';
import { mountCalibration } from './eval_calibration.js';
import { mountCertainty } from './eval_certainty.js';
import { mountLabels } from './eval_labels.js';
import { mountInstead, mountTogether } from './eval_pairs.js';
import { mountSlices } from './eval_slices.js';
import { filterAddress, filterWords } from './filter_words.js';

const SPLITS = ['held-back', 'val', 'test', 'train'], UNKNOWN = ['masked', 'no', 'complete'];
const TABS = { labels: mountLabels, instead: mountInstead, together: mountTogether, calibration: mountCalibration, slices: mountSlices, certainty: mountCertainty };
const WAYS = ['threshold', 'best-threshold', 'top-3'], ROWS = ['CF1', 'CF1_mean', 'OF1', 'CP', 'CR', 'OP', 'OR'];
const SOON = 400;                         // ms: versions come quickly while somebody labels

export function mountEvaluation(root) {
  root.dataset.testid = 'evaluation';
  root.id = 'evaluation';
  const at = params(), pick = (name, values) => (values.includes(at.get(name)) ? at.get(name) : values[0]);
  const asked = { split: pick('split', SPLITS), unknown: pick('unknown', UNKNOWN), filters: (at.get('filter') ?? '').split(',').filter(Boolean).map(decodeURIComponent) };
  let tab = pick('part', Object.keys(TABS)), seen = '', isNear = false, told = null, turn = 0, stopped = new AbortController();

  const choice = (name, values) => {
    const select = el('select', { class: 'pl-input', 'data-testid': `eval-${name}`, onchange: () => { asked[name] = select.value; ask(); } },
      values.map(value => el('option', { value, selected: value === asked[name] }, t(`eval.${name}.${value}`))));
    return el('label', { class: 'pl-eval-choice' }, el('span', { class: 'pl-dim pl-small' }, t(`eval.${name}`)), select);
  };
  const chips = el('div', { class: 'pl-row pl-eval-chips', hidden: true, role: 'group', 'aria-label': t('explore.filters') });
  const how = el('p', { class: 'pl-dim pl-plain', role: 'note', 'data-testid': 'eval-how' });
  const none = el('p', { class: 'pl-note', hidden: true, 'data-testid': 'eval-none' });
  const scores = el('div', { class: 'pl-eval-scores' });
  const tabs = el('div', { class: 'pl-eval-tabs', role: 'tablist', 'aria-label': t('eval.parts') }, Object.keys(TABS).map(name => el('button', {
    type: 'button', role: 'tab', id: `pl-eval-${name}`, 'data-testid': `eval-tab-${name}`, 'aria-controls': 'pl-eval-part', onclick: () => open(name),
  }, t(`eval.part.${name}`))));
  const part = el('div', { class: 'pl-eval-part', role: 'tabpanel', id: 'pl-eval-part' });
  const whole = el('div', { class: 'pl-eval-whole', hidden: true }, scores, tabs, part);
  root.replaceChildren(el('header', { class: 'pl-learn-head' }, el('h2', { class: 'pl-h1' }, t('eval.title')),
    el('div', { class: 'pl-row' }, choice('split', SPLITS), choice('unknown', UNKNOWN))), chips, how, none, whole);

  tabs.addEventListener('keydown', event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], names = Object.keys(TABS);
    if (!step) return;
    const next = names[(names.indexOf(tab) + step + names.length) % names.length];
    open(next);
    tabs.querySelector(`[data-testid=eval-tab-${next}]`).focus();
    event.preventDefault();
  });

  // What every part needs of the question.
  const desk = {
    query: () => ({ split: asked.split, unknown: asked.unknown, filter: asked.filters.join('\n') }),
    asked,
    told: () => told,
    reload: () => load(),
    only(filter) { if (!asked.filters.includes(filter)) asked.filters.push(filter); ask(); },
    /** Samples of this question that match more filters. */
    address: filters => url('/explore', filterAddress([...told.base, ...filters])),
    /** A number that opens its samples; `filters` a list, or several alternatives of a label's no. */
    link(n, filters, words = '') {
      if (!n) return el('span', { class: 'pl-dim' }, '0');
      return el('a', { href: desk.address(filters), 'data-count': n, 'data-testid': 'eval-link', title: words || t('eval.open', { n: count(n) }) }, count(n));
    },
    /** A figure that opens the samples it is worked out of; a dash where there is none. */
    from: (value, text, filters) => (value === null || value === undefined ? '–' : el('a', { href: desk.address(filters), class: 'pl-quiet-link', 'data-testid': 'eval-figure', title: t('eval.open.these') }, text)),
    /** Any text that opens samples by an address. */
    open: (text, href, words) => el('a', { href, class: 'pl-quiet-link', 'data-testid': 'eval-link', title: words }, text),
    /** The filter for samples with a pair that counts here; `scope` a label's id or any, shown, ranked (pair_filters.py). */
    judged: (scope, what) => `judged:${asked.unknown}:${scope}:${what}`,
    /** A figure and the samples that the server counted behind it. */
    behind: (value, text, behind, words = t('eval.open', { n: count(behind.samples) })) => (value === null || value === undefined ? '–'
      : el('a', { href: desk.address([behind.filter]), class: 'pl-quiet-link', 'data-testid': 'eval-behind', 'data-count': behind.samples, title: words }, text)),
    csv: (name, more = {}) => el('a', { class: 'pl-button small', href: url('/pl/api/evaluation/table', { ...desk.query(), name, ...more }), download: '', 'data-testid': `csv-${name}` }, t('eval.csv')),
  };

  function ask() {
    setAddress({ split: asked.split === SPLITS[0] ? '' : asked.split, unknown: asked.unknown === UNKNOWN[0] ? '' : asked.unknown, filter: asked.filters.map(encodeURIComponent).join(',') });
    load();
  }

  async function load() {
    if (!isNear) return;
    const mine = turn += 1;
    stopped.abort();
    stopped = new AbortController();
    root.setAttribute('aria-busy', 'true');
    try {
      const answer = await api('/pl/api/evaluation', { query: desk.query(), signal: stopped.signal });
      if (mine === turn) show(answer);
    } catch (error) {
      if (error.name === 'AbortError' || mine !== turn) return;
      whole.hidden = true;
      none.hidden = false;
      none.textContent = error.message;
      drawChips(new Map());
    } finally { if (mine === turn) root.removeAttribute('aria-busy'); }
  }
  const loadSoon = debounce(load, SOON);

  function show(answer) {
    told = answer;
    const { told: numbers } = answer;
    drawChips(new Map(answer.labels.map(label => [String(label.id), label.name])));
    whole.hidden = !numbers.n;
    none.hidden = numbers.n > 0;
    none.textContent = t(!answer.num_labels ? 'eval.none.labels' : !answer.num_verdicts ? 'eval.none.verdicts' : asked.filters.length ? 'eval.none.slice' : `eval.none.${asked.split}`);
    const all = [desk.judged('any', 'decided')];
    how.replaceChildren(...(numbers.n ? [...sentence('eval.counts', { n: desk.link(numbers.n, all), pairs: desk.from(numbers.pairs, count(numbers.pairs), all), version: numbers.version }), ' ', t(`eval.unknown.${numbers.unknown}.what`), ' ', t(`eval.split.${asked.split}.what`)] : []));
    root.dataset.n = numbers.n;
    if (numbers.n) { drawScores(answer); open(tab); } else root.dataset.shown = '';
  }

  function drawChips(names) {
    chips.hidden = !asked.filters.length;
    chips.replaceChildren(...asked.filters.map(key => el('button', { class: 'pl-chip', type: 'button', title: t('explore.filter.off'), 'data-testid': 'eval-filter', 'data-filter': key,
      onclick: () => { asked.filters.splice(asked.filters.indexOf(key), 1); ask(); } }, el('span', { class: 'pl-cut' }, filterWords(key, names)), el('span', { 'aria-hidden': 'true' }, '✕'))));
  }

  // ---- the numbers -------------------------------------------------------------------------------

  function drawScores({ told: numbers, figures, ranked, chosen, num_labels: total }) {
    const tile = (name, value, more, { all } = figures[name].threshold ?? figures[name]['']) => el('div', { class: 'pl-eval-tile', 'data-testid': `score-${name}`, 'data-value': value ?? '', title: t(`eval.score.${name}.what`) },
      el('span', { class: 'pl-dim pl-small' }, t(`eval.score.${name}`)), el('b', { class: 'pl-num' }, desk.behind(value, number(value), all)), el('span', { class: 'pl-dim pl-small pl-num' }, more));
    const { ece, ece_cross_fitted: cross } = numbers;
    const tiles = el('div', { class: 'pl-eval-tiles' },
      tile('mAP', numbers.mAP, between(numbers.intervals.mAP) || t('eval.ranked', { n: count(ranked), total: count(total) })),
      tile('mAP_micro', numbers.mAP_micro, t('eval.score.mAP_micro.short')),
      tile('mAP_weighted', numbers.mAP_weighted, t('eval.score.mAP_weighted.short')),
      tile('CF1', numbers.CF1, between(numbers.intervals.CF1)), tile('OF1', numbers.OF1, between(numbers.intervals.OF1)),
      tile('ece', cross ?? ece, cross === null ? (ece === null ? t('eval.ece.none') : '') : sentence('eval.ece.shown', { value: desk.behind(ece, number(ece), figures.ece[''].all) }), figures[cross === null ? 'ece' : 'ece_cross_fitted']['']));
    const head = el('tr', {}, el('th', { scope: 'col' }, t('eval.measure')), WAYS.map(way => el('th', { scope: 'col', class: 'num', title: t(`eval.way.${way}.what`) }, t(`eval.way.${way}`))));
    const rows = ROWS.map(name => el('tr', { 'data-testid': 'f1-row', 'data-measure': name }, el('th', { scope: 'row', title: t(`eval.f1.${name}.what`) }, t(`eval.f1.${name}`)),
      WAYS.map(way => {
        const value = numbers.f1[way]?.[name], { all, right, wrong } = figures[name][way], kind = name.endsWith('R') ? 'recall' : 'other';
        const part = (one, side) => (one.samples ? desk.behind(value, t(`eval.${side}.${kind}`, { n: count(one.samples) }), one, t(`eval.${side}.what`)) : t(`eval.${side}.${kind}`, { n: 0 }));
        return el('td', { class: 'num', 'data-way': way }, desk.behind(value, number(value), all), way === 'threshold' && numbers.intervals[name] ? el('span', { class: 'pl-dim pl-small' }, ` ${between(numbers.intervals[name])}`) : null,
          value === null ? null : el('span', { class: 'pl-dim pl-small pl-eval-sides' }, part(right, 'right'), ' · ', part(wrong, 'wrong')));
      })));
    const words = [t('eval.definitions'), t(`eval.chosen.${chosen ? 'some' : 'none'}`, { n: count(chosen) }), t('eval.resamples', { n: count(numbers.resamples) })];
    scores.replaceChildren(tiles, el('details', { class: 'pl-eval-f1', open: isOpen() },
      el('summary', {}, t('eval.f1.title')), el('div', { class: 'pl-table-scroll' }, el('table', { class: 'pl-table pl-eval-table' }, el('thead', {}, head), el('tbody', {}, rows))),
      el('p', { class: 'pl-dim pl-small' }, words.join(' '))), el('div', { class: 'pl-row end' }, desk.csv('scores')));
  }
  const isOpen = () => scores.querySelector('details')?.open ?? matchMedia('(min-width: 761px)').matches;

  // ---- the parts ---------------------------------------------------------------------------------

  const mounted = {};
  async function open(name) {
    if (tab !== name) setAddress({ part: name === 'labels' ? '' : name });
    tab = name;
    for (const button of tabs.children) {
      const isOn = button.id === `pl-eval-${name}`;
      button.setAttribute('aria-selected', String(isOn));
      button.tabIndex = isOn ? 0 : -1;
    }
    part.setAttribute('aria-labelledby', `pl-eval-${name}`);
    if (!mounted[name]) {
      mounted[name] = TABS[name](el('div', { class: `pl-eval-${name}` }), desk);
      part.append(mounted[name].node);
    }
    const { node, show: showPart } = mounted[name], mine = turn;
    for (const other of part.children) other.hidden = other !== node;
    root.dataset.shown = '';
    try { await showPart(); } catch (error) {
      if (error.name === 'AbortError') return;
      toastError(error);
    }
    if (mine === turn && tab === name) root.dataset.shown = name;
  }

  // The answer takes a while on a large project: it is asked for when the section comes into view.
  const near = new IntersectionObserver(entries => {
    if (!entries.some(entry => entry.isIntersecting)) return;
    near.disconnect();
    isNear = true;
    load();
  }, { rootMargin: '400px' });
  near.observe(root);
  listen(root, 'pl:labels', loadSoon);
  let isGoneTo = location.hash !== '#evaluation';

  /** The page knows of a new version. */
  function refresh(state) {
    const key = JSON.stringify([state.project, state.version, state.packs.map(pack => [pack.name, pack.labels.length])]);
    if (!isGoneTo) { isGoneTo = true; requestAnimationFrame(() => root.scrollIntoView()); }
    if (key === seen) return;
    seen = key;
    loadSoon();
  }
  return { refresh };
}
