// The grid: any number of samples as tiles, of which only the rows in view exist.
// Pictures and cards are asked for once scrolling pauses: a fling over thousands of rows would
// otherwise queue thousands of requests, and the person's own click would wait behind them.
import { el, mediaUrl, onRemoved, t } from './base.js';

const PAUSE = 60,
  GAP = 8;

/**
 * createGrid(host, {cards, kind, onChosen(Set), onOpen(id), onLook(id), onHover(id | null)}).
 * Pictures stand in square tiles, texts in flat ones.
 */
export function createGrid(host, { cards, kind, onChosen, onOpen, onLook, onHover }) {
  const isText = kind === 'text';
  const sizer = el('div', { class: 'pl-grid-sizer', role: 'presentation' });
  const view = el('div', { class: `pl-grid ${isText ? 'is-text' : 'is-image'}`, role: 'listbox', 'aria-multiselectable': 'true',
    tabindex: '0', 'aria-label': t('explore.samples') }, sizer);
  host.append(view);
  let ids = new Uint32Array(0),
    scores = null,
    parts = null,
    testid = 'tile',
    cols = 1,
    cell = 128,
    high = 128,
    live = new Map(),
    pool = [],
    chosen = new Set(),
    at = 0,
    anchor = 0,
    frame = 0,
    timer = 0,
    marked = null,
    where = new Map();

  const soon = () => { frame ||= requestAnimationFrame(() => { frame = 0;
      paint(); }); };

  function layout() {
    const room = view.clientWidth - GAP;
    if (room <= 0) return;
    cols = Math.max(1, Math.round(room / (isText ? 250 : 128)));
    cell = Math.floor(room / cols);
    high = isText ? 96 : cell + 20;
    sizer.style.height = `${Math.ceil(ids.length / cols) * high + GAP}px`;
    for (const tile of live.values()) { pool.push(tile);
      tile.node.remove(); }
    live.clear();
    soon();
  }

  function fresh() {
    const parts_ = {
      image: isText ? null : el('img', { decoding: 'async', draggable: 'false', alt: '' }),
      text: isText ? el('span', { class: 'pl-tile-text' }) : null,
      outline: el('span', { class: 'pl-tile-parts' }),
      name: el('span', { class: 'pl-tile-name' }),
      score: el('span', { class: 'pl-tile-score pl-num' }),
      says: el('span', { class: 'pl-tile-says' }),
    };
    const node = el('div', { class: 'pl-tile', role: 'option' }, el('span', { class: 'pl-tile-shot' }, parts_.image, parts_.text, parts_
      .outline, parts_.says), el('span', { class: 'pl-tile-foot' }, parts_.name, parts_.score));
    return { node, ...parts_, drawn: '' };
  }

  /** A tile that was another sample's says nothing of it while its own card is on the way. */
  function blank(tile) {
    tile.drawn = '';
    delete tile.node.dataset.sample;
    tile.node.removeAttribute('aria-label');
    tile.image?.removeAttribute('src');
    for (const part of [tile.text, tile.outline, tile.name, tile.score]) part?.replaceChildren();
    tile.says.hidden = true;
    return tile;
  }

  function paint() {
    const first = Math.max(0, Math.floor(view.scrollTop / high) - 2) * cols;
    const last = Math.min(ids.length, (Math.ceil((view.scrollTop + view.clientHeight) / high) + 2) * cols);
    for (const [k, tile] of live)
      if (k < first || k >= last) { live.delete(k);
        tile.node.remove();
        pool.push(tile); }
    for (let k = first; k < last; k++) {
      let tile = live.get(k);
      if (!tile) {
        tile = blank(pool.pop() ?? fresh());
        const { node } = tile;
        node.id = `pl-tile-${k}`;
        Object.assign(node.dataset, { k, id: ids[k], testid });
        node.style.transform = `translate(${GAP + (k % cols) * cell}px, ${GAP + Math.floor(k / cols) * high}px)`;
        node.style.width = `${cell - GAP}px`;
        node.style.height = `${high - GAP}px`;
        node.setAttribute('aria-posinset', k + 1);
        node.setAttribute('aria-setsize', ids.length);
        live.set(k, tile);
        sizer.append(node);
      }
      tile.node.setAttribute('aria-selected', String(chosen.has(ids[k])));
      tile.node.classList.toggle('is-at', k === at);
      tile.node.classList.toggle('is-marked', ids[k] === marked);
      fillCard(tile, k);
    }
    if (ids.length) view.setAttribute('aria-activedescendant', `pl-tile-${at}`);
    else view.removeAttribute('aria-activedescendant');
    clearTimeout(timer);
    timer = setTimeout(fill, PAUSE);
  }
  /** Names, texts and verdicts of a tile; its picture comes later. */
  function fillCard(tile, k) {
    const card = cards.get(ids[k]),
      key = card ? `${card.id}:${testid}:${card.stamp}` : '';
    if (!card || tile.drawn === key) return;
    tile.drawn = key;
    tile.node.dataset.sample = card.name;
    tile.node.setAttribute('aria-label', isText ? card.text : card.name);
    tile.name.textContent = card.name.split('/').at(-1);
    tile.name.title = card.name;
    const score = scores?.get(card.id);
    tile.score.textContent = score === undefined ? '' : score.toFixed(2);
    const says = card.yes.length ? `✓ ${card.yes.length}` : '';
    tile.says.textContent = says;
    tile.says.title = card.yes_names.length ? `${t('explore.verdict.yes')}: ${card.yes_names.join(', ')}` : '';
    tile.says.hidden = !says;
    const hit = parts?.get(card.id);
    if (isText) tile.text.replaceChildren(...marked_(hit?.excerpt || card.text, hit?.spans ?? []));
    else outline(tile.outline, card, hit, cell - GAP);
  }

  function fill() {
    const seen = [...live.keys()].map(k => ids[k]);
    cards.want(seen).then(() => { for (const [k, tile] of live) { fillCard(tile, k);
        picture(tile, k); } }).catch(() => {});
    for (const [k, tile] of live) picture(tile, k);
  }

  function picture(tile, k) {
    const card = cards.get(ids[k]);
    if (!tile.image || !card) return;
    const src = mediaUrl(card.id, 256, card.hash);
    if (tile.image.getAttribute('src') !== src) tile.image.src = src;
  }
  const tell = () => onChosen(new Set(chosen));

  function show(k) {
    const top = Math.floor(k / cols) * high;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + high + GAP > view.scrollTop + view.clientHeight) view.scrollTop = top + high + GAP - view.clientHeight;
  }

  function go(k, { shift = false, ctrl = false, look = true } = {}) {
    if (!ids.length) return;
    at = Math.max(0, Math.min(ids.length - 1, k));
    if (shift) chosen = new Set(ids.slice(Math.min(anchor, at), Math.max(anchor, at) + 1));
    else if (ctrl) { if (!chosen.delete(ids[at])) chosen.add(ids[at]);
      anchor = at; } else anchor = at;
    show(at);
    soon();
    if (shift || ctrl) tell();
    if (look) onLook(ids[at]);
  }
  view.addEventListener('scroll', soon, { passive: true });
  sizer.addEventListener('click', e => {
    const tile = e.target.closest('.pl-tile');
    if (tile) go(Number(tile.dataset.k), { shift: e.shiftKey, ctrl: e.ctrlKey || e.metaKey });
  });
  sizer.addEventListener('dblclick', e => { const tile = e.target.closest('.pl-tile'); if (tile) onOpen(Number(tile.dataset.id)); });
  sizer.addEventListener('pointerover', e => { const tile = e.target.closest('.pl-tile');
    onHover(tile ? Number(tile.dataset.id) : null); });
  view.addEventListener('pointerleave', () => onHover(null));
  view.addEventListener('keydown', e => {
    const page = cols * Math.max(1, Math.floor(view.clientHeight / high));
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -cols, ArrowDown: cols, PageUp: -page, PageDown: page, Home: -at, End: ids
        .length - 1 - at } [e.key];
    if (step !== undefined && !e.altKey) go(at + step, { shift: e.shiftKey });
    else if (e.key === ' ') go(at, { ctrl: true });
    else if (e.key === 'Enter' && ids.length) onOpen(ids[at]);
    else if (e.key.toLowerCase() === 'a' && (e.ctrlKey || e.metaKey)) { chosen = new Set(ids);
      soon();
      tell(); } else return;
    e.preventDefault();
    e.stopPropagation();
  });
  /**
   * Other samples: `hits` carry scores and matched parts and turn tiles into results. With
   * {keepsPlace} the row that is on top stays there, or what is left of it.
   */
  function setItems(next, { hits = null, keepsPlace = false } = {}) {
    const topRow = Math.floor(view.scrollTop / high), past = view.scrollTop - topRow * high;
    const onTop = ids[topRow * cols], current = ids[at];
    ids = next;
    where = null;
    testid = hits ? 'result' : 'tile';
    scores = hits ? new Map(hits.map(h => [h.sample, h.score])) : null;
    parts = hits ? new Map(hits.map(h => [h.sample, h])) : null;
    at = anchor = keepsPlace ? Math.max(0, ids.indexOf(current)) : 0;
    layout();
    const first = keepsPlace ? ids.indexOf(onTop) : 0;
    view.scrollTop = first < 0 ? topRow * high + past : Math.floor(first / cols) * high + (keepsPlace ? past : 0);
  }

  function setChosen(next) { chosen = new Set(next);
    soon(); }
  /** Mark a sample's tile (hovered on the map); with {reveal} scroll to it. */
  function setMarked(id, { reveal = false } = {}) {
    marked = id;
    if (reveal && id !== null) {
      where ??= new Map(Array.from(ids, (sample, k) => [sample, k]));
      const k = where.get(id);
      if (k !== undefined) { at = k;
        show(k); }
    }
    soon();
  }
  /** Cards changed (verdicts): draw what is in view again. */
  function refresh() { for (const tile of live.values()) tile.drawn = '';
    soon(); }

  const sized = new ResizeObserver(layout);
  sized.observe(view);
  onRemoved(host, () => { sized.disconnect();
    cancelAnimationFrame(frame);
    clearTimeout(timer); });
  return { setItems, setChosen, setMarked, refresh, focus: () => view.focus(), get ids() { return ids; } };
}

