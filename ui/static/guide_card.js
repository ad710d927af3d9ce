// The guide of one label: what it means, examples, near misses, what usually carries it, and what
// changed. The Guide page shows all of it and lets it be changed; beside the label it is narrow.
// Whatever people wrote goes in as text.
import { api, el, newOp, params, percent, t, toast, toastError, url } from './base.js';
import { keepFocus } from './slot.js';

export const ENOUGH = 20;

export class GuideCard {
  /** `onChange(guide)` is called after each change; `isNarrow` leaves out what the page is for. */
  constructor({ onChange = () => {}, isNarrow = false } = {}) {
    Object.assign(this, { onChange, isNarrow, guide: null, wanted: null });
    this.drafts = new Map();                         // what is being written: `label id/what` -> {words, from}
    this.node = el('article', { class: `pl-guide${isNarrow ? ' narrow' : ''}`, 'data-testid': 'guide', 'data-label': '', 'data-state': 'none' });
  }

  /** Show the guide of a label; an answer that a later one overtakes is dropped. */
  async show(label) {
    this.wanted = label;
    this.node.setAttribute('aria-busy', 'true');
    try {
      const guide = await api('/pl/api/guide', { query: { label } });
      if (this.wanted === label) this.#draw(guide);
    } catch (error) {
      if (this.wanted !== label) return;
      this.guide = null;
      this.node.dataset.state = 'error';
      this.node.replaceChildren(el('p', { class: 'pl-dim', role: 'alert' }, error.message));
    } finally {
      if (this.wanted === label) this.node.removeAttribute('aria-busy');
    }
  }

  /** Whether something was written that is not saved. */
  isWriting() { return [...this.drafts.values()].some(({ words, from }) => words !== from); }

  refresh() { return this.wanted === null ? undefined : this.show(this.wanted); }

  /** Do one thing; the guide after it is shown. Gives whether it was done. */
  async change(json) {
    const { id: label } = this.guide.label;          // whose guide is seen, also while another is on its way
    try {
      const answer = await api('/pl/api/guide', { json: { op: newOp(), label, ...json } });
      if (this.wanted === label) this.#draw(answer.guide);
      this.onChange(answer.guide);
      return true;
    } catch (error) { toastError(error); return false; }
  }

