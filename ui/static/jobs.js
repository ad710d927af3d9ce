// What the server is working on, in the bar. Polls /pl/api/jobs with its ETag: quickly while
// something runs, slowly otherwise, not at all in a hidden tab. Polled on purpose: browsers allow
// about six connections to one host over all tabs, and an open stream takes one of them.
import { api, el, emit, icon, listen, onRemoved, t, toast, toastError } from './base.js';

const BUSY_MS = 400, IDLE_MS = 5000;
const RUNS = new Set(['queued', 'running']);

export function mountJobs(root, box, { onVersion }) {
  const ring = el('span', { class: 'pl-ring', 'aria-hidden': 'true' });
  const words = el('span', { class: 'pl-job-words' });
  const list = el('div', { class: 'pl-popover', popover: 'auto', id: 'pl-jobs-list', role: 'region', 'aria-label': t('jobs.title') });
  const button = el('button', { type: 'button', class: 'pl-job', 'data-testid': 'job', 'data-state': 'idle', popovertarget: 'pl-jobs-list' }, ring, words);
  box.append(button, list);

  const states = new Map();
  let timer = 0, etag = '', stopped = false, isFirst = true, running = false;

  async function poll() {
    clearTimeout(timer);
    if (stopped) return;
    if (!document.hidden) {
      try {
        const answer = await api('/pl/api/jobs', { raw: true, headers: etag ? { 'If-None-Match': etag } : {} });
        if (answer.status === 200) {
          etag = answer.headers.get('ETag') ?? '';
          const told = await answer.json();
          draw(told.jobs);
          if (told.version !== undefined) onVersion(told.version);
          if (told.offset !== undefined) emit('pl:offset', { offset: told.offset });
        }
      } catch { /* said by whoever asks for something; the next poll tries again */ }
    }
    clearTimeout(timer);
    timer = setTimeout(poll, running ? BUSY_MS : IDLE_MS);
  }

  function draw(jobs) {
    const now = jobs.find(job => job.state === 'running') ?? jobs.find(job => job.state === 'queued');
    running = Boolean(now);
    const newest = jobs[0];
    button.dataset.state = now?.state ?? (newest?.state === 'failed' ? 'failed' : 'idle');
    const part = now?.total ? now.done / now.total : 0;
    ring.style.setProperty('--part', part);
    ring.classList.toggle('waiting', Boolean(now) && !now.total);
    words.textContent = now ? `${now.title}${now.total ? ` ${Math.floor(part * 100)} %` : ''}` : '';
    button.title = now ? `${now.title} ${now.note}` : t('jobs.none');
    button.setAttribute('aria-label', now ? `${t('jobs.title')}: ${words.textContent}` : t('jobs.none'));
    list.replaceChildren(el('h2', { class: 'pl-h2' }, t('jobs.title')), ...(jobs.length ? jobs.map(row) : [el('p', { class: 'pl-dim' }, t('jobs.none'))]));
    const news = isFirst ? [] : jobs.filter(job => states.get(job.id) !== job.state && !RUNS.has(job.state));
    // Before anybody hears of it: who does may make the page begin anew.
    for (const job of jobs) states.set(job.id, job.state);
    isFirst = false;
    for (const job of news) {
      emit('pl:job', job);
      if (job.kind === 'compact' && job.note) toast(job.note, { seconds: 12 });
      if (job.state === 'failed') toast(t('jobs.failed', { title: job.title, error: job.error }), { kind: 'error', seconds: 12 });
    }
    emit('pl:joblist', jobs);
  }

  function row(job) {
    const busy = RUNS.has(job.state);
    const note = busy || job.kind === 'compact' ? job.note : ''; // what is left to delete is said when it is done
    return el('div', { class: 'pl-job-row', 'data-state': job.state, 'data-id': job.id },
      el('div', { class: 'pl-job-title' }, job.title),
      busy ? el('button', { type: 'button', class: 'pl-icon-button', 'aria-label': t('jobs.cancel', { title: job.title }), title: t('jobs.cancel', { title: '' }), onclick: () => cancel(job.id) }, icon('M6 6l12 12M18 6 6 18', { size: 14 })) : null,
      busy ? el('progress', { class: 'pl-progress', max: '1', value: job.total ? job.done / job.total : null, 'aria-label': job.title }) : null,
      el('div', { class: 'pl-dim pl-small' }, [t(`jobs.state.${job.state}`), busy && job.total ? `${job.done} / ${job.total}` : '', job.error || note].filter(Boolean).join(', ')));
  }

  async function cancel(id) {
    try { await api(`/pl/api/jobs/${id}/cancel`, { method: 'POST' }); } catch (error) { toastError(error); }
    poll();
  }

  const wake = () => { if (!document.hidden) poll(); };
  listen(root, 'visibilitychange', wake, document);
  listen(root, 'pl:jobs', poll);
  listen(root, 'pl:project', () => { etag = ''; states.clear(); isFirst = true; poll(); });
  onRemoved(root, () => { stopped = true; clearTimeout(timer); });
  poll();
}
