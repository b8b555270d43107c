// Asking the server for an answer, piece by piece.
import { signal } from '@preact/signals';
import { ask } from '../server/ask';
import { eventsOf } from '../server/events';
import { offered } from '../server/info';
import {
  type Conversation,
  newId,
  type Outcome,
  type Reuse,
  reuseFrom,
  root,
  type Settings,
  type Turn,
  turnsBefore,
  type Usage,
  withChange,
  withTurn,
} from './conversation';
import { paced } from './paced';
import { conversations, save } from './store';

export interface Live {
  conversation: string;
  text: string;
  reuse?: Reuse | undefined;
  stop: AbortController;
}

// Answers under way, by the id of their turn.
export const live = signal<Record<string, Live>>({});

export function liveIn(conversation: Conversation): string | undefined {
  return Object.keys(live.value).find((turn) => live.value[turn]!.conversation === conversation.id);
}

export function stop(turn: string) {
  live.value[turn]?.stop.abort();
}

function samplingOf(settings: Settings) {
  return {
    temperature: settings.temperature,
    top_p: settings.topP,
    top_k: settings.topK,
    min_p: settings.minP,
    repetition_penalty: settings.repetitionPenalty,
    ...(settings.maxTokens === null ? {} : { max_tokens: settings.maxTokens }),
    ...(settings.seed === null ? {} : { seed: settings.seed }),
  };
}

function requestFor(conversation: Conversation, before: Turn[]): [path: string, body: unknown] {
  const { settings } = conversation;
  const common = {
    model: offered(settings.model).model,
    stream: true,
    stream_options: { include_usage: true },
    ...samplingOf(settings),
  };
  if (!offered(settings.model).chat) return ['/v1/completions', { ...common, prompt: before.map((turn) => turn.text).join('') }];
  const system = settings.system.trim() ? [{ role: 'system', content: settings.system }] : [];
  return ['/v1/chat/completions', { ...common, messages: [...system, ...before.map(({ role, text }) => ({ role, content: text }))] }];
}

interface Chunk {
  error?: { message: string };
  choices?: { delta?: { content?: string }; text?: string; finish_reason?: Outcome | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details?: { cached_tokens: number } };
}

function change(turn: string, part: Partial<Live>) {
  const entry = live.value[turn];
  if (entry) live.value = { ...live.value, [turn]: { ...entry, ...part } };
}

async function take(turn: string, reply: Response): Promise<Partial<Turn>> {
  let text = '';
  let outcome: Outcome = 'failed';
  let usage: Usage | undefined;
  const show = () => change(turn, { text });
  const showSoon = paced(show);
  const begun = performance.now();
  try {
    for await (const event of eventsOf(reply)) {
      if (event === '[DONE]') break;
      const chunk = JSON.parse(event) as Chunk;
      if (chunk.error) throw new Error(chunk.error.message);
      const choice = chunk.choices?.[0];
      text += choice?.delta?.content ?? choice?.text ?? '';
      if (choice?.finish_reason) outcome = choice.finish_reason;
      if (chunk.usage) {
        usage = {
          promptTokens: chunk.usage.prompt_tokens,
          cachedTokens: chunk.usage.prompt_tokens_details?.cached_tokens ?? 0,
          generatedTokens: chunk.usage.completion_tokens,
          seconds: (performance.now() - begun) / 1000,
        };
      }
      showSoon();
    }
  } finally {
    show(); // also what came last before a failure or a stop
  }
  return { text, outcome, ...(usage ? { usage } : {}), ...(outcome === 'failed' ? { error: 'The answer broke off.' } : {}) };
}

// Adds an answer to the turn `to`, and shows it as it grows.
export async function answer(conversation: Conversation, to: Turn) {
  const turn: Turn = { id: newId(), parent: to.id, role: 'assistant', text: '' };
  save(withTurn(conversation, turn));
  const entry: Live = { conversation: conversation.id, text: '', stop: new AbortController() };
  live.value = { ...live.value, [turn.id]: entry };
  let result: Partial<Turn>;
  try {
    const [path, body] = requestFor(conversation, [...turnsBefore(conversation, to), to]);
    const reply = await ask(path, body, entry.stop.signal);
    change(turn.id, { reuse: reuseFrom(reply.headers.get('X-Fovea-Cache')) });
    result = await take(turn.id, reply);
  } catch (failure) {
    const { text } = live.value[turn.id]!;
    result = entry.stop.signal.aborted ? { text, outcome: 'stopped' } : { text, outcome: 'failed', error: (failure as Error).message };
  }
  const { [turn.id]: ended, ...others } = live.value;
  const kept = conversations.value[conversation.id];
  if (kept) save(withChange(kept, turn.id, { ...result, ...(ended?.reuse ? { reuse: ended.reuse } : {}) }));
  live.value = others;
}

// Says something after `parent` (root: as the first turn) and asks for the answer.
export function say(conversation: Conversation, parent: string, text: string) {
  const turn: Turn = { id: newId(), parent, role: 'user', text };
  return answer(withTurn(conversation, turn), turn);
}

export function sayNext(conversation: Conversation, path: Turn[], text: string) {
  return say(conversation, path.at(-1)?.id ?? root, text);
}

// A page that is closed keeps what it has.
addEventListener('pagehide', () => {
  for (const [turn, { conversation, text }] of Object.entries(live.value)) {
    const kept = conversations.value[conversation];
    if (kept) save(withChange(kept, turn, { text, outcome: 'stopped' }));
  }
});
