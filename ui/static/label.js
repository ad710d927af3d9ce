// The Label page: one sample after the other, why the model thinks so, and what a person decides.
// Every verdict shows at once and goes to the server in the background (outbox.js); the samples
// that come next are read ahead (samples.js).

import {
  announceVersion, api, count, debounce, el, listen, markReady, onRemoved, pageRoot, params, setAddress, setOpenProject,
  t, toast, toastError,
} from './base.js';
import { AcceptHow } from './accept_how.js';
import { BoxTool } from './box_tool.js';
import { Certain } from './certain.js';
import { Chips, barsOf } from './chips.js';
import { Decisions } from './decisions.js';
import { EvidenceView } from './evidence_view.js';
import { GuidePanel } from './guide_panel.js';
import { lay } from './label_layout.js';
import { LabelBox } from './label_box.js';
import { assignKeys, listenForKeys } from './label_keys.js';
import { Line } from './line.js';
import { Marks } from './marks.js';
import { Neighbours } from './neighbours.js';
import { sampleOf } from './outbox.js';
import { PartCard } from './part_card.js';
import { PointOut } from './point_out.js';
import { Queue } from './queue.js';
import { Samples } from './samples.js';
import { keepFocus } from './slot.js';
import { tellUndone } from './undo.js';
import { adopt, askWhose, discard, doubtful } from './unsent.js';
import { Viewer } from './viewer.js';
import { Words } from './words.js';
import { watchVersion } from './watch.js';

const AHEAD = 4;                 // samples read ahead
// Change of a bar that is worth a mark: of a probability, of a place between best and worst.
const MOVED = 0.02, SHIFTED = 0.1;
const SHOWN_KEPT = 3;            // labels that are named where others decided first

/** The sample that the address names: a number after sample= is an id, whatever samples are called; name= is a name. */
function askedFor() {
  const sample = params().get('sample');
  return /^\d+$/.test(sample ?? '') ? Number(sample) : sample || params().get('name') || null;
}

export function mount({ root }) {
  const page = new LabelPage(pageRoot(root, 'label'));
  page.start().catch(error => page.fail(error));
}

class LabelPage {
  constructor(root) {
    this.root = root;
    Object.assign(this, { labels: [], trail: [], current: null, isLeaving: false, isLooking: false, hovered: null, active: null, version: 0, turn: 0 });
    this.packs = null;
    this.toldGone = new Set();
    // Browsers slow a page down that writes its address many times a second.
    this.writeSoon = debounce(() => this.writeAddress(), 120);
    this.samples = new Samples();
    this.names = new Map();
    const nameOf = id => this.names.get(id) ?? '';
    const card = new PartCard(nameOf);
    this.card = card;
    this.queue = new Queue({ onOpen: id => this.open(id), onPicker: name => this.pick(name) });
    this.line = new Line({ queue: this.queue, onAnswer: answer => { this.setLabels(answer.labels); this.chips.setBlind(answer.is_blind); this.queue.setPickers(answer.pickers, this.line.picker); } });
    this.chips = new Chips({
      onVerdict: (id, verdict) => this.toggle(id, verdict), onHover: id => { this.hovered = id; this.view.draw(); },
      onActive: id => this.activate(id), onAccept: () => this.accept(),
    });
    this.box = new LabelBox({
      onFilter: query => this.chips.filter(query), onPick: () => this.sayFirst(),
      onNew: (name, isYes, pack) => this.newLabel(name, isYes, pack), onPacks: packs => { this.packs = packs; this.chips.packs = packs; this.chips.arrange(); },
    });
    this.certain = new Certain({
      onChange: () => this.setSure(), onDrawer: () => this.pick('drawer').then(() => this.next()),
      onUndo: op => this.decisions.undoNamed(op), inView: () => this.inView(),
    });
    this.certain.onAccepted = () => this.reload();
    this.near = new Neighbours({ onOpen: id => this.open(id), onCopy: n => this.copy(n), nameOf });
    this.marks = new Marks(this);
    this.points = new PointOut(this);
    this.boxes = new BoxTool(this);
    this.guide = new GuidePanel(this);
    this.view = new EvidenceView(this);
    this.bar = this.view.bar;
    this.how = new AcceptHow();
    this.place = lay(this);
    listenForKeys(this);
    onRemoved(root, () => this.samples.close());
    // A mouse click on a button leaves the focus where it was, so Enter stays "accept and next".
    root.addEventListener('mousedown', event => { if (event.target.closest('button')) event.preventDefault(); });
    listen(root, 'pl:undo', () => { if (!this.isReadOnly) this.decisions?.undo(); });
    listen(root, 'popstate', () => this.follow());
    listen(root, 'pl:open', event => this.open(event.detail.sample));
  }

