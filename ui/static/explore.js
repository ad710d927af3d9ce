// The Explore page: a map and a grid of the same samples, facets to filter them, a search, and a
// selection that takes verdicts in bulk. This module holds the state and connects the parts.
import { announceVersion, api, confirmed, count, debounce, el, helpKeys, icon, keys, listen, markReady, newOp, pageRoot, params, setAddress,
  t, toast, toastError, url } from './base.js';
import { createCards } from './cards.js';
import { createFacets } from './facets.js';
import { evaluationQuery, filterWords } from './filter_words.js';
import { createGrid } from './grid.js';
import { insist } from './insist.js';
import { MapPane } from './map_pane.js';
import { splitter } from './panes.js';
import { createSearch } from './search.js';
import { createSelection } from './selection.js';
import { SliceDesk, deadSlices } from './slice_desk.js';
import { keepFocus } from './slot.js';
import { undoOn } from './undo.js';

const BOOKMARK = 'M6 4h12v16l-6-4-6 4z';
const SELECTION = /@"?selection\b/i;
const VIEWS = ['map', 'grid', 'selection', 'facets'];
const ORDERS = ['name', 'doubt', 'label', 'new', 'disagree'];
const FEWEST_HITS = 25,
  MOST_HITS = 200,
  MOST_EXAMPLES = 1000,
  MOST_IN_ADDRESS = 60;

/** x,y,w,h of an address; undefined where it is none. */
function regionIn(text) {
  const region = (text ?? '').split(',').map(Number);
  return text && region.length === 4 && region.every(Number.isFinite) ? region : undefined;
}

const idsIn = text => (/^\d+(,\d+)*$/.test(text ?? '') ? text.split(',').map(Number) : []);
/** Ids for an address; too many of them are not worth one. */
const inAddress = ids => (ids && ids.length <= MOST_IN_ADDRESS ? ids.join(',') : '');

export async function mount({ root }) {
  pageRoot(root, 'explore');
  const page = new Explore(root);
  await page.start();
}

class Explore {
  constructor(root) {
    this.root = root;
    this.cards = createCards();
    this.filters = new Set();
    this.chosen = new Set();
    this.unlike = new Set(); // put aside: results should not be like these
    this.slices = new SliceDesk(this);
    this.scope = 'all';
    this.order = 'name';
    this.hits = null;
    this.asked = null; // what was searched for: {text, isWords} | {sample, region} | {like, not} | {file}
    this.ids = new Uint32Array(0);
    this.wants = {}; // newest request per kind; older ones are aborted
  }

  // ---- start ---------------------------------------------------------------------------------

