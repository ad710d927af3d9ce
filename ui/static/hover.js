// The small card beside the pointer: picture or words, name, and what the colour says.
import { el, mediaUrl } from './base.js';

/** createHover(host, {cards, kind}): show(id, event, words), hide(). */
export function createHover(host, { cards, kind }) {
  const shot = kind === 'text' ? el('p', { class: 'pl-hover-text' }) : el('img', { alt: '', width: 128, height: 128 });
  const name = el('strong', { class: 'pl-cut' }),
    says = el('span', { class: 'pl-dim pl-small pl-cut' });
  const node = el('div', { class: 'pl-hover', role: 'tooltip', hidden: true }, shot, name, says);
  host.append(node);
  let now = null;

  function fill(card) {
    name.textContent = card.name.split('/').at(-1);
    if (kind === 'text') shot.textContent = card.text.length > 220 ? `${card.text.slice(0, 219)}…` : card.text;
    else { const src = mediaUrl(card.id, 256, card.hash); if (shot.getAttribute('src') !== src) shot.src = src; }
  }
  async function show(id, event, words) {
    now = id;
    says.textContent = words;
    const card = cards.get(id);
    if (card) fill(card);
    else { name.textContent = ''; if (kind === 'text') shot.textContent = '';
      else shot.removeAttribute('src'); }
    node.hidden = false;
    const room = { w: node.offsetWidth + 16, h: node.offsetHeight + 16 },
      x = event?.clientX ?? 0,
      y = event?.clientY ?? 0;
    node.style.left = `${x + room.w > innerWidth ? x - room.w + 4 : x + 14}px`;
    node.style.top = `${y + room.h > innerHeight ? Math.max(4, y - room.h) : y + 14}px`;
    if (!card) {
      await cards.want([id]).catch(() => {});
      if (now === id && cards.get(id)) fill(cards.get(id));
    }
  }

  function hide() { now = null;
    node.hidden = true; }
  return { show, hide };
}
