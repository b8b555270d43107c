// Which of the views is shown: the part of the address behind '#'.
import { signal } from '@preact/signals';

export const views = ['chat', 'cache', 'plan', 'load'] as const;
export type View = (typeof views)[number];

const current = (): View => views.find((view) => `#${view}` === location.hash) ?? 'chat';

export const view = signal<View>(current());

addEventListener('hashchange', () => {
  view.value = current();
});
