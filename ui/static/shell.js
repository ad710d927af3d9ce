// The bar of every page.
import { el } from './base.js';
export function mount({ root }) {
  root.replaceChildren(el('header', { class: 'pl-bar' }, 'Patchlane'));
}
