// Captions over the map: in a few words what stands in its dense areas. They are text over the
// points and move with them. The pointer passes through, so that points below can be hovered and
// lassoed; whoever hears of a click asks `at` whether it was on one.
import { el, t } from './base.js';

const KEY = 'patchlane-captions';
const MOST = 14,
  MOST_ON_PHONE = 6;
const GAP = 6, // pixels between two captions, and from the edge
  LOYALTY = 1.6, // what is shown stays, unless something that much larger needs its place
  FEW = 4,
  STAY = 0.7; // octaves of zoom around a level in which it stays

/** createCaptions(host): an empty layer over `host`. */
export function createCaptions(host) {
  const layer = el('ul', { class: 'pl-map-captions', 'aria-label': t('explore.captions.what') });
  host.append(layer);
  let isOn = true, levels = [], bounds = null, level = 0, frame = null, nodes = new Map(), shown = new Map();
  try { isOn = localStorage.getItem(KEY) !== 'off'; } catch { /* shown */ }

  /** Other captions: `found` are lists of {says, is_words, x, y, size, box}, coarse to fine; `whole` the map's bounds. */
  function set(found, whole) {
    [levels, bounds] = [found, whole];
    const kept = new Map();
    for (const [at, list] of levels.entries()) for (const one of list) {
      one.key = [at, one.x.toFixed(3), one.y.toFixed(3), ...one.says].join('\n');
      kept.set(one.key, nodes.get(one.key));
    }
    for (const [key, node] of nodes) if (!kept.has(key)) node.remove();
    nodes = new Map([...kept].filter(([, node]) => node));
    if (frame) place(frame);
  }

  function nodeOf(one) {
    let node = nodes.get(one.key);
    if (!node) {
      node = el('li', { class: `pl-map-caption ${one.is_words ? 'is-words' : ''}`, 'data-testid': 'map-caption' });
      layer.append(node);
      nodes.set(one.key, node);
      // as much as there is room for, the most typical first; a single long name ends in an ellipsis
      for (let n = one.says.length; n && (n === one.says.length || node.scrollWidth > node.clientWidth); n--) node.textContent = one.says.slice(0,
        n).join(', ');
    }
    if (!one.width) Object.assign(one, { width: node.offsetWidth, height: node.offsetHeight });
  }

  /** Put them where their areas are now; `frame` is {left, top, width, height, range} of the points. */
  function place(now) {
    frame = now;
    layer.hidden = !isOn || !levels.length;
    if (layer.hidden || !bounds) { shown = new Map(); return; }
    const { left, top, width, height, range: [x0, x1, y0, y1] } = frame;
    if (!width || !layer.parentElement?.offsetWidth) return; // out of sight nothing has a size
    const octaves = Math.log2(Math.sqrt(((bounds[1] - bounds[0]) * (bounds[3] - bounds[2])) / Math.max(1e-12, (x1 - x0) * (y1 - y0))));
    if (Math.abs(octaves - level) > STAY) level = Math.min(levels.length - 1, Math.max(0, Math.round(octaves)));
    const inView = at => (levels[at] ?? []).map(one => ({ one, x: (one.x - x0) / (x1 - x0) * width, y: (y1 - one.y) / (y1 - y0) * height }))
      .filter(({ x, y }) => x >= 0 && x <= width && y >= 0 && y <= height);
    let spots = inView(level);
    // where few of these areas are left in view, those of a finer level say more
    for (let at = level + 1; spots.length < FEW && at < levels.length; at++) { const finer = inView(at); if (finer.length > spots.length) spots = finer; }
    const weight = ({ one }) => one.size * (shown.has(one.key) ? LOYALTY : 1);
    spots.sort((a, b) => weight(b) - weight(a));
    const placed = new Map(), most = width < 480 ? MOST_ON_PHONE : MOST;
    for (const { one, x, y } of spots) {
      if (placed.size >= most) break;
      nodeOf(one);
      const half = one.width / 2, at = { left: Math.round(Math.min(width - one.width - GAP, Math.max(GAP, x - half))),
        top: Math.round(Math.min(height - one.height - GAP, Math.max(GAP, y - one.height / 2))) };
      const box = { ...at, right: at.left + one.width, bottom: at.top + one.height, one };
      if (![...placed.values()].some(other => box.left < other.right + GAP && other.left < box.right + GAP && box.top < other.bottom + GAP &&
          other.top < box.bottom + GAP)) placed.set(one.key, box);
    }
    shown = placed;
    Object.assign(layer.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    for (const [key, node] of nodes) {
      const box = placed.get(key);
      node.classList.toggle('is-shown', Boolean(box));
      node.setAttribute('aria-hidden', String(!box));
      if (box) node.style.transform = `translate(${box.left}px, ${box.top}px)`;
    }
  }

  /** The area whose caption is at a place of the window; null where there is none. */
  function at(x, y) {
    if (layer.hidden) return null;
    const { left, top } = layer.getBoundingClientRect();
    const hit = [...shown.values()].find(box => x - left >= box.left && x - left <= box.right && y - top >= box.top && y - top <= box.bottom);
    return hit?.one ?? null;
  }

  function turn(now = !isOn) {
    isOn = now;
    try { localStorage.setItem(KEY, isOn ? 'on' : 'off'); } catch { /* then it is not remembered */ }
    if (frame) place(frame);
  }
  return { set, place, at, turn, clear: () => set([], bounds), get isOn() { return isOn; } };
}
