// What is in view as a PNG, made in the browser: the sample, its map, and below it what it shows.

import { el, themeColours } from './base.js';

const LONGEST = 1600, NARROWEST = 480, EDGE = 16, FONT = '14px system-ui, sans-serif', LINE = 20;

/** Save a drawing `{canvas, lines, legend}` with a caption as a file. */
export async function savePicture({ sample, lines, legend, name }) {
  const blob = await new Promise(go => compose(sample, lines, legend).toBlob(go, 'image/png'));
  const address = URL.createObjectURL(blob);
  const link = el('a', { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A file's name of the words that say what is in it. */
export const fileName = words => `${words.filter(Boolean).map(word => word.replace(/[^\p{L}\p{N}.-]+/gu, '_').slice(0, 60)).join('-')}.png`;

/** The picture, as large as it is up to 1600 pixels, its map over it; `drawn` is the canvas of the map or null. */
export function pictureCanvas(photo, { width, height }, drawn, opacity) {
  const k = Math.min(1, LONGEST / Math.max(width, height)), canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * k));
  canvas.height = Math.max(1, Math.round(height * k));
  const pen = canvas.getContext('2d');
  pen.fillStyle = '#fff';                                  // as the encoder saw what is transparent
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(photo, 0, 0, canvas.width, canvas.height);
  if (drawn) {
    pen.imageSmoothingEnabled = false;
    pen.globalAlpha = opacity;
    pen.drawImage(drawn, 0, 0, canvas.width, canvas.height);
  }
  return canvas;
}

/** Words with their shades, from the first in view on; `pieces` are [{text, colour or null}]. */
export function wordsCanvas(pieces, { most, more }) {
  const canvas = document.createElement('canvas'), pen = canvas.getContext('2d'), ui = themeColours();
  const font = '18px system-ui, sans-serif', high = 30, width = 720;
  pen.font = font;
  const placed = [];
  let x = 0, y = 0;
  for (const { text, colour } of pieces) {
    for (const bit of text.split(/(\n|\s+)/)) {
      if (!bit) continue;
      const wide = pen.measureText(bit).width;
      if (bit === '\n' || (x && x + wide > width && bit.trim())) { x = 0; y += high; }
      if (bit === '\n') continue;
      if (y > most) { placed.push({ text: more, x: 0, y, wide: 0, colour: null }); break; }
      placed.push({ text: bit, x, y, wide, colour });
      x += wide;
    }
    if (y > most) break;
  }
  canvas.width = width + 2 * EDGE;
  canvas.height = y + high + 2 * EDGE;
  pen.fillStyle = ui.surface;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.font = font;
  pen.textBaseline = 'middle';
  for (const { text, x: left, y: top, wide, colour } of placed) {
    if (colour) { pen.fillStyle = colour; pen.fillRect(EDGE + left, EDGE + top + 3, wide, high - 6); }
    pen.fillStyle = ui.text;
    pen.fillText(text, EDGE + left, EDGE + top + high / 2);
  }
  return canvas;
}

function compose(sample, lines, legend) {
  const canvas = document.createElement('canvas'), ui = themeColours(), pen = canvas.getContext('2d');
  const width = Math.max(NARROWEST, sample.width);
  pen.font = FONT;
  const wrapped = lines.flatMap((line, k) => wrap(pen, line, width - 2 * EDGE).map(text => ({ text, isTitle: k === 0 })));
  canvas.width = width;
  canvas.height = sample.height + 2 * EDGE + LINE * (wrapped.length + (legend ? 1 : 0));
  pen.fillStyle = ui.surface;
  pen.fillRect(0, 0, width, canvas.height);
  pen.drawImage(sample, Math.round((width - sample.width) / 2), 0);
  pen.textBaseline = 'top';
  let y = sample.height + EDGE;
  for (const { text, isTitle } of wrapped) {
    pen.font = isTitle ? `600 ${FONT}` : FONT;
    pen.fillStyle = isTitle ? ui.text : ui.dim;
    pen.fillText(text, EDGE, y);
    y += LINE;
  }
  if (legend) drawLegend(pen, legend, y, ui);
  return canvas;
}

function drawLegend(pen, { table, low, high }, y, ui) {
  pen.font = FONT;
  pen.fillStyle = ui.dim;
  pen.fillText(low, EDGE, y);
  const from = EDGE + pen.measureText(low).width + 8;
  for (let k = 0; k < 128; k++) {
    const [r, g, b, a] = table.subarray(8 * k, 8 * k + 4);
    pen.fillStyle = `rgba(${r}, ${g}, ${b}, ${a / 255})`;
    pen.fillRect(from + k, y + 3, 1, 10);
  }
  pen.fillStyle = ui.dim;
  pen.fillText(high, from + 136, y);
}

function wrap(pen, line, width) {
  const lines = [''];
  for (const word of line.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (pen.measureText(longer).width > width && lines.at(-1)) lines.push(word); else lines[lines.length - 1] = longer;
  }
  return lines;
}
