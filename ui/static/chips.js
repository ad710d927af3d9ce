// The labels of the sample as chips in groups: said yes, undecided (best score first), said no.
// While the pointer is over the list nothing changes place: what was decided there is regrouped
// when the pointer leaves, so a click never lands on a chip that has just slid under it.

import { count, el, percent, t } from './base.js';

const SHOWN = 60;                       // chips of a group drawn before "show more": thousands stay quick
const MORE = 200;                       // and that many more each time it is asked for
const HOLD = 350;                       // ms of a touch that shows the map instead of deciding
const MARKS = { yes: '✓', no: '✕', unsure: '?', unknown: '' };
const GROUPS = ['yes', 'undecided', 'no', 'muted'];

export class Chips {
  /** `onVerdict(id, verdict)`, `onHover(id | null)`, `onActive(id)`, `onAccept()`. */
  constructor({ onVerdict, onHover, onActive, onAccept }) {
    Object.assign(this, { onVerdict, onHover, onActive, onAccept });
    this.labels = new Map();
    this.chips = new Map();                // made when they are first shown
    Object.assign(this, { query: '', others: new Map(), room: new Map(), rover: null, active: null, bars: new Map(), keys: new Map(), spreadOf: () => null });
    this.groups = Object.fromEntries(GROUPS.map(name => {
      const title = el('span', {}, t(`label.group.${name}`)), total = el('span', { class: 'pl-num' }), body = el('div', { class: 'rows', role: 'list' });
      const more = el('button', { type: 'button', class: 'pl-button small more', hidden: true, onclick: () => { this.room.set(name, this.#room(name) + MORE); this.arrange(); } });
      const node = el('section', { class: `group ${name}`, 'aria-label': t(`label.group.${name}`) },
        el('h3', {}, title, ' ', total), body, more);
      return [name, { node, body, total, more, title }];
    }));
    this.isUnfolded = false;
    this.fold = el('button', { type: 'button', class: 'fold', 'aria-expanded': 'false', 'data-testid': 'muted-fold', onclick: () => { this.isUnfolded = !this.isUnfolded; this.arrange(); } });
    this.groups.muted.node.querySelector('h3').replaceChildren(this.fold);
    this.none = el('p', { class: 'pl-dim none', hidden: true });
    this.blind = el('p', { class: 'pl-dim pl-small blind', hidden: true, 'data-testid': 'blind' }, t('label.blind'));
    this.closed = el('p', { class: 'pl-dim pl-small blind', hidden: true, 'data-testid': 'read-only' }, t('label.closed'));
    this.node = el('div', { class: 'pl-chips', tabindex: '-1' }, this.closed, this.blind,
      ...GROUPS.map(name => this.groups[name].node), this.none);
    this.#events();
  }

  setLabels(labels) {
    const before = this.chips;
    this.labels = new Map(labels.map(label => [label.id, label]));
    this.hasPacks = new Set(labels.map(label => label.pack)).size > 1;
    this.chips = new Map(labels.filter(label => before.has(label.id)).map(label => [label.id, this.#rename(before.get(label.id), label)]));
  }

  /** The chip of a label, made when it is first asked for, with all that is known by then. */
  #of(id) {
    let parts = this.chips.get(id);
    if (!parts) {
      parts = this.#rename(this.#chip(this.labels.get(id)), this.labels.get(id));
      this.chips.set(id, parts);
      this.#key(id, parts);
      this.#bar(id, parts);
      this.#spread(id, parts);
      this.#ask(id, parts);
      this.#mark(id);
      parts.node.classList.toggle('active', id === this.active);
    }
    return parts;
  }

  #chip(label) {
    const part = name => el('span', { class: name });
    const [key, name, pack, spread, fill, num, mark, said] = ['key', 'name', 'pack', 'spread', 'fill', 'num', 'mark', 'said'].map(part);
    said.dataset.testid = 'said';
    const bar = el('span', { class: 'bar' }, fill);
    const rivals = el('span', { class: 'rivals', 'aria-hidden': 'true' });
    bar.append(rivals);
    const limit = el('i', { class: 'limit', 'aria-hidden': 'true', hidden: true });
    bar.append(limit);
    const chip = el('button', {
      type: 'button', class: 'chip', tabindex: '-1', 'data-testid': 'chip', 'data-id': label.id,
    }, key, mark, el('span', { class: 'middle' }, el('span', { class: 'title' }, name, said, pack), bar), spread, num);
    const say = (verdict, text) => el('button', {
      type: 'button', class: `say ${verdict}`, tabindex: '-1', 'data-say': verdict, title: t(`label.say.${verdict}`),
    }, text);
    const node = el('div', { class: 'pl-chip-row', role: 'listitem' }, chip, say('unsure', '?'), say('no', '✕'));
    return { node, chip, name, pack, key, spread, fill, num, mark, rivals, limit, said };
  }

  #rename(parts, label) {
    parts.name.textContent = label.name;
    parts.pack.textContent = this.hasPacks ? label.pack : '';
    parts.chip.dataset.label = label.name;
    parts.node.querySelectorAll('.say').forEach(b => b.setAttribute('aria-label', `${b.title}: ${label.name}`));
    return parts;
  }

  /**
   * Show one sample. `order`: label ids, best first; `verdicts`: id -> verdict; `bars`: id ->
   * {share, text, title, probability}; `spread(id)`: {share, title} or null; `keys`: id -> key;
   * `others`: id -> what other people said, [name, verdict, whether it was adjudicated];
   * `sure`: id -> 'yes' or 'no' where that is certain, which makes three columns; null: not told.
   */
  show({ order, verdicts, bars, spread, keys, packs, others = new Map(), sure = null }) {
    Object.assign(this, { order, verdicts, packs, keys, bars, others, sure, spreadOf: spread });
    this.room.clear();
    this.active = null;
    this.node.scrollTop = 0;
    for (const [id, parts] of this.chips) {
      this.#key(id, parts);
      this.#bar(id, parts);
      this.#spread(id, parts);
      this.#ask(id, parts);
      this.#mark(id);
      delete parts.node.dataset.changed;
      parts.node.classList.remove('active');
    }
    this.rover = null;
    this.arrange();
  }

  /** Other labels are certain, and other keys go with that; nothing moves under the pointer. */
  setSure(sure, keys) {
    Object.assign(this, { sure, keys });
    for (const [id, parts] of this.chips) { this.#key(id, parts); this.#mark(id); }
    if (this.node.matches(':hover') && matchMedia('(hover: hover)').matches) this.isStale = true; else this.arrange();
  }

  setBars(bars) {
    this.bars = bars;
    for (const [id, parts] of this.chips) this.#bar(id, parts);
  }

  /** What other people said changed; `setVerdicts` draws it. */
  setOthers(others) { this.others = others; }

  /** The labels that the queue asks about on this sample; an answer on them teaches most. */
  setAsked(ids) {
    this.asked = new Set(ids);
    for (const [id, parts] of this.chips) this.#ask(id, parts);
  }

  #ask(id, parts) {
    const isAsked = this.asked?.has(id) ?? false;
    parts.chip.classList.toggle('asked', isAsked);
    if (isAsked) parts.chip.dataset.asked = 'true'; else delete parts.chip.dataset.asked;
  }

  setSpread(spread) {
    this.spreadOf = spread;
    for (const [id, parts] of this.chips) this.#spread(id, parts);
  }

  #key(id, parts) {
    const key = this.keys.get(id) ?? '';
    parts.key.textContent = key;
    parts.chip.dataset.key = key;
    if (key) parts.chip.setAttribute('aria-keyshortcuts', key); else parts.chip.removeAttribute('aria-keyshortcuts');
  }

  #bar(id, parts) {
    const bar = this.bars.get(id);
    parts.fill.style.transform = `scaleX(${bar?.share ?? 0})`;
    parts.num.textContent = bar?.text ?? '';
    parts.chip.dataset.probability = bar?.probability ?? '';
    parts.chip.classList.toggle('ranked', Boolean(bar) && bar.probability === null);
    parts.chip.classList.toggle('bare', bar?.share === null);
    const limit = this.labels.get(id).threshold, told = this.#limit(parts, bar, limit);
    parts.chip.title = [this.labels.get(id).definition, bar?.title, told, alsoSaid(bar?.also)].filter(Boolean).join('\n');
    parts.rivals.replaceChildren(...(bar?.also ?? []).filter(({ value }) => value >= 0 && value <= 1).map(({ value }) => {
      const tick = el('i');
      tick.style.left = `${100 * value}%`;
      return tick;
    }));
  }

  /** Where a person put the threshold of a label, and whether this sample reaches it; in words. */
  #limit(parts, bar, limit) {
    const isKnown = limit !== null && limit !== undefined && Number.isFinite(bar?.probability);
    parts.limit.hidden = !isKnown;
    if (!isKnown) { delete parts.chip.dataset.threshold; delete parts.chip.dataset.suggested; return ''; }
    parts.limit.style.left = `${100 * limit}%`;
    const isSuggested = bar.probability >= limit;
    parts.chip.dataset.threshold = limit;
    parts.chip.dataset.suggested = isSuggested;
    return t(isSuggested ? 'label.limit.over' : 'label.limit.under', { at: Math.round(100 * limit) });
  }

  #spread(id, parts) {
    const found = this.spreadOf(id);
    parts.spread.classList.toggle('unknown', !found);
    parts.spread.style.setProperty('--spread', found?.share ?? 0);
    parts.spread.title = found?.title ?? '';
    if (found) parts.chip.dataset.spread = found.share.toFixed(3); else delete parts.chip.dataset.spread;
  }

