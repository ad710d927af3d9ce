// The tools of the sample: which evidence is drawn, how it is looked at, zoom, saving and linking,
// and one line that says in words what the colours mean now.

import { el, icon, percent, t } from './base.js';
import { SOURCES, UNCLAIMED, inWords } from './evidence.js';
import { gradient } from './ramps.js';

const IMPROBABLE = 0.2;
// Pictures whose labels are all there stay below this share left over, most of them. In texts most
// words belong to no label anyway: taking a label away did not raise their share, so they give no hint.
const MISSING = 0.75;

export class EvidenceBar {
  /** `onLook(values)` changes the look; `panel` is a LookPanel; `zoom` has zoomIn, zoomOut and fit. */
  constructor({ onLook, panel, onCheck, onSave, onLink, onPoint, onBox, zoom }) {
    this.onLook = onLook;
    this.look = null;
    this.hasLanes = this.hasLayers = false;
    this.choices = SOURCES.map(name => el('button', {
      type: 'button', class: 'choice', role: 'radio', 'data-source': name, title: t(`label.source.${name}.hint`),
      onclick: () => this.choose(name),
    }, t(`label.source.${name}`)));
    this.name = el('span', { class: 'sample-name' });
    const group = el('div', { class: 'sources', role: 'radiogroup', 'aria-label': t('label.source') }, this.choices);
    group.addEventListener('keydown', event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      this.other(step);
      this.choices[SOURCES.indexOf(this.shown)].focus();
    });
    this.tools = {
      point: this.#tool('M12 3v4M12 17v4M3 12h4M17 12h4M12 12h.01', 'label.point', onPoint),
      box: this.#tool('M5 3v4M3 5h4M17 5h3v3M20 16v4h-4M8 20H5v-3M5 11v3M11 5h3M20 11v2M11 20h2', 'label.box', onBox),
    };
    this.node = el('div', { class: 'pl-tools' }, this.name, group, this.tools.point, this.tools.box, panel.button,
      this.#tool('M4 12.5l5 5L20 6.5', 'label.check', onCheck),
      this.#tool('M12 3v12M7 10l5 5 5-5M4 20h16', 'label.save', onSave),
      this.#tool('M9 15l6-6M10 6l2-2a5 5 0 0 1 7 7l-2 2M14 18l-2 2a5 5 0 0 1-7-7l2-2', 'label.link', onLink),
      el('span', { class: 'zoom' },
        this.#tool('M5 12h14', 'label.zoom.out', () => zoom.zoomOut()),
        this.#tool('M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5', 'label.zoom.fit', () => zoom.fit()),
        this.#tool('M12 5v14M5 12h14', 'label.zoom.in', () => zoom.zoomIn())));
    this.ramp = el('span', { class: 'ramp', 'aria-hidden': 'true' });
    this.low = el('span', { class: 'pl-num' });
    this.high = el('span', { class: 'pl-num' });
    this.scale = el('span', { class: 'scale', 'data-testid': 'legend' }, this.low, this.ramp, this.high);
    this.warning = el('strong', { class: 'warning' });
    this.also = el('span', { class: 'also' });
    this.words = el('span', { class: 'words' });
    this.left = el('button', {
      type: 'button', class: 'left', 'data-testid': 'unclaimed', 'aria-pressed': 'false', hidden: true,
      onclick: () => onLook({ unclaimed: !this.look.unclaimed }),
    });
    this.caption = el('div', { class: 'pl-caption', 'data-testid': 'caption' }, this.scale, this.warning, this.also, this.words, this.left);
  }

  #tool(path, key, run) {
    const words = t(key), name = key.split('.').slice(1).join('-');
    return el('button', { type: 'button', class: 'pl-icon-button', 'aria-label': words, title: words, 'data-testid': `tool-${name}`, onclick: run }, icon(path));
  }

  /** Which of the tools on the sample is in hand: {point, box}. */
  setTools(open) { for (const [name, node] of Object.entries(this.tools)) node.setAttribute('aria-pressed', String(Boolean(open[name]))); }

  choose(name) { this.onLook({ source: name }); }

  #isThere(name) { return { lane: this.hasLanes, layers: this.hasLayers }[name] ?? true; }