  #draw(guide) {
    const { isNarrow } = this, { label } = guide;
    this.guide = guide;
    Object.assign(this.node.dataset, { label: label.name, state: guide.missing ? 'missing' : 'ready' });
    const section = (name, title, ...inside) => el('section', { class: name, 'aria-label': title }, el('h3', { class: 'pl-h2' }, title), inside.flat());
    const known = [
      label.aliases.length ? t('guide.aliases', { names: label.aliases.join(', ') }) : null,
      guide.parent ? t('guide.parent', { name: guide.parent }) : null,
    ].filter(Boolean).join('. ');
    keepFocus(this.node, () => this.node.replaceChildren(...[
      el('header', { class: 'head' },
        el('h2', { class: 'pl-h1', dir: 'auto' }, label.name),
        el('p', { class: 'pl-dim pl-num', 'data-testid': 'guide-counts' }, t('guide.counts', { yes: guide.yes, no: guide.no, unsure: guide.unsure }), known ? `. ${known}` : ''),
        isNarrow ? null : this.#tools(guide)),
      section('means', t('guide.means'), this.#written(label.id, 'definition', label.definition, t('guide.means.none'))),
      !isNarrow || guide.notes ? section('notes', t('guide.notes'), this.#written(label.id, 'notes', guide.notes, t('guide.notes.none'))) : null,
      ...(guide.missing ? [this.#missing(guide)] : [
        section('examples', t('guide.examples'), this.#examples(guide)),
        section('misses', t('guide.misses'), this.#misses(guide)),
        this.#usual(guide, section),
      ]),
      this.#lapsed(guide, section),
      guide.changes ? section('changes', t('guide.changes', { number: guide.edition.number, date: day(guide.edition.when), who: guide.edition.who }),
        guide.changes.length ? el('ul', { 'data-testid': 'guide-changes' }, guide.changes.map(each => el('li', { dir: 'auto' }, each)))
          : el('p', { class: 'pl-dim' }, t('guide.changes.none'))) : null,
      guide.changes || isNarrow || guide.missing ? null : section('changes', t('guide.drift'), el('p', { class: 'pl-dim' }, t('guide.drift.none'))),
    ].filter(Boolean)));
  }

  #tools(guide) {
    const file = format => url('/pl/api/guide/file', { label: guide.label.id, format });
    return el('div', { class: 'pl-row' },
      el('button', { type: 'button', class: 'pl-button', 'data-testid': 'guide-keep', title: t('guide.keep.what'), onclick: () => this.#keep() }, t('guide.keep')),
      el('a', { class: 'pl-button', href: file('html'), download: '', 'data-testid': 'guide-html' }, t('guide.html')),
      el('a', { class: 'pl-button', href: file('md'), download: '', 'data-testid': 'guide-md' }, t('guide.md')));
  }

  async #keep() {
    if (await this.change({ do: 'keep' })) toast(t('guide.kept', { number: this.guide.edition.number }));
  }

  /**
   * What a person wrote, as they wrote it, and a way to change it. What is being written is kept, and
   * there again whenever the guide is drawn again, until it is saved or cancelled.
   */
  #written(id, what, text, none) {
    const place = el('div', { class: 'written' }), key = `${id}/${what}`;
    const keep = words => this.drafts.set(key, { words, from: text });
    const rest = () => {
      place.replaceChildren(
        text ? el('p', { class: 'text', dir: 'auto', 'data-testid': `guide-${what}` }, text) : el('p', { class: 'pl-dim', 'data-testid': `guide-${what}` }, none),
        this.isNarrow ? '' : el('button', { type: 'button', class: 'pl-button small', 'data-testid': `guide-edit-${what}`, onclick: () => { write(this.drafts.get(key)?.words ?? text); place.querySelector('textarea').focus(); } }, t(text ? 'guide.edit' : 'guide.write')));
    };
    const cancel = () => { this.drafts.delete(key); rest(); };
    const write = words => {
      const box = el('textarea', { rows: Math.min(14, Math.max(3, words.split('\n').length + 1)), dir: 'auto', 'aria-label': t(`guide.${what === 'notes' ? 'notes' : 'means'}`), 'data-testid': `guide-text-${what}`, oninput: () => keep(box.value) });
      box.value = words;
      keep(words);
      const save = async event => {
        event.preventDefault();
        const saved = box.value;
        this.drafts.delete(key);                     // the answer is drawn without it
        if (!await this.change({ do: what, text: saved }) && !this.drafts.has(key)) keep(saved);
      };
      const form = el('form', { onsubmit: save }, box, el('div', { class: 'pl-row end' },
        el('button', { type: 'button', class: 'pl-button small', onclick: cancel }, t('cancel')),
        el('button', { type: 'submit', class: 'pl-button small primary', 'data-testid': `guide-save-${what}` }, t('guide.save'))));
      form.addEventListener('keydown', event => {
        if (event.isComposing) return;
        if (event.key === 'Escape') { event.preventDefault(); if (box.value === text) cancel(); } else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      });
      place.replaceChildren(form);
    };
    const draft = this.isNarrow ? undefined : this.drafts.get(key);
    if (draft === undefined) rest(); else write(draft.words);
    return place;
  }

  #missing(guide) {
    return el('section', { class: 'none', 'data-testid': 'guide-missing' },
      el('p', {}, el('strong', {}, t('guide.missing')), ' ', t('guide.missing.what', { n: guide.yes + guide.no, of: ENOUGH, more: guide.missing })),
      this.isNarrow ? null : el('a', { class: 'pl-button primary', href: url('/', { label: guide.label.name }) }, t('guide.missing.do')));
  }

  #examples(guide) {
    if (!guide.exemplars.length) return el('p', { class: 'pl-dim' }, t('guide.examples.none'));
    const told = guide.held_out === null ? t('guide.held.none') : t('guide.held', { ap: guide.held_out.toFixed(2), n: guide.held_out_of });
    return [
      el('p', { class: 'pl-dim pl-small', 'data-testid': 'guide-held-out', title: t('guide.held.what') }, told),
      el('ol', { class: 'figures' }, guide.exemplars.map((one, at) => el('li', { 'data-testid': 'exemplar', 'data-sample': one.name, 'data-pinned': String(one.is_pinned) },
        this.#figure(one, [
          t(one.is_pinned ? 'guide.pinned' : 'guide.number', { n: at + 1 }),
          t('guide.covers', { n: one.covers, of: guide.yes_of }),
          one.also.length ? t('guide.also', { names: one.also.join(', ') }) : null,
        ]),
        this.isNarrow ? null : el('div', { class: 'pl-row' },
          this.#button(one.is_pinned ? 'release' : 'pin', one),
          this.#button('refuse', one))))),
    ];
  }

  #misses(guide) {
    if (!guide.misses.length) return el('p', { class: 'pl-dim' }, t('guide.misses.none'));
    return el('ol', { class: 'figures' }, guide.misses.map(one => el('li', { 'data-testid': 'near-miss', 'data-sample': one.name },
      this.#figure(one, [
        one.like < 0 ? t('guide.like.name') : t('guide.like', { n: one.like + 1 }),
        one.instead.length ? t('guide.instead', { names: one.instead.join(', ') }) : null,
        t('guide.said', { who: one.who || t('guide.import'), date: day(one.when) }),
        one.absent ? t('guide.absent') : null,
      ]))));
  }

