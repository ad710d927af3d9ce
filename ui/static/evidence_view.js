// How the Label page shows evidence: which map is drawn and what is said of it, arcs, the look that
// a person chose, and taking the view away as a picture or a link.

import { debounce, params, t, toast } from './base.js';
import { Arcs } from './arcs.js';
import { checkMap } from './check.js';
import { alsoSaid } from './chips.js';
import { UNCLAIMED } from './evidence.js';
import { EvidenceBar } from './evidence_bar.js';
import { Look } from './look.js';
import { LookPanel } from './look_panel.js';
import { ramp } from './ramps.js';
import { fileName, savePicture } from './snapshot.js';

const NAMED = 4;               // claiming labels that are named, before "and 5 more"

export class EvidenceView {
  /** `page` is the Label page: its stage, its chips, and the sample and label that are in view. */
  constructor(page) {
    this.page = page;
    this.arcs = new Arcs();
    this.panel = new LookPanel({ onChange: values => this.again(values), onLines: on => page.stage?.setLines(on) });
    this.bar = new EvidenceBar({
      onLook: values => this.again(values), panel: this.panel, onCheck: () => this.check(), onSave: () => this.save(), onLink: () => this.link(),
      onPoint: () => page.points.toggle(), onBox: () => page.boxes.toggle(),
      zoom: { zoomIn: () => page.stage?.zoomIn(), zoomOut: () => page.stage?.zoomOut(), fit: () => page.stage?.fit() },
    });
    page.chips.node.addEventListener('scroll', () => this.drawArcs(), { passive: true });
    this.spreadSoon = debounce(() => this.showSpread(), 60);
  }

  /** The look that a link asks for, or that this person had last time. */
  start(kind) {
    this.look = new Look(kind, params());
    this.asked = this.look.isPinned ? params().get('view') : null;
    this.bar.setLook(this.look);
  }

  /** A stage is there to be drawn on. */
  dress() {
    this.page.root.dataset.colours = this.look.colours;
    this.page.stage?.setLook(this.look);
  }

  /** Place a zoomed picture or a long text as a link says, once its evidence is there. */
  restore() {
    const { page, asked } = this;
    if (asked && page.current) page.current.matrix?.then(() => { page.stage.window = asked; });
  }

  /** The evidence of the sample in view came, or came anew. */
  place(evidence) {
    this.look.meet(evidence);
    evidence?.setStep(this.look.step);
    this.page.stage.setEvidence(evidence);
    this.showSpread();
    this.panel.show(this.look, evidence, this.bar.shown);
    this.draw();
  }

  /** The person looks another way: at another source, temperature, colour, strength. */
  again(values) {
    const { page, look, bar } = this;
    look.set(values);
    if ('step' in values) { page.current?.evidence?.setStep(look.step); this.spreadSoon(); }
    page.samples.use(bar.shown);
    if (page.current?.isOld) page.bringEvidence(page.current);
    bar.setLook(look);
    this.panel.show(look, page.current?.evidence, bar.shown);
    this.dress();
    this.draw();
    page.writeSoon();
  }

  /** What the address says beside sample and label. */
  address() {
    const { page, look } = this;
    return { ...look?.address(page.current?.evidence), view: look?.isPinned && page.current ? page.stage.window : null };
  }

  // ---- what is drawn and said ------------------------------------------------------------------

  get label() { return this.page.hovered ?? this.page.active; }

  draw() {
    const { page, bar, label } = this, { current } = page;
    if (!page.stage) return;
    const evidence = current?.evidence, isLeft = label === null && this.look.unclaimed && Boolean(evidence?.has(0, UNCLAIMED));
    const verdict = label === null || !current ? null : page.decisions.of(current.item).get(label);
    page.stage.setMap(isLeft ? 0 : label, isLeft ? UNCLAIMED : bar.shown);
    page.stage.setRejected(verdict === 'no');
    page.marks.draw();
    const names = this.#claimers(evidence);
    bar.sayLeft(evidence, names);
    if (isLeft) bar.sayUnclaimed(evidence, names);
    else if (label === null || !current) bar.say(null, null, t(current?.item.is_pending ? 'label.pending' : 'label.caption.idle'));
    else bar.say(this.#facts(label, verdict), evidence);
  }

  #facts(label, verdict) {
    const { page } = this, found = page.bars.get(label);
    return {
      id: label, name: page.names.get(label), verdict, probability: found?.probability ?? null, also: alsoSaid(found?.also),
      rank: page.order.indexOf(label) + 1, of: page.order.length,
    };
  }

  #claimers(evidence) {
    const all = (evidence?.claimers ?? []).map(id => this.page.names.get(id)).filter(Boolean), few = all.slice(0, NAMED).join(', ');
    return all.length > NAMED ? t('label.left.names', { names: few, n: all.length - NAMED }) : few;
  }

  painted(node, label) {
    node.dataset.label = label === null ? '' : this.page.names.get(label) ?? '';
    node.dataset.source = label === 0 ? UNCLAIMED : this.bar.shown;
    this.drawArcs();
  }

  /** From the label in view to the parts that carry most of it. */
  drawArcs() {
    const { page, label } = this, evidence = page.current?.evidence;
    if (!this.look?.arcs || this.bar.shown !== 'transport' || label === null || !evidence?.column.has(label)) { this.arcs.hide(); return; }
    this.arcs.draw(page.chips.placeOf(label), evidence.top(label, Arcs.MOST), part => page.stage.placeOf(part));
  }

  showSpread() { this.page.chips.setSpread(id => this.spread(id)); }

  /** How far the evidence of a label is spread at the temperature that is shown. */
  spread(id) {
    const evidence = this.page.current?.evidence;
    if (!evidence?.column.has(id)) return null;
    const share = evidence.spread(id);
    return { share, title: t('label.spread', { n: evidence.carriers(id), of: evidence.parts, spread: share.toFixed(2) }) };
  }

  // ---- taken away ------------------------------------------------------------------------------

  /** Ask the server whether the score of the label in view rests on what its map marks. */
  check() {
    const { current } = this.page, label = this.label;
    if (!current || label === null) { toast(t('label.check.first')); return; }
    checkMap({ sample: current.item.sample, label, name: this.page.names.get(label), byLayers: this.bar.shown === 'layers' });
  }

  /** The sample as it is shown, with its map and what it says, as a PNG. */
  save() {
    const { page, bar, label } = this, { current } = page, name = label === null ? '' : page.names.get(label);
    if (!current) return;
    const isDrawn = bar.caption.classList.contains('drawn'), source = label === null ? UNCLAIMED : bar.shown;
    savePicture({
      sample: page.stage.picture(), lines: [[current.item.name, name].filter(Boolean).join(': '), ...(isDrawn ? [bar.said] : [])],
      legend: isDrawn ? { table: ramp(this.look.colours), low: bar.low.textContent, high: bar.high.textContent } : null,
      name: fileName([current.item.name, name, isDrawn ? source : '']),
    }).catch(() => toast(t('label.save.failed'), { kind: 'error' }));
  }

  /** Put a link to exactly this view into the address bar and, where the browser lets us, copy it. */
  async link() {
    if (!this.page.current) return;
    this.look.isPinned = true;
    this.page.writeAddress();
    const isCopied = await (navigator.clipboard?.writeText(location.href) ?? Promise.reject()).then(() => true, () => false);
    toast(t(isCopied ? 'label.link.copied' : 'label.link.there'));
  }

  /** Leave the map of what is unclaimed. */
  escape() { if (this.look?.unclaimed) this.again({ unclaimed: false }); }
}