  // ---- start ------------------------------------------------------------------------------------

  async start() {
    const asked = askedFor(), label = params().get('label');
    this.line.picker = params().get('picker') ?? 'stages';
    const wanted = asked === null ? null : this.samples.bring(asked);
    wanted?.catch(() => {});
    const queue = await this.line.ask();
    setOpenProject(queue.project);
    this.kind = queue.kind;
    this.isReadOnly = queue.read_only;
    this.setReadOnly(queue.read_only);
    this.chips.setReadOnly(queue.read_only);
    this.view.start(queue.kind);
    this.bar.setLayers(queue.has_layers);
    this.setLanes(queue.lanes);
    this.root.dataset.kind = queue.kind;
    const owner = { uid: queue.uid, name: queue.project, user: queue.user, isAlone: queue.is_alone, begun: queue.begun };
    this.decisions = new Decisions({
      node: this.root, owner, samples: this.samples,
      onSaved: (entry, answer) => this.saved(entry, answer), onRefused: (entry, error) => this.refused(entry, error),
      onRestored: sample => { this.line.mark(sample, false); this.lookAt([sample]); }, onUndone: (answer, isBack) => this.undone(answer, isBack),
    });
    this.watch = watchVersion({
      node: this.root, since: () => this.version, ids: () => this.inView(), also: () => this.behind(), known: () => this.samples.known, onNews: news => this.news(news),
      isWaiting: () => Boolean(this.current?.item.is_pending),
    });
    const Stage = queue.kind === 'text' ? Words : Viewer;
    this.stage = new Stage({ card: this.card, onPart: () => {}, onPaint: (node, id) => this.view.painted(node, id), onMove: () => this.view.drawArcs(), onTap: event => this.marks.showMenu(event) });
    this.marks.settle();
    this.#fill();
    this.view.dress();
    this.setVersion(queue.version);
    this.queue.tellForecast();
    if (!queue.samples) { this.empty('samples'); return this.askWhose(owner); }
    if (wanted) {
      const record = await wanted.catch(error => { toastError(error); return null; });
      if (record) await this.open(record.item.sample);
    }
    if (!this.current) await this.next({ isFirst: true });
    const linked = this.labels.find(each => each.name === label) ?? this.labels.find(each => each.aliases.includes(label));
    if (label && !linked) toast(t('label.gone.link', { name: label }), { seconds: 10 });
    if (linked) { this.activate(linked.id); this.chips.reveal(linked.id); }
    this.view.restore();
    this.ready();
    await this.askWhose(owner);
    return undefined;
  }

  /** What this browser kept before it noted whose it is, where several people may have used it. */
  async askWhose(owner) {
    const found = doubtful(owner), answer = found.length ? await askWhose(found, owner) : null;
    if (answer === 'discard') discard(found);
    if (answer !== 'mine') return;
    adopt(found, owner);
    this.decisions.outbox.takeKept();
  }

  /** The page can be used once the first sample has been painted. */
  ready() { requestAnimationFrame(() => requestAnimationFrame(() => markReady(this.root))); }

  fail(error) {
    this.place.replaceChildren(el('div', { class: 'pl-empty' }, el('p', {}, error.message),
      error.status === 404 ? el('a', { class: 'pl-button primary', href: '/data' }, t('label.empty.project'))
        : el('button', { type: 'button', class: 'pl-button primary', onclick: () => location.reload() }, t('label.again'))));
    this.root.classList.add('nothing');
    this.ready();
  }

