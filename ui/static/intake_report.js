// What came in, what was skipped and why; one step back, one step on.
import { api, count, el, icon, t, toast, toastError, url } from './base.js';
import { problemList } from './intake_preview.js';

export function reportCard(record, { onClose, onChange }) {
  const report = record.report;
  const held = report.numKept + report.numOtherwiseKept, isAll = held === report.problems + report.numOtherwise;
  const facts = [
    t('report.imported', { n: count(report.imported) }),
    report.duplicates ? t('report.duplicates', { n: count(report.duplicates) }) : '',
    report.labels ? t('report.labels', { n: count(report.labels) }) : '',
    report.annotations ? t('report.annotations', { n: count(report.annotations) }) : '',
    report.skipped ? t('report.skipped', { n: count(report.skipped) }) : t('report.none'),
  ].filter(Boolean);
  return el('section', { class: 'pl-card pl-report', 'data-testid': 'import-report', 'data-imported': report.imported, 'data-skipped': report.skipped, 'aria-label': t('report.title') },
    el('div', { class: 'pl-card-head' }, el('h2', { class: 'pl-h2' }, t('report.of', { title: record.title })),
      el('button', { type: 'button', class: 'pl-icon-button', 'aria-label': t('toast.close'), onclick: onClose }, icon('M6 6l12 12M18 6 6 18', { size: 14 }))),
    el('p', { class: 'pl-plain' }, facts.join(', '), '.'),
    record.error ? el('p', { class: 'pl-plain pl-warning', role: 'alert' }, record.error) : null,
    report.problems ? problemList(report.errors, report.problems, { kept: report.numKept }) : null,
    report.numOtherwise ? problemList(report.otherwise, report.numOtherwise, { title: 'problems.otherwise', kept: report.numOtherwiseKept }) : null,
    el('div', { class: 'pl-row' },
      report.imported ? el('a', { class: 'pl-button primary', href: url('/') }, t('report.label')) : null,
      report.problems || report.numOtherwise ? el('a', { class: 'pl-button', href: url(`/pl/api/imports/${record.id}/report.csv`), download: 'import-report.csv', 'data-testid': 'report-csv' }, t(isAll ? 'report.csv' : 'report.csv.first', { n: count(held) })) : null,
      record.ops.length ? el('button', { type: 'button', class: 'pl-button', 'data-testid': 'import-undo', onclick: event => takeBack(event.currentTarget) }, t('report.undo')) : null));

  async function takeBack(button) {
    button.disabled = true;
    try {
      for (const op of record.ops.toReversed()) await api('/pl/api/undo', { json: { op } });
      toast(t('report.undone'));
      onClose();
      onChange();
    } catch (error) { button.disabled = false; toastError(error); }
  }
}