  async start() {
    try {
      this.facts = await api('/pl/api/facets');
    } catch (error) {
      this.root.replaceChildren(el('div', { class: 'pl-empty' }, el('p', {}, error.message), el('a', { class: 'pl-button primary',
        href: '/data' }, t('explore.godata'))));
      markReady(this.root);
      return;
    }
    this.uid = this.facts.uid; // of the project whose samples are chosen here, whatever has its name later
    this.readAddress();
    this.build();
    this.facets.set({ facts: this.facts, filters: this.filters, label: this.map.label });
    this.drawChips();
    if (!this.facts.samples) { this.showEmpty();
      markReady(this.root); return; }
    this.wire();
    const mapReady = this.map.start();
    await this.loadOrder().catch(toastError);
    // the first search may wait for the encoder: the page can be used meanwhile
    if (this.asked) this.search(this.asked, { keepAddress: true });
    if (this.asked?.region) this.look(this.asked.sample);
    await mapReady;
    markReady(this.root);
    if (this.facts.is_projecting || this.facts.placed < this.facts.samples) this.watchMap();
  }
  readAddress() {
    const at = params(),
      known = new Set(this.facts.labels.map(l => l.id));
    const colour = at.get('colour') ?? '',
      [by, at1] = colour.split(':'), label = Number(at1),
      rivals = this.facts.brought.predictions, asked = at.get('of'), source = rivals.includes(asked) ? asked : rivals[0] ?? null;
    if ((['label', 'verdict'].includes(by) || (by === 'brought' && source)) && known.has(label)) this.colours = { by, label, source };
    else if (by === 'disagree' && source) this.colours = { by, label: null, source };
    else if (['doubt', 'decided', 'best'].includes(colour)) this.colours = { by: colour, label: null };
    else this.colours = { by: this.facts.labels.length ? 'best' : 'doubt', label: null };
    const order = at.get('order'), isAsked = ORDERS.includes(order) && (order !== 'disagree' || rivals.length);
    if (isAsked && (order !== 'label' || this.colours.label !== null)) this.order = order;
    this.vectors = this.facts.brought.vectors.includes(at.get('vectors')) ? at.get('vectors') : null;
    for (const key of (at.get('filter') ?? '').split(',').filter(Boolean)) this.filters.add(decodeURIComponent(key));
    if (at.get('query')) this.asked = { text: at.get('query'), isWords: at.get('as') === 'words' };
    else if (idsIn(at.get('like')).length) {
      this.unlike = new Set(idsIn(at.get('not')));
      this.asked = { like: idsIn(at.get('like')), not: [...this.unlike] };
    } else if (/^\d+$/.test(at.get('similar') ?? '')) this.asked = { sample: Number(at.get('similar')), region: regionIn(at.get('region')) };
    this.view = VIEWS.includes(at.get('view')) ? at.get('view') : this.asked ? 'grid' : 'map';
  }
  writeAddress({ push = false } = {}) {
    const { by, label } = this.map, colour = label === null ? by : `${by}:${label}`;
    setAddress({
      query: this.asked?.text,
      as: this.asked?.isWords ? 'words' : '',
      similar: this.asked?.sample,
      region: this.asked?.region?.join(','),
      like: inAddress(this.asked?.like),
      not: inAddress(this.asked?.not),
      colour: colour === 'best' ? '' : colour,
      of: this.map.needsSource() ? this.map.source : '',
      vectors: this.vectors,
      order: this.order === 'name' ? '' : this.order,
      filter: [...this.filters].map(encodeURIComponent).join(','),
    }, { push });
  }

  // ---- the parts -----------------------------------------------------------------------------

