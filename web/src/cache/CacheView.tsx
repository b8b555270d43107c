import { signal } from '@preact/signals';
import { question } from '../chat/chosen';
import { whyNotMore } from '../chat/reasons';
import { NotLoaded } from '../frame/NotLoaded';
import { usePoll } from '../frame/poll';
import { bytes, count } from '../frame/quantity';
import { type CacheMap, type Group, isNarrow, type Request } from './map';
import { Strip } from './Strip';

const map = signal<CacheMap | Absent | null>(null);
let lastText = '';

interface Absent {
  loaded: false;
}

// Drawn anew only when something has changed.
function take(now: CacheMap | Absent) {
  const text = JSON.stringify(now);
  if (text === lastText) return;
  lastText = text;
  map.value = now;
}

function percent(part: number, whole: number) {
  return whole > 0 ? `${Math.round((100 * part) / whole)} %` : '–';
}

function Numbers({ now }: { now: CacheMap }) {
  const known = now.reused_tokens + now.computed_tokens;
  return (
    <ul class="numbers">
      <li>
        <b>{bytes(now.used_bytes)}</b>
        <span>keys and values</span>
        <span class="small">of {bytes(now.limit_bytes)}</span>
      </li>
      <li>
        <b>{percent(now.reuse_hits, now.requests)}</b>
        <span>of requests reused something</span>
        <span class="small">
          {count(now.reuse_hits)} of {count(now.requests)}
        </span>
      </li>
      <li>
        <b>{percent(now.reused_tokens, known)}</b>
        <span>of tokens were found</span>
        <span class="small">{count(now.reused_tokens)} tokens</span>
      </li>
      <li>
        <b>{count(now.boundaries)}</b>
        <span>boundaries</span>
        <span class="small">to continue from</span>
      </li>
      {now.evicted_tokens > 0 && (
        <li>
          <b>{count(now.evicted_tokens)}</b>
          <span>tokens evicted</span>
        </li>
      )}
    </ul>
  );
}

function name({ kind, layers, window, codec }: Group) {
  return `${layers.length} ${kind}${window ? `, window ${count(window)}` : ''}${codec ? `, ${codec}` : ''}`;
}

// What running sequences hold and what is kept, beside the plan of the former, on one scale for all groups.
function GroupBars({ groups }: { groups: Group[] }) {
  const most = Math.max(1, ...groups.map((group) => Math.max(group.planned_bytes, group.held_bytes + group.kept_bytes)));
  return (
    <ul class="bars">
      {groups.map((group, i) => (
        <li key={i}>
          <span>{name(group)}</span>
          <svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
            <rect class="gone" width={(1000 * group.planned_bytes) / most} height="10" />
            <rect class={`${group.kind} s3`} width={(1000 * group.held_bytes) / most} height="10" />
            <rect class={`${group.kind} s1`} x={(1000 * group.held_bytes) / most} width={(1000 * group.kept_bytes) / most} height="10" />
            <line x1={(1000 * group.planned_bytes) / most} x2={(1000 * group.planned_bytes) / most} y1="0" y2="10" />
          </svg>
          <span class="small">
            {bytes(group.held_bytes)} held, {bytes(group.kept_bytes)} kept; planned for running sequences: {bytes(group.planned_bytes)}
          </span>
        </li>
      ))}
    </ul>
  );
}

function StripLegend({ groups }: { groups: Group[] }) {
  const kind = groups[0]?.kind ?? 'global';
  return (
    <ul class="legend">
      {groups.map((group, i) => (
        <li key={i}>
          <i class={`swatch ${group.kind} ${isNarrow(group.codec) ? 'narrow' : ''}`} /> {name(group)}
          {isNarrow(group.codec) && ' (quantized, and so thinner)'}
        </li>
      ))}
      {['one has it', 'two or three share it', 'four or more'].map((text, i) => (
        <li key={text}>
          <i class={`swatch ${kind} s${i + 1}`} /> {text}
        </li>
      ))}
      <li>
        <i class="swatch gone" /> given back, or not kept
      </li>
      <li>
        <i class="boundary key" /> boundary
      </li>
      <li>
        <i class="boundary hollow key" /> its windows were dropped
      </li>
      <li>
        <b class="loss key">×</b> dropped or expired
      </li>
    </ul>
  );
}

function RequestRow({ request, most }: { request: Request; most: number }) {
  const { prompt_tokens, reused_tokens, replayed_tokens, reason, at } = request;
  const why = whyNotMore(reason, at);
  const width = (tokens: number) => (1000 * tokens) / most;
  return (
    <tr>
      <td class="bar">
        <svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
          <rect class="gone" width={width(prompt_tokens)} height="10" />
          <rect class="hit" width={width(reused_tokens)} height="10" />
          <rect class="replay" x={width(reused_tokens)} width={width(replayed_tokens)} height="10" />
        </svg>
      </td>
      <td>
        {count(reused_tokens)} of {count(prompt_tokens)}
      </td>
      <td class="why">
        {why || 'all that can be'}
        {replayed_tokens > 0 && `; ${count(replayed_tokens)} read again to restore windows`}
      </td>
    </tr>
  );
}

function Requests({ now }: { now: CacheMap }) {
  const newest = now.recent.slice(-12).reverse();
  const most = Math.max(1, ...newest.map((request) => request.prompt_tokens));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Requests">
      <table class="requests">
        <thead>
          <tr>
            <th>prompt</th>
            <th>tokens reused</th>
            <th class="why">why not more</th>
          </tr>
        </thead>
        <tbody>
          {newest.map((request) => (
            <RequestRow key={request.id} request={request} most={most} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Reasons({ title, reasons }: { title: string; reasons: Record<string, number> }) {
  const all = Object.entries(reasons).sort(([, a], [, b]) => b - a);
  if (all.length === 0) return null;
  return (
    <p class="small">
      {title}: {all.map(([reason, requests]) => `${reason.replaceAll('_', ' ')} ${count(requests)}`).join(', ')}
    </p>
  );
}

export function CacheView() {
  usePoll<CacheMap | Absent>('/page/cache', take, question);
  const now = map.value;
  if (!now) return null;
  if ('loaded' in now) return <NotLoaded title="Cache" />;
  let running = 0;
  let kept = 0;
  return (
    <div class="view cache-view">
      <h1>Cache</h1>
      <Numbers now={now} />
      <section>
        <h2>Bytes against plan</h2>
        <GroupBars groups={now.groups} />
      </section>
      <section>
        <h2>Layers by positions</h2>
        <StripLegend groups={now.groups} />
        {now.paths.length === 0 && <p class="small">Nothing is held or kept{now.of_others > 0 && ' for this key'}.</p>}
        {now.paths.map((path) => {
          const title = path.running ? `Running sequence ${++running}` : `Kept prefix ${++kept}`;
          return path.tokens > 0 && <Strip key={title} map={now} path={path} title={title} />;
        })}
        {now.left_out > 0 && <p class="small">{count(now.left_out)} more kept prefixes are not drawn.</p>}
        {now.of_others > 0 && <p class="small">{count(now.of_others)} of other keys are not shown.</p>}
      </section>
      <section>
        <h2>Requests</h2>
        <Requests now={now} />
        <Reasons title="All requests, by what kept them from more" reasons={now.reuse_reasons} />
        <Reasons title="Those that reused nothing" reasons={now.miss_reasons} />
      </section>
    </div>
  );
}