  empty(what, { encoded = 0, samples = 0 } = {}) {
    clearTimeout(this.looking);
    const act = {
      reading: el('button', { type: 'button', class: 'pl-button', 'data-testid': 'empty-do', onclick: () => this.pick('order') }, t('label.empty.reading.do')),
      away: el('button', { type: 'button', class: 'pl-button primary', 'data-testid': 'empty-do', onclick: () => this.next() }, t('label.again')),
      samples: el('a', { class: 'pl-button primary', href: `/data${location.search}` }, t('label.empty.samples.do')),
      labels: this.isReadOnly ? null : el('button', { type: 'button', class: 'pl-button primary', onclick: () => this.box.startNew() }, t('label.empty.labels.do')),
      done: el('button', { type: 'button', class: 'pl-button primary', onclick: () => this.pick('order') }, t('label.empty.done.do')),
    }[what];
    this.leaveTools();
    if (this.current) this.trail.push(this.current.item.sample);
    this.current = null;
    this.isLeaving = false;
    this.turn += 1;
    keepFocus(this.place, () => this.place.replaceChildren(el('div', { class: 'pl-empty' },
      el('p', { role: 'status' }, t(`label.empty.${what === 'reading' && !encoded ? 'loading' : what}`, { encoded: count(encoded), samples: count(samples) })),
      what === 'reading' ? el('progress', { class: 'pl-progress', max: samples, value: encoded, 'aria-label': t('label.empty.reading.what') }) : null, act)));
    this.root.classList.add('nothing');
    this.queue.setCurrent(null);
    this.writeSoon();
    this.ready();
    // Samples come into the queue as they are read, and servers come back: look again, and go on with the first one.
    if (what === 'reading' || what === 'away') this.looking = setTimeout(() => { if (!document.hidden && this.root.isConnected && !this.current) this.next({ isFirst: true }); else this.empty(what, { encoded, samples }); }, 2000);
  }

  setLabels(labels) {
    const before = JSON.stringify(this.labels);
    if (before === JSON.stringify(labels)) return;
    this.labels = labels;
    this.names = new Map(labels.map(label => [label.id, label.name]));
    this.chips.setLabels(labels);
    this.box.setLabels(labels);
  }

  /** Another sample than the address names is a step for the browser's Back. */
  writeAddress() {
    if (this.isGoing) return;
    const { current, active } = this, sample = current ? String(current.item.sample) : null;
    const push = this.hasAddress && params().get('sample') !== sample;
    this.hasAddress = true;
    setAddress({ sample, name: null, label: current && active !== null ? this.names.get(active) : null, ...this.view.address() }, { push });
  }

  /** The browser's Back or Forward: the address has changed already. */
  async follow() {
    const id = askedFor();
    if (id === (this.current?.item.sample ?? null)) return;
    this.isGoing = true;
    if (this.trail.at(-1) === id) this.trail.pop();
    if (id === null) await this.next(); else await this.open(id, { isBack: true });
    this.isGoing = false;
    this.writeSoon();
  }

  setVersion(version) { this.version = version; announceVersion(version); }

  // ---- which sample -----------------------------------------------------------------------------

  async open(id, { isBack = false } = {}) {
    clearTimeout(this.looking);
    const turn = this.turn += 1;
    let record;
    try { record = this.samples.get(id)?.item ? this.samples.get(id) : await this.samples.bring(id); } catch (error) {
      if (turn === this.turn) this.#missed(id, error);
      return;
    }
    if (turn !== this.turn) return;
    if (!isBack && this.current && this.current.item.sample !== id) this.trail.push(this.current.item.sample);
    this.show(record);
  }

