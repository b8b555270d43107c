// What the server says of its cache (src/serve/page_numbers.cpp): structure only, no text.

export type Span = [begin: number, end: number, holders: number, keepers: number]; // positions [begin, end)

export interface Boundary {
  position: number;
  kind: string; // "prompt", "end", "message", "branch" or "spaced"
  continuable: boolean; // false: its windows were dropped
  wanted: number;
}

export interface Loss {
  position: number;
  window_only: boolean;
  expired: boolean;
}

// A running sequence, or a known prefix from its beginning to one of its ends.
export interface Path {
  running: boolean;
  tokens: number;
  shared_tokens: number; // that an earlier path begins with as well
  groups: Span[][];
  boundaries: Boundary[];
  losses: Loss[];
}

export interface Group {
  kind: string;
  window: number; // 0: the whole past
  layers: number[];
  codec: string;
  held_bytes: number;
  kept_bytes: number;
  planned_bytes: number;
  capacity_bytes: number;
}

export interface Row {
  groups: number[]; // what it keeps of all it sees, then of its newest tokens
  own: boolean; // false: the layer reads another's
}

export interface Request {
  id: number;
  prompt_tokens: number;
  reused_tokens: number;
  replayed_tokens: number;
  reason: string;
  at: number;
}

export interface CacheMap {
  used_bytes: number;
  limit_bytes: number;
  boundaries: number;
  requests: number;
  reuse_hits: number;
  computed_tokens: number;
  reused_tokens: number;
  replayed_tokens: number;
  evicted_tokens: number;
  reuse_reasons: Record<string, number>;
  miss_reasons: Record<string, number>;
  groups: Group[];
  layers: Row[];
  paths: Path[];
  left_out: number; // known prefixes that were too many
  of_others: number; // that other keys' requests left
  recent: Request[];
}

// Codecs that lose something beside the usual 16 bits.
export function isNarrow(codec: string): boolean {
  return /fp8|int|tq/.test(codec);
}

export function spanAt(spans: Span[], position: number): Span | undefined {
  return spans.find(([begin, end]) => begin <= position && position < end);
}

export function sharers(holders: number, keepers: number): string {
  const parts = [];
  if (holders > 0) parts.push(`held by ${holders} running`);
  if (keepers > 0) parts.push(`kept by ${keepers}`);
  return parts.join(', ') || 'given back';
}

// What lies at a position, group by group.
export function textAt(map: CacheMap, path: Path, position: number): string[] {
  return map.groups.map((group, i) => {
    const name = `${group.layers.length} ${group.kind}${group.codec ? `, ${group.codec}` : ''}`;
    const spans = path.groups[i] ?? [];
    if (group.kind === 'state') {
      const state = spans.find(([, end]) => end >= position);
      return `${name}: ${state ? `state after ${state[1]}` : 'no state from here on'}`;
    }
    const span = spanAt(spans, position);
    return `${name}: ${span ? sharers(span[2], span[3]) : 'given back, or not kept'}`;
  });
}
