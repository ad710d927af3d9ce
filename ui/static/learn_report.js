// What the last teaching changed, pack by pack: the other packs are the proof that none was harmed.
import { ago, count, el, t } from './base.js';

export function mountReport(root, desk) {
  let seen = '';
  root.hidden = true;

  function refresh({ report }) {
    const now = report ? `${report.version} ${report.digest}` : '';
    root.hidden = !report;
    if (now === seen) return;
    seen = now;
    if (!report) return;
    const others = report.packs.filter(row => row.pack !== report.pack), worst = Math.max(0, ...others.map(row => row.largest_change));
    const key = { import: 'learn.report.imported', back: 'learn.report.back' }[report.kind] ?? 'learn.report.taught';
    root.dataset.testid = 'teach-report';
    root.dataset.pack = report.pack;
    root.dataset.version = report.version;
    root.replaceChildren(
      el('header', { class: 'pl-learn-head' }, el('h2', { class: 'pl-h2' }, t(key, { name: report.pack })),
        el('span', { class: 'pl-dim pl-small' }, t('learn.report.how', { version: report.version, n: count(report.verdicts), seconds: report.seconds.toFixed(1), ago: ago(report.when) }))),
      ...(others.length ? [el('p', { class: `pl-plain${worst ? '' : ' pl-proof'}` }, worst ? t('learn.report.moved', { change: small(worst) }) : t('learn.report.proof'))] : []),
      el('div', { class: 'pl-table-scroll' }, el('table', { class: 'pl-table pl-num' },
        el('thead', {}, el('tr', {}, ['learn.col.pack', 'learn.col.before', 'learn.col.after', 'learn.col.lane', 'learn.col.change'].map(col => el('th', { scope: 'col' }, t(col))))),
        el('tbody', {}, report.packs.map(row => line(row, report.pack))))));
    if (desk.isTeaching) root.scrollIntoView({ block: 'nearest' });
    desk.isTeaching = false;
  }

  return { refresh };
}

const score = value => value === null ? el('span', { class: 'pl-dim', title: t('learn.quality.none') }, '–') : value.toFixed(3);
/** Exactly 0 is said as 0; anything else is never rounded to it. */
const small = value => value === 0 ? '0' : value < 0.001 ? value.toExponential(1) : value.toPrecision(2);

function digest(text) {
  return text ? el('code', { class: 'pl-digest', title: t('learn.digest', { digest: text }) }, text.slice(0, 8)) : el('span', { class: 'pl-dim' }, t('learn.lane.nothing'));
}

function line(row, taught) {
  const isTaught = row.pack === taught, isSame = row.digest_before === row.digest_after;
  return el('tr', { 'data-testid': 'report-row', 'data-pack': row.pack, 'data-change': row.largest_change, class: isTaught ? 'taught' : null },
    el('td', {}, row.pack), el('td', {}, score(row.before)), el('td', {}, score(row.after)),
    el('td', {}, isSame ? digest(row.digest_after) : [digest(row.digest_before), ' → ', digest(row.digest_after)]),
    el('td', {}, small(row.largest_change), row.largest_change === 0 && !isTaught ? el('span', { class: 'pl-same', 'aria-hidden': 'true' }, ' ✓') : null));
}
