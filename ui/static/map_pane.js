// The middle of Explore: the map with its colours, legend, level of detail and hover card.
import { api, count, debounce, el, onTheme, t, toastError, url } from './base.js';
import { createCaptions } from './captions.js';
import { inWords, mark, scaleFor } from './colours.js';
import { createHover } from './hover.js';
import { createMap, MOST_POINTS, unpack } from './map.js';

const METHODS = { umap: 'UMAP', pca: 'PCA' };

/**
 * `page` holds the facts, filters, grid and selection, and is told of clicks and drawn shapes.
 * `by` and `label` say what the colours mean; `page.colourBy` changes them.
 */
export class MapPane {
  constructor(host, page, { by, label, source = null }) {
    Object.assign(this, { page, by, label, source: source ?? page.facts.brought.predictions[0] ?? null, version: null, isSampled: false, map: null, scale: null, groups: [] });
    this.canvas = el('div', { class: 'pl-map', dataset: { testid: 'map', count: 0 }, tabindex: '-1' });
    this.legend = el('div', { class: 'pl-legend', role: 'group', 'aria-label': t('explore.legend') });
    this.method = el('span', { class: 'pl-x-method pl-dim pl-small', 'aria-live': 'polite' });
    this.captions = createCaptions(this.canvas);
    this.captionBox = el('input', { type: 'checkbox', checked: this.captions.isOn, onchange: () => this.captions.turn(this.captionBox.checked) });
    const captions = el('label', { class: 'pl-x-captions pl-small', title: t('explore.captions.hint') }, this.captionBox, t('explore.captions'));
    host.append(this.colourBar(), this.canvas, el('div', { class: 'pl-x-under' }, this.legend, captions, this.method));
    this.hover = createHover(host, { cards: page.cards, kind: page.facts.kind });
    this.canvas.addEventListener('pointermove', event => this.canvas.classList.toggle('is-on-caption', Boolean(this.captions.at(event
      .clientX, event.clientY))));
    onTheme(host, () => this.restyle());
  }
  colourBar() {
    const { labels, brought } = this.page.facts, byName = [...labels].sort((a, b) => a.name.localeCompare(b.name));
    this.bySelect = el('select', {
      class: 'pl-input',
      'aria-label': t('explore.colour'),
      onchange: e => this.page.colourBy(e.target.value, this.label ?? byName[0]?.id ?? null),
    }, ['best', 'label', 'verdict', 'doubt', 'decided', ...(brought.predictions.length ? ['brought', 'disagree'] : [])].map(key =>
      el('option', { value: key, disabled: !labels.length && key !== 'doubt' }, t(`explore.by.${key}`))));
    this.sourceSelect = el('select', {
      class: 'pl-input',
      'aria-label': t('explore.colour.source'),
      onchange: e => { this.source = e.target.value;
        this.page.colourBy(this.by, this.label); },
    }, brought.predictions.map(name => el('option', { value: name }, name)));
    this.labelSelect = el('select', {
      class: 'pl-input',
      'aria-label': t('explore.colour.label.which'),
      onchange: e => this.page.colourBy(this.by, Number(e.target.value)),
    }, byName.map(label => el('option', { value: label.id }, label.name)));
    return el('div', { class: 'pl-x-colours' },
      el('span', { class: 'pl-dim', 'aria-hidden': 'true' }, t('explore.colour')), this.bySelect, this.sourceSelect, this.labelSelect);
  }

  // ---- points --------------------------------------------------------------------------------

  async start() {
    const { page } = this, asked = JSON.stringify(this.colourQuery());
    try {
      const [map, points] = await Promise.all([createMap(this.canvas, {
        onHover: (id, event) => this.hoverPoint(id, event),
        onPick: (id, event) => page.pickPoint(id, event),
        onOpen: id => page.open(id),
        onShape: shape => page.selectInside(shape),
        onView: box => this.zoomed(box),
        onMove: frame => this.captions.place(frame),
        onPress: event => this.zoomToCaption(event),
      }), this.fetchPoints()]);
      this.map = map;
      if (this.kept) map.setKept(this.kept);
      if (this.marked) map.setChosen(this.marked);
      await this.draw(points);
      if (asked !== JSON.stringify(this.colourQuery())) await this.recolour();
      this.canvas.dataset.ready = '1';
    } catch (error) {
      this.canvas.replaceChildren(el('div', { class: 'pl-empty' }, el('p', {}, t('explore.map.failed', { why: error.message }))));
      this.canvas.dataset.ready = 'failed';
    }
  }
  get points() { return this.map?.data ?? null; }
  needsLabel() { return ['label', 'verdict', 'brought'].includes(this.by); }
  needsSource() { return ['brought', 'disagree'].includes(this.by); }
  colourQuery() { return { by: this.by, label: this.needsLabel() ? this.label : null, source: this.needsSource() ? this.source : null }; }