  /** A verdict changed; chips move to their group at once, or when the pointer leaves the list. */
  setVerdicts(verdicts, { touched = [], now = false } = {}) {
    this.verdicts = verdicts;
    for (const id of touched.length ? touched : this.chips.keys()) this.#mark(id);
    if (!now && this.node.matches(':hover') && matchMedia('(hover: hover)').matches) this.isStale = true; else this.arrange();
  }

  /** Mark for a moment what a new version changed: id -> 'up' or 'down'. */
  flash(changes) {
    clearTimeout(this.calm);
    for (const [id, parts] of this.chips) {
      const way = changes.get(id);
      if (way) parts.node.dataset.changed = way; else delete parts.node.dataset.changed;
    }
    this.calm = setTimeout(() => this.flash(new Map()), 2500);
    if (!changes.size) clearTimeout(this.calm);
  }

  filter(query) {
    this.query = query.trim().toLowerCase();
    this.arrange();
  }

  /** The first chip that the type-ahead found: exact name, then start, then anywhere. */
  first() {
    const ids = this.found();
    const rank = id => { const name = this.labels.get(id).name.toLowerCase(); return name === this.query ? 0 : name.startsWith(this.query) ? 1 : 2; };
    return ids.sort((a, b) => rank(a) - rank(b))[0] ?? null;
  }

