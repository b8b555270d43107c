// Light, dark, or as the system has it; and what colours come to, for drawings that CSS does not reach.
import { effect, signal } from '@preact/signals';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const place = 'fovea.theme';

export const theme = signal<Theme>(themes.find((name) => name === localStorage.getItem(place)) ?? 'system');
// Changes whenever colours do.
export const shade = signal(0);

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  localStorage.setItem(place, theme.value);
  shade.value = shade.peek() + 1;
});

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  shade.value += 1;
});

export function nextTheme() {
  theme.value = themes[(themes.indexOf(theme.value) + 1) % themes.length]!;
}

export function colour(name: string): string {
  const probe = document.body.appendChild(document.createElement('i'));
  probe.style.color = `var(--${name})`;
  const result = getComputedStyle(probe).color;
  probe.remove();
  return result;
}