  build() {
    const { kind } = this.facts;
    this.part = {
      facets: el('aside', { class: 'pl-x-facets', 'aria-label': t('explore.view.facets') }),
      map: el('section', { class: 'pl-x-map', 'aria-label': t('explore.map.what') }),
      grid: el('section', { class: 'pl-x-grid', 'aria-label': t('explore.samples') }),
      selection: el('aside', { class: 'pl-x-selection', 'aria-label': t('explore.view.selection') }),
    };
    this.chips = el('div', { class: 'pl-x-chips', role: 'group', 'aria-label': t('explore.filters') });
    this.searching = createSearch({ kind, sources: this.facts.brought.vectors, source: this.vectors,
      onSearch: asked => this.search(asked), onClear: () => this.endSearch(), onSource: name => { this.vectors = name;
        if (this.asked?.sample !== undefined) this.search(this.asked);
        else this.writeAddress(); },
      onFilter: key => { this.endSearch();
        if (!this.filters.has(key)) this.toggleFilter(key); } });
    const tabs = el('div', { class: 'pl-x-tabs', role: 'tablist', 'aria-label': t('explore.parts') }, VIEWS.map(key => el('button', {
      type: 'button',
      role: 'tab',
      dataset: { view: key },
      'aria-selected': 'false',
      onclick: () => this.show(key)
    }, t(`explore.view.${key}`))));
    this.tabs = tabs;
    this.map = new MapPane(this.part.map, this, this.colours);
    this.gridHead = el('div', { class: 'pl-x-gridhead' });
    this.gridHost = el('div', { class: 'pl-x-gridhost' });
    this.part.grid.append(this.gridHead, this.gridHost);
    this.middle = el('div', { class: 'pl-x-middle' });
    const room = Math.max(600, innerWidth - 540),
      pane = (name, way, least, most, start, label) => splitter(this.root, { name, way, least, most, start, label });
    this.middle.append(this.part.map, pane('--explore-map', 1, 280, 2400, Math.round(0.55 * room), t('explore.pane.map')), this.part
    .grid);
    this.root.classList.add('pl-explore', `is-${kind}`);
    this.root.replaceChildren(this.part.facets, pane('--explore-facets', 1, 180, 420, 232, t('explore.pane.facets')), el(
    'main', { class: 'pl-x-main' }, el('div', { class: 'pl-x-top' }, this.searching.node, this.chips, this.searching.line), tabs, this.middle), pane(
      '--explore-selection', -1, 240, 520, 304, t('explore.pane.selection')), this.part.selection);
    this.facets = createFacets(this.part.facets, { onFilter: key => this.toggleFilter(key), onLabel: id => this.colourBy(id === null ?
        'best' : 'label', id) });
    this.grid = createGrid(this.gridHost, {
      cards: this.cards,
      kind,
      onChosen: ids => this.choose(ids),
      onOpen: id => this.open(id),
      onLook: id => this.look(id),
      onHover: id => { this.map.setHover(id); },
    });
    this.selection = createSelection(this.part.selection, {
      kind,
      isReadOnly: this.facts.read_only,
      onClear: () => this.clearChosen(),
      onOnly: () => this.setScope('chosen'),
      onLike: () => this.likeThese([...this.chosen]),
      onUnlike: () => this.notThese(),
      onClearUnlike: () => { this.unlike = new Set();
        this.selection.setUnlike(this.unlike); },
      onSlice: inside => this.slices.open([...this.chosen], { inside }),
      onSimilar: id => this.search({ sample: id }),
      onPart: (id, region) => this.search({ sample: id, region }),
      onWords: words => this.search({ text: words, isWords: true }),
      onBulk: order => this.bulk(order),
      onRemove: () => this.remove(),
      onForget: () => { this.selection.look(null);
        this.looked = null;
        this.grid.setMarked(null); },
    });
    this.selection.setUnlike(this.unlike);
    this.show(this.view);
  }
  show(view) {
    this.view = view;
    this.root.dataset.view = view;
    for (const tab of this.tabs.children) tab.setAttribute('aria-selected', String(tab.dataset.view === view));
  }
  showEmpty() {
    this.middle.replaceChildren(el('div', { class: 'pl-empty' }, el('p', {}, t('explore.empty')), el('a', { class: 'pl-button primary',
      href: url('/data') }, t('explore.empty.do'))));
  }

  // ---- colours and points ----------------------------------------------------------------------

