// What the server is: asked once, and again with every key.
import { signal } from '@preact/signals';
import { askJson, Refusal } from './ask';

export interface ServerInfo {
  version: string;
  model: string; // what requests call it
  name: string; // what the file calls it
  family: string;
  chat: boolean; // false: it continues texts, and has no turns
  context_tokens: number;
  output_tokens: number; // most of an answer; 0: what the context takes
  sequences: number;
  threads: number;
  kernels: string;
  kv_local: string;
  kv_global: string;
  planner: { models: string[]; codecs: string[]; weights: string[] }; // that can be planned with
}

export const info = signal<ServerInfo | null>(null);
export const unreachable = signal('');

export async function learn() {
  try {
    info.value = await askJson<ServerInfo>('/page/info');
    unreachable.value = '';
  } catch (failure) {
    const locked = failure instanceof Refusal && failure.status === 401;
    unreachable.value = locked ? '' : `The server cannot be reached: ${(failure as Error).message}`;
  }
}

learn();
