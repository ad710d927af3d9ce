// Many files to the server, keeping their folders: POST /pl/api/uploads/ID in batches. A batch is
// four bytes with the header's length, the header (JSON, [[name, size], ...]), then the bytes:
// a Blob of Blobs, so that nothing is read into memory here (server side: ui/uploads.py). What the
// browser cannot read is null here, and of size null there: the server names it with what it refuses.
import { api, t } from './base.js';

const BATCH_FILES = 64, BATCH_BYTES = 8e6, LANES = 2;
// Left behind by operating systems; nobody brings them on purpose.
const JUNK = /(^|\/)(\.[^/]*|__MACOSX|Thumbs\.db|desktop\.ini)(\/|$)/i;

/** [[name, File or null], ...] of an entry; a folder that cannot be opened is one that cannot be read. */
async function* walk(entry, folder = '') {
  const name = folder + entry.name;
  if (entry.isFile) {
    yield [name, await new Promise(done => entry.file(done, () => done(null)))];
  } else if (entry.isDirectory) {
    const reader = entry.createReader();
    for (;;) {  // readEntries gives at most 100 at a time
      const some = await new Promise(done => reader.readEntries(done, () => done(null)));
      if (!some) yield [name, null];
      if (!some?.length) break;
      for (const one of some) yield* walk(one, `${name}/`);
    }
  }
}

/** [[name, File or null], ...] of a drop, with folders opened. */
export async function filesOfDrop(transfer) {
  // Entries are gone after the first await, so all are taken first.
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...transfer.files].map(file => [file.name, file]);
  const found = [];
  for (const entry of entries) for await (const pair of walk(entry)) found.push(pair);
  return clean(entries.length ? found : plain);
}

/** [[name, File], ...] of a file or folder input. */
export const filesOfInput = input => clean([...input.files].map(file => [file.webkitRelativePath || file.name, file]));

/** [[name, File], ...] of a paste: pictures as they are, text as one sample a line. */
export function filesOfPaste(clipboard) {
  const files = [...clipboard.files].map((file, at) => [file.name || `pasted-${at + 1}.png`, file]);
  if (files.length) return clean(files);
  const lines = clipboard.getData('text/plain').split(/\r?\n/).filter(line => line.trim());
  if (!lines.length) return [];
  const rows = lines.map((text, at) => JSON.stringify({ sample: `pasted-${at + 1}`, text })).join('\n');
  return [['pasted.jsonl', new File([rows], 'pasted.jsonl')]];
}

const sizeOf = file => file?.size ?? 0;

/** A batch with null for each file whose first byte cannot be had: sending it would fail them all. */
const readable = batch => Promise.all(batch.map(async ([name, file]) => {
  try { await file?.slice(0, 1).arrayBuffer(); return [name, file]; } catch { return [name, null]; }
}));

const clean = list => list.filter(([name]) => !JUNK.test(name));

function batches(list) {
  const all = [];
  let now = [], size = 0;
  for (const [name, file] of list) {
    if (now.length && (now.length >= BATCH_FILES || size + sizeOf(file) > BATCH_BYTES)) {
      all.push(now);
      [now, size] = [[], 0];
    }
    now.push([name, file]);
    size += sizeOf(file);
  }
  if (now.length) all.push(now);
  return all;
}

function packed(batch) {
  const header = new TextEncoder().encode(JSON.stringify(batch.map(([name, file]) => [name, file && file.size])));
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, header.length);
  return new Blob([length, header, ...batch.flatMap(([, file]) => file ?? [])]);
}

/**
 * Send files; gives the upload's id. `onProgress(sentFiles, allFiles, sentBytes, allBytes)`.
 * Throws an ApiError at the first batch that is refused as a whole (over the limit, disk full).
 */
export async function upload(list, { onProgress, signal, limit }) {
  const allBytes = list.reduce((sum, [, file]) => sum + sizeOf(file), 0);
  if (limit && allBytes > limit) {
    const largest = list.reduce((a, b) => (sizeOf(b[1]) > sizeOf(a[1]) ? b : a));
    throw new Error(t('upload.large', { size: allBytes, limit, name: largest[0] }));
  }
  const { id } = await api('/pl/api/uploads', { method: 'POST' });
  const waiting = batches(list);
  let sentFiles = 0, sentBytes = 0;
  const lane = async () => {
    for (let batch = waiting.shift(); batch; batch = waiting.shift()) {
      await api(`/pl/api/uploads/${id}`, { method: 'POST', body: packed(await readable(batch)), signal, headers: { 'Content-Type': 'application/octet-stream' } });
      sentFiles += batch.length;
      sentBytes += batch.reduce((sum, [, file]) => sum + sizeOf(file), 0);
      onProgress(sentFiles, list.length, sentBytes, allBytes);
    }
  };
  try {
    await Promise.all(Array.from({ length: LANES }, lane));
  } catch (error) {
    waiting.length = 0;
    dropUpload(id);
    throw error;
  }
  return id;
}

export const dropUpload = id => api(`/pl/api/uploads/${id}`, { method: 'DELETE' }).catch(() => null);