  #usual(guide, section) {
    if (guide.words.length) {
      return section('usual', t('guide.usual'), el('ul', { class: 'words' }, guide.words.map(one => el('li', { 'data-testid': 'usual-word' },
        el('strong', { dir: 'auto' }, one.word), ' ', el('span', { class: 'pl-dim pl-num' }, t('guide.word', { yes: percent(one.in_yes), no: percent(one.in_no) }))))));
    }
    if (!guide.parts.length) return null;
    return section('usual', t('guide.usual'), el('ol', { class: 'figures small' }, guide.parts.map(one => el('li', { 'data-testid': 'usual-part' },
      this.#figure({ ...one, box: null }, [t('guide.share', { share: percent(one.share) })])))));
  }

  #lapsed(guide, section) {
    if (this.isNarrow || !(guide.lapsed.length + guide.refused.length)) return null;
    const row = (one, words) => el('li', {}, el('span', { dir: 'auto' }, words), ' ', this.#button('release', one, t('guide.back')));
    return section('aside', t('guide.aside'), el('ul', { class: 'plain' },
      guide.lapsed.map(one => row(one, t('guide.lapsed', { name: one.name || t('guide.removed'), why: one.why }))),
      guide.refused.map(one => row(one, t('guide.refused', { name: one.name })))));
  }

  #button(what, one, words = t(`guide.do.${what}`)) {
    return el('button', {
      type: 'button', class: 'pl-button small', 'data-testid': `guide-${what}`, 'data-sample': one.name, 'aria-label': `${words}: ${one.name}`,
      onclick: () => this.change({ do: what, sample: one.sample }),
    }, words);
  }

  /** A crop with the whole picture in its corner, or a quotation; it opens its sample. */
  #figure(one, lines) {
    const href = url('/', { sample: one.sample, label: this.guide.label.name, picker: params().get('picker') });
    const shown = one.crop
      ? [el('img', { class: 'crop', src: one.crop, alt: one.name, loading: 'lazy', draggable: 'false' }), one.box ? this.#whole(one) : null]
      : el('blockquote', { dir: 'auto' }, marked(one));
    return el('figure', {}, el('a', { class: one.crop ? 'shot' : 'shot quote', href, title: one.name }, shown),
      el('figcaption', {}, lines.filter(Boolean).map(line => el('span', { dir: 'auto' }, line))));
  }

  #whole(one) {
    const [x, y, w, h] = one.box, frame = el('span', { class: 'frame' });
    for (const [name, value] of [['left', x], ['top', y], ['width', w], ['height', h]]) frame.style.setProperty(name, `${100 * value}%`);
    return el('span', { class: 'whole', 'aria-hidden': 'true' }, el('img', { src: one.thumb, alt: '', loading: 'lazy', draggable: 'false' }), frame);
  }
}

/** A quotation with the words that carry the label marked. */
function marked({ quote, words }) {
  const out = [];
  let at = 0;
  for (const [start, end] of words) {
    out.push(quote.slice(at, start), el('mark', {}, quote.slice(start, end)));
    at = end;
  }
  return [...out, quote.slice(at)];
}

const day = seconds => new Date(seconds * 1000).toLocaleDateString();
