// Many ids as few numbers: the ends of runs that follow on each other, [[first, last], ...]. All labels
// of a project are a handful of runs, where a list of them would be a hundred thousand numbers.

export function asRanges(ids) {
  const ranges = [];
  for (const id of [...ids].toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && id <= last[1] + 1) last[1] = Math.max(last[1], id); else ranges.push([id, id]);
  }
  return ranges;
}

export function* idsOf(ranges) {
  for (const [first, last] of ranges) for (let id = first; id <= last; id += 1) yield id;
}
