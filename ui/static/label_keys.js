// Which key says yes to which label.

/** Letters the page uses itself, or will; the other ones may be given to labels. */
const RESERVED = new Set('unefgcl');

/**
 * label id -> key. Keys that people gave come first. The digits left over go to the labels in
 * their order where nine are enough for all, else to the likeliest of this sample (`order`).
 */
export function assignKeys(labels, order) {
  const given = new Map(), taken = new Set();
  for (const { id, key } of labels) {
    const one = key.toLowerCase();
    if ([...one].length !== 1 || one === '0' || one === '.' || RESERVED.has(one) || taken.has(one)) continue;
    given.set(id, one);
    taken.add(one);
  }
  const digits = [...'123456789'].filter(digit => !taken.has(digit));
  for (const id of labels.length <= 9 ? labels.map(label => label.id) : order) {
    if (digits.length && !given.has(id)) given.set(id, digits.shift());
  }
  return given;
}