/** A text with its matched spans marked; nothing in it is markup. */
export function marked_(text, spans) {
  const out = [];
  let from = 0;
  for (const [start, end] of [...spans].sort((a, b) => a[0] - b[0])) {
    if (start < from || start >= text.length) continue;
    if (start > from) out.push(text.slice(from, start));
    out.push(el('mark', {}, text.slice(start, end)));
    from = Math.min(end, text.length);
  }
  out.push(text.slice(from));
  return out;
}

/** Draw the border of the matched parts over a picture that covers a square of `side` pixels. */
export function outline(host, card, hit, side) {
  host.replaceChildren();
  if (!hit?.parts?.length || !hit.grid || !card.width) return;
  const [rows, cols] = hit.grid, fit = side / Math.min(card.width, card.height);
  const ns = 'http://www.w3.org/2000/svg',
    svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('viewBox', `0 0 ${cols} ${rows}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  Object.assign(svg.style, { width: `${card.width * fit}px`, height: `${card.height * fit}px`, left: `${(side - card.width * fit) / 2}px`,
    top: `${(side - card.height * fit) / 2}px` });
  const set = new Set(hit.parts),
    lines = [];
  for (const part of set) {
    const r = Math.floor(part / cols),
      c = part % cols;
    if (r === 0 || !set.has(part - cols)) lines.push(`M${c} ${r}h1`);
    if (r === rows - 1 || !set.has(part + cols)) lines.push(`M${c} ${r + 1}h1`);
    if (c === 0 || !set.has(part - 1)) lines.push(`M${c} ${r}v1`);
    if (c === cols - 1 || !set.has(part + 1)) lines.push(`M${c + 1} ${r}v1`);
  }
  for (const name of ['under', 'over']) {
    const path = document.createElementNS(ns, 'path');
    path.setAttribute('d', lines.join(''));
    path.setAttribute('class', name);
    path.setAttribute('vector-effect', 'non-scaling-stroke');
    svg.append(path);
  }
  host.append(svg);
}
