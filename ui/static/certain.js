// What is certain of the sample in view, at a level the person sets: surely yes, undecided, surely
// no. Enter confirms all of it, keys are left for what is undecided; what is certain of all other
// samples can be accepted at once, with a forecast of its errors and one undo.

import { api, confirmed, count, debounce, el, newOp, params, percent, setAddress, t, toast, toastError } from './base.js';

const LEAST = 80, MOST = 99, FIRST = 90, AGAIN = 700;    // levels in per cent; ms until a stale guarantee is looked at again

export class Certain {
  /** `onChange()`: other labels are certain; `onDrawer()`: look at the drawer's samples; `inView()`: ids at hand. */
  constructor({ onChange, onDrawer, onUndo, inView }) {
    Object.assign(this, { onChange, onDrawer, onUndo, inView, samples: new Map(), state: null, item: null, turn: 0 });
    const asked = Number(params().get('certain'));
    this.isOn = Boolean(asked);
    this.level = Math.min(MOST, Math.max(LEAST, asked || FIRST));
    this.box = el('input', { type: 'checkbox', 'data-testid': 'certain-on', checked: this.isOn, onchange: () => this.turnOn(this.box.checked) });
    this.range = el('input', { type: 'range', min: LEAST, max: MOST, value: this.level, 'aria-label': t('certain.level'), 'data-testid': 'certain-level', oninput: () => this.#setLevel(Number(this.range.value)) });
    this.value = el('output', { class: 'pl-num' });
    this.told = el('p', { class: 'pl-small told', role: 'status', 'data-testid': 'certain-told' });
    this.drawer = el('button', { type: 'button', class: 'pl-button small', hidden: true, 'data-testid': 'certain-drawer', onclick: () => this.#drawer() });
    this.all = el('button', { type: 'button', class: 'pl-button small', hidden: true, 'data-testid': 'certain-accept', onclick: () => this.accept() }, t('certain.accept'));
    this.node = el('section', { class: 'pl-certain', 'aria-label': t('certain.title'), 'data-testid': 'certain' },
      el('div', { class: 'set' }, el('label', {}, this.box, ' ', t('certain.title')), this.range, this.value), this.told, el('div', { class: 'acts' }, this.drawer, this.all));
    this.askSoon = debounce(() => this.ask(), 150);
    this.renewSoon = debounce(() => this.renew(), 500);
    this.#draw();
  }

  /**
   * id -> 'yes' or 'no' for what is certain of the sample in view; null where nothing is told. It
   * stays as it was first shown while the sample is in view: Enter confirms what the person saw.
   */
  get now() {
    if (!this.isOn || !this.item) return null;
    const found = this.samples.get(this.item.sample);
    if (!this.kept && found && !found.why) {
      this.kept = { open: found.undecided.length, sure: new Map([...found.yes.map(id => [id, 'yes']), ...found.no.map(id => [id, 'no'])]) };
    }
    return this.kept?.sure ?? null;
  }

  turnOn(isOn) {
    this.isOn = isOn;
    this.kept = null;
    this.box.checked = isOn;
    setAddress({ certain: isOn ? this.level : null });
    this.#draw();
    this.onChange();
    if (isOn) this.ask();
  }

  #setLevel(level) {
    this.level = level;
    this.kept = null;
    this.samples.clear();
    this.state = null;
    if (this.isOn) setAddress({ certain: level });
    this.#draw();
    this.askSoon();
  }

  /** Another sample is in view. */
  show(item) {
    this.item = item;
    this.kept = null;
    this.#draw();
    if (this.isOn && (!this.samples.has(item.sample) || !this.state)) this.askSoon();
  }

  /** A version, a verdict or the drawer changed: what was said of samples is old. */
  renew() {
    if (!this.isOn) return;
    for (const found of this.samples.values()) found.isStale = true;
    this.#draw();
    this.ask();
  }

  async ask() {
    const turn = this.turn += 1, level = this.level / 100, ids = this.inView();
    clearTimeout(this.again);
    if (!this.isOn) return;
    try {
      const [state, samples] = await Promise.all([
        api('/pl/api/certainty', { query: { level } }),
        ids.length ? api('/pl/api/certainty/samples', { query: { ids: ids.join(','), level, k: 0 } }) : [],
      ]);
      if (turn !== this.turn) return;
      this.state = state;
      this.samples = new Map(samples.map(found => [found.sample, found]));
    } catch (error) {
      if (turn === this.turn) this.told.textContent = error.message;
      return;
    }
    this.#draw();
    this.onChange();
    if (this.#isStale() && !document.hidden) this.again = setTimeout(() => { if (this.node.isConnected) this.ask(); }, AGAIN);
  }

  #isStale() { return Boolean(this.state?.isStale || this.samples.get(this.item?.sample)?.isStale); }

  #draw() {
    const { state } = this, found = this.samples.get(this.item?.sample), inDrawer = Boolean(this.item?.in_drawer);
    this.value.textContent = percent(this.level / 100);
    this.range.disabled = !this.isOn;
    const isStale = this.isOn && this.#isStale(), why = found?.why || state?.why || '';
    const sure = this.now, isReady = state && found && !why && !inDrawer && sure;
    this.node.dataset.state = inDrawer ? 'drawer' : !this.isOn ? 'off' : !state ? 'asking' : why ? 'wanting' : isStale ? 'stale' : 'ready';
    this.node.dataset.level = this.level;
    this.told.hidden = !this.isOn && !inDrawer;
    this.told.textContent = inDrawer ? t('certain.in_drawer') : !this.isOn || !state ? '' : why ? `${why[0].toUpperCase()}${why.slice(1)}.`
      : isStale ? t('certain.stale') : isReady ? t('certain.now', { yes: count(number(sure, 'yes')), no: count(number(sure, 'no')), open: count(this.kept.open) }) : '';
    const isClosed = this.isOn && state && !state.drawer.share, isShort = state?.drawer.isShort;
    this.drawer.hidden = !(this.isOn && state && !state.readOnly && (isClosed || why)) || inDrawer;
    this.drawer.textContent = isClosed ? t('certain.open') : isShort ? t('certain.larger') : t('certain.decide');
    this.drawer.title = isClosed || isShort ? t('certain.open.hint') : '';
    this.all.hidden = !(isReady && !isStale && state.plan.samples && !state.readOnly);
  }

  async #drawer() {
    if (this.state?.drawer.share && !this.state.drawer.isShort) { this.onDrawer(); return; }
    this.drawer.disabled = true;
    try {
      await api('/pl/api/certainty/drawer', { json: { action: 'open', level: this.level / 100, op: newOp() } });
      await this.ask();
      this.onDrawer();
    } catch (error) { toastError(error); }
    this.drawer.disabled = false;
  }

  /** Accept everything certain in bulk, after a look at what that would do. */
  async accept() {
    const level = this.level / 100;
    let plan;
    try { ({ plan } = await api('/pl/api/certainty', { query: { level } })); } catch (error) { toastError(error); return; }
    const told = { samples: count(plan.samples), yes: count(plan.yes), no: count(plan.no), level: percent(level), wrong: count(Math.ceil(plan.wrongSamples)), verdicts: plan.wrongVerdicts.toFixed(plan.wrongVerdicts < 10 ? 1 : 0) };
    if (!plan.samples || !await confirmed({ title: t('certain.accept.title', told), text: t('certain.accept.text', told), yes: t('certain.accept.yes', { n: count(plan.yes + plan.no) }) })) return;
    this.all.disabled = true;
    try {
      const done = await api('/pl/api/certainty/accept', { json: { level, op: newOp() } });
      toast(t('certain.accepted', { n: count(done.verdicts), samples: count(done.samples) }), { action: { text: t('explore.undo'), run: () => this.onUndo(done.op) }, seconds: 12 });
      this.node.dataset.accepted = done.verdicts;
      await this.onAccepted?.();
    } catch (error) { toastError(error); }
    this.all.disabled = false;
    this.renew();
  }
}

const number = (sure, wanted) => [...sure.values()].filter(each => each === wanted).length;
