// The lines between panes can be dragged or moved with the arrow keys; the widths are remembered.

import { el, t } from './base.js';

/** A separator that sets the CSS variable `name` (px) on `root`; `way` is 1 where right is more. */
export function splitter(root, { name, way, least, most, start, label }) {
  const key = `patchlane-pane:${name}`;
  const set = (width, { keep = true } = {}) => {
    const now = Math.round(Math.min(most, Math.max(least, width)));
    root.style.setProperty(name, `${now}px`);
    bar.setAttribute('aria-valuenow', now);
    try { if (keep) localStorage.setItem(key, now); } catch { /* then it is not remembered */ }
    return now;
  };
  const bar = el('div', {
    class: 'pl-splitter', role: 'separator', tabindex: '0', 'aria-orientation': 'vertical', 'aria-label': label,
    'aria-valuemin': least, 'aria-valuemax': most, title: t('label.pane.hint'),
  });
  let kept = NaN;
  try { kept = Number(localStorage.getItem(key) ?? NaN); } catch { /* as above */ }
  let width = set(kept || start, { keep: false }), from = null;
  bar.addEventListener('pointerdown', event => { from = { x: event.clientX, width }; bar.setPointerCapture(event.pointerId); event.preventDefault(); });
  bar.addEventListener('pointermove', event => { if (from) width = set(from.width + way * (event.clientX - from.x)); });
  bar.addEventListener('pointerup', () => { from = null; });
  bar.addEventListener('dblclick', () => { width = set(start); });
  bar.addEventListener('keydown', event => {
    const step = { ArrowLeft: -16, ArrowRight: 16 }[event.key];
    if (!step) return;
    width = set(width + way * step);
    event.preventDefault();
    event.stopPropagation();
  });
  return bar;
}
