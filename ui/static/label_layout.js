// Where the parts of the Label page are: queue | sample, evidence, neighbours | labels on a desk, one
// below the other on a phone, where labels and neighbours share the place under the thumb.

import { el, listen, t } from './base.js';
import { splitter } from './panes.js';

/** Lay the parts of `page` out in its root; gives the place of the sample. */
export function lay(page) {
  const { root, bar, near, box, chips } = page;
  const place = el('div', { class: 'place' });
  const accept = el('button', { type: 'button', class: 'pl-button primary accept', onclick: () => page.accept() },
    t('label.accept'), el('kbd', { class: 'pl-kbd' }, '⏎'));
  page.setReadOnly = isReadOnly => {
    root.classList.toggle('closed', isReadOnly);
    accept.firstChild.textContent = t(isReadOnly ? 'label.closed.next' : 'label.accept');
  };
  const back = el('button', { type: 'button', class: 'pl-button back', title: t('label.back.hint'), onclick: () => page.back() }, t('label.back'));
  const views = ['labels', 'near'].map(name => el('button', {
    type: 'button', class: 'view', 'data-view': name, 'aria-pressed': String(name === 'labels'),
    onclick: () => { root.dataset.view = name; views.forEach(v => v.setAttribute('aria-pressed', v.dataset.view === name)); },
  }, t(`label.view.${name}`)));
  root.dataset.view = 'labels';
  const middle = el('main', { class: 'pl-middle' }, bar.node, place, bar.caption, page.card.says);
  const guide = el('button', { type: 'button', class: 'pl-button guide', 'data-testid': 'guide-toggle', onclick: () => page.guide.toggle() }, t('page.guide'));
  const foot = el('div', { class: 'foot' }, back, guide, accept, page.how.node);
  root.replaceChildren(
    page.view.arcs.node,
    page.queue.node,
    splitter(root, { name: '--queue', way: 1, least: 132, most: 360, start: 208, label: t('label.pane.queue') }),
    middle,
    splitter(root, { name: '--labels', way: -1, least: 260, most: 560, start: 344, label: t('label.pane.labels') }),
    el('aside', { class: 'pl-side', 'aria-label': t('label.labels') },
      el('div', { class: 'views' }, views), box.node, page.certain.node, chips.node, foot));
  const phone = matchMedia('(max-width: 760px)');
  const settle = () => { if (phone.matches) foot.before(near.node); else middle.append(near.node); };
  settle();
  listen(root, 'change', settle, phone);
  return place;
}
