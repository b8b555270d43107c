// What the engine says about reuse, in words (ReuseReason in include/fovea/request.h).
import { count } from '../frame/quantity';
import type { Reuse } from './conversation';


const words: Record<string, (at: string) => string> = {
  none: () => '',
  off: () => 'reuse is off',
  unknown: () => 'nothing kept begins like this',
  differs: (at) => `differs at token ${at}`,
  ends: (at) => `what is kept ends at token ${at}`,
  dropped: (at) => `what follows token ${at} was dropped for budget`,
  expired: (at) => `what follows token ${at} has expired`,
  no_window: (at) => `no window was kept at ${at}`,
  window_dropped: (at) => `the window at ${at} was dropped for budget`,
  window_expired: (at) => `the window at ${at} has expired`,
  no_state: (at) => `no state was kept at ${at}`,
  state_dropped: (at) => `the state at ${at} was dropped for budget`,
  state_expired: (at) => `the state at ${at} has expired`,
};

export function whyNotMore(reason: string, at: number): string {
  return (words[reason] ?? (() => reason))(count(at));
}

export function reuseText({ reused, of, reason, at }: Reuse): string {
  const why = whyNotMore(reason, at);
  return `reused ${count(reused)} of ${count(of)} prompt tokens${why && `: ${why}`}`;
}