  found() {
    const fits = id => {
      const label = this.labels.get(id);
      if (this.packs && !this.packs.has(label.pack)) return false;
      return !this.query || [label.name, ...label.aliases].some(name => name.toLowerCase().includes(this.query));
    };
    return this.order.filter(id => this.labels.has(id) && fits(id));
  }

  arrange() {
    if (!this.order) return;
    const focused = this.node.contains(document.activeElement) ? document.activeElement : null;
    this.isStale = false;
    const rows = { yes: [], undecided: [], no: [], muted: [] }, { sure } = this;
    this.node.classList.toggle('sure', Boolean(sure));
    for (const id of this.found()) {
      const verdict = this.verdicts.get(id);
      // Muted packs come folded, unless somebody looks for a label or for that pack.
      if (this.labels.get(id).is_muted && !this.packs && !this.query) rows.muted.push(id);
      else rows[verdict === 'yes' || verdict === 'no' ? verdict : (!verdict && sure?.get(id)) || 'undecided'].push(id);
    }
    for (const name of GROUPS) {
      const isFolded = name === 'muted' && !this.isUnfolded, ids = isFolded ? [] : this.#few(rows[name], this.#room(name));
      const { node, body, total, more, title } = this.groups[name], nodes = ids.map(id => this.#of(id).node);
      const rest = isFolded ? 0 : rows[name].length - ids.length;
      more.hidden = !rest;
      more.textContent = t('label.more', { n: count(rest) });
      if (nodes.length !== body.childElementCount || nodes.some((n, k) => body.children[k] !== n)) body.replaceChildren(...nodes);
      total.textContent = rows[name].length;
      if (name !== 'muted') title.textContent = t(sure ? `label.group.${name}.sure` : `label.group.${name}`);
      node.hidden = sure && name !== 'muted' ? false : name !== 'undecided' ? !rows[name].length : !rows[name].length && Boolean(this.query);
    }
    this.fold.textContent = t('label.group.muted.n', { n: rows.muted.length });
    this.fold.setAttribute('aria-expanded', String(this.isUnfolded));
    this.none.hidden = !this.query || this.found().length > 0;
    this.none.textContent = t('label.none', { query: this.query });
    if (this.rover === null || !this.node.contains(this.chips.get(this.rover)?.chip)) this.#rove(this.#list()[0]);
    // A chip that goes to another group takes the focus along.
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  #room(name) { return this.room.get(name) ?? SHOWN; }

  /** The first ones of a long group, and the active one wherever it stands. */
  #few(ids, most) {
    if (ids.length <= most) return ids;
    const few = ids.slice(0, most);
    if (this.active !== null && !few.includes(this.active) && ids.includes(this.active)) few.push(this.active);
    return few;
  }

  setActive(id) {
    if (this.active !== null) this.chips.get(this.active)?.node.classList.remove('active');
    this.active = id;
    if (id === null || !this.labels.has(id)) return;
    this.#of(id).node.classList.add('active');
    // A label far down the list comes into it when it is asked for, e.g. by a link.
    if (!this.chips.get(id).node.isConnected) this.arrange();
  }

  /** Where the arcs of a label start: its chip in the window, or where the list ends before it. */
  placeOf(id) {
    const node = this.chips.get(id)?.node;
    if (!node?.isConnected) return null;
    const box = node.getBoundingClientRect(), list = this.node.getBoundingClientRect();
    const y = Math.min(list.bottom, Math.max(list.top, box.top + box.height / 2));
    return { x: box.left, y };
  }

  reveal(id) { this.chips.get(id)?.node.scrollIntoView({ block: 'nearest' }); }
  focus() { this.#list().find(chip => chip.tabIndex === 0)?.focus(); }

  #mark(id) {
    const parts = this.chips.get(id), verdict = this.verdicts.get(id) ?? 'unknown';
    if (!parts) return;
    parts.chip.dataset.verdict = verdict;
    parts.node.dataset.verdict = verdict;
    const sure = (verdict === 'unknown' && this.sure?.get(id)) || '';
    parts.chip.dataset.sure = parts.node.dataset.sure = sure;
    parts.mark.textContent = MARKS[sure || verdict];
    parts.chip.setAttribute('aria-pressed', { yes: 'true', no: 'false', unsure: 'mixed', unknown: 'false' }[verdict]);
    const said = this.#said(id, verdict, parts);
    parts.chip.setAttribute('aria-label', [this.labels.get(id).name, t(sure ? `label.sure.${sure}` : `label.verdict.${verdict}`), parts.num.textContent, said].filter(Boolean).join(', '));
  }

  /** Who decided differently, in words; nothing where nobody did. */
  #said(id, verdict, parts) {
    const words = (this.others.get(id) ?? []).filter(([, theirs]) => theirs !== verdict);
    parts.said.textContent = words.map(([who, theirs]) => `${who} ${MARKS[theirs]}`).join(' · ');
    const told = words.map(([who, theirs, isDecision]) => t(isDecision ? 'label.said.decided' : 'label.said.other', { who, verdict: t(`label.verdict.${theirs}`) })).join('; ');
    parts.said.title = told;
    return told;
  }