  /** A sample could not be opened; one that is gone is not waited for any more. */
  #missed(id, error) {
    const isWay = this.isLeaving || !this.current;
    toastError(error);
    this.isLeaving = false;
    this.root.removeAttribute('aria-busy');
    if (error.status === 404 && this.line.drop(id) && isWay) this.next();
    else if (error.status !== undefined && error.status !== 404 && !this.current) this.empty('away');
  }

  show(record) {
    const { item } = record, isOther = this.current?.item.sample !== item.sample;
    if (!this.stage.node.isConnected) this.#fill();
    this.leaveTools();
    this.root.classList.remove('nothing');
    this.current = record;
    this.active = this.hovered = null;
    this.isLeaving = false;
    this.root.removeAttribute('aria-busy');
    this.box.clear();
    this.stage.show(item, record.image);
    this.bringEvidence(record);
    this.bar.setName(item.name, item.split);
    this.showChips(record);
    this.near.show(item.neighbours, item.is_pending);
    this.line.stand(item);
    this.chips.setAsked(this.line.asks(item.sample));
    this.view.draw();
    this.writeSoon();
    this.watch.plan();
    if (isOther) this.#announce(item);
    // First what is in view, then what comes next: a browser has few connections.
    Promise.all([record.image?.ready, record.matrix]).then(() => {
      if (this.current !== record) return;
      for (const id of this.line.waiting().slice(0, AHEAD)) this.samples.load(id, { isAhead: true }).catch(() => {});
    });
  }

  /** Which sample came, for those who do not see it. */
  #announce(item) {
    const asked = this.labels.filter(label => this.isInView(label)), said = this.decisions.of(item);
    this.card.speak(t('label.now', { name: item.name, decided: count(asked.filter(label => said.has(label.id)).length), of: count(asked.length) }));
  }

  showChips(record) {
    const { item } = record;
    const listed = new Set(item.suggestions.labels);
    this.order = [...item.suggestions.labels.filter(id => this.names.has(id)), ...this.labels.map(l => l.id).filter(id => !listed.has(id))];
    // What measures the model is decided without its help.
    if (item.in_drawer) this.order = this.labels.map(label => label.id);
    this.root.classList.toggle('measuring', item.in_drawer);
    this.certain.show(item);
    this.bars = barsOf(item.suggestions);
    this.chips.show({ order: this.order, verdicts: this.decisions.of(item), bars: this.bars, spread: id => this.view.spread(id), keys: this.giveKeys(), packs: this.packs, others: item.others, sure: this.certain.now });
    this.root.classList.toggle('certain', Boolean(this.certain.now));
  }

  /** Which key says yes to which label; where some are certain, keys are left for the others. */
  giveKeys() {
    const sure = this.certain.now, asked = new Set(this.labels.filter(label => this.isInView(label) && !sure?.has(label.id)).map(label => label.id));
    const keysOf = assignKeys(this.labels.filter(label => asked.has(label.id)), this.order.filter(id => asked.has(id)));
    this.byKey = new Map([...keysOf].map(([id, key]) => [key, id]));
    return keysOf;
  }

  /** Other labels of the sample in view are certain now. */
  setSure() {
    if (!this.current || this.isLeaving) return;
    this.chips.setSure(this.certain.now, this.giveKeys());
    this.root.classList.toggle('certain', Boolean(this.certain.now));
  }

  #fill() { this.place.replaceChildren(this.stage.node, this.card.node, this.view.panel.node, this.points.node, this.marks.menu, this.guide.node); }

  bringEvidence(record) {
    const place = evidence => { if (this.current === record) this.view.place(evidence); };
    if (record.evidence !== undefined) place(record.evidence);
    if (record.isOld) this.samples.bringAgain(record.item.sample);
    if (record.evidence === undefined || !record.isOld) record.matrix?.then(place);
  }

  inView() {
    return [...(this.current ? [this.current.item.sample] : []), ...this.line.waiting().slice(0, AHEAD)];
  }

  /** The other samples at hand. */
  behind() {
    const now = new Set(this.inView());
    return [...this.samples.all.keys()].filter(id => typeof id === 'number' && !now.has(id));
  }

  async next({ isFirst = false } = {}) {
    const id = await this.line.following();
    if (id !== null) return this.open(id);
    if (this.line.isAway) return this.empty('away');
    if (!this.labels.length) return isFirst ? this.empty('labels') : this.empty('done');
    const { encoded, samples, isReading, picker } = this.line;
    const isEarly = encoded < samples && (isReading || !encoded) && picker !== 'order';
    return this.empty(isEarly ? 'reading' : 'done', this.line);
  }

  back() {
    const before = this.trail.pop();
    if (before !== undefined) this.open(before, { isBack: true });
  }

  async pick(name) {
    setAddress({ picker: name === 'stages' ? null : name });
    try { await this.line.choose(name, this.current?.item.sample); } catch (error) { toastError(error); return; }
    if (!this.current) await this.next();
  }

  // ---- what is drawn ----------------------------------------------------------------------------

  /** Labels of which a lane's map can be asked for; without any there is no such choice. */
  setLanes(lanes) {
    this.bar.setLanes(lanes.length > 0);
    this.samples.use(this.bar.shown);
  }

  activate(id) {
    this.active = id;
    this.chips.setActive(id);
    this.marks.hideMenu();
    this.points.follow(id);
    this.boxes.follow(id);
    this.guide.follow(id);
    this.writeSoon();
    this.view.draw();
    if (id !== null) this.card.speak(this.bar.said);
    const { current } = this;
    if (id !== null && current?.evidence?.left_out && !current.evidence.has(id)) {
      this.samples.bringAgain(current.item.sample, id).then(() => this.bringEvidence(current));
    }
  }

  // ---- places ------------------------------------------------------------------------------------

  /**
   * Mark places of a label: `changes` of {region, here: true | false | null}; one step to undo. On the
   * sample in view, or on `of`, an item that was in view when the person took them.
   */
  markAll(label, changes, of = null) {
    if (!changes.length || (!of && (!this.current || this.isLeaving))) return;
    if (this.isReadOnly) { toast(t('label.closed')); return; }
    const isHere = !of || of.sample === this.current?.item.sample, item = isHere ? this.current.item : of;
    this.decisions.markAll(item, label, changes);
    if (!isHere) return;
    this.chips.setVerdicts(this.decisions.of(item), { touched: [label] });
    this.view.draw();
    const name = this.names.get(label), [{ here }] = changes;
    this.card.speak(t(here === null ? 'label.mark.gone' : here ? 'label.mark.here.at' : 'label.mark.absent.at', { name }));
  }

  /** The label of a phrase: the one of that name, made if there is none; null if that failed. */
  async labelFor(name) {
    const known = this.labels.find(each => each.name === name);
    if (known) return known.id;
    return this.newLabel(name, false, this.labels[0]?.pack ?? 'main');
  }

  onTools() { this.marks.hideMenu(); this.bar.setTools({ point: this.points.isOpen, box: this.boxes.isOpen }); }

  leaveTools() { this.points.close(); this.boxes.close(); this.marks.hideMenu(); }

  // ---- what a person decides --------------------------------------------------------------------

  /** One action on the sample in view, shown at once and posted in the background. */
  commit(pairs, options) {
    // Accepted, and the next one is not here yet: a key meant for it must not fall on this one.
    if (!this.current || this.isLeaving || this.isReadOnly) return;
    const { item } = this.current;
    this.decisions.commit(item, pairs);
    this.chips.setVerdicts(this.decisions.of(item), { touched: pairs.map(([label]) => label), ...options });
    this.view.draw();
  }

  toggle(id, verdict, options) {
    if (!this.current || this.isLeaving || this.isReadOnly) return;
    const { item } = this.current, before = this.decisions.of(item).get(id) ?? null;
    // What others said is not mine to take back: saying the same makes it my word, too.
    const isMine = !item.borrowed.delete(id);
    this.commit([[id, before === verdict && isMine ? null : verdict]], options);
  }

  /**
   * YES for the chosen and the surely yes, NO for all others of the packs in view, unsure stays; or
   * nothing but what was said already, if the person wants it so. Then the next one.
   */
  accept() {
    if (!this.current || this.isLeaving) return;
    this.leaveTools();
    if (this.isReadOnly) { this.next(); return; }
    const said = this.decisions.of(this.current.item), sure = this.certain.now;
    const pairs = (this.how.isTouchedOnly ? [] : this.labels).filter(label => this.isInView(label))
      .filter(label => !['unsure', 'no'].includes(said.get(label.id)))
      .map(label => [label.id, (said.get(label.id) ?? sure?.get(label.id)) === 'yes' ? 'yes' : 'no']);
    if (pairs.length) this.decisions.accept(this.current.item, pairs);
    this.isLeaving = true;
    this.root.setAttribute('aria-busy', 'true');
    this.line.mark(this.current.item.sample, true);
    this.next();
  }

  copy(neighbour) {
    if (!this.current || !neighbour) return;
    const said = this.decisions.of(this.current.item), pairs = neighbour.yes.filter(id => said.get(id) !== 'yes').map(id => [id, 'yes']);
    if (pairs.length) this.commit(pairs, { now: true });
  }

  /** Labels of muted packs are out of view until their pack is chosen: no key, no NO from Enter. */
  isInView(label) { return this.packs ? this.packs.has(label.pack) : !label.is_muted; }

  sayFirst() {
    const id = this.chips.first();
    if (id === null || !this.current) return;
    if (this.decisions.of(this.current.item).get(id) !== 'yes') this.toggle(id, 'yes', { now: true });
    this.activate(id);
    this.chips.reveal(id);
  }

  /** Make a label; with `isYes` it is said of the sample that was in view when it was named. Gives its id; null where that failed. */
  async newLabel(name, isYes, pack) {
    if (this.isReadOnly) { toast(t('label.closed')); return null; }
    const named = this.current?.item;
    let made = null;
    try {
      made = await api('/pl/api/label', { json: { name, pack } });
      this.setLabels(made.labels);
      if (isYes && named) this.decisions.commit(named, [[made.label, 'yes']]);
      if (!this.current) {
        this.samples.forget();
        await this.next();
      } else {
        await this.reload();
        if (this.current?.item.sample === named?.sample) {
          this.activate(made.label);
          this.chips.reveal(made.label);
        }
      }
    } catch (error) { toastError(error); }
    return made?.label ?? null;
  }

  // ---- the server -------------------------------------------------------------------------------

  saved(entry, answer) {
    const id = this.current?.item.sample;
    if (answer.gone.length) this.tellGone(answer.gone);
    for (const [sample, labels] of Object.entries(answer.kept)) this.tellKept(Number(sample), labels);
    if ((entry.isKept || id in answer.kept) && sampleOf(entry) === id) this.chips.setVerdicts(this.decisions.of(this.current.item));
    this.certain.renewSoon();
    this.watch.now();
  }

  /** Labels were removed or merged elsewhere: nothing else of what was said is lost. */
  tellGone(gone) {
    for (const { label, name, into } of gone) {
      if (this.toldGone.has(label)) continue;
      this.toldGone.add(label);
      toast(t(into ? 'label.gone.merged' : 'label.gone', { name: name || this.names.get(label) || String(label), into: into?.name ?? '' }), { seconds: 12 });
    }
    this.anew();
  }

  /** The server said no: its state wins, and the sample is not done. */
  async refused(entry, error) {
    const sample = sampleOf(entry), isHere = sample === this.current?.item.sample && !this.isLeaving;
    toast(t('label.refused', { why: error.message }), {
      kind: 'error', seconds: 15, action: sample === undefined || isHere ? null : { text: t('label.kept.open'), run: () => this.open(sample) },
    });
    if (sample !== undefined) this.line.mark(sample, false);
    if (!isHere) this.samples.drop(sample);
    await this.anew();
  }

  /** Ask for the labels and the sample in view again. */
  async anew() {
    try { await this.line.ask(); } catch (error) { toastError(error); return; }
    await this.reload();
  }

  /** What was decided elsewhere before this page knew of it stays; the person is told. */
  tellKept(sample, labels) {
    const said = Object.entries(labels).map(([label, verdict]) => `${this.names.get(Number(label)) ?? label} (${t(`label.verdict.${verdict ?? 'unknown'}`)})`);
    const name = this.samples.get(sample)?.item?.name ?? String(sample), more = said.length - SHOWN_KEPT;
    const words = said.slice(0, SHOWN_KEPT).join(', ');
    toast(t('label.kept', { name, labels: more > 0 ? t('label.kept.more', { labels: words, n: count(more) }) : words }), {
      seconds: 12, action: sample === this.current?.item.sample ? null : { text: t('label.kept.open'), run: () => this.open(sample) },
    });
  }

  /** Fetch the current sample again, keeping place: what the server says wins. */
  async reload() {
    const id = this.current?.item.sample;
    this.samples.forget(id);
    if (id === undefined) return;
    try {
      const record = await this.samples.again(id);
      if (this.current?.item.sample !== id || this.isLeaving) return;
      const { active } = this;
      this.show(record);
      if (active !== null) this.activate(active);
    } catch (error) {
      if (error.status !== 404 || this.current?.item.sample !== id) return;
      this.isLeaving = true;                           // it is gone
      this.#missed(id, error);
    }
  }

  /** The sample in view waits for its vectors; it is shown anew once they are there. */
  async lookForVectors() {
    const { current } = this;
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      const item = await api('/pl/api/item', { query: { sample: current.item.sample } });
      if (!item.is_pending && this.current === current) await this.reload();
    } catch { /* asked again at the next look */ } finally { this.isLooking = false; }
  }

  undone(answer, isBack) {
    const { op, samples, labels } = answer, again = (named, back) => this.decisions.undoNamed(named, back);
    if (!op) { tellUndone(answer, again); return; }
    this.setLabels(labels);
    this.certain.renew();
    this.guide.refresh();
    samples.forEach(sample => this.line.mark(sample, false));
    // More than this sample changed (a bulk verdict, an import, a label): say it, and offer the way back.
    if (samples.length !== 1) tellUndone(answer, again, { isBack });
    if (['import', 'remove samples'].includes(answer.deed?.kind)) this.startAnew(); else this.lookAt(samples);
    this.watch.now();
  }

  /** Samples went or came: the queue anew, and what is in view if it is still there. */
  async startAnew() {
    const id = this.current?.item.sample, turn = this.turn += 1;
    this.samples.forget();
    this.trail = [];
    this.line.clear();
    let record = null;
    try {
      await this.line.ask();
      if (turn === this.turn && id !== undefined) record = await this.samples.bring(id);
    } catch (error) {
      if (error.status !== 404) {
        toastError(error);
        if (turn === this.turn) { this.isLeaving = false; this.root.removeAttribute('aria-busy'); }
        return;
      }
    }
    if (turn !== this.turn) return;
    if (record) this.show(record);
    else if (!this.line.samples) this.empty('samples');
    else await this.next({ isFirst: true });
  }

  /** Show what changed on `samples`: in place if one is in view, else open the one it was about. */
  lookAt(samples) {
    const now = this.current?.item.sample;
    if (samples.includes(now) && this.current.item.suggestions.labels.length === this.labels.length) {
      this.chips.setVerdicts(this.decisions.of(this.current.item), { now: true });
      this.view.draw();
    } else if (samples.length === 1) this.open(samples[0]);
    else this.reload();
  }

  /**
   * A newer version: the suggestions in view change in place and are marked for a moment. So do
   * verdicts and marks that came from elsewhere: another tab, another person, a program.
   */
  news({ version, items, lanes, offset, said }) {
    const now = this.current?.item.sample;
    if (Object.keys(said).length && this.samples.hear(said, offset, now).includes(now)) this.hear();
    if (this.current?.item.is_pending) this.lookForVectors();
    if (version <= this.version) return;
    this.setLanes(lanes);
    this.setVersion(version);
    this.queue.tellForecastSoon();
    this.certain.renew();
    this.samples.renew(items);
    const { current } = this, found = items[current?.item.sample];
    if (!found) return;
    const before = this.bars, changes = new Map();
    this.bars = barsOf(found);
    for (const [label, bar] of this.bars) {
      const moved = (bar.share ?? 0) - (before.get(label)?.share ?? bar.share ?? 0);
      if (Math.abs(moved) >= (bar.probability === null ? SHIFTED : MOVED)) changes.set(label, moved > 0 ? 'up' : 'down');
    }
    this.chips.setBars(this.bars);
    this.chips.flash(changes);
    this.bringEvidence(current);
    this.view.draw();
  }

  /** Something else is said of the sample in view. */
  hear() {
    const { item } = this.current;
    this.chips.setOthers(item.others);
    this.chips.setVerdicts(this.decisions.of(item));
    this.view.draw();
    this.certain.renewSoon();
  }

  unsure() {
    const id = this.hovered ?? this.active;
    if (id === null) toast(t('label.unsure.which')); else this.toggle(id, 'unsure');
  }

  escape() {
    if (!this.marks.menu.hidden) { this.marks.hideMenu(); return; }
    if (this.points.isOpen || this.boxes.isOpen) { this.leaveTools(); return; }
    if (this.guide.isOpen) { this.guide.toggle(); return; }
    this.stage?.setPart(null);
    this.view.escape();
    if (this.active !== null) this.activate(null);
  }
}
