// The text that is looked at in Explore: words that are marked in it are searched for.

import { el, listen, t } from './base.js';

const MOST_CHARACTERS = 2000;

/** markedWords(text, onSearch(words)): the text and the button that searches for what is marked in it. */
export function markedWords(text, onSearch) {
  const shown = el('p', { class: 'pl-glance-text', tabindex: '0' }, text);
  let words = '';
  const button = el('button', { class: 'pl-button small', type: 'button', disabled: true, title: t('explore.part.words.how'),
    dataset: { testid: 'search-part' }, onpointerdown: event => event.preventDefault(), // which would take the mark away
    onclick: () => onSearch(words) }, t('explore.part.words'));
  listen(button, 'selectionchange', () => {
    const marked = document.getSelection(), isHere = marked?.rangeCount && shown.contains(marked.anchorNode) && shown.contains(marked.focusNode);
    words = isHere ? String(marked).trim().slice(0, MOST_CHARACTERS) : '';
    button.disabled = !words;
  }, document);
  return { shown, button };
}