  /** Whether people label without seeing what others said. */
  setBlind(isBlind) { this.blind.hidden = !isBlind; }

  /** Whether the project can only be looked at. */
  setReadOnly(isReadOnly) { this.closed.hidden = !isReadOnly; }

  #list() { return [...this.node.querySelectorAll('.chip')]; }

  #rove(chip) {
    const before = this.chips.get(this.rover)?.chip;
    if (before) before.tabIndex = -1;
    this.rover = chip ? Number(chip.dataset.id) : null;
    if (chip) chip.tabIndex = 0;
  }

  #events() {
    const { node } = this, idOf = event => {
      const row = event.target.closest?.('.pl-chip-row');
      return row ? Number(row.querySelector('.chip').dataset.id) : null;
    };
    let pressed = 0;
    node.addEventListener('pointerdown', event => {
      pressed = event.pointerType === 'touch' ? event.timeStamp : 0;
      if (pressed) this.onHover(idOf(event));
    });
    node.addEventListener('contextmenu', event => { if (pressed) event.preventDefault(); });
    node.addEventListener('click', event => {
      const id = idOf(event), held = pressed && event.timeStamp - pressed > HOLD;
      pressed = 0;
      if (id === null || held) return;
      const say = event.target.closest('[data-say]')?.dataset.say;
      this.onActive(id);
      this.onVerdict(id, say ?? (event.altKey || event.shiftKey ? 'no' : 'yes'));
    });
    node.addEventListener('pointerover', event => { if (event.pointerType !== 'touch') this.onHover(idOf(event)); });
    node.addEventListener('pointerleave', () => { this.onHover(null); if (this.isStale) this.arrange(); });
    node.addEventListener('focusin', event => {
      const chip = event.target.closest('.chip');
      if (chip) { this.#rove(chip); this.onActive(Number(chip.dataset.id)); }
    });
    node.addEventListener('keydown', event => {
      if (event.ctrlKey || event.metaKey || event.altKey || !event.target.closest('.chip')) return;
      if (event.key === 'Enter') { event.preventDefault(); if (!event.repeat) this.onAccept(); return; }
      const list = this.#list(), at = list.indexOf(event.target.closest('.chip'));
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: list.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      list[Math.min(list.length - 1, Math.max(0, to))].focus();
    });
  }
}

