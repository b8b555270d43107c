// What the server is: asked once, and again with every key.
import { signal } from '@preact/signals';
import { askJson, Refusal } from './ask';

export interface ModelInfo {
  model: string; // what requests call it
  name: string; // what the file calls it
  family: string;
  chat: boolean; // false: it continues texts, and has no turns
  context_tokens: number;
  sequences: number;
  threads: number;
  kv_local: string;
  kv_global: string;
}

export interface ServerInfo extends ModelInfo {
  // itself: the first model
  version: string;
  models: ModelInfo[]; // all, loaded or not
  output_tokens: number; // most of an answer; 0: what the context takes
  kernels: string; // empty: the first model is not loaded
  planner: { models: string[]; codecs: string[]; weights: string[] }; // that can be planned with
}

export const info = signal<ServerInfo | null>(null);
export const unreachable = signal('');

// The model of that name, or the first: conversations outlive what a server offers. REQUIRES: info is there
export function offered(name: string): ModelInfo {
  return info.value!.models.find((model) => model.model === name) ?? info.value!;
}

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
