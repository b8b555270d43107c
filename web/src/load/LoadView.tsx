import { computed, signal } from '@preact/signals';
import type uPlot from 'uplot';
import { chosen, question } from '../chat/chosen';
import { NotLoaded } from '../frame/NotLoaded';
import { Legend, type Line, Plot } from '../frame/Plot';
import { usePoll } from '../frame/poll';
import { bytes, count, milliseconds } from '../frame/quantity';

interface Shares {
  half: number; // seconds that half of them do not exceed
  most: number; // ... and 95 of 100
}

interface Load {
  seconds: number; // of the server's clock
  running: number;
  waiting: number;
  sequences: number;
  most_waiting: number;
  requests: number;
  reuse_hits: number;
  computed_tokens: number;
  reused_tokens: number;
  generated_tokens: number;
  kv_used_bytes: number;
  kv_limit_bytes: number;
  recent: { span_seconds: number; calls: number; first_token_seconds: Shares | null; token_seconds: Shares | null; call_seconds: Shares | null };
}

interface Sample {
  seconds: number;
  generated: number; // tokens per second since the sample before
  read: number;
  reused: number;
  running: number;
  waiting: number;
}

const spanSeconds = 180;

interface Absent {
  loaded: false;
}

// Kept while the page is open and about the same model, so that coming back shows what was.
const load = signal<Load | Absent | null>(null);
const samples = signal<Sample[]>([]);
let of = '';

function take(now: Load | Absent) {
  if (of !== chosen.value.model || 'loaded' in now) samples.value = [];
  const before = of === chosen.value.model ? load.value : null;
  of = chosen.value.model;
  load.value = now;
  if ('loaded' in now || (before && 'loaded' in before)) return;
  if (!before || now.seconds <= before.seconds || now.computed_tokens < before.computed_tokens) return;
  const seconds = now.seconds - before.seconds;
  const perSecond = (name: 'generated_tokens' | 'computed_tokens' | 'reused_tokens') => (now[name] - before[name]) / seconds;
  const generated = perSecond('generated_tokens');
  const sample = {
    seconds: now.seconds,
    generated,
    read: Math.max(0, perSecond('computed_tokens') - generated),
    reused: perSecond('reused_tokens'),
    running: now.running,
    waiting: now.waiting,
  };
  samples.value = [...samples.value.filter((old) => now.seconds - old.seconds < spanSeconds), sample];
}

function over(...names: (keyof Sample)[]): uPlot.AlignedData {
  const now = load.value;
  const end = now && !('loaded' in now) ? now.seconds : 0;
  return [samples.value.map((sample) => sample.seconds - end), ...names.map((name) => samples.value.map((sample) => sample[name]))] as uPlot.AlignedData;
}

const generated = computed(() => over('generated'));
const prompts = computed(() => over('read', 'reused'));
const queue = computed(() => over('running', 'waiting'));

const generatedLines: Line[] = [{ label: 'generated', colour: 'local', fill: true }];
const promptLines: Line[] = [
  { label: 'read', colour: 'global', fill: true },
  { label: 'found in the cache', colour: 'hit', dash: [5, 4] },
];
const queueLines: Line[] = [
  { label: 'running', colour: 'local', fill: true },
  { label: 'waiting', colour: 'replay' },
];

// As far back as there are samples, in half minutes.
function shownSeconds() {
  const [first, last] = [samples.value[0], samples.value.at(-1)];
  const age = first && last ? last.seconds - first.seconds : 0;
  return Math.min(spanSeconds, Math.max(30, Math.ceil(age / 30) * 30));
}

const ago = {
  scale: { range: () => [-shownSeconds(), 0] as uPlot.Range.MinMax },
  text: (value: number) => (value === 0 ? 'now' : `${-value} s ago`),
  splits: () => [-1, -2 / 3, -1 / 3, 0].map((part) => part * shownSeconds() || 0), // -0 is 0
};
const fromZero = (least: number) => ({ range: (_: uPlot, __: number, most: number) => [0, Math.max(least, most * 1.15)] as uPlot.Range.MinMax });

function Figure({ label, value, more }: { label: string; value: string; more?: string | undefined }) {
  return (
    <li>
      <b>{value}</b>
      <span>{label}</span>
      {more && <span class="small">{more}</span>}
    </li>
  );
}

function TimeFigure({ label, shares }: { label: string; shares: Shares | null }) {
  return <Figure label={label} value={shares ? milliseconds(shares.half) : '–'} more={shares ? `95 %: ${milliseconds(shares.most)}` : undefined} />;
}

export function LoadView() {
  usePoll<Load | Absent>('/page/load', take, question);
  const now = load.value;
  if (!now) return null;
  if ('loaded' in now) return <NotLoaded title="Load" />;
  const last = samples.value.at(-1);
  return (
    <div class="view">
      <h1>Load</h1>
      <ul class="numbers">
        <Figure label="tokens/s generated" value={last ? count(Math.round(last.generated)) : '–'} />
        <Figure label="running" value={`${now.running} of ${now.sequences}`} />
        <Figure label="waiting" value={count(now.waiting)} more={`at most ${count(now.most_waiting)}`} />
        <Figure label="of requests reused something" value={now.requests ? `${Math.round((100 * now.reuse_hits) / now.requests)} %` : '–'} more={`${count(now.requests)} requests`} />
        <Figure label="keys and values" value={bytes(now.kv_used_bytes)} more={`of ${bytes(now.kv_limit_bytes)}`} />
      </ul>
      <div class="beside">
        <section>
          <h2>Tokens generated per second</h2>
          <Legend lines={generatedLines} />
          <Plot label="Tokens generated per second, lately" data={generated.value} lines={generatedLines} height={180} x={ago} y={{ scale: fromZero(10), text: count }} />
        </section>
        <section>
          <h2>Tokens of prompts per second</h2>
          <Legend lines={promptLines} />
          <Plot label="Tokens of prompts per second, lately" data={prompts.value} lines={promptLines} height={180} x={ago} y={{ scale: fromZero(10), text: count }} />
        </section>
      </div>
      <section>
        <h2>Requests</h2>
        <Legend lines={queueLines} />
        <Plot label="Requests running and waiting, lately" data={queue.value} lines={queueLines} height={160} x={ago} y={{ scale: fromZero(4), text: (value) => (value % 1 ? '' : count(value)) }} />
      </section>
      <section>
        <h2>Latency</h2>
        <p class="small">
          Of the {count(now.recent.calls)} calls that ended in the last {now.recent.span_seconds} seconds: what half of them did not exceed.
        </p>
        <ul class="numbers">
          <TimeFigure label="to the first token" shares={now.recent.first_token_seconds} />
          <TimeFigure label="between tokens" shares={now.recent.token_seconds} />
          <TimeFigure label="whole calls" shares={now.recent.call_seconds} />
        </ul>
      </section>
    </div>
  );
}
