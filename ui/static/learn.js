// The Learn page: the packs and their lanes, what the last teaching changed, how the model became
// better, and its versions with the way back. Asks /pl/api/learn when the page opens and again when
// a version, a job or the labels changed; what is there already is changed in place.
import { api, announceJobs, announceVersion, debounce, el, emit, helpKeys, listen, markReady, pageRoot, setOpenProject, t, toastError } from './base.js';
import { mountAudit } from './learn_audit.js';
import { mountCurve } from './learn_curve.js';
import { mountDoubts } from './learn_doubts.js';
import { mountEvaluation } from './learn_evaluation.js';
import { mountPacks } from './learn_packs.js';
import { mountPeople } from './learn_people.js';
import { mountReport } from './learn_report.js';
import { mountVersions } from './learn_versions.js';
import { undoOn } from './undo.js';

export async function mount({ root }) {
  pageRoot(root, 'learn');
  const section = (name, label) => el('section', { class: `pl-learn-${name}`, 'aria-label': t(label) });
  const packs = section('packs', 'learn.packs'), report = section('report', 'learn.report'), curve = section('curve', 'learn.curve');
  const evaluation = section('evaluation', 'eval.title'), people = section('people', 'people.title'), audit = section('audit', 'audit.title'), doubts = section('doubts', 'doubts.title'), versions = section('versions', 'learn.versions');
  root.replaceChildren(el('div', { class: 'pl-panes' },
    el('main', { class: 'pl-pane grow pl-learn-main' }, packs, report, curve, evaluation, audit, people, doubts),
    el('aside', { class: 'pl-pane pl-learn-side' }, versions)));
  helpKeys(t('page.learn'), [['U', t('help.learn.undo')]]);

  const desk = { state: null, send, change, refresh, isTeaching: false, undo: op => undo(op) };
  const parts = [mountPacks(packs, desk), mountReport(report, desk), mountCurve(curve, desk), mountVersions(versions, desk), mountPeople(people), mountAudit(audit, desk), mountDoubts(doubts), mountEvaluation(evaluation)];
  let turn = 0;

  /** Ask again and draw what changed; an answer that is overtaken by a later one is dropped. */
  async function refresh() {
    const mine = turn += 1;
    let state;
    try { state = await api('/pl/api/learn'); } catch (error) {
      if (error.status === 404) nothing(error.message); else toastError(error);
      return;
    }
    if (mine === turn) show(state);
  }
  const refreshSoon = debounce(refresh, 150);

  function show(state) {
    desk.state = state;
    setOpenProject(state.project);
    root.dataset.version = state.version;
    for (const part of parts) part.refresh(state);
  }

  /** Send one change; shows the state after it. Gives what came of it, or throws why it was refused. */
  async function send(json) {
    const state = await api('/pl/api/learn', { json });
    turn += 1;
    show(state);
    announceJobs();
    announceVersion(state.version);
    return state.made;
  }
  /** The same where nothing is left to mend: a refusal is told, and gives null. */
  async function change(json) {
    try { return await send(json); } catch (error) { toastError(error); return null; }
  }

  function nothing(words) {
    root.replaceChildren(el('div', { class: 'pl-empty' }, el('p', {}, words), el('a', { class: 'pl-button primary', href: '/data' }, t('label.empty.project'))));
  }

  listen(root, 'pl:version', event => { if (event.detail.version !== desk.state?.version) refreshSoon(); });
  listen(root, 'pl:job', refreshSoon);
  listen(root, 'pl:project', refreshSoon);
  listen(root, 'pl:joblist', event => parts[0].jobs(event.detail));
  const undo = undoOn(root, { then: () => { emit('pl:labels'); return refresh(); } });
  listen(root, 'pl:undo', event => undo(event.detail.op ?? null));
  await refresh();
  markReady(root);
}