  /** What is drawn: a source was chosen for ever, but layers and lanes are not in every project. */
  get shown() { return this.look && this.#isThere(this.look.source) ? this.look.source : SOURCES[0]; }

  other(step = 1) {
    const there = SOURCES.filter(name => this.#isThere(name)), at = there.indexOf(this.shown);
    this.choose(there[(at + step + there.length) % there.length]);
  }

  setLanes(hasLanes) { this.hasLanes = hasLanes; this.#mark(); }

  setLayers(hasLayers) { this.hasLayers = hasLayers; this.#mark(); }

  setLook(look) {
    this.look = look;
    this.ramp.style.backgroundImage = gradient(look.colours);
    this.#mark();
  }

  #mark() {
    this.choices.forEach(choice => {
      const isOn = choice.dataset.source === this.shown;
      choice.hidden = !this.#isThere(choice.dataset.source);
      choice.setAttribute('aria-checked', isOn);
      choice.tabIndex = isOn ? 0 : -1;
    });
  }

  setName(name, split) {
    this.name.textContent = split === 'train' ? name : `${name} (${split})`;
    this.name.title = name;
  }

  /** How much no label claims; above a bound it says what that may mean. `names` are of those that claim. */
  sayLeft(evidence, names) {
    const { left } = this;
    left.hidden = !evidence || evidence.claimers === null || evidence.parts < 2;
    if (left.hidden) return;
    const share = evidence.leftover, isMissing = evidence.rows > 0 && share >= MISSING;
    left.replaceChildren(t('label.left', { percent: percent(share) }), isMissing ? el('span', {}, t('label.left.missing')) : '');
    left.title = t(names ? 'label.left.hint' : 'label.left.none', { names, percent: percent(share) });
    left.dataset.share = share.toFixed(3);
    left.classList.toggle('missing', isMissing);
    left.setAttribute('aria-pressed', String(this.look.unclaimed));
  }

  /**
   * Say what is drawn of `label` {id, name, verdict, probability, rank, of}, or `idle` words.
   * A map exists for every label, also for one that is not there: then it says so.
   */
  say(label, evidence, idle) {
    this.caption.classList.remove('drawn');
    this.warning.textContent = label ? warning(label) : '';
    this.also.textContent = label?.also ?? '';
    if (!label) { this.#write(idle); return; }
    const source = this.shown;
    if (!evidence?.has(label.id, source)) {
      this.#write(source === 'layers' && evidence?.why ? t('label.caption.nolayers', { ...label, why: evidence.why })
        : t(source === 'lane' && evidence?.isWhole ? 'label.caption.nolane' : 'label.caption.none', label));
      return;
    }
    this.#showScale(source, evidence.map(source, label.id));
    const words = t(`label.caption.${source}`, { name: label.name, carriers: source === 'lane' ? '' : evidence.carriers(label.id, source === 'layers' ? source : undefined), parts: evidence.parts });
    this.#write(source === 'transport' && evidence.step ? `${words} ${t('label.caption.temperature', { scored: evidence.temperature.toPrecision(2), shown: evidence.shownTemperature.toPrecision(2) })}` : words);
  }

  /** Say that the parts are drawn which no label claims. */
  sayUnclaimed(evidence, names) {
    this.warning.textContent = this.also.textContent = '';
    this.#showScale(UNCLAIMED, evidence.map(UNCLAIMED));
    this.#write(t(names ? 'label.caption.unclaimed' : 'label.left.none', { names }));
  }

  #showScale(source, { low, high }) {
    this.caption.classList.add('drawn');
    this.low.textContent = inWords(source, low);
    this.high.textContent = inWords(source, high);
  }

  #write(words) { this.words.textContent = this.words.title = words; }

  /** The line as it stands, for a picture's caption or a screen reader. */
  get said() { return [this.warning.textContent, this.words.textContent].map(text => text.trim()).filter(Boolean).join(' '); }
}

function warning({ verdict, probability, rank, of }) {
  if (verdict === 'no') return t('label.warning.no');
  if (verdict) return '';
  if (probability !== null) return probability < IMPROBABLE ? t('label.warning.improbable', { percent: percent(probability) }) : '';
  return rank > Math.max(3, of / 2) ? t('label.warning.rank', { rank, of }) : '';
}
