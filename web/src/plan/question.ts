// What the sliders ask the server's planner, and what it says. No number of a plan is made here.
import { signal } from '@preact/signals';
import { askJson } from '../server/ask';
import { chosen } from '../chat/chosen';

export interface Choices {
  model: string; // empty: the one that is served
  context: number;
  sequences: number;
  ratio: [number, number] | null; // null, here and below: as the model is
  window: number | null;
  kvHeads: number | null;
  kvLocal: string;
  kvGlobal: string;
  oneStream: string; // "on", "off" or as it is
  weights: string;
}

export interface PlanGroup {
  kind: string;
  layers: number[];
  window: number | null;
  kv_heads: number;
  head_dim: number;
  codec: string;
  one_stream: boolean;
  bytes_per_token: number;
  bytes: number;
  all_global_bytes: number;
}

export interface Plan {
  context: number;
  weights_format: string;
  weights_bytes: number;
  kv_bytes: number;
  total_bytes: number;
  read_bytes_per_token: number;
  not_computed: string[];
  groups: PlanGroup[];
}

export interface PlanLayer {
  kind: string;
  window: number | null;
  shares_with: number | null;
  bytes: number;
}

export interface Answer {
  plan: Plan;
  as_is: Plan;
  layers: PlanLayer[];
  memory_bytes: number;
  fits: boolean;
  curve: { context: number[]; kv_bytes: number[]; as_is_bytes: number[]; all_global_bytes: number[] };
}

export const choices = signal<Choices>({
  model: '',
  context: 32768,
  sequences: 1,
  ratio: null,
  window: null,
  kvHeads: null,
  kvLocal: 'bf16',
  kvGlobal: 'bf16',
  oneStream: 'as it is',
  weights: 'as it is',
});
export const answer = signal<Answer | null>(null);
export const trouble = signal('');

function bodyOf(now: Choices) {
  return {
    model: now.model || chosen.value.model,
    context: now.context,
    sequences: now.sequences,
    kv_local: now.kvLocal,
    kv_global: now.kvGlobal,
    ...(now.ratio ? { ratio: now.ratio } : {}),
    ...(now.window ? { window: now.window } : {}),
    ...(now.kvHeads ? { kv_heads: now.kvHeads } : {}),
    ...(now.oneStream === 'on' || now.oneStream === 'off' ? { k_eq_v: now.oneStream === 'on' } : {}),
    ...(now.weights === 'as it is' ? {} : { weights: now.weights }),
  };
}

const restMilliseconds = 40; // a slider on its way asks for what it rests on

// Returns what takes the question back.
export function askPlan() {
  const taken = new AbortController();
  const timer = setTimeout(async () => {
    try {
      answer.value = await askJson<Answer>('/page/plan', bodyOf(choices.value), taken.signal);
      trouble.value = '';
    } catch (failure) {
      if (!taken.signal.aborted) trouble.value = (failure as Error).message;
    }
  }, restMilliseconds);
  return () => {
    clearTimeout(timer);
    taken.abort();
  };
}