  async colourBy(by, label) {
    this.map.by = by;
    if (this.map.needsLabel()) this.map.label = label;
    else if (['best', 'disagree'].includes(by)) this.map.label = null;
    if (this.order === 'label') {
      if (this.map.label === null) this.order = 'name';
      await this.loadOrder().catch(toastError);
    }
    this.facets.set({ label: this.map.label });
    this.drawGridHead();
    this.writeAddress();
    await this.map.recolour();
  }
  pickPoint(id, event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) {
      const next = new Set(this.chosen);
      if (!next.delete(id)) next.add(id);
      this.choose(next);
    } else this.look(id, { reveal: true });
  }
  /** While UMAP is made or samples are encoded: look for other points every two seconds, never in a hidden tab. */
  watchMap() {
    clearTimeout(this.watching);
    this.watching = setTimeout(async () => {
      if (!this.root.isConnected) return;
      if (!document.hidden) {
        try {
          const before = this.facts;
          this.facts = await api('/pl/api/facets');
          this.facets.set({ facts: this.facts });
          if (this.facts.samples !== before.samples) await this.loadOrder({ keepsPlace: true });
          if (this.facts.map_version !== this.map.version || this.facts.placed !== before.placed) await this.map.recolour();
          else this.map.sayMethod();
        } catch { /* the bar says when the server is away */ }
      }
      if (this.facts.is_projecting || this.facts.placed < this.facts.samples) this.watchMap();
    }, 2000);
  }

  // ---- which samples -------------------------------------------------------------------------

  filterText() { return [...this.filters].join('\n'); }
  async loadOrder({ keepsPlace = false } = {}) {
    let answer;
    try {
      answer = await this.askOrder(this.filterText(), { signal: this.newest('order') });
    } catch (error) {
      if (![400, 404].includes(error.status) || !await this.dropRefused()) throw error;
      return this.loadOrder({ keepsPlace });
    }
    this.ids = new Uint32Array(await answer.arrayBuffer());
    this.matching = this.filters.size ? new Set(this.ids) : null;
    await this.drawGrid({ keepsPlace });
  }
  askOrder(filter, { signal = null } = {}) {
    return api('/pl/api/order', { query: { order: this.order, label: this.order === 'label' ? this.map.label : null, filter },
      raw: true, signal });
  }
  /** Take away the filters that the server knows nothing of (any more), as of a label that was removed; says whether there were any. */
  async dropRefused() {
    const refused = [];
    for (const key of this.filters)
      await this.askOrder(key).catch(error => { if ([400, 404].includes(error.status)) refused.push([key, error.message]); });
    for (const [key] of refused) this.filters.delete(key);
    if (!refused.length) return false;
    toast(t('explore.filter.gone', { n: count(refused.length), why: refused[0][1] }), { seconds: 10 });
    this.facets.set({ filters: this.filters });
    this.drawChips();
    this.writeAddress();
    return true;
  }
  /** The samples of the present scope, and what of the map stays in colour. */
  async drawGrid({ keepsPlace = false } = {}) {
    const within = ids => (this.matching ? ids.filter(id => this.matching.has(id)) : ids);
    if (this.scope === 'results' && this.hits) {
      const hits = this.matching ? this.hits.filter(h => this.matching.has(h.sample)) : this.hits;
      this.grid.setItems(Uint32Array.from(hits, h => h.sample), { hits });
    } else if (this.scope === 'chosen') {
      // what is no longer chosen keeps its tile until other samples are asked for, or a wrong click could not be mended
      if (![...this.chosen].every(id => this.shown?.has(id))) this.shown = new Set(this.chosen);
      this.grid.setItems(this.ids.filter(id => this.shown.has(id)), { keepsPlace });
    } else this.grid.setItems(this.ids, { keepsPlace });
    this.grid.setChosen(this.chosen);
    this.drawGridHead();
    const kept = this.scope === 'results' && this.hits ? new Set(within(this.hits.map(h => h.sample))) : this.matching;
    await this.map.setKept(kept);
  }
  drawGridHead() {
    const number = this.grid.ids.length,
      scopes = [['all', t(this.filters.size ? 'explore.scope.filtered' : 'explore.scope.all'), this.ids.length]];
    if (this.hits) scopes.push(['results', t('explore.scope.results'), this.scope === 'results' ? number : this.hits.length]);
    if (this.chosen.size) scopes.push(['chosen', t('explore.scope.chosen'), this.chosen.size]);
    const order = el('select', { class: 'pl-input', 'aria-label': t('explore.order'), name: 'order', hidden: this.scope === 'results',
      onchange: e => { this.order = e.target.value;
          this.writeAddress();
          this.loadOrder().catch(toastError); } },
      ORDERS.filter(key => (key !== 'label' || this.map.label !== null) && (key !== 'disagree' || this.facts.brought.predictions.length)).map(key => el('option', { value: key, selected: key === this
          .order }, t(`explore.order.${key}`))));
    keepFocus(this.gridHead, () => this.gridHead.replaceChildren(el('div', { class: 'pl-x-scopes', role: 'group', 'aria-label': t('explore.scope') }, scopes.map(([key,
      words, n]) => el('button', {
      type: 'button',
      class: 'pl-scope',
      'aria-pressed': String(this.scope === key),
      dataset: { scope: key, id: key },
      onclick: () => this.setScope(key)
    }, words, ' ', el('span', { class: 'pl-num' }, count(n))))), order, this.facts.read_only || !number ? '' : el('button', { class: 'pl-icon-button', type: 'button', title: t('explore.slice.these', { n: count(number) }),
      'aria-label': t('explore.slice.these', { n: count(number) }), dataset: { testid: 'slice-these' }, onclick: () => this.slices.open([...this.grid.ids]) }, icon(BOOKMARK, { size: 18 }))));
    this.gridHost.classList.toggle('is-nothing', !number);
    this.gridHost.dataset.nothing = this.scope === 'results' ? t('explore.nothing.search') : t('explore.nothing.filter');
  }
  async setScope(scope) {
    this.scope = scope;
    this.shown = null;
    if (this.root.dataset.view === 'selection' || this.root.dataset.view === 'facets') this.show('grid');
    await this.drawGrid();
  }
  toggleFilter(key) {
    this.setFilters(this.filters.has(key) ? [...this.filters].filter(other => other !== key) : [...this.filters, key]);
  }
  setFilters(keys) {
    this.filters = new Set(keys);
    this.facets.set({ filters: this.filters });
    this.drawChips();
    this.writeAddress();
    const again = this.asked && this.hits ? this.search(this.asked, { keepAddress: true, keepsScope: true }) : null;
    Promise.all([this.loadOrder(), again]).then(() => (this.map.isSampled ? this.map.recolour() : null)).catch(toastError);
  }
  drawChips() {
    const names = new Map(this.facts.labels.map(l => [String(l.id), l.name]));
    const words = key => filterWords(key, names);
    const hadFocus = this.chips.contains(document.activeElement);
    keepFocus(this.chips, () => this.chips.replaceChildren(...[...this.filters].map(key => el('button', { class: 'pl-chip', type: 'button', dataset: { id: key }, title: t(
          'explore.filter.off'), onclick: () => this.toggleFilter(key) }, el('span', { class: 'pl-cut' }, words(key)), el(
      'span', { 'aria-hidden': 'true' }, '✕'))),
      this.filters.size > 1 ? el('button', { class: 'pl-link', type: 'button', onclick: () => this.setFilters([]) },
        t('explore.filter.clear')) : '',
      el('a', { class: 'pl-link', href: `${url('/learn', evaluationQuery([...this.filters]))}#evaluation`,
        'data-testid': 'evaluate-slice' }, t('explore.filter.evaluate'))));
    this.chips.hidden = !this.filters.size;
    if (hadFocus && !this.chips.contains(document.activeElement)) this.chips.querySelector('button')?.focus(); // the one that was there is off
  }
  newest(kind) {
    this.wants[kind]?.abort();
    this.wants[kind] = new AbortController();
    return this.wants[kind].signal;
  }

  // ---- search --------------------------------------------------------------------------------

  /** `asked` = {text} (a formula over labels if it is one) | {text, isWords} | {sample, region?} | {like: ids, not: ids} | {file}. */
  async search(asked, { keepAddress = false, keepsScope = false } = {}) {
    this.asked = asked;
    this.showInBar(asked.text);
    this.searching.set(asked, { isBusy: true, card: asked.sample === undefined ? null : this.cards.get(asked.sample) });
    if (!keepAddress) this.writeAddress({ push: true });
    try {
      const signal = this.newest('search'),
        query = { k: Math.min(MOST_HITS, Math.max(FEWEST_HITS, Math.round(this.facts.samples / 4))), filter: this.filterText() };
      let answer;
      if (asked.file) answer = await api('/pl/api/search', { method: 'POST', query, body: asked.file, signal,
        headers: { 'Content-Type': asked.file.type || 'application/octet-stream' } });
      else if (asked.like) answer = await api('/pl/api/search', { query, json: { ids: asked.like, not: asked.not }, signal });
      else if (SELECTION.test(asked.text ?? '') && !asked.isWords) answer = await api('/pl/api/search', { query, json: { query: asked.text, selection: [...this.chosen] }, signal });
      else answer = await api('/pl/api/search', { query: { ...query, [asked.isWords ? 'text' : 'query']: asked.text, sample: asked.sample,
        region: asked.region?.join(','), vectors: asked.sample === undefined || asked.region ? null : this.vectors }, signal });
      this.hits = answer.hits.map(hit => ({ ...hit, grid: answer.grids[hit.grid] ?? null }));
      if (asked.sample !== undefined) { await this.cards.want([asked.sample]);
        this.searching.set(asked, { card: this.cards.get(asked.sample) }); } else this.searching.set(asked, { formula: answer.formula, unnamed: answer.words });
      this.searching.say(t('explore.search.found', { n: count(this.hits.length) }));
      if (keepsScope) return await this.drawGrid();
      if (this.root.dataset.view === 'selection' || this.root.dataset.view === 'facets') this.show('grid');
      await this.setScope('results');
    } catch (error) {
      if (error.name === 'AbortError') return;
      const isSaid = error.status === 400 && this.searching.refuse(asked, error.message);
      if (!isSaid) { this.searching.set(asked, {});
        toastError(error); }
      this.hits = null; // those of another search
      await this.setScope('all');
    }
  }
  /** More like these samples, and not like those that were put aside. */
  likeThese(ids) { this.search({ like: ids.slice(0, MOST_EXAMPLES), not: [...this.unlike].filter(id => !ids.includes(id)).slice(0, MOST_EXAMPLES) }); }
  /** Put the selection aside; where results are like samples already, they are found anew without it. */
  async notThese() {
    this.unlike = new Set([...this.unlike, ...this.chosen]);
    await this.choose(new Set());
    this.selection.setUnlike(this.unlike);
    const like = this.asked?.like?.filter(id => !this.unlike.has(id));
    if (like?.length) this.likeThese(like);
  }
  async endSearch() {
    this.wants.search?.abort();
    this.asked = this.hits = null;
    this.showInBar('');
    this.searching.set(null, {});
    this.writeAddress({ push: true });
    await this.setScope('all');
  }

  /** The bar's search box says what is searched for here. */
  showInBar(text) {
    const box = document.querySelector('[data-testid=search-box]');
    if (box) box.value = text ?? '';
  }

  // ---- selection -----------------------------------------------------------------------------

  async selectInside(shape) {
    try {
      const answer = await api('/pl/api/inside', { json: { ...shape, filters: [...this.filters], map_version: this.map.version },
        signal: this.newest('inside') });
      let ids = answer.ids;
      if (this.scope === 'results' && this.hits) { const hits = new Set(this.hits.map(h => h.sample));
        ids = ids.filter(id => hits.has(id)); }
      if (this.grid.ids.length !== ids.length || this.scope !== 'chosen') this.before = this.scope === 'chosen' ? this.before : this
      .scope;
      this.shown = null;
      await this.choose(new Set(ids), { scope: ids.length ? 'chosen' : this.before ?? 'all', keepShape: true });
    } catch (error) {
      if (error.status === 409) { await this.map.recolour();
        this.map.clearShape(); }
      toastError(error);
    }
  }
  async choose(ids, { scope = null, keepShape = false } = {}) {
    this.chosen = ids;
    this.map.setChosen(ids);
    if (!keepShape) this.map.clearShape();
    this.grid.setChosen(ids);
    this.selection.setIds(ids);
    this.tabs.querySelector('[data-view=selection]').textContent =
      `${t('explore.view.selection')}${ids.size ? ` ${count(ids.size)}` : ''}`;
    if (!ids.size && this.scope === 'chosen') scope = this.before ?? (this.hits ? 'results' : 'all');
    if (scope === 'results' && !this.hits) scope = 'all';
    if (scope === 'all' && this.hits && !ids.size) scope = 'results';
    if (scope && scope !== this.scope) { this.scope = scope;
      this.shown = null;
      await this.drawGrid(); } else if (this.scope === 'chosen' && ![...ids].every(id => this.shown?.has(id))) await this.drawGrid({ keepsPlace: true });
    else this.drawGridHead();
    await this.loadShared();
  }
  /** Choose nothing; many that were chosen can be had back. */
  async clearChosen() {
    const before = this.chosen, scope = this.scope;
    await this.choose(new Set(), { scope: 'all' });
    if (before.size > 1) toast(t('explore.selection.cleared', { n: count(before.size) }),
      { seconds: 12, action: { text: t('explore.selection.back'), run: () => this.choose(before, { scope }) } });
  }
  loadShared = debounce(async () => {
    if (!this.chosen.size) return;
    try {
      const shared = await api('/pl/api/selection', { json: { ids: [...this.chosen] }, signal: this.newest('shared') });
      this.selection.setShared(shared, { prefer: ['label', 'verdict'].includes(this.map.by) ? this.map.label : null });
    } catch (error) { toastError(error); }
  }, 60);
  async bulk({ labels, names, verdict, replace }) {
    const ids = [...this.chosen],
      op = newOp();
    this.selection.setBusy(true);
    try {
      const done = await insist(this.root, ids.length * labels.length,
        () => api('/pl/api/bulk', { query: { uid: this.uid }, json: { ids, labels, verdict, op, replace } }));
      const what = t(`explore.verdict.${verdict ?? 'unknown'}`);
      toast(done.changed ? t('explore.bulk.done', { what, names: names.join(', '), n: count(ids.length), changed: count(done.changed) }) :
        t('explore.bulk.nothing', { what }),
        done.changed ? { action: { text: t('explore.undo'), run: () => this.undo(op) } } : {});
      await this.verdictsChanged();
      if (done.changed) this.awaitVersion();
    } catch (error) { toastError(error); } finally { this.selection.setBusy(false); }
  }
  /** Take the selection out of the project, once the person has seen how many that is. */
  async remove() {
    const ids = [...this.chosen],
      n = count(ids.length),
      op = newOp();
    if (!await confirmed({ title: t('explore.remove.title', { n }), text: t('explore.remove.what'), yes: t('explore.remove.yes', { n }),
        danger: true })) return;
    this.selection.setBusy(true);
    try {
      const done = await insist(this.root, ids.length, () => api('/pl/api/remove', { query: { uid: this.uid }, json: { ids, op } }));
      const gone = new Set(ids);
      this.unlike = new Set([...this.unlike].filter(id => !gone.has(id)));
      this.selection.setUnlike(this.unlike);
      if (gone.has(this.looked)) { this.selection.look(null);
        this.looked = null;
        this.grid.setMarked(null); }
      if (this.hits) this.hits = this.hits.filter(hit => !gone.has(hit.sample));
      toast(t('explore.remove.done', { n: count(done.removed) }), { action: { text: t('explore.undo'), run: () => this.undo(op) } });
      await this.choose(new Set(), { scope: 'all' });
      await this.verdictsChanged();
      this.awaitVersion();
    } catch (error) { toastError(error); } finally { this.selection.setBusy(false); }
  }
  async undo(op = null) {
    if (this.facts.read_only) return;
    this.undone ??= undoOn(this.root, { uid: this.uid, then: async done => {
      await this.verdictsChanged();
      if (done?.op) this.awaitVersion();
    } });
    await this.undone(op);
  }
  /** Counts, cards, colours and filters after verdicts changed, or samples came back or went. */
  async verdictsChanged() {
    const before = this.facts.samples;
    this.facts = await api('/pl/api/facets');
    const isOther = this.facts.samples !== before;
    this.dropDeadSlices();
    this.facets.set({ facts: this.facts, filters: this.filters });
    this.cards.drop();
    this.grid.refresh();
    if (this.looked) this.look(this.looked);
    this.loadShared();
    if (isOther || this.filters.size) await this.loadOrder({ keepsPlace: true }).catch(toastError);
    if (isOther || ['verdict', 'decided'].includes(this.map.by)) await this.map.recolour();
  }
  /** Slices were saved, changed or forgotten: counts, and what is shown of one. */
  async slicesChanged(slices) {
    this.facts.slices = slices;
    const isShown = [...this.filters].some(key => key.startsWith('slice:'));
    this.dropDeadSlices();
    this.facets.set({ facts: this.facts, filters: this.filters });
    this.loadShared();
    if (isShown) await this.loadOrder();
  }
  dropDeadSlices() {
    const gone = deadSlices(this.filters, this.facts.slices);
    if (!gone.length) return;
    for (const key of gone) this.filters.delete(key);
    this.drawChips();
    this.writeAddress();
  }
  /** The model learns from it in the background: show its new version when it is there. */
  async awaitVersion() {
    const since = this.facts.version;
    for (let turn = 0; turn < 30 && this.facts.version <= since; turn++) {
      try {
        const answer = await api('/pl/api/refresh', { query: { since } });
        if (answer.version > since) { this.facts.version = answer.version;
          announceVersion(answer.version); return; }
      } catch { return; }
    }
  }

  // ---- one sample ----------------------------------------------------------------------------

  async look(id, { reveal = false } = {}) {
    this.looked = id;
    this.grid.setMarked(id, { reveal });
    this.map.setHover(id);
    try {
      const page = await api('/pl/api/page', { query: { ids: id, top: 5 }, signal: this.newest('look') });
      if (this.looked === id) this.selection.look(page.samples[0] ?? null, { region: this.asked?.sample === id ? this.asked.region : null });
      if (reveal && matchMedia('(max-width: 760px)').matches) this.show('selection');
    } catch (error) { toastError(error); }
  }
  open(id) { location.assign(url('/', { sample: id })); }

  // ---- events --------------------------------------------------------------------------------

  wire() {
    const { root } = this;
    helpKeys(t('page.explore'), [['L B M', 'tools'], ['+ - 0', 'zoom'], ['C', 'captions'], ['← → ↑ ↓', 'walk'], ['Space', 'choose'], ['Enter', 'open'], [
      'Ctrl A', 'all'], ['Escape', 'clear'], ['U', 'undo'], ['& | ~ ( )', 'formula']].map(([key, what]) => [key, t(`explore.key.${what}`)]));
    listen(root, 'pl:undo', () => this.undo());
    listen(root, 'pl:search', event => {
      event.preventDefault(); // found in place: the bar would load the page again
      if (event.detail.query) this.search({ text: event.detail.query });
      else if (this.asked) this.endSearch();
    });
    listen(root, 'pl:version', event => { this.facts.version = Math.max(this.facts.version, event.detail.version);
      this.cards.drop();
      this.grid.refresh();
      this.map.recolour(); if (this.looked) this.look(this.looked);
      this.loadShared(); });
    listen(root, 'popstate', () => location.reload());
    this.searching.listenForFiles(root);
    const tools = { l: 'drawclosedpath', b: 'drawrect', m: 'pan' };
    keys(root, event => {
      if (event.key === 'Escape') { if (this.chosen.size) this.clearChosen();
        else if (this.asked) this.endSearch();
        else return false; return true; }
      if (event.key === 'c') { this.map.turnCaptions(); return true; }
      if (tools[event.key]) { this.map.setTool(tools[event.key]); return true; }
      if (event.key === '+') this.map.zoom(0.6);
      else if (event.key === '-') this.map.zoom(1 / 0.6);
      else if (event.key === '0') this.map.showAll();
      else return false;
      return true;
    });
    this.gridHost.addEventListener('keydown', event => {
      if (event.key === 'Escape' && this.chosen.size) { this.clearChosen();
        event.preventDefault(); }
    });
  }
}
