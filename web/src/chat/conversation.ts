// A conversation is a tree of turns: editing a turn or asking again adds a sibling, and nothing is lost. What is shown is one way
// from the root to a leaf, by the child chosen at every turn. All functions leave what they are given as it is.

export interface Reuse {
  reused: number;
  of: number;
  reason: string; // a ReuseReason of the engine
  at: number;
}

export interface Usage {
  promptTokens: number;
  cachedTokens: number;
  generatedTokens: number;
  seconds: number; // from the first piece of the answer to its end
}

export type Outcome = 'stop' | 'length' | 'stopped' | 'failed';

export interface Turn {
  id: string;
  parent: string; // root: the conversation begins here
  role: 'user' | 'assistant';
  text: string;
  outcome?: Outcome; // of answers
  error?: string;
  reuse?: Reuse;
  usage?: Usage;
}

export interface Settings {
  model: string; // empty: the one that there is
  system: string;
  temperature: number;
  topP: number;
  topK: number; // 0: all
  minP: number;
  repetitionPenalty: number;
  maxTokens: number | null; // null: what the context takes
  seed: number | null; // null: another one each time
}

export interface Conversation {
  id: string;
  title: string;
  changed: number; // milliseconds since 1970
  settings: Settings;
  turns: Record<string, Turn>;
  chosen: Record<string, string>; // of the children of a turn
}

export const root = 'root';

export const usualSettings: Settings = {
  model: '',
  system: '',
  temperature: 0.7,
  topP: 0.95,
  topK: 0,
  minP: 0.05,
  repetitionPenalty: 1.1,
  maxTokens: null,
  seed: null,
};

// Also where a page is not served by localhost or TLS, and crypto.randomUUID is not there.
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => byte.toString(36).padStart(2, '0')).join('');
}

export function newConversation(settings: Settings = usualSettings): Conversation {
  return { id: newId(), title: '', changed: Date.now(), settings: { ...settings }, turns: {}, chosen: {} };
}

export function childrenOf(conversation: Conversation, parent: string): Turn[] {
  return Object.values(conversation.turns).filter((turn) => turn.parent === parent); // in the order in which they came
}

export function pathOf(conversation: Conversation): Turn[] {
  const path: Turn[] = [];
  const most = Object.keys(conversation.turns).length; // what was stored need not be a tree
  for (let at = conversation.chosen[root]; at && path.length < most; at = conversation.chosen[at]) {
    const turn = conversation.turns[at];
    if (!turn) break;
    path.push(turn);
  }
  return path;
}

// The turns before this one, oldest first.
export function turnsBefore(conversation: Conversation, turn: Turn): Turn[] {
  const path: Turn[] = [];
  for (let at = turn.parent; at !== root; at = conversation.turns[at]!.parent) path.unshift(conversation.turns[at]!);
  return path;
}

export function siblingsOf(conversation: Conversation, turn: Turn): Turn[] {
  return childrenOf(conversation, turn.parent);
}

const titleLength = 48;

function titleFrom(text: string): string {
  const line = text.trim().split('\n')[0]!;
  return line.length > titleLength ? `${line.slice(0, titleLength).trimEnd()}…` : line;
}

// Adds a turn and shows it.
export function withTurn(conversation: Conversation, turn: Turn): Conversation {
  return {
    ...conversation,
    title: conversation.title || titleFrom(turn.text),
    changed: Date.now(),
    turns: { ...conversation.turns, [turn.id]: turn },
    chosen: { ...conversation.chosen, [turn.parent]: turn.id },
  };
}

export function withChange(conversation: Conversation, id: string, change: Partial<Turn>): Conversation {
  const turn = conversation.turns[id];
  if (!turn) return conversation;
  return { ...conversation, changed: Date.now(), turns: { ...conversation.turns, [id]: { ...turn, ...change } } };
}

export function withChosen(conversation: Conversation, turn: Turn): Conversation {
  return { ...conversation, chosen: { ...conversation.chosen, [turn.parent]: turn.id } };
}

// "reused=51; of=64; reason=differs; at=51"
export function reuseFrom(header: string | null): Reuse | undefined {
  if (!header) return undefined;
  const fields = Object.fromEntries(header.split('; ').map((field) => field.split('=') as [string, string]));
  return { reused: Number(fields.reused), of: Number(fields.of), reason: fields.reason ?? 'none', at: Number(fields.at) };
}
