// Requests to the server that this page came from, and nowhere else.
import { signal } from '@preact/signals';

const keyPlace = 'fovea.key'; // of sessionStorage: forgotten with the tab

export const apiKey = signal(sessionStorage.getItem(keyPlace) ?? '');
// Why a key is asked for; empty: none is.
export const keyWanted = signal('');

// Who asks again is the caller.
export function useKey(key: string) {
  if (!/^[\x21-\x7e]+$/.test(key)) {
    keyWanted.value = 'A key is made of letters, digits and signs.';
    return;
  }
  apiKey.value = key;
  sessionStorage.setItem(keyPlace, key);
  keyWanted.value = '';
}

export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function refusalOf(reply: Response): Promise<Refusal> {
  const text = await reply.text();
  try {
    return new Refusal(reply.status, JSON.parse(text).error.message);
  } catch {
    return new Refusal(reply.status, text || `The server answered ${reply.status}.`);
  }
}

export async function ask(path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (apiKey.value) headers.Authorization = `Bearer ${apiKey.value}`;
  const init: RequestInit = { method: body === undefined ? 'GET' : 'POST', headers, cache: 'no-store' };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (signal) init.signal = signal;
  const reply = await fetch(path, init);
  if (reply.ok) return reply;
  const refusal = await refusalOf(reply);
  if (reply.status === 401) keyWanted.value = refusal.message;
  throw refusal;
}

export async function askJson<T>(path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  return (await ask(path, body, signal)).json() as Promise<T>;
}
