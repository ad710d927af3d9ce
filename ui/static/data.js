// The Data page: projects, importing, labels, exports.
import { el, markReady, pageRoot } from './base.js';
export function mount({ root }) {
  pageRoot(root, 'data').replaceChildren(el('div', { class: 'pl-panes' }, el('section', { class: 'pl-pane grow' })));
  markReady(root);
}
