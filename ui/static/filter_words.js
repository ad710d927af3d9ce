// Filters as words: of Explore's chips and of slices. The grammar is the backend's (slices.py).
import { t } from './base.js';

export const percents = (low, high) => `${Math.round(100 * low)} – ${Math.min(100, Math.round(100 * high))} %`;

/** `names` are the labels' names by their id as text. */
export function filterWords(key, names) {
  const [kind, ...rest] = key.split(':');
  const name = names.get(rest[0]) ?? '?';
  if (kind === 'label') return `${name}: ${t(`explore.verdict.${rest[1]}`)}`;
  if (kind === 'said') return t(rest[1] === 'yes' ? 'filter.said' : 'filter.unsaid', { name });
  if (kind === 'chance') {
    const range = percents(Number(rest[1]), Number(rest[2]));
    return rest[0] === 'any' ? t('filter.chance.any', { range }) : t('filter.chance', { name, range });
  }
  if (kind === 'formula') return rest.join(':');
  if (kind === 'doubt') {
    const range = percents(Number(rest[1]), Number(rest[2]));
    return rest[0] === 'any' ? t('filter.doubt.any', { range }) : t('filter.doubt', { name, range });
  }
  if (kind === 'disagree') return t(rest[2] ? 'filter.disagree' : 'filter.disagree.any', { source: rest.slice(2).join(':'), range: percents(Number(rest[0]), Number(rest[1])) });
  if (kind === 'changed') return t('filter.changed', { one: rest[0], other: rest[1] });
  if (kind === 'judged') return judgedWords(rest, names);
  if (kind === 'agreement') return t(`filter.agreement.${rest[1].replace('+files', '')}`, { name: rest[0] === 'any' ? t('filter.scope.any') : name });
  if (kind === 'voice') return t(`filter.voice.${rest[0].replace('+files', '')}`, { who: rest.slice(1).join(':') });
  if (kind === 'certain' || kind === 'claim' || kind === 'width') return t(kind === 'width' ? widthWords(rest[1]) : `filter.${kind}.${rest[1]}`, { level: Math.round(100 * Number(rest[0])), n: rest[1].replace('+', '') });
  if (kind === 'meta') return `${rest[0]}: ${rest.slice(1).join(':')}`;
  if (kind === 'slice') return t('filter.slice', { name: rest.join(':') });
  if (kind === 'split' || kind === 'source') return `${t(`explore.facet.${kind}`)}: ${rest.join(':') || t('explore.facet.top')}`;
  return t(`filter.${kind}.${rest[0]}`);
}

const widthWords = n => (n === '1+' ? 'filter.width.some' : n.endsWith('+') ? 'filter.width.least' : n === '1' ? 'filter.width.one' : 'filter.width');

/** A pair that a figure of the evaluation counts: whose, which, and what undecided pairs are. */
function judgedWords([unknown, scope, what, ...more], names) {
  const name = /^\d+$/.test(scope) ? names.get(scope) ?? '?' : t(`filter.scope.${scope}`), [one, other] = more;
  const words = [t(`filter.judged.${what}`, { name, level: Math.round(100 * Number(one)) })];
  if (what === 'decided' && one) words.push(t('filter.judged.pack', { pack: more.join(':') }));
  else if (other !== undefined && Number(one) > 1) words.push(t('filter.judged.range', { range: percents(Number(other) / Number(one), (Number(other) + 1) / Number(one)) }));
  else if (other === undefined && one && ['said', 'hit', 'missed', 'alarm', 'wrong'].includes(what)) words.push(Number.isFinite(Number(one)) ? t('filter.judged.from', { at: Number(one).toFixed(2) }) : t(`filter.judged.${one}`));
  if (unknown !== 'masked') words.push(t(`filter.judged.unknown.${unknown}`));
  return words.join(', ');
}

/** The query of the Learn page that evaluates these filters; a split among them is the one to evaluate. */
export function evaluationQuery(filters) {
  const named = filters.filter(key => /^split:(val|test|train)$/.test(key)), is = named.length === 1;
  const rest = is ? filters.filter(key => key !== named[0]) : filters.filter(key => key !== 'held-back:yes');
  return { split: is ? named[0].slice(6) : '', filter: rest.map(encodeURIComponent).join(',') };
}

/** The address of Explore with these filters, as a grid. */
export const filterAddress = filters => ({ filter: filters.map(encodeURIComponent).join(','), view: 'grid' });