/** What imported models say of a label, in words; '' without any. */
export const alsoSaid = also => also?.length ? t('label.also', { scores: also.map(({ source, value }) => `${source} ${value.toFixed(2)}`).join(', ') }) : '';

/**
 * What the bar and the number of each suggestion show: id -> {share, text, title, probability, also}.
 * Without a probability it is the place among the labels of the sample; a label that is alone, or no
 * better and no worse than the others, has none, and `share` is null.
 */
export function barsOf(suggestions) {
  const { labels, scores, probabilities, brought } = suggestions, bars = new Map();
  const high = scores.reduce((a, b) => Math.max(a, b), -Infinity), low = scores.reduce((a, b) => Math.min(a, b), Infinity), span = high - low;
  const unranked = k => ({ share: null, text: '', title: t('label.bar.score', { score: scores[k].toFixed(2) }), probability: null });
  labels.forEach((id, k) => {
    const p = probabilities[k], also = Object.entries(brought ?? {}).filter(([, said]) => said[k] !== null).map(([source, said]) => ({ source, value: said[k] }));
    bars.set(id, p === null && !(span > 0) ? { ...unranked(k), also } : p === null
      ? { share: (scores[k] - low) / span, text: `#${k + 1}`, title: t('label.bar.rank', { rank: k + 1, of: labels.length, score: scores[k].toFixed(2) }), probability: null, also }
      : { share: p, text: percent(p), title: t('label.bar.probability', { percent: percent(p) }), probability: p, also });
  });
  return bars;
}