  /** Points with their colours; `box` asks for the window only (level of detail). */
  async fetchPoints(box = null) {
    const query = { ...this.colourQuery(), max: MOST_POINTS };
    // all points at once do not depend on the filters: what does not match stays as a faint background
    if (this.isSampled && this.page.filters.size) query.filter = [...this.page.filters].join('\n');
    if (box) query.box = box.join(',');
    const answer = await api('/pl/api/points', { query, raw: true, signal: this.page.newest('points') });
    const points = unpack(await answer.arrayBuffer());
    points.groups = JSON.parse(answer.headers.get('X-Pl-Groups') ?? '[]');
    return points;
  }
  async draw(points) {
    this.isSampled = points.total > MOST_POINTS;
    if (this.version !== null && this.version !== points.version) this.captions.clear();
    this.groups = points.groups;
    this.version = points.version;
    this.scale = scaleFor(this.by, { groups: points.groups, values: points.colours });
    await this.map.setPoints(points, this.scale, { density: this.isSampled ? url('/pl/api/density', { v: points.version }) : null });
    Object.assign(this.canvas.dataset, { count: points.total, method: points.method, colour: this.by });
    this.drawLegend();
    this.sayMethod();
    this.loadCaptions();
  }
  /** What stands where; asked for again whenever the colours are, and answered from the cache while nothing changed. */
  loadCaptions = debounce(async () => {
    try {
      const { map_version: version, levels } = await api('/pl/api/captions', { signal: this.page.newest('captions') });
      if (version === this.version) this.captions.set(levels, this.points.bounds);
    } catch (error) { if (error.status !== 0) toastError(error); }
  }, 250);
  turnCaptions() {
    this.captions.turn();
    this.captionBox.checked = this.captions.isOn;
  }
  /** A plain click on a caption shows its area, with a little of what is around it. */
  zoomToCaption(event) {
    const one = event.ctrlKey || event.metaKey || event.shiftKey ? null : this.captions.at(event.clientX, event.clientY);
    if (!one) return false;
    const [x0, x1, y0, y1] = one.box, padX = 0.15 * (x1 - x0) + 1e-3, padY = 0.15 * (y1 - y0) + 1e-3;
    this.map.go([x0 - padX, x1 + padX, y0 - padY, y1 + padY]);
    return true;
  }
  /** Ask for the points and their colours again; what is in view stays in view. */
  async recolour() {
    if (!this.points) return;
    try {
      await this.draw(await this.fetchPoints(this.isSampled ? this.map.view() : null));
    } catch (error) { toastError(error); }
  }
  zoomed = debounce(box => {
    if (this.isSampled) this.fetchPoints(box).then(points => this.draw(points)).catch(toastError);
  }, 0);
  /** Light turned to dark or back. */
  async restyle() {
    if (!this.points) return;
    this.scale = scaleFor(this.by, { groups: this.groups, values: this.points.colours });
    await this.map.setColours(this.points.colours, this.scale);
    this.drawLegend();
  }

  // ---- what the page says to the map -----------------------------------------------------------

  // What comes before the map is there is told to it then.
  setKept(ids) { this.kept = ids; return this.map?.setKept(ids); }
  setChosen(ids) { this.marked = ids; this.map?.setChosen(ids); }
  setHover(id) { this.map?.setHover(id); }
  setTool(mode) { this.map?.setTool(mode); }
  clearShape() { this.map?.clearShape(); }
  zoom(factor) { this.map?.zoom(factor); }
  showAll() { this.map?.showAll(); }

  // ---- words -----------------------------------------------------------------------------------

  labelName() { return this.page.facts.labels.find(label => label.id === this.label)?.name ?? ''; }
  sayMethod() {
    const { points } = this;
    if (!points) return;
    const shown = points.ids.length < points.matching ? t('explore.map.drawn', { n: count(points.ids.length) }) : '';
    const making = points.method === 'pca' && this.page.facts.is_projecting ? t('explore.map.making') : '';
    this.method.textContent = t('explore.map.method', { method: METHODS[points.method], n: count(points.total), shown }) + making;
    this.method.title = t(`explore.map.${points.method}`);
  }
  drawLegend() {
    const { scale, points } = this;
    this.bySelect.value = this.by;
    this.labelSelect.hidden = !this.needsLabel();
    this.sourceSelect.hidden = !this.needsSource();
    if (this.source !== null) this.sourceSelect.value = this.source;
    if (this.label !== null) this.labelSelect.value = String(this.label);
    const item = (...parts) => el('span', { class: 'pl-legend-item' }, parts);
    if (scale.kind === 'groups') {
      const numbers = new Map();
      for (const value of points.colours) { const word = inWords(scale, value);
        numbers.set(word, (numbers.get(word) ?? 0) + 1); }
      this.legend.replaceChildren(...scale.groups.filter(group => numbers.get(group.name)).map(group => item(
        mark(group), el('span', { class: 'pl-cut', title: group.name }, group.name), el('span', { class: 'pl-num pl-dim' }, count(
          numbers.get(group.name))))));
      return;
    }
    const ramp = el('span', { class: 'pl-legend-ramp', 'aria-hidden': 'true' }),
      [low, high] = scale.ends;
    ramp.style.background = `linear-gradient(90deg, ${scale.low}, ${scale.middle}, ${scale.high})`;
    this.legend.replaceChildren(item(el('span', {}, low), ramp, el('span', {}, ['label', 'brought'].includes(this.by) ? `${high}: ${this.labelName()}` :
      high)));
    if (points.colours.some(Number.isNaN)) this.legend.append(item(mark({ shape: 'circle', colour: scale.unknown }), t(
      'explore.scale.unknown')));
  }
  hoverPoint(id, event) {
    if (id !== null && this.captions.at(event.clientX, event.clientY)) id = null; // the caption lies above it
    this.page.grid.setMarked(id ?? this.page.looked ?? null);
    if (id === null) { this.hover.hide(); return; }
    const row = this.points.ids.indexOf(id);
    const words = row < 0 ? '' : inWords(this.scale, this.points.colours[row]);
    this.hover.show(id, event, words && t(`explore.value.${this.by}`, { name: this.labelName(), source: this.source, words }));
  }
}
