// A small form in a dialog, and a menu that opens below its button.
import { el, icon, newOp, t, toastError } from './base.js';

/**
 * Ask for something: `body` are the fields. Gives the form's values, or null. What a person wrote
 * stays until `act(values, op)` has done it: its error is shown below the fields. The same said
 * again is the same action, with the same `op`.
 */
export function asked({ title, text = '', body, yes, act = async () => {} }) {
  return new Promise(answer => {
    const refusal = el('p', { class: 'pl-ask-error', role: 'alert', 'data-testid': 'ask-error', hidden: true });
    const go = el('button', { type: 'submit', value: 'yes', class: 'pl-button primary', 'data-testid': 'ask-yes' }, yes);
    const form = el('form', { method: 'dialog', class: 'pl-dialog-body pl-ask' },
      el('h2', { class: 'pl-h1' }, title), text ? el('p', { class: 'pl-plain' }, text) : null, body, refusal,
      el('div', { class: 'pl-row end' },
        el('button', { type: 'button', class: 'pl-button', onclick: () => dialog.close() }, t('cancel')), go));
    const dialog = el('dialog', { class: 'pl-dialog', 'aria-label': title }, form);
    let values = null, before = null, op = null;
    form.addEventListener('submit', async event => {
      event.preventDefault();
      const said = new FormData(form), words = JSON.stringify([...said]);
      if (words !== before) [before, op] = [words, newOp()];
      go.disabled = true;
      try {
        await act(said, op);
        values = said;
        dialog.close();
      } catch (error) {
        if (!dialog.isConnected) toastError(error);   // closed meanwhile
        refusal.textContent = error.message;
        refusal.hidden = false;
      }
      go.disabled = false;
    });
    dialog.addEventListener('close', () => { dialog.remove(); answer(values); });
    (document.querySelector('.pl-overlay') ?? document.body).append(dialog);
    dialog.showModal();
    form.querySelector('input, textarea, select')?.focus();
  });
}

const DOTS = 'M5 12h.01M12 12h.01M19 12h.01';
let menus = 0;

/** A button with a menu; `items()` gives [{text, run, hidden, danger, test}] each time it opens. */
export function menu(label, items) {
  const id = `pl-menu-${menus += 1}`;
  const list = el('div', { class: 'pl-menu', popover: 'auto', id, role: 'menu', 'aria-label': label });
  const button = el('button', { type: 'button', class: 'pl-icon-button', popovertarget: id, 'aria-haspopup': 'menu', 'aria-label': label, title: label, 'data-testid': 'pack-menu' }, icon(DOTS, { size: 18 }));
  list.addEventListener('beforetoggle', event => {
    if (event.newState !== 'open') return;
    list.replaceChildren(...items().filter(item => !item.hidden).map(item => el('button', {
      type: 'button', role: 'menuitem', class: item.danger ? 'danger' : null, 'data-testid': item.test,
      onclick: () => { list.hidePopover(); item.run(); },
    }, item.text)));
  });
  list.addEventListener('toggle', event => {
    if (event.newState !== 'open') return;
    const at = button.getBoundingClientRect(), { offsetWidth: w, offsetHeight: h } = list;
    list.style.left = `${Math.max(8, Math.min(at.right - w, innerWidth - w - 8))}px`;
    list.style.top = `${at.bottom + h + 8 > innerHeight ? Math.max(8, at.top - h - 4) : at.bottom + 4}px`;
    list.firstChild?.focus();
  });
  list.addEventListener('keydown', event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...list.children], at = all.indexOf(document.activeElement);
    all[(at + step + all.length) % all.length]?.focus();
  });
  return el('span', { class: 'pl-menu-place' }, button, list);
}
