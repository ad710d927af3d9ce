// The Guide page: the labels, and the guide of the one that is chosen. The address holds the label.
import { api, debounce, el, emit, helpKeys, listen, markReady, pageRoot, params, setAddress, setOpenProject, t, toastError } from './base.js';
import { ENOUGH, GuideCard } from './guide_card.js';
import { keepFocus } from './slot.js';
import { undoOn } from './undo.js';

export async function mount({ root }) {
  pageRoot(root, 'guide');
  root.classList.add('pl-guide-page');
  helpKeys(t('page.guide'), [['↑ ↓', t('help.guide.arrows')], ['U', t('help.undo')]]);
  const card = new GuideCard({ onChange: () => refreshSoon() });
  const list = el('ul', { class: 'labels', 'aria-label': t('guide.labels') });
  const filter = el('input', { type: 'search', class: 'pl-input', placeholder: t('guide.filter'), 'aria-label': t('guide.filter'), 'data-testid': 'guide-filter', oninput: () => draw() });
  const all = el('a', { class: 'pl-button', 'data-testid': 'guide-all', download: '' }, t('guide.all'));
  const panes = el('div', { class: 'pl-panes' },
    el('aside', { class: 'pl-pane pl-guide-list' }, el('div', { class: 'top' }, filter, all), list),
    el('main', { class: 'pl-pane grow' }, card.node));
  root.replaceChildren(panes);
  let labels = [], chosen = null, turn = 0;

  async function refresh() {
    const mine = turn += 1;
    let state;
    try { state = await api('/pl/api/guides'); } catch (error) {
      if (error.status === 404) nothing(error.message, 'label.empty.project'); else toastError(error);
      return;
    }
    if (mine !== turn) return;
    setOpenProject(state.project);
    all.href = `/pl/api/guide/file?${new URLSearchParams({ project: state.project })}`;
    labels = state.labels;
    if (!labels.length) { nothing(t('guide.nolabels'), 'guide.nolabels.do'); return; }
    if (!panes.isConnected) root.replaceChildren(panes);   // the labels are back
    if (!labels.some(each => each.id === chosen)) {
      const asked = params().get('label');
      const most = labels.reduce((best, each) => (each.yes + each.no > best.yes + best.no ? each : best));
      await choose((labels.find(each => each.name === asked) ?? most).id);
    }
    draw();
  }
  const refreshSoon = debounce(refresh, 150);

  function draw() {
    const words = filter.value.trim().toLocaleLowerCase();
    const shown = labels.filter(each => [each.name, ...each.aliases].some(name => name.toLocaleLowerCase().includes(words)));
    keepFocus(list, () => list.replaceChildren(...shown.map(each => {
      const told = each.yes + each.no, has = told >= ENOUGH;
      return el('li', {}, el('button', {
        type: 'button', 'aria-current': each.id === chosen ? 'true' : null, 'data-testid': 'guide-label', 'data-label': each.name, 'data-id': each.id,
        onclick: () => choose(each.id), title: t('guide.counts', each),
      }, el('span', { class: 'name', dir: 'auto' }, each.name), el('span', { class: `pl-num ${has ? 'enough' : 'pl-dim'}` }, has ? String(told) : `${told}/${ENOUGH}`)));
    })));
  }

  async function choose(id) {
    chosen = id;
    setAddress({ label: labels.find(each => each.id === id)?.name ?? null });
    draw();
    await card.show(id);
  }

  list.addEventListener('keydown', event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = [...list.querySelectorAll('button')], at = rows.findIndex(row => Number(row.dataset.id) === chosen);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
    if (!next) return;
    choose(Number(next.dataset.id));
    list.querySelector('[aria-current]')?.focus();
  });

  function nothing(words, act) {
    root.replaceChildren(el('div', { class: 'pl-empty' }, el('p', {}, words), el('a', { class: 'pl-button primary', href: `/data${location.search}` }, t(act))));
  }

  const undo = undoOn(root, { then: () => { emit('pl:labels'); return Promise.all([refresh(), card.refresh()]); } });
  listen(root, 'pl:undo', () => undo());
  listen(root, 'pl:project', refreshSoon);
  listen(root, 'beforeunload', event => { if (card.isWriting()) event.preventDefault(); });
  await refresh();
  markReady(root);
}
