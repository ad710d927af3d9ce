// Geometry of marks: boxes and polygons in 0..1 of the displayed picture, spans in characters. The
// log stores geometry and never a part's number, so marks outlive a change of encoder.

/** The place of a part: its cell on a picture, its word in a text. */
export function regionOf(evidence, part, text) {
  if (evidence.rows) {
    const { rows, cols } = evidence;
    return { kind: 'box', points: [part % cols / cols, Math.floor(part / cols) / rows, 1 / cols, 1 / rows] };
  }
  return { kind: 'span', points: [0, 1].map(k => charactersTo(text, evidence.spans[2 * part + k])) };
}

/** The part that a place on the picture (0..1) lies in. */
export function partAt({ rows, cols }, { x, y }) {
  return Math.min(rows - 1, Math.max(0, Math.floor(y * rows))) * cols + Math.min(cols - 1, Math.max(0, Math.floor(x * cols)));
}

/** Characters, as the log counts them, before a place that the browser counts in UTF-16 units. */
export function charactersTo(text, units) {
  let count = 0;
  for (let at = 0; at < units; at += text.codePointAt(at) > 0xffff ? 2 : 1) count += 1;
  return count;
}

/** The other way round. */
export function unitsTo(text, characters) {
  let at = 0;
  for (let count = 0; count < characters && at < text.length; count++) at += text.codePointAt(at) > 0xffff ? 2 : 1;
  return at;
}

/** What a row of a commit calls a region. */
export function asPart({ kind, points }) {
  if (kind !== 'polygon') return { [kind]: points };
  return { polygon: Array.from({ length: points.length / 2 }, (_, k) => points.slice(2 * k, 2 * k + 2)) };
}

const CLOSE = 1e-6;            // a place that went through JSON and back

export const isSame = (one, other) => one.kind === other.kind && one.points.length === other.points.length &&
  one.points.every((value, k) => Math.abs(value - other.points[k]) < CLOSE);

/** The box around a region. */
export function boxOf({ kind, points }) {
  if (kind === 'box') return points;
  const xs = points.filter((_, k) => k % 2 === 0), ys = points.filter((_, k) => k % 2);
  const x = Math.min(...xs), y = Math.min(...ys);
  return [x, y, Math.max(...xs) - x, Math.max(...ys) - y];
}

/** Marks with one place added, changed or (here null) taken away; as the server does it. */
export function withMark(marks, region, here) {
  const rest = marks.filter(mark => !isSame(mark, region));
  return here === null ? rest : [...rest, { ...region, verdict: here ? 'yes' : 'no' }];
}
